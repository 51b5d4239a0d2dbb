"""Random contiguous crops for training the acoustic network, and what is done to them lest rooms and microphones decide.

All augmentation works on band energies, so that the same code serves cached energies (filters frozen) and energies that were
just computed from the waveform (filters being learnt).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.acoustic_network import SAMPLE_RATE, AcousticShape, initial_cutoffs
from training.corpora import FOUR_CLASSES, Clip
from training.features import CHUNK, ClipStore, voiced_frames, voiced_windows

__all__ = ["Augmentation", "AugmentationSettings", "Batch", "CropSampler", "Pool", "label_of"]

CHANNEL_COSINES = 5


def label_of(clip: Clip) -> int | None:
    """Index of the clip's class among the four, or ``None``."""
    return FOUR_CLASSES.index(clip.emotion4) if clip.emotion4 else None


@dataclass(frozen=True)
class AugmentationSettings:
    """How much is done to crops, and how often; shares are probabilities.

    Attributes
    ----------
    speed
        Range of factors by which crops of energies are played faster; crops of samples keep their speed.
    warp_share, warp
        Crops whose bands are read higher, and the range of factors by which.
    channel
        Largest weight of a random smooth spectrum, in units of the log energy.
    gain_db
        Range of gains.
    noise_share, snr_db
        Crops with background sound, and the range of its distance to the voiced frames.
    mask_share, mask_bands
        Crops of which up to so many adjoining bands are set to their mean.
    frame_mask_share, mask_frames
        Crops of which up to so many adjoining frames are set to their mean.
    past_share
        Crops that pretend to come late in a stream: their running mean has heard up to its memory before.
    """

    speed: tuple[float, float] = (0.95, 1.06)
    warp_share: float = 0.4
    warp: tuple[float, float] = (0.94, 1.06)
    channel: float = 0.1
    gain_db: tuple[float, float] = (-10.0, 6.0)
    noise_share: float = 0.03
    snr_db: tuple[float, float] = (3.0, 40.0)
    mask_share: float = 0.1
    mask_bands: int = 10
    frame_mask_share: float = 0.0
    mask_frames: int = 8
    past_share: float = 0.5


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
        Log energies of every clip of the store, each ``(frames, bands)``; none where crops are samples.
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
    seed
        Decides what the augmentation does to it.
    """

    crops: Tensor
    voiced: Tensor
    warm: Tensor
    warm_voiced: Tensor
    warm_count: Tensor
    starts: Tensor
    labels: Tensor
    seed: int = 0

    def to(self, device: torch.device | str, **options: bool) -> Batch:
        """The same on `device`."""
        tensors = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: value.to(device, **options) for name, value in tensors.items() if torch.is_tensor(value)})


class _PoolIndex:
    """A pool with all that drawing needs worked out: no search and no memory map is left for the time of training."""

    def __init__(self, pool: Pool, shape: AcousticShape, main_classes: int | None) -> None:
        store = pool.store
        chunks = np.concatenate([[0], np.cumsum(store.samples // CHUNK)])
        probabilities = [store.probabilities[first:end] for first, end in pairwise(chunks.tolist())]
        counts = [int(count) for count in store.samples]
        self.voiced = [voiced_frames(p, shape.frame_count(n), shape) for p, n in zip(probabilities, counts, strict=True)]
        self.windows = [voiced_windows(p, shape.window_count(n), shape) for p, n in zip(probabilities, counts, strict=True)]
        self.anchors = [np.flatnonzero(windows) for windows in self.windows]
        self.first = np.concatenate([[0], np.cumsum(store.samples)]).tolist()
        # Plain arrays on the same memory: to index a numpy.memmap costs ten times as much.
        self.audio = np.asarray(store.audio)
        self.bands = [np.asarray(bands) for bands in pool.bands]
        usable = np.array([len(self.anchors[member]) > 0 for member in pool.members], bool)
        members, labels = pool.members[usable], pool.labels[usable]
        classes = [(int(label), members[labels == label].tolist()) for label in np.unique(labels)]
        main = [one for one in classes if main_classes is None or one[0] < main_classes]
        self.classes, self.others = (main, classes[len(main) :]) if main else (classes, [])
        self.speaker = [clip.speaker for clip in store.clips]
        self.of_speaker: dict[str, list[int]] = {}
        for member in members.tolist():
            self.of_speaker.setdefault(self.speaker[member], []).append(member)


def _pick(chance: float, count: int) -> int:
    """An index below `count`, for `chance` in [0, 1)."""
    return int(chance * count)


class CropSampler:
    """Draws batches: corpora by given shares, classes equally, clips equally.

    Parameters
    ----------
    pools
        Stores by corpus; a corpus may have several (lossless and through Opus), used equally often.
    shares
        How often each corpus is drawn; normalised here.
    seed
        Of the generator that :meth:`draw` uses where it is given none.
    waveform
        Whether crops are samples, not energies.
    main_classes, main_share
        Labels below `main_classes` are drawn with the probability `main_share` where there are others too.
    """

    def __init__(
        self,
        pools: Mapping[str, Sequence[Pool]],
        shares: Mapping[str, float],
        shape: AcousticShape,
        seed: int = 0,
        windows: int = 8,
        warm_clips: int = 3,
        warm_frames: int = 50,
        waveform: bool = False,
        augmentation: AugmentationSettings | None = None,
        main_classes: int | None = None,
        main_share: float = 0.7,
    ) -> None:
        if set(pools) != set(shares):
            raise ValueError(f"shares must name the corpora {sorted(pools)}, got {sorted(shares)}")
        self.shape, self.windows = shape, windows
        self.warm_clips, self.warm_frames, self.waveform = warm_clips, warm_frames, waveform
        self.settings = augmentation or AugmentationSettings()
        self.random = np.random.default_rng(seed)
        weights = np.array([shares[name] for name in pools], float)
        self.edges = np.cumsum(weights / weights.sum())
        self.main_share = main_share
        self.pools = [[_PoolIndex(pool, shape, main_classes) for pool in some] for some in pools.values()]
        for name, some in zip(pools, self.pools, strict=True):
            if not all(index.classes for index in some):
                raise ValueError(f"{name} has no training clip in which the detector hears a voice")

    def draw(self, count: int, frames: int, random: np.random.Generator | None = None) -> Batch:
        """Draw `count` crops of `frames` frames; what is drawn is decided by `random` alone."""
        random = self.random if random is None else random
        shape, settings, warm = self.shape, self.settings, self.warm_clips
        chances = random.random((count, 6)).tolist()
        window_chances = random.random((count, self.windows))
        warm_chances = random.random((count, warm, 3)).tolist()
        speeds = np.ones(count) if self.waveform else random.uniform(*settings.speed, count)
        spans = (np.ceil(frames * speeds).astype(np.int64) + 1).tolist()
        cuts: list[tuple[_PoolIndex, int, int]] = []
        warm_cuts: list[tuple[_PoolIndex, int, int]] = []
        labels = np.empty(count, np.int64)
        for row, (corpus, store, label, member, anchor, offset) in enumerate(chances):
            some = self.pools[min(int(np.searchsorted(self.edges, corpus, side="right")), len(self.pools) - 1)]
            index = some[_pick(store, len(some))]
            labels[row], members = self._class(index, label)
            clip = members[_pick(member, len(members))]
            cuts.append((index, clip, self._first(index, clip, spans[row], anchor, offset)))
            others = index.of_speaker[index.speaker[clip]]
            for other_chance, other_anchor, other_offset in warm_chances[row]:
                other = others[_pick(other_chance, len(others))]
                first = self._first(index, other, self.warm_frames + 1, other_anchor, other_offset)
                warm_cuts.append((index, other, first))
        firsts = np.array([first for _, _, first in cuts])
        starts = self._window_starts(cuts, firsts, speeds, frames, window_chances)
        if self.waveform:
            crops, voiced = self._samples(cuts, frames)
            warm_crops, warm_voiced = self._samples(warm_cuts, self.warm_frames)
        else:
            crops, voiced = self._energies(cuts, max(spans))
            crops, voiced = _resampled(crops, voiced, speeds, frames)
            warm_crops, warm_voiced = self._energies(warm_cuts, self.warm_frames)
        pretend = np.exp(random.uniform(np.log(30), np.log(max(shape.memory_frames, 31)), count))
        pretend = np.round(pretend * (random.random(count) < settings.past_share))
        return Batch(
            crops,
            voiced,
            warm_crops,
            warm_voiced.reshape(count, warm * self.warm_frames),
            torch.from_numpy(pretend.astype(np.float32)),
            torch.from_numpy(starts),
            torch.from_numpy(labels),
            int(random.integers(2**62)),
        )

    def _class(self, index: _PoolIndex, chance: float) -> tuple[int, list[int]]:
        """Label and clips that `chance` in [0, 1) chooses."""
        if not index.others:
            return index.classes[_pick(chance, len(index.classes))]
        if chance < self.main_share:
            return index.classes[_pick(chance / self.main_share, len(index.classes))]
        return index.others[_pick((chance - self.main_share) / (1 - self.main_share), len(index.others))]

    def _first(self, index: _PoolIndex, clip: int, span: int, anchor: float, offset: float) -> int:
        """First frame of a crop of `span` frames of `clip`, around a voiced window that `anchor` in [0, 1) chooses."""
        anchors = index.anchors[clip]
        first = int(anchors[_pick(anchor, len(anchors))]) - _pick(offset, max(1, span - self.shape.window_bands))
        return max(0, min(first, len(index.voiced[clip]) - span))

    def _window_starts(
        self,
        cuts: Sequence[tuple[_PoolIndex, int, int]],
        firsts: NDArray[np.int64],
        speeds: NDArray[np.float64],
        frames: int,
        chances: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Windows of every crop whose centres are voiced in the clip, ``(crops, windows)``."""
        half = self.shape.window_bands // 2
        inside = np.arange(frames - self.shape.window_bands + 1)
        centres = np.rint(firsts[:, None] + (inside + half) * speeds[:, None] - half).astype(np.int64)
        centres = np.maximum(centres, 0)
        starts = np.empty((len(cuts), self.windows), np.int64)
        for row, (index, clip, _) in enumerate(cuts):
            allowed = index.windows[clip]
            possible = np.flatnonzero(allowed[np.minimum(centres[row], len(allowed) - 1)] & (centres[row] < len(allowed)))
            if not len(possible):
                possible = inside
            starts[row] = possible[(chances[row] * len(possible)).astype(np.int64)]
        return starts

    def _energies(self, cuts: Sequence[tuple[_PoolIndex, int, int]], frames: int) -> tuple[Tensor, Tensor]:
        """Energies and voiced flags from the given first frames on; beyond a clip its last frame, which is not voiced."""
        energies = np.empty((len(cuts), frames, self.shape.bands), np.float16)
        voiced = np.zeros((len(cuts), frames), bool)
        for row, (index, clip, first) in enumerate(cuts):
            bands = index.bands[clip]
            found = min(frames, len(bands) - first)
            energies[row, :found] = bands[first : first + found]
            energies[row, found:] = bands[-1]
            voiced[row, :found] = index.voiced[clip][first : first + found]
        return torch.from_numpy(energies).float(), torch.from_numpy(voiced)

    def _samples(self, cuts: Sequence[tuple[_PoolIndex, int, int]], frames: int) -> tuple[Tensor, Tensor]:
        """Samples and voiced flags from the given first frames on; beyond a clip silence, which is not voiced."""
        hop = self.shape.hop
        count = self.shape.receptive + (frames - 1) * hop
        samples = np.zeros((len(cuts), count), np.int16)
        voiced = np.zeros((len(cuts), frames), bool)
        for row, (index, clip, first) in enumerate(cuts):
            start, end = index.first[clip] + first * hop, index.first[clip + 1]
            found = min(count, end - start)
            samples[row, :found] = index.audio[start : start + found]
            flags = index.voiced[clip][first : first + frames]
            voiced[row, : len(flags)] = flags
        return torch.from_numpy(samples).float() / 32_768.0, torch.from_numpy(voiced)


def _resampled(energies: Tensor, voiced: Tensor, speeds: NDArray[np.float64], frames: int) -> tuple[Tensor, Tensor]:
    """`frames` frames of each crop, read `speeds` times as fast by linear interpolation."""
    count, span, bands = energies.shape
    place = np.arange(frames) * speeds[:, None]
    low = place.astype(np.int64)
    share = torch.from_numpy((place - low).astype(np.float32))[:, :, None]
    rows = torch.from_numpy(low + span * np.arange(count)[:, None]).flatten()
    flat = energies.reshape(-1, bands)
    # The row after a crop's last belongs to the next one; only the very last has none after it.
    after = flat.index_select(0, (rows + 1).clamp(max=len(flat) - 1)).view(count, frames, bands)
    before = flat.index_select(0, rows).view(count, frames, bands)
    return before.lerp_(after, share), voiced.flatten().index_select(0, rows).view(count, frames)


class Augmentation:
    """Voices, channels and rooms by chance, on log energies.

    Parameters
    ----------
    noise
        Log energies of real background sound, ``(frames, bands)``; at least ten seconds. ``None``: only made ones.
    seed
        Decides what is done, until :meth:`reseed`.
    centre
        Centre frequencies of the bands in Hz; those of :func:`initial_cutoffs` by default.
    """

    def __init__(
        self,
        shape: AcousticShape,
        noise: NDArray[np.float32] | None,
        seed: int = 0,
        settings: AugmentationSettings | None = None,
        centre: NDArray[np.floating] | None = None,
    ) -> None:
        if noise is not None and len(noise) * shape.hop < 10 * SAMPLE_RATE:
            raise ValueError(f"background sound must be at least 10 s long, got {len(noise) * shape.hop / SAMPLE_RATE:.1f} s")
        self.shape = shape
        self.settings = settings or AugmentationSettings()
        self.noise = None if noise is None else torch.from_numpy(np.ascontiguousarray(noise, np.float32))
        self.random = torch.Generator().manual_seed(seed)
        if centre is None:
            low, high = initial_cutoffs(shape)
            centre = (low + high) / 2
        self.factors = np.linspace(*self.settings.warp, 27)
        self.warps = torch.stack([self._warp(np.asarray(centre, np.float64), factor) for factor in self.factors])
        order = torch.arange(1, CHANNEL_COSINES + 1)[:, None]
        position = (torch.arange(shape.bands) + 0.5) / shape.bands
        self.cosines = torch.cos(torch.pi * order * position) / order.sqrt()

    def reseed(self, seed: int, device: torch.device | str = "cpu") -> None:
        """Decide by `seed` alone what is done next, to crops on `device`."""
        if self.random.device != torch.device(device):
            self.random = torch.Generator(device)
            self.warps, self.cosines = self.warps.to(device), self.cosines.to(device)
            self.noise = None if self.noise is None else self.noise.to(device)
        self.random.manual_seed(seed)

    def _warp(self, centre: NDArray[np.float64], factor: float) -> Tensor:
        """Matrix that reads a spectrum `factor` times higher, by linear interpolation between the bands."""
        order = np.argsort(centre)
        ordered = centre[order]
        place = np.interp(ordered * factor, ordered, np.arange(len(ordered)))
        low = np.minimum(place.astype(int), len(ordered) - 2)
        matrix = np.zeros((len(ordered), len(ordered)), np.float32)
        matrix[order[low], order] = 1 - (place - low)
        matrix[order[low + 1], order] += place - low
        return torch.from_numpy(matrix)

    def _uniform(self, *size: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(size, generator=self.random, device=self.random.device) * (high - low) + low

    def _normal(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self.random, device=self.random.device)

    def _noise(self, count: int, frames: int) -> Tensor:
        """Noise energies of mean one, ``(count, frames, bands)``: half real background, half smooth random spectra."""
        made = count if self.noise is None else int((self._uniform(count) < 0.5).sum())
        tilt = 4 * self._normal(made, 1, CHANNEL_COSINES) @ self.cosines
        jitter = 0.6 * self._normal(made, frames, 1) * self._uniform(made, 1, 1)
        energy = (self._normal(made, frames, self.shape.bands).mul_(0.4).add_(jitter).add_(tilt)).exp_()
        if self.noise is not None and made < count:
            first = (self._uniform(count - made) * (len(self.noise) - frames)).long()
            rows = first[:, None] + torch.arange(frames, device=first.device)
            energy = torch.cat([energy, self.noise[rows].exp_()])
        return energy / energy.mean(dim=(1, 2), keepdim=True)

    def __call__(self, crops: Tensor, voiced: Tensor, warm: Tensor) -> tuple[Tensor, Tensor]:
        """Changed crops ``(n, t, bands)`` and, in the same way, changed warm-up frames ``(n, w, bands)``."""
        settings = self.settings
        count, frames = crops.shape[:2]
        both = torch.cat([crops, warm], dim=1)
        warped = torch.nonzero(self._uniform(count) < settings.warp_share).flatten()
        if len(warped):
            choice = (self._uniform(len(warped)) * len(self.factors)).long()
            both = both.index_copy(0, warped, both[warped] @ self.warps[choice])
        # A gain: the running mean takes it away again, but not the floor under quiet bands.
        low, high = (decibels / 10 * math.log(10) for decibels in settings.gain_db)
        channel = settings.channel * self._uniform(count, 1, 1) * (self._normal(count, 1, CHANNEL_COSINES) @ self.cosines)
        both = both + (channel + self._uniform(count, 1, 1, low=low, high=high))
        energy = both.exp()
        noisy = torch.nonzero(self._uniform(count) < settings.noise_share).flatten()
        if len(noisy):
            low, high = settings.snr_db
            ratio = 10.0 ** (-self._uniform(len(noisy), low=low, high=high) / 10)
            heard = voiced[noisy]
            speech = energy[noisy, :frames].detach().mean(dim=2)
            speech = (speech * heard).sum(dim=1) / heard.sum(dim=1).clamp(min=1)
            noise = self._noise(len(noisy), both.shape[1]) * (speech * ratio)[:, None, None]
            energy = energy.index_add(0, noisy, noise)
        both = torch.log(energy + 1e-10)
        return both[:, :frames], both[:, frames:]

    def mask(self, bands: Tensor) -> Tensor:
        """Set adjoining bands, or frames, of some (normalised) crops to zero, their mean."""
        settings = self.settings
        hidden = self._span(len(bands), bands.shape[2], settings.mask_share, settings.mask_bands)[:, None]
        if settings.frame_mask_share:
            hidden = (
                hidden | self._span(len(bands), bands.shape[1], settings.frame_mask_share, settings.mask_frames)[:, :, None]
            )
        return bands.masked_fill(hidden, 0.0)

    def _span(self, count: int, width: int, share: float, longest: int) -> Tensor:
        length = (self._uniform(count) * (longest + 1) * (self._uniform(count) < share)).long()
        first = (self._uniform(count) * (width - length)).long()
        index = torch.arange(width, device=length.device)
        return (index >= first[:, None]) & (index < (first + length)[:, None])
