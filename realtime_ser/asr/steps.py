"""Cutting an utterance into the same steps, whatever blocks it arrives in.

Both recognisers look for the end of a phrase, revise partial words or update their channel estimate once per call, so their
output would depend on how the input was cut. They are therefore always fed in steps on the absolute grid.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from realtime_ser.types import FloatArray

__all__ = ["StepCutter", "pcm16"]


class StepCutter:
    """Re-cuts consecutive samples at the multiples of `step` on the absolute clock.

    The first piece reaches from `first_sample` to the next multiple of `step`, so that a caller who feeds on the same grid gets
    every sample decoded at once. Used by one thread.

    Parameters
    ----------
    first_sample
        Absolute index of the first sample to come, at least 0.
    step
        Samples between two cuts, at least 1.
    """

    def __init__(self, first_sample: int, step: int) -> None:
        if first_sample < 0:
            raise ValueError(f"first_sample must not be negative, got {first_sample}")
        if step < 1:
            raise ValueError(f"step must be at least 1, got {step}")
        self._step = step
        self._position = first_sample
        self._waiting: list[FloatArray] = []
        self._waiting_samples = 0

    @property
    def position(self) -> int:
        """Absolute index up to which pieces have been handed out."""
        return self._position

    def feed(self, samples: FloatArray) -> Iterator[FloatArray]:
        """Yield the pieces that `samples`, float32 ``(n,)``, complete; :attr:`position` is the end of the piece yielded last.

        The pieces must be consumed before the next call.
        """
        if samples.ndim != 1:
            raise ValueError(f"samples must have one dimension, got shape {samples.shape}")
        taken = 0
        while taken < len(samples):
            missing = self._step - self._position % self._step - self._waiting_samples
            part = samples[taken : taken + missing]
            taken += len(part)
            self._waiting.append(part)
            self._waiting_samples += len(part)
            if len(part) == missing:
                yield self._take()

    def flush(self) -> FloatArray:
        """Hand out what waits for its step to be complete, shape ``(n,)``, 0 ≤ n < step."""
        return self._take()

    def _take(self) -> FloatArray:
        piece = np.concatenate(self._waiting) if self._waiting else np.empty(0, np.float32)
        self._position += self._waiting_samples
        self._waiting.clear()
        self._waiting_samples = 0
        return piece


def pcm16(samples: FloatArray) -> bytes:
    """Samples in [-1, 1) as 16-bit little-endian PCM; louder ones are clipped. Exact for samples that came from 16-bit PCM."""
    return np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype("<i2").tobytes()
