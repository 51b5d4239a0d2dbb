"""Sessions of two people: one folder, one clock, streams of their own; and sessions of one person as they always were."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from engine_stages import collect
from session_parts import Recorded, agreed

from realtime_ser.assembly import Models, build_people
from realtime_ser.audio.sources import ArraySource, Source, SourceStatus
from realtime_ser.cli import main
from realtime_ser.commands.sessions.rescore import rescore_session
from realtime_ser.commands.sessions.show import describe, list_sessions
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.people import Said
from realtime_ser.errors import SessionError
from realtime_ser.gui.qt import Qt, QtCore
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.picture import lane_rects
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.inputs import Input, PeopleInput
from realtime_ser.session import edit
from realtime_ser.session.export.annotations import tiers
from realtime_ser.session.export.figure import write_figure
from realtime_ser.session.export.files import FORMATS, export_session
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.export.tables import TABLES, table
from realtime_ser.session.format import is_recording, person_folder, session_folders
from realtime_ser.session.header import read_header
from realtime_ser.session.reader import Session, person_number
from realtime_ser.session.request import Participant, SessionRequest, open_recorder
from realtime_ser.session.summary import summarise
from realtime_ser.types import Block, Event, Output, Transcript, Verdict, WindowScores

NAMES = ("Anna", "Ben")
PPM = 90e-6
LATER = 0.25
"""By so many ppm the second device's clock runs faster than the first one's, and by so many seconds it begins later."""


@dataclass(frozen=True)
class Conversation:
    folder: Path
    outputs: tuple[list[Output], list[Output]]
    """What the engines said, on their own clocks."""
    together: list[Said]


class Captured:
    """A source that is captured by a device with a clock of its own, as far as anybody can tell."""

    live = False
    name = "captured"

    def __init__(self, samples: np.ndarray, begins: float, ppm: float) -> None:
        self._source = ArraySource(samples, 16_000, block=1_600)
        self._begins, self._rate = begins, 16_000 * (1 + ppm)

    @property
    def exhausted(self) -> bool:
        return self._source.exhausted

    def open(self) -> None:
        self._source.open()

    def read(self, timeout: float) -> Block | None:
        block = self._source.read(timeout)
        return None if block is None else Block(block.span, block.samples, False, self._begins + block.span.end / self._rate)

    def drain_events(self) -> list[Event]:
        return []

    def status(self) -> SourceStatus:
        return SourceStatus(self.name)

    def close(self) -> None:
        self._source.close()


@pytest.fixture(scope="session")
def voices(demonstration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return demonstration[12_000:170_000], demonstration[130_000:280_000]


Converse = Callable[..., Conversation]


@pytest.fixture(scope="session")
def converse(models: Models) -> Converse:
    def run(root: Path, sources: tuple[Source, Source], inputs: tuple[Input, ...], *, kept: bool = True) -> Conversation:
        choice = PeopleInput(inputs, NAMES, (0, 1) if len(inputs) == 1 else ())
        keeping = agreed(words=kept, audio=kept)
        request = SessionRequest(str(root), "P01", "talk", keeping, ("about both",), (Participant("P02", keeping),))
        recorder = open_recorder(request, models, choice, live=False)
        people = build_people(
            models,
            [recorder.tap(source, person) for person, source in enumerate(sources)],
            names=NAMES,
            one_clock=choice.one_clock,
        )
        recorder.start(*people.subscribe_own(4_096, Policy.KEEP_ALL))
        each: list[Channel[Output]] = people.subscribe_own(100_000, Policy.KEEP_ALL)
        together = people.subscribe(200_000, Policy.KEEP_ALL)
        with people:
            people.wait(110)
            recorder.mark("stimulus", colour="red", source="test", sample=48_000)
            said: list[Said] = collect(together)  # type: ignore[arg-type, assignment]
        recorder.finish("the input ended")
        return Conversation(recorder.folder, (each[0].drain(), each[1].drain()), said)

    return run


@pytest.fixture(scope="session")
def recorded_two(
    converse: Converse, voices: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Conversation:
    """One device, two channels. Tests that change it take a copy."""
    sources = tuple(ArraySource(voice, 16_000) for voice in voices)
    return converse(tmp_path_factory.mktemp("two"), sources, (Input("file", "both.wav"),))


@pytest.fixture(scope="session")
def drifting(
    converse: Converse, voices: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Conversation:
    """Two devices whose clocks differ."""
    sources = (Captured(voices[0], 500.0, 0.0), Captured(voices[1], 500.0 + LATER, PPM))
    inputs = (Input("microphone", "A"), Input("microphone", "B"))
    return converse(tmp_path_factory.mktemp("drifting"), sources, inputs)


@pytest.fixture
def copy(recorded_two: Conversation, tmp_path: Path) -> Path:
    target = tmp_path / recorded_two.folder.name
    shutil.copytree(recorded_two.folder, target)
    return target


def verdicts(outputs: list[Output]) -> list[Verdict]:
    return [output for output in outputs if isinstance(output, Verdict)]


def on_first_clock(sample: int) -> float:
    """Where a sample of the drifting second device lies on the first one's."""
    return (LATER + sample / (16_000 * (1 + PPM))) * 16_000


# What is held -----------------------------------------------------------------------------------------------------------------


def test_everybody_has_what_their_engine_said(recorded_two: Conversation) -> None:
    with Session(recorded_two.folder) as session:
        people = session.everybody()
        assert [one.name for one in people] == list(NAMES)
        assert [one.header.participant for one in people] == ["P01", "P02"]
        assert [one.header.input for one in people] == ["both.wav, channel 1", "both.wav, channel 2"]
        for one, outputs in zip(people, recorded_two.outputs, strict=True):
            windows = [output for output in outputs if isinstance(output, WindowScores)]
            held = one.windows()
            assert np.array_equal(held.first, [span.first for part in windows for span in part.window_spans()])
            assert np.array_equal(held.scores, np.concatenate([part.scores for part in windows]))
            rows, expected = one.utterances(), verdicts(outputs)
            assert len(rows) >= 2
            assert [(row["start_sample"], row["end_sample"]) for row in rows] == [
                (verdict.span.first, verdict.span.end) for verdict in expected
            ]
            last = {output.utterance: output for output in outputs if isinstance(output, Transcript)}
            assert [word["text"] for word in one.words()] == [w.text for number in sorted(last) for w in last[number].words]
            assert one.state().phase == "closed"
            assert [marker["name"] for marker in one.markers()] == ["stimulus"]
            assert [note["text"] for note in one.notes()] == ["about both"]


def test_everybodys_sound_is_kept_with_their_own_consent(
    recorded_two: Conversation, voices: tuple[np.ndarray, np.ndarray]
) -> None:
    with Session(recorded_two.folder) as session:
        for one, voice in zip(session.everybody(), voices, strict=True):
            assert one.header.kept.consent is not None
            sound = np.concatenate([samples for _, samples in one.audio()])
            assert np.allclose(sound, voice, atol=1 / 32_768)


def test_a_session_of_two_is_refused_in_words_by_older_programs(recorded_two: Conversation, recorded: Recorded) -> None:
    """They read `format` and `user_version` first; those of one person are what they always were."""
    for folder, version in ((recorded_two.folder, 2), (person_folder(recorded_two.folder, 2), 1), (recorded.folder, 1)):
        assert json.loads((folder / "session.json").read_text(encoding="utf-8"))["format"] == version
        with sqlite3.connect(folder / "session.sqlite") as database:
            assert database.execute("PRAGMA user_version").fetchone() == (version,)
    assert not read_header(recorded.folder).people


def test_the_streams_of_a_person_are_a_session_of_one(recorded_two: Conversation, tmp_path: Path) -> None:
    shutil.copytree(person_folder(recorded_two.folder, 2), tmp_path / "ben")
    with Session(tmp_path / "ben") as alone, Session(recorded_two.folder, person=2) as session:
        assert alone.everybody() == [alone]
        assert alone.utterances() == session.utterances()
        assert alone.state().phase == "closed"
    assert session_folders(recorded_two.folder.parent) == [recorded_two.folder]


def test_people_are_found_by_name_and_number(recorded_two: Conversation, recorded: Recorded) -> None:
    header = read_header(recorded_two.folder)
    assert [person_number(header, text) for text in (None, "1", "2", "ben", "Anna")] == [1, 1, 2, 2, 1]
    for text in ("3", "0", "Carl"):
        with pytest.raises(SessionError, match="no person"):
            person_number(header, text)
    with pytest.raises(SessionError, match="no person"):
        person_number(read_header(recorded.folder), "2")
    for folder in (recorded_two.folder, recorded.folder):
        with pytest.raises(SessionError, match="There is no person 3"):
            Session(folder, person=3)


# One clock --------------------------------------------------------------------------------------------------------------------


def test_times_of_a_second_device_are_on_the_clock_of_the_first(drifting: Conversation) -> None:
    with Session(drifting.folder) as session:
        first, second = session.everybody()
        assert [one.clock for one in session.header.people] == ["shared", "own"]
        assert [row["start_sample"] for row in first.utterances()] == [v.span.first for v in verdicts(drifting.outputs[0])]
        expected = verdicts(drifting.outputs[1])
        assert expected[-1].span.end - expected[0].span.first > 80_000
        for row, verdict in zip(second.utterances(), expected, strict=True):
            assert row["start_sample"] == pytest.approx(on_first_clock(verdict.span.first), abs=1.5)
            assert row["end_sample"] == pytest.approx(on_first_clock(verdict.span.end), abs=1.5)
        windows = [output for output in drifting.outputs[1] if isinstance(output, WindowScores)]
        held = second.windows()
        places = np.array([on_first_clock(span.first) for part in windows for span in part.window_spans()])
        assert np.abs(held.first - places).max() < 1.5
        assert np.array_equal(held.scores, np.concatenate([part.scores for part in windows]))
        own = second.own_span(20_000, 60_000)
        assert on_first_clock(own.first) == pytest.approx(20_000, abs=1.5)
        assert on_first_clock(own.end) == pytest.approx(60_000, abs=1.5)


def test_what_is_shown_live_is_on_that_clock_to_a_millisecond(drifting: Conversation) -> None:
    shown = [said.output for said in drifting.together if said.person == 1]
    for live, own in zip(verdicts(shown), verdicts(drifting.outputs[1]), strict=True):
        assert live.span.first == pytest.approx(on_first_clock(own.span.first), abs=20)
        assert len(live.span) == len(own.span)
    assert verdicts([said.output for said in drifting.together if said.person == 0]) == verdicts(drifting.outputs[0])


def test_the_exported_sound_of_a_second_device_keeps_step(
    drifting: Conversation, voices: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    with Session(drifting.folder) as session:
        export_session(session, tmp_path, "flac")
    sound, rate = soundfile.read(tmp_path / "audio-2.flac", dtype="float32")
    assert rate == 16_000
    assert not sound[:3_900].any()
    for sample in (1_000, 70_000, 140_000):
        stretch = voices[1][sample : sample + 4_000]
        at = round(on_first_clock(sample))
        lags = [float(np.dot(sound[at + lag : at + lag + 4_000], stretch)) for lag in range(-8, 9)]
        assert abs(int(np.argmax(lags)) - 8) <= 2


# Changing ---------------------------------------------------------------------------------------------------------------------


def test_what_is_redacted_is_gone_from_everybodys_streams(copy: Path) -> None:
    with Session(copy) as session:
        before = [{word["text"] for word in one.words() if word["end_sample"] > 20_000} for one in session.everybody()]
    assert all(before)
    done = edit.redact(copy, 20_000, 200_000, reason="a name")
    with Session(copy) as session:
        left = [one.words() for one in session.everybody()]
        assert all(word["end_sample"] <= 20_000 for words in left for word in words)
        assert done.samples == sum(min(one.samples, 200_000) - 20_000 for one in session.everybody())
        assert [span.first for one in session.everybody() for span in one.redactions()] == [20_000, 20_000]


def test_a_redaction_meets_the_same_moment_of_a_second_device(drifting: Conversation, tmp_path: Path) -> None:
    folder = tmp_path / "drifting"
    shutil.copytree(drifting.folder, folder)
    edit.redact(folder, 40_000, 48_000, words=False)
    with Session(folder) as session, Session(person_folder(folder, 2)) as alone:
        (span,) = session.everybody()[1].redactions()
        assert (span.first, span.end) == pytest.approx((40_000, 48_000), abs=2)
        (own,) = alone.redactions()
        assert on_first_clock(own.first) == pytest.approx(40_000, abs=1.5)


def test_labels_and_corrections_are_a_persons_own(copy: Path) -> None:
    edit.label_utterance(person_folder(copy, 2), 0, "calm")
    edit.correct_words(person_folder(copy, 2), 0, "what Ben really said")
    with Session(copy) as session:
        first, second = session.everybody()
        assert (first.utterances()[0]["annotation"], first.utterances()[0]["corrected"]) == (None, None)
        assert second.utterances()[0]["annotation"] == "calm"
        assert second.utterances()[0]["corrected"] == "what Ben really said"
    text = "\n".join(describe(copy))
    assert "of Ben label: calm" in text
    assert "P01 (Anna) and P02 (Ben)" in text
    assert "P01 and P02" in "\n".join(list_sessions(copy.parent))


def test_sound_and_words_are_deleted_for_everybody(copy: Path) -> None:
    edit.delete_audio(copy)
    assert edit.delete_words(copy) > 0
    with Session(copy) as session:
        for one in session.everybody():
            assert not one.has_audio
            assert one.words() == []
            assert {row["kind"] for row in one.changes()} == {"delete"}
    assert not list(copy.rglob("audio.sqlite*"))


def test_everybody_is_scored_again(copy: Path, random_bundle: Path) -> None:
    lines = rescore_session(
        copy, bundle=str(random_bundle), name="again", replace=False, recognizer=None, as_json=True, reason=""
    )
    found = [json.loads(line) for line in lines]
    assert [one["person"] for one in found] == list(NAMES)
    assert all(one["agreement"] == 1.0 for one in found)
    with Session(copy, "again") as session:
        first, second = session.everybody()
        assert second.scores == "again"
        assert len(second.utterances()) == len(Session(copy, person=2).utterances())
        assert first.header.bundle == second.header.bundle
    with pytest.raises(SessionError, match="There is a scoring 'again'"):
        rescore_session(copy, bundle=str(random_bundle), name="again", replace=False, recognizer=None, as_json=True, reason="")


# Exports ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(drifting: Conversation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports of two")
    with Session(drifting.folder) as session:
        for name in FORMATS:
            assert all(path.is_file() for path in export_session(session, folder, name))
    return folder


def utterances(session: Session) -> list[tuple[str, float, float, str]]:
    found = [
        (one.name, row["start_sample"] / 16_000, row["end_sample"] / 16_000, row["label"] or row["state"])
        for one in session.everybody()
        for row in one.utterances()
    ]
    return sorted(found, key=lambda entry: entry[1])


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_whose_a_row_is(drifting: Conversation, files: Path, name: str) -> None:
    shared = name in ("markers", "notes")
    with Session(drifting.folder) as session:
        ours = table(session, name)
        counts = None if name == "windows" or shared else [len(getattr(one, name)()) for one in session.everybody()]
    comma = pd.read_csv(files / f"{name}.csv")
    assert list(comma.columns) == list(ours.columns)
    assert ("person" in ours) is not shared
    if counts:
        assert [(ours["person"] == person).sum() for person in NAMES] == counts
    if "start" in ours and name != "anchors":
        assert ours["start"].dropna().is_monotonic_increasing


def test_elan_has_tiers_for_everybody(drifting: Conversation, files: Path) -> None:
    pympi = pytest.importorskip("pympi", reason="pympi-ling reads ELAN's files: install the 'dev' extra")
    elan = pympi.Elan.Eaf(str(files / "session.eaf"))
    with Session(drifting.folder) as session:
        for person in NAMES:
            assert elan.get_parameters_for_tier(f"emotion@{person}")["PARTICIPANT"] == person
            read = [
                (start / 1000, end / 1000, text)
                for start, end, text, *_ in elan.get_annotation_data_for_tier(f"emotion@{person}")
            ]
            expected = [entry[1:] for entry in utterances(session) if entry[0] == person]
            for mine, theirs in zip(sorted(read), expected, strict=True):
                assert mine[:2] == pytest.approx(theirs[:2], abs=0.001)
                assert mine[2] == theirs[2]
    assert [entry[2] for entry in elan.get_annotation_data_for_tier("markers")] == ["stimulus"]
    assert [media["RELATIVE_MEDIA_URL"] for media in elan.media_descriptors] == ["./audio-1.flac", "./audio-2.flac"]


def test_praat_has_tiers_for_everybody(drifting: Conversation, files: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="praatio reads Praat's files: install the 'dev' extra")
    grid = textgrid.openTextgrid(str(files / "session.TextGrid"), includeEmptyIntervals=False)
    with Session(drifting.folder) as session:
        expected = utterances(session)
    for person in NAMES:
        read = [(person, entry.start, entry.end, entry.label) for entry in grid.getTier(f"emotion@{person}").entries]
        mine = [entry for entry in expected if entry[0] == person]
        assert [entry[3] for entry in read] == [entry[3] for entry in mine]
        assert [entry[1] for entry in read] == pytest.approx([entry[1] for entry in mine], abs=1e-9)


def test_subtitles_name_the_speaker(drifting: Conversation, files: Path) -> None:
    srt = pytest.importorskip("srt", reason="srt comes with vosk")
    with Session(drifting.folder) as session:
        expected = utterances(session)
    read = list(srt.parse((files / "session.srt").read_text(encoding="utf-8"), ignore_errors=False))
    assert [subtitle.content.partition(": [")[0] for subtitle in read] == [entry[0] for entry in expected]
    assert [subtitle.start.total_seconds() for subtitle in read] == pytest.approx([e[1] for e in expected], abs=0.001)
    web = (files / "session.vtt").read_text(encoding="utf-8")
    assert [line.partition(">")[0] for line in web.splitlines() if line.startswith("<v ")] == [f"<v {e[0]}" for e in expected]


def test_xdf_has_streams_for_everybody(drifting: Conversation, files: Path) -> None:
    pyxdf = pytest.importorskip("pyxdf", reason="pyxdf reads XDF: install the 'dev' extra")
    streams, _ = pyxdf.load_xdf(str(files / "session.xdf"), synchronize_clocks=False, dejitter_timestamps=False)
    by_name = {stream["info"]["name"][0]: stream for stream in streams}
    with Session(drifting.folder) as session:
        for one in session.everybody():
            windows = one.windows()
            stream = by_name[f"Realtime SER windows {one.name}"]
            np.testing.assert_allclose(stream["time_stamps"], (windows.first + windows.length) / 16_000, atol=1e-6)
            said = [json.loads(text[0]) for text in by_name[f"Realtime SER utterances {one.name}"]["time_series"]]
            assert [entry["person"] for entry in said] == [one.name] * len(one.utterances())
    assert len(by_name["Realtime SER markers"]["time_series"]) == 1
    assert len({stream["info"]["source_id"][0] for stream in streams}) == len(streams)


def test_summaries_and_methods_count_two_participants(drifting: Conversation) -> None:
    rows = summarise([drifting.folder])
    assert [(row["participant"], row["sessions"]) for row in rows] == [("P01", 1), ("P02", 1), ("*", 2)]
    counts = [len(verdicts(outputs)) for outputs in drifting.outputs]
    assert [row["utterances"] for row in rows] == [*counts, sum(counts)]
    with Session(drifting.folder) as session:
        text = methods_paragraph(session)
    assert "2 people were recorded" in text
    assert f"holds {sum(counts)} of them" in text
    assert "related by the computer's" in text


# How it ends ------------------------------------------------------------------------------------------------------------------


def test_a_kill_loses_less_than_a_second_of_anybody(
    random_bundle: Path, voices: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    both = tmp_path / "both.wav"
    shortest = min(map(len, voices))
    soundfile.write(both, np.stack([voice[:shortest] for voice in voices], axis=1), 16_000)
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "realtime_ser", "listen", "--input", str(both), "--people", "2", "--recognizer", "none"),
            *("--json", "--record", str(tmp_path / "sessions"), "--participant", "P1", "P2", "--keep-audio", "--consent"),
        ],
        env={**os.environ, "REALTIME_SER_BUNDLE": str(random_bundle)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    last = 0.0
    for line in program.stdout:
        record = json.loads(line)
        if record["type"] == "window":
            last = record["end"]
        if last > 5.0:
            break
    (folder,) = session_folders(tmp_path / "sessions")
    assert is_recording(folder)
    assert is_recording(person_folder(folder, 2))
    with Session(folder) as session:
        assert all(one.seconds > 3.0 and one.state().phase == "recording" for one in session.everybody())
    with pytest.raises(SessionError, match="being recorded"):
        edit.redact(folder, 0, 100)
    program.kill()
    program.communicate(timeout=30)
    assert not is_recording(folder)
    with Session(folder) as session:
        for one in session.everybody():
            assert one.state().phase == "interrupted"
            assert one.seconds > last - 1.0
            windows = one.windows()
            assert (windows.first[-1] + windows.length) / 16_000 > last - 1.0
            pieces = list(one.audio())
            assert pieces[-1][0] + len(pieces[-1][1]) > (last - 1.0) * 16_000


# Replay -----------------------------------------------------------------------------------------------------------------------


def test_replay_shows_both_and_changes_whom_one_chose(copy: Path, qtbot: Any, tmp_path: Path) -> None:
    settings = QtCore.QSettings(str(tmp_path / "replay.ini"), QtCore.QSettings.Format.IniFormat)
    window = ReplayWindow(Document(copy), settings)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: not window.reading_sound)
    lanes = lane_rects(window.document, window._lanes.size())
    assert list(lanes)[:5] == ["markers", "verdicts", "words", "other", "other words"]
    with Session(copy) as session:
        anna, ben = session.everybody()
        assert [one.number for one in window.document.other] == [row["utterance"] for row in ben.utterances()]
        expected = (np.concatenate([samples for _, samples in one.audio()]) for one in (anna, ben))
        loudest = [float(np.abs(sound).max()) for sound in expected]
    assert "Anna: P01" in window._about.text()
    assert window._peaks is not None
    assert window._peaks.loudest == pytest.approx(loudest[0], abs=1e-3)

    qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.document.person == 2 and not window.reading_sound)
    assert window._people.currentText() == "Ben"
    assert "Ben: P02" in window._about.text()
    assert window.document.other_name == "Anna"
    assert window._peaks.loudest == pytest.approx(loudest[1], abs=1e-3)
    window.seek(window.document.utterances[0].start + 0.01)
    window._utterance.label.setCurrentText("relief")
    assert window.dirty
    window.show_person(1)
    assert (window.document.person, window._people.currentText()) == (2, "Ben")
    assert "is not saved" in window._notice.notice.problem
    window.save()
    qtbot.waitUntil(lambda: not window.busy)
    with Session(copy) as session:
        assert [one.utterances()[0]["annotation"] for one in session.everybody()] == [None, "relief"]
    window.add_marker()
    qtbot.waitUntil(lambda: not window.busy)
    window.show_person(1)
    qtbot.waitUntil(lambda: window.document.person == 1)
    assert len(window.document.markers) == 2  # everybody's
    window.undo()
    qtbot.waitUntil(lambda: not window.busy)
    window.undo()
    qtbot.waitUntil(lambda: not window.busy)
    with Session(copy) as session:
        assert session.everybody()[1].utterances()[0]["annotation"] is None
        assert len(session.markers()) == 1
    window.close()


def test_the_later_scores_of_both_can_be_compared(copy: Path, random_bundle: Path) -> None:
    rescore_session(copy, bundle=str(random_bundle), name="again", replace=False, recognizer=None, as_json=True, reason="")
    for person in (1, 2):
        document = Document(copy, "again", person)
        assert document.comparison is not None
        assert document.comparison.agreement == 1.0
        assert len(document.later) == len(document.utterances)


def test_the_sound_of_a_second_device_is_heard_in_its_place(drifting: Conversation) -> None:
    document = Document(drifting.folder, person=2)
    pieces = list(document.pieces())
    assert pieces[0][0] == pytest.approx(4_000, abs=2)
    assert [first for first, _ in pieces[1:]] == [first + len(samples) for first, samples in pieces[:-1]]
    end = pieces[-1][0] + len(pieces[-1][1])
    assert end == pytest.approx(on_first_clock(150_000), abs=3)


@pytest.fixture
def bled(recorded_two: Conversation, tmp_path: Path) -> Path:
    """Ben's first utterance is probably Anna's voice, and nobody can tell about Anna's."""
    folder = shutil.copytree(recorded_two.folder, tmp_path / "bled")
    for stream, share in ((person_folder(folder, 2), 0.9), (folder, None)):
        with sqlite3.connect(stream / "session.sqlite") as database:
            first = "WHERE utterance = (SELECT min(utterance) FROM utterances)"
            database.execute(f"UPDATE utterances SET bleed = ? {first}", (share,))
        database.close()
    return folder


def test_bleed_is_recorded_as_it_was_judged(recorded_two: Conversation) -> None:
    with Session(recorded_two.folder) as session:
        for one, said in zip(session.everybody(), recorded_two.outputs, strict=True):
            shares = [output.bleed for output in said if isinstance(output, Verdict)]
            assert None not in shares
            assert [row["bleed"] for row in one.utterances()] == shares


def test_bleed_is_told_in_every_export_and_left_out_of_summaries(bled: Path, tmp_path: Path) -> None:
    with Session(bled) as session:
        rows = table(session, "utterances")
        assert rows[rows["person"] == "Ben"]["bleed"].iloc[0] == 0.9
        assert rows[rows["person"] == "Anna"]["bleed"].isna().iloc[0]
        (tier,) = (tier for tier in tiers(session) if tier.name == "bleed@Ben")
        assert [one.text for one in tier.annotations] == ["probably another's voice 90%"]
        for name in ("srt", "vtt", "xdf"):
            export_session(session, tmp_path, name)
        paragraph = methods_paragraph(session)
        everybodys = [len(one.utterances()) for one in session.everybody()]
    for name in ("srt", "vtt"):
        assert (tmp_path / f"session.{name}").read_text(encoding="utf-8").count(", probably bleed]") == 1
    assert b'"bleed": 0.9' in (tmp_path / "session.xdf").read_bytes()
    assert "1 of the utterances were marked as probably another's voice" in paragraph
    assert "1 could not be judged" in paragraph
    summed = {row["participant"]: row for row in summarise([bled])}
    assert (summed["P01"]["utterances"], summed["P01"]["bleed"]) == (everybodys[0], 0)
    assert (summed["P02"]["utterances"], summed["P02"]["bleed"]) == (everybodys[1] - 1, 1)
    assert any("probably bleed (90%)" in line for line in describe(bled))
    document = Document(bled, person=2)
    assert [one.is_bleed for one in document.utterances] == [True] + [False] * (everybodys[1] - 1)


def test_sessions_from_before_bleed_was_judged_are_read(recorded_two: Conversation, tmp_path: Path) -> None:
    folder = shutil.copytree(recorded_two.folder, tmp_path / "before")
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("ALTER TABLE utterances DROP COLUMN bleed")
    database.close()
    with Session(folder) as session:
        assert {row["bleed"] for row in session.utterances()} == {None}
        assert methods_paragraph(session)


def test_a_session_of_one_has_nothing_about_bleed(recorded: Recorded, tmp_path: Path) -> None:
    with Session(recorded.folder) as session:
        assert "bleed" not in table(session, "utterances")
        export_session(session, tmp_path, "xdf")
    assert b"bleed" not in (tmp_path / "session.xdf").read_bytes()


def test_a_figure_has_a_lane_for_each_on_one_clock(bled: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib draws the figure: install the 'dev' extra")
    found = {}
    with Session(bled) as session:
        for person in (None, 1, 2):
            write_figure(session, tmp_path / "figure.svg", person=person)
            found[person] = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    for name in (*NAMES, "another\N{RIGHT SINGLE QUOTATION MARK}s voice"):
        assert name in found[None]
    assert [found[None].count(f">{text}<") for text in ("score", "time (s)", "stimulus")] == [2, 1, 1]
    assert "Ben" not in found[1]
    assert "Anna" not in found[2]
    out = tmp_path / "one.svg"
    assert main(["sessions", "figure", str(bled), "--out", str(out), "--person", "ben"]) == 0
    assert "Anna" not in out.read_text(encoding="utf-8")
