"""The acoustic network, cut where the runtime cuts it: bands → running band mean → trunk → head.

Every part is valid in time and has no statistics over time except the causal running mean, so that a stream gives exactly the
windows' results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "SAMPLE_RATE",
    "AcousticNetwork",
    "AcousticShape",
    "BandMeanState",
    "Head",
    "RunningBandMean",
    "SincBands",
    "Trunk",
    "initial_cutoffs",
    "mel_cutoffs",
    "pitch_cutoffs",
]

SAMPLE_RATE = 16_000
MIN_LOW_HZ = 20.0
MIN_BAND_HZ = 20.0
FOLDED_FRAMES = 64
"""Frames that are filtered at once: what is computed meanwhile stays in a cache of some megabytes."""
BLOCK = 64
"""Frames that the running band mean handles at once."""


@dataclass(frozen=True, slots=True)
class AcousticShape:
    """Sizes of the network; lengths in samples at 16 kHz.

    Attributes
    ----------
    bands, layout, kernel, stride
        SincNet layer: number of filters, their initial places (see :func:`initial_cutoffs`), their length (odd), step.
    hop, window
        Samples between frames and windows; samples of a window.
    width
        Channels of the trunk.
    trunk_kernels
        Lengths of the trunk's convolutions, in frames.
    segments
        Parts of a window whose means the head sees; must divide :attr:`window_frames`.
    feature, classes
        Width of the feature (2048 in the paper); number of classes.
    prior_frames, memory_frames
        Weight of the prior and memory of the running band mean, in voiced frames.
    trunk_dropout, head_dropout
        Shares of channels and of the feature's values that are dropped in training.
    """

    bands: int = 88
    layout: str = "pitch"
    kernel: int = 801
    stride: int = 4
    hop: int = 160
    window: int = 4_000
    width: int = 128
    trunk_kernels: tuple[int, ...] = (5, 3, 3)
    segments: int = 3
    feature: int = 2_048
    classes: int = 4
    prior_frames: int = 200
    memory_frames: int = 1_000
    trunk_dropout: float = 0.0
    head_dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout}")
        if self.hop % self.stride:
            raise ValueError(f"stride must divide the hop of {self.hop} samples, got {self.stride}")
        if self.window_frames < 1 or self.window_frames % self.segments:
            raise ValueError(f"segments must divide the {self.window_frames} frames of a window, got {self.segments}")

    @property
    def receptive(self) -> int:
        """Samples under one band frame, R in docs/architecture.md."""
        return self.kernel + (self.hop // self.stride - 1) * self.stride

    @property
    def trunk_receptive(self) -> int:
        """Band frames under one trunk frame, r."""
        return 1 + sum(kernel - 1 for kernel in self.trunk_kernels)

    @property
    def window_bands(self) -> int:
        """Band frames of a window, Fw."""
        return (self.window - self.receptive) // self.hop + 1

    @property
    def window_frames(self) -> int:
        """Trunk frames of a window, M."""
        return self.window_bands - self.trunk_receptive + 1

    def frame_count(self, samples: int) -> int:
        """Band frames that `samples` samples yield."""
        return max(0, (samples - self.receptive) // self.hop + 1)

    def window_count(self, samples: int) -> int:
        """Windows that fit into `samples` samples."""
        return max(0, (samples - self.window) // self.hop + 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a configuration file."""
        return asdict(self)


def mel_cutoffs(bands: int, low_hz: float = 30.0, high_hz: float = 7_900.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper cutoffs in Hz, each of shape ``(bands,)``, of adjoining bands of equal width on the mel scale.

    Neighbours overlap by half, like a triangular mel filter bank: band i spans the edges i and i + 2.
    """

    def mel(hertz: float) -> float:
        return 2595.0 * math.log10(1.0 + hertz / 700.0)

    edges = 700.0 * (10.0 ** (np.linspace(mel(low_hz), mel(high_hz), bands + 2) / 2595.0) - 1.0)
    return edges[:-2], np.maximum(edges[2:], edges[:-2] + MIN_BAND_HZ + 1.0)


def pitch_cutoffs(bands: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper cutoffs in Hz, each of shape ``(bands,)``: a third narrow enough for a voice's single harmonics.

    A share of 0.35 are adjoining equal bands from 60 to 900 Hz, where the harmonics tell the pitch; the others are mel bands
    from 430 Hz up. Sorted by their centres. The filters must be long enough to be that narrow: 801 samples are 50 ms.
    """
    narrow = round(0.35 * bands)
    edges = np.linspace(60.0, 900.0, narrow + 1)
    mel_low, mel_high = mel_cutoffs(bands - narrow, low_hz=430.0)
    low, high = np.concatenate([edges[:-1], mel_low]), np.concatenate([edges[1:], mel_high])
    order = np.argsort(low + high, kind="stable")
    return low[order], high[order]


LAYOUTS = {"mel": mel_cutoffs, "pitch": pitch_cutoffs}
"""Initial places of the filters by name."""


def initial_cutoffs(shape: AcousticShape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper cutoffs in Hz of the layout that `shape` names, each of shape ``(bands,)``."""
    return LAYOUTS[shape.layout](shape.bands)


class SincBands(nn.Module):
    """Learnt band-pass filters (SincNet layer), then the log energy of each in every hop.

    What is learnt is how far a cutoff has moved, in widths of its filter at the start. With Adam a step is about the learning
    rate whatever the unit: 1e-3 Hz would never move a filter, and what is right for a band of 300 Hz, in f/fs, throws one of
    27 Hz about, which then no longer hears the harmonic that the network knows it by.

    Parameters
    ----------
    shape
        Sizes.
    low_hz, high_hz
        Initial cutoffs, shape ``(bands,)``; :func:`initial_cutoffs` by default.
    """

    initial_low_hz: Tensor
    initial_high_hz: Tensor
    taper: Tensor
    time: Tensor

    def __init__(self, shape: AcousticShape) -> None:
        super().__init__()
        self.shape = shape
        low_hz, high_hz = initial_cutoffs(shape)
        self.register_buffer("initial_low_hz", torch.tensor(low_hz, dtype=torch.float32))
        self.register_buffer("initial_high_hz", torch.tensor(high_hz, dtype=torch.float32))
        self.low_moved = nn.Parameter(torch.zeros(shape.bands))
        self.width_moved = nn.Parameter(torch.zeros(shape.bands))
        half = shape.kernel // 2
        self.register_buffer("time", torch.arange(-half, half + 1, dtype=torch.float32))
        self.register_buffer("taper", torch.hamming_window(shape.kernel, periodic=False))

    def cutoffs(self) -> tuple[Tensor, Tensor]:
        """Lower and upper cutoffs f1 < f2 as fractions of the sample rate, shape ``(bands,)``, within (0, 0.5]."""
        width = self.initial_high_hz - self.initial_low_hz
        low = MIN_LOW_HZ + (self.initial_low_hz - MIN_LOW_HZ + width * self.low_moved).abs()
        low = low.clamp(max=SAMPLE_RATE / 2 - MIN_BAND_HZ)
        high = low + MIN_BAND_HZ + (width - MIN_BAND_HZ + width * self.width_moved).abs()
        return low / SAMPLE_RATE, (high / SAMPLE_RATE).clamp(max=0.5)

    def cutoffs_hz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper cutoffs in Hz, each of shape ``(bands,)``."""
        low, high = (cutoff.detach().cpu().double().numpy() * SAMPLE_RATE for cutoff in self.cutoffs())
        return low, high

    def filters(self) -> Tensor:
        """Impulse responses, shape ``(bands, kernel)``."""
        low, high = (cutoff[:, None] for cutoff in self.cutoffs())
        # Eq. (2): g[n] = 2 f2 sinc(2 pi f2 n) - 2 f1 sinc(2 pi f1 n); torch.sinc(x) is sin(pi x) / (pi x).
        response = 2 * high * torch.sinc(2 * high * self.time) - 2 * low * torch.sinc(2 * low * self.time)
        # Not divided by the width: every filter's gain in its pass band is one, and the running mean evens out the rest.
        return response * self.taper

    def forward(self, samples: Tensor) -> Tensor:
        """Log energies of shape ``(batch, frames, bands)`` of `samples`, shape ``(batch, samples)``, nominally in [-1, 1]."""
        return log_energies(samples, self.filters(), self.shape)


def log_energies(samples: Tensor, filters: Tensor, shape: AcousticShape) -> Tensor:
    """Log of the mean square of every filter's output over a hop; see :meth:`SincBands.forward`.

    `filters` are symmetric, as :meth:`SincBands.filters` makes them.
    """
    steps = shape.hop // shape.stride
    exporting = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    if samples.device.type == "cpu" and not samples.requires_grad and not exporting:
        energies = _SymmetricFilters.apply(samples, filters[:, shape.kernel // 2 :], shape.stride, steps)
    else:
        filtered = functional.conv1d(samples[:, None], filters[:, None], stride=shape.stride)
        energies = functional.avg_pool1d(filtered * filtered, steps, steps)
    return torch.log(energies + 1e-10).transpose(1, 2)


class _SymmetricFilters(torch.autograd.Function):
    """Mean squares of the outputs of symmetric filters, as matrix products.

    The two samples at the same distance from a filter's middle meet the same coefficient: they are added first, which leaves
    half of the multiplications; and a convolution with one input channel is what libraries are slowest at.
    """

    @staticmethod
    def forward(ctx: Any, samples: Tensor, half: Tensor, stride: int, steps: int) -> Tensor:
        """Energies ``(batch, bands, frames)`` of `samples` ``(batch, samples)``; `half` is the filters' right half."""
        kernel = 2 * half.shape[1] - 1
        frames = ((samples.shape[1] - kernel) // stride + 1) // steps
        energies = samples.new_empty(len(samples), len(half), frames)
        kept = []
        for row, wave in enumerate(samples.numpy()):
            for first, end, folded in _folded(wave, half.shape[1], stride, steps, frames):
                filtered = (half @ folded).view(len(half), end - first, steps)
                energies[row, :, first:end] = torch.linalg.vecdot(filtered, filtered) / steps
                kept.append(filtered)
        ctx.save_for_backward(samples, half)
        ctx.kept = kept if half.requires_grad else []
        ctx.stride, ctx.steps = stride, steps
        return energies

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:  # type: ignore[override]
        """Gradient for the filters; the samples have none."""
        samples, half = ctx.saved_tensors
        total = torch.zeros_like(half)
        kept = iter(ctx.kept)
        for row, wave in enumerate(samples.numpy()):
            for first, end, folded in _folded(wave, half.shape[1], ctx.stride, ctx.steps, gradient.shape[2]):
                outer = next(kept) * (gradient[row, :, first:end, None] * (2 / ctx.steps))
                total.addmm_(outer.view(len(half), -1), folded.T)
        return None, total, None, None


def _folded(wave: NDArray[np.float32], taps: int, stride: int, steps: int, frames: int) -> Iterator[tuple[int, int, Tensor]]:
    """Of every block of frames: its first, its end, and row k of the sums of the samples k before and after each middle."""
    phases = [np.ascontiguousarray(wave[phase::stride]) for phase in range(stride)]
    middle = taps - 1
    buffer = np.empty((taps, FOLDED_FRAMES * steps), np.float32)
    for first in range(0, frames, FOLDED_FRAMES):
        end = min(first + FOLDED_FRAMES, frames)
        count = (end - first) * steps
        folded = buffer[:, :count] if count == buffer.shape[1] else np.empty((taps, count), np.float32)
        start = first * steps
        views = [phases[at % stride][start + at // stride : start + at // stride + count] for at in range(2 * taps - 1)]
        folded[0] = views[middle]
        for distance in range(1, taps):
            np.add(views[middle + distance], views[middle - distance], out=folded[distance])
        yield first, end, torch.from_numpy(folded)


class BandMeanState(NamedTuple):
    """What the running band mean remembers, per stream of a batch.

    `level` (batch,), `shape` (batch, bands), `count` (batch,): voiced frames counted so far, as a float tensor.
    """

    level: Tensor
    shape: Tensor
    count: Tensor


class RunningBandMean(nn.Module):
    """Causal amplitude and channel normalisation of docs/architecture.md.

    `prior_shape` is a constant of the trained network, shape ``(bands,)``: the mean spectral shape of voiced frames of the
    training data.
    """

    prior_shape: Tensor

    def __init__(self, shape: AcousticShape) -> None:
        super().__init__()
        self.prior_frames = shape.prior_frames
        self.memory_frames = shape.memory_frames
        self.register_buffer("prior_shape", torch.zeros(shape.bands))

    def initial_state(self, batch: int) -> BandMeanState:
        """Cold start: nothing heard yet."""
        prior = self.prior_shape
        return BandMeanState(prior.new_zeros(batch), prior.expand(batch, -1), prior.new_zeros(batch))

    def forward(self, energies: Tensor, voiced: Tensor, state: BandMeanState | None = None) -> tuple[Tensor, BandMeanState]:
        """Normalise `energies` (batch, frames, bands), given `voiced` (batch, frames) bool; return the state after them too."""
        level, shape, count = self.initial_state(len(energies)) if state is None else state
        parts = []
        for first in range(0, energies.shape[1], BLOCK):
            part, state = self._block(
                energies[:, first : first + BLOCK], voiced[:, first : first + BLOCK], BandMeanState(level, shape, count)
            )
            level, shape, count = state
            parts.append(part)
        return torch.cat(parts, dim=1) if parts else energies, BandMeanState(level, shape, count)

    def _block(self, energies: Tensor, voiced: Tensor, state: BandMeanState) -> tuple[Tensor, BandMeanState]:
        """As :meth:`forward`, for some frames at once.

        Both means are linear recurrences s[t] = (1 - w[t]) s[t-1] + w[t] x[t], so that s = W x + d s[-1] with a triangular
        matrix W of products of the factors 1 - w, which depend on nothing but the voiced flags.
        """
        heard = voiced.to(energies.dtype)
        counts = state.count[:, None] + heard.cumsum(dim=1)
        means = energies.mean(dim=2)
        matrix, decay = _recurrence(heard / counts.clamp(1, self.memory_frames))
        levels = torch.bmm(matrix, means[:, :, None])[:, :, 0] + decay * state.level[:, None]
        matrix, decay = _recurrence(heard / (self.prior_frames + counts).clamp(1, self.memory_frames))
        shapes = torch.baddbmm(decay[:, :, None] * state.shape[:, None], matrix, energies - means[:, :, None])
        out = energies - torch.where(counts > 0, levels, means)[:, :, None] - shapes
        return out, BandMeanState(levels[:, -1], shapes[:, -1], counts[:, -1])


def _recurrence(weights: Tensor) -> tuple[Tensor, Tensor]:
    """W ``(batch, t, t)`` and d ``(batch, t)`` of :meth:`RunningBandMean._block`, of its `weights` w in [0, 1]."""
    # A weight of one forgets all before it; a factor of exp(-100) does so too, and its logarithm is a number.
    logs = torch.log1p(-weights.double()).clamp(min=-100.0).cumsum(dim=1)
    differences = (logs[:, :, None] - logs[:, None, :]).to(weights.dtype)
    future = torch.ones(weights.shape[1], weights.shape[1], dtype=torch.bool, device=weights.device).triu(1)
    return differences.masked_fill_(future, -math.inf).exp_() * weights[:, None, :], logs.exp().to(weights.dtype)


class Trunk(nn.Module):
    """Valid convolutions over time with BatchNorm: ``(batch, frames, bands)`` → ``(batch, frames - r + 1, width)``."""

    def __init__(self, shape: AcousticShape, dropout: float = 0.1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = shape.bands
        for kernel in shape.trunk_kernels:
            layers += [nn.Conv1d(channels, shape.width, kernel, bias=False), nn.BatchNorm1d(shape.width), nn.ReLU()]
            layers += [nn.Dropout1d(dropout)]
            channels = shape.width
        self.layers = nn.Sequential(*layers)

    def forward(self, bands: Tensor) -> Tensor:
        """Frames of normalised `bands`."""
        return self.layers(bands.transpose(1, 2)).transpose(1, 2)


class Head(nn.Module):
    """The frames of a window → its feature and logits.

    The window is read as the means of its `segments` parts and the standard deviation over all its frames.
    """

    def __init__(self, shape: AcousticShape, dropout: float = 0.5) -> None:
        super().__init__()
        self.segments = shape.segments
        self.connected = nn.Linear(shape.width * (shape.segments + 1), shape.feature, bias=False)
        self.norm = nn.BatchNorm1d(shape.feature)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(shape.feature, shape.classes)

    def embed(self, frames: Tensor) -> Tensor:
        """Feature of shape ``(windows, feature)``, not negative, of `frames`, shape ``(windows, M, width)``."""
        length = frames.shape[1] // self.segments
        means = [frames[:, part * length : (part + 1) * length].mean(dim=1) for part in range(self.segments)]
        deviation = (frames - frames.mean(dim=1, keepdim=True)).square().mean(dim=1).add(1e-5).sqrt()
        return torch.relu(self.norm(self.connected(torch.cat([*means, deviation], dim=1))))

    def classify(self, feature: Tensor) -> Tensor:
        """Logits of shape ``(windows, classes)``; linear, so that means of features and of logits agree."""
        return self.classifier(self.dropout(feature))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Feature and logits of every window."""
        feature = self.embed(frames)
        return feature, self.classify(feature)


class AcousticNetwork(nn.Module):
    """All four parts."""

    def __init__(self, shape: AcousticShape | None = None) -> None:
        super().__init__()
        self.shape = shape or AcousticShape()
        self.bands = SincBands(self.shape)
        self.normaliser = RunningBandMean(self.shape)
        self.trunk = Trunk(self.shape, self.shape.trunk_dropout)
        self.head = Head(self.shape, self.shape.head_dropout)

    def windows(self, frames: Tensor, starts: Tensor) -> Tensor:
        """Frames of the windows that start at `starts`.

        Parameters
        ----------
        frames
            Trunk frames, shape ``(batch, frames, width)``.
        starts
            Window numbers, int64, shape ``(batch, windows)``.

        Returns
        -------
        Tensor
            Shape ``(batch * windows, M, width)``.
        """
        offsets = torch.arange(self.shape.window_frames, device=frames.device)
        index = (starts[:, :, None] + offsets).flatten(1)
        rows = torch.arange(len(frames), device=frames.device)[:, None]
        return frames[rows, index].reshape(-1, self.shape.window_frames, frames.shape[2])
