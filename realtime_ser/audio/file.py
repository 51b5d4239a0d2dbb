"""Sound files of any format, rate and number of channels that libsndfile reads, streamed: memory does not grow with length."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from realtime_ser.audio.resample import HIGHEST_RATE, LOWEST_RATE
from realtime_ser.audio.sources import Pace, RecordedSource
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import AudioFileError
from realtime_ser.types import Event, FloatArray, Severity

__all__ = ["FileSource"]

_READABLE = "Files that can be read: WAV, FLAC, OGG, Opus, MP3, AIFF, CAF and others known to libsndfile."
_UNKNOWN_LENGTH = 2**31 - 2**16
"""Bytes. Programs that write a WAV file into a pipe announce about 2 or 4 GB, since they cannot know."""
_CONVERT = "Convert it, for example with: ffmpeg -i FILE out.wav"


class FileSource(RecordedSource):
    """A sound file.

    A file that breaks off is delivered as far as it can be read, followed by the event ``"file-truncated"``.

    Parameters
    ----------
    path
        The file. Nothing is touched before `open`.
    pace, block, channel, others
        See :class:`~realtime_ser.audio.sources.RecordedSource`.

    Raises
    ------
    AudioFileError
        By `open`, where the file is missing, unreadable, empty, not audio, or has no such channel.
    """

    def __init__(
        self,
        path: str | Path,
        pace: Pace = "fast",
        *,
        block: int = 1600,
        channel: int | None = None,
        others: Sequence[int] = (),
    ) -> None:
        self.path = Path(path)
        super().__init__(self.path.name, pace, block, channel, others)
        self._file: Any = None
        self._announced = 0
        self._kind = ""
        self._delivered = 0
        self._cut_short = ""
        # NB: libsndfile may not be closed by one thread while another reads.
        self._guard = threading.Lock()

    @property
    def frames(self) -> int:
        """Frames that the file's header announces; 0 before `open`. Some formats can only estimate it."""
        return self._announced

    def _open(self) -> tuple[int, int]:
        self._check_path()
        try:
            import soundfile  # type: ignore[import-untyped]
        except (ImportError, OSError) as error:
            raise AudioFileError(
                f"Sound files cannot be read, because libsndfile is missing: {error}.",
                "Install it (Debian, Ubuntu: sudo apt install libsndfile1) or reinstall the Python package soundfile.",
            ) from error
        try:
            file = soundfile.SoundFile(str(self.path))
        # soundfile asks for rate and channels with a TypeError where an ending says that a file has no header (.raw).
        except (soundfile.SoundFileError, TypeError, OSError, ValueError) as error:
            raise AudioFileError(f"{self.path} is not a sound file that can be read ({_reason(error)}).", _READABLE) from error
        try:
            self._check_contents(file)
        except AudioFileError:
            file.close()
            raise
        self._file = file
        self._announced = int(file.frames)
        self._kind = f"{file.format} {file.subtype}"
        # libsndfile silently corrects a length in the header that the file does not keep, but writes it into its log.
        announced = re.search(r"^\s*data\s*:\s*(\d+) \(should be \d+\)", file.extra_info, re.MULTILINE)
        if announced and 0 < int(announced[1]) < _UNKNOWN_LENGTH:
            self._cut_short = "its header announces more than it holds"
        return int(file.samplerate), int(file.channels)

    def _check_path(self) -> None:
        try:
            str(self.path).encode()
        except UnicodeEncodeError as error:
            raise AudioFileError(
                f"{self.path} has a name that is no text in this system's encoding.", "Give it another name."
            ) from error
        try:
            if not self.path.exists():
                raise AudioFileError(f"There is no file {self.path}.", "Check the path.")
            if self.path.is_dir():
                raise AudioFileError(f"{self.path} is a folder, not a sound file.", "Name a file, or a folder that holds some.")
            if self.path.is_file() and self.path.stat().st_size == 0:
                raise AudioFileError(f"{self.path} is empty.", "Record or copy it again.")
            with self.path.open("rb"):
                pass
        # A null byte in a path is a ValueError.
        except (OSError, ValueError) as error:
            raise AudioFileError(f"{self.path} cannot be read ({error}).", "Check the path and its permissions.") from error

    def _check_contents(self, file: Any) -> None:
        if file.format == "RAW":  # libsndfile takes anything for sound whose name ends in .au, .snd or .vox
            raise AudioFileError(f"{self.path} is not a sound file that can be read (it has no header).", _READABLE)
        if file.frames <= 0:
            raise AudioFileError(f"{self.path} holds no sound: its length is 0.", "Record or copy it again.")
        if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
            raise AudioFileError(f"{self.path} has a sampling rate of {file.samplerate} Hz, which cannot be.", _CONVERT)
        for channel in (self._channel, *self._others):
            if channel is not None and not 0 <= channel < file.channels:
                raise AudioFileError(f"{self.path} has no channel {channel + 1}.", f"It has {file.channels}, counted from 1.")

    def _frames(self, count: int) -> FloatArray:
        import soundfile

        # In pieces of a tenth of a second: of one in which the file breaks off, libsndfile gives nothing at all.
        pieces: list[FloatArray] = [np.empty((0, self._channels), dtype=np.float32)]
        wanted, most = count, max(1, self._rate // 10)
        with self._guard:
            while self._file is not None and wanted:
                try:
                    piece: FloatArray = self._file.read(min(wanted, most), dtype="float32", always_2d=True)
                except (soundfile.SoundFileError, OSError) as error:
                    self._cut_short = _reason(error)
                    break
                pieces.append(piece)
                if len(piece) < min(wanted, most):
                    break
                wanted -= len(piece)
            if self._file is None:
                return pieces[0]
        frames = np.concatenate(pieces)
        self._delivered += len(frames)
        if len(frames) < count:
            self._report_end()
        return frames

    def _report_end(self) -> None:
        if not self._cut_short and self._delivered < self._announced:
            self._cut_short = f"{self._announced / self._rate:.2f} s were announced"
        if not self._cut_short:
            return
        self._events.append(
            Event(
                self._delivered * ENGINE_RATE // self._rate,
                "file-truncated",
                Severity.WARNING,
                f"{self.name} is damaged or incomplete and ends after {self._delivered / self._rate:.2f} s "
                f"({self._cut_short}). Everything up to there was used. Copy or download it again if you can.",
            )
        )

    def _release(self) -> None:
        with self._guard:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _describe(self) -> str:
        channels = f"{self._channels} channel{'s' if self._channels > 1 else ''}"
        return f"{self.path}, {self._kind}, {self._rate} Hz, {channels}"


def _reason(error: Exception) -> str:
    # libsndfile puts the path in front and a full stop at the end.
    return str(error).rsplit(": ", 1)[-1].strip(" .") or type(error).__name__
