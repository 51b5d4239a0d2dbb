"""``python -m training crossval``: every system on the same folds of a corpus, and a report of what came of it.

A fold of a system is finished when its ``result.json`` stands in the output folder; running the command again does the rest,
and writes the report anew. A system that fails in a fold is named in the report and stops neither the others nor the fold.
Folds are shared out among processes of this machine (``--jobs``), or among those that ``torchrun`` has started, on machines
that see one output folder: what a fold gives does not depend on it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shlex
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from realtime_ser.errors import AudioFileError, ConfigError
from training.corpora import FOUR_CLASSES, Clip, data_directory, load_clips, open_corpus
from training.folds import check_folds, corpus_folds, describe_folds, divide, each_corpus_left_out, with_auxiliary
from training.loop import apart, default_fabric, first_process_first, keep_config, write_atomically
from training.metrics import unweighted_accuracy, weighted_accuracy
from training.report import Failure, Result, summarise, write_report
from training.systems.base import Fold, Job, ProtocolName
from training.systems.registry import SYSTEMS, make_system

__all__ = ["add_arguments", "classes_of", "examine", "run", "run_fold"]

PEAK = 0.9
"""Peak of every clip whose level is equalised; 1 is full scale."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command, beside ``--data``."""
    parser.add_argument(
        "--corpus", nargs="+", default=[], metavar="NAME", help="corpus (or several, as one) to divide into folds"
    )
    parser.add_argument(
        "--path",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="where it lies, NAME=FOLDER for several (default: in the data folder)",
    )
    parser.add_argument(
        "--protocol",
        choices=("paper", "speaker", "corpus"),
        default="speaker",
        help="paper: random tenths, 8:1:1; speaker: nobody in two parts, IEMOCAP by sessions; corpus: --train and --test, or"
        " every one of --corpus left out once (default: %(default)s)",
    )
    parser.add_argument("--train", nargs="+", default=[], metavar="NAME", help="corpora that train, for --protocol corpus")
    parser.add_argument("--test", nargs="+", default=[], metavar="NAME", help="corpora that are tested, for --protocol corpus")
    parser.add_argument(
        "--classes",
        choices=("four", "all"),
        default="four",
        help="anger, happiness, neutral, sadness; or all labels of the corpus",
    )
    parser.add_argument(
        "--levels-equalised", action="store_true", help="scale every clip to the same peak first, lest loudness tells the label"
    )
    parser.add_argument("--systems", nargs="+", metavar="NAME", help=f"of {', '.join(SYSTEMS)} (default: all that apply)")
    parser.add_argument(
        "--word-vectors", type=Path, help="300-D vectors in GloVe's text format from which networks that read start"
    )
    parser.add_argument(
        "--pretrain",
        nargs="+",
        default=[],
        metavar="NAME",
        help="other corpora from which the acoustic network learns to hear first, not for --protocol paper",
    )
    parser.add_argument("--folds", type=int, help="number of folds (default: as the protocol has it)")
    parser.add_argument("--only", type=int, nargs="+", metavar="FOLD", help="run these folds only, counted from 1")
    parser.add_argument("--jobs", type=int, default=1, help="folds at the same time (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads of each (default: the processors, divided by --jobs)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few steps: to see that all works, not to measure")
    parser.add_argument("--out", type=Path, required=True, help="folder of results and report")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded audio, features (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run what is not finished, write the report; 0 on success, 1 where a system failed in a fold."""
    together = default_fabric()
    with first_process_first(), apart(), contextlib.redirect_stdout(sys.stdout if together.is_global_zero else io.StringIO()):
        course = _prepare(args)
    outcomes = _outcomes(course, args.jobs, together.global_rank, together.world_size)
    if together.world_size > 1:
        import torch

        everyones: list[list[Result | Failure]] = [[] for _ in range(together.world_size)]
        torch.distributed.all_gather_object(everyones, outcomes)
        outcomes = [outcome for some in everyones for outcome in some]
    if together.is_global_zero:
        _report(args, course, outcomes)
    return 1 if any(isinstance(outcome, Failure) for outcome in outcomes) else 0


@dataclass(frozen=True)
class _Course:
    """A cross-validation that can begin."""

    table: _Table
    folds: list[Fold]
    described: str
    names: list[str]
    not_run: dict[str, str]
    job: Job
    threads: int
    word_vectors: Path | None


def _prepare(args: argparse.Namespace) -> _Course:
    """Read the corpora, divide them, and train what all folds start from; says what will be done."""
    names = _chosen_systems(args.systems)
    if args.jobs < 1 or (args.threads is not None and args.threads < 1):
        raise ConfigError("--jobs and --threads must be at least 1.")
    if args.word_vectors is not None and not args.word_vectors.is_file():
        raise ConfigError(f"There is no file {args.word_vectors}.", "--word-vectors wants a file such as glove.6B.300d.txt.")
    table = _gather(args)
    protocol: ProtocolName = "paper" if args.protocol == "paper" else "speaker"
    if args.protocol == "corpus" and args.corpus:
        folds = each_corpus_left_out(table.clips)
    elif args.protocol == "corpus":
        folds = corpus_folds(table.clips, table.train, table.test)
    else:
        folds = divide(table.clips, protocol, args.folds, args.seed)
    if protocol == "speaker":
        folds = with_auxiliary(folds, table.others)
    check_folds(folds, protocol, table.digests)
    described = describe_folds(folds, protocol)
    membership = [
        [[clip.path for clip in part] for part in (fold.train, fold.validation, fold.test, fold.auxiliary)] for fold in folds
    ]
    plan = {
        "corpora": table.corpora,
        "protocol": args.protocol,
        "classes": list(table.classes),
        "levels equalised": args.levels_equalised,
        "seed": args.seed,
        "quick": args.quick,
        "word vectors": args.word_vectors.name if args.word_vectors else "",
        "pretrained on": sorted(args.pretrain),
        "folds": len(folds),
        "membership": hashlib.sha256(json.dumps(membership).encode()).hexdigest()[:16],
    }
    keep_config(args.out / "plan.json", plan)
    chosen = [fold for fold in folds if args.only is None or fold.number in args.only]
    if not chosen:
        raise ConfigError(f"There is no fold {', '.join(map(str, args.only))}.", f"Folds are 1 to {len(folds)}.")
    names, not_run = _applicable(names, table.clips)
    print(f"{', '.join(table.corpora)}: {len(table.clips)} clips, classes {', '.join(table.classes)}", flush=True)
    print(f"{described}\nsystems: {', '.join(names)}", flush=True)
    cache = args.cache / "levels-equalised" if args.levels_equalised else args.cache
    everyone = tuple(sorted((*table.clips, *table.others), key=lambda clip: clip.path))
    background = _background(args.data)
    pretrained = _pretrained(args, everyone)
    job = Job(table.classes, table.labels, protocol, args.out, cache, args.seed, args.quick, everyone, background, pretrained)
    beside = args.jobs * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = args.threads or max(1, (os.cpu_count() or 1) // beside)
    return _Course(table, chosen, described, names, not_run, job, threads, args.word_vectors)


def _outcomes(course: _Course, jobs: int, rank: int, processes: int) -> list[Result | Failure]:
    """What the folds of this process gave: every one whose turn it is."""
    work = partial(run_fold, job=course.job, names=course.names, threads=course.threads, word_vectors=course.word_vectors)
    return [outcome for some in _in_parallel(work, course.folds[rank::processes], jobs, course.threads) for outcome in some]


def _report(args: argparse.Namespace, course: _Course, outcomes: Sequence[Result | Failure]) -> None:
    """Write the report, and say what stands in it."""
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    results.sort(key=lambda result: (course.names.index(result.system), result.fold))
    table = course.table
    facts = _facts(args, table, course.described, course.job.protocol, course.not_run)
    report = summarise(course.folds, table.labels, table.classes, results, failures, facts)
    write_report(report, args.out)
    for name, summary in report["systems"].items():
        ua = summary["UA"]
        print(f"{name:20} UA {ua['mean']:.3f}  WA {summary['WA']['mean']:.3f}  ({len(summary['folds'])} folds)", flush=True)
    for failure in failures:
        print(f"failed: {failure.system} in fold {failure.fold}: {failure.reason}", file=sys.stderr)
    print(f"report: {args.out / 'report.md'}", flush=True)


@dataclass(frozen=True)
class _Table:
    """The clips to be divided, and what was left out of them.

    Attributes
    ----------
    others
        Clips with a label that is none of the classes.
    left_out
        Number of clips, and names where there are few, by reason.
    digests
        Of every clip's samples, by path.
    """

    clips: tuple[Clip, ...]
    others: tuple[Clip, ...]
    corpora: list[str]
    train: list[str]
    test: list[str]
    classes: tuple[str, ...]
    labels: dict[str, int]
    left_out: dict[str, dict[str, Any]]
    digests: dict[str, str]


def _gather(args: argparse.Namespace) -> _Table:
    """Read the corpora, leave out what cannot be used, and say what that is."""
    if args.protocol == "corpus":
        if bool(args.train and args.test) == bool(args.corpus) or bool(args.train) != bool(args.test):
            raise ConfigError(
                "--protocol corpus needs --train and --test, or several names with --corpus, each of which is left out once."
            )
        if args.classes != "four":
            raise ConfigError("Corpora share four classes only.", "Leave out --classes all.")
        wanted = args.corpus or [*args.train, *args.test]
    else:
        if not args.corpus or args.train or args.test:
            raise ConfigError(f"--protocol {args.protocol} needs --corpus, and neither --train nor --test.")
        wanted = args.corpus
    left_out: dict[str, dict[str, Any]] = {}
    clips: list[Clip] = []
    official: dict[str, str] = {}
    for name, found, problems in _read(wanted, args.path, args.data):
        official[name] = found[0].corpus
        clips += found
        if problems:
            left_out[f"unreadable or wrongly labelled ({found[0].corpus})"] = {"clips": len(problems), "named": problems}
    classes = FOUR_CLASSES if args.classes == "four" else classes_of(clips)
    named = {clip.path: clip.emotion4 if args.classes == "four" else clip.emotion for clip in clips}
    without = Counter(clip.emotion or "no label" for clip in clips if named[clip.path] not in classes)
    if without:
        reason = "their label is none of the classes"
        if args.protocol != "paper":
            reason += " (those of training speakers may be learnt from, none is validated or tested on)"
        left_out[reason] = {
            "clips": without.total(),
            "named": [f"{emotion} {count}" for emotion, count in sorted(without.items())],
        }
    clips = sorted((clip for clip in clips if clip.emotion), key=lambda clip: (named[clip.path] not in classes, clip.path))
    digests, unreadable = examine(clips, args.cache)
    if unreadable:
        left_out["without audio that can be decoded"] = {"clips": len(unreadable), "named": unreadable}
    first: dict[str, str] = {}
    repeats = [
        clip.path for clip in clips if clip.path in digests and first.setdefault(digests[clip.path], clip.path) != clip.path
    ]
    if repeats:
        left_out["they repeat another clip sample for sample"] = {"clips": len(repeats), "named": repeats}
    clips = [clip for clip in clips if clip.path in digests and clip.path not in repeats]
    if not any(named[clip.path] in classes for clip in clips):
        raise ConfigError(f"No clip of {', '.join(wanted)} can be used.", "Check the corpus with: python -m training corpora.")
    if args.levels_equalised:
        clips = [equalised(clip, digests[clip.path], args.cache / "levels-equalised") for clip in clips]
    others = [clip for clip in clips if named[clip.path] not in classes]
    clips = [clip for clip in clips if named[clip.path] in classes]
    return _Table(
        clips=tuple(clips),
        others=tuple(others),
        corpora=sorted({clip.corpus for clip in clips}),
        train=[official[name] for name in args.train],
        test=[official[name] for name in args.test],
        classes=tuple(classes),
        labels={clip.path: classes.index(named[clip.path]) for clip in clips},
        left_out=left_out,
        digests=digests,
    )


def _read(names: Sequence[str], paths: Sequence[str], data: Path | None) -> Iterator[tuple[str, list[Clip], list[str]]]:
    """Name, clips and problems of every corpus: from a folder of its own where one is given, else from the data folder."""
    folders: dict[str, Path] = {}
    for path in paths:
        name, _, folder = path.rpartition("=")
        if not name and len(names) > 1:
            raise ConfigError(f"Which corpus lies in {path}?", "Write NAME=FOLDER.")
        folders[name.lower() or names[0].lower()] = Path(folder)
    unknown = sorted(folders.keys() - {name.lower() for name in names})
    if unknown:
        raise ConfigError(f"--path names {', '.join(unknown)}, which is not asked for.")
    available = None
    for name in names:
        if name.lower() in folders:
            table = open_corpus(name, folders[name.lower()])
            found, problems = list(table.clips), [str(problem) for problem in table.problems]
            if not found:
                raise ConfigError(f"{folders[name.lower()]} holds no clip of {name}: {'; '.join(problems[:3])}")
        else:
            available = load_clips(data_directory(data)) if available is None else available
            found, problems = [clip for clip in available if clip.corpus.lower() == name.lower()], []
            if not found:
                known = sorted({clip.corpus for clip in available})
                raise ConfigError(
                    f"No clips of {name} in the data folder, which has {', '.join(known)}.", "Name its folder with --path."
                )
        yield name, found, problems


def classes_of(clips: Collection[Clip]) -> tuple[str, ...]:
    """All labels of `clips`: the four classes first, then the others by the alphabet."""
    labels = {clip.emotion for clip in clips if clip.emotion}
    return (*(name for name in FOUR_CLASSES if name in labels), *sorted(labels - set(FOUR_CLASSES)))


def examine(clips: Sequence[Clip], cache: Path) -> tuple[dict[str, str], list[str]]:
    """Decode every clip once.

    Returns
    -------
    digests, unreadable
        A digest of the samples of every clip that can be decoded, by path; the paths of the others. Digests are kept in the
        folder `cache` for files that do not change.
    """
    from training.features import read_audio

    store = cache / "digests.json"
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    digests, unreadable, changed = {}, [], False
    for clip in clips:
        try:
            state = clip.file.stat()
            entry = known.get(str(clip.file))
            if entry is None or entry[:2] != [state.st_size, state.st_mtime_ns]:
                samples = np.rint(read_audio(clip.file) * 32_768.0).astype(np.int32)
                entry = [state.st_size, state.st_mtime_ns, hashlib.sha256(samples.tobytes()).hexdigest()[:24]]
                known[str(clip.file)], changed = entry, True
            digests[clip.path] = entry[2]
        except (OSError, AudioFileError):
            unreadable.append(clip.path)
    if changed:
        write_atomically(store, lambda part: part.write_text(json.dumps(known), encoding="utf-8"))
    return digests, unreadable


def equalised(clip: Clip, digest: str, folder: Path) -> Clip:
    """`clip` with its audio scaled to the peak :data:`PEAK`, written to `folder` as 16-bit FLAC on first use."""
    from training.features import SAMPLE_RATE, read_audio

    file = (folder / f"{Path(clip.path).stem}-{digest[:12]}.flac").resolve()
    if not file.is_file():
        samples = read_audio(clip.file)
        scaled = samples * np.float32(PEAK / max(float(np.abs(samples).max()), 1e-6))
        write_atomically(file, lambda part: soundfile.write(part, scaled, SAMPLE_RATE, format="FLAC", subtype="PCM_16"))
    return dataclasses.replace(clip, file=file)


def _pretrained(args: argparse.Namespace, tested: Sequence[Clip]) -> Path | None:
    """Checkpoint of the network that has learnt to hear from other corpora, trained now if need be."""
    if not args.pretrain:
        return None
    if args.protocol == "paper":
        raise ConfigError("The paper's networks learn from one corpus alone.", "Leave out --pretrain.")
    from training.pretraining import PRETRAINING, pretrain
    from training.systems.ours import QUICK_SETTINGS

    settings = dataclasses.replace(PRETRAINING, background=False, **QUICK_SETTINGS) if args.quick else PRETRAINING
    return pretrain(args.pretrain, tested, data_directory(args.data), args.cache, settings, args.seed)


def _background(data: Path | None) -> Path:
    """The data folder, or none: a corpus of its own folder can be trained on without."""
    try:
        return data_directory(data)
    except ConfigError:
        if data is not None:
            raise
        return Path()


def _chosen_systems(names: Sequence[str] | None) -> list[str]:
    unknown = sorted(set(names or ()) - SYSTEMS.keys())
    if unknown:
        raise ConfigError(f"No system {', '.join(unknown)} is known.", f"Known are {', '.join(SYSTEMS)}.")
    return [name for name in SYSTEMS if names is None or name in names]


def _applicable(names: Sequence[str], clips: Sequence[Clip]) -> tuple[list[str], dict[str, str]]:
    """The systems for which there is something to learn from, and why the others are not run."""
    if any(clip.text for clip in clips):
        return list(names), {}
    reason = "it reads, and no clip of the corpus comes with its words"
    return [name for name in names if not SYSTEMS[name].text], {name: reason for name in names if SYSTEMS[name].text}


def _in_parallel(
    work: Callable[[Fold], list[Result | Failure]], folds: Sequence[Fold], jobs: int, threads: int
) -> Iterator[list[Result | Failure]]:
    """Outcomes of every fold, `jobs` folds at a time in processes of their own."""
    if jobs == 1:
        yield from map(work, folds)
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=threads):
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(work)(fold) for fold in folds)


def run_fold(
    fold: Fold, job: Job, names: Sequence[str], threads: int = 1, word_vectors: Path | None = None
) -> list[Result | Failure]:
    """Results of the systems `names` on one fold, one after the other: read back where they are finished.

    Parameters
    ----------
    job
        Of the whole cross-validation; ``out`` is its folder.
    """
    import torch

    torch.set_num_threads(threads)
    outcomes: list[Result | Failure] = []
    for name in names:
        folder = job.out / f"fold-{fold.number:02}" / name
        outcome = _read_result(folder / "result.json", name, fold, job)
        if outcome is None:
            with apart():
                outcome = _run_system(name, fold, dataclasses.replace(job, out=folder), word_vectors)
        outcomes.append(outcome)
        if isinstance(outcome, Failure):
            print(f"fold {fold.number}, {name}: failed: {outcome.reason}", flush=True)
            continue
        predicted = outcome.log_probabilities.argmax(axis=1)
        labels = job.labels_of(fold.test)
        figures = f"UA {unweighted_accuracy(labels, predicted):.3f}, WA {weighted_accuracy(labels, predicted):.3f}"
        print(f"fold {fold.number}, {name}: {figures}, learnt in {outcome.fit_seconds:.0f} s", flush=True)
    return outcomes


def _run_system(name: str, fold: Fold, job: Job, word_vectors: Path | None) -> Result | Failure:
    job.out.mkdir(parents=True, exist_ok=True)
    note = job.out / "failure.txt"
    try:
        system = make_system(name, word_vectors)
        started = time.perf_counter()
        system.fit(fold, job)
        fitted = time.perf_counter()
        test = _checked(system.log_probabilities(fold.test), len(fold.test), len(job.classes))
        scored = time.perf_counter()
        validation = _checked(system.log_probabilities(fold.validation), len(fold.validation), len(job.classes))
        entry = SYSTEMS[name]
        result = Result(
            name, fold.number, entry.audio, entry.text, test, validation, fitted - started, scored - fitted, system.details()
        )
        _write_result(job.out / "result.json", result, fold)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in one system must not cost the others' hours of training
        write_atomically(note, lambda part: part.write_text(traceback.format_exc(), encoding="utf-8"))
        reason = str(error).strip().splitlines()
        return Failure(name, fold.number, f"{type(error).__name__}: {reason[0] if reason else 'no message'} (see {note})")
    note.unlink(missing_ok=True)
    return result


def _checked(scores: np.ndarray, clips: int, classes: int) -> np.ndarray:
    """`scores` as float64, if they are logarithms of probabilities of every clip and class."""
    scores = np.asarray(scores, np.float64)
    if scores.shape != (clips, classes):
        raise ValueError(f"log-probabilities must have the shape {(clips, classes)}, got {scores.shape}")
    # Of a class that is impossible the logarithm is minus infinity, which no average or temperature survives.
    scores = np.maximum(scores, -50.0)
    if not np.allclose(np.exp(scores).sum(axis=1), 1.0, atol=1e-3):
        raise ValueError("log-probabilities are not those of probabilities that sum to 1")
    return scores


def _write_result(path: Path, result: Result, fold: Fold) -> None:
    parts = {
        "test": (fold.test, result.log_probabilities),
        "validation": (fold.validation, result.validation_log_probabilities),
    }
    written = {
        "system": result.system,
        "fold": result.fold,
        "fit seconds": result.fit_seconds,
        "score seconds": result.score_seconds,
        "details": result.details,
        **{
            name: {clip.path: row for clip, row in zip(clips, scores.round(5).tolist(), strict=True)}
            for name, (clips, scores) in parts.items()
        },
    }
    text = json.dumps(written, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def _read_result(path: Path, name: str, fold: Fold, job: Job) -> Result | None:
    """What was written, or ``None`` where nothing is there or it belongs to other clips."""
    if not path.is_file():
        return None
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        test, validation = (
            _checked(np.array([written[part][clip.path] for clip in clips]), len(clips), len(job.classes))
            for part, clips in (("test", fold.test), ("validation", fold.validation))
        )
        entry = SYSTEMS[name]
        times = (written["fit seconds"], written["score seconds"])
        return Result(name, fold.number, entry.audio, entry.text, test, validation, *times, written["details"])
    except (ValueError, KeyError, TypeError) as error:
        print(f"{path} is no result of this fold ({error}): done again", file=sys.stderr)
        return None


def _facts(
    args: argparse.Namespace, table: _Table, described: str, protocol: ProtocolName, not_run: dict[str, str]
) -> dict[str, Any]:
    """What the report says beside the figures."""
    corpora = []
    for name in table.corpora:
        own = [clip for clip in table.clips if clip.corpus == name]
        counts = Counter(table.labels[clip.path] for clip in own)
        corpora.append(
            {
                "corpus": name,
                "clips": len(own),
                "speakers": len({clip.speaker for clip in own}),
                "classes": {label: counts[number] for number, label in enumerate(table.classes)},
                "licence": "; ".join(sorted({clip.licence for clip in own if clip.licence})),
            }
        )
    return {
        "title": f"Cross-validation: {', '.join(table.corpora)}, protocol “{args.protocol}”",
        "quick": args.quick,
        "date": datetime.date.today().isoformat(),
        "hardware": _hardware(),
        "command": _command(args),
        "protocol": args.protocol,
        "protocol description": described,
        "recipe": protocol,
        "levels": f"every clip scaled to a peak of {PEAK}" if args.levels_equalised else "as recorded",
        "seed": args.seed,
        "word vectors": args.word_vectors.name if args.word_vectors else "none: learnt from the fold's texts",
        "pretrained": ", ".join(sorted(args.pretrain)) or "nothing",
        "versions": _versions() | _commit(),
        "corpora": table.corpora,
        "data": corpora,
        "left out": table.left_out,
        "words": _words(table),
        "not run": not_run,
    }


def _words(table: _Table) -> str:
    """Whether the words can tell anything about the label."""
    texts: dict[str, set[int]] = {}
    for clip in table.clips:
        if clip.text:
            texts.setdefault(" ".join(clip.text.lower().split()), set()).add(table.labels[clip.path])
    if not texts:
        return "none"
    with_words = [clip for clip in table.clips if clip.text]
    shared = sum(len(texts[" ".join(clip.text.lower().split())]) > 1 for clip in with_words)
    return (
        f"{len(with_words)} of {len(table.clips)} clips come with their words; {len(texts)} different texts;"
        f" {shared / len(with_words):.0%} of these clips have a text that stands in several classes"
    )


def _command(args: argparse.Namespace) -> str:
    """The command line that gives this report, defaults left out."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["python", "-m", "training", "crossval"]
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.dest in ("help", "jobs", "threads") or value in (None, False, []) or value == action.default:
            continue
        words.append(action.option_strings[0])
        if value is not True:
            words += [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return shlex.join(words)


def _hardware() -> str:
    """Processor, cores, and graphics processor if there is one."""
    import torch

    from training.export_acoustic import processor

    graphics = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor()}{graphics}"


def _commit() -> dict[str, str]:
    """Which code it was, where it lies in a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": done.stdout.strip()}


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    for name in ("realtime-ser", "numpy", "scipy", "scikit-learn", "torch", "opensmile"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
