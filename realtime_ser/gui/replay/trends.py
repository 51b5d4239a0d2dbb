"""What is left of hours at the width of a screen: lines as means over columns, blocks as shares of time. No Qt.

Everything is worked out once, when a session is read, so that a picture costs the same at any zoom.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shares", "Trend"]

_FACTOR = 4
"""Stretches of a level that make one of the next."""

_POINTS_A_COLUMN = 2.0
"""Up to so many points a column every single one is drawn."""


class Trend:
    """Values over time, to be drawn at any zoom.

    Parameters
    ----------
    times
        Seconds, ascending, shape ``(n,)``.
    values
        Shape ``(n, lines)``; a row of NaN is a break, whose time does not matter.
    step
        Seconds between two points, as a rule.
    """

    def __init__(self, times: NDArray[np.float64], values: NDArray[np.float32], step: float) -> None:
        if len(times) != len(values):
            raise ValueError(f"times and values must go together, got {len(times)} and {len(values)}")
        self.times = times
        self.values = np.asarray(values, np.float32)
        known = ~np.isnan(self.values).any(axis=1)
        self._step = step
        # Of every level: which stretches of its length hold points, their sums, and how many points those are.
        stretches = np.floor(times[known] / step).astype(np.int64)
        self._levels = [_grouped(stretches, self.values[known], np.ones(len(stretches), np.int64))]
        while len(self._levels[-1][0]) > 1_000:
            stretches, sums, counts = self._levels[-1]
            self._levels.append(_grouped(stretches // _FACTOR, sums, counts))

    def line(self, first: float, end: float, column: float) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Points of all lines between two times, for columns that are `column` seconds wide.

        Returns
        -------
        Times, shape ``(m,)``, and values, shape ``(m, lines)``, NaN at breaks: the points themselves where there is room for
        them, else the mean of every column, drawn from its beginning to its end. Columns lie at multiples of their width, so
        that means do not change while the view moves.
        """
        low, high = np.searchsorted(self.times, [first, end])
        low, high = max(int(low) - 1, 0), min(int(high) + 1, len(self.times))
        if high - low <= _POINTS_A_COLUMN * (end - first) / column:
            return self.times[low:high], self.values[low:high]
        level, length = 0, self._step
        while level + 1 < len(self._levels) and length * _FACTOR * 2 <= column:
            level, length = level + 1, length * _FACTOR
        stretches, sums, counts = self._levels[level]
        low, high = np.searchsorted(stretches, [first / length - 1.0, end / length + 1.0])
        columns = np.floor((stretches[low:high] + 0.5) * (length / column)).astype(np.int64)
        columns, sums, counts = _grouped(columns, sums[low:high], counts[low:high])
        if not len(columns):
            return np.empty(0), np.empty((0, self.values.shape[1]), np.float32)
        means = (sums / counts[:, None]).astype(np.float32)
        times = np.column_stack([columns * column, (columns + 1) * column]).ravel()
        values = np.repeat(means, 2, axis=0)
        apart = 2 * (np.flatnonzero(np.diff(columns) > 1) + 1)
        return np.insert(times, apart, times[apart]), np.insert(values, apart, np.nan, axis=0)


def _grouped(
    keys: NDArray[np.int64], sums: NDArray[np.float32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Rows of equal, ascending keys added up."""
    if not len(keys):
        return keys, sums, counts
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    return keys[starts], np.add.reduceat(sums, starts, axis=0), np.add.reduceat(counts, starts)


class Shares:
    """Which share of the time blocks of several kinds cover.

    Parameters
    ----------
    starts, ends
        Seconds, shape ``(n,)``; the blocks follow each other.
    kinds
        From 0 to ``count - 1``.
    """

    def __init__(self, starts: Sequence[float], ends: Sequence[float], kinds: Sequence[int], count: int) -> None:
        which = np.asarray(kinds, np.int64)
        edges = np.column_stack([np.asarray(starts, float), np.asarray(ends, float)]).reshape(-1, 2)
        self._known: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        for kind in range(count):
            mine = edges[which == kind]
            lengths = mine[:, 1] - mine[:, 0]
            before = np.cumsum(lengths) - lengths
            # Covered time up to every edge, straight in between.
            self._known.append((mine.ravel(), np.column_stack([before, before + lengths]).ravel()))

    def columns(self, first: float, end: float, count: int) -> NDArray[np.float64]:
        """Shares in [0, 1] of `count` equal stretches between two times, shape ``(kinds, count)``."""
        edges = np.linspace(first, end, count + 1)
        width = (end - first) / count
        covered = [np.diff(np.interp(edges, at, sums)) if len(at) else np.zeros(count) for at, sums in self._known]
        return np.clip(np.asarray(covered).reshape(len(self._known), count) / width, 0.0, 1.0)
