"""What the dashboard remembers between its starts: every key, its default and what it may be, in one place.

Options of the command line win over what is stored, for that run only: they are never stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from realtime_ser.acoustic.execution import Weights
from realtime_ser.assembly import EngineChoices
from realtime_ser.bundle.providers import Provider
from realtime_ser.config import Buffering
from realtime_ser.gui.controller import InputKind
from realtime_ser.gui.qt import Qt, QtCore, QtGui
from realtime_ser.gui.sincgram.looks import AXES, COLOUR_MAPS, HIGHEST_DB, LOWEST_DB, SECONDS
from realtime_ser.gui.theme import DARK, LIGHT, PALETTES, Palette
from realtime_ser.outlets.wish import LOCAL, TOKEN_VARIABLE, OutletWish, parse_address

__all__ = ["SCALES", "SPANS", "THEMES", "ChoiceName", "Settings", "open_store"]

THEMES = ("system", *PALETTES)
SPANS = (60, 20)
"""Seconds of the timeline."""
SCALES = (100, 125, 150, 175, 200, 250, 300)
"""Percent of the size that the system asks for."""

ChoiceName: TypeAlias = Literal[
    "input", "listen", "buffering", "recognizer", "bundle", "provider", "weights", "profile",
    "theme", "scale", "still", "span", "axis", "sessions",
    "lsl", "lsl_markers", "osc", "osc_address", "websocket", "websocket_address", "send_words",
    "sincgram/seconds", "sincgram/axis", "sincgram/colours", "sincgram/floor", "sincgram/ceiling",
]  # fmt: skip
"""What a user may choose; the names are the keys of the store. Those with a window's name are chosen in that window."""

_ENGINE: tuple[ChoiceName, ...] = ("buffering", "recognizer", "bundle", "provider", "weights", "profile")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A default, and what else is allowed; ``None``: any text."""

    default: str
    allowed: tuple[str, ...] | None = None


_YES_NO = ("true", "false")
_LEVELS = tuple(str(level) for level in range(LOWEST_DB, HIGHEST_DB + 1))

_RULES: dict[ChoiceName, _Rule] = {
    "input": _Rule(""),
    "listen": _Rule("true", _YES_NO),
    "buffering": _Rule("", ("", *get_args(Buffering))),
    "recognizer": _Rule(""),
    "bundle": _Rule(""),
    "provider": _Rule("", ("", *(provider.value for provider in Provider))),
    "weights": _Rule("", ("", *get_args(Weights))),
    "profile": _Rule(""),
    "theme": _Rule("system", THEMES),
    "scale": _Rule("100", tuple(map(str, SCALES))),
    "still": _Rule("false", _YES_NO),
    "span": _Rule(str(SPANS[0]), tuple(map(str, SPANS))),
    "axis": _Rule("mel", ("mel", "Hz")),
    "sessions": _Rule(""),
    "lsl": _Rule("false", _YES_NO),
    "lsl_markers": _Rule(""),
    "osc": _Rule("false", _YES_NO),
    "osc_address": _Rule(f"{LOCAL}:9000"),
    "websocket": _Rule("false", _YES_NO),
    "websocket_address": _Rule("8765"),
    "send_words": _Rule("false", _YES_NO),
    "sincgram/seconds": _Rule(str(SECONDS[0]), tuple(map(str, SECONDS))),
    "sincgram/axis": _Rule(AXES[0], AXES),
    "sincgram/colours": _Rule(COLOUR_MAPS[0], COLOUR_MAPS),
    "sincgram/floor": _Rule("-90", _LEVELS),
    "sincgram/ceiling": _Rule("-25", _LEVELS),
}
"""Of the engine's, an empty text leaves the choice to the program."""


def open_store() -> QtCore.QSettings:
    """The user's own settings file; needs no application object."""
    return QtCore.QSettings(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, "realtime-ser", "dashboard")


class Settings:
    """Typed access to a store. Values that make no sense (an older version's, or edited by hand) count as the default.

    Parameters
    ----------
    store
        Where everything is kept.
    given
        What the command line or the environment has decided for this run: stored values are left alone and do not count.
    """

    def __init__(self, store: QtCore.QSettings, given: Collection[ChoiceName] = ()) -> None:
        self._store = store
        self.given = frozenset(given)

    @property
    def raw(self) -> QtCore.QSettings:
        """The store itself, for windows that remember more than choices."""
        return self._store

    # Choices --------------------------------------------------------------------------------------------------------------

    def stored(self, name: ChoiceName) -> str:
        """A choice as it is kept, or its default."""
        rule = _RULES[name]
        value = str(self._store.value(name, rule.default))
        return value if rule.allowed is None or value in rule.allowed else rule.default

    def store(self, name: ChoiceName, value: str) -> None:
        """Keep a choice.

        Raises
        ------
        ValueError
            It cannot be chosen.
        """
        allowed = _RULES[name].allowed
        if allowed is not None and value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        self._store.setValue(name, value)

    def reset(self) -> None:
        """Every choice is the default again; what was filled in before a recording, looks and places of windows stay."""
        for name in _RULES:
            if "/" not in name:
                self._store.remove(name)

    @property
    def engine(self) -> EngineChoices:
        """What is chosen for the engine; ``None`` where nothing is, or where it has been decided for this run."""
        chosen = {name: None if name in self.given else self.stored(name) or None for name in _ENGINE}
        return EngineChoices(**chosen)  # type: ignore[arg-type]  # the rules allow no other values

    @property
    def input(self) -> tuple[InputKind, str] | None:
        """Kind and name of the input; ``None`` for the default microphone, or where it was decided for this run."""
        kind, _, name = self.stored("input").partition(":")
        if "input" in self.given or kind not in ("microphone", "demo"):
            return None
        return cast(InputKind, kind), name

    @property
    def listens_at_start(self) -> bool:
        """Whether to listen as soon as the program is open; who names an input on the command line wants to hear it."""
        return self.stored("listen") == "true" or "input" in self.given

    @property
    def palette(self) -> Palette:
        """Of the theme that is chosen; where the system does not say what it is in, it is dark."""
        theme = self.stored("theme")
        if theme != "system":
            return PALETTES[theme]
        return LIGHT if QtGui.QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light else DARK

    @property
    def scale(self) -> float:
        """Factor by which everything is larger than the system asks for."""
        return int(self.stored("scale")) / 100.0

    @property
    def still(self) -> bool:
        """Whether pictures move in steps in place of thirty times a second."""
        return self.stored("still") == "true"

    @property
    def span(self) -> int:
        """Seconds of the timeline."""
        return int(self.stored("span"))

    @property
    def axis(self) -> str:
        """Frequencies in ``"mel"`` or ``"Hz"``."""
        return self.stored("axis")

    @property
    def outlets(self) -> OutletWish | None:
        """What shall be sent, and whose markers taken; ``None``: nothing leaves the machine, and none come from others.

        Raises
        ------
        ConfigError
            An address is none.
        """
        names: tuple[ChoiceName, ...] = ("lsl", "osc", "websocket")
        wanted = {name for name in names if self.stored(name) == "true"}
        markers = self.stored("lsl_markers")
        if not wanted and not markers:
            return None
        return OutletWish(
            lsl="lsl" in wanted,
            lsl_markers=markers,
            osc=parse_address("OSC", self.stored("osc_address")) if "osc" in wanted else None,
            websocket=parse_address("the WebSocket", self.stored("websocket_address"), LOCAL)
            if "websocket" in wanted
            else None,
            token=os.environ.get(TOKEN_VARIABLE, "") if "websocket" in wanted else "",
            words=self.stored("send_words") == "true",
        )

    # Memory ---------------------------------------------------------------------------------------------------------------

    def remembered(self, name: Literal["condition", "markers"]) -> str:
        """What was filled in the last time."""
        return str(self._store.value(name, ""))

    def remember(self, name: Literal["condition", "markers"], value: str) -> None:
        """For the next time."""
        self._store.setValue(name, value)

    @property
    def first_steps_seen(self) -> bool:
        """Whether the first steps were finished or skipped."""
        return bool(self._store.value("first_start", False, type=bool))

    @first_steps_seen.setter
    def first_steps_seen(self, seen: bool) -> None:
        self._store.setValue("first_start", seen)

    @property
    def geometry(self) -> QtCore.QByteArray:
        """Where the window was; empty before it was anywhere."""
        geometry = self._store.value("geometry")
        return geometry if isinstance(geometry, QtCore.QByteArray) else QtCore.QByteArray()

    @geometry.setter
    def geometry(self, geometry: QtCore.QByteArray) -> None:
        self._store.setValue("geometry", geometry)
