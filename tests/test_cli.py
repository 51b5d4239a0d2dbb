"""The program as its users call it: a process of its own, real files, real exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

TIMES = ("start", "end")
REPOSITORY = Path(__file__).resolve().parent.parent


def program(
    *arguments: str, env: dict[str, str] | None = None, code: str | None = None, bundle: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(env or {})}
    if bundle is not None:
        environment["REALTIME_SER_BUNDLE"] = str(bundle)
    command = [sys.executable, "-m", "realtime_ser"] if code is None else [sys.executable, "-c", code]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=110, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def utterances(demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two utterances, at another rate and with two channels."""
    path = tmp_path_factory.mktemp("audio") / "two utterances.wav"
    samples = demonstration[12_000:170_000]
    soundfile.write(path, np.stack([samples, samples], axis=1), 16_000, subtype="FLOAT")
    return path


def records(result: subprocess.CompletedProcess[str]) -> list[dict]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def table(path: Path) -> pd.DataFrame:
    return {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}[path.suffix](
        path
    )


def test_json_lines_carry_every_kind_of_record_with_scores_that_sum_to_one(utterances: Path, random_bundle: Path) -> None:
    result = program(
        "listen", "--input", str(utterances), "--pace", "fast", "--json", "--recognizer", "pocketsphinx", bundle=random_bundle
    )
    found = records(result)
    assert {record["type"] for record in found} == {"window", "transcript", "estimate", "utterance", "health"}
    for record in found:
        assert record["start"] <= record["end"]
        if "scores" in record:
            assert list(record["scores"]) == ["anger", "happiness", "neutral", "sadness"]
            assert sum(record["scores"].values()) == pytest.approx(1.0, abs=1e-5)
    assert [record["start"] for record in found if record["type"] == "window"][:2] == [0.0, 0.01]
    assert all(record["transcript"] for record in found if record["type"] == "utterance")


def test_listening_and_analysing_give_the_same_scores(utterances: Path, random_bundle: Path, tmp_path: Path) -> None:
    common = ("--recognizer", "pocketsphinx")
    listened = records(program("listen", "--input", str(utterances), "--pace", "fast", "--json", *common, bundle=random_bundle))
    for options, kind, name in (((), "utterance", "verdicts.csv"), (("--windows",), "window", "windows.parquet")):
        out = tmp_path / name
        result = program("analyze", str(utterances), "--out", str(out), *options, *common, bundle=random_bundle)
        assert result.returncode == 0, result.stderr
        analysed = table(out)
        live = [record for record in listened if record["type"] == kind]
        assert len(live) == len(analysed) > 0
        for record, (_, row) in zip(live, analysed.iterrows(), strict=True):
            for time in TIMES:
                assert record[time] == pytest.approx(row[time])
            for label, score in record["scores"].items():
                assert score == pytest.approx(row[label], abs=1e-5)
    assert list(table(tmp_path / "verdicts.csv")["transcript"]) == [
        record["transcript"] for record in listened if record["type"] == "utterance"
    ]


def test_every_table_format_holds_the_same(utterances: Path, random_bundle: Path, tmp_path: Path) -> None:
    tables = []
    for suffix in (".csv", ".parquet", ".jsonl"):
        out = tmp_path / f"table{suffix}"
        program("analyze", str(utterances), "--out", str(out), "--recognizer", "none", bundle=random_bundle)
        tables.append(table(out)[["file", "start", "end", "anger", "happiness", "neutral", "sadness", "state"]])
        assert not out.with_name(out.name + ".part").exists()
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other, check_dtype=False)


def test_a_bad_file_is_named_and_the_others_are_done(utterances: Path, random_bundle: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    out = tmp_path / "table.csv"
    result = program(
        "analyze", str(empty), "missing.wav", str(utterances), "--out", str(out), "--recognizer", "none", bundle=random_bundle
    )
    assert result.returncode == 4
    assert "empty.wav" in result.stderr
    assert "missing.wav" in result.stderr
    assert "Traceback" not in result.stderr
    assert set(table(out)["file"]) == {str(utterances)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to play a full disk with")
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_full_disk_is_told_and_what_was_written_stays(
    utterances: Path, random_bundle: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"table{suffix}"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from realtime_ser.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    result = program("analyze", str(utterances), "--windows", "--out", str(out), code=code, bundle=random_bundle)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr
    assert "Make room" in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()
    assert out.with_name(out.name + ".part").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_behind_standard_output_is_told(utterances: Path, random_bundle: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "realtime_ser", "analyze", str(utterances), "--recognizer", "none"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            env={**os.environ, "REALTIME_SER_BUNDLE": str(random_bundle)},
        )  # fmt: skip
    assert result.returncode == 1
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("listen", "--input", "no such file.wav"), 4, "no such file.wav"),
        (("listen", "--input", "README.md"), 4, "README.md"),
        (("listen", "--input", ""), 2, "input is empty"),
        (("listen", "--input", "demo", "--recognizer", "no-such-model"), 6, "no-such-model"),
        (("listen", "--input", "demo", "--bundle", "no-such-bundle"), 5, "no-such-bundle"),
        (("analyze", "x.wav", "--out", "scores.doc"), 2, ".parquet"),
        (("analyze", "x.wav", "--out", "no/such/folder/scores.csv"), 2, "folder"),
        (("models", "info", "no-such-bundle"), 5, "no-such-bundle"),
        (("models", "info", "--provider", "abacus"), 2, "cpu, cuda, coreml, directml"),
        (("listen", "--input", "demo", "--weights", "int3"), 2, "float32, int8, auto"),
    ],
)
def test_mistakes_are_answered_in_words_with_a_code_of_their_own(
    arguments: Sequence[str], code: int, message: str, random_bundle: Path
) -> None:
    result = program(*arguments, bundle=random_bundle)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_tampered_bundle_is_refused(random_bundle: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(random_bundle, tmp_path / "copy"))
    data = (copy / "head.onnx").read_bytes()
    (copy / "head.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    result = program("listen", "--input", "demo", bundle=copy)
    assert result.returncode == 5
    assert "head.onnx" in result.stderr
    assert "altered or damaged" in result.stderr


def test_without_portaudio_the_message_says_how_to_get_it(random_bundle: Path) -> None:
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None\n"
        "from realtime_ser.cli import main; sys.exit(main(['listen', '--input', 'microphone']))"
    )
    result = program(code=code, bundle=random_bundle)
    assert result.returncode == 3
    assert "PortAudio" in result.stderr
    assert "install" in result.stderr.lower()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_the_window_says_so(random_bundle: Path) -> None:
    bare = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    result = program("gui", env=bare, bundle=random_bundle)
    assert result.returncode == 7
    assert "display" in result.stderr


def test_without_display_and_torch_the_bare_command_plays_the_demonstration(
    random_bundle: Path, demonstration: np.ndarray, tmp_path: Path
) -> None:
    """The promise of `make run` on the barest machine; training's libraries are not even importable."""
    script = json.loads((REPOSITORY / "assets" / "demonstration.json").read_text())
    third, fourth = script["utterances"][2:4]
    between = (third["end_sample"] + fourth["first_sample"]) // 2
    soundfile.write(tmp_path / "beginning.flac", demonstration[:between], 16_000)
    code = (
        "import pathlib, sys\n"
        "for name in ('torch', 'onnx', 'sklearn', 'scipy', 'training'): sys.modules[name] = None\n"
        "import realtime_ser.inputs as inputs, realtime_ser.commands.listen as listen\n"
        # Its beginning, at full speed: a minute of synthetic speech proves no more than what it says.
        f"inputs.asset_path = lambda name: pathlib.Path({str(tmp_path / 'beginning.flac')!r})\n"
        "real = inputs.open_input; listen.open_input = lambda choice, pace, wait: real(choice, 'fast', wait)\n"
        "from realtime_ser.cli import main; sys.exit(main([]))"
    )
    bare = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    result = program(code=code, env=bare, bundle=random_bundle)
    assert result.returncode == 0, result.stderr
    assert "no display" in result.stdout
    assert "demonstration audio" in result.stdout
    assert "3 utterances" in result.stdout


@pytest.mark.parametrize("stage", ["signal.SignalStage", "words.WordsStage", "judgement.JudgementStage"])
def test_a_bug_in_a_worker_is_told_in_words_and_its_stack_is_in_the_log(
    stage: str, random_bundle: Path, utterances: Path, tmp_path: Path
) -> None:
    module, name = stage.split(".")
    code = (
        f"import sys; from realtime_ser.engine import {module}\n"
        "def broken(*_): raise ZeroDivisionError('a bug')\n"
        f"{module}.{name}.process = broken\n"
        "from realtime_ser.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    log = tmp_path / "log"
    result = program(
        "listen", "--input", str(utterances), "--pace", "fast", "--recognizer", "pocketsphinx", "--log", str(log),
        code=code, bundle=random_bundle,
    )  # fmt: skip
    assert result.returncode == 8, result.stderr
    assert "internal error: ZeroDivisionError: a bug. Please report it" in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
    assert "Heard" in result.stdout
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "in broken" in text
    assert "failed after" in text


def test_a_log_that_cannot_be_written_is_refused_where_it_was_asked_for(random_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = str(tmp_path / "file" / "log")
    asked = program("listen", "--input", "demo", "--log", wanted, bundle=random_bundle)
    assert asked.returncode == 2, asked.stderr
    assert "cannot be written" in asked.stderr
    usual = program("listen", "--input", "no such file.wav", env={"REALTIME_SER_LOG": wanted}, bundle=random_bundle)
    assert usual.returncode == 4, "a log that nobody asked for stops nothing"
    assert "Traceback" not in asked.stderr + usual.stderr


def test_the_log_holds_what_happened_and_neither_words_nor_scores(
    random_bundle: Path, utterances: Path, tmp_path: Path
) -> None:
    log = tmp_path / "folder" / "log"
    common = ("--pace", "fast", "--json", "--recognizer", "pocketsphinx")
    found = records(program("listen", "--input", str(utterances), *common, "--log", str(log), bundle=random_bundle))
    text = log.read_text(encoding="utf-8")
    assert f"listening to {utterances}" in text
    assert "windows, 0 skipped" in text
    assert "finished after 9.9 s" in text
    texts = [record["transcript"] for record in found if record["type"] == "utterance"]
    assert all(texts)
    words = {word for said in texts for word in said.split() if len(word) > 4}  # short ones are the log's own too
    assert words
    assert not words & set(re.findall(r"[a-z']+", text.lower()))
    assert not re.search("anger|happiness|neutral|sadness", text)


@pytest.mark.parametrize("wait", ["-1", "nan", "soon"])
def test_a_wait_that_cannot_be_is_refused(wait: str) -> None:
    result = program("listen", "--wait", wait)
    assert result.returncode == 2
    assert "--wait" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to another process")
def test_interrupting_commits_what_was_heard(random_bundle: Path, utterances: Path) -> None:
    command = [sys.executable, "-m", "realtime_ser", "listen", "--input", str(utterances), "--json", "--recognizer", "none"]
    environment = {**os.environ, "REALTIME_SER_BUNDLE": str(random_bundle)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(150)]  # a second and a half of windows
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()  # communicate() would leave out what was read ahead with the lines before
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 0, errors
    found = [json.loads(line) for line in [*lines, *rest.splitlines()] if line.strip()]
    assert found[-1]["type"] in ("utterance", "health")
    assert [record["reason"] for record in found if record["type"] == "utterance"] == ["stream end"]


def test_help_answers_at_once_and_names_every_command() -> None:
    result = program("--help")
    assert result.returncode == 0
    for command in ("gui", "listen", "analyze", "devices", "models", "selftest"):
        assert command in result.stdout
        assert program(command, "--help").returncode == 0
    assert "Art. 5(1)(f)" in result.stdout


def test_the_models_are_listed_with_what_can_be_fetched(random_bundle: Path) -> None:
    result = program("models", "list", bundle=random_bundle)
    assert result.returncode == 0
    assert "default-bundle" in result.stdout
    assert "vosk-model-small-en-us-0.15" in result.stdout


def test_selftest_passes_and_would_notice_a_difference(random_bundle: Path, demonstration: np.ndarray) -> None:
    result = program("selftest", "--recognizer", "none", bundle=random_bundle)
    assert result.returncode == 0, result.stdout
    count = (len(demonstration) - 4_000) // 160 + 1
    assert f"The engine with its threads and the analysis agree in {count} windows" in result.stdout
    assert f"A microphone that hears the same and the analysis agree in {count} windows" in result.stdout
    broken = (
        "import sys, realtime_ser.acoustic.stream as stream, numpy as np\n"
        "import realtime_ser.commands.selftest as selftest\n"
        "real = selftest.evaluate_window\n"
        "selftest.evaluate_window = lambda *a: (real(*a)[0], real(*a)[1] + np.float32(1e-3))\n"
        "from realtime_ser.cli import main; sys.exit(main(['selftest', '--recognizer', 'none']))"
    )
    result = program(code=broken, bundle=random_bundle)
    assert result.returncode == 1
    assert "FAILED" in result.stdout


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        # A sample of every callback is lost: at once, in the windows behind the first callback's end.
        (
            "capture.Capture._on_audio = lambda s, f, n, t, g: real(s, f[1:], n - 1, t, g)",
            r"first in window \d+ at \d+\.\d\d s",
        ),
        # The end is cut off.
        ("microphone.Intake.finish = lambda s, lost_after=0: []; sources.Intake.push = cut", "the first .* agree"),
    ],
)
def test_selftest_names_the_first_difference_of_a_broken_microphone_path(fault: str, told: str, random_bundle: Path) -> None:
    code = (
        "import sys\n"
        "from realtime_ser.audio import capture, intake, microphone, sources\n"
        "real = capture.Capture._on_audio\n"
        "pushed = intake.Intake.push\n"
        "def cut(self, frames, lost_before=None):\n"
        "    return pushed(self, frames[:max(0, 900_000 - self.frames)], lost_before) if self._channels == 2 else "
        "pushed(self, frames, lost_before)\n"
        f"{fault}\n"
        # What is compared window by window takes longest, and has nothing to do with a microphone.
        "from realtime_ser.commands import selftest\n"
        "selftest._same_as_single_windows = lambda models, batch: selftest.Check(None, 'left out')\n"
        "from realtime_ser.cli import main; sys.exit(main(['selftest', '--recognizer', 'none']))"
    )
    result = program(code=code, bundle=random_bundle)
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert "A microphone that hears the same" in line
    assert re.search(told, line), line
