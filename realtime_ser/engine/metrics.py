"""Counting what the user must know about the machine's health."""

from __future__ import annotations

import math
import time
from collections import deque

import numpy as np

__all__ = ["LatencyMeter", "LoadMeter"]


class LatencyMeter:
    """Percentiles over the last thousand latencies. Used by one thread."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=1_000)

    def add(self, seconds: float) -> None:
        """Note a latency."""
        self._seconds.append(seconds)

    def percentiles(self) -> tuple[float, float]:
        """Median and 95th percentile in seconds; ``nan`` before the first latency."""
        if not self._seconds:
            return math.nan, math.nan
        p50, p95 = np.percentile(np.fromiter(self._seconds, float), [50, 95])
        return float(p50), float(p95)


class LoadMeter:
    """Compute time over audio time of one thread's work, smoothed over about ten seconds of audio."""

    def __init__(self) -> None:
        self._busy = 0.0
        self._audio = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Work begins. Thread time is counted, so that waiting for other threads does not look like work."""
        self._started = time.thread_time()

    def stop(self, audio_seconds: float) -> None:
        """Work on so much audio is done."""
        fade = math.exp(-audio_seconds / 10.0)
        self._busy = self._busy * fade + time.thread_time() - self._started
        self._audio = self._audio * fade + audio_seconds

    @property
    def real_time_factor(self) -> float:
        """Seconds of processor per second of audio; ``nan`` at first."""
        return self._busy / self._audio if self._audio else math.nan
