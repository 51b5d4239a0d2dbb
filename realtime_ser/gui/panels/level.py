"""The level meter: peak and RMS in dBFS, a held peak, and a mark that says that it clipped."""

from __future__ import annotations

import math

from realtime_ser.gui.models import MeterModel
from realtime_ser.gui.panels.panel import Look, Panel, minus, numeric_font
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import blend, ink_on

__all__ = ["LevelPanel", "meter_position"]

FLOOR_DB = -60.0
MARKS = (0, -6, -12, -18, -24, -30, -40, -50, -60)


def meter_position(dbfs: float) -> float:
    """Where a level stands on the meter, from 0 (-60 dBFS and less) to 1 (full scale): linear in dB, upper half wider."""
    if not dbfs > FLOOR_DB:
        return 0.0
    # The upper 24 dB, where speech should peak, get 60 % of the scale.
    return 0.6 * (min(dbfs, 0.0) + 24.0) / 24.0 + 0.4 if dbfs > -24.0 else 0.4 * (dbfs - FLOOR_DB) / 36.0


class _Meter(QtWidgets.QWidget):
    forgiven = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(48, 120)
        self._look: Look | None = None
        self._model = MeterModel()
        self._scale: QtGui.QPixmap | None = None
        self._shown: tuple[float, ...] = ()
        self.setToolTip(
            "Peak (wide bar), RMS (bright bar) and the peak of the last seconds (line). A click, or C, resets CLIP."
        )

    def apply_look(self, look: Look) -> None:
        self._look = look
        self._scale = None
        self.update()

    def show_model(self, model: MeterModel) -> None:
        self._model = model
        shown = (model.peak, model.rms, model.held, model.clipped, model.silent)
        if shown != self._shown:
            self._shown = shown
            self.update()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        self.forgiven.emit()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._look is None:
            return
        palette, model = self._look.palette, self._model
        painter = QtGui.QPainter(self)
        # Only the bars move thirty times a second; the scale is drawn when size or theme change.
        if self._scale is None or self._scale.deviceIndependentSize().toSize() != self.size():
            self._scale = self._draw_scale()
        painter.drawPixmap(0, 0, self._scale)
        painter.setFont(numeric_font(10))
        clipped = model.clipped > 0
        lamp = QtCore.QRectF(0.0, 0.0, self.width(), 16.0)
        if clipped:
            painter.fillRect(lamp, QtGui.QColor(palette.error))
        painter.setPen(QtGui.QColor(ink_on(palette.error) if clipped else palette.dim))
        painter.drawText(lamp, Qt.AlignmentFlag.AlignCenter, "CLIP" if clipped or not model.silent else "MUTE")
        painter.setPen(QtGui.QColor(palette.dim))
        figure = QtCore.QRectF(0.0, self.height() - 15.0, self.width(), 15.0)
        painter.drawText(
            figure, Qt.AlignmentFlag.AlignCenter, minus(f"{model.held:.1f}") if math.isfinite(model.held) else "−∞"
        )
        track = self._track()
        self._draw_bar(painter, track, model.peak, 0.45)
        inner = track.adjusted(track.width() * 0.2, 0.0, -track.width() * 0.2, 0.0)
        self._draw_bar(painter, inner, model.rms, 1.0)
        if math.isfinite(model.held) and model.held > FLOOR_DB:
            y = track.bottom() - meter_position(model.held) * track.height()
            painter.fillRect(QtCore.QRectF(track.left(), y - 1.0, track.width(), 2.0), QtGui.QColor(palette.text))

    def _track(self) -> QtCore.QRectF:
        gutter = QtGui.QFontMetricsF(numeric_font(10)).horizontalAdvance(minus(f"{MARKS[-1]}")) + 6.0
        return QtCore.QRectF(gutter, 22.0, self.width() - gutter, self.height() - 41.0)

    def _draw_scale(self) -> QtGui.QPixmap:
        ratio = self.devicePixelRatioF()
        scale = QtGui.QPixmap(self.size() * ratio)
        scale.setDevicePixelRatio(ratio)
        scale.fill(Qt.GlobalColor.transparent)
        painter = QtGui.QPainter(scale)
        self.paint_scale(painter)
        painter.end()
        return scale

    def paint_scale(self, painter: QtGui.QPainter) -> None:
        """Everything that stands still."""
        if self._look is None:
            return
        palette = self._look.palette
        painter.setFont(numeric_font(10))
        painter.setPen(QtGui.QColor(palette.grid))
        painter.drawRect(QtCore.QRectF(0.5, 0.5, self.width() - 1.0, 15.0))
        track = self._track()
        painter.fillRect(track, QtGui.QColor(palette.well))
        for mark in MARKS:
            y = track.bottom() - meter_position(mark) * track.height()
            painter.setPen(QtGui.QColor(palette.line))
            painter.drawLine(QtCore.QPointF(track.left() - 3.0, y), QtCore.QPointF(track.left(), y))
            painter.setPen(QtGui.QColor(palette.dim))
            box = QtCore.QRectF(0.0, y - 7.0, track.left() - 5.0, 14.0)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, minus(f"{mark}"))

    def _draw_bar(self, painter: QtGui.QPainter, track: QtCore.QRectF, level: float, strength: float) -> None:
        """Draw a bar up to `level` in its three zones: fine, high, close to clipping."""
        if self._look is None:
            return
        palette = self._look.palette
        reached = meter_position(level)
        zones = ((0.0, meter_position(-12.0), palette.good), (meter_position(-12.0), meter_position(-3.0), palette.warning))
        for low, high, colour in (*zones, (meter_position(-3.0), 1.0, palette.error)):
            top = min(reached, high)
            if top > low:
                rect = QtCore.QRectF(
                    track.left(), track.bottom() - top * track.height(), track.width(), (top - low) * track.height()
                )
                painter.fillRect(rect, QtGui.QColor(blend(colour, palette.well, strength)))


class LevelPanel(Panel):
    """The meter in its frame."""

    forgiven = QtCore.Signal()
    """The user has seen that it clipped."""

    def __init__(self) -> None:
        super().__init__("dBFS")
        self.setFixedWidth(76)
        self._meter = _Meter()
        self._meter.forgiven.connect(self.forgiven)
        self.body.addWidget(self._meter, 1)

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._meter.apply_look(look)

    def refresh_plots(self, model: MeterModel) -> None:
        """Draw the meter."""
        self._meter.show_model(model)

    def refresh_text(self, model: MeterModel) -> None:
        """Say the level to assistive technology."""
        level = f"peak {model.held:.0f} dBFS" if math.isfinite(model.held) else "silent"
        spoken = f"{level}, {'clipped' if model.clipped else 'not clipped'}"
        if spoken != self._meter.accessibleName():
            self._meter.setAccessibleName(spoken)
