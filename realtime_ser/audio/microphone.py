"""A live microphone.

Three activities, on three threads:

* *capture*, PortAudio's thread: copies a block, stamps it, hands it over. It never waits, and does nothing else.
* *reading*, the caller's thread: turns what was captured into blocks at the engine's rate, watches whether the device lives.
* *closing*, any thread: stops the device; what had been captured by then can still be read.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from realtime_ser.audio.clock import CaptureClock
from realtime_ser.audio.intake import Intake
from realtime_ser.audio.portaudio import Backend, InputDevice, InputStream, PortAudio, Selector, StreamFlags, choose
from realtime_ser.audio.sources import LONGEST_WAIT, SourceStatus
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block, Event, FloatArray, Severity

__all__ = ["MicrophoneSource"]

_OTHER_RATES = (48_000, 44_100, 16_000)
"""Hz. Tried in this order where a device refuses the rate that it calls its own."""

_AT_ONCE = 0.1
"""Seconds of signal that are joined where several blocks wait, so that a reader that fell behind catches up quickly."""


@dataclass(frozen=True, slots=True)
class _Capture:
    """What one callback brought: `frames` of shape ``(n, channels)``, when it came, and what is missing before it."""

    frames: FloatArray
    at: float
    lost: int
    overrun: bool


class MicrophoneSource:
    """Sound from a microphone, at the device's own rate and resampled here.

    The channel between device and reader keeps everything, up to `patience` seconds; should the reader fall behind further,
    new sound is dropped, counted and marked as a gap of exactly that length. Where the device itself reports an overrun, it
    does not say how much is missing; that is told by the computer's clock, to within some milliseconds.

    A device is taken for lost when PortAudio ends the stream by itself, or delivers nothing for `stall_seconds`
    (`first_block_seconds` at the start: wireless headsets take their time).

    Parameters
    ----------
    selector
        See :data:`~realtime_ser.audio.portaudio.Selector`.
    channel
        The channel to take, counted from 0; ``None`` for the mean of the first two.
    rate
        Rate in Hz to open the device at; ``None`` for its own.
    latency
        Seconds, or ``"low"`` or ``"high"`` as the driver defines them. High loses less and adds some hundredths of a second.
    patience, stall_seconds, first_block_seconds
        Seconds, see above.
    backend
        The sound system; PortAudio by default.
    now
        The clock, in seconds.
    """

    live = True

    def __init__(
        self,
        selector: Selector = None,
        *,
        channel: int | None = None,
        rate: int | None = None,
        latency: Literal["low", "high"] | float = "high",
        patience: float = 10.0,
        stall_seconds: float = 2.0,
        first_block_seconds: float = 10.0,
        backend: Backend | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        if channel is not None and channel < 0:
            raise ValueError(f"channel must not be negative, got {channel}")
        self._selector = selector
        self._channel = channel
        self._wanted_rate = rate
        self._latency = latency
        self._patience = patience
        self._stall_seconds = stall_seconds
        self._first_block_seconds = first_block_seconds
        self._backend: Backend = PortAudio() if backend is None else backend
        self._now = now

        self._device: InputDevice | None = None
        self._stream: InputStream | None = None
        self._rate = 0
        self._channels = 0
        self._intake: Intake | None = None
        self._clock: CaptureClock | None = None
        self._ready: deque[Block] = deque()
        self._events: list[Event] = []
        self._stated_latency = math.nan
        self._last_block_at = 0.0
        self._heard_anything = False
        self._failure: DeviceError | None = None
        self._drained = False

        # NB: shared between capture and reader. SimpleQueue.put never waits for the reader; `None` only wakes it. How much is
        # under way is the difference of two counters that each have one writer: no lock is needed.
        self._channel_to_reader: queue.SimpleQueue[_Capture | None] = queue.SimpleQueue()
        self._capacity = 0
        self._handed_over = 0
        self._taken = 0
        # NB: written by capture only, as long as there are callbacks.
        self._overruns = 0
        self._lost_pending = 0
        self._callback_error: Exception | None = None
        # NB: written once each, by the sound system's thread and by whoever closes: first that the stream's end is wanted,
        # then that no callback will come any more.
        self._finished = False
        self._stopping = False
        self._closed = False
        self._closing = threading.Lock()

    @property
    def name(self) -> str:
        """The device's name; before `open`, what was asked for."""
        if self._device is not None:
            return self._device.name
        return "default microphone" if self._selector is None else str(self._selector)

    @property
    def exhausted(self) -> bool:
        """True once the source was closed and everything captured before has been read; never after a loss."""
        return self._drained and not self._ready and self._failure is None

    def open(self) -> None:
        """Open and start the device.

        Raises
        ------
        DeviceError
            Where PortAudio or the device is missing, or the device refuses.
        """
        if self._device is not None or self._stopping:
            raise RuntimeError(f"{self.name} was opened before; make a new source")
        device = choose(self._selector, self._backend.devices())
        if self._channel is not None and self._channel >= device.channels:
            raise DeviceError(
                f"The microphone “{device.name}” has no channel {self._channel}.",
                f"Its channels are 0 to {device.channels - 1}.",
            )
        self._device = device
        # Sound servers offer 32 channels and more for any microphone; the mean of two is what a stereo microphone needs.
        self._channels = min(2, device.channels) if self._channel is None else self._channel + 1
        stream = self._open_stream(device)
        self._last_block_at = self._now()
        self._stream = stream
        try:
            stream.start()
        except DeviceError:
            self.close()
            raise

    def read(self, timeout: float) -> Block | None:
        """The next block, or ``None`` where there is none within `timeout` seconds (at most 0.2 are waited).

        Raises
        ------
        DeviceError
            Where the device went away, once everything captured before has been delivered.
        """
        if self._intake is None or self._clock is None:
            raise RuntimeError(f"{self.name} must be opened before it is read")
        deadline = time.perf_counter() + min(timeout, LONGEST_WAIT)
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._drained:
                return None
            # Looked at before the queue: what was captured before the end is in the queue by then.
            over = self._closed or self._finished
            captures = self._collect(0.0 if over else deadline - time.perf_counter())
            if captures:
                self._take(captures, self._intake, self._clock)
            elif over:
                self._end(self._intake, None if self._stopping else self._went_away())
            elif self._now() - self._last_block_at > (
                self._stall_seconds if self._heard_anything else self._first_block_seconds
            ):
                self._end(self._intake, self._fell_silent())
            elif time.perf_counter() >= deadline:
                return None
        return self._ready.popleft()

    def status(self) -> SourceStatus:
        """How the microphone is doing; any thread may call this."""
        # NB: capture and reader may be at work; every figure is one attribute, read once.
        device, intake, clock = self._device, self._intake, self._clock
        if device is None or intake is None or clock is None:
            return SourceStatus(self.name)
        channels = f"{self._channels} channel{'s' if self._channels > 1 else ''}"
        return SourceStatus(
            device=f"{device.name} ({device.host_api}), {self._rate} Hz, {channels}",
            native_rate=self._rate,
            channels=self._channels,
            overruns=self._overruns,
            dropped_samples=intake.lost_samples,
            invalid_samples=intake.invalid_samples,
            clock_drift_ppm=clock.drift_ppm,
            input_latency_seconds=self._stated_latency,
            resampling_latency_seconds=intake.longest_wait,
            queue_fill=min(1.0, (self._handed_over - self._taken) / self._capacity),
            lost=self._failure is not None,
        )

    def drain_events(self) -> list[Event]:
        """Events since the last call: ``"gap"``, ``"invalid-samples"``."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop the device. Any thread may call this; what had been captured can still be read, then `exhausted` is true."""
        self._stopping = True
        with self._closing:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.abort()
                stream.close()
        self._closed = True
        self._channel_to_reader.put(None)

    # Capture: PortAudio's thread ---------------------------------------------------------------------------------------------

    def _on_audio(self, frames: FloatArray, count: int, _time: Any, flags: StreamFlags) -> None:
        # NB: PortAudio's thread. Copy, stamp, hand over; no lock, no log, no signal processing. An exception here would end
        # the stream without telling anybody, so it is kept for the reader.
        try:
            at = self._now()
            overrun = flags.input_overflow
            if overrun:
                self._overruns += 1
            if self._handed_over - self._taken + count > self._capacity:
                self._lost_pending += count
                return
            self._channel_to_reader.put(_Capture(frames.copy(), at, self._lost_pending, overrun))
            self._handed_over += count
            self._lost_pending = 0
        except Exception as error:
            self._callback_error = error
            raise

    def _on_finished(self) -> None:
        # NB: the sound system's thread.
        self._finished = True
        self._channel_to_reader.put(None)

    # Reading: the caller's thread --------------------------------------------------------------------------------------------

    def _collect(self, patience: float) -> list[_Capture]:
        """What waits in the channel, up to a tenth of a second of signal; waits for the first block only."""
        captures: list[_Capture] = []
        frames = 0
        while frames < _AT_ONCE * self._rate:
            try:
                capture = (
                    self._channel_to_reader.get(timeout=patience) if patience > 0 else self._channel_to_reader.get_nowait()
                )
            except queue.Empty:
                break
            if capture is None:
                break
            captures.append(capture)
            frames += len(capture.frames)
            patience = 0.0
        return captures

    def _take(self, captures: list[_Capture], intake: Intake, clock: CaptureClock) -> None:
        self._last_block_at = captures[-1].at
        joined: list[FloatArray] = []
        frames = intake.frames
        for capture in captures:
            count = len(capture.frames)
            self._taken += count
            lost = self._missing_before(capture, frames, clock)
            if lost is not None:
                self._pass_on(joined, None, intake)
                self._report_gap(lost, bool(capture.lost), intake)
                joined = []
                clock.observe(frames + lost + count, capture.at)
                self._pass_on([capture.frames], lost, intake)
                frames = intake.frames
            else:
                frames += count
                clock.observe(frames, capture.at)
                joined.append(capture.frames)
            self._heard_anything = True
        self._pass_on(joined, None, intake)
        self._events += intake.drain_events()

    def _pass_on(self, frames: list[FloatArray], lost: int | None, intake: Intake) -> None:
        if frames:
            self._ready += intake.push(frames[0] if len(frames) == 1 else np.concatenate(frames), lost)

    def _missing_before(self, capture: _Capture, frames: int, clock: CaptureClock) -> int | None:
        """Frames missing between number `frames` and `capture`, or ``None`` where it follows directly."""
        if not self._heard_anything or not (capture.overrun or capture.lost):
            return None
        if not capture.overrun:
            return capture.lost
        by_clock = round(clock.frames_at(capture.at)) - frames - len(capture.frames)
        return max(capture.lost, by_clock)

    def _report_gap(self, lost: int, by_us: bool, intake: Intake) -> None:
        seconds = lost / self._rate
        if by_us:
            what = f"{seconds:.2f} s of sound were lost because this program could not keep up."
            remedy = "Close other programs, or switch off what you do not need here."
        else:
            what = f"The microphone lost about {seconds:.2f} s of sound before this program got it."
            remedy = "If this happens often, close other programs, try another USB port, or use latency “high”."
        sample = intake.frames * ENGINE_RATE // self._rate
        self._events.append(Event(sample, "gap", Severity.WARNING, f"{what} {remedy}"))

    def _end(self, intake: Intake, failure: DeviceError | None) -> None:
        lost, self._lost_pending = self._lost_pending, 0
        if lost:
            self._report_gap(lost, True, intake)
        self._ready += intake.finish(lost_after=lost)
        self._drained = True
        if failure is not None:
            failure.__cause__ = self._callback_error
            self._failure = failure
            self.close()

    def _went_away(self) -> DeviceError:
        return DeviceError(
            f"The microphone “{self.name}” went away.",
            "Plug it in again and start anew, or choose another one: `realtime-ser devices` lists them.",
        )

    def _fell_silent(self) -> DeviceError:
        seconds = self._stall_seconds if self._heard_anything else self._first_block_seconds
        return DeviceError(
            f"The microphone “{self.name}” went away: it has delivered nothing for {seconds:g} s.",
            "Check its cable or its wireless connection and start anew, or choose another one: "
            "`realtime-ser devices` lists them.",
        )

    def _open_stream(self, device: InputDevice) -> InputStream:
        own = device.rate if self._wanted_rate is None else self._wanted_rate
        rates = [own] if self._wanted_rate is not None else [own, *(rate for rate in _OTHER_RATES if rate != own)]
        refusal: DeviceError | None = None
        for rate in rates:
            # Everything that the callback needs is in place before the first one can come.
            self._rate = rate
            self._clock = CaptureClock(rate)
            self._intake = Intake(rate, self._channels, self._channel, self._clock.time_of)
            self._capacity = max(1, round(self._patience * rate))
            try:
                stream = self._backend.open(device, rate, self._channels, self._latency, self._on_audio, self._on_finished)
            except DeviceError as error:
                # The reason given for the device's own rate is the one worth telling.
                refusal = refusal or error
                continue
            self._stated_latency = stream.latency
            return stream
        assert refusal is not None  # there is at least one rate
        raise refusal
