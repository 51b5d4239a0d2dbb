"""Outlets as a user switches them on: ``realtime-ser listen`` with real receivers."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from outlet_parts import other_process

from realtime_ser.cli import main
from realtime_ser.commands.outlets import add_outlets, wanted_outlets
from realtime_ser.session.format import session_folders
from realtime_ser.session.reader import Session

SENDER = """
import sys, threading, pylsl
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(sys.argv[1], "Markers", 1, 0, pylsl.cf_string, sys.argv[1]))
print("there", flush=True)
outlet.wait_for_consumers(100)
outlet.push_sample(["stimulus"], pylsl.local_clock())
print("sent", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def spoken(demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "spoken.wav"
    soundfile.write(path, demonstration[12_000:170_000], 16_000, subtype="FLOAT")
    return path


def command(bundle: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "REALTIME_SER_BUNDLE": str(bundle)}
    return [sys.executable, "-m", "realtime_ser", "listen", "--recognizer", "none", *arguments], environment


def test_osc_gets_what_was_said_and_the_end_is_told(random_bundle: Path, spoken: Path) -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed: install the 'dev' extra")
    from pythonosc.osc_message import OscMessage

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        where = f"127.0.0.1:{receiver.getsockname()[1]}"
        call, environment = command(random_bundle, "--input", str(spoken), "--osc", where)
        pipe = subprocess.PIPE
        with subprocess.Popen(call, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as program:
            seen: list[str] = []
            while "/ser/utterance" not in seen:
                seen.append(OscMessage(receiver.recv(65_536)).address)
            _, told = program.communicate(timeout=100)
    assert program.returncode == 0
    assert {"/ser/classes", "/ser/window", "/ser/estimate"} <= set(seen)
    assert f"Sending scores: OSC to {where}" in told
    assert f"OSC to {where}: nothing was dropped." in told


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C to send to another process")
def test_websocket_serves_what_is_written_and_what_another_process_marks(
    random_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    from websockets.exceptions import ConnectionClosedOK
    from websockets.sync.client import connect

    port, written = free_port(), tmp_path / "written.jsonl"
    options = ("--input", "demo", "--json", "--record", str(tmp_path / "study"), "--websocket", str(port))
    call, environment = command(random_bundle, *options)
    environment["REALTIME_SER_WEBSOCKET_TOKEN"] = token = "from the environment"
    got: list[dict[str, Any]] = []
    with (
        written.open("w") as lines,
        subprocess.Popen(
            call, env=environment, stdin=subprocess.DEVNULL, stdout=lines, stderr=subprocess.PIPE, text=True
        ) as program,
    ):
        assert program.stderr is not None
        told = ""
        while "Recording into" not in told:
            told = program.stderr.readline()
            assert told, "the program ended"
        (folder,) = session_folders(tmp_path / "study")
        with connect(
            f"ws://127.0.0.1:{port}", additional_headers={"Authorization": f"Bearer {token}"}, ping_interval=None
        ) as client:

            def take(kind: str, end: float = 0.0) -> dict[str, Any]:
                while True:
                    got.append(json.loads(client.recv(timeout=60)))
                    if got[-1]["type"] == kind and got[-1].get("end", 0.0) >= end:
                        return got[-1]

            hello = take("stream")
            take("window", 2.0)
            # As another program would: what it writes into the session is found there and sent, too.
            assert main(["sessions", "mark", str(folder), "--name", "door", "--colour", "red"]) == 0
            marker = take("marker")
            assert "Marked door" in capsys.readouterr().out
            take("utterance")
            program.send_signal(signal.SIGINT)
            with contextlib.suppress(ConnectionClosedOK):
                take("nothing, so all that is left")
        _, told = program.communicate(timeout=60)
    assert program.returncode == 0
    assert f"WebSocket at 127.0.0.1:{port}: nothing was dropped." in told
    assert hello["bundle"] == "random 0"
    with Session(folder) as session:
        (row,) = session.markers()
        captured = session.utc_of(row["sample"])
    assert (marker["name"], marker["colour"], marker["source"]) == ("door", "red", "command line")
    assert marker["start"] == row["sample"] / 16_000
    # Half a second after it was set, yet with its own time.
    assert marker["time"] == pytest.approx(captured, abs=0.02)
    # A recording at the pace of speech comes in pieces of 30 ms, and each may be late.
    assert marker["time"] == pytest.approx(row["utc"], abs=0.1)
    # From the first record on, the client got what was written, but for words, which nobody asked to send.
    ours = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    for kind in ("window", "utterance"):
        sent = [record for record in got if record["type"] == kind]
        kept = [record for record in ours if record["type"] == kind and record["end"] >= sent[0]["end"]]
        assert [record["start"] for record in sent] == [record["start"] for record in kept]
        assert [record["scores"] for record in sent] == [record["scores"] for record in kept]


def test_a_session_that_cannot_be_made_leaves_no_outlet_open(
    random_bundle: Path, spoken: Path, tmp_path: Path, no_thread_left: None
) -> None:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    (tmp_path / "file").touch()
    port = free_port()
    options = ["--recognizer", "none", "--bundle", str(random_bundle), "--websocket", str(port), "--json"]
    assert main(["listen", "--input", str(spoken), *options, "--record", str(tmp_path / "file")]) == 9
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_markers_of_another_program_are_in_the_session(random_bundle: Path, spoken: Path, tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed: install the 'dev' extra", exc_type=ImportError)
    settings = tmp_path / "lsl_api.cfg"
    settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n")
    name = f"stimuli {uuid.uuid4().hex}"
    options = ("--input", str(spoken), "--json", "--record", str(tmp_path / "study"), "--lsl", "--lsl-markers", name)
    call, environment = command(random_bundle, *options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSLAPICFG", str(settings))
        environment["LSLAPICFG"] = str(settings)
        with other_process(SENDER, name) as sender:
            assert sender.line() == "there"
            done = subprocess.run(call, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)
            assert sender.line() == "sent"
    assert done.returncode == 0, done.stderr
    assert "Markers are received" in done.stderr
    (folder,) = session_folders(tmp_path / "study")
    with Session(folder) as session:
        (marker,) = session.markers()
    assert marker["name"] == "stimulus"
    assert marker["source"] == f"LSL {name}"
    assert json.loads(done.stdout.splitlines()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--osc", "9000"], "no address for --osc"),
        (["--websocket", "x:y"], "no address for --websocket"),
        (["--websocket", "0.0.0.0:8765"], "--websocket-token"),
        (["--websocket-token", "something"], "needs --websocket"),
        (["--lsl-markers", "stimuli"], "needs --record"),
        (["--send-words"], "needs an outlet"),
    ],
)
def test_what_cannot_be_is_told_with_its_remedy(random_bundle: Path, spoken: Path, arguments: list[str], words: str) -> None:
    call, environment = command(random_bundle, "--input", str(spoken), *arguments)
    done = subprocess.run(call, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_SER_WEBSOCKET_TOKEN", "from the environment")
    parser = argparse.ArgumentParser()
    parser.set_defaults(record=None)
    add_outlets(parser)
    asked = wanted_outlets(parser.parse_args(["--websocket", "8765"]))
    assert asked is not None
    assert asked.token == "from the environment"
    given = wanted_outlets(parser.parse_args(["--websocket", "8765", "--websocket-token", "from the option"]))
    assert given is not None
    assert given.token == "from the option"
    # It asks for no outlet by itself.
    assert wanted_outlets(parser.parse_args([])) is None


def test_the_view_says_what_leaves_the_machine() -> None:
    from rich.console import Console

    from realtime_ser.commands.listen import LiveView

    console = Console(width=100, record=True, file=io.StringIO())
    view = LiveView("demo", "nobody", ("anger", "neutral"))
    console.print(view.render())
    assert "Sending" not in console.export_text()
    view.sending = "Sending scores: WebSocket at 127.0.0.1:8765"
    console.print(view.render())
    assert "▲ Sending scores: WebSocket at 127.0.0.1:8765" in console.export_text()
