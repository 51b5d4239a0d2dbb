"""What a command says to its user beside its results."""

from __future__ import annotations

import sys

__all__ = ["tell"]


def tell(text: str) -> None:
    """Print a line at once, on standard error: standard output may carry JSON lines or a table. For any thread."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks to the user
