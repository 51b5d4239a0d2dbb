"""View-models: no Qt, no clock; everything follows from the messages."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gui.scripted_controller import CLASSES, RATE, SCRIPT, Stream
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.gui.models import (
    BIN_SAMPLES,
    AxisTime,
    BinnedRing,
    DashboardModel,
    EventLog,
    MeterModel,
    RowRing,
    clock,
    coarser,
    health_items,
    last_of_each,
    now_view,
    sureness,
)
from realtime_ser.text.weights import WordWeights
from realtime_ser.types import EstimateState, Event, Health, Level, Severity, Span


def played(seconds: float, cut: int = 1) -> DashboardModel:
    model = DashboardModel(CLASSES)
    stream = Stream()
    outputs = [output for _ in range(round(seconds * 10)) for output in stream.step()]
    for first in range(0, len(outputs), cut):
        model.consume(outputs[first : first + cut])
    model.catch_up()
    return model


def test_a_microphone_that_is_away_is_said_until_it_is_heard_again() -> None:
    model = played(2.0)
    loudness = model.meter.peak
    lost = Event(model.position, "device-lost", Severity.ERROR, "It went away.")
    model.consume([lost])
    assert now_view("running", model.estimate, CLASSES, away=model.away is not None).headline == "No microphone"
    assert now_view("stopped", model.estimate, CLASSES, away=True).headline == "Ready"
    assert model.meter.peak == -math.inf < loudness
    model.consume([Level(Span(lost.sample - 1_600, lost.sample), -10.0, -20.0)])  # captured before
    assert model.away is lost
    assert model.meter.peak == -math.inf
    model.consume([Event(lost.sample + 16_000, "device-back", Severity.INFO, "It is back.")])
    assert model.away is None
    model.consume([lost, Level(Span(lost.sample + 16_000, lost.sample + 17_600), -10.0, -20.0)])
    assert model.away is None
    model.consume([lost])
    model.reset()
    assert model.away is None


steps = st.lists(st.tuples(st.integers(0, 9), st.floats(-5.0, 5.0, width=32)), min_size=1, max_size=60)


@given(steps=steps, size=st.integers(1, 4), combine=st.sampled_from(["mean", "max"]))
def test_a_ring_keeps_the_newest_bins(steps: list[tuple[int, float]], size: int, combine: str) -> None:
    ring = BinnedRing(20, 1, combine)  # type: ignore[arg-type]
    expected: dict[int, list[float]] = {}
    at = 0
    for first in range(0, len(steps), size):
        bins, rows = [], []
        for skip, value in steps[first : first + size]:
            at += skip
            bins.append(at)
            rows.append([value])
            expected.setdefault(at, []).append(value)
        ring.add(np.array(bins), np.array(rows, dtype=np.float32))
    view = ring.view()
    assert view.shape == (20, 1)
    for index, value in enumerate(view[:, 0]):
        values = expected.get(ring.end - 20 + index)
        if values is None:
            assert np.isnan(value)
        else:
            wanted = np.mean(values) if combine == "mean" else max(values)
            assert value == pytest.approx(wanted, abs=1e-4)  # float32 running mean


def test_a_ring_forgets_what_is_too_old() -> None:
    ring = BinnedRing(4, 1)
    ring.add(np.array([10]), np.ones((1, 1), dtype=np.float32))
    ring.add(np.array([3]), np.ones((1, 1), dtype=np.float32))
    assert np.isfinite(ring.view()).sum() == 1
    ring.advance(30)
    assert not np.isfinite(ring.view()).any()


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("combine", ["mean", "max"])
def test_groups_stand_on_the_absolute_grid(stride: int, combine: str) -> None:
    ring = BinnedRing(20, 2)
    random = np.random.default_rng(stride)
    values = random.normal(size=(37, 2)).astype(np.float32)
    values[25:31] = np.nan
    heard = np.flatnonzero(np.isfinite(values[:, 0]))
    ring.add(heard, values[heard])
    first, groups = coarser(ring, stride, combine)  # type: ignore[arg-type]
    assert first % stride == 0
    for index, group in enumerate(groups):
        known = values[first + index * stride : first + (index + 1) * stride]
        known = known[np.isfinite(known[:, 0])]
        if not len(known):
            assert np.isnan(group).all()
        else:
            np.testing.assert_allclose(group, known.max(axis=0) if combine == "max" else known.mean(axis=0), rtol=1e-5)


def test_rows_come_out_in_order() -> None:
    ring = RowRing(5, 1)
    for value in range(13):
        ring.append([float(value)])
        kept = ring.view()[:, 0]
        np.testing.assert_array_equal(kept, np.arange(max(0, value - 4), value + 1))


@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_the_stream_may_be_cut_anywhere(cut: int) -> None:
    one, other = played(70.0), played(70.0, cut)
    for name in ("evidence", "envelope", "voice", "bands"):
        np.testing.assert_array_equal(getattr(one, name).view(), getattr(other, name).view())
    np.testing.assert_array_equal(one.estimates.view(), other.estimates.view())


def test_the_timeline_says_what_the_script_says() -> None:
    model = played(70.0)
    assert model.position == 70 * RATE
    assert model.end_bin == 70 * RATE // BIN_SAMPLES
    shown = [line for line in SCRIPT if line.end > 10.0 and line.end + 0.64 < 70.0]
    assert [v.span.seconds(RATE) for v in model.verdicts] == [(line.start, line.end) for line in shown]
    assert [v.estimate.label for v in model.verdicts] == [None if li.unsure else CLASSES[li.leaning] for li in shown]
    assert [gap.seconds(RATE) for gap in model.gaps] == [(44.2, 45.0)]
    seconds = (model.end_bin - model.bins + np.arange(model.bins) + 0.5) * BIN_SAMPLES / RATE
    in_gap = (seconds > 44.3) & (seconds < 44.9)
    assert np.isnan(model.envelope.view()[in_gap]).all()
    inside, pause = (seconds > 18.3) & (seconds < 22.1), (seconds > 28.0) & (seconds < 29.0)
    assert (model.voice.view()[inside] > 0.8).all()
    assert (model.voice.view()[pause] < 0.3).all()
    assert np.isnan(model.evidence.view()[pause]).all(), "windows without voice are no evidence"
    assert np.nanmean(model.evidence.view()[inside], axis=0).argmax() == CLASSES.index("anger")
    assert model.bands is not None
    assert np.isfinite(model.bands.view()[pause]).all(), "band energies are shown with and without voice"


def test_lines_of_two_utterances_are_not_joined() -> None:
    rows = played(10.0).estimates.view()
    breaks = np.flatnonzero(np.isnan(rows[:, 1]))
    assert len(breaks) == 2
    np.testing.assert_allclose(rows[breaks, 0] / RATE, [1.5, 6.0])


def test_a_new_stream_starts_empty_but_keeps_the_messages() -> None:
    model = played(20.0)
    model.consume([Event(5, "clipping", Severity.WARNING, "Turn the gain down.")])
    model.reset()
    model.catch_up()
    assert model.position == 0
    assert not model.verdicts
    assert not model.transcripts.rows
    assert np.isnan(model.envelope.view()).all()
    assert model.meter.peak == -math.inf
    assert len(model.events.entries) == 1


def test_transcripts_follow_their_utterances() -> None:
    rows = played(17.5).transcripts.rows
    assert [row.transcript.text for row in rows if row.transcript] == [line.words for line in SCRIPT[:4]]
    assert all(row.ended and row.verdict is not None for row in rows)
    assert all(row.transcript is not None and row.transcript.final for row in rows)


def test_the_meter_holds_and_falls() -> None:
    meter = MeterModel(hold=1.0, fall=20.0)

    def feed(first: float, seconds: float, peak: float, clipped: int = 0) -> None:
        meter.consume(Level(Span(round(first * RATE), round((first + seconds) * RATE)), peak, peak - 10.0, clipped))

    feed(0.0, 0.1, -6.0)
    feed(0.1, 0.5, -50.0)
    assert meter.held == -6.0
    assert meter.peak == pytest.approx(-16.0)  # 0.5 s at 20 dB a second
    feed(0.6, 0.4, -50.0)
    assert meter.held == -6.0
    feed(1.0, 0.5, -50.0)
    assert meter.held == pytest.approx(-16.0)
    assert meter.clipped == 0
    feed(1.5, 0.1, 0.0, clipped=12)
    meter.rest()
    assert (meter.clipped, meter.peak) == (12, -math.inf)
    meter.forgive()
    assert meter.clipped == 0


def test_repeated_events_are_counted_not_listed() -> None:
    log = EventLog()
    for second in range(100):
        log.consume(Event(second * RATE, "clipping", Severity.WARNING, f"at {second}"))
        if second == 50:
            log.consume(Event(second * RATE, "gap", Severity.WARNING, "lost"))
    assert [(entry.kind, entry.times, entry.message) for entry in log.entries] == [
        ("gap", 1, "lost"),
        ("clipping", 100, "at 99"),
    ]
    log.consume(Event(200 * RATE, "clipping", Severity.WARNING, "again"))
    assert log.newest is not None
    assert log.newest.times == 1


def test_the_list_of_events_is_bounded() -> None:
    log = EventLog(capacity=10)
    for number in range(50):
        log.consume(Event(0, f"kind-{number}", Severity.INFO, ""))
    assert [entry.kind for entry in log.entries] == [f"kind-{number}" for number in range(40, 50)]


def test_health_in_words() -> None:
    nan = math.nan
    quiet = Health(0, 0, 0, 12_345, 0, 0.041, 0.0682, 0.3, 11.4, 0.11, 0.02)
    texts = {item.name: (item.value, item.worrying) for item in health_items(quiet)}
    assert texts["windows"] == ("12 345", False)
    assert texts["latency"] == ("41 / 68 ms", False)
    assert texts["clock"] == ("+11 ppm", False)
    bad = Health(0, 3, 1_600, 1, 7, nan, nan, 4.0, nan, 1.2, 1.0)
    texts = {item.name: (item.value, item.worrying) for item in health_items(bad)}
    assert texts["latency"] == ("–", False)
    assert texts["clock"][0] == "–"
    assert texts["dropped"] == ("100 ms", True)
    assert {name for name, (_, worrying) in texts.items() if worrying} == {
        "overruns",
        "skipped",
        "words lag",
        "dropped",
        "load",
    }
    assert [item.name for item in health_items(None)] == list(texts)


def test_now_has_a_word_for_every_state() -> None:
    stream = Stream()
    assert now_view("loading", None, CLASSES).headline == "Loading"
    assert now_view("running", None, CLASSES).headline == "No speech"
    listening = now_view("running", stream.estimate(0, SCRIPT[0], round(1.7 * RATE)), CLASSES)
    assert (listening.headline, listening.class_index) == ("Listening", None)
    unsure = now_view("running", stream.estimate(3, SCRIPT[3], round(16.5 * RATE)), CLASSES)
    assert (unsure.headline, unsure.class_index) == ("Unsure", None)
    estimate = stream.estimate(2, SCRIPT[2], round(13.6 * RATE))
    assert estimate.state is EstimateState.CONFIDENT
    confident = now_view("running", estimate, CLASSES)
    assert (confident.headline, confident.class_index) == ("Happiness", 1)
    assert confident.rests_on == "3.0 s of voice and 11 words"
    assert now_view("finished", estimate, CLASSES).scores is None


def test_now_says_which_words_weighed_most_and_how_sure_the_recogniser_is() -> None:
    estimate = Stream().estimate(2, SCRIPT[2], round(13.6 * RATE))
    assert estimate.transcript is not None
    words = tuple(word.text for word in estimate.transcript.words)
    values = np.zeros((len(words), 4), np.float32)
    values[:, 1] = [0.2 if word == "glad" else 0.1 if word in ("news", "wonderful") else 0.02 for word in words]
    values[:, 0] = -values[:, 1]
    weights = WordWeights(words, values)
    view = now_view("running", estimate, CLASSES, weights=weights)
    assert view.heaviest == ("glad", "wonderful", "news")
    assert view.sureness == "97 % sure"
    assert weights.heaviest(0) == ()
    few = replace(estimate, transcript=replace(estimate.transcript, words=estimate.transcript.words[:2]))
    alone = replace(estimate, fusion=None)
    unknown = now_view("running", estimate, CLASSES)
    for without in (now_view("running", one, CLASSES, weights=weights) for one in (few, alone)):
        assert without.heaviest == unknown.heaviest == ()
    revised = tuple(replace(word, text="sad") if word.text == "glad" else word for word in estimate.transcript.words)
    changed = replace(estimate, transcript=replace(estimate.transcript, words=revised))
    assert now_view("running", changed, CLASSES, weights=weights).heaviest == ("wonderful", "news")
    open_words = [replace(word, confidence=math.nan) if index > 3 else word for index, word in enumerate(revised)]
    assert sureness(replace(estimate.transcript, words=tuple(open_words))) == "97 % sure of the first 4"
    assert sureness(replace(estimate.transcript, words=tuple(open_words[4:]))) == ""


@pytest.mark.parametrize(("samples", "text"), [(0, "0:00"), (RATE * 61 + 5, "1:01"), (RATE * 3_723, "1:02:03")])
def test_clock(samples: int, text: str) -> None:
    assert clock(samples) == text


@pytest.mark.parametrize("block", [0.01, 0.03, 0.1])
def test_the_time_axis_moves_evenly_whatever_the_blocks(block: float) -> None:
    axis, rng = AxisTime(), np.random.default_rng(1)
    arrivals = np.arange(1, round(20 / block)) * block + rng.uniform(0.0, 0.01, round(20 / block) - 1)
    drawn: list[int] = []
    for at in np.arange(1.0, 19.0, 0.033):
        newest = round(int((arrivals <= at).sum()) * block * 16_000)
        drawn.append(axis.follow(newest, float(at), running=True))
        assert abs(drawn[-1] - newest) < 0.15 * 16_000
    steps = np.diff(drawn[30:]) / (0.033 * 16_000)
    assert steps.min() > 0.5
    assert steps.max() < 1.5
    assert steps.mean() == pytest.approx(1.0, abs=0.01)


def test_the_time_axis_stands_still_when_nothing_comes_and_where_nothing_runs() -> None:
    axis = AxisTime()
    assert axis.follow(800, 10.0, running=False) == 800
    for number in range(30):
        last = axis.follow(800 + 480 * number, 10.0 + 0.03 * number, running=True)
    silent = [axis.follow(800 + 480 * 29, 10.87 + 0.033 * number, running=True) for number in range(1, 60)]
    assert silent[-1] == silent[4]
    assert 0 <= silent[-1] - last < 0.15 * 16_000
    # A file that is scored faster than it was spoken, and the end.
    assert axis.follow(160_000, 13.0, running=True) == 160_000
    assert axis.follow(160_400, 13.03, running=False) == 160_400


def test_lines_are_thinned_on_a_fixed_grid_and_stay_interrupted() -> None:
    rows = np.column_stack([np.arange(0, 40_000, 160), np.arange(250)]).astype(float)
    rows[100, 1] = np.nan
    thin = last_of_each(rows, 1_600)
    assert np.isnan(thin[:, 1]).sum() == 1
    assert thin[-1].tolist() == rows[-1].tolist()
    assert len(thin) == 26
    later = last_of_each(rows[7:], 1_600)
    assert later[later[:, 0] > 3_000].tolist()[:5] == thin[thin[:, 0] > 3_000].tolist()[:5]
    assert last_of_each(rows[:0], 1_600).shape == (0, 2)


def test_a_recogniser_that_stays_off_is_known_until_the_next_stream() -> None:
    model = DashboardModel(CLASSES)
    model.consume([Event(800, "recognizer-lost", Severity.WARNING, "lost")])
    assert model.words_off is None
    off = Event(1_600, "recognizer-off", Severity.ERROR, "off")
    model.consume([off])
    assert model.words_off == off
    model.reset()
    assert model.words_off is None
