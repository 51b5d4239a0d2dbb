"""``realtime-ser gui``: the dashboard over the real engine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from realtime_ser.acoustic.execution import Execution
from realtime_ser.config import RETURN_SECONDS
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


def open_dashboard(
    start: str | None,
    *,
    bundle: str | None = None,
    recognizer: str | Path = "auto",
    execution: Execution | None = None,
    wait: float = RETURN_SECONDS,
    log: str | None = None,
    profile: str | None = None,
) -> int:
    """Open the window and return its exit code when it is closed.

    Parameters
    ----------
    start
        Input to start on, as on the command line; ``None``: the default microphone, if there is one.
    wait
        How long a microphone that went away is waited for, in seconds.
    log
        File to write the log into; ``None``: the usual one.
    profile
        Name of the profile of the one who speaks, or its file.

    Raises
    ------
    DisplayError
        No window can be opened here.
    ConfigError
        There is no such profile.
    """
    from realtime_ser.commands.log import start_log
    from realtime_ser.controller import Controller
    from realtime_ser.gui.app import run
    from realtime_ser.inputs import Input, open_input, parse_input
    from realtime_ser.profiles import read_profile

    speaker = None if profile is None else read_profile(profile)
    wanted = Input("microphone") if start is None else parse_input(start)
    start_log(log)

    def controller() -> Controller:
        return Controller(bundle, recognizer, execution=execution, open_source=partial(open_input, wait=wait), profile=speaker)

    if wanted.kind == "file":
        return run(controller, recording=Path(wanted.id), start=True)
    # A device's number is its id in the menu; a name is looked for in the titles.
    return run(controller, choose=(wanted.kind, wanted.id), start=True)
