"""As much of the ONNX file format as it takes to read weights out of a graph and to write a small one.

ONNX files are protocol buffers. The runtime has neither ``onnx`` nor ``protobuf``; what is needed of them is a dozen messages
of the stable part of the format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), whose field numbers stand below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attribute", "Graph", "Node", "Shape", "parse_graph", "serialise_graph"]

Attribute: TypeAlias = int | float | str | tuple[int, ...]
"""What nodes are set up with; other kinds (tensors, graphs) are kept as they are, but not understood."""

Shape: TypeAlias = Sequence[int | str]
"""Lengths, or names of free ones."""

_IR_VERSION = 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}
_ELEMENT_NUMBERS = {dtype: number for number, dtype in _ELEMENT_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Node:
    """An operation.

    Attributes
    ----------
    raw
        The message that it was read from, which is what gets written then; empty for new ones.
    domain
        Whose operation it is; empty for ONNX's own.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    raw: bytes = b""
    domain: str = ""


@dataclass(slots=True)
class Graph:
    """A graph and the version of the operator set that its nodes are meant in.

    Attributes
    ----------
    constants
        Initial values by name. Those of other element types than float32, int32, int64, int8 and uint8 are kept among the
        `others` and not understood.
    inputs, outputs
        float32 ports of a new graph; a graph that was read keeps its own among the `others`.
    others
        Encoded fields that are written back as they were read.
    """

    nodes: list[Node]
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    outputs: Mapping[str, Shape] = field(default_factory=dict)
    opset: int = 17
    others: bytes = b""


# Reading ------------------------------------------------------------------------------------------------------------------


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """Number, value and whole encoding of every field of a message; :class:`ValueError` where it is torn.

    Nothing is copied: weights take megabytes, and lie three messages deep.
    """
    position = 0
    while position < len(message):
        begin = position
        key, position = _read_varint(message, position)
        kind = key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, position = _read_varint(message, position)
        elif kind == _BYTES:
            length, position = _read_varint(message, position)
            value, position = message[position : position + length], position + length
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
            value, position = message[position : position + length], position + length
        else:
            raise ValueError(f"a field of kind {kind} is no part of the ONNX format")
        if position > len(message):
            raise ValueError("the graph breaks off")
        yield key >> 3, value, message[begin:position]


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message):
            raise ValueError("the graph breaks off")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _integers(value: int | memoryview) -> list[int]:
    """A repeated integer field comes one by one or packed."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = _read_varint(value, position)
        numbers.append(_signed(number))
    return numbers


def _content(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("the graph has a number where a message is due")
    return value


def _text(value: int | memoryview, errors: str = "strict") -> str:
    return str(_content(value), "utf-8", errors)


def parse_graph(model: bytes) -> Graph:
    """Read a model.

    Parameters
    ----------
    model
        The content of an ``.onnx`` file, with its weights inside.

    Raises
    ------
    ValueError
        It is torn or no such file.
    """
    graph = Graph([], opset=0)
    content: memoryview | None = None
    for number, value, _ in _fields(memoryview(model)):
        if number == 7:
            content = _content(value)
        elif number == 8:
            domain, version = "", 0
            for inner, item, _ in _fields(_content(value)):
                if inner == 1:
                    domain = _text(item)
                elif inner == 2 and isinstance(item, int):
                    version = item
            if domain in ("", "ai.onnx"):
                graph.opset = version
    if content is None:
        raise ValueError("the file holds no graph")
    for number, value, encoded in _fields(content):
        if number == 1:
            graph.nodes.append(_parse_node(_content(value)))
        elif number == 5:
            name, array = _parse_tensor(_content(value))
            if array is None:
                graph.others += bytes(encoded)
            else:
                graph.constants[name] = array
        else:
            graph.others += bytes(encoded)
    return graph


def _parse_node(message: memoryview) -> Node:
    kind = domain = ""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Attribute] = {}
    for number, value, _ in _fields(message):
        if number in (1, 2):
            (inputs if number == 1 else outputs).append(_text(value))
        elif number == 4:
            kind = _text(value)
        elif number == 5:
            attributes.update(_parse_attribute(_content(value)))
        elif number == 7:
            domain = _text(value)
    return Node(kind, tuple(inputs), tuple(outputs), attributes, bytes(message), domain)


def _parse_attribute(message: memoryview) -> dict[str, Attribute]:
    name = ""
    content: Attribute | None = None
    for number, value, _ in _fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            (content,) = struct.unpack("<f", _content(value))
        elif number == 3:
            (content,) = _integers(value)
        elif number == 4:
            content = _text(value, "replace")
        elif number == 8:
            content = (*(content if isinstance(content, tuple) else ()), *_integers(value))
    return {} if content is None else {name: content}


def _parse_tensor(message: memoryview) -> tuple[str, NDArray[Any] | None]:
    name, kind = "", 0
    shape: list[int] = []
    raw: memoryview | None = None
    for number, value, _ in _fields(message):
        if number == 1:
            shape += _integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _content(value)
    if raw is None or kind not in _ELEMENT_TYPES:
        return name, None
    return name, np.frombuffer(raw, _ELEMENT_TYPES[kind]).reshape(shape)


# Writing ------------------------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3 | _VARINT) + _varint(value)


def _bytes(field_number: int, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return _varint(field_number << 3 | _BYTES) + _varint(len(content)) + content


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        content, kind = _number(3, value), 2
    elif isinstance(value, float):
        content, kind = _varint(2 << 3 | _FIXED32) + struct.pack("<f", value), 1
    elif isinstance(value, str):
        content, kind = _bytes(4, value), 3
    else:
        content, kind = b"".join(_number(8, item) for item in value), 7
    return _bytes(1, name) + content + _number(20, kind)


def _node(node: Node) -> bytes:
    if node.raw:
        return node.raw
    message = b"".join(_bytes(1, name) for name in node.inputs) + b"".join(_bytes(2, name) for name in node.outputs)
    message += _bytes(4, node.kind) + (_bytes(7, node.domain) if node.domain else b"")
    return message + b"".join(_bytes(5, _attribute(name, value)) for name, value in node.attributes.items())


def _tensor(name: str, array: NDArray[Any]) -> tuple[bytes, bytes]:
    """A constant of the graph: what stands before its values, and these."""
    kind = _ELEMENT_NUMBERS[array.dtype.newbyteorder("<")]
    values = np.ascontiguousarray(array, _ELEMENT_TYPES[kind]).tobytes()
    dims = b"".join(_number(1, length) for length in array.shape)
    head = dims + _number(2, kind) + _bytes(8, name) + _varint(9 << 3 | _BYTES) + _varint(len(values))
    return _varint(5 << 3 | _BYTES) + _varint(len(head) + len(values)) + head, values


def _port(name: str, shape: Shape) -> bytes:
    dims = b"".join(_bytes(1, _number(1, item) if isinstance(item, int) else _bytes(2, item)) for item in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims)))


def serialise_graph(graph: Graph) -> bytes:
    """The content of an ``.onnx`` file that ONNX Runtime loads; the counterpart of :func:`parse_graph`."""
    # In parts, so that weights are put into their place once, not into every message around them.
    content = [_bytes(1, _node(node)) for node in graph.nodes]
    for name, array in graph.constants.items():
        content += _tensor(name, array)
    content.append(graph.others or _bytes(2, "graph"))
    content += [_bytes(11, _port(name, shape)) for name, shape in graph.inputs.items()]
    content += [_bytes(12, _port(name, shape)) for name, shape in graph.outputs.items()]
    head = _number(1, _IR_VERSION) + _varint(7 << 3 | _BYTES) + _varint(sum(map(len, content)))
    versions = {"": graph.opset} | {node.domain: 1 for node in graph.nodes if node.domain not in ("", "ai.onnx")}
    opsets = [_bytes(8, _bytes(1, domain) + _number(2, version)) for domain, version in versions.items()]
    return b"".join((head, *content, *opsets))
