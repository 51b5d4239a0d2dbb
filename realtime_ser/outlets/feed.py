"""From the engine to the outlets, without the engine ever waiting.

The thread *outlets* takes what the engine publishes and lays it into one bounded queue per outlet, in which the oldest gives
way and is counted; each outlet has a thread of its own. So neither the engine nor another outlet waits for a slow one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.channel import Channel, ChannelClosed, Policy
from realtime_ser.records import Record, records
from realtime_ser.types import Estimate, Event, Health, Output, Transcript, Verdict, WindowScores

__all__ = ["Feed", "Item", "Mark", "Outlet", "StreamFacts", "item_records"]

_log = logging.getLogger(__name__)

_QUEUE = 512
"""Items that wait for an outlet: some ten seconds of a stream."""
_WAIT = 0.2
_LAST_WORDS = 3.0
"""Seconds that an outlet has for what still waits when the engine has ended."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a receiver needs to understand a stream.

    Attributes
    ----------
    classes
        In the order of every score vector.
    hop, window
        In samples at 16 kHz.
    bundle, fingerprint
        Name and version of the bundle, and the SHA-256 of its manifest, which holds those of all its files.
    people
        Their names, where there are several.
    """

    classes: tuple[str, ...]
    hop: int
    window: int
    bundle: str
    fingerprint: str
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker at `sample` of the stream."""

    sample: int
    name: str
    colour: str
    source: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something to send.

    Attributes
    ----------
    content
        Window scores come without features.
    at
        ``time.perf_counter()`` (seconds) of the newest sample that it is about.
    captured
        Whether `at` is when that was captured; for files it is when it was computed.
    person
        Whose it is, counted from 0; markers are everybody's.
    """

    content: WindowScores | Transcript | Estimate | Verdict | Event | Health | Mark
    at: float
    captured: bool
    person: int = 0


class Outlet(Protocol):
    """Sends items somewhere. All but the constructor is called by the outlet's own thread."""

    name: str
    """Where to, in front of a user."""

    def send(self, item: Item) -> None:
        """Send an item; must not wait for a receiver."""

    def close(self) -> None:
        """Send what waits, and release everything."""

    def losses(self) -> Sequence[str]:
        """What did not arrive, in words; for any thread."""


class Feed:
    """Feeds outlets from one engine, or from those of several people.

    ``feed.start(engine.subscribe(256, Policy.DROP_OLDEST))`` comes before the engine's start, :meth:`finish` after its end;
    :meth:`mark` may be called by any thread and never waits. Of several people everybody has a channel and a taking thread.

    Parameters
    ----------
    outlets
        Ready to send; they belong to the feed from now on.
    words
        Whether recognised words are sent.
    """

    def __init__(self, outlets: Sequence[Outlet], *, words: bool = False) -> None:
        self._words = words
        self._lanes = [(outlet, Channel[Item](outlet.name, _QUEUE, Policy.DROP_OLDEST)) for outlet in outlets]
        self._outputs: tuple[Channel[Output], ...] = ()
        # NB: every taking thread its own: a sample, and when it was captured.
        self._anchors: dict[int, tuple[int, float]] = {}
        self._failed: dict[str, str] = {}
        self._slow: set[str] = set()
        self._threads = [
            threading.Thread(target=self._run, args=lane, name=f"outlet-{lane[0].name}", daemon=True) for lane in self._lanes
        ]
        self._takers: list[threading.Thread] = []

    def start(self, *outputs: Channel[Output]) -> None:
        """Begin to send what comes through `outputs`, one for each person, all on one clock."""
        self._outputs = outputs
        self._takers = [
            threading.Thread(target=self._take, args=(person, channel), name="outlets", daemon=True)
            for person, channel in enumerate(outputs)
        ]
        for thread in (*self._threads, *self._takers):
            thread.start()

    def mark(self, mark: Mark, at: float) -> None:
        """Send a marker of the time `at` (``perf_counter()``, seconds)."""
        self._lay(Item(mark, at, True))

    def finish(self) -> list[str]:
        """End; what was lost on the way, one line per outlet."""
        if not self._outputs:
            for outlet, _ in self._lanes:
                outlet.close()
            return []
        for channel, taker in zip(self._outputs, self._takers, strict=True):
            channel.close()
            taker.join(_LAST_WORDS)
        for _, lane in self._lanes:
            lane.close()
        deadline = time.monotonic() + _LAST_WORDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [f"{outlet.name}: {self._told(outlet, lane)}." for outlet, lane in self._lanes]

    def _told(self, outlet: Outlet, lane: Channel[Item]) -> str:
        losses = list(outlet.losses())
        unsent = lane.dropped + sum(channel.dropped for channel in self._outputs)
        if unsent:
            losses.append(f"{unsent} messages were dropped because the outlet was slower than the stream")
        if outlet.name in self._failed:
            losses.append(f"it ended early ({self._failed[outlet.name]})")
        return "; ".join(losses) or "nothing was dropped"

    def _take(self, person: int, outputs: Channel[Output]) -> None:
        while True:
            try:
                output = outputs.get(_WAIT)
            except ChannelClosed:
                return
            if output is not None:
                for item in self._items(person, output):
                    self._lay(item)

    def _items(self, person: int, output: Output) -> Iterator[Item]:
        match output:
            case WindowScores():
                if output.captured_at is not None:
                    self._anchors[person] = (output.span.end, output.captured_at)
                yield self._item(person, output.without_features(), output.span.end)
            case Transcript():
                if self._words:
                    yield self._item(person, output, output.heard_until)
            case Estimate():
                yield self._item(person, output if self._words else replace(output, transcript=None), output.span.end)
            case Verdict():
                silent = output if self._words else replace(output, estimate=replace(output.estimate, transcript=None))
                yield self._item(person, silent, output.span.end)
            case Event() | Health():
                yield self._item(person, output, output.sample)
            case _:
                return

    def _item(self, person: int, content: WindowScores | Transcript | Estimate | Verdict | Event | Health, sample: int) -> Item:
        anchor = self._anchors.get(person)
        if anchor is None:
            return Item(content, time.perf_counter(), False, person)
        known, at = anchor
        return Item(content, at + (sample - known) / ENGINE_RATE, True, person)

    def _lay(self, item: Item) -> None:
        for outlet, lane in self._lanes:
            lane.put(item)
            if lane.dropped and outlet.name not in self._slow:
                self._slow.add(outlet.name)
                _log.warning("The outlet %s is slower than the stream: its oldest messages are dropped.", outlet.name)

    def _run(self, outlet: Outlet, lane: Channel[Item]) -> None:
        try:
            while True:
                item = lane.get(_WAIT)
                if item is not None:
                    outlet.send(item)
        except ChannelClosed:
            pass
        except Exception as error:  # noqa: BLE001 - an outlet that fails must end in words, and never the engine
            _log.error("The outlet %s failed.", outlet.name, exc_info=error)
            self._failed[outlet.name] = f"{type(error).__name__}: {error}"
            lane.abandon()
        finally:
            outlet.close()


def item_records(item: Item, facts: StreamFacts) -> Iterator[Record]:
    """JSON records of an item: those of ``listen --json``, with `time` (Unix, seconds) and `captured`; and markers.

    Of several people, all but markers say whose they are.
    """
    unix = time.time() - time.perf_counter()
    content = item.content
    if isinstance(content, Mark):
        second = content.sample / ENGINE_RATE
        found: list[Record] = [
            {
                "type": "marker",
                "start": second,
                "end": second,
                "name": content.name,
                "colour": content.colour,
                "source": content.source,
            }
        ]
    else:
        found = list(records(content, facts.classes, person=facts.people[item.person] if facts.people else ""))
    newest = content.span.end / ENGINE_RATE if isinstance(content, WindowScores) else None
    for record in found:
        at = item.at if newest is None else item.at - (newest - float(record["end"]))
        yield {**record, "time": round(at + unix, 6), "captured": item.captured}
