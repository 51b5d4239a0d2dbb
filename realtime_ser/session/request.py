"""What is to be recorded, whoever asks for it: the command line or the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from realtime_ser.assembly import Models
from realtime_ser.inputs import Input
from realtime_ser.session.format import sessions_folder
from realtime_ser.session.header import Kept, make_header
from realtime_ser.session.recorder import Recorder, RecordingStatus

__all__ = ["RECORDED_OUTPUTS", "SessionRequest", "open_recorder", "what_is_kept"]

RECORDED_OUTPUTS = 4_096
"""Outputs that wait for the recorder's taking thread, which does nothing that could make it wait."""


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
    """

    folder: str = ""
    participant: str = ""
    condition: str = ""
    kept: Kept = field(default_factory=Kept)
    notes: tuple[str, ...] = ()


def open_recorder(
    request: SessionRequest,
    models: Models,
    choice: Input,
    live: bool,
    on_failure: Callable[[RecordingStatus], None] = lambda status: None,
) -> Recorder:
    """Make the session's folder, and a recorder for an engine on the input `choice`.

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
    header = make_header(
        models,
        participant=request.participant,
        condition=request.condition,
        input_name=choice.kind if choice.kind != "file" else Path(choice.id).name,
        live=live,
        kept=request.kept,
    )
    recorder = Recorder(sessions_folder(request.folder), header, on_failure)
    for note in request.notes:
        recorder.note(note)
    return recorder


def what_is_kept(status: RecordingStatus) -> str:
    """In words."""
    parts = ["scores", *(["words"] * status.words), *(["SOUND"] * status.audio)]
    if len(parts) == 1:
        return "scores only, no words and no sound"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
