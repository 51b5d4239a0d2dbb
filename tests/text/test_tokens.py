from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.errors import BundleError
from realtime_ser.text import PADDING, PUNCTUATION, UNKNOWN, Vocabulary, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't!", ("do", "n't")),
        ("You’re RIGHT — aren‘t you?", ("you", "'re", "right", "are", "n't", "you")),
        ("can't won't shan't", ("ca", "n't", "wo", "n't", "sha", "n't")),
        ("I shouldn't've", ("i", "should", "n't", "'ve")),
        ("y'know, o'clock", ("y'know", "o'clock")),
        ("'Cause I'm goin' to Ross' café", ("cause", "i", "'m", "goin", "to", "ross", "cafe")),
        ("Joey's 27 sandwiches, $5.50", ("joey", "'s", "sandwiches")),
        ("<s> hello(2) [NOISE] [NAME] <unk> there </s>", ("hello", "there")),
        ("привет ñandú", ("привет", "nandu")),
        ("...?! 42", ()),
        ("", ()),
        ("n't", ("n't",)),
    ],
)
def test_tokens_of_written_and_recognised_text(text: str, tokens: tuple[str, ...]) -> None:
    assert tokenize(text) == tokens


def test_published_and_recognised_forms_of_a_sentence_are_the_same() -> None:
    assert tokenize("Oh my God, he’s lost it. He’s TOTALLY lost it!") == tokenize("oh my god he's lost it he's totally lost it")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Yeah, right!.......Really?", ("yeah", ",", "right", "!", "...", "really", "?")),
        ("What?!?! No…", ("what", "?", "!", "?", "!", "no", "...")),
        ("Hey , you !!!", ("hey", ",", "you", "!")),
        ("Wait.. (2) – “don't”; so: it’s", ("wait", "...", "do", "n't", "so", "it", "'s")),
        ("What！ Why？ So．", ("what", "!", "why", "?", "so", ".")),
        ("5.50", (".",)),
        ("", ()),
    ],
)
def test_punctuation_is_kept_where_it_is_asked_for(text: str, tokens: tuple[str, ...]) -> None:
    assert tokenize(text, punctuation=True) == tokens


@given(st.text(alphabet="ab'n t!?.,…\u2019[]<>()12 é", max_size=40) | st.text())
def test_words_are_the_same_with_and_without_punctuation(text: str) -> None:
    assert tuple(token for token in tokenize(text, punctuation=True) if token not in PUNCTUATION) == tokenize(text)


@given(st.text())
def test_tokens_are_lower_case_without_anything_but_letters_and_apostrophes(text: str) -> None:
    for token in tokenize(text):
        assert token
        assert all(character.isalpha() or character == "'" for character in token)
        assert not any(unicodedata.combining(character) for character in token)
        assert not any(character.isspace() for character in token)


@given(st.text(alphabet="abcntsmdrevl' IN", max_size=30))
def test_reading_tokens_again_word_by_word_changes_nothing_but_the_clitics_apostrophe(text: str) -> None:
    words = [token for token in tokenize(text) if not token.startswith("'")]
    assert [token for word in words for token in tokenize(word)] == words


def test_the_vocabulary_numbers_tokens_in_their_order_and_unknown_ones_as_one() -> None:
    vocabulary = Vocabulary([PADDING, UNKNOWN, "i", "am"])
    numbers = vocabulary.numbers(["am", "i", "quux"])
    assert numbers.tolist() == [3, 2, 1]
    assert numbers.dtype == np.int64
    assert "am" in vocabulary
    assert "quux" not in vocabulary
    assert len(vocabulary) == 4


def test_a_vocabulary_survives_its_file(tmp_path) -> None:
    path = tmp_path / "vocabulary.txt"
    tokens = (PADDING, UNKNOWN, "n't", "привет", "so")
    Vocabulary(tokens).write(path)
    assert path.read_bytes().count(b"\n") == 5
    assert Vocabulary.read(path).tokens == tokens


@pytest.mark.parametrize("tokens", [["a"], [UNKNOWN, PADDING], [PADDING, UNKNOWN, "a", "a"], [PADDING, UNKNOWN, ""], []])
def test_a_broken_vocabulary_is_refused(tokens: list[str], tmp_path) -> None:
    with pytest.raises(ValueError, match="a vocabulary must"):
        Vocabulary(tokens)
    path = tmp_path / "vocabulary.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"vocabulary\.txt"):
        Vocabulary.read(path)


def test_a_missing_or_binary_vocabulary_file_is_a_bundle_error(tmp_path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        Vocabulary.read(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="is broken"):
        Vocabulary.read(tmp_path / "binary.txt")
