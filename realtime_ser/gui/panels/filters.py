"""The filter bank: where every learnt band lies, where it started, what it hears now, and what all of them let through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.filterbank import FilterBank, mel_from_hz
from realtime_ser.gui.models import DashboardModel
from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, legend_markup, make_label, minus, set_text
from realtime_ser.gui.panels.plots import add_still_plot, paint_axes
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets, pg
from realtime_ser.gui.theme import blend

__all__ = ["FilterPanel"]

GUTTER = 62
_SHORT = 12
"""Characters of a name for which there is room."""
ENERGY_RANGE_DB = 60.0
DECIBELS_PER_NEPER = 10.0 / np.log(10.0)
TICKS_HZ = {
    "mel": (0, 100, 250, 500, 1000, 2000, 4000, 8000),
    "Hz": (0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000),
}


class FilterPanel(Panel):
    """Three plots over one frequency axis, in mel or in Hz."""

    axis_changed = QtCore.Signal(str)
    """``"mel"`` or ``"Hz"``."""
    explore_asked = QtCore.Signal()
    live_asked = QtCore.Signal()
    person_asked = QtCore.Signal()
    """Another person's voice shall be shown."""

    def __init__(self) -> None:
        super().__init__("Filter bank")
        self._look: Look | None = None
        self._bank: FilterBank | None = None
        self._axis = "mel"
        self._drawn_bin = -1
        self._loudest = -np.inf
        self._home = np.zeros(0)
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self.header.addWidget(self._legend)
        self._movement = ElidedLabel()
        self.header.addWidget(self._movement, 1)
        self._person = QtWidgets.QToolButton()
        self._person.setToolTip("Whose voice is shown here, in presentation, inside, sincgram and health (P switches)")
        self._person.clicked.connect(self.person_asked)
        self.header.addWidget(self._person)
        self.show_person("")
        self._buttons: dict[str, QtWidgets.QToolButton] = {}
        group = QtWidgets.QButtonGroup(self)
        for name in ("mel", "Hz"):
            button = QtWidgets.QToolButton()
            button.setText(name)
            button.setCheckable(True)
            button.setChecked(name == self._axis)
            button.setToolTip(f"Frequency axis in {name} (M switches)")
            button.setAccessibleName(f"frequency axis in {name}")
            button.clicked.connect(lambda _checked=False, chosen=name: self.set_axis(chosen))
            group.addButton(button)
            self.header.addWidget(button)
            self._buttons[name] = button
        explore = QtWidgets.QToolButton()
        explore.setText("Explore…")
        explore.setToolTip("Every filter, its response and its movement, in a window of its own (Ctrl+B)")
        explore.setAccessibleName("explore the filter bank")
        explore.clicked.connect(self.explore_asked)
        self.header.addWidget(explore)
        live = QtWidgets.QToolButton()
        live.setText("Live…")
        live.setToolTip("What every filter hears over time, beside a mel spectrogram, and heard through a filter (Ctrl+L)")
        live.setAccessibleName("live sincgram")
        live.clicked.connect(self.live_asked)
        self.header.addWidget(live)

        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._view.setMinimumHeight(150)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setAccessibleName("filter bank, learnt against initial")
        layout = self._view.ci.layout
        layout.setSpacing(3)
        layout.setContentsMargins(0, 0, 12, 0)
        self.body.addWidget(self._view, 1)
        self._bands = self._add_plot(0, "band")
        self._live = self._add_plot(1, "now")
        self._response = self._add_plot(2, "dB")
        for row, stretch in ((0, 5), (1, 2), (2, 4)):
            layout.setRowStretchFactor(row, stretch)
        self._response.showAxis("bottom")
        self._response.getAxis("bottom").setHeight(20)
        self._response.getAxis("bottom").setTicks([[]])  # until there is a bank
        self._initial_bands = pg.PlotCurveItem(connect="pairs")
        self._learnt_bands = pg.PlotCurveItem(connect="pairs")
        self._chosen_band = pg.PlotCurveItem(connect="pairs")
        for curve in (self._initial_bands, self._learnt_bands, self._chosen_band):
            self._bands.addItem(curve, ignoreBounds=True)
        self._energies = pg.PlotCurveItem(fillLevel=-ENERGY_RANGE_DB)
        self._live.addItem(self._energies, ignoreBounds=True)
        self._live.getViewBox().setYRange(-ENERGY_RANGE_DB, 0.0, padding=0.0)
        self._initial_response = pg.PlotCurveItem(antialias=True)
        self._learnt_response = pg.PlotCurveItem(antialias=True)
        for curve in (self._initial_response, self._learnt_response):
            self._response.addItem(curve, ignoreBounds=True)
        self._pointer = pg.SignalProxy(self._view.scene().sigMouseMoved, rateLimit=20, slot=self._point)

    def _add_plot(self, row: int, unit: str) -> Any:
        plot = add_still_plot(self._view, row, GUTTER)
        plot.hideAxis("bottom")
        plot.getAxis("left").setTicks([[(0.5, unit)]])
        return plot

    @property
    def axis(self) -> str:
        """``"mel"`` or ``"Hz"``."""
        return self._axis

    def set_axis(self, name: str) -> None:
        """Draw frequencies in ``"mel"`` or in ``"Hz"``."""
        if name not in TICKS_HZ:
            raise ValueError(f"axis must be one of {', '.join(TICKS_HZ)}, got {name!r}")
        changed = name != self._axis
        self._axis = name
        self._buttons[name].setChecked(True)
        self._draw_bank()
        if changed:
            self.axis_changed.emit(name)

    def toggle_axis(self) -> None:
        """Switch between mel and Hz."""
        self.set_axis("Hz" if self._axis == "mel" else "mel")

    def show_bank(self, bank: FilterBank) -> None:
        """Draw a filter bank."""
        self._bank = bank
        self._draw_bank()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        palette = look.palette
        self._view.setBackground(palette.panel)
        for plot in (self._bands, self._live, self._response):
            paint_axes(plot, palette)
        self._initial_bands.setPen(pg.mkPen(blend(palette.ghost, palette.well, 0.55), width=4))
        self._learnt_bands.setPen(pg.mkPen(palette.accent, width=2))
        self._chosen_band.setPen(pg.mkPen(palette.warning, width=4))
        self._energies.setPen(pg.mkPen(palette.good, width=1))
        self._energies.setBrush(pg.mkBrush(blend(palette.good, palette.well, 0.35)))
        self._initial_response.setPen(pg.mkPen(palette.ghost, width=1, style=Qt.PenStyle.DashLine))
        self._learnt_response.setPen(pg.mkPen(palette.accent, width=2))
        set_text(self._legend, legend_markup((palette.accent, "learnt"), (palette.ghost, "initial")))
        self._draw_bank()

    def _place(self, hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Frequencies as they stand on the axis."""
        return mel_from_hz(hertz) if self._axis == "mel" else np.asarray(hertz)

    def _draw_bank(self) -> None:
        bank = self._bank
        if bank is None or self._look is None:
            return
        end = float(self._place(np.array([bank.sample_rate / 2.0]))[0])
        ticks = [tick for tick in TICKS_HZ[self._axis] if tick <= bank.sample_rate / 2]
        marks = [(float(self._place(np.array([float(t)]))[0]), _tick_text(t)) for t in ticks]
        for plot in (self._bands, self._live, self._response):
            plot.getViewBox().setXRange(0.0, end, padding=0.0)
            plot.getAxis("bottom").setTicks([marks])
        # Every band stands at its initial centre, and its cutoffs are drawn by how far they are from it: over a frequency
        # axis of 8 kHz the cutoffs themselves would be a thin diagonal on which no movement can be seen.
        self._home = self._place((bank.initial_low + bank.initial_high) / 2.0)
        twice = np.repeat(self._home, 2)
        initial = self._place(np.column_stack([bank.initial_low, bank.initial_high]).ravel()) - twice
        learnt = self._place(np.column_stack([bank.low, bank.high]).ravel()) - twice
        limit = 1.1 * float(max(np.abs(initial).max(), np.abs(learnt).max(), 1.0))
        self._bands.getViewBox().setYRange(-limit, limit, padding=0.0)
        tick = _round_down(0.8 * limit)
        ticks_left = [(-tick, f"−{tick:,.0f} {self._axis}"), (0.0, "shift 0"), (tick, f"+{tick:,.0f} {self._axis}")]
        self._bands.getAxis("left").setTicks([ticks_left])
        self._live.getAxis("left").setTicks([[(-ENERGY_RANGE_DB / 2.0, "now")]])
        self._initial_bands.setData(twice, initial)
        self._learnt_bands.setData(twice, learnt)
        at = self._place(bank.frequencies)
        self._initial_response.setData(at, bank.initial_response)
        self._learnt_response.setData(at, bank.response)
        top = float(max(bank.initial_response.max(), bank.response.max()))
        high, low = np.ceil((top + 1.0) / 5.0) * 5.0, np.ceil((top + 1.0) / 5.0) * 5.0 - 30.0
        self._response.getViewBox().setYRange(low, high, padding=0.0)
        steps = np.arange(low + 5.0, high, 10.0)
        self._response.getAxis("left").setTicks([[(float(v), minus(f"{v:+.0f} dB") if v else "0 dB") for v in steps]])
        self._chosen_band.setData([], [])
        self._describe(bank.describe_movement())
        self._view.setAccessibleDescription(f"{bank.bands} bands, {bank.describe_movement()}")
        self._drawn_bin = -1

    def show_person(self, name: str) -> None:
        """Say whose voice is shown, of two people; "": of the only one."""
        set_text(self._person, f"{name[:_SHORT]} ⇄")
        self._person.setAccessibleName(f"the voice of {name} is shown; switch to the other")
        self._person.setVisible(bool(name))
        self._drawn_bin = -1

    def refresh_plots(self, model: DashboardModel) -> None:
        """Draw what the bands hear now."""
        bank = self._bank
        if bank is None or model.bands is None or model.bands.end // 2 == self._drawn_bin:
            return  # ten pictures a second are as many as an eye can compare
        self._drawn_bin = model.bands.end // 2
        view = model.bands.view()
        if view.shape[1] != bank.bands:
            return
        newest = view[-6:]
        heard = newest[np.isfinite(newest[:, 0])]
        if not len(heard):
            self._energies.setData([], [])
            return
        decibels = heard[-1, bank.order] * DECIBELS_PER_NEPER
        # The scale follows the loudest band at once and falls back slowly, so that loud and quiet can be told apart.
        self._loudest = max(float(decibels.max()), self._loudest - 0.6)
        self._energies.setData(self._place(bank.centre), np.maximum(decibels - self._loudest, -ENERGY_RANGE_DB))

    def _point(self, arguments: tuple[Any, ...]) -> None:
        """Name the band under the pointer."""
        bank = self._bank
        if bank is None:
            return
        position = arguments[0]
        box = self._bands.getViewBox()
        if not box.sceneBoundingRect().contains(position):
            self._chosen_band.setData([], [])
            self._describe(bank.describe_movement())
            return
        rank = int(np.abs(self._home - box.mapSceneToView(position).x()).argmin())
        home = self._home[rank]
        self._chosen_band.setData(np.full(2, home), self._place(np.array([bank.low[rank], bank.high[rank]])) - home)
        self._describe(minus(bank.describe_band(rank)))

    def _describe(self, text: str) -> None:
        self._movement.show_text(text)


def _round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (5.0, 2.0, 1.0) if step * power <= value * (1.0 + 1e-9)))


def _tick_text(hertz: int) -> str:
    if hertz == 0:
        return "0 Hz"
    return f"{hertz / 1000:g} kHz" if hertz >= 1000 else f"{hertz}"
