"""Plots of a cross-validation: confusions, coverage and accuracy, cutoffs. SVG and PNG, readable without telling colours apart.

Colours are those of Okabe and Ito for lines, each with a dash pattern of its own, and one dark-to-light scale for confusions
with the numbers written in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_confusion", "plot_coverage", "plot_cutoffs"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    # The same figures give the same file.
    "svg.hashsalt": "realtime-ser",
}


def _figure(width: float, height: float) -> Figure:
    """A figure that no window shows: drawing needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, out: Path, name: str) -> str:
    """Write `figure` as SVG and PNG; returns the SVG's name."""
    figure.savefig(out / f"{name}.svg", metadata={"Date": None})
    figure.savefig(out / f"{name}.png", dpi=150)
    return f"{name}.svg"


def plot_confusion(report: Mapping[str, Any], out: Path) -> str:
    """One matrix per system, as in Fig. 2 of the paper: share of the row, and number of utterances."""
    import matplotlib

    classes: Sequence[str] = report["classes"]
    systems: Mapping[str, Any] = report["systems"]
    columns = min(3, len(systems))
    rows = math.ceil(len(systems) / columns)
    side = max(2.6, 0.62 * len(classes) + 1.1)
    with matplotlib.rc_context({**STYLE, "axes.spines.top": True, "axes.spines.right": True}):
        figure = _figure(side * columns, side * rows + 0.2)
        panels = figure.subplots(rows, columns, squeeze=False)
        for panel in panels.flat[len(systems) :]:
            panel.set_visible(False)
        for panel, (name, summary) in zip(panels.flat, systems.items(), strict=False):
            counts = np.array(summary["confusion"], float)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for row, column in np.ndindex(*counts.shape):
                ink = "white" if shares[row, column] > 0.55 else "black"
                text = f"{100 * shares[row, column]:.0f} %\n{counts[row, column]:.0f}"
                panel.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)
            panel.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
            panel.set_yticks(range(len(classes)), classes)
            panel.set_title(f"{name}: UA {summary['UA']['mean']:.3f}", fontsize=9)
            panel.set_xlabel("called")
            panel.set_ylabel("is")
        return _save(figure, out, "confusion")


def plot_coverage(report: Mapping[str, Any], out: Path) -> str:
    """Accuracy among the most confident utterances against their share, one line per system."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = _figure(6.4, 3.8)
        panel = figure.subplots()
        for number, (name, summary) in enumerate(report["systems"].items()):
            curve = summary["coverage curve"]
            dashes = DASHES[number // len(COLOURS) % len(DASHES)] if number >= len(COLOURS) else DASHES[number % len(DASHES)]
            panel.plot(
                curve["coverage"],
                curve["accuracy"],
                color=COLOURS[number % len(COLOURS)],
                linestyle=dashes,
                linewidth=1.6,
                label=name,
            )
        chance = 1 / len(report["classes"])
        panel.axhline(chance, color="0.6", linewidth=0.8)
        panel.annotate("guessing, classes equally frequent", (0.99, chance), ha="right", va="bottom", color="0.4", fontsize=7)
        panel.axvline(0.5, color="0.85", linewidth=0.8, zorder=0)
        panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of utterances, most confident first", ylabel="accuracy among them")
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        return _save(figure, out, "coverage")


def plot_cutoffs(name: str, cutoffs: Mapping[str, Any], out: Path) -> str:
    """Where the filters of `name` lay and where they lie now (every fold), and how far both cutoffs moved."""
    import matplotlib

    low, high = np.array(cutoffs["initial_low_hz"]), np.array(cutoffs["initial_high_hz"])
    learnt_low, learnt_high = np.array(cutoffs["low_hz"]), np.array(cutoffs["high_hz"])
    number = np.arange(1, len(low) + 1)
    with matplotlib.rc_context(STYLE):
        figure = _figure(8.2, 5.0)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.fill_between(number, low, high, color="0.85", linewidth=0, label="initial pass band")
        for first, second, colour, label in (
            (learnt_low, low, COLOURS[0], "lower"),
            (learnt_high, high, COLOURS[1], "upper"),
        ):
            style = DASHES[0] if label == "lower" else DASHES[1]
            for index, fold in enumerate(first):
                upper.plot(
                    number,
                    fold,
                    color=colour,
                    linewidth=0.7,
                    linestyle=style,
                    label=f"learnt {label} cutoff" if not index else None,
                )
            moved = first - second
            mark = "v" if label == "lower" else "^"
            lower.plot(number, moved.mean(axis=0), mark, color=colour, markersize=3.5, label=f"{label} cutoff")
            if len(moved) > 1:
                lower.fill_between(number, moved.min(axis=0), moved.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        lower.axhline(0, color="0.6", linewidth=0.8)
        upper.set(ylabel="frequency in Hz", title=f"{name}: cutoffs, initial and learnt")
        lower.set(xlabel="filter", ylabel="movement in Hz\n(mean and range of folds)", xlim=(0.5, len(low) + 0.5))
        for panel in (upper, lower):
            panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        return _save(figure, out, f"cutoffs-{name}")
