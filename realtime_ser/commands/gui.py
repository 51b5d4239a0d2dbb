"""``realtime-ser gui``: the dashboard over the real engine."""

from __future__ import annotations

from pathlib import Path

from realtime_ser.errors import DisplayError

__all__ = ["display_problem", "open_dashboard"]


def display_problem() -> DisplayError | None:
    """Why no window can be opened here, or ``None``."""
    try:
        from realtime_ser.gui.qt import check_display

        check_display()
    except DisplayError as error:
        return error
    return None


def open_dashboard(start: str | None, *, bundle: str | None, recognizer: str | Path) -> int:
    """Open the window and return its exit code when it is closed.

    Parameters
    ----------
    start
        Input to start on at once, as on the command line; ``None``: wait for the user.

    Raises
    ------
    DisplayError
        No window can be opened here.
    """
    from realtime_ser.controller import Controller
    from realtime_ser.gui.app import run
    from realtime_ser.inputs import parse_input

    wanted = None if start is None else parse_input(start)
    recording = Path(wanted.id) if wanted is not None and wanted.kind == "file" else None
    return run(lambda: Controller(bundle, recognizer), recording=recording, start=wanted is not None)
