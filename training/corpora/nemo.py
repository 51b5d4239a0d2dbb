"""nEMO: nine Polish actors, six emotions; ``samples/WR0_anger_77.wav`` and ``data.tsv`` with words and genders."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from training.corpora.speech import SpeechCorpus, Spoken
from training.corpora.table import Clip, Problem
from training.corpora.written import BadLine, table_rows

__all__ = ["NEMO"]

TABLE = "data.tsv"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender")
GENDERS = {"female": "f", "male": "m"}
OTHER_SPELLINGS = {"surprised": "surprise"}
NAME = re.compile(r"([A-Z]+\d)_([a-z]+)_(\d+)")


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None:
        raise ValueError("the name is not speaker, emotion and sentence such as WR0_anger_77.")
    speaker, emotion, sentence = match.groups()
    return Spoken(speaker, "", OTHER_SPELLINGS.get(emotion, emotion), sentence)


def _rows(folder: Path) -> Iterator[tuple[int, dict[str, str]] | BadLine]:
    try:
        yield from table_rows(folder / TABLE, "\t", COLUMNS)
    except FileNotFoundError:
        yield BadLine(0, "the table is missing.")
    except UnicodeDecodeError:
        yield BadLine(0, "the table is not UTF-8 text.")
    except (OSError, ValueError, csv.Error) as error:
        yield BadLine(0, f"the table is broken: {str(error).rstrip('.')}.")


class _Nemo(SpeechCorpus):
    """Names say who, what and how; the table says the words and the gender, and must agree with the names."""

    def descriptions(self, folder: Path, problems: list[Problem]) -> Callable[[PurePosixPath], Spoken]:
        table: dict[str, dict[str, str]] = {}
        for found in _rows(folder):
            if isinstance(found, BadLine):
                problems.append(Problem(TABLE, found.what, "Copy it from the release again.", found.line))
                continue
            line, row = found
            if row["gender"] not in GENDERS:
                problems.append(Problem(TABLE, f"the gender '{row['gender']}' is neither female nor male.", line=line))
            if table.setdefault(PurePosixPath(row["file_id"]).stem, row) is not row:
                problems.append(Problem(TABLE, f"{row['file_id']} is listed twice.", "The first line counts.", line))

        def describe(place: PurePosixPath) -> Spoken:
            spoken = self.describe(place)
            row = table.get(place.stem)
            if row is None:
                if not table:
                    return spoken
                raise ValueError(f"the file is not listed in {TABLE}.")
            listed = OTHER_SPELLINGS.get(row["emotion"], row["emotion"])
            if (row["speaker_id"].strip(), listed) != (spoken.speaker, spoken.emotion):
                raise ValueError(f"{TABLE} says {listed} of {row['speaker_id'].strip()}, the name says otherwise.")
            return replace(spoken, gender=GENDERS.get(row["gender"], ""), text=row["raw_text"])

        return describe

    def missing(self, clips: list[Clip], folder: Path) -> Iterator[Problem]:
        """Yield rows of the table that have no audio, and what the release has more."""
        found = {PurePosixPath(clip.path).stem for clip in clips}
        for row in _rows(folder):
            if not isinstance(row, BadLine) and clips and PurePosixPath(row[1]["file_id"]).stem not in found:
                yield Problem(TABLE, f"{row[1]['file_id']} has a label but no usable audio.", "Unpack it again.", row[0])
        yield from super().missing(clips, folder)


NEMO = _Nemo(
    name="nEMO",
    title="nEMO (Christop 2024)",
    language="pl",
    licence="CC BY-NC-SA 4.0",
    classes={
        **dict.fromkeys(("fear", "surprise"), ""),
        **{name: name for name in ("anger", "happiness", "neutral", "sadness")},
    },
    clips=4_481,
    speakers=9,
    describe=_describe,
    remarks=("The same sentences in every emotion: words say nothing about the label.",),
)
