"""``python -m training speed``: how fast the acoustic network is trained here, and where the time goes.

Made-up audio of realistic lengths is trained on through the ordinary loop, in both phases. Two parts are also timed in the form
that their equations have, so that one run says what the quicker form is worth; times of parts are of the processor, which other
programs disturb less than the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.acoustic import AcousticData, AcousticSettings, AcousticTask
from training.acoustic_data import Pool
from training.acoustic_network import SAMPLE_RATE, AcousticNetwork, BandMeanState, RunningBandMean, SincBands
from training.corpora import FOUR_CLASSES, Clip
from training.features import CHUNK, ClipStore
from training.loop import LoopSettings, default_fabric, fit

__all__ = ["add_arguments", "convolved", "frame_by_frame", "measure", "run"]

CLIPS, SECONDS = 24, 3.5


def convolved(layer: SincBands, samples: Tensor) -> Tensor:
    """The SincNet layer's log energies by plain convolution; see :meth:`SincBands.forward`."""
    shape = layer.shape
    steps = shape.hop // shape.stride
    filtered = functional.conv1d(samples[:, None], layer.filters()[:, None], stride=shape.stride)
    return torch.log(functional.avg_pool1d(filtered.square(), steps, steps) + 1e-10).transpose(1, 2)


def frame_by_frame(module: RunningBandMean, energies: Tensor, voiced: Tensor, state: BandMeanState) -> Tensor:
    """The running band mean as its definition says it; see :meth:`RunningBandMean.forward`."""
    level, shape, count = state
    out = []
    for energy, flags in zip(energies.unbind(1), voiced.unbind(1), strict=True):
        mean, heard = energy.mean(dim=1), flags.to(energy.dtype)
        count = count + heard
        level = level + heard * (mean - level) / count.clamp(1, module.memory_frames)
        weight = heard / (module.prior_frames + count).clamp(1, module.memory_frames)
        shape = shape + weight[:, None] * (energy - mean[:, None] - shape)
        out.append(energy - torch.where(count > 0, level, mean)[:, None] - shape)
    return torch.stack(out, dim=1)


def made_up(settings: AcousticSettings) -> Any:
    """What :class:`AcousticTask` asks of a training, on noise that counts as voiced nearly everywhere."""
    random = np.random.default_rng(0)
    shape = settings.shape
    samples = int(SECONDS * SAMPLE_RATE)
    clips = tuple(
        Clip(f"{n}.flac", "made-up", "en", f"speaker {n % 4}", FOUR_CLASSES[n % 4], FOUR_CLASSES[n % 4], SECONDS, "")
        for n in range(CLIPS)
    )
    voice = np.where(random.random(CLIPS * (samples // CHUNK)) < 0.8, 0.9, 0.1).astype(np.float32)
    audio = random.normal(0, 3_000, CLIPS * samples).astype(np.int16)
    store = ClipStore(clips, audio, np.full(CLIPS, samples), voice, "made-up")
    bands = list(random.normal(-8, 3, (CLIPS, shape.frame_count(samples), shape.bands)).astype(np.float16))
    pool = Pool(store, np.arange(CLIPS), np.arange(CLIPS) % len(FOUR_CLASSES), bands)
    noise = random.normal(-9, 1, (1_200, shape.bands)).astype(np.float32)
    return SimpleNamespace(
        network=AcousticNetwork(shape),
        data=AcousticData((), (), {}),
        pools={"made-up": [pool]},
        shares={"made-up": 1.0},
        noise=lambda: noise,
        validate=lambda network, frozen: 0.0,
    )


def _seconds(action: Callable[[], object], repeats: int) -> float:
    """Processor time of one call of `action`: the shortest of some."""
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times[1:])


def measure(settings: AcousticSettings, steps: int = 10, repeats: int = 3) -> dict[str, float]:
    """Chunks per second of both phases, shares of waiting for data, and seconds of processor time for parts of a batch."""
    results: dict[str, float] = {}
    fabric = default_fabric("cpu")
    for name, frozen in (("frozen filters", True), ("learnt filters", False)):
        training = made_up(settings)
        task = AcousticTask(training, settings, frozen, second=not frozen)
        with tempfile.TemporaryDirectory() as folder:
            loop = LoopSettings(steps, steps, clip=5.0, average=settings.average)
            began = time.process_time()
            outcome = fit(task, loop, Path(folder), fabric, name)
            used = time.process_time() - began
        results[f"{name}: chunks/s"] = outcome.units_per_second
        results[f"{name}: chunks in a second of processor time"] = steps * task.units / used
        results[f"{name}: share of waiting for data"] = outcome.data_share
        batches = task.batches(0)
        batch = next(batches)
        results[f"{name}: drawing a batch"] = _seconds(lambda batches=batches: next(batches), repeats)

        def learn(task: AcousticTask = task, batch: Any = batch) -> None:
            task.module.zero_grad()
            task.loss(task.module, batch)[0].backward()

        results[f"{name}: loss and gradient"] = _seconds(learn, repeats)
    network = made_up(settings).network
    samples = batch.crops

    def filtered(form: Callable[[Tensor], Tensor]) -> float:
        def learn() -> None:
            network.zero_grad()
            form(samples).sum().backward()

        return _seconds(learn, repeats)

    results["filters and their gradient"] = filtered(network.bands)
    results["filters and their gradient, by convolution"] = filtered(lambda wave: convolved(network.bands, wave))
    with torch.no_grad():
        energies = network.bands(samples)
    energies.requires_grad_()
    normaliser, state = network.normaliser, network.normaliser.initial_state(len(samples))
    forms: dict[str, Callable[[], Tensor]] = {
        "running mean and its gradient": lambda: normaliser(energies, batch.voiced, state)[0],
        "running mean and its gradient, frame by frame": lambda: frame_by_frame(normaliser, energies, batch.voiced, state),
    }
    for name, form in forms.items():
        results[name] = _seconds(lambda form=form: form().sum().backward(), repeats)
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="batches of either phase (default: %(default)s)")
    parser.add_argument("--kernel", type=int, help="length of the filters in samples, odd (default: the trainings')")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    torch.set_num_threads(args.threads)
    settings = AcousticSettings()
    if args.kernel:
        settings = replace(settings, shape=replace(settings.shape, kernel=args.kernel))
    shape = settings.shape
    print(f"{shape.bands} filters of {shape.kernel} samples, {args.threads} thread(s), batches of {settings.batch} crops")
    results = measure(settings, args.steps)
    for name, value in results.items():
        text = f"{value:8.0f}" if "chunks" in name else f"{value:8.1%}" if "share" in name else f"{value:8.3f} s"
        print(f"{name:56} {text}", flush=True)
    for part, plain in (("filters and their gradient", "by convolution"), ("running mean and its gradient", "frame by frame")):
        print(f"{part}: {results[f'{part}, {plain}'] / results[part]:.1f} times as fast as {plain}")
    filters = results["filters and their gradient"] / results["learnt filters: loss and gradient"]
    print(f"the filters' share of loss and gradient while they learn: {filters:.0%}")
    return 0
