"""What a cross-validation found, as ``report.json``, ``report.md`` and plots.

Every figure comes from test clips. Probabilities are calibrated first: one temperature per system and fold, fitted on the
fold's validation clips; that changes confidences, never the class that is named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.corpora import Clip
from training.folds import genders
from training.metrics import (
    accuracy_at_coverage,
    confusion_matrix,
    coverage_curve,
    expected_calibration_error,
    fit_temperature,
    fold_interval,
    softmax,
    speaker_interval,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)
from training.plots import plot_confusion, plot_coverage, plot_cutoffs
from training.systems.base import Fold

__all__ = ["PUBLISHED", "Failure", "Published", "Result", "render", "summarise", "write_report"]

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a published figure on IEMOCAP, four classes; ``""`` where no source that could be read states it.

    Attributes
    ----------
    name
        The system, as the paper calls it.
    system
        Its name here.
    both
        Whether it hears and reads (Table 2), or does one of them (Table 1).
    """

    name: str
    system: str
    both: bool
    wa: str = ""
    ua: str = ""
    source: str = ""


PAPER = "Priyasad et al., ICASSP 2020, abstract (arXiv:2009.10991)"
PUBLISHED = (
    Published("acoustic (SincNet + DCNN)", "acoustic", both=False),
    Published("text (two branches, cross-attention)", "text", both=False),
    Published("Evec-MCNN-LSTM", "evec-mcnn-lstm", both=True),
    Published(
        "MDRE", "mdre", both=True, wa="0.718", source="Yoon et al., SLT 2018, abstract (arXiv:1810.04635): 68.8 % to 71.8 %"
    ),
    Published(
        "MHA-2",
        "mha-2",
        both=True,
        wa="6.5 % (relative) above the best before",
        source="Yoon et al., ICASSP 2019, abstract (arXiv:1904.10788)",
    ),
    Published("F-I", "fusion-1", both=True),
    Published("F-II", "fusion-2", both=True),
    Published("F-III", "fusion-3", both=True, wa="3.5 % above existing methods", source=PAPER),
)
"""Only what a source that could be read says; the papers' tables were not at hand when this was written."""

METRIC_NOTE = (
    "The authors of MDRE and MHA-2 wrote later (README of their repository attentive-modality-hopping-for-SER) that an"
    " evaluation of theirs had reported precision as accuracy, and that accuracy is lower, the unweighted one above all."
)


@dataclass(frozen=True)
class Result:
    """What one system made of one fold.

    Attributes
    ----------
    log_probabilities, validation_log_probabilities
        Of the fold's test and validation clips, shape ``(clips, classes)``.
    fit_seconds, score_seconds
        Time to learn, and to score the test clips.
    """

    system: str
    fold: int
    audio: bool
    text: bool
    log_probabilities: NDArray[np.float64]
    validation_log_probabilities: NDArray[np.float64]
    fit_seconds: float
    score_seconds: float
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A system that could not finish a fold, and why in one line."""

    system: str
    fold: int
    reason: str


@dataclass(frozen=True)
class _Pooled:
    """All tested utterances of one system, in the order of its folds."""

    clips: tuple[Clip, ...]
    labels: NDArray[np.int64]
    raw: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    folds: tuple[slice, ...]

    @property
    def predicted(self) -> NDArray[np.int64]:
        return self.raw.argmax(axis=1).astype(np.int64)


def _pool(results: Sequence[Result], folds: Mapping[int, Fold], labels: Mapping[str, int]) -> tuple[_Pooled, list[float]]:
    clips: list[Clip] = []
    raw, calibrated, temperatures, slices = [], [], [], []
    for result in results:
        fold = folds[result.fold]
        expected = np.array([labels[clip.path] for clip in fold.validation], np.int64)
        # Confidence on clips that a system has learnt from says nothing about others.
        learnt = bool(result.details.get("learns_from_validation"))
        temperature = 1.0 if learnt else fit_temperature(expected, result.validation_log_probabilities)
        temperatures.append(temperature)
        raw.append(softmax(result.log_probabilities))
        calibrated.append(softmax(result.log_probabilities, temperature))
        slices.append(slice(len(clips), len(clips) + len(fold.test)))
        clips += fold.test
    every = np.array([labels[clip.path] for clip in clips], np.int64)
    return _Pooled(tuple(clips), every, np.concatenate(raw), np.concatenate(calibrated), tuple(slices)), temperatures


Measure = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]], float]
MEASURES: dict[str, Measure] = {
    "WA": lambda labels, raw, calibrated: weighted_accuracy(labels, raw.argmax(axis=1)),
    "UA": lambda labels, raw, calibrated: unweighted_accuracy(labels, raw.argmax(axis=1)),
    "weighted F1": lambda labels, raw, calibrated: weighted_f1(labels, raw.argmax(axis=1)),
    "ECE": lambda labels, raw, calibrated: expected_calibration_error(labels, calibrated),
    "ECE before calibration": lambda labels, raw, calibrated: expected_calibration_error(labels, raw),
    "accuracy at 50 % coverage": lambda labels, raw, calibrated: accuracy_at_coverage(labels, calibrated),
}
"""Figures of a system; arguments are labels ``(n,)`` and probabilities ``(n, classes)`` before and after calibration."""


def _measure(name: str, pooled: _Pooled, draws: int) -> dict[str, Any]:
    measure = MEASURES[name]
    values = [measure(pooled.labels[part], pooled.raw[part], pooled.calibrated[part]) for part in pooled.folds]
    low, high = speaker_interval(
        lambda rows: measure(pooled.labels[rows], pooled.raw[rows], pooled.calibrated[rows]),
        [clip.speaker for clip in pooled.clips],
        draws=draws,
    )
    return {
        "mean": _round(float(np.mean(values))),
        "folds": [_round(value) for value in values],
        "interval over folds": [_round(value) for value in fold_interval(values)],
        "pooled": _round(measure(pooled.labels, pooled.raw, pooled.calibrated)),
        "interval over speakers": [_round(low), _round(high)],
    }


def _round(value: float) -> float | None:
    """Four digits; JSON has no word for what is not a number."""
    return round(value, 4) if np.isfinite(value) else None


def _by(pooled: _Pooled, key: Callable[[Clip], str]) -> dict[str, dict[str, Any]]:
    """UA, WA and number of utterances of every group of clips."""
    names = np.array([key(clip) for clip in pooled.clips])
    table = {}
    for name in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == name)
        labels, predicted = pooled.labels[rows], pooled.predicted[rows]
        table[name] = {
            "utterances": len(rows),
            "UA": _round(unweighted_accuracy(labels, predicted)),
            "WA": _round(weighted_accuracy(labels, predicted)),
        }
    return table


def _curve(pooled: _Pooled) -> dict[str, list[float]]:
    """The coverage–accuracy curve at every twentieth."""
    coverage, accuracy = coverage_curve(pooled.labels, pooled.calibrated)
    index = np.unique(np.maximum(0, np.round(np.arange(0.05, 1.0001, 0.05) * len(coverage)).astype(int) - 1))
    return {"coverage": coverage[index].round(4).tolist(), "accuracy": accuracy[index].round(4).tolist()}


def _cutoffs(results: Sequence[Result]) -> dict[str, Any] | None:
    """Initial and learnt cutoffs of the folds, where a system has any."""
    some = [result.details["cutoffs"] for result in results if result.details.get("cutoffs")]
    if not some:
        return None
    initial = np.array([some[0]["initial_low_hz"], some[0]["initial_high_hz"]])
    learnt = np.array([[each["low_hz"], each["high_hz"]] for each in some])
    moved = np.abs(learnt - initial)
    return {
        "initial_low_hz": initial[0].round(2).tolist(),
        "initial_high_hz": initial[1].round(2).tolist(),
        "low_hz": learnt[:, 0].round(2).tolist(),
        "high_hz": learnt[:, 1].round(2).tolist(),
        "mean movement": round(float(moved.mean()), 2),
        "largest movement": round(float(moved.max()), 2),
    }


def _ablation(systems: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Learnt against frozen filters, fold by fold: what it is worth to learn them."""
    rows = []
    for name, summary in systems.items():
        frozen = systems.get(f"{name}-frozen")
        if frozen is None:
            continue
        for measure in ("UA", "WA"):
            own = dict(zip(summary["folds"], summary[measure]["folds"], strict=True))
            other = dict(zip(frozen["folds"], frozen[measure]["folds"], strict=True))
            shared = sorted(own.keys() & other.keys())
            gains = [own[number] - other[number] for number in shared]
            if gains:
                entry = {"system": name, "measure": measure, "folds": shared}
                entry |= {"learnt": _round(float(np.mean([own[number] for number in shared])))}
                entry |= {"frozen": _round(float(np.mean([other[number] for number in shared])))}
                entry |= {"gain": _round(float(np.mean(gains))), "interval": [_round(value) for value in fold_interval(gains)]}
                rows.append(entry)
    return rows


def summarise(
    folds: Sequence[Fold],
    labels: Mapping[str, int],
    classes: Sequence[str],
    results: Sequence[Result],
    failures: Sequence[Failure],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """All figures, fit for JSON.

    Parameters
    ----------
    folds
        Those that were to be run.
    labels
        Class number by :attr:`Clip.path`.
    facts
        What is to be said beside the figures: date, hardware, command, data, left-out clips, versions, protocol, seed.
    """
    by_number = {fold.number: fold for fold in folds}
    systems: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(result.system for result in results):
        own = sorted((result for result in results if result.system == name), key=lambda result: result.fold)
        pooled, temperatures = _pool(own, by_number, labels)
        known = genders(pooled.clips)
        summary: dict[str, Any] = {
            "hears": own[0].audio,
            "reads": own[0].text,
            "folds": [result.fold for result in own],
            "missing folds": sorted(set(by_number) - {result.fold for result in own}),
            "utterances": len(pooled.clips),
        }
        summary |= {measure: _measure(measure, pooled, 100 if facts["quick"] else 1_000) for measure in MEASURES}
        summary |= {
            "temperatures": [round(value, 3) for value in temperatures],
            "confusion": confusion_matrix(pooled.labels, pooled.predicted, len(classes)).tolist(),
            "coverage curve": _curve(pooled),
            "per speaker": _by(pooled, lambda clip: clip.speaker),
            "per gender": _by(pooled, lambda clip, known=known: known[clip.speaker] or "not known"),
            "per corpus": _by(pooled, lambda clip: clip.corpus),
            "fit seconds": [round(result.fit_seconds, 1) for result in own],
            "score seconds": [round(result.score_seconds, 1) for result in own],
            "details": [{key: value for key, value in result.details.items() if key != "cutoffs"} for result in own],
            "cutoffs": _cutoffs(own),
        }
        systems[name] = summary
    return {
        **facts,
        "classes": list(classes),
        "folds": [
            {
                "number": fold.number,
                "auxiliary": len(fold.auxiliary),
                **{
                    name: {
                        "clips": len(part),
                        "speakers": sorted({clip.speaker for clip in part}),
                        "classes": _counts(part, labels, classes),
                    }
                    for name, part in (("train", fold.train), ("validation", fold.validation), ("test", fold.test))
                },
            }
            for fold in folds
        ],
        "systems": systems,
        "ablation": _ablation(systems),
        "failures": [{"system": failure.system, "fold": failure.fold, "reason": failure.reason} for failure in failures],
    }


def _counts(clips: Sequence[Clip], labels: Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(labels[clip.path] for clip in clips)
    return {name: counts[number] for number, name in enumerate(classes)}


def write_report(report: Mapping[str, Any], out: Path) -> None:
    """Write ``report.json``, ``report.md`` and the plots they speak of into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    plots: dict[str, str] = {}
    if report["systems"]:
        plots["confusion"] = plot_confusion(report, out)
        plots["coverage"] = plot_coverage(report, out)
        for name, summary in report["systems"].items():
            if summary["cutoffs"] is not None and summary["cutoffs"]["largest movement"] > 0:
                plots[f"cutoffs of {name}"] = plot_cutoffs(name, summary["cutoffs"], out)
    (out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.md").write_text(render(report, plots), encoding="utf-8")


def render(report: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    """The report as Markdown; `plots` are file names beside it."""
    systems = report["systems"]
    lines = [f"# {report['title']}", ""]
    if report["quick"]:
        lines += ["**A quick run, to see that all works. Its figures measure nothing.**", ""]
    lines += [f"* {name}: {report[key]}" for name, key in FACTS.items() if report.get(key)]
    lines += [f"* versions: {', '.join(f'{name} {version}' for name, version in report['versions'].items())}", ""]
    lines += _data_section(report)
    lines += ["## Figures", ""]
    if not systems:
        lines += ["No system finished a fold.", ""]
    else:
        lines += _figures_section(report)
        lines += _published_section(report)
        lines += _group_sections(report)
        lines += _filter_section(report, plots)
        lines += ["## Confusions", "", f"![Confusion matrices]({plots['confusion']})", ""]
        lines += ["Rows: what the utterance is; columns: what it was called; share of the row, and number of utterances.", ""]
    if report["failures"]:
        lines += ["## What failed", "", "| system | fold | reason |", "|---|---|---|"]
        lines += [f"| {each['system']} | {each['fold']} | {_cell(each['reason'])} |" for each in report["failures"]]
        lines += [""]
    if report.get("not run"):
        lines += ["## Not run", "", *(f"* {name}: {reason}" for name, reason in report["not run"].items()), ""]
    lines += _folds_section(report)
    if systems:
        lines += ["## Coverage and accuracy", "", f"![Accuracy among the most confident utterances]({plots['coverage']})", ""]
    return "\n".join(lines)


FACTS = {
    "date": "date",
    "hardware": "hardware",
    "command": "command",
    "protocol": "protocol description",
    "levels": "levels",
    "word vectors": "word vectors",
    "learnt from beforehand": "pretrained",
    "seed": "seed",
}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _interval(values: Sequence[float | None]) -> str:
    return f"[{values[0]:.3f}, {values[1]:.3f}]" if None not in values else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _data_section(report: Mapping[str, Any]) -> list[str]:
    lines = ["## Data", "", "| corpus | clips | speakers | " + " | ".join(report["classes"]) + " | licence |"]
    lines += ["|---|---|---|" + "---|" * len(report["classes"]) + "---|"]
    for row in report["data"]:
        counts = " | ".join(str(row["classes"][name]) for name in report["classes"])
        lines.append(
            f"| {row['corpus']} | {row['clips']} | {row['speakers']} | {counts} | {_cell(row['licence']) or NOT_STATED} |"
        )
    lines += [""]
    left_out = report["left out"]
    for reason, entry in left_out.items():
        named = f": {', '.join(entry['named'])}" if entry["named"] else ""
        lines.append(f"* left out, {reason}: {entry['clips']}{named}")
    if report.get("words"):
        lines.append(f"* words: {report['words']}")
    return [*lines, ""]


def _figures_section(report: Mapping[str, Any]) -> list[str]:
    """Every system on the same folds: how often it is right, and whether it knows when."""
    lines = [
        "Mean over folds, with two 95 % intervals: over folds (Student's t; folds share training data, so that it is rather",
        "too narrow), and over speakers (bootstrap of whole speakers, of the figure over all folds' utterances together).",
        "",
        "| system | hears | reads | UA | over folds | over speakers | WA | over folds | over speakers | weighted F1 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, summary in report["systems"].items():
        missing = f" ({len(summary['folds'])} of {len(report['folds'])} folds)" if summary["missing folds"] else ""
        cells = [f"{name}{missing}", *("yes" if summary[key] else "no" for key in ("hears", "reads"))]
        for measure in ("UA", "WA"):
            each = summary[measure]
            cells += [_number(each["mean"]), _interval(each["interval over folds"]), _interval(each["interval over speakers"])]
        lines.append("| " + " | ".join([*cells, _number(summary["weighted F1"]["mean"])]) + " |")
    lines += [
        "",
        "Confidence, of all tested utterances together, with 95 % intervals over speakers. Probabilities are calibrated first:",
        "one temperature per fold from its validation clips; none where a system learns from these clips too. ECE: ten equally",
        "filled bins.",
        "",
        "| system | ECE | interval | uncalibrated ECE | right among the most confident 50 % | interval |",
        "|---|---|---|---|---|---|",
    ]
    for name, summary in report["systems"].items():
        ece, half = summary["ECE"], summary["accuracy at 50 % coverage"]
        cells = [name, _number(ece["pooled"]), _interval(ece["interval over speakers"])]
        cells += [_number(summary["ECE before calibration"]["pooled"])]
        cells += [_number(half["pooled"]), _interval(half["interval over speakers"])]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _published_section(report: Mapping[str, Any]) -> list[str]:
    """The paper's two tables with its figures beside ours."""
    if report["corpora"] != ["IEMOCAP"]:
        return []
    lines = ["## Beside the published figures (IEMOCAP, four classes)", ""]
    for number, both in ((1, False), (2, True)):
        what = "voice and words together" if both else "voice or words alone"
        lines += [f"**Table {number}.** {what[0].upper()}{what[1:]}.", ""]
        lines += ["| system | published WA | published UA | WA here | UA here | source |", "|---|---|---|---|---|---|"]
        listed = set()
        for row in (row for row in PUBLISHED if row.both == both):
            summary = report["systems"].get(row.system)
            listed.add(row.system)
            here = (
                ["not run", "not run"]
                if summary is None
                else [
                    f"{_number(summary[key]['mean'])} {_interval(summary[key]['interval over folds'])}" for key in ("WA", "UA")
                ]
            )
            published = (row.wa or NOT_STATED, row.ua or NOT_STATED)
            lines.append("| " + " | ".join([row.name, *published, *here, row.source or "–"]) + " |")
        for name, summary in report["systems"].items():
            if (summary["hears"] and summary["reads"]) == both and name not in listed:
                here = [
                    f"{_number(summary[key]['mean'])} {_interval(summary[key]['interval over folds'])}" for key in ("WA", "UA")
                ]
                lines.append(f"| {name} | – | – | {here[0]} | {here[1]} | – |")
        lines += [""]
    lines += [
        "Published figures come from other divisions and preparations of the corpus. “Not stated”: no source that could be"
    ]
    lines += [f"read states it. {METRIC_NOTE}", ""]
    return lines


def _group_sections(report: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for key, title in (("per corpus", "By corpus"), ("per gender", "By gender"), ("per speaker", "By speaker")):
        names = sorted({name for summary in report["systems"].values() for name in summary[key]})
        if len(names) < 2:
            continue
        lines += [f"## {title}: UA", "", "| | utterances | " + " | ".join(report["systems"]) + " |"]
        lines += ["|---|---|" + "---|" * len(report["systems"])]
        for name in names:
            entries = [summary[key].get(name) for summary in report["systems"].values()]
            utterances = max(entry["utterances"] for entry in entries if entry is not None)
            cells = " | ".join("–" if entry is None else _number(entry["UA"]) for entry in entries)
            lines.append(f"| {name} | {utterances} | {cells} |")
        lines += [""]
    return lines


def _filter_section(report: Mapping[str, Any], plots: Mapping[str, str]) -> list[str]:
    with_filters = {name: summary["cutoffs"] for name, summary in report["systems"].items() if summary["cutoffs"] is not None}
    if not with_filters:
        return []
    lines = ["## Filters", "", "| system | mean movement of a cutoff | largest movement |", "|---|---|---|"]
    lines += [
        f"| {name} | {each['mean movement']:.1f} Hz | {each['largest movement']:.1f} Hz |"
        for name, each in with_filters.items()
    ]
    lines += [""]
    for name in (name for name in with_filters if f"cutoffs of {name}" in plots):
        lines += [f"![Cutoffs of {name}, initial and learnt]({plots[f'cutoffs of {name}']})", ""]
    if report["ablation"]:
        lines += ["What it is worth to learn them (the same training with filters that stay as they were, fold by fold):", ""]
        lines += ["| system | figure | learnt | frozen | gain | 95 % over folds |", "|---|---|---|---|---|---|"]
        for row in report["ablation"]:
            gain = "–" if row["gain"] is None else f"{row['gain']:+.3f}"
            lines.append(
                f"| {row['system']} | {row['measure']} | {_number(row['learnt'])} | {_number(row['frozen'])} | {gain} |"
                f" {_interval(row['interval'])} |"
            )
        lines += [""]
    return lines


def _folds_section(report: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Folds",
        "",
        "| fold | train | validation | test | test speakers | UA of every system |",
        "|---|---|---|---|---|---|",
    ]
    for fold in report["folds"]:
        scores = []
        for name, summary in report["systems"].items():
            if fold["number"] in summary["folds"]:
                value = summary["UA"]["folds"][summary["folds"].index(fold["number"])]
                scores.append(f"{name} {_number(value)}")
        speakers = fold["test"]["speakers"]
        shown = ", ".join(speakers[:8]) + (f" and {len(speakers) - 8} more" if len(speakers) > 8 else "")
        counts = " | ".join(str(fold[part]["clips"]) for part in ("train", "validation", "test"))
        lines.append(f"| {fold['number']} | {counts} | {shown} | {', '.join(scores) or '–'} |")
    return [*lines, ""]
