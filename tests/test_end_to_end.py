"""The main job with real parts: speech played into a virtual microphone, captured by PortAudio, recognised and scored."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from engine_stages import collect

from realtime_ser.assembly import build_engine, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.sources import ArraySource
from realtime_ser.config import EngineSettings
from realtime_ser.controller import Controller, InputEntry
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.engine import Phase
from realtime_ser.errors import DeviceError
from realtime_ser.inputs import open_input
from realtime_ser.types import (
    Block,
    EndReason,
    Estimate,
    EstimateState,
    Event,
    Health,
    Level,
    Output,
    Transcript,
    Verdict,
    WindowScores,
)


class Recorded:
    """A microphone whose blocks are kept, so that what was captured can be analysed again."""

    def __init__(self, microphone: MicrophoneSource) -> None:
        self._microphone = microphone
        self.blocks: list[Block] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._microphone, name)

    def read(self, timeout: float) -> Block | None:
        block = self._microphone.read(timeout)
        if block is not None:
            self.blocks.append(block)
        return block


@pytest.fixture
def clip(data_dir: Path, tmp_path: Path) -> Path:
    """Ten seconds of read speech with silence around it."""
    samples, rate = soundfile.read(data_dir / "clips" / "librispeech" / "1089-134686-0000.flac", dtype="float32")
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.concatenate([np.zeros(rate), samples, np.zeros(2 * rate)]), rate)
    return path


def verdicts(outputs: list[Output]) -> list[Verdict]:
    return [output for output in outputs if isinstance(output, Verdict)]


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("recognizer", ["pocketsphinx", "vosk"])
def test_speech_through_a_microphone_is_heard_recognised_and_scored(
    virtual_microphone: Any, clip: Path, vosk_model_dir: Path, recognizer: str
) -> None:
    models = load_models("default-bundle", vosk_model_dir if recognizer == "vosk" else recognizer)
    source = Recorded(MicrophoneSource())
    # Patience for a machine with other work to do: what is tested is the words, not the recogniser's speed.
    engine = build_engine(models, source, EngineSettings(final_transcript_timeout=60.0))
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    engine.start()
    virtual_microphone.play(clip)
    deadline = time.monotonic() + 80
    outputs: list[Output] = []
    while not verdicts(outputs) and time.monotonic() < deadline:
        output = channel.get(0.2)
        outputs += [] if output is None else [output]
    engine.close()
    outputs += collect(channel)

    # Everything that a listener is promised is there.
    (live,) = verdicts(outputs)
    assert live.estimate.transcript is not None
    assert live.estimate.transcript.final
    assert [o for o in outputs if isinstance(o, Transcript)]
    if recognizer == "pocketsphinx":
        assert {"dinner", "carrots", "potatoes"} <= set(live.estimate.transcript.text.split())
    assert max(o.peak for o in outputs if isinstance(o, Level)) > -30
    health = [o for o in outputs if isinstance(o, Health)][-1]
    assert (health.overruns, health.dropped_samples, health.windows_skipped) == (0, 0, 0)
    captured = np.concatenate([block.samples for block in source.blocks])
    assert health.windows_computed == (len(captured) - 4_000) // 160 + 1
    latencies = [o.captured_at for o in outputs if isinstance(o, WindowScores)]
    assert all(stamp is not None for stamp in latencies)

    # What was captured, analysed as a recording, gives what was shown live.
    again = list(run_pipeline(ArraySource(captured, 16_000), build_stages(models, live=False)))
    np.testing.assert_allclose(
        np.concatenate([o.scores for o in outputs if isinstance(o, WindowScores)]),
        np.concatenate([o.scores for o in again if isinstance(o, WindowScores)]),
        atol=1e-5,
    )
    assert verdicts(again)[0].span == live.span
    np.testing.assert_allclose(verdicts(again)[0].estimate.acoustic, live.estimate.acoustic, atol=1e-5)

    # The file itself: two resamplings and another phase of the 10 ms grid lie between them.
    file = list(run_pipeline(FileSource(clip), build_stages(models, live=False)))
    (straight,) = verdicts(file)
    assert len(straight.span) == pytest.approx(len(live.span), abs=2 * 512)
    np.testing.assert_allclose(straight.estimate.acoustic, live.estimate.acoustic, atol=0.1)


def take_until(channel: Channel[Output], outputs: list[Output], arrived: Callable[[Output], bool]) -> None:
    """Take outputs up to one that `arrived` accepts."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        output = channel.get(0.2)
        if output is not None:
            outputs.append(output)
            if arrived(output):
                return
    raise AssertionError("it never came")


def is_event(kind: str) -> Callable[[Output], bool]:
    return lambda output: isinstance(output, Event) and output.kind == kind


def speaks(output: Output) -> bool:
    return isinstance(output, Estimate) and output.voiced_seconds > 1.0


@pytest.mark.usefixtures("no_thread_left")
def test_a_microphone_that_is_plugged_in_again_is_heard_again_and_no_window_spans_the_gap(
    virtual_microphone: Any, clip: Path
) -> None:
    engine = build_engine(load_models("default-bundle", "none"), MicrophoneSource(retry_seconds=0.1))
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    outputs: list[Output] = []
    engine.start()
    player = virtual_microphone.start_playing(clip)
    take_until(channel, outputs, speaks)
    virtual_microphone.unplug()
    take_until(channel, outputs, is_event("device-lost"))
    # The utterance under way does not wait for the device: it has its verdict, and nothing is claimed any more.
    take_until(channel, outputs, lambda output: isinstance(output, Verdict))
    take_until(channel, outputs, lambda o: isinstance(o, Estimate) and o.state is EstimateState.NO_SPEECH)
    player.kill()
    player.wait()
    assert engine.phase is Phase.RUNNING
    virtual_microphone.replug()
    take_until(channel, outputs, is_event("device-back"))
    player = virtual_microphone.start_playing(clip)
    take_until(channel, outputs, speaks)
    take_until(channel, outputs, lambda output: isinstance(output, Health))
    engine.close()
    player.kill()
    player.wait()
    outputs += collect(channel)

    (lost,) = filter(is_event("device-lost"), outputs)
    (back,) = filter(is_event("device-back"), outputs)
    spans = [span for o in outputs if isinstance(o, WindowScores) for span in o.window_spans()]
    assert not [span for span in spans if span.end > lost.sample and span.first < back.sample]  # type: ignore[union-attr]
    starts = np.array([span.first for span in spans])
    assert np.count_nonzero(np.diff(starts) != 160) == 1
    first, second = verdicts(outputs)
    assert first.reason is EndReason.GAP
    assert first.span.end <= lost.sample < back.sample <= second.span.first  # type: ignore[union-attr]
    health = [o for o in outputs if isinstance(o, Health)][-1]
    assert health.device_losses == 1
    assert health.dropped_samples == back.sample - lost.sample  # type: ignore[union-attr]
    assert health.windows_skipped > 0
    assert health.windows_computed == len(spans)


@pytest.mark.usefixtures("no_thread_left")
def test_a_microphone_that_is_unplugged_leaves_a_verdict_and_a_clear_message(virtual_microphone: Any, clip: Path) -> None:
    models = load_models("default-bundle", "none")
    engine = build_engine(models, MicrophoneSource(return_seconds=0))
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    engine.start()
    player = virtual_microphone.start_playing(clip)
    outputs: list[Output] = []
    while sum(len(o.scores) for o in outputs if isinstance(o, WindowScores)) < 400:
        output = channel.get(20)
        assert output is not None
        outputs.append(output)
    virtual_microphone.unplug()
    outputs += collect(channel)
    player.kill()
    player.wait()
    with pytest.raises(DeviceError):
        engine.wait(10)
    assert verdicts(outputs)
    (event,) = [o for o in outputs if isinstance(o, Event) and o.kind == "source-lost"]
    assert "microphone" in event.message.lower()


@pytest.mark.usefixtures("no_thread_left")
def test_a_signal_that_is_not_as_it_should_be_is_told_and_stops_nothing(
    virtual_microphone: Any, random_bundle: Path, tmp_path: Path
) -> None:
    rate = virtual_microphone.rate
    tone = np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate).astype(np.float32)
    invalid = 0.1 * tone
    invalid[1_000:1_100] = np.nan
    invalid[2_000:2_100] = np.inf
    faulty = np.concatenate([np.clip(3 * tone, -1, 1), np.tile(0.1 * tone + np.float32(0.1), 2), invalid])
    soundfile.write(tmp_path / "faulty.wav", faulty, rate, subtype="FLOAT")
    engine = build_engine(load_models(random_bundle, "none"), MicrophoneSource())
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    outputs: list[Output] = []
    engine.start()
    # Nobody plays: the virtual microphone delivers exact zeros.
    take_until(channel, outputs, is_event("blocked-microphone"))
    player = virtual_microphone.start_playing(tmp_path / "faulty.wav")
    for kind in ("blocked-microphone-over", "clipping", "dc-offset", "invalid-samples"):
        take_until(channel, outputs, is_event(kind))
    take_until(channel, outputs, is_event("blocked-microphone"))
    assert player.wait(20) == 0
    engine.close()
    outputs += collect(channel)
    assert all(np.isfinite(o.scores).all() for o in outputs if isinstance(o, WindowScores))
    health = [o for o in outputs if isinstance(o, Health)][-1]
    assert health.windows_skipped == 0
    assert health.windows_computed == sum(len(o.scores) for o in outputs if isinstance(o, WindowScores))


def listening(virtual_microphone: Any, bundle: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "realtime_ser", "listen", "--recognizer", "none", "--bundle", str(bundle), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=virtual_microphone.environment
    )


VERDICT = r"\d\.\d–.*s  \w+ +\d+%"


def line_with(running: subprocess.Popen[str], wanted: str) -> str:
    """The next line of the program's output in which the pattern `wanted` is found."""
    assert running.stdout is not None
    while line := running.stdout.readline():
        if re.search(wanted, line):
            return line
    raise AssertionError(f"{wanted!r} was not written")


def test_the_program_sums_up_and_says_what_to_do_when_its_microphone_is_unplugged(
    virtual_microphone: Any, clip: Path, random_bundle: Path
) -> None:
    with listening(virtual_microphone, random_bundle, "--input", "microphone", "--wait", "0") as running:
        line_with(running, "listening to default microphone")
        virtual_microphone.play(clip)
        line_with(running, VERDICT)
        virtual_microphone.unplug()
        rest = running.stdout.read()  # communicate() would leave out what was read ahead with the lines before
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 3, errors
    assert "microphone" in errors
    assert "Traceback" not in errors
    assert "Heard" in rest
    assert "1 utterances" in rest


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to send to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_says_that_its_microphone_is_away_and_ends_at_once_when_it_is_told_to(
    virtual_microphone: Any, clip: Path, random_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "what happened.log"
    with listening(virtual_microphone, random_bundle, "--input", "microphone", "--log", str(log)) as running:
        line_with(running, "listening to default microphone")
        virtual_microphone.play(clip)
        line_with(running, VERDICT)
        virtual_microphone.unplug()
        line_with(running, "“default” went away. This program looks for it for 10 minutes")
        began = time.monotonic()
        running.send_signal(number)
        rest = running.stdout.read()  # communicate() would leave out what was read ahead with the lines before
        _, errors = running.communicate(timeout=60)
        assert time.monotonic() - began < 10  # and not the ten minutes that it would have waited
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    assert "1 utterances" in rest
    assert "microphone lost 1×" in rest
    assert f"What happened is in {log}." in rest
    text = log.read_text(encoding="utf-8")
    assert "listening to default (ALSA), 44100 Hz" in text
    assert "ERROR" in text
    assert "device-lost: The microphone “default” went away" in text
    assert "finished after" in text
    assert re.search(r"\d+ windows, 0 skipped; 0 overruns", text)
    assert not re.search(VERDICT, text)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_program_that_stood_still_marks_the_time_as_a_gap_and_goes_on(
    virtual_microphone: Any, random_bundle: Path, tmp_path: Path
) -> None:
    """Stopped from outside, as by a computer that sleeps: nothing runs, and the clock jumps."""
    soundfile.write(tmp_path / "pause.wav", np.zeros(4 * 8_000), 8_000)
    with listening(virtual_microphone, random_bundle, "--input", "microphone", "--json") as running:
        assert running.stdout is not None
        found: list[dict[str, Any]] = []

        def read_until(kind: str) -> dict[str, Any]:
            while True:
                assert running.stdout is not None
                found.append(json.loads(running.stdout.readline()))
                if kind in (found[-1]["type"], found[-1].get("kind")):
                    return found[-1]

        read_until("health")
        stopped = time.monotonic()
        running.send_signal(signal.SIGSTOP)
        virtual_microphone.play(tmp_path / "pause.wav")
        running.send_signal(signal.SIGCONT)
        stood_still = time.monotonic() - stopped
        lost = read_until("device-lost")
        back = read_until("device-back")
        again = read_until("window")
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()  # communicate() would leave out what was read ahead with the lines before
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert re.search(r"delivered nothing for \d+ s", lost["message"])
    # The rest is the time that it took to open the device again.
    assert stood_still - 0.5 < back["start"] - lost["start"] < stood_still + 10
    assert again["start"] == back["start"]
    found += [json.loads(line) for line in rest.splitlines()]
    windows = [record for record in found if record["type"] == "window"]
    assert not [record for record in windows if record["end"] > lost["start"] and record["start"] < back["start"]]
    assert [record for record in found if record["type"] == "health"][-1]["device_losses"] == 1


def test_a_microphone_that_does_not_exist_is_answered_with_those_that_do(virtual_microphone: Any, random_bundle: Path) -> None:
    with listening(virtual_microphone, random_bundle, "--input", "microphone:Grandma's") as running:
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "Grandma's" in errors
    assert "default" in errors  # the list of those that exist
    assert "Traceback" not in errors


@pytest.mark.usefixtures("no_thread_left")
def test_the_controller_runs_stops_and_survives_a_lost_device(virtual_microphone: Any, clip: Path) -> None:
    controller = Controller("default-bundle", "none", open_source=partial(open_input, wait=0))
    assert controller.state().phase == "loading"
    assert controller.bundle().classes == ("anger", "happiness", "neutral", "sadness")
    assert controller.state().phase == "stopped"
    choices = controller.inputs()
    assert {choice.kind for choice in choices} == {"microphone", "demo"}

    def reach(*phases: str) -> None:
        deadline = time.monotonic() + 20
        while controller.state().phase not in phases:
            assert time.monotonic() < deadline, f"{controller.state()} never reached {phases}"
            seen.extend(controller.poll(1_000))

    seen: list[Output] = []
    controller.start(InputEntry("microphone", "", "default"))
    reach("running")
    player = virtual_microphone.start_playing(clip)
    while not any(isinstance(output, WindowScores) for output in seen):
        seen.extend(controller.poll(1_000))
    assert controller.state().live
    virtual_microphone.unplug()
    reach("failed")
    assert "microphone" in controller.state().problem.lower()
    assert controller.state().remedy
    player.kill()
    player.wait()

    # Another input works at once; stopping is no failure; a file that does not exist is.
    controller.start(InputEntry("demo", "demo", "demo"))
    reach("running")
    controller.stop()
    reach("stopped")
    assert controller.state().position > 0
    controller.start(InputEntry("file", "no such file.wav", "nothing"))
    reach("failed")
    assert "no such file.wav" in controller.state().problem
    controller.start(InputEntry("file", str(clip), "speech"))
    reach("running")
    controller.close()
    assert controller.state().phase == "stopped"
