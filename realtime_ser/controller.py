"""The engine as the window sees it: start and stop without waiting, states instead of exceptions.

NB: public methods are called from the window's thread, the loading ones from its worker thread. Opening and closing devices can
take seconds, so a thread of the controller's own does it; the lock guards nothing but the state that both sides read.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.execution import Execution
from realtime_ser.asr.discovery import choose_recognizer
from realtime_ser.asr.fetch import CATALOGUE, fetch_model
from realtime_ser.assembly import EngineChoices, LoadingStep, Models, build_people, load_models
from realtime_ser.audio.portaudio import list_devices
from realtime_ser.audio.sources import Source, SourceStatus
from realtime_ser.bundle.filter_files import CutoffHistory, Reliance
from realtime_ser.bundle.loader import asset_path
from realtime_ser.config import EngineSettings
from realtime_ser.engine.channel import Channel, Policy
from realtime_ser.engine.people import People
from realtime_ser.errors import BundleError, ConfigError, RealtimeSerError
from realtime_ser.inputs import DEMONSTRATION, Input, InputKind, PeopleInput, open_input, open_people
from realtime_ser.outlets.feed import Feed, Mark
from realtime_ser.outlets.wish import OutletWish, open_outlets, sending_text, stream_facts
from realtime_ser.profiles import Baseline, SpeakerProfile, read_profile, worth
from realtime_ser.session.recorder import Recorder, RecordingStatus, TappedSource
from realtime_ser.session.request import RECORDED_OUTPUTS, SessionRequest, open_recorder
from realtime_ser.session.writer import Marker
from realtime_ser.text.attention import CrossAttention, CrossAttentionReader
from realtime_ser.text.weights import WordWeights, weigh_words
from realtime_ser.types import Block, Output, Span

__all__ = ["BundleView", "Controller", "ControllerState", "InputEntry", "Sending", "Startable"]

PhaseName: TypeAlias = Literal["loading", "stopped", "starting", "running", "stopping", "finished", "failed"]

_OUTPUTS = 4_096
"""Outputs kept for a window that is not looking: some forty seconds."""

_SENT = 256
"""Outputs kept for outlets: some two and a half seconds."""

_BLOCKS = 512
"""Blocks of sound kept for a view that is open and not looking: with a sound card's usual blocks, five seconds and more."""


class Startable(Protocol):
    """What :meth:`Controller.start` needs to know of an input."""

    @property
    def kind(self) -> InputKind:
        """Microphone, file or demonstration audio."""
        ...

    @property
    def id(self) -> str:
        """Device or path."""
        ...

    @property
    def title(self) -> str:
        """What the user reads."""
        ...


@dataclass(frozen=True, slots=True)
class InputEntry:
    """A choice of the input menu; see ``realtime_ser.gui.controller.InputChoice``."""

    kind: InputKind
    id: str
    title: str
    detail: str = ""
    usable: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BundleView:
    """What the window shows of a bundle; see ``realtime_ser.gui.controller.BundleFacts``."""

    name: str
    classes: tuple[str, ...]
    sample_rate: int
    kernel: int
    stride: int
    hop: int
    initial_low_hz: NDArray[np.float64]
    initial_high_hz: NDArray[np.float64]
    low_hz: NDArray[np.float64]
    high_hz: NDArray[np.float64]
    card_summary: str
    reliance: Reliance | None
    history: CutoffHistory | None
    computed_by: str

    @classmethod
    def of(cls, models: Models) -> BundleView:
        """The view of the bundle that is loaded, and how it runs."""
        manifest = models.manifest
        filters = manifest.acoustic.filters
        limits = " ".join(manifest.card.limits)
        return cls(
            name=f"{manifest.name} {manifest.version}",
            classes=manifest.classes,
            sample_rate=manifest.sample_rate,
            kernel=manifest.acoustic.kernel,
            stride=manifest.acoustic.stride,
            hop=manifest.hop,
            initial_low_hz=np.asarray(filters.initial_low_hz),
            initial_high_hz=np.asarray(filters.initial_high_hz),
            low_hz=np.asarray(filters.low_hz),
            high_hz=np.asarray(filters.high_hz),
            card_summary=f"{manifest.card.summary} {limits} Computed by {models.acoustic.form}".strip(),
            reliance=models.bundle.reliance,
            history=models.bundle.history,
            computed_by=str(models.acoustic.form),
        )


@dataclass(frozen=True, slots=True)
class ControllerState:
    """Where the engine stands; see ``realtime_ser.gui.controller.EngineState``."""

    phase: PhaseName
    problem: str = ""
    remedy: str = ""
    input_title: str = ""
    recognizer: str = ""
    live: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """What leaves the machine while an engine runs; see ``realtime_ser.gui.controller.SendingState``."""

    text: str = ""
    problem: str = ""
    remedy: str = ""
    receiving: str = ""


class Controller:
    """Owns at most one engine at a time, or those of two people.

    Parameters
    ----------
    bundle, recognizer, execution
        As for :func:`~realtime_ser.assembly.load_models`.
    settings
        Thresholds and times.
    open_source
        Makes the source, not yet open, of the input that is chosen; called with that input, and with ``buffering`` where a user
        has chosen that.
    profile
        Of the one who speaks; ``None``: anybody. It is of one voice, and not used where two people are listened to.
    open_sources
        The same as `open_source` for two people: a source for each.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        recognizer: str | Path = "auto",
        settings: EngineSettings | None = None,
        files: Sequence[str] = (),
        execution: Execution | None = None,
        open_source: Callable[..., Source] = open_input,
        profile: SpeakerProfile | None = None,
        open_sources: Callable[..., Sequence[Source]] = open_people,
    ) -> None:
        self._bundle = bundle
        self._recognizer = recognizer
        self._settings = settings
        self._files = tuple(files)
        self._execution = execution
        self._open_source = open_source
        self._open_sources = open_sources
        self._profile = profile
        self._choices = EngineChoices()
        self._models: Models | None = None
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        self._engine: People | None = None
        self._outputs: Sequence[Channel[Output]] = ()
        # NB: set by the window's thread, read once a block by the signal thread.
        self._sound: Channel[Block] | None = None
        self._sound_person = 0
        # Samples by which the sound that is kept is moved onto the first person's clock, once that is known.
        self._sound_offset: int | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._state = ControllerState("loading")
        self._recorder: Recorder | None = None
        # NB: appended to by the recorder's writing thread, emptied by the window's.
        self._foreign_markers: deque[Marker] = deque()
        self._listened: Sequence[Source] = ()
        self._wish: OutletWish | None = None
        self._sending = Sending()
        # NB: set by the controller's thread, used by the window's and the recorder's.
        self._feed: Feed | None = None
        self._reader: tuple[str, CrossAttentionReader] | None = None

    # Called by the window's worker thread ---------------------------------------------------------------------------------

    def inputs(self) -> list[InputEntry]:
        """Microphones (real ones first), the demonstration audio, and the files of the command line.

        Raises
        ------
        DeviceError
            The devices cannot be listed; files and demonstration audio can be had by :meth:`recorded_inputs`.
        """
        entries = [
            InputEntry("microphone", str(device.index), device.name, f"{device.host_api}, {device.rate} Hz")
            for device in sorted(
                list_devices(anew=True), key=lambda device: (not device.default, device.loopback, device.index)
            )
        ]
        return entries + self.recorded_inputs()

    def recorded_inputs(self) -> list[InputEntry]:
        """What needs no device."""
        files = [InputEntry("file", file, Path(file).name, str(Path(file).parent)) for file in self._files]
        try:
            asset_path(DEMONSTRATION)
        except BundleError as error:
            demo = InputEntry("demo", "demo", "Demonstration audio", usable=False, problem=str(error))
        else:
            demo = InputEntry("demo", "demo", "Demonstration audio", "synthetic speech, about a minute")
        return [*files, demo]

    def configure(self, choices: EngineChoices, report: Callable[[LoadingStep], None] | None = None) -> None:
        """Use other choices from the next start on; blocks while networks are loaded, where there were any before.

        Parameters
        ----------
        report
            As for :func:`~realtime_ser.assembly.load_models`.

        Raises
        ------
        BundleError, RecognizerError, ConfigError
            They cannot be followed; everything is as it was before.
        """
        with self._loading:
            before, models = self._choices, self._models
            self._choices = choices
            if models is None or choices == replace(before, buffering=choices.buffering):
                return
            try:
                if choices == replace(before, buffering=choices.buffering, recognizer=choices.recognizer):
                    self._models = replace(models, recognizer=choose_recognizer(self._wanted_recognizer))
                else:
                    self._models = self._load(report)
            except BaseException:
                self._choices = before
                raise
        self._tell_recognizer()

    @property
    def _wanted_recognizer(self) -> str | Path:
        return self._choices.recognizer or self._recognizer

    def _load(self, report: Callable[[LoadingStep], None] | None) -> Models:
        chosen, execution = self._choices, self._execution
        if chosen.provider is not None or chosen.weights is not None:
            started = Execution.wanted() if execution is None else execution
            execution = Execution.wanted(
                chosen.provider or (started.provider.value if started.provider is not None else "auto"),
                chosen.weights or started.weights,
            )
        models = load_models(chosen.bundle or self._bundle, self._wanted_recognizer, execution, report=report)
        profile = self._profile if chosen.profile is None else read_profile(chosen.profile)
        return models.for_speaker(profile)

    def bundle(self, report: Callable[[LoadingStep], None] | None = None) -> BundleView:
        """Load the networks, once.

        Parameters
        ----------
        report
            As for :func:`~realtime_ser.assembly.load_models`; told nothing where they are loaded already.

        Raises
        ------
        BundleError, RecognizerError
            There is nothing to work with.
        """
        return BundleView.of(self._loaded(report))

    def recognizer_note(self) -> str:
        """Which recogniser will be used, why, and what would be better."""
        choice = self._loaded().recognizer
        return f"{choice.note} {choice.advice}".strip()

    def cross_attention(self, words: str) -> CrossAttention:
        """What the text network's word groups attend to in a transcript.

        Raises
        ------
        BundleError
            The bundle's text network has no attention that could be shown.
        """
        models = self._loaded()
        if self._reader is None or self._reader[0] != models.bundle.fingerprint:
            reader = CrossAttentionReader(models.bundle.content("text.onnx"), models.text.vocabulary)
            self._reader = models.bundle.fingerprint, reader
        return self._reader[1].read(words)

    def word_weights(self, words: Sequence[str]) -> WordWeights:
        """What leaving out each of the words does to the scores of the words alone."""
        models = self._loaded()
        return weigh_words(models.text, words, models.manifest.calibration.text)

    def can_fetch_words(self) -> bool:
        """Whether a better recogniser than the present one can be fetched."""
        models = self._models
        chosen_freely = str(self._wanted_recognizer) in ("auto", "vosk")
        return models is not None and chosen_freely and bool(models.recognizer.advice)

    def fetch_words(self, report: Callable[[str, int, int | None], None]) -> str:
        """Fetch the recommended Vosk model and use it from the next start on; blocks.

        Raises
        ------
        RecognizerError
            What stands in the way.
        """
        fetch_model(
            CATALOGUE[0].name,
            progress=lambda now: report(now.phase, now.done, now.total),
            again="press the button again",
        )
        models = self._loaded()
        with self._loading:
            # Another bundle may have been chosen while the model was fetched.
            self._models = replace(self._models or models, recognizer=choose_recognizer(self._wanted_recognizer))
        self._tell_recognizer()
        return self.recognizer_note()

    def _tell_recognizer(self) -> None:
        """What is shown while nothing runs is who would write the words."""
        models = self._models
        with self._lock:
            if models is not None and self._state.phase in ("stopped", "finished", "failed"):
                self._state = replace(self._state, recognizer=self._recognizer_name(models))

    def _loaded(self, report: Callable[[LoadingStep], None] | None = None) -> Models:
        with self._loading:
            if self._models is None:
                try:
                    self._models = self._load(report)
                except RealtimeSerError as error:
                    self._set(ControllerState("failed", error.problem, error.remedy))
                    raise
                self._set(ControllerState("stopped", recognizer=self._recognizer_name(self._models)))
            return self._models

    # A speaker's profile --------------------------------------------------------------------------------------------------

    def calibration_problem(self) -> str:
        """Why nobody's neutral voice can be learnt now; empty where it can."""
        models, state = self._models, self.state()
        if models is None:
            return "The networks are still being loaded."
        if models.manifest.speaker is None:
            return "This model bundle does not say what a speaker's profile is worth; a later one does."
        if models.profile is not None:
            return f"The profile of {models.profile.name} is in use. Choose “Anybody” in the settings, and start anew."
        if state.phase != "running" or not state.live:
            return "Start to listen to a microphone first."
        return ""

    def profile_worth(self) -> str:
        """What profiles were worth on speakers whom they were tried on; empty where nobody knows."""
        models = self._models
        return "" if models is None else worth(models.manifest)

    def new_baseline(self) -> Baseline:
        """For the windows that come from now on."""
        return Baseline(self._loaded().acoustic.bands_per_window)

    def profile_of(self, name: str, baseline: Baseline) -> SpeakerProfile:
        """What was heard, for the networks in use; :class:`ConfigError` where there was too little voice."""
        return baseline.profile(name, self._loaded().bundle)

    # Called by the window's thread ----------------------------------------------------------------------------------------

    def start(self, choice: Startable, session: SessionRequest | None = None, people: PeopleInput | None = None) -> None:
        """Start on an input, or on that of two `people`, and record it where a session is asked for.

        A running engine is stopped first.
        """
        earlier = self._thread
        self._stopping.set()
        with self._lock:
            # What an engine that still runs has to say and to hand out belongs to another stream.
            self._stopping = threading.Event()
            self._outputs = ()
            self.hear_sound(self._sound is not None, self._sound_person)
        starting = ControllerState("starting", input_title=choice.title, live=choice.kind == "microphone")
        self._set(starting)
        people = PeopleInput((Input(choice.kind, choice.id),)) if people is None else people
        arguments = (people, starting, self._stopping, earlier, session)
        self._thread = threading.Thread(target=self._run, name="controller", args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for a stop."""
        with self._lock:
            if self._state.phase in ("starting", "running"):
                self._state = replace(self._state, phase="stopping")
        self._stopping.set()
        engine = self._engine
        if engine is not None:
            engine.stop()

    def state(self) -> ControllerState:
        """Where the engine stands now."""
        engine = self._engine
        with self._lock:
            if engine is not None and self._state.phase in ("running", "stopping"):
                return replace(self._state, position=engine.position)
            return self._state

    def source_status(self, person: int = 0) -> SourceStatus | None:
        """How the input of `person` that is listened to, or was last, is doing; ``None`` before the first start."""
        sources = self._listened
        return sources[person].status() if person < len(sources) else None

    def recording(self) -> RecordingStatus | None:
        """How the recording of the engine that runs, or ran last, is doing; ``None`` where none was asked for."""
        recorder = self._recorder
        return recorder.status() if recorder is not None else None

    def mark(self, name: str, colour: str = "", source: str = "dashboard") -> Marker | None:
        """Mark this moment in the session that is being recorded, if one is."""
        recorder = self._recorder
        if recorder is None or recorder.status().phase != "recording":
            return None
        at = time.perf_counter()
        marker = recorder.mark(name, colour=colour, source=source, at=at)
        self._send_mark(marker, at)
        return marker

    def _send_mark(self, marker: Marker, at: float) -> None:
        feed = self._feed
        if feed is not None:
            feed.mark(Mark(marker.sample, marker.name, marker.colour, marker.source), at)

    def send(self, wish: OutletWish | None) -> None:
        """Send this from the next start on; ``None``: nothing leaves the machine."""
        self._wish = wish

    def sending(self) -> Sending:
        """What is sent where, or why nothing is."""
        return self._sending

    def foreign_markers(self) -> list[Marker]:
        """What other programs have marked in the session since the last call."""
        markers = []
        with contextlib.suppress(IndexError):
            while True:
                markers.append(self._foreign_markers.popleft())
        return markers

    def note(self, text: str) -> bool:
        """Keep a remark about this moment in the session that is being recorded; whether one is."""
        recorder = self._recorder
        if recorder is None or recorder.status().phase != "recording":
            return False
        recorder.note(text, sample=recorder.sample_at(time.perf_counter()))
        return True

    def poll(self, limit: int) -> list[Output]:
        """Outputs since the last call, oldest first; of two people, those of the first."""
        outputs = self._outputs
        return outputs[0].drain(limit) if outputs else []

    def poll_second(self, limit: int) -> list[Output]:
        """Those of the second person, on the clock of the first."""
        outputs = self._outputs
        return outputs[1].drain(limit) if len(outputs) > 1 else []

    def hear_sound(self, wanted: bool, person: int = 0) -> None:
        """Keep the sound of `person` from now on for :meth:`poll_sound`, or keep none and let go of what there is."""
        # NB: the channel last. A block of the person before that is still under way goes into the one before.
        self._sound = None
        self._sound_person, self._sound_offset = person, None
        self._sound = Channel("sound for a view", _BLOCKS, Policy.DROP_OLDEST) if wanted else None

    def poll_sound(self) -> list[Block]:
        """Blocks since the last call, oldest first; what was dropped because nobody asked shows as a jump in their spans."""
        sound = self._sound
        return sound.drain() if sound is not None else []

    def close(self) -> None:
        """Stop and wait."""
        self.stop()
        if self._thread is not None:
            self._thread.join(15.0)

    # The controller's own thread ------------------------------------------------------------------------------------------

    def _run(
        self,
        choice: PeopleInput,
        starting: ControllerState,
        stopping: threading.Event,
        earlier: threading.Thread | None,
        session: SessionRequest | None,
    ) -> None:
        if earlier is not None:
            engine = self._engine
            if engine is not None:
                engine.stop()
            earlier.join()
            # The engine before said how it ended; what matters now is this one.
            self._set(starting)
        self._recorder = None
        title, live, name = starting.input_title, starting.live, ""
        try:
            models = self._loaded()
            name = self._recognizer_name(models)
            if choice.people > 1:
                models = models.for_speaker(None)
            sources = self._sources(choice)
            self._listened = tuple(sources)
            if session is not None:
                recorder = self._recorder = open_recorder(session, models, choice, sources[0].live)
                recorder.on_foreign_marker = partial(self._take_foreign, recorder)
                sources = [recorder.tap(source, person) for person, source in enumerate(sources)]
            sources = [
                TappedSource(source, partial(self._overhear, stopping, person, choice.one_clock or person == 0))
                for person, source in enumerate(sources)
            ]
            self._engine = None
            with self._finished_recording(stopping) as recording, self._fed(models, choice) as feed:
                engine = build_people(models, sources, self._settings, names=choice.names, one_clock=choice.one_clock)
                outputs = engine.subscribe_each(_OUTPUTS, Policy.DROP_OLDEST)
                if recording is not None:
                    recording.start(*engine.subscribe_own(RECORDED_OUTPUTS, Policy.KEEP_ALL))
                if feed is not None:
                    feed.start(*engine.subscribe_each(_SENT, Policy.DROP_OLDEST))
                engine.start()
                self._engine = engine
                with self._lock:
                    if self._stopping is stopping:
                        self._outputs = outputs
                if stopping.is_set():
                    engine.stop()
                else:
                    self._set(ControllerState("running", "", "", title, name, live))
                try:
                    engine.wait()
                finally:
                    with contextlib.suppress(BaseException):
                        engine.close()
            phase: PhaseName = "stopped" if stopping.is_set() else "finished"
            self._set(ControllerState(phase, "", "", title, name, live, engine.position))
        except RealtimeSerError as error:
            self._set(ControllerState("failed", error.problem, error.remedy, title, name, live, self._position()))
        except Exception as error:  # noqa: BLE001 - whatever stopped a worker must reach the user, not kill this thread
            problem = f"The engine stopped on an internal error: {type(error).__name__}: {error}."
            self._set(ControllerState("failed", problem, "Start again; please report it.", title, name, live, self._position()))

    def _sources(self, choice: PeopleInput) -> list[Source]:
        """A source for everybody, not yet open."""
        buffering = self._choices.buffering
        chosen = {} if buffering is None else {"buffering": buffering}
        if choice.people > 1:
            return list(self._open_sources(choice, **chosen))
        return [self._open_source(choice.inputs[0], **chosen)]

    @contextlib.contextmanager
    def _finished_recording(self, stopping: threading.Event) -> Iterator[Recorder | None]:
        """End the recording, if there is one, whatever ends the engine; one in which nothing was heard leaves nothing."""
        recorder = self._recorder
        why = "the input ended"
        try:
            yield recorder
        except BaseException as error:
            why = str(error) or type(error).__name__
            raise
        finally:
            if recorder is not None:
                if recorder.heard:
                    recorder.finish("it was stopped" if stopping.is_set() else why)
                else:
                    self._recorder = None
                    recorder.discard()

    @contextlib.contextmanager
    def _fed(self, models: Models, choice: PeopleInput) -> Iterator[Feed | None]:
        """Outlets that are ready to send, where any are wished for; listening goes on without them where they cannot be had."""
        self._sending = Sending()
        wish, recorder = self._wish, self._recorder
        feed = None
        if wish is not None:
            on_clock = None if recorder is None else partial(recorder.clock, "LSL")
            try:
                outlets = open_outlets(wish, stream_facts(models, choice.names), on_clock)
            except ConfigError as error:
                self._sending = Sending("", f"Nothing is sent: {error.problem}", error.remedy)
            else:
                if outlets:  # none where only markers come in
                    feed = self._feed = Feed(outlets, words=wish.words)
                self._sending = Sending(sending_text([outlet.name for outlet in outlets], words=wish.words))
        try:
            with self._marked_over_lsl(wish, recorder):
                yield feed
        finally:
            self._feed = None
            self._sending = replace(self._sending, text="", receiving="")
            if feed is not None:
                feed.finish()

    def _marked_over_lsl(self, wish: OutletWish | None, recorder: Recorder | None) -> AbstractContextManager[object]:
        """Take the markers of another program's stream into the recording, to be entered while it runs."""
        if wish is None or not wish.lsl_markers or recorder is None:
            return contextlib.nullcontext()
        from realtime_ser.outlets.lsl import LslMarkers

        # NB: both are called by the inlet's thread, which has ended when the recording ends.
        def take(text: str, at: float) -> None:
            marker = recorder.mark(text, source=f"LSL {wish.lsl_markers}", at=at)
            self._foreign_markers.append(marker)
            self._send_mark(marker, at)

        def tell(text: str) -> None:
            self._sending = replace(self._sending, receiving=text)

        try:
            inlet = LslMarkers(wish.lsl_markers, take, tell, partial(recorder.clock, "LSL"))
        except ConfigError as error:
            self._sending = replace(self._sending, problem=f"No markers are received: {error.problem}", remedy=error.remedy)
            return contextlib.nullcontext()
        tell(f"Waiting for markers from LSL's stream {wish.lsl_markers!r}.")
        return inlet

    def _take_foreign(self, recorder: Recorder, marker: Marker) -> None:
        """What another program has marked. Called by the recorder's writing thread."""
        self._foreign_markers.append(marker)
        self._send_mark(marker, recorder.time_of(marker.sample))

    def _overhear(self, stopping: threading.Event, person: int, in_time: bool, block: Block) -> None:
        """Hand a block to the view that is open; `in_time`: it is on the first one's clock. NB: signal threads."""
        # NB: without a lock. The channel comes first: one that belongs to the next stream is not seen with this one's event.
        sound = self._sound
        if sound is None or person != self._sound_person or self._stopping is not stopping:
            return
        if in_time:
            sound.put(block)
            return
        engine = self._engine
        if self._sound_offset is None and engine is not None:
            # Once: sound that is heard must not jump whenever two clocks have drifted apart by a millisecond.
            self._sound_offset = engine.offset(person)
        if self._sound_offset is not None:
            span = Span(block.span.first + self._sound_offset, block.span.end + self._sound_offset)
            sound.put(replace(block, span=span))

    def _position(self) -> int:
        return self._engine.position if self._engine is not None else 0

    def _set(self, state: ControllerState) -> None:
        with self._lock:
            self._state = state

    @staticmethod
    def _recognizer_name(models: Models) -> str:
        return str(models.recognizer.label) if models.recognizer.label is not None else "none"
