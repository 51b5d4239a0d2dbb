"""The health panel: every figure with what it means, the log, and a button that copies it all as a report."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from realtime_ser.gui.panels.panel import Look, make_label, open_at
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.report import Section

__all__ = ["HealthDialog"]


class HealthDialog(QtWidgets.QDialog):
    """Stays open beside the window and is kept up to date by it.

    Parameters
    ----------
    report
        Makes the text that the button copies.
    """

    def __init__(self, parent: QtWidgets.QWidget, report: Callable[[], str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Health")
        open_at(self, 660, 760)
        self.setMinimumSize(420, 320)
        self._report = report
        self._look: Look | None = None
        self._figures = QtWidgets.QTextBrowser()
        self._figures.setAccessibleName("figures")
        self._log = QtWidgets.QPlainTextEdit()
        self._log.setReadOnly(True)
        self._log.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        self._log.setAccessibleName("the last lines of the log")
        self._log.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
        self._where = make_label("", "small")
        self.copy = QtWidgets.QPushButton("Copy report")
        self.copy.setToolTip("Figures, messages and log as text, without words or scores, to be passed on")
        self.copy.clicked.connect(self._copy)
        self._copied = make_label("", "dim")
        parts = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        parts.addWidget(self._figures)
        parts.addWidget(self._log)
        parts.setSizes([580, 120])
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.copy)
        row.addWidget(self._copied, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(parts, 1)
        layout.addWidget(self._where)
        layout.addLayout(row)

    @property
    def text(self) -> str:
        """The figures as they are shown."""
        return self._figures.toPlainText()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look

    def show_sections(self, sections: Sequence[Section]) -> None:
        """Show the figures; the place that is read stays where it is."""
        if self._look is None:
            return
        palette = self._look.palette
        rows: list[str] = []
        for section in sections:
            rows.append(f'<tr><td colspan="3" style="padding-top:8px; color:{palette.accent}"><b>{section.title}</b></td></tr>')
            for item in section.items:
                colour = palette.warning if item.worrying else palette.text
                sign = "! " if item.worrying else ""
                rows.append(
                    f'<tr><td style="padding-right:14px; color:{palette.dim}">{html.escape(item.name)}</td>'
                    f'<td style="padding-right:14px; color:{colour}">{sign}{html.escape(item.value)}</td>'
                    f'<td style="color:{palette.dim}">{html.escape(item.meaning)}</td></tr>'
                )
        bar = self._figures.verticalScrollBar()
        place = bar.value()
        self._figures.setHtml(f"<table>{''.join(rows)}</table>")
        bar.setValue(place)

    def show_log(self, lines: Sequence[str], where: str) -> None:
        """Show the end of the log."""
        self._log.setVisible(bool(where))
        text = "\n".join(lines)
        if text != self._log.toPlainText():
            self._log.setPlainText(text)
            self._log.moveCursor(QtGui.QTextCursor.MoveOperation.End)
            self._log.moveCursor(QtGui.QTextCursor.MoveOperation.StartOfLine)
        self._where.setText(f"Log: {where}" if where else "No log is written.")

    def _copy(self) -> None:
        QtWidgets.QApplication.clipboard().setText(self._report())
        self._copied.setText("Copied. It holds no words and no scores.")
