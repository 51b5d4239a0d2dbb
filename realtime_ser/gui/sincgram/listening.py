"""Hearing what one filter hears: a part of the remembered sound, filtered, at a level that can be heard. No Qt here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from realtime_ser.audio.playback import Playback
from realtime_ser.audio.portaudio import Callback, InputStream, open_output
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import DeviceError
from realtime_ser.gui.worker import Failure, Worker
from realtime_ser.types import FloatArray

__all__ = ["LOUDEST_PEAK", "MOST_GAIN_DB", "BandPlayer", "Excerpt", "audible", "filtered"]

LOUDEST_PEAK = 0.5
"""No sample is played beyond this, of full scale: a band may be all but a sine, which is louder than it looks."""

MOST_GAIN_DB = 40.0
"""A band in which there is next to nothing is not blown up into noise."""

_LOUDNESS = 10.0 ** (-24.0 / 20.0)
"""RMS, of full scale, that the louder half of what is played gets: what is common for speech on a computer."""

_INAUDIBLE = 1e-5
_STRETCH = ENGINE_RATE // 10
_FADE = ENGINE_RATE // 40
_PIECE = ENGINE_RATE // 4
_REST = ENGINE_RATE // 2
"""Silence behind the end: an output is closed at once when everything was handed over, before all of it was heard."""


def filtered(samples: FloatArray, kernel: NDArray[np.float64]) -> FloatArray:
    """What a filter lets through, without its delay.

    Parameters
    ----------
    samples
        Float32, shape ``(n,)``.
    kernel
        Impulse response, symmetric about its middle, an odd number of taps.

    Returns
    -------
    ndarray
        Float32, shape ``(n,)``: the middle of the convolution, silence being assumed before and after.
    """
    size = 1 << (len(samples) + len(kernel) - 2).bit_length()
    product = np.fft.irfft(np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(kernel, size), size)
    half = (len(kernel) - 1) // 2
    return product[half : half + len(samples)].astype(np.float32)


def audible(samples: FloatArray) -> tuple[FloatArray, float]:
    """`samples` at a level that can be heard and hurts nobody, faded in and out, and the gain in dB.

    One gain for all of it, so that loud and soft stay what they are. Of the stretches of a tenth of a second, the louder half
    gets a usual level, unless that took a peak above :data:`LOUDEST_PEAK` or a gain above :data:`MOST_GAIN_DB`.

    Raises
    ------
    ValueError
        There is nothing to be heard.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < _INAUDIBLE:
        raise ValueError("there is nothing to be heard")
    stretches = (
        samples[: len(samples) // _STRETCH * _STRETCH].reshape(-1, _STRETCH) if len(samples) >= _STRETCH else samples[None]
    )
    powers = np.sort(np.mean(np.square(stretches, dtype=np.float64), axis=1))
    loudness = float(np.sqrt(powers[len(powers) // 2 :].mean()))
    gain = min(_LOUDNESS / max(loudness, _INAUDIBLE), LOUDEST_PEAK / peak, 10.0 ** (MOST_GAIN_DB / 20.0))
    ramp = np.clip(np.minimum(np.arange(len(samples)), np.arange(len(samples))[::-1]) / _FADE, 0.0, 1.0)
    return (samples * (gain * ramp)).astype(np.float32), float(20.0 * np.log10(gain))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some sound: `first` is the sample of the stream with which `samples` begin."""

    first: int
    samples: FloatArray


class BandPlayer:
    """Plays excerpts through a filter. Opening an output can take long, so a worker's thread does it.

    Parameters
    ----------
    open_stream
        What opens an output; see :func:`~realtime_ser.audio.portaudio.open_output`.

    Notes
    -----
    NB: the methods belong to the window's thread. The playback is touched by the worker's thread, and by this one only while
    that has nothing to do.
    """

    def __init__(self, open_stream: Callable[[int, Callback], tuple[InputStream, int]] = open_output) -> None:
        self._open_stream = open_stream
        self._worker = Worker()
        self._playback: Playback | None = None
        self._excerpt: Excerpt | None = None
        self._wanted = 0
        self.gain_db: float | None = None
        """By how much what is played was made louder; ``None`` until that is known."""
        self.failure: Failure | None = None
        """Why nothing is heard, where something should be."""

    @property
    def active(self) -> bool:
        """Whether something is being played, or about to be."""
        return self._excerpt is not None

    @property
    def position(self) -> int | None:
        """The sample of the stream that is being heard, if one is."""
        if self._excerpt is None or self._playback is None or self._worker.busy:
            return None
        return self._excerpt.first + min(self._playback.position, len(self._excerpt.samples))

    def play(self, excerpt: Excerpt, kernel: NDArray[np.float64] | None) -> None:
        """Play `excerpt` through the filter `kernel`, or as it is; what is playing stops."""
        self._wanted += 1
        self._excerpt, self.gain_db, self.failure = excerpt, None, None
        number = self._wanted

        def done(gain: float) -> None:
            if number == self._wanted:
                self.gain_db = gain

        def failed(failure: Failure) -> None:
            if number == self._wanted:
                self._excerpt, self.failure = None, failure

        self._worker.ask(partial(self._begin, excerpt, kernel), done, failed)

    def stop(self) -> None:
        """Be silent."""
        self._wanted += 1
        if self._excerpt is not None:
            self._excerpt = None
            self._worker.ask(self._end, _nothing, _nothing)

    def tick(self) -> None:
        """Take what the worker has to say, and give the output up at the end; called by the window's timer."""
        self._worker.deliver()
        if self._excerpt is None or self._playback is None or self._worker.busy or self._playback.playing:
            return
        error = self._playback.error
        self.stop()
        if error is not None:
            self.failure = Failure.of(error)

    def close(self) -> None:
        """Be silent for good."""
        self._wanted += 1
        self._excerpt = None
        self._worker.close()
        self._end()

    # The worker's thread --------------------------------------------------------------------------------------------------

    def _begin(self, excerpt: Excerpt, kernel: NDArray[np.float64] | None) -> float:
        self._end()
        samples = excerpt.samples if kernel is None else filtered(excerpt.samples, kernel)
        try:
            samples, gain = audible(samples)
        except ValueError:
            what = "Nothing was heard" if kernel is None else "This filter heard nothing"
            raise DeviceError(f"{what} in these seconds.", "Listen again when something sounds.") from None
        samples = np.concatenate((samples, np.zeros(_REST, np.float32)))
        self._playback = Playback(partial(_pieces, samples), len(samples), self._open_stream)
        self._playback.play(0)
        return gain

    def _end(self) -> None:
        if self._playback is not None:
            self._playback.stop()
            self._playback = None


def _pieces(samples: FloatArray, first: int) -> Iterator[tuple[int, FloatArray]]:
    for begin in range(first, len(samples), _PIECE):
        yield begin, samples[begin : begin + _PIECE]


def _nothing(_: object) -> None:
    """A stop has nothing to say."""
