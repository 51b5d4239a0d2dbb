"""The published configuration of SincNet as a graph to compare with: its cost, not its scores, so its weights are random.

Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet" (SLT 2018), and the authors' code for 16 kHz: 80
filters of 251 taps and two layers of 60 filters of 5, each followed by pooling over 3, layer normalisation and a leaky
rectifier; then three fully connected layers of 2048 and a classifier, here on windows of this program's length. Batch
normalisation after fully connected layers is part of their weights at run time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.onnx_format import Graph, Node, serialise_graph

__all__ = ["multiply_adds", "sincnet"]

_LAYERS = ((80, 251), (60, 5), (60, 5))
_POOL = 3
_CONNECTED = (2048, 2048, 2048)
_SLOPE = 0.2


def sincnet(window: int, classes: int) -> bytes:
    """``window`` (1, 1, `window`) → ``scores`` (1, `classes`), an ``.onnx`` file."""
    random = np.random.default_rng(0)
    constants: dict[str, NDArray[Any]] = {"flat": np.array([1, -1], np.int64)}
    nodes: list[Node] = []

    def weights(name: str, *shape: int) -> str:
        constants[name] = (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        return name

    def normalise(x: str, name: str, channels: int, length: int) -> str:
        # The authors' normalisation runs over time, with a gain and an offset for every single value.
        constants[f"{name}/one"], constants[f"{name}/zero"] = np.ones(length, np.float32), np.zeros(length, np.float32)
        shape = (1, channels, length) if channels else (1, length)
        constants[f"{name}/gain"], constants[f"{name}/offset"] = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        nodes.append(
            Node(
                "LayerNormalization",
                (x, f"{name}/one", f"{name}/zero"),
                (f"{name}/normal",),
                {"axis": -1, "epsilon": 1e-6},
            )
        )
        nodes.append(Node("Mul", (f"{name}/normal", f"{name}/gain"), (f"{name}/scaled",)))
        nodes.append(Node("Add", (f"{name}/scaled", f"{name}/offset"), (name,)))
        return name

    x = normalise("window", "input", 1, window)
    channels, length = 1, window
    for number, (filters, taps) in enumerate(_LAYERS):
        nodes.append(Node("Conv", (x, weights(f"filters{number}", filters, channels, taps)), (f"conv{number}",)))
        x = f"conv{number}"
        if number == 0:
            nodes.append(Node("Abs", (x,), ("magnitude",)))
            x = "magnitude"
        nodes.append(Node("MaxPool", (x,), (f"pool{number}",), {"kernel_shape": (_POOL,), "strides": (_POOL,)}))
        channels, length = filters, (length - taps + 1) // _POOL
        x = normalise(f"pool{number}", f"norm{number}", channels, length)
        nodes.append(Node("LeakyRelu", (x,), (f"act{number}",), {"alpha": _SLOPE}))
        x = f"act{number}"
    nodes.append(Node("Reshape", (x, "flat"), ("flattened",)))
    width = channels * length
    x = normalise("flattened", "connected", 0, width)
    for number, size in enumerate(_CONNECTED):
        constants[f"bias{number}"] = np.zeros(size, np.float32)
        nodes.append(
            Node("Gemm", (x, weights(f"dense{number}", size, width), f"bias{number}"), (f"fc{number}",), {"transB": 1})
        )
        nodes.append(Node("LeakyRelu", (f"fc{number}",), (f"fcact{number}",), {"alpha": _SLOPE}))
        x, width = f"fcact{number}", size
    nodes.append(Node("Gemm", (x, weights("classifier", classes, width)), ("logits",), {"transB": 1}))
    nodes.append(Node("Softmax", ("logits",), ("scores",), {"axis": 1}))
    return serialise_graph(Graph(nodes, constants, {"window": (1, 1, window)}, {"scores": (1, classes)}))


def multiply_adds(window: int, classes: int) -> int:
    """Multiply-adds of one window, convolutions and products; nothing else counts."""
    total, channels, length = 0, 1, window
    for filters, taps in _LAYERS:
        outputs = length - taps + 1
        total += filters * channels * taps * outputs
        channels, length = filters, outputs // _POOL
    width = channels * length
    for size in (*_CONNECTED, classes):
        total += width * size
        width = size
    return total
