"""The first start: what the tool cannot tell, a microphone that hears, and words. Skippable; F3 brings it back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from realtime_ser.asr.fetch import CATALOGUE, MODELS_URL
from realtime_ser.gui.controller import InputChoice, Phase
from realtime_ser.gui.models import DashboardModel
from realtime_ser.gui.panels.panel import FittedDialog, make_label, minus, set_text
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.worker import Failure
from realtime_ser.session.notice import USE_NOTICE

__all__ = ["FetchWords", "FirstStart"]

FetchWords = Callable[[Callable[[str, int, int | None], None]], str]
"""Fetches a model, telling how far it is (phase, bytes, bytes of all), and returns who writes the words from now on."""

_QUIET = -45.0
"""dBFS that a voice near a usable microphone exceeds."""
_FLOOR = -60


class _CancelledError(Exception):
    """Somebody pressed Cancel."""


class _Fetching:
    """One fetch on a thread that nobody waits for: a connection that hangs ends by its time-out, some half a minute later.

    Parameters
    ----------
    fetch
        Called on that thread, once earlier ones have ended: two that write the same file would spoil it.
    """

    _one_at_a_time = threading.Lock()

    def __init__(self, fetch: FetchWords) -> None:
        self._fetch = fetch
        self._cancelled = threading.Event()
        # NB: both are replaced as a whole by the fetching thread and read by the window's.
        self.progress: tuple[str, int, int | None] = ("connecting", 0, None)
        self.outcome: str | Failure | None = None
        """``None`` while it goes on; then who writes the words, nothing where it was cancelled, or what went wrong."""
        self.thread = threading.Thread(target=self._run, name="fetch-words", daemon=True)
        self.thread.start()

    def cancel(self) -> None:
        """Ask for its end, and return at once."""
        self._cancelled.set()

    def _report(self, phase: str, done: int, total: int | None) -> None:
        self.progress = (phase, done, total)
        if self._cancelled.is_set():
            raise _CancelledError

    def _run(self) -> None:
        while not self._one_at_a_time.acquire(timeout=0.2):
            if self._cancelled.is_set():
                self.outcome = ""
                return
        try:
            self._report("connecting", 0, None)
            self.outcome = self._fetch(self._report)
        except _CancelledError:
            self.outcome = ""
        except Exception as error:  # noqa: BLE001 - whatever it is must reach the user, not end a thread unseen
            self.outcome = Failure.of(error)
        finally:
            self._one_at_a_time.release()


class FirstStart(FittedDialog):
    """Three pages. The window drives it: :meth:`follow` with every text update, and the signals back.

    Parameters
    ----------
    fetch
        Called on a thread of its own, which may outlive the dialog.
    """

    listen_asked = QtCore.Signal(object)
    """Listen to this :class:`~realtime_ser.gui.controller.InputChoice`, for the meter."""
    words_changed = QtCore.Signal(str)
    """Who writes the words from now on."""

    def __init__(self, parent: QtWidgets.QWidget, fetch: FetchWords) -> None:
        super().__init__(parent)
        self.setWindowTitle("First steps")
        self.setMinimumWidth(560)
        self.least_height = 330
        self._fetch = fetch
        self._fetching: _Fetching | None = None
        self._choices: list[InputChoice] = []
        self._heard_voice = False
        self._pages = QtWidgets.QStackedWidget()
        for page in (self._notice_page(), self._microphone_page(), self._words_page()):
            self._pages.addWidget(page)
        self.skip = QtWidgets.QPushButton("Skip")
        self.skip.clicked.connect(self.reject)
        self.back = QtWidgets.QPushButton("Back")
        self.back.clicked.connect(lambda: self._turn(-1))
        self.next = QtWidgets.QPushButton("Next")
        self.next.setObjectName("primary")
        self.next.setProperty("running", "false")
        self.next.clicked.connect(lambda: self._turn(1))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.skip)
        row.addStretch(1)
        row.addWidget(self.back)
        row.addWidget(self.next)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self._pages, 1)
        layout.addLayout(row)
        # NB: only now that it belongs to the dialog; before, Enter would press another button.
        self.next.setDefault(True)
        self.finished.connect(self._end)
        self._turn(0)

    # Pages ----------------------------------------------------------------------------------------------------------------

    def _page(self, title: str, text: str) -> tuple[QtWidgets.QWidget, QtWidgets.QVBoxLayout]:
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        layout.setSpacing(10)
        heading = make_label(title)
        heading.setStyleSheet("font-size: 18px; font-weight: 600;")
        said = make_label(text)
        said.setWordWrap(True)
        layout.addWidget(heading)
        layout.addWidget(said)
        return page, layout

    def _notice_page(self) -> QtWidgets.QWidget:
        page, layout = self._page("What this can and cannot tell", "\n\n".join(USE_NOTICE))
        layout.addStretch(1)
        return page

    def _microphone_page(self) -> QtWidgets.QWidget:
        page, layout = self._page(
            "A microphone", "Choose one and say a sentence. Nothing is recorded; the sound is gone once it is scored."
        )
        self.microphones = QtWidgets.QComboBox()
        self.microphones.setAccessibleName("microphone")
        self.microphones.activated.connect(self._listen)
        self.meter = QtWidgets.QProgressBar()
        self.meter.setRange(_FLOOR, 0)
        self.meter.setValue(_FLOOR)  # without a value, it is drawn full
        self.meter.setTextVisible(False)
        self.meter.setAccessibleName("level")
        self._level = make_label("", "dim")
        self.verdict = make_label()
        self.verdict.setWordWrap(True)
        for widget in (self.microphones, self.meter, self._level, self.verdict):
            layout.addWidget(widget)
        layout.addStretch(1)
        return page

    def _words_page(self) -> QtWidgets.QWidget:
        page, layout = self._page(
            "Words", "Words are recognised on this computer. A Vosk model does that better than what comes with the program."
        )
        self._note = make_label("", "dim")
        self._note.setWordWrap(True)
        model, host = CATALOGUE[0], urlsplit(MODELS_URL).hostname
        self.fetch = QtWidgets.QPushButton(f"Fetch the small English model ({model.size / 1e6:.0f} MB, from {host})")
        self.fetch.setToolTip(f"{model.name}: {model.summary}")
        self.fetch.clicked.connect(self._begin_fetch)
        self.bar = QtWidgets.QProgressBar()
        self.bar.setAccessibleName("how much is fetched")
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.clicked.connect(self._cancel)
        self.told = make_label()
        self.told.setWordWrap(True)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        layout.addWidget(self._note)
        layout.addWidget(self.fetch)
        layout.addLayout(row)
        layout.addWidget(self.told)
        layout.addStretch(1)
        self._show_fetching(False)
        return page

    @property
    def page(self) -> int:
        """0: notice, 1: microphone, 2: words."""
        return self._pages.currentIndex()

    def _turn(self, by: int) -> None:
        if self.page + by >= self._pages.count():
            self.accept()
            return
        self._pages.setCurrentIndex(self.page + by)
        last = self.page == self._pages.count() - 1
        self.next.setFocus()
        set_text(self.next, "Finish" if last else "I have read this" if self.page == 0 else "Next")
        self.back.setEnabled(self.page > 0)
        if self.page == 1 and by:
            self._listen()

    def _end(self) -> None:
        # NB: its thread is left to itself; waiting for a connection that hangs would freeze the window.
        self._cancel()

    def _cancel(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    # Microphone -----------------------------------------------------------------------------------------------------------

    def show_inputs(self, choices: Sequence[InputChoice]) -> None:
        """Offer the microphones among these."""
        before = self._choices[self.microphones.currentIndex()].id if self._choices else None
        self._choices = [choice for choice in choices if choice.kind == "microphone" and choice.usable]
        self.microphones.clear()
        self.microphones.addItems([choice.title for choice in self._choices])
        self.microphones.setEnabled(bool(self._choices))
        if not self._choices:
            self.microphones.addItem("none found")
            set_text(
                self.verdict,
                "No microphone was found. Connect one and press F5 in the window, or go on: there is demonstration audio, and "
                "recordings can be played.",
            )
            return
        for index, choice in enumerate(self._choices):
            if choice.id == before:
                self.microphones.setCurrentIndex(index)
        if self.page == 1 and before is None:  # one that failed is not tried again and again
            self._listen()

    def _listen(self) -> None:
        self._heard_voice = False
        if self._choices:
            set_text(self.verdict, "Say a sentence.")
            self.listen_asked.emit(self._choices[max(0, self.microphones.currentIndex())])

    def follow(self, model: DashboardModel, phase: Phase, problem: str) -> None:
        """Show what is heard and how far a fetch is; called by the window, from its timer."""
        self._follow_fetch()
        if self.page == 1 and self._choices:
            self._follow_voice(model, phase, problem)

    def _follow_voice(self, model: DashboardModel, phase: Phase, problem: str) -> None:
        rms = model.meter.rms
        self.meter.setValue(max(_FLOOR, min(0, round(rms))) if math.isfinite(rms) else _FLOOR)
        set_text(self._level, minus(f"{rms:.0f} dBFS") if math.isfinite(rms) else "silence" if phase == "running" else "")
        self._heard_voice = self._heard_voice or model.open_onset is not None or bool(model.verdicts)
        if phase == "failed":
            told = f"{problem} Choose another microphone."
        elif phase != "running":
            told = "Opening the microphone …"
        elif model.meter.clipped:
            told = "It clips: turn the microphone's level down, or move away from it. Then choose it again."
        elif model.meter.silent and not self._heard_voice:
            told = "Not a sound comes from it: it is muted, blocked by the privacy settings, or not the one that you mean."
        elif self._heard_voice:
            quiet = model.meter.held < _QUIET and math.isfinite(model.meter.held)
            told = "✓ A voice was heard" + (", but faintly: turn the level up or come nearer." if quiet else ".")
        else:
            told = "Say a sentence."
        set_text(self.verdict, told)

    # Words ----------------------------------------------------------------------------------------------------------------

    def show_note(self, note: str, can_fetch: bool) -> None:
        """Show who writes the words; `can_fetch` where there is something better to be had."""
        set_text(self._note, note)
        self.fetch.setVisible(can_fetch)

    def _show_fetching(self, fetching: bool) -> None:
        for widget in (self.bar, self.cancel):
            widget.setVisible(fetching)
        self.fetch.setEnabled(not fetching)

    def _begin_fetch(self) -> None:
        self._fetching = _Fetching(self._fetch)
        self._show_fetching(True)

    def _follow_fetch(self) -> None:
        """Show how far the fetch is, or what became of it."""
        fetching = self._fetching
        if fetching is None:
            return
        outcome = fetching.outcome
        if outcome is None:
            phase, done, total = fetching.progress
            self.bar.setRange(0, 1000 if total else 0)
            self.bar.setValue(round(1000 * done / total) if total else 0)
            set_text(self.told, f"{phase}: {done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f}" if total else ""))
            return
        self._fetching = None
        if isinstance(outcome, Failure):
            self._miss_words(outcome)
        else:
            self._take_words(outcome)

    def _take_words(self, note: str) -> None:
        self._show_fetching(False)
        if not note:
            set_text(self.told, "Cancelled. It goes on where it stopped when you fetch it again.")
            return
        set_text(self.told, "✓ The model is installed and will be used from the next start of listening on.")
        self.show_note(note, can_fetch=False)
        self.words_changed.emit(note)

    def _miss_words(self, failure: Failure) -> None:
        self._show_fetching(False)
        set_text(self.told, f"{failure.problem} {failure.remedy}".strip())
