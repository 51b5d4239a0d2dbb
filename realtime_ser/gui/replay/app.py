"""The replay window's entry point. Importing this module imports no Qt; running it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from realtime_ser.gui.application import MainWindow, run_window

if TYPE_CHECKING:
    from realtime_ser.gui.qt import QtCore

__all__ = ["run_replay"]


def run_replay(folder: Path, scores: str | None = None) -> int:
    """Show a session until its window is closed; the exit status. To be called on the main thread.

    Raises
    ------
    DisplayError
        There is no display, or a system library that Qt needs is missing.
    SessionError
        The session cannot be read, or has no scoring `scores`.
    """
    from realtime_ser.session.reader import Session

    # What is wrong with the whole of it is said in the terminal, where it was asked for.
    with Session(folder, scores):
        pass

    def make(settings: QtCore.QSettings) -> MainWindow:
        from realtime_ser.gui.replay.opening import OpeningWindow

        return OpeningWindow(folder, scores, settings)

    return run_window(make)
