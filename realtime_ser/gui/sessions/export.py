"""The dialog that writes sessions in the formats of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.gui.job import JobDialog, Report
from realtime_ser.gui.panels.panel import Form, make_label
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.session.export.files import FORMATS, export_files
from realtime_ser.session.format import AUDIO_NAME

__all__ = ["ExportDialog", "exports_folder"]

_AS_RECORDED = "as recorded"
_KEY = "exports"
"""Of the settings: where was exported to the last time."""

_MEANINGS = {
    "csv": "CSV: a table per stream",
    "parquet": "Parquet: the same, small and typed",
    "jsonl": "JSON Lines: the same, a record a line",
    "elan": "ELAN: tiers (.eaf)",
    "praat": "Praat: tiers (.TextGrid)",
    "srt": "SubRip: subtitles with emotion",
    "vtt": "WebVTT: the same for browsers",
    "xdf": "XDF: streams on LSL's clock",
    "flac": "FLAC: the sound, where it was kept",
}


class ExportDialog(JobDialog):
    """Asks for formats and a folder, and writes.

    Parameters
    ----------
    folders
        Of the sessions; each is written into a folder of its own name.
    scorings
        Later scorings that may be written in place of the recorded scores.
    audio
        Whether any of them has sound.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget,
        settings: QtCore.QSettings,
        folders: Sequence[Path],
        scorings: Sequence[str] = (),
        scores: str | None = None,
        audio: bool = True,
    ) -> None:
        stopped = "Cancelled. Of the session at hand nothing was written."
        super().__init__(parent, "Export", "Export", "how much is written", stopped)
        self._settings = settings
        self._folders = tuple(folders)
        self._written = Path()
        many = f"{len(folders)} sessions" if len(folders) > 1 else folders[0].name
        said = make_label(f"{many}: each session gets a folder of its own name.", "dim")
        said.setWordWrap(True)
        self.formats = {name: QtWidgets.QCheckBox(_MEANINGS.get(name, name)) for name in FORMATS}
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(18)
        half = -(-len(self.formats) // 2)
        for index, (name, box) in enumerate(self.formats.items()):
            box.setAccessibleName(f"export as {name}")
            box.setChecked(name != "flac" or audio)
            box.setEnabled(name != "flac" or audio)
            box.toggled.connect(self._update)
            grid.addWidget(box, index % half, index // half)
        self.place = QtWidgets.QLineEdit(shown_path(str(exports_folder(settings))))
        self.place.setAccessibleName("folder to export to")
        self.place.setToolTip("Where to write; made if it is not there")
        self.place.textChanged.connect(self._update)
        browse = QtWidgets.QPushButton("Choose…")
        browse.setAccessibleName("choose the folder to export to")
        browse.clicked.connect(self._browse)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.place, 1)
        row.addWidget(browse)
        self.scores = QtWidgets.QComboBox()
        self.scores.setAccessibleName("scores to export")
        self.scores.setToolTip("Those that were recorded, or those of a later scoring")
        self.scores.addItems([_AS_RECORDED, *scorings])
        self.scores.setCurrentText(scores or _AS_RECORDED)
        self.scores.setEnabled(bool(scorings))
        form = Form()
        form.add("&Folder", row, self.place)
        form.add("&Scores", self.scores)
        self.begin.clicked.connect(self.start)
        self.show_folder = self.buttons.addButton("Show folder", QtWidgets.QDialogButtonBox.ButtonRole.ActionRole)
        self.show_folder.setToolTip("Open the folder that was written into")
        self.show_folder.setVisible(False)
        self.show_folder.clicked.connect(lambda: QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(self._written))))
        self.rows.addWidget(said)
        self.rows.addLayout(grid)
        self.rows.addLayout(form)
        self.fields = (*self.formats.values(), self.place, browse, self.scores)
        self._audio, self._has_scorings = audio, bool(scorings)
        self._update()

    def _browse(self) -> None:
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, "Where to export to", self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _update(self) -> None:
        self.begin.setEnabled(bool(self._chosen()) and bool(self.place.text().strip()))
        self.begin.setToolTip("" if self.begin.isEnabled() else "Choose a format and a folder.")

    def _chosen(self) -> list[str]:
        return [name for name, box in self.formats.items() if box.isChecked()]

    def start(self) -> None:
        """Begin to write."""
        target, formats, folders = Path(self.place.text().strip()).expanduser(), self._chosen(), self._folders
        scores = None if self.scores.currentText() == _AS_RECORDED else self.scores.currentText()
        self._settings.setValue(_KEY, str(target))

        def work(report: Report) -> int:
            written = 0
            for index, folder in enumerate(folders):

                def told(name: str, share: float, index: int = index, folder: Path = folder) -> None:
                    which = f"{folder.name}: {name}" if len(folders) > 1 else name
                    report((index + share) / len(folders), f"writing {which}")

                # One without sound among others has nothing for FLAC.
                wanted = [name for name in formats if name != "flac" or len(folders) == 1 or _has_sound(folder)]
                written += len(export_files(folder, target / folder.name, wanted, scores, told)) if wanted else 0
            return written

        self._written = target / folders[0].name if len(folders) == 1 else target
        self.show_folder.setVisible(False)
        self.work(work, self._take)

    def lock(self, working: bool) -> None:
        """Let nothing be changed while it works, and only what there is afterwards."""
        super().lock(working)
        if not working:
            self.formats["flac"].setEnabled(self._audio)
            self.scores.setEnabled(self._has_scorings)
            self._update()

    def _take(self, written: int) -> None:
        self.tell(f"Wrote {written} files into {shown_path(self._written)}")
        self.show_folder.setVisible(True)


def exports_folder(settings: QtCore.QSettings) -> Path:
    """Where was exported to the last time, or a folder among the user's documents."""
    kept = str(settings.value(_KEY, ""))
    documents = QtCore.QStandardPaths.writableLocation(QtCore.QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(kept) if kept else Path(documents) / "realtime-ser exports"


def _has_sound(folder: Path) -> bool:
    return (folder / AUDIO_NAME).is_file()
