"""Parts of tests of sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from realtime_ser.session.header import Kept
from realtime_ser.session.notice import Consent, consent_text
from realtime_ser.session.reader import Session
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Output


@dataclass(frozen=True)
class Recorded:
    """A session, and everything that another subscriber of the same engine got."""

    folder: Path
    status: RecordingStatus
    outputs: list[Output]


_KEYS = {"windows": "start_sample", "gaps": "start_sample", "anchors": "sample", "audio": "start_sample"}
_BY_UTTERANCE = ("estimates", "utterances", "transcripts", "words")
_BY_SAMPLE = ("markers", "events", "health")


def prolong(folder: Path, times: int) -> Path:
    """Repeat what a session holds, so that it is `times` as long: hours of real scores and sound without hours of waiting."""
    with Session(folder) as session:
        length = session.samples
        numbers = max(row["utterance"] for row in session.utterances()) + 1
    moved = dict.fromkeys(("start_sample", "end_sample", "sample", "heard_until"), "{} + :samples")
    moved |= {"id": "NULL", "utterance": "{} + :numbers"}
    for name in ("session.sqlite", "audio.sqlite"):
        database = sqlite3.connect(folder / name)
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if table in _BY_UTTERANCE:
                first = f"utterance < {numbers}"
            elif table in _KEYS or table in _BY_SAMPLE:
                first = f"{_KEYS.get(table, 'sample')} <= {length}"
            else:
                continue
            values = ", ".join(moved.get(column, "{}").format(column) for column in columns)
            for turn in range(1, times):
                shift = {"samples": turn * length, "numbers": turn * numbers}
                # The names in the condition are the old values.
                used = {key: value for key, value in shift.items() if f":{key}" in values}
                database.execute(f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} WHERE {first}", used)
        database.commit()
        database.close()
    return folder


def agreed(*, words: bool, audio: bool) -> Kept:
    text = consent_text(words=words, audio=audio)
    consent = Consent(text, datetime.now(UTC).isoformat(), "confirmed by a test") if text else None
    return Kept(words, audio, consent)


Record = Callable[..., Recorded]
