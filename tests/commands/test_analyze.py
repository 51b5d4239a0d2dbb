"""`analyze` on many files: the same table whoever scores them, nothing done twice, and one bad file harms no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from realtime_ser.acoustic import execution
from realtime_ser.cli import main
from realtime_ser.commands import analyze, corpus
from realtime_ser.commands.corpus import Job, Outcome, Recording, find_recordings


@pytest.fixture(autouse=True)
def bundle(random_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(random_bundle))
    yield random_bundle
    corpus._recognizer.cache_clear()


@pytest.fixture
def recordings(tmp_path: Path, demonstration: np.ndarray) -> Path:
    """A folder with three utterances, one of them in a folder below, and a file that is no sound."""
    folder = tmp_path / "corpus"
    (folder / "below").mkdir(parents=True)
    for name, first in (("a.wav", 12_000), ("b.flac", 95_000), ("below/c.wav", 170_000)):
        soundfile.write(folder / name, demonstration[first : first + 75_000], 16_000)
    (folder / "bad.wav").write_bytes(b"this is no sound")
    (folder / "readme.txt").write_text("nor is this")
    return folder


def run(recordings: Path, out: Path, *options: str) -> int:
    return main(["analyze", str(recordings), "--out", str(out), "--recognizer", "none", *options])


def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes which files are read from now on."""
    names: list[str] = []
    real = corpus._rows

    def rows(model: object, job: Job, recording: Recording, heard: object) -> Iterator[dict]:
        names.append(Path(recording.name).name)
        return real(model, job, recording, heard)

    monkeypatch.setattr(corpus, "_rows", rows)
    return names


def test_a_folder_stands_for_its_sound_files_in_order(recordings: Path) -> None:
    given = [str(recordings / "below"), str(recordings), "missing.wav"]
    names = [Path(recording.name).name for recording in find_recordings(given)]
    assert names == ["c.wav", "a.wav", "b.flac", "bad.wav", "c.wav", "missing.wav"]


def test_bad_files_are_listed_at_the_end_and_the_rest_is_done(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recordings, tmp_path / "table.csv") == 4
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(dict.fromkeys(Path(file).name for file in table["file"])) == ["a.wav", "b.flac", "c.wav"]
    errors = capsys.readouterr().err.splitlines()
    assert "bad.wav" in errors[0]
    assert errors[-1] == "Left out: 1 of 4 files."
    assert not (tmp_path / "table.csv.part").exists()


@pytest.mark.parametrize("options", [(), ("--windows",)])
def test_processes_write_the_same_table_as_one(recordings: Path, tmp_path: Path, options: Sequence[str]) -> None:
    (recordings / "bad.wav").unlink()
    assert run(recordings, tmp_path / "one.csv", *options) == 0
    assert run(recordings, tmp_path / "two.csv", "--jobs", "2", *options) == 0
    assert len(pd.read_csv(tmp_path / "one.csv")) >= 3
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_workers_use_the_bundle_that_is_meant_here(
    recordings: Path, tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # joblib keeps its processes, and these have started with another environment.
    get_reusable_executor(max_workers=2).shutdown(wait=True)
    monkeypatch.delenv("REALTIME_SER_BUNDLE")
    assert Parallel(n_jobs=2)(delayed(os.environ.get)("REALTIME_SER_BUNDLE") for _ in range(2)) == [None, None]
    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(bundle))
    test_processes_write_the_same_table_as_one(recordings, tmp_path, ("--windows",))


def test_a_worker_with_another_bundle_adds_nothing(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As on a cluster one of whose machines has another version of the program: its default bundle is not the one meant.
    monkeypatch.setattr(analyze, "_place_of", lambda _: None)
    assert run(recordings, tmp_path / "table.csv") == 5
    error = capsys.readouterr().err
    assert "has another bundle" in error
    assert "Install the same version everywhere." in error
    assert not (tmp_path / "table.csv").exists()


def test_the_order_in_which_files_are_done_does_not_matter(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(recordings, tmp_path / "forwards.csv") == 4
    real = corpus.score_all

    def backwards(job: Job, given: Sequence[Recording], **options: object) -> Iterator[Outcome]:
        return real(job, given[::-1], **options)

    monkeypatch.setattr(analyze, "score_all", backwards)
    assert run(recordings, tmp_path / "backwards.csv") == 4
    assert (tmp_path / "forwards.csv").read_bytes() == (tmp_path / "backwards.csv").read_bytes()


def test_an_interrupted_run_goes_on(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recordings, tmp_path / "whole.csv") == 4
    names = scored(monkeypatch)
    real = corpus.score

    def score(job: Job, recording: Recording, heard: object = None) -> Outcome:
        if len(names) == 2:
            raise KeyboardInterrupt
        return real(job, recording, heard)

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "score", score)
        assert run(recordings, tmp_path / "table.csv") == 130
    assert "goes on where this one stopped" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
    assert names == ["a.wav", "b.flac"]
    assert run(recordings, tmp_path / "table.csv") == 4
    assert names == ["a.wav", "b.flac", "bad.wav", "c.wav"]
    assert (tmp_path / "table.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "table.csv.part").exists()


@pytest.mark.parametrize("change", ["options", "file"])
def test_what_has_changed_is_scored_again(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demonstration: np.ndarray, change: str
) -> None:
    (recordings / "bad.wav").unlink()
    out = tmp_path / "table.csv"
    with monkeypatch.context() as patch:
        # Everything is done, but the table is not written yet.
        patch.setattr(analyze, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(recordings, out) == 130
    names = scored(monkeypatch)
    if change == "file":
        soundfile.write(recordings / "b.flac", demonstration[12_000:80_000], 16_000)
        assert run(recordings, out) == 0
        assert names == ["b.flac"]
    else:
        assert run(recordings, out, "--segmentation", "whole") == 0
        assert names == ["a.wav", "b.flac", "c.wav"]


def test_an_automatic_choice_holds_until_the_table_is_complete(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests on a measurement, which may come out differently when the run goes on."""
    monkeypatch.setenv("REALTIME_SER_BUNDLE", "default-bundle")
    options = ("--provider", "cpu", "--weights", "auto")
    with monkeypatch.context() as patch:
        patch.setattr(execution, "_gain", lambda *_: 2.0)
        patch.setattr(analyze, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(recordings, tmp_path / "table.csv", *options) == 130
    monkeypatch.setattr(execution, "_gain", lambda *_: 1.0)
    names = scored(monkeypatch)
    assert run(recordings, tmp_path / "table.csv", *options) == 4
    assert names == ["bad.wav"]
    assert run(recordings, tmp_path / "integers.csv", "--provider", "cpu", "--weights", "int8") == 4
    assert (tmp_path / "table.csv").read_bytes() == (tmp_path / "integers.csv").read_bytes()
    assert run(recordings, tmp_path / "floats.csv", *options) == 4
    assert (tmp_path / "table.csv").read_bytes() != (tmp_path / "floats.csv").read_bytes()


def test_what_concerns_all_files_ends_the_run(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(corpus, "score", lambda job, recording, heard: Outcome(recording, "It is lost.", "Find it.", 6))
    assert run(recordings, tmp_path / "table.csv") == 6
    assert "It is lost.\nFind it." in capsys.readouterr().err
    assert (tmp_path / "table.csv.part").is_dir()


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--jobs", "0"), "--jobs must be at least 1"), (("--cluster", "tcp://127.0.0.1:1"), "Dask is needed")],
)
def test_wrong_options_are_told(
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: Sequence[str],
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    assert run(recordings, tmp_path / "table.csv", *options) == 2
    assert message in capsys.readouterr().err


def test_a_cluster_needs_a_place_for_its_results(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(recordings), "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_folder_without_sound_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(tmp_path), "--recognizer", "none"]) == 4
    assert "is a folder, not a sound file" in capsys.readouterr().err


def test_a_cluster_writes_the_same_table(recordings: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="Dask is an extra: install 'realtime-ser[cluster]'")
    assert run(recordings, tmp_path / "here.csv") == 4
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        assert run(recordings, tmp_path / "there.csv", "--cluster", cluster.scheduler_address) == 4
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
