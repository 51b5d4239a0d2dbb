"""What every test may use: the local data folder (never part of the repository) and a private virtual sound card."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import numpy as np
import psutil
import pytest
import soundfile

REPOSITORY = Path(__file__).resolve().parent.parent

# Test modules are imported by path (importlib mode), so a plug-in that lies beside them has to be found explicitly.
sys.path.append(str(Path(__file__).resolve().parent))
pytest_plugins = ["virtual_microphone"]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# The user's own log is none of the tests' business.
os.environ.setdefault("REALTIME_SER_LOG", os.devnull)

# How long an example takes says more about the machine's other work than about the code; every test has a time-out anyway.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


SLOW_FILES = (
    "tests/test_end_to_end.py",
    "tests/gui/test_legibility.py",
    "tests/test_cli.py",
    "tests/test_two_people.py",
    "tests/audio/test_capture.py",
    "tests/outlets/test_listen.py",
    "tests/session/test_people.py",
    "tests/session/test_sessions_window.py",
    "tests/training/test_crossval.py",
    "tests/session/test_study.py",
)
"""The slowest first: a file's tests stay together, and one that began last would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow files; all else stays in its order."""
    ranks = {name: rank for rank, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(REPOSITORY).as_posix(), len(ranks)))


def data_root() -> Path:
    """Folder with corpora and clips: ``REALTIME_SER_DATA``, or ``../shared`` beside the checkout."""
    return Path(os.environ.get("REALTIME_SER_DATA", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder; the test is skipped, with the reason, where it is absent."""
    root = data_root()
    if not root.is_dir():
        pytest.skip(f"no data folder at {root}: set REALTIME_SER_DATA to run this test")
    return root


@pytest.fixture(scope="session")
def vosk_model_dir(data_dir: Path) -> Path:
    """A small real Vosk model (101 words)."""
    path = data_dir / "vosk-an4"
    if not path.is_dir():
        pytest.skip(f"no Vosk model at {path}")
    return path


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete bundle of small random networks (its scores mean nothing)."""
    pytest.importorskip("onnx", reason="onnx writes the test bundle: install the 'dev' extra")
    from bundle_factory import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundle") / "random")


@pytest.fixture(scope="session")
def demonstration() -> np.ndarray:
    """The demonstration audio that ships with the program: float32, 16 kHz, shape ``(n,)``."""
    samples, rate = soundfile.read(REPOSITORY / "assets" / "demonstration.flac", dtype="float32")
    assert rate == 16_000
    samples.flags.writeable = False
    return samples


def _children() -> set[psutil.Process]:
    """Processes that this one has started, but for the virtual sound card and what helps Python's own libraries."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            helper = any("resource_tracker" in word for word in process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and process.name() != "pulseaudio" and not helper:
                found.add(process)
    return found


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fails a test that leaves a thread or a process behind, and names it."""
    threads, processes = set(threading.enumerate()), _children()
    yield
    # A dummy stands for a thread of a library that has called Python; whether that lives, nobody can tell.
    dummy = threading._DummyThread  # type: ignore[attr-defined]
    new = [thread for thread in threading.enumerate() if thread not in threads and not isinstance(thread, dummy)]
    for thread in new:
        thread.join(2.0)  # one that is on its way out is none that was left
    left = [thread.name for thread in new if thread.is_alive()]
    assert not left, f"threads left behind: {left}"
    _, alive = psutil.wait_procs(_children() - processes, timeout=2.0)
    assert not alive, f"processes left behind: {alive}"
