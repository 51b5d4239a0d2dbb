"""Corpora that keep their labels to themselves, and what a network takes over from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="install the 'training' extra")
import torch
from torch.nn import functional

from realtime_ser.errors import ConfigError
from training import pretraining
from training.acoustic import AcousticData, AcousticSettings, AcousticTask, AcousticTraining
from training.acoustic_network import AcousticNetwork, AcousticShape
from training.corpora import Clip
from training.pretraining import pretrain, pretraining_data

SMALL = AcousticShape(bands=6, layout="mel", kernel=251, width=8, feature=16)
QUICK = AcousticSettings(
    SMALL, background=False, frozen_steps=2, joint_steps=0, batch=4, windows=2, crop_frames=(60,), validate_every=2
)


def clip_of(corpus: str, speaker: int, emotion: str, file: Path = Path()) -> Clip:
    known = emotion if emotion in ("anger", "sadness") else ""
    name = f"{corpus}/{speaker}-{emotion}.wav"
    return Clip(name, corpus, "en", f"{corpus}_{speaker}", emotion, known, 1.0, "", file=file)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Clip]:
    """Two corpora of two speakers, which share one label; noise, in which the detector is made to hear voices."""
    generator = np.random.default_rng(1)
    clips = []
    for corpus, emotions in (("A", ("anger", "fear")), ("B", ("anger", "joy", "sadness"))):
        for speaker in (1, 2):
            for emotion in emotions:
                file = tmp_path / f"{corpus}{speaker}{emotion}.wav"
                soundfile.write(file, generator.uniform(-0.3, 0.3, 20_000), 16_000)
                clips.append(clip_of(corpus, speaker, emotion, file))
    monkeypatch.setattr(
        "training.features.voice_probabilities", lambda samples, detector: np.full(len(samples) // 512, 0.9, np.float32)
    )
    monkeypatch.setattr(pretraining, "load_clips", lambda root, corpora: [clip for clip in clips if clip.corpus in corpora])
    return clips


def test_every_corpus_has_classes_of_its_own() -> None:
    clips = [clip_of(*of) for of in (("B", 1, "anger"), ("A", 1, "anger"), ("A", 2, "fear"), ("B", 2, "anger"), ("A", 3, ""))]
    data = pretraining_data(clips)
    assert data.classes == ("A: anger", "A: fear", "B: anger")
    assert data.apart == {"A": (0, 2), "B": (2, 3)}
    assert {path: data.classes[number] for path, number in data.labels.items()} == {
        "A/1-anger.wav": "A: anger",
        "A/2-fear.wav": "A: fear",
        "B/1-anger.wav": "B: anger",
        "B/2-anger.wav": "B: anger",
    }
    assert not {clip.speaker for clip in data.train} & {clip.speaker for clip in data.validation}
    assert not data.auxiliary


def test_a_clip_is_compared_with_the_classes_of_its_corpus_alone() -> None:
    data = AcousticData((), (), {}, ("A: anger", "A: fear", "B: anger"), apart={"A": (0, 2), "B": (2, 3)})
    pools: dict[str, list[object]] = {}
    training = SimpleNamespace(
        network=AcousticNetwork(replace(SMALL, classes=3)), data=data, pools=pools, shares={}, noise=lambda: None
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.acoustic.CropSampler", lambda *_, **__: None)
        task = AcousticTask(training, replace(QUICK, shape=replace(SMALL, classes=3)), frozen=True, second=False)  # type: ignore[arg-type]
    whole, windows = torch.randn(3, 3), torch.randn(6, 3)
    labels = torch.tensor([1, 2, 0])
    smoothing = QUICK.smoothing
    single = labels.repeat_interleave(2)
    # B has one class only: of its clip nothing can be wrong.
    of_a = functional.cross_entropy(whole[[0, 2], :2], labels[[0, 2]], label_smoothing=smoothing) * 2 / 3
    heard = single < 2
    windows_of_a = functional.cross_entropy(windows[heard][:, :2], single[heard], label_smoothing=smoothing) * 2 / 3
    expected = of_a + QUICK.window_share * windows_of_a
    torch.testing.assert_close(task._entropy(whole, windows, labels), expected)


def test_what_was_learnt_is_taken_over_but_for_the_classes(recordings: list[Clip], tmp_path: Path) -> None:
    checkpoint = pretrain(["A"], [clip for clip in recordings if clip.corpus == "B"], tmp_path, tmp_path / "cache", QUICK)
    learnt = torch.load(checkpoint, weights_only=False)["best"]
    assert learnt["head.classifier.weight"].shape == (2, SMALL.feature)
    own = [clip for clip in recordings if clip.corpus == "B"]
    labels = {clip.path: ("anger", "joy", "sadness").index(clip.emotion) for clip in own}
    data = AcousticData(tuple(own[:3]), tuple(own[3:]), labels, ("anger", "joy", "sadness"))
    training = AcousticTraining(QUICK, data, tmp_path, tmp_path / "out", tmp_path / "cache")
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    training.start_from(checkpoint, hearing_alone=True)
    after = training.network.state_dict()
    for name, value in after.items():
        kept = name.startswith(("head.classifier.", "normaliser."))
        assert torch.equal(value, before[name] if kept else learnt[name]), name
    with pytest.raises(ConfigError, match="no state of this network"):
        training.start_from(checkpoint)


def test_the_mean_of_some_members_goes_on(recordings: list[Clip], tmp_path: Path) -> None:
    checkpoint = pretrain(["A"], [], tmp_path, tmp_path / "cache", QUICK)
    own = [clip for clip in recordings if clip.corpus == "B"]
    labels = {clip.path: ("anger", "joy", "sadness").index(clip.emotion) for clip in own}
    data = AcousticData(tuple(own[:3]), tuple(own[3:]), labels, ("anger", "joy", "sadness"))
    training = AcousticTraining(replace(QUICK, members=2), data, tmp_path, tmp_path / "out", tmp_path / "cache")
    with pytest.raises(ValueError, match="members need a start"):
        training.train()
    training.start_from(checkpoint, hearing_alone=True)
    outcome = training.train()["frozen"]
    states = [torch.load(tmp_path / "out" / f"{name}.pt", weights_only=False)["best"] for name in ("frozen", "frozen-2")]
    weights = [state["head.connected.weight"] for state in states]
    assert not torch.equal(*weights)
    torch.testing.assert_close(training.network.state_dict()["head.connected.weight"], (weights[0] + weights[1]) / 2)
    assert outcome.best_score == pytest.approx(training.validate(training.network, frozen=True))


def test_pretraining_is_done_once(recordings: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = pretrain(["A", "B"], [], tmp_path, tmp_path / "cache", QUICK)
    state = first.read_bytes()
    capsys.readouterr()
    assert pretrain(["A", "B"], [], tmp_path, tmp_path / "cache", QUICK) == first
    assert first.read_bytes() == state
    assert "chunks/s" not in capsys.readouterr().out
    assert pretrain(["A"], [], tmp_path, tmp_path / "cache", QUICK) != first


def test_a_tested_corpus_takes_no_part(recordings: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A cannot be learnt from beforehand"):
        pretrain(["A", "B"], recordings[:1], tmp_path, tmp_path / "cache", QUICK)
