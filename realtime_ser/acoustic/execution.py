"""How the acoustic networks run on this machine: what is asked for, what is tried, and what it was found to be worth.

Whatever is not the plain computation (float32 on the processor) is compared with it on a probe when a bundle is loaded. It is
used only where the scores agree within a tolerance, and, where the choice is automatic, only where it is faster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

import numpy as np

from realtime_ser.acoustic.networks import AcousticNetworks
from realtime_ser.bundle.inference import available_providers
from realtime_ser.bundle.loader import Bundle
from realtime_ser.bundle.providers import Provider, candidates, parse_provider
from realtime_ser.errors import BundleError, ConfigError
from realtime_ser.types import FloatArray

__all__ = [
    "PROVIDER_TOLERANCE", "PROVIDER_VARIABLE", "WEIGHTS_TOLERANCE", "WEIGHTS_VARIABLE",
    "Execution", "Form", "Weights", "choose_networks",
]  # fmt: skip

Weights: TypeAlias = Literal["float32", "int8", "auto"]

PROVIDER_VARIABLE, WEIGHTS_VARIABLE = "REALTIME_SER_PROVIDER", "REALTIME_SER_WEIGHTS"
"""Environment variables that stand in for options."""
PROVIDER_TOLERANCE = 1e-3
"""Largest difference of a window's scores between a provider and the processor: other orders of summation, and arithmetic with
fewer digits that graphics processors use unasked, on scores that are displayed with two digits."""
WEIGHTS_TOLERANCE = 0.02
"""The same between integer and float32 weights, which are rounded to two digits. An utterance's scores rest on dozens of
windows and differ less."""

_FASTER = 1.2
"""Times that a form must be faster to be chosen: less could be the other work of the machine."""
_PROBE_SECONDS = 1.0
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Execution:
    """What is asked for.

    Attributes
    ----------
    provider
        ``None``: a graphics processor where there is one that is faster, else the processor.
    weights
        ``"float32"``; ``"int8"``: where the scores agree; ``"auto"``: where they agree and it is faster.
    """

    provider: Provider | None = None
    weights: Weights = "float32"

    @classmethod
    def wanted(cls, provider: str | None = None, weights: str | None = None) -> Execution:
        """From names, else from the environment (``REALTIME_SER_PROVIDER``, ``REALTIME_SER_WEIGHTS``), else the defaults.

        Raises
        ------
        ConfigError
            A name means nothing.
        """
        provider = provider or os.environ.get(PROVIDER_VARIABLE) or "auto"
        weights = weights or os.environ.get(WEIGHTS_VARIABLE) or "float32"
        if weights not in get_args(Weights):
            raise ConfigError(f"There are no weights {weights!r}.", f"Choose one of {', '.join(get_args(Weights))}.")
        return cls(parse_provider(provider), cast(Weights, weights))


@dataclass(frozen=True, slots=True)
class Form:
    """What is used.

    Attributes
    ----------
    weights
        ``"float32"`` or ``"int8"``.
    folded
        Whether the filters' symmetry is made use of.
    notes
        Sentences about what was tried and found.
    """

    provider: Provider
    weights: Weights
    folded: bool
    notes: tuple[str, ...] = ()

    @property
    def rounding(self) -> float:
        """Largest difference between two ways to the same score in this form, far below what is displayed.

        Batches of other sizes are summed in another order. In float32 that moves the last digit; in integers, the last digit
        may tip an input to the next of its 255 levels.
        """
        if self.weights == "int8":
            return 5e-3
        return 1e-5 if self.provider is Provider.CPU else PROVIDER_TOLERANCE

    def __str__(self) -> str:
        return ". ".join((f"{self.provider}, {self.weights} weights", *(note.rstrip(".") for note in self.notes))) + "."


def choose_networks(
    bundle: Bundle,
    execution: Execution | None = None,
    available: Sequence[str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[AcousticNetworks, Form]:
    """Load a bundle's acoustic networks in the form that is asked for, or in the plain one where that does not work.

    Parameters
    ----------
    execution
        ``None``: what the environment asks for.
    available
        ONNX Runtime's names of its providers; ``None``: as it says itself.
    tell
        Told before each form is tried: nothing for the plain one, else which it is, like ", tried with int8 weights". What it
        raises ends the loading.

    Raises
    ------
    BundleError
        The bundle's networks cannot be loaded.
    ConfigError
        The environment asks for something that means nothing.
    """
    execution = Execution.wanted() if execution is None else execution
    tell = tell or (lambda _: None)
    tell("")
    plain = AcousticNetworks.load(bundle)
    notes: list[str] = []
    tried, problem = candidates(execution.provider, available_providers() if available is None else available)
    if problem:
        notes.append(problem)
    for provider in tried:
        tell(f", tried with {provider}")
        other, note = _compare(
            f"{provider}", bundle, plain, lambda provider=provider: AcousticNetworks.load(bundle, provider),  # type: ignore[misc]
            PROVIDER_TOLERANCE, must_be_faster=execution.provider is None,
        )  # fmt: skip
        notes.append(note)
        if other is not None:
            return other, Form(provider, "float32", False, tuple(notes))
    if execution.weights != "float32":
        tell(", tried with int8 weights")
        other, note = _compare(
            "int8 weights", bundle, plain, lambda: AcousticNetworks.load(bundle, integer_weights=True),
            WEIGHTS_TOLERANCE, must_be_faster=execution.weights == "auto",
        )  # fmt: skip
        notes.append(note)
        if other is not None:
            return other, Form(Provider.CPU, "int8", other.folded is not None, tuple(notes))
    return plain, Form(Provider.CPU, "float32", plain.folded is not None, tuple(notes))


def _compare(
    name: str,
    bundle: Bundle,
    plain: AcousticNetworks,
    load: Callable[[], AcousticNetworks],
    tolerance: float,
    *,
    must_be_faster: bool,
) -> tuple[AcousticNetworks | None, str]:
    """The other networks if they may be used, and a sentence about them."""
    try:
        other = load()
        signal = probe(bundle)
        difference = float(np.abs(scores_of(bundle, other, signal) - scores_of(bundle, plain, signal)).max())
    except BundleError as error:
        return None, f"{name}: not used, {error.problem}"
    # A provider may well start and then fail at its first run, with an exception of ONNX Runtime's own.
    except Exception as error:  # noqa: BLE001
        return None, f"{name}: not used, it fails ({error})"
    # NB: "not <=", so that a difference that is no number counts as one that is too large.
    if not difference <= tolerance:
        return None, f"{name}: not used, scores differ by {difference:.4f} (at most {tolerance:g} is allowed)"
    gain = _gain(bundle, plain, other, signal)
    found = f"{gain:.1f} times as fast as float32 on the processor, scores differ by at most {difference:.4f}"
    if must_be_faster and gain < _FASTER:
        return None, f"{name}: not used, {found}"
    return other, f"{name}: {found}"


def probe(bundle: Bundle) -> FloatArray:
    """A made-up voice: harmonics of a gliding pitch in a changing vowel, with pauses, over noise; float32, one second."""
    rate = bundle.manifest.sample_rate
    time_axis = np.arange(int(_PROBE_SECONDS * rate) + bundle.manifest.window) / rate
    pitch = 140.0 + 50.0 * np.sin(2 * np.pi * 1.3 * time_axis)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formant = 700.0 + 400.0 * np.sin(2 * np.pi * 2.1 * time_axis)
    signal = 0.003 * np.random.default_rng(0).standard_normal(len(time_axis))
    for number in range(1, 24):
        strength = np.exp(-(((number * pitch - formant) / 600.0) ** 2)) + 0.1 / number
        signal += 0.1 * strength * np.maximum(np.sin(2 * np.pi * 2.7 * time_axis), 0.0) * np.sin(number * phase)
    return signal.astype(np.float32)


def scores_of(bundle: Bundle, networks: AcousticNetworks, signal: FloatArray) -> FloatArray:
    """Softmax scores of all windows of a signal, every band's mean over it taken off; shape ``(windows, classes)``."""
    manifest = bundle.manifest
    count = (len(signal) - manifest.band_receptive) // manifest.hop + 1
    energies = networks.band_energies(signal[: manifest.band_receptive + (count - 1) * manifest.hop])
    frames = networks.frames(energies - energies.mean(axis=0))
    windows = np.arange(len(frames) - manifest.frames_per_window + 1)
    _, logits = networks.windows(frames[windows[:, np.newaxis] + np.arange(manifest.frames_per_window)])
    exponentials = np.exp((logits - logits.max(axis=1, keepdims=True)) / manifest.calibration.window)
    scores: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return scores


def _gain(bundle: Bundle, plain: AcousticNetworks, other: AcousticNetworks, signal: FloatArray) -> float:
    """How many times as fast the other networks are on the probe.

    The shortest of several turns of either, one after the other, so that the machine's other work meets both alike.
    """
    shortest = [np.inf, np.inf]
    for _ in range(_ROUNDS):
        for index, networks in enumerate((plain, other)):
            begun = time.perf_counter()
            scores_of(bundle, networks, signal)
            shortest[index] = min(shortest[index], time.perf_counter() - begun)
    return float(shortest[0] / shortest[1])
