"""Two people in one recording: live, replayed or in a batch, everybody's scores are those of their channel alone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from engine_stages import collect

from realtime_ser.assembly import Models, build_people, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.people import SharedDevice
from realtime_ser.audio.rehearsal import rehearse
from realtime_ser.audio.resample import StreamResampler
from realtime_ser.audio.sources import Source
from realtime_ser.commands.analyze import analyze
from realtime_ser.commands.listen import LiveView, PeopleView
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.people import Said
from realtime_ser.errors import ConfigError
from realtime_ser.inputs import Input, PeopleInput, open_people, parse_channels, parse_names, people_wanted, two_inputs
from realtime_ser.records import verdict_row
from realtime_ser.session.reader import Session
from realtime_ser.types import Event, Output, Severity, Verdict, WindowScores

ROUNDING = 1e-5
"""As in test_same_scores: batches of other sizes are summed in another order."""
NAMES = ("Anna", "Ben")


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("default-bundle", "none")


@pytest.fixture(scope="module", params=[44_100, 16_000])
def recordings(
    request: pytest.FixtureRequest, demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """A conversation in two channels, and each of the channels in a file of its own."""
    convert = StreamResampler(16_000, request.param)
    voices = []
    for voice in (demonstration[12_000:130_000], demonstration[130_000:248_000]):
        voices.append(np.concatenate([convert.process(voice), convert.flush()]))
    folder = tmp_path_factory.mktemp("conversation")
    paths = [folder / "both.wav", folder / "anna.wav", folder / "ben.wav"]
    for path, frames in zip(paths, (np.stack(voices, axis=1), *voices), strict=True):
        soundfile.write(path, frames, request.param, subtype="PCM_16")
    return paths


def windows(outputs: list[Output]) -> tuple[list[int], np.ndarray]:
    found = [output for output in outputs if isinstance(output, WindowScores)]
    return [span.first for output in found for span in output.window_spans()], np.concatenate([o.scores for o in found])


def heard(models: Models, sources: list[Source]) -> list[list[Output]]:
    """What the engines of both say."""
    people = build_people(models, sources, names=NAMES)
    channel = people.subscribe(200_000, Policy.KEEP_ALL)
    with people:
        outputs: list[Said] = collect(channel)  # type: ignore[arg-type, assignment]
    return [[said.output for said in outputs if said.person == person] for person in (0, 1)]


# The law ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_thread_left")
def test_live_replay_and_batch_give_everybody_the_scores_of_their_channel_alone(
    models: Models, recordings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, *alone = recordings
    expected = [list(run_pipeline(FileSource(path), build_stages(models, live=False))) for path in alone]

    choice = PeopleInput((Input("file", str(both)),), NAMES, (0, 1))
    frames, rate = soundfile.read(both, dtype="float32", always_2d=True)
    live = SharedDevice(rehearse(frames, rate, 3, channel=0, others=(1,)), (0, 1))
    for outputs, exact in ((heard(models, open_people(choice, "fast")), True), (heard(models, list(live.lanes)), False)):
        for mine, theirs in zip(outputs, expected, strict=True):
            found, wanted = windows(mine), windows(theirs)
            assert found[0] == wanted[0]
            if exact:
                np.testing.assert_array_equal(found[1], wanted[1])
            np.testing.assert_allclose(found[1], wanted[1], atol=ROUNDING)
            verdicts, others = ([o for o in said if isinstance(o, Verdict)] for said in (mine, theirs))
            assert len(verdicts) >= 2
            assert [(one.span, one.reason) for one in verdicts] == [(one.span, one.reason) for one in others]
            for one, other in zip(verdicts, others, strict=True):
                np.testing.assert_allclose(one.estimate.scores, other.estimate.scores, atol=ROUNDING)

    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(models.bundle.path))
    for by_window in (True, False):
        out = tmp_path / "table.jsonl"

        def rows(path: Path, people: Any = (), out: Path = out, by_window: bool = by_window) -> list[dict[str, Any]]:
            assert analyze([str(path)], out=str(out), windows=by_window, recognizer="none", people=people) == 0
            return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

        together = rows(both, tuple(zip(NAMES, (0, 1), strict=True)))
        assert list(together[0])[:4] == ["file", "person", "start", "end"]
        assert [row["start"] for row in together] == sorted(row["start"] for row in together)
        for name, path in zip(NAMES, alone, strict=True):
            mine = [row for row in together if row.pop("person", None) == name]
            # Whose voice it was is told only where there are two.
            assert all((row.pop("bleed", None) is not None) is not by_window for row in mine)
            assert [{**row, "file": ""} for row in mine] == [{**row, "file": ""} for row in rows(path)]
            together = [{**row, "person": NAMES[1]} for row in together if row not in mine]


def test_words_too_are_those_of_the_channel_alone(random_bundle: Path, recordings: list[Path]) -> None:
    models = load_models(random_bundle, "pocketsphinx")
    both, *alone = recordings
    spoken = heard(models, open_people(PeopleInput((Input("file", str(both)),), NAMES, (0, 1)), "fast"))
    for mine, path in zip(spoken, alone, strict=True):
        theirs = list(run_pipeline(FileSource(path), build_stages(models, live=False)))
        rows, others = (
            [verdict_row(output, models.classes) for output in said if isinstance(output, Verdict)] for said in (mine, theirs)
        )
        assert any(row["transcript"] for row in rows)
        assert [{key: value for key, value in row.items() if key != "bleed"} for row in rows] == others


def test_two_files_are_two_people(models: Models, recordings: list[Path]) -> None:
    _, *alone = recordings
    choice = two_inputs(*(Input("file", str(path)) for path in alone), NAMES, None)
    assert choice.one_clock
    for mine, path in zip(heard(models, open_people(choice, "fast")), alone, strict=True):
        theirs = windows(list(run_pipeline(FileSource(path), build_stages(models, live=False))))
        np.testing.assert_array_equal(windows(mine)[1], theirs[1])


# Options ----------------------------------------------------------------------------------------------------------------------


def test_channels_count_from_one() -> None:
    assert parse_channels(None) == (0, 1)
    assert parse_channels(" 3, 1") == (2, 0)
    for wrong in ("1", "1,1", "0,1", "a,b", "1,2,3", ""):
        with pytest.raises(ConfigError, match="no two channels"):
            parse_channels(wrong)


def test_names_must_tell_people_apart() -> None:
    assert parse_names(None) == ("Person 1", "Person 2")
    assert parse_names(["  Anna  Maria ", "Ben"]) == ("Anna Maria", "Ben")
    for wrong in (["A", "a"], ["", "B"], ["A"], ["x" * 41, "B"], ["A\u0000", "B"]):
        with pytest.raises(ConfigError, match="no names for two people"):
            parse_names(wrong)


def test_options_that_contradict_each_other_are_refused() -> None:
    assert not people_wanted(None, None, None)
    assert not people_wanted(1, None, None)
    assert people_wanted(2, "1,2", None)
    assert people_wanted(None, None, ["A", "B"], "microphone:B")
    with pytest.raises(ConfigError, match="--channels is for two people"):
        people_wanted(None, "1,2", None)
    with pytest.raises(ConfigError, match="--second-input is for two people"):
        people_wanted(1, None, None, "microphone:B")
    microphone, file = Input("microphone", "A"), Input("file", "a.wav")
    with pytest.raises(ConfigError, match="same input"):
        two_inputs(microphone, microphone, NAMES, None)
    with pytest.raises(ConfigError, match="no common time"):
        two_inputs(microphone, file, NAMES, None)
    with pytest.raises(ConfigError, match="on one device"):
        two_inputs(microphone, Input("microphone", "B"), NAMES, "1,2")
    assert not two_inputs(microphone, Input("microphone", "B"), NAMES, None).one_clock


def run(*arguments: str, bundle: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "REALTIME_SER_BUNDLE": str(bundle)}
    command = [sys.executable, "-m", "realtime_ser", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, **options)


def test_the_command_line_says_what_is_wrong(random_bundle: Path, recordings: list[Path]) -> None:
    for arguments, words in (
        (["listen", "--input", str(recordings[1]), "--people", "2"], "has no channel 2"),
        (["listen", "--input", str(recordings[0]), "--names", "A", "B"], "--names is for two people"),
        (["listen", "--people", "2", "--profile", "P07", "--input", "demo"], "one person's voice"),
        (["listen", "--input", "demo", "--record", "/nowhere", "--participant", "A", "B"], "2 participants and 1"),
        (["analyze", str(recordings[1]), "--people", "2"], "has no channel 2"),
    ):
        done = run(*arguments, "--recognizer", "none", bundle=random_bundle)
        assert done.returncode in (2, 4), done.stderr
        assert words in " ".join((done.stdout + done.stderr).split())


def test_every_json_record_says_whose_it_is(random_bundle: Path, recordings: list[Path]) -> None:
    arguments = ["listen", "--input", str(recordings[0]), "--people", "2", "--channels", "2,1", "--pace", "fast", "--json"]
    done = run(*arguments, "--recognizer", "none", bundle=random_bundle)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["person"] for record in found} == {"Person 1", "Person 2"}
    assert all(list(record)[:2] == ["type", "person"] for record in found)
    counts = [sum(r["type"] == "window" for r in found if r["person"] == name) for name in ("Person 1", "Person 2")]
    assert counts[0] == counts[1] > 500


# The terminal -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [140, 80])
def test_the_view_has_a_lane_for_everybody(models: Models, recordings: list[Path], width: int) -> None:
    from rich.console import Console

    view = PeopleView([LiveView("both", "nobody", models.classes) for _ in NAMES], NAMES, width)
    lines = []
    for person, outputs in enumerate(
        heard(models, open_people(PeopleInput((Input("file", str(recordings[0])),), NAMES, (0, 1)), "fast"))
    ):
        for output in outputs:
            lines += [line for line in [view.take(Said(person, output))] if line is not None]
    gone = Event(16_000, "device-lost", Severity.ERROR, "It went away.")
    assert view.take(Said(0, gone)) is not None
    assert view.take(Said(1, gone)) is None  # one device, which went away once
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view.render())
    text = console.export_text()
    assert all(len(line) <= width for line in text.splitlines())
    top = next(line for line in text.splitlines() if "Anna" in line)
    assert ("Ben" in top) == (width == 140)
    assert text.count("level") == 2
    assert text.count("It went away.") == 1
    assert len([line for line in lines if "Anna" in str(line)]) >= 2
    assert [line.split(":")[0] for line in view.summary().splitlines() if "Heard" in line] == list(NAMES)


# A microphone -----------------------------------------------------------------------------------------------------------------


def test_two_voices_through_a_sound_card(
    virtual_microphone: Any, random_bundle: Path, demonstration: np.ndarray, tmp_path: Path
) -> None:
    """Each channel of a stereo microphone is scored alone, while it is captured."""
    loud, silent = demonstration[12_000:80_000], np.zeros(68_000, np.float32)
    path = tmp_path / "one speaks.wav"
    soundfile.write(path, np.stack([silent, loud], axis=1), 16_000)
    arguments = [
        "listen",
        "--input",
        "microphone",
        "--people",
        "2",
        "--json",
        "--recognizer",
        "none",
        "--bundle",
        str(random_bundle),
    ]
    program = subprocess.Popen(
        [sys.executable, "-m", "realtime_ser", *arguments],
        env=virtual_microphone.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        records, playing = [], None
        deadline = time.monotonic() + 60
        for line in program.stdout:
            records.append(json.loads(line))
            if playing is None:
                playing = virtual_microphone.start_playing(path)
            if records[-1]["type"] == "utterance" or time.monotonic() > deadline:
                break
        assert records[-1]["type"] == "utterance"
        program.terminate()
        rest = program.stdout.read()  # communicate() would leave out what was read ahead with the lines before
        _, errors = program.communicate(timeout=30)
        records += [json.loads(line) for line in rest.splitlines()]
        assert program.returncode == 0, errors
        assert playing is not None
        playing.kill()
        playing.wait()
    finally:
        program.kill()
        program.wait()
    said = {record["person"] for record in records if record["type"] == "utterance"}
    assert said == {"Person 2"}
    starts = {
        name: [r["start"] for r in records if r["type"] == "window" and r["person"] == name]
        for name in ("Person 1", "Person 2")
    }
    shared = min(map(len, starts.values()))
    assert shared > 100
    assert starts["Person 1"][:shared] == starts["Person 2"][:shared]


def test_two_microphones_hear_a_click_at_the_same_time(virtual_microphone: Any, random_bundle: Path, tmp_path: Path) -> None:
    """Two devices that were opened one after the other, through PortAudio and PulseAudio; all on the first one's clock."""
    clicks, path = np.zeros(16_000 * 6, np.float32), tmp_path / "clicks.wav"
    for second in range(1, 6):
        clicks[16_000 * second : 16_000 * second + 160] = np.random.default_rng(second).uniform(-0.8, 0.8, 160)
    soundfile.write(path, clicks, 16_000)
    inputs = ("--input", "microphone:left", "--second-input", "microphone:right", "--names", *NAMES)
    recording = ("--record", str(tmp_path / "sessions"), "--keep-audio", "--consent", "--json", "--recognizer", "none")
    with virtual_microphone.two_devices(tmp_path) as (sink, environment):
        program = subprocess.Popen(
            [sys.executable, "-m", "realtime_ser", "listen", *inputs, *recording, "--bundle", str(random_bundle)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert program.stdout is not None
            playing, heard = None, 0
            for line in program.stdout:
                record = json.loads(line)
                heard += record["type"] == "window" and record["person"] == NAMES[1]
                if playing is None and heard > 100:
                    playing = virtual_microphone.start_playing(path, sink)
                if playing is not None and playing.poll() is not None:
                    break
            program.terminate()
            _, errors = program.communicate(timeout=30)
            assert program.returncode == 0, errors
        finally:
            program.kill()
            program.wait()
    (folder,) = (tmp_path / "sessions").iterdir()
    with Session(folder) as session:
        assert [one.clock for one in session.header.people] == ["shared", "own"]
        onsets = [_onsets(one) for one in session.everybody()]
    assert len(onsets[0]) == len(onsets[1]) == 5
    assert np.abs(onsets[0] - onsets[1]).max() < 0.010 * 16_000


def _onsets(session: Session) -> np.ndarray:
    """Samples, on the session's clock, at which it becomes loud."""
    loud = np.concatenate([first + np.flatnonzero(np.abs(samples) > 0.2) for first, samples in session.audio()])
    return loud[np.concatenate([[True], np.diff(loud) > 4_000])]
