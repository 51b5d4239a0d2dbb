"""Plots that stand still: nothing scales or moves them but the program. GUI thread only."""

from __future__ import annotations

from typing import Any

from realtime_ser.gui.panels.panel import minus
from realtime_ser.gui.qt import QtGui, QtWidgets, pg
from realtime_ser.gui.theme import Palette

__all__ = ["FigureAxis", "add_still_plot", "paint_axes"]


class FigureAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Figures with the sign that is as wide as a plus."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        """As pyqtgraph writes them, but for that."""
        return [minus(figure) for figure in super().tickStrings(values, scale, spacing)]


def add_still_plot(view: Any, row: int, gutter: int, **options: Any) -> Any:
    """Add a plot below the others that the mouse neither moves nor scales.

    Parameters
    ----------
    view
        A ``pyqtgraph.GraphicsLayoutWidget``.
    row
        Counted from 0.
    gutter
        Pixels for the left axis, so that plots stand exactly below each other.
    options
        For ``addPlot``.

    Returns
    -------
    The ``pyqtgraph.PlotItem``.
    """
    # Without the menu from the start: making it takes as long as the rest of a plot.
    plot = view.addPlot(row=row, col=0, enableMenu=False, **options)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    box = plot.getViewBox()
    box.setDefaultPadding(0.0)
    box.disableAutoRange()
    for side in ("left", "bottom"):
        # Otherwise every change of range writes the axis' (empty) label anew.
        plot.getAxis(side).enableAutoSIPrefix(False)
    left = plot.getAxis("left")
    left.setWidth(gutter)
    left.setStyle(tickLength=-4, tickTextOffset=4)
    return plot


def paint_axes(plot: Any, palette: Palette) -> None:
    """Give a plot's ground and axes the colours of a theme; every axis takes half a millisecond, so hidden ones are left."""
    font = QtGui.QFont(QtWidgets.QApplication.font())
    font.setPixelSize(10)
    plot.getViewBox().setBackgroundColor(palette.well)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        if axis.isVisible():
            axis.setPen(pg.mkPen(palette.line))
            axis.setTextPen(pg.mkPen(palette.dim))
            axis.setTickFont(font)
