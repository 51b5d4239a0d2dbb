"""The replay window's entry point. Importing this module imports no Qt; running it does."""

from __future__ import annotations

from pathlib import Path

from realtime_ser.gui.application import run_window

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
    from realtime_ser.gui.replay.document import Document
    from realtime_ser.gui.replay.window import ReplayWindow

    document = Document(folder, scores)
    return run_window(lambda settings: ReplayWindow(document, settings))
