"""Impulses played at known times through PulseAudio and PortAudio are found at these times on the stream's clock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.types import Block

RATE = 48_000
BLOCK = 240
IMPULSE_EVERY = 60
"""Blocks: 0.3 s."""


class Player:
    """Writes silence and impulses into a microphone that delivers at once what is written, in step with the clock.

    In place of silence it may be a ramp, on which every sample tells when it was played: `slope` per sample at 16 kHz.
    """

    def __init__(self, fifo: Path, rate: int = RATE, slope: float = 0.0) -> None:
        self._fifo = fifo
        self._rate = rate
        self._slope = slope * 16_000 / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player")
        self.played: list[float] = []
        """``perf_counter()`` times of the impulses."""
        self._changed = threading.Condition()

    def __enter__(self) -> Player:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, impulses: int) -> None:
        """Return once so many have been played."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.played) >= impulses, 30)

    def _run(self) -> None:
        # Opening a pipe waits for its reader; PulseAudio has it open already.
        pipe = os.open(self._fifo, os.O_WRONLY)
        began = time.perf_counter()
        number = 0
        length = BLOCK * self._rate // RATE
        while not self._stop.is_set():
            block = (np.arange(number * length, (number + 1) * length) * self._slope).astype(np.float32)
            number += 1
            due = began + number * length / self._rate
            if number % IMPULSE_EVERY == 0:
                if not self._slope:
                    block[-1] = 0.9  # the last sample is the one that is as old as the moment at which the block is written
                with self._changed:
                    self.played.append(due)
                    self._changed.notify_all()
            self._stop.wait(max(0.0, due - time.perf_counter()))
            os.write(pipe, block.tobytes())
        os.close(pipe)


class HeldUp:
    """The computer's clock; PortAudio's thread, which asks it for every block, can be held up when it does."""

    def __init__(self) -> None:
        self.hold: Callable[[], None] | None = None
        self._reader = threading.get_ident()

    def __call__(self) -> float:
        if self.hold is not None and threading.get_ident() != self._reader:
            hold, self.hold = self.hold, None
            hold()
        return time.perf_counter()


def hear(source: MicrophoneSource, seconds: float) -> list[Block]:
    blocks: list[Block] = []
    deadline = time.monotonic() + 40
    while sum(len(block.span) for block in blocks) < seconds * 16_000:
        assert time.monotonic() < deadline
        block = source.read(0.2)
        blocks += [] if block is None else [block]
    return blocks


def impulses(blocks: list[Block]) -> list[int]:
    """Sample indices of the impulses, without those at the edges."""
    first = blocks[0].span.first
    samples = np.concatenate([block.samples for block in blocks])
    loud = [index for index in range(100, len(samples) - 100) if samples[index] > 0.1]
    return [first + index for index in loud if samples[index] == samples[index - 100 : index + 100].max()]


def time_of(sample: int, blocks: list[Block]) -> float:
    """When `sample` was captured, by the stamp of the last block."""
    assert blocks[-1].captured_at is not None
    return blocks[-1].captured_at - (blocks[-1].span.end - sample) / 16_000


def test_a_capture_thread_that_did_not_run_for_a_second_costs_nothing_and_time_stays_right(
    virtual_microphone: Any, tmp_path: Path
) -> None:
    """What the sound server kept meanwhile comes at once; every impulse is there, in its place."""
    fifo, clock = tmp_path / "pipe", HeldUp()
    source = MicrophoneSource(latency=0.2, now=clock)
    try:
        with virtual_microphone.piped(fifo, RATE), Player(fifo) as player:
            source.open()
            blocks = hear(source, 1.0)
            clock.hold = partial(player.wait_for, len(player.played) + 4)  # 0.9 s and more
            blocks += hear(source, 2.0)
        assert clock.hold is None
        assert source.drain_events() == []
        assert (source.status().overruns, source.status().dropped_samples) == (0, 0)
        found = impulses(blocks)
        assert len(found) >= 8
        times = [time_of(sample, blocks) for sample in found]
        nearest = [player.played[int(np.abs(np.array(player.played) - at).argmin())] for at in times]
        assert np.abs(np.subtract(times, nearest)).max() < 0.005
        assert np.abs(np.diff(found) / 16_000 - np.diff(nearest)).max() < 0.005
    finally:
        source.close()


def test_an_impulse_is_found_within_five_milliseconds_and_behind_a_gap_too(virtual_microphone: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    source = MicrophoneSource(latency=0.2, retry_seconds=0.1)
    errors: list[float] = []
    anchors: list[tuple[int, float]] = []
    try:
        for turn in range(2):
            with virtual_microphone.piped(fifo, RATE), Player(fifo) as player:
                if turn == 0:
                    source.open()
                blocks = hear(source, 3.0)
                found = impulses(blocks)
                assert len(found) >= 6
                for sample in found:
                    at = time_of(sample, blocks)
                    played = min(player.played, key=lambda moment: abs(moment - at))
                    errors.append(at - played)
                    anchors.append((sample, played))
            deadline = time.monotonic() + 20
            while not source.status().lost:
                assert time.monotonic() < deadline
                source.read(0.2)
    finally:
        source.close()
    assert [event.kind for event in source.drain_events()] == ["device-lost", "device-back", "device-lost"]
    assert np.abs(errors).max() < 0.005
    # The index itself has gone on through the gap: the promptest blocks of the second stretch's first 0.2 s tell where it lies.
    (first, began), (last, ended) = anchors[0], anchors[-1]
    assert (last - first) / 16_000 == pytest.approx(ended - began, abs=0.01)


def test_what_the_sound_system_does_not_keep_while_a_callback_is_held_up_is_a_gap_as_long_as_it(
    virtual_microphone: Any, tmp_path: Path
) -> None:
    """A real overrun. PulseAudio keeps 4 MB for a program that does not take them, 0.7 s of eight channels at 192 kHz, and then
    throws away what is newest. It tells nobody: PortAudio has no flag for it, and only the clock knows.
    """
    rate, slope, hold = 192_000, 2.0**-20, 5
    fifo, clock = tmp_path / "pipe", HeldUp()
    source = MicrophoneSource(rate=rate, channel=7, latency=0.2, now=clock, stall_seconds=10.0)
    try:
        with virtual_microphone.piped(fifo, rate), Player(fifo, rate, slope) as player:
            source.open()
            blocks = hear(source, 1.0)
            clock.hold = partial(player.wait_for, len(player.played) + hold)  # 1.2 s and more
            blocks += hear(source, 3.0)
        told, status = source.drain_events(), source.status()
    finally:
        source.close()
    assert clock.hold is None
    (gap,) = told
    lost = status.dropped_samples
    assert gap.kind == "gap"
    assert f"The microphone lost about {lost / 16_000:.2f} s of sound" in gap.message
    assert status.overruns == 0
    (behind,) = [block for block in blocks if block.gap_before]
    assert behind.span.first == gap.sample + lost
    # What a sample holds is when it was played, but for the first ones, where the filter sees the ramp begin.
    played = np.concatenate([block.samples for block in blocks])[1_000:].astype(np.float64) / slope
    index = np.concatenate([np.arange(block.span.first, block.span.end) for block in blocks])[1_000:]
    missing = played[-1] - played[0] - (len(played) - 1)
    assert missing > 0.2 * 16_000
    assert lost == pytest.approx(missing, abs=0.01 * 16_000)
    # Time is right up to the gap, and again when all that was kept has come, which nobody can tell from what came later.
    late = played - index - (played[0] - index[0])
    assert np.abs(late[index < gap.sample - 1_000]).max() < 0.5
    assert np.abs(late[-16_000:]).max() < 0.01 * 16_000
    # Apart from the holes, and where the filter sees them, every sample follows on the one before.
    steps = np.diff(played)
    assert np.count_nonzero(np.abs(steps - 1) > 0.1) < 1_000
