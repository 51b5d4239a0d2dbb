"""The fusion network of a bundle: an acoustic and a text feature to class scores, with the share of either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime_ser.bundle.inference import create_session
from realtime_ser.types import FloatArray, frozen

__all__ = ["ACOUSTIC_FEATURE", "SEGMENT", "TEXT_FEATURE", "Fusion", "FusionNetwork"]

ACOUSTIC_FEATURE = 2_048
TEXT_FEATURE = 4_800
"""Lengths of the two feature vectors (the paper's)."""
SEGMENT = 64
"""Length of the segments that are attended over: the largest that divides both features."""

_PORTS = ("logits", "acoustic_part", "text_part", "acoustic_attention", "text_attention")


@dataclass(frozen=True, slots=True)
class Fusion:
    """What the fusion network makes of two features. All arrays are float32 and read-only.

    Attributes
    ----------
    logits
        Class scores before softmax, not calibrated, shape ``(classes,)``; exactly ``acoustic_part + text_part`` up to rounding.
    acoustic_part, text_part
        What either modality contributes, shape ``(classes,)``; the classifier's bias is shared out in halves.
    acoustic_attention, text_attention
        How much every segment counted, shapes ``(32,)`` and ``(75,)``, each in [0, 1] and summing to 1.
    """

    logits: FloatArray
    acoustic_part: FloatArray
    text_part: FloatArray
    acoustic_attention: FloatArray
    text_attention: FloatArray


class FusionNetwork:
    """F-III: attention on each feature before the fusion, eq. (5)–(7), as exported by ``training``.

    It holds weights only; several threads may use one instance.

    Parameters
    ----------
    model
        ``fusion.onnx`` as a path or as bytes.
    classes
        Number of classes of the bundle.

    Raises
    ------
    BundleError
        The graph cannot be loaded or is of another shape.
    """

    def __init__(self, model: bytes | Path, classes: int) -> None:
        self._session = create_session(model)
        parts = dict.fromkeys(_PORTS[:3], (1, classes))
        attentions = {"acoustic_attention": (1, ACOUSTIC_FEATURE // SEGMENT), "text_attention": (1, TEXT_FEATURE // SEGMENT)}
        self._session.require({"acoustic": (1, ACOUSTIC_FEATURE), "text": (1, TEXT_FEATURE)}, {**parts, **attentions})

    def fuse(self, acoustic: FloatArray, text: FloatArray) -> Fusion:
        """Fuse two features.

        Parameters
        ----------
        acoustic
            Mean of the window features of an utterance so far, shape ``(2048,)``.
        text
            Feature of its transcript so far, shape ``(4800,)``.

        Raises
        ------
        ValueError
            A feature is of another shape.
        """
        for name, feature, length in (("acoustic", acoustic, ACOUSTIC_FEATURE), ("text", text, TEXT_FEATURE)):
            if feature.shape != (length,):
                raise ValueError(f"{name} must have shape ({length},), got {feature.shape}")
        inputs = {"acoustic": acoustic[None].astype(np.float32, copy=False), "text": text[None].astype(np.float32, copy=False)}
        return Fusion(*(frozen(output[0]) for output in self._session.run(inputs, _PORTS)))
