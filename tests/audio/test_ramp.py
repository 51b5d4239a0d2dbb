"""A ramp in the signal through the microphone's path: the value of every sample says where in time it belongs.

So one comparison proves that nothing is lost, doubled or out of order, at any rate: a straight line stays one when its rate is
changed, except for some hundredths of a second at the ends, where the filter sees it begin.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import InputDevice
from realtime_ser.types import Block

from .test_microphone import FakeBackend, everything

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]
EDGE = 2_000
"""Samples at the engine's rate at the ends of a stretch that the filter bends; 1,000 are not enough at 8 kHz."""
SLOPE = 2.0**-20
"""Per sample at the engine's rate: a minute stays below 1, and half a sample is far above float32's rounding of 2**-25."""


def play_ramp(backend: FakeBackend, blocks: list[int], lost: dict[int, int]) -> None:
    """Deliver blocks of the ramp's frames; before block number k, `lost[k]` frames pass by, which the device reports."""
    stream = backend.stream
    scale = SLOPE * 16_000 / stream.rate
    for number, frames in enumerate(blocks):
        missing = lost.get(number, 0)
        stream.deliver(frames, overflow=bool(missing), lost_by_device=missing, scale=scale)


def check(blocks: list[Block], rate: int) -> None:
    """Every sample, but those at the ends of a stretch, has the value of its index."""
    stretches: list[list[Block]] = []
    for block in blocks:
        if not stretches or block.gap_before:
            stretches.append([])
        stretches[-1].append(block)
    for stretch in stretches:
        assert all(before.span.end == after.span.first for before, after in pairwise(stretch))
        samples = np.concatenate([block.samples for block in stretch]).astype(np.float64)
        expected = np.arange(stretch[0].span.first, stretch[-1].span.end) * SLOPE
        edge = 0 if rate == 16_000 else EDGE
        inner = slice(edge, max(edge, len(samples) - edge))
        # A stretch begins at the nearest sample to its first frame, at most half a sample off; float32 adds a tenth.
        assert np.abs(samples[inner] - expected[inner]).max(initial=0.0) <= 0.6 * SLOPE


@settings(max_examples=40, derandomize=True)
@given(data=st.data(), rate=st.sampled_from(RATES), channels=st.integers(1, 8), seed=st.integers(0, 2**16))
def test_order_loss_and_duplication(data: st.DataObject, rate: int, channels: int, seed: int) -> None:
    backend = FakeBackend(InputDevice(0, "Card", "ALSA", channels, rate, default=True, loopback=False))
    source = MicrophoneSource(backend=backend, now=backend.clock, asleep=lambda: 0.0)
    source.open()
    sizes = np.random.default_rng(seed)
    longest = data.draw(st.integers(1, max(1, rate // 10)))
    blocks: list[int] = []
    while sum(blocks) < rate:
        blocks.append(int(sizes.integers(1, longest + 1)))
        if len(blocks) == 400:  # one second, or as much of it as 400 blocks hold
            break
    gaps = data.draw(st.dictionaries(st.integers(1, len(blocks)), st.integers(1, rate), max_size=3))
    play_ramp(backend, blocks, gaps)
    source.close()
    received = everything(source)
    gaps = {number: frames for number, frames in gaps.items() if number < len(blocks)}
    check(received, rate)
    assert sum(block.gap_before for block in received) <= len(gaps)
    lost = sum(gaps.values())
    assert abs(source.status().dropped_samples - lost * 16_000 / rate) <= 1 + len(gaps)
    assert abs(received[-1].span.end - (sum(blocks) + lost) * 16_000 / rate) <= 1 + len(gaps)
    assert source.status().overruns == len(gaps)
