"""The only thing through which threads of the engine speak to each other: a bounded queue with a written policy."""

from __future__ import annotations

import threading
import time
from collections import deque
from enum import StrEnum
from typing import Generic, TypeVar

__all__ = ["Channel", "ChannelClosed", "Policy"]

T = TypeVar("T")

_LONGEST_WAIT = 0.2
"""Seconds after which every wait looks whether the channel was abandoned."""


class Policy(StrEnum):
    """What happens when a channel is full."""

    KEEP_ALL = "keep all"
    """The sender waits: nothing is lost, a slow receiver slows the sender down."""
    DROP_OLDEST = "drop oldest"
    """The oldest item is dropped and counted: the sender never waits."""


class ChannelClosed(Exception):  # noqa: N818 - the regular end of a stream, not an error
    """The channel was closed and everything in it was received."""


class Channel(Generic[T]):
    """A bounded first-in-first-out queue between threads.

    NB: any number of threads may call any method. :meth:`close` lets receivers finish what is queued; :meth:`abandon` throws it
    away and wakes everybody.

    Parameters
    ----------
    name
        For messages.
    capacity
        Items held at most.
    policy
        See :class:`Policy`.
    """

    def __init__(self, name: str, capacity: int, policy: Policy) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.name = name
        self.policy = policy
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items dropped so far."""
        return self._dropped

    @property
    def fill(self) -> float:
        """Share of the capacity in use, in [0, 1]."""
        return len(self._items) / self._capacity

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Send an item; ``False`` when the channel is closed and the item was not taken."""
        with self._condition:
            while self.policy is Policy.KEEP_ALL and len(self._items) >= self._capacity and not self._closed:
                self._condition.wait(_LONGEST_WAIT)
            if self._closed:
                return False
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._condition.notify_all()
            return True

    def get(self, timeout: float) -> T | None:
        """Receive the oldest item, or ``None`` after `timeout` seconds.

        Raises
        ------
        ChannelClosed
            When no item will come any more.
        """
        deadline = time.monotonic() + timeout
        with self._condition:
            while not self._items:
                if self._closed:
                    raise ChannelClosed
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self._condition.wait(min(remaining, _LONGEST_WAIT))
            item = self._items.popleft()
            self._condition.notify_all()
            return item

    def drain(self, limit: int | None = None) -> list[T]:
        """Receive what is queued, at most `limit` items, without waiting."""
        with self._condition:
            count = len(self._items) if limit is None else min(limit, len(self._items))
            items = [self._items.popleft() for _ in range(count)]
            if items:
                self._condition.notify_all()
            return items

    @property
    def finished(self) -> bool:
        """Whether the channel was closed and everything in it was received."""
        with self._condition:
            return self._closed and not self._items

    def close(self) -> None:
        """No more items will be sent."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def abandon(self) -> None:
        """Close, and throw away what is queued."""
        with self._condition:
            self._closed = True
            self._items.clear()
            self._condition.notify_all()
