"""One engine for each of several people, heard together on one clock.

Every person has stages and threads of their own; the networks, which hold no state, are shared. An engine knows nothing of the
others: what it emits is on the clock of its own stream. What is shown or sent is put on one clock on its way out, that of the
first person's stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.bleed import BleedWatch
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.engine import Engine, Phase
from realtime_ser.types import (
    Estimate,
    Event,
    Health,
    Level,
    Output,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    VoiceActivity,
    WindowScores,
)

__all__ = ["People", "PeopleClock", "Said", "moved"]

_STEADY = ENGINE_RATE // 1000
"""Samples (1 ms) by which a stream's place must have changed before it is moved: estimates of clocks tremble by less."""

_HELD = 4_096
"""Outputs of a person that wait until the first person's stream has begun; a microphone that takes longer is lost anyway."""

_PATIENCE, _PATIENCE_LIVE = 12 * ENGINE_RATE, ENGINE_RATE
"""Samples that a verdict waits for what the others' microphones heard meanwhile: who reads a file may be 10 s ahead of the
other; live, a microphone that is away is not waited for."""


@dataclass(frozen=True, slots=True)
class Said:
    """An output, on the common clock, and the number of the person (from 0) whose engine emitted it."""

    person: int
    output: Output


class PeopleClock:
    """Where the streams of several devices stand against the first one's.

    Devices start at different moments, and their clocks run at slightly different rates. Each stream is tied to the computer's
    clock by its own capture clock, and thereby to the others; nothing is resampled. May be used by any thread.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._anchors: dict[int, tuple[int, float]] = {}
        self._offsets = {0: 0}

    def observe(self, person: int, sample: int, captured_at: float) -> None:
        """The stream of `person` stood at `sample` at the time `captured_at` (``perf_counter()``, seconds)."""
        with self._guard:
            self._anchors[person] = (sample, captured_at)
            if person == 0 or 0 not in self._anchors:
                return
            first, at = self._anchors[0]
            offset = first + round((captured_at - at) * ENGINE_RATE) - sample
            known = self._offsets.get(person)
            if known is None or abs(offset - known) >= _STEADY:
                self._offsets[person] = offset

    def offset(self, person: int) -> int | None:
        """Samples to add to an index of this stream; ``None`` until both streams have been heard."""
        with self._guard:
            return self._offsets.get(person)


class People:
    """The engines of one or several people, run together.

    They start and stop together; where one of them fails, all end and the failure is raised, as for one person. A stream that
    comes to its natural end (a shorter file) ends alone.

    Parameters
    ----------
    engines
        One for each person, not yet started.
    one_clock
        Whether the streams share a sample clock, because they come from one device or from files.
    live
        Whether the sources are microphones.

    Notes
    -----
    NB: threads as for :class:`~realtime_ser.engine.engine.Engine`.

    Verdicts say how much of an utterance was probably another's voice (:mod:`~realtime_ser.engine.bleed`). For that they wait,
    with all estimates behind them, until the others were heard as far.
    """

    def __init__(self, engines: Sequence[Engine], *, one_clock: bool = True, live: bool = False) -> None:
        if not engines:
            raise ValueError("there must be one engine at least")
        self.engines = tuple(engines)
        self._clock = None if one_clock else PeopleClock()
        self._asked = False
        self._bleed: _Bleed | None = None
        for engine in self.engines:
            engine.on_failure = self._end_all
        if len(self.engines) > 1:
            watch = BleedWatch(len(self.engines)) if self._clock is None else BleedWatch(len(self.engines), self._clock.offset)
            self._bleed = _Bleed(watch, _PATIENCE_LIVE if live else _PATIENCE)
            for person, engine in enumerate(self.engines):
                # NB: before all others, so that what a verdict is judged by is known when it comes.
                engine.publish_to(_Ear(person, self._bleed, self._clock))

    @property
    def phase(self) -> Phase:
        """Where they stand: failed where one has, finished where all are, stopping once somebody asked for it."""
        phases = [engine.phase for engine in self.engines]
        if Phase.FAILED in phases:
            return Phase.FAILED
        if all(phase is Phase.FINISHED for phase in phases):
            return Phase.FINISHED
        if self._asked:
            return Phase.STOPPING
        return Phase.NEW if phases[0] is Phase.NEW else Phase.RUNNING

    @property
    def position(self) -> int:
        """Samples seen so far, on the common clock."""
        return self.engines[0].position

    @property
    def heard(self) -> bool:
        """Whether anything was heard of anybody."""
        return any(engine.position for engine in self.engines)

    def offset(self, person: int) -> int | None:
        """Samples to add to an index of this person's stream to get the common clock; ``None`` while that is not known."""
        return 0 if self._clock is None else self._clock.offset(person)

    def subscribe(self, capacity: int, policy: Policy) -> Channel[Said]:
        """A channel that gets what all engines emit, on the common clock; see :meth:`Engine.subscribe`."""
        channel: Channel[Said] = Channel("outputs", capacity, policy)
        open_lanes = _OpenLanes(channel, len(self.engines))
        for person, engine in enumerate(self.engines):
            self._publish(engine, _Lane(person, channel, partial(Said, person), open_lanes, self._clock))
        return channel

    def subscribe_each(self, capacity: int, policy: Policy) -> list[Channel[Output]]:
        """As :meth:`subscribe`, with a channel for everybody."""
        return self._subscribe_each(capacity, policy, self._clock)

    def subscribe_own(self, capacity: int, policy: Policy) -> list[Channel[Output]]:
        """As :meth:`subscribe_each`, with everybody's outputs on the clock of their own stream, for a recording."""
        return self._subscribe_each(capacity, policy, None)

    def _subscribe_each(self, capacity: int, policy: Policy, clock: PeopleClock | None) -> list[Channel[Output]]:
        channels: list[Channel[Output]] = [Channel("outputs", capacity, policy) for _ in self.engines]
        for person, (engine, channel) in enumerate(zip(self.engines, channels, strict=True)):
            self._publish(engine, _Lane(person, channel, lambda output: output, _OpenLanes(channel, 1), clock))
        return channels

    def _publish(self, engine: Engine, lane: _Lane) -> None:
        if self._bleed is None:
            engine.publish_to(lane)
        else:
            gate = _Gate(lane, self._bleed)
            self._bleed.gates.append(gate)
            engine.publish_to(gate)

    def start(self) -> None:
        """Start all, in their order.

        Raises
        ------
        DeviceError, AudioFileError
            One of the sources does not open; all are over then.
        """
        try:
            for engine in self.engines:
                engine.start()
        except BaseException:
            self._end_all()
            for engine in self.engines:
                with suppress(BaseException):
                    engine.close()
            raise

    def stop(self) -> None:
        """Ask for the end. Returns at once."""
        self._asked = True
        self._end_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all are done; see :meth:`Engine.wait`. A `timeout` holds for each."""
        return all(engine.wait(timeout) for engine in self.engines)

    def close(self) -> None:
        """Stop, wait, and release everything; raises what stopped one of them, the first cause first."""
        self._end_all()
        failure: BaseException | None = None
        for engine in self.engines:
            try:
                engine.close()
            except BaseException as error:  # noqa: BLE001 - the others must be closed, too
                failure = failure or error
        if failure is not None:
            raise failure

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

    def _end_all(self) -> None:
        for engine in self.engines:
            engine.stop()


class _OpenLanes:
    """Closes a channel once all who put into it have ended. NB: any thread."""

    def __init__(self, channel: Channel[Any], count: int) -> None:
        self._channel = channel
        self._guard = threading.Lock()
        self._count = count
        self.alone = count == 1

    def leave(self) -> None:
        with self._guard:
            self._count -= 1
            if self._count == 0:
                self._channel.close()


@dataclass(slots=True)
class _Bleed:
    """What judges verdicts, for how many samples they wait for it, and where they wait."""

    watch: BleedWatch
    patience: int
    gates: list[_Gate] = field(default_factory=list)

    def settle(self) -> None:
        """Let go on what an engine that has ended left waiting for the others."""
        for gate in self.gates:
            gate.settle()


class _Ear:
    """Hands what an engine's encoder hears to what judges verdicts."""

    dropped = 0

    def __init__(self, person: int, bleed: _Bleed, clock: PeopleClock | None) -> None:
        self._person = person
        self._bleed = bleed
        self._clock = clock

    def put(self, item: Output) -> bool:
        """Remember energies."""
        if isinstance(item, WindowScores) and len(item.scores):
            if self._clock is not None and item.captured_at is not None:
                self._clock.observe(self._person, item.span.end, item.captured_at)
            self._bleed.watch.hear(self._person, item)
            self._bleed.settle()
        return True

    def close(self) -> None:
        """The engine has ended."""
        self._bleed.watch.end(self._person)
        self._bleed.settle()

    abandon = close


class _Gate:
    """Stands before a lane, and lets verdicts wait until they can be judged; estimates behind them wait, too."""

    def __init__(self, lane: _Lane, bleed: _Bleed) -> None:
        self._lane = lane
        self._bleed = bleed
        # NB: estimates and verdicts come from one thread of the engine. Once that has ended, another engine's may go on.
        self._guard = threading.Lock()
        self._waiting: deque[Estimate | Verdict] = deque()
        self._ended = False

    @property
    def dropped(self) -> int:
        """As of the lane."""
        return self._lane.dropped

    def put(self, item: Output) -> bool:
        """Hand on, or wait."""
        if not isinstance(item, Estimate | Verdict):
            return self._lane.put(item)
        with self._guard:
            self._waiting.append(item)
            return self._pass_on()

    def close(self) -> None:
        """The engine has ended: what waits goes on with the others."""
        self._ended = True
        self.settle()

    def abandon(self) -> None:
        """Nobody receives any more."""
        self._lane.abandon()

    def settle(self) -> None:
        """Where the engine has ended: hand on what can be judged by now, and close the lane behind it."""
        if not self._ended:
            return
        with self._guard:
            self._pass_on()
            if not self._waiting:
                self._lane.close()

    def _pass_on(self) -> bool:
        taken, watch, person = True, self._bleed.watch, self._lane.person
        while self._waiting:
            item = self._waiting[0]
            if isinstance(item, Verdict):
                end = item.span.end
                if not watch.ready(person, end) and watch.ahead(person, end) < self._bleed.patience:
                    return taken
                item = replace(item, bleed=watch.judge(person, item.span))
            self._waiting.popleft()
            taken = self._lane.put(item)
        return taken


class _Lane:
    """Stands between one engine and the channel of all; `say` makes of an output what the channel holds."""

    def __init__(
        self,
        person: int,
        channel: Channel[Any],
        say: Callable[[Output], Any],
        open_lanes: _OpenLanes,
        clock: PeopleClock | None,
    ) -> None:
        self.person = person
        self._channel = channel
        self._say = say
        self._open_lanes = open_lanes
        self._clock = clock
        # NB: all threads of the engine put.
        self._guard = threading.Lock()
        self._held: list[Output] = []
        self._closed = False

    @property
    def dropped(self) -> int:
        """Outputs that were not taken; of a channel of all only one of the engines is told."""
        return self._channel.dropped if self.person == 0 or self._open_lanes.alone else 0

    def put(self, item: Output) -> bool:
        """Hand an output on, moved to the common clock; before that is known, it waits."""
        taken = True
        for output in self._placed(item):
            taken = self._channel.put(self._say(output))
        return taken

    def close(self) -> None:
        """The engine has ended."""
        with self._guard:
            # Without a first stream there is no common clock, and these keep their own.
            left, self._held = self._held, []
            ending, self._closed = not self._closed, True
        for output in left:
            self._channel.put(self._say(output))
        if ending:
            self._open_lanes.leave()

    def abandon(self) -> None:
        """Nobody receives any more."""
        self._channel.abandon()

    def _placed(self, output: Output) -> list[Output]:
        if self._clock is None:
            return [output]
        # NB: the engine's ear has told the clock of this output before.
        offset = self._clock.offset(self.person)
        with self._guard:
            held, self._held = [*self._held, output], []
            if offset is None and len(held) < _HELD:
                self._held = held
                return []
        return [moved(one, offset or 0) for one in held]


def moved(output: Output, samples: int) -> Output:
    """`output` with all its times `samples` later."""
    if samples == 0:
        return output

    def span(old: Span) -> Span:
        return Span(old.first + samples, old.end + samples)

    def words(old: Transcript) -> Transcript:
        later = tuple(replace(word, span=span(word.span)) for word in old.words)
        return replace(old, words=later, heard_until=old.heard_until + samples)

    def estimate(old: Estimate) -> Estimate:
        return replace(old, span=span(old.span), transcript=None if old.transcript is None else words(old.transcript))

    match output:
        case Level() | VoiceActivity():
            return replace(output, span=span(output.span))
        case UtteranceStart():
            return replace(output, onset=output.onset + samples, decided_at=output.decided_at + samples)
        case UtteranceEnd():
            return replace(output, span=span(output.span), decided_at=output.decided_at + samples)
        case WindowScores():
            return replace(output, first_window=output.first_window + samples)
        case Transcript():
            return words(output)
        case Estimate():
            return estimate(output)
        case Verdict():
            return replace(output, estimate=estimate(output.estimate))
        case Event() | Health():
            return replace(output, sample=output.sample + samples)
