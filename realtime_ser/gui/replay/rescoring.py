"""The dialog that has a session scored again by another bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.assembly import load_models
from realtime_ser.bundle.loader import DEFAULT_BUNDLE, find_bundles
from realtime_ser.gui.job import JobDialog, Report
from realtime_ser.gui.panels.panel import Form, make_label
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.replay.document import clock_text
from realtime_ser.session.rescore import check_rescorable, check_scoring_name, rescore, scoring_name

__all__ = ["RescoreDialog"]

_AS_KEPT = "as they were kept, if they were"
_ANEW = "recognised anew, without keeping them"


class RescoreDialog(JobDialog):
    """Asks for a bundle, and works; the session's window goes on meanwhile.

    Parameters
    ----------
    folders
        Of the session, or of the streams of all of its people.
    recorded
        Name and version of the bundle that scored it first.
    """

    scored = QtCore.Signal(str)
    """There is a new scoring of this name."""

    def __init__(self, parent: QtWidgets.QWidget, folders: Sequence[Path], recorded: str) -> None:
        super().__init__(parent, "Score again", "Score", "how much is scored", "Cancelled. The session is as it was.")
        self._folders = tuple(folders)
        said = make_label(
            f"Another bundle scores the utterances of this session once more, from the sound that was kept. What was recorded "
            f"(by {recorded}) stays as it is; the result lies beside it, and is compared with it.",
            "dim",
        )
        said.setWordWrap(True)
        self.bundle = QtWidgets.QComboBox()
        self.bundle.setEditable(True)
        self.bundle.setAccessibleName("bundle")
        self.bundle.setToolTip("A bundle that comes with the program, or the folder of another one")
        self.bundle.addItems(list(find_bundles()))
        self.bundle.setCurrentText(DEFAULT_BUNDLE)
        browse = QtWidgets.QPushButton("Choose…")
        browse.setAccessibleName("choose the folder of a bundle")
        browse.setToolTip("The folder of a bundle on this computer")
        browse.clicked.connect(self._browse)
        place = QtWidgets.QHBoxLayout()
        place.addWidget(self.bundle, 1)
        place.addWidget(browse)
        self.name = QtWidgets.QLineEdit()
        self.name.setAccessibleName("name of the scoring")
        self.name.setToolTip("Under which the scores are kept")
        self.words = QtWidgets.QComboBox()
        self.words.setAccessibleName("words")
        self.words.setToolTip("Which words count in the scores")
        self.words.addItems([_AS_KEPT, _ANEW])
        self.replace = QtWidgets.QCheckBox("&Replace earlier scores of that name")
        form = Form()
        form.add("&Bundle", place, self.bundle)
        form.add("&Name", self.name)
        form.add("&Words", self.words)
        form.addRow("", self.replace)
        self.begin.setToolTip("Begin")
        self.begin.clicked.connect(self.start)
        self.rows.addWidget(said)
        self.rows.addLayout(form)
        self.fields = (self.bundle, browse, self.name, self.words, self.replace)
        self.bundle.currentTextChanged.connect(self._propose)
        self._propose()

    def _browse(self) -> None:
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, "The folder of a bundle", self.bundle.currentText())
        if chosen:
            self.bundle.setCurrentText(chosen)

    def _propose(self) -> None:
        self.name.setPlaceholderText("the bundle's name and version")
        self.begin.setEnabled(bool(self.bundle.currentText().strip()))

    def start(self) -> None:
        """Begin to score."""
        bundle, name = self.bundle.currentText().strip(), self.name.text().strip()
        anew, replace, folders = self.words.currentText() == _ANEW, self.replace.isChecked(), self._folders

        def work(report: Report) -> str:
            for folder in folders:
                check_rescorable(folder)
            report(0.0, "reading the bundle")
            models = load_models(bundle, "auto" if anew else "none")
            wanted = name or scoring_name(models)
            for folder in folders:
                check_scoring_name(folder, wanted, replace=replace)
            for number, folder in enumerate(folders):

                def told(seconds: float, of: float, number: int = number) -> None:
                    done = seconds / of if of else 1.0
                    whose = f", person {number + 1}" if len(folders) > 1 else ""
                    report((number + done) / len(folders), f"{clock_text(seconds)} of {clock_text(of)} scored{whose}")

                rescore(folder, models, name=wanted, replace=replace, recognise=anew, reason="replay window", on_progress=told)
            return wanted

        self.work(work, self._take)

    def _take(self, name: str) -> None:
        self.scored.emit(name)
        self.accept()
