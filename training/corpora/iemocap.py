"""IEMOCAP (Busso et al. 2008): five sessions of two actors, from the evaluation and transcription files of the full release.

Layout::

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt      labels: majority of the evaluators, then every evaluator's lines
    Session1/dialog/transcriptions/Ses01F_impro01.txt     Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

``Ses01F`` says who of session 1 wears the markers, ``_F000`` who speaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training.corpora.speech import AUDIO_SUFFIXES, SpeechCorpus, Spoken, audio_seconds
from training.corpora.table import FOUR_CLASSES, Clip, CorpusTable, Problem

__all__ = ["IEMOCAP", "Label", "parse_evaluation", "parse_transcription"]

EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "excitement",
    "neu": "neutral",
    "sad": "sadness",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
    "xxx": "undecided",
}
"""The release's labels; ``xxx``: no majority among the evaluators."""

CLASSES = {
    **dict.fromkeys(EMOTIONS.values(), ""),
    **{"anger": "anger", "happiness": "happiness", "excitement": "happiness", "neutral": "neutral", "sadness": "sadness"},
}
"""As the paper has them: excitement is happiness."""

EXPECTED = {
    1: (229, 278, 384, 194),
    2: (137, 327, 362, 197),
    3: (240, 286, 320, 305),
    4: (327, 303, 258, 143),
    5: (170, 442, 384, 245),
}
"""Utterances of every session in the four classes: together 1103 + 1636 + 1708 + 1084 = 5531."""

UTTERANCES = 10_039
DIALOGUES = 151

NAME = re.compile(r"Ses(\d\d)([FM])_(\w+)_([FM])(\d+)")
LABEL = re.compile(r"\b(Ses\d\d[FM]_\w+)\s+([A-Za-z]+)")
TURN = re.compile(r"\s*(Ses\d\d[FM]_\w+)(.*)", re.DOTALL)
TIMES = re.compile(r"[\s\[({]*\d[\d.]*\s*-\s*\d[\d.]*[\s\])}]*:?|\s*:")
ANNOTATION = re.compile(r"\[[^\]]*\]")
COPY_AGAIN = "Copy it from the release again."


@dataclass(frozen=True, slots=True)
class Label:
    """The majority label of one utterance and the line that says it."""

    utterance: str
    emotion: str
    line: int


def parse_evaluation(lines: list[str]) -> Iterator[Label | tuple[int, str]]:
    """Yield the labels of an evaluation file, and (line, what is wrong) of utterance lines that cannot be read.

    Only lines of an utterance matter: ``[6.2901 - 8.2357] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5]``. How the times are written
    does not. The evaluators' own choices (``C-E2: Neutral; ()``, ``A-E3: val 3; act 2; …``) follow each of them, may differ
    from it, and hold comments of several lines.
    """
    for number, line in enumerate(lines, start=1):
        content = line.strip().lstrip("\ufeff")
        if not content or content[0] in "%#" or content[:2] in ("C-", "A-"):
            continue
        match = LABEL.search(content)
        if match is None and content[0] not in "[({" and "Ses0" not in content:
            continue
        if match is None or NAME.fullmatch(match[1]) is None:
            yield number, "the line is not times, utterance and label."
        elif match[2].lower() not in EMOTIONS:
            yield number, f"the label '{match[2]}' of {match[1]} is none of {', '.join(EMOTIONS)}."
        else:
            yield Label(match[1], EMOTIONS[match[2].lower()], number)


def parse_transcription(lines: list[str]) -> dict[str, str]:
    """Words by utterance of a transcription file.

    Lines that are no utterance are passed over: noises of the one who listens (``Ses01F_impro01_MXX0 […]: [BREATHING]``),
    turns without a name (``M: Okay.``). Annotations in brackets such as ``[LAUGHTER]`` are left out of the words, since no
    recogniser would write them.
    """
    words: dict[str, str] = {}
    for line in lines:
        match = TURN.match(line)
        if match is None or NAME.fullmatch(match[1]) is None:
            continue
        rest = match[2]
        if times := TIMES.match(rest):
            rest = rest[times.end() :]
        words.setdefault(match[1], " ".join(ANNOTATION.sub(" ", rest).split()))
    return words


def _describe(place: PurePosixPath) -> Spoken:
    match = NAME.fullmatch(place.stem)
    if match is None or not 1 <= int(match[1]) <= 5:
        raise ValueError("the name is not session, dialogue and turn such as Ses01F_impro01_F000.")
    return Spoken(f"Ses{match[1]}{match[4]}", match[4].lower(), "")


def _text_files(folder: Path) -> dict[str, Path]:
    """Text files in `folder` by stem, without hidden ones (``._Ses01F_impro01.txt``)."""
    if not folder.is_dir():
        return {}
    found = (path for path in folder.iterdir() if path.suffix.lower() == ".txt" and path.is_file())
    return {path.stem: path for path in sorted(found) if not path.name.startswith(".")}


def _lines(path: Path) -> list[str]:
    # The files are ASCII but for a few stray bytes in comments and transcriptions.
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


class _Iemocap(SpeechCorpus):
    """Read from its tables, not from file names."""

    def from_name(self, place: PurePosixPath) -> tuple[str, str, str]:
        """Session of the file at `place`; no sentence, no words."""
        match = NAME.fullmatch(place.stem)
        return (f"{self.name}_Ses{match[1]}" if match else "", "", "")

    def open(self, folder: Path) -> CorpusTable:
        """Read the release in `folder`; what is wrong is listed in the table."""
        folder = folder.resolve()
        root = folder
        if not any((folder / f"Session{number}").is_dir() for number in EXPECTED):
            nested = sorted(path for path in folder.glob("*/") if (path / "Session1").is_dir())
            if not nested:
                problem = Problem(".", "there is no folder Session1 to Session5.", "Name the folder IEMOCAP_full_release.")
                return CorpusTable(self.name, self.title, self.licence, folder, (), (problem,), self.remarks)
            root = nested[0]
        clips: list[Clip] = []
        problems: list[Problem] = []
        notes = list(self.remarks)
        labels = dialogues = 0
        for number, expected in EXPECTED.items():
            session = root / f"Session{number}"
            if not session.is_dir():
                problems.append(Problem(session.name, "there is no such folder.", "Unpack all of the full release."))
                continue
            reading = _Session(self, root, number)
            try:
                reading.read()
            except OSError as error:
                what = f"the folder cannot be read: {error.strerror}: {error.filename}."
                problems.append(Problem(session.name, what, "Give yourself the right to read it."))
            clips.extend(reading.clips)
            problems.extend(reading.problems)
            labels += reading.labels
            dialogues += reading.dialogues
            counts = Counter(clip.emotion4 for clip in reading.clips)
            differing = [
                f"{counts[name]} of {name} where the release has {count}"
                for name, count in zip(FOUR_CLASSES, expected, strict=True)
                if counts[name] != count
            ]
            if differing:
                problems.append(
                    Problem(
                        session.name,
                        f"the session has {', '.join(differing)}.",
                        "Compare the files named here with the release.",
                    )
                )
        if clips and (labels, dialogues) != (UTTERANCES, DIALOGUES):
            problems.append(
                Problem(
                    ".",
                    f"{labels} labels in {dialogues} dialogues were found, the release has {UTTERANCES} in {DIALOGUES}.",
                    "Unpack the missing files again.",
                )
            )
        if not problems:
            notes.append("Complete: anger 1103, happiness with excitement 1636, neutral 1708, sadness 1084, together 5531.")
        clips.sort(key=lambda clip: clip.path)
        return CorpusTable(self.name, self.title, self.licence, folder, tuple(clips), tuple(problems), tuple(notes))


class _Session:
    """Reads one session; afterwards `clips`, `problems` and the numbers of labels and dialogues are there."""

    def __init__(self, corpus: SpeechCorpus, root: Path, number: int) -> None:
        self.corpus, self.root, self.number = corpus, root, number
        self.folder = root / f"Session{number}"
        self.clips: list[Clip] = []
        self.problems: list[Problem] = []
        self.labels = 0
        self.dialogues = 0
        self.seen: set[str] = set()

    def read(self) -> None:
        evaluations = _text_files(self.folder / "dialog" / "EmoEvaluation")
        transcriptions = _text_files(self.folder / "dialog" / "transcriptions")
        if not evaluations:
            place = f"{self.folder.name}/dialog/EmoEvaluation"
            self.problems.append(Problem(place, "there is no evaluation file.", "Unpack all of the full release."))
        self.dialogues = len(evaluations)
        for dialogue, path in evaluations.items():
            self._dialogue(dialogue, path, transcriptions.get(dialogue))
        for dialogue in sorted(transcriptions.keys() - evaluations.keys()):
            what = f"{dialogue} has a transcription but no evaluation file."
            self.problems.append(Problem(self._place(transcriptions[dialogue]), what, "Copy its labels from the release."))
        audio = self.folder / "sentences" / "wav"
        if not audio.is_dir():
            return
        for folder in sorted(path for path in audio.iterdir() if path.is_dir() and not path.name.startswith(".")):
            files = {p.stem for p in folder.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES and not p.name.startswith(".")}
            unlabelled = sorted(files - self.seen)
            if unlabelled:
                what = f"{len(unlabelled)} audio files have no label, the first is {unlabelled[0]}."
                self.problems.append(Problem(self._place(folder), what, "Copy the evaluation file from the release again."))

    def _place(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _dialogue(self, dialogue: str, path: Path, transcription: Path | None) -> None:
        place = self._place(path)
        words: dict[str, str] = {}
        try:
            found = list(parse_evaluation(_lines(path)))
        except OSError as error:
            self.problems.append(Problem(place, f"the file cannot be read: {error.strerror}.", COPY_AGAIN))
            return
        try:
            words = parse_transcription(_lines(transcription)) if transcription else {}
        except OSError as error:
            self.problems.append(
                Problem(self._place(transcription or path), f"the file cannot be read: {error.strerror}.", COPY_AGAIN)
            )
        if transcription is None:
            self.problems.append(
                Problem(place, f"{dialogue} has no transcription file.", "Copy it from the release: words are missing.")
            )
        labels: list[Label] = []
        for entry in found:
            if isinstance(entry, Label):
                labels.append(entry)
            else:
                self.problems.append(Problem(place, entry[1], "The line is left out.", entry[0]))
        if not labels:
            self.problems.append(Problem(place, "the file holds no label.", COPY_AGAIN))
        folder = self.folder / "sentences" / "wav" / dialogue
        if labels and not folder.is_dir():
            what = f"none of the {len(labels)} utterances of {dialogue} has audio: there is no folder {self._place(folder)}."
            self.problems.append(Problem(place, what, "Unpack it from the release."))
            return
        for label in labels:
            self._utterance(dialogue, place, label, words, folder, transcription)

    def _utterance(
        self, dialogue: str, place: str, label: Label, words: dict[str, str], folder: Path, transcription: Path | None
    ) -> None:
        name = label.utterance
        if not name.startswith(f"{dialogue}_") or int(name[3:5]) != self.number:
            what = f"{name} does not belong to {dialogue} of session {self.number}."
            self.problems.append(Problem(place, what, "The line is left out.", label.line))
            return
        if name in self.seen:
            self.problems.append(Problem(place, f"{name} has two labels.", "The first counts.", label.line))
            return
        self.seen.add(name)
        self.labels += 1
        if transcription is not None and name not in words:
            self.problems.append(Problem(self._place(transcription), f"the words of {name} are missing.", COPY_AGAIN))
        file = folder / f"{name}.wav"
        try:
            seconds = audio_seconds(file)
        except ValueError as error:
            self.problems.append(Problem(self._place(file), f"{name} has a label, but {error}", COPY_AGAIN))
            return
        match = NAME.fullmatch(name)
        assert match is not None  # the parser lets only such names through
        corpus = self.corpus.name
        self.clips.append(
            Clip(
                path=f"{self.corpus.key}/{self._place(file)}",
                corpus=corpus,
                language=self.corpus.language,
                speaker=f"{corpus}_Ses{match[1]}{match[4]}",
                emotion=label.emotion,
                emotion4=CLASSES[label.emotion],
                seconds=seconds,
                text=words.get(name, ""),
                session=f"{corpus}_Ses{match[1]}",
                gender=match[4].lower(),
                licence=self.corpus.licence,
                dialogue=f"{corpus}_{dialogue}",
                file=file,
            )
        )


IEMOCAP = _Iemocap(
    name="IEMOCAP",
    title="IEMOCAP (Busso et al. 2008), full release",
    language="en",
    licence="USC licence: research, on request, no redistribution",
    classes=CLASSES,
    clips=UTTERANCES,
    speakers=10,
    describe=_describe,
    remarks=("Every session plays the same scripts: words of the scripted dialogues are known from other sessions.",),
)
