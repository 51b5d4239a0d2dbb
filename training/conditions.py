"""``python -m training conditions``: what a bundle makes of rooms, noise, telephones and levels, and of what is no emotion.

Everything goes through the runtime's own pipeline, without words (:func:`realtime_ser.assembly.build_stages`): its voice
detector, its running band mean from a cold start, its windows, calibration and abstention. Speech of held-out speakers is heard
under every condition, each clip as one utterance; sounds without speech, natural speech, silence and noise are cut into
utterances by the voice detector, as live.

Conditions and subsets are decided by seeds and by names of clips, so that two bundles are measured on the same samples.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.asr.discovery import RecognizerChoice
from realtime_ser.assembly import Models, SegmentationKind, build_stages, run_pipeline
from realtime_ser.audio.sources import ArraySource
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.bundle.manifest import Abstention, AcousticFacts, Calibration, Card, FusionFacts, Manifest, TextFacts, digest
from realtime_ser.errors import BundleError, ConfigError
from realtime_ser.fusion.network import FusionNetwork
from realtime_ser.text import TextNetwork
from realtime_ser.types import Verdict
from training.acoustic_network import SAMPLE_RATE
from training.corpora import Clip, data_directory, load_clips
from training.degrade import (
    Degradation,
    MeetingNoise,
    band_limited,
    clipped,
    reverberated,
    scaled,
    through_opus,
    through_telephone,
    with_noise,
)
from training.export_acoustic import hardware
from training.features import read_audio
from training.metrics import expected_calibration_error, speaker_interval, unweighted_accuracy
from training.rooms import room_response
from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION

__all__ = [
    "Heard",
    "Sound",
    "add_arguments",
    "figures_of_sounds",
    "figures_of_speech",
    "hear",
    "run",
    "voice_of",
    "voice_of_export",
]

CLEAN = "clean"
RESULT = "conditions.json"
ROOMS = ((0.3, 1.0), (0.3, 3.0), (0.6, 1.0), (0.6, 3.0))
RESPONSES = 8
"""Responses per kind of room; every clip meets one of them."""
NOISE_RATIOS = (20, 10, 5)
MADE_SECONDS = 10
NEUTRAL = "neutral"
TEST_MEETINGS = ("tst", "dev")
"""Recordings of meetings that took no part in training, where ``trn`` did."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance as the runtime judged it; `scores` are calibrated probabilities, `label` is empty where it abstains."""

    scores: tuple[float, ...]
    label: str
    voiced_seconds: float


@dataclass(frozen=True, slots=True)
class Sound:
    """Something that is heard for its own sake: who made it (for intervals), and its samples."""

    source: str
    samples: NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training conditions``, beside ``--data``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--bundle", help="bundle folder or name of a shipped bundle (default: the default one)")
    which.add_argument("--acoustic", type=Path, help="an exported acoustic network instead (folder with acoustic.json)")
    parser.add_argument("--out", type=Path, default=Path("runs/conditions"), help="folder of the result (default: %(default)s)")
    parser.add_argument(
        "--speakers", choices=["test", "validation"], default="test", help="which held-out speakers (default: %(default)s)"
    )
    parser.add_argument("--unheard", nargs="*", default=["EMOVO"], help="corpora never trained on (default: EMOVO)")
    parser.add_argument("--clips", type=int, default=4, help="clips per speaker and class (default: %(default)s)")
    parser.add_argument("--sounds", type=int, default=150, help="sounds without speech (default: %(default)s)")
    parser.add_argument("--only", nargs="*", help="only conditions whose name contains one of these words")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write ``conditions.json``; 0 on success."""
    if args.clips < 1 or args.sounds < 1:
        raise ConfigError("--clips and --sounds must be at least 1.")
    root = data_directory(args.data)
    models = voice_of_export(args.acoustic) if args.acoustic else voice_of(args.bundle)
    noise = MeetingNoise.read(root / "clips" / "meetings", TEST_MEETINGS)
    conditions = conditions_of(noise, args.seed)
    sets = speech_sets(root, models.classes, args.speakers, args.unheard, args.clips, args.seed)
    sounds = sounds_of(root, noise, args.sounds, args.seed)
    if args.only is not None:
        conditions = {name: value for name, value in conditions.items() if any(word in name for word in args.only)}
        sounds = {name: value for name, value in sounds.items() if any(word in name for word in args.only)}
        if not conditions and not sounds:
            raise ConfigError(f"No condition has any of {', '.join(args.only) or 'no words'} in its name.")
    result: dict[str, Any] = {
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()},
        # So that figures are never put on the card of another network.
        "head": (
            digest((args.acoustic / "head.onnx").read_bytes())
            if args.acoustic
            else load_bundle(args.bundle).manifest.files["head.onnx"]
        ),
        "figures": [],
        "details": {},
    }
    stamp = {"date": datetime.date.today().isoformat(), "hardware": hardware()}
    started = time.monotonic()
    print_header(sets)
    audio = {clip.path: read_audio(clip.file) for clips in sets.values() for clip in clips}
    for name, degradation in conditions.items():
        rows = []
        for data, clips in sets.items():
            heard = [hear_clip(models, audio[clip.path], degradation, f"{args.seed}:{name}:{clip.path}") for clip in clips]
            figures = figures_of_speech(models.classes, clips, heard, name, data, args.clips, stamp)
            rows.append(figures)
            result["figures"] += figures
            result["details"][f"{name}: {data}"] = [
                {"clip": clip.path, "label": clip.emotion4, **asdict(one)} for clip, one in zip(clips, heard, strict=True)
            ]
        print_speech(name, rows)
        write(args.out, result, started)
    print("\ncut into utterances by the voice detector, as live; per sound: utterances, a label, a label other than neutral")
    for name, some in sounds.items():
        heard_sounds = [hear(models, sound.samples, "voice") for sound in some]
        figures = figures_of_sounds(some, heard_sounds, name, stamp)
        result["figures"] += figures
        result["details"][name] = [
            {"source": sound.source, "utterances": [asdict(one) for one in heard]}
            for sound, heard in zip(some, heard_sounds, strict=True)
        ]
        print_sounds(name, figures, some)
        write(args.out, result, started)
    print(f"\n{result['seconds']} s; written to {args.out / RESULT}")
    return 0


def write(folder: Path, result: dict[str, Any], started: float) -> None:
    """Write what is known so far to ``conditions.json``: after every condition, so that a run broken off leaves its figures."""
    result["seconds"] = round(time.monotonic() - started)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{RESULT}.part"
    draft.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / RESULT)


# --- what hears ---


def voice_of(bundle: str | Path | None) -> Models:
    """The acoustic part of a bundle, for the runtime's pipeline without words."""
    return _without_words(load_bundle(bundle))


def voice_of_export(folder: Path) -> Models:
    """An exported acoustic network (:func:`training.export_acoustic.export`), for the runtime's pipeline without words.

    Raises
    ------
    BundleError
        A file is missing or broken.
    """
    try:
        document = json.loads((folder / "acoustic.json").read_text(encoding="utf-8"))
        shape, facts = document["settings"]["shape"], document["acoustic"]
        contents = {name: (folder / name).read_bytes() for name in ("bands.onnx", "trunk.onnx", "head.onnx")}
        import msgspec

        manifest = Manifest(
            format=1,
            name=folder.name,
            version="",
            created="",
            licence="",
            classes=tuple(document["classes"]),
            sample_rate=SAMPLE_RATE,
            window=shape["window"],
            hop=shape["hop"],
            acoustic=msgspec.convert(facts, AcousticFacts),
            text=TextFacts(1, 1),
            fusion=FusionFacts("none", 1),
            calibration=Calibration(document["calibration"]["window"], document["calibration"]["acoustic"], 1.0, 1.0),
            abstention=Abstention(document["abstention"]["acoustic"], 1.0, document["abstention"]["risk"], ""),
            card=Card("", (), (), ()),
            files={name: digest(content) for name, content in contents.items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder} is no exported acoustic network: {error}.", "Export one with: python -m training acoustic."
        ) from error
    return _without_words(Bundle(folder, manifest, ""))


def _without_words(bundle: Bundle) -> Models:
    # The stages are built without words, and then neither touch the text and fusion networks nor a recogniser.
    nothing = None
    return Models(
        bundle,
        AcousticModel.from_bundle(bundle),
        cast(TextNetwork, nothing),
        cast(FusionNetwork, nothing),
        cast(RecognizerChoice, nothing),
    )


def hear(models: Models, samples: NDArray[np.float32], segmentation: SegmentationKind) -> list[Heard]:
    """The utterances of `samples`, as the runtime judges them."""
    if not len(samples):
        return []
    stages = build_stages(models, live=False, segmentation=segmentation, words=False)
    # The cut into blocks does not change scores; long blocks are a little quicker.
    source = ArraySource(samples, SAMPLE_RATE, block=SAMPLE_RATE)
    return [
        Heard(
            tuple(float(score) for score in output.estimate.scores), output.estimate.label or "", output.estimate.voiced_seconds
        )
        for output in run_pipeline(source, stages)
        if isinstance(output, Verdict)
    ]


def hear_clip(models: Models, samples: NDArray[np.float32], degradation: Degradation, seed: str) -> Heard:
    """The verdict on a whole clip under a condition; what is random about it follows from `seed`."""
    changed = degradation(samples, np.random.default_rng(_number(seed)))
    heard = hear(models, changed, "whole")
    if heard:
        return heard[0]
    return Heard((1 / len(models.classes),) * len(models.classes), "", 0.0)


# --- what is heard ---


def conditions_of(noise: MeetingNoise, seed: int) -> dict[str, Degradation]:
    """Every condition by name: speech as it is, in rooms, with background, through codecs, at wrong levels, and all of it."""
    random = np.random.default_rng(seed)
    rooms = {room: [room_response(*room, random) for _ in range(RESPONSES)] for room in ROOMS}

    def in_room(room: tuple[float, float]) -> Degradation:
        return lambda samples, chance: reverberated(samples, rooms[room][int(chance.integers(RESPONSES))])

    def with_pauses(ratio: float) -> Degradation:
        return lambda samples, chance: with_noise(samples, noise.draw("pauses", len(samples), chance), ratio)

    def everything(samples: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
        heard = with_pauses(10)(in_room((0.6, 3.0))(samples, chance), chance)
        return through_opus(scaled(heard, -15), 16)

    def plain(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Degradation:
        return lambda samples, _: change(samples)

    return {
        CLEAN: plain(lambda samples: samples),
        **{f"room {rt60} s, {distance:.0f} m": in_room((rt60, distance)) for rt60, distance in ROOMS},
        **{f"meeting background {ratio} dB": with_pauses(ratio) for ratio in NOISE_RATIOS},
        "people talking 10 dB": lambda samples, chance: with_noise(samples, noise.draw("talk", len(samples), chance), 10),
        "Opus 16 kbit/s": plain(lambda samples: through_opus(samples, 16)),
        "telephone G.711 mu-law": plain(lambda samples: through_telephone(samples, "mu-law")),
        "telephone GSM 06.10": plain(lambda samples: through_telephone(samples, "gsm")),
        "300 to 3400 Hz": plain(lambda samples: band_limited(samples, 300, 3_400)),
        "level -30 dB": plain(lambda samples: scaled(samples, -30)),
        "10 % clipped": plain(lambda samples: clipped(samples, 0.1)),
        "room 0.6 s 3 m, background 10 dB, -15 dB, Opus": everything,
    }


def speech_sets(
    root: Path, classes: Sequence[str], part: str, unheard: Sequence[str], most: int, seed: int
) -> dict[str, list[Clip]]:
    """The clips to hear: held-out speakers of the bundle's corpora together, and every corpus never trained on."""
    speakers = BUNDLE_TEST if part == "test" else BUNDLE_VALIDATION
    everyone = [clip for clip in load_clips(root) if clip.emotion4 in classes]
    sets = {f"{part} speakers": [clip for clip in everyone if clip.speaker in speakers]}
    sets |= {name: [clip for clip in everyone if clip.corpus == name] for name in unheard}
    for name, clips in sets.items():
        if not clips:
            raise ConfigError(f"There are no clips of {name} under {root}.")
    return {name: some_clips(clips, most, seed) for name, clips in sets.items()}


def some_clips(clips: Iterable[Clip], most: int, seed: int) -> list[Clip]:
    """At most so many clips of every speaker and class: those whose path and seed have the smallest hash; sorted by path."""
    groups: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.speaker, clip.emotion4), []).append(clip)
    chosen = [sorted(group, key=lambda clip: _number(f"{seed}:{clip.path}"))[:most] for group in groups.values()]
    return sorted((clip for group in chosen for clip in group), key=lambda clip: clip.path)


def sounds_of(root: Path, noise: MeetingNoise, most: int, seed: int) -> dict[str, list[Sound]]:
    """What should not be given an emotion: sounds without speech, natural speech, silence and noise."""
    folder = root / "clips"
    sounds: dict[str, list[Sound]] = {}
    files = sorted(
        (folder / "nonspeech").glob("*.opus"), key=lambda path: _number(f"{seed}:{path.name}")
    )  # Names begin with the person.
    if files:
        sounds["coughs, laughs, cries, sighs"] = [
            Sound(path.stem.split("_")[0], read_audio(path)) for path in sorted(files[:most])
        ]
    meetings = [path for path in sorted((folder / "meetings").glob("*.flac")) if path.stem.startswith(TEST_MEETINGS)]
    sounds["natural speech: meetings"] = [Sound(path.stem, read_audio(path)) for path in meetings]
    read = folder / "transcripts.tsv"
    if read.is_file():
        with read.open(encoding="utf-8", newline="") as lines:
            rows = [row["path"] for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
        rows = sorted(rows, key=lambda path: _number(f"{seed}:{path}"))[: max(most // 3, 1)]
        sounds["natural speech: read"] = [Sound(Path(path).stem, read_audio(folder / path)) for path in sorted(rows)]
    random = np.random.default_rng(seed)
    length = MADE_SECONDS * SAMPLE_RATE
    white = random.standard_normal(length)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), length)
    hum = np.sin(2 * np.pi * 50 * np.arange(length) / SAMPLE_RATE)
    made = {"silence": np.zeros(length)}
    for name, wave in (("white noise", white), ("pink noise", pink), ("50 Hz hum", hum)):
        made |= {f"{name} {level} dBFS": wave / np.sqrt(np.mean(wave**2)) * 10 ** (level / 20) for level in (-60, -40, -20)}
    sounds["silence and made noise"] = [Sound(name, np.clip(wave, -1, 1).astype(np.float32)) for name, wave in made.items()]
    sounds["meeting background alone"] = [
        Sound(f"stretch {number}", part.astype(np.float32))
        for number, part in enumerate(np.array_split(noise.pauses, max(1, len(noise.pauses) // (5 * SAMPLE_RATE))))
    ]
    return sounds


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


# --- what comes of it ---


def figures_of_speech(
    classes: Sequence[str],
    clips: Sequence[Clip],
    heard: Sequence[Heard],
    condition: str,
    data: str,
    most: int,
    stamp: Mapping[str, str],
) -> list[dict[str, Any]]:
    """UA, ECE, coverage and accuracy when confident of clips under a condition, in the form of the evaluation card.

    Confident is what the runtime gives a label: enough voice, and a confidence at the bundle's threshold.
    """
    labels = np.array([classes.index(clip.emotion4) for clip in clips], np.int64)
    scores = np.array([one.scores for one in heard], np.float64)
    predicted = scores.argmax(axis=1).astype(np.int64)
    confident = np.array([bool(one.label) for one in heard])
    right = predicted == labels

    def accuracy_when_confident(rows: NDArray[np.int64]) -> float:
        # A bootstrap sample in which nothing is confident says nothing: accuracy 0 keeps the interval honest.
        return float(right[rows][confident[rows]].mean()) if confident[rows].any() else 0.0

    table: dict[str, Callable[[NDArray[np.int64]], float]] = {
        "UA": lambda rows: unweighted_accuracy(labels[rows], predicted[rows]),
        "ECE": lambda rows: expected_calibration_error(labels[rows], scores[rows]),
        "coverage": lambda rows: float(confident[rows].mean()),
        "accuracy when confident": accuracy_when_confident,
    }
    speakers = [clip.speaker for clip in clips]
    corpora = ", ".join(sorted({clip.corpus for clip in clips}))
    described = f"{corpora}: {data}, {len(set(speakers))} speakers, {len(clips)} clips"
    protocol = (
        f"condition: {condition}; the runtime without words, every clip one utterance, cold start; at most {most} clips per"
        f" speaker and class, chosen by hash; chance UA {1 / len(classes):.2f}; interval: 95 %, bootstrap over speakers"
    )
    return [
        _figure(f"acoustic {name}, {condition}", figure, speakers, described, protocol, stamp) for name, figure in table.items()
    ]


def figures_of_sounds(
    sounds: Sequence[Sound], heard: Sequence[Sequence[Heard]], name: str, stamp: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Shares of sounds taken for speech, with a label, and with a label other than neutral; then shares of their utterances."""
    taken = np.array([bool(some) for some in heard])
    labelled = np.array([any(one.label for one in some) for some in heard])
    emotional = np.array([any(one.label not in ("", NEUTRAL) for one in some) for some in heard])
    sources = [sound.source for sound in sounds]
    protocol = (
        "the runtime without words, cut into utterances by its voice detector, cold start;"
        " interval: 95 %, bootstrap over persons or recordings"
    )
    data = f"{name}, {len(sounds)} sounds, {sum(len(sound.samples) for sound in sounds) / SAMPLE_RATE:.0f} s"
    figures = [
        _figure(f"{title}, {name}", lambda rows, flags=flags: float(flags[rows].mean()), sources, data, protocol, stamp)
        for title, flags in (
            ("share taken for speech", taken),
            ("share with a label", labelled),
            ("share with a label other than neutral", emotional),
        )
    ]
    owners = [source for source, some in zip(sources, heard, strict=True) for _ in some]
    utterances = [one for some in heard for one in some]
    if utterances:
        data = f"{data}, {len(utterances)} utterances"
        for title, flags in (
            ("share of utterances with a label", np.array([bool(one.label) for one in utterances])),
            (
                "share of utterances with a label other than neutral",
                np.array([one.label not in ("", NEUTRAL) for one in utterances]),
            ),
        ):
            figures.append(
                _figure(f"{title}, {name}", lambda rows, flags=flags: float(flags[rows].mean()), owners, data, protocol, stamp)
            )
    return figures


def _figure(
    name: str,
    figure: Callable[[NDArray[np.int64]], float],
    owners: Sequence[str],
    data: str,
    protocol: str,
    stamp: Mapping[str, str],
) -> dict[str, Any]:
    low, high = speaker_interval(figure, owners)
    return {
        "name": name,
        "value": round(figure(np.arange(len(owners))), 4),
        "interval": [round(low, 4), round(high, 4)],
        "data": data,
        "protocol": protocol,
        **stamp,
    }


def print_header(sets: Mapping[str, Sequence[Clip]]) -> None:
    """Head of the table of speech."""
    print(f"{'':48}" + "".join(f"{f'{name}: {len(clips)} clips':36}" for name, clips in sets.items()))
    print(f"{'condition':48}" + f"{'UA':>6} {'interval':13}{'ECE':>5} {'cover':>6}{'acc':>5}" * len(sets), flush=True)


def print_speech(name: str, rows: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """One line: a condition, all sets."""
    line = f"{name:48}"
    for ua, ece, coverage, accuracy in rows:
        low, high = ua["interval"]
        interval = f"[{low:.2f}, {high:.2f}]"
        line += f"{ua['value']:6.3f} {interval:13}{ece['value']:5.2f} {coverage['value']:6.2f}{accuracy['value']:5.2f}"
    print(line, flush=True)


def print_sounds(name: str, figures: Sequence[Mapping[str, Any]], sounds: Sequence[Sound]) -> None:
    """One line: a kind of sound."""
    taken, labelled, emotional = (figure["value"] for figure in figures[:3])
    line = f"{name:48}{len(sounds):4} sounds: {taken:.3f} taken for speech, {labelled:.3f} a label, {emotional:.3f} not neutral"
    if len(figures) > 3:
        line += f"; of their utterances {figures[3]['value']:.3f} a label, {figures[4]['value']:.3f} not neutral"
    print(line, flush=True)
