"""Whatever breaks, the engine ends in a clear state: the cause is raised, verdicts are committed, no thread is left."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from engine_stages import HeardUtterance, ScriptedRecognizer, ScriptedSource, blocks, collect

from realtime_ser.asr.discovery import RecognizerChoice
from realtime_ser.assembly import Models, build_engine, load_models
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.engine import Engine, Phase
from realtime_ser.errors import AudioFileError, DeviceError
from realtime_ser.types import Event, Health, Transcript, Verdict, WindowScores

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture(scope="module")
def loaded(random_bundle: Path) -> Models:
    return load_models(random_bundle, "none")


@pytest.fixture(scope="module")
def speech(demonstration: np.ndarray) -> np.ndarray:
    return demonstration[12_000:90_000]


def with_recognizer(loaded: Models, **options: object) -> Models:
    record: list[HeardUtterance] = []
    choice = RecognizerChoice(
        lambda: ScriptedRecognizer(record, **options),  # type: ignore[arg-type]
        ScriptedRecognizer.label,
        "scripted",
    )
    return Models(loaded.bundle, loaded.acoustic, loaded.text, loaded.fusion, choice)


def test_a_source_that_does_not_open_raises_where_it_was_started(loaded: Models) -> None:
    source = ScriptedSource([], then=DeviceError("No microphone.", "Plug one in."), opens=False)
    engine = build_engine(with_recognizer(loaded), source)
    channel = engine.subscribe(8, Policy.KEEP_ALL)
    with pytest.raises(DeviceError, match="No microphone"):
        engine.start()
    assert engine.phase is Phase.FAILED
    assert collect(channel) == []


@pytest.mark.parametrize("error", [DeviceError("It went away.", "Plug it in."), AudioFileError("It broke off.", "Copy it.")])
def test_a_source_that_is_lost_leaves_a_verdict_on_what_was_heard(loaded: Models, speech: np.ndarray, error: Exception) -> None:
    engine = build_engine(with_recognizer(loaded), ScriptedSource(blocks(speech[:40_000], [800] * 50), then=error))
    channel = engine.subscribe(16, Policy.KEEP_ALL)
    engine.start()
    outputs = collect(channel)
    with pytest.raises(type(error)):
        engine.wait(10)
    assert engine.phase is Phase.FAILED
    assert [type(o) for o in outputs if isinstance(o, Verdict)] == [Verdict]
    (event,) = [o for o in outputs if isinstance(o, Event)]
    assert event.kind == "source-lost"
    assert "Plug it in." in event.message or "Copy it." in event.message


@pytest.mark.parametrize("worker", ["signal", "words", "judgement"])
@pytest.mark.parametrize("live", [True, False])
def test_a_worker_that_raises_stops_the_engine_and_is_raised_in_the_caller(
    loaded: Models, speech: np.ndarray, worker: str, live: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broken = with_recognizer(loaded)

    def explode(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    engine = build_engine(broken, ScriptedSource(blocks(speech, [800] * 100), live=live, then="wait"))
    getattr(engine._stages, worker).process = explode
    channel = engine.subscribe(4_096, Policy.DROP_OLDEST)
    engine.start()
    collect(channel)
    with pytest.raises(ZeroDivisionError):
        engine.wait(10)
    with pytest.raises(ZeroDivisionError):
        engine.close()
    # A bug leaves its stack in the log.
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "explode" in caplog.text
    assert record.name == "realtime_ser.engine.engine"


@pytest.mark.parametrize("live", [True, False])
def test_stopping_in_mid_utterance_commits_it(loaded: Models, speech: np.ndarray, live: bool) -> None:
    source = ScriptedSource(blocks(speech[:40_000], [800] * 50), live=live, then="wait")
    engine = build_engine(with_recognizer(loaded), source)
    channel = engine.subscribe(4_096, Policy.KEEP_ALL)
    engine.start()
    assert source.delivered.wait(20)
    engine.close()
    outputs = collect(channel)
    (verdict,) = [o for o in outputs if isinstance(o, Verdict)]
    assert verdict.estimate.transcript is not None
    assert verdict.estimate.transcript.final
    assert source.closings
    assert engine.phase is Phase.FINISHED


def test_a_recogniser_that_stalls_costs_words_but_neither_windows_nor_the_verdict(loaded: Models, speech: np.ndarray) -> None:
    gate = threading.Event()
    source = ScriptedSource(blocks(np.tile(speech, 2), [1_600] * 100), live=True, then="wait")
    engine = build_engine(with_recognizer(loaded, gate=gate), source)
    channel = engine.subscribe(8_192, Policy.KEEP_ALL)
    engine.start()
    assert source.delivered.wait(20)
    engine.stop()
    first = []
    # The verdict on the first utterance, whose words never come, is committed when its patience is over: within the stream.
    while not any(isinstance(o, Verdict) for o in first):
        output = channel.get(20)
        assert output is not None
        first.append(output)
    gate.set()
    engine.close()
    outputs = first + collect(channel)
    assert sum(len(o.scores) for o in outputs if isinstance(o, WindowScores)) == (2 * len(speech) - 4_000) // 160 + 1
    assert len([o for o in outputs if isinstance(o, Verdict)]) >= 2


def test_a_subscriber_that_stops_receiving_holds_nothing_up_once_it_abandons(loaded: Models, speech: np.ndarray) -> None:
    engine = build_engine(with_recognizer(loaded), ScriptedSource(blocks(speech, [800] * 100)))
    channel = engine.subscribe(2, Policy.KEEP_ALL)
    engine.start()
    assert channel.get(10) is not None
    channel.abandon()
    assert engine.wait(30)
    engine.close()


def test_health_counts_and_latency_are_reported_for_live_sources(loaded: Models, speech: np.ndarray) -> None:
    engine = build_engine(with_recognizer(loaded), ScriptedSource(blocks(speech, [800] * 100), live=True))
    channel = engine.subscribe(8_192, Policy.KEEP_ALL)
    with engine:
        outputs = collect(channel)
    health = [o for o in outputs if isinstance(o, Health)]
    assert len(health) >= len(speech) // 16_000
    assert health[-1].windows_computed == sum(len(o.scores) for o in outputs if isinstance(o, WindowScores))
    assert 0 < health[-1].latency_p50 <= health[-1].latency_p95 < 10
    assert health[-1].real_time_factor > 0
    taken = [o for o in outputs if isinstance(o, WindowScores) and o.arrived_at is not None]
    assert len(taken) > 0.9 * sum(isinstance(o, WindowScores) for o in outputs)  # all but those of the end
    for windows in taken:
        assert windows.captured_at is not None
        assert windows.computed_at is not None
        assert windows.captured_at <= windows.arrived_at < windows.computed_at
        assert windows.part(0, 1).computed_at == windows.computed_at


def test_an_engine_runs_once(loaded: Models, speech: np.ndarray) -> None:
    engine = Engine(ScriptedSource(blocks(speech[:1_600], [800])), build_engine(loaded, ScriptedSource([]))._stages)
    with engine:
        assert engine.wait(10)
    with pytest.raises(ValueError, match="runs once"):
        engine.start()
    with pytest.raises(ValueError, match="before the engine is started"):
        engine.subscribe(1, Policy.KEEP_ALL)


def test_an_engine_that_was_never_started_closes(loaded: Models) -> None:
    engine = build_engine(loaded, ScriptedSource([]))
    engine.close()
    assert engine.phase is Phase.FINISHED


def test_without_a_recogniser_there_are_verdicts_and_no_transcripts(loaded: Models, speech: np.ndarray) -> None:
    engine = build_engine(loaded, ScriptedSource(blocks(speech, [800] * 100)))
    channel = engine.subscribe(64, Policy.KEEP_ALL)
    with engine:
        outputs = collect(channel)
    assert [o for o in outputs if isinstance(o, Verdict)]
    assert not [o for o in outputs if isinstance(o, Transcript)]


def test_stopping_does_not_wait_for_a_recogniser_that_is_far_behind(loaded: Models, speech: np.ndarray) -> None:
    gate = threading.Event()
    source = ScriptedSource(blocks(speech, [1_600] * 100), live=True, then="wait")
    record: list[HeardUtterance] = []
    choice = RecognizerChoice(lambda: ScriptedRecognizer(record, gate=gate), ScriptedRecognizer.label, "scripted")
    engine = build_engine(Models(loaded.bundle, loaded.acoustic, loaded.text, loaded.fusion, choice), source)
    channel = engine.subscribe(8_192, Policy.KEEP_ALL)
    engine.start()
    assert source.delivered.wait(20)  # all of it is queued, while the recogniser stands still
    engine.stop()
    gate.set()
    assert engine.wait(20)
    assert [o for o in collect(channel) if isinstance(o, Verdict)]
    heard = sum(len(samples) for utterance in record for samples in utterance.samples)
    assert heard < len(speech) // 2
