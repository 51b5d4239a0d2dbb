"""What the engine said is what the session holds, sample by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from session_parts import Record, Recorded

from realtime_ser.session.export.tables import TABLES, table, write_tables
from realtime_ser.session.format import STREAMS_SCHEMA, session_folders
from realtime_ser.session.reader import Session
from realtime_ser.types import Estimate, EstimateState, Health, Transcript, Verdict, WindowScores


def test_every_score_and_time_is_the_engines(recorded: Recorded) -> None:
    windows = [output for output in recorded.outputs if isinstance(output, WindowScores)]
    verdicts = [output for output in recorded.outputs if isinstance(output, Verdict)]
    estimates = [
        output for output in recorded.outputs if isinstance(output, Estimate) and output.state is not EstimateState.NO_SPEECH
    ]
    assert len(verdicts) >= 2
    with Session(recorded.folder) as session:
        held = session.windows()
        assert np.array_equal(held.first, [span.first for part in windows for span in part.window_spans()])
        assert np.array_equal(held.scores, np.concatenate([part.scores for part in windows]))
        assert np.array_equal(held.voiced, np.concatenate([part.voiced for part in windows]))
        for row, verdict in zip(session.utterances(), verdicts, strict=True):
            estimate = verdict.estimate
            assert (row["start_sample"], row["end_sample"]) == (verdict.span.first, verdict.span.end)
            assert (row["label"], row["state"], row["reason"]) == (estimate.label, estimate.state, verdict.reason)
            assert list(row["scores"].values()) == estimate.scores.tolist()
            assert list(row["acoustic"].values()) == estimate.acoustic.tolist()
        rows = session.estimates()
        assert [(row["start_sample"], row["end_sample"]) for row in rows] == [
            (estimate.span.first, estimate.span.end) for estimate in estimates
        ]
        assert len(session.health()) == sum(isinstance(output, Health) for output in recorded.outputs)
        assert session.samples == windows[-1].span.end or session.samples > windows[-1].span.end
        assert session.state().phase == "closed"
        assert "the input ended" in session.state().message


def test_words_are_those_of_the_last_transcript(recorded: Recorded) -> None:
    last: dict[int, Transcript] = {}
    for output in recorded.outputs:
        if isinstance(output, Transcript):
            last[output.utterance] = output
    expected = [(word.text, word.span.first, word.span.end) for number in sorted(last) for word in last[number].words]
    assert expected
    with Session(recorded.folder) as session:
        assert [(word["text"], word["start_sample"], word["end_sample"]) for word in session.words()] == expected


def test_a_closed_session_is_a_header_and_a_file_for_each_kind(recorded: Recorded) -> None:
    assert {path.name for path in recorded.folder.iterdir()} == {"session.json", "session.sqlite", "audio.sqlite"}
    assert session_folders(recorded.folder.parent) == [recorded.folder]


def test_tables_hold_the_same_times(recorded: Recorded, tmp_path: Path) -> None:
    with Session(recorded.folder) as session:
        write_tables(session, tmp_path, ".csv")
        windows = pd.read_csv(tmp_path / "windows.csv")
        held = session.windows()
        assert np.allclose(windows["start"] * 16_000, held.first, atol=1e-6)
        assert np.allclose(windows["end"] * 16_000, held.first + 4_000, atol=1e-6)
        assert np.allclose(windows[list(session.header.classes)], held.scores, atol=1e-6)
        for name in TABLES:
            assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(table(session, name))


def test_the_sound_is_the_sound_that_was_heard(recorded: Recorded, two_utterances: np.ndarray) -> None:
    with Session(recorded.folder) as session:
        pieces = list(session.audio())
    assert [first for first, _ in pieces][1:] == [first + len(samples) for first, samples in pieces][:-1]
    assert np.allclose(np.concatenate([samples for _, samples in pieces]), two_utterances, atol=1 / 32_768)


def test_scores_only_leaves_no_word_and_no_sound(record: Record, tmp_path: Path) -> None:
    recorded = record(tmp_path)
    spoken = {word.text for output in recorded.outputs if isinstance(output, Transcript) for word in output.words}
    assert spoken
    with Session(recorded.folder) as session:
        assert session.words() == []
        assert len(session.windows().first) > 500
        assert not session.has_audio
    content = (recorded.folder / "session.sqlite").read_bytes().decode("latin-1")
    telling = [word for word in spoken if len(word) > 4 and word not in STREAMS_SCHEMA]
    assert telling
    assert not [word for word in telling if word in content]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_begins_with_times(recorded: Recorded, name: str) -> None:
    with Session(recorded.folder) as session:
        columns = list(table(session, name).columns)
    assert name == "changes" or columns[:4] == ["start", "end", "start_sample", "end_sample"]
