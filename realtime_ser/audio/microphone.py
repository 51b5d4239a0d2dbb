"""A live microphone.

Three activities, on three threads:

* *capture*, PortAudio's thread (:mod:`~realtime_ser.audio.capture`): copies a block, stamps it, hands it over.
* *reading*, the caller's thread: turns what was captured into blocks at the engine's rate, watches whether the device lives,
  and looks for it while it is away.
* *closing*, any thread: stops the device; what had been captured by then can still be read.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from realtime_ser.audio.capture import Capture, Captured
from realtime_ser.audio.clock import CaptureClock, seconds_asleep
from realtime_ser.audio.intake import Intake
from realtime_ser.audio.losses import LossWatch
from realtime_ser.audio.portaudio import Backend, InputDevice, PortAudio, RenewableBackend, Selector, choose
from realtime_ser.audio.sources import LONGEST_WAIT, SourceStatus
from realtime_ser.config import ENGINE_RATE, RETURN_SECONDS
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block, Event, FloatArray, Severity

__all__ = ["MicrophoneSource"]

_PLACED_BY = 0.2
"""Seconds of a stream that comes back by which its place is told."""
_OTHER_RATES = (48_000, 44_100, 16_000)
"""Hz. Tried in this order where a device refuses the rate that it calls its own."""


@dataclass(frozen=True, slots=True)
class _Absence:
    """Why and since when (seconds) the device is away, and the sample up to which it was heard."""

    why: str
    since: float
    sample: int


class MicrophoneSource:
    """Sound from a microphone, at the device's own rate and resampled here.

    The channel between device and reader keeps everything, up to `patience` seconds; should the reader fall behind further,
    new sound is dropped, counted and marked as a gap of exactly that length. What the device loses, whether it says so or not,
    is told by the computer's clock, to within some milliseconds (:class:`~realtime_ser.audio.losses.LossWatch`).

    A device is taken for lost when PortAudio ends the stream by itself, or delivers nothing for `stall_seconds`
    (`first_block_seconds` at the start: wireless headsets take their time); a computer that slept is such a pause too. It is
    then looked for until it is back, whatever rate and number of channels it has by then, and what follows stands behind a gap
    whose length is told by the computer's clock. Where the default device was asked for, that is whichever is the default by
    then; otherwise it is the one of the same name, since numbers change, or another that fits the name that was asked for. A
    device that never delivered anything is not waited for.

    Parameters
    ----------
    selector
        See :data:`~realtime_ser.audio.portaudio.Selector`.
    channel
        The channel to take, counted from 0; ``None`` for the mean of the first two.
    others
        Further channels to hand out beside it; see :class:`~realtime_ser.audio.people.SharedDevice`.
    rate
        Rate in Hz to open the device at; ``None`` for its own.
    latency
        Seconds, or ``"low"`` or ``"high"`` as the driver defines them. High loses less and adds some hundredths of a second.
    patience, stall_seconds, first_block_seconds
        Seconds, see above.
    return_seconds
        How long a lost device is waited for; 0 not at all, infinite for ever.
    retry_seconds
        Time between two looks for it; the first one comes at once.
    backend
        The sound system; PortAudio by default.
    now, asleep
        The clock, and how long the computer has slept while it stood still, in seconds.
    """

    live = True

    def __init__(
        self,
        selector: Selector = None,
        *,
        channel: int | None = None,
        others: Sequence[int] = (),
        rate: int | None = None,
        latency: Literal["low", "high"] | float = "high",
        patience: float = 10.0,
        stall_seconds: float = 2.0,
        first_block_seconds: float = 10.0,
        return_seconds: float = RETURN_SECONDS,
        retry_seconds: float = 1.0,
        backend: Backend | None = None,
        now: Callable[[], float] = time.perf_counter,
        asleep: Callable[[], float] = seconds_asleep,
    ) -> None:
        for one in (channel, *others):
            if one is not None and one < 0:
                raise ValueError(f"channel must not be negative, got {one}")
        self._selector = selector
        self._channel = channel
        self._others = tuple(others)
        self._wanted_rate = rate
        self._latency = latency
        self._patience = patience
        self._stall_seconds = stall_seconds
        self._first_block_seconds = first_block_seconds
        self._return_seconds = return_seconds
        self._retry_seconds = retry_seconds
        self._backend: Backend = PortAudio() if backend is None else backend
        self._now = now
        self._asleep = asleep

        self._capture: Capture | None = None
        self._device: InputDevice | None = None
        self._intake: Intake | None = None
        self._clock: CaptureClock | None = None
        self._watch: LossWatch | None = None
        self._ready: deque[Block] = deque()
        self._events: list[Event] = []
        self._last: Captured | None = None
        self._absence: _Absence | None = None
        self._arrived: list[Captured] = []
        self._next_look = 0.0
        self._losses = 0
        self._earlier_overruns = 0
        self._failure: DeviceError | None = None
        self._drained = False

        # NB: written once each by whoever closes: first that the stream's end is wanted, then that no callback will come any
        # more. The lock makes sure that a stream which is opened meanwhile does not outlive it.
        self._stopping = threading.Event()
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
        if self._device is not None or self._stopping.is_set():
            raise RuntimeError(f"{self.name} was opened before; make a new source")
        device = choose(self._selector, self._backend.devices())
        capture = self._open_device(device)
        self._device = device
        self._clock = CaptureClock(capture.rate)
        self._watch = LossWatch(self._clock, capture.rate)
        self._intake = Intake(capture.rate, capture.channels, self._channel, self._clock.time_of, self._others)
        self._listen_to(capture)

    def read(self, timeout: float) -> Block | None:
        """The next block, or ``None`` where there is none within `timeout` seconds (at most 0.2 are waited).

        NB: a look for a device that is away asks the system for all its devices, which may take longer than that.

        Raises
        ------
        DeviceError
            Where the device went away and is not waited for any longer, once everything captured before has been delivered.
        """
        if self._intake is None:
            raise RuntimeError(f"{self.name} must be opened before it is read")
        deadline = time.perf_counter() + min(timeout, LONGEST_WAIT)
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._drained:
                return None
            capture = self._capture
            happened = self._look(deadline) if capture is None else self._hear(capture, deadline)
            if not happened and time.perf_counter() >= deadline:
                return None
        return self._ready.popleft()

    def status(self) -> SourceStatus:
        """How the microphone is doing; any thread may call this."""
        # NB: capture and reader may be at work; every figure is one attribute, read once.
        capture, device, intake, clock = self._capture, self._device, self._intake, self._clock
        if device is None or intake is None or clock is None:
            return SourceStatus(self.name)
        about = f"{device.name} ({device.host_api})"
        if capture is None:
            about += ", away"
        else:
            about += f", {capture.rate} Hz, {capture.channels} channel{'s' if capture.channels > 1 else ''}"
        return SourceStatus(
            device=about,
            native_rate=0 if capture is None else capture.rate,
            channels=0 if capture is None else capture.channels,
            overruns=self._earlier_overruns + (0 if capture is None else capture.overruns),
            dropped_samples=intake.lost_samples,
            invalid_samples=intake.invalid_samples,
            clock_drift_ppm=clock.drift_ppm,
            input_latency_seconds=math.nan if capture is None else capture.latency,
            resampling_latency_seconds=intake.longest_wait,
            queue_fill=0.0 if capture is None else capture.fill,
            lost=self._absence is not None,
            losses=self._losses,
        )

    def drain_events(self) -> list[Event]:
        """Events since the last call: ``"gap"``, ``"invalid-samples"``, ``"device-lost"``, ``"device-back"``."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop the device. Any thread may call this; what had been captured can still be read, then `exhausted` is true."""
        self._stopping.set()
        with self._closing:
            if not self._closed and self._capture is not None:
                self._capture.close()
            self._closed = True

    # Reading: the caller's thread --------------------------------------------------------------------------------------------

    def _hear(self, capture: Capture, deadline: float) -> bool:
        """Wait for what the device delivers, until `deadline`, or find out that it is gone; whether anything happened."""
        # Looked at before the channel: what was captured before the end is in the channel by then.
        over = self._closed or capture.finished
        captured = capture.collect(0.0 if over else deadline - time.perf_counter())
        if captured:
            self._take(captured, capture)
        elif over and self._stopping.is_set():
            self._end(capture)
            self._drained = True
        elif over:
            self._lose(capture, f"The microphone “{self.name}” went away.")
        else:
            heard = self._last is not None and self._absence is None
            longest = self._stall_seconds if heard else self._first_block_seconds
            silence = self._now() - capture.last_at
            if silence > longest:
                self._lose(capture, f"The microphone “{self.name}” went away: it has delivered nothing for {silence:.0f} s.")
            else:
                return False
        return True

    def _take(self, captured: list[Captured], capture: Capture) -> None:
        assert self._intake is not None  # `read` has checked
        if self._absence is not None:
            self._arrived += captured
            if sum(len(block.frames) for block in self._arrived) < _PLACED_BY * capture.rate:
                return
            captured = self._place(capture)
        assert self._watch is not None
        clear: list[tuple[Captured, int | None]] = []
        for block in captured:
            if pause := self._pause_before(block, capture.rate):
                self._pass_on(clear, capture.rate)
                self._lose(capture, pause)
                return
            clear += self._watch.push(block)
            self._last = block
        self._pass_on(clear, capture.rate)
        self._events += self._intake.drain_events()

    def _place(self, capture: Capture) -> list[Captured]:
        """Find the place of a device's stream that is back, by its first blocks; returns these."""
        absence, before = self._absence, self._clock
        arrived, self._arrived = self._arrived, []
        assert absence is not None
        assert before is not None
        assert self._intake is not None
        assert self._last is not None  # a device that never delivered anything is not waited for
        # The clock of the stream before goes on counting meanwhile; it stands still only while the computer sleeps. A block can
        # come late, but never early: the promptest of the first ones tells when the stream began.
        frames = np.cumsum([block.lost + len(block.frames) for block in arrived])
        began = float(np.min([block.at for block in arrived] - frames / capture.rate)) + arrived[0].lost / capture.rate
        asleep = arrived[0].asleep - self._last.asleep
        sample = self._intake.sample_at(before.frames_at(began)) + round(asleep * ENGINE_RATE)
        self._clock = CaptureClock(capture.rate)
        self._watch = LossWatch(self._clock, capture.rate)
        self._intake.switch(capture.rate, capture.channels, self._channel, sample, self._clock.time_of)
        self._last = self._absence = None
        away = (self._intake.next_sample - absence.sample) / ENGINE_RATE
        name = capture.device.name
        known = f"The microphone “{name}” is back" if name == self.name else f"Listening goes on with the microphone “{name}”"
        self._device = capture.device
        text = f"{known}; {away:.1f} s were not heard."
        self._events.append(Event(self._intake.next_sample, "device-back", Severity.INFO, text))
        return arrived

    def _keep_arrived(self, capture: Capture) -> None:
        """What a device brought that is gone again before its place was sure is kept, at the place that is known by now."""
        if not self._arrived:
            return
        blocks = self._place(capture)
        assert self._watch is not None
        for block in blocks:
            self._pass_on(self._watch.push(block), capture.rate)
            self._last = block

    def _pause_before(self, block: Captured, rate: int) -> str:
        """What happened where `block` comes so late after the one before that the stream cannot be trusted; else empty.

        Whatever it brings then may be old or new sound: only a stream that is opened anew has a beginning that is known.
        """
        if self._last is None:
            return ""
        asleep = block.asleep - self._last.asleep
        pause = block.at - self._last.at - block.lost / rate
        if asleep + pause <= self._stall_seconds:
            return ""
        if asleep > pause:
            return f"The computer slept for {asleep:.0f} s."
        return f"The microphone “{self.name}” went away: it has delivered nothing for {pause:.0f} s."

    def _pass_on(self, clear: list[tuple[Captured, int | None]], rate: int) -> None:
        """Hand blocks to the intake, those that follow on one another joined; each comes with the frames missing before it."""
        assert self._intake is not None
        joined: list[FloatArray] = []
        gap: int | None = None
        for block, lost in clear:
            if lost is not None:
                self._push(joined, gap)
                self._report_gap(lost, lost <= block.lost, rate)
                joined, gap = [], lost
            joined.append(block.frames)
        self._push(joined, gap)

    def _push(self, frames: list[FloatArray], lost: int | None) -> None:
        assert self._intake is not None
        if frames:
            self._ready += self._intake.push(frames[0] if len(frames) == 1 else np.concatenate(frames), lost)

    def _report_gap(self, lost: int, by_us: bool, rate: int) -> None:
        assert self._intake is not None
        seconds = lost / rate
        if by_us:
            what = f"{seconds:.2f} s of sound were lost because this program could not keep up."
            remedy = "Close other programs, or switch off what you do not need here."
        else:
            what = f"The microphone lost about {seconds:.2f} s of sound before this program got it."
            remedy = "If this happens often, close other programs, try another USB port, or use latency “high”."
        sample = self._intake.sample_at(self._intake.frames)
        self._events.append(Event(sample, "gap", Severity.WARNING, f"{what} {remedy}"))

    def _end(self, capture: Capture) -> None:
        """No more will come from `capture`: hand out what the resampler still holds."""
        self._keep_arrived(capture)
        assert self._intake is not None
        assert self._watch is not None
        self._pass_on(self._watch.flush(), capture.rate)
        lost = capture.take_lost()
        if lost:
            self._report_gap(lost, True, capture.rate)
        self._ready += self._intake.finish(lost_after=lost)

    # While the device is away: the caller's thread ---------------------------------------------------------------------------

    def _lose(self, capture: Capture, why: str) -> None:
        """Give the stream up; say so, unless that was said and the device has not been heard since."""
        assert self._intake is not None
        with self._closing:
            if not self._closed:
                capture.close()
            self._capture = None
        self._keep_arrived(capture)
        if self._watch is not None:
            self._pass_on(self._watch.flush(), capture.rate)
        # What was dropped behind the last block is part of the gap that begins here.
        self._ready += self._intake.finish()
        self._earlier_overruns += capture.overruns
        # The first time at once: a stream that only stood still or slept can be opened anew right away.
        self._next_look = self._now() + (0.0 if self._absence is None else self._retry_seconds)
        if self._absence is not None:
            return
        self._absence = _Absence(why, self._now(), self._intake.next_sample)
        self._losses += 1
        if self._last is None or self._return_seconds <= 0:
            self._give_up(why, capture.error)
            return
        until = f" for {_spoken(self._return_seconds)}" if math.isfinite(self._return_seconds) else ""
        what_next = f"This program looks for it{until} and then goes on: plug it in again."
        self._events.append(Event(self._intake.next_sample, "device-lost", Severity.ERROR, f"{why} {what_next}"))

    def _give_up(self, problem: str, cause: BaseException | None = None) -> None:
        self._failure = DeviceError(
            problem,
            "Check its cable or its wireless connection and start anew, or choose another one: "
            "`realtime-ser devices` lists them.",
        )
        self._failure.__cause__ = cause

    def _look(self, deadline: float) -> bool:
        """Look for the device when it is time to, or wait until `deadline`; whether anything happened."""
        assert self._absence is not None
        now = self._now()
        if self._stopping.is_set():
            self._drained = True
        elif now - self._absence.since > self._return_seconds:
            self._give_up(f"{self._absence.why} It did not come back within {_spoken(self._return_seconds)}.")
        elif now < self._next_look:
            return self._stopping.wait(max(0.0, min(self._next_look - now, deadline - time.perf_counter())))
        else:
            self._next_look = now + self._retry_seconds
            try:
                capture = self._open_device(self._found_anywhere())
            except DeviceError:
                return False
            self._listen_to(capture)
        return True

    def _found_anywhere(self) -> InputDevice:
        """The device to go on with, by its name, wherever it is by now. Raises :class:`DeviceError` where it is not there.

        While another stream is open the system's list is old, and what it calls a place may be another device's. Then another
        process looks; only where it finds the device at another place is the list made anew, for which the other streams end
        and begin again: a short gap for them, and none as long as the device is away.
        """
        backend = self._backend
        beside = backend.devices_beside() if isinstance(backend, RenewableBackend) else None
        if beside is None:
            return self._found_again(backend.devices(anew=True))
        device = self._found_again(beside)
        if _place(device) not in map(_place, backend.devices()):
            assert isinstance(backend, RenewableBackend)  # it has told what is beside
            if not backend.renew():
                raise DeviceError(f"The microphone “{device.name}” is at another place, which cannot be opened now.")
        return self._found_again(backend.devices())

    def _found_again(self, devices: list[InputDevice]) -> InputDevice:
        """The device to go on with. Raises :class:`~realtime_ser.errors.DeviceError` where it is not there."""
        assert self._device is not None
        if self._selector is None:
            return choose(None, devices)
        wanted = _lasting_name(self._device)
        same = [device for device in devices if _lasting_name(device) == wanted]
        if len(same) == 1:
            return same[0]
        if same:  # several are alike: the number may still tell them apart
            return choose(self._device.index, same)
        if isinstance(self._selector, str) and not self._selector.strip().isdecimal():
            return choose(self._selector, devices)
        raise DeviceError(f"The microphone “{self.name}” is not there.")

    # Opening -----------------------------------------------------------------------------------------------------------------

    def _listen_to(self, capture: Capture) -> None:
        with self._closing:
            self._capture = capture
            if self._closed:  # somebody closed the source while the device was being opened
                capture.close()

    def _open_device(self, device: InputDevice) -> Capture:
        """A started stream of `device`."""
        named = [channel for channel in (self._channel, *self._others) if channel is not None]
        if named and max(named) >= device.channels:
            raise DeviceError(
                f"The microphone “{device.name}” has no channel {max(named) + 1}.",
                f"It has {device.channels}, counted from 1.",
            )
        # Sound servers offer 32 channels and more for any microphone; the mean of two is what a stereo microphone needs.
        mean_of = min(2, device.channels) if self._channel is None else 0
        channels = max(mean_of, *(channel + 1 for channel in named), 0)
        capture = self._open_at_some_rate(device, channels)
        try:
            capture.start()
        except DeviceError:
            capture.close()
            raise
        return capture

    def _open_at_some_rate(self, device: InputDevice, channels: int) -> Capture:
        own = device.rate if self._wanted_rate is None else self._wanted_rate
        rates = [own] if self._wanted_rate is not None else [own, *(rate for rate in _OTHER_RATES if rate != own)]
        refusal: DeviceError | None = None
        for rate in rates:
            try:
                return Capture(
                    self._backend,
                    device,
                    rate,
                    channels,
                    self._latency,
                    patience=self._patience,
                    now=self._now,
                    asleep=self._asleep,
                )
            except DeviceError as error:
                # The reason given for the device's own rate is the one worth telling.
                refusal = refusal or error
        assert refusal is not None  # there is at least one rate
        raise refusal


def _lasting_name(device: InputDevice) -> tuple[str, str]:
    """What stays the same when a device is plugged in again: ALSA's card number does not."""
    return device.host_api, re.sub(r" \(hw:\d+,\d+\)", "", device.name)


def _place(device: InputDevice) -> tuple[int, str, str]:
    """What a device is opened by."""
    return device.index, device.name, device.host_api


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} s"
