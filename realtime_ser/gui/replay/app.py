"""The replay window's entry point. Importing this module imports no Qt; running it does."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["run_replay"]


def run_replay(folder: Path, scores: str | None = None) -> int:
    """Show a session until its window is closed; the exit status. To be called on the main thread.

    Raises
    ------
    DisplayError
        There is no display, or a system library that Qt needs is missing.
    SessionError
        The session cannot be read, or has no scoring `scores`.
    """
    from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets, check_display
    from realtime_ser.gui.replay.window import ReplayWindow

    check_display()
    application = QtWidgets.QApplication.instance()
    if not isinstance(application, QtWidgets.QApplication):
        application = QtWidgets.QApplication(sys.argv[:1])
    application.setApplicationName("realtime-ser")
    application.setApplicationDisplayName("realtime-ser")
    QtGui.QGuiApplication.setDesktopFileName("realtime-ser")
    application.setStyle("Fusion")
    settings = QtCore.QSettings(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, "realtime-ser", "dashboard"
    )
    window = ReplayWindow(folder, settings, scores)
    window.show()
    return int(application.exec())
