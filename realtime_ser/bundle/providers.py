"""What can compute a graph: the processor, or a graphics processor through ONNX Runtime's other builds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from realtime_ser.errors import ConfigError

__all__ = ["Provider", "candidates", "parse_provider"]


class Provider(StrEnum):
    """Names of the command line, each with ONNX Runtime's own."""

    CPU = "cpu"
    CUDA = "cuda"
    COREML = "coreml"
    DIRECTML = "directml"

    @property
    def runtime_name(self) -> str:
        """What ONNX Runtime calls it."""
        return _RUNTIME_NAMES[self]

    def __str__(self) -> str:
        return _TITLES[self]


_RUNTIME_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
}
_TITLES = {Provider.CPU: "processor", Provider.CUDA: "CUDA", Provider.COREML: "CoreML", Provider.DIRECTML: "DirectML"}
_TRIED_UNASKED = (Provider.CUDA, Provider.DIRECTML)
"""In this order. Their builds of ONNX Runtime are installed on purpose. CoreML comes with every build for macOS and translates
the graphs anew at every start, which takes longer than the whole start may: it has to be asked for."""


def parse_provider(text: str) -> Provider | None:
    """The provider of that name; ``None`` for ``auto``.

    Raises
    ------
    ConfigError
        There is no such provider.
    """
    if text == "auto":
        return None
    try:
        return Provider(text)
    except ValueError:
        names = ", ".join(provider.value for provider in Provider)
        raise ConfigError(f"There is no execution provider {text!r}.", f"Choose auto or one of {names}.") from None


def candidates(wanted: Provider | None, available: Sequence[str]) -> tuple[list[Provider], str]:
    """Which providers to try before the processor, which always works.

    Parameters
    ----------
    wanted
        The user's choice; ``None``: whatever is faster.
    available
        ONNX Runtime's names of what it was built with.

    Returns
    -------
    providers, problem
        In order of preference, without the processor; and why the user's choice is not among them, or nothing.
    """
    if wanted is Provider.CPU:
        return [], ""
    if wanted is None:
        return [provider for provider in _TRIED_UNASKED if provider.runtime_name in available], ""
    if wanted.runtime_name in available:
        return [wanted], ""
    return [], f"This build of ONNX Runtime has no {wanted}; the processor is used."
