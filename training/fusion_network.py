"""The paper's fusions F-I, F-II and F-III in PyTorch, and the export of F-III as a graph of the bundle.

The reading of the paper that is implemented here. With the acoustic feature a, (2048,), and the text feature t, (4800,), each
divided by its own constant scale:

* F-I, concatenation: ``logits = V [a; t] + v``, no attention.
* F-II, self-attention after concatenation: eq. (5)–(7) over the segments of [a; t], then a linear classifier on their sum.
* F-III, attention on each vector before fusion: eq. (5)–(7) over the segments of a and of t apart, then a linear classifier on
  both sums, hence ``logits = acoustic_part + text_part`` exactly, each part with half of the bias.

The paper attends over "informative segments" of a feature vector and leaves the segments open; 2048 and 4800 share the factor
64, so the acoustic feature is read as 32 segments of 64 values and the text feature as 75 segments of 64, together 107. The
values of a dense layer have no order that segments would share, so a plain sum over segments would throw together what has
nothing in common; every segment x_i therefore passes through a linear map of its own first, h_i = P_i x_i. Then

* eq. (5)  u_i = tanh(W h_i + b);
* eq. (6)  a_i = exp(u_iᵀ c) / Σ_k exp(u_kᵀ c), with a learnt context vector c;
* eq. (7)  s = Σ_i a_i h_i, (64,).

P, W, b and c are each attention's own: F-II has one set, F-III one for either modality.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from realtime_ser.fusion.network import ACOUSTIC_FEATURE, SEGMENT, TEXT_FEATURE

__all__ = [
    "AttentionFusion",
    "ConcatenationFusion",
    "Fusion",
    "FusionName",
    "SegmentAttention",
    "SelfAttentionFusion",
    "fusion_graph",
    "fusion_of",
    "root_mean_square",
]

FusionName = Literal["F-I", "F-II", "F-III"]
"""The fusions as the paper names them."""


class SegmentAttention(nn.Module):
    """Attention over the segments of one feature vector, eq. (5)–(7).

    Parameters
    ----------
    feature
        Length of the vector; a multiple of `segment`.
    segment
        Length of a segment and of the result.
    """

    def __init__(self, feature: int, segment: int = SEGMENT) -> None:
        super().__init__()
        if feature % segment:
            raise ValueError(f"the segment must divide the feature, got {segment} and {feature}")
        self.segments, self.segment = feature // segment, segment
        # Weights of about 1 / segments shrink the sum: this scale makes up for it.
        self.maps = nn.Parameter(torch.randn(self.segments, segment, segment) * (self.segments / segment) ** 0.5)
        self.projection = nn.Linear(segment, segment)
        self.context = nn.Parameter(torch.zeros(segment))

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Attend over `vector`, shape ``(batch, feature)``.

        Returns
        -------
        sum, weights
            Shapes ``(batch, segment)`` and ``(batch, segments)``; the weights are positive and sum to 1.
        """
        segments = vector.unflatten(-1, (self.segments, self.segment))
        mapped = torch.einsum("bsi,sio->bso", segments, self.maps)
        scores = torch.tanh(self.projection(mapped)) @ self.context  # eq. (5)
        weights = scores.softmax(dim=-1)  # eq. (6)
        return (weights[..., None] * mapped).sum(dim=1), weights  # eq. (7)


class Fusion(nn.Module, ABC):
    """What the fusions have in common: an acoustic and a text feature go in, logits come out.

    Parameters
    ----------
    classes
        Number of classes.
    acoustic_scale, text_scale
        Constants by which the features are divided first: their mean length over the training data, so that neither modality
        starts out louder.
    dropout
        Probability of dropping a value of the scaled features, in training.
    """

    acoustic_scale: Tensor
    text_scale: Tensor

    def __init__(self, classes: int, acoustic_scale: float = 1.0, text_scale: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("acoustic_scale", torch.tensor(float(acoustic_scale)))
        self.register_buffer("text_scale", torch.tensor(float(text_scale)))

    def scaled(self, acoustic: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Both features divided by their scales, after dropout."""
        return self.dropout(acoustic / self.acoustic_scale), self.dropout(text / self.text_scale)

    @abstractmethod
    def logits(self, acoustic: Tensor, text: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of features of shapes ``(batch, 2048)`` and ``(batch, 4800)``."""


class ConcatenationFusion(Fusion):
    """F-I: a linear classifier on the concatenated features."""

    def __init__(self, classes: int, acoustic_scale: float = 1.0, text_scale: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__(classes, acoustic_scale, text_scale, dropout)
        self.classifier = nn.Linear(ACOUSTIC_FEATURE + TEXT_FEATURE, classes)

    def logits(self, acoustic: Tensor, text: Tensor) -> Tensor:
        """See :meth:`Fusion.logits`."""
        return self.classifier(torch.cat(self.scaled(acoustic, text), dim=-1))

    def forward(self, acoustic: Tensor, text: Tensor) -> Tensor:
        """The logits."""
        return self.logits(acoustic, text)


class SelfAttentionFusion(Fusion):
    """F-II: attention over all segments of the concatenated features at once, then a linear classifier."""

    def __init__(self, classes: int, acoustic_scale: float = 1.0, text_scale: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__(classes, acoustic_scale, text_scale, dropout)
        self.attention = SegmentAttention(ACOUSTIC_FEATURE + TEXT_FEATURE)
        self.classifier = nn.Linear(SEGMENT, classes)

    def logits(self, acoustic: Tensor, text: Tensor) -> Tensor:
        """See :meth:`Fusion.logits`."""
        return self(acoustic, text)[0]

    def forward(self, acoustic: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse a batch of features.

        Returns
        -------
        logits, attention
            Shapes ``(batch, classes)`` and ``(batch, 107)``: 32 segments of the acoustic feature, then 75 of the text feature.
        """
        attended, weights = self.attention(torch.cat(self.scaled(acoustic, text), dim=-1))
        return self.classifier(attended), weights


class AttentionFusion(Fusion):
    """F-III: either feature is attended on its own, then a linear classifier reads both results.

    The scales are folded into the maps on export; the other parameters are :class:`Fusion`'s.
    """

    def __init__(self, classes: int, acoustic_scale: float = 1.0, text_scale: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__(classes, acoustic_scale, text_scale, dropout)
        self.acoustic = SegmentAttention(ACOUSTIC_FEATURE)
        self.text = SegmentAttention(TEXT_FEATURE)
        self.acoustic_classifier = nn.Linear(SEGMENT, classes, bias=False)
        self.text_classifier = nn.Linear(SEGMENT, classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes))

    def logits(self, acoustic: Tensor, text: Tensor) -> Tensor:
        """See :meth:`Fusion.logits`."""
        acoustic_part, text_part, _, _ = self(acoustic, text)
        return acoustic_part + text_part

    def forward(self, acoustic: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fuse a batch of features, shapes ``(batch, 2048)`` and ``(batch, 4800)``.

        Returns
        -------
        acoustic_part, text_part, acoustic_attention, text_attention
            Shapes ``(batch, classes)`` twice, ``(batch, 32)``, ``(batch, 75)``; the logits are the sum of both parts.
        """
        scaled_acoustic, scaled_text = self.scaled(acoustic, text)
        voice, voice_weights = self.acoustic(scaled_acoustic)
        words, words_weights = self.text(scaled_text)
        half = self.bias / 2
        return self.acoustic_classifier(voice) + half, self.text_classifier(words) + half, voice_weights, words_weights


def root_mean_square(features: NDArray[np.floating[Any]]) -> float:
    """Of all values of `features`: the scale by which a network divides them, so that its first steps are neither too small
    nor too large; 1 where all of them are 0.
    """
    return float(np.sqrt(np.mean(np.square(features, dtype=np.float32)))) or 1.0


def fusion_of(
    name: FusionName, classes: int, acoustic_scale: float = 1.0, text_scale: float = 1.0, dropout: float = 0.2
) -> Fusion:
    """A new fusion network by its name in the paper; the parameters are :class:`Fusion`'s.

    Raises
    ------
    ValueError
        There is no such fusion.
    """
    kinds: dict[str, type[Fusion]] = {"F-I": ConcatenationFusion, "F-II": SelfAttentionFusion, "F-III": AttentionFusion}
    if name not in kinds:
        raise ValueError(f"the fusion must be one of {', '.join(get_args(FusionName))}, got {name!r}")
    return kinds[name](classes, acoustic_scale, text_scale, dropout)


def fusion_graph(network: AttentionFusion) -> bytes:
    """Write the F-III `network` as ``fusion.onnx``; inputs and outputs as docs/architecture.md says.

    The maps of the segments are kept in half precision and turned into float32 before they are used; the probabilities of the
    graph differ from the network's by less than 0.005 for that.
    """
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(name: str, value: NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    classes = len(weights["bias"])
    half_bias = constant("half_bias", weights["bias"] / np.float32(2))
    last_axis = constant("last_axis", np.array([-1], dtype=np.int64))
    segment_axis = constant("segment_axis", np.array([1], dtype=np.int64))
    for name in ("acoustic", "text"):
        count, segment, _ = weights[f"{name}.maps"].shape
        maps = constant(f"{name}_maps_half", (weights[f"{name}.maps"] / weights[f"{name}_scale"]).astype(np.float16))
        maps = node("Cast", [maps], f"{name}_maps", to=TensorProto.FLOAT)
        rows = node("Reshape", [name, constant(f"{name}_rows_shape", np.array([count, 1, segment]))], f"{name}_rows")
        mapped = node("MatMul", [rows, maps], f"{name}_mapped_rows")
        mapped = node("Reshape", [mapped, constant(f"{name}_shape", np.array([1, count, segment]))], f"{name}_mapped")
        kernel = constant(f"{name}_kernel", weights[f"{name}.projection.weight"].T)
        bias = constant(f"{name}_bias", weights[f"{name}.projection.bias"])
        hidden = node("MatMul", [mapped, kernel], f"{name}_product")
        hidden = node("Tanh", [node("Add", [hidden, bias], f"{name}_sum")], f"{name}_hidden")  # eq. (5)
        context = constant(f"{name}_context", weights[f"{name}.context"][:, None])
        scores = node("Squeeze", [node("MatMul", [hidden, context], f"{name}_column"), last_axis], f"{name}_scores")
        attention = node("Softmax", [scores], f"{name}_attention", axis=-1)  # eq. (6)
        shares = node("Unsqueeze", [attention, last_axis], f"{name}_shares")
        weighted = node("Mul", [mapped, shares], f"{name}_weighted")
        attended = node("ReduceSum", [weighted, segment_axis], f"{name}_attended", keepdims=0)  # eq. (7)
        classifier = constant(f"{name}_classifier", weights[f"{name}_classifier.weight"].T)
        node("Add", [node("MatMul", [attended, classifier], f"{name}_evidence"), half_bias], f"{name}_part")
    node("Add", ["acoustic_part", "text_part"], "logits")

    def port(name: str, length: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, length])

    outputs = [port(name, classes) for name in ("logits", "acoustic_part", "text_part")]
    outputs += [port(f"{name}_attention", weights[f"{name}.maps"].shape[0]) for name in ("acoustic", "text")]
    inputs = [port("acoustic", ACOUSTIC_FEATURE), port("text", TEXT_FEATURE)]
    graph = helper.make_graph(nodes, "fusion", inputs, outputs, initializer=constants)
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="realtime-ser")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
