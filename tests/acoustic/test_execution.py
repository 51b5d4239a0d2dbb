"""The form in which the networks run: what is asked for, what is used, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_ser.acoustic import execution
from realtime_ser.acoustic.execution import PROVIDER_TOLERANCE, WEIGHTS_TOLERANCE, Execution, choose_networks
from realtime_ser.acoustic.networks import AcousticNetworks
from realtime_ser.assembly import LoadingStep, load_models
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.bundle.providers import Provider
from realtime_ser.errors import BundleError, ConfigError

ONLY_CPU = ["CPUExecutionProvider"]
WITH_CUDA = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("default-bundle")


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> list[Provider]:
    """Has the processor play every provider, and notes which were asked for."""
    asked: list[Provider] = []
    real = AcousticNetworks.load

    def load(bundle: Bundle, provider: Provider = Provider.CPU, **options: bool) -> AcousticNetworks:
        asked.append(provider)
        return real(bundle, Provider.CPU, **options)

    monkeypatch.setattr(AcousticNetworks, "load", load)
    return asked


def worth(monkeypatch: pytest.MonkeyPatch, gain: float) -> None:
    """Timing is no matter of tests: how much faster something is, is given."""
    monkeypatch.setattr(execution, "_gain", lambda *_: gain)


def test_by_default_it_is_the_processor_in_float32(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROVIDER", "WEIGHTS"):
        monkeypatch.delenv(f"REALTIME_SER_{name}", raising=False)
    networks, form = choose_networks(bundle, available=ONLY_CPU)
    assert (form.provider, form.weights, form.folded, form.notes) == (Provider.CPU, "float32", True, ())
    assert networks.folded is not None
    assert str(form) == "processor, float32 weights."


@pytest.mark.parametrize(("gain", "weights", "used"), [(2.0, "auto", "int8"), (1.0, "auto", "float32"), (1.0, "int8", "int8")])
def test_integer_weights_are_used_where_they_help_or_are_asked_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, gain: float, weights: execution.Weights, used: str
) -> None:
    worth(monkeypatch, gain)
    _, form = choose_networks(bundle, Execution(Provider.CPU, weights))
    assert form.weights == used
    assert f"{gain:.1f} times as fast" in str(form)


def test_scores_with_integer_weights_agree_on_speech(bundle: Bundle, demonstration: np.ndarray) -> None:
    plain, integer = (AcousticNetworks.load(bundle, integer_weights=integers) for integers in (False, True))
    signal = demonstration[16_000:112_000]
    difference = np.abs(execution.scores_of(bundle, plain, signal) - execution.scores_of(bundle, integer, signal))
    assert 0.0 < difference.max() <= WEIGHTS_TOLERANCE


def test_weights_that_give_other_scores_are_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "WEIGHTS_TOLERANCE", 0.0)
    _, form = choose_networks(bundle, Execution(Provider.CPU, "int8"))
    assert form.weights == "float32"
    assert "scores differ" in str(form)


def test_loading_tells_every_step_and_form_and_ends_where_somebody_has_enough(random_bundle: Path) -> None:
    told: list[LoadingStep] = []
    models = load_models(random_bundle, "none", Execution(Provider.CPU, "int8"), report=told.append)
    files = len(models.manifest.files)
    assert [step.number for step in told] == [1] * files + [2, 2, 3, 4, 5]
    assert [step.what for step in told[-5:]] == [
        "the acoustic networks",
        "the acoustic networks, tried with int8 weights",
        "the text network",
        "the fusion network",
        "a first run",
    ]
    shares = [step.done for step in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[1], shares[-1]) == pytest.approx((0.0, 1 / files / 5, 4 / 5))

    def enough(step: LoadingStep) -> None:
        told.append(step)
        raise InterruptedError

    for report in (enough, lambda step: enough(step) if "int8" in step.what else None):
        told.clear()
        with pytest.raises(InterruptedError):
            load_models(random_bundle, "none", Execution(Provider.CPU, "int8"), report=report)
        assert len(told) == 1


@pytest.mark.parametrize(("wanted", "gain", "used"), [(None, 3.0, "cuda"), (None, 1.0, "cpu"), (Provider.CUDA, 0.5, "cuda")])
def test_a_graphics_processor_is_used_where_it_is_faster_or_asked_for(
    bundle: Bundle,
    graphics: list[Provider],
    monkeypatch: pytest.MonkeyPatch,
    wanted: Provider | None,
    gain: float,
    used: str,
) -> None:
    worth(monkeypatch, gain)
    _, form = choose_networks(bundle, Execution(wanted), WITH_CUDA)
    assert form.provider is Provider(used)
    assert graphics == [Provider.CPU, Provider.CUDA]
    assert f"{gain:.1f} times as fast" in str(form)


def test_a_provider_with_other_scores_is_refused(
    bundle: Bundle, graphics: list[Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, turns = execution.scores_of, iter([PROVIDER_TOLERANCE * 2, 0.0])
    monkeypatch.setattr(execution, "scores_of", lambda *given: real(*given) + next(turns))
    _, form = choose_networks(bundle, Execution(Provider.CUDA), WITH_CUDA)
    assert form.provider is Provider.CPU
    assert "scores differ by 0.0020" in str(form)


@pytest.mark.parametrize("error", [BundleError("CUDA does not start on this machine."), RuntimeError("out of memory")])
def test_a_provider_that_fails_is_told_and_the_processor_remains(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = AcousticNetworks.load

    def load(bundle: Bundle, provider: Provider = Provider.CPU, **options: bool) -> AcousticNetworks:
        if provider is not Provider.CPU:
            raise error
        return real(bundle, provider, **options)

    monkeypatch.setattr(AcousticNetworks, "load", load)
    _, form = choose_networks(bundle, Execution(Provider.CUDA), WITH_CUDA)
    assert form.provider is Provider.CPU
    assert str(error) in str(form) + "."


def test_a_provider_that_is_not_there_is_told(bundle: Bundle) -> None:
    _, form = choose_networks(bundle, Execution(Provider.DIRECTML), ONLY_CPU)
    assert str(form) == "processor, float32 weights. This build of ONNX Runtime has no DirectML; the processor is used."


def test_the_environment_is_asked_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_SER_PROVIDER", "cpu")
    monkeypatch.setenv("REALTIME_SER_WEIGHTS", "auto")
    assert Execution.wanted() == Execution(Provider.CPU, "auto")
    assert Execution.wanted("auto", "int8") == Execution(None, "int8")
    with pytest.raises(ConfigError, match="float32, int8, auto"):
        Execution.wanted(weights="int4")
