"""ISEAR: self-reports of situations, ``ISEAR.csv`` of emotion and text without a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource

__all__ = ["ISEAR"]

CLASSES = {
    **dict.fromkeys(("disgust", "fear", "guilt", "shame"), ""),
    **{"anger": "anger", "joy": "happiness", "sadness": "sadness"},
}
OTHER_SPELLINGS = {"guit": "guilt"}


def _read(path: Path) -> Iterator[Entry | BadLine]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for fields in reader:
            if len(fields) < 2:
                yield BadLine(reader.line_num, "the line is not emotion and text.")
                continue
            emotion = fields[0].strip().lower()
            emotion = OTHER_SPELLINGS.get(emotion, emotion)
            if emotion not in CLASSES:
                yield BadLine(reader.line_num, f"the label '{emotion}' is none of {', '.join(sorted(CLASSES))}.")
            elif "no response" not in fields[1].lower():
                yield Entry(reader.line_num, " ".join(fields[1].split()), emotion, CLASSES[emotion])


ISEAR = TextSource(
    name="isear",
    title="ISEAR (Scherer & Wallbott 1994), self-reports",
    licence="CC BY-NC-SA 3.0",
    folder="isear",
    files={"train": ("ISEAR.csv", "isear.csv")},
    read=_read,
    remarks=("It has no neutral texts and no published split: all of it trains.",),
)
