"""Sessions recorded from the real engine on real audio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from session_parts import Record, Recorded, agreed

from realtime_ser.assembly import Models, build_engine, load_models
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.session.header import make_header
from realtime_ser.session.recorder import Recorder
from realtime_ser.types import Output


@pytest.fixture(scope="session")
def models(random_bundle: Path) -> Models:
    return load_models(random_bundle, "pocketsphinx")


@pytest.fixture(scope="session")
def two_utterances(demonstration: np.ndarray) -> np.ndarray:
    return demonstration[12_000:170_000]


@pytest.fixture(scope="session")
def record(models: Models, two_utterances: np.ndarray) -> Record:
    def run(
        root: Path,
        *,
        words: bool = False,
        audio: bool = False,
        participant: str = "P01",
        condition: str = "rest",
        during: Callable[[Recorder], None] = lambda recorder: None,
    ) -> Recorded:
        header = make_header(
            models,
            participant=participant,
            condition=condition,
            input_name="test",
            live=False,
            kept=agreed(words=words, audio=audio),
        )
        recorder = Recorder(root, header)
        engine = build_engine(models, recorder.tap(ArraySource(two_utterances, 16_000)))
        beside: Channel[Output] = engine.subscribe(100_000, Policy.KEEP_ALL)
        recorder.start(engine.subscribe(4_096, Policy.KEEP_ALL))
        with engine:
            engine.wait(100)
            during(recorder)
        return Recorded(recorder.folder, recorder.finish("the input ended"), beside.drain())

    return run


@pytest.fixture(scope="session")
def recorded(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Words and sound are kept; a marker and two notes are in it. Tests that change it take a copy."""

    def during(recorder: Recorder) -> None:
        recorder.mark("stimulus", colour="red", source="test", sample=48_000)
        recorder.note("the window was open", sample=16_000)
        recorder.note("about all of it")

    return record(tmp_path_factory.mktemp("sessions"), words=True, audio=True, during=during)
