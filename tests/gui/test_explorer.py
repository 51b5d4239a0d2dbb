"""The filter-bank explorer: opened from the real window, and alone with the shipped bundle."""

from __future__ import annotations

import csv
import dataclasses
import errno
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from realtime_ser.bundle.filter_files import CutoffHistory
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.controller import Controller
from realtime_ser.gui.explorer import compare_page
from realtime_ser.gui.explorer.comparison import Comparison
from realtime_ser.gui.explorer.exports import export_failure
from realtime_ser.gui.explorer.page import PlotView
from realtime_ser.gui.explorer.scales import bark_from_hz, place, ticks
from realtime_ser.gui.explorer.study import Study
from realtime_ser.gui.explorer.training_page import STATE_SECONDS
from realtime_ser.gui.explorer.window import READ_SECONDS, ExplorerWindow
from realtime_ser.gui.panels.panel import Look, minus
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.theme import DARK, LIGHT, class_styles

FILTERS, CLASSES, TRAINING, COMPARE = range(4)


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle("default-bundle")


@pytest.fixture(scope="module")
def study(shipped: Bundle) -> Study:
    """The shipped bundle, as if its filters had gone from where they began to where they are in four steps."""
    filters = shipped.manifest.acoustic.filters
    share = np.array([0.0, 0.4, 0.7, 0.9, 1.0])[:, None]
    low, high = (
        tuple(tuple(row) for row in np.array(first) + share * (np.array(last) - np.array(first)))
        for first, last in ((filters.initial_low_hz, filters.low_hz), (filters.initial_high_hz, filters.high_hz))
    )
    history = CutoffHistory((0, 10, 20, 30, 40), (None, -1.0, -0.9, -0.95, -0.85), low, high, 40)
    return dataclasses.replace(Study.of_bundle(shipped), history=history)


def look_of(bundle: Bundle, palette: Any = DARK) -> Look:
    return Look(palette, class_styles(bundle.manifest.classes, palette))


def settle(explorer: ExplorerWindow) -> None:
    """Tick until the page that is shown is built and drawn."""
    while explorer.tick():
        pass
    assert explorer.page.built
    QtWidgets.QApplication.processEvents()


@pytest.fixture
def explorer(qtbot: Any, study: Study, shipped: Bundle, no_thread_left: None) -> Iterator[ExplorerWindow]:
    window = ExplorerWindow(study, look_of(shipped))
    qtbot.addWidget(window)
    window.show()
    settle(window)
    yield window
    window.end()


def open_page(explorer: ExplorerWindow, number: int) -> Any:
    explorer.show_page(number)
    settle(explorer)
    return explorer.page


def test_a_page_is_drawn_once_everything_is_there_and_its_views_one_a_turn(study: Study, shipped: Bundle, qtbot: Any) -> None:
    explorer = ExplorerWindow(study, look_of(shipped))
    qtbot.addWidget(explorer)
    explorer.show()
    turns = 0
    while not explorer.page.built:
        assert explorer.tick(), "whoever owns it has enough to do"
        turns += 1
        assert not any(view.updatesEnabled() for view in explorer.page.findChildren(PlotView))
    assert turns > 1
    assert explorer.page.look is None
    assert explorer.tick()
    assert explorer.page.look is not None
    views = explorer.page.findChildren(PlotView)
    for drawn in range(len(views)):
        assert sum(view.updatesEnabled() for view in views) == drawn
        assert explorer.tick()
    assert all(view.updatesEnabled() for view in views)
    assert not explorer.tick()
    explorer.end()


# Filters --------------------------------------------------------------------------------------------------------------------


def test_bark_is_that_of_the_tables_and_marks_lie_on_the_axis() -> None:
    # Zwicker: 9 Bark is 1,080 Hz and 17 Bark is 3,700 Hz; the formula keeps within 0.1 Bark.
    np.testing.assert_allclose(bark_from_hz(np.array([1_080.0, 3_700.0])), [9.0, 17.0], atol=0.1)
    with pytest.raises(ValueError, match="scale must be"):
        place(1.0, "cent")
    marks = {label: position for position, label in ticks("Bark", 4_000.0)}
    assert marks["4,000"] == float(bark_from_hz(4_000.0))
    assert "8,000" not in marks
    assert len(ticks("mel", 8_000.0, coarse=True)) < len(ticks("mel", 8_000.0))


def test_the_window_opens_it_and_it_is_worked_by_keys_and_follows_the_theme(drive: Callable[..., Any], qtbot: Any) -> None:
    driver = drive()
    driver.window.show_explorer()
    assert driver.window.explorer is None  # nothing is loaded yet
    driver.settle()
    driver.window.show_explorer()
    driver.tick()
    explorer = driver.window.explorer
    slider = explorer.filters.slider
    first = explorer.description
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert explorer.filters.chosen == 1
    assert explorer.description != first
    for scale in ("Bark", "Hz", "mel"):
        explorer.set_scale(scale)
        explorer.filters.choose(explorer.filters.nearest(float(place(8_000.0, scale))))
        assert explorer.filters.chosen == slider.maximum()
    with pytest.raises(ValueError, match="scale must be"):
        explorer.set_scale("cent")
    with pytest.raises(IndexError):
        explorer.filters.choose(-1)
    before = explorer.grab().toImage().pixelColor(2, 2)
    driver.window.toggle_theme()
    driver.tick()
    assert explorer.grab().toImage().pixelColor(2, 2) != before
    assert explorer.focusWidget() is slider
    # A bundle without either says so.
    for number, words in ((CLASSES, "does not say which filters"), (TRAINING, "does not carry the history")):
        qtbot.keyClick(explorer, Qt.Key(Qt.Key.Key_1 + number), Qt.KeyboardModifier.AltModifier)
        driver.tick()
        assert words in explorer.description
        assert explorer.plots() == ()


def test_the_real_controller_hands_over_what_the_bundle_says(drive: Callable[..., Any], shipped: Bundle) -> None:
    view = Controller("default-bundle", "none").bundle()
    assert view.reliance == shipped.reliance
    assert view.history is None


def test_a_choice_is_drawn_once_and_adds_nothing(explorer: ExplorerWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    page = explorer.filters
    drawn: list[int] = []
    original = page.show_choice
    monkeypatch.setattr(page, "show_choice", lambda number: (drawn.append(number), original(number)))
    redraws: list[str] = []
    whole = page.draw
    monkeypatch.setattr(page, "draw", lambda palette: (redraws.append(page.scale), whole(palette)))
    items = [len(plot.items) for plot in page.plots.values()]
    page.choose(5)
    page.choose(5)
    page.slider.setValue(9)
    assert drawn == [5, 9]
    explorer.set_scale("Hz")
    explorer.set_scale("Hz")
    assert redraws == ["Hz"]
    assert [len(plot.items) for plot in page.plots.values()] == items
    # What is drawn is the filter chosen.
    bank = page._bank
    x, y = page._both_impulses[1].getData()
    np.testing.assert_array_equal(x, bank.milliseconds)
    np.testing.assert_allclose(y * np.abs(bank.kernels[9]).max(), bank.kernels[9], atol=1e-12)


def view_of(page: Any) -> PlotView:
    return page.findChildren(PlotView)[0]


def move_pointer(page: Any, plot: Any, x: float, height: float = 0.5) -> QtCore.QPoint:
    """Move the pointer to `x` on a plot's frequency axis; returns where that is on the view's viewport."""
    view, box = view_of(page), plot.getViewBox()
    low, high = box.viewRange()[1]
    point = view.mapFromScene(box.mapViewToScene(QtCore.QPointF(x, low + height * (high - low))))
    viewport = view.viewport()
    none = Qt.MouseButton.NoButton
    event = QtGui.QMouseEvent(
        QtCore.QEvent.Type.MouseMove,
        QtCore.QPointF(point),
        QtCore.QPointF(viewport.mapToGlobal(point)),
        none,
        none,
        Qt.KeyboardModifier.NoModifier,
    )
    QtWidgets.QApplication.sendEvent(viewport, event)
    return point


@pytest.mark.parametrize("name", ["bands", "movement", "bandwidth", "summed response"])
def test_the_filter_under_the_pointer_is_shown_and_a_click_keeps_it(qtbot: Any, explorer: ExplorerWindow, name: str) -> None:
    page = explorer.filters
    wanted = 60
    x = float(page.at(page._bank.centre[wanted]))
    point = move_pointer(page, page.plots[name], x)
    qtbot.waitUntil(lambda: abs(page.shown - wanted) <= 1, timeout=5_000)  # a pixel may be nearer to the next filter
    pointed = page.shown
    assert page.chosen == 0
    assert "a click keeps it" in explorer.description
    shown = explorer.numbers("response")["learnt_db"]
    np.testing.assert_array_equal(page._both_responses[1].getData()[1], shown)
    # Away from it, the one that is chosen comes back.
    QtWidgets.QApplication.sendEvent(view_of(page), QtCore.QEvent(QtCore.QEvent.Type.Leave))
    assert page.shown == 0
    assert "a click keeps it" not in explorer.description
    qtbot.mouseClick(view_of(page).viewport(), Qt.MouseButton.LeftButton, pos=point)
    qtbot.waitUntil(lambda: page.chosen == pointed, timeout=5_000)
    assert page.slider.value() == pointed


# Classes --------------------------------------------------------------------------------------------------------------------


def test_what_the_bundle_says_of_its_classes_is_what_is_drawn_and_said(
    explorer: ExplorerWindow, shipped: Bundle, qtbot: Any
) -> None:
    page = open_page(explorer, CLASSES)
    reliance = shipped.reliance
    assert reliance is not None
    assert [name for name in explorer.plots() if name in reliance.classes] == list(reliance.classes)
    highest = int(np.argmax(reliance.fall[0]))
    page.choose(highest)  # groups are stored from low to high
    assert f"anger {reliance.fall[0][highest]:+.2f}" in explorer.description
    low, high = reliance.interval[0][highest]
    assert f"[{low:+.2f}, {high:+.2f}]" in explorer.description
    np.testing.assert_array_equal(page._means[0].getData()[1], reliance.fall[0])
    numbers = explorer.numbers("anger")
    assert [column for column in numbers if "happiness" in column] == []
    filters = shipped.manifest.acoustic.filters
    group = reliance.groups[highest]
    assert numbers["bands"][highest].split() == [str(band) for band in group]
    assert numbers["low_hz"][highest] == min(filters.low_hz[band] for band in group)
    assert numbers["high_hz"][highest] == max(filters.high_hz[band] for band in group)
    # A lane a class, one below the other, and what is chosen at the same place in all of them.
    lanes = [plot.getViewBox().sceneBoundingRect() for plot in page._lanes]
    assert {(lane.left(), lane.width()) for lane in lanes} == {(lanes[0].left(), lanes[0].width())}
    assert all(above.bottom() < below.top() for above, below in itertools.pairwise(lanes))
    assert {float(line.getData()[0][0]) for line in page._cursors} == {float(page.at(page._centre[highest]))}
    assert page.slider.width() < 0.5 * page.width(), "as wide as the lanes it would be taken for their axis"
    # The same by pointer and by keys.
    move_pointer(page, page.plots["sadness"], float(page.at(page._centre[40])))
    qtbot.waitUntil(lambda: abs(page.shown - 40) <= 1, timeout=5_000)
    qtbot.keyClick(page.slider, Qt.Key.Key_Home)
    assert page.chosen == 0
    # It says what it is and what it is not.
    text = " ".join(label.text() for label in page.findChildren(QtWidgets.QLabel))
    for words in ("validation speakers", reliance.date, "not what an emotion sounds like", "95 % interval"):
        assert words in text


def test_groups_are_drawn_by_frequency_whatever_their_order(qtbot: Any, study: Study, shipped: Bundle) -> None:
    assert study.reliance is not None
    backwards = msgspec.structs.replace(
        study.reliance,
        groups=study.reliance.groups[::-1],
        fall=tuple(row[::-1] for row in study.reliance.fall),
        interval=tuple(row[::-1] for row in study.reliance.interval),
    )
    windows = [
        ExplorerWindow(dataclasses.replace(study, reliance=one), look_of(shipped)) for one in (study.reliance, backwards)
    ]
    tables = []
    for window in windows:
        qtbot.addWidget(window)
        open_page(window, CLASSES)
        tables.append(window.numbers("all classes"))
    for name, column in tables[0].items():
        np.testing.assert_array_equal(column, tables[1][name])


# Training -------------------------------------------------------------------------------------------------------------------


def test_the_training_plays_when_asked_and_stops_at_its_end(explorer: ExplorerWindow, study: Study, qtbot: Any) -> None:
    page = open_page(explorer, TRAINING)
    assert study.history is not None
    for moment in range(20):
        page.tick(float(moment))
    assert page.state == 0  # nothing moves by itself
    assert "after batch 0 of 40" in explorer.description
    qtbot.keyClick(explorer, Qt.Key.Key_P, Qt.KeyboardModifier.AltModifier)
    assert page.playing
    seen, now = [page.state], 100.0
    while page.playing:
        page.tick(now)
        now += STATE_SECONDS
        if page.state != seen[-1]:
            seen.append(page.state)
    assert seen == [0, 1, 2, 3, 4]
    assert "the bundle's filters" in explorer.description
    assert "cross-entropy on validation speakers 0.850" in explorer.description
    np.testing.assert_allclose(
        np.sort(explorer.numbers("cutoffs of the state")["low_hz"]), np.sort(np.array(study.history.low_hz[4]))
    )
    # From its end it begins anew; keys on the slider, another page and closing stop it.
    page.toggle()
    assert (page.playing, page.state) == (True, 0)
    explorer.show_page(FILTERS)
    assert not page.playing
    explorer.show_page(TRAINING)
    qtbot.keyClick(page.slider, Qt.Key.Key_End)
    assert page.state == 4
    # A click among the batches shows the nearest state.
    box = page.plots["validation over the training"].getViewBox()
    page._view.clicked.emit(box.mapViewToScene(QtCore.QPointF(12.0, float(box.viewRange()[1][0]) + 1e-3)))
    assert page.state == 1
    # Between two states nothing is drawn that was not measured.
    page.slider.setValue(2)
    _, drawn = page._shift_now.getData()
    order = page._order
    centre = (np.array(study.history.low_hz) + np.array(study.history.high_hz))[:, order] / 2
    np.testing.assert_allclose(drawn, centre[2] - centre[0])


# Compare --------------------------------------------------------------------------------------------------------------------


def finish_loading(qtbot: Any, explorer: ExplorerWindow) -> None:
    def loaded() -> bool:
        explorer.tick()
        return not explorer.comparison.loading

    qtbot.waitUntil(loaded, timeout=20_000)
    QtWidgets.QApplication.processEvents()


def compare_with(qtbot: Any, explorer: ExplorerWindow, choice: Path | str) -> Any:
    page = open_page(explorer, COMPARE)
    page.choice.setEditText(str(choice))
    page.load()
    assert page.loading
    finish_loading(qtbot, explorer)
    return page


def test_banks_of_different_size_are_paired_from_the_lowest_to_the_highest(shipped: Bundle, random_bundle: Path) -> None:
    first, second = (Study.of_bundle(bundle).bank for bundle in (shipped, load_bundle(random_bundle)))
    for one, other in ((first, second), (second, first)):
        comparison = Comparison.of(one, other)
        assert comparison.pairs == 88
        assert comparison.ranks[0].tolist() == [0, 0]
        assert comparison.ranks[-1].tolist() == [one.bands - 1, other.bands - 1]
        assert (np.diff(comparison.ranks, axis=0) >= 0).all()
        assert {int(rank) for rank in comparison.ranks[:, 0]} == set(range(one.bands))
        assert {int(rank) for rank in comparison.ranks[:, 1]} == set(range(other.bands))
    same = Comparison.of(first, first)
    np.testing.assert_array_equal(same.ranks, np.repeat(np.arange(88), 2).reshape(88, 2))
    assert same.describe() == "The filters of both bundles are the same."
    table = Comparison.of(first, second).columns()
    np.testing.assert_allclose(table["centre_difference_hz"], table["second_centre_hz"] - table["first_centre_hz"])
    np.testing.assert_allclose(table["first_centre_hz"], (table["first_low_hz"] + table["first_high_hz"]) / 2)
    np.testing.assert_array_equal(table["second_movement_hz"], 0.0)  # random networks: never trained


def test_another_bundle_is_loaded_aside_and_shown_with_this_one(
    qtbot: Any, explorer: ExplorerWindow, random_bundle: Path
) -> None:
    page = compare_with(qtbot, explorer, random_bundle)
    assert page.comparison is not None
    assert "A: default 2.0.  B: random 0. 88 and 20 filters." in page.message
    assert page.table.model().rowCount() == 88
    assert page.table.model().index(3, 2).data() == f"{page.comparison.columns()['centre_difference_hz'][3]:+,.0f}"
    # The table, the slider and the plots choose the same.
    page.table.setFocus()
    page.table.setCurrentIndex(page.table.model().index(0, 0))
    qtbot.keyClick(page.table, Qt.Key.Key_Down)
    assert page.chosen == page.slider.value() == 1
    qtbot.keyClick(page.slider, Qt.Key.Key_End)
    assert page.table.currentIndex().row() == page.chosen == 87
    assert explorer.description == minus(page.comparison.describe_pair(87))
    explorer.apply_look(look_of(load_bundle("default-bundle"), LIGHT))
    assert page.look.palette is LIGHT
    # The same bundle by its name differs in nothing.
    page = compare_with(qtbot, explorer, "default-bundle")
    assert "The filters of both bundles are the same." in page.message


@pytest.fixture
def broken(random_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_bundle, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "There is no bundle"),
        ("file", "head.onnx"),
        ("altered", "was altered or damaged"),
        ("format", "Update this program"),
        ("no json", "is not a bundle manifest"),
        ("rate", "their filters cannot be compared"),
    ],
)
def test_a_bundle_that_cannot_be_compared_is_told_in_words(
    qtbot: Any, explorer: ExplorerWindow, broken: Path, fault: str, words: str
) -> None:
    if fault == "missing":
        shutil.rmtree(broken)
    elif fault == "file":
        (broken / "head.onnx").unlink()
    elif fault == "altered":
        (broken / "trunk.onnx").write_bytes(b"nothing")
    elif fault == "no json":
        (broken / "manifest.json").write_text("{")
    else:
        manifest = json.loads((broken / "manifest.json").read_text(encoding="utf-8"))
        manifest.update({"format": 2} if fault == "format" else {"sample_rate": 8_000})
        (broken / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = compare_with(qtbot, explorer, broken)
    assert page.message.startswith("Not compared: ")
    assert words in page.message
    assert page.comparison is None
    assert explorer.plots() == ()
    assert page.go.isEnabled()


def test_loading_is_cancelled_and_what_was_shown_stays(
    qtbot: Any, explorer: ExplorerWindow, random_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = compare_with(qtbot, explorer, random_bundle)
    shown = page.comparison
    gate = threading.Event()

    def slow(choice: str, report: Callable[[int, int], None]) -> Bundle:
        gate.wait(20.0)
        return load_bundle(choice, report)

    monkeypatch.setattr(compare_page, "load_bundle", slow)
    page.choice.setEditText("default-bundle")
    page.load()
    explorer.tick()
    assert page.progress.isVisible()
    assert page.cancel.isVisible()
    assert not page.go.isEnabled()
    page.load()  # once is enough
    qtbot.mouseClick(page.cancel, Qt.MouseButton.LeftButton)
    gate.set()
    finish_loading(qtbot, explorer)
    assert page.message == "Cancelled."
    assert not page.progress.isVisible()
    assert page.comparison is shown
    # Closing the window ends a loading, too; the fixture looks for its thread.
    gate.clear()
    page.load()
    gate.set()
    explorer.close()
    assert not page.loading


def test_enter_in_the_field_loads_and_presses_nothing_else(
    qtbot: Any, explorer: ExplorerWindow, random_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: (asked.append(1), str(random_bundle))[1])
    page = open_page(explorer, COMPARE)
    page.setFocus()
    qtbot.keyClicks(page.choice.lineEdit(), "default-bundle")
    qtbot.keyClick(page.choice.lineEdit(), Qt.Key.Key_Return)
    assert page.loading
    finish_loading(qtbot, explorer)
    assert "B: default 2.0." in page.message
    assert asked == []
    qtbot.keyClick(explorer, Qt.Key.Key_F, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: asked == [1], timeout=5_000)
    finish_loading(qtbot, explorer)
    assert "B: random 0." in page.message


def test_nothing_is_loaded_without_a_name(explorer: ExplorerWindow) -> None:
    page = open_page(explorer, COMPARE)
    page.load()
    assert not page.loading
    assert page.message.startswith("Name a bundle")


# Figures and empty pages ----------------------------------------------------------------------------------------------------


def test_negative_figures_have_a_minus(explorer: ExplorerWindow, study: Study) -> None:
    fallen = int(np.argmin(study.bank.movement))
    explorer.filters.choose(fallen)
    assert f"(centre −{-study.bank.movement[fallen]:,.0f} Hz)" in explorer.description
    axis = explorer.filters.plots["movement"].getAxis("left")
    assert axis.tickStrings([-0.02, 0.0, 0.02], 1.0, 0.02) == ["−0.02", "0", "0.02"]
    assert explorer.filters.plots["impulse response"].getAxis("bottom").tickStrings([-5.0], 1.0, 5.0) == ["−5"]
    reliance = open_page(explorer, CLASSES)
    reliance.choose(0)
    assert "−" in explorer.description
    assert "-" not in explorer.description


@pytest.mark.parametrize(("number", "command"), [(CLASSES, "reliance --bundle"), (TRAINING, "acoustic")])
def test_an_empty_page_has_the_command_that_fills_it(qtbot: Any, shipped: Bundle, number: int, command: str) -> None:
    window = ExplorerWindow(dataclasses.replace(Study.of_bundle(shipped), reliance=None, history=None), look_of(shipped))
    qtbot.addWidget(window)
    window.show()
    page = open_page(window, number)
    (button,) = [one for one in page.findChildren(QtWidgets.QPushButton) if one.isVisible()]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    copied = QtWidgets.QApplication.clipboard().text()
    assert copied.startswith("python -m training")
    assert command in copied
    assert copied in window.description
    window.end()


def test_with_nothing_to_compare_a_button_asks_for_a_folder(
    qtbot: Any, explorer: ExplorerWindow, random_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(explorer, COMPARE)
    (button,) = [one for one in page.findChildren(QtWidgets.QPushButton) if "folder of a bundle" in one.text()]
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: str(random_bundle))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not button.isEnabled()
    qtbot.waitUntil(lambda: (explorer.tick(), not page.loading)[1], timeout=30_000)
    assert page.comparison is not None
    assert not button.isVisible()


# Export ---------------------------------------------------------------------------------------------------------------------

PLOTS = [
    *((FILTERS, name) for name in ("bands", "movement", "bandwidth", "summed response", "response", "impulse response")),
    *((CLASSES, name) for name in ("all classes", "anger", "happiness", "neutral", "sadness")),
    *((TRAINING, f"{name}") for name in ("cutoffs of the state", "movement so far", "movement over the training")),
    (TRAINING, "validation over the training"),
    *((COMPARE, f"{name} of both") for name in ("bands", "movement", "bandwidth", "summed response")),
]


def test_all_plots_are_tried(qtbot: Any, explorer: ExplorerWindow, random_bundle: Path) -> None:
    compare_with(qtbot, explorer, random_bundle)
    found = []
    for number in range(4):
        open_page(explorer, number)
        found += [(number, name) for name in explorer.plots()]
    assert found == [*PLOTS, (COMPARE, compare_page.TABLE)]


@pytest.mark.parametrize(("number", "name"), PLOTS)
def test_every_plot_is_exported_and_read_back(
    qtbot: Any, explorer: ExplorerWindow, tmp_path: Path, random_bundle: Path, number: int, name: str
) -> None:
    if number == COMPARE:
        compare_with(qtbot, explorer, random_bundle)
    page = open_page(explorer, number)
    page.slider.setValue(3)
    for kind in ("svg", "png", "csv"):
        explorer.export(name, tmp_path / f"plot.{kind}")
    with (tmp_path / "plot.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for column, values in explorer.numbers(name).items():
        if np.asarray(values).dtype.kind == "U":
            assert [row[column] for row in rows] == list(values)
        else:
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
    with pytest.raises(ValueError, match="a plot is one of"):
        explorer.export("spectrum", tmp_path / "plot.svg")


def test_the_table_of_differences_is_exported_as_numbers(
    qtbot: Any, explorer: ExplorerWindow, tmp_path: Path, random_bundle: Path
) -> None:
    page = compare_with(qtbot, explorer, random_bundle)
    explorer.export(compare_page.TABLE, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 88
    assert page.comparison is not None
    for column, values in page.comparison.columns().items():
        np.testing.assert_array_equal([float(row[column]) for row in rows], values)
    with pytest.raises(ValueError, match="as csv"):
        explorer.export(compare_page.TABLE, tmp_path / "table.svg")


@pytest.mark.parametrize(
    ("written", "kind", "becomes"),
    [
        ("bands.svg", "PNG (*.png)", "bands.png"),
        ("bands.svg", "CSV (*.csv)", "bands.csv"),
        ("bands", "PNG (*.png)", "bands.png"),
        ("bands v1.2", "SVG (*.svg)", "bands v1.2.svg"),
        ("BANDS.PNG", "PNG (*.png)", "BANDS.PNG"),
        ("bands.csv", "", "bands.csv"),
    ],
)
def test_the_format_that_is_chosen_decides(
    explorer: ExplorerWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, kind: str, becomes: str
) -> None:
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / written), kind))
    explorer._ask_export("bands")
    (made,) = tmp_path.iterdir()
    assert made.name == becomes
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".csv": b"filter,"}[made.suffix.lower()]
    assert made.read_bytes().startswith(begins)
    assert explorer.notice is not None
    assert explorer.notice.problem.startswith("Exported to")


def test_another_file_is_not_replaced_unasked(
    explorer: ExplorerWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "bands.png"
    there.write_text("kept")
    buttons = QtWidgets.QMessageBox.StandardButton
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "bands.svg"), "PNG (*.png)"))
    monkeypatch.setattr(QtWidgets.QMessageBox, "question", lambda *_: buttons.No)
    explorer._ask_export("bands")
    assert there.read_text() == "kept"
    monkeypatch.setattr(QtWidgets.QMessageBox, "question", lambda *_: buttons.Yes)
    explorer._ask_export("bands")
    assert there.read_bytes().startswith(b"\x89PNG")


def test_an_export_that_fails_is_told_until_the_next_one(
    explorer: ExplorerWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export_to(folder: Path, kind: str) -> str:
        chosen = (str(folder / f"bands.{kind}"), "")
        monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: chosen)
        explorer._ask_export("bands")
        explorer.filters.point_at(3)  # whose line stands elsewhere
        explorer.tick()
        assert explorer.notice is not None
        return f"{explorer.notice.problem} {explorer.notice.remedy}"

    for kind in ("svg", "png", "csv"):
        told = export_to(tmp_path / "nowhere", kind)
        assert "the folder does not exist" in told
        assert "Export to another folder" in told
        assert "Errno" not in told
    assert "Exported" in export_to(tmp_path, "svg")
    explorer._told_at -= READ_SECONDS + 1.0
    explorer.tick()
    assert explorer.notice is None


def test_why_an_export_failed_is_said_in_words(tmp_path: Path) -> None:
    full = export_failure(OSError(errno.ENOSPC, "No space left on device"), tmp_path / "bands.svg")
    assert "the disk is full" in full.problem
    assert "Make room" in full.remedy
    assert "Interrupted" in export_failure(OSError(errno.EINTR, "Interrupted"), tmp_path / "bands.svg").problem
    assert export_failure(OSError("no number"), tmp_path / "bands.svg").problem.endswith("cannot be written.")
    assert "another format" in export_failure(ValueError("A table is exported as csv."), tmp_path / "bands.svg").remedy
