"""``sessions rescore``: another bundle's scores beside those that were recorded, and what is different."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from realtime_ser.assembly import load_models
from realtime_ser.commands.tell import progress_bars
from realtime_ser.session.format import person_folder
from realtime_ser.session.reader import Session
from realtime_ser.session.rescore import (
    Compared,
    Comparison,
    check_rescorable,
    check_scoring_name,
    compare,
    rescore,
    scoring_name,
)

__all__ = ["rescore_session"]


def rescore_session(
    folder: Path,
    *,
    bundle: str | None,
    name: str | None,
    replace: bool,
    recognizer: str | None,
    as_json: bool,
    reason: str,
) -> list[str]:
    """Score everybody again, keep the result under `name`, and compare; lines to print, or a line of JSON for each.

    Raises
    ------
    SessionError
        No sound was kept; the name is taken; the session cannot be read or written.
    BundleError, RecognizerError
        They cannot be loaded.
    """
    with Session(folder) as session:
        folders = [(person, person_folder(folder, person)) for person in range(1, len(session.everybody()) + 1)]
    for _, whose in folders:
        check_rescorable(whose)  # before networks are loaded: that it cannot is the most frequent answer
    models = load_models(bundle, "none" if recognizer is None else recognizer)
    name = scoring_name(models) if name is None else name
    for _, whose in folders:
        check_scoring_name(whose, name, replace=replace)
    with progress_bars() as progress:
        task = progress.add_task(f"{folder.name} by {name}", total=1.0)
        try:
            for _, whose in folders:
                rescore(
                    whose,
                    models,
                    name=name,
                    replace=replace,
                    recognise=recognizer not in (None, "none"),
                    reason=reason,
                    on_progress=lambda seconds, of: progress.update(task, completed=seconds, total=of),
                )
        except KeyboardInterrupt:
            left = "the session is as it was" if len(folders) == 1 else "who was done before is scored"
            progress.console.print(f"Interrupted. Nothing was kept of it; {left}.", highlight=False)
            raise
    lines: list[str] = []
    for person, _ in folders:
        with Session(folder, person=person) as before, Session(folder, name, person) as after:
            found = compare(before, after)
            if as_json:
                lines.append(json.dumps(_as_json(before, after, found), ensure_ascii=False))
            else:
                lines += [*([""] * bool(lines)), *([f"{before.name}:"] if before.name else []), *_as_text(before, after, found)]
    return lines


def _as_json(before: Session, after: Session, found: Comparison) -> dict[str, object]:
    return {
        "session": before.header.id,
        **({"person": before.name} if before.name else {}),
        "scores": after.scores,
        "before": {**_bundle(before), "words": before.header.recognizer},
        "after": {**_bundle(after), "words": after.header.recognizer},
        **asdict(found),
    }


def _bundle(session: Session) -> dict[str, str]:
    bundle = session.header.bundle
    return {"bundle": bundle.name, "version": bundle.version, "sha256": bundle.sha256}


def _as_text(before: Session, after: Session, found: Comparison) -> list[str]:
    lines = [f"Before: {_says(before)}.", f"After:  {_says(after)}.", ""]
    lines += [_line(one) for one in found.utterances]
    lines += [f"  {number:>4}  was not scored again: its sound is not there." for number in found.missing]
    redacted = sum(one.redacted for one in found.utterances)
    counted = len(found.utterances) - redacted
    lines += ["", f"The same label, or none both times: {_percent(found.agreement)} of {counted} utterances."]
    lines.append(f"The same label where both gave one: {_percent(found.agreement_labelled)}.")
    if set(before.header.classes) != set(after.header.classes):
        lines.append("The bundles have other classes, so their scores cannot be subtracted.")
    else:
        lines.append(f"Mean absolute difference of the scores: {_figure(found.difference)}.")
    lines.append(f"Mean absolute difference of the confidence: {_figure(found.confidence_difference)}.")
    if redacted:
        lines.append(f"{redacted} utterances with redacted sound (*) were scored without it and do not count in these figures.")
    if before.header.recognizer != "none" and after.header.recognizer == "none":
        lines.append("NB: the recording's scores rest on words that were not kept; the later ones rest on the voice alone.")
    lines.append(f"Kept as {after.scores!r}: `sessions export --scores {after.scores}` writes them. The original is as it was.")
    return lines


def _says(session: Session) -> str:
    bundle = session.header.bundle
    return f"bundle {bundle.name} {bundle.version} ({bundle.sha256[:12]}…), words by {session.header.recognizer}"


def _line(one: Compared) -> str:
    changed = " " if one.before == one.after else "≠"
    difference = "" if one.difference is None else f"  scores ±{one.difference:.3f}"
    return (
        f"  {one.utterance:>4}{'*' if one.redacted else ' '} {one.start:8.2f} – {one.end:.2f} s  "
        f"{one.before or 'unsure':<10} {one.confidence_before:4.0%}  {changed}  "
        f"{one.after or 'unsure':<10} {one.confidence_after:4.0%}{difference}"
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
