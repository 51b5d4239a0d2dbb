"""The page of figures: written from the bundle's card and the reports, and up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from realtime_ser.bundle.loader import load_bundle
from realtime_ser.errors import ConfigError
from training.__main__ import main
from training.card import render_card, render_reports, with_sections

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_says_what_the_shipped_bundle_and_the_reports_say() -> None:
    page = ROOT / "docs" / "evaluation.md"
    assert main(["card", "--check", "--page", str(page), "--reports", str(page.parent / "evaluation")]) == 0


def test_a_page_out_of_date_is_told_and_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Before.\n<!-- begin card -->\nout of use\n<!-- end card -->\n"
        "<!-- begin crossvalidation -->\n<!-- end crossvalidation -->\n",
        encoding="utf-8",
    )
    options = ["card", "--page", str(page), "--reports", str(tmp_path)]
    assert main([*options, "--check"]) == 1
    assert "out of use" in page.read_text(encoding="utf-8")
    assert main(options) == 0
    assert main([*options, "--check"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before.\n")
    assert "out of use" not in text


def test_every_figure_and_limit_of_the_card_is_on_the_page() -> None:
    manifest = load_bundle().manifest
    text = render_card(manifest)
    for figure in manifest.card.figures:
        assert f"{figure.value:.3f}" in text
        assert all(said in text for said in (figure.data, figure.date, figure.hardware))
        # A statement may begin a sentence here.
        assert all(said.lower() in text.lower() for said in figure.protocol.split("; "))
    # Twice the same conditions, in rows; what holds for all of them is not repeated.
    assert text.count("at most 2 clips per speaker and class") == 1
    assert sum(line.startswith("| EMOVO: EMOVO") and "| condition: " in line for line in text.splitlines()) == 16
    for limit in manifest.card.limits:
        assert limit in text
    for data in manifest.card.data:
        assert f"| {data.name} | {data.licence} |" in text


def measured(mean: float) -> dict[str, Any]:
    """A figure as reports write it."""
    return {
        "mean": mean,
        "pooled": mean,
        "interval over folds": [mean - 0.1, mean + 0.1],
        "interval over speakers": [None, None],
    }


def test_reports_are_set_against_their_floor(tmp_path: Path) -> None:
    figures = {"egemaps-svm": 0.5, "acoustic": 0.75}
    report = {
        "corpora": ["RAVDESS"],
        "classes": ["anger", "sadness"],
        "levels": "as recorded",
        "protocol": "speaker",
        "systems": {
            name: {key: measured(value) for key in ("UA", "ECE", "accuracy at 50 % coverage")}
            for name, value in figures.items()
        },
    }
    folder = tmp_path / "evaluation" / "ravdess"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    rows = render_reports(tmp_path / "evaluation", tmp_path).splitlines()
    assert len(rows) == 4
    assert "[RAVDESS](evaluation/ravdess/report.md), 2 classes" in rows[2]
    assert "| acoustic | 0.750 | 0.650 – 0.850 | – | +0.250 |" in rows[3]


def test_markers_without_a_section_are_refused() -> None:
    with pytest.raises(ConfigError, match="markers"):
        with_sections("<!-- begin other -->\n<!-- end other -->", {"card": "text"})
