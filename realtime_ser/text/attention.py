"""The cross-attention of the text network, eq. (3), taken out of a bundle's graph for display.

The graph is that of the scores; what it computes on the way to them is handed out as well. Scores never come from here, so the
network that gives them stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.onnx_format import Graph, Node, parse_graph, serialise_graph
from realtime_ser.errors import BundleError
from realtime_ser.text.network import read_tokens
from realtime_ser.text.tokens import Vocabulary
from realtime_ser.types import FloatArray, frozen

__all__ = ["CrossAttention", "CrossAttentionReader"]


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """Which places of a text its word groups asked for.

    Attributes
    ----------
    tokens
        What the network read, in order.
    known
        Whether the vocabulary has each of them; all others are one and the same word to the network.
    sizes
        How many words a group has, for every map.
    weights
        ``weights[m, i, k]``: how much the group of ``sizes[m]`` words around token ``i`` (right branch) attended to token ``k``
        as the recurrent branch knows it (left branch); float32, shape ``(maps, tokens, tokens)``, rows sum to 1, read-only.
    """

    tokens: tuple[str, ...]
    known: tuple[bool, ...]
    sizes: tuple[int, ...]
    weights: FloatArray

    def received(self) -> FloatArray:
        """Mean attention that every token got from all groups of all sizes, shape ``(tokens,)``, summing to 1."""
        mean: FloatArray = self.weights.mean(axis=(0, 1))
        return mean


class CrossAttentionReader:
    """Reads texts as the text network does. It holds weights only; several threads may use one instance.

    Parameters
    ----------
    model
        The content of ``text.onnx``.
    vocabulary
        The bundle's.

    Raises
    ------
    BundleError
        The graph cannot be read, or has no cross-attention.
    """

    def __init__(self, model: bytes, vocabulary: Vocabulary) -> None:
        try:
            graph = parse_graph(model)
        except ValueError as error:
            raise BundleError(f"The text network cannot be read: {error}.", "Install the model bundle again.") from error
        maps = _attention_maps(graph)
        if not maps:
            raise BundleError("The text network of this bundle has no cross-attention that could be shown.")
        self._vocabulary = vocabulary
        self._names = tuple(maps)
        self._sizes = tuple(maps.values())
        graph.outputs = dict.fromkeys(maps, (1, "T", "T"))
        self._session = create_session(serialise_graph(graph))
        self._session.require({"tokens": (1, None)}, dict.fromkeys(maps, (1, None, None)))

    def read(self, words: str | Sequence[str]) -> CrossAttention:
        """The attention within a transcript; see :meth:`~realtime_ser.text.network.TextNetwork.encode`."""
        tokens = read_tokens(words, self._vocabulary)
        numbers = self._vocabulary.numbers(tokens)
        maps = self._session.run({"tokens": numbers[np.newaxis]}, self._names)
        known = tuple(token in self._vocabulary for token in tokens)
        return CrossAttention(tuple(tokens), known, self._sizes, frozen(np.concatenate(maps)))


def _attention_maps(graph: Graph) -> dict[str, int]:
    """Outputs of the graph's attentions, (1, T, T), each with the width of the convolutions that it lies between."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    applied = {node.inputs[0] for node in graph.nodes if node.kind == "MatMul"}  # eq. (4): attention times evidence
    maps: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind == "Softmax" and node.outputs[0] in applied:
            widths = _widths(node, makers, graph)
            if len(widths) == 1:
                maps[node.outputs[0]] = widths.pop()
    return maps


def _widths(node: Node, makers: dict[str, Node], graph: Graph) -> set[int]:
    """Widths of the nearest convolutions before a node."""
    widths: set[int] = set()
    waiting = list(node.inputs)
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is None:
            continue
        if maker.kind == "Conv":
            kernel = graph.constants.get(maker.inputs[1])
            widths.add(0 if kernel is None else kernel.shape[-1])
        else:
            waiting += maker.inputs
    return widths
