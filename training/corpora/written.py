"""What the readers of text corpora share: finding the files of every split, reading tables, listing what is wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.corpora.table import Problem, TextRow, TextTable

__all__ = ["BadLine", "Entry", "TextSource", "labelled_rows", "table_rows"]

COPY_AGAIN = "Copy it from the release again."


@dataclass(frozen=True, slots=True)
class Entry:
    """One text as its file has it: where it stands, its labels (joined by ``+``), its class and its speaker and dialogue."""

    line: int
    text: str
    emotion: str
    emotion4: str
    speaker: str = ""
    dialogue: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A place in a file that is no labelled text, and why (a sentence)."""

    line: int
    what: str


Reader = Callable[[Path], Iterator[Entry | BadLine]]


@dataclass(frozen=True)
class TextSource:
    """A collection of labelled texts.

    Attributes
    ----------
    name
        As tables call it.
    title
        Name, authors and year.
    folder
        Its folder below the text folder of a data folder.
    files
        Split → where its file may lie below the corpus's folder, the first that exists is read.
    read
        Yields what a file holds; raises :class:`ValueError` with a sentence where all of it is broken.
    optional
        Splits that not every release has.
    remarks
        What whoever uses the corpus must know.
    """

    name: str
    title: str
    licence: str
    folder: str
    files: Mapping[str, tuple[str, ...]]
    read: Reader
    optional: frozenset[str] = frozenset()
    language: str = "en"
    remarks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name by which the corpus is asked for."""
        return self.name

    def open(self, folder: Path) -> TextTable:
        """Read the corpus in `folder`; what is wrong is listed in the table, lines that are right are kept."""
        folder = folder.resolve()
        rows: list[TextRow] = []
        problems: list[Problem] = []
        for split, names in self.files.items():
            name = next((name for name in names if (folder / name).is_file()), None)
            if name is None:
                if split not in self.optional:
                    problems.append(Problem(names[0], "there is no such file.", "Unpack the release into this folder."))
                continue
            before = len(rows)
            broken = len(problems)
            try:
                for found in self.read(folder / name):
                    if isinstance(found, BadLine):
                        problems.append(Problem(name, found.what, "The line is left out.", found.line))
                    else:
                        rows.append(self._row(found, split, name))
            except UnicodeDecodeError:
                problems.append(Problem(name, "the file is not UTF-8 text.", COPY_AGAIN))
            except (OSError, ValueError, csv.Error, RecursionError) as error:
                problems.append(Problem(name, f"the file is broken: {str(error).rstrip('.')}.", COPY_AGAIN))
            if len(rows) == before and len(problems) == broken:
                problems.append(Problem(name, "the file holds no text.", COPY_AGAIN))
        return TextTable(self.name, self.title, self.licence, folder, tuple(rows), tuple(problems), self.remarks)

    def _row(self, entry: Entry, split: str, name: str) -> TextRow:
        def unique(key: str) -> str:
            return f"{self.name}_{key}" if key else ""

        return TextRow(
            text=entry.text,
            corpus=self.name,
            language=self.language,
            emotion=entry.emotion,
            emotion4=entry.emotion4,
            split=split,
            speaker=unique(entry.speaker),
            dialogue=unique(entry.dialogue and f"{split}_{entry.dialogue}"),
            licence=self.licence,
            file=name,
            line=entry.line,
        )


def labelled_rows(path: Path, classes: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str], str] | BadLine]:
    """Yield (line, fields, label) of a comma-separated table of ``Utterance`` and ``Emotion``; labels must be in `classes`."""
    for found in table_rows(path, ",", ("Utterance", "Emotion")):
        if isinstance(found, BadLine):
            yield found
            continue
        line, row = found
        emotion = row["Emotion"].strip().lower()
        if emotion in classes:
            yield line, row, emotion
        else:
            yield BadLine(line, f"the label '{emotion}' is none of {', '.join(sorted(classes))}.")


def table_rows(path: Path, delimiter: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]] | BadLine]:
    """Yield the rows of a table with a header as (line, fields by column); quotes count in comma-separated tables only.

    Raises
    ------
    ValueError
        Where one of `columns` is missing.
    """
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    # A byte-order mark, as spreadsheets write it, is no part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, quoting=quoting)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"there is no column {', '.join(missing)}")
        for row in reader:
            if None in row or None in row.values():
                yield BadLine(reader.line_num, "the line has another number of fields than the header.")
            else:
                yield reader.line_num, row
