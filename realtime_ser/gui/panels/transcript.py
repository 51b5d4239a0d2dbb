"""The utterances as text: when, which verdict, which words, and how sure the recogniser was of each."""

from __future__ import annotations

import html
import math

from realtime_ser.gui.models import TranscriptModel, UtteranceRow, clock
from realtime_ser.gui.panels.panel import Look, make_label, numeric_font, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import blend, ink_on
from realtime_ser.types import Word

__all__ = ["TranscriptList", "words_markup"]

DOUBTFUL = 0.6
"""Words below this confidence are underlined with dots, so that the fainter colour is not the only sign."""

_BESIDE = 340
"""Pixels of a list from which on words stand beside their verdict."""


def words_markup(words: tuple[Word, ...], final: bool, look: Look) -> str:
    """Rich text of a transcript: the less sure a word, the fainter; words still being revised are in italics."""
    palette = look.palette
    parts = []
    for word in words:
        sure = 1.0 if math.isnan(word.confidence) else min(max(word.confidence, 0.0), 1.0)
        # Never fainter than the palette's secondary text, which is readable on the panel.
        style = f"color:{blend(palette.text, palette.dim, sure)}"
        if sure < DOUBTFUL:
            style += "; text-decoration: underline"
        parts.append(f'<span style="{style}">{html.escape(word.text)}</span>')
    text = " ".join(parts)
    return text if final else f"<i>{text} …</i>"


class _Row(QtWidgets.QWidget):
    """One utterance."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = QtWidgets.QGridLayout(self)
        self._layout.setContentsMargins(2, 3, 4, 3)
        self._layout.setHorizontalSpacing(8)
        self._layout.setVerticalSpacing(2)
        self._layout.setColumnStretch(2, 1)
        self._below = False
        self._time = make_label("", "dim")
        self._time.setFont(numeric_font(12))
        self._time.setFixedWidth(44)
        self._time.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._chip = make_label()
        self._chip.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words = QtWidgets.QLabel()
        self._words.setTextFormat(Qt.TextFormat.RichText)
        self._words.setWordWrap(True)
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._words.setCursor(Qt.CursorShape.IBeamCursor)
        for column, widget in enumerate((self._time, self._chip, self._words)):
            self._layout.addWidget(widget, 0, column, Qt.AlignmentFlag.AlignTop)
        self.revision = -1

    def put_words_below(self, below: bool) -> None:
        """Words beside the verdict, or below it where beside it only a few letters would have room."""
        if below == self._below:
            return
        self._below = below
        place = (1, 1, 1, 2) if below else (0, 2, 1, 1)
        self._layout.addWidget(self._words, *place, Qt.AlignmentFlag.AlignTop)
        self._layout.setHorizontalSpacing(4 if below else 8)  # or half of a small window does not take time and verdict

    def show_row(self, row: UtteranceRow, look: Look) -> None:
        self.revision = row.revision
        self._chip.setFixedWidth(_chip_width(look))
        set_text(self._time, clock(row.span.first))
        verdict_text = self._show_chip(row, look)
        transcript = row.transcript
        if transcript is not None and transcript.words:
            set_text(self._words, words_markup(transcript.words, transcript.final, look))
            self._words.setToolTip(f"written by {transcript.recognizer}; underlined: the recogniser was unsure")
            spoken = transcript.text
        else:
            waiting = not row.ended or (transcript is None and row.verdict is None)
            spoken = "…" if waiting else "no words recognised"
            set_text(self._words, f'<span style="color:{look.palette.dim}">{spoken}</span>')
        self.setAccessibleName(f"{clock(row.span.first)}, {verdict_text}: {spoken}")

    def _show_chip(self, row: UtteranceRow, look: Look) -> str:
        palette = look.palette
        base = "font-size: 11px; font-weight: 600; border-radius: 4px; padding: 1px 4px;"
        if row.verdict is None:
            set_text(self._chip, "under way" if not row.ended else "deciding")
            self._chip.setStyleSheet(f"{base} color: {palette.dim}; border: 1px solid {palette.grid};")
            return self._chip.text()
        estimate = row.verdict.estimate
        self._chip.setToolTip(
            ", ".join(f"{s.name} {100.0 * p:.0f} %" for s, p in zip(look.classes, estimate.scores, strict=False))
            + (f" – {estimate.note}" if estimate.note else "")
        )
        if row.verdict.is_bleed:
            share = 100.0 * (row.verdict.bleed or 0.0)
            scored = self._chip.toolTip()
            self._chip.setToolTip(
                f"Probably another person's voice, heard in this microphone ({share:.0f} %). Scored: {scored}"
            )
            set_text(self._chip, "↔ bleed")
            self._chip.setStyleSheet(f"{base} color: {palette.dim}; border: 1px dashed {palette.dim};")
            return "probably another person's voice"
        for style in look.classes:
            if style.name == estimate.label:
                set_text(self._chip, f"{style.glyph} {style.name} {100.0 * estimate.confidence:.0f} %")
                self._chip.setStyleSheet(
                    f"{base} color: {ink_on(style.colour)}; background: {style.colour}; border: 1px solid {style.colour};"
                )
                return self._chip.text()
        set_text(self._chip, "unsure")
        self._chip.setStyleSheet(f"{base} color: {palette.text}; border: 1px dashed {palette.unsure};")
        return "unsure"


def _chip_width(look: Look) -> int:
    """Room for the longest verdict there can be."""
    font = QtGui.QFont(QtWidgets.QApplication.font())
    font.setPixelSize(11)
    font.setWeight(QtGui.QFont.Weight.DemiBold)
    metrics = QtGui.QFontMetrics(font)
    texts = ["under way", *(f"{style.glyph} {style.name} 100 %" for style in look.classes)]
    return max(metrics.horizontalAdvance(text) for text in texts) + 16


class TranscriptList(QtWidgets.QScrollArea):
    """The newest utterances, the latest at the bottom; it follows the end unless the user has scrolled away from it."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("transcript with verdicts")
        content = QtWidgets.QWidget()
        content.setObjectName("rows")
        self._layout = QtWidgets.QVBoxLayout(content)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._empty = make_label("Utterances appear here, with their words and their verdicts.", "dim")
        self._empty.setWordWrap(True)
        self._layout.addWidget(self._empty)
        self._layout.addStretch(1)
        self.setWidget(content)
        self._rows: dict[int, _Row] = {}
        self._look: Look | None = None
        self._shown_revision = -1
        self._shown_model: TranscriptModel | None = None
        self._follows = True
        bar = self.verticalScrollBar()
        bar.rangeChanged.connect(self._follow)
        bar.valueChanged.connect(self._note_position)

    def _note_position(self, value: int) -> None:
        self._follows = value >= self.verticalScrollBar().maximum() - 8

    def _follow(self, minimum: int, maximum: int) -> None:
        if self._follows:
            self.verticalScrollBar().setValue(maximum)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Scroll, and follow the end again once the user is back at it."""
        super().wheelEvent(event)
        self._note_position(self.verticalScrollBar().value())

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        self._look = look
        self._shown_revision = -1
        for row in self._rows.values():
            row.revision = -1

    def refresh_text(self, model: TranscriptModel) -> None:
        """Bring the rows that changed up to date."""
        if self._look is None or (model is self._shown_model and model.revision == self._shown_revision):
            return
        if model is not self._shown_model:
            self._clear()
        self._shown_model, self._shown_revision = model, model.revision
        rows = model.rows
        kept = {row.utterance for row in rows}
        for number in [number for number in self._rows if number not in kept]:
            self._remove(number)
        for index, row in enumerate(rows):
            widget = self._rows.get(row.utterance)
            if widget is None:
                widget = self._rows[row.utterance] = _Row()
                widget.put_words_below(self._narrow)
                self._layout.insertWidget(index + 1, widget)
            if widget.revision != row.revision:
                widget.show_row(row, self._look)
        self._empty.setVisible(not rows)

    @property
    def _narrow(self) -> bool:
        return self.width() < _BESIDE

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Move the words to where there is room."""
        super().resizeEvent(event)
        for row in self._rows.values():
            row.put_words_below(self._narrow)

    def _clear(self) -> None:
        for number in list(self._rows):
            self._remove(number)
        self._follows = True

    def _remove(self, number: int) -> None:
        widget = self._rows.pop(number)
        self._layout.removeWidget(widget)
        widget.deleteLater()

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        """A few utterances."""
        return QtCore.QSize(420, 200)
