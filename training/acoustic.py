"""``python -m training acoustic``: train the acoustic network, evaluate it on speakers it never heard, export it.

Two phases. First the filters stay mel-spaced and the network learns from cached band energies, which takes minutes on a CPU.
Then the cutoffs are released, with a learning rate of their own, and everything is trained from the waveform. The loss is the
cross-entropy of single windows plus that of the mean feature of an utterance's windows, which is what is used afterwards.

Running the command again continues where it stopped. The state that validates best (mean UA over the corpora) is exported;
test speakers are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from realtime_ser.errors import ConfigError
from training.acoustic_data import Augmentation, Batch, CropSampler, Pool, label_of
from training.acoustic_evaluation import Scored, merge, score_clips
from training.acoustic_network import AcousticNetwork, AcousticShape, BandMeanState
from training.corpora import Clip, data_directory, load_clips
from training.features import ClipStore, band_energies, cached_bands, open_store, read_audio, voiced_frames
from training.metrics import unweighted_accuracy
from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION, check_disjoint, split_by_speaker

__all__ = ["AcousticSettings", "AcousticTraining", "add_arguments", "run"]


@dataclass(frozen=True)
class AcousticSettings:
    """Everything that decides the outcome of a training; saved beside the weights.

    Attributes
    ----------
    shares
        Training corpora and how often each is drawn.
    frozen_steps, joint_steps
        Length of the two phases in batches.
    batch, joint_batch, windows
        Crops of a batch in either phase; windows drawn of each.
    crop_frames
        Lengths of crops in frames of 10 ms; one is drawn for each batch.
    rate, joint_rate, cutoff_rate
        Learning rates (AdamW, cosine): of the network in either phase, of the cutoffs in f/fs.
    smoothing
        Label smoothing.
    window_share
        Weight of the loss of single windows; that of the mean feature is 1.
    average
        Decay of the running average of the weights, which is what is evaluated and exported.
    validate_every
        In batches; at least six times a phase.
    """

    shape: AcousticShape = field(default_factory=AcousticShape)
    shares: tuple[tuple[str, float], ...] = (("RAVDESS", 0.45), ("nEMO", 0.3), ("EMODB", 0.25))
    frozen_steps: int = 2_000
    joint_steps: int = 300
    batch: int = 64
    joint_batch: int = 32
    windows: int = 8
    crop_frames: tuple[int, ...] = (80, 120, 160, 200)
    rate: float = 1e-3
    joint_rate: float = 2e-4
    cutoff_rate: float = 2e-4
    decay: float = 0.05
    smoothing: float = 0.05
    window_share: float = 0.5
    average: float = 0.995
    validate_every: int = 150
    seed: int = 1

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the training corpora."""
        return tuple(name for name, _ in self.shares)


def useful(clip: Clip) -> bool:
    """Whether a clip has one of the four classes, or is calm, which trains as neutral."""
    return label_of(clip.emotion4, clip.emotion, True) is not None


class AcousticTraining:
    """One training run in a folder of its own.

    Parameters
    ----------
    root
        Data folder.
    out
        Where settings, checkpoints and the log go.
    cache
        Where decoded audio and energies are kept between runs.
    """

    def __init__(self, settings: AcousticSettings, root: Path, out: Path, cache: Path) -> None:
        self.settings, self.root, self.out, self.cache = settings, root, out, cache
        out.mkdir(parents=True, exist_ok=True)
        config = out / "settings.json"
        text = json.dumps(asdict(settings), indent=1)
        if config.is_file() and config.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{out} holds a training with other settings.", "Give another folder with --out, or delete it.")
        config.write_text(text, encoding="utf-8")
        torch.manual_seed(settings.seed)
        self.network = AcousticNetwork(settings.shape)
        clips = [clip for clip in load_clips(root, settings.corpora) if useful(clip)]
        self.split = split_by_speaker(clips, BUNDLE_VALIDATION, BUNDLE_TEST)
        self.stores: dict[str, list[ClipStore]] = {}
        for name in settings.corpora:
            own = [clip for clip in clips if clip.corpus == name]
            self.stores[name] = [open_store(root, own, cache, name)]
            training = [clip for clip in own if clip in set(self.split.train)]
            if all(clip.lossless for clip in own):
                # So that the codec of the other corpora does not mark them.
                self.stores[name].append(open_store(root, training, cache, f"{name}-opus", variant="opus"))
        self.bands = {
            store.key: cached_bands(store, self.network.bands.filters().detach(), settings.shape, cache)
            for stores in self.stores.values()
            for store in stores
        }
        self.pools = {name: [self._pool(store) for store in stores] for name, stores in self.stores.items()}
        check_disjoint(
            {
                "drawn for training": [
                    pool.store.clips[i] for pools in self.pools.values() for pool in pools for i in pool.members
                ],
                "validation and test": [*self.split.validation, *self.split.test],
            }
        )
        self.network.normaliser.prior_shape.copy_(torch.from_numpy(self._prior_shape()))

    def _pool(self, store: ClipStore) -> Pool:
        training = set(self.split.train)
        members = [index for index, clip in enumerate(store.clips) if clip in training]
        labels = [label_of(store.clips[index].emotion4, store.clips[index].emotion, True) for index in members]
        return Pool(store, np.array(members, np.int64), np.array(labels, np.int64), self.bands[store.key])

    def _prior_shape(self) -> NDArray[np.float32]:
        """Mean spectral shape of voiced frames of the training speakers, every corpus counting the same."""
        shape = self.settings.shape
        means = []
        for pools in self.pools.values():
            voiced = []
            for index in pools[0].members:
                bands = np.asarray(pools[0].bands[index], np.float32)
                voiced.append(bands[voiced_frames(pools[0].store.probabilities_of(int(index)), len(bands), shape)])
            mean = np.concatenate(voiced).mean(axis=0, dtype=np.float64)
            means.append(mean - mean.mean())
        return np.mean(means, axis=0).astype(np.float32)

    def noise(self) -> NDArray[np.float32]:
        """Energies of the background of the meetings' training recordings: rooms, and other people talking."""
        files = sorted((self.root / "clips" / "meetings").glob("trn*.flac"))
        if not files:
            raise ConfigError(f"No meeting recordings under {self.root}.", "They serve as background sound in training.")
        filters = self.network.bands.filters().detach()
        return np.concatenate([band_energies(read_audio(path), filters, self.settings.shape) for path in files])

    def loss(self, network: AcousticNetwork, batch: Batch, augment: Augmentation) -> tuple[Tensor, Tensor]:
        """Loss and share of right utterances of a batch, whose crops and warm-up are energies by now."""
        count = len(batch.labels)
        warm = batch.warm.reshape(count, -1, network.shape.bands)
        crops, warm = augment(batch.crops, batch.voiced, warm)
        heard = batch.warm_voiced.to(warm.dtype)[:, :, None]
        mean = (warm * heard).sum(dim=1) / heard.sum(dim=1).clamp(min=1)
        # The pretended past: as if so many voiced frames with the warm-up's mean had been heard before.
        past = batch.warm_count * (heard.sum(dim=(1, 2)) > 0)
        level = mean.mean(dim=1)
        prior, weight = network.normaliser.prior_shape, network.normaliser.prior_frames
        shape = (prior * weight + past[:, None] * (mean - level[:, None])) / (weight + past)[:, None]
        state = BandMeanState(level.detach(), shape.detach(), past)
        bands = augment.mask(network.normaliser(crops, batch.voiced, state)[0])
        feature = network.head.embed(network.windows(network.trunk(bands), batch.starts))
        windows = network.head.classify(feature)
        whole = network.head.classify(feature.reshape(count, -1, feature.shape[1]).mean(dim=1))
        smoothing = self.settings.smoothing
        single = functional.cross_entropy(
            windows, batch.labels.repeat_interleave(batch.starts.shape[1]), label_smoothing=smoothing
        )
        pooled = functional.cross_entropy(whole, batch.labels, label_smoothing=smoothing)
        return pooled + self.settings.window_share * single, (whole.argmax(dim=1) == batch.labels).float().mean()

    def validate(self, network: AcousticNetwork, frozen: bool, every: int = 3) -> tuple[float, Scored]:
        """Mean UA over the corpora of at most 200 clips each of validation speakers, and their scores."""
        speakers = {clip.speaker for clip in self.split.validation}
        parts = []
        for stores in self.stores.values():
            store = stores[0]
            members = [index for index, clip in enumerate(store.clips) if clip.speaker in speakers and clip.emotion4]
            # Evenly through the corpus: enough to choose by, and the largest corpus does not take most of the time.
            members = members[:: math.ceil(len(members) / 200)]
            parts.append(score_clips(network, store, members, self.bands[store.key] if frozen else None, every))
        return float(np.mean([unweighted_accuracy(part.labels, part.logits.argmax(axis=1)) for part in parts])), merge(parts)

    def phase(self, name: str, steps: int, frozen: bool) -> AcousticNetwork:
        """Train for `steps` batches, or the rest of them; returns the averaged network that validated best."""
        settings = self.settings
        network = self.network
        cutoffs = [network.bands.low, network.bands.band]
        for parameter in cutoffs:
            parameter.requires_grad_(not frozen)
        rest = [parameter for key, parameter in network.named_parameters() if not key.startswith("bands.")]
        rate = settings.rate if frozen else settings.joint_rate
        groups: list[dict[str, Any]] = [{"params": rest, "lr": rate, "weight_decay": settings.decay}]
        if not frozen:
            groups.append({"params": cutoffs, "lr": settings.cutoff_rate, "weight_decay": 0.0})
        optimiser = torch.optim.AdamW([dict(group) for group in groups])
        average = copy.deepcopy(network)
        best, best_score, done = copy.deepcopy(network.state_dict()), -1.0, 0
        checkpoint = self.out / f"{name}.pt"
        if checkpoint.is_file():
            saved = torch.load(checkpoint, weights_only=False)
            network.load_state_dict(saved["network"])
            average.load_state_dict(saved["average"])
            best, best_score, done = saved["best"], saved["best_score"], saved["step"]
            if done < steps:
                optimiser.load_state_dict(saved["optimiser"])
        # The generators start anew after an interruption, from a seed that depends on the step.
        seed = settings.seed * 1_000_003 + done + (0 if frozen else 500_000)
        torch.manual_seed(seed)
        size = settings.batch if frozen else settings.joint_batch
        # From the waveform, every second of warm-up costs as much as one of the crop.
        warm_clips, warm_frames = (3, 50) if frozen else (1, 80)
        sampler = CropSampler(
            self.pools, dict(settings.shares), settings.shape, seed, settings.windows, warm_clips, warm_frames, not frozen
        )
        augment = Augmentation(settings.shape, self.noise(), seed)
        started, losses, rights = time.monotonic(), [], []
        for step in range(done + 1, steps + 1):
            network.train()
            for group, settled in zip(optimiser.param_groups, groups, strict=True):
                group["lr"] = settled["lr"] * rate_share((step - 0.5) / steps)
            batch = sampler.draw(size, int(sampler.random.choice(settings.crop_frames)))
            if not frozen:
                with torch.no_grad():
                    warm = network.bands(batch.warm)
                batch = Batch(network.bands(batch.crops), batch.voiced, warm, *(getattr(batch, key) for key in BATCH_REST))
            loss, right = self.loss(network, batch, augment)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(rest, 5.0)
            optimiser.step()
            decay = min(settings.average, step / (step + 10))
            with torch.no_grad():
                for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                    if kept.dtype.is_floating_point:
                        kept.lerp_(new, 1 - decay)
                    else:
                        kept.copy_(new)
            losses.append(loss.item())
            rights.append(right.item())
            if step % min(settings.validate_every, max(1, steps // 6)) == 0 or step == steps:
                score, _ = self.validate(average, frozen)
                if score > best_score:
                    best, best_score = copy.deepcopy(average.state_dict()), score
                speed = (step - done) * size * settings.windows / (time.monotonic() - started)
                moved = float(cutoff_movement(average).abs().mean())
                line = (
                    f"{name} {step}/{steps}: loss {np.mean(losses):.3f}, right {np.mean(rights):.3f}, validation UA {score:.4f}"
                    f" (best {best_score:.4f}), cutoffs moved {moved:.1f} Hz, {speed:.0f} chunks/s"
                )
                print(line, flush=True)
                losses.clear()
                rights.clear()
                state = {"network": network.state_dict(), "average": average.state_dict(), "best": best, "step": step}
                state |= {"best_score": best_score, "optimiser": optimiser.state_dict()}
                torch.save(state, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
        network.load_state_dict(best)
        return network


def rate_share(progress: float) -> float:
    """Share of the full learning rate at `progress` in [0, 1]: a short rise, a plateau to the middle, a cosine to zero."""
    if progress < 0.5:
        return min(1.0, progress / 0.1)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.5) / 0.5)


BATCH_REST = ("warm_voiced", "warm_count", "starts", "labels")


def cutoff_movement(network: AcousticNetwork) -> Tensor:
    """By how many Hz the cutoffs have moved, lower ones first, shape ``(2 * bands,)``."""
    low, high = network.bands.cutoffs()
    initial = torch.cat([network.bands.initial_low_hz, network.bands.initial_high_hz])
    return torch.cat([low, high]).detach() * 16_000 - initial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    defaults = AcousticSettings()
    parser.add_argument(
        "--out", type=Path, default=Path("runs/acoustic"), help="folder of this training (default: %(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/cache"), help="decoded audio and energies (default: %(default)s)"
    )
    parser.add_argument("--frozen-steps", type=int, default=defaults.frozen_steps, help="batches with frozen filters")
    parser.add_argument("--joint-steps", type=int, default=defaults.joint_steps, help="batches from the waveform")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--never-trained", nargs="*", default=["EMOVO"], help="corpora for the cross-corpus figures")
    parser.add_argument(
        "--risk", type=float, default=0.25, help="share of errors allowed when confident (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Train or continue, then export with figures."""
    from training.export_acoustic import export

    torch.set_num_threads(args.threads)
    settings = AcousticSettings(frozen_steps=args.frozen_steps, joint_steps=args.joint_steps, seed=args.seed)
    training = AcousticTraining(settings, data_directory(args.data), args.out, args.cache)
    if settings.frozen_steps:
        training.phase("frozen", settings.frozen_steps, frozen=True)
    if settings.joint_steps:
        training.phase("joint", settings.joint_steps, frozen=False)
    export(training, args.out / "export", args.never_trained, args.risk)
