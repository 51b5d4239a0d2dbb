"""The text network against a plain NumPy rendering of its equations, and its graph against the network."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime_ser.bundle.inference import create_session  # noqa: E402
from training.text_network import TextShape, TwoBranchTextNetwork, text_graph  # noqa: E402

SHAPE = TextShape(vocabulary=50, classes=4, embedding=20, lstm=7, filters=5, hidden=24)


def lively_network(shape: TextShape = SHAPE) -> TwoBranchTextNetwork:
    """Random weights, large enough for every branch to matter, with rows of very different size among the embeddings."""
    torch.manual_seed(3)
    network = TwoBranchTextNetwork(shape).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(
                torch.randn_like(parameter) * (0.3 if name.startswith(("lstm", "left", "right", "hidden")) else 0.1)
            )
        network.embedding.weight *= torch.logspace(-1, 1, shape.vocabulary)[:, None]
        network.embedding.weight[0] = 0
    return network


def rendered(network: TwoBranchTextNetwork, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Feature and logits of one text in float64, straight from the description in training/text_network.py."""
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def lstm(rows: np.ndarray, suffix: str) -> np.ndarray:
        units = network.shape.lstm
        hidden, cell, outputs = np.zeros(units), np.zeros(units), []
        for row in rows:
            gates = w[f"lstm.weight_ih_l0{suffix}"] @ row + w[f"lstm.bias_ih_l0{suffix}"]
            gates = gates + w[f"lstm.weight_hh_l0{suffix}"] @ hidden + w[f"lstm.bias_hh_l0{suffix}"]
            entry, forget, candidate, output = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(candidate)
            hidden = sigmoid(output) * np.tanh(cell)
            outputs.append(hidden)
        return np.array(outputs)

    def convolution(rows: np.ndarray, name: str, size: int) -> np.ndarray:
        """As long as the text, with zeros beyond both ends."""
        weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        out = np.tile(bias, (len(rows), 1))
        for t in range(len(rows)):
            for tap in range(size):
                place = t + tap - size // 2
                if 0 <= place < len(rows):
                    out[t] += weight[:, :, tap] @ rows[place]
        return out

    def cross_attention(context: np.ndarray, evidence: np.ndarray) -> np.ndarray:
        """The right branch's map asks, place by place, which places of the left branch's map go with it."""
        attended = np.zeros_like(evidence)
        for t, asking in enumerate(context):
            affinity = [math.exp(float(asking @ place) / math.sqrt(network.shape.filters)) for place in evidence]
            attention = [value / sum(affinity) for value in affinity]  # eq. (3)
            for share, place in zip(attention, evidence, strict=True):
                attended[t] += share * place  # eq. (4)
        return attended

    embedded = w["embedding.weight"][tokens]
    recurrent = np.hstack([lstm(embedded, ""), lstm(embedded[::-1], "_reverse")[::-1]])
    maps, contexts = [], []
    for index, size in enumerate(network.shape.kernels):
        left = np.maximum(convolution(recurrent, f"left.{index}", size), 0)
        right = np.maximum(convolution(embedded, f"right.{index}", size), 0)
        maps.append(cross_attention(right, left))
        contexts.append(right)
    joined = np.hstack(maps + contexts)
    pooled = np.concatenate([joined.mean(axis=0), joined.max(axis=0)])
    hidden = np.maximum(w["hidden.weight"] @ pooled + w["hidden.bias"], 0)
    feature = np.maximum(w["feature.weight"] @ hidden + w["feature.bias"], 0)
    return feature, w["classifier.weight"] @ feature + w["classifier.bias"]


@pytest.mark.parametrize("length", [1, 2, 5, 17])
def test_the_network_computes_its_equations(length: int) -> None:
    network = lively_network()
    tokens = np.random.default_rng(length).integers(1, 50, length)
    with torch.no_grad():
        feature, logits = network(torch.from_numpy(tokens)[None], torch.tensor([length]))
    expected_feature, expected_logits = rendered(network, tokens)
    assert np.abs(expected_feature).max() > 0.1
    # float32 against float64, with sums of up to 4,800 terms.
    np.testing.assert_allclose(feature[0].numpy(), expected_feature, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits[0].numpy(), expected_logits, rtol=1e-3, atol=1e-4)


def test_padding_and_neighbours_in_the_batch_change_nothing() -> None:
    network = lively_network()
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, 50, length) for length in (3, 9, 1)]
    tokens = torch.zeros(3, 12, dtype=torch.long)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.from_numpy(text)
    with torch.no_grad():
        together = network(tokens, torch.tensor([3, 9, 1]))[1]
        alone = torch.cat([network(torch.from_numpy(text)[None], torch.tensor([len(text)]))[1] for text in texts])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 5, 100])
def test_the_graph_gives_the_networks_probabilities_within_what_its_8_bit_rows_cost(length: int) -> None:
    network = lively_network()
    session = create_session(text_graph(network))
    tokens = np.random.default_rng(length).integers(1, 50, (1, length))
    feature, logits = session.run({"tokens": tokens}, ("feature", "logits"))
    with torch.no_grad():
        expected_feature, expected_logits = network(torch.from_numpy(tokens), torch.tensor([length]))
    # Rows are rounded to 1/254 of their largest value, weights of two layers to half precision.
    scale = float(expected_feature.abs().max())
    np.testing.assert_allclose(feature, expected_feature.numpy(), atol=0.02 * scale)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert np.abs(probabilities - expected_logits.softmax(dim=1).numpy()).max() < 0.02


def test_the_graph_is_exact_where_weights_can_be_stored_exactly() -> None:
    network = lively_network()
    with torch.no_grad():
        rows = torch.randint(-127, 128, network.embedding.weight.shape).float()
        rows[:, 0] = 127
        rows[0] = 0
        network.embedding.weight.copy_(rows / 64)
        for layer in (network.hidden, network.feature):
            layer.weight.copy_(layer.weight.half().float())
    tokens = np.random.default_rng(1).integers(1, 50, (1, 8))
    feature, logits = create_session(text_graph(network)).run({"tokens": tokens}, ("feature", "logits"))
    with torch.no_grad():
        expected_feature, expected_logits = network(torch.from_numpy(tokens), torch.tensor([8]))
    np.testing.assert_allclose(feature, expected_feature.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, expected_logits.numpy(), rtol=1e-4, atol=1e-4)


def test_the_full_size_graph_keeps_within_its_share_of_a_bundle() -> None:
    network = TwoBranchTextNetwork(TextShape(vocabulary=14_000, classes=4))
    assert len(text_graph(network)) < 9_000_000
