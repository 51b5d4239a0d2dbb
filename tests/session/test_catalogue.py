"""Which sessions there are."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from session_parts import Record, Recorded

from realtime_ser.session import catalogue, edit
from realtime_ser.session.catalogue import Catalogue, read_facts
from realtime_ser.session.format import hold_lock


def test_states_and_what_is_kept(recorded: Recorded, record: Record, tmp_path: Path) -> None:
    whole = shutil.copytree(recorded.folder, tmp_path / "1")
    broken_off = shutil.copytree(record(tmp_path / "elsewhere", condition="stress").folder, tmp_path / "2")
    with sqlite3.connect(broken_off / "session.sqlite") as database:
        database.execute("DELETE FROM endings")
    database.close()
    damaged = shutil.copytree(recorded.folder, tmp_path / "3")
    (damaged / "session.sqlite").write_bytes(b"nothing of the kind")
    running = shutil.copytree(recorded.folder, tmp_path / "4")
    lock = hold_lock(running)
    found = list(Catalogue().read(tmp_path))
    assert [(one.folder, one.phase) for one in found] == [
        (running, "recording"),
        (damaged, "unreadable"),
        (broken_off, "interrupted"),
        (whole, "closed"),
    ]
    lock.close()
    assert (found[3].words, found[3].audio) == (True, True)
    assert found[3].seconds == pytest.approx(recorded.status.seconds)
    assert (found[2].words, found[2].audio, found[2].condition) == (False, False, "stress")
    assert "cannot be opened" in found[1].message
    assert "not closed" in found[2].message
    assert list(Catalogue().read(tmp_path / "nothing here")) == []


def test_only_what_changed_is_read_again(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [shutil.copytree(recorded.folder, tmp_path / str(number)) for number in range(3)]
    read: list[Path] = []

    def counted(folder: Path) -> catalogue.SessionFacts:
        read.append(folder)
        return read_facts(folder)

    monkeypatch.setattr(catalogue, "read_facts", counted)
    sessions = Catalogue()
    assert len(list(sessions.read(tmp_path))) == len(read) == 3
    read.clear()
    assert len(list(sessions.read(tmp_path))) == 3
    assert read == []
    edit.delete_audio(folders[1])
    edit.delete_session(folders[2])
    assert [one.audio for one in sessions.read(tmp_path)] == [False, True]
    assert read == [folders[1]]
