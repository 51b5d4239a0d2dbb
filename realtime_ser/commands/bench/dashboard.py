"""The real window over the real engine on live sound: frames, stalls, and the time from the newest sample to the screen."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import Source
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.bench.live import LiveRecording
from realtime_ser.commands.bench.pulseaudio import PipeMicrophone, TappedMicrophone, announced
from realtime_ser.commands.bench.report import Row, Spread
from realtime_ser.commands.gui import display_problem
from realtime_ser.config import ENGINE_RATE
from realtime_ser.controller import Controller
from realtime_ser.gui.report import Way
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import Health, Output, WindowScores

__all__ = ["LONGEST_STALL", "Log", "dashboard_rows", "show"]

_PART = "dashboard"
_SETTLED_SECONDS = 3.0
"""After the first score; until then, windows open and plots are made."""
LONGEST_STALL = 50
"""Milliseconds for which the event loop may be held up."""
_PULSE_MS = 5
"""Of a timer whose delays show when the event loop is held up."""
_OPENING_SECONDS = 0.8
"""For everything that is opened, until it is drawn."""
_OPENED = {
    "filters": "show_explorer",
    "live filters": "show_sincgram",
    "inside": "show_inside",
    "health": "show_health",
    "settings": "show_settings",
    "sessions": "show_sessions",
    "help": "show_help",
    "other theme": "toggle_theme",
    "presentation": "toggle_presentation",
    "dashboard again": "leave_presentation",
}
"""What is opened at the end, while the engine goes on."""


@dataclass(slots=True)
class Log:
    """What was seen once everything had settled. Written and read by the window's thread.

    Attributes
    ----------
    due
        Whether the window has looked for news since the last frame: what it paints between is no frame of its own.
    newest
        When the newest sample of the scores that the next frame shows sounded, and these.
    to_screen, ways
        Seconds from the newest sample's sounding to the painted frame; and the same in parts, where they are known.
    time_of
        When the newest sample of scores sounded; ``None`` where that is not known (yet).
    opening
        For how many seconds the event loop was held up at most while a window was opened, by its name.
    """

    time_of: Callable[[WindowScores], float | None]
    settled_at: float = float("inf")
    due: bool = False
    newest: tuple[float, WindowScores] | None = None
    taken_at: float = 0.0
    health: Health | None = None
    frames: list[float] = field(default_factory=list)
    paints: list[float] = field(default_factory=list)
    to_screen: list[float] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    processor: float = 0.0
    opening: dict[str, float] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether what happens now counts."""
        return time.perf_counter() >= self.settled_at

    def take(self, outputs: Sequence[Output]) -> None:
        """Note what the window took from the engine."""
        self.due = True
        for output in outputs:
            if isinstance(output, Health):
                self.health = output
            elif isinstance(output, WindowScores):
                sounded = self.time_of(output)
                if sounded is None:
                    continue
                if self.settled_at == float("inf"):
                    self.settled_at = time.perf_counter() + _SETTLED_SECONDS
                self.newest, self.taken_at = (sounded, output), time.perf_counter()

    def held_up(self, delay: float) -> None:
        """Note by how many seconds a pulse of the event loop came late."""
        self.delays.append(delay)

    def painted(self, begun: float, ended: float) -> None:
        """Note a frame; the first one after scores were taken shows them."""
        if not self.settled or not self.due:
            return
        self.due = False
        self.frames.append(ended)
        self.paints.append(ended - begun)
        if self.newest is not None:
            sounded, scores = self.newest
            self.to_screen.append(ended - sounded)
            arrived, computed = scores.arrived_at, scores.computed_at
            if arrived is not None and computed is not None:
                self.ways.append(Way(arrived - sounded, computed - arrived, self.taken_at - computed, ended - self.taken_at))
            self.newest = None


class _Watched(Controller):
    """The real controller, whose microphone is made up, and which notes what the window takes."""

    def __init__(self, log: Log, bundle: str | None, recognizer: str, microphone: Callable[[], Source]) -> None:
        super().__init__(bundle, recognizer, open_source=lambda _: microphone())
        self._log = log

    def poll(self, limit: int) -> list[Output]:
        """As the controller's."""
        outputs = super().poll(limit)
        self._log.take(outputs)
        return outputs


def dashboard_rows(bundle: str | None, recognizer: str, seconds: float, *, through: str | None = None) -> list[Row]:
    """Open the window for `seconds` after its first score.

    On a display where there is one; otherwise Qt paints the same frames into memory.

    Parameters
    ----------
    through
        ``"pulseaudio"``: through a private PulseAudio server and the real microphone source, so that the whole way from a
        sample to the screen is measured; ``None``: a recording that passes for a microphone.

    Raises
    ------
    DeviceError
        There is no PulseAudio.
    """
    speech = read_all(FileSource(asset_path(DEMONSTRATION)))
    if through is None:
        recording = speech[: round((seconds + 2 * _SETTLED_SECONDS + len(_OPENED) * _OPENING_SECONDS) * ENGINE_RATE)]
        log = Log(lambda scores: scores.captured_at)
        on_screen = show(log, bundle, recognizer, seconds, lambda: LiveRecording(recording), open_all=True)
        return _rows(_PART, log, on_screen) if _seen(log) else [_nothing(_PART)]
    with PipeMicrophone(announced(speech)) as pipe:
        log = Log(lambda scores: pipe.time_of(scores.span.end))
        on_screen = show(log, bundle, recognizer, seconds, lambda: TappedMicrophone(pipe))
    part = f"{_PART}, PulseAudio"
    return _rows(part, log, on_screen) if _seen(log) else [_nothing(part)]


def show(
    log: Log,
    bundle: str | None,
    recognizer: str,
    seconds: float,
    microphone: Callable[[], Source],
    *,
    open_all: bool = False,
) -> bool:
    """Run the window, and at the end open everything else, too; whether it was on a display."""
    on_screen = display_problem() is None
    if not on_screen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from realtime_ser.gui.qt import QtCore, QtWidgets
    from realtime_ser.gui.window import DashboardWindow

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
        # The demonstration audio can always be chosen; what opens then is the made-up microphone.
        window = Window(lambda: _Watched(log, bundle, recognizer, microphone), settings, choose=("demo", ""), start=True)
        pulse = QtCore.QTimer(window)
        pulse.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        pulse.setInterval(_PULSE_MS)
        last = time.perf_counter()
        begun = 0.0
        left = list(_OPENED) if open_all else []
        opening, opened_at = "", 0.0

        def open_next(now: float) -> None:
            """What was opened last is there: open what comes next, or close the window."""
            nonlocal opening, opened_at
            if not left:
                pulse.stop()
                window.close()
                return
            opening, opened_at = left.pop(0), now
            log.opening[opening] = 0.0
            getattr(window, _OPENED[opening])()

        def beat() -> None:
            nonlocal last, begun
            now = time.perf_counter()
            if opening:
                log.opening[opening] = max(log.opening[opening], now - last - _PULSE_MS / 1e3)
                last = now
                if now - opened_at >= _OPENING_SECONDS:
                    open_next(now)
                return
            if log.settled:
                if not begun:
                    begun, log.processor = now, -time.process_time()
                log.held_up(max(now - last - _PULSE_MS / 1e3, 0.0))
                if now - begun >= seconds:
                    log.processor += time.process_time()
                    log.settled_at = math.nan  # what comes now is no usual frame
                    last = now
                    open_next(now)
                    return
            last = now

        pulse.timeout.connect(beat)
        window.show()
        pulse.start()
        application.exec()
    return on_screen


def _seen(log: Log) -> bool:
    return len(log.frames) > 1 and log.health is not None


def _nothing(part: str) -> Row:
    return Row.of(part, "frames", None, "/s", note="the window was closed before anything was seen")


def _way_rows(part: str, log: Log) -> list[Row]:
    """The way of a sample to the screen, whole and in parts."""
    measure = "newest sample to painted frame"
    p50, p95 = (float(value) for value in 1e3 * np.percentile(log.to_screen, [50, 95]))
    real = part != _PART
    aims = (80, 120) if real else (None, None)
    note = "sample by sample, from when it sounded" if real else "from its block's arrival; no sound server"
    rows = [
        Row.of(part, f"{measure}, median", p50, "ms", at_most=aims[0], note=note),
        Row.of(part, f"{measure}, 95 of 100", p95, "ms", at_most=aims[1]),
    ]
    if not log.ways:
        return rows
    # Medians would not add up.
    means = Way(*(float(mean) for mean in 1e3 * np.mean(log.ways, axis=0)))
    device = "sound server, PortAudio, resampler" if real else "made up: from the block's arrival until the engine takes it"
    return [
        *rows,
        Row.of(part, f"{measure}, mean", sum(means), "ms", note="the sum of its four parts"),
        Row.of(part, "of it: capture, mean", means.capture, "ms", note=device),
        Row.of(part, "of it: compute, mean", means.compute, "ms", note="until the scores are ready"),
        Row.of(part, "of it: wait, mean", means.wait, "ms", note="until the window looks for them"),
        Row.of(part, "of it: paint, mean", means.paint, "ms", note="until the frame is complete"),
    ]


def _rows(part: str, log: Log, on_screen: bool) -> list[Row]:
    length = log.frames[-1] - log.frames[0]
    rate = (len(log.frames) - 1) / length
    where = "on the display" if on_screen else "painted into memory: there is no display"
    rows = _way_rows(part, log)
    if log.health is not None:
        latency = 1e3 * log.health.latency_p50
        rows.append(Row.of(part, "capture and compute, as the engine states them, median", latency, "ms"))
    rows += [
        Row.of(part, "frames", rate, "/s", at_least=30, note=where),
        Row.of(part, "a frame's painting", Spread.of(1e3 * np.array(log.paints)), "ms"),
        Row.of(part, "event loop held up, 99 of 100", float(1e3 * np.percentile(log.delays, 99)), "ms"),
        Row.of(part, "event loop held up, longest", 1e3 * max(log.delays), "ms", at_most=LONGEST_STALL),
        Row.of(part, "processor time, all but the recogniser's process", 100 * log.processor / length, "%"),
    ]
    if log.opening:
        each = ", ".join(f"{name} {1e3 * held:.0f}" for name, held in log.opening.items())
        worst, measure = 1e3 * max(log.opening.values()), "event loop held up by opening something, longest"
        rows.append(Row.of(part, measure, worst, "ms", at_most=LONGEST_STALL, note=each))
    return rows
