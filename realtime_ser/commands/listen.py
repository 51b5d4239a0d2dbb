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
from realtime_ser.assembly import Models, build_people, load_models
from realtime_ser.commands.log import errors_into, start_log
from realtime_ser.config import ENGINE_RATE, RETURN_SECONDS
from realtime_ser.engine.channel import Channel, ChannelClosed, Policy
from realtime_ser.engine.engine import Phase
from realtime_ser.engine.people import People, Said
from realtime_ser.errors import EngineError, RealtimeSerError
from realtime_ser.inputs import Pace, PeopleInput, open_people
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

__all__ = ["LiveView", "PeopleView", "listen"]

_COLOURS = {"anger": "red", "happiness": "yellow", "neutral": "white", "sadness": "blue"}
_BAR = 32
_SIDE_BY_SIDE = 110
"""Columns that a terminal needs to show two people beside each other; in a narrower one they stand below each other."""
_VERDICTS_SHOWN = 8
_REFRESH = 10
"""Redraws a second."""


@dataclass(slots=True)
class LiveView:
    """What the terminal shows of one person, kept up to date from outputs; drawing is separate from listening."""

    title: str
    recognizer: str
    classes: Sequence[str]
    position: int = 0
    level: Level | None = None
    estimate: Estimate | None = None
    transcript: Transcript | None = None
    health: Health | None = None
    windows: int = 0
    verdicts: deque[Verdict] = field(default_factory=lambda: deque(maxlen=_VERDICTS_SHOWN))
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

        parts = [*self.signs(), *self.lane(_VERDICTS_SHOWN), *self.events_shown()]
        return Panel(Group(*parts), title=self.title, subtitle=f"words by {self.recognizer} · Ctrl-C stops", padding=(1, 2))

    def signs(self) -> list[RenderableType]:
        """That something is recorded or sent."""
        from rich.text import Text

        parts: list[RenderableType] = [] if self.recording is None else [self.recording(), Text()]
        if self.sending:
            parts += [Text(f"▲ {self.sending}", style="bold magenta"), Text()]
        return parts

    def lane(self, verdicts: int, bar: int = _BAR) -> list[RenderableType]:
        """What is heard now, the last `verdicts`, and how the machine copes; `bar`: characters of a score of 1."""
        from rich.text import Text

        shown = list(self.verdicts)[-verdicts:]
        return [
            self._now(),
            Text(),
            *(self._bar(index, name, bar) for index, name in enumerate(self.classes)),
            Text(),
            self._meter(bar),
            Text(),
            *map(verdict_text, shown),
            Text(),
            self._health_line(),
        ]

    def events_shown(self) -> list[RenderableType]:
        """What happened last."""
        return [event_text(event) for event in self.events]

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

    def _bar(self, index: int, name: str, width: int) -> RenderableType:
        from rich.text import Text

        estimate = self.estimate
        score = float(estimate.scores[index]) if estimate is not None and len(estimate.scores) else 0.0
        filled = round(score * width)
        bar = Text(f"{name:>10} ", style="")
        bar.append("█" * filled, style=_COLOURS.get(name, "cyan"))
        bar.append("·" * (width - filled), style="dim")
        bar.append(f" {score:5.2f}" if estimate is not None and len(estimate.scores) else "     –")
        return bar

    def _meter(self, width: int) -> RenderableType:
        from rich.text import Text

        level = self.level
        rms = level.rms if level is not None else -math.inf
        filled = round(min(max((rms + 60.0) / 60.0, 0.0), 1.0) * width)
        meter = Text(f"{'level':>10} ")
        meter.append("▮" * filled, style="green" if rms < -9 else "red")
        meter.append("▯" * (width - filled), style="dim")
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


class PeopleView:
    """What the terminal shows of one person or of several: a lane for each, on one clock.

    Parameters
    ----------
    views
        One for each person; what is recorded and sent is told by the first.
    names
        Of the people, ``("",)`` for one.
    width
        Of the terminal in columns.
    """

    def __init__(self, views: Sequence[LiveView], names: Sequence[str], width: int) -> None:
        self.views = tuple(views)
        self._names = tuple(names)
        self._beside = width >= _SIDE_BY_SIDE
        self._spoken: deque[tuple[int, Verdict]] = deque(maxlen=_VERDICTS_SHOWN)
        # What happens to a device that several people share happens once.
        self._happened: deque[tuple[int, Event]] = deque(maxlen=3)

    @property
    def any_events(self) -> bool:
        """Whether anything happened."""
        return bool(self._happened)

    def take(self, said: Said) -> RenderableType | None:
        """Note an output; a verdict, or an event that is not known yet, as one line."""
        person, output = said.person, said.output
        self.views[person].take(output)
        match output:
            case Verdict():
                self._spoken.append((person, output))
                return verdict_text(output, self._names[person])
            case Event() if all(event != output for _, event in self._happened):
                self._happened.append((person, output))
                return event_text(output, self._names[person])
            case _:
                return None

    def render(self) -> RenderableType:
        """The view as Rich draws it."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        first = self.views[0]
        if len(self.views) == 1:
            return first.render()
        verdicts, bar = (_VERDICTS_SHOWN // 2, _BAR // 2) if self._beside else (2, _BAR)
        lanes = [
            Panel(Group(*view.lane(verdicts, bar)), title=Text(name, style="bold"), title_align="left", padding=(1, 1))
            for view, name in zip(self.views, self._names, strict=True)
        ]
        events = [event_text(event, self._names[person]) for person, event in self._happened]
        if self._beside:
            table = Table.grid(expand=True)
            for _ in lanes:
                table.add_column(ratio=1)
            table.add_row(*lanes)
            body = [*first.signs(), table, *events]
        else:
            body = [*first.signs(), *lanes, *events]
        return Panel(Group(*body), title=first.title, subtitle=f"words by {first.recognizer} · Ctrl-C stops", padding=(0, 1))

    def last_lines(self) -> list[RenderableType]:
        """The last verdicts and events, to be left in the terminal."""
        verdicts = [verdict_text(verdict, self._names[person]) for person, verdict in self._spoken]
        return [*verdicts, *(event_text(event, self._names[person]) for person, event in self._happened)]

    def summary(self) -> str:
        """What was heard, in a few lines for everybody."""
        if len(self.views) == 1:
            return self.views[0].summary()
        return "\n".join(f"{name}: {view.summary()}" for view, name in zip(self.views, self._names, strict=True))


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
        if health.judgement_lag:
            parts.append(f"verdicts {health.judgement_lag:.1f} s behind")
        if health.device_losses:
            parts.append(f"microphone lost {health.device_losses}×")
    return " · ".join(parts)


def verdict_text(verdict: Verdict, person: str = "") -> RenderableType:
    """A committed utterance as one line; of several people it begins with whose it is."""
    from rich.text import Text

    estimate = verdict.estimate
    start, end = verdict.span.seconds(ENGINE_RATE)
    line = Text(f"{start:7.1f}–{end:6.1f} s  ", style="dim")
    if person:
        line.append(f"{person}  ", style="bold")
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
    if verdict.is_bleed:
        line.append(f"  ↔ probably bleed ({verdict.bleed:.0%})", style="bold yellow")
    return line


def sureness(transcript: Transcript) -> str:
    """How sure the recogniser is of its words, as far as it says."""
    if math.isnan(transcript.confidence):
        return "" if transcript.final else "  (words may still change)"
    return f"  (words {transcript.confidence:.0%} sure)"


def event_text(event: Event, person: str = "") -> RenderableType:
    """An event as one line."""
    from rich.text import Text

    style = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}[event.severity]
    who = f"{person}: " if person else ""
    return Text(f"{event.sample / ENGINE_RATE:7.1f} s  {who}{event.message}", style=style)


def listen(
    choice: PeopleInput,
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
    """Run an engine for everybody who is listened to, until the input ends or the user stops it.

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
    sources = open_people(choice, pace, wait)
    outlets = None
    with ExitStack() as undo:
        # Before there is a session's folder: what cannot be sent should leave nothing behind.
        if sending is not None:
            from realtime_ser.commands.outlets import Sending

            outlets = Sending(sending, models, recording, choice.names)
            undo.callback(outlets.close)
        tapped = sources
        if recording is not None:
            tapped = recording.tap(sources, models, choice)
            undo.callback(recording.discard)
        people = build_people(models, tapped, names=choice.names, one_clock=choice.one_clock)
        if recording is not None:
            recording.start(people)
        if outlets is not None:
            outlets.start(people)
        # Everything stands: from here on the engines' end is theirs, too.
        undo.pop_all()
    outputs = people.subscribe(1_024 * choice.people, Policy.DROP_OLDEST if sources[0].live else Policy.KEEP_ALL)
    started, work = time.monotonic(), time.process_time()
    view = None
    picture = not as_json and console.is_terminal
    beside = nullcontext() if recording is None else recording
    with (
        _stopping_on_signals(people),
        nullcontext() if outlets is None else outlets,
        beside,
        nullcontext() if outlets is None else outlets.inlet,
        errors_into(log_file) if picture else nullcontext(),
    ):
        people.start()
        try:
            if as_json:
                _write_json(outputs, models, choice.names)
            else:
                view = _show(outputs, models, choice, console, recording, outlets)
        finally:
            outputs.abandon()
            if recording is not None:
                recording.stopped = people.phase is Phase.STOPPING
            try:
                _close(people, log_file)
            finally:
                # Also where the microphone went away: what was heard until then stands.
                if view is not None:
                    console.print(view.summary(), highlight=False, soft_wrap=True)
                    cost = _cost(time.monotonic() - started, time.process_time() - work)
                    console.print(cost, style="dim", highlight=False, soft_wrap=True)
                    if view.any_events:
                        console.print(f"What happened is in {log_file}.", style="dim", highlight=False, soft_wrap=True)
    return 0


def _close(people: People, log_file: Path) -> None:
    """End the engines; whatever stopped them is raised in words."""
    try:
        people.close()
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


def _receive(outputs: Channel[Said], timeout: float) -> list[Said] | None:
    """What came within `timeout` seconds; ``None`` at the end."""
    try:
        first = outputs.get(timeout)
    except ChannelClosed:
        return None
    return [] if first is None else [first, *outputs.drain()]


def _write_json(outputs: Channel[Said], models: Models, names: Sequence[str]) -> None:
    while (batch := _receive(outputs, 0.2)) is not None:
        for said in batch:
            for record in records(said.output, models.classes, person=names[said.person]):
                sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        # Whoever reads the other end of the pipe wants the scores now.
        sys.stdout.flush()


def _show(
    outputs: Channel[Said],
    models: Models,
    choice: PeopleInput,
    console: Console,
    recording: Recording | None,
    outlets: Sending | None,
) -> PeopleView:
    label = models.recognizer.label
    views = [LiveView(str(choice), "nobody" if label is None else str(label), models.classes) for _ in choice.names]
    if recording is not None:
        views[0].recording = recording.sign
    if outlets is not None:
        views[0].sending = outlets.sign
    view = PeopleView(views, choice.names, console.width)
    known = (
        "" if models.profile is None else f"Adapted to {models.profile.name}, {models.profile.voiced_seconds:.0f} s of voice."
    )
    words = models.recognizer
    parts = (words.note, words.advice, words.command, f"Computed by {models.acoustic.form}", known)
    note = " ".join(filter(None, parts))
    console.print(note, style="dim", highlight=False, soft_wrap=True)
    if console.is_terminal:
        _show_live(outputs, view, console)
    else:
        _show_lines(outputs, view, console)
    return view


def _show_live(outputs: Channel[Said], view: PeopleView, console: Console) -> None:
    from rich.live import Live

    with Live(view.render(), console=console, refresh_per_second=_REFRESH, auto_refresh=False, transient=True) as live:
        drawn = 0.0
        while (batch := _receive(outputs, 1 / _REFRESH)) is not None:
            for said in batch:
                view.take(said)
            if time.monotonic() - drawn >= 1 / _REFRESH:
                drawn = time.monotonic()
                live.update(view.render(), refresh=True)
    for line in view.last_lines():
        console.print(line, highlight=False)


def _show_lines(outputs: Channel[Said], view: PeopleView, console: Console) -> None:
    """Without a terminal (a log, a pipe): a line for every verdict and event, nothing that redraws."""
    while (batch := _receive(outputs, 0.2)) is not None:
        for said in batch:
            line = view.take(said)
            if line is not None:
                console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def _stopping_on_signals(people: People) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the listening, not the program: what was heard is finished and summed up. Twice means it."""
    previous: dict[int, Any] = {}
    asked = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        people.stop()

    for wanted in (signal.SIGINT, signal.SIGTERM):
        previous[wanted] = signal.signal(wanted, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
