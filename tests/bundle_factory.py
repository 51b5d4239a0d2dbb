"""A complete bundle with small random networks: the geometry of a real one, made in milliseconds, the same every time.

Its scores mean nothing; it is for tests of everything around the networks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from realtime_ser.bundle.manifest import digest

BANDS, KERNEL, STRIDE, HOP, WINDOW, WIDTH, FEATURE, TEXT_FEATURE = 20, 251, 4, 160, 4000, 16, 2048, 4800
CLASSES = ["anger", "happiness", "neutral", "sadness"]
_SPOKEN = "a i am so happy angry sad fine the it is one two three four five six seven eight nine enter"
WORDS = ["<pad>", "<unk>", *_SPOKEN.split()]


def _model(nodes: list[onnx.NodeProto], inputs: dict, outputs: dict, constants: dict[str, NDArray]) -> bytes:
    def ports(shapes: dict) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in shapes.items()]

    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", ports(inputs), ports(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _bands(random: np.random.Generator) -> bytes:
    filters = (random.standard_normal((BANDS, 1, KERNEL)) / np.sqrt(KERNEL)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["samples", "one"], ["x"]),
        helper.make_node("Conv", ["x", "filters"], ["y"], strides=[STRIDE]),
        helper.make_node("Mul", ["y", "y"], ["square"]),
        helper.make_node("AveragePool", ["square"], ["mean"], kernel_shape=[HOP // STRIDE], strides=[HOP // STRIDE]),
        helper.make_node("Add", ["mean", "floor"], ["safe"]),
        helper.make_node("Log", ["safe"], ["log"]),
        helper.make_node("Squeeze", ["log", "zero"], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["log_energies"], perm=[1, 0]),
    ]
    constants = {
        "filters": filters,
        "one": np.array([1], np.int64),
        "zero": np.array([0], np.int64),
        "floor": np.float32(1e-10).reshape(()),
    }
    f = TensorProto.FLOAT
    return _model(nodes, {"samples": (f, [1, "n"])}, {"log_energies": (f, ["f", BANDS])}, constants)


def _trunk(random: np.random.Generator, receptive: int) -> bytes:
    weights = (random.standard_normal((WIDTH, BANDS, receptive)) / np.sqrt(BANDS * receptive)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["bands"], ["channels"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["channels", "zero"], ["x"]),
        helper.make_node("Conv", ["x", "weights"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Squeeze", ["z", "zero"], ["w"]),
        helper.make_node("Transpose", ["w"], ["frames"], perm=[1, 0]),
    ]
    f = TensorProto.FLOAT
    constants = {"weights": weights, "zero": np.array([0], np.int64)}
    return _model(nodes, {"bands": (f, ["f", BANDS])}, {"frames": (f, ["g", WIDTH])}, constants)


def _head(random: np.random.Generator, frames: int, classes: int) -> bytes:
    first = (random.standard_normal((frames * WIDTH, FEATURE)) / np.sqrt(frames * WIDTH)).astype(np.float32)
    second = (random.standard_normal((FEATURE, classes)) / 16).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["frames"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["feature"]),
        helper.make_node("MatMul", ["feature", "second"], ["logits"]),
    ]
    f = TensorProto.FLOAT
    outputs = {"feature": (f, ["w", FEATURE]), "logits": (f, ["w", classes])}
    return _model(nodes, {"frames": (f, ["w", frames, WIDTH])}, outputs, {"first": first, "second": second})


def _text(random: np.random.Generator, classes: int) -> bytes:
    table = np.abs(random.standard_normal((len(WORDS), TEXT_FEATURE))).astype(np.float32)
    weights = (random.standard_normal((TEXT_FEATURE, classes)) / 16).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors"], ["feature"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["feature", "weights"], ["logits"]),
    ]
    f = TensorProto.FLOAT
    outputs = {"feature": (f, [1, TEXT_FEATURE]), "logits": (f, [1, classes])}
    return _model(nodes, {"tokens": (TensorProto.INT64, [1, "t"])}, outputs, {"table": table, "weights": weights})


def _fusion(random: np.random.Generator, classes: int) -> bytes:
    f = TensorProto.FLOAT
    constants = {
        "wa": (random.standard_normal((FEATURE, classes)) / 16).astype(np.float32),
        "wt": (random.standard_normal((TEXT_FEATURE, classes)) / 32).astype(np.float32),
        "flat_a": np.full((FEATURE, 32), 1 / 32, np.float32),
        "flat_t": np.full((TEXT_FEATURE, 75), 1 / 75, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["acoustic", "wa"], ["acoustic_part"]),
        helper.make_node("MatMul", ["text", "wt"], ["text_part"]),
        helper.make_node("Add", ["acoustic_part", "text_part"], ["logits"]),
        helper.make_node("MatMul", ["acoustic", "flat_a"], ["a"]),
        helper.make_node("Softmax", ["a"], ["acoustic_attention"]),
        helper.make_node("MatMul", ["text", "flat_t"], ["t"]),
        helper.make_node("Softmax", ["t"], ["text_attention"]),
    ]
    outputs = {
        "logits": (f, [1, classes]),
        "acoustic_part": (f, [1, classes]),
        "text_part": (f, [1, classes]),
        "acoustic_attention": (f, [1, 32]),
        "text_attention": (f, [1, 75]),
    }
    return _model(nodes, {"acoustic": (f, [1, FEATURE]), "text": (f, [1, TEXT_FEATURE])}, outputs, constants)


def write_bundle(
    folder: Path, *, trunk_receptive: int = 5, seed: int = 7, classes: Sequence[str] = CLASSES, outputs: int | None = None
) -> Path:
    """Write a bundle into `folder` and return it; `outputs` of the networks other than one a class do not fit."""
    count = len(classes) if outputs is None else outputs
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    receptive = KERNEL + (HOP // STRIDE - 1) * STRIDE
    frames = (WINDOW - receptive) // HOP + 1 - trunk_receptive + 1
    contents = {
        "bands.onnx": _bands(random),
        "trunk.onnx": _trunk(random, trunk_receptive),
        "head.onnx": _head(random, frames, count),
        "text.onnx": _text(random, count),
        "fusion.onnx": _fusion(random, count),
        "vocabulary.txt": ("\n".join(WORDS) + "\n").encode(),
    }
    low = np.linspace(50, 7000, BANDS).tolist()
    high = [value + 400 for value in low]
    manifest = {
        "format": 1,
        "name": "random",
        "version": "0",
        "created": "2026-01-01",
        "licence": "none",
        "classes": list(classes),
        "sample_rate": 16000,
        "window": WINDOW,
        "hop": HOP,
        "acoustic": {
            "bands": BANDS,
            "kernel": KERNEL,
            "stride": STRIDE,
            "trunk_receptive_frames": trunk_receptive,
            "frame_width": WIDTH,
            "feature": FEATURE,
            "normalisation": {
                "kind": "running-band-mean",
                "prior_shape": np.linspace(1, -1, BANDS).tolist(),
                "prior_frames": 50,
                "memory_frames": 1000,
            },
            "filters": {"initial_low_hz": low, "initial_high_hz": high, "low_hz": low, "high_hz": high},
        },
        "text": {"max_tokens": 100, "feature": TEXT_FEATURE},
        "fusion": {"kind": "F-III", "segment": 64},
        "calibration": {"window": 1.0, "acoustic": 1.0, "text": 1.0, "fused": 1.0},
        "abstention": {"acoustic": 0.4, "fused": 0.4, "risk": 0.5, "meaning": "none"},
        "card": {"summary": "Random networks for tests.", "figures": [], "limits": [], "data": []},
        "files": {name: digest(data) for name, data in contents.items()},
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
