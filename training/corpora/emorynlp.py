"""EmoryNLP: utterances of the series Friends, ``emorynlp_{train,dev,test}_final.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource, labelled_rows

__all__ = ["EMORYNLP"]

CLASSES = {
    **dict.fromkeys(("peaceful", "powerful", "scared"), ""),
    **{"mad": "anger", "joyful": "happiness", "neutral": "neutral", "sad": "sadness"},
}
DIALOGUE = ("Season", "Episode", "Scene_ID")


def _read(path: Path) -> Iterator[Entry | BadLine]:
    for found in labelled_rows(path, CLASSES):
        if isinstance(found, BadLine):
            yield found
            continue
        line, row, emotion = found
        # The column is a list as Python prints it: ['Monica Geller', 'Rachel Green'].
        speakers = [double or single for double, single in re.findall(r"\"([^\"]*)\"|'([^']*)'", row.get("Speaker", ""))]
        dialogue = "-".join(row[column] for column in DIALOGUE) if all(column in row for column in DIALOGUE) else ""
        yield Entry(line, row["Utterance"], emotion, CLASSES[emotion], " & ".join(speakers), dialogue)


EMORYNLP = TextSource(
    name="emorynlp",
    title="EmoryNLP (Zahiri & Choi 2018), utterances of Friends",
    licence="research; scripts © their owners",
    folder="emorynlp",
    files={
        split: (f"emorynlp_{split}_final.csv", f"data/EMORY/emorynlp_{split}_final.csv") for split in ("train", "dev", "test")
    },
    read=_read,
)
