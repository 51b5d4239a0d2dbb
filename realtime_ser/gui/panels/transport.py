"""The top bar: what to listen to, start and stop, and whether a microphone is open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.gui.controller import InputChoice, InputKind, Phase, PickedFile
from realtime_ser.gui.panels.panel import ElidedBox, ElidedLabel, Look, make_label, numeric_font, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets

__all__ = ["Transport"]

_GROUPS: tuple[tuple[InputKind, str], ...] = (
    ("microphone", "Microphones"),
    ("demo", "Demonstration recordings"),
    ("file", "Recordings"),
)
_ROOMY = 1_180
"""Pixels from which on there is room for everything."""
OPEN_A_FILE = "Open a recording…"


class _Light(QtWidgets.QWidget):
    """The recording light: full and red only while a microphone is open."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(22, 22)
        self._look: Look | None = None
        self._phase: Phase = "loading"
        self._live = False

    def apply_look(self, look: Look) -> None:
        self._look = look
        self.update()

    def show_phase(self, phase: Phase, live: bool) -> None:
        if (phase, live) != (self._phase, self._live):
            self._phase, self._live = phase, live
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._look is None:
            return
        palette = self._look.palette
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        disc = QtCore.QRectF(4.0, 4.0, 14.0, 14.0)
        if self._phase == "running" and self._live:
            painter.setPen(Qt.PenStyle.NoPen)
            halo = QtGui.QColor(palette.record)
            halo.setAlpha(70)
            painter.setBrush(halo)
            painter.drawEllipse(disc.adjusted(-4.0, -4.0, 4.0, 4.0))
            painter.setBrush(QtGui.QColor(palette.record))
            painter.drawEllipse(disc)
        elif self._phase == "running":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QtGui.QColor(palette.good))
            painter.drawPolygon(
                QtGui.QPolygonF([QtCore.QPointF(6.0, 4.0), QtCore.QPointF(19.0, 11.0), QtCore.QPointF(6.0, 18.0)])
            )
        else:
            busy = self._phase in {"loading", "starting", "stopping"}
            colour = palette.error if self._phase == "failed" else palette.warning if busy else palette.dim
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QtGui.QPen(QtGui.QColor(colour), 2.0, Qt.PenStyle.DotLine if busy else Qt.PenStyle.SolidLine))
            painter.drawEllipse(disc)


class Transport(QtWidgets.QFrame):
    """Input, start and stop, state, time, recogniser."""

    start_asked = QtCore.Signal()
    stop_asked = QtCore.Signal()
    refresh_asked = QtCore.Signal()
    theme_asked = QtCore.Signal()
    record_asked = QtCore.Signal()
    settings_asked = QtCore.Signal()
    presentation_asked = QtCore.Signal()
    input_chosen = QtCore.Signal(object)
    """The user chose this :class:`~realtime_ser.gui.controller.InputChoice`."""
    sessions_asked = QtCore.Signal()
    people_asked = QtCore.Signal(bool)
    """Two people are to be listened to, or one."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setAccessibleName("transport")
        self._choices: list[InputChoice] = []
        self._picked: list[PickedFile] = []
        self._phase: Phase = "loading"
        self._ready = False
        self._recording = False
        self._chosen = -1
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(8)

        self._light = _Light()
        self._state = make_label("", "state")
        self._state.setFixedWidth(74)
        self._clock = make_label("0:00", "clock")
        self._clock.setFont(numeric_font(20))
        self._clock.setMinimumWidth(64)
        self._clock.setAccessibleName("time heard")
        self._button = QtWidgets.QPushButton("Start")
        self._button.setObjectName("primary")
        self._button.setMinimumWidth(92)
        self._button.clicked.connect(self._press)
        self._input = ElidedBox()
        self._input.setAccessibleName("input")
        self._input.setToolTip("What to listen to (Ctrl+I); Ctrl+O opens a recording")
        self._input.setMinimumWidth(140)
        self._input.setMaximumWidth(460)
        self._input.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._input.activated.connect(self._choose)
        self._refresh = QtWidgets.QToolButton()
        self._refresh.setText("⟳")
        self._refresh.setToolTip("Look for microphones again (F5)")
        self._refresh.setAccessibleName("look for microphones again")
        self._refresh.clicked.connect(self.refresh_asked)
        self._two = QtWidgets.QToolButton()
        self._two.setText("2 people")
        self._two.setCheckable(True)
        self._two.setToolTip("Two people: each on a channel of the input, or with a microphone of their own (Ctrl+P)")
        self._two.setAccessibleName("two people")
        self._two.toggled.connect(self.people_asked)
        self._record = QtWidgets.QPushButton("● Record…")
        self._record.setToolTip("Record a session: scores, markers and, with consent, words and sound (Ctrl+R)")
        self._record.setAccessibleName("record a session")
        self._record.clicked.connect(self.record_asked)
        self._sessions = QtWidgets.QPushButton("Sessions…")
        self._sessions.setToolTip("What was recorded: replay, export, delete (F4)")
        self._sessions.setAccessibleName("recorded sessions")
        self._sessions.clicked.connect(self.sessions_asked)
        self._words = ElidedLabel("dim")
        self._words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._theme = QtWidgets.QToolButton()
        self._theme.setText("◐")
        self._theme.setToolTip("Dark or light (Ctrl+T)")
        self._theme.setAccessibleName("dark or light")
        self._theme.clicked.connect(self.theme_asked)
        self._settings = QtWidgets.QToolButton()
        self._settings.setText("⚙")
        self._settings.setToolTip("Settings (Ctrl+,)")
        self._settings.setAccessibleName("settings")
        self._settings.clicked.connect(self.settings_asked)
        self._present = QtWidgets.QToolButton()
        self._present.setText("▣")
        self._present.setToolTip("Presentation: the whole screen for an audience (F11; Esc leaves)")
        self._present.setAccessibleName("presentation")
        self._present.clicked.connect(self.presentation_asked)
        for widget, stretch in (
            (self._light, 0),
            (self._state, 0),
            (self._clock, 0),
            (self._input, 3),
            (self._refresh, 0),
            (self._two, 0),
            (self._button, 0),
            (self._record, 0),
            (self._sessions, 0),
            (self._words, 4),
            (self._present, 0),
            (self._theme, 0),
            (self._settings, 0),
        ):
            layout.addWidget(widget, stretch)
        self.show_inputs(())
        self.show_state("loading", live=False, ready=False)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Leave out who writes the words where the input's name needs the room: it stands above the utterances, too."""
        super().resizeEvent(event)
        self._words.setVisible(self.width() >= _ROOMY)

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._light.apply_look(look)

    @property
    def two_people(self) -> bool:
        """Whether two are to be listened to."""
        return self._two.isChecked()

    def ask_two_people(self, wanted: bool) -> None:
        """Choose two people, or one; nothing changes while somebody is listened to."""
        if self._two.isEnabled():
            self._two.setChecked(wanted)

    @property
    def state(self) -> str:
        """Where the engine stands, in a word."""
        return self._state.text()

    @property
    def choice(self) -> InputChoice | None:
        """The input chosen, if it can be started."""
        chosen = self._input.currentData()
        return self._choices[chosen] if isinstance(chosen, int) and self._choices[chosen].usable else None

    def show_inputs(self, choices: Sequence[InputChoice]) -> None:
        """Fill the chooser; what was chosen stays chosen where it is still there."""
        before = self._input.currentData()
        kept = (self._choices[before].kind, self._choices[before].id) if isinstance(before, int) else None
        known = {(choice.kind, choice.id) for choice in choices}
        self._picked = [picked for picked in self._picked if (picked.kind, picked.id) not in known]
        self._choices = [*choices, *self._picked]
        model = QtGui.QStandardItemModel(self._input)
        for kind, title in _GROUPS:
            group = [(index, choice) for index, choice in enumerate(self._choices) if choice.kind == kind]
            if group or kind == "microphone":
                self._add_item(model, title, enabled=False, bold=True)
            if kind == "microphone" and not group:
                self._add_item(model, "none found", enabled=False)
            for index, choice in group:
                text = choice.title if choice.usable else f"{choice.title} – {choice.problem}"
                self._add_item(model, text, index, choice.usable, tip=choice.detail or choice.problem)
        self._add_item(model, OPEN_A_FILE, enabled=True)
        self._input.setModel(model)
        self._select(kept)

    def _add_item(
        self,
        model: QtGui.QStandardItemModel,
        text: str,
        index: int | None = None,
        enabled: bool = True,
        bold: bool = False,
        tip: str = "",
    ) -> None:
        item = QtGui.QStandardItem(text)
        item.setEnabled(enabled)
        item.setToolTip(tip)
        if index is not None:
            item.setData(index, Qt.ItemDataRole.UserRole)
        if bold:
            font = item.font()
            font.setBold(True)
            item.setFont(font)
        model.appendRow(item)

    def _select(self, wanted: tuple[str, str] | None) -> None:
        """Select `wanted` (kind and id), else the first usable input, else the group title that says there is none."""
        fallback = 0
        for row in range(self._input.count()):
            index = self._input.itemData(row)
            if not isinstance(index, int):
                continue
            choice = self._choices[index]
            if wanted == (choice.kind, choice.id):
                fallback = row
                break
            if fallback == 0 and choice.usable:
                fallback = row
        if fallback == 0 and not self._choices:
            fallback = 1
        self._input.setCurrentIndex(fallback)
        self._chosen = fallback
        self._update_controls()

    def select(self, kind: InputKind, wanted: str = "") -> bool:
        """Choose an input by its kind and its id or a part of its title; False where there is none such that can be used."""
        usable = [choice for choice in self._choices if choice.kind == kind and choice.usable]
        exact = [choice for choice in usable if choice.id == wanted]
        alike = [choice for choice in usable if wanted.casefold() in choice.title.casefold()]
        found = next(iter(exact + alike), None)
        if found is not None:
            self._select((found.kind, found.id))
        return found is not None

    def add_file(self, path: Path) -> None:
        """Add a recording of the user's own to the chooser and choose it."""
        picked = PickedFile(str(path), path.name, str(path.parent))
        self._picked = [other for other in self._picked if other.id != picked.id] + [picked]
        self.show_inputs([choice for choice in self._choices if not isinstance(choice, PickedFile)])
        self._select((picked.kind, picked.id))

    def open_file(self) -> None:
        """Let the user pick a recording."""
        path, _ = QtWidgets.QFileDialog.getOpenFileName(
            self, "Open a recording", "", "Recordings (*.wav *.flac *.ogg *.mp3 *.aiff *.aif *.opus);;All files (*)"
        )
        if path:
            self.add_file(Path(path))

    def open_chooser(self) -> None:
        """Put the focus on the chooser and open it."""
        if self._input.isEnabled():
            self._input.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self._input.showPopup()

    def _choose(self, row: int) -> None:
        if self._input.itemText(row) == OPEN_A_FILE:
            self._input.setCurrentIndex(self._chosen)
            self.open_file()
        else:
            self._chosen = row
            if self.choice is not None:
                self.input_chosen.emit(self.choice)
        self._update_controls()

    def show_state(self, phase: Phase, live: bool, ready: bool, recording: bool = False) -> None:
        """Show where the engine stands; `ready` is whether it could be started at all."""
        self._phase, self._ready, self._recording = phase, ready, recording
        words: dict[Phase, str] = {
            "loading": "LOADING",
            "stopped": "STOPPED",
            "starting": "STARTING",
            "running": "LIVE" if live else "PLAYING",
            "stopping": "STOPPING",
            "finished": "FINISHED",
            "failed": "FAILED",
        }
        set_text(self._state, words[phase])
        self._light.show_phase(phase, live)
        self._light.setAccessibleName("microphone open" if phase == "running" and live else "microphone closed")
        self._update_controls()

    def _update_controls(self) -> None:
        running = self._phase in {"starting", "running"}
        busy = self._phase in {"loading", "stopping"}
        set_text(self._button, "Stop" if running else "Start")
        self._button.setEnabled(not busy and (running or (self._ready and self.choice is not None)))
        self._button.setToolTip(
            ("Stop listening and recording (Space)" if self._recording else "Stop listening (Space)")
            if running
            else "Start listening (Space)"
        )
        if self._button.property("running") != ("true" if running else "false"):
            self._button.setProperty("running", "true" if running else "false")
            self._button.style().unpolish(self._button)
            self._button.style().polish(self._button)
        self._record.setEnabled(self._ready and not busy and not self._recording and self.choice is not None)
        idle = not running and not busy
        self._input.setEnabled(idle or (self._phase == "loading" and bool(self._choices)))
        self._refresh.setEnabled(idle)
        self._two.setEnabled(idle or self._phase == "loading")

    def show_text(self, time: str, words: str) -> None:
        """Show the time heard and who writes the words."""
        set_text(self._clock, time)
        self._words.show_text(words)

    def toggle(self) -> None:
        """Start or stop, whichever the button offers."""
        if self._button.isEnabled():
            self._press()

    def _press(self) -> None:
        if self._phase in {"starting", "running"}:
            self.stop_asked.emit()
        else:
            self.start_asked.emit()
