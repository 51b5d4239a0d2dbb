"""Writing tables row by row, so that the length of a recording does not matter."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

from realtime_ser.errors import ConfigError, RealtimeSerError
from realtime_ser.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "TableFile"]

FORMATS = (".csv", ".parquet", ".jsonl")

_ROWS_AT_ONCE = 8_192


class _Sink(Protocol):
    def write(self, rows: list[Record]) -> None: ...
    def close(self) -> None: ...


class _Csv:
    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file: IO[str] = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)
        self._writer.writeheader()

    def write(self, rows: list[Record]) -> None:
        self._writer.writerows(rows)

    def close(self) -> None:
        self._file.close()


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8")

    def write(self, rows: list[Record]) -> None:
        self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, columns: Sequence[str], classes: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([(name, _arrow_type(pa, name, classes)) for name in columns])
        self._table = pa.Table
        self._writer = pq.ParquetWriter(path, self._schema)

    def write(self, rows: list[Record]) -> None:
        self._writer.write_table(self._table.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _arrow_type(pa: Any, name: str, classes: Sequence[str]) -> pa.DataType:
    if name == "voiced":
        return pa.bool_()
    numbers = {"start", "end", "confidence", "voiced_seconds", "word_share", "transcript_confidence", *classes}
    return pa.float64() if name in numbers else pa.string()


class TableFile:
    """A table on disk that appears under its name only when it is complete.

    Until then the rows are in ``NAME.part`` beside it, which stays where writing breaks off.

    Parameters
    ----------
    path
        Ends in one of :data:`FORMATS`.
    columns
        In order.
    classes
        Those columns that are scores.

    Raises
    ------
    ConfigError
        The ending says no format that can be written, or the folder does not exist.
    """

    def __init__(self, path: Path, columns: Sequence[str], classes: Sequence[str]) -> None:
        check_table_path(path)
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._rows: list[Record] = []
        try:
            if path.suffix == ".csv":
                self._sink: _Sink = _Csv(self._part, columns)
            elif path.suffix == ".jsonl":
                self._sink = _JsonLines(self._part)
            else:
                self._sink = _Parquet(self._part, columns, classes)
        except OSError as error:
            raise self._trouble(error) from error

    def add(self, rows: list[Record]) -> None:
        """Append rows; :class:`RealtimeSerError` where the disk does not take them."""
        self._rows += rows
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        try:
            self._sink.write(self._rows)
        except OSError as error:
            raise self._trouble(error) from error
        self._rows = []

    def _trouble(self, error: OSError) -> RealtimeSerError:
        return RealtimeSerError(
            f"{self._path} cannot be written: {error.strerror or error}.",
            f"Make room or choose another place; what was written so far is in {self._part}.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if error is None or not isinstance(error, RealtimeSerError):
                self._flush()
            self._sink.close()
            if error is None:
                self._part.replace(self._path)
        except OSError as trouble:
            if error is None:
                raise self._trouble(trouble) from trouble


def check_table_path(path: Path) -> None:
    """:class:`ConfigError` unless a table can be written there."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path.name} does not say how to write it.", f"Its name must end in {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise ConfigError(f"The folder {path.parent} does not exist.", "Make it, or choose another place.")
