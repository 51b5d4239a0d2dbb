"""The fusion network against a plain NumPy rendering of eq. (5)–(7), and its graph against the network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime_ser.fusion.network import FusionNetwork  # noqa: E402
from training.fusion_network import AttentionFusion, SegmentAttention, fusion_graph  # noqa: E402


def lively_network() -> AttentionFusion:
    """Random weights with attention that is far from flat."""
    torch.manual_seed(5)
    network = AttentionFusion(4, acoustic_scale=0.5, text_scale=3.0).eval()
    with torch.no_grad():
        network.acoustic.context.copy_(torch.randn(64) * 0.5)
        network.text.context.copy_(torch.randn(64) * 0.5)
        network.bias.copy_(torch.tensor([0.4, -0.2, 1.0, 0.0]))
    return network


def features(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.random(2_048).astype(np.float32), generator.random(4_800).astype(np.float32) * 4


def attended(vector: np.ndarray, weights: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    mapped = np.array(
        [segment @ matrix for segment, matrix in zip(vector.reshape(-1, 64), weights[f"{name}.maps"], strict=True)]
    )
    scores = [
        np.tanh(weights[f"{name}.projection.weight"] @ h + weights[f"{name}.projection.bias"]) @ weights[f"{name}.context"]
        for h in mapped
    ]  # eq. (5)
    attention = np.exp(scores) / np.exp(scores).sum()  # eq. (6)
    return sum(a * h for a, h in zip(attention, mapped, strict=True)), attention  # eq. (7)


def test_the_network_computes_its_equations() -> None:
    network = lively_network()
    weights = {name: value.double().numpy() for name, value in network.state_dict().items()}
    acoustic, text = features(0)
    with torch.no_grad():
        outputs = network(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
    for vector, name, part, attention in (
        (acoustic / 0.5, "acoustic", outputs[0], outputs[2]),
        (text / 3.0, "text", outputs[1], outputs[3]),
    ):
        result, expected = attended(vector.astype(np.float64), weights, name)
        assert expected.max() > 2 / len(expected)
        np.testing.assert_allclose(attention[0].numpy(), expected, atol=1e-5)
        evidence = weights[f"{name}_classifier.weight"] @ result + weights["bias"] / 2
        np.testing.assert_allclose(part[0].numpy(), evidence, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_graph_gives_the_networks_parts_within_what_half_precision_costs(seed: int) -> None:
    network = lively_network()
    acoustic, text = features(seed)
    fused = FusionNetwork(fusion_graph(network), 4).fuse(acoustic, text)
    with torch.no_grad():
        parts = network(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
    for ours, theirs in zip(
        (fused.acoustic_part, fused.text_part, fused.acoustic_attention, fused.text_attention), parts, strict=True
    ):
        np.testing.assert_allclose(ours, theirs[0].numpy(), atol=5e-3)
    np.testing.assert_allclose(fused.logits, fused.acoustic_part + fused.text_part, rtol=0, atol=1e-6)
    probabilities = np.exp(fused.logits) / np.exp(fused.logits).sum()
    assert np.abs(probabilities - (parts[0] + parts[1]).softmax(dim=1)[0].numpy()).max() < 0.005


def test_a_silent_modality_contributes_half_of_the_bias() -> None:
    network = lively_network()
    fused = FusionNetwork(fusion_graph(network), 4).fuse(features(0)[0], np.zeros(4_800, np.float32))
    np.testing.assert_allclose(fused.text_part, network.bias.detach().numpy() / 2, atol=1e-6)
    np.testing.assert_allclose(fused.text_attention, 1 / 75, atol=1e-6)


def test_a_segment_that_does_not_divide_the_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="must divide"):
        SegmentAttention(100, 64)
