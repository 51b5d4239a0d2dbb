"""SAVEE: four English men, seven emotions; ``AudioData/DC/sa01.wav``, or all in one folder as ``ALL/DC_sa01.wav``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["SAVEE"]

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
NAME = re.compile(r"(?:([A-Z]{2})_)?(sa|su|[adfhn])(\d\d)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not emotion and sentence such as sa01, or DC_sa01.")
    speaker, emotion, sentence = match.groups()
    speaker = speaker or place.parent.name
    if speaker not in SPEAKERS:
        raise ValueError(f"the speaker is none of {', '.join(SPEAKERS)}: files lie in a folder of that name or begin with it.")
    return Spoken(speaker, "m", EMOTIONS[emotion], emotion + sentence)


class _Savee(SpeechCorpus):
    def recording(self, place: PurePosixPath, spoken: Spoken) -> str:
        """The same sentence in both layouts is one recording."""
        return f"{spoken.speaker} {spoken.sentence}"


SAVEE = _Savee(
    name="SAVEE",
    title="SAVEE (Haq & Jackson 2009)",
    language="en",
    licence="free for research after registration",
    classes={
        **dict.fromkeys(("disgust", "fear", "surprise"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=480,
    speakers=4,
    describe=_describe,
    remarks=("Men only, and most sentences belong to one emotion: words would give labels away.",),
)
