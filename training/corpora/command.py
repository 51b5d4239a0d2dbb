"""``python -m training corpora``: what lies in a corpus's folder or in the data folder, and what is wrong with it."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from realtime_ser.errors import ConfigError
from training.corpora.data_folder import check_data_folder, data_directory
from training.corpora.registry import CORPORA, TEXT_CORPORA, open_corpus, open_text_corpus
from training.corpora.speech import audio_faults
from training.corpora.table import Clip, CorpusTable, TextRow, TextTable

__all__ = ["add_arguments", "run"]

SHOWN = 20
"""Problems of one corpus that are printed; the JSON file has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    names = ", ".join([*CORPORA, *TEXT_CORPORA])
    parser.add_argument("--corpus", metavar="NAME", help=f"only this corpus: {names} (default: all of the data folder)")
    parser.add_argument("--path", type=Path, metavar="FOLDER", help="its folder (default: its place in the data folder)")
    parser.add_argument("--decode", action="store_true", help="decode all audio: finds broken, silent and repeated recordings")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write a table of the clips, and one of the texts to FILE-text"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write counts, problems, clips and texts")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 where anything is wrong, 0 otherwise.

    Raises
    ------
    ConfigError
        Where the options do not go together, or a folder is missing.
    """
    if args.path is not None and args.corpus is None:
        raise ConfigError("--path needs --corpus.", "Say which corpus lies in that folder.")
    tables: list[CorpusTable | TextTable]
    if args.corpus is not None:
        tables = [_read(args.corpus, args.path, args.data)]
    else:
        tables = check_data_folder(data_directory(args.data))
    if args.decode:
        tables = [
            replace(table, problems=(*table.problems, *audio_faults(table.clips))) if isinstance(table, CorpusTable) else table
            for table in tables
        ]
    for table in tables:
        print(describe(table), flush=True)
    try:
        if args.csv is not None:
            _write_csv(args.csv, tables)
        if args.json is not None:
            _write_json(args.json, tables)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}.", "Name another file.") from error
    return int(any(table.problems for table in tables))


def _read(name: str, path: Path | None, data: Path | None) -> CorpusTable | TextTable:
    key = name.lower().replace("-", "")
    if key in TEXT_CORPORA:
        return open_text_corpus(key, path if path is not None else data_directory(data) / "text" / TEXT_CORPORA[key].folder)
    return open_corpus(name, path if path is not None else data_directory(data) / "corpora" / key)


def describe(table: CorpusTable | TextTable) -> str:
    """A few lines about one corpus, its notes and its problems."""
    found = table.summary()
    four = " · ".join(f"{name} {count}" for name, count in found["four_classes"].items())
    others = ", ".join(f"{name} {count}" for name, count in sorted(found["labels"].items(), key=lambda item: -item[1])[:12])
    if isinstance(table, CorpusTable):
        sessions = f" · {found['sessions']} sessions" if found["sessions"] else ""
        count = f"{found['clips']} clips · {found['speakers']} speakers{sessions} · {found['hours']:.2f} h"
    else:
        splits = ", ".join(f"{name} {number}" for name, number in found["splits"].items())
        count = f"{found['rows']} texts ({splits}) · {found['speakers'] or 'no'} speakers named"
    lines = [
        f"{table.title}: {table.folder}",
        f"  {count}",
        f"  {four}",
        f"  labels: {others}",
        f"  licence: {table.licence or 'unknown'}",
        *(f"  note: {note}" for note in table.notes),
        *(f"  PROBLEM: {problem}" for problem in table.problems[:SHOWN]),
    ]
    if len(table.problems) > SHOWN:
        lines.append(f"  PROBLEM: and {len(table.problems) - SHOWN} more; --json writes all.")
    return "\n".join(lines)


def _write_csv(path: Path, tables: Sequence[CorpusTable | TextTable]) -> None:
    clips = [clip for table in tables if isinstance(table, CorpusTable) for clip in table.clips]
    rows = [row for table in tables if isinstance(table, TextTable) for row in table.rows]
    speech = any(isinstance(table, CorpusTable) for table in tables)
    if speech:
        _table(path, Clip, clips)
    if len(rows) or not speech:
        _table(path.with_name(f"{path.stem}-text{path.suffix}") if speech else path, TextRow, rows)


def _table(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    print(f"{len(rows)} rows written to {path}", flush=True)


def _write_json(path: Path, tables: Sequence[CorpusTable | TextTable]) -> None:
    content = []
    for table in tables:
        kind, rows = ("clips", table.clips) if isinstance(table, CorpusTable) else ("texts", table.rows)
        problems = [asdict(problem) for problem in table.problems]
        content.append({**table.summary(), "problems": problems, kind: [asdict(row) for row in rows]})
    path.write_text(json.dumps({"corpora": content}, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
    print(f"{len(content)} corpora written to {path}", flush=True)
