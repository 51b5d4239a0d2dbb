"""Outlets of the dashboard: off at first, switched on in the settings, told while they send, and told where they cannot."""

from __future__ import annotations

import re
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gui.conftest import Driver

from realtime_ser.controller import Controller, InputEntry, Sending
from realtime_ser.gui.panels.messages import NoticeBar
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.settings import Settings
from realtime_ser.gui.settings_dialog import SettingsDialog
from realtime_ser.outlets.wish import OutletWish
from realtime_ser.session.format import session_folders
from realtime_ser.session.reader import Session
from realtime_ser.session.request import SessionRequest
from realtime_ser.session.writer import Marker

Drive = Callable[..., Driver]
DEMO = InputEntry("demo", "demo", "Demonstration audio")


@pytest.fixture
def loaded(drive: Drive) -> Driver:
    driver = drive()
    driver.settle()
    return driver


@pytest.fixture
def dialog(loaded: Driver) -> SettingsDialog:
    loaded.window.show_settings()
    loaded.settle()
    return loaded.window.findChild(SettingsDialog)


def sign(driver: Driver) -> str:
    return driver.window._sending.text()


def test_nothing_leaves_the_machine_unless_it_is_switched_on(loaded: Driver, settings: QtCore.QSettings) -> None:
    loaded.window.start()
    loaded.tick()
    assert loaded.controller.wish is None
    assert sign(loaded) == ""
    assert not loaded.window._sending.isVisible()
    assert Settings(settings).outlets is None


def test_what_is_switched_on_is_sent_from_the_next_start_on_and_stays_on(
    loaded: Driver, dialog: SettingsDialog, settings: QtCore.QSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALTIME_SER_WEBSOCKET_TOKEN", "a long secret")
    loaded.window.start()
    loaded.tick()
    for name in ("osc", "websocket", "send_words"):
        dialog.check(name).click()
    dialog.field("osc_address").setText("127.0.0.1:9001")
    dialog.field("osc_address").editingFinished.emit()
    loaded.tick()
    assert loaded.controller.wish is None  # it runs, as it was started
    loaded.window.stop()
    loaded.window.start()
    loaded.tick()
    wish = OutletWish(osc=("127.0.0.1", 9001), websocket=("127.0.0.1", 8765), token="a long secret", words=True)
    assert loaded.controller.wish == wish
    assert sign(loaded) == "▲ Sending scores and WORDS: OSC to 127.0.0.1:9001, WebSocket at 127.0.0.1:8765"
    assert loaded.window._sending.isVisible()
    loaded.window.toggle_presentation()
    loaded.tick()
    assert "Sending scores and WORDS: OSC to 127.0.0.1:9001" in loaded.window._presentation.accessibleDescription()
    assert loaded.window._presentation._top.sending == sign(loaded).removeprefix("▲ ")
    loaded.window.leave_presentation()
    loaded.window.stop()
    loaded.tick()
    assert sign(loaded) == ""
    settings.sync()
    again = QtCore.QSettings(settings.fileName(), QtCore.QSettings.Format.IniFormat)
    assert Settings(again).outlets == wish
    assert "secret" not in Path(settings.fileName()).read_text()
    dialog.reset.click()
    assert Settings(settings).outlets is None


def test_an_address_that_is_none_is_told_and_listening_goes_on(loaded: Driver, dialog: SettingsDialog) -> None:
    dialog.check("osc").click()
    dialog.field("osc_address").setText("nowhere")
    dialog.field("osc_address").editingFinished.emit()
    loaded.window.start()
    loaded.tick()
    notice = loaded.window.findChild(NoticeBar).notice
    assert notice.problem == "Nothing is sent: 'nowhere' is no address for OSC."
    assert "Ctrl+," in notice.remedy
    assert loaded.controller.wish is None
    assert loaded.controller.state().phase == "running"


def test_what_cannot_be_sent_is_told_once(loaded: Driver) -> None:
    loaded.controller.unsent = Sending("", "Nothing is sent: Lab Streaming Layer needs pylsl.", "Install it.")
    loaded.window.start()
    loaded.tick(40)
    told = [entry for entry in loaded.window.model.events.entries if entry.kind == "outlets-problem"]
    assert [(entry.message, entry.times) for entry in told] == [
        ("Nothing is sent: Lab Streaming Layer needs pylsl. Install it.", 1)
    ]


def test_every_key_of_the_settings_is_of_one_thing(dialog: SettingsDialog) -> None:
    labels = [label for label in dialog.findChildren(QtWidgets.QLabel) if label.buddy() is not None]
    titles = [widget.text() for widget in (*labels, *dialog.findChildren(QtWidgets.QAbstractButton))]
    keys = Counter(key.lower() for title in titles for key in re.findall(r"&(\w)", title))
    assert [key for key, times in keys.items() if times > 1] == []


# The real controller ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def controller(random_bundle: Path, no_thread_left: None) -> Iterator[Controller]:
    made = Controller(random_bundle, "none")
    yield made
    made.close()


def begin(controller: Controller, qtbot: Any) -> None:
    controller.start(DEMO)
    qtbot.waitUntil(lambda: controller.state().phase == "running", timeout=30_000)


def test_scores_arrive_at_an_osc_receiver(controller: Controller, qtbot: Any) -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed: install the 'dev' extra")
    from pythonosc.osc_message import OscMessage

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        port = receiver.getsockname()[1]
        controller.send(OutletWish(osc=("127.0.0.1", port)))
        begin(controller, qtbot)
        assert controller.sending() == Sending(f"Sending scores: OSC to 127.0.0.1:{port}")
        seen: set[str] = set()
        while not {"/ser/classes", "/ser/window"} <= seen:
            seen.add(OscMessage(receiver.recv(65_536)).address)
        controller.stop()
        qtbot.waitUntil(lambda: controller.state().phase == "stopped", timeout=30_000)
        assert controller.sending() == Sending()


def test_a_port_that_is_taken_is_told_and_listening_goes_on(controller: Controller, qtbot: Any) -> None:
    pytest.importorskip("websockets", reason="websockets is not installed: install the 'dev' extra")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        controller.send(OutletWish(websocket=("127.0.0.1", port)))
        begin(controller, qtbot)
        sending = controller.sending()
        assert sending.text == ""
        assert sending.problem.startswith(f"Nothing is sent: Nobody can be served at 127.0.0.1:{port}")
        assert sending.remedy == "Choose another port."
        qtbot.waitUntil(lambda: controller.state().position > 0, timeout=30_000)


def test_markers_of_another_program_are_in_the_session_and_in_the_window(
    controller: Controller, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lsl_settings = tmp_path / "lsl_api.cfg"
    lsl_settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n")
    monkeypatch.setenv("LSLAPICFG", str(lsl_settings))
    monkeypatch.setenv("REALTIME_SER_SESSIONS", str(tmp_path / "sessions"))
    pylsl = pytest.importorskip("pylsl", reason="pylsl is not installed: install the 'dev' extra", exc_type=ImportError)
    name = f"stimuli {uuid.uuid4().hex}"
    controller.send(OutletWish(lsl_markers=name))
    controller.start(DEMO, SessionRequest())
    qtbot.waitUntil(lambda: controller.sending().receiving != "", timeout=30_000)
    assert controller.sending() == Sending(receiving=f"Waiting for markers from LSL's stream '{name}'.")
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, pylsl.cf_string, name))
    qtbot.waitUntil(lambda: controller.sending().receiving.startswith("Markers are received"), timeout=60_000)
    outlet.push_sample(["stimulus"], pylsl.local_clock())
    found: list[Marker] = []

    def arrived() -> bool:
        found.extend(controller.foreign_markers())
        return bool(found)

    qtbot.waitUntil(arrived, timeout=30_000)
    controller.stop()
    qtbot.waitUntil(lambda: controller.state().phase == "stopped", timeout=30_000)
    assert controller.sending() == Sending()
    (folder,) = session_folders(tmp_path / "sessions")
    with Session(folder) as session:
        (marker,) = session.markers()
    assert (marker["name"], marker["source"]) == ("stimulus", f"LSL {name}")
    assert [(one.name, one.sample) for one in found] == [("stimulus", marker["sample"])]
    del outlet


def test_without_a_recording_nobody_is_listened_to(controller: Controller, qtbot: Any) -> None:
    controller.send(OutletWish(lsl_markers="stimuli"))
    begin(controller, qtbot)
    assert controller.sending() == Sending()


def test_where_markers_come_from_is_shown_and_remembered(
    loaded: Driver, dialog: SettingsDialog, settings: QtCore.QSettings
) -> None:
    dialog.field("lsl_markers").setText("stimuli")
    dialog.field("lsl_markers").editingFinished.emit()
    loaded.window.start()
    loaded.controller.unsent = Sending(receiving="Markers are received from LSL's stream 'stimuli' on here.")
    loaded.tick()
    assert loaded.controller.wish == OutletWish(lsl_markers="stimuli")
    assert sign(loaded) == "▼ Markers are received from LSL's stream 'stimuli' on here."
    assert Settings(settings).outlets == OutletWish(lsl_markers="stimuli")
