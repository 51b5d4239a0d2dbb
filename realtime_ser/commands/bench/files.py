"""Recorded files: how fast they are analysed, and whether memory grows with their length. Sound made up for the purpose."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realtime_ser.audio.file import FileSource
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.bench.measure import program, run
from realtime_ser.commands.bench.report import Row
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import FloatArray

__all__ = ["files_rows"]

_PART = "files"
_SHORT_SECONDS = 60
_JOBS = 2
_FLAT = 1.1
"""Memory of the long file relative to that of the short one: less than the buffers that come and go."""


def files_rows(bundle: str | None, long_minutes: float) -> list[Row]:
    """Analyse a minute and `long_minutes`, without words, each in a process of its own; then as much on two cores."""
    speech = read_all(FileSource(asset_path(DEMONSTRATION)))
    long_seconds = round(long_minutes * 60)
    with tempfile.TemporaryDirectory(prefix="realtime-ser-bench-") as name:
        folder = Path(name)
        short = _write(folder / "short.wav", speech, _SHORT_SECONDS)
        long = _write(folder / "long.wav", speech, long_seconds)
        halves = [_write(folder / f"half{number}.wav", speech, long_seconds // 2) for number in range(_JOBS)]

        def analyse(files: Sequence[Path], *options: str) -> tuple[float, float | None, float | None]:
            out = folder / "table.csv"
            words = ("--recognizer", "none", *(("--bundle", bundle) if bundle else ()))
            used = run(program("analyze", *map(str, files), "--out", str(out), *words, *options))
            out.unlink()
            return used.seconds, used.processor_seconds, used.peak_megabytes

        _, _, small = analyse([short])
        seconds, processor, large = analyse([long])
        two, _, _ = analyse(halves, "--jobs", str(_JOBS))
    length = f"{long_seconds / 60:g} min"
    flat = None if small is None or large is None else large / small
    unknown = "this system does not tell" if flat is None else ""
    return [
        Row.of(_PART, f"{length}, start included", long_seconds / seconds, "× real time", at_least=100, note="one process"),
        Row.of(_PART, f"{length}, processor time", None if processor is None else long_seconds / processor, "× real time"),
        Row.of(_PART, f"twice {length} / 2 with --jobs {_JOBS}", long_seconds / two, "× real time", at_least=100),
        Row.of(_PART, "largest memory, 1 min", small, "MB", note=unknown),
        Row.of(_PART, f"largest memory, {length}", large, "MB", note=unknown),
        Row.of(_PART, "memory of the long file over the short one's", flat, "×", at_most=_FLAT, note=unknown),
    ]


def _write(path: Path, speech: FloatArray, seconds: int) -> Path:
    """The speech over and over, 16 bits, written piece by piece."""
    samples = np.rint(np.clip(speech, -1.0, 1.0) * 32767).astype("<i2")
    left = seconds * ENGINE_RATE
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(ENGINE_RATE)
            while left > 0:
                file.writeframes(samples[:left].tobytes())
                left -= len(samples)
    except OSError as error:
        raise RealtimeSerError(f"{path} cannot be written: {error.strerror}.", "The files of the bench need room.") from error
    return path
