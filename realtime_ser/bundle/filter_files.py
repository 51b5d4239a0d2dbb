"""What a bundle may say of its filters beside their cutoffs: two optional JSON files, listed with their hashes like all others.

Their layout is documented in docs/architecture.md. A bundle without them is whole; one in which they contradict the manifest
is refused.
"""

from __future__ import annotations

from typing import Final

import msgspec

from realtime_ser.bundle.manifest import DataUse, Manifest
from realtime_ser.errors import BundleError

__all__ = ["HISTORY_NAME", "RELIANCE_NAME", "CutoffHistory", "Reliance", "parse_history", "parse_reliance"]

RELIANCE_NAME: Final = "reliance.json"
HISTORY_NAME: Final = "cutoffs-history.json"

_HEARING = ("bands.onnx", "trunk.onnx", "head.onnx")
"""The networks that decide what silencing a filter changes."""
_ROUNDING_HZ = 0.02
"""The manifest and the history round the same cutoffs to two digits."""


class Reliance(msgspec.Struct, frozen=True):
    """Which filters the classes rely on, measured by silencing some neighbouring ones at a time (occlusion).

    Attributes
    ----------
    classes
        As in the manifest.
    networks
        Hashes of the networks that were measured, by file name.
    groups
        Bands silenced together, as places in the band energies; neighbours by the learnt centre, from low to high.
    fall
        By how much the logarithm of the class's probability falls, mean over the class's clips; nats, one row per class and one
        value per group. Negative: the class gains.
    interval
        95 % interval of every value, over speakers.
    clips
        Names of the clips of every class.
    speakers
        Who speaks in them; none of them was trained on.
    recall
        Unweighted average recall of these clips with all filters.
    method, meaning
        How it was measured; what it says and what it does not.
    data
        Corpora with their licences.
    """

    classes: tuple[str, ...]
    networks: dict[str, str]
    groups: tuple[tuple[int, ...], ...]
    fall: tuple[tuple[float, ...], ...]
    interval: tuple[tuple[tuple[float, float], ...], ...]
    clips: dict[str, tuple[str, ...]]
    speakers: tuple[str, ...]
    recall: float
    method: str
    meaning: str
    data: tuple[DataUse, ...]
    date: str
    hardware: str


class CutoffHistory(msgspec.Struct, frozen=True):
    """Where the cutoffs stood at every validation of the training phase in which they were learnt.

    Attributes
    ----------
    steps
        Training batches done, ascending from 0, which is the state before that phase.
    scores
        Minus the cross-entropy on the validation speakers; ``None`` for the first state, which was not measured.
    low_hz, high_hz
        One row per state, one value per band in the order of the band energies.
    kept_step
        Whose state became the bundle's.
    """

    steps: tuple[int, ...]
    scores: tuple[float | None, ...]
    low_hz: tuple[tuple[float, ...], ...]
    high_hz: tuple[tuple[float, ...], ...]
    kept_step: int


def parse_reliance(data: bytes, manifest: Manifest, origin: str) -> Reliance:
    """Read and check ``reliance.json``.

    Parameters
    ----------
    data
        Its content.
    manifest
        The bundle's.
    origin
        Where it came from, for messages.

    Raises
    ------
    BundleError
        It is broken, or was measured on other networks.
    """
    try:
        reliance = msgspec.json.decode(data, type=Reliance)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _broken(origin, str(error)) from error
    groups, bands = len(reliance.groups), manifest.acoustic.bands
    if any(reliance.networks.get(name) != manifest.files.get(name) for name in _HEARING):
        raise _broken(origin, "it was measured on other networks")
    if reliance.classes != manifest.classes or set(reliance.clips) != set(manifest.classes):
        raise _broken(origin, f"its classes are {', '.join(reliance.classes)}, the bundle's {', '.join(manifest.classes)}")
    if not groups or any(not group or not all(0 <= band < bands for band in group) for group in reliance.groups):
        raise _broken(origin, f"a group must name some of the {bands} bands")
    for rows in (reliance.fall, reliance.interval):
        if len(rows) != len(reliance.classes) or any(len(row) != groups for row in rows):
            raise _broken(origin, f"{len(reliance.classes)} classes need {groups} values each")
    if any(low > high for row in reliance.interval for low, high in row):
        raise _broken(origin, "an interval ends before it begins")
    return reliance


def parse_history(data: bytes, manifest: Manifest, origin: str) -> CutoffHistory:
    """Read and check ``cutoffs-history.json``; parameters and errors as for :func:`parse_reliance`."""
    try:
        history = msgspec.json.decode(data, type=CutoffHistory)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _broken(origin, str(error)) from error
    states, bands = len(history.steps), manifest.acoustic.bands
    if not states or {len(history.scores), len(history.low_hz), len(history.high_hz)} != {states}:
        raise _broken(origin, f"{states} states need as many scores and rows of cutoffs")
    if any(len(row) != bands for row in (*history.low_hz, *history.high_hz)):
        raise _broken(origin, f"every state needs {bands} cutoffs")
    if any(later <= earlier for earlier, later in zip(history.steps, history.steps[1:], strict=False)):
        raise _broken(origin, "its steps do not ascend")
    if history.kept_step not in history.steps:
        raise _broken(origin, f"it has no state of step {history.kept_step}, whose filters were kept")
    kept, filters = history.steps.index(history.kept_step), manifest.acoustic.filters
    for row, learnt in ((history.low_hz[kept], filters.low_hz), (history.high_hz[kept], filters.high_hz)):
        if any(abs(was - now) > _ROUNDING_HZ for was, now in zip(row, learnt, strict=True)):
            raise _broken(origin, "the filters that were kept are not the bundle's")
    return history


def _broken(origin: str, problem: str) -> BundleError:
    return BundleError(f"{origin} does not fit its bundle: {problem}.", "Fetch or build the bundle again.")
