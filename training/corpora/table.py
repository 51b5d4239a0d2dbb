"""The one table that every corpus becomes: clips of speech or labelled texts, and what is wrong with the files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FOUR_CLASSES", "Clip", "CorpusTable", "Problem", "TextRow", "TextTable"]

FOUR_CLASSES = ("anger", "happiness", "neutral", "sadness")
"""The paper's four classes, in the order of the networks' outputs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a corpus.

    Attributes
    ----------
    file
        Relative to the corpus's folder, with forward slashes; ``"."`` for the folder itself.
    what
        What is wrong, one sentence.
    remedy
        What to do about it, one sentence.
    line
        Counted from 1; 0 where it concerns no single line.
    """

    file: str
    what: str
    remedy: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.what}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recorded utterance.

    Attributes
    ----------
    path
        Name of the clip: the corpus and the file's place in it, with forward slashes; unique.
    corpus, language, speaker
        Names; a speaker's name is unique over all corpora.
    emotion
        The corpus's own label.
    emotion4
        One of :data:`FOUR_CLASSES`, or ``""`` where the label is none of them.
    seconds
        Length as the manifest or the file's header says it.
    text
        The words spoken, where known.
    session
        Split key: the recording session, unique over all corpora; ``""`` where the corpus has none.
    gender
        ``"f"``, ``"m"``, or ``""`` where it is unknown or the corpus contradicts itself.
    licence
        What may be done with the recording.
    sentence
        Split key: equal for clips in which the same prepared sentence is spoken; ``""`` for free speech or where unknown.
    dialogue
        Split key: the conversation that the utterance is part of, unique over all corpora; ``""`` where there is none.
    file
        Absolute path of the audio; no part of what makes two clips equal.
    """

    path: str
    corpus: str
    language: str
    speaker: str
    emotion: str
    emotion4: str
    seconds: float
    text: str
    session: str = ""
    gender: str = ""
    licence: str = ""
    sentence: str = ""
    dialogue: str = ""
    file: Path = field(default=Path(), compare=False)

    @property
    def lossless(self) -> bool:
        """Whether the file was stored without a lossy codec."""
        return not self.path.endswith((".opus", ".ogg", ".mp3"))


@dataclass(frozen=True, slots=True)
class CorpusTable:
    """What was found in the folder of a speech corpus.

    Attributes
    ----------
    clips
        Sorted by path; every one has readable audio and a known label.
    problems
        Everything that is wrong; clips concerned by one may be missing from `clips`.
    notes
        Known peculiarities of the release and how they were handled; none of them is the user's fault.
    """

    name: str
    title: str
    licence: str
    folder: Path
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Length of all clips together."""
        return sum(clip.seconds for clip in self.clips) / 3_600.0

    def summary(self) -> dict[str, Any]:
        """Counts fit for JSON: clips, speakers, sessions, hours, clips by label and by four-class label."""
        return {
            "kind": "speech",
            "name": self.name,
            "title": self.title,
            "folder": str(self.folder),
            "licence": self.licence,
            "clips": len(self.clips),
            "speakers": len({clip.speaker for clip in self.clips}),
            "sessions": len({clip.session for clip in self.clips if clip.session}),
            "hours": round(self.hours, 3),
            "labels": _counts(clip.emotion for clip in self.clips),
            "four_classes": _four(clip.emotion4 for clip in self.clips),
            "notes": list(self.notes),
            "problems": [str(problem) for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class TextRow:
    """One labelled text.

    Attributes
    ----------
    text
        As published, but for what its corpus's reader says.
    corpus, language
        Names.
    emotion
        The corpus's own label; several are joined by ``+``.
    emotion4
        One of :data:`FOUR_CLASSES`, or ``""`` where the label is none of them or not clearly one.
    split
        ``"train"``, ``"dev"`` or ``"test"``, as published.
    speaker, dialogue
        Unique over all corpora; ``""`` where unknown.
    licence
        What may be done with the text.
    file, line
        Where it stands: relative to the corpus's folder; the line (of a JSON file: the entry) is counted from 1.
    """

    text: str
    corpus: str
    language: str
    emotion: str
    emotion4: str
    split: str
    speaker: str = ""
    dialogue: str = ""
    licence: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class TextTable:
    """What was found in the folder of a text corpus; `rows` are in the order of the files."""

    name: str
    title: str
    licence: str
    folder: Path
    rows: tuple[TextRow, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Counts fit for JSON: rows, rows by split, speakers, rows by label and by four-class label."""
        return {
            "kind": "text",
            "name": self.name,
            "title": self.title,
            "folder": str(self.folder),
            "licence": self.licence,
            "rows": len(self.rows),
            "splits": _counts(row.split for row in self.rows),
            "speakers": len({row.speaker for row in self.rows if row.speaker}),
            "labels": _counts(row.emotion for row in self.rows),
            "four_classes": _four(row.emotion4 for row in self.rows),
            "notes": list(self.notes),
            "problems": [str(problem) for problem in self.problems],
        }


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _four(names: Any) -> dict[str, int]:
    counts = Counter(names)
    return {name: counts[name] for name in FOUR_CLASSES}
