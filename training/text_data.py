"""Labelled utterances of six text collections in one table, without what would leak into the test.

Labels that have no class of ours (surprise, fear, ...) stay in the table with an empty class, since they are text of the same
kind: the vocabulary counts them, and the floors of a later eight-class bundle need them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from realtime_ser.text import tokenize

__all__ = ["CLASSES", "SOURCES", "Source", "TextCorpus", "Utterance", "near_duplicate_filter", "read_text_corpora"]

CLASSES = ("anger", "happiness", "neutral", "sadness")


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
class Source:
    """A collection: how to read it and what may be done with it.

    Attributes
    ----------
    files
        Path below the text folder by split.
    read
        Yields (text, label) of one file; raises :class:`ValueError` with what is wrong about it.
    """

    name: str
    title: str
    licence: str
    files: dict[str, str]
    read: Callable[[Path], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """All utterances that were read.

    Attributes
    ----------
    problems
        One sentence for every file that is missing or broken; utterances before the broken place are not kept.
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


def _rows(path: Path, delimiter: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, quoting=quoting)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"there is no column {', '.join(missing)}")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"line {reader.line_num} has another number of fields than the header")
            yield row


def _read_labelled_csv(labels: dict[str, str]) -> Callable[[Path], Iterator[tuple[str, str]]]:
    def read(path: Path) -> Iterator[tuple[str, str]]:
        for row in _rows(path, ",", ("Utterance", "Emotion")):
            yield row["Utterance"], labels.get(row["Emotion"].strip().lower(), "")

    return read


_GOEMOTIONS_CLASSES = {
    "anger": "anger",
    "annoyance": "anger",
    "joy": "happiness",
    "excitement": "happiness",
    "amusement": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "disappointment": "sadness",
    "grief": "sadness",
    "remorse": "sadness",
}


def _read_goemotions(path: Path) -> Iterator[tuple[str, str]]:
    names = (path.parent / "labels.txt").read_text(encoding="utf-8").split()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) != 3 or not all(label.isdigit() and int(label) < len(names) for label in fields[1].split(",")):
            raise ValueError(f"line {number} is not text, labels and identifier")
        # A row counts only when all its labels mean one class: the others say too little about which.
        classes = {_GOEMOTIONS_CLASSES.get(names[int(label)], "") for label in fields[1].split(",")}
        yield fields[0], classes.pop() if len(classes) == 1 else ""


_DAILYDIALOG_CLASSES = {
    "anger": "anger",
    "angry": "anger",
    "happiness": "happiness",
    "happy": "happiness",
    "excited": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "sad": "sadness",
}


def _read_dailydialog(path: Path) -> Iterator[tuple[str, str]]:
    dialogues = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(dialogues, dict):
        raise ValueError("it is not an object of dialogues")
    for name, dialogue in dialogues.items():
        try:
            for turn in dialogue[0]:
                yield turn["utterance"], _DAILYDIALOG_CLASSES.get(turn["emotion"], "")
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"dialogue {name} has no utterances with emotions") from error


def _read_isear(path: Path) -> Iterator[tuple[str, str]]:
    labels = {"joy": "happiness", "anger": "anger", "sadness": "sadness"}
    with path.open(encoding="utf-8", newline="") as file:
        for number, fields in enumerate(csv.reader(file), start=1):
            if len(fields) < 2:
                raise ValueError(f"row {number} is not emotion and text")
            if "no response" not in fields[1].lower():
                yield " ".join(fields[1].split()), labels.get(fields[0], "")


_SEMEVAL_EMOTIONS = (
    *("anger", "anticipation", "disgust", "fear", "joy", "love"),
    *("optimism", "pessimism", "sadness", "surprise", "trust"),
)


def _read_semeval(path: Path) -> Iterator[tuple[str, str]]:
    for row in _rows(path, "\t", ("Tweet", *_SEMEVAL_EMOTIONS)):
        marked = {emotion for emotion in _SEMEVAL_EMOTIONS if row[emotion] == "1"}
        # What usually comes along with a class does not make it doubtful; two classes in one tweet do.
        if not marked:
            label = "neutral"
        elif "joy" in marked and not marked & {"anger", "sadness", "disgust", "fear", "pessimism"}:
            label = "happiness"
        elif "anger" in marked and not marked & {"joy", "sadness", "love", "optimism"}:
            label = "anger"
        elif "sadness" in marked and not marked & {"joy", "anger", "love", "optimism"}:
            label = "sadness"
        else:
            label = ""
        yield " ".join(word for word in row["Tweet"].split() if not word.startswith(("@", "http"))).replace("\\n", " "), label


SOURCES = (
    Source(
        "meld",
        "MELD (Poria et al. 2019), utterances of Friends",
        "research; annotations GPL-3.0, scripts © their owners",
        {split: f"meld/{split}_sent_emo.csv" for split in ("train", "dev", "test")},
        _read_labelled_csv({"anger": "anger", "joy": "happiness", "neutral": "neutral", "sadness": "sadness"}),
    ),
    Source(
        "emorynlp",
        "EmoryNLP (Zahiri & Choi 2018), utterances of Friends",
        "research; scripts © their owners",
        {split: f"emorynlp/emorynlp_{split}_final.csv" for split in ("train", "dev", "test")},
        _read_labelled_csv({"mad": "anger", "joyful": "happiness", "neutral": "neutral", "sad": "sadness"}),
    ),
    Source(
        "goemotions",
        "GoEmotions (Demszky et al. 2020), Reddit comments",
        "Apache-2.0",
        {split: f"goemotions/{split}.tsv" for split in ("train", "dev", "test")},
        _read_goemotions,
    ),
    Source(
        "dailydialog",
        "DailyDialog (Li et al. 2017), the part of RECCON",
        "CC BY-NC-SA 4.0",
        {
            split: f"dailydialog/dailydialog_{file}.json"
            for split, file in (("train", "train"), ("dev", "valid"), ("test", "test"))
        },
        _read_dailydialog,
    ),
    Source(
        "isear",
        "ISEAR (Scherer & Wallbott 1994), self-reports",
        "CC BY-NC-SA 3.0",
        {"train": "isear/ISEAR.csv"},
        _read_isear,
    ),
    Source(
        "semeval",
        "SemEval-2018 task 1 E-c (Mohammad et al. 2018), tweets",
        "research",
        {split: f"semeval2018-ec/2018-E-c-En-{split}.txt" for split in ("train", "dev")},
        _read_semeval,
    ),
)


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


def read_text_corpora(folder: Path, sources: Iterable[Source] = SOURCES) -> TextCorpus:
    """Read all collections below `folder`.

    A training utterance (of any collection, and the published development and test parts of other collections too) that is a
    near-duplicate of a MELD test or development utterance is left out,
    as is a MELD development utterance that nearly is a test one.

    Returns
    -------
    TextCorpus
        Files that are missing or broken are listed in its `problems`; the others are read all the same.
    """
    utterances: list[Utterance] = []
    problems: list[str] = []
    for source in sources:
        for split, name in source.files.items():
            path = folder / name
            try:
                pairs = list(source.read(path))
            except FileNotFoundError as error:
                problems.append(f"{source.name}: there is no file {error.filename}.")
                continue
            except (OSError, ValueError, csv.Error) as error:
                problems.append(f"{source.name}: {path} is broken: {error}.")
                continue
            if not pairs:
                problems.append(f"{source.name}: {path} holds no utterance.")
            for text, label in pairs:
                if tokens := tokenize(text):
                    utterances.append(Utterance(text, tokens, label, source.name, split))
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
