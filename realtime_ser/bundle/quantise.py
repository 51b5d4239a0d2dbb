"""Integer weights for the large matrix products of a graph, derived from whatever graph is given.

Weights are rounded to 129 levels per output (-64 … 64, 7 bits and a sign: with all 8 bits, the 16-bit sums of AVX2 processors
overflow), inputs to 255 levels on both sides of zero, by the largest value *of their own row*. So a row's result does not
depend on the rows that it is computed with, which ONNX's ``DynamicQuantizeLinear`` (one range for all rows) would not grant.
The product itself is ONNX Runtime's own ``MatMulIntegerToFloat``: ONNX's ``MatMulInteger`` leaves two more passes over its
result to others. Squares become products, which the runtime works out three times as fast as powers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.onnx_format import Attribute, Graph, Node, parse_graph, serialise_graph

__all__ = ["quantise"]

_WORTHWHILE = 1 << 16
"""Weights from which on a product is converted: smaller ones cost more to convert than they take."""
_LEVELS = 64
_AXES_ARE_INPUTS_FROM = 18
"""Version of the operator set from which on ReduceMin and ReduceMax are told their axes by an input."""


def quantise(model: bytes) -> bytes | None:
    """The same graph with integer weights in its large matrix products.

    Parameters
    ----------
    model
        An ``.onnx`` file, float32.

    Returns
    -------
    bytes or None
        Another ``.onnx`` file with the same ports; ``None`` where the graph has no product that is large enough.

    Raises
    ------
    ValueError
        `model` is no ONNX file.
    """
    graph = parse_graph(model)
    nodes: list[Node] = []
    converted = 0
    for node in graph.nodes:
        product = _product(node, graph)
        if product is not None:
            nodes += _integer_product(node, *product, graph, converted)
            converted += 1
        elif _is_square(node, graph):
            nodes.append(Node("Mul", (node.inputs[0], node.inputs[0]), node.outputs))
        else:
            nodes.append(node)
    if not converted:
        return None
    graph.nodes = nodes
    used = {name for node in nodes for name in node.inputs}
    graph.constants = {name: array for name, array in graph.constants.items() if name in used}
    return serialise_graph(graph)


def _product(node: Node, graph: Graph) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Weights ``(inputs, outputs)`` and bias ``(outputs,)`` of a large product with constant weights, else ``None``."""
    if node.kind not in ("Gemm", "MatMul") or len(node.inputs) < 2:
        return None
    weights = graph.constants.get(node.inputs[1])
    if weights is None or weights.dtype != np.float32 or weights.ndim != 2 or weights.size < _WORTHWHILE:
        return None
    attributes = node.attributes
    if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        return None
    if attributes.get("transB", 0):
        weights = weights.T
    bias = np.zeros(weights.shape[1], np.float32)
    if len(node.inputs) > 2:
        constant = graph.constants.get(node.inputs[2])
        if constant is None or constant.shape != bias.shape:
            return None
        bias = constant
    return weights, bias


def _is_square(node: Node, graph: Graph) -> bool:
    exponent = graph.constants.get(node.inputs[1]) if node.kind == "Pow" and len(node.inputs) == 2 else None
    return exponent is not None and exponent.shape == () and float(exponent) == 2.0


def _integer_product(
    node: Node, weights: NDArray[np.float32], bias: NDArray[np.float32], graph: Graph, number: int
) -> list[Node]:
    """Nodes in place of ``x @ weights + bias``; their constants are added to the graph.

    With s the step of a row, x ≈ s·(q − 128), so that x @ W = s·((q − 128) @ W).
    """
    step = np.maximum(np.abs(weights).max(axis=0), np.finfo(np.float32).tiny) / np.float32(_LEVELS)
    rounded = np.rint(weights / step).astype(np.int8)

    def name(what: str) -> str:
        return f"quantised/{number}/{what}"

    graph.constants |= {
        name("weights"): rounded,
        name("step"): step.astype(np.float32),
        name("bias"): bias,
        name("one"): np.array(1.0, np.float32),
        name("share"): np.array([1.0 / 127.0], np.float32),
        name("middle"): np.array([128.0], np.float32),
        name("zero"): np.array(128, np.uint8),
        # A row of zeros must not be divided by nothing.
        name("least"): np.array([1e-20], np.float32),
        name("axis"): np.array([1], np.int64),
    }
    x, result = node.inputs[0], node.outputs[0]
    by_input = graph.opset >= _AXES_ARE_INPUTS_FROM
    reduced = (name("size"), name("axis")) if by_input else (name("size"),)
    how: dict[str, Attribute] = {"keepdims": 1} if by_input else {"keepdims": 1, "axes": (1,)}

    def new(kind: str, *inputs: str, output: str, **attributes: int) -> Node:
        return Node(kind, inputs, (output,), attributes)

    terms = (name("levels"), name("weights"), name("one"), name("step"), name("zero"))

    return [
        new("Abs", x, output=name("size")),
        Node("ReduceMax", reduced, (name("largest"),), how),
        new("Mul", name("largest"), name("share"), output=name("some")),
        new("Max", name("some"), name("least"), output=name("row_step")),
        new("Div", x, name("row_step"), output=name("exact")),
        new("Round", name("exact"), output=name("whole")),
        new("Add", name("whole"), name("middle"), output=name("shifted")),
        new("Cast", name("shifted"), output=name("levels"), to=2),  # uint8
        Node("MatMulIntegerToFloat", terms, (name("in_columns"),), domain="com.microsoft"),
        new("Mul", name("in_columns"), name("row_step"), output=name("product")),
        new("Add", name("product"), name("bias"), output=result),
    ]
