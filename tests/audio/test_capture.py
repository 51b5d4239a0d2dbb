"""The microphone for real: PortAudio, ALSA and PulseAudio carry a known signal from a player into the source.

Where every sample counts, the device is opened with a latency of 0.2 s, so that a busy test machine does not overrun it.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import list_devices
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block, Event


class Reader:
    """Reads on until something was heard, with a deadline instead of a guess."""

    def __init__(self, source: MicrophoneSource) -> None:
        self.source = source
        self.blocks: list[Block] = []

    def read(self, seconds: float = 30.0) -> Block:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            block = self.source.read(0.2)
            if block is not None:
                self.blocks.append(block)
                return block
        raise AssertionError(f"nothing captured within {seconds} s")

    def read_until_quiet(self, after: float) -> None:
        """Until `after` seconds of silence have followed on sound."""
        quiet, heard = 0, False
        deadline = time.monotonic() + 60
        while not (heard and quiet > after * 16_000):
            assert time.monotonic() < deadline
            block = self.read()
            sound = bool(np.any(block.samples))
            heard |= sound
            quiet = 0 if sound else quiet + len(block.span)

    def read_forever(self) -> None:
        while True:
            self.read(seconds=10)

    @property
    def signal(self) -> np.ndarray:
        return np.concatenate([block.samples for block in self.blocks])


@pytest.fixture
def microphone_at_16k(virtual_microphone: Any) -> Any:
    virtual_microphone.replug(rate=16_000, channels=1)
    return virtual_microphone


def test_every_sample_arrives_once_and_in_order(microphone_at_16k: Any, tmp_path: Path) -> None:
    # Sample n holds n + 1 (scaled to stay exact in float32): one comparison proves order, and that nothing is lost or doubled.
    ramp = (np.arange(24_000, dtype=np.float32) + 1) / np.float32(2**20)
    # Players may swallow the first milliseconds of a stream: those are silence.
    soundfile.write(tmp_path / "ramp.wav", np.concatenate([np.zeros(3200, np.float32), ramp]), 16_000, subtype="FLOAT")
    source = MicrophoneSource(rate=16_000, latency=0.2)
    source.open()
    try:
        reader = Reader(source)
        reader.read()
        player = microphone_at_16k.start_playing(tmp_path / "ramp.wav")
        reader.read_until_quiet(after=0.3)
        assert player.wait(10) == 0
        signal = reader.signal
        first = int(np.argmax(signal != 0))
        assert np.array_equal(signal[first : first + len(ramp)], ramp)
        assert not signal[first + len(ramp) :].any()
        assert reader.blocks[0].span.first == 0
        for before, after in pairwise(reader.blocks):
            assert before.span.end == after.span.first
            assert not after.gap_before
            assert before.captured_at is not None
            assert after.captured_at is not None
        # Captured before it was read, and not long before: the stamps lie on this computer's clock.
        assert reader.blocks[-1].captured_at is not None
        assert 0 <= time.perf_counter() - reader.blocks[-1].captured_at < 1.0
        status = source.status()
        assert (status.overruns, status.dropped_samples, status.lost) == (0, 0, False)
        assert status.native_rate == 16_000
    finally:
        source.close()
    while not source.exhausted:
        source.read(0.2)


def test_resampling_from_the_devices_own_rate_keeps_time(virtual_microphone: Any, tmp_path: Path) -> None:
    # Pulses every 250 ms must stand 4,000 samples apart at the engine's rate, whatever the device and the filters do between.
    rate = virtual_microphone.rate
    assert rate != 16_000
    at = np.arange(1, 6) * 0.25
    pulses = 0.5 * np.exp(-0.5 * ((np.arange(int(1.5 * rate))[:, np.newaxis] / rate - at) / 0.0005) ** 2).sum(axis=1)
    soundfile.write(tmp_path / "pulses.wav", np.stack([pulses, pulses], axis=1), rate, subtype="FLOAT")
    source = MicrophoneSource("default", latency=0.2)
    source.open()
    try:
        reader = Reader(source)
        reader.read()
        player = virtual_microphone.start_playing(tmp_path / "pulses.wav")
        while np.count_nonzero(reader.signal > 0.25) == 0:
            reader.read()
        needed = len(reader.signal) + int(1.2 * 16_000)
        while len(reader.signal) < needed:
            reader.read()
        signal = reader.signal.astype(np.float64)
        assert source.status().native_rate == 44_100  # what ALSA's plug-in calls its own
        assert source.status().dropped_samples == 0
        player.wait(10)
    finally:
        source.close()
    found = []
    position = 0
    while (later := np.flatnonzero(signal[position:] > 0.25)).size:
        middle = position + int(later[0]) + 10
        window = np.arange(middle - 60, middle + 60)
        found.append(float((signal[window] * window).sum() / signal[window].sum()))
        position = middle + 1000
    assert len(found) == len(at)
    # 0.05 samples are 3 microseconds; the pulses are 8 samples wide.
    assert np.diff(found) == pytest.approx([4000.0] * 4, abs=0.05)


def wait_until_lost(source: MicrophoneSource, reader: Reader) -> Event:
    """Read on until the device is gone; returns what is said then."""
    deadline = time.monotonic() + 20
    while not source.status().lost:
        assert time.monotonic() < deadline
        block = source.read(0.2)
        reader.blocks += [] if block is None else [block]
    (event,) = source.drain_events()
    return event


def test_a_device_that_is_unplugged_and_not_waited_for_is_lost_after_what_it_delivered(virtual_microphone: Any) -> None:
    source = MicrophoneSource(return_seconds=0)
    source.open()
    try:
        reader = Reader(source)
        reader.read()
        virtual_microphone.unplug()
        begun = time.monotonic()
        with pytest.raises(DeviceError, match=r"The microphone “default” went away.*Check its cable"):
            reader.read_forever()
        assert time.monotonic() - begun < 5
        assert source.status().lost
        assert not source.exhausted
        with pytest.raises(DeviceError, match="went away"):
            source.read(0.0)
        assert all(a.span.end == b.span.first for a, b in pairwise(reader.blocks))
    finally:
        source.close()


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (8_000, 1)])
def test_a_device_that_is_plugged_in_again_is_heard_again(virtual_microphone: Any, rate: int, channels: int) -> None:
    source = MicrophoneSource(retry_seconds=0.1)
    source.open()
    try:
        reader = Reader(source)
        for _ in range(20):
            reader.read()
        virtual_microphone.unplug()
        lost = wait_until_lost(source, reader)
        assert (lost.kind, lost.sample) == ("device-lost", reader.blocks[-1].span.end)
        assert "“default” went away" in lost.message
        assert source.read(0.2) is None  # looked for in vain, at least once
        virtual_microphone.replug(rate, channels)
        before, after = reader.blocks[-1], reader.read()
        (back,) = source.drain_events()
        assert (back.kind, back.sample) == ("device-back", after.span.first)
        assert after.gap_before
        # The sample index has gone on as the computer's clock has: the stamps on either side of the gap agree with it. They
        # are arrivals, which PulseAudio's first blocks delay by some hundredths of a second.
        assert before.captured_at is not None
        assert after.captured_at is not None
        assert after.span.end - before.span.end == pytest.approx(16_000 * (after.captured_at - before.captured_at), abs=1_600)
        status = source.status()
        assert (status.lost, status.losses) == (False, 1)
        assert status.dropped_samples == after.span.first - before.span.end > 0
        assert not reader.read().gap_before
        # And a second time.
        virtual_microphone.unplug()
        wait_until_lost(source, reader)
        virtual_microphone.replug()
        assert reader.read().gap_before
        assert source.status().losses == 2
    finally:
        source.close()


@pytest.mark.usefixtures("no_thread_left")
def test_a_sound_server_that_is_killed_and_started_again_is_a_gap_like_any_other(virtual_microphone: Any) -> None:
    source = MicrophoneSource(retry_seconds=0.1)
    source.open()
    try:
        reader = Reader(source)
        reader.read()
        virtual_microphone.restart_server()
        # What had been captured comes first.
        while not reader.read().gap_before:
            pass
        assert [event.kind for event in source.drain_events()] == ["device-lost", "device-back"]
        assert not reader.read().gap_before
    finally:
        source.close()


def test_stopping_while_the_device_is_away_works_at_once(virtual_microphone: Any) -> None:
    source = MicrophoneSource()
    source.open()
    reader = Reader(source)
    reader.read()
    virtual_microphone.unplug()
    wait_until_lost(source, reader)
    source.close()
    while not source.exhausted:
        source.read(0.2)
    assert source.read(0.0) is None


def test_two_microphones_in_one_process_do_not_disturb_each_other(virtual_microphone: Any) -> None:
    """One is looked for, which would have PortAudio end the other's stream, were it initialised again meanwhile."""
    kept, lost = MicrophoneSource(), MicrophoneSource()
    kept.open()
    lost.open()
    try:
        Reader(lost).read()
        Reader(kept).read()
        lost._capture._stream.abort()  # type: ignore[union-attr]
        wait_until_lost(lost, Reader(lost))
        list_devices(anew=True)
        assert Reader(lost).read().gap_before
        assert not Reader(kept).read().gap_before
        assert kept.status().losses == 0
    finally:
        kept.close()
        lost.close()


@pytest.mark.parametrize("unplugged", [False, True])
def test_another_default_device_is_listened_to_without_a_new_start(
    virtual_microphone: Any, tmp_path: Path, unplugged: bool
) -> None:
    """PulseAudio moves the stream to the new default device, which brings nothing until that one has begun.

    What is missing then is told as a gap, or the stream is opened anew where it takes long: the index follows the clock.
    """
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 48_000).astype(np.float32), 48_000)
    source = MicrophoneSource(retry_seconds=0.1)
    source.open()
    try:
        reader = Reader(source)
        begun = reader.read().span.end / 16_000 - time.perf_counter()
        with virtual_microphone.another_default() as other:
            if unplugged:
                virtual_microphone.unplug()
            deadline = time.monotonic() + 40
            player = virtual_microphone.start_playing(tmp_path / "noise.wav", other)
            while not np.any(reader.read().samples):
                if player.poll() is not None:
                    player = virtual_microphone.start_playing(tmp_path / "noise.wav", other)
                assert time.monotonic() < deadline
            player.kill()
            player.wait()
            assert source.status().losses <= 1
            told = [event.kind for event in source.drain_events()]
            assert [kind for kind in told if kind != "gap"] == ["device-lost", "device-back"] * source.status().losses
            assert bool(told) == bool(source.status().dropped_samples)
            # Up to what was read last, with the time that a block and its reading take on a busy machine.
            assert reader.blocks[-1].span.end / 16_000 - time.perf_counter() == pytest.approx(begun, abs=0.4)
    finally:
        source.close()


def test_the_virtual_microphone_is_the_default_device(virtual_microphone: Any) -> None:
    devices = list_devices()
    assert [device.name for device in devices if device.default] == ["default"]
    assert all(device.channels > 0 and device.rate > 0 and device.host_api for device in devices)
