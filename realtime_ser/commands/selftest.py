"""``realtime-ser selftest``: proves on the user's machine that all ways to a score agree, and says what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime_ser.acoustic.execution import Execution
from realtime_ser.acoustic.stream import band_offsets, evaluate_window
from realtime_ser.assembly import Models, build_engine, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.portaudio import list_devices
from realtime_ser.audio.rehearsal import rehearse
from realtime_ser.audio.sources import ArraySource
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.bundle.loader import asset_path
from realtime_ser.commands.gui import display_problem
from realtime_ser.engine.channel import ChannelClosed, Policy
from realtime_ser.errors import RealtimeSerError
from realtime_ser.inputs import DEMONSTRATION, read_all
from realtime_ser.types import FloatArray, Output, Verdict, WindowScores

__all__ = ["Check", "selftest"]


_WORDS_SECONDS = 14
"""Three sentences tell whether a recogniser works; all of them would take as long as everything else together."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: `passed` is ``None`` for something that is merely absent."""

    passed: bool | None
    text: str


def selftest(
    bundle: str | Path | None = None, recognizer: str | Path = "auto", execution: Execution | None = None
) -> Iterator[Check]:
    """Run all checks, most basic first; ends early where the networks do not load."""
    try:
        models = load_models(bundle, recognizer, execution)
    except RealtimeSerError as error:
        yield Check(False, str(error))
        return
    yield Check(True, f"The bundle {models.manifest.name} {models.manifest.version} is complete and unaltered.")
    yield Check(True, f"Computed by {models.acoustic.form}")
    try:
        batch = list(run_pipeline(_demonstration(), build_stages(models, live=False, words=False)))
        yield _agreement("The engine with its threads", _threaded(models), models, batch)
        yield _agreement("A microphone that hears the same", _captured(models), models, batch)
        yield _same_as_single_windows(models, batch)
    except RealtimeSerError as error:
        yield Check(False, str(error))
    yield _words(models)
    yield _microphone()
    problem = display_problem()
    yield Check(True, "A window can be opened.") if problem is None else Check(None, str(problem))


def _demonstration() -> FileSource:
    return FileSource(asset_path(DEMONSTRATION))


def _windows(outputs: list[Output]) -> FloatArray:
    return np.concatenate([output.scores for output in outputs if isinstance(output, WindowScores)])


def _verdicts(outputs: list[Output]) -> list[Verdict]:
    return [output for output in outputs if isinstance(output, Verdict)]


def _threaded(models: Models) -> list[Output]:
    """The demonstration audio through the engine's threads, in other blocks."""
    engine = build_engine(models, FileSource(asset_path(DEMONSTRATION), block=777), words=False)
    channel = engine.subscribe(64, Policy.KEEP_ALL)
    outputs: list[Output] = []
    with engine:
        while True:
            try:
                output = channel.get(1.0)
            except ChannelClosed:
                return outputs
            if output is not None:
                outputs.append(output)


def _captured(models: Models) -> list[Output]:
    """The demonstration audio through the microphone's path: callbacks of a sound card, in blocks of changing size."""
    signal = read_all(_demonstration())
    source = rehearse(np.stack([signal, signal], axis=1), models.manifest.sample_rate)
    return list(run_pipeline(source, build_stages(models, live=False, words=False)))


def _agreement(way: str, outputs: list[Output], models: Models, batch: list[Output]) -> Check:
    """Another way to the scores against the analysis of the file, as ``analyze`` does it."""
    ours, theirs = _windows(batch), _windows(outputs)
    hop, rate = models.manifest.hop, models.manifest.sample_rate
    tolerance = models.acoustic.form.rounding
    count = min(len(ours), len(theirs))
    differences = np.abs(ours[:count] - theirs[:count])
    wrong = np.flatnonzero(differences.max(axis=1) > tolerance)
    if len(wrong):
        window = int(wrong[0])
        index = int(differences[window].argmax())
        return Check(
            False,
            f"{way} differs from the analysis, first in window {window} at {window * hop / rate:.2f} s: "
            f"{models.classes[index]} {theirs[window, index]:.6f} where the analysis gives {ours[window, index]:.6f}.",
        )
    if len(ours) != len(theirs):
        return Check(False, f"{way} gave {len(theirs)} windows where the analysis gave {len(ours)}; the first {count} agree.")
    said, expected = _verdicts(outputs), _verdicts(batch)
    for one, other in zip(said, expected, strict=False):
        if one.span != other.span or np.abs(one.estimate.scores - other.estimate.scores).max() > tolerance:
            return Check(False, f"{way} differs from the analysis, first in the utterance at {other.span.first / rate:.2f} s.")
    if len(said) != len(expected):
        return Check(False, f"{way} gave {len(said)} utterances where the analysis gave {len(expected)}.")
    largest = float(differences.max())
    return Check(True, f"{way} and the analysis agree in {count} windows and {len(said)} utterances (within {largest:.0e}).")


def _same_as_single_windows(models: Models, batch: list[Output]) -> Check:
    """The stream against windows evaluated one by one, every 0.17 s: at every place in the encoder's blocks."""
    model = models.acoustic
    streamed = _windows(batch)
    samples = read_all(_demonstration())
    activity = VoiceDetector().process(samples, 0)
    offsets = band_offsets(model, samples, activity)
    numbers = range(0, len(streamed), 17)
    for number in numbers:
        window = samples[number * model.hop : number * model.hop + model.window]
        _, scores = evaluate_window(model, window, offsets[number : number + model.bands_per_window])
        difference = float(np.abs(scores - streamed[number]).max())
        if difference > model.form.rounding:
            at = number * model.hop / models.manifest.sample_rate
            return Check(False, f"The stream and the single window at {at:.2f} s differ by {difference:.1e}.")
    return Check(True, f"The stream gives what {len(numbers)} windows give one by one.")


def _words(models: Models) -> Check:
    choice = models.recognizer
    advice = f"{choice.advice} {choice.command}".strip()
    if choice.factory is None:
        return Check(None, f"{choice.note} {advice}".strip())
    stages = build_stages(models, live=False)
    try:
        some = read_all(_demonstration())[: _WORDS_SECONDS * models.manifest.sample_rate]
        outputs = list(run_pipeline(ArraySource(some, models.manifest.sample_rate), stages))
    except RealtimeSerError as error:
        return Check(None, str(error))
    transcripts = [output.estimate.transcript for output in outputs if isinstance(output, Verdict)]
    words = [word for transcript in transcripts if transcript is not None for word in transcript.words]
    if stages.words is not None and stages.words.failures:
        return Check(False, f"{choice.label} failed {stages.words.failures} times.")
    rated = [word.confidence for word in words if not math.isnan(word.confidence)]
    sure = f", mean confidence {sum(rated) / len(rated):.0%}" if rated else ""
    return Check(
        bool(words),
        f"{choice.label} wrote {len(words)} words of {_WORDS_SECONDS} s of demonstration audio{sure}. {advice}".strip(),
    )


def _microphone() -> Check:
    try:
        devices = list_devices()
    except RealtimeSerError as error:
        return Check(None, str(error))
    if not devices:
        return Check(None, "No microphone was found; the demonstration audio and files work.")
    default = next((device for device in devices if device.default), devices[0])
    return Check(True, f"{len(devices)} microphones; the default one is {default.name}, {default.rate} Hz.")
