"""What is to be recorded, whoever asks for it: the command line or the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from realtime_ser.assembly import Models
from realtime_ser.inputs import PeopleInput
from realtime_ser.session.format import sessions_folder
from realtime_ser.session.header import Kept, PersonFacts, make_header
from realtime_ser.session.recorder import Recorder, RecordingStatus

__all__ = ["RECORDED_OUTPUTS", "Participant", "SessionRequest", "open_recorder", "what_is_kept"]

RECORDED_OUTPUTS = 4_096
"""Outputs that wait for the recorder's taking thread, which does nothing that could make it wait."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A person after the first: the code of the study (may be empty), and what is kept, with this person's consent to it."""

    participant: str = ""
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A session that is to be recorded.

    Attributes
    ----------
    folder
        Where the session's folder is made; empty: the usual place.
    participant, condition
        Codes of the study; may be empty.
    kept
        What is kept beside scores, with the consent to it.
    notes
        Remarks about the whole session.
    others
        The people after the first, to whom `participant` and `kept` belong; one for each who is listened to.
    """

    folder: str = ""
    participant: str = ""
    condition: str = ""
    kept: Kept = field(default_factory=Kept)
    notes: tuple[str, ...] = ()
    others: tuple[Participant, ...] = ()


def open_recorder(
    request: SessionRequest,
    models: Models,
    choice: PeopleInput,
    live: bool,
    on_failure: Callable[[RecordingStatus], None] = lambda status: None,
) -> Recorder:
    """Make the session's folder, and a recorder for the engines of those who are listened to.

    Parameters
    ----------
    live
        Whether the input is a microphone.
    on_failure
        See :class:`~realtime_ser.session.recorder.Recorder`.

    Raises
    ------
    SessionError
        The folder cannot be written.
    """
    several = choice.people > 1
    clock: Literal["shared", "own"] = "shared" if choice.one_clock else "own"
    people = [PersonFacts(name, clock if number else "shared") for number, name in enumerate(choice.names)] if several else []
    participants = [Participant(request.participant, request.kept), *request.others, *[Participant()] * choice.people]
    headers = [
        make_header(
            models,
            participant=participants[person].participant,
            condition=request.condition,
            input_name=_input_name(choice, person),
            live=live,
            kept=participants[person].kept,
            people=people if person == 0 else (),
        )
        for person in range(choice.people)
    ]
    recorder = Recorder(sessions_folder(request.folder), headers[0], on_failure, headers[1:])
    for note in request.notes:
        recorder.note(note)
    return recorder


def _input_name(choice: PeopleInput, person: int) -> str:
    one = choice.input_of(person)
    name = one.kind if one.kind != "file" else Path(one.id).name
    return f"{name}, channel {choice.channels[person] + 1}" if choice.channels else name


def what_is_kept(status: RecordingStatus) -> str:
    """In words."""
    parts = ["scores", *(["words"] * status.words), *(["SOUND"] * status.audio)]
    if len(parts) == 1:
        return "scores only, no words and no sound"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
