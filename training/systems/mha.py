"""MHA-2: attention that hops from the sound to the words and back.

S. Yoon, S. Byun, S. Dey, K. Jung, "Speech emotion recognition using multi-hop attention mechanism", ICASSP 2019, as the paper
describes it:

* Two bidirectional LSTM with residual connections read the MFCC frames and the word vectors: →h[t] = f(→h[t−1], x[t]) + x[t],
  ←h[t] likewise from the other end, o[t] = [→h[t]; ←h[t]]. The clip's prosodic values p join every output of the audio
  encoder, o_A[t] = [o[t]; p].
* First hop (MHA-1): the audio encoder's last output asks the words: a[i] = exp(o_A[last]ᵀ o_T[i]) / Σ_j exp(o_A[last]ᵀ o_T[j]),
  H_1 = Σ_i a[i] o_T[i].
* Second hop (MHA-2): what the words answered asks the sound: b[i] = exp(H_1ᵀ o_A[i]) / Σ_j exp(H_1ᵀ o_A[j]),
  H_2 = Σ_i b[i] o_A[i].
* ŷ = softmax(Wᵀ [H_1; H_2] + b); cross-entropy.

Left open by the paper, and read here: inner products need vectors of one length, so a linear layer brings [o[t]; p] to that of
o_T; the inputs are brought to the LSTM's width by a linear layer, so that they can be added; the "last" output is the last
state of either direction; 100 units in either direction, so that an output has the 200 values of MDRE; acoustic and prosodic
features as in MDRE; dropout 0.3 on the inputs and before the classifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.systems.acoustic_features import MFCC_WIDTH, PROSODY_WIDTH
from training.systems.neural import ClipBatch, NeuralSystem, WordEmbedding, backwards, read_in_order, valid_places

__all__ = ["MultiHop", "MultiHopAttention", "ResidualEncoder", "attend"]


def attend(query: Tensor, rows: Tensor, counts: Tensor) -> Tensor:
    """Mean of `rows` ``(n, longest, width)`` weighted by the softmax of their inner products with `query` ``(n, width)``.

    Rows from `counts` on have weight 0.
    """
    scores = (rows @ query[:, :, None]).squeeze(2)
    weights = scores.masked_fill(~valid_places(counts, rows.shape[1]), -torch.inf).softmax(dim=1)
    return (weights[:, None] @ rows).squeeze(1)


class ResidualEncoder(nn.Module):
    """A bidirectional LSTM whose input is added to the output of either direction."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.bring = nn.Linear(width, units)
        self.rightwards = nn.LSTM(units, units, batch_first=True)
        self.leftwards = nn.LSTM(units, units, batch_first=True)

    def forward(self, rows: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs ``(n, longest, 2 units)`` and the last one of either direction ``(n, 2 units)``."""
        brought = self.bring(rows)
        forward, _ = read_in_order(self.rightwards, brought, counts)
        mirrored, _ = read_in_order(self.leftwards, backwards(brought, counts), counts)
        forward, backward = forward + brought, backwards(mirrored, counts) + brought
        ends = forward[torch.arange(len(rows), device=rows.device), counts - 1]
        return torch.cat([forward, backward], dim=2), torch.cat([ends, backward[:, 0]], dim=1)


class MultiHopAttention(nn.Module):
    """The network as described at the top of this module; its embedding is [H_1; H_2]."""

    def __init__(self, words: WordEmbedding, classes: int, units: int = 100, dropout: float = 0.3) -> None:
        super().__init__()
        self.words = words
        self.hear = ResidualEncoder(MFCC_WIDTH, units)
        self.read = ResidualEncoder(words.embedding_dim, units)
        self.join = nn.Linear(2 * units + PROSODY_WIDTH, 2 * units)
        self.classifier = nn.Linear(4 * units, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Logits ``(n, classes)`` and the embedding [H_1; H_2]."""
        sound, last = self.hear(self.dropout(batch.frames), batch.frame_counts)
        words, _ = self.read(self.dropout(self.words(batch.tokens)), batch.token_counts)
        prosody = batch.prosody[:, None].expand(-1, sound.shape[1], -1)
        sound = self.join(torch.cat([sound, prosody], dim=2))
        last = self.join(torch.cat([last, batch.prosody], dim=1))
        first_hop = attend(last, words, batch.token_counts)
        second_hop = attend(first_hop, sound, batch.frame_counts)
        embedding = torch.cat([first_hop, second_hop], dim=1)
        return self.classifier(self.dropout(embedding)), embedding


class MultiHop(NeuralSystem):
    """MHA-2 as a compared system."""

    name = "MHA-2"
    label = "mha-2"

    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        """The network before training."""
        return MultiHopAttention(words, classes)
