"""The set-up: what it recognises as finished, what it says is missing, and whom it asks for a password."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging" / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, working on a checkout of its own that has nothing but ``pyproject.toml``."""
    specification = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "bootstrap", module)
    specification.loader.exec_module(module)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, value in {
        "ROOT": tmp_path,
        "VENV": tmp_path / ".venv",
        "STAMP": tmp_path / ".venv" / "realtime-ser.json",
        "LOG": tmp_path / ".venv" / "install.log",
        "PROGRAM": tmp_path / ".venv" / "realtime-ser",
    }.items():
        monkeypatch.setattr(module, name, value)
    for name in ("SYSTEM", "TRAINING"):
        monkeypatch.delenv(name, raising=False)
    return module


def found(bootstrap: ModuleType, **changes: object) -> dict:
    """What the probe says about an environment in which all is well."""
    packages = [bootstrap.distribution(requirement) for requirement in bootstrap.read_project()["dependencies"]]
    here = list(sys.version_info[:2])
    return {"python": here, "own": True, "packages": ["pip", "realtime_ser", *packages], "missing": [], **changes}


def stamp(bootstrap: ModuleType, **changes: object) -> dict:
    """The stamp of an environment that was made for the tests."""
    made = {"folder": str(bootstrap.VENV), "python": list(sys.version_info[:2]), "extras": ["dev"], "absent": []}
    return {**bootstrap.fingerprint(), **made, **changes}


def test_old_pythons_can_read_it() -> None:
    """They are to say which Python is needed, not to stumble over syntax."""
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    used = {node.module for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)}
    assert used <= {"__future__", "pathlib", "typing"}  # nothing but the standard library, and nothing newer than 3.8


class TestEnvironment:
    def test_finished(self, bootstrap: ModuleType) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.PROGRAM.touch()
        assert bootstrap.is_sound(stamp(bootstrap), found(bootstrap), False)
        assert bootstrap.is_complete(stamp(bootstrap), found(bootstrap), ["dev"])

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"folder": "/somewhere/else/.venv"}, id="checkout moved"),
            pytest.param({"python": [3, 10]}, id="made with another Python"),
        ],
    )
    def test_unsound_by_its_stamp(self, bootstrap: ModuleType, changes: dict) -> None:
        assert not bootstrap.is_sound(stamp(bootstrap, **changes), found(bootstrap), False)

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"own": False}, id="no environment of its own"),
            pytest.param({"packages": ["numpy"]}, id="without pip"),
        ],
    )
    def test_unsound_by_what_is_found(self, bootstrap: ModuleType, changes: dict) -> None:
        assert not bootstrap.is_sound(stamp(bootstrap), found(bootstrap, **changes), False)

    def test_an_interpreter_that_does_not_start_is_unsound(self, bootstrap: ModuleType) -> None:
        assert bootstrap.probe() is None
        assert not bootstrap.is_sound(stamp(bootstrap), None, False)

    def test_another_python_was_asked_for(self, bootstrap: ModuleType) -> None:
        other = {"python": [3, 99]}
        assert bootstrap.is_sound(stamp(bootstrap, **other), found(bootstrap, **other), False)
        assert not bootstrap.is_sound(stamp(bootstrap, **other), found(bootstrap, **other), True)

    def test_half_made_is_made_anew_but_a_strangers_is_kept(self, bootstrap: ModuleType) -> None:
        bootstrap.VENV.mkdir()
        assert bootstrap.is_sound({}, found(bootstrap), False)
        bootstrap.LOG.touch()
        assert not bootstrap.is_sound({}, found(bootstrap), False)

    @pytest.mark.parametrize(
        ("stamped", "seen", "extras"),
        [
            pytest.param({"project": "old"}, {}, [], id="pyproject.toml changed"),
            pytest.param({"recipe": 0}, {}, [], id="the script changed"),
            pytest.param({}, {"missing": ["vosk"]}, [], id="a package was taken out"),
            pytest.param({}, {}, ["training"], id="more is wanted"),
        ],
    )
    def test_incomplete(self, bootstrap: ModuleType, stamped: dict, seen: dict, extras: list[str]) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.PROGRAM.touch()
        assert not bootstrap.is_complete(stamp(bootstrap, **stamped), found(bootstrap, **seen), extras)

    def test_what_this_machine_cannot_have_is_not_asked_for_again(self, bootstrap: ModuleType) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.PROGRAM.touch()
        assert bootstrap.is_complete(stamp(bootstrap, absent=["vosk"]), found(bootstrap, missing=["vosk"]), [])

    def test_only_what_is_installed_counts_in_pyproject(self, bootstrap: ModuleType) -> None:
        before = bootstrap.fingerprint()
        project = bootstrap.ROOT / "pyproject.toml"
        project.write_text(project.read_text(encoding="utf-8") + "\n[tool.other]\nkey = 1\n", encoding="utf-8")
        assert bootstrap.fingerprint() == before
        project.write_text(project.read_text(encoding="utf-8").replace("numpy>=", "numpy>"), encoding="utf-8")
        assert bootstrap.fingerprint() != before

    @pytest.mark.parametrize("content", ["", "[]", "{"])
    def test_a_damaged_stamp_is_no_stamp(self, bootstrap: ModuleType, content: str) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.STAMP.write_text(content, encoding="utf-8")
        assert bootstrap.read_stamp() == {}

    def test_this_very_environment_answers_the_probe(self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        bootstrap.VENV.mkdir()
        monkeypatch.setattr(bootstrap, "VENV_PYTHON", Path(sys.executable))
        answer = bootstrap.probe()
        assert answer["python"] == list(sys.version_info[:2])
        assert "numpy" not in answer["missing"]


class TestSystemLibraries:
    def test_complete_says_nothing(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
    ) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.PROGRAM.touch()
        monkeypatch.setattr(bootstrap, "missing_libraries", list)
        bootstrap.provide_system()
        assert capsys.readouterr().out == ""

    def test_what_cannot_be_installed_is_named_with_its_effect_and_command(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
    ) -> None:
        bootstrap.VENV.mkdir()
        bootstrap.PROGRAM.touch()
        monkeypatch.setenv("SYSTEM", "no")
        monkeypatch.setattr(bootstrap, "missing_libraries", lambda: [bootstrap.PORTAUDIO[0], bootstrap.QT[1]])
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/" + name if name in ("apt-get", "sudo") else None)
        bootstrap.provide_system()
        said = capsys.readouterr().out
        assert "PortAudio" in said
        assert "no live microphone" in said
        assert "sudo apt-get update && sudo apt-get install --no-install-recommends libportaudio2 libegl1" in said
        assert "Going on without" in said

    def test_where_rpm_is_known_libraries_are_asked_for_by_name(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/dnf" if name == "dnf" else None)
        assert bootstrap.install_command([], bootstrap.PORTAUDIO) == "    dnf install 'libportaudio.so.2()(64bit)'"

    def test_no_environment_at_all_stops_with_one_command_for_everything(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SYSTEM", "no")
        monkeypatch.setattr(bootstrap, "missing_venv_package", lambda: "python3.11-venv")
        monkeypatch.setattr(bootstrap, "other_makers", list)
        monkeypatch.setattr(bootstrap, "missing_libraries", lambda: bootstrap.PORTAUDIO)
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
        with pytest.raises(bootstrap.Stop, match=r"apt-get install --no-install-recommends python3\.11-venv libportaudio2"):
            bootstrap.provide_system()

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="sudo is asked on Unix only")
    @pytest.mark.parametrize(
        ("terminal", "sudoer", "free", "prefix"),
        [
            (False, True, False, None),
            (True, False, False, None),
            (True, True, False, ["sudo"]),
            (False, False, True, ["sudo", "-n"]),
        ],
    )
    def test_a_password_is_asked_only_of_sudoers_at_a_terminal(
        self,
        bootstrap: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        terminal: bool,
        sudoer: bool,
        free: bool,
        prefix: list[str] | None,
    ) -> None:
        asked: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
            asked.append(command)
            return subprocess.CompletedProcess(command, int(command == ["sudo", "-n", "true"] and not free))

        monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
        monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/" + name)
        monkeypatch.setattr(bootstrap.subprocess, "run", run)
        monkeypatch.setattr(bootstrap, "has_terminal", lambda: terminal)
        monkeypatch.setattr(bootstrap, "may_use_sudo", lambda: sudoer)
        assert bootstrap.admin_prefix()[0] == prefix
        assert (["sudo", "-v"] in asked) is (prefix == ["sudo"])

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wheels bring all they need elsewhere")
    def test_every_library_that_qt_wants_is_listed(self, bootstrap: ModuleType) -> None:
        """Against the wheel that is installed here, so that a new PySide6 with a new need is noticed."""
        readelf = shutil.which("readelf")
        if readelf is None:
            pytest.skip("readelf (binutils) is not installed")
        specification = importlib.util.find_spec("PySide6")
        assert specification is not None
        qt = Path(specification.submodule_search_locations[0]) / "Qt"
        plugins = [qt / "plugins" / "platforms" / f"lib{name}.so" for name in ("qxcb", "qoffscreen", "qwayland")]
        libraries = [
            qt / "lib" / f"libQt6{name}.so.6" for name in ("Core", "Gui", "Widgets", "DBus", "XcbQpa", "WaylandClient")
        ]
        shells = list((qt / "plugins").glob("wayland-shell-integration/*.so"))
        present = [path for path in (*plugins, *libraries, *shells) if path.exists()]
        assert len(present) >= 6
        listed = {entry.soname for group in (bootstrap.QT, bootstrap.QT_X11, bootstrap.QT_WAYLAND) for entry in group}
        # In every Debian and Ubuntu, because apt or the C library needs them; libgthread comes with libglib.
        everywhere = {"libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libzstd.so.1", "libgthread-2.0.so.0"}
        everywhere |= {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"}
        needed = set()
        for path in present:
            lines = subprocess.run([readelf, "-d", str(path)], check=True, capture_output=True, text=True).stdout.splitlines()
            needed |= {line.split("[")[1].rstrip("]") for line in lines if "(NEEDED)" in line}
        own = {name for name in needed if name.startswith(("libQt6", "libicu", "ld-linux"))}
        assert needed - own - everywhere <= listed


class TestPip:
    @pytest.mark.parametrize(
        ("line", "news"),
        [
            (
                "  Downloading onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl (27.8 MB)",
                "downloading onnxruntime 1.32.0 (27.8 MB)",
            ),
            ("  Downloading onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (5.2 kB)", None),
            ("Downloading rich-15.0.0-py3-none-any.whl (310 kB)", None),
            ("Installing collected packages: numpy, rich", "installing 2 packages"),
            ("Collecting numpy", None),
        ],
    )
    def test_progress(self, bootstrap: ModuleType, line: str, news: str | None) -> None:
        assert bootstrap.progress(line + "\n") == news

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            (["x SSLError(... CERTIFICATE_VERIFY_FAILED ...", "ERROR: No matching distribution"], "the server's certificate"),
            (["Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"], "no connection"),
            (
                ["ERROR: Ignored", "ERROR: No matching distribution found for vosk>=9"],
                "No matching distribution found for vosk>=9",
            ),
            (["FileNotFoundError: Forced include not found: assets", "error: subprocess-exited-with-error"], "Forced include"),
            (["nothing that we know"], "see "),
        ],
    )
    def test_the_reason_is_found_in_the_noise(self, bootstrap: ModuleType, lines: list[str], reason: str) -> None:
        assert reason in bootstrap.why_pip_failed(lines)

    def test_no_connection_ends_it_at_once(self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[tuple[str, ...]] = []

        def pip(*arguments: str) -> str:
            calls.append(arguments)
            return "no connection"

        monkeypatch.setattr(bootstrap, "pip", pip)
        with pytest.raises(bootstrap.Stop, match="could not be downloaded: no connection"):
            bootstrap.install([])
        assert len(calls) == 1

    def test_a_package_without_a_build_takes_only_itself_away(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed: list[str] = []

        def pip(*arguments: str) -> str:
            if arguments[:1] == ("-e",) or any("vosk" in argument for argument in arguments):
                return "ERROR: No matching distribution found for vosk"
            installed.extend(argument for argument in arguments if not argument.startswith("-"))
            return ""

        monkeypatch.setattr(bootstrap, "pip", pip)
        bootstrap.install(["dev"])
        names = {bootstrap.distribution(requirement) for requirement in installed}
        assert {"numpy", "onnxruntime", "pocketsphinx", "pytest"} <= names
        assert "vosk" not in names

    def test_what_can_be_missing_is_what_the_project_depends_on(self, bootstrap: ModuleType) -> None:
        needed = {bootstrap.distribution(requirement) for requirement in bootstrap.read_project()["dependencies"]}
        assert set(bootstrap.FEATURES) <= needed

    @pytest.mark.parametrize(
        ("needs", "light"),
        [(["filelock"], True), (["nvidia-cublas==13.0; platform_system == 'Linux'"], not sys.platform.startswith("linux"))],
    )
    def test_pytorch_comes_along_only_without_graphics_libraries(
        self, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, needs: list[str], light: bool
    ) -> None:
        report = json.dumps({"install": [{"metadata": {"requires_dist": needs}}]})
        answer = subprocess.CompletedProcess([], 0, stdout=report)
        monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: answer)
        assert bootstrap.training_is_light()[0] is light


@pytest.mark.skipif(os.name == "nt", reason="packaging/run.ps1 does this on Windows")
class TestWithoutPython:
    def test_says_which_python_and_where_from(self, tmp_path: Path) -> None:
        """A machine whose only Python is too old."""
        old = tmp_path / "python3"
        old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n', encoding="utf-8")
        old.chmod(0o755)
        dirname = shutil.which("dirname")
        cat = shutil.which("cat")
        assert dirname
        assert cat
        for tool in (dirname, cat):
            (tmp_path / Path(tool).name).symlink_to(tool)
        done = subprocess.run(
            ["/bin/sh", str(ROOT / "packaging" / "bootstrap.sh"), "run"],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert "needs Python 3.11" in done.stderr
        assert "has Python 3.9.2" in done.stderr
        assert "apt-get install python3" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lists_what_it_can_do() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for target in ("make run", "make test", "make doctor", "make clean"):
        assert target in listed
