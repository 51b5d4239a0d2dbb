"""GoEmotions: Reddit comments, ``{train,dev,test}.tsv`` of text, label numbers and identifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource

__all__ = ["GOEMOTIONS"]

CLASSES = {
    **dict.fromkeys(("anger", "annoyance"), "anger"),
    **dict.fromkeys(("joy", "excitement", "amusement"), "happiness"),
    "neutral": "neutral",
    **dict.fromkeys(("sadness", "disappointment", "grief", "remorse"), "sadness"),
}
NAMES = ("labels.txt", "emotions.txt")


def _read(path: Path) -> Iterator[Entry | BadLine]:
    listed = next((path.parent / name for name in NAMES if (path.parent / name).is_file()), None)
    if listed is None:
        raise ValueError(f"the names of its labels are missing: there is no {' or '.join(NAMES)} beside it")
    names = listed.read_text(encoding="utf-8").split()
    with path.open(encoding="utf-8", newline="") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip("\r\n").split("\t")
            labels = fields[1].split(",") if len(fields) == 3 else []
            if not labels or not all(label.isascii() and label.isdigit() and int(label) < len(names) for label in labels):
                yield BadLine(number, "the line is not text, labels and identifier.")
                continue
            emotions = [names[int(label)] for label in labels]
            # A row counts only when all its labels mean one class: the others say too little about which.
            classes = {CLASSES.get(emotion, "") for emotion in emotions}
            yield Entry(number, fields[0], "+".join(emotions), classes.pop() if len(classes) == 1 else "")


GOEMOTIONS = TextSource(
    name="goemotions",
    title="GoEmotions (Demszky et al. 2020), Reddit comments",
    licence="Apache-2.0",
    folder="goemotions",
    files={split: (f"{split}.tsv", f"data/{split}.tsv") for split in ("train", "dev", "test")},
    read=_read,
)
