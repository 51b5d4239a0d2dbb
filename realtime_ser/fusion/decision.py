"""From features and words to what is claimed: the paper's utterance protocol, applied to every prefix of an utterance.

At any moment inside an utterance the mean of the window features since its onset and the feature of the transcript so far go
through the fusion network; when the utterance is over, the same computation gives its verdict. What is claimed is bounded by
what is known: nothing without voice, no label below the bundle's confidence threshold, and words count only as far as the
recogniser can be trusted.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import (
    Estimate,
    EstimateState,
    FloatArray,
    FusionDetail,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    WindowScores,
    frozen,
)

__all__ = ["Decider", "DecisionFacts", "FusedLogits", "Fuser", "TextEncoder", "TextFeature", "WordTrust"]


class TextFeature(Protocol):
    """What the text network says about some words."""

    @property
    def feature(self) -> FloatArray:
        """Shape ``(text feature,)``."""
        ...

    @property
    def logits(self) -> FloatArray:
        """Shape ``(classes,)``."""
        ...

    @property
    def tokens_known(self) -> int:
        """Tokens that the vocabulary has."""
        ...

    @property
    def tokens_total(self) -> int:
        """All tokens."""
        ...


class TextEncoder(Protocol):
    """The text network."""

    def encode(self, words: str | Sequence[str]) -> TextFeature:
        """Feature and logits of a transcript."""
        ...


class FusedLogits(Protocol):
    """What the fusion network says; ``logits = acoustic_part + text_part``, each of shape ``(classes,)``."""

    @property
    def logits(self) -> FloatArray:
        """Sum of both parts."""
        ...

    @property
    def acoustic_part(self) -> FloatArray:
        """What the voice contributes."""
        ...

    @property
    def text_part(self) -> FloatArray:
        """What the words contribute."""
        ...

    @property
    def acoustic_attention(self) -> FloatArray:
        """How much every segment of the acoustic feature counted, shape ``(segments,)``."""
        ...

    @property
    def text_attention(self) -> FloatArray:
        """The same for the text feature."""
        ...


class Fuser(Protocol):
    """The fusion network."""

    def fuse(self, acoustic: FloatArray, text: FloatArray) -> FusedLogits:
        """Fuse two features."""
        ...


@dataclass(frozen=True, slots=True)
class WordTrust:
    """How far words count, as a weight in [0, 1].

    The weight is a product: the recogniser's confidence mapped linearly from [`none_below`, `full_above`] to [0, 1], the share
    of words that the text network knows, and a factor that fades from 1 to 0 as the transcript falls behind by `fresh` to
    `stale` seconds.

    Attributes
    ----------
    unrated
        Weight in place of the first factor while the recogniser gives no confidence (partial transcripts).
    """

    none_below: float = 0.2
    full_above: float = 0.8
    unrated: float = 0.5
    fresh: float = 1.5
    stale: float = 5.0

    def weight(self, confidence: float, known: int, total: int, lag: float) -> float:
        """Weight of a transcript with `known` of `total` words known, `lag` seconds behind the voice."""
        if not total:
            return 0.0
        if math.isnan(confidence):
            certainty = self.unrated
        else:
            certainty = (confidence - self.none_below) / (self.full_above - self.none_below)
        freshness = (self.stale - lag) / (self.stale - self.fresh)
        return min(max(certainty, 0.0), 1.0) * (known / total) * min(max(freshness, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What the bundle and the settings fix.

    Attributes
    ----------
    temperature_acoustic, temperature_text, temperature_fused
        Calibration.
    threshold_acoustic, threshold_fused
        Confidence below which no label is given, without and with words.
    min_voiced
        Windows of voice needed for a label.
    voice_offset
        What a known speaker's logits were already lowered by, float32, shape ``(classes,)``. The fusion network, which hears
        features, does not know of it: its log-odds are shifted as those of the voice alone were, by the voice's share in them.
    """

    classes: tuple[str, ...]
    sample_rate: int
    hop: int
    temperature_acoustic: float
    temperature_text: float
    temperature_fused: float
    threshold_acoustic: float
    threshold_fused: float
    min_voiced: int
    voice_offset: FloatArray | None = None


@dataclass(slots=True)
class _Sum:
    """Running sums over windows, in float64 so that the order of magnitude of the count does not matter."""

    count: int = 0
    features: NDArray[np.float64] | None = None
    logits: NDArray[np.float64] | None = None

    def add(self, features: FloatArray, logits: FloatArray) -> None:
        # One window at a time: the sum must not depend on how many windows came in one piece.
        for feature, scores in zip(features, logits, strict=True):
            self.count += 1
            if self.features is None or self.logits is None:
                self.features, self.logits = feature.astype(np.float64), scores.astype(np.float64)
            else:
                self.features += feature
                self.logits += scores

    def means(self) -> tuple[FloatArray, FloatArray] | None:
        if self.features is None or self.logits is None:
            return None
        return (self.features / self.count).astype(np.float32), (self.logits / self.count).astype(np.float32)


@dataclass(slots=True)
class _Utterance:
    number: int
    onset: int
    voiced: _Sum = field(default_factory=_Sum)
    everything: _Sum = field(default_factory=_Sum)
    ended: UtteranceEnd | None = None
    transcript: Transcript | None = None
    encoding: TextFeature | None = None
    captured_at: float | None = None


class Decider:
    """Keeps the sums of the utterances under way and turns them into estimates and verdicts. Belongs to one thread.

    Parameters
    ----------
    facts
        Classes, calibration, thresholds.
    text, fusion
        The networks.
    trust
        How far words count.
    whole
        True when the whole stream is one utterance whatever the voice detector says: then, if no voice was heard at all, the
        scores rest on everything that was heard, and say so.
    """

    def __init__(
        self, facts: DecisionFacts, text: TextEncoder, fusion: Fuser, trust: WordTrust | None = None, *, whole: bool = False
    ) -> None:
        self._facts = facts
        self._text = text
        self._fusion = fusion
        self._trust = WordTrust() if trust is None else trust
        self._whole = whole
        self._current: _Utterance | None = None
        self._pending: dict[int, _Utterance] = {}
        # Windows whose utterance may yet be announced: an onset lies before the decision that there is one.
        self._recent: deque[tuple[int, bool, FloatArray, FloatArray]] = deque(maxlen=100)

    @property
    def current(self) -> int | None:
        """Number of the utterance under way."""
        return None if self._current is None else self._current.number

    def begin(self, start: UtteranceStart) -> None:
        """An utterance began; windows whose centre lies after its onset belong to it, those already heard included."""
        self._current = _Utterance(start.utterance, start.onset)
        for centre, voiced, feature, logits in self._recent:
            if centre >= start.onset:
                self._count(self._current, voiced, feature, logits)
        self._recent.clear()

    def add(self, windows: WindowScores) -> None:
        """Take the next windows."""
        for index in range(len(windows.scores)):
            centre = windows.first_window + index * windows.hop + windows.window // 2
            voiced = bool(windows.voiced[index])
            feature, logits = windows.features[index], windows.logits[index]
            if self._current is None:
                self._recent.append((centre, voiced, feature, logits))
            elif centre >= self._current.onset:
                self._count(self._current, voiced, feature, logits)
        if self._current is not None:
            self._current.captured_at = windows.captured_at

    def _count(self, utterance: _Utterance, voiced: bool, feature: FloatArray, logits: FloatArray) -> None:
        if voiced:
            utterance.voiced.add(feature[np.newaxis], logits[np.newaxis])
        if self._whole:
            utterance.everything.add(feature[np.newaxis], logits[np.newaxis])

    def hear(self, transcript: Transcript) -> None:
        """Take a transcript of the utterance under way or of one that waits for its last words; others are too late."""
        utterance = self._pending.get(transcript.utterance)
        if utterance is None and self._current is not None and self._current.number == transcript.utterance:
            utterance = self._current
        if utterance is None:
            return
        if utterance.transcript is None or utterance.transcript.text != transcript.text:
            utterance.encoding = self._text.encode(transcript.text) if transcript.text else None
        utterance.transcript = transcript

    def end(self, end: UtteranceEnd) -> None:
        """The voice of an utterance ended; its verdict may still wait for words."""
        if self._current is None or self._current.number != end.utterance:
            raise ValueError(f"utterance {end.utterance} is not under way")
        self._current.ended = end
        self._pending[end.utterance] = self._current
        self._current = None

    def words_complete(self, utterance: int) -> bool:
        """Whether the recogniser has finished the words of an ended utterance."""
        transcript = self._pending[utterance].transcript
        return transcript is not None and transcript.final

    @property
    def pending(self) -> tuple[int, ...]:
        """Ended utterances without a verdict, oldest first."""
        return tuple(self._pending)

    def ended_at(self, utterance: int) -> int:
        """Sample at which the end of a pending utterance was decided."""
        end = self._pending[utterance].ended
        assert end is not None  # pending utterances have ended
        return end.decided_at

    def verdict(self, utterance: int) -> Verdict:
        """Commit the verdict of an ended utterance with the words known by now, and forget the utterance."""
        ended = self._pending.pop(utterance)
        assert ended.ended is not None  # pending utterances have ended
        return Verdict(self._estimate(ended, ended.ended.span.end), ended.ended.reason)

    def estimate(self, at: int) -> Estimate:
        """The estimate of the utterance so far, when everything up to the sample `at` was heard."""
        if self._current is not None:
            return self._estimate(self._current, at)
        empty = frozen(np.empty(0, np.float32))
        return Estimate(
            utterance=None,
            span=Span(at, at),
            state=EstimateState.NO_SPEECH,
            scores=empty,
            acoustic=empty,
            text=None,
            voice_share=0.0,
            word_share=0.0,
            voiced_seconds=0.0,
            label=None,
            confidence=0.0,
        )

    def _estimate(self, utterance: _Utterance, at: int) -> Estimate:
        facts = self._facts
        classes = len(facts.classes)
        means = utterance.voiced.means()
        notes: list[str] = []
        if means is None:
            means = utterance.everything.means()
            if means is not None:
                notes.append("no voice was heard: the scores rest on everything in the recording")
        if means is None:
            uniform = frozen(np.full(classes, 1.0 / classes, np.float32))
            acoustic = uniform
        else:
            acoustic = frozen(_softmax(means[1], facts.temperature_acoustic))

        transcript, encoding = utterance.transcript, utterance.encoding
        text: FloatArray | None = None
        weight = word_share = 0.0
        scores = acoustic
        detail: FusionDetail | None = None
        if transcript is None or encoding is None or not encoding.tokens_total:
            notes.append("no words: voice only")
        else:
            text = frozen(_softmax(encoding.logits, facts.temperature_text))
            lag = 0.0 if transcript.final else max(at - transcript.heard_until, 0) / facts.sample_rate
            weight = self._trust.weight(transcript.confidence, encoding.tokens_known, encoding.tokens_total, lag)
            if not weight:
                notes.append("doubtful words: voice only")
            elif means is None:
                weight = 0.0
            else:
                fused = self._fusion.fuse(means[0], encoding.feature)
                share = _share(fused.text_part, fused.acoustic_part)
                logits, voice_part = fused.logits, fused.acoustic_part
                if facts.voice_offset is not None:
                    scale = (1.0 - share) * facts.temperature_fused / facts.temperature_acoustic
                    shift = np.float32(scale) * facts.voice_offset
                    logits, voice_part = logits - shift, frozen(voice_part - shift)
                mixed = weight * _softmax(logits, facts.temperature_fused) + (1.0 - weight) * acoustic
                scores = frozen(mixed.astype(np.float32))
                word_share = weight * share
                detail = FusionDetail(weight, voice_part, fused.text_part, fused.acoustic_attention, fused.text_attention)

        confidence = float(scores.max())
        threshold = weight * facts.threshold_fused + (1.0 - weight) * facts.threshold_acoustic
        enough = utterance.voiced.count >= facts.min_voiced
        if not enough and utterance.ended is None:
            state = EstimateState.LISTENING
        elif enough and confidence >= threshold:
            state = EstimateState.CONFIDENT
        else:
            state = EstimateState.UNSURE
            if not enough:
                notes.append("too little voice for a verdict")
        return Estimate(
            utterance=utterance.number,
            span=Span(utterance.onset, max(at, utterance.onset)),
            state=state,
            scores=scores,
            acoustic=acoustic,
            text=text,
            voice_share=1.0 - word_share,
            word_share=word_share,
            voiced_seconds=utterance.voiced.count * facts.hop / facts.sample_rate,
            label=facts.classes[int(scores.argmax())] if state is EstimateState.CONFIDENT else None,
            confidence=confidence,
            transcript=transcript,
            note="; ".join(notes),
            captured_at=utterance.captured_at,
            fusion=detail,
        )


def _softmax(logits: FloatArray, temperature: float) -> FloatArray:
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max())
    scores: FloatArray = (exponentials / exponentials.sum()).astype(np.float32)
    return scores


def _share(part: FloatArray, rest: FloatArray) -> float:
    """How much `part` moves the classes against each other, compared with `rest`; in [0, 1]."""
    own = float(np.linalg.norm(part - part.mean()))
    other = float(np.linalg.norm(rest - rest.mean()))
    return own / (own + other) if own + other > 0 else 0.0
