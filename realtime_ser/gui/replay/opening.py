"""What is shown while a session is read, which takes seconds for hours of it. GUI thread only."""

from __future__ import annotations

from pathlib import Path

from realtime_ser.gui.panels.panel import make_label, set_text
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.theme import style_sheet
from realtime_ser.gui.worker import Failure, Worker

__all__ = ["OpeningWindow"]

_TICK_MS = 33


class OpeningWindow(QtWidgets.QWidget):
    """Reads a session on a thread, and makes way for the replay window.

    Parameters
    ----------
    folder, scores
        As for :class:`~realtime_ser.gui.replay.document.Document`.
    """

    def __init__(self, folder: Path, scores: str | None, settings: QtCore.QSettings) -> None:
        super().__init__()
        self._settings = settings
        self._worker = Worker()
        self.replay: ReplayWindow | None = None
        """The session's window, once it was read."""
        self.setObjectName("root")
        self.setWindowTitle(f"Replay: {folder.name}")
        self.setStyleSheet(style_sheet(Settings(settings).palette))
        self.setMinimumWidth(460)
        self._said = make_label(f"Opening {folder.name} …")
        self._said.setWordWrap(True)
        self._bar = QtWidgets.QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setAccessibleName("the session is being read")
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.setToolTip("Do not open it")
        self.cancel.clicked.connect(self.close)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self.cancel)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self._said)
        layout.addLayout(row)
        self._ticker = QtCore.QTimer(self)
        self._ticker.setInterval(_TICK_MS)
        self._ticker.timeout.connect(self._worker.deliver)
        self._worker.ask(lambda: Document(folder, scores), self._take, self._miss)
        self._ticker.start()

    @property
    def text(self) -> str:
        """What is said."""
        return self._said.text()

    def _take(self, document: Document) -> None:
        window = self.replay = ReplayWindow(document, self._settings)
        # Building it is one piece of work for the event loop, drawing it another.
        QtCore.QTimer.singleShot(0, window, self._make_way)

    def _make_way(self) -> None:
        if self.replay is not None:
            self.replay.show()
            self.close()

    def _miss(self, failure: Failure) -> None:
        self._bar.hide()
        self.cancel.setText("Close")
        set_text(self._said, f"{failure.problem} {failure.remedy}".strip())

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        self._miss(Failure.of(error))

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """End the thread; what is being read cannot be interrupted, but is soon over."""
        self._ticker.stop()
        self._worker.close()
        super().closeEvent(event)
