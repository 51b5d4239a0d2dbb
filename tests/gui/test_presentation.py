"""Presentation mode: readable at any size, with nothing of an operator's and all that an audience must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gui.conftest import Driver
from gui.painted import painted_texts
from gui.scripted_controller import RATE, SCRIPT, ScriptedController, Stream

from realtime_ser.gui.about import SHORT_NOTE
from realtime_ser.gui.models import DashboardModel, NowView
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.presentation import SMALLEST, Presentation, health_warning
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.theme import PALETTES, Palette, contrast
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Event, Health, Severity

HEALTH = Health(RATE, 2, 1_600, 75, 10, 0.041, 0.06, 0.1, 11.0, 0.11, 0.02)


def press(driver: Driver, key: Qt.Key) -> None:
    driver.window.activateWindow()
    driver.qtbot.waitUntil(driver.window.isActiveWindow)
    driver.qtbot.keyClick(driver.window, key)
    driver.tick()


def page(driver: Driver) -> Presentation:
    return driver.window.findChild(Presentation)


@pytest.fixture
def presented(running: Driver) -> Driver:
    running.play(3.5)
    press(running, Qt.Key.Key_F11)
    return running


def test_f11_and_escape(running: Driver) -> None:
    size = running.window.size()
    for leave in (Qt.Key.Key_Escape, Qt.Key.Key_F11):
        press(running, Qt.Key.Key_F11)
        assert running.window.isFullScreen()
        assert page(running).isVisible()
        assert not running.window.findChild(Transport).isVisible()
        press(running, leave)
        assert not running.window.isFullScreen()
        assert not page(running).isVisible()
        assert running.window.findChild(Transport).isVisible()
        assert running.window.size() == size
    press(running, Qt.Key.Key_Escape)
    assert running.window.isVisible()


def test_the_instrument_is_drawn_once_it_has_its_size_again(running: Driver) -> None:
    instrument = running.window.centralWidget().widget(0)
    press(running, Qt.Key.Key_F11)
    running.window.leave_presentation()
    assert instrument.isVisible()
    assert not instrument.updatesEnabled()
    running.window.tick()
    assert instrument.updatesEnabled()
    assert running.window.findChild(Transport).updatesEnabled()


def test_a_button_presents(running: Driver) -> None:
    button = next(b for b in running.window.findChildren(QtWidgets.QToolButton) if b.accessibleName() == "presentation")
    running.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert running.window.presenting


def test_a_maximised_window_is_maximised_again_and_closing_does_not_keep_the_full_screen(
    drive: Callable[..., Driver], settings: QtCore.QSettings
) -> None:
    driver = drive()
    driver.settle()
    driver.window.showMaximized()
    press(driver, Qt.Key.Key_F11)
    press(driver, Qt.Key.Key_Escape)
    assert driver.window.isMaximized()
    press(driver, Qt.Key.Key_F11)
    driver.window.close()
    again = drive()
    assert not again.window.isFullScreen()


def test_the_other_keys_go_on_working(presented: Driver) -> None:
    theme = presented.window.theme
    presented.qtbot.keyClick(presented.window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert presented.window.theme != theme
    press(presented, Qt.Key.Key_Space)
    assert presented.controller.state().phase == "stopped"
    assert "Ready" in page(presented).spoken
    press(presented, Qt.Key.Key_Space)
    assert presented.controller.state().phase == "running"
    assert presented.window.presenting


def test_what_is_sent_and_what_is_wrong_stand_below_each_other_where_there_is_no_room(presented: Driver) -> None:
    shown = page(presented)
    window = presented.window
    window.showNormal()
    window.resize(1024, 700)
    top = shown.parts[0]
    sending, warning = "Sending scores: LSL, OSC to 127.0.0.1:9000", "The microphone is away: nothing is heard."
    long, more = f"The microphone {'very ' * 20}far away.", f"{warning} {'It is looked for. ' * 9}"
    heights = []
    cases = (("", warning, 1), (sending, "", 1), (sending, warning, 2), (sending, long, 3), (sending, more, 2))
    for sent, wrong, rows in cases:
        shown.refresh_text(NowView("No speech"), window.model, "LIVE", None, wrong, sent)
        written = [one.text for one in painted_texts(top)]
        assert "…" not in "".join(written)
        last = warning if wrong == more else wrong or sent
        assert " ".join(written).endswith(last.split()[-1])
        assert top.rows(top.width()) == rows
        word = next(part for part in shown.parts if hasattr(part, "view"))
        assert top.geometry().bottom() < word.geometry().top()
        heights.append(word.height())
    assert heights[0] == heights[1] > heights[2] == heights[4] > heights[3]


@pytest.mark.parametrize("size", [(1024, 700), (1920, 1080)])
def test_why_nothing_is_named_is_said_in_full(presented: Driver, size: tuple[int, int]) -> None:
    shown = page(presented)
    presented.window.showNormal()
    presented.window.resize(*size)
    presented.controller.look_for_device()
    presented.tick()
    word = next(part for part in shown.parts if hasattr(part, "view"))
    assert len(word.view.explanation) > 45
    assert word.view.explanation in [one.text for one in painted_texts(word)]


def test_states_words_and_the_notice_are_said(running: Driver) -> None:
    press(running, Qt.Key.Key_F11)
    heads = []
    for _ in range(60):
        running.play(0.1)
        head = page(running).spoken.split(",")[0]
        if not heads or heads[-1] != head:
            heads.append(head)
    assert heads == ["No speech", "Listening", "Unsure", "Neutral", "No speech"]
    assert page(running).spoken.endswith(SHORT_NOTE)
    assert SCRIPT[0].words in page(running).spoken, "the words of the last utterance stay until somebody speaks again"
    assert "last utterance, 0:01: neutral 62 %" in [part.heading for part in page(running).parts if hasattr(part, "heading")]


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("count", [3, 60])
def test_words_stand_in_quotes_that_are_closed(presented: Driver, final: bool, count: int) -> None:
    words = next(part for part in page(presented).parts if hasattr(part, "words"))
    words.words, words.final = " ".join(["something"] * count), final
    text = words._fitting(words.font_of(2.0), QtCore.QRectF(words.rect()))
    assert text.startswith("“… " if count == 60 else "“s")
    assert text.endswith("something”" if final else "something …”")


def test_blocks_without_a_label_say_so(running: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    press(running, Qt.Key.Key_F11)
    running.play(SCRIPT[3].end + 1.0)
    flow = next(part for part in page(running).parts if hasattr(part, "model"))
    written: list[str] = []
    text = type(flow).text

    def note(self: Any, painter: Any, rect: Any, said: str, *options: Any, **more: Any) -> float:
        written.append(said)
        return text(self, painter, rect, said, *options, **more)

    monkeypatch.setattr(type(flow), "text", note)
    flow.grab()
    assert written.count("?") == 1
    flow.resize(60, flow.height())  # where there is no room, the hatching has to do
    written.clear()
    flow.grab()
    assert "?" not in written


def test_what_is_kept_of_a_session_can_be_seen(presented: Driver) -> None:
    def plate() -> QtGui.QColor:
        picture = page(presented).parts[0].grab().toImage()
        return picture.pixelColor(round(0.5 * page(presented).parts[0].unit), picture.height() // 5)

    bare = plate()
    presented.controller.recorded = RecordingStatus("recording", Path("s"), 1.0, words=True, audio=True)
    presented.tick()
    assert "scores, words and SOUND" in page(presented).spoken
    record = QtGui.QColor(presented.window._palette.record)
    assert plate() == record
    assert bare != record
    presented.controller.recorded = replace(presented.controller.recorded, phase="closed")
    presented.tick()
    assert "SOUND" not in page(presented).spoken


@pytest.mark.parametrize("size", [(1024, 700), (1280, 720), (1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_can_be_read_at_any_size(
    drive: Callable[..., Driver], settings: QtCore.QSettings, size: tuple[int, int], theme: str
) -> None:
    Settings(settings).store("theme", theme)
    driver = drive(ScriptedController())
    driver.settle()
    driver.window.start()
    press(driver, Qt.Key.Key_F11)
    shown = page(driver)
    shown.resize(*size)
    driver.controller.emit(Event(0, "gap", Severity.WARNING, "800 ms of audio were lost: the computer was busy."))
    driver.controller.recorded = RecordingStatus("recording", Path("s"), 1.0, words=True, audio=True)
    driver.play(5.9)  # the last utterance, its heading, the warning and the plate are all there
    shown.grab()
    unit = min(size[0] / 64, size[1] / 36)
    letters = [pixels for part in shown.parts for pixels in part.fonts]
    assert len(letters) > 10
    assert min(letters) >= round(SMALLEST * unit)
    # Nothing overlaps, and nothing leaves the screen.
    places = [part.geometry() for part in shown.parts]
    for index, place in enumerate(places):
        assert shown.rect().contains(place)
        assert not any(place.intersects(other) for other in places[index + 1 :])
    # What must not be cut off fits: the notice and what is kept.
    metrics = QtGui.QFontMetricsF(QtGui.QFont(QtWidgets.QApplication.font()))
    bottom, top = shown.parts[-1], shown.parts[0]
    for part, text, units in ((bottom, SHORT_NOTE, 1.2), (top, "● REC   scores, words and SOUND", 1.3)):
        font = part.font_of(units, bold=units > 1.2)
        metrics = QtGui.QFontMetricsF(font)
        assert metrics.horizontalAdvance(text) < part.width()
        assert metrics.height() <= part.height() + 1


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_everything_written_has_the_contrast_of_text(palette: Palette) -> None:
    inks = (
        palette.text,
        palette.dim,
        palette.warning,
        palette.unsure,
        palette.record,
        *palette.classes.values(),
        *palette.spare,
    )
    for ink in inks:
        assert contrast(ink, palette.window) >= 4.5, ink


def test_long_speech_shows_its_newest_words(presented: Driver) -> None:
    shown = page(presented)
    part = next(one for one in shown.parts if hasattr(one, "_fitting"))
    words = [f"word{number}" for number in range(200)]
    part.words, part.final = " ".join(words), False
    place = QtCore.QRectF(0, 0, part.width(), part.height())
    text = part._fitting(part.font_of(2.0), place)
    assert text.startswith("“… ")
    assert text.endswith("word199 …”")
    part.words = "Donaudampfschifffahrtsgesellschaft" * 20
    metrics = QtGui.QFontMetricsF(part.font_of(2.0))
    assert metrics.horizontalAdvance(part._fitting(part.font_of(2.0), place)) <= part.width()


def test_only_what_is_seen_is_drawn(presented: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(presented.window.findChild(TimelinePanel), "refresh_plots", lambda model: drawn.append("timeline"))
    monkeypatch.setattr(page(presented), "refresh_plots", lambda model: drawn.append("flow"))
    presented.tick(8)
    assert drawn == ["flow"] * 8
    Settings(presented.window._settings._store).store("still", "true")
    presented.tick(8)
    assert drawn == ["flow"] * 9, "with reduced motion it moves in steps"


def test_the_flow_is_drawn_where_something_is_new(presented: Driver) -> None:
    flow = next(part for part in page(presented).parts if hasattr(part, "model"))
    drawn: list[None] = []
    original = flow.draw
    flow.draw = lambda *given: (drawn.append(None), original(*given))
    presented.tick(10)
    assert not drawn
    presented.play(1.0)
    # Ten pictures a second; ten steps of 100 ms passed.
    assert 1 <= len(drawn) <= 10


def test_the_mouse_hides_until_it_moves(presented: Driver) -> None:
    shown = page(presented)
    presented.tick(90)
    assert shown.cursor().shape() == Qt.CursorShape.BlankCursor
    presented.qtbot.mouseMove(shown, QtCore.QPoint(50, 50))
    presented.qtbot.mouseMove(shown, QtCore.QPoint(60, 60))
    presented.qtbot.waitUntil(lambda: shown.cursor().shape() != Qt.CursorShape.BlankCursor)
    presented.tick(50)
    assert shown.cursor().shape() != Qt.CursorShape.BlankCursor
    presented.tick(50)
    assert shown.cursor().shape() == Qt.CursorShape.BlankCursor
    press(presented, Qt.Key.Key_Escape)
    assert presented.window.cursor().shape() != Qt.CursorShape.BlankCursor


def test_what_is_wrong_is_told_as_long_as_it_is() -> None:
    model = DashboardModel(("anger", "neutral"))
    assert health_warning(model) == ""
    model.health = HEALTH
    assert health_warning(model) == "", "a gap of long ago is an operator's business"
    model.health = replace(HEALTH, recognizer_lag=3.2)
    assert health_warning(model) == "Behind: words lag 3.2 s"
    model.events.consume(Event(RATE, "gap", Severity.WARNING, "800 ms of audio were lost."))
    assert health_warning(model) == "800 ms of audio were lost."
    model.position = 12 * RATE
    assert health_warning(model) == "Behind: words lag 3.2 s"
    model.away = Event(RATE, "device-lost", Severity.ERROR, "It went away.")
    assert "microphone is away" in health_warning(model)
    assert health_warning(model, "The engine stopped.") == "The engine stopped."


def test_a_failure_is_told_to_the_audience_in_a_line(presented: Driver) -> None:
    presented.controller.lose_device()
    presented.tick()
    presented.settle()
    assert "went away" in page(presented).spoken


def test_everything_is_drawn_for_any_classes(drive: Callable[..., Driver]) -> None:
    driver = drive(ScriptedController(stream=Stream(live=False)))
    press(driver, Qt.Key.Key_F11)  # before anything is loaded
    page(driver).grab()
    driver.settle()
    page(driver).grab()
    assert "Ready" in page(driver).spoken


@pytest.mark.parametrize("busy", [True, False])
def test_a_model_that_comes_while_something_is_opened_is_drawn_with_its_own_classes(
    drive: Callable[..., Driver], busy: bool
) -> None:
    controller = ScriptedController(stream=Stream(live=False))
    controller.bundle_gate.clear()
    driver = drive(controller)
    driver.window.toggle_presentation()
    driver.tick()
    controller.bundle_gate.set()
    while not driver.window.ready:
        if busy:
            driver.window._opening.append(lambda: None)  # which is enough for a tick
        driver.window.tick()
        page(driver).grab()
        QtWidgets.QApplication.processEvents()
