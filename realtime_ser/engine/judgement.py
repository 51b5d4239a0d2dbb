"""Where voice and words meet: steps and transcripts in, estimates and verdicts out."""

from __future__ import annotations

from collections.abc import Iterable

from realtime_ser.engine.signal import Step
from realtime_ser.fusion.decision import Decider
from realtime_ser.types import EndReason, Estimate, Span, Transcript, UtteranceEnd, UtteranceStart, Verdict

__all__ = ["JudgementStage"]


class JudgementStage:
    """Drives the decider along the steps. Belongs to one thread.

    Parameters
    ----------
    decider
        A fresh one.
    expects_words
        Whether verdicts wait for a final transcript.
    patience
        Samples that a verdict waits for its final transcript; ``None``: as long as it takes.
    """

    def __init__(self, decider: Decider, *, expects_words: bool, patience: int | None = None) -> None:
        self._decider = decider
        self._expects_words = expects_words
        self._patience = patience
        self._spoke = True
        self._onset = 0
        self._position = 0

    @property
    def waiting(self) -> bool:
        """Whether a verdict waits for words."""
        return bool(self._decider.pending)

    def process(self, step: Step, transcripts: Iterable[Transcript]) -> list[Estimate | Verdict]:
        """Apply a step, and the transcripts that are known by its end.

        Steps that are missing (a live stream that the verdicts cannot follow) end the utterance under way; one whose beginning
        is missing gets no verdict.
        """
        decider = self._decider
        if decider.current is not None and step.span.first != self._position:
            known = Span(self._onset, max(self._onset, self._position))
            decider.end(UtteranceEnd(decider.current, known, self._position, EndReason.GAP))
        self._position = step.span.end
        # The order does not depend on how the step was filled: windows belong to an utterance by their centre, which lies
        # before any decision of this step.
        for windows in step.windows:
            decider.add(windows)
        for mark in step.marks:
            if isinstance(mark, UtteranceStart):
                self._onset = mark.onset
                decider.begin(mark)
            elif mark.utterance == decider.current:
                decider.end(mark)
        for transcript in transcripts:
            decider.hear(transcript)
        results: list[Estimate | Verdict] = list(self._commit(step.span.end))
        if decider.current is not None or self._spoke:
            results.append(decider.estimate(step.span.end))
        self._spoke = decider.current is not None
        return results

    def hear(self, transcripts: Iterable[Transcript], at: int) -> list[Verdict]:
        """Late words, when no more steps come."""
        for transcript in transcripts:
            self._decider.hear(transcript)
        return self._commit(at)

    def finish(self) -> list[Verdict]:
        """Commit what still waits, with the words known by now."""
        return [self._decider.verdict(utterance) for utterance in self._decider.pending]

    def _commit(self, at: int) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for utterance in self._decider.pending:
            late = self._patience is not None and at - self._decider.ended_at(utterance) > self._patience
            if not self._expects_words or late or self._decider.words_complete(utterance):
                verdicts.append(self._decider.verdict(utterance))
        return verdicts
