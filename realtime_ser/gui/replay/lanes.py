"""The replay's timeline: a view over the session's seconds to zoom, drag and click into, and the line that says where one is.

The picture is drawn when the view changes; the line moves over it, and costs nothing but the pixels that it covers.
"""

from __future__ import annotations

from dataclasses import replace

from realtime_ser.gui.panels.panel import Look, percent
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document, clock_text
from realtime_ser.gui.replay.picture import AXIS_HEIGHT, GUTTER, PictureContent, lane_rects, paint_picture
from realtime_ser.session.peaks import Peaks

__all__ = ["ReplayLanes"]

_CLOSEST = 0.5
"""Seconds that are shown at least."""

_NOTCH = 120.0
"""What Qt calls a step of the wheel."""
_ZOOM = 0.8
"""Factor of a step of the wheel."""


class ReplayLanes(QtWidgets.QWidget):
    """Lanes over one time axis. The wheel zooms, dragging moves, a click seeks. GUI thread only."""

    sought = QtCore.Signal(float)
    """Somebody clicked at these seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._content: PictureContent | None = None
        self._look: Look | None = None
        self._range = (0.0, _CLOSEST)
        self._head = 0.0
        self._picture: QtGui.QPixmap | None = None
        self._press: tuple[float, float] | None = None
        self._dragged = False
        self.drawn = 0
        """How often the picture was drawn."""
        self.setAccessibleName("timeline of the session")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # What is shown --------------------------------------------------------------------------------------------------------

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes of the scores that are drawn as lines."""
        self._look = look
        if self._content is not None:
            self._show_content(replace(self._content, look=look))

    def show_document(self, document: Document) -> None:
        """Show another session, or the same with other scores; the view stays where it is in the same one."""
        if self._look is None:
            raise RuntimeError("a theme is applied before anything is drawn")
        content = self._content
        if content is not None and content.document.folder == document.folder:
            # The sound of another person is another one.
            peaks = content.peaks if content.document.person == document.person else None
            self._show_content(replace(content, document=document, look=self._look, peaks=peaks))
        else:
            self._content = PictureContent(document, self._look)
            self.show_all()

    def choose(self, utterance: int | None) -> None:
        """Light up an utterance."""
        if self._content is not None and utterance != self._content.utterance:
            self._show_content(replace(self._content, utterance=utterance))

    def choose_marker(self, marker: int | None) -> None:
        """Point at a marker's name."""
        if self._content is not None and marker != self._content.marker:
            self._show_content(replace(self._content, marker=marker))

    def show_peaks(self, peaks: Peaks) -> None:
        """Draw as much of the sound as has been read by now."""
        if self._content is not None:
            self._show_content(replace(self._content, peaks=peaks))

    def _show_content(self, content: PictureContent) -> None:
        self._content = content
        self._redraw()

    def set_head(self, seconds: float) -> None:
        """Move the line that says where one is."""
        before, self._head = self._head_rect(), seconds
        after = self._head_rect()
        if after != before:
            self.update(before)
            self.update(after)

    def _head_rect(self) -> QtCore.QRect:
        return QtCore.QRect(round(self._to_x(self._head)) - 1, 0, 2, self.height() - AXIS_HEIGHT)

    # The view -------------------------------------------------------------------------------------------------------------

    @property
    def visible_range(self) -> tuple[float, float]:
        """Seconds from … to that are shown."""
        return self._range

    @property
    def _length(self) -> float:
        return max(self._content.document.seconds, _CLOSEST) if self._content is not None else _CLOSEST

    def show_all(self) -> None:
        """Show the whole session."""
        self._show(0.0, self._length)

    def zoom(self, factor: float, about: float) -> None:
        """Show `factor` times as many seconds, around `about`."""
        first, end = self._range
        length = max((end - first) * factor, _CLOSEST)
        self._show(about - length / 2.0, about + length / 2.0)

    def pan(self, share: float) -> None:
        """Move the view by a share of its length, later or (negative) earlier."""
        first, end = self._range
        self._show(first + share * (end - first), end + share * (end - first))

    def reveal(self, seconds: float) -> None:
        """Move the view where it does not hold a time, so that the time stands near its left edge."""
        first, end = self._range
        if not first <= seconds <= end:
            self._show(seconds - 0.1 * (end - first), seconds + 0.9 * (end - first))

    def _show(self, first: float, end: float) -> None:
        length = min(end - first, self._length)
        first = min(max(first, 0.0), self._length - length)
        if (first, first + length) != self._range or self._picture is None:
            self._range = (first, first + length)
            self._redraw()

    def _redraw(self) -> None:
        # NB: drawn when it is needed, once, however often the view has changed by then.
        self._picture = None
        self.update()

    @property
    def _width(self) -> float:
        if self._content is None:
            return 1.0
        return lane_rects(self._content.document, self.size())["scores"].width()

    def _to_x(self, seconds: float) -> float:
        first, end = self._range
        return GUTTER + (seconds - first) / (end - first) * self._width

    def _to_seconds(self, x: float) -> float:
        first, end = self._range
        return first + (x - GUTTER) / self._width * (end - first)

    # Qt events ------------------------------------------------------------------------------------------------------------

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        """Of the timeline."""
        return QtCore.QSize(900, 320)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Another size is another picture."""
        self._redraw()
        super().resizeEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The picture, and the line over it."""
        painter = QtGui.QPainter(self)
        if self._content is None:
            return
        ratio = self.devicePixelRatioF()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            self._picture = QtGui.QPixmap(self.size() * ratio)
            self._picture.setDevicePixelRatio(ratio)
            drawing = QtGui.QPainter(self._picture)
            paint_picture(drawing, self._content, self.size(), *self._range, ratio)
            drawing.end()
            self.drawn += 1
        painter.drawPixmap(0, 0, self._picture)
        head = self._head_rect()
        if GUTTER - 1 <= head.left() <= GUTTER + self._width:
            painter.fillRect(head, QtGui.QColor(self._content.look.palette.accent))

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Zoom about the mouse; sideways, or with Shift, move."""
        turned, sideways = event.angleDelta().y(), event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            turned, sideways = 0, turned or sideways
        first, end = self._range
        if turned:
            at = self._to_seconds(event.position().x())
            length = min(max((end - first) * _ZOOM ** (turned / _NOTCH), _CLOSEST), self._length)
            begin = at - (at - first) * length / (end - first)
            self._show(begin, begin + length)
        elif sideways:
            self.pan(-0.1 * sideways / _NOTCH)
        event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click or the beginning of a drag."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._press, self._dragged = (event.position().x(), self._range[0]), False

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag."""
        if self._press is None:
            return
        x, first = self._press
        moved = event.position().x() - x
        if self._dragged or abs(moved) >= QtWidgets.QApplication.startDragDistance():
            self._dragged = True
            length = self._range[1] - self._range[0]
            begin = first - moved / self._width * length
            self._show(begin, begin + length)

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click seeks."""
        pressed, self._press = self._press, None
        if pressed is not None and not self._dragged and GUTTER <= event.position().x() <= GUTTER + self._width:
            self.sought.emit(self._to_seconds(event.position().x()))

    def event(self, event: QtCore.QEvent) -> bool:
        """Say what lies under the mouse."""
        if isinstance(event, QtGui.QHelpEvent) and event.type() == QtCore.QEvent.Type.ToolTip:
            QtWidgets.QToolTip.showText(event.globalPos(), self.text_at(event.pos()), self)
            return True
        return super().event(event)

    def text_at(self, point: QtCore.QPoint) -> str:
        """What lies there, in words: a time, and the markers or the utterance at it."""
        if self._content is None or not GUTTER <= point.x() <= GUTTER + self._width:
            return ""
        document = self._content.document
        seconds = self._to_seconds(point.x())
        lines = [clock_text(seconds)]
        near = 4.0 * (self._range[1] - self._range[0]) / self._width
        lines += [row["name"] for row in document.markers if abs(row["sample"] / document.rate - seconds) <= near]
        one = document.utterance_at(seconds)
        if one is not None and seconds <= one.end:
            lines.append(f"no. {one.number}: {one.label or 'unsure'} {percent(one.confidence)}")
            lines += [one.said] if one.said else []
        return "\n".join(lines)
