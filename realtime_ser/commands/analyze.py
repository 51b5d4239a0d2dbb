"""``realtime-ser analyze``: recorded files at full speed, with the scores that the live program would give."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_ser.acoustic.execution import Execution
from realtime_ser.api import EmotionRecognizer
from realtime_ser.assembly import SegmentationKind
from realtime_ser.audio.file import FileSource
from realtime_ser.commands.tables import TableFile, check_table_path
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RealtimeSerError
from realtime_ser.records import Record, verdict_row, window_rows
from realtime_ser.types import Level, Verdict, WindowScores

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["analyze"]

VERDICT_COLUMNS = (
    "label",
    "state",
    "confidence",
    "voiced_seconds",
    "word_share",
    "transcript",
    "transcript_confidence",
    "recognizer",
    "note",
)


def analyze(
    files: Sequence[str],
    *,
    out: str | None,
    windows: bool,
    segmentation: SegmentationKind = "voice",
    bundle: str | Path | None = None,
    recognizer: str | Path = "auto",
    execution: Execution | None = None,
) -> int:
    """Score files and write one table.

    A file that cannot be read is named and left out; the rest is done. The exit code is then that of the first failure.

    Parameters
    ----------
    out
        Table to write (.csv, .parquet, .jsonl); ``None``: CSV to standard output.
    windows
        A row per 10 ms window in place of one per utterance; words are left out then, since they do not touch windows.
    """
    if out is not None:
        check_table_path(Path(out))
    model = EmotionRecognizer(bundle, "none" if windows else recognizer, execution=execution)
    columns = ["file", "start", "end", *model.classes, *(("voiced",) if windows else VERDICT_COLUMNS)]
    exit_code = 0
    # Standard output turns line ends into the system's own.
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    if out is None:
        writer.writeheader()
    with nullcontext() if out is None else TableFile(Path(out), columns, model.classes) as table, _progress() as progress:
        for file in files:
            task = progress.add_task(Path(file).name, total=None)
            try:
                for rows in _rows(model, file, windows, segmentation, progress, task):
                    if table is None:
                        writer.writerows(rows)
                    else:
                        table.add(rows)
            except RealtimeSerError as error:
                if error.exit_code != 4:  # only a bad file concerns that file alone
                    raise
                exit_code = exit_code or error.exit_code
                progress.remove_task(task)
                progress.console.print(f"{file}: {error}", style="red", highlight=False, soft_wrap=True)
    return exit_code


def _rows(
    model: EmotionRecognizer, file: str, windows: bool, segmentation: SegmentationKind, progress: Progress, task: TaskID
) -> Iterator[list[Record]]:
    source = FileSource(file)
    for output in model.stream(source, segmentation, words=not windows):
        match output:
            case WindowScores() if windows:
                yield [{"file": file, **row} for row in window_rows(output, model.classes)]
            case Verdict() if not windows:
                yield [{"file": file, **verdict_row(output, model.classes)}]
            case Level():
                rate = source.status().native_rate
                total = source.frames / rate if rate else None
                progress.update(task, completed=output.span.end / ENGINE_RATE, total=total)
            case _:
                pass


def _progress() -> Progress:
    """A bar per file on standard error, so that the table can go to standard output."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
