"""The data folder: several corpora under ``corpora/`` that one ``manifest.tsv`` lists."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath

from realtime_ser.errors import ConfigError
from training.corpora.registry import CORPORA
from training.corpora.speech import without_doubtful_genders
from training.corpora.table import Clip

__all__ = ["READERS", "data_directory", "load_clips", "read_manifest"]

Reader = Callable[[Path], Iterator[Clip]]
GENDERS = {"F": "f", "M": "m"}


def read_manifest(root: Path) -> Iterator[Clip]:
    """Yield the clips of ``corpora/manifest.tsv`` under `root`.

    Clips that repeat another one sample for sample are left out, as the corpus's own reader leaves them out; a speaker for
    whom both genders are given has none.
    """
    manifest = root / "corpora" / "manifest.tsv"
    if not manifest.is_file():
        raise ConfigError(f"There is no {manifest}.", "Say where the corpora are with --data or REALTIME_SER_DATA.")
    with manifest.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    clips, _ = without_doubtful_genders(clip for row in rows if (clip := _clip(root, row)) is not None)
    yield from clips


def _clip(root: Path, row: dict[str, str]) -> Clip | None:
    """The clip of one row; none where it is to be left out."""
    place = PurePosixPath(row["path"])
    corpus = CORPORA.get(row["corpus"].lower())
    session = sentence = text = ""
    if corpus is not None:
        if place.stem in corpus.left_out:
            return None
        session, sentence, text = corpus.from_name(PurePosixPath(*place.parts[1:]))
    return Clip(
        path=row["path"],
        corpus=row["corpus"],
        language=row["lang"],
        speaker="".join(row["speaker"].split()),
        emotion=row["emotion"],
        emotion4=row["emotion4"],
        seconds=float(row["seconds"]),
        text=row["text"] or text,
        session=session,
        gender=GENDERS.get(row["gender"] or "", ""),
        licence=corpus.licence if corpus is not None else "",
        sentence=sentence,
        file=(root / "corpora" / row["path"]).resolve(),
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
    default = Path(__file__).resolve().parents[3] / "shared"
    root = option if option is not None else Path(os.environ.get("REALTIME_SER_DATA", default))
    if not root.is_dir():
        raise ConfigError(f"There is no data folder {root}.", "Give one with --data or REALTIME_SER_DATA.")
    return root
