"""The options of ``listen`` that let something leave the machine, and what they start. Imports nothing heavy before that."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from realtime_ser.commands.tell import tell
from realtime_ser.errors import ConfigError
from realtime_ser.outlets.wish import (
    LOCAL,
    TOKEN_VARIABLE,
    OutletWish,
    open_outlets,
    parse_address,
    sending_text,
    stream_facts,
)

if TYPE_CHECKING:
    from realtime_ser.assembly import Models
    from realtime_ser.commands.sessions.record import Recording
    from realtime_ser.engine.people import People
    from realtime_ser.outlets.feed import Feed

__all__ = ["OutletWish", "Sending", "add_outlets", "wanted_outlets"]

_WAITING = 256


def add_outlets(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("outlets", "Nothing leaves this machine unless one of these is given.")
    group.add_argument("--lsl", action="store_true", help="offer scores, utterances and markers to Lab Streaming Layer")
    group.add_argument("--lsl-markers", metavar="NAME", help="take the markers of this stream into the recording")
    group.add_argument("--osc", metavar="HOST:PORT", help="send Open Sound Control messages there")
    group.add_argument("--websocket", metavar="[HOST:]PORT", help="serve JSON records; default host: this machine only")
    group.add_argument(
        "--websocket-token",
        metavar="TOKEN",
        help="what clients must show; needed for other hosts; default: what the environment variable "
        f"{TOKEN_VARIABLE} says, which other users of the machine cannot see",
    )
    group.add_argument("--send-words", action="store_true", help="send recognised words too, which are left out otherwise")


def wanted_outlets(options: argparse.Namespace) -> OutletWish | None:
    """What ``listen`` shall send, if anything.

    Raises
    ------
    ConfigError
        An address that is none, or options that need another one.
    """
    if options.lsl_markers and options.record is None:
        raise ConfigError("--lsl-markers needs --record.", "Markers are taken into a recording: add --record.")
    if options.websocket_token and not options.websocket:
        raise ConfigError("--websocket-token needs --websocket.", "Add --websocket PORT, or leave it out.")
    if options.send_words and not (options.lsl or options.osc or options.websocket):
        raise ConfigError("--send-words needs an outlet.", "Add --lsl, --osc or --websocket, or leave it out.")
    wish = OutletWish(
        lsl=options.lsl,
        lsl_markers=options.lsl_markers or "",
        osc=_address("--osc", options.osc),
        websocket=_address("--websocket", options.websocket, LOCAL),
        token=(options.websocket_token or os.environ.get(TOKEN_VARIABLE, "")) if options.websocket else "",
        words=options.send_words,
    )
    return None if wish == OutletWish() else wish


def _address(option: str, text: str | None, default: str = "") -> tuple[str, int] | None:
    return parse_address(option, text, default) if text else None


class Sending:
    """Outlets beside what is shown; entered around the engine's life.

    Parameters
    ----------
    recording
        Whose markers are sent, and which takes those that come in.
    names
        Of the people, ``("",)`` for one.

    Raises
    ------
    ConfigError
        A library is missing, or an address cannot be used.
    """

    def __init__(self, wish: OutletWish, models: Models, recording: Recording | None, names: Sequence[str] = ("",)) -> None:
        from realtime_ser.outlets.feed import Feed, Mark

        self._inlet: AbstractContextManager[Any] = nullcontext()
        if wish.lsl_markers and recording is not None:
            from realtime_ser.outlets.lsl import LslMarkers

            name = wish.lsl_markers

            def take(text: str, at: float) -> None:
                recording.mark(text, source=f"LSL {name}", at=at)

            self._inlet = LslMarkers(name, take, tell, recording.lsl_clock)
        outlets = open_outlets(wish, stream_facts(models, names), None if recording is None else recording.lsl_clock)
        self.signs: Sequence[str] = [outlet.name for outlet in outlets]
        """Where something is sent."""
        self.words = wish.words
        self._feed: Feed | None = None
        if outlets:
            feed = self._feed = Feed(outlets, words=wish.words)
            if recording is not None:
                recording.on_marker = lambda marker, at: feed.mark(
                    Mark(marker.sample, marker.name, marker.colour, marker.source), at
                )

    def start(self, people: People) -> None:
        """Subscribe to engines that are not yet started."""
        from realtime_ser.engine.channel import Policy

        if self._feed is not None:
            self._feed.start(*people.subscribe_each(_WAITING, Policy.DROP_OLDEST))

    @property
    def sign(self) -> str:
        """What is sent where, in words; empty where only markers come in."""
        return sending_text(self.signs, words=self.words)

    @property
    def inlet(self) -> AbstractContextManager[Any]:
        """To be entered while the recording is under way."""
        return self._inlet

    def __enter__(self) -> Sending:
        if self.sign:
            tell(f"▲ {self.sign}.")
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the outlets, also where no engine was ever started; what was lost on the way is told."""
        if self._feed is not None:
            for line in self._feed.finish():
                tell(f"Sent – {line}")
