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
    """Writes silence and impulses into a microphone that delivers at once what is written, in step with the clock."""

    def __init__(self, fifo: Path) -> None:
        self._fifo = fifo
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
        while not self._stop.is_set():
            number += 1
            due = began + number * BLOCK / RATE
            block = np.zeros(BLOCK, np.float32)
            if number % IMPULSE_EVERY == 0:
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
