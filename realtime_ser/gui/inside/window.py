"""The window inside the fusion: parts, attention over segments, and cross-attention over words of one utterance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.controller import Phase
from realtime_ser.gui.inside.view import CAVEATS, InsideView, committed, describe_row, effective_count, inside_view
from realtime_ser.gui.models import DashboardModel
from realtime_ser.gui.panels.panel import ElidedLabel, Look, draw_shape, make_label, numeric_font, open_at, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import Palette, blend
from realtime_ser.text.attention import CrossAttention
from realtime_ser.types import FloatArray, FusionDetail

__all__ = ["InsideWindow"]

_LEFT, _RIGHT, _MIDDLE = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignVCenter
_LETTERS = 12
"""Height of text in the pictures, in pixels."""
_STRIP = 30.0
"""Height of the means above the map."""
_SMALLEST_CELL = 13.0
"""Pixels of a word's row from which on there is room for its name."""


class _Picture(QtWidgets.QWidget):
    """Something drawn, or a sentence that says why it is not."""

    def __init__(self, name: str, height: int) -> None:
        super().__init__()
        self.setMinimumHeight(height)
        self.setAccessibleName(name)
        self.look: Look | None = None
        self.empty = ""

    def show_empty(self, why: str) -> None:
        """Show a sentence in place of the picture; nothing where there is one."""
        if why != self.empty:
            self.empty = why
            self.setAccessibleDescription(why)
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw."""
        if self.look is None:
            return
        painter = QtGui.QPainter(self)
        painter.setFont(numeric_font(_LETTERS))
        if self.empty:
            painter.setPen(QtGui.QColor(self.look.palette.dim))
            flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignCenter
            painter.drawText(QtCore.QRectF(self.rect()).adjusted(8, 0, -8, 0), flags, self.empty)
        else:
            self.draw(painter, self.look)

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        raise NotImplementedError


class _Parts(_Picture):
    """What voice and words add to the score of every class."""

    def __init__(self) -> None:
        super().__init__("what voice and words add to every class", 112)
        self.voice = self.words = np.zeros(0, np.float32)

    def show_detail(self, detail: FusionDetail, names: tuple[str, ...]) -> None:
        # What is the same for all classes moves none of them against another.
        self.voice = detail.voice_part - detail.voice_part.mean()
        self.words = detail.words_part - detail.words_part.mean()
        pairs = zip(names, self.voice, self.words, strict=False)
        self.setAccessibleDescription(", ".join(f"{name}: voice {v:+z.1f}, words {w:+z.1f}" for name, v, w in pairs))
        self.update()

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, metrics = look.palette, painter.fontMetrics()
        if not look.classes or len(self.voice) != len(look.classes):
            return
        row = self.height() / len(look.classes)
        left = 20.0 + max(metrics.horizontalAdvance(style.name) for style in look.classes) + 10.0
        figures = metrics.horizontalAdvance("−00.0  −00.0") + 10.0
        centre = left + (self.width() - left - figures) / 2.0
        limit = max(float(np.abs(self.voice).max()), float(np.abs(self.words).max()), 0.1)
        scale = (self.width() - left - figures) / 2.0 / limit
        painter.setPen(QtGui.QColor(palette.line))
        painter.drawLine(QtCore.QPointF(centre, 0.0), QtCore.QPointF(centre, self.height()))
        bar = min(8.0, row / 3.0)
        for index, style in enumerate(look.classes):
            middle = (index + 0.5) * row
            draw_shape(painter, style.shape, QtCore.QRectF(1.0, middle - 5.5, 11.0, 11.0), style.colour)
            painter.setPen(QtGui.QColor(palette.text))
            line = QtCore.QRectF(20.0, middle - row / 2.0, self.width() - 20.0, row)
            painter.drawText(line, _LEFT | _MIDDLE, style.name)
            for value, colour, top in (
                (float(self.voice[index]), palette.accent, middle - bar - 0.5),
                (float(self.words[index]), palette.good, middle + 0.5),
            ):
                begin = centre + min(value, 0.0) * scale
                painter.fillRect(QtCore.QRectF(begin, top, max(abs(value) * scale, 1.0), bar), QtGui.QColor(colour))
            said = f"{self.voice[index]:+z.1f}  {self.words[index]:+z.1f}".replace("-", "−")
            painter.drawText(line, _RIGHT | _MIDDLE, said)


class _Segments(_Picture):
    """Attention over the segments of a feature vector, against an even spread."""

    def __init__(self, name: str, colour: Callable[[Palette], str]) -> None:
        super().__init__(f"attention over the segments of the {name}", 74)
        self._name = name
        self._colour = colour
        self.weights: FloatArray = np.zeros(0, np.float32)

    def show_weights(self, weights: FloatArray) -> None:
        self.weights = weights
        self.setAccessibleDescription(self._said())
        self.update()

    def _said(self) -> str:
        largest = int(self.weights.argmax())
        return (
            f"{self._name}: {len(self.weights)} segments, as spread out as {effective_count(self.weights):.0f} equal ones; "
            f"the largest is number {largest + 1} with {100.0 * self.weights[largest]:.0f} %"
        )

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        if not len(self.weights):
            return
        palette = look.palette
        line = QtCore.QRectF(0.0, 0.0, self.width(), 17.0)
        painter.setPen(QtGui.QColor(palette.text))
        said = painter.fontMetrics().elidedText(self._said(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(line, _LEFT | _MIDDLE, said)
        plot = QtCore.QRectF(0.0, 19.0, self.width(), self.height() - 19.0)
        painter.fillRect(plot, QtGui.QColor(palette.well))
        count = len(self.weights)
        even = 1.0 / count
        top = max(float(self.weights.max()), 2.0 * even)
        width = plot.width() / count
        for index, weight in enumerate(self.weights):
            height = float(weight) / top * plot.height()
            bar = QtCore.QRectF(index * width + 0.5, plot.bottom() - height, max(width - 1.0, 1.0), height)
            painter.fillRect(bar, QtGui.QColor(self._colour(palette)))
        level = plot.bottom() - even / top * plot.height()
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.warning), 1.0, Qt.PenStyle.DashLine))
        painter.drawLine(QtCore.QPointF(0.0, level), QtCore.QPointF(plot.right(), level))


class _WordMap(_Picture):
    """Which words the groups of words attend to: a row per group, a column per word, and the mean of each column above it."""

    chosen = QtCore.Signal(int)
    """A row was clicked."""

    def __init__(self) -> None:
        super().__init__("cross-attention over words", 190)
        self.attention: CrossAttention | None = None
        self.size_index = 0
        self.row = 0

    def show_attention(self, attention: CrossAttention, size_index: int, row: int) -> None:
        self.attention, self.size_index, self.row = attention, size_index, row
        self.setAccessibleDescription(describe_row(attention, size_index, row))
        self.update()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Choose a row."""
        if self.attention is None or self.empty:
            return
        cells = self._cells(self.attention, QtGui.QFontMetricsF(numeric_font(_LETTERS)))
        row = int((event.position().y() - cells.top()) // (cells.height() / len(self.attention.tokens)))
        if 0 <= row < len(self.attention.tokens):
            self.chosen.emit(row)

    def _cells(self, attention: CrossAttention, metrics: QtGui.QFontMetricsF) -> QtCore.QRectF:
        """Where the map lies: beside the names of its rows, below those of its columns and their means."""
        count = len(attention.tokens)
        longest = max(metrics.horizontalAdvance(f"({token})") for token in attention.tokens)
        names = min(longest, 0.25 * self.width()) + 8.0
        room = (self.width() - names) / count
        side = min((self.height() - _STRIP - 18.0) / count, 34.0)
        wide = min(room, max(3.0 * side, longest + 6.0))
        above = _STRIP + 18.0
        if longest > wide - 4.0 and wide >= _SMALLEST_CELL:  # their names stand upright
            above = _STRIP + min(longest, 0.25 * self.height()) + 4.0
            side = min((self.height() - above) / count, 34.0)
        return QtCore.QRectF(names, above, wide * count, side * count)

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        attention = self.attention
        if attention is None:
            return
        palette, metrics = look.palette, QtGui.QFontMetricsF(painter.font())
        cells = self._cells(attention, metrics)
        count = len(attention.tokens)
        width, height = cells.width() / count, cells.height() / count
        weights = attention.weights[self.size_index]
        top = max(float(weights.max()), 2.0 / count)
        # As a picture: a long text has ten thousand cells.
        levels = np.clip(weights / top * 255.0, 0.0, 255.0).astype(np.uint8)
        pixels = np.ascontiguousarray(self._shades(look)[levels])
        picture = QtGui.QImage(pixels.data, count, count, 4 * count, QtGui.QImage.Format.Format_RGB32)
        painter.drawImage(cells, picture)
        if min(width, height) >= 6.0:
            painter.setPen(QtGui.QPen(QtGui.QColor(palette.window), 1.0))
            for index in range(1, count):
                x, y = cells.left() + index * width, cells.top() + index * height
                painter.drawLine(QtCore.QPointF(x, cells.top()), QtCore.QPointF(x, cells.bottom()))
                painter.drawLine(QtCore.QPointF(cells.left(), y), QtCore.QPointF(cells.right(), y))
        strip = QtCore.QRectF(cells.left(), cells.top() - _STRIP, cells.width(), _STRIP - 4.0)
        received = attention.received()
        highest = max(float(received.max()), 2.0 / count)
        for column in range(count):
            part = float(received[column]) / highest * strip.height()
            bar = QtCore.QRectF(strip.left() + column * width + 0.5, strip.bottom() - part, max(width - 1.0, 1.0), part)
            painter.fillRect(bar, QtGui.QColor(palette.good))
        self._draw_names(painter, look, attention, cells, strip)
        chosen = QtCore.QRectF(cells.left(), cells.top() + self.row * height, cells.width(), height)
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.text), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(chosen)

    @staticmethod
    def _shades(look: Look) -> NDArray[np.uint32]:
        """From no attention to most of it, as 0xffRRGGBB, shape ``(256,)``."""
        colours = [blend(look.palette.accent, look.palette.well, level / 255.0) for level in range(256)]
        return np.array([0xFF000000 | int(colour[1:], 16) for colour in colours], np.uint32)

    def _draw_names(
        self,
        painter: QtGui.QPainter,
        look: Look,
        attention: CrossAttention,
        cells: QtCore.QRectF,
        strip: QtCore.QRectF,
    ) -> None:
        """Names of rows and columns where there is room for them; that of the chosen row always."""
        palette, metrics = look.palette, QtGui.QFontMetricsF(painter.font())
        count = len(attention.tokens)
        width, height = cells.width() / count, cells.height() / count
        room = strip.top() - 2.0
        for index, token in enumerate(attention.tokens):
            colour = palette.text if attention.known[index] else palette.dim
            text = token if attention.known[index] else f"({token})"
            painter.setPen(QtGui.QColor(colour))
            if height >= _SMALLEST_CELL or index == self.row:
                middle = cells.top() + (index + 0.5) * height
                place = QtCore.QRectF(0.0, middle - 9.0, cells.left() - 6.0, 18.0)
                painter.drawText(place, _RIGHT | _MIDDLE, metrics.elidedText(text, Qt.TextElideMode.ElideRight, place.width()))
            if width >= _SMALLEST_CELL:
                painter.save()
                upright = room > 20.0
                centre = cells.left() + (index + 0.5) * width
                if upright:
                    painter.translate(centre + metrics.capHeight() / 2.0, room)
                    painter.rotate(-90.0)
                    painter.drawText(QtCore.QPointF(0.0, 0.0), metrics.elidedText(text, Qt.TextElideMode.ElideRight, room))
                else:
                    painter.drawText(QtCore.QPointF(centre - metrics.horizontalAdvance(text) / 2.0, room - 2.0), text)
                painter.restore()


class InsideWindow(QtWidgets.QDialog):
    """Looks into the utterance under way, or into a committed one.

    The dashboard drives it by :meth:`follow`, and answers :attr:`wanted` by :meth:`take_attention`.
    """

    def __init__(self, look: Look, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Inside the fusion")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        open_at(self, 900, 820)
        self.setMinimumSize(620, 480)
        self._view = InsideView("")
        self._person = ""
        self._known: list[int] = []
        self._chosen: int | None = None
        self._words = ""
        self._attention: CrossAttention | None = None
        self._refused = ""
        self._size_index = 0
        self._row = 0
        self._classes: tuple[str, ...] = ()

        self._title = make_label("", "state")
        self._title.setWordWrap(True)
        self.earlier = self._button("◀ Earlier", "The utterance before (Left)", lambda: self.step(-1))
        self.later = self._button("Later ▶", "The utterance after (Right)", lambda: self.step(1))
        self.live = QtWidgets.QToolButton()
        self.live.setText("Live")
        self.live.setToolTip("The utterance so far, as it goes on (End)")
        self.live.setCheckable(True)
        self.live.clicked.connect(self.go_live)
        bar = QtWidgets.QHBoxLayout()
        bar.addWidget(self._title, 1)
        for button in (self.earlier, self.later, self.live):
            bar.addWidget(button)

        self._parts = _Parts()
        self._parts_note = make_label("", "small")
        self._parts_note.setTextFormat(Qt.TextFormat.RichText)
        self._parts_note.setWordWrap(True)
        self._voice = _Segments("voice", lambda palette: palette.accent)
        self._text = _Segments("words", lambda palette: palette.good)
        self._map = _WordMap()
        self._map.chosen.connect(self.choose_row)
        self._map.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._map.setToolTip("Up and Down, or a click, choose a row")
        self._said = make_label("", "dim")
        self._said.setWordWrap(True)
        self._sizes: list[QtWidgets.QToolButton] = []
        self._offered: tuple[int, ...] = ()
        self._size_bar = QtWidgets.QHBoxLayout()
        self._size_bar.addWidget(self._heading("Cross-attention over words, eq. (3)"))
        self._map_note = ElidedLabel()
        self._map_note.show_text(
            "rows ask, columns are attended to; green: their mean over all sizes; (in brackets): unknown words"
        )
        self._size_bar.addWidget(self._map_note, 1)
        caveats = make_label("\n".join(CAVEATS), "small")
        caveats.setWordWrap(True)
        caveats.setAccessibleName("what this can and cannot say")

        inner = QtWidgets.QWidget()
        inner.setObjectName("rows")
        column = QtWidgets.QVBoxLayout(inner)
        column.setSpacing(6)
        column.addWidget(self._heading("What voice and words add to every class"))
        column.addWidget(self._parts_note)
        column.addWidget(self._parts)
        column.addWidget(self._heading("Attention over segments, eq. (5)–(7); dashed: evenly spread"))
        column.addWidget(self._voice)
        column.addWidget(self._text)
        column.addLayout(self._size_bar)
        column.addWidget(self._map, 1)
        column.addWidget(self._said)
        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        area.setAccessibleName("parts and attention")
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(bar)
        layout.addWidget(area, 1)
        layout.addWidget(self._heading("What this can and cannot say"))
        layout.addWidget(caveats)
        for keys, action in (
            ("Left", lambda: self.step(-1)),
            ("Right", lambda: self.step(1)),
            ("End", self.go_live),
            ("Up", lambda: self.choose_row(self._row - 1)),
            ("Down", lambda: self.choose_row(self._row + 1)),
            ("K", lambda: self.choose_size(self._size_index + 1)),
        ):
            QtGui.QShortcut(QtGui.QKeySequence(keys), self, action)
        self._map.setFocus()
        self.apply_look(look)

    def _button(self, text: str, tip: str, action: Callable[[], None]) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setToolTip(tip)
        button.setAccessibleName(text.strip("◀▶ ").lower())
        button.setAutoDefault(False)
        button.clicked.connect(action)
        return button

    def _heading(self, text: str) -> QtWidgets.QLabel:
        return make_label(text, "title")

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        palette = look.palette
        self._classes = tuple(style.name for style in look.classes)
        for picture in (self._parts, self._voice, self._text, self._map):
            picture.look = look
            picture.update()
        self._legend = (
            f'<span style="color:{palette.accent}">▬ voice</span>&nbsp; <span style="color:{palette.good}">▬ words</span>'
        )
        self._show()

    # Which utterance ------------------------------------------------------------------------------------------------------

    @property
    def view(self) -> InsideView:
        """What is shown."""
        return self._view

    @property
    def chosen(self) -> int | None:
        """Number of the committed utterance that was chosen; ``None``: live."""
        return self._chosen

    def show_person(self, name: str) -> None:
        """Say whose utterances they are, of two people; "": of the only one. It is live again then."""
        title = f"Inside the fusion: {name}" if name else "Inside the fusion"
        if title != self.windowTitle():
            self.setWindowTitle(title)
            self._person = name
            self._known = []
            self.forget_words()
            self.go_live()

    def choose(self, utterance: int) -> None:
        """Look into a committed utterance."""
        self._chosen = utterance

    def go_live(self) -> None:
        """Look into the utterance under way."""
        self._chosen = None
        self.live.setChecked(True)

    def step(self, by: int) -> None:
        """To the utterance before (-1) or after (1) the one shown; after the last one it is live again."""
        known = self._known
        if not known:
            return
        if self._chosen is None:
            shown = self._view.utterance
            before = [number for number in known if number != shown] or known
            if by < 0:
                self._chosen = before[-1]
            return
        place = min(range(len(known)), key=lambda index: abs(known[index] - (self._chosen or 0))) + by
        if place >= len(known):
            self.go_live()
        else:
            self._chosen = known[max(place, 0)]

    def follow(self, model: DashboardModel, phase: Phase, recognizer: str) -> None:
        """Show how it is now."""
        known = committed(model)
        if self._chosen is not None and known and self._chosen < known[0]:
            self._chosen = known[0]  # what was chosen is forgotten by now
        view = inside_view(model, phase, recognizer, self._chosen)
        if view.utterance != self._view.utterance:
            self.forget_words()  # they are another one's
        if view != self._view or known != self._known:
            self._view, self._known = view, known
            self._show()

    # Words ----------------------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> str:
        """Words whose attention is not known yet; empty where nothing is wanted."""
        return self._view.words if self._view.words != self._words else ""

    def take_attention(self, words: str, attention: CrossAttention | None, why_not: str = "") -> None:
        """The attention within `words`, or why there is none."""
        self._words, self._refused = words, why_not
        before, read = self._attention, self._row + 1
        if attention is None or before is None or attention.tokens[:read] != before.tokens[:read]:
            self._row = 0  # another text; where words were only added, the row stays
        self._attention = attention
        self._show()

    def forget_words(self) -> None:
        """What was read counts no more; it is wanted anew."""
        self._words, self._refused, self._attention = "", "", None

    def choose_size(self, index: int) -> None:
        """Word groups of the next size, in turn."""
        if self._attention is not None:
            self._size_index = index % len(self._attention.sizes)
            self._show_words()

    def choose_row(self, row: int) -> None:
        """The word group around that word; beyond the ends it stays."""
        if self._attention is not None:
            self._row = min(max(row, 0), len(self._attention.tokens) - 1)
            self._show_words()

    # Showing --------------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        view, detail = self._view, self._view.detail
        set_text(self._title, f"{self._person}: {view.title}" if self._person else view.title)
        self.live.setChecked(self._chosen is None)
        self.earlier.setEnabled(bool(self._known) and self._chosen != self._known[0])
        self.later.setEnabled(self._chosen is not None)
        for picture in (self._parts, self._voice, self._text):
            picture.show_empty("" if detail is not None else view.empty if picture is self._parts else "–")
        if detail is not None:
            self._parts.show_detail(detail, self._classes)
            self._voice.show_weights(detail.voice_attention)
            self._text.show_weights(detail.words_attention)
            trust = (
                f"The words are trusted {100.0 * detail.trust:.0f} %: that is the weight of the fused scores; "
                f"the rest is the voice alone."
            )
            said = f"{self._legend}&nbsp;&nbsp; {trust}"
        else:
            said = " "
        if said != self._parts_note.text():
            self._parts_note.setText(said)
        self._show_words()

    def _show_words(self) -> None:
        view, attention = self._view, self._attention
        if not view.words or attention is None:
            waiting = "" if view.words == self._words else "…"
            self._map.show_empty(view.words_empty or self._refused or waiting or "–")
            set_text(self._said, " ")
            self._offer_sizes(())
            return
        self._offer_sizes(attention.sizes)
        self._size_index = min(self._size_index, len(attention.sizes) - 1)
        self._row = min(self._row, len(attention.tokens) - 1)
        for index, button in enumerate(self._sizes):
            button.setChecked(index == self._size_index)
        self._map.show_empty("")
        self._map.show_attention(attention, self._size_index, self._row)
        set_text(self._said, describe_row(attention, self._size_index, self._row))

    def _offer_sizes(self, sizes: tuple[int, ...]) -> None:
        """A button for every size of word groups."""
        if sizes == self._offered:
            return
        self._offered = sizes
        for button in self._sizes:
            self._size_bar.removeWidget(button)
            button.hide()  # now, not when it is deleted
            button.deleteLater()
        self._sizes = []
        for index, size in enumerate(sizes):
            button = QtWidgets.QToolButton()
            button.setText("1 word" if size == 1 else f"{size} words")
            button.setCheckable(True)
            button.setToolTip(f"What groups of {size} attend to (K: the next size)")
            button.setAccessibleName(f"groups of {size}")
            button.clicked.connect(lambda _checked=False, chosen=index: self.choose_size(chosen))
            self._size_bar.addWidget(button)
            self._sizes.append(button)
