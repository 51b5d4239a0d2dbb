"""The replay window on a session that the real engine recorded."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_parts import Record, Recorded

from realtime_ser.assembly import Models, load_models
from realtime_ser.errors import DeviceError
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.replay.document import Document, following, preceding
from realtime_ser.gui.replay.lanes import place_flags
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.session import edit
from realtime_ser.session.reader import Session
from realtime_ser.session.rescore import rescore


class Output:
    """A sound card of 16 kHz that the test pulls."""

    latency = 0.0
    active = True

    def __init__(self) -> None:
        self.callback: Callable[..., None] | None = None
        self.closed = False

    def open(self, rate: int, callback: Callable[..., None]) -> tuple[Any, int]:
        self.callback, self.closed = callback, False
        return self, rate

    def start(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def pull(self, count: int) -> np.ndarray:
        assert self.callback is not None
        frames = np.zeros((count, 1), np.float32)
        self.callback(frames, count, None, None)
        return frames[:, 0]


@pytest.fixture
def folder(recorded: Recorded, tmp_path: Path) -> Path:
    """With two markers, a gap and an event beside its two utterances."""
    folder = shutil.copytree(recorded.folder, tmp_path / "session")
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("INSERT INTO gaps VALUES (80000, 84000)")
        database.execute("INSERT INTO events VALUES (NULL, 84000, 'gap', 'warning', 'Sound was lost.')")
    database.close()
    edit.add_marker(folder, 96_000, "response", colour="no colour at all")
    return folder


@pytest.fixture
def show(qtbot: Any, tmp_path: Path) -> Iterator[Callable[..., ReplayWindow]]:
    before = set(threading.enumerate())
    windows: list[ReplayWindow] = []

    def make(folder: Path, scores: str | None = None, output: Output | None = None) -> ReplayWindow:
        settings = QtCore.QSettings(str(tmp_path / "replay.ini"), QtCore.QSettings.Format.IniFormat)
        window = ReplayWindow(folder, settings, scores, (output or Output()).open)
        qtbot.addWidget(window)
        window.show()
        windows.append(window)
        QtWidgets.QApplication.processEvents()
        return window

    yield make
    for window in windows:
        window.close()
    assert set(threading.enumerate()) <= before


UNTIL_TOLD = """
import sys
from pathlib import Path
from realtime_ser.gui.application import run_window
assert not any(name.startswith(("PySide6", "pyqtgraph")) for name in sys.modules)
from realtime_ser.gui.qt import QtCore
from realtime_ser.gui.replay.window import ReplayWindow

def make(settings):
    window = ReplayWindow(Path(sys.argv[1]), settings)
    def fail():
        QtCore.QTimer.singleShot(0, lambda: print(window._notice.notice.problem, flush=True))
        raise ZeroDivisionError("for a test")
    QtCore.QTimer.singleShot(0, fail)
    return window

sys.exit(run_window(make))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to send to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fault_is_shown_and_a_signal_closes_the_window(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-c", UNTIL_TOLD, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "Something went wrong in the program: ZeroDivisionError: for a test\n"
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert errors.count("Traceback") == 1


def texts(window: ReplayWindow) -> str:
    labels = [label.text() for label in window.findChildren(QtWidgets.QLabel) if label.isVisible()]
    items = window.findChild(QtWidgets.QListWidget)
    return "\n".join([*labels, *(items.item(row).text() for row in range(items.count()))])


def field(window: ReplayWindow, kind: type[Any], name: str) -> Any:
    (found,) = [widget for widget in window.findChildren(kind) if widget.accessibleName() == name]
    return found


def button(window: ReplayWindow, text: str) -> QtWidgets.QPushButton:
    (found,) = [widget for widget in window.findChildren(QtWidgets.QPushButton) if widget.text() == text]
    return found


def test_what_is_in_the_session_is_shown(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    said = texts(window)
    for text in (
        "marker: stimulus",
        "marker: response",
        "gap: not heard for 0.25 s",
        "warning: Sound was lost.",
        "note: about all",
    ):
        assert text in said
    with Session(folder) as session:
        rows = session.utterances()
    window.seek(rows[1]["start_sample"] / 16_000 + 0.5)
    assert window.chosen is not None
    assert window.chosen.number == rows[1]["utterance"]
    assert rows[1]["words"] in texts(window)
    assert "Engine:" in texts(window)


def test_jumps_go_between_utterances_and_markers_by_button_and_key(
    folder: Path, show: Callable[..., ReplayWindow], qtbot: Any
) -> None:
    window = show(folder)
    starts = [one.start for one in window.document.utterances]
    qtbot.mouseClick(button(window, "Utterance ▶"), Qt.MouseButton.LeftButton)
    assert window.position == pytest.approx(starts[0])
    qtbot.keyClick(window, Qt.Key.Key_PageDown)
    assert window.position == pytest.approx(starts[1])
    window.jump("utterance", -1)
    assert window.position == pytest.approx(starts[0])
    window.seek(0.0)
    for expected in (3.0, 6.0, 6.0):
        qtbot.mouseClick(button(window, "Marker ▶"), Qt.MouseButton.LeftButton)
        assert window.position == pytest.approx(expected)
    qtbot.mouseClick(button(window, "◀ Marker"), Qt.MouseButton.LeftButton)
    assert window.position == pytest.approx(3.0)
    items = window.findChild(QtWidgets.QListWidget)
    (gap,) = [items.item(row) for row in range(items.count()) if "gap: not heard" in items.item(row).text()]
    items.itemActivated.emit(gap)
    assert window.position == pytest.approx(5.0)


def test_scrubbing_zooming_and_clicking(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    slider = field(window, QtWidgets.QSlider, "position in the session")
    slider.setValue(450)
    assert window.position == pytest.approx(4.5)
    whole = window._lanes.visible_range
    qtbot.keyClick(slider, Qt.Key.Key_Plus)
    first, end = window._lanes.visible_range
    assert end - first == pytest.approx((whole[1] - whole[0]) / 2)
    assert first < 4.5 < end
    window.seek(0.0)
    assert window._lanes.visible_range[0] == pytest.approx(0.0)
    qtbot.keyClick(slider, Qt.Key.Key_0)
    assert window._lanes.visible_range == pytest.approx(whole)
    window._lanes.sought.emit(2.25)
    assert window.position == pytest.approx(2.25)
    window.seek(1e9)
    assert window.position == pytest.approx(window.document.seconds)


def test_words_and_labels_are_written_beside_the_original(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    window.jump("utterance", 1)
    chosen = window.chosen
    assert chosen is not None
    words = field(window, QtWidgets.QLineEdit, "what was really said")
    label = field(window, QtWidgets.QComboBox, "what the utterance was in your opinion")
    assert words.text() == chosen.words
    assert not button(window, "Save").isEnabled()
    words.setText("what was really said")
    label.setCurrentText("relief")
    # What is written stays on the screen while one listens on.
    window.jump("utterance", 1)
    assert window.chosen == chosen
    qtbot.mouseClick(button(window, "Save"), Qt.MouseButton.LeftButton)
    with Session(folder) as session:
        row = session.utterances()[0]
        assert (row["corrected"], row["annotation"], row["words"]) == ("what was really said", "relief", chosen.words)
        assert row["label"] == chosen.label
    assert not window.dirty
    assert "relief" in texts(window)
    words.setText("something else")
    qtbot.mouseClick(button(window, "Discard"), Qt.MouseButton.LeftButton)
    assert words.text() != "something else"


def test_the_sound_is_heard_and_the_window_follows(
    folder: Path, show: Callable[..., ReplayWindow], two_utterances: np.ndarray, qtbot: Any
) -> None:
    output = Output()
    window = show(folder, output=output)
    window.seek(1.0)
    button(window, "▶ Play").click()
    assert window.playing
    heard = np.empty(0, np.float32)

    def half_a_second() -> bool:
        nonlocal heard
        before = window._playback.position  # type: ignore[union-attr]
        frames = output.pull(400)
        heard = np.concatenate([heard, frames[: window._playback.position - before]])  # type: ignore[union-attr]
        return len(heard) >= 8_000

    qtbot.waitUntil(half_a_second)
    assert np.allclose(heard, two_utterances[16_000 : 16_000 + len(heard)], atol=1 / 32_768)
    window.tick()
    assert window.position == pytest.approx(1.0 + len(heard) / 16_000)
    button(window, "■ Stop").click()
    assert not window.playing
    assert output.closed


def test_a_session_that_was_not_closed_is_changed_while_it_is_heard(
    folder: Path, show: Callable[..., ReplayWindow], qtbot: Any
) -> None:
    for name in ("session.sqlite", "audio.sqlite"):
        with sqlite3.connect(folder / name) as database:
            database.execute("PRAGMA journal_mode=WAL")
        database.close()
    output = Output()
    window = show(folder, output=output)
    window.jump("utterance", 1)
    window.play()
    field(window, QtWidgets.QComboBox, "what the utterance was in your opinion").setCurrentText("relief")
    window.save()
    assert not window._notice.isVisible()
    assert window.chosen is not None
    assert window.chosen.annotation == "relief"
    qtbot.waitUntil(lambda: window.playing)


def test_without_sound_it_is_said(
    folder: Path, record: Record, show: Callable[..., ReplayWindow], tmp_path: Path, qtbot: Any
) -> None:
    window = show(record(tmp_path / "silent").folder)
    assert "No sound was kept with this session." in texts(window)
    assert not button(window, "▶ Play").isEnabled()
    assert not field(window, QtWidgets.QLineEdit, "what was really said").isEnabled()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert not window.playing

    class Refusing(Output):
        def open(self, rate: int, callback: Callable[..., None]) -> tuple[Any, int]:
            raise DeviceError("There is nothing here to play sound on.", "Connect headphones.")

    mute = show(folder, output=Refusing())
    button(mute, "▶ Play").click()
    assert "There is nothing here to play sound on." in texts(mute)
    assert not mute.playing


def test_a_later_scoring_is_opened_and_compared(
    folder: Path, models: Models, show: Callable[..., ReplayWindow], tmp_path: Path
) -> None:
    from bundle_factory import write_bundle

    rescore(folder, models, name="same")
    rescore(folder, load_models(write_bundle(tmp_path / "other", seed=11), "none"), name="other")
    window = show(folder, "same")
    assert "same label or none: 100% of 2, scores ±0.000" in texts(window)
    field(window, QtWidgets.QComboBox, "later scoring to compare with").setCurrentText("other")
    window.jump("utterance", 1)
    assert window.document.comparison is not None
    assert "other:" in texts(window)
    assert "recorded:" in texts(window)
    assert window.document.later_of(window.document.utterances[0].number) is not None
    field(window, QtWidgets.QComboBox, "later scoring to compare with").setCurrentText("nothing")
    assert window.document.comparison is None


def test_lines_break_between_stretches(folder: Path) -> None:
    document = Document(folder)
    assert np.isnan(document.estimates.values).any(axis=1).sum() == len(document.utterances) - 1
    assert np.all(np.diff(document.windows.times) >= 0)


def test_jumps_and_rows_of_names() -> None:
    times = [1.0, 2.0, 4.0]
    assert [following(times, at) for at in (0.0, 1.0, 3.0, 4.0)] == [1.0, 2.0, 4.0, None]
    assert [preceding(times, at) for at in (1.0, 1.5, 4.0, 9.0)] == [None, 1.0, 2.0, 4.0]
    assert place_flags([(0.0, 2.0), (1.0, 1.0), (1.5, 1.0), (2.0, 1.0)], 2) == [0, 1, None, 0]
