"""URDU: talk shows, four emotions; ``Angry/SM1_F1_A01.wav``: speaker (male 1), file of the speaker, emotion and number."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["URDU"]

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
FOLDERS = {"angry": "A", "happy": "H", "neutral": "N", "sad": "S"}
NAME = re.compile(r"S([MF])(\d+)_F\d+_([A-Z])\d+")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not speaker, file and emotion such as SM1_F1_A01.")
    gender, number, emotion = match.groups()
    if emotion not in EMOTIONS:
        raise ValueError(f"the label '{emotion}' is none of {', '.join(EMOTIONS)}.")
    for parent in place.parts[:-1]:
        if FOLDERS.get(parent.lower(), emotion) != emotion:
            raise ValueError(f"the name says {EMOTIONS[emotion]}, the folder is {parent}.")
    return Spoken(f"S{gender}{number}", gender.lower(), EMOTIONS[emotion])


URDU = SpeechCorpus(
    name="URDU",
    title="URDU (Latif et al. 2018)",
    language="ur",
    licence="research only",
    classes={name: name for name in ("anger", "happiness", "neutral", "sadness")},
    clips=400,
    speakers=38,
    describe=_describe,
    remarks=("Most speakers are heard in one emotion only: knowing the voice is knowing the label.",),
)
