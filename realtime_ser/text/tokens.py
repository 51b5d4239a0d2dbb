"""From what a recogniser writes to token numbers. Training and runtime share this module, so both read words alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import BundleError

__all__ = ["PADDING", "PUNCTUATION", "UNKNOWN", "Vocabulary", "tokenize"]

PADDING = "<pad>"
"""Line 0 of every vocabulary: fills batches in training; never part of a text."""
UNKNOWN = "<unk>"
"""Line 1 of every vocabulary: stands for every word that is not in it."""
PUNCTUATION = frozenset(("!", "?", ".", ",", "..."))
"""Tokens that are no words: the marks of written sentences that tell how something was said."""

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4\u0060\uff07", "'"))
# Recognisers mark noise, silence and unknown words as [noise], <sil> or [unk], and pronunciations as word(2): none is speech.
_MARKUP = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\(\d+\)")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_WORD_OR_MARK = re.compile(rf"{_WORD.pattern}|[!?.,]+")
_MARK = re.compile(r"\.{2,}|!+|\?+|,+|\.")
# The split of the Penn Treebank, in which published word vectors such as GloVe are written: do n't, i 'm, she 'll.
_CLITIC = re.compile(r"(.+?)(n't|'(?:s|m|d|re|ve|ll))")


def tokenize(text: str, *, punctuation: bool = False) -> tuple[str, ...]:
    """Split `text` into tokens: lower case, letters only, without accents, clitics on their own.

    Digits and a recogniser's markup vanish, and punctuation unless it is asked for, so that written text and recognised text
    look alike::

        >>> tokenize("Don't! I\u2019m [noise] FINE, Caf\u00e9 27.")
        ('do', "n't", 'i', "'m", 'fine', 'cafe')
        >>> tokenize("No!! Well\u2026 27.", punctuation=True)
        ('no', '!', 'well', '...', '.')

    Words of other scripts stay tokens (unknown ones), so that a transcript in another language is seen to be one.

    Parameters
    ----------
    punctuation
        Keep the marks of :data:`PUNCTUATION`; one that is repeated is written once, several full stops are an ellipsis.
    """
    plain = unicodedata.normalize("NFKD", _MARKUP.sub(" ", text.translate(_APOSTROPHES)).lower())
    plain = "".join(character for character in plain if not unicodedata.combining(character)).translate(_APOSTROPHES)
    # Scripts have numerals that are no decimal digits; for a regular expression they are letters.
    plain = "".join(character if character.isalpha() or not character.isalnum() else " " for character in plain)
    tokens: list[str] = []
    for word in (_WORD_OR_MARK if punctuation else _WORD).findall(plain):
        if word[0] in PUNCTUATION:
            tokens.extend("..." if mark[:2] == ".." else mark[0] for mark in _MARK.findall(word))
            continue
        clitics: list[str] = []
        while match := _CLITIC.fullmatch(word):
            word, clitic = match.groups()
            clitics.insert(0, clitic)
        tokens.extend((word, *clitics))
    return tuple(tokens)


class Vocabulary:
    """The words that the text network knows, each with its number.

    Parameters
    ----------
    tokens
        All tokens in the order of their numbers: :data:`PADDING`, :data:`UNKNOWN`, then words, none twice.

    Raises
    ------
    ValueError
        The first two tokens are others, or a token is empty or stands twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        if self.tokens[:2] != (PADDING, UNKNOWN):
            raise ValueError(f"a vocabulary must begin with {PADDING!r} and {UNKNOWN!r}, got {self.tokens[:2]}")
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self._numbers) != len(self.tokens):
            raise ValueError("a vocabulary must hold every token once")
        if "" in self._numbers:
            raise ValueError("a vocabulary must not hold an empty token")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read a file with one token a line (UTF-8).

        Raises
        ------
        BundleError
            The file is missing, is not UTF-8, or breaks the rules of :class:`Vocabulary`.
        """
        try:
            return cls(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except OSError as error:
            raise BundleError(f"The vocabulary {path} cannot be read: {error}.", "Install the model bundle again.") from error
        except ValueError as error:
            raise BundleError(f"The vocabulary {path} is broken: {error}.", "Install the model bundle again.") from error

    def write(self, path: Path) -> None:
        """Write the file that :meth:`read` reads."""
        path.write_bytes(("\n".join(self.tokens) + "\n").encode("utf-8"))

    def numbers(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """Numbers of `tokens`, int64, shape ``(tokens,)``; 1 for an unknown one."""
        return np.array([self._numbers.get(token, 1) for token in tokens], dtype=np.int64)
