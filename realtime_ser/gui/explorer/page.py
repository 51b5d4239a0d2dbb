"""What the explorer's pages have in common: plots over frequency that take on a theme and can be exported. GUI thread only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.explorer.scales import SCALES, place, ticks
from realtime_ser.gui.panels.panel import Look, add_button, make_label
from realtime_ser.gui.panels.plots import FigureAxis, paint_axes
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets, pg
from realtime_ser.gui.theme import Palette

__all__ = [
    "SLIDER",
    "ChoicePage",
    "Page",
    "PlotView",
    "curve",
    "dots",
    "fit_response",
    "fit_y",
    "say_nothing_is_there",
    "say_what_measures_it",
]

SLIDER = 320
"""Pixels of a slider: over the whole width it would be taken for the axis of the plots below it, which have others."""
POINTER_RATE = 30
"""Pictures a second that follow the pointer at most."""


class PlotView(pg.GraphicsLayoutWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """Plots in a grid, and where the pointer is among them.

    Nothing here scales itself: ranges are set, and curves are moved in place, which is what keeps a picture cheap.
    """

    pointed = QtCore.Signal(object)
    """The pointer moved to this place in the scene."""
    clicked = QtCore.Signal(object)
    """The left button was clicked at this place in the scene."""
    pointer_left = QtCore.Signal()
    """The pointer left the plots."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(name)
        self.ci.layout.setContentsMargins(4, 4, 16, 4)
        self._proxy = pg.SignalProxy(
            self.scene().sigMouseMoved, rateLimit=POINTER_RATE, slot=lambda places: self.pointed.emit(places[0])
        )
        self.scene().sigMouseClicked.connect(lambda event: self.clicked.emit(event.scenePos()))

    def add_plot(self, row: int, column: int, title: str, columns: int = 1) -> Any:
        """Add a plot, over some columns of the grid, that neither scales itself nor is moved by the mouse."""
        # Without the menu from the start: making it takes as long as the rest of a plot.
        axes = {side: FigureAxis(side) for side in ("left", "bottom")}
        plot = self.addPlot(row=row, col=column, colspan=columns, title=title, enableMenu=False, axisItems=axes)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.getViewBox().disableAutoRange()
        plot.getAxis("left").setWidth(52)
        # Else the last frequency goes without a label where it would reach over the edge by some pixels.
        plot.getAxis("bottom").setStyle(hideOverlappingLabels=False)
        for number in range(column, column + columns):
            self.ci.layout.setColumnStretchFactor(number, 1)
            self.ci.layout.setColumnPreferredWidth(number, 100)
        return plot

    def leaveEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802 - Qt's name
        """Tell that the pointer is elsewhere."""
        super().leaveEvent(event)
        self.pointer_left.emit()


def curve(plot: Any, **options: Any) -> Any:
    """Add a line to `plot` that can be moved in place by its ``setData``."""
    item = pg.PlotCurveItem(**options)
    plot.addItem(item, ignoreBounds=True)
    return item


def dots(plot: Any, symbol: str, size: int) -> Any:
    """Add points to `plot` that can be moved in place by their ``setData``."""
    item = pg.ScatterPlotItem(symbol=symbol, size=size, pen=None)
    plot.addItem(item, ignoreBounds=True)
    return item


def fit_y(plot: Any, *values: NDArray[np.float64], zero: bool = False) -> None:
    """Let the y axis show all of `values`, and 0 where asked for."""
    everything = np.concatenate([np.ravel(one) for one in values])
    low, high = float(everything.min()), float(everything.max())
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.06 * (high - low) or 1.0
    plot.getViewBox().setYRange(low - margin, high + margin, padding=0.0)


def fit_response(plot: Any, *decibels: NDArray[np.float64]) -> None:
    """Let the y axis show the upper 30 dB of responses: beyond the first and the last filter there are only side lobes."""
    top = max(float(one.max()) for one in decibels) + 2.0
    plot.getViewBox().setYRange(top - 32.0, top, padding=0.0)


def say_nothing_is_there(text: str, button: str, tip: str, action: Callable[[], None]) -> QtWidgets.QWidget:
    """In place of plots: what is lacking and how it is made, which can be selected, and a button for the next step."""
    said = make_label(text)
    said.setWordWrap(True)
    said.setAlignment(Qt.AlignmentFlag.AlignCenter)
    said.setFixedWidth(560)
    said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard)
    widget = QtWidgets.QWidget()
    layout = QtWidgets.QGridLayout(widget)
    layout.addWidget(said, 1, 1)
    row = QtWidgets.QHBoxLayout()
    row.addStretch(1)
    add_button(row, button, tip, action)
    row.addStretch(1)
    layout.addLayout(row, 2, 1)
    layout.setVerticalSpacing(16)
    for edge in (0, 3):
        layout.setRowStretch(edge, 1)
    for edge in (0, 2):
        layout.setColumnStretch(edge, 1)
    return widget


def say_what_measures_it(text: str, command: str, needs: str, tell: Callable[[str], None]) -> QtWidgets.QWidget:
    """In place of plots: what the bundle lacks, and the command that puts it into one, to be copied, which is told."""

    def copy() -> None:
        QtWidgets.QApplication.clipboard().setText(command)
        tell(f"On the clipboard: {command}")

    tip = "Put the command on the clipboard, to be pasted into a terminal"
    return say_nothing_is_there(f"{text}\n\n{command}\n\n{needs}", "Copy the command", tip, copy)


class Page(QtWidgets.QWidget):
    """A page of the explorer.

    A subclass makes its plots in :meth:`build`, names them in :attr:`plots`, and implements :meth:`draw` and :meth:`numbers`.
    """

    told = QtCore.Signal(str)
    """A line about what is chosen or under the pointer."""

    def __init__(self) -> None:
        super().__init__()
        self.plots: dict[str, Any] = {}
        self.over_frequency: list[Any] = []
        self.look: Look | None = None
        self.scale = SCALES[0]
        self.end_hz = 0.0
        self.coarse = False
        self.line = ""
        self._builder: Iterator[None] | None = None
        self.built = False

    def build(self) -> Iterator[None]:
        """Make the plots, with a pause after each: one takes some milliseconds, all of them would be felt."""
        raise NotImplementedError

    def build_on(self, seconds: float) -> bool:
        """Go on building for about so long, at least by one plot; whether everything is built."""
        if self._builder is None:
            self._builder = self.build()
        end = time.perf_counter() + seconds
        while not self.built:
            try:
                next(self._builder)
            except StopIteration:
                self.built = True
            if time.perf_counter() >= end:
                break
        return self.built

    def numbers(self, name: str) -> Columns:
        """The numbers of the plot `name`, one of :attr:`plots`; :class:`KeyError` for any other."""
        raise NotImplementedError

    def draw(self, palette: Palette) -> None:
        """Draw everything anew, in a theme and on the axis :attr:`scale`."""
        raise NotImplementedError

    def say(self, line: str) -> None:
        """Tell a line; it stays what this page has to say."""
        self.line = line
        self.told.emit(line)

    def at(self, hertz: Any) -> NDArray[np.float64]:
        """Frequencies as they stand on the axis."""
        return place(hertz, self.scale)

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self.look = look
        self._redraw()

    def set_scale(self, scale: str) -> None:
        """Draw frequencies on another axis."""
        self.scale = scale
        self._redraw()

    def _redraw(self) -> None:
        if self.look is None or not self.built:
            return
        palette = self.look.palette
        for view in self.findChildren(PlotView):
            view.setBackground(palette.panel)
        for plot in dict.fromkeys([*self.plots.values(), *self.over_frequency]):
            if not isinstance(plot, pg.PlotItem):
                continue  # a whole view, whose plots are listed themselves
            plot.setTitle(plot.titleLabel.text, color=palette.text, size="9pt")
            paint_axes(plot, palette)
        marks = ticks(self.scale, self.end_hz, self.coarse)
        for plot in self.over_frequency:
            plot.getAxis("bottom").setTicks([marks])
            plot.getViewBox().setXRange(float(self.at(0.0)), float(self.at(self.end_hz)), padding=0.03)
        self.draw(palette)


class ChoicePage(Page):
    """A page on which one of many things, each at a frequency, is shown closely.

    The one under the pointer is shown at once; a click, the slider or the arrow keys keep it. A subclass sets where the things
    are by :meth:`offer`, names the plots in which they are pointed at in :attr:`targets`, and implements :meth:`show_choice`.

    Parameters
    ----------
    thing
        What is chosen, as the slider calls it.
    """

    def __init__(self, thing: str) -> None:
        super().__init__()
        self.targets: list[Any] = []
        self._places = np.zeros(1)
        self._chosen = 0
        self._pointed: int | None = None
        self._drawn: int | None = None
        self.slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(f"{thing}, from low to high frequency")
        self.slider.setToolTip(f"Choose a {thing}: arrow keys, Page Up and Down; or point at it in a plot and click")
        self.slider.valueChanged.connect(self._take)
        self.setFocusProxy(self.slider)
        self.bar = QtWidgets.QHBoxLayout()
        self.bar.addWidget(make_label(thing.capitalize(), "dim"))
        self.slider.setFixedWidth(SLIDER)
        self.bar.addWidget(self.slider)
        self.bar.addStretch(1)

    def follow(self, view: PlotView) -> None:
        """Let the pointer in `view` choose."""
        view.pointed.connect(self._point)
        view.clicked.connect(self._click)
        view.pointer_left.connect(lambda: self.point_at(None))

    def offer(self, places_hz: NDArray[np.float64]) -> None:
        """What can be chosen from now on: things at these frequencies, ascending, shape ``(things,)``."""
        self._places = places_hz
        self._chosen, self._pointed, self._drawn = 0, None, None
        with QtCore.QSignalBlocker(self.slider):
            self.slider.setRange(0, len(places_hz) - 1)
            self.slider.setValue(0)

    @property
    def chosen(self) -> int:
        """The one chosen, counted from 0."""
        return self._chosen

    @property
    def shown(self) -> int:
        """The one that is drawn: under the pointer, else the one chosen."""
        return self._chosen if self._pointed is None else self._pointed

    def choose(self, number: int) -> None:
        """Choose one; ``IndexError`` where there is none of that number."""
        if not 0 <= number < len(self._places):
            raise IndexError(f"a number from 0 to {len(self._places) - 1} is wanted, got {number}")
        self._pointed = None
        if number == self.slider.value():
            self.refresh_choice()
        self.slider.setValue(number)  # which calls _take, if it is another

    def _take(self, number: int) -> None:
        self._chosen, self._pointed = number, None
        self.refresh_choice()

    def nearest(self, position: float) -> int:
        """The one that is nearest to `position` on the frequency axis as it is drawn."""
        return int(np.argmin(np.abs(self.at(self._places) - position)))

    def point_at(self, number: int | None) -> None:
        """Show one as long as the pointer is on it; ``None``: it is on none."""
        self._pointed = number
        self.refresh_choice()

    def _position(self, place: QtCore.QPointF) -> float | None:
        for plot in self.targets:
            box = plot.getViewBox()
            if box.sceneBoundingRect().contains(place):
                return float(box.mapSceneToView(QtCore.QPointF(place)).x())
        return None

    def _point(self, place: QtCore.QPointF) -> None:
        position = self._position(place)
        self.point_at(None if position is None else self.nearest(position))

    def _click(self, place: QtCore.QPointF) -> None:
        position = self._position(place)
        if position is not None:
            self.choose(self.nearest(position))

    def refresh_choice(self, anew: bool = False) -> None:
        """Show what is to be shown, unless it is drawn already or `anew`."""
        if self.look is None or not self.built:
            return
        number = self.shown
        if anew or number != self._drawn:
            self._drawn = number
            self.show_choice(number)
        told = self.describe(number)
        if number == self._chosen:
            self.slider.setAccessibleDescription(told)
        self.say(told if number == self._chosen else f"{told}  –  under the pointer; a click keeps it")

    def show_choice(self, number: int) -> None:
        """Draw one of the things."""
        raise NotImplementedError

    def describe(self, number: int) -> str:
        """One line about one of the things."""
        raise NotImplementedError
