"""The figure for papers: what it says, read back from the file."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from session_parts import Recorded

from realtime_ser.cli import main
from realtime_ser.errors import ConfigError
from realtime_ser.session import edit
from realtime_ser.session.export.figure import write_figure
from realtime_ser.session.reader import Session

pytest.importorskip("matplotlib", reason="Matplotlib draws the figure: install the 'dev' extra")


def texts(path: Path) -> list[str]:
    """Lines of text in an SVG file, in order."""
    svg = "{http://www.w3.org/2000/svg}"
    return ["".join(element.itertext()).strip() for element in ElementTree.parse(path).iter(f"{svg}text")]


@pytest.fixture
def folder(recorded: Recorded, tmp_path: Path) -> Path:
    """A real session with an abstention and a gap beside its verdicts."""
    folder = shutil.copytree(recorded.folder, tmp_path / "session")
    with sqlite3.connect(folder / "session.sqlite") as database:
        (first,) = database.execute("SELECT min(utterance) FROM utterances").fetchone()
        database.execute("UPDATE utterances SET label = NULL, state = 'unsure' WHERE utterance = ?", (first,))
        database.execute("UPDATE utterances SET label = 'anger', state = 'confident' WHERE utterance > ?", (first,))
        database.execute("INSERT INTO gaps VALUES (90000, 96000)")
    database.close()
    return folder


def test_labels_abstentions_words_markers_and_gaps_are_in_it(folder: Path, tmp_path: Path) -> None:
    with Session(folder) as session:
        number = session.utterances()[1]["utterance"]
    edit.correct_words(folder, number, "costs $5 <or> $6")
    edit.add_marker(folder, 60_000, "a $b_1$ & c")
    path = tmp_path / "timeline.svg"
    with Session(folder) as session:
        assert write_figure(session, path) == []
        found = texts(path)
        for row in session.utterances():
            assert f"{row['label'] or 'unsure'}" in found
            assert f"{row['confidence']:.0%}" in found
        said = " ".join(found)
        assert session.utterances()[0]["words"].split()[0] in said
        assert "costs $5 <or> $6" in said
        for name in ("stimulus", "a $b_1$ & c", "no label (abstained)", "not heard", "time (s)", *session.header.classes):
            assert name in found
        again = tmp_path / "again.svg"
        write_figure(session, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_span_is_drawn_and_what_has_no_room_is_named(folder: Path, tmp_path: Path) -> None:
    for number in range(12):
        edit.add_marker(folder, 60_000 + number, f"one of many markers {number}")
    with Session(folder) as session:
        row = session.utterances()[-1]
        said = write_figure(session, tmp_path / "all.svg")
        assert any("markers were left out" in line for line in said)
        assert write_figure(session, tmp_path / "end.pdf", start=row["start_sample"] / 16_000 - 0.1) == []
    assert (tmp_path / "end.pdf").read_bytes().startswith(b"%PDF")


def test_mistakes_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(folder) as session:
        with pytest.raises(ConfigError, match="does not say how to draw"):
            write_figure(session, tmp_path / "a.png")
        for start, end in ((5.0, 4.0), (-1.0, 3.0), (1_000.0, None)):
            with pytest.raises(ConfigError, match="nothing to draw"):
                write_figure(session, tmp_path / "a.svg", start, end)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ConfigError, match="Matplotlib, which is not installed"):
            write_figure(session, tmp_path / "a.svg")
    assert not list(tmp_path.glob("a.*"))


def test_the_command_draws(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.svg"
    assert main(["sessions", "figure", str(folder), "--out", str(out), "--from", "1", "--to", "6"]) == 0
    assert f"Wrote {out}" in capsys.readouterr().out
    assert "time (s)" in texts(out)
    assert main(["sessions", "figure", str(folder), "--out", str(tmp_path / "none" / "x.svg")]) == 9
