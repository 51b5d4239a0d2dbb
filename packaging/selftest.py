"""Try the program as a user gets it, away from the checkout.

    .venv/bin/python packaging/selftest.py                      build the wheel, install it in a fresh environment, try that
    .venv/bin/python packaging/selftest.py --wheel X.whl        try this wheel
    .venv/bin/python packaging/selftest.py --program PATH       try an installed or frozen program

The program runs in an empty folder, so that it cannot lean on the checkout. One line per step; the exit status tells.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMONSTRATION = ROOT / "assets" / "demonstration.flac"
SECONDS = 600


class Failure(Exception):  # noqa: N818 - a finding, not an error of this script
    """A step did not do what it should; the message says what happened."""


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run `command` in `folder` and return what it printed; :class:`Failure` with its last words where it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except OSError as error:
        raise Failure(str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"not finished after {SECONDS} s") from error
    if done.returncode:
        raise Failure(f"exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """The checkout as a wheel, in `folder`."""
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder, ROOT], folder)
    return next(folder.glob("realtime_ser-*.whl"))


def install(wheel: Path, folder: Path) -> Path:
    """Install `wheel` in a fresh environment in `folder`; the program in it."""
    run([sys.executable, "-m", "venv", folder / "environment"], folder)
    programs = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    run([programs / "python", "-m", "pip", "install", "--quiet", "--prefer-binary", wheel], folder)
    return programs / "realtime-ser"


def try_version(program: Path, folder: Path) -> str:
    """The program starts."""
    return run([program, "--version"], folder).strip()


def try_itself(program: Path, folder: Path) -> str:
    """The program's own test: models complete, all ways to a score agree, what this machine lacks."""
    return run([program, "selftest"], folder).strip().replace("\n", "\n      ")


def try_analysis(program: Path, folder: Path) -> str:
    """A recorded file becomes a table with a row per utterance."""
    rows = list(csv.DictReader(io.StringIO(run([program, "analyze", DEMONSTRATION], folder))))
    expected = len(json.loads(DEMONSTRATION.with_suffix(".json").read_text(encoding="utf-8"))["utterances"])
    if not expected / 2 <= len(rows) <= expected * 2:
        raise Failure(f"{len(rows)} utterances where about {expected} are spoken")
    return f"{len(rows)} utterances of {expected} spoken"


def try_listening(program: Path, folder: Path) -> str:
    """The live engine runs through the demonstration and ends by itself."""
    lines = run([program, "listen", "--input", "demo", "--pace", "fast", "--json"], folder).splitlines()
    if not lines:
        raise Failure("nothing was reported")
    for line in lines:
        json.loads(line)
    return f"{len(lines)} reports"


STEPS: list[tuple[str, Callable[[Path, Path], str]]] = [
    ("starts", try_version),
    ("tests itself", try_itself),
    ("analyses a file", try_analysis),
    ("listens to the demonstration", try_listening),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--wheel", type=Path, help="try this wheel instead of building one")
    choice.add_argument("--program", type=Path, help="try this program instead of installing one")
    options = parser.parse_args(arguments)
    failed = 0
    # Windows cannot delete a program that has only just ended; the folder is temporary anyway.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work = folder / "elsewhere"
        work.mkdir()
        try:
            program = options.program
            if program is None:
                wheel = options.wheel or build_wheel(folder)
                sys.stdout.write(f"ok      wheel {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB\n")
                sys.stdout.flush()
                program = install(wheel.resolve(), folder)
            program = program.absolute()
        except Failure as failure:
            sys.stdout.write(f"FAILED  to build or install: {failure}\n")
            return 1
        for title, step in STEPS:
            begun = time.monotonic()
            try:
                said = step(program, work)
                line = f"ok      {title} ({time.monotonic() - begun:.1f} s): {said}"
            except (Failure, ValueError) as failure:
                failed += 1
                line = f"FAILED  {title}: {failure}"
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    sys.stdout.write(
        "The program works away from the checkout.\n" if not failed else f"{failed} of {len(STEPS)} steps failed.\n"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
