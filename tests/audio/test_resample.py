"""Rate conversion: exact time, independence of the cut, nothing lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.resample import StreamResampler, to_mono

RATES = [8_000, 11_025, 16_001, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000]


def resampled(samples: np.ndarray, rate: int, cuts: list[int] | None = None) -> np.ndarray:
    resampler = StreamResampler(rate)
    edges = [0, *sorted(cut % (len(samples) + 1) for cut in cuts or []), len(samples)]
    parts = [resampler.process(samples[a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize("rate", RATES)
def test_output_sample_k_stands_at_input_time_k_over_16000(rate: int) -> None:
    # A Gaussian pulse is band-limited for all practical purposes (sigma 0.5 ms: 1e-9 at 2 kHz), so the closed form holds at
    # any rate. An error of a whole sample would be 62 microseconds and 0.08 in value.
    def pulse(times: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * ((times - 0.25) / 0.0005) ** 2)

    out = resampled(pulse(np.arange(rate // 2) / rate).astype(np.float32), rate)
    times = np.arange(len(out)) / 16_000
    centre = float((out * times).sum() / out.sum())
    assert centre == pytest.approx(0.25, abs=1e-6)
    # float32 and a filter of about 20 bits.
    assert np.abs(out - pulse(times)).max() < 2e-6


@settings(max_examples=60)
@given(st.sampled_from([*RATES, 16_000]), st.integers(0, 6_000), st.lists(st.integers(0, 10_000), max_size=10))
def test_output_does_not_depend_on_the_cut(rate: int, length: int, cuts: list[int]) -> None:
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    assert np.array_equal(resampled(samples, rate, cuts), resampled(samples, rate))


@settings(max_examples=60)
@given(st.sampled_from([*RATES, 16_000]), st.integers(0, 50_000))
def test_as_many_samples_come_out_as_time_went_in(rate: int, length: int) -> None:
    assert abs(len(resampled(np.zeros(length, np.float32), rate)) - length * 16_000 / rate) <= 1


def test_at_the_engines_rate_samples_pass_unchanged_and_at_once() -> None:
    resampler = StreamResampler(16_000)
    samples = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    assert np.array_equal(resampler.process(samples), samples)
    assert resampler.behind == 0.0
    assert len(resampler.flush()) == 0


def test_a_flushed_resampler_starts_anew() -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, 5000).astype(np.float32)
    resampler = StreamResampler(44_100)
    first = np.concatenate([resampler.process(samples), resampler.flush()])
    second = np.concatenate([resampler.process(samples), resampler.flush()])
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("rate", "limit"), [(44_100, 0.045), (48_000, 0.040), (8_000, 0.120), (192_000, 0.090)])
def test_what_the_filter_holds_back_is_known_and_bounded(rate: int, limit: float) -> None:
    # Measured with soxr's HQ recipe; blocks of 5 ms, after the filter has filled up.
    resampler = StreamResampler(rate)
    block = np.zeros(rate // 200, np.float32)
    waits = []
    for _ in range(100):
        resampler.process(block)
        waits.append(resampler.behind)
    assert 0 < max(waits[50:]) < limit


@pytest.mark.parametrize("rate", [0, -16_000, 999, 4_000_000_000])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(ValueError, match=f"from_rate must be from 1000 to 1000000 Hz, got {rate}"):
        StreamResampler(rate)


@pytest.mark.parametrize("bad", [np.zeros((4, 1), np.float32), np.zeros(4, np.float64)])
def test_samples_of_another_shape_or_type_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32 of shape"):
        StreamResampler(48_000).process(bad)


def test_mono_is_the_mean_or_the_channel_asked_for() -> None:
    frames = np.array([[1.0, 0.0, 0.5], [0.25, 0.25, 0.25]], dtype=np.float32)
    assert to_mono(frames).tolist() == [0.5, 0.25]
    assert to_mono(frames, 2).tolist() == [0.5, 0.25]
    assert to_mono(frames, 0).tolist() == [1.0, 0.25]
    assert to_mono(frames[:, :1]).tolist() == [1.0, 0.25]
    assert to_mono(frames).flags.c_contiguous
