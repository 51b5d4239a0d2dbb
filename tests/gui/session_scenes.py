"""The windows of recorded sessions in each of their states, on sessions that the real engine recorded."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import soundfile
from bundle_factory import write_bundle
from gui.scene import Scene, settings_file, sized, wait_until
from session_parts import agreed

from realtime_ser.assembly import Models, build_people, load_models
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.channel import Policy
from realtime_ser.gui.job import Report
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.rescoring import RescoreDialog
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.gui.sessions.export import ExportDialog
from realtime_ser.gui.sessions.window import SessionsWindow
from realtime_ser.gui.theme import DARK, PALETTES
from realtime_ser.inputs import Input, PeopleInput
from realtime_ser.session.header import Kept
from realtime_ser.session.recorder import Recorder
from realtime_ser.session.request import Participant, SessionRequest, open_recorder
from realtime_ser.session.rescore import rescore

DEMONSTRATION = Path(__file__).resolve().parents[2] / "assets" / "demonstration.flac"
RATE = 16_000
REPLAY = ((1024, 700), (1600, 1000))
SESSIONS = ((720, 400), (1180, 560))


def record(
    models: Models,
    study: Path,
    voices: Sequence[Any],
    request: SessionRequest,
    during: Callable[[Recorder], None] = lambda recorder: None,
) -> Path:
    """A session of these voices, a person each."""
    names = ("Anna", "Ben")[: len(voices)] if len(voices) > 1 else ("",)
    choice = PeopleInput((Input("demo", "demo"),), *((names, (0, 1)) if len(voices) > 1 else ()))
    request = dataclasses.replace(request, folder=str(study))
    recorder = open_recorder(request, models, choice, live=False)
    sources = [recorder.tap(ArraySource(voice, RATE), person) for person, voice in enumerate(voices)]
    people = build_people(models, sources, names=names, one_clock=True)
    recorder.start(*(engine.subscribe(4_096, Policy.KEEP_ALL) for engine in people.engines))
    with people:
        people.wait(240)
        during(recorder)
    recorder.finish("the input ended")
    return recorder.folder


def make_study(study: Path, *names: str) -> None:
    """One person with words and sound, scored twice; an interrupted session of scores alone; two people."""
    models = load_models("default-bundle", "pocketsphinx")
    samples, _ = soundfile.read(DEMONSTRATION, dtype="float32")

    def during(recorder: Recorder) -> None:
        for name, second, colour in (("stimulus", 2.0, "#e69f00"), ("response", 5.5, "#56b4e9"), ("stimulus", 14.0, "#e69f00")):
            recorder.mark(name, colour=colour, source="dashboard", sample=round(second * RATE))
        recorder.note("the window was open", sample=4 * RATE)

    both = agreed(words=True, audio=True)
    first = record(models, study, [samples[: 20 * RATE]], SessionRequest("", "P01", "rest", both), during)
    first = first.rename(study / names[0])
    silent = record(models, study, [samples[30 * RATE : 38 * RATE]], SessionRequest("", "P02", "stress", Kept(False, False)))
    silent = silent.rename(study / names[1])
    with sqlite3.connect(silent / "session.sqlite") as database:
        database.execute("DELETE FROM endings")
    database.close()
    voices = [samples[: 14 * RATE], samples[14 * RATE : 28 * RATE]]
    pair = record(models, study, voices, SessionRequest("", "P03", "talk", both, (), (Participant("P04", both),)))
    pair.rename(study / names[2])
    other = load_models(write_bundle(study.parent / "other-bundle"), "none")
    rescore(first, other, name="other", reason="for the comparison")


def session_scenes(place: Path) -> Iterator[Scene]:
    """Sessions, replay, and their dialogs."""
    study = Path.home() / "study"
    names = ("P01-rest", "P02-stress", "P03-P04-talk")
    if not all((study / name).is_dir() for name in names):
        study.mkdir(parents=True, exist_ok=True)
        make_study(study, *names)
    first, silent, pair = (study / name for name in names)
    yield from sessions_window(place, study)
    yield from replay_windows(place, first, silent, pair)


def sessions_window(place: Path, study: Path) -> Iterator[Scene]:
    """None, some, none found, and the dialog that exports."""
    settings = settings_file(place, "sessions")
    settings.setValue("sessions", str(study.parent / "another study"))
    window = SessionsWindow(settings, DARK)

    def settle() -> None:
        window.tick()

    def themed(theme: str) -> None:
        window.apply_palette(PALETTES[theme])

    def idle() -> bool:
        window.tick()
        return not window.busy

    def scene(state: str) -> Scene:
        return Scene("sessions", state, window, SESSIONS, themed, settle)

    try:
        window.show()
        wait_until(idle)
        yield scene("none")
        settings.setValue("sessions", str(study))
        window.refresh()
        wait_until(idle)
        for row, one in enumerate(window.shown):
            if one.phase == "interrupted":
                window.view.selectRow(row)
        yield scene("one was interrupted")
        window.search.setText("P07 baseline")
        yield scene("none found")
        window.search.clear()
        window.ask_delete()
        question = window.question
        assert question is not None
        size = ((question.width(), question.height()),)
        yield Scene("sessions", "before one is deleted", question, size, themed, settle)
        question.reject()
        for row, one in enumerate(window.shown):
            if one.participant == "P01":
                window.view.selectRow(row)
        window.show_export()
        export = window.export_dialog
        assert export is not None
        export.place.setText("~/exports")
        yield from export_dialog(export, themed, place)
    finally:
        window.end()
        window.deleteLater()


def export_dialog(dialog: ExportDialog, themed: Callable[[str], None], place: Path) -> Iterator[Scene]:
    """Before, under way, done."""

    def scene(state: str) -> Scene:
        return Scene("export", state, dialog, sized(dialog), themed, dialog.follow)

    yield scene("before")
    gate = threading.Event()

    def halfway(report: Report) -> int:
        report(0.42, "writing csv")
        gate.wait(60.0)
        return 0

    dialog.work(halfway, lambda _: None)
    wait_until(lambda: (dialog.follow(), dialog.job._progress[0] > 0)[1])
    yield scene("under way")
    gate.set()
    wait_until(lambda: (dialog.follow(), not dialog.job.busy)[1])
    dialog.start()
    wait_until(lambda: (dialog.follow(), not dialog.job.busy)[1])
    yield scene("done")


def replay_windows(place: Path, first: Path, silent: Path, pair: Path) -> Iterator[Scene]:
    """One person, edited, compared; without sound; two people; and the dialog that scores again."""
    settings = settings_file(place, "replay")
    for state, folder, scores in (
        ("one person", first, None),
        ("an utterance corrected", first, None),
        ("a marker edited", first, None),
        ("compared with a later scoring", first, "other"),
        ("interrupted, without words and sound", silent, None),
        ("two people", pair, None),
    ):
        window = ReplayWindow(Document(folder, scores), settings)
        try:
            window.resize(*REPLAY[0])
            window.show()
            window.jump("utterance", 1)
            if state == "an utterance corrected":
                window._utterance.said.setText("this is what was really said")
                window._utterance.label.setCurrentText("irritation")
            elif state == "a marker edited":
                window.jump("marker", 1)
            elif state == "interrupted, without words and sound":
                window._switches[1].click()

            def idle(window: ReplayWindow = window) -> bool:
                window.tick()
                return not window.busy and not window.reading_sound

            wait_until(idle)

            def themed(theme: str, window: ReplayWindow = window) -> None:
                window.apply_palette(PALETTES[theme])

            yield Scene("replay", state, window, REPLAY, themed, window.tick)
            if state == "an utterance corrected":
                window.discard()
            if state == "one person":
                window.show_rescore()
                dialog = window.rescore_dialog
                assert isinstance(dialog, RescoreDialog)
                yield Scene("score again", "before", dialog, sized(dialog), themed, dialog.follow)
                dialog.end()
        finally:
            window.close()
            window.deleteLater()
