"""Tables: CSV, Parquet and JSON Lines, one file per stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtime_ser.errors import ConfigError
from realtime_ser.session.reader import Row, Session

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDINGS", "TABLES", "table", "write_frame", "write_rows", "write_tables"]

ENDINGS = (".csv", ".parquet", ".jsonl")

TABLES = (
    "windows",
    "estimates",
    "utterances",
    "words",
    "markers",
    "notes",
    "events",
    "health",
    "gaps",
    "anchors",
    "devices",
    "changes",
)

_ROWS = 50_000
"""That are written between two words about the progress: some tenths of a second."""

_COLUMNS = {
    "words": ["utterance", "position", "text", "confidence"],
    "markers": ["id", "name", "colour", "source", "utc", "original"],
    "notes": ["id", "text", "utc"],
    "events": ["id", "kind", "severity", "message"],
    "changes": ["id", "utc", "kind", "target", "target_id", "field", "before", "after", "reason"],
    "anchors": ["perf_counter", "utc", "kind"],
}
"""Columns of tables that may have no rows, so that whoever reads them finds the same ones."""

_EVERYBODYS = ("markers", "notes")
"""Tables that belong to nobody in particular."""


def table(session: Session, name: str) -> pd.DataFrame:
    """A stream as a table: `start` and `end` in seconds, `start_sample` and `end_sample`, then what belongs to it.

    Scores have a column a class, named by the class; those of voice and words alone are prefixed ``acoustic_``, ``text_``.
    Where there are several people, `person` says whose it is (but for markers and notes), and all are on one clock.
    """
    import pandas as pd

    if name not in TABLES:
        raise ValueError(f"name must be one of {', '.join(TABLES)}, got {name!r}")
    if name == "windows":
        return _windows(session)
    whose = bool(session.header.people) and name not in _EVERYBODYS
    timeless = name == "changes"
    if whose:
        rows = [{"person": one.name, **_flat(row)} for one in session.everybody() for row in getattr(one, name)()]
        rows.sort(key=lambda row: float(row["utc"] if timeless else row["sample"] if "sample" in row else row["start_sample"]))
    else:
        rows = [_flat(row) for row in getattr(session, name)()]
        if not session.header.people:
            for row in rows:
                row.pop("bleed", None)
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["person"] * whose + _COLUMNS.get(name, []))
    if not timeless:
        single = frame.pop("sample") if "sample" in frame else None
        starts = frame.pop("start_sample") if "start_sample" in frame else single
        ends = frame.pop("end_sample") if "end_sample" in frame else single
        _put_times(frame, starts, ends, session.header.sample_rate)
    return frame


def _windows(session: Session) -> pd.DataFrame:
    import pandas as pd

    people = session.everybody()
    of_each = [one.windows() for one in people]
    first = np.concatenate([windows.first for windows in of_each])
    # One person's are in order; of several the earlier comes first.
    order = np.argsort(first, kind="stable")
    scores = np.concatenate([windows.scores for windows in of_each])[order]
    columns: dict[str, Any] = dict(zip(session.header.classes, scores.T, strict=True))
    columns["voiced"] = np.concatenate([windows.voiced for windows in of_each])[order]
    if session.header.people:
        names = np.repeat([one.name for one in people], [len(windows.first) for windows in of_each])
        columns = {"person": names[order], **columns}
    frame = pd.DataFrame(columns)
    starts = pd.Series(first[order])
    _put_times(frame, starts, starts + of_each[0].length, session.header.sample_rate)
    return frame


def _put_times(frame: pd.DataFrame, starts: pd.Series | None, ends: pd.Series | None, rate: int) -> None:
    import pandas as pd

    starts = pd.Series(dtype="Int64") if starts is None else starts
    ends = pd.Series(dtype="Int64") if ends is None else ends
    # A remark about the whole session has no time, and stays an empty cell beside whole numbers.
    starts, ends = starts.astype("Int64"), ends.astype("Int64")
    frame.insert(0, "start", (starts / rate).astype("Float64"))
    frame.insert(1, "end", (ends / rate).astype("Float64"))
    frame.insert(2, "start_sample", starts)
    frame.insert(3, "end_sample", ends)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for key, value in row.items():
        if key == "scores":
            flat.update(value)
        elif key in ("acoustic", "text_scores"):
            prefix = key.removesuffix("_scores")
            flat.update({f"{prefix}_{name}": score for name, score in (value or {}).items()})
        elif isinstance(value, dict):
            flat[key] = "; ".join(f"{name}={part}" for name, part in value.items())
        else:
            flat[key] = value
    return flat


def write_frame(frame: pd.DataFrame, path: Path, on_progress: Callable[[float], None] = lambda share: None) -> None:
    """Write a table in the format of the ending of `path`, one of :data:`ENDINGS`.

    Parameters
    ----------
    on_progress
        Told which share is done, in [0, 1]; what it raises ends the writing.

    Raises
    ------
    ConfigError
        It has another ending.
    OSError
        It cannot be written.
    """
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path, index=False)
        case ".csv" | ".jsonl":
            with path.open("w", encoding="utf-8", newline="") as file:
                for first in range(0, max(len(frame), 1), _ROWS):
                    rows = frame.iloc[first : first + _ROWS]
                    if path.suffix == ".csv":
                        rows.to_csv(file, index=False, header=first == 0)
                    else:
                        rows.to_json(file, orient="records", lines=True, force_ascii=False, double_precision=15)
                    on_progress(min(1.0, (first + _ROWS) / max(len(frame), 1)))
        case _:
            raise ConfigError(f"{path.name} does not say how to write it.", f"Its name must end in {', '.join(ENDINGS)}.")


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows with the same keys as a table; see :func:`write_frame`."""
    import pandas as pd

    write_frame(pd.DataFrame(rows), path)


def write_tables(
    session: Session, folder: Path, ending: str, on_progress: Callable[[float], None] = lambda share: None
) -> list[Path]:
    """Write all tables into `folder`, in the format of `ending`; their paths. Raises :class:`OSError`.

    `on_progress` is told which share is done, in [0, 1]; what it raises ends the writing.
    """
    paths = [folder / f"{name}{ending}" for name in TABLES]
    for index, (name, path) in enumerate(zip(TABLES, paths, strict=True)):

        def told(share: float, index: int = index) -> None:
            on_progress((index + share) / len(TABLES))

        told(0.0)
        write_frame(table(session, name), path, told)
    on_progress(1.0)
    return paths
