"""What can be chosen of the sincgram's looks. No Qt."""

from __future__ import annotations

__all__ = ["AXES", "COLOUR_MAPS", "HIGHEST_DB", "LOWEST_DB", "SECONDS"]

AXES = ("filters", "mel", "Hz")
"""Every filter and every mel band as high as every other, or both pictures over the same frequency axis."""

COLOUR_MAPS = ("viridis", "cividis", "inferno", "magma")
"""Perceptually uniform: lightness grows evenly with the level, so that they can be read without seeing hues, and in print."""

SECONDS = (10, 5, 20, 60)
"""How much time may be shown; the first is usual."""

LOWEST_DB, HIGHEST_DB = -100, 0
"""Of the levels that colours may stand for, dB re full scale."""
