"""What a network learns to hear from other corpora before a corpus of few speakers teaches it the task.

Emotions are acted differently everywhere: the same word means another voice in another corpus, and labels thrown together teach
less than each of them alone. So every corpus keeps its labels to itself: a clip is compared with the classes of its own corpus
only, and what the corpora share is the way to the 2048-D feature. The classifiers are thrown away afterwards.

No corpus that is tested takes part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from realtime_ser.errors import ConfigError
from training.acoustic import SECOND_PHASE, AcousticData, AcousticSettings, AcousticTraining
from training.acoustic_data import AugmentationSettings
from training.corpora import Clip, load_clips
from training.folds import validating_speakers
from training.loop import write_atomically

__all__ = ["PRETRAINING", "pretrain", "pretraining_data"]

PRETRAINING = AcousticSettings(
    augmentation=AugmentationSettings(
        speed=(0.87, 1.15),
        warp_share=0.5,
        warp=(0.88, 1.14),
        channel=0.2,
        gain_db=(-20.0, 6.0),
        noise_share=0.1,
        mask_share=0.33,
    ),
    frozen_steps=2_400,
    joint_steps=0,
    validate_every=600,
)
"""How long and how: the filters stay where they are, and voices are changed more than where the task itself is learnt."""


def pretraining_data(clips: Sequence[Clip]) -> AcousticData:
    """Every label of every corpus as a class of its own; about one speaker in six validates.

    Raises
    ------
    ConfigError
        Where a corpus has one speaker only.
    """
    labelled = [clip for clip in clips if clip.emotion]
    corpora = sorted({clip.corpus for clip in labelled})
    classes: list[str] = []
    apart: dict[str, tuple[int, int]] = {}
    for name in corpora:
        own = sorted({clip.emotion for clip in labelled if clip.corpus == name})
        apart[name] = (len(classes), len(classes) + len(own))
        classes += [f"{name}: {emotion}" for emotion in own]
    numbers = {name: number for number, name in enumerate(classes)}
    labels = {clip.path: numbers[f"{clip.corpus}: {clip.emotion}"] for clip in labelled}
    validating = validating_speakers(labelled)
    train = tuple(clip for clip in labelled if clip.speaker not in validating)
    validation = tuple(clip for clip in labelled if clip.speaker in validating)
    return AcousticData(train, validation, labels, tuple(classes), apart=apart)


def pretrain(
    corpora: Sequence[str],
    tested: Collection[Clip],
    data: Path,
    cache: Path,
    settings: AcousticSettings = PRETRAINING,
    seed: int = 1,
) -> Path:
    """Train on `corpora`, or take what was trained before; the checkpoint for :meth:`AcousticTraining.start_from`.

    Parameters
    ----------
    tested
        Clips of the corpora that will be divided into training, validation and test.
    data
        Data folder.
    cache
        Decoded audio and energies; the result lies there too, named by all that decides it.

    Raises
    ------
    ConfigError
        Where a corpus is among those tested or is not in the data folder.
    """
    clips = load_clips(data, corpora)
    both = {clip.corpus for clip in clips} & {clip.corpus for clip in tested}
    if both:
        raise ConfigError(f"{', '.join(sorted(both))} cannot be learnt from beforehand and be tested.", "Name other corpora.")
    settings = replace(settings, seed=seed)
    used = {name: value for name, value in asdict(settings).items() if name not in SECOND_PHASE}
    key = json.dumps([used, [[clip.path, clip.emotion] for clip in clips]])
    out = cache / f"pretrained-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    result = out / "pretrained.pt"
    # Not the loop's checkpoint, for which everything would have to be opened to see that nothing is left to do.
    if not result.is_file():
        training = AcousticTraining(settings, pretraining_data(clips), data, out, cache)
        training.phase("frozen", settings.frozen_steps, frozen=True)
        write_atomically(result, lambda part: torch.save({"best": training.network.state_dict()}, part))
    return result
