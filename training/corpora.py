"""Emotional speech corpora as one table.

A corpus is read by a *reader*: a function from the data folder to clips. Readers are registered under a name in
:data:`READERS`; all the rest of the training code sees only :class:`Clip`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from realtime_ser.errors import ConfigError

__all__ = ["FOUR_CLASSES", "READERS", "Clip", "data_directory", "load_clips", "read_manifest"]

FOUR_CLASSES = ("anger", "happiness", "neutral", "sadness")
"""The paper's four classes, in the order of the networks' outputs."""

DUPLICATES = frozenset({"ravdess/Actor_07/03-01-03-01-02-02-07.flac"})
"""Clips that repeat another clip of their corpus sample for sample."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recorded utterance.

    Attributes
    ----------
    path
        Relative to the folder of the corpora, with forward slashes; unique.
    corpus, language, speaker
        Names; a speaker's name is unique over all corpora.
    emotion
        The corpus's own label.
    emotion4
        One of :data:`FOUR_CLASSES`, or ``""`` where the label is none of them.
    seconds
        Length as the manifest says it.
    text
        The words spoken, where known.
    """

    path: str
    corpus: str
    language: str
    speaker: str
    emotion: str
    emotion4: str
    seconds: float
    text: str

    @property
    def lossless(self) -> bool:
        """Whether the file was stored without a lossy codec."""
        return not self.path.endswith(".opus")


Reader = Callable[[Path], Iterator[Clip]]


def read_manifest(root: Path) -> Iterator[Clip]:
    """Yield the clips of ``corpora/manifest.tsv`` under `root`, without the known duplicates."""
    manifest = root / "corpora" / "manifest.tsv"
    if not manifest.is_file():
        raise ConfigError(f"There is no {manifest}.", "Say where the corpora are with --data or REALTIME_SER_DATA.")
    with manifest.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["path"] in DUPLICATES:
                continue
            yield Clip(
                path=row["path"],
                corpus=row["corpus"],
                language=row["lang"],
                speaker="".join(row["speaker"].split()),
                emotion=row["emotion"],
                emotion4=row["emotion4"],
                seconds=float(row["seconds"]),
                text=row["text"] or "",
            )


READERS: dict[str, Reader] = {"manifest": read_manifest}
"""Every known way to find clips in a data folder."""


def load_clips(root: Path, corpora: Collection[str] | None = None) -> list[Clip]:
    """All clips under `root`, sorted by path, of the named `corpora` only if they are given.

    Raises
    ------
    ConfigError
        Where a named corpus has no clip, or two readers yield the same path.
    """
    clips = sorted((clip for reader in READERS.values() for clip in reader(root)), key=lambda clip: clip.path)
    for before, after in pairwise(clips):
        if before.path == after.path:
            raise ConfigError(f"Two readers yield the clip {after.path}.")
    if corpora is None:
        return clips
    missing = sorted(set(corpora) - {clip.corpus for clip in clips})
    if missing:
        raise ConfigError(f"No clips of {', '.join(missing)} under {root}.")
    return [clip for clip in clips if clip.corpus in corpora]


def data_directory(option: Path | None = None) -> Path:
    """The data folder: `option`, or ``REALTIME_SER_DATA``, or ``../shared`` beside the checkout.

    Raises
    ------
    ConfigError
        Where that folder does not exist.
    """
    default = Path(__file__).resolve().parent.parent.parent / "shared"
    root = option if option is not None else Path(os.environ.get("REALTIME_SER_DATA", default))
    if not root.is_dir():
        raise ConfigError(f"There is no data folder {root}.", "Give one with --data or REALTIME_SER_DATA.")
    return root
