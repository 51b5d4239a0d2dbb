"""The text network of a bundle: words to a feature vector and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.inference import create_session
from realtime_ser.errors import BundleError
from realtime_ser.text.tokens import PUNCTUATION, UNKNOWN, Vocabulary, tokenize
from realtime_ser.types import FloatArray, frozen

__all__ = ["FEATURE", "MAX_TOKENS", "TextEncoding", "TextNetwork", "read_tokens"]

FEATURE = 4_800
"""Length of the feature vector that the fusion reads (the paper's)."""
MAX_TOKENS = 100
"""Tokens that the network reads at most (the paper's)."""


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """What the text network makes of a transcript.

    Attributes
    ----------
    feature
        Input of the fusion, float32, shape ``(4800,)``, at least 0, read-only.
    logits
        Class scores before softmax, not calibrated, float32, shape ``(classes,)``, read-only.
    tokens_known, tokens_total
        How many of the words that were read stand in the vocabulary, and how many were read (clitics count as words,
        punctuation does not). Words that the network does not know carry no evidence: a low share says that the language or the
        recogniser's model is another one.
    """

    feature: FloatArray
    logits: FloatArray
    tokens_known: int
    tokens_total: int


def read_tokens(words: str | Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """What the network reads of a transcript, 1 to 100 tokens; see :meth:`TextNetwork.encode`."""
    written = tokenize(words if isinstance(words, str) else " ".join(words), punctuation=True)
    tokens = tuple(token for token in written if token not in PUNCTUATION or token in vocabulary)[-MAX_TOKENS:]
    return tokens if any(token not in PUNCTUATION for token in tokens) else (UNKNOWN,)


class TextNetwork:
    """The two-branch network with cross-attention, eq. (3)–(4), as exported by ``training``.

    It holds weights only; several threads may use one instance.

    Parameters
    ----------
    model
        ``text.onnx`` as a path or as bytes.
    vocabulary
        The vocabulary, or the path of ``vocabulary.txt``.
    classes
        Number of classes of the bundle.

    Raises
    ------
    BundleError
        The graph or the vocabulary cannot be loaded, their sizes differ, or the graph is of another shape.
    """

    def __init__(self, model: bytes | Path, vocabulary: Vocabulary | Path, classes: int) -> None:
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary.read(vocabulary)
        self._session = create_session(model)
        self._session.require({"tokens": (1, None)}, {"feature": (1, FEATURE), "logits": (1, classes)})
        # A vocabulary of another bundle would silently give every word the vector of another one.
        if not self._has_row(len(self.vocabulary) - 1) or self._has_row(len(self.vocabulary)):
            raise BundleError(
                f"The vocabulary ({len(self.vocabulary)} tokens) does not fit the text network.",
                "Install the model bundle again.",
            )

    def encode(self, words: str | Sequence[str]) -> TextEncoding:
        """Read a transcript.

        Parameters
        ----------
        words
            The transcript as one string, or its words in order. Of a long one the last 100 tokens count: they are the newest.
            One without any word, as when only noise was recognised, is read as a single unknown word; its counts are 0.
            Punctuation is read where there is any and the vocabulary has it; it is no word and does not count.
        """
        tokens = read_tokens(words, self.vocabulary)
        spoken = [token for token in tokens if token not in PUNCTUATION and token != UNKNOWN]
        feature, logits = self.encode_numbers(self.vocabulary.numbers(tokens))
        return TextEncoding(feature, logits, sum(token in self.vocabulary for token in spoken), len(spoken))

    def encode_numbers(self, numbers: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Feature, shape ``(4800,)``, and logits, shape ``(classes,)``, of 1 to 100 token numbers, shape ``(tokens,)``."""
        feature, logits = self._session.run({"tokens": numbers[np.newaxis]}, ("feature", "logits"))
        return frozen(feature[0]), frozen(logits[0])

    def _has_row(self, number: int) -> bool:
        # ONNX Runtime refuses an index beyond the embedding; its exception lives in a private module.
        try:
            self.encode_numbers(np.array([number], dtype=np.int64))
        except Exception:  # noqa: BLE001
            return False
        return True
