"""What a session looks like on disk: names, version, tables. docs/sessions.md explains it to those who read it elsewhere.

A session is a folder. ``session.json`` says what was recorded, by what and on what terms; ``session.sqlite`` holds the streams;
``audio.sqlite``, where sound was kept, holds that. All times are absolute sample indices.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from realtime_ser.errors import SessionError

__all__ = [
    "AUDIO_NAME",
    "FORMAT_VERSION",
    "HEADER_NAME",
    "LOCK_NAME",
    "ONE_PERSON_VERSION",
    "PEOPLE_NAME",
    "RESERVE_NAME",
    "SCORES_NAME",
    "STREAMS_NAME",
    "connect",
    "is_recording",
    "make_database",
    "person_folder",
    "resolve_session",
    "safe_name",
    "session_folders",
    "sessions_folder",
]

FORMAT_VERSION = 2
"""Raised whenever an older program would misread what a newer one wrote. 2: there are other people beside the first one."""
ONE_PERSON_VERSION = 1
"""What is written for one person, which programs of both versions read alike."""

HEADER_NAME = "session.json"
STREAMS_NAME = "session.sqlite"
AUDIO_NAME = "audio.sqlite"
LOCK_NAME = "recording.lock"
RESERVE_NAME = "reserve"
PEOPLE_NAME = "people"
"""Folder of the streams of all people but the first: each a folder, named by the person's number, like a session of one."""
SCORES_NAME = "scores"
"""Folder of later scorings: each a folder with a header and streams of its own."""
SESSIONS_VARIABLE = "REALTIME_SER_SESSIONS"
"""Environment variable that names another folder for sessions."""

_APPLICATION = 0x52534552  # "RSER": what `file` and others tell SQLite files apart by
_BUSY = 5.0
"""Seconds that one writer waits for another: a marker from outside while the session is being recorded."""

_SCORED = """
    start_sample INTEGER NOT NULL, end_sample INTEGER NOT NULL, state TEXT NOT NULL, label TEXT, confidence REAL NOT NULL,
    scores BLOB NOT NULL, acoustic BLOB NOT NULL, text BLOB, voice_share REAL NOT NULL, word_share REAL NOT NULL,
    voiced_seconds REAL NOT NULL, note TEXT NOT NULL"""

STREAMS_SCHEMA = f"""
CREATE TABLE windows (
    start_sample INTEGER PRIMARY KEY, hop INTEGER NOT NULL, length INTEGER NOT NULL, count INTEGER NOT NULL,
    scores BLOB NOT NULL, voiced BLOB NOT NULL);
CREATE TABLE estimates (id INTEGER PRIMARY KEY, utterance INTEGER NOT NULL, {_SCORED});
CREATE TABLE utterances (utterance INTEGER PRIMARY KEY, reason TEXT NOT NULL, {_SCORED}, bleed REAL);
CREATE TABLE transcripts (
    utterance INTEGER PRIMARY KEY, heard_until INTEGER NOT NULL, final INTEGER NOT NULL, confidence REAL,
    recognizer TEXT NOT NULL);
CREATE TABLE words (
    utterance INTEGER NOT NULL, position INTEGER NOT NULL, text TEXT NOT NULL, start_sample INTEGER NOT NULL,
    end_sample INTEGER NOT NULL, confidence REAL, PRIMARY KEY (utterance, position)) WITHOUT ROWID;
CREATE TABLE markers (
    id INTEGER PRIMARY KEY, sample INTEGER NOT NULL, name TEXT NOT NULL, colour TEXT NOT NULL, source TEXT NOT NULL,
    utc REAL NOT NULL);
CREATE TABLE notes (id INTEGER PRIMARY KEY, sample INTEGER, text TEXT NOT NULL, utc REAL NOT NULL);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, sample INTEGER NOT NULL, kind TEXT NOT NULL, severity TEXT NOT NULL, message TEXT NOT NULL);
CREATE TABLE health (id INTEGER PRIMARY KEY, sample INTEGER NOT NULL, figures TEXT NOT NULL);
CREATE TABLE gaps (start_sample INTEGER PRIMARY KEY, end_sample INTEGER NOT NULL);
CREATE TABLE anchors (sample INTEGER PRIMARY KEY, perf_counter REAL NOT NULL, utc REAL NOT NULL, kind TEXT NOT NULL);
CREATE TABLE clocks (sample INTEGER NOT NULL, name TEXT NOT NULL, offset REAL NOT NULL, uncertainty REAL NOT NULL);
CREATE TABLE devices (sample INTEGER PRIMARY KEY, device TEXT NOT NULL, figures TEXT NOT NULL);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY, utc REAL NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, target_id INTEGER,
    field TEXT NOT NULL, before TEXT, after TEXT, reason TEXT NOT NULL);
CREATE TABLE endings (
    id INTEGER PRIMARY KEY, utc REAL NOT NULL, sample INTEGER NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL);
"""

AUDIO_SCHEMA = """
CREATE TABLE audio (start_sample INTEGER PRIMARY KEY, count INTEGER NOT NULL, flac BLOB NOT NULL);
"""


def sessions_folder(wanted: str | Path | None = None) -> Path:
    """Where sessions are kept: `wanted`, what the environment variable names, or the user's folder for data."""
    import platformdirs

    chosen = wanted or os.environ.get(SESSIONS_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("realtime-ser", appauthor=False) / "sessions"


def session_folders(root: Path) -> list[Path]:
    """The sessions directly in `root`, by name, hence by time; `root` itself where it is one."""
    if (root / HEADER_NAME).is_file():
        return [root]
    return sorted(header.parent for header in root.glob(f"*/{HEADER_NAME}"))


def resolve_session(text: str | Path) -> Path:
    """The folder of a session that is named by its path, or by its name in the usual place.

    Raises
    ------
    SessionError
        There is none.
    """
    for folder in (Path(text), sessions_folder() / text):
        if (folder / HEADER_NAME).is_file():
            return folder
    raise SessionError(f"There is no session {str(text)!r}.", "`realtime-ser sessions list` shows those that there are.")


def person_folder(folder: Path, person: int) -> Path:
    """Where the streams of `person` (1 is the first) are in the session in `folder`."""
    return folder if person == 1 else folder / PEOPLE_NAME / str(person)


def session_of(folder: Path) -> Path:
    """The session that `folder`, of a session or of a person's streams in one, belongs to."""
    return folder.parent.parent if folder.parent.name == PEOPLE_NAME else folder


def safe_name(text: str) -> str:
    """`text` as a part of a folder's name: letters, digits, dots and dashes, at most 40 of them."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:40]


def make_database(path: Path, schema: str, version: int = ONE_PERSON_VERSION) -> None:
    """An empty database in WAL mode with the tables of `schema`, of a session of the format `version`.

    Raises
    ------
    OSError, sqlite3.Error
        It cannot be written.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA application_id={_APPLICATION}")
        database.execute(f"PRAGMA user_version={version}")
        database.executescript(f"BEGIN; {schema} COMMIT;")


def connect(path: Path, *, write: bool = False) -> sqlite3.Connection:
    """A connection to a database of a session, which is checked to be one that this program understands.

    NB: the connection may be handed from one thread to another, but only one may use it at a time.

    Raises
    ------
    SessionError
        It is missing, damaged, or of a newer version.
    """
    try:
        if not path.is_file():
            raise SessionError(f"{path} is missing.", "The session is incomplete; copy its whole folder again.")
        database, version = _open(path, write)
        if write:
            # What is deleted shall be gone from the file, not only from the tables; a commit shall outlive a power cut.
            database.execute("PRAGMA secure_delete=ON")
            database.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise SessionError(f"{path} cannot be opened: {error}.", "It is damaged or no session; use a copy of it.") from error
    if version > FORMAT_VERSION:
        database.close()
        raise newer_version(path, version)
    return database


def _open(path: Path, write: bool) -> tuple[sqlite3.Connection, int]:
    """A connection, and the version that the file has."""
    uri = f"{path.resolve().as_uri()}?mode={'rw' if write else 'ro'}"
    if not write and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # a medium that cannot be written, where SQLite could make no shared memory
    try:
        return _try(uri)
    except sqlite3.OperationalError:
        # On a full disk there is no room for shared memory either; who has the file alone needs none.
        return _try(f"{path.resolve().as_uri()}?mode=rw", alone=True)


def _try(uri: str, *, alone: bool = False) -> tuple[sqlite3.Connection, int]:
    database = sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        if alone:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("SELECT count(*) FROM sqlite_master")
        return database, int(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        database.close()
        raise


def newer_version(path: Path, version: int) -> SessionError:
    """What to say about a session of tomorrow."""
    return SessionError(
        f"{path} was written by a newer version of this program (format {version}; this one reads up to {FORMAT_VERSION}).",
        "Update realtime-ser, then open it again.",
    )


def hold_lock(folder: Path) -> sqlite3.Connection:
    """Mark `folder` as being recorded until the connection is closed or the process ends, however it ends.

    An exclusive transaction of an empty database is a lock that the system itself releases, on all systems alike.

    Raises
    ------
    sqlite3.Error
        Somebody else holds it, or the folder cannot be written.
    """
    lock = sqlite3.connect(folder / LOCK_NAME, timeout=0.0, isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    return lock


def is_recording(folder: Path) -> bool:
    """Whether some process records into the session in `folder`, or that it belongs to, now."""
    path = session_of(folder) / LOCK_NAME
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.0)) as lock:
            lock.execute("SELECT * FROM sqlite_master")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    return False
