"""The contract of every input, and the inputs that need no device: arrays, and what files share with them.

Threads: a source is used by one thread, the reader, from `open` to the last `read`. Only `close`, which interrupts a waiting
`read`, and `status` may be called by others meanwhile.
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.audio.intake import Intake
from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import Block, Event, FloatArray

__all__ = ["LONGEST_WAIT", "ArraySource", "Pace", "RecordedSource", "Source", "SourceStatus"]

LONGEST_WAIT = 0.2
"""Seconds after which every wait ends, whatever the caller asks for: a thread that is told to stop must notice."""

Pace: TypeAlias = Literal["fast", "realtime"]
"""How quickly recorded sound is delivered: as fast as it is taken, or as it was spoken."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is doing.

    Attributes
    ----------
    device
        Device or file and what it delivers, in words.
    native_rate, channels
        Of the device or file, in Hz and number; 0 before `open`.
    overruns
        Blocks that the device reported as overrun.
    dropped_samples
        Samples missing in gaps, at the engine's rate.
    invalid_samples
        Values that were no numbers and were replaced by 0, in the source's own frames and channels.
    clock_drift_ppm
        Parts per million by which the device's clock runs faster than the computer's; ``nan`` until it can be told, and for
        files.
    input_latency_seconds
        Device latency as its driver states it, not measured; ``nan`` where it states none, and for files.
    resampling_latency_seconds
        Longest time that a sample has waited in the resampler; 0 where none is needed.
    queue_fill
        Fill of the channel between device and reader, in [0, 1].
    lost
        True while the device is away, and for good once it is not waited for any longer.
    losses
        How often it went away.
    """

    device: str
    native_rate: int = 0
    channels: int = 0
    overruns: int = 0
    dropped_samples: int = 0
    invalid_samples: int = 0
    clock_drift_ppm: float = math.nan
    input_latency_seconds: float = math.nan
    resampling_latency_seconds: float = 0.0
    queue_fill: float = 0.0
    lost: bool = False
    losses: int = 0


class Source(Protocol):
    """Anything that sound comes from. Blocks are mono, at the engine's rate, in order, on the stream's clock from 0."""

    @property
    def name(self) -> str:
        """What to call it in front of a user."""
        ...

    @property
    def live(self) -> bool:
        """True where sound that is not read in time is lost."""
        ...

    @property
    def exhausted(self) -> bool:
        """True once no block will come any more."""
        ...

    def open(self) -> None:
        """Start. Raises :class:`~realtime_ser.errors.DeviceError` or :class:`~realtime_ser.errors.AudioFileError`."""
        ...

    def read(self, timeout: float) -> Block | None:
        """The next block, or ``None`` where there is none within `timeout` seconds (at most 0.2 are waited).

        Raises
        ------
        DeviceError
            Where the device went away for good, once everything captured before has been delivered.
        """
        ...

    def status(self) -> SourceStatus:
        """How it is doing; may be called by any thread."""
        ...

    def drain_events(self) -> list[Event]:
        """Events since the last call, called by the reader after each `read`.

        ``"gap"`` where samples are missing, ``"invalid-samples"``, ``"file-truncated"``, and ``"device-lost"`` and
        ``"device-back"`` around a gap. A device that is lost for good is an exception of `read`, not an event.
        """
        ...

    def close(self) -> None:
        """Stop and release everything; may be called by any thread and more than once, and interrupts a waiting `read`."""
        ...


class RecordedSource(ABC):
    """What files and arrays share: nothing is ever lost, and the reader's own pace is the only pressure.

    Parameters
    ----------
    name
        What to call it in front of a user.
    pace
        ``"fast"``, or ``"realtime"``: a block is then delivered no earlier than its last sample would have been captured,
        counted from the first `read`.
    block
        Samples at the engine's rate that are taken from the recording at a time. What one `read` returns varies around it
        where the rate has to change.
    channel
        The channel to take, or ``None`` for the mean of all.
    others
        Further channels to hand out beside it; see :class:`~realtime_ser.audio.people.SharedDevice`.
    """

    live = False

    def __init__(self, name: str, pace: Pace, block: int, channel: int | None, others: Sequence[int] = ()) -> None:
        if pace not in ("fast", "realtime"):
            raise ValueError(f"pace must be 'fast' or 'realtime', got {pace!r}")
        if block < 1:
            raise ValueError(f"block must be at least 1 sample, got {block}")
        self.name = name
        self._pace = pace
        self._block = block
        self._channel = channel
        self._others = tuple(others)
        self._rate = 0
        self._channels = 0
        self._intake: Intake | None = None
        self._ready: deque[Block] = deque()
        self._events: list[Event] = []
        self._ended = False
        self._started_at: float | None = None
        # NB: set by whichever thread closes, waited on by the reader.
        self._closed = threading.Event()

    @property
    def exhausted(self) -> bool:
        """True once no block will come any more: everything was delivered, or the source was closed."""
        return self._closed.is_set() or (self._ended and not self._ready)

    def open(self) -> None:
        """Start. Raises :class:`~realtime_ser.errors.AudioFileError` where there is nothing to read."""
        if self._intake is not None or self._closed.is_set():
            raise RuntimeError(f"{self.name} was opened before; make a new source")
        self._rate, self._channels = self._open()
        self._intake = Intake(self._rate, self._channels, self._channel, others=self._others)

    def read(self, timeout: float) -> Block | None:
        """The next block; ``None`` where it is not due yet, or there is none any more (see `exhausted`)."""
        if self._intake is None:
            raise RuntimeError(f"{self.name} must be opened before it is read")
        if self._started_at is None:
            self._started_at = time.perf_counter()
        while not self._ready and not self._ended and not self._closed.is_set():
            self._take(self._intake)
        if self.exhausted:
            return None
        if self._pace == "realtime":
            due = self._started_at + self._ready[0].span.end / ENGINE_RATE
            wait = due - time.perf_counter()
            if wait > 0:
                patience = min(timeout, LONGEST_WAIT)
                if self._closed.wait(min(wait, patience)) or wait > patience:
                    return None
        return self._ready.popleft()

    def status(self) -> SourceStatus:
        """How it is doing; may be called by any thread."""
        # NB: the reader may be at work; every figure is one attribute, read once.
        intake = self._intake
        if intake is None:
            return SourceStatus(self.name)
        return SourceStatus(
            device=self._describe(),
            native_rate=self._rate,
            channels=self._channels,
            invalid_samples=intake.invalid_samples,
            resampling_latency_seconds=intake.longest_wait,
        )

    def drain_events(self) -> list[Event]:
        """Events since the last call: ``"invalid-samples"``, ``"file-truncated"``."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop; any thread may call this, and a waiting `read` returns at once. The recording is released by the reader."""
        self._closed.set()
        self._release()

    @abstractmethod
    def _open(self) -> tuple[int, int]:
        """Start, and return rate (Hz) and number of channels."""

    @abstractmethod
    def _frames(self, count: int) -> FloatArray:
        """The next frames, shape ``(n, channels)``; n is `count` unless the recording ends with them."""

    @abstractmethod
    def _describe(self) -> str:
        """The recording, in words."""

    @abstractmethod
    def _release(self) -> None:
        """Give up what `_open` acquired; called by any thread, more than once, after `_closed` is set."""

    def _take(self, intake: Intake) -> None:
        # From the whole count, so that blocks of a fraction of a frame do not add up to a drift.
        end = (intake.frames * ENGINE_RATE // self._rate // self._block + 1) * self._block
        count = max(1, -(-end * self._rate // ENGINE_RATE) - intake.frames)
        frames = self._frames(count)
        self._ready += intake.push(frames)
        if len(frames) < count:
            self._ready += intake.finish()
            self._ended = True
        self._events += intake.drain_events()


class ArraySource(RecordedSource):
    """Sound that is already in memory.

    Parameters
    ----------
    samples
        Shape ``(n,)`` or ``(n, channels)``, n at least 1. Floats of any size are taken as they are, full scale being 1;
        integers of up to 32 bits are divided by their type's full scale, unsigned ones after their middle is subtracted.
        Not copied: do not change it while the source is read.
    sample_rate
        Hz.
    pace, block, channel, others
        See :class:`RecordedSource`.
    name
        What to call it in front of a user.

    Raises
    ------
    TypeError
        For 64-bit integers, whose full scale nobody means, and for types that hold no sound.
    ValueError
        For a wrong shape, or a rate or channel that cannot be.
    """

    def __init__(
        self,
        samples: NDArray[Any],
        sample_rate: int,
        *,
        pace: Pace = "fast",
        block: int = 1600,
        channel: int | None = None,
        others: Sequence[int] = (),
        name: str = "array",
    ) -> None:
        super().__init__(name, pace, block, channel, others)
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or not samples.size:
            raise ValueError(f"samples must have shape (n,) or (n, channels) and not be empty, got {samples.shape}")
        if not (samples.dtype.kind == "f" or (samples.dtype.kind in "iu" and samples.dtype.itemsize <= 4)):
            raise TypeError(
                f"samples must be floats with full scale 1, or integers of 8, 16 or 32 bits, got {samples.dtype}; "
                "convert them, for example with samples.astype('int16')"
            )
        if int(sample_rate) != sample_rate:
            raise ValueError(f"sample_rate must be a whole number of Hz, got {sample_rate}")
        self._samples = samples[:, np.newaxis] if samples.ndim == 1 else samples
        self._sample_rate = int(sample_rate)
        self._position = 0
        # The checks of rate and channel are the intake's; made here so that a wrong argument is reported where it is passed.
        Intake(self._sample_rate, self._samples.shape[1], channel, others=others)

    def _open(self) -> tuple[int, int]:
        return self._sample_rate, self._samples.shape[1]

    def _frames(self, count: int) -> FloatArray:
        part = self._samples[self._position : self._position + count]
        self._position += len(part)
        if part.dtype.kind == "f":
            with np.errstate(over="ignore"):  # a double beyond the range of float32 becomes infinite, which the intake handles
                return part.astype(np.float32)
        full_scale = 2.0 ** (8 * part.dtype.itemsize - 1)
        middle = full_scale if part.dtype.kind == "u" else 0.0
        return ((part.astype(np.float64) - middle) / full_scale).astype(np.float32)

    def _describe(self) -> str:
        return f"{self.name}, {self._rate} Hz, {self._channels} channel{'s' if self._channels > 1 else ''}"

    def _release(self) -> None:
        """The array is the caller's."""
