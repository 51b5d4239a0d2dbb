"""CREMA-D: 91 actors, six emotions; ``AudioWAV/1001_DFA_ANG_XX.wav``: actor, sentence, emotion, level; a table of actors."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken
from training.corpora.table import Problem
from training.corpora.written import BadLine, table_rows

__all__ = ["CREMAD"]

TABLE = "VideoDemographics.csv"
AUDIO = "AudioWAV"
GENDERS = {"Female": "f", "Male": "m"}
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# One file of the release says X where the others say XX.
NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(?:XX?|LO|MD|HI)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not actor, sentence, emotion and level such as 1001_DFA_ANG_XX.")
    actor, sentence, emotion = match.groups()
    if sentence not in SENTENCES:
        raise ValueError(f"there is no sentence {sentence}.")
    if emotion not in EMOTIONS:
        raise ValueError(f"the label '{emotion}' is none of {', '.join(EMOTIONS)}.")
    return Spoken(actor, "", EMOTIONS[emotion], sentence, SENTENCES[sentence])


class _CremaD(SpeechCorpus):
    def files(self, folder: Path) -> Iterator[Path]:
        """The release has all clips as MP3 and as video too."""
        return super().files(folder / AUDIO if (folder / AUDIO).is_dir() else folder)

    def descriptions(self, folder: Path, problems: list[Problem]) -> Callable[[PurePosixPath], Spoken]:
        genders: dict[str, str] = {}
        try:
            for found in table_rows(folder / TABLE, ",", ("ActorID", "Sex")):
                if isinstance(found, BadLine):
                    problems.append(Problem(TABLE, found.what, "Copy it from the release again.", found.line))
                elif found[1]["Sex"] in GENDERS:
                    genders[found[1]["ActorID"]] = GENDERS[found[1]["Sex"]]
                else:
                    problems.append(Problem(TABLE, f"the sex '{found[1]['Sex']}' is neither Female nor Male.", line=found[0]))
        except FileNotFoundError:
            problems.append(Problem(TABLE, "there is no such file: genders stay unknown.", "Copy it beside AudioWAV."))
        except UnicodeDecodeError:
            problems.append(Problem(TABLE, "the file is not UTF-8 text.", "Copy it from the release again."))
        except (OSError, ValueError, csv.Error) as error:
            problems.append(Problem(TABLE, f"the file is broken: {str(error).rstrip('.')}.", "Copy it from the release again."))

        def describe(place: PurePosixPath) -> Spoken:
            spoken = self.describe(place)
            if genders and spoken.speaker not in genders:
                raise ValueError(f"actor {spoken.speaker} is not listed in {TABLE}.")
            return replace(spoken, gender=genders.get(spoken.speaker, ""))

        return describe


CREMAD = _CremaD(
    name="CREMA-D",
    title="CREMA-D (Cao et al. 2014)",
    language="en",
    licence="Open Database License (ODbL) 1.0",
    classes={
        **dict.fromkeys(("disgust", "fear"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=7_441,
    speakers=91,
    describe=_describe,
    left_out={"1076_MTI_SAD_XX": "it is silent in the release"},
    remarks=("Twelve sentences, the same in every emotion: words say nothing about the label.",),
)
