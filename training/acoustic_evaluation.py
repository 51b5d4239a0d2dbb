"""Utterance scores under the runtime's rule, and the figures that come of them.

The rule: the clip is one utterance; the running band mean starts cold; windows every 10 ms; those whose centre the detector
calls voiced count; their logits are averaged, divided by a temperature, and go through the softmax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.acoustic_data import label_of
from training.acoustic_network import AcousticNetwork
from training.features import ClipStore, band_energies, voiced_frames, voiced_windows
from training.metrics import (
    expected_calibration_error,
    selective,
    softmax,
    speaker_interval,
    unweighted_accuracy,
    weighted_accuracy,
)

__all__ = ["Scored", "figures_of", "score_clips"]


@dataclass(frozen=True)
class Scored:
    """Scores of utterances, before any temperature.

    Attributes
    ----------
    labels, speakers, corpora
        Of every utterance.
    logits
        Mean over the windows that count, float64 ``(n, classes)``; zeros, that is no preference, where none counts.
    windows
        Number of windows that count, ``(n,)``.
    window_logits, window_labels
        Every tenth window that counts, for the calibration of single windows.
    """

    labels: NDArray[np.int64]
    speakers: tuple[str, ...]
    corpora: tuple[str, ...]
    logits: NDArray[np.float64]
    windows: NDArray[np.int64]
    window_logits: NDArray[np.float32]
    window_labels: NDArray[np.int64]

    def only(self, corpus: str) -> Scored:
        """The utterances of one corpus; windows are not carried over."""
        keep = np.flatnonzero(np.array(self.corpora) == corpus)
        return Scored(
            self.labels[keep],
            tuple(self.speakers[index] for index in keep),
            tuple(self.corpora[index] for index in keep),
            self.logits[keep],
            self.windows[keep],
            self.window_logits[:0],
            self.window_labels[:0],
        )


def merge(parts: Sequence[Scored]) -> Scored:
    """All utterances of `parts`, in order."""
    return Scored(
        np.concatenate([part.labels for part in parts]),
        tuple(name for part in parts for name in part.speakers),
        tuple(name for part in parts for name in part.corpora),
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.window_logits for part in parts]),
        np.concatenate([part.window_labels for part in parts]),
    )


@torch.no_grad()
def score_clips(
    network: AcousticNetwork,
    store: ClipStore,
    members: Sequence[int],
    bands: Sequence[NDArray[np.floating]] | None = None,
    every: int = 1,
    peak: float | None = None,
    batch: int = 32,
    labels: Mapping[str, int] | None = None,
) -> Scored:
    """Score those `members` of `store` that have a label, in their order.

    Parameters
    ----------
    bands
        Cached energies; computed from the audio with the network's filters where not given.
    every
        Use every so many windows; 1 is the runtime's rule, more is a quick look.
    peak
        Scale every clip to this peak first, so that loudness cannot tell.
    labels
        Class numbers by :attr:`Clip.path`; without, the four classes (calm is none).
    """
    network.eval()
    shape = network.shape
    filters = network.bands.filters()
    device = filters.device
    if labels is None:
        classes = {index: label_of(store.clips[index]) for index in members}
    else:
        classes = {index: labels.get(store.clips[index].path) for index in members}
    wanted = [index for index in members if classes[index] is not None]
    # Clips of like length together, so that little is computed for nothing.
    chosen = sorted(wanted, key=lambda index: int(store.samples[index]))
    logits: dict[int, NDArray[np.float64]] = {}
    counts: dict[int, int] = {}
    window_logits, window_labels = [np.zeros((0, shape.classes), np.float32)], [np.zeros(0, np.int64)]
    for first in range(0, len(chosen), batch):
        part = chosen[first : first + batch]
        energies = []
        for index in part:
            if bands is not None and peak is None:
                energies.append(torch.from_numpy(np.asarray(bands[index], np.float32)))
                continue
            samples = store.audio_of(index)
            if peak is not None:
                samples = samples * np.float32(peak / max(float(np.abs(samples).max()), 1e-6))
            energies.append(torch.from_numpy(band_energies(samples, filters.cpu(), shape)))
        longest = max(shape.window_bands, max(len(energy) for energy in energies))
        padded = torch.stack([torch.nn.functional.pad(energy, (0, 0, 0, longest - len(energy))) for energy in energies])
        flags = np.zeros((len(part), longest), bool)
        for row, index in enumerate(part):
            flags[row, : len(energies[row])] = voiced_frames(store.probabilities_of(index), len(energies[row]), shape)
        frames = network.trunk(network.normaliser(padded.to(device), torch.from_numpy(flags).to(device))[0])
        for row, index in enumerate(part):
            windows = voiced_windows(store.probabilities_of(index), shape.window_count(int(store.samples[index])), shape)
            starts = torch.from_numpy(np.flatnonzero(windows)[::every]).to(device)
            counts[index] = len(starts)
            logits[index] = np.zeros(shape.classes)
            if not len(starts):
                continue
            outcome = network.head(network.windows(frames[row : row + 1], starts[None]))[1].cpu().numpy()
            logits[index] = outcome.mean(axis=0, dtype=np.float64)
            window_logits.append(outcome[::10])
            window_labels.append(np.full(len(outcome[::10]), classes[index], np.int64))
    return Scored(
        np.array([classes[index] for index in wanted], np.int64),
        tuple(store.clips[index].speaker for index in wanted),
        tuple(store.clips[index].corpus for index in wanted),
        np.array([logits[index] for index in wanted]).reshape(-1, shape.classes),
        np.array([counts[index] for index in wanted], np.int64),
        np.concatenate(window_logits),
        np.concatenate(window_labels),
    )


def figures_of(
    scored: Scored, temperature: float, threshold: float, data: str, protocol: str, date: str, hardware: str
) -> list[dict[str, Any]]:
    """UA, WA, calibration error, coverage and accuracy beyond the threshold, as the bundle's card wants them."""
    probabilities = softmax(scored.logits, temperature)
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    labels = scored.labels

    def accuracy_beyond(rows: NDArray[np.int64]) -> float:
        # A bootstrap sample in which nothing is confident enough says nothing: accuracy 0 keeps the interval honest.
        return float(np.nan_to_num(selective(labels[rows], probabilities[rows], threshold)[1]))

    table = {
        "UA": lambda rows: unweighted_accuracy(labels[rows], predicted[rows]),
        "WA": lambda rows: weighted_accuracy(labels[rows], predicted[rows]),
        "ECE": lambda rows: expected_calibration_error(labels[rows], probabilities[rows]),
        "coverage at the threshold": lambda rows: selective(labels[rows], probabilities[rows], threshold)[0],
        "accuracy when confident": accuracy_beyond,
    }
    everyone = np.arange(len(labels))
    figures = []
    for name, figure in table.items():
        low, high = speaker_interval(figure, scored.speakers)
        figures.append(
            {
                "name": f"acoustic {name}",
                "value": round(figure(everyone), 4),
                "interval": [round(low, 4), round(high, 4)],
                "data": data,
                "protocol": protocol,
                "date": date,
                "hardware": hardware,
            }
        )
    return figures
