"""The values that travel between the stages.

One clock rules them all: the **absolute sample index** at the engine's rate (16 kHz), an ``int`` that counts from the first
sample of the stream. Seconds are derived from it for display and export and are never added up. Every value carries its
:class:`Span` or sample index, so that values can cross threads, be late, or be dropped without losing their place.

Arrays inside these values are read-only (:func:`frozen`): they are shared between threads, not copied.

Score vectors have the shape ``(classes,)`` in the order of the bundle's class list; this module knows no class by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Block",
    "EndReason",
    "Estimate",
    "EstimateState",
    "Event",
    "FloatArray",
    "Health",
    "Level",
    "Output",
    "RecognizerLabel",
    "Severity",
    "Span",
    "Transcript",
    "UtteranceEnd",
    "UtteranceStart",
    "Verdict",
    "VoiceActivity",
    "WindowScores",
    "Word",
    "frozen",
]

FloatArray: TypeAlias = NDArray[np.float32]


def frozen(array: FloatArray) -> FloatArray:
    """Return `array` marked read-only; a view's base is left alone, so the caller must give up writing to it."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of absolute sample indices, ``[first, end)``."""

    first: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.first:
            raise ValueError(f"a span must not end before it starts, got [{self.first}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.first

    def seconds(self, sample_rate: int) -> tuple[float, float]:
        """Start and end in seconds at `sample_rate` (Hz)."""
        return self.first / sample_rate, self.end / sample_rate


@dataclass(frozen=True, slots=True)
class Block:
    """A run of consecutive samples at the engine's rate.

    Attributes
    ----------
    span
        Where the samples stand on the stream's clock.
    samples
        Mono, float32, nominally in [-1, 1], shape ``(len(span),)``, finite.
    gap_before
        True when samples between the previous block and this one were lost or never existed. ``span.first`` then says how
        many; no window may span the gap.
    captured_at
        ``time.perf_counter()`` (seconds) at which the last sample was recorded, corrected for the resampler's lag; ``None``
        for files.
    others
        The same stretch of further channels, one for each further person who speaks into the same device; of the same shape.
    """

    span: Span
    samples: FloatArray
    gap_before: bool = False
    captured_at: float | None = None
    others: tuple[FloatArray, ...] = ()

    def __post_init__(self) -> None:
        for samples in (self.samples, *self.others):
            if samples.shape != (len(self.span),):
                raise ValueError(f"samples must have shape ({len(self.span)},) as the span says, got {samples.shape}")


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a stretch of signal was.

    Attributes
    ----------
    peak, rms
        dB relative to full scale (a full-scale sine has an RMS of -3.01 dBFS); ``-inf`` for exact silence.
    clipped
        Number of samples at or beyond full scale.
    silent
        True when every sample was exactly the same value: a muted or blocked microphone, not a quiet room.
    offset
        Mean of the samples, of full scale: what a fault in the hardware adds to the sound.
    """

    span: Span
    peak: float
    rms: float
    clipped: int = 0
    silent: bool = False
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Voice probabilities in [0, 1] of consecutive detector chunks.

    Chunk ``i`` covers `chunk` samples from ``span.first + i * chunk``; `probabilities` has shape ``(chunks,)``.
    """

    span: Span
    chunk: int
    probabilities: FloatArray


@dataclass(frozen=True, slots=True)
class UtteranceStart:
    """Voice set in at `onset`; this was decided when the signal had been seen up to `decided_at` (sample indices)."""

    utterance: int
    onset: int
    decided_at: int


class EndReason(StrEnum):
    """Why an utterance ended."""

    SILENCE = "silence"
    LENGTH = "length"
    GAP = "gap"
    STREAM_END = "stream end"


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """Voice of `span` ended; decided when the signal had been seen up to `decided_at`."""

    utterance: int
    span: Span
    decided_at: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class WindowScores:
    """Evidence of consecutive 250 ms windows.

    Attributes
    ----------
    first_window
        First sample of the first window; window ``i`` covers ``[first_window + i * hop, first_window + i * hop + window)``.
    hop, window
        In samples.
    scores
        Softmax over classes of every single window, float32, shape ``(windows, classes)``, rows sum to 1.
    logits
        The same before temperature and softmax. The classifier is linear: their mean over windows classifies the mean
        feature.
    features
        The encoder's feature of every window (2048-D in the paper), float32, shape ``(windows, feature)``.
    voiced
        Whether the voice detector heard speech at the window's centre, bool, shape ``(windows,)``.
    band_energies
        Natural logarithm of the energy of every learnt filter, float32, shape ``(frames, bands)``: the frames that became
        complete with these windows, one per hop. Frame ``i`` is the one that ends with window ``i``.
    captured_at
        As in :class:`Block`, for the last sample of the last window.
    arrived_at, computed_at
        ``time.perf_counter()`` (seconds) when the engine took the sound that completed these windows, and when their scores
        were ready; ``None`` for files.
    """

    first_window: int
    hop: int
    window: int
    scores: FloatArray
    logits: FloatArray
    features: FloatArray
    voiced: NDArray[np.bool_]
    band_energies: FloatArray
    captured_at: float | None = None
    arrived_at: float | None = None
    computed_at: float | None = None

    @property
    def span(self) -> Span:
        """From the first sample of the first window to the end of the last."""
        count = len(self.scores)
        return Span(self.first_window, self.first_window + (count - 1) * self.hop + self.window if count else self.first_window)

    def part(self, first: int, end: int) -> WindowScores:
        """Windows ``first`` to ``end`` (exclusive) of these, as views."""
        return WindowScores(
            first_window=self.first_window + first * self.hop,
            hop=self.hop,
            window=self.window,
            scores=self.scores[first:end],
            logits=self.logits[first:end],
            features=self.features[first:end],
            voiced=self.voiced[first:end],
            band_energies=self.band_energies[first:end],
            captured_at=self.captured_at,
            arrived_at=self.arrived_at,
            computed_at=self.computed_at,
        )

    def without_features(self) -> WindowScores:
        """A copy of the scores alone, for whoever keeps them: what these share with the encoder is a hundred times as large."""
        nothing = np.empty((0, 0), np.float32)
        voiced = self.voiced.copy()
        voiced.flags.writeable = False
        return replace(
            self,
            scores=frozen(self.scores.copy()),
            voiced=voiced,
            logits=nothing,
            features=nothing,
            band_energies=nothing,
        )

    def window_spans(self) -> Iterator[Span]:
        """The span of every window, in order."""
        for index in range(len(self.scores)):
            first = self.first_window + index * self.hop
            yield Span(first, first + self.window)


@dataclass(frozen=True, slots=True)
class RecognizerLabel:
    """Which recogniser writes the words: `engine` ("Vosk", "PocketSphinx"), `model` (name and, where known, language)."""

    engine: str
    model: str

    def __str__(self) -> str:
        return f"{self.engine} ({self.model})"


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word on the stream's clock.

    Attributes
    ----------
    confidence
        The recogniser's own posterior in [0, 1]; ``nan`` where it gives none (partial results).
    """

    text: str
    span: Span
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of an utterance as far as they are recognised.

    Attributes
    ----------
    words
        In order; revised from one partial transcript to the next.
    heard_until
        Samples before this index have been decoded for this transcript.
    confidence
        Mean confidence of the words in [0, 1]; ``nan`` where the recogniser has given none yet.
    final
        True once the recogniser will not change it any more.
    """

    utterance: int
    words: tuple[Word, ...]
    heard_until: int
    confidence: float
    final: bool
    recognizer: RecognizerLabel

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)


class EstimateState(StrEnum):
    """What an estimate is able to say."""

    NO_SPEECH = "no speech"
    """No utterance is under way: nothing is claimed, `scores` is empty."""
    LISTENING = "listening"
    """An utterance began, but there is too little voice to say anything yet; scores are shown as they are, without a label."""
    UNSURE = "unsure"
    """There are scores, but their confidence is below the bundle's threshold: the tool abstains."""
    CONFIDENT = "confident"
    """The confidence reaches the bundle's threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class FusionDetail:
    """What the fusion network did with voice and words, for display. Arrays are float32 and read-only.

    Compared by identity.

    Attributes
    ----------
    trust
        Weight of the fused scores against those of the voice alone, in (0, 1].
    voice_part, words_part
        What either adds to every class's logit, shape ``(classes,)``; their sum is the fused logit.
    voice_attention, words_attention
        How much every segment of either feature vector counted, shapes ``(32,)`` and ``(75,)``, summing to 1.
    """

    trust: float
    voice_part: FloatArray
    words_part: FloatArray
    voice_attention: FloatArray
    words_attention: FloatArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """The emotion scores of the utterance so far: the paper's utterance protocol on a prefix.

    Attributes
    ----------
    utterance
        Number of the utterance, or ``None`` without speech.
    span
        From the onset to the sample up to which everything was heard.
    scores
        Calibrated probabilities, shape ``(classes,)``, summing to 1; empty without speech. With usable words these are the
        fused scores, otherwise the acoustic ones.
    acoustic, text
        Scores of either modality alone (calibrated); `text` is ``None`` without words.
    voice_share, word_share
        How much either modality counted, in [0, 1], summing to 1 (0 and 0 without speech).
    voiced_seconds
        Length of the voice that `acoustic` rests on, in seconds.
    label
        Name of the winning class, or ``None`` unless the state is CONFIDENT.
    confidence
        Largest score, in [0, 1]; 0 without speech.
    transcript
        The words that counted, if any.
    note
        Why the words did not count, or other limits, in a few words for the display; usually empty.
    captured_at
        As in :class:`Block`, for the last sample that counted.
    fusion
        What went on inside the fusion network; ``None`` where it was not used, since there were no words to trust.
    """

    utterance: int | None
    span: Span
    state: EstimateState
    scores: FloatArray
    acoustic: FloatArray
    text: FloatArray | None
    voice_share: float
    word_share: float
    voiced_seconds: float
    label: str | None
    confidence: float
    transcript: Transcript | None = None
    note: str = ""
    captured_at: float | None = None
    fusion: FusionDetail | None = None


BLEED = 0.5
"""Share of an utterance from which on it is called the other person's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The committed result of a whole utterance. It is never revised.

    Attributes
    ----------
    bleed
        Where several people are listened to: the share of the utterance that was probably another's voice in this person's
        microphone, in [0, 1]. ``None``: there is nobody else, or nobody can tell.
    """

    estimate: Estimate
    reason: EndReason
    bleed: float | None = None

    @property
    def is_bleed(self) -> bool:
        """Whether it was probably said by somebody else."""
        return self.bleed is not None and self.bleed >= BLEED

    @property
    def utterance(self) -> int:
        """Number of the utterance."""
        if self.estimate.utterance is None:
            raise ValueError("a verdict belongs to an utterance")
        return self.estimate.utterance

    @property
    def span(self) -> Span:
        """From voice onset to voice end."""
        return self.estimate.span


class Severity(StrEnum):
    """How much an event matters to the user."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the stream and that a user or a record should know.

    Attributes
    ----------
    kind
        Stable identifier in kebab-case, e.g. ``"gap"``, ``"device-lost"``, ``"clipping"``, ``"recognizer-lost"``.
    message
        One or two sentences in plain words: what happened and what to do.
    """

    sample: int
    kind: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the engine is doing, published about once a second.

    Attributes
    ----------
    overruns, dropped_samples
        Capture blocks that the device reported as overrun; samples lost before the first stage.
    windows_computed, windows_skipped
        Windows evaluated; windows that could not be, because of gaps or drops.
    latency_p50, latency_p95
        Seconds from the capture of a window's newest sample to its scores being ready; ``nan`` for files.
    recognizer_lag
        Seconds of audio that wait for the recogniser.
    clock_drift
        Parts per million by which the device's clock runs faster than the computer's; ``nan`` until it can be told.
    real_time_factor
        Compute time divided by audio time of the signal stages.
    queue_fill
        Fill of the fullest queue, in [0, 1].
    device_losses
        How often the microphone went away.
    judgement_lag
        Seconds of audio that wait for the judgement.
    """

    sample: int
    overruns: int
    dropped_samples: int
    windows_computed: int
    windows_skipped: int
    latency_p50: float
    latency_p95: float
    recognizer_lag: float
    clock_drift: float
    real_time_factor: float
    queue_fill: float
    device_losses: int = 0
    judgement_lag: float = 0.0


Output: TypeAlias = (
    Level | VoiceActivity | WindowScores | UtteranceStart | UtteranceEnd | Transcript | Estimate | Verdict | Event | Health
)
"""Everything that an engine or a pipeline emits."""
