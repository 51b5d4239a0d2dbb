"""The exceptions that this package raises on purpose.

Each one carries what happened and, separately, what the user can do about it, so that every front end (terminal, window,
library) can show both in its own way. A wrong argument in code is a :class:`ValueError` or :class:`TypeError`, never one of
these.
"""

from __future__ import annotations

__all__ = [
    "AudioFileError",
    "BundleError",
    "ConfigError",
    "DeviceError",
    "DisplayError",
    "EngineError",
    "RealtimeSerError",
    "RecognizerError",
    "SessionError",
]


class RealtimeSerError(Exception):
    """Base class of the package's own exceptions.

    Parameters
    ----------
    problem
        What happened, one sentence, naming the file or device concerned.
    remedy
        What the user can do about it; empty where nothing can be done.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem if not remedy else f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class ConfigError(RealtimeSerError):
    """A setting, an option or a combination of them that cannot work."""

    exit_code = 2


class DeviceError(RealtimeSerError):
    """A microphone that is missing, refuses to open, or went away; or PortAudio itself is missing."""

    exit_code = 3


class AudioFileError(RealtimeSerError):
    """A file that is missing, unreadable, empty, or not audio."""

    exit_code = 4


class BundleError(RealtimeSerError):
    """A model bundle that is missing, incomplete, altered, or from another version."""

    exit_code = 5


class RecognizerError(RealtimeSerError):
    """A speech recogniser that cannot be loaded, or stopped working."""

    exit_code = 6


class DisplayError(RealtimeSerError):
    """No display, or the system libraries that Qt needs are missing."""

    exit_code = 7


class EngineError(RealtimeSerError):
    """A worker of the engine failed or would not stop."""

    exit_code = 8


class SessionError(RealtimeSerError):
    """A session that is missing, damaged, from a newer version, or cannot be written."""

    exit_code = 9
