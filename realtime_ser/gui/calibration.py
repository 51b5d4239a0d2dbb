"""A minute of neutral speech, guided: what the voice of the one who speaks is like when nothing moves them."""

from __future__ import annotations

from collections.abc import Sequence

from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.gui.controller import DashboardController
from realtime_ser.gui.panels.panel import FittedDialog, Form, make_label, set_text
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.profiles import (
    BASELINE_SECONDS,
    READING,
    SPEAKING,
    Baseline,
    checked_name,
    list_profiles,
    write_profile,
)
from realtime_ser.types import Output, WindowScores

__all__ = ["CalibrationDialog"]


class CalibrationDialog(FittedDialog):
    """Stays open beside the window, which hands over what the engine puts out.

    Parameters
    ----------
    controller
        Of the window; asked whether there is something to listen to.
    """

    made = QtCore.Signal(str)
    """A profile of this name was kept, and is to be used from now on."""

    def __init__(self, parent: QtWidgets.QWidget, controller: DashboardController) -> None:
        super().__init__(parent)
        self.setWindowTitle("A speaker's neutral voice")
        self.setMinimumWidth(520)
        self.least_height = 420
        self._controller = controller
        self._baseline: Baseline | None = None
        self._began: int | None = None
        self._heard = 0.0
        self.name = QtWidgets.QLineEdit()
        self.name.setPlaceholderText("a code rather than a name, such as P07")
        self.name.setAccessibleName("name of the profile")
        self.name.setMaxLength(40)
        self.name.textChanged.connect(self.follow)
        self.said = make_label("")
        self.said.setWordWrap(True)
        self.said.setAccessibleName("what to do")
        reading = make_label(READING)
        reading.setWordWrap(True)
        reading.setStyleSheet("font-size: 16px;")
        reading.setAccessibleName("the text to read")
        speaking = make_label(SPEAKING)
        speaking.setWordWrap(True)
        self.progress = QtWidgets.QProgressBar()
        self.progress.setRange(0, round(BASELINE_SECONDS))
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("seconds of the minute")
        self.begin = QtWidgets.QPushButton("Begin")
        self.begin.setObjectName("primary")
        self.begin.setProperty("running", "false")
        self.begin.setDefault(True)
        self.begin.clicked.connect(self._toggle)
        close = QtWidgets.QPushButton("Close")
        close.setAutoDefault(False)
        close.clicked.connect(self.reject)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(close)
        row.addStretch(1)
        row.addWidget(self.begin)
        form = Form()
        form.add("&Profile", self.name)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setSpacing(12)
        layout.addLayout(form)
        layout.addWidget(self.said)
        layout.addWidget(reading)
        layout.addWidget(speaking)
        layout.addStretch(1)
        layout.addWidget(self.progress)
        layout.addLayout(row)
        self.finished.connect(lambda _result: self._forget())
        self.follow()

    @property
    def listening(self) -> bool:
        """Whether the minute is under way."""
        return self._baseline is not None

    def take(self, outputs: Sequence[Output]) -> None:
        """Hear on; called with everything that the window takes from the engine."""
        baseline = self._baseline
        if baseline is None:
            return
        for output in outputs:
            if isinstance(output, WindowScores) and len(output.scores):
                if self._began is None:
                    self._began = output.first_window
                baseline.add(output, ENGINE_RATE)
                self._heard = (output.span.end - self._began) / ENGINE_RATE

    def follow(self) -> None:
        """Show how it stands, and end the minute when it is over; called a few times a second."""
        problem = self._controller.calibration_problem()
        baseline = self._baseline
        if baseline is not None:
            if problem:
                self._forget()
                self._say(f"It ended too early: {problem}")
            elif self._heard >= BASELINE_SECONDS:
                self._keep(baseline)
            else:
                self.progress.setValue(round(self._heard))
                rest = BASELINE_SECONDS - self._heard
                set_text(self.said, f"{baseline.voiced_seconds:.0f} s of voice heard; {rest:.0f} s to go. Read on, calmly.")
        elif self.said.property("outcome"):
            pass  # what came of it stays until the next attempt
        elif problem:
            set_text(self.said, problem)
        else:
            text = (
                f"For {BASELINE_SECONDS:.0f} s, speak as you speak when nothing moves you, at the distance that you will have "
                "later. No sound is kept. A profile describes a voice: delete it when it is no longer needed "
                "(realtime-ser profiles delete)."
            )
            set_text(self.said, f"{text}\n{self._controller.profile_worth()}".strip())
        self.begin.setText("Cancel" if self.listening else "Begin")
        self.begin.setEnabled(self.listening or (not problem and bool(self.name.text().strip())))
        self.name.setEnabled(not self.listening)

    def _toggle(self) -> None:
        self.said.setProperty("outcome", None)
        if self.listening:
            self._forget()
            self.follow()
            return
        try:
            name = checked_name(self.name.text())
        except RealtimeSerError as error:
            self._say(f"{error.problem} {error.remedy}")
            return
        if any(profile.name == name for profile in list_profiles()):
            question = f"There is a profile of {name}. Make it anew?"
            answer = QtWidgets.QMessageBox.question(self, "A speaker's neutral voice", question)
            if answer != QtWidgets.QMessageBox.StandardButton.Yes:
                return
        self._baseline, self._began, self._heard = self._controller.new_baseline(), None, 0.0
        self.follow()

    def _keep(self, baseline: Baseline) -> None:
        seconds = baseline.voiced_seconds
        name = checked_name(self.name.text())
        self._forget()
        try:
            write_profile(self._controller.profile_of(name, baseline))
        except RealtimeSerError as error:
            self._say(f"{error.problem} {error.remedy}")
        except OSError as error:
            self._say(f"The profile cannot be kept: {error.strerror or error}. Make room, and begin again.")
        else:
            self._say(f"The profile of {name} is kept, from {seconds:.0f} s of voice, and used from the next start on.")
            self.made.emit(name)

    def _say(self, text: str) -> None:
        """Show what came of it, until the next attempt."""
        self.said.setProperty("outcome", True)
        set_text(self.said, text)

    def _forget(self) -> None:
        self._baseline, self._began, self._heard = None, None, 0.0
        self.progress.setValue(0)
