"""What a recogniser does to a text: wrong, missing and additional words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_ser.text import PUNCTUATION, Vocabulary

__all__ = ["NoiseRates", "RecognizerNoise", "sound_key"]

_FIRST = 2
"""Number of the first word in a vocabulary, after padding and the unknown word."""


@dataclass(frozen=True, slots=True)
class NoiseRates:
    """Probability, per token, that it is replaced, is lost, or is followed by one that nobody said.

    Their sum is about the word error rate.
    """

    substitute: float
    delete: float
    insert: float

    def scaled(self, factor: float) -> NoiseRates:
        """All rates times `factor`."""
        return NoiseRates(self.substitute * factor, self.delete * factor, self.insert * factor)


def sound_key(word: str) -> str:
    """A coarse key under which words that sound alike fall together: consonant groups in order, vowels only at the start.

    >>> sound_key("whether") == sound_key("weather")
    True
    """
    text = word.replace("'", "")
    for spelled, sounded in (("^kn", "n"), ("^wr", "r"), ("^wh", "w"), ("ph", "f"), ("gh", ""), ("tch", "c"), ("ck", "k")):
        text = re.sub(spelled, sounded, text)
    groups = {"b": "p", "f": "f", "v": "f", "c": "k", "q": "k", "g": "k", "x": "k", "z": "s", "d": "t", "n": "m", "j": "s"}
    coded = "".join("a" if letter in "aeiouy" else groups.get(letter, letter) for letter in text)
    head, tail = coded[:1], re.sub("[ahw]", "", coded[1:])
    return re.sub(r"(.)\1+", r"\1", head + tail)


class RecognizerNoise:
    """Replaces, drops and inserts words as a recogniser does.

    Half of the replacements sound alike (:func:`sound_key`) where there are such words; the others, and the insertions,
    are drawn as often as words occur, since a language model makes a recogniser prefer frequent ones. A recogniser writes words
    of its vocabulary only, hence an unknown word is replaced more often: it is rare for the recogniser, too. No recogniser
    writes punctuation: :meth:`apply` leaves it out.

    Parameters
    ----------
    vocabulary
        Words and their numbers.
    counts
        Occurrences of every word in the training text; words without one count as seen once.
    """

    _ALIKE = 8

    def __init__(self, vocabulary: Vocabulary, counts: Mapping[str, int]) -> None:
        weights = np.array([counts.get(token, 1) for token in vocabulary.tokens], dtype=np.float64)
        weights[:_FIRST] = 0
        self._mark = np.array([token in PUNCTUATION for token in vocabulary.tokens])
        weights[self._mark] = 0
        self._cumulated = np.cumsum(weights / weights.sum())
        groups: dict[str, list[int]] = {}
        for number, token in enumerate(vocabulary.tokens[_FIRST:], start=_FIRST):
            if self._mark[number]:
                continue
            groups.setdefault(sound_key(token), []).append(number)
        self._alike = np.zeros((len(vocabulary), self._ALIKE), dtype=np.int64)
        for members in groups.values():
            ranked = sorted(members, key=lambda number: (-weights[number], number))
            for number in members:
                others = [other for other in ranked if other != number][: self._ALIKE]
                if others:
                    self._alike[number] = np.resize(others, self._ALIKE)

    def _any_words(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        return np.searchsorted(self._cumulated, generator.random(count), side="right").clip(_FIRST, len(self._alike) - 1)

    def words_only(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """`numbers` without punctuation."""
        return numbers[~self._mark[numbers]]

    def apply(self, numbers: NDArray[np.int64], rates: NoiseRates, generator: np.random.Generator) -> NDArray[np.int64]:
        """A corrupted copy of the words in `numbers` (token numbers, shape ``(tokens,)``); at least one word is left.

        Raises
        ------
        ValueError
            There is no word in `numbers`.
        """
        numbers = self.words_only(numbers)
        if not len(numbers):
            raise ValueError("a text must have a word")
        count = len(numbers)
        result = numbers.copy()
        replaced = generator.random(count) < np.where(numbers == 1, max(rates.substitute, 0.0) ** 0.5, rates.substitute)
        alike = self._alike[numbers, generator.integers(self._ALIKE, size=count)]
        sounding = (alike > 0) & (generator.random(count) < 0.5)
        result[replaced] = np.where(sounding, alike, self._any_words(count, generator))[replaced]
        kept = generator.random(count) >= rates.delete
        if not kept.any():
            kept[generator.integers(count)] = True
        added = np.flatnonzero(kept & (generator.random(count) < rates.insert))
        words = self._any_words(len(added), generator)
        places = np.concatenate([np.flatnonzero(kept), added + 0.5])
        merged = np.concatenate([result[kept], words])
        return merged[np.argsort(places, kind="stable")]
