"""Decoding an utterance in the same steps, whatever blocks it arrives in.

Both recognisers look for the end of a phrase, revise partial words or update their channel estimate once per call, so their
output would depend on how the input was cut. They are therefore always fed in steps on the absolute grid.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from realtime_ser.asr.protocol import mean_confidence
from realtime_ser.types import FloatArray, RecognizerLabel, Span, Transcript, Word

__all__ = ["DECODING_STEP", "PartialWords", "StepCutter", "SteppedRecognizer", "pcm16"]

DECODING_STEP = 1_600
"""Samples decoded at a time (100 ms). The engine feeds on the same grid (``EngineSettings.step``): nothing waits in between."""


class StepCutter:
    """Re-cuts consecutive samples at the multiples of `step` on the absolute clock.

    The first piece reaches from `first_sample` to the next multiple of `step`, so that a caller who feeds on the same grid gets
    every sample decoded at once. Used by one thread.

    Parameters
    ----------
    first_sample
        Absolute index of the first sample to come, at least 0.
    step
        Samples between two cuts, at least 1.
    """

    def __init__(self, first_sample: int, step: int) -> None:
        if first_sample < 0:
            raise ValueError(f"first_sample must not be negative, got {first_sample}")
        if step < 1:
            raise ValueError(f"step must be at least 1, got {step}")
        self._step = step
        self._position = first_sample
        self._waiting: list[FloatArray] = []
        self._waiting_samples = 0

    @property
    def position(self) -> int:
        """Absolute index up to which pieces have been handed out."""
        return self._position

    def feed(self, samples: FloatArray) -> Iterator[FloatArray]:
        """Yield the pieces that `samples`, float32 ``(n,)``, complete; :attr:`position` is the end of the piece yielded last.

        The pieces must be consumed before the next call.
        """
        if samples.ndim != 1:
            raise ValueError(f"samples must have one dimension, got shape {samples.shape}")
        taken = 0
        while taken < len(samples):
            missing = self._step - self._position % self._step - self._waiting_samples
            part = samples[taken : taken + missing]
            taken += len(part)
            self._waiting.append(part)
            self._waiting_samples += len(part)
            if len(part) == missing:
                yield self._take()

    def flush(self) -> FloatArray:
        """Hand out what waits for its step to be complete, shape ``(n,)``, 0 ≤ n < step."""
        return self._take()

    def _take(self) -> FloatArray:
        piece = np.concatenate(self._waiting) if self._waiting else np.empty(0, np.float32)
        self._position += self._waiting_samples
        self._waiting.clear()
        self._waiting_samples = 0
        return piece


def pcm16(samples: FloatArray) -> bytes:
    """Samples in [-1, 1) as 16-bit little-endian PCM; louder ones are clipped. Exact for samples that came from 16-bit PCM."""
    clipped = np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767)
    return bytes(clipped.astype("<i2").tobytes())


class PartialWords:
    """Lays the words of partial transcripts out on the clock, approximately. Used by one thread.

    Neither recogniser gives usable times before the end: Vosk's partial words with times stay empty for about two seconds and
    lag by as much, PocketSphinx's segmentation would have to be traced back at every step. What is known is the step in which a
    word first showed up, 0.1 to 0.4 s after it was spoken. Words that appeared in the same step share the time since the word
    before them in equal parts; a revised word, and every word behind it, counts as new.

    Parameters
    ----------
    first_sample
        Absolute index before which none of the words can have begun.
    """

    def __init__(self, first_sample: int) -> None:
        self._first_sample = first_sample
        self._words: list[Word] = []

    def update(self, texts: Sequence[str], heard_until: int) -> tuple[Word, ...]:
        """Return `texts` as words with approximate spans and ``nan`` as confidence.

        Parameters
        ----------
        texts
            The words so far, in order.
        heard_until
            Absolute sample index up to which was decoded; never decreases.
        """
        kept = 0
        while kept < min(len(texts), len(self._words)) and self._words[kept].text == texts[kept]:
            kept += 1
        del self._words[kept:]
        fresh = texts[kept:]
        start = self._words[-1].span.end if self._words else self._first_sample
        room = heard_until - start
        for index, text in enumerate(fresh):
            first, end = (start + room * part // len(fresh) for part in (index, index + 1))
            self._words.append(Word(text, Span(first, end), math.nan))
        return tuple(self._words)


class SteppedRecognizer(ABC):
    """What the recognisers have in common: the order of calls, the steps, the transcripts.

    It implements :class:`~realtime_ser.asr.protocol.Recognizer`; a subclass decodes.

    Parameters
    ----------
    step
        Samples decoded at a time, on the absolute grid.
    """

    def __init__(self, step: int = DECODING_STEP) -> None:
        self._step = step
        self._started = False
        self._cutter: StepCutter | None = None
        self._utterance = 0
        self._words: tuple[Word, ...] = ()
        self._any_words = False

    @property
    @abstractmethod
    def label(self) -> RecognizerLabel:
        """Which recogniser and model this is."""

    @abstractmethod
    def _load(self) -> None:
        """Make the recogniser ready; blocks."""

    @abstractmethod
    def _open(self, first_sample: int) -> None:
        """Start an utterance, clean of any before it."""

    @abstractmethod
    def _decode(self, pcm: bytes, heard_until: int) -> tuple[Word, ...]:
        """Decode the next samples (16-bit PCM), which end at `heard_until`; return all the words of the utterance so far."""

    @abstractmethod
    def _end(self, heard_until: int) -> tuple[Word, ...]:
        """End the utterance after the samples decoded so far; return its words, final."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of everything; bounded in time, may be called in any state, more than once."""

    def start(self) -> None:
        """Load the model; blocks until the recogniser is ready. A second call does nothing."""
        if not self._started:
            self._load()
            self._started = True

    def begin(self, utterance: int, first_sample: int) -> None:
        """Start utterance number `utterance` at the absolute index `first_sample`."""
        if not self._started:
            raise RuntimeError("begin() needs a recogniser that is started and not closed")
        self._cutter = StepCutter(first_sample, self._step)
        self._utterance = utterance
        self._words = ()
        self._any_words = False
        self._open(first_sample)

    def accept(self, samples: FloatArray) -> Transcript | None:
        """Decode the steps that `samples`, float32 ``(n,)``, complete; ``None`` before the first word."""
        cutter = self._utterance_under_way("accept")
        for piece in cutter.feed(samples):
            self._words = self._decode(pcm16(piece), cutter.position)
            self._any_words = self._any_words or bool(self._words)
        return self._transcript(cutter, final=False) if self._any_words else None

    def finish(self) -> Transcript:
        """Decode the rest and return the utterance's words, final."""
        cutter = self._utterance_under_way("finish")
        self._cutter = None
        rest = cutter.flush()
        if len(rest):
            self._decode(pcm16(rest), cutter.position)
        self._words = self._end(cutter.position)
        return self._transcript(cutter, final=True)

    def close(self) -> None:
        """Release everything. A second call does nothing."""
        self._started = False
        self._cutter = None
        self._release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _utterance_under_way(self, call: str) -> StepCutter:
        if self._cutter is None:
            raise RuntimeError(f"{call}() needs an utterance under way: call begin() first")
        return self._cutter

    def _transcript(self, cutter: StepCutter, *, final: bool) -> Transcript:
        return Transcript(self._utterance, self._words, cutter.position, mean_confidence(self._words), final, self.label)
