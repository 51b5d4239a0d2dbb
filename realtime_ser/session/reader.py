"""Opening a session: what state it is in, and its streams as arrays and tables.

The session is never written here; a session that is being recorded can be read meanwhile.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import SessionError
from realtime_ser.session.clock import AnchoredClock
from realtime_ser.session.format import (
    AUDIO_NAME,
    HEADER_NAME,
    SCORES_NAME,
    STREAMS_NAME,
    connect,
    is_recording,
    person_folder,
)
from realtime_ser.session.header import Header, read_header
from realtime_ser.types import BLEED, FloatArray, Span

__all__ = [
    "Row",
    "Session",
    "SessionState",
    "Windows",
    "is_bleed",
    "person_number",
    "read_audio",
    "scorings",
    "utc_text",
]

Phase: TypeAlias = Literal["recording", "closed", "failed", "interrupted"]
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionState:
    """How a recording ended, and what that means, in words."""

    phase: Phase
    message: str


@dataclass(frozen=True, slots=True)
class Windows:
    """All window scores of a session.

    Attributes
    ----------
    first
        First sample of every window, int64, shape ``(n,)``, ascending.
    length
        Samples of a window.
    scores
        float32, shape ``(n, classes)``, as the engine gave them.
    voiced
        bool, shape ``(n,)``.
    """

    first: NDArray[np.int64]
    length: int
    scores: FloatArray
    voiced: NDArray[np.bool_]


class Session:
    """A recorded session, opened for reading; a context manager.

    Parameters
    ----------
    folder
        Of the session.
    scores
        Name of a later scoring (see :func:`scorings`) whose windows, estimates, utterances and bundle are shown in place of
        those that were recorded; ``None``: as recorded.
    person
        Whose streams are read, where there are several people; 1 is the first. Markers, notes and how it ended are everybody's.

    Raises
    ------
    SessionError
        It is missing, damaged, or of a newer version; there is no such scoring or person. Reading may raise it, too.

    Notes
    -----
    All times are samples of the session's clock, which is that of the first person's stream; only :meth:`anchors` are of the
    stream itself.
    """

    def __init__(self, folder: str | Path, scores: str | None = None, person: int = 1) -> None:
        self.folder = Path(folder)
        self.scores = scores
        self.person = person
        self.header: Header = read_header(self.folder)
        self._others: dict[int, Session] = {}
        if not 1 <= person <= max(1, len(self.header.people)):
            count = max(1, len(self.header.people))
            among = f"People in it: {count}." if count > 1 else "It is of one person."
            raise SessionError(f"There is no person {person} in {self.folder.name}.", among)
        beside = self.streams_folder = person_folder(self.folder, person)
        if person > 1:
            self.header = msgspec.structs.replace(read_header(beside), people=self.header.people)
        if scores is not None:
            beside = _scoring(beside, scores)
            later = read_header(beside)
            # What was listened to, when and on what terms is still the recording's.
            self.header = msgspec.structs.replace(
                self.header,
                **{name: getattr(later, name) for name in _SCORING_FIELDS},
            )
        self._shared = connect(self.folder / STREAMS_NAME)
        self._streams = self._shared if person == 1 else connect(self.streams_folder / STREAMS_NAME)
        self._scored_streams = self._streams if scores is None else connect(beside / STREAMS_NAME)
        self.clock: AnchoredClock | None = None
        """From the samples of this person's own stream to the session's; ``None``: they are the same."""
        if person > 1 and self.header.people[person - 1].clock == "own":
            first = [dict(row) for row in self._rows(_ANCHORS, shared=True)]
            self.clock = AnchoredClock(self.anchors(), first, self.header.sample_rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the files up, also those of the other people."""
        for other in self._others.values():
            other.close()
        for database in (self._shared, self._streams, self._scored_streams):
            database.close()

    def _rows(self, query: str, *values: object, scored: bool = False, shared: bool = False) -> list[sqlite3.Row]:
        database = self._shared if shared else self._scored_streams if scored else self._streams
        try:
            return database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            problem = f"{self.folder / STREAMS_NAME} cannot be read: {error}."
            raise SessionError(problem, "It is damaged; use a copy of it.") from error

    # People ---------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the person is called whose streams are read; "" where there is only one."""
        return self.header.people[self.person - 1].name if self.header.people else ""

    def everybody(self) -> list[Session]:
        """The session as each of its people, in order, this one among them; the others are closed with it."""
        found = []
        for person in range(1, max(1, len(self.header.people)) + 1):
            if person != self.person and person not in self._others:
                self._others[person] = Session(self.folder, self.scores, person)
            found.append(self if person == self.person else self._others[person])
        return found

    def own_span(self, first: int, end: int) -> Span:
        """The samples of this person's own stream that the span [first, end) of the session's clock stands for."""
        if self.clock is None:
            return Span(first, end)
        own = self.clock.to_own(np.array([first, end]))
        return Span(int(own[0]), int(own[1]))

    def _placed(self, rows: list[Row], *keys: str) -> list[Row]:
        """`rows` with the samples in `keys` moved from the stream's own clock to the session's."""
        if self.clock is not None and rows:
            for key in keys:
                moved = self.clock.to_first(np.array([row[key] for row in rows]))
                for row, sample in zip(rows, moved.tolist(), strict=True):
                    row[key] = sample
        return rows

    # State ----------------------------------------------------------------------------------------------------------------

    @property
    def samples(self) -> int:
        """Length of the stream that was recorded, in samples, gaps included."""
        (row,) = self._rows("SELECT max(sample) AS last FROM anchors")
        return int(self._placed([{"last": row["last"] or 0}], "last")[0]["last"])

    @property
    def seconds(self) -> float:
        """Length of the stream that was recorded, in seconds."""
        return self.samples / self.header.sample_rate

    def state(self) -> SessionState:
        """Whether it was closed, and what happened if not."""
        if is_recording(self.folder):
            return SessionState("recording", "It is being recorded at this moment.")
        endings = self._rows("SELECT * FROM endings ORDER BY id DESC LIMIT 1", shared=True)
        if not endings:
            (last,) = self._rows("SELECT max(utc) AS utc FROM anchors", shared=True)
            when = f" at about {utc_text(last['utc'])}" if last["utc"] is not None else ""
            return SessionState(
                "interrupted",
                f"It was not closed: the program or the computer ended without warning{when}. Everything up to "
                f"{self.seconds:.1f} s is here; at most the second after that is lost.",
            )
        if endings[0]["state"] == "failed":
            return SessionState("failed", endings[0]["why"])
        return SessionState("closed", f"It was closed at {utc_text(endings[0]['utc'])}: {endings[0]['why']}.")

    # Streams --------------------------------------------------------------------------------------------------------------

    def windows(self) -> Windows:
        """All window scores: a million of them take a second."""
        rows = self._rows("SELECT * FROM windows ORDER BY start_sample", scored=True)
        classes = len(self.header.classes)
        first = [row["start_sample"] + np.arange(row["count"], dtype=np.int64) * row["hop"] for row in rows]
        if self.clock is not None and first:
            first = [self.clock.to_first(np.concatenate(first))]
        scores = [np.frombuffer(row["scores"], "<f4").reshape(row["count"], classes) for row in rows]
        voiced = [
            np.unpackbits(np.frombuffer(row["voiced"], np.uint8), count=row["count"], bitorder="little").astype(bool)
            for row in rows
        ]
        return Windows(
            np.concatenate(first) if first else np.empty(0, np.int64),
            rows[0]["length"] if rows else self.header.window,
            np.concatenate(scores).astype(np.float32) if scores else np.empty((0, classes), np.float32),
            np.concatenate(voiced) if voiced else np.empty(0, bool),
        )

    def estimates(self) -> list[Row]:
        """Estimates of utterances so far, in order; see :meth:`utterances` for the keys."""
        rows = [self._scored(row) for row in self._rows("SELECT * FROM estimates ORDER BY id", scored=True)]
        return self._placed(rows, "start_sample", "end_sample")

    def utterances(self) -> list[Row]:
        """Committed verdicts, in order.

        `label` is ``None`` where the tool abstained. `words` are those of the recogniser ("" where they were not kept);
        `corrected` and `annotation` are what somebody wrote or thought later, or ``None``; what was emptied again counts as
        nothing. `bleed` is the share that was probably another person's voice, ``None`` where there was nobody else or nobody
        can tell; it is the recording's, also beside the scores of a later scoring (see :func:`is_bleed`).
        """
        words: dict[int, list[str]] = {}
        for word in self.words():
            words.setdefault(word["utterance"], []).append(word["text"])
        changed = self._latest("utterance")
        # Sessions of earlier versions have no such column.
        bleed = {row["utterance"]: dict(row).get("bleed") for row in self._rows("SELECT * FROM utterances")}
        found = []
        for row in self._rows("SELECT * FROM utterances ORDER BY start_sample", scored=True):
            number = row["utterance"]
            later = changed.get(number, {})
            found.append(
                {
                    "utterance": number,
                    "reason": row["reason"],
                    **self._scored(row),
                    "words": " ".join(words.get(number, [])),
                    "corrected": later.get("words") or None,
                    "annotation": later.get("label") or None,
                    "bleed": bleed.get(number),
                }
            )
        return self._placed(found, "start_sample", "end_sample")

    def words(self) -> list[Row]:
        """Recognised words with their utterance, span in samples, and confidence (``None``: not known)."""
        rows = [dict(row) for row in self._rows("SELECT * FROM words ORDER BY utterance, position")]
        return self._placed(rows, "start_sample", "end_sample")

    def transcripts(self) -> list[Row]:
        """What is known of an utterance's transcript beside its words: `utterance`, `final`, `heard_until`, `confidence`."""
        rows = [dict(row) for row in self._rows("SELECT * FROM transcripts ORDER BY utterance")]
        return self._placed(rows, "heard_until")

    def markers(self, *, taken_back: bool = False) -> list[Row]:
        """Markers as they are now, by time, or those that were taken back; `original` holds what was changed, as it was."""
        changed = self._latest("marker")
        found = []
        for row in self._rows("SELECT * FROM markers ORDER BY sample, id", shared=True):
            marker = dict(row)
            later = changed.get(marker["id"], {})
            if bool(later.pop("deleted", None)) is not taken_back:
                continue
            original = {name: marker[name] for name in later}
            marker.update({name: int(value or 0) if name == "sample" else value for name, value in later.items()})
            found.append({**marker, "original": original})
        return sorted(found, key=lambda marker: marker["sample"])

    def notes(self) -> list[Row]:
        """Remarks; `sample` is ``None`` where they are about the whole."""
        return [dict(row) for row in self._rows("SELECT * FROM notes ORDER BY id", shared=True)]

    def events(self) -> list[Row]:
        """What happened to the stream."""
        return self._placed([dict(row) for row in self._rows("SELECT * FROM events ORDER BY sample, id")], "sample")

    def health(self) -> list[Row]:
        """How the engine was doing, every second."""
        rows = self._rows("SELECT * FROM health ORDER BY id")
        return self._placed([{"sample": row["sample"], **json.loads(row["figures"])} for row in rows], "sample")

    def gaps(self) -> list[Row]:
        """Stretches of the stream that were not heard."""
        rows = [dict(row) for row in self._rows("SELECT * FROM gaps ORDER BY start_sample")]
        return self._placed(rows, "start_sample", "end_sample")

    def anchors(self) -> list[Row]:
        """Moments at which sample (of the stream itself), ``perf_counter()`` and UTC are known together; twice a second."""
        return [dict(row) for row in self._rows(_ANCHORS)]

    def clocks(self) -> list[Row]:
        """How other clocks stood to ``perf_counter()``: `name`, `offset` (s, to be added) and `uncertainty`, by sample."""
        # Sessions of earlier versions have no such table.
        if not self._rows("SELECT * FROM sqlite_master WHERE type = 'table' AND name = 'clocks'", shared=True):
            return []
        return [dict(row) for row in self._rows("SELECT * FROM clocks ORDER BY sample", shared=True)]

    def devices(self) -> list[Row]:
        """What delivered the sound, from which sample on."""
        rows = self._rows("SELECT * FROM devices ORDER BY sample")
        found = [{"sample": row["sample"], "device": row["device"], **json.loads(row["figures"])} for row in rows]
        return self._placed(found, "sample")

    def changes(self) -> list[Row]:
        """Everything that was changed, removed or labelled after the recording, in order."""
        return [dict(row) for row in self._rows("SELECT * FROM changes ORDER BY id")]

    def redactions(self) -> list[Span]:
        """Stretches whose sound was overwritten by a tone, in the order in which that was done."""
        found = []
        for row in self._rows("SELECT * FROM changes WHERE kind = 'redact' AND target = 'span' ORDER BY id"):
            span = re.fullmatch(r"\[(-?\d+), (-?\d+)\)", row["field"])
            if span and not str(row["after"]).endswith(" 0 samples overwritten"):
                found.append({"first": int(span[1]), "end": int(span[2])})
        return [Span(row["first"], row["end"]) for row in self._placed(found, "first", "end")]

    def utc_of(self, sample: int) -> float | None:
        """Seconds since 1970 at which `sample` was captured; ``None`` where nothing was recorded."""
        rows = self._rows("SELECT * FROM anchors ORDER BY abs(sample - ?) LIMIT 1", sample, shared=True)
        if not rows:
            return None
        return float(rows[0]["utc"] + (sample - rows[0]["sample"]) / self.header.sample_rate)

    # Sound ----------------------------------------------------------------------------------------------------------------

    @property
    def has_audio(self) -> bool:
        """Whether sound was kept and not removed since."""
        return (self.streams_folder / AUDIO_NAME).is_file()

    def audio(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, FloatArray]]:
        """Pieces of the sound that touch the samples [first, end): the first sample of each, and its float32 samples.

        Raises
        ------
        SessionError
            No sound was kept, or it is damaged.
        """
        yield from read_audio(self.streams_folder, first, self.samples if end is None else end, self.clock)

    # Helpers --------------------------------------------------------------------------------------------------------------

    def _latest(self, target: str) -> dict[int, dict[str, str | None]]:
        """What the fields of every `target` were changed to last, by its number."""
        found: dict[int, dict[str, str | None]] = {}
        for row in self._rows("SELECT * FROM changes WHERE target = ? AND kind = 'edit' ORDER BY id", target):
            found.setdefault(row["target_id"], {})[row["field"]] = row["after"]
        return found

    def _scored(self, row: sqlite3.Row) -> Row:
        def by_class(blob: bytes | None) -> dict[str, float] | None:
            if blob is None:
                return None
            return dict(zip(self.header.classes, np.frombuffer(blob, "<f4").tolist(), strict=True))

        return {
            "utterance": row["utterance"],
            "start_sample": row["start_sample"],
            "end_sample": row["end_sample"],
            "state": row["state"],
            "label": row["label"],
            "confidence": row["confidence"],
            "scores": by_class(row["scores"]),
            "acoustic": by_class(row["acoustic"]),
            "text_scores": by_class(row["text"]),
            "voice_share": row["voice_share"],
            "word_share": row["word_share"],
            "voiced_seconds": row["voiced_seconds"],
            "note": row["note"],
        }


_CLOCK_ONLY = 16
"""Samples (1 ms): what is missing in less between two pieces of sound is a clock's drift, and no gap."""

_ANCHORS = "SELECT * FROM anchors ORDER BY sample"

_SCORING_FIELDS = (
    "hop",
    "profile",
    "window",
    "classes",
    "bundle",
    "recognizer",
    "acoustic_form",
    "program",
    "python",
    "system",
    "libraries",
)
"""What a later scoring says anew."""


def scorings(folder: Path) -> list[str]:
    """Names of the later scorings of the session in `folder`, sorted."""
    return sorted(header.parent.name for header in (folder / SCORES_NAME).glob(f"*/{HEADER_NAME}"))


def read_audio(folder: Path, first: int, end: int, clock: AnchoredClock | None = None) -> Iterator[tuple[int, FloatArray]]:
    """As :meth:`Session.audio`, with nothing open but the sound: the session in `folder` can be changed meanwhile.

    Parameters
    ----------
    folder
        Of the session, or of a person's streams in it.
    clock
        See :attr:`Session.clock`.
    """
    if clock is not None:
        own = clock.to_own(np.array([first, max(first, end)]))
        yield from _in_step(read_audio(folder, int(own[0]), int(own[1])), clock)
        return
    path = folder / AUDIO_NAME
    if not path.is_file():
        raise SessionError(f"No sound was kept with {folder.name}.", "Only `--keep-audio` keeps it.")
    from realtime_ser.session.sound import PIECE, decode

    audio = connect(path)
    try:
        query = "SELECT * FROM audio WHERE start_sample > ? AND start_sample < ? ORDER BY start_sample"
        for row in audio.execute(query, (first - PIECE, end)):
            if row["start_sample"] + row["count"] > first:
                yield row["start_sample"], decode(row["flac"])
    except sqlite3.Error as error:
        raise SessionError(f"{path} cannot be read: {error}.", "Use a copy of it.") from error
    finally:
        audio.close()


def _in_step(pieces: Iterator[tuple[int, FloatArray]], clock: AnchoredClock) -> Iterator[tuple[int, FloatArray]]:
    """`pieces` of a stream's own clock on the session's.

    By then they lie a sample or two apart or over each other: the last one is held, or what is already there left out.
    """
    position, held = -1, np.empty(0, np.float32)
    for own, samples in pieces:
        first = int(clock.to_first(np.array([own]))[0])
        missing = first - position
        if position >= 0 and 0 < missing <= _CLOCK_ONLY:
            samples, first = np.concatenate([np.repeat(held, missing), samples]), position
        elif position >= 0 and missing < 0:
            samples, first = samples[-missing:], position
        if len(samples):
            yield first, samples
            position, held = first + len(samples), samples[-1:]


def _scoring(folder: Path, name: str) -> Path:
    known = scorings(folder)
    if name not in known:
        raise SessionError(
            f"{folder.name} was not scored again under the name {name!r}.", f"There is: {', '.join(known) or 'none'}."
        )
    return folder / SCORES_NAME / name


def person_number(header: Header, text: str | None) -> int:
    """Which person of a session `text` means: a name, or a number from 1; ``None``: the first.

    Raises
    ------
    SessionError
        Nobody.
    """
    names = [one.name for one in header.people] or [""]
    if text is None:
        return 1
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(names):
        return int(text)
    for number, name in enumerate(names, 1):
        if name and name.casefold() == text.casefold():
            return number
    among = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1)) if header.people else "It is of one person."
    raise SessionError(f"There is no person {text!r} in the session.", among)


def is_bleed(row: Row) -> bool:
    """Whether an utterance (of :meth:`Session.utterances`) was probably said by another person."""
    share = row["bleed"]
    return share is not None and share >= BLEED


def utc_text(utc: float) -> str:
    """Seconds since 1970 as a user reads them."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
