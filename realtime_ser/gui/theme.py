"""Colours, shapes and numbers as they look: everything that decides the window's appearance, and no Qt.

Nothing is told by colour alone: every class has a shape beside its colour, every state a word. The class colours are Okabe and
Ito's, lightened or darkened until they can be read as text on their theme's panels (WCAG AA) and are told apart with any of the
three colour deficiencies (both tested).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DARK",
    "LIGHT",
    "PALETTES",
    "ClassStyle",
    "Palette",
    "Shape",
    "blend",
    "class_styles",
    "contrast",
    "heat_table",
    "ink_on",
    "progress_ground",
    "style_sheet",
]


class Shape(StrEnum):
    """The shape that goes with a class's colour."""

    UP = "triangle up"
    CIRCLE = "circle"
    SQUARE = "square"
    DOWN = "triangle down"
    DIAMOND = "diamond"
    CROSS = "cross"
    BAR = "bar"
    RING = "ring"


_GLYPHS = {
    Shape.UP: "▲",
    Shape.CIRCLE: "●",
    Shape.SQUARE: "■",
    Shape.DOWN: "▼",
    Shape.DIAMOND: "◆",
    Shape.CROSS: "✚",
    Shape.BAR: "▬",
    Shape.RING: "○",
}


@dataclass(frozen=True, slots=True)
class ClassStyle:
    """How a class is drawn: its name as in the bundle, its colour as ``#rrggbb``, its shape."""

    name: str
    colour: str
    shape: Shape

    @property
    def glyph(self) -> str:
        """The shape as a character, for running text."""
        return _GLYPHS[self.shape]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme, as ``#rrggbb``.

    Attributes
    ----------
    window, panel, well
        Behind everything; of panels; of plots, bars and fields inside panels.
    line, edge, grid
        Borders of buttons; of fields, boxes and ticks, which nothing else tells apart from their ground; of panels, and lines
        inside plots.
    text, dim
        Text; secondary text (readable as text too).
    accent, good, warning, error
        Focus and links; fine; look here; failed.
    record
        The light that says that a microphone is open.
    ghost
        What was before training, drawn behind what is now.
    unsure
        A verdict without a label.
    classes
        Colours of the known classes.
    spare
        Colours of classes that are not known here, in order.
    heat
        Stops of the colour scale for energies, from none to most.
    """

    name: str
    window: str
    panel: str
    well: str
    line: str
    edge: str
    grid: str
    text: str
    dim: str
    accent: str
    good: str
    warning: str
    error: str
    record: str
    ghost: str
    unsure: str
    classes: dict[str, str]
    spare: tuple[str, ...]
    heat: tuple[str, ...]


DARK = Palette(
    name="dark",
    window="#101317",
    panel="#191d23",
    well="#11151a",
    line="#3a424d",
    edge="#6a7582",
    grid="#2a313a",
    text="#e9edf1",
    dim="#a3adb8",
    accent="#5cc8d7",
    good="#6fcf97",
    warning="#f2c14e",
    error="#ff8a80",
    record="#ff4d4f",
    ghost="#7d8894",
    unsure="#b4bcc6",
    classes={"anger": "#ff7b4d", "happiness": "#f5d13d", "neutral": "#c9d1da", "sadness": "#56b4e9"},
    spare=("#4fd1a5", "#d99ac5", "#b79cf0", "#9fd356"),
    heat=("#11151a", "#1d2a4d", "#35508a", "#2f8a8f", "#6fbf6b", "#e8d95a", "#fffbe0"),
)

LIGHT = Palette(
    name="light",
    window="#e6e9ec",
    panel="#fbfcfd",
    well="#f0f2f5",
    line="#b3bcc6",
    edge="#757f8a",
    grid="#d5dbe1",
    text="#171c21",
    dim="#4f5a66",
    accent="#00697a",
    good="#17713a",
    warning="#855300",
    error="#b3261e",
    record="#c8102e",
    ghost="#76818d",
    unsure="#5b6672",
    classes={"anger": "#941a00", "happiness": "#856200", "neutral": "#5f6770", "sadness": "#004b8d"},
    spare=("#00735a", "#96417a", "#6440b0", "#4b6a00"),
    heat=("#f0f2f5", "#cfdcea", "#93b9d6", "#4f93b8", "#2f6a8f", "#254066", "#141c33"),
)

_ICONS = Path(__file__).parent / "icons"
"""Of Qt's style sheets, a drop-down's arrow and a tick can only be pictures."""

PALETTES = {palette.name: palette for palette in (DARK, LIGHT)}

_KNOWN: dict[str, tuple[str, Shape]] = {
    "anger": ("anger", Shape.UP),
    "angry": ("anger", Shape.UP),
    "happiness": ("happiness", Shape.CIRCLE),
    "happy": ("happiness", Shape.CIRCLE),
    "joy": ("happiness", Shape.CIRCLE),
    "neutral": ("neutral", Shape.SQUARE),
    "sadness": ("sadness", Shape.DOWN),
    "sad": ("sadness", Shape.DOWN),
}
_SPARE_SHAPES = (Shape.DIAMOND, Shape.CROSS, Shape.BAR, Shape.RING)


def class_styles(names: tuple[str, ...], palette: Palette) -> tuple[ClassStyle, ...]:
    """The style of every class; known names keep their colour and shape, others get the spare ones in order."""
    styles = []
    spare = 0
    for name in names:
        known = _KNOWN.get(name.casefold())
        if known is not None:
            styles.append(ClassStyle(name, palette.classes[known[0]], known[1]))
        else:
            colour = palette.spare[spare % len(palette.spare)]
            styles.append(ClassStyle(name, colour, _SPARE_SHAPES[spare % len(_SPARE_SHAPES)]))
            spare += 1
    return tuple(styles)


def _channels(colour: str) -> tuple[int, int, int]:
    if len(colour) != 7 or not colour.startswith("#"):
        raise ValueError(f"a colour is written #rrggbb, got {colour!r}")
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two colours, from 1 to 21."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@cache
def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour`."""
    return max(("#0b0d10", "#ffffff"), key=lambda ink: contrast(ink, colour))


@cache
def blend(front: str, back: str, share: float) -> str:
    """`share` of `front` over `back`; what an opacity of `share` would show."""
    mixed = (round(share * f + (1.0 - share) * b) for f, b in zip(_channels(front), _channels(back), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def heat_table(palette: Palette) -> NDArray[np.uint8]:
    """The palette's energy scale as 256 colours, shape ``(256, 3)``."""
    stops = np.array([_channels(colour) for colour in palette.heat], dtype=float)
    at = np.linspace(0.0, 1.0, len(stops))
    grid = np.linspace(0.0, 1.0, 256)
    return np.stack([np.interp(grid, at, stops[:, channel]) for channel in range(3)], axis=1).round().astype(np.uint8)


def progress_ground(palette: Palette) -> str:
    """What is done of a progress bar: text stands over it, and over the rest."""
    return blend(palette.good, palette.well, 0.45)


def style_sheet(palette: Palette) -> str:
    """Qt style sheet of the theme; object names and the ``role`` property are set by the panels."""
    p = palette
    arrow, tick = ((_ICONS / f"{name}-{p.name}.svg").as_posix() for name in ("down", "check"))
    return f"""
    QWidget {{ color: {p.text}; font-size: 12px; }}
    QMainWindow, QDialog, QWidget#root {{ background: {p.window}; }}
    QFrame#panel {{ background: {p.panel}; border: 1px solid {p.grid}; border-radius: 6px; }}
    QFrame#bar {{ background: {p.panel}; border: 1px solid {p.grid}; border-radius: 6px; }}
    QLabel {{ background: transparent; }}
    QLabel[role="title"] {{ color: {p.dim}; font-size: 11px; font-weight: 600; }}
    QLabel[role="dim"] {{ color: {p.dim}; }}
    QLabel[role="small"] {{ color: {p.dim}; font-size: 11px; }}
    QLabel[role="clock"] {{ font-size: 20px; font-weight: 500; }}
    QLabel[role="state"] {{ font-size: 12px; font-weight: 700; }}
    QPushButton, QToolButton, QComboBox {{
        background: {p.well}; border: 1px solid {p.line}; border-radius: 4px; padding: 4px 10px; min-height: 20px;
    }}
    QComboBox {{ border-color: {p.edge}; }}
    QToolButton {{ padding: 2px 8px; min-height: 18px; }}
    QPushButton:hover, QToolButton:hover, QComboBox:hover {{ border-color: {p.accent}; }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus, QScrollArea:focus {{ border: 1px solid {p.accent}; }}
    QPushButton:pressed, QToolButton:pressed {{ background: {p.grid}; }}
    QPushButton:disabled, QToolButton:disabled, QComboBox:disabled {{ color: {p.dim}; border-color: {p.grid}; }}
    QToolButton:checked {{ background: {p.accent}; color: {ink_on(p.accent)}; border-color: {p.accent}; }}
    QPushButton#primary {{ font-weight: 700; padding: 4px 16px; }}
    QPushButton#primary[running="false"]:enabled {{
        background: {p.accent}; color: {ink_on(p.accent)}; border-color: {p.accent};
    }}
    QPushButton#primary[running="true"]:enabled {{ border-color: {p.record}; color: {p.text}; }}
    QPushButton#link {{
        border: none; background: transparent; color: {p.accent}; padding: 0 2px; min-height: 14px; font-size: 11px;
    }}
    QPushButton#link:focus {{ border: 1px solid {p.accent}; }}
    QPushButton#link:hover {{ text-decoration: underline; }}
    QComboBox {{ padding-right: 4px; placeholder-text-color: {p.dim}; }}
    QComboBox::drop-down {{ border: none; width: 22px; }}
    QComboBox::down-arrow {{ image: url("{arrow}"); width: 12px; height: 12px; }}
    QComboBox::down-arrow:disabled {{ image: none; }}
    QComboBox QLineEdit {{ border: none; background: transparent; padding: 0; min-height: 0; }}
    QComboBox QAbstractItemView {{
        background: {p.panel}; color: {p.text}; border: 1px solid {p.line}; outline: none;
        selection-background-color: {p.accent}; selection-color: {ink_on(p.accent)};
    }}
    QScrollArea, QScrollArea > QWidget > QWidget#rows {{ background: transparent; border: 1px solid transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {p.line}; border-radius: 4px; min-height: 24px; margin: 1px; }}
    QScrollBar::handle:horizontal {{ background: {p.line}; border-radius: 4px; min-width: 24px; margin: 1px; }}
    QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
        background: transparent; border: none; height: 0; width: 0;
    }}
    QToolTip {{ background: {p.panel}; color: {p.text}; border: 1px solid {p.line}; padding: 3px; }}
    QFrame#notice {{ border-radius: 6px; border: 1px solid {p.line}; background: {p.panel}; }}
    QFrame#recording {{ border-radius: 6px; border: 1px solid {p.record}; background: {p.panel}; }}
    QLineEdit, QPlainTextEdit, QAbstractSpinBox {{
        background: {p.well}; border: 1px solid {p.edge}; border-radius: 4px; padding: 4px 8px;
        placeholder-text-color: {p.dim}; selection-background-color: {p.accent}; selection-color: {ink_on(p.accent)};
    }}
    QLineEdit, QAbstractSpinBox {{ min-height: 20px; }}
    QLineEdit:disabled, QPlainTextEdit:disabled, QAbstractSpinBox:disabled {{ color: {p.dim}; border-color: {p.grid}; }}
    QAbstractSpinBox QLineEdit {{ border: none; background: transparent; padding: 0; min-height: 0; }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 0; border: none; }}
    QListWidget, QTableView {{
        background: {p.well}; alternate-background-color: {p.panel}; border: 1px solid {p.line}; gridline-color: {p.grid};
        selection-background-color: {p.accent}; selection-color: {ink_on(p.accent)};
    }}
    QTableView {{ outline: none; }}
    QTableView::item:focus:!selected {{ border: 1px solid {p.accent}; }}
    QListWidget:focus, QTableView:focus {{ border: 1px solid {p.accent}; }}
    QHeaderView, QTableCornerButton::section {{ background: {p.panel}; border: none; }}
    QHeaderView::section {{
        background: {p.panel}; color: {p.dim}; border: none; border-right: 1px solid {p.grid};
        border-bottom: 1px solid {p.grid}; padding: 2px 4px;
    }}
    QSlider:horizontal {{ min-height: 20px; }}
    QSlider::groove:horizontal {{ background: {p.line}; height: 4px; border-radius: 2px; }}
    QSlider::sub-page:horizontal {{ background: {p.accent}; height: 4px; border-radius: 2px; }}
    QSlider::handle:horizontal {{
        background: {p.panel}; border: 2px solid {p.accent}; width: 10px; margin: -6px 0; border-radius: 7px;
    }}
    QSlider::handle:horizontal:focus {{ background: {p.accent}; }}
    QSlider::handle:horizontal:disabled {{ border-color: {p.line}; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QCheckBox {{ spacing: 8px; }}
    QCheckBox:disabled {{ color: {p.dim}; }}
    QCheckBox::indicator {{
        width: 12px; height: 12px; border: 1px solid {p.edge}; border-radius: 3px; background: {p.well}; padding: 1px;
    }}
    QCheckBox::indicator:checked {{ background: {p.accent}; border-color: {p.accent}; image: url("{tick}"); padding: 1px; }}
    QCheckBox::indicator:focus, QCheckBox:focus {{ border-color: {p.accent}; }}
    QProgressBar {{
        background: {p.well}; border: 1px solid {p.line}; border-radius: 4px; min-height: 14px; text-align: center;
    }}
    QProgressBar::chunk {{ background: {progress_ground(p)}; border-radius: 3px; }}
    QLineEdit:focus, QPlainTextEdit:focus, QAbstractSpinBox:focus {{ border: 1px solid {p.accent}; }}
    QFrame#notice[severity="error"] {{ border: 1px solid {p.error}; }}
    QFrame#notice[severity="warning"] {{ border: 1px solid {p.warning}; }}
    QTextBrowser {{ background: {p.panel}; border: 1px solid {p.grid}; border-radius: 6px; padding: 8px; }}
    QSplitter::handle {{ background: transparent; }}
    """
