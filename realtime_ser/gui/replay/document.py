"""A session as the replay window shows it: read once into arrays, and where one can jump to. No Qt."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime_ser.gui.replay.trends import Shares, Trend
from realtime_ser.session.reader import Row, Session, read_audio, scorings
from realtime_ser.session.rescore import Comparison, compare
from realtime_ser.types import BLEED, FloatArray

__all__ = ["Document", "Edited", "Happening", "Utterance", "clock_text", "following", "preceding"]

_ESTIMATE_SECONDS = 0.1
"""Between two estimates of an utterance."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A verdict, and what somebody made of it.

    Attributes
    ----------
    start, end
        Seconds.
    label
        ``None``: the tool abstained.
    words
        The recogniser's; "" where none were kept.
    corrected, annotation
        What somebody wrote or thought later, or ``None``.
    bleed
        Share that was probably the other person's voice, where there is one and it can be told.
    """

    number: int
    start: float
    end: float
    label: str | None
    state: str
    confidence: float
    scores: dict[str, float]
    words: str
    corrected: str | None
    annotation: str | None
    note: str
    bleed: float | None = None

    @property
    def said(self) -> str:
        """What was said, as far as anybody knows."""
        return self.corrected or self.words

    @property
    def is_bleed(self) -> bool:
        """Whether it was probably said by the other person."""
        return self.bleed is not None and self.bleed >= BLEED


@dataclass(frozen=True, slots=True)
class Happening:
    """Something at a time (seconds): a ``"gap"``, ``"event"``, ``"marker"``, ``"note"``, or ``"change"`` without a time."""

    at: float | None
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Edited:
    """What can be changed in a session after its recording, as it is now."""

    utterances: tuple[Utterance, ...]
    markers: tuple[Row, ...]
    happenings: tuple[Happening, ...]


class Document:
    """A session in memory; the files are closed again once this is made, so that it can be changed meanwhile.

    Made by any thread, since hours take seconds; used by one.

    Parameters
    ----------
    folder
        Of the session.
    scores
        Name of a later scoring to compare with the recorded one; ``None``: none.
    person
        Who is shown and can be edited, where there are two people; 1 is the first. Of the other the utterances are there, too.

    Raises
    ------
    SessionError
        It cannot be read.
    """

    def __init__(self, folder: Path, scores: str | None = None, person: int = 1) -> None:
        self.folder = folder
        self.scores = scores
        self.person = person
        with Session(folder, person=person) as session:
            everybody = session.everybody()
            self.header = session.header
            self.people = tuple(one.name for one in session.header.people)
            self.streams_folder = session.streams_folder
            self._clock = session.clock
            self.streams_folders = tuple(one.streams_folder for one in everybody)
            self.scorings = scorings(session.streams_folder)
            self.rate = session.header.sample_rate
            self.samples = max(one.samples for one in everybody)
            self.state = session.state()
            self.has_audio = session.has_audio
            self.gaps = _spans(session.gaps(), self.rate)
            self.redactions = [span.seconds(self.rate) for span in session.redactions()]
            self.health = session.health()
            self._take(_edited(session))
            self.recorded_classes = self.classes = session.header.classes
            self.shares = _shares(self.utterances, self.recorded_classes)
            # NB: two people at most.
            other = next((one for one in everybody if one is not session), None)
            self.other_name = "" if other is None else other.name
            self.other = () if other is None else _utterances(other)
            self.other_shares = _shares(self.other, self.recorded_classes)
            if scores is None:
                self.windows, self.estimates = _trends(session)
        self.later: tuple[Utterance, ...] = ()
        self.comparison: Comparison | None = None
        self.later_shares = self.shares
        if scores is not None:
            with Session(folder, person=person) as before, Session(folder, scores, person) as after:
                self.later = _utterances(after)
                self.comparison = compare(before, after)
                self.classes = after.header.classes
                self.later_shares = _shares(self.later, self.classes)
                self.windows, self.estimates = _trends(after)
        self._health_at = [row["sample"] for row in self.health]
        self._later_starts = [one.start for one in self.later]
        self._other_starts = [one.start for one in self.other]
        other_said = [one for one in self.other if one.said]
        self.other_has_words = bool(other_said)
        self.other_said_shares = _said_shares(other_said)

    def read_edited(self) -> Edited:
        """Read again what can be edited; for any thread. Raises :class:`SessionError`."""
        with Session(self.folder, person=self.person) as session:
            return _edited(session)

    def pieces(self, first: int = 0) -> Iterator[tuple[int, FloatArray]]:
        """The person's sound from a sample on; for any thread."""
        return read_audio(self.streams_folder, first, self.samples, self._clock)

    def take(self, edited: Edited) -> None:
        """Show what was read again."""
        self._take(edited)

    def _take(self, edited: Edited) -> None:
        self.utterances = edited.utterances
        self.markers = edited.markers
        self.happenings = edited.happenings
        self._starts = [one.start for one in self.utterances]
        said = [one for one in self.utterances if one.said]
        self.has_words = bool(said)
        self.said_shares = _said_shares(said)

    @property
    def name(self) -> str:
        """Who is shown, where there are two people."""
        return self.people[self.person - 1] if self.people else ""

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.rate

    def utterance_at(self, seconds: float) -> Utterance | None:
        """The utterance that is under way at a time, or else the last one before it."""
        index = bisect_right(self._starts, seconds + 1e-6) - 1
        return self.utterances[index] if index >= 0 else None

    def between(self, first: float, end: float, *, later: bool = False, other: bool = False) -> tuple[Utterance, ...]:
        """Utterances that touch the seconds from `first` to `end`: as recorded, of the later scoring, or the other person's."""
        utterances, starts = (self.later, self._later_starts) if later else (self.utterances, self._starts)
        if other:
            utterances, starts = self.other, self._other_starts
        low = max(bisect_right(starts, first) - 1, 0)
        found = utterances[low : bisect_right(starts, end)]
        return found[1:] if found and found[0].end < first else found

    def later_of(self, number: int) -> Utterance | None:
        """The same utterance in the later scoring."""
        return next((one for one in self.later if one.number == number), None)

    def marker_at(self, seconds: float, tolerance: float = 1e-3) -> Row | None:
        """The marker nearest to a time, if one is within `tolerance` seconds."""
        near = [(abs(row["sample"] / self.rate - seconds), row["id"], row) for row in self.markers]
        closest = min(near, default=None, key=lambda one: one[:2])
        return closest[2] if closest is not None and closest[0] <= tolerance else None

    def health_at(self, seconds: float) -> Row | None:
        """How the engine was doing then: the last figures before that time."""
        index = bisect_right(self._health_at, seconds * self.rate) - 1
        return self.health[index] if index >= 0 else None


def clock_text(seconds: float) -> str:
    """Seconds as ``m:ss.s`` or ``h:mm:ss.s``."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def following(times: Sequence[float], seconds: float) -> float | None:
    """The first of the sorted `times` after `seconds`; ``None`` where there is none."""
    index = bisect_right(times, seconds + 1e-3)
    return times[index] if index < len(times) else None


def preceding(times: Sequence[float], seconds: float) -> float | None:
    """The last of the sorted `times` before `seconds`; ``None`` where there is none."""
    index = bisect_left(times, seconds - 1e-3) - 1
    return times[index] if index >= 0 else None


def _edited(session: Session) -> Edited:
    gaps = _spans(session.gaps(), session.header.sample_rate)
    return Edited(_utterances(session), tuple(session.markers()), tuple(_happenings(session, gaps)))


def _spans(rows: Sequence[Row], rate: int) -> list[tuple[float, float]]:
    return [(row["start_sample"] / rate, row["end_sample"] / rate) for row in rows]


def _said_shares(said: Sequence[Utterance]) -> Shares:
    return Shares([one.start for one in said], [one.end for one in said], [0] * len(said), 1)


def _shares(utterances: Sequence[Utterance], classes: Sequence[str]) -> Shares:
    """Of the classes, in order, then of what has no label."""
    kinds = {name: kind for kind, name in enumerate(classes)}
    return Shares(
        [one.start for one in utterances],
        [one.end for one in utterances],
        [kinds.get(one.label or "", len(classes)) for one in utterances],
        len(classes) + 1,
    )


def _utterances(session: Session) -> tuple[Utterance, ...]:
    rate = session.header.sample_rate
    return tuple(
        Utterance(
            number=row["utterance"],
            start=row["start_sample"] / rate,
            end=row["end_sample"] / rate,
            label=row["label"],
            state=row["state"],
            confidence=row["confidence"],
            scores=row["scores"],
            words=row["words"],
            corrected=row["corrected"],
            annotation=row["annotation"],
            note=row["note"],
            bleed=row["bleed"],
        )
        for row in session.utterances()
    )


def _happenings(session: Session, gaps: Sequence[tuple[float, float]]) -> list[Happening]:
    rate = session.header.sample_rate
    timed = [Happening(start, "gap", f"not heard for {end - start:.2f} s") for start, end in gaps]
    timed += [Happening(row["sample"] / rate, "event", f"{row['severity']}: {row['message']}") for row in session.events()]
    timed += [Happening(row["sample"] / rate, "marker", row["name"]) for row in session.markers()]
    notes = session.notes()
    timed += [Happening(row["sample"] / rate, "note", row["text"]) for row in notes if row["sample"] is not None]
    untimed = [Happening(None, "note", row["text"]) for row in notes if row["sample"] is None]
    for row in session.changes():
        number = "" if row["target_id"] is None else f" {row['target_id']}"
        untimed.append(Happening(None, "change", f"{row['target']}{number} {row['field']}: {row['after']}"))
    return [*sorted(timed, key=lambda one: one.at or 0.0), *untimed]


def _trends(session: Session) -> tuple[Trend, Trend]:
    """Scores of the windows (at their centres), and of the utterances so far."""
    rate, classes = session.header.sample_rate, session.header.classes
    windows = session.windows()
    times = (windows.first + windows.length / 2) / rate
    apart = np.flatnonzero(np.diff(windows.first) > windows.length) + 1
    evidence = Trend(
        np.insert(times, apart, times[apart - 1] if len(apart) else []),
        np.insert(windows.scores, apart, np.nan, axis=0),
        session.header.hop / rate,
    )
    at: list[float] = []
    values: list[list[float]] = []
    utterance = None
    for row in session.estimates():
        if at and row["utterance"] != utterance:
            at.append(at[-1])
            values.append([np.nan] * len(classes))
        utterance = row["utterance"]
        at.append(row["end_sample"] / rate)
        values.append([row["scores"][name] for name in classes])
    so_far = np.asarray(values, np.float32).reshape(len(at), len(classes))
    return evidence, Trend(np.asarray(at), so_far, _ESTIMATE_SECONDS)
