"""Every format, opened again by readers that are not ours; all times within 10 ms (most: exactly those of the samples)."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from session_parts import Recorded

from realtime_ser.errors import SessionError
from realtime_ser.session import edit
from realtime_ser.session.export import tables
from realtime_ser.session.export.annotations import write_elan, write_textgrid
from realtime_ser.session.export.files import FORMATS, export_files, export_session
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.export.tables import TABLES, table, write_frame
from realtime_ser.session.reader import Session
from realtime_ser.types import Verdict

MS = 0.001
"""What ELAN and subtitles round to; the other formats are exact."""


@pytest.fixture(scope="module")
def verdicts(recorded: Recorded) -> list[Verdict]:
    return [output for output in recorded.outputs if isinstance(output, Verdict)]


@pytest.fixture(scope="module")
def files(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    with Session(recorded.folder) as session:
        for name in FORMATS:
            assert all(path.is_file() for path in export_session(session, folder, name))
    return folder


class StoppedError(Exception):
    """Somebody does not want to wait."""


def test_an_export_tells_how_far_it_is_and_writes_all_or_nothing(recorded: Recorded, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    target = tmp_path / "not" / "there"

    def stop(name: str, share: float) -> None:
        if name == "flac":
            raise StoppedError

    with pytest.raises(StoppedError):
        export_files(recorded.folder, target, on_progress=stop)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SessionError, match="There is no format 'wav'"):
        export_files(recorded.folder, target, ["wav"])
    target.mkdir(parents=True)
    (target / "mine").touch()
    with pytest.raises(StoppedError):
        export_files(recorded.folder, target, ["csv", "flac"], on_progress=stop)
    assert [path.name for path in target.iterdir()] == ["mine"]
    paths = export_files(recorded.folder, target, on_progress=lambda name, share: told.append((name, share)))
    assert {path.name for path in target.iterdir()} == {"mine", *(path.name for path in paths)}
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert list(dict(told)) == list(FORMATS)


def test_a_table_in_pieces_is_the_table(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(recorded.folder) as session:
        frame = table(session, "windows")
    for ending in (".csv", ".jsonl"):
        write_frame(frame, tmp_path / f"whole{ending}")
    monkeypatch.setattr(tables, "_ROWS", 97)
    for ending in (".csv", ".jsonl"):
        write_frame(frame, tmp_path / f"pieces{ending}")
        assert (tmp_path / f"pieces{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()
    assert len((tmp_path / "whole.csv").read_text().splitlines()) == len(frame) + 1


def text_of(verdict: Verdict) -> str:
    """An abstention is exported as one."""
    return verdict.estimate.label or str(verdict.estimate.state)


def spans(verdicts: list[Verdict]) -> list[tuple[float, float]]:
    return [verdict.span.seconds(16_000) for verdict in verdicts]


def words(recorded: Recorded) -> list[tuple[str, float, float]]:
    with Session(recorded.folder) as session:
        return [(row["text"], row["start_sample"] / 16_000, row["end_sample"] / 16_000) for row in session.words()]


@pytest.mark.parametrize("name", TABLES)
def test_all_tables_say_the_same(recorded: Recorded, files: Path, name: str) -> None:
    with Session(recorded.folder) as session:
        ours = table(session, name)
    arrow = pd.read_parquet(files / f"{name}.parquet")
    pd.testing.assert_frame_equal(arrow, ours, check_dtype=False)
    comma = pd.read_csv(files / f"{name}.csv", keep_default_na=False, na_values=[""])
    lines = [json.loads(line) for line in (files / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() if line]
    assert len(comma) == len(lines) == len(ours)
    assert list(comma.columns) == list(ours.columns)
    if "start" in ours:
        expected = ours["start"].to_numpy(float, na_value=math.nan)
        for times in (comma["start"], pd.Series([line["start"] for line in lines], dtype=float)):
            assert np.allclose(times.to_numpy(float), expected, equal_nan=True, atol=1e-9)


def test_elan_reads_the_same_times(recorded: Recorded, verdicts: list[Verdict], files: Path) -> None:
    pympi = pytest.importorskip("pympi", reason="pympi-ling reads ELAN's files: install the 'dev' extra")
    elan = pympi.Elan.Eaf(str(files / "session.eaf"))
    read = sorted(elan.get_annotation_data_for_tier("emotion"))
    assert [text for _, _, text, *_ in read] == [text_of(verdict) for verdict in verdicts]
    for (start, end, *_), (first, last) in zip(read, spans(verdicts), strict=True):
        assert (start / 1000, end / 1000) == pytest.approx((first, last), abs=MS)
    (marker,) = elan.get_annotation_data_for_tier("markers")
    assert (marker[0], marker[2]) == (3_000, "stimulus")
    (note,) = elan.get_annotation_data_for_tier("notes")
    assert (note[0], note[2]) == (1_000, "the window was open")
    spoken = sorted(elan.get_annotation_data_for_tier("words"))
    assert [entry[2] for entry in spoken] == [text for text, _, _ in words(recorded)]


def test_praat_reads_the_same_times(recorded: Recorded, verdicts: list[Verdict], files: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="praatio reads Praat's files: install the 'dev' extra")
    grid = textgrid.openTextgrid(str(files / "session.TextGrid"), includeEmptyIntervals=False)
    read = grid.getTier("emotion").entries
    assert [entry.label for entry in read] == [text_of(verdict) for verdict in verdicts]
    for entry, span in zip(read, spans(verdicts), strict=True):
        assert (entry.start, entry.end) == pytest.approx(span, abs=1e-9)
    (marker,) = grid.getTier("markers").entries
    assert (marker.time, marker.label) == (3.0, "stimulus")
    for entry, (text, start, end) in zip(grid.getTier("words").entries, words(recorded), strict=True):
        assert entry.label == text
        assert (entry.start, entry.end) == pytest.approx((start, end), abs=0.01)


def test_subtitles_are_read_with_the_same_times(verdicts: list[Verdict], files: Path) -> None:
    srt = pytest.importorskip("srt", reason="srt comes with vosk")
    read = list(srt.parse((files / "session.srt").read_text(encoding="utf-8"), ignore_errors=False))
    for subtitle, verdict, (start, end) in zip(read, verdicts, spans(verdicts), strict=True):
        assert subtitle.start.total_seconds() == pytest.approx(start, abs=MS)
        assert subtitle.end.total_seconds() == pytest.approx(end, abs=MS)
        assert subtitle.content.startswith(f"[{text_of(verdict)} {verdict.estimate.confidence:.0%}]")


def test_web_subtitles_are_read_with_the_same_times(verdicts: list[Verdict], files: Path) -> None:
    webvtt = pytest.importorskip("webvtt", reason="webvtt-py reads web subtitles: install the 'dev' extra")
    read = list(webvtt.read(str(files / "session.vtt")))
    for caption, verdict, (start, end) in zip(read, verdicts, spans(verdicts), strict=True):
        assert (caption.start_in_seconds, caption.end_in_seconds) == pytest.approx((start, end), abs=1)
        assert caption.text.startswith(f"[{text_of(verdict)} ")
        clock = [float(part) for part in caption.start.split(":")]
        assert clock[0] * 3600 + clock[1] * 60 + clock[2] == pytest.approx(start, abs=MS)


def test_the_sound_is_one_file_on_the_same_clock(files: Path, two_utterances: np.ndarray) -> None:
    samples, rate = soundfile.read(files / "audio.flac", dtype="float32")
    assert rate == 16_000
    assert np.allclose(samples, two_utterances, atol=1 / 32_768)


def test_awkward_texts_survive_every_format(recorded: Recorded, tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi", reason="pympi-ling reads ELAN's files: install the 'dev' extra")
    textgrid = pytest.importorskip("praatio.textgrid", reason="praatio reads Praat's files: install the 'dev' extra")
    folder = shutil.copytree(recorded.folder, tmp_path / "copy")
    awkward = 'a "b" <c> & d, ü\n--> 0'
    edit.add_marker(folder, 64_000, awkward)
    edit.add_marker(folder, 64_000, "at the same time")
    with Session(folder) as session:
        write_elan(session, tmp_path / "x.eaf")
        write_textgrid(session, tmp_path / "x.TextGrid")
    expected = f"{awkward.replace(chr(10), ' ')}; at the same time"
    elan = pympi.Elan.Eaf(str(tmp_path / "x.eaf"))
    assert max(elan.get_annotation_data_for_tier("markers"))[2] == expected
    grid = textgrid.openTextgrid(str(tmp_path / "x.TextGrid"), includeEmptyIntervals=False)
    # A quotation mark is written twice, as Praat itself does and reads; praatio leaves the two as they are.
    assert grid.getTier("markers").entries[-1].label == expected.replace('"', '""')


def test_the_methods_paragraph_has_the_sessions_figures(recorded: Recorded, verdicts: list[Verdict]) -> None:
    with Session(recorded.folder) as session:
        text = methods_paragraph(session)
    abstained = sum(verdict.estimate.label is None for verdict in verdicts)
    assert f"holds {len(verdicts)} of them, for {abstained} of which the system abstained" in text
    assert "random 0" in text
    assert "every 10 ms" in text
    assert "PocketSphinx" in text
