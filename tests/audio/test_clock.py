"""The capture clock against simulated devices: known drift, late and bursty arrivals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from realtime_ser.audio.clock import CaptureClock


def simulate(ppm: float, seconds: int, seed: int, rate: int = 48_000, block: int = 480, burst: int = 1) -> CaptureClock:
    """Feed arrivals of a device that runs `ppm` fast: exponential lateness of 2 ms on average, and a stall now and then."""
    rng = np.random.default_rng(seed)
    clock = CaptureClock(rate)
    blocks = seconds * rate // block
    late = rng.exponential(0.002, blocks)
    late[rng.random(blocks) < 0.01] += 0.3
    for index in range(blocks):
        # With bursts, blocks arrive together with the last one of their burst.
        complete = (index // burst + 1) * burst
        clock.observe((index + 1) * block, 1000.0 + complete * block / (rate * (1 + ppm * 1e-6)) + late[index])
    return clock


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 40.0])
@pytest.mark.parametrize("burst", [1, 7])
def test_drift_is_found_to_a_few_parts_per_million_in_five_minutes(ppm: float, burst: int) -> None:
    assert simulate(ppm, 300, seed=1, burst=burst).drift_ppm == pytest.approx(ppm, abs=3.0)


def test_drift_is_not_told_too_early() -> None:
    assert math.isnan(simulate(0.0, 25, seed=2).drift_ppm)
    assert simulate(100.0, 40, seed=2).drift_ppm == pytest.approx(100.0, abs=60.0)


@pytest.mark.parametrize("seconds", [1, 20, 300])
def test_stamps_are_within_a_millisecond_of_the_truth(seconds: int) -> None:
    clock = simulate(100.0, seconds, seed=3)
    truth = 1000.0 + seconds / (1 + 100e-6)
    # A drift not yet known costs up to 100 ppm of the time since the promptest arrival, here at most 20 s.
    assert clock.time_of(seconds) == pytest.approx(truth, abs=1e-3 if seconds != 20 else 2.5e-3)
    assert clock.frames_at(clock.time_of(seconds)) == pytest.approx(seconds * 48_000, abs=1e-3)


def test_the_promptest_arrival_counts() -> None:
    clock = CaptureClock(16_000)
    for frames, at in ((1600, 10.15), (3200, 10.21), (4800, 10.9)):
        clock.observe(frames, at)
    assert clock.time_of(0.3) == pytest.approx(10.31)
