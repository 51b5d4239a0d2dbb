"""The picture of a stretch of a session: lanes over one time axis. It is drawn anew when the view changes, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.panels.panel import Look, percent, shown_colour
from realtime_ser.gui.panels.timeline import Mark, Marks, bleed_mark, place_flags
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.replay.document import Document, Utterance
from realtime_ser.gui.replay.trends import Shares, Trend
from realtime_ser.gui.theme import ClassStyle, blend, class_styles
from realtime_ser.session.peaks import Peaks

__all__ = ["AXIS_HEIGHT", "GUTTER", "RIGHT", "LaneName", "PictureContent", "lane_rects", "paint_picture", "tick_step"]

GUTTER = 72
"""Pixels on the left for the names of the lanes."""
AXIS_HEIGHT = 22
FLAG_ROWS = 2
_SPACING = 3
RIGHT = 8
"""Pixels that are free on the right."""

_READABLE = 16.0
"""Pixels that a block must have before words are looked for that fit."""

_BLOCK = 8.0
"""Pixels that blocks must have on average to be drawn one by one; narrower ones are drawn as shares of time."""

_BROAD = 3.0
"""Pixels of a mean where utterances are too narrow to be told apart."""

_FLAG = 8.0
"""Pixels that moments must have on average to be drawn through the scores, which they would hide otherwise."""

_MOST_NAMES = 400
"""Markers in view up to which room for their names is looked for."""

_TICK_ROOM = 84.0
"""Pixels between two ticks at least."""

_STEPS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""Seconds between two ticks: what clocks are read in."""

LaneName: TypeAlias = str


@dataclass(frozen=True, slots=True)
class PictureContent:
    """What is drawn: a session, how it has to look, what is chosen in it, and as much of its sound as has been read."""

    document: Document
    look: Look
    utterance: int | None = None
    marker: int | None = None
    peaks: Peaks | None = None


@dataclass(slots=True)
class _Canvas:
    """Where a stretch of time is drawn."""

    painter: QtGui.QPainter
    content: PictureContent
    first: float
    end: float
    rects: dict[LaneName, QtCore.QRectF]
    ratio: float

    @property
    def width(self) -> float:
        return self.rects["scores"].width()

    @property
    def column(self) -> float:
        """Seconds of a pixel."""
        return (self.end - self.first) / max(self.width, 1.0)


def lane_rects(document: Document, size: QtCore.QSize) -> dict[LaneName, QtCore.QRectF]:
    """Where each lane lies, from above to below; lanes that have nothing to show are left out."""
    heights: dict[LaneName, float] = {"markers": 15.0 * FLAG_ROWS + 2.0, "verdicts": 24.0}
    if document.scores is not None:
        heights["later"] = 24.0
    if document.has_words:
        heights["words"] = 20.0
    if document.other_name:
        heights["other"] = 24.0
    if document.other_has_words:
        heights["other words"] = 20.0
    if document.has_audio:
        heights["sound"] = 46.0
    free = size.height() - AXIS_HEIGHT - sum(heights.values()) - _SPACING * len(heights)
    heights["scores"] = max(free, 40.0)
    rects, top = {}, 0.0
    width = max(size.width() - GUTTER - RIGHT, 1)
    for name, height in heights.items():
        rects[name] = QtCore.QRectF(GUTTER, top, width, height)
        top += height + _SPACING
    return rects


def paint_picture(
    painter: QtGui.QPainter, content: PictureContent, size: QtCore.QSize, first: float, end: float, ratio: float = 1.0
) -> None:
    """Draw the seconds from `first` to `end`.

    Parameters
    ----------
    ratio
        Pixels of the device per pixel of `size`.
    """
    canvas = _Canvas(painter, content, first, end, lane_rects(content.document, size), ratio)
    palette = content.look.palette
    painter.fillRect(QtCore.QRect(QtCore.QPoint(0, 0), size), QtGui.QColor(palette.panel))
    for rect in canvas.rects.values():
        painter.fillRect(rect, QtGui.QColor(palette.well))
    _paint_axis(canvas)
    document = content.document
    # What is not seen is not drawn: of three hours there are thousands.
    seen = document.between(first, end)
    gaps = [Mark(start, stop, palette.warning, ("gap",), hatched=True) for start, stop in document.gaps if stop > first]
    bare = [replace(gap, texts=()) for gap in gaps]
    crowded = len(seen) > canvas.width / _BLOCK
    _paint_blocks(canvas, "verdicts", seen, crowded, gaps)
    if "later" in canvas.rects:
        _paint_blocks(canvas, "later", document.between(first, end, later=True), crowded, gaps)
    if "words" in canvas.rects:
        _paint_words(canvas, "words", seen, crowded, bare)
    if "other" in canvas.rects:
        others = document.between(first, end, other=True)
        _paint_blocks(canvas, "other", others, len(others) > canvas.width / _BLOCK, ())
        if "other words" in canvas.rects:
            _paint_words(canvas, "other words", others, len(others) > canvas.width / _BLOCK, ())
    if "sound" in canvas.rects:
        _paint_sound(canvas, bare)
    flags = _flags(canvas)
    _paint_marks(canvas, "markers", flags)
    if not crowded:
        shade, lit = blend(palette.text, palette.well, 0.06), blend(palette.accent, palette.well, 0.22)
        spans = [Mark(one.start, one.end, lit if one.number == content.utterance else shade, faint=True) for one in seen]
        _paint_marks(canvas, "scores", [*spans, *bare])
        _paint_lines(canvas, document.windows, 1.0, bold=False)
    else:
        _paint_marks(canvas, "scores", bare)
    if len(flags) <= canvas.width / _FLAG:
        _paint_marks(canvas, "scores", [replace(flag, texts=()) for flag in flags])
    _paint_lines(canvas, document.estimates, _BROAD if crowded else 1.0, bold=True)
    _paint_names(canvas)


# Frames and axes -------------------------------------------------------------------------------------------------------------


def tick_step(column: float) -> float:
    """Seconds between two ticks where a pixel is `column` seconds wide."""
    return next((step for step in _STEPS if step / column >= _TICK_ROOM), _STEPS[-1])


def _paint_axis(canvas: _Canvas) -> None:
    """Ticks and their times below the lanes, and faint lines through the scores."""
    painter, palette, scores = canvas.painter, canvas.content.look.palette, canvas.rects["scores"]
    painter.setFont(_font(10))
    step = tick_step(canvas.column)
    decimals = 0 if step >= 1.0 else 1 if step >= 0.1 else 2
    grid, text = QtGui.QColor(palette.grid), QtGui.QColor(palette.dim)
    for number in range(int(np.ceil(canvas.first / step)), int(canvas.end / step + 1e-9) + 1):
        x = round(scores.left() + (number * step - canvas.first) / canvas.column) + 0.5
        painter.setPen(grid)
        painter.drawLine(QtCore.QPointF(x, scores.top()), QtCore.QPointF(x, scores.bottom() + 4.0))
        painter.setPen(text)
        room = QtCore.QRectF(x - _TICK_ROOM / 2.0, scores.bottom() + 4.0, _TICK_ROOM, AXIS_HEIGHT - 4.0)
        # The outermost would be cut.
        room.moveLeft(min(max(room.left(), scores.left() - 30.0), scores.right() - _TICK_ROOM / 2.0 - 10.0))
        painter.drawText(room, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, _tick(number * step, decimals))
    for share in (0.0, 0.5, 1.0):
        y = round(_score_y(scores, share)) + 0.5
        painter.setPen(grid)
        painter.drawLine(QtCore.QPointF(scores.left(), y), QtCore.QPointF(scores.right(), y))


def _paint_names(canvas: _Canvas) -> None:
    painter, palette, document = canvas.painter, canvas.content.look.palette, canvas.content.document
    painter.setFont(_font(10))
    painter.setPen(QtGui.QColor(palette.dim))
    metrics = painter.fontMetrics()
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    for name, rect in canvas.rects.items():
        if name == "scores":
            for share in (0.0, 0.5, 1.0):
                y = _score_y(rect, share)
                painter.drawText(QtCore.QRectF(0.0, y - 8.0, GUTTER - 6.0, 16.0), right, percent(share))
            continue
        own, other = (f"● {document.name}", document.other_name) if document.people else ("recorded", "")
        named = {"verdicts": own, "later": document.scores or "", "other": other, "other words": "words"}
        text = named.get(name, name)
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, GUTTER - 8)
        painter.drawText(QtCore.QRectF(0.0, rect.top(), GUTTER - 6.0, rect.height()), right, text)


def _font(pixels: int, bold: bool = False) -> QtGui.QFont:
    font = QtGui.QFont(QtWidgets.QApplication.font())
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font


def _tick(seconds: float, decimals: int) -> str:
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:0{2 if not decimals else 3 + decimals}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def _score_y(rect: QtCore.QRectF, share: float) -> float:
    margin = 6.0
    return rect.bottom() - margin - share * (rect.height() - 2.0 * margin)


# Blocks, words, moments -------------------------------------------------------------------------------------------------------


def _paint_marks(canvas: _Canvas, lane: LaneName, marks: Sequence[Mark], *, bold: bool = True) -> None:
    """Draw over the height of a lane, as the dashboard's timeline does."""
    if not marks:
        return
    painter, rect = canvas.painter, canvas.rects[lane]
    item = Marks(canvas.content.look, bold=bold)
    item.show_marks(marks, canvas.first, canvas.end)
    painter.save()
    transform = QtGui.QTransform.fromTranslate(rect.left(), rect.top())
    transform.scale(1.0 / canvas.column, rect.height())
    transform.translate(-canvas.first, 0.0)
    painter.setTransform(transform, True)
    item.paint(painter, None)
    painter.restore()


def _paint_blocks(
    canvas: _Canvas, lane: LaneName, utterances: Sequence[Utterance], crowded: bool, gaps: Sequence[Mark]
) -> None:
    document, look = canvas.content.document, canvas.content.look
    if not crowded:
        _paint_marks(canvas, lane, [*(_block(one, look, canvas.column) for one in utterances), *gaps])
        return
    shares = {"verdicts": document.shares, "other": document.other_shares}.get(lane, document.later_shares)
    names = document.classes if lane == "later" else document.recorded_classes
    colours = [_style(name, look).colour for name in names]
    _paint_shares(canvas, lane, shares, [*colours, look.palette.unsure])
    _paint_marks(canvas, lane, [replace(gap, texts=()) for gap in gaps])


def _paint_shares(canvas: _Canvas, lane: LaneName, of: Shares, colours: Sequence[str]) -> None:
    """Shares of time as heights, one on the other."""
    rect = canvas.rects[lane]
    width, height = round(rect.width() * canvas.ratio), round(rect.height() * canvas.ratio)
    shares = of.columns(canvas.first, canvas.end, width)
    tops = height * (1.0 - np.cumsum(shares, axis=0))
    rows = np.arange(height)[:, None] + 0.5
    kinds = np.full((height, width), len(colours), np.uint8)
    for kind in reversed(range(len(colours))):
        kinds[rows >= tops[kind]] = kind
    _paint_image(canvas, rect, kinds, [*colours, canvas.content.look.palette.well])


def _paint_image(canvas: _Canvas, rect: QtCore.QRectF, kinds: NDArray[np.uint8], colours: Sequence[str]) -> None:
    """A picture of whole colours, one value a pixel of the device."""
    height, width = kinds.shape
    stride = -(-width // 4) * 4
    padded = np.zeros((height, stride), np.uint8)
    padded[:, :width] = kinds
    image = QtGui.QImage(padded.data, width, height, stride, QtGui.QImage.Format.Format_Indexed8)
    image.setColorTable([QtGui.QColor(colour).rgba() for colour in colours])
    canvas.painter.drawImage(rect, image)


def _block(one: Utterance, look: Look, column: float) -> Mark:
    """A verdict: its class's colour, shape and name, or hatching where the tool abstained; a star: somebody labelled it."""
    star = "*" if one.annotation else ""
    if one.is_bleed:
        mark = bleed_mark(one.start, one.end, look)
        return replace(mark, texts=(*(f"{text}{star}" for text in mark.texts), star))
    if one.end - one.start < _READABLE * column:
        colour = look.palette.unsure if one.label is None else _style(one.label, look).colour
        return Mark(one.start, one.end, colour, (star,) if star else (), hatched=one.label is None)
    if one.label is None:
        return Mark(one.start, one.end, look.palette.unsure, (f"unsure{star}", f"?{star}"), hatched=True)
    style, percent = _style(one.label, look), f"{100.0 * one.confidence:.0f}"
    named = f"{one.label}{star}"
    texts = (f"{named} {percent} %", f"{named} {percent}", named, f"{percent}{star}")
    return Mark(one.start, one.end, style.colour, texts, style.shape)


def _style(name: str, look: Look) -> ClassStyle:
    """Of a class, also of one that the look is not about: the recording's, where a later scoring has others."""
    known = next((style for style in look.classes if style.name == name), None)
    return known or class_styles((name,), look.palette)[0]


def _paint_words(canvas: _Canvas, lane: LaneName, seen: Sequence[Utterance], crowded: bool, gaps: Sequence[Mark]) -> None:
    palette, document = canvas.content.look.palette, canvas.content.document
    if crowded:
        shares = document.said_shares if lane == "words" else document.other_said_shares
        _paint_shares(canvas, lane, shares, [palette.grid])
        _paint_marks(canvas, lane, gaps)
        return
    readable = _READABLE * canvas.column
    said = []
    for one in seen:
        if one.said:
            read = one.end - one.start > readable
            said.append(Mark(one.start, one.end, palette.grid, (one.said,) if read else (), flowing=read))
    _paint_marks(canvas, lane, [*said, *gaps], bold=False)


def _flags(canvas: _Canvas) -> list[Mark]:
    """Markers in rows, no name over another; one without room has no name."""
    content, palette = canvas.content, canvas.content.look.palette
    rate = content.document.rate
    first, end = canvas.first, canvas.end
    visible = [row for row in content.document.markers if first <= row["sample"] / rate <= end]
    metrics = QtGui.QFontMetricsF(_font(11, bold=True))
    named = len(visible) <= _MOST_NAMES
    lengths = [(metrics.horizontalAdvance(row["name"]) + 12.0) * canvas.column if named else np.inf for row in visible]
    # Names that would reach beyond the right edge are drawn further left.
    spans = [(min(row["sample"] / rate, end - length), length) for row, length in zip(visible, lengths, strict=True)]
    levels = place_flags(spans, FLAG_ROWS) if named else [None] * len(visible)
    flags = []
    for row, level in zip(visible, levels, strict=True):
        colour = shown_colour(row["colour"], palette.dim)
        chosen = row["id"] == content.marker
        text = () if level is None else (f"▸ {row['name']}" if chosen else row["name"],)
        at = row["sample"] / rate
        flags.append(Mark(at, at, colour, text, flag=True, row=level or 0))
    return flags


# Lines and sound --------------------------------------------------------------------------------------------------------------


def _paint_lines(canvas: _Canvas, trend: Trend, pixels: float, *, bold: bool) -> None:
    """Draw a line a class, where there are many points as means over so many pixels."""
    painter, look, rect = canvas.painter, canvas.content.look, canvas.rects["scores"]
    times, values = trend.line(canvas.first, canvas.end, pixels * canvas.column)
    if not len(times):
        return
    x = rect.left() + (times - canvas.first) / canvas.column
    zero, one = _score_y(rect, 0.0), _score_y(rect, 1.0)
    painter.save()
    painter.setClipRect(rect)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, bold)
    for style, line in zip(look.classes, values.T, strict=True):
        path = pg.functions.arrayToQPath(x, zero + line.astype(float) * (one - zero), connect="finite", finiteCheck=True)
        # NB: Qt draws lines of one pixel many times faster than wider ones; a bold one is two of them.
        painter.setPen(QtGui.QPen(QtGui.QColor(style.colour if bold else blend(style.colour, look.palette.well, 0.38)), 1.0))
        for _ in range(2 if bold else 1):
            painter.drawPath(path)
            path.translate(0.0, 0.9)
    painter.restore()


def _paint_sound(canvas: _Canvas, gaps: Sequence[Mark]) -> None:
    content, palette, rect = canvas.content, canvas.content.look.palette, canvas.rects["sound"]
    document, peaks = content.document, content.peaks
    redacted = [
        Mark(start, end, palette.error, ("redacted", "…"), hatched=True)
        for start, end in document.redactions
        if end > canvas.first
    ]
    if peaks is not None and peaks.loudest:
        width, height = round(rect.width() * canvas.ratio), round(rect.height() * canvas.ratio)
        low, high = peaks.columns(canvas.first * document.rate, canvas.end * document.rate, width)
        scale = 0.5 * (height - 2.0) / peaks.loudest
        rows = np.arange(height)[:, None] - (height - 1) / 2.0
        with np.errstate(invalid="ignore"):  # where there is no sound there is no line either
            inside = (rows >= np.floor(-high * scale)) & (rows <= np.ceil(-low * scale))
        _paint_image(canvas, rect, inside.astype(np.uint8), [palette.well, blend(palette.accent, palette.well, 0.75)])
    _paint_marks(canvas, "sound", [*gaps, *redacted])
    if peaks is None or peaks.read < document.samples:
        share = 0.0 if peaks is None else peaks.read / max(document.samples, 1)
        painter, text = canvas.painter, f"reading the sound: {percent(share)}"
        painter.setFont(_font(10))
        plate = QtCore.QRectF(0.0, 0.0, painter.fontMetrics().horizontalAdvance(text) + 12.0, 16.0)
        plate.moveCenter(rect.center())
        plate.moveRight(rect.right() - 4.0)
        painter.fillRect(plate, QtGui.QColor(palette.panel))
        painter.setPen(QtGui.QColor(palette.dim))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)
