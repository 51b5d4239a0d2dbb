"""What the window asks of the rest of the program; no Qt here.

Everything is a structural protocol, so that whoever implements it need not import the window: frozen dataclasses with these
fields will do.

Who calls what, and from which thread
-------------------------------------
* One *worker* thread makes the controller, then calls :meth:`~DashboardController.configure`,
  :meth:`~DashboardController.inputs`, :meth:`~DashboardController.bundle`,
  :meth:`~DashboardController.recognizer_note`, :meth:`~DashboardController.cross_attention` and
  :meth:`~DashboardController.word_weights`; these may take seconds.
  They are never called while another call from the worker is under way, but the calls below may come meanwhile.
* The *window's* thread calls everything else, from a timer; these calls must return at once, `close` excepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.assembly import EngineChoices, LoadingStep
from realtime_ser.audio.sources import SourceStatus
from realtime_ser.bundle.filter_files import CutoffHistory, Reliance
from realtime_ser.inputs import PeopleInput
from realtime_ser.outlets.wish import OutletWish
from realtime_ser.profiles import Baseline, SpeakerProfile
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.session.request import SessionRequest
from realtime_ser.session.writer import Marker
from realtime_ser.text.attention import CrossAttention
from realtime_ser.text.weights import WordWeights
from realtime_ser.types import Block, Output

__all__ = [
    "BundleFacts",
    "DashboardController",
    "EngineState",
    "InputChoice",
    "InputKind",
    "Phase",
    "PickedFile",
    "SendingState",
]

InputKind: TypeAlias = Literal["microphone", "file", "demo"]

Phase: TypeAlias = Literal["loading", "stopped", "starting", "running", "stopping", "finished", "failed"]
"""``finished``: a file was played to its end. ``failed``: `problem` and `remedy` of the state say why."""


class InputChoice(Protocol):
    """Something that can be listened to."""

    @property
    def kind(self) -> InputKind:
        """What sort of input it is."""
        ...

    @property
    def id(self) -> str:
        """Which of its kind: a device, or a path."""
        ...

    @property
    def title(self) -> str:
        """A short name for the user."""
        ...

    @property
    def detail(self) -> str:
        """Rate, channels, host interface or length, for the user."""
        ...

    @property
    def usable(self) -> bool:
        """Whether it can be started."""
        ...

    @property
    def problem(self) -> str:
        """Why it cannot be started, otherwise empty."""
        ...


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
    """What the window shows of a model bundle."""

    @property
    def name(self) -> str:
        """The bundle's name and version."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Names, in the order of every score vector."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    @property
    def kernel(self) -> int:
        """Length of the sinc filters in samples."""
        ...

    @property
    def stride(self) -> int:
        """Samples between two outputs of a filter."""
        ...

    @property
    def hop(self) -> int:
        """Samples between two frames of band energies: what they are averaged over."""
        ...

    @property
    def initial_low_hz(self) -> NDArray[np.float64]:
        """Lower cutoffs before training, Hz, shape ``(bands,)``, in the order of the band energies."""
        ...

    @property
    def initial_high_hz(self) -> NDArray[np.float64]:
        """Upper cutoffs before training."""
        ...

    @property
    def low_hz(self) -> NDArray[np.float64]:
        """Lower cutoffs after training."""
        ...

    @property
    def high_hz(self) -> NDArray[np.float64]:
        """Upper cutoffs after training."""
        ...

    @property
    def reliance(self) -> Reliance | None:
        """Which filters the classes rely on, where the bundle says so."""
        ...

    @property
    def history(self) -> CutoffHistory | None:
        """How the cutoffs moved in training, where the bundle says so."""
        ...

    @property
    def computed_by(self) -> str:
        """What computes the networks, with which weights; then sentences about why."""
        ...

    @property
    def card_summary(self) -> str:
        """A few sentences: what the model is, how it was measured, what it must not be used for."""
        ...


class EngineState(Protocol):
    """Where the engine stands."""

    @property
    def phase(self) -> Phase:
        """Where the engine stands."""
        ...

    @property
    def problem(self) -> str:
        """What happened, for phase ``failed``; otherwise empty."""
        ...

    @property
    def remedy(self) -> str:
        """What the user can do about the problem; may be empty."""
        ...

    @property
    def input_title(self) -> str:
        """What is listened to, or was last."""
        ...

    @property
    def recognizer(self) -> str:
        """Which recogniser writes the words, or that there is none; empty while nobody knows."""
        ...

    @property
    def live(self) -> bool:
        """True for a microphone."""
        ...

    @property
    def position(self) -> int:
        """Samples heard so far."""
        ...


class SendingState(Protocol):
    """What leaves the machine, and whose markers come in."""

    @property
    def text(self) -> str:
        """What is sent where, in words; empty while nothing is."""
        ...

    @property
    def receiving(self) -> str:
        """From where markers are taken into the recording, in words; empty where from nowhere."""
        ...

    @property
    def problem(self) -> str:
        """Why nothing is sent or received although it should be; otherwise empty."""
        ...

    @property
    def remedy(self) -> str:
        """What the user can do about the problem; may be empty."""
        ...


class DashboardController(Protocol):
    """The engine as the window sees it. See the module's docstring for threads."""

    def inputs(self) -> Sequence[InputChoice]:
        """Microphones, demonstration recordings and known files; :class:`DeviceError` when devices cannot be listed."""
        ...

    def recorded_inputs(self) -> Sequence[InputChoice]:
        """What needs no device, for when devices cannot be listed; returns at once."""
        ...

    def configure(self, choices: EngineChoices, report: Callable[[LoadingStep], None] | None = None) -> None:
        """Use other choices from the next start on; one of :mod:`realtime_ser.errors` where they cannot be followed, and then
        everything is as it was before. Not called while the engine runs.

        `report` is told every step, where networks are loaded for it; what it raises ends the loading.
        """
        ...

    def bundle(self, report: Callable[[LoadingStep], None] | None = None) -> BundleFacts:
        """Load the bundle, or return what is loaded; :class:`BundleError` when it is missing or unfit.

        `report` is told every step; what it raises ends the loading.
        """
        ...

    def recognizer_note(self) -> str:
        """One sentence about the recogniser that would be used, or why there is none and what to do."""
        ...

    def cross_attention(self, words: str) -> CrossAttention:
        """What the text network attends to in a transcript; :class:`BundleError` where it has nothing to show."""
        ...

    def word_weights(self, words: Sequence[str]) -> WordWeights:
        """What leaving out each of the words of a transcript does to the scores of the words alone."""
        ...

    def calibration_problem(self) -> str:
        """Why nobody's neutral voice can be learnt now; empty where it can. Returns at once."""
        ...

    def profile_worth(self) -> str:
        """What profiles were worth on speakers whom they were tried on; empty where nobody knows. Returns at once."""
        ...

    def new_baseline(self) -> Baseline:
        """For the windows that come from now on."""
        ...

    def profile_of(self, name: str, baseline: Baseline) -> SpeakerProfile:
        """What was heard, for the networks in use; :class:`ConfigError` where there was too little voice."""
        ...

    def can_fetch_words(self) -> bool:
        """Whether a better recogniser than the present one can be fetched; returns at once."""
        ...

    def fetch_words(self, report: Callable[[str, int, int | None], None]) -> str:
        """Fetch the recommended model and use it from the next start on; blocks, on a thread that belongs to this call alone.

        Parameters
        ----------
        report
            Told the phase, and bytes done and of all (``None``: unknown); what it raises ends the fetch, which can be resumed.

        Returns
        -------
        As :meth:`recognizer_note`, from now on.
        """
        ...

    def start(self, choice: InputChoice, session: SessionRequest | None = None, people: PeopleInput | None = None) -> None:
        """Ask for a start, recorded or not, and return at once; what becomes of it shows in :meth:`state`.

        With `people` two are listened to; `choice` is what the first of them speaks into.
        """
        ...

    def send(self, wish: OutletWish | None) -> None:
        """Send this from the next start on; ``None``: nothing leaves the machine. Returns at once."""
        ...

    def sending(self) -> SendingState:
        """What is sent, by the engine that runs."""
        ...

    def source_status(self, person: int = 0) -> SourceStatus | None:
        """How the input that is listened to, or was last, is doing; ``None`` before the first start.

        Of two people it is that of `person`, counted from 0.
        """
        ...

    def recording(self) -> RecordingStatus | None:
        """How the recording of the engine that runs, or ran last, is doing; ``None`` where none was asked for."""
        ...

    def mark(self, name: str, colour: str = "", source: str = "dashboard") -> Marker | None:
        """Mark this moment in the session that is being recorded, if one is."""
        ...

    def foreign_markers(self) -> Sequence[Marker]:
        """What other programs have marked in the session since the last call."""
        ...

    def note(self, text: str) -> bool:
        """Keep a remark about this moment in the session that is being recorded; whether one is."""
        ...

    def stop(self) -> None:
        """Ask for a stop and return at once."""
        ...

    def state(self) -> EngineState:
        """Where the engine stands now."""
        ...

    def poll(self, limit: int) -> Sequence[Output]:
        """At most `limit` outputs since the last call, oldest first, from a bounded channel; of two people the first one's."""
        ...

    def poll_second(self, limit: int) -> Sequence[Output]:
        """The same of the second person, on the first one's clock."""
        ...

    def hear_sound(self, wanted: bool, person: int = 0) -> None:
        """Keep the sound that is listened to from now on for :meth:`poll_sound`, or keep none and let go of what there is.

        Of two people it is that of `person` (from 0), on the first one's clock.

        Off at first; it costs nothing then.
        """
        ...

    def poll_sound(self) -> Sequence[Block]:
        """Blocks since the last call, oldest first, from a bounded channel; what that dropped is a jump in their spans."""
        ...

    def close(self) -> None:
        """Stop and release everything; may take as long as the engine's stop does. Called once."""
        ...
