"""TESS: two Canadian women, seven emotions; ``OAF_angry/OAF_back_angry.wav``: speaker, word, emotion (``ps``: surprise)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["TESS"]

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
# One file of the release is called OA_bite_neutral.
NAME = re.compile(r"([OY])AF?_([A-Za-z-]+)_([a-z]+)")
FOLDER = re.compile(r"([oy])af_(\w+)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not speaker, word and emotion such as OAF_back_angry.")
    initial, word, emotion = match.groups()
    if emotion not in EMOTIONS:
        raise ValueError(f"the label '{emotion}' is none of {', '.join(EMOTIONS)}.")
    if folder := FOLDER.fullmatch(place.parent.name.lower()):
        listed = "ps" if folder[2].startswith("pleasant") else folder[2]
        if (folder[1].upper(), listed) != (initial, emotion):
            raise ValueError(f"the name says {initial}AF and {emotion}, the folder is {place.parent.name}.")
    return Spoken(f"{initial}AF", "f", EMOTIONS[emotion], word.lower(), f"Say the word {word.lower()}")


class _Tess(SpeechCorpus):
    def recording(self, place: PurePosixPath, spoken: Spoken) -> str:
        """Some archives of it contain all folders twice."""
        return f"{spoken.speaker} {spoken.sentence} {spoken.emotion}"


TESS = _Tess(
    name="TESS",
    title="TESS (Pichora-Fuller & Dupuis 2010)",
    language="en",
    licence="CC BY-NC-ND 4.0",
    classes={
        **dict.fromkeys(("disgust", "fear", "surprise"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=2_800,
    speakers=2,
    describe=_describe,
    remarks=("Two women only: a speaker-disjoint split leaves one to train on.",),
)
