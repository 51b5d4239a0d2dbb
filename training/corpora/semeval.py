"""SemEval-2018 task 1 E-c: tweets with any of eleven emotions, ``2018-E-c-En-{train,dev,test-gold}.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource, table_rows

__all__ = ["SEMEVAL"]

EMOTIONS = (
    *("anger", "anticipation", "disgust", "fear", "joy", "love"),
    *("optimism", "pessimism", "sadness", "surprise", "trust"),
)
# What usually comes along with a class does not make it doubtful; these do.
AGAINST = {
    "joy": frozenset({"anger", "sadness", "disgust", "fear", "pessimism"}),
    "anger": frozenset({"joy", "sadness", "love", "optimism"}),
    "sadness": frozenset({"joy", "anger", "love", "optimism"}),
}


def _four_class(marked: set[str]) -> str:
    if not marked:
        return "neutral"
    for emotion, label in (("joy", "happiness"), ("anger", "anger"), ("sadness", "sadness")):
        if emotion in marked and not marked & AGAINST[emotion]:
            return label
    return ""


def _read(path: Path) -> Iterator[Entry | BadLine]:
    for found in table_rows(path, "\t", ("Tweet", *EMOTIONS)):
        if isinstance(found, BadLine):
            yield found
            continue
        line, row = found
        marks = {row[emotion] for emotion in EMOTIONS}
        if marks - {"0", "1"}:
            yield BadLine(line, f"the marks are not 0 or 1 but {', '.join(sorted(marks - {'0', '1'}))}.")
            continue
        marked = [emotion for emotion in EMOTIONS if row[emotion] == "1"]
        words = [word for word in row["Tweet"].split() if not word.startswith(("@", "http"))]
        yield Entry(line, " ".join(words).replace("\\n", " "), "+".join(marked) or "neutral", _four_class(set(marked)))


SEMEVAL = TextSource(
    name="semeval",
    title="SemEval-2018 task 1 E-c (Mohammad et al. 2018), tweets",
    licence="research",
    folder="semeval2018-ec",
    files={
        split: tuple(f"{folder}2018-E-c-En-{name}.txt" for folder in ("", "English/E-c/", "E-c/"))
        for split, name in (("train", "train"), ("dev", "dev"), ("test", "test-gold"))
    },
    read=_read,
    optional=frozenset({"test"}),
    remarks=("Names and links in the tweets are left out.",),
)
