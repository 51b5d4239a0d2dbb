"""The wheel and the source archive carry what the program needs, and nothing that only the checkout needs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both archives, made by the build backend itself: no network, no installation."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def tracked(folder: str) -> set[str]:
    """Files of the checkout below `folder`, without what Python leaves behind."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_has_the_whole_package(wheel: set[str]) -> None:
    assert tracked("realtime_ser") <= wheel
    assert "realtime_ser/py.typed" in wheel


def test_wheel_has_the_assets_inside_the_package(wheel: set[str]) -> None:
    assert {name.replace("assets/", "realtime_ser/_assets/", 1) for name in tracked("assets")} <= wheel
    assert {"realtime_ser/_assets/demonstration.flac", "realtime_ser/_assets/icon.png"} <= wheel


def test_wheel_has_nothing_else(wheel: set[str]) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in wheel} == {"realtime_ser"}


def test_wheel_starts_the_program(built: Path, wheel: set[str]) -> None:
    entry = next(name for name in wheel if name.endswith("entry_points.txt"))
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        assert "realtime-ser = realtime_ser.cli:main" in archive.read(entry).decode()


def test_source_archive_can_build_the_wheel(sdist: set[str]) -> None:
    assert {"pyproject.toml", "README.md", "Makefile", "packaging/bootstrap.py"} <= sdist
    assert tracked("assets") <= sdist
    assert tracked("realtime_ser") <= sdist
    assert not any(name.startswith((".venv", "runs/")) for name in sdist)
