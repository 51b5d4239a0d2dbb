"""The folded filter bank gives what the bundle's graph gives, and is refused where it would not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.acoustic.bands import FoldedBands
from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.bundle.onnx_format import Graph, Node, serialise_graph

BANDS, STRIDE, HOP = 6, 4, 160


def direct(filters: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Eq. (2) as it is written, in double precision."""
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(float), filters.shape[1])[::STRIDE]
    squares = (windows @ filters.astype(float).T) ** 2
    return np.log(squares.reshape(-1, HOP // STRIDE, len(filters)).mean(axis=1) + 1e-10)


def symmetric(taps: int) -> np.ndarray:
    half = np.random.default_rng(taps).standard_normal((BANDS, (taps + 1) // 2)).astype(np.float32)
    return np.concatenate([half, half[:, : taps // 2][:, ::-1]], axis=1)


def graph(filters: np.ndarray, floor: float = 1e-10) -> bytes:
    nodes = [
        Node("Unsqueeze", ("samples", "one"), ("x",)),
        Node("Conv", ("x", "filters"), ("y",), {"strides": (STRIDE,)}),
        Node("Mul", ("y", "y"), ("squares",)),
        Node("AveragePool", ("squares",), ("mean",), {"kernel_shape": (HOP // STRIDE,), "strides": (HOP // STRIDE,)}),
        Node("Add", ("mean", "floor"), ("safe",)),
        Node("Log", ("safe",), ("log",)),
        Node("Squeeze", ("log", "zero"), ("channels",)),
        Node("Transpose", ("channels",), ("log_energies",), {"perm": (1, 0)}),
    ]
    constants = {
        "filters": filters[:, np.newaxis],
        "one": np.array([1]),
        "zero": np.array([0]),
        "floor": np.array(floor, np.float32),
    }
    return serialise_graph(Graph(nodes, constants, {"samples": (1, "n")}, {"log_energies": ("f", len(filters))}))


@settings(max_examples=20)
@given(taps=st.sampled_from([1, 2, 3, 80, 81, 250, 251]), frames=st.sampled_from([1, 2, 24, 25, 26, 51]))
def test_folding_changes_nothing(taps: int, frames: int) -> None:
    samples = np.random.default_rng(frames).standard_normal(taps + HOP - STRIDE + HOP * (frames - 1)).astype(np.float32)
    energies = FoldedBands(symmetric(taps), STRIDE, HOP).log_energies(samples)
    assert energies.shape == (frames, BANDS)
    np.testing.assert_allclose(energies, direct(symmetric(taps), samples), atol=1e-4)


def test_silence_is_the_floor_of_the_logarithm() -> None:
    energies = FoldedBands(symmetric(81), STRIDE, HOP).log_energies(np.zeros(81 + HOP - STRIDE, np.float32))
    np.testing.assert_allclose(energies, np.log(1e-10), rtol=1e-6)


def test_the_default_bundles_filters_are_folded() -> None:
    bundle = load_bundle("default-bundle")
    facts = bundle.manifest.acoustic
    content = bundle.content("bands.onnx")
    folded = FoldedBands.of_graph(content, bands=facts.bands, taps=facts.kernel, stride=facts.stride, hop=bundle.manifest.hop)
    assert folded is not None
    samples = np.random.default_rng(2).standard_normal(bundle.manifest.band_receptive + 30 * HOP).astype(np.float32)
    (expected,) = create_session(content).run({"samples": samples[np.newaxis]}, ["log_energies"])
    np.testing.assert_allclose(folded.log_energies(samples), expected, atol=2e-5)


def test_a_graph_that_does_the_same_is_folded() -> None:
    assert FoldedBands.of_graph(graph(symmetric(81)), bands=BANDS, taps=81, stride=STRIDE, hop=HOP) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"no graph",
        graph(np.random.default_rng(0).standard_normal((BANDS, 81)).astype(np.float32)),
        graph(symmetric(79)),
        graph(symmetric(81), floor=1.0),
    ],
    ids=["no graph", "not symmetric", "other filters", "another logarithm"],
)
def test_any_other_graph_is_left_alone(content: bytes) -> None:
    assert FoldedBands.of_graph(content, bands=BANDS, taps=81, stride=STRIDE, hop=HOP) is None
