"""The recogniser hears every utterance, all of it, once, and nothing else; and its failures stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from engine_stages import HeardUtterance, ScriptedRecognizer
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.config import EngineSettings
from realtime_ser.engine.signal import Mark, Step
from realtime_ser.engine.words import Heard, WordsStage
from realtime_ser.types import EndReason, Span, UtteranceEnd, UtteranceStart

STEP = 1_600
PRE_ROLL = 4_800
RAMP = np.arange(400_000, dtype=np.float32)
"""The sample number as the signal: what the recogniser heard tells where it came from."""


def steps(length: int, marks: list[Mark]) -> list[Step]:
    return [
        Step(
            Span(first, first + STEP),
            RAMP[first : first + STEP],
            (),
            tuple(mark for mark in marks if first < mark.decided_at <= first + STEP),
        )
        for first in range(0, length, STEP)
    ]


def utterance(number: int, onset: int, end: int, decided: int | None = None) -> list[Mark]:
    return [
        UtteranceStart(number, onset, onset + 1_536),
        UtteranceEnd(number, Span(onset, end), end + 10_240 if decided is None else decided, EndReason.SILENCE),
    ]


def hear(made: list[Step], **options: object) -> tuple[list[HeardUtterance], list[Heard], WordsStage]:
    record: list[HeardUtterance] = []
    stage = WordsStage(lambda: ScriptedRecognizer(record, **options), EngineSettings())  # type: ignore[arg-type]
    assert stage.start() == []
    return record, [stage.process(step) for step in made], stage


def heard_samples(utterance: HeardUtterance) -> np.ndarray:
    return np.concatenate(utterance.samples)


@given(onset=st.integers(0, 40_000), length=st.integers(1_536, 60_000))
def test_it_hears_the_utterance_with_its_pre_roll_once_and_in_order(onset: int, length: int) -> None:
    end = onset + length
    record, results, _ = hear(steps(end + 20_000, utterance(0, onset, end)))
    (only,) = record
    np.testing.assert_array_equal(heard_samples(only), RAMP[only.first : only.first + len(heard_samples(only))])
    assert only.first == max(onset - PRE_ROLL, 0)
    assert only.span.end == end + 10_240
    finals = [transcript for heard in results for transcript in heard.transcripts if transcript.final]
    assert [transcript.utterance for transcript in finals] == [0]
    assert only.finished


def test_the_pre_roll_takes_nothing_from_the_utterance_before() -> None:
    marks = [*utterance(0, 10_000, 30_000), *utterance(1, 41_000, 60_000)]
    record, _, _ = hear(steps(90_000, marks))
    first, second = record
    assert second.first == first.span.end == 40_240
    assert second.first > 41_000 - PRE_ROLL


def test_a_long_utterance_is_cut_without_losing_or_repeating_a_sample() -> None:
    cut = 32_256
    marks: list[Mark] = [
        UtteranceStart(0, 0, 1_536),
        UtteranceEnd(0, Span(0, cut), cut, EndReason.LENGTH),
        UtteranceStart(1, cut, cut + 1_536),
        UtteranceEnd(1, Span(cut, 60_000), 70_240, EndReason.SILENCE),
    ]
    record, _, _ = hear(steps(80_000, marks))
    first, second = record
    # The step in which the cut was decided was heard up to its end by the first utterance only as far as the cut.
    assert first.span.end == second.first
    np.testing.assert_array_equal(np.concatenate([heard_samples(first), heard_samples(second)]), RAMP[: second.span.end])


def test_partial_transcripts_say_how_far_they_have_heard() -> None:
    _, results, _ = hear(steps(80_000, utterance(0, 8_000, 60_000)))
    partials = [(heard.until, t.heard_until) for heard in results for t in heard.transcripts if not t.final]
    assert len(partials) > 20
    # The last one ends with the utterance, inside its step.
    assert all(until == heard_until for until, heard_until in partials[:-1])
    assert partials[-1][1] == 70_240


def test_a_failing_recogniser_is_replaced_and_the_next_utterance_is_heard() -> None:
    marks = [*utterance(0, 8_000, 30_000), *utterance(1, 50_000, 80_000)]
    record, results, stage = hear(steps(100_000, marks), fails_at=lambda number, call: number == 0 and call == "accept")
    events = [event for heard in results for event in heard.events]
    assert [event.kind for event in events] == ["recognizer-lost"]
    finals = [t for heard in results for t in heard.transcripts if t.final]
    assert [(t.utterance, t.text == "") for t in finals] == [(0, True), (1, False)]
    assert record[-1].number == 1
    assert record[-1].finished
    assert stage.failures == 1


@pytest.mark.parametrize("call", ["begin", "accept", "finish"])
def test_one_that_keeps_failing_is_left_off_and_every_utterance_still_ends(call: str) -> None:
    marks = [mark for number in range(6) for mark in utterance(number, 8_000 + 40_000 * number, 30_000 + 40_000 * number)]
    _, results, stage = hear(steps(270_000, marks), fails_at=lambda number, called: called == call)
    kinds = [event.kind for heard in results for event in heard.events]
    assert kinds == ["recognizer-lost"] * 3 + ["recognizer-off"]
    assert not stage.working
    finals = [t.utterance for heard in results for t in heard.transcripts if t.final]
    assert finals == list(range(6))


def test_one_that_cannot_be_started_is_said_once_and_costs_nothing_else() -> None:
    record: list[HeardUtterance] = []
    stage = WordsStage(lambda: ScriptedRecognizer(record, lambda number, call: call == "start"), EngineSettings())
    assert [event.kind for event in stage.start()] == ["recognizer-off"]
    results = [stage.process(step) for step in steps(60_000, utterance(0, 8_000, 30_000))]
    assert [t.final for heard in results for t in heard.transcripts] == [True]
    assert record == []


def test_missing_steps_end_the_utterance_early_and_no_sound_is_joined_over_the_hole() -> None:
    made = steps(100_000, utterance(0, 8_000, 80_000))
    record, results, _ = hear(made[:12] + made[20:])
    (only,) = record
    assert only.span.end == made[11].span.end
    finals = [t for heard in results for t in heard.transcripts if t.final]
    assert [t.utterance for t in finals] == [0]
