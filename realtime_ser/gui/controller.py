"""What the window asks of the rest of the program; no Qt here.

Everything is a structural protocol, so that whoever implements it need not import the window: frozen dataclasses with these
fields will do.

Who calls what, and from which thread
-------------------------------------
* One *worker* thread makes the controller, then calls :meth:`~DashboardController.inputs`,
  :meth:`~DashboardController.bundle` and :meth:`~DashboardController.recognizer_note`; these may take seconds.
  They are never called while another call from the worker is under way, but the calls below may come meanwhile.
* The *window's* thread calls everything else, from a timer; these calls must return at once, `close` excepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import Output

__all__ = ["BundleFacts", "DashboardController", "EngineState", "InputChoice", "InputKind", "Phase", "PickedFile"]

InputKind: TypeAlias = Literal["microphone", "file", "demo"]

Phase: TypeAlias = Literal["loading", "stopped", "starting", "running", "stopping", "finished", "failed"]
"""``finished``: a file was played to its end. ``failed``: `problem` and `remedy` of the state say why."""


class InputChoice(Protocol):
    """Something that can be listened to.

    Attributes
    ----------
    kind, id
        `id` names it among those of its kind: a device, or a path.
    title, detail
        What the user reads: a short name; rate, channels, host interface or length.
    usable, problem
        Whether it can be started and, if not, why.
    """

    @property
    def kind(self) -> InputKind: ...
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def usable(self) -> bool: ...
    @property
    def problem(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PickedFile:
    """An :class:`InputChoice` that the window makes itself, for a file that the user picked or dropped; `id` is its path."""

    id: str
    title: str
    detail: str = ""
    kind: InputKind = "file"
    usable: bool = True
    problem: str = ""


class BundleFacts(Protocol):
    """What the window shows of a model bundle.

    Attributes
    ----------
    classes
        Names, in the order of every score vector.
    sample_rate
        Hz.
    kernel
        Length of the sinc filters in samples.
    initial_low_hz, initial_high_hz, low_hz, high_hz
        Cutoffs of every sinc filter before and after training, Hz, shape ``(bands,)``, in the order of the band energies.
    card_summary
        A few sentences: what the model is, what it was measured to do, what it must not be used for.
    """

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def kernel(self) -> int: ...
    @property
    def initial_low_hz(self) -> NDArray[np.float64]: ...
    @property
    def initial_high_hz(self) -> NDArray[np.float64]: ...
    @property
    def low_hz(self) -> NDArray[np.float64]: ...
    @property
    def high_hz(self) -> NDArray[np.float64]: ...
    @property
    def card_summary(self) -> str: ...


class EngineState(Protocol):
    """Where the engine stands.

    Attributes
    ----------
    problem, remedy
        What happened and what the user can do; for phase ``failed``, otherwise empty.
    input_title, recognizer
        What is listened to, and which recogniser writes the words ("none" in words where there is none).
    live
        True for a microphone.
    position
        Samples seen so far.
    """

    @property
    def phase(self) -> Phase: ...
    @property
    def problem(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def input_title(self) -> str: ...
    @property
    def recognizer(self) -> str: ...
    @property
    def live(self) -> bool: ...
    @property
    def position(self) -> int: ...


class DashboardController(Protocol):
    """The engine as the window sees it. See the module's docstring for threads."""

    def inputs(self) -> Sequence[InputChoice]:
        """Microphones, demonstration recordings and known files; :class:`DeviceError` when devices cannot be listed."""
        ...

    def bundle(self) -> BundleFacts:
        """Load the bundle, or return what is loaded; :class:`BundleError` when it is missing or unfit."""
        ...

    def recognizer_note(self) -> str:
        """One sentence about the recogniser that would be used, or why there is none and what to do."""
        ...

    def start(self, choice: InputChoice) -> None:
        """Ask for a start and return at once; what becomes of it shows in :meth:`state`."""
        ...

    def stop(self) -> None:
        """Ask for a stop and return at once."""
        ...

    def state(self) -> EngineState:
        """Where the engine stands now."""
        ...

    def poll(self, limit: int) -> Sequence[Output]:
        """At most `limit` outputs since the last call, oldest first, from a bounded channel."""
        ...

    def close(self) -> None:
        """Stop and release everything; may take as long as the engine's stop does. Called once."""
        ...
