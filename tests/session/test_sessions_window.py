"""The window of the recorded sessions, on sessions that the real engine recorded."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from session_parts import Record, Recorded

from realtime_ser.gui.job import time_left
from realtime_ser.gui.qt import Qt, QtCore, QtGui, QtWidgets
from realtime_ser.gui.sessions.window import SessionsWindow
from realtime_ser.gui.theme import DARK, LIGHT
from realtime_ser.session import edit
from realtime_ser.session.catalogue import Catalogue
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.format import hold_lock
from realtime_ser.session.reader import Session


def put(session: Path, root: Path, name: str, **header: str) -> Path:
    """A copy under another name, with another header."""
    folder = shutil.copytree(session, root / name)
    written = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**written, **header}))
    return folder


@pytest.fixture
def root(recorded: Recorded, record: Record, tmp_path: Path) -> Path:
    """A complete session with words and sound, an interrupted one with scores alone, a damaged one."""
    root = tmp_path / "sessions"
    root.mkdir()
    put(recorded.folder, root, "1", participant="P01", condition="rest", created="2026-03-01T10:00:00.000+00:00")
    silent = record(tmp_path / "elsewhere").folder
    other = put(silent, root, "2", participant="P02", condition="stress", created="2026-03-02T10:00:00.000+00:00")
    with sqlite3.connect(other / "session.sqlite") as database:
        database.execute("DELETE FROM endings")
    database.close()
    damaged = put(recorded.folder, root, "3", participant="P03")
    (damaged / "session.sqlite").write_bytes(b"nothing of the kind")
    return root


@pytest.fixture
def show(qtbot: Any, tmp_path: Path) -> Iterator[Callable[[Path], SessionsWindow]]:
    before = set(threading.enumerate())
    windows: list[SessionsWindow] = []

    def make(root: Path) -> SessionsWindow:
        settings = QtCore.QSettings(str(tmp_path / "sessions.ini"), QtCore.QSettings.Format.IniFormat)
        settings.setValue("sessions", str(root))
        window = SessionsWindow(settings, DARK)
        qtbot.addWidget(window)
        windows.append(window)
        window.show()
        qtbot.waitUntil(lambda: not window.busy)
        return window

    yield make
    for window in windows:
        window.end()
    QtWidgets.QApplication.processEvents()
    assert set(threading.enumerate()) <= before


def cells(window: SessionsWindow) -> list[list[str]]:
    model = window.view.model()
    return [[str(model.index(row, column).data()) for column in range(6)] for row in range(model.rowCount())]


def choose(window: SessionsWindow, *names: str) -> None:
    window.view.clearSelection()
    flags = QtCore.QItemSelectionModel.SelectionFlag.Select | QtCore.QItemSelectionModel.SelectionFlag.Rows
    for row, one in enumerate(window.shown):
        if one.folder.name in names:
            window.view.selectionModel().select(window.view.model().index(row, 0), flags)


def test_what_there_is_is_listed_sorted_and_found(root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any) -> None:
    window = show(root)
    found = cells(window)
    assert [row[1:3] for row in found] == [["P02", "stress"], ["P01", "rest"], ["", ""]]
    assert [row[5] for row in found] == ["! interrupted", "✓ complete", "✕ unreadable"]
    assert [row[4] for row in found] == ["scores", "scores, words, SOUND", ""]
    assert found[1][3] == "0:00:10"
    # The newest is selected, and it is said what happened to it.
    assert "not closed" in window.text
    qtbot.keyClicks(window.search, "p01 SOUND")
    assert [one.folder.name for one in window.shown] == ["1"]
    assert [one.folder.name for one in window.selected] == ["1"]
    qtbot.keyClicks(window.search, " no such word")
    assert window.text == "None of 3 sessions has all of these words: p01 SOUND no such word"
    assert not window.open.isEnabled()
    window.search.clear()
    choose(window, "3")
    assert not window.open.isEnabled()
    assert window.delete.isEnabled()
    choose(window, "1", "2")
    assert window.text == "2 sessions, 0:00:20 in all"
    window.apply_palette(LIGHT)


def test_enter_opens_the_first_as_soon_as_it_is_listed_and_looking_again_takes_the_keys_from_nobody(
    root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any
) -> None:
    window = show(root)
    window._table.show_facts([])
    window.view.clearSelection()
    window.search.setFocus()
    window._unseen = True
    # What a reading that has not ended yet has found.
    (facts,) = [one for one in Catalogue().read(root) if one.folder.name == "1"]
    window._found.put(facts)
    window.tick()
    assert window.selected == [facts]
    assert window.focusWidget() is window.view
    qtbot.keyClick(window.view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(window.replays))

    window.reveal.setFocus()
    window.refresh()
    qtbot.waitUntil(lambda: not window.busy and len(window.shown) == 3)
    assert window.focusWidget() is window.reveal


def test_where_there_is_none_it_is_said_and_what_comes_is_seen(
    root: Path, show: Callable[[Path], SessionsWindow], tmp_path: Path, qtbot: Any
) -> None:
    empty = tmp_path / "empty"
    window = show(empty)
    assert window.text.startswith(f"There are no sessions in {empty}.")
    empty.mkdir()
    shutil.copytree(root / "1", empty / "1")
    qtbot.keyClick(window, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: not window.busy)
    assert [one.phase for one in window.shown] == ["closed"]
    edit.delete_audio(empty / "1")
    window.refresh()
    qtbot.waitUntil(lambda: not window.busy)
    assert [one.audio for one in window.shown] == [False]


def test_several_are_opened_each_once_but_not_one_that_is_being_recorded(
    root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any
) -> None:
    window = show(root)
    choose(window, "1", "2")
    window.view.setFocus()
    qtbot.keyClick(window.view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(window.replays) == 2)
    assert {folder.name for folder in window.replays} == {"1", "2"}
    first = window.replays[root / "1"]
    window.open_selected()
    qtbot.waitUntil(lambda: not window.busy)
    assert window.replays[root / "1"] is first
    window.apply_palette(LIGHT)
    assert LIGHT.window in first.styleSheet()
    choose(window, "1")
    window.ask_delete()
    assert window.question is None  # it is open
    first.close()
    assert set(window.replays) == {root / "2"}
    lock = hold_lock(root / "1")
    window.refresh()
    qtbot.waitUntil(lambda: not window.busy)
    choose(window, "1")
    for button in (window.open, window.export, window.delete):
        assert not button.isEnabled()
    assert "being recorded" in window.open.toolTip()
    lock.close()


def test_deleting_is_asked_for_and_logged(root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any) -> None:
    window = show(root)
    choose(window, "2")
    window.view.setFocus()
    qtbot.keyClick(window.view, Qt.Key.Key_Delete)
    assert window.question is not None
    keep, delete = (
        next(button for button in window.question.buttons() if button.text().replace("&", "") == text)
        for text in ("Keep", "Delete")
    )
    assert window.question.defaultButton() is keep
    keep.click()
    assert (root / "2").exists()
    assert window.question is None
    window.ask_delete()
    assert window.question is not None
    delete = next(button for button in window.question.buttons() if button.text().replace("&", "") == "Delete")
    delete.click()
    qtbot.waitUntil(lambda: not (root / "2").exists() and not window.busy)
    assert sorted(one.folder.name for one in window.shown) == ["1", "3"]
    (entry,) = (root / edit.DELETIONS_NAME).read_text().splitlines()
    assert json.loads(entry)["reason"] == "sessions window"


def test_several_are_exported_at_once(root: Path, show: Callable[[Path], SessionsWindow], tmp_path: Path, qtbot: Any) -> None:
    window = show(root)
    choose(window, "1", "2")
    window.show_export()
    dialog = window.export_dialog
    assert dialog is not None
    for name, box in dialog.formats.items():
        box.setChecked(name in ("srt", "flac"))
    dialog.place.setText(str(tmp_path / "out"))
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    # The second has no sound to write.
    assert [Path(path).as_posix() for path in written] == ["1/audio.flac", "1/session.srt", "2/session.srt"]
    dialog.begin.click()
    dialog.reject()
    qtbot.waitUntil(lambda: not dialog.job.busy, timeout=20_000)
    assert dialog.told.startswith(("Cancelled", "Wrote"))
    dialog.reject()
    assert not dialog.isVisible()


def test_a_session_that_vanished_is_told_and_a_folder_is_shown(
    root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = show(root)
    opened: list[str] = []
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    choose(window, "1")
    window.reveal.click()
    assert opened == [str(root / "1")]
    shutil.rmtree(root / "1")
    window.open_selected()
    qtbot.waitUntil(lambda: not window.busy)
    notice = window._notice.notice
    assert notice is not None
    assert "cannot be read" in notice.problem
    assert window.replays == {}


def test_the_time_that_is_left_in_words() -> None:
    assert time_left(0.0, 10.0) == time_left(0.5, 0.5) == time_left(1.0, 9.0) == ""
    assert time_left(0.25, 10.0) == "about 30 s left"
    assert time_left(0.5, 300.0) == "about 5 min left"
    assert time_left(0.1, 3_600.0) == "about 9.0 h left"


def test_what_a_paper_needs_is_shown_copied_and_saved(
    root: Path, show: Callable[[Path], SessionsWindow], tmp_path: Path, qtbot: Any
) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib draws the figure: install the 'dev' extra")
    window = show(root)
    choose(window, "1")
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window, Qt.Key.Key_E, keys)
    dialog = window.report_dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.job.busy)
    with Session(root / "1") as session:
        paragraph = methods_paragraph(session)
    assert dialog.methods.toPlainText() == paragraph
    dialog.copy.click()
    assert QtWidgets.QApplication.clipboard().text() == paragraph
    assert dialog.told == "On the clipboard: the paragraph."
    written = {}
    for page, name in (("Methods", "methods.txt"), ("Figure", "figure.svg"), ("Summary", "summary.csv")):
        dialog.switches[page].click()
        qtbot.waitUntil(lambda: not dialog.drawing and dialog.begin.isEnabled(), timeout=30_000)
        dialog.place.setText(str(tmp_path / "new" / name))
        dialog.begin.click()
        qtbot.waitUntil(lambda: not dialog.job.busy, timeout=30_000)
        assert dialog.told == f"Wrote {tmp_path / 'new' / name}"
        written[page] = (tmp_path / "new" / name).read_text(encoding="utf-8")
    assert written["Methods"] == paragraph + "\n"
    assert "time (s)" in written["Figure"]
    assert written["Summary"].startswith("participant,condition,sessions")
    assert not dialog.picture.empty
    assert dialog.table.item(0, 0).text() == "P01"
    dialog.copy.click()
    assert QtWidgets.QApplication.clipboard().text().split("\t")[:2] == ["participant", "condition"]
    dialog.show_page("Figure")
    dialog.place.setText(str(tmp_path / "figure.png"))
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy)
    assert "does not say how to draw it" in dialog.told
    choose(window, "1", "2")
    window.show_report()
    dialog = window.report_dialog
    qtbot.waitUntil(lambda: not dialog.job.busy)
    assert not dialog.switches["Figure"].isEnabled()
    assert dialog.methods.toPlainText().count("Vocal expression was scored") == 2
    assert [dialog.table.item(row, 0).text() for row in range(dialog.table.rowCount())] == ["P01", "P02"]


def test_the_kind_of_file_that_is_chosen_decides(
    root: Path, show: Callable[[Path], SessionsWindow], tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = show(root)
    choose(window, "1", "2")
    window.show_report()
    dialog = window.report_dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.job.busy)
    dialog.show_page("Summary")
    asked = []

    def answer(_parent: object, _title: str, suggested: str, kinds: str, before: str) -> tuple[str, str]:
        asked.append((Path(suggested).suffix, kinds, before))
        return str(tmp_path / "means.csv"), "JSONL (*.jsonl)"

    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", answer)
    for _ in range(2):
        dialog._browse()
        assert dialog.place.text() == str(tmp_path / "means.jsonl")
    kinds = "CSV (*.csv);;PARQUET (*.parquet);;JSONL (*.jsonl)"
    assert asked == [(".csv", kinds, "CSV (*.csv)"), (".jsonl", kinds, "JSONL (*.jsonl)")]
    dialog.begin.click()
    qtbot.waitUntil(lambda: not dialog.job.busy)
    assert (tmp_path / "means.jsonl").read_text(encoding="utf-8").startswith("{")


def test_before_everything_is_closed_every_window_asks_for_what_is_not_saved(
    root: Path, show: Callable[[Path], SessionsWindow], qtbot: Any
) -> None:
    window = show(root)
    choose(window, "1", "2")
    window.open_selected()
    qtbot.waitUntil(lambda: len(window.replays) == 2 and all(one.isVisible() for one in window.replays.values()))
    ended: list[bool] = []
    window.ask_to_end(lambda: ended.append(True))
    assert ended == [True]  # nothing was written
    for one in window.replays.values():
        one.jump("utterance", 1)
        one._utterance.label.setCurrentText("relief")
    for pressed in ("Cancel", "Save", "Discard"):
        if pressed != "Discard":
            window.ask_to_end(lambda: ended.append(True))
        asked = [one for one in window.replays.values() if one.question is not None]
        assert len(asked) == 1
        (button,) = (one for one in asked[0].question.buttons() if one.text().replace("&", "") == pressed)
        button.click()
        if pressed == "Cancel":
            assert asked[0].question is None
            assert ended == [True]
        elif pressed == "Save":
            saved = asked[0]
            qtbot.waitUntil(lambda: any(one.question is not None for one in window.replays.values()))
            assert saved.document.utterances[0].annotation == "relief"
    assert ended == [True, True]
    assert not window.unsaved
