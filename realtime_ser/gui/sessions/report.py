"""The dialog that makes what a paper needs of sessions: a methods paragraph, a figure, and a summary by groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from realtime_ser.errors import RealtimeSerError, SessionError
from realtime_ser.gui.explorer.exports import ask_file
from realtime_ser.gui.job import JobDialog
from realtime_ser.gui.job import Report as Progress
from realtime_ser.gui.panels.panel import indent, make_label, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.sessions.export import exports_folder
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.session.export.figure import preview_figure, write_figure
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.export.tables import write_rows
from realtime_ser.session.reader import Row, Session
from realtime_ser.session.summary import MEANING, summarise, summary_cells

__all__ = ["ReportDialog"]

_PAGES = ("Methods", "Figure", "Summary")
_EVERYBODY = "everybody"
_SETTLE_MS = 300
"""How long a change of the span waits for the next one before the figure is drawn anew."""
_SHORTEST = 0.1
"""Seconds of a figure at least."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was made of the sessions; `trouble`: why there is no summary."""

    methods: str
    rows: list[Row]
    trouble: str


class ReportDialog(JobDialog):
    """Shows a paragraph, a figure (of one session) and a summary, to be copied or saved. What it shows is read by a thread.

    Parameters
    ----------
    folders
        Of the sessions.
    scores
        Name of a later scoring that is told of in place of the recorded scores; only for one session.
    seconds
        Length of the session, where there is one.
    people
        Names, where one session is of several people.
    span
        Seconds from … to that the figure begins with; ``None``: all.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget,
        settings: QtCore.QSettings,
        folders: Sequence[Path],
        *,
        scores: str | None = None,
        seconds: float = 0.0,
        people: Sequence[str] = (),
        span: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(parent, "For a paper", "Save", "how much is done", "Cancelled. Nothing was written.")
        self._folders = tuple(folders)
        self._scores = scores
        self._read: _Read | None = None
        self._drawer = Worker()
        self._drawn: object = None
        # A table that fits is better than a figure that does not: as large as the screen allows, and no larger.
        self.resize(QtCore.QSize(900, 620).boundedTo(self.screen().availableSize()))
        folder = exports_folder(settings)
        name = folders[0].name if len(folders) == 1 else "sessions"
        self._places = {
            "Methods": str(folder / f"{name} methods.txt"),
            "Figure": str(folder / f"{name}.pdf"),
            "Summary": str(folder / f"{name} summary.csv"),
        }
        self._page = _PAGES[0]
        self.switches: dict[str, QtWidgets.QToolButton] = {}
        self._stack = QtWidgets.QStackedWidget()
        self._whose = QtWidgets.QComboBox()
        row = QtWidgets.QHBoxLayout()
        group = QtWidgets.QButtonGroup(self)
        makers: dict[str, Callable[[], QtWidgets.QWidget]] = {
            "Methods": self._make_methods,
            "Figure": partial(self._make_figure, seconds, people, span),
            "Summary": self._make_summary,
        }
        for page in _PAGES:
            button = QtWidgets.QToolButton()
            button.setText(page)
            button.setCheckable(True)
            button.setToolTip(_TIPS[page])
            button.clicked.connect(lambda _checked=False, page=page: self.show_page(page))
            group.addButton(button)
            row.addWidget(button)
            self.switches[page] = button
            self._stack.addWidget(makers[page]())
        row.addStretch(1)
        if len(folders) != 1:
            self.switches["Figure"].setEnabled(False)
            self.switches["Figure"].setToolTip("A figure is of one session: choose one.")
        self.place = QtWidgets.QLineEdit()
        self.place.setAccessibleName("file to save it in")
        self.place.setToolTip("Where to save it; the ending says how")
        self.place.textChanged.connect(self._keep_place)
        browse = QtWidgets.QPushButton("Choose…")
        browse.setAccessibleName("choose the file to save it in")
        browse.clicked.connect(self._browse)
        place = QtWidgets.QHBoxLayout()
        label = QtWidgets.QLabel("&File")
        label.setBuddy(self.place)
        for widget, stretch in ((label, 0), (self.place, 1), (browse, 0)):
            place.addWidget(widget, stretch)
        self.copy = self.buttons.addButton("Copy", QtWidgets.QDialogButtonBox.ButtonRole.ActionRole)
        self.copy.clicked.connect(self.copy_page)
        self.begin.clicked.connect(self.save)
        self.rows.addLayout(row)
        self.rows.addWidget(self._stack, 1)
        self.rows.addLayout(place)
        self.fields = (*self._spans, self._whose, self.place, browse, self.copy)
        self._settle = QtCore.QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._draw)
        self.show_page(_PAGES[0])
        self.work(self._look, self._take)

    # Pages ------------------------------------------------------------------------------------------------------------------

    def _make_methods(self) -> QtWidgets.QWidget:
        self.methods = QtWidgets.QPlainTextEdit()
        self.methods.setReadOnly(True)
        # Otherwise Tab, which reaches every control, would stay in it.
        self.methods.setTabChangesFocus(True)
        self.methods.setAccessibleName("paragraph for the methods section")
        return self.methods

    def _make_figure(self, seconds: float, people: Sequence[str], span: tuple[float, float] | None) -> QtWidgets.QWidget:
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QtWidgets.QHBoxLayout()
        self._spans: list[QtWidgets.QDoubleSpinBox] = []
        for text, name, value in (("From", "start", span[0] if span else 0.0), ("to", "end", span[1] if span else seconds)):
            box = QtWidgets.QDoubleSpinBox()
            indent(box)
            box.setRange(0.0, round(seconds, 2))
            box.setDecimals(2)
            box.setSuffix(" s")
            box.setValue(value)
            box.setAccessibleName(f"{name} of the figure in seconds")
            box.setToolTip("A shorter span has room for more words")
            box.valueChanged.connect(lambda _value: self._settle.start())
            row.addWidget(make_label(text, "dim"))
            row.addWidget(box)
            self._spans.append(box)
        self._whose.addItems([_EVERYBODY, *people])
        self._whose.setAccessibleName("whose figure")
        self._whose.setToolTip("Everybody on one clock, or one person")
        self._whose.setVisible(bool(people))
        self._whose.currentIndexChanged.connect(lambda _index: self._settle.start())
        row.addWidget(self._whose)
        self._room = make_label("", "dim")
        self._room.setWordWrap(True)
        row.addWidget(self._room, 1)
        layout.addLayout(row)
        self.picture = _Picture()
        layout.addWidget(self.picture, 1)
        return page

    def _make_summary(self) -> QtWidgets.QWidget:
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        self.table = QtWidgets.QTableWidget()
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().setVisible(False)
        self.table.setAccessibleName("scores by participant and condition")
        self._meaning = make_label(MEANING, "dim")
        self._meaning.setWordWrap(True)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._meaning)
        return page

    @property
    def drawing(self) -> bool:
        """Whether a figure is being drawn, or about to be."""
        return self._drawer.busy or self._settle.isActive()

    def show_page(self, page: str) -> None:
        """Show one of "Methods", "Figure", "Summary"."""
        self._page = page
        self._stack.setCurrentIndex(_PAGES.index(page))
        self.switches[page].setChecked(True)
        self.place.setText(self._places[page])
        if page == "Figure":
            self._draw()
        self._update()

    def _keep_place(self, text: str) -> None:
        self._places[self._page] = text
        self._update()

    def _update(self) -> None:
        read = self._read
        there = {
            "Methods": read is not None,
            "Figure": not self.picture.empty,
            "Summary": read is not None and bool(read.rows),
        }[self._page]
        free = not self.job.busy
        self.copy.setEnabled(free and there)
        self.copy.setToolTip(f"Put {_COPIED[self._page]} on the clipboard")
        self.begin.setEnabled(free and there and bool(self.place.text().strip()))

    def _browse(self) -> None:
        chosen = ask_file(self, "Where to save it", self.place.text(), _FORMATS[self._page])
        if chosen is not None:
            self.place.setText(str(chosen))

    # Work -------------------------------------------------------------------------------------------------------------------

    def _look(self, report: Progress) -> _Read:
        """Read what the pages show; on a thread."""
        paragraphs = []
        for number, folder in enumerate(self._folders):
            report(number / (len(self._folders) + 1), f"reading {folder.name}")
            with Session(folder, self._scores) as session:
                paragraphs.append(methods_paragraph(session))
        report(len(self._folders) / (len(self._folders) + 1), "summing up")
        try:
            rows, trouble = summarise(self._folders), ""
        except RealtimeSerError as error:
            rows, trouble = [], f"{error.problem} {error.remedy}".strip()
        return _Read("\n\n".join(paragraphs), rows, trouble or ("" if rows else "There is no utterance to sum up."))

    def _take(self, read: _Read) -> None:
        self._read = read
        self.methods.setPlainText(read.methods)
        cells = summary_cells(read.rows)
        self.table.setColumnCount(len(cells[0]) if cells else 0)
        self.table.setHorizontalHeaderLabels(cells[0] if cells else [])
        self.table.setRowCount(max(0, len(cells) - 1))
        for place, line in enumerate(cells[1:]):
            for column, text in enumerate(line):
                self.table.setItem(place, column, QtWidgets.QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        set_text(self._meaning, read.trouble or MEANING)
        self._update()

    def _figure_wish(self) -> tuple[float, float, int | None]:
        start, end = (box.value() for box in self._spans)
        return start, end, self._whose.currentIndex() or None

    def _draw(self) -> None:
        """Have the figure drawn as it is wanted now, once what is being drawn is done."""
        wish = self._figure_wish()
        if self._page != "Figure" or wish == self._drawn:
            return
        if wish[1] - wish[0] < _SHORTEST:
            set_text(self._room, "The end must come after the start.")
            return
        if self._drawer.busy:
            self._settle.start()
            return
        self._drawn = wish
        folder, scores = self._folders[0], self._scores

        def draw() -> tuple[bytes, list[str]]:
            with Session(folder, scores) as session:
                return preview_figure(session, *wish)

        def take(drawn: tuple[bytes, list[str]]) -> None:
            picture, said = drawn
            self.picture.show_picture(picture)
            set_text(self._room, " ".join(said))
            self._update()

        def miss(failure: Failure) -> None:
            self.picture.show_picture(b"")
            set_text(self._room, f"{failure.problem} {failure.remedy}".strip())
            self._update()

        set_text(self._room, "drawing …")
        self._drawer.ask(draw, take, miss)

    def copy_page(self) -> None:
        """Put what is shown on the clipboard."""
        clipboard = QtWidgets.QApplication.clipboard()
        if self._page == "Methods":
            clipboard.setText(self.methods.toPlainText())
        elif self._page == "Figure":
            clipboard.setPixmap(self.picture.pixmap)
        elif self._read is not None:
            clipboard.setText("\n".join("\t".join(line) for line in summary_cells(self._read.rows)))
        self.tell(f"On the clipboard: {_COPIED[self._page]}.")

    def save(self) -> None:
        """Write what is shown into the file."""
        path, read = Path(self.place.text().strip()).expanduser(), self._read
        write: Callable[[], object]
        if self._page == "Figure":
            start, end, person = self._figure_wish()

            def write() -> None:
                with Session(self._folders[0], self._scores) as session:
                    write_figure(session, path, start, end, person)
        elif read is None:
            return
        elif self._page == "Methods":
            write = partial(path.write_text, read.methods + "\n", encoding="utf-8")
        else:
            write = partial(write_rows, read.rows, path)

        def work(report: Progress) -> None:
            report(0.0, f"writing {path.name}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write()
            except OSError as error:
                raise SessionError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error

        self.work(work, lambda _done: self.tell(f"Wrote {path}"))

    # The end ----------------------------------------------------------------------------------------------------------------

    def lock(self, working: bool) -> None:
        """Let nothing be changed while it works, and afterwards what there is to change."""
        super().lock(working)
        self._update()

    def follow(self) -> None:
        """Show how far it is, and what has been drawn."""
        super().follow()
        self._drawer.deliver()

    def end(self) -> None:
        """Cancel and wait: who opened it closes."""
        self._settle.stop()
        self._drawer.close()
        super().end()


class _Picture(QtWidgets.QWidget):
    """A figure on white paper, as large as there is room, and never larger than it was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.pixmap = QtGui.QPixmap()
        self.setAccessibleName("the figure")
        self.setMinimumHeight(200)

    @property
    def empty(self) -> bool:
        """Whether there is none yet."""
        return self.pixmap.isNull()

    def show_picture(self, png: bytes) -> None:
        """Show another one; nothing: none."""
        self.pixmap = QtGui.QPixmap()
        if png:
            self.pixmap.loadFromData(png)
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw."""
        if self.empty:
            return
        size = self.pixmap.size().scaled(self.size().boundedTo(self.pixmap.size()), Qt.AspectRatioMode.KeepAspectRatio)
        place = QtCore.QRect(QtCore.QPoint((self.width() - size.width()) // 2, 0), size)
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(place, self.pixmap)


_TIPS = {
    "Methods": "A paragraph for the methods section, whose figures are the session's",
    "Figure": "The timeline as vectors, for print",
    "Summary": "Mean scores and abstentions by participant and condition, with intervals",
}
_COPIED = {"Methods": "the paragraph", "Figure": "the figure as a picture", "Summary": "the table, with tabs"}
_FORMATS = {"Methods": ("txt",), "Figure": ("pdf", "svg"), "Summary": ("csv", "parquet", "jsonl")}
