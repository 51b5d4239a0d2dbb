"""The acoustic network is exactly streamable, normalises what it says it does, and its filters are what eq. (2) says."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from realtime_ser.acoustic.normalisation import RunningBandMean as RuntimeBandMean  # noqa: E402
from training.acoustic_network import (  # noqa: E402
    SAMPLE_RATE,
    AcousticNetwork,
    AcousticShape,
    BandMeanState,
    RunningBandMean,
    SincBands,
    mel_cutoffs,
)

SHAPE = AcousticShape(bands=12, width=8, feature=32)


def network(seed: int = 0) -> AcousticNetwork:
    """A small network whose BatchNorms have statistics of their own, as after training."""
    torch.manual_seed(seed)
    made = AcousticNetwork(SHAPE)
    made.normaliser.prior_shape.copy_(torch.randn(SHAPE.bands))
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return made.eval()


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * 150 * order * time + order) / order for order in range(1, 20))
    return (0.1 * wave * (1 + np.sin(2 * np.pi * 3 * time)) + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def test_geometry_is_that_of_the_architecture() -> None:
    shape = AcousticShape(bands=80, layout="mel", kernel=251)
    assert shape.receptive == 251 + 39 * 4
    assert (shape.window_bands, shape.trunk_receptive, shape.window_frames) == (23, 9, 15)
    # A window's last band frame ends inside the window, and one more would not.
    assert (shape.window_bands - 1) * shape.hop + shape.receptive <= shape.window
    assert shape.window_bands * shape.hop + shape.receptive > shape.window


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": 250}, "kernel"),
        ({"stride": 3}, "stride"),
        ({"segments": 4}, "segments"),
        ({"trunk_kernels": (24,)}, "segments"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AcousticShape(**{"kernel": 251, **change})


def test_streamed_equals_window_by_window() -> None:
    """Bands and trunk computed once over everything, or anew for each window: the same features and logits."""
    net = network()
    samples = torch.from_numpy(speech_like(1.2))[None]
    with torch.no_grad():
        bands = net.bands(samples)
        voiced = torch.from_numpy(np.random.default_rng(1).random((1, bands.shape[1])) < 0.6)
        normal, _ = net.normaliser(bands, voiced)
        frames = net.trunk(normal)
        count = (samples.shape[1] - SHAPE.window) // SHAPE.hop + 1
        assert frames.shape[1] >= count + SHAPE.window_frames - 1
        feature, logits = net.head(net.windows(frames, torch.arange(count)[None]))
        # One window: its own samples' energies, the normaliser in step, its own trunk.
        state = net.normaliser.initial_state(1)
        offsets = []
        for frame in range(count + SHAPE.window_bands - 1):
            start = frame * SHAPE.hop
            energy = net.bands(samples[:, start : start + SHAPE.receptive])
            out, state = net.normaliser(energy, voiced[:, frame : frame + 1], state)
            offsets.append(energy - out)
        for window in range(count):
            alone = net.bands(samples[:, window * SHAPE.hop : window * SHAPE.hop + SHAPE.window])
            alone = alone - torch.cat(offsets[window : window + SHAPE.window_bands], dim=1)
            one_feature, one_logits = net.head(net.trunk(alone))
            # float32 sums of about a thousand terms in another order.
            torch.testing.assert_close(one_feature[0], feature[window], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(one_logits[0], logits[window], atol=1e-5, rtol=1e-5)


def test_normaliser_equals_the_runtime_s() -> None:
    """Over more voiced frames than the memory holds, and from silence on."""
    shape = AcousticShape(bands=5, prior_frames=7, memory_frames=20)
    random = np.random.default_rng(2)
    energies = random.normal(-8, 3, (60, 5)).astype(np.float32)
    voiced = random.random(60) < 0.6
    voiced[:4] = False
    prior = random.normal(size=5)
    module = RunningBandMean(shape)
    module.prior_shape.copy_(torch.from_numpy(prior))
    mine, _ = module(torch.from_numpy(energies)[None], torch.from_numpy(voiced)[None])
    theirs = RuntimeBandMean(prior, 7, 20).apply(energies, voiced)
    np.testing.assert_allclose(mine[0].numpy(), theirs, atol=1e-5)


def frame_by_frame(module: RunningBandMean, energies, voiced, state: BandMeanState):
    """The running band mean as its definition says it, one frame after the other, in double precision."""
    level, shape, count = (part.double() for part in state)
    out = []
    for energy, heard in zip(energies.double().unbind(1), voiced.double().unbind(1), strict=True):
        mean = energy.mean(dim=1)
        count = count + heard
        level = level + heard * (mean - level) / count.clamp(1, module.memory_frames)
        weight = heard / (module.prior_frames + count).clamp(1, module.memory_frames)
        shape = shape + weight[:, None] * (energy - mean[:, None] - shape)
        out.append(energy - torch.where(count > 0, level, mean)[:, None] - shape)
    return torch.stack(out, dim=1), BandMeanState(level, shape, count)


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 200),
    prior=st.integers(0, 300),
    memory=st.integers(1, 400),
    heard=st.floats(0, 1),
    before=st.sampled_from([0.0, 3.0, 500.0]),
    seed=st.integers(0, 99),
)
def test_normaliser_at_once_equals_frame_by_frame(
    frames: int, prior: int, memory: int, heard: float, before: float, seed: int
) -> None:
    torch.manual_seed(seed)
    module = RunningBandMean(AcousticShape(bands=4, prior_frames=prior, memory_frames=memory))
    energies, voiced = torch.randn(3, frames, 4) * 3 - 8, torch.rand(3, frames) < heard
    state = BandMeanState(torch.randn(3) - 8, torch.randn(3, 4), torch.full((3,), before))
    mine, after = module(energies, voiced, state)
    expected, expected_after = frame_by_frame(module, energies, voiced, state)
    torch.testing.assert_close(mine.double(), expected, atol=1e-5, rtol=0)
    for one, other in zip(after, expected_after, strict=True):
        torch.testing.assert_close(one.double(), other, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kernel", "stride", "frames"), [(251, 4, 70), (33, 1, 3), (101, 8, 130), (801, 4, 64)])
def test_energies_by_folding_equal_convolution_and_learn_the_same(kernel: int, stride: int, frames: int) -> None:
    """Folding the filters' symmetry is only another order of the sums."""
    shape = AcousticShape(bands=6, kernel=kernel, stride=stride, segments=1)
    samples = torch.from_numpy(np.random.default_rng(frames).normal(0, 0.1, (2, shape.receptive + 160 * (frames - 1)))).float()
    layers = SincBands(shape), SincBands(shape)
    folded = layers[0](samples)
    filtered = torch.nn.functional.conv1d(samples[:, None], layers[1].filters()[:, None], stride=stride)
    plain = torch.nn.functional.avg_pool1d(filtered.square(), 160 // stride, 160 // stride)
    plain = torch.log(plain + 1e-10).transpose(1, 2)
    assert folded.shape == (2, frames, 6)
    torch.testing.assert_close(folded, plain, atol=2e-5, rtol=0)
    weights = torch.randn(folded.shape)
    for energies in (folded, plain):
        (energies * weights).sum().backward()
    for one, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-3 * float(other.grad.abs().max()), rtol=0)


def test_normaliser_first_principles() -> None:
    """Within the memory it subtracts plain means, the prior counting as so many frames."""
    shape = AcousticShape(bands=3, prior_frames=2, memory_frames=100)
    energies = torch.tensor([[[1.0, 2.0, 6.0], [4.0, 5.0, 9.0], [0.0, 0.0, 3.0]]])
    module = RunningBandMean(shape)
    out, state = module(energies, torch.tensor([[True, False, True]]))
    # e = 3, 6, 1; voiced frames 0 and 2: level 2; shapes (-2,-1,3) and (-1,-1,2), two prior frames of zero.
    torch.testing.assert_close(state.level, torch.tensor([2.0]))
    torch.testing.assert_close(state.shape, torch.tensor([[-3.0, -2.0, 5.0]]) / 4)
    torch.testing.assert_close(out[0, 2], energies[0, 2] - 2.0 - torch.tensor([-3.0, -2.0, 5.0]) / 4)


def test_normaliser_continues_from_its_state() -> None:
    module = RunningBandMean(SHAPE)
    energies = torch.randn(2, 30, SHAPE.bands)
    voiced = torch.rand(2, 30) < 0.5
    whole, end = module(energies, voiced)
    first, state = module(energies[:, :11], voiced[:, :11])
    second, again = module(energies[:, 11:], voiced[:, 11:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    assert isinstance(again, BandMeanState)
    torch.testing.assert_close(again.shape, end.shape)


def test_gain_does_not_change_logits() -> None:
    """Loudness is removed from the first voiced frame on; only the floor of 1e-10 can tell."""
    net = network()
    samples = torch.from_numpy(speech_like(0.6))[None]
    voiced = torch.ones(1, SHAPE.frame_count(samples.shape[1]), dtype=torch.bool)
    with torch.no_grad():
        results = []
        for gain in (1.0, 0.1):
            frames = net.trunk(net.normaliser(net.bands(gain * samples), voiced)[0])
            results.append(net.head(net.windows(frames, torch.arange(5)[None]))[1])
    torch.testing.assert_close(results[0], results[1], atol=1e-2, rtol=0)


@pytest.mark.parametrize("band", [5, 40, 79])
def test_a_filter_hears_its_band_and_not_an_octave_away(band: int) -> None:
    shape = AcousticShape(bands=80, layout="mel", kernel=251)
    layer = SincBands(shape)
    low, high = mel_cutoffs(shape.bands)
    centre = (low[band] + high[band]) / 2
    away = centre * 2.2 if centre < 3_000 else centre / 2.2
    time = np.arange(shape.receptive + 160) / SAMPLE_RATE
    with torch.no_grad():
        inside, outside = (
            float(layer(torch.tensor(np.sin(2 * np.pi * tone * time), dtype=torch.float32)[None])[0, 0, band])
            for tone in (centre, away)
        )
    # Hamming side lobes lie 53 dB down; narrow bands are wider than nominal, so 20 dB is asked for.
    assert inside - outside > np.log(100)


def test_cutoffs_stay_ordered_wherever_they_go() -> None:
    layer = SincBands(SHAPE)
    low, high = layer.cutoffs()
    np.testing.assert_allclose(low.detach().numpy() * SAMPLE_RATE, layer.initial_low_hz.numpy(), rtol=1e-4)
    np.testing.assert_allclose(high.detach().numpy() * SAMPLE_RATE, layer.initial_high_hz.numpy(), rtol=1e-4)
    with torch.no_grad():
        layer.low_moved.sub_(30)
        layer.width_moved.sub_(30)
    low, high = layer.cutoffs()
    assert (low > 0).all()
    assert (high > low).all()
    assert (high <= 0.5).all()


def test_an_adam_step_moves_a_cutoff_by_a_share_of_its_filters_width() -> None:
    """The flaw of cutoffs in Hz is that they never move, and that of f/fs that narrow filters move as far as wide ones."""
    layer = SincBands(SHAPE)
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2)
    before = layer.cutoffs()[0].detach() * SAMPLE_RATE
    layer(torch.from_numpy(speech_like(0.2))[None]).sum().backward()
    optimiser.step()
    moved = (layer.cutoffs()[0].detach() * SAMPLE_RATE - before).abs()
    width = layer.initial_high_hz - layer.initial_low_hz
    # Single precision of frequencies of some kilohertz.
    torch.testing.assert_close(moved, 0.01 * width, rtol=0.01, atol=2e-3)


def test_mean_of_features_and_mean_of_logits_agree() -> None:
    net = network()
    with torch.no_grad():
        feature, logits = net.head(torch.randn(9, SHAPE.window_frames, SHAPE.width))
        torch.testing.assert_close(net.head.classify(feature.mean(dim=0)), logits.mean(dim=0), atol=1e-6, rtol=1e-5)
