"""How everything is doing, in figures: for the health panel and, as plain text, for a report of a problem. No Qt here.

Neither words nor scores are in it: a report is made to be passed on.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from realtime_ser import __version__
from realtime_ser.audio.sources import SourceStatus
from realtime_ser.gui.models import EventLog, HealthItem, clock, health_items
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Health, Output, WindowScores

__all__ = [
    "FrameTimes",
    "ProcessUse",
    "Section",
    "Way",
    "WaysToScreen",
    "health_sections",
    "log_file",
    "log_tail",
    "report_text",
]

_ENGINE = ("windows", "skipped", "latency", "load")
_SLOW = 0.25
"""Seconds to the screen from which on somebody should look why."""
_LOG_LINES = 40
_LOG_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Section:
    """Figures about one part of the program."""

    title: str
    items: tuple[HealthItem, ...]


class ProcessUse:
    """What this program takes from the computer, with the processes that it has started (the recogniser's).

    Belongs to one thread.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before: tuple[float, float] | None = None

    def _members(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return [self._process]

    def measure(self) -> tuple[float, float]:
        """Cores in use since the last call (1.0: one of them all the time; ``nan`` at the first), and memory in MB."""
        now, seconds, memory = time.perf_counter(), 0.0, 0.0
        for member in self._members():
            try:
                times, bytes_used = member.cpu_times(), member.memory_info().rss
            except psutil.Error:  # it has ended meanwhile
                continue
            seconds += times.user + times.system
            memory += bytes_used / 1e6
        before, self._before = self._before, (now, seconds)
        if before is None:
            return math.nan, memory
        return max(0.0, (seconds - before[1]) / max(now - before[0], 1e-6)), memory


@dataclass
class FrameTimes:
    """When the window drew, over the last seconds; of one thread."""

    seconds: float = 10.0
    _times: deque[float] = field(default_factory=deque)

    def drawn(self, at: float) -> None:
        """Note a picture; `at` in seconds of ``perf_counter()``."""
        self._times.append(at)
        while self._times[0] < at - self.seconds:
            self._times.popleft()

    def rate(self) -> float:
        """Pictures per second; ``nan`` before there are two."""
        if len(self._times) < 2:
            return math.nan
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def longest_pause(self) -> float:
        """Seconds between two pictures at most; ``nan`` before there are two."""
        pairs = zip(self._times, list(self._times)[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=math.nan)


class Way(NamedTuple):
    """How long the newest sample of a frame took through every part of its way, in seconds."""

    capture: float
    compute: float
    wait: float
    paint: float


@dataclass
class WaysToScreen:
    """The ways of the newest samples to the painted frames of the last seconds; of one thread."""

    seconds: float = 10.0
    _ways: deque[tuple[float, Way]] = field(default_factory=deque)
    _newest: tuple[float, float, float, float] | None = None

    def taken(self, outputs: Iterable[Output], at: float) -> None:
        """Note what the window has got to show; `at` in seconds of ``perf_counter()``."""
        for output in outputs:
            if isinstance(output, WindowScores):
                captured, arrived, computed = output.captured_at, output.arrived_at, output.computed_at
                if captured is None or arrived is None or computed is None:
                    self._newest = None
                else:
                    self._newest = captured, arrived, computed, at

    def painted(self, at: float) -> Way | None:
        """Note a complete frame; the first one after scores were taken shows them, and is a way."""
        if self._newest is None:
            return None
        captured, arrived, computed, taken = self._newest
        self._newest = None
        way = Way(arrived - captured, computed - arrived, taken - computed, at - taken)
        self._ways.append((at, way))
        while self._ways[0][0] < at - self.seconds:
            self._ways.popleft()
        return way

    def mean(self) -> Way:
        """Means, which add up to the mean of the whole way; ``nan`` before there is any."""
        count = len(self._ways)
        return (
            Way(*(math.fsum(part) / count for part in zip(*(way for _, way in self._ways), strict=True))) if count else _UNKNOWN
        )

    def longest(self) -> float:
        """The slowest whole way; ``nan`` before there is any."""
        return max((sum(way) for _, way in self._ways), default=math.nan)


_UNKNOWN = Way(math.nan, math.nan, math.nan, math.nan)


def _number(value: float, form: str, unit: str) -> str:
    return "–" if math.isnan(value) else f"{value:{form}} {unit}"


def health_sections(
    health: Health | None,
    source: SourceStatus | None,
    recording: RecordingStatus | None,
    recognizer: str,
    frames: FrameTimes,
    use: tuple[float, float],
    person: str = "",
    ways: WaysToScreen | None = None,
    computed_by: str = "",
) -> tuple[Section, ...]:
    """Everything that is known, by part.

    Parameters
    ----------
    health, source, recording
        ``None`` where nothing runs or is recorded.
    use
        Of :meth:`ProcessUse.measure`.
    person
        Whose sound, engine and words these are, where there are two people.
    ways
        Of the newest samples to the screen.
    computed_by
        What computes the networks; sentences about why may follow.
    """
    whose = f" of {person}" if person else ""
    figures = {item.name: item for item in health_items(health)}
    device = [HealthItem("input", "none", "nothing is listened to")]
    if source is not None:
        form = f"{source.native_rate} Hz, {source.channels} channel{'' if source.channels == 1 else 's'}"
        device = [
            HealthItem("input", source.device or "–", "as its driver names it", source.lost),
            HealthItem("format", form if source.native_rate else "–", "as the device delivers it"),
            HealthItem(
                "device latency",
                _number(1e3 * source.input_latency_seconds, ".0f", "ms"),
                "as its driver states it, not measured",
            ),
            HealthItem(
                "resampler",
                _number(1e3 * source.resampling_latency_seconds, ".0f", "ms"),
                "the longest that a sample waited in it",
            ),
            HealthItem("went away", f"{source.losses} ×", "how often the device was lost and found again", source.losses > 0),
            HealthItem(
                "no numbers",
                str(source.invalid_samples),
                "values that were none and were replaced by 0",
                source.invalid_samples > 0,
            ),
        ]
    cores, memory = use
    rate, pause = frames.rate(), frames.longest_pause()
    written = [HealthItem("recording", "no", "nothing is kept")]
    if recording is not None:
        failed = recording.phase == "failed"
        written = [
            HealthItem("recording", recording.phase, recording.problem or "the session's state", failed),
            HealthItem("written", f"{recording.seconds:.0f} s", str(recording.folder)),
        ]
    return (
        Section(f"Sound{whose}", (*device, figures["overruns"], figures["dropped"], figures["clock"])),
        Section(f"Engine{whose}", (*_computed(computed_by), *(figures[name] for name in _ENGINE))),
        Section(f"From a sample to the screen{whose}", _way_items(ways or WaysToScreen())),
        Section(
            f"Words{whose}", (HealthItem("recogniser", recognizer or "none", "what writes the words"), figures["words lag"])
        ),
        Section("Session", tuple(written)),
        Section(
            "Program",
            (
                HealthItem(
                    "processor",
                    _number(100.0 * cores, ".0f", "% of a core"),
                    "everything: engine, recogniser and window; known a second after this panel was opened",
                ),
                HealthItem("memory", f"{memory:.0f} MB", "resident, with the recogniser's process"),
                HealthItem(
                    "pictures", _number(rate, ".0f", "per second"), "of this window, over the last ten seconds", rate < 20.0
                ),
                HealthItem(
                    "longest pause", _number(1e3 * pause, ".0f", "ms"), "between two of them; 33 ms is the aim", pause > 0.2
                ),
            ),
        ),
    )


def _computed(by: str) -> tuple[HealthItem, ...]:
    what, _, why = by.rstrip(".").partition(". ")
    return (HealthItem("computed by", what or "–", why or "what computes the networks, and with which weights"),)


def _way_items(ways: WaysToScreen) -> tuple[HealthItem, ...]:
    """The parts of the way, and their sum."""
    mean, longest = ways.mean(), ways.longest()

    def item(name: str, seconds: float, meaning: str, worrying: bool = False) -> HealthItem:
        return HealthItem(name, _number(1e3 * seconds, ".1f", "ms"), meaning, worrying)

    return (
        item("capture", mean.capture, "from when the newest sample sounded until the engine had it: device and resampler"),
        item("compute", mean.compute, "until its scores were ready"),
        item("wait", mean.wait, "until this window looked for them, which it does thirty times a second"),
        item("paint", mean.paint, "until the picture with them was complete"),
        item("in all", sum(mean), "mean of the last ten seconds, as the parts; 80 ms is the aim", sum(mean) > _SLOW),
        item("at most", longest, "the slowest of them"),
    )


def log_file() -> Path | None:
    """Where the program writes its log, if it does."""
    for handler in logging.getLogger("realtime_ser").handlers:
        if isinstance(handler, logging.FileHandler) and handler.baseFilename != os.devnull:
            return Path(handler.baseFilename)
    return None


def log_tail(path: Path | None, lines: int = _LOG_LINES) -> tuple[str, ...]:
    """The last lines of the log; none where there is none or it cannot be read."""
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return tuple(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ()


def report_text(
    sections: Sequence[Section], events: EventLog, tail: Sequence[str], bundle: str = "", log: Path | None = None
) -> str:
    """All of it as plain text, for whoever is to find out what went wrong."""
    lines = [
        f"realtime-ser {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{psutil.cpu_count() or '?'} processors, bundle {bundle or 'none'}",
    ]
    for section in sections:
        lines += ["", section.title]
        lines += [f"  {item.name}: {item.value}{'  (!)' if item.worrying else ''}" for item in section.items]
    lines += ["", "Messages"]
    for entry in reversed(events.entries):
        times = f" (×{entry.times})" if entry.times > 1 else ""
        lines.append(f"  {clock(entry.sample)} {entry.severity}: {entry.message}{times}")
    if not events.entries:
        lines.append("  none")
    if tail:
        lines += ["", f"Log{f' ({log})' if log is not None else ''}", *(f"  {line}" for line in tail)]
    return "\n".join(lines) + "\n"
