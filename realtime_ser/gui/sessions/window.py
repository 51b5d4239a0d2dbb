"""The sessions that were recorded: found, opened in replay, exported, shown where they lie, and deleted. GUI thread only.

Whatever touches the disk is done by a worker thread and handed over by the window's timer.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from realtime_ser.gui.panels.messages import Notice, NoticeBar
from realtime_ser.gui.panels.panel import ElidedLabel, Look, add_button, make_label, make_page, open_at, wear
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.sessions.export import ExportDialog
from realtime_ser.gui.sessions.report import ReportDialog
from realtime_ser.gui.sessions.table import COLUMNS, SessionFilter, SessionTable, length_text
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.theme import Palette
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.session import edit
from realtime_ser.session.catalogue import Catalogue, SessionFacts
from realtime_ser.session.format import sessions_folder
from realtime_ser.session.reader import scorings
from realtime_ser.types import Severity

__all__ = ["SessionsWindow"]

_TICK_MS = 50
_REFRESH_TICKS = 100
"""Between two looks at the folder, while the window is in use."""
_REASON = "sessions window"


class SessionsWindow(QtWidgets.QMainWindow):
    """The sessions of a folder.

    Parameters
    ----------
    settings
        Where the sessions' folder and the theme are kept.
    palette
        Theme.
    make_replay
        What opens a session that has been read.
    """

    def __init__(
        self,
        settings: QtCore.QSettings,
        palette: Palette,
        make_replay: Callable[[Document, QtCore.QSettings], ReplayWindow] = ReplayWindow,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._palette = palette
        self._make_replay = make_replay
        self._replays: dict[Path, ReplayWindow] = {}
        self._opening: set[Path] = set()
        self._worker = Worker()
        self._catalogue = Catalogue()
        # NB: the worker puts what it finds, the window's timer takes it: hundreds appear while the rest is still being read.
        self._found: queue.SimpleQueue[SessionFacts] = queue.SimpleQueue()
        self._reading = False
        self._again = False
        self._unseen = True
        self._export: ExportDialog | None = None
        self._report: ReportDialog | None = None
        self._question: QtWidgets.QMessageBox | None = None
        self._ticks = 0
        self.setWindowTitle("Sessions")
        open_at(self, 980, 560)
        self.setMinimumSize(720, 400)
        layout = make_page(self)
        self._notice = NoticeBar()
        layout.addLayout(self._make_head())
        layout.addWidget(self._notice)
        layout.addWidget(self._make_table(), 1)
        layout.addLayout(self._make_buttons())
        for keys, action in (
            ("Ctrl+F", self._begin_search),
            ("Ctrl+E", self.show_export),
            ("Ctrl+Shift+E", self.show_report),
            ("F5", self.refresh),
            ("Ctrl+W", self.close),
        ):
            QtGui.QShortcut(QtGui.QKeySequence(keys), self).activated.connect(action)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self.tick)
        self.apply_palette(palette)
        self._show_selection()

    # Parts ----------------------------------------------------------------------------------------------------------------

    def _make_head(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        self.search = QtWidgets.QLineEdit()
        self.search.setPlaceholderText("Find: participant, condition, date, state …")
        self.search.setAccessibleName("find sessions")
        self.search.setToolTip("Only sessions with all of these words (Ctrl+F)")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._look_for)
        row.addWidget(self.search, 2)
        self._place = ElidedLabel("dim")
        row.addWidget(self._place, 3)
        add_button(row, "Folder…", "Look into another folder", self._choose_folder)
        add_button(row, "⟳", "Look again (F5)", self.refresh).setAccessibleName("look again")
        return row

    def _make_table(self) -> QtWidgets.QWidget:
        self._table = SessionTable()
        self._filter = SessionFilter(self._table)
        self.view = QtWidgets.QTableView()
        self.view.setModel(self._filter)
        self.view.setAccessibleName("sessions")
        self.view.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setTabKeyNavigation(False)
        self.view.setAlternatingRowColors(True)
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(COLUMNS.index("Begun"), Qt.SortOrder.DescendingOrder)
        self.view.verticalHeader().setVisible(False)
        self.view.verticalHeader().setDefaultSectionSize(24)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate((130, 110, 120, 76, 150, 110)):
            header.resizeSection(column, width)
        header.setStretchLastSection(True)
        self.view.doubleClicked.connect(lambda _index: self.open_selected())
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._show_selection())
        for keys, action in (("Return", self.open_selected), ("Enter", self.open_selected), ("Delete", self.ask_delete)):
            shortcut = QtGui.QShortcut(QtGui.QKeySequence(keys), self.view)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(action)
        self._empty = make_label("", "dim")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._pages = QtWidgets.QStackedWidget()
        self._pages.addWidget(self.view)
        self._pages.addWidget(self._empty)
        return self._pages

    def _make_buttons(self) -> QtWidgets.QHBoxLayout:
        row = QtWidgets.QHBoxLayout()
        self._said = ElidedLabel("dim")
        row.addWidget(self._said, 1)
        self.delete = add_button(row, "Delete…", "Remove the sessions that are selected, for good (Delete)", self.ask_delete)
        self.reveal = add_button(row, "Show folder", "Open the session's folder", self._reveal)
        self.export = add_button(
            row, "Export…", "Write what is selected in the formats of other tools (Ctrl+E)", self.show_export
        )
        self.paper = add_button(
            row, "For a paper…", "Methods paragraph, figure and summary of what is selected (Ctrl+Shift+E)", self.show_report
        )
        self.open = add_button(row, "Open", "Open in replay (Enter)", self.open_selected)
        self.open.setObjectName("primary")
        self.open.setProperty("running", "false")
        self.open.setMinimumWidth(92)
        return row

    # What is shown --------------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The folder that is looked into."""
        return sessions_folder(Settings(self._settings).stored("sessions") or None)

    @property
    def busy(self) -> bool:
        """Whether something is being read, opened or deleted."""
        return self._worker.busy

    @property
    def selected(self) -> list[SessionFacts]:
        """The sessions that are selected, from above to below."""
        rows = sorted(self.view.selectionModel().selectedRows(), key=lambda index: index.row())
        return [self._table.facts(self._filter.mapToSource(index).row()) for index in rows]

    @property
    def shown(self) -> list[SessionFacts]:
        """The sessions that are shown, from above to below."""
        indexes = (self._filter.index(row, 0) for row in range(self._filter.rowCount()))
        return [self._table.facts(self._filter.mapToSource(index).row()) for index in indexes]

    @property
    def replays(self) -> dict[Path, ReplayWindow]:
        """Windows of sessions that are open, by folder."""
        return dict(self._replays)

    @property
    def export_dialog(self) -> ExportDialog | None:
        """Once it was asked for."""
        return self._export

    @property
    def report_dialog(self) -> ReportDialog | None:
        """Once it was asked for."""
        return self._report

    @property
    def unsaved(self) -> bool:
        """Whether in some window something was written that is not saved."""
        return any(window.unsaved for window in self._replays.values())

    def ask_to_end(self, then: Callable[[], object]) -> None:
        """Have every window ask what to do with what is not saved; where nothing stands in the way any more, do `then`."""
        window = next((window for window in self._replays.values() if window.unsaved), None)
        if window is None:
            then()
        else:
            window.ask_to_close(lambda: self.ask_to_end(then))

    @property
    def question(self) -> QtWidgets.QMessageBox | None:
        """What is being asked before something is deleted."""
        return self._question

    @property
    def text(self) -> str:
        """What is said about the sessions."""
        return self._empty.text() if self._pages.currentWidget() is self._empty else self._said.text()

    def apply_palette(self, palette: Palette) -> None:
        """Take on a theme, with all windows that were opened from here."""
        self._palette = palette
        wear(self, palette)
        self._notice.apply_look(Look(palette, ()))
        self._table.apply_palette(palette)
        for window in self._replays.values():
            window.apply_palette(palette)

    def refresh(self) -> None:
        """Look into the folder; what is found comes with the window's ticks."""
        if self._reading:
            self._again = True
            return
        self._reading = True
        root = self.root
        self._place.show_text(shown_path(root))
        self._show_selection()

        def read() -> list[SessionFacts]:
            rows = []
            for facts in self._catalogue.read(root):
                rows.append(facts)
                self._found.put(facts)
            return rows

        self._worker.ask(read, self._take, self._miss_all)

    def tick(self) -> None:
        """Take what is done; called by the timer."""
        self._ticks += 1
        found = []
        while not self._found.empty():
            found.append(self._found.get())
        if found:
            self._table.add_facts(found)
            self._choose_first()
        self._worker.deliver()
        for dialog in (self._export, self._report):
            if dialog is not None:
                dialog.follow()
        if self._ticks % _REFRESH_TICKS == 0 and self.isActiveWindow():
            self.refresh()

    def _take(self, rows: list[SessionFacts]) -> None:
        self._reading = False
        while not self._found.empty():
            self._found.get()
        self._table.show_facts(rows)
        self._choose_first()
        if self._again:
            self._again = False
            self.refresh()

    def _miss_all(self, failure: Failure) -> None:
        self._reading = False
        self._miss(failure)

    def _look_for(self, text: str) -> None:
        self._filter.look_for(text)
        self._choose_first()

    def _choose_first(self) -> None:
        """Where nothing is selected, the first; and keys go to the list when it has something to show for the first time."""
        shown = self._filter.rowCount()
        if shown and not self.view.selectionModel().hasSelection():
            self.view.selectRow(0)
        self._show_selection()
        if shown and self._unseen:
            self._unseen = False
            if not self.search.text():
                self.view.setFocus()

    def _show_selection(self) -> None:
        count, shown, chosen = self._table.rowCount(), self._filter.rowCount(), self.selected
        if not count:
            none = f"There are no sessions in {shown_path(self.root)}."
            what = "“Record…” in the dashboard (Ctrl+R) records one; “Folder…” looks elsewhere."
            self._empty.setText("Reading …" if self._reading else f"{none}\n\n{what}")
        elif not shown:
            self._empty.setText(f"None of {count} sessions has all of these words: {self.search.text()}")
        self._pages.setCurrentWidget(self.view if shown else self._empty)
        running = any(one.phase == "recording" for one in chosen)
        readable = bool(chosen) and not any(one.phase == "unreadable" for one in chosen)
        self.open.setEnabled(readable and not running)
        self.open.setToolTip("It is being recorded: stop that first." if running else "Open in replay (Enter)")
        self.export.setEnabled(readable and not running)
        self.paper.setEnabled(readable and not running)
        self.delete.setEnabled(bool(chosen) and not running)
        self.reveal.setEnabled(len(chosen) == 1)
        if len(chosen) == 1:
            self._said.show_text(f"{chosen[0].folder.name}: {chosen[0].message}")
        elif chosen:
            self._said.show_text(f"{len(chosen)} sessions, {length_text(sum(one.seconds for one in chosen))} in all")
        else:
            self._said.show_text(f"{shown} of {count} sessions" if shown != count else f"{count} sessions")

    def _begin_search(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    # What the user does ---------------------------------------------------------------------------------------------------

    def open_selected(self) -> None:
        """Open what is selected in replay."""
        if self.open.isEnabled():
            for one in self.selected:
                self.open_session(one.folder)

    def open_session(self, folder: Path) -> None:
        """Open a session in a window of its own, or bring that to the front."""
        if folder in self._replays:
            self._replays[folder].show()
            self._replays[folder].raise_()
            self._replays[folder].activateWindow()
            return
        if folder in self._opening:
            return
        self._opening.add(folder)
        self._said.show_text(f"Opening {folder.name} …")
        self._worker.ask(lambda: Document(folder), self._show_replay, partial(self._miss_opening, folder))

    def _show_replay(self, document: Document) -> None:
        self._opening.discard(document.folder)
        window = self._make_replay(document, self._settings)
        window.apply_palette(self._palette)
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        window.closed.connect(self._forget)
        self._replays[document.folder] = window
        self._notice.show_notice(None)
        self._show_selection()
        # Building it is one piece of work for the event loop, drawing it another.
        QtCore.QTimer.singleShot(0, window, window.show)

    def _miss_opening(self, folder: Path, failure: Failure) -> None:
        self._opening.discard(folder)
        self._show_selection()
        self._miss(failure)

    def _forget(self, folder: Path) -> None:
        self._replays.pop(folder, None)

    def _choose_folder(self) -> None:
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, "Where sessions are", str(self.root))
        if chosen:
            Settings(self._settings).store("sessions", chosen)
            self.refresh()

    def _reveal(self) -> None:
        for one in self.selected[:1]:
            QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(one.folder)))

    def show_export(self) -> None:
        """Ask for formats and a folder for what is selected."""
        if self._export is not None and self._export.job.busy:
            self._export.show()
            self._export.raise_()
            return
        chosen = self.selected
        if not self.export.isEnabled() or not chosen:
            return
        if self._export is not None:
            self._export.end()
            self._export.deleteLater()
        later = scorings(chosen[0].folder) if len(chosen) == 1 else []
        audio = any(one.audio for one in chosen)
        self._export = ExportDialog(self, self._settings, [one.folder for one in chosen], later, audio=audio)
        self._export.show()

    def show_report(self) -> None:
        """Show what a paper needs of what is selected."""
        chosen = self.selected
        if not self.paper.isEnabled() or not chosen:
            return
        if self._report is not None:
            self._report.end()
            self._report.deleteLater()
        first = chosen[0]
        self._report = ReportDialog(
            self, self._settings, [one.folder for one in chosen], seconds=first.seconds, people=first.people
        )
        self._report.show()

    def ask_delete(self) -> None:
        """Ask, and delete what is selected for good."""
        chosen = self.selected
        if not self.delete.isEnabled() or self._question is not None:
            return
        still_open = [one.folder.name for one in chosen if one.folder in self._replays]
        if still_open:
            self._miss(Failure(f"{still_open[0]} is open.", "Close its window first."))
            return
        many = f"{len(chosen)} sessions" if len(chosen) > 1 else chosen[0].folder.name
        question = self._question = QtWidgets.QMessageBox(self)
        question.setWindowTitle("Delete")
        question.setIcon(QtWidgets.QMessageBox.Icon.Warning)
        question.setText(f"Delete {many} for good?")
        question.setInformativeText(
            "Scores, words, sound, markers and notes are removed from this computer. That it was done is logged in "
            f"{edit.DELETIONS_NAME}, without a word about whose they were. Files that were exported stay."
        )
        delete = question.addButton("Delete", QtWidgets.QMessageBox.ButtonRole.DestructiveRole)
        keep = question.addButton("Keep", QtWidgets.QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(keep)
        question.setEscapeButton(keep)
        folders = [one.folder for one in chosen]
        delete.clicked.connect(lambda _checked=False: self._delete(folders))
        question.finished.connect(self._end_question)
        question.open()

    def _end_question(self) -> None:
        if self._question is not None:
            self._question.deleteLater()
            self._question = None

    def _delete(self, folders: Sequence[Path]) -> None:
        def remove() -> None:
            for folder in folders:
                edit.delete_session(folder, _REASON)

        def done(_: None) -> None:
            self._notice.show_notice(None)
            self.refresh()

        def failed(failure: Failure) -> None:
            self._miss(failure)
            self.refresh()

        self._worker.ask(remove, done, failed)

    # What goes wrong, and the end -----------------------------------------------------------------------------------------

    def report(self, error: BaseException) -> None:
        """Show an error that nothing else caught."""
        self._miss(Failure.of(error))

    def _miss(self, failure: Failure) -> None:
        self._notice.show_notice(Notice(Severity.ERROR, failure.problem, failure.remedy))

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Look into the folder whenever it comes up."""
        super().showEvent(event)
        self._timer.start()
        self.refresh()

    def end(self) -> None:
        """Close this and every window that was opened from here; their threads have ended then."""
        for window in list(self._replays.values()):
            window.close()
        for dialog in (self._export, self._report):
            if dialog is not None:
                dialog.end()
        self._timer.stop()
        self._worker.close()
        self.close()
