"""The sincgram's window: what every learnt filter hears, beside a mel spectrogram, and heard through a filter. GUI thread only.

Sound is asked for while the window is open, and only then; it stays in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from realtime_ser.audio.portaudio import Callback, InputStream, open_output
from realtime_ser.gui.controller import BundleFacts, DashboardController
from realtime_ser.gui.explorer.exports import ask_path, export_failure, export_plot
from realtime_ser.gui.filterbank import FilterBank, sinc_kernels
from realtime_ser.gui.panels.messages import Notice, NoticeBar
from realtime_ser.gui.panels.panel import ElidedLabel, Look, make_label, minus, open_at, set_style, set_text, wear
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets, pg
from realtime_ser.gui.settings import ChoiceName, Settings
from realtime_ser.gui.sincgram.listening import BandPlayer, Excerpt
from realtime_ser.gui.sincgram.looks import AXES, COLOUR_MAPS, HIGHEST_DB, LOWEST_DB, SECONDS
from realtime_ser.gui.sincgram.model import REMEMBERED_SECONDS, FrameGrid, SincgramModel
from realtime_ser.gui.sincgram.pictures import GUTTER, Pictures, colour_table
from realtime_ser.gui.sincgram.table import EXPORTS, table
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.types import Output, Severity, Span

__all__ = ["SincgramWindow"]

_SECONDS = tuple(sorted(SECONDS))
_HEARD_SECONDS = (2, 5, 10)
_LEAST_RANGE_DB = 10
_TEXT_EVERY = 8
_FITTED_RANGE_DB = 60
_READ_SECONDS = 6.0
"""How long it is told that something was done."""


class _LevelBar(QtWidgets.QWidget):
    """The colours of the levels, between the two fields that say which levels they stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(96, 16)
        self._image = QtGui.QImage()

    def show_table(self, table: Any) -> None:
        """Show these colours."""
        row = np.ascontiguousarray(table[np.newaxis])
        image = QtGui.QImage(row.data, row.shape[1], 1, 4 * row.shape[1], QtGui.QImage.Format.Format_ARGB32)
        self._image = image.copy()
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw them from left to right."""
        QtGui.QPainter(self).drawImage(self.rect(), self._image)


class SincgramWindow(QtWidgets.QDialog):
    """Two pictures of the sound that is listened to, live or standing still, and a filter to hear it through.

    Parameters
    ----------
    controller
        Where the sound comes from, while the window is open.
    bank, facts
        The learnt filters.
    settings
        Where looks are kept.
    open_stream
        What opens an output; see :func:`~realtime_ser.audio.portaudio.open_output`.
    """

    def __init__(
        self,
        controller: DashboardController,
        bank: FilterBank,
        facts: BundleFacts,
        look: Look,
        settings: Settings,
        parent: QtWidgets.QWidget | None = None,
        open_stream: Callable[[int, Callback], tuple[InputStream, int]] = open_output,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Live sincgram")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.setMinimumSize(900, 520)
        open_at(self, 1024, 700)
        self._controller = controller
        self._bank = bank
        self._kernels = sinc_kernels(bank.low, bank.high, facts.kernel, bank.sample_rate)
        self._settings = settings
        self._model = SincgramModel(bank, FrameGrid(facts.hop, facts.kernel, facts.stride))
        self._still: SincgramModel | None = None
        self._person, self._name = 0, ""
        self._outputs: list[Output] = []
        self._open = False
        self._ticks = 0
        self._chosen = bank.bands // 2
        self._cursor: int | None = None
        self._pointed: tuple[str, int, int] | None = None
        self._heard_kernel = False
        self._told: Notice | None = None
        self._told_at = 0.0
        self._files = Worker()
        self._player = BandPlayer(open_stream)
        self._look = look

        layout = QtWidgets.QVBoxLayout(self)
        layout.setSpacing(6)
        layout.addLayout(self._make_bar())
        self._said = ElidedLabel()
        layout.addWidget(self._said)
        titles = QtWidgets.QHBoxLayout()
        titles.setContentsMargins(GUTTER, 0, 0, 0)
        self._title = ElidedLabel("title")
        titles.addWidget(self._title, 1)
        self._state = make_label("", "state")
        self._state.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        titles.addWidget(self._state)
        layout.addLayout(titles)
        self._pictures = Pictures(self._model, look)
        layout.addWidget(self._pictures, 1)
        self._notice = NoticeBar()
        layout.addWidget(self._notice)
        layout.addLayout(self._make_listening())
        self._caution = make_label("", "small")
        self._caution.setWordWrap(True)
        layout.addWidget(self._caution)
        self._pointer = pg.SignalProxy(self._pictures.scene.sigMouseMoved, rateLimit=30, slot=self._point)
        self._pictures.scene.sigMouseClicked.connect(self._click)
        for keys, columns in (("Left", -1), ("Right", 1), ("Shift+Left", -10), ("Shift+Right", 10)):
            # Shortcuts: as mere keys, the slider would take them.
            QtGui.QShortcut(QtGui.QKeySequence(f"Ctrl+{keys}"), self, partial(self.move_cursor, columns))
        self._restore()
        self.apply_look(look)
        self.choose(self._chosen)
        self._slider.setFocus()

    # Parts ----------------------------------------------------------------------------------------------------------------

    def _make_bar(self) -> QtWidgets.QHBoxLayout:
        bar = QtWidgets.QHBoxLayout()
        bar.setSpacing(6)
        self._freeze = QtWidgets.QPushButton("Freeze")
        self._freeze.setAutoDefault(False)
        # Wide enough for both of its texts.
        self._freeze.setMinimumWidth(self._freeze.fontMetrics().horizontalAdvance("Freeze") + 44)
        self._freeze.setToolTip("Let the pictures stand still, or go on (Space). What comes meanwhile is not lost.")
        self._freeze.clicked.connect(lambda: self.set_frozen(not self.frozen))
        bar.addWidget(self._freeze)
        self._spans = self._make_box(bar, "Time", [f"{s} s" for s in _SECONDS], "How much time is shown (Z)")
        self._spans.currentIndexChanged.connect(self._set_span)
        self._axes = self._make_box(
            bar,
            "Axis",
            list(AXES),
            "Frequency axis (M): every filter and every mel band as high as the others, or both pictures over one axis",
        )
        self._axes.currentTextChanged.connect(self._set_axis)
        self._maps = self._make_box(bar, "Colours", list(COLOUR_MAPS), "Colours of the levels; lightness grows evenly in all")
        self._maps.currentTextChanged.connect(lambda _: self._recolour())
        self._floor = self._make_level("lowest level", "Level of the darkest colour, dB re full scale")
        self._ceiling = self._make_level("highest level", "Level of the lightest colour, dB re full scale")
        self._scale = _LevelBar()
        for widget in (self._floor, self._scale, self._ceiling):
            bar.addWidget(widget)
        fit = self._make_button(
            "F&it", f"The loudest level shown becomes the lightest colour, {_FITTED_RANGE_DB} dB less the darkest (Alt+I)"
        )
        fit.setAccessibleName("fit the levels to what is shown")
        fit.clicked.connect(self.fit)
        bar.addWidget(fit)
        bar.addStretch(1)
        self._export = self._make_button("E&xport", "Write what is shown as SVG, PNG or CSV (Alt+X)")
        self._export.setAccessibleName("export a picture")
        menu = QtWidgets.QMenu(self._export)
        for name in EXPORTS:
            menu.addAction(name).triggered.connect(lambda _checked=False, chosen=name: self._ask_export(chosen))
        self._export.setMenu(menu)
        bar.addWidget(self._export)
        return bar

    def _make_listening(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(make_label("Filter", "dim"))
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, self._bank.bands - 1)
        self._slider.setAccessibleName("filter, sorted by learnt centre")
        self._slider.setToolTip("Choose a filter: arrow keys, Page Up and Down, or a click into a picture")
        self._slider.valueChanged.connect(self.choose)
        row.addWidget(self._slider, 1)
        self._band_button = self._make_button(
            "▶ Listen to this band", "Hear the last seconds through the filter chosen, or stop (L)"
        )
        self._band_button.clicked.connect(lambda: self.listen(through=True))
        self._all_button = self._make_button("▶ Unfiltered", "Hear the same seconds as they were captured, or stop (U)")
        self._all_button.clicked.connect(lambda: self.listen(through=False))
        for button in (self._band_button, self._all_button):
            button.setMinimumWidth(button.sizeHint().width() + 8)
            row.addWidget(button)
        self._heard = self._make_box(row, "the last", [f"{s} s" for s in _HEARD_SECONDS], "How much is played")
        self._heard.setCurrentIndex(1)
        return row

    def _make_button(self, text: str, tip: str) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setAutoDefault(False)
        button.setToolTip(tip)
        return button

    def _make_box(self, row: QtWidgets.QHBoxLayout, name: str, items: list[str], tip: str) -> QtWidgets.QComboBox:
        box = QtWidgets.QComboBox()
        box.addItems(items)
        box.setAccessibleName(name.lower())
        box.setToolTip(tip)
        row.addWidget(make_label(name, "dim"))
        row.addWidget(box)
        return box

    def _make_level(self, name: str, tip: str) -> QtWidgets.QSpinBox:
        box = QtWidgets.QSpinBox()
        # Whose minus is as wide as a plus; a hyphen may be typed all the same.
        box.setLocale(QtCore.QLocale(QtCore.QLocale.Language.Swedish))
        box.setRange(LOWEST_DB, HIGHEST_DB)
        box.setSingleStep(5)
        box.setSuffix(" dB")
        box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box.setFixedWidth(70)
        box.setAccessibleName(name)
        box.setToolTip(tip)
        box.valueChanged.connect(lambda _: self._recolour())
        return box

    # Settings -------------------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Take on what was chosen the last time."""
        kept = self._settings.stored
        self._spans.setCurrentIndex(_SECONDS.index(int(kept("sincgram/seconds"))))
        self._axes.setCurrentText(kept("sincgram/axis"))
        with QtCore.QSignalBlocker(self._maps):  # colours without levels cannot be drawn yet
            self._maps.setCurrentText(kept("sincgram/colours"))
        self.set_levels(int(kept("sincgram/floor")), int(kept("sincgram/ceiling")))

    def _set_span(self, index: int) -> None:
        self._settings.store("sincgram/seconds", str(_SECONDS[index]))
        self._pictures.set_seconds(_SECONDS[index])
        self._show_title()
        self._draw()

    def _set_axis(self, axis: str) -> None:
        self._settings.store("sincgram/axis", axis)
        self._pictures.set_axis(axis)
        self._pictures.show_chosen(self._chosen)
        self._draw()

    def set_levels(self, floor: int, ceiling: int) -> None:
        """Draw levels from `floor` to `ceiling`, dB re full scale, at least 10 dB apart."""
        floor = min(max(floor, LOWEST_DB), HIGHEST_DB - _LEAST_RANGE_DB)
        for box, value in ((self._floor, floor), (self._ceiling, max(ceiling, floor + _LEAST_RANGE_DB))):
            box.blockSignals(True)
            box.setRange(LOWEST_DB, HIGHEST_DB)
            box.setValue(value)
            box.blockSignals(False)
        self._recolour()

    def _recolour(self) -> None:
        floor, ceiling, name = self._floor.value(), self._ceiling.value(), self._maps.currentText()
        # Neither comes nearer to the other than this.
        self._floor.setMaximum(ceiling - _LEAST_RANGE_DB)
        self._ceiling.setMinimum(floor + _LEAST_RANGE_DB)
        chosen: tuple[tuple[ChoiceName, str], ...] = (
            ("sincgram/floor", str(floor)),
            ("sincgram/ceiling", str(ceiling)),
            ("sincgram/colours", name),
        )
        for choice, value in chosen:
            self._settings.store(choice, value)
        table = colour_table(name)
        self._scale.show_table(table)
        self._pictures.set_colours(floor, ceiling, table)
        self._draw()

    def fit(self) -> None:
        """Set the levels by what is shown."""
        first, _ = self._columns()
        loudest = []
        for ring in (self.shown.sinc, self.shown.mel):
            rows = ring.view()[max(first - ring.end + ring.bins, 0) :]
            # A column has all of its levels or none.
            loudest.append(float(rows[np.isfinite(rows[:, 0])].max(initial=-np.inf)))
        if np.isfinite(max(loudest)):
            ceiling = int(np.ceil(max(loudest)))
            self.set_levels(ceiling - _FITTED_RANGE_DB, ceiling)

    # State ----------------------------------------------------------------------------------------------------------------

    @property
    def model(self) -> SincgramModel:
        """What is being heard."""
        return self._model

    @property
    def shown(self) -> SincgramModel:
        """What is shown: what is being heard, or what was when it was frozen."""
        return self._model if self._still is None else self._still

    @property
    def frozen(self) -> bool:
        """Whether the pictures stand still."""
        return self._still is not None

    @property
    def chosen(self) -> int:
        """Rank of the filter chosen, from 0."""
        return self._chosen

    @property
    def playing(self) -> bool:
        """Whether something is played, or about to be."""
        return self._player.active

    @property
    def description(self) -> str:
        """What is said about the filter chosen, or about the place that is pointed at."""
        return self._said.text()

    @property
    def state_text(self) -> str:
        """Live, frozen, or why nothing moves."""
        return self._state.text()

    @property
    def notice(self) -> Notice | None:
        """Why nothing is heard, where something should be, or what became of an export."""
        return self._notice.notice

    def set_frozen(self, frozen: bool) -> None:
        """Let the pictures stand still, or go on with what has been heard meanwhile."""
        if frozen == self.frozen:
            return
        self._player.stop()
        self._still = self._model.still() if frozen else None
        self._cursor = None
        self._pictures.show_cursor(None)
        set_text(self._freeze, "Go on" if frozen else "Freeze")
        self._draw()
        self._refresh_text()

    def choose(self, rank: int) -> None:
        """Choose the filter of that rank; ``IndexError`` where there is none."""
        if not 0 <= rank < self._bank.bands:
            raise IndexError(f"rank must be 0 to {self._bank.bands - 1}, got {rank}")
        self._chosen = rank
        self._slider.setValue(rank)
        self._pictures.show_chosen(rank)
        self._describe()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        wear(self, look.palette)
        self._notice.apply_look(look)
        self._pictures.apply_look(look)
        self._show_title()
        self._draw()
        self._refresh_text()

    # Following ------------------------------------------------------------------------------------------------------------

    def show_person(self, person: int, name: str) -> None:
        """Show the voice of `person` (from 0), of two people called `name`; "": of the only one."""
        if (person, name) == (self._person, self._name):
            return
        another, self._person, self._name = person != self._person, person, name
        self.setWindowTitle(f"Live sincgram: {name}" if name else "Live sincgram")
        self._show_title()
        if another and self._open:
            self._controller.hear_sound(True, person)
        if another:
            self.restart()

    def restart(self) -> None:
        """Another stream begins: forget this one."""
        self._player.stop()
        self._outputs.clear()
        self._model.restart()
        self.set_frozen(False)

    def take(self, outputs: Sequence[Output]) -> None:
        """Follow the engine's messages, in order; they are looked at by the next :meth:`tick`."""
        if self._open:
            self._outputs += outputs

    def build_on(self) -> bool:
        """Make another part of what was opened; whether any was lacking."""
        if self._pictures.built:
            return False
        self._pictures.build_on()
        self._draw()
        return True

    def tick(self, *, moves: bool = True) -> None:
        """Take the sound, and draw; called by the dashboard's timer.

        Parameters
        ----------
        moves
            Whether pictures may move on now; with reduced motion they do so in steps.
        """
        self._files.deliver()
        self._player.tick()
        if not self._open:
            return
        # NB: in this order. The sound that the messages tell of was handed out before they were.
        live = self._controller.state().live
        self._model.hear(self._controller.poll_sound(), echo=live and self._player.active)
        self._model.consume(self._outputs)
        self._outputs.clear()
        self._ticks += 1
        if self.isVisible() and not self.isMinimized():
            if moves:
                self._draw()
                position = self._player.position
                self._pictures.show_head(None if position is None else position / self._model.rate)
            if self._ticks % _TEXT_EVERY == 0:
                self._refresh_text()

    def _draw(self) -> None:
        self._pictures.show_model(self.shown)

    def _show_title(self) -> None:
        grouped = self._pictures.stride
        loudest = f", the loudest of {grouped} frames in each column" if grouped > 1 else ""
        whose = f"{self._name}. " if self._name else ""
        pictures = f"Above: energy of the {self._bank.bands} learnt filters. Below: as many mel bands{loudest}."
        title = f"{whose}{pictures} dB re full scale."
        self._title.show_text(title)

    def _refresh_text(self) -> None:
        state = self._controller.state()
        shown, palette = self.shown, self._look.palette
        at = f"{int(shown.position / shown.rate) // 60}:{shown.position / shown.rate % 60:04.1f}"
        if self.frozen:
            text, colour = f"❚❚ frozen at {at}", palette.warning
        elif state.phase == "running":
            text, colour = ("● live", palette.record) if state.live else ("▶ playing", palette.good)
        elif shown.position:
            text, colour = f"■ ended at {at}", palette.dim
        else:
            text, colour = "nothing is listened to: press Start in the dashboard", palette.dim
        missed = shown.missed_seconds
        if missed:
            text += f" · {missed:.2f} s are missing, this view was too slow"
        set_text(self._state, text)
        set_style(self._state, f"color: {colour};")
        self._describe()
        self._show_listening(state.live)

    def _show_listening(self, live: bool) -> None:
        active, gain = self._player.active, self._player.gain_db
        louder = "" if gain is None else minus(f" ({gain:+.0f} dB)")
        set_text(self._band_button, f"■ Stop{louder}" if active and self._heard_kernel else "▶ Listen to this band")
        set_text(self._all_button, f"■ Stop{louder}" if active and not self._heard_kernel else "▶ Unfiltered")
        enough = bool(len(self.shown.sound.span))
        for button in (self._band_button, self._all_button):
            button.setEnabled(enough or active)
        failure = self._player.failure
        if self._told is not None and self._told.severity is Severity.INFO and time.monotonic() - self._told_at > _READ_SECONDS:
            self._told = None
        self._notice.show_notice(self._told if failure is None else Notice(Severity.WARNING, failure.problem, failure.remedy))
        kept = (
            f"While this window is open, the last {REMEMBERED_SECONDS} s of sound are kept in memory, to be listened to; "
            "nothing is written. Listening freezes the pictures."
        )
        echo = " The microphone hears what loudspeakers play, and it is scored like speech: use headphones." if live else ""
        set_text(self._caution, kept + echo)

    # Reading off ----------------------------------------------------------------------------------------------------------

    def _point(self, arguments: tuple[Any, ...]) -> None:
        self._pointed = self._pictures.under(arguments[0])
        self._describe()

    def leaveEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802 - Qt's name
        """Nothing is pointed at any more."""
        self._pointed = None
        super().leaveEvent(event)

    def _describe(self) -> None:
        if self._pointed is not None:
            self._said.show_text(self.describe(*self._pointed))
        elif self._cursor is not None:
            self._said.show_text(self.describe("sinc", self._cursor, self._chosen))
        else:
            level = self._level_text("sinc", self.shown.sinc.end - 1, self._chosen)
            when = "at the end" if self.frozen else "now"
            self._said.show_text(f"chosen: {self._band_text('sinc', self._chosen)}, {when} {level}")
        self._slider.setAccessibleDescription(self._band_text("sinc", self._chosen))

    def describe(self, picture: str, column: int, band: int) -> str:
        """Time, band, level and voice of a place in ``"sinc"`` or ``"mel"``, in words."""
        second = self._second(column)
        if column < 0 or second * self.shown.rate > self.shown.position:
            when = "not heard yet"
        else:
            when = f"{int(second) // 60}:{second % 60:05.2f}"
        voice = "voiced" if self.shown.voiced(column) else "no voice"
        return f"{when} · {self._band_text(picture, band)} · {self._level_text(picture, column, band)} · {voice}"

    def _band_text(self, picture: str, band: int) -> str:
        if picture == "sinc":
            name, low, high = f"filter {self._bank.order[band]}", self._bank.low[band], self._bank.high[band]
            centre = self._bank.centre[band]
        else:
            bands = self._model.bands
            name, low, high, centre = f"mel band {band}", bands.low[band], bands.high[band], bands.centre[band]
        return f"{name}: centre {centre:,.0f} Hz, bandwidth {high - low:,.0f} Hz"

    def _level_text(self, picture: str, column: int, band: int) -> str:
        level = self.shown.level(cast(Literal["sinc", "mel"], picture), column, band)
        return minus(f"{level:.1f} dB") if np.isfinite(level) else "nothing"

    def move_cursor(self, columns: int) -> None:
        """Freeze, and read the filter chosen off so many frames later (or earlier) than before, beginning at the newest."""
        self.set_frozen(True)
        first, end = self._columns()
        self._cursor = min(max((end - 1 if self._cursor is None else self._cursor) + columns, first), end - 1)
        self._pictures.show_cursor(self._second(self._cursor))
        self._describe()

    def _click(self, event: Any) -> None:
        under = self._pictures.under(event.scenePos())
        if under is None:
            return
        picture, _, band = under
        if picture == "mel":
            band = int(np.abs(self._bank.centre - self._model.bands.centre[band]).argmin())
        self.choose(band)

    def _second(self, column: int) -> float:
        return float(self._model.grid.middle(column)) / self._model.rate

    def _columns(self) -> tuple[int, int]:
        """First column that is shown, and the one behind the last that has values."""
        grid, shown = self._model.grid, self.shown
        end = max(shown.sinc.end, shown.mel.end)
        return max(grid.column_at(round(self._pictures.range[0] * shown.rate)) + 1, 0), end

    # Listening ------------------------------------------------------------------------------------------------------------

    def listen(self, *, through: bool) -> None:
        """Freeze, and play the last seconds, `through` the filter chosen or as they are; stop where that is what is heard."""
        if self._player.active and self._heard_kernel == through:
            self._player.stop()
            self._refresh_text()
            return
        self._told = None
        live = self._controller.state().live
        recording = self._controller.recording()
        if live and recording is not None and recording.phase == "recording":
            problem = "Nothing is played while a session is recorded: the microphone would hear it, and the session keep it."
            self._player.failure = Failure(problem, "Listen after the recording.")
            self._refresh_text()
            return
        known = self.shown.sound.span
        if not len(known):
            return
        self.set_frozen(True)
        wanted = Span(max(known.first, known.end - _HEARD_SECONDS[self._heard.currentIndex()] * self._model.rate), known.end)
        self._heard_kernel = through
        excerpt = Excerpt(wanted.first, self.shown.sound.part(wanted))
        self._player.play(excerpt, self._kernels[self._chosen] if through else None)
        self._refresh_text()

    # Exports --------------------------------------------------------------------------------------------------------------

    def export(self, name: str, path: Path) -> None:
        """Write one of :data:`EXPORTS` to `path`; errors as in :func:`export_plot` and :func:`table`."""
        numbers = table(self.shown, name, *self._columns())
        plot = self._pictures.plot({"sincgram": "sinc", "mel spectrogram": "mel"}.get(name))
        export_plot(plot, self._look.palette.panel, numbers, path)

    def _ask_export(self, name: str) -> None:
        # What is written is what was seen when it was asked for.
        was_frozen = self.frozen
        self.set_frozen(True)
        path = ask_path(self, name)
        if path is not None:
            self._write(name, path)
        self.set_frozen(was_frozen)

    def _write(self, name: str, path: Path) -> None:
        """Export; a table of a minute has a million numbers, so that a thread of its own writes it."""

        def tell(failure: Failure) -> None:
            self._tell(Notice(Severity.WARNING, failure.problem, failure.remedy))

        def done(failure: Failure | None) -> None:
            if failure is not None:
                tell(failure)
            else:
                self._tell(Notice(Severity.INFO, f"Exported to {shown_path(path)}"))

        def tried(write: Callable[[], None]) -> Failure | None:
            try:
                write()
            except (OSError, ValueError) as error:
                return export_failure(error, path)
            return None

        if path.suffix.lower() == ".csv":
            shown, columns = self.shown, self._columns()
            self._files.ask(lambda: tried(lambda: export_plot(None, "", table(shown, name, *columns), path)), done, tell)
        else:
            done(tried(lambda: self.export(name, path)))

    def _tell(self, notice: Notice) -> None:
        self._player.failure = None
        self._told, self._told_at = notice, time.monotonic()
        self._refresh_text()

    # Qt events ------------------------------------------------------------------------------------------------------------

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Ask for the sound."""
        if not self._open:
            self._open = True
            self._controller.hear_sound(True, self._person)
        super().showEvent(event)
        self._refresh_text()

    def hideEvent(self, event: QtGui.QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Closed: let go of the sound and the pictures. A window that is only minimised is not."""
        super().hideEvent(event)
        if not event.spontaneous():
            self._open = False
            self._controller.hear_sound(False)
            self.restart()

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys that no field or button has taken."""
        match event.key():
            case Qt.Key.Key_Space:
                self.set_frozen(not self.frozen)
            case Qt.Key.Key_Z:
                self._spans.setCurrentIndex((self._spans.currentIndex() + 1) % len(_SECONDS))
            case Qt.Key.Key_M:
                self._axes.setCurrentIndex((self._axes.currentIndex() + 1) % len(AXES))
            case Qt.Key.Key_L:
                self.listen(through=True)
            case Qt.Key.Key_U:
                self.listen(through=False)
            case _:
                super().keyPressEvent(event)

    def end(self) -> None:
        """Be silent and end the threads; the window is not used any more."""
        self._player.close()
        self._files.close()
        self.close()
