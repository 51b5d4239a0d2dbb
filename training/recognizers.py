"""How well and how fast the speech recognisers write: word error rate, time, and what their confidences are worth.

``python -m training recognizers`` decodes transcribed clips as the engine does, one utterance each in steps of 100 ms, and
writes ``docs/recognizers.md``. No network is trained and PyTorch is not needed.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile as sf

from realtime_ser.asr.discovery import choose_recognizer
from realtime_ser.asr.protocol import Recognizer
from realtime_ser.asr.steps import DECODING_STEP
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError
from realtime_ser.types import FloatArray, Word

RAVDESS_SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
RAVDESS_EMOTIONS = {"01": "neutral", "03": "happiness", "04": "sadness", "05": "anger"}
TEST_MODEL = "vosk-an4"
"""Knows the 101 words of AN4 only, and is measured on nothing else."""
BOOTSTRAP_ROUNDS = 2_000
CONFIDENCE_EDGES = (0.0, 0.5, 0.9, 0.99, 1.0)


def normalised_words(text: str) -> list[str]:
    """Lower-case words without punctuation; "mister" is written as PocketSphinx and Vosk write it."""
    words = re.sub(r"[^a-z' ]+", " ", text.lower()).split()
    return [{"mister": "mr", "missis": "mrs"}.get(word, word) for word in words]


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, list[bool]]:
    """Levenshtein alignment of words.

    Returns
    -------
    errors
        Substitutions, deletions and insertions, the fewest possible.
    right
        For every word of `hypothesis`, whether it stands on an equal word of `reference`.
    """
    rows, columns = len(reference) + 1, len(hypothesis) + 1
    cost = np.zeros((rows, columns), int)
    cost[:, 0], cost[0, :] = np.arange(rows), np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            exchange = cost[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1])
            cost[i, j] = min(exchange, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    right = [False] * len(hypothesis)
    i, j = rows - 1, columns - 1
    while i and j:
        same = reference[i - 1] == hypothesis[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + (not same):
            right[j - 1] = same
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(cost[-1, -1]), right


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is said in it."""

    group: str
    path: Path
    text: str


@dataclass(slots=True)
class Figures:
    """What was counted for one recogniser; times in seconds."""

    load: float = 0.0
    audio: float = 0.0
    cpu: float = 0.0
    steps: list[float] = field(default_factory=list)
    finishes: list[float] = field(default_factory=list)
    errors: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    words: list[tuple[float, bool]] = field(default_factory=list)


def transcribed_clips(data: Path) -> list[Clip]:
    """AN4, LibriSpeech and LibriVox clips with transcripts, and acted emotions of RAVDESS (one clip an actor and emotion)."""
    table = data / "clips" / "transcripts.tsv"
    if not table.is_file():
        raise ConfigError(f"There are no transcribed clips at {table}.", "Name the data folder with --data.")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    clips = [
        Clip(row["set"].removesuffix(" via pocketsphinx tests"), data / "clips" / row["path"], row["transcript"])
        for row in rows
    ]
    ravdess = data / "corpora" / "ravdess"
    for path in sorted(ravdess.rglob("03-01-*.*")) if ravdess.is_dir() else []:
        _, _, emotion, intensity, sentence, repetition, actor = path.stem.split("-")
        # Both sentences, every actor: the sentence alternates with the actor's number, which is also the actor's gender.
        if emotion in RAVDESS_EMOTIONS and intensity == repetition == "01" and int(sentence) == 1 + int(actor) // 2 % 2:
            clips.append(Clip(f"RAVDESS {RAVDESS_EMOTIONS[emotion]}", path, RAVDESS_SENTENCES[sentence]))
    return clips


def decode(recognizer: Recognizer, samples: FloatArray, figures: Figures) -> tuple[Word, ...]:
    """Decode `samples`, float32 ``(n,)`` at 16 kHz, as one utterance in the engine's steps; the final words."""
    recognizer.begin(0, 0)
    for first in range(0, len(samples), DECODING_STEP):
        began = time.perf_counter()
        recognizer.accept(samples[first : first + DECODING_STEP])
        figures.steps.append(time.perf_counter() - began)
    began = time.perf_counter()
    words = recognizer.finish().words
    figures.finishes.append(time.perf_counter() - began)
    return words


def measure(make: Callable[[], Recognizer], clips: Sequence[Clip]) -> Figures:
    """Decode all `clips` with one recogniser."""
    figures = Figures()
    before = _cpu_seconds()
    began = time.perf_counter()
    with make() as recognizer:
        figures.load = time.perf_counter() - began
        for clip in clips:
            samples, rate = sf.read(clip.path, dtype="float32")
            if rate != ENGINE_RATE or samples.ndim != 1:
                raise ConfigError(f"{clip.path} is not mono at {ENGINE_RATE} Hz.")
            words = decode(recognizer, samples, figures)
            reference = normalised_words(clip.text)
            errors, right = align(reference, [word.text for word in words])
            figures.errors.setdefault(clip.group, []).append((errors, len(reference)))
            figures.words += zip((word.confidence for word in words), right, strict=True)
            figures.audio += len(samples) / rate
    figures.cpu = _cpu_seconds() - before  # the recogniser's process counts once it has ended
    return figures


def error_rate(counts: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """Word error rate of clips given as (errors, words), with a 95 % interval from resampling clips (2,000 rounds, seed 0)."""
    table = np.array(counts)
    picks = np.random.default_rng(0).integers(0, len(table), (BOOTSTRAP_ROUNDS, len(table)))
    totals = table[picks].sum(axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], (0.025, 0.975))
    return float(table[:, 0].sum() / table[:, 1].sum()), float(low), float(high)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training recognizers``."""
    parser.add_argument(
        "--vosk-model", type=Path, action="append", help="Vosk model to measure (default: vosk-an4 of the data)"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="measure every Nth clip of each kind only")
    parser.add_argument("--out", type=Path, default=Path("docs/recognizers.md"), help="report to write (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure and write the report."""
    data = args.data or Path(os.environ.get("REALTIME_SER_DATA", "../shared"))
    groups: dict[str, list[Clip]] = {}
    for clip in transcribed_clips(data):
        groups.setdefault(clip.group, []).append(clip)
    # Of few clips all are taken.
    clips = [clip for group in groups.values() for clip in (group[:: args.every] if len(group) > 10 else group)]
    models: list[str | Path] = ["pocketsphinx", *(args.vosk_model or [data / TEST_MODEL])]
    results: dict[str, Figures] = {}
    for model in models:
        choice = choose_recognizer(model)
        if choice.factory is None or choice.label is None:
            raise ConfigError(f"{model} is no recogniser.")
        known = [clip for clip in clips if choice.label.model != TEST_MODEL or clip.group.startswith("AN4")]
        print(f"{choice.label}: {len(known)} clips …", flush=True)
        results[str(choice.label)] = measure(choice.factory, known)
    args.out.write_text("\n".join(report(results, clips)) + "\n", encoding="utf-8")
    print(f"written: {args.out}")
    return 0


def report(results: dict[str, Figures], clips: Sequence[Clip]) -> Iterator[str]:
    """The lines of the report, in Markdown."""
    first = next(iter(results.values()))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pocketsphinx", "vosk"))
    yield "# The recognisers, measured"
    yield ""
    yield f"Written by `python -m training recognizers` on {datetime.date.today():%Y-%m-%d}. {versions}, Python"
    yield f"{platform.python_version()}, {_processor()}, {os.cpu_count()} logical cores, other work running beside."
    yield f"{len(clips)} clips, {first.audio / 60:.1f} minutes, each decoded as one utterance in steps of 100 ms."
    yield f"`{TEST_MODEL}` is a test model that knows the 101 words of AN4 only: it stands here for Vosk's code path and times,"
    yield "not for what Vosk's own models reach."
    yield ""
    yield "## Word error rate"
    yield "In brackets a 95 % interval, from resampling clips. RAVDESS: actors saying one of two sentences, normal intensity."
    yield ""
    yield f"| | words | {' | '.join(results)} |"
    yield f"|---|---|{'---|' * len(results)}"
    for group, counts in first.errors.items():
        cells = " | ".join(_rate(figures.errors.get(group, ())) for figures in results.values())
        yield f"| {group} | {sum(count for _, count in counts)} | {cells} |"
    yield ""
    yield "## Time"
    yield "Real-time factor: processor time, all passes and loading included, by the length of the audio. Step and end: wall"
    yield "time of decoding 100 ms, and of the last pass when an utterance ends, with the way to its process and back."
    yield ""
    yield "| | load, s | real-time factor | step, ms, p50 / p95 / max | end, ms, p50 / p95 / max |"
    yield "|---|---|---|---|---|"
    for name, figures in results.items():
        factor = figures.cpu / figures.audio
        yield f"| {name} | {figures.load:.2f} | {factor:.2f} | {_spread(figures.steps)} | {_spread(figures.finishes)} |"
    yield ""
    yield "## What a confidence is worth"
    yield "Share of the recognised words that are right, by the confidence that the recogniser gave them (number of words)."
    yield ""
    bins = list(pairwise(CONFIDENCE_EDGES))
    yield f"| | {' | '.join(f'{low:g} to {high:g}' for low, high in bins)} |"
    yield f"|---|{'---|' * len(bins)}"
    for name, figures in results.items():
        yield f"| {name} | {' | '.join(_share_right(figures.words, low, high) for low, high in bins)} |"


def _rate(counts: Sequence[tuple[int, int]]) -> str:
    if not counts:
        return "–"
    rate, low, high = error_rate(counts)
    return f"{rate:.0%} ({low:.0%}–{high:.0%})"


def _share_right(words: Sequence[tuple[float, bool]], low: float, high: float) -> str:
    right = [hit for confidence, hit in words if low <= confidence < high or confidence == high == CONFIDENCE_EDGES[-1]]
    return f"{np.mean(right):.0%} ({len(right)})" if right else "– (0)"


def _spread(seconds: Sequence[float]) -> str:
    p50, p95 = np.quantile(seconds, (0.5, 0.95)) * 1000
    return f"{p50:.0f} / {p95:.0f} / {max(seconds) * 1000:.0f}"


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (match := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text(encoding="utf-8"))):
        return match[1].strip()
    return platform.processor() or platform.machine()
