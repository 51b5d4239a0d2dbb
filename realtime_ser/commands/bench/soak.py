"""The real window over the real engine on live speech for an hour: does anything get lost, slower or larger?

Sound comes out of a private PulseAudio server's pipe, round and round, and every round begins with a click. What is captured
between two clicks must be exactly as long as what was written: a sample that is lost anywhere, or comes twice, moves the next
click. Beside that the engine's own counters are read, and memory, processor, frames and delays are noted every minute.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import Source
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.bench.dashboard import LONGEST_STALL, Log, show
from realtime_ser.commands.bench.pulseaudio import PIPE_RATE, PipeMicrophone, TappedMicrophone, announced
from realtime_ser.commands.bench.report import Row, machine, markdown_rows
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import DeviceError
from realtime_ser.gui.report import ProcessUse
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import Block, FloatArray, Output, Transcript, Verdict

__all__ = ["Minute", "soak_json", "soak_report", "soak_rows"]

_PART = "soak"
_MINUTE = 60.0
_CLICK = 0.3
"""Level that only clicks have."""
_APART = ENGINE_RATE // 2
"""Samples within which there is one click."""
_ROUND_SECONDS = 180
"""Speech is repeated after so long, at most."""
_ROOM = 1e-3
"""Largest value of the room's noise beside speech of 1."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in a minute.

    Attributes
    ----------
    frames
        Painted per second.
    p50, p95, p99
        From the newest sample's sounding to the painted frame, ms.
    longest, stalls
        Longest time for which the event loop was held up (ms), and how often it was for over 50 ms.
    memory, cores
        MB (what processes share is counted once) and processor time per second of this program with the processes that it
        started.
    lag
        Audio that waits for the recogniser, s.
    windows, skipped, overruns, dropped
        As the engine counts them, from the beginning.
    utterances, words
        Verdicts in this minute, and recognised words.
    own
        MB of `memory` that are this process's, without the recogniser's.
    """

    minute: int
    frames: float
    p50: float
    p95: float
    p99: float
    longest: float
    stalls: int
    memory: float
    cores: float
    lag: float
    windows: int
    skipped: int
    overruns: int
    dropped: int
    utterances: int
    words: int
    own: float


class _Use(ProcessUse):
    """Without the processes `others`, which this one has started for the measurement's sake."""

    def __init__(self, others: Collection[int]) -> None:
        self._others = others
        super().__init__()

    def _members(self) -> list[psutil.Process]:
        return [member for member in super()._members() if member.pid not in self._others]

    def held(self) -> list[float]:
        """MB that this process, and those that it has started, hold; on Linux a share of what several hold."""
        held: list[float] = []
        for member in self._members():
            with suppress(psutil.Error):  # it has ended meanwhile
                full = member.memory_full_info()
                held.append(getattr(full, "pss", full.rss) / 1e6)
        return held


@dataclass(slots=True)
class _SoakLog(Log):
    """Condenses what is seen every minute, lest the notes are what grows."""

    minutes: list[Minute] = field(default_factory=list)
    others: Sequence[int] = ()
    use: _Use | None = None
    minute_at: float = 0.0
    utterances: int = 0
    words: int = 0

    def take(self, outputs: Sequence[Output]) -> None:
        """As before, and count what was understood."""
        Log.take(self, outputs)
        if not self.settled:
            return
        for output in outputs:
            if isinstance(output, Verdict):
                self.utterances += 1
            elif isinstance(output, Transcript) and output.final:
                self.words += len(output.words)

    def held_up(self, delay: float) -> None:
        """As before, and close the minute when it is over."""
        Log.held_up(self, delay)
        now = time.perf_counter()
        if self.use is None:
            self.use, self.minute_at = _Use(self.others), now
            self.use.measure()
        elif now - self.minute_at >= _MINUTE:
            self._close(now - self.minute_at)
            self.minute_at = now

    def _close(self, seconds: float) -> None:
        assert self.use is not None  # made with the first pulse
        cores, _ = self.use.measure()
        held = self.use.held()
        health = self.health
        ways = 1e3 * np.percentile(self.to_screen or [np.nan], [50, 95, 99])
        delays = np.array(self.delays)
        self.minutes.append(
            Minute(
                minute=len(self.minutes) + 1,
                frames=round(len(self.frames) / seconds, 1),
                p50=round(float(ways[0]), 1),
                p95=round(float(ways[1]), 1),
                p99=round(float(ways[2]), 1),
                longest=round(1e3 * float(delays.max()), 1),
                stalls=int((1e3 * delays > LONGEST_STALL).sum()),
                memory=round(sum(held), 1),
                cores=round(cores, 3),
                lag=0.0 if health is None else round(health.recognizer_lag, 2),
                windows=0 if health is None else health.windows_computed,
                skipped=0 if health is None else health.windows_skipped,
                overruns=0 if health is None else health.overruns,
                dropped=0 if health is None else health.dropped_samples,
                utterances=self.utterances,
                words=self.words,
                own=round(held[0], 1),
            )
        )
        self.utterances = self.words = 0
        for notes in (self.frames, self.paints, self.to_screen, self.ways, self.delays):
            notes.clear()
        print(_told(self.minutes[-1]), file=sys.stderr, flush=True)  # noqa: T201


def _told(minute: Minute) -> str:
    return (
        f"minute {minute.minute}: {minute.frames:.0f} frames/s, {minute.p99:.0f} ms (99 of 100), "
        f"{minute.memory:.0f} MB ({minute.own:.0f}), {minute.cores:.0%} of a core, "
        f"skipped {minute.skipped}, dropped {minute.dropped}, words {minute.words}"
    )


class _Clicks(TappedMicrophone):
    """The microphone, which notes where the clicks are and what is missing between blocks."""

    def __init__(self, pipe: PipeMicrophone) -> None:
        super().__init__(pipe)
        # NB: written by the engine's thread, read when it has ended.
        self.clicks: list[int] = []
        self.missing = 0
        self._expected: int | None = None

    def read(self, timeout: float) -> Block | None:
        """As the microphone's."""
        block = super().read(timeout)
        if block is None:
            return None
        if self._expected is not None:
            self.missing += block.span.first - self._expected
        self._expected = block.span.end
        for found in np.flatnonzero(np.abs(block.samples) > _CLICK).tolist():
            at = block.span.first + found
            if not self.clicks or at - self.clicks[-1] > _APART:
                self.clicks.append(at)
        return block

    def moved(self, length: int) -> list[int]:
        """By how many samples each click came too late (or, negative, too early), where rounds have `length` samples."""
        return (np.diff(self.clicks) - length).tolist()


def soak_rows(
    bundle: str | None, recognizer: str, minutes: float, speech: Sequence[str] = ()
) -> tuple[list[Row], list[Minute], dict[str, Any]]:
    """Let the window listen for so many minutes.

    Parameters
    ----------
    speech
        Sound files to be spoken one after the other; without any, the demonstration audio.

    Returns
    -------
    rows, minutes, facts
        Figures with their aims; what happened in every minute; what was heard, and on what machine.

    Raises
    ------
    DeviceError
        There is no PulseAudio, or nothing was captured.
    AudioFileError
        A file cannot be read.
    """
    files = [Path(name) for name in speech] or [asset_path(DEMONSTRATION)]
    sound = announced(_joined(files), repeats=1)
    microphones: list[_Clicks] = []
    with PipeMicrophone(sound) as pipe:

        def microphone() -> Source:
            microphones.append(_Clicks(pipe))
            return microphones[-1]

        log = _SoakLog(lambda scores: pipe.time_of(scores.span.end), others=pipe.processes)
        started = datetime.datetime.now(tz=datetime.UTC)
        # The last minute is closed by the first pulse after it.
        on_screen = show(log, bundle, recognizer, minutes * _MINUTE + 1.0, microphone)
        refused = pipe.refused
    if not log.minutes or not microphones or len(microphones[-1].clicks) < 2:
        raise DeviceError("Nothing was measured: the window was closed, or no sound arrived.", "Let it run to its end.")
    heard = microphones[-1]
    moved = heard.moved(len(sound) * ENGINE_RATE // PIPE_RATE)
    facts = {
        "machine": machine(),
        "started": started.isoformat(timespec="seconds"),
        "minutes": minutes,
        "speech": f"{len(files)} files, {len(sound) / PIPE_RATE:.0f} s a round" if speech else "demonstration audio",
        "recognizer": recognizer,
        "window": "on a display" if on_screen else "painted into memory",
        "rounds": len(moved),
        "clicks moved by (samples)": sorted({abs(one) for one in moved}),
        "swap used": psutil.swap_memory().used > 0,
    }
    return _rows(log.minutes, heard, moved, refused), log.minutes, facts


def _joined(files: Sequence[Path]) -> FloatArray:
    """The files one after the other, each as loud as the others, as far as a round goes."""
    parts: list[FloatArray] = []
    length = 0
    pause = np.zeros(ENGINE_RATE // 2, np.float32)
    for file in files:
        samples = read_all(FileSource(file))
        parts += [samples / max(float(np.abs(samples).max()), 1e-6), pause]
        length += len(samples) + len(pause)
        if length >= _ROUND_SECONDS * ENGINE_RATE:
            break
    spoken = np.concatenate(parts)
    # A room's noise, 60 dB below: exact zeros, as between these files, are what a blocked microphone delivers.
    room: FloatArray = np.random.default_rng(0).uniform(-_ROOM, _ROOM, len(spoken)).astype(np.float32)
    return spoken + room


def _rows(minutes: Sequence[Minute], heard: _Clicks, moved: Sequence[int], refused: int) -> list[Row]:
    last = minutes[-1]
    tenth = max(len(minutes) // 6, 1)
    first, end = minutes[:tenth], minutes[-tenth:]
    memory = np.array([minute.memory for minute in minutes])
    # The first minutes fill caches and the window's histories.
    later = memory[len(memory) // 6 :]
    slope = 60 * float(np.polyfit(np.arange(len(later)), later, 1)[0]) if len(later) > 1 else 0.0

    def over(which: Sequence[Minute], name: str) -> float:
        return float(np.median([getattr(minute, name) for minute in which]))

    # Where exactly a click crosses its level depends on where it lies between two samples.
    lost = float(sum(abs(one) for one in moved if abs(one) > 1))
    clicks = f"{len(moved)} rounds between clicks; a sample lost or doubled would move one"
    return [
        Row.of(_PART, "samples lost, by the clicks", lost, "", at_most=0, note=clicks),
        Row.of(_PART, "samples missing between blocks", float(heard.missing), "", at_most=0),
        Row.of(_PART, "samples dropped, as the engine counts", float(last.dropped), "", at_most=0),
        Row.of(_PART, "overruns that the device reported", float(last.overruns), "", at_most=0),
        Row.of(_PART, "windows skipped", float(last.skipped), "", at_most=0, note=f"of {last.windows:,}"),
        Row.of(_PART, "10 ms that the sound server refused", float(refused), "", at_most=0),
        Row.of(_PART, "memory", float(memory[-1]), "MB", at_most=400, note=f"{memory[0]:.0f} MB after the first minute"),
        Row.of(_PART, "memory's slope", slope, "MB/h", at_most=10, note="least squares, without the first sixth"),
        Row.of(_PART, "newest sample to painted frame, 99 of 100, first sixth", over(first, "p99"), "ms"),
        Row.of(_PART, "newest sample to painted frame, 99 of 100, last sixth", over(end, "p99"), "ms"),
        Row.of(_PART, "the last over the first", over(end, "p99") / over(first, "p99"), "×", at_most=1.2),
        Row.of(_PART, "newest sample to painted frame, median", over(minutes, "p50"), "ms", at_most=80),
        Row.of(_PART, "newest sample to painted frame, 95 of 100", over(minutes, "p95"), "ms", at_most=120),
        Row.of(_PART, "frames", over(minutes, "frames"), "/s", at_least=30),
        Row.of(
            _PART, f"event loop held up for over {LONGEST_STALL} ms", float(sum(minute.stalls for minute in minutes)), "times"
        ),
        Row.of(_PART, "event loop held up, longest", max(minute.longest for minute in minutes), "ms", at_most=LONGEST_STALL),
        Row.of(
            _PART, "processor", 100 * over(minutes, "cores"), "%", note="of a core, recogniser's process and window included"
        ),
        Row.of(_PART, "utterances", float(sum(minute.utterances for minute in minutes)), ""),
        Row.of(_PART, "words", float(sum(minute.words for minute in minutes)), ""),
    ]


def soak_report(rows: Sequence[Row], minutes: Sequence[Minute], facts: dict[str, Any]) -> str:
    """Markdown: how it was measured, the figures with their aims, and a line for every five minutes."""
    where = facts["machine"]
    lines = [
        "# An hour of listening" if facts["minutes"] >= 60 else f"# {facts['minutes']:g} minutes of listening",
        "",
        f"Written by `realtime-ser bench --soak {facts['minutes']:g} --report FILE`, {facts['started']}, on "
        f"{where['processor']}, {where['cores']} cores, load {where['load']} at the end, {where['system']}, "
        f"Python {where['python']}, realtime-ser {where['realtime-ser']}. Speech: {facts['speech']}, through a private "
        f"PulseAudio server, PortAudio, the whole engine, recogniser “{facts['recognizer']}”, and the dashboard, "
        f"{facts['window']}.",
        "",
        *markdown_rows(rows, parts=False),
        "",
        "Every fifth minute; latencies are from the newest sample's sounding to the painted frame; memory in brackets is "
        "without the recogniser's process. What several processes hold together is counted in parts, so that the figure falls "
        "while other programs in Python run beside this one.",
        "",
        "| minute | frames/s | median ms | 95 % ms | 99 % ms | longest hold-up ms | memory MB | processor | skipped | words |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {one.minute} | {one.frames:.0f} | {one.p50:.0f} | {one.p95:.0f} | {one.p99:.0f} | {one.longest:.0f} | "
            f"{one.memory:.0f} ({one.own:.0f}) | {one.cores:.0%} | {one.skipped} | {one.words} |"
            for one in minutes
            if one.minute == 1 or one.minute % 5 == 0
        ),
        "",
    ]
    return "\n".join(lines)


def soak_json(rows: Sequence[Row], minutes: Sequence[Minute], facts: dict[str, Any]) -> dict[str, Any]:
    """The same for programs, with every minute."""
    return {**facts, "rows": [row.as_dict() for row in rows], "each minute": [asdict(minute) for minute in minutes]}
