"""OSC and WebSocket outlets against real receivers on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from outlet_parts import CLASSES, FACTS, windows

from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.errors import ConfigError
from realtime_ser.outlets.feed import Feed, Item, Mark
from realtime_ser.outlets.osc import OscOutlet
from realtime_ser.outlets.websocket import WebSocketOutlet, is_loopback
from realtime_ser.types import Output

BOTH = replace(FACTS, people=("Anna", "Ben"))
TOKEN = "a long enough token"


@pytest.fixture
def websockets() -> Any:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    from websockets.sync import client

    return client


def item(first: int, count: int = 1) -> Item:
    return Item(windows(first, [0.4] * count, None), time.perf_counter(), True)


def test_osc_messages_arrive() -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed: install the 'dev' extra")
    from pythonosc.osc_message import OscMessage

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        outputs: Channel[Output] = Channel("outputs", 256, Policy.DROP_OLDEST)
        feed = Feed([OscOutlet(FACTS, "127.0.0.1", receiver.getsockname()[1])])
        feed.start(outputs)
        outputs.put(windows(0, [0.25], time.perf_counter()))
        got = [OscMessage(receiver.recv(65_536)) for _ in range(2)]
        assert (got[0].address, got[0].params) == ("/ser/classes", list(CLASSES))
        assert got[1].address == "/ser/window"
        assert got[1].params == pytest.approx([0.25, 1, 0.25, 0.25, 0.25, 0.25])
        feed.mark(Mark(16_000, "stimulus", "", "key s"), time.perf_counter())
        marker = OscMessage(receiver.recv(65_536))
        assert (marker.address, marker.params) == ("/ser/marker", [1.0, "stimulus", "key s"])
        outputs.close()
        assert "nothing was dropped" in feed.finish()[0]


def test_websocket_records_arrive(websockets: Any, no_thread_left: None) -> None:
    outlet = WebSocketOutlet(FACTS, "127.0.0.1", 0)
    outputs: Channel[Output] = Channel("outputs", 256, Policy.DROP_OLDEST)
    feed = Feed([outlet])
    feed.start(outputs)
    # NB: the client's own thread for pings outlives the end of its connection by a moment, and nobody can wait for it.
    with websockets.connect(f"ws://127.0.0.1:{outlet.port}", ping_interval=None) as client:
        hello = json.loads(client.recv(timeout=30))
        assert (hello["type"], hello["classes"], hello["manifest_sha256"]) == ("stream", list(CLASSES), FACTS.fingerprint)
        at = time.perf_counter()
        outputs.put(windows(5, [0.25, 0.5], at))
        got = [json.loads(client.recv(timeout=30)) for _ in range(2)]
        assert [record["start"] for record in got] == [0.05, 0.06]
        assert got[1]["scores"]["anger"] == 0.5
        assert got[1]["time"] - got[0]["time"] == pytest.approx(0.01, abs=1e-5)
        assert got[1]["time"] == pytest.approx(time.time() - time.perf_counter() + at, abs=0.005)
        outputs.close()
        assert "nothing was dropped" in feed.finish()[0]


@pytest.mark.parametrize("shown", ["", "wrong"])
def test_a_wrong_token_is_refused(websockets: Any, shown: str) -> None:
    from websockets.exceptions import InvalidStatus

    outlet = WebSocketOutlet(FACTS, "127.0.0.1", 0, TOKEN)
    try:
        address = f"ws://127.0.0.1:{outlet.port}/"
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        with pytest.raises(InvalidStatus, match="401"):
            websockets.connect(address, additional_headers=headers)
        with websockets.connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            assert json.loads(client.recv(timeout=30))["type"] == "stream"
        with websockets.connect(address + "?token=" + TOKEN.replace(" ", "%20")) as client:
            assert json.loads(client.recv(timeout=30))["type"] == "stream"
    finally:
        outlet.close()


def test_a_page_from_elsewhere_is_refused(websockets: Any) -> None:
    from websockets.exceptions import InvalidStatus

    outlet = WebSocketOutlet(FACTS, "127.0.0.1", 0)
    try:
        with pytest.raises(InvalidStatus, match="403"):
            websockets.connect(f"ws://127.0.0.1:{outlet.port}", origin="https://example.com")
        with websockets.connect(f"ws://127.0.0.1:{outlet.port}", origin="http://localhost:8000") as client:
            assert json.loads(client.recv(timeout=30))["type"] == "stream"
    finally:
        outlet.close()


def test_a_slow_client_is_let_go_and_counted_and_nobody_waits(websockets: Any) -> None:
    outlet = WebSocketOutlet(FACTS, "127.0.0.1", 0, queue=64)
    quick: list[float] = []
    arrived = threading.Event()
    with socket.create_connection(("127.0.0.1", outlet.port), timeout=30) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert slow.recv(12) == b"HTTP/1.1 101"  # and nothing is read after that

        def read() -> None:
            with websockets.connect(f"ws://127.0.0.1:{outlet.port}") as client:
                arrived.set()
                for message in client:
                    record = json.loads(message)
                    if record["type"] == "window":
                        quick.append(record["start"])
                        taken.release()

        taken = threading.Semaphore(0)
        reader = threading.Thread(target=read)
        reader.start()
        assert arrived.wait(30)
        sent, longest = 0, 0.0
        # The client that reads sets the pace, so it alone is never too slow.
        while outlet.clients_dropped == 0 and sent < 100_000:
            before = time.perf_counter()
            outlet.send(item(sent, 32))
            longest = max(longest, time.perf_counter() - before)
            sent += 32
            for _ in range(32):
                assert taken.acquire(timeout=30)
        outlet.close()
        reader.join(30)
        assert longest < 1.0  # it never waited for the client that reads nothing
        assert outlet.clients_dropped == 1
        assert outlet.losses() == ["1 client let go for being too slow"]
        assert len(quick) == sent
        with contextlib.suppress(ConnectionResetError):  # an orderly end is as good
            while slow.recv(65_536):
                pass


def test_an_outlet_that_hangs_holds_up_nobody(caplog: pytest.LogCaptureFixture, no_thread_left: None) -> None:
    class Stuck:
        name = "stuck"

        def __init__(self) -> None:
            self.release = threading.Event()

        def send(self, item: Item) -> None:
            self.release.wait(60)

        def close(self) -> None:
            pass

        def losses(self) -> list[str]:
            return []

    stuck = Stuck()
    outputs: Channel[Output] = Channel("outputs", 8, Policy.DROP_OLDEST)
    feed = Feed([stuck])
    feed.start(outputs)
    for number in range(2_000):
        feed.mark(Mark(number, "m", "", "test"), 0.0)
    assert caplog.text.count("The outlet stuck is slower than the stream") == 1
    stuck.release.set()
    outputs.close()
    (line,) = feed.finish()
    dropped = int(line.split(": ")[1].split()[0])
    assert 2_000 - 512 - 2 <= dropped <= 2_000 - 512
    assert "were dropped because the outlet was slower" in line


def test_other_hosts_need_a_token() -> None:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    with pytest.raises(ConfigError, match="--websocket-token"):
        WebSocketOutlet(FACTS, "0.0.0.0", 0)
    with pytest.raises(ConfigError, match="too short"):
        WebSocketOutlet(FACTS, "0.0.0.0", 0, "short")
    assert is_loopback("::1")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("example.com")


def test_a_taken_port_is_told() -> None:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigError, match="another port"):
        WebSocketOutlet(FACTS, "127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize("missing", ["pythonosc", "websockets"])
def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"realtime-ser\[outlets\]"):
        OscOutlet(FACTS, "127.0.0.1", 9) if missing == "pythonosc" else WebSocketOutlet(FACTS, "127.0.0.1", 0)


def two_people(*outlets: Any) -> tuple[Feed, list[Channel[Output]]]:
    """A feed of Anna and Ben."""
    channels: list[Channel[Output]] = [Channel("outputs", 256, Policy.DROP_OLDEST) for _ in "AB"]
    feed = Feed(outlets)
    feed.start(*channels)
    return feed, channels


def test_osc_tells_two_people_apart_by_address() -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed: install the 'dev' extra")
    from pythonosc.osc_message import OscMessage

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        feed, channels = two_people(OscOutlet(BOTH, "127.0.0.1", receiver.getsockname()[1]))
        got = [OscMessage(receiver.recv(65_536)) for _ in range(2)]
        assert (got[1].address, got[1].params) == ("/ser/people", ["Anna", "Ben"])
        for channel, share, address in zip(channels, (0.25, 0.5), ("/ser/1/window", "/ser/2/window"), strict=True):
            channel.put(windows(0, [share], time.perf_counter()))
            message = OscMessage(receiver.recv(65_536))
            assert (message.address, message.params[2]) == (address, pytest.approx(share))
        assert "nothing was dropped" in feed.finish()[0]


def test_websocket_records_say_whose_they_are(websockets: Any, no_thread_left: None) -> None:
    outlet = WebSocketOutlet(BOTH, "127.0.0.1", 0)
    feed, channels = two_people(outlet)
    with websockets.connect(f"ws://127.0.0.1:{outlet.port}", ping_interval=None) as client:
        assert json.loads(client.recv(timeout=30))["people"] == ["Anna", "Ben"]
        # Captured at another time each: everybody's stamps come from their own stream.
        at = time.perf_counter()
        got = []
        for channel, captured_at in zip(channels, (at, at - 0.5), strict=True):
            channel.put(windows(5, [0.25], captured_at))
            got.append(json.loads(client.recv(timeout=30)))
        feed.mark(Mark(16_000, "stimulus", "", "key s"), at)
        marker = json.loads(client.recv(timeout=30))
    assert [record["person"] for record in got] == ["Anna", "Ben"]
    assert got[0]["time"] - got[1]["time"] == pytest.approx(0.5, abs=0.005)
    assert "person" not in marker
    assert len(feed.finish()) == 1
