"""Random contiguous crops for training the acoustic network, and what is done to them lest rooms and microphones decide.

All augmentation works on band energies, so that the same code serves cached energies (filters frozen) and energies that were
just computed from the waveform (filters being learnt).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.acoustic_network import SAMPLE_RATE, AcousticShape, mel_cutoffs
from training.corpora import FOUR_CLASSES
from training.features import ClipStore, voiced_frames, voiced_windows

__all__ = ["Augmentation", "Batch", "CropSampler", "Pool", "label_of"]

CALM = "calm"
CHANNEL_COSINES = 5


def label_of(emotion4: str, emotion: str, calm_is_neutral: bool) -> int | None:
    """Index of the class, or ``None``; `calm` counts as neutral where that is asked for."""
    if emotion4:
        return FOUR_CLASSES.index(emotion4)
    if calm_is_neutral and emotion == CALM:
        return FOUR_CLASSES.index("neutral")
    return None


@dataclass(frozen=True)
class Pool:
    """The training clips of one store, ready for cropping.

    Attributes
    ----------
    store
        Audio.
    members
        Indices into the store of the clips that may be drawn.
    labels
        Class of every member.
    bands
        Log energies of every clip of the store, each ``(frames, bands)``.
    """

    store: ClipStore
    members: NDArray[np.int64]
    labels: NDArray[np.int64]
    bands: Sequence[NDArray[np.float16]]


@dataclass(frozen=True)
class Batch:
    """Crops with their windows; `n` crops of `t` frames.

    Attributes
    ----------
    crops
        Log energies ``(n, t, bands)``, or samples ``(n, N)`` with ``N = R + hop * (t - 1)``.
    voiced
        bool ``(n, t)``.
    warm
        Energies or samples of other clips of the same speakers ``(n * warm clips, …)``.
    warm_voiced
        bool ``(n, warm clips * warm frames)``.
    warm_count
        Voiced frames that the running mean pretends to have heard before, ``(n,)``; 0 is a cold start.
    starts
        Voiced windows drawn, ``(n, windows)``.
    labels
        ``(n,)``.
    """

    crops: Tensor
    voiced: Tensor
    warm: Tensor
    warm_voiced: Tensor
    warm_count: Tensor
    starts: Tensor
    labels: Tensor


class CropSampler:
    """Draws batches: corpora by given shares, classes equally, clips equally.

    Parameters
    ----------
    pools
        Stores by corpus; a corpus may have several (lossless and through Opus), used equally often.
    shares
        How often each corpus is drawn; normalised here.
    waveform
        Whether crops are samples, not energies.
    """

    def __init__(
        self,
        pools: Mapping[str, Sequence[Pool]],
        shares: Mapping[str, float],
        shape: AcousticShape,
        seed: int,
        windows: int = 8,
        warm_clips: int = 3,
        warm_frames: int = 50,
        waveform: bool = False,
    ) -> None:
        if set(pools) != set(shares):
            raise ValueError(f"shares must name the corpora {sorted(pools)}, got {sorted(shares)}")
        self.shape, self.windows = shape, windows
        self.warm_clips, self.warm_frames, self.waveform = warm_clips, warm_frames, waveform
        self.random = np.random.default_rng(seed)
        self.corpora = list(pools)
        weights = np.array([shares[name] for name in self.corpora], float)
        self.weights = weights / weights.sum()
        self.pools = [list(pools[name]) for name in self.corpora]
        self._flags: dict[int, list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]] = {}
        self._first: dict[int, NDArray[np.int64]] = {}
        self._by_class: dict[int, list[NDArray[np.int64]]] = {}
        self._by_speaker: dict[int, dict[str, NDArray[np.int64]]] = {}
        for pool in (pool for some in self.pools for pool in some):
            self._index(pool)

    def _index(self, pool: Pool) -> None:
        store, key = pool.store, id(pool)
        flags = []
        for number, samples in enumerate(store.samples):
            probabilities = store.probabilities_of(number)
            flags.append(
                (
                    voiced_frames(probabilities, self.shape.frame_count(int(samples)), self.shape),
                    voiced_windows(probabilities, self.shape.window_count(int(samples)), self.shape),
                )
            )
        self._flags[key] = flags
        self._first[key] = np.concatenate([[0], np.cumsum(store.samples)])
        usable = np.array([flags[member][1].any() for member in pool.members], bool)
        members, labels = pool.members[usable], pool.labels[usable]
        self._by_class[key] = [members[labels == label] for label in range(self.shape.classes)]
        speakers = np.array([store.clips[member].speaker for member in members])
        self._by_speaker[key] = {str(name): members[speakers == name] for name in np.unique(speakers)}

    def _cut(self, pool: Pool, clip: int, frames: int, speed: float) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
        """A crop of `frames` around a random voiced window of `clip`: what was cut, its voiced flags, its first frame."""
        flags, windows = self._flags[id(pool)][clip]
        anchor = int(self.random.choice(np.flatnonzero(windows)))
        length = len(flags)
        span = int(np.ceil(frames * speed)) + 1
        first = anchor - int(self.random.integers(0, max(1, span - self.shape.window_bands)))
        first = max(0, min(first, length - span))
        if self.waveform:
            start = int(self._first[id(pool)][clip]) + first * self.shape.hop
            count = self.shape.receptive + (frames - 1) * self.shape.hop
            end = min(start + count, int(self._first[id(pool)][clip + 1]))
            wave = np.zeros(count, np.float32)
            wave[: end - start] = pool.store.audio[start:end].astype(np.float32) / 32_768.0
            index = np.arange(first, first + frames)
            inside = index < length
            return wave, np.where(inside, flags[np.minimum(index, length - 1)], False), first
        position = first + np.arange(frames) * speed
        low = np.minimum(position.astype(np.int64), length - 1)
        high = np.minimum(low + 1, length - 1)
        share = (position - np.floor(position)).astype(np.float32)[:, None]
        bands = pool.bands[clip]
        cut = bands[low].astype(np.float32) * (1 - share) + bands[high].astype(np.float32) * share
        return cut, flags[low] & (position < length), first

    def draw(self, count: int, frames: int) -> Batch:
        """Draw `count` crops of `frames` frames."""
        shape, random = self.shape, self.random
        crops, voiced, warm, warm_voiced, starts, labels = [], [], [], [], [], []
        last_window = frames - shape.window_bands
        for _ in range(count):
            some = self.pools[random.choice(len(self.pools), p=self.weights)]
            pool = some[random.integers(len(some))]
            label = int(random.integers(shape.classes))
            clip = int(random.choice(self._by_class[id(pool)][label]))
            speed = 1.0 if self.waveform else float(random.uniform(0.87, 1.15))
            cut, flags, first = self._cut(pool, clip, frames, speed)
            allowed = self._flags[id(pool)][clip][1]
            centre = np.rint(first + (np.arange(last_window + 1) + 11) * speed - 11).astype(np.int64)
            possible = np.flatnonzero(allowed[np.clip(centre, 0, len(allowed) - 1)] & (centre < len(allowed)))
            starts.append(random.choice(possible if len(possible) else np.arange(last_window + 1), self.windows))
            crops.append(cut)
            voiced.append(flags)
            labels.append(label)
            others = self._by_speaker[id(pool)][pool.store.clips[clip].speaker]
            heard = [self._cut(pool, int(other), self.warm_frames, 1.0) for other in random.choice(others, self.warm_clips)]
            warm += [part[0] for part in heard]
            warm_voiced.append(np.concatenate([part[1] for part in heard]))
        pretend = np.exp(random.uniform(np.log(30), np.log(shape.memory_frames), count)) * (random.random(count) < 0.5)
        return Batch(
            torch.from_numpy(np.stack(crops)),
            torch.from_numpy(np.stack(voiced)),
            torch.from_numpy(np.stack(warm)),
            torch.from_numpy(np.stack(warm_voiced)),
            torch.from_numpy(np.round(pretend).astype(np.float32)),
            torch.from_numpy(np.stack(starts)),
            torch.tensor(labels),
        )


class Augmentation:
    """Voices, channels and rooms by chance, on log energies.

    Parameters
    ----------
    noise
        Log energies of real background sound, ``(frames, bands)``; at least ten seconds.
    """

    def __init__(self, shape: AcousticShape, noise: NDArray[np.float32], seed: int) -> None:
        if len(noise) * shape.hop < 10 * SAMPLE_RATE:
            raise ValueError(f"background sound must be at least 10 s long, got {len(noise) * shape.hop / SAMPLE_RATE:.1f} s")
        self.shape = shape
        self.noise = torch.from_numpy(np.ascontiguousarray(noise, np.float32))
        self.random = torch.Generator().manual_seed(seed)
        low, high = mel_cutoffs(shape.bands)
        centre = (low + high) / 2
        self.factors = np.linspace(0.88, 1.14, 27)
        self.warps = torch.stack([self._warp(centre, factor) for factor in self.factors])
        order = torch.arange(1, CHANNEL_COSINES + 1)[:, None]
        position = (torch.arange(shape.bands) + 0.5) / shape.bands
        self.cosines = torch.cos(torch.pi * order * position) / order.sqrt()

    def _warp(self, centre: NDArray[np.float64], factor: float) -> Tensor:
        """Matrix that reads a spectrum `factor` times higher, by linear interpolation between the bands."""
        place = np.interp(centre * factor, centre, np.arange(len(centre)))
        low = np.minimum(place.astype(int), len(centre) - 2)
        matrix = np.zeros((len(centre), len(centre)), np.float32)
        rows = np.arange(len(centre))
        matrix[low, rows] = 1 - (place - low)
        matrix[low + 1, rows] += place - low
        return torch.from_numpy(matrix)

    def _uniform(self, *size: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(size, generator=self.random) * (high - low) + low

    def _normal(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self.random)

    def _noise(self, count: int, frames: int) -> Tensor:
        """Noise energies of mean one, ``(count, frames, bands)``: half real background, half smooth random spectra."""
        first = torch.randint(0, len(self.noise) - frames, (count,), generator=self.random)
        real = torch.stack([self.noise[start : start + frames] for start in first.tolist()])
        tilt = 4 * self._normal(count, 1, CHANNEL_COSINES) @ self.cosines
        made = (
            tilt
            + 0.6 * self._normal(count, frames, 1) * self._uniform(count, 1, 1)
            + 0.4 * self._normal(count, frames, self.shape.bands)
        )
        energy = torch.where(self._uniform(count, 1, 1) < 0.5, real, made).exp()
        return energy / energy.mean(dim=(1, 2), keepdim=True)

    def __call__(self, crops: Tensor, voiced: Tensor, warm: Tensor) -> tuple[Tensor, Tensor]:
        """Changed crops ``(n, t, bands)`` and, in the same way, changed warm-up frames ``(n, w, bands)``."""
        count, frames = crops.shape[:2]
        both = torch.cat([crops, warm], dim=1)
        choice = torch.randint(0, len(self.factors), (count,), generator=self.random)
        # Half of the voices stay as they are.
        choice = torch.where(
            self._uniform(count) < 0.5, choice, torch.full_like(choice, int(np.abs(self.factors - 1).argmin()))
        )
        both = both @ self.warps[choice]
        both = both + 0.7 * self._uniform(count, 1, 1) * (self._normal(count, 1, CHANNEL_COSINES) @ self.cosines)
        # A gain of -40 to +6 dB: the running mean takes it away again, but not the floor under quiet bands.
        both = both + self._uniform(count, 1, 1, low=-4.0, high=0.6) * math.log(10)
        speech = (both[:, :frames].detach().exp().mean(dim=2) * voiced).sum(dim=1) / voiced.sum(dim=1).clamp(min=1)
        ratio = 10.0 ** (-self._uniform(count, low=3.0, high=40.0) / 10)
        ratio = ratio * (self._uniform(count) < 0.6)
        noise = self._noise(count, both.shape[1]) * (speech * ratio)[:, None, None]
        both = torch.log(both.exp() + noise + 1e-10)
        return both[:, :frames], both[:, frames:]

    def mask(self, bands: Tensor) -> Tensor:
        """Set up to ten adjoining bands of a third of the (normalised) crops to zero, their mean."""
        count, _, width = bands.shape
        length = (self._uniform(count) * 11 * (self._uniform(count) < 0.33)).long()
        first = (self._uniform(count) * (width - length)).long()
        index = torch.arange(width)
        masked = (index >= first[:, None]) & (index < (first + length)[:, None])
        return bands.masked_fill(masked[:, None], 0.0)
