"""Vectors from which the text network's words start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.word_vectors import read_word_vectors

__all__ = ["VECTOR", "principal_components", "read_word_vectors"]

VECTOR = 300
SPREAD = 0.15
"""Standard deviation of the values of start vectors, about that of GloVe's after scaling; the network expects small ones."""


def principal_components(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """`rows` on the `count` axes along which they differ most, centred and scaled to a standard deviation of :data:`SPREAD`.

    Where `rows` has fewer columns than `count`, the others are zero.
    """
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    turned = centred @ axes[:, ::-1][:, :count]
    result = np.zeros((len(rows), count), np.float32)
    result[:, : turned.shape[1]] = turned * (SPREAD / turned.std())
    return result
