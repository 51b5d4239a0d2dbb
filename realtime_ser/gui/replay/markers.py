"""The markers of a session: which there are, and a row of fields to change the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime_ser.gui.panels.panel import Look, indent
from realtime_ser.gui.panels.recording import MARKER_COLOURS
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.replay.document import clock_text
from realtime_ser.session.reader import Row

__all__ = ["NEW_COLOUR", "NEW_NAME", "MarkerPage"]

NEW_NAME = "marker"
NEW_COLOUR = MARKER_COLOURS[0]
_COLOUR_NAMES = ("orange", "sky blue", "green", "yellow", "blue", "vermilion", "pink", "grey", "brown")
_NO_COLOUR = "no colour"


class MarkerPage(QtWidgets.QWidget):
    """Shows markers and says what somebody wants of them; nothing is changed here.

    Nothing is emitted while it is being filled.
    """

    add_asked = QtCore.Signal()
    """Mark where one is."""
    here_asked = QtCore.Signal(int)
    """Move this marker to where one is."""
    changed = QtCore.Signal(int, object)
    """This marker shall have other values: a dict of `name`, `colour` and `sample`."""
    delete_asked = QtCore.Signal(int)
    chosen_by_user = QtCore.Signal(int)
    left = QtCore.Signal()
    """Somebody has finished with the name."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = 1
        self._rows: dict[int, Row] = {}
        self._chosen: int | None = None
        self._filling = False
        # What was asked for, and is not yet in the rows.
        self._asked: dict[str, Any] = {}
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.list = QtWidgets.QListWidget()
        self.list.setAccessibleName("markers")
        self.list.setToolTip("A click goes there; Delete takes a marker back")
        self.list.setMinimumHeight(44)
        self.list.setUniformItemSizes(True)
        self.list.currentItemChanged.connect(self._choose_item)
        self.list.itemClicked.connect(self._choose_item)
        layout.addWidget(self.list, 1)
        self.name = QtWidgets.QLineEdit()
        self.name.setAccessibleName("name of the marker")
        self.name.setToolTip("Enter keeps it")
        self.name.setMinimumWidth(80)
        self.name.editingFinished.connect(self._rename)
        self.name.returnPressed.connect(self.left)
        self.colour = QtWidgets.QComboBox()
        self.colour.setAccessibleName("colour of the marker")
        self.colour.setToolTip("How it is drawn")
        self.colour.activated.connect(self._recolour)
        self.time = QtWidgets.QDoubleSpinBox()
        indent(self.time)
        self.time.setAccessibleName("time of the marker in seconds")
        self.time.setToolTip("Seconds from the beginning; arrow keys change it by a tenth, Enter keeps it")
        self.time.setDecimals(3)
        self.time.setSingleStep(0.1)
        self.time.setSuffix(" s")
        self.time.editingFinished.connect(self.commit)
        self.add = self._button("Add", "Mark where you are (M)", "add a marker", self.add_asked.emit)
        self.here = self._button(
            "Move here", "Move it to where you are (Ctrl+M)", "move the marker to the position", self._here
        )
        self.delete = self._button(
            "Delete", "Take it back; the original stays in the log (Delete)", "delete the marker", self._delete
        )
        fields, buttons = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        fields.addWidget(self.name, 3)
        fields.addWidget(self.colour, 1)
        fields.addWidget(self.time, 2)
        for button in (self.add, self.here, self.delete):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout.addLayout(fields)
        layout.addLayout(buttons)
        shortcut = QtGui.QShortcut(QtGui.QKeySequence.StandardKey.Delete, self.list)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self._delete)
        self._show_chosen()

    def _button(self, text: str, tip: str, name: str, action: Any) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setToolTip(tip)
        button.setAccessibleName(name)
        button.clicked.connect(lambda _checked=False: action())
        return button

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._fill_colours(look.palette.dim)

    def _fill_colours(self, none: str) -> None:
        chosen = self.colour.currentData()
        self.colour.clear()
        self.colour.addItem(_swatch(none), _NO_COLOUR, "")
        for colour, name in zip(MARKER_COLOURS, _COLOUR_NAMES, strict=True):
            self.colour.addItem(_swatch(colour), name, colour)
        self._set_colour(str(chosen or ""))

    def _set_colour(self, colour: str) -> None:
        index = self.colour.findData(colour)
        if index < 0:  # one from outside
            self.colour.addItem(_swatch(colour), colour, colour)
            index = self.colour.count() - 1
        self.colour.setCurrentIndex(index)

    # What is shown --------------------------------------------------------------------------------------------------------

    def show_markers(self, markers: Sequence[Row], rate: int, seconds: float) -> None:
        """Show the markers of a session that is `seconds` long; the one that was chosen stays chosen."""
        self._rate = rate
        self._rows = {row["id"]: row for row in markers}
        self._asked = {}
        self._filling = True
        self.time.setRange(0.0, seconds)
        self.list.clear()
        swatches = {colour: _swatch(colour) for colour in {row["colour"] for row in markers}}
        for row in markers:
            item = QtWidgets.QListWidgetItem(swatches[row["colour"]], f"{clock_text(row['sample'] / rate)}  {row['name']}")
            item.setData(Qt.ItemDataRole.UserRole, row["id"])
            was = ", ".join(f"{field} was {value}" for field, value in row["original"].items())
            item.setToolTip(f"{row['name']}, {row['source']}" + (f" ({was})" if was else ""))
            self.list.addItem(item)
        if not markers:
            item = QtWidgets.QListWidgetItem("none yet: M marks where you are")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)
        self._filling = False
        self.choose(self._chosen if self._chosen in self._rows else None)

    @property
    def chosen(self) -> int | None:
        """The marker that the fields are about."""
        return self._chosen

    def choose(self, marker: int | None) -> None:
        """Show a marker in the fields."""
        if marker != self._chosen:
            self._asked = {}
        self._chosen = marker
        self._filling = True
        self.list.setCurrentRow(list(self._rows).index(marker) if marker in self._rows else -1)
        self._filling = False
        self._show_chosen()

    def _show_chosen(self) -> None:
        row = self._rows.get(self._chosen) if self._chosen is not None else None
        self._filling = True
        if row is None or not self.name.hasFocus() or self.name.property("marker") != self._chosen:
            self.name.setText("" if row is None else row["name"])
            self.name.setProperty("marker", self._chosen)
        self._set_colour("" if row is None else row["colour"])
        self.time.setSpecialValueText("–" if row is None else "")  # of the least value, 0
        self.time.setValue(0.0 if row is None else row["sample"] / self._rate)
        self._filling = False
        for widget in (self.name, self.colour, self.time, self.here, self.delete):
            widget.setEnabled(row is not None)

    def begin_naming(self) -> None:
        """Put the focus on the name, all of it selected."""
        self.name.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.name.selectAll()

    # What the user does ---------------------------------------------------------------------------------------------------

    def _choose_item(self, item: QtWidgets.QListWidgetItem | None, _before: object = None) -> None:
        marker = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        if self._filling or marker is None:
            return
        self._chosen, self._asked = int(marker), {}
        self._show_chosen()
        self.chosen_by_user.emit(self._chosen)

    @property
    def dirty(self) -> bool:
        """Whether something stands in the fields that was not asked for yet."""
        return bool(self._written())

    def _written(self) -> dict[str, Any]:
        """Name and sample, as far as they differ from the row and from what was asked for."""
        row = self._rows.get(self._chosen) if self._chosen is not None else None
        if row is None or self._filling:
            return {}
        written: dict[str, Any] = {}
        text, sample = self.name.text().strip(), round(self.time.value() * self._rate)
        if text and text not in (row["name"], self._asked.get("name")):
            written["name"] = text
        # What is shown is rounded; only what somebody has chosen is a move.
        if abs(sample - row["sample"]) > 0.0005 * self._rate and sample != self._asked.get("sample"):
            written["sample"] = sample
        return written

    def commit(self) -> None:
        """Ask for what stands in the fields."""
        written = self._written()
        if written and self._chosen is not None:
            self._asked |= written
            self.changed.emit(self._chosen, written)

    def discard(self) -> None:
        """Forget what stands in the fields."""
        self.name.clearFocus()
        self._show_chosen()

    def _rename(self) -> None:
        if self._chosen in self._rows and not self.name.text().strip() and not self._filling:
            self.name.setText(self._rows[self._chosen]["name"])
        self.commit()

    def _recolour(self) -> None:
        row = self._rows.get(self._chosen) if self._chosen is not None else None
        if row is not None and self.colour.currentData() != row["colour"]:
            self.changed.emit(row["id"], {"colour": self.colour.currentData()})

    def _here(self) -> None:
        if self._chosen is not None:
            self.here_asked.emit(self._chosen)

    def _delete(self) -> None:
        if self._chosen is not None:
            self.delete_asked.emit(self._chosen)


def _swatch(colour: str) -> QtGui.QIcon:
    """A square of a colour, for lists; nothing where it is none."""
    pixmap = QtGui.QPixmap(10, 10)
    pixmap.fill(QtGui.QColor(colour) if QtGui.QColor.isValidColorName(colour) else Qt.GlobalColor.transparent)
    return QtGui.QIcon(pixmap)
