"""The first start: shown once, skippable, there again by F3; a microphone that is tried, words that are fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from gui.conftest import Driver
from gui.scripted_controller import INPUTS, ScriptedController, Stream

from realtime_ser.asr.fetch import CATALOGUE, MODELS_URL, FetchProgress
from realtime_ser.controller import Controller
from realtime_ser.errors import RecognizerError
from realtime_ser.gui.first_start import FirstStart
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.session.notice import USE_NOTICE
from realtime_ser.types import Level, Span

Drive = Callable[..., Driver]


def dialog_of(driver: Driver) -> FirstStart:
    return driver.window.findChild(FirstStart)


def press(driver: Driver, button: QtWidgets.QPushButton) -> None:
    driver.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def shown(parent: QtWidgets.QWidget) -> str:
    return " | ".join(label.text() for label in parent.findChildren(QtWidgets.QLabel) if label.isVisible())


def forget(driver: Driver) -> None:
    """Let closed dialogs go."""
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    driver.tick()


@pytest.fixture
def first(drive: Drive) -> Driver:
    driver = drive(first_start=True, start=True)
    driver.settle()
    return driver


def test_nothing_is_listened_to_before_the_notice_was_read(first: Driver) -> None:
    dialog = dialog_of(first)
    assert dialog.isVisible()
    assert dialog.page == 0
    for sentence in USE_NOTICE:
        assert sentence in shown(dialog)
    assert first.controller.started == []


def test_it_is_shown_once_and_again_when_asked_for(first: Driver, drive: Drive, settings: QtCore.QSettings) -> None:
    press(first, dialog_of(first).skip)
    first.tick()
    assert [choice.id for choice in first.controller.started] == ["1"]  # what the start was asked for
    forget(first)
    assert dialog_of(first) is None
    again = drive(first_start=True)
    again.settle()
    assert dialog_of(again) is None
    again.window.activateWindow()
    again.qtbot.waitUntil(again.window.isActiveWindow)
    again.qtbot.keyClick(again.window, Qt.Key.Key_F3)
    assert dialog_of(again).isVisible()


def test_closing_the_window_is_no_answer(drive: Drive, settings: QtCore.QSettings) -> None:
    driver = drive(first_start=True)
    driver.settle()
    driver.window.close()
    assert not settings.value("first_start", type=bool)


def test_a_voice_is_heard(first: Driver) -> None:
    dialog = dialog_of(first)
    press(first, dialog.next)
    first.tick()
    assert [choice.id for choice in first.controller.started] == ["1"]
    assert dialog.microphones.currentText() == "Built-in Microphone"
    assert "Say a sentence." in dialog.verdict.text()
    first.play(3.0)
    assert "✓ A voice was heard" in dialog.verdict.text()
    assert dialog.meter.value() > dialog.meter.minimum()
    assert "dBFS" in shown(dialog)


def test_another_microphone_is_tried_anew(first: Driver) -> None:
    dialog = dialog_of(first)
    press(first, dialog.next)
    first.play(3.0)
    first.controller.stream = Stream()
    dialog.microphones.setCurrentIndex(1)
    dialog.microphones.activated.emit(1)
    first.tick()
    assert [choice.title for choice in first.controller.started] == ["Built-in Microphone", "USB Headset"]
    assert "Say a sentence." in dialog.verdict.text()


def test_a_blocked_microphone_is_told(first: Driver) -> None:
    dialog = dialog_of(first)
    press(first, dialog.next)
    first.controller.emit(Level(Span(0, 1_600), float("-inf"), float("-inf"), 0, silent=True))
    first.tick()
    assert "muted" in dialog.verdict.text()


def test_clipping_is_told(first: Driver) -> None:
    dialog = dialog_of(first)
    press(first, dialog.next)
    first.controller.emit(Level(Span(0, 1_600), 0.0, -3.0, 40))
    first.tick()
    assert "It clips" in dialog.verdict.text()


def test_a_lost_microphone_is_told(first: Driver) -> None:
    dialog = dialog_of(first)
    press(first, dialog.next)
    first.controller.lose_device()
    first.tick()
    first.settle()
    assert "went away" in dialog.verdict.text()
    assert len(first.controller.started) == 1  # it is not tried again and again


def test_a_microphone_that_comes_later_is_listened_to(drive: Drive) -> None:
    driver = drive(ScriptedController(inputs=[INPUTS[-1]]), first_start=True)
    driver.settle()
    dialog = dialog_of(driver)
    press(driver, dialog.next)
    driver.controller.available = INPUTS
    driver.window.refresh_inputs()
    driver.settle()
    assert dialog.microphones.isEnabled()
    assert [choice.id for choice in driver.controller.started] == ["1"]


def test_without_a_microphone_one_goes_on(drive: Drive) -> None:
    driver = drive(ScriptedController(inputs=[INPUTS[-1]]), first_start=True)
    driver.settle()
    dialog = dialog_of(driver)
    press(driver, dialog.next)
    assert "No microphone was found" in shown(dialog)
    assert dialog.meter.value() == dialog.meter.minimum()
    picture = dialog.meter.grab().toImage()
    middle = picture.height() // 2
    assert len({picture.pixel(x, middle) for x in range(3, picture.width() - 3)}) == 1  # nothing is filled
    press(driver, dialog.next)
    assert dialog.page == 2
    press(driver, dialog.back)
    assert dialog.page == 1
    press(driver, dialog.next)
    press(driver, dialog.next)
    assert not dialog.isVisible()
    assert driver.controller.started == []


@pytest.fixture
def words(first: Driver) -> FirstStart:
    dialog = dialog_of(first)
    press(first, dialog.next)
    press(first, dialog.next)
    return dialog


def test_words_are_fetched_with_progress(first: Driver, words: FirstStart) -> None:
    first.controller.fetch_gate.clear()
    press(first, words.fetch)
    first.qtbot.waitUntil(lambda: words._fetching.progress[0] == "download")
    first.tick()
    assert "download: 0.0 MB of 41.0" in words.told.text()
    assert words.cancel.isVisible()
    first.controller.fetch_gate.set()

    def done() -> bool:
        first.tick()
        return "installed" in words.told.text()

    first.qtbot.waitUntil(done, timeout=10_000)
    assert not words.fetch.isVisible()
    assert not words.bar.isVisible()
    assert "a better model" in shown(words)
    assert first.window._recognizer_note == "Words come from a better model."


def test_a_fetch_can_be_cancelled_and_begun_again(first: Driver, words: FirstStart) -> None:
    first.controller.fetch_gate.clear()
    press(first, words.fetch)
    first.qtbot.waitUntil(lambda: words._fetching.progress[0] == "download")
    press(first, words.cancel)
    first.controller.fetch_gate.set()

    def over() -> bool:
        first.tick()
        return "Cancelled" in words.told.text()

    first.qtbot.waitUntil(over, timeout=10_000)
    assert words.fetch.isEnabled()


def test_a_fetch_that_fails_says_what_to_do(first: Driver, words: FirstStart) -> None:
    first.controller.fetch_error = RecognizerError("The server cannot be reached.", "Check the connection.")
    press(first, words.fetch)

    def over() -> bool:
        first.tick()
        return words.told.text() == "The server cannot be reached. Check the connection."

    first.qtbot.waitUntil(over, timeout=10_000)
    assert words.fetch.isEnabled()


def test_closing_cancels_a_fetch(first: Driver, words: FirstStart) -> None:
    first.controller.fetch_gate.clear()
    press(first, words.fetch)
    first.qtbot.waitUntil(lambda: words._fetching.progress[0] == "download")
    thread = words._fetching.thread
    press(first, words.skip)
    assert not words.isVisible()
    assert thread.is_alive(), "the window does not wait for a connection that hangs"
    assert thread.daemon, "nor does the end of the program"
    first.controller.fetch_gate.set()
    thread.join(10.0)
    assert not thread.is_alive()


def test_a_second_fetch_waits_for_the_end_of_the_first(first: Driver, words: FirstStart) -> None:
    first.controller.fetch_gate.clear()
    press(first, words.fetch)
    first.qtbot.waitUntil(lambda: words._fetching.progress[0] == "download")
    hanging = words._fetching.thread
    press(first, words.skip)
    forget(first)
    first.window.show_first_start()
    again = dialog_of(first)
    press(first, again.next)
    press(first, again.next)
    press(first, again.fetch)
    waiting = again._fetching
    first.tick()
    assert waiting.progress == ("connecting", 0, None)
    first.controller.fetch_gate.set()
    hanging.join(10.0)
    waiting.thread.join(10.0)
    first.tick()
    assert "installed" in again.told.text()


def test_the_button_says_what_is_fetched_from_where(words: FirstStart) -> None:
    assert f"{CATALOGUE[0].size / 1e6:.0f} MB" in words.fetch.text()
    assert f"from {MODELS_URL.split('/')[2]}" in words.fetch.text()


def test_what_was_fetched_is_used_from_the_next_start_on(
    random_bundle: Path, vosk_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("VOSK_MODEL_PATH", str(models))
    controller = Controller(str(random_bundle))
    controller.bundle()
    assert controller.can_fetch_words()
    seen: list[tuple[str, int, int | None]] = []

    def fetch(name: str, progress: Callable[[FetchProgress], None], again: str) -> None:
        assert "button" in again  # there is no command to be run
        progress(FetchProgress("download", 1, 2))
        shutil.copytree(vosk_model_dir, models / name)

    monkeypatch.setattr("realtime_ser.controller.fetch_model", fetch)
    note = controller.fetch_words(lambda *now: seen.append(now))
    assert seen == [("download", 1, 2)]
    assert "vosk-model-small-en-us-0.15" in note
    assert "Vosk" in controller.state().recognizer
    assert not controller.can_fetch_words()
    controller.close()
