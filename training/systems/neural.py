"""What the compared networks share: clips as frames, prosody and words; training through the one loop; words' vectors.

What their papers leave open is read alike for all of them, so that they differ in their networks only: Adam at 1e-3 and batches
of 64 as in the paper that compares them (Priyasad et al., ICASSP 2020), cross-entropy over classes as they come, the state with
the best validation UA, frames and prosody standardised on the training clips, at most 7.5 s of speech and 128 words.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.text import PADDING, UNKNOWN, Vocabulary, tokenize
from training.corpora import Clip
from training.loop import LoopSettings, Outcome, fit, step_generator
from training.metrics import unweighted_accuracy
from training.systems.acoustic_features import (
    CONTOURS,
    MFCC,
    Standardisation,
    features_of,
    low_level,
    mfcc_with_derivatives,
    prosody,
)
from training.systems.base import Fold, Job
from training.word_vectors import read_word_vectors

__all__ = [
    "ClassifierTask",
    "ClipBatch",
    "ClipInputs",
    "NeuralSystem",
    "Recipe",
    "SpokenClips",
    "WordEmbedding",
    "backwards",
    "clips_digest",
    "outcome_details",
    "read_in_order",
    "trained",
    "valid_places",
]

LONGEST_FRAMES = 750
LONGEST_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the compared networks are trained.

    Attributes
    ----------
    epochs
        Training clips are drawn so many times at most.
    patience
        Epochs without a better validation after which training ends.
    frames_per_step
        Neighbouring frames that are averaged to one before the recurrent network: 1 as in the papers; 2 or 3 make training
        as many times quicker.
    """

    batch: int = 64
    rate: float = 1e-3
    epochs: int = 40
    patience: int = 8
    clip: float = 5.0
    frames_per_step: int = 1
    embedding: int = 300


QUICK = Recipe(batch=16, epochs=1, frames_per_step=4)
QUICK_STEPS = 4


class ClipBatch(NamedTuple):
    """Some clips, filled up with zeros to the longest.

    Attributes
    ----------
    frames
        Float, ``(n, longest, width)``.
    frame_counts
        int64, ``(n,)``, at least 1.
    prosody
        Float, ``(n, 35)``.
    tokens
        int64, ``(n, longest)``, 0 beyond the end.
    token_counts
        int64, ``(n,)``, at least 1.
    labels
        int64, ``(n,)``.
    """

    frames: Tensor
    frame_counts: Tensor
    prosody: Tensor
    tokens: Tensor
    token_counts: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SpokenClips:
    """Features of some clips, in their order; `labels` may be all 0 where nobody asks for them."""

    frames: list[NDArray[np.float32]]
    prosody: NDArray[np.float32]
    tokens: list[NDArray[np.int64]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> ClipBatch:
        """The clips with these `indices`."""
        frames = [self.frames[index] for index in indices]
        tokens = [self.tokens[index] for index in indices]
        filled = np.zeros((len(frames), max(map(len, frames)), frames[0].shape[1]), np.float32)
        numbers = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        for row, (part, words) in enumerate(zip(frames, tokens, strict=True)):
            filled[row, : len(part)] = part
            numbers[row, : len(words)] = words
        chosen = np.asarray(indices, np.int64)
        return ClipBatch(
            torch.from_numpy(filled),
            torch.tensor([len(part) for part in frames]),
            torch.from_numpy(self.prosody[chosen]),
            torch.from_numpy(numbers),
            torch.tensor([len(words) for words in tokens]),
            torch.from_numpy(self.labels[chosen]),
        )

    def batches(self, size: int) -> Iterator[ClipBatch]:
        """All clips in their order."""
        for first in range(0, len(self), size):
            yield self.batch(range(first, min(first + size, len(self))))


class ClipInputs:
    """What must be learnt from the training clips before there is a network: units of the features, and a vocabulary.

    Words that stand once in the training texts are unknown ones, so that the network learns what an unknown word is.

    Parameters
    ----------
    kind
        ``mfcc``: 39 values of a frame; ``low level``: 32 (:func:`~training.systems.acoustic_features.low_level`).
    """

    def __init__(self, train: Sequence[Clip], cache: Path, kind: str, levels_equalised: bool, frames_per_step: int) -> None:
        if kind not in ("mfcc", "low level"):
            raise ValueError(f"kind must be mfcc or low level, got {kind}")
        self.cache, self.kind, self.levels_equalised, self.frames_per_step = cache, kind, levels_equalised, frames_per_step
        counts = Counter(token for clip in train for token in tokenize(clip.text))
        words = sorted(word for word, count in counts.items() if count > 1 and word not in (PADDING, UNKNOWN))
        self.vocabulary = Vocabulary([PADDING, UNKNOWN, *words])
        self._last: tuple[tuple[str, ...], tuple[list[NDArray[np.float32]], NDArray[np.float32]]] = ((), ([], np.zeros((0, 0))))
        frames, summaries = self._raw(train)
        self._frames = Standardisation(np.concatenate(frames))
        self._prosody = Standardisation(summaries)

    def _raw(self, clips: Sequence[Clip]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        # The training clips are asked for twice in a row: once for their units, once for themselves.
        names = tuple(clip.path for clip in clips)
        if names != self._last[0]:
            contours = features_of(clips, CONTOURS, self.cache, self.levels_equalised)
            if self.kind == "mfcc":
                frames = [mfcc_with_derivatives(rows) for rows in features_of(clips, MFCC, self.cache, self.levels_equalised)]
            else:
                frames = [low_level(rows) for rows in contours]
            shortened = [_averaged(rows[:LONGEST_FRAMES], self.frames_per_step) for rows in frames]
            self._last = (names, (shortened, np.stack([prosody(rows) for rows in contours])))
        return self._last[1]

    def __call__(self, clips: Sequence[Clip], labels: NDArray[np.int64] | None = None) -> SpokenClips:
        """Features of `clips` in the units of the training clips."""
        frames, summaries = self._raw(clips)
        unknown = np.array([1], np.int64)
        tokens = [self.vocabulary.numbers(tokenize(clip.text)[:LONGEST_TOKENS]) for clip in clips]
        return SpokenClips(
            [self._frames(rows).astype(np.float32) for rows in frames],
            self._prosody(summaries).astype(np.float32),
            [numbers if len(numbers) else unknown for numbers in tokens],
            np.zeros(len(clips), np.int64) if labels is None else labels,
        )


def _averaged(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Means of `count` neighbouring rows; the last of fewer."""
    if count == 1:
        return rows
    starts = np.arange(0, len(rows), count)
    sizes = np.diff(np.append(starts, len(rows)))[:, None]
    return (np.add.reduceat(rows, starts, axis=0) / sizes).astype(np.float32)


class WordEmbedding(nn.Embedding):
    """Vectors of words, learnt; they start from a file of word vectors where there is one.

    Raises
    ------
    ConfigError
        The file cannot be read, has other vectors than of `width` values, or has none of the words.

    Attributes
    ----------
    from_file
        Words whose vector came from the file.
    """

    def __init__(self, vocabulary: Vocabulary, width: int, file: Path | None = None) -> None:
        super().__init__(len(vocabulary), width, padding_idx=0)
        nn.init.normal_(self.weight, std=0.1)
        self.from_file = 0
        with torch.no_grad():
            self.weight[0] = 0
            if file is not None:
                known = read_word_vectors(file, vocabulary, width)
                for number, vector in known.items():
                    self.weight[number] = torch.from_numpy(vector)
                self.from_file = len(known)


def valid_places(counts: Tensor, longest: int) -> Tensor:
    """Whether a place lies before its sequence's end, bool ``(n, longest)``."""
    return torch.arange(longest, device=counts.device)[None] < counts[:, None]


def read_in_order(network: nn.GRU | nn.LSTM, rows: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Run a recurrent `network` of one direction over `rows` ``(n, longest, width)`` of `counts` valid ones each.

    What fills a sequence up comes after its end, where it cannot change the states before. Sequences are therefore not packed:
    for hundreds of frames PyTorch's packed sequences cost ten times as much on a processor, since every step's gradient is
    added to that of the whole sequence.

    Returns
    -------
    outputs, last
        ``(n, longest, units)``, zeros beyond the ends; and ``(n, units)``: the top layer's state after the whole sequence.
    """
    if network.bidirectional:
        raise ValueError("the network must have one direction; see backwards()")
    outputs, _ = network(rows)
    last = outputs[torch.arange(len(rows), device=rows.device), counts - 1]
    return outputs * valid_places(counts, rows.shape[1])[..., None], last


def backwards(rows: Tensor, counts: Tensor) -> Tensor:
    """Every sequence of `rows` ``(n, longest, width)`` from its end to its beginning; what lies beyond the ends stays there."""
    places = torch.arange(rows.shape[1], device=rows.device)[None]
    mirrored = torch.where(places < counts[:, None], counts[:, None] - 1 - places, places)
    return rows.gather(1, mirrored[..., None].expand_as(rows))


class ClassifierTask:
    """Cross-entropy for the loop; `module` maps a :class:`ClipBatch` to logits and an embedding.

    Parameters
    ----------
    verification
        What is added to the loss: maps embeddings and labels to a loss; part of `module`.
    share
        Its weight against the cross-entropy's 1.
    """

    unit = "clips"

    def __init__(
        self,
        module: nn.Module,
        train: SpokenClips,
        validation: SpokenClips,
        recipe: Recipe,
        seed: int,
        verification: nn.Module | None = None,
        share: float = 0.0,
    ) -> None:
        self.module, self._train, self._validation = module, train, validation
        self._recipe, self._seed = recipe, seed
        self._verification, self._share = verification, share
        self.units = min(recipe.batch, len(train))

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.module.parameters(), lr=self._recipe.rate)

    def batches(self, first_step: int) -> Iterator[ClipBatch]:
        """Clips drawn at random, none twice in a batch."""
        step = first_step
        while True:
            yield self._train.batch(step_generator(self._seed, step).choice(len(self._train), self.units, replace=False))
            step += 1

    def loss(self, module: nn.Module, batch: ClipBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, and the verification loss where there is one."""
        logits, embedding = module(batch)
        loss = functional.cross_entropy(logits, batch.labels)
        figures = {"right": (logits.argmax(dim=1) == batch.labels).float().mean()}
        if self._verification is not None:
            verification = self._verification(embedding, batch.labels)
            figures["verification"] = verification.detach()
            loss = loss + self._share * verification
        return loss, figures

    def validate(self, module: nn.Module) -> float:
        """UA on the validation clips."""
        device = next(module.parameters()).device
        said = [
            module(ClipBatch(*(part.to(device) for part in batch)))[0].argmax(dim=1).cpu().numpy()
            for batch in self._validation.batches(self._recipe.batch)
        ]
        return unweighted_accuracy(self._validation.labels, np.concatenate(said))


def trained(task: ClassifierTask, clips: int, recipe: Recipe, job: Job, label: str, config: dict[str, Any]) -> Outcome:
    """Train `task` on so many `clips` by `recipe`, or go on from what lies in the job's folder."""
    per_epoch = max(1, round(clips / task.units))
    steps = QUICK_STEPS if job.quick else per_epoch * recipe.epochs
    settings = LoopSettings(
        steps=steps, validate_every=min(per_epoch, steps), patience=recipe.patience, clip=recipe.clip, seed=job.seed
    )
    return fit(task, settings, job.out, label=label, config=config)


def clips_digest(clips: Sequence[Clip], labels: NDArray[np.int64]) -> str:
    """Changes with the clips and their labels."""
    lines = (f"{clip.path}|{label}" for clip, label in zip(clips, labels.tolist(), strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class NeuralSystem(ABC):
    """A network that hears and reads clips, trained as a whole.

    Parameters
    ----------
    levels_equalised
        Whether every clip is scaled to one peak first.
    word_vectors
        A file such as ``glove.6B.300d.txt``; vectors are learnt from nothing without one.
    recipe
        How it is trained.
    """

    name = ""
    audio = True
    text = True
    label = ""
    kind = "mfcc"

    def __init__(self, levels_equalised: bool = False, word_vectors: Path | None = None, recipe: Recipe | None = None) -> None:
        self.levels_equalised, self.word_vectors, self._given = levels_equalised, word_vectors, recipe
        self._details: dict[str, Any] = {}

    @abstractmethod
    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        """The network before training."""

    def _prepared(self, fold: Fold, job: Job) -> tuple[Recipe, SpokenClips, SpokenClips, dict[str, Any]]:
        recipe = self._given or (QUICK if job.quick else Recipe())
        labels = job.labels_of(fold.train)
        self._batch, self._classes = recipe.batch, len(job.classes)
        self._inputs = ClipInputs(fold.train, job.cache, self.kind, self.levels_equalised, recipe.frames_per_step)
        config = {
            "system": self.name,
            "recipe": asdict(recipe),
            "levels_equalised": self.levels_equalised,
            "word_vectors": "" if self.word_vectors is None else self.word_vectors.name,
            "classes": list(job.classes),
            "train": clips_digest(fold.train, labels),
            "validation": clips_digest(fold.validation, job.labels_of(fold.validation)),
        }
        return (
            recipe,
            self._inputs(fold.train, labels),
            self._inputs(fold.validation, job.labels_of(fold.validation)),
            config,
        )

    def fit(self, fold: Fold, job: Job) -> None:
        """Train, or go on from what lies in ``job.out``; the state with the best validation UA is kept."""
        recipe, train, validation, config = self._prepared(fold, job)
        torch.manual_seed(job.seed)
        words = WordEmbedding(self._inputs.vocabulary, recipe.embedding, self.word_vectors)
        self._network = self.network(words, len(job.classes))
        task = ClassifierTask(self._network, train, validation, recipe, job.seed)
        outcome = trained(task, len(train), recipe, job, self.label, config)
        self._details = self._described(config, words) | outcome_details(self._network, outcome)

    def _described(self, config: dict[str, Any], words: WordEmbedding) -> dict[str, Any]:
        return {
            "recipe": config["recipe"],
            "levels_equalised": self.levels_equalised,
            "vocabulary": len(self._inputs.vocabulary),
            "words_from_file": words.from_file,
        }

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Shape ``(clips, classes)``."""
        if not clips:
            return np.zeros((0, self._classes))
        self._network.eval()
        with torch.no_grad():
            parts = [self._network(batch)[0].double().log_softmax(dim=1) for batch in self._inputs(clips).batches(self._batch)]
        return torch.cat(parts).numpy()

    def details(self) -> dict[str, Any]:
        """Recipe, sizes, and how the training went."""
        return dict(self._details)


def outcome_details(network: nn.Module, outcome: Outcome) -> dict[str, Any]:
    """What a report should know of a training."""
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "best_validation_ua": outcome.best_score,
        "best_step": outcome.best_step,
        "clips_per_second": round(outcome.units_per_second, 1),
    }
