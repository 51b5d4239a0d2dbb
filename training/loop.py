"""The loop of every training: steps, validation, early stop, checkpoints, progress, on one device or many.

A :class:`Task` says what differs between trainings; :func:`fit` does the rest, on Lightning Fabric.

**Nothing is lost by an interruption.** What a step sees is decided by the seed, the number of the step and the rank of the
process, never by what was drawn before: :func:`fit` seeds PyTorch anew before every step, and a task draws its batches from
:func:`step_generator`. A training that was interrupted and started again therefore ends, on the same machine, with the same
bits as one that was not.

**Several devices or machines.** Under ``torchrun`` every process draws batches of its own (the rank decides), gradients are
averaged over the processes, and process 0 alone validates, prints, and writes files. The batch of one process stays what the
task says, so that the batch of the whole training grows with their number::

    torchrun --nproc-per-node 2 -m training acoustic
    torchrun --nnodes 2 --node-rank … --master-addr … --nproc-per-node 4 -m training acoustic

Where there are many trainings, as in a cross-validation, every process takes some of them for itself (:func:`apart`) instead.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import datetime
import functools
import json
import math
import multiprocessing
import os
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from realtime_ser.errors import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "LoopSettings",
    "Outcome",
    "Task",
    "apart",
    "default_fabric",
    "first_process_alone",
    "first_process_first",
    "fit",
    "keep_config",
    "rank",
    "rate_share",
    "step_generator",
    "write_atomically",
]

Schedule = Literal["constant", "cosine", "plateau"]
SAVE_EVERY_SECONDS = 60.0
LONGEST_WAIT = datetime.timedelta(days=7)
"""For other processes: one of them may measure, or train what the others need, for hours."""
_apart = False


class Task(Protocol):
    """What differs between trainings."""

    module: nn.Module
    """Everything that learns."""

    def optimizer(self) -> torch.optim.Optimizer | Sequence[torch.optim.Optimizer]:
        """One or several, over parameters of :attr:`module`.

        Groups carry their full learning rate; a group with ``"clip": False`` is left out of the clipping of gradients.
        """

    def batches(self, first_step: int) -> Iterator[Any]:
        """Endless batches of this process from step `first_step` on (the first of all is 0): see :func:`step_generator`."""

    def loss(self, module: nn.Module, batch: Any) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """Loss to be minimised, and figures for the progress line (scalars)."""

    def validate(self, module: nn.Module) -> float:
        """How good `module` (in evaluation mode, without gradients) is on the validation part; higher is better."""


# A task may also have ``units: int``, what a batch counts in terms of speed, and ``unit: str``, what these are called; and
# ``record(module) -> Mapping[str, list[float]]``, what shall be known later of the module at every validation.


@dataclass(frozen=True)
class LoopSettings:
    """How long and how a task is trained.

    Attributes
    ----------
    steps
        Batches of each process.
    validate_every
        Batches between validations; there is one after the last batch too.
    patience
        Validations in a row without a better one after which the training ends; 0: never.
    schedule
        Learning rate over the training: see :func:`rate_share`.
    clip
        Largest norm of the gradient, 0: any.
    average
        Decay of the running average of the weights, which is then what is validated and kept; 0: the weights themselves.
    seed
        Of everything random.
    """

    steps: int
    validate_every: int
    patience: int = 0
    schedule: Schedule = "constant"
    clip: float = 0.0
    average: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.validate_every < 1 or self.patience < 0:
            raise ValueError("steps and validate_every must be at least 1, patience at least 0")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must lie in [0, 1), got {self.average}")


@dataclass(frozen=True)
class Outcome:
    """What a training reached.

    Attributes
    ----------
    best_score, best_step
        Of the validation that was best, after so many batches; its state is in the task's module.
    history
        What every validation gave: ``step``, ``score``, ``loss`` and the task's figures (means since the one before),
        ``units_per_second``, ``data_share``.
    units_per_second
        Of all processes together, without validation; 0 where nothing was left to train.
    data_share
        Share of that time spent waiting for batches.
    records
        What the task recorded at every validation, in the order of :attr:`history`; empty where it records nothing.
    """

    best_score: float
    best_step: int
    history: list[dict[str, float]]
    units_per_second: float
    data_share: float
    records: list[dict[str, list[float]]] = field(default_factory=list)


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Within the context this process trains by itself, whatever others ``torchrun`` has started beside it."""
    global _apart
    before, _apart = _apart, True
    try:
        yield
    finally:
        _apart = before


def first_process_alone(work: Callable[[], int | None]) -> int:
    """Let process 0 do `work`, by itself, while the others wait; what it returned, in all of them."""
    fabric = default_fabric()
    status = 0
    if fabric.is_global_zero:
        with apart():
            status = int(work() or 0)
    return int(fabric.broadcast(status))


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
    """Let process 0 do what stands within the context before the others, which then find its files."""
    fabric = default_fabric()
    with fabric.rank_zero_first() if fabric.world_size > 1 else contextlib.nullcontext():
        yield


def rank() -> int:
    """Number of this process among those of a distributed training, from 0; 0 where there is but one."""
    if _apart:
        return 0
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return 0


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The generator from which this process draws the batch of `step`."""
    return np.random.default_rng((seed, step, rank()))


def rate_share(schedule: Schedule, progress: float) -> float:
    """Share of the full learning rate at `progress` in [0, 1] of a training.

    ``constant``: 1. ``cosine``: from 1 to 0 (Loshchilov & Hutter 2017, eq. 5, without restarts). ``plateau``: a rise over the
    first tenth, 1 up to the middle, then a cosine to 0.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * progress)
    if schedule != "plateau":
        raise ValueError(f"schedule must be constant, cosine or plateau, got {schedule}")
    if progress < 0.5:
        return min(1.0, progress / 0.1)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.5) / 0.5)


def default_fabric(accelerator: str = "auto") -> Fabric:
    """The engine for the processes that ``torchrun`` has started, or for this one alone (:func:`apart`).

    Parameters
    ----------
    accelerator
        ``cpu``, ``cuda``, or ``auto``: graphics processors where there are any.
    """
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    return _fabric_alone(accelerator) if _apart or world == 1 else _fabric_of_all(accelerator, world)


@functools.cache
def _fabric_alone(accelerator: str) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    # Of several graphics processors every process of a machine takes its own. NB: the environment is named, lest torchrun's
    # number of processes be compared with that of the devices.
    own = int(os.environ.get("LOCAL_RANK", "0")) % max(1, torch.cuda.device_count())
    devices: int | list[int] = [own] if accelerator == "cuda" else 1
    fabric = Fabric(accelerator=accelerator, devices=devices, plugins=LightningEnvironment())
    fabric.launch()
    return fabric


@functools.cache
def _fabric_of_all(accelerator: str, world: int) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    strategy = DDPStrategy(timeout=LONGEST_WAIT)
    fabric = Fabric(accelerator=accelerator, devices=local, num_nodes=world // local, strategy=strategy)
    atexit.register(_leave_the_others)
    fabric.launch()
    return fabric


def _leave_the_others() -> None:
    """End the connection to the other processes while Python is still whole.

    Threads of the connection may hold finished work that belongs to Python objects. Where some were left when the interpreter
    was taken apart, a process whose training had gone well was aborted now and then. After an error nothing is waited for:
    torchrun ends the other processes.
    """
    failed = hasattr(sys, "last_value")
    if torch.distributed.is_initialized() and not failed:
        torch.distributed.destroy_process_group()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path` and then give it that name, so that `path` is whole at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def keep_config(path: Path, config: object) -> None:
    """Write `config` to `path` as JSON, or make sure that it is what `path` holds.

    Parameters
    ----------
    config
        A dataclass or a mapping, of what JSON can hold.

    Raises
    ------
    ConfigError
        Where `path` holds something else; it names what differs.
    """
    text = json.dumps(_plain(config), indent=1, ensure_ascii=False, default=str) + "\n"
    if not path.is_file():
        if rank() == 0:
            write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
        return
    remedy = "Give another folder, or delete this one."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is no configuration of a training: {error}.", remedy) from error
    wanted = json.loads(text)
    if found != wanted:
        differences = "; ".join(_differences(found, wanted))
        raise ConfigError(f"{path.parent} holds a training with other settings ({differences}).", remedy)


def _differences(found: object, wanted: object, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else str(key))
    elif found != wanted:
        yield f"{name or 'all'}: {_short(found)} there, {_short(wanted)} asked for"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"


class _Step(nn.Module):
    """The loss as a forward pass, which is where a distributed training joins the gradients."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self._loss = task.loss

    def forward(self, batch: Any) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        return self._loss(self.module, batch)


class _Average:
    """Running average of a module's weights and statistics."""

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._pairs = list(zip(self.module.state_dict().values(), module.state_dict().values(), strict=True))

    @torch.no_grad()
    def update(self, decay: float) -> None:
        for kept, new in self._pairs:
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def fit(
    task: Task,
    settings: LoopSettings,
    out: Path,
    fabric: Fabric | None = None,
    label: str = "",
    *,
    config: object = None,
) -> Outcome:
    """Train `task`, or go on from what lies in `out`; the state that validated best is in ``task.module`` afterwards.

    Parameters
    ----------
    out
        Folder for ``NAME.pt`` (the checkpoint) and ``NAME.json`` (the configuration), where NAME is the label.
    fabric
        The engine; :func:`default_fabric` unless given.
    label
        What the lines of progress call this training, and its files; ``training`` unless given.
    config
        Whatever else decides the outcome, fit for JSON: kept beside the weights and compared when going on.

    Raises
    ------
    ConfigError
        Where `out` holds a training with other settings, or the loss is no longer a number.
    """
    fabric = default_fabric() if fabric is None else fabric
    name = re.sub(r"[^\w.-]+", "-", label).strip("-") or "training"
    keep_config(out / f"{name}.json", {"loop": asdict(settings), "task": _plain(config)})
    checkpoint = out / f"{name}.pt"
    home = next(task.module.parameters()).device
    saved = fabric.broadcast(_load(checkpoint) if fabric.is_global_zero else None)
    made = task.optimizer()
    optimizers = list(made) if isinstance(made, Sequence) else [made]
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    step_module, *wrapped = fabric.setup(_Step(task), *optimizers)
    device = fabric.device
    average = _Average(task.module) if settings.average else None
    judged = task.module if average is None else average.module
    done, best, best_score, best_step, waited = 0, _copied(judged), -math.inf, 0, 0
    history: list[dict[str, float]] = []
    records: list[dict[str, list[float]]] = []
    since: list[Mapping[str, float | Tensor]] = []
    record = getattr(task, "record", None)
    finished = False
    if saved is not None:
        done, best_score, best_step, waited = saved["step"], saved["best_score"], saved["best_step"], saved["waited"]
        history, best, finished, since = saved["history"], saved["best"], saved["finished"], saved["since"]
        # NB: checkpoints of trainings that began before there were records have none.
        records = saved.get("records", [])
        if not finished:
            task.module.load_state_dict(saved["module"])
            if average is not None:
                average.module.load_state_dict(saved["average"])
            for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
    clipped = [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        if group.get("clip", True)
        for parameter in group["params"]
    ]
    clock = _Clock(getattr(task, "units", 1) * fabric.world_size)

    def save(last: bool) -> None:
        if not fabric.is_global_zero:
            return
        state = {"step": done, "best": best, "best_score": best_score, "best_step": best_step, "waited": waited}
        state |= {"history": history, "records": records, "finished": last, "since": [_numbers(one) for one in since]}
        if not last:
            state |= {"module": task.module.state_dict(), "optimizers": [one.state_dict() for one in optimizers]}
            state["average"] = None if average is None else average.module.state_dict()
        write_atomically(checkpoint, lambda part: torch.save(state, part))

    if not finished:
        task.module.train()
        batches = task.batches(done)
        last_saved = time.monotonic()
        unit = getattr(task, "unit", "batches")
        with _Progress(label or name, settings.steps, done, unit, fabric.is_global_zero) as progress:
            while done < settings.steps and not (settings.patience and waited >= settings.patience):
                clock.start()
                torch.manual_seed(int(step_generator(settings.seed, done).integers(2**62)))
                batch = next(batches)
                clock.loaded()
                share = rate_share(settings.schedule, (done + 0.5) / settings.steps)
                for optimizer, full in zip(optimizers, rates, strict=True):
                    for group, rate in zip(optimizer.param_groups, full, strict=True):
                        group["lr"] = rate * share
                loss, seen = step_module(fabric.to_device(batch))
                for optimizer in wrapped:
                    optimizer.zero_grad()
                fabric.backward(loss)
                if settings.clip:
                    nn.utils.clip_grad_norm_(clipped, settings.clip)
                for optimizer in wrapped:
                    optimizer.step()
                done += 1
                if average is not None:
                    average.update(min(settings.average, done / (done + 10)))
                since.append({"loss": loss.detach(), **seen})
                due = done % settings.validate_every == 0 or done == settings.steps
                if due and device.type == "cuda":
                    torch.cuda.synchronize(device)
                clock.stop()
                progress.advance(done, clock)
                if due:
                    numbers = [_numbers(one) for one in since]
                    row: dict[str, float] = {"step": done}
                    row |= {key: float(np.mean([one[key] for one in numbers])) for key in numbers[0]}
                    since = []
                    if not math.isfinite(row["loss"]):
                        raise ConfigError(f"The loss of {label or name} is {row['loss']} after {done} batches.", NOT_FINITE)
                    score = 0.0
                    if fabric.is_global_zero:
                        judged.eval()
                        with torch.no_grad():
                            score = float(task.validate(judged))
                            if record is not None:
                                records.append(dict(record(judged)))
                    task.module.train()
                    score = float(fabric.broadcast(score))
                    waited += 1
                    if score > best_score:
                        best, best_score, best_step, waited = _copied(judged), score, done, 0
                    row |= {"score": score, "units_per_second": clock.speed, "data_share": clock.share}
                    history.append(row)
                    progress.validated(row, best_score)
                if due or time.monotonic() - last_saved > SAVE_EVERY_SECONDS:
                    save(last=False)
                    last_saved = time.monotonic()
        save(last=True)
    # Statistics of normalisation layers are those of process 0: the others saw other batches.
    task.module.load_state_dict(fabric.broadcast(best))
    task.module.to(home).eval()
    return Outcome(best_score, best_step, history, clock.speed, clock.share, records)


NOT_FINITE = "A smaller learning rate may help; delete the folder before trying again."


def _plain(config: object) -> object:
    return asdict(config) if is_dataclass(config) and not isinstance(config, type) else config


def _numbers(figures: Mapping[str, float | Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}


def _load(checkpoint: Path) -> dict[str, Any] | None:
    if not checkpoint.is_file():
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        whole = isinstance(state, dict) and "since" in state
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError):
        whole = False
    if not whole:
        raise ConfigError(f"{checkpoint} is no checkpoint of this version of the loop.", "Delete it to train from the start.")
    return dict(state)


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


class _Clock:
    """Time spent in steps, and the part of it spent waiting for batches."""

    def __init__(self, units: int) -> None:
        self._units, self._steps, self._total, self._data, self._began, self._got = units, 0, 0.0, 0.0, 0.0, 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def loaded(self) -> None:
        self._got = time.perf_counter()

    def stop(self) -> None:
        self._steps += 1
        self._data += self._got - self._began
        self._total += time.perf_counter() - self._began

    @property
    def speed(self) -> float:
        """Units in a second."""
        return self._units * self._steps / self._total if self._steps else 0.0

    @property
    def share(self) -> float:
        """Share of the time spent waiting for batches."""
        return self._data / self._total if self._steps else 0.0


class _Progress:
    """A bar on a terminal; elsewhere, and where several trainings share it, a line for every validation."""

    def __init__(self, label: str, steps: int, done: int, unit: str, speaks: bool) -> None:
        self.label, self.steps, self.unit, self.speaks = label, steps, unit, speaks
        self._bar: Any = None
        shared = multiprocessing.current_process().name != "MainProcess" or (_apart and torch.distributed.is_initialized())
        if speaks and sys.stdout.isatty() and not shared:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[note]}"), transient=True)
            self._number = self._bar.add_task(label, total=steps, completed=done, note="")

    def __enter__(self) -> _Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, done: int, clock: _Clock) -> None:
        if self._bar is not None:
            self._bar.update(self._number, completed=done, note=f"{clock.speed:.0f} {self.unit}/s")

    def validated(self, row: Mapping[str, float], best: float) -> None:
        if not self.speaks:
            return
        known = ("step", "score", "units_per_second", "data_share")
        figures = "".join(f", {name} {value:.3f}" for name, value in row.items() if name not in known)
        line = (
            f"{self.label} {row['step']}/{self.steps}: validation {row['score']:.4f} (best {best:.4f}){figures},"
            f" {row['units_per_second']:.0f} {self.unit}/s, data {row['data_share']:.0%}"
        )
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, flush=True)
