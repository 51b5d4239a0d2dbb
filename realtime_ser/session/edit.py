"""Changing a session afterwards. What was recorded stays and the change is logged; only what is redacted or deleted is gone.

Where there are several people, the folder of a person's streams (:func:`~realtime_ser.session.format.person_folder`) stands for
that person: labels and corrections are made there. What is removed from a session is removed from everybody's streams, since
what one person says is heard in the other's microphone, too.

NB: markers and notes may be added while another process records; everything else waits until the recording has ended.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from realtime_ser.errors import SessionError
from realtime_ser.session.format import AUDIO_NAME, STREAMS_NAME, connect, is_recording, person_folder
from realtime_ser.session.header import read_header
from realtime_ser.session.reader import Session
from realtime_ser.session.writer import Marker, marker_values

__all__ = [
    "DELETIONS_NAME",
    "Redaction",
    "add_marker",
    "add_note",
    "correct_words",
    "delete_audio",
    "delete_session",
    "delete_words",
    "edit_marker",
    "label_utterance",
    "log_scoring",
    "redact",
    "restore_marker",
]

DELETIONS_NAME = "deletions.jsonl"
"""Beside the sessions: which were deleted, when and why, without a word about whose they were."""

_REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was removed."""

    words: int
    samples: int


def add_marker(folder: Path, sample: int, name: str, *, colour: str = "", source: str = "added later") -> int:
    """Mark a moment; the marker's number. Raises :class:`SessionError`."""
    with _changing(folder, meanwhile=True) as streams:
        columns = "(sample, name, colour, source, utc)"
        marker = Marker(sample, name, colour, source, time.time())
        number = streams.execute(f"INSERT INTO markers {columns} VALUES (?, ?, ?, ?, ?)", marker_values(marker)).lastrowid
    if number is None:
        raise SessionError(f"The marker was not kept in {folder.name}.", "Use a copy of the session.")
    return number


def add_note(folder: Path, text: str, sample: int | None = None) -> None:
    """Keep a remark. Raises :class:`SessionError`."""
    with _changing(folder, meanwhile=True) as streams:
        streams.execute("INSERT INTO notes (sample, text, utc) VALUES (?, ?, ?)", (sample, text, time.time()))


def edit_marker(
    folder: Path,
    marker: int,
    *,
    name: str | None = None,
    colour: str | None = None,
    sample: int | None = None,
    deleted: bool = False,
    reason: str = "",
) -> None:
    """Change or take back a marker; the original stays in its table.

    Raises
    ------
    SessionError
        There is none of that number, or the session cannot be written.
    """
    with Session(folder) as session:
        known = {row["id"]: row for row in session.markers()}
    if marker not in known:
        numbers = ", ".join(map(str, known)) or "none"
        raise SessionError(f"There is no marker {marker} in {folder.name}.", f"Markers: {numbers}.")
    wanted = {"name": name, "colour": colour, "sample": sample, "deleted": "yes" if deleted else None}
    with _changing(folder) as streams:
        for field, after in wanted.items():
            if after is not None:
                before = known[marker].get(field)
                _log(streams, "edit", "marker", marker, field, None if before is None else str(before), str(after), reason)


def restore_marker(folder: Path, marker: int, reason: str = "") -> None:
    """Put a marker that was taken back in its place again. Raises :class:`SessionError`."""
    with Session(folder) as session:
        known = [row["id"] for row in session.markers(taken_back=True)]
    if marker not in known:
        numbers = ", ".join(map(str, known)) or "none"
        raise SessionError(f"No marker {marker} was taken back in {folder.name}.", f"Taken back: {numbers}.")
    with _changing(folder) as streams:
        _log(streams, "edit", "marker", marker, "deleted", "yes", "", reason)


def label_utterance(folder: Path, utterance: int, label: str, reason: str = "") -> None:
    """Say what an utterance was in somebody's opinion; the verdict stays. Raises :class:`SessionError`."""
    row = _utterance(folder, utterance)
    with _changing(folder) as streams:
        _log(streams, "edit", "utterance", utterance, "label", row["annotation"], label, reason)


def correct_words(folder: Path, utterance: int, text: str, reason: str = "") -> None:
    """Write down what was really said; the recogniser's words stay.

    Raises
    ------
    SessionError
        No words were to be kept of this session, so none may come in by this door.
    """
    row = _utterance(folder, utterance)
    if not read_header(folder).kept.words:
        raise SessionError(
            f"Nobody agreed that words are kept with {folder.name}.", "Only sessions recorded with --keep-words hold words."
        )
    with _changing(folder) as streams:
        _log(streams, "edit", "utterance", utterance, "words", row["corrected"] or row["words"], text, reason)


def redact(folder: Path, first: int, end: int, *, audio: bool = True, words: bool = True, reason: str = "") -> Redaction:
    """Overwrite the sound of the samples [first, end) by a tone, and remove the words that touch them, for good.

    Corrections of the transcripts concerned go, too. Scores, notes and names of markers stay. That it was done is logged, not
    what was there.

    Returns
    -------
    What was removed, of all people together.

    Raises
    ------
    SessionError
        It is being recorded, or cannot be written.
    ValueError
        The span is empty.
    """
    if end <= first:
        raise ValueError(f"a redaction must end after it starts, got [{first}, {end})")
    with Session(folder) as session:
        spans = [(one.streams_folder, one.own_span(first, end)) for one in session.everybody()]
    done = [
        _redact(streams_folder, span.first, span.end, audio=audio, words=words, reason=reason) for streams_folder, span in spans
    ]
    return Redaction(sum(one.words for one in done), sum(one.samples for one in done))


def _redact(folder: Path, first: int, end: int, *, audio: bool, words: bool, reason: str) -> Redaction:
    removed = samples = 0
    if audio and (folder / AUDIO_NAME).is_file():
        samples = _bleep(folder, first, end)
    with _changing(folder, scrub=True) as streams:
        if words:
            removed = _forget_words(streams, first, end)
        what = f"{removed} words removed, {samples} samples overwritten"
        _log(streams, "redact", "span", None, f"[{first}, {end})", None, what, reason)
    return Redaction(removed, samples)


def delete_words(folder: Path, reason: str = "") -> int:
    """Remove all words, and what was written in their place; how many there were. Raises :class:`SessionError`."""
    total = 0
    for streams_folder in _everybodys(folder):
        with _changing(streams_folder, scrub=True) as streams:
            removed = _forget_words(streams, -(2**62), 2**62)
            streams.execute("DELETE FROM transcripts")
            _log(streams, "delete", "words", None, "all", None, f"{removed} words removed", reason)
        total += removed
    return total


def delete_audio(folder: Path, reason: str = "") -> None:
    """Remove the sound. Raises :class:`SessionError`."""
    for streams_folder in _everybodys(folder):
        with _changing(streams_folder) as streams:
            _log(streams, "delete", "audio", None, "all", None, "the sound was removed", reason)
        _remove(folder, *(streams_folder / f"{AUDIO_NAME}{ending}" for ending in ("", "-wal", "-shm")))


def delete_session(folder: Path, reason: str = "") -> None:
    """Remove everything, and log beside the sessions that it was done. Raises :class:`SessionError`."""
    _refuse_while_recording(folder)
    entry = {"id": read_header(folder).id, "deleted": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
    try:
        with (folder.parent / DELETIONS_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")
        shutil.rmtree(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def log_scoring(folder: Path, name: str, before: str | None, after: str, reason: str = "") -> None:
    """Log that the session was scored again under `name`; what was recorded stays. Raises :class:`SessionError`."""
    with _changing(folder) as streams:
        _log(streams, "rescore", "scores", None, name, before, after, reason)


# Helpers ------------------------------------------------------------------------------------------------------------------


def _everybodys(folder: Path) -> list[Path]:
    """The folders of the streams of all people."""
    count = max(1, len(read_header(folder).people))
    return [person_folder(folder, person) for person in range(1, count + 1)]


@contextmanager
def _changing(folder: Path, *, meanwhile: bool = False, scrub: bool = False) -> Iterator[sqlite3.Connection]:
    """A transaction of the streams; `scrub`: then nothing that was deleted is left anywhere in the files."""
    recording = is_recording(folder)
    if recording and not meanwhile:
        _refuse_while_recording(folder)
    streams = connect(folder / STREAMS_NAME, write=True)
    try:
        streams.execute("BEGIN IMMEDIATE")
        try:
            yield streams
            streams.execute("COMMIT")
        finally:
            if streams.in_transaction:
                streams.execute("ROLLBACK")
        if not recording:
            _settle(streams, scrub)
    except (sqlite3.Error, OSError) as error:
        raise _unwritable(folder, error) from error
    finally:
        streams.close()


def _settle(database: sqlite3.Connection, scrub: bool) -> None:
    # The write-ahead log still holds pages as they were.
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("PRAGMA journal_mode=DELETE")
    if scrub:
        database.execute("VACUUM")


def _refuse_while_recording(folder: Path) -> None:
    if is_recording(folder):
        raise SessionError(f"{folder.name} is being recorded.", "Stop the recording first.")


def _unwritable(folder: Path, error: Exception) -> SessionError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SessionError(f"{folder} cannot be changed: {reason}.", "Check its permissions and the room on the disk.")


def _log(
    streams: sqlite3.Connection,
    kind: str,
    target: str,
    number: int | None,
    field: str,
    before: str | None,
    after: str,
    reason: str,
) -> None:
    values = (time.time(), kind, target, number, field, before, after, reason)
    columns = "(utc, kind, target, target_id, field, before, after, reason)"
    streams.execute(f"INSERT INTO changes {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _utterance(folder: Path, number: int) -> dict[str, str | None]:
    with Session(folder) as session:
        rows = {row["utterance"]: row for row in session.utterances()}
    if number not in rows:
        among = f"They are {min(rows)} to {max(rows)}." if rows else "There is none at all."
        raise SessionError(f"There is no utterance {number} in {folder.name}.", among)
    return rows[number]


def _forget_words(streams: sqlite3.Connection, first: int, end: int) -> int:
    touched = "start_sample < ? AND end_sample > ?"
    removed = streams.execute(f"DELETE FROM words WHERE {touched}", (end, first)).rowcount
    # A correction says as much as the words did, and has no times of its own: it goes with its utterance.
    streams.execute(
        "UPDATE changes SET before = ?, after = ? WHERE target = 'utterance' AND field = 'words' AND target_id IN "
        f"(SELECT utterance FROM utterances WHERE {touched})",
        (_REDACTED, _REDACTED, end, first),
    )
    return int(removed)


def _bleep(folder: Path, first: int, end: int) -> int:
    from realtime_ser.session.sound import PIECE, bleep, decode, encode

    _refuse_while_recording(folder)
    overwritten = 0
    audio = connect(folder / AUDIO_NAME, write=True)
    try:
        audio.execute("BEGIN IMMEDIATE")
        query = "SELECT * FROM audio WHERE start_sample > ? AND start_sample < ?"
        for row in audio.execute(query, (first - PIECE, end)).fetchall():
            start, stop = max(first, row["start_sample"]), min(end, row["start_sample"] + row["count"])
            if start < stop:
                samples = np.array(decode(row["flac"]))
                samples[start - row["start_sample"] : stop - row["start_sample"]] = bleep(start, stop - start)
                audio.execute("UPDATE audio SET flac = ? WHERE start_sample = ?", (encode(samples), row["start_sample"]))
                overwritten += stop - start
        audio.execute("COMMIT")
        _settle(audio, scrub=True)
    except sqlite3.Error as error:
        raise _unwritable(folder, error) from error
    finally:
        if audio.in_transaction:
            audio.execute("ROLLBACK")
        audio.close()
    return overwritten


def _remove(folder: Path, *paths: Path) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
