"""Live, replay and batch are the same computation: whatever the cut, whatever the thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_stages import HeardUtterance, ScriptedRecognizer, ScriptedSource, blocks, collect
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.asr.discovery import RecognizerChoice
from realtime_ser.assembly import Models, build_engine, build_stages, load_models
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.pipeline import Pipeline
from realtime_ser.types import (
    Block,
    EndReason,
    Estimate,
    Output,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    WindowScores,
)

ROUNDING = 1e-5
"""Batches of other sizes are summed in another order; single precision then differs in the last digits."""


@pytest.fixture(scope="module")
def models(random_bundle: Path) -> Models:
    loaded = load_models(random_bundle, "none")
    record: list[HeardUtterance] = []
    choice = RecognizerChoice(lambda: ScriptedRecognizer(record), ScriptedRecognizer.label, "scripted")
    return Models(loaded.bundle, loaded.acoustic, loaded.text, loaded.fusion, choice)


@pytest.fixture(scope="module")
def speech(demonstration: np.ndarray) -> np.ndarray:
    """Two utterances and the pause between them."""
    return demonstration[12_000:170_000]


def run(models: Models, made: list[Block], *, whole: bool = False) -> list[Output]:
    pipeline = Pipeline(build_stages(models, live=False, segmentation="whole" if whole else "voice"))
    outputs = [output for block in made for output in pipeline.process(block)]
    outputs += pipeline.finish()
    pipeline.close()
    return outputs


@pytest.fixture(scope="module")
def reference(models: Models, speech: np.ndarray) -> list[Output]:
    return run(models, blocks(speech, [1_600] * 200))


def assert_same(one: list[Output], other: list[Output]) -> None:
    def windows(outputs: list[Output]) -> tuple[list[Span], np.ndarray]:
        found = [output for output in outputs if isinstance(output, WindowScores)]
        return [span for output in found for span in output.window_spans()], np.concatenate([o.scores for o in found])

    spans, scores = windows(one)
    other_spans, other_scores = windows(other)
    assert spans == other_spans
    np.testing.assert_allclose(scores, other_scores, atol=ROUNDING)
    for kind in (UtteranceStart, UtteranceEnd, Transcript):
        assert [o for o in one if isinstance(o, kind)] == [o for o in other if isinstance(o, kind)]
    for kind in (Estimate, Verdict):
        left, right = ([o for o in outputs if isinstance(o, kind)] for outputs in (one, other))
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert a.span == b.span
            first, second = (o.estimate if isinstance(o, Verdict) else o for o in (a, b))
            assert (first.label, first.state, first.note) == (second.label, second.state, second.note)
            np.testing.assert_allclose(first.scores, second.scores, atol=ROUNDING)
            assert first.word_share == pytest.approx(second.word_share, abs=1e-4)


def test_the_reference_says_something(reference: list[Output]) -> None:
    verdicts = [output for output in reference if isinstance(output, Verdict)]
    assert len(verdicts) == 2
    assert all(verdict.estimate.transcript is not None and verdict.estimate.transcript.final for verdict in verdicts)
    assert all(0 < verdict.estimate.word_share < 1 or "doubtful" in verdict.estimate.note for verdict in verdicts)


@settings(max_examples=12)
@given(lengths=st.lists(st.integers(1, 20_000), min_size=1, max_size=300))
def test_no_cut_of_the_input_changes_an_output(
    models: Models, speech: np.ndarray, reference: list[Output], lengths: list[int]
) -> None:
    assert_same(reference, run(models, blocks(speech, lengths)))


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("length", [160, 1_000, 16_000, 200_000])
def test_the_threaded_engine_gives_what_one_thread_gives(
    models: Models, speech: np.ndarray, reference: list[Output], length: int
) -> None:
    engine = build_engine(models, ScriptedSource(blocks(speech, [length] * 1_000)))
    channel = engine.subscribe(16, Policy.KEEP_ALL)
    with engine:
        outputs = collect(channel)
        assert engine.wait(10)
    assert_same(reference, outputs)


def test_a_verdict_equals_the_last_estimate_on_the_same_words_and_windows(models: Models, speech: np.ndarray) -> None:
    """When a stream breaks off in mid-utterance, the prefix's estimate and the verdict are one and the same."""
    outputs = run(models, blocks(speech[:48_000], [1_600] * 30))
    verdict = next(output for output in outputs if isinstance(output, Verdict))
    estimate = [output for output in outputs if isinstance(output, Estimate) and output.utterance is not None][-1]
    assert verdict.reason is EndReason.STREAM_END
    np.testing.assert_allclose(verdict.estimate.acoustic, estimate.acoustic, atol=ROUNDING)


def test_no_window_spans_a_gap_and_the_gap_is_counted(models: Models, speech: np.ndarray) -> None:
    before = blocks(speech[:40_000], [1_600] * 25)
    after = blocks(speech[40_000 + 5_000 : 90_000], [1_600] * 40, first=45_000)
    marked = [Block(after[0].span, after[0].samples, gap_before=True), *after[1:]]
    stages = build_stages(models, live=False)
    pipeline = Pipeline(stages)
    outputs = [output for block in before + marked for output in pipeline.process(block)] + pipeline.finish()
    spans = [span for output in outputs if isinstance(output, WindowScores) for span in output.window_spans()]
    assert not [span for span in spans if span.first < 45_000 < span.end or span.first < 40_000 < span.end]
    assert min(span.first for span in spans if span.first >= 40_000) == 45_000
    ends = [output for output in outputs if isinstance(output, UtteranceEnd)]
    assert ends[0].reason is EndReason.GAP
    assert ends[0].decided_at == 40_000
    # Without the gap, windows would start at every multiple of the hop up to sample 45,000.
    last_before = max(span.first for span in spans if span.first < 40_000)
    assert stages.signal.windows_skipped == (45_000 - last_before) // 160 - (1 if last_before % 160 == 45_000 % 160 else 0)


def test_a_pause_before_a_gap_changes_nothing_but_the_time_of_the_verdict(models: Models, speech: np.ndarray) -> None:
    before = blocks(speech[:41_000], [1_600] * 26)
    after = blocks(speech[60_000:90_000], [1_600] * 40, first=60_000)
    marked = [Block(after[0].span, after[0].samples, gap_before=True), *after[1:]]
    without = run(models, before + marked)
    pipeline = Pipeline(build_stages(models, live=False))
    outputs = [output for block in before for output in pipeline.process(block)]
    pause = [*pipeline._follow(pipeline._stages.signal.pause())]
    assert [output.reason for output in pause if isinstance(output, Verdict)] == [EndReason.GAP]
    assert not pipeline._follow(pipeline._stages.signal.pause())
    outputs += pause + [output for block in marked for output in pipeline.process(block)] + pipeline.finish()
    assert_same(without, outputs)


def test_what_follows_a_gap_equals_a_stream_that_begins_there(models: Models, speech: np.ndarray) -> None:
    """Except for the running mean, which goes on: so the second part is preceded by silence that leaves it untouched."""
    part = speech[70_000:150_000]
    silence = np.zeros(20_000, np.float32)
    begun = run(models, blocks(part, [1_600] * 50, first=30_000))
    after = blocks(part, [777] * 200, first=30_000)
    resumed = run(models, [*blocks(silence, [1_600] * 20), Block(after[0].span, after[0].samples, gap_before=True), *after[1:]])
    verdicts = [[o for o in outputs if isinstance(o, Verdict)] for outputs in (begun, resumed)]
    assert [v.span for v in verdicts[0]] == [v.span for v in verdicts[1]]
    for one, other in zip(*verdicts, strict=True):
        np.testing.assert_allclose(one.estimate.scores, other.estimate.scores, atol=ROUNDING)


def test_blocks_that_do_not_follow_are_refused(models: Models, speech: np.ndarray) -> None:
    made = blocks(speech[:8_000], [1_600] * 5)
    pipeline = Pipeline(build_stages(models, live=False))
    pipeline.process(made[0])
    with pytest.raises(ValueError, match="declares no gap"):
        pipeline.process(made[2])
    with pytest.raises(ValueError, match="move forward"):
        pipeline.process(Block(made[0].span, made[0].samples, gap_before=True))


def test_whole_files_are_one_utterance(models: Models, speech: np.ndarray) -> None:
    verdicts = [o for o in run(models, blocks(speech, [4_000] * 50), whole=True) if isinstance(o, Verdict)]
    assert [verdict.span for verdict in verdicts] == [Span(0, len(speech))]


def test_scores_sum_to_one_and_carry_no_label_without_confidence(reference: list[Output]) -> None:
    for output in reference:
        if isinstance(output, Estimate) and len(output.scores):
            assert output.scores.sum() == pytest.approx(1.0, abs=1e-5)
            assert output.voice_share + output.word_share == pytest.approx(1.0)
            assert (output.label is None) == (str(output.state) != "confident")
        if isinstance(output, WindowScores):
            np.testing.assert_allclose(output.scores.sum(axis=1), 1.0, atol=1e-5)


def test_arrays_that_cross_threads_cannot_be_written(reference: list[Output]) -> None:
    windows = next(output for output in reference if isinstance(output, WindowScores))
    for array in (windows.scores, windows.logits, windows.features, windows.band_energies):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
