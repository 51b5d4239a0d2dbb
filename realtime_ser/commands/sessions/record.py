"""``listen --record``: what is asked before, and what is shown meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from realtime_ser.assembly import Models
from realtime_ser.audio.sources import Source
from realtime_ser.commands.sessions.keys import Keys
from realtime_ser.commands.tell import tell
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.people import People
from realtime_ser.errors import ConfigError, SessionError
from realtime_ser.inputs import PeopleInput
from realtime_ser.session.header import Kept
from realtime_ser.session.notice import USE_NOTICE, Consent, consent_text
from realtime_ser.session.recorder import Recorder, RecordingStatus
from realtime_ser.session.request import RECORDED_OUTPUTS, SessionRequest, open_recorder, what_is_kept
from realtime_ser.session.writer import Marker

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["KeyMarker", "Recording", "agree", "key_markers", "recording_text"]


@dataclass(frozen=True, slots=True)
class KeyMarker:
    """What a key marks."""

    name: str
    colour: str = ""


def key_markers(options: Sequence[str]) -> dict[str, KeyMarker]:
    """Understand ``--marker KEY=NAME[:COLOUR]``; without any, the digits and ``m`` mark.

    Raises
    ------
    ConfigError
        It is none.
    """
    found = {key: KeyMarker(f"marker {key}") for key in "123456789"} | {"m": KeyMarker("marker")}
    if options:
        found = {}
    for option in options:
        key, equals, rest = option.partition("=")
        name, _, colour = rest.partition(":")
        if len(key) != 1 or not key.isprintable() or not equals or not name.strip():
            raise ConfigError(f"{option!r} is no marker.", "Write KEY=NAME or KEY=NAME:COLOUR, as in --marker s=stimulus:red.")
        found[key] = KeyMarker(name.strip(), colour.strip())
    return found


def agree(*, words: bool, audio: bool, confirmed: bool = False, names: Sequence[str] = ("",)) -> list[Kept]:
    """Show the use notice, and ask everybody for the consent to keep `words` and `audio` unless it is `confirmed` already.

    Where one of several people does not agree nothing is recorded: a microphone hears the others, too.

    Raises
    ------
    SessionError
        It was not given, or nobody can be asked.
    """
    for sentence in USE_NOTICE:
        tell(sentence)
    text = consent_text(words=words, audio=audio)
    if not text:
        return [Kept() for _ in names]
    tell(f"\n{text}")
    return [Kept(words, audio, _consent(text, name, confirmed=confirmed)) for name in names]


def _consent(text: str, name: str, *, confirmed: bool) -> Consent:
    if confirmed:
        how = "confirmed by the researcher (--consent)"
    elif sys.stdin.isatty():
        tell(f"Does {name or 'the participant'} agree? Type yes:")
        if sys.stdin.readline().strip().lower() != "yes":
            raise SessionError(
                "Nothing is recorded, since there is no consent.", "Without --keep-words and --keep-audio none is needed."
            )
        how = "answered in the terminal"
    else:
        raise SessionError(
            "Words and sound need the participant's consent, and nobody can be asked here.",
            "Add --consent where you have it, or leave out --keep-words and --keep-audio.",
        )
    return Consent(text, datetime.now(UTC).isoformat(timespec="seconds"), how)


class Recording:
    """A session that is recorded beside what is shown; entered around the engine's life.

    Parameters
    ----------
    request
        What to record.
    markers
        By key.
    """

    def __init__(self, request: SessionRequest, markers: Mapping[str, KeyMarker]) -> None:
        self._request = request
        self._markers = markers
        self._recorder: Recorder | None = None
        self._people: People | None = None
        self.stopped = False
        """Whether somebody asked for the end, before the input came to its own."""
        self.on_marker: Callable[[Marker, float], None] = lambda marker, at: None
        """Told of every marker and its ``perf_counter()`` time, by the thread that marks, or where another process did, by the
        one that writes; it must not wait."""
        self._keys = Keys(self._mark)

    @property
    def recorder(self) -> Recorder:
        """Once there is a source."""
        if self._recorder is None:
            raise ValueError("tap a source first")
        return self._recorder

    def tap(self, sources: Sequence[Source], models: Models, choice: PeopleInput) -> list[Source]:
        """The sources for the engines."""

        def told(status: RecordingStatus) -> None:
            tell(f"{status.problem} {status.remedy}")

        recorder = self._recorder = open_recorder(self._request, models, choice, sources[0].live, told)
        recorder.on_foreign_marker = lambda marker: self.on_marker(marker, recorder.time_of(marker.sample))
        return [recorder.tap(source, person) for person, source in enumerate(sources)]

    def start(self, people: People) -> None:
        """Subscribe to engines that are not yet started."""
        self._people = people
        self.recorder.start(*people.subscribe_own(RECORDED_OUTPUTS, Policy.KEEP_ALL))

    def discard(self) -> None:
        """Leave nothing behind: it never began."""
        self.recorder.discard()

    def sign(self) -> RenderableType:
        """What is shown meanwhile."""
        return recording_text(self.recorder.status(), self._markers if self._keys.active else None)

    def mark(self, name: str, *, colour: str = "", source: str, at: float | None = None) -> None:
        """Mark the moment `at` (``perf_counter()``, seconds), or now; for any thread."""
        at = time.perf_counter() if at is None else at
        self.on_marker(self.recorder.mark(name, colour=colour, source=source, at=at), at)

    def lsl_clock(self, offset: float, uncertainty: float) -> None:
        """Keep how LSL's clock stands to ``perf_counter()``, in seconds; for any thread, once the engine runs."""
        self.recorder.clock("LSL", offset, uncertainty)

    def _mark(self, key: str, at: float) -> None:
        # NB: the keys' thread.
        marker = self._markers.get(key)
        if marker is not None:
            self.mark(marker.name, colour=marker.colour, source=f"key {key}", at=at)

    def __enter__(self) -> Recording:
        status = self.recorder.status()
        tell(f"● Recording into {status.folder}: {what_is_kept(status)}.")
        self._keys.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._keys.__exit__(kind, error, traceback)
        assert self._people is not None  # entered after `start`
        if not self._people.heard and error is not None:
            self.recorder.discard()
            return
        if error is not None:
            why = str(error) or type(error).__name__
        else:
            why = "it was stopped" if self.stopped else "the input ended"
        status = self.recorder.finish(why)
        tell(f"Recorded {status.seconds:.1f} s in {status.folder}")
        if status.phase == "failed" and error is None:
            raise SessionError(status.problem, "Make room and start a new session.")


def recording_text(status: RecordingStatus, keys: Mapping[str, KeyMarker] | None = None) -> Text:
    """The sign that something is recorded, and what: one line, or what went wrong."""
    from rich.text import Text

    if status.phase == "failed":
        return Text(f"NOT RECORDING: {status.problem} {status.remedy}", style="bold red")
    line = Text("● REC ", style="bold red").append(f"{status.seconds:7.1f} s  ", style="")
    line.append(f"{what_is_kept(status)} kept", style="bold white on red" if status.audio else "")
    if status.markers:
        line.append(f" · {status.markers} marker{'s' if status.markers > 1 else ''}")
    if status.behind:
        line.append(f" · the disk is {status.behind:.0f} s behind", style="bold yellow")
    if keys:
        line.append(f" · {' '.join(keys)} mark", style="dim")
    return line
