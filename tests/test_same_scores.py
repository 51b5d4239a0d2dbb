"""Live, replay and batch give the same scores: one recording through a microphone, a file source and ``analyze``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from engine_stages import collect

from realtime_ser.assembly import Models, build_engine, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.rehearsal import rehearse
from realtime_ser.audio.resample import StreamResampler
from realtime_ser.commands.analyze import analyze
from realtime_ser.engine.channel import Policy
from realtime_ser.types import Output, WindowScores

ROUNDING = 1e-5
"""Batches of other sizes are summed in another order; single precision then differs in the last digits."""


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("default-bundle", "none")


@pytest.fixture(scope="module", params=[(44_100, 2), (16_000, 1), (8_000, 2), (192_000, 1)], ids=lambda p: f"{p[0]}x{p[1]}")
def recording(request: pytest.FixtureRequest, demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two utterances as a sound card of another rate and number of channels would have recorded them."""
    rate, channels = request.param
    convert = StreamResampler(16_000, rate)
    signal = np.concatenate([convert.process(demonstration[12_000:130_000]), convert.flush()])
    frames = np.stack([signal * np.float32(1.0 - 0.3 * channel) for channel in range(channels)], axis=1)
    path = tmp_path_factory.mktemp("recording") / "two utterances.wav"
    soundfile.write(path, frames, rate, subtype="PCM_16")
    return path


def windows(outputs: list[Output]) -> tuple[np.ndarray, np.ndarray]:
    """First samples and scores of all windows."""
    found = [output for output in outputs if isinstance(output, WindowScores)]
    return np.array([span.first for output in found for span in output.window_spans()]), np.concatenate(
        [o.scores for o in found]
    )


@pytest.mark.usefixtures("no_thread_left")
def test_a_microphone_a_file_and_analyze_agree_in_every_window(
    models: Models, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    replayed = windows(list(run_pipeline(FileSource(recording), build_stages(models, live=False))))
    assert len(replayed[0]) == (round(len(frames) * 16_000 / rate) - 4_000) // 160 + 1
    assert replayed[0].tolist() == list(range(0, 160 * len(replayed[0]), 160))

    for seed in (1, 2):
        engine = build_engine(models, rehearse(frames, rate, seed))
        channel = engine.subscribe(100_000, Policy.KEEP_ALL)
        with engine:
            live = windows(collect(channel))
        np.testing.assert_array_equal(live[0], replayed[0])
        np.testing.assert_allclose(live[1], replayed[1], atol=ROUNDING)

    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(models.bundle.path))
    table = tmp_path / "windows.jsonl"
    assert analyze([str(recording)], out=str(table), windows=True) == 0
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert [round(row["start"] * 16_000) for row in rows] == replayed[0].tolist()
    np.testing.assert_allclose([[row[name] for name in models.classes] for row in rows], replayed[1], atol=ROUNDING)
