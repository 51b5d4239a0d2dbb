"""ASED: 65 Amharic speakers, five emotions.

``wav/05Angry/a5-03-01-02-50.wav``: emotion, sentence, repetition, gender, speaker.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["ASED"]

EMOTIONS = {"n1": "neutral", "f2": "fear", "h3": "happiness", "s4": "sadness", "a5": "anger"}
FOLDERS = {"01neutral": "n1", "02fearful": "f2", "03happy": "h3", "04sad": "s4", "05angry": "a5"}
GENDERS = {"01": "f", "02": "m"}
COMMON = ("01", "02")
"""Sentences that are spoken in every emotion; the others belong to one."""

NAME = re.compile(r"([nfhsa]\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem.lower())
    if match is None:
        raise ValueError("the name is not emotion, sentence, repetition, gender and speaker such as a5-03-01-02-50.")
    emotion, sentence, _, gender, speaker = match.groups()
    if emotion not in EMOTIONS:
        raise ValueError(f"the label '{emotion}' is none of {', '.join(EMOTIONS)}.")
    if gender not in GENDERS:
        raise ValueError(f"the gender '{gender}' is neither 01 nor 02.")
    if FOLDERS.get(place.parent.name.lower(), emotion) != emotion:
        raise ValueError(f"the name says {EMOTIONS[emotion]}, the folder is {place.parent.name}.")
    return Spoken(
        speaker,
        GENDERS[gender],
        EMOTIONS[emotion],
        f"common{sentence}" if sentence in COMMON else f"{emotion[0]}{sentence}",
    )


ASED = SpeechCorpus(
    name="ASED",
    title="ASED (Retta et al. 2023)",
    language="am",
    licence="none stated, freely available",
    classes={"fear": "", **{name: name for name in ("anger", "happiness", "neutral", "sadness")}},
    clips=2_470,
    speakers=65,
    describe=_describe,
    left_out={
        again: f"it repeats {first} sample for sample"
        for again, first in (
            ("n1-07-02-02-53", "n1-07-01-02-53"),
            ("h3-01-02-02-08", "h3-01-01-02-08"),
            ("s4-03-02-01-23", "s4-03-01-01-23"),
            ("a5-07-02-02-63", "a5-07-01-02-63"),
        )
    },
    remarks=("Five of the seven sentences of an emotion belong to it alone: words would give labels away.",),
)
