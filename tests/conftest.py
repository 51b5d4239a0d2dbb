"""What every test may use: the local data folder (never part of the repository) and a private virtual sound card."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Test modules are imported by path (importlib mode), so a plug-in that lies beside them has to be found explicitly.
sys.path.append(str(Path(__file__).resolve().parent))
pytest_plugins = ["virtual_microphone"]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# How long an example takes says more about the machine's other work than about the code; every test has a time-out anyway.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


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
