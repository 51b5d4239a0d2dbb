"""What a compared system is: it learns from a fold's training clips, chooses on its validation clips, and scores any clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from training.corpora import Clip

__all__ = ["Fold", "Job", "ProtocolName", "System"]

ProtocolName = Literal["paper", "speaker"]
"""``paper``: random tenths, 8:1:1; ``speaker``: nobody is heard in two parts (IEMOCAP: no session is in two parts)."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One division of a corpus; every clip of the three parts has one of the job's classes.

    Attributes
    ----------
    number
        Counted from 1.
    train, validation, test
        The parts.
    auxiliary
        Clips of the training speakers that have another label: a system may learn from them, too.
    """

    number: int
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    auxiliary: tuple[Clip, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """All that a system must know beside the fold.

    Attributes
    ----------
    classes
        Names of the classes, in the order of the scores' columns.
    labels
        Class number of a clip by :attr:`Clip.path`.
    protocol
        Decides the recipe where the paper's and the honest one differ.
    out
        Folder of this system and fold: checkpoints, settings; training goes on from what lies there.
    cache
        Decoded audio, functionals and the like, shared by systems and folds.
    seed
        Of everything random.
    quick
        Few steps: to see that all works, not to measure.
    everyone
        All clips of the corpora, of any label: what is worth decoding once for all folds. Not to be learnt from.
    data
        Folder with background sound for training, where there is any.
    pretrained
        Checkpoint of an acoustic network that has learnt to hear from other corpora, from which to start.
    """

    classes: tuple[str, ...]
    labels: dict[str, int]
    protocol: ProtocolName
    out: Path
    cache: Path
    seed: int = 1
    quick: bool = False
    everyone: tuple[Clip, ...] = ()
    data: Path = Path()
    pretrained: Path | None = None

    def labels_of(self, clips: Sequence[Clip]) -> NDArray[np.int64]:
        """Class numbers of `clips`, shape ``(clips,)``."""
        return np.array([self.labels[clip.path] for clip in clips], np.int64)


class System(Protocol):
    """A way to name the emotion of clips; one object for one fold."""

    name: str
    """As the report calls it."""
    audio: bool
    """Whether it hears the clips."""
    text: bool
    """Whether it reads their words."""

    def fit(self, fold: Fold, job: Job) -> None:
        """Learn from ``fold.train``, choose on ``fold.validation``; ``fold.test`` is not looked at."""

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Logarithms of the classes' probabilities, shape ``(clips, classes)``; after :meth:`fit`."""

    def details(self) -> dict[str, Any]:
        """What else the report should know, fit for JSON: parameters, speed, cutoffs and how far they moved."""
