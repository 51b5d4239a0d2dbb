"""The log: what happened while listening, to be read afterwards. It holds neither sound nor words.

The package itself only logs, by Python's ``logging``; who uses it as a library decides what becomes of that.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from realtime_ser import __version__
from realtime_ser.errors import ConfigError

__all__ = ["errors_into", "log_path", "start_log"]

LOG_VARIABLE = "REALTIME_SER_LOG"
"""Environment variable that names another file for the log."""

_BYTES = 1_000_000
_EARLIER = 3
"""Files that are kept beside the one that is written, each of `_BYTES` at most: some weeks of listening."""


def log_path(wanted: str | None = None) -> Path:
    """Where the log is written: `wanted`, what the environment variable names, or the user's folder for logs."""
    import platformdirs

    chosen = wanted or os.environ.get(LOG_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_log_path("realtime-ser", appauthor=False) / "realtime-ser.log"


def start_log(wanted: str | None = None) -> Path:
    """Write everything that the program logs from now on into a file, and return its path.

    A log that cannot be written (a full disk, a folder that is read-only) stops nothing.

    Raises
    ------
    ConfigError
        The file that was asked for cannot be written.
    """
    path = log_path(wanted)
    logging.raiseExceptions = False  # a log that cannot be written must not write over what the terminal shows
    logger = logging.getLogger("realtime_ser")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for earlier in logger.handlers[:]:
        logger.removeHandler(earlier)
        earlier.close()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_EARLIER, encoding="utf-8")
    except OSError as error:
        if wanted:
            raise ConfigError(f"The log {path} cannot be written ({error.strerror}).", "Name another file.") from error
        logger.addHandler(logging.NullHandler())
        return path
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger.addHandler(handler)
    logger.info("realtime-ser %s, Python %s, %s", __version__, platform.python_version(), platform.platform())
    return path


@contextmanager
def errors_into(path: Path) -> Iterator[None]:
    """Send standard error to the file `path`, for as long as the terminal shows a picture.

    PortAudio and ALSA write there from threads of their own when a device goes away, and nothing else can stop them.
    """
    try:
        target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(2)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
