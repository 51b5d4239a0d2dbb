"""From the command to the first score, and what of it is importing."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from realtime_ser.commands.bench.measure import program, run
from realtime_ser.commands.bench.report import Row, Spread
from realtime_ser.errors import RealtimeSerError

__all__ = ["start_rows"]

_PART = "start"
_IMPORTS = (
    "import time; begun = time.perf_counter()\n"
    "import realtime_ser.cli, realtime_ser.commands.listen\n"
    "print(time.perf_counter() - begun)"
)
_GIVE_UP = 60.0


def start_rows(bundle: str | None, recognizer: str, rounds: int) -> list[Row]:
    """Start the program `rounds` times after one start that is not counted."""
    starts = [_first_score(bundle, recognizer) for _ in range(rounds + 1)][1:]
    rows = [
        Row.of(
            _PART, "command to first score, from the second start on", Spread.of(starts), "s", at_most=2.5,
            note="`listen` on the demonstration, as spoken: the first window's own 0.25 s is in it",
        )
    ]  # fmt: skip
    if getattr(sys, "frozen", False):
        return [*rows, Row.of(_PART, "imports of `listen`", None, "s", note="a frozen program has no interpreter to ask")]
    imports = [float(run([sys.executable, "-c", _IMPORTS]).output) for _ in range(rounds + 1)][1:]
    return [*rows, Row.of(_PART, "imports of `listen`", Spread.of(imports), "s", at_most=1.0)]


def _first_score(bundle: str | None, recognizer: str) -> float:
    """Seconds until the first window is written; the program is then told to stop."""
    options = ["--input", "demo", "--json", "--recognizer", recognizer, *(["--bundle", bundle] if bundle else [])]
    begun = time.perf_counter()
    with subprocess.Popen(
        program("listen", *options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None  # a pipe was asked for
        try:
            for line in process.stdout:
                if json.loads(line)["type"] == "window":
                    return time.perf_counter() - begun
                if time.perf_counter() - begun > _GIVE_UP:
                    break
        finally:
            process.terminate()
            process.stdout.read()
    raise RealtimeSerError("The program gave no score when it was started.", "Try `realtime-ser selftest`.")
