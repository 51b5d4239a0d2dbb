"""How much single words of a transcript weigh in the text network's scores: each is left out in turn.

Attention would be at hand, but is no such measure: it says where the network looked, and may be the same for every word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from realtime_ser.text.network import TextEncoding
from realtime_ser.types import FloatArray, frozen

__all__ = ["MOST_WORDS", "WordWeights", "weigh_words"]

MOST_WORDS = 40
"""Words that are left out in turn, the newest: every one costs a run of the network."""


class _Reader(Protocol):
    def encode(self, words: str | Sequence[str]) -> TextEncoding: ...


@dataclass(frozen=True, slots=True)
class WordWeights:
    """What leaving out every word of a transcript did to the scores of the words alone.

    Attributes
    ----------
    words
        The last words of the transcript, in order.
    weights
        ``weights[i, c]``: by how much the calibrated score of class ``c`` falls without word ``i``, in [-1, 1]; negative where
        it rises. float32, shape ``(words, classes)``, read-only.
    """

    words: tuple[str, ...]
    weights: FloatArray

    def heaviest(self, index: int, most: int = 3, least: float = 0.01) -> tuple[str, ...]:
        """The words that spoke most for a class, each once; only those without which its score falls by `least` or more."""
        order = np.argsort(-self.weights[:, index], kind="stable").tolist()
        found = dict.fromkeys(self.words[place].lower() for place in order if self.weights[place, index] >= least)
        return tuple(found)[:most]


def weigh_words(network: _Reader, words: Sequence[str], temperature: float) -> WordWeights:
    """Leave out each of the last words in turn.

    Parameters
    ----------
    network
        The text network.
    words
        Of a transcript, in order; two at least.
    temperature
        By which its logits are divided before the softmax.
    """

    def scores(read: Sequence[str]) -> FloatArray:
        logits = network.encode(read).logits.astype(np.float64) / temperature
        exponentials = np.exp(logits - logits.max())
        made: FloatArray = (exponentials / exponentials.sum()).astype(np.float32)
        return made

    whole = scores(words)
    first = max(len(words) - MOST_WORDS, 0)
    weights = [whole - scores([*words[:place], *words[place + 1 :]]) for place in range(first, len(words))]
    return WordWeights(tuple(words[first:]), frozen(np.array(weights, np.float32).reshape(-1, len(whole))))
