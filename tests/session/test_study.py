"""A study as a researcher runs it, on real speech: two sessions recorded by the whole program, markers from another process,
one program killed, then replayed, corrected, scored again, exported to every format, and read back by programs of others.

What all times are held against is the sound itself: every marker is sent at the moment at which a click sounds in the virtual
microphone, and the click is found again in the sound that was kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from outlet_parts import Other, other_process

from realtime_ser.assembly import load_models
from realtime_ser.cli import main
from realtime_ser.gui.qt import QtCore, QtWidgets
from realtime_ser.gui.replay.document import Document
from realtime_ser.gui.replay.window import ReplayWindow
from realtime_ser.session.reader import Session, scorings
from realtime_ser.session.rescore import compare

# Two sessions are spoken in real time, in the fixtures of the first test.
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="the virtual microphone needs Linux"),
]

RATE = 48_000
BLOCK = 240
CLOSE = 0.01
"""Seconds: what all times have to agree within."""

SESSIONS = {
    "rest": ("cen8-marh-b.wav", "an422-menk-b.wav"),
    "stress": ("an398-miry-b.wav", "cen3-fvap-b.wav"),
}
"""Clips by condition; the session of the second is killed."""

SENDER = """
import sys, time, pylsl
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(sys.argv[1], "Markers", 1, 0, pylsl.cf_string, sys.argv[1]))
print("there", flush=True)
for line in sys.stdin:
    due, name = line.strip().split(" ", 1)
    time.sleep(max(0.0, float(due) - time.perf_counter()))
    stamp, at = pylsl.local_clock(), time.perf_counter()
    outlet.push_sample([name], stamp)
    print(repr(at), repr(stamp), flush=True)
"""


class Speaker:
    """Speaks into a microphone that delivers at once what is written, in step with the clock.

    Attributes
    ----------
    began
        ``perf_counter()`` time at which the first sample sounded.
    """

    def __init__(self, fifo: Path) -> None:
        self._pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        self._sound = np.zeros(120 * RATE, np.float32)
        self._written = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speaker")
        self.began = time.perf_counter()
        self._thread.start()

    def say(self, samples: np.ndarray, after: float) -> float:
        """Let `samples` sound `after` seconds from now; the ``perf_counter()`` time at which they begin."""
        first = self._written + round(after * RATE)
        self._sound[first : first + len(samples)] += samples
        return self.began + first / RATE

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._pipe)

    def _run(self) -> None:
        while self._written < len(self._sound) and not self._stop.is_set():
            block = self._sound[self._written : self._written + BLOCK]
            self._written += BLOCK
            self._stop.wait(max(0.0, self.began + self._written / RATE - time.perf_counter()))
            # Nobody reads what is said to a program that was killed.
            with contextlib.suppress(BlockingIOError):
                os.write(self._pipe, block.tobytes())


@dataclass
class Sent:
    """A marker that was sent while a click sounded.

    Attributes
    ----------
    sounded, sent
        ``perf_counter()`` times, which on Linux all processes share.
    stamp
        LSL's, by the process that sent it.
    """

    name: str
    sounded: float
    sent: float
    stamp: float


@dataclass
class Recorded:
    folder: Path
    markers: list[Sent]
    last_window: float = 0.0
    """Seconds: the end of the last window that the program told of."""


@dataclass
class Study:
    root: Path
    other_bundle: Path
    sessions: dict[str, Recorded] = field(default_factory=dict)


def clip(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 16_000
    import soxr

    # Softer than a click.
    return 0.25 * soxr.resample(samples / np.abs(samples).max(), rate, RATE).astype(np.float32)


class Program:
    """``realtime-ser listen`` with its JSON lines and what it tells beside them."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "realtime_ser", "listen", "--input", "microphone", "--json", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=environment)
        self._told = Other(self.process)
        self.errors: list[str] = []
        self._error_lines = threading.Condition()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._error_lines:
                self.errors.append(line.strip())
                self._error_lines.notify_all()

    def tells(self, text: str) -> str:
        """The line on standard error in which `text` stands, once it is there."""

        def found() -> str:
            return next((line for line in self.errors if text in line), "")

        with self._error_lines:
            assert self._error_lines.wait_for(found, 60), "\n".join(self.errors)
            return found()

    def take(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next record that is wanted."""
        while True:
            record: dict[str, Any] = json.loads(self._told.line())
            if wanted(record):
                return record


def reaches(seconds: float, record: dict[str, Any]) -> bool:
    return bool(record["type"] == "window" and record["end"] > seconds)


@contextlib.contextmanager
def experiment(name: str, settings: Path) -> Iterator[Other]:
    """Another process, as PsychoPy would be one, that sends markers over LSL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSLAPICFG", str(settings))
        with other_process(SENDER, name) as sender:
            assert sender.line() == "there"
            yield sender


def run_session(microphone: Any, study: Study, condition: str, clips: list[Path], model: Path, kill: bool) -> Recorded:
    """Record one participant: a click with a marker before every clip."""
    settings = study.root / "lsl_api.cfg"
    name = f"stimuli {uuid.uuid4().hex}"
    arguments = ["--recognizer", str(model), "--record", str(study.root), "--participant", "P01", "--condition", condition]
    arguments += ["--keep-words", "--keep-audio", "--consent", "--note", "a pilot", "--lsl", "--lsl-markers", name]
    fifo = study.root / f"{condition}.pipe"
    markers: list[Sent] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(microphone.piped(fifo, RATE))
        sender = stack.enter_context(experiment(name, settings))
        program = Program(arguments, {**microphone.environment, "LSLAPICFG": str(settings)})
        stack.callback(program.process.kill)
        # What lay in the pipe before somebody listens would be a delay for ever.
        microphone.wait_for_listener()
        speaker = Speaker(fifo)
        stack.callback(speaker.close)
        program.tells("Markers are received")
        recorded = Recorded(Path(program.tells("Recording into").split("Recording into ")[1].rpartition(":")[0]), markers)
        for number, path in enumerate(clips, 1):
            sounded = speaker.say(np.full(48, 0.9, np.float32), 0.4)
            sender.say(f"{sounded!r} clip {number}")
            speech = clip(path)
            begins = speaker.say(speech, 0.8)
            markers.append(Sent(f"clip {number}", sounded, *map(float, sender.line().split())))
            if kill and number == len(clips):
                ends = begins - speaker.began + len(speech) / RATE
                record = program.take(partial(reaches, ends - 0.5))
                program.process.send_signal(signal.SIGKILL)
                recorded.last_window = record["end"]
                program.process.wait(30)
                return recorded
            program.take(lambda one: one["type"] == "utterance")
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(60) == 0, program.errors
    return recorded


@pytest.fixture(scope="module")
def study(_virtual_microphone: Any, data_dir: Path, vosk_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Both sessions, as they were recorded; nothing was changed yet."""
    pytest.importorskip("pylsl", reason="pylsl is not installed: install the 'dev' extra", exc_type=ImportError)
    pytest.importorskip("onnx", reason="onnx writes the other bundle: install the 'dev' extra")
    from bundle_factory import write_bundle

    speech = data_dir / "clips" / "an4-vosk"
    if not speech.is_dir():
        pytest.skip(f"no speech at {speech}: set REALTIME_SER_DATA to run the study")
    root = tmp_path_factory.mktemp("study")
    (root / "lsl_api.cfg").write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n")
    made = Study(root, write_bundle(tmp_path_factory.mktemp("bundle") / "other", seed=11))
    rate, channels = _virtual_microphone.rate, _virtual_microphone.channels
    try:
        for condition, names in SESSIONS.items():
            paths = [speech / name for name in names]
            made.sessions[condition] = run_session(
                _virtual_microphone, made, condition, paths, vosk_model_dir, kill=condition == "stress"
            )
    finally:
        _virtual_microphone.replug(rate, channels)
    return made


def test_a_session_whose_program_was_killed_says_so_and_has_lost_less_than_a_second(study: Study) -> None:
    killed, whole = study.sessions["stress"], study.sessions["rest"]
    with Session(whole.folder) as session:
        assert session.state().phase == "closed"
    with Session(killed.folder) as session:
        state = session.state()
        assert state.phase == "interrupted"
        assert "ended without warning" in state.message
        assert session.seconds > killed.last_window - 1.0
        windows = session.windows()
        assert (windows.first[-1] + windows.length) / 16_000 > killed.last_window - 1.0
        first, samples = list(session.audio())[-1]
        assert (first + len(samples)) / 16_000 > killed.last_window - 1.0
        assert session.utterances()


def test_markers_lie_where_their_clicks_are_heard(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    errors = []
    for recorded in study.sessions.values():
        with Session(recorded.folder) as session:
            rows = {row["name"]: row for row in session.markers()}
            sound = np.zeros(session.samples, np.float32)
            for first, samples in session.audio():
                sound[first : first + len(samples)] = samples
        assert list(rows) == [sent.name for sent in recorded.markers]
        loud = np.flatnonzero(np.abs(sound) > 0.45)
        clicks = loud[np.diff(loud, prepend=-16_000) > 1_600]
        assert len(clicks) == len(recorded.markers)
        for click, sent in zip(clicks, recorded.markers, strict=True):
            # The process that sends may wake up a little late; what counts is when it did.
            moment = click / 16_000 + (sent.sent - sent.sounded)
            errors.append(rows[sent.name]["sample"] / 16_000 - moment)
            assert rows[sent.name]["source"].startswith("LSL stimuli ")
    with capsys.disabled():
        sys.stdout.write(f"\nMarkers against the sound: {', '.join(f'{1e3 * error:+.1f} ms' for error in errors)}\n")
    assert np.abs(errors).max() < CLOSE


def test_words_and_verdicts_of_real_speech_are_there(study: Study) -> None:
    with Session(study.sessions["rest"].folder) as session:
        first, second = session.utterances()
        assert session.words()
    assert {"nineteen", "sixty"} <= set(first["words"].split())
    assert "thirty" in second["words"]
    assert all(abs(sum(row["scores"].values()) - 1) < 1e-4 for row in (first, second))


@pytest.fixture(scope="module")
def corrected(study: Study, qapp: QtWidgets.QApplication) -> Study:
    """Both sessions, in which somebody has written down what the first utterance was."""
    for recorded in study.sessions.values():
        settings = QtCore.QSettings(str(study.root / "replay.ini"), QtCore.QSettings.Format.IniFormat)
        window = ReplayWindow(Document(recorded.folder), settings)
        window.show()
        window.jump("utterance", 1)
        for kind, name, text in (
            (QtWidgets.QLineEdit, "what was really said", "may second, nineteen sixty-five"),
            (QtWidgets.QComboBox, "what the utterance was in your opinion", "relief"),
        ):
            (box,) = [widget for widget in window.findChildren(kind) if widget.accessibleName() == name]
            box.setText(text) if isinstance(box, QtWidgets.QLineEdit) else box.setCurrentText(text)
        window.save()
        window.close()
    return study


@pytest.mark.parametrize("condition", SESSIONS)
def test_replay_goes_to_markers_and_keeps_the_original(corrected: Study, condition: str, qtbot: Any) -> None:
    recorded = corrected.sessions[condition]
    settings = QtCore.QSettings(str(corrected.root / "replay.ini"), QtCore.QSettings.Format.IniFormat)
    window = ReplayWindow(Document(recorded.folder), settings)
    qtbot.addWidget(window)
    window.show()
    with Session(recorded.folder) as session:
        markers, row = session.markers(), session.utterances()[0]
    for marker in markers:
        window.jump("marker", 1)
        assert window.position == pytest.approx(marker["sample"] / 16_000, abs=1e-6)
    window.seek(row["start_sample"] / 16_000 + 0.1)
    assert window.chosen is not None
    assert window.chosen.corrected == row["corrected"] == "may second, nineteen sixty-five"
    assert window.chosen.annotation == row["annotation"] == "relief"
    assert row["words"] not in ("", row["corrected"])


@pytest.fixture(scope="module")
def rescored(corrected: Study) -> Study:
    for recorded in corrected.sessions.values():
        command = ["sessions", "rescore", str(recorded.folder), "--bundle", str(corrected.other_bundle), "--name", "other"]
        assert main(command) == 0
    return corrected


@pytest.mark.parametrize("condition", SESSIONS)
def test_another_bundles_scores_stand_beside_the_recorded_ones(rescored: Study, condition: str) -> None:
    folder = rescored.sessions[condition].folder
    assert scorings(folder) == ["other"]
    with Session(folder) as before, Session(folder, "other") as after:
        assert before.header.bundle.sha256 == load_models("default-bundle", "none").bundle.fingerprint
        assert after.header.bundle.name == "random"
        found = compare(before, after)
    assert found.missing == ()
    assert found.difference is not None
    assert found.difference > 1e-3


# Every format -------------------------------------------------------------------------------------------------------------

Times = dict[str, list[tuple[float, float, str]]]
"""Markers, utterances and words as start, end (s) and text; formats that have no such thing lack the name."""


def as_recorded(folder: Path, scores: str | None) -> Times:
    def rows(found: list[dict[str, Any]], text: Callable[[dict[str, Any]], str]) -> list[tuple[float, float, str]]:
        return [(row["start_sample"] / 16_000, row["end_sample"] / 16_000, text(row)) for row in found]

    with Session(folder, scores) as session:
        return {
            "markers": [(row["sample"] / 16_000, row["sample"] / 16_000, row["name"]) for row in session.markers()],
            "utterances": rows(session.utterances(), lambda row: row["label"] or row["state"]),
            "words": rows(session.words(), lambda row: row["text"]),
        }


def from_tables(read: Callable[[str], Any]) -> Times:
    def text(name: str, row: Any) -> str:
        if name == "markers":
            return str(row["name"])
        return str(row["text"] if name == "words" else row["label"] or row["state"])

    return {
        name: [(row["start"], row["end"], text(name, row)) for row in read(name)] for name in ("markers", "utterances", "words")
    }


def from_csv(folder: Path) -> Times:
    import pandas as pd

    return from_tables(lambda name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False).to_dict("records"))


def from_parquet(folder: Path) -> Times:
    import pandas as pd

    def read(name: str) -> Any:
        frame = pd.read_parquet(folder / f"{name}.parquet").astype(object)
        return frame.where(frame.notna(), "").to_dict("records")

    return from_tables(read)


def from_json_lines(folder: Path) -> Times:
    return from_tables(
        lambda name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    )


def from_elan(folder: Path) -> Times:
    import pympi

    elan = pympi.Elan.Eaf(str(folder / "session.eaf"))
    tiers = {"markers": "markers", "utterances": "emotion", "words": "words"}
    return {
        name: sorted((first / 1000, end / 1000, text) for first, end, text, *_ in elan.get_annotation_data_for_tier(tier))
        for name, tier in tiers.items()
    }


def from_praat(folder: Path) -> Times:
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(folder / "session.TextGrid"), includeEmptyIntervals=False)
    return {
        "markers": [(entry.time, entry.time, entry.label) for entry in grid.getTier("markers").entries],
        "utterances": [(entry.start, entry.end, entry.label) for entry in grid.getTier("emotion").entries],
        "words": [(entry.start, entry.end, entry.label) for entry in grid.getTier("words").entries],
    }


def from_srt(folder: Path) -> Times:
    import srt

    found = srt.parse((folder / "session.srt").read_text(encoding="utf-8"), ignore_errors=False)
    return {
        "utterances": [
            (one.start.total_seconds(), one.end.total_seconds(), one.content[1:].split("]")[0].rpartition(" ")[0])
            for one in found
        ]
    }


def from_vtt(folder: Path) -> Times:
    import webvtt

    def seconds(text: str) -> float:
        hours, minutes, rest = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)

    return {
        "utterances": [
            (seconds(one.start), seconds(one.end), one.text[1:].split("]")[0].rpartition(" ")[0])
            for one in webvtt.read(str(folder / "session.vtt"))
        ]
    }


def xdf_streams(folder: Path, **options: Any) -> dict[str, Any]:
    import pyxdf

    streams, _ = pyxdf.load_xdf(str(folder / "session.xdf"), **options)
    return {stream["info"]["name"][0].removeprefix("Realtime SER "): stream for stream in streams}


def from_xdf(folder: Path) -> Times:
    streams = xdf_streams(folder, synchronize_clocks=False)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("markers", "utterances", "words"):
        stream = streams[name]
        found[name] = [json.loads(sample[0]) for sample in stream["time_series"]]
        assert [record["end"] for record in found[name]] == stream["time_stamps"].tolist()
    return from_tables(lambda name: found[name])


READERS = {
    "csv": (from_csv, "pandas"),
    "parquet": (from_parquet, "pandas"),
    "jsonl": (from_json_lines, "json"),
    "elan": (from_elan, "pympi"),
    "praat": (from_praat, "praatio"),
    "srt": (from_srt, "srt"),
    "vtt": (from_vtt, "webvtt"),
    "xdf": (from_xdf, "pyxdf"),
}


@pytest.fixture(scope="module")
def exported(rescored: Study) -> dict[tuple[str, str | None], Path]:
    """The folders of all exports, by condition and scoring."""
    folders: dict[tuple[str, str | None], Path] = {}
    for condition, recorded in rescored.sessions.items():
        for scores in (None, "other"):
            folder = folders[condition, scores] = rescored.root / "out" / condition / str(scores)
            options = [] if scores is None else ["--scores", scores]
            assert main(["sessions", "export", str(recorded.folder), "--to", str(folder), *options]) == 0
    return folders


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("scores", [None, "other"])
@pytest.mark.parametrize("condition", SESSIONS)
def test_every_format_says_the_same_at_the_same_times(
    rescored: Study, exported: dict[tuple[str, str | None], Path], condition: str, scores: str | None, form: str
) -> None:
    reader, library = READERS[form]
    pytest.importorskip(library, reason=f"{library} reads this format: install the 'dev' extra")
    expected = as_recorded(rescored.sessions[condition].folder, scores)
    read = reader(exported[condition, scores])
    assert set(read) == (set(expected) if form not in ("srt", "vtt") else {"utterances"})
    for name, found in read.items():
        assert [text for *_, text in found] == [text for *_, text in expected[name]]
        assert np.abs(np.array([times[:2] for times in found]) - [times[:2] for times in expected[name]]).max() < CLOSE


@pytest.mark.parametrize("condition", SESSIONS)
def test_the_sound_that_is_exported_has_the_clicks_at_the_markers(
    rescored: Study, exported: dict[tuple[str, str | None], Path], condition: str
) -> None:
    samples, rate = soundfile.read(exported[condition, None] / "audio.flac", dtype="float32")
    loud = np.flatnonzero(np.abs(samples) > 0.45)
    clicks = loud[np.diff(loud, prepend=-rate) > rate // 10] / rate
    markers = from_csv(exported[condition, None])["markers"]
    sent = rescored.sessions[condition].markers
    late = np.array([one.sent - one.sounded for one in sent])
    assert np.abs(np.array([start for start, *_ in markers]) - (clicks + late)).max() < CLOSE


@pytest.mark.parametrize("condition", SESSIONS)
def test_xdf_is_on_the_clock_of_the_process_that_sent_the_markers(
    rescored: Study, exported: dict[tuple[str, str | None], Path], condition: str
) -> None:
    pytest.importorskip("pyxdf", reason="pyxdf reads XDF files: install the 'dev' extra")
    sent = rescored.sessions[condition].markers
    streams = xdf_streams(exported[condition, None])
    assert np.abs(streams["markers"]["time_stamps"] - [one.stamp for one in sent]).max() < CLOSE
    windows = xdf_streams(exported[condition, None], synchronize_clocks=False)["windows"]
    with Session(rescored.sessions[condition].folder) as session:
        recorded = session.windows()
    assert np.array_equal(windows["time_stamps"], (recorded.first + recorded.length) / 16_000)
    assert np.array_equal(windows["time_series"][:, :-1], recorded.scores)


def test_the_group_is_summed_up_and_described(rescored: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas as pd

    assert main(["sessions", "summary", str(rescored.root), "--out", str(tmp_path / "summary.csv")]) == 0
    table = pd.read_csv(tmp_path / "summary.csv")
    assert set(table["condition"]) >= set(SESSIONS)
    capsys.readouterr()
    assert main(["sessions", "summary", str(rescored.root)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[5:] == ["bleed", *load_models("default-bundle", "none").classes, "abstained"]
    for line, (_, row) in zip(lines, table.iterrows(), strict=False):
        assert line.split()[:3] == [row["participant"], row["condition"], str(row["sessions"])]
        assert f"{row['anger']:.2f}" in line
    folder = rescored.sessions["stress"].folder
    capsys.readouterr()
    assert main(["sessions", "show", str(folder), "--methods"]) == 0
    assert "did not end regularly" in capsys.readouterr().out
    pytest.importorskip("matplotlib", reason="Matplotlib draws figures: install the 'dev' extra")
    assert main(["sessions", "figure", str(folder), "--out", str(tmp_path / "figure.svg")]) == 0
    assert "clip 1" in (tmp_path / "figure.svg").read_text(encoding="utf-8")
