"""Figures of merit against their closed forms and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("sklearn", reason="install the 'training' extra")
from scipy import stats
from sklearn.metrics import confusion_matrix as reference_confusion
from sklearn.metrics import f1_score

from training.metrics import (
    accuracy_at_coverage,
    confusion_matrix,
    coverage_curve,
    fold_interval,
    selective,
    softmax,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)

pairs = some.lists(some.tuples(some.integers(0, 3), some.integers(0, 3)), min_size=1, max_size=60)


@given(pairs)
def test_f1_and_confusions_as_scikit_learn_has_them(drawn: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column) for column in zip(*drawn, strict=True))
    expected = f1_score(labels, predicted, average="weighted", labels=np.unique(labels), zero_division=0)
    assert weighted_f1(labels, predicted) == pytest.approx(expected)
    matrix = confusion_matrix(labels, predicted, 4)
    np.testing.assert_array_equal(matrix, reference_confusion(labels, predicted, labels=range(4)))
    assert np.trace(matrix) / matrix.sum() == pytest.approx(weighted_accuracy(labels, predicted))
    present = matrix.sum(axis=1) > 0
    recalls = np.diag(matrix)[present] / matrix.sum(axis=1)[present]
    assert recalls.mean() == pytest.approx(unweighted_accuracy(labels, predicted))


@given(some.lists(some.floats(0, 1), min_size=2, max_size=12))
def test_interval_over_folds_is_students(values: list[float]) -> None:
    low, high = fold_interval(values)
    mean, error = np.mean(values), stats.sem(values)
    assert (low + high) / 2 == pytest.approx(mean)
    assert high - low == pytest.approx(2 * stats.t.isf(0.025, len(values) - 1) * error, abs=1e-12)


def test_one_fold_has_no_interval() -> None:
    assert all(math.isnan(bound) for bound in fold_interval([0.5]))


def scores(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    return labels, softmax(2 * np.eye(4)[labels] + 1.5 * generator.normal(size=(count, 4)))


@given(some.integers(0, 50))
def test_coverage_curve_agrees_with_thresholds(seed: int) -> None:
    labels, probabilities = scores(seed)
    coverage, accuracy = coverage_curve(labels, probabilities)
    assert coverage[-1] == 1
    assert accuracy[-1] == pytest.approx(weighted_accuracy(labels, probabilities.argmax(axis=1)))
    for threshold in (0.4, 0.6, 0.8):
        covered, right = selective(labels, probabilities, threshold)
        if covered:
            assert accuracy[round(covered * len(labels)) - 1] == pytest.approx(right)
            assert accuracy_at_coverage(labels, probabilities, covered) == pytest.approx(right)


def test_who_knows_when_to_be_sure_is_right_when_sure() -> None:
    labels, probabilities = scores(1)
    assert accuracy_at_coverage(labels, probabilities, 0.5) > accuracy_at_coverage(labels, probabilities, 1.0) + 0.05
    with pytest.raises(ValueError, match="coverage"):
        accuracy_at_coverage(labels, probabilities, 0.0)


def test_the_order_of_equally_confident_utterances_does_not_matter() -> None:
    probabilities = np.full((8, 2), 0.5)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    for order in (np.arange(8), np.arange(8)[::-1]):
        _, accuracy = coverage_curve(labels[order], probabilities)
        np.testing.assert_allclose(accuracy, 0.5)
