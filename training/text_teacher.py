"""What a pretrained sentence encoder teaches the text network: what words mean, and how sure one may be about a text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from realtime_ser.text import Vocabulary
from training.sentence_encoder import SentenceEncoder, spoken
from training.text_data import CLASSES, Utterance

__all__ = ["Lessons", "principal_components", "read_word_vectors", "teach"]

VECTOR = 300
SPREAD = 0.15
"""Standard deviation of the values of start vectors, about that of GloVe's after scaling; the network expects small ones."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Targets for training texts, in their order.

    Attributes
    ----------
    vectors
        A start vector for every word of the vocabulary, float32, shape ``(words, 300)``.
    sentences
        What the encoder makes of every text, float32, shape ``(texts, 384)``, rows of length 1.
    probabilities
        Class probabilities by a balanced logistic regression on `sentences`, float32, shape ``(texts, classes)``.
    """

    vectors: NDArray[np.float32]
    sentences: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def teach(folder: Path, vocabulary: Vocabulary, texts: Sequence[Utterance], cache: Path, main: Sequence[str]) -> Lessons:
    """Run the sentence encoder in `folder` over the vocabulary and the labelled `texts`; its output is kept in `cache`.

    Parameters
    ----------
    main
        Collections whose labels the class probabilities follow: those that are nearest to speech.
    """
    content = "\n".join([*vocabulary.tokens, *(" ".join(text.tokens) for text in texts)])
    path = cache / f"sentences-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npz"
    if not path.is_file():
        encoder = SentenceEncoder(folder)
        words = encoder.encode([spoken([token]) for token in vocabulary.tokens[2:]])
        parts = []
        for first in range(0, len(texts), 4_000):
            parts.append(encoder.encode([spoken(text.tokens) for text in texts[first : first + 4_000]]))
            print(f"{min(first + 4_000, len(texts))}/{len(texts)} texts read by the sentence encoder", flush=True)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, words=words, sentences=np.concatenate(parts))
    stored = np.load(path)
    vectors = np.zeros((len(vocabulary), VECTOR), np.float32)
    vectors[2:] = principal_components(stored["words"], VECTOR)
    sentences = stored["sentences"]
    labels = np.array([CLASSES.index(text.label) for text in texts])
    chosen = np.array([text.source in main for text in texts])
    judge = LogisticRegression(C=10.0, max_iter=500, class_weight="balanced").fit(sentences[chosen], labels[chosen])
    return Lessons(vectors, sentences, judge.predict_proba(sentences).astype(np.float32))


def principal_components(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """`rows` on the `count` axes along which they differ most, centred and scaled to a standard deviation of :data:`SPREAD`.

    Where `rows` has fewer columns than `count`, the others are zero.
    """
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    turned = centred @ axes[:, ::-1][:, :count]
    result = np.zeros((len(rows), count), np.float32)
    result[:, : turned.shape[1]] = turned * (SPREAD / turned.std())
    return result


def read_word_vectors(path: Path, vocabulary: Vocabulary, length: int = VECTOR) -> dict[int, NDArray[np.float32]]:
    """Vectors of the words of `vocabulary`, by number, from a text file with a word and its values on every line (GloVe's).

    Raises
    ------
    ValueError
        A line of a known word has another number of values than `length`.
    """
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    found: dict[int, NDArray[np.float32]] = {}
    with path.open(encoding="utf-8") as lines:
        for index, line in enumerate(lines, start=1):
            word, _, values = line.rstrip().partition(" ")
            if word in numbers:
                vector = np.array(values.split(), dtype=np.float32)
                if vector.shape != (length,):
                    raise ValueError(f"{path}, line {index}: a vector must have {length} values, got {len(vector)}")
                found[numbers[word]] = vector
    return found
