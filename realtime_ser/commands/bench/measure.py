"""Measuring: cases in turn on one thread's own time, and programs as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import RealtimeSerError

__all__ = ["WARM_UP", "Use", "in_turn", "one_thread", "program", "run"]

WARM_UP = 2
"""Rounds that are not counted: caches, clock frequency and lazily made state settle."""

_THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def in_turn(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Seconds of processor time that every case takes, shape ``(rounds,)``.

    The cases take turns, so that whatever else the machine does meets all of them alike; ratios are to be formed round by
    round. Only this thread's time counts: waiting for other programs does not.
    """
    seconds = {name: np.empty(rounds) for name in cases}
    for number in range(-WARM_UP, rounds):
        for name, case in cases.items():
            begun = time.thread_time()
            case()
            if number >= 0:
                seconds[name][number] = time.thread_time() - begun
    return seconds


def one_thread() -> dict[str, str]:
    """An environment in which NumPy's matrix products use one thread; it has to be there before NumPy is loaded."""
    return {**os.environ, **dict.fromkeys(_THREAD_SETTINGS, "1")}


def program(*arguments: str) -> list[str]:
    """The command that runs this very program, also where it is frozen."""
    return [sys.executable, *arguments] if getattr(sys, "frozen", False) else [sys.executable, "-m", "realtime_ser", *arguments]


@dataclass(frozen=True, slots=True)
class Use:
    """What a process took.

    Attributes
    ----------
    seconds
        From start to end.
    processor_seconds
        Of all its threads and the processes that it waited for; ``None`` where the system does not tell.
    peak_megabytes
        Largest memory that it held at once; ``None`` where the system does not tell.
    output
        What it wrote to standard output.
    """

    seconds: float
    processor_seconds: float | None
    peak_megabytes: float | None
    output: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Use:
    """Run a program to its end.

    Raises
    ------
    RealtimeSerError
        It failed; the message has its own words.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=None if environment is None else dict(environment),
        )
        processor_seconds = peak = None
        if sys.platform == "win32":
            process.wait()
        else:
            # NB: Linux counts the memory of the parent at the start of a child towards the child's peak. This process is
            # small, because it measures nothing itself.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            processor_seconds = usage.ru_utime + usage.ru_stime
            peak = usage.ru_maxrss / (1024.0**2 if sys.platform == "darwin" else 1024.0)
        seconds = time.perf_counter() - begun
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            words = errors.read().decode(errors="replace").strip().splitlines()
            raise RealtimeSerError(f"{' '.join(command[-3:])} failed: {words[-1] if words else process.returncode}.")
        return Use(seconds, processor_seconds, peak, output.read().decode(errors="replace"))
