"""The floors: what any network must beat before its size is worth anything.

* eGeMAPS functionals (88 values of a clip, openSMILE) with a support vector machine: radial basis functions, C 3, classes
  weighted by the inverse of their size, features standardised on the training clips.
* TF-IDF of words and word pairs with a logistic regression, with and without class weights.

Both give probabilities without changing their verdicts: a temperature divides the machine's decision values and the
regression's logarithms. It is fitted on validation clips, or on training clips whose speakers were left out in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.svm import SVC

from realtime_ser.errors import ConfigError
from realtime_ser.text import tokenize
from training.corpora import Clip
from training.metrics import fit_temperature, softmax
from training.systems.acoustic_features import EGEMAPS, Standardisation, features_of, standardised_by_speaker
from training.systems.base import Fold, Job

__all__ = ["EgemapsSvm", "TemperedSvm", "TfidfRegression", "words_and_pairs"]

Floats = NDArray[np.float64]

LEFT_OUT_PARTS = 3
"""Parts of the training clips that are left out in turn where no validation clip says how sure the machine may be."""


class TemperedSvm:
    """A support vector machine with radial basis functions and balanced classes, and a temperature for its decision values.

    Parameters
    ----------
    classes
        Number of classes, 0 … `classes` − 1; those without a training row get probability 0 (log: −inf is avoided by a floor).
    penalty
        C.
    weights
        What the standardised features are multiplied with, shape ``(width,)``; 1 unless given.
    """

    LEAST = 1e-6
    """Smallest probability of a class, before normalisation."""

    def __init__(self, classes: int, penalty: float, seed: int = 1, weights: Floats | None = None) -> None:
        self.classes, self.penalty, self.seed = classes, penalty, seed
        self.weights = 1.0 if weights is None else weights
        self.temperature = 1.0

    def _machine(self) -> SVC:
        return SVC(
            C=self.penalty, kernel="rbf", gamma="scale", class_weight="balanced", break_ties=True, random_state=self.seed
        )

    def fit(
        self,
        rows: Floats,
        labels: NDArray[np.int64],
        groups: Sequence[str],
        validation: tuple[Floats, NDArray[np.int64]] | None,
    ) -> TemperedSvm:
        """Learn from `rows` ``(n, width)``; fit the temperature on `validation`, or on `rows` with whole `groups` left out.

        Raises
        ------
        ConfigError
            Where the training rows have fewer than two classes.
        """
        if len(np.unique(labels)) < 2:
            raise ConfigError("A floor cannot be trained: its training clips have fewer than two classes.")
        self.standardisation = Standardisation(rows)
        self.machine = self._machine().fit(self.standardisation(rows) * self.weights, labels)
        if validation is None or not len(validation[1]):
            validation_scores, validation_labels = self._left_out(rows, labels, groups)
        else:
            validation_scores, validation_labels = self.scores(validation[0]), validation[1]
        known = np.isin(validation_labels, self.machine.classes_)
        if known.any():
            finite = np.where(np.isfinite(validation_scores), validation_scores, -1e3)
            self.temperature = fit_temperature(validation_labels[known], finite[known])
        return self

    def _left_out(self, rows: Floats, labels: NDArray[np.int64], groups: Sequence[str]) -> tuple[Floats, NDArray[np.int64]]:
        """Decision values for the training rows, each from a machine that has not seen its group."""
        parts = min(LEFT_OUT_PARTS, len(set(groups)))
        scores = np.full((len(rows), self.classes), np.nan)
        if parts >= 2:
            for train, test in GroupKFold(parts).split(rows, labels, groups):
                if len(np.unique(labels[train])) == len(np.unique(labels)):
                    scale = Standardisation(rows[train])
                    machine = self._machine().fit(scale(rows[train]) * self.weights, labels[train])
                    scores[test] = self._columns(machine, scale(rows[test]) * self.weights)
        filled = ~np.isnan(scores).any(axis=1)
        return scores[filled], labels[filled]

    def _columns(self, machine: SVC, rows: Floats) -> Floats:
        """Decision values by class number; −inf for a class that the machine does not know."""
        values = machine.decision_function(rows)
        if len(machine.classes_) == 2:
            values = np.stack([-values, values], axis=1)
        result = np.full((len(rows), self.classes), -np.inf)
        result[:, machine.classes_] = values
        return result

    def scores(self, rows: Floats) -> Floats:
        """Decision values (one against one, as votes with their margins), shape ``(n, classes)``."""
        return self._columns(self.machine, self.standardisation(rows) * self.weights)

    def log_probabilities(self, rows: Floats) -> Floats:
        """Logarithms of probabilities, shape ``(n, classes)``; the largest is where the machine's verdict is."""
        return _log(softmax(self.scores(rows), self.temperature), self.LEAST)


def _log(probabilities: Floats, least: float) -> Floats:
    kept = np.maximum(probabilities, least)
    return np.asarray(np.log(kept / kept.sum(axis=1, keepdims=True)), np.float64)


class EgemapsSvm:
    """eGeMAPS functionals and a support vector machine.

    Parameters
    ----------
    levels_equalised
        Whether every clip is scaled to one peak first, so that loudness of the recording says nothing.
    by_speaker
        Whether features are standardised within every speaker (training and test alike) before anything else.
    learns_from_validation
        Whether the validation clips train as well. Nothing is chosen on them, so the floor may have what it can get; the
        temperature is then fitted on clips that were left out in turn. Otherwise they set the temperature.
    penalty
        C.
    """

    audio = True
    text = False

    def __init__(
        self,
        levels_equalised: bool = False,
        by_speaker: bool = False,
        learns_from_validation: bool = True,
        penalty: float = 3.0,
    ) -> None:
        self.levels_equalised, self.by_speaker, self.penalty = levels_equalised, by_speaker, penalty
        self.learns_from_validation = learns_from_validation
        self.name = "eGeMAPS + SVM"
        self._details: dict[str, Any] = {}

    def fit(self, fold: Fold, job: Job) -> None:
        """Learn from the training clips and, unless told otherwise, from the validation clips; there may be none of these."""
        self._job = job
        train, validation = fold.train, None
        if self.learns_from_validation:
            train = (*fold.train, *fold.validation)
        elif fold.validation:
            validation = (self._rows(fold.validation), job.labels_of(fold.validation))
        self._machine = TemperedSvm(len(job.classes), self.penalty, job.seed)
        self._machine.fit(self._rows(train), job.labels_of(train), [clip.speaker for clip in train], validation)
        self._details = {
            "features": EGEMAPS.width,
            "levels_equalised": self.levels_equalised,
            "standardised_by_speaker": self.by_speaker,
            "learns_from_validation": self.learns_from_validation,
            "penalty": self.penalty,
            "support_vectors": int(self._machine.machine.n_support_.sum()),
            "temperature": self._machine.temperature,
        }

    def _rows(self, clips: Sequence[Clip]) -> Floats:
        parts = features_of(clips, EGEMAPS, self._job.cache, self.levels_equalised)
        rows = np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, EGEMAPS.width))
        return standardised_by_speaker(rows, [clip.speaker for clip in clips]) if self.by_speaker else rows

    def log_probabilities(self, clips: Sequence[Clip]) -> Floats:
        """Shape ``(clips, classes)``; with `by_speaker`, `clips` must be all that there are of their speakers."""
        if not clips:
            return np.zeros((0, len(self._job.classes)))
        return self._machine.log_probabilities(self._rows(clips))

    def details(self) -> dict[str, Any]:
        """Settings, support vectors and the temperature."""
        return dict(self._details)


class TfidfRegression:
    """TF-IDF of words and word pairs, and a logistic regression.

    Words that stand in one training text only are left out, counts are damped (1 + log), the regression's C is 2.

    Parameters
    ----------
    balanced
        Whether classes are weighted by the inverse of their size.
    """

    audio = False
    text = True

    def __init__(self, balanced: bool = True, penalty: float = 2.0) -> None:
        self.balanced, self.penalty = balanced, penalty
        self.name = f"TF-IDF + logistic regression ({'' if balanced else 'un'}balanced)"
        self._details: dict[str, Any] = {}

    def fit(self, fold: Fold, job: Job) -> None:
        """Learn from the training clips' words; the validation clips set the temperature."""
        self._classes = len(job.classes)
        labels = job.labels_of(fold.train)
        texts = [tokenize(clip.text) for clip in fold.train]
        if len(np.unique(labels)) < 2:
            raise ConfigError("A floor cannot be trained: its training clips have fewer than two classes.")
        if not any(texts):
            raise ConfigError("A floor that reads words cannot be trained: no training clip has a text.")
        # Where every word stands in one text only, they are all kept, or nothing would be left.
        for least in (2, 1):
            self._vectoriser = TfidfVectorizer(analyzer=words_and_pairs, sublinear_tf=True, min_df=least)
            try:
                rows = self._vectoriser.fit_transform(texts)
                break
            except ValueError:
                continue
        self._model = LogisticRegression(
            C=self.penalty, max_iter=1_000, class_weight="balanced" if self.balanced else None, random_state=job.seed
        ).fit(rows, labels)
        self._temperature = 1.0
        if fold.validation:
            self._temperature = fit_temperature(job.labels_of(fold.validation), self.log_probabilities(fold.validation))
        self._details = {
            "features": len(self._vectoriser.vocabulary_),
            "balanced": self.balanced,
            "penalty": self.penalty,
            "temperature": self._temperature,
        }

    def log_probabilities(self, clips: Sequence[Clip]) -> Floats:
        """Shape ``(clips, classes)``; a text without a known word gets what the regression says without evidence."""
        if not clips:
            return np.zeros((0, self._classes))
        probabilities = np.zeros((len(clips), self._classes))
        rows = self._vectoriser.transform([tokenize(clip.text) for clip in clips])
        probabilities[:, self._model.classes_] = self._model.predict_proba(rows)
        logarithms = _log(probabilities, TemperedSvm.LEAST)
        return _log(softmax(logarithms, self._temperature), TemperedSvm.LEAST)

    def details(self) -> dict[str, Any]:
        """Settings, number of words and pairs, and the temperature."""
        return dict(self._details)


def words_and_pairs(words: Sequence[str]) -> list[str]:
    """The `words` themselves, and every two that follow each other joined by a space."""
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]
