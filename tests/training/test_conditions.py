"""The measurement under conditions goes through the runtime, and its figures are what they are called."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("pyroomacoustics")

import msgspec

from realtime_ser import EmotionRecognizer
from realtime_ser.bundle.loader import asset_path, load_bundle
from realtime_ser.errors import BundleError, ConfigError
from training import conditions
from training.conditions import (
    Heard,
    Sound,
    conditions_of,
    figures_of_sounds,
    figures_of_speech,
    hear,
    some_clips,
    voice_of,
    voice_of_export,
)
from training.corpora import FOUR_CLASSES, Clip
from training.degrade import MeetingNoise
from training.features import read_audio

RATE = 16_000
STAMP = {"date": "2026-01-01", "hardware": "a machine"}


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """The demonstration's first seconds."""
    return read_audio(asset_path("demonstration.flac"))[: 4 * RATE]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle's acoustic network, in the form in which training exports it."""
    folder = tmp_path_factory.mktemp("export")
    bundle = load_bundle(None)
    manifest = bundle.manifest
    for name in ("bands.onnx", "trunk.onnx", "head.onnx"):
        (folder / name).write_bytes(bundle.content(name))
    document = {
        "classes": manifest.classes,
        "acoustic": msgspec.to_builtins(manifest.acoustic),
        "calibration": {"window": manifest.calibration.window, "acoustic": manifest.calibration.acoustic},
        "abstention": {"acoustic": manifest.abstention.acoustic, "risk": manifest.abstention.risk},
        "settings": {"shape": {"window": manifest.window, "hop": manifest.hop}},
    }
    (folder / "acoustic.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def clip(number: int, label: str, speaker: str = "") -> Clip:
    return Clip(f"own/{number}.wav", "own", "xx", speaker or f"s{number % 3}", label, label, 1.0, "")


@pytest.mark.parametrize("segmentation", ["whole", "voice"])
def test_bundle_and_export_are_heard_as_the_library_hears(segmentation: str, speech: np.ndarray, export: Path) -> None:
    table = EmotionRecognizer(recognizer="none").process_signal(speech, RATE, segmentation)
    for models in (voice_of(None), voice_of_export(export)):
        heard = hear(models, speech, segmentation)
        assert len(heard) == len(table) > 0
        for one, (_, row) in zip(heard, table.iterrows(), strict=True):
            # Blocks of another length: matrix products of another size, which round differently.
            np.testing.assert_allclose(one.scores, [row[name] for name in models.classes], atol=1e-5)
            assert one.label == (row["label"] if row["state"] == "confident" else "")
            assert one.voiced_seconds == row["voiced_seconds"]


def test_silence_is_no_utterance_and_nothing_is_nothing() -> None:
    models = voice_of(None)
    assert hear(models, np.zeros(2 * RATE, np.float32), "voice") == []
    assert hear(models, np.zeros(0, np.float32), "whole") == []


@pytest.mark.parametrize("fault", ["missing", "json", "key", "graph"])
def test_a_broken_export_is_told(fault: str, export: Path, tmp_path: Path) -> None:
    for path in export.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if fault == "missing":
        (tmp_path / "acoustic.json").unlink()
    elif fault == "json":
        (tmp_path / "acoustic.json").write_text("{", encoding="utf-8")
    elif fault == "key":
        (tmp_path / "acoustic.json").write_text('{"classes": []}', encoding="utf-8")
    else:
        (tmp_path / "head.onnx").unlink()
    with pytest.raises(BundleError, match="no exported acoustic network"):
        voice_of_export(tmp_path)


def test_figures_of_speech_are_what_they_are_called() -> None:
    clips = [clip(number, label) for number, label in enumerate(["anger", "anger", "neutral", "sadness"] * 3)]
    right = {name: tuple(0.7 if name == other else 0.1 for other in FOUR_CLASSES) for name in FOUR_CLASSES}
    # Every second anger is taken for sadness; the neutral ones get no label.
    heard = [
        Heard(right["sadness" if number % 4 == 1 else one.emotion4], "" if one.emotion4 == "neutral" else "x", 1.0)
        for number, one in enumerate(clips)
    ]
    figures = {
        figure["name"]: figure for figure in figures_of_speech(FOUR_CLASSES, clips, heard, "in a barrel", "nobody", 3, STAMP)
    }
    values = {name: figure["value"] for name, figure in figures.items()}
    assert values == {
        "acoustic UA, in a barrel": pytest.approx((0.5 + 1 + 1) / 3, abs=1e-4),
        "acoustic ECE, in a barrel": values["acoustic ECE, in a barrel"],
        "acoustic coverage, in a barrel": 0.75,
        "acoustic accuracy when confident, in a barrel": pytest.approx(6 / 9, abs=1e-4),
    }
    for figure in figures.values():
        assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]
        assert figure["date"] == "2026-01-01"
        assert "in a barrel" in figure["protocol"]
        assert "3 speakers, 12 clips" in figure["data"]


def test_figures_of_sounds_count_sounds_and_utterances() -> None:
    sounds = [Sound("abba", np.zeros(RATE, np.float32)) for _ in range(4)]
    anger, neutral, unsure = (Heard((1.0, 0.0, 0.0, 0.0), label, 1.0) for label in ("anger", "neutral", ""))
    figures = figures_of_sounds(sounds, [[], [unsure], [neutral, unsure], [anger, neutral]], "creaks", STAMP)
    assert [figure["value"] for figure in figures] == [0.75, 0.5, 0.25, 0.6, 0.2]
    assert len(figures_of_sounds(sounds, [[], [], [], []], "creaks", STAMP)) == 3


def test_the_subset_is_the_same_however_clips_come_and_grows_with_its_size() -> None:
    clips = [clip(number, label, "s") for number, label in enumerate(["anger", "sadness"] * 20)]
    few, more = some_clips(clips, 3, 1), some_clips(clips[::-1], 6, 1)
    assert len(few) == 6
    assert len(more) == 12
    assert set(few) < set(more)
    assert [one.emotion4 for one in few].count("anger") == 3
    assert some_clips(clips, 3, 2) != few


def test_every_condition_changes_speech_and_repeats(monkeypatch: pytest.MonkeyPatch, speech: np.ndarray) -> None:
    monkeypatch.setattr(conditions, "RESPONSES", 1)
    random = np.random.default_rng(0)
    noise = MeetingNoise(*(0.01 * random.standard_normal((2, 3 * RATE))).astype(np.float32))
    sample = speech[:RATE]
    for name, change in conditions_of(noise, 1).items():
        once, again = (change(sample, np.random.default_rng(5)) for _ in range(2))
        assert once.shape == sample.shape
        assert once.dtype == np.float32
        assert np.abs(once).max() <= 1
        np.testing.assert_array_equal(once, again)
        assert np.array_equal(once, sample) == (name == "clean")


def test_the_command_measures_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], speech: np.ndarray
) -> None:
    meetings = tmp_path / "clips" / "meetings"
    meetings.mkdir(parents=True)
    soundfile.write(meetings / "tst00.flac", 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE), RATE)
    (meetings / "all.rttm").write_text("SPEAKER tst00 1 1.5 0.3 <NA> <NA> A <NA> <NA>\n", encoding="utf-8")
    soundfile.write(tmp_path / "one.wav", speech, RATE)
    clips = [
        Clip("one.wav", "own", "xx", "s", label, label, 4.0, "", file=tmp_path / "one.wav") for label in ("anger", "neutral")
    ]
    monkeypatch.setattr(conditions, "speech_sets", lambda *_: {"test speakers": clips})
    monkeypatch.setattr(conditions, "RESPONSES", 1)
    monkeypatch.setattr(conditions, "MADE_SECONDS", 1)
    parser = argparse.ArgumentParser()
    conditions.add_arguments(parser)
    parser.add_argument("--data", type=Path)
    given = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--only"]
    assert conditions.run(parser.parse_args([*given, "clean", "level", "silence"])) == 0
    printed = capsys.readouterr().out
    assert "level -30 dB" in printed
    assert "10 sounds: 0.000 taken for speech" in printed
    result = json.loads((tmp_path / "out" / "conditions.json").read_text(encoding="utf-8"))
    assert len(result["figures"]) == 4 + 4 + 3
    assert result["figures"][0]["name"] == "acoustic UA, clean"
    assert result["figures"][0]["value"] in (0.0, 0.5)
    assert {len(rows) for rows in result["details"].values()} == {2, 10}
    with pytest.raises(ConfigError, match="No condition has"):
        conditions.run(parser.parse_args([*given, "nowhere"]))
