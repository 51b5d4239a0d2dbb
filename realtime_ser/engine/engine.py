"""The stages in threads: live, close to the signal, and exact where nothing forces it to drop.

Three threads: *signal* reads the source and runs voice activity and the encoder; *words* runs the recogniser; *judgement* runs
text network and fusion. PortAudio's callback is a fourth that this module never sees. A source that cannot wait (a microphone)
makes the channels drop and count; one that can (a file) is held back, and then the results equal those of
:class:`~realtime_ser.engine.pipeline.Pipeline`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

from realtime_ser.audio.sources import Source
from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.channel import Channel, ChannelClosed, Policy
from realtime_ser.engine.metrics import LatencyMeter, LoadMeter
from realtime_ser.engine.pipeline import Stages
from realtime_ser.engine.signal import SignalResult, Step
from realtime_ser.engine.watch import StallWatch
from realtime_ser.engine.words import Heard
from realtime_ser.errors import AudioFileError, DeviceError, EngineError, RealtimeSerError
from realtime_ser.types import Block, Event, Health, Output, Severity, Transcript, WindowScores

__all__ = ["Engine", "Phase", "Sink"]

_log = logging.getLogger(__name__)

_WAIT = 0.2
"""Longest wait of any thread, in seconds, before it looks whether it should stop."""

_BACKLOG_AT_STOP = 20
"""Steps (2 s of sound) that the recogniser may still catch up with once a stop was asked for."""

_LOGGED_EVERY = 60 * ENGINE_RATE
"""Samples between two entries of the health in the log."""

_WORKERS = {
    "signal": (
        "Listening",
        "The sound of the next ten seconds waits; what comes after them will be told as a gap. Close other programs.",
    ),
    "words": ("The recogniser", "Meanwhile the voice alone counts."),
    "judgement": ("The judgement", "Scores of windows go on; estimates and verdicts wait."),
}

_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.ERROR: logging.ERROR}

_STOP_WITHIN = 5.0
"""Seconds that the threads get to finish after a stop was asked for; then they are told to drop what they have."""


class Phase(StrEnum):
    """Where an engine stands in its life."""

    NEW = "new"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"


class Sink(Protocol):
    """What gets everything that an engine emits: a channel, or something in front of one. Any thread of the engine calls it."""

    @property
    def dropped(self) -> int:
        """Outputs that were not taken in time so far."""
        ...

    def put(self, item: Output) -> bool:
        """Take an output."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...

    def abandon(self) -> None:
        """Nobody waits for what is still here."""
        ...


@dataclass(frozen=True, slots=True)
class _Worker:
    thread: threading.Thread
    done: threading.Event


class Engine:
    """Runs a source through stages in threads, once.

    Parameters
    ----------
    source
        Not yet opened.
    stages
        Fresh ones.
    person
        Whose voice it is, where several engines listen at once; for the log.

    Notes
    -----
    NB: :meth:`subscribe` before :meth:`start`. Public methods may be called from any thread but must not be called from a
    worker. An exception in a worker stops the engine and is raised by :meth:`wait` and :meth:`close`.
    """

    def __init__(self, source: Source, stages: Stages, person: str = "") -> None:
        self._source = source
        self._who = f"{person}: " if person else ""
        self._stages = stages
        policy = Policy.DROP_OLDEST if source.live else Policy.KEEP_ALL
        # Half a minute live; little for files, which wait anyway, so that memory stays flat.
        capacity = 300 if source.live else 32
        self._to_words: Channel[Step] = Channel("steps for the recogniser", capacity, policy)
        self._to_judgement: Channel[Step] = Channel("steps for the fusion", 2 * capacity, policy)
        self._heard: Channel[Heard] = Channel("transcripts", 4 * capacity, policy)
        self._subscriptions: list[Sink] = []
        self.on_failure: Callable[[], None] = lambda: None
        """Called once, by any thread, as soon as the engine fails; it must neither wait nor raise."""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._phase = Phase.NEW
        self._error: BaseException | None = None
        self._workers: list[_Worker] = []
        self._latency = LatencyMeter()
        self._load = LoadMeter()
        self._heard_until = 0
        self._watch = StallWatch(_WORKERS)
        # NB: the judgement thread's own.
        self._early: deque[Heard] = deque()
        # NB: the signal thread's own.
        self._next_health = 0
        self._next_logged = 0
        self._reported_drops: dict[Any, int] = {}

    @property
    def phase(self) -> Phase:
        """Where the engine stands."""
        return self._phase

    @property
    def error(self) -> BaseException | None:
        """Why the engine failed, if it did."""
        return self._error

    @property
    def position(self) -> int:
        """Samples seen so far."""
        return self._stages.signal.position

    def subscribe(self, capacity: int, policy: Policy) -> Channel[Output]:
        """A channel that gets everything the engine emits; it is closed when the engine ends.

        With :attr:`Policy.KEEP_ALL` a receiver that stops receiving must call ``abandon()`` on it, or the engine waits for it.
        """
        channel: Channel[Output] = Channel("outputs", capacity, policy)
        self.publish_to(channel)
        return channel

    def publish_to(self, sink: Sink) -> None:
        """As :meth:`subscribe`, into something that is there already."""
        if self._phase is not Phase.NEW:
            raise ValueError("subscribe before the engine is started")
        self._subscriptions.append(sink)

    def start(self) -> None:
        """Start the threads, the consumers first, and open the source last.

        Raises
        ------
        DeviceError, AudioFileError
            The source does not open; the engine is over then.
        """
        if self._phase is not Phase.NEW:
            raise ValueError("an engine runs once; make a new one")
        self._phase = Phase.RUNNING
        self._spawn("judgement", self._judge)
        if self._stages.words is not None:
            self._spawn("words", self._hear)
        try:
            self._source.open()
            _log.info("%slistening to %s", self._who, self._source.status().device)
        except BaseException as error:
            self._fail(error)
            self._join(_STOP_WITHIN)
            self._conclude()
            raise
        self._spawn("signal", self._listen)

    def stop(self) -> None:
        """Ask for the end: what was captured is finished, then the threads end. Returns at once."""
        with self._lock:
            if self._phase is Phase.RUNNING:
                self._phase = Phase.STOPPING
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is done; ``False`` when `timeout` seconds passed first.

        Raises
        ------
        BaseException
            Whatever stopped a worker.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        for worker in self._workers:
            while not worker.done.is_set():
                remaining = _WAIT if deadline is None else min(_WAIT, deadline - time.monotonic())
                if remaining <= 0:
                    return False
                worker.done.wait(remaining)
        if self._workers:
            self._join(_STOP_WITHIN)
        self._conclude()
        if self._error is not None:
            raise self._error
        return True

    def close(self) -> None:
        """Stop, wait, and release everything.

        Raises
        ------
        EngineError
            A thread does not end; it is named.
        BaseException
            Whatever stopped a worker.
        """
        if self._phase is Phase.NEW:
            self._phase = Phase.FINISHED
            return
        self.stop()
        self._join(_STOP_WITHIN)
        # A recogniser that is far behind loses its backlog, but verdicts still reach the subscribers; a subscriber that has
        # stopped receiving loses the rest.
        for give_up in (self._abandon_steps, self._abandon):
            if any(not worker.done.is_set() for worker in self._workers):
                give_up()
                self._join(_STOP_WITHIN)
        stuck = [worker.thread.name for worker in self._workers if worker.thread.is_alive()]
        self._conclude()
        if stuck:
            raise EngineError(f"The {' and the '.join(stuck)} thread would not stop.", "Close the program and start it again.")
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self.close()
        except Exception:
            # An exception that is already on its way says more than the one it caused.
            if error is None:
                raise

    # Workers --------------------------------------------------------------------------------------------------------------

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to the caller of wait() and close()
                self._fail(error)
            finally:
                done.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._workers.append(_Worker(thread, done))
        thread.start()

    def _listen(self) -> None:
        """Thread *signal*: source → signal stage → steps."""
        signal = self._stages.signal
        away = False
        try:
            while not self._stop.is_set() and not self._source.exhausted:
                # Looking for a device that is away takes the time that it takes, and is told by then.
                with nullcontext() if away else self._watch.working("signal"):
                    block = self._read(_WAIT)
                    if block is not None:
                        self._take(block)
                    away = block is None and self._source.status().lost
                    if away:
                        self._forward(signal.pause())
                self._look_around()
            if self._error is None:
                # A stop ends the capture, not what was captured before it.
                self._source.close()
                while (block := self._read(0.0)) is not None:
                    self._take(block)
        except (DeviceError, AudioFileError) as error:
            # The source is gone, but what it delivered is not: it is finished below like any other end.
            self._publish([*self._source.drain_events(), Event(signal.position, "source-lost", Severity.ERROR, str(error))])
            self._fail(error, keep_queued=True)
        finally:
            try:
                self._source.close()
            finally:
                self._forward(signal.finish())
                self._next_logged = 0  # the last one in any case
                self._publish_health()
                self._tell_what_was_dropped()
                self._to_words.close()
                self._to_judgement.close()

    def _read(self, timeout: float) -> Block | None:
        block = self._source.read(timeout)
        self._publish(self._source.drain_events())
        return block

    def _take(self, block: Block) -> None:
        signal = self._stages.signal
        arrived_at = time.perf_counter()
        self._load.start()
        result = signal.process(block)
        self._load.stop(len(block.span) / ENGINE_RATE)
        self._note_latency(result, arrived_at)
        self._forward(result)
        if signal.position >= self._next_health:
            self._next_health = signal.position + ENGINE_RATE
            self._publish_health()
            self._tell_what_was_dropped()

    def _hear(self) -> None:
        """Thread *words*: steps → recogniser → transcripts."""
        words = self._stages.words
        assert words is not None  # the thread is only started with this stage
        try:
            self._publish(words.start())
            while True:
                self._look_around()
                try:
                    step = self._to_words.get(_WAIT)
                except ChannelClosed:
                    return
                if step is None:
                    continue
                if self._stop.is_set() and len(self._to_words) > _BACKLOG_AT_STOP:
                    # Somebody waits for the end: the words of the last utterance are those heard so far.
                    self._to_words.drain()
                    continue
                with self._watch.working("words"):
                    heard = words.process(step)
                self._heard_until = heard.until
                self._publish(heard.events)
                self._publish(heard.transcripts)
                self._heard.put(heard)
        finally:
            self._heard.close()
            words.close()

    def _judge(self) -> None:
        """Thread *judgement*: steps and transcripts → estimates and verdicts."""
        judgement = self._stages.judgement
        position = 0
        try:
            while True:
                self._look_around()
                try:
                    step = self._to_judgement.get(_WAIT)
                except ChannelClosed:
                    break
                if step is None:
                    if self._source.live:
                        # While a device is away no step brings the last words of the utterance before.
                        self._publish(judgement.hear(self._words_until(position), position))
                    continue
                position = step.span.end
                transcripts = self._words_until(position)
                with self._watch.working("judgement"):
                    results = judgement.process(step, transcripts)
                self._publish(results)
            while judgement.waiting and not self._heard.finished:
                try:
                    heard = self._heard.get(_WAIT)
                except ChannelClosed:
                    break
                if heard is not None:
                    self._publish(judgement.hear(heard.transcripts, position))
            self._publish(judgement.finish())
        finally:
            for channel in self._subscriptions:
                channel.close()

    def _words_until(self, position: int) -> list[Transcript]:
        """Transcripts that are due with a step: for files all of them, live those that are there."""
        if self._stages.words is None:
            return []
        transcripts: list[Transcript] = []
        if self._source.live:
            # Where the verdicts lag behind, words of utterances that they have not come to yet must wait for them.
            self._early += self._heard.drain()
            while self._early and self._early[0].until <= position:
                transcripts += self._early.popleft().transcripts
            return transcripts
        while True:
            try:
                item = self._heard.get(_WAIT)
            except ChannelClosed:
                return transcripts
            if item is not None:
                transcripts += item.transcripts
                if item.until >= position:
                    return transcripts

    def _forward(self, result: SignalResult) -> None:
        self._publish(result.shown)
        for step in result.steps:
            if self._stages.words is not None:
                self._to_words.put(step)
            self._to_judgement.put(step)

    def _publish(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Event):
                at = output.sample / ENGINE_RATE
                _log.log(_LEVELS[output.severity], "%s%.1f s: %s: %s", self._who, at, output.kind, output.message)
        for channel in self._subscriptions:
            for output in outputs:
                channel.put(output)

    def _look_around(self) -> None:
        """Tell which worker stands still, the caller's aside. Recorded sound can wait, so nobody needs to be told."""
        if self._source.live:
            self._publish(self._watch.look(self.position))

    # Health ---------------------------------------------------------------------------------------------------------------

    def _note_latency(self, result: SignalResult, arrived_at: float) -> None:
        """Stamp the scores of what was captured just now, for whoever wants to know how long each part of the way takes."""
        now = time.perf_counter()
        for index, output in enumerate(result.shown):
            if isinstance(output, WindowScores) and output.captured_at is not None:
                self._latency.add(now - output.captured_at)
                result.shown[index] = replace(output, arrived_at=arrived_at, computed_at=now)

    def _publish_health(self) -> None:
        health = self._health()
        if health.sample >= self._next_logged:
            self._next_logged = health.sample + _LOGGED_EVERY
            _log_health(self._who, health)
        self._publish([health])

    def _health(self) -> Health:
        signal = self._stages.signal
        status = self._source.status()
        p50, p95 = self._latency.percentiles()
        # A file fills its queues on purpose: that is how it is held back.
        waits = self._step_seconds() if self._source.live else 0.0
        fills = (self._to_words.fill, self._to_judgement.fill, self._heard.fill)
        return Health(
            sample=signal.position,
            overruns=status.overruns,
            dropped_samples=status.dropped_samples,
            windows_computed=signal.windows_computed,
            windows_skipped=signal.windows_skipped,
            latency_p50=p50,
            latency_p95=p95,
            recognizer_lag=len(self._to_words) * waits,
            clock_drift=status.clock_drift_ppm,
            device_losses=status.losses,
            real_time_factor=self._load.real_time_factor,
            queue_fill=max(fills) if self._source.live else 0.0,
            judgement_lag=len(self._to_judgement) * waits,
        )

    def _step_seconds(self) -> float:
        return self._stages.signal.step / ENGINE_RATE

    def _tell_what_was_dropped(self) -> None:
        if missed := self._dropped_since(self._to_words) * self._step_seconds():
            text = f"The recogniser is too slow for this computer: it missed {missed:.1f} s. Meanwhile the voice alone counts."
            self._publish([Event(self.position, "recognizer-behind", Severity.WARNING, text)])
        if missed := self._dropped_since(self._to_judgement) * self._step_seconds():
            text = f"The verdicts are too slow for this computer: {missed:.1f} s do not count in them. Close other programs."
            self._publish([Event(self.position, "judgement-behind", Severity.WARNING, text)])
        for channel in self._subscriptions:
            if missed := self._dropped_since(channel):
                text = f"{missed} results were dropped because they were not taken in time; none was changed."
                channel.put(Event(self.position, "outputs-dropped", Severity.WARNING, text))

    def _dropped_since(self, channel: Channel[Any] | Sink) -> int:
        """Items that `channel` has dropped since the last call."""
        dropped = channel.dropped
        before = self._reported_drops.get(channel, 0)
        self._reported_drops[channel] = dropped
        return dropped - before

    # Ends -----------------------------------------------------------------------------------------------------------------

    def _fail(self, error: BaseException, *, keep_queued: bool = False) -> None:
        with self._lock:
            # The first failure is the cause; those that follow are its effects.
            first = self._error is None
            if first:
                self._error = error
                # What the program means to say needs no stack; a bug does.
                stack = None if isinstance(error, RealtimeSerError) else error
                _log.error("%sfailed: %s", self._who, error, exc_info=stack)
        self._stop.set()
        if first:
            self.on_failure()
        if not keep_queued:
            # Nobody may be left waiting for a thread that is no more.
            self._abandon_steps()

    def _abandon_steps(self) -> None:
        for channel in (self._to_words, self._to_judgement, self._heard):
            channel.abandon()

    def _abandon(self) -> None:
        self._abandon_steps()
        for channel in self._subscriptions:
            channel.abandon()

    def _join(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.thread.join(max(deadline - time.monotonic(), 0.0))

    def _conclude(self) -> None:
        with self._lock:
            over = Phase.FAILED if self._error is not None else Phase.FINISHED
            if self._phase is not over:
                self._phase = over
                _log.info("%s%s after %.1f s", self._who, over, self.position / ENGINE_RATE)


def _log_health(who: str, health: Health) -> None:
    _log.info(
        "%s%.1f s: %d windows, %d skipped; %d overruns, %.2f s dropped, %d times without microphone; "
        "latency %.0f/%.0f ms, clock %+.0f ppm, load %.1f %%, words %.1f s behind, verdicts %.1f s",
        who,
        health.sample / ENGINE_RATE,
        health.windows_computed,
        health.windows_skipped,
        health.overruns,
        health.dropped_samples / ENGINE_RATE,
        health.device_losses,
        1000 * health.latency_p50,
        1000 * health.latency_p95,
        health.clock_drift,
        100 * health.real_time_factor,
        health.recognizer_lag,
        health.judgement_lag,
    )
