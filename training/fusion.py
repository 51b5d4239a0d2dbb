"""Trains the fusion network on label-matched pairs, calibrates it, and measures it once on held-out speakers and texts.

No corpus at hand pairs natural voice, words and emotion. A **label-matched pair** joins the acoustic feature of a recording
with the text feature of an utterance that somebody else wrote under the same label. Such pairs show a network how to weigh two
sources of evidence; a figure on them is not the accuracy of a multimodal system on real speech, and is never called so. The
words of label-matched pairs tell far more than most spoken words do. Training therefore also draws words that have nothing to
do with the voice (any text, mostly neutral ones, under the voice's label), drops the words, and drops the voice.

No speaker, and no text, of a later part is ever in an earlier one:

========== ================================== ==========================================================
part       voice                              words
========== ================================== ==========================================================
training   training speakers                  development and test parts of all text collections but MELD
validation the acoustic validation speakers   MELD development part
test       the acoustic test speakers         MELD test part
========== ================================== ==========================================================

The text network was trained on the training parts, so that the fusion learns from text features as unsure as they will be.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from realtime_ser.bundle.loader import load_bundle
from realtime_ser.fusion.network import ACOUSTIC_FEATURE, TEXT_FEATURE, FusionNetwork
from realtime_ser.text import TextNetwork
from training.acoustic_network import AcousticShape
from training.bundle import with_figures
from training.corpora import FOUR_CLASSES, data_directory, load_clips
from training.export_acoustic import ExportedAcoustic, hardware
from training.features import open_store
from training.fusion_network import AttentionFusion, fusion_graph, root_mean_square
from training.loop import LoopSettings, default_fabric, first_process_first, fit, rank, step_generator, write_atomically
from training.metrics import (
    accuracy_at_coverage,
    expected_calibration_error,
    fit_temperature,
    selective,
    softmax,
    speaker_interval,
    threshold_for_risk,
    unweighted_accuracy,
    weighted_accuracy,
)
from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION, check_disjoint
from training.text import RECOGNIZER
from training.text_data import CLASSES, TextCorpus, Utterance, read_text_corpora
from training.text_noise import RecognizerNoise

__all__ = ["FusionSettings", "PairConditions", "TextPart", "VoicePart", "add_arguments", "draw_pairs", "run"]

PARTS = ("train", "validation", "test")
VOICE_CUTS = 4
SHORTEST_PREFIX = 25
"""Windows, one every 10 ms."""
TRAINING_TEXTS = 4_000
MIXTURE = "half label-matched pairs, half pairs with unrelated words"


@dataclass(frozen=True, slots=True)
class PairConditions:
    """How often the words and the voice of a training pair are what they should be; probabilities.

    Attributes
    ----------
    matched
        The words carry the voice's label.
    neutral, unrelated
        Neutral words, or words of any label, whatever the voice's label: what is said is no sign of how.
    silent
        No words: the text feature is zero.
    mute
        Beside all this: the voice is zero. Such a pair has matched words.
    """

    matched: float = 0.40
    neutral: float = 0.25
    unrelated: float = 0.20
    silent: float = 0.05
    mute: float = 0.10

    def __post_init__(self) -> None:
        total = self.matched + self.neutral + self.unrelated + self.silent + self.mute
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the conditions' probabilities must sum to 1, got {total}")


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """Everything that decides what is trained. `corpora` name the voices, each drawn equally often."""

    corpora: tuple[str, ...] = ("RAVDESS", "nEMO", "EMODB")
    conditions: PairConditions = PairConditions()
    steps: int = 1_000
    check_every: int = 100
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    smoothing: float = 0.05
    seed: int = 1


@dataclass(frozen=True, slots=True)
class VoicePart:
    """Acoustic features of recordings.

    Attributes
    ----------
    features
        Of the whole utterance (cut 0) and of its first part, cut at random places: means over voiced windows, float16, shape
        ``(recordings, cuts, 2048)``.
    logits
        The acoustic network's, of the whole utterance, shape ``(recordings, classes)``.
    """

    features: NDArray[np.float16]
    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    speakers: tuple[str, ...]
    corpora: tuple[str, ...]

    def only(self, kept: NDArray[np.bool_]) -> VoicePart:
        """The recordings where `kept` is true."""
        rows = np.flatnonzero(kept)
        speakers, corpora = (tuple(names[row] for row in rows) for names in (self.speakers, self.corpora))
        return VoicePart(self.features[rows], self.logits[rows], self.labels[rows], speakers, corpora)


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text features of utterances in recogniser form.

    Attributes
    ----------
    features
        Of the whole text (cut 0) and of its first words, float16, shape ``(texts, cuts, 4800)``.
    logits
        The text network's, of the whole text, shape ``(texts, classes)``.
    """

    features: NDArray[np.float16]
    logits: NDArray[np.float64]
    labels: NDArray[np.int64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training fusion``, beside ``--data``."""
    defaults = FusionSettings()
    parser.add_argument("--out", type=Path, default=Path("runs/fusion"), help="folder of this training (default: %(default)s)")
    parser.add_argument("--acoustic", type=Path, default=Path("runs/acoustic/export"), help="exported acoustic network")
    parser.add_argument("--text", type=Path, default=Path("runs/text/export"), help="exported text network")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded audio and features")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="batches (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, help="CPU threads (default: OMP_NUM_THREADS, or all cores)")
    parser.add_argument(
        "--bundle", type=Path, help="train nothing: measure the networks of this bundle, and write the figures into its card"
    )
    parser.add_argument(
        "--risk", type=float, default=0.15, help="share of errors allowed when confident (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, calibrate, export and measure; 0 on success, 1 where the text collections are incomplete."""
    if args.threads:
        torch.set_num_threads(args.threads)
    root = data_directory(args.data)
    corpus = read_text_corpora(root / "text")
    for problem in corpus.problems:
        print(problem, file=sys.stderr)
    if corpus.problems:
        return 1
    settings = FusionSettings(steps=args.steps, seed=args.seed)
    fabric = default_fabric()
    if args.bundle and not fabric.is_global_zero:
        return 0
    if args.bundle:
        figures = measure_bundle(args.bundle, root, corpus, args.cache, settings.corpora)
        with_figures(args.bundle, figures)
        _print(figures)
        return 0
    with first_process_first():  # the others find the features in the cache
        voices = voice_features(root, args.acoustic, args.cache, settings.corpora)
        texts = text_features(corpus, args.text, args.cache)
    export = args.out / "export"
    export.mkdir(parents=True, exist_ok=True)
    network, checks = train_fusion(voices, texts, settings, args.out)
    if rank():
        return 0
    (export / "fusion.onnx").write_bytes(fusion_graph(network))
    report = measure_fusion(export, args.acoustic, args.text, voices, texts, args.risk)
    report = {**report, "settings": asdict(settings), "checks": checks}
    (export / "fusion.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print(report["figures"])
    print(f"temperature {report['calibration']['fused']}, threshold {report['abstention']['fused']}")
    return 0


def _print(figures: Sequence[Mapping[str, Any]]) -> None:
    for figure in figures:
        low, high = figure["interval"]
        print(f"{figure['name']:60} {figure['value']:.3f} [{low:.3f}, {high:.3f}]  {figure['data']}")


def voice_features(
    root: Path, export: Path, cache: Path, corpora: tuple[str, ...], parts: Collection[str] = PARTS
) -> dict[str, VoicePart]:
    """Acoustic features of all recordings of the four classes, by part, through the graphs in `export`; kept in `cache`."""
    document = json.loads((export / "acoustic.json").read_text(encoding="utf-8"))
    if tuple(document["classes"]) != FOUR_CLASSES:
        raise ValueError(f"the acoustic export must have the classes {FOUR_CLASSES}, got {document['classes']}")
    acoustic = document["acoustic"]
    normalisation = acoustic["normalisation"]
    shape = AcousticShape(
        bands=acoustic["bands"],
        kernel=acoustic["kernel"],
        stride=acoustic["stride"],
        width=acoustic["frame_width"],
        feature=acoustic["feature"],
        prior_frames=normalisation["prior_frames"],
        memory_frames=normalisation["memory_frames"],
    )
    exported = ExportedAcoustic(export, shape, np.array(normalisation["prior_shape"]))
    # The stores of the acoustic training, so that nothing is decoded twice; they hold clips of other labels, too.
    everyone = sorted(
        (clip for clip in load_clips(root, corpora) if part_of(clip.speaker) in parts), key=lambda clip: clip.path
    )
    stores = [open_store(root, [clip for clip in everyone if clip.corpus == name], cache, name) for name in corpora]
    places = [(store, index) for store in stores for index, clip in enumerate(store.clips) if clip.emotion4]
    clips = [store.clips[index] for store, index in places]
    graphs = b"".join((export / f"{name}.onnx").read_bytes() for name in ("bands", "trunk", "head"))
    constants = json.dumps([SHORTEST_PREFIX, normalisation, [clip.path for clip in clips]])
    key = hashlib.sha256(graphs + constants.encode()).hexdigest()[:16]
    path = cache / f"fusion-voice-{key}.npz"
    if not path.is_file():
        features = np.zeros((len(clips), VOICE_CUTS, ACOUSTIC_FEATURE), np.float16)
        logits = np.zeros((len(clips), len(FOUR_CLASSES)))
        heard = np.zeros(len(clips), bool)
        generator = np.random.default_rng(7)
        for row, (store, index) in enumerate(places):
            windows, scores, _ = exported.windows(store.audio_of(index), store.probabilities_of(index))
            if len(windows):
                heard[row] = True
                logits[row] = scores.mean(axis=0, dtype=np.float64)
                features[row] = prefix_means(windows, generator)
            if (row + 1) % 500 == 0 or row + 1 == len(places):
                print(f"{row + 1}/{len(places)} recordings encoded", flush=True)
        _save_arrays(path, features=features, logits=logits, heard=heard)
    stored = np.load(path)
    labels = np.array([FOUR_CLASSES.index(clip.emotion4) for clip in clips])
    everything = VoicePart(
        stored["features"],
        stored["logits"],
        labels,
        tuple(clip.speaker for clip in clips),
        tuple(clip.corpus for clip in clips),
    )
    part = np.array([part_of(clip.speaker) for clip in clips])
    check_disjoint({name: [clip for clip, own in zip(clips, part, strict=True) if own == name] for name in np.unique(part)})
    return {name: everything.only((part == name) & stored["heard"]) for name in parts}


def part_of(speaker: str) -> str:
    """What the default bundle uses a speaker for."""
    return "validation" if speaker in BUNDLE_VALIDATION else "test" if speaker in BUNDLE_TEST else "train"


def _save_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    write_atomically(path, save)


def prefix_means(windows: NDArray[np.float32], generator: np.random.Generator, cuts: int = VOICE_CUTS) -> NDArray[np.float32]:
    """Mean feature of all `windows`, and of the first ones up to `cuts` - 1 random places: of 25 windows at least."""
    sums = np.cumsum(windows, axis=0, dtype=np.float64)
    ends = generator.integers(min(SHORTEST_PREFIX, len(windows)), len(windows) + 1, size=cuts)
    ends[0] = len(windows)
    return (sums[ends - 1] / ends[:, None]).astype(np.float32)


def text_features(corpus: TextCorpus, export: Path, cache: Path, wanted: Collection[str] = PARTS) -> dict[str, TextPart]:
    """Text features in recogniser form, by part, through the graph in `export`; kept in `cache`."""
    network = TextNetwork(export / "text.onnx", export / "vocabulary.txt", len(CLASSES))
    counts: dict[str, int] = {}
    for utterance in corpus.part("train"):
        for token in utterance.tokens:
            counts[token] = counts.get(token, 0) + 1
    noise = RecognizerNoise(network.vocabulary, counts)
    held_out = [u for split in ("dev", "test") for u in corpus.part(split) if u.source != "meld" and u.label]
    # About as many texts as there are voices: more of them would not make the pairs more different.
    chosen = np.sort(np.random.default_rng(5).permutation(len(held_out))[:TRAINING_TEXTS])
    parts = {
        "train": [held_out[row] for row in chosen],
        "validation": corpus.part("dev", ["meld"]),
        "test": corpus.part("test", ["meld"]),
    }
    graph = (export / "text.onnx").read_bytes()
    results: dict[str, TextPart] = {}
    for name, utterances in parts.items():
        if name not in wanted:
            continue
        labelled = [u for u in utterances if u.label]
        texts = "\n".join(" ".join(u.tokens) for u in labelled)
        path = cache / f"fusion-text-{hashlib.sha256(graph + texts.encode()).hexdigest()[:16]}.npz"
        if not path.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            features, logits = _encode_texts(network, labelled, noise)
            _save_arrays(path, features=features, logits=logits)
        stored = np.load(path)
        labels = np.array([CLASSES.index(u.label) for u in labelled])
        results[name] = TextPart(stored["features"], stored["logits"], labels)
    return results


def _encode_texts(
    network: TextNetwork, utterances: list[Utterance], noise: RecognizerNoise
) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    generator = np.random.default_rng(11)
    features = np.zeros((len(utterances), 2, TEXT_FEATURE), np.float16)
    logits = np.zeros((len(utterances), len(CLASSES)))
    for row, utterance in enumerate(utterances):
        worn = noise.apply(network.vocabulary.numbers(utterance.tokens), RECOGNIZER, generator)[-100:]
        features[row, 0], logits[row] = network.encode_numbers(worn)
        features[row, 1] = network.encode_numbers(worn[: generator.integers(1, len(worn) + 1)])[0]
    return features, logits


def draw_pairs(
    voices: VoicePart,
    texts: TextPart,
    rows: NDArray[np.int64],
    conditions: PairConditions,
    generator: np.random.Generator,
    *,
    whole: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Pair the recordings `rows` with texts under `conditions`.

    Parameters
    ----------
    whole
        True for whole utterances only; otherwise prefixes of either are as likely as their place in the parts' cuts.

    Returns
    -------
    acoustic, text
        Features, shapes ``(rows, 2048)`` and ``(rows, 4800)``; zero where the voice or the words are missing.
    text_rows
        Number of the text of every pair; -1 without words.
    """
    labels = voices.labels[rows]
    pools = [np.flatnonzero(texts.labels == label) for label in range(len(CLASSES))]
    neutral = CLASSES.index("neutral")
    chances = (conditions.matched, conditions.neutral, conditions.unrelated, conditions.silent, conditions.mute)
    kinds = generator.choice(5, size=len(rows), p=chances)
    wanted = np.where(kinds == 1, neutral, np.where(kinds == 2, generator.integers(len(CLASSES), size=len(rows)), labels))
    text_rows = np.array([pools[label][generator.integers(len(pools[label]))] for label in wanted], dtype=np.int64)
    voice_cuts = np.zeros(len(rows), int) if whole else generator.integers(voices.features.shape[1], size=len(rows))
    text_cuts = np.zeros(len(rows), int) if whole else generator.integers(texts.features.shape[1], size=len(rows))
    acoustic = voices.features[rows, voice_cuts].astype(np.float32)
    text = texts.features[text_rows, text_cuts].astype(np.float32)
    acoustic[kinds == 4] = 0
    text[kinds == 3] = 0
    return acoustic, text, np.where(kinds == 3, -1, text_rows)


def _balanced_rows(voices: VoicePart, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Recordings with every class equally often, and within a class every corpus equally often."""
    corpora = np.array(voices.corpora)
    cells = [
        np.flatnonzero((voices.labels == label) & (corpora == corpus))
        for label in range(len(FOUR_CLASSES))
        for corpus in sorted(set(voices.corpora))
    ]
    chosen = generator.permutation(np.arange(count) % len(cells))
    return np.array([cells[cell][generator.integers(len(cells[cell]))] for cell in chosen])


class FusionTask:
    """Cross-entropy on pairs that are drawn anew for every step, for the loop.

    The scale of either feature is that of the training part. Validation pairs are the same at every call.
    """

    unit = "pairs"

    def __init__(self, voices: dict[str, VoicePart], texts: dict[str, TextPart], settings: FusionSettings) -> None:
        self.voices, self.texts, self.settings, self.units = voices["train"], texts["train"], settings, settings.batch
        torch.manual_seed(settings.seed)
        self.network = AttentionFusion(
            len(FOUR_CLASSES),
            acoustic_scale=root_mean_square(self.voices.features[:, 0]),
            text_scale=root_mean_square(self.texts.features[:, 0]),
            dropout=settings.dropout,
        )
        self.module: torch.nn.Module = self.network
        fixed = np.random.default_rng(99)
        rows = _balanced_rows(voices["validation"], 2_048, fixed)
        pairs = draw_pairs(voices["validation"], texts["validation"], rows, settings.conditions, fixed)
        self._validation = torch.from_numpy(pairs[0]), torch.from_numpy(pairs[1])
        self._validation_labels = torch.from_numpy(voices["validation"].labels[rows])

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW over everything."""
        settings = self.settings
        return torch.optim.AdamW(self.module.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Acoustic features, text features and labels."""
        step = first_step
        while True:
            generator = step_generator(self.settings.seed, step)
            rows = _balanced_rows(self.voices, self.settings.batch, generator)
            acoustic, text, _ = draw_pairs(self.voices, self.texts, rows, self.settings.conditions, generator)
            yield torch.from_numpy(acoustic), torch.from_numpy(text), torch.from_numpy(self.voices.labels[rows])
            step += 1

    def loss(self, module: torch.nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the fused scores."""
        acoustic, text, labels = batch
        parts = module(acoustic, text)
        scores = parts[0] + parts[1]
        loss = functional.cross_entropy(scores, labels, label_smoothing=self.settings.smoothing)
        return loss, {"right": (scores.argmax(dim=1) == labels).float().mean()}

    def validate(self, module: torch.nn.Module) -> float:
        """The cross-entropy on validation pairs, negative."""
        device = next(module.parameters()).device
        parts = module(*(part.to(device) for part in self._validation))
        return -float(functional.cross_entropy((parts[0] + parts[1]).cpu(), self._validation_labels))


def train_fusion(
    voices: dict[str, VoicePart], texts: dict[str, TextPart], settings: FusionSettings, out: Path
) -> tuple[AttentionFusion, list[dict[str, float]]]:
    """Train on pairs of the training parts and keep the weights with the smallest cross-entropy on validation pairs.

    Parameters
    ----------
    out
        Folder for checkpoints; a training goes on only on the same features.

    Returns
    -------
    network, checks
        The network in evaluation mode, and what every check gave.
    """
    task = FusionTask(voices, texts, settings)
    digest = hashlib.sha256()
    for part in (*voices.values(), *texts.values()):
        digest.update(np.ascontiguousarray(part.features))
        digest.update(np.ascontiguousarray(part.labels))
    loop = LoopSettings(settings.steps, settings.check_every, schedule="cosine", seed=settings.seed)
    folder = out / f"checkpoint-{digest.hexdigest()[:12]}"
    outcome = fit(task, loop, folder, label="fusion", config=settings)
    checks = [{"step": row["step"], "training loss": row["loss"], "validation loss": -row["score"]} for row in outcome.history]
    return task.network, checks


MATCHED = PairConditions(matched=1, neutral=0, unrelated=0, silent=0, mute=0)
UNRELATED = PairConditions(matched=0, neutral=0.5, unrelated=0.5, silent=0, mute=0)


def measure_fusion(
    export: Path,
    acoustic_export: Path,
    text_export: Path,
    voices: dict[str, VoicePart],
    texts: dict[str, TextPart],
    risk: float,
) -> dict[str, object]:
    """Temperature and threshold from validation pairs, then the figures on test pairs, through the exported graph."""
    fused = FusionNetwork(export / "fusion.onnx", len(FOUR_CLASSES))

    def corpus_weights(part: str, repeats: int) -> NDArray[np.float64]:
        names, numbers = np.unique(np.tile(np.array(voices[part].corpora), repeats), return_inverse=True)
        return 1 / np.bincount(numbers, minlength=len(names))[numbers]

    validation_labels = np.tile(voices["validation"].labels, 2)
    validation = np.concatenate(
        [_fused(fused, voices["validation"], texts["validation"], one)[0] for one in (MATCHED, UNRELATED)]
    )
    weights = corpus_weights("validation", 2)
    temperature = fit_temperature(validation_labels, validation, weights)
    threshold = threshold_for_risk(validation_labels, softmax(validation, temperature), risk, weights)

    heat = json.loads((acoustic_export / "acoustic.json").read_text(encoding="utf-8"))["calibration"]["acoustic"]
    figures = pair_figures(fused, voices["test"], texts["test"], threshold, temperature, heat)
    return {
        "classes": list(FOUR_CLASSES),
        "calibration": {"fused": round(temperature, 4)},
        "abstention": {
            "fused": round(threshold, 4),
            "risk": risk,
            "meaning": (
                f"smallest confidence at which at most {risk:.0%} of the confident labels were wrong on validation pairs"
                f" ({MIXTURE}; acted studio speech with written dialogue); on other speech the share of errors is higher"
            ),
        },
        "figures": figures,
        "inputs": {
            "acoustic": hashlib.sha256((acoustic_export / "head.onnx").read_bytes()).hexdigest(),
            "text": hashlib.sha256((text_export / "text.onnx").read_bytes()).hexdigest(),
        },
    }


def _fused(
    network: FusionNetwork, voices: VoicePart, texts: TextPart, conditions: PairConditions
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of a pair for every recording, whole, and the numbers of their texts."""
    generator = np.random.default_rng(2020)
    rows = np.arange(len(voices.labels))
    acoustic, text, text_rows = draw_pairs(voices, texts, rows, conditions, generator, whole=True)
    return np.array([network.fuse(a, t).logits for a, t in zip(acoustic, text, strict=True)], dtype=np.float64), text_rows


def pair_figures(
    network: FusionNetwork,
    voices: VoicePart,
    texts: TextPart,
    threshold: float,
    temperature: float,
    acoustic_temperature: float,
) -> list[dict[str, Any]]:
    """What the card says of pairs of test speakers' recordings and test texts.

    Parameters
    ----------
    threshold, temperature
        Of the fused confidence.
    acoustic_temperature
        Of the voice alone.
    """
    labels, speakers = voices.labels, list(voices.speakers)
    where = f"{', '.join(sorted(set(voices.corpora)))} test speakers with MELD test texts"
    about = {
        "protocol": (
            "held-out speakers, each whole recording with one drawn text in recogniser form (word error about 25 %); "
            "speakers and texts never met before; interval: 95 %, bootstrap over speakers"
        ),
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(),
    }
    figures: list[dict[str, Any]] = []

    def add(name: str, logits: NDArray[np.float64], data: str, heat: float | None, least: float | None = None) -> None:
        probabilities = softmax(logits, 1.0 if heat is None else heat)
        predicted = probabilities.argmax(axis=1)
        table: dict[str, Callable[[NDArray[np.int64]], float]] = {
            "UA": lambda rows: unweighted_accuracy(labels[rows], predicted[rows]),
            "WA": lambda rows: weighted_accuracy(labels[rows], predicted[rows]),
        }
        if heat is not None:
            table["ECE"] = lambda rows: expected_calibration_error(labels[rows], probabilities[rows])
            table["accuracy of the surer half"] = lambda rows: accuracy_at_coverage(labels[rows], probabilities[rows])
        if least is not None:
            table["coverage at the threshold"] = lambda rows: selective(labels[rows], probabilities[rows], least)[0]
            table["accuracy when confident"] = lambda rows: float(
                np.nan_to_num(selective(labels[rows], probabilities[rows], least)[1])
            )
        everyone = np.arange(len(labels))
        for measure, figure in table.items():
            low, high = speaker_interval(figure, speakers)
            value, interval = round(figure(everyone), 4), [round(low, 4), round(high, 4)]
            figures.append({"name": f"{name} {measure}", "value": value, "interval": interval, "data": data, **about})

    add("voice alone", voices.logits, where, acoustic_temperature)
    for name, conditions in (("label-matched pairs", MATCHED), ("pairs with unrelated words", UNRELATED)):
        logits, text_rows = _fused(network, voices, texts, conditions)
        if conditions is MATCHED:
            add("words alone, label-matched", texts.logits[text_rows], where, None)
        add(f"fused, {name}", logits, f"{where}: {name}", temperature, threshold)
    return figures


def measure_bundle(folder: Path, root: Path, corpus: TextCorpus, cache: Path, corpora: tuple[str, ...]) -> list[dict[str, Any]]:
    """The figures on test pairs of a bundle's own networks, with its own temperature and threshold.

    Raises
    ------
    BundleError
        There is no bundle.
    """
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    with tempfile.TemporaryDirectory() as name:
        export = Path(name)
        for file in manifest.files:
            (export / file).write_bytes(bundle.content(file))
        document = {"classes": manifest.classes, "acoustic": msgspec.to_builtins(manifest.acoustic)}
        (export / "acoustic.json").write_text(json.dumps(document), encoding="utf-8")
        voices = voice_features(root, export, cache, corpora, ("test",))
        texts = text_features(corpus, export, cache, ("test",))
        network = FusionNetwork(export / "fusion.onnx", len(FOUR_CLASSES))
    temperature = manifest.calibration.fused
    return pair_figures(
        network, voices["test"], texts["test"], manifest.abstention.fused, temperature, manifest.calibration.acoustic
    )
