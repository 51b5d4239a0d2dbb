"""Sound in a session: FLAC, in pieces of at most a second.

A FLAC file whose writer was killed has no length in its header, and libsndfile then reads nothing from it; so every piece is a
complete FLAC stream of its own, and lies in a database whose transactions outlive the process. Sixteen bits, as sound
cards give.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]

from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import SessionError
from realtime_ser.types import FloatArray

__all__ = ["PIECE", "bleep", "decode", "encode", "write_flac"]

PIECE = ENGINE_RATE
"""Samples of a piece at most."""

_BLEEP_HZ = 1000
_BLEEP_LEVEL = 0.1


def encode(samples: FloatArray) -> bytes:
    """`samples` (float32, [-1, 1], shape ``(n,)``; what lies beyond is clipped) as one FLAC stream of 16 bits."""
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(samples, -1.0, 1.0), ENGINE_RATE, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def decode(flac: bytes) -> FloatArray:
    """The samples of a piece, float32, shape ``(n,)``.

    Raises
    ------
    SessionError
        It is damaged.
    """
    try:
        samples, _ = soundfile.read(io.BytesIO(flac), dtype="float32")
    except (soundfile.SoundFileError, ValueError) as error:
        raise SessionError(f"A piece of the recorded sound is damaged: {error}.", "Use a copy of the session.") from error
    decoded: FloatArray = samples
    return decoded


def bleep(first: int, count: int) -> FloatArray:
    """A tone for the samples [first, first + count), continuous across pieces, float32, shape ``(count,)``."""
    phase = 2 * np.pi * _BLEEP_HZ * (np.arange(first, first + count) % ENGINE_RATE) / ENGINE_RATE
    tone: FloatArray = (_BLEEP_LEVEL * np.sin(phase)).astype(np.float32)
    return tone


def write_flac(path: Path, pieces: Iterable[FloatArray]) -> None:
    """Write `pieces` (float32, shape ``(n,)`` each) one behind the other into one FLAC file of 16 bits."""
    with soundfile.SoundFile(str(path), "w", ENGINE_RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for piece in pieces:
            file.write(np.clip(piece, -1.0, 1.0))
