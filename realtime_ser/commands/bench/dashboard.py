"""The real window over the real engine on live sound: frames, stalls, and the time from the newest sample to the screen."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import Source
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.bench.live import LiveRecording
from realtime_ser.commands.bench.report import Row, Spread
from realtime_ser.commands.gui import display_problem
from realtime_ser.config import ENGINE_RATE
from realtime_ser.controller import Controller
from realtime_ser.inputs import DEMONSTRATION, Input, read_all
from realtime_ser.types import Health, Output, WindowScores

__all__ = ["dashboard_rows"]

_PART = "dashboard"
_SETTLED_SECONDS = 3.0
"""After the first score; until then, windows open and plots are made."""
_PULSE_MS = 5
"""Of a timer whose delays show when the event loop is held up."""


@dataclass(slots=True)
class _Log:
    """What was seen once everything had settled. Written and read by the window's thread."""

    settled_at: float = float("inf")
    newest: float | None = None
    taken_at: float = 0.0
    health: Health | None = None
    frames: list[float] = field(default_factory=list)
    paints: list[float] = field(default_factory=list)
    to_screen: list[float] = field(default_factory=list)
    from_taken: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    processor: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether what happens now counts."""
        return time.perf_counter() >= self.settled_at

    def take(self, outputs: Sequence[Output]) -> None:
        """Note what the window took from the engine."""
        for output in outputs:
            if isinstance(output, Health):
                self.health = output
            elif isinstance(output, WindowScores) and output.captured_at is not None:
                if self.settled_at == float("inf"):
                    self.settled_at = time.perf_counter() + _SETTLED_SECONDS
                self.newest, self.taken_at = output.captured_at, time.perf_counter()

    def painted(self, begun: float, ended: float) -> None:
        """Note a frame; the first one after scores were taken shows them."""
        if not self.settled:
            return
        self.frames.append(ended)
        self.paints.append(ended - begun)
        if self.newest is not None:
            self.to_screen.append(ended - self.newest)
            self.from_taken.append(ended - self.taken_at)
            self.newest = None


class _Watched(Controller):
    """The real controller, whose microphone is a recording, and which notes what the window takes."""

    def __init__(self, log: _Log, bundle: str | None, recognizer: str, seconds: float) -> None:
        speech = read_all(FileSource(asset_path(DEMONSTRATION)))[: round(seconds * ENGINE_RATE)]

        def microphone(choice: Input) -> Source:
            return LiveRecording(speech)

        super().__init__(bundle, recognizer, open_source=microphone)
        self._log = log

    def poll(self, limit: int) -> list[Output]:
        """As the controller's."""
        outputs = super().poll(limit)
        self._log.take(outputs)
        return outputs


def dashboard_rows(bundle: str | None, recognizer: str, seconds: float) -> list[Row]:
    """Open the window for `seconds` after its first score.

    On a display where there is one; otherwise Qt paints the same frames into memory.
    """
    on_screen = display_problem() is None
    if not on_screen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from realtime_ser.gui.qt import QtCore, QtWidgets
    from realtime_ser.gui.window import DashboardWindow

    log = _Log()

    class Window(DashboardWindow):
        """Notes when a frame is complete: Qt paints all that has changed when the window is asked to update."""

        def event(self, event: QtCore.QEvent) -> bool:
            if event.type() != QtCore.QEvent.Type.UpdateRequest:
                return super().event(event)
            begun = time.perf_counter()
            handled = super().event(event)
            log.painted(begun, time.perf_counter())
            return handled

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["realtime-ser"])
    with tempfile.TemporaryDirectory() as folder:
        settings = QtCore.QSettings(str(Path(folder) / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        length = seconds + 2 * _SETTLED_SECONDS
        window = Window(lambda: _Watched(log, bundle, recognizer, length), settings, choose=("demo", ""), start=True)
        pulse = QtCore.QTimer(window)
        pulse.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        pulse.setInterval(_PULSE_MS)
        last = time.perf_counter()
        begun = 0.0

        def beat() -> None:
            nonlocal last, begun
            now = time.perf_counter()
            if log.settled:
                if not begun:
                    begun, log.processor = now, -time.process_time()
                log.delays.append(max(now - last - _PULSE_MS / 1e3, 0.0))
                if now - begun >= seconds:
                    pulse.stop()
                    log.processor += time.process_time()
                    window.close()
            last = now

        pulse.timeout.connect(beat)
        window.show()
        pulse.start()
        application.exec()
    return _rows(log, on_screen)


def _rows(log: _Log, on_screen: bool) -> list[Row]:
    if len(log.frames) < 2 or log.health is None:
        return [Row.of(_PART, "frames", None, "/s", note="the window was closed before anything was seen")]
    length = log.frames[-1] - log.frames[0]
    rate = (len(log.frames) - 1) / length
    where = "on the display" if on_screen else "painted into memory: there is no display"
    p50, p95 = (float(value) for value in 1e3 * np.percentile(log.to_screen, [50, 95]))
    return [
        Row.of(_PART, "frames", rate, "/s", at_least=30, note=where),
        Row.of(_PART, "a frame's painting", Spread.of(1e3 * np.array(log.paints)), "ms"),
        Row.of(_PART, "event loop held up, 99 of 100", float(1e3 * np.percentile(log.delays, 99)), "ms"),
        Row.of(_PART, "event loop held up, longest", 1e3 * max(log.delays), "ms"),
        Row.of(_PART, "processor time, everything but the recogniser's process", 100 * log.processor / length, "%"),
        Row.of(_PART, "newest sample to painted frame, median", p50, "ms", note="from its block's arrival; no sound server"),
        Row.of(_PART, "newest sample to painted frame, 95 of 100", p95, "ms"),
        Row.of(_PART, "of it: until the scores are there, median", 1e3 * log.health.latency_p50, "ms"),
        Row.of(_PART, "of it: taken by the window until painted", Spread.of(1e3 * np.array(log.from_taken)), "ms"),
    ]
