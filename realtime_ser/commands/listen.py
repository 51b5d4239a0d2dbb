"""``realtime-ser listen``: the engine in the terminal."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime_ser.acoustic.execution import Execution
from realtime_ser.assembly import Models, build_engine, load_models
from realtime_ser.audio.sources import Source
from realtime_ser.commands.log import errors_into, start_log
from realtime_ser.config import ENGINE_RATE, RETURN_SECONDS
from realtime_ser.engine.channel import Channel, ChannelClosed, Policy
from realtime_ser.engine.engine import Engine, Phase
from realtime_ser.errors import EngineError, RealtimeSerError
from realtime_ser.inputs import Input, Pace, open_input
from realtime_ser.profiles import read_profile
from realtime_ser.records import records
from realtime_ser.types import (
    Estimate,
    EstimateState,
    Event,
    Health,
    Level,
    Output,
    Severity,
    Transcript,
    Verdict,
    WindowScores,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from realtime_ser.commands.outlets import OutletWish, Sending
    from realtime_ser.commands.sessions.record import Recording

__all__ = ["LiveView", "listen"]

_COLOURS = {"anger": "red", "happiness": "yellow", "neutral": "white", "sadness": "blue"}
_BAR = 32
_REFRESH = 10
"""Redraws a second."""


@dataclass(slots=True)
class LiveView:
    """What the terminal shows, kept up to date from outputs; drawing is separate from listening."""

    title: str
    recognizer: str
    classes: Sequence[str]
    position: int = 0
    level: Level | None = None
    estimate: Estimate | None = None
    transcript: Transcript | None = None
    health: Health | None = None
    windows: int = 0
    verdicts: deque[Verdict] = field(default_factory=lambda: deque(maxlen=8))
    count: int = 0
    unsure: int = 0
    tally: dict[str, int] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=3))
    away: Event | None = None
    recording: Callable[[], RenderableType] | None = None
    """Draws the sign that something is recorded."""
    sending: str = ""
    """What leaves the machine; empty: nothing."""

    def take(self, output: Output) -> None:
        """Note an output."""
        match output:
            case Level():
                # Its return is told by an event too, which a slow terminal may have missed.
                if self.away is not None and output.span.end > self.away.sample:
                    self.away = None
                self.level = output
                self.position = max(self.position, output.span.end)
            case WindowScores():
                self.windows += len(output.scores)
            case Transcript():
                self.transcript = output
            case Estimate():
                self.estimate = output
                if output.state is EstimateState.NO_SPEECH:
                    self.transcript = None
            case Verdict():
                self.verdicts.append(output)
                self.count += 1
                label = output.estimate.label
                if label is None:
                    self.unsure += 1
                else:
                    self.tally[label] = self.tally.get(label, 0) + 1
            case Health():
                self.health = output
            case Event():
                self.events.append(output)
                if output.kind == "device-lost":
                    self.away, self.level = output, None
                elif output.kind == "device-back":
                    self.away = None
            case _:
                pass

    def render(self) -> RenderableType:
        """The view as Rich draws it."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        parts: list[RenderableType] = [] if self.recording is None else [self.recording(), Text()]
        if self.sending:
            parts += [Text(f"▲ {self.sending}", style="bold magenta"), Text()]
        parts += [self._now(), Text()]
        parts += [self._bar(index, name) for index, name in enumerate(self.classes)]
        parts += [Text(), self._meter(), Text(), *(verdict_text(verdict) for verdict in self.verdicts)]
        parts += [Text(), self._health_line(), *(event_text(event) for event in self.events)]
        return Panel(Group(*parts), title=self.title, subtitle=f"words by {self.recognizer} · Ctrl-C stops", padding=(1, 2))

    def _now(self) -> RenderableType:
        from rich.text import Text

        if self.away is not None:
            return Text("no microphone", style="bold red").append("   it is looked for; Ctrl-C stops", style="dim")
        estimate = self.estimate
        if estimate is None or estimate.state is EstimateState.NO_SPEECH:
            return Text("no speech", style="dim")
        if estimate.label is None:
            head = Text(str(estimate.state), style="dim bold")
        else:
            head = Text(estimate.label, style=f"bold {_COLOURS.get(estimate.label, 'cyan')}")
            head.append(f"  {estimate.confidence:.0%}", style="bold")
        basis = f"   {estimate.voiced_seconds:.1f} s of voice, words count {estimate.word_share:.0%}"
        head.append(basis + (f"  ({estimate.note})" if estimate.note else ""), style="dim")
        if self.transcript is not None and self.transcript.words:
            head.append(f"\n“{self.transcript.text}”", style="italic")
            head.append(sureness(self.transcript), style="dim")
        return head

    def _bar(self, index: int, name: str) -> RenderableType:
        from rich.text import Text

        estimate = self.estimate
        score = float(estimate.scores[index]) if estimate is not None and len(estimate.scores) else 0.0
        filled = round(score * _BAR)
        bar = Text(f"{name:>10} ", style="")
        bar.append("█" * filled, style=_COLOURS.get(name, "cyan"))
        bar.append("·" * (_BAR - filled), style="dim")
        bar.append(f" {score:5.2f}" if estimate is not None and len(estimate.scores) else "     –")
        return bar

    def _meter(self) -> RenderableType:
        from rich.text import Text

        level = self.level
        rms = level.rms if level is not None else -math.inf
        filled = round(min(max((rms + 60.0) / 60.0, 0.0), 1.0) * _BAR)
        meter = Text(f"{'level':>10} ")
        meter.append("▮" * filled, style="green" if rms < -9 else "red")
        meter.append("▯" * (_BAR - filled), style="dim")
        meter.append(f" {rms:5.0f} dBFS" if math.isfinite(rms) else "  silence")
        if level is not None and level.clipped:
            meter.append("  CLIPPED", style="bold red")
        return meter

    def _health_line(self) -> RenderableType:
        from rich.text import Text

        return Text(health_line(self.position, self.windows, self.health), style="dim")

    def summary(self) -> str:
        """What was heard, in a few lines."""
        seconds = self.position / ENGINE_RATE
        lines = [f"Heard {seconds:.1f} s: {self.count} utterances, {self.windows} windows of 250 ms."]
        if self.count:
            parts = [f"{name} {self.tally[name]}" for name in self.classes if name in self.tally]
            if self.unsure:
                parts.append(f"unsure {self.unsure}")
            lines.append(f"Verdicts: {', '.join(parts)}.")
        lines.append(health_line(self.position, self.windows, self.health))
        return "\n".join(lines)


def health_line(position: int, windows: int, health: Health | None) -> str:
    """One line about how the machine copes."""
    parts = [f"{position / ENGINE_RATE:7.1f} s", f"{windows} windows"]
    if health is not None:
        parts += [f"{health.windows_skipped} skipped", f"{health.overruns} overruns"]
        if math.isfinite(health.latency_p50):
            parts.append(f"latency {health.latency_p50 * 1000:.0f}/{health.latency_p95 * 1000:.0f} ms (p50/p95)")
        if math.isfinite(health.real_time_factor):
            parts.append(f"{health.real_time_factor:.1%} of a core for the signal")
        if health.recognizer_lag:
            parts.append(f"words {health.recognizer_lag:.1f} s behind")
        if health.device_losses:
            parts.append(f"microphone lost {health.device_losses}×")
    return " · ".join(parts)


def verdict_text(verdict: Verdict) -> RenderableType:
    """A committed utterance as one line."""
    from rich.text import Text

    estimate = verdict.estimate
    start, end = verdict.span.seconds(ENGINE_RATE)
    line = Text(f"{start:7.1f}–{end:6.1f} s  ", style="dim")
    if estimate.label is None:
        line.append(f"{estimate.state!s:<10}", style="dim bold")
    else:
        line.append(f"{estimate.label:<10}", style=f"bold {_COLOURS.get(estimate.label, 'cyan')}")
    line.append(f" {estimate.confidence:4.0%}  ")
    if estimate.transcript is not None and estimate.transcript.words:
        line.append(f"“{estimate.transcript.text}”", style="italic")
        line.append(sureness(estimate.transcript), style="dim")
    elif estimate.note:
        line.append(f"({estimate.note})", style="dim")
    return line


def sureness(transcript: Transcript) -> str:
    """How sure the recogniser is of its words, as far as it says."""
    if math.isnan(transcript.confidence):
        return "" if transcript.final else "  (words may still change)"
    return f"  (words {transcript.confidence:.0%} sure)"


def event_text(event: Event) -> RenderableType:
    """An event as one line."""
    from rich.text import Text

    style = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}[event.severity]
    return Text(f"{event.sample / ENGINE_RATE:7.1f} s  {event.message}", style=style)


def listen(
    choice: Input,
    *,
    pace: Pace,
    as_json: bool,
    bundle: str | Path | None = None,
    recognizer: str | Path = "auto",
    execution: Execution | None = None,
    wait: float = RETURN_SECONDS,
    log: str | None = None,
    recording: Recording | None = None,
    sending: OutletWish | None = None,
    profile: str | None = None,
) -> int:
    """Run the engine on an input until it ends or the user stops it.

    Parameters
    ----------
    wait
        How long a microphone that went away is waited for, in seconds.
    log
        File to write the log into; ``None``: the usual one.
    recording
        Records it.
    sending
        What leaves the machine, and where markers come from; ``None``: nothing does.
    profile
        Name of the profile of the one who speaks, or its file.

    Raises
    ------
    RealtimeSerError
        Whatever prevented or ended it.
    """
    console = _console()
    log_file = start_log(log)
    if not as_json:
        console.print(f"Loading the networks … listening to {choice}.", style="dim", highlight=False)
    speaker = None if profile is None else read_profile(profile)
    models = load_models(bundle, recognizer, execution).for_speaker(speaker)
    source = open_input(choice, pace, wait)
    outlets = None
    with ExitStack() as undo:
        # Before there is a session's folder: what cannot be sent should leave nothing behind.
        if sending is not None:
            from realtime_ser.commands.outlets import Sending

            outlets = Sending(sending, models, recording)
            undo.callback(outlets.close)
        tapped: Source = source
        if recording is not None:
            tapped = recording.tap(source, models, choice)
            undo.callback(recording.discard)
        engine = build_engine(models, tapped)
        if recording is not None:
            recording.start(engine)
        if outlets is not None:
            outlets.start(engine)
        # Everything stands: from here on the engine's end is theirs, too.
        undo.pop_all()
    outputs = engine.subscribe(1_024, Policy.KEEP_ALL if not source.live else Policy.DROP_OLDEST)
    started, work = time.monotonic(), time.process_time()
    view = None
    picture = not as_json and console.is_terminal
    beside = nullcontext() if recording is None else recording
    with (
        _stopping_on_signals(engine),
        nullcontext() if outlets is None else outlets,
        beside,
        nullcontext() if outlets is None else outlets.inlet,
        errors_into(log_file) if picture else nullcontext(),
    ):
        engine.start()
        try:
            if as_json:
                _write_json(outputs, models)
            else:
                view = _show(outputs, models, str(choice), console, recording, outlets)
        finally:
            outputs.abandon()
            if recording is not None:
                recording.stopped = engine.phase is Phase.STOPPING
            try:
                _close(engine, log_file)
            finally:
                # Also where the microphone went away: what was heard until then stands.
                if view is not None:
                    console.print(view.summary(), highlight=False, soft_wrap=True)
                    cost = _cost(time.monotonic() - started, time.process_time() - work)
                    console.print(cost, style="dim", highlight=False, soft_wrap=True)
                    if view.events:
                        console.print(f"What happened is in {log_file}.", style="dim", highlight=False, soft_wrap=True)
    return 0


def _close(engine: Engine, log_file: Path) -> None:
    """End the engine; whatever stopped it is raised in words."""
    try:
        engine.close()
    except RealtimeSerError:
        raise
    except Exception as error:
        problem = f"The engine stopped on an internal error: {type(error).__name__}: {error}."
        raise EngineError(problem, f"Please report it, with what {log_file} says about it.") from error


def _cost(elapsed: float, own: float) -> str:
    """What listening cost the computer; the recogniser's process can be counted once it has ended."""
    parts = [f"{own / elapsed:.0%} of one core"]
    if sys.platform != "win32":
        import resource

        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        if recognizer := children.ru_utime + children.ru_stime:
            parts.append(f"{recognizer / elapsed:.0%} more for the recogniser's own process")
    return f"Took {elapsed:.1f} s and {', '.join(parts)}."


def _console() -> Console:
    from rich.console import Console

    return Console()


def _receive(outputs: Channel[Output], timeout: float) -> list[Output] | None:
    """What came within `timeout` seconds; ``None`` at the end."""
    try:
        first = outputs.get(timeout)
    except ChannelClosed:
        return None
    return [] if first is None else [first, *outputs.drain()]


def _write_json(outputs: Channel[Output], models: Models) -> None:
    while (batch := _receive(outputs, 0.2)) is not None:
        for output in batch:
            for record in records(output, models.classes):
                sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        # Whoever reads the other end of the pipe wants the scores now.
        sys.stdout.flush()


def _show(
    outputs: Channel[Output],
    models: Models,
    title: str,
    console: Console,
    recording: Recording | None,
    outlets: Sending | None,
) -> LiveView:
    label = models.recognizer.label
    view = LiveView(title, "nobody" if label is None else str(label), models.classes)
    if recording is not None:
        view.recording = recording.sign
    if outlets is not None:
        view.sending = outlets.sign
    known = (
        "" if models.profile is None else f"Adapted to {models.profile.name}, {models.profile.voiced_seconds:.0f} s of voice."
    )
    parts = (models.recognizer.note, models.recognizer.advice, f"Computed by {models.acoustic.form}", known)
    note = " ".join(filter(None, parts))
    console.print(note, style="dim", highlight=False, soft_wrap=True)
    if console.is_terminal:
        _show_live(outputs, view, console)
    else:
        _show_lines(outputs, view, console)
    return view


def _show_live(outputs: Channel[Output], view: LiveView, console: Console) -> None:
    from rich.live import Live

    with Live(view.render(), console=console, refresh_per_second=_REFRESH, auto_refresh=False, transient=True) as live:
        drawn = 0.0
        while (batch := _receive(outputs, 1 / _REFRESH)) is not None:
            for output in batch:
                view.take(output)
            if time.monotonic() - drawn >= 1 / _REFRESH:
                drawn = time.monotonic()
                live.update(view.render(), refresh=True)
    for line in (*map(verdict_text, view.verdicts), *map(event_text, view.events)):
        console.print(line, highlight=False)


def _show_lines(outputs: Channel[Output], view: LiveView, console: Console) -> None:
    """Without a terminal (a log, a pipe): a line for every verdict and event, nothing that redraws."""
    while (batch := _receive(outputs, 0.2)) is not None:
        for output in batch:
            view.take(output)
            if isinstance(output, Verdict):
                console.print(verdict_text(output), highlight=False, soft_wrap=True)
            elif isinstance(output, Event):
                console.print(event_text(output), highlight=False, soft_wrap=True)


@contextmanager
def _stopping_on_signals(engine: Engine) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the listening, not the program: what was heard is finished and summed up. Twice means it."""
    previous: dict[int, Any] = {}
    asked = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        engine.stop()

    for wanted in (signal.SIGINT, signal.SIGTERM):
        previous[wanted] = signal.signal(wanted, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
