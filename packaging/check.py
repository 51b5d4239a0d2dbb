"""Run every check of the project and then the tests; one line per check, its output only where it fails.

    .venv/bin/python packaging/check.py [--no-tests] [arguments for pytest]

The tests come last, also when a check has failed, so that one run tells everything; any failure makes the exit status 1.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = [
    ("ruff check", ["ruff", "check", "--no-cache", "."]),
    ("ruff format", ["ruff", "format", "--no-cache", "--check", "."]),
    ("mypy", ["mypy"]),
    ("import contracts", ["lint-imports", "--no-cache"]),
]
CHECK_SECONDS = 240
TEST_SECONDS = 1_800
"""For all tests together; every single one has its own limit in pyproject.toml."""
SIDE_BY_SIDE = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "30"]
"""Many tests wait for sound that is played as fast as it was spoken: three processes keep two cores busy. The slowest are
named, lest all of them together take longer than anybody waits; those files begin (tests/conftest.py)."""


def say(text: str, end: str = "\n") -> None:
    """Print at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def check(name: str, command: list[str]) -> bool:
    """Run one check; whether it passed."""
    say(f"{name + ' ':.<20} ", end="")
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        say(f"FAILED: not finished after {CHECK_SECONDS} s")
        return False
    passed = done.returncode == 0
    say(f"{'ok' if passed else 'FAILED'} ({time.monotonic() - begun:.1f} s)")
    if not passed:
        say(done.stdout.strip())
    return passed


def tests(arguments: list[str]) -> bool:
    """Run pytest, its output as it comes; at the time limit it is interrupted as by Ctrl-C, so that it still reports."""
    options = arguments or SIDE_BY_SIDE
    # Threads of NumPy and PyTorch would wait for each other's cores: the processes side by side use all of them already.
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
    # Some hundred processes of Python would each compile thousands of modules anew where the environment keeps no bytecode, as
    # that of many containers does: this takes longer than the tests.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment)
    try:
        return process.wait(TEST_SECONDS) == 0
    except subprocess.TimeoutExpired:
        say(f"\nThe tests are not finished after {TEST_SECONDS} s: interrupting them.")
        # More than once, because the test at hand may take the first one for its own.
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            return False
        process.kill()
        return False
    except KeyboardInterrupt:
        process.wait(20)
        return False


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    failed = [name for name, command in CHECKS if not check(name, command)]
    if failed:
        say(f"{len(failed)} of {len(CHECKS)} checks failed: {', '.join(failed)}")
    if "--no-tests" in arguments:
        return bool(failed)
    if importlib.util.find_spec("torch") is None:
        say("NB: PyTorch is not installed: the tests of training/ are SKIPPED. `make test TRAINING=yes` installs it (on Linux")
        say("    several gigabytes, unless pip is configured with an index that offers PyTorch's CPU build).")
    passed = tests(arguments)
    return int(bool(failed) or not passed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
