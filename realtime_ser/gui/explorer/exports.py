"""A plot as a file: SVG and PNG as it is drawn, CSV with its numbers. GUI thread only."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from realtime_ser.gui.qt import QtCore, QtGui, QtSvg

__all__ = ["FORMATS", "Columns", "export_plot"]

FORMATS = ("svg", "png", "csv")
_PNG_SCALE = 2.0
Columns = dict[str, Any]
"""Name with unit of every column, and its values, all of one length."""


def export_plot(plot: Any, background: str, numbers: Columns, path: Path) -> None:
    """Write a plot to `path`; the ending decides how.

    Parameters
    ----------
    plot
        A plot item, or a layout of several, that lies in a scene; ``None`` where there are but numbers.
    background
        Colour behind the axes, ``#rrggbb``.
    numbers
        What a CSV file holds.
    path
        Ends in one of :data:`FORMATS`; an existing file is replaced.

    Raises
    ------
    ValueError
        Another ending, or numbers alone as a picture.
    OSError
        The file cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise ValueError(f"A plot is exported as {', '.join(FORMATS)}, not as {path.name!r}.")
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(numbers)
            writer.writerows(zip(*(np.asarray(column).tolist() for column in numbers.values()), strict=True))
        return
    if plot is None:
        raise ValueError("A table is exported as csv.")
    source = plot.sceneBoundingRect()
    if kind == "png":
        image = QtGui.QImage((source.size() * _PNG_SCALE).toSize(), QtGui.QImage.Format.Format_ARGB32)
        image.fill(QtGui.QColor(background))
        painter = QtGui.QPainter(image)
        plot.scene().render(painter, QtCore.QRectF(image.rect()), source)
        painter.end()
        if not image.save(str(path)):
            raise OSError(f"{path} cannot be written.")
        return
    with path.open("wb"):
        pass  # Qt would only print that it cannot write
    generator = QtSvg.QSvgGenerator()
    generator.setFileName(str(path))
    area = QtCore.QRectF(QtCore.QPointF(0.0, 0.0), source.size())
    generator.setSize(source.size().toSize())
    generator.setViewBox(area)
    painter = QtGui.QPainter(generator)
    painter.fillRect(area, QtGui.QColor(background))
    plot.scene().render(painter, area, source)
    painter.end()
