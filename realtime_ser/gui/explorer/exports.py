"""A plot as a file: SVG and PNG as it is drawn, CSV with its numbers. GUI thread only."""

from __future__ import annotations

import csv
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import QtCore, QtGui, QtSvg, QtWidgets
from realtime_ser.gui.worker import Failure

__all__ = ["FORMATS", "Columns", "ask_file", "ask_path", "export_failure", "export_plot"]

FORMATS = ("svg", "png", "csv")
_PNG_SCALE = 2.0
Columns = dict[str, Any]
"""Name with unit of every column, and its values, all of one length."""

_WHY = {
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "the folder does not exist",
    errno.EISDIR: "a folder has that name",
    errno.EACCES: "writing there is not allowed",
    errno.EPERM: "writing there is not allowed",
    errno.EROFS: "nothing can be written there",
    errno.ENOSPC: "the disk is full",
    errno.ENAMETOOLONG: "the name is too long",
}
"""Of an error, in the words of somebody who writes no programs; for the others the system's own have to do."""


def ask_path(parent: QtWidgets.QWidget, name: str, formats: Sequence[str] = FORMATS) -> Path | None:
    """Ask where to write the plot `name`; ``None``: nowhere."""
    return ask_file(parent, f"Export {name}", f"{name.replace(',', '').replace(' ', '-')}.{formats[0]}", formats)


def ask_file(parent: QtWidgets.QWidget, title: str, suggested: str, formats: Sequence[str]) -> Path | None:
    """Ask where to write a file of one of these formats, each of which is an ending; ``None``: nowhere.

    The format that is chosen decides, whatever the ending that is written or suggested: it gives the path its own.
    """
    kinds = {kind: f"{kind.upper()} (*.{kind})" for kind in formats}
    before = kinds.get(Path(suggested).suffix.lower().lstrip("."), "")
    chosen, kind = QtWidgets.QFileDialog.getSaveFileName(parent, title, suggested, ";;".join(kinds.values()), before)
    if not chosen:
        return None
    path = _with_ending(Path(chosen), kind.split(" ", 1)[0].lower(), formats)
    if path != Path(chosen) and path.exists():
        # The dialog has asked about another file, if about any.
        question = f"{shown_path(path)} is there already. Replace it?"
        if QtWidgets.QMessageBox.question(parent, title, question) != QtWidgets.QMessageBox.StandardButton.Yes:
            return None
    return path


def _with_ending(path: Path, kind: str, formats: Sequence[str]) -> Path:
    """The path with the ending of a format: in place of another format's, else appended, since names may hold dots."""
    written = path.suffix.lower().lstrip(".")
    if kind not in formats:  # not every system's dialog tells
        kind = written if written in formats else formats[0]
    if written == kind:
        return path
    return path.with_name(f"{path.stem if written in (*FORMATS, *formats) else path.name}.{kind}")


def export_failure(error: OSError | ValueError, path: Path) -> Failure:
    """Why `path` was not written, and what can be done, in the user's words."""
    if not isinstance(error, OSError):
        return Failure(f"Not exported: {error}", "Export it in another format.")
    why = _WHY.get(error.errno or 0) or error.strerror
    problem = f"Not exported: {shown_path(path)} cannot be written{f': {why}' if why else ''}."
    full = error.errno == errno.ENOSPC
    return Failure(
        problem, "Make room, or export to another disk." if full else "Export to another folder, or by another name."
    )


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
    with path.open("wb"):
        pass  # Qt would say that it cannot write, but not why
    if kind == "png":
        image = QtGui.QImage((source.size() * _PNG_SCALE).toSize(), QtGui.QImage.Format.Format_ARGB32)
        image.fill(QtGui.QColor(background))
        painter = QtGui.QPainter(image)
        plot.scene().render(painter, QtCore.QRectF(image.rect()), source)
        painter.end()
        if not image.save(str(path)):
            raise OSError(f"{path} cannot be written.")
        return
    generator = QtSvg.QSvgGenerator()
    generator.setFileName(str(path))
    area = QtCore.QRectF(QtCore.QPointF(0.0, 0.0), source.size())
    generator.setSize(source.size().toSize())
    generator.setViewBox(area)
    painter = QtGui.QPainter(generator)
    painter.fillRect(area, QtGui.QColor(background))
    plot.scene().render(painter, area, source)
    painter.end()
