"""Clicks that sound in a virtual microphone at known times, found in what a second process gets over Lab Streaming Layer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from virtual_microphone import _missing

from realtime_ser.assembly import load_models
from realtime_ser.commands.bench import stamps
from realtime_ser.commands.bench.pulseaudio import PIPE_RATE


def test_late_stamps_are_found_to_be_late() -> None:
    """Made-up stamps of real scores: what was added to them is found again, click by click."""
    sound, clicks = stamps._sound(3)
    reference = stamps.Reference(load_models("default-bundle", "none").acoustic, sound)
    ends = np.arange(0.3, len(sound) / PIPE_RATE, 0.01)
    delays = np.select([ends < clicks[1] - 0.1, ends < clicks[2] - 0.1], [0.0, 0.004], -0.0125)
    found = stamps.click_errors(reference, ends + delays, reference.at(ends), clicks)
    assert found == pytest.approx([0.0, 0.004, -0.0125], abs=0.0006)


def test_stamps_in_another_process_are_those_of_the_sound(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed: install the 'dev' extra", exc_type=ImportError)
    if reason := _missing():
        pytest.skip(reason)
    # A process of its own: it changes its environment, and LSL reads its settings once.
    command = [sys.executable, "-m", "realtime_ser", "bench", "--part", "stamps", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    largest, late = json.loads(done.stdout)["rows"]
    with capsys.disabled():
        sys.stdout.write(f"\nLSL stamps against the sound: late by {late['value']:.1f} ms, at most {largest['value']:.1f} ms\n")
    assert largest["aim"] == "≤ 5 ms"
    assert largest["reached"], largest
    assert "taken for voice" not in largest["note"]
