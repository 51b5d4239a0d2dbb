from __future__ import annotations

import threading

import numpy as np
import pytest

from realtime_ser.bundle.inference import Port, create_session
from realtime_ser.errors import BundleError

onnx = pytest.importorskip("onnx")


def doubling_graph(kind: int = onnx.TensorProto.FLOAT) -> bytes:
    helper = onnx.helper
    node = helper.make_node("Add", ["x", "x"], ["y"])
    ports = [helper.make_tensor_value_info(name, kind, [1, "n"]) for name in ("x", "y")]
    graph = helper.make_graph([node], "double", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def test_a_graph_runs_from_bytes_and_from_a_file(tmp_path) -> None:
    path = tmp_path / "double.onnx"
    path.write_bytes(doubling_graph())
    for model in (doubling_graph(), path):
        session = create_session(model)
        (y,) = session.run({"x": np.array([[1, 2.5]], np.float32)}, ["y"])
        assert y.tolist() == [[2, 5]]
        assert y.dtype == np.float32
        assert session.inputs == (Port("x", (1, None), np.dtype(np.float32)),)
    assert session.name == "double.onnx"


def test_one_session_serves_several_threads() -> None:
    session = create_session(doubling_graph())
    results: dict[int, float] = {}

    def work(number: int) -> None:
        for _ in range(50):
            (y,) = session.run({"x": np.full((1, 100), number, np.float32)}, ["y"])
        results[number] = float(y.mean())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 2.0 * number for number in range(4)}


@pytest.mark.parametrize(
    ("inputs", "outputs", "problem"),
    [
        ({"x": (1, 5)}, {"y": (1, None)}, None),
        ({"x": (2, 5)}, {}, r"'x' .* must have the shape \(2, 5\), it has \(1, any\)"),
        ({"x": (1,)}, {}, "must have the shape"),
        ({"x": (1, None), "z": (1,)}, {}, "no input 'z'"),
        ({}, {}, "unexpected input 'x'"),
        ({"x": (1, None)}, {"z": (1,)}, "no output 'z'"),
    ],
)
def test_ports_are_checked(inputs: dict, outputs: dict, problem: str | None) -> None:
    session = create_session(doubling_graph())
    if problem is None:
        session.require(inputs, outputs)
    else:
        with pytest.raises(BundleError, match=problem):
            session.require(inputs, outputs)


def test_what_cannot_be_loaded_is_a_bundle_error_that_names_it(tmp_path) -> None:
    with pytest.raises(BundleError, match=r"no graph .*none\.onnx"):
        create_session(tmp_path / "none.onnx")
    (tmp_path / "torn.onnx").write_bytes(doubling_graph()[:40])
    with pytest.raises(BundleError, match=r"torn\.onnx cannot be loaded"):
        create_session(tmp_path / "torn.onnx")
    with pytest.raises(BundleError, match="cannot be loaded"):
        create_session(b"this is no graph")
    with pytest.raises(BundleError, match="unsupported type"):
        create_session(doubling_graph(onnx.TensorProto.DOUBLE))
