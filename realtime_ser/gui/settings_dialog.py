"""The settings: everything that a user may choose, in one place. A choice counts as soon as it is made, or it says when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from realtime_ser.bundle.providers import Provider
from realtime_ser.gui.controller import InputChoice
from realtime_ser.gui.panels.panel import ElidedBox, make_label, open_at
from realtime_ser.gui.paths import shown_path
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.settings import SCALES, SPANS, THEMES, ChoiceName, Settings
from realtime_ser.session.format import sessions_folder

__all__ = ["Installed", "SettingsDialog"]

_NEXT_LISTENING = "from the next start of listening on"
_NEXT_PROGRAM = "when the program is opened the next time"
_OUTLETS = (
    "What is switched on here leaves the program, not encrypted, from the next start of listening on: scores, utterances, "
    "markers and, where you say so, words. Sound never does. What is sent where stands in the window as long as it is."
)
_TITLES = {"system": "As the system is", "dark": "Dark", "light": "Light"}


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is to choose from on this machine.

    Attributes
    ----------
    recognizers
        Names of speech recognition models.
    bundles
        Names of model bundles that ship with the program.
    providers
        ONNX Runtime's names of what it can compute with.
    profiles
        Names of speakers' profiles.
    """

    recognizers: Sequence[str] = ()
    bundles: Sequence[str] = ()
    providers: Sequence[str] = ()
    profiles: Sequence[str] = ()


class SettingsDialog(QtWidgets.QDialog):
    """Stays open beside the window.

    Parameters
    ----------
    settings
        What is shown and changed.
    """

    changed = QtCore.Signal(str)
    """A choice was made and stored: its name."""
    calibration_asked = QtCore.Signal()
    """Learn somebody's neutral voice."""

    def __init__(self, parent: QtWidgets.QWidget, settings: Settings) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        open_at(self, 660, 720)
        self.setMinimumSize(460, 320)
        self._settings = settings
        self._boxes: dict[ChoiceName, QtWidgets.QComboBox] = {}
        self._checks: dict[ChoiceName, QtWidgets.QCheckBox] = {}
        self._fields: dict[ChoiceName, QtWidgets.QLineEdit] = {}
        rows = QtWidgets.QWidget()
        rows.setObjectName("rows")
        self._rows = QtWidgets.QFormLayout(rows)
        self._rows.setHorizontalSpacing(16)
        self._rows.setVerticalSpacing(9)
        self._rows.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._rows.setRowWrapPolicy(QtWidgets.QFormLayout.RowWrapPolicy.DontWrapRows)
        self._add_rows()
        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName("settings")
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # whatever is in it has a key, and is scrolled to
        area.setWidget(rows)
        self._area = area
        self.reset = QtWidgets.QPushButton("Reset to defaults")
        self.reset.setToolTip("Every choice here; markers, condition and sessions stay as they are")
        self.reset.setAutoDefault(False)
        self.reset.clicked.connect(self._reset)
        close = QtWidgets.QPushButton("Close")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.reset)
        buttons.addStretch(1)
        buttons.addWidget(close)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addLayout(buttons)
        self.show_inputs(())
        self.show_installed(Installed())
        self.refresh()

    # Rows -----------------------------------------------------------------------------------------------------------------

    def _add_rows(self) -> None:
        self._heading("Sound")
        self._box(
            "input", "&Input at start", "What is chosen when the program is opened; the bar above the window changes it too"
        )
        self._check("listen", "Listen as soon as the program is &open", _NEXT_PROGRAM)
        self._box("buffering", "Microphone &buffer", f"A small one answers sooner and may lose sound; {_NEXT_LISTENING}")
        self._fill(
            "buffering", [("Large: as safe as the driver makes it", ""), ("Small: as quick as the driver makes it", "low")]
        )
        self._heading("Words and model")
        self._box("recognizer", "&Recogniser", f"What writes the words; {_NEXT_LISTENING}", self._choose_model)
        self._box("bundle", "&Model bundle", f"The networks that give the scores; {_NEXT_LISTENING}", self._choose_bundle)
        self._box(
            "provider", "Computed b&y", f"Others than the processor are used only where they give the same; {_NEXT_LISTENING}"
        )
        self._box("weights", "&Weights", f"int8 is used only where the scores agree; {_NEXT_LISTENING}")
        self._fill(
            "weights",
            [
                ("As the program was started, else float32", ""),
                ("float32: exact", "float32"),
                ("int8: smaller and often faster", "int8"),
                ("int8 where it is faster here", "auto"),
            ],
        )
        self._heading("Speaker")
        self._box(
            "profile",
            "Who s&peaks",
            f"Adapts the scores to a measured neutral voice (what that is worth is on the card); {_NEXT_LISTENING}",
            self.calibration_asked.emit,
            ("Measure…", "measure somebody's neutral voice"),
        )
        self._heading("Window")
        self._box("theme", "&Theme", "Ctrl+T switches between dark and light")
        self._fill("theme", [(_TITLES[theme], theme) for theme in THEMES])
        self._box("scale", "Si&ze of everything", _NEXT_PROGRAM[0].upper() + _NEXT_PROGRAM[1:])
        self._check("still", "Reduced motio&n", "Pictures move on a few times a second, not thirty times")
        self._box("span", "Time&line", "How much of the past is shown; Z switches")
        self._fill("span", [(f"{span} seconds", str(span)) for span in SPANS])
        self._box("axis", "&Frequency axis", "Of the filter bank; M switches")
        self._fill("axis", [("mel", "mel"), ("Hz", "Hz")])
        self._heading("Sessions")
        kept = self._field("sessions", "&Kept in", "From the next recording on", self._choose_sessions)
        kept.setPlaceholderText(shown_path(sessions_folder()))
        self._heading("Outlets")
        said = make_label(_OUTLETS, "small")
        said.setWordWrap(True)
        self._rows.addRow(said)
        self._check("lsl", "L&ab Streaming Layer (LSL)", "To whoever is on this network; needs pylsl and liblsl")
        markers = self._field(
            "lsl_markers",
            "Ot&hers' markers",
            "Name of an LSL stream, of PsychoPy for example; its markers are taken into what is recorded",
        )
        markers.setPlaceholderText("of no stream")
        self._check("osc", "Open Sound &Control (OSC)", "Messages over UDP; needs python-osc")
        self._field("osc_address", "OSC &goes to", "Such as 127.0.0.1:9000, which stays on this machine")
        self._check("websocket", "Web&Socket", "JSON records for programs that connect; needs websockets")
        self._field(
            "websocket_address",
            "S&erved at",
            "Such as 8765: for this machine alone. Others need a host, and a token in the environment",
        )
        self._check("send_words", "Send the recognised wor&ds too", "Otherwise scores, utterances and markers alone")

    def _heading(self, text: str) -> None:
        label = make_label(text, "title")
        label.setContentsMargins(0, 10 if self._rows.rowCount() else 0, 0, 2)
        self._rows.addRow(label)

    def _row(
        self,
        name: ChoiceName,
        title: str,
        control: QtWidgets.QWidget,
        note: str,
        browse: Callable[[], None] | None = None,
        asked: tuple[str, str] | None = None,
    ) -> None:
        control.setAccessibleName(title.replace("&", "").lower())
        control.setToolTip(note)
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(control, 1)
        if browse is not None:
            text, meaning = asked or ("Folder…", f"choose a folder for {title.replace('&', '').lower()}")
            button = QtWidgets.QPushButton(text)
            button.setAutoDefault(False)
            button.setAccessibleName(meaning)
            button.clicked.connect(browse)
            line.addWidget(button)
        if name in self._settings.given:
            note = f"For this run, the command line or the environment decides. {note}"
        said = make_label(note, "small")
        said.setWordWrap(True)
        control.setAccessibleDescription(note)
        column = QtWidgets.QVBoxLayout()
        column.setSpacing(1)
        column.addLayout(line)
        column.addWidget(said)
        label = QtWidgets.QLabel(title if not isinstance(control, QtWidgets.QCheckBox) else "")
        label.setBuddy(control)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        label.setContentsMargins(0, 8, 0, 0)
        self._rows.addRow(label, column)

    def _box(
        self,
        name: ChoiceName,
        title: str,
        note: str,
        browse: Callable[[], None] | None = None,
        asked: tuple[str, str] | None = None,
    ) -> None:
        box = ElidedBox()
        box.setMinimumContentsLength(16)
        box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        # A wheel that scrolls the page must not choose on its way.
        box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        box.installEventFilter(self)
        box.activated.connect(lambda _index: self._choose(name, str(box.currentData())))
        self._boxes[name] = box
        self._row(name, title, box, note, browse, asked)

    def _check(self, name: ChoiceName, title: str, note: str) -> None:
        check = QtWidgets.QCheckBox(title)
        check.clicked.connect(lambda checked: self._choose(name, "true" if checked else "false"))
        self._checks[name] = check
        self._row(name, title, check, note[0].upper() + note[1:])

    def _field(self, name: ChoiceName, title: str, note: str, browse: Callable[[], None] | None = None) -> QtWidgets.QLineEdit:
        field = QtWidgets.QLineEdit()
        field.editingFinished.connect(lambda: self._choose(name, field.text().strip()))
        self._fields[name] = field
        self._row(name, title, field, note, browse)
        return field

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let the wheel scroll the page unless a control was chosen first."""
        if event.type() == QtCore.QEvent.Type.Wheel and isinstance(watched, QtWidgets.QComboBox) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    # What there is --------------------------------------------------------------------------------------------------------

    def show_inputs(self, choices: Sequence[InputChoice]) -> None:
        """Offer these inputs."""
        items = [("The default microphone", "")]
        items += [(choice.title, f"microphone:{choice.title}") for choice in choices if choice.kind == "microphone"]
        items += [(choice.title, "demo") for choice in choices if choice.kind == "demo"]
        self._fill("input", items)

    def show_installed(self, installed: Installed) -> None:
        """Offer what is installed."""
        models = [(name, name) for name in installed.recognizers]
        self._fill(
            "recognizer",
            [
                ("The best that is installed", ""),
                *models,
                ("PocketSphinx", "pocketsphinx"),
                ("None: the voice alone counts", "none"),
            ],
        )
        self._fill("bundle", [("The one that comes with the program", ""), *((name, name) for name in installed.bundles)])
        self._fill(
            "provider",
            [("A graphics processor where it is faster, else the processor", ""), *((f"{one}", one.value) for one in Provider)],
            disabled={one.value for one in Provider if installed.providers and one.runtime_name not in installed.providers},
        )
        self._fill("profile", [("Anybody", ""), *((name, name) for name in installed.profiles)])
        self._fill("scale", [(f"{scale} %", str(scale)) for scale in SCALES], disabled=self._scales_too_large())

    def _scales_too_large(self) -> set[str]:
        """Scales at which the smallest window would not fit the screen: whoever chose one could not choose another."""
        screen, window = self.screen(), self.parentWidget()
        if screen is None or window is None:
            return set()
        available = screen.availableSize() * self._settings.scale
        least = window.minimumSize()
        fits = min(available.width() / least.width(), available.height() / least.height())
        return {str(scale) for scale in SCALES if scale > 100 and scale / 100.0 > fits}

    def _fill(self, name: ChoiceName, items: Sequence[tuple[str, str]], disabled: set[str] | None = None) -> None:
        """Offer titles and values; what is stored and not among them is offered too, and said not to be there."""
        box, stored = self._boxes[name], self._settings.stored(name)
        box.clear()
        for title, value in items:
            box.addItem(title, value)
            if value in (disabled or ()):
                index = box.model().index(box.count() - 1, 0)
                box.model().setData(index, 0, Qt.ItemDataRole.UserRole - 1)  # Qt's way to disable one entry
                box.setItemData(box.count() - 1, "not on this machine", Qt.ItemDataRole.ToolTipRole)
        if box.findData(stored) < 0:
            title = stored.partition(":")[2] or stored
            box.addItem(f"{title} (not found)" if name == "input" else title, stored)
        box.setCurrentIndex(box.findData(stored))

    def refresh(self) -> None:
        """Show what is stored now."""
        for name, box in self._boxes.items():
            box.setCurrentIndex(max(0, box.findData(self._settings.stored(name))))
        for name, check in self._checks.items():
            check.setChecked(self._settings.stored(name) == "true")
        for name, field in self._fields.items():
            field.setText(self._settings.stored(name))

    # Choosing -------------------------------------------------------------------------------------------------------------

    def _choose(self, name: ChoiceName, value: str) -> None:
        if value != self._settings.stored(name):
            self._settings.store(name, value)
            self.changed.emit(name)

    def _choose_folder(self, name: ChoiceName, title: str) -> None:
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, title, self._settings.stored(name))
        if not chosen:
            return
        box = self._boxes.get(name)
        if box is not None and box.findData(chosen) < 0:
            box.addItem(chosen, chosen)
        self._choose(name, chosen)
        self.refresh()

    def _choose_model(self) -> None:
        self._choose_folder("recognizer", "The folder of a Vosk model")

    def _choose_bundle(self) -> None:
        self._choose_folder("bundle", "The folder of a model bundle")

    def _choose_sessions(self) -> None:
        self._choose_folder("sessions", "Where sessions are kept")

    def _reset(self) -> None:
        before = {name: self._settings.stored(name) for name in (*self._boxes, *self._checks, *self._fields)}
        self._settings.reset()
        self.refresh()
        for name, value in before.items():
            if value != self._settings.stored(name):
                self.changed.emit(name)

    def box(self, name: ChoiceName) -> QtWidgets.QComboBox:
        """The control of a choice among several."""
        return self._boxes[name]

    def check(self, name: ChoiceName) -> QtWidgets.QCheckBox:
        """The control of a choice between yes and no."""
        return self._checks[name]

    def field(self, name: ChoiceName) -> QtWidgets.QLineEdit:
        """The control of a choice that is written."""
        return self._fields[name]
