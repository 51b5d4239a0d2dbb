"""The terminal view in a real terminal: what it shows while things go wrong, and what it leaves behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("termios", reason="pseudo-terminals are POSIX's")

from pseudo_terminal import Terminal

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


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
