"""Many sessions at a glance: per participant and condition, with intervals that say what they are about.

Utterances of one recording are no independent observations. So a row about a participant describes that recording alone
(utterances are resampled), and a row about a condition generalises over participants (their means are resampled).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import SessionError
from realtime_ser.session.reader import Session, is_bleed

__all__ = ["MEANING", "bootstrap", "summarise", "summary_cells"]

MEANING = (
    "Intervals hold 95 % of 2,000 bootstrap samples. Rows of a participant resample that participant's utterances and describe "
    "the recording; rows of all participants (*) resample participants, of which two at least are needed. What is probably "
    "another person's voice (bleed) is left out, and counted."
)

_SAMPLES = 2_000
_SEED = 1


@dataclass(slots=True)
class _Group:
    sessions: int = 0
    seconds: float = 0.0
    bleed: int = 0
    scores: list[list[float]] = field(default_factory=list)
    abstained: list[float] = field(default_factory=list)

    def means(self) -> NDArray[np.float64]:
        """Mean scores and the share of abstentions, shape ``(classes + 1,)``."""
        means: NDArray[np.float64] = self.table().mean(axis=0)
        return means

    def table(self) -> NDArray[np.float64]:
        return np.column_stack([np.asarray(self.scores), self.abstained])


def bootstrap(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval (95 %) of the mean over rows, each of shape ``(columns,)``; ``nan`` where there is one row only.

    Parameters
    ----------
    values
        Shape ``(rows, columns)``, at least one row. The same values always give the same interval.
    """
    if len(values) < 2:
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    chosen = np.random.default_rng(_SEED).integers(len(values), size=(_SAMPLES, len(values)))
    # One resample at a time: a million utterances fit in memory, a million times two thousand do not.
    means = np.stack([values[rows].mean(axis=0) for rows in chosen])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def summarise(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows by participant and condition, then (participant ``*``) by condition over participants. Two people of one session are
    two participants.

    Every row has `participant`, `condition`, `sessions`, `minutes`, `utterances`, `bleed` (how many more were left out, since
    they are probably another person's voice), and for every class and for `abstained`
    (share of verdicts without a label) the mean, and its interval in ``…_low`` and ``…_high``; class means are of the scores of
    all verdicts, those without a label included.

    Raises
    ------
    SessionError
        A session cannot be read, or they have other classes than the first.
    """
    groups: dict[tuple[str, str], _Group] = {}
    classes: tuple[str, ...] = ()
    for folder in folders:
        with Session(folder) as session:
            header = session.header
            classes = classes or header.classes
            if header.classes != classes:
                raise SessionError(
                    f"{folder.name} has other classes ({', '.join(header.classes)}) than those before ({', '.join(classes)}).",
                    "Summarise sessions of one bundle.",
                )
            for one in session.everybody():
                group = groups.setdefault((one.header.participant, one.header.condition), _Group())
                group.sessions += 1
                group.seconds += one.seconds
                for row in one.utterances():
                    if is_bleed(row):
                        group.bleed += 1
                        continue
                    group.scores.append(list(row["scores"].values()))
                    group.abstained.append(float(row["label"] is None))
    rows = [
        _row(participant, condition, [group], group.table(), classes)
        for (participant, condition), group in sorted(groups.items())
        if group.scores
    ]
    for condition in sorted({condition for _, condition in groups}):
        those = [group for (_, name), group in sorted(groups.items()) if name == condition and group.scores]
        if len(those) > 1:
            rows.append(_row("*", condition, those, np.stack([group.means() for group in those]), classes))
    return rows


def summary_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows of :func:`summarise` to be read: a line of names, then a line a group, where a mean has its interval beside it."""
    if not rows:
        return []
    means = [name for name in rows[0] if f"{name}_low" in rows[0]]
    facts = ["participant", "condition", "sessions", "minutes", "utterances", "bleed"]
    lines = [facts + means]
    for row in rows:
        told = [f"{row[name]:.1f}" if isinstance(row[name], float) else str(row[name]) for name in facts]
        for name in means:
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            told.append(f"{row[name]:.2f}" + ("" if math.isnan(low) else f" ({low:.2f}–{high:.2f})"))
        lines.append(told)
    return lines


def _row(
    participant: str, condition: str, groups: Sequence[_Group], values: NDArray[np.float64], classes: Sequence[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "participant": participant,
        "condition": condition,
        "sessions": sum(group.sessions for group in groups),
        "minutes": round(sum(group.seconds for group in groups) / 60, 2),
        "utterances": sum(len(group.scores) for group in groups),
        "bleed": sum(group.bleed for group in groups),
    }
    low, high = bootstrap(values)
    for index, name in enumerate((*classes, "abstained")):
        row[name] = float(values[:, index].mean())
        row[f"{name}_low"], row[f"{name}_high"] = float(low[index]), float(high[index])
    return row
