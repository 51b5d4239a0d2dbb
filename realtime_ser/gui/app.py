"""The dashboard's entry point. Importing this module imports no Qt; running it does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_ser.gui.application import run_window
from realtime_ser.gui.controller import DashboardController, InputKind

if TYPE_CHECKING:
    from realtime_ser.gui.settings import ChoiceName
    from realtime_ser.inputs import PeopleInput

__all__ = ["run"]


def run(
    controller_factory: Callable[[], DashboardController],
    *,
    recording: Path | None = None,
    choose: tuple[InputKind, str] | None = None,
    start: bool = False,
    given: Collection[ChoiceName] = (),
    quit_after: float | None = None,
    people: PeopleInput | None = None,
) -> int:
    """Show the dashboard until its window is closed. To be called on the main thread.

    Parameters
    ----------
    controller_factory
        Makes the controller; called once, on a worker thread, when the window is already up.
    recording
        A recording to choose at once.
    choose
        Kind, and id or part of the title (empty: the first), of an input to choose once the inputs are known.
    start
        Whether to start as soon as everything is loaded.
    given
        What the command line or the environment has decided, so that stored settings do not count for it.
    quit_after
        Close by itself after so many seconds, for smoke tests of an installation.
    people
        Two people to listen to, to begin with.

    Returns
    -------
    The process's exit status.

    Raises
    ------
    DisplayError
        There is no display, or a system library that Qt needs is missing.
    """
    from realtime_ser.gui.window import DashboardWindow

    return run_window(
        lambda settings: DashboardWindow(
            controller_factory,
            settings,
            recording=recording,
            choose=choose,
            start=start,
            given=given,
            people=people,
            # Who lets the program close by itself does not sit in front of it.
            first_start=quit_after is None,
        ),
        quit_after,
    )
