"""What the readers of speech corpora share: finding audio, its length, duplicates, and whether the release is complete."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import soundfile

from training.corpora.table import Clip, CorpusTable, Problem

__all__ = [
    "AUDIO_SUFFIXES",
    "SpeechCorpus",
    "Spoken",
    "audio_faults",
    "audio_files",
    "audio_seconds",
    "without_doubtful_genders",
]

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".opus", ".ogg", ".mp3"})
COPY_AGAIN = "Copy it from the release again."


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a corpus says about one of its files.

    Attributes
    ----------
    speaker
        Its name inside the corpus.
    gender
        ``"f"``, ``"m"`` or ``""``.
    emotion
        The corpus's label, in English.
    sentence
        Code of the prepared sentence; ``""`` where there is none.
    text
        Its words, where known.
    """

    speaker: str
    gender: str
    emotion: str
    sentence: str = ""
    text: str = ""


def audio_files(folder: Path) -> Iterator[Path]:
    """Yield the audio files below `folder`, without hidden files and what macOS leaves behind (``._x.wav``, ``__MACOSX``)."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(parent, name)


def audio_seconds(path: Path) -> float:
    """Length of an audio file as its header says it, rounded to milliseconds.

    Raises
    ------
    ValueError
        Where it is missing, empty or not audio; the message goes on after the file's name.
    """
    try:
        header = soundfile.info(path)
    except (OSError, soundfile.SoundFileError) as error:
        if not path.is_file():
            raise ValueError("the audio is missing.") from error
        raise ValueError("the audio cannot be read.") from error
    if header.frames <= 0 or header.samplerate <= 0:
        raise ValueError("the audio is empty.")
    return round(header.frames / header.samplerate, 3)


def audio_faults(clips: Iterable[Clip]) -> Iterator[Problem]:
    """Decode every clip and yield what a header does not show: broken or silent audio, and copies under other names."""
    first: dict[bytes, str] = {}
    for clip in clips:
        try:
            samples, _ = soundfile.read(clip.file, dtype="int16", always_2d=True)
        except (OSError, soundfile.SoundFileError):
            yield Problem(clip.path, "the audio cannot be decoded to its end.", COPY_AGAIN)
            continue
        if not samples.any():
            yield Problem(clip.path, "the audio is silence.", "Remove it.")
            continue
        original = first.setdefault(hashlib.sha256(samples.tobytes()).digest(), clip.path)
        if original != clip.path:
            yield Problem(clip.path, f"the audio repeats {original} sample for sample.", "Remove one of them.")


def without_doubtful_genders(clips: Iterable[Clip]) -> tuple[list[Clip], list[str]]:
    """`clips` with an empty gender where their speaker has two, and the names of these speakers."""
    clips = list(clips)
    genders: dict[str, set[str]] = {}
    for clip in clips:
        genders.setdefault(clip.speaker, set()).add(clip.gender)
    doubtful = {speaker for speaker, found in genders.items() if len(found - {""}) > 1}
    return [replace(clip, gender="") if clip.speaker in doubtful else clip for clip in clips], sorted(doubtful)


@dataclass(frozen=True)
class SpeechCorpus:
    """A corpus whose file names say who speaks, what and how.

    Attributes
    ----------
    name
        As tables call it; in lower case it is the first part of the clips' paths.
    title
        Name, authors and year.
    classes
        English label → one of :data:`FOUR_CLASSES`, or ``""``.
    clips, speakers
        Numbers in the full release, known duplicates and silent files not counted; 0 where unknown.
    describe
        What the file at a path relative to the corpus's folder holds; raises :class:`ValueError` with what is wrong about it.
    left_out
        Stem of a file that is left out → why. These are faults of the release.
    remarks
        What whoever uses the corpus must know.
    """

    name: str
    title: str
    language: str
    licence: str
    classes: Mapping[str, str]
    clips: int
    speakers: int
    describe: Callable[[PurePosixPath], Spoken]
    left_out: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of the corpus's folder in a data folder, and first part of its clips' paths."""
        return self.name.lower().replace("-", "")

    def open(self, folder: Path) -> CorpusTable:
        """Read the corpus in `folder`; what is wrong is listed in the table."""
        folder = folder.resolve()
        clips: list[Clip] = []
        problems: list[Problem] = []
        notes = list(self.remarks)
        describe = self.descriptions(folder, problems)
        seen: dict[str, PurePosixPath] = {}
        again: Counter[PurePosixPath] = Counter()
        for file in self.files(folder):
            place = PurePosixPath(file.relative_to(folder).as_posix())
            if why := self.left_out.get(place.stem):
                notes.append(f"{place} is left out: {why}.")
                continue
            try:
                spoken = describe(place)
                clip = self._clip(spoken, place, file)
            except ValueError as error:
                remedy = COPY_AGAIN if str(error).startswith("the audio") else "Give it the release's name, or remove it."
                problems.append(Problem(str(place), str(error), remedy))
                continue
            recording = self.recording(place, spoken)
            if recording in seen:
                again[place.parent] += 1
                continue
            seen[recording] = place
            clips.append(clip)
        for parent, count in again.items():
            problems.append(
                Problem(
                    str(parent),
                    f"{count} of the recordings here are also elsewhere; only the first ones are used.",
                    "Remove one of the copies.",
                )
            )
        problems.extend(self.missing(clips, folder))
        clips, doubtful = without_doubtful_genders(clips)
        if doubtful:
            notes.append(f"Both genders are given for {', '.join(doubtful)}: each counts as one speaker of unknown gender.")
        clips.sort(key=lambda clip: clip.path)
        return CorpusTable(self.name, self.title, self.licence, folder, tuple(clips), tuple(problems), tuple(notes))

    def files(self, folder: Path) -> Iterator[Path]:
        """The audio files that belong to the corpus."""
        return audio_files(folder)

    def descriptions(self, folder: Path, problems: list[Problem]) -> Callable[[PurePosixPath], Spoken]:
        """What describes this folder's files; corpora with a table of their own read it here and add to `problems`."""
        return self.describe

    def from_name(self, place: PurePosixPath) -> tuple[str, str, str]:
        """Session, sentence and words of the file at `place`, as far as its name says them; ``""`` where it does not."""
        try:
            spoken = self.describe(place)
        except ValueError:
            return "", "", ""
        return "", f"{self.name}_{spoken.sentence}" if spoken.sentence else "", spoken.text

    def recording(self, place: PurePosixPath, spoken: Spoken) -> str:
        """Two files for which this is equal are copies of one recording."""
        return place.stem.lower()

    def missing(self, clips: list[Clip], folder: Path) -> Iterator[Problem]:
        """Yield what the full release has and `clips` have not."""
        if not clips:
            yield Problem(".", f"no clip of {self.name} was found here.", "Name the folder that the release was unpacked into.")
            return
        if self.clips and len(clips) != self.clips:
            counts = Counter(clip.speaker for clip in clips)
            usual, speakers = Counter(counts.values()).most_common(1)[0]
            fewer = [f"{name} ({count})" for name, count in sorted(counts.items()) if count < usual]
            # Only where most speakers said equally much does a smaller number show who is incomplete.
            telling = fewer and speakers > len(counts) // 2
            where = f" Speakers with fewer than the usual {usual}: {', '.join(fewer[:12])}." if telling else ""
            yield Problem(
                ".", f"{len(clips)} clips were found, the release has {self.clips}.{where}", "Unpack the missing files again."
            )
        speakers = len({clip.speaker for clip in clips})
        if self.speakers and speakers != self.speakers:
            yield Problem(
                ".", f"{speakers} speakers were found, the release has {self.speakers}.", "Unpack the missing files again."
            )

    def _clip(self, spoken: Spoken, place: PurePosixPath, file: Path) -> Clip:
        if spoken.emotion not in self.classes:
            raise ValueError(f"the label '{spoken.emotion}' is none of {', '.join(sorted(self.classes))}.")
        return Clip(
            path=f"{self.key}/{place}",
            corpus=self.name,
            language=self.language,
            speaker=f"{self.name}_{spoken.speaker}",
            emotion=spoken.emotion,
            emotion4=self.classes[spoken.emotion],
            seconds=audio_seconds(file),
            text=spoken.text,
            gender=spoken.gender,
            licence=self.licence,
            sentence=f"{self.name}_{spoken.sentence}" if spoken.sentence else "",
            file=file,
        )
