"""The paper's windows and the bundle's utterances: what is scored is what the networks say window by window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="install the 'training' extra")
import torch

from training.acoustic_evaluation import score_clips
from training.acoustic_network import AcousticNetwork, AcousticShape
from training.corpora import Clip
from training.features import ClipStore
from training.fusion_network import FusionName
from training.loop import LoopSettings, fit
from training.systems.ours import (
    FusionRecipe,
    FusionTask,
    TextRecipe,
    TextTask,
    cutoffs_of,
    scaled_fusion,
    utterance_features,
)
from training.systems.windows import PAPER_SHAPE, PeakedAudio, WindowNetwork, WindowRecipe, WindowTask, score_windows
from training.text_network import TextShape, TwoBranchTextNetwork

SMALL = AcousticShape(bands=6, layout="mel", kernel=251, width=8, feature=16, classes=3)


def clip_of(folder: Path, name: str, samples: np.ndarray) -> Clip:
    file = folder / f"{name}.wav"
    soundfile.write(file, samples, 16_000)
    return Clip(f"a/{name}.wav", "A", "en", "A_1", "anger", "anger", len(samples) / 16_000, "", file=file)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Two of a second, one soft; and one shorter than a window."""
    generator = np.random.default_rng(1)
    waves = [0.5 * generator.uniform(-1, 1, 16_000), 0.01 * generator.uniform(-1, 1, 9_001), generator.uniform(-1, 1, 1_000)]
    return [clip_of(tmp_path, name, wave) for name, wave in zip("abc", waves, strict=True)]


def trained_statistics(network: torch.nn.Module) -> None:
    """Batch statistics of some training, so that they make a difference."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)


def test_the_summed_softmax_is_that_of_every_window_alone(clips: list[Clip], tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = WindowNetwork(SMALL)
    trained_statistics(network)
    audio = PeakedAudio(clips, tmp_path / "cache", SMALL)
    scores, features = score_windows(network, audio, clips)
    for row, clip in enumerate(clips):
        samples = audio.cut(clip)
        starts = range(0, len(samples) - SMALL.window + 1, SMALL.hop)
        windows = torch.from_numpy(np.stack([samples[start : start + SMALL.window] for start in starts]))
        with torch.no_grad():
            feature, logits = network(windows)
        # Single precision, sums in another order.
        np.testing.assert_allclose(np.exp(scores[row]), logits.double().softmax(dim=1).mean(dim=0), atol=1e-5)
        np.testing.assert_allclose(features[row], feature.mean(dim=0), atol=1e-4)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)


def test_every_clip_has_the_same_peak_and_at_least_a_window(clips: list[Clip], tmp_path: Path) -> None:
    audio = PeakedAudio(clips, tmp_path / "cache", SMALL)
    assert [audio.length(clip) for clip in clips] == [16_000, 9_001, SMALL.window]
    for clip in clips:
        assert np.abs(audio.cut(clip)).max() == pytest.approx(0.9, abs=1e-3)
    assert not audio.cut(clips[2])[1_000:].any()
    np.testing.assert_array_equal(audio.cut(clips[0], 100, 50), audio.cut(clips[0])[100:150])
    assert clips[0] in audio
    assert replace(clips[0], path="a/d.wav") not in audio


def test_training_windows_come_from_the_clips_and_are_decided_by_the_step(clips: list[Clip], tmp_path: Path) -> None:
    audio = PeakedAudio(clips, tmp_path / "cache", SMALL)
    labels = np.arange(3)
    recipe = WindowRecipe(batch=16)
    task = WindowTask(WindowNetwork(SMALL), audio, (clips, labels), (clips, labels), recipe, seed=1, frozen=False)
    batches = task.batches(0)
    first, second = next(batches), next(batches)
    again = next(task.batches(1))
    assert all(torch.equal(one, other) for one, other in zip(second, again, strict=True))
    assert not torch.equal(first[0], second[0])
    windows, said = first
    assert windows.shape == (16, SMALL.window)
    for window, label in zip(windows.numpy(), said.tolist(), strict=True):
        whole = audio.cut(clips[label])
        place = np.flatnonzero(whole == window[0])
        assert any(np.array_equal(whole[start : start + SMALL.window], window) for start in place)


def test_frozen_filters_are_not_optimised(clips: list[Clip], tmp_path: Path) -> None:
    audio = PeakedAudio(clips, tmp_path / "cache", SMALL)
    part = (clips, np.arange(3))
    for frozen, more in ((True, 0), (False, 2)):
        network = WindowNetwork(SMALL)
        task = WindowTask(network, audio, part, part, WindowRecipe(), seed=1, frozen=frozen)
        optimised = {id(parameter) for group in task.optimizer().param_groups for parameter in group["params"]}
        assert len({id(parameter) for parameter in network.bands.parameters()} & optimised) == more


def test_the_papers_windows_are_250_ms_every_10() -> None:
    assert (PAPER_SHAPE.window, PAPER_SHAPE.hop, PAPER_SHAPE.feature) == (4_000, 160, 2_048)
    assert (WindowRecipe().batch, WindowRecipe().rate) == (64, 1e-3)


def test_utterance_features_are_what_the_scores_come_from() -> None:
    """The classifier is linear: of the mean feature it says what the mean of the windows' logits is."""
    torch.manual_seed(3)
    network = AcousticNetwork(SMALL).eval()
    trained_statistics(network)
    generator = np.random.default_rng(4)
    lengths = np.array([12_000, 20_000])
    chunks = lengths // 512
    voice = np.concatenate([np.where(np.arange(count) % 7 > 1, 0.9, 0.1) for count in chunks]).astype(np.float32)
    clips = tuple(Clip(f"a/{n}.wav", "A", "en", "A_1", "anger", "anger", 1.0, "") for n in range(2))
    store = ClipStore(clips, generator.integers(-9_000, 9_000, int(lengths.sum())).astype(np.int16), lengths, voice, "key")
    features = utterance_features(network, {"A": [store]}, clips[::-1])
    expected = score_clips(network, store, [1, 0], labels={clip.path: 0 for clip in clips})
    with torch.no_grad():
        logits = network.head.classifier(torch.from_numpy(features))
    np.testing.assert_allclose(logits, expected.logits, atol=1e-4)


def test_cutoffs_are_said_in_hertz() -> None:
    bands = WindowNetwork(SMALL).bands
    before = cutoffs_of(bands)
    np.testing.assert_allclose(before["low_hz"], before["initial_low_hz"], atol=0.01)
    np.testing.assert_allclose(before["high_hz"], before["initial_high_hz"], atol=0.01)
    with torch.no_grad():
        bands.low_moved += 100 / (bands.initial_high_hz - bands.initial_low_hz)
    after = cutoffs_of(bands)
    np.testing.assert_allclose(np.subtract(after["low_hz"], before["low_hz"]), 100, atol=0.1)
    assert after["initial_low_hz"] == before["initial_low_hz"]


@pytest.mark.parametrize("balanced", [True, False])
def test_texts_are_drawn_by_class_or_as_they_come(balanced: bool) -> None:
    texts = [np.array([2]), np.array([3, 3])] * 2 + [np.array([4, 4, 4])] * 36
    labels = np.array([0, 1] * 2 + [2] * 36)
    network = TwoBranchTextNetwork(TextShape(5, 3, embedding=4, lstm=2, hidden=4, feature=8))
    task = TextTask(network, (texts, labels), (texts, labels), TextRecipe(batch=300, balanced=balanced), seed=1)
    tokens, lengths, drawn = next(task.batches(0))
    shares = np.bincount(drawn.numpy(), minlength=3) / 300
    np.testing.assert_allclose(shares, [1 / 3] * 3 if balanced else [0.05, 0.05, 0.9], atol=0.1)
    assert torch.equal(lengths, drawn + 1)
    assert torch.equal((tokens > 0).sum(dim=1), lengths)


@pytest.mark.parametrize("name", ["F-II", "F-III"])
def test_a_fusion_learns_from_few_clips_of_features_of_any_size(tmp_path: Path, name: FusionName) -> None:
    """Divided by their norm, which is 45 times too much, the first epochs changed nothing and patience ended the training."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(7)

    def pairs(count: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        labels = np.arange(count) % 4
        acoustic = np.maximum(generator.normal(size=(count, 2_048)), 0)
        for label in range(4):
            acoustic[labels == label, label::4] *= 5.0
        text = np.maximum(generator.normal(size=(count, 4_800)), 0)
        return torch.from_numpy((30 * acoustic).astype("f4")), torch.from_numpy(text.astype("f4")), labels

    train, validation, recipe = pairs(192), pairs(64), FusionRecipe()
    torch.manual_seed(1)
    network = scaled_fusion(name, 4, *train[:2])
    loop = LoopSettings(60, 12, clip=5.0)
    outcome = fit(FusionTask(network, train, validation, recipe, 1), loop, tmp_path)
    assert outcome.best_score > 0.85
