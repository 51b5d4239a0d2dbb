"""How far the time stamps that another process gets over the Lab Streaming Layer are from when the sound was there.

The whole program listens, as a process of its own, to a microphone whose sound is known to the sample: soft rumble, and clicks.
This process receives its stream of window scores. Where a click lies in a window shows in the window's scores, and what the
scores of every position would be is computed here from the sound itself. So the position at which received and computed scores
agree best is when the window really ended, to half a millisecond; its stamp should say the same. Nothing that the program
states about its own times enters the comparison.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.assembly import load_models
from realtime_ser.audio.resample import StreamResampler
from realtime_ser.commands.bench.measure import program
from realtime_ser.commands.bench.pulseaudio import PIPE_RATE, PipeMicrophone
from realtime_ser.commands.bench.report import Row, Spread
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.outlets.lsl import LslClock, load_lsl
from realtime_ser.types import FloatArray

__all__ = ["Reference", "click_errors", "stamps_rows"]

_PART = "stamps"
_LEAD = 1.5
"""Seconds of rumble before the first click: until then the stream settles."""
_APART = 0.4537
"""Seconds between clicks: more than a window, and no multiple of the hop, so that clicks fall anywhere between two windows."""
_CLICK_LEVEL = 0.9
_RUMBLE_LEVEL = 0.003
"""Of full scale. Steep, so that a click is unlike it, and much louder than the ringing of resamplers."""
_CHUNK = 96
"""Samples (2 ms) that the microphone gets at a time: what its own coarseness adds shall be small."""
_FINE = 8
"""Samples (0.5 ms) between the positions that are compared."""
_FURTHEST = 0.06
"""Seconds by which a stamp may be wrong and is still understood."""
_PATIENCE = 60.0
_BOUND_MS = 5.0
"""Half a hop: stamps must tell windows apart."""


def stamps_rows(bundle: str | None, clicks: int) -> list[Row]:
    """Let `clicks` sound, and compare. To be called in a process of its own, whose environment is changed.

    Raises
    ------
    ConfigError, DeviceError
        pylsl or PulseAudio is missing.
    RealtimeSerError
        The program could not be heard.
    """
    sound, at = _sound(clicks)
    with tempfile.TemporaryDirectory() as folder:
        # A network of its own, on this machine: other streams of the same name are not mistaken for ours.
        settings = Path(folder) / "lsl_api.cfg"
        settings.write_text(
            f"[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = {os.getpid()}\n"
        )
        os.environ["LSLAPICFG"] = str(settings)
        lsl = load_lsl()
        with PipeMicrophone(sound, _CHUNK) as pipe, _listening(bundle) as listener, _inlet(lsl, listener) as inlet:
            pipe.wait_for_listener()
            pipe.start()
            began, stamps, scores = _receive(lsl, inlet, pipe, len(sound) / PIPE_RATE, listener)
    voiced = scores[:, -1] > 0.5
    reference = Reference(load_models(bundle, "none").acoustic, sound)
    errors = 1e3 * click_errors(reference, stamps - began, scores[:, :-1], at)
    note = f"{len(errors)} clicks, {len(stamps)} windows"
    if voiced.any():
        note += f"; {np.count_nonzero(voiced)} windows were taken for voice"
    measure = "LSL's stamps against the sound"
    return [
        Row.of(_PART, f"{measure}: largest error", float(np.abs(errors).max()), "ms", at_most=_BOUND_MS, note=note),
        Row.of(
            _PART,
            f"{measure}: late by",
            Spread.of(errors),
            "ms",
            note="negative: early; sound server, PortAudio, resampler, LSL",
        ),
    ]


def _sound(clicks: int) -> tuple[NDArray[np.int16], FloatArray]:
    """Rumble and clicks at the pipe's rate, and when the clicks begin, in seconds."""
    at = _LEAD + _APART * np.arange(clicks)
    length = round((at[-1] + 1.0) * PIPE_RATE)
    steps = np.random.default_rng(1).standard_normal(length)
    # A random walk that is pulled back to zero: -6 dB an octave above 80 Hz.
    pull = np.exp(-2 * np.pi * 80 / PIPE_RATE)
    rumble = np.empty(length)
    level = 0.0
    for index, step in enumerate(steps):
        level = pull * level + step
        rumble[index] = level
    sound = _RUMBLE_LEVEL * rumble / rumble.std()
    sound[np.rint(at * PIPE_RATE).astype(int)] = _CLICK_LEVEL
    return np.rint(np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16), at.astype(np.float32)


@contextmanager
def _listening(bundle: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """The program, listening to the default microphone with its LSL outlet."""
    command = program(
        "listen", "--input", "microphone", "--recognizer", "none", "--lsl", *(["--bundle", bundle] if bundle else [])
    )
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _inlet(lsl: Any, listener: subprocess.Popen[bytes]) -> Iterator[Any]:
    deadline = time.monotonic() + _PATIENCE
    found: list[Any] = []
    while not found:
        if listener.poll() is not None or time.monotonic() > deadline:
            raise _silent()
        found = lsl.resolve_byprop("name", "Realtime SER windows", 1, 1.0)
    inlet = lsl.StreamInlet(found[0])
    inlet.open_stream(_PATIENCE)
    try:
        yield inlet
    finally:
        inlet.close_stream()


def _silent() -> RealtimeSerError:
    return RealtimeSerError("The program's stream was not received.", "Try `realtime-ser listen --input microphone --lsl`.")


def _receive(
    lsl: Any, inlet: Any, pipe: PipeMicrophone, seconds: float, listener: subprocess.Popen[bytes]
) -> tuple[float, NDArray[np.float64], FloatArray]:
    """When the sound began, and stamps (``perf_counter()``) and values of the samples that came while it lasted."""
    clock = LslClock(lsl.local_clock)
    stamps: list[float] = []
    values: list[list[float]] = []
    began: float | None = None
    correction: float | None = None
    deadline = time.monotonic() + seconds + _PATIENCE
    while began is None or not stamps or stamps[-1] < began + seconds:
        if listener.poll() is not None or time.monotonic() > deadline:
            raise _silent()
        began = pipe.began
        chunk, times = inlet.pull_chunk(0.2)
        if correction is None:
            correction = float(inlet.time_correction(_PATIENCE))
        values += chunk
        stamps += [stamp + correction - clock.offset for stamp in times]
    return began, np.array(stamps), np.array(values, np.float32)


class Reference:
    """Scores of a window that ends anywhere in the sound.

    Parameters
    ----------
    model
        The networks.
    sound
        int16, at the pipe's rate.
    """

    def __init__(self, model: AcousticModel, sound: NDArray[np.int16]) -> None:
        resampler = StreamResampler(PIPE_RATE)
        samples = np.concatenate([resampler.process((sound / 32768).astype(np.float32)), resampler.flush()])
        scores, ends = [], []
        for phase in range(0, model.hop, _FINE):
            # Without voice the running mean stands still, so that a window's scores do not depend on what came before.
            stream = AcousticStream(model)
            for found in stream.push(samples[phase:], None):
                scores.append(found.scores)
                ends.append(phase + found.first_window + found.window + found.hop * np.arange(len(found.scores)))
        order = np.argsort(np.concatenate(ends))
        self._ends = np.concatenate(ends)[order]
        self._scores = np.concatenate(scores)[order]

    def at(self, seconds: NDArray[np.float64]) -> FloatArray:
        """Scores of the windows that end at `seconds` of the sound, to the nearest position that was computed."""
        index = np.rint((seconds * ENGINE_RATE - self._ends[0]) / _FINE).astype(int)
        found: FloatArray = self._scores[np.clip(index, 0, len(self._scores) - 1)]
        return found


def click_errors(
    reference: Reference, stamps: NDArray[np.float64], scores: FloatArray, clicks: FloatArray
) -> NDArray[np.float64]:
    """By how much the stamps around each click are late, in seconds, shape ``(clicks,)``.

    Parameters
    ----------
    stamps
        Of the ends of windows, in seconds from the beginning of the sound, shape ``(n,)``.
    scores
        As received, shape ``(n, classes)``.
    clicks
        When they sounded, in seconds.
    """
    delays = np.arange(-_FURTHEST, _FURTHEST, _FINE / ENGINE_RATE)
    found = []
    for click in clicks:
        near = (stamps > click - _FURTHEST) & (stamps < click + _APART - _FURTHEST)
        apart = [np.sum((scores[near] - reference.at(stamps[near] - delay)) ** 2) for delay in delays]
        found.append(delays[int(np.argmin(apart))])
    return np.array(found)
