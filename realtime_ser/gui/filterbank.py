"""The numbers behind the filter-bank view: eq. (2) of the paper, and what training did to the filters. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FilterBank", "decibels", "hz_from_mel", "magnitudes", "mel_from_hz", "sinc_kernels", "summed_response"]

Hertz = NDArray[np.float64]


def mel_from_hz(hertz: Hertz | float) -> Hertz:
    """O'Shaughnessy's mel scale, 2595 log10(1 + f / 700), as SincNet's initialisation uses it."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hertz, dtype=np.float64) / 700.0))


def hz_from_mel(mel: Hertz | float) -> Hertz:
    """The inverse of :func:`mel_from_hz`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0))


def sinc_kernels(low_hz: Hertz, high_hz: Hertz, kernel: int, sample_rate: int) -> NDArray[np.float64]:
    """Impulse responses of the sinc filters under their Hamming window.

    Parameters
    ----------
    low_hz, high_hz
        Cutoffs, shape ``(bands,)``.
    kernel
        Length in samples.
    sample_rate
        Hz.

    Returns
    -------
    Shape ``(bands, kernel)``, symmetric about the middle; a passband's gain is about 1.
    """
    n = np.arange(kernel) - (kernel - 1) / 2.0
    low = np.asarray(low_hz, dtype=np.float64)[:, None] / sample_rate
    high = np.asarray(high_hz, dtype=np.float64)[:, None] / sample_rate
    # Priyasad et al., eq. (2): g[n] = 2 f2 sinc(2 pi f2 n) - 2 f1 sinc(2 pi f1 n), with sinc(x) = sin(x) / x, cutoffs in
    # cycles a sample; numpy's sinc is sin(pi x) / (pi x).
    ideal = 2.0 * high * np.sinc(2.0 * high * n) - 2.0 * low * np.sinc(2.0 * low * n)
    return np.asarray(ideal * np.hamming(kernel))


def magnitudes(kernels: NDArray[np.float64], frequencies_hz: Hertz, sample_rate: int) -> NDArray[np.float64]:
    """Magnitude response of every filter.

    Parameters
    ----------
    kernels
        Shape ``(bands, kernel)``, symmetric, as :func:`sinc_kernels` gives them.
    frequencies_hz
        Where to evaluate, shape ``(frequencies,)``.

    Returns
    -------
    Shape ``(bands, frequencies)``; 1 is the passband of an ideal filter.
    """
    length = kernels.shape[1]
    n = np.arange(length) - (length - 1) / 2.0
    # A symmetric kernel's spectrum is real about its middle, so that a cosine sum is the whole of it.
    cosines = np.cos(2.0 * np.pi * np.outer(n, np.asarray(frequencies_hz) / sample_rate))
    return np.asarray(np.abs(kernels @ cosines))


def decibels(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnitudes in dB, not below −120."""
    return np.asarray(20.0 * np.log10(np.maximum(magnitude, 1e-6)))


def summed_response(kernels: NDArray[np.float64], frequencies_hz: Hertz, sample_rate: int) -> NDArray[np.float64]:
    """What all filters together let through: the sum of their :func:`magnitudes`, in dB, shape ``(frequencies,)``."""
    return decibels(magnitudes(kernels, frequencies_hz, sample_rate).sum(axis=0))


@dataclass(frozen=True, slots=True)
class FilterBank:
    """A bank before and after training, bands sorted by their learnt centre.

    Attributes
    ----------
    order
        ``order[rank]`` is the band's place in the model (and in the band energies).
    initial_low, initial_high, low, high
        Cutoffs in Hz, shape ``(bands,)``, by rank.
    frequencies
        Grid of the responses in Hz, equally spaced in mel, shape ``(frequencies,)``.
    initial_kernels, kernels
        Impulse responses before and after training, shape ``(bands, kernel)``, by rank.
    initial_magnitudes, magnitudes
        :func:`magnitudes` of these, shape ``(bands, frequencies)``.
    initial_response, response
        :func:`summed_response` before and after training, dB.
    """

    sample_rate: int
    order: NDArray[np.intp]
    initial_low: Hertz
    initial_high: Hertz
    low: Hertz
    high: Hertz
    frequencies: Hertz
    initial_kernels: NDArray[np.float64]
    kernels: NDArray[np.float64]
    initial_magnitudes: NDArray[np.float64]
    magnitudes: NDArray[np.float64]
    initial_response: NDArray[np.float64]
    response: NDArray[np.float64]

    @classmethod
    def from_cutoffs(
        cls,
        initial_low_hz: Hertz | Sequence[float],
        initial_high_hz: Hertz | Sequence[float],
        low_hz: Hertz | Sequence[float],
        high_hz: Hertz | Sequence[float],
        kernel: int,
        sample_rate: int,
        points: int = 480,
    ) -> FilterBank:
        """Sort the bands and compute the responses on `points` frequencies from 0 Hz to Nyquist."""
        columns = [np.asarray(c, dtype=np.float64) for c in (initial_low_hz, initial_high_hz, low_hz, high_hz)]
        if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1 or not len(columns[0]):
            raise ValueError(f"cutoffs must be four lists of one length, got shapes {[c.shape for c in columns]}")
        order = np.argsort(columns[2] + columns[3], kind="stable")
        initial_low, initial_high, low, high = (c[order] for c in columns)
        frequencies = hz_from_mel(np.linspace(0.0, float(mel_from_hz(sample_rate / 2.0)), points))
        kernels = sinc_kernels(np.append(initial_low, low), np.append(initial_high, high), kernel, sample_rate)
        # Together, because the cosines are what costs.
        both = magnitudes(kernels, frequencies, sample_rate)
        bands = len(order)
        return cls(
            sample_rate=sample_rate,
            order=order,
            initial_low=initial_low,
            initial_high=initial_high,
            low=low,
            high=high,
            frequencies=frequencies,
            initial_kernels=kernels[:bands],
            kernels=kernels[bands:],
            initial_magnitudes=both[:bands],
            magnitudes=both[bands:],
            initial_response=decibels(both[:bands].sum(axis=0)),
            response=decibels(both[bands:].sum(axis=0)),
        )

    @property
    def bands(self) -> int:
        """How many filters."""
        return len(self.order)

    @property
    def centre(self) -> Hertz:
        """Middle between the learnt cutoffs, by rank."""
        return (self.low + self.high) / 2.0

    @property
    def initial_centre(self) -> Hertz:
        """Middle between the initial cutoffs, by rank."""
        return (self.initial_low + self.initial_high) / 2.0

    @property
    def movement(self) -> Hertz:
        """By how many Hz the centre moved in training, by rank; positive is upwards."""
        return self.centre - self.initial_centre

    @property
    def bandwidth(self) -> Hertz:
        """Distance of the learnt cutoffs, by rank."""
        return self.high - self.low

    @property
    def initial_bandwidth(self) -> Hertz:
        """Distance of the initial cutoffs, by rank."""
        return self.initial_high - self.initial_low

    @property
    def milliseconds(self) -> NDArray[np.float64]:
        """Times of the taps of the kernels, 0 in their middle, shape ``(kernel,)``."""
        taps = self.kernels.shape[1]
        return np.asarray((np.arange(taps) - (taps - 1) / 2.0) * 1000.0 / self.sample_rate)

    def describe_movement(self) -> str:
        """How far the cutoffs moved, in the median and at most; short, for a panel's title."""
        moved = np.concatenate([np.abs(self.low - self.initial_low), np.abs(self.high - self.initial_high)])
        if moved.max() < 0.5:
            return "cutoffs as initialised"
        return f"moved: median {np.median(moved):,.0f} Hz, most {moved.max():,.0f} Hz"

    def describe_band(self, rank: int) -> str:
        """One line about a band: its cutoffs before and after training, and how far its centre moved."""
        return (
            f"band {self.order[rank]}: {self.initial_low[rank]:,.0f}–{self.initial_high[rank]:,.0f} Hz → "
            f"{self.low[rank]:,.0f}–{self.high[rank]:,.0f} Hz (centre {self.movement[rank]:+,.0f} Hz)"
        )
