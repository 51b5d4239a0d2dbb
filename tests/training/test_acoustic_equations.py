"""The whole acoustic network against a plain NumPy rendering of its equations, written down as they stand in the papers.

Nothing of PyTorch is used in the rendering: every sum is a loop or a product that can be read beside its formula.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.acoustic_network import AcousticNetwork, AcousticShape  # noqa: E402

SHAPE = AcousticShape(bands=12, kernel=251, width=7, feature=20, prior_frames=4, memory_frames=9)
RATE = 16_000


def lively_network(seed: int = 4) -> AcousticNetwork:
    """Random weights, and BatchNorms with statistics of their own, as after training; cutoffs that have moved."""
    torch.manual_seed(seed)
    network = AcousticNetwork(SHAPE).eval()
    with torch.no_grad():
        network.bands.low_moved.add_(torch.randn(SHAPE.bands) * 0.2)
        network.bands.width_moved.add_(torch.randn(SHAPE.bands) * 0.2)
        network.normaliser.prior_shape.copy_(torch.randn(SHAPE.bands))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2.0)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.3)
        # So that windows differ by more than rounding.
        network.head.classifier.weight.mul_(5)
    return network


def speech_like(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * 140 * order * time + order) / order for order in range(1, 30))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * wave * (1.2 + np.sin(2 * np.pi * 5 * time)) + 0.01 * noise).astype(np.float32)


def sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(x) / x


def sinc_filters(w: dict[str, np.ndarray]) -> np.ndarray:
    """Eq. (2): g[n] = 2 f2 sinc(2 π f2 n) − 2 f1 sinc(2 π f1 n), times a Hamming window; f in cycles per sample."""
    half = SHAPE.kernel // 2
    filters = np.zeros((SHAPE.bands, SHAPE.kernel))
    for band in range(SHAPE.bands):
        low, high = w["bands.initial_low_hz"][band], w["bands.initial_high_hz"][band]
        f1 = (20 + abs(low - 20 + (high - low) * w["bands.low_moved"][band])) / RATE
        f2 = min(f1 + (20 + abs(high - low - 20 + (high - low) * w["bands.width_moved"][band])) / RATE, 0.5)
        for n in range(-half, half + 1):
            hamming = 0.54 + 0.46 * math.cos(math.pi * n / half)
            g = 2 * f2 * sinc(2 * math.pi * f2 * n) - 2 * f1 * sinc(2 * math.pi * f1 * n)
            filters[band, n + half] = g * hamming
    return filters


def log_band_energies(samples: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Of every hop and band the logarithm of the mean square of the filter's output, which is computed every 4th sample."""
    steps = SHAPE.hop // SHAPE.stride
    frames = (len(samples) - SHAPE.receptive) // SHAPE.hop + 1
    energies = np.zeros((frames, SHAPE.bands))
    for frame in range(frames):
        for band in range(SHAPE.bands):
            total = 0.0
            for step in range(steps):
                start = frame * SHAPE.hop + step * SHAPE.stride
                # The filters are symmetric: correlation and convolution are the same.
                total += float(filters[band] @ samples[start : start + SHAPE.kernel]) ** 2
            energies[frame, band] = math.log(total / steps + 1e-10)
    return energies


def without_running_mean(energies: np.ndarray, voiced: np.ndarray, prior_shape: np.ndarray) -> np.ndarray:
    """Causal level and shape of the spectrum over voiced frames, subtracted from every frame."""
    level, shape, count = 0.0, prior_shape.copy(), 0
    normal = np.zeros_like(energies)
    for t, frame in enumerate(energies):
        if voiced[t]:
            count += 1
            level += (frame.mean() - level) / min(count, SHAPE.memory_frames)
            shape += (frame - frame.mean() - shape) / min(SHAPE.prior_frames + count, SHAPE.memory_frames)
        known = level if count else frame.mean()
        normal[t] = frame - known - shape
    return normal


def batch_norm(values: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    """(x − μ) / sqrt(σ² + ε) · γ + β, with the statistics of training, per channel (last axis)."""
    scaled = (values - w[f"{name}.running_mean"]) / np.sqrt(w[f"{name}.running_var"] + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def trunk(bands: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """Valid convolutions over time, each with BatchNorm and ReLU."""
    frames, layer = bands, 0
    for size in SHAPE.trunk_kernels:
        weight = w[f"trunk.layers.{layer}.weight"]
        out = np.zeros((len(frames) - size + 1, SHAPE.width))
        for t in range(len(out)):
            for channel in range(SHAPE.width):
                for tap in range(size):
                    out[t, channel] += weight[channel, :, tap] @ frames[t + tap]
        frames = np.maximum(batch_norm(out, w, f"trunk.layers.{layer + 1}"), 0)
        layer += 4
    return frames


def head(window: np.ndarray, w: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means of a window's parts and deviation over all of it → dense layer, BatchNorm, ReLU: feature → linear classifier."""
    length = len(window) // SHAPE.segments
    pooled = [window[part * length : (part + 1) * length].mean(axis=0) for part in range(SHAPE.segments)]
    pooled.append(np.sqrt(((window - window.mean(axis=0)) ** 2).mean(axis=0) + 1e-5))
    feature = np.maximum(batch_norm(w["head.connected.weight"] @ np.concatenate(pooled), w, "head.norm"), 0)
    return feature, w["head.classifier.weight"] @ feature + w["head.classifier.bias"]


def test_the_filters_are_those_of_equation_2() -> None:
    network = lively_network()
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}
    np.testing.assert_allclose(network.bands.filters().detach().numpy(), sinc_filters(w), atol=1e-6)


def test_the_network_computes_its_equations_from_samples_to_logits() -> None:
    network = lively_network()
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}
    samples = speech_like(0.5)
    voiced = np.random.default_rng(1).random(SHAPE.frame_count(len(samples))) < 0.7
    voiced[:3] = False

    energies = log_band_energies(samples.astype(np.float64), sinc_filters(w))
    normal = without_running_mean(energies, voiced, w["normaliser.prior_shape"])
    frames = trunk(normal, w)
    count = SHAPE.window_count(len(samples))
    expected = [head(frames[k : k + SHAPE.window_frames], w) for k in range(count)]

    with torch.no_grad():
        ours = network.bands(torch.from_numpy(samples)[None])
        # float32 sums of thousands of terms.
        np.testing.assert_allclose(ours[0].numpy(), energies, atol=2e-3)
        ours, _ = network.normaliser(ours, torch.from_numpy(voiced)[None])
        np.testing.assert_allclose(ours[0].numpy(), normal, atol=2e-3)
        ours = network.trunk(ours)
        np.testing.assert_allclose(ours[0].numpy(), frames, atol=5e-3)
        feature, logits = network.head(network.windows(ours, torch.arange(count)[None]))
    assert count > 20
    assert voiced.sum() > SHAPE.memory_frames
    assert np.ptp([row[1] for row in expected], axis=0).min() > 0.02
    np.testing.assert_allclose(feature.numpy(), [row[0] for row in expected], atol=5e-3)
    np.testing.assert_allclose(logits.numpy(), [row[1] for row in expected], atol=5e-3)


def test_an_utterance_is_the_mean_of_its_windows() -> None:
    """The summed softmax of the paper's protocol and the mean feature that is fused, from the windows' own results."""
    network = lively_network()
    window_frames = torch.randn(6, SHAPE.window_frames, SHAPE.width).relu()
    with torch.no_grad():
        feature, logits = network.head(window_frames)
        fused = network.head.classify(feature.mean(dim=0))
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}
    rendered = [head(window, w) for window in window_frames.double().numpy()]
    np.testing.assert_allclose(np.mean([row[1] for row in rendered], axis=0), fused.numpy(), atol=1e-4)
    summed = sum(np.exp(row[1]) / np.exp(row[1]).sum() for row in rendered)
    np.testing.assert_allclose(logits.softmax(dim=1).sum(dim=0).numpy(), summed, atol=1e-4)
