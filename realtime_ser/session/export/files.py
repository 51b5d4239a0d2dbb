"""Every format by its name."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from realtime_ser.errors import SessionError
from realtime_ser.session.export.annotations import sound_name, write_elan, write_textgrid
from realtime_ser.session.export.streams import write_session_xdf
from realtime_ser.session.export.subtitles import write_srt, write_vtt
from realtime_ser.session.export.tables import write_tables
from realtime_ser.session.reader import Session
from realtime_ser.types import FloatArray

__all__ = ["FORMATS", "export_files", "export_session"]

_Told: TypeAlias = Callable[[float], None]
_Writer: TypeAlias = Callable[[Session, Path, _Told], list[Path]]

_LONGEST_SILENCE = 160_000


def _flac(session: Session, folder: Path, told: _Told) -> list[Path]:
    from realtime_ser.session.sound import write_flac

    people = session.everybody()
    paths = [folder / sound_name(one) for one in people]
    for number, (one, path) in enumerate(zip(people, paths, strict=True)):

        def told_of_all(share: float, number: int = number) -> None:
            told((number + share) / len(people))

        write_flac(path, _without_gaps(one, told_of_all))
    return paths


def _without_gaps(session: Session, told: _Told) -> Iterator[FloatArray]:
    """The sound from sample 0 on, with silence where nothing was heard, so that times in the file are those of the session."""
    position = 0
    for first, samples in session.audio():
        while position < first:
            silence = min(first - position, _LONGEST_SILENCE)
            yield np.zeros(silence, np.float32)
            position += silence
        yield samples[position - first :]  # what a second device heard before the first one's sample 0 is left out
        position = max(position, first + len(samples))
        told(position / max(session.samples, position, 1))


def _one(write: Callable[[Session, Path], None], session: Session, path: Path) -> list[Path]:
    write(session, path)
    return [path]


FORMATS: dict[str, _Writer] = {
    "csv": lambda session, folder, told: write_tables(session, folder, ".csv", told),
    "parquet": lambda session, folder, told: write_tables(session, folder, ".parquet", told),
    "jsonl": lambda session, folder, told: write_tables(session, folder, ".jsonl", told),
    "elan": lambda session, folder, told: _one(write_elan, session, folder / "session.eaf"),
    "praat": lambda session, folder, told: _one(write_textgrid, session, folder / "session.TextGrid"),
    "srt": lambda session, folder, told: _one(write_srt, session, folder / "session.srt"),
    "vtt": lambda session, folder, told: _one(write_vtt, session, folder / "session.vtt"),
    "xdf": lambda session, folder, told: _one(write_session_xdf, session, folder / "session.xdf"),
    "flac": _flac,
}


def export_session(session: Session, folder: Path, name: str, on_progress: _Told = lambda share: None) -> list[Path]:
    """Write a session into `folder` in the format `name`, one of :data:`FORMATS`; the paths that were written.

    Parameters
    ----------
    on_progress
        Told which share of it is done, in [0, 1]; what it raises ends the writing.

    Raises
    ------
    SessionError
        "flac", and no sound was kept.
    OSError
        It cannot be written.
    """
    return FORMATS[name](session, folder, on_progress)


def export_files(
    folder: Path,
    target: Path,
    formats: Sequence[str] = (),
    scores: str | None = None,
    on_progress: Callable[[str, float], None] = lambda name, share: None,
) -> list[Path]:
    """Write the session in `folder` into the folder `target`, which is made if it is not there; all files, or none.

    Parameters
    ----------
    formats
        Of :data:`FORMATS`; empty: all that the session has something for.
    scores
        Of a later scoring in place of the recorded ones.
    on_progress
        Told the format that is being written and the share of everything that is done, in [0, 1]. What it raises ends the
        export, and `target` is as it was.

    Returns
    -------
    The files that were written; those of the same names are replaced.

    Raises
    ------
    SessionError
        There is no such format or scoring; the session cannot be read, or `target` not be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise SessionError(f"There is no format {unknown[0]!r}.", f"Formats: {', '.join(FORMATS)}.")
    with Session(folder, scores) as session:
        chosen = formats or [name for name in FORMATS if name != "flac" or session.has_audio]
        missing = [path for path in (target, *target.parents) if not path.exists()]
        written: list[Path] = []
        try:
            target.mkdir(parents=True, exist_ok=True)
            # Beside their place, so that they only have to be renamed.
            with tempfile.TemporaryDirectory(dir=target, prefix=".export-") as part:
                paths: list[Path] = []
                for index, name in enumerate(chosen):

                    def told(share: float, index: int = index, name: str = name) -> None:
                        on_progress(name, (index + share) / len(chosen))

                    told(0.0)
                    paths += export_session(session, Path(part), name, told)
                on_progress(chosen[-1], 1.0)
                written = [path.replace(target / path.name) for path in paths]
        except OSError as error:
            problem = f"{target} cannot be written: {error.strerror or error}."
            raise SessionError(problem, "Make room or choose another folder.") from error
        finally:
            if not written:
                with contextlib.suppress(OSError):
                    for path in missing:
                        path.rmdir()
    return written
