"""Parts for tests of the engine: a source and a recogniser that honour the real ones' contracts and keep a record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from realtime_ser.audio.sources import SourceStatus
from realtime_ser.engine.channel import Channel, ChannelClosed
from realtime_ser.errors import RecognizerError
from realtime_ser.types import Block, Event, Output, RecognizerLabel, Span, Transcript, Word

LABEL = RecognizerLabel("Scripted", "test")


def blocks(samples: np.ndarray, lengths: Iterable[int], first: int = 0) -> list[Block]:
    """Cut `samples` into blocks of the given lengths; the last one takes the rest."""
    made: list[Block] = []
    position = 0
    for length in lengths:
        if position >= len(samples):
            return made
        piece = samples[position : position + length]
        made.append(Block(Span(first + position, first + position + len(piece)), piece))
        position += len(piece)
    if position < len(samples):
        made.append(Block(Span(first + position, first + len(samples)), samples[position:]))
    return made


class ScriptedSource:
    """Delivers prepared blocks, then ends, fails, or goes on being silent until it is closed."""

    name = "scripted"

    def __init__(
        self, prepared: list[Block], *, live: bool = False, then: BaseException | str = "end", opens: bool = True
    ) -> None:
        self.live = live
        self._blocks = list(prepared)
        self._then = then
        self._opens = opens
        self._closed = threading.Event()
        self.closings = 0
        self.delivered = threading.Event()

    @property
    def exhausted(self) -> bool:
        return not self._blocks and self._then == "end"

    def open(self) -> None:
        if not self._opens:
            assert isinstance(self._then, BaseException)
            raise self._then

    def read(self, timeout: float) -> Block | None:
        if self._blocks:
            block = self._blocks.pop(0)
            if self.live:
                block = Block(block.span, block.samples, block.gap_before, time.perf_counter())
            return block
        self.delivered.set()
        if isinstance(self._then, BaseException):
            raise self._then
        self._closed.wait(timeout)
        return None

    def drain_events(self) -> list[Event]:
        return []

    def status(self) -> SourceStatus:
        return SourceStatus("scripted")

    def close(self) -> None:
        self.closings += 1
        self._closed.set()


@dataclass
class HeardUtterance:
    number: int
    first: int
    samples: list[np.ndarray] = field(default_factory=list)
    finished: bool = False

    @property
    def span(self) -> Span:
        return Span(self.first, self.first + sum(map(len, self.samples)))


class ScriptedRecognizer:
    """Writes a word for every half second it hears, and remembers exactly what it heard."""

    label = LABEL

    def __init__(
        self, record: list[HeardUtterance], fails_at: Callable[[int, str], bool] = lambda number, call: False,
        gate: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self._record = record
        self._fails_at = fails_at
        self._gate = gate
        self._utterance: HeardUtterance | None = None
        self.closed = False

    def start(self) -> None:
        self._check(-1, "start")

    def begin(self, utterance: int, first_sample: int) -> None:
        self._check(utterance, "begin")
        self._utterance = HeardUtterance(utterance, first_sample)
        self._record.append(self._utterance)

    def accept(self, samples: np.ndarray) -> Transcript | None:
        assert self._utterance is not None
        if self._gate is not None:
            self._gate.wait(20)
        self._check(self._utterance.number, "accept")
        self._utterance.samples.append(samples.copy())
        return self._transcript(False)

    def finish(self) -> Transcript:
        assert self._utterance is not None
        self._check(self._utterance.number, "finish")
        self._utterance.finished = True
        transcript = self._transcript(True)
        self._utterance = None
        return transcript

    def close(self) -> None:
        self.closed = True

    def _transcript(self, final: bool) -> Transcript:
        assert self._utterance is not None
        span = self._utterance.span
        words = tuple(
            Word(f"w{index}", Span(span.first + index * 8_000, span.first + (index + 1) * 8_000), 0.9)
            for index in range(len(span) // 8_000)
        )
        return Transcript(self._utterance.number, words, span.end, 0.9, final, LABEL)

    def _check(self, number: int, call: str) -> None:
        if self._fails_at(number, call):
            raise RecognizerError(f"It broke in {call}.", "Nothing to do.")


def collect(channel: Channel[Output], seconds: float = 60.0) -> list[Output]:
    """Everything until the channel is closed."""
    deadline = time.monotonic() + seconds
    outputs: list[Output] = []
    while time.monotonic() < deadline:
        try:
            output = channel.get(0.2)
        except ChannelClosed:
            return outputs
        if output is not None:
            outputs.append(output)
    raise TimeoutError("the engine did not end")
