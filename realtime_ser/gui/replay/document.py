"""A session as the replay window shows it: read once into arrays, and where one can jump to. No Qt."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.session.reader import Row, Session, scorings
from realtime_ser.session.rescore import Comparison, compare

__all__ = ["Document", "Happening", "Lines", "Utterance", "following", "preceding"]


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


@dataclass(frozen=True, slots=True)
class Lines:
    """Scores over time: `times` (seconds, shape ``(n,)``) and `values` (shape ``(n, classes)``), NaN between two stretches."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something at a time (seconds): a ``"gap"``, ``"event"``, ``"marker"``, ``"note"``, or ``"change"`` without a time."""

    at: float | None
    kind: str
    text: str


class Document:
    """A session in memory; the files are closed again once this is made, so that it can be changed meanwhile.

    Parameters
    ----------
    folder
        Of the session.
    scores
        Name of a later scoring to compare with the recorded one; ``None``: none.

    Raises
    ------
    SessionError
        It cannot be read.
    """

    def __init__(self, folder: Path, scores: str | None = None) -> None:
        self.folder = folder
        self.scores = scores
        self.scorings = scorings(folder)
        with Session(folder) as session:
            self.header = session.header
            self.rate = session.header.sample_rate
            self.samples = session.samples
            self.state = session.state()
            self.has_audio = session.has_audio
            self.utterances = _utterances(session)
            self.markers = session.markers()
            self.gaps = [(row["start_sample"] / self.rate, row["end_sample"] / self.rate) for row in session.gaps()]
            self.health = session.health()
            self.happenings = _happenings(session, self.gaps)
            self.classes = session.header.classes
            if scores is None:
                self.windows, self.estimates = _lines(session)
        self.later: list[Utterance] = []
        self.comparison: Comparison | None = None
        if scores is not None:
            with Session(folder) as before, Session(folder, scores) as after:
                self.later = _utterances(after)
                self.comparison = compare(before, after)
                self.classes = after.header.classes
                self.windows, self.estimates = _lines(after)
        self._health_at = [row["sample"] for row in self.health]

    def refresh(self) -> None:
        """Read again what can be edited. Raises :class:`SessionError`."""
        with Session(self.folder) as session:
            self.utterances = _utterances(session)
            self.markers = session.markers()
            self.happenings = _happenings(session, self.gaps)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.rate

    def utterance_at(self, seconds: float) -> Utterance | None:
        """The utterance that is under way at a time, or else the last one before it."""
        index = bisect_right([one.start for one in self.utterances], seconds + 1e-6) - 1
        return self.utterances[index] if index >= 0 else None

    def later_of(self, number: int) -> Utterance | None:
        """The same utterance in the later scoring."""
        return next((one for one in self.later if one.number == number), None)

    def health_at(self, seconds: float) -> Row | None:
        """How the engine was doing then: the last figures before that time."""
        index = bisect_right(self._health_at, seconds * self.rate) - 1
        return self.health[index] if index >= 0 else None


def following(times: Sequence[float], seconds: float) -> float | None:
    """The first of the sorted `times` after `seconds`; ``None`` where there is none."""
    index = bisect_right(times, seconds + 1e-3)
    return times[index] if index < len(times) else None


def preceding(times: Sequence[float], seconds: float) -> float | None:
    """The last of the sorted `times` before `seconds`; ``None`` where there is none."""
    index = bisect_left(times, seconds - 1e-3) - 1
    return times[index] if index >= 0 else None


def _utterances(session: Session) -> list[Utterance]:
    rate = session.header.sample_rate
    return [
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
        )
        for row in session.utterances()
    ]


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


def _lines(session: Session) -> tuple[Lines, Lines]:
    """Scores of the windows (at their centres), and of the utterances so far."""
    rate, classes = session.header.sample_rate, session.header.classes
    windows = session.windows()
    times = (windows.first + windows.length / 2) / rate
    apart = np.flatnonzero(np.diff(windows.first) > windows.length) + 1
    evidence = Lines(
        np.insert(times, apart, times[apart - 1] if len(apart) else []),
        np.insert(windows.scores.astype(float), apart, np.nan, axis=0),
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
    return evidence, Lines(np.asarray(at), np.asarray(values).reshape(len(at), len(classes)))
