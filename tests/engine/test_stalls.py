"""A worker that stands still, a reader that does not read, a recogniser that is killed: it is counted, told, and goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stages import HeardUtterance, ScriptedRecognizer, ScriptedSource, blocks, collect

from realtime_ser.asr.discovery import RecognizerChoice, choose_recognizer
from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.asr.vosk_recognizer import VoskRecognizer
from realtime_ser.asr.worker_recognizer import WorkerRecognizer
from realtime_ser.assembly import Models, build_engine, build_stages, load_models
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.rehearsal import rehearse
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.engine import Engine
from realtime_ser.types import (
    Block,
    EndReason,
    Event,
    Health,
    Output,
    RecognizerLabel,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    WindowScores,
)

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture(scope="module")
def loaded(random_bundle: Path) -> Models:
    return load_models(random_bundle, "none")


@pytest.fixture(scope="module")
def scripted(loaded: Models) -> Models:
    record: list[HeardUtterance] = []
    choice = RecognizerChoice(lambda: ScriptedRecognizer(record), ScriptedRecognizer.label, "scripted")
    return Models(loaded.bundle, loaded.acoustic, loaded.text, loaded.fusion, choice)


def held(part: Any, method: str = "process") -> threading.Event:
    """Have a part of a worker stand still until the event that is returned is set."""
    gate = threading.Event()
    work: Callable[..., Any] = getattr(part, method)

    def wait_first(*arguments: Any) -> Any:
        assert gate.wait(60)
        return work(*arguments)

    setattr(part, method, wait_first)
    return gate


class Clock:
    """The one by which workers are watched; it stands still until it is moved."""

    def __init__(self, engine: Engine) -> None:
        self.time = 0.0
        engine._watch._now = lambda: self.time


def take_until(channel: Channel[Output], outputs: list[Output], kind: str) -> Event:
    """Take outputs up to an event."""
    deadline = time.monotonic() + 60
    while not events(outputs, kind):
        assert time.monotonic() < deadline, f"{kind} was never told"
        outputs += [output for output in [channel.get(0.2)] if output is not None]
    return events(outputs, kind)[0]


def events(outputs: list[Output], kind: str) -> list[Event]:
    return [output for output in outputs if isinstance(output, Event) and output.kind == kind]


def window_count(outputs: list[Output]) -> int:
    return sum(len(output.scores) for output in outputs if isinstance(output, WindowScores))


@pytest.mark.parametrize(("worker", "who"), [("words", "The recogniser"), ("judgement", "The judgement")])
def test_ten_seconds_cost_neither_a_window_nor_a_word_and_are_told(
    scripted: Models, demonstration: np.ndarray, worker: str, who: str
) -> None:
    sound = demonstration[: 12 * 16_000]
    source = ScriptedSource(blocks(sound, [1_600] * 120), live=True, then="wait")
    engine = build_engine(scripted, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate, clock = held(getattr(engine._stages, worker)), Clock(engine)
    engine.start()
    assert source.delivered.wait(40)
    lag = engine._health().recognizer_lag if worker == "words" else engine._health().judgement_lag
    assert lag == pytest.approx(11.9, abs=0.11)  # the first step is in the worker's hands
    clock.time += 10.0
    outputs: list[Output] = []
    assert f"{who} has stood still for 10 s" in take_until(channel, outputs, f"{worker}-stalled").message
    gate.set()
    assert f"{who} goes on after about 10 s" in take_until(channel, outputs, f"{worker}-stalled-over").message
    last = len(sound) // 1_600 * 1_600
    while engine._heard_until < last or not [o for o in outputs if isinstance(o, Verdict)]:
        outputs += [output for output in [channel.get(0.2)] if output is not None]
    engine.close()
    outputs += collect(channel)
    assert window_count(outputs) == (len(sound) - 4_000) // 160 + 1
    # The clock was moved while the first worker waited for the microphone: that one seems to have stood still, too.
    told = [o.kind for o in outputs if isinstance(o, Event) and not o.kind.startswith("signal")]
    assert told == [f"{worker}-stalled", f"{worker}-stalled-over"]
    finals = {o.utterance: o.text for o in outputs if isinstance(o, Transcript) and o.final}
    assert all(finals.values())
    verdicts = {o.utterance: o.estimate.transcript for o in outputs if isinstance(o, Verdict)}
    assert verdicts.keys() == finals.keys()
    if worker == "judgement":  # the verdicts came late, but with their words
        assert {number: words.text for number, words in verdicts.items() if words is not None} == finals


@pytest.mark.parametrize(("part", "method"), [("_detector", "process"), ("_acoustic", "push")])
def test_ten_seconds_of_voice_activity_or_encoder_wait_and_are_caught_up_with(
    loaded: Models, demonstration: np.ndarray, part: str, method: str
) -> None:
    sound = demonstration[: 10 * 16_000, np.newaxis]
    source = rehearse(sound, 16_000)
    engine = build_engine(loaded, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate, clock = held(getattr(engine._stages.signal, part), method), Clock(engine)
    engine.start()
    outputs: list[Output] = []
    deadline = time.monotonic() + 40
    while not source._closed:  # everything is captured
        assert time.monotonic() < deadline
        outputs += [output for output in [channel.get(0.05)] if output is not None]
    assert window_count(outputs) == 0
    clock.time += 10.0
    # Its own thread cannot tell: another one does.
    assert "Listening has stood still for 10 s" in take_until(channel, outputs, "signal-stalled").message
    gate.set()
    outputs += collect(channel)
    engine.close()
    assert [o.kind for o in outputs if isinstance(o, Event) and "stalled" in o.kind] == [
        "signal-stalled",
        "signal-stalled-over",
    ]
    assert window_count(outputs) == (len(sound) - 4_000) // 160 + 1
    assert [o for o in outputs if isinstance(o, Health)][-1].dropped_samples == 0


def test_verdicts_that_cannot_keep_up_for_a_minute_lose_what_is_counted_and_told(
    scripted: Models, demonstration: np.ndarray
) -> None:
    sound = np.concatenate([demonstration, demonstration])[: 75 * 16_000]
    source = ScriptedSource(blocks(sound, [1_600] * 750), live=True, then="wait")
    engine = build_engine(scripted, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate = held(engine._stages.judgement)
    engine.start()
    assert source.delivered.wait(100)
    gate.set()
    engine.close()
    outputs = collect(channel)
    missed = [float(event.message.split(" s do not count")[0].split()[-1]) for event in events(outputs, "judgement-behind")]
    # 60 s wait; one step may be in the worker's hands.
    assert sum(missed) == pytest.approx(15.0, abs=0.11)
    assert window_count(outputs) == (len(sound) - 4_000) // 160 + 1
    # The first step was in the worker's hands, what came next is gone, the rest is judged as ever.
    starts = [o for o in outputs if isinstance(o, UtteranceStart)]
    judged = {o.utterance for o in outputs if isinstance(o, Verdict)}
    assert judged == {start.utterance for start in starts if start.decided_at > (75 - 60) * 16_000}


def test_a_stop_loses_nothing_that_was_captured_before_it(loaded: Models, demonstration: np.ndarray) -> None:
    sound = demonstration[: 8 * 16_000, np.newaxis]
    source = rehearse(sound, 16_000)
    engine = build_engine(loaded, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate = held(engine._stages.signal)
    engine.start()
    deadline = time.monotonic() + 40
    while not source._closed:  # everything is captured, and hardly anything read
        assert time.monotonic() < deadline
        channel.get(0.05)
    engine.stop()
    gate.set()
    engine.close()
    assert window_count(collect(channel)) == (len(sound) - 4_000) // 160 + 1


def test_a_recogniser_that_falls_behind_misses_what_is_counted_and_told_and_goes_on(
    loaded: Models, demonstration: np.ndarray
) -> None:
    record: list[HeardUtterance] = []
    choice = RecognizerChoice(lambda: ScriptedRecognizer(record), ScriptedRecognizer.label, "scripted")
    models = Models(loaded.bundle, loaded.acoustic, loaded.text, loaded.fusion, choice)
    sound = demonstration[: 45 * 16_000]
    source = ScriptedSource(blocks(sound, [1_600] * 450), live=True, then="wait")
    engine = build_engine(models, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate = held(engine._stages.words)
    engine.start()
    assert source.delivered.wait(100)
    gate.set()
    deadline = time.monotonic() + 40
    outputs: list[Output] = []
    while engine._heard_until < len(sound) // 1_600 * 1_600:
        assert time.monotonic() < deadline
        outputs += [output for output in [channel.get(0.2)] if output is not None]
    engine.close()
    outputs += collect(channel)
    missed = [float(event.message.split(" missed ")[1].split()[0]) for event in events(outputs, "recognizer-behind")]
    assert sum(missed) == pytest.approx(15.0, abs=0.11)  # half a minute waits; one step may be in the worker's hands
    assert not events(outputs, "recognizer-lost")
    # It goes on with the first utterance that begins behind the hole, and none is joined over it.
    assert record
    assert all(heard.first > 14 * 16_000 for heard in record)
    assert all(heard.finished for heard in record)
    assert window_count(outputs) == (len(sound) - 4_000) // 160 + 1
    judged = [o.utterance for o in outputs if isinstance(o, Verdict)]
    assert judged == [o.utterance for o in outputs if isinstance(o, UtteranceStart)]


def test_a_hole_in_the_steps_ends_the_utterance_under_way(loaded: Models, demonstration: np.ndarray) -> None:
    stages = build_stages(loaded, live=True, words=False)
    steps = stages.signal.process(Block(Span(0, 160_000), demonstration[:160_000])).steps
    (start,) = [m for step in steps for m in step.marks if isinstance(m, UtteranceStart) and m.utterance == 0]
    (end,) = [m for step in steps for m in step.marks if isinstance(m, UtteranceEnd) and m.utterance == 0]
    hole = (start.decided_at + end.span.end) // 2 // 1_600
    verdicts = [
        output
        for step in steps[:hole] + steps[hole + 5 :]
        for output in stages.judgement.process(step, [])
        if isinstance(output, Verdict) and output.utterance == 0
    ]
    (verdict,) = verdicts
    assert verdict.reason is EndReason.GAP
    assert verdict.span == Span(start.onset, hole * 1_600)


def test_a_reader_that_does_not_read_is_told_what_it_missed(loaded: Models, demonstration: np.ndarray) -> None:
    engine = build_engine(loaded, ScriptedSource(blocks(demonstration[:80_000], [800] * 100), live=True))
    lazy = engine.subscribe(50, Policy.DROP_OLDEST)
    eager = engine.subscribe(100_000, Policy.KEEP_ALL)
    with engine:
        assert engine.wait(40)
    everything, left = collect(eager), collect(lazy)
    assert len(left) == 50
    assert events(left, "outputs-dropped")
    assert not events(everything, "outputs-dropped")


def test_ten_seconds_of_the_first_worker_are_a_gap_as_long_as_what_was_lost(virtual_microphone: Any, loaded: Models) -> None:
    source = MicrophoneSource(latency=0.2)
    engine = build_engine(loaded, source)
    channel = engine.subscribe(100_000, Policy.KEEP_ALL)
    gate = held(engine._stages.signal)
    engine.start()
    deadline = time.monotonic() + 40
    outputs: list[Output] = []
    while source._capture is None or not source._capture._lost_pending:
        assert time.monotonic() < deadline, "it never lost anything"
        outputs += [output for output in [channel.get(0.2)] if output is not None]
    gate.set()

    def heard_behind_the_gap() -> bool:
        told = events(outputs, "gap")
        last = [o for o in outputs if isinstance(o, WindowScores)][-1:]
        return bool(told and last and last[0].first_window >= told[0].sample)

    while not heard_behind_the_gap():
        assert time.monotonic() < deadline
        outputs += [output for output in [channel.get(0.2)] if output is not None]
    engine.close()
    outputs += collect(channel)
    (gap,) = events(outputs, "gap")
    assert "this program could not keep up" in gap.message
    health = [o for o in outputs if isinstance(o, Health)][-1]
    assert health.dropped_samples > 0
    assert health.device_losses == 0
    spans = [span for o in outputs if isinstance(o, WindowScores) for span in o.window_spans()]
    behind = gap.sample + health.dropped_samples
    assert not [span for span in spans if span.first < behind and span.end > gap.sample]
    assert spans[-1].first >= behind


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL to send to another process")
@pytest.mark.parametrize("library", ["PocketSphinx", "Vosk"])
def test_a_recogniser_that_is_killed_is_replaced_and_the_next_utterance_has_words(
    loaded: Models, demonstration: np.ndarray, vosk_model_dir: Path, library: str
) -> None:
    made: list[WorkerRecognizer] = []

    def factory() -> WorkerRecognizer:
        made.append(VoskRecognizer(vosk_model_dir) if library == "Vosk" else PocketSphinxRecognizer())
        return made[-1]

    models = replace(loaded, recognizer=RecognizerChoice(factory, RecognizerLabel(library, "test"), "real"))
    engine = build_engine(models, ArraySource(demonstration[: 20 * 16_000], 16_000))
    channel = engine.subscribe(64, Policy.KEEP_ALL)
    engine.start()
    outputs: list[Output] = []
    while not [o for o in outputs if isinstance(o, Transcript)]:
        output = channel.get(40)
        assert output is not None
        outputs.append(output)
    victim = made[0].process_id
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    outputs += collect(channel)
    assert engine.wait(10)
    (lost,) = events(outputs, "recognizer-lost")
    assert f"The {library} process" in lost.message
    assert "killed by SIGKILL" in lost.message
    assert "restarting it" in lost.message
    texts = [o.estimate.transcript.text for o in outputs if isinstance(o, Verdict) and o.estimate.transcript is not None]
    assert "" in texts  # the utterance under way
    assert any(texts)
    assert len(made) == 2
    assert [recognizer.process_id for recognizer in made] == [None, None]
    assert window_count(outputs) == (20 * 16_000 - 4_000) // 160 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to be killed by")
def test_a_library_that_aborts_in_every_utterance_is_left_off_and_costs_nothing_but_words(
    loaded: Models, demonstration: np.ndarray, vosk_model_dir: Path, tmp_path: Path
) -> None:
    """With libvosk and a model whose damage makes it call abort when words get their times, here at the end of an utterance."""
    model = tmp_path / "damaged"
    shutil.copytree(vosk_model_dir, model, copy_function=shutil.copyfile)
    for folder in (model, *model.rglob("*/")):
        folder.chmod(0o755)
    boundaries = model / "graph" / "phones" / "word_boundary.int"
    # What it makes of the noise that it is tried with has these phones only; what people say has others.
    boundaries.write_text("".join(boundaries.read_text().splitlines(keepends=True)[:80]))
    models = replace(loaded, recognizer=choose_recognizer(model))
    length = 28 * 16_000
    engine = build_engine(models, ArraySource(demonstration[:length], 16_000))
    channel = engine.subscribe(64, Policy.KEEP_ALL)
    engine.start()
    outputs = collect(channel)
    assert engine.wait(10)
    told = [output for output in outputs if isinstance(output, Event) and output.kind.startswith("recognizer")]
    assert [event.kind for event in told] == ["recognizer-lost"] * 3 + ["recognizer-off"]
    assert all("The Vosk process ended unexpectedly (killed by SIGABRT): Phone" in event.message for event in told)
    starts = [o.utterance for o in outputs if isinstance(o, UtteranceStart)]
    verdicts = {o.utterance: o.estimate.transcript for o in outputs if isinstance(o, Verdict)}
    assert len(starts) > 4  # one more than fail
    assert sorted(verdicts) == starts
    assert window_count(outputs) == (length - 4_000) // 160 + 1
