"""The replay window: scrub, hear, jump, correct, label and compare. GUI thread only; the session itself is never written here
but through :mod:`realtime_ser.session.edit`, which keeps the original.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from realtime_ser.audio.playback import Playback
from realtime_ser.audio.portaudio import Callback, InputStream, open_output
from realtime_ser.errors import RealtimeSerError
from realtime_ser.gui.panels.messages import Notice, NoticeBar
from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, make_label, numeric_font, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document, Utterance, following, preceding
from realtime_ser.gui.replay.lanes import ReplayLanes
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.theme import class_styles, style_sheet
from realtime_ser.gui.worker import Failure
from realtime_ser.session import edit
from realtime_ser.session.reader import Row, Session
from realtime_ser.types import FloatArray, Severity

__all__ = ["ReplayWindow"]

_TICK_MS = 40
_RESUME_MS = 150
"""How long a seek waits for the next one before sound is opened anew."""

_SLIDER = 100
"""Steps of the slider a second."""

_NO_SCORES = "nothing"


class ReplayWindow(QtWidgets.QMainWindow):
    """One session.

    Parameters
    ----------
    folder
        Of the session.
    settings
        Where the theme is kept.
    scores
        A later scoring to compare with from the start.
    open_stream
        What opens an output; see :func:`~realtime_ser.audio.portaudio.open_output`.

    Raises
    ------
    SessionError
        It cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        settings: QtCore.QSettings,
        scores: str | None = None,
        open_stream: Callable[[int, Callback], tuple[InputStream, int]] = open_output,
    ) -> None:
        super().__init__()
        self._document = Document(folder, scores)
        self._palette = Settings(settings).palette
        self._position = 0.0
        self._chosen: Utterance | None = None
        self._playback: Playback | None = None
        if self._document.has_audio:
            self._playback = Playback(partial(_pieces, folder), self._document.samples, open_stream)
        self._ticker = QtCore.QTimer(self)
        self._ticker.setInterval(_TICK_MS)
        self._ticker.timeout.connect(self.tick)
        self._resume = QtCore.QTimer(self)
        self._resume.setSingleShot(True)
        self._resume.setInterval(_RESUME_MS)
        self._resume.timeout.connect(self.play)
        self.setWindowTitle(f"Replay: {folder.name}")
        self.resize(1100, 720)
        self.setMinimumSize(820, 560)
        root = QtWidgets.QWidget()
        root.setObjectName("root")
        self.setCentralWidget(root)
        layout = QtWidgets.QVBoxLayout(root)
        layout.setContentsMargins(10, 8, 10, 10)
        layout.setSpacing(8)
        self._notice = NoticeBar()
        layout.addLayout(self._make_head())
        layout.addWidget(self._notice)
        layout.addWidget(self._make_timeline(), 5)
        layout.addLayout(self._make_transport())
        bottom = QtWidgets.QHBoxLayout()
        bottom.setSpacing(8)
        bottom.addWidget(self._make_utterance(), 3)
        bottom.addWidget(self._make_happenings(), 2)
        layout.addLayout(bottom, 2)
        for keys, action in (
            ("PgUp", partial(self.jump, "utterance", -1)),
            ("PgDown", partial(self.jump, "utterance", 1)),
            ("Ctrl+PgUp", partial(self.jump, "marker", -1)),
            ("Ctrl+PgDown", partial(self.jump, "marker", 1)),
            ("Ctrl+S", self.save),
        ):
            QtGui.QShortcut(QtGui.QKeySequence(keys), self).activated.connect(action)
        self._show_document()
        self._slider.setFocus()

    # Parts ----------------------------------------------------------------------------------------------------------------

    def _make_head(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        self._about = ElidedLabel("dim")
        row.addWidget(self._about, 1)
        row.addWidget(make_label("Compare with", "dim"))
        self._scorings = QtWidgets.QComboBox()
        self._scorings.setAccessibleName("later scoring to compare with")
        self._scorings.setToolTip("Scores that `realtime-ser sessions rescore` has kept beside the recorded ones")
        self._scorings.addItems([_NO_SCORES, *self._document.scorings])
        self._scorings.setCurrentText(self._document.scores or _NO_SCORES)
        self._scorings.setEnabled(bool(self._document.scorings))
        self._scorings.currentTextChanged.connect(self._choose_scores)
        row.addWidget(self._scorings)
        return row

    def _make_timeline(self) -> QtWidgets.QWidget:
        self._timeline = Panel("Timeline")
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._timeline.header.addSpacing(8)
        self._timeline.header.addWidget(self._legend)
        self._compared = ElidedLabel()
        self._compared.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._timeline.header.addWidget(self._compared, 1)
        self._lanes = ReplayLanes()
        self._lanes.setMinimumHeight(180)
        self._lanes.sought.connect(self.seek)
        self._timeline.body.addWidget(self._lanes, 1)
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setFixedHeight(20)
        self._slider.setAccessibleName("position in the session")
        self._slider.setToolTip("Position: drag, or arrow keys (a second), Home, End")
        self._slider.setRange(0, round(self._document.seconds * _SLIDER))
        self._slider.setSingleStep(_SLIDER)
        self._slider.valueChanged.connect(lambda value: self.seek(value / _SLIDER))
        self._timeline.body.addWidget(self._slider)
        return self._timeline

    def _make_transport(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        self._play = QtWidgets.QPushButton("▶ Play")
        self._play.setObjectName("primary")
        self._play.setMinimumWidth(self._play.sizeHint().width() + 24)
        self._play.setToolTip("Play from here, or stop (Space)")
        self._play.clicked.connect(self.toggle)
        self._play.setEnabled(self._playback is not None)
        row.addWidget(self._play)
        self._clock = make_label("", "clock")
        self._clock.setFont(numeric_font(18))
        longest = _clock_text(self._document.seconds)
        # The style sheet makes it larger than the font says.
        self._clock.setMinimumWidth(round(1.3 * self._clock.fontMetrics().horizontalAdvance(f"{longest} / {longest}")))
        row.addWidget(self._clock)
        self._sound = ElidedLabel()
        if self._playback is None:
            self._sound.show_text("No sound was kept with this session.")
        row.addWidget(self._sound, 1)
        jumps = (
            ("◀ Utterance", "utterance", -1, "Page Up"),
            ("Utterance ▶", "utterance", 1, "Page Down"),
            ("◀ Marker", "marker", -1, "Ctrl+Page Up"),
            ("Marker ▶", "marker", 1, "Ctrl+Page Down"),
        )
        for text, kind, step, key in jumps:
            way = "next" if step > 0 else "previous"
            button = self._button(row, text, f"To the {way} {kind} ({key})", partial(self.jump, kind, step))
            button.setAccessibleName(f"{way} {kind}")
        row.addSpacing(8)
        self._button(row, "−", "See more at once (-)", partial(self.zoom, 2.0)).setAccessibleName("zoom out")
        self._button(row, "+", "See it closer (+)", partial(self.zoom, 0.5)).setAccessibleName("zoom in")
        self._button(row, "All", "See the whole session (0)", self._lanes.show_all)
        return row

    def _button(self, row: QtWidgets.QHBoxLayout, text: str, tip: str, action: Callable[[], None]) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(lambda _checked=False: action())
        row.addWidget(button)
        return button

    def _make_utterance(self) -> QtWidgets.QWidget:
        panel = Panel("Utterance")
        self._number = make_label("", "small")
        panel.header.addWidget(self._number, 1)
        self._verdict = make_label("", "state")
        self._verdict.setTextFormat(Qt.TextFormat.RichText)
        self._later = make_label("", "state")
        self._later.setTextFormat(Qt.TextFormat.RichText)
        self._scores = ElidedLabel("dim")
        self._heard = make_label()
        self._heard.setWordWrap(True)
        self._heard.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._heard.setAlignment(Qt.AlignmentFlag.AlignTop)
        for widget in (self._verdict, self._later, self._scores):
            panel.body.addWidget(widget)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.viewport().setAutoFillBackground(False)
        self._heard.setAutoFillBackground(False)
        scroll.setWidget(self._heard)
        scroll.setMinimumHeight(34)
        panel.body.addWidget(scroll, 1)
        form = QtWidgets.QGridLayout()
        form.setHorizontalSpacing(8)
        self._said = QtWidgets.QLineEdit()
        self._said.setAccessibleName("what was really said")
        kept = self._document.header.kept.words
        self._said.setPlaceholderText("the right words" if kept else "No words are kept with this session.")
        self._said.setEnabled(kept)
        self._label = QtWidgets.QComboBox()
        self._label.setEditable(True)
        self._label.setAccessibleName("what the utterance was in your opinion")
        self._label.addItems(["", *self._document.header.classes])
        form.addWidget(make_label("Really said", "dim"), 0, 0)
        form.addWidget(self._said, 0, 1, 1, 3)
        form.addWidget(make_label("Your label", "dim"), 1, 0)
        form.addWidget(self._label, 1, 1)
        self._save = QtWidgets.QPushButton("Save")
        self._save.setToolTip("Keep it beside the original (Ctrl+S)")
        self._save.clicked.connect(self.save)
        self._discard = QtWidgets.QPushButton("Discard")
        self._discard.clicked.connect(self.discard)
        form.addWidget(self._save, 1, 2)
        form.addWidget(self._discard, 1, 3)
        form.setColumnStretch(1, 1)
        panel.body.addLayout(form)
        self._said.textChanged.connect(self._show_dirt)
        self._said.returnPressed.connect(self.save)
        self._label.currentTextChanged.connect(self._show_dirt)
        return panel

    def _make_happenings(self) -> QtWidgets.QWidget:
        panel = Panel("What happened")
        self._list = QtWidgets.QListWidget()
        self._list.setAccessibleName("gaps, events, markers, notes and changes")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.itemActivated.connect(self._go_to)
        self._list.itemClicked.connect(self._go_to)
        self._list.setMinimumHeight(60)
        panel.body.addWidget(self._list, 1)
        self._health = ElidedLabel()
        panel.body.addWidget(self._health)
        return panel

    # What is shown --------------------------------------------------------------------------------------------------------

    @property
    def document(self) -> Document:
        """The session that is shown."""
        return self._document

    @property
    def position(self) -> float:
        """Where one is, in seconds."""
        return self._position

    @property
    def chosen(self) -> Utterance | None:
        """The utterance whose details are shown."""
        return self._chosen

    @property
    def playing(self) -> bool:
        """Whether sound is heard."""
        return self._playback is not None and self._playback.playing

    @property
    def dirty(self) -> bool:
        """Whether something was written that is not saved."""
        one = self._chosen
        if one is None:
            return False
        said, label = self._said.text().strip(), self._label.currentText().strip()
        return said != (one.corrected or one.words) or label != (one.annotation or "")

    def _show_document(self) -> None:
        document = self._document
        look = Look(self._palette, class_styles(document.classes, self._palette))
        self.setStyleSheet(
            style_sheet(self._palette)
            + f"QListWidget {{ background: {self._palette.well}; border: 1px solid {self._palette.line}; border-radius: 4px; }}"
        )
        self._notice.apply_look(look)
        header = document.header
        who = ", ".join(filter(None, (header.participant, header.condition))) or "nobody named"
        bundle = f"bundle {header.bundle.name} {header.bundle.version}"
        self._about.show_text(f"{who} · {header.created[:16].replace('T', ' ')} UTC · {bundle} · {document.state.message}")
        names = "&nbsp;&nbsp;".join(f'<span style="color:{s.colour}">{s.glyph} {s.name}</span>' for s in look.classes)
        set_text(self._legend, names)
        lines = "bold: so far, thin: windows"
        found = document.comparison
        if found is not None:
            same = "–" if found.agreement is None else f"{found.agreement:.0%}"
            apart = "" if found.difference is None else f", scores ±{found.difference:.3f}"
            lines = f"lines: {document.scores} · same label or none: {same} of {len(found.utterances)}{apart}"
        self._compared.show_text(lines)
        self._lanes.apply_look(look)
        self._lanes.show_document(document)
        self._fill_list()
        self._show_position()
        self._choose(document.utterance_at(self._position), anew=True)

    def _fill_list(self) -> None:
        self._list.clear()
        for one in self._document.happenings:
            when = "" if one.at is None else f"{_clock_text(one.at)}  "
            item = QtWidgets.QListWidgetItem(f"{when}{one.kind}: {one.text}")
            item.setData(Qt.ItemDataRole.UserRole, one.at)
            item.setToolTip(one.text)
            self._list.addItem(item)
        if not self._list.count():
            self._list.addItem("nothing but speech")

    def _show_position(self) -> None:
        self._lanes.set_head(self._position)
        blocked = self._slider.blockSignals(True)
        if not self._slider.isSliderDown():
            self._slider.setValue(round(self._position * _SLIDER))
        self._slider.blockSignals(blocked)
        set_text(self._clock, f"{_clock_text(self._position)} / {_clock_text(self._document.seconds)}")
        self._health.show_text(_health_text(self._document.health_at(self._position), self._document.rate))
        if not self.dirty and not self._said.hasFocus():
            self._choose(self._document.utterance_at(self._position))

    def _choose(self, one: Utterance | None, *, anew: bool = False) -> None:
        if one == self._chosen and not anew:
            return
        self._chosen = one
        self._lanes.choose(None if one is None else one.number)
        blocked = self._said.blockSignals(True)
        self._said.setText("" if one is None else one.corrected or one.words)
        self._said.setCursorPosition(0)
        self._said.blockSignals(blocked)
        blocked = self._label.blockSignals(True)
        self._label.setCurrentText("" if one is None else one.annotation or "")
        self._label.blockSignals(blocked)
        self._label.setEnabled(one is not None)
        self._said.setEnabled(one is not None and self._document.header.kept.words)
        if one is None:
            set_text(self._number, "before the first utterance" if self._document.utterances else "there is none")
            for label in (self._verdict, self._later, self._heard):
                set_text(label, "")
            self._scores.show_text("")
        else:
            self._show_utterance(one)
        self._later.setVisible(self._document.scores is not None)
        self._show_dirt()

    def _show_utterance(self, one: Utterance) -> None:
        set_text(self._number, f"no. {one.number}, {_clock_text(one.start)} – {_clock_text(one.end)}")
        set_text(self._verdict, self._verdict_markup("recorded", one))
        later = self._document.later_of(one.number)
        if later is not None:
            set_text(self._later, self._verdict_markup(self._document.scores or "", later))
        else:
            set_text(self._later, "not scored again")
        shown = later or one
        scores = "  ".join(f"{name} {score:.0%}" for name, score in shown.scores.items())
        self._scores.show_text(f"{scores}{f'  ({shown.note})' if shown.note else ''}")
        heard = f"Recognised: {one.words}" if one.words else "No words were kept." if not one.corrected else ""
        set_text(self._heard, heard)

    def _verdict_markup(self, name: str, one: Utterance) -> str:
        colour, what = self._palette.unsure, "? unsure"
        if one.label is not None:
            (style,) = class_styles((one.label,), self._palette)
            colour, what = style.colour, f"{style.glyph} {html.escape(one.label)}"
        return f'{html.escape(name)}: <span style="color:{colour}">{what} {one.confidence:.0%}</span>'

    def _show_dirt(self) -> None:
        dirty = self.dirty
        self._save.setEnabled(dirty)
        self._discard.setEnabled(dirty)

    # What the user does ---------------------------------------------------------------------------------------------------

    def seek(self, seconds: float) -> None:
        """Go to a time; sound that is heard goes on from there."""
        going_on = self.playing or self._resume.isActive()
        self._halt()
        self._position = min(max(seconds, 0.0), self._document.seconds)
        self._lanes.reveal(self._position)
        self._show_position()
        if going_on:
            self._resume.start()
        self._show_playing()

    def jump(self, kind: str, step: int) -> None:
        """Go to the next (`step` > 0) or previous ``"utterance"`` or ``"marker"``, where there is one."""
        if kind == "utterance":
            times = [one.start for one in self._document.utterances]
        else:
            times = [row["sample"] / self._document.rate for row in self._document.markers]
        to = following(times, self._position) if step > 0 else preceding(times, self._position)
        if to is not None:
            self.seek(to)

    def zoom(self, factor: float) -> None:
        """Show `factor` times as many seconds, around where one is."""
        self._lanes.zoom(factor, self._position)

    def toggle(self) -> None:
        """Play, or stop."""
        if self.playing or self._resume.isActive():
            self._halt()
            self._show_playing()
        else:
            self.play()

    def play(self) -> None:
        """Play from here on; at the end, from the beginning."""
        if self._playback is None:
            return
        if self._position >= self._document.seconds - 0.05:
            self._position = 0.0
        try:
            self._playback.play(round(self._position * self._document.rate))
        except RealtimeSerError as error:
            self._tell(error)
            return
        self._tell(None)
        self._ticker.start()
        self._show_playing()

    def tick(self) -> None:
        """Follow the sound that is heard."""
        if self._playback is None:
            return
        self._position = self._playback.position / self._document.rate
        self._lanes.reveal(self._position)
        self._show_position()
        if not self._playback.playing:
            error = self._playback.error
            self._halt()
            self._show_playing()
            if isinstance(error, RealtimeSerError):
                self._tell(error)

    def save(self) -> None:
        """Keep the words and the label beside the original."""
        one = self._chosen
        if one is None or not self.dirty:
            return
        said, label = self._said.text().strip(), self._label.currentText().strip()
        # A session that was interrupted can only be changed by who has its files alone; the sound is read from them, too.
        going_on = self.playing or self._resume.isActive()
        self._halt()
        if going_on:
            self._resume.start()
        try:
            if self._said.isEnabled() and said != (one.corrected or one.words):
                edit.correct_words(self._document.folder, one.number, said, "replay window")
            if label != (one.annotation or ""):
                edit.label_utterance(self._document.folder, one.number, label, "replay window")
            self._document.refresh()
        except RealtimeSerError as error:
            self._tell(error)
            return
        self._tell(None)
        self._fill_list()
        self._lanes.show_document(self._document)
        kept = next((later for later in self._document.utterances if later.number == one.number), None)
        self._choose(kept, anew=True)

    def discard(self) -> None:
        """Forget what was written and not saved."""
        self._choose(self._chosen, anew=True)
        self._slider.setFocus()
        self._show_position()

    def _choose_scores(self, name: str) -> None:
        try:
            self._document = Document(self._document.folder, None if name == _NO_SCORES else name)
        except RealtimeSerError as error:
            self._tell(error)
            return
        self._tell(None)
        self._show_document()

    def _go_to(self, item: QtWidgets.QListWidgetItem) -> None:
        at = item.data(Qt.ItemDataRole.UserRole)
        if at is not None:
            self.seek(float(at))

    def _halt(self) -> None:
        self._resume.stop()
        self._ticker.stop()
        if self._playback is not None:
            self._playback.stop()

    def _show_playing(self) -> None:
        heard = self.playing or self._resume.isActive()
        set_text(self._play, "■ Stop" if heard else "▶ Play")

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        failure = Failure.of(error)
        self._notice.show_notice(Notice(Severity.ERROR, failure.problem, failure.remedy))

    def _tell(self, error: RealtimeSerError | None) -> None:
        self._notice.show_notice(None if error is None else Notice(Severity.ERROR, error.problem, error.remedy))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys that no field or button has taken: Space, +, -, 0."""
        match event.key():
            case Qt.Key.Key_Space:
                self.toggle()
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom(0.5)
            case Qt.Key.Key_Minus:
                self.zoom(2.0)
            case Qt.Key.Key_0:
                self._lanes.show_all()
            case _:
                super().keyPressEvent(event)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Give the sound up."""
        self._halt()
        super().closeEvent(event)


def _pieces(folder: Path, first: int) -> Iterator[tuple[int, FloatArray]]:
    """Sound from a sample on; opened by the thread that reads it."""
    with Session(folder) as session:
        yield from session.audio(first)


def _health_text(row: Row | None, rate: int) -> str:
    """How the engine was doing, in a line; figures that it did not have (a file has no latency) are left out."""
    if row is None:
        return "No figures of the engine's health by then."
    latency, behind = row.get("latency_p95"), row.get("recognizer_lag")
    dropped, overruns, losses = (row.get(name) or 0 for name in ("dropped_samples", "overruns", "device_losses"))
    lost = [f"{dropped / rate:.2f} s dropped"] * bool(dropped)
    lost += [f"{overruns} overruns"] * bool(overruns) + [f"microphone away {losses} times"] * bool(losses)
    parts = lost or ["nothing lost"]
    parts += [] if behind is None else [f"words {behind:.1f} s behind"]
    parts += [] if latency is None else [f"latency {1000 * latency:.0f} ms"]
    return f"Engine: {', '.join(parts)}"


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
