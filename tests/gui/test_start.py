"""Starting where there is a display, and where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from realtime_ser.errors import DisplayError
from realtime_ser.gui import qt

TESTS = Path(__file__).resolve().parent.parent
SHORT_RUN = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from realtime_ser.gui.app import run
assert not any(name.startswith(("PySide6", "pyqtgraph")) for name in sys.modules)
from gui.scripted_controller import ScriptedController
sys.exit(run(ScriptedController, start=True, quit_after=1.0))
"""


def test_it_runs_and_closes_by_itself(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)}
    script = SHORT_RUN.format(tests=str(TESTS), root=str(TESTS.parent))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("dashboard.ini"))


UNTIL_TOLD = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from realtime_ser.gui.app import run
from gui.scripted_controller import ScriptedController

def controller():
    print("the window is up", flush=True)
    return ScriptedController()

sys.exit(run(controller, start=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to send to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-c", UNTIL_TOLD.format(tests=str(TESTS), root=str(TESTS.parent))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "the window is up\n"
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    assert list(tmp_path.rglob("dashboard.ini"))  # it was closed, not killed


LISTENING = """
import sys
from realtime_ser.gui.settings import Settings, open_store
from realtime_ser.cli import main

store = open_store()
Settings(store).first_steps_seen = True
store.sync()
sys.exit(main(["gui", "--demo", "--recognizer", "pocketsphinx", "--log", "/dev/stderr"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the log is read through standard error, which is a file here")
def test_a_signal_ends_the_engine_and_its_recogniser_too(tmp_path: Path, random_bundle: Path) -> None:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "REALTIME_SER_BUNDLE": str(random_bundle)}
    with subprocess.Popen([sys.executable, "-c", LISTENING], env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = ""
        while " windows, " not in told:  # it listens, and says so with its first figures
            line = running.stderr.readline()
            assert line, told
            told += line
        recognisers = psutil.Process(running.pid).children()
        assert recognisers
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert " windows, " in errors  # the last figures: the stream was ended, not cut off
    assert "Traceback" not in errors
    assert not psutil.wait_procs(recognisers, timeout=10)[1]


def test_a_missing_library_is_named_with_its_package() -> None:
    error = OSError("libxcb-cursor.so.0: cannot open shared object file: No such file or directory")
    told = qt.missing_library(error)
    assert "libxcb-cursor.so.0" in told.problem
    assert "apt-get install libxcb-cursor0" in told.remedy
    assert qt.SYSTEM_PACKAGES in qt.missing_library(ImportError("something else")).remedy


@pytest.mark.skipif(sys.platform != "linux", reason="only X11 can be missing")
class TestDisplay:
    def test_none_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(DisplayError, match="no display"):
            qt.check_display()

    def test_one_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.setenv("DISPLAY", ":31999")
        with pytest.raises(DisplayError):
            qt.check_display()

    def test_offscreen_needs_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        monkeypatch.delenv("DISPLAY", raising=False)
        qt.check_display()
