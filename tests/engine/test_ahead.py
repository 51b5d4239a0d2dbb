"""Voice activity and filters ahead of the encoder: the outputs of one thread, no thread left, and what goes wrong is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.api import EmotionRecognizer
from realtime_ser.assembly import Models, Stages, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.ahead import WorkedAhead
from realtime_ser.errors import AudioFileError
from realtime_ser.types import Block, Output, Span, Verdict, WindowScores

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture(scope="module")
def models(random_bundle: Path) -> Models:
    return load_models(random_bundle, "none")


def worked_ahead(models: Models, source: ArraySource) -> tuple[WorkedAhead, Stages]:
    ahead = WorkedAhead(source, models.acoustic)
    acoustic = partial(AcousticStream, bands=ahead.bands)
    return ahead, build_stages(models, live=False, detector=lambda: ahead, acoustic=acoustic)


def run(models: Models, source: ArraySource, *, ahead: bool) -> list[Output]:
    if not ahead:
        return list(run_pipeline(source, build_stages(models, live=False)))
    return list(run_pipeline(*worked_ahead(models, source)))


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
    ahead, stages = worked_ahead(models, ArraySource(demonstration, 16_000))
    outputs = run_pipeline(ahead, stages)
    next(outputs)
    outputs.close()
    assert ahead.exhausted


def test_behind_a_gap_detector_and_filters_begin_anew(models: Models, demonstration: np.ndarray) -> None:
    class Gap(ArraySource):
        def read(self, timeout: float) -> Block | None:
            block = super().read(timeout)
            if block is None or block.span.first < 80_000:
                return block
            span = Span(block.span.first + 5_001, block.span.end + 5_001)
            return replace(block, span=span, gap_before=block.span.first == 80_000)

    one, other = (run(models, Gap(demonstration[:160_000], 16_000, block=8_000), ahead=ahead) for ahead in (False, True))
    scores = [[output for output in outputs if isinstance(output, WindowScores)] for outputs in (one, other)]
    assert any(windows.first_window == 85_001 for windows in scores[0])
    for ours, theirs in zip(*scores, strict=True):
        assert ours.first_window == theirs.first_window
        np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_a_file_that_cannot_be_read_is_told(random_bundle: Path, tmp_path: Path) -> None:
    recognizer = EmotionRecognizer(random_bundle, "none")
    with pytest.raises(AudioFileError, match="no file"):
        list(recognizer.stream(FileSource(tmp_path / "missing.wav")))


def test_what_goes_wrong_in_the_thread_is_raised_by_the_reader(models: Models, demonstration: np.ndarray) -> None:
    class Breaks(ArraySource):
        def _frames(self, count: int) -> np.ndarray:
            if self._position >= 3_200:
                raise RuntimeError("the disk is gone")
            return super()._frames(count)

    ahead = WorkedAhead(Breaks(demonstration[:16_000], 16_000), models.acoustic)
    ahead.open()
    heard = []

    def listen() -> None:
        while not ahead.exhausted:
            block = ahead.read(0.2)
            if block is not None:
                heard.append(len(block.samples))

    with pytest.raises(RuntimeError, match="the disk is gone"):
        listen()
    ahead.close()
    assert sum(heard) == 3_200


def test_live_sound_and_blocks_that_were_not_read_are_refused(models: Models, demonstration: np.ndarray) -> None:
    class Live(ArraySource):
        live = True

    with pytest.raises(ValueError, match="is live"):
        WorkedAhead(Live(demonstration, 16_000), models.acoustic)
    with pytest.raises(ValueError, match="no block was read"):
        WorkedAhead(ArraySource(demonstration, 16_000), models.acoustic).process(demonstration[:512], 0)
    with pytest.raises(ValueError, match="no block was read"):
        WorkedAhead(ArraySource(demonstration, 16_000), models.acoustic).bands.push(demonstration[:512])
