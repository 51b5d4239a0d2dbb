"""What the view inside the fusion shows, or why there is nothing to show. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime_ser.gui.controller import Phase
from realtime_ser.gui.models import DashboardModel, UtteranceRow, clock
from realtime_ser.text.attention import CrossAttention
from realtime_ser.types import Estimate, EstimateState, FloatArray, FusionDetail

__all__ = ["CAVEATS", "InsideView", "committed", "describe_row", "effective_count", "inside_view", "row_title"]

CAVEATS = (
    "Attention is no explanation. These are numbers that the network multiplies with on its way to a score: a large one does "
    "not mean that a word or segment caused the result, and other numbers can lead to the same result.",
    "A segment is 64 neighbouring values of a feature vector: neither a moment nor a word, nor anything to be heard or read.",
    "Exact are the parts: what voice and words add to every class's score sums up to the fused score, before calibration.",
)


@dataclass(frozen=True, slots=True)
class InsideView:
    """One utterance from within.

    Attributes
    ----------
    title
        Which one.
    utterance
        Its number; ``None`` while there is none.
    detail
        Parts and attention over segments, where the fusion network was used.
    empty
        Otherwise why it was not.
    words
        What the text network read; may be empty.
    words_empty
        Then why.
    """

    title: str
    utterance: int | None = None
    detail: FusionDetail | None = None
    empty: str = ""
    words: str = ""
    words_empty: str = ""


def committed(model: DashboardModel) -> list[int]:
    """Numbers of the utterances that have a verdict and are still known, oldest first."""
    return [row.utterance for row in model.transcripts.rows if row.verdict is not None]


def inside_view(model: DashboardModel, phase: Phase, recognizer: str, chosen: int | None) -> InsideView:
    """Look into an utterance.

    Parameters
    ----------
    recognizer
        Who writes the words; ``"none"`` or nothing where nobody does.
    chosen
        Number of a committed one; ``None``: the one under way, or else the last.
    """
    running = phase in {"starting", "running", "stopping"}
    if chosen is not None:
        row = next((row for row in model.transcripts.rows if row.utterance == chosen and row.verdict is not None), None)
        if row is None or row.verdict is None:
            return InsideView(
                "An utterance of before", chosen, empty="It is no longer known.", words_empty="It is no longer known."
            )
        return _view(row_title(row), row.verdict.estimate, recognizer, over=True)
    estimate = model.estimate
    if running and estimate is not None and estimate.state is not EstimateState.NO_SPEECH:
        return _view(f"Live: the utterance so far, from {clock(estimate.span.first)}", estimate, recognizer, over=False)
    if model.last_verdict is not None:
        last = model.last_verdict
        return _view(
            f"Live: nobody speaks; the last utterance, from {clock(last.span.first)}", last.estimate, recognizer, over=True
        )
    why = "Nothing was said yet." if running else "Nothing is heard: press Start (Space in the dashboard), and speak."
    return InsideView("Live", empty=why, words_empty=why)


def row_title(row: UtteranceRow) -> str:
    """An utterance by its times and its verdict."""
    times = f"{clock(row.span.first)}–{clock(row.span.end)}"
    if row.verdict is None:
        return f"Utterance {times}"
    estimate = row.verdict.estimate
    if estimate.label is None:
        return f"Utterance {times}: unsure"
    return f"Utterance {times}: {estimate.label} {100.0 * estimate.confidence:.0f} %"


def _view(title: str, estimate: Estimate, recognizer: str, *, over: bool) -> InsideView:
    words = estimate.transcript.text if estimate.transcript is not None else ""
    if not words:
        if recognizer in ("", "none"):
            why = "The recogniser is off"
        else:
            why = "No words were recognised" if over else "There are no words yet"
        counts = "counted" if over else "counts"
        return InsideView(
            title,
            estimate.utterance,
            empty=f"{why}: the voice alone {counts}, and the fusion network was not used.",
            words_empty=f"{why}.",
        )
    empty = "" if estimate.fusion is not None else f"The fusion network was not used: {estimate.note or 'voice only'}."
    return InsideView(title, estimate.utterance, estimate.fusion, empty, words)


def effective_count(weights: FloatArray) -> float:
    """How many equal weights would be as spread out as these: the exponential of their entropy, from 1 to their number."""
    positive = weights[weights > 0.0].astype(np.float64)
    return float(np.exp(-(positive * np.log(positive)).sum()))


def describe_row(attention: CrossAttention, size_index: int, row: int, most: int = 4) -> str:
    """What a word group attends to, the strongest first, in words."""
    weights = attention.weights[size_index, row]
    size = attention.sizes[size_index]
    order: Sequence[int] = np.argsort(-weights, kind="stable")[:most].tolist()
    found = ", ".join(f"{attention.tokens[k]} {100.0 * weights[k]:.0f} %" for k in order)
    around = f"“{attention.tokens[row]}”" + ("" if size == 1 else f" with its neighbours ({size} words)")
    unknown = "" if attention.known[row] else " (not in the vocabulary)"
    return f"{around}{unknown} attends to: {found}. Evenly spread, each would have {100.0 / len(weights):.0f} %."
