"""What the pictures of the documentation are taken of."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from virtual_microphone import SINK

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


def heard(microphone: Any) -> np.ndarray:
    """Half a second of what the microphone delivers now."""
    command = ["parec", f"--device={SINK}.monitor", "--format=float32le", "--rate=48000", "--channels=1", "--latency-msec=20"]
    with subprocess.Popen(command, env=microphone.environment, stdout=subprocess.PIPE) as recorder:
        assert recorder.stdout is not None
        sound = recorder.stdout.read(24_000 * 4)
        recorder.terminate()
    return np.frombuffer(sound, np.float32)


def test_between_the_clips_of_the_film_there_is_a_quiet_room(virtual_microphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGING))
    from pictures.tools import room_noise

    assert not heard(virtual_microphone).any()  # which would be told to be a muted microphone
    with room_noise(virtual_microphone):
        while not heard(virtual_microphone).any():
            pass  # the player takes a moment to begin
        samples = heard(virtual_microphone)
    level = 20.0 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    assert -70.0 < level < -58.0
