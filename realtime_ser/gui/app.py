"""The dashboard's entry point. Importing this module imports no Qt; running it does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from realtime_ser.gui.controller import DashboardController, InputKind

__all__ = ["run"]


def run(
    controller_factory: Callable[[], DashboardController],
    *,
    recording: Path | None = None,
    choose: tuple[InputKind, str] | None = None,
    start: bool = False,
    quit_after: float | None = None,
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
    quit_after
        Close by itself after so many seconds, for smoke tests of an installation.

    Returns
    -------
    The process's exit status.

    Raises
    ------
    DisplayError
        There is no display, or a system library that Qt needs is missing.
    """
    from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets, check_display
    from realtime_ser.gui.window import DashboardWindow

    check_display()
    application = QtWidgets.QApplication.instance()
    if not isinstance(application, QtWidgets.QApplication):
        application = QtWidgets.QApplication(sys.argv[:1])
    application.setApplicationName("realtime-ser")
    application.setApplicationDisplayName("realtime-ser")
    QtGui.QGuiApplication.setDesktopFileName("realtime-ser")
    application.setStyle("Fusion")  # one look on all systems: the style sheet is drawn on top of it
    settings = QtCore.QSettings(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, "realtime-ser", "dashboard"
    )
    window: DashboardWindow | None = None
    told_to_end = False

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # Qt swallows what a slot raises. It is printed as ever, and shown.
        sys.__excepthook__(kind, error, trace)
        if window is not None and not issubclass(kind, KeyboardInterrupt):
            window.report(error)

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal told_to_end
        told_to_end = True
        if window is not None:
            # By the event loop, also where that has not begun to run yet: it would never learn of a window closed before.
            QtCore.QTimer.singleShot(0, window.close)

    hook, sys.excepthook = sys.excepthook, report
    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        window = DashboardWindow(
            controller_factory,
            settings,
            recording=recording,
            choose=choose,
            start=start,
            # Who lets the program close by itself does not sit in front of it.
            first_start=quit_after is None,
        )
        if told_to_end:
            QtCore.QTimer.singleShot(0, window.close)
        window.show()
        if quit_after is not None:
            QtCore.QTimer.singleShot(round(1000.0 * quit_after), window.close)
        return int(application.exec())
    finally:
        sys.excepthook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
