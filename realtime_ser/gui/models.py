"""View-models: what the panels draw, kept up to date from the engine's messages. No Qt, no clock but the sample index.

:class:`DashboardModel` consumes every message once; panels read it as often as they like. All of it belongs to one thread.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from realtime_ser.config import ENGINE_RATE
from realtime_ser.gui.controller import Phase
from realtime_ser.session.writer import Marker
from realtime_ser.text.weights import WordWeights
from realtime_ser.types import (
    Estimate,
    EstimateState,
    Event,
    FloatArray,
    Health,
    Level,
    Output,
    Severity,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    VoiceActivity,
    WindowScores,
)

__all__ = [
    "BIN_SAMPLES",
    "FEWEST_WORDS",
    "AxisTime",
    "BinnedRing",
    "DashboardModel",
    "EventLog",
    "HealthItem",
    "LoggedEvent",
    "MeterModel",
    "NowView",
    "RowRing",
    "TranscriptModel",
    "UtteranceRow",
    "clock",
    "coarser",
    "health_items",
    "last_of_each",
    "now_view",
    "sureness",
]

BIN_SAMPLES = 800
"""Samples that share a column of the timeline (50 ms): about a pixel when a minute is shown, and five hops."""

SILENCE_DB = -120.0
"""What stands for minus infinity where a number has to be drawn."""


def clock(samples: int, sample_rate: int = ENGINE_RATE) -> str:
    """A position as ``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, seconds = divmod(samples // sample_rate, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class BinnedRing:
    """The newest bins of something that is measured along the sample clock; bins without a value are NaN.

    Rows are kept twice, one ring length apart, so that the newest bins are one slice, whatever the position: reading copies
    nothing.

    Parameters
    ----------
    bins, columns
        Shape of what is kept.
    combine
        What becomes of several values of one bin: their ``"mean"`` or their ``"max"``.
    """

    def __init__(self, bins: int, columns: int, combine: Literal["mean", "max"] = "mean") -> None:
        self.bins = bins
        self._data = np.full((2 * bins, columns), np.nan, dtype=np.float32)
        self._counts = np.zeros(bins, dtype=np.int64)
        self._combine = combine
        self._end = 0  # exclusive: the bin after the newest

    @property
    def end(self) -> int:
        """The bin after the newest one."""
        return self._end

    def advance(self, end: int) -> None:
        """Let the ring reach up to bin `end` (exclusive); bins in between have no value."""
        if end <= self._end:
            return
        fresh = np.arange(max(self._end, end - self.bins), end) % self.bins
        self._data[fresh] = np.nan
        self._data[fresh + self.bins] = np.nan
        self._counts[fresh] = 0
        self._end = end

    def add(self, bins: NDArray[np.int64], rows: FloatArray) -> None:
        """Add a row to each of `bins`, shape ``(rows,)``, ascending; rows of bins that are too old are dropped."""
        if not len(bins):
            return
        self.advance(int(bins[-1]) + 1)
        firsts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
        for first, last in zip(firsts, [*firsts[1:], len(bins)], strict=True):
            bin_index = int(bins[first])
            if bin_index < self._end - self.bins or bin_index < 0:
                continue
            slot = bin_index % self.bins
            new, old, count = rows[first:last], self._data[slot], int(self._counts[slot])
            if self._combine == "max":
                value = new.max(axis=0) if count == 0 else np.maximum(old, new.max(axis=0))
            else:
                total = new.sum(axis=0) if count == 0 else new.sum(axis=0) + old * count
                value = total / (count + len(new))
            self._data[slot] = value
            self._data[slot + self.bins] = value
            self._counts[slot] = count + len(new)

    def view(self) -> FloatArray:
        """The newest bins, oldest first, shape ``(bins, columns)``: row ``i`` is bin ``end - bins + i``. Not a copy."""
        start = self._end % self.bins
        return self._data[start : start + self.bins]


def coarser(ring: BinnedRing, stride: int, combine: Literal["mean", "max"] = "mean") -> tuple[int, FloatArray]:
    """A ring's bins in groups of `stride`: less to draw where a bin is less than a pixel.

    The groups stand on the absolute grid of bins, so that a picture does not shimmer as it scrolls.

    Returns
    -------
    The first bin of the first group, and the rows, shape ``(groups, columns)``; NaN where no bin of a group has a value.
    """
    first = ring.end - ring.bins
    skipped = -first % stride
    rows = ring.view()[skipped:]
    missing = -len(rows) % stride
    if missing:
        rows = np.concatenate([rows, np.full((missing, rows.shape[1]), np.nan, dtype=np.float32)])
    groups = rows.reshape(-1, stride, rows.shape[1])
    if combine == "max" or stride == 1:
        return first + skipped, np.asarray(np.fmax.reduce(groups, axis=1))
    known = np.isfinite(groups)
    counts = known.sum(axis=1)
    totals = np.where(known, groups, np.float32(0.0)).sum(axis=1)
    means = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return first + skipped, means.astype(np.float32)


def last_of_each(rows: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Of rows that begin with a sample, the last in each stretch of `samples`, and those that interrupt a line (NaN)."""
    slots = rows[:, 0] // samples
    return rows[np.append(slots[1:] != slots[:-1], True)[: len(rows)] | np.isnan(rows[:, -1])]


class RowRing:
    """The newest rows of a sequence, readable as one slice without copying."""

    def __init__(self, capacity: int, columns: int) -> None:
        self._capacity = capacity
        self._data = np.full((2 * capacity, columns), np.nan, dtype=np.float64)
        self._count = 0

    def append(self, row: Sequence[float] | NDArray[np.float64]) -> None:
        """Add a row, shape ``(columns,)``."""
        slot = self._count % self._capacity
        self._data[slot] = row
        self._data[slot + self._capacity] = row
        self._count += 1

    def view(self) -> NDArray[np.float64]:
        """The rows kept, oldest first, shape ``(up to capacity, columns)``. Not a copy."""
        if self._count <= self._capacity:
            return self._data[: self._count]
        start = self._count % self._capacity
        return self._data[start : start + self._capacity]


class AxisTime:
    """Where a time axis stands while sound comes in blocks: it moves as evenly as time does.

    Drawn at the newest sample, the axis would stand still in one picture and leap in the next. Time passes instead, and a tenth
    of what is between it and the newest sample is made good with every picture.
    """

    _AHEAD, _BEHIND = 0.15, 0.08
    """Seconds by which it may be ahead of the newest sample, or behind it, before it jumps there."""
    _SILENT = 0.1
    """Seconds without anything new after which it stands still."""
    _PULL = 0.1

    def __init__(self, sample_rate: int = ENGINE_RATE) -> None:
        self._rate = sample_rate
        self._newest, self._newest_at = 0, -math.inf
        self._stands, self._asked_at = 0.0, -math.inf

    def follow(self, newest: int, at: float, *, running: bool) -> int:
        """The sample to draw as "now".

        Parameters
        ----------
        newest
            The newest sample that is known.
        at
            The time, s; never less than the last time.
        running
            Whether sound comes in; otherwise it stands at the newest sample.
        """
        passed, self._asked_at = at - self._asked_at, at
        if newest != self._newest:
            self._newest, self._newest_at = newest, at
        if running and at - self._newest_at > self._SILENT and self._stands >= newest:
            return round(self._stands)
        even = self._stands + min(passed, 1.0) * self._rate
        behind = (newest - even) / self._rate
        if not running or not -self._AHEAD < behind < self._BEHIND:
            even = newest
        self._stands = even + self._PULL * (newest - even)
        return round(self._stands)


@dataclass(slots=True)
class MeterModel:
    """A level meter's ballistics, run by the sample clock.

    Attributes
    ----------
    peak, rms
        dBFS now; the bar falls by `fall` dB a second, so that short peaks can be seen.
    held
        The highest peak of the last `hold` seconds, dBFS.
    clipped
        Samples at or beyond full scale since :meth:`forgive`.
    silent
        The last block was a constant: muted, not quiet.
    """

    sample_rate: int = ENGINE_RATE
    hold: float = 1.5
    fall: float = 24.0
    peak: float = -math.inf
    rms: float = -math.inf
    held: float = -math.inf
    clipped: int = 0
    silent: bool = False
    _held_until: int = 0

    def consume(self, level: Level) -> None:
        """Follow one message."""
        drop = self.fall * len(level.span) / self.sample_rate
        self.peak = max(level.peak, self.peak - drop)
        self.rms = max(level.rms, self.rms - drop)
        if level.peak >= self.held:
            self.held = level.peak
            self._held_until = level.span.end + round(self.hold * self.sample_rate)
        elif level.span.end > self._held_until:
            self.held = max(level.peak, self.held - drop)
        self.clipped += level.clipped
        self.silent = level.silent

    def forgive(self) -> None:
        """Forget that it clipped."""
        self.clipped = 0

    def rest(self) -> None:
        """Nothing is being heard: bars down; the clipping mark stays until it is seen to."""
        self.peak = self.rms = self.held = -math.inf
        self.silent = False


@dataclass(slots=True)
class UtteranceRow:
    """What is known of one utterance. `revision` grows with every change."""

    utterance: int
    span: Span
    ended: bool = False
    transcript: Transcript | None = None
    verdict: Verdict | None = None
    revision: int = 0


class TranscriptModel:
    """The newest utterances with their words and verdicts, oldest first."""

    def __init__(self, capacity: int = 200) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[int, UtteranceRow] = OrderedDict()
        self.revision = 0

    @property
    def rows(self) -> Sequence[UtteranceRow]:
        """Oldest first."""
        return tuple(self._rows.values())

    def consume(self, message: UtteranceStart | UtteranceEnd | Transcript | Verdict) -> None:
        """Follow one message; messages of an utterance may come in any order."""
        if isinstance(message, UtteranceStart):
            self._row(message.utterance, Span(message.onset, message.decided_at))
        elif isinstance(message, UtteranceEnd):
            row = self._row(message.utterance, message.span)
            row.span, row.ended = message.span, True
        elif isinstance(message, Transcript):
            first = message.words[0].span.first if message.words else message.heard_until
            row = self._row(message.utterance, Span(min(first, message.heard_until), message.heard_until))
            row.transcript = message
        else:
            row = self._row(message.utterance, message.span)
            row.span, row.ended, row.verdict = message.span, True, message
            # NB: the verdict's transcript is the one that counted; a later final one may still replace it for reading.
            if row.transcript is None:
                row.transcript = message.estimate.transcript

    def _row(self, utterance: int, span: Span) -> UtteranceRow:
        self.revision += 1
        row = self._rows.get(utterance)
        if row is None:
            row = self._rows[utterance] = UtteranceRow(utterance, span)
            while len(self._rows) > self._capacity:
                self._rows.popitem(last=False)
        row.revision = self.revision
        return row


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event and how often it has come; `sample` and `message` are the latest."""

    sample: int
    kind: str
    severity: Severity
    message: str
    times: int = 1


class EventLog:
    """Events, newest last. One that repeats the newest of its kind within `quiet` seconds is counted, not listed again."""

    def __init__(self, capacity: int = 100, quiet: float = 30.0, sample_rate: int = ENGINE_RATE) -> None:
        self._entries: list[LoggedEvent] = []
        self._capacity = capacity
        self._quiet = round(quiet * sample_rate)
        self.revision = 0

    @property
    def entries(self) -> Sequence[LoggedEvent]:
        """Oldest first."""
        return tuple(self._entries)

    @property
    def newest(self) -> LoggedEvent | None:
        """The one to show when there is room for one."""
        return self._entries[-1] if self._entries else None

    def consume(self, event: Event) -> None:
        """Add an event, or count it as a repetition."""
        self.revision += 1
        times = 1
        for index in range(len(self._entries) - 1, -1, -1):
            entry = self._entries[index]
            if entry.kind == event.kind:
                if entry.severity == event.severity and event.sample - entry.sample <= self._quiet:
                    times = entry.times + 1
                    del self._entries[index]
                break
        self._entries.append(LoggedEvent(event.sample, event.kind, event.severity, event.message, times))
        del self._entries[: -self._capacity]


@dataclass(frozen=True, slots=True)
class HealthItem:
    """One figure of the health line; `worrying` asks for attention."""

    name: str
    value: str
    meaning: str
    worrying: bool = False


def _milliseconds(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{1000.0 * seconds:.0f}"


def health_items(health: Health | None, sample_rate: int = ENGINE_RATE) -> tuple[HealthItem, ...]:
    """The health line's figures, in a fixed order; dashes where nothing is known."""
    if health is None:
        names = ("windows", "skipped", "latency", "words lag", "overruns", "dropped", "clock", "load")
        return tuple(HealthItem(name, "–", "not known until the engine runs") for name in names)
    h = health
    drift = "–" if math.isnan(h.clock_drift) else f"{h.clock_drift:+.0f} ppm"
    latency = "–" if math.isnan(h.latency_p50) else f"{_milliseconds(h.latency_p50)} / {_milliseconds(h.latency_p95)} ms"
    load = "–" if math.isnan(h.real_time_factor) else f"{100.0 * h.real_time_factor:.0f} %"
    items = (
        HealthItem("windows", f"{h.windows_computed:,}".replace(",", " "), "windows of 250 ms evaluated"),
        HealthItem(
            "skipped",
            f"{h.windows_skipped:,}".replace(",", " "),
            "windows that could not be evaluated because of gaps or drops",
            h.windows_skipped > 0,
        ),
        HealthItem(
            "latency",
            latency,
            "from the newest sample of a window to its scores: median / 95th percentile",
            h.latency_p95 > 0.25,
        ),
        HealthItem("words lag", f"{h.recognizer_lag:.1f} s", "audio that waits for the recogniser", h.recognizer_lag > 2.0),
        HealthItem("overruns", str(h.overruns), "blocks that the device reported as lost", h.overruns > 0),
        HealthItem(
            "dropped",
            f"{1000.0 * h.dropped_samples / sample_rate:.0f} ms",
            "audio lost before the first stage",
            h.dropped_samples > 0,
        ),
        HealthItem("clock", drift, "by how much the device's clock runs faster than the computer's"),
        HealthItem(
            "load",
            load,
            f"compute time divided by audio time; fullest queue {100.0 * h.queue_fill:.0f} %",
            h.real_time_factor > 0.8 or h.queue_fill > 0.8,
        ),
    )
    # Only where there is something to say: it never lags while the computer keeps up.
    if h.judgement_lag <= 2.0:
        return items
    return (*items, HealthItem("verdicts lag", f"{h.judgement_lag:.1f} s", "audio that waits for the judgement", True))


@dataclass(frozen=True, slots=True)
class NowView:
    """What the "now" panel says.

    Attributes
    ----------
    headline
        The big word.
    class_index
        The class that the headline names, if it names one.
    confidence
        In [0, 1], where there are scores.
    scores, acoustic, text
        Shape ``(classes,)``, or ``None``.
    rests_on, note
        What the estimate rests on, and its limits.
    voice_share, word_share
        In [0, 1].
    sureness
        How sure the recogniser is of the words, as far as it has said so; empty where it has not.
    heaviest
        The words that weighed most for the class in front, as far as they are known.
    """

    headline: str
    explanation: str = ""
    class_index: int | None = None
    confidence: float | None = None
    scores: FloatArray | None = None
    acoustic: FloatArray | None = None
    text: FloatArray | None = None
    rests_on: str = ""
    note: str = ""
    voice_share: float = 0.0
    word_share: float = 0.0
    sureness: str = ""
    heaviest: tuple[str, ...] = ()


FEWEST_WORDS = 3
"""Words of which it makes sense to say which weighed most."""

_PHASES: dict[Phase, tuple[str, str]] = {
    "loading": ("Loading", "the model is being read"),
    "stopped": ("Ready", "choose an input and press Start"),
    "starting": ("Starting", "the input is being opened"),
    "stopping": ("Stopping", "the last utterance is being finished"),
    "finished": ("Finished", "the recording has been heard to its end"),
    "failed": ("Stopped", "see the message above"),
}


def sureness(transcript: Transcript) -> str:
    """How sure the recogniser is of the words that it has settled; empty where there are none."""
    known = [word.confidence for word in transcript.words if not math.isnan(word.confidence)]
    if not known:
        return ""
    mean = f"{100.0 * math.fsum(known) / len(known):.0f} % sure"
    return mean if len(known) == len(transcript.words) else f"{mean} of the first {len(known)}"


def now_view(
    phase: Phase,
    estimate: Estimate | None,
    classes: Sequence[str],
    *,
    away: bool = False,
    weights: WordWeights | None = None,
) -> NowView:
    """Put the latest estimate, or the reason why there is none, into words.

    Parameters
    ----------
    away
        Whether the microphone is being looked for.
    weights
        What the words of this utterance weigh, as far as that is known.
    """
    if phase != "running":
        headline, explanation = _PHASES[phase]
        return NowView(headline, explanation)
    if away:
        return NowView("No microphone", "it is looked for, and heard again as soon as it is back")
    if estimate is None or estimate.state is EstimateState.NO_SPEECH:
        return NowView("No speech", "nothing is claimed without a voice")
    e = estimate
    rests_on = f"{e.voiced_seconds:.1f} s of voice"
    if e.text is not None and e.transcript is not None:
        count = len(e.transcript.words)
        rests_on += f" and {count} word{'' if count == 1 else 's'}"
    note = e.note if e.note or e.text is not None else "no words yet: voice only"
    shown = NowView(
        "",
        confidence=e.confidence,
        scores=e.scores if len(e.scores) else None,
        acoustic=e.acoustic if len(e.acoustic) else None,
        text=e.text,
        rests_on=rests_on,
        note=note,
        voice_share=e.voice_share,
        word_share=e.word_share,
        sureness=sureness(e.transcript) if e.text is not None and e.transcript is not None else "",
        heaviest=_heaviest(e, weights),
    )
    if e.state is EstimateState.CONFIDENT and e.label is not None:
        index = list(classes).index(e.label) if e.label in classes else None
        return _restated(shown, e.label.capitalize(), "the utterance so far", index)
    if e.state is EstimateState.LISTENING:
        return _restated(shown, "Listening", "highest; too little voice yet", None)
    return _restated(shown, "Unsure", "highest, but too low to name", None)


def _heaviest(estimate: Estimate, weights: WordWeights | None) -> tuple[str, ...]:
    """Of the class in front; of words that counted only, and only while they stand in the transcript."""
    transcript = estimate.transcript
    if weights is None or transcript is None or estimate.fusion is None or len(transcript.words) < FEWEST_WORDS:
        return ()
    said = {word.text.lower() for word in transcript.words}
    return tuple(word for word in weights.heaviest(int(estimate.scores.argmax())) if word in said)


def _restated(view: NowView, headline: str, explanation: str, class_index: int | None) -> NowView:
    return replace(view, headline=headline, explanation=explanation, class_index=class_index)


@dataclass(slots=True)
class DashboardModel:
    """Everything that the panels show of a stream.

    Attributes
    ----------
    classes
        Names in the order of the scores.
    position
        Samples heard so far, as far as the messages tell.
    evidence
        Mean window scores per bin where the windows heard voice, columns as `classes`.
    envelope
        Peak and RMS in dBFS per bin.
    voice
        Voice probability per bin, one column.
    bands
        Natural logarithm of the band energies per bin, one column a band in the model's order; absent until the first come.
    estimates
        Rows of (sample, scores ...); a row of NaN scores where an utterance begins.
    verdicts
        The committed utterances that reach into the time shown, oldest first.
    open_onset
        First sample of the utterance under way, if any.
    gaps
        Spans that were never heard, as far as they reach into the time shown.
    markers
        Moments that were marked, as far as they are in the time shown.
    away
        The event that told that the microphone went away, as long as it is not back.
    words_off
        The event that told that the recogniser stays off.
    stalls
        The events that told which workers stand still, as long as they do, by kind.
    """

    classes: tuple[str, ...]
    sample_rate: int = ENGINE_RATE
    seconds: int = 60
    position: int = 0
    estimate: Estimate | None = None
    health: Health | None = None
    last_verdict: Verdict | None = None
    open_onset: int | None = None
    verdicts: deque[Verdict] = field(default_factory=deque)
    gaps: deque[Span] = field(default_factory=deque)
    markers: deque[Marker] = field(default_factory=deque)
    away: Event | None = None
    stalls: dict[str, Event] = field(default_factory=dict)
    words_off: Event | None = None
    meter: MeterModel = field(default_factory=MeterModel)
    transcripts: TranscriptModel = field(default_factory=TranscriptModel)
    events: EventLog = field(default_factory=EventLog)
    evidence: BinnedRing = field(init=False)
    envelope: BinnedRing = field(init=False)
    voice: BinnedRing = field(init=False)
    bands: BinnedRing | None = field(init=False, default=None)
    estimates: RowRing = field(init=False)
    _open_utterance: int | None = field(init=False, default=None)
    _estimated_utterance: int | None = field(init=False, default=None)
    _heard_until: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.reset()

    @property
    def bins(self) -> int:
        """Columns of the timeline."""
        return self.seconds * self.sample_rate // BIN_SAMPLES

    @property
    def end_bin(self) -> int:
        """The bin after the one that holds the newest sample."""
        return -(-self.position // BIN_SAMPLES)

    def reset(self) -> None:
        """Forget the stream, for a new one begins at sample 0; events and the clipping mark stay."""
        self.position = 0
        self.estimate = self.health = self.last_verdict = self.away = None
        self.stalls = {}
        self.words_off = None
        self.open_onset = self._open_utterance = self._estimated_utterance = self._heard_until = None
        self.verdicts = deque()
        self.gaps = deque()
        self.markers = deque()
        self.meter.rest()
        self.transcripts = TranscriptModel()
        self.evidence = BinnedRing(self.bins, len(self.classes))
        self.envelope = BinnedRing(self.bins, 2, "max")
        self.voice = BinnedRing(self.bins, 1, "max")
        self.bands = None
        self.estimates = RowRing(self.seconds * 20, 1 + len(self.classes))

    def consume(self, outputs: Iterable[Output]) -> None:
        """Follow messages in the order in which they were emitted."""
        for message in outputs:
            match message:
                case Level():
                    self._consume_level(message)
                case VoiceActivity():
                    self._consume_voice(message)
                case WindowScores():
                    self._consume_windows(message)
                case Estimate():
                    self._consume_estimate(message)
                case UtteranceStart():
                    self.open_onset, self._open_utterance = message.onset, message.utterance
                    self.transcripts.consume(message)
                case UtteranceEnd():
                    if message.utterance == self._open_utterance:
                        self.open_onset = self._open_utterance = None
                    self.transcripts.consume(message)
                case Transcript():
                    self.transcripts.consume(message)
                case Verdict():
                    self.last_verdict = message
                    self.verdicts.append(message)
                    self.transcripts.consume(message)
                case Event():
                    self._consume_event(message)
                case Health():
                    self.health = message
        oldest = self.position - self.seconds * self.sample_rate
        while self.verdicts and self.verdicts[0].span.end <= oldest:
            self.verdicts.popleft()
        while self.gaps and self.gaps[0].end <= oldest:
            self.gaps.popleft()
        while self.markers and self.markers[0].sample <= oldest:
            self.markers.popleft()

    def catch_up(self) -> None:
        """Bring every ring to the newest bin, so that their views stand beside each other."""
        for ring in (self.evidence, self.envelope, self.voice, self.bands):
            if ring is not None:
                ring.advance(self.end_bin)

    def _consume_event(self, event: Event) -> None:
        self.events.consume(event)
        if event.kind == "device-lost":
            self.away = event
            self.meter.rest()
        elif event.kind == "device-back":
            self.away = None
        elif event.kind == "recognizer-off":
            self.words_off = event
        elif event.kind.endswith("-stalled"):
            self.stalls[event.kind] = event
        elif event.kind.endswith("-stalled-over"):
            self.stalls.pop(event.kind.removesuffix("-over"), None)

    def _consume_level(self, level: Level) -> None:
        # What was captured before the loss may still come. A return is told by an event too, which can be missed.
        if self.away is not None and level.span.end > self.away.sample:
            self.away = None
        if self._heard_until is not None and level.span.first > self._heard_until:
            self.gaps.append(Span(self._heard_until, level.span.first))
        self._heard_until = level.span.end
        self.position = max(self.position, level.span.end)
        if self.away is None:
            self.meter.consume(level)
        first, last = level.span.first // BIN_SAMPLES, max(level.span.first, level.span.end - 1) // BIN_SAMPLES
        row = np.array([[max(level.peak, SILENCE_DB), max(level.rms, SILENCE_DB)]], dtype=np.float32)
        self.envelope.add(np.arange(first, last + 1), np.repeat(row, last + 1 - first, axis=0))

    def _consume_voice(self, voice: VoiceActivity) -> None:
        count = len(voice.probabilities)
        self.position = max(self.position, voice.span.end)
        centres = voice.span.first + np.arange(count) * voice.chunk + voice.chunk // 2
        self.voice.add(centres // BIN_SAMPLES, voice.probabilities[:, None])

    def _consume_windows(self, windows: WindowScores) -> None:
        first = windows.first_window + np.arange(len(windows.scores)) * windows.hop
        # Windows without voice are no evidence about the speaker and are not drawn.
        self.evidence.add((first[windows.voiced] + windows.window // 2) // BIN_SAMPLES, windows.scores[windows.voiced])
        frames, bands = windows.band_energies.shape
        if self.bands is None and bands:
            self.bands = BinnedRing(self.bins, bands)
        if self.bands is not None and frames:
            # Frame i ends with window i, so that its newest hop is the one before that window's end.
            newest = windows.first_window + windows.window + np.arange(frames) * windows.hop - windows.hop
            self.bands.add(newest // BIN_SAMPLES, windows.band_energies)

    def _consume_estimate(self, estimate: Estimate) -> None:
        self.estimate = estimate
        if estimate.utterance is None or not len(estimate.scores):
            return
        if estimate.utterance != self._estimated_utterance:
            self._estimated_utterance = estimate.utterance
            self.estimates.append([float(estimate.span.first), *[math.nan] * len(self.classes)])
        self.estimates.append([float(estimate.span.end), *map(float, estimate.scores)])
