"""Sessions as a table that is sorted and searched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from realtime_ser.gui.qt import Qt, QtCore, QtGui
from realtime_ser.gui.theme import DARK, Palette
from realtime_ser.session.catalogue import ListedPhase, SessionFacts

__all__ = ["COLUMNS", "SessionFilter", "SessionTable", "length_text"]

COLUMNS = ("Begun", "Participant", "Condition", "Length", "Kept", "State", "Folder")

_STATES: dict[ListedPhase, str] = {
    "closed": "✓ complete",
    "recording": "● recording",
    "interrupted": "! interrupted",
    "failed": "✕ failed",
    "unreadable": "✕ unreadable",
}
"""A sign and a word: nothing is told by colour alone."""

_NOTHING = "–"

_Index = QtCore.QModelIndex | QtCore.QPersistentModelIndex
_NOWHERE = QtCore.QModelIndex()
_SORT = Qt.ItemDataRole.UserRole


def length_text(seconds: float) -> str:
    """Seconds as ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class SessionTable(QtCore.QAbstractTableModel):
    """A row a session. GUI thread only."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[SessionFacts] = []
        self._palette = DARK

    def apply_palette(self, palette: Palette) -> None:
        """Take on a theme."""
        self._palette = palette
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(COLUMNS) - 1))

    def facts(self, row: int) -> SessionFacts:
        """The session of a row."""
        return self._rows[row]

    def show_facts(self, rows: list[SessionFacts]) -> None:
        """Show these sessions and no others; rows that have not changed keep their place, and stay selected."""
        now = {one.folder: one for one in rows}
        for row in reversed(range(len(self._rows))):
            if self._rows[row].folder not in now:
                self.beginRemoveRows(_NOWHERE, row, row)
                del self._rows[row]
                self.endRemoveRows()
        for row, before in enumerate(self._rows):
            after = now.pop(before.folder)
            if after != before:
                self._rows[row] = after
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))
        self.add_facts(list(now.values()))

    def add_facts(self, rows: list[SessionFacts]) -> None:
        """Show these sessions, too, as far as they are not there yet."""
        known = {one.folder for one in self._rows}
        new = [one for one in rows if one.folder not in known]
        if new:
            self.beginInsertRows(_NOWHERE, len(self._rows), len(self._rows) + len(new) - 1)
            self._rows += new
            self.endInsertRows()

    # What Qt asks -----------------------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Sessions."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """What is said about each."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Names of the columns."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell."""
        one, column = self._rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._texts(one)[column]
            case Qt.ItemDataRole.ToolTipRole:
                return f"{one.folder.name}\n{one.message}"
            case Qt.ItemDataRole.TextAlignmentRole if COLUMNS[column] == "Length":
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.ForegroundRole if COLUMNS[column] == "State":
                return QtGui.QBrush(QtGui.QColor(self._colour(one)))
            case _ if role == _SORT:
                text = self._texts(one)[column].casefold()
                return one.seconds if COLUMNS[column] == "Length" else "" if text == _NOTHING else text
        return None

    def _colour(self, one: SessionFacts) -> str:
        palette = self._palette
        colours = {"closed": palette.good, "recording": palette.record, "interrupted": palette.warning}
        return colours.get(one.phase, palette.error)

    def _texts(self, one: SessionFacts) -> tuple[str, ...]:
        kept = "scores" + ", words" * one.words + ", SOUND" * one.audio
        if one.phase == "unreadable":
            return _NOTHING, "", "", "", "", _STATES[one.phase], one.folder.name
        begun = datetime.fromisoformat(one.created).astimezone().strftime("%Y-%m-%d %H:%M")
        return (
            begun,
            one.participant,
            one.condition,
            length_text(one.seconds),
            kept,
            _STATES[one.phase],
            one.folder.name,
        )


class SessionFilter(QtCore.QSortFilterProxyModel):
    """Sorted, and only those in which every word that is looked for occurs somewhere."""

    def __init__(self, table: SessionTable) -> None:
        super().__init__()
        self._table = table
        self._words: tuple[str, ...] = ()
        self.setSortRole(_SORT)
        self.setSourceModel(table)

    def look_for(self, text: str) -> None:
        """Show only sessions with all words of `text`, in whatever case and column."""
        self._words = tuple(text.casefold().split())
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Whether a session is shown."""
        cells = (self._table.data(self._table.index(source_row, column)) for column in range(len(COLUMNS)))
        whole = " ".join(map(str, cells)).casefold()
        return all(word in whole for word in self._words)
