"""Decoding what releases have: other rates, two channels, and folders that hold the same names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import noise

pytest.importorskip("torch")

from realtime_ser.errors import AudioFileError
from training.corpora import open_corpus
from training.features import open_store, read_audio


@pytest.mark.parametrize(
    ("rate", "channels", "frequency"),
    [(16_000, 1, 440), (16_000, 2, 440), (24_414, 1, 300), (44_100, 1, 2_999), (48_000, 2, 1_234)],
)
def test_audio_of_any_rate_and_channels_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int, frequency: float) -> None:
    path = tmp_path / "tone.wav"
    time = np.arange(rate) / rate
    # The channels differ by a part that their mean does not have.
    tone, difference = 0.5 * np.sin(2 * np.pi * frequency * time), 0.3 * np.sin(2 * np.pi * 555 * time)
    soundfile.write(
        path, tone if channels == 1 else np.stack([tone + difference, tone - difference], axis=1), rate, subtype="FLOAT"
    )
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert samples.shape == (16_000,)
    expected = 0.5 * np.sin(2 * np.pi * frequency * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=2e-3)


def test_what_16_khz_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    path = tmp_path / "high.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000), 48_000, subtype="FLOAT")
    assert np.abs(read_audio(path)[500:-500]).max() < 1e-3


def test_audio_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio", encoding="utf-8")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    for name, what in (
        ("text.wav", "cannot be read as audio"),
        ("none.wav", "cannot be read"),
        ("empty.wav", "holds no audio"),
    ):
        with pytest.raises(AudioFileError, match=what) as caught:
            read_audio(tmp_path / name)
        assert name in caught.value.problem
        assert caught.value.remedy


def test_clips_of_any_folder_are_decoded_and_cached_apart(tmp_path: Path) -> None:
    stores = []
    for seed, (folder, rate, channels) in enumerate((("one", 48_000, 2), ("two", 44_100, 1))):
        for name in ("DC_a01", "DC_h01"):
            noise(tmp_path / folder / f"ALL/{name}.wav", rate, channels, seconds=0.2, seed=seed)
        table = open_corpus("savee", tmp_path / folder)
        stores.append(open_store(tmp_path / "no data folder", table.clips, tmp_path / "cache", "SAVEE"))
    assert stores[0].clips == stores[1].clips
    assert stores[0].key != stores[1].key
    for store in stores:
        assert store.samples.tolist() == [3_200, 3_200]
        direct = np.clip(read_audio(store.clips[1].file), -1, 1)
        np.testing.assert_allclose(store.audio_of(1), direct, atol=1 / 32_768)
