"""A microphone that goes away and comes back, against a sound system that keeps PortAudio's contract."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from fake_card import RATE, FakeBackend, FakeStream, a_device

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import InputDevice
from realtime_ser.errors import DeviceError
from realtime_ser.types import Event, Severity

from .test_microphone import everything, frame_numbers, opened, sample_indices


def unplug(backend: FakeBackend) -> None:
    backend.inventory.clear()
    backend.stream.end()


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def heard_again(source: MicrophoneSource, backend: FakeBackend) -> FakeStream:
    """Let the next look come due; it finds the device."""
    before = backend.stream
    backend.clock.time += 1.0
    assert source.read(0.0) is None
    assert backend.stream is not before
    return backend.stream


def plugged_in_again() -> tuple[MicrophoneSource, FakeBackend]:
    """A microphone that was heard for 160 frames and then unplugged; it is there again, and was not looked for yet."""
    source, backend = opened()
    backend.stream.deliver(160)
    everything(source)
    unplug(backend)
    assert source.read(0.0) is None
    backend.inventory.append(a_device())
    return source, backend


def test_a_device_that_is_back_goes_on_behind_a_gap_as_long_as_the_clock_says() -> None:
    source, backend = opened()
    for _ in range(10):
        backend.stream.deliver(160)
    before = everything(source)
    unplug(backend)
    assert source.read(0.0) is None
    (lost,) = source.drain_events()
    assert (lost.kind, lost.sample, lost.severity) == ("device-lost", 1_600, Severity.ERROR)
    assert "“Headset” went away. This program looks for it for 10 minutes" in lost.message
    status = source.status()
    assert (status.lost, status.losses, status.device) == (True, 1, "Headset (ALSA), away")
    for _ in range(5):  # it is looked for in vain, and said no second time
        backend.clock.time += 1.0
        assert source.read(0.0) is None
    assert source.drain_events() == []
    backend.inventory.append(a_device())
    stream = heard_again(source, backend)
    assert source.status().lost  # open, but not heard yet
    for _ in range(20):
        stream.deliver(160)
    (after,) = everything(source)
    # 6 s passed until the stream was opened again, which then delivered frames 0 to 3199.
    assert after.gap_before
    assert (after.span.first, len(after.span)) == (1_600 + 6 * RATE, 3_200)
    assert frame_numbers([after]) == list(range(3_200))
    assert after.captured_at == pytest.approx(backend.clock.time)
    assert before[-1].captured_at == pytest.approx(after.captured_at - 6.2)
    (back,) = source.drain_events()
    assert (back.kind, back.sample, back.severity) == ("device-back", after.span.first, Severity.INFO)
    assert "“Headset” is back; 6.0 s were not heard" in back.message
    status = source.status()
    assert (status.lost, status.losses, status.dropped_samples) == (False, 1, 6 * RATE)
    stream.deliver(160)
    (following,) = everything(source)
    assert not following.gap_before
    assert following.span.first == after.span.end


def test_a_first_block_that_comes_late_does_not_move_what_follows() -> None:
    """A busy computer gets to the first blocks late; the sound was there in time."""
    source, backend = plugged_in_again()
    stream = heard_again(source, backend)
    began, frames = backend.clock.time, 0
    for count, late in ((160, 0.073), (1_440, 0.004), (1_600, 0.011)):
        frames += count
        backend.clock.time = began + frames / RATE + late
        stream.deliver(count, waited=True)
    (after,) = everything(source)
    assert after.span.first == 160 + RATE + round(0.004 * RATE)
    assert frame_numbers([after]) == list(range(3_200))


def test_what_a_device_brought_that_is_gone_again_at_once_is_kept() -> None:
    source, backend = plugged_in_again()
    heard_again(source, backend).deliver(320)
    assert source.read(0.0) is None
    unplug(backend)
    (after,) = everything(source)
    assert (after.gap_before, after.span.first, len(after.span)) == (True, 160 + RATE, 320)
    assert kinds(source.drain_events()) == ["device-lost", "device-back", "device-lost"]
    assert source.status().losses == 2
    backend.inventory.append(a_device())
    heard_again(source, backend).deliver(480)
    source.close()
    (last,) = everything(source)
    assert (last.span.first, len(last.span)) == (160 + RATE + 320 + RATE, 480)


def test_it_may_go_away_again_and_again_and_the_index_follows_the_clock() -> None:
    source, backend = opened()
    backend.stream.deliver(160)
    began = backend.clock.time - 0.01
    blocks = everything(source)
    for _ in range(4):
        unplug(backend)
        assert source.read(0.0) is None
        backend.clock.time += 2.345
        backend.inventory.append(a_device())
        stream = heard_again(source, backend)
        stream.deliver(3_200)
        blocks += everything(source)
        assert blocks[-1].span.end == round((backend.clock.time - began) * RATE)
    assert source.status().losses == 4
    assert kinds(source.drain_events()) == ["device-lost", "device-back"] * 4
    assert [block.gap_before for block in blocks] == [False, True, True, True, True]


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (8_000, 1), (192_000, 32), (44_100, 1)])
def test_another_rate_and_number_of_channels_change_nothing_of_the_clock(rate: int, channels: int) -> None:
    source, backend = opened()
    backend.stream.deliver(1_600)
    everything(source)
    unplug(backend)
    assert source.read(0.0) is None
    backend.inventory.append(a_device(rate, channels))
    stream = heard_again(source, backend)
    for _ in range(50):
        stream.deliver(rate // 100)
    source.close()
    blocks = everything(source)
    assert blocks[0].gap_before
    assert blocks[0].span.first == 1_600 + RATE
    assert sample_indices(blocks) == list(range(1_600 + RATE, 1_600 + RATE + RATE // 2))
    assert source.status().native_rate == rate
    assert source.status().channels == min(2, channels)


def test_the_default_device_is_whichever_is_the_default_by_then() -> None:
    source, backend = opened()
    backend.stream.deliver(160)
    everything(source)
    unplug(backend)
    assert source.read(0.0) is None
    backend.inventory.append(replace(a_device(), name="Built-in", index=9))
    heard_again(source, backend).deliver(3_200)
    assert everything(source)
    assert source.name == "Built-in"
    assert "Listening goes on with the microphone “Built-in”" in source.drain_events()[-1].message


def test_a_device_that_was_named_is_waited_for_and_found_under_another_number() -> None:
    wanted = replace(a_device(), name="USB Audio: - (hw:1,0)", default=False)
    other = replace(a_device(), name="Built-in", index=1)
    backend = FakeBackend(other, wanted)
    source = MicrophoneSource("4", backend=backend, now=backend.clock)
    source.open()
    assert source.name == wanted.name
    backend.stream.deliver(160)
    everything(source)
    backend.inventory.remove(wanted)
    backend.stream.end()
    backend.clock.time += 5.0
    assert source.read(0.0) is None  # lost
    backend.clock.time += 5.0
    assert source.read(0.0) is None  # the default one is there, but was not asked for
    assert source.status().lost
    backend.inventory.append(replace(wanted, name="USB Audio: - (hw:3,0)", index=4_000))
    heard_again(source, backend).deliver(3_200)
    assert everything(source)
    assert source.name == "USB Audio: - (hw:3,0)"


def test_a_device_that_was_asked_for_by_a_part_of_its_name_may_come_back_under_another() -> None:
    backend = FakeBackend(a_device(), replace(a_device(), name="Built-in", index=1))
    source = MicrophoneSource("head", backend=backend, now=backend.clock)
    source.open()
    backend.stream.deliver(160)
    everything(source)
    unplug(backend)
    assert source.read(0.0) is None
    backend.inventory.append(replace(a_device(), name="Headset (2)", index=7))
    heard_again(source, backend).deliver(3_200)
    assert everything(source)
    assert source.name == "Headset (2)"


def test_twins_are_told_apart_by_their_number() -> None:
    backend = FakeBackend(a_device(), replace(a_device(), index=5))
    source = MicrophoneSource(5, backend=backend, now=backend.clock)
    source.open()
    backend.stream.deliver(160)
    everything(source)
    heard: list[int] = []
    opens = backend.open

    def noted(device: InputDevice, *arguments: Any) -> FakeStream:
        heard.append(device.index)
        return opens(device, *arguments)

    backend.open = noted  # type: ignore[method-assign]
    backend.stream.end()
    assert source.read(0.0) is None
    assert heard == [5]


def test_what_did_not_fit_before_a_loss_is_counted_once() -> None:
    source, backend = opened(patience=0.1)
    backend.stream.deliver(1_600)
    backend.stream.deliver(800)  # does not fit any more
    unplug(backend)
    everything(source)
    backend.inventory.append(a_device())
    stream = heard_again(source, backend)
    stream.deliver(1_600)
    assert source.read(0.0) is None
    stream.deliver(1_600)
    (block,) = everything(source)
    assert block.span.first == 1_600 + 800 + RATE
    assert source.status().dropped_samples == 800 + RATE
    assert kinds(source.drain_events()) == ["device-lost", "device-back"]


def test_a_device_that_does_not_come_back_in_time_is_given_up_in_clear_words() -> None:
    source, backend = opened(return_seconds=30.0)
    backend.stream.deliver(160)
    everything(source)
    unplug(backend)
    for _ in range(31):
        assert source.read(0.0) is None
        backend.clock.time += 1.0
    with pytest.raises(DeviceError, match=r"“Headset” went away\. It did not come back within 30 s\. Check its cable"):
        source.read(0.0)
    assert source.status().lost


def test_a_stream_that_is_open_again_but_delivers_nothing_is_still_away() -> None:
    source, backend = opened(first_block_seconds=10.0)
    backend.stream.deliver(160)
    everything(source)
    backend.stream.end()
    assert source.read(0.0) is None
    silent = backend.stream  # a first look comes at once
    assert not silent.closed
    backend.clock.time += 10.1
    assert source.read(0.0) is None
    assert silent.closed
    heard_again(source, backend).deliver(3_200)
    assert everything(source)[0].span.first == 160 + round(11.1 * RATE)
    assert kinds(source.drain_events()) == ["device-lost", "device-back"]
    assert source.status().losses == 1


def test_a_device_that_refuses_is_tried_again() -> None:
    source, backend = opened()
    backend.stream.deliver(160)
    everything(source)
    backend.refuses_to_start = True
    backend.stream.end()
    assert source.read(0.0) is None
    refused = heard_again(source, backend)
    assert refused.closed
    backend.refuses_to_start = False
    heard_again(source, backend).deliver(3_200)
    assert everything(source)


@pytest.mark.usefixtures("no_thread_left")
def test_closing_while_it_is_waited_for_works_at_once_and_is_no_failure() -> None:
    source, backend = opened(retry_seconds=1e9)
    backend.stream.deliver(160)
    everything(source)
    unplug(backend)
    assert source.read(0.0) is None
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


def test_a_stream_that_was_opened_while_somebody_closed_is_closed() -> None:
    source, backend = opened()
    backend.stream.deliver(160)
    everything(source)
    listed = backend.devices

    def closing_meanwhile(*, anew: bool = False) -> list:
        source.close()
        return listed(anew=anew)

    backend.devices = closing_meanwhile  # type: ignore[method-assign]
    before = backend.stream
    before.end()
    assert source.read(0.0) is None
    assert backend.stream is not before
    assert backend.stream.closed
    assert source.read(0.0) is None
    assert source.exhausted


def test_a_computer_that_slept_leaves_a_gap_as_long_as_its_sleep() -> None:
    """Under Linux and macOS the clock stands still meanwhile; the sound card goes on as if nothing had happened."""
    source, backend = opened()
    backend.stream.deliver(160)
    backend.clock.asleep += 3_600.0
    backend.stream.deliver(160)
    (before,) = everything(source)
    assert before.span.end == 160
    (lost,) = source.drain_events()
    assert (lost.kind, lost.sample) == ("device-lost", 160)
    assert "The computer slept for 3600 s" in lost.message
    backend.stream.deliver(3_200)  # the one that was opened anew at once
    (after,) = everything(source)
    # What was delivered between waking up and noticing is given up: nobody knows how old it is.
    assert after.gap_before
    assert after.span.first == 160 + 3_600 * RATE + 160
    assert after.captured_at == pytest.approx(backend.clock.time)


def test_a_jump_of_the_clock_leaves_a_gap_even_where_the_device_goes_on() -> None:
    """Under Windows the clock runs on while the computer sleeps; a process that was stopped sees the same."""
    source, backend = opened()
    backend.stream.deliver(160)
    backend.clock.time += 100.0
    backend.stream.deliver(160)
    everything(source)
    (lost,) = source.drain_events()
    assert "delivered nothing for 100 s" in lost.message
    backend.stream.deliver(3_200)
    (after,) = everything(source)
    assert (after.gap_before, after.span.first) == (True, 160 + 100 * RATE + 160)


def test_a_reader_that_stood_still_for_long_does_not_take_the_device_for_lost() -> None:
    source, backend = opened(patience=10.0)
    for _ in range(200):  # 20 s, of which 10 s fit
        backend.stream.deliver(1_600)
    blocks = everything(source)
    for _ in range(3):
        backend.stream.deliver(1_600)
    blocks += everything(source)
    assert kinds(source.drain_events()) == ["gap"]
    assert frame_numbers(blocks) == sample_indices(blocks) == [*range(10 * RATE), *range(20 * RATE, 20 * RATE + 4_800)]
    assert source.status().losses == 0


def test_closing_while_the_device_is_being_opened_closes_it() -> None:
    backend = FakeBackend(a_device())
    source = MicrophoneSource(backend=backend, now=backend.clock)
    opens = backend.open

    def closing_meanwhile(*arguments: Any) -> FakeStream:
        stream = opens(*arguments)
        source.close()
        return stream

    backend.open = closing_meanwhile  # type: ignore[method-assign]
    source.open()
    assert backend.stream.closed
    assert source.read(0.0) is None
    assert source.exhausted


class Aged(FakeBackend):
    """A sound system whose list is old, since another stream is open; `beside` is how it is."""

    def __init__(self) -> None:
        super().__init__(a_device())
        self.beside: list[InputDevice] = []
        self.renewals = 0
        self.may_renew = True

    def devices_beside(self) -> list[InputDevice] | None:
        return list(self.beside)

    def renew(self) -> bool:
        self.renewals += self.may_renew
        if self.may_renew:
            self._listed = list(self.beside)
        return self.may_renew

    def now_has(self, *devices: InputDevice) -> None:
        self.beside = list(devices)
        self.inventory[:] = devices


def test_beside_an_open_stream_it_is_found_by_its_name_wherever_it_is() -> None:
    backend = Aged()
    source = MicrophoneSource(4, backend=backend, now=backend.clock, asleep=lambda: 0.0)
    source.open()
    first = backend.stream
    first.deliver(160)
    everything(source)
    # Another device is at its place now, which the old list knows nothing of.
    camera = replace(a_device(), name="Camera")
    backend.now_has(camera)
    first.end()
    assert source.read(0.0) is None
    for _ in range(5):
        backend.clock.time += 1.0
        assert source.read(0.0) is None
    assert backend.stream is first  # nothing else was opened in its place
    assert backend.renewals == 0  # and nobody was disturbed
    backend.now_has(camera, replace(a_device(), index=7))
    backend.may_renew = False  # something is played
    backend.clock.time += 1.0
    assert source.read(0.0) is None
    assert backend.stream is first
    backend.may_renew = True
    stream = heard_again(source, backend)
    assert backend.renewals == 1
    stream.deliver(3_200)
    (after,) = everything(source)
    assert after.gap_before
    assert kinds(source.drain_events()) == ["device-lost", "device-back"]
    stream.end()
    assert source.read(0.0) is None
    assert backend.stream is not stream
    assert backend.renewals == 1  # at the same place: no other stream is ended
