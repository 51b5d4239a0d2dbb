from __future__ import annotations

import numpy as np
import pytest

from realtime_ser.errors import BundleError
from realtime_ser.fusion.network import FusionNetwork

onnx = pytest.importorskip("onnx")


def graph(classes: int = 4, acoustic: int = 2_048, segments: int = 32) -> bytes:
    """Parts are the first places of either feature; attention is flat."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes = [
        helper.make_node("Slice", ["acoustic", "zero", "classes", "last"], ["acoustic_part"]),
        helper.make_node("Slice", ["text", "zero", "classes", "last"], ["text_part"]),
        helper.make_node("Add", ["acoustic_part", "text_part"], ["logits"]),
        helper.make_node("Identity", ["flat_acoustic"], ["acoustic_attention"]),
        helper.make_node("Identity", ["flat_text"], ["text_attention"]),
    ]
    flat = {
        "flat_acoustic": np.full((1, segments), 1 / segments, np.float32),
        "flat_text": np.full((1, 75), 1 / 75, np.float32),
    }
    constants = {"zero": np.array([0]), "classes": np.array([classes]), "last": np.array([1]), **flat}

    def port(name: str, size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])

    outputs = [port(name, classes) for name in ("logits", "acoustic_part", "text_part")]
    outputs += [port("acoustic_attention", segments), port("text_attention", 75)]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    inputs = [port("acoustic", acoustic), port("text", 4_800)]
    made = helper.make_graph(nodes, "fusion", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def test_parts_attentions_and_logits_are_handed_on_read_only(tmp_path) -> None:
    acoustic, text = np.arange(2_048, dtype=np.float32), -2 * np.arange(4_800, dtype=np.float32)
    (tmp_path / "fusion.onnx").write_bytes(graph())
    for model in (graph(), tmp_path / "fusion.onnx"):
        fused = FusionNetwork(model, 4).fuse(acoustic, text)
        assert fused.acoustic_part.tolist() == [0, 1, 2, 3]
        assert fused.text_part.tolist() == [0, -2, -4, -6]
        assert fused.logits.tolist() == [0, -1, -2, -3]
        assert fused.acoustic_attention.shape == (32,)
        assert fused.text_attention.shape == (75,)
        with pytest.raises(ValueError, match="read-only"):
            fused.logits[0] = 1


def test_features_of_another_shape_are_refused() -> None:
    network = FusionNetwork(graph(), 4)
    with pytest.raises(ValueError, match=r"acoustic must have shape \(2048,\)"):
        network.fuse(np.zeros(4_800, np.float32), np.zeros(4_800, np.float32))
    with pytest.raises(ValueError, match="text must have shape"):
        network.fuse(np.zeros(2_048, np.float32), np.zeros((1, 4_800), np.float32))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (graph(classes=5), "'logits'"),
        (graph(acoustic=1_024), "'acoustic'"),
        (graph(segments=16), "'acoustic_attention'"),
        (b"", "cannot be loaded"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(model: bytes, problem: str) -> None:
    with pytest.raises(BundleError, match=problem):
        FusionNetwork(model, 4)
