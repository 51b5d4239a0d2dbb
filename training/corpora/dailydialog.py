"""DailyDialog: the JSON files of its part in RECCON, or the release's lines of utterances and of emotion numbers.

Release: ``train/dialogues_train.txt`` has one dialogue a line, every utterance ends with ``__eou__``;
``train/dialogues_emotion_train.txt`` has as many numbers in the same line; the two speakers take turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from training.corpora.written import BadLine, Entry, TextSource

__all__ = ["DAILYDIALOG"]

EMOTIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""In the order of the release's numbers; 0 is its "no emotion"."""

OTHER_SPELLINGS = {
    "angry": "anger",
    "excited": "happiness",
    "happines": "happiness",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}
FOUR = ("anger", "happiness", "neutral", "sadness")


def _read(path: Path) -> Iterator[Entry | BadLine]:
    return _read_json(path) if path.suffix == ".json" else _read_release(path)


def _read_json(path: Path) -> Iterator[Entry | BadLine]:
    dialogues = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(dialogues, dict):
        raise ValueError("it is not an object of dialogues")
    number = 0
    for name, dialogue in dialogues.items():
        if not isinstance(dialogue, list) or not dialogue or not isinstance(dialogue[0], list):
            yield BadLine(number + 1, f"dialogue {name} has no utterances with emotions.")
            continue
        for turn in dialogue[0]:
            number += 1
            fields = turn if isinstance(turn, dict) else {}
            text, emotion, speaker = fields.get("utterance"), fields.get("emotion"), fields.get("speaker")
            if not isinstance(text, str) or not isinstance(emotion, str):
                yield BadLine(number, f"dialogue {name} has no utterances with emotions.")
                continue
            emotion = OTHER_SPELLINGS.get(emotion, emotion)
            if emotion not in EMOTIONS:
                yield BadLine(number, f"the label '{emotion}' of dialogue {name} is none of {', '.join(EMOTIONS)}.")
                continue
            yield _entry(number, text, emotion, speaker if isinstance(speaker, str) else "", name)


def _read_release(path: Path) -> Iterator[Entry | BadLine]:
    labels = path.with_name(path.name.replace("dialogues_", "dialogues_emotion_"))
    if not labels.is_file():
        raise ValueError(f"its labels are missing: there is no {labels.name} beside it")
    with path.open(encoding="utf-8") as texts, labels.open(encoding="utf-8") as numbers:
        for line, (text, number) in enumerate(zip_longest(texts, numbers, fillvalue=""), start=1):
            utterances = [utterance.strip() for utterance in text.split("__eou__")]
            if utterances[-1] == "":
                utterances.pop()
            codes = number.split()
            if len(utterances) != len(codes):
                yield BadLine(line, f"the dialogue has {len(utterances)} utterances but {len(codes)} labels.")
                continue
            for turn, (utterance, code) in enumerate(zip(utterances, codes, strict=True)):
                if code not in tuple("0123456"):
                    yield BadLine(line, f"the label '{code}' is no number from 0 to 6.")
                    continue
                yield _entry(line, utterance, EMOTIONS[int(code)], "AB"[turn % 2], str(line))


def _entry(line: int, text: str, emotion: str, speaker: str, dialogue: str) -> Entry:
    # Who A and B are is another matter in every dialogue.
    return Entry(line, text, emotion, emotion if emotion in FOUR else "", f"{dialogue}_{speaker}" if speaker else "", dialogue)


DAILYDIALOG = TextSource(
    name="dailydialog",
    title="DailyDialog (Li et al. 2017), the part of RECCON or the whole release",
    licence="CC BY-NC-SA 4.0",
    folder="dailydialog",
    files={
        split: (f"dailydialog_{short}.json", f"{long}/dialogues_{long}.txt", f"{long}/{long}/dialogues_{long}.txt")
        for split, short, long in (("train", "train", "train"), ("dev", "valid", "validation"), ("test", "test", "test"))
    },
    read=_read,
)
