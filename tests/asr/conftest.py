"""Clips with known words, and a web server that misbehaves on request."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from realtime_ser.asr.protocol import Recognizer
from realtime_ser.types import FloatArray, Transcript


@dataclass(frozen=True)
class KnownClip:
    """A clip of AN4 with what vosk-an4 makes of it (`words`: seconds from the start of the clip)."""

    name: str
    samples: FloatArray
    text: str
    words: list[dict[str, Any]]


@pytest.fixture(scope="session")
def known_clips(data_dir: Path) -> list[KnownClip]:
    folder = data_dir / "clips" / "an4-vosk"
    if not folder.is_dir():
        pytest.skip(f"no clips at {folder}")
    entries = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return [
        KnownClip(entry["file"], sf.read(folder / entry["file"], dtype="float32")[0], entry["text"], entry["words"])
        for entry in entries
    ]


@pytest.fixture
def model_copy(vosk_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the small Vosk model that may be damaged."""
    copy = tmp_path / "vosk-model-small-en-us-9"
    # copyfile: the original's write protection is not wanted here.
    shutil.copytree(vosk_model_dir, copy, copy_function=shutil.copyfile)
    for folder in (copy, *copy.rglob("*/")):
        folder.chmod(0o755)
    return copy


def decode(
    recognizer: Recognizer, samples: FloatArray, *, utterance: int = 1, first_sample: int = 0, cuts: list[int] | None = None
) -> tuple[list[Transcript], Transcript]:
    """Partial transcripts and the final one; `cuts` are sample indices into `samples`, by default every 1,600."""
    cuts = list(range(1600, len(samples), 1600)) if cuts is None else cuts
    recognizer.begin(utterance, first_sample)
    partial = [recognizer.accept(part) for part in np.split(samples, cuts)]
    return [transcript for transcript in partial if transcript is not None], recognizer.finish()


@dataclass
class FileServer:
    """Serves `files` by path on a loopback address, with ranges.

    `break_off` lists, per request that is to break off, after how many bytes of the body the connection ends; `statuses` lists
    what the next requests are answered with instead of the file. `requests` records (path, Range header).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    break_off: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    redirect: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def file_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range")))
            if state.statuses:
                return self.send_error(state.statuses.pop(0))
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                return self.end_headers()
            body = state.files.get(self.path)
            if body is None:
                return self.send_error(404)
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if state.ranges else None
            first = int(match[1]) if match else 0
            if match and first >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206 if match else 200)
            if match:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - first))
            self.end_headers()
            end = first + state.break_off.pop(0) if state.break_off else len(body)
            self.wfile.write(body[first:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="file-server")
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _nothing_left(no_thread_left: None) -> None:
    """Every test here ends its threads and processes."""
