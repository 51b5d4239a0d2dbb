"""How far the loading of the model is, and a way to stop it."""

from __future__ import annotations

from realtime_ser.assembly import LoadingStep
from realtime_ser.gui.panels.panel import ElidedLabel
from realtime_ser.gui.qt import QtCore, QtWidgets

__all__ = ["LoadingBar"]

_PARTS = 1_000


class LoadingBar(QtWidgets.QFrame):
    """A line across the window; hidden while nothing is loaded."""

    stop_asked = QtCore.Signal()
    """Cancel was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self._said = ElidedLabel("")
        self._bar = QtWidgets.QProgressBar()
        self._bar.setRange(0, _PARTS)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("loading the model")
        self._cancel = QtWidgets.QPushButton("Cancel")
        self._cancel.setToolTip("Stop loading the model, before its next step")
        self._cancel.setAccessibleName("stop loading the model")
        self._cancel.clicked.connect(self.stop_asked)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(12)
        row.addWidget(self._said, 1)
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        self.setVisible(False)

    @property
    def text(self) -> str:
        """What is said about it."""
        return self._said.text()

    @property
    def done(self) -> float:
        """How much of it is done, as the bar says."""
        return self._bar.value() / _PARTS

    def show_step(self, step: LoadingStep | None, *, stopping: bool = False) -> None:
        """Show the step that is under way; ``None``: what is needed first is not there yet. `stopping`: that was asked for."""
        if stopping:
            text = "Loading the model: it stops before its next step …"
        elif step is None:
            text = "Loading the model: first the inputs are looked for"
        else:
            text = f"Loading the model: {step.number} of {step.of}, {step.what}"
        self._said.show_text(text)
        self._bar.setValue(round(_PARTS * step.done) if step is not None else 0)
        self._bar.setAccessibleDescription(text)
        self._cancel.setEnabled(not stopping)
        self.setVisible(True)
