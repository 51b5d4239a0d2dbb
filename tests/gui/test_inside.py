"""Inside the fusion: live and of committed utterances, by keyboard and by click, and what it says where there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gui.conftest import Driver
from gui.scripted_controller import SCRIPT, Line, ScriptedController, Stream

from realtime_ser.bundle.loader import load_bundle
from realtime_ser.controller import Controller
from realtime_ser.errors import BundleError
from realtime_ser.gui.inside.view import CAVEATS, describe_row, effective_count, inside_view
from realtime_ser.gui.inside.window import InsideWindow
from realtime_ser.gui.models import DashboardModel
from realtime_ser.gui.panels.timeline import TimelinePanel
from realtime_ser.gui.qt import Qt, QtCore, QtWidgets, pg
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.inputs import open_input
from realtime_ser.text.attention import CrossAttention

Drive = Callable[..., Driver]


def opened(driver: Driver) -> InsideWindow:
    driver.window.activateWindow()
    driver.qtbot.waitUntil(driver.window.isActiveWindow)
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    inside = driver.window.findChild(InsideWindow)
    assert inside.isVisible()
    driver.settle()
    return inside


def press(driver: Driver, inside: InsideWindow, key: Qt.Key) -> None:
    inside.activateWindow()
    driver.qtbot.waitUntil(inside.isActiveWindow)
    driver.qtbot.keyClick(inside, key)
    driver.settle()


def said(inside: InsideWindow) -> str:
    """All that a screen reader could read out."""
    parts = [label.text() for label in inside.findChildren(QtWidgets.QLabel) if label.isVisible()]
    return " | ".join(parts + [widget.accessibleDescription() for widget in inside.findChildren(QtWidgets.QWidget)])


def numbers(driver: Driver) -> list[int]:
    return [row.utterance for row in driver.window.model.transcripts.rows if row.verdict is not None]


def test_live_it_follows_the_utterance(running: Driver) -> None:
    inside = opened(running)
    assert inside.view.title == "Live"
    assert "Nothing was said yet." in said(inside)
    running.play(1.7)
    assert "There are no words yet: the voice alone counts" in said(inside)
    running.play(1.5)
    running.settle()
    estimate = running.window.model.estimate
    assert inside.view.detail is estimate.fusion
    assert running.controller.read[-1] == estimate.transcript.text
    assert "voice: 32 segments" in said(inside)
    assert "words: 75 segments" in said(inside)
    assert "The words are trusted 70 %" in said(inside)
    centred = estimate.fusion.voice_part - estimate.fusion.voice_part.mean()
    assert f"neutral: voice {centred[2]:+.1f}" in said(inside)
    words = len(running.controller.read)
    running.tick(16)
    assert len(running.controller.read) == words, "words that have been read are not read again"
    running.play(2.5)
    assert inside.view.title == "Live: nobody speaks; the last utterance, from 0:01"


def test_earlier_and_later_by_the_arrow_keys(running: Driver) -> None:
    running.play(23.2)
    inside = opened(running)
    known = numbers(running)
    assert len(known) == 5
    press(running, inside, Qt.Key.Key_Left)
    # Nobody speaks, so that the live view shows the last one already.
    assert inside.chosen == known[-2]
    for number in (known[-3], known[-4], known[-5], known[-5]):
        press(running, inside, Qt.Key.Key_Left)
        assert inside.chosen == number
    assert inside.view.title == "Utterance 0:01–0:04: neutral 62 %"
    assert not inside.earlier.isEnabled()
    running.play(1.0)
    assert inside.chosen == known[0], "what was chosen stays while others speak"
    press(running, inside, Qt.Key.Key_Right)
    assert inside.view.title == "Utterance 0:06–0:08: neutral 71 %"
    assert running.controller.read[-1] == SCRIPT[1].words
    press(running, inside, Qt.Key.Key_End)
    assert inside.chosen is None
    assert inside.live.isChecked()
    press(running, inside, Qt.Key.Key_Left)
    for _ in known:
        press(running, inside, Qt.Key.Key_Right)
    assert inside.chosen is None, "after the last one it is live again"


def test_a_click_in_the_timeline_chooses(running: Driver) -> None:
    running.play(20.0)
    running.tick()
    view = running.window.findChild(TimelinePanel).findChild(pg.GraphicsLayoutWidget)
    box = running.window.findChild(TimelinePanel)._lanes["verdicts"].getViewBox()

    def click(second: float) -> None:
        at = view.mapFromScene(box.mapViewToScene(QtCore.QPointF(second, 0.5)))
        running.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
        running.settle()

    click(5.3)
    assert running.window.findChild(InsideWindow) is None, "between two utterances there is none"
    click(7.0)
    inside = running.window.findChild(InsideWindow)
    assert inside.isVisible()
    assert inside.view.title == "Utterance 0:06–0:08: neutral 71 %"
    click(12.0)
    assert inside.view.title.startswith("Utterance 0:10")


def test_a_button_opens_it(running: Driver) -> None:
    buttons = running.window.findChildren(QtWidgets.QToolButton)
    running.qtbot.mouseClick(next(b for b in buttons if b.text() == "Inside…"), Qt.MouseButton.LeftButton)
    assert running.window.findChild(InsideWindow).isVisible()


def test_words_are_looked_into_by_keys_and_clicks(running: Driver) -> None:
    running.play(24.0)
    inside = opened(running)
    press(running, inside, Qt.Key.Key_Left)
    attention = inside._attention
    assert attention is not None
    assert describe_row(attention, 0, 0) in said(inside)
    press(running, inside, Qt.Key.Key_Down)
    press(running, inside, Qt.Key.Key_K)
    assert describe_row(attention, 1, 1) in said(inside)
    assert "(3 words)" in said(inside)
    for _ in range(30):
        inside.choose_row(inside._row + 1)
    assert describe_row(attention, 1, len(attention.tokens) - 1) in said(inside)
    press(running, inside, Qt.Key.Key_Up)
    assert describe_row(attention, 1, len(attention.tokens) - 2) in said(inside)
    picture = inside._map
    cells = picture._cells(attention, picture.fontMetrics())
    at = QtCore.QPoint(round(cells.center().x()), round(cells.top() + 2.5 * cells.height() / len(attention.tokens)))
    running.qtbot.mouseClick(picture, Qt.MouseButton.LeftButton, pos=at)
    assert describe_row(attention, 1, 2) in said(inside)
    buttons = [button for button in inside.findChildren(QtWidgets.QToolButton) if "words" in button.text()]
    running.qtbot.mouseClick(buttons[-1], Qt.MouseButton.LeftButton)
    assert "(5 words)" in said(inside)


def test_the_same_words_of_another_utterance_are_shown_too(running: Driver) -> None:
    running.controller.stream = Stream(script=(Line(0.5, 2.0, 2, 0.7, "yes"), Line(3.0, 4.5, 0, 0.7, "yes")))
    running.play(6.0)
    inside = opened(running)
    press(running, inside, Qt.Key.Key_Left)
    assert inside.view.title.startswith("Utterance 0:00")
    assert "“yes” attends to: yes 100 %" in said(inside)


def test_without_a_recogniser_it_says_so(running: Driver) -> None:
    running.controller._state = type(running.controller._state)("running", recognizer="none", live=True)
    running.controller.stream = Stream(script=(Line(0.5, 3.0, 2, 0.7, ""),))
    running.play(4.5)
    inside = opened(running)
    assert inside.view.empty == "The recogniser is off: the voice alone counted, and the fusion network was not used."
    assert "The recogniser is off." in said(inside)
    assert running.controller.read == []


def test_before_anything_is_heard(drive: Drive) -> None:
    driver = drive()
    driver.settle()
    assert "press Start" in said(opened(driver))


def test_doubtful_words_are_shown_but_not_as_counted(running: Driver) -> None:
    running.play(4.0)
    model = running.window.model
    estimate = model.estimate
    model.estimate = type(estimate)(
        *[getattr(estimate, name) for name in estimate.__slots__ if name not in {"note", "captured_at", "fusion"}],
        note="doubtful words: voice only",
    )
    view = inside_view(model, "running", "Vosk", None)
    assert view.empty == "The fusion network was not used: doubtful words: voice only."
    assert view.words == estimate.transcript.text
    assert view.detail is None


def test_a_bundle_without_cross_attention_says_so(running: Driver) -> None:
    running.controller.attention_error = BundleError("The text network of this bundle has no cross-attention.", "")
    running.play(4.0)
    inside = opened(running)
    assert "The text network of this bundle has no cross-attention." in said(inside)
    assert len(running.controller.read) == 1, "it is not asked again and again for the same words"


def test_what_it_cannot_say_is_always_there_and_by_name(running: Driver) -> None:
    inside = opened(running)
    for sentence in CAVEATS:
        assert sentence in said(inside)
    for kind in (QtWidgets.QPushButton, QtWidgets.QToolButton, QtWidgets.QScrollArea):
        for widget in inside.findChildren(kind):
            assert widget.accessibleName() or widget.text()
    names = {widget.accessibleName() for widget in inside.findChildren(QtWidgets.QWidget)}
    for name in ("what voice and words add to every class", "cross-attention over words"):
        assert name in names


def test_what_was_chosen_and_is_forgotten_gives_way_to_the_oldest(running: Driver) -> None:
    running.play(10.0)
    inside = opened(running)
    first, second = numbers(running)
    inside.choose(first)
    running.tick()
    assert inside.view.utterance == first
    del running.window.model.transcripts._rows[first]
    running.tick()
    assert inside.view.utterance == second
    assert inside_view(running.window.model, "running", "Vosk", first).empty == "It is no longer known."
    assert inside_view(DashboardModel(("a", "b")), "stopped", "", None).title == "Live"


def test_both_themes_are_drawn(running: Driver) -> None:
    running.play(4.0)
    inside = opened(running)
    pictures = []
    for _ in range(2):
        running.window.toggle_theme()
        running.tick()
        plot = inside._voice.grab().toImage()
        pictures.append({plot.pixelColor(x, 20).name() for x in range(0, plot.width(), 5)})
        assert running.window._palette.well in pictures[-1]
    assert not pictures[0] & pictures[1]


def test_how_spread_out_weights_are() -> None:
    assert effective_count(np.full(32, 1 / 32, np.float32)) == pytest.approx(32.0, rel=1e-5)
    assert effective_count(np.array([1.0, 0.0, 0.0], np.float32)) == pytest.approx(1.0)


def test_a_row_in_words() -> None:
    weights = np.array([[[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]], np.float32)
    attention = CrossAttention(("no", "xq", "."), (True, False, True), (3,), weights)
    assert describe_row(attention, 0, 0, 2) == (
        "“no” with its neighbours (3 words) attends to: xq 60 %, . 30 %. Evenly spread, each would have 33 %."
    )
    assert describe_row(attention, 0, 1).startswith(
        "“xq” with its neighbours (3 words) (not in the vocabulary) attends to: . 50 %"
    )


@pytest.mark.parametrize("count", [1, 12, 100])
def test_texts_of_any_length_fit(running: Driver, count: int) -> None:
    running.controller.stream = Stream(script=(Line(0.5, 3.0, 2, 0.7, " ".join(f"w{n}" for n in range(count))),))
    running.play(4.5)
    inside = opened(running)
    for size in ((620, 480), (1600, 1000)):
        inside.resize(*size)
        QtWidgets.QApplication.processEvents()
        inside.grab()
        cells = inside._map._cells(inside._attention, inside._map.fontMetrics())
        assert QtCore.QRectF(inside._map.rect()).adjusted(-1, -1, 1, 1).contains(cells)
    assert len(inside._attention.tokens) == count


def test_the_numbers_are_those_of_the_verdict(
    qtbot: Any, settings: QtCore.QSettings, tmp_path: Path, demonstration: np.ndarray
) -> None:
    """The shipped bundle on the demonstration audio, through the real engine and window."""
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, demonstration[:160_000], 16_000)
    fast = partial(open_input, pace="fast")
    window = DashboardWindow(lambda: Controller("default-bundle", "pocketsphinx", open_source=fast), settings, recording=clip)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.ready and not window.worker_busy, timeout=30_000)
    window.start()
    qtbot.waitUntil(lambda: window._phase == "finished", timeout=60_000)
    rows = [row for row in window.model.transcripts.rows if row.verdict is not None and row.verdict.estimate.fusion is not None]
    assert rows, "with words, the fusion network is used"
    manifest = load_bundle("default-bundle").manifest
    for row in rows:
        estimate = row.verdict.estimate
        detail = estimate.fusion
        assert detail.voice_attention.sum() == pytest.approx(1.0, abs=1e-5)
        assert detail.words_attention.sum() == pytest.approx(1.0, abs=1e-5)
        logits = (detail.voice_part + detail.words_part).astype(np.float64) / manifest.calibration.fused
        fused = np.exp(logits - logits.max())
        fused /= fused.sum()
        np.testing.assert_allclose(detail.trust * fused + (1.0 - detail.trust) * estimate.acoustic, estimate.scores, atol=1e-5)
    window.show_inside(rows[0].utterance)
    inside = window.findChild(InsideWindow)
    qtbot.waitUntil(lambda: inside._attention is not None and not inside.wanted, timeout=30_000)
    assert inside.view.detail is rows[0].verdict.estimate.fusion
    assert inside._attention.sizes == (1, 3, 5)
    assert "attends to" in said(inside)
    window.close()


def test_a_scripted_controller_is_no_less_strict() -> None:
    """What the other tests look at has the shapes and sums of the real thing."""
    read = ScriptedController().cross_attention("a few words")
    np.testing.assert_allclose(read.weights.sum(axis=2), 1.0, atol=1e-5)
