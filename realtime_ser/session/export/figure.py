"""A vector figure of a session's timeline for a paper: utterances, words, scores, markers and gaps over seconds.

Nothing is told by colour alone: blocks carry a hatching and their label, lines a dash pattern of their own, and abstentions are
white blocks that say so. Colours are those of Okabe and Ito. Only those who draw need Matplotlib.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import ConfigError
from realtime_ser.session.reader import Row, Session, is_bleed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURE_ENDINGS", "preview_figure", "write_figure"]

FIGURE_ENDINGS = (".svg", ".pdf")

_WIDTH = 7.1
_HEIGHT = 3.9
"""Inches: two columns of most journals (180 mm), and a third of a page."""
_MORE = 2.7
"""For everybody beyond the first."""

_POINTS = 1_500
"""Of a line at most: more cannot be told apart in print, and make files that no editor opens."""

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 7.5,
    "hatch.linewidth": 0.5,
    # Text stays text that an editor can change; PDF embeds its letters.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # The same session gives the same file.
    "svg.hashsalt": "realtime-ser",
}

_COLOURS = {"anger": "#D55E00", "happiness": "#E69F00", "neutral": "#7F7F7F", "sadness": "#0072B2"}
_ALSO = {"angry": "anger", "happy": "happiness", "joy": "happiness", "sad": "sadness"}
_SPARE = ("#009E73", "#CC79A7", "#56B4E9", "#B79F00", "#000000")
_HATCHES = ("////", "....", "", "\\\\\\\\", "xxxx", "----", "++++", "||||")
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
_INK = "#222222"
_GAP = "#D9D9D9"
_UNSURE_LOOK: Any = {"facecolor": "white", "edgecolor": _INK, "linewidth": 0.8, "linestyle": (0, (3, 2))}
_BLEED_LOOK: Any = {"facecolor": "white", "edgecolor": "#9A9A9A", "linewidth": 0.6, "hatch": "|||"}
_MARKER_ROWS = 3
_WORD_LINES = 4


@dataclass(frozen=True, slots=True)
class _Look:
    """How a class is drawn."""

    colour: str
    hatch: str
    dash: Any


def write_figure(
    session: Session, path: Path, start: float | None = None, end: float | None = None, person: int | None = None
) -> list[str]:
    """Draw a session from `start` to `end` (seconds; ``None``: all of it) into `path`, one of :data:`FIGURE_ENDINGS`.

    Parameters
    ----------
    person
        Who is drawn, where there are several people; 1 is the first. ``None``: everybody, one below the other on one clock.

    Returns
    -------
    What could not be shown in the room that there is, as sentences.

    Raises
    ------
    ConfigError
        Another ending; a span in which there is nothing; Matplotlib is not installed.
    OSError
        It cannot be written.
    """
    if path.suffix not in FIGURE_ENDINGS:
        raise ConfigError(f"{path.name} does not say how to draw it.", f"Its name must end in {' or '.join(FIGURE_ENDINGS)}.")
    metadata = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None}
    return _draw(session, start, end, person, lambda figure: figure.savefig(path, metadata=metadata))


def preview_figure(
    session: Session, start: float | None = None, end: float | None = None, person: int | None = None, dots: float = 130.0
) -> tuple[bytes, list[str]]:
    """The same as a picture for the screen: PNG with so many `dots` an inch, and what could not be shown."""
    picture = io.BytesIO()
    said = _draw(session, start, end, person, lambda figure: figure.savefig(picture, format="png", dpi=dots))
    return picture.getvalue(), said


def _draw(
    session: Session, start: float | None, end: float | None, person: int | None, save: Callable[[Figure], None]
) -> list[str]:
    everybody = session.everybody()
    people = everybody if person is None else [everybody[person - 1]]
    length = max(one.seconds for one in people)
    first, last = start or 0.0, length if end is None else min(end, length)
    if not 0.0 <= first < last:
        problem = f"There is nothing to draw from {first:g} s to {last if end is None else end:g} s."
        raise ConfigError(problem, f"The session has {length:.2f} s.")
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError(
            "Figures need Matplotlib, which is not installed.", 'Install it: pip install "realtime-ser[figure]"'
        ) from error
    with matplotlib.rc_context(_STYLE):
        figure, said = _Drawing(people, first, last).draw()
        save(figure)
    return said


class _Person:
    """What is drawn of one person from `first` to `last` (seconds), and where."""

    def __init__(self, session: Session, first: float, last: float) -> None:
        self.session = session
        rate = session.header.sample_rate

        def within(row: Row) -> bool:
            return bool(row["start_sample"] / rate <= last and row["end_sample"] / rate >= first)

        self.utterances = [row for row in session.utterances() if within(row)]
        self.gaps = [row for row in session.gaps() if within(row)]
        self.has_words = any(row["corrected"] or row["words"] for row in self.utterances)
        self.blocks: Any = None
        self.words: Any = None
        self.scores: Any = None

    @property
    def heights(self) -> list[float]:
        """Of the lanes of blocks, words and scores, relative to each other."""
        return [0.75, 1.15 if self.has_words else 0.05, 3.4]


class _Drawing:
    """One figure; `first` and `last` in seconds."""

    def __init__(self, people: Sequence[Session], first: float, last: float) -> None:
        self._rate = people[0].header.sample_rate
        self._first, self._last = first, last
        self._looks = _looks(people[0].header.classes)
        self._people = [_Person(one, first, last) for one in people]
        self._markers = [row for row in people[0].markers() if first <= row["sample"] / self._rate <= last]

    def draw(self) -> tuple[Figure, list[str]]:
        """The figure, and what had no room in it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.legend_handler import HandlerTuple

        people = self._people
        figure = Figure(figsize=(_WIDTH, _HEIGHT + _MORE * (len(people) - 1)), layout="constrained")
        canvas = FigureCanvasAgg(figure)  # text is measured before it is drawn
        heights = [0.75 if self._markers else 0.05, *(height for one in people for height in one.heights)]
        marker_lane, *lanes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        engine: Any = figure.get_layout_engine()
        engine.set(hspace=0.0, h_pad=0.02, w_pad=0.06)
        _name_lane(marker_lane, "markers" * bool(self._markers))
        for number, one in enumerate(people):
            one.blocks, one.words, one.scores = lanes[3 * number : 3 * number + 3]
            _name_lane(one.blocks, one.session.name or "utterances", bold=bool(one.session.name))
            _name_lane(one.words, "words" * one.has_words)
            one.scores.set_ylabel("score")
            one.scores.set_ylim(-0.02, 1.02)
            one.scores.spines[["top", "right"]].set_visible(False)
            one.scores.tick_params(labelbottom=one is people[-1])
            self._draw_gaps(one)
            self._draw_lines(one)
            self._draw_blocks(one)
        people[-1].scores.set_xlim(self._first, self._last)
        people[-1].scores.set_xlabel("time (s)")
        for row in self._markers:
            # Not through the words, which have to be read.
            for lane in (marker_lane, *(lane for one in people for lane in (one.blocks, one.scores))):
                lane.axvline(row["sample"] / self._rate, color=_INK, linewidth=0.7, linestyle=(0, (2, 2)), zorder=4)
        handles, names = self._legend()
        together: Any = {tuple: HandlerTuple(None)}
        place: Any = "outside lower center"
        figure.legend(handles, names, handler_map=together, loc=place, ncols=4, frameon=False, handlelength=4.0)
        # Only now is known how wide a second is; from here on nothing may move.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        measure = _measure(canvas)
        cut = 0
        for one in people:
            self._label_blocks(one, measure)
            cut += self._label_words(one, measure) if one.has_words else 0
        unnamed = self._label_markers(marker_lane, measure)
        said = [f"The words of {cut} utterances were cut for want of room."] * bool(cut)
        said += [f"The names of {unnamed} markers were left out for want of room."] * bool(unnamed)
        return figure, [*said, *(["Draw a shorter span to show them."] if said else [])]

    # Shapes ---------------------------------------------------------------------------------------------------------------

    def _draw_gaps(self, person: _Person) -> None:
        for row in person.gaps:
            for lane in (person.blocks, person.words, person.scores):
                span = row["start_sample"] / self._rate, row["end_sample"] / self._rate
                lane.axvspan(*span, facecolor="white", edgecolor=_GAP, hatch="xxxx", linewidth=0.0, zorder=3)

    def _draw_blocks(self, person: _Person) -> None:
        lane = person.blocks
        for row in person.utterances:
            start, end = self._span(row)
            if is_bleed(row):
                lane.barh(0.5, end - start, 0.42, start, **_BLEED_LOOK)
                continue
            if row["label"] is None:
                lane.barh(0.5, end - start, 0.84, start, **_UNSURE_LOOK)
                continue
            look = self._looks[row["label"]]
            # The hatching in the class's colour on a tint of it, so that black letters can be read on both.
            lane.barh(0.5, end - start, 0.84, start, facecolor=_tint(look.colour), edgecolor=look.colour, hatch=look.hatch)
            lane.barh(0.5, end - start, 0.84, start, facecolor="none", edgecolor=_INK, linewidth=0.6)

    def _draw_lines(self, person: _Person) -> None:
        axes, bled = person.scores, {row["utterance"] for row in person.utterances if is_bleed(row)}
        windows = person.session.windows()
        centres = (windows.first + windows.length / 2) / self._rate
        chosen = (centres >= self._first) & (centres <= self._last)
        times, means = _thinned(centres[chosen], windows.scores[chosen], 1.5 * windows.length / self._rate)
        for index, look in enumerate(self._looks.values()):
            axes.plot(times, means[:, index], color=look.colour, alpha=0.35, linewidth=0.5, zorder=1)
        so_far: dict[int, list[Row]] = {}
        for row in person.session.estimates():
            # What is another's voice says nothing about this person.
            if self._first <= row["end_sample"] / self._rate <= self._last and row["utterance"] not in bled:
                so_far.setdefault(row["utterance"], []).append(row)
        stride = max(1, -(-sum(map(len, so_far.values())) // _POINTS))
        for rows in so_far.values():
            rows = [*rows[:-1:stride], rows[-1]]
            at = [row["end_sample"] / self._rate for row in rows]
            for name, look in self._looks.items():
                values = [row["scores"][name] for row in rows]
                axes.plot(at, values, color=look.colour, linestyle=look.dash, linewidth=1.3, zorder=2)

    def _legend(self) -> tuple[list[Any], list[str]]:
        """What is drawn for each class (block and line) and for what is no class, and their names."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        entries: list[tuple[Any, str]] = []
        for name, look in self._looks.items():
            block = Patch(facecolor=_tint(look.colour), edgecolor=look.colour, hatch=look.hatch)
            entries.append(((block, Line2D([], [], color=look.colour, linestyle=look.dash, linewidth=1.3)), name))
        everything = [row for one in self._people for row in one.utterances]
        if any(row["label"] is None and not is_bleed(row) for row in everything):
            entries.append((Patch(**_UNSURE_LOOK), "no label (abstained)"))
        if any(map(is_bleed, everything)):
            entries.append((Patch(**_BLEED_LOOK), "probably another\N{RIGHT SINGLE QUOTATION MARK}s voice"))
        if any(one.gaps for one in self._people):
            entries.append((Patch(facecolor="white", edgecolor=_GAP, hatch="xxxx"), "not heard"))
        entries.append((Line2D([], [], color=_INK, linewidth=1.3), "utterance so far"))
        entries.append((Line2D([], [], color=_INK, alpha=0.45, linewidth=0.5), "windows"))
        return [handle for handle, _ in entries], [name for _, name in entries]

    # Text -----------------------------------------------------------------------------------------------------------------

    def _span(self, row: Row) -> tuple[float, float]:
        return max(row["start_sample"] / self._rate, self._first), min(row["end_sample"] / self._rate, self._last)

    def _pixels(self, lane: Axes, row: Row) -> float:
        start, end = self._span(row)
        return float(lane.transData.transform((end, 0.0))[0] - lane.transData.transform((start, 0.0))[0])

    def _label_blocks(self, person: _Person, measure: Callable[[str, float], float]) -> None:
        lane = person.blocks
        for row in person.utterances:
            if is_bleed(row):
                continue
            label = row["label"] or row["state"]
            room = self._pixels(lane, row) - 4.0
            short = (label[:3], label[:1]) if row["label"] else ("?",)
            for text in (f"{label}\n{row['confidence']:.0%}", label, *short):
                if max(measure(line, 7.0) for line in text.split("\n")) <= room:
                    plate = {"facecolor": "white", "alpha": 0.8, "linewidth": 0.0, "pad": 0.6} if row["label"] else None
                    where = sum(self._span(row)) / 2.0
                    lane.text(where, 0.5, text, ha="center", va="center", fontsize=7, color=_INK, bbox=plate, linespacing=1.0)
                    break

    def _label_words(self, person: _Person, measure: Callable[[str, float], float]) -> int:
        """Write what was said under its block, in lines that fit; how many utterances were cut."""
        lane, cut = person.words, 0
        for row in person.utterances:
            if is_bleed(row):
                continue
            lines, whole = _wrapped(row["corrected"] or row["words"], self._pixels(lane, row), lambda text: measure(text, 6.0))
            cut += not whole
            text = "\n".join(lines)
            lane.text(
                self._span(row)[0], 0.96, text, ha="left", va="top", fontsize=6, color=_INK, parse_math=False, linespacing=1.05
            )
        return cut

    def _label_markers(self, lane: Axes, measure: Callable[[str, float], float]) -> int:
        """Write names beside their lines, in rows so that none covers another; how many found no place."""
        free = [-1e9] * _MARKER_ROWS
        right = float(lane.transAxes.transform((1.0, 0.0))[0])
        unnamed = 0
        for row in self._markers:
            at = float(lane.transData.transform((row["sample"] / self._rate, 0.0))[0])
            name = " ".join(row["name"].split())
            width = measure(name, 6.5) + 6.0
            # What would leave the figure on the right stands on the left of its line.
            left = at - width if at + width > right else at
            for level in range(_MARKER_ROWS):
                if free[level] <= left:
                    free[level] = left + width
                    offset, side = (3.0, "left") if left == at else (-3.0, "right")
                    lane.annotate(
                        name,
                        (row["sample"] / self._rate, 1.0 - (level + 0.5) / _MARKER_ROWS),
                        (offset * 0.72, 0.0),
                        textcoords="offset points",
                        ha=side,
                        va="center",
                        fontsize=6.5,
                        color=_INK,
                        parse_math=False,
                        bbox={"facecolor": "white", "linewidth": 0.0, "pad": 0.4},
                        zorder=5,
                    )
                    break
            else:
                unnamed += 1
        return unnamed


def _name_lane(lane: Axes, name: str, *, bold: bool = False) -> None:
    """Make a lane without an axis, named on its left."""
    lane.set_yticks([])
    lane.set_ylim(0.0, 1.0)
    lane.tick_params(bottom=False, labelbottom=False)
    lane.spines[:].set_visible(False)
    weight = "bold" if bold else "normal"
    lane.set_ylabel(textwrap.shorten(name, 18, placeholder="…"), rotation=0, ha="right", va="center", fontweight=weight)


def _looks(classes: Sequence[str]) -> dict[str, _Look]:
    """Known classes keep their colour; others get the spare ones in order."""
    looks: dict[str, _Look] = {}
    spare = 0
    for index, name in enumerate(classes):
        known = name.casefold()
        colour = _COLOURS.get(_ALSO.get(known, known))
        if colour is None:
            colour, spare = _SPARE[spare % len(_SPARE)], spare + 1
        looks[name] = _Look(colour, _HATCHES[index % len(_HATCHES)], _DASHES[index % len(_DASHES)])
    return looks


def _tint(colour: str) -> tuple[float, float, float]:
    """A third of a colour on white paper."""
    red, green, blue = (1.0 - (1.0 - int(colour[place : place + 2], 16) / 255.0) / 3.0 for place in (1, 3, 5))
    return red, green, blue


def _thinned(
    times: NDArray[np.float64], scores: NDArray[np.float32], longest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of consecutive windows, :data:`_POINTS` at most, with NaN where more than `longest` seconds lie between two."""
    if not len(times):
        return times, np.empty((0, scores.shape[1]))
    stride = max(1, -(-len(times) // _POINTS))
    edges = np.arange(0, len(times), stride)
    counts = np.diff([*edges, len(times)])
    at = np.add.reduceat(times, edges) / counts
    means = np.add.reduceat(scores.astype(float), edges, axis=0) / counts[:, np.newaxis]
    apart = np.flatnonzero(
        np.diff(at) > max(longest, 1.5 * stride * float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    )
    return np.insert(at, apart + 1, at[apart]), np.insert(means, apart + 1, np.nan, axis=0)


def _measure(canvas: Any) -> Callable[[str, float], float]:
    """What says how wide a line of text is, in the canvas' pixels."""
    from matplotlib.font_manager import FontProperties

    renderer = canvas.get_renderer()

    def width(text: str, points: float) -> float:
        return float(renderer.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)[0])

    return width


def _wrapped(text: str, room: float, measure: Callable[[str], float]) -> tuple[list[str], bool]:
    """Lines of whole words that fit into `room`, and whether they are all there; "…" stands for the rest."""
    words = text.split()
    lines: list[str] = []
    for position, word in enumerate(words):
        if lines and measure(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        elif len(lines) < _WORD_LINES and measure(word) <= room:
            lines.append(word)
        else:
            if lines:
                while lines[-1] and measure(f"{lines[-1]} …") > room:
                    lines[-1] = lines[-1].rpartition(" ")[0]
                lines[-1] = f"{lines[-1]} …".strip()
            elif measure("…") <= room:
                lines.append("…")
            return lines, position == len(words)
    return lines, True
