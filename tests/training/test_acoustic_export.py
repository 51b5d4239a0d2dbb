"""The exported graphs are the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from training.acoustic_network import AcousticNetwork, AcousticShape  # noqa: E402
from training.export_acoustic import ExportedAcoustic, constants, write_graphs  # noqa: E402
from training.features import voiced_frames, voiced_windows  # noqa: E402

SHAPE = AcousticShape(bands=12, width=8, feature=32)


@pytest.fixture(scope="module")
def network() -> AcousticNetwork:
    torch.manual_seed(3)
    made = AcousticNetwork(SHAPE)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    made.normaliser.prior_shape.normal_()
    return made.eval()


@pytest.fixture(scope="module")
def folder(network: AcousticNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export")
    write_graphs(network, path)
    return path


def session(folder: Path, name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("frames", [1, 2, 37])
def test_bands_equal_torch(network: AcousticNetwork, folder: Path, frames: int) -> None:
    samples = np.random.default_rng(frames).normal(0, 0.1, (1, SHAPE.receptive + 160 * (frames - 1))).astype(np.float32)
    (mine,) = session(folder, "bands").run(None, {"samples": samples})
    assert mine.shape == (frames, SHAPE.bands)
    with torch.no_grad():
        # Log energies of magnitude ten, float32.
        np.testing.assert_allclose(mine, network.bands(torch.from_numpy(samples))[0].numpy(), atol=1e-4)


def test_silence_is_the_floor_and_not_minus_infinity(folder: Path) -> None:
    (mine,) = session(folder, "bands").run(None, {"samples": np.zeros((1, SHAPE.receptive), np.float32)})
    np.testing.assert_allclose(mine, np.log(1e-10), rtol=1e-5)


@pytest.mark.parametrize("frames", [9, 10, 50])
def test_trunk_equals_torch(network: AcousticNetwork, folder: Path, frames: int) -> None:
    bands = np.random.default_rng(frames).normal(size=(frames, SHAPE.bands)).astype(np.float32)
    (mine,) = session(folder, "trunk").run(None, {"bands": bands})
    assert mine.shape == (frames - SHAPE.trunk_receptive + 1, SHAPE.width)
    with torch.no_grad():
        np.testing.assert_allclose(mine, network.trunk(torch.from_numpy(bands)[None])[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("windows", [1, 2, 30])
def test_head_equals_torch(network: AcousticNetwork, folder: Path, windows: int) -> None:
    frames = np.random.default_rng(windows).normal(size=(windows, SHAPE.window_frames, SHAPE.width)).astype(np.float32)
    frames[0] = 1.0  # No deviation at all: the root's floor counts.
    feature, logits = session(folder, "head").run(None, {"frames": frames})
    with torch.no_grad():
        torch_feature, torch_logits = network.head(torch.from_numpy(frames))
    np.testing.assert_allclose(feature, torch_feature.numpy(), atol=1e-5)
    np.testing.assert_allclose(logits, torch_logits.numpy(), atol=1e-5)


def test_whole_clips_equal_torch(network: AcousticNetwork, folder: Path) -> None:
    random = np.random.default_rng(5)
    samples = random.normal(0, 0.05, 20_000).astype(np.float32)
    probabilities = random.random(20_000 // 512).astype(np.float32)
    exported = ExportedAcoustic(folder, SHAPE, network.normaliser.prior_shape.numpy())
    feature, logits, starts = exported.windows(samples, probabilities)
    count = SHAPE.frame_count(len(samples))
    assert starts.tolist() == np.flatnonzero(voiced_windows(probabilities, SHAPE.window_count(20_000), SHAPE)).tolist()
    with torch.no_grad():
        voiced = torch.from_numpy(voiced_frames(probabilities, count, SHAPE))[None]
        frames = network.trunk(network.normaliser(network.bands(torch.from_numpy(samples)[None]), voiced)[0])
        torch_feature, torch_logits = network.head(network.windows(frames, torch.from_numpy(starts)[None]))
    np.testing.assert_allclose(feature, torch_feature.numpy(), atol=1e-4)
    np.testing.assert_allclose(logits, torch_logits.numpy(), atol=1e-4)


def test_without_voice_there_is_no_window(network: AcousticNetwork, folder: Path) -> None:
    exported = ExportedAcoustic(folder, SHAPE, network.normaliser.prior_shape.numpy())
    feature, logits, starts = exported.windows(np.zeros(8_000, np.float32), np.zeros(15, np.float32))
    assert (len(feature), len(logits), len(starts)) == (0, 0, 0)


def test_constants_have_one_value_for_each_band(network: AcousticNetwork) -> None:
    facts = constants(network)
    assert {len(values) for values in facts["filters"].values()} == {SHAPE.bands}
    assert len(facts["normalisation"]["prior_shape"]) == SHAPE.bands
    np.testing.assert_allclose(facts["filters"]["low_hz"], facts["filters"]["initial_low_hz"], atol=0.02)
