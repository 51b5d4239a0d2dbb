"""The microphone source against a sound system that keeps PortAudio's contract, overruns, losses and all."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from fake_card import RATE, FakeBackend, FakeStream, Flags, a_device

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block


def opened(**options: Any) -> tuple[MicrophoneSource, FakeBackend]:
    backend = FakeBackend(a_device(channels=options.pop("channels", 1)))
    source = MicrophoneSource(backend=backend, now=backend.clock, asleep=lambda: backend.clock.asleep, **options)
    source.open()
    return source, backend


def everything(source: MicrophoneSource) -> list[Block]:
    blocks = []
    while (block := source.read(0.0)) is not None:
        blocks.append(block)
    return blocks


def frame_numbers(blocks: list[Block]) -> list[int]:
    """What the frames hold; equal to their sample index as long as the clock is right."""
    return [round(value * 2**20) for block in blocks for value in block.samples.tolist()]


def sample_indices(blocks: list[Block]) -> list[int]:
    return [index for block in blocks for index in range(block.span.first, block.span.end)]


def test_frames_are_copied_joined_and_stamped() -> None:
    source, backend = opened()
    assert (source.name, source.live) == ("Headset", True)
    for _ in range(3):
        backend.stream.deliver(160)
    (block,) = everything(source)  # what waits together is delivered together
    assert frame_numbers([block]) == list(range(480))
    assert block.captured_at == pytest.approx(5000.03)
    for _ in range(30):
        backend.stream.deliver(160)
    blocks = everything(source)
    assert len(blocks) == 3  # a tenth of a second at most
    assert frame_numbers(blocks) == list(range(480, 480 + 30 * 160))
    assert source.read(0.01) is None
    assert not source.exhausted


def test_a_reader_that_falls_behind_loses_exactly_what_did_not_fit() -> None:
    source, backend = opened(patience=0.1)  # 1,600 frames
    for _ in range(4):
        backend.stream.deliver(500)  # the last of these does not fit any more
    assert source.status().queue_fill == pytest.approx(1500 / 1600)
    backend.stream.deliver(300)  # nor does this
    blocks = everything(source)
    backend.stream.deliver(200)
    blocks += everything(source)
    assert frame_numbers(blocks) == sample_indices(blocks) == [*range(1500), *range(2300, 2500)]
    assert [block.gap_before for block in blocks] == [False, True]
    status = source.status()
    assert (status.dropped_samples, status.overruns, status.queue_fill) == (800, 0, 0.0)
    (event,) = source.drain_events()
    assert (event.kind, event.sample) == ("gap", 1500)
    assert "0.05 s of sound were lost because this program could not keep up" in event.message


def test_sound_that_was_lost_right_before_the_end_is_told() -> None:
    source, backend = opened(patience=0.1)
    backend.stream.deliver(1600)
    backend.stream.deliver(100)
    source.close()
    blocks = everything(source)
    assert frame_numbers(blocks) == list(range(1600))
    assert source.status().dropped_samples == 100
    assert [event.kind for event in source.drain_events()] == ["gap"]


def test_an_overrun_of_the_device_is_a_gap_as_long_as_the_clock_says() -> None:
    source, backend = opened()
    for _ in range(10):
        backend.stream.deliver(160)
    backend.stream.deliver(160, overflow=True, lost_by_device=4_000)
    for _ in range(25):
        backend.stream.deliver(160)
    blocks = everything(source)
    # The fake device is never late, so the clock's answer is exact here.
    assert frame_numbers(blocks) == sample_indices(blocks)
    assert [block.span.first for block in blocks if block.gap_before] == [5_600]
    assert (source.status().overruns, source.status().dropped_samples) == (1, 4_000)
    (event,) = source.drain_events()
    assert "lost about 0.25 s" in event.message


def test_what_a_device_loses_in_silence_is_a_gap_as_long_as_the_clock_says() -> None:
    """As a sound server does that moves the stream to another device, and some drivers."""
    source, backend = opened()
    for _ in range(10):
        backend.stream.deliver(160)
    backend.stream.deliver(160, lost_by_device=16_000)
    for _ in range(30):
        backend.stream.deliver(160)
    blocks = everything(source)
    assert blocks[-1].span.end == 1_600  # more might wait behind: nothing is claimed before that is clear
    for _ in range(30):
        backend.stream.deliver(160)
    blocks += everything(source)
    assert frame_numbers(blocks) == sample_indices(blocks) == [*range(1_600), *range(17_600, 17_600 + 61 * 160)]
    assert (source.status().overruns, source.status().dropped_samples) == (0, 16_000)
    (event,) = source.drain_events()
    assert (event.kind, event.sample) == ("gap", 1_600)
    assert "lost about 1.00 s" in event.message


def test_two_losses_one_behind_the_other_are_two_gaps() -> None:
    source, backend = opened()
    for lost in (0, 4_000, 0, 0, 8_000, *[0] * 12):
        backend.stream.deliver(800, lost_by_device=lost)
    source.close()
    blocks = everything(source)
    assert frame_numbers(blocks) == sample_indices(blocks)
    assert [block.span.first for block in blocks if block.gap_before] == [4_800, 15_200]
    assert source.status().dropped_samples == 12_000


def test_a_capture_thread_that_did_not_run_for_a_second_loses_nothing_where_the_device_kept_it() -> None:
    source, backend = opened()
    for _ in range(10):
        backend.stream.deliver(160)
    backend.clock.time += 1.0
    for number in range(100):
        backend.stream.deliver(160, waited=True)
        if number == 50:
            assert everything(source)[-1].span.end == 1_600
    backend.stream.deliver(160)
    blocks = everything(source)
    assert frame_numbers(blocks) == sample_indices(blocks) == list(range(1_600, 1_600 + 101 * 160))
    assert blocks[-1].captured_at == pytest.approx(backend.clock.time)
    assert source.drain_events() == []
    assert source.status().dropped_samples == 0


@pytest.mark.parametrize("told", [True, False])
def test_a_capture_thread_that_did_not_run_for_a_second_loses_what_the_device_could_not_keep(told: bool) -> None:
    """The device kept the newest 0.2 s; they come at once, the first of them flagged or not."""
    source, backend = opened()
    for _ in range(10):
        backend.stream.deliver(160)
    backend.clock.time += 1.0
    backend.stream.deliver(160, waited=True, lost_by_device=80 * 160, overflow=told)
    for _ in range(19):
        backend.stream.deliver(160, waited=True)
    for _ in range(60):
        backend.stream.deliver(160)
    blocks = everything(source)
    assert frame_numbers(blocks) == sample_indices(blocks)
    assert [block.span.first for block in blocks if block.gap_before] == [1_600 + 80 * 160]
    assert blocks[-1].captured_at == pytest.approx(backend.clock.time)
    (event,) = source.drain_events()
    assert "lost about 0.80 s" in event.message
    assert (source.status().overruns, source.status().dropped_samples) == (int(told), 80 * 160)


def test_an_overrun_before_the_first_block_is_no_gap() -> None:
    source, backend = opened()
    backend.stream.deliver(160, overflow=True)
    backend.stream.deliver(160)
    (block,) = everything(source)
    assert not block.gap_before
    assert source.drain_events() == []
    assert source.status().overruns == 1


def test_a_device_that_is_not_waited_for_is_lost_after_everything_was_delivered() -> None:
    source, backend = opened(return_seconds=0)
    backend.stream.deliver(160)
    backend.stream.deliver(160)
    backend.stream.end()
    assert len(source.read(0.2).span) == 320  # type: ignore[union-attr]
    with pytest.raises(DeviceError, match=r"“Headset” went away\. Check its cable"):
        source.read(0.2)
    assert (source.status().lost, source.status().losses) == (True, 1)
    assert not source.exhausted
    assert backend.stream.closed
    with pytest.raises(DeviceError, match="went away"):
        source.read(0.2)


def test_a_device_that_falls_silent_is_lost() -> None:
    source, backend = opened(stall_seconds=2.0, first_block_seconds=10.0, return_seconds=0)
    backend.clock.time += 9.9  # wireless headsets take their time at first
    assert source.read(0.0) is None
    backend.stream.deliver(160)
    assert source.read(0.0) is not None
    backend.clock.time += 1.9
    assert source.read(0.0) is None
    backend.clock.time += 0.2
    with pytest.raises(DeviceError, match="delivered nothing for 2 s"):
        source.read(0.2)
    assert backend.stream.closed
    assert source.status().lost


def test_a_device_that_never_delivers_is_not_waited_for() -> None:
    source, backend = opened(first_block_seconds=10.0)
    backend.clock.time += 10.1
    with pytest.raises(DeviceError, match="delivered nothing for 10 s"):
        source.read(0.0)


def test_an_exception_in_the_callback_is_not_swallowed() -> None:
    source, backend = opened()

    class NoMemory:
        def copy(self) -> None:
            raise MemoryError("no memory")

        def __setitem__(self, key: Any, value: Any) -> None: ...

    def call() -> None:
        with pytest.raises(MemoryError):
            backend.stream.callback(NoMemory(), 160, None, Flags())  # type: ignore[arg-type]
        backend.stream.finished()

    FakeStream._elsewhere(call)
    with pytest.raises(DeviceError) as raised:
        source.read(0.2)
    assert isinstance(raised.value.__cause__, MemoryError)


def test_closing_is_no_loss_and_leaves_what_was_captured() -> None:
    source, backend = opened()
    backend.stream.deliver(160)
    source.close()
    source.close()
    assert backend.stream.closed
    assert not source.exhausted
    assert frame_numbers(everything(source)) == list(range(160))
    assert source.exhausted
    assert not source.status().lost


def test_closing_wakes_a_waiting_reader() -> None:
    source, _ = opened()
    done = threading.Event()

    def read() -> None:
        while not source.exhausted:
            source.read(0.2)
        done.set()

    reader = threading.Thread(target=read)
    reader.start()
    source.close()
    assert done.wait(2)
    reader.join(2)


@pytest.mark.parametrize(("channels", "channel", "asked"), [(1, None, 1), (2, None, 2), (32, None, 2), (32, 5, 6), (2, 0, 1)])
def test_as_few_channels_are_opened_as_are_needed(channels: int, channel: int | None, asked: int) -> None:
    source, backend = opened(channels=channels, channel=channel)
    assert backend.opened == [(RATE, asked)]
    backend.stream.deliver(160)
    assert frame_numbers(everything(source)) == list(range(160))
    assert source.status().channels == asked


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"has no channel 3\. It has 2, counted from 1"):
        opened(channels=2, channel=2)
    with pytest.raises(ValueError, match="channel must not be negative"):
        MicrophoneSource(channel=-1)


def test_other_rates_are_tried_where_the_device_refuses_its_own() -> None:
    backend = FakeBackend(a_device(rate=96_000))
    backend.refused_rates = {96_000, 48_000}
    source = MicrophoneSource(backend=backend, now=backend.clock)
    source.open()
    assert backend.opened == [(44_100, 1)]
    assert source.status().native_rate == 44_100
    backend.refused_rates |= {44_100, 16_000}
    with pytest.raises(DeviceError, match="refuses to open at 96000 Hz"):
        MicrophoneSource(backend=backend).open()
    with pytest.raises(DeviceError, match="refuses to open at 48000 Hz"):
        MicrophoneSource(rate=48_000, backend=backend).open()


def test_a_device_that_opens_but_does_not_start_is_released() -> None:
    backend = FakeBackend(a_device())
    backend.refuses_to_start = True
    with pytest.raises(DeviceError, match="does not start"):
        MicrophoneSource(backend=backend).open()
    assert backend.stream.closed


def test_the_status_says_what_is_known_and_no_more() -> None:
    source = MicrophoneSource("head", backend=FakeBackend(a_device()))
    assert source.name == "head"
    assert source.status().native_rate == 0
    with pytest.raises(RuntimeError, match="must be opened"):
        source.read(0.0)
    source.open()
    status = source.status()
    assert status.device == "Headset (ALSA), 16000 Hz, 1 channel"
    assert status.input_latency_seconds == 0.0347
    assert math.isnan(status.clock_drift_ppm)
    with pytest.raises(RuntimeError, match="opened before"):
        source.open()
    source.close()
    assert MicrophoneSource(backend=FakeBackend()).name == "default microphone"


def test_stamps_are_corrected_for_the_resamplers_wait() -> None:
    backend = FakeBackend(a_device(rate=48_000))
    source = MicrophoneSource(backend=backend, now=backend.clock)
    source.open()
    for _ in range(60):
        backend.stream.deliver(480)
    blocks = everything(source)
    assert source.status().resampling_latency_seconds > 0.005
    for block in blocks:
        assert block.captured_at == pytest.approx(5000.0 + block.span.end / RATE, abs=1e-6)
