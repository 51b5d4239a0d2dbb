"""``realtime-ser analyze``: recorded files at full speed, with the scores that the live program would give."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime_ser import __version__
from realtime_ser.acoustic.execution import Execution, choose_networks
from realtime_ser.asr.discovery import choose_recognizer
from realtime_ser.assembly import SegmentationKind
from realtime_ser.bundle.loader import DEFAULT_BUNDLE, Bundle, find_bundles, load_bundle
from realtime_ser.bundle.providers import parse_provider
from realtime_ser.commands.corpus import Job, Outcome, Recording, find_recordings, read_piece, score_all
from realtime_ser.commands.tables import TableFile, check_table_path
from realtime_ser.commands.tell import progress_bars
from realtime_ser.errors import AudioFileError, ConfigError, RealtimeSerError
from realtime_ser.profiles import read_profile

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["analyze"]

VERDICT_COLUMNS = (
    "label",
    "state",
    "confidence",
    "voiced_seconds",
    "word_share",
    "transcript",
    "transcript_confidence",
    "recognizer",
    "note",
)

_RUN_NAME = "run.json"


def analyze(
    files: Sequence[str],
    *,
    out: str | None,
    windows: bool,
    segmentation: SegmentationKind = "voice",
    bundle: str | Path | None = None,
    recognizer: str | Path = "auto",
    execution: Execution | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    profile: str | None = None,
    people: Sequence[tuple[str, int]] = (),
) -> int:
    """Score files and write one table, in the order of the files, whoever scores them.

    A file that cannot be read is left out and listed at the end; the rest is done, and the exit code is that of audio files.
    With `out`, files that are done are kept in the folder ``OUT.part`` until the table is complete: the same command goes on
    where an earlier one broke off.

    Parameters
    ----------
    files
        Sound files, and folders, which stand for all sound files in them.
    out
        Table to write (.csv, .parquet, .jsonl); ``None``: CSV to standard output.
    windows
        A row per 10 ms window in place of one per utterance; words are left out then, since they do not touch windows.
    jobs
        Processes that share the work on this machine.
    cluster
        Address of a Dask scheduler whose workers do the work; they must see the files and the folder of `out` under the same
        paths.
    profile
        Name of the profile of the one who speaks in all files, or its file.
    people
        Names of the people who speak in every file, with their channels, counted from 0; the table then has a column
        ``person``.

    Raises
    ------
    RealtimeSerError
        What prevents all files from being scored: a wrong option, the bundle, the recogniser, a full disk.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}.")
    if cluster is not None and out is None:
        raise ConfigError(
            "A cluster needs a place for its results.", "Name a table with --out, in a folder that all of it sees."
        )
    if out is not None:
        check_table_path(Path(out))
    opened = load_bundle(bundle)
    speaker = None if profile is None else read_profile(profile)
    choice = choose_recognizer("none" if windows else recognizer)
    wanted = Execution.wanted() if execution is None else execution
    _, form = choose_networks(opened, wanted)
    recordings = find_recordings(files)
    run = {
        "version": __version__, "bundle": opened.fingerprint, "windows": windows, "segmentation": segmentation,
        "recognizer": str(choice.label), "provider": form.provider.value, "weights": form.weights,
        "people": [list(person) for person in people],
    }  # fmt: skip
    if speaker is not None:
        run["profile"] = f"{speaker.name}, {speaker.created}"
    # What was found here, or by the run that goes on, holds for all workers, so that all files are scored alike.
    run |= _found_before(out, run, wanted)
    settled = Execution(parse_provider(str(run["provider"])), "int8" if run["weights"] == "int8" else "float32")
    classes = opened.manifest.classes
    columns = [
        "file",
        *(("person",) if people else ()),
        "start",
        "end",
        *classes,
        *(("voiced",) if windows else VERDICT_COLUMNS),
        *(("bleed",) if people and not windows else ()),
    ]
    with _work_folder(out, run) as folder, progress_bars(counted=True) as progress:
        job = Job(
            str(folder.absolute()), _place_of(opened), opened.fingerprint, str(recognizer), windows, segmentation, settled,
            speaker, tuple(people),
        )  # fmt: skip
        try:
            failures = _score(job, recordings, jobs, cluster, progress)
        except KeyboardInterrupt:
            if out is not None:
                progress.console.print("Interrupted. The same command goes on where this one stopped.", highlight=False)
            raise
        failed = {outcome.recording for outcome in failures}
        done = [recording for recording in recordings if recording not in failed]
        table = folder / f"table{Path(out).suffix}" if out is not None else None
        _write(job, done, table, columns, classes)
        if table is not None and out is not None:
            table.replace(out)
    for outcome in failures:
        progress.console.print(
            f"{outcome.recording.name}: {outcome.error()}", style="red", highlight=False, soft_wrap=True, markup=False
        )
    if failures:
        progress.console.print(f"Left out: {len(failures)} of {len(recordings)} files.", style="red", highlight=False)
        return AudioFileError.exit_code
    return 0


def _place_of(bundle: Bundle) -> str | None:
    """The bundle for other processes: their environment need not be this one's, and each finds the shipped default itself."""
    shipped = find_bundles().get(DEFAULT_BUNDLE)
    return None if shipped is not None and bundle.path.samefile(shipped) else str(bundle.path.absolute())


def _score(job: Job, recordings: Sequence[Recording], jobs: int, cluster: str | None, progress: Progress) -> list[Outcome]:
    """Score all files; returns those that could not be read, in the order of the files."""
    failures: list[Outcome] = []
    files = progress.add_task("files", total=len(recordings))
    here = progress.add_task("this file", total=None, visible=jobs == 1 and cluster is None)

    def heard(seconds: float, length: float | None) -> None:
        progress.update(here, completed=seconds, total=length)

    for outcome in score_all(job, recordings, jobs=jobs, cluster=cluster, heard=heard):
        progress.update(files, advance=1)
        progress.reset(here)
        if outcome.exit_code == AudioFileError.exit_code:
            failures.append(outcome)
        elif outcome.exit_code:  # what is wrong with the program or the machine concerns all files
            raise outcome.error()
    order = {recording: number for number, recording in enumerate(recordings)}
    return sorted(failures, key=lambda outcome: order[outcome.recording])


def _write(
    job: Job, recordings: Sequence[Recording], table: Path | None, columns: Sequence[str], classes: Sequence[str]
) -> None:
    # Standard output turns line ends into the system's own.
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    if table is None:
        writer.writeheader()
    with nullcontext() if table is None else TableFile(table, columns, classes) as written:
        for recording in recordings:
            for rows in read_piece(job, recording):
                if written is None:
                    writer.writerows(rows)
                else:
                    written.add(rows)


def _found_before(out: str | None, run: dict[str, Any], wanted: Execution) -> dict[str, Any]:
    """The provider and the weights of a run that broke off, where this one leaves them open and is the same in all else.

    An automatic choice rests on a measurement and may come out differently; what is done would then be done again.
    """
    found = ("provider", "weights")
    if out is None:
        return {}
    try:
        before = json.loads((_pieces_of(out) / _RUN_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(before, dict) or {**before, **{name: run[name] for name in found}} != run:
        return {}
    open_ones = {"provider": wanted.provider is None, "weights": wanted.weights == "auto"}
    return {name: before[name] for name in found if open_ones[name] and name in before}


def _pieces_of(out: str) -> Path:
    return Path(out).with_name(Path(out).name + ".part")


@contextmanager
def _work_folder(out: str | None, run: dict[str, Any]) -> Iterator[Path]:
    """Where the pieces are: ``OUT.part``, kept until the table is complete; for standard output a folder for this run alone."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="realtime-ser-") as name:
            yield Path(name)
        return
    folder = _pieces_of(out)
    mark = folder / _RUN_NAME
    wanted = json.dumps(run, sort_keys=True)
    try:
        # Pieces of a run with other options would be other results.
        if folder.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == wanted):
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        mark.write_text(wanted, encoding="utf-8")
    except OSError as error:
        raise RealtimeSerError(
            f"{folder} cannot be written: {error.strerror or error}.", "Make room or choose another place."
        ) from error
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
