"""MDRE: two recurrent encoders side by side.

S. Yoon, S. Byun, K. Jung, "Multimodal speech emotion recognition using audio and text", SLT 2018, as the paper describes it:

* Audio: a gated recurrent network over the 39 MFCC of every frame (12 and log energy with first and second derivatives, 25 ms
  every 10 ms). Its last state h and the 35 prosodic values p of the clip are e = [h; p].
* Text: a gated recurrent network over word vectors; its last state is h'.
* A = g(e) and T = g'(h'), each a layer of a feed-forward network; ŷ = softmax(Mᵀ [A; T] + b); cross-entropy.

Left open by the paper, and read here: g and g' are linear and halve their input, as in the code that its authors published;
200 units each (as there); the prosodic values, of which the paper says that they come from F0, voicing probability and
loudness contours, are those of :func:`~training.systems.acoustic_features.prosody`; dropout 0.3 before every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.systems.acoustic_features import MFCC_WIDTH, PROSODY_WIDTH
from training.systems.neural import ClipBatch, NeuralSystem, WordEmbedding, read_in_order

__all__ = ["DualEncoder", "Mdre"]


class DualEncoder(nn.Module):
    """The network as described at the top of this module; its embedding is [A; T]."""

    def __init__(self, words: WordEmbedding, classes: int, units: int = 200, dropout: float = 0.3) -> None:
        super().__init__()
        self.words = words
        self.hear = nn.GRU(MFCC_WIDTH, units, batch_first=True)
        self.read = nn.GRU(words.embedding_dim, units, batch_first=True)
        self.heard = nn.Linear(units + PROSODY_WIDTH, (units + PROSODY_WIDTH) // 2)
        self.understood = nn.Linear(units, units // 2)
        self.classifier = nn.Linear(self.heard.out_features + self.understood.out_features, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Logits ``(n, classes)`` and the embedding [A; T]."""
        _, sound = read_in_order(self.hear, self.dropout(batch.frames), batch.frame_counts)
        _, words = read_in_order(self.read, self.dropout(self.words(batch.tokens)), batch.token_counts)
        audio = self.heard(torch.cat([self.dropout(sound), batch.prosody], dim=1))
        text = self.understood(self.dropout(words))
        embedding = torch.cat([audio, text], dim=1)
        return self.classifier(embedding), embedding


class Mdre(NeuralSystem):
    """MDRE as a compared system."""

    name = "MDRE"
    label = "mdre"

    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        """The network before training."""
        return DualEncoder(words, classes)
