"""What scenes (gui.scenes) are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime_ser.gui.qt import QtCore, QtWidgets


@dataclass(frozen=True)
class Scene:
    """Something to look at.

    Attributes
    ----------
    screen, state
        What it is called.
    sizes
        In which it is to be seen, the smallest that it may have among them.
    set_theme
        Shows it in ``"dark"`` or ``"light"``.
    settle
        Lets it draw.
    """

    screen: str
    state: str
    widget: QtWidgets.QWidget
    sizes: Sequence[tuple[int, int]]
    set_theme: Callable[[str], None]
    settle: Callable[[], object]

    @property
    def dialog(self) -> bool:
        """Whether it is one whose size is up to its contents."""
        return isinstance(self.widget, QtWidgets.QDialog) and min(self.sizes)[0] < 800

    def show(self, theme: str, size: tuple[int, int]) -> None:
        """Show it so."""
        self.set_theme(theme)
        self.widget.resize(*size)
        for _ in range(2):
            self.settle()
            QtWidgets.QApplication.processEvents()
            # What an event loop would have deleted by now.
            QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def wait_until(done: Callable[[], bool], seconds: float = 240.0) -> None:
    """Let Qt work until `done`."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(done)
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def settings_file(place: Path, name: str) -> QtCore.QSettings:
    """Settings of their own, dark."""
    settings = QtCore.QSettings(str(place / f"{name}.ini"), QtCore.QSettings.Format.IniFormat)
    settings.setValue("theme", "dark")
    return settings


def sized(dialog: QtWidgets.QWidget, usual: tuple[int, int] | None = None) -> tuple[tuple[int, int], ...]:
    """As it opens (where the screen is large enough, `usual`), and as small as it may be made."""
    QtWidgets.QApplication.processEvents()
    least = dialog.minimumSize().expandedTo(dialog.minimumSizeHint())
    opens = usual or (max(dialog.width(), least.width()), max(dialog.height(), least.height()))
    return opens, (least.width(), least.height())
