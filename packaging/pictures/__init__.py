"""Pictures of the program for its documentation, drawn by packaging/screenshots.py and packaging/study.py.

Importing it makes the checkout and the parts of its tests importable, and chooses where Qt draws: on the display where there is
one, such as ``xvfb-run`` makes, else without.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parents[2]

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
if sys.platform == "linux" and not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
