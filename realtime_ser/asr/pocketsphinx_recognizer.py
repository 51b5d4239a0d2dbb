"""PocketSphinx in a process of its own: the recogniser that is always there, since its wheel carries an English model.

Its `process_raw` holds the GIL while it decodes, which would stall capture and analysis by up to 0.3 s at a time; a thread is
therefore not enough. The process is a plain `subprocess` with two pipes (the frames are described in
:mod:`~realtime_ser.asr.pocketsphinx_worker`), not `multiprocessing`: spawn would import the parent's main script again, fork is
unsafe beside audio threads, and nothing needs pickling here.

Which threads and processes there are:

* the recogniser's thread (the caller's) writes a request, then waits for the answer with a time limit;
* a reader thread moves answers from the child's pipe into a queue, since a pipe cannot be waited for with a time limit on
  Windows; it ends with the child, and the end of the pipe wakes the caller at once when the child dies;
* the child decodes, at a lower priority, in a session of its own so that Ctrl-C does not reach it, and ends when its pipe does.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO, TypeAlias

from realtime_ser.asr import pocketsphinx_worker
from realtime_ser.asr.pocketsphinx_worker import read_frame, write_frame
from realtime_ser.asr.steps import DECODING_STEP, PartialWords, SteppedRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel, Span, Word

__all__ = ["PocketSphinxRecognizer"]

_Answers: TypeAlias = "queue.SimpleQueue[tuple[bytes, bytes] | None]"
_WordRow: TypeAlias = tuple[str, int | None, int | None, float | None]

_LOAD_SECONDS = 60.0
"""Time limit for start-up, which takes half a second on a warm disk."""
_ANSWER_SECONDS = 30.0
"""Time limit for an answer; the longest, the final pass over 20 s of speech, takes a few seconds on a busy machine."""
_EXIT_SECONDS = 0.2
"""A child that does not end by itself within this time is killed: it has nothing to save."""


class PocketSphinxRecognizer(SteppedRecognizer):
    """:class:`~realtime_ser.asr.protocol.Recognizer` by PocketSphinx and its own US English model.

    Partial words carry ``nan`` and approximate spans (:class:`~realtime_ser.asr.steps.PartialWords`). Final words carry
    PocketSphinx's own word posterior from its last lattice, clipped to [0, 1] and otherwise untouched. It tells surer words
    from less sure ones, but it is no probability of being right, nor comparable with Vosk's: ``docs/recognizers.md`` has the
    shares of right words that were measured.

    The estimates of channel and noise start afresh with every utterance, so that its words depend on its own samples only. Over
    clips of AN4, LibriSpeech and LibriVox, keeping them made no fewer errors.

    Parameters
    ----------
    step
        Samples decoded at a time, on the absolute grid.
    """

    # NB: one thread for all calls; `kill -9` on the child is met with a RecognizerError by the call under way, or the next.

    def __init__(self, step: int = DECODING_STEP) -> None:
        super().__init__(step)
        self._child: subprocess.Popen[bytes] | None = None
        self._requests: IO[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._answers: _Answers = queue.SimpleQueue()
        self._errors: IO[bytes] | None = None
        self._first_sample = 0
        self._partial = PartialWords(0)

    @property
    def label(self) -> RecognizerLabel:
        """``PocketSphinx`` and its model, which is part of the wheel."""
        return RecognizerLabel("PocketSphinx", "en-us")

    @property
    def process_id(self) -> int | None:
        """Number of the child process, ``None`` before :meth:`start` and after :meth:`close`."""
        return None if self._child is None else self._child.pid

    def _load(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed by _release
        self._answers = queue.SimpleQueue()
        try:
            self._child = _launch(self._errors)
        except OSError as error:
            self._release()
            raise RecognizerError(f"The PocketSphinx process cannot be started: {error}.") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None  # both are pipes: this is for the type checker
        self._requests = self._child.stdin
        self._reader = threading.Thread(
            target=_read_answers, args=(self._child.stdout, self._answers), name="pocketsphinx-reader", daemon=True
        )
        self._reader.start()
        self._await(b"R", _LOAD_SECONDS)

    def _open(self, first_sample: int) -> None:
        self._first_sample = first_sample
        self._partial = PartialWords(first_sample)
        self._send(b"b")

    def _decode(self, pcm: bytes, heard_until: int) -> tuple[Word, ...]:
        self._send(b"a", pcm)
        rows = self._await_words()
        return self._partial.update([text for text, *_ in rows], heard_until)

    def _end(self, heard_until: int) -> tuple[Word, ...]:
        self._send(b"f")
        words = []
        for text, start, end, confidence in self._await_words():
            if start is None or end is None or confidence is None:
                raise self._failure("The PocketSphinx process gave a final word without times.")
            first = min(self._first_sample + start, heard_until)
            words.append(Word(text, Span(first, max(first, min(self._first_sample + end, heard_until))), confidence))
        return tuple(words)

    def _release(self) -> None:
        child, self._child = self._child, None
        if self._requests is not None:
            with suppress(OSError):  # the child may be gone
                self._requests.close()
            self._requests = None
        if child is not None:
            try:
                child.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                with suppress(subprocess.TimeoutExpired):  # in an uninterruptible system call: the system ends it later
                    child.wait(_EXIT_SECONDS)
        if self._reader is not None:
            self._reader.join(_EXIT_SECONDS)
            self._reader = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        # A step fits into a pipe's buffer, and the child has read the one before: this cannot block for long.
        if self._requests is None:
            raise self._failure("The PocketSphinx process is gone.")
        try:
            write_frame(self._requests, kind, payload)
        except OSError:
            raise self._died() from None

    def _await_words(self) -> list[_WordRow]:
        rows = json.loads(self._await(b"W", _ANSWER_SECONDS))
        return [(str(text), start, end, confidence) for text, start, end, confidence in rows]

    def _await(self, kind: bytes, seconds: float) -> bytes:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise self._failure(f"The PocketSphinx process did not answer within {seconds:.0f} s.") from None
        if answer is None:
            raise self._died()
        got, payload = answer
        if got == b"E":
            problem = payload.decode(errors="replace")
            remedy = "Install it with `pip install pocketsphinx`." if "No module named" in problem else ""
            raise self._failure(f"PocketSphinx failed: {problem}.", remedy)
        if got != kind:
            raise self._failure(f"The PocketSphinx process answered {got!r} where {kind!r} was due.")
        return payload

    def _died(self) -> RecognizerError:
        status: int | None = None
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                status = self._child.wait(_EXIT_SECONDS)
        how = "" if status is None else f" ({_describe_exit(status)})"
        said = self._last_words()
        return self._failure(f"The PocketSphinx process ended unexpectedly{how}{': ' + said if said else ''}.")

    def _last_words(self) -> str:
        """The last line that the child wrote to its standard error."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1].strip().rstrip(".") if lines else ""

    def _failure(self, problem: str, remedy: str = "") -> RecognizerError:
        """The error to raise; the child is done for, whatever state it is in."""
        if self._child is not None:
            self._child.kill()
        self.close()
        return RecognizerError(problem, remedy)


def _launch(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    if getattr(sys, "frozen", False):
        command = [sys.executable, pocketsphinx_worker.WORKER_FLAG]
    else:
        # -P: the folder of the script stays out of sys.path, where this package's modules could pass for others.
        command = [sys.executable, "-P", pocketsphinx_worker.__file__]
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0, creationflags=flags
        )
    # NB: a session of its own keeps the terminal's signals away from the child, from its first instruction on.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0, start_new_session=True
    )


def _read_answers(pipe: IO[bytes], answers: _Answers) -> None:
    """Runs in the reader thread: every frame into `answers`, then ``None`` when the pipe has ended."""
    # NB: it knows the pipe and the queue only, so that a recogniser that nobody closed can still be collected, which closes
    # the child's input and so ends the child and this thread.
    with pipe:
        try:
            while (frame := read_frame(pipe)) is not None:
                answers.put(frame)
        except (OSError, ValueError):
            pass
        finally:
            answers.put(None)


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
