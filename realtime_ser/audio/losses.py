"""What a device loses: found from the count of its frames and the computer's clock, whether or not the device says so."""

from __future__ import annotations

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
        # What is held, and by how many seconds each is late were nothing missing before the first of it.
        self._held: list[Captured] = []
        self._late: list[float] = []
        self._held_frames = 0

    def push(self, block: Captured) -> list[tuple[Captured, int | None]]:
        """The blocks that are clear now, each with the frames missing before it, or ``None`` where it follows directly."""
        if not self._frames:  # the stream begins with its first block, whatever was lost before
            return [self._out(block, None)]
        self._hold(block)
        if self._late[-1] <= _LATE and not any(held.overrun for held in self._held):
            return self._release(len(self._held), {})
        return self._decide() if self._settled() else []

    def flush(self) -> list[tuple[Captured, int | None]]:
        """What is held, decided on what is known: nothing follows it. What is not clear yet is not taken for a loss."""
        clear: list[tuple[Captured, int | None]] = []
        while self._held:
            clear += self._decide()
        return clear

    def _hold(self, block: Captured) -> None:
        self._held.append(block)
        self._held_frames += block.lost + len(block.frames)
        self._late.append(self._clock.lateness(self._frames + self._held_frames, block.at))

    def _settled(self) -> bool:
        """Whether the last blocks, for long enough, have come as fast as they were captured: then none waits behind them."""
        told = [number for number, block in enumerate(self._held) if block.overrun]
        since = told[-1] if told else 0
        enough = _SETTLED_WHERE_TOLD if told else _SETTLED
        last = following = self._held[-1]
        signal = 0.0
        for block in reversed(self._held[since:-1]):
            length = (following.lost + len(following.frames)) / self._rate
            if following.at - block.at > length + _LATE:
                return False  # nobody ran in between, and the rest may wait
            signal += length
            if signal >= enough:
                return last.at - block.at >= 0.8 * enough
            following = block
        return False

    def _decide(self) -> list[tuple[Captured, int | None]]:
        """Hand out what is held, but for what stands behind another loss: that is later still, to the last."""
        settled = self._settled()
        starts = [0, *(number for number, block in enumerate(self._held) if number and block.overrun)]
        ends = [*starts[1:], len(self._held)]
        count, least = ends[-1], min(self._late[starts[-1] :])
        while self._late[count - 1] > least + _LATE:
            count -= 1
        # No block comes before it was captured: what was missing by then is the least by which any that follows is late.
        missing: dict[int, float] = {}
        for start, end in zip(reversed(starts), reversed(ends), strict=True):
            least = min(least, *self._late[start:end])
            missing[start] = max(0.0, least)
        gaps: dict[int, int] = {}
        before = 0
        for start in starts:
            told = self._held[start].overrun
            if told or (settled and missing[start] > _LATE):
                until = round(missing[start] * self._rate)
                gaps[start], before = until - before, until
        rest = self._held[count:]
        clear = self._release(count, gaps)
        for block in rest:
            self._hold(block)
        return clear

    def _release(self, count: int, gaps: dict[int, int]) -> list[tuple[Captured, int | None]]:
        """Hand out the first `count` blocks, with gaps of so many frames before these numbers, and forget the others."""
        held = self._held[:count]
        self._held, self._late, self._held_frames = [], [], 0
        clear = []
        for number, block in enumerate(held):
            lost = block.lost + gaps.get(number, 0)
            clear.append(self._out(block, lost if lost or number in gaps else None))
        return clear

    def _out(self, block: Captured, lost: int | None) -> tuple[Captured, int | None]:
        self._frames += (lost or 0) + len(block.frames)
        self._clock.observe(self._frames, block.at)
        return block, lost
