"""Hearing a band: the bundle's own filter, at a level that hurts nobody, from a real sound system."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from audio.test_playback import Output
from hypothesis import given
from hypothesis import strategies as st
from virtual_microphone import SINK

from realtime_ser.bundle.loader import load_bundle
from realtime_ser.bundle.onnx_format import parse_graph
from realtime_ser.errors import DeviceError
from realtime_ser.gui.filterbank import sinc_kernels
from realtime_ser.gui.sincgram.listening import LOUDEST_PEAK, MOST_GAIN_DB, BandPlayer, Excerpt, audible, filtered

RATE = 16_000
NOISE = np.random.default_rng(2).normal(0.0, 0.01, 2 * RATE).astype(np.float32)


def sine(hertz: float, amplitude: float, seconds: float = 2.0) -> np.ndarray:
    return (amplitude * np.sin(2.0 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def bundled_kernels() -> np.ndarray:
    manifest = load_bundle(None).manifest
    filters = manifest.acoustic.filters
    low, high = np.asarray(filters.low_hz), np.asarray(filters.high_hz)
    return sinc_kernels(low, high, manifest.acoustic.kernel, manifest.sample_rate)


def test_the_filters_are_those_of_the_bundles_graph() -> None:
    bundle = load_bundle(None)
    facts = bundle.manifest.acoustic
    shapes = ((facts.bands, facts.kernel), (facts.bands, 1, facts.kernel))
    constants = parse_graph(bundle.content("bands.onnx")).constants.values()
    (graph,) = (array.reshape(facts.bands, facts.kernel) for array in constants if array.shape in shapes)
    # The manifest rounds cutoffs to a hundredth of a hertz.
    assert np.abs(graph - bundled_kernels()).max() <= 1e-4 * np.abs(graph).max()


def test_filtering_is_the_convolution_without_its_delay() -> None:
    kernel = bundled_kernels()[40]
    for length in (1, 100, 801, 5_000):
        expected = np.convolve(NOISE[:length].astype(np.float64), kernel)[400 : 400 + length]
        np.testing.assert_allclose(filtered(NOISE[:length], kernel), expected, atol=1e-7)


def test_a_band_lets_its_own_tone_through_and_no_other() -> None:
    kernel = sinc_kernels(np.array([900.0]), np.array([1_100.0]), 801, RATE)[0]
    inside, outside = sine(1_000.0, 0.1), sine(2_500.0, 0.1)
    heard = filtered(inside + outside, kernel)[2_000:-2_000]
    np.testing.assert_allclose(heard, inside[2_000:-2_000], atol=1e-3)


@given(st.floats(-75.0, 0.0), st.floats(40.0, 7_000.0))
def test_nothing_is_too_loud_and_little_too_soft(level: float, hertz: float) -> None:
    sound = sine(hertz, 10.0 ** (level / 20.0))
    heard, gain = audible(sound)
    assert np.abs(heard).max() <= LOUDEST_PEAK + 1e-6
    assert gain <= MOST_GAIN_DB + 1e-9
    middle = heard[RATE // 2 : RATE]
    assert 10.0 * np.log10(np.mean(np.square(middle, dtype=np.float64))) >= min(-24.5, level - 3.5 + MOST_GAIN_DB)
    assert heard[0] == heard[-1] == 0.0
    np.testing.assert_allclose(middle, sound[RATE // 2 : RATE] * 10.0 ** (gain / 20.0), atol=1e-5)


def test_a_click_is_no_loud_surprise_and_silence_is_said() -> None:
    click = np.zeros(RATE, np.float32)
    click[8_000] = 1.0
    assert np.abs(audible(click)[0]).max() <= LOUDEST_PEAK + 1e-6
    for nothing in (np.zeros(RATE, np.float32), np.empty(0, np.float32)):
        with pytest.raises(ValueError, match="nothing"):
            audible(nothing)


@pytest.fixture
def player() -> Iterator[tuple[BandPlayer, Output]]:
    output = Output()
    made = BandPlayer(output.open)
    yield made, output
    made.close()
    assert output.closed or output.callback is None


def wait_for(condition: Callable[[], bool], player: BandPlayer, qtbot: Any) -> None:
    def met() -> bool:
        player.tick()
        return condition()

    qtbot.waitUntil(met, timeout=10_000)


@pytest.mark.usefixtures("no_thread_left")
def test_an_excerpt_is_played_and_its_end_is_noticed(player: tuple[BandPlayer, Output], qtbot: Any) -> None:
    band, output = player
    sound = sine(1_000.0, 0.01, 1.0) + sine(3_000.0, 0.1, 1.0)
    kernel = sinc_kernels(np.array([900.0]), np.array([1_100.0]), 801, RATE)[0]
    band.play(Excerpt(32_000, sound), kernel)
    assert band.active
    assert band.position is None, "the output is not open yet"
    wait_for(lambda: band.gain_db is not None, band, qtbot)
    assert 10.0 < band.gain_db < 25.0
    heard: list[np.ndarray] = []
    positions = [band.position]
    while band.active:
        before = band._playback._frames
        frames = output.pull(512)
        heard.append(frames[: band._playback._frames - before])
        positions.append(band.position)
        band.tick()
    wait_for(lambda: output.closed, band, qtbot)
    assert positions[0] == 32_000
    assert positions[-1] == 48_000
    assert positions == sorted(positions)
    whole = np.concatenate(heard)
    expected = audible(filtered(sound, kernel))[0]
    np.testing.assert_allclose(whole[: len(expected)], expected, atol=1e-6)
    assert not whole[len(expected) :].any(), "silence, so that the end is heard as well"


@pytest.mark.usefixtures("no_thread_left")
def test_another_band_takes_over_and_stop_is_silence(player: tuple[BandPlayer, Output], qtbot: Any) -> None:
    band, output = player
    kernels = bundled_kernels()
    for number in (10, 20, 30):
        band.play(Excerpt(0, NOISE), kernels[number])
    wait_for(lambda: band.position is not None, band, qtbot)
    assert output.active
    band.stop()
    assert not band.active
    wait_for(lambda: output.closed, band, qtbot)
    assert band.failure is None


@pytest.mark.usefixtures("no_thread_left")
def test_why_nothing_is_heard_is_told(qtbot: Any) -> None:
    def none(rate: int, callback: Any) -> Any:
        raise DeviceError("There is nothing here to play sound on.", "Connect headphones or loudspeakers.")

    band = BandPlayer(none)
    band.play(Excerpt(0, NOISE), None)
    wait_for(lambda: not band.active, band, qtbot)
    assert band.failure.problem == "There is nothing here to play sound on."
    kernel = sinc_kernels(np.array([900.0]), np.array([1_100.0]), 801, RATE)[0]
    band.play(Excerpt(0, np.zeros(RATE, np.float32)), kernel)
    assert band.failure is None
    wait_for(lambda: not band.active, band, qtbot)
    assert "heard nothing" in band.failure.problem
    band.close()


@pytest.mark.usefixtures("no_thread_left")
def test_a_real_sound_system_plays_the_band_and_nothing_else(virtual_microphone: Any, qtbot: Any) -> None:
    kernel = sinc_kernels(np.array([900.0]), np.array([1_100.0]), 801, RATE)[0]
    sound = sine(1_000.0, 0.02) + sine(3_000.0, 0.2) + sine(300.0, 0.2)
    command = ["parec", f"--device={SINK}.monitor", "--rate=16000", "--channels=1", "--format=float32le", "--raw"]
    band = BandPlayer()
    with subprocess.Popen(command, env=virtual_microphone.environment, stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        listener.stdout.read(4 * 1_600)  # it listens
        band.play(Excerpt(0, sound), kernel)
        heard = np.frombuffer(listener.stdout.read(4 * 4 * RATE), np.float32)
        listener.terminate()
    wait_for(lambda: not band.active, band, qtbot)
    band.close()
    assert band.failure is None
    loud = np.flatnonzero(np.abs(heard) > 0.05)
    assert len(loud)
    assert loud[-1] - loud[0] == pytest.approx(2 * RATE, abs=0.1 * RATE), "all of it, to its end"
    part = heard[loud[0] + RATE // 2 :][:RATE]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(RATE))) / (RATE / 4)
    assert spectrum[1_000] == pytest.approx(np.sqrt(2.0) * 10.0 ** (-24.0 / 20.0), rel=0.05)
    assert max(spectrum[3_000], spectrum[300]) < 0.01 * spectrum[1_000]
