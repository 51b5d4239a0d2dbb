"""Figures of merit of classified utterances, with intervals that respect speakers.

Everywhere: `labels` int64 ``(n,)``; `probabilities` float ``(n, classes)``, rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "accuracy_at_coverage",
    "confusion_matrix",
    "coverage_curve",
    "expected_calibration_error",
    "fit_temperature",
    "fold_interval",
    "selective",
    "softmax",
    "speaker_interval",
    "threshold_for_risk",
    "unweighted_accuracy",
    "weighted_accuracy",
    "weighted_f1",
]

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]


def softmax(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax over the last axis of `logits` / `temperature`."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return scaled / scaled.sum(axis=-1, keepdims=True)


def weighted_accuracy(labels: Labels, predicted: Labels) -> float:
    """WA: share of utterances that are right."""
    return float(np.mean(labels == predicted))


def unweighted_accuracy(labels: Labels, predicted: Labels) -> float:
    """UA: mean over the classes present of the share that is right."""
    return float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))


def weighted_f1(labels: Labels, predicted: Labels) -> float:
    """F1 of every class present, each weighing as many utterances as it has."""
    total = 0.0
    for label in np.unique(labels):
        hits = int(np.sum((labels == label) & (predicted == label)))
        given, said = int(np.sum(labels == label)), int(np.sum(predicted == label))
        total += given * 2 * hits / (given + said)
    return total / len(labels)


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Counts, shape ``(classes, classes)``: rows are what an utterance is, columns what it was called."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def fold_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of `values`, one per fold, by Student's t; ``nan`` with fewer than two.

    Folds share most of their training data, so that their figures are not independent: the interval is rather too narrow.
    """
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean - half, mean + half


def speaker_interval(
    figure: Callable[[NDArray[np.int64]], float], speakers: Sequence[str], draws: int = 1_000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of `figure` over bootstrap samples of whole speakers.

    Parameters
    ----------
    figure
        Maps indices of utterances (with repetitions) to the figure.
    speakers
        Speaker of every utterance.
    """
    names, number = np.unique(np.asarray(speakers), return_inverse=True)
    members = [np.flatnonzero(number == index) for index in range(len(names))]
    random = np.random.default_rng(seed)
    values = [
        figure(np.concatenate([members[index] for index in random.integers(0, len(names), len(names))])) for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def expected_calibration_error(labels: Labels, probabilities: Floats, bins: int = 10) -> float:
    """ECE: mean distance between confidence and accuracy over `bins` equally filled bins of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    return float(
        sum(len(part) * abs(confidence[part].mean() - right[part].mean()) for part in np.array_split(order, bins) if len(part))
        / len(labels)
    )


def fit_temperature(labels: Labels, logits: Floats, weights: Floats | None = None) -> float:
    """Temperature in [0.05, 20] that minimises the (weighted) cross-entropy of `logits` / temperature."""
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)

    def loss(temperature: float) -> float:
        chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
        return float(np.average(-np.log(chosen + 1e-12), weights=weights))

    grid = np.geomspace(0.05, 20, 61)
    for _ in range(3):
        best = int(np.argmin([loss(value) for value in grid]))
        grid = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 21)
    return float(grid[int(np.argmin([loss(value) for value in grid]))])


def selective(labels: Labels, probabilities: Floats, threshold: float) -> tuple[float, float]:
    """Coverage, and accuracy among the covered (``nan`` without any), when confidences below `threshold` abstain."""
    covered = probabilities.max(axis=1) >= threshold
    right = probabilities.argmax(axis=1) == labels
    return float(covered.mean()), float(right[covered].mean()) if covered.any() else float("nan")


def coverage_curve(labels: Labels, probabilities: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy among the most confident utterances, for every share of them.

    Returns
    -------
    coverage, accuracy
        Both of shape ``(n,)``: k / n for k = 1 … n, and the share that is right among the k most confident. Of equally
        confident utterances each counts as right by their mean, since nothing says which comes first.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    _, tied = np.unique(-confidence, return_inverse=True)
    mean = np.bincount(tied, right) / np.bincount(tied)
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(mean[tied][order]) / count


def accuracy_at_coverage(labels: Labels, probabilities: Floats, coverage: float = 0.5) -> float:
    """Accuracy on the share `coverage` in (0, 1] of utterances that is most confident (at least one utterance)."""
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must be in (0, 1], got {coverage}")
    _, accuracy = coverage_curve(labels, probabilities)
    return float(accuracy[max(0, round(coverage * len(accuracy)) - 1)])


def threshold_for_risk(labels: Labels, probabilities: Floats, risk: float, weights: Floats | None = None) -> float:
    """Smallest confidence threshold at which the (weighted) share of errors among the confident is at most `risk`.

    At least 30 utterances must stay confident; returns 1.0, that is to abstain always, where no threshold keeps the risk.
    """
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = (probabilities.argmax(axis=1) != labels)[order] * weights[order]
    error = np.cumsum(wrong) / np.cumsum(weights[order])
    kept = np.flatnonzero((error <= risk) & (np.arange(len(order)) >= min(29, len(order) - 1)))
    return float(confidence[order[kept[-1]]]) if len(kept) else 1.0
