"""How profiles are used is chosen by what they are worth for the speakers who choose."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the 'training' extra")

from realtime_ser.bundle.loader import load_bundle
from realtime_ser.errors import ConfigError
from realtime_ser.profiles import SpeakerProfile, share_of
from training.conditions import voice_of
from training.corpora import FOUR_CLASSES, Clip
from training.features import CHUNK, ClipStore
from training.speakers import FRAMES, HeardSpeaker, choose, figures_of, hear_speaker


def speaker(number: int, bias: np.ndarray, seconds: float, noise: float = 1.0) -> HeardSpeaker:
    """Someone whose logits are right but for noise and a bias of their own, which the profile shows."""
    random = np.random.default_rng(number)
    labels = np.repeat(np.arange(4), 50)
    logits = 2.0 * np.eye(4)[labels] + noise * random.standard_normal((200, 4)) + bias
    profile = SpeakerProfile(1, f"S{number}", "", "", seconds, 0.0, (), tuple((2.0 * np.eye(4)[2] + bias).tolist()))
    return HeardSpeaker(f"S{number}", "corpus", profile, labels, logits, dict.fromkeys(FRAMES, logits))


def test_a_bias_that_the_profile_shows_is_taken_off() -> None:
    random = np.random.default_rng(0)
    speakers = [speaker(number, 2.0 * random.standard_normal(4), 60.0) for number in range(8)]
    facts, trials = choose(speakers, 1.0)
    assert share_of(facts, 60.0) > 0.8
    assert min(trial["cross-entropy"] for trial in trials[1:]) < 0.8 * trials[0]["cross-entropy"]
    gain = next(figure for figure in figures_of(speakers, facts, "made up") if figure["name"] == "gain of profiles in UA")
    low, high = gain["interval"]
    assert 0.05 < low <= gain["value"] <= high
    assert "60 to 60 s" in gain["protocol"]


def test_what_a_profile_shows_by_chance_is_not() -> None:
    random = np.random.default_rng(0)
    plain = [speaker(number, np.zeros(4), 60.0) for number in range(8)]
    wrong = [
        dataclasses.replace(one, profile=speaker(number, 2.0 * random.standard_normal(4), 60.0).profile)
        for number, one in enumerate(plain)
    ]
    assert choose(wrong, 1.0)[0].largest_share == 0.0


def test_one_speaker_cannot_choose() -> None:
    with pytest.raises(ConfigError, match="two speakers"):
        choose([speaker(0, np.zeros(4), 60.0)], 1.0)


def store(seconds: float, neutral: int) -> ClipStore:
    """Clips of noise that passes for voice: so many neutral ones and two of every other class."""
    names = ["neutral"] * neutral + [name for name in FOUR_CLASSES if name != "neutral"] * 2
    clips = tuple(Clip(f"{n}.wav", "A", "en", "A_1", name, name, seconds, "") for n, name in enumerate(names))
    length = int(seconds * 16_000) // CHUNK * CHUNK
    random = np.random.default_rng(1)
    audio = (3_000 * random.standard_normal(length * len(clips))).astype(np.int16)
    return ClipStore(clips, audio, np.full(len(clips), length), np.ones(length * len(clips) // CHUNK, np.float32), "made up")


def test_a_profile_comes_of_other_clips_than_those_that_are_scored(random_bundle: Path) -> None:
    models = voice_of(random_bundle)
    heard = hear_speaker(models, store(3.0, 6), "A_1")
    assert heard is not None
    # Three of six neutral clips; a window's middle lies 125 ms from either end.
    assert heard.profile.voiced_seconds == pytest.approx(3 * 2.75, abs=0.3)
    assert np.bincount(heard.labels).tolist() == [2, 2, 3, 2]
    assert set(heard.known) == set(FRAMES)
    assert heard.plain.shape == heard.known[FRAMES[0]].shape == (9, 4)
    assert np.abs(heard.plain - heard.known[FRAMES[-1]]).max() > 1e-4
    assert len(heard.profile.shape) == load_bundle(random_bundle).manifest.acoustic.bands


def test_who_has_little_neutral_speech_takes_no_part(random_bundle: Path) -> None:
    assert hear_speaker(voice_of(random_bundle), store(3.0, 3), "A_1") is None
