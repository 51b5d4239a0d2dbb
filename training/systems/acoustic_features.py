"""What openSMILE says about clips, for the compared systems: functionals, frames, contours; kept on disk.

openSMILE (Eyben et al., "openSMILE – The Munich versatile and fast open-source audio feature extractor", ACM Multimedia 2010)
is what the compared papers use. Its licence allows research and other non-commercial use.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.errors import ConfigError
from training.acoustic_network import SAMPLE_RATE
from training.corpora import Clip
from training.features import read_audio

__all__ = [
    "CONTOURS",
    "EGEMAPS",
    "LOW_LEVEL_WIDTH",
    "MFCC",
    "MFCC_WIDTH",
    "PEAK",
    "PROSODY_WIDTH",
    "FrontEnd",
    "Standardisation",
    "equalised",
    "features_of",
    "low_level",
    "mfcc_with_derivatives",
    "prosody",
    "standardised_by_speaker",
    "with_derivatives",
]

Floats = NDArray[np.float32]

PEAK = 0.9
"""Largest absolute sample of a clip whose level is equalised."""

MFCC_WIDTH = 39
PROSODY_WIDTH = 35
LOW_LEVEL_WIDTH = 32

SHORTEST = SAMPLE_RATE // 5
"""Samples that a clip is filled up to with silence, lest openSMILE finds no complete frame of its longest window."""

SAVE_EVERY = 400
"""Clips after which what was computed is saved, so that little is lost."""


@dataclass(frozen=True)
class FrontEnd:
    """One kind of features.

    Attributes
    ----------
    name
        Of the cache's files; another name where anything about the features changes.
    width
        Values per row.
    feature_set
        openSMILE's name of a feature set, or a file beside this module.
    level
        openSMILE's name of the level.
    columns
        Those of openSMILE's columns that are kept; all without them.
    """

    name: str
    width: int
    feature_set: str
    level: str
    columns: tuple[str, ...] = ()

    def __call__(self, samples: Floats) -> Floats:
        """Rows for the `samples` of one clip, shape ``(frames, width)``; one row where `level` is functionals.

        What openSMILE cannot say (the pitch of noise, say) is 0.
        """
        extractor, kept = _extractor(self)
        filled = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            table = extractor.process_signal(filled, SAMPLE_RATE)
        rows = table.to_numpy(np.float32)[:, kept]
        return np.ascontiguousarray(np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0))


EGEMAPS = FrontEnd("egemaps-v02", 88, "eGeMAPSv02", "Functionals")
"""88 functionals of the extended Geneva minimalistic acoustic parameter set (Eyben et al. 2016), version 2."""

MFCC = FrontEnd("mfcc13", 13, "mfcc.conf", "lld")
"""12 MFCC and the log energy, 25 ms every 10 ms."""

CONTOURS = FrontEnd(
    "contours18",
    18,
    "ComParE_2016",
    "LowLevelDescriptors",
    (
        "F0final_sma",
        "voicingFinalUnclipped_sma",
        "jitterLocal_sma",
        "shimmerLocal_sma",
        "logHNR_sma",
        "audspec_lengthL1norm_sma",
        *(f"mfcc_sma[{number}]" for number in range(1, 13)),
    ),
)
"""F0 in Hz (0: voiceless), voicing, jitter, shimmer, log harmonics-to-noise ratio, loudness and MFCC 1–12, every 10 ms."""

F0, VOICING, JITTER, SHIMMER, HARMONICS, LOUDNESS, FIRST_MFCC = range(7)


@cache
def _extractor(front_end: FrontEnd) -> tuple[Any, list[int]]:
    """OpenSMILE set up for `front_end`, and the columns to keep."""
    try:
        import opensmile
    except ImportError as error:
        raise ConfigError(
            "The compared systems need openSMILE, which is not installed.", "Install it with: pip install opensmile."
        ) from error
    beside = Path(__file__).parent / front_end.feature_set
    feature_set = str(beside) if beside.suffix == ".conf" else opensmile.FeatureSet[front_end.feature_set]
    level = front_end.level if beside.suffix == ".conf" else opensmile.FeatureLevel[front_end.level]
    extractor = opensmile.Smile(feature_set, level)
    names = extractor.feature_names
    kept = [names.index(name) for name in front_end.columns] if front_end.columns else list(range(len(names)))
    if len(kept) != front_end.width:
        raise ConfigError(f"openSMILE gives {len(kept)} values for {front_end.name}, {front_end.width} are known.")
    return extractor, kept


def equalised(samples: Floats) -> Floats:
    """`samples` with the largest absolute value :data:`PEAK`; silence stays as it is."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak == 0.0 else (samples * np.float32(PEAK / peak)).astype(np.float32)


def features_of(
    clips: Sequence[Clip],
    front_end: FrontEnd,
    folder: Path,
    levels_equalised: bool = False,
    extract: Callable[[Floats], Floats] | None = None,
) -> list[Floats]:
    """Features of `clips`, each ``(frames, width)``, from the cache in `folder`, which gains what it does not have yet.

    A corpus has one file; a clip is known by its path and size. Several processes may use a folder: files are replaced as
    a whole, and the worst that can happen is that something is computed twice.

    Parameters
    ----------
    levels_equalised
        Whether every clip is scaled to one peak first.
    extract
        In place of `front_end` itself.
    """
    found: dict[str, Floats] = {}
    for corpus in sorted({clip.corpus for clip in clips}):
        found |= _of_corpus(
            [clip for clip in clips if clip.corpus == corpus], corpus, front_end, folder, levels_equalised, extract
        )
    return [found[clip.path] for clip in clips]


def _of_corpus(
    clips: Sequence[Clip],
    corpus: str,
    front_end: FrontEnd,
    folder: Path,
    levels_equalised: bool,
    extract: Callable[[Floats], Floats] | None,
) -> dict[str, Floats]:
    store = folder / f"{front_end.name}{'-equalised' if levels_equalised else ''}-{corpus}.npz"
    keys = {clip.path: f"{clip.path}|{clip.file.stat().st_size}" for clip in clips}
    known = _read(store)
    missing = [clip for clip in dict.fromkeys(clips) if keys[clip.path] not in known]
    extract = extract or front_end
    started = time.monotonic()
    fresh: dict[str, Floats] = {}
    for number, clip in enumerate(missing, 1):
        samples = read_audio(clip.file)
        fresh[keys[clip.path]] = extract(equalised(samples) if levels_equalised else samples)
        if number % SAVE_EVERY == 0 or number == len(missing):
            # Read again: another process may have added to it.
            known = _read(store) | known | fresh
            _write(store, known)
            print(f"{store.stem}: {number}/{len(missing)} clips, {time.monotonic() - started:.0f} s", flush=True)
    return {path: known[key] for path, key in keys.items()}


def _read(store: Path) -> dict[str, Floats]:
    if not store.is_file():
        return {}
    with np.load(store) as stored:
        names, lengths, values = stored["names"], stored["lengths"], stored["values"]
    return dict(zip(names.tolist(), np.split(values, np.cumsum(lengths)[:-1]), strict=True))


def _write(store: Path, rows: dict[str, Floats]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=store.parent, prefix=store.stem, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        lengths = np.array([len(part) for part in rows.values()], np.int64)
        np.savez(file, names=np.array(list(rows)), lengths=lengths, values=np.concatenate(list(rows.values())))
    Path(name).replace(store)


def with_derivatives(rows: Floats, order: int, reach: int = 2) -> Floats:
    """`rows` ``(frames, n)`` and their first `order` derivatives, ``(frames, n * (order + 1))``.

    The regression that HTK and openSMILE use: d[t] = Σ_k k (c[t + k] − c[t − k]) / (2 Σ_k k²), k = 1 … `reach`, the first and
    last frame repeated beyond the ends.
    """
    parts = [rows]
    for _ in range(order):
        padded = np.pad(parts[-1], ((reach, reach), (0, 0)), mode="edge")
        count = len(rows)
        steps = range(1, reach + 1)
        slope = sum(k * (padded[reach + k : reach + k + count] - padded[reach - k : reach - k + count]) for k in steps)
        parts.append((slope / (2 * sum(k * k for k in steps))).astype(np.float32))
    return np.concatenate(parts, axis=1)


def mfcc_with_derivatives(rows: Floats) -> Floats:
    """The 39 values of a frame in MDRE and MHA: :data:`MFCC` rows with their first and second derivatives."""
    return with_derivatives(rows, 2)


def low_level(contours: Floats) -> Floats:
    """32 values of a frame from :data:`CONTOURS`: F0, voicing, jitter, shimmer, MFCC 1–12, and their derivatives."""
    kept = [F0, VOICING, JITTER, SHIMMER, *range(FIRST_MFCC, FIRST_MFCC + 12)]
    return with_derivatives(contours[:, kept], 1)


def prosody(contours: Floats) -> Floats:
    """35 values of a clip from :data:`CONTOURS`: seven of each of five contours, shape ``(35,)``.

    Contours: F0 in Hz and its logarithm, voicing, loudness, log harmonics-to-noise ratio; both F0 contours over voiced frames
    only. Of each: mean, standard deviation, slope of the regression line per second, centre of gravity in time (0 … 1), 10th
    and 90th percentile, and the distance of the two. Without a voiced frame the F0 values are 0.
    """
    pitch = contours[:, F0].astype(np.float64)
    voiced = pitch > 0
    place = np.arange(len(contours)) / max(len(contours) - 1, 1)
    seconds = np.arange(len(contours)) * 0.01
    logarithm = np.log(np.where(voiced, pitch, 1.0))
    everywhere = np.ones(len(contours), bool)
    values: list[float] = []
    for contour, where in (
        (pitch, voiced),
        (logarithm, voiced),
        (contours[:, VOICING].astype(np.float64), everywhere),
        (contours[:, LOUDNESS].astype(np.float64), everywhere),
        (contours[:, HARMONICS].astype(np.float64), everywhere),
    ):
        values += _summary(contour[where], place[where], seconds[where])
    return np.array(values, np.float32)


def _summary(contour: NDArray[np.float64], place: NDArray[np.float64], seconds: NDArray[np.float64]) -> list[float]:
    if len(contour) == 0:
        return [0.0] * 7
    mean = float(contour.mean())
    spread = seconds - seconds.mean()
    variance = float(spread @ spread)
    slope = float(spread @ (contour - mean)) / variance if variance > 0 else 0.0
    # Weights must not be negative: the harmonics-to-noise ratio is counted from its lowest value.
    weights = contour - min(float(contour.min()), 0.0)
    centre = float(weights @ place / weights.sum()) if weights.sum() > 0 else 0.5
    low, high = np.quantile(contour, [0.1, 0.9])
    return [mean, float(contour.std()), slope, centre, float(low), float(high), float(high - low)]


class Standardisation:
    """Mean 0 and standard deviation 1 on the `rows` it is made from, shape ``(n, width)``; a constant column becomes 0."""

    def __init__(self, rows: NDArray[np.floating]) -> None:
        self.mean = rows.mean(axis=0, dtype=np.float64)
        spread = rows.std(axis=0, dtype=np.float64)
        # What differs by rounding only is constant.
        self.spread = np.where(spread > 1e-6 * np.maximum(1.0, np.abs(self.mean)), spread, np.inf)

    def __call__(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """`rows` in those units, shape ``(n, width)``."""
        return (np.asarray(rows, np.float64) - self.mean) / self.spread


def standardised_by_speaker(rows: NDArray[np.floating], speakers: Sequence[str]) -> NDArray[np.float64]:
    """`rows` ``(n, width)`` standardised within every speaker's own.

    It needs no label, but all of a speaker's clips at once: more than a recogniser of single utterances has.
    """
    names = np.asarray(speakers)
    result = np.empty(rows.shape, np.float64)
    for name in np.unique(names):
        own = names == name
        result[own] = Standardisation(rows[own])(rows[own])
    return result
