"""A constant offset is not removed but told: below what is told it hardly moves the scores of real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtime_ser.assembly import Models, build_stages, load_models, run_pipeline
from realtime_ser.audio import level
from realtime_ser.audio.sources import ArraySource
from realtime_ser.types import Event, Verdict


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("default-bundle", "none")


def judged(models: Models, samples: np.ndarray) -> Verdict:
    """The verdict on the whole, heard as a microphone."""
    stages = build_stages(models, live=True, segmentation="whole")
    outputs = list(run_pipeline(ArraySource(samples.astype(np.float32), 16_000), stages))
    assert not [output for output in outputs if isinstance(output, Event) and output.kind == "dc-offset"]
    (verdict,) = [output for output in outputs if isinstance(output, Verdict)]
    return verdict


def test_the_largest_offset_that_is_not_told_moves_no_verdict_by_much(models: Models, data_dir: Path) -> None:
    clips = sorted((data_dir / "clips" / "librispeech").glob("*.flac"))[:3]
    assert clips
    moved = []
    for clip in clips:
        samples = soundfile.read(clip, dtype="float64")[0][: 6 * 16_000]
        samples *= 10 ** (-30 / 20) / samples.std()  # dBFS, as somebody speaks who does not speak up
        plain = judged(models, samples).estimate
        for offset in (-level._LARGEST_OFFSET, level._LARGEST_OFFSET):
            shifted = judged(models, samples + 0.99 * offset).estimate
            moved.append(np.abs(shifted.acoustic - plain.acoustic).max())
            assert shifted.label == plain.label
    assert max(moved) < 0.1
    assert np.median(moved) < 0.03
