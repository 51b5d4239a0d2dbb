"""A sound card that exists only for the tests: a private PulseAudio server whose null sink is the default microphone.

What is played into the sink (:meth:`VirtualMicrophone.play`) is what PortAudio captures, sample for sample. The server has its
own folder and socket, needs no D-Bus, no session and no sound hardware, and works as root (containers, CI).

NB: PortAudio reads ALSA's settings when it is initialised. The fixture changes the environment and has PortAudio initialise
itself again, which ends streams that are open. A program of its own gets the same microphone with
``env=virtual_microphone.environment``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SINK = "virtual_microphone"
_ALSA = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


class VirtualMicrophone:
    """A running server with one microphone, plugged in.

    Attributes
    ----------
    rate, channels
        Of the microphone; PortAudio's "default" device resamples where it is opened at another rate.
    environment
        Environment for a program that shall use this microphone.
    """

    def __init__(self, rate: int = 48_000, channels: int = 2) -> None:
        self.rate = rate
        self.channels = channels
        # A short path: a socket's may have little more than 100 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="virtual-microphone-"))
        alsa = self.folder / "alsa.conf"
        alsa.write_text(_ALSA)
        self._socket = self.folder / "native"
        client = self.folder / "client.conf"
        # Where a server is killed, its library may wait for ever for the memory that it shared with it.
        client.write_text("enable-shm = no\nautospawn = no\n")
        self.settings = {
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder),
            "PULSE_STATE_PATH": str(self.folder),
            "PULSE_COOKIE": str(self.folder / "cookie"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_CLIENTCONFIG": str(client),
            "ALSA_CONFIG_PATH": str(alsa),
        }
        self.environment = {**os.environ, **self.settings}
        self._log = (self.folder / "log").open("wb")
        atexit.register(self.close)
        self._server = self._start_server()
        self._module: str | None = None
        self.replug()

    def restart_server(self) -> None:
        """Kill the server, as a fault in it would, and start another one with the microphone plugged in."""
        self._server.kill()
        self._server.wait()
        self._socket.unlink(missing_ok=True)
        self._server = self._start_server()
        self._module = None
        self.replug()

    def play(self, path: Path) -> None:
        """Play a sound file into the microphone and return when it has been played."""
        subprocess.run(["paplay", f"--device={SINK}", str(path)], env=self.environment, check=True, timeout=120)

    def start_playing(self, path: Path, sink: str = SINK) -> subprocess.Popen[bytes]:
        """Begin to play a sound file into the microphone; the caller waits for or ends the process."""
        return subprocess.Popen(["paplay", f"--device={sink}", str(path)], env=self.environment)

    def unplug(self) -> None:
        """Take the microphone away, also from programs that use it."""
        if self._module is not None:
            self._pactl("unload-module", self._module)
            self._module = None

    def replug(self, rate: int | None = None, channels: int | None = None) -> None:
        """Plug it in (again), optionally as one of another rate or number of channels."""
        self.unplug()
        self.rate = rate or self.rate
        self.channels = channels or self.channels
        self._module = self._pactl(
            "load-module",
            "module-null-sink",
            f"sink_name={SINK}",
            "format=float32le",
            f"rate={self.rate}",
            f"channels={self.channels}",
        )
        self._pactl("set-default-sink", SINK)
        self._pactl("set-default-source", f"{SINK}.monitor")

    @contextmanager
    def another_default(self) -> Iterator[str]:
        """Plug a second microphone in and make it the default one; yields its name for :meth:`start_playing`."""
        name = "second_microphone"
        module = self._pactl("load-module", "module-null-sink", f"sink_name={name}", "format=float32le")
        self._pactl("set-default-source", f"{name}.monitor")
        try:
            yield name
        finally:
            self._pactl("unload-module", module)
            if self._module is not None:
                self._pactl("set-default-source", f"{SINK}.monitor")

    @contextmanager
    def two_devices(self, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """Two microphones named "left" and "right" for programs with the environment that is yielded.

        Also yielded is the name of a sink (for :meth:`start_playing`) that plays into both at the same time.
        """
        with self.another_default() as second:
            alsa = folder / "two.conf"
            devices = "".join(
                f'pcm.{name} {{ type pulse device "{sink}.monitor" }}\n' for name, sink in (("left", SINK), ("right", second))
            )
            alsa.write_text(_ALSA + devices)
            module = self._pactl("load-module", "module-combine-sink", "sink_name=both", f"slaves={SINK},{second}")
            try:
                yield "both", {**self.environment, "ALSA_CONFIG_PATH": str(alsa)}
            finally:
                self._pactl("unload-module", module)

    @contextmanager
    def piped(self, fifo: Path, rate: int) -> Iterator[None]:
        """Plug another microphone in, the only one, that delivers at once what is written into `fifo` (float32, mono)."""
        self.unplug()
        described = ("source_name=piped", f"file={fifo}", "format=float32le", f"rate={rate}", "channels=1")
        module = self._pactl("load-module", "module-pipe-source", *described)
        self._pactl("set-default-source", "piped")
        try:
            yield
        finally:
            self._pactl("unload-module", module)

    def wait_for_listener(self) -> None:
        """Return once some program records from a microphone."""
        deadline = time.monotonic() + 60
        while not self._pactl("list", "short", "source-outputs"):
            assert time.monotonic() < deadline, "nobody listens"

    def close(self) -> None:
        """End the server and remove its folder."""
        atexit.unregister(self.close)
        if self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pactl(self, *arguments: str) -> str:
        done = subprocess.run(["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise RuntimeError(f"pactl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _start_server(self) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "--high-priority=no",
                "--realtime=no",
                f"--load=module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            ],
            # Without the variable, or the server takes itself for a client.
            env={name: value for name, value in self.environment.items() if name != "PULSE_SERVER"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                self._pactl("info")
                return server
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                if time.monotonic() > deadline:
                    server.kill()
                    server.wait()
                    raise RuntimeError(f"PulseAudio did not come up: {error}") from error
            try:
                # Returns early only if the server has died.
                status = server.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"PulseAudio ended with status {status}: {(self.folder / 'log').read_text()}")


def _missing() -> str:
    """What is needed and not there, in words; empty where everything is."""
    if sys.platform != "linux":
        return "the virtual microphone needs Linux (PulseAudio and ALSA)"
    lacking = [program for program in ("pulseaudio", "pactl", "paplay") if shutil.which(program) is None]
    if not Path("/usr/share/alsa/alsa.conf").exists():
        lacking.append("ALSA's settings")
    plugin = "alsa-lib/libasound_module_pcm_pulse.so"
    if not any(any(Path("/usr").glob(f"{folder}/{plugin}")) for folder in ("lib", "lib64", "lib/*-linux-gnu*")):
        lacking.append("ALSA's PulseAudio plug-in")
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        lacking.append(str(error))
    if not lacking:
        return ""
    return (
        f"no virtual microphone: {', '.join(lacking)} missing; on Debian and Ubuntu: "
        "apt install pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins"
    )


def _initialise_portaudio_again() -> None:
    import sounddevice

    sounddevice._terminate()
    sounddevice._initialize()


@pytest.fixture(scope="session")
def _virtual_microphone() -> Iterator[VirtualMicrophone]:
    before = {name: os.environ.get(name) for name in ("ALSA_CONFIG_PATH", "PULSE_SERVER", "PULSE_CLIENTCONFIG")}
    if reason := _missing():
        pytest.skip(reason)
    microphone = VirtualMicrophone()
    os.environ.update({name: microphone.settings[name] for name in before})
    _initialise_portaudio_again()
    yield microphone
    microphone.close()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    _initialise_portaudio_again()


@pytest.fixture
def virtual_microphone(_virtual_microphone: VirtualMicrophone) -> Iterator[VirtualMicrophone]:
    """The private microphone, plugged in; a test that leaves it unplugged or changed harms no other."""
    rate, channels = _virtual_microphone.rate, _virtual_microphone.channels
    yield _virtual_microphone
    if _virtual_microphone._module is None or (_virtual_microphone.rate, _virtual_microphone.channels) != (rate, channels):
        _virtual_microphone.replug(rate, channels)
