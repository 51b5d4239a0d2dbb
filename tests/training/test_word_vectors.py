"""Files of word vectors in GloVe's layout: what is read, and what a broken file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.errors import RealtimeSerError
from realtime_ser.text import Vocabulary
from training.word_vectors import WordVectorError, read_word_vectors

WORDS = ("<pad>", "<unk>", "the", "cat", "sat", "...", "2.5")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(WORDS)


def line(word: str, values: np.ndarray) -> str:
    return f"{word} {' '.join(f'{value:.5g}' for value in values)}\n"


def glove(words: list[str], length: int = 300, seed: int = 0) -> tuple[str, np.ndarray]:
    table = np.random.default_rng(seed).normal(0, 0.4, (len(words), length))
    return "".join(line(word, row) for word, row in zip(words, table, strict=True)), table


def test_a_file_in_the_layout_of_the_release_loads(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text, table = glove(["the", ",", "sat", "zürich", "2.5", "..."])
    path = tmp_path / "glove.6B.300d.txt"
    path.write_text(text, encoding="utf-8")
    vectors = read_word_vectors(path, vocabulary)
    assert sorted(vectors) == [2, 4, 5, 6]
    for number, row in ((2, 0), (4, 2), (6, 4), (5, 5)):
        assert vectors[number].dtype == np.float32
        np.testing.assert_allclose(vectors[number], table[row], rtol=1e-4)


def test_words_with_spaces_in_them_are_no_broken_lines(tmp_path: Path, vocabulary: Vocabulary) -> None:
    """As glove.840B.300d.txt has them; their values must not be taken for another word's."""
    text, table = glove([". . .", "the cat", "at name@domain.com", "cat", "the"])
    path = tmp_path / "glove.840B.300d.txt"
    path.write_text(text, encoding="utf-8")
    vectors = read_word_vectors(path, vocabulary)
    assert sorted(vectors) == [2, 3]
    np.testing.assert_allclose(vectors[3], table[3], rtol=1e-4)
    np.testing.assert_allclose(vectors[2], table[4], rtol=1e-4)


def test_the_first_of_two_vectors_counts_and_headers_and_empty_lines_are_passed_over(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("3 2\ncat 1 2\n\ncat 3 4 \r\nthe 0.5 -1e-1\n", encoding="utf-8")
    vectors = read_word_vectors(path, vocabulary, 2)
    assert {number: vector.tolist() for number, vector in vectors.items()} == {3: [1, 2], 2: pytest.approx([0.5, -0.1])}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 1.0 2.0 3.0\ncat 1.0 2.0\n", "line 2: a vector must have 3 values, got 2"),
        (b"the 1.0 2.0 3.0\nbird 1.0 2.0\n", "line 2: a vector must have 3 values, got 2"),
        (b"the 1.0 2.0 3.0 4.0\n", "line 1: a vector must have 3 values, got 4"),
        (b"the 1.0 2.0 3.0\ncat 1.0", "line 2: a vector must have 3 values, got 1"),
        (b"the\n", "line 1: a vector must have 3 values, got 0"),
        (b"the 1.0 2.0 3.0\nb\xfccher 1.0 2.0 3.0\n", "line 2: the file is not UTF-8"),
        (b"PK\x03\x04\x14\xff\xfe\x00 1 2 3\n", "line 1: the file is compressed: unpack it"),
        (b"the 1.0 x 3.0\n", "line 1: could not convert string to float"),
        (b"the 1.0 nan 3.0\n", "line 1: a value is not finite"),
        (b"bird 1.0 2.0 3.0\n", "none of the 7 words"),
        (b"", "none of the 7 words"),
    ],
)
def test_a_broken_file_is_told_where_it_is_broken(content: bytes, message: str, tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(WordVectorError, match=message) as caught:
        read_word_vectors(path, vocabulary, 3)
    assert isinstance(caught.value, RealtimeSerError)
    assert "glove.6B.300d.txt" in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(WordVectorError, match="cannot be read: No such file"):
        read_word_vectors(tmp_path / "none.txt", vocabulary)
    with pytest.raises(WordVectorError, match="cannot be read"):
        read_word_vectors(tmp_path, vocabulary)


@given(content=st.binary(max_size=200), length=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_vectors_or_a_clear_error(content: bytes, length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    vectors, complaint = {}, str(path)
    try:
        vectors = read_word_vectors(path, Vocabulary(WORDS), length)
    except WordVectorError as error:
        complaint = str(error)
    assert str(path) in complaint
    assert all(vector.shape == (length,) and np.isfinite(vector).all() for vector in vectors.values())
