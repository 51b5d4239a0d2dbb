"""Counting word errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.recognizers import Clip, Figures, align, error_rate, normalised_words, report

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors", "right"),
    [
        ("", "", 0, []),
        ("a b c", "a b c", 0, [True, True, True]),
        ("a b c", "a c", 1, [True, True]),
        ("a c", "a b c", 1, [True, False, True]),
        ("a b c", "a x c", 1, [True, False, True]),
        ("a b", "", 2, []),
        ("", "a b", 2, [False, False]),
    ],
)
def test_alignment(reference: str, hypothesis: str, errors: int, right: list[bool]) -> None:
    assert align(reference.split(), hypothesis.split()) == (errors, right)


@given(WORDS, WORDS)
def test_alignment_is_a_distance(first: list[str], second: list[str]) -> None:
    errors, right = align(first, second)
    assert errors == align(second, first)[0]
    assert (errors == 0) == (first == second)
    assert abs(len(first) - len(second)) <= errors <= max(len(first), len(second))
    # Every word of the hypothesis that is not right is a substitution or an insertion.
    assert right.count(False) <= errors


def test_normalisation() -> None:
    assert normalised_words("MISTER Smith's -- well, 'tis!") == ["mr", "smith's", "well", "'tis"]


def test_error_rate() -> None:
    assert error_rate([(1, 10), (1, 10)]) == (0.1, 0.1, 0.1)
    rate, low, high = error_rate([(0, 10), (5, 10)] * 20)
    assert low < rate == 0.25 < high


def test_report() -> None:
    figures = Figures(load=0.5, audio=60.0, cpu=6.0, steps=[0.01, 0.02], finishes=[0.1], errors={"group": [(1, 4)]})
    figures.words = [(0.2, False), (1.0, True), (0.95, True), (0.9, False)]
    text = "\n".join(report({"Some (model)": figures}, [Clip("group", Path("x"), "a b c d")]))
    assert "| group | 4 | 25% (25%–25%) |" in text
    assert "| Some (model) | 0.50 | 0.10 | 15 / 20 / 20 | 100 / 100 / 100 |" in text
    assert "| Some (model) | 0% (1) | – (0) | 50% (2) | 100% (1) |" in text
