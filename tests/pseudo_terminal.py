"""A terminal for the program, whose screen and keyboard a test holds."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from typing import Any

IN_FOREGROUND = """
import fcntl, os, runpy, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("realtime_ser", run_name="__main__", alter_sys=True)
"""
"""Takes the terminal as a shell does for what it starts, and becomes the program."""


class Terminal:
    """The program in a terminal of 100 by 40 characters; `text` is everything that it wrote there.

    Parameters
    ----------
    foreground
        Whether the terminal is the program's own, as a shell would start it, so that it may read keys.
    """

    def __init__(self, arguments: list[str], environment: dict[str, str], foreground: bool = False) -> None:
        self._ours, self._theirs = pty.openpty()
        self.before = termios.tcgetattr(self._theirs)
        self.text = ""
        environment = {**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        self.program = subprocess.Popen(
            [sys.executable, *(("-c", IN_FOREGROUND) if foreground else ("-m", "realtime_ser")), *arguments],
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

    def type(self, keys: str) -> None:
        """Type at the terminal's keyboard."""
        os.write(self._ours, keys.encode())

    @property
    def after(self) -> Any:
        """The terminal's settings now; `before` are those at the start."""
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
