"""The grid of decoding steps, and the times of partial words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.asr.protocol import mean_confidence
from realtime_ser.asr.steps import PartialWords, StepCutter, pcm16
from realtime_ser.types import Span, Word


@given(first=st.integers(0, 500), length=st.integers(0, 400), step=st.integers(1, 120), cuts=st.lists(st.integers(0, 400)))
def test_any_cut_gives_the_same_pieces(first: int, length: int, step: int, cuts: list[int]) -> None:
    samples = np.arange(first, first + length, dtype=np.float32)
    cutter = StepCutter(first, step)
    pieces = []
    for block in np.split(samples, sorted(cut for cut in cuts if cut <= length)):
        for piece in cutter.feed(block):
            pieces.append(piece)
            assert cutter.position % step == 0
            assert cutter.position == piece[-1] + 1
    rest = cutter.flush()
    assert cutter.position == first + length
    assert all(int(piece[0]) % step == 0 for piece in pieces[1:])
    np.testing.assert_array_equal(np.concatenate([*pieces, rest]), samples)
    assert [len(piece) for piece in pieces[1:]] == [step] * len(pieces[1:])
    assert len(rest) < step


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="first_sample"):
        StepCutter(-1, 10)
    with pytest.raises(ValueError, match="step"):
        StepCutter(0, 0)
    with pytest.raises(ValueError, match="dimension"):
        list(StepCutter(0, 10).feed(np.zeros((2, 2), np.float32)))


def test_pcm_is_exact_and_clips() -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    assert pcm16(every.astype(np.float32) / 32768) == every.astype("<i2").tobytes()
    assert np.frombuffer(pcm16(np.array([1.0, 7.0, -1.0, -7.0], np.float32)), "<i2").tolist() == [32767, 32767, -32768, -32768]


def test_partial_words_get_the_time_in_which_they_appeared() -> None:
    words = PartialWords(100)
    assert words.update([], 200) == ()
    assert [word.span for word in words.update(["a"], 300)] == [Span(100, 300)]
    assert [word.span for word in words.update(["a", "b", "c"], 500)] == [Span(100, 300), Span(300, 400), Span(400, 500)]
    revised = words.update(["a", "x"], 600)
    assert [(word.text, word.span) for word in revised] == [("a", Span(100, 300)), ("x", Span(300, 600))]
    assert all(math.isnan(word.confidence) for word in revised)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
def test_partial_words_are_in_order_and_inside_what_was_heard(revisions: list[list[str]]) -> None:
    partial = PartialWords(50)
    for index, texts in enumerate(revisions):
        words = partial.update(texts, 50 + 7 * index)
        assert [word.text for word in words] == texts
        edges = [edge for word in words for edge in (word.span.first, word.span.end)]
        assert edges == sorted(edges)
        assert all(50 <= edge <= 50 + 7 * index for edge in edges)


def test_mean_confidence() -> None:
    span = Span(0, 1)
    assert math.isnan(mean_confidence([]))
    assert mean_confidence([Word("a", span, 0.25), Word("b", span, 0.75)]) == 0.5
    assert math.isnan(mean_confidence([Word("a", span, 0.25), Word("b", span, math.nan)]))
