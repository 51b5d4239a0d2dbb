"""Several people together: one clock for what they say, one end, and the scores that everybody has alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from engine_stages import ScriptedSource, blocks, collect

from realtime_ser.assembly import Models, build_engine, build_people, load_models
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import Callback, InputDevice
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.engine import Phase
from realtime_ser.engine.people import People, PeopleClock, Said, moved
from realtime_ser.errors import DeviceError
from realtime_ser.session.clock import AnchoredClock
from realtime_ser.types import (
    EndReason,
    Event,
    Level,
    Output,
    Severity,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    WindowScores,
    Word,
)


@pytest.fixture(scope="module")
def models(random_bundle: Any) -> Models:
    return load_models(random_bundle, "none")


def said_by(outputs: list[Said], person: int) -> list[Output]:
    return [said.output for said in outputs if said.person == person]


def scores(outputs: list[Output]) -> np.ndarray:
    return np.concatenate([output.scores for output in outputs if isinstance(output, WindowScores)])


# Running ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_thread_left")
def test_everybody_gets_the_scores_that_they_have_alone(models: Models, demonstration: np.ndarray) -> None:
    voices = (demonstration[12_000:130_000], demonstration[130_000:200_000])  # one ends before the other
    alone = []
    for voice in voices:
        engine = build_engine(models, ArraySource(voice, 16_000))
        channel = engine.subscribe(100_000, Policy.KEEP_ALL)
        with engine:
            alone.append(collect(channel))
    people = build_people(models, [ArraySource(voice, 16_000) for voice in voices], names=("A", "B"))
    together = people.subscribe(100_000, Policy.KEEP_ALL)
    each = people.subscribe_each(100_000, Policy.KEEP_ALL)
    with people:
        outputs: list[Said] = collect(together)  # type: ignore[arg-type, assignment]
        apart = [collect(channel) for channel in each]
    assert people.phase is Phase.FINISHED
    for person in (0, 1):
        for found in (said_by(outputs, person), apart[person]):
            np.testing.assert_array_equal(scores(found), scores(alone[person]))
            verdicts = [output for output in found if isinstance(output, Verdict)]
            expected = [output for output in alone[person] if isinstance(output, Verdict)]
            assert [verdict.span for verdict in verdicts] == [verdict.span for verdict in expected]
            for verdict, other in zip(verdicts, expected, strict=True):
                np.testing.assert_array_equal(verdict.estimate.scores, other.estimate.scores)


@pytest.mark.usefixtures("no_thread_left")
def test_where_one_is_lost_all_end_and_the_cause_is_raised(models: Models, demonstration: np.ndarray) -> None:
    lost = ScriptedSource(blocks(demonstration[:40_000], [800] * 60), live=True, then=DeviceError("It went away."))
    stays = ScriptedSource(blocks(demonstration[:40_000], [800] * 60), live=True, then="wait")
    people = build_people(models, [stays, lost], names=("A", "B"))
    outputs = people.subscribe(100_000, Policy.KEEP_ALL)
    people.start()
    found: list[Said] = collect(outputs)  # type: ignore[arg-type, assignment]
    assert any(isinstance(output, Event) and output.kind == "source-lost" for output in said_by(found, 1))
    assert scores(said_by(found, 0)).shape[0] > 100
    with pytest.raises(DeviceError, match="went away"):
        people.close()
    assert people.phase is Phase.FAILED
    assert stays.closings > 0


@pytest.mark.usefixtures("no_thread_left")
def test_a_source_that_does_not_open_leaves_nobody_running(models: Models, demonstration: np.ndarray) -> None:
    opens = ScriptedSource(blocks(demonstration[:8_000], [800] * 10), live=True, then="wait")
    refuses = ScriptedSource([], then=DeviceError("It refuses."), opens=False)
    people = build_people(models, [opens, refuses], names=("A", "B"))
    with pytest.raises(DeviceError, match="refuses"):
        people.start()
    assert opens.closings > 0


def test_there_must_be_somebody() -> None:
    with pytest.raises(ValueError, match="one engine at least"):
        People([])


def test_drops_are_told_once(models: Models) -> None:
    people = build_people(models, [ScriptedSource([]), ScriptedSource([])], names=("A", "B"), one_clock=True)
    together = people.subscribe(1, Policy.DROP_OLDEST)
    first, second = (engine._subscriptions[-1] for engine in people.engines)
    for number in range(5):
        first.put(Event(number, "test", Severity.INFO, ""))
    assert (together.dropped, first.dropped, second.dropped) == (4, 4, 0)


# The clock -------------------------------------------------------------------------------------------------------------------


def test_everything_is_moved_with_its_words() -> None:
    words = Transcript(1, (Word("a", Span(5, 9), 0.5),), 10, 0.5, True, None)  # type: ignore[arg-type]
    assert moved(words, 100).words[0].span == Span(105, 109)  # type: ignore[union-attr]
    assert moved(words, 100).heard_until == 110  # type: ignore[union-attr]
    assert moved(Level(Span(0, 5), 0, 0), -3).span == Span(-3, 2)  # type: ignore[union-attr]
    start = moved(UtteranceStart(0, 10, 20), 1)
    assert start == UtteranceStart(0, 11, 21)
    end = moved(UtteranceEnd(0, Span(1, 2), 3, EndReason.GAP), 1)
    assert end == UtteranceEnd(0, Span(2, 3), 4, EndReason.GAP)
    assert moved(words, 0) is words


def test_what_is_said_before_there_is_a_clock_waits_for_it(models: Models) -> None:
    people = build_people(models, [ScriptedSource([]), ScriptedSource([])], names=("A", "B"), one_clock=False)
    together = people.subscribe(100, Policy.KEEP_ALL)

    def say(person: int, output: Output) -> None:
        for sink in people.engines[person]._subscriptions:
            sink.put(output)

    def windows(end: int, at: float) -> WindowScores:
        nothing = np.zeros((1, 4), np.float32)
        return WindowScores(end - 4_000, 160, 4_000, nothing, nothing, nothing, np.ones(1, bool), nothing, at)

    say(1, Level(Span(0, 800), -20, -30))
    say(1, windows(4_000, 10.25))
    assert together.drain() == []
    say(0, windows(16_000, 10.0))
    say(1, windows(4_160, 10.26))
    found = together.drain()
    assert [said.person for said in found] == [0, 1, 1, 1]
    assert found[1].output.span == Span(16_000, 16_800)  # type: ignore[union-attr]
    assert found[3].output.first_window == 16_160  # type: ignore[union-attr]


class Card:
    """A :class:`~realtime_ser.audio.portaudio.Backend` whose crystal runs wrong, and whose blocks come late by a few ms."""

    def __init__(self, ppm: float, begins: float, seed: int) -> None:
        self.true_rate = 16_000 * (1 + ppm * 1e-6)
        self.begins = begins
        self.frames = 0
        self.time = 0.0
        self._late = np.random.default_rng(seed)
        self._callback: Callback | None = None

    def devices(self, *, anew: bool = False) -> list[InputDevice]:
        return [InputDevice(0, "card", "none", 1, 16_000, default=True, loopback=False)]

    def open(
        self, device: InputDevice, rate: int, channels: int, latency: Literal["low", "high"] | float,
        callback: Callback, finished: Callable[[], None],
    ) -> Card:  # fmt: skip
        self._callback = callback
        return self

    latency = 0.0
    active = True

    def start(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...

    def captured(self, frames: int) -> float:
        """The true time at which so many frames had been captured."""
        return self.begins + frames / self.true_rate

    def sample_at(self, time: float) -> float:
        return (time - self.begins) * self.true_rate

    def deliver(self, frames: int) -> None:
        class Flags:
            input_overflow = False

        self.frames += frames
        self.time = self.captured(self.frames) + float(self._late.exponential(0.004))
        assert self._callback is not None
        self._callback(np.zeros((frames, 1), np.float32), frames, None, Flags())


def test_microphones_whose_clocks_drift_apart_stay_on_one_clock() -> None:
    """Half an hour at 140 ppm apart: a quarter of a second, of which no more than a millisecond and a half is left."""
    cards = (Card(60.0, 1000.0, 1), Card(-80.0, 1000.35, 2))
    sources = [
        MicrophoneSource(backend=card, now=lambda card=card: card.time, asleep=lambda: 0.0, return_seconds=0) for card in cards
    ]
    for source in sources:
        source.open()
    clock = PeopleClock()
    anchors: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    live_errors = []
    for tenth in range(18_000):
        for person, (card, source) in enumerate(zip(cards, sources, strict=True)):
            card.deliver(1_600)
            block = source.read(0.0)
            assert block is not None
            assert block.captured_at is not None
            clock.observe(person, block.span.end, block.captured_at)
            if tenth % 5 == 0:
                anchors[person].append({"sample": block.span.end, "perf_counter": block.captured_at})
        offset = clock.offset(1)
        assert offset is not None
        own = cards[1].frames
        live_errors.append(own + offset - cards[0].sample_at(cards[1].captured(own)))
    recorded = AnchoredClock(anchors[1], anchors[0], 16_000)
    own_samples = np.arange(0, cards[1].frames, 8_000)
    true = np.array([cards[0].sample_at(cards[1].captured(int(sample))) for sample in own_samples])
    found = recorded.to_first(own_samples)
    assert abs(true[-1] - true[0] - (own_samples[-1] - own_samples[0])) > 0.24 * 16_000  # what drift alone would do
    assert np.abs(found - true).max() < 0.0015 * 16_000
    assert np.abs(recorded.to_own(found) - own_samples).max() <= 1
    assert np.abs(np.array(live_errors[600:])).max() < 0.003 * 16_000  # after a minute


def test_the_clock_may_be_asked_by_any_thread() -> None:
    clock = PeopleClock()
    threads = [
        threading.Thread(target=lambda person=person: [clock.observe(person, 160 * i, i / 100) for i in range(2_000)])
        for person in (0, 1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.observe(1, 320_000, 20.0)
    clock.observe(0, 320_000, 20.0)
    clock.observe(1, 320_000, 20.0)
    assert abs(clock.offset(1) or 0) < 16
    assert clock.offset(0) == 0
    assert PeopleClock().offset(1) is None
