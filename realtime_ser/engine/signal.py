"""From blocks to steps: voice, utterances and windows, all on the absolute grid.

The stage emits twice. What a display wants at once (levels, voice, window scores) leaves with the block that completed it. What
later stages must agree on leaves as :class:`Step`: a fixed stretch of the stream with everything that was decided in it, so
that nothing behind this stage can see how the input was cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np

from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.audio.level import LevelMonitor
from realtime_ser.types import (
    Block,
    EndReason,
    FloatArray,
    Output,
    Span,
    UtteranceEnd,
    UtteranceStart,
    VoiceActivity,
    WindowScores,
    frozen,
)

__all__ = ["Detector", "Mark", "Segmentation", "SignalResult", "SignalStage", "Step", "WholeStream"]

Mark: TypeAlias = UtteranceStart | UtteranceEnd


class Segmentation(Protocol):
    """Where utterances start and end."""

    def process(self, activity: VoiceActivity) -> list[Mark]:
        """Decisions that fell in these chunks."""
        ...

    def finish(self, sample: int, reason: EndReason) -> list[Mark]:
        """End the utterance under way at the end of the stream or at a gap."""
        ...


class Detector(Protocol):
    """What knows where there is voice; :class:`~realtime_ser.audio.voice.VoiceDetector` says what the methods promise."""

    def reset(self, first_sample: int) -> None:
        """Start anew at `first_sample`."""
        ...

    def process(self, samples: FloatArray, first_sample: int) -> VoiceActivity:
        """Probabilities of the chunks that became complete."""
        ...


class WholeStream:
    """The segmentation that takes everything between two gaps for one utterance."""

    def __init__(self) -> None:
        self._utterance = 0
        self._first: int | None = None
        self._seen = 0

    def process(self, activity: VoiceActivity) -> list[Mark]:
        """The first chunk starts the utterance."""
        self._seen = activity.span.end
        if self._first is not None or not len(activity.probabilities):
            return []
        self._first = activity.span.first
        return [UtteranceStart(self._utterance, self._first, self._first + activity.chunk)]

    def finish(self, sample: int, reason: EndReason) -> list[Mark]:
        """The utterance ends with the stream."""
        if self._first is None:
            return []
        end = UtteranceEnd(self._utterance, Span(self._first, sample), sample, reason)
        self._first = None
        self._utterance += 1
        return [end]


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of the stream and all that was decided in it.

    Attributes
    ----------
    span
        Up to the next multiple of the step, shorter at the start and end of a stretch without gaps.
    samples
        Its samples, read-only, shape ``(len(span),)``.
    windows
        The windows that end in it.
    marks
        Starts and ends of utterances with `decided_at` in it, in order.
    """

    span: Span
    samples: FloatArray
    windows: tuple[WindowScores, ...]
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class SignalResult:
    """What a block brought: `shown` at once, `steps` for the stages behind."""

    shown: list[Output] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


class SignalStage:
    """Voice activity, utterances, levels and the acoustic encoder, in one thread.

    Parameters
    ----------
    detector, segmentation, meter
        Fresh ones, used by this stage alone.
    acoustic
        A fresh stream.
    step
        Samples per :class:`Step`.
    """

    def __init__(
        self,
        detector: Detector,
        segmentation: Segmentation,
        meter: LevelMonitor,
        acoustic: AcousticStream,
        step: int,
    ) -> None:
        self._detector = detector
        self._segmentation = segmentation
        self._meter = meter
        self._acoustic = acoustic
        self.step = step
        self._position: int | None = None
        self._held: list[FloatArray] = []
        self._step_first = 0
        self._windows: list[WindowScores] = []
        self._marks: list[Mark] = []
        self._next_window = 0
        self.windows_computed = 0
        self.windows_skipped = 0

    @property
    def position(self) -> int:
        """Samples seen, gaps included."""
        return self._position or 0

    def process(self, block: Block) -> SignalResult:
        """Take the next block.

        Raises
        ------
        ValueError
            When the block neither follows the one before nor declares a gap.
        """
        result = SignalResult()
        if self._position is None:
            self._begin(block.span.first)
        elif block.gap_before or block.span.first != self._position:
            self._cross_gap(block, result)
        self._position = block.span.end
        result.shown += self._meter.process(block)
        activity = self._detector.process(block.samples, block.span.first)
        if len(activity.probabilities):
            result.shown.append(activity)
            marks = self._segmentation.process(activity)
            self._marks += marks
            result.shown += marks
        for windows in self._acoustic.push(block.samples, activity if len(activity.probabilities) else None, block.captured_at):
            self.windows_computed += len(windows.scores)
            self._next_window = windows.first_window + len(windows.scores) * windows.hop
            self._windows.append(windows)
            result.shown.append(windows)
        self._held.append(block.samples)
        self._cut(result)
        return result

    def pause(self) -> SignalResult:
        """Nothing comes for a while, then a gap: end here what the gap would end, so that nobody has to wait for it.

        Further calls change nothing.
        """
        result = SignalResult()
        if self._position is not None:
            self._end_stretch(self._position, EndReason.GAP, result)
        return result

    def finish(self) -> SignalResult:
        """The stream is over: end the utterance under way and hand out what is left."""
        result = SignalResult()
        if self._position is not None:
            self._end_stretch(self._position, EndReason.STREAM_END, result)
        result.shown += self._meter.finish()
        return result

    def _begin(self, first: int) -> None:
        self._position = first
        self._step_first = first
        self._next_window = first
        self._detector.reset(first)
        self._acoustic.restart(first)

    def _cross_gap(self, block: Block, result: SignalResult) -> None:
        assert self._position is not None  # a gap lies between two blocks
        if block.span.first < self._position:
            raise ValueError(f"blocks must move forward: {block.span} after sample {self._position}")
        if not block.gap_before:
            raise ValueError(f"{block.span} does not follow sample {self._position} and declares no gap")
        hop = self._acoustic.hop
        skipped = -(-(block.span.first - self._next_window) // hop)
        self.windows_skipped += max(skipped, 0)
        self._end_stretch(self._position, EndReason.GAP, result)
        self._begin(block.span.first)

    def _end_stretch(self, sample: int, reason: EndReason, result: SignalResult) -> None:
        marks = self._segmentation.finish(sample, reason)
        self._marks += marks
        result.shown += marks
        self._cut(result, everything=True)

    def _cut(self, result: SignalResult, *, everything: bool = False) -> None:
        assert self._position is not None  # something was processed
        if not everything and self._position < self._boundary():
            return
        samples = np.concatenate(self._held) if self._held else np.empty(0, np.float32)
        while self._boundary() <= self._position:
            samples = self._emit(self._boundary(), samples, result)
        if everything and (len(samples) or self._marks or self._windows):
            samples = self._emit(self._position, samples, result)
        self._held = [samples] if len(samples) else []

    def _boundary(self) -> int:
        return (self._step_first // self.step + 1) * self.step

    def _emit(self, end: int, samples: FloatArray, result: SignalResult) -> FloatArray:
        length = end - self._step_first
        marks = tuple(mark for mark in self._marks if mark.decided_at <= end)
        self._marks = self._marks[len(marks) :]
        result.steps.append(Step(Span(self._step_first, end), frozen(samples[:length]), tuple(self._take_windows(end)), marks))
        self._step_first = end
        return samples[length:]

    def _take_windows(self, end: int) -> list[WindowScores]:
        taken: list[WindowScores] = []
        while self._windows:
            windows = self._windows[0]
            complete = (end - windows.first_window - windows.window) // windows.hop + 1
            if complete < len(windows.scores):
                if complete > 0:
                    taken.append(windows.part(0, complete))
                    self._windows[0] = windows.part(complete, len(windows.scores))
                break
            taken.append(self._windows.pop(0))
        return taken
