"""Two filter banks beside each other: which filter answers to which, and how they differ. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.gui.filterbank import FilterBank

__all__ = ["Comparison"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pairs of filters of two banks, by their places when sorted by learnt centre.

    Attributes
    ----------
    first, second
        The banks.
    ranks
        Of every pair, the ranks in both banks, shape ``(pairs, 2)``. With as many filters in both, equal ranks; otherwise every
        filter of the larger bank with that of the smaller one at the same share of the way from the lowest to the highest.
    """

    first: FilterBank
    second: FilterBank
    ranks: NDArray[np.intp]

    @classmethod
    def of(cls, first: FilterBank, second: FilterBank) -> Comparison:
        """Pair the filters of two banks."""
        pairs = max(first.bands, second.bands)
        share = np.linspace(0.0, 1.0, pairs)
        columns = [np.rint(share * (bank.bands - 1)).astype(np.intp) for bank in (first, second)]
        return cls(first, second, np.stack(columns, axis=1))

    @property
    def pairs(self) -> int:
        """How many pairs."""
        return len(self.ranks)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The table: of every pair both filters (number in the model, and in Hz what is known of it), and second less first."""
        table: dict[str, NDArray[Any]] = {}
        for name, bank, ranks in (("first", self.first, self.ranks[:, 0]), ("second", self.second, self.ranks[:, 1])):
            table[f"{name}_filter"] = bank.order[ranks]
            for quantity, values in (
                ("low", bank.low),
                ("high", bank.high),
                ("centre", bank.centre),
                ("bandwidth", bank.bandwidth),
                ("movement", bank.movement),
            ):
                table[f"{name}_{quantity}_hz"] = values[ranks]
        for quantity in ("centre", "bandwidth", "movement"):
            table[f"{quantity}_difference_hz"] = table[f"second_{quantity}_hz"] - table[f"first_{quantity}_hz"]
        return table

    def summed(self) -> dict[str, NDArray[Any]]:
        """Summed responses of both on the frequencies of the first, dB; the second's is read between its own frequencies."""
        frequencies = self.first.frequencies
        second = np.interp(frequencies, self.second.frequencies, self.second.response)
        return {"frequency_hz": frequencies, "first_db": self.first.response, "second_db": second}

    def describe(self) -> str:
        """How far the banks differ, in a sentence."""
        table = self.columns()
        centre, width = np.abs(table["centre_difference_hz"]), np.abs(table["bandwidth_difference_hz"])
        if not centre.any() and not width.any():
            return "The filters of both bundles are the same."
        counts = "" if self.first.bands == self.second.bands else f"{self.first.bands} and {self.second.bands} filters. "
        return (
            f"{counts}Centres differ by {np.median(centre):,.0f} Hz in the median ({centre.max():,.0f} Hz at most), "
            f"bandwidths by {np.median(width):,.0f} Hz ({width.max():,.0f} Hz at most)."
        )

    def describe_pair(self, pair: int) -> str:
        """One line about a pair."""
        table = self.columns()
        columns = (("first_filter", "first_low_hz", "first_high_hz"), ("second_filter", "second_low_hz", "second_high_hz"))
        one, other = (
            f"band {table[band][pair]} {table[low][pair]:,.0f}–{table[high][pair]:,.0f} Hz" for band, low, high in columns
        )
        centre, width = table["centre_difference_hz"][pair], table["bandwidth_difference_hz"][pair]
        return f"A {one} | B {other} | B − A: centre {centre:+,.0f} Hz, bandwidth {width:+,.0f} Hz"
