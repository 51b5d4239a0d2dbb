"""EMO-DB: ten German actors, seven emotions; ``wav/03a01Fa.wav``: speaker, sentence, emotion (of the German word), version."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken

__all__ = ["EMODB"]

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}
GENDERS = {
    **dict.fromkeys(("03", "10", "11", "12", "15"), "m"),
    **dict.fromkeys(("08", "09", "13", "14", "16"), "f"),
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFNT])[a-z]?")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not speaker, sentence, emotion and version such as 03a01Fa.")
    speaker, sentence, emotion = match.groups()
    if speaker not in GENDERS:
        raise ValueError(f"there is no speaker {speaker}.")
    if sentence not in SENTENCES:
        raise ValueError(f"there is no sentence {sentence}.")
    return Spoken(speaker, GENDERS[speaker], EMOTIONS[emotion], sentence, SENTENCES[sentence])


EMODB = SpeechCorpus(
    name="EMODB",
    title="EMO-DB (Burkhardt et al. 2005)",
    language="de",
    licence="freely distributed by TU Berlin, no formal text",
    classes={
        **dict.fromkeys(("boredom", "disgust", "fear"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=535,
    speakers=10,
    describe=_describe,
    remarks=("Ten sentences, the same in every emotion: words say nothing about the label.",),
)
