"""The composition root: real parts, put together.

Everything above (command line, window, library) gets its engine here; everything below knows nothing of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from realtime_ser.acoustic.execution import Execution
from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.asr.discovery import RecognizerChoice, choose_recognizer
from realtime_ser.asr.process import SpareWorkers
from realtime_ser.audio.level import LevelMonitor
from realtime_ser.audio.sources import Source
from realtime_ser.audio.voice import Segmenter, VoiceDetector
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.bundle.manifest import Manifest
from realtime_ser.config import ENGINE_RATE, Buffering, EngineSettings
from realtime_ser.engine.engine import Engine
from realtime_ser.engine.judgement import JudgementStage
from realtime_ser.engine.people import People
from realtime_ser.engine.pipeline import Pipeline, Stages
from realtime_ser.engine.signal import Detector, Segmentation, SignalStage, WholeStream
from realtime_ser.engine.words import WordsStage
from realtime_ser.errors import BundleError
from realtime_ser.fusion.decision import Decider, DecisionFacts
from realtime_ser.fusion.network import FusionNetwork
from realtime_ser.profiles import SpeakerProfile, known_voice
from realtime_ser.text.network import TextNetwork
from realtime_ser.text.tokens import Vocabulary
from realtime_ser.types import Output

__all__ = [
    "EngineChoices",
    "LoadingStep",
    "Models",
    "SegmentationKind",
    "build_engine",
    "build_people",
    "build_stages",
    "load_models",
    "run_pipeline",
]

SegmentationKind: TypeAlias = Literal["voice", "whole"]
"""Utterances by voice activity, or the whole stream as one utterance."""


@dataclass(frozen=True, slots=True)
class EngineChoices:
    """What a user has chosen, by name; ``None`` leaves it to how the program was started.

    Attributes
    ----------
    buffering
        Of a microphone.
    recognizer, bundle
        As for :func:`load_models`.
    provider, weights
        As for :meth:`~realtime_ser.acoustic.execution.Execution.wanted`.
    profile
        Name of a speaker's profile.
    """

    buffering: Buffering | None = None
    recognizer: str | None = None
    bundle: str | None = None
    provider: str | None = None
    weights: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """Everything that is loaded once and shared by any number of streams and threads: it holds weights, no state.

    `profile` is that of the speaker, where it is known who speaks.
    """

    bundle: Bundle
    acoustic: AcousticModel
    text: TextNetwork
    fusion: FusionNetwork
    recognizer: RecognizerChoice
    profile: SpeakerProfile | None = None

    def for_speaker(self, profile: SpeakerProfile | None) -> Models:
        """The same models for the speaker of `profile`, or for anybody.

        Raises
        ------
        ConfigError
            The profile was measured with other networks, or the bundle does not say how profiles are used.
        """
        voice = None if profile is None else known_voice(profile, self.bundle, self.acoustic)
        return replace(self, acoustic=self.acoustic.for_voice(voice), profile=profile)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""
        return self.bundle.manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of every score vector."""
        return self.bundle.manifest.classes


@dataclass(frozen=True, slots=True)
class LoadingStep:
    """What is being done of the loading of models.

    Attributes
    ----------
    number, of
        Which step it is, from 1, and how many there are.
    what
        The same in words.
    share
        How much of this step is done, in [0, 1).
    """

    number: int
    what: str
    share: float = 0.0
    of: int = 5

    @property
    def done(self) -> float:
        """How much of everything is done; steps take their time, each its own."""
        return (self.number - 1 + self.share) / self.of


def load_models(
    bundle: str | Path | None = None,
    recognizer: str | Path = "auto",
    execution: Execution | None = None,
    *,
    spare: SpareWorkers | None = None,
    report: Callable[[LoadingStep], None] | None = None,
) -> Models:
    """Open a bundle, load its networks, and decide on a recogniser (which is loaded when a stream starts).

    Parameters
    ----------
    execution
        Where the acoustic networks shall run and with which weights; ``None``: as the environment says, else on the processor
        in float32, or on a graphics processor that is faster.
    spare
        As for :func:`~realtime_ser.asr.discovery.choose_recognizer`.
    report
        Told before every step, and within those that have parts; what it raises ends the loading.

    Raises
    ------
    BundleError
        The bundle is missing, altered, or does not fit.
    RecognizerError
        The recogniser that was asked for by name is not there.
    """
    # The cheap check first: a mistyped recogniser should not cost the loading time.
    choice = choose_recognizer(recognizer, spare=spare)

    def tell(number: int, what: str, share: float = 0.0) -> None:
        if report is not None:
            report(LoadingStep(number, what, share))

    opened = load_bundle(bundle, lambda done, files: tell(1, "its files", done / files))
    manifest = opened.manifest
    if manifest.sample_rate != ENGINE_RATE:
        raise BundleError(
            f"The bundle works at {manifest.sample_rate} Hz, this program at {ENGINE_RATE} Hz.", "Use another bundle."
        )
    classes = len(manifest.classes)
    try:
        vocabulary = Vocabulary(opened.vocabulary())
    except ValueError as error:
        raise BundleError(
            f"The vocabulary of the bundle {opened.path} is broken: {error}.", "Build the bundle again."
        ) from error
    try:
        acoustic = AcousticModel.from_bundle(opened, execution, lambda form: tell(2, f"the acoustic networks{form}"))
        tell(3, "the text network")
        text = TextNetwork(opened.content("text.onnx"), vocabulary, classes)
        tell(4, "the fusion network")
        fusion = FusionNetwork(opened.content("fusion.onnx"), classes)
        models = Models(opened, acoustic, text, fusion, choice)
    except BundleError as error:
        remedy = error.remedy or "Fetch or build the bundle again."
        raise BundleError(f"The bundle {opened.path} does not fit together: {error.problem}", remedy) from error
    tell(5, "a first run")
    _prove(models)
    return models


def _prove(models: Models) -> None:
    """Evaluate silence once: lengths that a graph leaves open are first known when it runs.

    Raises
    ------
    BundleError
        The graphs do not fit the manifest or each other.
    """
    acoustic, manifest = models.acoustic, models.manifest
    silence = np.zeros(acoustic.band_receptive + (acoustic.bands_per_window - 1) * acoustic.hop, np.float32)
    problem = ""
    cause: Exception | None = None
    try:
        energies = acoustic.band_energies(silence)
        frames = acoustic.frames(energies - energies)
        if energies.shape != (acoustic.bands_per_window, acoustic.bands):
            problem = f"a window has {len(energies)} band frames where {acoustic.bands_per_window} are declared"
        elif frames.shape != (acoustic.frames_per_window, manifest.acoustic.frame_width):
            problem = f"a window has {len(frames)} trunk frames where {acoustic.frames_per_window} are declared"
        else:
            feature, logits = acoustic.windows(frames[np.newaxis])
            fused = models.fusion.fuse(feature[0], models.text.encode("").feature)
            if not (np.isfinite(logits).all() and np.isfinite(fused.logits).all()):
                problem = "its scores of silence are no numbers"
    # ONNX Runtime's exceptions derive from Exception alone and live in a private module, so there is nothing narrower to catch.
    except Exception as error:  # noqa: BLE001
        problem, cause = f"{type(error).__name__}: {error}", error
    if problem:
        raise BundleError(
            f"The bundle {models.bundle.path} does not fit together: {problem}.", "Fetch or build the bundle again."
        ) from cause


def build_stages(
    models: Models,
    settings: EngineSettings | None = None,
    *,
    live: bool,
    segmentation: SegmentationKind | Segmentation = "voice",
    words: bool = True,
    detector: Callable[[], Detector] = VoiceDetector,
    acoustic: Callable[[AcousticModel, float], AcousticStream] = AcousticStream,
) -> Stages:
    """Fresh stages for one stream.

    Parameters
    ----------
    live
        Whether the source is a microphone: then verdicts wait only so long for words, and level faults are told.
    segmentation
        A kind, or a fresh object that says where utterances start and end.
    words
        ``False`` leaves the recogniser out.
    detector, acoustic
        What makes these two, if not the plain ones.
    """
    settings = EngineSettings() if settings is None else settings
    manifest = models.manifest
    whole = segmentation == "whole"
    if isinstance(segmentation, str):
        segmentation = WholeStream() if whole else Segmenter(settings.voice)
    signal = SignalStage(
        detector=detector(),
        segmentation=segmentation,
        meter=LevelMonitor(watch=live),
        acoustic=acoustic(models.acoustic, settings.voice.on_threshold),
        step=settings.step,
    )
    factory = models.recognizer.factory if words else None
    facts = DecisionFacts(
        classes=manifest.classes,
        sample_rate=ENGINE_RATE,
        hop=manifest.hop,
        temperature_acoustic=manifest.calibration.acoustic,
        temperature_text=manifest.calibration.text,
        temperature_fused=manifest.calibration.fused,
        threshold_acoustic=manifest.abstention.acoustic,
        threshold_fused=manifest.abstention.fused,
        min_voiced=settings.min_voiced_ms * ENGINE_RATE // 1000 // manifest.hop,
        voice_offset=None if models.acoustic.voice is None else models.acoustic.voice.offset,
    )
    judgement = JudgementStage(
        Decider(facts, models.text, models.fusion, whole=whole),
        expects_words=factory is not None,
        patience=round(settings.final_transcript_timeout * ENGINE_RATE) if live else None,
    )
    return Stages(signal, WordsStage(factory, settings) if factory is not None else None, judgement)


def build_engine(
    models: Models, source: Source, settings: EngineSettings | None = None, *, words: bool = True, person: str = ""
) -> Engine:
    """A threaded engine over a source that is not yet open; `person` names whose voice it is, for the log."""
    return Engine(source, build_stages(models, settings, live=source.live, words=words), person)


def build_people(
    models: Models,
    sources: Sequence[Source],
    settings: EngineSettings | None = None,
    *,
    names: Sequence[str] = ("",),
    one_clock: bool = True,
) -> People:
    """An engine for every person, all on the same networks, over sources that are not yet open.

    Parameters
    ----------
    names
        One for each source.
    one_clock
        See :class:`~realtime_ser.engine.people.People`.
    """
    engines = [build_engine(models, source, settings, person=name) for source, name in zip(sources, names, strict=True)]
    return People(engines, one_clock=one_clock, live=any(source.live for source in sources))


def run_pipeline(source: Source, stages: Stages) -> Generator[Output]:
    """Open a source and run it through the stages in this thread, to its end.

    Raises
    ------
    AudioFileError, DeviceError
        The source does not open or breaks off.
    """
    pipeline = Pipeline(stages)
    try:
        source.open()
        while not source.exhausted:
            block = source.read(0.2)
            yield from source.drain_events()
            if block is not None:
                yield from pipeline.process(block)
        yield from pipeline.finish()
    finally:
        source.close()
        pipeline.close()
