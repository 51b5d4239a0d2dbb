"""Two streams of two devices on one clock: which sample of one belongs to which of the other, told by their anchors.

Either device has a clock of its own, which the recording tied to the computer's twice a second. Nothing is resampled: sound and
scores stay on the clock they were made on, and only their times are told on the first stream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnchoredClock"]

_AROUND = 60
"""Anchors on either side (half a minute) whose median lateness counts: single ones tremble by a millisecond or two, while a
device's drift takes minutes to change."""


class AnchoredClock:
    """Between the samples of a stream and those of the first one.

    Parameters
    ----------
    own, first
        Anchors of both streams, as :meth:`~realtime_ser.session.reader.Session.anchors` gives them, ascending.
    rate
        Nominal rate of both in Hz.
    """

    def __init__(self, own: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]], rate: int) -> None:
        self._own = _Line(own, rate)
        self._first = _Line(first, rate)

    def to_first(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples of the first stream that were captured when `samples` were, rounded; the same shape."""
        return self._first.samples_at(self._own.times_of(samples))

    def to_own(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The inverse of :meth:`to_first`, to a sample."""
        return self._own.samples_at(self._first.times_of(samples))


class _Line:
    """Samples against the computer's clock; straight on beyond the first and the last anchor."""

    def __init__(self, anchors: Sequence[dict[str, Any]], rate: int) -> None:
        # Without any (it ended before a first block) the stream has nothing to be placed either.
        samples = np.array([anchor["sample"] for anchor in anchors] or [0], np.float64)
        times = np.array([anchor["perf_counter"] for anchor in anchors] or [0.0])
        self._period = 1.0 / rate
        half = len(samples) // 2
        if half:
            # Pairs half the recording apart; the median does not mind the first seconds, in which a capture clock settles.
            spans = samples[half:] - samples[: len(samples) - half]
            self._period = float(np.median((times[half:] - times[: len(times) - half]) / spans))
        # What steady drift leaves over: where it is taken out first, a median is right at the ends, too, which have neighbours
        # on one side only.
        rest = np.pad(times - samples * self._period, _AROUND, constant_values=np.nan)
        self._rest = np.nanmedian(np.lib.stride_tricks.sliding_window_view(rest, 2 * _AROUND + 1), axis=1)
        self._samples = samples
        self._times = samples * self._period + self._rest

    def times_of(self, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        times: NDArray[np.float64] = samples * self._period + np.interp(samples, self._samples, self._rest)
        return times

    def samples_at(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        samples: NDArray[np.int64] = np.rint((times - np.interp(times, self._times, self._rest)) / self._period).astype(
            np.int64
        )
        return samples
