"""The whole engine on live sound, without a window: what every part takes of a core, and how much memory."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.assembly import build_stages, load_models
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import ArraySource
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.bench.report import Row
from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.channel import ChannelClosed, Policy
from realtime_ser.engine.engine import Engine
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import Block, FloatArray, Health, VoiceActivity, WindowScores

__all__ = ["LiveRecording", "live_rows"]

_NATIVE_RATE = 48_000
_BLOCK = 480
"""Samples (30 ms) at the engine's rate; a usual sound server delivers 10 to 30 ms."""
_SETTLED_SECONDS = 2.0
"""Until then, loading and first runs would count."""
_THREADS = ("signal", "words", "judgement")


class LiveRecording(ArraySource):
    """A recording that passes for a microphone: 48 kHz, two channels, at its own pace, stamped as it arrives."""

    live = True

    def __init__(self, samples: FloatArray) -> None:
        # Every sample three times: the resampler has the work of a real microphone, and takes the images off again.
        stereo = np.repeat(np.repeat(samples, _NATIVE_RATE // ENGINE_RATE)[:, np.newaxis], 2, axis=1)
        super().__init__(stereo, _NATIVE_RATE, pace="realtime", block=_BLOCK, name="made-up microphone")

    def read(self, timeout: float) -> Block | None:
        """As :meth:`ArraySource.read`, with the time of arrival."""
        block = super().read(timeout)
        return None if block is None else replace(block, captured_at=time.perf_counter())


class _TimedDetector(VoiceDetector):
    seconds = 0.0

    def process(self, samples: FloatArray, first_sample: int) -> VoiceActivity:
        begun = time.thread_time()
        try:
            return super().process(samples, first_sample)
        finally:
            self.seconds += time.thread_time() - begun


class _TimedAcoustic(AcousticStream):
    def __init__(self, model: AcousticModel, voice_threshold: float) -> None:
        self.seconds = 0.0
        super().__init__(model, voice_threshold)

    def push(self, samples: FloatArray, activity: VoiceActivity | None, captured_at: float | None = None) -> list[WindowScores]:
        begun = time.thread_time()
        try:
            return super().push(samples, activity, captured_at)
        finally:
            self.seconds += time.thread_time() - begun


@dataclass(slots=True)
class _Sample:
    """Seconds of processor time so far, by part; those that the system does not tell are missing."""

    at: float
    parts: dict[str, float]


def live_rows(bundle: str | Path | None, recognizer: str, seconds: float, *, quiet: bool = False) -> list[Row]:
    """Run the engine for `seconds` of speech, or of a quiet room where its recogniser is idle.

    To be called in a process of its own, whose memory is measured.
    """
    models = load_models(bundle, recognizer)
    speech = read_all(FileSource(asset_path(DEMONSTRATION)))[: round(seconds * ENGINE_RATE)]
    if quiet:
        speech = (1e-4 * np.random.default_rng(0).standard_normal(len(speech))).astype(np.float32)
    detectors: list[_TimedDetector] = []
    streams: list[_TimedAcoustic] = []

    def detector() -> VoiceDetector:
        detectors.append(_TimedDetector())
        return detectors[-1]

    def acoustic(model: AcousticModel, threshold: float) -> AcousticStream:
        streams.append(_TimedAcoustic(model, threshold))
        return streams[-1]

    stages = build_stages(models, live=True, detector=detector, acoustic=acoustic)
    engine = Engine(LiveRecording(speech), stages)
    outputs = engine.subscribe(4_096, Policy.DROP_OLDEST)

    def now() -> _Sample:
        parts = {"voice activity": detectors[0].seconds, "acoustic": streams[0].seconds, "all": time.process_time()}
        parts |= _thread_seconds()
        parts |= _children_seconds()
        return _Sample(time.perf_counter(), parts)

    first: _Sample | None = None
    last: _Sample | None = None
    health: Health | None = None
    beside = 0.0
    with engine:
        begun = time.perf_counter()
        while True:
            try:
                output = outputs.get(0.2)
            except ChannelClosed:
                break
            # Health comes once a second, while all threads are alive.
            if isinstance(output, Health) and time.perf_counter() - begun > _SETTLED_SECONDS:
                health = output
                sample = now()
                beside = max(beside, _children_megabytes())
                if first is None:
                    first = sample
                elif output.sample < len(speech):
                    last = sample
    return _rows(f"live, {'quiet room' if quiet else 'speech'}", models.recognizer.label, first, last, health, beside, quiet)


def _rows(
    part: str, label: object, first: _Sample | None, last: _Sample | None, health: Health | None, beside: float, quiet: bool
) -> list[Row]:
    if first is None or last is None or health is None:
        return [Row.of(part, "whole engine", None, "%", note="the run was too short")]
    share = {
        name: 100.0 * (seconds - first.parts.get(name, seconds)) / (last.at - first.at) for name, seconds in last.parts.items()
    }
    total = share["all"] + share.get("recogniser's process", 0.0)
    # An open vocabulary costs what it costs; the aim is for one that is idle, or for Vosk.
    aimed = quiet or str(label).startswith("Vosk")
    rows = [
        Row.of(part, "whole engine", total, "%", at_most=20 if aimed else None, note=f"of a core; words by {label}"),
        Row.of(part, "of it: acoustic", share["acoustic"], "%", at_most=5, note=f"blocks of {_BLOCK * 1000 // ENGINE_RATE} ms"),
        Row.of(part, "of it: voice activity", share["voice activity"], "%"),
    ]
    if "signal" in share:
        rest = share["signal"] - share["acoustic"] - share["voice activity"]
        rows.append(Row.of(part, "of it: capture, resampling, levels", rest, "%"))
    rows += [Row.of(part, f"of it: {name}", share[name], "%") for name in ("words", "judgement") if name in share]
    if "recogniser's process" in share:
        rows.append(Row.of(part, "of it: recogniser's process", share["recogniser's process"], "%"))
    rows += [
        Row.of(part, "newest sample to its scores, median", 1e3 * health.latency_p50, "ms"),
        Row.of(part, "newest sample to its scores, 95 of 100", 1e3 * health.latency_p95, "ms"),
        Row.of(part, "windows skipped", float(health.windows_skipped), "", at_most=0),
        _memory(part, beside),
    ]
    return rows


def _memory(part: str, beside: float) -> Row:
    measure = "largest memory, recogniser included"
    if sys.platform == "win32":
        return Row.of(part, measure, None, "MB", at_most=400, note="this system does not tell")
    import resource

    unit = 1024.0**2 if sys.platform == "darwin" else 1024.0
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return Row.of(
        part, measure, own + beside, "MB", at_most=400, note=f"{beside:.0f} MB of it the recogniser's" if beside else ""
    )


def _thread_seconds() -> dict[str, float]:
    """Processor time of the engine's threads, where the system tells it of other threads (Linux)."""
    found: dict[str, float] = {}
    if sys.platform == "linux":
        for thread in threading.enumerate():
            if thread.name in _THREADS and thread.ident is not None:
                found[thread.name] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return found


def _children_megabytes() -> float:
    """Memory of this process's children now: the recogniser's process.

    What the system keeps as their peak would not do: Linux counts the memory of the parent at their start towards it.
    """
    total = 0.0
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has ended meanwhile
            total += child.memory_info().rss / 1024.0**2
    return total


def _children_seconds() -> dict[str, float]:
    """Processor time of this process's children while they live: the recogniser's process (Linux)."""
    if sys.platform != "linux":
        return {}
    total, any_child = 0.0, False
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has ended meanwhile
            times = child.cpu_times()
            total, any_child = total + times.user + times.system, True
    return {"recogniser's process": total} if any_child else {}
