"""What a device loses: found from the count of its frames and the computer's clock, whether or not the device says so."""

from __future__ import annotations

import math

from realtime_ser.audio.capture import Captured
from realtime_ser.audio.clock import CaptureClock

__all__ = ["LossWatch"]

_LATE = 0.1
"""Seconds behind the promptest arrivals from which it is doubted that nothing is missing. Sound servers change their buffers by
less than that, and what is that late because the computer was busy is made up for at once."""

_SETTLED = 0.5
"""Seconds of signal, come in no less time, of which none makes up for the delay: then as much is missing."""

_SETTLED_WHERE_TOLD = 0.2
"""The same where the device itself says that something is missing, and only its length has to be found."""


class LossWatch:
    """Blocks as they were captured in, blocks with what is missing before them out.

    A device says at best *that* it lost something, never how much; a sound server that moves a stream to another device, and
    some drivers, say nothing at all. But blocks that are late because somebody was busy are followed at once by those that wait
    behind them, and the last of these is prompt again, while behind a loss all blocks stay late by its length. So a block that
    is late, or that the device flags, is held back with those that follow until it is clear which of the two happened.

    Where exactly in what was held a loss lies cannot be known; it is placed before the first of it. Belongs to one thread.

    Parameters
    ----------
    clock
        Ties frames to arrivals; blocks are observed as they are handed out.
    rate
        The device's, in Hz.
    """

    def __init__(self, clock: CaptureClock, rate: int) -> None:
        self._clock = clock
        self._rate = rate
        self._frames = 0
        self._held: list[Captured] = []
        self._held_frames = 0
        self._least = math.inf
        self._told = False

    def push(self, block: Captured) -> list[tuple[Captured, int | None]]:
        """The blocks that are clear now, each with the frames missing before it, or ``None`` where it follows directly."""
        if not self._frames:  # the stream begins with its first block, whatever was lost before
            return [self._out(block, None)]
        # One loss at a time: behind the second, blocks are later than the first made them.
        clear = self.flush() if block.overrun else []
        end = self._frames + self._held_frames + block.lost + len(block.frames)
        late = self._clock.lateness(end, block.at)
        if not self._held and late <= _LATE and not block.overrun:
            return [*clear, self._out(block, block.lost or None)]
        self._held.append(block)
        self._held_frames += block.lost + len(block.frames)
        self._least = min(self._least, late)
        self._told |= block.overrun
        if self._made_up_for() or self._settled():
            clear += self.flush()
        return clear

    def flush(self) -> list[tuple[Captured, int | None]]:
        """What is held, decided on what is known: nothing follows it."""
        if not self._held:
            return []
        told, held = self._told, self._held
        missing = max(0, round(self._least * self._rate)) if told or self._least > _LATE else 0
        self._held, self._held_frames, self._least, self._told = [], 0, math.inf, False
        clear: list[tuple[Captured, int | None]] = []
        for number, block in enumerate(held):
            lost = block.lost + (missing if number == 0 else 0)
            clear.append(self._out(block, lost if lost or (told and number == 0) else None))
        return clear

    def _made_up_for(self) -> bool:
        return not self._told and self._least <= _LATE

    def _settled(self) -> bool:
        enough = _SETTLED_WHERE_TOLD if self._told else _SETTLED
        first = self._held[0]
        signal = self._held_frames - first.lost - len(first.frames)
        return signal >= enough * self._rate and self._held[-1].at - first.at >= 0.8 * enough

    def _out(self, block: Captured, lost: int | None) -> tuple[Captured, int | None]:
        self._frames += (lost or 0) + len(block.frames)
        self._clock.observe(self._frames, block.at)
        return block, lost
