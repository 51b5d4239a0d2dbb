"""Integer weights: close to the graph that they are made from, and no row depends on its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.onnx_format import Graph, Node, parse_graph, serialise_graph
from realtime_ser.bundle.quantise import quantise

RANDOM = np.random.default_rng(5)
WEIGHTS = RANDOM.standard_normal((300, 256)).astype(np.float32)
BIAS = RANDOM.standard_normal(256).astype(np.float32)


def graph(kind: str, opset: int) -> bytes:
    """A large product, something after it, and a small product that is not worth converting."""
    first = {
        "Gemm": Node("Gemm", ("x", "weights", "bias"), ("y",), {"transB": 1}),
        "MatMul": Node("MatMul", ("x", "weights"), ("y",)),
    }[kind]
    nodes = [first, Node("Relu", ("y",), ("large",)), Node("MatMul", ("large", "few"), ("small",))]
    few = RANDOM.standard_normal((256, 3)).astype(np.float32) / 16
    constants = {"weights": WEIGHTS.T.copy() if kind == "Gemm" else WEIGHTS, "few": few}
    if kind == "Gemm":
        constants["bias"] = BIAS
    return serialise_graph(Graph(nodes, constants, {"x": ("n", 300)}, {"large": ("n", 256), "small": ("n", 3)}, opset))


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_the_results_agree_to_the_rounding_of_the_weights(kind: str, opset: int) -> None:
    x = (RANDOM.standard_normal((20, 300)) * np.geomspace(1e-3, 1e3, 20)[:, np.newaxis]).astype(np.float32)
    exact = create_session(graph(kind, opset))
    content = quantise(graph(kind, opset))
    assert content is not None
    rounded = create_session(content)
    assert rounded.inputs == exact.inputs
    assert rounded.outputs == exact.outputs
    (expected,), (found,) = (session.run({"x": x}, ["large"]) for session in (exact, rounded))
    # Half a step of 1/64 of the largest weight and half a step of 1/127 of the row's largest, each 300 times at random.
    step = np.abs(WEIGHTS).max() / 64
    largest = np.abs(x).max(axis=1)
    spread = np.sqrt((x**2).sum(axis=1)) * step / 2 + largest / 127 / 2 * np.sqrt((WEIGHTS**2).sum(axis=0)).max()
    assert (np.abs(found - expected).max(axis=1) < 3 * spread).all()
    assert np.abs(found - expected).max() > 0.0


def test_only_large_products_are_converted() -> None:
    content = quantise(graph("Gemm", 17))
    assert content is not None
    parsed = parse_graph(content)
    assert [node.kind for node in parsed.nodes].count("MatMulIntegerToFloat") == 1
    assert [node.kind for node in parsed.nodes].count("MatMul") == 1
    assert "weights" not in parsed.constants
    assert quantise(serialise_graph(Graph([Node("Relu", ("x",), ("y",))], {}, {"x": ("n",)}, {"y": ("n",)}))) is None


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    content = quantise(graph("Gemm", 17))
    assert content is not None
    session = create_session(content)
    x = RANDOM.standard_normal((7, 300)).astype(np.float32)
    x[3] *= 1e6  # what would take all levels of a range that the rows shared
    (together,) = session.run({"x": x}, ["large"])
    alone = np.concatenate([session.run({"x": x[index : index + 1]}, ["large"])[0] for index in range(7)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


def test_squares_become_products() -> None:
    nodes = [
        Node("Pow", ("x", "two"), ("y",)),
        Node("Pow", ("y", "three"), ("z",)),
        Node("MatMul", ("z", "weights"), ("large",)),
    ]
    constants = {"two": np.array(2.0, np.float32), "three": np.array(3.0, np.float32), "weights": WEIGHTS}
    content = quantise(serialise_graph(Graph(nodes, constants, {"x": ("n", 300)}, {"large": ("n", 256), "y": ("n", 300)})))
    assert content is not None
    kinds = [node.kind for node in parse_graph(content).nodes]
    assert kinds[:2] == ["Mul", "Pow"]
    x = RANDOM.standard_normal((2, 300)).astype(np.float32)
    (squares,) = create_session(content).run({"x": x}, ["y"])
    np.testing.assert_array_equal(squares, x * x)


def test_a_row_of_zeros_is_exact() -> None:
    content = quantise(graph("MatMul", 17))
    assert content is not None
    (found,) = create_session(content).run({"x": np.zeros((1, 300), np.float32)}, ["large"])
    np.testing.assert_array_equal(found, 0.0)
