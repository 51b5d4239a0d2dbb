"""The dashboard's way to the recorded sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gui.conftest import Driver

from realtime_ser.gui.qt import Qt, QtWidgets
from realtime_ser.gui.sessions.window import SessionsWindow
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
    driver.tick()
    assert LIGHT.window in sessions.styleSheet()
    driver.window.close()
    assert not sessions.isVisible()


def test_the_program_ends_only_once_nothing_is_left_unsaved(
    drive: Callable[..., Driver], settings: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.setValue("sessions", str(tmp_path / "none"))
    driver = drive()
    driver.settle()
    driver.window.show_sessions()
    unsaved, asked = True, []
    monkeypatch.setattr(SessionsWindow, "unsaved", property(lambda _window: unsaved))
    monkeypatch.setattr(SessionsWindow, "ask_to_end", lambda _window, then: asked.append(then))
    qtbot.keyClick(driver.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert driver.window.isVisible()
    assert not driver.controller.closed
    unsaved = False  # it was saved
    asked.pop()()
    assert not driver.window.isVisible()
    assert driver.controller.closed
