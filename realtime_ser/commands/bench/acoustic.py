"""What a second of audio costs the acoustic branch, against what else could be done on the same core in the same run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from realtime_ser.acoustic.execution import WEIGHTS_TOLERANCE, Execution, probe, scores_of
from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.networks import AcousticNetworks
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.bundle.inference import create_session
from realtime_ser.bundle.loader import Bundle, asset_path, load_bundle
from realtime_ser.bundle.onnx_format import parse_graph
from realtime_ser.bundle.providers import Provider
from realtime_ser.commands.bench.measure import in_turn
from realtime_ser.commands.bench.report import Row, Spread
from realtime_ser.commands.bench.sincnet import multiply_adds, sincnet
from realtime_ser.errors import BundleError
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import FloatArray, Span, VoiceActivity

__all__ = ["acoustic_rows", "network_multiply_adds"]

_PART = "acoustic"
_BLOCKS_MS = (10, 30, 50, 100)
_SECONDS = 2
"""Of speech that every turn streams."""
_WINDOWS, _SINCNET_WINDOWS = 10, 4
"""Windows that a turn evaluates one by one."""
_MATRIX = 1024


def network_multiply_adds(bundle: Bundle) -> int:
    """Multiply-adds of a second of audio, as the bundle's graphs state them and nothing computed twice.

    Every weight of trunk and head is used once per hop; every tap of every filter once per output, hop / stride times per hop.
    """
    manifest = bundle.manifest
    facts = manifest.acoustic
    weights = sum(
        array.size
        for name in ("trunk.onnx", "head.onnx")
        for array in parse_graph(bundle.content(name)).constants.values()
        if array.ndim >= 2
    )
    per_hop = facts.bands * facts.kernel * (manifest.hop // facts.stride) + weights
    return per_hop * manifest.sample_rate // manifest.hop


def acoustic_rows(bundle_name: str | Path | None, rounds: int) -> list[Row]:
    """Measure; to be called in a process whose matrix products use one thread."""
    bundle = load_bundle(bundle_name)
    manifest = bundle.manifest
    rate, hop = manifest.sample_rate, manifest.hop
    per_second = rate / hop
    signal = read_all(FileSource(asset_path(DEMONSTRATION)))[rate : (1 + _SECONDS) * rate]
    activity = VoiceDetector().process(signal, 0)
    plain = AcousticModel.from_bundle(bundle, Execution(Provider.CPU, "float32"))
    matrix = np.random.default_rng(0).standard_normal((_MATRIX, _MATRIX)).astype(np.float32)
    form = plain.form
    demand = network_multiply_adds(bundle)

    cases: dict[str, Callable[[], object]] = {
        "matrix": lambda: matrix @ matrix,
        "windows": _window_by_window(bundle, signal),
        "sincnet": _sincnet(signal, manifest.window, len(manifest.classes)),
        "file": partial(_stream, plain, signal, activity, len(signal)),
    }
    for milliseconds in _BLOCKS_MS:
        cases[f"{milliseconds} ms"] = partial(_stream, plain, signal, activity, milliseconds * rate // 1000)
    difference, problem = _integer_case(bundle, signal, activity, cases)

    seconds = in_turn(cases, rounds)
    # Milliseconds for a second of audio.
    scale = dict.fromkeys(cases, 1e3 / _SECONDS)
    scale["matrix"] = 1e3 * demand / _MATRIX**3
    scale["windows"] = 1e3 * per_second / _WINDOWS
    scale["sincnet"] = 1e3 * per_second / _SINCNET_WINDOWS
    cost = {name: values * scale[name] for name, values in seconds.items()}

    def row(measure: str, name: str, note: str = "") -> Row:
        return Row.of(_PART, measure, Spread.of(cost[name]), "ms/s", note=note)

    def ratio(measure: str, one: str, other: str, *, at_least: float | None = None, at_most: float | None = None) -> Row:
        return Row.of(_PART, measure, Spread.of(cost[one] / cost[other]), "×", at_least=at_least, at_most=at_most)

    theirs = multiply_adds(manifest.window, len(manifest.classes)) * per_second / 1e9
    rows = [
        row("matrix product of as many multiply-adds", "matrix", f"{demand / 1e6:.0f}e6 a second, {_MATRIX}² float32"),
        row("same network, window by window", "windows", "the bundle's graphs in ONNX Runtime"),
        row("SincNet reference, window by window", "sincnet", f"80/60/60, 3 × 2048; {theirs:.1f}e9 multiply-adds a second"),
        row("files", "file", f"float32 on the processor, {'filters folded' if form.folded else 'filters as they are'}"),
        ratio("files: same network window by window", "windows", "file", at_least=12),
        ratio("files: SincNet reference window by window", "sincnet", "file", at_least=25),
        ratio("files: share of the matrix product's time", "file", "matrix", at_most=1.2),
    ]
    for milliseconds in _BLOCKS_MS:
        name = f"{milliseconds} ms"
        rows += [
            row(f"live, blocks of {name}", name, f"{np.median(cost[name]) / 10:.1f} % of a core"),
            ratio(f"live, {name}: same network window by window", "windows", name, at_least=12),
            ratio(f"live, {name}: SincNet reference window by window", "sincnet", name, at_least=25),
        ]
    if problem:
        rows.append(Row.of(_PART, "int8 weights", None, "×", at_most=0.6, note=problem))
    else:
        rows += [
            row("files, int8 weights", "int8"),
            ratio("files, int8 weights: share of the matrix product's time", "int8", "matrix", at_most=0.6),
            Row.of(_PART, "int8 weights: largest difference of a window's scores", difference, "", at_most=WEIGHTS_TOLERANCE),
        ]
    return rows


def _stream(model: AcousticModel, signal: FloatArray, activity: VoiceActivity, block: int) -> None:
    """The signal in blocks, with the voice activity as it becomes known."""
    stream = AcousticStream(model)
    known = 0
    for first in range(0, len(signal), block):
        end = min(first + block, len(signal))
        complete = end // activity.chunk
        part = None
        if complete > known:
            span = Span(known * activity.chunk, complete * activity.chunk)
            part = VoiceActivity(span, activity.chunk, activity.probabilities[known:complete])
            known = complete
        stream.push(signal[first:end], part)


def _window_by_window(bundle: Bundle, signal: FloatArray) -> Callable[[], object]:
    """The bundle's own graphs on one window after the other: bands, trunk and head of each anew."""
    networks = AcousticNetworks.load(bundle, fold=False)
    manifest = bundle.manifest
    used = manifest.band_receptive + (manifest.bands_per_window - 1) * manifest.hop
    offsets = np.asarray(manifest.acoustic.normalisation.prior_shape, np.float32)

    def run() -> None:
        for number in range(_WINDOWS):
            samples = signal[number * manifest.hop : number * manifest.hop + used]
            networks.windows(networks.frames(networks.band_energies(samples) - offsets)[np.newaxis])

    return run


def _sincnet(signal: FloatArray, window: int, classes: int) -> Callable[[], object]:
    session = create_session(sincnet(window, classes))
    inputs = [signal[number * window : (number + 1) * window].reshape(1, 1, window) for number in range(_SINCNET_WINDOWS)]
    return lambda: [session.run({"window": samples}, ["scores"]) for samples in inputs]


def _integer_case(
    bundle: Bundle, signal: FloatArray, activity: VoiceActivity, cases: dict[str, Callable[[], object]]
) -> tuple[float, str]:
    """Add the stream with integer weights; returns by how much its scores differ on the probe, or why it cannot be."""
    try:
        integer = AcousticNetworks.load(bundle, integer_weights=True)
    except BundleError as error:
        return 0.0, error.problem
    samples = probe(bundle)
    plain = AcousticNetworks.load(bundle)
    difference = float(np.abs(scores_of(bundle, integer, samples) - scores_of(bundle, plain, samples)).max())
    model = AcousticModel.from_bundle(bundle, Execution(Provider.CPU, "int8"))
    if model.form.weights != "int8":
        return difference, str(model.form)
    cases["int8"] = partial(_stream, model, signal, activity, len(signal))
    return difference, ""
