"""The strip that says that a session is being recorded, what is kept of it, and takes markers and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime_ser.gui.panels.panel import ElidedLabel, Look, make_label, numeric_font, set_style, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.theme import ink_on
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.session.request import what_is_kept

__all__ = ["MARKER_COLOURS", "MarkerKey", "RecordingBar", "marker_keys"]

MARKER_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999", "#a0522d")
"""By key. The first seven are the colours that Okabe and Ito (2008) chose so that colour-blind people tell them apart; a marker
has its name beside its colour anyway."""

MOST_MARKERS = len(MARKER_COLOURS)


@dataclass(frozen=True, slots=True)
class MarkerKey:
    """What a key (a digit) marks."""

    key: str
    name: str
    colour: str


def marker_keys(names: str) -> tuple[MarkerKey, ...]:
    """The markers of the keys 1 to 9 from their names, separated by commas; without any, one that is called "marker"."""
    given = [name.strip() for name in names.split(",") if name.strip()] or ["marker"]
    return tuple(
        MarkerKey(str(number), name, colour)
        for number, (name, colour) in enumerate(zip(given[:MOST_MARKERS], MARKER_COLOURS, strict=False), 1)
    )


class RecordingBar(QtWidgets.QFrame):
    """One line across the window while a session is recorded; hidden otherwise."""

    marked = QtCore.Signal(str)
    """A marker's button was pressed: its key."""
    note_written = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("recording")
        self._look: Look | None = None
        self._markers: tuple[MarkerKey, ...] = ()
        self._buttons: list[QtWidgets.QToolButton] = []
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(12, 5, 12, 5)
        layout.setSpacing(8)
        self._sign = make_label("● REC", "state")
        self._time = make_label("0:00")
        self._time.setFont(numeric_font(13, bold=True))
        self._kept = make_label("", "state")
        self._who = ElidedLabel("dim")
        self._place = QtWidgets.QHBoxLayout()
        self._place.setSpacing(4)
        self._note = QtWidgets.QLineEdit()
        self._note.setPlaceholderText("Note about this moment, Enter keeps it")
        self._note.setAccessibleName("note about this moment")
        self._note.setMinimumWidth(120)
        self._note.returnPressed.connect(self._write_note)
        layout.addWidget(self._sign)
        layout.addWidget(self._time)
        layout.addWidget(self._kept)
        layout.addWidget(self._who, 1)
        layout.addLayout(self._place)
        layout.addWidget(self._note, 1)
        self.setVisible(False)

    @property
    def markers(self) -> tuple[MarkerKey, ...]:
        """What can be marked."""
        return self._markers

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        self._sign.setStyleSheet(f"color: {look.palette.record};")

    def show_markers(self, markers: Sequence[MarkerKey]) -> None:
        """Offer these markers, a button each."""
        self._markers = tuple(markers)
        for button in self._buttons:
            self._place.removeWidget(button)
            button.hide()  # now, not when it is deleted
            button.deleteLater()
        self._buttons = []
        for marker in self._markers:
            button = QtWidgets.QToolButton()
            button.setText(f"{marker.key} {marker.name}")
            button.setToolTip(f"Mark this moment as “{marker.name}” (key {marker.key})")
            button.setAccessibleName(f"mark {marker.name}, key {marker.key}")
            button.setStyleSheet(f"QToolButton {{ background: {marker.colour}; color: {ink_on(marker.colour)}; }}")
            # Otherwise the next press of Space would mark again in place of stopping.
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _checked=False, key=marker.key: self.marked.emit(key))
            self._place.addWidget(button)
            self._buttons.append(button)

    def show_status(self, status: RecordingStatus | None, who: str) -> None:
        """Show how the recording is doing; hidden unless it is under way."""
        recording = status is not None and status.phase == "recording"
        self.setVisible(recording)
        if status is None or not recording or self._look is None:
            return
        seconds = int(status.seconds)
        set_text(self._time, f"{seconds // 60}:{seconds % 60:02d}")
        kept = what_is_kept(status) + (" kept" if status.words or status.audio else "")
        set_text(self._kept, kept)
        palette = self._look.palette
        # Kept sound is the one thing that nobody in the room may overlook.
        style = f"background: {palette.record}; color: {ink_on(palette.record)}; padding: 1px 6px; border-radius: 3px;"
        set_style(self._kept, style if status.audio else "")
        markers = f"{status.markers} marker{'' if status.markers == 1 else 's'}" if status.markers else ""
        behind = f"the disk is {status.behind:.0f} s behind" if status.behind else ""
        self._who.show_text(" · ".join(filter(None, (behind, who, markers))))
        self.setAccessibleName(f"recording, {kept}")

    def begin_note(self) -> None:
        """Put the focus on the note, while there is one to write."""
        if self.isVisible():
            self._note.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _write_note(self) -> None:
        text = self._note.text().strip()
        if text:
            self._note.clear()
            self.note_written.emit(text)
        window = self.window()
        # Back to where digits mark and Space stops.
        window.setFocus()
