"""What a bundle says about itself: ``manifest.json`` as typed, checked values.

The layout is documented in docs/architecture.md. Unknown keys are ignored, so that a later program may add some within the same
format; a missing or ill-typed key is an error.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from realtime_ser.errors import BundleError

__all__ = [
    "COLUMNS",
    "FORMAT",
    "Abstention",
    "AcousticFacts",
    "Calibration",
    "Card",
    "DataUse",
    "Figure",
    "FilterFacts",
    "FusionFacts",
    "Manifest",
    "NormalisationFacts",
    "SpeakerFacts",
    "TextFacts",
    "digest",
    "parse_manifest",
]

FORMAT: Final = 1
"""The bundle format that this program reads."""

COLUMNS: Final = frozenset(
    {
        *("file", "person", "start", "end", "voiced", "label", "state", "confidence", "voiced_seconds", "word_share"),
        *("transcript", "transcript_confidence", "recognizer", "note"),
    }
)
"""What stands beside the scores in tables, in columns that are named like this: no class may be called so."""

_LARGEST_LOG = 100
"""No logarithm of an energy in float32 is larger."""
_LONGEST_NAME = 40
_LONGEST_WINDOW = 10
"""Seconds."""


class FilterFacts(msgspec.Struct, frozen=True):
    """Cutoff frequencies (Hz) of every sinc filter, before and after training; four lists of equal length."""

    initial_low_hz: tuple[float, ...]
    initial_high_hz: tuple[float, ...]
    low_hz: tuple[float, ...]
    high_hz: tuple[float, ...]


class NormalisationFacts(msgspec.Struct, frozen=True):
    """Constants of the running band mean (docs/architecture.md); `prior_shape` has one value per band."""

    kind: str
    prior_shape: tuple[float, ...]
    prior_frames: float
    memory_frames: float


class AcousticFacts(msgspec.Struct, frozen=True):
    """Geometry of the acoustic graphs; lengths in samples or frames."""

    bands: int
    kernel: int
    stride: int
    trunk_receptive_frames: int
    frame_width: int
    feature: int
    normalisation: NormalisationFacts
    filters: FilterFacts


class TextFacts(msgspec.Struct, frozen=True):
    """Geometry of the text graph."""

    max_tokens: int
    feature: int


class FusionFacts(msgspec.Struct, frozen=True):
    """Which of the paper's fusions, and the length of the segments that it attends over."""

    kind: str
    segment: int


class Calibration(msgspec.Struct, frozen=True):
    """Temperatures by which logits are divided before the softmax; fitted on validation data."""

    window: float
    acoustic: float
    text: float
    fused: float


class SpeakerFacts(msgspec.Struct, frozen=True):
    """How the profile of a speaker is used; chosen on validation speakers.

    Attributes
    ----------
    neutral_logits
        Mean logits of windows of neutral speech, over speakers.
    frames
        How many frames the level and spectral shape of a profile count for.
    relevance_seconds, largest_share
        With s seconds of voice, ``largest_share * s / (s + relevance_seconds)`` of the difference between the speaker's neutral
        logits and the usual ones is subtracted.
    """

    neutral_logits: tuple[float, ...]
    frames: float
    relevance_seconds: float
    largest_share: float


class Abstention(msgspec.Struct, frozen=True):
    """Smallest confidence at which a label is given, and the share of wrong labels (`risk`) that it was chosen for."""

    acoustic: float
    fused: float
    risk: float
    meaning: str


class Figure(msgspec.Struct, frozen=True):
    """One measured figure with what is needed to judge and repeat it."""

    name: str
    value: float
    data: str
    protocol: str
    date: str
    hardware: str
    interval: tuple[float, float] | None = None


class DataUse(msgspec.Struct, frozen=True):
    """A data set that the bundle was trained on."""

    name: str
    licence: str
    use: str


class Card(msgspec.Struct, frozen=True):
    """What the bundle is, how good it is, and what it must not be used for."""

    summary: str
    figures: tuple[Figure, ...]
    limits: tuple[str, ...]
    data: tuple[DataUse, ...]


class Manifest(msgspec.Struct, frozen=True):
    """All of ``manifest.json``."""

    format: int
    name: str
    version: str
    created: str
    licence: str
    classes: tuple[str, ...]
    sample_rate: int
    window: int
    hop: int
    acoustic: AcousticFacts
    text: TextFacts
    fusion: FusionFacts
    calibration: Calibration
    abstention: Abstention
    card: Card
    files: dict[str, str]
    speaker: SpeakerFacts | None = None

    @property
    def band_receptive(self) -> int:
        """Samples that one band frame looks at."""
        return self.acoustic.kernel + (self.hop // self.acoustic.stride - 1) * self.acoustic.stride

    @property
    def bands_per_window(self) -> int:
        """Band frames of one window."""
        return (self.window - self.band_receptive) // self.hop + 1

    @property
    def frames_per_window(self) -> int:
        """Trunk frames of one window: what the head sees."""
        return self.bands_per_window - self.acoustic.trunk_receptive_frames + 1


def digest(data: bytes) -> str:
    """SHA-256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()


def parse_manifest(data: bytes, origin: str) -> Manifest:
    """Read and check a manifest.

    Parameters
    ----------
    data
        Content of ``manifest.json``.
    origin
        Where it came from, for messages.

    Raises
    ------
    BundleError
        When it is no manifest, comes from another version, or contradicts itself.
    """
    reinstall = "Fetch or build the bundle again; `realtime-ser models list` shows the ones found."
    try:
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw])["format"]
        declared = msgspec.json.decode(version, type=int)
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
        raise BundleError(f"{origin} is not a bundle manifest: {error}.", reinstall) from error
    if declared != FORMAT:
        advice = "Update this program." if declared > FORMAT else reinstall
        raise BundleError(f"{origin} has bundle format {declared}, this program reads format {FORMAT}.", advice)
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{origin} is incomplete: {error}.", reinstall) from error
    problem = _contradiction(manifest)
    if problem:
        raise BundleError(f"{origin} contradicts itself: {problem}.", reinstall)
    return manifest


def _contradiction(manifest: Manifest) -> str:
    acoustic = manifest.acoustic
    filters = acoustic.filters
    if len(manifest.classes) < 2 or len(set(manifest.classes)) != len(manifest.classes):
        return "it needs two or more different classes"
    for name in manifest.classes:
        if name in COLUMNS:
            return f"a class may not be called {name!r}, which is the name of a column of the tables"
        if name != name.strip() or not name or not name.isprintable() or len(name) > _LONGEST_NAME:
            return f"a class needs a printable name of 1 to {_LONGEST_NAME} characters, not {name[: 2 * _LONGEST_NAME]!r}"
    if min(manifest.sample_rate, manifest.window, manifest.hop, acoustic.kernel, acoustic.stride, acoustic.bands) <= 0:
        return "rates and lengths must be positive"
    if manifest.window > _LONGEST_WINDOW * manifest.sample_rate:
        return f"a window is longer than {_LONGEST_WINDOW} s"
    if manifest.hop % acoustic.stride:
        return f"the stride {acoustic.stride} does not divide the hop {manifest.hop}"
    if manifest.frames_per_window < 1:
        return "the trunk needs more frames than a window has"
    lists = (
        filters.initial_low_hz,
        filters.initial_high_hz,
        filters.low_hz,
        filters.high_hz,
        acoustic.normalisation.prior_shape,
    )
    if any(len(values) != acoustic.bands for values in lists):
        return f"filters and prior must have {acoustic.bands} values"
    if not all(abs(value) <= _LARGEST_LOG for value in acoustic.normalisation.prior_shape):
        return f"the prior must lie in [-{_LARGEST_LOG}, {_LARGEST_LOG}]"
    if acoustic.normalisation.kind != "running-band-mean":
        return f"unknown normalisation {acoustic.normalisation.kind!r}"
    if acoustic.normalisation.memory_frames < 1 or acoustic.normalisation.prior_frames < 0:
        return "the normalisation's memory must be at least one frame and its prior not negative"
    if acoustic.feature % manifest.fusion.segment or manifest.text.feature % manifest.fusion.segment:
        return f"the segment {manifest.fusion.segment} does not divide both features"
    calibration = manifest.calibration
    temperatures = (calibration.window, calibration.acoustic, calibration.text, calibration.fused)
    if not all(0.001 <= temperature <= 1000 for temperature in temperatures):
        return "temperatures must lie in [0.001, 1000]"
    if not (0 <= manifest.abstention.acoustic <= 1 and 0 <= manifest.abstention.fused <= 1):
        return "abstention thresholds must lie in [0, 1]"
    speaker = manifest.speaker
    if speaker is not None:
        if len(speaker.neutral_logits) != len(manifest.classes):
            return "the neutral logits must have a value for each class"
        if not all(abs(value) <= _LARGEST_LOG for value in speaker.neutral_logits):
            return f"the neutral logits must lie in [-{_LARGEST_LOG}, {_LARGEST_LOG}]"
        if speaker.frames < 1 or speaker.relevance_seconds < 0 or not 0 <= speaker.largest_share <= 1:
            return "a profile must count for a frame at least, and for a share in [0, 1]"
    return ""
