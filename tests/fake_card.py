"""A sound system that keeps PortAudio's contract, overruns, losses and all, and whose clock the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime_ser.audio.portaudio import Callback, InputDevice
from realtime_ser.errors import DeviceError

RATE = 16_000


@dataclass
class Flags:
    input_overflow: bool = False


class FakeStream:
    """An open device. As with PortAudio, callbacks come from another thread than the reader's, the buffer is only valid during
    the call, an exception ends the stream silently, and `finished` is called after the last callback, also on abort.
    """

    latency = 0.0347

    def __init__(self, callback: Callback, finished: Callable[[], None], rate: int, channels: int, clock: FakeClock) -> None:
        self.callback = callback
        self.finished = finished
        self.rate = rate
        self.channels = channels
        self.clock = clock
        self.active = False
        self.closed = False
        self.count = 0
        self.refuses_to_start = False

    def start(self) -> None:
        if self.refuses_to_start:
            raise DeviceError("The microphone does not start.")
        self.active = True

    def deliver(
        self,
        frames: int,
        *,
        overflow: bool = False,
        lost_by_device: int = 0,
        scale: float = 2.0**-20,
        apart: float = 0.0,
        waited: bool = False,
        sound: np.ndarray | None = None,
    ) -> None:
        """The next `frames` frames; frame n holds n times `scale`, and channel c `apart` times c more; or they hold `sound`.

        `lost_by_device` frames pass by unseen before them. Frames that `waited` come late: the clock has gone on before.
        """
        assert self.active
        self.count += lost_by_device
        if not waited:
            self.clock.time += (frames + lost_by_device) / self.rate
        values = np.arange(self.count, self.count + frames) * scale if sound is None else sound
        self.count += frames
        buffer = (values[:, np.newaxis] + apart * np.arange(self.channels)).astype(np.float32)

        def call() -> None:
            try:
                self.callback(buffer, frames, None, Flags(overflow))
            except MemoryError:
                self.active = False
                self.finished()
            buffer[:] = np.nan

        self._elsewhere(call)

    def play(self, sound: np.ndarray, block: int = 800) -> None:
        """Deliver `sound`, shape ``(n,)``, on all channels."""
        for first in range(0, len(sound), block):
            piece = sound[first : first + block]
            self.deliver(len(piece), sound=piece)

    def end(self) -> None:
        """The device goes away."""
        self.active = False
        self._elsewhere(self.finished)

    def abort(self) -> None:
        if self.active:
            self.end()

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _elsewhere(call: Callable[[], None]) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()


class FakeClock:
    def __init__(self) -> None:
        self.time = 5000.0
        self.asleep = 70.0

    def __call__(self) -> float:
        return self.time


class FakeBackend:
    def __init__(self, *devices: InputDevice) -> None:
        self.clock = FakeClock()
        self.inventory = list(devices)
        self._listed = list(devices)
        self.refused_rates: set[int] = set()
        self.opened: list[tuple[int, int]] = []
        self.refuses_to_start = False

    @property
    def stream(self) -> FakeStream:
        return self._stream

    def devices(self, *, anew: bool = False) -> list[InputDevice]:
        # As PortAudio does: what was plugged in or out shows only when the system is asked anew, and no stream is open then.
        if anew:
            assert self.stream.closed
            self._listed = list(self.inventory)
        return self._listed

    def open(
        self, device: InputDevice, rate: int, channels: int, latency: Any, callback: Callback, finished: Callable[[], None]
    ) -> FakeStream:
        if rate in self.refused_rates or device not in self.inventory:
            raise DeviceError(f"The microphone “{device.name}” refuses to open at {rate} Hz.")
        self.opened.append((rate, channels))
        self._stream = FakeStream(callback, finished, rate, channels, self.clock)
        self._stream.refuses_to_start = self.refuses_to_start
        return self._stream


def a_device(rate: int = RATE, channels: int = 1) -> InputDevice:
    return InputDevice(4, "Headset", "ALSA", channels, rate, default=True, loopback=False)
