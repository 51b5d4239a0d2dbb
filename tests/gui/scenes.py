"""Every screen of the program in each of its states: for the pictures of the documentation, and for tests of what is drawn.

A scene is yielded when it is to be seen; what comes after the ``yield`` goes on to the next one. All windows of a group are
closed when its generator ends or is closed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bundle_factory import write_bundle
from gui.scene import Scene, settings_file, sized, wait_until
from gui.scripted_controller import INPUTS, SCRIPT, Choice, ScriptedController, Stream
from gui.session_scenes import session_scenes

from realtime_ser.asr.fetch import CATALOGUE, MODELS_URL
from realtime_ser.bundle.filter_files import CutoffHistory
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.controller import Controller
from realtime_ser.errors import BundleError, RecognizerError
from realtime_ser.gui.calibration import CalibrationDialog
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.explorer.window import ExplorerWindow
from realtime_ser.gui.first_start import FirstStart
from realtime_ser.gui.inside.window import InsideWindow
from realtime_ser.gui.panels.health import HealthDialog
from realtime_ser.gui.panels.loading import LoadingBar
from realtime_ser.gui.panels.panel import Look
from realtime_ser.gui.panels.people import PeopleBar
from realtime_ser.gui.panels.recording import marker_keys
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.report import FrameTimes, ProcessUse
from realtime_ser.gui.settings_dialog import SettingsDialog
from realtime_ser.gui.theme import PALETTES, class_styles
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.session.header import Kept
from realtime_ser.session.notice import Consent, consent_text
from realtime_ser.session.request import SessionRequest
from realtime_ser.types import RecognizerLabel

__all__ = ["GROUPS", "Scene"]

DASHBOARD = ((1024, 700), (1600, 1000))
PRESENTATION = ((1024, 700), (1920, 1080))
SINCGRAM_SECONDS = 10.0


class Stage:
    """A dashboard whose timer stands still.

    Parameters
    ----------
    place
        A folder for its settings.
    """

    def __init__(self, place: Path, controller: Any = None, **options: Any) -> None:
        self.controller = ScriptedController() if controller is None else controller
        self.window = DashboardWindow(lambda: self.controller, settings_file(place, "dashboard"), **options)
        self.window.findChild(QtCore.QTimer).stop()
        self.window.resize(*DASHBOARD[0])
        self.window.show()

    def tick(self, times: int = 8) -> None:  # after which texts are new, too
        for _ in range(times):
            self.window.tick()
            QtWidgets.QApplication.processEvents()

    def settle(self) -> None:
        """Until the worker has delivered everything."""

        def idle() -> bool:
            self.window.tick()
            return not self.window.worker_busy

        wait_until(idle)
        self.tick()

    def play(self, until: float) -> None:
        """Go on in the script, up to that many seconds of it."""
        while self.controller.stream.position < until * 16_000:
            self.controller.advance(0.1)
            self.window.tick()
        self.tick()

    def set_theme(self, theme: str) -> None:
        if self.window.theme != theme:
            self.window.toggle_theme()

    def scene(self, screen: str, state: str, widget: QtWidgets.QWidget | None = None, sizes: Any = None) -> Scene:
        shown = self.window if widget is None else widget
        return Scene(screen, state, shown, sizes or DASHBOARD, self.set_theme, self.tick)

    def close(self) -> None:
        if isinstance(self.controller, ScriptedController):
            self.controller.bundle_gate.set()
            self.controller.fetch_gate.set()
        self.window.close()
        self.window.deleteLater()
        QtWidgets.QApplication.processEvents()


class SteadyFrames(FrameTimes):
    """As a window draws by its timer; here it is drawn when a picture is due."""

    def rate(self) -> float:
        return 30.0

    def longest_pause(self) -> float:
        return 0.041


class SteadyUse(ProcessUse):
    """As the program takes from a computer of today, whatever takes the pictures."""

    def measure(self) -> tuple[float, float]:
        return 0.62, 540.0


@contextmanager
def some_log() -> Iterator[None]:
    """What the program's log says of the script, in the home of who looks at the scenes."""
    path = Path.home() / "logs" / "realtime-ser.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "2026-03-01 10:00:00,112 INFO    The demonstration bundle is loaded.\n"
        "2026-03-01 10:00:45,004 WARNING 800 ms of audio were lost: the computer was busy.\n"
    )
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(logging.CRITICAL)
    logger = logging.getLogger("realtime_ser")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def agreed_to_all() -> Kept:
    """Words and sound may be kept."""
    return Kept(True, True, Consent(consent_text(words=True, audio=True), "2026-03-01T10:00:00+00:00", "asked"))


def dashboard_before_start(place: Path) -> Iterator[Scene]:
    """Loading, nothing heard yet, nothing to hear with, nothing to work with."""
    stage = Stage(place)
    stage.controller.bundle_gate.clear()
    try:
        stage.controller.held_step = 3
        bar = stage.window.findChild(LoadingBar)
        wait_until(lambda: (stage.window.tick(), bar.isVisible() and bar.done > 0.0)[1])
        stage.tick()
        yield stage.scene("dashboard", "loading")
        stage.controller.bundle_gate.set()
        stage.settle()
        yield stage.scene("dashboard", "before the start")
    finally:
        stage.close()
    stage = Stage(place, ScriptedController([choice for choice in INPUTS if choice.kind == "demo"]))
    try:
        stage.settle()
        yield stage.scene("dashboard", "no microphone")
    finally:
        stage.close()
    error = BundleError("The model bundle is damaged: head.onnx has another content.", "Install the program anew.")
    stage = Stage(place, ScriptedController(bundle_error=error))
    try:
        stage.settle()
        yield stage.scene("dashboard", "no model")
    finally:
        stage.close()


def dashboard_listening(place: Path) -> Iterator[Scene]:
    """What the script goes through, and how it can end."""
    stage = Stage(place)
    try:
        stage.settle()
        stage.window.start()
        window, stream = stage.window, stage.controller.stream
        for state, until in (
            ("no speech", 1.3),
            ("listening", SCRIPT[0].start + 0.3),
            ("utterance so far", SCRIPT[0].end - 0.2),
            ("verdict", SCRIPT[0].end + 0.8),
            ("unsure", SCRIPT[3].end - 0.1),
        ):
            stage.play(until)
            yield stage.scene("dashboard", state)
        stage.play(SCRIPT[4].end - 2.0)
        stream.fault = "overdriven"
        stage.play(SCRIPT[4].end - 1.0)
        yield stage.scene("dashboard", "too loud")
        stream.fault = ""
        window.forgive_clipping()
        stage.play(70.0)
        yield stage.scene("dashboard", "last minute")
        window._log.show_page(1)
        stage.tick()
        yield stage.scene("dashboard", "messages")
        window._log.show_page(0)
        stage.controller.stand_still()
        stage.tick()
        yield stage.scene("dashboard", "a worker stands still")
        stage.controller.go_on()
        stage.play(SCRIPT[13].end)
        stream.fault = "muted"
        stage.play(SCRIPT[14].start - 0.2)
        yield stage.scene("dashboard", "muted")
        stream.fault = ""
        stage.controller.lose_recognizer()
        stage.play(SCRIPT[14].end - 1.0)
        yield stage.scene("dashboard", "recogniser off")
        stage.controller.look_for_device()
        stage.tick()
        yield stage.scene("dashboard", "microphone away")
        stage.controller.lose_device()
        stage.settle()
        yield stage.scene("dashboard", "microphone gone")
    finally:
        stage.close()


def dashboard_recording(place: Path) -> Iterator[Scene]:
    """The strip, a disk that is full, and what is sent."""
    stage = Stage(place)
    try:
        stage.settle()
        window = stage.window
        window._recording_bar.show_markers(marker_keys("stimulus, response, break"))
        window._who = "P07 · baseline"
        window._begin(SessionRequest(participant="P07", condition="baseline", kept=agreed_to_all()))
        stage.play(8.0)
        window.mark("1")
        stage.play(21.0)
        window.mark("2")
        heard = stage.controller.stream.position / 16_000
        stage.controller.recorded = dataclasses.replace(stage.controller.recorded, seconds=heard)
        stage.tick()
        yield stage.scene("dashboard", "recording")
        stage.controller.fill_the_disk()
        stage.tick()
        yield stage.scene("dashboard", "disk full")
        window.stop()
        stage.tick()
        for name in ("lsl", "osc", "websocket", "send_words"):
            window._settings.store(name, "true")
        window.start()
        stage.play(27.0)
        yield stage.scene("dashboard", "sending")
    finally:
        stage.close()


def dashboard_two_people(place: Path) -> Iterator[Scene]:
    """Before the start, and while both speak."""
    microphones = (Choice("microphone", "1", "Left headset", "48 kHz"), Choice("microphone", "2", "Right headset", "48 kHz"))
    stage = Stage(place, ScriptedController(inputs=microphones))
    try:
        stage.settle()
        stage.window._transport.ask_two_people(True)
        for field, name in zip(stage.window.findChild(PeopleBar).names, ("Anna", "Ben"), strict=True):
            field.setText(name)
        stage.tick()
        yield stage.scene("two people", "before the start")
        stage.window.start()
        stage.tick()
        other = Stream(script=SCRIPT[1:8], gap=None)
        while stage.controller.stream.position < 41.0 * 16_000:
            stage.controller.second_outputs.extend(other.step())
            stage.controller.advance(0.1)
            stage.window.tick()
        stage.tick()
        yield stage.scene("two people", "both heard")
    finally:
        stage.close()


def presentation(place: Path) -> Iterator[Scene]:
    """The whole screen for an audience."""
    stage = Stage(place)
    try:
        stage.settle()
        stage.window.toggle_presentation()
        stage.settle()
        shown = stage.window
        shown.showNormal()  # the screen of the pictures may be of any size
        yield stage.scene("presentation", "before the start", shown, PRESENTATION)
        stage.window.start()
        for state, until in (("no speech", 1.3), ("unsure", SCRIPT[3].end - 0.1), ("last minute", 70.0)):
            stage.play(until)
            yield stage.scene("presentation", state, shown, PRESENTATION)
    finally:
        stage.close()
    stage = Stage(place)
    try:
        stage.settle()
        shown = stage.window
        shown._begin(SessionRequest(participant="P07", condition="baseline", kept=agreed_to_all()))
        shown.toggle_presentation()
        shown.showNormal()
        stage.play(SCRIPT[4].end + 0.8)
        yield stage.scene("presentation", "recording", shown, PRESENTATION)
    finally:
        stage.close()
    stage = Stage(place)
    try:
        stage.settle()
        shown = stage.window
        for name in ("lsl", "osc"):
            shown._settings.store(name, "true")
        shown.start()
        shown.toggle_presentation()
        shown.showNormal()
        stage.play(SCRIPT[8].end - 0.2)
        yield stage.scene("presentation", "sending", shown, PRESENTATION)
        stage.controller.look_for_device()
        stage.tick()
        yield stage.scene("presentation", "microphone away", shown, PRESENTATION)
        stage.controller.lose_device()
        stage.settle()
        yield stage.scene("presentation", "microphone gone", shown, PRESENTATION)
    finally:
        stage.close()


def inside(place: Path) -> Iterator[Scene]:
    """Before anything was said, without words, and an utterance."""
    stage = Stage(place)
    try:
        stage.settle()
        stage.window.start()
        stage.window.show_inside()
        stage.play(1.0)
        shown = stage.window.findChild(InsideWindow)
        sizes = sized(shown, (900, 820))
        yield stage.scene("inside", "nothing said yet", shown, sizes)
        stage.play(30.9)
        stage.settle()
        yield stage.scene("inside", "without words", shown, sizes)
        stage.play(70.0)
        shown.step(-1)
        stage.settle()
        stage.settle()
        shown.choose_size(1)
        shown.choose_row(2)
        yield stage.scene("inside", "an utterance", shown, sizes)
    finally:
        stage.close()


def explorer(place: Path) -> Iterator[Scene]:
    """The shipped bundle's pages; its training as if its filters had gone from where they began to where they are in steps."""
    bundle = load_bundle("default-bundle")
    filters = bundle.manifest.acoustic.filters
    share = np.array([0.0, 0.4, 0.7, 0.9, 1.0])[:, None]
    low, high = (
        tuple(tuple(row) for row in np.array(first) + share * (np.array(last) - np.array(first)))
        for first, last in ((filters.initial_low_hz, filters.low_hz), (filters.initial_high_hz, filters.high_hz))
    )
    history = CutoffHistory((0, 10, 20, 30, 40), (None, -1.0, -0.9, -0.95, -0.85), low, high, 40)
    study = Study.of_bundle(bundle)

    def look(theme: str) -> Look:
        return Look(PALETTES[theme], class_styles(bundle.manifest.classes, PALETTES[theme]))

    for number, state, shown in (
        (0, "filters", study),
        (1, "classes", study),
        (1, "classes not measured", dataclasses.replace(study, reliance=None)),
        (2, "no training kept", study),
        (2, "training", dataclasses.replace(study, history=history)),
        (3, "nothing to compare with", study),
        (3, "comparison", study),
    ):
        window = ExplorerWindow(shown, look("dark"))
        try:
            window.resize(1024, 700)
            window.show()
            window.show_page(number)

            def built(window: ExplorerWindow = window) -> bool:
                window.tick()
                return bool(window.page.built) and not window.comparison.loading

            wait_until(built)
            if state == "filters":
                window.filters.choose(40)
            elif state == "classes":
                window.reliance.choose(40)
            elif state == "training":
                window.training.slider.setValue(2)
            elif state == "comparison":
                window.comparison.choice.setEditText(str(write_bundle(place / "other-bundle")))
                window.comparison.load()
                wait_until(built)
                window.comparison.choice.setEditText("other-bundle")
            yield Scene("explorer", state, window, DASHBOARD, lambda theme, w=window: w.apply_look(look(theme)), window.tick)
        finally:
            window.end()
            window.close()
            window.deleteLater()


def sincgram(place: Path) -> Iterator[Scene]:
    """Nothing heard yet, and the first seconds of the demonstration audio through the real engine."""
    stage = Stage(place, Controller(recognizer="none"), choose=("demo", ""))
    try:
        stage.settle()
        stage.window.show_sincgram()
        shown = stage.window.sincgram
        assert shown is not None
        sizes = ((1024, 700), (1600, 1000))
        yield stage.scene("sincgram", "nothing heard yet", shown, sizes)
        stage.window.start()

        def heard() -> bool:
            stage.window.tick()
            return bool(shown.model.position >= SINCGRAM_SECONDS * shown.model.rate)

        wait_until(heard)
        shown.choose(20)
        shown.set_frozen(True)
        stage.window.stop()
        wait_until(lambda: (stage.window.tick(), stage.controller.state().phase == "stopped")[1])
        yield stage.scene("sincgram", "frozen", shown, sizes)
    finally:
        stage.close()


def first_steps(place: Path) -> Iterator[Scene]:
    """Each page, without a microphone, and words that are fetched, or could not be."""

    def open_steps(stage: Stage) -> FirstStart:
        stage.settle()
        stage.settle()
        shown = stage.window.findChild(FirstStart)
        assert shown is not None
        return shown

    stage = Stage(place, ScriptedController([choice for choice in INPUTS if choice.kind == "demo"]), first_start=True)
    try:
        shown = open_steps(stage)
        shown.next.click()
        stage.tick()
        yield stage.scene("first steps", "no microphone", shown, sized(shown))
    finally:
        stage.close()
    controller = ScriptedController()
    controller.recognizer = RecognizerLabel("PocketSphinx", "en-us")
    controller.words_note = (
        "PocketSphinx writes the words, since no Vosk model is installed. PocketSphinx gets a third of the words wrong, often "
        "more."
    )
    controller.better_note = "Vosk writes the words, with the best Vosk model found: vosk-model-small-en-us-0.15."
    controller.held_at = 17_000_000
    stage = Stage(place, controller, first_start=True)
    try:
        shown = open_steps(stage)

        def scene(state: str) -> Scene:
            return stage.scene("first steps", state, shown, sized(shown))

        yield scene("notice")
        shown.next.click()
        stage.play(4.0)
        yield scene("microphone")
        stage.window.stop()
        shown.next.click()
        stage.tick()
        yield scene("words")

        def until(told: str) -> None:
            wait_until(lambda: (stage.window.tick(), told in shown.told.text())[1])
            stage.tick()

        controller.fetch_error = RecognizerError(
            f"{MODELS_URL}{CATALOGUE[0].name}.zip could not be fetched in 4 attempts: Name or service not known.",
            "Check the connection and press the button again; it goes on where it stopped. Without a connection here, fetch "
            "the ZIP file elsewhere and unpack it into /home/somebody/.local/share/realtime-ser/models.",
        )
        shown.fetch.click()
        until("could not be fetched")
        yield scene("words could not be fetched")
        controller.fetch_error = None
        controller.fetch_gate.clear()
        shown.fetch.click()
        until("17.0 MB")
        yield scene("words are fetched")
        controller.fetch_gate.set()
        until("installed")
        yield scene("words were fetched")
    finally:
        stage.close()


def dialogs(place: Path) -> Iterator[Scene]:
    """What the dashboard's keys open, and what it asks."""
    stage = Stage(place)
    try:
        stage.settle()
        window = stage.window
        window.show_settings()
        stage.settle()
        settings = window.findChild(SettingsDialog)
        sizes = sized(settings, (660, 720))
        yield stage.scene("settings", "above", settings, sizes)
        bar = settings.findChild(QtWidgets.QScrollArea).verticalScrollBar()

        def below() -> None:
            stage.tick()
            bar.setValue(bar.maximum())

        yield dataclasses.replace(stage.scene("settings", "below", settings, sizes), settle=below)
        settings.close()

        window.show_help()
        told = next(one for one in window.findChildren(QtWidgets.QDialog) if one.windowTitle().startswith("What this"))

        def retold() -> None:
            window.show_help()
            stage.tick()

        help_scene = stage.scene("help", "what it can and cannot tell", told, sized(told, (640, 620)))
        yield dataclasses.replace(help_scene, settle=retold)
        told.close()

        for state, names in (("one person", ()), ("two people", ("Anna", "Ben"))):
            asked = SessionDialog(window, window._settings, names)
            asked.open()
            asked.participant.setText("P07")
            asked.condition.setText("baseline")
            asked.marker_names.setText("stimulus, response, break")
            if not names:
                yield stage.scene("record", "scores only", asked, sized(asked))
            asked.keep_words.setChecked(True)
            asked.keep_audio.setChecked(True)
            yield stage.scene("record", f"with consent, {state}", asked, sized(asked))
            asked.close()
            asked.deleteLater()

        calibration = CalibrationDialog(window, stage.controller)
        calibration.show()
        yield stage.scene("calibration", "before", calibration, sized(calibration))
        calibration.close()
        window.start()
        stage.play(2.0)
        window.show_calibration()
        calibration = window._calibration
        assert calibration is not None
        calibration.name.setText("P07")
        calibration.follow()
        yield stage.scene("calibration", "ready", calibration, sized(calibration))
        calibration.begin.click()
        stage.play(26.0)
        yield stage.scene("calibration", "under way", calibration, sized(calibration))
        calibration.close()

        window._frames, window._use = SteadyFrames(), SteadyUse()
        with some_log():
            window.show_health()
            health = window.findChild(HealthDialog)
            stage.play(46.0)

            def current() -> None:
                window.show_health()
                stage.tick()

            yield dataclasses.replace(stage.scene("health", "after a gap", health, sized(health, (660, 760))), settle=current)
    finally:
        stage.close()


GROUPS: dict[str, Callable[[Path], Iterator[Scene]]] = {
    "before": dashboard_before_start,
    "listening": dashboard_listening,
    "recording": dashboard_recording,
    "people": dashboard_two_people,
    "presentation": presentation,
    "inside": inside,
    "explorer": explorer,
    "sincgram": sincgram,
    "first": first_steps,
    "dialogs": dialogs,
    "sessions": session_scenes,
}
"""Each gets an empty folder that it may write into."""
