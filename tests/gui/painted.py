"""Text that is painted, not put into widgets: where it stands, in which colour, and what is wrong with it.

A widget is painted once more, onto a device that keeps nothing but the texts. In a picture that a widget has kept there are
none any more, so these are drawn anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime_ser.gui.panels.level import _Meter
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.lanes import ReplayLanes
from realtime_ser.gui.replay.picture import paint_picture
from realtime_ser.gui.theme import blend, contrast

__all__ = ["PaintedText", "painted_findings", "painted_texts", "paints_text"]

LETTERS, SIGNS = 4.5, 3.0
"""Least contrast with the ground of letters of usual size, and of what is no letter: WCAG 2, level AA."""
SMALLEST = 9.5
"""Pixels of a font at least."""


@dataclass(frozen=True)
class PaintedText:
    """A piece of text as it was painted.

    Attributes
    ----------
    ink
        What its letters cover, in the widget's pixels.
    clip
        Where anything could be painted at all.
    colour
        With its transparency.
    pixels
        Height of its font.
    """

    text: str
    ink: QtCore.QRectF
    clip: QtCore.QRectF
    colour: QtGui.QColor
    pixels: float


class _Engine(QtGui.QPaintEngine):
    """Keeps texts, and drops everything else."""

    def __init__(self) -> None:
        super().__init__(QtGui.QPaintEngine.PaintEngineFeature.AllFeatures)
        self.texts: list[PaintedText] = []

    def type(self) -> QtGui.QPaintEngine.Type:
        return QtGui.QPaintEngine.Type.User

    def begin(self, device: QtGui.QPaintDevice) -> bool:
        return True

    def end(self) -> bool:
        return True

    def updateState(self, state: QtGui.QPaintEngineState) -> None:  # noqa: N802 - Qt's name
        pass  # what is needed of it is the painter's, too

    def _drop(self, *_: Any) -> None:
        pass

    drawPixmap = drawImage = drawTiledPixmap = drawPath = drawRects = _drop  # noqa: N815 - Qt's names
    drawPolygon = drawLines = drawEllipse = drawPoints = _drop  # noqa: N815 - Qt's names

    def drawTextItem(self, place: QtCore.QPointF, item: QtGui.QTextItem) -> None:  # noqa: N802 - Qt's name
        if not item.text().strip():
            return
        painter = self.painter()
        metrics, onto = QtGui.QFontMetricsF(item.font()), painter.combinedTransform()
        ink = onto.mapRect(metrics.tightBoundingRect(item.text()).translated(place))
        clip = onto.mapRect(painter.clipBoundingRect()) if painter.hasClipping() else QtCore.QRectF(-1e6, -1e6, 2e6, 2e6)
        colour = painter.pen().color()
        colour.setAlphaF(colour.alphaF() * painter.opacity())
        pixels = QtGui.QFontInfo(item.font()).pixelSize() * onto.map(QtCore.QLineF(0.0, 0.0, 0.0, 1.0)).length()
        self.texts.append(PaintedText(item.text(), ink, clip, colour, pixels))


class _Texts(QtGui.QPaintDevice):
    """A device of a widget's size that keeps texts."""

    def __init__(self, size: QtCore.QSize) -> None:
        super().__init__()
        self.engine = _Engine()
        metric = QtGui.QPaintDevice.PaintDeviceMetric
        self._metrics = {
            metric.PdmWidth: size.width(),
            metric.PdmHeight: size.height(),
            metric.PdmDepth: 32,
            metric.PdmNumColors: 1 << 24,
            metric.PdmDevicePixelRatio: 1,
            metric.PdmDevicePixelRatioScaled: 1 << 16,
        }
        screen = QtGui.QGuiApplication.primaryScreen()
        for axis, dots in (("X", screen.logicalDotsPerInchX()), ("Y", screen.logicalDotsPerInchY())):
            for kind in (f"PdmDpi{axis}", f"PdmPhysicalDpi{axis}"):
                self._metrics[getattr(metric, kind)] = round(dots)

    def paintEngine(self) -> QtGui.QPaintEngine:  # noqa: N802 - Qt's name
        return self.engine

    def metric(self, metric: QtGui.QPaintDevice.PaintDeviceMetric) -> int:
        return self._metrics.get(metric, 0)


def paints_text(widget: QtWidgets.QWidget) -> bool:
    """Whether what it shows is painted by the program: by a ``paintEvent`` of its own, or by items in a scene."""
    if isinstance(widget.parent(), QtWidgets.QGraphicsView):
        return widget.parent().viewport() is widget
    own = (kind for kind in type(widget).__mro__ if kind.__module__.startswith("realtime_ser."))
    return any("paintEvent" in vars(kind) for kind in own)


def painted_texts(widget: QtWidgets.QWidget) -> list[PaintedText]:
    """What `widget` writes, without its children."""
    device = _Texts(widget.size())
    widget.render(device, QtCore.QPoint(), QtGui.QRegion(), QtWidgets.QWidget.RenderFlag.IgnoreMask)
    painter = QtGui.QPainter(device)
    if isinstance(widget, ReplayLanes) and widget._content is not None:
        paint_picture(painter, widget._content, widget.size(), *widget.visible_range)
    elif isinstance(widget, _Meter):
        widget.paint_scale(painter)
    painter.end()
    return device.engine.texts


def painted_findings(widget: QtWidgets.QWidget, window: QtWidgets.QWidget, picture: QtGui.QImage) -> Iterator[str]:
    """What cannot be read, or not in full, of what `widget` paints; `picture` shows the `window` that it lies in."""
    texts = painted_texts(widget)
    room = QtCore.QRectF(widget.rect())
    scrolled_to = QtCore.QRectF(widget.visibleRegion().boundingRect())
    corner = QtCore.QPointF(widget.mapTo(window, QtCore.QPoint(0, 0)))
    for one in texts:
        name = f"{_owner(widget)} paints {one.text[:40]!r}"
        seen = one.ink.intersected(one.clip).intersected(room)
        lost = max(one.ink.width() - seen.width(), one.ink.height() - seen.height())
        if lost > 1.0:
            yield f"{name}, of which {lost:.0f} px are cut off"
        if one.pixels < SMALLEST:
            yield f"{name} in letters of {one.pixels:.0f} px"
        if not seen.isEmpty() and scrolled_to.contains(seen):
            yield from (f"{name}, which {problem}" for problem in _faint(one, seen.translated(corner), picture))
    for one, other in itertools.combinations(texts, 2):
        common = one.ink.intersected(other.ink)
        if common.width() > 0.5 and common.height() > 0.5:
            yield f"{_owner(widget)} paints {one.text[:40]!r} and {other.text[:40]!r} over each other"


def _owner(widget: QtWidgets.QWidget) -> str:
    """Whose painting it is, in a word: of a view, what it is called."""
    view = widget.parent()
    if isinstance(view, QtWidgets.QGraphicsView):
        return view.accessibleName() or type(view).__name__
    return type(widget).__name__


def _faint(one: PaintedText, seen: QtCore.QRectF, picture: QtGui.QImage) -> Iterator[str]:
    ratio = picture.devicePixelRatio()
    place = QtCore.QRectF(seen.topLeft() * ratio, seen.size() * ratio).toAlignedRect().adjusted(-1, -1, 1, 1)
    part = picture.copy(place.intersected(picture.rect()))
    pixels = np.frombuffer(part.constBits(), np.uint32) & 0xFFFFFF
    colours, counts = np.unique(pixels, return_counts=True)
    named = [f"#{int(colour):06x}" for colour in colours[np.argsort(counts)[::-1]]]
    # Of letters that are as bold as they are large, more is ink than ground.
    ground = next((colour for colour in named if contrast(colour, one.colour.name()) > 1.05), named[0])
    ink = blend(one.colour.name(), ground, one.colour.alphaF())
    least = LETTERS if any(map(str.isalnum, one.text)) else SIGNS
    if contrast(ink, ground) < least:
        yield f"is too faint: {ink} on {ground}, {contrast(ink, ground):.2f}:1"
