"""The sinc filter bank with a third of the multiplications.

*Folded.* The filters are symmetric, eq. (2): with K taps, w[k] = w[K-1-k], so that Σ w[k] x[n+k] over K taps is
Σ w[k] (x[n+k] + x[n+K-1-k]) over half of them. The sums do not depend on the filter: they are made once for all of them, and
what remains is a matrix product of half the size.

*Thinned.* A filter is evaluated at every `stride`-th sample only. One that lets pass no more than half of the frequencies which
that many samples can hold is, but for its ends, a filter on the grid of those samples, behind a low-pass filter that is the
same for all of them: w = h ∗ (v spread over the grid) + ends. That leaves a sixth of its taps (stride 4, ends included).
Which filters these are is found by trying: v and the ends are a solution of least squares, and what they miss must lie 90 dB
below w. That is little, yet more than the roundings of single precision, so it is for those who take integer weights.
"""

from __future__ import annotations

from dataclasses import dataclass
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
_THIN_AGREEMENT = 1e-3
"""The same for thinned filters."""
_FRAMES_AT_ONCE = 25
"""The folded signal of so many frames (1.6 MB) stays in a core's cache."""
_SMOOTH_TAPS, _END_TAPS = 13, 8
"""Taps of the common low-pass filter (and one), and of either end of a thinned filter, in strides."""
_KAISER = 9.0
"""Shape of the low-pass filter's window: 90 dB of suppression."""
_LEFT_OVER = 1e-9
"""Largest share of a filter's energy that thinning may miss."""
_FEWEST = 8
"""Filters for which a second product pays."""


class FoldedBands:
    """Log energies of symmetric filters; a drop-in for the bundle's ``bands.onnx``. Several threads may use one instance.

    Parameters
    ----------
    filters
        float32, shape ``(bands, taps)``, symmetric.
    stride, hop
        Samples between two outputs of a filter, and outputs' samples that are averaged; `hop` is a multiple of `stride`.
    thin
        Whether the filters that can be are thinned, see above.
    """

    def __init__(self, filters: FloatArray, stride: int, hop: int, *, thin: bool = False) -> None:
        bands, self._taps = int(filters.shape[0]), int(filters.shape[1])
        self._half = (self._taps + 1) // 2
        self._stride = stride
        self._hop = hop
        self._thinned = _thinned(filters, stride) if thin else None
        some = np.zeros(bands, np.bool_) if self._thinned is None else self._thinned.bands
        self._whole = not some.all()
        pairs = _folded(filters[~some]) if self._whole else None
        few_pairs = None if self._thinned is None else self._thinned.weights
        order = np.argsort(np.concatenate((np.flatnonzero(~some), np.flatnonzero(some))))
        self._session: Session = create_session(_graph(pairs, few_pairs, order, hop // stride))

    @classmethod
    def of_graph(cls, model: bytes, *, bands: int, taps: int, stride: int, hop: int, thin: bool = False) -> FoldedBands | None:
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
        folded = cls(filters, stride, hop, thin=thin)
        probe = np.random.default_rng(0).standard_normal(folded._receptive + 2 * hop).astype(np.float32)
        (expected,) = create_session(model).run({"samples": probe[np.newaxis]}, ["log_energies"])
        ours = folded.log_energies(probe)
        agreement = _THIN_AGREEMENT if thin else _AGREEMENT
        return folded if ours.shape == expected.shape and np.abs(ours - expected).max() <= agreement else None

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
        most = min(frames, _FRAMES_AT_ONCE) * outputs
        pairs = _Pairs(samples, self._taps, self._stride, most) if self._whole else None
        few_pairs = None if self._thinned is None else _FewPairs(self._thinned, samples, self._stride, most)
        parts: list[FloatArray] = []
        for first in range(0, frames, _FRAMES_AT_ONCE):
            count = min(_FRAMES_AT_ONCE, frames - first) * outputs
            inputs: dict[str, NDArray[Any]] = {}
            if pairs is not None:
                inputs["pairs"] = pairs.of(first * outputs, count)
            if few_pairs is not None:
                inputs["few_pairs"] = few_pairs.of(first * outputs, count)
            parts += self._session.run(inputs, ["log_energies"])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _receptive(self) -> int:
        return self._taps + self._hop - self._stride


class _Pairs:
    """Sums of the two samples that meet the same tap, a row for every output."""

    def __init__(self, samples: FloatArray, taps: int, stride: int, most: int) -> None:
        # The second half of a filter's taps, backwards, is read forwards from the reversed signal: NumPy adds runs of
        # consecutive samples several at a time.
        self._forwards, self._backwards = np.ascontiguousarray(samples), samples[::-1].copy()
        self._stride, self._last, self._half = stride, len(samples) - taps, (taps + 1) // 2
        self._into = np.empty((most, self._half), np.float32)

    def of(self, first: int, count: int) -> FloatArray:
        """For the outputs from `first` on, shape ``(count, pairs)``; the memory is used again by the next call."""
        size, step, into = 4, self._stride * 4, self._into[:count]
        begin, shape = first * self._stride, (count, self._half)
        one = np.ndarray(shape, np.float32, self._forwards, begin * size, (step, size))
        other = np.ndarray(shape, np.float32, self._backwards, (self._last - begin) * size, (-step, size))
        np.add(one, other, out=into)
        return into


class _FewPairs:
    """The same for thinned filters, a column for every output: pairs of the smoothed signal, then of the ends' samples."""

    def __init__(self, thinned: _Thinned, samples: FloatArray, stride: int, most: int) -> None:
        self._inner, self._stride = thinned.inner, stride
        self._pairs = (thinned.inner + 1) // 2
        self._blocks = (thinned.weights.shape[1] - self._pairs) // stride
        count, short = (len(samples) - len(thinned.smooth)) // stride + 1, len(thinned.smooth)
        around = np.ndarray((count, short), np.float32, np.ascontiguousarray(samples), 0, (stride * 4, 4))
        self._smoothed: FloatArray = around.copy() @ thinned.smooth
        # By the phase of the grid, so that neighbouring outputs meet neighbouring samples.
        before = thinned.taps - stride
        self._ahead, self._behind = _phases(samples, stride), _phases(samples[before % stride :], stride)[::-1].copy()
        self._before = before // stride
        self._into = np.empty((thinned.weights.shape[1], most), np.float32)

    def of(self, first: int, count: int) -> FloatArray:
        """For the outputs from `first` on, shape ``(pairs, count)``; the memory is used again by the next call."""
        into = self._into if count == self._into.shape[1] else np.empty((len(self._into), count), np.float32)
        shape = (self._pairs, count)
        one = np.ndarray(shape, np.float32, self._smoothed, first * 4, (4, 4))
        other = np.ndarray(shape, np.float32, self._smoothed, (first + self._inner - 1) * 4, (-4, 4))
        np.add(one, other, out=into[: self._pairs])
        ends = (self._blocks, self._stride, count)
        one = np.ndarray(ends, np.float32, self._ahead, first * 4, (4, self._ahead.shape[1] * 4, 4))
        begin = (self._before + first) * 4
        other = np.ndarray(ends, np.float32, self._behind, begin, (-4, self._behind.shape[1] * 4, 4))
        np.add(one, other, out=into[self._pairs :].reshape(ends))
        return into


def _phases(samples: FloatArray, stride: int) -> FloatArray:
    """Every `stride`-th sample from each of the first ones on, shape ``(stride, …)``."""
    return samples[: len(samples) // stride * stride].reshape(-1, stride).T.copy()


@dataclass(frozen=True, slots=True)
class _Thinned:
    """Filters as described at the top of this module.

    Attributes
    ----------
    bands
        Which of all they are, shape ``(all bands,)``.
    smooth
        The common low-pass filter.
    inner
        Taps on the grid.
    taps
        Of the whole filter.
    weights
        Of pairs on the grid, then of pairs at the ends, shape ``(bands, pairs)``.
    """

    bands: NDArray[np.bool_]
    smooth: FloatArray
    inner: int
    taps: int
    weights: FloatArray


def _thinned(filters: FloatArray, stride: int) -> _Thinned | None:
    """Those of the `filters` that can be thinned; ``None`` where they are too few, or too short for that to pay."""
    taps = filters.shape[1]
    half = (taps + 1) // 2
    short = _SMOOTH_TAPS * stride + 1 + (taps - _SMOOTH_TAPS * stride - 1) % stride
    inner, ends = (taps - short) // stride + 1, _END_TAPS * stride
    pairs = (inner + 1) // 2
    if stride == 1 or pairs + ends > half // 2:
        return None
    places = np.arange(short) - (short - 1) / 2
    smooth = np.sinc(places / stride) * np.kaiser(short, _KAISER)
    smooth /= smooth.sum()
    # What every pair contributes to the first half of a filter; the other half is its mirror image.
    basis = np.zeros((taps, pairs + ends))
    for pair in range(pairs):
        for place in {pair, inner - 1 - pair}:
            basis[place * stride : place * stride + short, pair] += smooth
    basis[np.arange(ends), pairs + np.arange(ends)] = 1.0
    basis, wanted = basis[:half], filters[:, :half].T.astype(np.float64)
    weights = np.linalg.lstsq(basis, wanted, rcond=1e-9)[0]
    missed = np.square(basis @ weights - wanted).sum(axis=0)
    bands = missed <= _LEFT_OVER * np.square(wanted).sum(axis=0)
    if bands.sum() < _FEWEST:
        return None
    chosen = weights[:, bands].astype(np.float32)
    if inner % 2:
        chosen[pairs - 1] *= np.float32(0.5)  # the middle one is its own partner
    return _Thinned(bands, smooth.astype(np.float32), inner, taps, np.ascontiguousarray(chosen.T))


def _folded(filters: FloatArray) -> FloatArray:
    """Weights of pairs of samples, shape ``(half of the taps, bands)``."""
    taps = filters.shape[1]
    half = (taps + 1) // 2
    folded: FloatArray = np.float32(0.5) * (filters[:, :half] + filters[:, ::-1][:, :half]).T
    if taps % 2:
        folded[-1] *= np.float32(0.5)  # the middle tap is its own partner
    return folded


def _graph(pairs: FloatArray | None, few_pairs: FloatArray | None, order: NDArray[np.intp], outputs: int) -> bytes:
    """Products with the weights of all `pairs` and of few, squares, means over the `outputs` of a frame, `order`, logarithm."""
    nodes: list[Node] = []
    constants: dict[str, NDArray[Any]] = {"floor": np.array(_FLOOR, np.float32), "order": order.astype(np.int64)}
    inputs: dict[str, tuple[int | str, ...]] = {}
    groups: list[str] = []
    if pairs is not None:
        half, bands = pairs.shape
        inputs["pairs"] = ("n", half)
        constants |= {"filters": pairs, "by_frame": np.array([-1, outputs, bands], np.int64)}
        nodes += [
            Node("MatMul", ("pairs", "filters"), ("filtered",)),
            Node("Mul", ("filtered", "filtered"), ("squares",)),
            Node("Reshape", ("squares", "by_frame"), ("frames",)),
            Node("ReduceMean", ("frames",), ("means",), {"axes": (1,), "keepdims": 0}),
        ]
        groups.append("means")
    if few_pairs is not None:
        bands, few = few_pairs.shape
        inputs["few_pairs"] = (few, "n")
        constants |= {"few_filters": few_pairs, "few_by_frame": np.array([bands, -1, outputs], np.int64)}
        nodes += [
            Node("MatMul", ("few_filters", "few_pairs"), ("few_filtered",)),
            Node("Mul", ("few_filtered", "few_filtered"), ("few_squares",)),
            Node("Reshape", ("few_squares", "few_by_frame"), ("few_frames",)),
            Node("ReduceMean", ("few_frames",), ("means_by_band",), {"axes": (2,), "keepdims": 0}),
            Node("Transpose", ("means_by_band",), ("few_means",), {"perm": (1, 0)}),
        ]
        groups.append("few_means")
    nodes += [
        Node("Concat", tuple(groups), ("grouped",), {"axis": 1}),
        Node("Gather", ("grouped", "order"), ("energies",), {"axis": 1}),
        Node("Add", ("energies", "floor"), ("safe",)),
        Node("Log", ("safe",), ("log_energies",)),
    ]
    return serialise_graph(Graph(nodes, constants, inputs, {"log_energies": ("frames", len(order))}))
