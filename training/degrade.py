"""What rooms, background sound, telephones and careless levels do to speech: functions on samples, reproducible from a seed.

Everywhere: samples are float32, shape ``(samples,)``, 16 kHz, nominally in [-1, 1]; every function returns as many as it gets.
A *variant* is a named way to change all clips of a store (:func:`training.features.open_store`): ``"opus"``, or ``"rooms"``,
``"rooms-2"``, ``"rooms-3"`` …, which put every clip under random conditions, each name under others.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

from realtime_ser.errors import ConfigError
from training.acoustic_network import SAMPLE_RATE
from training.rooms import room_response

__all__ = [
    "VARIANT_VERSION",
    "Degradation",
    "MeetingNoise",
    "active_level",
    "band_limited",
    "clipped",
    "random_degradation",
    "reverberated",
    "rounded",
    "scaled",
    "through_mp3",
    "through_opus",
    "through_telephone",
    "variant_of",
    "with_noise",
]

Samples = NDArray[np.float32]
Degradation = Callable[[Samples, np.random.Generator], Samples]
"""Changes samples; what is random about it comes from the generator."""

TELEPHONE_RATE = 8_000
VARIANT_ROOMS = 48
VARIANT_VERSION = 1
"""Part of the key of cached variants: raise it when the same name would no longer give the same samples."""


def rounded(samples: Samples) -> Samples:
    """Samples as a sound card with 16 bits delivers them."""
    return (np.clip(np.rint(samples * 32_768.0), -32_768, 32_767) / 32_768.0).astype(np.float32)


def scaled(samples: Samples, decibels: float) -> Samples:
    """Samples made louder or quieter, then rounded to 16 bits: what is quiet loses resolution, what is too loud is cut off."""
    return rounded(samples * np.float32(10 ** (decibels / 20)))


def clipped(samples: Samples, share: float) -> Samples:
    """Samples so loud that the given share of them, in [0, 1), lies at full scale."""
    if not 0 <= share < 1:
        raise ValueError(f"the share must be in [0, 1), got {share}")
    limit = float(np.quantile(np.abs(samples), 1 - share))
    if limit == 0:
        return samples.copy()
    return np.clip(samples / limit, -1, 1).astype(np.float32)


def active_level(samples: NDArray[np.floating]) -> float:
    """Root mean square of the loud part: the 20 ms frames that lie at most 30 dB below the loudest one; 0 for silence."""
    frame = SAMPLE_RATE // 50
    whole = len(samples) // frame * frame
    if not whole:
        return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    power = np.square(samples[:whole].astype(np.float64)).reshape(-1, frame).mean(axis=1)
    return float(np.sqrt(power[power >= power.max() * 1e-3].mean()))


def reverberated(samples: Samples, response: NDArray[np.floating]) -> Samples:
    """Samples as heard in a room (:func:`training.rooms.room_response`), at the level they had; what rings on is cut off."""
    wet = fftconvolve(samples.astype(np.float64), response.astype(np.float64))[: len(samples)]
    before, after = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), float(np.sqrt(np.mean(np.square(wet))))
    if after > 0:
        wet *= before / after
    # A louder peak than full scale would be clipped, which is another condition.
    return (wet / max(1.0, float(np.abs(wet).max(initial=0.0)))).astype(np.float32)


def with_noise(samples: Samples, noise: NDArray[np.floating], ratio: float) -> Samples:
    """Samples with `noise`, of the same length, so many decibels below the speech (its :func:`active_level`).

    The noise's own level is the root mean square of all of it.
    """
    if noise.shape != samples.shape:
        raise ValueError(f"noise must be as long as the speech, got {noise.shape} and {samples.shape}")
    own = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
    if own == 0:
        return samples.copy()
    mixed = samples + noise * (active_level(samples) * 10 ** (-ratio / 20) / own)
    return (mixed / max(1.0, float(np.abs(mixed).max(initial=0.0)))).astype(np.float32)


def band_limited(samples: Samples, low: float, high: float) -> Samples:
    """Samples between `low` and `high` Hz: Butterworth of order 6, run forwards and backwards, so 6 dB down at both ends."""
    edges = butter(6, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
    return _filtered(edges, samples)


def _filtered(sections: NDArray[np.float64], samples: Samples) -> Samples:
    room = min(len(samples) - 1, SAMPLE_RATE // 10)
    if room <= 0:
        return samples.copy()
    return sosfiltfilt(sections, samples.astype(np.float64), padlen=room).astype(np.float32)


def _coded(samples: Samples, rate: int, **how: object) -> Samples:
    """Samples written to memory by libsndfile as `how` says, and read again."""
    coded = io.BytesIO()
    soundfile.write(coded, samples, rate, **how)
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="float32", always_2d=True)
    return _as_long(decoded[:, 0], len(samples))


def _as_long(samples: Samples, length: int) -> Samples:
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def through_opus(samples: Samples, kilobits: float | None = None) -> Samples:
    """Samples encoded and decoded by Opus at about so many kbit/s, 6 to 256; without a number at libsndfile's own, about 30."""
    if kilobits is None:
        return _coded(samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    if not 6 <= kilobits <= 256:
        raise ValueError(f"Opus has 6 to 256 kbit/s here, got {kilobits}")
    # libsndfile maps its compression level linearly: 0 is 256 kbit/s, 1 is 6.
    return _coded(samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=(256 - kilobits) / 250)


def through_mp3(samples: Samples) -> Samples:
    """Samples encoded and decoded by MP3 as libsndfile does it."""
    return _coded(samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")


def through_telephone(samples: Samples, codec: Literal["mu-law", "gsm"]) -> Samples:
    """Samples through a telephone at 8 kHz: 300 to 3400 Hz, G.711 mu-law or GSM 06.10 full rate, and back to 16 kHz."""
    subtype = {"mu-law": "ULAW", "gsm": "GSM610"}.get(codec)
    if subtype is None:
        raise ValueError(f"the codec must be mu-law or gsm, got {codec!r}")
    narrow = soxr.resample(band_limited(samples, 300, 3_400), SAMPLE_RATE, TELEPHONE_RATE).astype(np.float32)
    decoded = _coded(np.clip(narrow, -1, 1), TELEPHONE_RATE, format="WAV", subtype=subtype)
    return _as_long(soxr.resample(decoded, TELEPHONE_RATE, SAMPLE_RATE).astype(np.float32), len(samples))


@dataclass(frozen=True)
class MeetingNoise:
    """Background sound of recorded meetings.

    Attributes
    ----------
    pauses
        What was heard while nobody had a turn: ventilation, chairs, paper, keys; float32, shape ``(samples,)``.
    talk
        The whole recordings: these rooms and other people talking.
    """

    pauses: Samples
    talk: Samples

    @classmethod
    def read(cls, folder: Path, names: Sequence[str]) -> MeetingNoise:
        """Recordings in `folder` whose name begins with one of `names`; turns from the RTTM files beside them.

        Raises
        ------
        ConfigError
            No such recording, or no pause of 0.7 s in them.
        """
        turns: dict[str, list[tuple[float, float]]] = {}
        for path in sorted(folder.glob("*.rttm")):
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.split()
                if len(words) >= 5 and words[0] == "SPEAKER":
                    turns.setdefault(words[1], []).append((float(words[3]), float(words[3]) + float(words[4])))
        pauses, talk = [], []
        for path in sorted(folder.glob("*.flac")):
            if not path.stem.startswith(tuple(names)) or path.stem not in turns:
                continue
            samples, rate = soundfile.read(path, dtype="float32")
            if rate != SAMPLE_RATE or samples.ndim != 1:
                raise ConfigError(f"{path} must be 16 kHz mono.")
            talk.append(samples)
            end = 0.0
            for start, stop in [*sorted(turns[path.stem]), (len(samples) / rate, 0.0)]:
                # A tenth of a second on either side, as turns are marked by hand.
                piece = samples[round((end + 0.1) * rate) : max(round((start - 0.1) * rate), 0)]
                if len(piece) >= rate // 2:
                    pauses.append(piece)
                end = max(end, stop)
        if not pauses:
            raise ConfigError(
                f"No background of meetings under {folder}.",
                f"Recordings {', '.join(names)}*.flac with .rttm files are wanted.",
            )
        return cls(np.concatenate(pauses), np.concatenate(talk))

    def draw(self, kind: Literal["pauses", "talk"], length: int, random: np.random.Generator) -> Samples:
        """A random stretch of `length` samples; where the end is reached it goes on from the start."""
        source = self.pauses if kind == "pauses" else self.talk
        first = int(random.integers(len(source)))
        return np.take(source, np.arange(first, first + length), mode="wrap")


def random_degradation(
    samples: Samples, random: np.random.Generator, responses: Sequence[NDArray[np.floating]], noise: MeetingNoise
) -> Samples:
    """Samples under conditions drawn at random, in the order in which sound meets them.

    A room (7 in 10; one of `responses`), a microphone's colour (5 in 10; cuts below 40 to 200 Hz, and half of these above 3.5
    to 7.5 kHz), background sound (6 in 10; 3 to 30 dB below the speech, a third of it with people talking), overdrive (1 in 10;
    up to 5 % of the samples at full scale), a level of -35 to 0 dB (all) and a codec (4 in 10; Opus at 10 to 32 kbit/s, MP3,
    mu-law or GSM telephone).
    """
    if not len(samples):
        return samples.copy()
    if random.random() < 0.7:
        samples = reverberated(samples, responses[int(random.integers(len(responses)))])
    if random.random() < 0.5:
        high = float(random.uniform(3_500, 7_500)) if random.random() < 0.5 else 7_900.0
        samples = band_limited(samples, float(random.uniform(40, 200)), high)
    if random.random() < 0.6:
        kind: Literal["pauses", "talk"] = "talk" if random.random() < 1 / 3 else "pauses"
        samples = with_noise(samples, noise.draw(kind, len(samples), random), float(random.uniform(3, 30)))
    if random.random() < 0.1:
        samples = clipped(samples, float(random.uniform(0.001, 0.05)))
    samples = scaled(samples, float(random.uniform(-35, 0)))
    if random.random() < 0.4:
        codec = random.choice(["opus", "opus", "mp3", "mu-law", "gsm"])
        if codec == "opus":
            samples = through_opus(samples, float(random.uniform(10, 32)))
        elif codec == "mp3":
            samples = through_mp3(samples)
        else:
            samples = through_telephone(samples, "mu-law" if codec == "mu-law" else "gsm")
    return rounded(samples)


def variant_of(name: str, root: Path) -> Callable[[Samples, str], Samples]:
    """The change that a variant's name stands for: a function of a clip's samples and its path.

    What is random depends on the variant's name and the clip's path alone, not on its place in a list.

    Parameters
    ----------
    name
        ``"opus"``; ``"rooms"`` or ``"rooms-N"``.
    root
        Data folder; the background of the rooms is that of its meetings' training recordings.

    Raises
    ------
    ValueError
        There is no such variant.
    ConfigError
        The meetings are missing.
    """
    if name == "opus":
        return lambda samples, _: through_opus(samples)
    kind, _, number = name.partition("-")
    if kind != "rooms" or (number and not number.isdigit()) or name.endswith("-"):
        raise ValueError(f'a variant is called "opus", "rooms" or "rooms-2" …, got {name!r}')
    random = np.random.default_rng(_seed(name))
    responses = [
        room_response(float(np.exp(random.uniform(np.log(0.15), np.log(0.9)))), float(random.uniform(0.3, 3.5)), random)
        for _ in range(VARIANT_ROOMS)
    ]
    noise = MeetingNoise.read(root / "clips" / "meetings", ("trn",))

    def change(samples: Samples, path: str) -> Samples:
        return random_degradation(samples, np.random.default_rng(_seed(f"{name}:{path}")), responses, noise)

    return change


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
