"""What tests of distributed trainings share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["in_two_processes"]


def in_two_processes(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `script`, which may import the tests of training, in two processes that torchrun starts."""
    tests = Path(__file__).resolve().parent
    paths = os.pathsep.join(map(str, (tests.parent, tests, tests / "training")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", script, *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=110, check=False)
