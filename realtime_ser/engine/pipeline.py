"""The stages in one thread: the reference that the threaded engine must reproduce, and what files are analysed with."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_ser.engine.judgement import JudgementStage
from realtime_ser.engine.signal import SignalResult, SignalStage
from realtime_ser.engine.words import WordsStage
from realtime_ser.types import Block, Output

__all__ = ["Pipeline", "Stages"]


@dataclass(frozen=True, slots=True)
class Stages:
    """Fresh stages for one stream. `words` is ``None`` where no words are wanted."""

    signal: SignalStage
    words: WordsStage | None
    judgement: JudgementStage


class Pipeline:
    """Runs a stream through the stages, block by block, and returns everything they emit.

    Parameters
    ----------
    stages
        Fresh ones.

    Notes
    -----
    Belongs to one thread. Scores do not depend on the cut of the input into blocks.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._started = False

    def process(self, block: Block) -> list[Output]:
        """Take the next block and return what it brought, in order."""
        outputs: list[Output] = []
        if not self._started:
            self._started = True
            if self._stages.words is not None:
                outputs += self._stages.words.start()
        return outputs + self._follow(self._stages.signal.process(block))

    def finish(self) -> list[Output]:
        """End the stream: the utterance under way gets its verdict."""
        outputs = self._follow(self._stages.signal.finish())
        outputs += self._stages.judgement.finish()
        return outputs

    def close(self) -> None:
        """Release the recogniser."""
        if self._stages.words is not None:
            self._stages.words.close()

    def _follow(self, result: SignalResult) -> list[Output]:
        outputs = list(result.shown)
        for step in result.steps:
            transcripts = []
            if self._stages.words is not None:
                heard = self._stages.words.process(step)
                outputs += heard.events
                outputs += heard.transcripts
                transcripts = heard.transcripts
            outputs += self._stages.judgement.process(step, transcripts)
        return outputs
