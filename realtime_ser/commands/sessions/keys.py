"""Single keys from the terminal, while something else is shown there."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

__all__ = ["Keys"]

_SEVERAL = re.compile(r"\x1b(?:[\[O][0-?]*[ -/]*[@-~])?")
"""What a terminal sends for arrows, function keys and the like (ECMA-48), and a bare escape."""

_POLL = 0.02
"""Seconds between two looks on Windows, whose consoles cannot be waited for together with something else."""


class Keys:
    """Calls `on_key` with every character that is typed, and the time of ``perf_counter()`` at which it was read.

    NB: it is called by a thread of its own, *keys*. Where standard input is no terminal, or belongs to another program, nothing
    is ever read from it. Ctrl-C goes on to work. The terminal is left as it was.

    Parameters
    ----------
    on_key
        Must not raise. Keys that send several characters (arrows) are left out.
    """

    def __init__(self, on_key: Callable[[str, float], None]) -> None:
        self._on_key = on_key
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: Any = None
        self._wake: tuple[int, int] | None = None

    @property
    def active(self) -> bool:
        """Whether keys are read."""
        return self._thread is not None

    def __enter__(self) -> Self:
        if not _ours():
            return self
        if sys.platform != "win32":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno(), termios.TCSANOW)
            self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._thread is None:
            return
        self._over.set()
        if self._wake is not None:
            os.write(self._wake[1], b".")
        self._thread.join()
        if sys.platform != "win32" and self._wake is not None:
            import termios

            for end in self._wake:
                os.close(end)
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            while not self._over.wait(_POLL):
                while msvcrt.kbhit():
                    self._tell(msvcrt.getwch())
            return
        import select

        assert self._wake is not None  # made before this thread
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            typed = os.read(sys.stdin.fileno(), 64)
            if not typed:  # the terminal is gone
                return
            self._tell(typed.decode(errors="ignore"))

    def _tell(self, typed: str) -> None:
        at = time.perf_counter()
        for key in _SEVERAL.sub("", typed):
            self._on_key(key, at)


def _ours() -> bool:
    """Whether standard input is a terminal in whose foreground this program runs: asking for more would stop it."""
    try:
        if not sys.stdin.isatty():
            return False
        if sys.platform == "win32":
            return True
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
