"""The dialog before a recording: who, under which condition, what is kept, and the consent to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from realtime_ser.gui.panels.panel import FittedDialog, Form, make_label
from realtime_ser.gui.panels.recording import MOST_MARKERS, MarkerKey, marker_keys
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import Qt, QtWidgets
from realtime_ser.gui.settings import Settings
from realtime_ser.session.format import sessions_folder
from realtime_ser.session.header import Kept
from realtime_ser.session.notice import USE_NOTICE, Consent, consent_text
from realtime_ser.session.request import Participant, SessionRequest

__all__ = ["SessionDialog"]


class SessionDialog(FittedDialog):
    """Asks for a session; :meth:`request` and :meth:`markers` say what was chosen once it is accepted.

    Parameters
    ----------
    settings
        Where the folder, the condition and the markers of the last time are remembered. The participant and what is kept are
        not: every session asks for them anew.
    names
        Of two people: each has a code, and has to agree.
    """

    def __init__(self, parent: QtWidgets.QWidget, settings: Settings, names: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self.setWindowTitle("Record a session")
        self.setMinimumWidth(580)
        self._settings = settings
        self._proposed = ""

        notice = make_label(" ".join(USE_NOTICE), "dim")
        notice.setWordWrap(True)
        notice.setAccessibleName("what this cannot tell, and the law")

        self.participant = QtWidgets.QLineEdit()
        self.participant.setPlaceholderText("a code such as P07, not a name")
        self.second_participant = QtWidgets.QLineEdit()
        self.second_participant.setPlaceholderText("a code such as P08, not a name")
        self.condition = QtWidgets.QLineEdit(settings.remembered("condition"))
        self.condition.setPlaceholderText("such as baseline")
        self.note = QtWidgets.QLineEdit()
        self.note.setPlaceholderText("about the whole session")
        self.marker_names = QtWidgets.QLineEdit(settings.remembered("markers"))
        self.marker_names.setPlaceholderText(f"for the keys 1 to {MOST_MARKERS}, such as: stimulus, response, break")
        self.folder = QtWidgets.QLineEdit(settings.stored("sessions"))
        self.folder.setPlaceholderText(shown_path(sessions_folder()))
        browse = QtWidgets.QPushButton("Choose…")
        browse.setAccessibleName("choose the folder")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._choose_folder)
        place = QtWidgets.QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(browse)
        form = Form()
        # "&" would mark a key.
        first, second = (name.replace("&", "&&") for name in names or ("", ""))
        for name, field in (
            (f"&Participant {first}".strip(), self.participant),
            *([(f"Pa&rticipant {second}", self.second_participant)] if names else []),
            ("&Condition", self.condition),
            ("&Note", self.note),
            ("&Markers", self.marker_names),
        ):
            form.add(name, field)
            field.setAccessibleName(name.replace("&", "").lower())
        form.add("&Folder", place, self.folder)
        self.folder.setAccessibleName("folder")

        self.keep_words = QtWidgets.QCheckBox("Keep the recognised &words")
        self.keep_audio = QtWidgets.QCheckBox("Keep the &sound (FLAC)")
        self._scores = make_label(
            "Scores, markers and notes are kept always, words and sound only if you ask for them here.", "dim"
        )
        self._scores.setWordWrap(True)
        self.consent = QtWidgets.QPlainTextEdit()
        self.consent.setAccessibleName("consent text, as the session stores it")
        self.consent.setFixedHeight(86)
        self.consent.setTabChangesFocus(True)
        self.agreed = QtWidgets.QCheckBox(f"{first or 'The participant'} has read this and &agrees")
        self.second_agreed = QtWidgets.QCheckBox(f"{second} has read this and a&grees")
        self._agreeing = (self.agreed, self.second_agreed) if names else (self.agreed,)
        self.second_agreed.setVisible(False)
        for box in (self.keep_words, self.keep_audio, *self._agreeing):
            box.toggled.connect(self._update)
        self.consent.textChanged.connect(self._update)

        self.buttons = QtWidgets.QDialogButtonBox(QtWidgets.QDialogButtonBox.StandardButton.Cancel)
        self.begin = self.buttons.addButton("Start recording", QtWidgets.QDialogButtonBox.ButtonRole.AcceptRole)
        self.begin.setObjectName("primary")
        self.begin.setProperty("running", "false")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

        layout = QtWidgets.QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(notice)
        layout.addLayout(form)
        layout.addWidget(self._scores)
        layout.addWidget(self.keep_words)
        layout.addWidget(self.keep_audio)
        layout.addWidget(self.consent)
        for box in self._agreeing:
            layout.addWidget(box)
        layout.addWidget(self.buttons)
        # NB: only now that it belongs to the dialog; Enter in a field presses it.
        self.begin.setDefault(True)
        self.participant.setFocus(Qt.FocusReason.OtherFocusReason)
        self._update()

    def _choose_folder(self) -> None:
        start = str(sessions_folder(self.folder.text() or None))
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, "Where sessions are kept", start)
        if chosen:
            self.folder.setText(chosen)

    def _update(self) -> None:
        """Show the consent that is needed for what is kept; a text that somebody has written himself stays."""
        needed = consent_text(words=self.keep_words.isChecked(), audio=self.keep_audio.isChecked())
        if needed != self._proposed:
            own = self.consent.toPlainText().strip() not in ("", self._proposed)
            self._proposed = needed
            # Another thing is kept than was agreed to.
            for box in self._agreeing:
                box.setChecked(False)
            if not own or not needed:
                self.consent.setPlainText(needed)
        for widget in (self.consent, *self._agreeing):
            widget.setVisible(bool(needed))
        agreed = all(box.isChecked() for box in self._agreeing) and bool(self.consent.toPlainText().strip())
        self.begin.setEnabled(not needed or agreed)
        whose = "everybody's" if len(self._agreeing) > 1 else "the participant's"
        self.begin.setToolTip("" if self.begin.isEnabled() else f"Words and sound need {whose} consent.")
        self.fit()
        self.resize(self.width(), self.minimumHeight())

    def request(self) -> SessionRequest:
        """What is to be recorded."""
        words, audio = self.keep_words.isChecked(), self.keep_audio.isChecked()
        consent = None
        if words or audio:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            consent = Consent(self.consent.toPlainText().strip(), now, "confirmed in the dashboard")
        note = self.note.text().strip()
        second = len(self._agreeing) > 1
        return SessionRequest(
            folder=self.folder.text().strip(),
            participant=self.participant.text().strip(),
            condition=self.condition.text().strip(),
            kept=Kept(words, audio, consent),
            notes=(note,) if note else (),
            others=(Participant(self.second_participant.text().strip(), Kept(words, audio, consent)),) if second else (),
        )

    def markers(self) -> tuple[MarkerKey, ...]:
        """What the keys mark."""
        return marker_keys(self.marker_names.text())

    def accept(self) -> None:
        """Remember what will be the same next time."""
        self._settings.remember("condition", self.condition.text())
        self._settings.remember("markers", self.marker_names.text())
        self._settings.store("sessions", self.folder.text())
        super().accept()
