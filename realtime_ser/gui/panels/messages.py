"""What the program has to say: a notice for a state that needs the user, a list of events, and the health line."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_ser.gui.models import EventLog, HealthItem, clock
from realtime_ser.gui.panels.panel import Look, make_label, numeric_font, set_text
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import Palette
from realtime_ser.types import Severity

__all__ = ["HealthLine", "MessageList", "Notice", "NoticeBar", "severity_colour", "severity_mark"]


def severity_mark(severity: Severity) -> str:
    """A sign beside the colour."""
    return {Severity.INFO: "i", Severity.WARNING: "!", Severity.ERROR: "✕"}[severity]


def severity_colour(severity: Severity, palette: Palette) -> str:
    """The colour of a message."""
    return {Severity.INFO: palette.accent, Severity.WARNING: palette.warning, Severity.ERROR: palette.error}[severity]


def announce(widget: QtWidgets.QWidget, severity: Severity) -> None:
    """Have a screen reader say the name of `widget`, wherever the focus is; an error at once, all else when it has finished."""
    accessible = QtGui.QAccessible
    if not accessible.isActive():
        return
    if hasattr(QtGui, "QAccessibleAnnouncementEvent"):
        said = QtGui.QAccessibleAnnouncementEvent(widget, widget.accessibleName())
        politeness = accessible.AnnouncementPoliteness
        said.setPoliteness(politeness.Assertive if severity is Severity.ERROR else politeness.Polite)
        accessible.updateAccessibility(said)
    else:  # Qt before 6.8
        accessible.updateAccessibility(QtGui.QAccessibleEvent(widget, accessible.Event.Alert))


@dataclass(frozen=True, slots=True)
class Notice:
    """A state that the user should know of: what happened, what can be done, and a button's text where a button helps."""

    severity: Severity
    problem: str
    remedy: str = ""
    action: str = ""


class NoticeBar(QtWidgets.QFrame):
    """One notice across the window; hidden while there is none."""

    acted = QtCore.Signal()
    """The notice's button was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._look: Look | None = None
        self._notice: Notice | None = None
        self._announced: Notice | None = None
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(12)
        self._mark = make_label()
        self._mark.setFixedSize(22, 22)
        self._mark.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._problem = make_label()
        self._problem.setWordWrap(True)
        self._remedy = make_label("", "dim")
        self._remedy.setWordWrap(True)
        for label in (self._problem, self._remedy):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._action = QtWidgets.QPushButton()
        self._action.clicked.connect(self.acted)
        texts = QtWidgets.QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._problem)
        texts.addWidget(self._remedy)
        layout.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        layout.addWidget(self._action)
        self.setVisible(False)

    @property
    def notice(self) -> Notice | None:
        """What is shown."""
        return self._notice

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        notice, self._notice = self._notice, None
        if notice is not None:
            self.show_notice(notice)

    def show_notice(self, notice: Notice | None) -> None:
        """Show `notice`, or nothing."""
        if notice == self._notice or self._look is None:
            return
        self._notice = notice
        self.setVisible(notice is not None)
        if notice is None:
            self._announced = None
            return
        colour = severity_colour(notice.severity, self._look.palette)
        self.setProperty("severity", str(notice.severity))
        self.style().unpolish(self)
        self.style().polish(self)
        set_text(self._mark, severity_mark(notice.severity))
        self._mark.setStyleSheet(f"color: {colour}; border: 2px solid {colour}; border-radius: 11px; font-weight: 700;")
        set_text(self._problem, notice.problem)
        self._problem.setStyleSheet("font-weight: 600;")
        set_text(self._remedy, notice.remedy)
        self._remedy.setVisible(bool(notice.remedy))
        set_text(self._action, notice.action)
        self._action.setVisible(bool(notice.action))
        self.setAccessibleName(f"{notice.severity}: {notice.problem} {notice.remedy}".rstrip())
        if notice != self._announced:  # which another theme is no reason for
            self._announced = notice
            announce(self, notice.severity)


class MessageList(QtWidgets.QTextBrowser):
    """All events, the newest at the top; repetitions are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setAccessibleName("messages")
        self._look: Look | None = None
        self._shown_revision = -1

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        self.setStyleSheet(f"border: none; padding: 0; background: {look.palette.panel};")
        self._shown_revision = -1

    def refresh_text(self, log: EventLog) -> None:
        """Show the events where there are new ones."""
        if self._look is None or log.revision == self._shown_revision:
            return
        self._shown_revision = log.revision
        palette = self._look.palette
        self.clear()
        if not log.entries:
            self.setPlainText("Nothing to report.")
            return
        cursor = self.textCursor()
        normal = cursor.charFormat()
        for position, entry in enumerate(reversed(log.entries)):
            if position:
                cursor.insertBlock()
            marked = self.textCursor().charFormat()
            marked.setForeground(_brush(severity_colour(entry.severity, palette)))
            marked.setFontWeight(700)
            times = f" ×{entry.times}" if entry.times > 1 else ""
            cursor.insertText(f"{severity_mark(entry.severity)} {clock(entry.sample)}{times}  ", marked)
            normal.setForeground(_brush(palette.text))
            cursor.insertText(entry.message, normal)
        self.verticalScrollBar().setValue(0)


class HealthLine(QtWidgets.QWidget):
    """The engine's figures in one line; worrying ones get a colour and a sign."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("engine health")
        self._look: Look | None = None
        self._layout = QtWidgets.QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(16)
        self._person = make_label("", "dim")
        self._person.setVisible(False)
        self._layout.addWidget(self._person)
        self._layout.addStretch(1)
        self._labels: list[QtWidgets.QLabel] = []
        self._shown: tuple[HealthItem, ...] = ()

    def apply_look(self, look: Look) -> None:
        """Take on a theme."""
        self._look = look
        shown, self._shown = self._shown, ()
        self.refresh_text(shown)

    def show_person(self, name: str) -> None:
        """Say whose engine it is, of two people; "": of the only one."""
        set_text(self._person, name)
        self._person.setVisible(bool(name))

    def refresh_text(self, items: tuple[HealthItem, ...]) -> None:
        """Show the figures."""
        if self._look is None or items == self._shown:
            return
        palette = self._look.palette
        while len(self._labels) < len(items):
            label = QtWidgets.QLabel()
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setFont(numeric_font(11))
            self._labels.append(label)
            self._layout.insertWidget(len(self._labels), label)
        for label, item in zip(self._labels, items, strict=True):
            colour = palette.warning if item.worrying else palette.text
            sign = "! " if item.worrying else ""
            value = item.value.replace(" ", "&nbsp;")
            set_text(
                label,
                f'<span style="font-size:11px; color:{palette.dim}">{item.name.replace(" ", "&nbsp;")}</span>&nbsp;'
                f'<span style="font-size:11px; color:{colour}">{sign}{value}</span>',
            )
            label.setToolTip(item.meaning)
            label.setAccessibleName(f"{item.name} {item.value}{', worrying' if item.worrying else ''}")
        self._shown = items


def _brush(colour: str) -> QtGui.QBrush:
    return QtGui.QBrush(QtGui.QColor(colour))
