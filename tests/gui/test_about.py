"""The keys that are written down are the keys that work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from gui.conftest import Driver

from realtime_ser.gui.about import KEYS
from realtime_ser.gui.qt import QtGui

ROOT = Path(__file__).resolve().parent.parent.parent


def test_help_and_documentation_name_the_same_keys_as_the_window(drive: Callable[..., Driver]) -> None:
    window = drive().window
    working = {shortcut.key().toString() for shortcut in window.findChildren(QtGui.QShortcut)}
    digits = {str(number) for number in range(1, 10)}
    assert digits <= working
    told = {keys for keys, _ in KEYS}
    assert told == (working - digits) | {"1 to 9"}
    text = (ROOT / "docs" / "dashboard.md").read_text(encoding="utf-8")
    table = text.split("## Keys")[1].split("##")[0]
    documented = set(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)) - {"key", "---"}
    assert documented == told
