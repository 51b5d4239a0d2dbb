"""Voice probabilities and utterances: independence of the cut, hysteresis, lengths, gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.voice import DETECTOR_CHUNK, Segmenter, VoiceDetector
from realtime_ser.config import VoiceSettings
from realtime_ser.types import EndReason, Span, UtteranceEnd, UtteranceStart, VoiceActivity

CHUNK = DETECTOR_CHUNK
Decision = UtteranceStart | UtteranceEnd


class MeanOfChunks:
    """A classifier with memory, so that a lost or repeated chunk shows in every later value."""

    def __init__(self) -> None:
        self.seen = 0.0
        self.resets = 0

    def __call__(self, chunk: np.ndarray) -> float:
        assert chunk.shape == (CHUNK,)
        assert chunk.flags.c_contiguous
        assert chunk.flags.writeable
        self.seen = 0.5 * self.seen + float(chunk.mean())
        return self.seen

    def reset(self) -> None:
        self.seen = 0.0
        self.resets += 1


def cut(length: int, cuts: list[int]) -> list[tuple[int, int]]:
    """Spans of the blocks that `cuts` (any ints) make of `length` samples, empty blocks included."""
    edges = [0, *sorted(point % (length + 1) for point in cuts), length]
    return list(pairwise(edges))


def activity(probabilities: list[float], first: int = 0) -> VoiceActivity:
    return VoiceActivity(Span(first, first + CHUNK * len(probabilities)), CHUNK, np.asarray(probabilities, dtype=np.float32))


def segment(probabilities: list[float], voice_settings: VoiceSettings | None = None, first: int = 0) -> list[Decision]:
    segmenter = Segmenter(voice_settings)
    decisions = segmenter.process(activity(probabilities, first))
    return decisions + segmenter.finish(first + CHUNK * len(probabilities), EndReason.STREAM_END)


# --- detector -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 4000), st.lists(st.integers(0, 10_000), max_size=12), st.integers(0, 10**9))
def test_probabilities_do_not_depend_on_the_cut(length: int, cuts: list[int], first: int) -> None:
    samples = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    whole = VoiceDetector(MeanOfChunks(), first).process(samples, first)
    detector = VoiceDetector(MeanOfChunks(), first)
    parts = [detector.process(samples[a:b], first + a) for a, b in cut(length, cuts)]
    assert np.array_equal(np.concatenate([part.probabilities for part in parts]), whole.probabilities)
    assert whole.span == Span(first, first + length // CHUNK * CHUNK)
    assert parts[0].span.first == first
    assert all(a.span.end == b.span.first for a, b in pairwise(parts))
    assert detector.next_sample == first + length


def test_a_gap_starts_a_new_grid_and_a_fresh_classifier() -> None:
    classifier = MeanOfChunks()
    detector = VoiceDetector(classifier)
    samples = np.ones(CHUNK + 100, dtype=np.float32)
    detector.process(samples, 0)
    with pytest.raises(ValueError, match=r"must follow on sample 612, got 1000"):
        detector.process(samples, 1000)
    detector.reset(1000)
    after = detector.process(samples, 1000)
    assert after.span == Span(1000, 1000 + CHUNK)
    assert after.probabilities.tolist() == [1.0]
    assert classifier.resets == 1


@pytest.mark.parametrize("bad", [np.zeros((4, 1), np.float32), np.zeros(4, np.float64)])
def test_samples_of_another_shape_or_type_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32 of shape"):
        VoiceDetector(MeanOfChunks()).process(bad, 0)


def test_probabilities_are_read_only() -> None:
    result = VoiceDetector(MeanOfChunks()).process(np.zeros(CHUNK, np.float32), 0)
    with pytest.raises(ValueError, match="read-only"):
        result.probabilities[0] = 1.0


def test_silero_is_independent_of_the_cut_and_forgets_on_reset() -> None:
    # The network need not hear speech for this: what matters is that its state follows the stream and nothing else.
    rng = np.random.default_rng(7)
    time = np.arange(40 * CHUNK + 77) / 16_000
    buzz = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time))
    samples = (0.1 * buzz + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    samples.flags.writeable = False
    detector = VoiceDetector()
    whole = detector.process(samples, 0).probabilities
    assert len(whole) == 40
    assert ((whole >= 0) & (whole <= 1)).all()
    detector.reset(5)
    parts = [detector.process(samples[a : a + 333], 5 + a).probabilities for a in range(0, len(samples), 333)]
    assert np.array_equal(np.concatenate(parts), whole)


# --- segmenter ------------------------------------------------------------------------------------------------------------


def test_an_utterance_has_the_onset_of_its_run_and_the_end_of_its_last_voiced_chunk() -> None:
    decisions = segment([0.1] * 5 + [0.9] * 10 + [0.0] * 30)
    assert decisions == [
        UtteranceStart(0, onset=5 * CHUNK, decided_at=8 * CHUNK),
        UtteranceEnd(0, Span(5 * CHUNK, 15 * CHUNK), decided_at=35 * CHUNK, reason=EndReason.SILENCE),
    ]


def test_short_voice_starts_nothing() -> None:
    assert segment([0.9, 0.9, 0.0] * 10) == []


def test_between_the_thresholds_voice_goes_on_but_does_not_set_in() -> None:
    assert segment([0.4] * 50) == []
    assert segment([0.6] + [0.4] * 9) == [
        UtteranceStart(0, 0, 3 * CHUNK),
        UtteranceEnd(0, Span(0, 10 * CHUNK), 10 * CHUNK, EndReason.STREAM_END),
    ]


def test_a_pause_shorter_than_the_end_silence_is_part_of_the_utterance() -> None:
    decisions = segment([0.9] * 5 + [0.0] * 19 + [0.9] * 5 + [0.0] * 20)
    assert [d for d in decisions if isinstance(d, UtteranceEnd)] == [
        UtteranceEnd(0, Span(0, 29 * CHUNK), 49 * CHUNK, EndReason.SILENCE)
    ]


def test_a_monologue_is_cut_and_goes_on_right_there() -> None:
    limits = VoiceSettings(max_utterance_ms=320)  # 10 chunks
    assert segment([0.9] * 24 + [0.0] * 20, limits) == [
        UtteranceStart(0, 0, 3 * CHUNK),
        UtteranceEnd(0, Span(0, 10 * CHUNK), 10 * CHUNK, EndReason.LENGTH),
        UtteranceStart(1, 10 * CHUNK, 13 * CHUNK),
        UtteranceEnd(1, Span(10 * CHUNK, 20 * CHUNK), 20 * CHUNK, EndReason.LENGTH),
        UtteranceStart(2, 20 * CHUNK, 23 * CHUNK),
        # Ten chunks after the onset the length is reached; the voice had ended before.
        UtteranceEnd(2, Span(20 * CHUNK, 24 * CHUNK), 30 * CHUNK, EndReason.LENGTH),
    ]


def test_a_gap_ends_the_utterance_and_numbers_go_on() -> None:
    segmenter = Segmenter()
    first = segmenter.process(activity([0.9] * 4))
    first += segmenter.finish(4 * CHUNK + 100, EndReason.GAP)
    assert first[-1] == UtteranceEnd(0, Span(0, 4 * CHUNK), 4 * CHUNK + 100, EndReason.GAP)
    assert segmenter.finish(4 * CHUNK + 100, EndReason.GAP) == []
    assert segmenter.process(activity([0.9] * 3, first=7777)) == [UtteranceStart(1, 7777, 7777 + 3 * CHUNK)]
    assert segmenter.in_utterance


def test_wrong_order_is_refused() -> None:
    segmenter = Segmenter()
    segmenter.process(activity([0.9] * 4))
    with pytest.raises(ValueError, match="must follow on sample 2048, got 0"):
        segmenter.process(activity([0.9]))
    with pytest.raises(ValueError, match="must not lie before 2048"):
        segmenter.finish(2047, EndReason.STREAM_END)
    with pytest.raises(ValueError, match="must have 512 samples, got 256"):
        segmenter.process(VoiceActivity(Span(2048, 2304), 256, np.zeros(1, np.float32)))


probability_lists = st.lists(
    st.tuples(st.sampled_from([0.0, 0.34, 0.36, 0.49, 0.51, 1.0]), st.integers(1, 12)).map(lambda run: [run[0]] * run[1]),
    max_size=25,
).map(lambda runs: [p for run in runs for p in run])
voice_settings = st.builds(
    VoiceSettings,
    min_voice_ms=st.integers(1, 150),
    end_silence_ms=st.integers(1, 400),
    max_utterance_ms=st.integers(151, 1500),
)


@given(probability_lists, st.lists(st.integers(0, 1000), max_size=8), voice_settings)
def test_decisions_do_not_depend_on_the_cut(probabilities: list[float], cuts: list[int], limits: VoiceSettings) -> None:
    whole = segment(probabilities, limits)
    segmenter = Segmenter(limits)
    parts: list[Decision] = []
    for a, b in cut(len(probabilities), cuts):
        parts += segmenter.process(activity(probabilities[a:b], a * CHUNK))
    parts += segmenter.finish(len(probabilities) * CHUNK, EndReason.STREAM_END)
    assert parts == whole


@settings(max_examples=200)
@given(probability_lists, voice_settings)
def test_utterances_alternate_do_not_overlap_and_keep_their_limits(probabilities: list[float], limits: VoiceSettings) -> None:
    decisions = segment(probabilities, limits)
    assert [type(d) for d in decisions] == [UtteranceStart, UtteranceEnd] * (len(decisions) // 2)
    assert [d.utterance for d in decisions] == [n // 2 for n in range(len(decisions))]
    assert [d.decided_at for d in decisions] == sorted(d.decided_at for d in decisions)
    previous_end = 0
    for start, end in zip(decisions[::2], decisions[1::2], strict=True):
        assert isinstance(start, UtteranceStart)
        assert isinstance(end, UtteranceEnd)
        assert end.span.first == start.onset >= previous_end
        assert end.span.end <= end.decided_at
        assert start.onset < start.decided_at <= end.decided_at
        assert (start.onset % CHUNK, end.span.end % CHUNK, start.decided_at % CHUNK) == (0, 0, 0)
        assert len(end.span) <= limits.max_utterance_ms * 16 + CHUNK
        # The decision falls as soon as enough voice was heard, never later.
        assert 0 <= start.decided_at - start.onset - limits.min_voice_ms * 16 < CHUNK
        previous_end = end.span.end
