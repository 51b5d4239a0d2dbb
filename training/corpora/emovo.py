"""EMOVO: six Italian actors, seven emotions; ``f1/gio-f1-b1.wav``: emotion, speaker, sentence."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["EMOVO"]

EMOTIONS = {
    "dis": "disgust",
    "gio": "happiness",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
NAME = re.compile(r"([a-z]{3})-([fm])([123])-([a-z]\d)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem.lower())
    if match is None:
        raise ValueError("the name is not emotion, speaker and sentence such as gio-f1-b1.")
    emotion, gender, number, sentence = match.groups()
    if emotion not in EMOTIONS:
        raise ValueError(f"the label '{emotion}' is none of {', '.join(EMOTIONS)}.")
    return Spoken(gender + number, gender, EMOTIONS[emotion], sentence)


EMOVO = SpeechCorpus(
    name="EMOVO",
    title="EMOVO (Costantini et al. 2014)",
    language="it",
    licence="free for research, no formal text",
    classes={
        **dict.fromkeys(("disgust", "fear", "surprise"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=588,
    speakers=6,
    describe=_describe,
    remarks=("Fourteen sentences, the same in every emotion: words say nothing about the label.",),
)
