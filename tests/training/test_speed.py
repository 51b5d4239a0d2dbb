"""The measurement of speed measures the same things in both forms, and gives every figure it promises."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric", reason="install the 'training' extra")

from training.acoustic import AcousticSettings  # noqa: E402
from training.acoustic_network import AcousticShape, RunningBandMean, SincBands  # noqa: E402
from training.speed import convolved, frame_by_frame, measure  # noqa: E402

SHAPE = AcousticShape(bands=8, layout="mel", kernel=101, width=8, feature=16, segments=1)


def test_both_forms_compute_the_same() -> None:
    torch.manual_seed(1)
    layer, module = SincBands(SHAPE), RunningBandMean(SHAPE)
    samples = torch.randn(2, SHAPE.receptive + 160 * 69) * 0.1
    energies = layer(samples).detach()
    torch.testing.assert_close(energies, convolved(layer, samples), atol=2e-5, rtol=0)
    voiced, state = torch.rand(2, 70) < 0.7, module.initial_state(2)
    expected = frame_by_frame(module, energies, voiced, state)
    torch.testing.assert_close(module(energies, voiced, state)[0], expected, atol=2e-5, rtol=0)


def test_every_figure_is_there() -> None:
    settings = AcousticSettings(shape=SHAPE, batch=4, joint_batch=4, windows=2, crop_frames=(60,))
    results = measure(settings, steps=2, repeats=1)
    assert len(results) == 14
    assert all(value > 0 for value in results.values())
    assert all(value < 1 for name, value in results.items() if "share" in name)
