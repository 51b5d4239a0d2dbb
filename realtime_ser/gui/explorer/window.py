"""The explorer's window: bands, movement, centres and bandwidths, responses, and the filter that is chosen. GUI thread only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from realtime_ser.gui.explorer.exports import FORMATS, Columns, export_plot
from realtime_ser.gui.explorer.scales import SCALES, place, response_db
from realtime_ser.gui.filterbank import FilterBank, sinc_kernels
from realtime_ser.gui.panels.panel import ElidedLabel, Look, make_label, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.theme import style_sheet

__all__ = ["PLOTS", "ExplorerWindow"]

_TICKS_HZ = {
    "mel": (0, 250, 500, 1000, 2000, 4000, 8000),
    "Hz": (0, 2000, 4000, 6000, 8000),
    "Bark": (0, 250, 500, 1000, 2000, 4000, 8000),
}
_FLOOR_DB = -80.0
PLOTS = ("bands", "movement", "bandwidth", "summed response", "response", "impulse response")
"""Names of the plots, in the order in which they are laid out."""


class ExplorerWindow(QtWidgets.QDialog):
    """Six plots of a filter bank; one filter is chosen by click, slider or arrow keys.

    Parameters
    ----------
    bank
        Filters before and after training.
    kernel
        Their length in samples.
    """

    def __init__(self, bank: FilterBank, kernel: int, look: Look, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Filter-bank explorer")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.resize(1024, 700)
        self._bank = bank
        self._kernels = sinc_kernels(bank.low, bank.high, kernel, bank.sample_rate)
        self._initial_kernels = sinc_kernels(bank.initial_low, bank.initial_high, kernel, bank.sample_rate)
        # All at once: a filter's response is then only looked up when it is chosen.
        self._responses = response_db(self._kernels, bank.frequencies, bank.sample_rate)
        self._initial_responses = response_db(self._initial_kernels, bank.frequencies, bank.sample_rate)
        self._scale = SCALES[0]
        self._chosen_items: list[tuple[Any, Any]] = []
        self._look = look
        self._chosen = 0
        layout = QtWidgets.QVBoxLayout(self)
        bar = QtWidgets.QHBoxLayout()
        layout.addLayout(bar)
        bar.addWidget(make_label("Frequency axis", "dim"))
        self._scales = QtWidgets.QComboBox()
        self._scales.addItems(SCALES)
        self._scales.setAccessibleName("frequency axis")
        self._scales.currentTextChanged.connect(self.set_scale)
        bar.addWidget(self._scales)
        bar.addWidget(make_label("Filter", "dim"))
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, bank.bands - 1)
        self._slider.setAccessibleName("filter, sorted by learnt centre")
        self._slider.setToolTip("Choose a filter: arrow keys, Page Up and Down, or a click into an upper plot")
        self._slider.valueChanged.connect(self.choose)
        bar.addWidget(self._slider, 1)
        self._export = QtWidgets.QPushButton("E&xport")
        self._export.setAccessibleName("export a plot")
        self._export.setToolTip("Write a plot as SVG, PNG or CSV (Alt+X)")
        menu = QtWidgets.QMenu(self._export)
        for name in PLOTS:
            menu.addAction(name).triggered.connect(lambda _checked=False, chosen=name: self._ask_export(chosen))
        self._export.setMenu(menu)
        bar.addWidget(self._export)
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        bar.addWidget(self._legend)
        self._said = ElidedLabel()
        layout.addWidget(self._said)
        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setAccessibleName("plots of the filter bank")
        layout.addWidget(self._view, 1)
        self._bands = self._add_plot(0, 0, "Bands (rank by centre)")
        self._movement = self._add_plot(0, 1, "Movement of the centre (Hz)")
        self._scatter = self._add_plot(1, 0, "Bandwidth (Hz)")
        self._summed = self._add_plot(1, 1, "Summed response (dB)")
        self._single = self._add_plot(2, 0, "Response of the filter (dB)")
        self._impulse = self._add_plot(2, 1, "Impulse response (ms)")
        self._view.scene().sigMouseClicked.connect(self._click)
        self.apply_look(look)
        self._slider.setFocus()

    def _add_plot(self, row: int, column: int, title: str) -> Any:
        plot = self._view.addPlot(row=row, col=column, title=title)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.getAxis("left").setWidth(52)
        return plot

    @property
    def chosen(self) -> int:
        """Rank of the filter chosen, from 0."""
        return self._chosen

    @property
    def description(self) -> str:
        """What is said about the filter chosen."""
        return self._bank.describe_band(self._chosen)

    def choose(self, rank: int) -> None:
        """Choose the filter of that rank; ``IndexError`` where there is none."""
        if not 0 <= rank < self._bank.bands:
            raise IndexError(f"rank must be 0 to {self._bank.bands - 1}, got {rank}")
        self._chosen = rank
        self._slider.setValue(rank)
        self._draw_chosen()

    def set_scale(self, scale: str) -> None:
        """Draw frequencies in ``"mel"``, ``"Hz"`` or ``"Bark"``."""
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self._scale = scale
        self._scales.setCurrentText(scale)
        self._draw()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        palette = look.palette
        self.setStyleSheet(style_sheet(palette))
        self._view.setBackground(palette.panel)
        learnt, initial, chosen = (
            f'<span style="color:{colour}">▮ {word}</span>'
            for colour, word in ((palette.accent, "learnt"), (palette.ghost, "initial"), (palette.warning, "chosen"))
        )
        set_text(self._legend, f"{learnt}&nbsp; {initial}&nbsp; {chosen}")
        self._draw()

    def _plots(self) -> tuple[Any, ...]:
        return (self._bands, self._movement, self._scatter, self._summed, self._single, self._impulse)

    def _draw(self) -> None:
        bank, palette = self._bank, self._look.palette
        accent, ghost = pg.mkPen(palette.accent, width=2), pg.mkPen(palette.ghost, width=2)
        font = QtGui.QFont(QtWidgets.QApplication.font())
        font.setPixelSize(10)
        end = bank.sample_rate / 2
        marks = [(float(place(t, self._scale)), f"{t:,}") for t in _TICKS_HZ[self._scale] if t <= end]
        for plot in self._plots():
            plot.clear()
            plot.setTitle(plot.titleLabel.text, color=palette.text, size="9pt")
            plot.getViewBox().setBackgroundColor(palette.well)
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(pg.mkPen(palette.line))
                axis.setTextPen(pg.mkPen(palette.dim))
                axis.setTickFont(font)
            if plot is not self._impulse:
                plot.getAxis("bottom").setTicks([marks])
                plot.setXRange(float(place(0.0, self._scale)), float(place(end, self._scale)), padding=0.05)
        ranks = np.repeat(np.arange(bank.bands), 2)
        for low, high, pen in ((bank.initial_low, bank.initial_high, ghost), (bank.low, bank.high, accent)):
            self._bands.plot(place(np.column_stack([low, high]).ravel(), self._scale), ranks, pen=pen, connect="pairs")
        centre = place(bank.centre, self._scale)
        for plot, values in ((self._movement, bank.movement), (self._scatter, bank.high - bank.low)):
            if plot is self._scatter:
                before = place((bank.initial_low + bank.initial_high) / 2.0, self._scale)
                width = bank.initial_high - bank.initial_low
                plot.plot(before, width, pen=None, symbol="s", symbolSize=5, symbolPen=None, symbolBrush=palette.ghost)
            plot.plot(centre, values, pen=None, symbol="o", symbolSize=5, symbolPen=None, symbolBrush=palette.accent)
        grid = place(bank.frequencies, self._scale)
        self._summed.plot(grid, bank.initial_response, pen=ghost)
        self._summed.plot(grid, bank.response, pen=accent)
        self._chosen_items.clear()
        self._draw_chosen()

    def _draw_chosen(self) -> None:
        bank, palette, rank = self._bank, self._look.palette, self._chosen
        for plot, item in self._chosen_items:
            plot.removeItem(item)
        self._chosen_items.clear()

        def add(plot: Any, x: Any, y: Any, **style: Any) -> None:
            self._chosen_items.append((plot, plot.plot(x, y, **style)))

        cutoffs = place(np.array([bank.low[rank], bank.high[rank]]), self._scale)
        add(self._bands, cutoffs, [rank, rank], pen=pg.mkPen(palette.warning, width=3))
        centre = float(place(bank.centre[rank], self._scale))
        mark = {"pen": None, "symbol": "d", "symbolSize": 11, "symbolPen": None, "symbolBrush": palette.warning}
        add(self._movement, [centre], [bank.movement[rank]], **mark)
        add(self._scatter, [centre], [bank.high[rank] - bank.low[rank]], **mark)
        taps = self._kernels.shape[1]
        milliseconds = (np.arange(taps) - (taps - 1) / 2) * 1000.0 / bank.sample_rate
        grid = place(bank.frequencies, self._scale)
        for responses, kernels, colour in (
            (self._initial_responses, self._initial_kernels, palette.ghost),
            (self._responses, self._kernels, palette.accent),
        ):
            # One pixel: Qt draws wider lines of many points far more slowly.
            add(self._single, grid, responses[rank], pen=pg.mkPen(colour, width=1))
            add(self._impulse, milliseconds, kernels[rank], pen=pg.mkPen(colour, width=1))
        self._single.setYRange(_FLOOR_DB, 3.0)
        self._said.show_text(self.description)
        self._slider.setAccessibleDescription(self.description)

    def numbers(self, name: str) -> Columns:
        """The numbers of the plot `name`, one of :data:`PLOTS`, in Hz, dB and ms; ``ValueError`` for any other."""
        bank, rank = self._bank, self._chosen
        cutoffs: Columns = {
            "filter": bank.order,
            "initial_low_hz": bank.initial_low,
            "initial_high_hz": bank.initial_high,
            "low_hz": bank.low,
            "high_hz": bank.high,
        }
        taps = self._kernels.shape[1]
        if name == "bands":
            return cutoffs
        if name == "movement":
            return {"filter": bank.order, "centre_hz": bank.centre, "movement_hz": bank.movement}
        if name == "bandwidth":
            before = (bank.initial_low + bank.initial_high) / 2.0, bank.initial_high - bank.initial_low
            initial = {"initial_centre_hz": before[0], "initial_bandwidth_hz": before[1]}
            return {"filter": bank.order, "centre_hz": bank.centre, "bandwidth_hz": bank.high - bank.low, **initial}
        if name == "summed response":
            return {"frequency_hz": bank.frequencies, "initial_db": bank.initial_response, "learnt_db": bank.response}
        if name == "response":
            initial_db, learnt_db = self._initial_responses[rank], self._responses[rank]
            return {"frequency_hz": bank.frequencies, "initial_db": initial_db, "learnt_db": learnt_db}
        if name == "impulse response":
            milliseconds = (np.arange(taps) - (taps - 1) / 2) * 1000.0 / bank.sample_rate
            return {"time_ms": milliseconds, "initial": self._initial_kernels[rank], "learnt": self._kernels[rank]}
        raise ValueError(f"a plot is one of {', '.join(PLOTS)}, got {name!r}")

    def export(self, name: str, path: Path) -> None:
        """Write the plot `name` to `path`; errors as in :func:`export_plot` and :meth:`numbers`."""
        numbers = self.numbers(name)
        export_plot(self._plots()[PLOTS.index(name)], self._look.palette.panel, numbers, path)

    def _ask_export(self, name: str) -> None:
        kinds = ";;".join(f"{kind.upper()} (*.{kind})" for kind in FORMATS)
        suggested = f"{name.replace(' ', '-')}.svg"
        chosen, kind = QtWidgets.QFileDialog.getSaveFileName(self, f"Export {name}", suggested, kinds)
        if not chosen:
            return
        path = Path(chosen)
        if not path.suffix:
            path = path.with_suffix(f".{kind.split(' ', 1)[0].lower()}")
        try:
            self.export(name, path)
        except (OSError, ValueError) as error:
            self._said.show_text(f"Not exported: {error}")
        else:
            self._said.show_text(f"Exported to {path}")

    def _click(self, event: Any) -> None:
        for plot in (self._bands, self._movement, self._scatter):
            if plot.sceneBoundingRect().contains(event.scenePos()):
                self.choose_at(float(plot.getViewBox().mapSceneToView(QtCore.QPointF(event.scenePos())).x()))

    def choose_at(self, position: float) -> None:
        """Choose the filter whose learnt centre is nearest to `position` on the frequency axis as it is drawn."""
        self.choose(int(np.argmin(np.abs(place(self._bank.centre, self._scale) - position))))
