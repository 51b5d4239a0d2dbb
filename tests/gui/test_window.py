"""The window on the offscreen platform, on a scripted controller, tick by tick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gui.conftest import Driver
from gui.legibility import nameless
from gui.painted import painted_texts
from gui.scripted_controller import INPUTS, LOADING, RATE, SCRIPT, Choice, ScriptedController, facts

from realtime_ser.errors import BundleError, DeviceError
from realtime_ser.gui.panels.filters import FilterPanel
from realtime_ser.gui.panels.health import HealthDialog
from realtime_ser.gui.panels.loading import LoadingBar
from realtime_ser.gui.panels.messages import MessageList, NoticeBar
from realtime_ser.gui.panels.now import NowPanel
from realtime_ser.gui.panels.timeline import TimelinePanel, band_image, wrapped
from realtime_ser.gui.panels.transcript import TranscriptList
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.theme import DARK, PALETTES, style_sheet
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.session.writer import Marker
from realtime_ser.types import Event, Level, Severity, Span

Drive = Callable[..., Driver]


def start_button(window: DashboardWindow) -> QtWidgets.QPushButton:
    return window.findChild(QtWidgets.QPushButton, "primary")


def texts(parent: QtWidgets.QWidget) -> str:
    return " | ".join(label.text() for label in parent.findChildren(QtWidgets.QLabel) if label.isVisible())


def chooser(window: DashboardWindow) -> QtWidgets.QComboBox:
    return window.findChild(QtWidgets.QComboBox)


def test_the_window_is_up_before_anything_is_loaded(drive: Drive) -> None:
    controller = ScriptedController()
    controller.bundle_gate.clear()
    driver = drive(controller)
    driver.tick()
    assert driver.window.isVisible()
    assert not start_button(driver.window).isEnabled()
    assert "LOADING" in texts(driver.window.findChild(Transport))
    assert driver.window.findChild(NowPanel).view.headline == "Loading"
    controller.bundle_gate.set()
    driver.settle()
    assert start_button(driver.window).isEnabled()
    assert driver.window.findChild(NowPanel).view.headline == "Ready"


def test_no_other_thread_lets_the_window_wait_for_five_milliseconds_every_time(drive: Drive) -> None:
    drive()
    assert sys.getswitchinterval() <= 1.1e-3


def test_the_button_starts_and_stops(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    button = start_button(driver.window)
    assert button.text() == "Start"
    driver.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.tick()
    assert [choice.id for choice in driver.controller.started] == ["1"]
    assert button.text() == "Stop"
    assert "LIVE" in texts(driver.window.findChild(Transport))
    assert not chooser(driver.window).isEnabled()
    driver.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.tick()
    assert driver.controller.state().phase == "stopped"
    assert button.text() == "Start"


def test_space_starts_and_stops_but_leaves_other_buttons_their_key(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    driver.window.activateWindow()
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_Space)
    driver.tick()
    assert driver.controller.state().phase == "running"
    panel = driver.window.findChild(FilterPanel)
    hertz = next(button for button in panel.findChildren(QtWidgets.QToolButton) if button.text() == "Hz")
    hertz.setFocus()
    driver.qtbot.keyClick(hertz, Qt.Key.Key_Space)
    driver.tick()
    assert panel.axis == "Hz"
    assert driver.controller.state().phase == "running"


def test_keys(drive: Drive, settings: QtCore.QSettings) -> None:
    driver = drive()
    driver.settle()
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_M)
    assert driver.window.findChild(FilterPanel).axis == "Hz"
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_Z)
    assert driver.window.findChild(TimelinePanel).shown_seconds == 20
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert settings.value("theme") == "light"
    assert settings.value("axis") == "Hz"
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_F1)
    browser = driver.window.findChild(QtWidgets.QDialog).findChild(QtWidgets.QTextBrowser)
    for words in ("5(1)(f)", "50(3)", "not legal advice", facts().card_summary, "Ctrl+O"):
        assert words in browser.toPlainText()


def test_looks_are_remembered(drive: Drive, settings: QtCore.QSettings) -> None:
    settings.setValue("theme", "light")
    settings.setValue("axis", "Hz")
    driver = drive()
    assert driver.window.findChild(FilterPanel).axis == "Hz"
    settings.setValue("theme", "no such theme")
    settings.setValue("axis", "furlong")
    assert drive().window.findChild(FilterPanel).axis == "mel"


def test_a_theme_is_taken_on_window_by_window_and_none_is_seen_half_changed(running: Driver) -> None:
    running.play(3.0)
    window = running.window
    for show in ("explorer", "sincgram", "inside", "health", "settings", "help", "sessions"):
        getattr(window, f"show_{show}")()
    running.settle()
    running.tick(60)  # every plot is there
    window.sessions.close()
    pages = window.centralWidget()
    others = [*window.findChildren(QtWidgets.QDialog, options=Qt.FindChildOption.FindDirectChildrenOnly), window.sessions]
    assert len(others) == 7

    def worn(one: QtWidgets.QWidget) -> str:
        return next(name for name, palette in PALETTES.items() if one.styleSheet() == style_sheet(palette))

    def changed() -> set[QtWidgets.QWidget]:
        return {one for one in (pages, *others) if worn(one) != before}

    for after in ("light", "dark"):
        before = window.theme
        window.toggle_theme()
        assert window.theme == after
        assert not changed()
        turns = 0
        while len(changed()) < 8 or not all(one.updatesEnabled() for one in (pages, *others)):
            done = changed()
            window.tick()
            assert len(changed() - done) <= 1, "one a tick: all of them would be felt"
            assert sum(not one.updatesEnabled() for one in (pages, *others)) <= 1, "what is half changed is not drawn"
            assert pages.updatesEnabled() or changed() <= {pages}, "this window comes first"
            turns += 1
            assert turns < 25
        for one in (window, *others):
            ground = one.grab().toImage().pixelColor(3, 3).name()
            assert ground == PALETTES[after].window, one.windowTitle()
        assert window.findChild(TimelinePanel)._view.backgroundBrush().color().name() == PALETTES[after].panel


def test_a_theme_that_changes_again_or_a_window_that_goes_away_leaves_nothing_behind(running: Driver) -> None:
    window = running.window
    window.show_health()
    window.show_explorer()
    running.tick(60)
    window.toggle_theme()
    for _ in range(5):  # this window, and another one half
        window.tick()
    window.toggle_theme()
    window.explorer.deleteLater()
    window._explorer = None
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    running.tick(20)
    (health,) = window.findChildren(HealthDialog)
    assert window.theme == "dark"
    for one in (window.centralWidget(), health):
        assert one.updatesEnabled()
        assert one.styleSheet() == style_sheet(DARK)


def test_the_chooser_groups_and_refuses(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    box = chooser(driver.window)
    rows = [box.itemText(row) for row in range(box.count())]
    assert rows == [
        "Microphones",
        "Built-in Microphone",
        "USB Headset",
        "Monitor of HDMI – in use by another program",
        "Demonstration recordings",
        "Demonstration audio",
        "Open a recording…",
    ]
    model = box.model()
    usable = [bool(model.flags(model.index(row, 0)) & Qt.ItemFlag.ItemIsEnabled) for row in range(box.count())]
    assert usable == [False, True, True, False, False, True, True]
    assert box.currentText() == "Built-in Microphone"


def test_an_own_recording_can_be_chosen(drive: Drive, tmp_path: Path) -> None:
    driver = drive(recording=tmp_path / "take.wav", start=True)
    driver.settle()
    driver.tick()
    choice = driver.controller.started[0]
    assert (choice.kind, choice.id, choice.title) == ("file", str(tmp_path / "take.wav"), "take.wav")


@pytest.mark.parametrize(("choose", "chosen"), [(("microphone", "usb"), "2"), (("demo", ""), "demo")])
def test_an_input_can_be_asked_for_by_name(drive: Drive, choose: tuple[str, str], chosen: str) -> None:
    driver = drive(choose=choose, start=True)
    driver.settle()
    assert [choice.id for choice in driver.controller.started] == [chosen]


def test_an_input_that_is_not_there_is_not_replaced_by_another(drive: Drive) -> None:
    driver = drive(choose=("microphone", "Studio"), start=True)
    driver.settle()
    assert not driver.controller.started
    assert "Studio" in driver.window.findChild(NoticeBar).notice.problem


def test_a_dropped_recording_is_chosen(drive: Drive, tmp_path: Path) -> None:
    driver = drive()
    driver.settle()
    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl.fromLocalFile(str(tmp_path / "dropped.flac"))])
    event = QtGui.QDropEvent(
        QtCore.QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    driver.window.dropEvent(event)
    assert driver.window.findChild(Transport).choice.id == str(tmp_path / "dropped.flac")


def test_the_choice_survives_a_new_look(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    transport = driver.window.findChild(Transport)
    assert transport.select("microphone", "2")
    assert not transport.select("microphone", "no such device")
    assert not transport.select("microphone", "3"), "in use by another program"
    driver.controller.available = [Choice("microphone", "9", "New"), *INPUTS]
    driver.window.refresh_inputs()
    driver.settle()
    assert transport.choice.id == "2"


def test_a_lost_device_is_told_with_its_remedy(running: Driver) -> None:
    running.play(5.0)
    running.controller.lose_device()
    running.tick()
    running.settle()
    bar = running.window.findChild(NoticeBar)
    assert bar.isVisible()
    assert bar.notice.problem == "The microphone Built-in Microphone went away."
    assert bar.notice.remedy == "Connect it again and press Start again."
    assert "FAILED" in texts(running.window.findChild(Transport))
    assert len(running.window.model.events.entries) == 1, "the engine's own event is not told twice"
    button = next(b for b in bar.findChildren(QtWidgets.QPushButton))
    assert button.text() == "Start again"
    button.click()
    running.tick()
    assert running.controller.state().phase == "running"
    assert not bar.isVisible()


def test_a_microphone_that_is_waited_for_is_told_until_it_is_back(running: Driver) -> None:
    running.play(5.0)
    at = running.controller.stream.position
    running.controller.emit(Event(at, "device-lost", Severity.ERROR, "The microphone went away. This program looks for it."))
    running.tick()
    bar, now = running.window.findChild(NoticeBar), running.window.findChild(NowPanel)
    assert bar.isVisible()
    assert bar.notice.problem == "The microphone went away. This program looks for it."
    assert not any(button.isVisible() for button in bar.findChildren(QtWidgets.QPushButton)), "nothing has to be done here"
    assert now.view.headline == "No microphone"
    assert running.controller.state().phase == "running"
    running.controller.emit(Event(at + 10 * RATE, "device-back", Severity.INFO, "The microphone is back."))
    running.tick()
    assert not bar.isVisible()
    assert now.view.headline != "No microphone"
    # And stopped while it is away, nothing is left of it.
    running.controller.emit(Event(at + 20 * RATE, "device-lost", Severity.ERROR, "It went away."))
    running.tick()
    start_button(running.window).click()
    running.tick()
    assert not bar.isVisible()
    assert now.view.headline == "Ready"


def test_no_bundle_is_told_and_can_be_tried_again(drive: Drive) -> None:
    error = BundleError("There is no model bundle.", "Fetch one: realtime-ser models fetch default")
    controller = ScriptedController(bundle_error=error)
    driver = drive(controller)
    driver.settle()
    bar = driver.window.findChild(NoticeBar)
    assert (bar.notice.problem, bar.notice.remedy) == (error.problem, error.remedy)
    assert not start_button(driver.window).isEnabled()
    controller.bundle_error = None
    next(b for b in bar.findChildren(QtWidgets.QPushButton)).click()
    driver.settle()
    assert not bar.isVisible()
    assert start_button(driver.window).isEnabled()


def test_loading_shows_its_steps_and_is_stopped_before_the_next_one(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_ser.gui.window.LOADING_SHOWN_AFTER", 0.0)
    controller = ScriptedController()
    controller.bundle_gate.clear()
    controller.held_step = 3
    driver = drive(controller)
    window, bar = driver.window, driver.window.findChild(LoadingBar)
    driver.qtbot.waitUntil(lambda: (window.tick(), "text network" in bar.text)[1])
    assert bar.isVisible()
    assert bar.text == "Loading the model: 3 of 5, the text network"
    assert bar.done == pytest.approx(2 / 5)
    driver.tick()
    assert "LOADING" in texts(window.findChild(Transport))
    (cancel,) = bar.findChildren(QtWidgets.QPushButton)
    cancel.click()
    driver.tick()
    assert "stops before its next step" in bar.text
    assert not cancel.isEnabled()
    controller.bundle_gate.set()
    driver.settle()
    assert not bar.isVisible()
    notice = window.findChild(NoticeBar)
    assert (notice.notice.problem, notice.notice.severity) == ("Loading the model was stopped.", Severity.INFO)
    assert "settings" in notice.notice.remedy
    assert "STOPPED" in texts(window.findChild(Transport))
    assert not window.ready
    assert not start_button(window).isEnabled()
    # Another choice, or another try, loads it after all.
    next(b for b in notice.findChildren(QtWidgets.QPushButton) if b.isVisible()).click()
    driver.settle()
    assert window.ready
    assert notice.notice is None
    assert not bar.isVisible()
    assert start_button(window).isEnabled()


def test_loading_that_is_over_at_once_moves_nothing(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_ser.gui.window.LOADING_SHOWN_AFTER", 600.0)
    controller = ScriptedController()
    controller.bundle_gate.clear()
    driver = drive(controller)
    driver.qtbot.waitUntil(lambda: (driver.window.tick(), driver.window._loading_bundle)[1])
    bar = driver.window.findChild(LoadingBar)
    driver.tick()
    assert not bar.isVisible()
    monkeypatch.setattr("realtime_ser.gui.window.LOADING_SHOWN_AFTER", 0.0)
    driver.tick()
    assert bar.isVisible()
    controller.bundle_gate.set()
    driver.settle()
    assert not bar.isVisible()


def test_the_window_closes_before_the_next_step_of_loading(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = ScriptedController()
    controller.bundle_gate.clear()
    driver = drive(controller)
    driver.qtbot.waitUntil(lambda: (driver.window.tick(), driver.window._loading_step is not None)[1])
    wait = driver.window._worker.close
    monkeypatch.setattr(driver.window._worker, "close", lambda: (controller.bundle_gate.set(), wait()))
    driver.window.close()
    assert driver.window._loading_step == LOADING[1], "it was told of, and not done"


def test_without_devices_recordings_remain(drive: Drive) -> None:
    error = DeviceError("PortAudio cannot be loaded.", "Install libportaudio2.")
    driver = drive(ScriptedController(inputs_error=error))
    driver.settle()
    assert driver.window.findChild(NoticeBar).notice.problem == error.problem
    assert driver.window.findChild(Transport).choice.kind == "demo"
    assert start_button(driver.window).isEnabled()


def test_no_microphone_is_said_and_does_not_stand_in_the_way(drive: Drive) -> None:
    driver = drive(ScriptedController(inputs=[INPUTS[-1]]))
    driver.settle()
    bar = driver.window.findChild(NoticeBar)
    assert bar.notice.problem == "No microphone was found."
    driver.window.start()
    driver.tick()
    assert not bar.isVisible()


def test_a_fault_of_the_program_is_called_that(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    driver.window.report(ZeroDivisionError("division by zero"))
    driver.tick()
    assert "ZeroDivisionError" in driver.window.findChild(NoticeBar).notice.problem


def test_a_finished_recording_is_said(running: Driver) -> None:
    running.play(5.0)
    running.controller.finish()
    running.tick()
    assert running.window.findChild(NowPanel).view.headline == "Finished"
    assert running.window.model.position == 5 * RATE
    assert start_button(running.window).text() == "Start"


def test_now_follows_the_utterance(running: Driver) -> None:
    panel = running.window.findChild(NowPanel)
    heads = []
    for _ in range(60):
        running.play(0.1)
        if not heads or heads[-1] != panel.view.headline:
            heads.append(panel.view.headline)
    assert heads == ["No speech", "Listening", "Unsure", "Neutral", "No speech"]
    assert "last utterance (0:01): ■ neutral 62 %" in texts(panel)


def test_why_is_said_in_words_too(running: Driver) -> None:
    running.play(4.3)
    running.settle()
    panel = running.window.findChild(NowPanel)
    said = texts(panel)
    assert "recogniser 97 % sure" in said
    assert "most weight: morning, " in said
    assert running.controller.weighed == list(dict.fromkeys(running.controller.weighed))
    assert 1 <= len(running.controller.weighed) <= 3, "about once a second"
    tips = [label.toolTip() for label in panel.findChildren(QtWidgets.QLabel) if "most weight" in label.text()]
    assert "left out in turn" in tips[0]
    shares = [part for part in panel.findChildren(QtWidgets.QWidget) if "voice and words" in part.accessibleName()]
    assert [part.accessibleDescription() for part in shares] == ["voice 58 percent, words 42 percent"]
    running.play(1.5)
    assert [part.accessibleDescription() for part in shares] == ["nothing is claimed, so neither counts"]
    assert "most weight" not in texts(panel)
    assert "last utterance: recogniser 97 % sure" in texts(panel)


def test_without_weights_everything_else_is_said(running: Driver) -> None:
    running.controller.weights_error = BundleError("No network.", "None.")
    running.play(4.3)
    running.settle()
    panel = running.window.findChild(NowPanel)
    assert running.controller.weighed
    assert "most weight" not in texts(panel)
    assert "rests on" in texts(panel)


def curves(panel: QtWidgets.QWidget) -> list[Any]:
    view = panel.findChild(pg.GraphicsLayoutWidget)
    return [item for item in view.scene().items() if isinstance(item, pg.PlotCurveItem)]


def test_the_timeline_draws_what_was_emitted(running: Driver) -> None:
    running.play(30.0)
    panel = running.window.findChild(TimelinePanel)
    model = running.window.model
    drawn = [np.column_stack(curve.getData()) for curve in curves(panel)]
    for index in range(4):
        wanted = model.estimates.view()[:, [0, 1 + index]] / np.array([RATE, 1.0])
        assert any(d.shape == wanted.shape and np.allclose(d, wanted, equal_nan=True) for d in drawn)
    items = len(curves(panel))
    running.play(3.0)
    assert len(curves(panel)) == items, "traces are updated in place"


def test_words_are_broken_between_words_and_end_with_an_ellipsis() -> None:
    said = "oh that is wonderful news"
    assert wrapped(said, 99.0, 1, len) == (said,)
    assert wrapped(said, 10.0, 3, len) == ("oh that is", "wonderful", "news")
    assert wrapped(said, 10.0, 2, len) == ("oh that …",)
    assert wrapped(said, 12.0, 2, len) == ("oh that is", "wonderful …")
    assert wrapped(said, 9.0, 1, len) == ("oh that …",)
    assert wrapped(said, 4.0, 5, len) == ("oh", "that", "is …")
    assert wrapped(said, 3.0, 1, len) == ()
    assert wrapped(said, 99.0, 0, len) == ()


def ink(panel: TimelinePanel) -> dict[int, int]:
    """Pixels of text in the lane of the words, by utterance of the script; -1: outside of all of them."""
    box = panel._lanes["words"].getViewBox()
    lane = box.sceneBoundingRect()
    picture = panel._view.grab(lane.toRect().adjusted(1, 1, -1, -1)).toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    pixels = np.frombuffer(picture.constBits(), np.uint32).reshape(picture.height(), picture.width()) & 0xFF
    seconds = [box.mapSceneToView(QtCore.QPointF(lane.left() + 1.5 + x, lane.center().y())).x() for x in range(picture.width())]
    counts: dict[int, int] = {}
    for second, column in zip(seconds, (pixels > 140).sum(axis=0).tolist(), strict=True):
        number = next((n for n, line in enumerate(SCRIPT) if line.start <= second < line.end), -1)
        counts[number] = counts.get(number, 0) + column
    return counts


def test_words_stand_below_their_verdict_as_far_as_there_is_room(running: Driver) -> None:
    running.window.resize(1600, 1000)
    if running.window.theme == "light":
        running.window.toggle_theme()
    running.play(17.5)
    panel = running.window.findChild(TimelinePanel)
    wide = ink(panel)
    assert wide[2] > 20
    assert wide[3] == 0, "“really” is wider than its block"
    panel.show_span(20)
    running.tick()
    closer = ink(panel)
    assert closer[0] > 20
    assert closer[3] > 20
    assert closer[2] > 1.3 * wide[2]
    height = panel._lanes["words"].getViewBox().height()
    running.window.resize(1024, 700)
    running.tick()
    assert 10.0 < panel._lanes["words"].getViewBox().height() < height - 8.0
    for counts in (wide, closer):
        assert counts[-1] <= 80, "outside there is the line that is now, and nothing else"


def test_now_stands_on_the_right_from_the_beginning_and_what_was_before_is_said(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    panel = driver.window.findChild(TimelinePanel)

    def written() -> set[str]:
        return {one.text for one in painted_texts(panel._view.viewport())}

    assert any("appears here" in text for text in written())
    driver.window.start()
    places = []
    for until in (4.0, 30.0, 59.0, 66.0):
        driver.play(until - driver.controller.stream.position / RATE)
        first, end = panel._range
        now = driver.window.model.position / RATE
        places.append((now - first) / (end - first))
        assert ("before the start" in written()) == (until <= 30.0), "for the rest of it there is no room"
        assert not any(text.startswith("-") for text in written())
    assert max(places) - min(places) < 0.002
    assert min(places) > 0.97


def test_no_name_of_a_marker_lies_over_another(running: Driver) -> None:
    running.play(4.0)
    panel = running.window.findChild(TimelinePanel)
    for name, seconds in (("a long name", 0.5), ("another long name", 1.0), ("short", 3.9)):
        running.window.model.markers.append(Marker(round(seconds * RATE), name, "", "test", 0.0))
    running.play(0.2)
    named = {one.text: one.ink for one in painted_texts(panel._view.viewport())}
    first, second, third = (named[name] for name in ("a long name", "another long name", "short"))
    assert second.top() > first.bottom()
    assert third.right() < panel._view.viewport().width()
    assert not any(one.intersects(other) for one, other in ((first, second), (first, third), (second, third)))


def test_nothing_is_drawn_while_nothing_is_new(running: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    running.play(5.0)
    calls = []
    original = pg.PlotCurveItem.setData
    monkeypatch.setattr(pg.PlotCurveItem, "setData", lambda self, *a, **k: (calls.append(self), original(self, *a, **k)))
    running.tick(20)
    assert not calls
    running.play(0.1)
    # Ten lines and areas of the timeline (four classes twice, peak, RMS) and the energies, each once.
    assert len(calls) == len(set(map(id, calls))) == 11


def test_drawing_does_not_eat_references(running: Driver) -> None:
    """A binding that gives back references to None that it never took ends the process after a minute of drawing."""
    running.play(2.0)
    before = sys.getrefcount(None)
    running.play(5.0)
    assert sys.getrefcount(None) > before - 500


def test_the_transcript_shows_words_and_verdicts(running: Driver) -> None:
    running.play(17.5)
    shown = texts(running.window.findChild(TranscriptList))
    for line in SCRIPT[:3]:
        assert line.words.split()[0] in shown
    assert "happiness 78 %" in shown
    assert "unsure" in shown
    assert "underline" in shown, "a word of low confidence is marked by more than its colour"


def test_an_event_is_shown_once_with_its_count(running: Driver) -> None:
    for _ in range(5):
        running.controller.emit(Event(0, "clipping", Severity.WARNING, "It clips: turn the gain down."))
    running.tick()
    news = [b.text() for b in running.window.findChildren(QtWidgets.QPushButton) if "clips" in b.text()]
    assert news == ["! 0:00  It clips: turn the gain down. (×5)"]
    assert "×5" in running.window.findChild(MessageList).toPlainText()


def test_clipping_stays_until_it_is_seen(running: Driver) -> None:
    running.controller.emit(Level(Span(0, 1_600), 0.0, -3.0, clipped=4))
    running.tick()
    running.play(5.0)
    assert running.window.model.meter.clipped >= 4

    def clipped() -> list[QtWidgets.QWidget]:
        return [w for w in running.window.findChildren(QtWidgets.QWidget) if w.accessibleName().endswith(", clipped")]

    (meter,) = clipped()
    running.qtbot.mouseClick(meter, Qt.MouseButton.LeftButton)
    assert running.window.model.meter.clipped == 0
    # Without a mouse, and told at once to who does not see it.
    running.controller.emit(Level(Span(1_600, 3_200), 0.0, -3.0, clipped=2))
    running.tick()
    assert clipped()
    running.window.activateWindow()
    running.qtbot.waitUntil(running.window.isActiveWindow)
    running.qtbot.keyClick(running.window, Qt.Key.Key_C)
    assert running.window.model.meter.clipped == 0
    assert not clipped()


def test_a_second_start_begins_at_nothing(running: Driver) -> None:
    running.play(5.0)
    running.window.stop()
    running.tick()
    running.controller.emit(Level(Span(90_000, 91_600), -20.0, -30.0))
    running.window.start()
    running.tick()
    assert running.window.model.position == 0
    assert not running.window.model.transcripts.rows


@pytest.mark.parametrize("axis", ["mel", "Hz"])
def test_the_filter_bank_draws_the_banks_numbers(drive: Drive, axis: str) -> None:
    driver = drive()
    driver.settle()
    panel = driver.window.findChild(FilterPanel)
    panel.set_axis(axis)
    made = facts()
    frequencies = np.fft.rfftfreq(8_192, 1.0 / RATE)
    n = np.arange(made.kernel) - (made.kernel - 1) / 2
    kernels = [
        (2 * h / RATE * np.sinc(2 * h / RATE * n) - 2 * lo / RATE * np.sinc(2 * lo / RATE * n)) * np.hamming(made.kernel)
        for lo, h in zip(made.low_hz, made.high_hz, strict=True)
    ]
    wanted = 20 * np.log10(np.abs(np.fft.rfft(kernels, 8_192)).sum(axis=0))
    at = 2595 * np.log10(1 + frequencies / 700) if axis == "mel" else frequencies
    drawn = [curve.getData() for curve in curves(panel)]
    # The curve is drawn on its own grid: within a hundredth of a decibel where the response is not falling off a cliff.
    errors = [np.abs(np.interp(x, at, wanted) - y)[y > -20] for x, y in drawn if x is not None and len(x) == 480]
    assert min(float(np.median(error)) for error in errors) < 0.01
    shifts = [y for x, y in drawn if x is not None and len(x) == 2 * len(made.low_hz)]
    assert len(shifts) == 2
    if axis == "Hz":
        home = (made.initial_low_hz + made.initial_high_hz) / 2
        learnt = np.sort(np.concatenate([made.low_hz - home, made.high_hz - home]))
        assert any(np.allclose(np.sort(y), learnt) for y in shifts)


def test_the_band_image_spans_60_db() -> None:
    energies = np.log(10.0 ** (np.array([[0.0, -30.0, -60.0, -90.0], [np.nan] * 4]) / 10.0)).astype(np.float32)
    image = band_image(energies, np.array([3, 2, 1, 0]))
    assert image[0].tolist() == [0, 0, 127, 255]
    assert image[1].tolist() == [0, 0, 0, 0]
    assert not band_image(np.full((2, 4), np.nan, dtype=np.float32), np.arange(4)).any()


@pytest.mark.parametrize("size", [(1024, 700), (1600, 1000)])
def test_nothing_is_cut_off(drive: Drive, size: tuple[int, int]) -> None:
    driver = drive()
    driver.settle()
    driver.window.resize(*size)
    driver.window.start()
    driver.play(48.0)
    for label in driver.window.findChildren(QtWidgets.QLabel):
        if not label.isVisible() or not label.text().strip() or type(label) is not QtWidgets.QLabel:
            continue
        if label.wordWrap():
            assert label.height() >= label.heightForWidth(label.width()) - 1, label.text()
        else:
            assert label.width() >= label.minimumSizeHint().width() - 1, label.text()
    for button in driver.window.findChildren(QtWidgets.QAbstractButton):
        if button.isVisible() and button.text():
            assert button.width() >= button.fontMetrics().horizontalAdvance(button.text()), button.text()
    assert driver.window.size() == QtCore.QSize(*size)


def test_everything_has_a_name(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    for kind in (QtWidgets.QToolButton, QtWidgets.QComboBox, QtWidgets.QScrollArea, pg.GraphicsLayoutWidget):
        for widget in driver.window.findChildren(kind):
            assert widget.accessibleName() or getattr(widget, "text", str)(), widget
    assert list(nameless(driver.window)) == []
    driver.window.start()
    driver.play(9.0)
    assert list(nameless(driver.window)) == []


@pytest.mark.parametrize("older", [False, True])
def test_a_screen_reader_says_a_notice_when_it_appears(running: Driver, monkeypatch: pytest.MonkeyPatch, older: bool) -> None:
    said: list[tuple[str, str]] = []

    def note(event: QtGui.QAccessibleEvent) -> None:
        if event.type() in (QtGui.QAccessible.Event.Alert, getattr(QtGui.QAccessible.Event, "Announcement", None)):
            politeness = getattr(event, "politeness", lambda: None)()
            said.append((event.object().accessibleName(), getattr(politeness, "name", "")))

    monkeypatch.setattr(QtGui.QAccessible, "updateAccessibility", note)
    monkeypatch.setattr(QtGui.QAccessible, "isActive", lambda: reads)
    if older:
        monkeypatch.delattr(QtGui, "QAccessibleAnnouncementEvent", raising=False)
    reads = False
    running.controller.lose_device()
    running.tick()
    assert said == []  # nobody listens
    running.window.start()
    running.tick()
    reads = True
    running.controller.lose_device()
    running.tick()
    running.window.toggle_theme()
    running.tick()
    (notice,) = said
    assert "went away" in notice[0]
    assert "Connect it again" in notice[0]
    if not older and hasattr(QtGui, "QAccessibleAnnouncementEvent"):
        assert notice[1] == "Assertive"
    # It is over, and comes back.
    running.window.start()
    running.tick()
    running.controller.lose_device()
    running.tick()
    assert len(said) == 2


def test_a_hidden_window_still_takes_what_comes(running: Driver) -> None:
    running.window.hide()
    running.play(5.0)
    assert running.window.model.position == 5 * RATE


def test_letters_are_drawn(drive: Drive) -> None:
    """Without any font on the system Qt draws nothing at all, and says so only on the console."""
    font = QtWidgets.QApplication.font()
    assert QtGui.QFontMetrics(font).horizontalAdvance("mmmm") > QtGui.QFontMetrics(font).horizontalAdvance("iiii")


def test_words_that_come_no_more_are_not_announced(running: Driver) -> None:
    def told() -> str:
        return running.window._log._words.text()

    running.play(1.0)
    assert told().startswith("words by ")
    running.controller.lose_recognizer()
    running.play(1.0)
    assert told().startswith("! no words: ")
    assert told().endswith(" is off")
