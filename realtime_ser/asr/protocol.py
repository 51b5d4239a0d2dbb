"""What the engine asks of a speech recogniser.

One recogniser serves one thread for its whole life: the thread that calls :meth:`Recognizer.start` makes every other call too.
Constructing one is cheap and may happen anywhere; :meth:`~Recognizer.start` loads the model and may take seconds, so the
engine calls it on the recogniser's own thread while sound is already being analysed.

The life of a recogniser::

    start → ( begin → accept … accept → finish )* → close

Calls out of that order are a bug in the caller (:class:`RuntimeError`). When the recogniser itself fails it raises
:class:`~realtime_ser.errors.RecognizerError` and is then of no more use than to be closed; the caller builds a new one with the
:data:`RecognizerFactory` it was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from realtime_ser.types import FloatArray, RecognizerLabel, Transcript, Word

__all__ = ["Recognizer", "RecognizerFactory", "mean_confidence"]


class Recognizer(Protocol):
    """Writes down the words of one utterance at a time.

    NB: not thread-safe. All calls come from one thread.
    """

    @property
    def label(self) -> RecognizerLabel:
        """Which recogniser and model this is; known before :meth:`start`."""

    def start(self) -> None:
        """Load the model; blocks until the recogniser is ready. A second call does nothing.

        Raises
        ------
        RecognizerError
            The model is missing or broken, or the library behind it is not installed.
        """

    def begin(self, utterance: int, first_sample: int) -> None:
        """Start an utterance; nothing that was heard before has any influence on it.

        Parameters
        ----------
        utterance
            Number that the transcripts will carry.
        first_sample
            Absolute index of the first sample that :meth:`accept` will get (pre-roll included), at least 0. Word times are
            given on this clock.

        An utterance under way that was not finished is dropped.
        """

    def accept(self, samples: FloatArray) -> Transcript | None:
        """Hear the next samples and return the words so far.

        Parameters
        ----------
        samples
            Mono float32, shape ``(n,)``, n ≥ 0, 16 kHz, nominally in [-1, 1] (clipped), finite. They follow on those of the
            last call without a gap.

        Returns
        -------
        Transcript or None
            ``None`` until the first word has been recognised; then the transcript so far from every call, so that
            ``heard_until`` stays fresh while the words stand still. Words may be revised, even to none at all. Their times are
            approximate and their confidence is ``nan`` until :meth:`finish`.

        Notes
        -----
        The result is a function of `first_sample` and the samples so far, however they were cut into calls: implementations
        decode in steps on the absolute grid (:class:`~realtime_ser.asr.steps.StepCutter`), and up to one step may wait
        undecoded behind ``heard_until``.
        """

    def finish(self) -> Transcript:
        """End the utterance: decode what is left and return its words, final, with times and confidences in [0, 1].

        The transcript may have no words; its confidence is ``nan`` then.
        """

    def close(self) -> None:
        """Release everything; bounded in time, never raises :class:`RecognizerError`. A second call does nothing."""

    def __enter__(self) -> Self:
        """:meth:`start`, for use in a ``with`` statement."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """:meth:`close`."""


RecognizerFactory: TypeAlias = Callable[[], Recognizer]
"""Builds a fresh recogniser, not yet started; cheap, callable from any thread, any number of times."""


def mean_confidence(words: Sequence[Word]) -> float:
    """Mean of the words' confidences in [0, 1]; ``nan`` without words or where any of them is ``nan``."""
    return math.fsum(word.confidence for word in words) / len(words) if words else math.nan
