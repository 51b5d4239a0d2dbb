"""PocketSphinx, with its real model; its process is tested in ``test_worker.py``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.types import FloatArray
from training.recognizers import align, normalised_words

from .conftest import decode

SILENCE = np.zeros(1600, np.float32)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[PocketSphinxRecognizer]:
    with PocketSphinxRecognizer() as recognizer:
        yield recognizer


@pytest.fixture(scope="module")
def readings(data_dir: Path) -> list[tuple[FloatArray, str]]:
    """LibriVox readings: samples, what is read."""
    with (data_dir / "clips" / "transcripts.tsv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["path"].startswith("librivox/")]
    rows.sort(key=lambda row: float(row["seconds"]))
    return [(sf.read(data_dir / "clips" / row["path"], dtype="float32")[0], row["transcript"]) for row in rows]


def test_words_of_a_reading(recognizer: PocketSphinxRecognizer, readings: list[tuple[FloatArray, str]]) -> None:
    errors = count = 0
    for index, (samples, text) in enumerate(readings[:2]):
        first = 160_000 * index + 7
        partial, final = decode(recognizer, samples, utterance=index, first_sample=first)
        reference = normalised_words(text)
        errors += align(reference, [word.text for word in final.words])[0]
        count += len(reference)
        assert (final.utterance, final.final, final.heard_until) == (index, True, first + len(samples))
        assert all(0.0 <= word.confidence <= 1.0 for word in final.words)
        edges = [edge for word in final.words for edge in (word.span.first, word.span.end)]
        assert edges == sorted(edges)
        assert first <= edges[0] <= edges[-1] <= final.heard_until
        assert len(partial) > len(samples) / 1600 / 2
        assert all(math.isnan(transcript.confidence) and not transcript.final for transcript in partial)
        # The words grow while they are spoken, they do not come all at once in the end.
        halfway = next(transcript for transcript in partial if transcript.heard_until > first + len(samples) // 2)
        assert 0 < len(halfway.words) < len(final.words)
    # 34 to 38 % are typical of these readings; this is to notice a broken code path, not a change in quality.
    assert errors / count < 0.6


def test_an_utterance_depends_on_its_own_samples_only(
    recognizer: PocketSphinxRecognizer, readings: list[tuple[FloatArray, str]]
) -> None:
    samples = readings[0][0][:24_000]
    _, alone = decode(recognizer, samples, first_sample=777)
    recognizer.begin(1, 0)
    recognizer.accept(readings[1][0][:16_000])  # dropped, not finished
    partial, final = decode(recognizer, samples, first_sample=777, cuts=[1, 2000, 2001, 20_000])
    assert final == alone
    assert final.words
    assert partial


def test_nothing_said(recognizer: PocketSphinxRecognizer) -> None:
    recognizer.begin(1, 50)
    final = recognizer.finish()
    assert (final.words, final.heard_until) == ((), 50)
    assert math.isnan(final.confidence)
    recognizer.begin(2, 50)
    assert recognizer.accept(SILENCE[:0]) is None
    recognizer.accept(SILENCE[:7])
    assert recognizer.finish().heard_until == 57
