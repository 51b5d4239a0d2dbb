"""What one speaker's neutral voice is like, measured for a minute, so that it need not be found out while somebody speaks.

Two things are kept of the minute: level and spectral shape of the voice, which then stand where the bundle's prior would
(:class:`~realtime_ser.acoustic.normalisation.RunningBandMean`), and the mean logits of its windows. Voices differ in what the
networks make of them when nothing is expressed: a part of the difference from the usual is taken off every window (maximum a
posteriori adaptation: the more voice was heard, the larger the part). Which part, was chosen on validation speakers when the
bundle was made; what it is worth stands on the bundle's card.

A profile is personal data. It is kept in the user's data folder until it is deleted, as a JSON file of some kilobytes, and no
sound of it is.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import AcousticModel, KnownVoice
from realtime_ser.bundle.loader import Bundle
from realtime_ser.bundle.manifest import Manifest, SpeakerFacts
from realtime_ser.errors import ConfigError
from realtime_ser.types import WindowScores, frozen

__all__ = [
    "BASELINE_SECONDS",
    "GAIN",
    "LEAST_SECONDS",
    "READING",
    "SPEAKING",
    "Baseline",
    "SpeakerProfile",
    "checked_name",
    "delete_profile",
    "known_voice",
    "list_profiles",
    "profile_folder",
    "read_profile",
    "worth",
    "write_profile",
]

PROFILE_FORMAT: Final = 1

LEAST_SECONDS: Final = 15.0
"""Voice that a profile must rest on: what is said in less decides too much."""

BASELINE_SECONDS: Final = 60.0
"""How long somebody is listened to."""

READING = (
    "On Tuesdays the library opens at nine. A bus stops in front of it every ten minutes, and most people walk the last part "
    "of the way through the park. Inside there are four floors. The catalogue is on the first, next to the lifts, and the "
    "newspapers lie on a long table by the window. Books can be kept for three weeks. Whoever needs them for longer asks at "
    "the desk, or writes a short note with the number of the card. At seven in the evening the lights on the upper floors are "
    "switched off, and half an hour later the doors are closed."
)
"""A text without anything to feel about, about forty seconds long when it is read."""

SPEAKING = "When you are through, tell in your own words how you came here today, or what your room looks like, as calmly."
"""What follows the reading."""

GAIN: Final = "gain of profiles in UA"
"""Name of the figures on a bundle's card that say what profiles are worth."""

_NAME = re.compile(r"[\w][\w .-]{0,39}")
_SUFFIX = ".profile.json"


class SpeakerProfile(msgspec.Struct, frozen=True):
    """A speaker's neutral voice as the networks of one bundle hear it.

    Attributes
    ----------
    format
        Version of the file's format.
    created
        UTC, ISO 8601.
    networks
        Digests of the acoustic networks that it was measured with (:func:`networks_of`); others hear other features.
    voiced_seconds
        Voice that it rests on.
    level, shape
        Mean log energy of voiced frames, and that of every band relative to it; natural logarithms.
    logits
        Mean over the voiced windows, by class.
    """

    format: int
    name: str
    created: str
    networks: str
    voiced_seconds: float
    level: float
    shape: tuple[float, ...]
    logits: tuple[float, ...]


class Baseline:
    """Takes in the windows of somebody's neutral speech, of any length. Belongs to one thread.

    Parameters
    ----------
    bands_per_window
        Band frames of one window, the newest of which comes with its scores.
    """

    def __init__(self, bands_per_window: int) -> None:
        self._late = (bands_per_window - 1) // 2
        self._earlier: NDArray[np.float32] | None = None
        self._frames = 0
        self._windows = 0
        self._hop_seconds = 0.01
        self._bands: NDArray[np.float64] | None = None
        self._logits: NDArray[np.float64] | None = None
        self._next: int | None = None

    @property
    def voiced_seconds(self) -> float:
        """Voice so far."""
        return self._windows * self._hop_seconds

    def add(self, windows: WindowScores, sample_rate: int) -> None:
        """Take the next windows; after a gap it begins anew with what came before it kept."""
        if not len(windows.scores):
            return
        if self._next != windows.first_window:
            self._earlier = None
        self._next = windows.first_window + len(windows.scores) * windows.hop
        self._hop_seconds = windows.hop / sample_rate
        voiced = windows.voiced
        if voiced.any():
            self._windows += int(voiced.sum())
            total = windows.logits[voiced].sum(axis=0, dtype=np.float64)
            self._logits = total if self._logits is None else self._logits + total
        # A window is voiced where its middle is; the band frame there came with an earlier window, as its newest.
        energies = windows.band_energies
        if self._earlier is not None:
            energies = np.concatenate((self._earlier, energies))
        self._earlier = energies[max(len(energies) - self._late, 0) :]
        middles = energies[: max(len(energies) - self._late, 0)]
        heard = middles[voiced[len(voiced) - len(middles) :]]
        if len(heard):
            self._frames += len(heard)
            summed = heard.sum(axis=0, dtype=np.float64)
            self._bands = summed if self._bands is None else self._bands + summed

    def profile(self, name: str, bundle: Bundle, least: float = LEAST_SECONDS) -> SpeakerProfile:
        """The profile of what was heard.

        Parameters
        ----------
        least
            Seconds of voice that it must rest on.

        Raises
        ------
        ConfigError
            There was too little voice.
        """
        if self._bands is None or self._logits is None or self.voiced_seconds < least:
            raise ConfigError(
                f"Only {self.voiced_seconds:.0f} s of voice were heard; a profile needs {least:.0f} s at least.",
                "Speak on for longer, or nearer to the microphone.",
            )
        mean = self._bands / self._frames
        level = float(mean.mean())
        return SpeakerProfile(
            format=PROFILE_FORMAT,
            name=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            networks=networks_of(bundle),
            voiced_seconds=round(self.voiced_seconds, 2),
            level=round(level, 5),
            shape=tuple(round(float(value), 5) for value in mean - level),
            logits=tuple(round(float(value), 5) for value in self._logits / self._windows),
        )


def networks_of(bundle: Bundle) -> str:
    """What tells the acoustic networks of a bundle from others: their digests and what stands before them."""
    files = bundle.manifest.files
    return "-".join(files[f"{name}.onnx"][:16] for name in ("bands", "trunk", "head"))


def known_voice(profile: SpeakerProfile, bundle: Bundle, acoustic: AcousticModel) -> KnownVoice:
    """What `profile` changes in the networks of `bundle`.

    Raises
    ------
    ConfigError
        It was measured with other networks, or the bundle does not say how profiles are used.
    """
    manifest = bundle.manifest
    title = f"{manifest.name} {manifest.version}"
    if manifest.speaker is None:
        raise ConfigError(f"The bundle {title} does not say what a speaker's profile is worth.", "Use a later bundle.")
    fits = len(profile.shape) == acoustic.bands and len(profile.logits) == acoustic.classes
    if profile.networks != networks_of(bundle) or not fits:
        raise ConfigError(
            f"The profile of {profile.name} was measured with other networks than those of {title}.",
            f"Measure it again: realtime-ser calibrate {profile.name!r}.",
        )
    share = share_of(manifest.speaker, profile.voiced_seconds)
    offset = share * (np.array(profile.logits) - np.array(manifest.speaker.neutral_logits))
    shape = np.array(profile.shape, np.float64)
    shape.flags.writeable = False
    return KnownVoice(
        level=profile.level,
        shape=shape,
        frames=manifest.speaker.frames,
        offset=frozen(offset.astype(np.float32)),
    )


def share_of(facts: SpeakerFacts, voiced_seconds: float) -> float:
    """Part of a speaker's difference from the usual neutral logits that is taken off, in [0, 1]."""
    if voiced_seconds <= 0:
        return 0.0
    return facts.largest_share * voiced_seconds / (voiced_seconds + facts.relevance_seconds)


def worth(manifest: Manifest) -> str:
    """What profiles were worth on speakers whom they were tried on, in words; empty where the bundle does not say."""
    gains = [figure for figure in manifest.card.figures if figure.name == GAIN]
    if not gains:
        return ""
    measured = "; ".join(f"{figure.value:+.3f} ({figure.data})" for figure in gains)
    return f"What profiles changed in the mean recall of speakers whom they were tried on: {measured}."


def profile_folder() -> Path:
    """Where profiles are kept: ``REALTIME_SER_PROFILES``, or the user's data folder."""
    import platformdirs

    chosen = os.environ.get("REALTIME_SER_PROFILES", "")
    return Path(chosen) if chosen else platformdirs.user_data_path("realtime-ser", appauthor=False) / "profiles"


def checked_name(name: str) -> str:
    """A speaker's name as it may be used for a file.

    Raises
    ------
    ConfigError
        It cannot be.
    """
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a profile.", "Use up to 40 letters, digits, spaces, dots and hyphens, such as P07."
        )
    return name


def write_profile(profile: SpeakerProfile, folder: Path | None = None) -> Path:
    """Keep `profile`, in place of an earlier one of this name. Raises :class:`OSError`."""
    folder = profile_folder() if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{checked_name(profile.name)}{_SUFFIX}"
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n")
    part.replace(path)
    return path


def read_profile(choice: str | Path, folder: Path | None = None) -> SpeakerProfile:
    """The profile of a name, or in a file.

    Raises
    ------
    ConfigError
        There is none, or the file is broken or of a newer program.
    """
    path = Path(choice)
    if not path.is_file():
        folder = profile_folder() if folder is None else folder
        path = folder / f"{checked_name(str(choice))}{_SUFFIX}"
    again = "Measure it again: realtime-ser calibrate NAME."
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        known = ", ".join(profile.name for profile in list_profiles(folder)) or "none"
        raise ConfigError(
            f"There is no profile of {choice} in {path.parent}; there is: {known}.",
            f"Make one: realtime-ser calibrate {choice}.",
        ) from error
    except OSError as error:
        raise ConfigError(f"The profile {path} cannot be read: {error.strerror or error}.", again) from error
    try:
        profile = msgspec.json.decode(data, type=SpeakerProfile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no speaker profile: {error}.", again) from error
    if profile.format != PROFILE_FORMAT:
        raise ConfigError(f"{path} has format {profile.format}, this program reads {PROFILE_FORMAT}.", again)
    if not all(math.isfinite(value) for value in (profile.level, profile.voiced_seconds, *profile.shape, *profile.logits)):
        raise ConfigError(f"{path} holds values that are no numbers.", again)
    return profile


def list_profiles(folder: Path | None = None, on_broken: Callable[[ConfigError], None] | None = None) -> list[SpeakerProfile]:
    """All profiles that can be read, by name; `on_broken` is told of the others."""
    folder = profile_folder() if folder is None else folder
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found.append(read_profile(path))
        except ConfigError as error:
            if on_broken is not None:
                on_broken(error)
    return found


def delete_profile(name: str, folder: Path | None = None) -> Path:
    """Delete the profile of a name, readable or not.

    Raises
    ------
    ConfigError
        There is none, or it cannot be deleted.
    """
    folder = profile_folder() if folder is None else folder
    path = folder / f"{checked_name(name)}{_SUFFIX}"
    try:
        path.unlink()
    except FileNotFoundError as error:
        raise ConfigError(f"There is no profile of {name} in {folder}.", "`realtime-ser profiles` lists them.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be deleted: {error.strerror or error}.", "Delete the file yourself.") from error
    return path
