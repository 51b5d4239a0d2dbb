"""Every screen in every state, in its smallest size and both themes, up to 300 %: no text is cut off, covered or faint, and
everything that can be used has a name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gui.conftest import Driver
from gui.legibility import findings, nameless
from gui.painted import painted_texts, paints_text
from gui.scenes import GROUPS
from gui.scripted_controller import Choice, ScriptedController

from realtime_ser.gui.panels.level import LevelPanel
from realtime_ser.gui.panels.panel import ElidedBox, ElidedLabel, FittedDialog, make_label, numeric_font
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.panels.transcript import TranscriptList
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import DARK, style_sheet

Drive = Callable[..., Driver]
SCRIPT = Path(__file__).with_name("legibility.py")


# The scenes of recorded sessions cost a recording each time, and sizes are in the same pixels at either factor: once for them.
SCALED = [(group, factor) for group in GROUPS for factor in (1, 2) if (group, factor) != ("sessions", 1)]
SCALED += [(group, 3) for group in ("dialogs", "listening", "recording", "presentation")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("group", "factor"), SCALED)
def test_all_text_can_be_read(group: str, factor: int) -> None:
    # A process of its own: Qt reads the factor when it starts.
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": str(factor)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), group],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def label(text: str, parent: QtWidgets.QWidget, *place: int) -> QtWidgets.QLabel:
    made = make_label(text)
    made.setParent(parent)
    made.setGeometry(*place)
    return made


@pytest.fixture
def page(qtbot: Any) -> QtWidgets.QWidget:
    window = QtWidgets.QDialog()
    qtbot.addWidget(window)
    window.setStyleSheet(style_sheet(DARK))
    window.resize(300, 200)
    return window


def test_what_is_wrong_is_found(page: QtWidgets.QWidget) -> None:
    label("in full, and nothing wrong", page, 10, 150, 250, 30)
    page.show()
    assert list(findings(page)) == []
    label("cut off at its end", page, 10, 10, 40, 30)
    label("over the side", page, 250, 50, 120, 30)
    label("one", page, 10, 90, 60, 30)
    label("another", page, 40, 95, 80, 30)
    label("faint", page, 10, 120, 80, 20).setStyleSheet("color: #333333;")
    page.show()
    for widget in page.findChildren(QtWidgets.QLabel):
        widget.show()
    told = "\n".join(findings(page))
    for expected in (
        "'cut off at its end' needs",
        "'over the side' hangs over the side",
        "'one' and 'another' lie",
        "'faint' is too",
    ):
        assert expected in told, told


class Painting(QtWidgets.QWidget):
    """Paints text, well or badly."""

    bad = False

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setGeometry(0, 0, 200, 100)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtGui.QColor(DARK.panel))
        painter.setFont(numeric_font(12))
        painter.setPen(QtGui.QColor(DARK.text))
        painter.drawText(QtCore.QPointF(10.0, 20.0), "in full")
        if not self.bad:
            return
        painter.drawText(QtCore.QPointF(30.0, 25.0), "over it")
        painter.drawText(QtCore.QPointF(180.0, 60.0), "beyond the edge")
        painter.save()
        painter.setClipRect(QtCore.QRectF(0.0, 70.0, 40.0, 30.0))
        painter.drawText(QtCore.QPointF(10.0, 85.0), "behind a clip")
        painter.restore()
        painter.setOpacity(0.4)
        painter.drawText(QtCore.QPointF(100.0, 20.0), "faint")
        painter.setOpacity(1.0)
        painter.scale(0.5, 0.5)
        painter.drawText(QtCore.QPointF(20.0, 90.0), "tiny")


def test_what_is_wrong_with_painted_text_is_found(page: QtWidgets.QWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Painting, "__module__", "realtime_ser.gui.painting")  # what is looked at is the program's own
    painting = Painting(page)
    page.show()
    assert list(findings(page)) == []
    painting.bad = True
    painting.update()
    told = "\n".join(findings(page))
    for expected in (
        "paints 'in full' and 'over it' over each other",
        "paints 'beyond the edge', of which",
        "paints 'behind a clip', of which",
        "paints 'faint', which is too faint",
        "paints 'tiny' in letters of 6 px",
    ):
        assert expected in told, told


def test_text_in_scenes_and_in_kept_pictures_is_looked_at(running: Driver) -> None:
    seen: dict[str, set[str]] = {}
    for widget in running.window.findChildren(QtWidgets.QWidget):
        if widget.isVisible() and paints_text(widget):
            seen.setdefault(type(widget).__name__, set()).update(one.text for one in painted_texts(widget))
    assert {"verdicts", "100 %", "voice", "1 kHz"} <= set().union(*seen.values())  # axes of plots
    assert {"−60", "0", "CLIP"} <= seen["_Meter"]


def test_what_has_no_name_is_found(page: QtWidgets.QWidget) -> None:
    rows = QtWidgets.QFormLayout(page)
    rows.addRow("a name beside it", QtWidgets.QLineEdit())
    page.show()
    assert list(nameless(page)) == []
    for kind in (QtWidgets.QLineEdit, QtWidgets.QPushButton, QtWidgets.QSlider, QtWidgets.QListWidget, QtWidgets.QTextEdit):
        rows.addRow(kind())
    page.show()
    QtWidgets.QApplication.processEvents()
    assert [told.split()[0] for told in nameless(page)] == ["QLineEdit", "QPushButton", "QSlider", "QListWidget", "QTextEdit"]


def test_where_there_is_no_room_a_line_has_a_shorter_text_or_an_end(page: QtWidgets.QWidget) -> None:
    line = ElidedLabel()
    line.setParent(page)
    page.show()
    line.show()
    said = "so many words that there is no room for them"
    for room, shorter, expected in (
        (said, "short", said),
        ("so many words…", "short", "short"),
        ("so many words…", "", "so many words…"),
        ("so…", "", ""),
    ):
        line.show_text(said, shorter)
        line.setGeometry(0, 0, line.fontMetrics().horizontalAdvance(room) + 1, 20)
        assert "".join(one.text for one in painted_texts(line)) == expected


def test_buttons_of_dialogs_have_no_pictures_of_another_style(page: QtWidgets.QWidget) -> None:
    buttons = QtWidgets.QDialogButtonBox(QtWidgets.QDialogButtonBox.StandardButton.Close)
    QtWidgets.QVBoxLayout(page).addWidget(buttons)
    page.show()
    assert all(button.icon().isNull() for button in buttons.buttons())


def test_a_dialog_is_never_lower_than_its_texts_need(qtbot: Any) -> None:
    dialog = FittedDialog()
    qtbot.addWidget(dialog)
    said = make_label("few words")
    said.setWordWrap(True)
    QtWidgets.QVBoxLayout(dialog).addWidget(said)
    dialog.resize(200, 40)
    dialog.show()
    before = dialog.height()
    said.setText("many words, " * 40)
    qtbot.waitUntil(lambda: dialog.height() > 4 * before)
    dialog.resize(dialog.width(), 10)
    QtWidgets.QApplication.processEvents()
    assert said.height() >= said.heightForWidth(said.width())
    high = dialog.minimumHeight()
    dialog.resize(600, 10)
    QtWidgets.QApplication.processEvents()
    assert dialog.minimumHeight() < high / 2


def test_one_person_has_the_whole_list_and_the_timeline_the_rest(drive: Drive) -> None:
    driver = drive(ScriptedController([Choice("microphone", "1", "A microphone whose name has no room in so small a window")]))
    driver.window.resize(1024, 700)
    driver.settle()
    driver.window.start()
    driver.play(9.0)
    listed = driver.window.findChild(TranscriptList)
    assert listed.width() > 0.9 * driver.window._log.width()
    meter, timeline = driver.window.findChild(LevelPanel), driver.window.findChild(TimelinePanel)
    gap = (
        timeline.mapTo(driver.window, QtCore.QPoint(0, 0)).x() - meter.mapTo(driver.window, QtCore.QPoint(meter.width(), 0)).x()
    )
    assert 0 < gap <= 8
    box = driver.window.findChild(Transport).findChild(ElidedBox)
    assert box.fontMetrics().horizontalAdvance(box.currentText()) > box.width()  # which is drawn with an ellipsis


def test_words_stand_below_their_verdict_where_there_is_no_room_beside_it(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    driver.window.start()
    driver.play(9.0)
    listed = driver.window.findChild(TranscriptList)

    def words() -> tuple[QtWidgets.QLabel, QtWidgets.QLabel]:
        row = next(iter(listed._rows.values()))
        return row._chip, row._words

    chip, said = words()
    assert said.y() < chip.geometry().bottom()
    listed.setFixedWidth(250)
    driver.tick()
    assert said.y() > chip.geometry().bottom()
    assert said.width() > 150


def test_paths_are_shown_as_one_would_write_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert shown_path(tmp_path / "study") == ("~/study" if os.name != "nt" else str(tmp_path / "study"))
    assert shown_path(tmp_path.parent) == str(tmp_path.parent)
    assert shown_path(Path("sessions") / "one") == str(Path("sessions") / "one")
