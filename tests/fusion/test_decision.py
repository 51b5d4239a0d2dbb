"""What is claimed, from what, and when nothing is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.fusion.decision import Decider, DecisionFacts, WordTrust
from realtime_ser.types import (
    EndReason,
    EstimateState,
    RecognizerLabel,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    WindowScores,
    Word,
)

LABEL = RecognizerLabel("Test", "none")
FACTS = DecisionFacts(
    classes=("anger", "happiness", "neutral", "sadness"),
    sample_rate=16_000,
    hop=160,
    temperature_acoustic=2.0,
    temperature_text=1.0,
    temperature_fused=1.0,
    threshold_acoustic=0.5,
    threshold_fused=0.6,
    min_voiced=10,
)
ANGRY = np.array([4.0, 0.0, 0.0, 0.0], np.float32)


@dataclass
class Encoding:
    feature: np.ndarray
    logits: np.ndarray
    tokens_known: int
    tokens_total: int


class Text:
    """Knows every word but "zzz", and finds every text sad."""

    def encode(self, words: str | Sequence[str]) -> Encoding:
        tokens = words.split() if isinstance(words, str) else list(words)
        known = sum(token != "zzz" for token in tokens)
        return Encoding(np.ones(3, np.float32), np.array([0.0, 0.0, 0.0, 3.0], np.float32), known, len(tokens))


@dataclass
class Fused:
    logits: np.ndarray
    acoustic_part: np.ndarray
    text_part: np.ndarray
    acoustic_attention: np.ndarray
    text_attention: np.ndarray


class Fusion:
    def fuse(self, acoustic: np.ndarray, text: np.ndarray) -> Fused:
        voice, words = np.array([1.0, 0, 0, 0], np.float32), np.array([0, 0, 0, 3.0], np.float32)
        return Fused(voice + words, voice, words, np.full(32, 1 / 32, np.float32), np.full(75, 1 / 75, np.float32))


def windows(first: int, count: int, logits: np.ndarray = ANGRY, voiced: bool = True) -> WindowScores:
    scores = np.full((count, 4), 0.25, np.float32)
    return WindowScores(
        first, 160, 4_000, scores, np.tile(logits, (count, 1)), np.ones((count, 5), np.float32),
        np.full(count, voiced), np.zeros((count, 2), np.float32), 1.5,
    )  # fmt: skip


def transcript(text: str, confidence: float = 0.9, final: bool = True, heard: int = 50_000, utterance: int = 0) -> Transcript:
    words = tuple(Word(word, Span(0, 1), confidence) for word in text.split())
    return Transcript(utterance, words, heard, confidence, final, LABEL)


def decider(**options: bool) -> Decider:
    return Decider(FACTS, Text(), Fusion(), **options)


def started(count: int = 20) -> Decider:
    made = decider()
    made.begin(UtteranceStart(0, 0, 1_536))
    made.add(windows(0, count))
    return made


def test_without_speech_nothing_is_claimed() -> None:
    estimate = decider().estimate(16_000)
    assert estimate.state is EstimateState.NO_SPEECH
    assert estimate.label is None
    assert not len(estimate.scores)


def test_with_little_voice_there_are_scores_but_no_label() -> None:
    estimate = started(9).estimate(8_000)
    assert estimate.state is EstimateState.LISTENING
    assert estimate.label is None
    assert estimate.scores.sum() == pytest.approx(1.0, abs=1e-6)


def test_the_voice_alone_gives_the_mean_of_the_logits_at_its_temperature() -> None:
    made = started(20)
    made.add(windows(20 * 160, 20, np.zeros(4, np.float32)))
    estimate = made.estimate(8_000)
    # The mean logit of anger is 2, divided by the temperature 2: softmax of (1, 0, 0, 0).
    expected = math.e / (math.e + 3)
    assert estimate.scores[0] == pytest.approx(expected, abs=1e-6)
    assert estimate.voice_share == 1.0
    assert "no words" in estimate.note
    assert estimate.voiced_seconds == pytest.approx(0.4)


def test_windows_without_voice_do_not_count() -> None:
    made = started(20)
    made.add(windows(3_200, 50, np.array([0, 9.0, 0, 0], np.float32), voiced=False))
    np.testing.assert_array_equal(made.estimate(16_000).scores, started(20).estimate(16_000).scores)


def test_below_the_threshold_the_tool_abstains() -> None:
    made = decider()
    made.begin(UtteranceStart(0, 0, 1_536))
    made.add(windows(0, 50, np.array([0.2, 0, 0, 0], np.float32)))
    estimate = made.estimate(16_000)
    assert estimate.state is EstimateState.UNSURE
    assert estimate.label is None


def test_trusted_words_give_the_fused_scores() -> None:
    made = started(50)
    made.hear(transcript("i am sad"))
    estimate = made.estimate(16_000)
    fused = np.exp([1.0, 0, 0, 3.0])
    np.testing.assert_allclose(estimate.scores, fused / fused.sum(), atol=1e-6)
    assert estimate.label == "sadness"
    # Centred parts of norm 3 and 1: three quarters of what moves the classes comes from the words.
    assert estimate.word_share == pytest.approx(0.75, abs=1e-6)
    assert estimate.note == ""


@pytest.mark.parametrize("doubtful", [transcript("i am sad", confidence=0.1), transcript("zzz zzz")])
def test_doubtful_words_leave_the_acoustic_verdict_standing(doubtful: Transcript) -> None:
    made = started(50)
    made.hear(doubtful)
    estimate = made.estimate(16_000)
    np.testing.assert_array_equal(estimate.scores, estimate.acoustic)
    assert estimate.word_share == 0.0
    assert "doubtful" in estimate.note


def test_a_stale_transcript_weighs_less() -> None:
    shares = []
    for at in (20_000, 20_000 + 3 * 16_000, 20_000 + 9 * 16_000):
        made = started(50)
        made.hear(transcript("i am sad", final=False, heard=20_000))
        shares.append(made.estimate(at).word_share)
    assert shares[0] > shares[1] > shares[2] == 0.0


def test_windows_heard_before_the_start_was_decided_belong_to_the_utterance() -> None:
    late = decider()
    late.add(windows(0, 20))
    late.begin(UtteranceStart(0, 0, 20_000))
    np.testing.assert_array_equal(late.estimate(20_000).scores, started(20).estimate(20_000).scores)


def test_windows_centred_before_the_onset_do_not_belong_to_it() -> None:
    made = decider()
    made.begin(UtteranceStart(0, 100_000, 101_536))
    made.add(windows(0, 50))
    assert made.estimate(110_000).voiced_seconds == 0.0


def test_the_verdict_is_the_estimate_with_the_final_words_and_ends_with_the_voice() -> None:
    made = started(50)
    made.end(UtteranceEnd(0, Span(0, 30_000), 40_000, EndReason.SILENCE))
    assert made.pending == (0,)
    assert not made.words_complete(0)
    made.hear(transcript("i am sad"))
    assert made.words_complete(0)
    verdict = made.verdict(0)
    assert verdict.span == Span(0, 30_000)
    assert verdict.estimate.label == "sadness"
    assert made.pending == ()
    made.hear(transcript("too late"))  # words for an utterance that has its verdict change nothing
    assert made.estimate(50_000).state is EstimateState.NO_SPEECH


def test_words_of_the_utterance_before_do_not_leak_into_the_next() -> None:
    made = started(50)
    made.end(UtteranceEnd(0, Span(0, 30_000), 40_000, EndReason.SILENCE))
    made.begin(UtteranceStart(1, 41_000, 42_536))
    made.add(windows(41_000, 50))
    made.hear(transcript("i am sad", utterance=0))
    assert made.estimate(60_000).transcript is None
    assert made.verdict(0).estimate.transcript is not None


def test_a_whole_file_without_voice_is_scored_but_never_labelled() -> None:
    made = decider(whole=True)
    made.begin(UtteranceStart(0, 0, 512))
    made.add(windows(0, 50, voiced=False))
    made.end(UtteranceEnd(0, Span(0, 16_000), 16_000, EndReason.STREAM_END))
    estimate = made.verdict(0).estimate
    assert estimate.state is EstimateState.UNSURE
    assert estimate.scores[0] > 0.5
    assert "no voice" in estimate.note


@given(
    confidence=st.one_of(st.just(math.nan), st.floats(0, 1)),
    known=st.integers(0, 20),
    extra=st.integers(0, 20),
    lag=st.floats(0, 60),
)
def test_the_weight_of_words_lies_between_none_and_all(confidence: float, known: int, extra: int, lag: float) -> None:
    trust = WordTrust()
    weight = trust.weight(confidence, known, known + extra, lag)
    assert 0.0 <= weight <= 1.0
    assert trust.weight(confidence, known, known + extra, lag + 1.0) <= weight
    assert trust.weight(confidence, known, known + extra + 1, lag) <= weight


def test_a_known_speaker_s_offset_shifts_the_fused_log_odds_by_the_voice_s_share() -> None:
    offset = np.array([1.0, 0.0, 0.0, 0.0], np.float32)
    estimates = []
    for facts in (FACTS, replace(FACTS, voice_offset=offset)):
        made = Decider(facts, Text(), Fusion(), WordTrust(none_below=0.0, full_above=0.5))
        made.begin(UtteranceStart(0, 0, 1_536))
        # The windows' logits come lowered already.
        made.add(windows(0, 20, ANGRY if facts is FACTS else ANGRY - offset))
        made.hear(transcript("so sad"))
        estimates.append(made.estimate(50_000))
    plain, known = estimates
    share = plain.word_share
    assert 0.5 < share < 1.0
    odds = np.log(plain.scores / plain.scores[1]) - np.log(known.scores / known.scores[1])
    np.testing.assert_allclose(odds, [(1 - share) / 2.0, 0, 0, 0], atol=1e-5)
    assert known.word_share == share
    moved = plain.fusion.voice_part - known.fusion.voice_part
    np.testing.assert_allclose(moved, [(1 - share) * FACTS.temperature_fused / 2.0, 0, 0, 0], atol=1e-5)


def test_what_went_on_inside_the_fusion_is_told_where_it_was_used() -> None:
    made = started(60)
    assert made.estimate(20_000).fusion is None, "without words there is no fusion"
    made.hear(transcript("zzz zzz"))
    assert made.estimate(20_000).fusion is None, "nor with words that nobody trusts"
    made.hear(transcript("sad words", confidence=0.5))
    detail = made.estimate(20_000).fusion
    assert detail is not None
    assert detail.trust == pytest.approx(0.5)
    assert detail.voice_part.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert detail.words_part.tolist() == [0.0, 0.0, 0.0, 3.0]
    assert detail.voice_attention.shape == (32,)
    assert detail.words_attention.shape == (75,)
