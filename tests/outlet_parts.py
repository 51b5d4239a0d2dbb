"""Parts of tests of outlets: window scores made by hand, and second processes."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from realtime_ser.outlets.feed import StreamFacts
from realtime_ser.types import WindowScores

CLASSES = ("anger", "happiness", "neutral", "sadness")
FACTS = StreamFacts(CLASSES, hop=160, window=4000, bundle="test 1", fingerprint="ab" * 32)


def windows(first: int, scores: list[float], captured_at: float | None) -> WindowScores:
    """Windows from number `first` on whose probability of the first class is as given."""
    rows = np.array([[score, *[(1 - score) / 3] * 3] for score in scores], np.float32)
    wide = np.zeros((len(rows), 2048), np.float32)
    return WindowScores(first * 160, 160, 4000, rows, rows, wide, np.ones(len(rows), bool), wide, captured_at)


class Other:
    """A second process; its lines come through a queue."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put("")

    def line(self) -> str:
        line = self._lines.get(timeout=60)
        assert line, "the other process ended"
        return line

    def say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()


@contextmanager
def other_process(code: str, *arguments: str) -> Iterator[Other]:
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Other(process)
        finally:
            process.kill()
