"""The health panel and the report: every figure, nothing about what was said, up to date while it is open."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from gui.conftest import Driver
from gui.scripted_controller import SCRIPT

from realtime_ser import __version__
from realtime_ser.audio.sources import SourceStatus
from realtime_ser.gui.models import EventLog, HealthItem
from realtime_ser.gui.panels.health import HealthDialog
from realtime_ser.gui.panels.messages import HealthLine
from realtime_ser.gui.qt import Qt, QtWidgets
from realtime_ser.gui.report import FrameTimes, ProcessUse, WaysToScreen, health_sections, log_file, log_tail, report_text
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.types import Event, Health, Severity, WindowScores

HEALTH = Health(16_000, 2, 1_600, 75, 10, 0.041, 0.3, 2.5, 11.0, 0.11, 0.02)


def items(
    health: Health | None = None,
    source: SourceStatus | None = None,
    recording: RecordingStatus | None = None,
    **more: Any,
) -> dict[str, HealthItem]:
    sections = health_sections(health, source, recording, "Vosk", FrameTimes(), (0.25, 300.0), **more)
    return {item.name: item for section in sections for item in section.items}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "program.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    logger = logging.getLogger("realtime_ser")
    logger.addHandler(handler)
    logger.warning("the microphone went away")
    yield path
    logger.removeHandler(handler)
    handler.close()


def test_nothing_known_is_told_as_such() -> None:
    found = items()
    assert found["input"].value == "none"
    assert found["recording"].value == "no"
    assert found["latency"].value == "–"
    assert found["pictures"].value == "–"
    assert not [item for item in found.values() if item.worrying]


def test_what_is_wrong_asks_for_attention() -> None:
    source = SourceStatus("USB Headset", 44_100, 2, invalid_samples=3, lost=True, losses=1)
    recording = RecordingStatus("failed", Path("there"), 3.0, False, False, problem="The disk is full.")
    worrying = {name for name, item in items(HEALTH, source, recording).items() if item.worrying}
    assert worrying == {
        *("input", "went away", "no numbers", "overruns", "dropped", "skipped", "latency", "words lag", "recording"),
    }
    assert items(HEALTH, source)["format"].value == "44100 Hz, 2 channels"


def test_processor_time_is_that_of_the_work_done() -> None:
    use = ProcessUse()
    assert math.isnan(use.measure()[0])  # of what time it would be
    matrix = np.random.default_rng(0).standard_normal((600, 600))
    begun = time.process_time()
    while time.process_time() - begun < 0.5:  # the clock of processor time has coarse ticks
        matrix @ matrix
    cores, memory = use.measure()
    assert cores >= 0.05
    assert cores <= (psutil.cpu_count() or 1) * 1.5
    assert memory > 20.0


def test_frame_times() -> None:
    frames = FrameTimes(seconds=2.0)
    assert math.isnan(frames.rate())
    assert math.isnan(frames.longest_pause())
    for at in (0.0, 5.0, 5.1, 5.2, 5.6):
        frames.drawn(at)
    assert frames.rate() == pytest.approx(3 / 0.6)
    assert frames.longest_pause() == pytest.approx(0.4)


def scores(captured: float | None, arrived: float | None = None, computed: float | None = None) -> WindowScores:
    rows = np.full((1, 4), 0.25, np.float32)
    return WindowScores(0, 160, 4_000, rows, rows, rows, np.ones(1, bool), rows, captured, arrived, computed)


def test_the_way_to_the_screen_is_told_in_parts_that_add_up() -> None:
    ways = WaysToScreen(seconds=2.0)
    assert ways.painted(0.5) is None
    ways.taken([scores(0.5, 0.51, 0.515), scores(1.0, 1.03, 1.035)], 1.05)
    assert ways.painted(1.06) == pytest.approx((0.03, 0.005, 0.015, 0.01))  # of the newest scores
    assert ways.painted(1.07) is None, "what is painted between shows nothing new"
    ways.taken([scores(1.1, 1.11, 1.125)], 1.13)
    ways.painted(1.15)
    assert ways.mean() == pytest.approx((0.02, 0.01, 0.01, 0.015))
    assert ways.longest() == pytest.approx(0.06)
    ways.taken([scores(3.2, 3.3, 3.3)], 3.3)
    ways.painted(3.3)
    assert ways.mean() == pytest.approx((0.1, 0.0, 0.0, 0.0)), "the others are too old by now"
    ways.taken([scores(4.0, 4.1, 4.1), scores(None)], 4.2)
    assert ways.painted(4.3) is None, "of a file nobody knows when it sounded"


def test_the_way_and_what_computes_are_among_the_figures() -> None:
    ways = WaysToScreen()
    ways.taken([scores(1.0, 1.03, 1.035)], 1.05)
    ways.painted(1.06)
    found = items(ways=ways, computed_by="CPU, int8 weights. They were faster here.")
    figures = [found[name].value for name in ("capture", "compute", "wait", "paint", "in all", "at most")]
    assert figures == ["30.0 ms", "5.0 ms", "15.0 ms", "10.0 ms", "60.0 ms", "60.0 ms"]
    assert (found["computed by"].value, found["computed by"].meaning) == ("CPU, int8 weights", "They were faster here")
    ways.taken([scores(1.0, 2.0, 2.0)], 2.0)
    ways.painted(2.0)
    assert items(ways=ways)["in all"].worrying
    assert items()["in all"].value == items()["computed by"].value == "–"


def test_the_window_times_what_it_paints(running: Driver) -> None:
    now = time.perf_counter()
    running.controller.emit(scores(now - 0.02, now - 0.01, now))
    running.play(0.2)
    way = running.window._ways[0].mean()
    assert way.capture == pytest.approx(0.01)
    assert way.compute == pytest.approx(0.01)
    assert way.wait > 0.0
    assert way.paint > 0.0
    running.qtbot.keyClick(running.window, Qt.Key.Key_F2)
    told = running.window.findChild(HealthDialog).text
    assert "From a sample to the screen" in told
    assert "CPU, int8 weights" in told


def test_the_log_ends_with_its_newest_lines(log: Path) -> None:
    assert log_file() == log
    logging.getLogger("realtime_ser").warning("it is back")
    assert log_tail(log, 1) == ("it is back",)
    assert log_tail(log) == ("the microphone went away", "it is back")
    assert log_tail(log.with_name("none")) == ()
    assert log_tail(None) == ()


def test_the_report_is_plain_text() -> None:
    events = EventLog()
    for _ in range(2):
        events.consume(Event(32_000, "gap", Severity.WARNING, "800 ms of audio were lost."))
    sections = health_sections(HEALTH, None, None, "Vosk", FrameTimes(), (0.25, 300.0))
    text = report_text(sections, events, ("a line",), "default 2.0", Path("a.log"))
    lines = text.splitlines()
    assert lines[0].startswith(f"realtime-ser {__version__}, Python ")
    assert lines[0].endswith("bundle default 2.0")
    assert "  0:02 warning: 800 ms of audio were lost. (×2)" in lines
    assert "  overruns: 2  (!)" in lines
    assert lines[-2:] == ["Log (a.log)", "  a line"]


def test_the_panel_is_kept_up_to_date_and_copied_without_words(running: Driver, log: Path) -> None:
    running.qtbot.keyClick(running.window, Qt.Key.Key_F2)
    dialog = running.window.findChild(HealthDialog)
    assert dialog.isVisible()
    assert "Built-in Microphone" in dialog.text
    assert "2 776" not in dialog.text
    running.play(28.0)
    running.tick(30)
    assert "2 776" in dialog.text  # windows so far, as in the line below the window
    running.qtbot.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
    text = QtWidgets.QApplication.clipboard().text()
    assert "windows: 2 776" in text
    assert "the microphone went away" in text
    for word in ("anger", "happiness", *SCRIPT[0].words.split()[:2]):
        assert word not in text


def test_a_button_beside_the_health_line_opens_it(running: Driver) -> None:
    buttons = running.window.findChildren(QtWidgets.QPushButton)
    (button,) = [one for one in buttons if one.text() == "Health…"]
    running.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert running.window.findChild(HealthDialog).isVisible()
    assert running.window.findChild(HealthLine).isVisible()
