"""Every format by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from realtime_ser.session.export.annotations import write_elan, write_textgrid
from realtime_ser.session.export.streams import write_session_xdf
from realtime_ser.session.export.subtitles import write_srt, write_vtt
from realtime_ser.session.export.tables import write_tables
from realtime_ser.session.reader import Session
from realtime_ser.types import FloatArray

__all__ = ["FORMATS", "export_session"]

_Writer: TypeAlias = Callable[[Session, Path], list[Path]]

_LONGEST_SILENCE = 160_000


def _flac(session: Session, folder: Path) -> list[Path]:
    from realtime_ser.session.sound import write_flac

    path = folder / "audio.flac"
    write_flac(path, _without_gaps(session))
    return [path]


def _without_gaps(session: Session) -> Iterator[FloatArray]:
    """The sound from sample 0 on, with silence where nothing was heard, so that times in the file are those of the session."""
    position = 0
    for first, samples in session.audio():
        while position < first:
            silence = min(first - position, _LONGEST_SILENCE)
            yield np.zeros(silence, np.float32)
            position += silence
        yield samples
        position = first + len(samples)


def _one(write: Callable[[Session, Path], None], session: Session, path: Path) -> list[Path]:
    write(session, path)
    return [path]


FORMATS: dict[str, _Writer] = {
    "csv": lambda session, folder: write_tables(session, folder, ".csv"),
    "parquet": lambda session, folder: write_tables(session, folder, ".parquet"),
    "jsonl": lambda session, folder: write_tables(session, folder, ".jsonl"),
    "elan": lambda session, folder: _one(write_elan, session, folder / "session.eaf"),
    "praat": lambda session, folder: _one(write_textgrid, session, folder / "session.TextGrid"),
    "srt": lambda session, folder: _one(write_srt, session, folder / "session.srt"),
    "vtt": lambda session, folder: _one(write_vtt, session, folder / "session.vtt"),
    "xdf": lambda session, folder: _one(write_session_xdf, session, folder / "session.xdf"),
    "flac": _flac,
}


def export_session(session: Session, folder: Path, name: str) -> list[Path]:
    """Write a session into `folder` in the format `name`, one of :data:`FORMATS`; the paths that were written.

    Raises
    ------
    SessionError
        "flac", and no sound was kept.
    OSError
        It cannot be written.
    """
    return FORMATS[name](session, folder)
