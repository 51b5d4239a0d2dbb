"""How loud the signal is, and whether that points to a muted, faint or overdriven microphone."""

from __future__ import annotations

import math

import numpy as np

from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import Block, Event, FloatArray, Level, Severity, Span

__all__ = ["LevelMeter", "LevelMonitor", "LevelWatch"]

_LARGEST_OFFSET = 0.02
"""Of full scale. The default bundle's scores of the demonstration audio at half its level move by 0.03 at most with an offset
of 0.01, and by 0.13 with one of 0.05."""

_FULL_SCALE = 32767 / 32768
"""The largest value that a 16-bit converter can deliver: a sample that reaches it was most likely cut off."""


class LevelMeter:
    """Samples in, one :class:`~realtime_ser.types.Level` per 100 ms out.

    Stretches end at multiples of `every` on the absolute clock; the first one after a gap and the last one before it may be
    shorter. Peak and clipping are those of the samples as they are; the RMS is taken about the stretch's mean, so that a
    constant offset of a cheap converter does not look like sound. Results do not depend on the cut. Belongs to one thread.

    Parameters
    ----------
    sample_rate
        Hz; only the default `every` depends on it.
    every
        Samples per stretch; a tenth of a second by default.
    first_sample
        Absolute index of the first sample of the stream.
    """

    def __init__(self, sample_rate: int = ENGINE_RATE, every: int | None = None, first_sample: int = 0) -> None:
        if every is None:
            every, remainder = divmod(sample_rate, 10)
            if remainder:
                raise ValueError(f"a tenth of a second is not a whole number of samples at {sample_rate} Hz; give every")
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self._every = every
        self._stretch: FloatArray = np.zeros(every, dtype=np.float32)
        self._first = first_sample
        self._filled = 0

    @property
    def next_sample(self) -> int:
        """Absolute index of the sample that must come next."""
        return self._first + self._filled

    def process(self, samples: FloatArray, first_sample: int) -> list[Level]:
        """Levels of the stretches that became complete.

        Parameters
        ----------
        samples
            Mono, float32, shape ``(n,)``, finite.
        first_sample
            Absolute index of ``samples[0]``.

        Raises
        ------
        ValueError
            Where `samples` do not follow directly on the ones before: a gap needs :meth:`reset` first.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"samples must be float32 of shape (n,), got {samples.dtype} of shape {samples.shape}")
        if first_sample != self.next_sample:
            raise ValueError(f"samples must follow on sample {self.next_sample}, got {first_sample}; call reset() at a gap")
        levels: list[Level] = []
        taken = 0
        while taken < len(samples):
            grid_end = (self._first // self._every + 1) * self._every
            count = min(grid_end - self.next_sample, len(samples) - taken)
            self._stretch[self._filled : self._filled + count] = samples[taken : taken + count]
            self._filled += count
            taken += count
            if self.next_sample == grid_end:
                levels += self.finish()
        return levels

    def finish(self) -> list[Level]:
        """The level of the incomplete stretch, if it holds any sample."""
        if not self._filled:
            return []
        # The whole stretch at once and in double precision: partial sums would depend on the cut.
        samples = self._stretch[: self._filled].astype(np.float64)
        span = Span(self._first, self._first + self._filled)
        self._first, self._filled = span.end, 0
        offset = float(samples.mean())
        if samples.min() == samples.max():
            clipped = int(abs(samples[0]) >= _FULL_SCALE) * len(samples)
            return [Level(span, -math.inf, -math.inf, clipped, silent=True, offset=offset)]
        magnitude = np.abs(samples)
        clipped = int(np.count_nonzero(magnitude >= _FULL_SCALE))
        peak, rms = 20 * math.log10(magnitude.max()), 20 * math.log10(samples.std())
        return [Level(span, peak, rms, clipped, silent=False, offset=offset)]

    def reset(self, first_sample: int) -> list[Level]:
        """Go on at `first_sample` after a gap; returns the level of the stretch that the gap cut short, if any."""
        levels = self.finish()
        self._first = first_sample
        return levels


class LevelWatch:
    """Levels in, events out: a microphone that is muted, too faint, overdriven or off centre, said once and again when over.

    Kinds: ``"blocked-microphone"`` (exact silence for a second); ``"no-signal"`` (nothing above -80 dBFS for 10 s, where even
    a plain microphone in a silent room is louder); ``"clipping"`` (cut-off samples in half a second's worth of stretches that
    are not further apart than that); ``"dc-offset"`` (a constant offset of more than 2 % of full scale for 3 s). Each one has
    an ``"…-over"`` of severity INFO. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._episodes = (
            _Episode(
                "blocked-microphone",
                "The microphone delivers exact silence: it is muted, switched off or blocked. Unmute it, check its switch, "
                "and allow this program to use it in the system's privacy settings.",
                "The microphone delivers sound again.",
                begins_after=1.0,
                ends_after=0.0,
            ),
            _Episode(
                "no-signal",
                "The microphone is almost silent (below -80 dBFS): speech could not be heard. Raise its input volume, "
                "or choose another microphone.",
                "The microphone can be heard again.",
                begins_after=10.0,
                ends_after=0.0,
            ),
            _Episode(
                "clipping",
                "The signal is too loud and its peaks are cut off, which distorts every score. Lower the input volume, "
                "or move away from the microphone.",
                "The signal is no longer cut off.",
                begins_after=0.5,
                ends_after=3.0,
                forgives=0.5,
            ),
            _Episode(
                "dc-offset",
                "The signal has a constant offset, which distorts every score: the microphone's plug, its power supply or the "
                "sound card is at fault. Try another input or another microphone.",
                "The signal has no constant offset any more.",
                begins_after=3.0,
                ends_after=1.0,
            ),
        )

    def process(self, level: Level) -> list[Event]:
        """Events that fall with `level`; levels must come in order, gaps are allowed."""
        blocked, faint, clipping, offset = self._episodes
        events = blocked.step(level.span, level.silent)
        # Exact silence says nothing about how faint the signal is: that episode neither goes on nor ends with it.
        if not level.silent:
            events += faint.step(level.span, level.peak < -80.0)
            events += offset.step(level.span, abs(level.offset) > _LARGEST_OFFSET)
        # Three cut-off samples: a single one at full scale may just be a well-driven recording's peak.
        return events + clipping.step(level.span, level.clipped >= 3)


class LevelMonitor:
    """Blocks in, levels and the events that follow from them out; gaps are taken as they come. Belongs to one thread.

    Parameters
    ----------
    watch
        Whether to say what is wrong with the level. Sensible for a live microphone, which somebody can adjust; exact silence
        in a file is nobody's fault.
    meter
        Another meter than the default one.
    """

    def __init__(self, *, watch: bool = True, meter: LevelMeter | None = None) -> None:
        self._meter = LevelMeter() if meter is None else meter
        self._watch = LevelWatch() if watch else None
        self._begun = False

    def process(self, block: Block) -> list[Level | Event]:
        """Levels that became complete with `block`, each followed by the events that fell with it."""
        levels: list[Level] = []
        if block.gap_before or not self._begun:
            levels += self._meter.reset(block.span.first)
            self._begun = True
        levels += self._meter.process(block.samples, block.span.first)
        return self._watched(levels)

    def finish(self) -> list[Level | Event]:
        """What the end of the stream leaves: the last, shorter stretch."""
        return self._watched(self._meter.finish())

    def _watched(self, levels: list[Level]) -> list[Level | Event]:
        result: list[Level | Event] = []
        for level in levels:
            result.append(level)
            if self._watch is not None:
                result += self._watch.process(level)
        return result


class _Episode:
    """A condition that has to last before it is said, and to be absent for a while before it is over.

    `forgives` seconds without the condition do not reset the time for which it has lasted.
    """

    def __init__(
        self, kind: str, begin: str, over: str, *, begins_after: float, ends_after: float, forgives: float = 0.0
    ) -> None:
        self._kind = kind
        self._begin = begin
        self._over = over
        self._begins_after = round(begins_after * ENGINE_RATE)
        self._ends_after = round(ends_after * ENGINE_RATE)
        self._forgives = round(forgives * ENGINE_RATE)
        self._present = 0
        self._absent = 0
        self._said = False

    def step(self, span: Span, present: bool) -> list[Event]:
        if present:
            self._present += len(span)
            self._absent = 0
        else:
            self._absent += len(span)
            if self._absent > self._forgives:
                self._present = 0
        if not self._said and self._present >= self._begins_after:
            self._said = True
            return [Event(span.end, self._kind, Severity.WARNING, self._begin)]
        if self._said and not present and self._absent >= self._ends_after:
            self._said = False
            self._present = 0
            return [Event(span.end, f"{self._kind}-over", Severity.INFO, self._over)]
        return []
