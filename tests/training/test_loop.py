"""The training loop: interrupted equals uninterrupted, early stop, configurations, schedules, several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric", reason="install the 'training' extra")

from training.loop import LoopSettings, fit, step_generator  # noqa: E402


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
    # And once more: nothing is left to do.
    again = Toy()
    assert fit(again, settings, tmp_path / "broken").best_score == expected.best_score
    assert again.evaluated == []
    assert all(torch.equal(one, other) for one, other in zip(states(whole), states(again), strict=True))
