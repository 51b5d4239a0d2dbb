"""Playing recorded sound through an output that the test pulls."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from virtual_microphone import SINK

from realtime_ser.audio.playback import Playback
from realtime_ser.errors import DeviceError, SessionError

SOUND = np.random.default_rng(1).uniform(-0.5, 0.5, 40_000).astype(np.float32)


class Output:
    """An output of a given rate; every pull asks for a block as a sound card does."""

    def __init__(self, rate: int = 16_000, latency: float = 0.0) -> None:
        self.rate = rate
        self.latency = latency
        self.active = False
        self.closed = False
        self.callback: Callable[..., None] | None = None

    def open(self, rate: int, callback: Callable[..., None]) -> tuple[Any, int]:
        self.callback = callback
        self.closed = False
        return self, self.rate

    def start(self) -> None:
        self.active = True

    def abort(self) -> None:
        self.active = False

    def close(self) -> None:
        self.closed = True

    def pull(self, count: int) -> np.ndarray:
        assert self.callback is not None
        frames = np.full((count, 1), np.nan, np.float32)
        self.callback(frames, count, None, None)
        return frames[:, 0]

    def pull_all(self, playback: Playback) -> np.ndarray:
        """Until the end; what came before the reading thread was ready is left out."""
        heard = []
        while playback.playing:
            before = playback._frames
            frames = self.pull(512)
            assert np.isfinite(frames).all()
            heard.append(frames[: playback._frames - before])
        return np.concatenate(heard)


def pieces(first: int) -> Iterator[tuple[int, np.ndarray]]:
    """Seconds of the sound, without the samples 16,000 to 20,000."""
    for start, end in ((0, 16_000), (20_000, 36_000), (36_000, 40_000)):
        if end > first:
            yield start, SOUND[start:end]


@pytest.mark.usefixtures("no_thread_left")
def test_the_sound_is_heard_from_any_sample_on_with_silence_in_gaps() -> None:
    output = Output()
    playback = Playback(pieces, len(SOUND), output.open)
    expected = SOUND.copy()
    expected[16_000:20_000] = 0.0
    for first in (0, 5_000, 17_000, 39_000):
        playback.play(first)
        assert np.array_equal(output.pull_all(playback), expected[first:])
        assert playback.position == len(SOUND)
    playback.stop()
    assert output.closed


@pytest.mark.usefixtures("no_thread_left")
def test_the_position_is_what_is_heard_not_what_was_handed_over() -> None:
    output = Output(rate=48_000, latency=0.1)
    playback = Playback(pieces, len(SOUND), output.open)
    playback.play(8_000)
    assert playback.position == 8_000
    while playback._frames < 24_000:
        output.pull(480)
    assert playback.position == pytest.approx(8_000 + 8_000 - 1_600, abs=200)
    playback.stop()
    stopped = playback.position
    assert stopped == pytest.approx(14_400, abs=200)
    assert not playback.playing
    playback.play(0)
    assert len(output.pull_all(playback)) == pytest.approx(3 * len(SOUND), abs=3)
    playback.stop()


@pytest.mark.usefixtures("no_thread_left")
def test_damaged_sound_ends_and_is_told() -> None:
    def damaged(first: int) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, SOUND[:1_000]
        raise SessionError("A piece is damaged.", "Use a copy.")

    output = Output()
    playback = Playback(damaged, len(SOUND), output.open)
    playback.play(0)
    assert len(output.pull_all(playback)) == 1_000
    assert isinstance(playback.error, SessionError)
    playback.stop()


@pytest.mark.usefixtures("no_thread_left")
def test_an_output_that_refuses_leaves_nothing_behind() -> None:
    class Refusing(Output):
        def start(self) -> None:
            raise DeviceError("The output does not start.", "Close other programs.")

    output = Refusing()
    playback = Playback(pieces, len(SOUND), output.open)
    with pytest.raises(DeviceError):
        playback.play(0)
    assert output.closed
    assert not playback.playing


def test_a_real_sound_system_plays_it_in_time(virtual_microphone: Any) -> None:
    pulse = np.sin(2 * np.pi * 1_000 * np.arange(160) / 16_000).astype(np.float32)
    sound = np.zeros(32_000, np.float32)
    sound[8_000:8_160] = sound[24_000:24_160] = 0.5 * pulse
    playback = Playback(lambda first: iter([(0, sound[:20_000]), (20_000, sound[20_000:])]), len(sound))
    command = ["parec", f"--device={SINK}.monitor", "--rate=16000", "--channels=1", "--format=float32le", "--raw"]
    with subprocess.Popen(command, env=virtual_microphone.environment, stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        listener.stdout.read(4 * 1_600)  # it listens
        playback.play(0)
        heard = bytearray()
        while playback.playing:  # however long the sound system takes to begin
            heard += listener.stdout.read(4 * 1_600)
            assert len(heard) < 4 * 60 * 16_000, "it never ends"
        heard += listener.stdout.read(4 * 16_000)  # what is still on its way
        listener.terminate()
    assert playback.position == len(sound)
    playback.stop()
    loud = np.flatnonzero(np.abs(np.frombuffer(heard, np.float32)) > 0.1)
    assert len(loud)
    second = loud[loud > loud[0] + 1_000][0]
    assert second - loud[0] == pytest.approx(16_000, abs=32)
