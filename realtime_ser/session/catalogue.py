"""Which sessions there are, from their headers and a few rows: hundreds in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from realtime_ser.errors import RealtimeSerError
from realtime_ser.session.format import STREAMS_NAME, session_folders
from realtime_ser.session.reader import Phase, Session

__all__ = ["Catalogue", "ListedPhase", "SessionFacts", "read_facts"]

ListedPhase: TypeAlias = Phase | Literal["unreadable"]


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session at a glance.

    Attributes
    ----------
    created
        UTC, ISO 8601; empty where it cannot be read.
    participant
        Of two people both; one without a code by name.
    seconds
        Of the stream.
    words, audio
        Whether these are kept, and not deleted since.
    message
        How it ended, or why it cannot be read, in words.
    people
        Names, where there are two.
    """

    folder: Path
    created: str
    participant: str
    condition: str
    seconds: float
    words: bool
    audio: bool
    phase: ListedPhase
    message: str
    people: tuple[str, ...] = ()


def read_facts(folder: Path) -> SessionFacts:
    """What is known of the session in `folder` at a glance; one that cannot be read is listed as that."""
    try:
        with Session(folder) as session:
            header, state, people = session.header, session.state(), session.everybody()
            return SessionFacts(
                folder,
                header.created,
                " and ".join(one.header.participant or one.name for one in people),
                header.condition,
                session.seconds,
                any(one.header.kept.words for one in people),
                any(one.has_audio for one in people),
                state.phase,
                state.message,
                tuple(one.name for one in header.people),
            )
    except RealtimeSerError as error:
        return SessionFacts(folder, "", "", "", 0.0, False, False, "unreadable", str(error))


class Catalogue:
    """The sessions of a folder; what has not changed since it was read last is not read again. One thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], SessionFacts]] = {}

    def read(self, root: Path) -> Iterator[SessionFacts]:
        """The sessions directly in `root`, the newest first; read as they are asked for."""
        for folder in reversed(session_folders(root)):
            stamp = _stamp(folder)
            known = self._known.get(folder)
            if known is None or known[0] != stamp or known[1].phase == "recording":
                known = self._known[folder] = (stamp, read_facts(folder))
            yield known[1]


def _stamp(folder: Path) -> tuple[int, ...]:
    """When the session's folder and streams were changed last, in nanoseconds; 0 for what is not there."""
    found = []
    # The folder's own time tells of files that come and go: sound that is deleted, a lock that is given up.
    for path in (folder, folder / STREAMS_NAME, folder / f"{STREAMS_NAME}-wal"):
        try:
            found.append(path.stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)
