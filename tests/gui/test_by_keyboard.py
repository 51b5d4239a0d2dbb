"""The whole program as somebody without a mouse uses it: the real window over the real engine, fed through a sound card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from virtual_microphone import _initialise_portaudio_again

from realtime_ser.controller import Controller
from realtime_ser.gui.job import JobDialog
from realtime_ser.gui.panels.messages import NoticeBar
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.window import DashboardWindow

Key = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier


class Keyboard:
    """Presses keys where the focus is, and waits for what they lead to."""

    def __init__(self, qtbot: Any, window: DashboardWindow) -> None:
        self.qtbot = qtbot
        self.window = window

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Into the widget with the focus of the window in front."""
        front = QtWidgets.QApplication.activeWindow()
        assert front is not None
        self.qtbot.keyClick(front.focusWidget() or front, key, modifier)

    def until(self, what: Any, seconds: float = 45.0) -> None:
        """Return when `what` holds."""
        self.qtbot.waitUntil(what, timeout=round(1000 * seconds))

    def to_front(self, window: QtWidgets.QWidget) -> None:
        """Wait until keys go to `window`."""
        window.activateWindow()
        self.until(lambda: QtWidgets.QApplication.activeWindow() is window)

    def choose_input(self, name: str) -> None:
        """Ctrl+I opens the list; its name, and Enter."""
        (chooser,) = [box for box in self.window.findChildren(QtWidgets.QComboBox) if box.accessibleName() == "input"]
        self.until(chooser.isEnabled)  # as long as something is listened to, it is not
        self.to_front(self.window)
        self.press(Key.Key_I, CONTROL)
        entries = QtWidgets.QApplication.focusWidget()
        assert isinstance(entries, QtWidgets.QListView)
        self.qtbot.keyClicks(entries, name)
        assert entries.currentIndex().data() == name
        self.qtbot.keyClick(entries, Key.Key_Return)
        # Without a window manager nobody gives the keys back when a list is closed.
        self.to_front(self.window)
        self.window.setFocus()

    @property
    def notice(self) -> str:
        """What stands across the window."""
        told = self.window.findChild(NoticeBar).notice
        return "" if told is None else told.problem


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sessions"
    monkeypatch.setenv("REALTIME_SER_SESSIONS", str(folder))
    return folder


@pytest.fixture
def both(virtual_microphone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ExitStack]]:
    """A sink that plays into the microphones "left" and "right"; closing the stack leaves "left" alone."""
    with monkeypatch.context() as patched, ExitStack() as stack:
        sink, environment = stack.enter_context(virtual_microphone.two_devices(tmp_path))
        patched.setenv("ALSA_CONFIG_PATH", environment["ALSA_CONFIG_PATH"])
        _initialise_portaudio_again()
        yield sink, stack
    _initialise_portaudio_again()


@pytest.mark.usefixtures("no_thread_left", "sessions")
def test_a_demonstration_and_a_recording_without_a_mouse(
    qtbot: Any,
    settings: QtCore.QSettings,
    virtual_microphone: Any,
    both: tuple[str, ExitStack],
    tmp_path: Path,
    demonstration: np.ndarray,
) -> None:
    sink, microphones = both
    clip = tmp_path / "speech.wav"
    soundfile.write(clip, demonstration[: 6 * 16_000], 16_000)
    window = DashboardWindow(lambda: Controller("default-bundle", "none"), settings)
    qtbot.addWidget(window)
    window.show()
    keyboard = Keyboard(qtbot, window)
    keyboard.until(lambda: window.ready and not window.worker_busy)

    # One microphone, and what is said into it.
    keyboard.choose_input("right")
    keyboard.press(Key.Key_Space)
    keyboard.until(lambda: window.model.position > 0)
    player = virtual_microphone.start_playing(clip, sink)
    keyboard.until(lambda: window.model.last_verdict is not None)
    keyboard.until(lambda: player.poll() == 0)

    # Another look does not disturb it.
    look, position = window.theme, window.model.position
    keyboard.press(Key.Key_T, CONTROL)
    assert window.theme != look
    keyboard.until(lambda: window.model.position > position)

    # The filters, worked by keys.
    keyboard.press(Key.Key_B, CONTROL)
    keyboard.until(lambda: window.explorer is not None and window.explorer.isVisible())
    keyboard.to_front(window.explorer)
    keyboard.press(Key.Key_2, Qt.KeyboardModifier.AltModifier)
    keyboard.press(Key.Key_Escape)
    keyboard.to_front(window)

    # The other microphone, recorded, with a mark and a note.
    window.setFocus()
    keyboard.press(Key.Key_Space)
    keyboard.until(lambda: not window.worker_busy and window._controller.state().phase == "stopped")
    keyboard.choose_input("left")
    keyboard.press(Key.Key_R, CONTROL)
    dialog = window.findChild(SessionDialog)
    keyboard.to_front(dialog)
    qtbot.keyClicks(QtWidgets.QApplication.focusWidget(), "P01")
    keyboard.press(Key.Key_Return)
    keyboard.until(lambda: window.recording and window.model.position > 0)
    keyboard.to_front(window)
    player = virtual_microphone.start_playing(clip, sink)
    keyboard.until(lambda: window.model.estimate is not None)
    keyboard.press(Key.Key_1)
    keyboard.press(Key.Key_N)
    qtbot.keyClicks(QtWidgets.QApplication.focusWidget(), "by hand")
    keyboard.press(Key.Key_Return)
    keyboard.until(lambda: window.model.last_verdict is not None and player.poll() == 0)

    # It is pulled out and plugged in again; the recording goes on. (Where there is another, PulseAudio would move to that.)
    microphones.close()
    virtual_microphone.unplug()
    keyboard.until(lambda: "went away" in keyboard.notice)
    virtual_microphone.replug()
    keyboard.until(lambda: "went away" not in keyboard.notice)
    back_at = window.model.position
    keyboard.until(lambda: window.model.position > back_at)
    assert window.recording
    window.setFocus()
    keyboard.press(Key.Key_Space)
    keyboard.until(lambda: "Recorded" in keyboard.notice)

    # It is opened.
    keyboard.press(Key.Key_F4)
    keyboard.until(lambda: window.sessions is not None and len(window.sessions.shown) == 1)
    keyboard.to_front(window.sessions)
    keyboard.press(Key.Key_Return)
    keyboard.until(lambda: bool(window.sessions.replays))
    (replay,) = window.sessions.replays.values()
    assert isinstance(replay, ReplayWindow)
    assert [marker["name"] for marker in replay.document.markers] == ["marker"]
    assert [one.text for one in replay.document.happenings if one.kind == "note"] == ["by hand"]
    assert len(replay.document.gaps) == 1
    keyboard.until(lambda: QtWidgets.QApplication.activeWindow() is replay)  # it is shown after it is built, and in front
    keyboard.to_front(window)
    keyboard.press(Key.Key_Q, CONTROL)
    keyboard.until(lambda: not window.isVisible())
    assert not replay.isVisible()


def test_enter_presses_what_begins(qtbot: Any) -> None:
    parent = QtWidgets.QWidget()
    qtbot.addWidget(parent)
    dialog = JobDialog(parent, "Export", "Go", "progress", "cancelled")
    field = QtWidgets.QLineEdit()
    dialog.rows.addWidget(field)
    dialog.rows.addWidget(QtWidgets.QPushButton("Choose…"))
    pressed: list[bool] = []
    dialog.begin.clicked.connect(lambda: pressed.append(True))
    dialog.show()
    qtbot.keyClick(field, Key.Key_Return)
    assert len(pressed) == 1
    assert dialog.isVisible()
