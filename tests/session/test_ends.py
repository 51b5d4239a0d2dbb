"""How a recording can end: SIGKILL, a full disk, a newer program; and what is then found."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_parts import Recorded, agreed

from realtime_ser.assembly import Models, build_engine
from realtime_ser.audio.sources import ArraySource
from realtime_ser.commands.sessions.record import recording_text
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.engine import Phase
from realtime_ser.errors import SessionError
from realtime_ser.session.format import FORMAT_VERSION, RESERVE_NAME, is_recording, session_folders
from realtime_ser.session.header import Kept, make_header
from realtime_ser.session.reader import Session
from realtime_ser.session.recorder import Recorder
from realtime_ser.session.writer import StreamWriter
from realtime_ser.types import Output


def heard(folder: Path) -> float:
    with Session(folder) as session:
        return session.seconds


def test_a_kill_loses_less_than_a_second_and_is_told(random_bundle: Path, tmp_path: Path) -> None:
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "realtime_ser", "listen", "--input", "demo", "--recognizer", "none", "--json"),
            *("--record", str(tmp_path), "--participant", "P/01 ä", "--keep-audio", "--consent"),
        ],
        env={**os.environ, "REALTIME_SER_BUNDLE": str(random_bundle)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    last = 0.0
    for line in program.stdout:  # as fast as it is spoken
        record = json.loads(line)
        if record["type"] == "window":
            last = record["end"]
        if last > 6.0:
            break
    (folder,) = session_folders(tmp_path)
    assert is_recording(folder)
    assert heard(folder) > 4.0  # readable meanwhile
    with Session(folder) as session:
        assert session.state().phase == "recording"
    program.kill()
    program.communicate(timeout=30)
    assert not is_recording(folder)
    with Session(folder) as session:
        assert session.seconds > last - 1.0
        state = session.state()
        assert state.phase == "interrupted"
        assert "ended without warning" in state.message
        windows = session.windows()
        assert np.array_equal(np.diff(windows.first), np.full(len(windows.first) - 1, 160))
        assert (windows.first[-1] + windows.length) / 16_000 > last - 1.0
        pieces = list(session.audio())
        assert pieces[-1][0] + len(pieces[-1][1]) > (last - 1.0) * 16_000
        assert [first for first, _ in pieces[1:]] == [first + len(samples) for first, samples in pieces[:-1]]
        assert session.utterances()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def record_until_it_fails(models: Models, root: Path, samples: np.ndarray, told: list[str]) -> Recorder:
    header = make_header(
        models, participant="P", condition="", input_name="test", live=False, kept=agreed(words=False, audio=True)
    )
    recorder = Recorder(root, header, lambda status: told.append(status.problem))
    engine = build_engine(models, recorder.tap(ArraySource(samples, 16_000)), words=False)
    beside = engine.subscribe(1_000_000, Policy.KEEP_ALL)
    recorder.start(engine.subscribe(4_096, Policy.KEEP_ALL))
    with engine:
        engine.wait(100)
    assert engine.phase is Phase.FINISHED
    assert engine.position == len(samples)  # it heard everything
    assert len(beside.drain()) > 100
    return recorder


def test_a_full_disk_ends_the_recording_and_nothing_else(
    models: Models, demonstration: np.ndarray, small_disk: Path, no_thread_left: None
) -> None:
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 2 * len(demonstration)).astype(np.float32)
    told: list[str] = []
    recorder = record_until_it_fails(models, small_disk, np.concatenate([demonstration, noise]), told)
    status = recorder.finish("the input ended")
    assert status.phase == "failed"
    assert "full" in status.problem
    assert told == [status.problem]
    assert not (recorder.folder / RESERVE_NAME).exists()
    with Session(recorder.folder) as session:
        state = session.state()
        assert (state.phase, state.message) == ("failed", status.problem)
        assert session.seconds == status.seconds > 1
        windows = session.windows()
        assert len(windows.first) > 0
        assert np.isfinite(windows.scores).all()
        assert sum(len(samples) for _, samples in session.audio()) > 0


class StuckDisk:
    """Lets a recorder's writer wait from the second transaction on, as a network drive does that went away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stuck, self.answers = threading.Event(), threading.Event()
        real, calls = StreamWriter.write, itertools.count()

        def write(writer: StreamWriter, *arguments: Any) -> None:
            if next(calls) == 1:
                self.stuck.set()
                assert self.answers.wait(60)
            real(writer, *arguments)

        monkeypatch.setattr(StreamWriter, "write", write)


def recorder_of(models: Models, root: Path, told: list[str]) -> tuple[Recorder, Channel[Output]]:
    header = make_header(models, participant="P", condition="", input_name="test", live=False, kept=Kept())
    recorder = Recorder(root, header, lambda status: told.append(status.problem))
    outputs: Channel[Output] = Channel("test", 64, Policy.KEEP_ALL)
    recorder.start(outputs)
    return recorder, outputs


def test_ten_seconds_of_a_disk_lose_nothing_and_are_told(
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    no_thread_left: None,
) -> None:
    caplog.set_level("INFO")
    disk = StuckDisk(monkeypatch)
    recorder, _ = recorder_of(models, tmp_path, [])
    assert disk.stuck.wait(60)
    assert recorder.status().behind == 0.0
    recorder._written_at -= 10  # as if so many seconds had passed
    recorder.mark("waits", sample=1)
    status = recorder.status()
    assert status.phase == "recording"
    assert status.behind >= 10.0
    assert f"the disk is {status.behind:.0f} s behind" in str(recording_text(status))
    assert re.search(r"The disk has not answered for 1\d s", caplog.text)
    disk.answers.set()
    status = recorder.finish("the input ended")
    assert (status.phase, status.behind) == ("closed", 0.0)
    assert "The disk answers again" in caplog.text
    with Session(recorder.folder) as session:
        assert [marker["name"] for marker in session.markers()] == ["waits"]


def test_a_disk_that_hangs_ends_the_recording_and_keeps_what_waited(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_thread_left: None
) -> None:
    disk = StuckDisk(monkeypatch)
    told: list[str] = []
    recorder, _ = recorder_of(models, tmp_path, told)
    assert disk.stuck.wait(60)
    recorder.mark("waits", sample=1)
    recorder._written_at -= 31  # as if so many seconds had passed
    # After a suspend, too, many seconds have passed; then there is little that waits.
    recorder.mark("one more", sample=1)
    assert recorder.status().phase == "recording"
    for _ in range(500):
        recorder.note("so much that it must come from a running stream")
    recorder.mark("the last one", sample=2)
    assert re.search(r"the disk has not answered for 3\d s", recorder.status().problem)
    recorder.mark("too late", sample=3)
    disk.answers.set()
    status = recorder.finish("the input ended")
    assert (status.phase, told) == ("failed", [status.problem])
    with Session(recorder.folder) as session:
        assert [marker["name"] for marker in session.markers()] == ["waits", "one more"]
        assert (session.state().phase, session.state().message) == ("failed", status.problem)


def test_the_end_does_not_wait_for_ever_for_a_disk(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_thread_left: None
) -> None:
    monkeypatch.setattr("realtime_ser.session.recorder._FAREWELL", 0.0)
    disk = StuckDisk(monkeypatch)
    told: list[str] = []
    recorder, _ = recorder_of(models, tmp_path, told)
    assert disk.stuck.wait(60)
    status = recorder.finish("the input ended")
    assert status.phase == "failed"
    assert told == [status.problem]
    disk.answers.set()
    recorder._pen.join(60)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to play a full disk with")
def test_a_disk_that_refuses_is_told_and_what_was_written_is_read(random_bundle: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (420_000, 420_000))\n"
        "from realtime_ser.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "listen", "--input", "demo", "--pace", "fast", "--recognizer", "none", "--json"),
            *("--record", str(tmp_path), "--keep-audio", "--consent"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "REALTIME_SER_BUNDLE": str(random_bundle)},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == SessionError.exit_code == 9
    assert "The recording ended at" in done.stderr
    assert "Listening goes on" in done.stderr
    assert "Traceback" not in done.stderr
    # Listening went on: the last window is that of the end of the demonstration.
    ends = [record["end"] for record in map(json.loads, done.stdout.splitlines()) if record["type"] == "window"]
    assert ends[-1] > 57.0
    (folder,) = session_folders(tmp_path)
    with Session(folder) as session:
        assert session.state().phase in ("failed", "interrupted")
        assert session.windows().scores.shape[1] == 4


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(models: Models, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    header = make_header(
        models, participant="", condition="", input_name="test", live=False, kept=agreed(words=False, audio=False)
    )
    with pytest.raises(SessionError, match="cannot be written"):
        Recorder(tmp_path / "file", header)


@pytest.mark.parametrize("part", ["session.json", "session.sqlite"])
def test_a_newer_session_is_refused_in_clear_words(recorded: Recorded, tmp_path: Path, part: str) -> None:
    folder = shutil.copytree(recorded.folder, tmp_path / "copy")
    if part == "session.json":
        header = json.loads((folder / part).read_text())
        (folder / part).write_text(json.dumps({**header, "format": FORMAT_VERSION + 1, "classes": "other"}))
    else:
        database = sqlite3.connect(folder / part)
        database.execute(f"PRAGMA user_version={FORMAT_VERSION + 1}")
        database.close()
    with pytest.raises(SessionError, match=f"newer version of this program .*up to {FORMAT_VERSION}"):
        Session(folder)


@pytest.mark.parametrize(
    ("part", "content"), [("session.json", b"{"), ("session.json", b'{"format": 1}'), ("session.sqlite", b"x" * 5_000)]
)
def test_a_damaged_session_is_refused_in_words(recorded: Recorded, tmp_path: Path, part: str, content: bytes) -> None:
    folder = shutil.copytree(recorded.folder, tmp_path / "copy")
    (folder / part).write_bytes(content)
    with pytest.raises(SessionError):
        Session(folder)


def test_words_and_sound_are_not_kept_without_consent(models: Models) -> None:
    from realtime_ser.session.header import Kept

    with pytest.raises(SessionError, match="agreed"):
        make_header(models, participant="", condition="", input_name="", live=False, kept=Kept(words=True))


def test_a_marker_lies_where_the_stream_stood(models: Models, two_utterances: np.ndarray, tmp_path: Path) -> None:
    header = make_header(
        models, participant="", condition="", input_name="test", live=False, kept=agreed(words=False, audio=False)
    )
    recorder = Recorder(tmp_path, header)
    engine = build_engine(models, recorder.tap(ArraySource(two_utterances, 16_000, pace="realtime", block=480)), words=False)
    recorder.start(engine.subscribe(4_096, Policy.KEEP_ALL))
    beside = engine.subscribe(64, Policy.DROP_OLDEST)
    begun = time.perf_counter()
    with engine:
        while recorder.status().seconds <= 1.0:
            assert beside.get(10) is not None, "the engine has fallen silent"
        at = time.perf_counter()
        marker = recorder.mark("now", at=at)
        engine.stop()
        engine.wait(30)
    recorder.finish("it was stopped")
    with Session(recorder.folder) as session:
        (row,) = session.markers()
        assert row["sample"] == marker.sample
        # The stream is as old as its first sample, which was asked for a moment after `begun`.
        assert (at - begun) * 16_000 - 8_000 < row["sample"] < (at - begun) * 16_000 + 480
        utc = session.utc_of(row["sample"])
        assert utc == pytest.approx(row["utc"], abs=0.05)
