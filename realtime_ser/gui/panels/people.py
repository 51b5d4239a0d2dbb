"""The bar under the transport where two people are listened to: what they are called, and what each speaks into."""

from __future__ import annotations

from collections.abc import Sequence

from realtime_ser.gui.controller import InputChoice
from realtime_ser.gui.panels.panel import ElidedBox, make_label
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
        for number, default in enumerate(DEFAULT_NAMES):
            name = QtWidgets.QLineEdit(default)
            name.setMaxLength(LONGEST_NAME)
            name.setMaximumWidth(150)
            which = ("first", "second")[number]
            name.setAccessibleName(f"name of the {which} person")
            name.setToolTip(f"What the {which} person is called, here and in exports")
            channel = QtWidgets.QSpinBox()
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
        self._update()

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
        index = self.second.currentIndex()
        if index > 0:
            chosen = self._choices[index - 1]
            return two_inputs(Input(first.kind, first.id), Input(chosen.kind, chosen.id), names, None)
        return same_input(Input(first.kind, first.id), names, [channel.value() - 1 for channel in self.channels])
