"""The last minute: verdicts, words, scores, level, voice and band energies on one time axis.

Every trace is one plot item that is updated in place. The axis moves on with every picture, thirty times a second while sound
comes in; the traces are only computed when a column was added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.filterbank import FilterBank
from realtime_ser.gui.models import BIN_SAMPLES, DashboardModel, coarser, last_of_each
from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, draw_shape, make_label, numeric_font, set_text, shown_colour
from realtime_ser.gui.panels.plots import add_still_plot, paint_axes
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.theme import Shape, blend, heat_table, ink_on
from realtime_ser.types import Verdict

__all__ = ["Mark", "Marks", "TimeAxis", "TimelinePanel", "band_image", "bleed_mark", "place_flags", "wrapped"]

GUTTER = 56
_HIGH, _LOW = 200, 96
"""Pixels of the lanes at least, alone and where there are two timelines."""
_LINE = 12.0
"""Pixels of a line of words."""
_LINES = ((400, 3), (280, 2), (0, 1))
_LINES_OF_TWO = ((190, 2), (124, 1), (0, 0))
"""Pixels that all lanes have together at least, and how many lines of words there are then; alone, and of two timelines."""
_FLAG = 15.0
"""Pixels of the name of a moment."""
_FLAG_ROWS = 3
"""Names of moments below each other at most; one for which there is no room has none."""
_MOST_MEASURED = 4096
"""Texts whose widths, and blocks whose lines, are kept."""
_UNLIMITED = 16_777_215.0
LEVEL_FLOOR = -60.0
ENERGY_RANGE_DB = 60.0
DECIBELS_PER_NEPER = 10.0 / np.log(10.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of time drawn over the height of a lane; of `texts`, the longest first, the first that fits is drawn."""

    first: float
    end: float
    colour: str
    texts: tuple[str, ...] = ()
    shape: Shape | None = None
    hatched: bool = False
    faint: bool = False
    flag: bool = False
    """A moment: a line, and its name beside it."""
    row: int = 0
    """Of a moment's name: how many lines of text below the lane's top."""
    flowing: bool = False
    """The first of `texts` is broken into as many lines as there is room for, and ends with "…" where there is more."""


class Marks(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no types
    """All stretches of a lane as one item. Drawn in pixels, so that text is never stretched."""

    def __init__(self, look: Look | None = None, *, bold: bool = True) -> None:
        super().__init__()
        self._bold = bold
        # Lanes are painted thirty times a second, and the same texts are tried in each of their blocks every time.
        self._widths: dict[tuple[str, str], float] = {}
        self._lines: dict[tuple[str, str, int, int], tuple[str, ...]] = {}
        self._marks: Sequence[Mark] = ()
        self._bounds = QtCore.QRectF(0.0, 0.0, 1.0, 1.0)
        self.look = look

    def show_marks(self, marks: Sequence[Mark], first: float, end: float) -> None:
        """Draw `marks` over a lane that shows the seconds from `first` to `end`."""
        bounds = QtCore.QRectF(first, 0.0, end - first, 1.0)
        if bounds != self._bounds:
            self.prepareGeometryChange()
            self._bounds = bounds
        self._marks = marks
        self.update()

    def boundingRect(self) -> QtCore.QRectF:  # noqa: N802 - Qt's name
        """The lane."""
        return self._bounds

    def _flag(
        self, painter: QtGui.QPainter, metrics: QtGui.QFontMetricsF, rect: QtCore.QRectF, mark: Mark, right: float
    ) -> None:
        """The name of a moment, beside its line; before it where it would reach beyond the lane's `right` edge."""
        for text in mark.texts[:1]:
            plate = QtCore.QRectF(rect.left(), rect.top() + _FLAG * mark.row, metrics.horizontalAdvance(text) + 8.0, _FLAG)
            plate.moveRight(min(plate.right(), max(right, plate.width())))
            painter.fillRect(plate, QtGui.QColor(mark.colour))
            painter.setPen(QtGui.QColor(ink_on(mark.colour)))
            painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    def _flow(self, painter: QtGui.QPainter, metrics: QtGui.QFontMetricsF, rect: QtCore.QRectF, text: str, ink: str) -> None:
        family = painter.font().family()
        # Between two pictures a block's width differs by rounding only, and its lines must not break differently.
        room, most = int(rect.width() - 6.0 + 0.01), int(rect.height() // _LINE)
        key = (family, text, room, most)
        lines = self._lines.get(key)
        if lines is None:
            if len(self._lines) >= _MOST_MEASURED:
                self._lines.clear()
            lines = self._lines[key] = wrapped(text, room, most, lambda part: self._width(part, family, metrics))
        painter.setPen(QtGui.QColor(ink))
        baseline = rect.top() + (rect.height() - _LINE * most + _LINE + metrics.capHeight()) / 2.0
        for number, line in enumerate(lines):
            painter.drawText(QtCore.QPointF(rect.left() + 3.0, baseline + _LINE * number), line)

    def _width(self, text: str, family: str, metrics: QtGui.QFontMetricsF) -> float:
        width = self._widths.get((family, text))
        if width is None:
            if len(self._widths) >= _MOST_MEASURED:
                self._widths.clear()
            width = self._widths[family, text] = metrics.horizontalAdvance(text)
        return width

    def paint(self, painter: QtGui.QPainter, option: Any, widget: Any = None) -> None:
        """Draw what there is, once a look is known."""
        if self.look is None:
            return
        palette = self.look.palette
        to_pixels = painter.transform()
        lane = to_pixels.mapRect(self._bounds)
        painter.save()
        painter.resetTransform()
        painter.setClipRect(lane)
        font = _flag_font()
        font.setBold(self._bold)
        metrics = QtGui.QFontMetricsF(font)
        painter.setFont(font)
        family = font.family()
        # All lines first: none runs through another one's name.
        for mark in self._marks:
            if mark.flag:
                top = to_pixels.map(QtCore.QPointF(mark.first, 0.0))
                painter.fillRect(QtCore.QRectF(top.x(), lane.top(), 2.0, lane.height()), QtGui.QColor(mark.colour))
        for mark in self._marks:
            rect = to_pixels.mapRect(QtCore.QRectF(mark.first, 0.0, mark.end - mark.first, 1.0))
            rect.setWidth(max(rect.width() - 1.0, 2.0))
            if mark.flag:
                self._flag(painter, metrics, rect, mark, lane.right())
                continue
            if mark.faint:
                painter.fillRect(rect, QtGui.QColor(mark.colour))
                continue
            painter.setPen(QtGui.QPen(QtGui.QColor(mark.colour), 1.0))
            if mark.hatched:
                painter.fillRect(rect, QtGui.QBrush(QtGui.QColor(mark.colour), Qt.BrushStyle.BDiagPattern))
                painter.drawRect(rect.adjusted(0.5, 0.5, -0.5, -0.5))
                ink = palette.text
            else:
                painter.fillRect(rect, QtGui.QColor(mark.colour))
                ink = ink_on(mark.colour)
            visible = rect.intersected(lane)
            if mark.flowing:
                self._flow(painter, metrics, visible, mark.texts[0], ink)
                continue
            side = 9.0 if mark.shape is not None else 0.0
            room = visible.width() - 8.0
            for text in (*mark.texts, ""):
                gap = 4.0 if side and text else 0.0
                width = self._width(text, family, metrics) + side + gap
                if width <= room or (not text and side <= visible.width()):
                    break
            else:
                continue
            left = visible.left() + max(4.0, 0.0) if text else visible.center().x() - side / 2.0
            if mark.hatched and text:
                backing = QtCore.QRectF(left - 2.0, visible.center().y() - 7.0, width + 4.0, 14.0)
                painter.fillRect(backing, QtGui.QColor(palette.well))
            if mark.shape is not None and side <= visible.width():
                draw_shape(painter, mark.shape, QtCore.QRectF(left, visible.center().y() - side / 2.0, side, side), ink)
            if text:
                painter.setPen(QtGui.QColor(ink))
                painter.drawText(QtCore.QPointF(left + side + gap, visible.center().y() + metrics.capHeight() / 2.0), text)
        painter.restore()


class _Ends(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no types
    """A class's shape at the end of its line, while the utterance is under way; drawn in pixels."""

    SIDE = 9.0

    def __init__(self) -> None:
        super().__init__()
        self._at = 0.0
        self._scores: Sequence[float] = ()
        self.look: Look | None = None

    def show_ends(self, at: float, scores: Sequence[float]) -> None:
        if at != self._at:
            self.prepareGeometryChange()
        self._at, self._scores = at, scores
        self.update()

    def boundingRect(self) -> QtCore.QRectF:  # noqa: N802 - Qt's name
        return QtCore.QRectF(self._at - 1.0, -0.03, 2.0, 1.06)

    def paint(self, painter: QtGui.QPainter, option: Any, widget: Any = None) -> None:
        if self.look is None:
            return
        to_pixels = painter.transform()
        painter.save()
        painter.resetTransform()
        half = self.SIDE / 2.0
        for style, score in zip(self.look.classes, self._scores, strict=False):
            at = to_pixels.map(QtCore.QPointF(self._at, score))
            draw_shape(painter, style.shape, QtCore.QRectF(at.x() - half, at.y() - half, self.SIDE, self.SIDE), style.colour)
        painter.restore()


class _Before(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no types
    """The time before the stream began, in which nothing was heard; drawn in pixels."""

    def __init__(self, *, says: bool) -> None:
        super().__init__()
        self._says = says
        self._text = ""
        self._begins = self._starts = 0.0
        self.look: Look | None = None

    def show_before(self, begins: float, text: str, starts: float = 0.0) -> None:
        """Cover the seconds from `begins`, where the lane does, to those at which the stream `starts`."""
        if (begins, starts) != (self._begins, self._starts):
            self.prepareGeometryChange()
        self._begins, self._starts, self._text = begins, starts, text
        self.setVisible(begins < starts)

    def boundingRect(self) -> QtCore.QRectF:  # noqa: N802 - Qt's name
        return QtCore.QRectF(self._begins, -1e3, max(self._starts - self._begins, 0.0), 2e3)

    def paint(self, painter: QtGui.QPainter, option: Any, widget: Any = None) -> None:
        if self.look is None:
            return
        palette, box = self.look.palette, self.getViewBox()
        lane = box.mapRectToScene(box.rect())
        rect = painter.transform().mapRect(self.boundingRect()).intersected(lane)
        painter.save()
        painter.resetTransform()
        painter.fillRect(rect, QtGui.QColor(blend(palette.panel, palette.well, 0.6)))
        if self._says:
            painter.setFont(numeric_font(12))
            if QtGui.QFontMetricsF(painter.font()).horizontalAdvance(self._text) + 16.0 <= rect.width():
                painter.setPen(QtGui.QColor(palette.dim))
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.restore()


class TimeAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Seconds of the stream as ``m:ss``; there are none before it began."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802
        """Every second, or every two, five or ten."""
        step = next((step for step, most in ((1.0, 8.0), (2.0, 15.0), (5.0, 30.0)) if maximum - minimum <= most), 10.0)
        return [(step, [float(v) for v in np.arange(max(np.ceil(minimum / step), 0.0) * step, maximum + 0.01, step)])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Minutes and seconds."""
        return [f"{int(v) // 60}:{int(v) % 60:02d}" for v in values]


def band_image(energies: NDArray[np.float32], order: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Band energies as a picture.

    Parameters
    ----------
    energies
        Natural logarithms, NaN where nothing was heard, shape ``(columns, bands)``.
    order
        The bands from low to high.

    Returns
    -------
    Shape as `energies`: 0 for nothing or 60 dB under the loudest cell, 255 for the loudest.
    """
    if not np.isfinite(energies).any():
        return np.zeros(energies.shape, dtype=np.uint8)
    top = float(np.nanmax(energies))
    scaled = (energies[:, order] - top) * (255.0 * DECIBELS_PER_NEPER / ENERGY_RANGE_DB) + 255.0
    return np.asarray(np.nan_to_num(np.clip(scaled, 0.0, 255.0), nan=0.0), dtype=np.uint8)


def wrapped(text: str, room: float, most: int, width: Callable[[str], float]) -> tuple[str, ...]:
    """`text` in lines.

    Parameters
    ----------
    room
        What a line may be wide.
    most
        How many lines there may be.
    width
        How wide a part is.

    Returns
    -------
    Whole words only; "…" follows the last one where not all have room. Nothing where not even the first has.
    """
    words = text.split()
    lines: list[list[str]] = [[]]
    for word in words:
        if width(" ".join([*lines[-1], word])) <= room:
            lines[-1].append(word)
        elif lines[-1] and len(lines) < most and width(word) <= room:
            lines.append([word])
        else:
            break
    if sum(map(len, lines)) < len(words):
        while lines and (not lines[-1] or width(" ".join([*lines[-1], "…"])) > room):
            if lines[-1]:
                lines[-1].pop()
            else:
                lines.pop()
        if lines:
            lines[-1].append("…")
    return tuple(" ".join(line) for line in lines) if most else ()


class TimelinePanel(Panel):
    """Six lanes over one time axis."""

    utterance_chosen = QtCore.Signal(int)
    """A committed utterance was clicked: its number."""
    span_changed = QtCore.Signal(int)
    """The user wants to see so many seconds."""

    def __init__(self) -> None:
        super().__init__("Timeline")
        self._look: Look | None = None
        self._bank: FilterBank | None = None
        self._drawn: tuple[int, int, int, bool] | None = None
        self._shown_position = -1
        self._range = (0.0, 60.0)
        self._span_seconds = 60
        self._beside = False  # whether it is one of two people
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self.header.addSpacing(8)
        self.header.addWidget(self._legend)
        self._explanation = ElidedLabel()
        self._explanation.show_text("bold: so far, thin: windows", "bold: so far")
        self.header.addWidget(self._explanation, 1)
        self._zooms: dict[int, QtWidgets.QToolButton] = {}
        group = QtWidgets.QButtonGroup(self)
        for seconds in (60, 20):
            button = QtWidgets.QToolButton()
            button.setCheckable(True)
            button.setChecked(seconds == self._span_seconds)
            button.setText(f"{seconds} s")
            button.setToolTip(f"Show the last {seconds} seconds (Z switches)")
            button.setAccessibleName(f"show the last {seconds} seconds")
            button.clicked.connect(lambda _checked=False, chosen=seconds: self._choose_span(chosen))
            group.addButton(button)
            self.header.addWidget(button)
            self._zooms[seconds] = button

        self._view = pg.GraphicsLayoutWidget()
        self._view.setMinimumHeight(_HIGH)
        self._view.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._view.setAccessibleName("timeline of the last minute")
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.ci.layout.setSpacing(3)
        self._view.ci.layout.setContentsMargins(0, 0, 6, 0)
        self.body.addWidget(self._view, 1)
        self._lanes = {
            name: self._add_lane(row, name, low, high)
            for row, (name, low, high) in enumerate(
                (
                    ("verdicts", 0.0, 1.0),
                    ("words", 0.0, 1.0),
                    ("scores", -0.03, 1.03),
                    ("level", LEVEL_FLOOR, 0.0),
                    ("voice", 0.0, 1.0),
                    ("bands", 0.0, 1.0),
                )
            )
        }
        self._before = {name: _Before(says=name == "scores") for name in self._lanes}
        for name, before in self._before.items():
            before.setZValue(25)
            self._lanes[name].addItem(before, ignoreBounds=True)
        layout = self._view.ci.layout
        layout.setRowFixedHeight(0, 24)
        layout.setRowFixedHeight(4, 14)
        for row, stretch in ((2, 6), (3, 2), (5, 4)):
            layout.setRowStretchFactor(row, stretch)
        self._marks = {name: Marks(bold=name != "words") for name in ("verdicts", "words", "scores", "level", "bands")}
        for name, marks in self._marks.items():
            marks.setZValue(-20 if name == "scores" else 5)
            self._lanes[name].addItem(marks, ignoreBounds=True)
        # NB: marks are drawn over a lane of height 1; the level lane spans other values.
        self._marks["level"].setTransform(QtGui.QTransform.fromScale(1.0, -LEVEL_FLOOR).translate(0.0, -1.0))
        # Names of markers lie over the curves, which utterances lie under.
        self._flags = Marks()
        self._flags.setZValue(15)
        self._lanes["scores"].addItem(self._flags, ignoreBounds=True)
        self._evidence: list[Any] = []
        self._estimates: list[Any] = []
        self._ends = _Ends()
        self._ends.setZValue(20)
        self._lanes["scores"].addItem(self._ends, ignoreBounds=True)
        self._peak = pg.PlotCurveItem(fillLevel=LEVEL_FLOOR)
        self._rms = pg.PlotCurveItem(fillLevel=LEVEL_FLOOR)
        for curve in (self._peak, self._rms):
            self._lanes["level"].addItem(curve, ignoreBounds=True)
        self._voice = pg.ImageItem()
        self._lanes["voice"].addItem(self._voice, ignoreBounds=True)
        self._bands = pg.ImageItem()
        self._lanes["bands"].addItem(self._bands, ignoreBounds=True)
        self._thresholds = _LINES
        self._lines_shown = -1
        self._view.scene().sigMouseClicked.connect(self._click)
        self._view.setToolTip("A click on an utterance shows it from inside the fusion (Ctrl+A)")
        self._model: DashboardModel | None = None
        self._heads = []
        for lane in self._lanes.values():
            head = pg.InfiniteLine(angle=90)
            head.setZValue(30)
            lane.addItem(head, ignoreBounds=True)
            self._heads.append(head)

    def _add_lane(self, row: int, name: str, low: float, high: float) -> Any:
        axes = {"left": pg.AxisItem("left"), "bottom": TimeAxis("bottom")}
        lane = add_still_plot(self._view, row, GUTTER, axisItems=axes)
        lane.setClipToView(False)
        box = lane.getViewBox()
        box.setYRange(low, high, padding=0.0)
        box.setXRange(0.0, 60.0, padding=0.0)
        left = lane.getAxis("left")
        ticks = {
            "verdicts": [(0.5, "verdicts")],
            "words": [(0.5, "words")],
            "scores": [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")],
            "level": [(-50.0, "−50"), (-30.0, "−30"), (-10.0, "dBFS")],
            "voice": [(0.5, "voice")],
            "bands": [],
        }[name]
        left.setTicks([ticks])
        bottom = lane.getAxis("bottom")
        if name == "bands":
            bottom.setStyle(tickLength=4, tickTextOffset=2)
            bottom.setHeight(20)
        else:
            lane.hideAxis("bottom")
        return lane

    def _choose_span(self, seconds: int) -> None:
        self.show_span(seconds)
        self.span_changed.emit(seconds)

    def show_span(self, seconds: int) -> None:
        """Show so many of the last seconds: 60 or 20."""
        self._span_seconds = seconds
        self._zooms[seconds].setChecked(True)
        self._drawn = None
        self._shown_position = -1

    def toggle_zoom(self) -> None:
        """Switch between the last minute and the last 20 seconds."""
        self._choose_span(20 if self._span_seconds == 60 else 60)

    def _click(self, event: Any) -> None:
        """Choose the committed utterance under the pointer."""
        if self._model is None or event.button() != Qt.MouseButton.LeftButton:
            return
        for name in ("verdicts", "words", "scores"):
            box = self._lanes[name].getViewBox()
            if not box.sceneBoundingRect().contains(event.scenePos()):
                continue
            at = box.mapSceneToView(event.scenePos()).x() * self._model.sample_rate
            for verdict in self._model.verdicts:
                if verdict.span.first <= at < verdict.span.end:
                    self.utterance_chosen.emit(verdict.utterance)
                    return

    def show_person(self, name: str, *, controls: bool = True) -> None:
        """Show one of two people above or below the other: without level and bands, for which there is no room.

        "": the only one, with everything. `controls`: whether legend and zoom stand here, above the other, which has the axis
        of both.
        """
        self.show_title(name or "Timeline")
        layout = self._view.ci.layout
        for row, lane, stretch in ((3, "level", 2), (5, "bands", 4)):
            # NB: a hidden lane keeps its place in Qt's grid, unless nothing may stand in it.
            self._lanes[lane].setVisible(not name)
            self._lanes[lane].setMaximumHeight(0.0 if name else _UNLIMITED)
            layout.setRowStretchFactor(row, 0 if name else stretch)
            layout.setRowMaximumHeight(row, 0.0 if name else _UNLIMITED)
        axis = 20 if name and not controls else 0
        self._lanes["voice"].showAxis("bottom", axis > 0)
        self._lanes["voice"].getAxis("bottom").setHeight(axis)
        if bool(name) is not self._beside:
            self._beside = bool(name)
            if self._look is not None:  # what was hidden until now may be in another theme
                for lane in self._lanes.values():
                    paint_axes(lane, self._look.palette)
        layout.setRowFixedHeight(4, 14 + axis)
        self._view.setMinimumHeight(_LOW if name else _HIGH)
        self._thresholds = _LINES_OF_TWO if name else _LINES
        for button in self._zooms.values():
            button.setVisible(controls)
        # What stands for which class is said beside it, by everybody's bars.
        self._legend.setVisible(controls and not name)
        self._explanation.setVisible(controls)
        self._drawn = None
        self._shown_position = -1

    @property
    def shown_seconds(self) -> int:
        """Length of the time shown."""
        return self._span_seconds

    def show_bank(self, bank: FilterBank) -> None:
        """Take the order and the frequencies of the bands."""
        self._bank = bank
        ranks = (np.linspace(0.08, 0.92, 4) * (bank.bands - 1)).round().astype(int)
        ticks = [(rank + 0.5, _short_hz(bank.centre[rank])) for rank in ranks]
        lane = self._lanes["bands"]
        lane.getAxis("left").setTicks([ticks])
        lane.getViewBox().setYRange(0.0, bank.bands, padding=0.0)
        self._marks["bands"].setTransform(QtGui.QTransform.fromScale(1.0, bank.bands))
        self._drawn = None
        self._shown_position = -1

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        self._look = look
        palette = look.palette
        self._drawn = None
        self._shown_position = -1
        self._view.setBackground(palette.panel)
        for lane in self._lanes.values():
            paint_axes(lane, palette)
        for marks in (*self._marks.values(), self._flags):
            marks.look = look
        self._ends.look = look
        for before in self._before.values():
            before.look = look
        for head in self._heads:
            head.setPen(pg.mkPen(palette.dim, width=1))
        self._peak.setPen(pg.mkPen(None))
        self._peak.setBrush(pg.mkBrush(blend(palette.good, palette.well, 0.3)))
        self._rms.setPen(pg.mkPen(None))
        self._rms.setBrush(pg.mkBrush(blend(palette.good, palette.well, 0.7)))
        shades = np.linspace(0.0, 1.0, 256)
        voice_table = [QtGui.QColor(blend(palette.accent, palette.well, share)) for share in shades]
        self._voice.setLookupTable(np.array([(c.red(), c.green(), c.blue()) for c in voice_table], dtype=np.uint8))
        self._bands.setLookupTable(heat_table(palette))
        lane = self._lanes["scores"]
        for curve in (*self._evidence, *self._estimates):
            lane.removeItem(curve)
        self._evidence = [pg.PlotCurveItem(connect="finite") for _ in look.classes]
        self._estimates = [pg.PlotCurveItem(connect="finite", antialias=True) for _ in look.classes]
        for index, style in enumerate(look.classes):
            self._evidence[index].setPen(pg.mkPen(blend(style.colour, palette.well, 0.38), width=1))
            self._evidence[index].setZValue(-10)
            self._estimates[index].setPen(pg.mkPen(style.colour, width=2))
            for curve in (self._evidence[index], self._estimates[index]):
                lane.addItem(curve, ignoreBounds=True)
        names = "&nbsp;&nbsp;".join(f'<span style="color:{s.colour}">{s.glyph} {s.name}</span>' for s in look.classes)
        set_text(self._legend, names)

    def refresh_plots(self, model: DashboardModel, position: int | None = None) -> None:
        """Draw what is new: time moves on with every frame, the traces change with every column (50 ms).

        Parameters
        ----------
        position
            The sample that is "now"; ``None``: the newest that the model knows.
        """
        self._model = model
        if self._look is None or not model.classes:
            return
        self._make_room_for_words()
        position = model.position if position is None else position
        # Lines are smoothed and move by less than a pixel; what is less than a third of one would not be seen.
        least = max(int(self._seconds_per_pixel() * model.sample_rate / 3.0), 1)
        position -= position % least
        if position != self._shown_position:
            self._shown_position = position
            now = position / model.sample_rate
            # Now always stands at the same place; some room to the right of it, for the shapes at the ends of the lines.
            self._range = (now - self._span_seconds, now + 0.012 * self._span_seconds)
            for lane in self._lanes.values():
                lane.getViewBox().setXRange(*self._range, padding=0.0)
            said = "before the start" if position else "What is heard appears here, the newest on the right."
            for before in self._before.values():
                before.show_before(self._range[0], said, 0.0 if position else self._range[1])
            for head in self._heads:
                head.setPos(now)
        columns = model.end_bin // self._stride
        state = (columns, len(model.verdicts), len(model.markers), model.open_onset is None)
        if state != self._drawn:
            self._drawn = state
            model.catch_up()
            self._show_columns(model)
        # NB: pyqtgraph applies new ranges while it paints, which would order a second painting; this applies them now.
        self._view.scene().prepareForPaint()

    def _make_room_for_words(self) -> None:
        """Give the words as many lines as the height allows."""
        lines = next(lines for least, lines in self._thresholds if self._view.height() >= least)
        if lines == self._lines_shown:
            return
        self._lines_shown = lines
        # NB: a hidden lane keeps its place in Qt's grid, unless nothing may stand in it.
        self._lanes["words"].setVisible(lines > 0)
        self._view.ci.layout.setRowFixedHeight(1, _LINE * lines + 4.0 if lines else 0.0)

    @property
    def _stride(self) -> int:
        """Bins of a column: a minute on a usual screen is about a pixel every 50 ms, half the columns will do there."""
        return 1 if self._span_seconds < 60 else 2

    def _seconds_per_pixel(self) -> float:
        """How much time a pixel of the screen stands for; 0 before there is a size."""
        width = self._lanes["scores"].getViewBox().width() * self._view.devicePixelRatioF()
        return self._span_seconds / width if width > 1.0 else 0.0

    def _show_columns(self, model: DashboardModel) -> None:
        bin_seconds = BIN_SAMPLES / model.sample_rate
        first, end = self._range
        stride = self._stride
        start, evidence = coarser(model.evidence, 4)
        times = (start + 4.0 * (np.arange(len(evidence)) + 0.5)) * bin_seconds
        for index, curve in enumerate(self._evidence):
            curve.setData(times, evidence[:, index])
        rows = model.estimates.view()
        self._show_ends(model, rows)
        rows = last_of_each(rows, BIN_SAMPLES * stride)
        times = rows[:, 0] / model.sample_rate
        for index, curve in enumerate(self._estimates):
            curve.setData(times, rows[:, 1 + index])
        start, envelope = coarser(model.envelope, stride, "max")
        times = (start + stride * (np.arange(len(envelope)) + 0.5)) * bin_seconds
        envelope = np.nan_to_num(envelope, nan=LEVEL_FLOOR)
        self._peak.setData(times, envelope[:, 0])
        self._rms.setData(times, envelope[:, 1])
        start, voice = coarser(model.voice, stride, "max")
        frame = QtCore.QRectF(start * bin_seconds, 0.0, len(voice) * stride * bin_seconds, 1.0)
        # NB: Qt draws nothing of an image with a single row.
        shades = np.repeat(np.nan_to_num(voice * 255.0, nan=0.0).astype(np.uint8), 2, axis=1)
        self._voice.setImage(shades, autoLevels=False, levels=None)
        self._voice.setRect(frame)
        if model.bands is not None and self._bank is not None and model.bands.view().shape[1] == self._bank.bands:
            start, energies = coarser(model.bands, stride, "max")
            self._bands.setImage(band_image(energies, self._bank.order), autoLevels=False, levels=None)
            width = len(energies) * stride * bin_seconds
            self._bands.setRect(QtCore.QRectF(start * bin_seconds, 0.0, width, float(self._bank.bands)))
            self._bands.setVisible(True)
        else:
            self._bands.setVisible(False)
        self._show_marks(model, first, end)

    def _show_ends(self, model: DashboardModel, rows: NDArray[np.float64]) -> None:
        if model.open_onset is None or not len(rows) or not np.isfinite(rows[-1]).all():
            self._ends.show_ends(0.0, ())
        else:
            self._ends.show_ends(float(rows[-1, 0]) / model.sample_rate, tuple(map(float, rows[-1, 1:])))

    def _show_marks(self, model: DashboardModel, first: float, end: float) -> None:
        if self._look is None:
            return
        palette, rate = self._look.palette, model.sample_rate
        gaps = [Mark(gap.first / rate, gap.end / rate, palette.warning, ("gap",), hatched=True) for gap in model.gaps]
        blocks = [self._block(verdict, rate) for verdict in model.verdicts]
        spans = [verdict.span.seconds(rate) for verdict in model.verdicts]
        if model.open_onset is not None:
            now = model.position / rate
            blocks.append(Mark(model.open_onset / rate, now, palette.grid, ("under way", "…")))
            spans.append((model.open_onset / rate, now))
        shade = blend(palette.text, palette.well, 0.06)
        utterances = [Mark(start, stop, shade, faint=True) for start, stop in spans]
        flags = self._placed_flags(model, first, end)
        lines = [replace(one, texts=()) for one in flags]
        self._marks["verdicts"].show_marks([*blocks, *gaps, *lines], first, end)
        said = [one for one in (self._said(verdict, rate) for verdict in model.verdicts) if one is not None]
        self._marks["scores"].show_marks([*utterances, *gaps], first, end)
        bare = [*(Mark(gap.first, gap.end, gap.colour, hatched=True) for gap in gaps), *lines]
        self._marks["words"].show_marks([*said, *bare], first, end)
        self._flags.show_marks(flags, first, end)
        self._marks["level"].show_marks(bare, first, end)
        self._marks["bands"].show_marks(bare, first, end)

    def _placed_flags(self, model: DashboardModel, first: float, end: float) -> list[Mark]:
        """Markers in view, no name over another."""
        if self._look is None:
            return []
        metrics, second = QtGui.QFontMetricsF(_flag_font()), self._seconds_per_pixel() * self._view.devicePixelRatioF()
        markers = [one for one in model.markers if first <= one.sample / model.sample_rate <= end]
        lengths = [(metrics.horizontalAdvance(one.name) + 12.0) * second for one in markers]
        # Names that would reach beyond the right edge are drawn further left.
        places = [min(one.sample / model.sample_rate, end - length) for one, length in zip(markers, lengths, strict=True)]
        rows = min(_FLAG_ROWS, max(int(self._lanes["scores"].getViewBox().height() // _FLAG), 1))
        flags = []
        for one, row in zip(markers, place_flags(list(zip(places, lengths, strict=True)), rows), strict=True):
            at, colour = one.sample / model.sample_rate, shown_colour(one.colour, self._look.palette.dim)
            flags.append(Mark(at, at, colour, () if row is None else (one.name,), flag=True, row=row or 0))
        return flags

    def _said(self, verdict: Verdict, rate: int) -> Mark | None:
        """The words of a committed utterance, below its block and as long."""
        transcript = verdict.estimate.transcript
        if self._look is None or transcript is None or not transcript.words:
            return None
        return Mark(*verdict.span.seconds(rate), self._look.palette.grid, (transcript.text,), flowing=True)

    def _block(self, verdict: Verdict, rate: int) -> Mark:
        """A committed utterance: its class's colour, shape and name, or hatching where the tool abstained."""
        if self._look is None:
            raise RuntimeError("a theme is applied before anything is drawn")
        start, stop = verdict.span.seconds(rate)
        label = verdict.estimate.label
        if verdict.is_bleed:
            return bleed_mark(start, stop, self._look)
        for style in self._look.classes:
            if style.name == label:
                percent = f"{100.0 * verdict.estimate.confidence:.0f}"
                texts = (f"{label} {percent} %", label, percent)
                return Mark(start, stop, style.colour, texts, style.shape)
        return Mark(start, stop, self._look.palette.unsure, ("unsure", "?"), hatched=True)


def _flag_font() -> QtGui.QFont:
    """In which names of moments are written, and everything else in a lane."""
    font = QtGui.QFont(QtWidgets.QApplication.font())
    font.setPixelSize(11)
    font.setBold(True)
    return font


def bleed_mark(start: float, stop: float, look: Look) -> Mark:
    """An utterance that is probably another's voice: no class's colour, lest it be read as this person's."""
    return Mark(start, stop, look.palette.dim, ("↔ bleed", "↔"), hatched=True)


def place_flags(spans: Sequence[tuple[float, float]], rows: int) -> list[int | None]:
    """The row for each name, so that none covers another; ``None`` where there is no room.

    Parameters
    ----------
    spans
        Where each begins and how long it is, by where they begin.
    """
    free = [-np.inf] * rows
    placed: list[int | None] = []
    for start, length in spans:
        row = next((index for index, until in enumerate(free) if until <= start), None)
        if row is not None:
            free[row] = start + length
        placed.append(row)
    return placed


def _short_hz(hertz: float) -> str:
    return f"{hertz / 1000.0:.1f} kHz" if hertz >= 1000.0 else f"{hertz:.0f} Hz"
