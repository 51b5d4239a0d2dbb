"""The report says what was found: figures by hand, calibration, ablation, published figures only with a source, plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="install the 'training' extra")

from training.corpora import FOUR_CLASSES, Clip
from training.report import PUBLISHED, Failure, Result, render, summarise, write_report
from training.systems.base import Fold

FACTS: dict[str, Any] = {
    "title": "Cross-validation of nothing",
    "quick": False,
    "date": "2026-01-31",
    "hardware": "an abacus",
    "command": "python -m training crossval",
    "protocol": "speaker",
    "protocol description": "two folds",
    "levels": "as recorded",
    "seed": 1,
    "versions": {"Python": "3.11"},
    "corpora": ["IEMOCAP"],
    "data": [
        {"corpus": "IEMOCAP", "clips": 24, "speakers": 6, "classes": dict.fromkeys(FOUR_CLASSES, 6), "licence": "made | up"}
    ],
    "left out": {"without audio that can be decoded": {"clips": 1, "named": ["a/b.wav"]}},
    "words": "none",
    "not run": {"mdre": "it reads"},
}


def clip(speaker: int, label: int) -> Clip:
    name = FOUR_CLASSES[label]
    return Clip(f"a/{speaker}{label}.wav", "IEMOCAP", "en", f"S{speaker}", name, name, 1.0, "", gender="fm"[speaker % 2])


CLIPS = {speaker: tuple(clip(speaker, label) for label in range(4)) for speaker in range(6)}
LABELS = {each.path: FOUR_CLASSES.index(each.emotion) for some in CLIPS.values() for each in some}
FOLDS = [
    Fold(1, CLIPS[2] + CLIPS[3], CLIPS[4] + CLIPS[5], CLIPS[0] + CLIPS[1]),
    Fold(2, CLIPS[4] + CLIPS[5], CLIPS[2] + CLIPS[3], CLIPS[0] + CLIPS[1]),
]


def scores(said: list[int], sure: float = 0.7) -> np.ndarray:
    """Log-probabilities that name the classes `said`."""
    rest = (1 - sure) / 3
    return np.log(np.where(np.eye(4)[said] == 1, sure, rest))


def result(name: str, fold: int, said: list[int], cutoff: float | None = None, **details: Any) -> Result:
    validation = [LABELS[each.path] for each in FOLDS[fold - 1].validation]
    if cutoff is not None:
        details["cutoffs"] = {"initial_low_hz": [100.0], "initial_high_hz": [200.0], "low_hz": [100.0], "high_hz": [cutoff]}
    return Result(name, fold, True, False, scores(said), scores(validation[::-1], 0.4), 10.0, 1.0, details)


RIGHT = [0, 1, 2, 3, 0, 1, 2, 3]
ONE_WRONG = [0, 1, 2, 3, 0, 1, 2, 0]
NEUTRAL = [2] * 8
RESULTS = [
    result("acoustic", 1, RIGHT, 230.0),
    result("acoustic", 2, ONE_WRONG, 250.0),
    result("acoustic-frozen", 1, ONE_WRONG, 200.0),
    result("acoustic-frozen", 2, NEUTRAL, 200.0),
]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return summarise(FOLDS, LABELS, FOUR_CLASSES, RESULTS, [Failure("text", 2, "no | words")], FACTS)


def test_figures_by_hand(report: dict[str, Any]) -> None:
    acoustic = report["systems"]["acoustic"]
    assert acoustic["UA"]["folds"] == acoustic["WA"]["folds"] == [1.0, 0.875]
    assert acoustic["UA"]["mean"] == 0.9375
    # Two folds: the quantile of Student's t with one degree of freedom is 12.706.
    low, high = acoustic["UA"]["interval over folds"]
    assert (high - low) / 2 == pytest.approx(12.706 * 0.125 / 2, abs=1e-3)
    assert acoustic["confusion"] == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [1, 0, 0, 3]]
    assert {name: each["UA"] for name, each in acoustic["per speaker"].items()} == {"S0": 1.0, "S1": 0.875}
    assert {name: each["utterances"] for name, each in acoustic["per gender"].items()} == {"f": 8, "m": 8}
    assert acoustic["UA"]["interval over speakers"] == [0.875, 1.0]
    assert report["systems"]["acoustic-frozen"]["UA"]["folds"] == [0.875, 0.25]


def test_ablation_is_fold_by_fold(report: dict[str, Any]) -> None:
    row = next(row for row in report["ablation"] if row["measure"] == "UA")
    assert (row["learnt"], row["frozen"], row["gain"]) == (0.9375, 0.5625, 0.375)
    assert report["systems"]["acoustic"]["cutoffs"]["mean movement"] == 20.0
    assert report["systems"]["acoustic"]["cutoffs"]["largest movement"] == 50.0


def test_confidence_is_calibrated_on_validation_unless_it_was_learnt_from() -> None:
    tempered = summarise(FOLDS, LABELS, FOUR_CLASSES, RESULTS[:2], [], FACTS)["systems"]["acoustic"]
    assert min(tempered["temperatures"]) > 3, "it was wrong on all of its validation clips: nothing may stay confident"
    assert tempered["ECE"]["pooled"] > tempered["ECE before calibration"]["pooled"]
    learnt = [result("acoustic", fold, RIGHT, learns_from_validation=True) for fold in (1, 2)]
    kept = summarise(FOLDS, LABELS, FOUR_CLASSES, learnt, [], FACTS)["systems"]["acoustic"]
    assert kept["temperatures"] == [1.0, 1.0]
    assert kept["ECE"]["pooled"] == kept["ECE before calibration"]["pooled"] == pytest.approx(0.3)


def test_everything_is_written(report: dict[str, Any], tmp_path: Path) -> None:
    write_report(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report))
    assert not (tmp_path / "cutoffs-acoustic-frozen.svg").exists(), "nothing moved there"
    for name in ("confusion", "coverage", "cutoffs-acoustic"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    drawn = (tmp_path / "confusion.svg").read_text(encoding="utf-8")
    assert "75 %" in drawn, "numbers are written into the matrices, as text"
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for said in ("an abacus", "2026-01-31", "a/b.wav", "made / up", "| text | 2 | no / words |", "+0.375", "mdre: it reads"):
        assert said in text
    for line in text.splitlines():
        if "](" in line:
            assert (tmp_path / line.split("](")[1].rstrip(")")).is_file()


def test_tables_are_well_formed(report: dict[str, Any], tmp_path: Path) -> None:
    write_report(report, tmp_path)
    columns = 0
    for line in (tmp_path / "report.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            columns = columns or line.count("|")
            assert line.count("|") == columns, line
        else:
            columns = 0


def test_published_figures_have_a_source_or_are_not_stated(report: dict[str, Any]) -> None:
    assert all(row.source for row in PUBLISHED if row.wa or row.ua)
    plots = dict.fromkeys(("confusion", "coverage", "cutoffs of acoustic"), "x.svg")
    text = render(report, plots)
    assert "| acoustic (SincNet + DCNN) | not stated | not stated | 0.938" in text
    assert "| MDRE | 0.718 | not stated | not run | not run | Yoon et al., SLT 2018" in text
    assert "published" not in render({**report, "corpora": ["RAVDESS"]}, plots)


def test_a_report_without_any_result(tmp_path: Path) -> None:
    empty = summarise(FOLDS, LABELS, FOUR_CLASSES, [], [Failure("text", 1, "no")], FACTS)
    write_report(empty, tmp_path)
    assert "No system finished a fold." in (tmp_path / "report.md").read_text(encoding="utf-8")
