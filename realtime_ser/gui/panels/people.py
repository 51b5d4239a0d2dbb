"""The bar under the transport where two people are listened to: what they are called, and what each speaks into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.errors import ConfigError
from realtime_ser.gui.controller import InputChoice, PickedFile
from realtime_ser.gui.panels.panel import ElidedBox, indent, make_label
from realtime_ser.gui.qt import QtWidgets
from realtime_ser.inputs import DEFAULT_NAMES, LONGEST_NAME, Input, PeopleInput, parse_names, same_input, two_inputs

__all__ = ["PeopleBar"]

_SAME = "the same input, channel"
_MOST_CHANNELS = 64


class PeopleBar(QtWidgets.QFrame):
    """Names, channels, and a second input; hidden while one person is listened to."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setAccessibleName("two people")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(8)
        self.names: list[QtWidgets.QLineEdit] = []
        self.channels: list[QtWidgets.QSpinBox] = []
        self.second = ElidedBox()
        self.second.setAccessibleName("what the second person speaks into")
        self.second.setToolTip("Another channel of the same input, or a microphone of their own")
        self.second.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.second.setMinimumContentsLength(20)
        self.second.currentIndexChanged.connect(self._update)
        self.second.activated.connect(self._forget_wanted)
        for number, default in enumerate(DEFAULT_NAMES):
            name = QtWidgets.QLineEdit(default)
            name.setMaxLength(LONGEST_NAME)
            name.setMaximumWidth(150)
            which = ("first", "second")[number]
            name.setAccessibleName(f"name of the {which} person")
            name.setToolTip(f"What the {which} person is called, here and in exports")
            channel = QtWidgets.QSpinBox()
            indent(channel)
            channel.setRange(1, _MOST_CHANNELS)
            channel.setValue(number + 1)
            channel.setAccessibleName(f"channel of the {which} person")
            channel.setToolTip(f"Which channel of the input the {which} person speaks into, counted from 1")
            self.names.append(name)
            self.channels.append(channel)
        row.addWidget(make_label("Two people", "title"))
        row.addWidget(self.names[0])
        self._first = make_label("speaks into the input above, channel", "dim")
        row.addWidget(self._first)
        row.addWidget(self.channels[0])
        row.addSpacing(16)
        row.addWidget(self.names[1])
        row.addWidget(make_label("into", "dim"))
        row.addWidget(self.second)
        row.addWidget(self.channels[1])
        row.addStretch(1)
        self._choices: list[InputChoice] = []
        # What the second person shall speak into, as long as it was not found among the inputs.
        self._wanted: Input | None = None
        self.show_inputs(())
        self.hide()

    def show_inputs(self, choices: Sequence[InputChoice]) -> None:
        """Offer the microphones that there are; what was chosen stays chosen where it is still there."""
        before = self.second.currentText()
        self._choices = [choice for choice in choices if choice.kind == "microphone" and choice.usable]
        blocked = self.second.blockSignals(True)
        self.second.clear()
        self.second.addItems([_SAME, *(choice.title for choice in self._choices)])
        self.second.setCurrentIndex(max(0, self.second.findText(before)))
        self.second.blockSignals(blocked)
        self._find_wanted()
        self._update()

    def choose(self, people: PeopleInput) -> None:
        """Show two people as the command line names them."""
        for field, name in zip(self.names, people.names, strict=True):
            field.setText(name)
        for box, channel in zip(self.channels, people.channels, strict=False):
            box.setValue(channel + 1)
        self._wanted = people.inputs[1] if len(people.inputs) > 1 else None
        self._find_wanted()

    def _find_wanted(self) -> None:
        wanted = self._wanted
        if wanted is None:
            return
        if wanted.kind != "microphone":  # there as long as nothing else is chosen
            self._choices.append(PickedFile(wanted.id, Path(wanted.id).name or str(wanted), kind=wanted.kind))
            self.second.addItem(self._choices[-1].title)
            self.second.setCurrentIndex(len(self._choices))
            return
        exact = [number for number, choice in enumerate(self._choices, 1) if choice.id == wanted.id]
        alike = [number for number, choice in enumerate(self._choices, 1) if wanted.id.casefold() in choice.title.casefold()]
        if exact or alike:
            self._wanted = None
            self.second.setCurrentIndex((exact + alike)[0])

    def _forget_wanted(self) -> None:
        self._wanted = None  # the user has chosen

    def _update(self) -> None:
        shared = self.second.currentIndex() <= 0
        for channel in self.channels:
            channel.setVisible(shared)
        self._first.setText("speaks into the input above, channel" if shared else "speaks into the input above,")

    def people(self, first: InputChoice) -> PeopleInput:
        """Who is to be listened to, where the input that is chosen above is `first`.

        Raises
        ------
        ConfigError
            Names or inputs do not go together.
        """
        names = parse_names([name.text() for name in self.names])
        if self._wanted is not None and self._wanted.kind == "microphone":
            problem = f"There is no microphone “{self._wanted.id}” that can be used."
            raise ConfigError(problem, "Choose what the second person speaks into.")
        index = self.second.currentIndex()
        if index > 0:
            chosen = self._choices[index - 1]
            return two_inputs(Input(first.kind, first.id), Input(chosen.kind, chosen.id), names, None)
        return same_input(Input(first.kind, first.id), names, [channel.value() - 1 for channel in self.channels])
