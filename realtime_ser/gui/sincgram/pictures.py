"""The pictures: sincgram, voice and mel spectrogram over one time axis. GUI thread only.

A picture is a ring of columns: what is new is written over what is oldest, and drawing copies two parts of it to the screen. So
a column is coloured once, whatever the length of the time shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.explorer.scales import place
from realtime_ser.gui.filterbank import Hertz
from realtime_ser.gui.models import BinnedRing
from realtime_ser.gui.panels.panel import Look
from realtime_ser.gui.panels.plots import add_still_plot, paint_axes
from realtime_ser.gui.panels.timeline import Mark, Marks, TimeAxis
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.sincgram.looks import AXES, COLOUR_MAPS
from realtime_ser.gui.sincgram.model import VOICED, FrameGrid, SincgramModel
from realtime_ser.gui.theme import blend
from realtime_ser.types import Span

__all__ = ["PICTURES", "Pictures", "RingImage", "colour_table"]

PICTURES = ("sinc", "mel")
GUTTER = 66
_ROWS = 240
_TICKS_HZ = {
    "filters": (100, 200, 400, 700, 1_000, 2_000, 4_000),
    "mel": (100, 250, 500, 1_000, 2_000, 4_000),
    "Hz": tuple(range(1_000, 8_000, 1_000)),
}
_TICK_ROOM = 0.085
"""Share of a picture's height that the text of a tick needs in the smallest window."""

_MOST_COLUMNS = 1_500
"""Of a picture: more than there are pixels, as a rule."""


def colour_table(name: str) -> NDArray[np.uint32]:
    """256 opaque colours of one of :data:`COLOUR_MAPS`, as Qt's ``0xAARRGGBB``."""
    if name not in COLOUR_MAPS:
        raise ValueError(f"a colour map is one of {', '.join(COLOUR_MAPS)}, got {name!r}")
    red, green, blue = np.moveaxis(pg.colormap.get(name).getLookupTable(nPts=256)[:, :3].astype(np.uint32), 1, 0)
    return np.asarray(np.uint32(0xFF000000) | red << 16 | green << 8 | blue, dtype=np.uint32)


class RingImage(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no types
    """The newest bins of a ring as a picture, over a lane of height 1 whose horizontal axis is seconds.

    Parameters
    ----------
    grid
        Where bins lie.
    rate
        Hz.
    """

    def __init__(self, grid: FrameGrid, rate: int) -> None:
        super().__init__()
        self._grid = grid
        self._rate = rate
        self._bounds = QtCore.QRectF(0.0, 0.0, 1.0, 1.0)
        self._order: NDArray[np.intp] = np.zeros(1, np.intp)
        self._table: NDArray[np.uint32] = np.zeros(256, np.uint32)
        self._range = (0.0, 1.0)
        self._stride = 1
        self._pixels: NDArray[np.uint32] = np.zeros((1, 1), np.uint32)
        self._ring: BinnedRing | None = None
        self._end = 0  # group behind the newest one that was written
        self._bin_end = 0

    @property
    def stride(self) -> int:
        """Bins that share a column: of these, the loudest is drawn."""
        return self._stride

    @property
    def order(self) -> NDArray[np.intp]:
        """The ring's columns from the lowest row up."""
        return self._order[::-1]

    def set_span(self, seconds: float) -> None:
        """Show so many seconds."""
        bins = int(np.ceil(seconds * self._rate / self._grid.hop)) + 1
        self._stride = -(-bins // _MOST_COLUMNS)
        self._pixels = np.zeros((len(self._order), -(-bins // self._stride) + 1), np.uint32)
        self._end = self._bin_end = 0

    def set_rows(self, order: NDArray[np.intp]) -> None:
        """Show the ring's columns in this order, from the lowest row up; one may be shown more than once."""
        self._order = order[::-1].copy()
        self._pixels = np.zeros((len(order), self._pixels.shape[1]), np.uint32)
        self._end = self._bin_end = 0

    def set_colours(self, low: float, high: float, table: NDArray[np.uint32]) -> None:
        """Draw `low` and less in the first colour of `table`, `high` and more in the last."""
        self._range, self._table = (low, high), table
        self._end = self._bin_end = 0

    def show_ring(self, ring: BinnedRing, first: float, end: float) -> None:
        """Draw what is new in `ring`, over a lane that shows the seconds from `first` to `end`."""
        bounds = QtCore.QRectF(first, 0.0, end - first, 1.0)
        if bounds != self._bounds:
            self.prepareGeometryChange()
            self._bounds = bounds
        if ring is not self._ring:
            self._ring = ring
            self._end = self._bin_end = 0
        if ring.end != self._bin_end:
            self._write(ring)
            self.update()

    def _write(self, ring: BinnedRing) -> None:
        stride, width = self._stride, self._pixels.shape[1]
        end = -(-ring.end // stride)
        # The newest group may have been written before all of its bins were there.
        begin = max(self._bin_end // stride - 1, end - width, 0)
        first = max(begin * stride, ring.end - ring.bins)
        rows = ring.view()[ring.bins - (ring.end - first) :][:, self._order]
        before, behind = first - begin * stride, end * stride - ring.end
        if stride > 1:
            rows = np.pad(rows, ((before, behind), (0, 0)), constant_values=np.nan)
            rows = np.fmax.reduce(rows.reshape(-1, stride, rows.shape[1]), axis=1)
        low, high = self._range
        known = np.isfinite(rows)
        shades = np.clip((np.where(known, rows, low) - low) * (255.0 / (high - low)), 0.0, 255.0).astype(np.uint8)
        colours = np.where(known, self._table[shades], np.uint32(0))
        self._pixels[:, np.arange(end - len(colours), end) % width] = colours.T
        self._end, self._bin_end = end, ring.end

    def boundingRect(self) -> QtCore.QRectF:  # noqa: N802 - Qt's name
        """The lane."""
        return self._bounds

    def paint(self, painter: QtGui.QPainter, option: Any, widget: Any = None) -> None:
        """Copy both parts of the ring, the older one first."""
        height, width = self._pixels.shape
        shown = min(self._end, width)
        if not shown:
            return
        to_pixels = painter.transform()
        lane = to_pixels.mapRect(self._bounds)
        image = QtGui.QImage(self._pixels.data, width, height, 4 * width, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
        painter.save()
        painter.resetTransform()
        painter.setClipRect(lane)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform, False)
        oldest, seam = self._end - shown, (self._end - 1) // width * width
        for begin, end in ((oldest, seam), (seam, self._end)) if seam > oldest else ((oldest, self._end),):
            left, right = (to_pixels.map(QtCore.QPointF(self._second(group), 0.0)).x() for group in (begin, end))
            # Whole pixels, so that no line shows where the parts meet.
            target = QtCore.QRectF(round(left), lane.top(), round(right) - round(left), lane.height())
            painter.drawImage(target, image, QtCore.QRectF(begin % width, 0.0, end - begin, height))
        painter.restore()

    def _second(self, group: int) -> float:
        return (group * self._stride * self._grid.hop + self._grid.phase) / self._rate


class Pictures(QtWidgets.QWidget):
    """Sincgram, voice and mel spectrogram, one below the other; empty until :meth:`build_on` has made them.

    Parameters
    ----------
    model
        What is shown at first; it says how many filters there are.
    """

    def __init__(self, model: SincgramModel, look: Look) -> None:
        super().__init__()
        self._bank, self._grid, self._rate = model.bank, model.grid, model.rate
        self._centres: dict[str, Hertz] = {"sinc": model.bank.centre, "mel": model.bands.centre}
        self._axis = AXES[0]
        self._seconds = 10.0
        self._range = (0.0, 0.0)  # of what is drawn: nothing yet
        self._look = look
        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setAccessibleName("sincgram, voice and mel spectrogram over time")
        self._view.setMinimumHeight(260)
        self._view.ci.layout.setSpacing(3)
        self._view.ci.layout.setContentsMargins(0, 0, 8, 0)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self._view.ci.layout.setRowFixedHeight(1, 12)
        for row, axis in ((0, 0), (2, 20)):
            self._view.ci.layout.setRowStretchFactor(row, 1)
            self._view.ci.layout.setRowPreferredHeight(row, 200 + axis)
        names = ("sinc", "voice", "mel")
        self._images = {name: RingImage(self._grid, self._rate) for name in names}
        self._lanes: dict[str, Any] = {}
        self._marks: dict[str, Marks] = {}
        self._cursors: list[Any] = []
        self._heads: list[Any] = []
        # Of the filter chosen: its row, and its cutoffs among the mel bands.
        self._edges: dict[str, list[Any]] = {}
        self._rank = 0
        # What is still to be made; see build_on.
        self._lacking: deque[Callable[[], None]] = deque()
        for row, name in enumerate(names):
            self._lacking += (partial(self._add_lane, row, name), partial(self._fill_lane, name))
        self._lacking.append(self._arrange)
        self.set_seconds(self._seconds)
        self.set_axis(self._axis)
        self.apply_look(look)

    @property
    def built(self) -> bool:
        """Whether all lanes are there."""
        return not self._lacking

    def build_on(self) -> None:
        """Make another piece of the lanes, where one is lacking: one takes some milliseconds, all of them would be felt."""
        if self._lacking:
            self._lacking.popleft()()

    def _fill_lane(self, name: str) -> None:
        lane = self._lanes[name]
        lane.addItem(self._images[name], ignoreBounds=True)
        self._marks[name] = Marks()
        self._marks[name].setZValue(5)
        lane.addItem(self._marks[name], ignoreBounds=True)
        for lines in (self._cursors, self._heads):
            line = pg.InfiniteLine(angle=90)
            line.setZValue(30)
            line.setVisible(False)
            lane.addItem(line, ignoreBounds=True)
            lines.append(line)
        if name in PICTURES:
            self._edges[name] = [pg.InfiniteLine(angle=0), pg.InfiniteLine(angle=0)]
            for edge in self._edges[name]:
                edge.setZValue(10)
                lane.addItem(edge, ignoreBounds=True)

    def _arrange(self) -> None:
        """Catch up with what was asked for while lanes were lacking."""
        self.set_axis(self._axis)
        self.show_chosen(self._rank)
        self.apply_look(self._look)
        self._range = (0.0, 0.0)

    def _add_lane(self, row: int, name: str) -> None:
        axes = {"left": pg.AxisItem("left"), "bottom": TimeAxis("bottom")}
        lane = self._lanes[name] = add_still_plot(self._view, row, GUTTER, axisItems=axes)
        lane.getViewBox().setYRange(0.0, 1.0, padding=0.0)
        if name == "voice":
            lane.getAxis("left").setTicks([[(0.5, "voice")]])
        if name == "mel":
            lane.getAxis("bottom").setHeight(20)
        else:
            lane.hideAxis("bottom")

    # Settings -------------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """How much time is shown."""
        return self._seconds

    @property
    def range(self) -> tuple[float, float]:
        """First and last second shown."""
        return self._range

    @property
    def scene(self) -> Any:
        """Where the pictures lie: it tells of the pointer."""
        return self._view.scene()

    @property
    def stride(self) -> int:
        """Frames that share a column; the loudest of them is drawn."""
        return self._images["sinc"].stride

    @property
    def axis(self) -> str:
        """One of :data:`AXES`."""
        return self._axis

    def plot(self, name: str | None) -> Any:
        """One of :data:`PICTURES`, or all there is, to be exported."""
        while not self.built:
            self.build_on()
        return self._view.ci if name is None else self._lanes[name]

    def set_seconds(self, seconds: float) -> None:
        """Show so much time."""
        self._seconds = seconds
        for image in self._images.values():
            image.set_span(seconds)

    def set_axis(self, axis: str) -> None:
        """Take one of :data:`AXES` for frequencies."""
        if axis not in AXES:
            raise ValueError(f"axis must be one of {', '.join(AXES)}, got {axis!r}")
        self._axis = axis
        for name, centres in self._centres.items():
            if axis == "filters":
                rows = np.arange(len(centres))
            else:
                middles = (np.arange(_ROWS) + 0.5) * float(place(self._rate / 2.0, axis)) / _ROWS
                rows = np.abs(middles[:, np.newaxis] - place(centres, axis)).argmin(axis=1)
            self._images[name].set_rows(rows)
            if name not in self._lanes:
                continue
            ticks: list[tuple[float, str]] = []
            for hertz in reversed(_TICKS_HZ[axis]):
                height = self.height_of(name, float(hertz))
                if _TICK_ROOM / 4 < height < (ticks[-1][0] if ticks else 1.0) - _TICK_ROOM:
                    ticks.append((height, _hertz_text(hertz)))
            self._lanes[name].getAxis("left").setTicks([ticks])

    def set_colours(self, floor: float, ceiling: float, table: NDArray[np.uint32]) -> None:
        """Draw levels from `floor` to `ceiling` (dB) in the colours of `table`."""
        for name in PICTURES:
            self._images[name].set_colours(floor, ceiling, table)

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        palette = look.palette
        self._view.setBackground(palette.panel)
        for lane in self._lanes.values():
            paint_axes(lane, palette)
        for marks in self._marks.values():
            marks.look = look
        silent, voiced = (
            np.uint32(int(colour[1:], 16) | 0xFF000000)
            for colour in (blend(palette.accent, palette.well, 0.12), palette.accent)
        )
        self._images["voice"].set_colours(0.0, 1.0, np.where(np.arange(256) < round(255 * VOICED), silent, voiced))
        for edges in self._edges.values():
            for edge in edges:
                edge.setPen(pg.mkPen("#ffffff", width=1, style=Qt.PenStyle.DotLine))
        for cursor in self._cursors:
            cursor.setPen(pg.mkPen("#ffffff", width=1))
        for head in self._heads:
            head.setPen(pg.mkPen(palette.record, width=2))

    # What is shown --------------------------------------------------------------------------------------------------------

    def show_chosen(self, rank: int) -> None:
        """Mark the filter of that rank."""
        self._rank = rank
        cutoffs = (float(self._bank.low[rank]), float(self._bank.high[rank]))
        for name, edges in self._edges.items():
            places = [self.height_of(name, cutoff) for cutoff in cutoffs]
            if name == "sinc" and self._axis == "filters":
                places = [rank / self._bank.bands, (rank + 1) / self._bank.bands]
            for edge, at in zip(edges, places, strict=True):
                edge.setPos(at)

    def height_of(self, name: str, hertz: float) -> float:
        """Where a frequency stands in a picture, from 0 to 1; among rows of one height, each row's middle is its centre."""
        if self._axis != "filters":
            return float(place(hertz, self._axis)) / float(place(self._rate / 2.0, self._axis))
        centres = self._centres[name]
        return (float(np.interp(hertz, centres, np.arange(len(centres)), left=-0.5, right=len(centres) - 0.5)) + 0.5) / len(
            centres
        )

    def show_model(self, model: SincgramModel) -> None:
        """Draw what is new, up to what was heard last."""
        end = max(model.position / self._rate, self._seconds)
        moved = (end - self._seconds, end) != self._range
        self._range = (end - self._seconds, end)
        if not self.built:
            return
        for name, ring in (("sinc", model.sinc), ("voice", model.voice), ("mel", model.mel)):
            if moved:
                self._lanes[name].getViewBox().setXRange(*self._range, padding=0.0)
            self._images[name].show_ring(ring, *self._range)
        self._show_spans(model.gaps, model.played)
        # NB: pyqtgraph applies new ranges while it paints, which would order a second painting; this applies them now.
        self.scene.prepareForPaint()

    def _mark(self, span: Span, colour: str, texts: tuple[str, ...]) -> Mark:
        first, end = span.seconds(self._rate)
        return Mark(first, end, colour, texts, hatched=True)

    def _show_spans(self, gaps: Iterable[Span], played: Iterable[Span]) -> None:
        palette = self._look.palette
        for name, marks in self._marks.items():
            texts = ("gap",) if name == "sinc" else ()
            shown = [self._mark(gap, palette.warning, texts) for gap in gaps]
            if name == "voice":
                shown += [self._mark(span, palette.record, ("played",)) for span in played]
            marks.show_marks(shown, *self._range)

    def show_head(self, second: float | None) -> None:
        """Mark what is being heard, or nothing."""
        self._show_line(self._heads, second)

    def show_cursor(self, second: float | None) -> None:
        """Mark the time that is read off, or none."""
        self._show_line(self._cursors, second)

    @staticmethod
    def _show_line(lines: list[Any], second: float | None) -> None:
        for line in lines:
            line.setVisible(second is not None)
            if second is not None:
                line.setPos(second)

    # Reading off ----------------------------------------------------------------------------------------------------------

    def under(self, position: QtCore.QPointF) -> tuple[str, int, int] | None:
        """Picture, column and band (rank of a filter, or mel band) at a point of the scene, if there is a picture."""
        for name in PICTURES if self.built else ():
            box = self._lanes[name].getViewBox()
            if box.sceneBoundingRect().contains(position):
                at = box.mapSceneToView(position)
                return name, self._grid.column_at(round(at.x() * self._rate)), self.band_at(name, at.y())
        return None

    def band_at(self, name: str, height: float) -> int:
        """Band at a height of a picture, from 0 to 1."""
        order = self._images[name].order
        return int(order[min(max(int(height * len(order)), 0), len(order) - 1)])


def _hertz_text(hertz: float) -> str:
    return f"{hertz / 1000.0:.3g} kHz" if hertz >= 1_000.0 else f"{hertz:.0f} Hz"
