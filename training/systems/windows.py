"""The acoustic network as the paper trains and tests it: random 250 ms windows, each with its utterance's label.

Every clip is scaled to one peak. A training step takes 64 windows, one from each of 64 clips drawn at random, and Adam at 1e-3
minimises the cross-entropy of single windows. At test time the softmax of every window (250 ms, shift 10 ms) is summed; the
2048-D features of the windows are averaged for the fusion.

The network is that of :mod:`training.acoustic_network` without what the paper does not have: in place of the running band mean
stands a batch normalisation of the band energies. The cutoffs are learnt in widths of their filters, since in Hz Adam would
not move them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.acoustic_network import AcousticShape, Head, SincBands, Trunk
from training.corpora import Clip
from training.features import ClipStore, open_store
from training.loop import step_generator
from training.metrics import unweighted_accuracy

__all__ = ["PAPER_SHAPE", "PeakedAudio", "WindowNetwork", "WindowRecipe", "WindowTask", "score_windows"]

PEAK = 0.9

PAPER_SHAPE = AcousticShape(bands=80, layout="mel", kernel=251)
"""Filters as SincNet has them (Ravanelli & Bengio, SLT 2018): 80 of 251 samples, mel-spaced at the start."""


@dataclass(frozen=True, slots=True)
class WindowRecipe:
    """The paper's batch and learning rate; steps and early stop are ours, since it does not state its own.

    Attributes
    ----------
    steps, validate_every
        In batches.
    patience
        Validations without a better one after which training ends.
    coarse
        Validation looks at every so many windows.
    """

    batch: int = 64
    rate: float = 1e-3
    steps: int = 2_000
    validate_every: int = 100
    patience: int = 6
    coarse: int = 5


class WindowNetwork(nn.Module):
    """Sinc filters, log energies, batch normalisation, convolutions, the 2048-D feature, classifier."""

    def __init__(self, shape: AcousticShape) -> None:
        super().__init__()
        self.shape = shape
        self.bands = SincBands(shape)
        self.norm = nn.BatchNorm1d(shape.bands)
        self.trunk = Trunk(shape)
        self.head = Head(shape)

    def frames(self, samples: Tensor) -> Tensor:
        """Trunk frames ``(batch, frames, width)`` of `samples` ``(batch, N)``; of a window, exactly those of the head."""
        return self.trunk(self.norm(self.bands(samples).transpose(1, 2)).transpose(1, 2))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Feature ``(batch, 2048)`` and logits of `windows`, shape ``(batch, 4000)``."""
        return self.head(self.frames(windows))


class PeakedAudio:
    """Clips scaled to one peak, filled up with silence to one window where they are shorter.

    Parameters
    ----------
    clips
        All that will be asked for, so that one cache serves all folds of a corpus.
    """

    def __init__(self, clips: Sequence[Clip], cache: Path, shape: AcousticShape) -> None:
        self.shape = shape
        self._place: dict[str, tuple[ClipStore, int, int]] = {}
        for corpus in sorted({clip.corpus for clip in clips}):
            own = sorted({clip for clip in clips if clip.corpus == corpus}, key=lambda clip: clip.path)
            store = open_store(Path(), own, cache, corpus)
            starts = np.concatenate([[0], np.cumsum(store.samples)]).tolist()
            self._place |= {clip.path: (store, starts[index], starts[index + 1]) for index, clip in enumerate(own)}
        self._factor: dict[str, float] = {}

    def __contains__(self, clip: Clip) -> bool:
        return clip.path in self._place

    def length(self, clip: Clip) -> int:
        """Samples of `clip`, at least one window."""
        _, start, end = self._place[clip.path]
        return max(end - start, self.shape.window)

    def cut(self, clip: Clip, first: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """`count` samples of `clip` from `first` on, or all."""
        store, start, end = self._place[clip.path]
        if clip.path not in self._factor:
            peak = int(np.abs(np.asarray(store.audio[start:end], np.int32)).max(initial=0))
            self._factor[clip.path] = PEAK / max(peak, 1)
        last = end if count is None else min(end, start + first + count)
        samples = np.asarray(store.audio[start + first : last]).astype(np.float32) * np.float32(self._factor[clip.path])
        wanted = self.length(clip) - first if count is None else count
        return np.pad(samples, (0, wanted - len(samples)))


class WindowTask:
    """What the loop needs: random windows, their cross-entropy, UA of summed softmax on the validation clips."""

    unit = "chunks"

    def __init__(
        self,
        network: WindowNetwork,
        audio: PeakedAudio,
        train: tuple[Sequence[Clip], NDArray[np.int64]],
        validation: tuple[Sequence[Clip], NDArray[np.int64]],
        recipe: WindowRecipe,
        seed: int,
        frozen: bool,
    ) -> None:
        self.module: nn.Module = network
        self.network, self.units = network, recipe.batch
        self._audio, self._train, self._validation = audio, train, validation
        self._recipe, self._seed = recipe, seed
        for parameter in network.bands.parameters():
            parameter.requires_grad_(not frozen)

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam over all that may change."""
        return torch.optim.Adam([each for each in self.module.parameters() if each.requires_grad], lr=self._recipe.rate)

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows ``(batch, 4000)`` and their labels: a clip at random, then a place in it."""
        clips, labels = self._train
        window, step = self._audio.shape.window, first_step
        while True:
            generator = step_generator(self._seed, step)
            rows = generator.integers(len(clips), size=self._recipe.batch)
            starts = [int(generator.integers(self._audio.length(clips[row]) - window + 1)) for row in rows]
            cuts = [self._audio.cut(clips[row], start, window) for row, start in zip(rows, starts, strict=True)]
            yield torch.from_numpy(np.stack(cuts)), torch.from_numpy(labels[rows])
            step += 1

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of single windows."""
        windows, labels = batch
        _, logits = module(windows)
        return functional.cross_entropy(logits, labels), {"right": (logits.argmax(dim=1) == labels).float().mean()}

    def validate(self, module: nn.Module) -> float:
        """UA of the validation clips by summed softmax."""
        assert isinstance(module, WindowNetwork)
        clips, labels = self._validation
        scores, _ = score_windows(module, self._audio, clips, self._recipe.coarse)
        return unweighted_accuracy(labels, scores.argmax(axis=1))


@torch.no_grad()
def score_windows(
    network: WindowNetwork, audio: PeakedAudio, clips: Sequence[Clip], every: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Summed softmax and averaged feature over all windows of every clip.

    Parameters
    ----------
    every
        Use every so many windows; 1 is the paper's shift of 10 ms.

    Returns
    -------
    log_probabilities, features
        Shapes ``(clips, classes)`` (the sum is divided by the number of windows) and ``(clips, 2048)``.
    """
    network.eval()
    device = next(network.parameters()).device
    offsets = torch.arange(network.shape.window_frames, device=device)
    scores, features = [], []
    for clip in clips:
        samples = torch.from_numpy(audio.cut(clip)).to(device)
        # The filters step exactly from hop to hop, and the trunk has no memory: frames of the clip are those of its windows.
        count = network.shape.window_count(len(samples))
        frames = network.frames(samples[None])[0]
        starts = torch.arange(0, count, every, device=device)
        feature, logits = network.head(frames[starts[:, None] + offsets])
        scores.append(logits.double().softmax(dim=1).mean(dim=0).log().cpu().numpy())
        features.append(feature.mean(dim=0).cpu().numpy())
    return np.stack(scores), np.stack(features)
