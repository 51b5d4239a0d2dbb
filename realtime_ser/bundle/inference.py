"""The one place where ONNX Runtime is imported: a small typed session that every stage with a network uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.providers import Provider
from realtime_ser.errors import BundleError

__all__ = ["InputArray", "Port", "Session", "available_providers", "create_session", "runtime_version"]

InputArray: TypeAlias = NDArray[np.float32] | NDArray[np.int64]
"""What the graphs of a bundle are fed with: samples, energies and features, or token numbers."""

_ELEMENT_TYPES: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(int64)": np.dtype(np.int64)}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph.

    Attributes
    ----------
    shape
        Fixed lengths as ints; ``None`` where the length is free.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def admits(self, expected: Sequence[int | None]) -> bool:
        """Whether arrays of the shape `expected` fit this port; ``None`` on either side stands for any length."""
        return len(self.shape) == len(expected) and all(
            ours is None or theirs is None or ours == theirs for ours, theirs in zip(self.shape, expected, strict=True)
        )


class Session:
    """A loaded graph. It keeps no state between runs; several threads may run it at once.

    Attributes
    ----------
    name
        File name of the graph, or ``"<bytes>"``; for messages.
    inputs, outputs
        In the order of the graph.
    """

    def __init__(self, session: Any, name: str) -> None:
        self._session = session
        # The Python wrapper keeps the graph for a second try with other providers, which `create_session` does not make: as
        # much memory again as the weights.
        session._model_bytes = b""
        self.name = name
        self.inputs = tuple(_port(node, name) for node in session.get_inputs())
        self.outputs = tuple(_port(node, name) for node in session.get_outputs())

    def require(self, inputs: Mapping[str, Sequence[int | None]], outputs: Mapping[str, Sequence[int | None]]) -> None:
        """Check that the graph has exactly these inputs and at least these outputs, with these shapes.

        Parameters
        ----------
        inputs, outputs
            Shape by name; ``None`` stands for any length.

        Raises
        ------
        BundleError
            Naming the first port that is missing, superfluous or of another shape.
        """
        for kind, ports, expected in (("input", self.inputs, inputs), ("output", self.outputs, outputs)):
            found = {port.name: port for port in ports}
            for name, shape in expected.items():
                if name not in found:
                    raise BundleError(f"The graph {self.name} has no {kind} {name!r} (it has {', '.join(found) or 'none'}).")
                if not found[name].admits(shape):
                    raise BundleError(
                        f"The {kind} {name!r} of the graph {self.name} must have the shape {_shown(shape)}, "
                        f"it has {_shown(found[name].shape)}."
                    )
        for port in self.inputs:
            if port.name not in inputs:
                raise BundleError(f"The graph {self.name} asks for an unexpected input {port.name!r}.")

    def run(self, inputs: Mapping[str, InputArray], outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Evaluate the graph.

        Parameters
        ----------
        inputs
            Array by input name, float32 or int64 as the port says.
        outputs
            Names of the outputs wanted.

        Returns
        -------
        tuple of ndarray
            float32, in the order of `outputs`; the caller owns them.
        """
        return tuple(self._session.run(list(outputs), dict(inputs)))


def available_providers() -> list[str]:
    """ONNX Runtime's names of what it can compute with on this machine, as it says itself."""
    import onnxruntime  # type: ignore[import-untyped]

    return list(onnxruntime.get_available_providers())


def runtime_version() -> str:
    """The version of ONNX Runtime."""
    import onnxruntime

    return str(onnxruntime.__version__)


def create_session(model: bytes | Path, provider: Provider = Provider.CPU) -> Session:
    """Load a graph for inference, on the processor with one thread.

    One thread per session and no spinning: the stages are the threads of this program, and a network that keeps a core busy
    while it waits for the next 10 ms would take it from them.

    Parameters
    ----------
    model
        The graph as bytes, or the path of an ``.onnx`` file.
    provider
        What computes it. Operations that it lacks are left to the processor.

    Raises
    ------
    BundleError
        The file is missing, is not a graph, or needs an operator that the installed ONNX Runtime lacks; or the provider does
        not start on this machine.
    """
    import onnxruntime

    name = model.name if isinstance(model, Path) else "<bytes>"
    if isinstance(model, Path) and not model.is_file():
        raise BundleError(f"There is no graph {model}.", "Install the model bundle again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors are raised; the runtime need not print them as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    source = str(model) if isinstance(model, Path) else model
    wanted = list(dict.fromkeys([provider.runtime_name, Provider.CPU.runtime_name]))
    if provider.runtime_name not in available_providers():
        raise BundleError(f"This build of ONNX Runtime has no {provider}.", "Use the processor.")
    try:
        session = onnxruntime.InferenceSession(source, options, providers=wanted)
    # ONNX Runtime's exceptions derive from Exception alone and live in a private module, so there is nothing narrower to catch.
    except Exception as error:
        raise BundleError(f"The graph {name} cannot be loaded: {error}", "Install the model bundle again.") from error
    # ONNX Runtime goes on without a provider that does not start, and says so only in its log.
    if provider.runtime_name not in session.get_providers():
        raise BundleError(f"{provider} does not start on this machine.", "Use the processor.")
    return Session(session, name)


def _port(node: Any, graph: str) -> Port:
    if node.type not in _ELEMENT_TYPES:
        raise BundleError(f"The port {node.name!r} of the graph {graph} has the unsupported type {node.type}.")
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return Port(node.name, shape, _ELEMENT_TYPES[node.type])


def _shown(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"
