"""The folded filter bank gives what the bundle's graph gives, and is refused where it would not."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.acoustic.bands import FoldedBands
from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.loader import asset_path, load_bundle
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


def band_passes(taps: int, edges: np.ndarray) -> np.ndarray:
    """Eq. (2) with a Hamming window, cutoffs in shares of the sample rate."""
    n = np.arange(taps) - (taps - 1) / 2
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    filters = (2 * high * np.sinc(2 * high * n) - 2 * low * np.sinc(2 * low * n)) * np.hamming(taps)
    return (filters / np.abs(filters).sum(axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=12)
@given(
    taps=st.sampled_from([398, 400, 401, 803]),
    highest=st.sampled_from([0.05, 0.1, 0.2]),
    frames=st.sampled_from([1, 3, 25, 26, 51]),
)
def test_thinning_changes_next_to_nothing(taps: int, highest: float, frames: int) -> None:
    edges = np.linspace(0.005, highest, 49)
    filters = band_passes(taps, edges)
    bank = FoldedBands(filters, STRIDE, HOP, thin=True)
    assert bank._thinned is not None
    # A quarter of the samples can hold 0.125 of the sample rate, the common low-pass filter lets pass half of that.
    assert bank._thinned.bands[edges[1:] < 0.06].sum() >= 8
    assert not bank._thinned.bands[edges[1:] > 0.08].any()
    assert bank._thinned.weights.shape[1] < taps / 2 * 0.6
    samples = np.random.default_rng(frames).standard_normal(taps + HOP - STRIDE + HOP * (frames - 1)).astype(np.float32)
    energies, expected = bank.log_energies(samples), direct(filters, samples)
    np.testing.assert_allclose(energies, expected, atol=2e-3)
    assert not np.allclose(energies[:, bank._thinned.bands], expected[:, bank._thinned.bands], rtol=0, atol=1e-7)


def test_few_or_short_filters_are_not_thinned() -> None:
    low, short = band_passes(401, np.linspace(0.005, 0.05, 5)), band_passes(81, np.linspace(0.005, 0.05, 25))
    assert FoldedBands(low, STRIDE, HOP, thin=True)._thinned is None
    assert FoldedBands(short, STRIDE, HOP, thin=True)._thinned is None
    assert FoldedBands(band_passes(401, np.linspace(0.1, 0.4, 25)), STRIDE, HOP, thin=True)._thinned is None


def test_the_default_bundles_low_filters_are_thinned_and_speech_sounds_the_same_to_them() -> None:
    bundle = load_bundle("default-bundle")
    facts = bundle.manifest.acoustic
    shape = {"bands": facts.bands, "taps": facts.kernel, "stride": facts.stride, "hop": bundle.manifest.hop}
    whole, thin = (FoldedBands.of_graph(bundle.content("bands.onnx"), **shape, thin=thin) for thin in (False, True))
    assert whole is not None
    assert thin is not None
    assert thin._thinned is not None
    assert set(np.flatnonzero(thin._thinned.bands)) >= set(np.flatnonzero(np.array(facts.filters.high_hz) < 800))
    speech, _ = soundfile.read(asset_path("demonstration.flac"), dtype="float32", frames=16_000 * 10)
    samples = speech[: bundle.manifest.band_receptive + HOP * ((len(speech) - bundle.manifest.band_receptive) // HOP)]
    differences = np.abs(thin.log_energies(samples) - whole.log_energies(samples))
    # Largest where a band has next to nothing beside strong high frequencies; log energies spread by some units.
    assert differences.max() < 0.02
    assert np.quantile(differences, 0.99) < 2e-3


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
