"""The utterance at hand: its verdict, its words, and fields for what was really said and what it was in somebody's opinion."""

from __future__ import annotations

import html
from collections.abc import Sequence

from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, make_label, percent, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.replay.document import Utterance, clock_text
from realtime_ser.gui.theme import class_styles

__all__ = ["UtterancePanel"]


class UtterancePanel(Panel):
    """Shows an utterance; what is written into its fields is kept by nobody but them until somebody saves it.

    Parameters
    ----------
    classes
        Proposed as labels.
    kept_words
        Whether words may be kept with the session at all.
    """

    save_asked = QtCore.Signal()
    discard_asked = QtCore.Signal()

    def __init__(self, classes: Sequence[str], kept_words: bool) -> None:
        super().__init__("Utterance")
        self._look: Look | None = None
        self._shown: Utterance | None = None
        self._compared: Utterance | None = None
        self._scoring = ""
        self._kept_words = kept_words
        self._number = make_label("", "small")
        self.header.addWidget(self._number, 1)
        self._verdict = make_label("", "state")
        self._verdict.setTextFormat(Qt.TextFormat.RichText)
        self._later = make_label("", "state")
        self._later.setTextFormat(Qt.TextFormat.RichText)
        self._scores = ElidedLabel("dim")
        self._heard = make_label()
        self._heard.setWordWrap(True)
        self._heard.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._heard.setAlignment(Qt.AlignmentFlag.AlignTop)
        for widget in (self._verdict, self._later, self._scores):
            self.body.addWidget(widget)
        scroll = QtWidgets.QScrollArea()
        scroll.setAccessibleName("what was recognised")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.viewport().setAutoFillBackground(False)
        self._heard.setAutoFillBackground(False)
        scroll.setWidget(self._heard)
        scroll.setMinimumHeight(34)
        self.body.addWidget(scroll, 1)
        self.body.addLayout(self._make_form(classes))

    def _make_form(self, classes: Sequence[str]) -> QtWidgets.QGridLayout:
        form = QtWidgets.QGridLayout()
        form.setHorizontalSpacing(8)
        self.said = QtWidgets.QLineEdit()
        self.said.setAccessibleName("what was really said")
        self.said.setPlaceholderText("the right words" if self._kept_words else "No words are kept with this session.")
        self.said.setEnabled(self._kept_words)
        self.label = QtWidgets.QComboBox()
        self.label.setEditable(True)
        self.label.setAccessibleName("what the utterance was in your opinion")
        self.label.addItems(["", *classes])
        form.addWidget(make_label("Really said", "dim"), 0, 0)
        form.addWidget(self.said, 0, 1, 1, 3)
        form.addWidget(make_label("Your label", "dim"), 1, 0)
        form.addWidget(self.label, 1, 1)
        self._save = QtWidgets.QPushButton("Save")
        self._save.setToolTip("Keep it beside the original (Ctrl+S)")
        self._save.clicked.connect(self.save_asked)
        self._discard = QtWidgets.QPushButton("Discard")
        self._discard.setToolTip("Forget what you wrote")
        self._discard.clicked.connect(self.discard_asked)
        form.addWidget(self._save, 1, 2)
        form.addWidget(self._discard, 1, 3)
        form.setColumnStretch(1, 1)
        self.said.textChanged.connect(self._show_dirt)
        self.said.returnPressed.connect(self.save_asked)
        self.label.currentTextChanged.connect(self._show_dirt)
        return form

    def apply_look(self, look: Look) -> None:
        """Take on a theme; what is written stays."""
        self._look = look
        if self._shown is not None:
            self._show_texts(self._shown, self._compared, self._scoring)

    @property
    def written(self) -> tuple[str, str]:
        """Words and label, as they stand in the fields."""
        return self.said.text().strip(), self.label.currentText().strip()

    @property
    def dirty(self) -> bool:
        """Whether something was written that is not saved."""
        one = self._shown
        return one is not None and self.written != (one.said, one.annotation or "")

    @property
    def writing(self) -> bool:
        """Whether somebody is at it."""
        return self.said.hasFocus()

    def _show_dirt(self) -> None:
        dirty = self.dirty
        self._save.setEnabled(dirty)
        self._discard.setEnabled(dirty)

    def show_utterance(self, one: Utterance | None, later: Utterance | None, scores: str | None, nothing: str) -> None:
        """Show an utterance, and fill the fields.

        Parameters
        ----------
        later
            The same one in a later scoring.
        scores
            Name of that scoring; ``None``: there is none to compare with.
        nothing
            What to say where there is no utterance.
        """
        self._shown, self._compared, self._scoring = one, later, scores or ""
        blocked = self.said.blockSignals(True)
        self.said.setText("" if one is None else one.said)
        self.said.setCursorPosition(0)
        self.said.blockSignals(blocked)
        blocked = self.label.blockSignals(True)
        self.label.setCurrentText("" if one is None else one.annotation or "")
        self.label.blockSignals(blocked)
        self.label.setEnabled(one is not None)
        self.said.setEnabled(one is not None and self._kept_words)
        self._later.setVisible(scores is not None)
        if one is None:
            set_text(self._number, nothing)
            for label in (self._verdict, self._later, self._heard):
                set_text(label, "")
            self._scores.show_text("")
        else:
            self._show_texts(one, later, scores or "")
        self._show_dirt()

    def _show_texts(self, one: Utterance, later: Utterance | None, scores: str) -> None:
        set_text(self._number, f"no. {one.number}, {clock_text(one.start)} – {clock_text(one.end)}")
        bleed = f" ↔ probably the other person's voice ({percent(one.bleed or 0.0)} of it)" if one.is_bleed else ""
        set_text(self._verdict, self._markup("recorded", one) + bleed)
        set_text(self._later, self._markup(scores, later) if later is not None else "not scored again")
        shown = later or one
        percents = "  ".join(f"{name} {percent(score)}" for name, score in shown.scores.items())
        self._scores.show_text(f"{percents}{f'  ({shown.note})' if shown.note else ''}")
        heard = f"Recognised: {one.words}" if one.words else "No words were kept." if not one.corrected else ""
        set_text(self._heard, heard)

    def _markup(self, name: str, one: Utterance) -> str:
        if self._look is None:
            raise RuntimeError("a theme is applied before anything is shown")
        palette = self._look.palette
        colour, what = palette.unsure, "? unsure"
        if one.label is not None:
            (style,) = class_styles((one.label,), palette)
            colour, what = style.colour, f"{style.glyph} {html.escape(one.label)}"
        return f'{html.escape(name)}: <span style="color:{colour}">{what} {percent(one.confidence)}</span>'
