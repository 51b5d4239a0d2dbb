"""The replay's timeline: markers, verdicts, words and scores over the session's seconds, to zoom, drag and click into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from realtime_ser.gui.panels.panel import Look
from realtime_ser.gui.panels.timeline import Mark, Marks
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.replay.document import Document, Lines, Utterance
from realtime_ser.gui.theme import blend

__all__ = ["ReplayLanes", "place_flags"]

GUTTER = 72
FLAG_ROWS = 2
_POINTS = 2_500
"""Of a line at most: more than there are pixels."""

_READABLE = 16.0
"""Pixels that a block must have before words are looked for that fit."""

_NEAR = 600.0
"""Seconds up to which lines are drawn wide and smooth."""

_CLOSEST = 0.5
"""Seconds that are shown at least."""


class _ClockAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Seconds as ``m:ss`` or ``h:mm:ss``, with decimals where they tell ticks apart."""

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        decimals = 0 if spacing >= 1.0 else 1 if spacing >= 0.1 else 2
        width = 2 if not decimals else 3 + decimals
        return [_tick(round(v, 3), f"0{width}.{decimals}f") for v in values]


class ReplayLanes(QtWidgets.QWidget):
    """Lanes over one time axis. The wheel zooms, dragging moves, a click seeks. GUI thread only."""

    sought = QtCore.Signal(float)
    """Somebody clicked at these seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._document: Document | None = None
        self._look: Look | None = None
        self._chosen: int | None = None
        self._near: bool | None = None
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setAccessibleName("timeline of the session")
        self._view.ci.layout.setSpacing(3)
        self._view.ci.layout.setContentsMargins(0, 0, 8, 0)
        layout.addWidget(self._view)
        names = ("markers", "verdicts", "later", "words", "scores")
        self._lanes = {name: self._add_lane(row, name) for row, name in enumerate(names)}
        self._marks = {name: Marks() for name in names}
        # Moments go through the scores, over the utterances' shades.
        self._lines = Marks()
        self._lines.setZValue(-5)
        self._lanes["scores"].addItem(self._lines, ignoreBounds=True)
        self._curves: list[tuple[Any, Any]] = []
        self._heads = []
        for name, lane in self._lanes.items():
            self._marks[name].setZValue(-20 if name == "scores" else 5)
            lane.addItem(self._marks[name], ignoreBounds=True)
            head = pg.InfiniteLine(angle=90)
            head.setZValue(30)
            lane.addItem(head, ignoreBounds=True)
            self._heads.append(head)
            if name != "scores":
                lane.setXLink(self._lanes["scores"])
        self._box = self._lanes["scores"].getViewBox()
        self._box.sigXRangeChanged.connect(self._redraw)
        self._view.scene().sigMouseClicked.connect(self._click)

    def _add_lane(self, row: int, name: str) -> Any:
        lane = self._view.addPlot(row=row, col=0, axisItems={"left": pg.AxisItem("left"), "bottom": _ClockAxis("bottom")})
        lane.setMenuEnabled(False)
        lane.setMouseEnabled(True, False)
        lane.hideButtons()
        box = lane.getViewBox()
        box.setDefaultPadding(0.0)
        box.disableAutoRange()
        box.setYRange(*((-0.03, 1.03) if name == "scores" else (0.0, 1.0)), padding=0.0)
        for side in ("left", "bottom"):
            lane.getAxis(side).enableAutoSIPrefix(False)
        left = lane.getAxis("left")
        left.setWidth(GUTTER)
        left.setStyle(tickLength=-4, tickTextOffset=4)
        ticks = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
        left.setTicks([ticks if name == "scores" else [(0.5, "recorded" if name == "verdicts" else name)]])
        if name == "scores":
            lane.getAxis("bottom").setHeight(22)
        else:
            lane.hideAxis("bottom")
        return lane

    # What is shown --------------------------------------------------------------------------------------------------------

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes of the scores that are drawn as lines."""
        self._look = look
        palette = look.palette
        self._view.setBackground(palette.panel)
        font = QtGui.QFont(QtWidgets.QApplication.font())
        font.setPixelSize(10)
        for name, lane in self._lanes.items():
            lane.getViewBox().setBackgroundColor(palette.well)
            for side in ("left", "bottom"):
                axis = lane.getAxis(side)
                axis.setStyle(tickFont=font)
                axis.setPen(pg.mkPen(palette.line))
                axis.setTextPen(pg.mkPen(palette.dim))
            self._marks[name].look = look
        self._lines.look = look
        for head in self._heads:
            head.setPen(pg.mkPen(palette.accent, width=2))
        scores = self._lanes["scores"]
        for pair in self._curves:
            for curve in pair:
                scores.removeItem(curve)
        self._curves = []
        self._near = None
        for style in look.classes:
            thin, bold = pg.PlotCurveItem(connect="finite"), pg.PlotCurveItem(connect="finite", antialias=True)
            thin.setPen(pg.mkPen(blend(style.colour, palette.well, 0.38), width=1))
            thin.setZValue(-10)
            bold.setPen(pg.mkPen(style.colour, width=2))
            for curve in (thin, bold):
                scores.addItem(curve, ignoreBounds=True)
            self._curves.append((thin, bold))
        self._redraw()

    def show_document(self, document: Document) -> None:
        """Show another session, or the same with other scores; the view stays where it is in the same one."""
        known = self._document is not None and self._document.folder == document.folder
        self._document = document
        rows = {
            "later": 24 if document.scores is not None else 0,
            "words": 20 if any(_said(u) for u in document.utterances) else 0,
        }
        layout = self._view.ci.layout
        for row, name in enumerate(self._lanes):
            height = {"markers": 15 * FLAG_ROWS + 2, "verdicts": 24, **rows}.get(name)
            self._lanes[name].setVisible(height != 0)
            if height is not None:
                layout.setRowFixedHeight(row, height)
        self._lanes["later"].getAxis("left").setTicks([[(0.5, _short(document.scores or ""))]])
        length = max(document.seconds, _CLOSEST)
        self._box.setLimits(xMin=0.0, xMax=length, minXRange=_CLOSEST, maxXRange=length)
        if not known:
            self.show_all()
        self._redraw()

    def choose(self, number: int | None) -> None:
        """Light up an utterance."""
        if number != self._chosen:
            self._chosen = number
            self._redraw()

    def set_head(self, seconds: float) -> None:
        """Move the line that says where one is."""
        for head in self._heads:
            head.setPos(seconds)

    # The view -------------------------------------------------------------------------------------------------------------

    @property
    def visible_range(self) -> tuple[float, float]:
        """Seconds from … to that are shown."""
        (first, end), _ = self._box.viewRange()
        return float(first), float(end)

    def show_all(self) -> None:
        """Show the whole session."""
        if self._document is not None:
            self._show(0.0, max(self._document.seconds, _CLOSEST))

    def zoom(self, factor: float, about: float) -> None:
        """Show `factor` times as many seconds, around `about`."""
        first, end = self.visible_range
        length = max((end - first) * factor, _CLOSEST)
        self._show(about - length / 2.0, about + length / 2.0)

    def reveal(self, seconds: float) -> None:
        """Move the view where it does not hold a time, so that the time stands near its left edge."""
        first, end = self.visible_range
        if not first <= seconds <= end:
            self._show(seconds - 0.1 * (end - first), seconds + 0.9 * (end - first))

    def _show(self, first: float, end: float) -> None:
        total = max(self._document.seconds, _CLOSEST) if self._document is not None else end
        length = min(end - first, total)
        first = min(max(first, 0.0), total - length)
        self._box.setXRange(first, first + length, padding=0.0)

    def _click(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        inside = self._box.sceneBoundingRect()
        at = event.scenePos()
        if inside.left() <= at.x() <= inside.right():
            self.sought.emit(float(self._box.mapSceneToView(at).x()))

    # Drawing --------------------------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        document, look = self._document, self._look
        if document is None or look is None:
            return
        first, end = self.visible_range
        # Wide, smooth lines over hours cost ten times as much and are no better to read.
        near = end - first < _NEAR
        if near != self._near:
            self._near = near
            for style, (_, bold) in zip(look.classes, self._curves, strict=True):
                bold.setPen(pg.mkPen(style.colour, width=2 if near else 1))
                bold.opts["antialias"] = near
        for index, (thin, bold) in enumerate(self._curves):
            for curve, lines in ((thin, document.windows), (bold, document.estimates)):
                times, values = _visible(lines, index, first, end)
                curve.setData(times, values)
        palette = look.palette
        gaps = [Mark(start, stop, palette.warning, ("gap",), hatched=True) for start, stop in document.gaps if stop > first]
        bare = [replace(gap, texts=()) for gap in gaps]
        # What is not seen is not drawn: of three hours there are thousands.
        seen = [one for one in document.utterances if one.start <= end and one.end >= first]
        later = [one for one in document.later if one.start <= end and one.end >= first]
        for name, utterances in (("verdicts", seen), ("later", later)):
            self._marks[name].show_marks([*(self._block(one) for one in utterances), *gaps], first, end)
        readable = _READABLE * (end - first) / max(self._box.width(), 1.0)
        said = [
            Mark(one.start, one.end, palette.grid, _shortened(_said(one)) if one.end - one.start > readable else ())
            for one in seen
            if _said(one)
        ]
        self._marks["words"].show_marks([*said, *bare], first, end)
        shade, lit = blend(palette.text, palette.well, 0.06), blend(palette.accent, palette.well, 0.22)
        spans = [Mark(one.start, one.end, lit if one.number == self._chosen else shade, faint=True) for one in seen]
        self._marks["scores"].show_marks([*spans, *bare], first, end)
        self._lines.show_marks(self._show_flags(document, first, end), first, end)

    def _block(self, one: Utterance) -> Mark:
        """A verdict: its class's colour, shape and name, or hatching where the tool abstained; a star: somebody labelled it."""
        if self._look is None:
            raise RuntimeError("a theme is applied before anything is drawn")
        star = "*" if one.annotation else ""
        for style in self._look.classes:
            if style.name == one.label:
                percent = f"{100.0 * one.confidence:.0f}"
                texts = (f"{one.label}{star} {percent} %", f"{one.label}{star}", f"{percent}{star}")
                return Mark(one.start, one.end, style.colour, texts, style.shape)
        name = one.label or "unsure"
        return Mark(one.start, one.end, self._look.palette.unsure, (f"{name}{star}", f"?{star}"), hatched=one.label is None)

    def _show_flags(self, document: Document, first: float, end: float) -> list[Mark]:
        """Draw markers in rows, no name over another (one without room is left out); their bare lines, for other lanes."""
        if self._look is None:
            return []
        palette = self._look.palette
        font = QtGui.QFont(QtWidgets.QApplication.font())
        font.setPixelSize(11)
        font.setBold(True)
        metrics = QtGui.QFontMetricsF(font)
        visible = [row for row in document.markers if first <= row["sample"] / document.rate <= end]
        seconds_a_pixel = (end - first) / max(self._box.width(), 1.0)
        lengths = [(metrics.horizontalAdvance(row["name"]) + 12.0) * seconds_a_pixel for row in visible]
        # Names that would reach beyond the right edge are drawn further left.
        spans = [
            (min(row["sample"] / document.rate, end - length), length) for row, length in zip(visible, lengths, strict=True)
        ]
        flags = []
        for row, level in zip(visible, place_flags(spans, FLAG_ROWS), strict=True):
            colour = row["colour"] if QtGui.QColor.isValidColorName(row["colour"]) else palette.dim
            named = QtGui.QColor(colour).name()
            at = row["sample"] / document.rate
            text = () if level is None else (row["name"],)
            flags.append(Mark(at, at, named, text, flag=True, row=level or 0))
        self._marks["markers"].show_marks(flags, first, end)
        return [replace(flag, texts=()) for flag in flags]


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


def _visible(lines: Lines, index: int, first: float, end: float) -> tuple[Any, Any]:
    """The part of a line that is seen, thinned to what can be seen of it; breaks between stretches are kept."""
    low, high = np.searchsorted(lines.times, [first, end])
    low, high = max(int(low) - 1, 0), min(int(high) + 1, len(lines.times))
    times, values = lines.times[low:high], lines.values[low:high, index]
    stride = max(1, -(-len(times) // _POINTS))
    if stride > 1:
        chosen = np.zeros(len(times), bool)
        chosen[::stride] = True
        chosen |= np.isnan(values)
        times, values = times[chosen], values[chosen]
    return times, values


def _tick(seconds: float, form: str) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:{form}}" if hours else f"{minutes}:{rest:{form}}"


def _said(one: Utterance) -> str:
    return one.corrected or one.words


def _shortened(text: str) -> tuple[str, ...]:
    """`text`, and ever shorter beginnings of it."""
    words = text.split()
    return (" ".join(words), *(f"{' '.join(words[:count])} …" for count in (12, 8, 6, 4, 3, 2, 1) if count < len(words)), "…")


def _short(name: str) -> str:
    return name if len(name) <= 11 else f"{name[:10]}…"
