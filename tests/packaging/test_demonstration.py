"""The demonstration audio is what its description says, and still small enough to ship."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FRAME = 160
QUIET_DBFS = -60.0
"""Between the noise floor of the recording (-66 dBFS) and the softest utterance (-28 dBFS on the whole)."""


@pytest.fixture(scope="module")
def description() -> dict:
    return json.loads((ASSETS / "demonstration.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def signal(description: dict) -> NDArray[np.float32]:
    samples, rate = soundfile.read(ASSETS / description["audio"], dtype="float32")
    assert rate == description["sample_rate"] == 16_000
    return samples


def levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """RMS of whole 10 ms frames in dBFS."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-9)


def test_length_and_size(description: dict, signal: NDArray[np.float32]) -> None:
    assert signal.ndim == 1
    assert len(signal) == description["samples"]
    assert 45 <= len(signal) / 16_000 <= 75
    assert (ASSETS / description["audio"]).stat().st_size < 1_500_000


def test_nothing_clips_and_nothing_is_digital_silence(signal: NDArray[np.float32]) -> None:
    assert np.abs(signal).max() < 0.99
    assert levels(signal).min() > -75  # the floor that keeps it from looking like a muted microphone


def test_every_emotion_is_spoken_in_several_voices(description: dict) -> None:
    emotions = Counter(utterance["intended"] for utterance in description["utterances"])
    assert set(emotions) == {"anger", "happiness", "neutral", "sadness"}
    assert set(emotions.values()) == {3}
    for emotion in emotions:
        assert len({entry["voice"] for entry in description["utterances"] if entry["intended"] == emotion}) >= 2


def test_utterances_are_where_the_description_says(description: dict, signal: NDArray[np.float32]) -> None:
    for utterance in description["utterances"]:
        first, end = utterance["first_sample"], utterance["end_sample"]
        inside = levels(signal[first:end])
        assert inside.max() > -35, utterance["text"]
        # Speech sets in and ends within a tenth of a second of the given places.
        assert inside[:10].max() > QUIET_DBFS, utterance["text"]
        assert inside[-10:].max() > QUIET_DBFS, utterance["text"]


def test_pauses_are_silent_and_longer_than_a_second(description: dict, signal: NDArray[np.float32]) -> None:
    edges = [(entry["first_sample"], entry["end_sample"]) for entry in description["utterances"]]
    pauses = [
        (0, edges[0][0]),
        *((one[1], two[0]) for one, two in itertools.pairwise(edges)),
        (edges[-1][1], len(signal)),
    ]
    for first, end in pauses:
        assert end - first >= 16_000
        assert levels(signal[first:end]).max() < QUIET_DBFS


def test_manners_differ_in_level_as_intended(description: dict, signal: NDArray[np.float32]) -> None:
    level: dict[str, list[float]] = {}
    for entry in description["utterances"]:
        samples = signal[entry["first_sample"] : entry["end_sample"]]
        level.setdefault(entry["intended"], []).append(float(20 * np.log10(np.sqrt(np.mean(samples**2)))))
    assert min(level["anger"]) > max(level["neutral"]) > max(level["sadness"])
