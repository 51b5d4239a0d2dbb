"""The replay window on a session that the real engine recorded."""

from __future__ import annotations

import dataclasses
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
from gui.painted import painted_texts
from session_parts import Record, Recorded, prolong

from realtime_ser.assembly import Models, load_models
from realtime_ser.errors import DeviceError
from realtime_ser.gui.panels.panel import Look
from realtime_ser.gui.panels.timeline import place_flags
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document, following, preceding
from realtime_ser.gui.replay.opening import OpeningWindow
from realtime_ser.gui.replay.picture import _block, lane_rects, tick_step
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.theme import DARK, class_styles
from realtime_ser.session import edit
from realtime_ser.session.export.files import FORMATS
from realtime_ser.session.export.tables import TABLES
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
        window = ReplayWindow(Document(folder, scores), settings, (output or Output()).open)
        qtbot.addWidget(window)
        window.show()
        windows.append(window)
        qtbot.waitUntil(lambda: not window.reading_sound)
        return window

    yield make
    for window in windows:
        window.discard()  # otherwise it would ask
        window.close()
    assert set(threading.enumerate()) <= before


UNTIL_TOLD = """
import sys
from pathlib import Path
from realtime_ser.gui.application import run_window
assert not any(name.startswith(("PySide6", "pyqtgraph")) for name in sys.modules)
from realtime_ser.gui.qt import QtCore
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.window import ReplayWindow

def make(settings):
    window = ReplayWindow(Document(Path(sys.argv[1])), settings)
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
    labels = [label.text() for label in window.findChildren(QtWidgets.QLabel) if not label.isHidden()]
    lists = window.findChildren(QtWidgets.QListWidget)
    return "\n".join([*labels, *(items.item(row).text() for items in lists for row in range(items.count()))])


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
    items = field(window, QtWidgets.QListWidget, "gaps, events, markers, notes and changes")
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


def test_the_handle_stands_below_the_line_that_says_where_one_is(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    slider = field(window, QtWidgets.QSlider, "position in the session")
    for seconds in (0.0, 4.5, window.document.seconds):
        window.seek(seconds)
        option = QtWidgets.QStyleOptionSlider()
        slider.initStyleOption(option)
        style = QtWidgets.QStyle
        handle = slider.style().subControlRect(style.ComplexControl.CC_Slider, option, style.SubControl.SC_SliderHandle, slider)
        x = slider.mapTo(window, QtCore.QPoint(round(handle.x() + handle.width() / 2.0), 0)).x()
        head = window._lanes.mapTo(window, QtCore.QPoint(round(window._lanes._to_x(seconds)), 0)).x()
        assert x == pytest.approx(head, abs=2)


def test_of_words_as_many_are_written_as_there_is_room_for(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    said = next(one for one in window.document.utterances if len(one.said.split()) > 3)
    wide = window._lanes._to_x(said.end) - window._lanes._to_x(said.start)
    (written,) = [one for one in painted_texts(window._lanes) if one.text.split()[:2] == said.said.split()[:2]]
    assert written.ink.width() < wide
    whole = written.text == said.said
    assert whole or (written.text.endswith(" …") and said.said.startswith(written.text[:-2]))
    window._lanes.zoom(0.3, said.start)
    window.resize(1600, 900)
    closer = [one.text for one in painted_texts(window._lanes) if one.text.split()[:2] == said.said.split()[:2]]
    assert whole or len(closer[0]) > len(written.text)


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
    qtbot.waitUntil(lambda: not window.busy)
    with Session(folder) as session:
        row = session.utterances()[0]
        assert (row["corrected"], row["annotation"], row["words"]) == ("what was really said", "relief", chosen.words)
        assert row["label"] == chosen.label
    assert not window.dirty
    assert "relief" in texts(window)
    words.setText("something else")
    qtbot.mouseClick(button(window, "Discard"), Qt.MouseButton.LeftButton)
    assert words.text() != "something else"
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not window.busy)
    with Session(folder) as session:
        assert session.utterances()[0] == {**row, "corrected": None, "annotation": None}
        assert [change["reason"] for change in session.changes()] == ["replay window"] * 2 + ["undone, replay window"] * 2
    assert not button(window, "Undo").isEnabled()


def test_what_was_saved_is_saved_however_soon_the_window_is_closed(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    window.jump("utterance", 1)
    for _ in range(3):
        window.add_marker()
    field(window, QtWidgets.QComboBox, "what the utterance was in your opinion").setCurrentText("relief")
    window.save()
    window.close()
    with Session(folder) as session:
        assert session.utterances()[0]["annotation"] == "relief"
        assert len(session.markers()) == 2 + 3


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
    drawn = window._lanes.drawn
    window.tick()
    assert window.position == pytest.approx(1.0 + len(heard) / 16_000)
    QtWidgets.QApplication.processEvents()
    # The line moves over the picture, which is not drawn anew.
    assert window._lanes.drawn == drawn
    button(window, "■ Stop").click()
    assert not window.playing
    assert output.closed


def test_with_reduced_motion_the_line_moves_in_steps(
    folder: Path, show: Callable[..., ReplayWindow], tmp_path: Path, qtbot: Any
) -> None:
    output = Output()
    window = show(folder, output=output)
    window._ticker.stop()
    window.play()
    playback = window._playback
    assert playback is not None

    def places() -> list[float]:
        """Where the line stands in sixteen ticks, in each of which some sound is heard."""
        seen = []
        for _ in range(16):
            before = playback.position
            qtbot.waitUntil(lambda before=before: (output.pull(400), playback.position > before)[1])
            window.tick()
            seen.append(window._lanes._head)
        return seen

    assert len(set(places())) == 16
    window._settings.setValue("still", "true")
    assert len(set(places())) == 3
    # What is done there is done where the sound is, not where the line stood last; and where it is stopped, the line is right.
    assert window.position == playback.position / window.document.rate
    button(window, "■ Stop").click()
    assert window._lanes._head == window.position


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
    assert window.playing
    qtbot.waitUntil(lambda: not window.busy)
    assert not window._notice.isVisible()
    assert window.chosen is not None
    assert window.chosen.annotation == "relief"
    assert window.playing


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
    folder: Path, models: Models, show: Callable[..., ReplayWindow], tmp_path: Path, qtbot: Any
) -> None:
    from bundle_factory import write_bundle

    rescore(folder, models, name="same")
    rescore(folder, load_models(write_bundle(tmp_path / "other", seed=11), "none"), name="other")
    window = show(folder, "same")
    assert "same label or none: 100 % of 2, scores ±0.000" in texts(window)
    field(window, QtWidgets.QComboBox, "later scoring to compare with").setCurrentText("other")
    qtbot.waitUntil(lambda: not window.busy)
    window.jump("utterance", 1)
    assert window.document.comparison is not None
    assert "other:" in texts(window)
    assert "recorded:" in texts(window)
    assert window.document.later_of(window.document.utterances[0].number) is not None
    field(window, QtWidgets.QComboBox, "later scoring to compare with").setCurrentText("nothing")
    qtbot.waitUntil(lambda: not window.busy)
    assert window.document.comparison is None


def markers(folder: Path) -> list[tuple[str, str, int]]:
    with Session(folder) as session:
        return [(row["name"], row["colour"], row["sample"]) for row in session.markers()]


def test_a_marker_is_added_named_moved_coloured_and_taken_back(
    folder: Path, show: Callable[..., ReplayWindow], qtbot: Any
) -> None:
    before = markers(folder)
    window = show(folder)

    def settle() -> None:
        qtbot.waitUntil(lambda: not window.busy)

    slider = field(window, QtWidgets.QSlider, "position in the session")
    name = field(window, QtWidgets.QLineEdit, "name of the marker")
    window.seek(4.0)
    qtbot.keyClick(slider, Qt.Key.Key_M)
    settle()
    assert ("marker", "#e69f00", 64_000) in markers(folder)
    # Its name can be written at once, and what is written is no command.
    assert name.hasFocus()
    qtbot.keyClicks(name, "m 0 late")
    qtbot.keyClick(name, Qt.Key.Key_Return)
    settle()
    assert ("m 0 late", "#e69f00", 64_000) in markers(folder)
    assert slider.hasFocus()
    window.seek(4.5)
    qtbot.keyClick(window, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    settle()
    colour = field(window, QtWidgets.QComboBox, "colour of the marker")
    colour.setCurrentIndex(colour.findText("green"))
    colour.activated.emit(colour.currentIndex())
    settle()
    assert ("m 0 late", "#009e73", 72_000) in markers(folder)
    time = field(window, QtWidgets.QDoubleSpinBox, "time of the marker in seconds")
    assert time.value() == pytest.approx(4.5)
    time.setValue(4.25)
    time.editingFinished.emit()
    settle()
    assert ("m 0 late", "#009e73", 68_000) in markers(folder)
    qtbot.mouseClick(button(window, "Delete"), Qt.MouseButton.LeftButton)
    settle()
    assert markers(folder) == before
    for expected in (
        ("m 0 late", "#009e73", 68_000),
        ("m 0 late", "#009e73", 72_000),
        ("m 0 late", "#e69f00", 72_000),
        ("m 0 late", "#e69f00", 64_000),
        ("marker", "#e69f00", 64_000),
    ):
        qtbot.mouseClick(button(window, "Undo"), Qt.MouseButton.LeftButton)
        settle()
        assert expected in markers(folder)
    qtbot.mouseClick(button(window, "Undo"), Qt.MouseButton.LeftButton)
    settle()
    assert markers(folder) == before
    with Session(folder) as session:
        assert all("replay window" in change["reason"] for change in session.changes())
        assert len(session.changes()) == 5 + 6
    assert "change: marker" in texts(window)


def test_without_a_marker_chosen_there_is_no_time(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    edit.add_marker(folder, 0, "at the very beginning")
    window = show(folder)
    time = field(window, QtWidgets.QDoubleSpinBox, "time of the marker in seconds")
    assert time.text() == "–"
    window._choose_marker(next(row["id"] for row in window.document.markers if row["sample"] == 0))
    assert time.text() == "0.000 s"
    window._choose_marker(None)
    assert time.text() == "–"


def test_the_percentage_stays_as_long_as_there_is_room(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    one = dataclasses.replace(window.document.utterances[0], label="neutral", confidence=0.88, annotation=None, bleed=0.0)
    look = Look(DARK, class_styles(("neutral",), DARK))
    assert _block(one, look, 0.01).texts == ("neutral 88 %", "neutral 88", "neutral", "88")


def test_a_marker_from_the_list_is_gone_to_and_what_was_written_stays(
    folder: Path, show: Callable[..., ReplayWindow], qtbot: Any
) -> None:
    window = show(folder)
    window.jump("utterance", 1)
    field(window, QtWidgets.QComboBox, "what the utterance was in your opinion").setCurrentText("relief")
    items = field(window, QtWidgets.QListWidget, "markers")
    assert [items.item(row).text() for row in range(items.count())] == ["0:03.0  stimulus", "0:06.0  response"]
    items.setCurrentRow(1)
    assert window.position == pytest.approx(6.0)
    name = field(window, QtWidgets.QLineEdit, "name of the marker")
    name.setText("answer")
    name.editingFinished.emit()
    qtbot.waitUntil(lambda: not window.busy)
    assert [row[0] for row in markers(folder)] == ["stimulus", "answer"]
    assert window.dirty
    items.setFocus()
    qtbot.keyClick(items, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: not window.busy)
    assert [row[0] for row in markers(folder)] == ["stimulus"]
    # A name that is emptied is none.
    items.setCurrentRow(0)
    name.setText(" ")
    name.editingFinished.emit()
    assert name.text() == "stimulus"


def test_it_is_scored_again_and_compared_or_cancelled(
    folder: Path, show: Callable[..., ReplayWindow], tmp_path: Path, qtbot: Any
) -> None:
    from bundle_factory import write_bundle

    bundle = write_bundle(tmp_path / "other", seed=11)
    window = show(folder)
    files = set(folder.iterdir())
    qtbot.mouseClick(button(window, "Score again…"), Qt.MouseButton.LeftButton)
    dialog = window.rescore_dialog
    assert dialog is not None
    dialog.bundle.setCurrentText(str(tmp_path))
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    assert "cannot be read" in dialog.told
    dialog.bundle.setCurrentText(str(bundle))
    dialog.begin.click()
    assert not dialog.begin.isEnabled()
    dialog.reject()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    assert dialog.isVisible()
    assert dialog.told == "Cancelled. The session is as it was."
    assert set(folder.iterdir()) == files
    said: set[str] = set()

    def scored() -> bool:
        said.add(dialog.job.text)
        return window.document.scores is not None

    dialog.begin.click()
    qtbot.waitUntil(scored, timeout=60_000)
    assert any(" scored" in text for text in said)
    assert not dialog.isVisible()
    assert window.document.scores == "random-0"
    assert window.document.comparison is not None
    assert field(window, QtWidgets.QComboBox, "later scoring to compare with").currentText() == "random-0"
    window.show_rescore()
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=60_000)
    assert "There is a scoring 'random-0'" in dialog.told


def test_it_is_exported_from_the_window(folder: Path, show: Callable[..., ReplayWindow], tmp_path: Path, qtbot: Any) -> None:
    window = show(folder)
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    dialog = window.export_dialog
    assert dialog is not None
    assert set(dialog.formats) == set(FORMATS)
    for name, box in dialog.formats.items():
        box.setChecked(name in ("csv", "elan"))
    dialog.place.setText(str(tmp_path / "out"))
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    assert dialog.told.startswith(f"Wrote {len(TABLES) + 1} files into")
    written = {path.name for path in (tmp_path / "out" / folder.name).iterdir()}
    assert written == {*(f"{name}.csv" for name in TABLES), "session.eaf"}
    dialog.place.setText(str(folder / "session.json"))
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    assert "cannot be written" in dialog.told
    for box in dialog.formats.values():
        box.setChecked(False)
    assert not dialog.begin.isEnabled()


def test_the_sound_is_drawn_with_what_was_redacted(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    edit.redact(folder, 16_000, 24_000)
    window = show(folder)
    assert window.document.redactions == [(1.0, 1.5)]
    content = window._lanes._content
    assert content is not None
    assert content.peaks is not None
    low, high = content.peaks.columns(0, window.document.samples, 100)
    with Session(folder) as session:
        for first, samples in session.audio():
            column = int(100 * first / session.samples)
            assert low[column] <= samples[:100].max() + 1e-3
            assert high[column] >= samples[:100].min() - 1e-3
    assert "sound" in lane_rects(window.document, window._lanes.size())


def test_wheel_drag_and_click_on_the_timeline(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    lanes = window._lanes
    whole = lanes.visible_range
    centre = QtCore.QPointF(lanes.width() / 2.0, lanes.height() / 2.0)
    at = lanes._to_seconds(centre.x())

    def turn(x: int, y: int) -> None:
        event = QtGui.QWheelEvent(
            centre, lanes.mapToGlobal(centre), QtCore.QPoint(), QtCore.QPoint(x, y), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QtWidgets.QApplication.sendEvent(lanes, event)

    turn(0, 240)
    first, end = lanes.visible_range
    assert end - first == pytest.approx(0.64 * (whole[1] - whole[0]))
    # What lay under the mouse lies there still.
    assert lanes._to_seconds(centre.x()) == pytest.approx(at)
    turn(-120, 0)
    assert lanes.visible_range[0] == pytest.approx(first + 0.1 * (end - first))
    first, end = lanes.visible_range
    start, target = centre.toPoint(), centre.toPoint() + QtCore.QPoint(50, 0)
    qtbot.mousePress(lanes, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(lanes, start + QtCore.QPoint(25, 0))
    qtbot.mouseMove(lanes, target)
    qtbot.mouseRelease(lanes, Qt.MouseButton.LeftButton, pos=target)
    assert lanes.visible_range[0] < first
    assert window.position == 0.0
    qtbot.mouseClick(lanes, Qt.MouseButton.LeftButton, pos=start)
    assert window.position == pytest.approx(lanes._to_seconds(start.x()))
    moved = lanes.visible_range
    qtbot.keyClick(window, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert lanes.visible_range[0] > moved[0]
    lanes.show_all()
    assert "no. " in lanes.text_at(QtCore.QPoint(round(lanes._to_x(window.document.utterances[0].start + 0.2)), 50))


def test_three_hours_are_drawn_with_few_points(recorded: Recorded, show: Callable[..., ReplayWindow], tmp_path: Path) -> None:
    with Session(recorded.folder) as session:
        once, times = session.utterances(), round(3 * 3_600 / session.seconds)
    folder = shutil.copytree(recorded.folder, tmp_path / "long")
    (folder / "audio.sqlite").unlink()
    prolong(folder, times)
    window = show(folder)
    document = window.document
    assert document.seconds > 10_700
    assert len(document.utterances) == times * len(once)
    column = document.seconds / 1_000
    for trend in (document.windows, document.estimates):
        at, values = trend.line(0.0, document.seconds, column)
        assert len(at) < 3_100
        assert np.nanmin(values) >= 0.0
        assert np.nanmax(values) <= 1.0
        # Means of the whole are what they were.
        known = ~np.isnan(trend.values).any(axis=1)
        assert np.nanmean(values, axis=0) == pytest.approx(trend.values[known].mean(axis=0), abs=0.02)
    covered = document.shares.columns(0.0, document.seconds, 1_000)
    spoken = sum(row["end_sample"] - row["start_sample"] for row in once) * times / 16_000
    assert covered.sum() * column == pytest.approx(spoken, rel=1e-6)
    # Moving the view draws a picture a step, moving the line none.
    drawn = window._lanes.drawn
    window.zoom(0.1)
    QtWidgets.QApplication.processEvents()
    assert window._lanes.drawn > drawn
    drawn = window._lanes.drawn
    for seconds in range(1, 40):
        window._lanes.set_head(float(seconds))
        QtWidgets.QApplication.processEvents()
    # A busy machine may lay the window out late, which is another size, and one more picture.
    assert window._lanes.drawn <= drawn + 1


def test_lines_break_between_stretches(folder: Path) -> None:
    document = Document(folder)
    assert np.isnan(document.estimates.values).any(axis=1).sum() == len(document.utterances) - 1
    assert np.all(np.diff(document.windows.times) >= 0)


def test_jumps_and_rows_of_names() -> None:
    times = [1.0, 2.0, 4.0]
    assert [following(times, at) for at in (0.0, 1.0, 3.0, 4.0)] == [1.0, 2.0, 4.0, None]
    assert [preceding(times, at) for at in (1.0, 1.5, 4.0, 9.0)] == [None, 1.0, 2.0, 4.0]
    assert place_flags([(0.0, 2.0), (1.0, 1.0), (1.5, 1.0), (2.0, 1.0)], 2) == [0, 1, None, 0]
    assert [tick_step(seconds / 1_000) for seconds in (0.5, 60.0, 600.0, 10_800.0)] == [0.05, 10, 60, 1800]


def press(window: ReplayWindow, text: str) -> None:
    assert window.question is not None
    (button,) = (one for one in window.question.buttons() if one.text().replace("&", "") == text)
    button.click()


def test_closing_asks_for_what_is_not_saved(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    window.jump("utterance", 1)
    window._utterance.said.setText("what was really said")
    qtbot.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert window.isVisible()
    press(window, "Cancel")
    assert window.isVisible()
    assert window.dirty
    window.close()
    press(window, "Save")
    qtbot.waitUntil(lambda: not window.isVisible())
    with Session(folder) as session:
        assert session.utterances()[0]["corrected"] == "what was really said"


def test_what_shall_be_lost_is_lost(folder: Path, show: Callable[..., ReplayWindow]) -> None:
    window = show(folder)
    window.jump("marker", 1)
    window._markers.name.setText("half a na")
    assert window.unsaved
    window.close()
    assert "the marker" in window.question.informativeText()
    press(window, "Discard")
    assert not window.isVisible()
    with Session(folder) as session:
        assert [row["name"] for row in session.markers()] == ["stimulus", "response"]


def test_the_name_of_a_marker_is_saved_on_the_way_out(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    window.jump("marker", 1)
    window._markers.name.setText("another name")
    window.close()
    press(window, "Save")
    qtbot.waitUntil(lambda: not window.isVisible())
    with Session(folder) as session:
        assert [row["name"] for row in session.markers()] == ["another name", "response"]


def test_the_figure_begins_with_what_is_in_view(folder: Path, show: Callable[..., ReplayWindow], qtbot: Any) -> None:
    window = show(folder)
    window.zoom(0.5)
    window.show_report()
    dialog = window.report_dialog
    assert dialog is not None
    first, end = window._lanes.visible_range
    assert [box.value() for box in dialog._spans] == pytest.approx([first, end], abs=0.01)
    qtbot.waitUntil(lambda: not dialog.job.busy)


def test_while_a_session_is_read_that_is_shown_and_what_is_wrong_is_told(folder: Path, tmp_path: Path, qtbot: Any) -> None:
    settings = QtCore.QSettings(str(tmp_path / "replay.ini"), QtCore.QSettings.Format.IniFormat)
    before = set(threading.enumerate())
    opening = OpeningWindow(folder, None, settings)
    qtbot.addWidget(opening)
    opening.show()
    assert opening.text == f"Opening {folder.name} …"
    qtbot.waitUntil(lambda: not opening.isVisible())
    assert opening.replay is not None
    assert opening.replay.isVisible()
    assert opening.replay.document.folder == folder
    opening.replay.close()
    shutil.rmtree(folder)
    opening = OpeningWindow(folder, None, settings)
    qtbot.addWidget(opening)
    opening.show()
    qtbot.waitUntil(lambda: opening.cancel.text() == "Close")
    assert "cannot be read" in opening.text
    opening.cancel.click()
    assert not opening.isVisible()
    assert set(threading.enumerate()) <= before
