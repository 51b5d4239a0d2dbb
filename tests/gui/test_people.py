"""Two people in the dashboard: what is chosen, what is started, what is shown, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gui.conftest import Driver
from gui.scripted_controller import Choice, ScriptedController, Stream

from realtime_ser.controller import Controller
from realtime_ser.gui.panels.level import LevelPanel
from realtime_ser.gui.panels.messages import NoticeBar
from realtime_ser.gui.panels.now import NowPanel
from realtime_ser.gui.panels.people import PeopleBar
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.panels.transcript import TranscriptList
from realtime_ser.gui.panels.transport import Transport
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.inputs import Input, PeopleInput
from realtime_ser.session.reader import Session
from realtime_ser.types import Event, Level, Severity, Span

Drive = Callable[..., Driver]
MICROPHONES = (Choice("microphone", "1", "Left headset"), Choice("microphone", "2", "Right headset"))


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sessions"
    monkeypatch.setenv("REALTIME_SER_SESSIONS", str(folder))
    return folder


@pytest.fixture
def two(drive: Drive) -> Driver:
    """Two people are chosen, by key, and called Anna and Ben."""
    driver = drive(ScriptedController(inputs=MICROPHONES))
    driver.settle()
    driver.window.activateWindow()
    driver.qtbot.waitUntil(driver.window.isActiveWindow)
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    for field, name in zip(bar(driver).names, ("Anna", "Ben"), strict=True):
        field.setText(name)
    return driver


def bar(driver: Driver) -> PeopleBar:
    return driver.window.findChild(PeopleBar)


def shown(driver: Driver, kind: type) -> list[Any]:
    return [panel for panel in driver.window.findChildren(kind) if panel.isVisible()]


def speak(driver: Driver, seconds: float) -> None:
    """The second person says what the scripted stream says, a second earlier."""
    stream = Stream()
    for _ in range(10):
        driver.controller.second_outputs.extend(stream.step())
    for _ in range(round(10 * seconds)):
        driver.controller.second_outputs.extend(stream.step())
        driver.controller.advance(0.1)
        driver.window.tick()
    driver.tick()


def test_two_people_on_one_input_have_a_channel_each(two: Driver) -> None:
    assert bar(two).isVisible()
    bar(two).channels[1].setValue(4)
    two.window.start()
    two.tick()
    assert two.controller.people == PeopleInput((Input("microphone", "1"),), ("Anna", "Ben"), (0, 3))
    assert not bar(two).isVisible()  # nothing of it can be chosen now
    two.window.stop()
    two.tick()
    assert bar(two).isVisible()


def test_the_second_may_have_a_microphone_of_their_own(two: Driver) -> None:
    bar(two).second.setCurrentText("Right headset")
    assert not any(channel.isVisible() for channel in bar(two).channels)
    two.window.start()
    expected = PeopleInput((Input("microphone", "1"), Input("microphone", "2")), ("Anna", "Ben"))
    assert two.controller.people == expected
    assert not expected.one_clock


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda bar: bar.channels[1].setValue(1), "same channel"),
        (lambda bar: bar.names[1].setText("anna"), "no names for two people"),
        (lambda bar: bar.second.setCurrentText("Left headset"), "same input"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_starts(two: Driver, wrong: Callable[[PeopleBar], None], told: str) -> None:
    wrong(bar(two))
    two.window.start()
    two.tick()
    assert not two.controller.started
    notice = two.window.findChild(NoticeBar).notice
    assert notice is not None
    assert told in notice.problem


def test_everybody_has_a_lane(two: Driver) -> None:
    two.window.start()
    speak(two, 9.0)
    titles = [panel.accessibleName() for panel in shown(two, NowPanel)]
    assert titles == ["Anna", "Ben"]
    assert [panel.accessibleName() for panel in shown(two, TimelinePanel)] == ["Anna", "Ben"]
    assert len(shown(two, LevelPanel)) == 2
    first, second = shown(two, TimelinePanel)
    assert first._range == second._range  # one axis
    assert first._range[0] <= 9.0 <= first._range[1]
    lists = shown(two, TranscriptList)
    assert [len(one._rows) for one in lists] == [2, 2]
    assert [one.accessibleName() for one in lists] == ["utterances of Anna", "utterances of Ben"]
    assert [len(model.verdicts) for model in (two.window.model, two.window._second)] == [1, 2]
    two.window._timeline.toggle_zoom()
    assert first.shown_seconds == second.shown_seconds == 20
    for panel in (*shown(two, NowPanel), first, second):
        assert panel.width() >= panel.minimumSizeHint().width()


def test_what_happens_to_the_second_is_told_with_the_name(two: Driver) -> None:
    bar(two).second.setCurrentText("Right headset")
    two.window.start()
    two.tick()
    two.controller.second_outputs.append(Event(16_000, "device-lost", Severity.ERROR, "It went away."))
    two.tick()
    assert two.window.model.events.newest.message == "Ben: It went away."
    assert shown(two, NowPanel)[1].view.headline != shown(two, NowPanel)[0].view.headline


def test_what_happens_to_an_input_of_both_is_told_once(two: Driver) -> None:
    two.window.start()
    two.tick()
    gap = Event(16_000, "gap", Severity.WARNING, "Sound was lost.")
    two.controller._outputs.append(gap)
    two.controller.second_outputs.append(gap)
    two.tick()
    assert [entry.message for entry in two.window.model.events.entries].count("Sound was lost.") == 1
    assert not any("Ben" in entry.message for entry in two.window.model.events.entries)


def test_the_marks_of_clipping_are_reset_one_by_one_or_both(two: Driver) -> None:
    two.window.start()
    first, second = two.window.model.meter, two.window._second.meter
    loud = Level(Span(0, 1_600), 0.0, -3.0, clipped=4)
    for person in (0, 1, None):
        first.consume(loud)
        second.consume(loud)
        two.window.forgive_clipping(person)
        assert (first.clipped > 0, second.clipped > 0) == (person == 1, person == 0)
        two.window.forgive_clipping()


def test_one_person_again_has_all_the_room(two: Driver) -> None:
    two.window.start()
    speak(two, 2.0)
    two.window.stop()
    two.tick()
    two.window.findChild(Transport).ask_two_people(False)
    two.window.start()
    two.play(2.0)
    assert two.controller.people is None
    for kind, title in ((NowPanel, "Now"), (TimelinePanel, "Timeline"), (LevelPanel, "dBFS"), (TranscriptList, "utterances")):
        assert [panel.accessibleName() for panel in shown(two, kind)] == [title]
    assert all(lane.isVisible() for lane in two.window._timeline._lanes.values())
    assert two.window._timeline._lanes["bands"].getViewBox().height() > 20


def test_both_have_to_agree_before_words_are_kept(two: Driver) -> None:
    two.window.record()
    dialog = two.window.findChild(SessionDialog)
    dialog.participant.setText("P01")
    dialog.second_participant.setText("P02")
    dialog.keep_words.setChecked(True)
    assert dialog.second_agreed.isVisible()
    assert "Ben" in dialog.second_agreed.text()
    dialog.agreed.setChecked(True)
    assert not dialog.begin.isEnabled()
    dialog.second_agreed.setChecked(True)
    assert dialog.begin.isEnabled()
    request = dialog.request()
    assert [other.participant for other in request.others] == ["P02"]
    assert request.others[0].kept == request.kept
    dialog.keep_audio.setChecked(True)  # another thing than was agreed to
    assert not dialog.agreed.isChecked()
    assert not dialog.second_agreed.isChecked()
    dialog.reject()


def test_the_running_program_records_both(
    qtbot: Any, settings: QtCore.QSettings, random_bundle: Path, demonstration: np.ndarray, tmp_path: Path, sessions: Path
) -> None:
    clip = tmp_path / "both.wav"
    soundfile.write(clip, np.stack([demonstration[12_000:60_000], demonstration[130_000:178_000]], axis=1), 16_000)
    window = DashboardWindow(lambda: Controller(str(random_bundle), "none"), settings, recording=clip)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and window._transport.choice is not None, timeout=20_000)
    window._transport.ask_two_people(True)
    window.record()
    dialog = window.findChild(SessionDialog)
    dialog.participant.setText("P01")
    dialog.second_participant.setText("P02")
    dialog.accept()
    qtbot.waitUntil(lambda: window._phase == "finished", timeout=30_000)
    qtbot.waitUntil(lambda: not window.recording, timeout=10_000)
    window.tick()
    assert window.model.position == window._second.position == 48_000
    assert len(window._second.verdicts) >= 1
    (folder,) = sessions.iterdir()
    with Session(folder) as session:
        people = session.everybody()
        assert [(one.name, one.header.participant, one.samples) for one in people] == [
            ("Person 1", "P01", 48_000),
            ("Person 2", "P02", 48_000),
        ]
        assert [len(one.utterances()) for one in people] == [len(window.model.verdicts), len(window._second.verdicts)]
    window.close()
    QtWidgets.QApplication.processEvents()


def filters_say(driver: Driver) -> str:
    return driver.window._filters._person.text() if driver.window._filters._person.isVisible() else ""


def test_a_key_says_whose_voice_everything_shows_that_shows_one(two: Driver) -> None:
    window = two.window
    two.window.start()
    speak(two, 9.0)
    window.show_inside()
    window.show_sincgram()
    window.show_health()
    assert window.followed is window.model
    assert filters_say(two).startswith("Anna")
    window.activateWindow()
    two.qtbot.waitUntil(window.isActiveWindow)
    two.qtbot.keyClick(window, Qt.Key.Key_P)
    assert window.followed is window._second
    two.tick()
    assert filters_say(two).startswith("Ben")
    assert window._inside.windowTitle() == "Inside the fusion: Ben"
    assert window.sincgram.windowTitle() == "Live sincgram: Ben"
    assert two.controller.heard_person == 1
    assert "Sound of Ben" in window._health_dialog.text
    before = len(window.sincgram._model.sinc.view())
    speak(two, 1.0)
    assert len(window.sincgram._model.sinc.view()) >= before
    window.toggle_presentation()
    two.tick()
    assert window._presentation.spoken.startswith("Ben. ")
    assert window._presentation._flow.model is window._second
    window.follow_next_person()
    two.tick()
    assert window._presentation.spoken.startswith("Anna. ")
    window.leave_presentation()
    # What is chosen on somebody's timeline is looked into as theirs.
    window._second_timeline.utterance_chosen.emit(window._second.verdicts[0].utterance)
    assert window.followed is window._second
    assert window._inside.chosen == window._second.verdicts[0].utterance


def test_one_person_has_no_choice(running: Driver) -> None:
    running.play(2.0)
    assert filters_say(running) == ""
    running.window.follow_next_person()
    assert running.window.followed is running.window.model
    running.window.toggle_presentation()
    running.tick()
    assert not running.window._presentation.spoken.startswith("Anna")


def test_bleed_is_shown_as_that(two: Driver) -> None:
    two.window.start()
    speak(two, 9.0)
    verdict = two.window._second.verdicts[-1]
    two.controller.second_outputs.append(replace(verdict, bleed=0.93))
    two.tick()
    (row,) = (row for row in shown(two, TranscriptList)[1]._rows.values() if row._chip.text() == "↔ bleed")
    assert "93 %" in row._chip.toolTip()
    assert "probably another person's voice" in row.accessibleName()


@pytest.mark.parametrize(
    ("people", "told"),
    [
        (PeopleInput((Input("microphone", "1"),), ("Anna", "Ben"), (1, 3)), None),
        (PeopleInput((Input("microphone", "1"), Input("microphone", "right")), ("Anna", "Ben")), None),
        (PeopleInput((Input("microphone", "1"), Input("microphone", "not there")), ("Anna", "Ben")), "not there"),
    ],
)
def test_two_people_of_the_command_line(drive: Drive, people: PeopleInput, told: str | None) -> None:
    driver = drive(ScriptedController(inputs=MICROPHONES), choose=("microphone", "1"), start=True, people=people)
    driver.settle()
    driver.tick(20)
    if told is None:
        started = driver.controller.people
        assert (started.names, started.channels) == (people.names, people.channels)
        assert [one.id for one in started.inputs] == ["1", "2"][: len(people.inputs)]
    else:
        assert not driver.controller.started
        notice = driver.window.findChild(NoticeBar).notice
        assert notice is not None
        assert told in notice.problem


def test_two_files_of_the_command_line(drive: Drive, tmp_path: Path) -> None:
    people = PeopleInput((Input("file", str(tmp_path / "a.wav")), Input("file", str(tmp_path / "b.wav"))), ("Anna", "Ben"))
    driver = drive(ScriptedController(inputs=MICROPHONES), recording=tmp_path / "a.wav", start=True, people=people)
    driver.settle()
    driver.window.refresh_inputs()
    driver.settle()
    driver.tick(20)
    assert driver.controller.people == people
