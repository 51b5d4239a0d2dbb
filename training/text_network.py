"""The paper's text network in PyTorch, and its export as a graph of the bundle.

The reading of the paper that is implemented here, with T tokens, F = 12 filters and the kernel sizes j in {1, 3, 5}:

* E (T, 300): the token embeddings.
* Left branch: H = biLSTM(E), then L_j = ReLU(conv_j(H)), (T, F). Right branch: R_j = ReLU(conv_j(E)), (T, F). All convolutions
  keep the length (zeros beyond both ends).
* Cross-attention: the right branch's map of size j is the context for the left branch's map of size j. Every n-gram of the
  right branch asks which positions of the left branch's map go with it:

  eq. (3)  A_j = softmax(R_j L_jᵀ / sqrt(F)), (T, T), rows over the left branch's positions sum to 1;
  eq. (4)  C_j = A_j L_j, (T, F).

* Concatenation of C_1, C_3, C_5 and of their contexts R_1, R_3, R_5, (T, 6 F), then mean and maximum over time, (12 F,). The
  paper leaves open how its maps of up to 100 tokens become a vector; pooling makes the result independent of padding and the
  network small enough to ship.
* T-DNN: dense layer with ReLU, dense layer with ReLU to the 4800-D feature. Classifier: linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from realtime_ser.text.network import MAX_TOKENS

__all__ = ["TextShape", "TwoBranchTextNetwork", "padded", "text_graph"]


@dataclass(frozen=True, slots=True)
class TextShape:
    """Sizes of the network.

    Attributes
    ----------
    lstm
        Units of either direction.
    filters
        Of every convolution.
    hidden
        Of the T-DNN's first layer.
    """

    vocabulary: int
    classes: int
    embedding: int = 300
    lstm: int = 64
    kernels: tuple[int, ...] = (1, 3, 5)
    filters: int = 12
    hidden: int = 192
    feature: int = 4_800


def padded(texts: Sequence[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Token numbers, shape (texts, longest), and lengths of `texts`; of long ones the last 100 tokens, as at run time."""
    texts = [text[-MAX_TOKENS:] for text in texts]
    lengths = torch.tensor([len(text) for text in texts])
    tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.from_numpy(text)
    return tokens, lengths


class TwoBranchTextNetwork(nn.Module):
    """The two-branch network with cross-attention as described at the top of this module.

    Parameters
    ----------
    shape
        Sizes.
    dropout
        Probability of dropping an embedding's channel (for a whole text) and a value before the T-DNN's layers, in training.
    """

    def __init__(self, shape: TextShape, dropout: float = 0.3) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.embedding, padding_idx=0, sparse=True)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.lstm = nn.LSTM(shape.embedding, shape.lstm, batch_first=True, bidirectional=True)
        self.left = nn.ModuleList(nn.Conv1d(2 * shape.lstm, shape.filters, size, padding=size // 2) for size in shape.kernels)
        self.right = nn.ModuleList(nn.Conv1d(shape.embedding, shape.filters, size, padding=size // 2) for size in shape.kernels)
        self.hidden = nn.Linear(4 * len(shape.kernels) * shape.filters, shape.hidden)
        self.feature = nn.Linear(shape.hidden, shape.feature)
        self.classifier = nn.Linear(shape.feature, shape.classes)
        self.dropout = nn.Dropout(dropout)
        self.channel_dropout = nn.Dropout1d(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Read a batch.

        Parameters
        ----------
        tokens
            int64, shape ``(batch, longest)``, 0 beyond a text's end.
        lengths
            int64 on the processor, shape ``(batch,)``, at least 1.

        Returns
        -------
        feature, logits
            Shapes ``(batch, 4800)`` and ``(batch, classes)``. Padding does not change them.
        """
        valid = torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths.to(tokens.device)[:, None]
        embedded = self.channel_dropout(self.embedding(tokens).transpose(1, 2)).transpose(1, 2) * valid[..., None]
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        recurrent, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=tokens.shape[1])
        maps: list[Tensor] = []
        contexts: list[Tensor] = []
        for left, right in zip(self.left, self.right, strict=True):
            evidence = functional.relu(_convolved(recurrent, left))
            context = functional.relu(_convolved(embedded, right))
            affinity = context @ evidence.transpose(1, 2) / self.shape.filters**0.5
            attention = affinity.masked_fill(~valid[:, None, :], -torch.inf).softmax(dim=-1)  # eq. (3)
            maps.append(attention @ evidence)  # eq. (4)
            contexts.append(context)
        joined = torch.cat(maps + contexts, dim=-1)
        mean = (joined * valid[..., None]).sum(dim=1) / lengths.to(tokens.device)[:, None]
        maximum = joined.masked_fill(~valid[..., None], -torch.inf).amax(dim=1)
        hidden = functional.relu(self.hidden(self.dropout(torch.cat([mean, maximum], dim=-1))))
        feature = functional.relu(self.feature(self.dropout(hidden)))
        return feature, self.classifier(self.dropout(feature))


def _convolved(rows: Tensor, layer: nn.Conv1d) -> Tensor:
    """`layer` over the middle axis of `rows`, (batch, T, in) → (batch, T, out).

    A product per tap and a shifted sum: for 12 filters on short texts several times faster on a processor than its convolution.
    """
    size, length = layer.kernel_size[0], rows.shape[1]
    taps = rows @ layer.weight.permute(1, 2, 0).flatten(1)
    taps = functional.pad(taps, (0, 0, size // 2, size // 2)).unflatten(-1, (size, -1))
    return torch.stack([taps[:, tap : tap + length, tap] for tap in range(size)]).sum(dim=0) + layer.bias


def _quantised_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round every row to 255 steps of its own: integers, shape as `table`, and steps, shape ``(rows, 1)``."""
    step = np.abs(table).max(axis=1, keepdims=True) / 127
    step[step == 0] = 1
    return np.rint(table / step).astype(np.int8), step.astype(np.float32)


def text_graph(network: TwoBranchTextNetwork) -> bytes:
    """Write `network` as ``text.onnx``: ``tokens`` int64 (1, T) → ``feature`` (1, 4800), ``logits`` (1, K).

    The graph is put together by hand: it reads one text without padding, hence needs no masks, and it keeps the embeddings as
    8-bit integers with one step per word and the dense layers before the classifier in half precision (both are turned into
    float32 before they are used). The probabilities of the graph differ from the network's by less than 0.02 for that.
    """
    shape = network.shape
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    graph = _GraphWriter()
    rows, steps = _quantised_rows(weights["embedding.weight"])
    integers = graph.node("Cast", graph.node("Gather", graph.constant(rows), "tokens"), to=TensorProto.FLOAT)
    embedded = graph.node("Mul", integers, graph.node("Gather", graph.constant(steps), "tokens"))
    recurrent = graph.lstm(graph.node("Transpose", embedded, perm=[1, 0, 2]), weights, shape.lstm)
    embedded_channels = graph.node("Transpose", embedded, perm=[0, 2, 1])
    scale = graph.constant(np.float32(shape.filters**-0.5))
    maps: list[str] = []
    contexts: list[str] = []
    for index, size in enumerate(shape.kernels):
        evidence = graph.convolution(recurrent, weights[f"left.{index}.weight"], weights[f"left.{index}.bias"], size)
        context = graph.convolution(embedded_channels, weights[f"right.{index}.weight"], weights[f"right.{index}.bias"], size)
        context_rows = graph.node("Transpose", context, perm=[0, 2, 1])
        affinity = graph.node("Mul", graph.node("MatMul", context_rows, evidence), scale)
        attention = graph.node("Softmax", affinity, axis=-1)
        maps.append(graph.node("MatMul", attention, graph.node("Transpose", evidence, perm=[0, 2, 1])))
        contexts.append(context_rows)
    joined = graph.node("Concat", *maps, *contexts, axis=-1)
    time = graph.constant(np.array([1], dtype=np.int64))
    pooled = [graph.node(kind, joined, time, keepdims=0) for kind in ("ReduceMean", "ReduceMax")]
    hidden = graph.node("Relu", graph.dense(graph.node("Concat", *pooled, axis=-1), weights, "hidden", half=True))
    graph.node("Relu", graph.dense(hidden, weights, "feature", half=True), output="feature")
    graph.dense("feature", weights, "classifier", half=False, output="logits")
    return graph.finish(
        "text",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "T"])],
        [
            helper.make_tensor_value_info("feature", TensorProto.FLOAT, [1, shape.feature]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, shape.classes]),
        ],
    )


class _GraphWriter:
    """Collects nodes and constants, and names what lies between them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(
            numpy_helper.from_array(np.ascontiguousarray(value) if np.ndim(value) else np.array(value), name)
        )
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def convolution(self, source: str, weight: NDArray[np.float32], bias: NDArray[np.float32], size: int) -> str:
        edges = [size // 2, size // 2]
        return self.node("Relu", self.node("Conv", source, self.constant(weight), self.constant(bias), pads=edges))

    def dense(self, source: str, weights: dict[str, NDArray[np.float32]], name: str, *, half: bool, output: str = "") -> str:
        kernel = weights[f"{name}.weight"].T
        stored = self.constant(kernel.astype(np.float16) if half else kernel)
        matrix = self.node("Cast", stored, to=TensorProto.FLOAT) if half else stored
        return self.node("Add", self.node("MatMul", source, matrix), self.constant(weights[f"{name}.bias"]), output=output)

    def lstm(self, source: str, weights: dict[str, NDArray[np.float32]], units: int) -> str:
        """(T, 1, in) → (1, 2 units, T). Gates: PyTorch has input, forget, cell, output; ONNX input, output, forget, cell."""

        def gates(name: str) -> NDArray[np.float32]:
            parts = np.split(weights[name], 4)
            return np.concatenate([parts[0], parts[3], parts[1], parts[2]])

        directions = ("", "_reverse")
        kernel = np.stack([gates(f"lstm.weight_ih_l0{direction}") for direction in directions])
        recurrence = np.stack([gates(f"lstm.weight_hh_l0{direction}") for direction in directions])
        bias = np.stack(
            [np.concatenate([gates(f"lstm.bias_{side}_l0{direction}") for side in ("ih", "hh")]) for direction in directions]
        )
        inputs = [source, *(self.constant(value) for value in (kernel, recurrence, bias))]
        states = self.node("LSTM", *inputs, hidden_size=units, direction="bidirectional")
        by_unit = self.node("Transpose", states, perm=[2, 1, 3, 0])
        return self.node("Reshape", by_unit, self.constant(np.array([1, 2 * units, -1], dtype=np.int64)))

    def finish(self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
        graph = helper.make_graph(self._nodes, name, inputs, outputs, initializer=self._constants)
        # Opset 18 and IR version 9 are understood by ONNX Runtime from 1.16 on.
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="realtime-ser"
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()
