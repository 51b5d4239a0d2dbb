"""Qt's application around a main window: name, look, settings, signals and errors. Importing this module imports no Qt."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from realtime_ser.gui.qt import QtCore, QtWidgets

__all__ = ["MainWindow", "run_window"]

_PULSE_MS = 200


class MainWindow(Protocol):
    """What :func:`run_window` needs of a window."""

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        ...

    def show(self) -> None:
        """Put it on the screen."""
        ...

    def close(self) -> bool:
        """Close it; whether it did."""
        ...


def run_window(make: Callable[[QtCore.QSettings], MainWindow], quit_after: float | None = None) -> int:
    """Show a window until it and all that it opened are closed. To be called on the main thread.

    An exception that nothing catches is printed and shown by the window that is in use; SIGINT and SIGTERM close all windows.

    Parameters
    ----------
    make
        Makes the window from the user's settings.
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
    from realtime_ser.gui.settings import Settings, open_store

    check_display()
    settings = open_store()
    # Qt reads it when the application object is made; who has set it himself knows why.
    if Settings(settings).scale != 1.0:
        os.environ.setdefault("QT_SCALE_FACTOR", f"{Settings(settings).scale:g}")
    application = QtWidgets.QApplication.instance()
    if not isinstance(application, QtWidgets.QApplication):
        application = QtWidgets.QApplication(sys.argv[:1])
    application.setApplicationName("realtime-ser")
    application.setApplicationDisplayName("realtime-ser")
    QtGui.QGuiApplication.setDesktopFileName("realtime-ser")
    application.setStyle("Fusion")  # one look on all systems: the style sheet is drawn on top of it
    window: MainWindow | None = None
    told_to_end = False

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # Qt swallows what a slot raises. It is printed as ever, and shown.
        sys.__excepthook__(kind, error, trace)
        if window is not None and not issubclass(kind, KeyboardInterrupt):
            _reporter(QtWidgets.QApplication.activeWindow(), window).report(error)

    def end() -> None:
        # First the main one, which knows in which order things are to be closed.
        if window is not None and window.close():
            QtWidgets.QApplication.closeAllWindows()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal told_to_end
        told_to_end = True
        if window is not None:
            # By the event loop, also where that has not begun to run yet: it would never learn of a window closed before.
            QtCore.QTimer.singleShot(0, end)

    # A signal is only noticed when Python has something to do, and a window at rest has not.
    pulse = QtCore.QTimer()
    pulse.setInterval(_PULSE_MS)
    pulse.timeout.connect(lambda: None)
    pulse.start()

    hook, sys.excepthook = sys.excepthook, report
    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        window = make(settings)
        if told_to_end:
            QtCore.QTimer.singleShot(0, end)
        window.show()
        if quit_after is not None:
            QtCore.QTimer.singleShot(round(1000.0 * quit_after), end)
        return int(application.exec())
    finally:
        pulse.stop()
        sys.excepthook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _reporter(active: QtWidgets.QWidget | None, main: MainWindow) -> MainWindow:
    """The window in use, or the one that it belongs to, where it can show an error; else the main one."""
    while active is not None:
        if callable(getattr(active, "report", None)):
            return active  # type: ignore[return-value]  # it has been looked at
        active = active.parentWidget()
    return main
