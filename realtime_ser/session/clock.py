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
    """Samples against the computer's clock: straight on at the nominal rate beyond the first and the last anchor."""

    def __init__(self, anchors: Sequence[dict[str, Any]], rate: int) -> None:
        self._rate = rate
        # Without any (it ended before a first block) the stream has nothing to be placed either.
        samples = np.array([anchor["sample"] for anchor in anchors] or [0], np.float64)
        times = np.array([anchor["perf_counter"] for anchor in anchors] or [0.0])
        late = times - samples / rate
        # Steady drift is taken out first: a median would lag behind it at the ends, where neighbours are on one side only.
        trend = np.zeros(len(late))
        if len(late) > 2 * _AROUND:
            slope, offset = np.polyfit(samples - samples[0], late, 1)
            trend = slope * (samples - samples[0]) + offset
        padded = np.pad(late - trend, _AROUND, constant_values=np.nan)
        self._late = trend + np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)
        self._samples = samples
        self._times = samples / rate + self._late

    def times_of(self, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        times: NDArray[np.float64] = samples / self._rate + np.interp(samples, self._samples, self._late)
        return times

    def samples_at(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        found = (times - np.interp(times, self._times, self._late)) * self._rate
        samples: NDArray[np.int64] = np.rint(found).astype(np.int64)
        return samples
