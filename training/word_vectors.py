"""Word vectors from a text file as GloVe's authors publish them (``glove.6B.300d.txt``).

Pennington, Socher, Manning: "GloVe: Global vectors for word representation", EMNLP 2014. Every line is a word and its values,
separated by single spaces, UTF-8. In ``glove.840B.300d.txt`` a few words contain spaces themselves (``. . .``,
``at name@domain.com``): the values are therefore counted from the end of the line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import ConfigError
from realtime_ser.text import Vocabulary

__all__ = ["WordVectorError", "read_word_vectors"]

VECTOR = 300
REMEDY = "Unpack glove.6B.300d.txt from nlp.stanford.edu/projects/glove again, or go without: vectors are then learnt here."


class WordVectorError(ConfigError, ValueError):
    """A file of word vectors that cannot be used."""


def read_word_vectors(path: Path, vocabulary: Vocabulary, length: int = VECTOR) -> dict[int, NDArray[np.float32]]:
    """Vectors of the words of `vocabulary`, by number, each of shape ``(length,)``.

    A word that the file has twice gets its first vector. A first line of two whole numbers (word2vec's count and length) is
    passed over, and so are empty lines. Only lines of known words are converted, but every line is checked for its form.

    Parameters
    ----------
    path
        The text file.
    length
        Values that every word must have.

    Raises
    ------
    WordVectorError
        The file cannot be read; a line has another number of values, is not UTF-8, or holds something that is no finite number;
        or the file has none of the words. The message names the line.
    """
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    found: dict[int, NDArray[np.float32]] = {}
    try:
        with path.open("rb") as lines:
            for index, raw in enumerate(lines, start=1):
                parsed = _parsed(raw, f"{path}, line {index}", length, first=index == 1)
                if parsed is None:
                    continue
                word, values = parsed
                number = numbers.get(word)
                if number is not None and number not in found:
                    found[number] = _vector(values, f"{path}, line {index}")
    except OSError as error:
        raise WordVectorError(f"The word vectors {path} cannot be read: {error.strerror or error}.", REMEDY) from error
    if not found:
        raise WordVectorError(f"The word vectors {path} have none of the {len(vocabulary)} words of the vocabulary.", REMEDY)
    return found


def _parsed(raw: bytes, place: str, length: int, *, first: bool) -> tuple[str, list[str]] | None:
    """Word and values of a line as text; ``None`` for a line without a word."""
    try:
        line = raw.decode("utf-8").rstrip(" \r\n")
    except UnicodeDecodeError as error:
        what = "is compressed: unpack it" if first and raw.startswith((b"PK", b"\x1f\x8b")) else "is not UTF-8"
        raise WordVectorError(f"{place}: the file {what}.", REMEDY) from error
    if not line:
        return None
    parts = line.rsplit(" ", length)
    # A word may contain spaces, but it does not end in a value; then the line has more values than it should.
    if len(parts) == length + 1 and not _is_value(parts[0].rpartition(" ")[2], inside=" " in parts[0]):
        return parts[0], parts[1:]
    columns = line.split(" ")
    if first and len(columns) == 2 and all(column.isdecimal() for column in columns):
        return None
    raise WordVectorError(f"{place}: a vector must have {length} values, got {_values_at_the_end(columns)}.", REMEDY)


def _is_value(text: str, *, inside: bool) -> bool:
    """Whether the last part of a word with spaces is a value; words without (``inside`` false) may be numbers."""
    if not inside or "." not in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values_at_the_end(columns: list[str]) -> int:
    """How many columns, counted from the end and never the first, are numbers."""
    count = 0
    for column in reversed(columns[1:]):
        try:
            float(column)
        except ValueError:
            break
        count += 1
    return count


def _vector(values: list[str], place: str) -> NDArray[np.float32]:
    try:
        vector = np.array(values, dtype=np.float32)
    except ValueError as error:
        raise WordVectorError(f"{place}: {error}.", REMEDY) from error
    if not np.isfinite(vector).all():
        raise WordVectorError(f"{place}: a value is not finite.", REMEDY)
    return vector
