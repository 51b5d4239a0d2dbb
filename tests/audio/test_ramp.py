"""A ramp in the signal through the microphone's path: the value of every sample says where in time it belongs.

So one comparison proves that nothing is lost, doubled or out of order, at any rate: a straight line stays one when its rate is
changed, except for some hundredths of a second at the ends, where the filter sees it begin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from fake_card import FakeBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import InputDevice
from realtime_ser.types import Block

from .test_microphone import everything

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]
EDGE = 2_000
"""Samples at the engine's rate at the ends of a stretch that the filter bends; 1,000 are not enough at 8 kHz."""
SLOPE = 2.0**-20
"""Per sample at the engine's rate: a minute stays below 1, and half a sample is far above float32's rounding of 2**-25."""
APART = 2.0**-8
"""Between one channel and the next."""


@dataclass(frozen=True)
class Trouble:
    """What happens before a block: `lost` frames pass by, which the device tells or not, and nobody runs for `busy` seconds."""

    lost: int = 0
    told: bool = True
    busy: float = 0.0


def troubles(rate: int) -> st.SearchStrategy[Trouble]:
    flagged = st.builds(Trouble, st.integers(1, rate), st.just(True), st.floats(0.0, 0.9))
    # What nobody tells is found where it is longer than what sound servers change their buffers by.
    silent = st.builds(Trouble, st.integers(rate // 7, rate // 2), st.just(False), st.floats(0.0, 0.9))
    return st.one_of(flagged, silent, st.builds(Trouble, busy=st.floats(0.0, 0.9)))


def play_ramp(
    backend: FakeBackend, blocks: list[int], trouble: dict[int, Trouble], read: Callable[[float], None]
) -> tuple[int, int]:
    """Deliver blocks of the ramp's frames, with `trouble` before some; frames lost by the device, and blocks flagged."""
    stream, clock = backend.stream, backend.clock
    scale = SLOPE * 16_000 / stream.rate
    began, lost, flagged = clock.time, 0, 0

    def play(frames: int, case: Trouble, surely: float = 0.0) -> None:
        nonlocal lost, flagged
        # Where in what waits together something is missing, nobody can tell.
        missing = case.lost if clock.time <= began + stream.count / stream.rate else 0
        clock.time += case.busy
        # A block comes when it is complete, or as soon as somebody runs.
        clock.time = max(clock.time, began + (stream.count + missing + frames) / stream.rate)
        overflow = case.told and missing > 0
        stream.deliver(frames, overflow=overflow, lost_by_device=missing, scale=scale, apart=APART, waited=True)
        lost += missing
        flagged += overflow
        read(surely)

    for number, frames in enumerate(blocks):
        play(frames, trouble.get(number, Trouble()))
    # It does not end before all that waited has come, and as much more as shows that nothing waits behind it.
    until = clock.time + 0.6
    while began + stream.count / stream.rate < until:
        play(stream.rate // 20, Trouble(), 1.0)
    return lost, flagged


def check(blocks: list[Block], rate: int, above: float) -> None:
    """Every sample, but those at the ends of a stretch, has the value of its index, and is `above` it by its channel."""
    stretches: list[list[Block]] = []
    for block in blocks:
        if not stretches or block.gap_before:
            stretches.append([])
        stretches[-1].append(block)
    for stretch in stretches:
        assert all(before.span.end == after.span.first for before, after in pairwise(stretch))
        samples = np.concatenate([block.samples for block in stretch]).astype(np.float64)
        expected = np.arange(stretch[0].span.first, stretch[-1].span.end) * SLOPE + above
        edge = 0 if rate == 16_000 else EDGE
        inner = slice(edge, max(edge, len(samples) - edge))
        # A stretch begins at the nearest sample to its first frame, at most half a sample off; float32 adds a tenth, and what
        # the clock says of a loss is rounded to a frame of the device.
        assert np.abs(samples[inner] - expected[inner]).max(initial=0.0) <= (0.6 + 16_000 / rate) * SLOPE


@settings(max_examples=25, derandomize=True)
@given(
    data=st.data(),
    rate=st.one_of(st.sampled_from(RATES), st.integers(8_000, 192_000)),
    channels=st.integers(1, 8),
    patience=st.sampled_from([0.3, 10.0]),
    seed=st.integers(0, 2**16),
)
def test_order_loss_and_duplication(data: st.DataObject, rate: int, channels: int, patience: float, seed: int) -> None:
    """Whatever the blocks, the rate and the channel, whatever is lost by whom, and whenever somebody reads."""
    backend = FakeBackend(InputDevice(0, "Card", "ALSA", channels, rate, default=True, loopback=False))
    channel = data.draw(st.one_of(st.none(), st.integers(0, channels - 1)))
    source = MicrophoneSource(
        channel=channel, backend=backend, now=backend.clock, asleep=lambda: 0.0, patience=patience, stall_seconds=5.0
    )
    source.open()
    sizes = np.random.default_rng(seed)
    longest = data.draw(st.integers(1, max(1, rate // 10)))
    blocks: list[int] = []
    while sum(blocks) < rate:
        blocks.append(int(sizes.integers(1, longest + 1)))
        if len(blocks) == 400:  # one second, or as much of it as 400 blocks hold
            break
    trouble = data.draw(st.dictionaries(st.integers(1, len(blocks)), troubles(rate), max_size=3))
    reads = data.draw(st.floats(0.0, 1.0))
    received: list[Block] = []

    def read(surely: float) -> None:
        if sizes.random() < max(reads, surely):
            received.extend(everything(source))

    lost, flagged = play_ramp(backend, blocks, trouble, read)
    source.close()
    received += everything(source)
    check(received, rate, APART * (0.5 if channels > 1 and channel is None else channel or 0))
    # A gap is told for every hole, and one more where what did not fit at the very end has no block behind it.
    told = [event.kind for event in source.drain_events()]
    assert set(told) <= {"gap"}
    assert 0 <= len(told) - sum(block.gap_before for block in received) <= 1
    # Nothing is missing that is not told: what was delivered and what was lost make up the time that has passed.
    heard = sum(len(block.span) for block in received)
    ended = backend.stream.count * 16_000 / rate
    assert abs(heard + source.status().dropped_samples - ended) <= 2
    assert source.status().overruns == flagged
    if patience == 10.0:
        assert abs(source.status().dropped_samples - lost * 16_000 / rate) <= 1 + len(trouble) * (1 + 16_000 / rate)
        assert abs(received[-1].span.end - ended) <= 1 + len(trouble) * (1 + 16_000 / rate)
