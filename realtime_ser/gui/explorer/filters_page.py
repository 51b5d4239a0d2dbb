"""The filters of a bundle before and after training, and one of them closely. GUI thread only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.explorer.page import ChoicePage, PlotView, curve, dots, fit_response, fit_y
from realtime_ser.gui.filterbank import FilterBank, decibels
from realtime_ser.gui.panels.panel import minus
from realtime_ser.gui.qt import QtWidgets, pg
from realtime_ser.gui.theme import Palette

__all__ = ["FiltersPage"]

_FLOOR_DB = -80.0


class FiltersPage(ChoicePage):
    """Six plots of a filter bank; the filter shown is marked in the upper ones and drawn in the lower ones."""

    def __init__(self, bank: FilterBank) -> None:
        super().__init__("filter")
        self._bank = bank
        self.end_hz = bank.sample_rate / 2.0
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self.bar)
        # Two views: what is chosen is drawn without the upper plots' lines being painted again.
        self._overview = PlotView("plots of all filters")
        self._detail = PlotView("plots of the filter chosen")
        layout.addWidget(self._overview, 2)
        layout.addWidget(self._detail, 1)
        self.follow(self._overview)
        self.offer(bank.centre)

    def build(self) -> Iterator[None]:
        """As :meth:`Page.build`."""
        bank = self._bank
        self._bands = self._overview.add_plot(0, 0, "Bands (rank by centre)")
        yield
        self._movement = self._overview.add_plot(0, 1, "Movement of the centre (Hz)")
        yield
        self._scatter = self._overview.add_plot(1, 0, "Bandwidth (Hz)")
        yield
        self._summed = self._overview.add_plot(1, 1, "Summed response (dB)")
        yield
        self._single = self._detail.add_plot(0, 0, "Response of the filter (dB)")
        yield
        self._impulse = self._detail.add_plot(0, 1, "Impulse response over ms (learnt peak: 1)")
        yield
        self.plots = {
            "bands": self._bands,
            "movement": self._movement,
            "bandwidth": self._scatter,
            "summed response": self._summed,
            "response": self._single,
            "impulse response": self._impulse,
        }
        self.over_frequency = [self._bands, self._movement, self._scatter, self._summed, self._single]
        self._both_bands = [curve(self._bands, connect="pairs") for _ in range(2)]
        self._both_widths = [dots(self._scatter, symbol, 5) for symbol in ("s", "o")]
        self._moved = dots(self._movement, "o", 5)
        self._both_sums = [curve(self._summed) for _ in range(2)]
        self._both_responses = [curve(self._single) for _ in range(2)]
        self._both_impulses = [curve(self._impulse) for _ in range(2)]
        self._this_band = curve(self._bands)
        self._this_movement, self._this_width = dots(self._movement, "d", 11), dots(self._scatter, "d", 11)
        self._bands.getViewBox().setYRange(-1.0, float(bank.bands), padding=0.0)
        self._single.getViewBox().setYRange(_FLOOR_DB, 3.0, padding=0.0)
        fit_y(self._movement, bank.movement, zero=True)
        fit_y(self._scatter, bank.bandwidth, bank.initial_bandwidth, zero=True)
        fit_response(self._summed, bank.response, bank.initial_response)
        # Relative to the peak of the learnt one: of a filter as narrow as 20 Hz nothing would be seen beside one of 600 Hz, and
        # a range that changes with the filter costs more to draw than the filter.
        self._peaks = np.abs(bank.kernels).max(axis=1)
        before = float((np.abs(bank.initial_kernels).max(axis=1) / self._peaks).max())
        limit = 1.1 * min(max(before, 1.0), 2.0)
        self._impulse.getViewBox().setYRange(-limit, limit, padding=0.0)
        milliseconds = bank.milliseconds
        self._impulse.getViewBox().setXRange(float(milliseconds[0]), float(milliseconds[-1]), padding=0.02)
        self.targets = [self._bands, self._movement, self._scatter, self._summed]

    def draw(self, palette: Palette) -> None:
        """As :meth:`Page.draw`."""
        bank = self._bank
        accent, ghost = pg.mkPen(palette.accent, width=2), pg.mkPen(palette.ghost, width=2)
        ranks = np.repeat(np.arange(bank.bands, dtype=np.float64), 2)
        grid = self.at(bank.frequencies)
        sides = (
            (bank.initial_low, bank.initial_high, bank.initial_centre, bank.initial_response, ghost, palette.ghost),
            (bank.low, bank.high, bank.centre, bank.response, accent, palette.accent),
        )
        for side, (low, high, centre, response, pen, colour) in enumerate(sides):
            self._both_bands[side].setData(self.at(np.column_stack([low, high]).ravel()), ranks, pen=pen)
            self._both_widths[side].setData(self.at(centre), high - low, brush=colour)
            # One pixel: Qt draws wider lines of many points far more slowly.
            self._both_sums[side].setData(grid, response, pen=pg.mkPen(colour, width=1))
            for curves in (self._both_responses, self._both_impulses):
                curves[side].setPen(pg.mkPen(colour, width=1))
        self._moved.setData(self.at(bank.centre), bank.movement, brush=palette.accent)
        self._this_band.setPen(pg.mkPen(palette.warning, width=3))
        for item in (self._this_movement, self._this_width):
            item.setBrush(palette.warning)
        self.refresh_choice(anew=True)

    def show_choice(self, number: int) -> None:
        """As :meth:`ChoicePage.show_choice`."""
        bank = self._bank
        self._this_band.setData(self.at(np.array([bank.low[number], bank.high[number]])), np.full(2, float(number)))
        centre = self.at(bank.centre[number : number + 1])
        self._this_movement.setData(centre, bank.movement[number : number + 1])
        self._this_width.setData(centre, bank.bandwidth[number : number + 1])
        grid, milliseconds = self.at(bank.frequencies), bank.milliseconds
        sides = ((bank.initial_magnitudes, bank.initial_kernels), (bank.magnitudes, bank.kernels))
        for side, (magnitudes, kernels) in enumerate(sides):
            self._both_responses[side].setData(grid, decibels(magnitudes[number]))
            self._both_impulses[side].setData(milliseconds, kernels[number] / self._peaks[number])

    def describe(self, number: int) -> str:
        """As :meth:`ChoicePage.describe`."""
        return minus(self._bank.describe_band(number))

    def numbers(self, name: str) -> Columns:
        """As :meth:`Page.numbers`, in Hz, dB and ms; of the filter that is shown where the plot shows one."""
        bank, rank = self._bank, self.shown
        columns: dict[str, Columns] = {
            "bands": {
                "filter": bank.order,
                "initial_low_hz": bank.initial_low,
                "initial_high_hz": bank.initial_high,
                "low_hz": bank.low,
                "high_hz": bank.high,
            },
            "movement": {"filter": bank.order, "centre_hz": bank.centre, "movement_hz": bank.movement},
            "bandwidth": {
                "filter": bank.order,
                "centre_hz": bank.centre,
                "bandwidth_hz": bank.bandwidth,
                "initial_centre_hz": bank.initial_centre,
                "initial_bandwidth_hz": bank.initial_bandwidth,
            },
            "summed response": {
                "frequency_hz": bank.frequencies,
                "initial_db": bank.initial_response,
                "learnt_db": bank.response,
            },
            "response": {
                "frequency_hz": bank.frequencies,
                "initial_db": decibels(bank.initial_magnitudes[rank]),
                "learnt_db": decibels(bank.magnitudes[rank]),
            },
            "impulse response": {
                "time_ms": bank.milliseconds,
                "initial": bank.initial_kernels[rank],
                "learnt": bank.kernels[rank],
            },
        }
        return columns[name]
