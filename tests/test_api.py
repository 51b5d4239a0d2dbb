"""The library, as the README shows it."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from realtime_ser import EmotionRecognizer

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.fixture(scope="module")
def recognizer(random_bundle: Path) -> EmotionRecognizer:
    return EmotionRecognizer(random_bundle, recognizer="none")


@pytest.fixture(scope="module")
def speech(demonstration: np.ndarray) -> np.ndarray:
    return demonstration[12_000:170_000]


def test_a_file_gives_a_row_per_utterance_indexed_by_file_start_and_end(
    recognizer: EmotionRecognizer, speech: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "interview.wav"
    soundfile.write(path, speech, 16_000, subtype="FLOAT")
    table = recognizer.process_file(path)
    assert table.index.names == ["file", "start", "end"]
    assert list(table.columns[:4]) == list(recognizer.classes)
    assert len(table) == 2
    np.testing.assert_allclose(table[list(recognizer.classes)].sum(axis=1), 1.0, atol=1e-5)
    starts = table.index.get_level_values("start")
    assert isinstance(starts, pd.TimedeltaIndex)
    assert (table.index.get_level_values("end") > starts).all()
    assert {"label", "state", "confidence", "transcript", "word_share", "note"} <= set(table.columns)
    # Abstentions stay abstentions.
    assert (table["label"].isna() == (table["state"] != "confident")).all()

    same = recognizer.process_signal(speech, 16_000, file=str(path))
    pd.testing.assert_frame_equal(table, same)


def test_whole_files_are_one_row(recognizer: EmotionRecognizer, speech: np.ndarray) -> None:
    table = recognizer.process_signal(speech, 16_000, segmentation="whole")
    assert list(table.index) == [("signal", pd.Timedelta(0), pd.Timedelta(seconds=len(speech) / 16_000))]


def test_integers_channels_and_rates_are_taken_as_they_are(recognizer: EmotionRecognizer, speech: np.ndarray) -> None:
    reference = recognizer.process_signal(speech, 16_000)
    integers = np.round(speech * 32_767).astype(np.int16)
    stereo = np.stack([integers, integers], axis=1)
    table = recognizer.process_signal(stereo, 16_000)
    np.testing.assert_allclose(table[list(recognizer.classes)], reference[list(recognizer.classes)], atol=0.02)


def test_without_voice_the_table_is_empty_and_keeps_its_columns(recognizer: EmotionRecognizer) -> None:
    table = recognizer.process_signal(np.zeros(32_000), 16_000)
    assert table.empty
    assert set(recognizer.classes) <= set(table.columns)
    assert table.index.names == ["file", "start", "end"]


def test_windows_come_every_ten_milliseconds(recognizer: EmotionRecognizer, speech: np.ndarray) -> None:
    table = recognizer.process_windows(speech, 16_000)
    assert len(table) == (len(speech) - 4_000) // 160 + 1
    starts = table.index.get_level_values("start")
    assert starts[1] - starts[0] == pd.Timedelta(milliseconds=10)
    assert (table.index.get_level_values("end") - starts == pd.Timedelta(milliseconds=250)).all()
    np.testing.assert_allclose(table[list(recognizer.classes)].sum(axis=1), 1.0, atol=1e-5)
    with pytest.raises(ValueError, match="sample_rate"):
        recognizer.process_windows(speech)


def test_the_example_of_the_readme_runs(
    random_bundle: Path, speech: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(random_bundle))
    soundfile.write("interview.wav", speech[:60_000], 16_000)
    names = {"samples": np.repeat(speech[:60_000], 3)}
    exec(example, names)
    assert len(names["table"]) == 1  # type: ignore[arg-type]
    assert len(names["windows"]) > 300  # type: ignore[arg-type]


def test_many_recordings_share_one_recognisers_process_which_ends_with_the_object(
    random_bundle: Path, vosk_model_dir: Path, speech: np.ndarray, no_thread_left: None
) -> None:
    children: list[list[int]] = []

    def note() -> None:
        children.append([child.pid for child in psutil.Process().children() if "worker.py" in " ".join(child.cmdline())])

    recognizer = EmotionRecognizer(random_bundle, recognizer=str(vosk_model_dir))
    assert recognizer.process_signal(speech[:60_000], 16_000)["transcript"].any()
    note()
    same = recognizer.process_signal(speech[:60_000], 16_000)
    note()
    assert len(children[0]) == 1
    assert children[0] == children[1]
    pd.testing.assert_frame_equal(same, recognizer.process_signal(speech[:60_000], 16_000))
    recognizer.close()
    note()
    assert children[-1] == []
    recognizer.process_signal(speech[:60_000], 16_000)
    note()
    assert children[-1] == []
    forgotten = EmotionRecognizer(random_bundle, recognizer=str(vosk_model_dir))
    forgotten.process_signal(speech[:60_000], 16_000)
    note()
    assert len(children[-1]) == 1
    del forgotten
    gc.collect()
    note()
    assert children[-1] == []
