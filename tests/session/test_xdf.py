"""XDF files, opened again by pyxdf, which is not ours: every time and value is the session's own."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_parts import Recorded

from realtime_ser.session import edit
from realtime_ser.session.export.files import export_session
from realtime_ser.session.export.streams import lsl_offsets
from realtime_ser.session.export.xdf import XdfChannel, XdfStream, write_xdf
from realtime_ser.session.reader import Session

RATE = 16_000
KINDS = ("estimates", "utterances", "words", "markers", "notes", "events", "gaps")


@pytest.fixture
def folder(recorded: Recorded, tmp_path: Path) -> Path:
    """With a gap of two seconds among the windows, which then lie on another grid, an event and an awkward marker."""
    folder = shutil.copytree(recorded.folder, tmp_path / "session")
    with Session(folder) as session:
        windows = session.windows()
        header = session.header
    middle = len(windows.first) // 2
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("DELETE FROM windows")
        for part, shift in ((slice(None, middle), 0), (slice(middle, None), 32_037)):
            scores, voiced = windows.scores[part].astype("<f4"), np.packbits(windows.voiced[part], bitorder="little")
            values = (int(windows.first[part][0]) + shift, header.hop, header.window, len(scores), scores.tobytes())
            database.execute("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)", (*values, voiced.tobytes()))
        end = int(windows.first[middle - 1]) + header.window
        database.execute("INSERT INTO gaps VALUES (?, ?)", (end, end + 32_037))
        database.execute("INSERT INTO events VALUES (NULL, 84000, 'gap', 'warning', 'Sound was lost.')")
    database.close()
    edit.add_marker(folder, 64_000, 'a "b" <c> & d, ü\n\x00 0')
    return folder


def read(folder: Path, tmp_path: Path, scores: str | None = None, **options: Any) -> dict[str, Any]:
    pyxdf = pytest.importorskip("pyxdf", reason="pyxdf reads XDF files: install the 'dev' extra")
    with Session(folder, scores) as session:
        (path,) = export_session(session, tmp_path, "xdf")
    streams, header = pyxdf.load_xdf(str(path), **options)
    found = {stream["info"]["name"][0].removeprefix("Realtime SER "): stream for stream in streams}
    return {**found, "": header}


def test_windows_keep_their_times_and_values_across_a_gap(folder: Path, tmp_path: Path) -> None:
    # As any user would read it: with all that the reader does about stamps.
    stream = read(folder, tmp_path)["windows"]
    with Session(folder) as session:
        windows, header = session.windows(), session.header
    assert np.array_equal(stream["time_stamps"], (windows.first + windows.length) / RATE)
    assert np.diff(stream["time_stamps"]).max() > 2.0
    assert np.array_equal(stream["time_series"][:, :-1], windows.scores)
    assert np.array_equal(stream["time_series"][:, -1], windows.voiced)
    info = stream["info"]
    assert (info["type"], info["nominal_srate"], info["channel_format"]) == (["Emotion"], ["100.0"], ["float32"])
    (about,) = info["desc"]
    channels = about["channels"][0]["channel"]
    assert [channel["label"][0] for channel in channels] == [*header.classes, "voiced"]
    assert channels[0]["unit"] == ["probability"]
    assert about["bundle"][0]["manifest_sha256"] == [header.bundle.sha256]
    assert (about["participant"], about["condition"]) == (["P01"], ["rest"])
    assert (about["manufacturer"], about["version"]) == (["Realtime SER"], [header.program])
    footer = stream["footer"]["info"]
    assert int(footer["sample_count"][0]) == len(windows.first)
    assert float(footer["last_timestamp"][0]) == stream["time_stamps"][-1]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_else_is_json_with_its_times(folder: Path, tmp_path: Path, kind: str) -> None:
    stream = read(folder, tmp_path)[kind]
    with Session(folder) as session:
        rows = getattr(session, kind)()
    assert rows
    assert stream["info"]["nominal_srate"] == ["0.0"]
    told = [json.loads(sample[0]) for sample in stream["time_series"]]
    for stamp, record in zip(stream["time_stamps"], told, strict=True):
        assert stamp == (0.0 if record["end"] is None else record["end"])
    times = [(row.get("start_sample", row.get("sample")), row.get("end_sample", row.get("sample"))) for row in rows]
    expected = [
        {
            "type": kind.removesuffix("s"),
            "start": None if first is None else first / RATE,
            "end": None if end is None else end / RATE,
            # Nobody else was there whose voice it could have been.
            **{name: value for name, value in row.items() if name not in ("sample", "start_sample", "end_sample", "bleed")},
        }
        for row, (first, end) in zip(rows, times, strict=True)
    ]
    assert told == sorted(expected, key=lambda record: record["end"] or 0.0)


def test_words_that_were_not_kept_are_an_empty_stream(folder: Path, tmp_path: Path) -> None:
    edit.delete_words(folder)
    stream = read(folder, tmp_path)["words"]
    assert len(stream["time_stamps"]) == len(stream["time_series"]) == 0


def test_lsls_clock_is_what_a_reader_gets_where_the_session_knows_it(folder: Path, tmp_path: Path) -> None:
    # A sound card that runs 40 ppm too fast, a computer whose clocks are 1,000 s apart, and one block that came late.
    samples = np.arange(0, RATE * 60, RATE // 2)
    drifting = 5_000.0 + samples / RATE / (1 + 40e-6)
    late = np.where(samples == RATE * 30, 0.05, 0.0)
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("DELETE FROM anchors")
        rows = [(int(sample), float(at), 1.7e9, "capture") for sample, at in zip(samples, drifting + late, strict=True)]
        database.executemany("INSERT INTO anchors VALUES (?, ?, ?, ?)", rows)
        database.execute("INSERT INTO clocks VALUES (1600, 'LSL', 1000.0, 1e-6)")
    database.close()
    streams = read(folder, tmp_path)
    with Session(folder) as session:
        windows, marker = session.windows(), session.markers()[0]
        offsets = lsl_offsets(session)
    assert len(offsets) == 12
    seconds = (windows.first + windows.length) / RATE
    lsl = 1_000.0 + 5_000.0 + seconds / (1 + 40e-6)
    assert np.abs(streams["windows"]["time_stamps"] - lsl).max() < 1e-4
    assert streams["markers"]["time_stamps"][0] == pytest.approx(6_000.0 + marker["sample"] / RATE / (1 + 40e-6), abs=1e-4)
    plain = read(folder, tmp_path, synchronize_clocks=False)
    assert np.array_equal(plain["windows"]["time_stamps"], seconds)
    assert plain["markers"]["time_stamps"][0] == marker["sample"] / RATE


def test_sessions_of_before_know_no_other_clock(folder: Path) -> None:
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("DROP TABLE clocks")
    database.close()
    with Session(folder) as session:
        assert session.clocks() == lsl_offsets(session) == []


def test_long_streams_are_cut_into_chunks_that_can_be_found(tmp_path: Path) -> None:
    pyxdf = pytest.importorskip("pyxdf", reason="pyxdf reads XDF files: install the 'dev' extra")
    stamps = np.arange(100_000) / 1_000.0
    values = np.random.default_rng(1).standard_normal((100_000, 1)).astype(np.float32)
    texts = ["x" * size for size in (0, 1, 255, 256, 70_000)]
    streams = [
        XdfStream("numbers", "Test", "a", 1_000.0, [XdfChannel("x", "V", "Test")], stamps, values),
        XdfStream("texts", "Test", "b", 0.0, [XdfChannel("t", "", "Test")], np.array([0.0, 5.0, 9.99, 10.0, 99.0]), texts),
    ]
    path = tmp_path / "long.xdf"
    write_xdf(path, {"made": "here"}, streams)
    (numbers, words), header = pyxdf.load_xdf(str(path))
    assert header["info"]["made"] == ["here"]
    assert np.allclose(numbers["time_stamps"], stamps, atol=1e-9)
    assert np.array_equal(numbers["time_series"], values)
    assert [sample[0] for sample in words["time_series"]] == texts
    mark = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
    content = path.read_bytes()
    assert content.count(mark) == 10
    # Behind the first boundary stands a whole chunk: who looks for one in the middle finds it.
    behind = content.index(mark) + len(mark)
    assert content[behind] == 4
    assert struct.unpack_from("<IHI", content, behind + 1)[1:] == (3, 1)


@pytest.mark.parametrize(
    ("stamps", "values", "words"),
    [
        ([0.0, 1.0], np.zeros((1, 2), np.float32), "one stamp"),
        ([0.0], np.zeros((1, 1), np.float32), "must have 1 channels"),
        ([1.0, 0.0], np.zeros((2, 2), np.float32), "must ascend"),
    ],
)
def test_what_makes_no_stream_is_refused(stamps: list[float], values: np.ndarray, words: str) -> None:
    channels = [XdfChannel("x", "V", "Test"), XdfChannel("y", "V", "Test")]
    with pytest.raises(ValueError, match=words):
        XdfStream("test", "Test", "a", 1.0, channels, np.array(stamps), values)
