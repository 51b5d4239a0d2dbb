"""Playing recorded sound, from any sample on, through the system's default output.

Three threads: the caller's; *playback*, which reads and resamples pieces ahead into a short queue; and the sound system's,
whose callback takes from the queue and never waits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from realtime_ser.audio.portaudio import Callback, InputStream, StreamFlags, open_output
from realtime_ser.audio.resample import StreamResampler
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.types import FloatArray

__all__ = ["Pieces", "Playback"]

Pieces: TypeAlias = Callable[[int], Iterator[tuple[int, FloatArray]]]
"""Sound from a sample on: first sample and float32 samples at 16 kHz, in order; it may begin earlier and have gaps."""

_AHEAD = 4
"""Pieces that wait in the queue at most."""

_LONGEST = ENGINE_RATE
_WAIT = 0.1


class Playback:
    """Plays recorded sound; what is missing in it is silence, so that the clock is the recording's.

    Parameters
    ----------
    pieces
        Where the sound comes from; called and consumed by the thread *playback*.
    end
        Sample after the last.
    open_stream
        What opens an output; see :func:`~realtime_ser.audio.portaudio.open_output`.

    Notes
    -----
    NB: all methods belong to one thread.
    """

    def __init__(
        self, pieces: Pieces, end: int, open_stream: Callable[[int, Callback], tuple[InputStream, int]] = open_output
    ) -> None:
        self._pieces = pieces
        self._end = end
        self._open_stream = open_stream
        self._stream: InputStream | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._ready: queue.Queue[FloatArray | None] = queue.Queue(_AHEAD)
        self._first = 0
        self._rate = ENGINE_RATE
        # NB: written by the sound system's thread alone.
        self._frames = 0
        self._rest: FloatArray = np.empty(0, np.float32)
        self._over = False
        self._error: BaseException | None = None

    def play(self, first: int) -> None:
        """Play from the sample `first` on; what was playing stops.

        Raises
        ------
        DeviceError
            There is no output, or it refuses.
        """
        self.stop()
        self._first = min(max(first, 0), self._end)
        self._frames = 0
        self._over = False
        self._error = None
        self._rest = np.empty(0, np.float32)
        self._ready = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._stream, self._rate = self._open_stream(ENGINE_RATE, self._fill)
        self._thread = threading.Thread(target=self._read, name="playback", daemon=True)
        self._thread.start()
        try:
            self._stream.start()
        except RealtimeSerError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop at once; :attr:`position` stays."""
        if self._stream is not None:
            position = self.position
            self._stream.abort()
            self._stream.close()
            self._stream = None
            self._first, self._frames = position, 0
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def playing(self) -> bool:
        """Whether there is still something to hear."""
        return self._stream is not None and not self._over

    @property
    def error(self) -> BaseException | None:
        """What ended the reading of the sound before its time."""
        return self._error

    @property
    def position(self) -> int:
        """The sample that is being heard now, or was last."""
        if self._stream is None:
            return self._first
        late = 0.0 if self._over else self._stream.latency
        heard = round(max(0.0, self._frames / self._rate - late) * ENGINE_RATE)
        return min(self._first + heard, self._end)

    # The sound system's thread ----------------------------------------------------------------------------------------------

    def _fill(self, frames: FloatArray, count: int, times: object, flags: StreamFlags) -> None:
        filled = 0
        while filled < count and not self._over:
            if not len(self._rest):
                try:
                    piece = self._ready.get_nowait()
                except queue.Empty:
                    break
                if piece is None:
                    self._over = True
                    break
                self._rest = piece
            taken = min(count - filled, len(self._rest))
            frames[filled : filled + taken, 0] = self._rest[:taken]
            self._rest = self._rest[taken:]
            filled += taken
        frames[filled:] = 0.0
        self._frames += filled

    # The thread "playback" --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            resampler = StreamResampler(ENGINE_RATE, self._rate)
            for piece in self._continuous():
                if not self._hand_over(resampler.process(piece)):
                    return
            self._hand_over(resampler.flush())
        except Exception as error:  # noqa: BLE001 - told by `error`, in the thread that asks
            self._error = error
        self._hand_over(None)

    def _continuous(self) -> Iterator[FloatArray]:
        position = self._first
        for first, samples in self._pieces(position):
            while position < first:
                silence = min(first - position, _LONGEST)
                yield np.zeros(silence, np.float32)
                position += silence
            if first + len(samples) > position:
                yield samples[position - first :]
                position = first + len(samples)

    def _hand_over(self, piece: FloatArray | None) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(piece, timeout=_WAIT)
            except queue.Full:
                continue
            return True
        return False
