"""The "now" panel: the one big word, how sure it is, and what it rests on."""

from __future__ import annotations

from realtime_ser.gui.models import NowView, clock, sureness
from realtime_ser.gui.panels.panel import ElidedLabel, Look, Panel, draw_shape, make_label, numeric_font, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import ClassStyle, blend
from realtime_ser.types import FloatArray, Verdict

__all__ = ["NowPanel"]


_WEIGHT = "Each word was left out in turn: without these, the score that the words alone give the class in front falls most."

_WIDTH = 250
_NARROW = 204
"""Pixels at least, alone and where two people stand beside each other."""


class _Headline(QtWidgets.QWidget):
    """The big word with its class's shape, as large as the width allows, and the confidence under it."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(74)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Preferred)
        self._view = NowView("")
        self._style: ClassStyle | None = None
        self._look: Look | None = None

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        return QtCore.QSize(240, 92)

    def apply_look(self, look: Look) -> None:
        self._look = look
        self.show_view(self._view)

    def show_view(self, view: NowView) -> None:
        self._view = view
        styles = self._look.classes if self._look else ()
        index = view.class_index
        self._style = styles[index] if index is not None and index < len(styles) else None
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._look is None:
            return
        palette = self._look.palette
        painter = QtGui.QPainter(self)
        width, height = float(self.width()), float(self.height())
        small = QtGui.QFont(QtWidgets.QApplication.font())
        small.setPixelSize(12)
        metrics = QtGui.QFontMetricsF(small)
        # What explains a state without a figure may take two lines.
        alone = not self._view.confidence
        wraps = alone and metrics.horizontalAdvance(self._view.explanation) > width
        footer = 2.0 * metrics.lineSpacing() + 4.0 if wraps else 24.0
        room = height - footer
        text = self._view.headline
        named = self._style is not None
        font = QtGui.QFont(QtWidgets.QApplication.font())
        font.setWeight(QtGui.QFont.Weight.Bold if named else QtGui.QFont.Weight.Medium)
        pixels = int(min(room * 0.78, 56.0))
        shape = 0.0
        while pixels > 12:
            font.setPixelSize(pixels)
            metrics = QtGui.QFontMetricsF(font)
            shape = pixels * 0.95 if named else 0.0
            if metrics.horizontalAdvance(text) + shape <= width:
                break
            pixels -= 1
        metrics = QtGui.QFontMetricsF(font)
        baseline = room / 2.0 + metrics.capHeight() / 2.0
        if self._style is not None:
            side = metrics.capHeight() * 0.92
            draw_shape(
                painter,
                self._style.shape,
                QtCore.QRectF(1.0, baseline - metrics.capHeight() + (metrics.capHeight() - side) / 2.0, side, side),
                self._style.colour,
            )
        painter.setFont(font)
        painter.setPen(QtGui.QColor(self._style.colour if self._style else palette.unsure))
        painter.drawText(QtCore.QPointF(shape, baseline), text)

        line = QtCore.QRectF(0.0, room, width, footer)
        left = 0.0
        if not alone:
            painter.setFont(numeric_font(17, bold=True))
            painter.setPen(QtGui.QColor(palette.text if named else palette.dim))
            figure = f"{100.0 * (self._view.confidence or 0.0):.0f} %"
            painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, figure)
            left = QtGui.QFontMetricsF(painter.font()).horizontalAdvance(figure) + 8.0
        painter.setFont(small)
        painter.setPen(QtGui.QColor(palette.dim))
        if wraps:
            painter.drawText(line, Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignVCenter, self._view.explanation)
            return
        explanation = QtGui.QFontMetricsF(small).elidedText(
            self._view.explanation, Qt.TextElideMode.ElideRight, line.width() - left
        )
        painter.drawText(
            line.adjusted(left, 1.0, 0.0, 1.0), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, explanation
        )


class _ClassBars(QtWidgets.QWidget):
    """A bar and a number for every class; small marks show what voice or words would say alone."""

    ROW = 26

    def __init__(self) -> None:
        super().__init__()
        self._view = NowView("")
        self._look: Look | None = None

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        rows = len(self._look.classes) if self._look else 4
        return QtCore.QSize(240, rows * self.ROW)

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        rows = len(self._look.classes) if self._look else 4
        return QtCore.QSize(180, rows * 20)

    def apply_look(self, look: Look) -> None:
        self._look = look
        self.updateGeometry()
        self.update()

    def show_view(self, view: NowView) -> None:
        self._view = view
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._look is None or not self._look.classes:
            return
        palette, styles, view = self._look.palette, self._look.classes, self._view
        painter = QtGui.QPainter(self)
        font = numeric_font(13)
        metrics = QtGui.QFontMetricsF(numeric_font(13, bold=True))
        names = max(metrics.horizontalAdvance(style.name) for style in styles)
        figure = metrics.horizontalAdvance("100")
        row = self.height() / len(styles)
        left = 18.0 + names + 10.0
        bar_width = max(20.0, self.width() - left - figure - 8.0)
        painter.setFont(font)
        for index, style in enumerate(styles):
            top = index * row
            middle = top + row / 2.0
            score = _score(view.scores, index)
            draw_shape(painter, style.shape, QtCore.QRectF(1.0, middle - 5.5, 11.0, 11.0), style.colour)
            leading = view.class_index == index
            painter.setFont(numeric_font(13, bold=leading))
            painter.setPen(QtGui.QColor(palette.text if score is not None else palette.dim))
            painter.drawText(QtCore.QPointF(18.0, middle + metrics.capHeight() / 2.0), style.name)
            track = QtCore.QRectF(left, middle - 5.0, bar_width, 10.0)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QtGui.QColor(palette.grid))
            painter.drawRect(track)
            if score is not None:
                named = view.class_index is not None
                fill = style.colour if named else blend(style.colour, palette.panel, 0.6)
                painter.setBrush(QtGui.QColor(fill))
                painter.drawRect(QtCore.QRectF(track.left(), track.top(), track.width() * score, track.height()))
                for alone, above in ((_score(view.acoustic, index), True), (_score(view.text, index), False)):
                    if alone is not None and view.text is not None:
                        _draw_mark(painter, track, alone, above, palette.text)
            painter.setPen(QtGui.QColor(palette.text if score is not None else palette.dim))
            painter.drawText(
                QtCore.QRectF(self.width() - figure - 4.0, top, figure + 4.0, row),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                f"{100.0 * score:.0f}" if score is not None else "–",
            )


def _score(scores: FloatArray | None, index: int) -> float | None:
    return float(scores[index]) if scores is not None and index < len(scores) else None


def _draw_mark(painter: QtGui.QPainter, track: QtCore.QRectF, at: float, above: bool, colour: str) -> None:
    """Draw a small arrow head that touches the track from above or from below."""
    x = track.left() + at * track.width()
    base, tip = (track.top() - 5.0, track.top()) if above else (track.bottom() + 5.0, track.bottom())
    painter.save()
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QtGui.QColor(colour))
    painter.drawPolygon(QtGui.QPolygonF([QtCore.QPointF(x - 3.5, base), QtCore.QPointF(x + 3.5, base), QtCore.QPointF(x, tip)]))
    painter.restore()


class _ShareBar(QtWidgets.QWidget):
    """How much voice and words counted: one bar in two parts, with the figures at its ends."""

    def __init__(self) -> None:
        super().__init__()
        self._voice = self._words = 0.0
        self.setAccessibleName("how much voice and words counted")
        self._tell()
        self._narrow = False
        self.show_narrow(False)
        self._look: Look | None = None

    def show_narrow(self, narrow: bool) -> None:
        """Let the bar stand below the figures, as wide as both, where there is no room between them."""
        self._narrow = narrow
        self.setFixedHeight(26 if narrow else 18)
        self.update()

    def apply_look(self, look: Look) -> None:
        self._look = look
        self.update()

    def show_shares(self, voice: float, words: float) -> None:
        if (voice, words) != (self._voice, self._words):
            self._voice, self._words = voice, words
            self._tell()
            self.update()

    def _tell(self) -> None:
        known = self._voice + self._words > 0.0
        said = f"voice {100.0 * self._voice:.0f} percent, words {100.0 * self._words:.0f} percent"
        self.setAccessibleDescription(said if known else "nothing is claimed, so neither counts")

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._look is None:
            return
        palette = self._look.palette
        painter = QtGui.QPainter(self)
        font = numeric_font(11)
        painter.setFont(font)
        metrics = QtGui.QFontMetricsF(font)
        known = self._voice + self._words > 0.0
        left_text = f"voice {100.0 * self._voice:.0f} %" if known else "voice –"
        right_text = f"words {100.0 * self._words:.0f} %" if known else "words –"
        side = metrics.horizontalAdvance("words 100 %") + 8.0
        painter.setPen(QtGui.QColor(palette.dim))
        whole = QtCore.QRectF(self.rect())
        track = QtCore.QRectF(side, whole.center().y() - 3.0, whole.width() - 2.0 * side, 6.0)
        if self._narrow:
            whole.setHeight(18.0)
            track = QtCore.QRectF(0.0, whole.bottom(), whole.width(), 6.0)
        painter.drawText(whole, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, left_text)
        painter.drawText(whole, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, right_text)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QtGui.QColor(palette.grid))
        painter.drawRect(track)
        if known:
            painter.setBrush(QtGui.QColor(palette.accent))
            painter.drawRect(QtCore.QRectF(track.left(), track.top(), track.width() * self._voice, track.height()))


class NowPanel(Panel):
    """What can be said now, with states for having nothing to say."""

    inside_asked = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Now")
        self.setMinimumWidth(_WIDTH)
        self._look: Look | None = None
        self._view = NowView("")
        inside = QtWidgets.QToolButton()
        inside.setText("Inside…")
        inside.setToolTip("Inside the fusion: parts and attention, live or of an utterance clicked in the timeline (Ctrl+A)")
        inside.setAccessibleName("inside the fusion")
        inside.clicked.connect(lambda: self.inside_asked.emit())
        self.header.addStretch(1)
        self.header.addWidget(inside)
        self._inside = inside
        # Two panels beside each other stay level.
        policy = inside.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        inside.setSizePolicy(policy)
        self._headline = _Headline()
        self._bars = _ClassBars()
        self._legend = make_label("", "small")
        self._rests_on = make_label("", "dim")
        self._rests_on.setWordWrap(True)
        self._shares = _ShareBar()
        self._sureness = ElidedLabel("dim")
        self._heaviest = ElidedLabel("dim")
        self._note = make_label("", "dim")
        self._note.setWordWrap(True)
        self._previous = ElidedLabel("dim")
        self._last = "last utterance"
        self.body.addWidget(self._headline, 3)
        self.body.addWidget(self._bars, 4)
        self.body.addWidget(self._legend)
        self.body.addSpacing(2)
        self.body.addWidget(self._shares)
        self.body.addWidget(self._rests_on)
        self.body.addWidget(self._sureness)
        self.body.addWidget(self._heaviest)
        self.body.addWidget(self._note)
        self.body.addStretch(1)
        self.body.addWidget(self._previous)

    def show_person(self, name: str, *, inside: bool = True) -> None:
        """Show one of two people beside the other, narrower; "": the only one. `inside`: whether there is a way inside."""
        self.show_title(name or "Now")
        self.setMinimumWidth(_NARROW if name else _WIDTH)
        self._inside.setVisible(inside)
        self._legend.setVisible(not name)
        self._shares.show_narrow(bool(name))
        self._last = "last" if name else "last utterance"

    def apply_look(self, look: Look) -> None:
        """Take on a theme and the classes."""
        self._look = look
        self._headline.apply_look(look)
        self._bars.apply_look(look)
        self._shares.apply_look(look)

    @property
    def view(self) -> NowView:
        """What is shown."""
        return self._view

    def show_view(self, view: NowView, previous: Verdict | None) -> None:
        """Show an estimate or the reason for its absence, and the last committed verdict."""
        self._view = view
        self._headline.show_view(view)
        self._bars.show_view(view)
        self._shares.show_shares(view.voice_share, view.word_share)
        set_text(self._legend, "▾ voice alone   ▴ words alone" if view.text is not None else " ")
        set_text(self._rests_on, f"rests on {view.rests_on}" if view.rests_on else " ")
        self._sureness.show_text(_sureness_text(view, previous, self._last))
        self._show_heaviest(view)
        set_text(self._note, view.note or " ")
        self._previous.show_text(_previous_text(previous, self._look, self._last))
        spoken = view.headline
        if view.confidence:
            spoken += f", {100.0 * view.confidence:.0f} percent"
        if spoken != self._headline.accessibleName():
            self._headline.setAccessibleName(spoken)
            self._headline.setAccessibleDescription(". ".join(filter(None, (view.explanation, view.rests_on, view.note))))
        if view.scores is not None and self._look is not None:
            figures = zip(self._look.classes, view.scores, strict=False)
            self._bars.setAccessibleName(", ".join(f"{style.name} {100.0 * s:.0f} percent" for style, s in figures))

    def _show_heaviest(self, view: NowView) -> None:
        text = f"most weight: {', '.join(view.heaviest)}" if view.heaviest else " "
        if text == self._heaviest.text():
            return
        self._heaviest.show_text(text)
        self._heaviest.setToolTip(f"{text}. {_WEIGHT}" if view.heaviest else "")
        self._heaviest.setAccessibleDescription(_WEIGHT if view.heaviest else "")


def _sureness_text(view: NowView, previous: Verdict | None, last: str) -> str:
    """Most recognisers say how sure they are when an utterance is over: it stands until the next one begins."""
    if view.sureness:
        return f"recogniser {view.sureness}"
    said = previous.estimate.transcript if previous is not None and view.scores is None else None
    sure = sureness(said) if said is not None else ""
    return f"{last}: recogniser {sure}" if sure else " "


def _previous_text(verdict: Verdict | None, look: Look | None, last: str) -> str:
    if verdict is None or look is None:
        return ""
    at = clock(verdict.span.first)
    label = verdict.estimate.label
    if verdict.is_bleed:
        return f"last utterance ({at}): ↔ probably another's voice"
    if label is None:
        return f"{last} ({at}): unsure"
    glyph = next((style.glyph for style in look.classes if style.name == label), "")
    return f"{last} ({at}): {glyph} {label} {100.0 * verdict.estimate.confidence:.0f} %"
