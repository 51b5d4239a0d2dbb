"""Labelled utterances of six text collections in one table, without what would leak into the test.

Labels that have no class of ours (surprise, fear, ...) stay in the table with an empty class, since they are text of the same
kind: the vocabulary counts them, and the floors of a later eight-class bundle need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from realtime_ser.text import tokenize
from training.corpora import FOUR_CLASSES, TEXT_CORPORA
from training.corpora.written import TextSource

__all__ = ["CLASSES", "SOURCES", "TextCorpus", "Utterance", "near_duplicate_filter", "read_text_corpora"]

CLASSES = FOUR_CLASSES


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled text.

    Attributes
    ----------
    text
        As published.
    tokens
        Of :func:`realtime_ser.text.tokenize`; never empty.
    label
        One of :data:`CLASSES`; empty for any other emotion.
    source
        Name of the collection.
    split
        ``"train"``, ``"dev"`` or ``"test"``, as published.
    """

    text: str
    tokens: tuple[str, ...]
    label: str
    source: str
    split: str


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """All utterances that were read.

    Attributes
    ----------
    problems
        One sentence for everything that is missing or broken in the files.
    removed
        How many training utterances of every collection were left out because a test or development utterance says the same.
    """

    utterances: tuple[Utterance, ...]
    problems: tuple[str, ...]
    removed: dict[str, int]

    def part(self, split: str, sources: Iterable[str] | None = None) -> list[Utterance]:
        """Utterances of `split`, of the named collections or of all."""
        wanted = None if sources is None else frozenset(sources)
        return [u for u in self.utterances if u.split == split and (wanted is None or u.source in wanted)]


SOURCES = tuple(TEXT_CORPORA.values())
"""The collections that are read, with their titles and licences."""

SMALLEST = 8
"""Different tokens and token pairs that a text must have to be compared with others: about five tokens without repetition."""


def near_duplicate_filter(held_out: Iterable[tuple[str, ...]], shared: float = 0.8) -> Callable[[tuple[str, ...]], bool]:
    """Return a function that says whether a text is nearly one of `held_out`.

    Two texts are near-duplicates when they are the same tokens, or when the sets of their tokens and token pairs overlap by
    at least `shared` (intersection over the smaller set, where that one has at least :data:`SMALLEST` members, so that one
    text inside another is found as well). Very short texts ("okay", "thank you") and repetitions ("no no no no no") are common
    speech: they are only removed when they are equal and longer than two tokens.

    Parameters
    ----------
    held_out
        Tokens of every utterance that training must not see.
    shared
        In (0, 1].
    """
    if not 0.0 < shared <= 1.0:
        raise ValueError(f"shared must lie in (0, 1], got {shared}")
    texts = [tokens for tokens in dict.fromkeys(held_out) if len(tokens) > 2]
    equal = frozenset(texts)
    grams = [_grams(tokens) for tokens in texts]
    # Texts that overlap so much have three tokens in a row in common: only those are compared.
    postings: dict[tuple[str, ...], set[int]] = {}
    for index, tokens in enumerate(texts):
        if len(grams[index]) >= SMALLEST:
            for triple in _triples(tokens):
                postings.setdefault(triple, set()).add(index)

    def is_near_duplicate(tokens: tuple[str, ...]) -> bool:
        if tokens in equal:
            return True
        own = _grams(tokens)
        if len(own) < SMALLEST:
            return False
        candidates = {index for triple in _triples(tokens) for index in postings.get(triple, ())}
        return any(len(own & grams[index]) >= shared * min(len(own), len(grams[index])) for index in candidates)

    return is_near_duplicate


def _triples(tokens: tuple[str, ...]) -> set[tuple[str, ...]]:
    return set(zip(tokens, tokens[1:], tokens[2:], strict=False))


def _grams(tokens: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset([(token,) for token in tokens] + list(pairwise(tokens)))


def read_text_corpora(folder: Path, sources: Iterable[TextSource] = SOURCES) -> TextCorpus:
    """Read all collections below `folder`.

    A training utterance (of any collection, and the published development and test parts of other collections too) that is a
    near-duplicate of a MELD test or development utterance is left out,
    as is a MELD development utterance that nearly is a test one.

    Returns
    -------
    TextCorpus
        What is missing or broken is listed in its `problems`; all the rest is read all the same.
    """
    utterances: list[Utterance] = []
    problems: list[str] = []
    for source in sources:
        table = source.open(folder / source.folder)
        problems.extend(f"{source.name}: {problem}" for problem in table.problems)
        for row in table.rows:
            if tokens := tokenize(row.text):
                utterances.append(Utterance(row.text, tokens, row.emotion4, source.name, row.split))
    return _without_leaks(utterances, problems)


def _without_leaks(utterances: list[Utterance], problems: list[str]) -> TextCorpus:
    test = near_duplicate_filter(u.tokens for u in utterances if u.source == "meld" and u.split == "test")
    dev = near_duplicate_filter(u.tokens for u in utterances if u.source == "meld" and u.split == "dev")
    kept: list[Utterance] = []
    removed: dict[str, int] = {}
    for utterance in utterances:
        held_out = utterance.source == "meld" and utterance.split in ("dev", "test")
        leaks = (
            (utterance.split == "dev" and test(utterance.tokens))
            if held_out
            else (test(utterance.tokens) or dev(utterance.tokens))
        )
        if leaks:
            removed[utterance.source] = removed.get(utterance.source, 0) + 1
        else:
            kept.append(utterance)
    return TextCorpus(tuple(kept), tuple(problems), removed)
