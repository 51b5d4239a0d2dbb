"""What the explorer shows of one bundle. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_ser.bundle.filter_files import CutoffHistory, Reliance
from realtime_ser.bundle.loader import Bundle
from realtime_ser.gui.filterbank import FilterBank

__all__ = ["Study"]


@dataclass(frozen=True, slots=True)
class Study:
    """A bundle's filters, and what the bundle says about them.

    Attributes
    ----------
    name
        Name and version of the bundle.
    bank
        Filters before and after training.
    reliance, history
        What the bundle carries, if it does.
    """

    name: str
    bank: FilterBank
    reliance: Reliance | None = None
    history: CutoffHistory | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Study:
        """The filters of a bundle; takes some tens of milliseconds."""
        manifest = bundle.manifest
        filters = manifest.acoustic.filters
        bank = FilterBank.from_cutoffs(
            *(filters.initial_low_hz, filters.initial_high_hz, filters.low_hz, filters.high_hz),
            manifest.acoustic.kernel,
            manifest.sample_rate,
        )
        return cls(f"{manifest.name} {manifest.version}", bank, bundle.reliance, bundle.history)
