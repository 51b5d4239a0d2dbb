"""A controller that plays a script instead of running an engine; it honours the contract of realtime_ser.gui.controller.

The messages are made up, but in the engine's order, on its grids and with its shapes. Nothing here says anything about how well
the real model works.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from realtime_ser.assembly import EngineChoices, LoadingStep
from realtime_ser.audio.level import LevelWatch
from realtime_ser.audio.sources import SourceStatus
from realtime_ser.bundle.filter_files import CutoffHistory, Reliance
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.controller import Sending
from realtime_ser.errors import RealtimeSerError
from realtime_ser.gui.controller import InputChoice, InputKind, Phase
from realtime_ser.gui.filterbank import hz_from_mel, mel_from_hz
from realtime_ser.inputs import PeopleInput
from realtime_ser.outlets.wish import OutletWish, sending_text
from realtime_ser.profiles import Baseline, SpeakerProfile
from realtime_ser.session.recorder import RecordingStatus
from realtime_ser.session.request import SessionRequest
from realtime_ser.session.writer import Marker
from realtime_ser.text.attention import CrossAttention
from realtime_ser.text.weights import WordWeights
from realtime_ser.types import (
    Block,
    EndReason,
    Estimate,
    EstimateState,
    Event,
    FusionDetail,
    Health,
    Level,
    Output,
    RecognizerLabel,
    Severity,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    Verdict,
    VoiceActivity,
    WindowScores,
    Word,
    frozen,
)

RATE = 16_000
HOP, WINDOW, CHUNK = 160, 4_000, 512
STEP = 1_600
BANDS = 80
CLASSES = ("anger", "happiness", "neutral", "sadness")
RECOGNIZER = RecognizerLabel("Vosk", "small-en-us-0.15")


@dataclass(frozen=True)
class Choice:
    kind: InputKind
    id: str
    title: str
    detail: str = ""
    usable: bool = True
    problem: str = ""


@dataclass(frozen=True)
class Facts:
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
    reliance: Reliance | None = None
    history: CutoffHistory | None = None
    computed_by: str = "CPU, int8 weights. They were 1.7 times as fast as float32 here."


@dataclass(frozen=True)
class State:
    phase: Phase
    problem: str = ""
    remedy: str = ""
    input_title: str = ""
    recognizer: str = ""
    live: bool = False
    position: int = 0


@dataclass(frozen=True)
class Line:
    """An utterance of the script: seconds, what the scores lean to and how far, the words; `unsure` abstains."""

    start: float
    end: float
    leaning: int
    strength: float
    words: str
    sure: tuple[float, ...] = ()
    unsure: bool = False


SCRIPT = (
    Line(1.5, 4.6, 2, 0.62, "good morning it is a quarter past nine"),
    Line(6.0, 8.9, 2, 0.71, "the meeting starts in ten minutes"),
    Line(10.4, 13.6, 1, 0.78, "oh that is wonderful news I am so glad you came"),
    Line(15.0, 16.6, 1, 0.44, "really", (0.41,), unsure=True),
    Line(18.0, 22.4, 0, 0.83, "no I told you twice already do not touch that"),
    Line(23.6, 27.0, 0, 0.74, "why does nobody ever listen to me"),
    Line(29.5, 31.0, 3, 0.41, "", unsure=True),
    Line(33.0, 38.2, 3, 0.69, "I do not know what to say she left yesterday", (1, 1, 1, 0.9, 0.5, 1, 0.8, 0.45, 0.95, 0.7)),
    Line(39.5, 43.4, 3, 0.77, "it will never be the same again"),
    Line(46.0, 49.6, 2, 0.58, "anyway let us go through the list"),
    Line(51.0, 53.2, 2, 0.66, "first the budget"),
    Line(55.0, 58.8, 1, 0.72, "and the second item is the summer party"),
    Line(60.4, 64.2, 2, 0.61, "could you send me the file tonight please"),
    Line(66.2, 71.5, 1, 0.81, "yes of course I would love to"),
    Line(73.0, 78.0, 0, 0.7, "this cannot be true"),
)


def facts() -> Facts:
    """A mel-spaced bank whose cutoffs moved by a smooth random walk."""
    random = np.random.default_rng(5)
    edges = hz_from_mel(np.linspace(float(mel_from_hz(30.0)), float(mel_from_hz(7900.0)), BANDS + 1))
    low, high = edges[:-1], edges[1:]
    walk = np.cumsum(random.normal(0.0, 1.0, BANDS))
    walk -= np.linspace(walk[0], walk[-1], BANDS)
    shift = walk / np.abs(walk).max() * 0.16
    moved_low = low * (1.0 + shift + random.normal(0.0, 0.015, BANDS))
    moved_high = np.maximum(high * (1.0 + shift + random.normal(0.02, 0.03, BANDS)), moved_low + 20.0)
    return Facts(
        "scripted 0.0",
        CLASSES,
        RATE,
        251,
        4,
        HOP,
        low,
        high,
        np.clip(moved_low, 5.0, 7990.0),
        np.clip(moved_high, 30.0, 8000.0),
        "A script, not a model: for tests and for looking at the window.",
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return frozen((shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32))


def leaning_scores(line: Line, share: float) -> NDArray[np.float64]:
    """Scores that start even and go to the script's strength as the utterance goes on."""
    rest = (1.0 - line.strength) * np.array([0.5, 0.3, 0.2])
    target = np.insert(rest, line.leaning, line.strength)
    mixed = target * share + (1.0 - share) / len(CLASSES)
    return mixed / mixed.sum()


@dataclass
class Stream:
    """Makes the messages of the script, 100 ms at a time."""

    script: tuple[Line, ...] = SCRIPT
    live: bool = True
    dead_after: float | None = None
    gap: tuple[float, float] | None = (44.2, 45.0)
    words_until: float = math.inf
    """From then on the recogniser is off: utterances that begin later have no words."""
    fault: Literal["", "overdriven", "muted"] = ""
    """What is wrong with the sound; the events tell of it as the engine's do."""
    position: int = 0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    chunks: int = 0
    windows: int = 0
    started: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    watch: LevelWatch = field(default_factory=LevelWatch)

    def voiced(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.any([(seconds >= line.start) & (seconds < line.end) for line in self.script], axis=0)

    def step(self) -> list[Output]:
        """The next 100 ms."""
        first, end = self.position, self.position + STEP
        self.position = end
        now = end / RATE
        if self.gap and self.gap[0] <= first / RATE < self.gap[1]:
            return self._through_the_gap(first, end)
        out: list[Output] = []
        loud = bool(self.voiced(np.array([first / RATE]))[0])
        syllable = 6.0 * np.sin(2.0 * np.pi * 3.7 * now) + self.random.normal(0.0, 2.0)
        rms = -24.0 + syllable if loud else -56.0 + self.random.normal(0.0, 1.5)
        peak = min(rms + 11.0 + abs(self.random.normal(0.0, 2.0)), -0.3)
        level = Level(Span(first, end), peak, rms)
        if self.fault:
            cut = Level(level.span, 0.0, -6.0 + self.random.normal(0.0, 1.0), 40)
            level = cut if self.fault == "overdriven" else Level(level.span, -math.inf, -math.inf, silent=True)
            out.extend(self.watch.process(level))
        out.append(level)
        out.extend(self._voice(end))
        out.extend(self._utterances(now, end))
        out.extend(self._windows(end))
        if end % RATE == 0:
            out.append(self._health(end))
        return out

    def sound(self, first: int) -> list[Block]:
        """The sound of a step that begins at `first`: a tone of 440 Hz where there is voice, over noise; none in the gap."""
        inside = self.gap is not None and self.gap[0] <= first / RATE < self.gap[1]
        if inside:
            return []
        behind = self.gap is not None and self.gap[0] <= (first - 1) / RATE < self.gap[1]
        seconds = (first + np.arange(STEP)) / RATE
        tone = np.where(self.voiced(seconds), 0.1 * np.sin(2.0 * np.pi * 440.0 * seconds), 0.0)
        noise = np.random.default_rng(first).normal(0.0, 0.001, STEP)
        return [Block(Span(first, first + STEP), frozen((tone + noise).astype(np.float32)), gap_before=behind)]

    def _through_the_gap(self, first: int, end: int) -> list[Output]:
        self.chunks = -(-end // CHUNK)
        self.windows = -(-end // HOP)
        if first / RATE - self.gap[0] > 0.05:
            return []
        message = "800 ms of audio were lost: the computer was busy. Close other programs if this happens again."
        return [Event(first, "gap", Severity.WARNING, message)]

    def _voice(self, end: int) -> list[Output]:
        count = end // CHUNK - self.chunks
        if count <= 0:
            return []
        firsts = (self.chunks + np.arange(count)) * CHUNK
        probabilities = np.where(self.voiced((firsts + CHUNK / 2) / RATE), 0.95, 0.04) + self.random.normal(0.0, 0.02, count)
        self.chunks += count
        values = frozen(np.clip(probabilities, 0.0, 1.0).astype(np.float32))
        return [VoiceActivity(Span(int(firsts[0]), int(firsts[-1]) + CHUNK), CHUNK, values)]

    def _windows(self, end: int) -> list[Output]:
        count = (end - WINDOW) // HOP + 1 - self.windows
        if count <= 0:
            return []
        firsts = (self.windows + np.arange(count)) * HOP
        self.windows += count
        centres = (firsts + WINDOW / 2) / RATE
        logits = self.random.normal(0.0, 0.8, (count, len(CLASSES)))
        for line in self.script:
            inside = (centres >= line.start) & (centres < line.end)
            logits[inside, line.leaning] += 2.2 * line.strength
        return [
            WindowScores(
                int(firsts[0]),
                HOP,
                WINDOW,
                softmax(logits),
                frozen(logits.astype(np.float32)),
                frozen(np.zeros((count, 8), dtype=np.float32)),
                self.voiced(centres),
                frozen(self._energies((firsts + WINDOW) / RATE)),
            )
        ]

    def _energies(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Two wandering formants over a falling spectrum where there is voice, a noise floor elsewhere."""
        centre = np.linspace(0.0, 1.0, BANDS)
        voiced = self.voiced(times)[:, None]
        swing = 0.5 + 0.5 * np.sin(2.0 * np.pi * 3.7 * times)[:, None]
        formants = sum(
            height * np.exp(-(((centre - (place + 0.06 * np.sin(times * speed))[:, None]) / width) ** 2))
            for place, speed, width, height in ((0.18, 5.1, 0.05, 5.0), (0.46, 3.3, 0.06, 4.0), (0.68, 4.2, 0.07, 2.6))
        )
        speech = -9.0 - 3.0 * centre + formants + 2.5 * swing
        floor = -16.5 + 0.8 * np.cos(6.0 * centre)
        noise = self.random.normal(0.0, 0.5, (len(times), BANDS))
        return (np.where(voiced, speech, floor) + noise).astype(np.float32)

    def _utterances(self, now: float, end: int) -> list[Output]:
        out: list[Output] = []
        speaking = False
        for number, line in enumerate(self.script):
            onset, stop = round(line.start * RATE), round(line.end * RATE)
            if now < line.start + 0.1:
                continue
            if number not in self.started:
                self.started.add(number)
                out.append(UtteranceStart(number, onset, end))
            if now < line.end:
                speaking = True
                estimate = self.estimate(number, line, end)
                out.append(estimate)
                if estimate.transcript is not None:
                    out.append(estimate.transcript)
            elif now >= line.end + 0.64 and number not in self.ended:
                self.ended.add(number)
                out.append(UtteranceEnd(number, Span(onset, stop), end, EndReason.SILENCE))
                estimate = self.estimate(number, line, stop)
                if estimate.transcript is not None:
                    estimate = replace(estimate, transcript=replace(estimate.transcript, final=True))
                    out.append(estimate.transcript)
                out.append(Verdict(estimate, EndReason.SILENCE))
            elif number not in self.ended:
                speaking = True
        if not speaking:
            nothing = frozen(np.empty(0, dtype=np.float32))
            out.append(Estimate(None, Span(end, end), EstimateState.NO_SPEECH, nothing, nothing, None, 0, 0, 0.0, None, 0.0))
        return out

    def estimate(self, number: int, line: Line, end: int) -> Estimate:
        onset = round(line.start * RATE)
        heard = (end - onset) / RATE
        share = min(1.0, heard / 2.0)
        scores = leaning_scores(line, share)
        words = self._words(line, end)
        text = leaning_scores(line, 0.7 * share) if words else None
        transcript = None
        if words:
            sure = float(np.mean([word.confidence for word in words]))
            transcript = Transcript(number, words, end, sure, False, RECOGNIZER)
        winner = int(scores.argmax())
        confident = not line.unsure and float(scores[winner]) >= 0.5
        state = EstimateState.LISTENING if heard < 0.5 else EstimateState.CONFIDENT if confident else EstimateState.UNSURE
        counts = 0.42 if words else 0.0
        return Estimate(
            number,
            Span(onset, end),
            state,
            frozen(scores.astype(np.float32)),
            frozen(leaning_scores(line, 0.85 * share).astype(np.float32)),
            frozen(text.astype(np.float32)) if text is not None else None,
            1.0 - counts,
            counts,
            heard * 0.93,
            CLASSES[winner] if state is EstimateState.CONFIDENT else None,
            float(scores[winner]),
            transcript,
            "" if words else "no words yet: voice only",
            fusion=self._detail(line, share) if words else None,
        )

    def _detail(self, line: Line, share: float) -> FusionDetail:
        random = np.random.default_rng(line.leaning)
        parts = [np.log(leaning_scores(line, part * share)).astype(np.float32) for part in (0.8, 0.5)]
        attention = [softmax(random.normal(0.0, 1.0, count)) for count in (32, 75)]
        return FusionDetail(0.7, frozen(parts[0]), frozen(parts[1]), *attention)

    def _words(self, line: Line, end: int) -> tuple[Word, ...]:
        texts = line.words.split() if line.start < self.words_until else []
        step = (line.end - line.start) / max(len(texts), 1)
        words = []
        for index, text in enumerate(texts):
            start, stop = line.start + index * step, line.start + (index + 1) * step
            if round((min(stop + 0.3, line.end)) * RATE) > end:
                break
            sure = line.sure[index] if index < len(line.sure) else 0.97
            words.append(Word(text, Span(round(start * RATE), round(stop * RATE)), sure))
        return tuple(words)

    def _health(self, end: int) -> Health:
        lost = bool(self.gap and end > self.gap[1] * RATE)
        return Health(
            end,
            1 if lost else 0,
            12_800 if lost else 0,
            self.windows - (80 if lost else 0),
            105 if lost else 0,
            0.041 if self.live else float("nan"),
            0.068 if self.live else float("nan"),
            0.3,
            11.0 if self.live else float("nan"),
            0.11,
            0.02,
        )


MICROPHONE = Choice("microphone", "1", "Built-in Microphone", "48 kHz, mono, ALSA")
INPUTS = (
    MICROPHONE,
    Choice("microphone", "2", "USB Headset", "44.1 kHz, mono, ALSA"),
    Choice("microphone", "3", "Monitor of HDMI", "48 kHz, stereo", usable=False, problem="in use by another program"),
    Choice("demo", "demo", "Demonstration audio", "synthetic speech, about a minute"),
)


LOADING = (
    LoadingStep(1, "its files"),
    LoadingStep(1, "its files", 0.5),
    LoadingStep(2, "the acoustic networks"),
    LoadingStep(3, "the text network"),
    LoadingStep(4, "the fusion network"),
    LoadingStep(5, "a first run"),
)


class ScriptedController:
    """Plays the script when :meth:`advance` is called; errors can be set to be raised where the contract allows them."""

    def __init__(
        self,
        inputs: Sequence[InputChoice] = INPUTS,
        inputs_error: RealtimeSerError | None = None,
        bundle_error: RealtimeSerError | None = None,
        stream: Stream | None = None,
    ) -> None:
        self.available = inputs
        self.inputs_error = inputs_error
        self.bundle_error = bundle_error
        self.stream = stream or Stream()
        self.started: list[InputChoice] = []
        self.closed = False
        self.read: list[str] = []
        self.attention_error: RealtimeSerError | None = None
        self.weighed: list[str] = []
        self.weights_error: RealtimeSerError | None = None
        self.choices: list[EngineChoices] = []
        self.choice_error: RealtimeSerError | None = None
        self.recorded: RecordingStatus | None = None
        self.notes: list[str] = []
        self.recognizer = RECOGNIZER
        self.words_note = "Words come from Vosk with the model small-en-us-0.15."
        self.better_note = "Words come from a better model."
        self.fetch_error: RealtimeSerError | None = None
        self.held_at = 0
        """Bytes from which on a fetch waits for the gate."""
        self.fetch_gate = threading.Event()
        self.fetch_gate.set()
        self.held_step = 0
        """Step of loading the bundle that waits for the gate, from 0."""
        self.bundle_gate = threading.Event()
        self.bundle_gate.set()
        self._state = State("loading")
        self._outputs: deque[Output] = deque()
        self.people: PeopleInput | None = None
        self.second_outputs: deque[Output] = deque()
        self.sound: deque[Block] | None = None
        self.wish: OutletWish | None = None
        self.unsent = Sending()

    def inputs(self) -> Sequence[InputChoice]:
        if self.inputs_error is not None:
            raise self.inputs_error
        return self.available

    def recorded_inputs(self) -> Sequence[InputChoice]:
        return [choice for choice in self.available if choice.kind != "microphone"]

    def configure(self, choices: EngineChoices, report: Callable[[LoadingStep], None] | None = None) -> None:
        if self.choice_error is not None:
            raise self.choice_error
        self.choices.append(choices)

    def bundle(self, report: Callable[[LoadingStep], None] | None = None) -> Facts:
        try:
            for step in LOADING:
                if report is not None:
                    report(step)
                if step == LOADING[self.held_step]:
                    self.bundle_gate.wait(10.0)
        except RealtimeSerError as error:
            self._state = State("failed", error.problem, error.remedy)
            raise
        if self.bundle_error is not None:
            self._state = State("failed", self.bundle_error.problem, self.bundle_error.remedy)
            raise self.bundle_error
        self._state = State("stopped", recognizer=str(self.recognizer))
        return facts()

    def recognizer_note(self) -> str:
        return self.words_note

    def cross_attention(self, words: str) -> CrossAttention:
        self.read.append(words)
        if self.attention_error is not None:
            raise self.attention_error
        tokens = tuple(words.lower().split())
        random = np.random.default_rng(len(tokens))
        near = -np.abs(np.subtract.outer(np.arange(len(tokens)), np.arange(len(tokens)))) * 0.4
        weights = [softmax(near + random.normal(0.0, 1.0, near.shape)) for _ in (1, 3, 5)]
        return CrossAttention(tokens, tuple(token != "i" for token in tokens), (1, 3, 5), frozen(np.stack(weights)))

    def word_weights(self, words: Sequence[str]) -> WordWeights:
        self.weighed.append(" ".join(words))
        if self.weights_error is not None:
            raise self.weights_error
        # The longer a word is, the more it weighs, for whatever class.
        lengths = np.array([len(word) for word in words], np.float32)
        return WordWeights(tuple(words), frozen(np.repeat(lengths[:, None] / 50.0, len(CLASSES), axis=1)))

    def calibration_problem(self) -> str:
        return "" if self.state().phase == "running" else "Start to listen to a microphone first."

    def profile_worth(self) -> str:
        return "What profiles changed in the mean recall of speakers whom they were tried on: +0.010 (made up)."

    def new_baseline(self) -> Baseline:
        return Baseline(19)

    def profile_of(self, name: str, baseline: Baseline) -> SpeakerProfile:
        return baseline.profile(name, load_bundle())

    def can_fetch_words(self) -> bool:
        return True

    def fetch_words(self, report: Callable[[str, int, int | None], None]) -> str:
        for done in range(0, 41_000_000, 1_000_000):
            report("download", done, 41_000_000)
            if done >= self.held_at:
                self.fetch_gate.wait(600.0)
        if self.fetch_error is not None:
            raise self.fetch_error
        self.words_note = self.better_note
        return self.words_note

    def start(self, choice: InputChoice, session: SessionRequest | None = None, people: PeopleInput | None = None) -> None:
        self.started.append(choice)
        self.people = people
        if session is not None:
            kept = session.kept
            self.recorded = RecordingStatus("recording", Path("sessions") / "session", 0.0, kept.words, kept.audio)
        live = choice.kind == "microphone"
        self._state = State("running", "", "", choice.title, str(self.recognizer), live)

    def send(self, wish: OutletWish | None) -> None:
        self.wish = wish

    def sending(self) -> Sending:
        if self.unsent != Sending() or self._state.phase != "running" or self.wish is None:
            return self.unsent
        named = [*["LSL"] * self.wish.lsl, *[f"OSC to {host}:{port}" for host, port in filter(None, [self.wish.osc])]]
        named += [f"WebSocket at {host}:{port}" for host, port in filter(None, [self.wish.websocket])]
        return Sending(sending_text(named, words=self.wish.words))

    def source_status(self, person: int = 0) -> SourceStatus | None:
        return SourceStatus("Built-in Microphone", 48_000, 1, input_latency_seconds=0.012) if self.started else None

    def recording(self) -> RecordingStatus | None:
        return self.recorded

    def mark(self, name: str, colour: str = "", source: str = "dashboard") -> Marker | None:
        if self.recorded is None or self.recorded.phase != "recording":
            return None
        self.recorded = replace(self.recorded, markers=self.recorded.markers + 1)
        return Marker(self.stream.position, name, colour, source, 0.0)

    def foreign_markers(self) -> list[Marker]:
        return []

    def note(self, text: str) -> bool:
        self.notes.append(text)
        return self.recorded is not None

    def fill_the_disk(self) -> None:
        problem = "The recording ended at 3.0 s: the disk is full. What was written until then is kept."
        remedy = "Listening goes on. Make room and start a new session."
        self.recorded = replace(self.recorded, phase="failed", problem=problem, remedy=remedy)

    def stop(self) -> None:
        if self.recorded is not None:
            self.recorded = replace(self.recorded, phase="closed", seconds=self.stream.position / RATE)
        self._state = replace(self._state, phase="stopped")

    def finish(self) -> None:
        self._state = replace(self._state, phase="finished")

    def look_for_device(self) -> None:
        """The microphone goes away, and is looked for; the stream runs on."""
        told = "The microphone “Built-in Microphone” went away. This program looks for it and then goes on: plug it in again."
        self._outputs.append(Event(self.stream.position, "device-lost", Severity.ERROR, told))

    def stand_still(self) -> None:
        """A worker of the engine does not go on."""
        waits = "The sound of the next ten seconds waits; what comes after them will be told as a gap. Close other programs."
        told = f"Listening has stood still for 2 s. {waits}"
        self._outputs.append(Event(self.stream.position, "signal-stalled", Severity.WARNING, told))

    def go_on(self) -> None:
        """The worker does."""
        told = "Listening goes on after about 4 s and catches up with what waited."
        self._outputs.append(Event(self.stream.position, "signal-stalled-over", Severity.INFO, told))

    def lose_recognizer(self) -> None:
        """It has failed too often, and stays off."""
        told = "Vosk stopped decoding: out of memory. It has failed 4 times and stays off: scores rest on the voice alone."
        self._outputs.append(Event(self.stream.position, "recognizer-off", Severity.ERROR, told))
        self.stream.words_until = self.stream.position / RATE

    def lose_device(self) -> None:
        """The microphone is away for good."""
        problem, remedy = "The microphone Built-in Microphone went away.", "Connect it again and press Start again."
        self._outputs.append(Event(self.stream.position, "device-lost", Severity.ERROR, f"{problem} {remedy}"))
        self._state = replace(self._state, phase="failed", problem=problem, remedy=remedy)

    def advance(self, seconds: float) -> None:
        """Let that much of the stream pass."""
        for _ in range(round(seconds * RATE / STEP)):
            heard = self.stream.position
            self._outputs.extend(self.stream.step())
            if self.sound is not None:
                self.sound.extend(self.stream.sound(heard))
        self._state = replace(self._state, position=self.stream.position)

    def emit(self, *outputs: Output) -> None:
        self._outputs.extend(outputs)

    def hear_sound(self, wanted: bool, person: int = 0) -> None:
        self.heard_person = person
        self.sound = deque(maxlen=512) if wanted else None

    def poll_sound(self) -> Sequence[Block]:
        return [self.sound.popleft() for _ in range(len(self.sound))] if self.sound is not None else []

    def state(self) -> State:
        return self._state

    def poll(self, limit: int) -> Sequence[Output]:
        return [self._outputs.popleft() for _ in range(min(limit, len(self._outputs)))]

    def poll_second(self, limit: int) -> Sequence[Output]:
        return [self.second_outputs.popleft() for _ in range(min(limit, len(self.second_outputs)))]

    def close(self) -> None:
        self.closed = True
        self._state = replace(self._state, phase="stopped")
