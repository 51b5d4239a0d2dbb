"""The filter-bank explorer, opened from the real window."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from realtime_ser.gui.explorer.scales import bark_from_hz, place, response_db
from realtime_ser.gui.explorer.window import PLOTS
from realtime_ser.gui.filterbank import sinc_kernels
from realtime_ser.gui.qt import Qt, QtGui, QtWidgets


def test_the_response_is_that_of_an_fft_and_bark_that_of_the_tables() -> None:
    kernel = sinc_kernels(np.array([500.0]), np.array([900.0]), 801, 16_000)
    expected = 20.0 * np.log10(np.maximum(np.abs(np.fft.rfft(kernel, 2_048)), 1e-6))
    np.testing.assert_allclose(response_db(kernel, np.fft.rfftfreq(2_048, 1 / 16_000), 16_000), expected, atol=1e-5)
    # Zwicker: 9 Bark is 1,080 Hz and 17 Bark is 3,700 Hz; the formula keeps within 0.1 Bark.
    np.testing.assert_allclose(bark_from_hz(np.array([1_080.0, 3_700.0])), [9.0, 17.0], atol=0.1)
    with pytest.raises(ValueError, match="scale must be"):
        place(1.0, "cent")


def test_the_explorer_is_worked_by_keys_and_follows_the_theme(drive: Callable[..., Any], qtbot: Any) -> None:
    driver = drive()
    driver.window.show_explorer()
    assert driver.window.explorer is None  # nothing is loaded yet
    driver.settle()
    driver.window.show_explorer()
    explorer = driver.window.explorer
    slider = explorer.findChild(QtWidgets.QSlider)
    first = explorer.description
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert explorer.chosen == 1
    assert explorer.description != first
    for scale in ("Bark", "Hz", "mel"):
        explorer.set_scale(scale)
        explorer.choose_at(float(place(8_000.0, scale)))
        assert explorer.chosen == slider.maximum()
    before = explorer.grab().toImage().pixelColor(2, 2)
    driver.window.toggle_theme()
    assert explorer.grab().toImage().pixelColor(2, 2) != before
    with pytest.raises(IndexError):
        explorer.choose(-1)


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_exported_and_read_back(drive: Callable[..., Any], tmp_path: Path, name: str) -> None:
    driver = drive()
    driver.settle()
    driver.window.show_explorer()
    explorer = driver.window.explorer
    explorer.choose(3)
    for kind in ("svg", "png", "csv"):
        explorer.export(name, tmp_path / f"plot.{kind}")
    with (tmp_path / "plot.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for column, values in explorer.numbers(name).items():
        np.testing.assert_array_equal([float(row[column]) for row in rows], values)
    image = QtGui.QImage(str(tmp_path / "plot.png"))
    colours = {image.pixel(x, y) for x in range(image.width()) for y in range(0, image.height(), 3)}
    assert len(colours) > 3  # panel, well, a curve and its axis at the least
    root = ElementTree.parse(tmp_path / "plot.svg").getroot()
    assert root.tag.endswith("svg")
    assert sum(1 for element in root.iter() if element.tag.endswith(("path", "polyline", "text"))) > 10
    with pytest.raises(ValueError, match="exported as"):
        explorer.export(name, tmp_path / "plot.gif")
    with pytest.raises(OSError):
        explorer.export(name, tmp_path / "nowhere" / "plot.svg")
