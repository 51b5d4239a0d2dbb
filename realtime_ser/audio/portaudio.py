"""Microphones as PortAudio sees them. The only module that imports sounddevice, and only when a device is asked for.

PortAudio lists the devices when it is initialised and never again, and being initialised again ends every stream that is open;
nor may two threads be in it at once. So all of this process's streams are counted here, and one lock guards every call.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, TextIO, TypeAlias, runtime_checkable

from realtime_ser.errors import DeviceError
from realtime_ser.types import FloatArray

__all__ = [
    "Backend",
    "Callback",
    "InputDevice",
    "InputStream",
    "PortAudio",
    "RenewableBackend",
    "Selector",
    "StreamFlags",
    "choose",
    "list_devices",
    "open_output",
]

Selector: TypeAlias = int | str | None
"""A device: its index, part of its name in upper or lower case (or an index as text), or ``None`` for the default input."""

_LIST_THEM = "`realtime-ser devices` lists the microphones."
_LOOPBACK = re.compile(
    r"monitor|loopback|stereo ?mix|what u hear|wave out mix|blackhole|soundflower|cable output", re.IGNORECASE
)

_ENDS_WITHIN = 5.0
"""Seconds that a stream gets to end."""

_log = logging.getLogger(__name__)

_LIST_SECONDS = 10.0
"""That another process may take to list the devices."""

# NB: any thread. PortAudio's own thread never takes the lock: callbacks come from there.
_portaudio = threading.RLock()
_open_streams: set[_Stream] = set()


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that sound can be captured from.

    Attributes
    ----------
    index
        PortAudio's number; changes when devices are plugged in or out and the system is asked anew.
    host_api
        The system's interface, e.g. ``"ALSA"``, ``"Core Audio"``, ``"Windows WASAPI"``. The same device may be there once for
        each interface.
    channels
        Most input channels that it offers; sound servers offer more than the microphone has.
    rate
        Its own rate in Hz.
    default
        True for the system's default input.
    loopback
        True where its name tells that it captures what the computer plays, not a microphone.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate: int
    default: bool
    loopback: bool


class StreamFlags(Protocol):
    """What PortAudio says about a callback."""

    @property
    def input_overflow(self) -> bool:
        """True where samples were lost before this callback's."""
        ...


Callback: TypeAlias = Callable[[FloatArray, int, Any, StreamFlags], None]
"""``(frames, count, time information, flags)``; frames float32, shape ``(count, channels)``, valid during the call only."""


class InputStream(Protocol):
    """An open device."""

    @property
    def latency(self) -> float:
        """Input latency in seconds as the driver states it."""
        ...

    @property
    def active(self) -> bool:
        """True between `start` and the end of the last callback."""
        ...

    def start(self) -> None:
        """Let the callbacks come."""
        ...

    def abort(self) -> None:
        """Stop at once; no callback runs any more when this returns."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class Backend(Protocol):
    """What a microphone source needs of the sound system."""

    def devices(self, *, anew: bool = False) -> list[InputDevice]:
        """All devices that can capture; with `anew` the system is asked again, where that disturbs no open stream."""
        ...

    def open(
        self,
        device: InputDevice,
        rate: int,
        channels: int,
        latency: Literal["low", "high"] | float,
        callback: Callback,
        finished: Callable[[], None],
    ) -> InputStream:
        """Open `device` without starting it.

        `callback` and `finished` are called by a thread of the sound system; `finished` once no callback will come any more,
        also after `abort`. Raises :class:`~realtime_ser.errors.DeviceError` where the device refuses.
        """
        ...


@runtime_checkable
class RenewableBackend(Backend, Protocol):
    """A sound system whose list of devices grows old while a stream is open."""

    def devices_beside(self) -> list[InputDevice] | None:
        """All devices as they are now, where :meth:`devices` cannot tell because a stream is open; else ``None``.

        Takes a second. Nothing that is open is disturbed.
        """
        ...

    def renew(self) -> bool:
        """End all streams of this process, so that the list is made anew; whether that could be done.

        Whoever had a stream finds it ended, as if the device had gone away.
        """
        ...


class PortAudio:
    """The real sound system, through sounddevice."""

    def devices_beside(self) -> list[InputDevice] | None:
        """What another process, which has no streams, sees; ``None`` where this one has none either, or where that fails."""
        with _portaudio:
            if not _open_streams:
                return None
        program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "realtime_ser"]
        # No console window on Windows; the name is there only.
        flags = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
        try:
            done = subprocess.run(
                [*program, "devices", "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_LIST_SECONDS,
                check=True,
                creationflags=flags,
            )
            return [InputDevice(**row) for row in json.loads(done.stdout)]
        except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
            _log.warning("Another process cannot list the devices: %s", error)
            return None

    def renew(self) -> bool:
        """End all inputs, and initialise PortAudio again; not while something is played, or a stream hangs."""
        sd = _sounddevice()
        with _portaudio:
            if any(stream.plays or stream.stuck for stream in _open_streams):
                return False
            for stream in list(_open_streams):
                stream.close()
            if _open_streams:  # one hangs, and must not lose what it waits for
                return False
            try:
                _initialise_again(sd)
            except sd.PortAudioError as error:
                _log.warning("PortAudio cannot be initialised again: %s", error)
                return False
        return True

    def devices(self, *, anew: bool = False) -> list[InputDevice]:
        """All devices that can capture, as they were when PortAudio was initialised: now, with `anew` and no stream open."""
        sd = _sounddevice()
        with _portaudio:
            try:
                if anew and not _open_streams:
                    _initialise_again(sd)
                apis = sd.query_hostapis()
                rows = sd.query_devices()
            except sd.PortAudioError as error:
                raise DeviceError(
                    f"The sound system cannot be asked for its devices ({error}).", "Check the sound settings."
                ) from error
            try:
                default = sd.query_devices(kind="input")["index"]
            except (sd.PortAudioError, ValueError):
                default = None
        return [
            InputDevice(
                index=index,
                name=row["name"],
                host_api=apis[row["hostapi"]]["name"],
                channels=row["max_input_channels"],
                rate=round(row["default_samplerate"]),
                default=index == default,
                loopback=_LOOPBACK.search(row["name"]) is not None,
            )
            for index, row in enumerate(rows)
            if row["max_input_channels"] > 0
        ]

    def open(
        self,
        device: InputDevice,
        rate: int,
        channels: int,
        latency: Literal["low", "high"] | float,
        callback: Callback,
        finished: Callable[[], None],
    ) -> InputStream:
        """Open `device` for float32, in blocks as it delivers them, without starting it."""
        sd = _sounddevice()
        with _portaudio, _quiet():
            try:
                # The number may have passed to another device since the list was made.
                if sd.query_devices(device.index)["name"] != device.name:
                    raise ValueError("the devices have changed meanwhile")
                stream = sd.InputStream(
                    device=device.index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    # The device's own block size: PortAudio then neither waits nor copies to make blocks of another size.
                    blocksize=0,
                    latency=latency,
                    callback=callback,
                    finished_callback=finished,
                )
            except (sd.PortAudioError, ValueError) as error:
                raise DeviceError(
                    f"The microphone “{device.name}” refuses to open at {rate} Hz with {channels} channel(s) "
                    f"({_reason(error)}).",
                    "Close other programs that may hold it, allow this program to use it in the system's privacy settings, "
                    "or choose another one.",
                ) from error
            return _Stream(stream, sd, f"The microphone “{device.name}”")


def open_output(rate: int, callback: Callback) -> tuple[InputStream, int]:
    """Open the system's default output, mono and without starting it, at `rate` (Hz) or, where it refuses that, at its own.

    Parameters
    ----------
    callback
        Called by a thread of the sound system; it fills the frames, float32, shape ``(count, 1)``, completely.

    Returns
    -------
    The stream, and its rate.

    Raises
    ------
    DeviceError
        There is no output, or it refuses to open; or PortAudio is missing.
    """
    sd = _sounddevice()
    with _portaudio, _quiet():
        try:
            device = sd.query_devices(kind="output")
        except (sd.PortAudioError, ValueError) as error:
            raise DeviceError("There is nothing here to play sound on.", "Connect headphones or loudspeakers.") from error
        refusal: Exception | None = None
        for wanted in dict.fromkeys((rate, round(device["default_samplerate"]))):
            try:
                stream = sd.OutputStream(samplerate=wanted, channels=1, dtype="float32", latency="high", callback=callback)
            except (sd.PortAudioError, ValueError) as error:
                refusal = error
                continue
            return _Stream(stream, sd, f"The output “{device['name']}”", plays=True), wanted
    problem = "" if refusal is None else f" ({_reason(refusal)})"
    raise DeviceError(
        f"The output “{device['name']}” refuses to open{problem}.", "Close other programs that may hold it."
    ) from refusal


class _Stream:
    """sounddevice's stream with its errors translated; counted as open until it is closed."""

    def __init__(self, stream: Any, sd: Any, name: str, *, plays: bool = False) -> None:
        self._stream = stream
        self._sd = sd
        self._name = name
        self.stuck = False
        self.plays = plays
        # NB: set under the lock. What PortAudio has given up must not be touched again, and somebody else may have closed it.
        self._closed = False
        _open_streams.add(self)

    @property
    def latency(self) -> float:
        return float(self._stream.latency)

    @property
    def active(self) -> bool:
        try:
            return not self._closed and bool(self._stream.active)
        except self._sd.PortAudioError:
            return False

    def start(self) -> None:
        try:
            with _portaudio:
                if self._closed:
                    raise DeviceError(f"{self._name} was given up before it started.", "Start again.")
                self._stream.start()
        except self._sd.PortAudioError as error:
            raise DeviceError(
                f"{self._name} does not start ({_reason(error)}).",
                "Close other programs that may hold it, or choose another one.",
            ) from error

    def abort(self) -> None:
        with _portaudio:
            if not self._closed:
                self._end(lambda: self._stream.abort(ignore_errors=True))

    def close(self) -> None:
        with _portaudio:
            if not self._closed:
                self._closed = True
                # Aborted first: only then the stream's end is told to whoever listens to it.
                self._end(lambda: self._stream.abort(ignore_errors=True))
                if self._end(lambda: self._stream.close(ignore_errors=True)):
                    _open_streams.discard(self)

    def _end(self, call: Callable[[], None]) -> bool:
        """Do `call`, in a thread that can be left alone should it never return; whether it did.

        When a sound server is killed, its library may wait for itself for ever. Such a stream stays counted as open, so that
        PortAudio is not initialised again under it; another one can be opened beside it.
        """
        if self.stuck:
            return False
        thread = threading.Thread(target=call, name="end of a stream", daemon=True)
        thread.start()
        thread.join(_ENDS_WITHIN)
        self.stuck = thread.is_alive()
        if self.stuck:
            _log.error("%s does not end its stream: the sound system hangs, and the stream is left to itself.", self._name)
        return not self.stuck


def list_devices(*, anew: bool = False) -> list[InputDevice]:
    """All devices that can capture; see :meth:`Backend.devices`.

    Raises
    ------
    DeviceError
        Where PortAudio is missing.
    """
    return PortAudio().devices(anew=anew)


def choose(selector: Selector, devices: list[InputDevice]) -> InputDevice:
    """The one device that `selector` means.

    A name may be a part of the device's; one that is exactly the device's own wins over longer ones. Where the same device is
    there through several of the system's interfaces, the default device's interface is taken.

    Raises
    ------
    DeviceError
        Where there is none, or more than one; the message lists the candidates.
    """
    if not devices:
        raise DeviceError("There is no microphone.", "Plug one in, and check that the system's sound settings show it.")
    if isinstance(selector, str) and selector.strip().isdecimal():
        selector = int(selector)
    if selector is None:
        default = next((device for device in devices if device.default), None)
        if default is None:
            raise DeviceError("The system has no default microphone.", f"Choose one of: {_listed(devices)}.")
        return default
    if isinstance(selector, int):
        by_index = next((device for device in devices if device.index == selector), None)
        if by_index is None:
            raise DeviceError(f"There is no microphone with index {selector}.", f"Choose one of: {_listed(devices)}.")
        return by_index
    wanted = selector.strip().casefold()
    found = [device for device in devices if wanted in device.name.casefold()]
    if exact := [device for device in found if device.name.casefold() == wanted]:
        found = exact
    if not found or not wanted:
        raise DeviceError(f"There is no microphone named “{selector}”.", f"Choose one of: {_listed(devices)}.")
    if len(found) > 1:
        usual = next((device.host_api for device in devices if device.default), None)
        if len(same := [device for device in found if device.host_api == usual]) == 1:
            found = same
    if len(found) > 1:
        raise DeviceError(f"“{selector}” fits {len(found)} microphones.", f"Choose one by its index: {_listed(found)}.")
    return found[0]


def _initialise_again(sd: ModuleType) -> None:
    # PortAudio counts how often it was initialised, and lists the devices at the first time only.
    while sd._initialized:
        sd._terminate()
    sd._initialize()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PortAudio and ALSA from writing on standard error, over what the terminal shows, what the exception says anyway.

    What this program itself tells meanwhile, on another thread, goes where it always goes. NB: one thread at a time.
    """
    try:
        kept = os.dup(2)
    except OSError:  # a program without a standard error
        yield
        return
    before = sys.stderr
    if before is not None and before is sys.__stderr__:
        sys.stderr = _beside(kept)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sys.stderr = before


_own_words: TextIO | None = None
"""Stands in for ``sys.stderr`` while that is silent. Never closed: a thread may still hold it."""


def _beside(descriptor: int) -> TextIO:
    """A text stream to where `descriptor` leads now."""
    global _own_words
    if _own_words is None:
        _own_words = open(os.dup(descriptor), "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115, PTH123
    else:
        os.dup2(descriptor, _own_words.fileno())
    return _own_words


def _listed(devices: list[InputDevice]) -> str:
    return "; ".join(f"{device.index} “{device.name}” ({device.host_api})" for device in devices)


def _reason(error: Exception) -> str:
    # sounddevice's messages begin with which call failed; the reason follows the last colon.
    return str(error).rsplit(": ", 1)[-1].split(" [", 1)[0] or type(error).__name__


def _sounddevice() -> ModuleType:
    try:
        import sounddevice  # type: ignore[import-untyped]
    # OSError: the Python package is there, the PortAudio library is not.
    except (ImportError, OSError) as error:
        raise DeviceError(f"Microphones cannot be used: {error}.", _how_to_install()) from error
    return sounddevice  # type: ignore[no-any-return]


def _how_to_install() -> str:
    """The package that brings PortAudio on this system."""
    if sys.platform != "linux":
        return "Install sounddevice again, which brings PortAudio along: pip install --force-reinstall sounddevice"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    commands = {
        "debian": "sudo apt install libportaudio2",
        "ubuntu": "sudo apt install libportaudio2",
        "fedora": "sudo dnf install portaudio",
        "rhel": "sudo dnf install portaudio",
        "arch": "sudo pacman -S portaudio",
        "suse": "sudo zypper install libportaudio2",
        "opensuse": "sudo zypper install libportaudio2",
        "alpine": "sudo apk add portaudio",
    }
    for name, command in commands.items():
        if name in family:
            return f"Install PortAudio: {command}"
    return "Install PortAudio with your system's package manager (Debian, Ubuntu: libportaudio2; Fedora, Arch: portaudio)."
