"""One device or file that several people speak into, each on a channel of its own: a source for each of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from realtime_ser.audio.sources import LONGEST_WAIT, Source, SourceStatus
from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import Block, Event, Severity

__all__ = ["SharedDevice"]

_AHEAD = 10 * ENGINE_RATE
"""Samples that one person's reader may be ahead of another's. Then it waits: a file is held back, a microphone's own channel
fills up and counts what it drops."""

_TELLING = 2 * ENGINE_RATE
"""Samples of sound after which two channels that never differed are told to be one."""

_QUIET = 1e-3
"""Of full scale. What is quieter tells nothing: digital silence is the same everywhere."""


class SharedDevice:
    """Divides a source among people.

    The device is opened once, by whoever opens first, and closed with the last of its people. What happens to it (gaps, a loss)
    happens to all of them at the same samples, so their clocks are one and the same.

    Parameters
    ----------
    source
        Not yet open. Its blocks hold a further channel for each person after the first.
    channels
        The channel of each person, counted from 0.

    Notes
    -----
    NB: every lane is read by a thread of its own. Whichever has nothing to take reads the device for all, one at a time; what
    the lanes share is guarded by one condition.
    """

    def __init__(self, source: Source, channels: Sequence[int]) -> None:
        self.source = source
        self.condition = threading.Condition()
        self.failure: BaseException | None = None
        self.reading = False
        self._opened = False
        self._compared = 0
        self._told = False
        self.lanes = tuple(_Lane(self, channel) for channel in channels)
        """A source for each person."""

    def open(self) -> None:
        """Open the device, unless that was done for somebody else."""
        if not self._opened:
            self._opened = True
            self.source.open()

    def may_read(self) -> bool:
        """Whether somebody may read the device now; the condition is held."""
        return not self.reading and all(lane.closed or lane.waiting < _AHEAD for lane in self.lanes)

    def read(self, timeout: float) -> None:
        """Read the device once and give every lane its own; the caller has set `reading` and does not hold the condition."""
        block, failure = None, None
        try:
            block = self.source.read(timeout)
        except BaseException as error:  # noqa: BLE001 - raised in every lane, where its own queue ends
            failure = error
        events = self.source.drain_events()
        if block is not None:
            events += self._compare(block)
        with self.condition:
            self.reading = False
            self.failure = failure
            for number, lane in enumerate(self.lanes):
                lane.take(None if block is None else _part(block, number), events)
            self.condition.notify_all()

    def close(self) -> None:
        """Close the device once all of its people have been."""
        if all(lane.closed for lane in self.lanes):
            self.source.close()

    def _compare(self, block: Block) -> list[Event]:
        """Tell once where all channels carry one signal: a single microphone that the system offers as two."""
        if self._told or not block.others:
            return []
        loud = np.abs(block.samples) > _QUIET
        if any(not np.array_equal(block.samples, other) for other in block.others):
            self._told = True  # they differ, and nothing needs to be told any more
            return []
        self._compared += int(np.count_nonzero(loud))
        if self._compared < _TELLING:
            return []
        self._told = True
        return [
            Event(
                block.span.end,
                "same-channels",
                Severity.WARNING,
                "The channels carry exactly the same sound, so the same voice is scored for everybody. Use an interface with "
                "a microphone for each person, or choose other channels.",
            )
        ]


class _Lane:
    """One person's source; see :class:`~realtime_ser.audio.sources.Source`."""

    def __init__(self, device: SharedDevice, channel: int) -> None:
        self._device = device
        self._channel = channel
        self._ready: deque[Block] = deque()
        self._events: list[Event] = []
        self.waiting = 0
        """Samples that wait to be read."""
        self.closed = False

    @property
    def name(self) -> str:
        """The device's name, and which channel."""
        return f"{self._device.source.name}, channel {self._channel + 1}"

    @property
    def live(self) -> bool:
        """As the device."""
        return self._device.source.live

    @property
    def exhausted(self) -> bool:
        """True once no block will come any more."""
        device = self._device
        with device.condition:
            over = self.closed or (device.source.exhausted and not device.reading)
            return over and not self._ready and device.failure is None

    def open(self) -> None:
        """Open the device. Raises what it raises."""
        self._device.open()

    def read(self, timeout: float) -> Block | None:
        """The next block of this channel."""
        device = self._device
        deadline = time.perf_counter() + min(timeout, LONGEST_WAIT)
        while True:
            with device.condition:
                if self._ready:
                    block = self._ready.popleft()
                    self.waiting -= len(block.span)
                    device.condition.notify_all()
                    return block
                if device.failure is not None:
                    raise device.failure
                if device.source.exhausted and not device.reading:
                    return None
                if not device.may_read():
                    # What somebody else is about to read belongs to this lane, too, also when it was just closed.
                    patience = LONGEST_WAIT if self.closed and device.reading else deadline - time.perf_counter()
                    if patience <= 0 or not device.condition.wait(patience):
                        return None
                    continue
                device.reading = True
            device.read(max(0.0, deadline - time.perf_counter()))
            if not self._ready and device.failure is None and time.perf_counter() >= deadline:
                return None

    def take(self, block: Block | None, events: list[Event]) -> None:
        """What was read; the condition is held."""
        self._events += events
        # Who has ended without emptying its lane will not do so any more.
        if block is not None and not (self.closed and self.waiting >= _AHEAD):
            self._ready.append(block)
            self.waiting += len(block.span)

    def status(self) -> SourceStatus:
        """How the device is doing."""
        status = self._device.source.status()
        return replace(status, device=f"{status.device}, channel {self._channel + 1}")

    def drain_events(self) -> list[Event]:
        """What happened to the device since the last call."""
        with self._device.condition:
            events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Nothing more is wanted; what was captured can still be read. The device is closed with its last lane."""
        with self._device.condition:
            self.closed = True
            self._device.condition.notify_all()
        self._device.close()


def _part(block: Block, number: int) -> Block:
    samples = block.samples if number == 0 else block.others[number - 1]
    return Block(block.span, samples, block.gap_before, block.captured_at)
