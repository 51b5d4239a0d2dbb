"""``python -m training floors``: what eGeMAPS + SVM and TF-IDF + logistic regression reach, within a corpus or across corpora.

Within: every group of speakers is tested once by a floor that learnt from all the others. Across: learnt from all clips of some
corpora, tested on all clips of others. Figures are printed with 95 % intervals from bootstrap samples of whole speakers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import ConfigError
from training.corpora import FOUR_CLASSES, Clip, data_directory, load_clips
from training.folds import corpus_folds, speaker_folds
from training.metrics import expected_calibration_error, speaker_interval, unweighted_accuracy, weighted_accuracy
from training.systems.base import Fold, Job, System
from training.systems.floors import EgemapsSvm, TfidfRegression

__all__ = ["FloorFigures", "add_arguments", "labelled", "measure", "run"]

CALM = "calm"


@dataclass(frozen=True, slots=True)
class FloorFigures:
    """What a floor reached.

    Attributes
    ----------
    unweighted
        UA over all tested clips together.
    interval
        95 % interval of it, over speakers.
    fold_mean
        Mean over folds of the UA of each; as `unweighted` where there is one fold.
    weighted
        WA over all tested clips.
    calibration_error
        ECE of the confidence.
    clips, speakers
        How many were tested.
    """

    unweighted: float
    interval: tuple[float, float]
    fold_mean: float
    weighted: float
    calibration_error: float
    clips: int
    speakers: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"UA {self.unweighted:.3f} (95 % {low:.3f} to {high:.3f}), mean over folds {self.fold_mean:.3f},"
            f" WA {self.weighted:.3f}, ECE {self.calibration_error:.3f}; {self.clips} clips of {self.speakers} speakers"
        )


def labelled(clips: Sequence[Clip], classes: str) -> tuple[tuple[Clip, ...], tuple[str, ...], dict[str, int]]:
    """The clips that have a class, the classes' names, and the class number of every clip by its path.

    Parameters
    ----------
    classes
        ``four``: the paper's four; ``calm``: the same with calm as neutral; ``all``: the corpora's own labels.
    """
    if classes == "all":
        names = tuple(sorted({clip.emotion for clip in clips}))
        return tuple(clips), names, {clip.path: names.index(clip.emotion) for clip in clips}
    known = {
        clip.path: FOUR_CLASSES.index(clip.emotion4 or "neutral")
        for clip in clips
        if clip.emotion4 or (classes == CALM and clip.emotion == CALM)
    }
    return tuple(clip for clip in clips if clip.path in known), FOUR_CLASSES, known


def measure(make: Callable[[], System], folds: Sequence[Fold], job: Job) -> FloorFigures:
    """Train one system per fold and put what they say about their test clips together."""
    labels: list[NDArray[np.int64]] = []
    probabilities: list[NDArray[np.float64]] = []
    speakers: list[str] = []
    for fold in folds:
        system = make()
        system.fit(fold, job)
        labels.append(job.labels_of(fold.test))
        probabilities.append(np.exp(system.log_probabilities(fold.test)))
        speakers += [clip.speaker for clip in fold.test]
    every, likely = np.concatenate(labels), np.concatenate(probabilities)
    said = likely.argmax(axis=1)
    return FloorFigures(
        unweighted=unweighted_accuracy(every, said),
        interval=speaker_interval(lambda index: unweighted_accuracy(every[index], said[index]), speakers),
        fold_mean=float(
            np.mean([unweighted_accuracy(one, part.argmax(axis=1)) for one, part in zip(labels, probabilities, strict=True)])
        ),
        weighted=weighted_accuracy(every, said),
        calibration_error=expected_calibration_error(every, likely),
        clips=len(every),
        speakers=len(set(speakers)),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``floors``."""
    parser.add_argument("--train", nargs="+", required=True, metavar="CORPUS", help="corpora to learn from")
    parser.add_argument(
        "--test", nargs="+", default=[], metavar="CORPUS", help="corpora to test on (default: those of --train, by speakers)"
    )
    parser.add_argument(
        "--classes",
        choices=("four", CALM, "all"),
        default="four",
        help="the paper's four, the same with calm as neutral, or the corpora's own labels (default: four)",
    )
    parser.add_argument("--text", action="store_true", help="TF-IDF of the words instead of eGeMAPS")
    parser.add_argument("--levels-equalised", action="store_true", help="scale every clip to one peak first")
    parser.add_argument("--by-speaker", action="store_true", help="standardise features within every speaker")
    parser.add_argument("--folds", type=int, help="groups of speakers within a corpus (RAVDESS: 6, others: by their number)")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="folder for features (default: runs/cache)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.text and (args.levels_equalised or args.by_speaker):
        raise ConfigError("Words have no level and no voice.", "Leave out --levels-equalised and --by-speaker with --text.")
    wanted = [*args.train, *args.test]
    clips, classes, labels = labelled(load_clips(data_directory(args.data), wanted), args.classes)
    folds = corpus_folds(clips, args.train, args.test) if args.test else speaker_folds(clips, args.folds)
    job = Job(classes=classes, labels=labels, protocol="speaker", out=args.cache, cache=args.cache)
    makers: list[Callable[[], System]] = (
        [lambda: TfidfRegression(balanced=True), lambda: TfidfRegression(balanced=False)]
        if args.text
        else [lambda: EgemapsSvm(args.levels_equalised, args.by_speaker)]
    )
    where = f"{', '.join(args.train)}, {len(folds)} folds by speaker"
    if args.test:
        where = f"trained on {', '.join(args.train)}, tested on {', '.join(args.test)}"
    forms = ", levels equalised" * args.levels_equalised + ", standardised by speaker" * args.by_speaker
    for make in makers:
        print(f"{make().name}{forms}: {where}; {len(classes)} classes\n  {measure(make, folds, job)}", flush=True)
    return 0
