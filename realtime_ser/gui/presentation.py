"""Presentation mode: the whole screen for an audience, which sees it from the back of a room.

All sizes are multiples of one unit, a 36th of the screen's height (or a 64th of its width), so that the picture is the same
from a small projector to 4K. No letter is smaller than :data:`SMALLEST` units: where the picture is a metre high, capitals of
2.2 cm. Good eyes can just read letters that span five minutes of arc, 1.2 cm from eight metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from realtime_ser.gui.about import SHORT_NOTE
from realtime_ser.gui.models import DashboardModel, NowView, clock, health_items
from realtime_ser.gui.panels.level import meter_position
from realtime_ser.gui.panels.panel import Look, draw_shape, numeric_font, shown_colour
from realtime_ser.gui.panels.timeline import wrapped
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import ClassStyle, blend, ink_on
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.session.request import what_is_kept
from realtime_ser.types import Verdict

__all__ = ["SMALLEST", "Presentation", "health_warning"]

SMALLEST = 1.1
"""Font size of the smallest letters, in units; their capitals are 0.73 of it high."""
_HIDE_AFTER = 90
"""Ticks without a movement of the mouse after which it hides: three seconds."""
_RECENT_SECONDS = 10
_ROW, _NEXT_ROW = 2.2, 1.6
"""Height of the row at the top, and how much further down another one begins, in units."""
_MOST_ROWS = 2
"""Of one text."""
_LIVE_FIGURES = ("latency", "words lag", "verdicts lag", "load")
"""Figures that say how it is now; the others count from the start and would warn for ever."""
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


def health_warning(model: DashboardModel, problem: str = "") -> str:
    """What an audience should know is not as it should be, in a few words; usually nothing.

    Parameters
    ----------
    problem
        What the window has to say about the program, if anything.
    """
    if problem:
        return problem
    if model.away is not None:
        return "The microphone is away: nothing is heard."
    newest = model.events.newest
    if (
        newest is not None
        and newest.severity != "info"
        and model.position - newest.sample < _RECENT_SECONDS * model.sample_rate
    ):
        return newest.message
    if model.health is None:
        return ""
    figures = [item for item in health_items(model.health, model.sample_rate) if item.worrying and item.name in _LIVE_FIGURES]
    return "Behind: " + ", ".join(f"{item.name} {item.value}" for item in figures) if figures else ""


class _Part(QtWidgets.QWidget):
    """A part of the picture. It draws itself anew only where what it shows has changed."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.look: Look | None = None
        self.unit = 20.0
        self._shown: object = None
        self.fonts: list[int] = []
        """Heights of the letters of the last drawing, in pixels."""

    def show_state(self, state: object) -> None:
        """Draw where `state` is another one than before."""
        if state != self._shown:
            self._shown = state
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw."""
        if self.look is None:
            return
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        self.fonts = []
        self.draw(painter, self.look)

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        raise NotImplementedError

    def font_of(self, units: float, bold: bool = False) -> QtGui.QFont:
        """A font of so many units, never below the smallest that can be read."""
        pixels = max(1, round(max(units, SMALLEST) * self.unit))
        self.fonts.append(pixels)
        return numeric_font(pixels, bold)

    def wide(self, text: str, units: float, bold: bool = False) -> float:
        """Pixels of a text in a font of so many units."""
        return QtGui.QFontMetricsF(numeric_font(max(1, round(units * self.unit)), bold)).horizontalAdvance(text)

    def text(
        self,
        painter: QtGui.QPainter,
        rect: QtCore.QRectF,
        text: str,
        units: float,
        colour: str,
        align: Qt.AlignmentFlag = _LEFT,
        bold: bool = False,
    ) -> float:
        """One line, elided where there is no room; its width in pixels."""
        font = self.font_of(units, bold)
        metrics = QtGui.QFontMetricsF(font)
        fitting = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.setFont(font)
        painter.setPen(QtGui.QColor(colour))
        painter.drawText(rect, align | _MIDDLE, fitting)
        return metrics.horizontalAdvance(fitting)


class _Top(_Part):
    """What is open, what is kept, what leaves the machine, and what is wrong."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.state, self.time, self.kept, self.sound, self.warning = "", "", "", False, ""
        self.person = self.sending = ""

    @property
    def _plate(self) -> str:
        return f"● REC   {self.kept}" if self.kept else ""

    @property
    def _running(self) -> str:
        return f"{self.state}  {self.time}" + (f"   {self.person}" if self.person else "")

    def arrange(self, width: float) -> list[tuple[int, float, str]]:
        """What is sent and what is wrong: row, left edge and text of each; below what stands before it where there is no room.

        Parameters
        ----------
        width
            Of a row, in pixels.
        """
        u, wide = self.unit, self.wide
        left = 1.6 * u + wide(self._running, 1.3, bold=True)
        if self._plate:
            left += 2.2 * u + wide(self._plate, 1.3, bold=True)
        row, placed = 0, list[tuple[int, float, str]]()
        for text in (f"▲ {self.sending}" if self.sending else "", f"! {self.warning}" if self.warning else ""):
            if not text:
                continue
            if wide(text, SMALLEST) > width:
                # What follows the first sentence is for who operates it, and stands among the messages.
                text = f"{text.split('. ')[0].rstrip('.')}."
            if left + 2.0 * u + wide(text, SMALLEST) > width:
                *above, text = wrapped(text, width, _MOST_ROWS, lambda part: wide(part, SMALLEST)) or (text,)
                placed += [(row + 1 + number, 0.0, line) for number, line in enumerate(above)]
                row, left = row + 1 + len(above), -2.0 * u
            placed.append((row, left + 2.0 * u, text))
            left += 2.0 * u + wide(text, SMALLEST)
        return placed

    def rows(self, width: float) -> int:
        """How many rows of that width there are."""
        return 1 + max((row for row, _, _ in self.arrange(width)), default=0)

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, u = look.palette, self.unit
        rect = QtCore.QRectF(0.0, 0.0, self.width(), _ROW * u)
        left = 0.0
        if self._plate:
            text = self._plate
            plate_colour = palette.record if self.sound else ""
            font = self.font_of(1.3, bold=True)
            width = QtGui.QFontMetricsF(font).horizontalAdvance(text) + 1.2 * u
            plate = QtCore.QRectF(0.0, 0.1 * u, width, rect.height() - 0.2 * u)
            painter.setPen(QtGui.QPen(QtGui.QColor(palette.record), max(2.0, u / 10.0)))
            painter.setBrush(QtGui.QColor(plate_colour) if plate_colour else Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(plate.adjusted(2, 2, -2, -2), 0.3 * u, 0.3 * u)
            ink = ink_on(plate_colour) if plate_colour else palette.record
            self.text(painter, plate, text, 1.3, ink, Qt.AlignmentFlag.AlignHCenter, bold=True)
            left = width + u
        live = self.state == "LIVE"
        colour = palette.record if live else palette.dim
        left += 0.1 * u
        disc = QtCore.QRectF(left, rect.center().y() - 0.45 * u, 0.9 * u, 0.9 * u)
        painter.setPen(QtGui.QPen(QtGui.QColor(colour), max(2.0, u / 8.0)))
        painter.setBrush(QtGui.QColor(colour) if live else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(disc)
        left = disc.right() + 0.6 * u
        place = rect.adjusted(left, 0, 0, 0)
        self.text(painter, place, self._running, 1.3, palette.text, bold=True)
        for row, start, text in self.arrange(rect.width()):
            place = rect.translated(0.0, row * _NEXT_ROW * u).adjusted(start, 0, 0, 0)
            aside = text.startswith("!") and start > 0.0
            self.text(painter, place, text, SMALLEST, palette.warning, _RIGHT if aside else _LEFT)


class _Word(_Part):
    """The big word, how sure it is, and of what."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.view = NowView("")

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, u, view = look.palette, self.unit, self.view
        style = _style_of(look.classes, view.class_index)
        rect = QtCore.QRectF(self.rect())
        footer = 3.4 * u
        room = QtCore.QRectF(0.0, 0.0, rect.width(), rect.height() - footer)
        units = 8.0
        while units > 2.0:
            font = self.font_of(units, bold=style is not None)
            self.fonts.pop()
            metrics = QtGui.QFontMetricsF(font)
            shape = 1.05 * metrics.capHeight() + 0.9 * u if style is not None else 0.0
            if metrics.horizontalAdvance(view.headline) + shape <= room.width() and metrics.height() <= 1.25 * room.height():
                break
            units -= 0.25
        painter.setFont(self.font_of(units, bold=style is not None))
        metrics = QtGui.QFontMetricsF(painter.font())
        baseline = room.center().y() + metrics.capHeight() / 2.0
        left = 0.0
        if style is not None:
            side = 1.05 * metrics.capHeight()
            draw_shape(
                painter,
                style.shape,
                QtCore.QRectF(0.0, baseline - metrics.capHeight() - 0.025 * side, side, side),
                style.colour,
            )
            left = side + 0.9 * u
        painter.setPen(QtGui.QColor(style.colour if style is not None else palette.unsure))
        painter.drawText(QtCore.QPointF(left, baseline), view.headline)
        line = QtCore.QRectF(0.0, room.bottom(), rect.width(), footer)
        left = 0.0
        if view.confidence:
            figure = f"{100.0 * view.confidence:.0f} %"
            ink = palette.text if style is not None else palette.dim
            left = self.text(painter, line, figure, 2.8, ink, bold=True) + u
        place = line.adjusted(left, 0.35 * u, 0.0, 0.35 * u)
        units = next((one for one in (1.4, 1.25) if self.wide(view.explanation, one) <= place.width()), SMALLEST)
        self.text(painter, place, view.explanation, units, palette.dim)


class _Scores(_Part):
    """A bar for every class."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.view = NowView("")

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, u, view = look.palette, self.unit, self.view
        if not look.classes:
            return
        row = min(self.height() / len(look.classes), 3.0 * u)
        top = (self.height() - row * len(look.classes)) / 2.0
        metrics = QtGui.QFontMetricsF(self.font_of(1.4, bold=True))
        names = min(max(metrics.horizontalAdvance(style.name) for style in look.classes), 0.5 * self.width())
        figures = metrics.horizontalAdvance("100") + 0.4 * u
        left = 1.6 * u + names + 0.8 * u
        for index, style in enumerate(look.classes):
            line = QtCore.QRectF(0.0, top + index * row, self.width(), row)
            score = float(view.scores[index]) if view.scores is not None and index < len(view.scores) else None
            side = 1.1 * u
            draw_shape(painter, style.shape, QtCore.QRectF(0.0, line.center().y() - side / 2.0, side, side), style.colour)
            ink = palette.text if score is not None else palette.dim
            leading = view.class_index == index
            self.text(painter, line.adjusted(1.6 * u, 0, -(self.width() - left), 0), style.name, 1.4, ink, bold=leading)
            track = QtCore.QRectF(left, line.center().y() - 0.4 * u, max(2.0 * u, self.width() - left - figures), 0.8 * u)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QtGui.QColor(palette.grid))
            painter.drawRect(track)
            if score is not None:
                fill = style.colour if view.class_index is not None else blend(style.colour, palette.window, 0.6)
                painter.setBrush(QtGui.QColor(fill))
                painter.drawRect(QtCore.QRectF(track.left(), track.top(), track.width() * score, track.height()))
            said = f"{100.0 * score:.0f}" if score is not None else "–"
            self.text(painter, line, said, 1.4, ink, _RIGHT, bold=leading)


class _Words(_Part):
    """The words, the newest of them where there is no room for all, and how much voice and words counted."""

    LINES = 2

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.heading, self.words, self.final = "", "", True
        self.voice, self.share = 0.0, 0.0

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, u = look.palette, self.unit
        rect = QtCore.QRectF(self.rect())
        why = 1.8 * u
        self._draw_why(painter, look, QtCore.QRectF(0.0, rect.bottom() - why, rect.width(), why))
        place = QtCore.QRectF(0.0, 0.0, rect.width(), rect.height() - why - 0.2 * u)
        if self.heading:
            line = QtCore.QRectF(0.0, 0.0, rect.width(), 1.7 * u)
            self.text(painter, line, self.heading, SMALLEST, palette.dim)
            place.setTop(line.bottom())
        font = self.font_of(2.0)
        font.setItalic(not self.final)
        painter.setFont(font)
        painter.setPen(QtGui.QColor(palette.text if self.words else palette.dim))
        flags = Qt.TextFlag.TextWordWrap | _LEFT | Qt.AlignmentFlag.AlignTop
        painter.drawText(place, flags, self._fitting(font, place))

    def _fitting(self, font: QtGui.QFont, place: QtCore.QRectF) -> str:
        """As many of the last words as there is room for."""
        if not self.words:
            return "no words yet" if self.voice else ""
        metrics = QtGui.QFontMetricsF(font)
        words = self.words.split()
        flags = int(Qt.TextFlag.TextWordWrap | _LEFT)
        for first in range(len(words)):
            text = f"“{'… ' if first else ''}{' '.join(words[first:])}{'' if self.final else ' …'}”"
            box = metrics.boundingRect(QtCore.QRectF(0.0, 0.0, place.width(), 10_000.0), flags, text)
            if box.height() <= min(place.height(), self.LINES * metrics.lineSpacing() + 1.0) and box.width() <= place.width():
                return text
        return metrics.elidedText(words[-1], Qt.TextElideMode.ElideRight, place.width())

    def _draw_why(self, painter: QtGui.QPainter, look: Look, line: QtCore.QRectF) -> None:
        palette, u = look.palette, self.unit
        known = self.voice + self.share > 0.0
        left = f"voice {100.0 * self.voice:.0f} %" if known else "voice –"
        right = f"words {100.0 * self.share:.0f} %" if known else "words –"
        side = QtGui.QFontMetricsF(self.font_of(1.2)).horizontalAdvance("words 100 %") + 0.8 * u
        self.text(painter, line, left, 1.2, palette.text)
        self.text(painter, line, right, 1.2, palette.text, _RIGHT)
        track = QtCore.QRectF(side, line.center().y() - 0.3 * u, max(u, line.width() - 2.0 * side), 0.6 * u)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QtGui.QColor(palette.grid))
        painter.drawRect(track)
        if known:
            painter.setBrush(QtGui.QColor(palette.accent))
            painter.drawRect(QtCore.QRectF(track.left(), track.top(), track.width() * self.voice, track.height()))


class _Flow(_Part):
    """The last minute: scores of the utterances so far, and what was committed."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.model: DashboardModel | None = None

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        model = self.model
        if model is None:
            return
        palette, u, rate = look.palette, self.unit, model.sample_rate
        whole = QtCore.QRectF(self.rect())
        axis = 1.5 * u
        lane = QtCore.QRectF(0.0, 0.0, whole.width(), 2.0 * u)
        plot = QtCore.QRectF(0.0, lane.bottom() + 0.2 * u, whole.width(), whole.height() - lane.height() - 0.2 * u - axis)
        # Now always stands at the same place, beside the level.
        end = model.position / rate
        begin = end - model.seconds
        # Some room to the right of now, for the shapes at the ends of the lines.
        scale = (whole.width() - 0.6 * u) / model.seconds

        def x(second: float) -> float:
            return (second - begin) * scale

        before = max(x(0.0), 0.0) if model.position else whole.width()
        for part in (lane, plot):
            painter.fillRect(part, QtGui.QColor(blend(palette.panel, palette.window, 0.5)))
            painter.fillRect(part.adjusted(before, 0.0, 0.0, 0.0), QtGui.QColor(palette.panel))
        said = "before the start" if model.position else "the last minute"
        if QtGui.QFontMetricsF(self.font_of(SMALLEST)).horizontalAdvance(said) + 2.0 * u <= before:
            empty = QtCore.QRectF(0.0, plot.top(), before, plot.height())
            self.text(painter, empty, said, SMALLEST, palette.dim, Qt.AlignmentFlag.AlignHCenter)
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.grid), max(1.0, u / 20.0)))
        painter.drawLine(QtCore.QPointF(before, plot.center().y()), QtCore.QPointF(plot.right(), plot.center().y()))
        for second in range(max(math.ceil(begin / 20.0), 0) * 20, int(end) + 1, 20):
            painter.setPen(QtGui.QPen(QtGui.QColor(palette.grid), max(1.0, u / 20.0)))
            painter.drawLine(QtCore.QPointF(x(second), plot.top()), QtCore.QPointF(x(second), plot.bottom()))
            label = QtCore.QRectF(x(second) - 3.0 * u, plot.bottom(), 6.0 * u, axis)
            if label.left() >= 0.0 and label.right() <= whole.width():
                self.text(painter, label, clock(second * rate), SMALLEST, palette.dim, Qt.AlignmentFlag.AlignHCenter)
        painter.setClipRect(whole)
        for gap in model.gaps:
            first, stop = gap.seconds(rate)
            stripe = QtGui.QBrush(QtGui.QColor(palette.warning), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(QtCore.QRectF(x(first), 0.0, (stop - first) * scale, plot.bottom()), stripe)
        self._draw_lines(painter, look, plot, begin, scale)
        for verdict in model.verdicts:
            self._draw_block(painter, look, verdict, lane, x(verdict.span.first / rate), x(verdict.span.end / rate))
        if model.open_onset is not None:
            left = x(model.open_onset / rate)
            right = x(model.position / rate)
            painter.fillRect(QtCore.QRectF(left, lane.top(), right - left, lane.height()), QtGui.QColor(palette.line))
        for marker in model.markers:
            line = QtCore.QRectF(x(marker.sample / rate), 0.0, max(2.0, u / 6.0), plot.bottom())
            painter.fillRect(line, QtGui.QColor(shown_colour(marker.colour, palette.text)))

    def _draw_lines(self, painter: QtGui.QPainter, look: Look, plot: QtCore.QRectF, begin: float, scale: float) -> None:
        if self.model is None:
            return
        rows = self.model.estimates.view()
        rows = rows[rows[:, 0] >= begin * self.model.sample_rate]
        across = (rows[:, 0] / self.model.sample_rate - begin) * scale
        # A row of NaN begins every utterance.
        breaks = np.flatnonzero(np.isnan(rows[:, 1])) if rows.shape[1] > 1 else np.empty(0, np.intp)
        pieces = np.split(np.arange(len(rows)), breaks)
        for index, style in enumerate(look.classes):
            pen = QtGui.QPen(QtGui.QColor(style.colour), max(2.0, self.unit / 7.0))
            pen.setJoinStyle(Qt.PenJoinStyle.BevelJoin)
            painter.setPen(pen)
            down = plot.bottom() - rows[:, 1 + index] * plot.height()
            for piece in pieces:
                known = piece[np.isfinite(down[piece])]
                points = [QtCore.QPointF(float(h), float(v)) for h, v in zip(across[known], down[known], strict=True)]
                painter.drawPolyline(points)
            if self.model.open_onset is not None and len(down) and math.isfinite(down[-1]):
                side = 0.8 * self.unit
                place = QtCore.QRectF(float(across[-1]) - side / 2.0, float(down[-1]) - side / 2.0, side, side)
                draw_shape(painter, style.shape, place, style.colour)

    def _draw_block(
        self, painter: QtGui.QPainter, look: Look, verdict: Verdict, lane: QtCore.QRectF, left: float, right: float
    ) -> None:
        palette, u = look.palette, self.unit
        rect = QtCore.QRectF(left, lane.top(), max(right - left - 2.0, 2.0), lane.height())
        style = next((one for one in look.classes if one.name == verdict.estimate.label), None)
        if style is None or verdict.is_bleed:
            colour = palette.dim if verdict.is_bleed else palette.unsure
            painter.fillRect(rect, QtGui.QBrush(QtGui.QColor(colour), Qt.BrushStyle.BDiagPattern))
            painter.setPen(QtGui.QPen(QtGui.QColor(colour), max(1.0, u / 15.0)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect)
            self._draw_abstained(painter, look, "↔" if verdict.is_bleed else "?", rect.intersected(lane))
            return
        painter.fillRect(rect, QtGui.QColor(style.colour))
        ink, visible = ink_on(style.colour), rect.intersected(lane)
        side, gap = 0.9 * u, 0.4 * u
        name = QtGui.QFontMetricsF(self.font_of(SMALLEST, bold=True)).horizontalAdvance(style.name)
        if name + side + 3.0 * gap <= visible.width():
            draw_shape(
                painter, style.shape, QtCore.QRectF(visible.left() + gap, lane.center().y() - side / 2.0, side, side), ink
            )
            self.text(painter, visible.adjusted(side + 2.0 * gap, 0, 0, 0), style.name, SMALLEST, ink, bold=True)
        elif side <= visible.width():
            place = QtCore.QRectF(visible.center().x() - side / 2.0, lane.center().y() - side / 2.0, side, side)
            draw_shape(painter, style.shape, place, ink)

    def _draw_abstained(self, painter: QtGui.QPainter, look: Look, sign: str, visible: QtCore.QRectF) -> None:
        """What a hatched block says, on a plate that the hatching does not run through."""
        width = QtGui.QFontMetricsF(self.font_of(SMALLEST, bold=True)).horizontalAdvance(sign) + 0.4 * self.unit
        if width > visible.width():
            return
        plate = QtCore.QRectF(0.0, 0.0, width, 1.4 * self.unit)
        plate.moveCenter(visible.center())
        painter.fillRect(plate, QtGui.QColor(look.palette.panel))
        centred = Qt.AlignmentFlag.AlignHCenter
        # Over the plate's edges: no letter is to be elided for a pixel.
        self.text(painter, plate.adjusted(-2.0, 0.0, 2.0, 0.0), sign, SMALLEST, look.palette.text, centred, bold=True)


class _Level(_Part):
    """How loud it is, and that it clips."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.peak = self.rms = -math.inf
        self.clipped = False

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        palette, u = look.palette, self.unit
        track = QtCore.QRectF(self.rect()).adjusted(0.0, 0.0, 0.0, -1.5 * u)
        painter.fillRect(track, QtGui.QColor(palette.panel))
        for level, strength, inset in ((self.peak, 0.45, 0.0), (self.rms, 1.0, 0.22)):
            reached = meter_position(level)
            colour = palette.error if level > -3.0 else palette.warning if level > -12.0 else palette.good
            bar = QtCore.QRectF(
                track.left() + inset * track.width(),
                track.bottom() - reached * track.height(),
                track.width() * (1.0 - 2.0 * inset),
                reached * track.height(),
            )
            painter.fillRect(bar, QtGui.QColor(blend(colour, palette.panel, strength)))
        place = QtCore.QRectF(0.0, track.bottom(), self.width(), 1.5 * u)
        colour = palette.error if self.clipped else palette.dim
        self.text(painter, place, "CLIP" if self.clipped else "level", SMALLEST, colour, Qt.AlignmentFlag.AlignHCenter)


class _Bottom(_Part):
    """What the scores are not; and, while the mouse is in use, how to leave."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.hint = False

    def draw(self, painter: QtGui.QPainter, look: Look) -> None:
        rect = QtCore.QRectF(self.rect())
        width = self.text(painter, rect, SHORT_NOTE, 1.2, look.palette.text)
        if self.hint:
            self.text(painter, rect.adjusted(width + self.unit, 0, 0, 0), "Esc leaves", SMALLEST, look.palette.dim, _RIGHT)


def _style_of(classes: Sequence[ClassStyle], index: int | None) -> ClassStyle | None:
    return classes[index] if index is not None and index < len(classes) else None


class Presentation(QtWidgets.QWidget):
    """The whole picture. The window drives it, as it does the panels."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("root")
        self.setAccessibleName("presentation")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._idle = 0
        self._bin = -1
        self._rows = 1
        self._person = ""
        self._top, self._word, self._scores = _Top(self), _Word(self), _Scores(self)
        self._words, self._flow, self._level, self._bottom = _Words(self), _Flow(self), _Level(self), _Bottom(self)

    @property
    def parts(self) -> tuple[_Part, ...]:
        """From top to bottom."""
        return (self._top, self._word, self._scores, self._words, self._flow, self._level, self._bottom)

    @property
    def spoken(self) -> str:
        """What a screen reader says."""
        return self.accessibleDescription()

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        for part in self.parts:
            part.look = look
            part.update()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Share out the screen."""
        self._share_out()

    def _share_out(self) -> None:
        width, height = float(self.width()), float(self.height())
        u = min(width / 64.0, height / 36.0)
        left, right, top, bottom = 1.6 * u, width - 1.6 * u, 0.9 * u, height - 0.7 * u
        self._top.unit = u
        self._rows = self._top.rows(round(right) - round(left))
        tall = (_ROW + (self._rows - 1) * _NEXT_ROW) * u
        below = bottom - 1.8 * u
        flow = max(10.0 * u, 0.3 * height)
        words = 8.0 * u
        split = left + 0.62 * (right - left)
        head = below - flow - words - u
        places: dict[_Part, tuple[float, float, float, float]] = {
            self._top: (left, top, right, top + tall),
            self._word: (left, top + tall + 0.2 * u, split - u, head - 0.4 * u),
            self._scores: (split, top + tall + 0.2 * u, right, head - 0.4 * u),
            self._words: (left, head, right, head + words),
            self._flow: (left, below - flow, right - 4.6 * u, below),
            self._level: (right - 3.6 * u, below - flow, right, below),
            self._bottom: (left, bottom - 1.7 * u, right, bottom),
        }
        for part, (x, y, x_end, y_end) in places.items():
            part.unit = u
            part.setGeometry(round(x), round(y), max(1, round(x_end - x)), max(1, round(y_end - y)))

    def show_person(self, name: str) -> None:
        """Say whose voice is shown, of two people; "": of the only one."""
        self._person = name

    def begin(self) -> None:
        """It is shown: keys come here, and the mouse is seen for a while."""
        self._bin = -1
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._wake()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Show the mouse."""
        self._wake()

    def _wake(self) -> None:
        self._idle = 0
        self.unsetCursor()
        self._bottom.hint = True
        self._bottom.show_state(True)

    def pass_time(self) -> None:
        """A tick has passed: a mouse that stands still hides."""
        self._idle += 1
        if self._idle == _HIDE_AFTER:
            self.setCursor(Qt.CursorShape.BlankCursor)
            self._bottom.hint = False
            self._bottom.show_state(False)

    def refresh_plots(self, model: DashboardModel) -> None:
        """Draw what moves: the flow ten times a second, the level with every picture."""
        meter = model.meter
        self._level.peak, self._level.rms, self._level.clipped = meter.peak, meter.rms, meter.clipped > 0
        self._level.show_state((meter.peak, meter.rms, meter.clipped > 0))
        self._flow.model = model
        self._flow.show_state(
            (id(model), model.end_bin // 2, len(model.verdicts), len(model.markers), model.open_onset is None)
        )

    def refresh_text(
        self,
        view: NowView,
        model: DashboardModel,
        state: str,
        recording: RecordingStatus | None,
        problem: str = "",
        sending: str = "",
    ) -> None:
        """Say what there is to say.

        Parameters
        ----------
        state
            Of the engine, in a word.
        problem
            What the window has to say about the program, if anything.
        sending
            What leaves the machine, in words, if anything.
        """
        kept = what_is_kept(recording) if recording is not None and recording.phase == "recording" else ""
        top = self._top
        top.person = self._person
        top.state, top.time, top.kept = state, clock(model.position, model.sample_rate), kept
        top.sound = recording is not None and recording.audio
        top.warning, top.sending = health_warning(model, problem), sending
        top.show_state((top.person, top.state, top.time, top.kept, top.sound, top.warning, top.sending))
        if top.rows(top.width()) != self._rows:
            self._share_out()
        shown = (view.headline, view.explanation, view.class_index, round(view.confidence or 0.0, 2))
        self._word.view = self._scores.view = view
        self._word.show_state(shown)
        self._scores.show_state((view.class_index, None if view.scores is None else tuple(np.round(view.scores, 2))))
        self._show_words(view, model)
        self._speak(view)

    def _show_words(self, view: NowView, model: DashboardModel) -> None:
        """The words of the utterance under way, or of the last one, which stays until somebody speaks again."""
        words, verdict = self._words, model.last_verdict
        estimate = model.estimate
        words.heading = ""
        if view.scores is not None and estimate is not None:
            transcript = estimate.transcript
            words.voice, words.share = view.voice_share, view.word_share
        elif verdict is not None:
            transcript = verdict.estimate.transcript
            words.voice, words.share = verdict.estimate.voice_share, verdict.estimate.word_share
            label = verdict.estimate.label
            said = f"{label} {100.0 * verdict.estimate.confidence:.0f} %" if label is not None else "unsure"
            words.heading = f"last utterance, {clock(verdict.span.first, model.sample_rate)}: {said}"
        else:
            transcript = None
            words.voice = words.share = 0.0
        words.words = transcript.text if transcript is not None else ""
        words.final = transcript is None or transcript.final or bool(words.heading)
        words.show_state((words.heading, words.words, words.final, round(words.voice, 2), round(words.share, 2)))

    def _speak(self, view: NowView) -> None:
        confidence = f", {100.0 * view.confidence:.0f} percent" if view.confidence else ""
        said = [
            self._person,
            f"{view.headline}{confidence}, {view.explanation}",
            self._words.words,
            self._top.kept,
            self._top.sending,
            self._top.warning,
            SHORT_NOTE,
        ]
        text = ". ".join(one.rstrip(".") for one in said if one) + "."
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
