"""The sincgram's window, opened from the real dashboard; its pictures, keys, exports and what it keeps to itself."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from audio.test_playback import Output
from engine_stages import ScriptedSource, blocks
from gui.conftest import Driver
from gui.scripted_controller import RATE, ScriptedController, facts
from gui.test_theme import DEFICIENCIES, lab

from realtime_ser.controller import Controller
from realtime_ser.gui.filterbank import FilterBank
from realtime_ser.gui.models import BinnedRing
from realtime_ser.gui.panels.panel import Look
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.sincgram.looks import AXES, COLOUR_MAPS
from realtime_ser.gui.sincgram.model import FrameGrid
from realtime_ser.gui.sincgram.pictures import PICTURES, RingImage, colour_table
from realtime_ser.gui.sincgram.table import EXPORTS, table
from realtime_ser.gui.sincgram.window import SincgramWindow
from realtime_ser.gui.theme import DARK, class_styles
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Span

Drive = Callable[..., Driver]
Key = Qt.Key


def open_by_key(driver: Driver) -> SincgramWindow:
    driver.window.activateWindow()
    QtWidgets.QApplication.processEvents()
    driver.qtbot.keyClick(driver.window, Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    driver.window.tick()  # made in a turn of its own, where it was not there yet
    window = driver.window.sincgram
    assert window is not None
    assert window.isVisible()
    return window


@pytest.fixture
def listening(running: Driver) -> tuple[Driver, SincgramWindow]:
    """A dashboard that listens to the scripted microphone, and its sincgram, which has heard three seconds."""
    window = open_by_key(running)
    running.play(3.0)
    return running, window


def press(driver: Driver, window: SincgramWindow, key: Key, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    slider = window.findChild(QtWidgets.QSlider)
    driver.qtbot.keyClick(slider, key, modifier)


def button(window: SincgramWindow, text: str) -> QtWidgets.QPushButton:
    return next(one for one in window.findChildren(QtWidgets.QPushButton) if text in one.text())


def point(window: SincgramWindow, picture: str, seconds: float, height: float) -> QtCore.QPointF:
    """The point of the scene that shows a time at a height of a picture."""
    return window._pictures.plot(picture).getViewBox().mapViewToScene(QtCore.QPointF(seconds, height))


# The pictures ---------------------------------------------------------------------------------------------------------------


def painted(image: RingImage, ring: BinnedRing, first: float, end: float, width: int = 400) -> np.ndarray:
    """What a picture looks like: 0xAARRGGBB, shape ``(height, width)``."""
    canvas = QtGui.QImage(width, 40, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    canvas.fill(0)
    painter = QtGui.QPainter(canvas)
    painter.scale(width / (end - first), 40.0)
    painter.translate(-first, 0.0)
    image.show_ring(ring, first, end)
    image.paint(painter, None)
    painter.end()
    return np.frombuffer(canvas.constBits(), np.uint32).reshape(40, width).copy()


@pytest.mark.parametrize("seconds", [5, 10, 20, 60])
def test_a_picture_drawn_bit_by_bit_is_the_one_drawn_at_once(seconds: int, qtbot: Any) -> None:
    random = np.random.default_rng(5)
    grid = FrameGrid(160, 801, 4)
    ring = BinnedRing(6_000, 8, "max")

    def image() -> RingImage:
        made = RingImage(grid, RATE)
        made.set_rows(np.arange(8))
        made.set_span(seconds)
        made.set_colours(-90.0, -20.0, colour_table("viridis"))
        return made

    growing = image()
    position, shown = 3, 0.0
    # Longer than the ring, with a gap in it, in pieces of any length.
    for length in random.integers(1, 40, 500):
        if position > 3_000 and not shown:
            position += 300
            shown = 1.0
        ring.add(np.arange(position, position + length), random.uniform(-100.0, -10.0, (length, 8)).astype(np.float32))
        position += int(length)
        end = (position * 160 + 80) / RATE
        growing.show_ring(ring, end - seconds, end)
    assert position > 6_500
    at_once = painted(image(), ring, end - seconds, end)
    # The very oldest column may hold frames that the ring has forgotten meanwhile.
    assert np.array_equal(painted(growing, ring, end - seconds, end)[:, 4:], at_once[:, 4:])
    # And it is what the ring holds: the colour of the loudest frame of each column, the lowest band at the bottom.
    stride = growing.stride
    table_of = colour_table("viridis")
    known = 0
    for pixel in range(2, 398, 7):
        second = end - seconds + (pixel + 0.5) * seconds / 400
        group = int((second * RATE - 80) // 160) // stride
        rows = ring.view()[group * stride - ring.end + ring.bins :][:stride]
        # A column that is narrower than a pixel may be its neighbour.
        near = [ring.view()[max((group + step) * stride - ring.end + ring.bins, 0) :][:stride] for step in (-1, 0, 1)]
        colours = []
        for group_rows in near:
            if len(group_rows) and np.isfinite(group_rows).any():
                level = float(np.nanmax(group_rows[:, 0]))
                colours.append(int(table_of[int(np.clip((level + 90.0) * 255.0 / 70.0, 0, 255))]))
            else:
                colours.append(0)
        assert int(at_once[37, pixel]) in colours
        known += np.isfinite(rows).any()
    assert known > 20


def test_another_stream_another_picture(qtbot: Any) -> None:
    image = RingImage(FrameGrid(160, 801, 4), RATE)
    image.set_span(5)
    image.set_colours(-90.0, -20.0, colour_table("inferno"))
    ring = BinnedRing(6_000, 1, "max")
    ring.add(np.arange(0, 400), np.full((400, 1), -30.0, np.float32))
    assert painted(image, ring, 0.0, 5.0).any()
    assert not painted(image, BinnedRing(6_000, 1, "max"), 0.0, 5.0).any()


@pytest.mark.parametrize("name", COLOUR_MAPS)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_lightness_grows_evenly_for_everybody(name: str, deficiency: str) -> None:
    colours = [f"#{int(colour) & 0xFFFFFF:06x}" for colour in colour_table(name)[::5]]
    lightness = np.array([lab(colour, DEFICIENCIES[deficiency])[0] for colour in colours])
    steps = np.diff(lightness)
    assert steps.min() > 0.0
    assert lightness[-1] - lightness[0] > 60.0
    if deficiency == "none":
        assert steps.max() < 2.5 * steps.mean()


def test_the_axes_place_every_filter_at_its_frequency(listening: tuple[Driver, SincgramWindow]) -> None:
    _, window = listening
    pictures = window._pictures
    bank = window.model.bank
    for axis in AXES:
        pictures.set_axis(axis)
        for name, centres in (("sinc", bank.centre), ("mel", window.model.bands.centre)):
            for band in (0, 20, 40, 60, len(centres) - 1):
                at = pictures.band_at(name, pictures.height_of(name, float(centres[band])))
                # Where a scale crowds filters into one row, the nearest stands for all.
                assert abs(centres[at] - centres[band]) <= (0.0 if axis == "filters" else 60.0)
    with pytest.raises(ValueError, match="axis must be"):
        pictures.set_axis("Bark")
    with pytest.raises(ValueError, match="colour map"):
        colour_table("jet")


# Opening and closing --------------------------------------------------------------------------------------------------------


def test_sound_is_asked_for_while_the_window_is_open_and_forgotten_when_it_is_closed(running: Driver) -> None:
    running.play(1.0)
    assert running.controller.sound is None
    window = open_by_key(running)
    assert running.controller.sound is not None
    running.play(2.0)
    assert len(window.model.sound.span) == 2 * RATE
    assert window.state_text == "● live"
    running.qtbot.keyClick(window, Key.Key_Escape)
    assert not window.isVisible()
    assert running.controller.sound is None
    assert len(window.model.sound.span) == 0
    assert window.model.position == 0
    running.play(1.0)
    assert window.model.position == 0, "what comes while it is closed is none of its business"
    assert open_by_key(running) is window
    running.play(1.0)
    assert len(window.model.sound.span) == RATE


def test_its_plots_are_made_piece_by_piece_and_at_once_where_they_are_wanted(running: Driver) -> None:
    running.play(2.0)
    running.window.show_sincgram()
    pictures = running.window.sincgram._pictures
    running.window.tick()
    assert running.window.sincgram.isVisible()
    made = []
    while not pictures.built:
        made.append((len(pictures._lanes), len(pictures._marks)))
        assert pictures.under(QtCore.QPointF(300.0, 100.0)) is None
        running.window.tick()
    assert made == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]
    running.play(1.0)
    assert pictures.under(point(running.window.sincgram, "mel", 9.0, 0.5))[0] == "mel"
    running.window.sincgram.end()
    running.window._sincgram = None
    running.window.show_sincgram()
    assert running.window.sincgram._pictures.plot("mel") is not None
    assert running.window.sincgram._pictures.built


def test_nothing_opens_before_there_are_filters(drive: Drive) -> None:
    driver = drive()
    driver.window.show_sincgram()
    assert driver.window.sincgram is None
    driver.settle()
    live = next(one for one in driver.window.findChildren(QtWidgets.QToolButton) if one.text() == "Live…")
    live.click()
    assert not driver.window.sincgram.isVisible()
    driver.window.tick()
    assert driver.window.sincgram.isVisible()
    driver.tick()
    assert "press Start" in driver.window.sincgram.state_text


def test_a_new_start_clears_and_an_end_stands_still(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    position = window.model.position
    driver.window.stop()
    driver.tick()
    assert window.state_text.startswith("■ ended at 0:03")
    assert window.model.position == position
    assert button(window, "Listen").isEnabled(), "the last seconds can still be heard"
    window.set_frozen(True)
    driver.window.start()
    driver.tick()
    assert not window.frozen
    assert window.model.position == 0
    assert len(window.model.sound.span) == 0


def test_a_gap_is_a_gap(running: Driver) -> None:
    running.play(43.0)
    window = open_by_key(running)
    running.play(4.0)
    assert [span.seconds(RATE) for span in window.model.gaps] == [(44.2, 45.0)]
    assert window.model.missed_seconds == 0.0
    column = window.model.grid.column_at(round(44.6 * RATE))
    assert "nothing" in window.describe("sinc", column, 3)
    assert "nothing" in window.describe("mel", column, 3)
    assert "missing" not in window.state_text


# Freezing and reading off ---------------------------------------------------------------------------------------------------


def test_frozen_it_stands_still_and_nothing_is_lost(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    press(driver, window, Key.Key_Space)
    assert window.frozen
    before = window._pictures.grab().toImage()
    driver.play(2.0)
    assert window._pictures.grab().toImage() == before
    assert window.state_text.startswith("❚❚ frozen at 0:03")
    assert window.model.position == 5 * RATE
    button(window, "Go on").click()
    assert not window.frozen
    assert window.shown is window.model
    driver.tick()
    assert window._pictures.grab().toImage() != before
    assert np.isfinite(window.model.level("sinc", window.model.grid.column_at(4 * RATE), 0))


def test_with_reduced_motion_it_moves_in_steps(listening: tuple[Driver, SincgramWindow], settings: QtCore.QSettings) -> None:
    driver, window = listening
    driver.play(8.0)  # the pictures are full: whatever comes moves them
    for still, steps in (("true", 2), ("false", 16)):
        settings.setValue("still", still)
        ends = set()
        for _ in range(16):
            driver.controller.advance(0.1)
            driver.tick(1)
            ends.add(window._pictures.range[1])
        assert len(ends - {min(ends)}) in (steps - 1, steps), still
    assert window.model.position == driver.controller.stream.position, "it has heard everything all the same"


def test_keys_choose_time_axis_and_filter_and_are_remembered(
    listening: tuple[Driver, SincgramWindow], settings: QtCore.QSettings
) -> None:
    driver, window = listening
    chosen = window.chosen
    press(driver, window, Key.Key_Right)
    assert window.chosen == chosen + 1
    press(driver, window, Key.Key_M)
    press(driver, window, Key.Key_Z)
    assert window._pictures.axis == "mel"
    assert window._pictures.seconds == 20
    window.set_levels(-80, -30)
    assert {name: settings.value(f"sincgram/{name}") for name in ("axis", "seconds", "floor", "ceiling")} == {
        "axis": "mel",
        "seconds": "20",
        "floor": "-80",
        "ceiling": "-30",
    }
    with pytest.raises(IndexError):
        window.choose(-1)
    window.set_levels(-20, -60)
    lowest, highest = (box.value() for box in window.findChildren(QtWidgets.QSpinBox))
    assert highest - lowest >= 10


def test_what_an_earlier_version_kept_is_not_lost(drive: Drive, settings: QtCore.QSettings) -> None:
    # Numbers were kept as numbers, by the window itself.
    for name, value in (("axis", "Hz"), ("seconds", 60), ("floor", -70), ("ceiling", -10), ("colours", "magma")):
        settings.setValue(f"sincgram/{name}", value)
    driver = drive()
    driver.settle()
    driver.window.show_sincgram()
    window = driver.window.sincgram
    assert (window._pictures.axis, window._pictures.seconds, window._maps.currentText()) == ("Hz", 60, "magma")
    assert [box.value() for box in window.findChildren(QtWidgets.QSpinBox)] == [-70, -10]
    Settings(settings).reset()  # which is about what the settings show
    assert Settings(settings).stored("sincgram/floor") == "-70"


def test_settings_that_make_no_sense_are_left(drive: Drive, settings: QtCore.QSettings) -> None:
    for name in ("axis", "seconds", "floor", "ceiling", "colours"):
        settings.setValue(f"sincgram/{name}", "furlong")
    driver = drive()
    driver.settle()
    driver.window.show_sincgram()
    pictures = driver.window.sincgram._pictures
    assert (pictures.axis, pictures.seconds) == ("filters", 10)


def test_the_pointer_reads_off_and_a_click_chooses(listening: tuple[Driver, SincgramWindow]) -> None:
    _, window = listening
    bank, model = window.model.bank, window.model
    # The left edge is the beginning while less was heard than is shown.
    assert [point(window, name, 0.0, 0.0).x() for name in PICTURES] == [
        window._pictures.plot(name).getViewBox().sceneBoundingRect().left() for name in PICTURES
    ]
    rank = 30
    at = point(window, "sinc", 2.005, (rank + 0.5) / bank.bands)
    window._point((at,))
    column = model.grid.column_at(round(2.005 * RATE))
    level = f"{model.level('sinc', column, rank):.1f} dB".replace("-", "−")
    for part in ("0:02.0", f"filter {bank.order[rank]}:", f"centre {bank.centre[rank]:,.0f} Hz", "bandwidth", level, "voiced"):
        assert part in window.description
    window._point((point(window, "mel", 2.005, 0.5),))
    assert "mel band 40:" in window.description
    window._click(_Click(at))
    assert window.chosen == rank
    # In the mel spectrogram, the filter nearest to the band is meant.
    window._click(_Click(point(window, "mel", 2.0, 0.5)))
    centre = model.bands.centre[40]
    assert window.chosen == np.abs(bank.centre - centre).argmin()
    window._point((QtCore.QPointF(-5.0, -5.0),))
    assert window.description.startswith("chosen: filter")


class _Click:
    def __init__(self, position: QtCore.QPointF) -> None:
        self._position = position

    def scenePos(self) -> QtCore.QPointF:  # noqa: N802 - pyqtgraph's name
        return self._position


def test_the_keyboard_reads_off_too(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    press(driver, window, Key.Key_Left, control)
    assert window.frozen
    first = window.description
    press(driver, window, Key.Key_Left, control | shift)
    newest = max(window.shown.sinc.end, window.shown.mel.end) - 1
    assert first == window.describe("sinc", newest - 1, window.chosen)
    assert window.description == window.describe("sinc", newest - 11, window.chosen)
    press(driver, window, Key.Key_Right, control)
    assert window.description == window.describe("sinc", newest - 10, window.chosen)


def test_levels_have_a_minus_whatever_is_typed(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    floor = window._floor
    floor.setValue(-90)
    assert floor.text() == "−90 dB"
    for typed, value in (("-70", -70), ("−65", -65)):
        floor.lineEdit().selectAll()
        floor.lineEdit().insert(typed)
        driver.qtbot.keyClick(floor, Qt.Key.Key_Return)
        assert floor.value() == value
        assert floor.text() == f"−{-value} dB"


def test_the_levels_fit_what_is_shown(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    driver.qtbot.mouseClick(button(window, "F&it"), Qt.MouseButton.LeftButton)
    lowest, highest = (box.value() for box in window.findChildren(QtWidgets.QSpinBox))
    loudest = max(float(np.nanmax(ring.view())) for ring in (window.model.sinc, window.model.mel))
    assert highest == np.ceil(loudest)
    assert lowest == highest - 60


def test_it_follows_the_theme_and_every_control_has_a_name_and_a_way(listening: tuple[Driver, SincgramWindow]) -> None:
    driver, window = listening
    before = window.grab().toImage().pixelColor(2, 2)
    driver.window.toggle_theme()
    driver.tick()
    assert window.grab().toImage().pixelColor(2, 2) != before
    controls = [*window.findChildren(QtWidgets.QAbstractButton), *window.findChildren(QtWidgets.QComboBox)]
    controls += [*window.findChildren(QtWidgets.QSpinBox), *window.findChildren(QtWidgets.QSlider)]
    for control in controls:
        if control.isVisible():
            assert control.toolTip(), control
            assert control.accessibleName() or control.text(), control
            assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control
    window.resize(window.minimumSize())
    QtWidgets.QApplication.processEvents()
    for control in window.findChildren(QtWidgets.QPushButton):
        if control.isVisible():
            assert control.fontMetrics().horizontalAdvance(control.text()) < control.width() - 8, control.text()


# Exports --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_shown_is_exported_and_read_back(
    listening: tuple[Driver, SincgramWindow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    driver, window = listening
    for kind in ("svg", "png", "csv"):
        chosen = (str(tmp_path / f"picture.{kind}"), "")
        monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_, chosen=chosen: chosen)
        window._ask_export(name)
        driver.qtbot.waitUntil(lambda chosen=chosen: (driver.tick(1), Path(chosen[0]).exists())[1], timeout=10_000)
    assert not window.frozen, "it was not before"
    driver.qtbot.waitUntil(lambda: (driver.tick(1), not window._files.busy)[1], timeout=10_000)
    with (tmp_path / "picture.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = table(window.model, name, 0, max(window.model.sinc.end, window.model.mel.end))
    assert list(rows[0]) == list(numbers)
    for column, values in numbers.items():
        np.testing.assert_array_equal([float(row[column]) for row in rows], values, err_msg=column)
    image = QtGui.QImage(str(tmp_path / "picture.png"))
    colours = {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    assert len(colours) > 50, "many levels"
    root = ElementTree.parse(tmp_path / "picture.svg").getroot()
    pictures = sum(1 for element in root.iter() if element.tag.endswith("image"))
    assert pictures >= {"both pictures": 3, "sincgram": 1, "mel spectrogram": 1}[name]
    assert sum(1 for element in root.iter() if element.tag.endswith("text")) > 3


def test_an_export_that_fails_is_told(
    listening: tuple[Driver, SincgramWindow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, window = listening
    for kind in ("svg", "csv"):
        chosen = (str(tmp_path / "nowhere" / f"picture.{kind}"), "")
        monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_, chosen=chosen: chosen)
        window._told = None
        window._ask_export("sincgram")
        driver.qtbot.waitUntil(lambda: (driver.tick(1), window._told is not None)[1], timeout=10_000)
        driver.tick()
        assert "Not exported" in window.notice.problem, "and it stays"
        assert "the folder does not exist" in window.notice.problem
        assert "another folder" in window.notice.remedy


def test_the_format_that_is_chosen_decides(
    listening: tuple[Driver, SincgramWindow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, window = listening
    chosen = (str(tmp_path / "sincgram.svg"), "PNG (*.png)")
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: chosen)
    window._ask_export("sincgram")
    assert [path.name for path in tmp_path.iterdir() if path.stem == "sincgram"] == ["sincgram.png"]


# Listening ------------------------------------------------------------------------------------------------------------------


class Bench:
    """A sincgram's window over a scripted controller, and an output that the test pulls."""

    def __init__(self, qtbot: Any, settings: QtCore.QSettings, open_stream: Any = None) -> None:
        self.controller = ScriptedController()
        made = self.controller.bundle()
        cutoffs = (made.initial_low_hz, made.initial_high_hz, made.low_hz, made.high_hz)
        bank = FilterBank.from_cutoffs(*cutoffs, made.kernel, made.sample_rate)
        look = Look(DARK, class_styles(made.classes, DARK))
        self.output = Output()
        self.window = SincgramWindow(
            self.controller, bank, facts(), look, Settings(settings), open_stream=open_stream or self.output.open
        )
        qtbot.addWidget(self.window)
        self.window.show()

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.controller.advance(0.1)
            self.window.take(self.controller.poll(512))
            self.window.tick()

    def wait(self, qtbot: Any, condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(lambda: (self.window.tick(), condition())[1], timeout=10_000)


@pytest.fixture
def bench(qtbot: Any, settings: QtCore.QSettings) -> Iterator[Bench]:
    made = Bench(qtbot, settings)
    made.controller.start(made.controller.available[0])
    made.play(4.0)
    yield made
    made.window.end()


def test_listening_freezes_plays_the_last_seconds_and_says_what_a_microphone_hears(bench: Bench, qtbot: Any) -> None:
    window = bench.window
    assert "headphones" in window._caution.text()
    assert "nothing is written" in window._caution.text()
    qtbot.keyClick(window, Key.Key_L)
    assert window.frozen
    bench.wait(qtbot, lambda: window._player.position is not None)
    assert window._player.position == 0, "four seconds were heard, five are asked for"
    assert button(window, "Stop").text().startswith("■ Stop")
    # The microphone hears it: that is drawn, marked, and never played again.
    heard = bench.controller.stream.position
    bench.play(1.0)
    assert list(window.model.played) == [Span(heard, heard + RATE)]
    assert not window.model.sound.part(Span(heard, heard + RATE)).any()
    for _ in range(20):
        bench.output.pull(512)
    window.tick()
    assert window._player.position == 20 * 512
    assert all(line.isVisible() and line.value() == pytest.approx(0.64) for line in window._pictures._heads)
    # Other seconds, unfiltered, of the same picture.
    qtbot.keyClick(window, Key.Key_U)
    bench.wait(qtbot, lambda: window._player.position is not None)
    qtbot.keyClick(window, Key.Key_U)
    assert not window.playing
    bench.wait(qtbot, lambda: bench.output.closed)
    window.tick()
    assert not any(line.isVisible() for line in window._pictures._heads)
    qtbot.keyClick(window, Key.Key_Space)
    assert not window.frozen


def test_nothing_is_played_into_a_session(bench: Bench, qtbot: Any) -> None:
    bench.controller.recorded = RecordingStatus("recording", Path("sessions") / "session", 1.0, False, True)
    bench.window.listen(through=True)
    assert not bench.window.playing
    assert "while a session is recorded" in bench.window.notice.problem
    bench.controller.recorded = None
    bench.window.listen(through=True)
    assert bench.window.playing
    bench.wait(qtbot, lambda: bench.window._player.position is not None)
    assert bench.window.notice is None


def test_a_machine_without_an_output_is_told(qtbot: Any, settings: QtCore.QSettings) -> None:
    from realtime_ser.errors import DeviceError

    def none(rate: int, callback: Any) -> Any:
        raise DeviceError("There is nothing here to play sound on.", "Connect headphones or loudspeakers.")

    bench = Bench(qtbot, settings, none)
    bench.controller.start(bench.controller.available[0])
    assert not button(bench.window, "Listen").isEnabled()
    bench.play(2.0)
    assert button(bench.window, "Listen").isEnabled()
    bench.window.listen(through=True)
    bench.wait(qtbot, lambda: bench.window.notice is not None)
    assert bench.window.notice.problem == "There is nothing here to play sound on."
    assert not bench.window.playing
    bench.window.end()


def test_closing_ends_what_is_played(bench: Bench, qtbot: Any) -> None:
    bench.window.listen(through=False)
    bench.wait(qtbot, lambda: bench.window._player.position is not None)
    bench.window.close()
    assert not bench.window.playing
    bench.wait(qtbot, lambda: bench.output.closed)


# The real engine ------------------------------------------------------------------------------------------------------------


def test_the_real_engine_fills_both_pictures_while_it_runs(
    qtbot: Any, settings: QtCore.QSettings, demonstration: np.ndarray
) -> None:
    """The dashboard itself, on the demonstration audio, with a microphone's blocks and no end until it is stopped."""
    from realtime_ser.gui.window import DashboardWindow

    sound = blocks(demonstration[:48_000], [480] * 100)
    made: list[Controller] = []

    def controller() -> Controller:
        made.append(Controller(recognizer="none", open_source=lambda _: ScriptedSource(sound, live=True, then="silence")))
        return made[0]

    dashboard = DashboardWindow(controller, settings, choose=("demo", ""))
    qtbot.addWidget(dashboard)
    dashboard.show()
    qtbot.waitUntil(lambda: not dashboard.worker_busy and dashboard.ready, timeout=60_000)
    dashboard.show_sincgram()
    window = dashboard.sincgram
    qtbot.waitUntil(window.isVisible)
    dashboard.start()
    deadline = time.monotonic() + 60.0

    def all_of_it() -> bool:
        assert time.monotonic() < deadline
        # The last window that is whole ends at sample 48,000; its frame begins 3,040 samples behind its beginning.
        return window.model.position == 48_000 and window.model.sinc.end == window.model.grid.column(44_000 + 3_040) + 1

    qtbot.waitUntil(all_of_it, timeout=60_000)
    assert window.model.missed_seconds == 0.0
    assert np.array_equal(window.model.sound.part(Span(0, 48_000)), demonstration[:48_000])
    for name in PICTURES:
        ring = getattr(window.model, name)
        assert np.isfinite(ring.view()[-200:]).all()
    # Speech is louder than the pause before it, in both, and marked.
    silent, spoken = (window.model.grid.column_at(round(second * RATE)) for second in (0.5, 2.0))
    for name in PICTURES:
        levels = [[window.model.level(name, column, band) for band in range(88)] for column in (silent, spoken)]
        assert np.mean(levels[1]) > np.mean(levels[0]) + 10.0
    assert not window.model.voiced(silent)
    assert window.model.voiced(spoken)
    image = window._pictures.grab().toImage()
    assert len({image.pixel(x, y) for x in range(80, image.width(), 5) for y in range(0, image.height(), 5)}) > 100
    dashboard.close()
    assert not made[0].poll_sound()
