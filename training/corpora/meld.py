"""MELD: utterances of the series Friends, ``{train,dev,test}_sent_emo.csv``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource, labelled_rows

__all__ = ["MELD"]

CLASSES = {
    **dict.fromkeys(("disgust", "fear", "surprise"), ""),
    **{"anger": "anger", "joy": "happiness", "neutral": "neutral", "sadness": "sadness"},
}


def _read(path: Path) -> Iterator[Entry | BadLine]:
    for found in labelled_rows(path, CLASSES):
        if isinstance(found, BadLine):
            yield found
            continue
        line, row, emotion = found
        yield Entry(
            line,
            row["Utterance"],
            emotion,
            CLASSES[emotion],
            row.get("Speaker", "").strip(),
            row.get("Dialogue_ID", "").strip(),
        )


MELD = TextSource(
    name="meld",
    title="MELD (Poria et al. 2019), utterances of Friends",
    licence="research; annotations GPL-3.0, scripts © their owners",
    folder="meld",
    files={split: (f"{split}_sent_emo.csv", f"data/MELD/{split}_sent_emo.csv") for split in ("train", "dev", "test")},
    read=_read,
    remarks=("Many of its test utterances also stand in EmoryNLP: remove near-duplicates before training on both.",),
)
