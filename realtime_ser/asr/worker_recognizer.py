"""The recogniser whose library decodes in a process of its own."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from realtime_ser.asr.process import SpareWorkers, Worker, WorkerKind
from realtime_ser.asr.steps import DECODING_STEP, PartialWords, SteppedRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import Span, Word

__all__ = ["WorkerRecognizer"]

_WordRow: TypeAlias = tuple[str, int, int, float]


class WorkerRecognizer(SteppedRecognizer):
    """:class:`~realtime_ser.asr.protocol.Recognizer` by a library in a :class:`~realtime_ser.asr.process.Worker`.

    Words of a phrase that the library has not closed yet carry ``nan`` and approximate spans
    (:class:`~realtime_ser.asr.steps.PartialWords`); those of a closed one carry its times and confidences.

    Parameters
    ----------
    step
        Samples decoded at a time, on the absolute grid.
    spare
        Where the process comes from, and goes when this is closed; ``None``: it is started and ended with this.
    """

    def __init__(self, step: int = DECODING_STEP, spare: SpareWorkers | None = None) -> None:
        super().__init__(step)
        self._spare = spare
        self._worker: Worker | None = None
        self._exact_times = True
        self._first_sample = 0
        self._closed: list[Word] = []
        self._open_words = PartialWords(0)

    @property
    def process_id(self) -> int | None:
        """Number of the child process, ``None`` before :meth:`start` and after :meth:`close`."""
        return None if self._worker is None else self._worker.process_id

    @abstractmethod
    def _kind(self) -> WorkerKind:
        """Which process to start; raises :class:`RecognizerError` where it is clear beforehand that it would fail."""

    def _load(self) -> None:
        kind = self._kind()
        self._worker = Worker(kind) if self._spare is None else self._spare.take(kind)

    def _open(self, first_sample: int) -> None:
        self._first_sample = first_sample
        self._closed = []
        self._open_words = PartialWords(first_sample)
        try:
            self._running().send(b"b")
        except RecognizerError:
            self.close()
            raise

    def _decode(self, pcm: bytes, heard_until: int) -> tuple[Word, ...]:
        return self._hear(b"a", pcm, heard_until)

    def _end(self, heard_until: int) -> tuple[Word, ...]:
        return self._hear(b"f", b"", heard_until)

    def _release(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            if self._spare is None:
                worker.close()
            else:
                self._spare.give_back(worker)

    def _running(self) -> Worker:
        assert self._worker is not None  # the base class has seen to it
        return self._worker

    def _hear(self, kind: bytes, payload: bytes, heard_until: int) -> tuple[Word, ...]:
        try:
            rows, texts = json.loads(self._running().ask(kind, payload))
        except RecognizerError:
            self.close()
            raise
        if rows is not None:
            self._close_phrase([(str(text), first, end, confidence) for text, first, end, confidence in rows], heard_until)
        return (*self._closed, *self._open_words.update(texts, heard_until))

    def _close_phrase(self, rows: Sequence[_WordRow], heard_until: int) -> None:
        approximate = self._open_words.update([text for text, *_ in rows], heard_until)
        for (text, first, end, confidence), rough in zip(rows, approximate, strict=True):
            span = self._span(first, end, heard_until) if self._exact_times else rough.span
            self._closed.append(Word(text, span, confidence))
        self._open_words = PartialWords(self._closed[-1].span.end if self._closed else self._first_sample)

    def _span(self, first: int, end: int, heard_until: int) -> Span:
        # Samples since the utterance's first one; the library may have heard a little silence of its own at the end.
        begin = min(self._first_sample + first, heard_until)
        return Span(begin, max(begin, min(self._first_sample + end, heard_until)))
