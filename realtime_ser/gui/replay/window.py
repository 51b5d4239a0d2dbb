"""The replay window: scrub, hear, jump, mark, correct, label, compare and score again. GUI thread only.

Whatever touches the disk is done by worker threads and handed over by the window's timer. The session itself is never written
here but through :mod:`realtime_ser.session.edit`, which keeps the original.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from realtime_ser.audio.playback import Playback
from realtime_ser.audio.portaudio import Callback, InputStream, open_output
from realtime_ser.errors import RealtimeSerError
from realtime_ser.gui.panels.messages import Notice, NoticeBar
from realtime_ser.gui.panels.panel import (
    ElidedLabel,
    Look,
    Panel,
    add_button,
    make_label,
    make_page,
    numeric_font,
    open_at,
    percent,
    set_text,
    wear,
)
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document, Edited, Utterance, clock_text, following, preceding
from realtime_ser.gui.replay.lanes import ReplayLanes
from realtime_ser.gui.replay.markers import NEW_COLOUR, NEW_NAME, MarkerPage
from realtime_ser.gui.replay.picture import GUTTER, RIGHT
from realtime_ser.gui.replay.rescoring import RescoreDialog
from realtime_ser.gui.replay.utterance import UtterancePanel
from realtime_ser.gui.sessions.export import ExportDialog
from realtime_ser.gui.sessions.report import ReportDialog
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.theme import Palette, class_styles
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.session import edit
from realtime_ser.session.peaks import Peaks
from realtime_ser.session.reader import Row
from realtime_ser.types import Severity

__all__ = ["ReplayWindow"]

_TICK_MS = 33
_SOUND_TICKS = 8
"""Between two pictures of a sound that is still being read."""
_STEP_TICKS = 8
"""Between two places of the line during playback, with reduced motion."""
_RESUME_MS = 150
"""How long a seek waits for the next one before sound is opened anew."""

_SLIDER = 100
"""Steps of the slider a second."""
_HANDLE = 14
"""Pixels of its handle, as the style sheet makes it."""
_PAN = 0.25
"""Share of the view that a key moves it by."""

_NO_SCORES = "nothing"
_REASON = "replay window"


@dataclass(slots=True)
class _Change:
    """Something that was changed here, and how to change it back; `result` is what changing it gave."""

    what: str
    undo: Callable[[Any], object]
    result: Any = None


class ReplayWindow(QtWidgets.QMainWindow):
    """One session.

    Parameters
    ----------
    document
        The session, read.
    settings
        Where the theme is kept.
    open_stream
        What opens an output; see :func:`~realtime_ser.audio.portaudio.open_output`.
    """

    closed = QtCore.Signal(object)
    """The window of this session's folder has been closed."""

    def __init__(
        self,
        document: Document,
        settings: QtCore.QSettings,
        open_stream: Callable[[int, Callback], tuple[InputStream, int]] = open_output,
    ) -> None:
        super().__init__()
        self._document = document
        self._settings = settings
        folder = document.folder
        self._choices = Settings(settings)
        self._palette = self._choices.palette
        self._position = 0.0
        self._chosen: Utterance | None = None
        self._changes: list[_Change] = []
        self._saving = False
        self._export: ExportDialog | None = None
        self._report: ReportDialog | None = None
        self._question: QtWidgets.QMessageBox | None = None
        # What is to be done once that which is being saved is saved.
        self._then: Callable[[], object] | None = None
        self._rescore: RescoreDialog | None = None
        self._worker = Worker()
        # NB: what reads the sound through may take long, and nothing waits for it.
        self._reader = Worker()
        self._over = threading.Event()
        self._peaks: Peaks | None = None
        self._playback: Playback | None = None
        self._open_stream = open_stream
        if document.has_audio:
            self._playback = Playback(document.pieces, document.samples, open_stream)
        self._ticks = 0
        self._ticker = QtCore.QTimer(self)
        self._ticker.setInterval(_TICK_MS)
        self._ticker.timeout.connect(self.tick)
        self._resume = QtCore.QTimer(self)
        self._resume.setSingleShot(True)
        self._resume.setInterval(_RESUME_MS)
        self._resume.timeout.connect(self.play)
        self.setWindowTitle(f"Replay: {folder.name}")
        open_at(self, 1100, 760)
        self.setMinimumSize(860, 600)
        layout = make_page(self)
        self._notice = NoticeBar()
        layout.addLayout(self._make_head())
        layout.addWidget(self._notice)
        layout.addWidget(self._make_timeline(), 5)
        layout.addLayout(self._make_transport())
        bottom = QtWidgets.QHBoxLayout()
        bottom.setSpacing(8)
        self._utterance = UtterancePanel(document.header.classes, document.header.kept.words)
        self._utterance.save_asked.connect(self.save)
        self._utterance.discard_asked.connect(self.discard)
        bottom.addWidget(self._utterance, 3)
        bottom.addWidget(self._make_log(), 2)
        layout.addLayout(bottom, 2)
        for keys, action in (
            ("PgUp", partial(self.jump, "utterance", -1)),
            ("PgDown", partial(self.jump, "utterance", 1)),
            ("Ctrl+PgUp", partial(self.jump, "marker", -1)),
            ("Ctrl+PgDown", partial(self.jump, "marker", 1)),
            ("Alt+Left", partial(self._lanes.pan, -_PAN)),
            ("Alt+Right", partial(self._lanes.pan, _PAN)),
            ("Ctrl+S", self.save),
            ("Ctrl+Z", self.undo),
            ("Ctrl+M", self._move_marker_here),
            ("Ctrl+E", self.show_export),
            ("Ctrl+Shift+E", self.show_report),
            ("Ctrl+R", self.show_rescore),
            ("Ctrl+P", self._switch_person),
            ("Ctrl+W", self.close),
        ):
            QtGui.QShortcut(QtGui.QKeySequence(keys), self).activated.connect(action)
        self._show_document()
        self._show_changes()
        self._slider.setFocus()
        self._read_sound()
        self._ticker.start()

    # Parts ----------------------------------------------------------------------------------------------------------------

    def _make_head(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        self._about = ElidedLabel("dim")
        row.addWidget(self._about, 1)
        self._people = QtWidgets.QComboBox()
        self._people.setAccessibleName("whose utterances, scores and sound")
        self._people.setToolTip("Whose utterances, scores and sound are shown and can be changed (Ctrl+P switches)")
        self._people.addItems(self._document.people)
        self._people.setVisible(bool(self._document.people))
        self._people.activated.connect(lambda index: self.show_person(index + 1))
        row.addWidget(self._people)
        row.addWidget(make_label("Compare with", "dim"))
        self._scorings = QtWidgets.QComboBox()
        self._scorings.setAccessibleName("later scoring to compare with")
        self._scorings.setToolTip("Scores that were kept beside the recorded ones when it was scored again")
        self._scorings.setMinimumContentsLength(8)
        self._scorings.currentTextChanged.connect(self._choose_scores)
        row.addWidget(self._scorings)
        self._again = add_button(row, "Score again…", "Score it with another bundle, and compare (Ctrl+R)", self.show_rescore)
        if self._playback is None:
            self._again.setEnabled(False)
            self._again.setToolTip("It cannot be scored again: no sound was kept.")
        add_button(row, "Export…", "Write it in the formats of other tools (Ctrl+E)", self.show_export)
        tip = "Methods paragraph, figure and summary (Ctrl+Shift+E)"
        add_button(row, "For a paper…", tip, self.show_report)
        return row

    def _make_timeline(self) -> QtWidgets.QWidget:
        panel = Panel("Timeline")
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        panel.header.addSpacing(8)
        panel.header.addWidget(self._legend)
        self._compared = ElidedLabel()
        self._compared.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        panel.header.addWidget(self._compared, 1)
        self._lanes = ReplayLanes()
        self._lanes.setMinimumHeight(200)
        self._lanes.sought.connect(self.seek)
        panel.body.addWidget(self._lanes, 1)
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setFixedHeight(20)
        self._slider.setAccessibleName("position in the session")
        self._slider.setToolTip("Position: drag, or arrow keys (a second), Home, End")
        self._slider.setRange(0, round(self._document.seconds * _SLIDER))
        self._slider.setSingleStep(_SLIDER)
        self._slider.valueChanged.connect(lambda value: self.seek(value / _SLIDER))
        # Below the seconds of the picture: while all are shown, its handle stands below the line that says where one is.
        below = QtWidgets.QHBoxLayout()
        below.setContentsMargins(GUTTER - _HANDLE // 2, 0, RIGHT - _HANDLE // 2, 0)
        below.addWidget(self._slider)
        panel.body.addLayout(below)
        return panel

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
        longest = clock_text(self._document.seconds)
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
            button = add_button(row, text, f"To the {way} {kind} ({key})", partial(self.jump, kind, step))
            button.setAccessibleName(f"{way} {kind}")
        row.addSpacing(8)
        add_button(row, "−", "See more at once (-)", partial(self.zoom, 2.0)).setAccessibleName("zoom out")
        add_button(row, "+", "See it closer (+)", partial(self.zoom, 0.5)).setAccessibleName("zoom in")
        add_button(row, "All", "See the whole session (0); Alt and arrow keys move the view", self._lanes.show_all)
        return row

    def _make_log(self) -> QtWidgets.QWidget:
        """Markers, and everything that happened, in one place; the title row switches."""
        panel = Panel("Session")
        self._pages = QtWidgets.QStackedWidget()
        self._switches = []
        group = QtWidgets.QButtonGroup(panel)
        for page, text in enumerate(("Markers", "What happened")):
            button = QtWidgets.QToolButton()
            button.setText(text)
            button.setCheckable(True)
            button.setChecked(page == 0)
            button.clicked.connect(lambda _checked=False, page=page: self._pages.setCurrentIndex(page))
            group.addButton(button)
            panel.header.addWidget(button)
            self._switches.append(button)
        panel.header.addStretch(1)
        self._undo = QtWidgets.QPushButton("Undo")
        self._undo.clicked.connect(lambda _checked=False: self.undo())
        panel.header.addWidget(self._undo)
        self._markers = MarkerPage()
        self._markers.add_asked.connect(self.add_marker)
        self._markers.here_asked.connect(lambda _marker: self._move_marker_here())
        self._markers.changed.connect(self._change_marker)
        self._markers.delete_asked.connect(self._delete_marker)
        self._markers.chosen_by_user.connect(self._go_to_marker)
        self._markers.left.connect(lambda: self._slider.setFocus())
        happenings = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(happenings)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._list = QtWidgets.QListWidget()
        self._list.setAccessibleName("gaps, events, markers, notes and changes")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.setUniformItemSizes(True)
        self._list.itemActivated.connect(self._go_to)
        self._list.itemClicked.connect(self._go_to)
        self._list.setMinimumHeight(60)
        layout.addWidget(self._list, 1)
        self._health = ElidedLabel()
        layout.addWidget(self._health)
        self._pages.addWidget(self._markers)
        self._pages.addWidget(happenings)
        panel.body.addWidget(self._pages, 1)
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
        return self._utterance.dirty

    @property
    def unsaved(self) -> bool:
        """Whether something would be lost if the window were closed now."""
        return (self.dirty and not self._saving) or self._markers.dirty

    @property
    def question(self) -> QtWidgets.QMessageBox | None:
        """What is being asked before the window is closed."""
        return self._question

    @property
    def report_dialog(self) -> ReportDialog | None:
        """Once it was asked for."""
        return self._report

    @property
    def busy(self) -> bool:
        """Whether something is being read or written."""
        return self._worker.busy

    @property
    def reading_sound(self) -> bool:
        """Whether the outline of the sound is not yet complete."""
        return self._reader.busy

    @property
    def export_dialog(self) -> ExportDialog | None:
        """Once it was asked for."""
        return self._export

    @property
    def rescore_dialog(self) -> RescoreDialog | None:
        """Once it was asked for."""
        return self._rescore

    def apply_palette(self, palette: Palette) -> None:
        """Take on a theme; where it is that already, nothing is drawn anew."""
        if palette is not self._palette:
            self._palette = palette
            self._show_document()

    def _show_document(self) -> None:
        document = self._document
        look = Look(self._palette, class_styles(document.classes, self._palette))
        wear(self, self._palette)
        for part in (self._notice, self._utterance, self._markers):
            part.apply_look(look)
        header = document.header
        codes = f"{document.name}: {header.participant or '–'}" if document.people else header.participant
        who = ", ".join(filter(None, (codes, header.condition))) or "nobody named"
        self._people.setCurrentIndex(document.person - 1)
        bundle = f"bundle {header.bundle.name} {header.bundle.version}"
        self._about.show_text(f"{who} · {header.created[:16].replace('T', ' ')} UTC · {bundle} · {document.state.message}")
        names = "&nbsp;&nbsp;".join(f'<span style="color:{s.colour}">{s.glyph} {s.name}</span>' for s in look.classes)
        set_text(self._legend, names)
        lines = "bold: so far, thin: windows"
        found = document.comparison
        if found is not None:
            same = "–" if found.agreement is None else percent(found.agreement)
            apart = "" if found.difference is None else f", scores ±{found.difference:.3f}"
            lines = f"lines: {document.scores} · same label or none: {same} of {len(found.utterances)}{apart}"
        self._compared.show_text(lines)
        blocked = self._scorings.blockSignals(True)
        self._scorings.clear()
        self._scorings.addItems([_NO_SCORES, *document.scorings])
        self._scorings.setCurrentText(document.scores or _NO_SCORES)
        self._scorings.setEnabled(bool(document.scorings))
        self._scorings.blockSignals(blocked)
        self._lanes.apply_look(look)
        self._lanes.show_document(document)
        self._fill_lists()
        self._show_position()
        if not self.dirty:
            self._choose(document.utterance_at(self._position), anew=True)

    def _fill_lists(self) -> None:
        document = self._document
        self._markers.show_markers(document.markers, document.rate, document.seconds)
        set_text(self._switches[0], f"Markers {len(document.markers)}" if document.markers else "Markers")
        self._list.clear()
        for one in document.happenings:
            when = "" if one.at is None else f"{clock_text(one.at)}  "
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
        set_text(self._clock, f"{clock_text(self._position)} / {clock_text(self._document.seconds)}")
        self._health.show_text(_health_text(self._document.health_at(self._position), self._document.rate))
        if not self.dirty and not self._utterance.writing:
            self._choose(self._document.utterance_at(self._position))

    def _choose(self, one: Utterance | None, *, anew: bool = False) -> None:
        if one == self._chosen and not anew:
            return
        self._chosen = one
        document = self._document
        self._lanes.choose(None if one is None else one.number)
        nothing = "before the first utterance" if document.utterances else "there is none"
        later = None if one is None else document.later_of(one.number)
        self._utterance.show_utterance(one, later, document.scores, nothing)

    def _choose_marker(self, marker: int | None) -> None:
        self._markers.choose(marker)
        self._lanes.choose_marker(marker)

    # Sound and time -------------------------------------------------------------------------------------------------------

    def _read_sound(self) -> None:
        """Have the outline of the sound worked out."""
        document = self._document
        # NB: what is still being read of another person is of no use any more.
        self._over.set()
        self._over = threading.Event()
        if not document.has_audio:
            return
        peaks = self._peaks = Peaks(document.samples)
        over = self._over

        def read() -> None:
            for piece in document.pieces():
                if over.is_set():
                    return
                peaks.add([piece])
            peaks.read = document.samples  # also where the sound ends before the scores do

        def show(_: object) -> None:
            if self._peaks is peaks:
                self._lanes.show_peaks(peaks)

        self._lanes.show_peaks(peaks)
        self._reader.ask(read, show, self._miss)

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
        if kind == "marker" and (marker := self._document.marker_at(self._position)) is not None:
            self._choose_marker(marker["id"])

    def zoom(self, factor: float) -> None:
        """Show `factor` times as many seconds, around where one is."""
        self._lanes.zoom(factor, self._position)

    def toggle(self) -> None:
        """Play, or stop."""
        if self.playing or self._resume.isActive():
            self._halt()
            self._show_position()  # with reduced motion, it stands where the last step was
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
            self.report(error)
            return
        self._notice.show_notice(None)
        self._show_playing()

    def tick(self) -> None:
        """Take what is done, and follow the sound that is heard; called by the timer."""
        self._ticks += 1
        self._worker.deliver()
        self._reader.deliver()
        for dialog in (self._export, self._rescore, self._report):
            if dialog is not None:
                dialog.follow()
        if self._then is not None and not self._worker.busy:
            then, self._then = self._then, None
            if not self.unsaved:  # otherwise it could not be saved, and was told
                then()
                return
        if self._peaks is not None and self.reading_sound and self._ticks % _SOUND_TICKS == 0:
            self._lanes.show_peaks(self._peaks)
        self._follow_sound()

    def _follow_sound(self) -> None:
        if self._playback is None or not self._heard:
            return
        playing = self._playback.playing
        self._position = self._playback.position / self._document.rate
        if not (playing and self._choices.still and self._ticks % _STEP_TICKS):
            self._lanes.reveal(self._position)
            self._show_position()
        if not playing:
            error = self._playback.error
            self._halt()
            self._show_playing()
            if isinstance(error, RealtimeSerError):
                self.report(error)

    @property
    def _heard(self) -> bool:
        """Whether sound was begun and not stopped, be it at its end by now."""
        return self._play.text().startswith("■") and not self._resume.isActive()

    def _halt(self) -> None:
        self._resume.stop()
        if self._playback is not None:
            self._playback.stop()

    def _show_playing(self) -> None:
        heard = self.playing or self._resume.isActive()
        set_text(self._play, "■ Stop" if heard else "▶ Play")

    # Changing -------------------------------------------------------------------------------------------------------------

    def _change(self, work: Callable[[], Any], undo: _Change | None, then: Callable[[Any], None] = lambda result: None) -> None:
        """Have `work` change the session; where that went well, it can be undone, and `then` is told what it gave."""
        document = self._document

        def change() -> tuple[Any, Edited]:
            result = work()
            return result, document.read_edited()

        def take(changed: tuple[Any, Edited]) -> None:
            result, edited = changed
            if undo is not None:
                undo.result = result
                self._changes.append(undo)
            self._take_edited(edited)
            then(result)

        self._worker.ask(change, take, self._miss)

    def _take_edited(self, edited: Edited) -> None:
        self._saving = False
        self._document.take(edited)
        self._notice.show_notice(None)
        self._fill_lists()
        self._lanes.show_document(self._document)
        self._show_changes()
        if not self.dirty:
            self._choose_again()

    def _choose_again(self) -> None:
        """Show what has become of the utterance at hand."""
        number = None if self._chosen is None else self._chosen.number
        self._choose(next((one for one in self._document.utterances if one.number == number), None), anew=True)

    def _show_changes(self) -> None:
        self._undo.setEnabled(bool(self._changes))
        last = f": {self._changes[-1].what}" if self._changes else ""
        self._undo.setToolTip(f"Take back the last change of this window{last} (Ctrl+Z)")
        self._undo.setAccessibleName(f"undo{last}")

    def undo(self) -> None:
        """Take back what was changed last in this window; that is logged, too."""
        # NB: a change that is still being made comes first, and only then is it known how to undo it.
        if self._changes and not self._worker.busy:
            last = self._changes.pop()
            self._change(lambda: last.undo(last.result), None, lambda _result: self._choose_marker(self._markers.chosen))

    def save(self) -> None:
        """Keep the words and the label beside the original."""
        one = self._chosen
        if one is None or not self.dirty or self._saving:
            return
        folder, (said, label) = self._document.streams_folder, self._utterance.written
        words_changed, label_changed = said != one.said, label != (one.annotation or "")

        def write(new_words: str, new_label: str, reason: str) -> None:
            if words_changed:
                edit.correct_words(folder, one.number, new_words, reason)
            if label_changed:
                edit.label_utterance(folder, one.number, new_label, reason)

        before = one.corrected or "", one.annotation or ""
        undo = _Change(f"utterance {one.number}", lambda _result: write(*before, f"undone, {_REASON}"))
        self._saving = True
        self._change(lambda: write(said, label, _REASON), undo, lambda _result: self._choose_again())

    def discard(self) -> None:
        """Forget what was written and not saved."""
        self._choose(self._chosen, anew=True)
        self._slider.setFocus()
        self._show_position()

    def add_marker(self) -> None:
        """Mark where one is, and ask for a name."""
        folder, sample = self._document.folder, round(self._position * self._document.rate)

        def take_back(marker: int) -> None:
            edit.edit_marker(folder, marker, deleted=True, reason=f"undone, {_REASON}")

        def name(marker: int) -> None:
            self._pages.setCurrentIndex(0)
            self._switches[0].setChecked(True)
            self._choose_marker(marker)
            self._markers.begin_naming()

        self._change(
            lambda: edit.add_marker(folder, sample, NEW_NAME, colour=NEW_COLOUR, source=_REASON),
            _Change(f"a marker at {clock_text(self._position)}", take_back),
            name,
        )

    def _change_marker(self, marker: int, values: dict[str, Any]) -> None:
        row = next((row for row in self._document.markers if row["id"] == marker), None)
        if row is None:
            return
        folder = self._document.folder
        before = {field: row[field] for field in values}
        self._change(
            lambda: edit.edit_marker(folder, marker, **values, reason=_REASON),
            _Change(
                f"{', '.join(values)} of the marker {row['name']}",
                lambda _result: edit.edit_marker(folder, marker, **before, reason=f"undone, {_REASON}"),
            ),
            lambda _result: self._choose_marker(marker),
        )

    def _move_marker_here(self) -> None:
        marker = self._markers.chosen
        if marker is not None:
            self._change_marker(marker, {"sample": round(self._position * self._document.rate)})

    def _delete_marker(self, marker: int) -> None:
        folder = self._document.folder
        name = next((row["name"] for row in self._document.markers if row["id"] == marker), "")
        self._change(
            lambda: edit.edit_marker(folder, marker, deleted=True, reason=_REASON),
            _Change(f"the marker {name}, deleted", lambda _result: edit.restore_marker(folder, marker, f"undone, {_REASON}")),
            lambda _result: self._choose_marker(None),
        )

    def _go_to_marker(self, marker: int) -> None:
        self._lanes.choose_marker(marker)
        row = next((row for row in self._document.markers if row["id"] == marker), None)
        if row is not None:
            self.seek(row["sample"] / self._document.rate)

    def _go_to(self, item: QtWidgets.QListWidgetItem) -> None:
        at = item.data(Qt.ItemDataRole.UserRole)
        if at is not None:
            self.seek(float(at))

    # Scores and files -----------------------------------------------------------------------------------------------------

    def _choose_scores(self, name: str) -> None:
        self._load(None if name == _NO_SCORES else name)

    def _load(self, scores: str | None) -> None:
        """Read the session again, with a later scoring or without one."""
        folder, person = self._document.folder, self._document.person
        self._scorings.setEnabled(False)
        self._compared.show_text("reading the scores …")
        self._worker.ask(lambda: Document(folder, scores, person), self._take_document, self._miss_document)

    def show_person(self, person: int) -> None:
        """Show the utterances, scores and sound of another person; what is written has to be saved or discarded before."""
        document = self._document
        if person == document.person:
            return
        if self.dirty or self._saving:
            self._people.setCurrentIndex(document.person - 1)
            self._miss(Failure(f"What you wrote about {document.name} is not saved.", "Save it (Ctrl+S), or discard it."))
            return
        self._people.setEnabled(False)
        folder, scores = document.folder, document.scores
        self._worker.ask(lambda: Document(folder, scores, person), self._take_document, self._miss_document)

    def _switch_person(self) -> None:
        if self._document.people and self._people.isEnabled():
            self.show_person(self._document.person % len(self._document.people) + 1)

    def _take_document(self, document: Document) -> None:
        another = document.person != self._document.person
        if another:
            going_on = self.playing
            self._halt()
        self._document = document
        self._people.setEnabled(True)
        self._notice.show_notice(None)
        if another:
            self._chosen = None
            if document.has_audio:
                self._playback = Playback(document.pieces, document.samples, self._open_stream)
        self._show_document()
        if another:
            self._read_sound()
            if going_on:
                self.play()
            self._show_playing()

    def _miss_document(self, failure: Failure) -> None:
        self._people.setEnabled(True)
        self._show_document()
        self._miss(failure)

    def show_rescore(self) -> None:
        """Ask for a bundle to score the session with again."""
        if self._playback is None:
            return
        if self._rescore is None:
            bundle = self._document.header.bundle
            self._rescore = RescoreDialog(self, self._document.streams_folders, f"{bundle.name} {bundle.version}")
            self._rescore.scored.connect(self._load)
        self._rescore.show()
        self._rescore.raise_()

    def show_export(self) -> None:
        """Ask for formats and a folder."""
        if self._export is not None and self._export.job.busy:
            self._export.show()
            self._export.raise_()
            return
        document = self._document
        if self._export is not None:
            self._export.end()
            self._export.deleteLater()
        self._export = ExportDialog(
            self, self._settings, [document.folder], document.scorings, document.scores, document.has_audio
        )
        self._export.show()

    def show_report(self) -> None:
        """Show what a paper needs of the session, with the figure of what is in view."""
        document = self._document
        if self._report is not None:
            self._report.end()
            self._report.deleteLater()
        self._report = ReportDialog(
            self,
            self._settings,
            [document.folder],
            scores=document.scores,
            seconds=document.seconds,
            people=document.people,
            span=self._lanes.visible_range,
        )
        self._report.show()

    # What goes wrong, and the end -----------------------------------------------------------------------------------------

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        self._miss(Failure.of(error))

    def _miss(self, failure: Failure) -> None:
        self._saving = False
        self._notice.show_notice(Notice(Severity.ERROR, failure.problem, failure.remedy))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys that no field or button has taken: Space, M, +, -, 0."""
        match event.key():
            case Qt.Key.Key_Space:
                self.toggle()
            case Qt.Key.Key_M:
                self.add_marker()
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom(0.5)
            case Qt.Key.Key_Minus:
                self.zoom(2.0)
            case Qt.Key.Key_0:
                self._lanes.show_all()
            case _:
                super().keyPressEvent(event)

    def ask_to_close(self, then: Callable[[], object]) -> None:
        """Ask what to do with what is not saved; `then` is done once it is saved, or shall be lost, and never if neither."""
        if self._question is not None:
            self._question.raise_()
            return
        if not self.unsaved:
            then()
            return
        self.show()
        self.raise_()
        self.activateWindow()
        question = self._question = QtWidgets.QMessageBox(self)
        question.setWindowTitle("Not saved")
        question.setIcon(QtWidgets.QMessageBox.Icon.Question)
        question.setText(f"Save what you wrote in {self._document.folder.name}?")
        about = ["the marker"] if self._markers.dirty else []
        if self.dirty and self._chosen is not None:
            about.insert(0, f"utterance {self._chosen.number} at {clock_text(self._chosen.start)}")
        question.setInformativeText(f"It is about {' and '.join(about)}. The original stays in any case.")
        save = question.addButton("&Save", QtWidgets.QMessageBox.ButtonRole.AcceptRole)
        discard = question.addButton("&Discard", QtWidgets.QMessageBox.ButtonRole.DestructiveRole)
        cancel = question.addButton("&Cancel", QtWidgets.QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(save)
        question.setEscapeButton(cancel)

        def save_first() -> None:
            self._then = then
            self._markers.commit()
            self.save()

        def lose() -> None:
            self._markers.discard()
            self.discard()
            then()

        def end(_result: int) -> None:
            self._question = None
            pressed = question.clickedButton()
            question.deleteLater()
            if pressed is save:
                save_first()
            elif pressed is discard:
                lose()

        question.finished.connect(end)
        question.open()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Ask for what is not saved; then give the sound up, and end all threads."""
        if self.unsaved:
            event.ignore()
            self.ask_to_close(self.close)
            return
        self._ticker.stop()
        self._halt()
        self._over.set()
        for dialog in (self._export, self._rescore, self._report):
            if dialog is not None:
                dialog.end()
        # What somebody has saved is saved, however soon the window is closed.
        self._worker.close(finish=True)
        self._reader.close()
        super().closeEvent(event)
        self.closed.emit(self._document.folder)


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
