"""What shall be sent, and where. Imports no outlet's library before it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime_ser.errors import ConfigError
from realtime_ser.outlets.feed import Outlet, StreamFacts

if TYPE_CHECKING:
    from realtime_ser.assembly import Models

__all__ = ["LOCAL", "TOKEN_VARIABLE", "OutletWish", "open_outlets", "parse_address", "sending_text", "stream_facts"]

LOCAL = "127.0.0.1"
TOKEN_VARIABLE = "REALTIME_SER_WEBSOCKET_TOKEN"
"""Environment variable for the token, which the list of processes does not show."""


@dataclass(frozen=True, slots=True)
class OutletWish:
    """What shall be sent, and where.

    Attributes
    ----------
    lsl
        Whether there are Lab Streaming Layer outlets.
    lsl_markers
        Name of the stream whose markers are taken into the recording; empty: none.
    osc, websocket
        Host and port.
    token
        For the WebSocket.
    words
        Whether recognised words are sent.
    """

    lsl: bool = False
    lsl_markers: str = ""
    osc: tuple[str, int] | None = None
    websocket: tuple[str, int] | None = None
    token: str = ""
    words: bool = False


def parse_address(name: str, text: str, default: str = "") -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; where there is a `default` host, also of the port alone.

    Raises
    ------
    ConfigError
        It is none; `name` says whose it was to be.
    """
    host, _, port = text.strip().rpartition(":")
    host = host.strip("[]") or default
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        example = "8765" if default else f"{LOCAL}:9000"
        raise ConfigError(f"{text!r} is no address for {name}.", f"Write it as in {name} {example}.")
    return host, int(port)


def stream_facts(models: Models, names: Sequence[str]) -> StreamFacts:
    """What receivers are told of streams of these people's scores, ``("",)`` for one person."""
    manifest = models.manifest
    return StreamFacts(
        classes=models.classes,
        hop=manifest.hop,
        window=manifest.window,
        bundle=f"{manifest.name} {manifest.version}",
        fingerprint=models.bundle.fingerprint,
        people=tuple(names) if len(names) > 1 else (),
    )


def open_outlets(
    wish: OutletWish, facts: StreamFacts, on_lsl_clock: Callable[[float, float], None] | None = None
) -> list[Outlet]:
    """All outlets that are wished for, or none.

    Parameters
    ----------
    on_lsl_clock
        Told how LSL's clock stands to ``perf_counter()``; see :class:`~realtime_ser.outlets.lsl.LslOutlet`.

    Raises
    ------
    ConfigError
        A library is missing, or an address cannot be used; nothing is left open.
    """
    outlets: list[Outlet] = []
    try:
        if wish.lsl:
            from realtime_ser.outlets.lsl import LslOutlet

            outlets.append(LslOutlet(facts) if on_lsl_clock is None else LslOutlet(facts, on_lsl_clock))
        if wish.osc is not None:
            from realtime_ser.outlets.osc import OscOutlet

            outlets.append(OscOutlet(facts, *wish.osc))
        if wish.websocket is not None:
            from realtime_ser.outlets.websocket import WebSocketOutlet

            outlets.append(WebSocketOutlet(facts, *wish.websocket, wish.token))
    except ConfigError:
        for outlet in outlets:
            outlet.close()
        raise
    return outlets


def sending_text(outlets: Sequence[str], *, words: bool) -> str:
    """What is sent through outlets of these names, in front of a user; empty where there are none."""
    return f"Sending scores{' and WORDS' if words else ''}: {', '.join(outlets)}" if outlets else ""
