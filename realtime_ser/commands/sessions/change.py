"""``sessions mark``, ``note``, ``label``, ``redact`` and ``delete``: changing, with a log of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from realtime_ser.commands.tell import tell
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError, SessionError
from realtime_ser.session import edit
from realtime_ser.session.format import is_recording, person_folder
from realtime_ser.session.header import read_header
from realtime_ser.session.reader import Session, person_number

__all__ = ["delete", "label", "mark", "note", "redact"]

_EXPORTS = "What was exported before is not touched."


def mark(
    folder: Path,
    *,
    name: str | None,
    at: float | None,
    colour: str | None,
    marker: int | None,
    remove: bool = False,
    restore: bool = False,
    reason: str = "",
) -> list[str]:
    """Add a marker at `at` seconds, or now where the session is being recorded; or change the one of the number `marker`.

    Raises
    ------
    ConfigError, SessionError
        It is not clear what to mark or when; there is no such marker.
    """
    sample = None if at is None else round(at * ENGINE_RATE)
    if marker is not None and restore:
        edit.restore_marker(folder, marker, reason)
        return [f"Marker {marker} is there again."]
    if marker is not None:
        edit.edit_marker(folder, marker, name=name, colour=colour, sample=sample, deleted=remove, reason=reason)
        return [f"Marker {marker} was {'taken back' if remove else 'changed'}; the original is kept."]
    if name is None or remove or restore:
        raise ConfigError("It is not clear what to mark.", "Give --name for a new marker, or --id for one that is there.")
    if sample is None:
        sample = _now(folder)
    edit.add_marker(folder, sample, name, colour=colour or "", source="command line")
    return [f"Marked {name} at {sample / ENGINE_RATE:.2f} s."]


def _now(folder: Path) -> int:
    """Where a session that is being recorded stands, by the clock that all programs share."""
    if not is_recording(folder):
        raise ConfigError("The session is over, so now is no time in it.", "Give --at in seconds.")
    with Session(folder) as session:
        anchors = session.anchors()
        if not anchors:
            raise SessionError("Nothing was heard yet.", "Try again in a second.")
        last = anchors[-1]
        return max(0, int(last["sample"]) + round((time.time() - float(last["utc"])) * ENGINE_RATE))


def note(folder: Path, text: str, at: float | None) -> list[str]:
    """Add a remark. Raises :class:`SessionError`."""
    edit.add_note(folder, text, None if at is None else round(at * ENGINE_RATE))
    return ["Noted."]


def label(
    folder: Path, utterance: int, *, emotion: str | None, words: str | None, reason: str, person: str | None = None
) -> list[str]:
    """Label an utterance of a person (by name or number; ``None``: the first) or correct its words.

    Raises
    ------
    ConfigError, SessionError
        Neither is given; there is no such utterance; no words were to be kept.
    """
    if emotion is None and words is None:
        raise ConfigError("There is nothing to write.", "Give --emotion, --words or both.")
    whose = person_folder(folder, person_number(read_header(folder), person))
    if words is not None:
        edit.correct_words(whose, utterance, words, reason)
    if emotion is not None:
        edit.label_utterance(whose, utterance, emotion, reason)
    return [f"Utterance {utterance} was annotated; what was recorded is kept."]


def redact(folder: Path, start: float, end: float, *, audio: bool, words: bool, reason: str) -> list[str]:
    """Overwrite sound and remove words between two times in seconds; both, unless one is named.

    Raises
    ------
    ConfigError, SessionError
        The times make no span; the session cannot be written.
    """
    first, last = round(start * ENGINE_RATE), round(end * ENGINE_RATE)
    if last <= first:
        raise ConfigError("The end must come after the start.", "Give both in seconds, as in: redact SESSION 12.5 14")
    both = audio == words
    done = edit.redact(folder, first, last, audio=audio or both, words=words or both, reason=reason)
    overwritten = f"{done.samples / ENGINE_RATE:.2f} s of sound overwritten"
    return [f"{done.words} words removed, {overwritten}; this was logged. {_EXPORTS}"]


def delete(folder: Path, *, audio: bool, words: bool, yes: bool, reason: str) -> list[str]:
    """Remove the sound, the words, or (neither named) the whole session.

    Raises
    ------
    SessionError
        Nobody confirmed it, or it cannot be done.
    """
    what = " and ".join(["the sound"] * audio + ["the words"] * words) or "everything"
    if not yes and not _confirmed(f"Delete {what} of {folder.name} for good?"):
        raise SessionError("Nothing was deleted.", "Answer yes, or add --yes.")
    if audio:
        edit.delete_audio(folder, reason)
    if words:
        edit.delete_words(folder, reason)
    if not (audio or words):
        edit.delete_session(folder, reason)
    return [f"Deleted {what} of {folder.name}; this was logged. {_EXPORTS}"]


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    tell(f"{question} Type yes:")
    return sys.stdin.readline().strip().lower() == "yes"
