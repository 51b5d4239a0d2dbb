"""Write the acoustic part of a bundle: three ONNX graphs, and ``acoustic.json`` with constants, calibration and figures.

The figures are those of the exported graphs, run by ONNX Runtime with the runtime's own running band mean over the test
speakers' audio, so that they hold for what is shipped and not for something like it.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import platform
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from realtime_ser.acoustic.normalisation import RunningBandMean
from realtime_ser.bundle.filter_files import HISTORY_NAME
from realtime_ser.errors import ConfigError
from training.acoustic_data import label_of
from training.acoustic_evaluation import Scored, figures_of, merge
from training.acoustic_network import AcousticNetwork, AcousticShape, log_energies
from training.corpora import FOUR_CLASSES, Clip, load_clips
from training.features import ClipStore, open_store, voice_probabilities, voiced_frames, voiced_windows
from training.metrics import fit_temperature, selective, softmax, threshold_for_risk, unweighted_accuracy
from training.splits import telling_sentences

if TYPE_CHECKING:
    from training.acoustic import AcousticTraining

__all__ = ["ExportedAcoustic", "LeftOut", "export", "read_left_out", "write_graphs"]

EQUAL_PEAK = 0.1
"""Peak to which clips are scaled for the figures at equal levels (-20 dBFS)."""


class _Bands(nn.Module):
    """The SincNet layer with its filters worked out."""

    weight: Tensor

    def __init__(self, network: AcousticNetwork) -> None:
        super().__init__()
        self.shape = network.shape
        self.register_buffer("weight", network.bands.filters().detach().clone())

    def forward(self, samples: Tensor) -> Tensor:
        return log_energies(samples, self.weight, self.shape)[0]


class _Trunk(nn.Module):
    def __init__(self, network: AcousticNetwork) -> None:
        super().__init__()
        self.trunk = network.trunk

    def forward(self, bands: Tensor) -> Tensor:
        return self.trunk(bands[None])[0]


def write_graphs(network: AcousticNetwork, folder: Path) -> None:
    """Write ``bands.onnx``, ``trunk.onnx`` and ``head.onnx``, float32, with names and shapes of docs/architecture.md."""
    network.eval()
    shape = network.shape
    folder.mkdir(parents=True, exist_ok=True)
    samples = torch.export.Dim("samples", min=shape.receptive)
    frames = torch.export.Dim("frames", min=shape.trunk_receptive)
    windows = torch.export.Dim("windows", min=1)
    wave = torch.zeros(1, shape.receptive + 9 * shape.hop)
    bands = torch.zeros(shape.trunk_receptive + 5, shape.bands)
    window = torch.zeros(3, shape.window_frames, shape.width)
    plan: list[tuple[str, nn.Module, Tensor, dict[int, Any], list[str], list[str]]] = [
        ("bands", _Bands(network), wave, {1: samples}, ["samples"], ["log_energies"]),
        ("trunk", _Trunk(network), bands, {0: frames}, ["bands"], ["frames"]),
        ("head", network.head, window, {0: windows}, ["frames"], ["feature", "logits"]),
    ]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    for name, module, example, dynamic, inputs, outputs in plan:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                verbose=False,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=(dynamic,),
                external_data=False,
                # The exporter's optimiser takes the addition of 1e-10 for one of nothing, and silence would become -inf.
                optimize=name != "bands",
            )
        program.save(folder / f"{name}.onnx", external_data=False)


class ExportedAcoustic:
    """The exported graphs of `folder`, run over whole clips as the runtime runs them over a stream."""

    def __init__(self, folder: Path, shape: AcousticShape, prior_shape: NDArray[np.floating]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.shape = shape
        self.prior_shape = np.asarray(prior_shape, np.float64)
        self.bands, self.trunk, self.head = (
            onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
            for name in ("bands", "trunk", "head")
        )

    def windows(
        self, samples: NDArray[np.float32], probabilities: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Features and logits of the voiced windows of a clip, after a cold start, and the numbers of these windows."""
        shape = self.shape
        starts = np.flatnonzero(voiced_windows(probabilities, shape.window_count(len(samples)), shape))
        if not len(starts):
            return np.zeros((0, shape.feature), np.float32), np.zeros((0, shape.classes), np.float32), starts
        return *self.judge(self.normalised(samples, probabilities), starts), starts

    def normalised(self, samples: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Band energies of a clip less their running mean, after a cold start, float32, shape ``(frames, bands)``."""
        shape = self.shape
        count = shape.frame_count(len(samples))
        used = samples[None, : shape.receptive + (count - 1) * shape.hop]
        (energies,) = self.bands.run(None, {"samples": used})
        normaliser = RunningBandMean(self.prior_shape, shape.prior_frames, shape.memory_frames)
        return normaliser.apply(energies, voiced_frames(probabilities, count, shape))

    def judge(
        self, normalised: NDArray[np.float32], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and logits of the windows with the numbers `starts`, of what :meth:`normalised` gives."""
        (frames,) = self.trunk.run(None, {"bands": normalised})
        views = np.lib.stride_tricks.sliding_window_view(frames, self.shape.window_frames, axis=0)[starts]
        feature, logits = self.head.run(None, {"frames": np.ascontiguousarray(views.transpose(0, 2, 1))})
        return feature, logits

    def score(self, store: ClipStore, members: Sequence[int], peak: float | None = None) -> Scored:
        """Like :func:`training.acoustic_evaluation.score_clips`; the detector hears the levels equalised to `peak`, too."""
        labels, speakers, corpora, logits, counts, window_logits, window_labels = [], [], [], [], [], [], []
        for index in members:
            clip = store.clips[index]
            label = label_of(clip)
            if label is None:
                continue
            samples, probabilities = store.audio_of(index), store.probabilities_of(index)
            if peak is not None:
                samples = samples * np.float32(peak / max(float(np.abs(samples).max()), 1e-6))
                probabilities = voice_probabilities(samples)
            _, scores, _ = self.windows(samples, probabilities)
            labels.append(label)
            speakers.append(clip.speaker)
            corpora.append(clip.corpus)
            counts.append(len(scores))
            logits.append(scores.mean(axis=0, dtype=np.float64) if len(scores) else np.zeros(self.shape.classes))
            window_logits.append(scores[::10])
            window_labels.append(np.full(len(scores[::10]), label, np.int64))
        return Scored(
            np.array(labels, np.int64),
            tuple(speakers),
            tuple(corpora),
            np.stack(logits),
            np.array(counts, np.int64),
            np.concatenate(window_logits),
            np.concatenate(window_labels),
        )


@dataclass(frozen=True)
class LeftOut:
    """What networks made of corpora they had never met.

    Attributes
    ----------
    logits
        Log-probabilities ``(classes,)`` before any temperature, by the clip's path.
    heard_from
        All corpora from which these networks learnt.
    """

    logits: Mapping[str, NDArray[np.float64]]
    heard_from: tuple[str, ...]

    def scored(self, clips: Sequence[Clip], without: Collection[str]) -> Scored:
        """Scores of those of `clips` that were heard, but for the speakers `without`; single windows are not known."""
        telling = telling_sentences(clips)
        kept = [
            clip
            for clip in clips
            if clip.path in self.logits and clip.emotion4 and clip.speaker not in without and clip.sentence not in telling
        ]
        if not kept:
            raise ValueError("none of the clips was left out of a training")
        return Scored(
            np.array([FOUR_CLASSES.index(clip.emotion4) for clip in kept], np.int64),
            tuple(clip.speaker for clip in kept),
            # Corpora of their own: as strangers they count as much as the validation speakers of the same corpus do.
            tuple(f"{clip.corpus}, left out" for clip in kept),
            np.stack([self.logits[clip.path] for clip in kept]),
            np.ones(len(kept), np.int64),
            np.zeros((0, len(FOUR_CLASSES)), np.float32),
            np.zeros(0, np.int64),
        )


def read_left_out(folder: Path) -> LeftOut:
    """The acoustic network's results in a folder of ``crossval --protocol corpus --corpus …``.

    Raises
    ------
    ConfigError
        The folder holds something else, or a fold is not finished.
    """
    remedy = "Run: python -m training crossval --protocol corpus --corpus NAMES… --systems acoustic --out FOLDER."
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        results = [
            json.loads((folder / f"fold-{number:02d}" / "acoustic" / "result.json").read_text(encoding="utf-8"))
            for number in range(1, plan["folds"] + 1)
        ]
        found = {path: np.array(values) for result in results for path, values in result["test"].items()}
        if plan["protocol"] != "corpus" or plan["classes"] != list(FOUR_CLASSES) or plan["quick"]:
            raise ConfigError(f"{folder} holds a comparison of another kind.", remedy)
        return LeftOut(found, tuple(plan["corpora"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} does not hold finished results of every corpus left out once: {error}.", remedy) from error


def equal_corpora(corpora: Sequence[str]) -> NDArray[np.float64]:
    """Weights with which every corpus counts the same."""
    names, number, count = np.unique(np.asarray(corpora), return_inverse=True, return_counts=True)
    return 1.0 / (len(names) * count[number])


def processor() -> str:
    """Name of the processor and number of cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


def hardware() -> str:
    """On what exported graphs are measured."""
    return f"{processor()}, ONNX Runtime, one thread"


def constants(network: AcousticNetwork) -> dict[str, Any]:
    """The manifest's ``acoustic`` object."""
    shape = network.shape
    low, high = network.bands.cutoffs_hz()

    def rounded(values: NDArray[np.floating], digits: int) -> list[float]:
        return [round(float(value), digits) for value in values]

    return {
        "bands": shape.bands,
        "kernel": shape.kernel,
        "stride": shape.stride,
        "trunk_receptive_frames": shape.trunk_receptive,
        "frame_width": shape.width,
        "feature": shape.feature,
        "normalisation": {
            "kind": "running-band-mean",
            "prior_shape": rounded(network.normaliser.prior_shape.numpy(), 5),
            "prior_frames": shape.prior_frames,
            "memory_frames": shape.memory_frames,
        },
        "filters": {
            "initial_low_hz": rounded(network.bands.initial_low_hz.numpy(), 2),
            "initial_high_hz": rounded(network.bands.initial_high_hz.numpy(), 2),
            "low_hz": rounded(low, 2),
            "high_hz": rounded(high, 2),
        },
    }


def details(scored: Scored, temperature: float, threshold: float) -> dict[str, Any]:
    """Confusion matrix, coverage–accuracy curve and UA of every speaker: for the report, not the card."""
    probabilities = softmax(scored.logits, temperature)
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(FOUR_CLASSES), len(FOUR_CLASSES)), int)
    np.add.at(confusion, (scored.labels, predicted), 1)
    speakers = np.array(scored.speakers)
    return {
        "utterances": len(scored.labels),
        "without a voiced window": int((scored.windows == 0).sum()),
        "classes": list(FOUR_CLASSES),
        "confusion, rows are true": confusion.tolist(),
        "UA of every speaker": {
            name: round(unweighted_accuracy(scored.labels[speakers == name], predicted[speakers == name]), 4)
            for name in sorted(set(scored.speakers))
        },
        "threshold, coverage, accuracy": [
            [round(value, 3), *(round(part, 4) for part in selective(scored.labels, probabilities, value))]
            for value in [*np.arange(0.3, 0.96, 0.05).tolist(), threshold]
        ],
    }


def export(
    training: AcousticTraining,
    folder: Path,
    never_trained: Sequence[str],
    risk: float,
    with_figures: bool = True,
    strangers: LeftOut | None = None,
) -> None:
    """Write the graphs and ``acoustic.json`` of the trained network to `folder`, and how its cutoffs moved if they did.

    Parameters
    ----------
    never_trained
        Corpora that took no part in training or choice, for cross-corpus figures.
    risk
        Share of errors among confident utterances, on validation speakers, for which the threshold is set.
    with_figures
        Whether to look at the test speakers; without, the list of figures is empty.
    strangers
        Scores that networks of this recipe gave to corpora they had never met. They calibrate the confidence beside those of
        the validation speakers: these are of the training corpora, and what is right for them is too sure of everybody else.
        Of test speakers and of corpora never trained on they are not looked at.
    """
    network = training.network
    shape = network.shape
    overlap = set(never_trained) & set(training.shares)
    if overlap:
        raise ValueError(f"corpora named as never trained on were trained on: {', '.join(sorted(overlap))}")
    # Everything is made beside the folder and moved there at the end: who reads it meanwhile never finds two trainings mixed.
    making = folder.with_name(f"{folder.name}.part")
    write_graphs(network, making)
    acoustic = constants(network)
    exported = ExportedAcoustic(making, shape, np.array(acoustic["normalisation"]["prior_shape"]))

    def members_of(part: Sequence[Clip], store: ClipStore) -> list[int]:
        paths = {clip.path for clip in part}
        return [index for index, clip in enumerate(store.clips) if clip.path in paths]

    stores = [some[0] for some in training.stores.values()]
    validating, tested = training.split.validation, training.split.test
    # As recorded, and in simulated rooms where such copies were made for the training.
    scores = [exported.score(store, members_of(validating, store)) for some in training.stores.values() for store in some]
    if strangers is not None:
        clips = [clip for clip in load_clips(training.root) if clip.corpus not in never_trained]
        scores.append(strangers.scored(clips, {clip.speaker for clip in tested}))
    validation = merge(scores)
    weights = equal_corpora(validation.corpora)
    temperature = fit_temperature(validation.labels, validation.logits, weights)
    window_temperature = fit_temperature(validation.window_labels, validation.window_logits)
    threshold = threshold_for_risk(validation.labels, softmax(validation.logits, temperature), risk, weights)

    date, machine = datetime.date.today().isoformat(), hardware()
    rule = "every clip one utterance, cold start, mean of the voiced windows' logits every 10 ms; four classes, chance UA 0.25"
    interval = "interval: 95 %, bootstrap over speakers"
    figures: list[dict[str, Any]] = []
    report: dict[str, Any] = {}

    def add(scored: Scored, data: str, protocol: str) -> None:
        figures.extend(figures_of(scored, temperature, threshold, data, f"{protocol}; {rule}; {interval}", date, machine))
        report[f"{data}: {protocol}"] = details(scored, temperature, threshold)

    for store in stores if with_figures else []:
        corpus = store.clips[0].corpus
        members = members_of(tested, store)
        names = sorted({store.clips[index].speaker for index in members})
        data = f"{corpus}, {len(names)} speakers ({', '.join(names)})"
        add(exported.score(store, members), data, "held-out speakers of a corpus that was trained on")
        add(exported.score(store, members, EQUAL_PEAK), data, "held-out speakers, every clip's peak scaled to -20 dBFS")
    for corpus in never_trained if with_figures else []:
        clips = [clip for clip in load_clips(training.root, [corpus]) if clip.emotion4]
        store = open_store(training.root, clips, training.cache, corpus)
        scored = exported.score(store, range(len(clips)))
        data = f"{corpus}, all {len(set(scored.speakers))} speakers"
        add(scored, data, "another corpus and language, never used in training or choice")
    moved = np.abs(
        np.array(acoustic["filters"]["low_hz"] + acoustic["filters"]["high_hz"])
        - np.array(acoustic["filters"]["initial_low_hz"] + acoustic["filters"]["initial_high_hz"])
    )
    document = {
        "classes": list(FOUR_CLASSES),
        "acoustic": acoustic,
        "calibration": {"window": round(window_temperature, 4), "acoustic": round(temperature, 4)},
        "abstention": {
            "acoustic": round(threshold, 4),
            "risk": risk,
            "meaning": (
                f"smallest confidence at which at most {risk:.0%} of the confident labels were wrong on validation speakers of"
                f" {', '.join(training.shares)}, as recorded and in simulated rooms"
                + (", and on these corpora as heard by networks of this recipe that had never met them" if strangers else "")
                + " (studio speech, corpora weighted equally); on other speech the share of errors is higher"
            ),
        },
        "strangers": list(strangers.heard_from) if strangers else [],
        "figures": figures,
        "settings": asdict(training.settings),
        "filter_movement_hz": {"mean": round(float(moved.mean()), 2), "largest": round(float(moved.max()), 2)},
    }
    (making / "acoustic.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    # Of an earlier training there may be one.
    (folder / HISTORY_NAME).unlink(missing_ok=True)
    if training.history is not None:
        (making / HISTORY_NAME).write_bytes(msgspec.json.encode(training.history) + b"\n")
    (making / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for made in sorted(making.iterdir()):
        made.replace(folder / made.name)
    making.rmdir()
    for figure in figures:
        low, high = figure["interval"]
        where = f"{figure['data'][:28]}: {figure['protocol'][:58]}"
        print(f"{figure['name']:38} {figure['value']:.3f} [{low:.3f}, {high:.3f}]  {where}")
    print(f"exported to {folder}; temperatures {window_temperature:.3f} {temperature:.3f}, threshold {threshold:.3f}")
