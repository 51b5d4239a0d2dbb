"""The small reader and writer of ONNX files, against the library that defines the format."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.onnx_format import Graph, Node, parse_graph, serialise_graph

onnx = pytest.importorskip("onnx")


def example() -> Graph:
    random = np.random.default_rng(3)
    nodes = [
        Node("Gemm", ("x", "weights", "bias"), ("y",), {"transB": 1, "alpha": 0.5}),
        Node("Reshape", ("y", "shape"), ("z",)),
        Node("ReduceMax", ("z",), ("largest",), {"axes": (-1,), "keepdims": 0}),
    ]
    constants = {
        "weights": random.standard_normal((6, 3)).astype(np.float32),
        "bias": random.standard_normal(6).astype(np.float32),
        "shape": np.array([-1, 2, 3], np.int64),
    }
    return Graph(nodes, constants, {"x": ("rows", 3)}, {"largest": ("rows", 2)})


def test_what_is_written_is_a_valid_model_that_computes_what_it_says() -> None:
    graph = example()
    content = serialise_graph(graph)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    session = create_session(content)
    session.require({"x": (None, 3)}, {"largest": (None, 2)})
    (largest,) = session.run({"x": x}, ["largest"])
    y = 0.5 * x @ graph.constants["weights"].T + graph.constants["bias"]
    np.testing.assert_allclose(largest, y.reshape(-1, 2, 3).max(axis=2), rtol=1e-5)


def test_reading_copies_no_weights() -> None:
    content = serialise_graph(example())
    weights = parse_graph(content).constants["weights"]
    assert np.shares_memory(weights, np.frombuffer(content, np.uint8))


def test_what_is_read_is_what_onnx_wrote() -> None:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[4], auto_pad="VALID", name="first")
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    kept = helper.make_tensor("half", onnx.TensorProto.FLOAT16, [1], [0.5])
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w"), kept])
    imports = [helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("", 19)]
    parsed = parse_graph(helper.make_model(graph, opset_imports=imports).SerializeToString())
    assert parsed.opset == 19
    (found,) = parsed.nodes
    assert (found.kind, found.inputs, found.outputs) == ("Conv", ("x", "w"), ("y",))
    assert found.attributes == {"strides": (4,), "auto_pad": "VALID"}
    assert list(parsed.constants) == ["w"]
    np.testing.assert_array_equal(parsed.constants["w"], weights)


def test_reading_and_writing_changes_nothing() -> None:
    content = serialise_graph(example())
    again = serialise_graph(parse_graph(content))
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    (one,), (other,) = (create_session(model).run({"x": x}, ["largest"]) for model in (content, again))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", [b"", b"this is no graph", serialise_graph(example())[:-9], b"\xff" * 20])
def test_what_is_no_graph_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"graph|ONNX"):
        parse_graph(content)
