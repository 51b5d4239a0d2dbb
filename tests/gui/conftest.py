"""A window on a scripted controller, driven tick by tick, and closed with all its threads at the end of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gui.scripted_controller import ScriptedController

from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.window import DashboardWindow


class Driver:
    """A window whose timer stands still: the test says when it ticks."""

    def __init__(self, qtbot: Any, controller: ScriptedController, settings: QtCore.QSettings, **options: Any) -> None:
        self.qtbot = qtbot
        self.controller = controller
        self.window = DashboardWindow(lambda: controller, settings, **options)
        self.window.findChild(QtCore.QTimer).stop()
        qtbot.addWidget(self.window)
        self.window.show()

    def tick(self, times: int = 8) -> None:
        """Let the timer have fired that often; eight ticks write text too."""
        for _ in range(times):
            self.window.tick()
            QtWidgets.QApplication.processEvents()

    def settle(self) -> None:
        """Tick until the worker has delivered everything."""

        def idle() -> bool:
            self.window.tick()
            return not self.window.worker_busy

        self.qtbot.waitUntil(idle, timeout=10_000)
        self.tick()
        # What is shown now may have asked for more.
        while self.window.worker_busy:
            self.qtbot.waitUntil(idle, timeout=10_000)
            self.tick()

    def play(self, seconds: float) -> None:
        """Let a part of the script pass."""
        for _ in range(round(seconds * 10.0)):
            self.controller.advance(0.1)
            self.window.tick()
        self.tick()


@pytest.fixture
def settings(tmp_path: Path) -> QtCore.QSettings:
    return QtCore.QSettings(str(tmp_path / "dashboard.ini"), QtCore.QSettings.Format.IniFormat)


@pytest.fixture
def drive(qtbot: Any, settings: QtCore.QSettings) -> Iterator[Callable[..., Driver]]:
    """Make a window on a controller; afterwards it is closed, and none of its threads is left."""
    before = set(threading.enumerate())
    drivers: list[Driver] = []

    def make(controller: ScriptedController | None = None, **options: Any) -> Driver:
        driver = Driver(qtbot, controller or ScriptedController(), settings, **options)
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        driver.controller.bundle_gate.set()
        driver.window.close()
        assert driver.controller.closed
    assert set(threading.enumerate()) <= before


@pytest.fixture
def running(drive: Callable[..., Driver]) -> Driver:
    """A window that listens to the scripted microphone."""
    driver = drive()
    driver.settle()
    driver.window.start()
    driver.tick()
    return driver
