"""Scoring many files, in this process, in several, or on a cluster: always to the same pieces, which make the same table.

Every file's rows are written to a piece of their own in a work folder. So nothing large travels between processes, memory does
not grow with the corpus, the order in which files are done does not matter, and what is done stays done when a run breaks off.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import platform
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import msgspec

from realtime_ser.acoustic.execution import Execution
from realtime_ser.api import FILE_BLOCK, EmotionRecognizer
from realtime_ser.assembly import SegmentationKind
from realtime_ser.audio.file import FileSource
from realtime_ser.bundle.loader import DEFAULT_BUNDLE
from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.bleed import BleedWatch
from realtime_ser.errors import BundleError, ConfigError, RealtimeSerError
from realtime_ser.profiles import SpeakerProfile
from realtime_ser.records import Record, verdict_row, window_rows
from realtime_ser.types import Level, Verdict, WindowScores

__all__ = ["Heard", "Job", "Outcome", "Recording", "find_recordings", "read_piece", "score", "score_all"]

Heard = Callable[[float, float | None], None]
"""Told how many seconds of a file were heard, of how many (``None``: unknown)."""

_SUFFIXES = (
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav",
)  # fmt: skip
_ROWS_AT_ONCE = 2_000
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file: where it is, and what it is called in the table (as it was given)."""

    path: str
    name: str

    @property
    def piece(self) -> str:
        """Name of its piece; another one once the file has changed."""
        try:
            state = Path(self.path).stat()
            version = f"{state.st_size} {state.st_mtime_ns}"
        except (OSError, ValueError):
            version = "missing"
        return (
            hashlib.sha256(f"{self.path}\n{self.name}\n{version}".encode(errors="surrogateescape")).hexdigest()[:32] + ".rows"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """How files are scored; what a worker anywhere needs to know.

    Attributes
    ----------
    folder
        Of the pieces: absolute, and on a cluster the same for all its machines.
    bundle
        Its folder; ``None``: the default one that is shipped, wherever the worker has it.
    fingerprint
        Of the bundle that is meant; a worker with another one must not add to the table.
    profile
        Of the one who speaks in all files; ``None``: anybody.
    people
        Names of the people who speak, each on a channel of every file, and their channels counted from 0; empty: nobody is told
        apart, and all channels are averaged.
    """

    folder: str
    bundle: str | None
    fingerprint: str
    recognizer: str
    windows: bool
    segmentation: SegmentationKind
    execution: Execution
    profile: SpeakerProfile | None = None
    people: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: nothing to say, or what went wrong (as in :class:`~realtime_ser.errors.RealtimeSerError`)."""

    recording: Recording
    problem: str = ""
    remedy: str = ""
    exit_code: int = 0

    def error(self) -> RealtimeSerError:
        """The failure as an exception that ends the program with the right code."""
        error = RealtimeSerError(self.problem, self.remedy)
        error.exit_code = self.exit_code
        return error


def find_recordings(given: Sequence[str]) -> list[Recording]:
    """The files that are meant, in order; a folder stands for all sound files in it and below, by name.

    A folder without any is meant itself: it cannot be read, and that is told like any other file's failure.
    """
    found: list[Recording] = []
    for name in given:
        path = Path(name)
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in _SUFFIXES and one.is_file()) if name else []
        found += [Recording(str(one.absolute()), str(one)) for one in inside]
        if not inside:
            found.append(Recording(str(path.absolute()) if name else name, name))
    return found


def score(job: Job, recording: Recording, heard: Heard | None = None) -> Outcome:
    """Score one file and write its piece, unless that is there already. Runs in any process.

    A failure is returned, not raised: an exception of a worker would end the others, too.
    """
    folder = Path(job.folder)
    piece = folder / recording.piece
    if piece.exists():
        return Outcome(recording)
    unfinished = piece.with_suffix(f".{os.getpid()}")
    try:
        rows = _rows(
            _recognizer(job.bundle, job.fingerprint, job.recognizer, job.windows, job.execution, job.profile),
            job,
            recording,
            heard,
        )
        try:
            _write_piece(unfinished, rows)
            unfinished.replace(piece)
        except OSError as error:
            raise RealtimeSerError(
                f"{folder} cannot be written: {error.strerror or error}.",
                "Make room or choose another place; the same command then goes on with the files that are not done.",
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
    except RealtimeSerError as error:
        return Outcome(recording, error.problem, error.remedy, error.exit_code)
    return Outcome(recording)


def score_all(
    job: Job, recordings: Sequence[Recording], *, jobs: int, cluster: str | None, heard: Heard | None = None
) -> Iterator[Outcome]:
    """Score files and say what became of each, in the order in which they are done.

    Parameters
    ----------
    jobs
        Processes on this machine; 1: this one.
    cluster
        Address of a Dask scheduler to use instead.
    heard
        Told of the progress within a file; only where this process does the work.

    Raises
    ------
    ConfigError
        Dask is not installed, or there is no scheduler at that address.
    """
    if cluster is not None:
        yield from _on_cluster(job, recordings, cluster)
    elif jobs == 1:
        for recording in recordings:
            yield score(job, recording, heard)
    else:
        from joblib import Parallel, delayed

        # Each with its own networks, which are loaded once; joblib keeps the libraries of every process to its share of cores.
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
        yield from parallel(delayed(score)(job, recording) for recording in recordings)


def _on_cluster(job: Job, recordings: Sequence[Recording], address: str) -> Iterator[Outcome]:
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        raise ConfigError(
            "For a cluster Dask is needed, and it is not installed here.", "Install it: pip install 'realtime-ser[cluster]'."
        ) from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ConfigError(f"There is no Dask scheduler at {address}: {error}", "Start one: dask scheduler.") from error
    with client:
        # Not pure: a file that was done, and whose piece was lost, has to be done again.
        futures = client.map(partial(score, job), recordings, pure=False)
        for future in as_completed(futures):
            yield future.result()
            future.release()


@lru_cache(maxsize=1)
def _recognizer(
    bundle: str | None,
    fingerprint: str,
    recognizer: str,
    windows: bool,
    execution: Execution,
    profile: SpeakerProfile | None,
) -> EmotionRecognizer:
    """The networks of this process, loaded with its first file. Words do not touch windows and are left out there."""
    model = EmotionRecognizer(
        DEFAULT_BUNDLE if bundle is None else bundle, "none" if windows else recognizer, execution=execution, profile=profile
    )
    if model.models.bundle.fingerprint != fingerprint:
        raise BundleError(
            f"A worker on {platform.node()} has another bundle: {model.models.bundle.path}.",
            "Install the same version everywhere.",
        )
    return model


def _rows(model: EmotionRecognizer, job: Job, recording: Recording, heard: Heard | None) -> Iterator[Record]:
    if not job.people:
        yield from _rows_of(model, job, recording, heard)
        return
    # Everybody's rows are those of their channel alone; what is said first stands first.
    if not job.windows:
        yield from _conversation(model, job, recording, heard)
        return
    lanes = [
        _rows_of(model, job, recording, None if number else heard, channel, name)
        for number, (name, channel) in enumerate(job.people)
    ]
    yield from heapq.merge(*lanes, key=lambda row: float(row["start"]))


def _conversation(model: EmotionRecognizer, job: Job, recording: Recording, heard: Heard | None) -> Iterator[Record]:
    """Verdicts of several people, each with the share that was probably another's voice; heard side by side."""
    sources = [FileSource(recording.path, block=FILE_BLOCK, channel=channel) for _, channel in job.people]
    streams = [model.stream(source, job.segmentation) for source in sources]
    watch = BleedWatch(len(streams))
    positions: dict[int, int] = dict.fromkeys(range(len(streams)), 0)
    verdicts: list[list[Verdict]] = [[] for _ in streams]
    rows: list[Record] = []

    def settle(*, everything: bool = False) -> None:
        for person, waiting in enumerate(verdicts):
            while waiting and (everything or watch.ready(person, waiting[0].span.end)):
                verdict = waiting.pop(0)
                judged = replace(verdict, bleed=watch.judge(person, verdict.span))
                row = {**verdict_row(judged, model.classes), "bleed": judged.bleed}
                rows.append({"file": recording.name, "person": job.people[person][0], **row})

    while positions:
        person = min(positions, key=positions.__getitem__)  # whoever is behind
        match next(streams[person], None):
            case None:
                del positions[person]
                watch.end(person)
                settle()
            case WindowScores() as windows:
                watch.hear(person, windows)
                settle()
            case Verdict() as verdict:
                verdicts[person].append(verdict)
            case Level() as level:
                positions[person] = level.span.end
                if heard is not None and person == 0:
                    rate = sources[0].status().native_rate
                    heard(level.span.end / ENGINE_RATE, sources[0].frames / rate if rate else None)
            case _:
                pass
    settle(everything=True)
    yield from sorted(rows, key=lambda row: float(row["start"]))


def _rows_of(
    model: EmotionRecognizer,
    job: Job,
    recording: Recording,
    heard: Heard | None,
    channel: int | None = None,
    person: str = "",
) -> Iterator[Record]:
    source = FileSource(recording.path, block=FILE_BLOCK, channel=channel)
    first = {"file": recording.name, "person": person} if person else {"file": recording.name}
    for output in model.stream(source, job.segmentation, words=not job.windows):
        match output:
            case WindowScores() if job.windows:
                for row in window_rows(output, model.classes):
                    yield {**first, **row}
            case Verdict() if not job.windows:
                yield {**first, **verdict_row(output, model.classes)}
            case Level() if heard is not None:
                rate = source.status().native_rate
                heard(output.span.end / ENGINE_RATE, source.frames / rate if rate else None)
            case _:
                pass


# Pieces: lists of rows in MessagePack, each after its length in bytes -------------------------------------------------


def _write_piece(path: Path, rows: Iterator[Record]) -> None:
    with path.open("wb") as file:
        batch: list[Record] = []

        def flush() -> None:
            content = msgspec.msgpack.encode(batch)
            file.write(_LENGTH.pack(len(content)) + content)
            batch.clear()

        for row in rows:
            batch.append(row)
            if len(batch) >= _ROWS_AT_ONCE:
                flush()
        flush()


def read_piece(job: Job, recording: Recording) -> Iterator[list[Record]]:
    """The rows of a file that was scored, in portions."""
    with (Path(job.folder) / recording.piece).open("rb") as file:
        while header := file.read(_LENGTH.size):
            rows: list[Record] = msgspec.msgpack.decode(file.read(_LENGTH.unpack(header)[0]))
            yield rows
