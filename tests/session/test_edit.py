"""Changing a session afterwards: what is kept, what is gone for good, and what the log says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from session_parts import Record, Recorded

from realtime_ser.cli import main
from realtime_ser.errors import SessionError
from realtime_ser.session import edit
from realtime_ser.session.format import hold_lock
from realtime_ser.session.reader import Session
from realtime_ser.session.summary import bootstrap, summarise
from realtime_ser.types import Transcript


@pytest.fixture
def folder(recorded: Recorded, tmp_path: Path) -> Path:
    return shutil.copytree(recorded.folder, tmp_path / "session")


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_marker_is_changed_and_its_original_kept(folder: Path) -> None:
    with Session(folder) as session:
        (before,) = session.markers()
    edit.edit_marker(folder, before["id"], name="response", colour="blue", sample=50_000, reason="was late")
    edit.edit_marker(folder, before["id"], name="answer")
    with Session(folder) as session:
        (after,) = session.markers()
        assert (after["name"], after["colour"], after["sample"]) == ("answer", "blue", 50_000)
        assert after["original"] == {"name": "stimulus", "colour": "red", "sample": 48_000}
        assert [(row["field"], row["before"], row["after"]) for row in session.changes()] == [
            ("name", "stimulus", "response"),
            ("colour", "red", "blue"),
            ("sample", "48000", "50000"),
            ("name", "response", "answer"),
        ]
        assert session.changes()[0]["reason"] == "was late"
    with pytest.raises(SessionError, match="was taken back"):
        edit.restore_marker(folder, before["id"])
    edit.edit_marker(folder, before["id"], deleted=True)
    with Session(folder) as session:
        assert session.markers() == []
        assert [row["name"] for row in session.markers(taken_back=True)] == ["answer"]
    with pytest.raises(SessionError, match="no marker"):
        edit.edit_marker(folder, before["id"], name="again")
    assert main(["sessions", "mark", str(folder), "--id", str(before["id"]), "--restore", "--reason", "a slip"]) == 0
    with Session(folder) as session:
        assert session.markers() == [after]
        assert session.changes()[-1]["reason"] == "a slip"
    number = edit.add_marker(folder, 20_000, "later")
    with Session(folder) as session:
        assert [row["id"] for row in session.markers()] == [number, before["id"]]


def test_what_was_written_and_emptied_again_counts_as_nothing(folder: Path) -> None:
    with Session(folder) as session:
        before = session.utterances()[0]
    for text in ("something", ""):
        edit.label_utterance(folder, before["utterance"], text)
        edit.correct_words(folder, before["utterance"], text)
    with Session(folder) as session:
        assert session.utterances()[0] == before
        assert len(session.changes()) == 4


def test_labels_and_corrections_leave_the_verdict_and_the_words(folder: Path) -> None:
    with Session(folder) as session:
        before = session.utterances()[0]
    edit.label_utterance(folder, before["utterance"], "relief")
    edit.correct_words(folder, before["utterance"], "what was really said")
    with Session(folder) as session:
        after = session.utterances()[0]
    assert (after["annotation"], after["corrected"]) == ("relief", "what was really said")
    assert {**after, "annotation": None, "corrected": None} == before
    with pytest.raises(SessionError, match="no utterance 999"):
        edit.label_utterance(folder, 999, "relief")


def test_a_redacted_span_is_gone_from_the_files(folder: Path, recorded: Recorded) -> None:
    with Session(folder) as session:
        words = session.words()
        row = session.utterances()[0]
        sound = np.concatenate([samples for _, samples in session.audio()])
        windows = session.windows()
    correction = "zyxomma correction"
    edit.correct_words(folder, row["utterance"], correction)
    first, end = row["start_sample"] + 4_000, row["end_sample"]
    gone = [word for word in words if word["start_sample"] < end and word["end_sample"] > first]
    kept = [word for word in words if word not in gone]
    assert gone
    assert kept
    assert correction.encode() in content(folder)

    done = edit.redact(folder, first, end, reason="a name")

    assert (done.words, done.samples) == (len(gone), end - first)
    with Session(folder) as session:
        assert session.words() == kept
        after = np.concatenate([samples for _, samples in session.audio()])
        assert np.array_equal(session.windows().scores, windows.scores)
        change = session.changes()[-1]
        assert session.utterances()[0]["corrected"] == "[redacted]"
    assert (change["kind"], change["reason"]) == ("redact", "a name")
    assert np.array_equal(after[:first], sound[:first])
    assert np.array_equal(after[end:], sound[end:])
    spectrum = np.abs(np.fft.rfft(after[first : first + 16_000]))
    assert spectrum.argmax() == 1_000  # Hz: a tone, and nothing of what was there
    assert spectrum[spectrum < spectrum.max()].max() < 0.01 * spectrum.max()
    remaining = {word["text"] for word in kept}
    telling = {word["text"] for word in gone if len(word["text"]) > 5} - remaining
    assert telling
    left = content(folder)
    assert not [text for text in telling if b"\x00" + text.encode() in left]
    assert correction.encode() not in left
    assert {path.name for path in folder.iterdir()} == {"session.json", "session.sqlite", "audio.sqlite"}


def test_words_and_sound_can_be_deleted_and_the_session_lives_on(folder: Path) -> None:
    with Session(folder) as session:
        count = len(session.words())
    assert edit.delete_words(folder, "asked for") == count > 0
    edit.delete_audio(folder, "asked for")
    with Session(folder) as session:
        assert session.words() == []
        assert not session.has_audio
        assert [row["kind"] for row in session.changes()] == ["delete", "delete"]
        assert session.utterances()
        with pytest.raises(SessionError, match="No sound"):
            next(session.audio())


def test_a_deleted_session_leaves_an_entry_without_a_name(folder: Path) -> None:
    with Session(folder) as session:
        number = session.header.id
    edit.delete_session(folder, "withdrawn")
    assert not folder.exists()
    log = (folder.parent / edit.DELETIONS_NAME).read_text(encoding="utf-8")
    assert json.loads(log).items() >= {"id": number, "reason": "withdrawn"}.items()
    assert "P01" not in log


def test_while_it_is_recorded_only_markers_and_notes_are_taken(folder: Path) -> None:
    lock = hold_lock(folder)
    try:
        edit.add_marker(folder, 1, "from outside")
        edit.add_note(folder, "from outside")
        for change in (
            lambda: edit.redact(folder, 0, 100),
            lambda: edit.delete_words(folder),
            lambda: edit.delete_session(folder),
            lambda: edit.label_utterance(folder, 0, "x"),
        ):
            with pytest.raises(SessionError, match="is being recorded"):
                change()
    finally:
        lock.close()
    with Session(folder) as session:
        assert [row["name"] for row in session.markers()] == ["from outside", "stimulus"]


def test_words_do_not_come_in_where_none_were_to_be_kept(record: Record, tmp_path: Path) -> None:
    recorded = record(tmp_path)
    assert any(isinstance(output, Transcript) and output.words for output in recorded.outputs)
    with pytest.raises(SessionError, match="Nobody agreed"):
        edit.correct_words(recorded.folder, 0, "what was said")


def test_a_summary_has_a_row_per_participant_and_one_over_all(recorded: Recorded, tmp_path: Path) -> None:
    folders = []
    for participant in ("P01", "P02"):
        folder = shutil.copytree(recorded.folder, tmp_path / participant)
        header = json.loads((folder / "session.json").read_text())
        (folder / "session.json").write_text(json.dumps({**header, "participant": participant}))
        folders.append(folder)
    with Session(recorded.folder) as session:
        utterances = session.utterances()
        minutes = session.seconds / 60
    rows = summarise(folders)
    assert [(row["participant"], row["condition"]) for row in rows] == [("P01", "rest"), ("P02", "rest"), ("*", "rest")]
    expected = np.mean([row["scores"]["anger"] for row in utterances])
    for row in rows[:2]:
        assert row["anger"] == pytest.approx(expected)
        assert row["anger_low"] <= row["anger"] <= row["anger_high"]
        assert row["abstained"] == np.mean([utterance["label"] is None for utterance in utterances])
        assert row["minutes"] == pytest.approx(minutes, abs=0.01)
    # Both participants are the same recording, so there is nothing between them.
    assert rows[2]["anger_low"] == pytest.approx(rows[2]["anger_high"]) == pytest.approx(expected)
    assert rows[2]["utterances"] == 2 * len(utterances)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(2).normal(5.0, 2.0, (400, 1))
    low, high = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert (low[0], high[0]) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert np.isnan(bootstrap(values[:1])[0]).all()
