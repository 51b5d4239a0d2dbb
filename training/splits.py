"""Which speakers train, which choose, and which are looked at once at the end. No speaker is ever in two parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from training.corpora import Clip

__all__ = ["BUNDLE_TEST", "BUNDLE_VALIDATION", "Split", "check_disjoint", "split_by_speaker", "telling_sentences"]

BUNDLE_VALIDATION = frozenset(
    {
        *(f"RAVDESS_{actor:02}" for actor in range(17, 21)),
        *("EMODB_11", "EMODB_14", "nEMO_KD0", "nEMO_TP0", "ASED_01", "ASED_06"),
    }
)
"""Speakers on whom the default bundle's training is stopped and calibrated: as many women as men of every corpus."""

BUNDLE_TEST = frozenset(
    {
        *(f"RAVDESS_{actor:02}" for actor in range(21, 25)),
        *("EMODB_15", "EMODB_16", "nEMO_MK0", "nEMO_WR0", "ASED_13", "ASED_39"),
    }
)
"""Speakers held out for the default bundle's figures: as many women as men of every corpus."""


@dataclass(frozen=True, slots=True)
class Split:
    """Three sets of clips without a common speaker."""

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]


def check_disjoint(parts: Mapping[str, Sequence[Clip]]) -> None:
    """Raise :class:`ValueError`, naming them, where speakers appear in more than one of `parts`."""
    home: dict[str, str] = {}
    shared: set[str] = set()
    for name, clips in parts.items():
        for speaker in {clip.speaker for clip in clips}:
            if home.setdefault(speaker, name) != name:
                shared.add(speaker)
    if shared:
        raise ValueError(f"speakers must belong to one part only, these are in several: {', '.join(sorted(shared))}")


def split_by_speaker(clips: Iterable[Clip], validation: frozenset[str], test: frozenset[str]) -> Split:
    """Part `clips` by the speakers named in `validation` and `test`; all others train.

    Raises
    ------
    ValueError
        Where a speaker is named for both, where a named speaker has no clip, or where a part would be empty.
    """
    clips = tuple(clips)
    if validation & test:
        raise ValueError(f"speakers named for validation and for test: {', '.join(sorted(validation & test))}")
    unknown = (validation | test) - {clip.speaker for clip in clips}
    if unknown:
        raise ValueError(f"speakers without a clip: {', '.join(sorted(unknown))}")
    split = Split(
        train=tuple(clip for clip in clips if clip.speaker not in validation | test),
        validation=tuple(clip for clip in clips if clip.speaker in validation),
        test=tuple(clip for clip in clips if clip.speaker in test),
    )
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    for name, part in parts.items():
        if not part:
            raise ValueError(f"the {name} part has no clip")
    check_disjoint(parts)
    return split


def telling_sentences(clips: Iterable[Clip]) -> frozenset[str]:
    """Sentences that were spoken in one of the four classes only, so that to know the sentence is to know the label."""
    classes: dict[str, set[str]] = {}
    for clip in clips:
        if clip.emotion4 and clip.sentence:
            classes.setdefault(clip.sentence, set()).add(clip.emotion4)
    return frozenset(sentence for sentence, found in classes.items() if len(found) == 1)
