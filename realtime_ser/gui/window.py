"""The main window: lays out the panels, pulls from the controller by timer, and passes on what the user asks for.

One timer drives everything. Each tick takes what the engine emitted, updates the view-models and lets the panels draw; every
eighth tick writes text, since figures that change thirty times a second cannot be read. No signal ever comes from another
thread.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Protocol

from realtime_ser.asr.discovery import installed_vosk_models
from realtime_ser.assembly import LoadingStep
from realtime_ser.bundle.inference import available_providers
from realtime_ser.bundle.loader import find_bundles
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.gui.about import SHORT_NOTE, help_markup
from realtime_ser.gui.calibration import CalibrationDialog
from realtime_ser.gui.controller import BundleFacts, DashboardController, InputChoice, InputKind, Phase
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.explorer.window import ExplorerWindow
from realtime_ser.gui.filterbank import FilterBank
from realtime_ser.gui.first_start import FirstStart
from realtime_ser.gui.inside.window import InsideWindow
from realtime_ser.gui.models import FEWEST_WORDS, AxisTime, DashboardModel, NowView, clock, health_items, now_view
from realtime_ser.gui.panels.filters import FilterPanel
from realtime_ser.gui.panels.health import HealthDialog
from realtime_ser.gui.panels.level import LevelPanel
from realtime_ser.gui.panels.loading import LoadingBar
from realtime_ser.gui.panels.messages import HealthLine, MessageList, Notice, NoticeBar, severity_colour, severity_mark
from realtime_ser.gui.panels.now import NowPanel
from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, make_label, open_at, set_style, set_text, wear
from realtime_ser.gui.panels.people import PeopleBar
from realtime_ser.gui.panels.recording import MarkerKey, RecordingBar
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.panels.transcript import TranscriptList
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.presentation import Presentation
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.report import (
    FrameTimes,
    ProcessUse,
    Section,
    WaysToScreen,
    health_sections,
    log_file,
    log_tail,
    report_text,
)
from realtime_ser.gui.sessions.window import SessionsWindow
from realtime_ser.gui.settings import ChoiceName, Settings
from realtime_ser.gui.settings_dialog import Installed, SettingsDialog
from realtime_ser.gui.sincgram.window import SincgramWindow
from realtime_ser.gui.theme import PALETTES, class_styles
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.inputs import PeopleInput
from realtime_ser.profiles import list_profiles
from realtime_ser.session.request import SessionRequest
from realtime_ser.text.attention import CrossAttention
from realtime_ser.text.weights import WordWeights
from realtime_ser.types import Estimate, Event, Output, Severity

__all__ = ["DashboardWindow"]

_log = logging.getLogger(__name__)

TICK_MS = 33
TEXT_EVERY = 8
HEALTH_EVERY = 30
WEIGH_EVERY = 30
"""Ticks between two looks at what a person's words weigh: a run of the text network for every word."""
SWITCH_SECONDS = 1e-3
"""How long another thread of Python may let the window's wait; by default it is 5 ms, many times while one thing is drawn."""
POLL_LIMIT = 512
POLLS_PER_TICK = 4
SHARED_EVENTS = {"gap", "device-lost", "device-back", "invalid-samples", "file-truncated", "same-channels", "source-lost"}
"""What happens to an input: where two people share it, it is told once."""
LOADING_SHOWN_AFTER = 0.3
"""Seconds: a line that comes and goes at once would only move everything else."""
_LONG_PAUSE = 2.0
"""Seconds between two ticks from which it is told."""
NOTICE_ORDER = ("program", "bundle", "engine", "recording", "outlets", "inputs", "words")


_ALONE, _BESIDE = [260, 76, 930], [460, 158, 658]
"""Sizes of now, level and timeline, for one person and for two."""
_LOG_ALONE, _LOG_BESIDE = [560, 640], [780, 420]
"""Sizes of the utterances and the filter bank."""
_GAP = 6
"""Pixels between panels."""
_SHORT = 8
"""Characters of a name for which there is room above a level."""


def _together(layout: QtWidgets.QBoxLayout, *parts: QtWidgets.QWidget) -> QtWidgets.QWidget:
    """Parts of two people side by side, or one below the other."""
    holder = QtWidgets.QWidget()
    holder.setLayout(layout)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(_GAP)
    for part in parts:
        layout.addWidget(part, 1)
    return holder


class _LogPanel(Panel):
    """Transcript and messages share a place; the title row switches between them."""

    def __init__(self) -> None:
        super().__init__("Utterances")
        self.transcript = TranscriptList()
        self.second_transcript = TranscriptList()
        self.messages = MessageList()
        self._pages = QtWidgets.QStackedWidget()
        beside = QtWidgets.QWidget()
        lists = QtWidgets.QHBoxLayout(beside)
        lists.setContentsMargins(0, 0, 0, 0)
        lists.setSpacing(8)
        self._whose = (make_label("", "dim"), make_label("", "dim"))
        self._lanes = []
        for name, transcript in zip(self._whose, (self.transcript, self.second_transcript), strict=True):
            lane = QtWidgets.QWidget()
            rows = QtWidgets.QVBoxLayout(lane)
            rows.setContentsMargins(0, 0, 0, 0)
            rows.setSpacing(2)
            rows.addWidget(name)
            rows.addWidget(transcript, 1)
            lists.addWidget(lane, 1)
            self._lanes.append(lane)
        self._pages.addWidget(beside)
        self._pages.addWidget(self.messages)
        self.body.addWidget(self._pages, 1)
        self._words = ElidedLabel()
        self.header.addWidget(self._words, 1)
        self._switches = []
        group = QtWidgets.QButtonGroup(self)
        for index, text in enumerate(("Transcript", "Messages")):
            button = QtWidgets.QToolButton()
            button.setText(text)
            button.setCheckable(True)
            button.setChecked(index == 0)
            button.clicked.connect(lambda _checked=False, page=index: self.show_page(page))
            group.addButton(button)
            self.header.addWidget(button)
            self._switches.append(button)
        self.show_people(())

    def show_people(self, names: Sequence[str]) -> None:
        """A list for each of two people, side by side; none: one list."""
        for label, name in zip(self._whose, names or ("", ""), strict=True):
            set_text(label, name)
            label.setVisible(bool(names))
        self.transcript.setAccessibleName(f"utterances of {names[0]}" if names else "utterances")
        self.second_transcript.setAccessibleName(f"utterances of {names[1]}" if names else "utterances of the second person")
        self._lanes[1].setVisible(bool(names))

    def show_page(self, page: int) -> None:
        """0 is the transcript, 1 the messages."""
        self._pages.setCurrentIndex(page)
        self._switches[page].setChecked(True)

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        self.transcript.apply_look(look)
        self.second_transcript.apply_look(look)
        self.messages.apply_look(look)

    def refresh_text(self, model: DashboardModel, recognizer: str, second: DashboardModel | None = None) -> None:
        """Bring the visible page and the titles up to date; `second`: of the other person."""
        self.transcript.refresh_text(model.transcripts)
        if second is not None:
            self.second_transcript.refresh_text(second.transcripts)
        self.messages.refresh_text(model.events)
        count = sum(entry.times for entry in model.events.entries)
        set_text(self._switches[1], f"Messages {count}" if count else "Messages")
        off = any(one.words_off is not None for one in (model, second) if one is not None)
        told = f"! no words: {recognizer} is off" if off else f"words by {recognizer}"
        self._words.show_text(told if recognizer else "")


class _StoppedError(RealtimeSerError):
    """Somebody did not want to wait for the model."""

    def __init__(self) -> None:
        super().__init__("Loading the model was stopped.", "Try again, or choose another one in the settings (Ctrl+,).")


class _Part(Protocol):
    def apply_look(self, look: Look) -> None: ...


class DashboardWindow(QtWidgets.QMainWindow):
    """The dashboard.

    Parameters
    ----------
    controller_factory
        Makes the controller; called once, on the worker thread, after the window is up.
    settings
        Where the user's choices are kept; see :mod:`realtime_ser.gui.settings`.
    recording
        A recording to choose at once.
    choose
        Kind, and id or part of the title, of an input to choose once the inputs are known.
    start
        Whether to start as soon as everything is loaded.
    first_start
        Whether to show the first steps, unless they were seen before; a start then waits until they are done.
    given
        The choices that the command line or the environment has made for this run.
    people
        Two people to listen to, to begin with; the first on the input that is chosen.
    """

    def __init__(
        self,
        controller_factory: Callable[[], DashboardController],
        settings: QtCore.QSettings,
        recording: Path | None = None,
        choose: tuple[InputKind, str] | None = None,
        start: bool = False,
        first_start: bool = False,
        given: Collection[ChoiceName] = (),
        people: PeopleInput | None = None,
    ) -> None:
        super().__init__()
        sys.setswitchinterval(SWITCH_SECONDS)
        self.setWindowTitle("realtime-ser")
        self.setMinimumSize(960, 640)
        self.setAcceptDrops(True)
        self._settings = Settings(settings, given)
        self._controller: DashboardController | None = None
        self._facts: BundleFacts | None = None
        self._recognizer_note = ""
        self._model = DashboardModel(())
        # Of the second person, while two are shown.
        self._second: DashboardModel | None = None
        self._people: PeopleInput | None = None
        # Whom everything shows that has room for one: 0 is the first.
        self._followed_person = 0
        self._notices: dict[str, Notice] = {}
        self._phase: Phase = "loading"
        self._start_when_ready = start and self._settings.listens_at_start
        self._first_start: FirstStart | None = None
        self._first_start_due = first_start and not self._settings.first_steps_seen
        self._inputs: Sequence[InputChoice] = ()
        self._wanted = choose if recording is not None else self._settings.input or choose
        self._ticks = 0
        self._ticked_at = time.perf_counter()
        self._axis_time = AxisTime()
        self._was_running = False
        self._help: tuple[QtWidgets.QDialog, QtWidgets.QTextBrowser] | None = None
        self._health_dialog: HealthDialog | None = None
        self._use: ProcessUse | None = None
        self._frames = FrameTimes()
        self._ways = (WaysToScreen(), WaysToScreen())
        self._bank: FilterBank | None = None
        self._explorer: ExplorerWindow | None = None
        self._sincgram: SincgramWindow | None = None
        self._settings_dialog: SettingsDialog | None = None
        self._calibration: CalibrationDialog | None = None
        self._inside: InsideWindow | None = None
        self._reading = False
        # What words weigh, and of which utterance, by person; and when that was asked last, in ticks.
        self._weights: dict[int, tuple[int | None, WordWeights]] = {}
        self._weighed: dict[int, str] = {}
        self._weighed_at = [-WEIGH_EVERY] * 2
        self._weighing = False
        self._loading_bundle = False
        # Since when the model is being loaded; whether that shall stop; and how far it is.
        self._loading_since: float | None = None
        self._stop_loading = threading.Event()
        # NB: replaced as a whole by the worker's thread, read by the window's.
        self._loading_step: LoadingStep | None = None
        self._engine_due = False
        self._sessions: SessionsWindow | None = None
        self._worker = Worker()

        self._transport = Transport()
        self._people_bar = PeopleBar()
        self._recording_bar = RecordingBar()
        self._recorded = ("", "")
        self._who = ""
        self._unsent = ""
        self._sending = ElidedLabel()
        self._notice_bar = NoticeBar()
        self._loading_bar = LoadingBar()
        self._now = NowPanel()
        self._level = LevelPanel()
        self._timeline = TimelinePanel()
        self._second_now = NowPanel()
        self._second_level = LevelPanel()
        self._second_timeline = TimelinePanel()
        self._log = _LogPanel()
        self._filters = FilterPanel()
        self._health = HealthLine()
        self._presentation = Presentation()
        self._before_presentation = Qt.WindowState.WindowNoState
        self._news = QtWidgets.QPushButton()
        self._news.setObjectName("link")
        self._news.clicked.connect(lambda: self._log.show_page(1))
        self._parts: tuple[_Part, ...] = (
            self._transport,
            self._recording_bar,
            self._notice_bar,
            self._now,
            self._level,
            self._timeline,
            self._second_now,
            self._second_level,
            self._second_timeline,
            self._log,
            self._filters,
            self._presentation,
            self._health,
        )
        self._lay_out()
        self._connect()

        self._palette = self._settings.palette
        self._looks = 0
        # What is left to do of a change of theme, in this window and then in others; done by ticks.
        self._restyling: deque[Callable[[], object]] = deque()
        self._others_wait = False
        # What is left to do of a window that is opened; done by ticks.
        self._opening: deque[Callable[[], object]] = deque()
        self._apply_theme(at_once=True)
        self._filters.set_axis(self._settings.axis)
        self._timeline.show_span(self._settings.span)
        if not self._settings.geometry.isEmpty():
            self.restoreGeometry(self._settings.geometry)
        else:
            open_at(self, 1280, 800)
        if recording is not None:
            self._transport.add_file(recording)
        if people is not None:
            self._people_bar.choose(people)
            self._transport.ask_two_people(True)

        self._controller_made: Future[DashboardController] = self._worker.ask(
            controller_factory, self._take_controller, lambda failure: self._fail("program", failure)
        )
        self._timer = QtCore.QTimer(self)
        # Otherwise Qt makes it 34 ms, which is less than 30 pictures a second.
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)
        self._timer.start()
        self._refresh_text()

    # ------------------------------------------------------------------------------------------------- layout and actions

    def _lay_out(self) -> None:
        upper = QtWidgets.QSplitter(Qt.Orientation.Horizontal)
        upper.addWidget(_together(QtWidgets.QHBoxLayout(), self._now, self._second_now))
        self._levels = _together(QtWidgets.QHBoxLayout(), self._level, self._second_level)
        upper.addWidget(self._levels)
        upper.addWidget(_together(QtWidgets.QVBoxLayout(), self._timeline, self._second_timeline))
        upper.setStretchFactor(0, 1)
        upper.setStretchFactor(1, 1)  # or it would keep the share of the width that it was given at first, whatever its own is
        upper.setStretchFactor(2, 5)
        self._upper = upper
        upper.setSizes(_ALONE)
        lower = QtWidgets.QSplitter(Qt.Orientation.Horizontal)
        lower.addWidget(self._log)
        lower.addWidget(self._filters)
        self._lower = lower
        lower.setSizes(_LOG_ALONE)
        whole = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        whole.addWidget(upper)
        whole.addWidget(lower)
        whole.setStretchFactor(0, 3)
        whole.setStretchFactor(1, 2)
        whole.setSizes([420, 300])
        for splitter in (upper, lower, whole):
            splitter.setHandleWidth(_GAP)
            splitter.setChildrenCollapsible(False)

        help_button = QtWidgets.QPushButton("What this can and cannot tell")
        help_button.setObjectName("link")
        help_button.setToolTip("Limits, law, model and keys (F1)")
        help_button.clicked.connect(self.show_help)
        footer = QtWidgets.QVBoxLayout()
        footer.setContentsMargins(6, 0, 6, 0)
        footer.setSpacing(2)
        figures = QtWidgets.QHBoxLayout()
        figures.addWidget(self._health)
        figures.addStretch(1)
        details = QtWidgets.QPushButton("Health…")
        details.setObjectName("link")
        details.setToolTip("Every figure with what it means, the log, and a report to copy (F2)")
        details.clicked.connect(self.show_health)
        figures.addWidget(details)
        footer.addLayout(figures)
        footer.addWidget(self._sending)  # a line of its own: what leaves the machine is not cut off
        figures.setSpacing(16)
        notes = QtWidgets.QHBoxLayout()
        notes.addWidget(self._news)
        notes.addStretch(1)
        notes.addWidget(make_label(SHORT_NOTE, "small"))
        steps = QtWidgets.QPushButton("First steps")
        steps.setObjectName("link")
        steps.setToolTip("Use notice, microphone test, words (F3)")
        steps.clicked.connect(self.show_first_start)
        notes.addWidget(steps)
        notes.addWidget(help_button)
        footer.addLayout(notes)

        root = self._instrument = QtWidgets.QWidget()
        root.setObjectName("root")
        layout = QtWidgets.QVBoxLayout(root)
        layout.setContentsMargins(8, 8, 8, 6)
        layout.setSpacing(6)
        layout.addWidget(self._transport)
        layout.addWidget(self._people_bar)
        layout.addWidget(self._recording_bar)
        layout.addWidget(self._notice_bar)
        layout.addWidget(self._loading_bar)
        layout.addWidget(whole, 1)
        layout.addLayout(footer)
        self._pages = QtWidgets.QStackedWidget()
        self._pages.setObjectName("root")  # the ground of both pages, which the style sheet of this widget colours
        self._pages.addWidget(root)
        self._pages.addWidget(self._presentation)
        self.setCentralWidget(self._pages)
        # Otherwise the first control would start with the focus, and its ring would look like a choice made.
        root.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        root.setFocus()
        self._show_people(None)

    def _connect(self) -> None:
        self._transport.start_asked.connect(self.start)
        self._transport.stop_asked.connect(self.stop)
        self._transport.refresh_asked.connect(self.refresh_inputs)
        self._transport.theme_asked.connect(self.toggle_theme)
        self._transport.record_asked.connect(self.record)
        self._transport.settings_asked.connect(self.show_settings)
        self._transport.presentation_asked.connect(self.toggle_presentation)
        self._transport.input_chosen.connect(self._remember_input)
        self._transport.people_asked.connect(lambda _two: self._refresh_text())
        for person, now, timeline in (
            (0, self._now, self._timeline),
            (1, self._second_now, self._second_timeline),
        ):
            now.inside_asked.connect(partial(self._look_inside, person))
            timeline.utterance_chosen.connect(partial(self._look_inside, person))
        self._timeline.span_changed.connect(lambda seconds: self._remember("span", str(seconds)))
        self._timeline.span_changed.connect(self._second_timeline.show_span)
        self._transport.sessions_asked.connect(self.show_sessions)
        self._recording_bar.marked.connect(self.mark)
        self._recording_bar.note_written.connect(self._keep_note)
        self._notice_bar.acted.connect(self._act_on_notice)
        self._loading_bar.stop_asked.connect(self.stop_loading)
        self._level.forgiven.connect(lambda: self.forgive_clipping(0))
        self._second_level.forgiven.connect(lambda: self.forgive_clipping(1))
        self._filters.explore_asked.connect(self.show_explorer)
        self._filters.live_asked.connect(self.show_sincgram)
        self._filters.axis_changed.connect(lambda axis: self._remember("axis", axis))
        self._filters.person_asked.connect(self.follow_next_person)
        actions: list[tuple[str, Callable[[], object]]] = [
            ("Space", self._press_space),
            ("Ctrl+I", self._transport.open_chooser),
            ("Ctrl+O", self._transport.open_file),
            ("Ctrl+P", lambda: self._transport.ask_two_people(not self._transport.two_people)),
            ("Ctrl+R", self.record),
            ("P", self.follow_next_person),
            ("N", self._recording_bar.begin_note),
            *((str(number), partial(self.mark, str(number))) for number in range(1, 10)),
            ("F5", self.refresh_inputs),
            ("C", self.forgive_clipping),
            ("M", self._filters.toggle_axis),
            ("Z", self._timeline.toggle_zoom),
            ("Ctrl+T", self.toggle_theme),
            ("Ctrl+,", self.show_settings),
            ("Ctrl+B", self.show_explorer),
            ("Ctrl+L", self.show_sincgram),
            ("Ctrl+A", self.show_inside),
            ("F1", self.show_help),
            ("F2", self.show_health),
            ("F3", self.show_first_start),
            ("F4", self.show_sessions),
            ("F11", self.toggle_presentation),
            ("Esc", self.leave_presentation),
            ("Ctrl+Q", self.close),
        ]
        for keys, action in actions:
            QtGui.QShortcut(QtGui.QKeySequence(keys), self, action)

    def _press_space(self) -> None:
        """Space starts and stops, unless the focus is on a button or a list that it would operate."""
        focused = QtWidgets.QApplication.focusWidget()
        if isinstance(focused, QtWidgets.QAbstractButton) and focused.objectName() != "primary":
            focused.click()
        elif isinstance(focused, QtWidgets.QComboBox):
            focused.showPopup()
        else:
            self._transport.toggle()

    # ------------------------------------------------------------------------------------------------------------- loading

    def _take_controller(self, controller: DashboardController) -> None:
        self._controller = controller
        self.refresh_inputs()
        self._load_bundle()

    def _load_bundle(self) -> None:
        controller = self._controller
        if controller is None:
            return
        choices = self._settings.engine
        stop = self._stop_loading = threading.Event()

        def report(step: LoadingStep) -> None:
            # NB: the worker's thread.
            self._loading_step = step
            if stop.is_set():
                raise _StoppedError

        def load() -> tuple[BundleFacts, FilterBank]:
            controller.configure(choices, report)
            facts = controller.bundle(report)
            bank = FilterBank.from_cutoffs(
                facts.initial_low_hz, facts.initial_high_hz, facts.low_hz, facts.high_hz, facts.kernel, facts.sample_rate
            )
            return facts, bank

        self._notices.pop("bundle", None)
        self._loading_bundle, self._engine_due = True, False
        self._loading_since, self._loading_step = time.perf_counter(), None
        self._worker.ask(load, self._take_bundle, self._miss_bundle)

    def stop_loading(self) -> None:
        """Stop loading the model, before its next step; what was loaded before stays in use."""
        self._stop_loading.set()

    def _follow_loading(self) -> None:
        """Show how far the loading is, once it takes so long that somebody waits for it."""
        if self._loading_since is None:
            self._loading_bar.setVisible(False)
        elif time.perf_counter() - self._loading_since >= LOADING_SHOWN_AFTER:
            self._loading_bar.show_step(self._loading_step, stopping=self._stop_loading.is_set())

    def _miss_bundle(self, failure: Failure) -> None:
        self._loading_bundle, self._loading_since = False, None
        if self._stop_loading.is_set() and failure == Failure.of(_StoppedError()):
            problem, remedy = failure.problem, failure.remedy
            if self._facts is not None:
                remedy = "Until another choice is made in the settings (Ctrl+,), everything is as it was before."
            self._notices["bundle"] = Notice(Severity.INFO, problem, remedy, "Try again")
            self._log_event("loading-stopped", Severity.INFO, problem)
            return
        chosen = self._settings.engine
        if any((chosen.recognizer, chosen.bundle, chosen.profile)):
            remedy = f"{failure.remedy} It was chosen in the settings (Ctrl+,)."
            if self._facts is not None:
                remedy += " Until another choice is made, everything is as it was before."
            failure = Failure(failure.problem, remedy.strip())
        self._fail("bundle", failure, "Try again")

    def _take_bundle(self, loaded: tuple[BundleFacts, FilterBank]) -> None:
        self._loading_bundle, self._loading_since = False, None
        before, (self._facts, bank) = self._facts, loaded
        if before is None or (before.name, tuple(before.classes)) != (self._facts.name, tuple(self._facts.classes)):
            self._show_bundle(self._facts, bank)
        if self._controller is not None:
            self._worker.ask(self._controller.recognizer_note, self._take_note, lambda failure: self._fail("words", failure))

    def _show_bundle(self, facts: BundleFacts, bank: FilterBank) -> None:
        """Begin anew with a bundle's classes and filters; messages stay."""
        self._bank = bank
        events = self._model.events
        self._model = DashboardModel(tuple(facts.classes), facts.sample_rate)
        self._model.events = events
        self._show_people(None)
        for timeline in (self._timeline, self._second_timeline):
            timeline.show_bank(bank)
        self._filters.show_bank(bank)
        # What shows the filters of the bundle before is of no use any more.
        for window in (self._explorer, self._sincgram):
            if window is not None:
                window.end()
                window.close()
                window.deleteLater()
        self._explorer = self._sincgram = None
        if self._inside is not None:
            self._inside.forget_words()
        self._apply_theme(at_once=True)
        self._draw()  # now, whatever else this tick does: nothing may be painted with these classes and the numbers of others

    def _take_note(self, note: str) -> None:
        self._recognizer_note = note

    def refresh_inputs(self) -> None:
        """Ask for the inputs again; they come when the worker has them."""
        if self._controller is None or self._phase in {"starting", "running", "stopping"}:
            return
        self._worker.ask(self._controller.inputs, self._take_inputs, self._miss_devices)

    def _miss_devices(self, failure: Failure) -> None:
        if self._controller is not None:
            self._transport.show_inputs(self._controller.recorded_inputs())
            self._choose_wanted()
        self._fail("inputs", failure, "Look again")

    def _take_inputs(self, choices: Sequence[InputChoice]) -> None:
        self._inputs = choices
        self._transport.show_inputs(choices)
        self._people_bar.show_inputs(choices)
        if self._first_start is not None:
            self._first_start.show_inputs(choices)
        if self._settings_dialog is not None:
            self._settings_dialog.show_inputs(choices)
        self._notices.pop("inputs", None)
        if not self._choose_wanted():
            return
        if not any(choice.kind == "microphone" for choice in choices):
            self._notices["inputs"] = Notice(
                Severity.INFO,
                "No microphone was found.",
                "Press Start for the demonstration audio (synthetic speech), play a recording (Ctrl+O), or connect a "
                "microphone and look again (F5).",
                "Look again",
            )

    def _choose_wanted(self) -> bool:
        """Choose what the command line asked for; where it is not there, nothing starts by itself."""
        wanted, self._wanted = self._wanted, None
        if wanted is None or self._transport.select(*wanted):
            return True
        self._start_when_ready = False
        if wanted == ("microphone", ""):  # nobody asked for a certain one
            return True
        failure = Failure(f"There is no {wanted[0]} “{wanted[1]}” that can be used.", "Choose another input.")
        self._fail("inputs", failure, "Look again")
        return False

    def _fail(self, source: str, failure: Failure, action: str = "") -> None:
        self._notices[source] = Notice(Severity.ERROR, failure.problem, failure.remedy, action)
        newest = self._model.events.newest
        if newest is None or failure.problem not in newest.message:  # the engine may have said so itself
            self._log_event(f"{source}-problem", Severity.ERROR, f"{failure.problem} {failure.remedy}".strip())

    def _act_on_notice(self) -> None:
        notice = self._notice_bar.notice
        source = next((name for name in NOTICE_ORDER if self._notices.get(name) == notice), None)
        if source == "bundle":
            self._load_bundle()
        elif source == "inputs":
            self.refresh_inputs()
        elif source == "engine":
            self.start()
        elif source == "recording" and notice is not None and notice.severity is Severity.INFO:
            self._notices.pop("recording")
            QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(self._recorded[1]))
        elif source == "recording":
            self.record()

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        self._fail("program", Failure.of(error))

    def _log_event(self, kind: str, severity: Severity, message: str) -> None:
        self._model.events.consume(Event(self._model.position, kind, severity, message))

    # ------------------------------------------------------------------------------------------------------ start and stop

    @property
    def ready(self) -> bool:
        """Whether everything is loaded that a start needs."""
        return self._controller is not None and self._facts is not None and not self._loading_bundle

    @property
    def worker_busy(self) -> bool:
        """Whether something is still being loaded."""
        return self._worker.busy

    @property
    def model(self) -> DashboardModel:
        """The view-models."""
        return self._model

    def start(self) -> None:
        """Start listening to the input chosen."""
        self._begin(None)

    def _begin(self, session: SessionRequest | None) -> None:
        choice = self._transport.choice
        if self._controller is None or not self.ready or choice is None:
            return
        for source in ("engine", "recording", "outlets"):
            self._notices.pop(source, None)
        try:
            people = self._people_bar.people(choice) if self._transport.two_people else None
        except RealtimeSerError as error:
            self._fail("engine", Failure.of(error), "Start again")
            return
        self._recorded = self._recording_stage()  # how an earlier recording ended has been told
        while self._controller.poll(POLL_LIMIT) or (self._second is not None and self._controller.poll_second(POLL_LIMIT)):
            pass  # what is left of an earlier stream must not be taken for the new one's
        self._model.reset()
        self._weights, self._weighed = {}, {}
        self._ways = (WaysToScreen(), WaysToScreen())
        self._show_people(people)
        if self._sincgram is not None:
            self._sincgram.restart()
        self._choose_outlets(self._controller)
        try:
            if people is None:
                self._controller.start(choice, session)
            else:
                self._controller.start(choice, session, people)
        except RealtimeSerError as error:
            self._fail("engine", Failure.of(error), "Start again")

    def _choose_outlets(self, controller: DashboardController) -> None:
        """Hand over what shall be sent from now on; listening goes on without what cannot be."""
        try:
            controller.send(self._settings.outlets)
        except RealtimeSerError as error:
            controller.send(None)
            remedy = f"{error.remedy} It was written in the settings (Ctrl+,)."
            self._fail("outlets", Failure(f"Nothing is sent: {error.problem}", remedy))
        self._unsent = ""

    def _follow_sending(self) -> None:
        """Show what leaves the machine, and tell once why nothing does although it should."""
        sending = self._controller.sending() if self._controller is not None else None
        told = [] if sending is None else [("▲", sending.text), ("▼", sending.receiving)]
        self._sending.show_text("   ".join(f"{sign} {text}" for sign, text in told if text))
        self._sending.setVisible(any(text for _, text in told))
        problem = sending.problem if sending is not None else ""
        if sending is not None and problem and problem != self._unsent:
            self._fail("outlets", Failure(problem, sending.remedy))
        self._unsent = problem

    def _show_people(self, people: PeopleInput | None) -> None:
        """Lay out for two people, or for one."""
        names = () if people is None else people.names
        if people is not None:
            self._second = DashboardModel(self._model.classes, self._model.sample_rate)
            # Moments are marked in the time of both.
            self._second.markers = self._model.markers
        else:
            self._second = None
        before, self._people = self._people, people
        first, second = names or ("", "")
        self._now.show_person(first)
        self._timeline.show_person(first)
        self._second_now.show_person(second)
        self._second_timeline.show_person(second or "Timeline", controls=False)
        self._second_timeline.show_span(self._timeline.shown_seconds)
        for panel in (self._second_now, self._second_level, self._second_timeline):
            panel.setVisible(people is not None)
        levels = (self._level,) if people is None else (self._level, self._second_level)
        self._levels.setFixedWidth(sum(level.minimumWidth() for level in levels) + _GAP * (len(levels) - 1))
        self._level.show_title(first[:_SHORT] or "dBFS")
        self._second_level.show_title(second[:_SHORT] or "dBFS")
        self._log.show_people(names)
        if (before is None) is not (people is None):
            self._upper.setSizes(_ALONE if people is None else _BESIDE)
            self._lower.setSizes(_LOG_ALONE if people is None else _LOG_BESIDE)
        self._tell_followed()

    # ------------------------------------------------------------------------------------------------- whose voice is shown

    @property
    def followed(self) -> DashboardModel:
        """Of the person whom presentation, inside, sincgram, filters and health show."""
        return self._second if self._second is not None and self._followed_person == 1 else self._model

    @property
    def _followed_number(self) -> int:
        return self._followed_person if self._second is not None else 0

    def follow_person(self, person: int) -> None:
        """Show the voice of `person` (from 0) wherever there is room for one; nothing happens while one is listened to."""
        if self._second is None or person == self._followed_person:
            return
        self._followed_person = person
        self._tell_followed()
        self._refresh_text()
        if self._health_dialog is not None and self._health_dialog.isVisible():
            self._refresh_health(self._health_dialog)

    def follow_next_person(self) -> None:
        """The other one of two."""
        self.follow_person(1 - self._followed_person)

    def _tell_followed(self) -> None:
        """Let everything know whose voice it shows, and name it."""
        person = self._followed_number
        name = self._people.names[person] if self._people is not None else ""
        self._filters.show_person(name)
        self._health.show_person(name)
        self._presentation.show_person(name)
        if self._inside is not None:
            self._inside.show_person(name)
        if self._sincgram is not None:
            self._sincgram.show_person(person, name)

    def forgive_clipping(self, person: int | None = None) -> None:
        """Put the mark out that says that it clipped: of `person` (from 0), or of everybody."""
        for number, model in enumerate((self._model, self._second)):
            if model is not None and person in (None, number):
                model.meter.forgive()
        self._refresh_text()

    def _look_inside(self, person: int, utterance: int | None = None) -> None:
        self.follow_person(person)
        self.show_inside(utterance)

    def stop(self) -> None:
        """Stop listening."""
        if self._controller is not None:
            self._controller.stop()

    # ------------------------------------------------------------------------------------------------------------ recording

    @property
    def recording(self) -> bool:
        """Whether a session is being recorded."""
        status = self._controller.recording() if self._controller is not None else None
        return status is not None and status.phase == "recording"

    def record(self) -> None:
        """Ask what to record, and begin; where the engine runs already, it starts anew, so that the session is a whole."""
        if self._transport.choice is None or not self.ready or self.recording or self._phase in {"stopping", "loading"}:
            return
        names = [name.text() for name in self._people_bar.names] if self._transport.two_people else ()
        dialog = SessionDialog(self, self._settings, names)
        self._dress(dialog)
        dialog.accepted.connect(lambda: self._record(dialog.request(), dialog.markers()))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _record(self, request: SessionRequest, markers: Sequence[MarkerKey]) -> None:
        codes = " and ".join(filter(None, (request.participant, *(other.participant for other in request.others))))
        self._who = " · ".join(filter(None, (codes, request.condition)))
        self._recording_bar.show_markers(markers)
        self._begin(request)

    def mark(self, key: str) -> None:
        """Mark this moment as what the key stands for, while a session is recorded."""
        marker = next((one for one in self._recording_bar.markers if one.key == key), None)
        if marker is None or self._controller is None:
            return
        kept = self._controller.mark(marker.name, marker.colour, f"dashboard, key {key}")
        if kept is not None:
            self._model.markers.append(kept)

    def _keep_note(self, text: str) -> None:
        if self._controller is None or not self._controller.note(text):
            self._fail("recording", Failure("The note was not kept: nothing is being recorded.", "Start a recording."))

    def _recording_stage(self) -> tuple[str, str]:
        """Phase and folder of the recording of the engine that runs, or ran last; empty without one."""
        status = self._controller.recording() if self._controller is not None else None
        return (status.phase, str(status.folder)) if status is not None else ("", "")

    def _follow_recording(self) -> None:
        """Show how the recording is doing; a failure and the end are told once each."""
        status = self._controller.recording() if self._controller is not None else None
        self._recording_bar.show_status(status, self._who)
        now = self._recording_stage()
        if now == self._recorded:
            return
        self._recorded = now
        if self._sessions is not None and self._sessions.isVisible():
            self._sessions.refresh()
        if status is None:
            return
        if status.phase == "failed":
            self._fail("recording", Failure(status.problem, status.remedy), "Record again")
        elif status.phase == "closed":
            told = f"Recorded {clock(round(status.seconds * ENGINE_RATE), ENGINE_RATE)} in {shown_path(status.folder)}"
            self._notices["recording"] = Notice(Severity.INFO, told, "", "Open folder")
            self._log_event("recorded", Severity.INFO, told)

    # -------------------------------------------------------------------------------------------------------------- pulling

    def tick(self) -> None:
        """Take what is new and show it; called by the timer."""
        self._notice_pause()
        self._worker.deliver()
        opens = self._open_on()
        builds = self._explorer is not None and self._explorer.tick()
        builds = builds or (self._sincgram is not None and not opens and self._sincgram.build_on())
        self._follow_loading()
        if self._controller is not None:
            self._follow_state()
            self._poll()
        if self._engine_due and not self._worker.busy and self._phase not in {"starting", "running", "stopping"}:
            self._load_bundle()
        if self._first_start_due and self.ready and not self._worker.busy:
            self._first_start_due = False
            self.show_first_start()
        if self._start_when_ready and self._first_start is None and self.ready and not self._worker.busy:
            self._start_when_ready = False
            self.start()
        visible = self.isVisible() and not self.isMinimized()
        # What is built, opened or restyled is enough for a tick.
        busy = opens or builds or self._restyle_on()
        moves = not busy and (not self._settings.still or self._ticks % TEXT_EVERY == 0)
        if visible:
            self._frames.drawn(time.perf_counter())
            if self.presenting:
                self._presentation.pass_time()
            if moves:
                self._draw()
        if self._sincgram is not None:
            self._sincgram.tick(moves=moves)
        self._ticks += 1
        if visible and not busy and self._ticks % TEXT_EVERY == 0:
            self._refresh_text()
        # NB: one is odd, so that this never is in a tick that writes text.
        if self._ticks % HEALTH_EVERY == 1 and self._health_dialog is not None and self._health_dialog.isVisible():
            self._refresh_health(self._health_dialog)

    def _notice_pause(self) -> None:
        """Tell of a window that stood still for long; the engine went on meanwhile, and what it said is taken now."""
        now = time.perf_counter()
        before, self._ticked_at = self._ticked_at, now
        if now - before > _LONG_PAUSE and self._phase == "running":
            told = f"This window stood still for {now - before:.0f} s; listening went on meanwhile."
            _log.warning(told)
            self._log_event("window-stalled", Severity.WARNING, told)

    def _poll(self) -> None:
        if self._controller is None or self._facts is None:
            return
        self._model.markers.extend(self._controller.foreign_markers())
        # A file may run far ahead of real time; what one tick cannot take, the next one will.
        for _ in range(POLLS_PER_TICK):
            outputs = self._controller.poll(POLL_LIMIT)
            self._ways[0].taken(outputs, time.perf_counter())
            self._model.consume(outputs)
            if self._sincgram is not None and self.followed is self._model:
                self._sincgram.take(outputs)
            if self._calibration is not None:
                self._calibration.take(outputs)
            others = () if self._second is None else self._controller.poll_second(POLL_LIMIT)
            if self._second is not None:
                self._ways[1].taken(others, time.perf_counter())
                self._second.consume(others)
                if self._sincgram is not None and self.followed is self._second:
                    self._sincgram.take(others)
                self._tell_of_second(others)
            if len(outputs) < POLL_LIMIT and len(others) < POLL_LIMIT:
                break

    def _tell_of_second(self, outputs: Sequence[Output]) -> None:
        """What happened to the second person's stream stands among the messages, with the name."""
        people = self._people
        if people is None:
            return
        for output in outputs:
            if isinstance(output, Event) and not (len(people.inputs) == 1 and output.kind in SHARED_EVENTS):
                told = Event(output.sample, output.kind, output.severity, f"{people.names[1]}: {output.message}")
                self._model.events.consume(told)

    def _draw(self) -> None:
        if self.presenting:
            self._presentation.refresh_plots(self.followed)
            return
        self._draw_timelines()
        self._filters.refresh_plots(self.followed)
        self._level.refresh_plots(self._model.meter)

    def _draw_timelines(self) -> None:
        newest = self._model.position
        if self._second is not None:
            newest = max(newest, self._second.position)  # one axis: what is now is now for both
        now = self._axis_time.follow(newest, time.perf_counter(), running=self._phase == "running")
        self._timeline.refresh_plots(self._model, now)
        if self._second is None:
            return
        self._second_timeline.refresh_plots(self._second, now)
        self._second_level.refresh_plots(self._second.meter)

    def _follow_state(self) -> None:
        if self._controller is None:
            return
        state = self._controller.state()
        before, self._phase = self._phase, state.phase
        if state.phase == before:
            return
        if state.phase == "running" and not self._was_running:
            # Everything stands now and stays: looking through all of it for garbage would hold the window up for 50 ms, every
            # few minutes.
            self._was_running = True
            gc.freeze()
        self._poll()  # what led to the new state belongs before it
        if state.phase != "failed":
            self._notices.pop("engine", None)
        elif self._facts is not None:  # before that, the failure is the bundle's and is told there
            self._fail("engine", Failure(state.problem, state.remedy), "Start again")
            self.refresh_inputs()
        if state.phase in {"stopped", "finished", "failed"}:
            self._model.meter.rest()
            if self._second is not None:
                self._second.meter.rest()
        self._refresh_text()

    def _refresh_text(self) -> None:
        state = self._controller.state() if self._controller is not None else None
        untold = not {"bundle", "program"} & set(self._notices)
        loading = self._loading_bundle or (self._facts is None and untold)
        phase: Phase = "loading" if loading else state.phase if state is not None else "failed"
        live = state.live if state is not None else False
        recognizer = state.recognizer if state is not None and state.recognizer else ""
        self._follow_recording()
        self._follow_sending()
        if self._settings.palette is not self._palette:  # the system went dark or light
            self._palette = self._settings.palette
            self._apply_theme()
        if self._calibration is not None and self._calibration.isVisible():
            self._calibration.follow()
        if self._first_start is not None:
            self._first_start.follow(self._model, phase, state.problem if state is not None else "")
        given_up = phase == "failed" and "bundle" in self._notices and self._notices["bundle"].severity is Severity.INFO
        self._transport.show_state("stopped" if given_up else phase, live, self.ready, self.recording)
        position = max(self._model.position, state.position if state is not None else 0)
        words = f"words: {recognizer}" if recognizer else self._recognizer_note
        self._transport.show_text(clock(position, ENGINE_RATE), words)
        running = phase in {"starting", "running"}
        shown = next((self._notices[name] for name in NOTICE_ORDER if name in self._notices), None)
        if running and self._model.away is not None:
            shown = Notice(Severity.ERROR, self._model.away.message)
        elif running and (stalls := [*self._model.stalls.values(), *(self._second.stalls.values() if self._second else ())]):
            shown = Notice(Severity.WARNING, stalls[0].message)
        self._notice_bar.show_notice(None if running and shown and shown.severity is Severity.INFO else shown)
        model = self._model
        view = self._view_of(0, model, phase)
        self._now.show_view(view, model.last_verdict)
        if self.presenting:
            problem = shown.problem if shown is not None and shown.severity is not Severity.INFO else ""
            status = self._controller.recording() if self._controller is not None else None
            one = self.followed
            audience = view if one is model else self._view_of(1, one, phase)
            sending = self._controller.sending().text if self._controller is not None else ""
            self._presentation.refresh_text(audience, one, self._transport.state, status, problem, sending)
        self._level.refresh_text(self._model.meter)
        # Nothing of it can be chosen now, and who is who stands above the panels.
        self._people_bar.setVisible(self._transport.two_people and phase not in {"starting", "running", "stopping"})
        second = self._second
        if second is not None:
            about = self._view_of(1, second, phase)
            self._second_now.show_view(about, second.last_verdict)
            self._second_level.refresh_text(second.meter)
        self._log.refresh_text(self._model, recognizer, second)
        self._health.refresh_text(health_items(self.followed.health, self.followed.sample_rate))
        self._follow_inside()
        self._show_news()

    def _view_of(self, person: int, model: DashboardModel, phase: Phase) -> NowView:
        """What can be said of a person now; what the words weigh is asked for, and follows."""
        estimate = model.estimate
        utterance, weights = self._weights.get(person, (None, None))
        if estimate is None or estimate.utterance != utterance:
            weights = None
        view = now_view(phase, estimate, model.classes, away=model.away is not None, weights=weights)
        if view.scores is not None and estimate is not None:
            self._weigh_words(person, estimate)
        return view

    def _weigh_words(self, person: int, estimate: Estimate) -> None:
        """Have the words weighed that count and are new, one text at a time and not all too often."""
        controller, transcript = self._controller, estimate.transcript
        if controller is None or transcript is None or estimate.fusion is None or len(transcript.words) < FEWEST_WORDS:
            return
        if self._weighing or transcript.text == self._weighed.get(person):
            return
        if self._ticks - self._weighed_at[person] < WEIGH_EVERY:
            return
        self._weighing, self._weighed[person], self._weighed_at[person] = True, transcript.text, self._ticks
        kept = self._weights  # what belongs to a stream before is not taken for this one's

        def take(weights: WordWeights) -> None:
            self._weighing = False
            kept[person] = estimate.utterance, weights

        def miss(failure: Failure) -> None:
            self._weighing = False
            _log.warning("What words weigh is not known: %s", failure.problem)

        words = [word.text for word in transcript.words]
        self._worker.ask(partial(controller.word_weights, words), take, miss)

    def _show_news(self) -> None:
        newest = self._model.events.newest
        self._news.setVisible(newest is not None)  # Tab would stop at it, and there would be nothing to say
        if newest is None:
            return
        times = f" (×{newest.times})" if newest.times > 1 else ""
        text = f"{severity_mark(newest.severity)} {clock(newest.sample)}  {newest.message}{times}"
        room = max(200, self.width() - 640)
        elided = QtGui.QFontMetrics(self._news.font()).elidedText(text, Qt.TextElideMode.ElideRight, room)
        set_text(self._news, elided)
        set_style(self._news, f"color: {severity_colour(newest.severity, self._palette)};")
        self._news.setToolTip(text)
        self._news.setAccessibleName(text)

    # ------------------------------------------------------------------------------------------------------ looks and help

    @property
    def theme(self) -> str:
        """``"dark"`` or ``"light"``."""
        return self._palette.name

    def toggle_theme(self) -> None:
        """Dark or light."""
        names = list(PALETTES)
        self._palette = PALETTES[names[(names.index(self._palette.name) + 1) % len(names)]]
        self._remember("theme", self._palette.name)
        self._apply_theme()

    # --------------------------------------------------------------------------------------------------------- presentation

    @property
    def presenting(self) -> bool:
        """Whether the whole screen is an audience's."""
        return self._pages.currentWidget() is self._presentation

    def toggle_presentation(self) -> None:
        """Give the whole screen to an audience, or take it back."""
        if self.presenting:
            self.leave_presentation()
            return
        self._before_presentation = self.windowState()
        self._pages.setCurrentWidget(self._presentation)
        self.showFullScreen()
        self._presentation.begin()
        self._refresh_text()

    def leave_presentation(self) -> None:
        """Back to the instrument, as large as it was."""
        if self.presenting:
            self._pages.setCurrentIndex(0)
            # Drawn once it has its size again, not for a moment as large as the screen.
            self._instrument.setUpdatesEnabled(False)
            self._opening.append(partial(self._instrument.setUpdatesEnabled, True))
            self.setWindowState(self._before_presentation)
            self.setFocus()

    # ------------------------------------------------------------------------------------------------------------- settings

    def show_settings(self) -> None:
        """Everything that can be chosen."""
        dialog = self._settings_dialog
        if dialog is None:
            dialog = self._settings_dialog = SettingsDialog(self, self._settings)
            dialog.changed.connect(self._follow_choice)
            dialog.calibration_asked.connect(self.show_calibration)
            # The largest of the windows: all at once would be felt.
            self._opening.extend((partial(self._dress, dialog), self.show_settings))
        if dialog.property("looks") is None:
            return
        dialog.show_inputs(self._inputs)
        dialog.refresh()
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

        def look_around() -> Installed:
            models = [model.name for model in installed_vosk_models()]
            profiles = [profile.name for profile in list_profiles()]
            return Installed(models, tuple(find_bundles()), available_providers(), profiles)

        self._worker.ask(look_around, dialog.show_installed, lambda failure: self._fail("program", failure))

    def show_calibration(self) -> None:
        """Learn what somebody's neutral voice is like."""
        if self._controller is None:
            return
        dialog = self._calibration
        if dialog is None:
            dialog = self._calibration = CalibrationDialog(self, self._controller)
            self._dress(dialog)
            dialog.made.connect(self._use_profile)
        dialog.follow()
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _use_profile(self, name: str) -> None:
        self._remember("profile", name)
        self._follow_choice("profile")
        if self._settings_dialog is not None:
            self.show_settings()

    def _follow_choice(self, name: ChoiceName) -> None:
        """Do what a choice asks for, where that can be done at once; what concerns the engine waits until it rests."""
        if name == "theme":
            self._palette = self._settings.palette
            self._apply_theme()
        elif name == "axis":
            self._filters.set_axis(self._settings.axis)
        elif name == "span":
            self._timeline.show_span(self._settings.span)
            self._second_timeline.show_span(self._settings.span)
        elif name == "input":
            if self._phase not in {"starting", "running", "stopping"}:
                self._transport.select(*(self._settings.input or ("microphone", "")))
        elif name in {"buffering", "recognizer", "bundle", "provider", "weights", "profile"}:
            self._engine_due = True

    def _remember(self, name: ChoiceName, value: str) -> None:
        """Keep a choice that was made by a key or a button of the window."""
        self._settings.store(name, value)
        if self._settings_dialog is not None:
            self._settings_dialog.refresh()

    def _remember_input(self, choice: InputChoice) -> None:
        if choice.kind == "microphone":
            self._remember("input", f"microphone:{choice.title}")

    @property
    def _look(self) -> Look:
        return Look(self._palette, class_styles(self._model.classes, self._palette))

    def _apply_theme(self, *, at_once: bool = False) -> None:
        """Let this window take on the theme and the classes, and then the others: at once, or a piece a tick.

        All in one go would hold the window up: a style sheet goes through every widget, and all are drawn anew. Nobody sees a
        window half changed, since it is not drawn meanwhile.
        """
        look, parts = self._look, self._parts
        half = len(parts) // 2
        self._looks += 1
        self._pages.setUpdatesEnabled(False)
        self._restyling = deque(
            (
                partial(wear, self._pages, self._palette),
                partial(self._restyle, parts[:half], look),
                partial(self._restyle, parts[half:], look),
                self._end_restyling,
            )
        )
        self._others_wait = True
        while at_once and self._restyling:
            self._restyling.popleft()()

    def _restyle(self, parts: Sequence[_Part], look: Look) -> None:
        for part in parts:
            part.apply_look(look)

    def _end_restyling(self) -> None:
        self._sending.setStyleSheet(f"color: {self._palette.warning};")
        self._refresh_text()
        self._pages.setUpdatesEnabled(True)

    def _open_on(self) -> bool:
        """Do the next piece of what is opened; whether there was one."""
        if self._opening:
            self._opening.popleft()()
            return True
        return False

    def _restyle_on(self) -> bool:
        """Do the next piece of a change of theme; whether there was one."""
        if self._restyling:
            self._restyling.popleft()()
            return True
        others: list[QtWidgets.QWidget] = []
        if self._others_wait:
            others += self.findChildren(QtWidgets.QDialog, options=Qt.FindChildOption.FindDirectChildrenOnly)
            others += [] if self._sessions is None else [*self._sessions.replays.values(), self._sessions]
        waiting = [other for other in others if other.property("looks") != self._looks]
        self._others_wait = bool(waiting)
        if waiting:
            # First what has been begun, then what is looked at.
            other = min(waiting, key=lambda one: (one.updatesEnabled(), not one.isActiveWindow(), not one.isVisible()))
            other.setUpdatesEnabled(False)
            if not wear(other, self._palette):  # which is enough for a tick
                self._dress(other)
                other.setUpdatesEnabled(True)
        return self._others_wait

    def _dress(self, other: QtWidgets.QWidget) -> None:
        """Give the theme to another window: what belongs to this one does not inherit it, and so need not change with it."""
        wear(other, self._palette)
        if isinstance(other, SessionsWindow | ReplayWindow):
            other.apply_palette(self._palette)
        elif isinstance(other, HealthDialog | ExplorerWindow | SincgramWindow | InsideWindow):
            other.apply_look(self._look)
        other.setProperty("looks", self._looks)

    def show_first_start(self) -> None:
        """What the tool cannot tell, a microphone that hears, and words."""
        controller = self._controller
        if controller is None or not self.ready or self._first_start is not None or self.recording:
            return
        dialog = FirstStart(self, controller.fetch_words)
        self._dress(dialog)
        dialog.listen_asked.connect(self._listen_to)
        dialog.words_changed.connect(self._take_note)
        dialog.finished.connect(self._end_first_start)
        dialog.show_note(self._recognizer_note, controller.can_fetch_words())
        dialog.show_inputs(self._inputs)
        self._first_start = dialog
        dialog.show()

    def _listen_to(self, choice: InputChoice) -> None:
        if self._transport.select(choice.kind, choice.id):
            self._transport.ask_two_people(False)  # one microphone is tried
            self._model.meter.forgive()
            self.start()

    def _end_first_start(self) -> None:
        self._settings.first_steps_seen = True
        if self._first_start is not None:
            self._first_start.deleteLater()
            self._first_start = None
        if self._phase in {"starting", "running"}:
            self._start_when_ready = False  # the microphone that was chosen is open already

    def show_health(self) -> None:
        """Every figure with what it means, the log, and a report to copy."""
        if self._health_dialog is None:
            self._health_dialog = HealthDialog(self, self._report)
            self._dress(self._health_dialog)
        self._refresh_health(self._health_dialog)
        self._health_dialog.show()
        self._health_dialog.raise_()

    def _sections(self) -> tuple[Section, ...]:
        controller = self._controller
        state = controller.state() if controller is not None else None
        if self._use is None:  # only who looks at the figures pays for the list of processes
            self._use = ProcessUse()
        return health_sections(
            self.followed.health,
            controller.source_status(self._followed_number) if controller is not None else None,
            controller.recording() if controller is not None else None,
            state.recognizer if state is not None else "",
            self._frames,
            self._use.measure(),
            self._people.names[self._followed_number] if self._people is not None else "",
            self._ways[self._followed_number],
            self._facts.computed_by if self._facts is not None else "",
        )

    def _refresh_health(self, dialog: HealthDialog) -> None:
        dialog.show_sections(self._sections())
        path = log_file()
        dialog.show_log(log_tail(path), shown_path(path) if path is not None else "")

    def _report(self) -> str:
        path = log_file()
        bundle = self._facts.name if self._facts is not None else ""
        return report_text(self._sections(), self._model.events, log_tail(path), bundle, path)

    @property
    def explorer(self) -> ExplorerWindow | None:
        """The filter-bank explorer, once it was opened."""
        return self._explorer

    def show_explorer(self) -> None:
        """Open the filter-bank explorer; nothing happens while no bundle is loaded."""
        if self._facts is None or self._bank is None:
            return
        if self._explorer is None:
            facts = self._facts
            self._explorer = ExplorerWindow(Study(facts.name, self._bank, facts.reliance, facts.history), self._look, self)
        self._explorer.show()
        self._explorer.raise_()

    @property
    def sincgram(self) -> SincgramWindow | None:
        """The live sincgram, once it was opened."""
        return self._sincgram

    def show_sincgram(self) -> None:
        """Open the live sincgram; nothing happens while no bundle is loaded."""
        if self._controller is None or self._facts is None or self._bank is None:
            return
        if self._sincgram is None:
            self._sincgram = SincgramWindow(self._controller, self._bank, self._facts, self._look, self._settings, self)
            self._tell_followed()
            self._opening.append(self.show_sincgram)  # the next tick has time for that
            return
        self._sincgram.show()
        self._sincgram.raise_()
        self._sincgram.activateWindow()

    def show_inside(self, utterance: int | None = None) -> None:
        """Look inside the fusion: live, or at a committed utterance."""
        if self._inside is None:
            self._inside = InsideWindow(self._look, self)
            self._dress(self._inside)
            self._tell_followed()
        if utterance is not None:
            self._inside.choose(utterance)
        self._inside.show()
        self._inside.raise_()
        # Its words are read from the next text on: the first time that is work for Python, which the window needs now itself.
        self._follow_inside(read=False)

    def _follow_inside(self, *, read: bool = True) -> None:
        """Keep it up to date, and have the words read that it wants; one text at a time, the latest."""
        inside, controller = self._inside, self._controller
        if inside is None or not inside.isVisible() or controller is None:
            return
        inside.follow(self.followed, self._phase, controller.state().recognizer)
        words = inside.wanted
        if not read or not words or self._reading:
            return
        self._reading = True

        def take(attention: CrossAttention) -> None:
            self._reading = False
            inside.take_attention(words, attention)

        def miss(failure: Failure) -> None:
            self._reading = False
            inside.take_attention(words, None, f"{failure.problem} {failure.remedy}".strip())

        self._worker.ask(partial(controller.cross_attention, words), take, miss)

    @property
    def sessions(self) -> SessionsWindow | None:
        """The window of the recorded sessions, once it was opened."""
        return self._sessions

    def show_sessions(self) -> None:
        """Show which sessions there are, to replay, export or delete them."""
        if self._sessions is None:
            self._sessions = SessionsWindow(self._settings.raw, self._palette)
        self._sessions.show()
        self._sessions.raise_()
        self._sessions.activateWindow()

    def show_help(self) -> None:
        """What the tool can and cannot tell, the law, the model, the keys."""
        if self._help is None:
            dialog = QtWidgets.QDialog(self)
            dialog.setWindowTitle("What this can and cannot tell")
            open_at(dialog, 640, 620)
            dialog.setMinimumSize(360, 300)
            browser = QtWidgets.QTextBrowser()
            browser.setAccessibleName("limits, law, model and keys")
            QtWidgets.QVBoxLayout(dialog).addWidget(browser)
            self._help = dialog, browser
            self._dress(dialog)
        dialog, browser = self._help
        name, summary = (self._facts.name, self._facts.card_summary) if self._facts is not None else ("", "")
        browser.setHtml(help_markup(self._palette, name, summary, self._recognizer_note))
        dialog.show()
        dialog.raise_()

    # ------------------------------------------------------------------------------------------------------------ Qt events

    def event(self, event: QtCore.QEvent) -> bool:
        """Notice when a picture is complete: Qt paints all that has changed when the window is asked to update."""
        done = super().event(event)
        if event.type() == QtCore.QEvent.Type.UpdateRequest:
            now = time.perf_counter()
            for ways in self._ways:
                ways.painted(now)
        return done

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Accept recordings."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Choose the recording that was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths and self._phase not in {"starting", "running", "stopping"}:
            self._transport.add_file(paths[0])

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop everything, in the order in which it depends on each other, once nothing is left unsaved."""
        if self._sessions is not None and self._sessions.unsaved:
            event.ignore()
            self._sessions.ask_to_end(self.close)
            return
        self._timer.stop()
        if self._sessions is not None:
            self._sessions.end()
        if self._first_start is not None:
            # Closing the window is no answer: the first steps come again.
            self._first_start.finished.disconnect(self._end_first_start)
            self._first_start.close()
        if self._explorer is not None:
            self._explorer.end()
        self.leave_presentation()  # or the next start would fill the screen
        self._settings.geometry = self.saveGeometry()
        if self._sincgram is not None:
            self._sincgram.end()
        self.stop_loading()
        self._worker.close()
        made = self._controller_made
        if made.done() and not made.cancelled() and made.exception() is None:
            made.result().close()
        self._controller = None
        super().closeEvent(event)
