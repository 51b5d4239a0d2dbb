"""The outline of a sound holds every sample, at any zoom, and stays small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.session.peaks import Peaks

STEP = 1 / 32_767


def cut(samples: np.ndarray, lengths: list[int]) -> list[tuple[int, np.ndarray]]:
    pieces, first = [], 0
    while first < len(samples):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append((first, samples[first : first + length]))
        first += length
    return pieces


@given(
    st.integers(1, 5_000),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
    st.floats(0.0, 0.9),
    st.floats(0.001, 1.0),
    st.integers(1, 300),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_sample_lies_in_its_column(
    count: int, lengths: list[int], start: float, share: float, columns: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).uniform(-1.0, 1.0, count).astype(np.float32)
    peaks = Peaks(count)
    peaks.add(cut(samples, lengths))
    first, end = start * count, min(count, (start + share * (1.0 - start)) * count)
    low, high = peaks.columns(first, end, columns)
    edges = np.linspace(first, end, columns + 1)
    for column in range(columns):
        inside = samples[int(edges[column]) : max(int(np.ceil(edges[column + 1])), int(edges[column]) + 1)]
        if len(inside):
            assert low[column] <= inside.min() + STEP
            assert high[column] >= inside.max() - STEP
    assert low[np.isfinite(low)].min() >= samples.min() - STEP
    assert high[np.isfinite(high)].max() <= samples.max() + STEP
    assert peaks.loudest == pytest.approx(np.abs(samples).max(), abs=STEP)


def test_a_column_is_no_wider_than_a_few_bins() -> None:
    samples = np.zeros(1_600_000, np.float32)
    samples[800_000] = 1.0
    peaks = Peaks(len(samples))
    peaks.add(cut(samples, [16_000]))
    for columns in (10, 100, 1_000, 10_000):
        low, high = peaks.columns(0, len(samples), columns)
        assert (high == 1.0).sum() <= 2
        assert np.all(low == 0.0)


def test_gaps_and_what_is_not_read_yet_are_empty() -> None:
    peaks = Peaks(160_000)
    assert peaks.loudest == 0.0
    # Edges that all levels share.
    tone = np.full(16_384, 0.5, np.float32)
    peaks.add([(32_768, tone)])
    assert peaks.read == 49_152
    low, high = peaks.columns(-16_384, 180_224, 12)
    assert np.isfinite(low).tolist() == [index == 3 for index in range(12)]
    assert high[3] == pytest.approx(0.5, abs=STEP)


def test_memory_is_bounded() -> None:
    assert Peaks(3 * 3_600 * 16_000).nbytes < 50e6
    assert Peaks(24 * 3_600 * 16_000).nbytes < 50e6
