"""The settings: what is stored where, what counts at once and what waits, and that the command line wins for its run only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gui.conftest import Driver
from gui.scripted_controller import ScriptedController

from realtime_ser.assembly import EngineChoices, LoadingStep, Models, load_models
from realtime_ser.controller import Controller
from realtime_ser.errors import BundleError, RecognizerError
from realtime_ser.gui.panels.filters import FilterPanel
from realtime_ser.gui.panels.loading import LoadingBar
from realtime_ser.gui.panels.messages import NoticeBar
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.settings_dialog import Installed, SettingsDialog
from realtime_ser.gui.window import DashboardWindow

Drive = Callable[..., Driver]


def opened(driver: Driver) -> SettingsDialog:
    """The dialog that Ctrl+, opens, once it knows what is installed."""
    driver.window.activateWindow()
    driver.qtbot.waitUntil(driver.window.isActiveWindow)
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    dialog = driver.window.findChild(SettingsDialog)
    driver.settle()
    assert dialog.isVisible()
    return dialog


def test_it_is_made_dressed_and_shown_in_three_turns_and_a_second_key_makes_no_other(running: Driver) -> None:
    window = running.window
    window.show_settings()
    (dialog,) = window.findChildren(SettingsDialog)
    seen = []
    for _ in range(3):
        window.show_settings()
        seen.append((bool(dialog.styleSheet()), dialog.isVisible()))
        window.tick()
    assert seen == [(False, False), (True, True), (True, True)]
    assert window.findChildren(SettingsDialog) == [dialog]


def choose(dialog: SettingsDialog, name: Any, value: str) -> None:
    """As a user does: the entry, and Enter."""
    box = dialog.box(name)
    index = box.findData(value)
    assert index >= 0, [box.itemData(row) for row in range(box.count())]
    box.setCurrentIndex(index)
    box.activated.emit(index)


def values(dialog: SettingsDialog, name: Any) -> list[str]:
    box = dialog.box(name)
    return [box.itemData(row) for row in range(box.count())]


@pytest.fixture
def loaded(drive: Drive) -> Driver:
    driver = drive()
    driver.settle()
    return driver


def test_what_makes_no_sense_counts_as_the_default(settings: QtCore.QSettings) -> None:
    for name, value in (("theme", "pink"), ("scale", "17"), ("span", "x"), ("listen", "perhaps"), ("buffering", "huge")):
        settings.setValue(name, value)
    kept = Settings(settings)
    assert (kept.palette.name, kept.scale, kept.span, kept.listens_at_start) == ("dark", 1.0, 60, True)
    assert kept.engine == EngineChoices()
    with pytest.raises(ValueError, match="theme must be one of 'system', 'dark', 'light', got 'pink'"):
        kept.store("theme", "pink")


def test_everything_survives_the_program(settings: QtCore.QSettings, tmp_path: Path) -> None:
    kept = Settings(settings)
    chosen = {
        "input": "microphone:USB Headset",
        "listen": "false",
        "buffering": "low",
        "recognizer": "none",
        "bundle": "some",
        "provider": "cpu",
        "weights": "int8",
        "theme": "light",
        "scale": "150",
        "still": "true",
        "span": "20",
        "axis": "Hz",
        "sessions": str(tmp_path),
    }
    for name, value in chosen.items():
        kept.store(name, value)
    settings.sync()
    again = Settings(QtCore.QSettings(settings.fileName(), QtCore.QSettings.Format.IniFormat))
    assert {name: again.stored(name) for name in chosen} == chosen
    assert again.engine == EngineChoices("low", "none", "some", "cpu", "int8")
    assert again.input == ("microphone", "USB Headset")
    assert (again.palette.name, again.scale, again.still, again.span, again.axis) == ("light", 1.5, True, 20, "Hz")
    assert not again.listens_at_start
    again.reset()
    assert again.engine == EngineChoices()
    assert again.input is None


def test_the_command_line_wins_for_its_run_and_is_not_stored(drive: Drive, settings: QtCore.QSettings) -> None:
    kept = Settings(settings)
    for name, value in (("input", "microphone:USB Headset"), ("recognizer", "none"), ("weights", "int8"), ("listen", "false")):
        kept.store(name, value)
    driver = drive(choose=("demo", "demo"), start=True, given=("input", "recognizer"))
    driver.settle()
    assert [choice.id for choice in driver.controller.started] == ["demo"]
    assert driver.controller.choices == [EngineChoices(weights="int8")]
    dialog = opened(driver)
    assert "the command line or the environment decides" in dialog.box("recognizer").accessibleDescription()
    assert "the command line" not in dialog.box("weights").accessibleDescription()
    driver.window.close()
    assert (kept.stored("input"), kept.stored("recognizer")) == ("microphone:USB Headset", "none")


def test_the_input_and_whether_to_listen_are_as_stored(drive: Drive, settings: QtCore.QSettings) -> None:
    Settings(settings).store("input", "microphone:USB Headset")
    driver = drive(choose=("microphone", ""), start=True)
    driver.settle()
    assert [choice.id for choice in driver.controller.started] == ["2"]
    Settings(settings).store("listen", "false")
    quiet = drive(choose=("microphone", ""), start=True)
    quiet.settle()
    assert quiet.controller.started == []
    assert quiet.window.findChild(Transport).choice.id == "2"


def test_a_microphone_chosen_in_the_window_is_there_again(loaded: Driver, settings: QtCore.QSettings) -> None:
    box = loaded.window.findChild(Transport).findChild(QtWidgets.QComboBox)
    row = box.findText("USB Headset")
    box.setCurrentIndex(row)
    box.activated.emit(row)
    assert Settings(settings).input == ("microphone", "USB Headset")
    demo = box.findText("Demonstration audio")
    box.setCurrentIndex(demo)
    box.activated.emit(demo)
    assert Settings(settings).input == ("microphone", "USB Headset"), "hearing the demonstration once changes nothing"


def test_a_microphone_that_is_gone_is_said_to_be(loaded: Driver, settings: QtCore.QSettings) -> None:
    Settings(settings).store("input", "microphone:Studio")
    dialog = opened(loaded)
    assert dialog.box("input").currentText() == "Studio (not found)"
    titles = ("Built-in Microphone", "USB Headset", "Monitor of HDMI")
    assert values(dialog, "input") == ["", *(f"microphone:{title}" for title in titles), "demo", "microphone:Studio"]


def test_what_concerns_the_window_counts_at_once(loaded: Driver, settings: QtCore.QSettings) -> None:
    dialog = opened(loaded)
    choose(dialog, "theme", "light")
    assert loaded.window.theme == "light"
    choose(dialog, "axis", "Hz")
    assert loaded.window.findChild(FilterPanel).axis == "Hz"
    choose(dialog, "span", "20")
    assert loaded.window.findChild(TimelinePanel).shown_seconds == 20
    choose(dialog, "input", "demo")
    assert loaded.window.findChild(Transport).choice.id == "demo"
    # And the other way round: what a key changes is shown here.
    loaded.window.toggle_theme()
    loaded.window.findChild(TimelinePanel).toggle_zoom()
    assert (dialog.box("theme").currentData(), dialog.box("span").currentData()) == ("dark", "60")


def test_reduced_motion_moves_in_steps(running: Driver, settings: QtCore.QSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = running.window.findChild(TimelinePanel)
    drawn: list[None] = []
    monkeypatch.setattr(timeline, "refresh_plots", lambda model, now: drawn.append(None))
    running.tick(16)
    assert len(drawn) == 16
    running.qtbot.keyClick(opened(running).check("still"), Qt.Key.Key_Space)
    assert Settings(settings).still
    del drawn[:]
    running.tick(16)
    assert len(drawn) == 2


def test_reduced_motion_reaches_the_live_sincgram(
    running: Driver, settings: QtCore.QSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.window.show_sincgram()
    running.play(1.0)
    drawn: list[None] = []
    monkeypatch.setattr(running.window.sincgram, "_draw", lambda: drawn.append(None))
    running.tick(16)
    assert len(drawn) == 16
    Settings(settings).store("still", "true")
    del drawn[:]
    running.tick(16)
    assert len(drawn) == 2


def test_what_concerns_the_engine_waits_until_it_rests(running: Driver) -> None:
    dialog = opened(running)
    assert "from the next start of listening on" in dialog.box("recognizer").accessibleDescription()
    choose(dialog, "recognizer", "none")
    choose(dialog, "buffering", "low")
    running.tick()
    assert running.controller.choices == [EngineChoices()]
    running.window.stop()
    running.settle()
    assert running.controller.choices == [EngineChoices(), EngineChoices(buffering="low", recognizer="none")]
    assert running.window.ready


def test_a_choice_that_cannot_be_followed_is_answered_in_words(loaded: Driver) -> None:
    dialog = opened(loaded)
    loaded.controller.choice_error = RecognizerError("There is no such model.", "Fetch it.")
    choose(dialog, "recognizer", "none")
    loaded.settle()
    notice = loaded.window.findChild(NoticeBar).notice
    assert notice.problem == "There is no such model."
    assert "Until another choice is made, everything is as it was before." in notice.remedy
    assert loaded.window.ready, "what worked before still does"
    loaded.controller.choice_error = None
    choose(dialog, "recognizer", "pocketsphinx")
    loaded.settle()
    assert loaded.window.findChild(NoticeBar).notice is None


def test_defaults_come_back(loaded: Driver, settings: QtCore.QSettings) -> None:
    dialog = opened(loaded)
    choose(dialog, "theme", "light")
    choose(dialog, "recognizer", "none")
    loaded.settle()
    Settings(settings).remember("markers", "stimulus")
    loaded.qtbot.mouseClick(dialog.reset, Qt.MouseButton.LeftButton)
    loaded.settle()
    assert loaded.window.theme == "dark"
    assert loaded.controller.choices[-1] == EngineChoices()
    assert dialog.box("theme").currentData() == "system"
    assert Settings(settings).remembered("markers") == "stimulus"


def test_the_folder_of_sessions_is_the_recording_dialogs(loaded: Driver, tmp_path: Path) -> None:
    dialog = opened(loaded)
    field = dialog.findChild(QtWidgets.QLineEdit)
    field.setText(str(tmp_path))
    field.editingFinished.emit()
    loaded.window.record()
    assert loaded.window.findChild(SessionDialog).folder.text() == str(tmp_path)


def test_only_what_fits_the_screen_can_be_scaled_to(loaded: Driver) -> None:
    dialog = opened(loaded)
    box = dialog.box("scale")
    usable = [
        int(box.itemData(row)) for row in range(box.count()) if box.model().index(row, 0).flags() & Qt.ItemFlag.ItemIsEnabled
    ]
    screen, least = loaded.window.screen().availableSize(), loaded.window.minimumSize()
    fits = min(screen.width() / least.width(), screen.height() / least.height())
    assert usable == [scale for scale in (100, 125, 150, 175, 200, 250, 300) if scale == 100 or scale <= 100 * fits]


def test_what_is_not_on_this_machine_cannot_be_chosen(loaded: Driver) -> None:
    dialog = opened(loaded)
    dialog.show_installed(Installed(["vosk-model-x"], ["default-bundle"], ["CPUExecutionProvider"]))
    box = dialog.box("provider")
    usable = [box.itemData(row) for row in range(box.count()) if box.model().index(row, 0).flags() & Qt.ItemFlag.ItemIsEnabled]
    assert usable == ["", "cpu"]
    assert values(dialog, "recognizer") == ["", "vosk-model-x", "pocketsphinx", "none"]
    assert values(dialog, "bundle") == ["", "default-bundle"]


def test_by_keyboard_and_screen_reader(loaded: Driver) -> None:
    dialog = opened(loaded)
    controls = [
        widget
        for kind in (QtWidgets.QComboBox, QtWidgets.QCheckBox, QtWidgets.QLineEdit, QtWidgets.QPushButton)
        for widget in dialog.findChildren(kind)
    ]
    reached = set()
    for _ in range(2 * len(controls)):
        loaded.qtbot.keyClick(QtWidgets.QApplication.focusWidget() or dialog, Qt.Key.Key_Tab)
        reached.add(QtWidgets.QApplication.focusWidget())
    for control in controls:
        assert control in reached, control.accessibleName()
        assert control.accessibleName() or control.text()
        assert control.toolTip() or isinstance(control, QtWidgets.QPushButton)
    box = dialog.box("theme")
    box.setFocus()
    loaded.qtbot.keyClick(box, Qt.Key.Key_End)
    assert loaded.window.theme == "light"
    loaded.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_the_wheel_scrolls_and_does_not_choose(loaded: Driver) -> None:
    dialog = opened(loaded)
    box = dialog.box("theme")
    dialog.reset.setFocus()
    before = box.currentIndex()
    centre = QtCore.QPointF(box.rect().center())
    wheel = QtGui.QWheelEvent(
        centre, box.mapToGlobal(centre), QtCore.QPoint(), QtCore.QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QtWidgets.QApplication.sendEvent(box, wheel)
    assert box.currentIndex() == before


def test_a_real_engine_follows(random_bundle: Path, tmp_path: Path) -> None:
    controller = Controller("default-bundle", "none")
    assert controller.bundle().name.startswith("default")
    controller.configure(EngineChoices(recognizer="pocketsphinx"))
    assert "PocketSphinx" in controller.recognizer_note()
    assert "PocketSphinx" in controller.state().recognizer
    controller.configure(EngineChoices(bundle=str(random_bundle), recognizer="none", weights="int8"))
    facts = controller.bundle()
    assert not facts.name.startswith("default")
    assert "int8" in facts.card_summary
    assert controller.state().recognizer == "none"
    with pytest.raises(BundleError):
        controller.configure(EngineChoices(bundle=str(tmp_path / "none")))
    assert controller.bundle().name == facts.name, "what cannot be followed changes nothing"
    with pytest.raises(RecognizerError):
        controller.configure(EngineChoices(bundle=str(random_bundle), recognizer="no such model", weights="int8"))
    controller.configure(EngineChoices())
    assert controller.bundle().name.startswith("default")
    assert controller.state().recognizer == "none"
    controller.close()


def test_the_buffer_is_handed_to_what_opens_the_microphone(random_bundle: Path) -> None:
    asked: list[Any] = []

    def open_source(*given: Any, **options: Any) -> Any:
        asked.append(options)
        raise BundleError("Enough.", "")

    controller = Controller(str(random_bundle), "none", open_source=open_source)
    controller.bundle()
    microphone = ScriptedController().available[0]
    for choices in (EngineChoices(), EngineChoices(buffering="low")):
        controller.configure(choices)
        controller.start(microphone)
        assert controller._thread is not None
        controller._thread.join(20.0)
    assert asked == [{}, {"buffering": "low"}]
    controller.close()


def test_another_bundle_is_loaded_step_by_step_and_where_that_is_stopped_the_one_before_stays(
    qtbot: Any, settings: QtCore.QSettings, random_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime_ser.gui.window.LOADING_SHOWN_AFTER", 0.0)
    window = DashboardWindow(lambda: Controller("default-bundle", "none"), settings)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and not window.worker_busy, timeout=30_000)
    before = window._facts.name
    gate, told = threading.Event(), []

    def held(*arguments: Any, report: Callable[[LoadingStep], None]) -> Models:
        def watched(step: LoadingStep) -> None:
            told.append(step)
            if step.number == 4:
                gate.wait(20.0)
            report(step)

        return load_models(*arguments, report=watched)

    monkeypatch.setattr("realtime_ser.controller.load_models", held)
    bar, notice = window.findChild(LoadingBar), window.findChild(NoticeBar)
    Settings(settings).store("bundle", str(random_bundle))
    window._follow_choice("bundle")
    qtbot.waitUntil(lambda: bool(told) and told[-1].number == 4, timeout=30_000)
    qtbot.waitUntil(lambda: "3 of 5, the text network" in bar.text, timeout=30_000)
    window.stop_loading()
    gate.set()
    qtbot.waitUntil(lambda: notice.notice is not None and "model was stopped" in notice.notice.problem, timeout=30_000)
    assert told[-1].number == 4
    assert "as it was before" in notice.notice.remedy
    assert not bar.isVisible()
    assert window.ready
    assert window._facts.name == before
    assert window._controller.bundle().name == before, "it would be heard through the one before"
    next(one for one in notice.findChildren(QtWidgets.QPushButton) if one.isVisible()).click()
    qtbot.waitUntil(lambda: window.ready and window._facts.name != before, timeout=30_000)
    assert told[-1].number == 5
    last = [step.done for step in told[[step.number for step in told].index(4) + 1 :]]
    assert last == sorted(last)
    assert last[0] == 0.0
    assert last[-1] == pytest.approx(4 / 5)
    window.close()


def test_another_bundle_in_the_real_window(qtbot: Any, settings: QtCore.QSettings, random_bundle: Path) -> None:
    window = DashboardWindow(lambda: Controller("default-bundle", "none"), settings)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and not window.worker_busy, timeout=30_000)
    before = window._facts.name
    window.show_explorer()
    Settings(settings).store("bundle", str(random_bundle))
    window.show_settings()
    window.findChild(SettingsDialog).changed.emit("bundle")
    qtbot.waitUntil(lambda: window.ready and window._facts.name != before, timeout=30_000)
    assert window.explorer is None, "it showed the filters of the bundle before"
    assert window.model.classes == tuple(window._facts.classes)
    window.close()
