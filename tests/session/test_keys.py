"""Markers by key in a real terminal, and what a terminal must show while something is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("termios", reason="pseudo-terminals are POSIX's")

from pseudo_terminal import Terminal

from realtime_ser.session.format import session_folders
from realtime_ser.session.reader import Session


def test_keys_mark_and_the_sign_says_what_is_kept(random_bundle: Path, tmp_path: Path) -> None:
    arguments = ["listen", "--input", "demo", "--recognizer", "none", "--bundle", str(random_bundle)]
    recording = ["--record", str(tmp_path), "--keep-audio", "--marker", "s=stimulus:red"]
    shown = Terminal([*arguments, *recording], dict(os.environ), foreground=True)
    try:
        shown.wait_for("agree")
        shown.type("yes\n")
        shown.wait_for("SOUND")
        # An unknown key and an arrow, whose characters are no keys of their own, mark nothing.
        shown.type("x\x1b[As")
        shown.wait_for("1 marker")
        shown.program.send_signal(signal.SIGINT)
        assert shown.end() == 0
        assert shown.after == shown.before
    finally:
        shown.close()
    (folder,) = session_folders(tmp_path)
    with Session(folder) as session:
        (marker,) = session.markers()
        assert (marker["name"], marker["colour"], marker["source"]) == ("stimulus", "red", "key s")
        assert 0 <= marker["sample"] <= session.samples + 8_000
        assert session.header.kept.consent is not None
        assert session.header.kept.consent.how == "answered in the terminal"


def test_nothing_is_kept_without_consent(random_bundle: Path, tmp_path: Path) -> None:
    arguments = ["listen", "--input", "demo", "--recognizer", "none", "--bundle", str(random_bundle)]
    shown = Terminal([*arguments, "--record", str(tmp_path), "--keep-audio"], dict(os.environ), foreground=True)
    try:
        shown.wait_for("agree")
        shown.type("no\n")
        assert shown.end() == 9
    finally:
        shown.close()
    assert not list(tmp_path.iterdir())
