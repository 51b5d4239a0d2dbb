"""When a sample was captured: the device's sample counter, tied to the computer's clock."""

from __future__ import annotations

import math
import sys
import time
from collections import deque

import numpy as np

__all__ = ["CaptureClock", "seconds_asleep"]

_STRETCH = 1.0
"""Seconds of signal of which the promptest arrival is kept."""
_MEMORY = 600
"""Stretches remembered: drift follows temperature, over minutes."""
_ENOUGH = 30
"""Stretches before a drift is told: arrivals scatter by milliseconds, which 30 s make some ten parts per million."""
_ANCHOR = 30
"""Latest stretches from which the offset is taken."""


def seconds_asleep() -> float:
    """How long this computer has been suspended, as far as ``perf_counter()`` leaves that out; only differences mean anything.

    On Linux and macOS ``perf_counter()`` stands still while the computer sleeps; on Windows it goes on, and this is 0.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(time.CLOCK_UPTIME_RAW)
    return 0.0


class CaptureClock:
    """Tie the count of captured frames to ``time.perf_counter()``, and estimate how fast the device's clock runs.

    A block can arrive late but never early, so of every second of signal only the promptest arrival counts. Through these a
    line is laid whose slope is a median of slopes: single disturbances do not move it. The devices' own time stamps are not
    used; many are invented. Belongs to one thread.

    Parameters
    ----------
    rate
        The device's nominal rate in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        # (seconds by the device's counter, lateness of the promptest arrival) of every finished stretch, and the one at hand.
        self._stretches: deque[tuple[float, float]] = deque(maxlen=_MEMORY)
        self._current: tuple[float, float] | None = None
        self._slope = 0.0
        self._offset = math.nan

    @property
    def drift_ppm(self) -> float:
        """Parts per million by which the device's clock runs faster than the computer's; ``nan`` until it can be told."""
        return -self._slope * 1e6 if len(self._stretches) >= _ENOUGH else math.nan

    def observe(self, frames: int, at: float) -> None:
        """A block arrived at `at` (seconds) whose last frame is number `frames` since the start, lost ones included."""
        seconds = frames / self._rate
        point = (seconds, at - seconds)
        if self._current is None:
            self._current = point
        elif seconds // _STRETCH != self._current[0] // _STRETCH:
            self._stretches.append(self._current)
            self._current = point
            self._fit()
        elif self._late(point) < self._late(self._current):
            self._current = point
        self._offset = self._late(self._current) if math.isnan(self._offset) else min(self._offset, self._late(self._current))

    def lateness(self, frames: int, at: float) -> float:
        """Seconds by which a block that ends with frame number `frames` and came at `at` is behind the promptest of late."""
        seconds = frames / self._rate
        return self._late((seconds, at - seconds)) - self._offset

    def time_of(self, seconds: float) -> float:
        """``perf_counter()`` time at which the device's counter stood at `seconds`; ``nan`` before the first block."""
        return seconds + self._offset + self._slope * seconds

    def frames_at(self, at: float) -> float:
        """Where the device's counter stood at `at`: the inverse of :meth:`time_of`, in frames."""
        return (at - self._offset) / (1.0 + self._slope) * self._rate

    def _late(self, point: tuple[float, float]) -> float:
        return point[1] - self._slope * point[0]

    def _fit(self) -> None:
        if len(self._stretches) >= _ENOUGH:
            points = np.asarray(self._stretches)
            half = len(points) // 2
            # Pairs half the memory apart: a Theil-Sen slope at a price that grows with the points, not with their square.
            steps = points[half:] - points[: len(points) - half]
            self._slope = float(np.median(steps[:, 1] / steps[:, 0]))
        latest = list(self._stretches)[-_ANCHOR:]
        self._offset = min(self._late(point) for point in latest)
