"""The streaming laws: no cut of the input matters, and the stream equals windows evaluated one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.acoustic.execution import Execution
from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.normalisation import RunningBandMean
from realtime_ser.acoustic.stream import AcousticStream, band_offsets, evaluate_window
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.types import VoiceActivity, WindowScores


@pytest.fixture(scope="module", params=["random", "default", "default in integers"])
def model(request: pytest.FixtureRequest, random_bundle: Path) -> AcousticModel:
    """The random bundle has another geometry than the default one."""
    bundle = load_bundle(random_bundle if request.param == "random" else "default-bundle")
    return AcousticModel.from_bundle(bundle, Execution(weights="int8" if "integers" in request.param else "float32"))


@pytest.fixture(scope="module")
def speech(demonstration: np.ndarray) -> np.ndarray:
    return demonstration[16_000:64_000]


@pytest.fixture(scope="module")
def activity(speech: np.ndarray) -> VoiceActivity:
    return VoiceDetector().process(speech, 0)


def stream(model: AcousticModel, samples: np.ndarray, activity: VoiceActivity, cuts: list[int]) -> list[WindowScores]:
    """Push `samples` in pieces whose lengths repeat `cuts`."""
    acoustic = AcousticStream(model)
    results: list[WindowScores] = []
    position = chunks = turn = 0
    while position < len(samples):
        piece = samples[position : position + cuts[turn % len(cuts)]]
        turn += 1
        position += len(piece)
        complete = position // activity.chunk
        part = None
        if complete > chunks:
            span = type(activity.span)(chunks * activity.chunk, complete * activity.chunk)
            part = VoiceActivity(span, activity.chunk, activity.probabilities[chunks:complete])
            chunks = complete
        results += acoustic.push(piece, part)
    return results


def together(results: list[WindowScores]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.concatenate([result.scores for result in results]),
        np.concatenate([result.features for result in results]),
        np.concatenate([result.voiced for result in results]),
    )


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 9_000), min_size=1, max_size=8).filter(lambda cuts: sum(cuts) >= 200))
def test_no_cut_of_the_input_changes_a_score(
    model: AcousticModel, speech: np.ndarray, activity: VoiceActivity, cuts: list[int]
) -> None:
    whole = stream(model, speech, activity, [len(speech)])
    pieces = stream(model, speech, activity, cuts)
    for one, other in zip(together(whole), together(pieces), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(
            one.astype(float), other.astype(float), atol=model.form.rounding * max(1.0, float(np.abs(one).max()))
        )
    assert [span for result in whole for span in result.window_spans()] == [
        span for result in pieces for span in result.window_spans()
    ]


def test_the_stream_equals_windows_evaluated_one_by_one(
    model: AcousticModel, speech: np.ndarray, activity: VoiceActivity
) -> None:
    scores, features, _ = together(stream(model, speech, activity, [160]))
    offsets = band_offsets(model, speech, activity)
    for number in range(len(scores)):
        window = speech[number * model.hop : number * model.hop + model.window]
        feature, single = evaluate_window(model, window, offsets[number : number + model.bands_per_window])
        np.testing.assert_allclose(scores[number], single, atol=model.form.rounding)
        np.testing.assert_allclose(features[number], feature, atol=model.form.rounding * max(1.0, float(np.abs(feature).max())))


def test_every_window_lies_wholly_in_the_signal(model: AcousticModel, speech: np.ndarray, activity: VoiceActivity) -> None:
    results = stream(model, speech, activity, [1_000])
    spans = [span for result in results for span in result.window_spans()]
    assert spans[0].first == 0
    assert [span.first for span in spans] == list(range(0, len(speech) - model.window + 1, model.hop))
    assert all(len(span) == model.window for span in spans)


def test_a_window_comes_with_the_sample_that_completes_it(model: AcousticModel, speech: np.ndarray) -> None:
    activity = VoiceDetector().process(speech[:4_000], 0)
    acoustic = AcousticStream(model)
    assert acoustic.push(speech[:3_999], activity) == []
    assert len(acoustic.push(speech[3_999:4_000], None)[0].scores) == 1


def test_a_later_sample_changes_no_earlier_window(model: AcousticModel, speech: np.ndarray, activity: VoiceActivity) -> None:
    """Causality: what a window said is never revised by what came after it."""
    disturbed = speech.copy()
    disturbed[24_000:] = 0.0
    heard = VoiceDetector().process(disturbed, 0)
    before, _, _ = together(stream(model, speech, activity, [4_000]))
    after, _, _ = together(stream(model, disturbed, heard, [4_000]))
    untouched = (24_000 - model.window) // model.hop + 1
    np.testing.assert_allclose(before[:untouched], after[:untouched], atol=model.form.rounding)
    assert np.abs(before[untouched + 30 :] - after[untouched + 30 :]).max() > model.form.rounding


def test_the_level_of_the_microphone_hardly_matters(model: AcousticModel, speech: np.ndarray, activity: VoiceActivity) -> None:
    """The floor of the logarithm is the only thing that a gain can reach, and it lies below 16-bit noise."""
    loud, _, _ = together(stream(model, speech, activity, [4_000]))
    quiet, _, _ = together(stream(model, speech * np.float32(0.1), activity, [4_000]))
    voiced = np.concatenate([result.voiced for result in stream(model, speech, activity, [4_000])])
    assert np.abs(loud[voiced].mean(axis=0) - quiet[voiced].mean(axis=0)).max() < 0.05


def test_voice_flags_must_keep_up_with_the_samples(model: AcousticModel, speech: np.ndarray, activity: VoiceActivity) -> None:
    acoustic = AcousticStream(model)
    part = VoiceActivity(type(activity.span)(0, 512), 512, activity.probabilities[:1])
    with pytest.raises(ValueError, match="as far as the samples"):
        acoustic.push(speech[:8_000], part)


def test_the_running_mean_is_the_mean_of_the_voiced_frames_and_the_prior() -> None:
    random = np.random.default_rng(1)
    energies = random.standard_normal((40, 6)).astype(np.float32)
    voiced = random.random(40) < 0.6
    prior = np.linspace(-1.0, 1.0, 6)
    result = RunningBandMean(prior, 5.0, 1_000.0).apply(energies, voiced)
    heard = energies[voiced].astype(float)
    levels = heard.mean(axis=1, keepdims=True)
    shape = (5.0 * prior + (heard - levels).sum(axis=0)) / (5.0 + len(heard))
    last = energies[-1] - levels.mean() - shape
    np.testing.assert_allclose(result[-1], last, atol=1e-5)


def test_the_running_mean_forgets_at_the_stated_rate() -> None:
    """After the memory is full, a step in level decays as (1 - 1/memory)^n."""
    mean = RunningBandMean(np.zeros(2), 0.0, 50.0)
    quiet, loud = np.zeros((200, 2), np.float32), np.ones((100, 2), np.float32)
    mean.apply(quiet, np.ones(200, bool))
    result = mean.apply(loud, np.ones(100, bool))
    np.testing.assert_allclose(result[-1], (1.0 - 1.0 / 50.0) ** 100, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(st.integers(0, 120), min_size=1, max_size=6),
    prior=st.sampled_from([0.0, 1.0, 15.0, 40.0]),
    memory=st.sampled_from([1.0, 2.0, 16.0, 60.0, 1_000.0]),
    heard=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    level=st.sampled_from([None, -3.0]),
)
def test_many_frames_at_once_are_the_same_frames_one_by_one(
    pieces: list[int], prior: float, memory: float, heard: float, level: float | None
) -> None:
    random = np.random.default_rng(sum(pieces))
    shape = random.standard_normal(5)
    together, alone = (RunningBandMean(shape, prior, memory, level) for _ in range(2))
    for count in pieces:
        energies = (random.standard_normal((count, 5)) * 3 - 8).astype(np.float32)
        voiced = random.random(count) < heard
        found = together.apply(energies, voiced)
        expected = [alone.apply(energies[index : index + 1], voiced[index : index + 1]) for index in range(count)]
        assert found.shape == energies.shape
        np.testing.assert_allclose(found, np.concatenate([found[:0], *expected]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("block", [480, 517, 32_000])
def test_windows_are_stamped_with_the_capture_of_their_own_last_sample(
    model: AcousticModel, speech: np.ndarray, block: int
) -> None:
    """The block that completes a window goes on behind its end, by up to a hop."""
    acoustic = AcousticStream(model)
    acoustic.restart(7_001)  # as behind a gap
    began = 100.0
    found: list[WindowScores] = []
    for first in range(0, len(speech), block):
        piece = speech[first : first + block]
        found += acoustic.push(piece, None, began + (first + len(piece)) / 16_000)
    assert found
    for windows in found:
        assert windows.captured_at == pytest.approx(began + (windows.span.end - 7_001) / 16_000, abs=1e-9)
