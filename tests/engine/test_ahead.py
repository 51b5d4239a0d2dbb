"""Voice activity ahead of the encoder: the outputs of one thread, no thread left, and what goes wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from realtime_ser.api import EmotionRecognizer
from realtime_ser.assembly import Models, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.ahead import DetectedAhead
from realtime_ser.errors import AudioFileError
from realtime_ser.types import Output, Verdict, WindowScores

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture(scope="module")
def models(random_bundle: Path) -> Models:
    return load_models(random_bundle, "none")


def run(models: Models, source: ArraySource, *, ahead: bool) -> list[Output]:
    if not ahead:
        return list(run_pipeline(source, build_stages(models, live=False)))
    detected = DetectedAhead(source)
    return list(run_pipeline(detected, build_stages(models, live=False, detector=lambda: detected)))


@pytest.mark.parametrize("block", [700, 16_000])
def test_the_outputs_are_those_of_one_thread(models: Models, demonstration: np.ndarray, block: int) -> None:
    samples = demonstration[12_000:170_000]
    one, other = (run(models, ArraySource(samples, 16_000, block=block), ahead=ahead) for ahead in (False, True))
    assert [type(output) for output in one] == [type(output) for output in other]
    for ours, theirs in zip(one, other, strict=True):
        if isinstance(ours, WindowScores) and isinstance(theirs, WindowScores):
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            np.testing.assert_array_equal(ours.voiced, theirs.voiced)
        if isinstance(ours, Verdict) and isinstance(theirs, Verdict):
            assert ours.span == theirs.span
            np.testing.assert_array_equal(ours.estimate.scores, theirs.estimate.scores)


def test_a_classifier_that_was_used_before_gives_the_same(random_bundle: Path, demonstration: np.ndarray) -> None:
    recognizer = EmotionRecognizer(random_bundle, "none")
    tables = [recognizer.process_signal(demonstration[12_000:170_000], 16_000) for _ in range(3)]
    assert len(recognizer._idle_classifiers) == 1
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


def test_whoever_stops_listening_leaves_no_thread(models: Models, demonstration: np.ndarray) -> None:
    detected = DetectedAhead(ArraySource(demonstration, 16_000))
    outputs = run_pipeline(detected, build_stages(models, live=False, detector=lambda: detected))
    next(outputs)
    outputs.close()
    assert detected.exhausted


def test_a_file_that_cannot_be_read_is_told(random_bundle: Path, tmp_path: Path) -> None:
    recognizer = EmotionRecognizer(random_bundle, "none")
    with pytest.raises(AudioFileError, match="no file"):
        list(recognizer.stream(FileSource(tmp_path / "missing.wav")))


def test_what_goes_wrong_in_the_thread_is_raised_by_the_reader(demonstration: np.ndarray) -> None:
    class Breaks(ArraySource):
        def _frames(self, count: int) -> np.ndarray:
            if self._position >= 3_200:
                raise RuntimeError("the disk is gone")
            return super()._frames(count)

    detected = DetectedAhead(Breaks(demonstration[:16_000], 16_000))
    detected.open()
    heard = []

    def listen() -> None:
        while not detected.exhausted:
            block = detected.read(0.2)
            if block is not None:
                heard.append(len(block.samples))

    with pytest.raises(RuntimeError, match="the disk is gone"):
        listen()
    detected.close()
    assert sum(heard) == 3_200


def test_live_sound_and_blocks_that_were_not_read_are_refused(demonstration: np.ndarray) -> None:
    class Live(ArraySource):
        live = True

    with pytest.raises(ValueError, match="is live"):
        DetectedAhead(Live(demonstration, 16_000))
    with pytest.raises(ValueError, match="no block was read"):
        DetectedAhead(ArraySource(demonstration, 16_000)).process(demonstration[:512], 0)
