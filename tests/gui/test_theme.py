"""Legibility (WCAG 2 AA) and colour blindness, computed."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from realtime_ser.gui.panels.recording import MARKER_COLOURS
from realtime_ser.gui.theme import (
    PALETTES,
    Palette,
    Shape,
    blend,
    class_styles,
    contrast,
    heat_table,
    ink_on,
    progress_ground,
    style_sheet,
)

CLASSES = ("anger", "happiness", "neutral", "sadness")
# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]),
}
palettes = pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)


def lab(colour: str, deficiency: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as seen with a deficiency."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(deficiency @ linear, 0.0, 1.0)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    ratio = to_xyz @ seen / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@palettes
def test_all_text_is_legible(palette: Palette) -> None:
    inks = [palette.text, palette.dim, palette.accent, palette.warning, palette.error, palette.unsure, palette.good]
    inks += [style.colour for style in class_styles((*CLASSES, "fear", "disgust", "surprise", "calm"), palette)]
    for ink in inks:
        for ground in (palette.panel, palette.well, palette.window):
            assert contrast(ink, ground) >= 4.5, (ink, ground)


@palettes
def test_text_on_coloured_ground_is_legible(palette: Palette) -> None:
    grounds = [*palette.classes.values(), *palette.spare, palette.accent, palette.error]
    for ground in grounds:
        assert contrast(ink_on(ground), ground) >= 4.5, ground
    for ground in (palette.grid, progress_ground(palette)):
        assert contrast(palette.text, ground) >= 4.5, ground
    for ground in (*MARKER_COLOURS, palette.record, palette.good, palette.warning):
        assert contrast(ink_on(ground), ground) >= 4.5, ground
    # Words of a transcript fade with the recogniser's doubt, verdicts that are being made with the voice's.
    for share in np.linspace(0.0, 1.0, 5):
        assert contrast(blend(palette.text, palette.dim, share), palette.panel) >= 4.5


@palettes
def test_graphics_stand_out(palette: Palette) -> None:
    # WCAG 1.4.11: what one must see to use a control, or to understand a picture.
    for colour in (palette.record, palette.ghost, palette.edge, palette.accent, *palette.classes.values()):
        for ground in (palette.panel, palette.well, palette.window):
            assert contrast(colour, ground) >= 3.0, (colour, ground)


@palettes
def test_every_picture_that_the_style_sheet_names_is_there(palette: Palette) -> None:
    pictures = re.findall(r'url\("([^"]+)"\)', style_sheet(palette))
    assert len(pictures) == 2
    for picture in pictures:
        drawing = Path(picture).read_text()
        (ink,) = re.findall(r'stroke="(#[0-9a-f]{6})"', drawing)
        ground = palette.accent if Path(picture).name.startswith("check") else palette.well
        assert contrast(ink, ground) >= 3.0, picture


@palettes
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_class_colours_differ_for_everybody(palette: Palette, deficiency: str) -> None:
    matrix = DEFICIENCIES[deficiency]
    for (one, first), (other, second) in combinations(palette.classes.items(), 2):
        # A difference of 2.3 is just noticeable side by side; ten is plain also apart from each other.
        assert np.linalg.norm(lab(first, matrix) - lab(second, matrix)) >= 10.0, (one, other)


@palettes
def test_every_class_has_its_own_shape(palette: Palette) -> None:
    styles = class_styles((*CLASSES, "fear", "disgust", "surprise"), palette)
    assert len({style.shape for style in styles}) == 7
    assert len({style.colour for style in styles}) == 7
    assert [style.shape for style in styles[:4]] == [Shape.UP, Shape.CIRCLE, Shape.SQUARE, Shape.DOWN]
    assert class_styles(("Angry", "sad"), palette)[0].colour == palette.classes["anger"]


@palettes
def test_the_energy_scale_rises_steadily(palette: Palette) -> None:
    table = heat_table(palette)
    assert table.shape == (256, 3)
    ground = "#" + "".join(f"{value:02x}" for value in table[0])
    lightness = [contrast("#" + "".join(f"{v:02x}" for v in row), ground) for row in table[::16]]
    assert (np.diff(lightness) > -0.05).all()


def test_blend_is_a_mixture() -> None:
    assert blend("#ffffff", "#000000", 0.0) == "#000000"
    assert blend("#ff0000", "#0000ff", 0.5) == "#800080"
    with pytest.raises(ValueError, match="#rrggbb"):
        blend("red", "#000000", 0.5)
