"""From a device's frames to mono samples at the engine's rate, with exact time."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import FloatArray

__all__ = ["HIGHEST_RATE", "LOWEST_RATE", "StreamResampler", "to_mono"]

LOWEST_RATE = 1_000
HIGHEST_RATE = 1_000_000
"""Hz. Rates beyond these are the mark of a damaged header, and would cost the resampler gigabytes."""


def to_mono(frames: FloatArray, channel: int | None = None) -> FloatArray:
    """One channel of `frames`, or the mean of all.

    Parameters
    ----------
    frames
        float32, shape ``(n, channels)``, ``channels >= 1``.
    channel
        Index of the channel to take, or ``None`` for the mean.

    Returns
    -------
    FloatArray
        Shape ``(n,)``, contiguous; every value depends on its own frame only.
    """
    if channel is not None:
        return np.ascontiguousarray(frames[:, channel])
    mono: FloatArray = frames[:, 0].copy()
    # Column by column, not `mean(axis=1)`: NumPy may choose its order of summation by the array's shape.
    for index in range(1, frames.shape[1]):
        mono += frames[:, index]
    if frames.shape[1] > 1:
        mono /= np.float32(frames.shape[1])
    return mono


class StreamResampler:
    """Change the rate of an endless mono signal: output k stands at the time of input ``k * from_rate / to_rate``.

    soxr's high-quality filter has linear phase and its stream leaves out its own delay, so no shift has to be corrected
    (an impulse is found within a microsecond); it only *comes out* later, by :attr:`behind`. The output does not depend on how
    the input is cut, to the last bit. At equal rates samples pass unchanged. Belongs to one thread.

    Parameters
    ----------
    from_rate, to_rate
        Hz, whole numbers.
    """

    def __init__(self, from_rate: int, to_rate: int = ENGINE_RATE) -> None:
        for name, rate in (("from_rate", from_rate), ("to_rate", to_rate)):
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise ValueError(f"{name} must be from {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {rate}")
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream: Any = None
        if from_rate != to_rate:
            import soxr  # type: ignore[import-untyped]

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
        self._taken = 0
        self._given = 0

    @property
    def behind(self) -> float:
        """Seconds of input that were taken and have not come out yet."""
        return max(0.0, self._taken / self.from_rate - self._given / self.to_rate)

    def process(self, samples: FloatArray) -> FloatArray:
        """Take `samples` (float32, shape ``(n,)``, finite) and return what came out, shape ``(m,)``, m possibly 0."""
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"samples must be float32 of shape (n,), got {samples.dtype} of shape {samples.shape}")
        self._taken += len(samples)
        if self._stream is None:
            self._given += len(samples)
            return samples
        if not len(samples):
            return samples
        out: FloatArray = self._stream.resample_chunk(np.ascontiguousarray(samples))
        self._given += len(out)
        return out

    def flush(self) -> FloatArray:
        """Return the samples still under way, as if silence followed, and start anew."""
        out: FloatArray = np.empty(0, dtype=np.float32)
        if self._stream is not None:
            if self._taken:
                out = self._stream.resample_chunk(out, last=True)
            self._stream.clear()
        self._taken = self._given = 0
        return out
