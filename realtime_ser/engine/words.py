"""The recogniser on the stream: it hears exactly the utterances, and its failures stay here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from realtime_ser.asr.protocol import Recognizer, RecognizerFactory
from realtime_ser.config import ENGINE_RATE, EngineSettings, samples_from_ms
from realtime_ser.engine.signal import Step
from realtime_ser.errors import RecognizerError
from realtime_ser.types import (
    EndReason,
    Event,
    FloatArray,
    RecognizerLabel,
    Severity,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
)

__all__ = ["Heard", "WordsStage"]

_RESTARTS = 3
"""A recogniser that fails more often than this is left off."""


@dataclass(slots=True)
class Heard:
    """What the recogniser made of the stream up to the sample `until`."""

    until: int
    transcripts: list[Transcript] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class WordsStage:
    """Feeds a recogniser with the utterances of the stream, pre-roll included. Every call comes from one thread.

    A recogniser that fails is replaced, with its utterance given up; after three replacements the stage goes on without words.
    An utterance always ends with a final transcript, so that whoever waits for one is never left waiting.

    Parameters
    ----------
    factory
        Makes a fresh recogniser.
    settings
        Step and pre-roll.
    """

    def __init__(self, factory: RecognizerFactory, settings: EngineSettings) -> None:
        self._factory = factory
        self._pre_roll = samples_from_ms(settings.pre_roll_ms, ENGINE_RATE)
        # An utterance is announced late: min_voice plus a detector chunk and a step after its onset.
        announced_within = settings.voice.min_voice_ms * ENGINE_RATE // 1000 + 1_024 + settings.step
        self._reach = self._pre_roll + announced_within
        self._recognizer: Recognizer | None = None
        self._label: RecognizerLabel | None = None
        self._failures = 0
        self._utterance: int | None = None
        self._tail: FloatArray = np.empty(0, np.float32)
        self._tail_first = 0
        self._fed = 0
        self._broken = False

    @property
    def failures(self) -> int:
        """How often a recogniser failed."""
        return self._failures

    @property
    def working(self) -> bool:
        """False once the stage has given up on words."""
        return self._failures <= _RESTARTS

    def start(self) -> list[Event]:
        """Load the recogniser; takes seconds. Returns what the user should know."""
        events: list[Event] = []
        self._revive(0, events)
        return events

    def process(self, step: Step) -> Heard:
        """Hear a step. Steps that are missing (a live stream that the recogniser cannot follow) end the utterance early."""
        heard = Heard(step.span.end)
        tail_end = self._tail_first + len(self._tail)
        if step.span.first != tail_end:
            if self._utterance is not None and len(self._tail):
                self._finish(tail_end, heard)
            self._tail = np.empty(0, np.float32)
            self._tail_first = self._fed = step.span.first
        self._tail = np.concatenate((self._tail, step.samples))
        for mark in step.marks:
            if isinstance(mark, UtteranceStart):
                self._begin(mark, heard)
            else:
                self._end(mark, heard)
        if self._utterance is not None:
            self._feed(step.span.end, heard)
        else:
            surplus = len(self._tail) - self._reach
            if surplus > 0:
                self._tail = self._tail[surplus:]
                self._tail_first += surplus
        return heard

    def close(self) -> None:
        """Release the recogniser."""
        if self._recognizer is not None:
            self._recognizer.close()
            self._recognizer = None

    def _begin(self, mark: UtteranceStart, heard: Heard) -> None:
        # Sound that belonged to the utterance before is not heard twice.
        first = max(mark.onset - self._pre_roll, self._tail_first, min(self._fed, mark.onset))
        self._utterance = mark.utterance
        self._fed = first
        self._broken = False
        if self._recognizer is None:
            self._broken = True
            return
        try:
            self._recognizer.begin(mark.utterance, first)
        except RecognizerError as error:
            self._fail(error, first, heard.events)

    def _end(self, mark: UtteranceEnd, heard: Heard) -> None:
        if mark.utterance != self._utterance:
            return
        self._finish(mark.span.end if mark.reason is EndReason.LENGTH else mark.decided_at, heard)

    def _finish(self, until: int, heard: Heard) -> None:
        assert self._utterance is not None  # callers have checked
        self._feed(until, heard)
        transcript: Transcript | None = None
        if self._recognizer is not None and not self._broken:
            try:
                transcript = self._recognizer.finish()
            except RecognizerError as error:
                self._fail(error, until, heard.events)
        if transcript is None:
            label = self._label or RecognizerLabel("no recogniser", "none")
            transcript = Transcript(self._utterance, (), until, math.nan, True, label)
        heard.transcripts.append(transcript)
        self._utterance = None

    def _feed(self, until: int, heard: Heard) -> None:
        samples = self._tail[self._fed - self._tail_first : until - self._tail_first]
        if until > self._fed:
            self._fed = until
        self._forget(self._fed)
        if self._recognizer is None or self._broken or not len(samples):
            return
        try:
            transcript = self._recognizer.accept(samples)
        except RecognizerError as error:
            self._fail(error, until, heard.events)
            return
        if transcript is not None:
            heard.transcripts.append(transcript)

    def _forget(self, before: int) -> None:
        surplus = before - self._reach - self._tail_first
        if surplus > 0:
            self._tail = self._tail[surplus:]
            self._tail_first += surplus

    def _fail(self, error: RecognizerError, sample: int, events: list[Event]) -> None:
        self._broken = True
        self._failures += 1
        if self._recognizer is not None:
            self._recognizer.close()
            self._recognizer = None
        if self._failures > _RESTARTS:
            text = f"{error.problem} It has failed {self._failures} times and stays off: scores rest on the voice alone."
            events.append(Event(sample, "recognizer-off", Severity.ERROR, f"{text} {error.remedy}".strip()))
            return
        events.append(
            Event(
                sample,
                "recognizer-lost",
                Severity.WARNING,
                f"{error.problem} The words of this utterance are lost; restarting it.",
            )
        )
        self._revive(sample, events)

    def _revive(self, sample: int, events: list[Event]) -> None:
        try:
            recognizer = self._factory()
            self._label = recognizer.label
            recognizer.start()
        except RecognizerError as error:
            # What cannot even be started will not be better the next time.
            self._failures = _RESTARTS + 1
            message = f"{error.problem} There will be no words: scores rest on the voice alone. {error.remedy}".strip()
            events.append(Event(sample, "recognizer-off", Severity.ERROR, message))
            return
        self._recognizer = recognizer
