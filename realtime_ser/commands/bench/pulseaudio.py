"""A microphone whose sound is known to the sample: a private PulseAudio server that reads it from a pipe.

Sound is written into the pipe as it would be spoken, so that the time at which every sample sounded is known. Speech begins
with a click, which is found again in what the program captured: from then on, every captured sample has its time, and the whole
way from the sound server on is measured. No sound card, session or D-Bus is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block, FloatArray

__all__ = ["PIPE_RATE", "PipeMicrophone", "TappedMicrophone", "announced"]

PIPE_RATE = 48_000
"""Hz."""
_CHUNK = 480
"""Samples (10 ms), as sound cards deliver them."""
_SILENCE_SECONDS = 1.0
_CLICK_SAMPLES = 48
_CLICK_LEVEL = 0.9
_FOUND_ABOVE = 0.3
"""The click is a plateau; resampling spreads its edge by less than a millisecond."""
_REPEATS = 20
_START_SECONDS = 10.0
_LISTENER_SECONDS = 60.0
_ALSA = "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"


def announced(speech: FloatArray, repeats: int = _REPEATS) -> NDArray[np.int16]:
    """`speech` (float32, at the engine's rate), `repeats` times, behind the click, for :class:`PipeMicrophone`."""
    # The click is written at full level; speech stays below what it is recognised by.
    quiet = speech / max(float(np.abs(speech).max()), 1e-6) * (_FOUND_ABOVE / 2)
    spoken = np.repeat(np.rint(quiet * 32767).astype("<i2"), PIPE_RATE // ENGINE_RATE)
    # Not quite silence: exact zeros are what a blocked microphone delivers, and would be reported.
    silence = np.random.default_rng(0).integers(-2, 3, round(_SILENCE_SECONDS * PIPE_RATE)).astype("<i2")
    click = np.full(_CLICK_SAMPLES, round(_CLICK_LEVEL * 32767), "<i2")
    return np.concatenate([silence, click, silence, np.tile(spoken, repeats)])


class PipeMicrophone:
    """The server and what is written into its pipe. Use as a context manager; the environment of this process is changed.

    Parameters
    ----------
    sound
        What is heard, again and again, int16 at :data:`PIPE_RATE`; see :func:`announced`.
    chunk
        Samples that are written at a time, when the last of them has sounded: all but the last are as late as that.

    Raises
    ------
    DeviceError
        By entering: PulseAudio is not installed or does not start.
    """

    def __init__(self, sound: NDArray[np.int16], chunk: int = _CHUNK) -> None:
        self._sound = sound.astype("<i2")
        self._chunk = chunk
        self._folder = Path(tempfile.mkdtemp(prefix="realtime-ser-bench-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._writer: threading.Thread | None = None
        self.refused = 0
        """Chunks that the server did not take; written by the writer's thread."""
        self._stop = threading.Event()
        # NB: written once each by the writer and by the thread that reads the microphone.
        self._began: float | None = None
        self._click_found: int | None = None

    def __enter__(self) -> Self:
        if sys.platform != "linux" or shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
            raise DeviceError("PulseAudio is not installed.", "On Debian and Ubuntu: apt install pulseaudio pulseaudio-utils.")
        alsa, socket, pipe = (self._folder / name for name in ("alsa.conf", "native", "pipe"))
        alsa.write_text(_ALSA)
        os.environ |= {
            "XDG_RUNTIME_DIR": str(self._folder),
            "PULSE_RUNTIME_PATH": str(self._folder),
            "PULSE_STATE_PATH": str(self._folder),
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "ALSA_CONFIG_PATH": str(alsa),
        }
        options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--high-priority=no", "--realtime=no"]
        modules = [
            f"module-native-protocol-unix socket={socket} auth-anonymous=1",
            f"module-pipe-source source_name=bench file={pipe} format=s16le rate={PIPE_RATE} channels=1",
        ]
        self._server = subprocess.Popen(
            ["pulseaudio", *options, *(f"--load={module}" for module in modules)],
            # Without PULSE_SERVER, or the server takes itself for a client.
            env={name: value for name, value in os.environ.items() if name != "PULSE_SERVER"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.environ["PULSE_SERVER"] = f"unix:{socket}"
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(["pactl", "set-default-source", "bench"], capture_output=True, check=False).returncode:
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise DeviceError("PulseAudio does not start.", "Try `pulseaudio -n` to see why.")
            self._stop.wait(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Fall silent, and end the server."""
        self._stop.set()
        if self._writer is not None:
            self._writer.join()
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait_for_listener(self) -> None:
        """Return once some process records from the microphone.

        Raises
        ------
        DeviceError
            None does.
        """
        deadline = time.monotonic() + _LISTENER_SECONDS
        asked = ["pactl", "list", "short", "source-outputs"]
        while not subprocess.run(asked, capture_output=True, check=False).stdout:
            if time.monotonic() > deadline:
                raise DeviceError("Nobody listens to the made-up microphone.", "Try `realtime-ser listen` to see why.")
            self._stop.wait(0.05)

    @property
    def began(self) -> float | None:
        """When the first sample sounded (``time.perf_counter()``, s); ``None`` before that."""
        return self._began

    @property
    def processes(self) -> tuple[int, ...]:
        """The server's, which are none of the program's that is measured."""
        return () if self._server is None else (self._server.pid,)

    def start(self) -> None:
        """Begin to sound. Only once the microphone is open: what lies in the pipe before would be a delay for ever."""
        self._writer = threading.Thread(target=self._write, name="pipe microphone", daemon=True)
        self._writer.start()

    def heard(self, block: Block) -> None:
        """Look for the click in what was captured."""
        if self._click_found is None:
            loud = np.flatnonzero(np.abs(block.samples) > _FOUND_ABOVE)
            if len(loud):
                self._click_found = block.span.first + int(loud[0])

    def time_of(self, sample: int) -> float | None:
        """When a captured sample sounded (``time.perf_counter()``, s); ``None`` until the click was found."""
        if self._began is None or self._click_found is None:
            return None
        return self._began + _SILENCE_SECONDS + (sample - self._click_found) / ENGINE_RATE

    def _write(self) -> None:
        sound = self._sound
        pipe = os.open(self._folder / "pipe", os.O_WRONLY | os.O_NONBLOCK)
        try:
            self._began = time.perf_counter()
            written = 0
            while not self._stop.is_set():
                chunk = sound[written % len(sound) :][: self._chunk]
                written += len(chunk)
                if self._stop.wait(max(self._began + written / PIPE_RATE - time.perf_counter(), 0.0)):
                    break
                # A server that does not read is told by what then fails to arrive.
                try:
                    os.write(pipe, chunk.tobytes())
                except BlockingIOError:
                    self.refused += 1
        except BrokenPipeError:
            pass  # the server has ended first
        finally:
            os.close(pipe)


class TappedMicrophone(MicrophoneSource):
    """The real microphone source on the default device, which is the pipe's; the click is looked for in what it captures."""

    def __init__(self, pipe: PipeMicrophone) -> None:
        super().__init__()
        self._pipe = pipe

    def open(self) -> None:
        """Open the device, and let it sound."""
        super().open()
        self._pipe.start()

    def read(self, timeout: float) -> Block | None:
        """As the microphone's."""
        block = super().read(timeout)
        if block is not None:
            self._pipe.heard(block)
        return block
