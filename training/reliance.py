"""``python -m training reliance``: which filters a bundle's classes rely on, measured on real clips and kept in the bundle.

Some neighbouring filters at a time are silenced: their normalised energy becomes 0, which is the running mean that the network
would see if these bands never did anything else (occlusion; Zeiler & Fergus, ECCV 2014, over frequency instead of an image). By
how much the logarithm of the right class's probability then falls, in clips of speakers that were not trained on, is the
figure. Filters and running mean are computed once a clip; what is repeated is the trunk and the head.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.filter_files import RELIANCE_NAME, Reliance
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.bundle.manifest import DataUse, Manifest
from realtime_ser.errors import ConfigError
from training.acoustic_network import AcousticShape
from training.bundle import VOICE_DATA, with_file
from training.conditions import speech_sets
from training.corpora import Clip, data_directory
from training.export_acoustic import ExportedAcoustic, hardware
from training.features import read_audio, voice_probabilities, voiced_windows
from training.metrics import softmax, speaker_interval, unweighted_accuracy

__all__ = ["Occluded", "add_arguments", "measure", "neighbours", "occluded", "run", "shape_of", "table"]

MEANING = (
    "It says what this network uses in these clips, not what an emotion sounds like. Filters that carry the same information "
    "stand in for each other, so that a fall near zero does not mean that a band is not heard; and a band that stands still is "
    "something that speech does not do. The intervals, over speakers, hold for each point alone. The clips are acted studio "
    "speech."
)


@dataclass(frozen=True, slots=True)
class Occluded:
    """What silencing filters does to one clip.

    Attributes
    ----------
    label
        Number of the class of the clip.
    predicted
        Number of the class that is most probable with all filters.
    fall
        Log-probability of `label` with all filters, less that without each group; nats, shape ``(groups,)``.
    """

    label: int
    predicted: int
    fall: NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training reliance``, beside ``--data``."""
    parser.add_argument("--bundle", type=Path, required=True, help="bundle folder, into which the result is written")
    parser.add_argument("--clips", type=int, default=3, help="clips per validation speaker and class (default: %(default)s)")
    parser.add_argument("--group", type=int, default=4, help="neighbouring filters silenced together (default: %(default)s)")
    parser.add_argument("--step", type=int, default=1, help="filters from one group to the next (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="decides which clips are drawn (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, write ``reliance.json`` into the bundle, and print the largest falls; 0 on success."""
    if min(args.clips, args.group, args.step) < 1:
        raise ConfigError("--clips, --group and --step must be at least 1.")
    bundle = load_bundle(args.bundle)
    if args.group > bundle.manifest.acoustic.bands:
        raise ConfigError(f"--group must be at most {bundle.manifest.acoustic.bands}, the number of filters.")
    root = data_directory(args.data)
    (clips,) = speech_sets(root, bundle.manifest.classes, "validation", (), args.clips, args.seed).values()
    reliance = measure(bundle, clips, args.group, args.step)
    with_file(args.bundle, RELIANCE_NAME, msgspec.json.format(msgspec.json.encode(reliance), indent=1) + b"\n")
    print("\n".join(table(reliance, bundle.manifest)))
    print(f"written to {args.bundle / RELIANCE_NAME}")
    return 0


def shape_of(manifest: Manifest) -> AcousticShape:
    """The sizes of a bundle's acoustic network; of the trunk's layers it tells their receptive field alone."""
    facts = manifest.acoustic
    return AcousticShape(
        bands=facts.bands,
        kernel=facts.kernel,
        stride=facts.stride,
        hop=manifest.hop,
        window=manifest.window,
        width=facts.frame_width,
        trunk_kernels=(facts.trunk_receptive_frames,),
        segments=1,
        feature=facts.feature,
        classes=len(manifest.classes),
        prior_frames=int(facts.normalisation.prior_frames),
        memory_frames=int(facts.normalisation.memory_frames),
    )


def neighbours(manifest: Manifest, size: int, step: int) -> tuple[tuple[int, ...], ...]:
    """Groups of `size` bands next to each other by their learnt centres, `step` bands from one to the next; all are in one."""
    filters = manifest.acoustic.filters
    order = np.argsort(np.add(filters.low_hz, filters.high_hz), kind="stable")
    last = len(order) - size
    firsts = [*range(0, last, step), last]
    return tuple(tuple(int(band) for band in order[first : first + size]) for first in firsts)


def occluded(
    exported: ExportedAcoustic,
    samples: NDArray[np.float32],
    label: int,
    groups: Sequence[Sequence[int]],
    temperature: float,
) -> Occluded | None:
    """Silence each of `groups` in a clip, under the runtime's rule for utterances; ``None`` where the clip has no voice.

    Parameters
    ----------
    samples
        16 kHz, float32.
    temperature
        Divides the mean logits before the softmax.
    """
    shape = exported.shape
    probabilities = voice_probabilities(samples)
    starts = np.flatnonzero(voiced_windows(probabilities, shape.window_count(len(samples)), shape))
    if not len(starts):
        return None
    normalised = exported.normalised(samples, probabilities)

    def scores(energies: NDArray[np.float32]) -> NDArray[np.float64]:
        return softmax(exported.judge(energies, starts)[1].mean(axis=0, dtype=np.float64), temperature)

    whole = scores(normalised)
    fall = np.empty(len(groups))
    for number, group in enumerate(groups):
        silenced = normalised.copy()
        silenced[:, list(group)] = 0.0
        fall[number] = np.log(whole[label]) - np.log(scores(silenced)[label])
    return Occluded(label, int(whole.argmax()), fall)


def measure(bundle: Bundle, clips: Sequence[Clip], size: int, step: int) -> Reliance:
    """Silence neighbouring filters in `clips`, and say what it does to each class.

    Parameters
    ----------
    clips
        Labelled clips, each with one of the bundle's classes.
    size, step
        See :func:`neighbours`.

    Raises
    ------
    ConfigError
        A class has no clip with voice, or the clips are of a corpus whose licence is not known here.
    """
    manifest = bundle.manifest
    corpora = sorted({clip.corpus for clip in clips})
    unknown = [corpus for corpus in corpora if corpus not in VOICE_DATA]
    if unknown:
        raise ConfigError(f"Nothing is known about the licence of {', '.join(unknown)}.", "Add it to training/bundle.py.")
    groups = neighbours(manifest, size, step)
    facts = manifest.acoustic
    exported = ExportedAcoustic(bundle.path, shape_of(manifest), np.array(facts.normalisation.prior_shape))
    heard = list(_progress(exported, clips, manifest, groups))
    labels = np.array([one.label for _, one in heard])
    silent = [name for number, name in enumerate(manifest.classes) if number not in labels]
    if silent:
        raise ConfigError(f"There is no clip with voice of {', '.join(silent)}.", "Draw more with --clips.")
    fall, interval = [], []
    for number in range(len(manifest.classes)):
        own = [(clip.speaker, one.fall) for clip, one in heard if one.label == number]
        falls = np.array([values for _, values in own])
        speakers = [speaker for speaker, _ in own]
        fall.append(tuple(_rounded(value) for value in falls.mean(axis=0)))
        interval.append(tuple(_interval(falls[:, group], speakers) for group in range(len(groups))))
    predicted = np.array([one.predicted for _, one in heard])
    return Reliance(
        classes=manifest.classes,
        networks={name: manifest.files[name] for name in ("bands.onnx", "trunk.onnx", "head.onnx")},
        groups=groups,
        fall=tuple(fall),
        interval=tuple(interval),
        clips={
            name: tuple(clip.path for clip, one in heard if one.label == number) for number, name in enumerate(manifest.classes)
        },
        speakers=tuple(sorted({clip.speaker for clip, _ in heard})),
        recall=_rounded(unweighted_accuracy(labels, predicted)),
        method=(
            f"occlusion: {size} neighbouring filters at a time are set to their running mean; every clip one utterance, cold "
            "start, mean of the voiced windows' logits every 10 ms, the bundle's temperature; by how much the log-probability "
            "of the clip's own class falls, mean over its clips; validation speakers, who stopped and calibrated the training "
            "but were not trained on; clips drawn by hash; interval: 95 %, bootstrap over speakers"
        ),
        meaning=MEANING,
        data=tuple(
            DataUse(*VOICE_DATA[corpus], f"{sum(clip.corpus == corpus for clip, _ in heard)} clips") for corpus in corpora
        ),
        date=datetime.date.today().isoformat(),
        hardware=hardware(),
    )


def _progress(
    exported: ExportedAcoustic, clips: Sequence[Clip], manifest: Manifest, groups: Sequence[Sequence[int]]
) -> Iterator[tuple[Clip, Occluded]]:
    started = time.monotonic()
    for number, clip in enumerate(clips, 1):
        label = manifest.classes.index(clip.emotion4)
        one = occluded(exported, read_audio(clip.file), label, groups, manifest.calibration.acoustic)
        if one is not None:
            yield clip, one
        if number % 10 == 0 or number == len(clips):
            print(f"{number}/{len(clips)} clips, {time.monotonic() - started:.0f} s", flush=True)


def _interval(falls: NDArray[np.float64], speakers: Sequence[str]) -> tuple[float, float]:
    low, high = speaker_interval(lambda rows: float(falls[rows].mean()), speakers)
    return _rounded(low), _rounded(high)


def _rounded(value: float) -> float:
    return round(float(value), 4)


def table(reliance: Reliance, manifest: Manifest) -> list[str]:
    """Lines of text: for every class, the three groups without which it loses most."""
    filters = manifest.acoustic.filters
    lines = [f"{sum(map(len, reliance.clips.values()))} clips, {len(reliance.speakers)} speakers, UA {reliance.recall:.3f}"]
    for name, fall, interval in zip(reliance.classes, reliance.fall, reliance.interval, strict=True):
        for place in np.argsort(fall)[::-1][:3]:
            group = reliance.groups[place]
            low, high = min(filters.low_hz[band] for band in group), max(filters.high_hz[band] for band in group)
            below, above = interval[place]
            lines.append(f"{name:12} {low:6.0f}-{high:<6.0f} Hz  {fall[place]:+.3f} [{below:+.3f}, {above:+.3f}] nats")
    return lines
