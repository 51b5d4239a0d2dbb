"""The numbers of the pictures, a row a frame. No Qt here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.explorer.exports import Columns
from realtime_ser.gui.filterbank import Hertz
from realtime_ser.gui.models import BinnedRing
from realtime_ser.gui.sincgram.model import VOICED, SincgramModel

__all__ = ["EXPORTS", "table"]

EXPORTS = ("both pictures", "sincgram", "mel spectrogram")
"""What can be exported."""


def table(model: SincgramModel, name: str, first: int, end: int) -> Columns:
    """The numbers of one of :data:`EXPORTS` in the grid's columns from `first` to `end` (exclusive).

    Returns
    -------
    ``time_s`` (the middle of the frame's hop), ``voiced`` (1 or 0), and one column a filter or band with its number, its centre
    and its level in dB re full scale, to a thousandth; NaN where there is none.

    Raises
    ------
    ValueError
        Another name.
    """
    if name not in EXPORTS:
        raise ValueError(f"a picture is one of {', '.join(EXPORTS)}, got {name!r}")
    columns = np.arange(first, max(end, first))
    numbers: Columns = {
        "time_s": np.round(model.grid.middle(columns) / model.rate, 4),
        "voiced": (_rows(model.voice, columns)[:, 0] >= VOICED).astype(int),
    }

    def add(title: str, order: NDArray[np.intp], centres: Hertz, ring: BinnedRing) -> None:
        levels = np.round(_rows(ring, columns).astype(np.float64), 3)
        for rank, (number, centre) in enumerate(zip(order, centres, strict=True)):
            numbers[f"{title}_{number}_{centre:.1f}_hz_db"] = levels[:, rank]

    if name != "mel spectrogram":
        add("filter", model.bank.order, model.bank.centre, model.sinc)
    if name != "sincgram":
        add("mel", np.arange(len(model.bands.centre)), model.bands.centre, model.mel)
    return numbers


def _rows(ring: BinnedRing, columns: NDArray[np.intp]) -> NDArray[np.float32]:
    view = ring.view()
    rows = np.full((len(columns), view.shape[1]), np.nan, np.float32)
    places = columns - ring.end + ring.bins
    kept = (places >= 0) & (places < ring.bins)
    rows[kept] = view[places[kept]]
    return rows
