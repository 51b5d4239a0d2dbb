"""Recording from the dashboard: what is asked, what shows meanwhile, and what lies in the session afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gui.conftest import Driver

from realtime_ser.controller import Controller, InputEntry
from realtime_ser.gui.panels.messages import NoticeBar
from realtime_ser.gui.panels.recording import MOST_MARKERS, RecordingBar, marker_keys
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.session import edit
from realtime_ser.session.notice import USE_NOTICE
from realtime_ser.session.reader import Session
from realtime_ser.session.request import SessionRequest
from realtime_ser.types import Severity

Drive = Callable[..., Driver]


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sessions"
    monkeypatch.setenv("REALTIME_SER_SESSIONS", str(folder))
    return folder


def activate(driver: Driver) -> None:
    """Keys go to the active window, which a dialog was before."""
    driver.window.activateWindow()
    driver.qtbot.waitUntil(driver.window.isActiveWindow)


def asked(driver: Driver) -> SessionDialog:
    """The dialog that Ctrl+R opens."""
    activate(driver)
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    return driver.window.findChild(SessionDialog)


def bar(driver: Driver) -> RecordingBar:
    return driver.window.findChild(RecordingBar)


@pytest.fixture
def loaded(drive: Drive) -> Driver:
    driver = drive()
    driver.settle()
    return driver


@pytest.fixture
def recorded(loaded: Driver) -> Driver:
    """A window that records the scripted microphone, with two markers and sound."""
    dialog = asked(loaded)
    dialog.participant.setText("P07")
    dialog.condition.setText("baseline")
    dialog.marker_names.setText("stimulus, response")
    dialog.keep_audio.setChecked(True)
    dialog.agreed.setChecked(True)
    loaded.qtbot.mouseClick(dialog.begin, Qt.MouseButton.LeftButton)
    loaded.play(1.0)
    return loaded


def test_words_and_sound_need_consent_to_exactly_them(loaded: Driver) -> None:
    dialog = asked(loaded)
    assert dialog.begin.isEnabled()
    assert not dialog.agreed.isVisible()
    assert dialog.request().kept.consent is None
    dialog.keep_words.setChecked(True)
    assert not dialog.begin.isEnabled()
    assert "words which I say" in dialog.consent.toPlainText()
    dialog.agreed.setChecked(True)
    assert dialog.begin.isEnabled()
    # Who agreed to words has not agreed to sound.
    dialog.keep_audio.setChecked(True)
    assert not dialog.begin.isEnabled()
    assert "sound of my voice" in dialog.consent.toPlainText()
    dialog.agreed.setChecked(True)
    kept = dialog.request().kept
    assert (kept.words, kept.audio) == (True, True)
    assert kept.consent.text == dialog.consent.toPlainText()
    assert kept.consent.how == "confirmed in the dashboard"


def test_a_consent_text_of_ones_own_is_what_is_stored(loaded: Driver) -> None:
    dialog = asked(loaded)
    dialog.keep_audio.setChecked(True)
    dialog.consent.setPlainText("Ich stimme zu.")
    dialog.keep_words.setChecked(True)
    dialog.agreed.setChecked(True)
    assert dialog.request().kept.consent.text == "Ich stimme zu."
    dialog.consent.setPlainText("  ")
    assert not dialog.begin.isEnabled()


def test_the_dialog_says_what_the_tool_cannot_tell(loaded: Driver) -> None:
    texts = " ".join(label.text() for label in asked(loaded).findChildren(QtWidgets.QLabel))
    for sentence in USE_NOTICE:
        assert sentence in texts


def test_what_is_the_same_next_time_is_remembered_and_consent_is_not(recorded: Driver) -> None:
    recorded.window.stop()
    recorded.tick()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    dialog = asked(recorded)
    assert (dialog.condition.text(), dialog.marker_names.text()) == ("baseline", "stimulus, response")
    assert dialog.participant.text() == ""
    assert not dialog.keep_audio.isChecked()


def test_a_cancelled_dialog_starts_nothing(loaded: Driver) -> None:
    asked(loaded).reject()
    loaded.tick()
    assert loaded.controller.started == []
    assert not bar(loaded).isVisible()


def test_a_sign_shows_what_is_kept(recorded: Driver) -> None:
    strip = bar(recorded)
    assert strip.isVisible()
    assert strip.accessibleName() == "recording, scores and SOUND kept"
    texts = [label.text() for label in strip.findChildren(QtWidgets.QLabel)]
    assert "● REC" in texts
    assert "P07 · baseline" in texts


def test_keys_and_buttons_mark(recorded: Driver) -> None:
    activate(recorded)
    recorded.qtbot.keyClick(recorded.window, Qt.Key.Key_2)
    first = bar(recorded).findChildren(QtWidgets.QToolButton)[0]
    recorded.qtbot.mouseClick(first, Qt.MouseButton.LeftButton)
    recorded.qtbot.keyClick(recorded.window, Qt.Key.Key_9)  # stands for nothing
    recorded.tick()
    assert [marker.name for marker in recorded.window.model.markers] == ["response", "stimulus"]
    assert "2 markers" in " ".join(label.text() for label in bar(recorded).findChildren(QtWidgets.QLabel))


def test_markers_are_drawn_and_leave_with_the_time_shown(recorded: Driver) -> None:
    timeline = recorded.window.findChild(TimelinePanel)
    recorded.window.mark("1")
    recorded.play(0.2)
    assert [mark.texts for mark in timeline._flags._marks] == [("stimulus",)]
    recorded.play(61.0)
    assert not recorded.window.model.markers
    assert not timeline._flags._marks


def test_digits_in_a_note_are_no_markers(recorded: Driver) -> None:
    activate(recorded)
    recorded.qtbot.keyClick(recorded.window, Qt.Key.Key_N)
    field = bar(recorded).findChild(QtWidgets.QLineEdit)
    recorded.qtbot.waitUntil(field.hasFocus)
    recorded.qtbot.keyClicks(field, "1 cough m")
    recorded.qtbot.keyClick(field, Qt.Key.Key_Return)
    assert recorded.controller.notes == ["1 cough m"]
    assert field.text() == ""
    assert not recorded.window.model.markers


def test_without_a_recording_digits_do_nothing(loaded: Driver) -> None:
    loaded.window.start()
    loaded.qtbot.keyClick(loaded.window, Qt.Key.Key_1)
    assert not loaded.window.model.markers


def test_a_full_disk_is_told_once_and_listening_goes_on(recorded: Driver) -> None:
    recorded.controller.fill_the_disk()
    recorded.play(1.0)
    notice = recorded.window.findChild(NoticeBar).notice
    assert "the disk is full" in notice.problem
    assert "Make room" in notice.remedy
    assert notice.action == "Record again"
    assert not bar(recorded).isVisible()
    assert recorded.controller.state().phase == "running"
    told = [entry for entry in recorded.window.model.events.entries if "disk is full" in entry.message]
    assert [(entry.severity, entry.times) for entry in told] == [(Severity.ERROR, 1)]


def test_the_end_says_where_the_session_is(recorded: Driver) -> None:
    recorded.window.stop()
    recorded.tick()
    notice = recorded.window.findChild(NoticeBar).notice
    assert notice.problem == f"Recorded 0:01 in {Path('sessions') / 'session'}"
    assert notice.action == "Open folder"
    assert not bar(recorded).isVisible()
    recorded.window.start()
    recorded.tick()
    assert recorded.window.findChild(NoticeBar).notice is None
    recorded.window.stop()
    recorded.tick()
    assert recorded.window.findChild(NoticeBar).notice is None, "what was said of an earlier recording is not said again"
    told = [entry for entry in recorded.window.model.events.entries if entry.kind == "recorded"]
    assert [entry.times for entry in told] == [1]


def test_marker_names() -> None:
    assert [(one.key, one.name) for one in marker_keys(" a,b ,, c")] == [("1", "a"), ("2", "b"), ("3", "c")]
    assert [one.name for one in marker_keys("")] == ["marker"]
    assert len(marker_keys(",".join("abcdefghijklm"))) == MOST_MARKERS


def test_a_real_session_through_the_window(
    qtbot: Any, settings: QtCore.QSettings, random_bundle: Path, sessions: Path, tmp_path: Path, demonstration: np.ndarray
) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, demonstration[:64_000], 16_000)
    window = DashboardWindow(lambda: Controller(str(random_bundle), "none"), settings, recording=clip)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and not window.worker_busy, timeout=30_000)
    assert window._transport.select("file", str(clip))
    window.record()
    dialog = window.findChild(SessionDialog)
    dialog.participant.setText("P01")
    dialog.note.setText("a file")
    dialog.keep_audio.setChecked(True)
    dialog.agreed.setChecked(True)
    dialog.accept()
    qtbot.waitUntil(lambda: window.recording and window.model.position > 0, timeout=30_000)
    window.mark("1")
    window._keep_note("here")
    # Another program marks, too.
    (running,) = sessions.iterdir()
    edit.add_marker(running, 16_000, "from outside", source="elsewhere")
    qtbot.waitUntil(lambda: "from outside" in [marker.name for marker in window.model.markers], timeout=30_000)
    qtbot.waitUntil(lambda: window.findChild(NoticeBar).notice is not None, timeout=30_000)
    assert "Recorded 0:04" in window.findChild(NoticeBar).notice.problem
    window.close()

    (folder,) = sessions.iterdir()
    session = Session(folder)
    assert (session.header.participant, session.header.kept.audio) == ("P01", True)
    assert session.header.kept.consent.how == "confirmed in the dashboard"
    assert {marker["name"] for marker in session.markers()} == {"marker", "from outside"}
    assert [note["text"] for note in session.notes()] == ["a file", "here"]
    assert session.seconds == pytest.approx(4.0, abs=0.01)
    sound = np.concatenate([samples for _, samples in session.audio()])
    np.testing.assert_allclose(sound, demonstration[:64_000], atol=1e-4)
    session.close()


def test_a_session_whose_folder_cannot_be_written_is_answered_in_words(
    qtbot: Any, settings: QtCore.QSettings, random_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings.setValue("sessions", str(tmp_path / "file" / "below"))
    window = DashboardWindow(lambda: Controller(str(random_bundle), "none"), settings, choose=("demo", ""))
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and not window.worker_busy, timeout=30_000)
    window.record()
    window.findChild(SessionDialog).accept()

    def problem() -> str:
        notice = window.findChild(NoticeBar).notice
        return notice.problem if notice is not None else ""

    qtbot.waitUntil(lambda: "The session" in problem(), timeout=30_000)
    notice = window.findChild(NoticeBar).notice
    assert "cannot be written" in notice.problem
    assert "another folder" in notice.remedy
    window.close()


def test_a_recording_of_nothing_leaves_nothing(random_bundle: Path, sessions: Path) -> None:
    controller = Controller(str(random_bundle), "none")
    controller.bundle()
    controller.start(InputEntry("file", "no such file.wav", "nothing"), SessionRequest())
    assert controller._thread is not None
    controller._thread.join(20)
    assert controller.state().phase == "failed"
    assert controller.recording() is None
    assert list(sessions.iterdir()) == []
    controller.close()


def test_the_strip_fits_the_smallest_window(recorded: Driver) -> None:
    recorded.window.resize(960, 640)
    recorded.tick()
    assert recorded.window.width() == 960
