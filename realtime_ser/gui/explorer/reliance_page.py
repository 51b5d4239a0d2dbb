"""Which filters the classes rely on, as the bundle says it was measured. GUI thread only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from realtime_ser.bundle.filter_files import RELIANCE_NAME, Reliance
from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.explorer.page import ChoicePage, PlotView, curve, fit_y, say_what_measures_it
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.panels.panel import make_label, minus
from realtime_ser.gui.qt import QtWidgets, pg
from realtime_ser.gui.theme import Palette, blend

__all__ = ["ReliancePage"]

ALL = "all classes"
_UNIT = "fall of the log-probability without the filters here (nats)"
_TITLE = 20.0
"""Pixels of a lane's title."""
_MOST_LANES = 5
"""Classes up to which each has the whole width."""


class ReliancePage(ChoicePage):
    """How much less probable each class becomes without some filters: a lane a class, with intervals, over one axis."""

    def __init__(self, study: Study) -> None:
        super().__init__("band")
        self._bank = study.bank
        self._reliance = study.reliance
        self.end_hz = study.bank.sample_rate / 2.0
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if study.reliance is None:
            missing = say_what_measures_it(
                f"{study.name} does not say which filters its classes rely on. It is measured on real clips of speakers that "
                f"were not trained on, and written into the bundle as {RELIANCE_NAME}, by",
                "python -m training reliance --bundle FOLDER",
                "which needs the corpora (docs/training.md).",
                self.say,
            )
            self.line = "This bundle does not say which filters its classes rely on."
            layout.addWidget(missing)
            return
        reliance = study.reliance
        # A group names bands as the model counts them; here they stand by rank.
        rank = np.argsort(self._bank.order)
        groups = [rank[list(group)] for group in reliance.groups]
        centre = np.array([self._bank.centre[group].mean() for group in groups])
        order = np.argsort(centre, kind="stable")
        groups = [groups[number] for number in order]
        self._centre = centre[order]
        self._low = np.array([self._bank.low[group].min() for group in groups])
        self._high = np.array([self._bank.high[group].max() for group in groups])
        self._bands = [" ".join(str(band) for band in self._bank.order[group]) for group in groups]
        self._fall = np.array(reliance.fall)[:, order]
        self._interval = np.array(reliance.interval)[:, order]
        layout.addLayout(self.bar)
        self._view = PlotView("fall of every class's probability without some filters, over frequency")
        layout.addWidget(self._view, 1)
        layout.addWidget(self._explanation(reliance))
        self.follow(self._view)
        self.offer(self._centre)

    def build(self) -> Iterator[None]:
        """As :meth:`Page.build`."""
        reliance = self._reliance
        if reliance is None:
            return
        view, columns = self._view, 1 if len(reliance.classes) <= _MOST_LANES else 2
        self._lanes = []
        for place, name in enumerate(reliance.classes):
            self._lanes.append(view.add_plot(place // columns, place % columns, name))
            yield
        self.plots = {ALL: view.ci, **dict(zip(reliance.classes, self._lanes, strict=True))}
        self.over_frequency = self.targets = self._lanes
        self._zeros = [curve(plot) for plot in self._lanes]
        self._cursors = [curve(plot) for plot in self._lanes]
        self._bounds = []
        self._fills = []
        for plot in self._lanes:
            low, high = curve(plot), curve(plot)
            fill = pg.FillBetweenItem(low, high)
            plot.addItem(fill, ignoreBounds=True)
            self._bounds.append((low, high))
            self._fills.append(fill)
        self._means = [curve(plot) for plot in self._lanes]
        for plot in self._lanes:
            fit_y(plot, self._interval, zero=True)  # the same for all, so that they can be compared

    @staticmethod
    def _explanation(reliance: Reliance) -> QtWidgets.QLabel:
        clips = sum(len(paths) for paths in reliance.clips.values())
        said = make_label(
            "How much the logarithm of a class's probability falls (nats) in clips of that class when "
            f"{len(reliance.groups[0])} neighbouring filters are silenced; shaded: 95 % interval over speakers. {clips} clips "
            f"of {len(reliance.speakers)} validation speakers (not trained on), {reliance.date}; with all filters an "
            f"unweighted average recall of {reliance.recall:.2f}. {reliance.meaning}",
            "small",
        )
        said.setWordWrap(True)
        said.setToolTip(
            f"{reliance.method}.\n{'; '.join(f'{data.name} ({data.licence}), {data.use}' for data in reliance.data)}."
        )
        said.setAccessibleName("what the plots say, and what they do not")
        return said

    def draw(self, palette: Palette) -> None:
        """As :meth:`Page.draw`."""
        if self._reliance is None or self.look is None:
            return
        at = self.at(self._centre)
        ends = self.at(np.array([0.0, self.end_hz]))
        for zero, cursor in zip(self._zeros, self._cursors, strict=True):
            zero.setData(ends, np.zeros(2), pen=pg.mkPen(palette.line, width=1))
            cursor.setPen(pg.mkPen(palette.warning, width=1))
        for number, style in enumerate(self.look.classes):
            self._means[number].setData(at, self._fall[number], pen=pg.mkPen(style.colour, width=2))
            for side, bound in enumerate(self._bounds[number]):
                bound.setData(at, self._interval[number, :, side], pen=None)
            self._fills[number].setBrush(pg.mkBrush(blend(style.colour, palette.well, 0.3)))
            name = f'<span style="color:{style.colour}">{style.glyph} {style.name}</span>'
            plot = self._lanes[number]
            plot.setTitle(f"{name} &nbsp; {_UNIT}", color=palette.dim, size="9pt", justify="left")
            plot.titleLabel.setMaximumHeight(_TITLE)
            plot.layout.setRowFixedHeight(0, _TITLE)
        self.refresh_choice(anew=True)

    def show_choice(self, number: int) -> None:
        """As :meth:`ChoicePage.show_choice`."""
        place = np.full(2, float(self.at(self._centre[number])))
        for plot, cursor in zip(self.over_frequency, self._cursors, strict=True):
            cursor.setData(place, np.array(plot.getViewBox().viewRange()[1]))

    def describe(self, number: int) -> str:
        """As :meth:`ChoicePage.describe`."""
        reliance = self._reliance
        if reliance is None:
            return self.line
        found = zip(reliance.classes, self._fall[:, number], self._interval[:, number], strict=True)
        values = ", ".join(f"{name} {minus(f'{fall:+.2f} [{low:+.2f}, {high:+.2f}]')}" for name, fall, (low, high) in found)
        return f"without {self._low[number]:,.0f}–{self._high[number]:,.0f} Hz: {values}"

    def numbers(self, name: str) -> Columns:
        """As :meth:`Page.numbers`: the plots of single classes with their intervals, the others with all of it."""
        reliance = self._reliance
        if reliance is None or name not in self.plots:
            raise KeyError(name)
        table: dict[str, Any] = {"centre_hz": self._centre, "low_hz": self._low, "high_hz": self._high}
        table["bands"] = np.array(self._bands)
        for row, one in enumerate(reliance.classes):
            if name == one or name not in reliance.classes:
                table[f"{one}_fall_nats"] = self._fall[row]
                table[f"{one}_interval_low"], table[f"{one}_interval_high"] = self._interval[row].T
        return table
