"""``realtime-ser gui``: the dashboard over the real engine."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_ser.config import RETURN_SECONDS
from realtime_ser.errors import DisplayError

if TYPE_CHECKING:
    from realtime_ser.gui.settings import ChoiceName
    from realtime_ser.inputs import PeopleInput

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
    recognizer: str | None = None,
    provider: str | None = None,
    weights: str | None = None,
    wait: float = RETURN_SECONDS,
    log: str | None = None,
    profile: str | None = None,
    people: PeopleInput | None = None,
) -> int:
    """Open the window and return its exit code when it is closed.

    What is ``None`` is as the dashboard's settings say.

    Parameters
    ----------
    start
        Input to start on, as on the command line.
    wait
        How long a microphone that went away is waited for, in seconds.
    log
        File to write the log into; ``None``: the usual one.
    profile
        Name of the profile of the one who speaks, or its file.
    people
        Two people to begin with, the first on what `start` says.

    Raises
    ------
    DisplayError
        No window can be opened here.
    ConfigError
        An option means nothing, or there is no such profile.
    """
    from realtime_ser.acoustic.execution import PROVIDER_VARIABLE, WEIGHTS_VARIABLE, Execution
    from realtime_ser.asr.discovery import MODEL_VARIABLE
    from realtime_ser.bundle.loader import BUNDLE_VARIABLE
    from realtime_ser.commands.log import start_log
    from realtime_ser.controller import Controller
    from realtime_ser.gui.app import run
    from realtime_ser.inputs import Input, open_input, open_people, parse_input
    from realtime_ser.profiles import read_profile

    speaker = None if profile is None else read_profile(profile)
    wanted = Input("microphone") if start is None else parse_input(start)
    execution = Execution.wanted(provider, weights)
    decided: dict[ChoiceName, str | None] = {
        "input": start,
        "recognizer": recognizer or os.environ.get(MODEL_VARIABLE),
        "bundle": bundle or os.environ.get(BUNDLE_VARIABLE),
        "provider": provider or os.environ.get(PROVIDER_VARIABLE),
        "weights": weights or os.environ.get(WEIGHTS_VARIABLE),
        "profile": profile,
    }
    given = [name for name, value in decided.items() if value]
    start_log(log)

    def controller() -> Controller:
        source, sources = partial(open_input, wait=wait), partial(open_people, wait=wait)
        return Controller(
            bundle, recognizer or "auto", execution=execution, open_source=source, open_sources=sources, profile=speaker
        )

    if wanted.kind == "file":
        return run(controller, recording=Path(wanted.id), start=True, given=given, people=people)
    # A device's number is its id in the menu; a name is looked for in the titles.
    return run(controller, choose=(wanted.kind, wanted.id), start=True, given=given, people=people)
