"""Rows into the databases of a session, a transaction at a time. One thread; nothing here knows of engines."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from realtime_ser.records import records
from realtime_ser.session.format import AUDIO_NAME, STREAMS_NAME, connect
from realtime_ser.types import Estimate, EstimateState, Event, FloatArray, Health, Span, Transcript, Verdict, WindowScores

__all__ = ["Clock", "Heard", "Item", "Marker", "Note", "StreamWriter", "marker_values"]

_WINDOWS_A_ROW = 1_000
"""Ten seconds at most: a row is what has to be read at least to see one window."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch of the stream that arrived.

    Attributes
    ----------
    perf_counter, utc
        When its last sample was captured (`kind` "capture") or, for files, handed over ("read"); seconds, and seconds since
        1970.
    missing
        Samples in the gap before it.
    samples
        Where sound is kept.
    """

    span: Span
    perf_counter: float
    utc: float
    kind: str
    missing: int = 0
    samples: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment that somebody marked; `utc` in seconds since 1970."""

    sample: int
    name: str
    colour: str
    source: str
    utc: float


@dataclass(frozen=True, slots=True)
class Note:
    """A remark, about a moment or (`sample` is ``None``) the whole."""

    sample: int | None
    text: str
    utc: float


@dataclass(frozen=True, slots=True)
class Device:
    """What delivers the sound from `sample` on."""

    sample: int
    device: str
    native_rate: int
    channels: int
    input_latency: float | None


@dataclass(frozen=True, slots=True)
class Clock:
    """Another clock, read when the stream stood at `sample`.

    Attributes
    ----------
    offset
        Seconds to add to ``perf_counter()``.
    uncertainty
        Of it, in seconds.
    """

    sample: int
    name: str
    offset: float
    uncertainty: float


Item: TypeAlias = WindowScores | Estimate | Verdict | Transcript | Event | Health | Heard | Marker | Note | Device | Clock


@dataclass(slots=True)
class _Batch:
    """Items sorted by what becomes of them."""

    windows: list[list[WindowScores]] = field(default_factory=list)
    sound: list[list[Heard]] = field(default_factory=list)
    # Of a transcript that is revised several times between two commits only the last is written.
    transcripts: dict[int, Transcript] = field(default_factory=dict)
    anchors: dict[int, Heard] = field(default_factory=dict)
    others: list[Estimate | Verdict | Event | Health | Heard | Marker | Note | Device | Clock] = field(default_factory=list)

    def add(self, item: Item) -> None:
        match item:
            case WindowScores():
                run = self.windows[-1] if self.windows else []
                follows = run and run[-1].first_window + len(run[-1].scores) * run[-1].hop == item.first_window
                if follows and sum(len(part.scores) for part in run) < _WINDOWS_A_ROW:
                    run.append(item)
                elif len(item.scores):
                    self.windows.append([item])
            case Transcript():
                self.transcripts[item.utterance] = item
            case Heard():
                self.others += [item] if item.missing else []
                if self.anchors and not item.missing:
                    self.anchors.popitem()  # the newest will do
                self.anchors[item.span.end] = item
                run_of_sound = self.sound[-1] if self.sound else []
                if item.samples is not None and run_of_sound and run_of_sound[-1].span.end == item.span.first:
                    run_of_sound.append(item)
                elif item.samples is not None:
                    self.sound.append([item])
            case _:
                self.others.append(item)


class StreamWriter:
    """Appends to the databases of a session.

    Parameters
    ----------
    folder
        Of a session whose databases exist.
    classes
        Names in the order of the score vectors.
    words, audio
        Whether these are kept; without `words` a transcript leaves no trace.
    """

    def __init__(self, folder: Path, classes: Sequence[str], *, words: bool, audio: bool) -> None:
        self._classes = classes
        self._words = words
        self._streams = connect(folder / STREAMS_NAME, write=True)
        self._audio = connect(folder / AUDIO_NAME, write=True) if audio else None
        # Numbers of markers: those up to which all are known, and those beyond it that were written here.
        self._known_markers = 0
        self._own_markers: set[int] = set()

    def write(self, items: Iterable[Item], ending: tuple[float, int, str, str] | None = None) -> None:
        """Write `items`, and how the recording ended, in one transaction (and sound, before them, in one of its own).

        Raises
        ------
        sqlite3.Error
            The disk does not take it; nothing of it was written then.
        """
        batch = _Batch()
        for item in items:
            batch.add(item)
        if self._audio is not None and batch.sound:
            with _transaction(self._audio):
                self._audio.executemany("INSERT OR REPLACE INTO audio VALUES (?, ?, ?)", _pieces(batch.sound))
        with _transaction(self._streams):
            self._write_scores(batch)
            if self._words:
                self._write_words(batch)
            self._streams.executemany(
                "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?)",
                [(sample, heard.perf_counter, heard.utc, heard.kind) for sample, heard in batch.anchors.items()],
            )
            if ending is not None:
                self._streams.execute("INSERT INTO endings (utc, sample, state, why) VALUES (?, ?, ?, ?)", ending)

    def foreign_markers(self) -> list[Marker]:
        """Markers that somebody else has added since the last call, in the order in which that was done.

        Raises
        ------
        sqlite3.Error
            They cannot be read.
        """
        columns = "id, sample, name, colour, source, utc"
        query = f"SELECT {columns} FROM markers WHERE id > ? ORDER BY id"
        rows = self._streams.execute(query, (self._known_markers,)).fetchall()
        found = [Marker(*row[1:]) for row in rows if row["id"] not in self._own_markers]
        if rows:
            # NB: one writer at a time, so nobody can still commit a smaller number.
            self._known_markers = rows[-1]["id"]
            self._own_markers.clear()
        return found

    def _write_scores(self, batch: _Batch) -> None:
        insert = self._streams.execute
        for run in batch.windows:
            scores = np.concatenate([part.scores for part in run]).astype("<f4")
            voiced = np.packbits(np.concatenate([part.voiced for part in run]), bitorder="little")
            first = run[0]
            values = (first.first_window, first.hop, first.window, len(scores), scores.tobytes(), voiced.tobytes())
            insert("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?, ?)", values)
        for item in batch.others:
            match item:
                case Estimate():
                    if item.state is not EstimateState.NO_SPEECH:
                        insert(
                            "INSERT INTO estimates VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            (item.utterance, *_scored(item)),
                        )
                case Verdict():
                    insert(
                        "INSERT OR REPLACE INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (item.utterance, str(item.reason), *_scored(item.estimate), item.bleed),
                    )
                case Event():
                    values_of_event = (item.sample, item.kind, str(item.severity), item.message)
                    insert("INSERT INTO events (sample, kind, severity, message) VALUES (?, ?, ?, ?)", values_of_event)
                case Health():
                    figures = next(records(item, self._classes))
                    for name in ("type", "start", "end"):
                        del figures[name]
                    insert("INSERT INTO health (sample, figures) VALUES (?, ?)", (item.sample, json.dumps(figures)))
                case Heard():
                    insert("INSERT OR REPLACE INTO gaps VALUES (?, ?)", (item.span.first - item.missing, item.span.first))
                case Marker():
                    columns = "(sample, name, colour, source, utc)"
                    row = insert(f"INSERT INTO markers {columns} VALUES (?, ?, ?, ?, ?)", marker_values(item))
                    # A transaction that is rolled back gives its numbers to others; but none follows it.
                    self._own_markers.add(row.lastrowid or 0)
                case Note():
                    insert("INSERT INTO notes (sample, text, utc) VALUES (?, ?, ?)", (item.sample, item.text, item.utc))
                case Clock():
                    insert("INSERT INTO clocks VALUES (?, ?, ?, ?)", (item.sample, item.name, item.offset, item.uncertainty))
                case Device():
                    figures_of_device = {
                        "native_rate": item.native_rate,
                        "channels": item.channels,
                        "input_latency": item.input_latency,
                    }
                    insert(
                        "INSERT OR REPLACE INTO devices VALUES (?, ?, ?)",
                        (item.sample, item.device, json.dumps(figures_of_device)),
                    )

    def _write_words(self, batch: _Batch) -> None:
        for utterance, transcript in batch.transcripts.items():
            confidence = None if np.isnan(transcript.confidence) else transcript.confidence
            self._streams.execute(
                "INSERT OR REPLACE INTO transcripts VALUES (?, ?, ?, ?, ?)",
                (utterance, transcript.heard_until, transcript.final, confidence, str(transcript.recognizer)),
            )
            # A transcript replaces what the recogniser believed before.
            self._streams.execute("DELETE FROM words WHERE utterance = ?", (utterance,))
            self._streams.executemany(
                "INSERT INTO words VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        utterance,
                        position,
                        word.text,
                        word.span.first,
                        word.span.end,
                        None if np.isnan(word.confidence) else word.confidence,
                    )
                    for position, word in enumerate(transcript.words)
                ],
            )

    def seal(self) -> None:
        """Turn the databases into single files that can be read from media that cannot be written.

        Raises
        ------
        sqlite3.Error
            The disk does not take it; they stay what they are, and are readable.
        """
        for database in filter(None, (self._streams, self._audio)):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        """Give the files up."""
        for database in filter(None, (self._streams, self._audio)):
            database.close()


class _transaction:  # noqa: N801 - used like a function
    """``BEGIN`` … ``COMMIT``, or ``ROLLBACK`` where anything goes wrong, the commit included."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")


def marker_values(marker: Marker) -> tuple[int, str, str, str, float]:
    """A marker in the order of its columns."""
    return marker.sample, marker.name, marker.colour, marker.source, marker.utc


def _scored(estimate: Estimate) -> tuple[object, ...]:
    return (
        estimate.span.first,
        estimate.span.end,
        str(estimate.state),
        estimate.label,
        float(estimate.confidence),
        estimate.scores.astype("<f4").tobytes(),
        estimate.acoustic.astype("<f4").tobytes(),
        None if estimate.text is None else estimate.text.astype("<f4").tobytes(),
        float(estimate.voice_share),
        float(estimate.word_share),
        float(estimate.voiced_seconds),
        estimate.note,
    )


def _pieces(sound: list[list[Heard]]) -> Iterable[tuple[int, int, bytes]]:
    # Only those who keep sound need libsndfile.
    from realtime_ser.session.sound import PIECE, encode

    for run in sound:
        samples = np.concatenate([heard.samples for heard in run if heard.samples is not None])
        for offset in range(0, len(samples), PIECE):
            piece = samples[offset : offset + PIECE]
            yield run[0].span.first + offset, len(piece), encode(piece)
