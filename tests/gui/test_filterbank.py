"""The filter bank's numbers against numpy's FFT and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from gui.scripted_controller import facts

from realtime_ser.gui.filterbank import (
    FilterBank,
    decibels,
    hz_from_mel,
    magnitudes,
    mel_from_hz,
    sinc_kernels,
    summed_response,
)

RATE = 16_000


def test_the_summed_response_is_that_of_an_fft() -> None:
    made = facts()
    kernels = sinc_kernels(made.low_hz, made.high_hz, made.kernel, RATE)
    points = 4_096
    frequencies = np.fft.rfftfreq(points, 1.0 / RATE)
    magnitude = np.abs(np.fft.rfft(kernels, points, axis=1)).sum(axis=0)
    # Two ways to the same sum in float64; 1e-6 dB is far below what can be drawn.
    np.testing.assert_allclose(
        summed_response(kernels, frequencies, RATE), 20.0 * np.log10(np.maximum(magnitude, 1e-6)), atol=1e-6
    )


def test_single_responses_are_those_of_an_fft_and_a_bank_keeps_them() -> None:
    made = facts()
    bank = FilterBank.from_cutoffs(
        made.initial_low_hz, made.initial_high_hz, made.low_hz, made.high_hz, made.kernel, RATE, points=64
    )
    kernels = sinc_kernels(made.low_hz, made.high_hz, made.kernel, RATE)[bank.order]
    np.testing.assert_array_equal(bank.kernels, kernels)
    # Of real kernels the modulus of the FFT at any frequency is the sum over the taps.
    taps = np.exp(-2j * np.pi * np.outer(np.arange(made.kernel), bank.frequencies / RATE))
    np.testing.assert_allclose(bank.magnitudes, np.abs(kernels @ taps), atol=1e-12)
    np.testing.assert_allclose(magnitudes(kernels, bank.frequencies, RATE), bank.magnitudes, atol=1e-12)
    np.testing.assert_allclose(bank.response, decibels(bank.magnitudes.sum(axis=0)))
    assert decibels(np.zeros(1))[0] == -120.0
    assert bank.milliseconds[made.kernel // 2] == 0.0
    np.testing.assert_allclose(np.diff(bank.milliseconds), 1000.0 / RATE)


def test_a_wide_band_passes_at_0_db_and_stops_elsewhere() -> None:
    kernels = sinc_kernels(np.array([1_000.0]), np.array([3_000.0]), 251, RATE)
    passed, stopped = summed_response(kernels, np.array([2_000.0, 5_000.0]), RATE)
    assert passed == pytest.approx(0.0, abs=0.05)  # ripple of the Hamming window: 0.02 dB
    assert stopped < -50.0  # its side lobes: -53 dB


def test_kernels_are_symmetric_and_follow_equation_2() -> None:
    kernels = sinc_kernels(np.array([500.0]), np.array([900.0]), 129, RATE)
    np.testing.assert_allclose(kernels, kernels[:, ::-1], atol=1e-15)
    assert kernels[0, 64] == pytest.approx(2.0 * (900.0 - 500.0) / RATE)
    n = 10
    f1, f2 = 500.0 / RATE, 900.0 / RATE
    ideal = (np.sin(2 * np.pi * f2 * n) - np.sin(2 * np.pi * f1 * n)) / (np.pi * n)
    assert kernels[0, 64 + n] == pytest.approx(ideal * np.hamming(129)[64 + n])


def test_bands_are_sorted_by_their_learnt_centre() -> None:
    made = facts()
    shuffled = np.random.default_rng(3).permutation(len(made.low_hz))
    columns = (made.initial_low_hz, made.initial_high_hz, made.low_hz, made.high_hz)
    bank = FilterBank.from_cutoffs(*(column[shuffled] for column in columns), made.kernel, RATE)
    assert (np.diff(bank.centre) >= 0.0).all()
    np.testing.assert_array_equal(made.low_hz[shuffled][bank.order], bank.low)
    # Order does not change what all of them let through; sums in another order differ by rounding.
    straight = FilterBank.from_cutoffs(*columns, made.kernel, RATE)
    np.testing.assert_allclose(bank.response, straight.response, atol=1e-6)


def test_movement_in_words() -> None:
    low, high = np.array([100.0, 400.0]), np.array([200.0, 600.0])
    bank = FilterBank.from_cutoffs(low, high, low + np.array([0.0, 50.0]), high + np.array([0.0, 70.0]), 251, RATE)
    np.testing.assert_allclose(bank.movement, [0.0, 60.0])
    assert bank.describe_movement() == "moved: median 25 Hz, most 70 Hz"
    assert bank.describe_band(1) == "band 1: 400–600 Hz → 450–670 Hz (centre +60 Hz)"
    assert FilterBank.from_cutoffs(low, high, low, high, 251, RATE).describe_movement() == "cutoffs as initialised"


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        FilterBank.from_cutoffs(np.ones(2), np.ones(2), np.ones(3), np.ones(2), 251, RATE)


def test_mel_and_back() -> None:
    hertz = np.linspace(0.0, 8_000.0, 50)
    np.testing.assert_allclose(hz_from_mel(mel_from_hz(hertz)), hertz, atol=1e-9)
    assert float(mel_from_hz(1_000.0)) == pytest.approx(1_000.0, abs=0.1)
