"""Cross-attention taken out of a graph: against the training code's network, and on the bundle that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.bundle.onnx_format import parse_graph, serialise_graph
from realtime_ser.errors import BundleError
from realtime_ser.text.attention import CrossAttentionReader, _attention_maps
from realtime_ser.text.network import MAX_TOKENS, TextNetwork
from realtime_ser.text.tokens import PADDING, UNKNOWN, Vocabulary

WORDS = "no I told you twice already do not touch that"


@pytest.fixture(scope="module")
def shipped() -> tuple[bytes, Vocabulary, int]:
    bundle = load_bundle("default-bundle")
    return bundle.content("text.onnx"), Vocabulary(bundle.vocabulary()), len(bundle.manifest.classes)


def test_it_is_what_the_training_code_computes() -> None:
    torch = pytest.importorskip("torch")
    from training.text_network import TextShape, TwoBranchTextNetwork, _convolved, _quantised_rows, text_graph

    shape = TextShape(vocabulary=30, classes=4, embedding=20, lstm=7, filters=5, hidden=24)
    torch.manual_seed(3)
    network = TwoBranchTextNetwork(shape).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
        # The graph keeps whole numbers of steps: with these, both read the very same vectors.
        rows, steps = _quantised_rows(network.embedding.weight.numpy())
        network.embedding.weight.copy_(torch.from_numpy(rows * steps))
    letters = [chr(ord("a") + number) for number in range(26)]
    vocabulary = Vocabulary([PADDING, UNKNOWN, *letters, "aa", "bb"])
    text = "c a z b b k zzz e"
    read = CrossAttentionReader(text_graph(network), vocabulary).read(text)
    assert read.tokens == tuple(text.split())
    assert read.known == (True, True, True, True, True, True, False, True)
    assert read.sizes == shape.kernels

    numbers = torch.from_numpy(vocabulary.numbers(read.tokens))[None]
    with torch.no_grad():
        embedded = network.embedding(numbers)
        recurrent, _ = network.lstm(embedded)
        left = [torch.relu(_convolved(recurrent, layer))[0].double().numpy() for layer in network.left]
        right = [torch.relu(_convolved(embedded, layer))[0].double().numpy() for layer in network.right]
        feature, _ = network(numbers, torch.tensor([len(read.tokens)]))
        for index, (evidence, context) in enumerate(zip(left, right, strict=True)):
            affinity = np.exp(context @ evidence.T / np.sqrt(shape.filters))
            np.testing.assert_allclose(
                read.weights[index], affinity / affinity.sum(axis=1, keepdims=True), atol=2e-5
            )  # eq. (3)
        # These weights, and no others, give the network's own feature: eq. (4), pooling, T-DNN.
        maps = [weights @ evidence for weights, evidence in zip(read.weights, left, strict=True)]
        joined = np.concatenate([*maps, *right], axis=1)
        pooled = torch.from_numpy(np.concatenate([joined.mean(axis=0), joined.max(axis=0)])).float()
        again = torch.relu(network.feature(torch.relu(network.hidden(pooled))))
    np.testing.assert_allclose(again.numpy(), feature[0].numpy(), atol=1e-4)


def test_the_shipped_bundle_hands_it_out_without_changing_its_scores(shipped: tuple[bytes, Vocabulary, int]) -> None:
    model, vocabulary, classes = shipped
    read = CrossAttentionReader(model, vocabulary).read(WORDS)
    assert read.tokens == tuple(WORDS.lower().split())
    assert read.sizes == (1, 3, 5)
    assert read.weights.shape == (3, 10, 10)
    assert not read.weights.flags.writeable
    np.testing.assert_allclose(read.weights.sum(axis=2), 1.0, atol=1e-5)
    assert read.received().sum() == pytest.approx(1.0, abs=1e-5)
    graph = parse_graph(model)
    graph.outputs = dict.fromkeys(_attention_maps(graph), (1, "T", "T"))
    numbers = vocabulary.numbers(read.tokens)[None]
    with_maps = create_session(serialise_graph(graph)).run({"tokens": numbers}, ("feature", "logits"))
    plain = TextNetwork(model, vocabulary, classes).encode(WORDS)
    np.testing.assert_allclose(with_maps[0][0], plain.feature, atol=1e-5)
    np.testing.assert_allclose(with_maps[1][0], plain.logits, atol=1e-4)


def test_it_reads_what_the_network_reads(shipped: tuple[bytes, Vocabulary, int]) -> None:
    model, vocabulary, _ = shipped
    reader = CrossAttentionReader(model, vocabulary)
    assert reader.read("").tokens == (UNKNOWN,)
    assert reader.read("").weights.shape == (3, 1, 1)
    long = reader.read(" ".join(["word"] * 99 + ["don't"]))
    assert len(long.tokens) == MAX_TOKENS
    assert long.tokens[-2:] == ("do", "n't")
    assert reader.read("xqzzy yes").known == (False, True)


def test_a_network_without_it_is_told(random_bundle: Path) -> None:
    bundle = load_bundle(random_bundle)
    with pytest.raises(BundleError, match="no cross-attention"):
        CrossAttentionReader(bundle.content("text.onnx"), Vocabulary(bundle.vocabulary()))
    with pytest.raises(BundleError, match="cannot be read"):
        CrossAttentionReader(b"no graph", Vocabulary(bundle.vocabulary()))
