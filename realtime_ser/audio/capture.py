"""One stream of one device: PortAudio's thread on one side, the reader on the other, and a channel in between."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from realtime_ser.audio.portaudio import Backend, InputDevice, StreamFlags
from realtime_ser.types import FloatArray

__all__ = ["Capture", "Captured"]

_AT_ONCE = 0.1
"""Seconds of signal that are joined where several blocks wait, so that a reader that fell behind catches up quickly."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What one callback brought.

    Attributes
    ----------
    frames
        Shape ``(n, channels)``.
    at
        When it came, in seconds; see :class:`Capture`.
    asleep
        How long the computer had slept by then, in seconds.
    lost
        Frames missing before it because the channel was full.
    overrun
        Whether the device says that frames are missing before it, or before what is `lost`, without saying how many.
    """

    frames: FloatArray
    at: float
    asleep: float
    lost: int
    overrun: bool


class Capture:
    """A device's stream from its opening to its end.

    The channel keeps everything, up to `patience` seconds; what does not fit is dropped and counted.

    Parameters
    ----------
    backend, device, rate, channels, latency
        What to open, and how; see :class:`~realtime_ser.audio.portaudio.Backend`.
    patience
        Seconds of signal that the channel holds.
    now, asleep
        The clocks that every block is stamped with, in seconds.

    Raises
    ------
    DeviceError
        Where the device refuses.
    """

    def __init__(
        self,
        backend: Backend,
        device: InputDevice,
        rate: int,
        channels: int,
        latency: Literal["low", "high"] | float,
        *,
        patience: float,
        now: Callable[[], float],
        asleep: Callable[[], float],
    ) -> None:
        self.device = device
        self.rate = rate
        self.channels = channels
        self._now = now
        self._asleep = asleep
        # NB: shared between PortAudio's thread and the reader. SimpleQueue.put never waits for the reader; `None` only wakes
        # it. How much is under way is the difference of two counters that each have one writer: no lock is needed.
        self._channel: queue.SimpleQueue[Captured | None] = queue.SimpleQueue()
        self._capacity = max(1, round(patience * rate))
        self._handed_over = 0
        self._taken = 0
        # NB: written by the callback only, as long as there are callbacks.
        self._lost_pending = 0
        self._overrun_pending = False
        self.overruns = 0
        """Blocks that the device reported as overrun."""
        self.last_at = now()
        """When the last callback came, or the stream was opened."""
        self.error: Exception | None = None
        """What a callback raised, which ended the stream."""
        self.finished = False
        """True once no callback will come any more. NB: written by the sound system's thread, once."""
        # Everything that the callback needs is in place before the first one can come.
        self._stream = backend.open(device, rate, channels, latency, self._on_audio, self._on_finished)
        self.latency = self._stream.latency
        """Input latency in seconds as the driver states it."""

    @property
    def fill(self) -> float:
        """Fill of the channel, in [0, 1]."""
        return min(1.0, (self._handed_over - self._taken) / self._capacity)

    def start(self) -> None:
        """Let the callbacks come. Raises :class:`~realtime_ser.errors.DeviceError` where the device refuses."""
        self._stream.start()

    def collect(self, patience: float) -> list[Captured]:
        """What waits in the channel, up to a tenth of a second of signal; waits `patience` seconds for the first block only."""
        blocks: list[Captured] = []
        frames = 0
        while frames < _AT_ONCE * self.rate:
            try:
                block = self._channel.get(timeout=patience) if patience > 0 else self._channel.get_nowait()
            except queue.Empty:
                break
            if block is None:
                break
            blocks.append(block)
            frames += len(block.frames)
            patience = 0.0
        self._taken += frames
        return blocks

    def take_lost(self) -> int:
        """Frames that were dropped behind the last block; to be asked once no callback will come any more."""
        lost, self._lost_pending = self._lost_pending, 0
        return lost

    def close(self) -> None:
        """Stop the device and wake the reader; what was captured can still be collected."""
        self._stream.abort()
        self._stream.close()
        self._channel.put(None)

    def _on_audio(self, frames: FloatArray, count: int, _time: Any, flags: StreamFlags) -> None:
        # NB: PortAudio's thread. Copy, stamp, hand over; no lock, no log, no signal processing. An exception here would end
        # the stream without telling anybody, so it is kept for the reader.
        try:
            at = self._now()
            self.last_at = at
            if flags.input_overflow:
                self.overruns += 1
                self._overrun_pending = True
            if self._handed_over - self._taken + count > self._capacity:
                self._lost_pending += count
                return
            self._channel.put(Captured(frames.copy(), at, self._asleep(), self._lost_pending, self._overrun_pending))
            self._handed_over += count
            self._lost_pending = 0
            self._overrun_pending = False
        except Exception as error:
            self.error = error
            raise

    def _on_finished(self) -> None:
        # NB: the sound system's thread.
        self.finished = True
        self._channel.put(None)
