"""Scoring again: the same bundle gives the same verdicts, another one its own; the original stays as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from session_parts import Record, Recorded

from realtime_ser.assembly import Models, load_models
from realtime_ser.cli import main
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import SessionError
from realtime_ser.session import edit
from realtime_ser.session.export.files import FORMATS, export_session
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.format import hold_lock
from realtime_ser.session.reader import Session, scorings
from realtime_ser.session.rescore import compare, rescore
from realtime_ser.session.sound import PIECE, encode


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bundle_factory import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundle") / "other", seed=11)


@pytest.fixture(scope="module")
def other_models(other_bundle: Path) -> Models:
    return load_models(other_bundle, "none")


@pytest.fixture
def folder(recorded: Recorded, tmp_path: Path) -> Path:
    return shutil.copytree(recorded.folder, tmp_path / "session")


def fingerprint(folder: Path) -> dict[str, str]:
    with Session(folder) as session:
        streams = [session.windows().scores.tolist(), session.utterances(), session.words(), session.estimates()]
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "session.json", folder / "audio.sqlite")
    }
    return {**files, "streams": json.dumps(streams)}


def test_the_same_bundle_gives_the_same_verdicts(folder: Path, models: Models) -> None:
    original = fingerprint(folder)
    name = rescore(folder, models, reason="a check")
    assert fingerprint(folder) == original
    assert scorings(folder) == [name] == ["random-0"]
    with Session(folder) as before, Session(folder, name) as after:
        found = compare(before, after)
        recorded, later = before.utterances(), after.utterances()
        change = before.changes()[-1]
        old, new = before.windows(), after.windows()
        assert [row["utterance"] for row in later] == [row["utterance"] for row in recorded]
        # Words counted, and the same ones.
        assert any(row["text_scores"] for row in recorded)
        for was, is_now in zip(recorded, later, strict=True):
            spans = [(row["start_sample"], row["end_sample"], row["reason"], row["label"]) for row in (was, is_now)]
            assert spans[0] == spans[1]
            # The sound has been through 16 bits; nothing else is different.
            assert list(is_now["scores"].values()) == pytest.approx(list(was["scores"].values()), abs=1e-3)
            assert is_now["voiced_seconds"] == pytest.approx(was["voiced_seconds"], abs=0.04)
        assert np.array_equal(old.first, new.first)
        assert np.abs(old.scores - new.scores).max() < 0.01
    assert (found.agreement, found.missing) == (1.0, ())
    assert found.difference is not None
    assert found.difference < 1e-3
    assert (change["kind"], change["target"], change["field"], change["reason"]) == ("rescore", "scores", name, "a check")


def test_another_bundle_is_told_apart_and_exported_in_every_format(folder: Path, other_models: Models, tmp_path: Path) -> None:
    rescore(folder, other_models, name="other")
    with Session(folder) as before, Session(folder, "other") as after:
        found = compare(before, after)
        assert found.difference is not None
        assert found.difference > 1e-3
        assert after.header.bundle != before.header.bundle
        assert after.header.participant == before.header.participant
        assert after.words() == before.words()
        assert after.markers() == before.markers()
        assert "computed afterwards" in methods_paragraph(after)
        for name in FORMATS:
            assert all(path.is_file() for path in export_session(after, tmp_path, name))
        frame = pd.read_csv(tmp_path / "utterances.csv")
        for index, row in enumerate(after.utterances()):
            assert frame[list(row["scores"])].iloc[index].tolist() == pytest.approx(list(row["scores"].values()), abs=1e-6)
    with pytest.raises(SessionError, match="There is a scoring 'other'"):
        rescore(folder, other_models, name="other")
    rescore(folder, other_models, name="other", replace=True)
    assert [path.name for path in (folder / "scores").iterdir()] == ["other"]


def test_redacted_sound_is_not_scored_and_does_not_count(folder: Path, models: Models) -> None:
    with Session(folder) as session:
        first, second = session.utterances()[:2]
    edit.redact(folder, first["start_sample"], first["end_sample"])
    name = rescore(folder, models)
    with Session(folder) as before, Session(folder, name) as after:
        found = compare(before, after)
        rows = after.utterances()
    assert rows[0]["label"] is None
    assert rows[0]["voiced_seconds"] == 0.0
    assert rows[0]["text_scores"] is None
    assert [one.redacted for one in found.utterances][:2] == [True, False]
    # The next utterance hears what it heard, but for the running mean, which has not heard the first.
    assert rows[1]["utterance"] == second["utterance"]
    assert rows[1]["voiced_seconds"] == pytest.approx(second["voiced_seconds"], abs=0.1)


def test_words_are_recognised_anew_but_not_kept(record: Record, models: Models, tmp_path: Path) -> None:
    folder = record(tmp_path, audio=True).folder
    voice_alone = rescore(folder, models, name="voice")
    with_words = rescore(folder, models, name="words", recognise=True)
    with Session(folder) as before, Session(folder, voice_alone) as voice, Session(folder, with_words) as words:
        assert voice.header.recognizer == "none"
        assert all(row["text_scores"] is None for row in voice.utterances())
        assert compare(before, words).difference == pytest.approx(0.0, abs=0.02)
        assert words.words() == []
    with Session(folder / "scores" / "words") as alone:
        assert alone.words() == alone.transcripts() == []


def test_what_stands_in_the_way_is_said(folder: Path, record: Record, models: Models, tmp_path: Path) -> None:
    silent = record(tmp_path).folder
    with pytest.raises(SessionError, match="no sound was kept"):
        rescore(silent, models)
    for name in ("", "../elsewhere", ".hidden"):
        with pytest.raises(SessionError, match="cannot name"):
            rescore(folder, models, name=name)
    with pytest.raises(SessionError, match="not scored again under the name 'none such'"):
        Session(folder, "none such")
    lock = hold_lock(folder)
    with pytest.raises(SessionError, match="being recorded"):
        rescore(folder, models)
    lock.close()
    assert not (folder / "scores").exists()


class StoppedError(Exception):
    """Somebody does not want to wait."""


def test_progress_is_told_and_a_cancelled_scoring_leaves_nothing(folder: Path, models: Models) -> None:
    before = set(folder.iterdir())
    told: list[tuple[float, float]] = []

    def follow(seconds: float, of: float) -> None:
        told.append((seconds, of))
        if seconds > 4.0:
            # The session can be read and changed by others meanwhile.
            edit.add_note(folder, "meanwhile")
            raise StoppedError

    with pytest.raises(StoppedError):
        rescore(folder, models, name="other", on_progress=follow)
    with Session(folder) as session:
        assert [of for _, of in told] == [session.seconds] * len(told)
        assert session.notes()[-1]["text"] == "meanwhile"
        assert session.changes() == []
    # In samples: 4.9 s − 3.9 s is more than a second in floating point.
    samples_told = np.rint([0.0, *(seconds * ENGINE_RATE for seconds, _ in told)])
    # After every piece of the sound, of which none is longer than a second.
    assert np.all(np.diff(samples_told) <= ENGINE_RATE)
    assert np.all(np.diff(samples_told) > 0)
    assert set(folder.iterdir()) == before
    told.clear()
    rescore(folder, models, name="whole", on_progress=lambda seconds, of: told.append((seconds, of)))
    assert told[-1][0] == pytest.approx(told[-1][1])
    with pytest.raises(StoppedError):
        rescore(folder, models, name="whole", replace=True, on_progress=follow)
    assert scorings(folder) == ["whole"]


def test_a_session_that_was_not_closed_is_scored_again(folder: Path, models: Models) -> None:
    with sqlite3.connect(folder / "session.sqlite") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("DELETE FROM endings")
    database.close()
    name = rescore(folder, models)
    with Session(folder) as session:
        assert session.state().phase == "interrupted"
        assert session.changes()[-1]["field"] == name


def test_the_command_prints_a_comparison(
    folder: Path, other_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sessions", "rescore", str(folder), "--bundle", str(other_bundle), "--name", "b"]) == 0
    text = capsys.readouterr().out
    assert "The same label, or none both times:" in text
    assert "Mean absolute difference of the scores:" in text
    assert main(["sessions", "rescore", str(folder), "--bundle", str(other_bundle), "--name", "c", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scores"] == "c"
    with Session(folder) as session:
        assert [one["utterance"] for one in found["utterances"]] == [row["utterance"] for row in session.utterances()]
    assert main(["sessions", "export", str(folder), "--to", str(tmp_path / "out"), "--format", "csv", "--scores", "b"]) == 0
    assert main(["sessions", "export", str(folder), "--to", str(tmp_path / "out"), "--scores", "none"]) == 9
    edit.delete_audio(folder)
    assert main(["sessions", "rescore", str(folder), "--bundle", str(other_bundle)]) == 9
    assert "no sound was kept, or it was deleted" in capsys.readouterr().err


def test_sound_with_a_gap_is_scored_on_both_sides_of_it(folder: Path, models: Models) -> None:
    with Session(folder) as session:
        rows = session.utterances()
        sound = np.concatenate([samples for _, samples in session.audio()])
    end = rows[0]["end_sample"]
    first = end - 16_000
    # In pieces of our own: where those of the recording begin depends on when the disk was ready.
    starts = [*range(0, first, PIECE), *range(end, len(sound), PIECE)]
    pieces = [sound[start : min(start + PIECE, first if start < first else len(sound))] for start in starts]
    rewritten = [(start, len(piece), encode(piece)) for start, piece in zip(starts, pieces, strict=True)]
    with sqlite3.connect(folder / "audio.sqlite") as database:
        database.execute("DELETE FROM audio")
        database.executemany("INSERT INTO audio VALUES (?, ?, ?)", rewritten)
    database.close()
    name = rescore(folder, models)
    with Session(folder) as before, Session(folder, name) as after:
        found, windows = compare(before, after), after.windows()
        later = after.utterances()
    assert not np.any((windows.first + windows.length > first) & (windows.first < end))
    assert found.missing == ()
    assert [(row["start_sample"], row["end_sample"]) for row in later] == [
        (row["start_sample"], row["end_sample"]) for row in rows
    ]
    assert 0.0 < later[0]["voiced_seconds"] < rows[0]["voiced_seconds"]
    # The detector begins anew behind a gap, on another grid of chunks.
    assert later[1]["voiced_seconds"] == pytest.approx(rows[1]["voiced_seconds"], abs=0.1)
