"""Frequency scales and the response of one filter. No Qt here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.filterbank import Hertz, mel_from_hz

__all__ = ["SCALES", "bark_from_hz", "place", "response_db"]

SCALES = ("mel", "Hz", "Bark")


def bark_from_hz(hertz: Hertz | float) -> Hertz:
    """Traunmüller's Bark scale, 26.81 f / (1960 + f) − 0.53, without his corrections at the ends."""
    f = np.asarray(hertz, dtype=np.float64)
    return np.asarray(26.81 * f / (1960.0 + f) - 0.53)


def place(hertz: Hertz | float, scale: str) -> Hertz:
    """Frequencies in Hz as they stand on the axis `scale`, one of :data:`SCALES`; ``ValueError`` for any other."""
    if scale == "mel":
        return mel_from_hz(hertz)
    if scale == "Bark":
        return bark_from_hz(hertz)
    if scale == "Hz":
        return np.asarray(hertz, dtype=np.float64)
    raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")


def response_db(kernels: NDArray[np.float64], frequencies_hz: Hertz, sample_rate: int) -> NDArray[np.float64]:
    """Magnitude response of every filter in dB, not below −120.

    Parameters
    ----------
    kernels
        Impulse responses, shape ``(bands, taps)``, symmetric about the middle.
    frequencies_hz
        Where to evaluate, shape ``(frequencies,)``.
    sample_rate
        Hz.

    Returns
    -------
    Shape ``(bands, frequencies)``.
    """
    taps = kernels.shape[1]
    n = np.arange(taps) - (taps - 1) / 2.0
    cosines = np.cos(2.0 * np.pi * np.outer(n, np.asarray(frequencies_hz) / sample_rate))
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(kernels @ cosines), 1e-6)))
