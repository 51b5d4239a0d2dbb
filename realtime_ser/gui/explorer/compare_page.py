"""The filters of this bundle beside those of another one, which is loaded off the GUI thread. GUI thread only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.loader import find_bundles, load_bundle
from realtime_ser.errors import BundleError
from realtime_ser.gui.explorer.comparison import Comparison
from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.explorer.page import ChoicePage, PlotView, curve, dots, fit_response, fit_y, say_nothing_is_there
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.panels.panel import make_label, minus, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets, pg
from realtime_ser.gui.theme import Palette
from realtime_ser.gui.worker import Failure, Worker

__all__ = ["ComparePage"]

TABLE = "table of differences"
_SHOWN = (
    ("centre\nA", "first_centre_hz", ",.0f"),
    ("centre\nB", "second_centre_hz", ",.0f"),
    ("centre\nB − A", "centre_difference_hz", "+,.0f"),
    ("width\nA", "first_bandwidth_hz", ",.0f"),
    ("width\nB", "second_bandwidth_hz", ",.0f"),
    ("width\nB − A", "bandwidth_difference_hz", "+,.0f"),
)
"""Columns of the table on the screen: heading, column of :meth:`Comparison.columns`, format."""


_Index = QtCore.QModelIndex | QtCore.QPersistentModelIndex
_NOWHERE = QtCore.QModelIndex()


class _CancelledError(Exception):
    """Somebody pressed Cancel."""


class _PairModel(QtCore.QAbstractTableModel):
    """The pairs as rows; the view asks for those that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: dict[str, NDArray[Any]] = {}

    def show(self, columns: dict[str, NDArray[Any]]) -> None:
        """Hold other pairs: what :meth:`Comparison.columns` gives."""
        self.beginResetModel()
        self._columns = columns
        self.endResetModel()

    def rowCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """How many pairs."""
        return 0 if parent.isValid() or not self._columns else len(self._columns[_SHOWN[0][1]])

    def columnCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """How many quantities."""
        return 0 if parent.isValid() else len(_SHOWN)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """A value in Hz, as text."""
        _, name, form = _SHOWN[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return minus(f"{self._columns[name][index.row()]:{form}}")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Quantity, or the pair's number from 0, as the plot of the bands counts them."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return _SHOWN[section][0] if orientation == Qt.Orientation.Horizontal else str(section)


class ComparePage(ChoicePage):
    """Bands, movement, bandwidths and summed responses of two bundles, and a table of the pairs."""

    def __init__(self, study: Study) -> None:
        super().__init__("pair of filters")
        self._study = study
        self._other: Study | None = None
        self._comparison: Comparison | None = None
        self._columns: dict[str, Any] = {}
        self._worker: Worker | None = None
        self._cancel = threading.Event()
        # NB: replaced as a whole by the loading thread, read by the window's.
        self._progress = (0, 0)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._chooser())
        self._told = make_label("", "dim")
        self._told.setWordWrap(True)
        self._told.setAccessibleName("what became of the comparison")
        layout.addWidget(self._told)
        self._result = QtWidgets.QWidget()
        inside = QtWidgets.QVBoxLayout(self._result)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addLayout(self.bar)
        parts = QtWidgets.QSplitter(Qt.Orientation.Horizontal)
        self._view = PlotView("filters of both bundles")
        parts.addWidget(self._view)
        self._pairs = _PairModel()
        self.table = QtWidgets.QTableView()
        self._set_up_table()
        parts.addWidget(self.table)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 1)
        parts.setSizes([640, 350])
        inside.addWidget(parts, 1)
        layout.addWidget(self._result, 1)
        self._empty = say_nothing_is_there(
            "A second bundle's filters are shown beside this one's: bands, movement, bandwidth, summed response, and a table "
            "of the pairs. Filters are paired by their place when sorted by learnt centre.\n\n"
            "Name one above and press Compare, or choose where it lies.",
            "Choose the folder of a bundle…",
            "A folder with a bundle.json (Alt+F)",
            self._browse,
        )
        layout.addWidget(self._empty, 1)
        self.coarse = True
        self.follow(self._view)
        self._show_loading(False)
        self._show_result()

    def build(self) -> Iterator[None]:
        """As :meth:`Page.build`."""
        view = self._view
        self._bands = view.add_plot(0, 0, "Bands (pair by centre)")
        yield
        self._movement = view.add_plot(0, 1, "Movement of the centre (Hz)")
        yield
        self._width = view.add_plot(1, 0, "Bandwidth (Hz)")
        yield
        self._summed = view.add_plot(1, 1, "Summed response (dB)")
        yield
        self.over_frequency = [self._bands, self._movement, self._width, self._summed]
        self.targets = self.over_frequency
        self._both_bands = [curve(self._bands, connect="pairs") for _ in range(2)]
        self._both_moved = [dots(self._movement, symbol, 5) for symbol in ("o", "s")]
        self._both_widths = [dots(self._width, symbol, 5) for symbol in ("o", "s")]
        self._both_sums = [curve(self._summed) for _ in range(2)]
        self._this_pair = curve(self._bands, connect="pairs")
        self._these_moved, self._these_widths = dots(self._movement, "d", 11), dots(self._width, "d", 11)

    def _chooser(self) -> QtWidgets.QHBoxLayout:
        bar = QtWidgets.QHBoxLayout()
        bar.addWidget(make_label("Compare with", "dim"))
        self.choice = QtWidgets.QComboBox()
        self.choice.setEditable(True)
        self.choice.addItems(sorted(find_bundles()))
        self.choice.setEditText("")
        self.choice.setAccessibleName("bundle to compare with")
        self.choice.setToolTip("The folder of a bundle, or the name of one that ships with the program")
        line = self.choice.lineEdit()
        if line is not None:
            line.setPlaceholderText("folder or name of a bundle")
            line.returnPressed.connect(self.load)
        self.setFocusProxy(self.choice)
        bar.addWidget(self.choice, 1)
        self.browse = QtWidgets.QPushButton("&Folder…")
        self.browse.setAccessibleName("choose the folder of a bundle")
        self.browse.setToolTip("Choose the folder of a bundle (Alt+F)")
        self.browse.clicked.connect(self._browse)
        bar.addWidget(self.browse)
        self.go = QtWidgets.QPushButton("&Compare")
        self.go.setAccessibleName("load the bundle and compare")
        self.go.setToolTip("Load that bundle, check all its files, and compare (Alt+C, or Enter in the field)")
        self.go.clicked.connect(self.load)
        bar.addWidget(self.go)
        self.progress = QtWidgets.QProgressBar()
        self.progress.setAccessibleName("how much of the bundle is loaded")
        bar.addWidget(self.progress)
        self.cancel = QtWidgets.QPushButton("Cance&l")
        self.cancel.setAccessibleName("cancel the loading")
        self.cancel.setToolTip("Stop loading that bundle (Alt+L)")
        self.cancel.clicked.connect(self._cancel.set)
        bar.addWidget(self.cancel)
        return bar

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self._pairs)
        table.setAlternatingRowColors(True)
        table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.verticalHeader().setDefaultSectionSize(20)
        table.horizontalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
        table.setAccessibleName("differences of the pairs in Hz")
        table.setToolTip("Pairs of filters by centre; all columns are in the export")
        table.selectionModel().currentRowChanged.connect(
            lambda now, _before: self.choose(now.row()) if now.row() >= 0 and now.row() != self.chosen else None
        )

    # Loading --------------------------------------------------------------------------------------------------------------

    @property
    def loading(self) -> bool:
        """Whether a bundle is being loaded."""
        return self._worker is not None and self._worker.busy

    @property
    def comparison(self) -> Comparison | None:
        """What is shown, once a bundle is loaded."""
        return self._comparison

    @property
    def message(self) -> str:
        """What became of the last try."""
        return self._told.text()

    def _browse(self) -> None:
        folder = QtWidgets.QFileDialog.getExistingDirectory(self, "Folder of a bundle")
        if folder:
            self.choice.setEditText(folder)
            self.load()

    def load(self) -> None:
        """Load the bundle that is named in the field, and compare with it; a tick hands it over."""
        chosen = self.choice.currentText().strip()
        if self.loading:
            return
        if not chosen:
            set_text(self._told, "Name a bundle: its folder, or one that ships with the program.")
            return
        self._cancel.clear()
        self._progress = (0, 0)
        self._show_loading(True)
        set_text(self._told, f"Loading {chosen} …")

        def report(done: int, of: int) -> None:
            # NB: the loading thread.
            self._progress = (done, of)
            if self._cancel.is_set():
                raise _CancelledError

        def work() -> tuple[Study, Comparison] | None:
            try:
                other = Study.of_bundle(load_bundle(chosen, report))
                if other.bank.sample_rate != self._study.bank.sample_rate:
                    raise BundleError(
                        f"{other.name} hears {other.bank.sample_rate} samples a second, {self._study.name} "
                        f"{self._study.bank.sample_rate}: their filters cannot be compared."
                    )
                return other, Comparison.of(self._study.bank, other.bank)
            except _CancelledError:
                return None

        if self._worker is None:
            self._worker = Worker()
        self._worker.ask(work, self._take_other, self._miss_other)

    def tick(self) -> None:
        """Show how far the loading is, and take what is loaded."""
        if self._worker is None:
            return
        done, of = self._progress
        if of:
            self.progress.setRange(0, of)
            self.progress.setValue(done)
        if self.built:
            self._worker.deliver()

    def end(self) -> None:
        """Stop loading and wait for the thread; a later load starts another."""
        self._cancel.set()
        if self._worker is not None:
            self._worker.close()
            self._worker = None
            self._show_loading(False)

    def _show_loading(self, loading: bool) -> None:
        for widget in (self.progress, self.cancel):
            widget.setVisible(loading)
        if loading:
            self.progress.setRange(0, 0)
        for button in (self.go, self.browse):
            button.setEnabled(not loading)
        self._empty.setEnabled(not loading)

    def _take_other(self, loaded: tuple[Study, Comparison] | None) -> None:
        self._show_loading(False)
        if loaded is None:
            set_text(self._told, "Cancelled.")
            return
        self._other, self._comparison = loaded
        self._show_result()

    def _miss_other(self, failure: Failure) -> None:
        self._show_loading(False)
        # What was compared before stays, but must not be taken for what was asked for.
        before = f" Still shown: {self._other.name}." if self._other is not None else ""
        set_text(self._told, f"Not compared: {failure.problem} {failure.remedy}".rstrip() + before)

    # Result ---------------------------------------------------------------------------------------------------------------

    def _show_result(self) -> None:
        comparison, other = self._comparison, self._other
        self._result.setVisible(comparison is not None)
        self._empty.setVisible(comparison is None)
        if comparison is None or other is None:
            return
        self.plots = {
            "bands of both": self._bands,
            "movement of both": self._movement,
            "bandwidth of both": self._width,
            "summed response of both": self._summed,
            TABLE: None,
        }
        first, second = comparison.first, comparison.second
        self.end_hz = first.sample_rate / 2.0
        self._columns = comparison.columns()
        set_text(self._told, f"A: {self._study.name}.  B: {other.name}. {comparison.describe()}")
        self._bands.getViewBox().setYRange(-1.0, float(comparison.pairs), padding=0.0)
        fit_y(self._movement, first.movement, second.movement, zero=True)
        fit_y(self._width, first.bandwidth, second.bandwidth, zero=True)
        fit_response(self._summed, first.response, second.response)
        self._pairs.show(self._columns)
        self.offer((self._columns["first_centre_hz"] + self._columns["second_centre_hz"]) / 2.0)
        self._redraw()

    def draw(self, palette: Palette) -> None:
        """As :meth:`Page.draw`."""
        comparison = self._comparison
        if comparison is None:
            return
        pairs = np.repeat(np.arange(comparison.pairs, dtype=np.float64), 2)
        banks = (comparison.first, comparison.second)
        summed = comparison.summed()
        names = ("first", "second")
        for side, (name, bank, colour) in enumerate(zip(names, banks, (palette.accent, palette.good), strict=True)):
            low, high = self._columns[f"{name}_low_hz"], self._columns[f"{name}_high_hz"]
            # Side by side: one a little above the other.
            height = pairs + (0.2 if side else -0.2)
            self._both_bands[side].setData(self.at(np.column_stack([low, high]).ravel()), height, pen=pg.mkPen(colour, width=2))
            self._both_moved[side].setData(self.at(bank.centre), bank.movement, brush=colour)
            self._both_widths[side].setData(self.at(bank.centre), bank.bandwidth, brush=colour)
            # Dashed as well as coloured.
            style = Qt.PenStyle.DashLine if side else Qt.PenStyle.SolidLine
            pen = pg.mkPen(colour, width=1, style=style)
            self._both_sums[side].setData(self.at(summed["frequency_hz"]), summed[f"{name}_db"], pen=pen)
        self._this_pair.setPen(pg.mkPen(palette.warning, width=3))
        for item in (self._these_moved, self._these_widths):
            item.setBrush(palette.warning)
        legend = (
            f'<span style="color:{palette.accent}">● A</span> &nbsp; <span style="color:{palette.good}">■ B (dashed)</span>'
        )
        self._bands.setTitle(f"Bands (pair by centre) &nbsp; {legend}", color=palette.text, size="9pt")
        self.refresh_choice(anew=True)

    def show_choice(self, number: int) -> None:
        """As :meth:`ChoicePage.show_choice`."""
        if self._comparison is None:
            return
        table = self._columns
        ends = np.array([table[f"{name}_{end}_hz"][number] for name in ("first", "second") for end in ("low", "high")])
        self._this_pair.setData(self.at(ends), number + np.array([-0.2, -0.2, 0.2, 0.2]))
        centres = self.at(np.array([table[f"{name}_centre_hz"][number] for name in ("first", "second")]))
        for quantity, item in (("movement", self._these_moved), ("bandwidth", self._these_widths)):
            item.setData(centres, [table[f"{name}_{quantity}_hz"][number] for name in ("first", "second")])
        if number == self.chosen and self.table.currentIndex().row() != number:
            self.table.setCurrentIndex(self._pairs.index(number, max(0, self.table.currentIndex().column())))

    def describe(self, number: int) -> str:
        """As :meth:`ChoicePage.describe`."""
        return minus(self._comparison.describe_pair(number)) if self._comparison is not None else ""

    def numbers(self, name: str) -> Columns:
        """As :meth:`Page.numbers`; the plots of pairs and the table with all that is known of the pairs, in Hz."""
        comparison = self._comparison
        if comparison is None or name not in self.plots:
            raise KeyError(name)
        return comparison.summed() if name == "summed response of both" else dict(self._columns)
