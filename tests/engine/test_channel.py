"""Channels keep what they promise to keep, count what they drop, and never leave anybody waiting."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.engine.channel import Channel, ChannelClosed, Policy


@given(items=st.lists(st.integers(), max_size=200), capacity=st.integers(1, 9))
def test_keep_all_hands_over_every_item_once_and_in_order(items: list[int], capacity: int) -> None:
    channel: Channel[int] = Channel("test", capacity, Policy.KEEP_ALL)

    def send() -> None:
        for item in items:
            assert channel.put(item)
        channel.close()

    sender = threading.Thread(target=send)
    sender.start()
    received: list[int | None] = []
    while not channel.finished:
        with contextlib.suppress(ChannelClosed):
            received.append(channel.get(5.0))
    sender.join()
    assert received == items
    assert channel.dropped == 0


@given(count=st.integers(0, 50), capacity=st.integers(1, 9))
def test_drop_oldest_keeps_the_newest_and_counts_the_rest(count: int, capacity: int) -> None:
    channel: Channel[int] = Channel("test", capacity, Policy.DROP_OLDEST)
    for item in range(count):
        channel.put(item)
    assert channel.drain() == list(range(max(count - capacity, 0), count))
    assert channel.dropped == max(count - capacity, 0)


def test_a_closed_channel_is_emptied_before_it_ends() -> None:
    channel: Channel[int] = Channel("test", 4, Policy.KEEP_ALL)
    channel.put(1)
    channel.close()
    assert not channel.put(2)
    assert not channel.finished
    assert channel.get(0) == 1
    assert channel.finished
    with pytest.raises(ChannelClosed):
        channel.get(0)


def test_abandoning_wakes_a_sender_that_waits() -> None:
    channel: Channel[int] = Channel("test", 1, Policy.KEEP_ALL)
    channel.put(1)
    taken: list[bool] = []
    sender = threading.Thread(target=lambda: taken.append(channel.put(2)))
    sender.start()
    channel.abandon()
    sender.join(5)
    assert taken == [False]


def test_nothing_within_the_timeout_is_none() -> None:
    assert Channel[int]("test", 1, Policy.KEEP_ALL).get(0.0) is None


def test_drain_takes_at_most_its_limit() -> None:
    channel: Channel[int] = Channel("test", 9, Policy.KEEP_ALL)
    for item in range(5):
        channel.put(item)
    assert channel.drain(2) == [0, 1]
    assert len(channel) == 3
    assert channel.fill == pytest.approx(3 / 9)


def test_a_channel_needs_room() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Channel("test", 0, Policy.KEEP_ALL)
