"""What a command says to its user beside its results."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["progress_bars", "tell"]


def tell(text: str) -> None:
    """Print a line at once, on standard error: standard output may carry JSON lines or a table. For any thread."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks to the user


def progress_bars(*, counted: bool = False) -> Progress:
    """Bars with the time left, on standard error; none where that is no terminal.

    Parameters
    ----------
    counted
        Say how many of how many are done, in place of the percentage.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if counted else TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
