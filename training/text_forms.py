"""In which forms a text is read: as published, as words alone, and as a recogniser writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_ser.text import PADDING, UNKNOWN, Vocabulary, tokenize
from training.text_data import CLASSES, Utterance
from training.text_noise import NoiseRates, RecognizerNoise

__all__ = [
    "RECOGNIZER",
    "EvaluationForms",
    "FormShares",
    "TrainingForms",
    "build_vocabulary",
    "evaluation_forms",
    "written_tokens",
]

RECOGNIZER = NoiseRates(substitute=0.15, delete=0.06, insert=0.04)
"""The recogniser form in which figures are reported: about one word in four is wrong, as for good models on clear speech."""


def written_tokens(utterance: Utterance) -> tuple[str, ...]:
    """Words and punctuation of a text as published."""
    return tokenize(utterance.text, punctuation=True)


def build_vocabulary(texts: Sequence[Utterance], size: int | None = None, rarest: int = 2) -> tuple[Vocabulary, dict[str, int]]:
    """The most frequent tokens that occur at least `rarest` times, most frequent first, and how often every token occurs."""
    counts = Counter(token for utterance in texts for token in written_tokens(utterance))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Vocabulary([PADDING, UNKNOWN, *(token for token, count in ranked if count >= rarest)][:size]), dict(counts)


@dataclass(frozen=True, slots=True)
class FormShares:
    """In which forms training texts are read.

    Attributes
    ----------
    written
        Share that is read with punctuation; the others are read as words alone.
    noisy
        Probability that words alone get recognition errors, of up to twice the rates of :data:`RECOGNIZER`.
    cut
        Probability that a text is cut after a random token, as a live transcript is.
    longest
        Of a longer text, a random part of so many tokens is read.
    """

    written: float = 0.5
    noisy: float = 0.7
    cut: float = 0.15
    longest: int = 32


class TrainingForms:
    """Draws the form in which a training text is read."""

    def __init__(self, noise: RecognizerNoise, shares: FormShares) -> None:
        self._noise = noise
        self._shares = shares

    def draw(self, text: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """A form of `text`: token numbers as published, punctuation included, with at least one word."""
        shares = self._shares
        if generator.random() >= shares.written:
            text = self._noise.words_only(text)
            if generator.random() < shares.noisy:
                text = self._noise.apply(text, RECOGNIZER.scaled(2 * generator.random()), generator)
        if len(text) > shares.longest:
            first = generator.integers(len(text) - shares.longest + 1)
            text = text[first : first + shares.longest]
        if len(text) > 3 and generator.random() < shares.cut:
            text = text[: generator.integers(2, len(text))]
        return text


@dataclass(frozen=True, slots=True)
class EvaluationForms:
    """Utterances of the four classes.

    Attributes
    ----------
    labels
        Class numbers.
    published
        Token numbers of every text with its punctuation.
    words
        Without punctuation.
    worn
        In recogniser form: words alone, some of them wrong.
    """

    labels: NDArray[np.int64]
    published: list[NDArray[np.int64]]
    words: list[NDArray[np.int64]]
    worn: list[NDArray[np.int64]]


def evaluation_forms(utterances: Sequence[Utterance], vocabulary: Vocabulary, noise: RecognizerNoise) -> EvaluationForms:
    """All forms of the labelled `utterances`; the noise is the same at every call."""
    generator = np.random.default_rng(2020)
    labelled = [utterance for utterance in utterances if utterance.label]
    published = [vocabulary.numbers(written_tokens(utterance)) for utterance in labelled]
    words = [noise.words_only(text) for text in published]
    worn = [noise.apply(text, RECOGNIZER, generator) for text in words]
    labels = np.array([CLASSES.index(utterance.label) for utterance in labelled], np.int64)
    return EvaluationForms(labels, published, words, worn)
