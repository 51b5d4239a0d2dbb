"""Long work that somebody waits for: a bar, the time that is left, and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from realtime_ser.gui.panels.panel import ElidedLabel, FittedDialog, make_label, set_text
from realtime_ser.gui.qt import QtWidgets
from realtime_ser.gui.worker import Failure, Worker

__all__ = ["JobBar", "JobDialog", "Report", "time_left"]

Result = TypeVar("Result")

Report: TypeAlias = Callable[[float, str], None]
"""Told the share that is done, in [0, 1], and what is being done; raises where the work was cancelled."""

_STEPS = 1_000
_SETTLED = 2.0
"""Seconds before a guess of the time left is worth anything."""


class _CancelledError(Exception):
    """Somebody pressed Cancel."""


class JobBar(QtWidgets.QWidget):
    """Shown while it works. Whoever owns it calls :meth:`follow` from a timer, and :meth:`close_job` at the end."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._worker = Worker()
        self._stop = threading.Event()
        self._begun = 0.0
        # NB: replaced as a whole by the working thread, read by the window's.
        self._progress = (0.0, "")
        self._bar = QtWidgets.QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setAccessibleName(name)
        self._said = ElidedLabel("dim")
        self._cancel = QtWidgets.QPushButton("Cancel")
        self._cancel.setToolTip("Stop; nothing is left of it")
        self._cancel.clicked.connect(self.cancel)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._said)
        self.setVisible(False)

    @property
    def busy(self) -> bool:
        """Whether something is being done, or its result not yet handed over."""
        return self._worker.busy

    @property
    def text(self) -> str:
        """What is said about the progress."""
        return self._said.text()

    def run(
        self,
        work: Callable[[Report], Result],
        done: Callable[[Result], None],
        failed: Callable[[Failure], None],
        cancelled: Callable[[], None],
    ) -> None:
        """Do `work` on a thread; one of the others is called when :meth:`follow` finds it ended."""
        self._stop.clear()
        self._progress = (0.0, "beginning")
        self._begun = time.monotonic()
        self._cancel.setEnabled(True)
        self.setVisible(True)

        def report(share: float, what: str) -> None:
            # NB: the working thread.
            self._progress = (share, what)
            if self._stop.is_set():
                raise _CancelledError

        def guarded() -> tuple[bool, Result | None]:
            try:
                return True, work(report)
            except _CancelledError:
                return False, None

        def take(ended: tuple[bool, Result | None]) -> None:
            self.setVisible(False)
            if ended[0]:
                done(ended[1])  # type: ignore[arg-type]  # a result, since it was not cancelled
            else:
                cancelled()

        def miss(failure: Failure) -> None:
            self.setVisible(False)
            failed(failure)

        self._worker.ask(guarded, take, miss)
        self.follow()

    def cancel(self) -> None:
        """Ask for an end; it comes at the next step."""
        if self.busy:
            self._stop.set()
            self._cancel.setEnabled(False)
            self._said.show_text("Stopping …")

    def follow(self) -> None:
        """Show how far it is, and hand over what has ended."""
        self._worker.deliver()
        if not self.busy or self._stop.is_set():
            return
        share, what = self._progress
        self._bar.setValue(round(_STEPS * share))
        left = time_left(share, time.monotonic() - self._begun)
        self._said.show_text(f"{what} · {left}" if left else what)

    def close_job(self) -> None:
        """Cancel, and wait until it has stopped."""
        self._stop.set()
        self._worker.close()


class JobDialog(FittedDialog):
    """Asks what is wanted, and works; who opened it goes on meanwhile and calls :meth:`follow` from its timer.

    A subclass adds what it asks for to :attr:`rows`, names that in :attr:`fields`, and calls :meth:`work`.

    Parameters
    ----------
    title, verb
        Of the dialog and of the button that begins.
    progress
        Screen readers' name of the bar.
    cancelled
        What is said when somebody has stopped it.
    """

    def __init__(self, parent: QtWidgets.QWidget, title: str, verb: str, progress: str, cancelled: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.fields: tuple[QtWidgets.QWidget, ...] = ()
        self.job = JobBar(progress)
        self._cancelled = cancelled
        self._told = make_label()
        self._told.setWordWrap(True)
        self.buttons = QtWidgets.QDialogButtonBox(QtWidgets.QDialogButtonBox.StandardButton.Close)
        self.begin = self.buttons.addButton(verb, QtWidgets.QDialogButtonBox.ButtonRole.ActionRole)
        self.begin.setObjectName("primary")
        self.begin.setProperty("running", "false")
        self.buttons.rejected.connect(self.reject)
        self.rows = QtWidgets.QVBoxLayout()
        self.rows.setSpacing(10)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addLayout(self.rows)
        layout.addWidget(self.job)
        layout.addWidget(self._told)
        layout.addWidget(self.buttons)
        # NB: only now that it belongs to the dialog; before, another button would be pressed by Enter.
        self.begin.setDefault(True)

    @property
    def told(self) -> str:
        """What was said last."""
        return self._told.text()

    def tell(self, text: str) -> None:
        """Say what came of it."""
        set_text(self._told, text)

    def work(self, work: Callable[[Report], Result], done: Callable[[Result], None]) -> None:
        """Do `work` on a thread, with the fields locked, and hand its result to `done`."""

        def took(result: Result) -> None:
            self.lock(False)
            done(result)

        self.lock(True)
        self.tell("")
        self.job.run(work, took, self._miss, self._stopped)

    def lock(self, working: bool) -> None:
        """Let nothing be changed while it works."""
        for widget in (*self.fields, self.begin):
            widget.setEnabled(not working)

    def _miss(self, failure: Failure) -> None:
        self.lock(False)
        self.tell(f"{failure.problem} {failure.remedy}".strip())

    def _stopped(self) -> None:
        self.lock(False)
        self.tell(self._cancelled)

    def follow(self) -> None:
        """Show how far it is."""
        self.job.follow()

    def end(self) -> None:
        """Cancel and wait: who opened it closes."""
        self.job.close_job()
        self.close()

    def reject(self) -> None:
        """Close; while it works, that is only to get it out of the way once it has been cancelled."""
        if self.job.busy:
            self.job.cancel()
            return
        super().reject()


def time_left(share: float, elapsed: float) -> str:
    """In words, from the share that is done and the seconds that it took; empty while nobody can tell."""
    if not 0.0 < share < 1.0 or elapsed < _SETTLED:
        return ""
    seconds = round(elapsed * (1.0 - share) / share)
    minutes = -(-seconds // 60)
    if minutes > 90:
        return f"about {seconds / 3600:.1f} h left"
    return f"about {minutes} min left" if seconds > 90 else f"about {seconds} s left"
