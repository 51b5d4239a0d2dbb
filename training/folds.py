"""How a corpus is divided into folds, and the proof that nothing heard in training is tested.

Two protocols. ``paper``: the published one (Priyasad et al., ICASSP 2020), ten folds, 8:1:1, drawn by utterance, so that every
speaker is in every part. ``speaker``: nobody is heard in two parts; where a corpus was recorded in sessions (IEMOCAP), no
session is in two parts either. A third division trains on some corpora and tests on another.

Every function is deterministic, and what it returns has passed :func:`check_folds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from realtime_ser.errors import ConfigError
from training.corpora import Clip
from training.splits import check_disjoint
from training.systems.base import Fold, ProtocolName

__all__ = [
    "MOST_SPEAKER_FOLDS",
    "check_folds",
    "corpus_folds",
    "describe_folds",
    "divide",
    "each_corpus_left_out",
    "genders",
    "paper_folds",
    "session_folds",
    "speaker_folds",
    "speaker_groups",
    "validating_speakers",
    "with_auxiliary",
]

MOST_SPEAKER_FOLDS = 10
"""A corpus of many speakers is tested in so many folds; there, more than two speakers share a fold."""

RAVDESS_GROUP = 4
"""Actors of a RAVDESS fold: 1–4, 5–8, …, 21–24, two women and two men each, as published comparisons have it."""

FEWEST_PAIRED_GROUPS = 5
"""With fewer groups than these, pairs of speakers would leave too little to learn from: then every fold tests one speaker."""


def paper_folds(clips: Sequence[Clip], folds: int = 10, seed: int = 1) -> list[Fold]:
    """Random parts of equal size by utterance; one tests, the next validates, the others train (8:1:1 with ten).

    Raises
    ------
    ConfigError
        Where there are fewer than three folds, or fewer clips than folds.
    """
    if folds < 3:
        raise ConfigError(f"{folds} folds cannot be parted into training, validation and test.", "Ask for three or more.")
    if len(clips) < folds:
        raise ConfigError(f"{len(clips)} clips do not suffice for {folds} folds.")
    order = np.random.default_rng(seed).permutation(len(clips))
    ordered = sorted(clips, key=lambda clip: clip.path)
    groups = [[ordered[index] for index in order[first::folds]] for first in range(folds)]
    return _rotate(groups, "paper")


def speaker_folds(clips: Sequence[Clip], folds: int | None = None) -> list[Fold]:
    """Groups of speakers as of :func:`speaker_groups`; one tests, the next validates, the others train."""
    groups = speaker_groups(clips, folds)
    return _rotate([[clip for clip in clips if clip.speaker in group] for group in groups], "speaker")


def session_folds(clips: Sequence[Clip]) -> list[Fold]:
    """Leave one session out: it tests, the next one validates, the others train (IEMOCAP: five folds of two speakers).

    Raises
    ------
    ConfigError
        Where there are fewer than three sessions.
    """
    sessions = sorted({clip.session for clip in clips})
    if len(sessions) < 3:
        raise ConfigError(f"Sessions to divide: {', '.join(sessions)}; at least three are needed.")
    return _rotate([[clip for clip in clips if clip.session == session] for session in sessions], "speaker")


def corpus_folds(clips: Sequence[Clip], train: Sequence[str], test: Sequence[str]) -> list[Fold]:
    """One fold: learn from the corpora `train`, choose on held-out speakers of each of them, test on all of `test`.

    Who validates is said by :func:`validating_speakers`.

    Raises
    ------
    ConfigError
        Where a corpus is on both sides, has no clip, or has only one speaker to learn from.
    """
    both = sorted(set(train) & set(test))
    if both:
        raise ConfigError(f"{', '.join(both)} cannot train and be tested in one protocol.", "Name it with --train or --test.")
    missing = sorted({*train, *test} - {clip.corpus for clip in clips})
    if missing:
        raise ConfigError(f"No clip of {', '.join(missing)} has one of the classes.")
    held_out = validating_speakers([clip for clip in clips if clip.corpus in train])
    fold = Fold(
        number=1,
        train=tuple(clip for clip in clips if clip.corpus in train and clip.speaker not in held_out),
        validation=tuple(clip for clip in clips if clip.corpus in train and clip.speaker in held_out),
        test=tuple(clip for clip in clips if clip.corpus in test),
    )
    check_folds([fold], "speaker")
    return [fold]


def each_corpus_left_out(clips: Sequence[Clip]) -> list[Fold]:
    """A fold for every corpus, which is tested after the others have trained; see :func:`corpus_folds`."""
    corpora = list(dict.fromkeys(clip.corpus for clip in clips))
    if len(corpora) < 2:
        raise ConfigError("One corpus alone cannot be left out.", "Name several with --corpus.")
    folds = []
    for number, name in enumerate(corpora, 1):
        (fold,) = corpus_folds(clips, [other for other in corpora if other != name], [name])
        folds.append(replace(fold, number=number))
    check_folds(folds, "speaker")
    return folds


def validating_speakers(clips: Sequence[Clip]) -> set[str]:
    """Speakers who validate where whole corpora train: about one in six of each, at least one.

    As many women as men where that is known; whole sessions where a corpus has them.

    Raises
    ------
    ConfigError
        Where a corpus has only one speaker.
    """
    held_out: set[str] = set()
    for name in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == name]
        sessions = sorted({clip.session for clip in own})
        if "" not in sessions and len(sessions) > 1:
            last = sessions[-max(1, round(len(sessions) / 6)) :]
            held_out.update(clip.speaker for clip in own if clip.session in last)
            continue
        women, men, unknown = _by_gender(own)
        speakers = [speaker for some in zip_longest(women, men, unknown) for speaker in some if speaker is not None]
        if len(speakers) < 2:
            raise ConfigError(f"{name} has one speaker only: nobody is left to validate on.")
        count = max(1, round(len(speakers) / 6))
        if count > 1 and count % 2 and women and men:
            count += 1
        # The last ones, so that the first speakers, whom many published splits test, go on training.
        held_out.update(speakers[-min(count, len(speakers) - 1) :])
    return held_out


def divide(clips: Sequence[Clip], protocol: ProtocolName, folds: int | None = None, seed: int = 1) -> list[Fold]:
    """Folds of one corpus under `protocol`; by sessions where its clips have sessions and nothing else is asked for."""
    if protocol == "paper":
        return paper_folds(clips, folds or 10, seed)
    if folds is None and all(clip.session for clip in clips):
        return session_folds(clips)
    return speaker_folds(clips, folds)


def with_auxiliary(folds: Sequence[Fold], others: Sequence[Clip]) -> list[Fold]:
    """`folds` with those of `others`, clips of other labels, whose speaker and session train there."""
    result = []
    for fold in folds:
        apart = (*fold.validation, *fold.test)
        speakers = {clip.speaker for clip in fold.train} - {clip.speaker for clip in apart}
        sessions = {clip.session for clip in apart if clip.session}
        chosen = tuple(clip for clip in others if clip.speaker in speakers and clip.session not in sessions)
        result.append(replace(fold, auxiliary=chosen))
    return result


def describe_folds(folds: Sequence[Fold], protocol: ProtocolName) -> str:
    """One sentence that says how the folds came about."""
    tested = [clip for fold in folds for clip in fold.test]
    shares = {len({clip.speaker for clip in fold.test}) for fold in folds}
    count = f"{len(folds)} fold{'s' if len(folds) > 1 else ''}"
    people = "–".join(str(number) for number in sorted({min(shares), max(shares)}))
    if protocol == "paper":
        return (
            f"{count}, drawn by utterance; one part tests, the next validates, the others train."
            " Every speaker is in every part: the figures do not say how strangers are recognised."
        )
    if not any(
        {clip.corpus for clip in fold.test} & {clip.corpus for clip in (*fold.train, *fold.validation)} for fold in folds
    ):
        if len(folds) > 1:
            return f"{count}: one corpus tests, the others train and, with held-out speakers, validate."
        return "Other corpora train and, with held-out speakers, validate; all of the tested corpora is test."
    if all(clip.session for clip in tested) and all(len({clip.session for clip in fold.test}) == 1 for fold in folds):
        return f"{count}: one session tests, the next validates, the others train. No speaker and no session is in two parts."
    return f"{count} of {people} test speakers; the next group validates, the others train. No speaker is in two parts."


def speaker_groups(clips: Sequence[Clip], folds: int | None = None) -> list[list[str]]:
    """Speakers who are tested together.

    RAVDESS: actors 1–4, 5–8, …, 21–24. Otherwise as many pairs of a woman and a man as can be made, or single speakers where
    pairs would be fewer than :data:`FEWEST_PAIRED_GROUPS`; at most :data:`MOST_SPEAKER_FOLDS` groups.

    Parameters
    ----------
    folds
        Number of groups, if it is to be another one.

    Raises
    ------
    ConfigError
        Where there are fewer than three speakers, or fewer speakers than groups.
    """
    women, men, unknown = _by_gender(clips)
    count = len(women) + len(men) + len(unknown)
    if count < 3:
        raise ConfigError(
            f"{count} speakers cannot be parted into training, validation and test.",
            "Use --protocol paper, or test this corpus with --protocol corpus after training on others.",
        )
    if folds is not None and not 3 <= folds <= count:
        raise ConfigError(f"{count} speakers can be parted into 3 to {count} folds, not into {folds}.")
    if folds is None and {clip.corpus for clip in clips} == {"RAVDESS"} and count % RAVDESS_GROUP == 0 and count >= 12:
        speakers = sorted({*women, *men, *unknown})
        return [speakers[first : first + RAVDESS_GROUP] for first in range(0, count, RAVDESS_GROUP)]
    if folds is None:
        pairs = (count + 1) // 2
        folds = min(pairs, MOST_SPEAKER_FOLDS) if pairs >= FEWEST_PAIRED_GROUPS else count
    # Dealt out like cards, women first, then men from the other end: no group gets all of one kind, and sizes differ by one.
    groups: list[list[str]] = [[] for _ in range(folds)]
    for speaker in (*women, *reversed(men), *unknown):
        smallest = min(len(group) for group in groups)
        next(group for group in groups if len(group) == smallest).append(speaker)
    return [sorted(group) for group in groups]


def genders(clips: Iterable[Clip]) -> dict[str, str]:
    """Gender of every speaker, ``""`` where clips of one speaker disagree (ASED) or none says it."""
    said: dict[str, set[str]] = {}
    for clip in clips:
        said.setdefault(clip.speaker, set()).add(clip.gender)
    return {speaker: next(iter(values)) if len(values) == 1 else "" for speaker, values in sorted(said.items())}


def check_folds(folds: Sequence[Fold], protocol: ProtocolName, contents: Mapping[str, str] | None = None) -> None:
    """Prove that no fold tests what it has heard, and that no clip is tested twice.

    Parameters
    ----------
    contents
        A digest of every clip's sound by :attr:`Clip.path`: equal recordings under two names count as one.

    Raises
    ------
    ValueError
        Naming the fold and what is in two of its parts: a clip, a recording, and, unless the protocol is the paper's, a
        speaker or a session; or an empty part; or clips that two folds test.
    """
    for fold in folds:
        parts = {"train": fold.train, "validation": fold.validation, "test": fold.test}
        for name, clips in parts.items():
            if not clips:
                raise ValueError(f"fold {fold.number}: the {name} part has no clip")
        parts["train"] = (*fold.train, *fold.auxiliary)
        _check_apart(fold.number, "clips", {name: {clip.path for clip in clips} for name, clips in parts.items()})
        if contents is not None:
            sounds = {name: {contents[clip.path] for clip in clips} for name, clips in parts.items()}
            _check_apart(fold.number, "recordings (by digest)", sounds)
        if protocol != "paper":
            check_disjoint(parts)
            sessions = {
                name: {f"{clip.corpus} {clip.session}" for clip in clips if clip.session} for name, clips in parts.items()
            }
            _check_apart(fold.number, "sessions", sessions)
    tested = Counter(clip.path for fold in folds for clip in fold.test)
    twice = sorted(path for path, count in tested.items() if count > 1)
    if twice:
        raise ValueError(f"clips tested in more than one fold: {', '.join(twice[:5])}")


def _check_apart(number: int, what: str, parts: Mapping[str, set[str]]) -> None:
    home: dict[str, str] = {}
    shared = sorted({item for name, items in parts.items() for item in items if home.setdefault(item, name) != name})
    if shared:
        raise ValueError(f"fold {number}: {what} in more than one part: {', '.join(shared[:5])}")


def _rotate(groups: Sequence[Sequence[Clip]], protocol: ProtocolName) -> list[Fold]:
    """Fold k tests group k and validates on the next; every other group trains."""
    count = len(groups)
    folds = [
        Fold(
            number=test + 1,
            train=tuple(clip for index in range(count) if index not in (test, (test + 1) % count) for clip in groups[index]),
            validation=tuple(groups[(test + 1) % count]),
            test=tuple(groups[test]),
        )
        for test in range(count)
    ]
    check_folds(folds, protocol)
    return folds


def _by_gender(clips: Iterable[Clip]) -> tuple[list[str], list[str], list[str]]:
    known = genders(clips)
    women = [speaker for speaker, gender in known.items() if gender == "f"]
    men = [speaker for speaker, gender in known.items() if gender == "m"]
    return women, men, [speaker for speaker, gender in known.items() if gender not in ("f", "m")]
