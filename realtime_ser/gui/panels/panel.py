"""What all panels have in common: a titled frame, a look that can change, and shapes beside colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import ClassStyle, Palette, Shape, style_sheet

__all__ = [
    "ElidedBox",
    "ElidedLabel",
    "FittedDialog",
    "Form",
    "Look",
    "Panel",
    "add_button",
    "draw_shape",
    "indent",
    "legend_markup",
    "make_label",
    "make_page",
    "minus",
    "numeric_font",
    "open_at",
    "percent",
    "set_style",
    "set_text",
    "shown_colour",
    "wear",
]

FIELD_HEIGHT = 30
"""Pixels of a field, a box and a button, as the style sheet makes them."""

_STUMP = 8
"""Characters that must be left of a text for it to tell anything."""


@dataclass(frozen=True, slots=True)
class Look:
    """A theme, applied to the classes at hand."""

    palette: Palette
    classes: tuple[ClassStyle, ...]


class Panel(QtWidgets.QFrame):
    """A framed area with a title row; `header` and `body` are its layouts, to be filled by the subclass.

    Parameters
    ----------
    title
        Shown above the content; also the panel's accessible name.
    """

    def __init__(self, title: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAccessibleName(title)
        outer = QtWidgets.QVBoxLayout(self)
        outer.setContentsMargins(10, 6, 10, 8)
        outer.setSpacing(4)
        self.header = QtWidgets.QHBoxLayout()
        self.header.setSpacing(8)
        self._title = make_label(title, "title")
        self.header.addWidget(self._title)
        self.body = QtWidgets.QVBoxLayout()
        self.body.setSpacing(4)
        outer.addLayout(self.header)
        outer.addLayout(self.body, 1)

    def show_title(self, title: str) -> None:
        """Another title; of two people, whose panel it is."""
        set_text(self._title, title)
        self.setAccessibleName(title)

    def apply_look(self, look: Look) -> None:
        """Take on a theme and a set of classes; called at least once before anything is drawn."""
        raise NotImplementedError


def make_label(text: str = "", role: str = "") -> QtWidgets.QLabel:
    """Make a plain-text label; `role` selects its look in the style sheet."""
    label = QtWidgets.QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        label.setProperty("role", role)
    return label


class ElidedLabel(QtWidgets.QLabel):
    """A line that ends with an ellipsis where there is no room for it, or has a shorter text; all of it is in the tool tip."""

    def __init__(self, role: str = "small") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        self._shorter = ""

    def show_text(self, text: str, shorter: str = "") -> None:
        """Show `text`, where it changed; `shorter`: what stands there where there is no room for it."""
        self._shorter = shorter
        if text != self.text():
            self.setText(text)
            self.setToolTip(text)
            self.setAccessibleName(text)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what fits."""
        painter = QtGui.QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.WindowText))
        whole = self.text() if not self._shorter or self._fits(self.text()) else self._shorter
        text = self.fontMetrics().elidedText(whole, Qt.TextElideMode.ElideRight, self.width())
        if text == whole or len(text) > _STUMP:
            painter.drawText(self.rect(), self.alignment(), text)

    def _fits(self, text: str) -> bool:
        return self.fontMetrics().horizontalAdvance(text) <= self.width()


class ElidedBox(QtWidgets.QComboBox):
    """A box to choose from whose text ends with an ellipsis where there is no room for it; a style sheet would cut it off."""

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what fits."""
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_ComboBox, option)
        field = self.style().subControlRect(
            QtWidgets.QStyle.ComplexControl.CC_ComboBox, option, QtWidgets.QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, field.width() - 2)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_ComboBoxLabel, option)


class FittedDialog(QtWidgets.QDialog):
    """A dialog that is never lower than its contents need at its width: Qt itself reckons without texts that wrap."""

    least_height = 0
    """Pixels, whatever the contents."""

    def fit(self) -> None:
        """Let it be no lower than is needed now."""
        layout = self.layout()
        if layout is None:
            return
        layout.activate()
        wraps = layout.hasHeightForWidth()
        needed = layout.totalMinimumHeightForWidth(self.width()) if wraps else layout.totalMinimumSize().height()
        needed = max(needed, self.least_height)
        if needed != self.minimumHeight():
            self.setMinimumHeight(needed)

    def event(self, event: QtCore.QEvent) -> bool:
        """See what is needed whenever contents or width have changed."""
        done = super().event(event)
        if event.type() in (QtCore.QEvent.Type.LayoutRequest, QtCore.QEvent.Type.Resize, QtCore.QEvent.Type.Show):
            self.fit()
        return done


class Form(QtWidgets.QFormLayout):
    """Fields below each other, with what they are called beside them, on one line with their texts."""

    def add(self, title: str, row: QtWidgets.QWidget | QtWidgets.QLayout, field: QtWidgets.QWidget | None = None) -> None:
        """Add a row; the key in `title` goes to `field`, which is the row itself where that is a field."""
        label = QtWidgets.QLabel(title)
        label.setMinimumHeight(FIELD_HEIGHT)
        buddy = field if field is not None else row
        if isinstance(buddy, QtWidgets.QWidget):
            label.setBuddy(buddy)
        self.addRow(label, row)


def make_page(window: QtWidgets.QMainWindow) -> QtWidgets.QVBoxLayout:
    """Give a window its one page, whose rows go into what is returned."""
    root = QtWidgets.QWidget()
    root.setObjectName("root")
    window.setCentralWidget(root)
    layout = QtWidgets.QVBoxLayout(root)
    layout.setContentsMargins(10, 8, 10, 10)
    layout.setSpacing(8)
    return layout


def add_button(row: QtWidgets.QBoxLayout, text: str, tip: str, action: Callable[[], None]) -> QtWidgets.QPushButton:
    """Add a button that does `action`."""
    button = QtWidgets.QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(lambda _checked=False: action())
    row.addWidget(button)
    return button


def legend_markup(*entries: tuple[str, str]) -> str:
    """Rich text of colours and what they stand for; only the sign has the colour, which may be too faint for letters."""
    return "&nbsp;&nbsp;".join(f'<span style="color:{colour}">▮</span>&nbsp;{meaning}' for colour, meaning in entries)


def open_at(window: QtWidgets.QWidget, width: int, height: int) -> None:
    """Let a window open at this size, or at the screen's where that is smaller: what hangs over an edge cannot be reached."""
    window.resize(QtCore.QSize(width, height).boundedTo(window.screen().availableSize()))


def indent(box: QtWidgets.QAbstractSpinBox) -> None:
    """Let a number stand as far from its field's edge as text does in others: a style sheet's padding is not for numbers."""
    box.lineEdit().setTextMargins(8, 0, 8, 0)


def set_text(label: QtWidgets.QLabel | QtWidgets.QPushButton | QtWidgets.QToolButton, text: str) -> None:
    """Set a text only where it changed, so that a timer does not repaint what stands still."""
    if label.text() != text:
        label.setText(text)


def set_style(widget: QtWidgets.QWidget, sheet: str) -> bool:
    """Set a style sheet only where it is another one; whether it was. Qt goes through every widget below for that."""
    if widget.styleSheet() == sheet:
        return False
    widget.setStyleSheet(sheet)
    return True


def wear(window: QtWidgets.QWidget, palette: Palette) -> bool:
    """Give a window the style sheet of a theme; whether it had another one."""
    return set_style(window, style_sheet(palette))


def minus(figure: str) -> str:
    """A figure with the sign that is as wide as a plus, in place of a hyphen."""
    return figure.replace("-", "−")


def percent(share: float) -> str:
    """A share of 1 in whole percent, as it is written everywhere."""
    return f"{100.0 * share:.0f} %"


def numeric_font(pixels: int, bold: bool = False) -> QtGui.QFont:
    """Make a font whose digits all have the same width, so that running figures do not dance."""
    font = QtGui.QFont(QtWidgets.QApplication.font())
    font.setPixelSize(pixels)
    font.setBold(bold)
    font.setFeature(QtGui.QFont.Tag("tnum"), 1)
    return font


def _polygon(points: Sequence[tuple[float, float]], rect: QtCore.QRectF) -> QtGui.QPolygonF:
    return QtGui.QPolygonF([QtCore.QPointF(rect.left() + x * rect.width(), rect.top() + y * rect.height()) for x, y in points])


_OUTLINES = {
    Shape.UP: ((0.5, 0.05), (1.0, 0.95), (0.0, 0.95)),
    Shape.DOWN: ((0.5, 0.95), (1.0, 0.05), (0.0, 0.05)),
    Shape.SQUARE: ((0.08, 0.08), (0.92, 0.08), (0.92, 0.92), (0.08, 0.92)),
    Shape.DIAMOND: ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)),
    Shape.BAR: ((0.0, 0.32), (1.0, 0.32), (1.0, 0.68), (0.0, 0.68)),
    Shape.CROSS: (
        (0.35, 0.0),
        (0.65, 0.0),
        (0.65, 0.35),
        (1.0, 0.35),
        (1.0, 0.65),
        (0.65, 0.65),
        (0.65, 1.0),
        (0.35, 1.0),
        (0.35, 0.65),
        (0.0, 0.65),
        (0.0, 0.35),
        (0.35, 0.35),
    ),
}


def draw_shape(painter: QtGui.QPainter, shape: Shape, rect: QtCore.QRectF, colour: str) -> None:
    """Draw a class's shape into `rect`; the painter's pen and brush are left as they were."""
    painter.save()
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QtGui.QColor(colour))
    if shape is Shape.CIRCLE:
        painter.drawEllipse(rect)
    elif shape is Shape.RING:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        pen = QtGui.QPen(QtGui.QColor(colour), rect.width() / 5.0)
        painter.setPen(pen)
        inset = rect.width() / 10.0
        painter.drawEllipse(rect.adjusted(inset, inset, -inset, -inset))
    else:
        painter.drawPolygon(_polygon(_OUTLINES[shape], rect))
    painter.restore()


def shown_colour(name: str, otherwise: str) -> str:
    """``#rrggbb`` of a colour that somebody named (a marker's may be any text, or none), or `otherwise`."""
    return QtGui.QColor(name).name() if QtGui.QColor.isValidColorName(name) else otherwise
