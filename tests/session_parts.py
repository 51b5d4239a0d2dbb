"""Parts of tests of sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from realtime_ser.session.header import Kept
from realtime_ser.session.notice import Consent, consent_text
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Output


@dataclass(frozen=True)
class Recorded:
    """A session, and everything that another subscriber of the same engine got."""

    folder: Path
    status: RecordingStatus
    outputs: list[Output]


def agreed(*, words: bool, audio: bool) -> Kept:
    text = consent_text(words=words, audio=audio)
    consent = Consent(text, datetime.now(UTC).isoformat(), "confirmed by a test") if text else None
    return Kept(words, audio, consent)


Record = Callable[..., Recorded]
