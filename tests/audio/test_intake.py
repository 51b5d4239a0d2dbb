"""From frames to blocks: gaps, invalid values, time stamps, independence of the cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.intake import Intake
from realtime_ser.types import Block, Span


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (frames, channels)).astype(np.float32)


def run(intake: Intake, frames: np.ndarray, cuts: list[int]) -> list[Block]:
    edges = [0, *sorted(cut % (len(frames) + 1) for cut in cuts), len(frames)]
    blocks = [block for a, b in pairwise(edges) for block in intake.push(frames[a:b])]
    return blocks + intake.finish()


@settings(max_examples=40)
@given(
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.integers(1, 3),
    st.integers(0, 5_000),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_blocks_join_to_the_same_signal_whatever_the_cut(rate: int, channels: int, length: int, cuts: list[int]) -> None:
    frames = noise(length, channels)
    whole = run(Intake(rate, channels), frames, [])
    parts = run(Intake(rate, channels), frames, cuts)
    empty = np.empty(0, np.float32)
    assert np.array_equal(
        np.concatenate([empty, *(block.samples for block in parts)]),
        np.concatenate([empty, *(block.samples for block in whole)]),
    )
    assert all(a.span.end == b.span.first for a, b in pairwise(parts))
    assert not any(block.gap_before for block in parts)
    if parts:
        assert parts[0].span.first == 0


@settings(max_examples=60)
@given(
    st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    st.lists(st.tuples(st.integers(12, 3_000), st.integers(0, 5_000)), min_size=1, max_size=8),
)
def test_a_gap_is_as_long_as_what_was_lost_and_errors_do_not_add_up(rate: int, stretches: list[tuple[int, int]]) -> None:
    intake = Intake(rate, 1)
    blocks: list[Block] = []
    position = 0
    starts = []
    lost = None
    for length, lost_after in stretches:
        starts.append(position)
        blocks += intake.push(noise(length), lost)
        position += length + lost_after
        lost = lost_after
    blocks += intake.finish()
    assert intake.frames == position - stretches[-1][1]
    # The stream starts with the first frame; every other stretch starts within half a sample of its place, or right after
    # what the stretch before made of its last fraction of a sample.
    firsts = [blocks[0].span.first, *(block.span.first for block in blocks if block.gap_before)]
    assert len(firsts) == len(starts)
    for first, start in zip(firsts, starts, strict=True):
        assert abs(first - start * 16_000 / rate) <= 1.0
    missing = 0
    for before, after in pairwise(blocks):
        assert after.span.first >= before.span.end
        assert after.gap_before or after.span.first == before.span.end
        missing += after.span.first - before.span.end
    assert missing == intake.lost_samples


def test_nothing_of_the_signal_crosses_a_gap() -> None:
    # Were the filter not started anew, the loud end would ring into the silence behind the gap.
    intake = Intake(48_000, 1)
    blocks = intake.push(np.ones((4_800, 1), np.float32))
    blocks += intake.push(np.zeros((4_800, 1), np.float32), lost_before=48_000)
    blocks += intake.finish()
    after = [block for block in blocks if block.span.first >= 17_600]
    assert after[0].gap_before
    assert after[0].span.first == 17_600
    assert not any(block.samples.any() for block in after)
    assert blocks[-1].span.end == 19_200
    assert intake.lost_samples == 16_000


def test_a_gap_before_anything_is_none() -> None:
    intake = Intake(16_000, 1)
    (block,) = intake.push(noise(10), lost_before=500)
    assert block.span == Span(0, 10)
    assert not block.gap_before
    assert intake.lost_samples == 0


def test_a_gap_of_unknown_length_is_still_marked() -> None:
    intake = Intake(16_000, 1)
    intake.push(noise(10))
    (block,) = intake.push(noise(10), lost_before=0)
    assert block.span == Span(10, 20)
    assert block.gap_before


def test_values_that_are_no_numbers_become_silence_and_are_told_once() -> None:
    frames = np.full((3_200, 2), 0.25, np.float32)
    frames[1_000, 0] = np.nan
    frames[1_001] = np.inf, -np.inf
    frames[3_000, 1] = 1e30
    kept = frames.copy()
    intake = Intake(32_000, 2)
    blocks = intake.push(frames[:2_000]) + intake.push(frames[2_000:]) + intake.finish()
    assert all(np.isfinite(block.samples).all() for block in blocks)
    assert intake.invalid_samples == 4
    (event,) = intake.drain_events()
    assert (event.kind, event.sample) == ("invalid-samples", 500)
    assert intake.drain_events() == []
    assert np.array_equal(frames, kept, equal_nan=True)


def test_stamps_are_those_of_the_last_sample_not_of_its_arrival() -> None:
    intake = Intake(48_000, 1, time_of=lambda seconds: 100.0 + seconds)
    blocks = []
    for _ in range(20):
        blocks += intake.push(noise(480))
    blocks += intake.push(noise(480), lost_before=48_000)
    blocks += intake.finish()
    assert len(blocks) > 2
    for block in blocks:
        assert block.captured_at == pytest.approx(100.0 + block.span.end / 16_000, abs=1e-9)
    assert intake.longest_wait > 0.005


def test_samples_are_read_only_and_apart_from_the_frames() -> None:
    frames = noise(100)
    (block,) = Intake(16_000, 1).push(frames)
    with pytest.raises(ValueError, match="read-only"):
        block.samples[0] = 0
    before = block.samples.copy()
    frames[:] = 0
    assert np.array_equal(block.samples, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((16_000, 0), "channels must be at least 1"), ((16_000, 2, 2), "channel must be from 0 to 1"), ((5, 1), "from_rate")],
)
def test_wrong_arguments_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Intake(*arguments)


def test_wrong_frames_are_refused() -> None:
    intake = Intake(16_000, 2)
    for bad in (noise(3, 1), noise(3, 2).astype(np.float64), noise(3, 2)[:, 0]):
        with pytest.raises(ValueError, match=r"float32 of shape \(n, 2\)"):
            intake.push(bad)
    intake.push(noise(3, 2))
    with pytest.raises(ValueError, match="lost_before must not be negative"):
        intake.push(noise(3, 2), lost_before=-1)
