"""``sessions list``, ``show`` and ``export``: looking without changing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.commands.tell import progress_bars
from realtime_ser.errors import SessionError
from realtime_ser.session.catalogue import read_facts
from realtime_ser.session.export.figure import write_figure
from realtime_ser.session.export.files import export_files
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.export.tables import write_rows
from realtime_ser.session.format import session_folders
from realtime_ser.session.header import read_header
from realtime_ser.session.reader import Session, is_bleed, person_number, scorings, utc_text
from realtime_ser.session.summary import MEANING, summarise, summary_cells

__all__ = ["describe", "export", "figure", "list_sessions", "methods", "summary"]


def list_sessions(root: Path) -> list[str]:
    """A line for every session in `root`; one that cannot be opened is named too."""
    found = [read_facts(folder) for folder in session_folders(root)]
    if not found:
        return [f"There are no sessions in {root}.", "`realtime-ser listen --record` records one."]
    lines = [f"Sessions in {root}:"]
    for one in found:
        if one.phase == "unreadable":
            lines.append(f"  {one.folder.name}  cannot be opened: {one.message}")
            continue
        who = " ".join(filter(None, (one.participant, one.condition))) or "nobody named"
        kept = " and ".join(["words"] * one.words + ["SOUND"] * one.audio)
        lines.append(f"  {one.folder.name}  {_clock(one.seconds)}  {one.phase:<11}  {who}  {kept}".rstrip())
    return lines


def describe(folder: Path) -> list[str]:
    """What is in a session."""
    with Session(folder) as session:
        header = session.header
        people = session.everybody()
        markers = session.markers()
        utterances = sorted(
            ((one, row) for one in people for row in one.utterances()), key=lambda entry: int(entry[1]["start_sample"])
        )
        gaps = [(one, row) for one in people for row in one.gaps()]
        windows = sum(len(one.windows().first) for one in people)
        inputs = " and ".join(one.header.input for one in people)
        codes = " and ".join(f"{one.header.participant or '–'}{f' ({one.name})' if one.name else ''}" for one in people)
        lines = [
            f"{folder}",
            f"Participant {codes}, condition {header.condition or '–'}, begun {header.created}",
            session.state().message,
            f"{_clock(session.seconds)} of {inputs}: {windows} windows, {len(utterances)} utterances, "
            f"{len(markers)} markers, {len(session.notes())} notes, {len(gaps)} gaps.",
            f"Bundle {header.bundle.name} {header.bundle.version} ({header.bundle.sha256[:12]}…), words by "
            f"{header.recognizer}, program {header.program}, Python {header.python}, {header.system}.",
        ]
        for one in people:
            kept, whose = one.header.kept, f"{one.name}: " if one.name else ""
            lines += [f"{whose}From {_at(row['sample'], header.sample_rate)} on: {row['device']}." for row in one.devices()]
            sound = "KEPT" if one.has_audio else "not kept"
            lines.append(f"{whose}Words {'kept' if kept.words else 'not kept'}, sound {sound}.")
            if kept.consent is not None:
                lines.append(f"{whose}Consent {kept.consent.how}, {kept.consent.confirmed}: “{kept.consent.text}”")
        lines += ["", "Utterances:"] if utterances else []
        for one, row in utterances:
            label = row["label"] or f"({row['state']})"
            said = row["corrected"] or row["words"]
            thought = f"  labelled {row['annotation']}" if row["annotation"] else ""
            thought += f"  probably bleed ({row['bleed']:.0%})" if is_bleed(row) else ""
            where = f"{_at(row['start_sample'], header.sample_rate)} – {_at(row['end_sample'], header.sample_rate)}"
            lines.append(
                f"  {f'{one.name} ' if one.name else ''}{row['utterance']:>4}  {where}  {label:<10} "
                f"{row['confidence']:4.0%}{thought}" + (f"  “{said}”" if said else "")
            )
        lines += ["", "Markers:"] if markers else []
        for row in markers:
            colour = f" ({row['colour']})" if row["colour"] else ""
            before = f", was {row['original']}" if row["original"] else ""
            when = _at(row["sample"], header.sample_rate)
            lines.append(f"  {row['id']:>4}  {when}  {row['name']}{colour}, {row['source']}{before}")
        lines += [f"Note: {row['text']}" for row in session.notes()]
        lines += [
            f"Not heard{f' of {one.name}' if one.name else ''}: {_at(row['start_sample'], header.sample_rate)} – "
            f"{_at(row['end_sample'], header.sample_rate)}"
            for one, row in gaps
        ]
        lines += [
            f"Event: {_at(row['sample'], header.sample_rate)}  {f'{one.name}: ' if one.name else ''}{row['message']}"
            for one in people
            for row in one.events()
        ]
        if names := scorings(folder):
            lines.append(f"Scored again: {', '.join(names)}.")
        for one in people:
            for row in one.changes():
                number = "" if row["target_id"] is None else f" {row['target_id']}"
                reason = f" ({row['reason']})" if row["reason"] else ""
                whose = f" of {one.name}" if one.name else ""
                what = f"{row['kind']} {row['target']}{number}{whose} {row['field']}: {row['after']}{reason}"
                lines.append(f"Change: {utc_text(row['utc'])}  {what}")
        return [*lines, "", *header.notice]


def methods(folder: Path) -> list[str]:
    """A paragraph for a paper."""
    with Session(folder) as session:
        return [methods_paragraph(session)]


def export(folder: Path, to: str, formats: Sequence[str], scores: str | None = None) -> list[str]:
    """Write files, with the scores that were recorded or those of a later scoring, and say which.

    Raises
    ------
    SessionError
        A format or a scoring that there is not, or a folder that cannot be written.
    """
    with progress_bars() as progress:
        task = progress.add_task(folder.name, total=1.0)

        def show(name: str, share: float) -> None:
            progress.update(task, completed=share, description=f"{folder.name}: {name}")

        try:
            paths = export_files(folder, Path(to), formats, scores, show)
        except KeyboardInterrupt:
            progress.console.print("Interrupted. Nothing was written.", highlight=False)
            raise
    return [f"Wrote {path}" for path in paths]


def figure(
    folder: Path, out: str, start: float | None, end: float | None, scores: str | None = None, person: str | None = None
) -> list[str]:
    """Draw the timeline of a person (by name or number; ``None``: of everybody) between two times in seconds, and say what had
    no room.

    Raises
    ------
    ConfigError, SessionError
        It is not clear how or what to draw, Matplotlib is missing, or the file cannot be written.
    """
    path = Path(out)
    number = None if person is None else person_number(read_header(folder), person)
    with Session(folder, scores) as session:
        try:
            said = write_figure(session, path, start, end, number)
        except OSError as error:
            raise SessionError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error
    return [f"Wrote {path}", *said]


def summary(root: Path, out: str | None) -> list[str]:
    """Scores per participant and condition, as a table.

    Raises
    ------
    SessionError, ConfigError
        There are no sessions; they do not go together; the table cannot be written.
    """
    rows = summarise(session_folders(root))
    if not rows:
        raise SessionError(f"No session in {root} has an utterance.", "`realtime-ser sessions list` shows what there is.")
    if out is None:
        cells = summary_cells(rows)
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = ("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in cells)
        return [*lines, "", MEANING]
    path = Path(out)
    try:
        write_rows(rows, path)
    except OSError as error:
        raise SessionError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error
    return [f"Wrote {path}", MEANING]


def _at(sample: int, rate: int) -> str:
    return f"{sample / rate:.2f} s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
