"""The data folder: several corpora under ``corpora/`` that one ``manifest.tsv`` lists."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from realtime_ser.errors import ConfigError
from training.corpora.registry import CORPORA, TEXT_CORPORA
from training.corpora.speech import audio_seconds, without_doubtful_genders
from training.corpora.table import Clip, CorpusTable, Problem, TextTable

__all__ = ["READERS", "check_data_folder", "data_directory", "load_clips", "read_manifest"]

Reader = Callable[[Path], Iterator[Clip]]
GENDERS = {"F": "f", "M": "m"}
COLUMNS = frozenset({"path", "corpus", "lang", "speaker", "gender", "emotion", "emotion4", "seconds", "text"})
ROUNDING = 0.0015
"""Seconds by which the manifest's lengths may differ from the files': both are rounded to milliseconds."""


def read_manifest(root: Path) -> Iterator[Clip]:
    """Yield the clips of ``corpora/manifest.tsv`` under `root`.

    Clips that repeat another one sample for sample are left out, as the corpus's own reader leaves them out; a speaker for
    whom both genders are given has none.
    """
    corpora = (root / "corpora").resolve()
    manifest = corpora / "manifest.tsv"
    if not manifest.is_file():
        raise ConfigError(f"There is no {manifest}.", "Say where the corpora are with --data or REALTIME_SER_DATA.")
    listed: list[Clip] = []
    try:
        with manifest.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            if absent := sorted(COLUMNS - set(reader.fieldnames or ())):
                raise ConfigError(f"{manifest} has no column {', '.join(absent)}.", "It must be as DATA.md describes it.")
            for row in reader:
                if any(row[column] is None for column in COLUMNS):
                    raise ConfigError(f"{manifest}, line {reader.line_num}: the line has too few fields.", "Correct the line.")
                try:
                    clip = _clip(corpora, row)
                except ValueError as error:
                    raise ConfigError(f"{manifest}, line {reader.line_num}: {error}.", "Correct the line.") from error
                if clip is not None:
                    listed.append(clip)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{manifest} cannot be read as a table: {error}.", "Copy it from the data folder again.") from error
    clips, _ = without_doubtful_genders(listed)
    yield from clips


def _clip(corpora: Path, row: dict[str, str]) -> Clip | None:
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
        # Some manifests carry the spaces of a corpus's own table along.
        speaker="".join(row["speaker"].split()),
        emotion=row["emotion"],
        emotion4=row["emotion4"],
        seconds=float(row["seconds"]),
        text=row["text"] or text,
        session=session,
        gender=GENDERS.get(row["gender"] or "", ""),
        licence=corpus.licence if corpus is not None else "",
        sentence=sentence,
        file=corpora / row["path"],
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
    # Sorted, so that what is drawn at random does not depend on the order of the manifest.
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


def check_data_folder(root: Path) -> list[CorpusTable | TextTable]:
    """Read every corpus of a data folder with its own reader, and list where the manifest says otherwise.

    Raises
    ------
    ConfigError
        Where the manifest is missing or cannot be read.
    """
    listed: dict[str, list[Clip]] = {}
    for clip in load_clips(root):
        listed.setdefault(clip.corpus, []).append(clip)
    tables: list[CorpusTable | TextTable] = []
    for name in sorted(listed, key=str.lower):
        clips = listed[name]
        folder = root / "corpora" / PurePosixPath(clips[0].path).parts[0]
        corpus = CORPORA.get(name.lower().replace("-", ""))
        if corpus is None:
            tables.append(CorpusTable(name, name, "", folder, tuple(clips), tuple(_unreadable(clips))))
        elif not folder.is_dir():
            problem = Problem(".", f"the folder is missing, the manifest lists {len(clips)} clips of it.", "Copy it again.")
            tables.append(CorpusTable(corpus.name, corpus.title, corpus.licence, folder, (), (problem,)))
        else:
            table = corpus.open(folder)
            tables.append(replace(table, problems=(*table.problems, *disagreements(table.clips, clips))))
    for source in TEXT_CORPORA.values():
        folder = root / "text" / source.folder
        if folder.is_dir():
            tables.append(source.open(folder))
        else:
            problem = Problem(".", "the folder is missing.", "Unpack the release into it.")
            tables.append(TextTable(source.name, source.title, source.licence, folder, (), (problem,)))
    return tables


def disagreements(found: Collection[Clip], listed: Collection[Clip]) -> Iterator[Problem]:
    """Yield where the clips `found` by a corpus's reader and those `listed` in the manifest differ, one problem per field."""
    by_path = {clip.path: clip for clip in found}
    expected = {clip.path: clip for clip in listed}
    for what, paths in (
        ("are listed in the manifest but were not found", expected.keys() - by_path.keys()),
        ("were found but are not listed in the manifest", by_path.keys() - expected.keys()),
    ):
        if paths:
            yield Problem("manifest.tsv", f"{len(paths)} clips {what}, the first is {min(paths)}.", "Correct the manifest.")
    both = sorted(by_path.keys() & expected.keys())
    for name in (field.name for field in fields(Clip) if field.compare):
        differing = [path for path in both if not _same(name, getattr(by_path[path], name), getattr(expected[path], name))]
        if differing:
            one, other = (getattr(clips[differing[0]], name) for clips in (by_path, expected))
            what = f"{len(differing)} clips have another {name} than the manifest says, the first is {differing[0]}:"
            yield Problem("manifest.tsv", f"{what} {one}, not {other}.", "Correct the manifest.")


def _same(name: str, one: object, other: object) -> bool:
    if name == "seconds" and isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= ROUNDING
    return one == other


def _unreadable(clips: Collection[Clip]) -> Iterator[Problem]:
    for clip in clips:
        try:
            audio_seconds(clip.file)
        except ValueError as error:
            yield Problem(clip.path, str(error), "Copy it again.")
