"""The figures of an evaluation card as tables: what was measured in the same way stands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from realtime_ser.bundle.manifest import Figure

__all__ = ["CardTable", "Row", "in_tables"]

_BETWEEN = "; "
"""Separates the statements of a protocol."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured on one set of data under one protocol.

    Attributes
    ----------
    data
        What it was measured on.
    circumstances
        The statements of the protocol that other rows of the table do not share.
    figures
        One for each column.
    """

    data: str
    circumstances: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class CardTable:
    """Figures of the same names.

    Attributes
    ----------
    common
        The statements of the protocols that hold for all rows, then date and hardware.
    columns
        Names of the figures, without what a row says of itself.
    rows
        In the order of the card.
    """

    common: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def in_tables(figures: Sequence[Figure]) -> list[CardTable]:
    """Every figure of a card in exactly one table, tables and rows in the order of the card."""
    found: dict[tuple[tuple[str, ...], str, str], list[tuple[str, list[str], tuple[Figure, ...]]]] = {}
    for (data, protocol, date, hardware), group in groupby(figures, key=_circumstances):
        some = tuple(group)
        columns = _columns([one.name for one in some], f"{data}{_BETWEEN}{protocol}")
        found.setdefault((columns, date, hardware), []).append((data, protocol.split(_BETWEEN), some))
    tables = []
    for (columns, date, hardware), gathered in found.items():
        shared = [one for one in gathered[0][1] if all(one in statements for _, statements, _ in gathered)]
        rows = tuple(
            Row(data, _BETWEEN.join(one for one in statements if one not in shared), some)
            for data, statements, some in gathered
        )
        tables.append(CardTable(_BETWEEN.join([*shared, f"{date}, {hardware}"]), columns, rows))
    return tables


def _circumstances(figure: Figure) -> tuple[str, str, str, str]:
    return figure.data, figure.protocol, figure.date, figure.hardware


def _columns(names: Sequence[str], said: str) -> tuple[str, ...]:
    """The names without a last part that all of them share and that the row says anyway (“UA, clean”, “condition: clean”)."""
    first = names[0]
    for start in (place for place in range(len(first)) if first.startswith(", ", place)):
        ending = first[start:]
        if ending[2:] in said and all(name.endswith(ending) for name in names):
            return tuple(name.removesuffix(ending) for name in names)
    return tuple(names)
