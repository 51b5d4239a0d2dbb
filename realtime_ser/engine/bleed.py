"""Whose voice an utterance was: what one person says is also in the other's microphone, softer and a little later.

An utterance is judged by the energies of the learnt filters, which the encoder has computed anyway. Over stretches of half a
second two questions are asked. Was the other microphone clearly louder? And does what was heard here follow what was heard
there, filter by filter, as an echo of it would? Only where both hold is a stretch taken for bleed; who speaks softly into a
loud conversation answers the second question with no. ``python -m training bleed`` measures how often this is right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import FloatArray, Span, WindowScores

__all__ = ["BleedWatch", "bleed_share"]

_REMEMBERED = 9_000
"""Frames: an utterance is 20 s at most, and who is read first may be some seconds ahead of the other."""

_GROUPS = 22
"""Groups of neighbouring filters whose energies are added up: as many as tell voices apart, few enough to be steady."""

_STRETCH, _STEP = 50, 25
"""Frames that are judged together, and from one such stretch to the next: half a second, a quarter of a second."""

_LEAST_VOICED = 10
"""Frames of voice below which a stretch is not judged."""

_LAGS = range(-1, 6)
"""Frames that the voice may be later here than there. Sound travels 3.4 m in one; rooms smear it; two devices' clocks are a
millisecond or two apart."""

_LOUDER_DB = 4.0
"""By how much the other microphone must have been louder (median over the voiced frames)."""

_ALIKE = 0.7
"""Correlation over frames and groups, from which on one is taken for an echo of the other."""


def bleed_share(
    own: FloatArray, voiced: NDArray[np.bool_], other: FloatArray, known: NDArray[np.bool_] | None = None
) -> float | None:
    """Share of an utterance that was probably said by the other person, in [0, 1]; ``None``: too little to tell.

    Parameters
    ----------
    own, other
        Natural logarithm of the energies of groups of filters, shape ``(frames, groups)``, of the same frames in the microphone
        in which the utterance was found and in the other.
    voiced
        Where there was voice in the first, shape ``(frames,)``.
    known
        Which frames were heard in both; ``None``: all.
    """
    counted = voiced if known is None else voiced & known
    levels = _decibels(other) - _decibels(own)
    judged = bled = 0
    for first in range(0, len(own), _STEP):
        stretch = slice(first, first + _STRETCH)
        chosen = counted[stretch]
        if chosen.sum() < _LEAST_VOICED:
            continue
        judged += 1
        if float(np.median(levels[stretch][chosen])) < _LOUDER_DB:
            continue
        bled += _likeness(own[stretch], other[stretch], chosen) >= _ALIKE
    return bled / judged if judged else None


def _decibels(groups: FloatArray) -> NDArray[np.float64]:
    decibels: NDArray[np.float64] = 10.0 * np.log10(np.exp(groups.astype(np.float64)).sum(axis=1))
    return decibels


def _likeness(own: FloatArray, other: FloatArray, chosen: NDArray[np.bool_]) -> float:
    """The largest correlation at any lag; means of the groups do not count, since microphones and rooms colour them."""
    best = -1.0
    for lag in _LAGS:
        here, there = (own[lag:], other[: len(other) - lag]) if lag >= 0 else (own[:lag], other[-lag:])
        which = chosen[lag:] if lag >= 0 else chosen[:lag]
        if which.sum() < _LEAST_VOICED:
            continue
        x, y = here[which], there[which]
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        power = float((x * x).sum()) * float((y * y).sum())
        best = max(best, float((x * y).sum()) / power**0.5 if power > 0.0 else 0.0)
    return best


class BleedWatch:
    """Remembers the last minutes of everybody's energies, and judges utterances by them. May be used by any thread.

    Parameters
    ----------
    people
        How many.
    offset
        Samples to add to an index of a person's stream to get the common clock; ``None``: not yet known.
    """

    def __init__(self, people: int, offset: Callable[[int], int | None] = lambda person: 0) -> None:
        self._guard = threading.Lock()
        self._offset = offset
        self._memories = [_Memory() for _ in range(people)]

    def hear(self, person: int, windows: WindowScores) -> None:
        """Remember what came, on the clock of the person's own stream."""
        with self._guard:
            self._memories[person].add(windows)

    def end(self, person: int) -> None:
        """Nothing more comes from this person."""
        with self._guard:
            self._memories[person].over = True

    def ahead(self, person: int, sample: int) -> int:
        """Samples by which what is known of this person is beyond `sample` of their stream."""
        with self._guard:
            return self._memories[person].until - sample

    def ready(self, person: int, end: int) -> bool:
        """Whether all others were heard up to the sample `end` of the person's stream and a little beyond, or have ended."""
        with self._guard:
            return all(
                memory.over or (memory.hop and memory.until >= there + 2 * memory.hop)
                for memory, there in self._others(person, end)
            )

    def judge(self, person: int, span: Span) -> float | None:
        """Share of the utterance `span` of this person's stream that was probably another's voice; ``None``: unknown."""
        with self._guard:
            own = self._memories[person]
            if not own.hop:
                return None
            mine = own.columns(span.first, span.end)
            shares = []
            for memory, first in self._others(person, span.first):
                if not memory.hop:
                    continue
                theirs = memory.columns(first, first + span.end - span.first)[: len(mine)]
                count = len(theirs)
                energies, voiced, heard = own.at(mine[:count])
                others, _, heard_there = memory.at(theirs)
                known = heard & heard_there
                # A little of an utterance says nothing about the rest.
                if known.sum() * 2 >= count:
                    shares.append(bleed_share(energies, voiced, others, known))
            found = [share for share in shares if share is not None]
            return max(found) if found else None

    def _others(self, person: int, sample: int) -> list[tuple[_Memory, int]]:
        """Everybody else with where `sample` of the person's stream is in theirs, as far as the clocks are known."""
        here = self._offset(person)
        found = []
        for number, memory in enumerate(self._memories):
            there = self._offset(number)
            if number != person and here is not None and there is not None:
                found.append((memory, sample + here - there))
        return found


class _Memory:
    """Rings of the newest frames of one stream, by column: a hop of the stream's clock each."""

    def __init__(self) -> None:
        self.hop = 0
        self.until = 0
        self.over = False
        self._energies: FloatArray = np.zeros((_REMEMBERED, 0), np.float32)
        self._voiced = np.zeros(_REMEMBERED, np.bool_)
        # Which column is where in the rings; the flags of voice come a little behind the energies.
        self._column = np.full(_REMEMBERED, -1, np.int64)
        self._voice_column = np.full(_REMEMBERED, -1, np.int64)

    def add(self, windows: WindowScores) -> None:
        count, bands = windows.band_energies.shape
        if not count:
            return
        if not self.hop:
            self.hop = windows.hop
            self._energies = np.zeros((_REMEMBERED, min(_GROUPS, bands)), np.float32)
        groups = self._energies.shape[1]
        edges = np.arange(groups) * bands // groups
        sums = np.add.reduceat(np.exp(windows.band_energies.astype(np.float64)), edges, axis=1)
        kept = slice(max(0, count - _REMEMBERED), count)
        ends = windows.first_window + np.arange(count)[kept] * windows.hop + windows.window
        columns = (ends - 1) // self.hop
        self._energies[columns % _REMEMBERED] = np.log(sums[kept] + 1e-10)
        self._column[columns % _REMEMBERED] = columns
        middles = (ends - windows.window // 2) // self.hop
        self._voiced[middles % _REMEMBERED] = windows.voiced[kept]
        self._voice_column[middles % _REMEMBERED] = middles
        self.until = int(ends[-1])

    def columns(self, first: int, end: int) -> NDArray[np.int64]:
        return np.arange(first // self.hop, max(end // self.hop, first // self.hop + 1))

    def at(self, columns: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.bool_]]:
        """Energies, voice, and whether they are known."""
        places = columns % _REMEMBERED
        heard = self._column[places] == columns
        energies = np.where(heard[:, np.newaxis], self._energies[places], np.float32(-23.0))
        return energies, self._voiced[places] & (self._voice_column[places] == columns), heard
