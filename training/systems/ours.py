"""The project's own networks as compared systems: voice, words, and the paper's three fusions of them.

Unimodal first, as in the paper: a fusion takes the acoustic and the text network of its fold, trains them where they are not
trained yet, and then learns from their features (2048-D, averaged over windows; 4800-D) of the fold's own clips, in which the
voice and the words belong together.

Under the ``paper`` protocol the recipe is the published one (:mod:`training.systems.windows`; Adam at 1e-3, batches of 64);
under ``speaker`` it is the one for a corpus alone, with little augmentation; under ``corpus`` the default bundle's.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.text import PADDING, UNKNOWN, Vocabulary, tokenize
from realtime_ser.text.network import MAX_TOKENS
from training.acoustic import BUNDLE_SETTINGS, AcousticData, AcousticSettings, AcousticTraining
from training.acoustic_network import AcousticNetwork, SincBands
from training.corpora import Clip
from training.features import ClipStore, band_energies, voiced_frames, voiced_windows
from training.fusion_network import Fusion, FusionName, fusion_of, root_mean_square
from training.loop import LoopSettings, Outcome, fit, step_generator, write_atomically
from training.metrics import softmax, unweighted_accuracy
from training.systems.base import Fold, Job
from training.systems.windows import PAPER_SHAPE, PeakedAudio, WindowNetwork, WindowRecipe, WindowTask, score_windows
from training.text_network import TextShape, TwoBranchTextNetwork, padded
from training.word_vectors import read_word_vectors

__all__ = [
    "AcousticSystem",
    "FusionRecipe",
    "FusionSystem",
    "FusionTask",
    "TextSystem",
    "clips_key",
    "cutoffs_of",
    "scaled_fusion",
    "utterance_features",
]

Filters = Literal["learnt", "frozen"]
DRAWS_PER_CLIP = 32
DRAWS_AFTER_PRETRAINING = 16
MEMBERS = 3
"""Trainings whose weights are averaged, where they start from what other corpora have taught."""
QUICK_STEPS = 4
QUICK_SETTINGS: dict[str, Any] = {"frozen_steps": 4, "joint_steps": 2, "batch": 8, "joint_batch": 4, "windows": 2}


def cutoffs_of(bands: SincBands) -> dict[str, list[float]]:
    """Initial and present cutoffs in Hz."""
    initial = (bands.initial_low_hz, bands.initial_high_hz)
    names = ("initial_low_hz", "initial_high_hz", "low_hz", "high_hz")
    values = (*(each.cpu().double().numpy() for each in initial), *bands.cutoffs_hz())
    return {name: value.round(3).tolist() for name, value in zip(names, values, strict=True)}


def clips_key(fold: Fold, job: Job) -> dict[str, Any]:
    """What must not change between an interruption and its continuation."""
    lines = "\n".join(
        f"{part}|{clip.path}|{job.labels[clip.path]}" for part in ("train", "validation") for clip in getattr(fold, part)
    )
    return {"classes": list(job.classes), "clips": hashlib.sha256(lines.encode()).hexdigest()[:16], "quick": job.quick}


def _described(module: nn.Module, outcome: Outcome, unit: str, score: str = "best_validation_ua") -> dict[str, Any]:
    return {
        score: round(outcome.best_score, 4),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "best_step": outcome.best_step,
        f"{unit}_per_second": round(outcome.units_per_second, 1),
    }


def one_corpus_settings(clips: int, pretrained: bool = False) -> AcousticSettings:
    """Settings for a fold with so many training clips: each is drawn some dozen times, in hundreds of steps."""
    settings = AcousticSettings()
    draws = DRAWS_AFTER_PRETRAINING if pretrained else DRAWS_PER_CLIP
    hundreds = round(draws * clips / settings.batch / 100)
    return dataclasses.replace(settings, frozen_steps=100 * max(2, hundreds))


class AcousticSystem:
    """SincNet and convolutions on the waveform.

    Parameters
    ----------
    filters
        ``frozen``: the cutoffs stay where they are at the start, for the ablation.
    settings
        Of the recipe under the ``speaker`` protocol, but for the seed, which is the job's. Unless given, the default bundle's
        (:data:`BUNDLE_SETTINGS`) where several corpora train, and :func:`one_corpus_settings` for one alone.
    """

    audio = True
    text = False

    def __init__(self, filters: Filters = "learnt", settings: AcousticSettings | None = None) -> None:
        self.filters, self._settings = filters, settings
        self.name = "acoustic" if filters == "learnt" else "acoustic, frozen filters"
        self._details: dict[str, Any] = {}

    def fit(self, fold: Fold, job: Job) -> None:
        """Train, or go on from what lies in ``job.out``."""
        self._job = job
        if job.protocol == "paper":
            self._fit_windows(fold, job)
        else:
            self._fit_utterances(fold, job)
        self._details["cutoffs"] = cutoffs_of(self.network.bands)

    def _fit_windows(self, fold: Fold, job: Job) -> None:
        shape = dataclasses.replace(PAPER_SHAPE, classes=len(job.classes))
        recipe = WindowRecipe()
        if job.quick:
            recipe = dataclasses.replace(recipe, batch=8, steps=QUICK_STEPS, validate_every=QUICK_STEPS, coarse=20)
        self._audio = PeakedAudio((*fold.train, *fold.validation, *fold.test), job.cache, shape)
        torch.manual_seed(job.seed)
        self.network: WindowNetwork | AcousticNetwork = WindowNetwork(shape)
        task = WindowTask(
            self.network,
            self._audio,
            (fold.train, job.labels_of(fold.train)),
            (fold.validation, job.labels_of(fold.validation)),
            recipe,
            job.seed,
            frozen=self.filters == "frozen",
        )
        loop = LoopSettings(recipe.steps, recipe.validate_every, recipe.patience, seed=job.seed)
        config = {**clips_key(fold, job), "filters": self.filters, "recipe": asdict(recipe), "shape": shape.as_dict()}
        outcome = fit(task, loop, job.out, label="acoustic", config=config)
        self._details = {"recipe": "random windows, as in the paper", **_described(self.network, outcome, "chunks")}

    def _fit_utterances(self, fold: Fold, job: Job) -> None:
        corpora = {clip.corpus for clip in fold.train}
        chosen = self._settings or (
            BUNDLE_SETTINGS
            if len(corpora) > 1
            else one_corpus_settings(len(fold.train) + len(fold.auxiliary), job.pretrained is not None)
        )
        settings = dataclasses.replace(
            chosen,
            seed=job.seed,
            learn_cutoffs=self.filters == "learnt",
            members=1 if job.pretrained is None else MEMBERS,
            # The default shares are of the default bundle's corpora.
            shares=chosen.shares if set(chosen.corpora) == corpora else (),
            background=any((job.data / "clips" / "meetings").glob("trn*.flac")),
        )
        if job.quick:
            settings = dataclasses.replace(settings, background=False, variants=(), **QUICK_SETTINGS)
        data = AcousticData(
            (*fold.train, *fold.auxiliary), fold.validation, job.labels, job.classes, fold.test, self._everyone(fold, job)
        )
        # What comes before the cutoffs are released is the same with learnt and with frozen filters.
        first = job.out.parent / "acoustic-first-phase"
        self._training = AcousticTraining(settings, data, job.data, job.out, job.cache, first)
        if job.pretrained is not None:
            self._training.start_from(job.pretrained, hearing_alone=True)
        outcomes = self._training.train()
        self.network = self._training.network
        best = outcomes.get("joint") or outcomes["frozen"]
        self._details = {
            "recipe": "utterances, as of the default bundle" if len(corpora) > 1 else "utterances, as for one corpus",
            "settings": asdict(settings),
            "auxiliary_classes": list(data.auxiliary),
            **_described(self.network, best, "chunks", "best_validation_log_probability"),
            "validation_log_probability": {name: round(outcome.best_score, 4) for name, outcome in outcomes.items()},
        }

    @staticmethod
    def _everyone(fold: Fold, job: Job) -> tuple[Clip, ...]:
        return job.everyone or (*fold.train, *fold.auxiliary, *fold.validation, *fold.test)

    def features(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """2048-D features, averaged over the windows of a clip, shape ``(clips, 2048)``."""
        if isinstance(self.network, WindowNetwork):
            return score_windows(self.network, self._audio_of(clips), clips)[1]
        return utterance_features(self.network, self._training.stores, clips)

    def _audio_of(self, clips: Sequence[Clip]) -> PeakedAudio:
        if all(clip in self._audio for clip in clips):
            return self._audio
        return PeakedAudio(clips, self._job.cache, self.network.shape)

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Shape ``(clips, classes)``: of summed softmax in the paper's protocol, else of averaged logits."""
        if isinstance(self.network, WindowNetwork):
            return score_windows(self.network, self._audio_of(clips), clips)[0]
        return np.log(softmax(self._training.scores(clips)))

    def details(self) -> dict[str, Any]:
        """Recipe, size, how the training went, cutoffs."""
        return dict(self._details)


@torch.no_grad()
def utterance_features(
    network: AcousticNetwork, stores: Mapping[str, Sequence[ClipStore]], clips: Sequence[Clip]
) -> NDArray[np.float32]:
    """Features of `clips` under the runtime's rule: the mean over their voiced windows; zeros where there is none.

    Parameters
    ----------
    stores
        Audio by corpus; the first of each is as recorded.
    """
    shape = network.shape
    filters = network.bands.filters()
    network.eval()
    place = {clip.path: (some[0], index) for some in stores.values() for index, clip in enumerate(some[0].clips)}
    features = np.zeros((len(clips), shape.feature), np.float32)
    for row, clip in enumerate(clips):
        store, index = place[clip.path]
        voice = store.probabilities_of(index)
        energies = torch.from_numpy(band_energies(store.audio_of(index), filters, shape))
        starts = torch.from_numpy(np.flatnonzero(voiced_windows(voice, shape.window_count(int(store.samples[index])), shape)))
        if len(starts):
            voiced = torch.from_numpy(voiced_frames(voice, len(energies), shape))
            frames = network.trunk(network.normaliser(energies[None], voiced[None])[0])
            features[row] = network.head.embed(network.windows(frames, starts[None])).mean(dim=0).numpy()
    return features


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """How the text network learns from a corpus that is small beside what the default bundle reads.

    Attributes
    ----------
    epochs, patience
        Of draws of as many texts as there are; epochs without a better validation after which training ends.
    balanced
        Whether classes are drawn equally; otherwise texts are, as in the paper.
    """

    batch: int = 64
    rate: float = 1e-3
    epochs: int = 30
    patience: int = 6
    balanced: bool = True


class TextTask:
    """Cross-entropy over texts for the loop."""

    unit = "texts"

    def __init__(
        self,
        network: TwoBranchTextNetwork,
        train: tuple[list[NDArray[np.int64]], NDArray[np.int64]],
        validation: tuple[list[NDArray[np.int64]], NDArray[np.int64]],
        recipe: TextRecipe,
        seed: int,
    ) -> None:
        self.module: nn.Module = network
        self.network, self.units = network, recipe.batch
        self._train, self._validation, self._recipe, self._seed = train, validation, recipe, seed
        labels = train[1]
        self._chances = np.ones(len(labels)) if not recipe.balanced else 1 / np.bincount(labels)[labels]
        self._chances = self._chances / self._chances.sum()

    def optimizer(self) -> list[torch.optim.Optimizer]:
        """Adam; one for the word vectors that touches the batch's words only."""
        vectors = self.network.embedding.weight
        dense = [parameter for parameter in self.network.parameters() if parameter is not vectors]
        rate = self._recipe.rate
        return [torch.optim.Adam(dense, rate), torch.optim.SparseAdam([{"params": [vectors], "clip": False}], rate)]

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Tokens, lengths and labels."""
        texts, labels = self._train
        step = first_step
        while True:
            rows = step_generator(self._seed, step).choice(len(texts), self._recipe.batch, p=self._chances)
            yield (*padded([texts[row] for row in rows]), torch.from_numpy(labels[rows]))
            step += 1

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy."""
        tokens, lengths, labels = batch
        _, logits = module(tokens, lengths.cpu())
        return functional.cross_entropy(logits, labels), {"right": (logits.argmax(dim=1) == labels).float().mean()}

    def validate(self, module: nn.Module) -> float:
        """UA on the validation texts."""
        assert isinstance(module, TwoBranchTextNetwork)
        texts, labels = self._validation
        return unweighted_accuracy(labels, _read(module, texts)[0].argmax(axis=1))


@torch.no_grad()
def _read(
    network: TwoBranchTextNetwork, texts: Sequence[NDArray[np.int64]], batch: int = 128
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Log-probabilities and 4800-D features of `texts`."""
    network.eval()
    device = next(network.parameters()).device
    scores, features = [], []
    for first in range(0, len(texts), batch):
        tokens, lengths = padded(texts[first : first + batch])
        feature, logits = network(tokens.to(device), lengths)
        scores.append(logits.double().log_softmax(dim=1).cpu().numpy())
        features.append(feature.cpu().numpy())
    return np.concatenate(scores), np.concatenate(features)


class TextSystem:
    """Two branches with cross-attention, on the clips' transcripts.

    Words that stand in one training text only are unknown ones, so that the network learns what an unknown word is.

    Parameters
    ----------
    word_vectors
        File of word vectors to start from, such as ``glove.6B.300d.txt``; without one they are learnt from the fold alone.
    """

    name = "text"
    audio = False
    text = True

    def __init__(self, word_vectors: Path | None = None) -> None:
        self._word_vectors = word_vectors
        self._details: dict[str, Any] = {}

    def fit(self, fold: Fold, job: Job) -> None:
        """Train, or go on from what lies in ``job.out``."""
        counts = Counter(token for clip in fold.train for token in set(tokenize(clip.text)))
        words = sorted(word for word, count in counts.items() if count > 1 and word not in (PADDING, UNKNOWN))
        self._vocabulary = Vocabulary([PADDING, UNKNOWN, *words])
        recipe = TextRecipe(balanced=job.protocol != "paper")
        if job.quick:
            recipe = dataclasses.replace(recipe, batch=8)
        torch.manual_seed(job.seed)
        self.network = TwoBranchTextNetwork(TextShape(len(self._vocabulary), len(job.classes)))
        if self._word_vectors is not None:
            with torch.no_grad():
                for number, vector in read_word_vectors(self._word_vectors, self._vocabulary).items():
                    self.network.embedding.weight[number] = torch.from_numpy(vector)
        task = TextTask(
            self.network,
            (self._numbers(fold.train), job.labels_of(fold.train)),
            (self._numbers(fold.validation), job.labels_of(fold.validation)),
            recipe,
            job.seed,
        )
        epoch = max(1, round(len(fold.train) / recipe.batch))
        steps = QUICK_STEPS if job.quick else recipe.epochs * epoch
        loop = LoopSettings(steps, min(epoch, steps), recipe.patience, clip=5.0, seed=job.seed)
        config = {**clips_key(fold, job), "recipe": asdict(recipe), "words": len(self._vocabulary)}
        config["word vectors"] = "" if self._word_vectors is None else self._word_vectors.name
        outcome = fit(task, loop, job.out, label="text", config=config)
        self._details = {
            "recipe": asdict(recipe),
            "vocabulary": len(self._vocabulary),
            **_described(self.network, outcome, "texts"),
        }

    def _numbers(self, clips: Sequence[Clip]) -> list[NDArray[np.int64]]:
        unknown = np.array([1], np.int64)
        texts = [self._vocabulary.numbers(tokenize(clip.text)[-MAX_TOKENS:]) for clip in clips]
        return [text if len(text) else unknown for text in texts]

    def scores(self, clips: Sequence[Clip]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Log-probabilities ``(clips, classes)`` and features ``(clips, 4800)``."""
        return _read(self.network, self._numbers(clips))

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Shape ``(clips, classes)``."""
        return self.scores(clips)[0]

    def details(self) -> dict[str, Any]:
        """Recipe, size, how the training went."""
        return dict(self._details)


@dataclass(frozen=True, slots=True)
class FusionRecipe:
    """How a fusion learns from the features of a fold; the paper's batch and learning rate.

    Attributes
    ----------
    epochs, patience
        As of :class:`TextRecipe`.
    """

    batch: int = 64
    rate: float = 1e-3
    epochs: int = 40
    patience: int = 8


class FusionTask:
    """Cross-entropy over pairs of features that belong together, for the loop."""

    unit = "pairs"

    def __init__(
        self,
        network: Fusion,
        train: tuple[Tensor, Tensor, NDArray[np.int64]],
        validation: tuple[Tensor, Tensor, NDArray[np.int64]],
        recipe: FusionRecipe,
        seed: int,
    ) -> None:
        self.module: nn.Module = network
        self.units = recipe.batch
        self._train, self._validation, self._recipe, self._seed = train, validation, recipe, seed

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.module.parameters(), self._recipe.rate)

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Acoustic features, text features, labels."""
        acoustic, text, labels = self._train
        step = first_step
        while True:
            rows = torch.from_numpy(step_generator(self._seed, step).integers(len(labels), size=self._recipe.batch))
            yield acoustic[rows], text[rows], torch.from_numpy(labels)[rows]
            step += 1

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy."""
        assert isinstance(module, Fusion)
        acoustic, text, labels = batch
        logits = module.logits(acoustic, text)
        return functional.cross_entropy(logits, labels), {"right": (logits.argmax(dim=1) == labels).float().mean()}

    def validate(self, module: nn.Module) -> float:
        """UA on the validation pairs."""
        assert isinstance(module, Fusion)
        acoustic, text, labels = self._validation
        return unweighted_accuracy(labels, _fused(module, acoustic, text).argmax(axis=1))


@torch.no_grad()
def _fused(network: Fusion, acoustic: Tensor, text: Tensor) -> NDArray[np.float64]:
    network.eval()
    device = next(network.parameters()).device
    return network.logits(acoustic.to(device), text.to(device)).double().log_softmax(dim=1).cpu().numpy()


def scaled_fusion(name: FusionName, classes: int, acoustic: Tensor, text: Tensor) -> Fusion:
    """A new network that divides both features by the size that they have in the training clips."""
    return fusion_of(name, classes, *(root_mean_square(part.numpy()) for part in (acoustic, text)))


class FusionSystem:
    """One of the paper's fusions on top of the fold's acoustic and text network.

    The three fusions of a fold share these networks: they lie beside the fusion's own folder, in ``acoustic`` and ``text``.

    Parameters
    ----------
    fusion
        Which of the three.
    word_vectors
        As of :class:`TextSystem`.
    """

    audio = True
    text = True

    def __init__(self, fusion: FusionName = "F-III", word_vectors: Path | None = None) -> None:
        self.name: str = fusion
        self._word_vectors = word_vectors
        self._fusion: FusionName = fusion
        self._details: dict[str, Any] = {}

    def fit(self, fold: Fold, job: Job) -> None:
        """Train both networks and then the fusion, or go on from what lies in and beside ``job.out``."""
        self._hearing, self._reading = AcousticSystem(), TextSystem(self._word_vectors)
        self._hearing.fit(fold, dataclasses.replace(job, out=job.out.parent / "acoustic"))
        self._reading.fit(fold, dataclasses.replace(job, out=job.out.parent / "text"))
        self._heard = self._hear((*fold.train, *fold.validation, *fold.test), job.out.parent / "acoustic" / "features.npz")
        train, validation = ((*self._features(part), job.labels_of(part)) for part in (fold.train, fold.validation))
        recipe = FusionRecipe()
        torch.manual_seed(job.seed)
        self.network = scaled_fusion(self._fusion, len(job.classes), *train[:2])
        epoch = max(1, round(len(fold.train) / recipe.batch))
        steps = QUICK_STEPS if job.quick else recipe.epochs * epoch
        loop = LoopSettings(steps, min(epoch, steps), recipe.patience, clip=5.0, seed=job.seed)
        config = {**clips_key(fold, job), "fusion": self._fusion, "recipe": asdict(recipe), "scale": "root mean square"}
        outcome = fit(
            FusionTask(self.network, train, validation, recipe, job.seed), loop, job.out, label="fusion", config=config
        )
        self._details = {"recipe": asdict(recipe), **_described(self.network, outcome, "pairs")}

    def _hear(self, clips: Sequence[Clip], store: Path) -> dict[str, NDArray[np.float32]]:
        """Acoustic features of all clips of the fold by path: minutes of work that the three fusions share through `store`."""
        weights = hashlib.sha256(self._hearing.network.head.classifier.weight.detach().cpu().numpy().tobytes()).hexdigest()
        paths = [clip.path for clip in clips]
        if store.is_file():
            with np.load(store) as stored:
                if str(stored["weights"]) == weights and stored["paths"].tolist() == paths:
                    return dict(zip(paths, stored["features"], strict=True))
        features = self._hearing.features(clips)

        def save(part: Path) -> None:
            with part.open("wb") as file:
                np.savez(file, weights=np.array(weights), paths=np.array(paths), features=features)

        write_atomically(store, save)
        return dict(zip(paths, features, strict=True))

    def _features(self, clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
        if all(clip.path in self._heard for clip in clips):
            heard = np.stack([self._heard[clip.path] for clip in clips])
        else:
            heard = self._hearing.features(clips)
        return torch.from_numpy(heard), torch.from_numpy(self._reading.scores(clips)[1])

    def log_probabilities(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Shape ``(clips, classes)``."""
        return _fused(self.network, *self._features(clips))

    def details(self) -> dict[str, Any]:
        """Recipe, size, how the training went."""
        return dict(self._details)
