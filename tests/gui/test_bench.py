"""The bench of the dashboard watches the real window; how fast it paints is no matter of tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CODE = """
import json, sys
from realtime_ser.commands.bench import dashboard
dashboard._SETTLED_SECONDS = 0.5
print(json.dumps([row.as_dict() for row in dashboard.dashboard_rows(sys.argv[1], "none", 1.5)]))
"""


def test_frames_and_latency_of_the_real_window_are_measured(random_bundle: Path) -> None:
    import json

    done = subprocess.run([sys.executable, "-c", _CODE, str(random_bundle)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    rows = {row["measure"]: row for row in json.loads(done.stdout.splitlines()[-1])}
    assert rows["frames"]["value"] > 0
    assert rows["frames"]["aim"] == "≥ 30 /s"
    median = rows["newest sample to painted frame, median"]["value"]
    assert 0 < rows["of it: until the scores are there, median"]["value"] < median
