"""The terminal view in a real terminal: what it shows while things go wrong, and what it leaves behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("termios", reason="pseudo-terminals are POSIX's")
import pty
import termios

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A program in a terminal of 100 by 40 characters; `text` is everything that it wrote there."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._ours, self._theirs = pty.openpty()
        self.before = termios.tcgetattr(self._theirs)
        self.text = ""
        environment = {**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        self.program = subprocess.Popen(
            [sys.executable, "-m", "realtime_ser", *arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env=environment,
        )

    def wait_for(self, wanted: str, seconds: float = 40.0) -> None:
        """Read on until `wanted` was written."""
        begin = len(self.text)
        deadline = time.monotonic() + seconds
        while wanted not in self.text[begin:]:
            assert time.monotonic() < deadline, f"{wanted!r} was not written, but:\n{self.text[begin:]}"
            self._read(0.2)

    def end(self) -> int:
        """Read on until the program has ended; returns its exit status."""
        deadline = time.monotonic() + 40
        while self.program.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.text}"
            self._read(0.2)
        while self._read(0.0):
            pass
        return self.program.returncode

    @property
    def after(self) -> Any:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self.text += os.read(self._ours, 65_536).decode(errors="replace")
        return True


@pytest.fixture
def terminal(virtual_microphone: Any, random_bundle: Path, tmp_path: Path) -> Iterator[Terminal]:
    arguments = ["listen", "--input", "microphone", "--recognizer", "none", "--bundle", str(random_bundle)]
    shown = Terminal([*arguments, "--log", str(tmp_path / "log")], virtual_microphone.environment)
    yield shown
    shown.close()


def test_a_microphone_that_goes_away_and_comes_back_is_shown_and_nothing_else(
    terminal: Terminal, virtual_microphone: Any
) -> None:
    terminal.wait_for("0 skipped")  # the first second was heard
    virtual_microphone.unplug()
    terminal.wait_for("no microphone")
    terminal.wait_for("it is looked for")
    virtual_microphone.replug()
    terminal.wait_for("is back")
    terminal.wait_for("no speech")
    terminal.program.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    # What PortAudio and ALSA have to say about it would have torn the picture to pieces.
    assert "Expression" not in terminal.text
    assert "ALSA lib" not in terminal.text
    tail = terminal.text[terminal.text.rindex(SHOW_CURSOR) :]
    assert "“default” went away" in tail  # the picture is gone, what happened stays to be read
    assert "is back" in tail
    assert "microphone lost 1×" in tail


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_terminal_as_it_was(terminal: Terminal, number: signal.Signals) -> None:
    terminal.wait_for("no speech")
    assert HIDE_CURSOR in terminal.text
    terminal.program.send_signal(number)
    assert terminal.end() == 0
    assert terminal.text.rindex(SHOW_CURSOR) > terminal.text.rindex(HIDE_CURSOR)
    assert "Heard" in terminal.text[terminal.text.rindex(SHOW_CURSOR) :]
    assert terminal.after == terminal.before
    assert "Traceback" not in terminal.text
