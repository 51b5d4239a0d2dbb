"""The fusion networks against a plain NumPy rendering of eq. (5)–(7), and its graph against the network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime_ser.fusion.network import FusionNetwork  # noqa: E402
from training.fusion_network import (  # noqa: E402
    AttentionFusion,
    FusionName,
    SegmentAttention,
    fusion_graph,
    fusion_of,
)


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
    """Eq. (5)–(7) over the segments x_i of 64 values of `vector`: their sum s, (64,), and the attention a_i."""
    projection, bias = weights[f"{name}.projection.weight"], weights[f"{name}.projection.bias"]
    context = weights[f"{name}.context"]
    h, scores = [], []
    for i in range(len(vector) // 64):
        x_i = vector[64 * i : 64 * (i + 1)]
        h_i = weights[f"{name}.maps"][i].T @ x_i
        u_i = np.tanh(projection @ h_i + bias)  # eq. (5)
        h.append(h_i)
        scores.append(u_i @ context)
    total = sum(np.exp(score) for score in scores)
    a = [np.exp(score) / total for score in scores]  # eq. (6)
    s = np.zeros(64)
    for a_i, h_i in zip(a, h, strict=True):
        s += a_i * h_i  # eq. (7)
    return s, np.array(a)


def weights_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in network.state_dict().items()}


def test_attention_on_either_vector_before_fusion_computes_its_equations() -> None:
    """F-III."""
    network = lively_network()
    weights = weights_of(network)
    acoustic, text = features(0)
    with torch.no_grad():
        outputs = network(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
        logits = network.logits(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
    expected_logits = np.zeros(4)
    for vector, name, part, attention, segments in (
        (acoustic / 0.5, "acoustic", outputs[0], outputs[2], 32),
        (text / 3.0, "text", outputs[1], outputs[3], 75),
    ):
        result, expected = attended(vector.astype(np.float64), weights, name)
        assert len(expected) == segments
        assert expected.max() > 2 / segments
        np.testing.assert_allclose(attention[0].numpy(), expected, atol=1e-5)
        evidence = weights[f"{name}_classifier.weight"] @ result + weights["bias"] / 2
        np.testing.assert_allclose(part[0].numpy(), evidence, atol=1e-4)
        expected_logits += evidence
    np.testing.assert_allclose(logits[0].numpy(), expected_logits, atol=2e-4)


def test_concatenation_computes_its_equation() -> None:
    """F-I."""
    torch.manual_seed(6)
    network = fusion_of("F-I", 4, acoustic_scale=0.5, text_scale=3.0).eval()
    weights = weights_of(network)
    acoustic, text = features(1)
    with torch.no_grad():
        logits = network.logits(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
    joined = [*(acoustic / 0.5), *(text / 3.0)]
    for label in range(4):
        row, expected = weights["classifier.weight"][label], weights["classifier.bias"][label]
        for weight, value in zip(row, joined, strict=True):
            expected += weight * value
        assert float(logits[0, label]) == pytest.approx(expected, abs=1e-4)


def test_self_attention_after_concatenation_computes_its_equations() -> None:
    """F-II: one softmax over the segments of both vectors."""
    torch.manual_seed(7)
    network = fusion_of("F-II", 4, acoustic_scale=0.5, text_scale=3.0).eval()
    with torch.no_grad():
        network.attention.context.copy_(torch.randn(64) * 0.5)
    weights = weights_of(network)
    acoustic, text = features(2)
    with torch.no_grad():
        logits, attention = network(torch.from_numpy(acoustic)[None], torch.from_numpy(text)[None])
    result, expected = attended(np.concatenate([acoustic / 0.5, text / 3.0]).astype(np.float64), weights, "attention")
    assert len(expected) == 32 + 75
    assert expected.max() > 2 / len(expected)
    np.testing.assert_allclose(attention[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(logits[0].numpy(), weights["classifier.weight"] @ result + weights["classifier.bias"], atol=1e-4)


@pytest.mark.parametrize("name", ["F-I", "F-II", "F-III"])
def test_every_fusion_learns_what_only_both_features_together_tell(name: FusionName) -> None:
    """The class is told half by the voice (first bit) and half by the words (second bit)."""
    torch.manual_seed(8)
    labels = torch.arange(64) % 4
    acoustic, text = torch.rand(64, 2_048) * 0.1, torch.rand(64, 4_800) * 0.1
    acoustic[labels >= 2, ::9] += 1
    text[labels % 2 == 1, ::9] += 1
    network = fusion_of(name, 4, float(acoustic.norm(dim=1).mean()), float(text.norm(dim=1).mean()))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(25):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network.logits(acoustic, text), labels).backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        right = network.logits(acoustic, text).argmax(dim=1) == labels
    assert right.float().mean() > 0.95


def test_a_fusion_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="F-I, F-II, F-III"):
        fusion_of("F-IV", 4)


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
