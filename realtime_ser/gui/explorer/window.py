"""The explorer's window: pages about a bundle's filters, one frequency axis for all, and the export. GUI thread only."""

from __future__ import annotations

import time
from pathlib import Path

from realtime_ser.gui.explorer.compare_page import ComparePage
from realtime_ser.gui.explorer.exports import FORMATS, Columns, ask_path, export_failure, export_plot
from realtime_ser.gui.explorer.filters_page import FiltersPage
from realtime_ser.gui.explorer.page import Page, PlotView
from realtime_ser.gui.explorer.reliance_page import ReliancePage
from realtime_ser.gui.explorer.scales import SCALES
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.explorer.training_page import TrainingPage
from realtime_ser.gui.panels.messages import Notice, NoticeBar
from realtime_ser.gui.panels.panel import ElidedLabel, Look, legend_markup, make_label, open_at, set_text, wear
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import Qt, QtGui, QtWidgets
from realtime_ser.types import Severity

__all__ = ["ExplorerWindow"]

BUILD_SECONDS = 0.01
"""How long a tick may build plots, if one alone does not take longer."""
READ_SECONDS = 6.0
"""How long it is told that something was done; what went wrong stays until the next try."""


class ExplorerWindow(QtWidgets.QDialog):
    """Filters, what the classes rely on, the training, and another bundle; the window that owns it calls :meth:`tick`.

    Parameters
    ----------
    study
        The bundle that is explored.
    """

    def __init__(self, study: Study, look: Look, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Filter-bank explorer – {study.name}")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        open_at(self, 1024, 700)
        self.setMinimumSize(860, 560)
        self._scale = SCALES[0]
        self._look = look
        self.filters = FiltersPage(study.bank)
        self.reliance = ReliancePage(study)
        self.training = TrainingPage(study)
        self.comparison = ComparePage(study)
        self._titled: tuple[tuple[str, str, Page], ...] = (
            ("Filters", "Every filter before and after training", self.filters),
            ("Classes", "Which filters a class relies on", self.reliance),
            ("Training", "How the filters moved in training", self.training),
            ("Compare", "Another bundle's filters beside this one's", self.comparison),
        )
        self._drawn: set[Page] = set()
        self._undrawn: list[PlotView] = []
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(self._bar())
        self._said = ElidedLabel()
        self._said.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        layout.addWidget(self._said)
        self._notice = NoticeBar()
        self._told_at = 0.0
        layout.addWidget(self._notice)
        self._pages = QtWidgets.QStackedWidget()
        for _, _, page in self._titled:
            self._pages.addWidget(page)
            page.told.connect(lambda line, page=page: self._show_line(page, line))
        layout.addWidget(self._pages, 1)
        for button in self.findChildren(QtWidgets.QPushButton):
            # Else Enter in a field would press whichever button comes first.
            button.setAutoDefault(False)
        self.finished.connect(self.end)
        self.show_page(0)
        self.apply_look(look)
        self.filters.setFocus()

    def _bar(self) -> QtWidgets.QHBoxLayout:
        bar = QtWidgets.QHBoxLayout()
        self._switches = []
        group = QtWidgets.QButtonGroup(self)
        for number, (title, tip, _) in enumerate(self._titled):
            button = QtWidgets.QToolButton()
            button.setText(title)
            button.setCheckable(True)
            button.setToolTip(f"{tip} (Alt+{number + 1})")
            button.setAccessibleName(f"page: {title}")
            button.clicked.connect(lambda _checked=False, chosen=number: self.show_page(chosen))
            QtGui.QShortcut(QtGui.QKeySequence(f"Alt+{number + 1}"), self, lambda chosen=number: self._turn_to(chosen))
            group.addButton(button)
            bar.addWidget(button)
            self._switches.append(button)
        bar.addStretch(1)
        self._legend = make_label("", "small")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        bar.addWidget(self._legend)
        bar.addSpacing(12)
        bar.addWidget(make_label("Frequency axis", "dim"))
        self._scales = QtWidgets.QComboBox()
        self._scales.addItems(SCALES)
        self._scales.setAccessibleName("frequency axis")
        self._scales.setToolTip("How frequencies are laid out in all plots")
        self._scales.currentTextChanged.connect(self._take_scale)
        bar.addWidget(self._scales)
        self._export = QtWidgets.QPushButton("E&xport")
        self._export.setAccessibleName("export a plot")
        self._export.setToolTip("Write a plot as SVG, PNG or CSV (Alt+X)")
        menu = QtWidgets.QMenu(self._export)
        menu.aboutToShow.connect(lambda: self._fill_menu(menu))
        self._export.setMenu(menu)
        bar.addWidget(self._export)
        return bar

    # Pages ----------------------------------------------------------------------------------------------------------------

    @property
    def page(self) -> Page:
        """The page that is shown."""
        return self._titled[self._pages.currentIndex()][2]

    def show_page(self, number: int) -> None:
        """Show the filters (0), the classes (1), the training (2) or the comparison (3)."""
        self.training.pause()
        self._pages.setCurrentIndex(number)
        self._switches[number].setChecked(True)
        self._legend.setVisible(self.page is self.filters)
        self._bring_up_to_date()
        self._show_line(self.page, self.page.line)

    def _turn_to(self, number: int) -> None:
        """By keys alone: what is used first on the page then has the focus."""
        self.show_page(number)
        self.page.setFocus()

    def _bring_up_to_date(self) -> None:
        """Draw the page that is shown, where it is not drawn in the present look and scale yet; the others wait."""
        page = self.page
        if page.built and page not in self._drawn:
            self._drawn.add(page)
            page.scale = self._scale
            page.apply_look(self._look)

    def _show_line(self, page: Page, line: str) -> None:
        if page is self.page:
            self._said.show_text(line)

    @property
    def description(self) -> str:
        """The line about what is chosen on the page that is shown."""
        return self.page.line

    def set_scale(self, scale: str) -> None:
        """Draw frequencies in ``"mel"``, ``"Hz"`` or ``"Bark"``."""
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self._scales.setCurrentText(scale)  # which calls _take_scale, if it is another

    def _take_scale(self, scale: str) -> None:
        self._scale = scale
        self._drawn.clear()
        self._bring_up_to_date()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        palette = look.palette
        wear(self, palette)
        self._notice.apply_look(look)
        legend = legend_markup((palette.accent, "learnt"), (palette.ghost, "initial"), (palette.warning, "chosen"))
        set_text(self._legend, legend)
        self._drawn.clear()
        self._bring_up_to_date()

    def tick(self) -> bool:
        """Build the page that is shown, play the training on, and take what was loaded; called by the owner's timer.

        Returns
        -------
        Whether something was built, which is enough for a turn of the event loop.
        """
        # A bundle may be loaded behind the page that is shown.
        page = self.comparison if self.comparison.loading else self.page
        builds = True
        if not page.built:
            page.build_on(BUILD_SECONDS)
            for view in page.findChildren(PlotView):
                if view not in self._undrawn:
                    view.setUpdatesEnabled(False)  # it is drawn once, when everything is there
                    self._undrawn.append(view)
        elif self.page.built and self.page not in self._drawn:
            self._bring_up_to_date()
        elif self._undrawn:
            self._undrawn.pop(0).setUpdatesEnabled(True)
        else:
            builds = False
        now = time.monotonic()
        self.training.tick(now)
        self.comparison.tick()
        told = self.notice
        if told is not None and told.severity is Severity.INFO and now - self._told_at > READ_SECONDS:
            self._notice.show_notice(None)
        return builds

    def end(self) -> None:
        """Stop what plays or loads; the window may be shown again."""
        self.training.pause()
        self.comparison.end()

    # Export ---------------------------------------------------------------------------------------------------------------

    @property
    def notice(self) -> Notice | None:
        """What became of the last export."""
        return self._notice.notice

    def plots(self) -> tuple[str, ...]:
        """Names of what can be exported from the page that is shown."""
        return tuple(self.page.plots)

    def numbers(self, name: str) -> Columns:
        """The numbers of the plot `name`, one of :meth:`plots`; ``ValueError`` for any other."""
        if name not in self.page.plots:
            raise ValueError(f"a plot is one of {', '.join(self.plots()) or 'none'}, got {name!r}")
        return self.page.numbers(name)

    def export(self, name: str, path: Path) -> None:
        """Write the plot `name` to `path`; errors as in :func:`export_plot` and :meth:`numbers`."""
        numbers = self.numbers(name)
        export_plot(self.page.plots[name], self._look.palette.panel, numbers, path)

    def _fill_menu(self, menu: QtWidgets.QMenu) -> None:
        menu.clear()
        for name in self.plots():
            menu.addAction(name).triggered.connect(lambda _checked=False, chosen=name: self._ask_export(chosen))
        if not self.plots():
            menu.addAction("nothing to export on this page").setEnabled(False)

    def _ask_export(self, name: str) -> None:
        self._notice.show_notice(None)
        path = ask_path(self, name, FORMATS if self.page.plots[name] is not None else ("csv",))
        if path is None:
            return
        try:
            self.export(name, path)
        except (OSError, ValueError) as error:
            failure = export_failure(error, path)
            self._notice.show_notice(Notice(Severity.WARNING, failure.problem, failure.remedy))
        else:
            self._told_at = time.monotonic()
            self._notice.show_notice(Notice(Severity.INFO, f"Exported to {shown_path(path)}"))
