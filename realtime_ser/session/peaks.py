"""The outline of a session's sound: least and greatest samples of ever longer stretches, read once, for drawing at any zoom."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import FloatArray

__all__ = ["Peaks"]

_BIN = 16
"""Samples of a bin at least: a millisecond, finer than any screen at the closest zoom."""

_MOST_BINS = 2**23
"""Bins of the finest level at most, so that a day of sound takes no more memory (45 MB) than three hours do."""

_FACTOR = 4
"""Bins of a level that make one of the next."""

_FULL = 32_767
_EMPTY = (32_767, -32_768)
"""Least and greatest of nothing."""


class Peaks:
    """Least and greatest samples of a recording of `samples` samples.

    NB: one thread adds, others may look meanwhile: they see what is there.
    """

    def __init__(self, samples: int) -> None:
        self.bin = _BIN
        while samples > self.bin * _MOST_BINS:
            self.bin *= 2
        self._levels: list[tuple[NDArray[np.int16], NDArray[np.int16]]] = []
        count = max(1, -(-samples // self.bin))
        while True:
            self._levels.append((np.full(count, _EMPTY[0], np.int16), np.full(count, _EMPTY[1], np.int16)))
            if count == 1:
                break
            count = -(-count // _FACTOR)
        self.read = 0
        """Sample up to which everything was added."""

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(least.nbytes + greatest.nbytes for least, greatest in self._levels)

    def add(self, pieces: Iterable[tuple[int, FloatArray]]) -> None:
        """Take in `pieces`: the first sample of each, and its samples in [-1, 1], float32, shape ``(n,)``."""
        for first, samples in pieces:
            self._add(first, samples)
            self.read = first + len(samples)

    def _add(self, first: int, samples: FloatArray) -> None:
        if not len(samples):
            return
        whole = np.clip(np.rint(samples * _FULL), -_FULL, _FULL).astype(np.int16)
        start, end = first // self.bin, (first + len(samples) - 1) // self.bin + 1
        # Bins begin at multiples of their length, pieces anywhere.
        edges = np.maximum(np.arange(start, end) * self.bin - first, 0)
        least, greatest = self._levels[0]
        end = min(end, len(least))
        edges = edges[: end - start]
        np.minimum(least[start:end], np.minimum.reduceat(whole, edges), out=least[start:end])
        np.maximum(greatest[start:end], np.maximum.reduceat(whole, edges), out=greatest[start:end])
        for (least, greatest), (above_least, above_greatest) in zip(self._levels, self._levels[1:], strict=False):
            start, end = start // _FACTOR, (end - 1) // _FACTOR + 1
            below = slice(start * _FACTOR, min(end * _FACTOR, len(least)))
            edges = np.arange(0, below.stop - below.start, _FACTOR)
            above_least[start:end] = np.minimum.reduceat(least[below], edges)
            above_greatest[start:end] = np.maximum.reduceat(greatest[below], edges)

    def columns(self, first: float, end: float, count: int) -> tuple[FloatArray, FloatArray]:
        """Least and greatest sample of `count` equal stretches of the samples [first, end), each of shape ``(count,)``.

        NaN where there is no sound. Stretches shorter than a bin share its values.
        """
        edges = np.linspace(first, end, count + 1)
        width = (end - first) / count / self.bin
        level = 0
        while level + 1 < len(self._levels) and width >= 2 * _FACTOR ** (level + 1):
            level += 1
        least, greatest = self._levels[level]
        size = self.bin * _FACTOR**level
        starts = np.floor(edges[:-1] / size).astype(np.int64)
        stops = np.maximum(np.ceil(edges[1:] / size).astype(np.int64), starts + 1)
        lows, highs = np.full(count, _EMPTY[0], np.int16), np.full(count, _EMPTY[1], np.int16)
        inside = (stops > 0) & (starts < len(least))
        if inside.any():
            starts, stops = np.clip(starts[inside], 0, len(least) - 1), np.clip(stops[inside], 1, len(least))
            # Neighbours may share a bin, so that pairs of start and stop are reduced, and what lies between is left out.
            pairs = np.column_stack([starts, stops]).ravel()
            padded = np.append(least[: stops[-1] + 1], _EMPTY[0]), np.append(greatest[: stops[-1] + 1], _EMPTY[1])
            lows[inside] = np.minimum.reduceat(padded[0], pairs)[::2]
            highs[inside] = np.maximum.reduceat(padded[1], pairs)[::2]
        empty = lows > highs
        low, high = lows.astype(np.float32) / np.float32(_FULL), highs.astype(np.float32) / np.float32(_FULL)
        low[empty] = high[empty] = np.nan
        return low, high

    @property
    def loudest(self) -> float:
        """Greatest absolute sample so far, in [0, 1]."""
        least, greatest = self._levels[-1]
        return max(0.0, -int(least[0]), int(greatest[0])) / _FULL if least[0] <= greatest[0] else 0.0
