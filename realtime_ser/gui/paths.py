"""Paths as they are shown. No Qt."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["shown_path"]


def shown_path(path: str | Path) -> str:
    """A path with ``~`` in place of the user's own folder, as shells write it; elsewhere, and on Windows, whole."""
    path = Path(path)
    home = Path.home()
    if os.name == "nt" or not path.is_relative_to(home):
        return str(path)
    return str(Path("~") / path.relative_to(home))
