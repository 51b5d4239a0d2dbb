"""``python -m training acoustic``: train the acoustic network, evaluate it on speakers it never heard, export it.

Two phases. First the filters stay where they are and the network learns from cached band energies, which takes minutes on a
CPU. Then the cutoffs are released, with a learning rate of their own, and everything is trained from the waveform. The loss is
the cross-entropy of single windows plus that of the mean feature of an utterance's windows, which is what is used afterwards.

Training clips whose label is none of the task's classes are not thrown away: every other label of a corpus is a class of its
own while the network learns, and is cut off afterwards.

:class:`AcousticTraining` takes any clips, classes and division; the command uses the default bundle's. Running it again
continues where it stopped. The state that validates best (cross-entropy, mean over the corpora) is exported; test speakers are
looked at once, at the end.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.bundle.filter_files import CutoffHistory
from realtime_ser.errors import ConfigError
from training.acoustic_data import Augmentation, AugmentationSettings, Batch, CropSampler, Pool
from training.acoustic_evaluation import score_clips
from training.acoustic_network import SAMPLE_RATE, AcousticNetwork, AcousticShape, BandMeanState
from training.corpora import FOUR_CLASSES, Clip, data_directory, load_clips
from training.features import ClipStore, band_energies, cached_bands, open_store, read_audio, save_array, voiced_frames
from training.loop import LoopSettings, Outcome, fit, keep_config, step_generator
from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION, Split, check_disjoint, split_by_speaker, telling_sentences

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "BUNDLE_SETTINGS",
    "AcousticData",
    "AcousticSettings",
    "AcousticTask",
    "AcousticTraining",
    "add_arguments",
    "bundle_data",
    "cutoff_movement",
    "run",
    "with_auxiliary",
]

CLIP_NORM = 5.0
SECOND_PHASE = ("joint_steps", "joint_batch", "joint_crop_frames", "joint_rate", "cutoff_rate", "learn_cutoffs")
"""Settings that the first phase does not know."""
VALIDATION_CLIPS = 200
MEMBER_SEED = 1_000
"""Distance between the seeds of the members."""
OWN_STATE = ("head.classifier.", "normaliser.")
"""What a network keeps for itself that takes over only what another has learnt to hear."""


@dataclass(frozen=True)
class AcousticSettings:
    """Everything that decides the outcome of a training; saved beside the weights.

    Attributes
    ----------
    shape
        Sizes of the network; its number of classes follows from the data.
    augmentation
        What is done to crops.
    shares
        Training corpora and how often each is drawn; without any, all corpora of the training clips equally often.
    variants
        Degraded copies (:mod:`training.degrade`) from which crops are drawn, too; ``opus`` counts for corpora that were stored
        without loss.
    originals
        How many times as often as from one kind of copies crops are drawn from a corpus as it was recorded.
    background
        Whether real background sound is mixed in; it must then be in the data folder.
    frozen_steps, joint_steps
        Length of the two phases in batches; a phase of 0 is left out.
    members
        How many times the first phase is run from one start, over other batches; the mean of their weights goes on (Wortsman
        et al., ICML 2022). Only what starts from another training has a start near enough to all of them.
    learn_cutoffs
        False keeps the filters frozen in the second phase, too: what is the same else says what learning them is worth.
    batch, joint_batch, windows
        Crops of a batch in either phase; windows drawn of each.
    crop_frames, joint_crop_frames
        Lengths of crops in either phase, in frames of 10 ms; one is drawn for each batch.
    rate, joint_rate, cutoff_rate
        Learning rates (AdamW, "plateau"): of the network in either phase, of the cutoffs in widths of their filters.
    decay
        Weight decay of the network.
    smoothing
        Label smoothing.
    window_share
        Weight of the loss of single windows; that of the mean feature is 1.
    main_share
        How often one of the task's classes is drawn where there are auxiliary ones.
    main_weight
        Weight of the cross-entropy among the task's classes alone, beside the one among all, where there are auxiliary ones.
    average
        Decay of the running average of the weights, which is what is evaluated and exported.
    validate_every
        In batches; at least six times a phase.
    patience
        Validations without a better one after which a phase ends; 0: never.
    """

    shape: AcousticShape = field(default_factory=AcousticShape)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    shares: tuple[tuple[str, float], ...] = ()
    variants: tuple[str, ...] = ()
    originals: int = 1
    background: bool = True
    frozen_steps: int = 1_200
    joint_steps: int = 80
    members: int = 1
    learn_cutoffs: bool = True
    batch: int = 32
    joint_batch: int = 24
    windows: int = 8
    crop_frames: tuple[int, ...] = (160,)
    joint_crop_frames: tuple[int, ...] = (100,)
    rate: float = 4e-4
    joint_rate: float = 5e-5
    cutoff_rate: float = 4e-3
    decay: float = 0.05
    smoothing: float = 0.05
    window_share: float = 0.5
    main_share: float = 0.7
    main_weight: float = 2.0
    average: float = 0.995
    validate_every: int = 300
    patience: int = 0
    seed: int = 1

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the training corpora, where the shares say them."""
        return tuple(name for name, _ in self.shares)


BUNDLE_SETTINGS = AcousticSettings(
    # A short prior: the channel of a corpus that was never met is gone after half a second of voice.
    shape=AcousticShape(prior_frames=40),
    shares=(("RAVDESS", 0.4), ("nEMO", 0.2), ("EMODB", 0.2), ("ASED", 0.2)),
    variants=("rooms",),
    originals=4,
    augmentation=AugmentationSettings(
        speed=(0.93, 1.08), warp=(0.92, 1.08), channel=0.3, gain_db=(-20.0, 10.0), noise_share=0.15, mask_share=0.2
    ),
    # After 3000 the UA of validation speakers still rose, and was as good as bundle 2.0's after 8000.
    frozen_steps=8_000,
    joint_steps=150,
)
"""The default bundle's: four corpora, and what rooms, microphones and codecs do to a voice."""


@dataclass(frozen=True)
class AcousticData:
    """What is learnt from, and what for.

    Attributes
    ----------
    train
        Training clips; those without a class of the task teach the auxiliary class of their corpus's own label.
    validation
        Clips by which the best state is chosen.
    labels
        Class number of the clips that have a class of the task, by :attr:`Clip.path`.
    classes
        Names of the task's classes.
    test
        Clips that will be scored afterwards.
    everyone
        Clips whose audio is stored together with that of the others, which must be the same for all divisions of a corpus lest
        everything is decoded for each of them. They are not learnt from.
    apart
        First class and end of every corpus's own classes, by its name, where a clip is compared with the classes of its corpus
        alone. Without, all corpora share all classes.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    labels: Mapping[str, int]
    classes: tuple[str, ...] = FOUR_CLASSES
    test: tuple[Clip, ...] = ()
    everyone: tuple[Clip, ...] = ()
    apart: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """Labels of training clips that are no class of the task, in alphabetical order."""
        others = {clip.emotion for clip in self.train if clip.path not in self.labels}
        return tuple(sorted(others - {"", *self.classes}))

    def training_labels(self) -> dict[str, int]:
        """Class numbers of all training clips that have one, the auxiliary classes counted on from the task's."""
        numbers = {name: len(self.classes) + number for number, name in enumerate(self.auxiliary)}
        labels = {clip.path: self.labels.get(clip.path, numbers.get(clip.emotion, -1)) for clip in self.train}
        return {path: label for path, label in labels.items() if label >= 0}


def with_auxiliary(data: AcousticData, everyone: Sequence[Clip]) -> AcousticData:
    """`data` with those of the clips `everyone` that have no class of the task but may be learnt from all the same.

    These are clips of corpora and speakers that train, and of no speaker or session that validates or tests (under a protocol
    in which speakers do both, none).
    """
    held_out = (*data.validation, *data.test)
    speakers = {clip.speaker for clip in data.train} - {clip.speaker for clip in held_out}
    sessions = {clip.session for clip in held_out} - {""}
    known = {clip.path for clip in (*data.train, *held_out)}
    more = [
        clip
        for clip in everyone
        if clip.path not in known
        and clip.path not in data.labels
        and clip.speaker in speakers
        and clip.session not in sessions
        and clip.emotion not in ("", *data.classes)
    ]
    corpora = {clip.corpus for clip in (*data.train, *held_out)}
    stored = tuple(clip for clip in everyone if clip.corpus in corpora)
    return replace(data, train=(*data.train, *more), everyone=stored)


class AcousticTask:
    """One phase for the loop.

    Parameters
    ----------
    frozen
        Whether the filters stay as they are, so that crops are cached energies.
    second
        Whether this is the second phase.
    member
        Which of several runs of the phase this is.
    """

    unit = "chunks"

    def __init__(
        self, training: AcousticTraining, settings: AcousticSettings, frozen: bool, second: bool, member: int = 0
    ) -> None:
        self.training, self.settings, self.frozen = training, settings, frozen
        self.module: AcousticNetwork = training.network
        self._rate = settings.joint_rate if second else settings.rate
        self._batch = settings.joint_batch if second else settings.batch
        self._crop_frames = settings.joint_crop_frames if second else settings.crop_frames
        self._seed = settings.seed * 2 + second + MEMBER_SEED * member
        self.units = self._batch * settings.windows
        self._main = len(training.data.classes)
        self._groups = sorted(training.data.apart.values()) or [(0, settings.shape.classes)]
        for parameter in self.module.bands.parameters():
            parameter.requires_grad_(not frozen)
        # From the waveform, every second of warm-up costs as much as one of the crop.
        warm_clips, warm_frames = (3, 50) if frozen else (1, 80)
        # Samples cannot be played faster without another pitch. In the second phase, then, no crop is: trainings with learnt
        # and with frozen filters differ in the filters alone.
        augmentation = replace(settings.augmentation, speed=(1.0, 1.0)) if second else settings.augmentation
        self._sampler = CropSampler(
            training.pools,
            training.shares,
            settings.shape,
            windows=settings.windows,
            warm_clips=warm_clips,
            warm_frames=warm_frames,
            waveform=not frozen,
            augmentation=augmentation,
            main_classes=self._main,
            main_share=settings.main_share,
        )
        bands = self.module.bands
        centre = ((bands.initial_low_hz + bands.initial_high_hz) / 2).cpu().numpy()
        self._augment = Augmentation(settings.shape, training.noise(), 0, settings.augmentation, centre)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW; the cutoffs, in widths, have a rate of their own and gradients too large to be clipped with the others."""
        cutoffs = list(self.module.bands.parameters())
        rest = [parameter for name, parameter in self.module.named_parameters() if not name.startswith("bands.")]
        groups: list[dict[str, Any]] = [{"params": rest, "lr": self._rate, "weight_decay": self.settings.decay}]
        if not self.frozen:
            groups.append({"params": cutoffs, "lr": self.settings.cutoff_rate, "weight_decay": 0.0, "clip": False})
        return torch.optim.AdamW(groups)

    def batches(self, first_step: int) -> Iterator[Batch]:
        """Crops of energies or samples."""
        step = first_step
        while True:
            random = step_generator(self._seed, step)
            yield self._sampler.draw(self._batch, int(random.choice(self._crop_frames)), random)
            step += 1

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of windows and utterances, and the share of utterances that are right."""
        network: AcousticNetwork = module  # type: ignore[assignment]
        count = len(batch.labels)
        crops, warm = batch.crops, batch.warm
        if not self.frozen:
            with torch.no_grad():
                warm = network.bands(warm)
            crops = network.bands(crops)
        self._augment.reseed(batch.seed, crops.device)
        crops, warm = self._augment(crops, batch.voiced, warm.reshape(count, -1, network.shape.bands))
        heard = batch.warm_voiced.to(warm.dtype)[:, :, None]
        mean = (warm * heard).sum(dim=1) / heard.sum(dim=1).clamp(min=1)
        # The pretended past: as if so many voiced frames with the warm-up's mean had been heard before.
        past = batch.warm_count * (heard.sum(dim=(1, 2)) > 0)
        level = mean.mean(dim=1)
        prior, weight = network.normaliser.prior_shape, network.normaliser.prior_frames
        shape = (prior * weight + past[:, None] * (mean - level[:, None])) / (weight + past).clamp(min=1)[:, None]
        state = BandMeanState(level.detach(), shape.detach(), past)
        bands = self._augment.mask(network.normaliser(crops, batch.voiced, state)[0])
        feature = network.head.embed(network.windows(network.trunk(bands), batch.starts))
        windows = network.head.classify(feature)
        whole = network.head.classify(feature.reshape(count, -1, feature.shape[1]).mean(dim=1))
        labels = batch.labels
        loss = self._entropy(whole, windows, labels)
        main = labels < self._main
        if whole.shape[1] > self._main and main.any():
            rows = main.repeat_interleave(batch.starts.shape[1])
            among = self._entropy(whole[main][:, : self._main], windows[rows][:, : self._main], labels[main])
            loss = loss + self.settings.main_weight * among
        return loss, {"right": (whole.argmax(dim=1) == labels).float().mean()}

    def _entropy(self, whole: Tensor, windows: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of the utterances, and of their windows by its weight, each among the classes of its group."""
        smoothing = self.settings.smoothing
        single = labels.repeat_interleave(len(windows) // len(labels))
        total = whole.new_zeros(())
        for logits, targets, weight in ((whole, labels, 1.0), (windows, single, self.settings.window_share)):
            for first, end in self._groups:
                rows = (targets >= first) & (targets < end)
                among, wanted = logits[rows, first:end], targets[rows] - first
                entropy = functional.cross_entropy(among, wanted, label_smoothing=smoothing, reduction="sum")
                total = total + weight / len(targets) * entropy
        return total

    def record(self, module: nn.Module) -> dict[str, list[float]]:
        """Where the cutoffs stand, while they are learnt."""
        return {} if self.frozen else _cutoffs_of(module)  # type: ignore[arg-type]

    def validate(self, module: nn.Module) -> float:
        """What :meth:`AcousticTraining.validate` says."""
        return self.training.validate(module, self.frozen)  # type: ignore[arg-type]


class AcousticTraining:
    """One training run in a folder of its own.

    `history` says how the cutoffs moved, once the phase in which they are learnt is over; ``None`` before, where they are not
    learnt, and where a part of that phase was trained before this was recorded.

    Parameters
    ----------
    root
        Data folder: background sound, and clips that do not say where their file is.
    out
        Where settings, checkpoints and the log go.
    cache
        Where decoded audio and energies are kept between runs and shared by them.
    first
        Folder of the first phase, where trainings that differ in the second one share it; `out` by default.

    Raises
    ------
    ConfigError
        Where `out` holds another training, or the training clips are of other corpora than the shares say.
    """

    def __init__(
        self, settings: AcousticSettings, data: AcousticData, root: Path, out: Path, cache: Path, first: Path | None = None
    ) -> None:
        shape = replace(settings.shape, classes=len(data.classes) + len(data.auxiliary))
        self.settings = settings = replace(settings, shape=shape)
        self.data, self.root, self.out, self.cache = data, root, out, cache
        self.history: CutoffHistory | None = None
        self._started = False
        found = sorted({clip.corpus for clip in data.train})
        self.shares = dict(settings.shares) or dict.fromkeys(found, 1.0)
        if sorted(self.shares) != found:
            wanted = ", ".join(sorted(self.shares))
            raise ConfigError(
                f"The training clips are of {', '.join(found)}, the shares say {wanted}.", "Name the same corpora."
            )
        keep_config(out / "settings.json", {**asdict(settings), "data": _digest(data)})
        self.first = out if first is None else first
        if first is not None:
            common = {name: value for name, value in asdict(settings).items() if name not in SECOND_PHASE}
            keep_config(first / "settings.json", {**common, "data": _digest(data)})
        torch.manual_seed(settings.seed)
        self.network = AcousticNetwork(shape)
        self.split = Split(data.train, data.validation, data.test)
        clips = sorted({*data.train, *data.validation, *data.test, *data.everyone}, key=lambda clip: clip.path)
        self.stores: dict[str, list[ClipStore]] = {}
        for name in sorted({clip.corpus for clip in clips}):
            own = [clip for clip in clips if clip.corpus == name]
            self.stores[name] = [open_store(root, own, cache, name)]
            if name in self.shares:
                # Every second clip: that is enough to learn from, and rooms take their time.
                heard = {clip.path for clip in (*data.train, *data.validation)}
                copied = [clip for clip in own if clip.path in heard][::2]
                # The codec is there so that the one of other corpora does not mark a lossless one.
                lossless = all(clip.lossless for clip in own)
                variants = [one for one in settings.variants if lossless or one != "opus"]
                self.stores[name] += [open_store(root, copied, cache, f"{name}-{one}", variant=one) for one in variants]
        self.bands = {store.key: self._cached(store) for stores in self.stores.values() for store in stores}
        labels = data.training_labels()
        self.pools = {}
        for name in self.shares:
            original, *copies = (self._pool(store, labels) for store in self.stores[name])
            self.pools[name] = [original] * settings.originals + copies
        self.network.normaliser.prior_shape.copy_(torch.from_numpy(self._prior_shape()))

    def start_from(self, checkpoint: Path, hearing_alone: bool = False) -> None:
        """Take over the best state of another training of a network of this shape, if this one has not begun.

        Parameters
        ----------
        hearing_alone
            Whether the classifier and the prior of the running mean stay what they are here, since the other training had other
            classes and other corpora.

        Raises
        ------
        ConfigError
            The file cannot be read or holds another network.
        """
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=False)["best"]
            if hearing_alone:
                own = self.network.state_dict()
                state = {name: own[name] if name.startswith(OWN_STATE) else value for name, value in state.items()}
            self.network.load_state_dict(state)
            self._started = True
        except (OSError, KeyError, RuntimeError) as error:
            raise ConfigError(f"{checkpoint} is no state of this network: {error}") from error

    def _cached(self, store: ClipStore) -> list[NDArray[np.float16]]:
        return cached_bands(store, self.network.bands.filters().detach(), self.settings.shape, self.cache)

    def _pool(self, store: ClipStore, labels: Mapping[str, int]) -> Pool:
        training = {clip.path for clip in self.data.train}
        held_out = {clip.path for clip in (*self.data.validation, *self.data.test)}
        if training & held_out:
            raise ValueError(f"clips that train and are held out: {', '.join(sorted(training & held_out)[:3])} …")
        members = [index for index, clip in enumerate(store.clips) if clip.path in training and clip.path in labels]
        numbers = [labels[store.clips[index].path] for index in members]
        return Pool(store, np.array(members, np.int64), np.array(numbers, np.int64), self.bands[store.key])

    def _prior_shape(self) -> NDArray[np.float32]:
        """Mean spectral shape of voiced frames of the training speakers, every corpus counting the same."""
        shape = self.settings.shape
        means = []
        for pools in self.pools.values():
            total, count = np.zeros(shape.bands), 0
            for index in pools[0].members:
                bands = np.asarray(pools[0].bands[index])
                voiced = bands[voiced_frames(pools[0].store.probabilities_of(int(index)), len(bands), shape)]
                total += voiced.sum(axis=0, dtype=np.float64)
                count += len(voiced)
            mean = total / max(count, 1)
            means.append(mean - mean.mean())
        return np.mean(means, axis=0).astype(np.float32)

    def noise(self) -> NDArray[np.float32] | None:
        """Energies of the background of the meetings' training recordings: rooms, and other people talking."""
        if not self.settings.background:
            return None
        files = sorted((self.root / "clips" / "meetings").glob("trn*.flac"))
        if not files:
            remedy = "They serve as background sound in training; AcousticSettings(background=False) does without."
            raise ConfigError(f"No meeting recordings under {self.root}.", remedy)
        shape = self.settings.shape
        initial = AcousticNetwork(shape).bands.filters().detach()
        key = initial.numpy().tobytes() + repr([shape, [str(file) for file in files]]).encode()
        path = self.cache / f"background-{hashlib.sha256(key).hexdigest()[:16]}.npy"
        if not path.is_file():
            energies = np.concatenate([band_energies(read_audio(file), initial, shape) for file in files])
            save_array(path, energies)
        return np.load(path)

    def validate(self, network: AcousticNetwork, frozen: bool, every: int = 3) -> float:
        """Minus the cross-entropy of at most 200 validation clips of each corpus, mean over its classes and the corpora.

        UA jumps by more between two validations than the networks differ, where a few people validate: the state that it
        calls the best may be one that has hardly learnt.
        """
        paths = {clip.path for clip in self.data.validation}
        entropies = []
        for name, stores in self.stores.items():
            store = stores[0]
            members = [index for index, clip in enumerate(store.clips) if clip.path in paths and clip.path in self.data.labels]
            if not members:
                continue
            # Evenly through the corpus: enough to choose by, and the largest corpus does not take most of the time.
            members = members[:: math.ceil(len(members) / VALIDATION_CLIPS)]
            bands = self.bands[store.key] if frozen else None
            part = score_clips(network, store, members, bands, every, labels=self.data.labels)
            first, end = self.data.apart.get(name, (0, len(self.data.classes)))
            among, labels = torch.from_numpy(part.logits[:, first:end]), torch.from_numpy(part.labels - first)
            entropy = functional.cross_entropy(among, labels, reduction="none")
            # Every class counts the same, as in the UA, and as they are drawn in training.
            entropies.append(np.mean([float(entropy[labels == label].mean()) for label in labels.unique()]))
        return -float(np.mean(entropies))

    def phase(self, name: str, steps: int, frozen: bool, fabric: Fabric | None = None, member: int = 0) -> Outcome:
        """Train for `steps` batches, or the rest of them; the averaged state that validated best is then the network's."""
        settings = self.settings
        second = name == "joint"
        task = AcousticTask(self, settings, frozen, second, member)
        every = min(settings.validate_every, max(1, steps // 6))
        seed = settings.seed + MEMBER_SEED * member
        loop = LoopSettings(steps, every, settings.patience, "plateau", CLIP_NORM, settings.average, seed)
        label = f"{name}-{member + 1}" if member else name
        start = _cutoffs_of(self.network)
        outcome = fit(task, loop, self.out if second else self.first, fabric, label)
        if not frozen:
            moved = float(cutoff_movement(self.network).abs().mean())
            print(f"{name}: the cutoffs moved by {moved:.1f} Hz on average", flush=True)
            self.history = _history(start, outcome)
        return outcome

    def _members(self, fabric: Fabric | None) -> Outcome:
        """The first phase several times from one start; the mean of the weights is then the network's."""
        if not self._started:
            raise ValueError("members need a start from another training: far apart, a mean of weights is no network")
        settings, start = self.settings, copy.deepcopy(self.network.state_dict())
        states, outcomes = [], []
        for member in range(settings.members):
            self.network.load_state_dict(start)
            outcomes.append(self.phase("frozen", settings.frozen_steps, True, fabric, member))
            states.append(copy.deepcopy(self.network.state_dict()))
        mean = {
            name: torch.stack([state[name] for state in states]).mean(dim=0) if value.is_floating_point() else value
            for name, value in states[0].items()
        }
        self.network.load_state_dict(mean)
        best = max(outcomes, key=lambda outcome: outcome.best_score)
        score = self.validate(self.network, frozen=True)
        print(f"mean of {len(states)} members: validation {score:.4f} (best of them {best.best_score:.4f})", flush=True)
        return replace(best, best_score=score)

    def train(self, fabric: Fabric | None = None) -> dict[str, Outcome]:
        """Both phases; then the network has the task's classes alone.

        Returns
        -------
        dict
            What the phases ``frozen`` and ``joint`` reached; those of no steps are missing.
        """
        settings = self.settings
        outcomes = {}
        if settings.frozen_steps and settings.members > 1:
            outcomes["frozen"] = self._members(fabric)
        elif settings.frozen_steps:
            outcomes["frozen"] = self.phase("frozen", settings.frozen_steps, True, fabric)
        if settings.joint_steps:
            outcomes["joint"] = self.phase("joint", settings.joint_steps, not settings.learn_cutoffs, fabric)
        self.network = restricted(self.network, len(self.data.classes)).eval()
        return outcomes

    def scores(self, clips: Sequence[Clip], peak: float | None = None) -> NDArray[np.float64]:
        """Mean logits of the windows of `clips` under the runtime's rule, shape ``(clips, classes)``; see :class:`Scored`.

        Parameters
        ----------
        peak
            Scale every clip to this peak first.
        """
        places = {
            clip.path: (stores[0], index) for stores in self.stores.values() for index, clip in enumerate(stores[0].clips)
        }
        strangers = [clip for clip in clips if clip.path not in places]
        for name in sorted({clip.corpus for clip in strangers}):
            store = open_store(self.root, [clip for clip in strangers if clip.corpus == name], self.cache, name)
            places |= {clip.path: (store, index) for index, clip in enumerate(store.clips)}
        result = np.zeros((len(clips), len(self.data.classes)))
        for store in {id(store): store for store, _ in (places[clip.path] for clip in clips)}.values():
            rows = [row for row, clip in enumerate(clips) if places[clip.path][0] is store]
            members = [places[clips[row].path][1] for row in rows]
            anything = {store.clips[index].path: 0 for index in members}
            scored = score_clips(self.network, store, members, peak=peak, labels=anything)
            result[rows] = scored.logits[:, : result.shape[1]]
        return result


def _digest(data: AcousticData) -> str:
    labels = data.training_labels()
    lines = [f"train {clip.path} {labels.get(clip.path)}" for clip in data.train]
    lines += [f"validation {clip.path} {data.labels.get(clip.path)}" for clip in data.validation]
    return hashlib.sha256("\n".join([*data.classes, *sorted(lines)]).encode()).hexdigest()[:16]


def _cutoffs_of(network: AcousticNetwork) -> dict[str, list[float]]:
    low, high = network.bands.cutoffs_hz()
    return {"low_hz": [round(hertz, 2) for hertz in low.tolist()], "high_hz": [round(hertz, 2) for hertz in high.tolist()]}


def _history(start: dict[str, list[float]], outcome: Outcome) -> CutoffHistory | None:
    """What a phase did to the cutoffs; ``None`` where a part of it was trained before this was recorded."""
    if len(outcome.records) != len(outcome.history):
        return None
    states = [start, *outcome.records]
    return CutoffHistory(
        steps=(0, *(int(row["step"]) for row in outcome.history)),
        scores=(None, *(round(row["score"], 4) for row in outcome.history)),
        low_hz=tuple(tuple(state["low_hz"]) for state in states),
        high_hz=tuple(tuple(state["high_hz"]) for state in states),
        kept_step=outcome.best_step,
    )


def restricted(network: AcousticNetwork, classes: int) -> AcousticNetwork:
    """`network` with the first `classes` of its classes only, whose logits stay what they are."""
    if classes == network.shape.classes:
        return network
    made = AcousticNetwork(replace(network.shape, classes=classes))
    state = copy.copy(network.state_dict())
    for name in ("head.classifier.weight", "head.classifier.bias"):
        state[name] = state[name][:classes]
    made.load_state_dict(state)
    return made


def cutoff_movement(network: AcousticNetwork) -> Tensor:
    """By how many Hz the cutoffs have moved, lower ones first, shape ``(2 * bands,)``."""
    low, high = network.bands.cutoffs()
    initial = torch.cat([network.bands.initial_low_hz, network.bands.initial_high_hz])
    return torch.cat([low, high]).detach() * SAMPLE_RATE - initial


def bundle_data(root: Path, corpora: Sequence[str]) -> AcousticData:
    """The default bundle's task: four classes, its own division of the speakers, all labels of training speakers.

    Nobody is validated or tested on a sentence that belongs to one class alone.
    """
    clips = load_clips(root, corpora)
    named = [clip for clip in clips if clip.emotion4]
    telling = telling_sentences(named)
    held_out = BUNDLE_VALIDATION | BUNDLE_TEST
    usable = [clip for clip in named if clip.speaker not in held_out or clip.sentence not in telling]
    split = split_by_speaker(usable, BUNDLE_VALIDATION, BUNDLE_TEST)
    labels = {clip.path: FOUR_CLASSES.index(clip.emotion4) for clip in usable}
    data = with_auxiliary(AcousticData(split.train, split.validation, labels, FOUR_CLASSES, split.test), clips)
    check_disjoint({"training": data.train, "validation": data.validation, "test": data.test})
    return data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    defaults = BUNDLE_SETTINGS
    parser.add_argument(
        "--out", type=Path, default=Path("runs/acoustic"), help="folder of this training (default: %(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/cache"), help="decoded audio and energies (default: %(default)s)"
    )
    parser.add_argument("--frozen-steps", type=int, default=defaults.frozen_steps, help="batches with frozen filters")
    parser.add_argument("--joint-steps", type=int, default=defaults.joint_steps, help="batches from the waveform")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, help="CPU threads (default: OMP_NUM_THREADS, or all cores)")
    parser.add_argument("--originals", type=int, default=defaults.originals, help="draws from recordings for one from a copy")
    parser.add_argument("--start", type=Path, help="frozen.pt of another training, whose best state to start from")
    parser.add_argument("--never-trained", nargs="*", default=["EMOVO"], help="corpora for the cross-corpus figures")
    parser.add_argument(
        "--left-out",
        type=Path,
        help="folder of crossval --protocol corpus --corpus …, whose scores of corpora that were left out calibrate the"
        " confidence, beside those of validation speakers, who make a network too sure of strangers",
    )
    parser.add_argument(
        "--risk", type=float, default=0.25, help="share of errors allowed when confident (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Train or continue, then export with figures."""
    from training.export_acoustic import export, read_left_out
    from training.loop import default_fabric, first_process_first

    if args.threads:
        torch.set_num_threads(args.threads)
    fabric = default_fabric()
    # Before hours are spent: a folder without results would be found out at the end only.
    strangers = read_left_out(args.left_out) if args.left_out else None
    settings = replace(
        BUNDLE_SETTINGS,
        frozen_steps=args.frozen_steps,
        joint_steps=args.joint_steps,
        originals=args.originals,
        seed=args.seed,
    )
    root = data_directory(args.data)
    with first_process_first():  # the others find decoded audio and energies in the cache
        training = AcousticTraining(settings, bundle_data(root, settings.corpora), root, args.out, args.cache)
    if args.start is not None:
        training.start_from(args.start)
    training.train(fabric)
    if fabric.is_global_zero:
        export(training, args.out / "export", args.never_trained, args.risk, strangers=strangers)
