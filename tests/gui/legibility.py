"""Finds text that is cut off, covered, or too faint, and controls without a name, in windows as they are drawn.

    python tests/gui/legibility.py GROUP …

goes over the scenes of these groups (gui.scenes) in their smallest size, both themes, and prints a line for each finding.
``QT_SCALE_FACTOR`` makes everything larger, as the size in the settings does.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gui.painted import LETTERS, SIGNS, painted_findings, paints_text  # noqa: E402 - the path comes first

from realtime_ser.gui.panels.panel import ElidedBox, ElidedLabel  # noqa: E402 - the path comes first
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets  # noqa: E402 - the path comes first
from realtime_ser.gui.theme import blend, contrast  # noqa: E402 - the path comes first

__all__ = ["findings", "nameless"]

_TEXTS = (
    QtWidgets.QLabel,
    QtWidgets.QAbstractButton,
    QtWidgets.QComboBox,
    QtWidgets.QAbstractSpinBox,
    QtWidgets.QLineEdit,
)

_NAMED = (
    QtWidgets.QAbstractButton,
    QtWidgets.QComboBox,
    QtWidgets.QAbstractSpinBox,
    QtWidgets.QAbstractSlider,
    QtWidgets.QLineEdit,
    QtWidgets.QTextEdit,
    QtWidgets.QPlainTextEdit,
    QtWidgets.QAbstractItemView,
    QtWidgets.QProgressBar,
    QtWidgets.QScrollArea,
    QtWidgets.QGraphicsView,
)


def findings(window: QtWidgets.QWidget) -> Iterator[str]:
    """What cannot be read, or not in full, in a window that is shown."""
    texts = [widget for widget in window.findChildren(QtWidgets.QWidget) if isinstance(widget, _TEXTS) and _seen(widget)]
    picture = window.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    for widget in texts:
        text = _text(widget)
        if not text.strip():
            continue
        name = f"{type(widget).__name__} {text[:40]!r}"
        yield from (f"{name} {problem}" for problem in (*_cut(widget, text), *_outside(widget, window)))
        yield from (f"{name} {problem}" for problem in _faint(widget, window, picture))
    for one, other in itertools.combinations(texts, 2):
        if one.parent() is other.parent() and _text(one).strip() and _text(other).strip():
            common = one.geometry().intersected(other.geometry())
            if common.width() > 1 and common.height() > 1:
                yield f"{_text(one)[:40]!r} and {_text(other)[:40]!r} lie over each other"
    for table in window.findChildren(QtWidgets.QTableView):
        if _seen(table):
            header = table.horizontalHeader()
            for column in range(header.count()):
                title = str(table.model().headerData(column, QtCore.Qt.Orientation.Horizontal))
                if max(map(header.fontMetrics().horizontalAdvance, title.splitlines())) + 8 > header.sectionSize(column):
                    yield f"column {title!r} is cut off"
    for widget in (window, *window.findChildren(QtWidgets.QWidget)):
        if not isinstance(widget, _TEXTS) and _seen(widget) and paints_text(widget):
            yield from painted_findings(widget, window, picture)
    yield from nameless(window)


def nameless(window: QtWidgets.QWidget) -> Iterator[str]:
    """What can be used or read in a window, and of which a screen reader could not say what it is."""
    for widget in window.findChildren(QtWidgets.QWidget):
        if not isinstance(widget, _NAMED) or isinstance(widget, QtWidgets.QScrollBar) or not _seen(widget):
            continue
        if widget.objectName().startswith("qt_") or isinstance(widget.parent(), QtWidgets.QComboBox | QtWidgets.QLineEdit):
            continue  # a part of another one, which has the name
        if isinstance(widget, QtWidgets.QTabBar | QtWidgets.QHeaderView | QtWidgets.QDialogButtonBox):
            continue
        spoken = QtGui.QAccessible.queryAccessibleInterface(widget)
        if spoken is None or not spoken.text(QtGui.QAccessible.Text.Name).strip():
            yield f"{type(widget).__name__} {widget.objectName() or widget.toolTip()[:60]!r} has no name for a screen reader"


def _seen(widget: QtWidgets.QWidget) -> bool:
    return widget.isVisible() and not widget.visibleRegion().isEmpty()


def _text(widget: QtWidgets.QWidget) -> str:
    if isinstance(widget, QtWidgets.QComboBox):
        return widget.currentText()
    if isinstance(widget, QtWidgets.QAbstractSpinBox):
        return widget.text()
    if isinstance(widget, QtWidgets.QLineEdit):
        return widget.text() or widget.placeholderText()
    assert isinstance(widget, QtWidgets.QLabel | QtWidgets.QAbstractButton)
    return widget.text()


def _cut(widget: QtWidgets.QWidget, text: str) -> Iterator[str]:
    """Whether it has less room than its text needs."""
    if isinstance(widget, ElidedLabel | ElidedBox | QtWidgets.QLineEdit):
        return  # ends with an ellipsis, and has all of it in the tool tip; or can be scrolled
    if isinstance(widget, QtWidgets.QComboBox | QtWidgets.QAbstractSpinBox):
        field = widget.lineEdit() if isinstance(widget, QtWidgets.QAbstractSpinBox) or widget.isEditable() else None
        if field is not None:
            room = field.width()
        else:
            option = QtWidgets.QStyleOptionComboBox()
            widget.initStyleOption(option)
            style = QtWidgets.QStyle
            room = (
                widget.style()
                .subControlRect(style.ComplexControl.CC_ComboBox, option, style.SubControl.SC_ComboBoxEditField, widget)
                .width()
            )
        if widget.fontMetrics().horizontalAdvance(text) > room + 1:
            yield f"needs {widget.fontMetrics().horizontalAdvance(text)} px across, has {room}"
        return
    if isinstance(widget, QtWidgets.QLabel) and widget.wordWrap():
        needed = widget.heightForWidth(widget.width())
        if needed > widget.height() + 1:
            yield f"needs {needed} px of height at this width, has {widget.height()}"
        return
    hint = widget.sizeHint()
    if isinstance(widget, QtWidgets.QToolButton):  # which hints at more than it needs around its text
        hint = QtCore.QSize(widget.fontMetrics().horizontalAdvance(text) + 12, widget.fontMetrics().height() + 6)
    if hint.width() > widget.width() + 1 or hint.height() > widget.height() + 1:
        yield f"needs {hint.width()} × {hint.height()} px, has {widget.width()} × {widget.height()}"


def _outside(widget: QtWidgets.QWidget, window: QtWidgets.QWidget) -> Iterator[str]:
    """Whether it hangs over what it lies in; what is scrolled may, but not sideways."""
    rect, part = widget.rect(), widget
    while part is not window:
        inside = part.parentWidget()
        if inside is None:
            return
        rect = rect.translated(part.pos())
        scrolled = isinstance(inside.parentWidget(), QtWidgets.QAbstractScrollArea)
        ground = inside.rect()
        if rect.left() < ground.left() - 1 or rect.right() > ground.right() + 1:
            yield f"hangs over the side of {type(inside).__name__} by {max(rect.right() - ground.right(), -rect.left())} px"
            return
        if scrolled:
            return
        if rect.top() < ground.top() - 1 or rect.bottom() > ground.bottom() + 1:
            yield f"hangs over {type(inside).__name__} by {max(rect.bottom() - ground.bottom(), -rect.top())} px"
            return
        part = inside


def _faint(widget: QtWidgets.QWidget, window: QtWidgets.QWidget, picture: QtGui.QImage) -> Iterator[str]:
    """Whether its letters stand out too little from what is behind them; what cannot be used need not."""
    if not widget.isEnabled():
        return
    region = widget.visibleRegion().boundingRect()
    ratio = picture.devicePixelRatio()
    place = QtCore.QRect(widget.mapTo(window, region.topLeft()) * ratio, region.size() * ratio)
    # Without borders and rounded corners.
    part = picture.copy(place.adjusted(3, 3, -3, -3))
    if part.isNull():
        return
    pixels = np.frombuffer(part.constBits(), np.uint32) & 0xFFFFFF
    colours, counts = np.unique(pixels, return_counts=True)
    ground = f"#{int(colours[counts.argmax()]):06x}"
    if isinstance(widget, QtWidgets.QAbstractButton):
        # What a style sheet says of a state is in no palette: the ink is what differs most from the ground.
        inks = {max((f"#{int(colour):06x}" for colour in colours), key=lambda ink: contrast(ink, ground))}
    else:
        role = widget.foregroundRole()
        if isinstance(widget, QtWidgets.QLineEdit):
            role = QtGui.QPalette.ColorRole.Text if widget.text() else QtGui.QPalette.ColorRole.PlaceholderText
        ink = widget.palette().color(role)
        inks = {blend(ink.name(), ground, ink.alphaF())}
    text = _text(widget)
    if isinstance(widget, QtWidgets.QLabel) and widget.textFormat() != QtCore.Qt.TextFormat.PlainText and "color:" in text:
        spans = re.findall(r"color: ?(#[0-9a-f]{6})[^>]*>([^<]*)<", text)
        inks |= {ink for ink, said in spans if any(map(str.isalnum, said))}
        signs = {ink for ink, said in spans} - inks
        yield from (f"has a sign that is too faint: {ink} on {ground}" for ink in signs if contrast(ink, ground) < SIGNS)
    for ink in inks:
        if contrast(ink, ground) < LETTERS:
            yield f"is too faint: {ink} on {ground}, {contrast(ink, ground):.2f}:1"


def main(groups: list[str]) -> int:
    """Print what is found; the number of findings tells whether there were any."""
    with tempfile.TemporaryDirectory() as home:
        # Where everything that is kept would go.
        os.environ.update(HOME=home, XDG_CONFIG_HOME=f"{home}/.config", XDG_DATA_HOME=f"{home}/.local/share")
        application = QtWidgets.QApplication(sys.argv[:1])
        application.setStyle("Fusion")
        from gui.scenes import GROUPS

        found: set[str] = set()
        for group in groups or GROUPS:
            with tempfile.TemporaryDirectory() as place:
                for scene in GROUPS[group](Path(place)):
                    for theme in ("dark", "light"):
                        scene.show(theme, min(scene.sizes))
                        found |= {f"{scene.screen}, {scene.state}, {theme}: {one}" for one in findings(scene.widget)}
        sys.stdout.write("".join(f"{one}\n" for one in sorted(found)))
        return len(found)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
