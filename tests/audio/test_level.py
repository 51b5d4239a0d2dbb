"""Levels against closed forms, and the episodes that follow from them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.level import LevelMeter, LevelMonitor, LevelWatch
from realtime_ser.types import Block, Event, Level, Severity, Span


def tone(seconds: float, amplitude: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


def measured(samples: np.ndarray, first: int = 0) -> list[Level]:
    meter = LevelMeter(first_sample=first)
    return meter.process(samples, first) + meter.finish()


def test_a_full_scale_sine_has_a_peak_of_0_and_an_rms_of_minus_3_01() -> None:
    # 440 Hz: 44 whole periods in 100 ms, so the closed form holds but for float32.
    (level,) = measured(tone(0.1, 0.999))
    assert level.peak == pytest.approx(20 * math.log10(0.999), abs=0.01)
    assert level.rms == pytest.approx(20 * math.log10(0.999 / math.sqrt(2)), abs=1e-4)
    assert (level.clipped, level.silent) == (0, False)


def test_a_constant_offset_is_no_sound() -> None:
    (with_offset,) = measured(tone(0.1, 0.01) + np.float32(0.25))
    (without,) = measured(tone(0.1, 0.01))
    assert with_offset.rms == pytest.approx(without.rms, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0])
def test_one_value_throughout_is_exact_silence(value: float) -> None:
    (level,) = measured(np.full(1600, value, np.float32))
    assert level.silent
    assert level.peak == level.rms == -math.inf
    assert level.clipped == (1600 if abs(value) == 1.0 else 0)


def test_the_faintest_sound_is_not_exact_silence() -> None:
    samples = np.zeros(1600, np.float32)
    samples[800] = 1e-30
    (level,) = measured(samples)
    assert not level.silent
    assert -math.inf < level.rms < level.peak == pytest.approx(-600.0)


def test_clipping_counts_samples_at_full_scale_of_16_bits_and_beyond() -> None:
    samples = tone(0.1, 0.5)
    samples[10:14] = 32767 / 32768, -1.0, 1.5, 0.9999
    (level,) = measured(samples)
    assert level.clipped == 3


def test_stretches_end_on_the_absolute_grid_and_gaps_cut_them_short() -> None:
    meter = LevelMeter(first_sample=1000)
    spans = [level.span for level in meter.process(np.zeros(2500, np.float32), 1000)]
    assert spans == [Span(1000, 1600), Span(1600, 3200)]
    with pytest.raises(ValueError, match="must follow on sample 3500, got 5000"):
        meter.process(np.zeros(10, np.float32), 5000)
    assert [level.span for level in meter.reset(5000)] == [Span(3200, 3500)]
    assert [level.span for level in meter.process(np.zeros(1400, np.float32), 5000)] == [Span(5000, 6400)]
    assert meter.finish() == []


@settings(max_examples=50)
@given(st.integers(0, 6_000), st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 10**9))
def test_levels_do_not_depend_on_the_cut(length: int, cuts: list[int], first: int) -> None:
    samples = np.random.default_rng(length).uniform(-1.01, 1.01, length).astype(np.float32)
    meter = LevelMeter(first_sample=first)
    edges = [0, *sorted(cut % (length + 1) for cut in cuts), length]
    parts = [level for a, b in pairwise(edges) for level in meter.process(samples[a:b], first + a)]
    assert parts + meter.finish() == measured(samples, first)


def test_a_rate_without_whole_tenths_needs_every() -> None:
    with pytest.raises(ValueError, match="not a whole number of samples at 11025 Hz"):
        LevelMeter(11_025)
    with pytest.raises(ValueError, match="every must be at least 1"):
        LevelMeter(11_025, 0)


# --- episodes -------------------------------------------------------------------------------------------------------------


def watched(*stretches: tuple[float, np.ndarray]) -> list[tuple[float, str]]:
    """Time in seconds and kind of every event; a stretch is (seconds, 100 ms of signal to repeat)."""
    watch, meter = LevelWatch(), LevelMeter()
    events: list[Event] = []
    for seconds, samples in stretches:
        for _ in range(round(seconds * 10)):
            for level in meter.process(samples, meter.next_sample):
                events += watch.process(level)
    assert all(event.severity is (Severity.INFO if event.kind.endswith("-over") else Severity.WARNING) for event in events)
    assert all(len(event.message.split()) > 4 for event in events)
    return [(event.sample / 16_000, event.kind) for event in events]


SILENCE = np.zeros(1600, np.float32)
FAINT = tone(0.1, 5e-5)
SPEECH = tone(0.1, 0.1)
CLIPPED = np.clip(tone(0.1, 3.0), -1, 1)


def test_a_muted_microphone_is_said_once_per_episode() -> None:
    assert watched((1, SPEECH), (10, SILENCE), (1, SPEECH), (0.9, SILENCE), (1, SPEECH), (1, SILENCE)) == [
        (2.0, "blocked-microphone"),
        (11.1, "blocked-microphone-over"),
        (14.9, "blocked-microphone"),
    ]


def test_a_faint_microphone_is_said_and_muting_it_is_another_matter() -> None:
    assert watched((12, FAINT), (5, SILENCE), (5, FAINT), (1, SPEECH)) == [
        (10.0, "no-signal"),
        (13.0, "blocked-microphone"),
        (17.1, "blocked-microphone-over"),
        (22.1, "no-signal-over"),
    ]


def test_clipping_is_said_when_it_lasts_and_is_over_after_three_seconds_without() -> None:
    assert watched((0.4, CLIPPED), (2, SPEECH)) == []
    speech_too_loud = [(0.2, CLIPPED), (0.4, SPEECH)] * 10
    assert watched(*speech_too_loud, (2.5, SPEECH), (0.1, CLIPPED), (5, SPEECH)) == [(1.3, "clipping"), (11.6, "clipping-over")]


def test_a_constant_offset_is_said_when_it_lasts() -> None:
    offset = SPEECH * np.float32(0.1) + np.float32(0.03)
    assert watched((2.9, offset), (1, SPEECH)) == []
    assert watched((1, SPEECH), (5, -offset), (0.9, SPEECH), (1, -offset), (2, SPEECH)) == [
        (4.0, "dc-offset"),
        (8.9, "dc-offset-over"),
    ]
    (level,) = measured(offset)
    assert level.offset == pytest.approx(0.03, abs=1e-6)


def test_the_monitor_takes_gaps_as_they_come() -> None:
    monitor = LevelMonitor()
    result = monitor.process(Block(Span(0, 2000), np.zeros(2000, np.float32)))
    result += monitor.process(Block(Span(10_000, 60_000), np.zeros(50_000, np.float32), gap_before=True))
    result += monitor.finish()
    levels = [item for item in result if isinstance(item, Level)]
    assert [level.span for level in levels[:3]] == [Span(0, 1600), Span(1600, 2000), Span(10_000, 11_200)]
    assert sum(len(level.span) for level in levels) == 52_000
    (event,) = (item for item in result if isinstance(item, Event))
    assert event.kind == "blocked-microphone"
    # The event stands right behind the level that it follows from.
    assert result[result.index(event) - 1].span.end == event.sample  # type: ignore[union-attr]


def test_without_watching_there_are_levels_only() -> None:
    monitor = LevelMonitor(watch=False)
    result = monitor.process(Block(Span(0, 160_000), np.zeros(160_000, np.float32)))
    assert len(result) == 100
    assert all(isinstance(item, Level) for item in result)
