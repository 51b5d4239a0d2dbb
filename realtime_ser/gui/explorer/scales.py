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


def response_db(kernel: NDArray[np.float64], frequencies_hz: Hertz, sample_rate: int) -> NDArray[np.float64]:
    """Magnitude response of one filter in dB, not below −120.

    Parameters
    ----------
    kernel
        Impulse response, shape ``(taps,)``.
    frequencies_hz
        Where to evaluate, shape ``(frequencies,)``.
    sample_rate
        Hz.

    Returns
    -------
    Shape ``(frequencies,)``.
    """
    turns = np.outer(np.asarray(frequencies_hz) / sample_rate, np.arange(len(kernel)))
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(np.exp(-2j * np.pi * turns) @ kernel), 1e-6)))
