"""A minute of neutral speech in the window: guided, kept under a name, and used from the next start on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gui.conftest import Driver

from realtime_ser.assembly import EngineChoices, load_models
from realtime_ser.controller import Controller
from realtime_ser.gui.calibration import CalibrationDialog
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.settings_dialog import SettingsDialog
from realtime_ser.profiles import list_profiles, read_profile

Drive = Callable[..., Driver]


@pytest.fixture(autouse=True)
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REALTIME_SER_PROFILES", str(tmp_path / "profiles"))
    return tmp_path / "profiles"


@pytest.fixture
def loaded(drive: Drive) -> Driver:
    driver = drive()
    driver.settle()
    return driver


def opened(driver: Driver) -> CalibrationDialog:
    """The dialog, from the settings, by the button."""
    driver.window.show_settings()
    driver.settle()
    settings = driver.window.findChild(SettingsDialog)
    (button,) = (one for one in settings.findChildren(QtWidgets.QPushButton) if one.text() == "Measure…")
    driver.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    dialog = driver.window.findChild(CalibrationDialog)
    assert dialog.isVisible()
    return dialog


def listen(driver: Driver) -> None:
    driver.window.start()
    driver.play(1.0)


def test_a_minute_becomes_a_profile_that_is_used_from_the_next_start_on(loaded: Driver, settings: QtCore.QSettings) -> None:
    listen(loaded)
    dialog = opened(loaded)
    assert not dialog.begin.isEnabled()  # it has no name yet
    assert "+0.010 (made up)" in dialog.said.text()
    loaded.qtbot.keyClicks(dialog.name, "P07")
    loaded.qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.listening
    assert not dialog.name.isEnabled()
    loaded.play(30.0)
    assert 25 <= dialog.progress.value() <= 31
    assert "s of voice heard" in dialog.said.text()
    loaded.play(31.0)
    assert not dialog.listening
    assert dialog.said.text().startswith("The profile of P07 is kept")
    assert read_profile("P07").voiced_seconds > 15
    assert settings.value("profile") == "P07"
    box = loaded.window.findChild(SettingsDialog).box("profile")
    loaded.settle()
    assert box.currentData() == "P07"
    # Not while the engine runs.
    assert loaded.controller.choices[-1] == EngineChoices()
    loaded.window.stop()
    loaded.settle()
    assert loaded.controller.choices[-1] == EngineChoices(profile="P07")


def test_too_little_voice_is_told_and_nothing_kept(loaded: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_ser.gui.calibration.BASELINE_SECONDS", 5.0)
    listen(loaded)
    dialog = opened(loaded)
    dialog.name.setText("P07")
    dialog.begin.click()
    loaded.play(6.0)
    assert not dialog.listening
    assert "a profile needs 15 s at least" in dialog.said.text()
    assert not list_profiles()
    assert dialog.begin.isEnabled()


def test_cancel_the_end_of_listening_and_closing_leave_nothing(loaded: Driver) -> None:
    listen(loaded)
    dialog = opened(loaded)
    dialog.name.setText("P07")
    for end in (dialog.begin.click, dialog.reject, loaded.window.stop):
        dialog.show()
        dialog.begin.click()
        assert dialog.listening
        loaded.play(2.0)
        end()
        loaded.play(0.2)
        assert not dialog.listening
    assert "It ended too early: Start to listen to a microphone first." in dialog.said.text()
    assert not dialog.begin.isEnabled()
    assert not list_profiles()


def test_a_name_that_cannot_be_a_file_is_refused_and_an_earlier_profile_stays_unless_wanted(
    loaded: Driver, own_profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(loaded)
    dialog = opened(loaded)
    dialog.name.setText("../P07")
    dialog.begin.click()
    assert "cannot be the name of a profile" in dialog.said.text()
    dialog.name.setText("P07")
    dialog.begin.click()
    loaded.play(61.0)
    before = read_profile("P07")
    asked: list[str] = []
    answer = QtWidgets.QMessageBox.StandardButton.No
    monkeypatch.setattr(QtWidgets.QMessageBox, "question", lambda *given: asked.append(given[2]) or answer)
    dialog.begin.click()
    assert asked == ["There is a profile of P07. Make it anew?"]
    assert not dialog.listening
    assert read_profile("P07") == before


def test_the_real_controller_says_what_is_missing_and_uses_what_was_chosen(random_bundle: Path, tmp_path: Path) -> None:
    from test_profiles import profile, with_speaker

    from realtime_ser.bundle.loader import load_bundle
    from realtime_ser.profiles import write_profile

    controller = Controller(random_bundle, "none")
    assert "still being loaded" in controller.calibration_problem()
    controller.bundle()
    assert "does not say what a speaker's profile is worth" in controller.calibration_problem()
    controller.close()

    folder = with_speaker(random_bundle, tmp_path / "bundle")
    write_profile(profile(load_bundle(folder)))
    controller = Controller(folder, "none")
    controller.bundle()
    assert controller.calibration_problem() == "Start to listen to a microphone first."
    controller.configure(EngineChoices(profile="P07"))
    assert "The profile of P07 is in use" in controller.calibration_problem()
    controller.configure(EngineChoices())
    assert controller.calibration_problem() == "Start to listen to a microphone first."
    controller.close()
    assert load_models(folder, "none").profile is None
