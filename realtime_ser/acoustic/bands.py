"""The sinc filter bank with half the multiplications: its filters are symmetric, eq. (2), so the signal can be folded first.

With K taps, w[k] = w[K-1-k], so that Σ w[k] x[n+k] over K taps is Σ w[k] (x[n+k] + x[n+K-1-k]) over half of them. The sums do
not depend on the filter: they are made once for all of them, and what remains is one matrix product of half the size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.inference import Session, create_session
from realtime_ser.bundle.onnx_format import Graph, Node, parse_graph, serialise_graph
from realtime_ser.types import FloatArray

__all__ = ["FoldedBands"]

_FLOOR = 1e-10
"""Added to the energies before the logarithm; part of the bundle's format (docs/architecture.md)."""
_SYMMETRIC = 1e-6
"""Largest difference between the halves of a filter, relative to its largest tap: a few roundings in single precision."""
_AGREEMENT = 1e-4
"""Largest difference of log energies between the folded and the given graph on the probe: rounding in another order."""
_FRAMES_AT_ONCE = 25
"""The folded signal of so many frames (1.6 MB) stays in a core's cache."""


class FoldedBands:
    """Log energies of symmetric filters; a drop-in for the bundle's ``bands.onnx``. Several threads may use one instance.

    Parameters
    ----------
    filters
        float32, shape ``(bands, taps)``, symmetric.
    stride, hop
        Samples between two outputs of a filter, and outputs' samples that are averaged; `hop` is a multiple of `stride`.
    """

    def __init__(self, filters: FloatArray, stride: int, hop: int) -> None:
        self._taps = int(filters.shape[1])
        self._half = (self._taps + 1) // 2
        self._stride = stride
        self._hop = hop
        folded: FloatArray = np.float32(0.5) * (filters[:, : self._half] + filters[:, ::-1][:, : self._half]).T
        if self._taps % 2:
            folded[-1] *= np.float32(0.5)  # the middle tap is its own partner
        self._session: Session = create_session(_graph(folded, hop // stride))

    @classmethod
    def of_graph(cls, model: bytes, *, bands: int, taps: int, stride: int, hop: int) -> FoldedBands | None:
        """Fold the filters of a ``bands.onnx``; ``None`` where it does not hold symmetric filters of that shape alone.

        What the graph does beside filtering is not read from it: the result is compared with the graph's on a probe instead.
        """
        shapes = ((bands, taps), (bands, 1, taps))
        try:
            found = [array for array in parse_graph(model).constants.values() if array.shape in shapes]
        except ValueError:
            return None
        if len(found) != 1 or found[0].dtype != np.float32 or hop % stride:
            return None
        filters: FloatArray = found[0].reshape(bands, taps)
        if np.abs(filters - filters[:, ::-1]).max() > _SYMMETRIC * np.abs(filters).max():
            return None
        folded = cls(filters, stride, hop)
        probe = np.random.default_rng(0).standard_normal(folded._receptive + 2 * hop).astype(np.float32)
        (expected,) = create_session(model).run({"samples": probe[np.newaxis]}, ["log_energies"])
        ours = folded.log_energies(probe)
        return folded if ours.shape == expected.shape and np.abs(ours - expected).max() <= _AGREEMENT else None

    def log_energies(self, samples: FloatArray) -> FloatArray:
        """Natural logarithm of the mean square of every filter's output per hop.

        Parameters
        ----------
        samples
            float32, shape ``(receptive + hop * (frames - 1),)`` with receptive = taps + hop - stride.

        Returns
        -------
        ndarray
            float32, shape ``(frames, bands)``.
        """
        frames = (len(samples) - self._receptive) // self._hop + 1
        outputs = self._hop // self._stride
        size = samples.itemsize
        # The second half of a filter's taps, backwards, is read forwards from the reversed signal: NumPy adds runs of
        # consecutive samples several at a time.
        forwards, backwards = np.ascontiguousarray(samples), samples[::-1].copy()
        pairs = np.empty((min(frames, _FRAMES_AT_ONCE) * outputs, self._half), np.float32)
        parts: list[FloatArray] = []
        for first in range(0, frames, _FRAMES_AT_ONCE):
            rows = min(_FRAMES_AT_ONCE, frames - first) * outputs
            begin = first * self._hop
            last = len(samples) - self._taps - begin
            shape, step = (rows, self._half), self._stride * size
            one = np.ndarray(shape, np.float32, forwards, begin * size, (step, size))
            other = np.ndarray(shape, np.float32, backwards, last * size, (-step, size))
            np.add(one, other, out=pairs[:rows])
            parts += self._session.run({"pairs": pairs[:rows]}, ["log_energies"])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _receptive(self) -> int:
        return self._taps + self._hop - self._stride


def _graph(filters: FloatArray, outputs: int) -> bytes:
    """``(frames * outputs, taps / 2)`` → ``(frames, bands)``: product, square, mean, logarithm."""
    half, bands = filters.shape
    nodes = [
        Node("MatMul", ("pairs", "filters"), ("filtered",)),
        Node("Mul", ("filtered", "filtered"), ("squares",)),
        Node("Reshape", ("squares", "by_frame"), ("frames",)),
        Node("ReduceMean", ("frames",), ("energies",), {"axes": (1,), "keepdims": 0}),
        Node("Add", ("energies", "floor"), ("safe",)),
        Node("Log", ("safe",), ("log_energies",)),
    ]
    constants: dict[str, NDArray[Any]] = {
        "filters": filters,
        "by_frame": np.array([-1, outputs, bands], np.int64),
        "share": np.array(1.0 / outputs, np.float32),
        "floor": np.array(_FLOOR, np.float32),
    }
    return serialise_graph(Graph(nodes, constants, {"pairs": ("n", half)}, {"log_energies": ("frames", bands)}))
