"""An ordinary mel spectrogram, to hold against what the learnt filters see. No Qt here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.filterbank import Hertz, hz_from_mel, mel_from_hz
from realtime_ser.types import FloatArray

__all__ = ["ENERGY_FLOOR", "MelSpectrogram", "decibels"]

ENERGY_FLOOR = 1e-10
"""Added to energies before the logarithm, as in the bundle's ``bands.onnx`` (docs/architecture.md)."""

_FFT = 2_048
"""The windows are padded to this length: with many bands, the lowest are narrower than the bins of a shorter transform."""


def decibels(nepers: FloatArray) -> FloatArray:
    """Natural logarithms of energies in dB."""
    return np.asarray(nepers * np.float32(10.0 / np.log(10.0)), dtype=np.float32)


class MelSpectrogram:
    """Energies of triangular bands, equally wide on HTK's mel scale, of Hann windows.

    The energies are mean squares, as those of the learnt filters are: a sine of amplitude 1 that lies in the middle of a wide
    band has −3 dB, and the bands together have the mean square of the windowed sound between the first and the last centre.

    Parameters
    ----------
    bands
        How many.
    sample_rate
        Hz.
    window
        Samples of a window, even.

    Raises
    ------
    ValueError
        No bands, or a window that is odd or longer than the transform.
    """

    def __init__(self, bands: int, sample_rate: int, window: int) -> None:
        if bands < 1:
            raise ValueError(f"bands must be at least 1, got {bands}")
        if window < 2 or window % 2 or window > _FFT:
            raise ValueError(f"window must be even and at most {_FFT} samples, got {window}")
        self.window = window
        edges = np.linspace(0.0, float(mel_from_hz(sample_rate / 2.0)), bands + 2)
        hertz = hz_from_mel(edges)
        self.low: Hertz = hertz[:-2]
        """Where each band begins, Hz, shape ``(bands,)``."""
        self.high: Hertz = hertz[2:]
        """Where each band ends."""
        self.centre: Hertz = hertz[1:-1]
        """Where its weight is 1."""
        # The window's peak lies on its middle sample: periodic, since an even window has no middle otherwise.
        self._shape: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)).astype(np.float32)
        bins = mel_from_hz(np.arange(_FFT // 2 + 1) * sample_rate / _FFT)
        rising = (bins[:, np.newaxis] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins[:, np.newaxis]) / (edges[2:] - edges[1:-1])
        weights = np.clip(np.minimum(rising, falling), 0.0, None)
        # Parseval: the sum of all bins' |X|² is FFT · Σ(w x)²; all but the first and the last stand for two.
        twice = np.full(len(bins), 2.0)
        twice[[0, -1]] = 1.0
        scale = twice / (_FFT * float(np.square(self._shape, dtype=np.float64).sum()))
        self._weights: NDArray[np.float32] = (weights * scale[:, np.newaxis]).astype(np.float32)

    def levels(self, frames: FloatArray) -> FloatArray:
        """Levels in dB re full scale, not below −100.

        Parameters
        ----------
        frames
            float32, shape ``(frames, window)``.

        Returns
        -------
        ndarray
            float32, shape ``(frames, bands)``.
        """
        spectrum = np.fft.rfft(frames * self._shape, _FFT, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return decibels(np.log(power.astype(np.float32) @ self._weights + np.float32(ENERGY_FLOOR)))
