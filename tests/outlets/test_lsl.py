"""Lab Streaming Layer with a second process at the other end."""

from __future__ import annotations

import json
import queue
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from outlet_parts import CLASSES, FACTS, other_process, windows

from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.errors import ConfigError
from realtime_ser.outlets import lsl
from realtime_ser.outlets.feed import Feed, Mark
from realtime_ser.types import EndReason, Estimate, EstimateState, Output, Span, Verdict

RECEIVER = """
import sys, time, pylsl
inlets = {}
for kind in ("windows", "utterances", "markers"):
    found = pylsl.resolve_byprop("name", f"Realtime SER {kind}", 1, 30)
    inlets[kind] = pylsl.StreamInlet(found[0])
    inlets[kind].open_stream(10)
info = inlets["windows"].info(10)
print(info.nominal_srate(), info.desc().child("bundle").child_value("manifest_sha256"), flush=True)
channel, labels = info.desc().child("channels").child("channel"), []
while not channel.empty():
    labels.append(channel.child_value("label")); channel = channel.next_sibling()
print(*labels, flush=True)
offset = pylsl.local_clock() - time.perf_counter()
sample = [0.0]
while sample[0] < 0.5:
    sample, stamp = inlets["windows"].pull_sample(30)
print(repr(stamp + inlets["windows"].time_correction(10) - offset), flush=True)
for kind in ("utterances", "markers"):
    sample, stamp = inlets[kind].pull_sample(30)
    print(sample[0], flush=True)
    print(repr(stamp + inlets[kind].time_correction(10) - offset), flush=True)
"""

SENDER = """
import sys, time, pylsl
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(sys.argv[1], "Markers", 1, 0, pylsl.cf_string, sys.argv[1]))
print("there", flush=True)
sys.stdin.readline()
at = time.perf_counter()
outlet.push_sample(["stimulus"], pylsl.local_clock())
print(repr(at), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """pylsl, which speaks to this machine alone."""
    settings = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n")
    monkeypatch.setenv("LSLAPICFG", str(settings))
    pytest.importorskip("pylsl", reason="pylsl is not installed: install the 'dev' extra", exc_type=ImportError)
    found = lsl.load_lsl()
    assert isinstance(found, ModuleType)
    return found


def verdict(first: int, end: int, captured_at: float) -> Verdict:
    scores = windows(0, [0.7], None).scores[0]
    estimate = Estimate(
        0, Span(first, end), EstimateState.CONFIDENT, scores, scores, None, 1.0, 0.0, 1.0, "anger", 0.7, captured_at=captured_at
    )
    return Verdict(estimate, EndReason.SILENCE)


def test_stamps_are_capture_times_in_another_process(library: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    outputs: Channel[Output] = Channel("outputs", 256, Policy.DROP_OLDEST)
    feed = Feed([lsl.LslOutlet(FACTS)])
    feed.start(outputs)
    with other_process(RECEIVER) as receiver:
        rate, fingerprint = receiver.line().split()
        assert (float(rate), fingerprint) == (100.0, FACTS.fingerprint)
        assert receiver.line().split() == [*CLASSES, "voiced"]
        # Ten windows, of which the fourth hears the impulse: it was captured 60 ms before the last one's newest sample.
        newest = time.perf_counter() - 0.2
        outputs.put(windows(0, [0.1] * 3 + [0.9] * 7, newest))
        errors = {"window": float(receiver.line()) - (newest - 0.06)}
        end = 9 * 160 + 4000
        outputs.put(verdict(1_000, end - 1_600, newest))
        said = json.loads(receiver.line())
        assert (said["type"], said["label"], said["transcript"], said["captured"]) == ("utterance", "anger", "", True)
        errors["utterance"] = float(receiver.line()) - (newest - 0.1)
        marked = time.perf_counter() - 0.05
        feed.mark(Mark(4_000, "stimulus", "red", "key s"), marked)
        told = json.loads(receiver.line())
        assert (told["name"], told["start"], told["source"]) == ("stimulus", 0.25, "key s")
        errors["marker"] = float(receiver.line()) - marked
    outputs.close()
    assert feed.finish() == ["LSL: nothing was dropped."]
    with capsys.disabled():
        sys.stdout.write("\nLSL stamp errors: " + ", ".join(f"{k} {v * 1e6:+.0f} µs" for k, v in errors.items()) + "\n")
    assert all(abs(error) < 0.002 for error in errors.values()), errors


def test_markers_of_another_process_come_with_their_time(library: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"stimuli {uuid.uuid4().hex}"
    taken: queue.Queue[tuple[str, float]] = queue.Queue()
    told: queue.Queue[str] = queue.Queue()
    with other_process(SENDER, name) as sender:
        assert sender.line() == "there"
        with lsl.LslMarkers(name, lambda text, at: taken.put((text, at)), told.put):
            assert name in told.get(timeout=60)
            sender.say("go")
            sent = float(sender.line())
            text, at = taken.get(timeout=60)
            sender.say("end")
    with capsys.disabled():
        sys.stdout.write(f"\nLSL marker error: {(at - sent) * 1e6:+.0f} µs\n")
    assert text == "stimulus"
    assert abs(at - sent) < 0.005


def test_the_clock_is_measured_well_within_a_millisecond() -> None:
    clock = lsl.LslClock(lambda: time.perf_counter() + 1_234.5)
    assert abs(clock.offset - 1_234.5) < 1e-3
    assert clock.uncertainty < 1e-3


@pytest.mark.parametrize(
    ("module", "words"), [("raise ImportError('none')", "pip install"), ("raise RuntimeError('none')", "PYLSL_LIB")]
)
def test_a_missing_library_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, words: str
) -> None:
    (tmp_path / "pylsl.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pylsl", raising=False)
    with pytest.raises(ConfigError, match=words):
        lsl.LslOutlet(FACTS)


PEOPLE = """
import pylsl
for name in ("Anna", "Ben"):
    inlets = []
    for kind in ("windows", "utterances"):
        found = pylsl.resolve_byprop("name", f"Realtime SER {kind} {name}", 1, 30)
        inlets.append(pylsl.StreamInlet(found[0]))
        inlets[-1].open_stream(10)
    info = inlets[0].info(10)
    print(info.desc().child_value("person"), info.source_id(), flush=True)
    sample, _ = inlets[0].pull_sample(30)
    print(sample[0], flush=True)
    print(inlets[1].pull_sample(30)[0][0], flush=True)
"""


def test_two_people_have_streams_of_their_own(library: ModuleType) -> None:
    channels: list[Channel[Output]] = [Channel("outputs", 256, Policy.DROP_OLDEST) for _ in "AB"]
    feed = Feed([lsl.LslOutlet(replace(FACTS, people=("Anna", "Ben")))])
    feed.start(*channels)
    sources = []
    with other_process(PEOPLE) as receiver:
        for name, share, channel in zip(("Anna", "Ben"), (0.25, 0.75), channels, strict=True):
            person, source = receiver.line().split()
            assert person == name
            sources.append(source)
            now = time.perf_counter()
            channel.put(windows(0, [share], now))
            channel.put(verdict(1_000, 5_000, now))
            assert float(receiver.line()) == share
            assert json.loads(receiver.line())["person"] == name
    assert len(set(sources)) == 2
    feed.finish()
