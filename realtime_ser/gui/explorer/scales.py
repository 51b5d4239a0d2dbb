"""Frequency scales. No Qt here."""

from __future__ import annotations

import numpy as np

from realtime_ser.gui.filterbank import Hertz, mel_from_hz

__all__ = ["SCALES", "bark_from_hz", "place", "ticks"]

SCALES = ("mel", "Hz", "Bark")
_TICKS_HZ = {
    "mel": (0, 250, 500, 1000, 2000, 4000, 8000),
    "Hz": (0, 2000, 4000, 6000, 8000),
    "Bark": (0, 250, 500, 1000, 2000, 4000, 8000),
}
_CROWDED_HZ = (250, 2000, 6000)


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


def ticks(scale: str, end_hz: float, coarse: bool = False) -> list[tuple[float, str]]:
    """Places and labels of the marks on the axis `scale` up to `end_hz`; `coarse`: few, for a narrow plot."""
    chosen = [hertz for hertz in _TICKS_HZ[scale] if hertz <= end_hz and not (coarse and hertz in _CROWDED_HZ)]
    return [(float(place(hertz, scale)), f"{hertz:,}" if hertz else "0 Hz") for hertz in chosen]
