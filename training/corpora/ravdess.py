"""RAVDESS: 24 English actors, eight emotions; ``Actor_XX/03-01-EMOTION-INTENSITY-STATEMENT-REPETITION-ACTOR.wav``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["RAVDESS"]

EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
NAME = re.compile(r"(\d\d)-(\d\d)-0([1-8])-0[12]-0([12])-0[12]-(\d\d)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not seven two-digit codes such as 03-01-05-01-02-01-12.")
    modality, channel, emotion, statement, actor = match.groups()
    if (modality, channel) != ("03", "01"):
        raise ValueError("this is not audio-only speech (03-01): songs and videos are another part of the release.")
    if not 1 <= int(actor) <= 24:
        raise ValueError(f"there is no actor {actor}.")
    text = STATEMENTS[int(statement) - 1]
    return Spoken(actor, "m" if int(actor) % 2 else "f", EMOTIONS[int(emotion) - 1], statement, text)


RAVDESS = SpeechCorpus(
    name="RAVDESS",
    title="RAVDESS (Livingstone & Russo 2018), audio-only speech",
    language="en",
    licence="CC BY-NC-SA 4.0",
    classes={
        **dict.fromkeys(EMOTIONS, ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=1_439,
    speakers=24,
    describe=_describe,
    left_out={"03-01-03-01-02-02-07": "it repeats 03-01-03-01-02-01-07 sample for sample"},
    remarks=("Two sentences, the same in every emotion: words say nothing about the label.",),
)
