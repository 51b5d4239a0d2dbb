"""Fine-tunes the sentence encoder to the four classes: the judge whose opinions the text network learns.

The collections differ in how often a class occurs, and none is like speech in a room. The judge therefore learns likelihoods:
the logarithm of how often a class is drawn from a collection is added to its scores in the loss (logit adjustment, Menon et al.
2021, eq. 10), and left out when it judges. What it says is a balanced opinion, and any prior may be added to it later.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.text import Vocabulary
from training.loop import step_generator, write_atomically
from training.metrics import unweighted_accuracy
from training.sentence_encoder import SentenceEncoder, by_length, padded_pieces, spoken
from training.text_data import CLASSES, Utterance
from training.text_forms import EvaluationForms, FormShares, TrainingForms, written_tokens
from training.text_noise import RecognizerNoise

__all__ = ["Copies", "Judge", "JudgeSettings", "JudgeTask", "LabelledDraws", "make_copies", "opinions"]

GROUP = 16
"""Batches that are drawn together and sorted by length."""
PART = 4_000
"""Texts that are judged between two lines of progress."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Everything that decides how the encoder is fine-tuned.

    Attributes
    ----------
    rate, head_rate
        Learning rates of the encoder and of what stands on it.
    evenness
        A class is drawn from a collection as often as it occurs there, to the power of 1 - `evenness`.
    """

    steps: int = 1_200
    validate_every: int = 200
    batch: int = 32
    rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    smoothing: float = 0.05
    evenness: float = 0.5
    seed: int = 1
    forms: FormShares = field(default_factory=FormShares)
    source_shares: tuple[tuple[str, float], ...] = (
        ("meld", 0.42),
        ("emorynlp", 0.18),
        ("goemotions", 0.16),
        ("dailydialog", 0.12),
        ("isear", 0.05),
        ("semeval", 0.07),
    )


class Judge(nn.Module):
    """The encoder with a dense layer that names the class."""

    def __init__(self, folder: Path, dropout: float) -> None:
        super().__init__()
        self.encoder = SentenceEncoder(folder, dropout)
        # Nearly all of the weights, of which a few thousand utterances touch few.
        self.encoder.weights["embeddings/word_embeddings/weight"].requires_grad_(False)
        self.dropout = nn.Dropout(2 * dropout)
        self.head = nn.Linear(self.encoder.width, len(CLASSES))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Balanced logits, shape (texts, classes), of padded word pieces."""
        return self.head(self.dropout(self.encoder(tokens, lengths)))

    def pieces(self, tokens: Sequence[str]) -> list[int]:
        """Word pieces of the tokens of a text."""
        return self.encoder.pieces(spoken(tokens), 48)

    def judge(self, texts: Sequence[Sequence[str]], batch: int = 64) -> NDArray[np.float32]:
        """Balanced logits of `texts` (tokens), shape (texts, classes)."""
        result = np.zeros((len(texts), len(CLASSES)), np.float32)
        for rows, tokens, lengths in by_length([self.pieces(text) for text in texts], batch):
            with torch.inference_mode():
                result[rows] = self(tokens, lengths).numpy()
        return result


class LabelledDraws:
    """Draws labelled texts: a collection by its share, a class by how often it occurs there, a text of both.

    Attributes
    ----------
    texts
        Token numbers of every text.
    labels
        Class numbers.
    log_priors
        Logarithm of how often either class is drawn from the text's collection, shape ``(texts, classes)``.
    """

    def __init__(
        self, utterances: Sequence[Utterance], vocabulary: Vocabulary, shares: Sequence[tuple[str, float]], evenness: float
    ) -> None:
        self.texts = [vocabulary.numbers(written_tokens(utterance)) for utterance in utterances]
        self.labels = np.array([CLASSES.index(utterance.label) for utterance in utterances], np.int64)
        self.log_priors = np.zeros((len(utterances), len(CLASSES)), np.float32)
        sources = np.array([utterance.source for utterance in utterances])
        chances = np.zeros(len(utterances))
        for source, share in shares:
            rows = np.flatnonzero(sources == source)
            if not len(rows):
                continue
            counts = np.bincount(self.labels[rows], minlength=len(CLASSES)).astype(np.float64)
            drawn = np.where(counts > 0, counts ** (1 - evenness), 0)
            drawn /= drawn.sum()
            # A class that a collection does not have: nothing is learnt there against it.
            self.log_priors[rows] = np.log(np.maximum(drawn, 1e-4))
            chances[rows] = share * (drawn / np.maximum(counts, 1))[self.labels[rows]]
        self._cumulated = np.cumsum(chances / chances.sum())

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of `count` texts."""
        rows = np.searchsorted(self._cumulated, generator.random(count), side="right")
        return np.minimum(rows, len(self.texts) - 1)


class JudgeTask:
    """What the loop needs to fine-tune a :class:`Judge`; it validates on MELD's development part, in two forms."""

    unit = "texts"

    def __init__(
        self,
        judge: Judge,
        settings: JudgeSettings,
        training: Sequence[Utterance],
        vocabulary: Vocabulary,
        noise: RecognizerNoise,
        dev: EvaluationForms,
    ) -> None:
        self.module: nn.Module = judge
        self.units = settings.batch
        self._judge = judge
        self._settings = settings
        self._vocabulary = vocabulary
        self._forms = TrainingForms(noise, settings.forms)
        self._draws = LabelledDraws(training, vocabulary, settings.source_shares, settings.evenness)
        self._dev = dev

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW with two learning rates."""
        settings = self._settings
        encoder = [parameter for parameter in self._judge.encoder.parameters() if parameter.requires_grad]
        groups = [
            {"params": encoder, "lr": settings.rate},
            {"params": list(self._judge.head.parameters()), "lr": settings.head_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Word pieces, lengths, labels, logarithms of priors."""
        group, skipped = divmod(first_step, GROUP)
        while True:
            yield from self._group(step_generator(self._settings.seed, group), skipped)
            group, skipped = group + 1, 0

    def _group(self, generator: np.random.Generator, skipped: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        size = self._settings.batch
        rows = self._draws.draw(GROUP * size, generator)
        words = self._vocabulary.tokens
        forms = [self._forms.draw(self._draws.texts[row], generator) for row in rows]
        pieces = [self._judge.pieces([words[number] for number in form]) for form in forms]
        order = np.argsort([len(text) for text in pieces], kind="stable").reshape(GROUP, size)
        for members in generator.permutation(order)[skipped:]:
            chosen = rows[members]
            yield (
                *padded_pieces([pieces[member] for member in members]),
                torch.from_numpy(self._draws.labels[chosen]),
                torch.from_numpy(self._draws.log_priors[chosen]),
            )

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the scores with the priors added."""
        tokens, lengths, labels, log_priors = batch
        logits = module(tokens, lengths) + log_priors
        return functional.cross_entropy(logits, labels, label_smoothing=self._settings.smoothing), {}

    def validate(self, module: nn.Module) -> float:
        """Mean of the UA on the published and on the recogniser form."""
        assert isinstance(module, Judge)
        return float(
            np.mean(
                [
                    unweighted_accuracy(self._dev.labels, self.logits(module, form).argmax(axis=1))
                    for form in (self._dev.published, self._dev.worn)
                ]
            )
        )

    def logits(self, judge: Judge, texts: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Balanced logits of token numbers, shape ``(texts, classes)``."""
        words = self._vocabulary.tokens
        return judge.judge([[words[number] for number in text] for text in texts])


@dataclass(frozen=True, slots=True)
class Copies:
    """Texts in the forms in which they are learnt, and what is known about them.

    Attributes
    ----------
    texts
        Tokens of every copy.
    rows
        Which utterance it is a copy of (of mixed ones, the first).
    labels
        Class numbers; -1 where the utterance's emotion has no class, and where a copy has words of a second utterance.
    published
        Whether a copy is its utterance as published, shape ``(copies,)``.
    """

    texts: list[tuple[str, ...]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    published: NDArray[np.bool_]


def make_copies(
    utterances: Sequence[Utterance],
    vocabulary: Vocabulary,
    noise: RecognizerNoise,
    forms: FormShares,
    count: dict[str, int],
    mixed: float = 0.25,
    seed: int = 1,
) -> Copies:
    """`count` copies (by collection) of every utterance: the first as published if there are several, others in drawn forms.

    Parameters
    ----------
    vocabulary
        Of all words, so that a copy keeps what the text network's vocabulary lacks.
    mixed
        Of the further copies, the share that is followed by the beginning of another utterance of its collection.
    """
    generator = np.random.default_rng((seed, len(utterances)))
    drawn = TrainingForms(noise, forms)
    numbers = [vocabulary.numbers(written_tokens(utterance)) for utterance in utterances]
    by_source: dict[str, list[int]] = {}
    for row, utterance in enumerate(utterances):
        by_source.setdefault(utterance.source, []).append(row)
    texts: list[tuple[str, ...]] = []
    rows: list[int] = []
    labels: list[int] = []
    published: list[bool] = []
    for row, utterance in enumerate(utterances):
        total = count.get(utterance.source, 0)
        for copy in range(total):
            text, label = numbers[row][: 3 * forms.longest], CLASSES.index(utterance.label) if utterance.label else -1
            if copy and generator.random() < mixed:
                others = by_source[utterance.source]
                text = np.concatenate([text, numbers[others[generator.integers(len(others))]]])
                label = -1
            if copy or total == 1:
                text = drawn.draw(text, generator)
            texts.append(tuple(vocabulary.tokens[number] for number in text))
            rows.append(row)
            labels.append(label)
            published.append(copy == 0 and total > 1)
    return Copies(texts, np.array(rows, np.int64), np.array(labels, np.int64), np.array(published, bool))


def opinions(judge: Judge, texts: Sequence[Sequence[str]], folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Balanced logits of `texts`, shape ``(texts, classes)``, and their vectors of length 1, shape ``(texts, 384)``.

    They are kept in `folder` by parts, so that an interruption costs one part only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    judge.eval()
    logits, vectors = [], []
    for number, first in enumerate(range(0, len(texts), PART)):
        path = folder / f"{number:03}.npz"
        if not path.is_file():
            write_atomically(path, functools.partial(_judge_part, judge, texts[first : first + PART]))
            print(f"{min(first + PART, len(texts))}/{len(texts)} texts judged", flush=True)
        stored = np.load(path)
        logits.append(stored["logits"])
        vectors.append(stored["vectors"])
    return np.concatenate(logits), np.concatenate(vectors)


def _judge_part(judge: Judge, texts: Sequence[Sequence[str]], path: Path) -> None:
    vectors = np.zeros((len(texts), judge.encoder.width), np.float16)
    logits = np.zeros((len(texts), len(CLASSES)), np.float32)
    for rows, tokens, lengths in by_length([judge.pieces(text) for text in texts], 64):
        with torch.inference_mode():
            mean = judge.encoder(tokens, lengths)
            vectors[rows] = functional.normalize(mean, dim=-1).numpy()
            logits[rows] = judge.head(mean).numpy()
    with path.open("wb") as file:
        np.savez(file, logits=logits, vectors=vectors)
