"""WebSocket: the records of ``listen --json`` for browsers and scripts."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import logging
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError
from realtime_ser.outlets.feed import Item, StreamFacts, item_records

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

__all__ = ["WebSocketOutlet", "is_loopback"]

_log = logging.getLogger(__name__)

_CLIENTS = 16
"""Clients at a time."""
_QUEUE = 512
"""Messages that wait for a client: five seconds of windows."""
_BUFFER = 64 * 1024
"""Bytes handed to the system for a client beyond what it takes at once."""
_SHORTEST_TOKEN = 8
_START = 10.0
_END = 2.0


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine and nothing but this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class WebSocketOutlet:
    """A server whose clients get every item as JSON text. It runs on a thread of its own.

    A client that does not keep up is let go and counted, once its queue is full.

    Parameters
    ----------
    host, port
        Where clients connect; port 0: any free one, see :attr:`port`.
    token
        What clients must show, as ``Authorization: Bearer TOKEN`` or ``?token=TOKEN``. Needed unless `host` is loop-back.
    queue
        Messages that may wait for a client.

    Raises
    ------
    ConfigError
        The library is missing, the token is, or the port is taken.
    """

    def __init__(self, facts: StreamFacts, host: str, port: int, token: str = "", *, queue: int = _QUEUE) -> None:
        try:
            import websockets.asyncio.server  # noqa: F401 - whether it is there
        except ImportError as error:
            remedy = "Install it: pip install 'realtime-ser[outlets]'."
            raise ConfigError("The WebSocket outlet needs websockets.", remedy) from error
        if not token and not is_loopback(host):
            raise ConfigError(
                f"Others could connect to {host}, so a token is needed.",
                "Leave the host out, or give a token: --websocket-token, or REALTIME_SER_WEBSOCKET_TOKEN in the environment.",
            )
        if token and len(token) < _SHORTEST_TOKEN:
            raise ConfigError("The token is too short to protect anything.", f"Take {_SHORTEST_TOKEN} characters or more.")
        self._facts, self._host, self._token, self._limit = facts, host, token, queue
        self.port = port
        self.clients_dropped = 0
        """Clients that were too slow."""
        # NB: the server's thread alone.
        self._queues: dict[ServerConnection, asyncio.Queue[str | None]] = {}
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._left = asyncio.Event()
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="websocket", daemon=True)
        self._thread.start()
        try:
            self.port = self._ready.result(_START)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"Nobody can be served at {host}:{port}: {error}.", "Choose another port.") from error
        self.name = f"WebSocket at {host}:{self.port}"

    def send(self, item: Item) -> None:
        """Lay an item into the queue of every client."""
        texts = [json.dumps(record, ensure_ascii=False) for record in item_records(item, self._facts)]
        if texts and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, texts)

    def close(self) -> None:
        """Let clients take what waits for them, a moment long, and end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(2 * _END)

    def losses(self) -> Sequence[str]:
        """Who was too slow."""
        count = self.clients_dropped
        return [f"{count} client{'s' if count > 1 else ''} let go for being too slow"] if count else []

    # The server's thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the start gets it
            if self._ready.done():
                _log.error("The WebSocket server ended.", exc_info=error)
            else:
                self._ready.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from websockets.asyncio.server import serve

        async with serve(
            self._client,
            self._host,
            self.port,
            process_request=self._admit,
            max_size=1024,
            write_limit=_BUFFER,
            compression=None,
            server_header=None,
            close_timeout=_END,
        ) as server:
            self._ready.set_result(next(iter(server.sockets)).getsockname()[1])
            await self._over.wait()
            for queue in self._queues.values():
                _end(queue)
            deadline = self._loop.time() + _END
            while self._queues and self._loop.time() < deadline:
                self._left.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._left.wait(), deadline - self._loop.time())
            for connection in list(self._queues):
                _cut(connection)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._token:
            scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                shown = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
            if not hmac.compare_digest(shown.strip().encode(), self._token.encode()):
                return connection.respond(HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")
        elif (origin := request.headers.get("Origin")) is not None and not is_loopback(urlsplit(origin).hostname or ""):
            # Any web page that is open in a browser here could read along otherwise.
            return connection.respond(HTTPStatus.FORBIDDEN, "Pages from elsewhere need --websocket-token.\n")
        if len(self._queues) >= _CLIENTS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many clients.\n")
        return None

    async def _client(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        facts = self._facts
        queue: asyncio.Queue[str | None] = asyncio.Queue(self._limit)
        hello = {
            "type": "stream",
            "version": 1,
            "classes": facts.classes,
            "hop": facts.hop / ENGINE_RATE,
            "window": facts.window / ENGINE_RATE,
            "bundle": facts.bundle,
            "manifest_sha256": facts.fingerprint,
            **({"people": facts.people} if facts.people else {}),
        }
        queue.put_nowait(json.dumps(hello, ensure_ascii=False))
        self._queues[connection] = queue
        # Who leaves while nothing is sent is noticed too.
        gone = asyncio.ensure_future(connection.wait_closed())
        gone.add_done_callback(lambda done: _end(queue))
        try:
            while (text := await queue.get()) is not None:
                await connection.send(text)
        except ConnectionClosed:
            pass
        finally:
            self._queues.pop(connection, None)
            self._left.set()

    def _spread(self, texts: Sequence[str]) -> None:
        for connection, queue in list(self._queues.items()):
            try:
                for text in texts:
                    queue.put_nowait(text)
            except asyncio.QueueFull:
                self.clients_dropped += 1
                del self._queues[connection]
                _cut(connection)


def _cut(connection: ServerConnection) -> None:
    """End without the closing handshake, which a client that reads nothing would not answer."""
    # Without this, the system would go on offering what waits in its own buffer.
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    with contextlib.suppress(OSError):
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.transport.abort()


def _end(queue: asyncio.Queue[str | None]) -> None:
    # A full queue has a sender at work, which meets the end by itself.
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait(None)
