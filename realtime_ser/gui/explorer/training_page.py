"""How the cutoffs moved in training, state by state, where the bundle carries that history. GUI thread only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.explorer.page import SLIDER, Page, PlotView, curve, dots, fit_y, say_what_measures_it
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.panels.panel import set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.theme import Palette, blend

__all__ = ["TrainingPage"]

STATE_SECONDS = 0.4
"""How long a state is shown while the history plays."""


class TrainingPage(Page):
    """The filters at every validation: a slider, and a button that plays. Nothing moves unless it is asked to."""

    def __init__(self, study: Study) -> None:
        super().__init__()
        self._history = study.history
        self.end_hz = study.bank.sample_rate / 2.0
        self._state = 0
        self._playing = False
        self._due = 0.0
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if study.history is None:
            missing = say_what_measures_it(
                f"{study.name} does not carry the history of its training: where the cutoffs stood at every validation was "
                "not kept when it was trained. Trainings by",
                "python -m training acoustic",
                "keep it, and bundles that are made of them show it here.",
                self.say,
            )
            self.line = "This bundle does not carry the history of its training."
            layout.addWidget(missing)
            return
        order = np.argsort(np.add(study.history.low_hz[0], study.history.high_hz[0]), kind="stable")
        self._order = order
        self._low = np.array(study.history.low_hz)[:, order]
        self._high = np.array(study.history.high_hz)[:, order]
        self._centre = (self._low + self._high) / 2.0
        self._steps = np.array(study.history.steps, dtype=np.float64)
        self._entropy = np.array([np.nan if score is None else -score for score in study.history.scores])
        self._bar(layout)
        self._view = PlotView("filters over the training")
        self._view.clicked.connect(self._click)
        layout.addWidget(self._view, 1)

    def build(self) -> Iterator[None]:
        """As :meth:`Page.build`."""
        if self._history is None:
            return
        view = self._view
        self._bands = view.add_plot(0, 0, "Cutoffs less the centre at the start (Hz)")
        yield
        self._shift = view.add_plot(0, 1, "Movement of the centre so far (Hz)")
        yield
        self._paths = view.add_plot(1, 0, "Movement of every centre over the batches (Hz)")
        yield
        self._loss = view.add_plot(1, 1, "Cross-entropy on validation speakers over the batches")
        yield
        self.plots = {
            "cutoffs of the state": self._bands,
            "movement so far": self._shift,
            "movement over the training": self._paths,
            "validation over the training": self._loss,
        }
        self.over_frequency = [self._bands, self._shift]
        self._start_bands, self._bands_now = (curve(self._bands, connect="pairs") for _ in range(2))
        self._shift_now = dots(self._shift, "o", 5)
        self._every_path = curve(self._paths, connect="finite")
        self._entropies, self._kept = curve(self._loss, connect="finite"), dots(self._loss, "star", 12)
        self._cursors = [curve(plot) for plot in (self._paths, self._loss)]
        fit_y(self._bands, self._low - self._centre[0], self._high - self._centre[0])
        fit_y(self._shift, self._centre - self._centre[0], zero=True)
        fit_y(self._paths, self._centre - self._centre[0], zero=True)
        fit_y(self._loss, self._entropy[1:] if len(self._entropy) > 1 else np.zeros(1))
        for plot in (self._paths, self._loss):
            plot.getViewBox().setXRange(float(self._steps[0]), float(max(self._steps[-1], 1.0)), padding=0.03)

    def _bar(self, layout: QtWidgets.QVBoxLayout) -> None:
        bar = QtWidgets.QHBoxLayout()
        self.play_button = QtWidgets.QPushButton("Play")
        self.play_button.setAccessibleName("play the training")
        self.play_button.setToolTip("Show one state after the other (Alt+P)")
        self.play_button.clicked.connect(self.toggle)
        # Not the button's own: Qt takes that away when its text changes.
        QtGui.QShortcut(QtGui.QKeySequence("Alt+P"), self, self.toggle)
        bar.addWidget(self.play_button)
        self.slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(self._steps) - 1)
        self.slider.setAccessibleName("state of the training")
        self.slider.setToolTip("One validation after the other: arrow keys, Home, End; or a click into a plot over the batches")
        self.slider.valueChanged.connect(self._take)
        # A hand on the slider wants to see one state.
        self.slider.sliderPressed.connect(self.pause)
        self.setFocusProxy(self.slider)
        self.slider.setFixedWidth(SLIDER)
        bar.addWidget(self.slider)
        bar.addStretch(1)
        layout.addLayout(bar)

    @property
    def state(self) -> int:
        """Which state is shown, from 0."""
        return self._state

    @property
    def playing(self) -> bool:
        """Whether the next state will come by itself."""
        return self._playing

    def toggle(self) -> None:
        """Play, from the start where it is at its end; or pause."""
        if self._playing:
            self.pause()
            return
        if self._history is None:
            return
        if self._state == len(self._steps) - 1:
            self.slider.setValue(0)
        self._playing, self._due = True, 0.0
        set_text(self.play_button, "Pause")

    def pause(self) -> None:
        """Stay at the state that is shown."""
        if self._playing:
            self._playing = False
            set_text(self.play_button, "Play")

    def tick(self, now: float) -> None:
        """Go on to the next state where it is due.

        Parameters
        ----------
        now
            Seconds of a clock that does not jump.
        """
        if not self._playing:
            return
        if self._due == 0.0:
            self._due = now + STATE_SECONDS
        elif now >= self._due:
            self._due = now + STATE_SECONDS
            self.slider.setValue(self._state + 1)
            if self._state == len(self._steps) - 1:
                self.pause()

    def _click(self, place: QtCore.QPointF) -> None:
        """Show the state that is nearest to where somebody clicked among the batches."""
        for plot in (self._paths, self._loss):
            box = plot.getViewBox()
            if box.sceneBoundingRect().contains(place):
                self.pause()
                at = box.mapSceneToView(QtCore.QPointF(place)).x()
                self.slider.setValue(int(np.argmin(np.abs(self._steps - at))))

    def _take(self, state: int) -> None:
        self._state = state
        if self.built and self.look is not None:
            self._show()

    def draw(self, palette: Palette) -> None:
        """As :meth:`Page.draw`."""
        history = self._history
        if history is None:
            return
        self._start_bands.setPen(pg.mkPen(blend(palette.ghost, palette.well, 0.55), width=4))
        self._bands_now.setPen(pg.mkPen(palette.accent, width=2))
        home = np.repeat(self.at(self._centre[0]), 2)
        self._start_bands.setData(home, _ends(self._low[0], self._high[0]) - np.repeat(self._centre[0], 2))
        self._shift_now.setBrush(palette.accent)
        # All paths in one line, with gaps between them.
        bands = self._centre.shape[1]
        gap = np.full((1, bands), np.nan)
        paths = np.concatenate([self._centre - self._centre[0], gap]).T.ravel()
        self._every_path.setData(np.tile(np.append(self._steps, np.nan), bands), paths, pen=pg.mkPen(palette.accent, width=1))
        self._entropies.setData(self._steps, self._entropy, pen=pg.mkPen(palette.accent, width=1))
        kept = history.steps.index(history.kept_step)
        self._kept.setData(self._steps[kept : kept + 1], self._entropy[kept : kept + 1], brush=palette.good)
        for cursor in self._cursors:
            cursor.setPen(pg.mkPen(palette.warning, width=1))
        self._show()

    def _show(self) -> None:
        history, state = self._history, self._state
        if history is None:
            return
        start = self._centre[0]
        home = np.repeat(self.at(start), 2)
        self._bands_now.setData(home, _ends(self._low[state], self._high[state]) - np.repeat(start, 2))
        moved = self._centre[state] - start
        self._shift_now.setData(self.at(self._centre[state]), moved)
        for cursor, plot in zip(self._cursors, (self._paths, self._loss), strict=True):
            cursor.setData(np.full(2, self._steps[state]), np.array(plot.getViewBox().viewRange()[1]))
        entropy = self._entropy[state]
        score = "" if np.isnan(entropy) else f", cross-entropy on validation speakers {entropy:.3f}"
        kept = " – the bundle's filters (★)" if history.steps[state] == history.kept_step else ""
        told = (
            f"after batch {history.steps[state]} of {history.steps[-1]}: centres moved by "
            f"{np.median(np.abs(moved)):,.1f} Hz in the median, {np.abs(moved).max():,.1f} Hz at most{score}{kept}"
        )
        self.slider.setAccessibleDescription(told)
        self.say(told)

    def numbers(self, name: str) -> Columns:
        """As :meth:`Page.numbers`, in Hz; of the state that is shown where the plot shows one."""
        history, state = self._history, self._state
        if history is None:
            raise KeyError(name)
        now: Columns = {
            "filter": self._order,
            "start_low_hz": self._low[0],
            "start_high_hz": self._high[0],
            "low_hz": self._low[state],
            "high_hz": self._high[state],
        }
        centres = {f"filter_{band}_centre_hz": self._centre[:, place] for place, band in enumerate(self._order)}
        columns: dict[str, Columns] = {
            "cutoffs of the state": now,
            "movement so far": {
                "filter": self._order,
                "centre_hz": self._centre[state],
                "movement_hz": self._centre[state] - self._centre[0],
            },
            "movement over the training": {"batches": self._steps, **centres},
            "validation over the training": {"batches": self._steps, "cross_entropy": self._entropy},
        }
        return columns[name]


def _ends(low: Any, high: Any) -> Any:
    return np.column_stack([low, high]).ravel()
