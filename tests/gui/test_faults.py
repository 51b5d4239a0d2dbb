"""Faults of the sound system and of the workers, as the dashboard, the terminal and the log tell them.

The real window over the real controller and engine; only the sound card is made up, and keeps PortAudio's contract.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stages import HeardUtterance, ScriptedRecognizer
from fake_card import RATE, FakeBackend, a_device
from rich.console import Console

from realtime_ser.asr.discovery import RecognizerChoice
from realtime_ser.assembly import Models
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.commands.listen import LiveView, PeopleView
from realtime_ser.controller import Controller
from realtime_ser.engine import engine as engine_module
from realtime_ser.engine.judgement import JudgementStage
from realtime_ser.engine.people import Said
from realtime_ser.engine.signal import SignalStage
from realtime_ser.engine.watch import StallWatch
from realtime_ser.engine.words import WordsStage
from realtime_ser.gui.panels.messages import MessageList, NoticeBar
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.types import Event, Output, WindowScores


def tone(seconds: float, amplitude: float = 0.1) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)


class Dashboard:
    """A window that listens to a made-up sound card, and the terminal's view of the same outputs."""

    def __init__(self, qtbot: Any, controller: Controller, backend: FakeBackend, settings: QtCore.QSettings) -> None:
        self.qtbot = qtbot
        self.card = backend
        self.controller = controller
        self.outputs: list[Output] = []
        poll = controller.poll

        def kept(limit: int) -> list[Output]:
            outputs = poll(limit)
            self.outputs += outputs
            return outputs

        controller.poll = kept  # type: ignore[method-assign]
        self.window = DashboardWindow(lambda: controller, settings, start=True)
        self.window.findChild(QtCore.QTimer).stop()
        qtbot.addWidget(self.window)
        self.window.show()
        self.wait(lambda: self.window.recording is False and controller.state().phase == "running")

    def tick(self) -> None:
        """As the timer does; the text, which is written every eighth time, at once."""
        self.window.tick()
        self.window._refresh_text()
        QtWidgets.QApplication.processEvents()

    def wait(self, happened: Callable[[], bool]) -> None:
        def ticked() -> bool:
            self.tick()
            return happened()

        self.qtbot.waitUntil(ticked, timeout=30_000)

    @property
    def notice(self) -> str:
        """What stands across the window."""
        notice = self.window.findChild(NoticeBar).notice
        return "" if notice is None else f"{notice.problem} {notice.remedy}"

    @property
    def messages(self) -> str:
        return self.window.findChild(MessageList).toPlainText()

    @property
    def terminal(self) -> str:
        view = PeopleView([LiveView("test", "nobody", ("anger",))], ("",), 200)
        console = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
        with console.file:
            for output in self.outputs:
                line = view.take(Said(0, output))
                if line is not None:
                    console.print(line, soft_wrap=True)
            return console.export_text()

    def told(self, text: str) -> None:
        """`text` comes to be read among the messages, and is in the terminal."""
        self.wait(lambda: text in self.messages)
        assert text in self.terminal

    def hear(self, seconds: float) -> None:
        """Let the card deliver a tone, and wait until it was heard."""
        windows = self.windows
        self.card.stream.play(tone(seconds))
        self.wait(lambda: self.windows >= windows + int(seconds * 100) - 25)

    @property
    def windows(self) -> int:
        return sum(len(output.scores) for output in self.outputs if isinstance(output, WindowScores))


@pytest.fixture
def dashboard(
    qtbot: Any, tmp_path: Path, random_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[..., Dashboard]]:
    """Make one; afterwards it is closed, and none of its threads is left."""
    caplog.set_level("INFO", "realtime_ser")
    before = set(threading.enumerate())
    monkeypatch.setattr("realtime_ser.controller.list_devices", lambda **_: [a_device()])
    made: list[Dashboard] = []

    def make(recognizer: RecognizerChoice | None = None) -> Dashboard:
        backend = FakeBackend(a_device())
        settings = QtCore.QSettings(str(tmp_path / "dashboard.ini"), QtCore.QSettings.Format.IniFormat)

        def microphone(*_: object, **__: object) -> MicrophoneSource:
            return MicrophoneSource(backend=backend, now=backend.clock, asleep=lambda: backend.clock.asleep)

        controller = Controller(random_bundle, "none", open_source=microphone)
        if recognizer is not None:
            controller.bundle()
            models = controller._models
            assert models is not None
            controller._models = Models(models.bundle, models.acoustic, models.text, models.fusion, recognizer)
        made.append(Dashboard(qtbot, controller, backend, settings))
        made[-1].hear(0.5)
        return made[-1]

    yield make
    for one in made:
        one.window.close()
    assert set(threading.enumerate()) <= before


Make = Callable[..., Dashboard]


BAD_SOUND = {
    "blocked-microphone": (np.zeros(int(1.3 * RATE)), "delivers exact silence"),
    "clipping": (np.clip(tone(1.0, 3.0), -1.0, 1.0), "too loud and its peaks are cut off"),
    "dc-offset": (tone(3.5, 0.01) + 0.1, "has a constant offset"),
    "invalid-samples": (np.where(np.arange(RATE) % 1_000 == 0, np.nan, tone(1.0)), "values that are not numbers"),
}


def test_what_happens_to_the_microphone(dashboard: Make, caplog: pytest.LogCaptureFixture) -> None:
    shown = dashboard()
    for flagged, lost in ((True, 4_000), (False, 6_000)):
        shown.card.stream.deliver(800, overflow=flagged, lost_by_device=lost)
        shown.card.stream.play(tone(0.7))
        shown.told(f"lost about {lost / RATE:.2f} s of sound before this program got it")
        assert f"gap: The microphone lost about {lost / RATE:.2f} s" in caplog.text
    for kind, (sound, text) in BAD_SOUND.items():
        shown.card.stream.play(sound)
        shown.told(text)
        assert f"{kind}: " in caplog.text
    assert shown.notice == ""  # it goes on
    # The computer sleeps; the sound card goes on as if nothing had happened.
    before = shown.card.stream
    shown.card.clock.asleep += 3_600.0
    before.deliver(800)
    shown.told("The computer slept for 3600 s")
    shown.wait(lambda: shown.card.stream is not before and shown.card.stream.active)
    shown.hear(0.5)
    shown.told("is back; 3600")
    assert shown.notice == ""
    # It is unplugged, and another one is plugged in.
    shown.card.inventory.clear()
    shown.card.stream.end()
    shown.wait(lambda: "went away. This program looks for it" in shown.notice)
    shown.told("went away")
    shown.card.inventory.append(a_device(44_100, 2))
    before = shown.card.stream
    shown.card.clock.time += 1.0
    shown.wait(lambda: shown.card.stream is not before and shown.card.stream.active)
    shown.card.stream.deliver(9_000)
    shown.wait(lambda: shown.notice == "")
    for told in ("device-lost: The computer slept", "device-lost: The microphone “Headset” went away", "device-back: "):
        assert told in caplog.text
    scores = [output for output in shown.outputs if isinstance(output, WindowScores)]
    assert all(np.isfinite(output.scores).all() for output in scores)
    spans = [span for output in scores for span in output.window_spans()]
    lost_at = [output.sample for output in shown.outputs if isinstance(output, Event) and output.kind == "device-lost"]
    assert len(lost_at) == 2  # it slept, and it was unplugged
    assert not [span for span in spans for sample in lost_at if span.first < sample < span.end]
    assert spans[-1].first > 3_600 * RATE


def test_workers_that_raise(dashboard: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = dashboard()

    def explode(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    for stage in (SignalStage, JudgementStage):
        caplog.clear()
        with monkeypatch.context() as broken:
            broken.setattr(stage, "process", explode)
            shown.card.stream.deliver(3_200)
            shown.wait(lambda: "internal error: ZeroDivisionError: a bug" in shown.notice)
        assert "Start again; please report it." in shown.notice
        assert "in explode" in caplog.text  # the stack
        assert shown.card.stream.closed
        # And it can be started again.
        shown.window.start()
        shown.wait(lambda: shown.controller.state().phase == "running")
        shown.hear(0.3)
        assert shown.notice == ""


def test_workers_that_stand_still_and_go_on(
    dashboard: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(engine_module, "StallWatch", partial(StallWatch, now=lambda: clock[0]))
    record: list[HeardUtterance] = []
    shown = dashboard(RecognizerChoice(lambda: ScriptedRecognizer(record), ScriptedRecognizer.label, "scripted"))
    stages = {"signal": SignalStage, "words": WordsStage, "judgement": JudgementStage}
    for name, stage in stages.items():
        gate, inside, process = threading.Event(), threading.Event(), stage.process  # type: ignore[attr-defined]

        def wait(*arguments: Any, gate: Any = gate, inside: Any = inside, process: Any = process) -> Any:
            inside.set()
            assert gate.wait(60)
            return process(*arguments)

        with monkeypatch.context() as held:
            held.setattr(stage, "process", wait)
            windows = shown.windows
            shown.card.stream.play(tone(3.0), block=1_600)
            assert inside.wait(30)
            clock[0] += 10.0
            shown.wait(lambda: "has stood still for 10 s" in shown.notice)
            shown.wait(lambda name=name: f"{name}-stalled: " in caplog.text)  # type: ignore[misc]
            gate.set()
            shown.wait(lambda name=name: f"{name}-stalled-over: " in caplog.text)  # type: ignore[misc]
        shown.told("goes on after about 10 s and catches up")
        shown.wait(lambda before=windows: shown.windows - before == 300)  # type: ignore[misc]
        shown.wait(lambda: shown.notice == "")


def test_a_window_that_stands_still(dashboard: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_ser.controller._OUTPUTS", 128)
    shown = dashboard()
    windows = shown.windows
    shown.card.stream.play(tone(1.0))
    shown.window._ticked_at -= 10.0  # as if it had been held up for so long meanwhile
    shown.wait(lambda: "This window stood still for 1" in shown.messages)
    assert "This window stood still for 1" in caplog.text
    shown.wait(lambda: shown.windows - windows == 100)
    assert "results were dropped" not in shown.messages  # what waited was taken
    # Longer than what is kept for it: that is counted.
    until = shown.controller.state().position + 7 * RATE
    shown.card.stream.play(tone(7.0))
    shown.qtbot.waitUntil(lambda: shown.controller.state().position >= until, timeout=30_000)
    shown.card.stream.play(tone(1.1))
    shown.told("results were dropped because they were not taken in time")


def test_a_recogniser_that_fails(dashboard: Make, caplog: pytest.LogCaptureFixture, demonstration: np.ndarray) -> None:
    failing: Callable[[int, str], bool] = lambda number, call: call == "begin"  # noqa: E731
    shown = dashboard(RecognizerChoice(lambda: ScriptedRecognizer([], failing), ScriptedRecognizer.label, "scripted"))
    shown.card.stream.play(demonstration[12_000:90_000], block=1_600)
    shown.told("restarting it")
    assert "recognizer-lost: " in caplog.text
    assert shown.controller.state().phase == "running"
