"""The dashboard's way to the recorded sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gui.conftest import Driver

from realtime_ser.gui.qt import Qt, QtWidgets
from realtime_ser.gui.theme import LIGHT


def test_sessions_open_by_key_and_button_follow_the_theme_and_close_with_the_window(
    drive: Callable[..., Driver], settings: Any, tmp_path: Path, qtbot: Any
) -> None:
    settings.setValue("sessions", str(tmp_path / "none"))
    driver = drive()
    driver.settle()
    qtbot.keyClick(driver.window, Qt.Key.Key_F4)
    sessions = driver.window.sessions
    assert sessions is not None
    assert sessions.isVisible()
    qtbot.waitUntil(lambda: not sessions.busy)
    assert "There are no sessions" in sessions.text
    sessions.close()
    (button,) = [
        one for one in driver.window.findChildren(QtWidgets.QPushButton) if one.accessibleName() == "recorded sessions"
    ]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert driver.window.sessions is sessions
    assert sessions.isVisible()
    driver.window.toggle_theme()
    assert LIGHT.window in sessions.styleSheet()
    driver.window.close()
    assert not sessions.isVisible()
