"""The soak watches the real window through a real sound server, and notices what is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from virtual_microphone import _missing

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.cli import main
from realtime_ser.commands.bench import soak
from realtime_ser.commands.bench.pulseaudio import PIPE_RATE, PipeMicrophone, announced
from realtime_ser.commands.bench.report import machine
from realtime_ser.errors import ConfigError
from realtime_ser.types import Block, Span

_CODE = """
import json, sys
from realtime_ser.commands.bench import dashboard, soak
dashboard._SETTLED_SECONDS, soak._MINUTE = 0.5, 3.0
rows, minutes, facts = soak.soak_rows(sys.argv[1], "none", 3, [sys.argv[2]])
print(json.dumps([soak.soak_json(rows, minutes, facts), soak.soak_report(rows, minutes, facts)]))
"""


def test_the_real_window_is_watched_minute_by_minute(random_bundle: Path, demonstration: np.ndarray, tmp_path: Path) -> None:
    if reason := _missing():
        pytest.skip(reason)
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, demonstration[16_000:24_000], 16_000)
    command = [sys.executable, "-c", _CODE, str(random_bundle), str(speech)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    result, report = json.loads(done.stdout.splitlines()[-1])
    rows = {row["measure"]: row for row in result["rows"]}
    assert [minute["minute"] for minute in result["each minute"]] == [1, 2, 3]
    assert result["rounds"] >= 1
    assert rows["samples missing between blocks"]["aim"] == "≤ 0"
    assert rows["windows skipped"]["note"] != "of 0"
    assert rows["newest sample to painted frame, median"]["value"] > 0
    assert 50 < rows["memory"]["value"] < 2_000
    assert "| samples lost, by the clicks |" in report
    assert "| 1 |" in report


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[soak._Clicks, np.ndarray, list[Block]]]:
    """A microphone that gives blocks that are put into a list."""
    sound = announced(0.1 * np.ones(8_000, np.float32), repeats=1)
    blocks: list[Block] = []
    monkeypatch.setattr(MicrophoneSource, "read", lambda self, timeout: blocks.pop(0) if blocks else None)
    pipe = PipeMicrophone(sound)
    yield soak._Clicks(pipe), np.tile(sound[:: PIPE_RATE // 16_000] / 32_768, 5).astype(np.float32), blocks
    pipe.close()


def heard(microphone: soak._Clicks, samples: np.ndarray, blocks: list[Block], gap: int = 0) -> list[int]:
    """Hear `samples` in blocks of 30 ms, after the third of which the source says that `gap` samples are missing."""
    position = 0
    for number, first in enumerate(range(0, len(samples) - 480, 480)):
        position += gap if number == 3 else 0
        piece = samples[first : first + 480]
        blocks.append(Block(Span(position, position + len(piece)), piece, 0.0))
        position += len(piece)
        microphone.read(0.1)
    return microphone.moved(len(samples) // 5)


def test_nothing_lost_moves_no_click(microphone: tuple[soak._Clicks, np.ndarray, list[Block]]) -> None:
    clicks, samples, blocks = microphone
    assert heard(clicks, samples, blocks) == [0, 0, 0, 0]
    assert clicks.missing == 0


def test_a_sample_lost_or_doubled_moves_one(microphone: tuple[soak._Clicks, np.ndarray, list[Block]]) -> None:
    clicks, samples, blocks = microphone
    length = len(samples) // 5
    lost = np.delete(samples, range(length + 20_000, length + 20_007))
    doubled = np.insert(lost, 3 * length, lost[3 * length - 3 : 3 * length])
    assert heard(clicks, np.pad(doubled, (0, 4)), blocks)[:3] == [0, -7, 3]


def test_gaps_that_the_source_tells_are_counted(microphone: tuple[soak._Clicks, np.ndarray, list[Block]]) -> None:
    clicks, samples, blocks = microphone
    heard(clicks, samples, blocks, gap=160)
    assert clicks.missing == 160


def minute(number: int, memory: float, p99: float) -> soak.Minute:
    return soak.Minute(number, 33.0, 40.0, 60.0, p99, 20.0, 0, memory, 0.5, 0.0, 6_000 * number, 0, 0, 0, 3, 20, memory - 100.0)


def test_growth_and_slowing_down_are_told(microphone: tuple[soak._Clicks, np.ndarray, list[Block]]) -> None:
    clicks, _, _ = microphone
    steady = soak._rows([minute(n + 1, 300.0, 80.0) for n in range(60)], clicks, [0, 1, -1], 0)
    worse = soak._rows([minute(n + 1, 300.0 + n, 80.0 + n) for n in range(60)], clicks, [0, -3], 2)
    table = {row.measure: row for row in worse}
    assert all(row.reached is not False for row in steady)
    assert table["memory's slope"].value == pytest.approx(60.0)
    assert table["event loop held up, longest"].aim == "≤ 50 ms"
    missed = {row.measure for row in worse if row.reached is False}
    assert missed == {
        "samples lost, by the clicks",
        "10 ms that the sound server refused",
        "memory's slope",
        "the last over the first",
    }
    facts = {"minutes": 60, "machine": machine(), "started": "now", "speech": "s", "recognizer": "none", "window": "w"}
    assert "# An hour of listening" in soak.soak_report(worse, [minute(1, 1.0, 1.0)], facts)


def test_a_soak_of_no_length_or_without_a_place_for_its_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--soak", "0.5"]) == ConfigError.exit_code
    assert "a minute at least" in capsys.readouterr().err
    assert main(["bench", "--soak", "2", "--report", str(tmp_path / "no" / "soak.md")]) == ConfigError.exit_code
    assert "no folder" in capsys.readouterr().err
