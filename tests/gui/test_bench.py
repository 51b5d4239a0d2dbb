"""The bench of the dashboard watches the real window; how fast it paints is no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from virtual_microphone import _missing

_CODE = """
import json, sys
from realtime_ser.commands.bench import dashboard
dashboard._SETTLED_SECONDS = 0.5
print(json.dumps([row.as_dict() for row in dashboard.dashboard_rows(sys.argv[1], "none", 1.5, through=sys.argv[2] or None)]))
"""


def rows_of(bundle: Path, through: str = "") -> dict[str, dict]:
    command = [sys.executable, "-c", _CODE, str(bundle), through]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return {row["measure"]: row for row in json.loads(done.stdout.splitlines()[-1])}


def add_up(rows: dict[str, dict]) -> None:
    parts = [rows[f"of it: {part}, mean"]["value"] for part in ("capture", "compute", "wait", "paint")]
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(rows["newest sample to painted frame, mean"]["value"])
    assert rows["newest sample to painted frame, mean"]["value"] <= rows["newest sample to painted frame, 95 of 100"]["value"]


def test_frames_and_latency_of_the_real_window_are_measured(random_bundle: Path) -> None:
    rows = rows_of(random_bundle)
    assert rows["frames"]["value"] > 0
    assert rows["frames"]["aim"] == "≥ 30 /s"
    median = rows["newest sample to painted frame, median"]["value"]
    assert 0 < rows["capture and compute, as the engine states them, median"]["value"] < median
    assert rows["event loop held up, longest"]["aim"] == "≤ 50 ms"
    add_up(rows)


def test_a_click_through_pulseaudio_tells_when_every_sample_sounded(random_bundle: Path) -> None:
    if reason := _missing():
        pytest.skip(reason)
    rows = rows_of(random_bundle, "pulseaudio")
    median = rows["newest sample to painted frame, median"]
    assert median["aim"] == "≤ 80 ms"
    # What was captured cannot have sounded later, and the frame comes after the capture.
    assert 0 < rows["of it: capture, mean"]["value"] < rows["newest sample to painted frame, mean"]["value"]
    add_up(rows)
