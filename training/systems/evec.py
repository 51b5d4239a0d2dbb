"""Evec-MCNN-LSTM: an LSTM that hears, a convolutional network that reads, and words' weights per emotion, put together.

J. Cho, R. Pappagari, P. Kulkarni, J. Villalba, Y. Carmiel, N. Dehak, "Deep neural networks for emotion recognition combining
audio and transcripts", Interspeech 2018, as the paper describes it:

* LSTM: reads acoustic features of frames (F0, shimmer, jitter, MFCC and the like); trained alone.
* MCNN, the multi-resolution network: parallel convolutions of several kernel sizes over word vectors; a pooling over time makes
  one embedding of the utterance, from which the emotions' posteriors are computed; trained alone, on a weighted sum of a
  classification and a verification loss, which brings embeddings of one emotion together and others apart.
* E-vector: a hand-made feature of the text (Q. Jin et al., "Speech emotion recognition with acoustic and lexical features",
  ICASSP 2015): every word has a weight for every emotion, learnt from the training texts.
* The three are fused.

Left open by what is known of the papers here, and read so:

* 32 values of a frame: F0, voicing, jitter, shimmer, MFCC 1–12, and their first derivatives. Two layers of 128 units, the mean
  of their outputs over time, and a layer of 128 values with ReLU: the embedding.
* Kernels of 1, 3, 5 and 7 words, 100 filters each, ReLU, mean over time, and a layer of 128 values with ReLU: the embedding.
* Verification: for all pairs of a batch, the logistic loss of w cos(e_i, e_j) + b on whether they share the emotion, w and b
  learnt, equal and unequal pairs weighing alike; its share is 0.5.
* E-vector: the weight of word w for emotion c is f_c(w) / Σ_k f_k(w), with f_c(w) the share of w among all words of c, every
  count raised by one half; an utterance has the mean over its known words, or the same for every emotion without any. A
  training utterance gets its vector from the other four of five parts of the training texts (every part with its share of
  every emotion), so that it is no rosier than a new one's.
* Fusion: both embeddings and the e-vector side by side, standardised, each of the three with the same total variance, into a
  support vector machine with radial basis functions. C is the one of 0.1, 1 and 10 with the best validation UA (the smallest of
  equals), and the validation clips set the temperature of its probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.corpora import Clip
from training.metrics import unweighted_accuracy
from training.systems.acoustic_features import LOW_LEVEL_WIDTH
from training.systems.base import Fold, Job
from training.systems.floors import TemperedSvm
from training.systems.neural import (
    ClassifierTask,
    ClipBatch,
    NeuralSystem,
    SpokenClips,
    WordEmbedding,
    outcome_details,
    read_in_order,
    trained,
    valid_places,
)

__all__ = ["EVectors", "EvecMcnnLstm", "HearingLstm", "MultiResolutionNetwork", "Verification", "left_out_vectors"]

PENALTIES = (0.1, 1.0, 10.0)
SMOOTHING = 0.5
VERIFICATION_SHARE = 0.5
TEXT_PARTS = 5


class HearingLstm(nn.Module):
    """The LSTM as described at the top of this module."""

    def __init__(self, classes: int, units: int = 128, embedding: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        self.lstm = nn.LSTM(LOW_LEVEL_WIDTH, units, num_layers=2, batch_first=True, dropout=dropout)
        self.embed = nn.Linear(units, embedding)
        self.classifier = nn.Linear(embedding, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Logits ``(n, classes)`` and the embedding."""
        outputs, _ = read_in_order(self.lstm, batch.frames, batch.frame_counts)
        mean = outputs.sum(dim=1) / batch.frame_counts[:, None]
        embedding = functional.relu(self.embed(self.dropout(mean)))
        return self.classifier(self.dropout(embedding)), embedding


class MultiResolutionNetwork(nn.Module):
    """The MCNN as described at the top of this module."""

    def __init__(
        self,
        words: WordEmbedding,
        classes: int,
        kernels: Sequence[int] = (1, 3, 5, 7),
        filters: int = 100,
        embedding: int = 128,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.words = words
        self.convolutions = nn.ModuleList(nn.Conv1d(words.embedding_dim, filters, size, padding=size // 2) for size in kernels)
        self.embed = nn.Linear(filters * len(kernels), embedding)
        self.classifier = nn.Linear(embedding, classes)
        self.dropout = nn.Dropout(dropout)

    def pooled(self, tokens: Tensor, counts: Tensor) -> Tensor:
        """Means over time of the convolutions, ``(n, filters of all kernels)``; what lies beyond a text's end is nothing."""
        valid = valid_places(counts, tokens.shape[1])[:, None]
        rows = self.dropout(self.words(tokens)).transpose(1, 2) * valid
        maps = torch.cat([functional.relu(layer(rows)) for layer in self.convolutions], dim=1)
        return (maps * valid).sum(dim=2) / counts[:, None]

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Logits ``(n, classes)`` and the embedding."""
        embedding = functional.relu(self.embed(self.pooled(batch.tokens, batch.token_counts)))
        return self.classifier(self.dropout(embedding)), embedding


class Verification(nn.Module):
    """Logistic loss on whether two embeddings have one label, over all pairs; 0 where all pairs are of one kind."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(5.0))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Loss for embeddings ``(n, width)`` with `labels` ``(n,)``."""
        unit = functional.normalize(embedding, dim=1)
        first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
        scores = self.slope * (unit[first] * unit[second]).sum(dim=1) + self.offset
        equal = labels[first] == labels[second]
        losses = functional.binary_cross_entropy_with_logits(scores, equal.to(scores.dtype), reduction="none")
        if equal.all() or not equal.any():
            return losses.sum() * 0.0
        return (losses[equal].mean() + losses[~equal].mean()) / 2


class _Verified(nn.Module):
    """A network together with the verification that learns with it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.verification = network, Verification()

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        logits, embedding = self.network(batch)
        return logits, embedding


class EVectors:
    """Weights of words for every emotion, as described at the top of this module.

    Parameters
    ----------
    texts
        Token numbers of the training texts; numbers 0 and 1 (padding, unknown) count as no word.
    labels
        Their classes.
    words, classes
        How many there are; the words with padding and unknown.
    """

    def __init__(self, texts: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], words: int, classes: int) -> None:
        counts = np.full((classes, words), SMOOTHING)
        for text, label in zip(texts, labels, strict=True):
            np.add.at(counts[label], text[text > 1], 1.0)
        shares = counts / counts[:, 2:].sum(axis=1, keepdims=True)
        self.weights: NDArray[np.float64] = shares / shares.sum(axis=0)

    def __call__(self, texts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """E-vectors of `texts`, ``(texts, classes)``, rows sum to 1."""
        classes = len(self.weights)
        alike = np.full(classes, 1.0 / classes)
        means = [self.weights[:, text[text > 1]].mean(axis=1) if (text > 1).any() else alike for text in texts]
        return np.stack(means) if means else np.zeros((0, classes))


def left_out_vectors(
    texts: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], words: int, classes: int
) -> NDArray[np.float64]:
    """E-vectors of training texts, each from the parts of them in which it is not."""
    part = np.empty(len(texts), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        part[own] = np.arange(len(own)) % TEXT_PARTS
    result = np.empty((len(texts), classes))
    for number in range(TEXT_PARTS):
        inside = np.flatnonzero(part == number)
        outside = np.flatnonzero(part != number)
        vectors = EVectors([texts[index] for index in outside], labels[outside], words, classes)
        result[inside] = vectors([texts[index] for index in inside])
    return result


class EvecMcnnLstm(NeuralSystem):
    """Evec-MCNN-LSTM as a compared system."""

    name = "Evec-MCNN-LSTM"
    label = "evec"
    kind = "low level"

    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        """The reading network before training."""
        return MultiResolutionNetwork(words, classes)

    def hearing_network(self, classes: int) -> nn.Module:
        """The hearing network before training."""
        return HearingLstm(classes)

    def fit(self, fold: Fold, job: Job) -> None:
        """Train both networks, or go on from what lies in ``job.out``, then the fusion."""
        recipe, train, validation, config = self._prepared(fold, job)
        torch.manual_seed(job.seed)
        words = WordEmbedding(self._inputs.vocabulary, recipe.embedding, self.word_vectors)
        reading, hearing = _Verified(self.network(words, len(job.classes))), self.hearing_network(len(job.classes))
        listening = trained(
            ClassifierTask(hearing, train, validation, recipe, job.seed), len(train), recipe, job, "evec-lstm", config
        )
        task = ClassifierTask(reading, train, validation, recipe, job.seed, reading.verification, VERIFICATION_SHARE)
        understanding = trained(task, len(train), recipe, job, "evec-mcnn", config)
        self._hearing, self._reading = hearing, reading
        self._vectors = EVectors(train.tokens, train.labels, len(self._inputs.vocabulary), len(job.classes))
        self._fuse(train, validation, fold, job)
        self._details = self._described(config, words) | {
            "lstm": outcome_details(hearing, listening),
            "mcnn": outcome_details(reading, understanding),
            "fusion": {"penalty": self._machine.penalty, "temperature": self._machine.temperature},
        }

    def _fuse(self, train: SpokenClips, validation: SpokenClips, fold: Fold, job: Job) -> None:
        vectors = left_out_vectors(train.tokens, train.labels, len(self._inputs.vocabulary), len(job.classes))
        rows, sizes = self._rows(train, vectors)
        held_out, _ = self._rows(validation, self._vectors(validation.tokens))
        weights = np.concatenate([np.full(size, size**-0.5) for size in sizes])
        speakers = [clip.speaker for clip in fold.train]
        best = -1.0
        for penalty in PENALTIES:
            machine = TemperedSvm(len(job.classes), penalty, job.seed, weights)
            machine.fit(rows, train.labels, speakers, (held_out, validation.labels))
            figure = unweighted_accuracy(validation.labels, machine.scores(held_out).argmax(axis=1))
            if figure > best:
                best, self._machine = figure, machine

    def _rows(self, clips: SpokenClips, vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[int]]:
        """Both embeddings and the e-vector of every clip side by side, and the width of each."""
        parts: list[NDArray[np.float64]] = []
        for network in (self._hearing, self._reading):
            network.eval()
            with torch.no_grad():
                embeddings = [network(batch)[1].double().numpy() for batch in clips.batches(self._batch)]
            parts.append(np.concatenate(embeddings))
        parts.append(vectors)
        return np.concatenate(parts, axis=1), [part.shape[1] for part in parts]

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Shape ``(clips, classes)``."""
        if not clips:
            return np.zeros((0, self._classes))
        spoken = self._inputs(clips)
        return self._machine.log_probabilities(self._rows(spoken, self._vectors(spoken.tokens))[0])
