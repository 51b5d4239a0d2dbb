"""Make a checkout ready to run: system libraries, a private environment in ``.venv``, the packages of ``pyproject.toml``.

    python3 packaging/bootstrap.py run       what the program needs
    python3 packaging/bootstrap.py test      the same, with the tools and libraries of the tests
    python3 packaging/bootstrap.py doctor    say what is here and what is missing; change nothing

It is Python, not shell, so that Linux, macOS and Windows share one set of rules and these can be unit-tested; it uses the
standard library only, because it runs before anything is installed. An up-to-date environment is recognised in a fraction
of a second and without a word: ``.venv/realtime-ser.json`` says what it was made from. The package is installed in place
("editable"), so a change to the code needs no new installation; a change to ``pyproject.toml``, a moved checkout, a lost
interpreter or a missing package does.

Only two things end it: no way to make an environment, and no way to download the packages that everything rests on. A
missing system library, or a package without a build for this machine, takes away a part of the program and is named.

Environment: ``SYSTEM=no`` never installs system packages. ``TRAINING=yes|no`` decides about PyTorch for ``test``; without
it PyTorch is installed where pip is offered a build without several gigabytes of graphics libraries.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "realtime-ser.json"
LOG = VENV / "install.log"
WINDOWS = os.name == "nt"
LINUX = sys.platform.startswith("linux")
VENV_PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
PROGRAM = VENV / ("Scripts/realtime-ser.exe" if WINDOWS else "bin/realtime-ser")
OLDEST, NEWEST = (3, 11), (3, 14)
RECIPE = 1
"""Part of the stamp: raise it when this script starts to build environments differently."""

# Dependencies that the program can do without, and what goes with them. It rests on all others.
FEATURES = {
    "sounddevice": "the live microphone",
    "vosk": "Vosk speech recognition",
    "pocketsphinx": "PocketSphinx speech recognition",
    "pyside6-essentials": "the window (the terminal view works)",
    "pyqtgraph": "the window (the terminal view works)",
    "pyarrow": "export to Parquet",
}


class Library(NamedTuple):
    """A shared library that a wheel expects from the system."""

    soname: str
    debian: str


# Found with `readelf -d` on the wheels' own libraries (docs/dependencies.md). macOS and Windows wheels bring all they need.
PORTAUDIO = [Library("libportaudio.so.2", "libportaudio2")]
QT = [
    Library("libglib-2.0.so.0", "libglib2.0-0"),
    Library("libEGL.so.1", "libegl1"),
    Library("libGL.so.1", "libgl1"),
    Library("libX11.so.6", "libx11-6"),
    Library("libfontconfig.so.1", "libfontconfig1"),
    Library("libfreetype.so.6", "libfreetype6"),
    Library("libdbus-1.so.3", "libdbus-1-3"),
    Library("libxkbcommon.so.0", "libxkbcommon0"),
]
QT_X11 = [
    Library("libX11-xcb.so.1", "libx11-xcb1"),
    Library("libxcb.so.1", "libxcb1"),
    Library("libxcb-cursor.so.0", "libxcb-cursor0"),
    Library("libxcb-icccm.so.4", "libxcb-icccm4"),
    Library("libxcb-image.so.0", "libxcb-image0"),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    Library("libxcb-randr.so.0", "libxcb-randr0"),
    Library("libxcb-render.so.0", "libxcb-render0"),
    Library("libxcb-render-util.so.0", "libxcb-render-util0"),
    Library("libxcb-shape.so.0", "libxcb-shape0"),
    Library("libxcb-shm.so.0", "libxcb-shm0"),
    Library("libxcb-sync.so.1", "libxcb-sync1"),
    Library("libxcb-util.so.1", "libxcb-util1"),
    Library("libxcb-xfixes.so.0", "libxcb-xfixes0"),
    Library("libxcb-xkb.so.1", "libxcb-xkb1"),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
]
QT_WAYLAND = [
    Library("libwayland-client.so.0", "libwayland-client0"),
    Library("libwayland-cursor.so.0", "libwayland-cursor0"),
    Library("libwayland-egl.so.1", "libwayland-egl1"),
]
GROUPS = [
    ("PortAudio", PORTAUDIO, "no live microphone; audio files and the demonstration work"),
    ("Qt's libraries", QT, "no window; the terminal view works"),
    ("Qt's libraries for X11", QT_X11, "no window on an X11 desktop; the terminal view works"),
    ("Qt's libraries for Wayland", QT_WAYLAND, "on a Wayland desktop the window goes through X11"),
]


CONNECTION_TROUBLE = [
    (re.compile(r"CERTIFICATE_VERIFY_FAILED"), "the server's certificate is not trusted here"),
    (
        re.compile(r"Name or service not known|name resolution|getaddrinfo failed|nodename nor"),
        "no connection (no name service)",
    ),
    (re.compile(r"NewConnectionError|Connection refused|Network is unreachable|ProxyError"), "no connection"),
    (re.compile(r"ReadTimeoutError|timed out|ConnectionResetError|IncompleteRead|ProtocolError"), "the connection broke off"),
    (re.compile(r"No space left on device"), "the disk is full"),
]
"""What pip prints when the trouble is not with a package."""
CONNECTIONS = {reason for _, reason in CONNECTION_TROUBLE}


class Stop(Exception):  # noqa: N818 - no error of the script but its last word
    """The environment cannot be made; the message says why and what to do."""


def say(text: str = "", end: str = "\n") -> None:
    """Print for the user, at once: progress is no progress when it waits in a buffer."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Return 12 s, 2 min 5 s."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else "{} min {} s".format(*divmod(whole, 60))


# --- system libraries ------------------------------------------------------------------------------------------------------


def loads(library: Library) -> bool:
    """Whether the system's loader finds the library: the very question that the wheels will ask."""
    try:
        ctypes.CDLL(library.soname)
    except OSError:
        return False
    return True


def missing_libraries() -> list[Library]:
    """All libraries of :data:`GROUPS` that this Linux lacks; none elsewhere."""
    return [library for _, libraries, _ in GROUPS for library in libraries if not loads(library)] if LINUX else []


def missing_venv_package() -> str | None:
    """Debian's package that lets this Python make environments, where Debian split it off; otherwise ``None``."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return None
    return "python{}.{}-venv".format(*sys.version_info[:2])


def other_makers() -> list[list[list[str]]]:
    """Commands that make ``.venv`` where venv cannot do it alone, for each tool that is installed."""
    ways = []
    if shutil.which("virtualenv"):
        ways.append([["virtualenv", "--quiet", "--python", sys.executable, str(VENV)]])
    if importlib.util.find_spec("venv") and importlib.util.find_spec("pip"):
        pip_for = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
        ways.append([[sys.executable, "-m", "venv", "--without-pip", str(VENV)], [*pip_for, "install", "--quiet", "pip"]])
    if shutil.which("uv"):
        ways.append([["uv", "venv", "--quiet", "--seed", "--python", sys.executable, str(VENV)]])
    return ways


def admin_prefix() -> tuple[list[str] | None, str]:
    """How to become root for apt: the words before the command, or ``None`` and the reason.

    A password is asked for only at a terminal, once, and only of somebody who may use sudo: anybody else would type a password
    for nothing and have it reported.
    """
    if os.environ.get("SYSTEM", "").lower() in ("no", "0", "false"):
        return None, "SYSTEM=no"
    if os.geteuid() == 0:
        return [], ""
    if not shutil.which("sudo"):
        return None, "that takes an administrator, and there is no sudo here"
    if subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
        return ["sudo", "-n"], ""
    if not has_terminal():
        return None, "sudo wants a password, and there is no terminal to ask for it"
    if not may_use_sudo():
        return None, "that takes an administrator's password"
    say("  sudo asks for your password to install system libraries (`SYSTEM=no` goes on without them).")
    if subprocess.run(["sudo", "-v"]).returncode:
        return None, "sudo was not allowed"
    return ["sudo"], ""


def has_terminal() -> bool:
    """Whether somebody can be asked: sudo reads the password from the terminal that controls this process."""
    try:
        Path("/dev/tty").open("rb").close()
    except OSError:
        return False
    return sys.stdin.isatty()


def may_use_sudo() -> bool:
    """Whether the user is in one of the groups that sudo usually serves."""
    groups = subprocess.run(["id", "-nG"], capture_output=True, text=True).stdout.split()
    return bool({"sudo", "wheel", "admin"} & set(groups))


def install_command(packages: Sequence[str], libraries: Sequence[Library]) -> str:
    """The command that a user can paste: by package on Debian and its children, by library where rpm can resolve one."""
    sudo = ["sudo"] if shutil.which("sudo") else []
    if shutil.which("apt-get"):
        words = [*sudo, "apt-get", "update", "&&", *sudo, "apt-get", "install", "--no-install-recommends", *packages]
    else:
        bits = "()(64bit)" if sys.maxsize > 2**32 else ""
        tool = next((tool for tool in ("dnf", "zypper") if shutil.which(tool)), None)
        if tool is None:
            return "    your package manager, with whatever packs these:\n    " + " ".join(entry.soname for entry in libraries)
        words = [*sudo, tool, "install", *(f"'{entry.soname}{bits}'" for entry in libraries)]
    lines = textwrap.wrap(" ".join(words), 100, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False)
    return " \\\n".join(lines)


def apt(prefix: Sequence[str], packages: Sequence[str]) -> None:
    """Install Debian packages; one that does not exist here does not keep the others out."""
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    get = [*prefix, *environment, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    install = [*get, "install", "-y", "--no-install-recommends"]

    def run(command: Sequence[str]) -> bool:
        with log().open("a", encoding="utf-8") as output:
            output.write("$ " + " ".join(command) + "\n")
            output.flush()
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT).returncode == 0

    lists = Path("/var/lib/apt/lists")
    if any(lists.glob("*_Packages*")) and run([*install, *packages]):
        return
    run([*get, "update"])
    if not run([*install, *packages]):
        for package in packages:
            run([*install, package])


def log() -> Path:
    """Where the chatter of apt and pip goes; outside ``.venv`` until that exists, because venv wants to make it."""
    if VENV.is_dir():
        return LOG
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    return build / "install.log"


def provide_system() -> None:
    """Install what is missing where that is possible; otherwise say what, why and how.

    Raises
    ------
    Stop
        When no environment can be made without what is missing. Nothing else is worth stopping for.
    """

    def packages() -> list[str]:
        venv_package = None if PROGRAM.exists() else missing_venv_package()
        return ([venv_package] if venv_package else []) + [library.debian for library in missing_libraries()]

    if not packages():
        return
    reason = "this is not a Debian or Ubuntu system"
    if shutil.which("apt-get"):
        prefix, reason = admin_prefix()
        if prefix is not None:
            begun = time.monotonic()
            say("  Installing system libraries with apt-get:")
            say(
                textwrap.fill(
                    " ".join(packages()), 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
                )
            )
            apt(prefix, packages())
            importlib.invalidate_caches()
            if not packages():
                say(f"  System libraries: ready ({duration(time.monotonic() - begun)})")
                return
            reason = f"apt-get could not install everything, see {relative(log())}"
    libraries = missing_libraries()
    if not PROGRAM.exists() and missing_venv_package() and not other_makers():
        raise Stop(
            "This Python cannot make environments: its parts venv and ensurepip are packed separately, and are not installed\n"
            f"({reason}). This installs them"
            + (", and the libraries for the microphone and the window:\n" if libraries else ":\n")
            + install_command(packages(), libraries)
            + "\nThen start again."
        )
    if libraries:
        for name, absent, effect in missing_groups(libraries):
            say(f"  Missing: {name} ({len(absent)} {'library' if len(absent) == 1 else 'libraries'}): {effect}.")
        say(f"  Not installed: {reason}. This installs them:")
        say(install_command([library.debian for library in libraries], libraries))
        say("  Going on without.")


def missing_groups(libraries: Sequence[Library]) -> Iterator[tuple[str, list[str], str]]:
    """Name of the group, sonames of its missing libraries, and what is lost with them, for every group that lacks some."""
    for name, group, effect in GROUPS:
        absent = [library.soname for library in libraries if library in group]
        if absent:
            yield name, absent, effect


def relative(path: Path) -> str:
    """`path` as seen from the checkout, for messages."""
    return str(path.relative_to(ROOT))


# --- the environment -------------------------------------------------------------------------------------------------------


def fingerprint() -> dict[str, Any]:
    """What the packages in an environment depend on beside the extras; a change in it has them installed again."""
    parts = {name: table for name, table in read_toml().items() if name in ("project", "build-system")}
    return {"recipe": RECIPE, "project": hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}


def read_stamp() -> dict[str, Any]:
    """What the environment says that it was made from; empty where there is none or it was never finished."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def clean_environment() -> dict[str, str]:
    """Return the environment variables without what would lead Python or pip out of ``.venv``."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET")}
    environment.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUTF8="1")
    return environment


def probe() -> dict[str, Any] | None:
    """Ask the environment's Python for its version and its packages; ``None`` where it does not start."""
    code = (
        "import json, pathlib, sys, sysconfig;"
        "folders = pathlib.Path(sysconfig.get_path('purelib')).glob('*.dist-info');"
        "print(json.dumps({'python': list(sys.version_info[:2]), 'own': sys.prefix != sys.base_prefix,"
        "'packages': [folder.name.split('-')[0] for folder in folders]}))"
    )
    command = [str(VENV_PYTHON), "-c", code]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), cwd=str(VENV))
        found: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    needed = {distribution(requirement) for requirement in read_project()["dependencies"]} | {"realtime-ser"}
    found["missing"] = sorted(needed - {distribution(name) for name in found["packages"]})
    return found


def is_sound(stamp: dict[str, Any], found: dict[str, Any] | None, python_chosen: bool) -> bool:
    """Whether ``.venv`` is an environment of this folder that can be built upon."""
    if found is None or not found["own"] or "pip" not in found["packages"]:
        return False
    if python_chosen and found["python"] != list(sys.version_info[:2]):
        return False
    if not stamp:
        # Half made by this script: better anew. Made by somebody else: theirs, so it is added to and not thrown away.
        return not LOG.exists() and (3, 11) <= tuple(found["python"]) <= NEWEST
    # Programs in an environment carry its path: where the checkout was moved, they start nothing.
    return stamp.get("folder") == str(VENV) and found["python"] == stamp.get("python")


def is_complete(stamp: dict[str, Any], found: dict[str, Any] | None, extras: Iterable[str]) -> bool:
    """Whether a sound environment has everything that ``pyproject.toml`` and `extras` ask for now."""
    return (
        found is not None
        and all(stamp.get(key) == value for key, value in fingerprint().items())
        and set(extras) <= set(stamp.get("extras", []))
        and set(found["missing"]) <= set(stamp.get("absent", []))
        and PROGRAM.exists()
    )


def make_environment() -> None:
    """Make an empty ``.venv`` with pip in it."""
    if VENV.exists():
        shutil.rmtree(str(VENV))
    ways = other_makers() if missing_venv_package() else [[[sys.executable, "-m", "venv", str(VENV)]]]
    words = ""
    for way in ways:
        for command in way:
            made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_environment())
            words = (made.stdout + made.stderr).strip()
            if made.returncode:
                break
        else:
            return
        shutil.rmtree(str(VENV), ignore_errors=True)
    raise Stop(f"Could not make the environment {VENV}:\n{words}")


def pip(*arguments: str) -> str:
    """Run pip in the environment, its words in the log, its downloads as one line each; why it failed, or ``""``."""
    # Not compiled beforehand: of ten thousand modules the program imports a few hundred, which Python then compiles itself.
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--progress-bar", "off", "--prefer-binary", "--no-compile", *arguments]
    lines: list[str] = []
    with LOG.open("a", encoding="utf-8") as output:
        output.write("$ " + " ".join(command) + "\n")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd=str(ROOT),
            encoding="utf-8",
            errors="replace",
        )
        for line in process.stdout or ():
            output.write(line)
            output.flush()
            lines.append(line.strip())
            news = progress(line)
            if news:
                say("    " + news)
        if process.wait() == 0:
            return ""
    return why_pip_failed(lines)


def why_pip_failed(lines: Sequence[str]) -> str:
    """The reason in a line: a connection that does not work explains everything else, so it comes first."""
    for pattern, reason in CONNECTION_TROUBLE:
        if any(pattern.search(line) for line in lines):
            return reason
    # The last line of a traceback inside pip's output, then pip's own last word.
    causes = [line for line in lines if re.match(r"(\w+Error: |ERROR: |error: (?!subprocess|metadata))", line)]
    return causes[-1] if causes else "see " + relative(LOG)


def progress(line: str) -> str | None:
    """What a line of pip's output means to somebody who waits; ``None`` for nothing."""
    match = re.match(r"\s*Downloading (\S+?)-(\d[^-]*)-\S+\.whl(?: \(([^)]*)\))?", line)
    if match and not line.rstrip().endswith(".metadata"):
        size = match.group(3) or ""
        # A kilobyte more or less is no news.
        return f"downloading {match.group(1)} {match.group(2)} ({size})" if "MB" in size or "GB" in size else None
    match = re.match(r"\s*Installing collected packages: (.*)", line)
    if match:
        return "installing {} packages".format(len(match.group(1).split(",")))
    return None


def install(extras: Sequence[str]) -> None:
    """Install the package with `extras`; of its own dependencies, what this machine can have (see :data:`FEATURES`)."""
    reason = pip("-e", ".[{}]".format(",".join(extras)) if extras else ".")
    if not reason:
        return
    if reason in CONNECTIONS:
        raise Stop(
            f"The packages could not be downloaded: {reason}.\n"
            "Check the connection, and the proxy, certificate or package mirror if you use one, and start again: what was\n"
            f"already downloaded is kept. The whole story is in {relative(LOG)}."
        )
    say(f"    Not possible as a whole: {reason}")
    say("    Trying the packages one by one, to go on without what this machine cannot have.")
    project = read_project()
    rest = [requirement for requirement in project["dependencies"] if distribution(requirement) in FEATURES]
    core = [requirement for requirement in project["dependencies"] if requirement not in rest]
    for what, arguments in (("what the program rests on", core), ("the program itself", ["--no-deps", "-e", "."])):
        reason = pip(*arguments)
        if reason:
            raise Stop(f"Could not install {what}: {reason}\nThe whole story is in {relative(LOG)}.")
    for requirement in rest:
        pip("--only-binary", distribution(requirement), requirement)
    for extra in extras:
        reason = pip(*project["optional-dependencies"][extra])
        if reason:
            raise Stop(f"Could not install what belongs to “{extra}”: {reason}\nThe whole story is in {relative(LOG)}.")


def read_toml() -> dict[str, Any]:
    """``pyproject.toml``."""
    import tomllib  # new in 3.11, which is checked by now

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_project() -> dict[str, Any]:
    """Its table [project]."""
    project: dict[str, Any] = read_toml()["project"]
    return project


def distribution(requirement: str) -> str:
    """The normalised name in a requirement: ``PySide6_Essentials>=6.7`` → ``pyside6-essentials``."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def training_is_light() -> tuple[bool, str]:
    """Whether PyTorch can be had without gigabytes of graphics libraries, and why not.

    pip is asked which build it would take: the ordinary Linux build names its graphics libraries as requirements, the CPU
    build, which some mirrors and caches offer, does not, nor do those of macOS and Windows.
    """
    extra = read_project()["optional-dependencies"]["training"]
    torch = next(requirement for requirement in extra if distribution(requirement) == "torch")
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    answer = subprocess.run(
        [*command, "--only-binary", ":all:", "--report", "-", torch],
        capture_output=True,
        text=True,
        env=clean_environment(),
        cwd=str(ROOT),
    )
    if answer.returncode:
        return False, f"there is no {torch} for this Python and machine"
    needs = json.loads(answer.stdout)["install"][0]["metadata"].get("requires_dist", [])
    if LINUX and any(distribution(need).startswith(("nvidia", "cuda")) for need in needs):
        return False, "pip is offered only the build with several gigabytes of graphics libraries"
    return True, ""


def provide_environment(profile: str, python_chosen: bool) -> None:
    """Bring ``.venv`` up to date for `profile`; say what is done, or nothing where nothing is to do."""
    stamp, found = read_stamp(), probe()
    sound = is_sound(stamp, found, python_chosen)
    if not sound:
        stamp = {}
    extras: list[str] = []
    undecided = False
    if profile == "test":
        training = os.environ.get("TRAINING", "").lower()
        # What pip answered about PyTorch is remembered, so that the question is put once per environment.
        undecided = not training and "training" not in stamp
        light = not training and stamp.get("training") == "light"
        extras = ["dev", "training"] if light or training in ("yes", "1", "true") else ["dev"]
    if sound and not undecided and is_complete(stamp, found, extras):
        provide_system_again(stamp)
        return

    begun = time.monotonic()
    if sound and stamp:
        say("Realtime SER: bringing the environment up to date.")
    else:
        say(f"Realtime SER: setting up with Python {sys.version.split()[0]} ({sys.executable}). This happens once.")
    provide_system()
    if sound:
        STAMP.unlink(missing_ok=True)
    else:
        make_environment()
    if undecided:
        light, why = training_is_light()
        stamp["training"] = "light" if light else why
        extras += ["training"] if light else []
    extras = list(dict.fromkeys(extras + stamp.get("extras", [])))
    say("  Packages{}:".format(" with those for " + " and ".join(extras) if extras else ""))
    install(extras)
    found = probe()
    if found is None:
        raise Stop(f"The environment {VENV} was made but does not start; remove the folder and start again.")
    for name in found["missing"]:
        say(f"  Missing: {name}, which has no build for this machine: without {FEATURES.get(name, 'a part of the program')}.")
    stamp.update(fingerprint(), folder=str(VENV), python=found["python"], extras=extras)
    stamp.update(absent=found["missing"], system=still_missing())
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    say(f"  Ready after {duration(time.monotonic() - begun)}.")


def still_missing() -> list[str]:
    """Names of the missing libraries, for the stamp."""
    return [library.soname for library in missing_libraries()]


def provide_system_again(stamp: dict[str, Any]) -> None:
    """Look after the libraries of a finished environment: act on a loss, but do not repeat an old story at length."""
    missing = still_missing()
    if not missing:
        return
    if set(missing) <= set(stamp.get("system", [])):
        say("(Some system libraries are missing, as said at set-up: `make doctor` names them.)")
        return
    provide_system()
    stamp["system"] = still_missing()
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def doctor() -> None:
    """Say what is here, what is missing and how to get it."""
    say(f"Python {sys.version.split()[0]} ({sys.executable})")
    package = missing_venv_package()
    if package and not PROGRAM.exists():
        say("Missing: Python's venv and ensurepip. This installs them:\n" + install_command([package], []))
    stamp, found = read_stamp(), probe()
    if is_sound(stamp, found, python_chosen=False) and is_complete(stamp, found, []):
        extras = ", ".join(str(extra) for extra in stamp.get("extras", []))
        say("Environment .venv: complete{}".format(", with " + extras if extras else ""))
        for name in stamp.get("absent", []):
            say("Missing: the Python package {}: without {}".format(name, FEATURES.get(name, "a part of the program")))
    else:
        say("Environment .venv: not there or out of date; `make run` makes it")
    libraries = missing_libraries()
    for name, absent, effect in missing_groups(libraries):
        say("Missing: {} ({}): {}".format(name, ", ".join(absent), effect))
    if libraries:
        say("This installs them:\n" + install_command([library.debian for library in libraries], libraries))
    else:
        say("System libraries: complete")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("profile", choices=("run", "test", "doctor"))
    parser.add_argument(
        "--python-chosen", action="store_true", help="this Python was asked for: remake .venv if it has another"
    )
    options = parser.parse_args(arguments)
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        span = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
        say(f"Realtime SER needs Python {span}, and {sys.executable} is {sys.version.split()[0]}.")
        return 2
    try:
        if options.profile == "doctor":
            doctor()
        else:
            provide_environment(options.profile, options.python_chosen)
    except Stop as stop:
        say(str(stop))
        return 2
    except KeyboardInterrupt:
        say("\nStopped. Start again to go on: what was already downloaded is kept.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
