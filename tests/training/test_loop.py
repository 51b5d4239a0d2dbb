"""The training loop: interrupted equals uninterrupted, early stop, configurations, schedules, several processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric", reason="install the 'training' extra")

from two_processes import in_two_processes  # noqa: E402

from realtime_ser.errors import ConfigError  # noqa: E402
from training.loop import LoopSettings, fit, keep_config, step_generator, write_atomically  # noqa: E402


class InterruptedTrainingError(Exception):
    """Stands for a machine that was switched off."""


class Toy:
    """Two classes of points, with everything that could spoil a resumed training: dropout, BatchNorm, Adam, random batches."""

    units, unit = 16, "points"

    def __init__(self, seed: int = 3, break_at: int | None = None) -> None:
        torch.manual_seed(seed)
        self.seed, self.break_at = seed, break_at
        layers = (torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2))
        self.module = torch.nn.Sequential(*layers)
        self.evaluated: list[float] = []

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.module.parameters(), 0.02)

    def batches(self, first_step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        step = first_step
        while True:
            if step == self.break_at:
                raise InterruptedTrainingError
            yield self.points(step_generator(self.seed, step))
            step += 1

    @staticmethod
    def points(generator) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.from_numpy(generator.integers(2, size=16))
        return torch.from_numpy(generator.normal(size=(16, 4))).float() + labels[:, None], labels

    def loss(self, module, batch):
        logits = module(batch[0])
        right = (logits.argmax(dim=1) == batch[1]).float().mean()
        return torch.nn.functional.cross_entropy(logits, batch[1]), {"right": right}

    def record(self, module) -> dict[str, list[float]]:
        return {"weight": module[0].weight[0].tolist()}

    def validate(self, module) -> float:
        points, labels = self.points(step_generator(99, 0))
        self.evaluated.append(-float(torch.nn.functional.cross_entropy(module(points), labels)))
        return self.evaluated[-1]


def states(task: Toy) -> list[torch.Tensor]:
    return list(task.module.state_dict().values())


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path, average: float) -> None:
    settings = LoopSettings(30, 7, schedule="plateau", clip=1.0, average=average, seed=5)
    whole, broken, resumed = Toy(), Toy(break_at=17), Toy()
    expected = fit(whole, settings, tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        fit(broken, settings, tmp_path / "broken")
    torch.rand(17)  # Whatever else was drawn in between.
    outcome = fit(resumed, settings, tmp_path / "broken")
    assert all(torch.equal(one, other) for one, other in zip(states(whole), states(resumed), strict=True))
    assert (outcome.best_score, outcome.best_step) == (expected.best_score, expected.best_step)
    keys = ("step", "score", "loss", "right")
    assert [[row[key] for key in keys] for row in outcome.history] == [[row[key] for key in keys] for row in expected.history]
    assert [row["step"] for row in outcome.history] == [7, 14, 21, 28, 30]
    assert len(outcome.records) == 5
    assert outcome.records == expected.records
    kept = outcome.records[[row["step"] for row in outcome.history].index(outcome.best_step)]
    assert kept["weight"] == resumed.module[0].weight[0].tolist()
    # And once more: nothing is left to do.
    again = Toy()
    assert fit(again, settings, tmp_path / "broken").best_score == expected.best_score
    assert again.evaluated == []
    assert all(torch.equal(one, other) for one, other in zip(states(whole), states(again), strict=True))


def test_an_interruption_between_validations_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints by the clock lie between two validations, whose mean figures span the interruption."""
    monkeypatch.setattr("training.loop.SAVE_EVERY_SECONDS", 0.0)
    settings = LoopSettings(20, 10)
    whole, resumed = Toy(), Toy()
    expected = fit(whole, settings, tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        fit(Toy(break_at=6), settings, tmp_path / "broken")
    assert torch.load(tmp_path / "broken" / "training.pt")["step"] == 6
    outcome = fit(resumed, settings, tmp_path / "broken")
    assert [row["loss"] for row in outcome.history] == [row["loss"] for row in expected.history]
    assert all(torch.equal(one, other) for one, other in zip(states(whole), states(resumed), strict=True))


class Scripted(Toy):
    """Validates as the script says, whatever was learnt."""

    script = (0.1, 0.5, 0.4, 0.5, 0.3, 0.9)

    def validate(self, module) -> float:
        self.evaluated.append(self.script[len(self.evaluated)])
        self.seen = [value.clone() for value in module.state_dict().values()] if len(self.evaluated) == 2 else self.seen
        return self.evaluated[-1]

    seen: list[torch.Tensor] = []  # noqa: RUF012 - replaced, never changed


def test_training_stops_early_and_keeps_the_first_best_state(tmp_path: Path) -> None:
    task = Scripted()
    outcome = fit(task, LoopSettings(60, 10, patience=3), tmp_path)
    assert task.evaluated == [0.1, 0.5, 0.4, 0.5, 0.3]
    assert (outcome.best_score, outcome.best_step) == (0.5, 20)
    assert all(torch.equal(one, other) for one, other in zip(states(task), task.seen, strict=True))
    again = Scripted()
    assert fit(again, LoopSettings(60, 10, patience=3), tmp_path).history == outcome.history
    assert again.evaluated == []


def test_a_folder_with_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    settings = LoopSettings(2, 1)
    fit(Toy(), settings, tmp_path, label="toy", config={"classes": ["a", "b"], "rate": 0.1})
    with pytest.raises(ConfigError, match=r"loop\.steps: 2 there, 3 asked for") as caught:
        fit(Toy(), replace(settings, steps=3), tmp_path, label="toy", config={"classes": ["a", "b"], "rate": 0.1})
    assert str(tmp_path) in caught.value.problem
    assert "folder" in caught.value.remedy
    with pytest.raises(ConfigError, match=r"task\.rate: 0\.1 there, 0\.2 asked for"):
        fit(Toy(), settings, tmp_path, label="toy", config={"classes": ["a", "b"], "rate": 0.2})
    # Another training may lie beside it.
    fit(Toy(), replace(settings, steps=3), tmp_path, label="other toy")
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", "toy.pt", "other-toy.json", "other-toy.pt"}


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_damaged_checkpoint_is_said_to_be_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training.pt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"training\.pt"):
        fit(Toy(), LoopSettings(2, 1), tmp_path)


def test_a_broken_configuration_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ConfigError, match="no configuration"):
        keep_config(tmp_path / "settings.json", {"a": 1})


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda part: part.write_text("old"))

    def fail(part: Path) -> None:
        part.write_text("ne")
        raise OSError

    with pytest.raises(OSError):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


class Diverging(Toy):
    def loss(self, module, batch):
        return super().loss(module, batch)[0] * float("inf"), {}


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learning rate"):
        fit(Diverging(), LoopSettings(4, 2), tmp_path)


class Grouped(Toy):
    """One group is exempt from clipping and sees the whole gradient; the rate of the other is a tenth at the last step."""

    def optimizer(self) -> list[torch.optim.Optimizer]:
        first, *rest = self.module.parameters()
        return [
            torch.optim.SGD([{"params": [first], "clip": False}], 1.0),
            torch.optim.SGD(rest, 1.0),
        ]

    def loss(self, module, batch):
        return 1_000 * sum(parameter.sum() for parameter in module.parameters()), {}


def test_groups_may_be_left_out_of_clipping(tmp_path: Path) -> None:
    task = Grouped()
    before = [parameter.detach().clone() for parameter in task.module.parameters()]
    fit(task, LoopSettings(1, 1, clip=2.0), tmp_path)
    steps = [(old - new).detach() for old, new in zip(before, task.module.parameters(), strict=True)]
    torch.testing.assert_close(steps[0], torch.full_like(steps[0], 1_000), rtol=1e-3, atol=0)
    assert float(torch.cat([step.flatten() for step in steps[1:]]).norm()) == pytest.approx(2.0, rel=1e-3)


def test_lines_of_progress_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Toy(), LoopSettings(4, 2), tmp_path, label="fold 3")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["fold 3 2/4", "fold 3 4/4"]
    assert "points/s" in lines[0]


@pytest.mark.parametrize("change", [{"steps": 0}, {"validate_every": 0}, {"patience": -1}, {"average": 1.0}])
def test_settings_that_cannot_be_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(LoopSettings(5, 5), **change)


def trained_weight(folder: str, seed: int) -> np.ndarray:
    """In a process of a pool: one training; its first weights."""
    torch.set_num_threads(1)
    task = Toy(seed)
    fit(task, LoopSettings(10, 5), Path(folder) / str(seed))
    return next(task.module.parameters()).detach().numpy()


def test_trainings_in_parallel_processes_equal_those_one_after_the_other(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        parallel = list(pool.map(trained_weight, [str(tmp_path / "parallel")] * 2, [1, 2]))
    for seed, found in zip([1, 2], parallel, strict=True):
        np.testing.assert_array_equal(found, trained_weight(str(tmp_path / "serial"), seed))


SCRIPT = """
import sys
from pathlib import Path
import torch
from test_loop import Toy
from training.loop import LoopSettings, default_fabric, fit, rank
fabric = default_fabric("cpu")
task = Toy()
outcome = fit(task, LoopSettings(6, 3, average=0.5), Path(sys.argv[1]), fabric)
torch.save([outcome.best_score, len(task.evaluated), [*task.module.state_dict().values()]], f"{sys.argv[1]}/rank{rank()}")
"""


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Each draws batches of its own, both end with the same weights, and process 0 alone validates and writes."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    done = in_two_processes(script, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / "out" / f"rank{number}") for number in (0, 1))
    assert first[0] == second[0]
    assert (first[1], second[1]) == (2, 0)
    assert all(torch.equal(one, other) for one, other in zip(first[2], second[2], strict=True))
    assert done.stdout.count("points/s") == 2
    # The checkpoint is a whole training: here, alone, it is loaded and nothing is left to do.
    alone = Toy()
    outcome = fit(alone, LoopSettings(6, 3, average=0.5), tmp_path / "out")
    assert alone.evaluated == []
    assert outcome.best_score == first[0]
    assert all(torch.equal(one, other) for one, other in zip(states(alone), first[2], strict=True))
    # Two processes saw other batches than one: their gradients were joined.
    single = Toy()
    fit(single, LoopSettings(6, 3, average=0.5), tmp_path / "single")
    assert not torch.equal(states(single)[0], states(alone)[0])
