"""What the bench counts, how it judges, and that every part measures something. How fast anything is, is no matter of tests."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.cli import main
from realtime_ser.commands import bench
from realtime_ser.commands.bench import files, measure, start
from realtime_ser.commands.bench.acoustic import acoustic_rows, network_multiply_adds
from realtime_ser.commands.bench.live import LiveRecording, live_rows
from realtime_ser.commands.bench.measure import Use, in_turn, one_thread, run
from realtime_ser.commands.bench.report import Row, Spread, machine
from realtime_ser.commands.bench.sincnet import multiply_adds, sincnet
from realtime_ser.errors import RealtimeSerError


def test_a_row_is_judged_by_its_median() -> None:
    reached = Row.of("p", "m", Spread.of([1.0, 2.0, 30.0]), "×", at_most=2.0)
    assert (reached.value, reached.aim, reached.reached) == (2.0, "≤ 2 ×", True)
    assert reached.verdict == "≤ 2 ×: reached"
    assert reached.shown == "2 × (1.5–16)"
    missed = Row.of("p", "m", 11.9, "×", at_least=12)
    assert (missed.reached, missed.shown, missed.verdict) == (False, "11.9 ×", "≥ 12 ×: not reached")
    unknown = Row.of("p", "m", None, "MB", at_most=400)
    assert (unknown.reached, unknown.shown, unknown.verdict) == (None, "not measured", "≤ 400 MB: not measured")
    assert Row.of("p", "m", 1234.4, "ms").shown == "1234 ms"
    assert Row.of("p", "m", 1.0, "ms").verdict == ""


def test_cases_take_turns_and_the_first_rounds_do_not_count() -> None:
    calls: list[str] = []
    seconds = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * (3 + measure.WARM_UP)
    assert {name: values.shape for name, values in seconds.items()} == {"a": (3,), "b": (3,)}


def test_a_program_is_measured_and_its_failure_is_told() -> None:
    used = run([sys.executable, "-c", "x = bytearray(60_000_000); print('done')"], one_thread())
    assert used.output.strip() == "done"
    if sys.platform != "win32":
        assert used.peak_megabytes is not None
        assert used.peak_megabytes > 60
    with pytest.raises(RealtimeSerError, match="no good"):
        run([sys.executable, "-c", "raise SystemExit('no good')"])


def test_the_reference_is_the_published_configuration() -> None:
    """80 filters of 251 taps give 80 × 3750 outputs of a window of 4000, a pool of 3 leaves 1250; and so on."""
    by_hand = 80 * 251 * 3750 + 60 * 80 * 5 * 1246 + 60 * 60 * 5 * 411 + 60 * 137 * 2048 + 2 * 2048 * 2048 + 2048 * 4
    assert multiply_adds(4000, 4) == by_hand
    onnx = pytest.importorskip("onnx")
    content = sincnet(4000, 4)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = create_session(content)
    (scores,) = session.run({"window": np.random.default_rng(0).standard_normal((1, 1, 4000)).astype(np.float32)}, ["scores"])
    assert scores.shape == (1, 4)
    assert scores.sum() == pytest.approx(1.0, abs=1e-5)


def test_multiply_adds_are_counted_from_the_shapes(random_bundle: Path) -> None:
    from bundle_factory import BANDS, FEATURE, HOP, KERNEL, STRIDE, WIDTH

    bundle = load_bundle(random_bundle)
    frames, receptive = bundle.manifest.frames_per_window, 5
    hop = BANDS * KERNEL * HOP // STRIDE + WIDTH * BANDS * receptive + frames * WIDTH * FEATURE + FEATURE * 4
    assert network_multiply_adds(bundle) == 100 * hop


def test_the_acoustic_part_measures_every_way(random_bundle: Path) -> None:
    rows = {row.measure: row for row in acoustic_rows(random_bundle, rounds=1)}
    # The random network's scores are so steep that integers do not keep them: it says so, and that is all.
    integers = rows.pop("int8 weights")
    assert (integers.value, integers.reached) == (None, None)
    assert "scores differ" in integers.note
    values = [row.value for row in rows.values()]
    assert all(value is not None and math.isfinite(value) and value > 0 for value in values)
    for block in ("10 ms", "30 ms", "50 ms", "100 ms"):
        assert rows[f"live, blocks of {block}"].unit == "ms/s"
    ratio = rows["files: same network window by window"]
    assert ratio.value == pytest.approx(rows["same network, window by window"].value / rows["files"].value)
    assert ratio.aim == "≥ 12 ×"
    assert rows["files: share of the matrix product's time"].aim == "≤ 1.2 ×"


def test_a_recording_passes_for_a_microphone(demonstration: np.ndarray) -> None:
    source = LiveRecording(demonstration[:4_800])
    assert source.live
    source.open()
    blocks = []
    while not source.exhausted:
        block = source.read(0.2)
        if block is not None:
            blocks.append(block)
    source.close()
    assert source.status().native_rate == 48_000
    assert all(block.captured_at is not None for block in blocks)
    heard = np.concatenate([block.samples for block in blocks])
    # What the resampler lets through of the stairs that the samples were made to: everything below the old limit, a little less
    # of its uppermost part.
    np.testing.assert_allclose(np.std(heard), np.std(demonstration[:4_800]), rtol=0.2)


def test_the_live_part_splits_the_engine(random_bundle: Path) -> None:
    rows = {row.measure: row for row in live_rows(random_bundle, "none", 5.5)}
    whole = rows["whole engine"].value
    parts = [row.value for name, row in rows.items() if name.startswith("of it: ")]
    assert whole is not None
    assert len(parts) >= 2
    # The clocks are read one after the other, while the engine works; nothing may be counted twice, though.
    assert sum(part for part in parts if part is not None) <= whole * 1.25
    assert rows["windows skipped"].value == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a child takes while it lives")
@pytest.mark.usefixtures("no_thread_left")
def test_the_live_part_counts_the_recognisers_process(random_bundle: Path, vosk_model_dir: Path) -> None:
    program = (
        "import json, resource, sys\n"
        "from realtime_ser.commands.bench.live import live_rows\n"
        "rows = {row.measure: (row.value, row.note) for row in live_rows(sys.argv[1], sys.argv[2], 5.5)}\n"
        "rows['own memory'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, ''\n"
        "print(json.dumps(rows))\n"
    )
    # In a process of its own, as the command does it: other children of this one would count, too.
    rows = json.loads(run([sys.executable, "-c", program, str(random_bundle), str(vosk_model_dir)]).output)
    whole, note = rows["whole engine"]
    assert "words by Vosk" in note
    assert 0 < rows["of it: recogniser's process"][0] < whole
    # The recogniser's process is a small one; what its parent held when it was started is not counted a second time.
    memory, note = rows["largest memory, recogniser included"]
    beside = int(note.split(" MB of it the recogniser's")[0])
    assert 10 < beside < 90
    assert memory == pytest.approx(rows["own memory"][0] + beside, abs=2)


def test_files_are_analysed_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[Sequence[str]] = []

    def fake(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Use:
        commands.append(command)
        Path(command[command.index("--out") + 1]).touch()
        lengths = [Path(name).stat().st_size for name in command if name.endswith(".wav")]
        return Use(seconds=0.5, processor_seconds=0.4, peak_megabytes=100.0, output=str(lengths))

    monkeypatch.setattr(files, "run", fake)
    rows = {row.measure: row for row in files.files_rows(None, long_minutes=2)}
    assert [command[-2:] == ["--jobs", "2"] for command in commands] == [False, False, True]
    assert rows["2 min, start included"].value == 240.0
    assert rows["memory of the long file over the short one's"].reached is True


def test_the_first_score_is_waited_for(random_bundle: Path) -> None:
    assert 0.25 < start._first_score(str(random_bundle), "none") < 60.0


def test_json_names_the_machine_and_every_aim(
    random_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row.of("acoustic", "files", 9.5, "ms/s"), Row.of("live", "whole engine", 12.0, "%", at_most=20)]
    monkeypatch.setattr(bench, "_in_a_process", lambda part, *_: [row for row in rows if row.part == part])
    assert main(["bench", "--quick", "--json", "--bundle", str(random_bundle)]) == 0
    written = json.loads(capsys.readouterr().out)
    assert [Row(**row) for row in written["rows"]] == rows
    assert set(written["machine"]) == set(machine())
    assert written["how"]["warm_up_rounds"] == measure.WARM_UP
    assert main(["bench", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "≤ 20 %: reached" in shown
    assert written["machine"]["date"] in shown
    assert "onnxruntime" in shown


def test_one_part_alone_is_measured_with_one_thread_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two, a matrix product would take half of this thread's time, and everything else twice as much beside it."""
    monkeypatch.setattr(bench, "_in_a_process", lambda part, *_: [Row.of(part, "there", 1.0, "ms/s")])
    monkeypatch.setattr(bench, "_measure", lambda part, *_: [Row.of(part, "here", 1.0, "ms/s")])
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert main(["bench", "--part", "acoustic"]) == 0
    assert "there" in capsys.readouterr().out
    for name, value in measure.one_thread().items():
        monkeypatch.setenv(name, value)
    assert main(["bench", "--part", "acoustic"]) == 0
    assert "here" in capsys.readouterr().out


def test_a_report_says_by_what_it_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row.of("live", "whole engine", 12.0, "%", at_most=20), Row.of("live", "words", None, "%", note="no recogniser")]
    monkeypatch.setattr(bench, "_in_a_process", lambda part, *_: [row for row in rows if row.part == part])
    page = tmp_path / "measured.md"
    assert main(["bench", "--quick", "--report", str(page)]) == 0
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith("Written by `realtime-ser bench --quick --report FILE`, 20")
    assert "| live | whole engine | 12 % | ≤ 20 %: reached |  |" in lines
    assert "|  | words | not measured |  | no recogniser |" in lines
    assert main(["bench", "--report", str(tmp_path / "nowhere" / "page.md")]) == 2
    assert "There is no folder" in capsys.readouterr().err
