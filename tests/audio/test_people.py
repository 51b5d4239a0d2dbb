"""Several people on one device: everybody's samples are those of their channel, whoever reads, and however fast."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from engine_stages import ScriptedSource
from engine_stages import blocks as cut

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.people import SharedDevice
from realtime_ser.audio.rehearsal import RehearsalCard, rehearse
from realtime_ser.audio.sources import ArraySource, Source
from realtime_ser.errors import AudioFileError, DeviceError
from realtime_ser.types import Block, Event


def everything(source: Source, events: list[Event] | None = None) -> list[Block]:
    blocks = []
    while not source.exhausted:
        block = source.read(0.2)
        if events is not None:
            events += source.drain_events()
        if block is not None:
            blocks.append(block)
    return blocks


def heard_by_all(device: SharedDevice) -> list[list[Block]]:
    """What every lane delivers, each read by a thread of its own."""
    found: list[list[Block]] = [[] for _ in device.lanes]
    for lane in device.lanes:
        lane.open()
    threads = [
        threading.Thread(target=lambda lane=lane, blocks=blocks: blocks.extend(everything(lane)))
        for lane, blocks in zip(device.lanes, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for lane in device.lanes:
        lane.close()
    return found


def joined(blocks: list[Block]) -> np.ndarray:
    assert [block.span.first for block in blocks] == [0, *(block.span.end for block in blocks[:-1])]
    return np.concatenate([block.samples for block in blocks])


@pytest.fixture(scope="module")
def three_channels() -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (100_000, 3)).astype(np.float32)


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_each_person_hears_exactly_their_channel(three_channels: np.ndarray, rate: int, tmp_path: Path) -> None:
    path = tmp_path / "three.wav"
    soundfile.write(path, three_channels, rate, subtype="FLOAT")
    for source in (
        FileSource(path, block=777, channel=2, others=(0,)),
        ArraySource(three_channels, rate, channel=2, others=(0,)),
        rehearse(three_channels, rate, 5, channel=2, others=(0,)),
    ):
        for blocks, channel in zip(heard_by_all(SharedDevice(source, (2, 0))), (2, 0), strict=True):
            alone = ArraySource(three_channels[:, channel], rate)
            alone.open()
            np.testing.assert_array_equal(joined(blocks), joined(everything(alone)))


def test_who_is_far_ahead_waits_and_nothing_is_lost(three_channels: np.ndarray) -> None:
    frames = np.tile(three_channels, (4, 1))
    first, second = SharedDevice(ArraySource(frames, 16_000, channel=0, others=(1,)), (0, 1)).lanes
    first.open()
    ahead = []
    while (block := first.read(0.0)) is not None:
        ahead.append(block)
    # Ten seconds ahead, and at most a block more.
    assert 160_000 <= ahead[-1].span.end <= 160_000 + len(ahead[-1].span)
    behind = []
    while not (first.exhausted and second.exhausted):
        behind += [block for block in [second.read(0.0)] if block is not None]
        ahead += [block for block in [first.read(0.0)] if block is not None]
    np.testing.assert_array_equal(joined(ahead), frames[:, 0])
    np.testing.assert_array_equal(joined(behind), frames[:, 1])


def test_a_device_is_closed_with_the_last_of_its_people(three_channels: np.ndarray) -> None:
    source = ArraySource(three_channels, 16_000, channel=0, others=(1,))
    first, second = SharedDevice(source, (0, 1)).lanes
    first.open()
    second.open()
    assert first.read(0.0) is not None
    first.close()
    assert not source.exhausted
    np.testing.assert_array_equal(joined(everything(second)), three_channels[:, 1])
    second.close()
    second.close()
    assert source.exhausted


def test_a_loss_reaches_everybody_behind_what_was_captured(three_channels: np.ndarray) -> None:
    def blocks_of(lane: Source, found: list[Block]) -> None:
        while (block := lane.read(0.0)) is not None:
            found.append(block)

    prepared = [
        replace(block, others=(three_channels[block.span.first : block.span.end, 1],))
        for block in cut(three_channels[:, 0], [800] * 1_000)
    ]
    lost = ScriptedSource(prepared, then=DeviceError("It went away."))
    first, second = SharedDevice(lost, (0, 1)).lanes
    first.open()
    for lane, channel in ((first, 0), (second, 1)):
        found: list[Block] = []
        with pytest.raises(DeviceError, match="went away"):
            blocks_of(lane, found)
        np.testing.assert_array_equal(joined(found), three_channels[:, channel])
        assert not lane.exhausted


@pytest.mark.parametrize("alike", [True, False])
def test_one_microphone_that_is_offered_as_two_is_told(three_channels: np.ndarray, alike: bool) -> None:
    frames = three_channels[:, [0, 0]].copy()
    if not alike:
        frames[60_000, 1] += 1e-3
    device = SharedDevice(ArraySource(frames, 16_000, channel=0, others=(1,)), (0, 1))
    events: list[Event] = []
    device.lanes[0].open()
    for lane in device.lanes:
        everything(lane, events)
    assert [event.kind for event in events] == ["same-channels"] * 2
    assert all(event.sample < 40_000 for event in events)


def test_silence_on_all_channels_is_not_told() -> None:
    device = SharedDevice(ArraySource(np.zeros((100_000, 2), np.float32), 16_000, channel=0, others=(1,)), (0, 1))
    events: list[Event] = []
    device.lanes[0].open()
    everything(device.lanes[0], events)
    assert events == []


def test_a_channel_that_is_missing_is_named_as_users_count(three_channels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    soundfile.write(path, three_channels[:, 0], 16_000)
    with pytest.raises(AudioFileError, match=r"has no channel 2\. It has 1, counted from 1"):
        SharedDevice(FileSource(path, channel=0, others=(1,)), (0, 1)).lanes[0].open()
    card = RehearsalCard(three_channels[:, :1], 16_000)
    from realtime_ser.audio.microphone import MicrophoneSource

    with pytest.raises(DeviceError, match=r"has no channel 2\. It has 1, counted from 1"):
        MicrophoneSource(backend=card, channel=0, others=(1,)).open()
