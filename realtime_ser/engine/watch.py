"""Workers that stand still: noticed by the others, told while it lasts, and told when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from realtime_ser.types import Event, Severity

__all__ = ["StallWatch"]

_LONG = 2.0
"""Seconds that a worker may spend on one piece of work, which is a tenth of a second of sound, before it is told."""


@dataclass(slots=True)
class _Worker:
    who: str
    meanwhile: str
    begun: float | None = None
    told_at: float | None = None
    """When the piece of work began that was told to take long; ``None`` where none was."""


class StallWatch:
    """Knows what each worker of an engine is at, and since when. NB: any thread.

    Parameters
    ----------
    workers
        By name: what a user calls it, and what its standing still means.
    now
        The clock, in seconds.
    """

    def __init__(self, workers: dict[str, tuple[str, str]], now: Callable[[], float] = time.monotonic) -> None:
        self._workers = {name: _Worker(*words) for name, words in workers.items()}
        self._now = now
        self._guard = threading.Lock()

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """A piece of work of the worker `name`."""
        worker = self._workers[name]
        worker.begun = self._now()
        try:
            yield
        finally:
            worker.begun = None

    def look(self, sample: int) -> list[Event]:
        """Who has come to stand still since the last look, and who goes on again; `sample`: where the stream stands."""
        events: list[Event] = []
        now = self._now()
        with self._guard:
            for name, worker in self._workers.items():
                begun, told_at = worker.begun, worker.told_at
                if told_at is not None and begun != told_at:
                    worker.told_at = None
                    text = f"{worker.who} goes on after about {now - told_at:.0f} s and catches up with what waited."
                    events.append(Event(sample, f"{name}-stalled-over", Severity.INFO, text))
                elif told_at is None and begun is not None and now - begun > _LONG:
                    worker.told_at = begun
                    text = f"{worker.who} has stood still for {now - begun:.0f} s. {worker.meanwhile}"
                    events.append(Event(sample, f"{name}-stalled", Severity.WARNING, text))
        return events
