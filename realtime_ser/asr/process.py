"""A recogniser's process, as its parent sees it: how it is started, asked, watched, and ended.

A library that decodes may hold the GIL meanwhile, as PocketSphinx does, which would stall capture and analysis by up to 0.3 s
at a time; and it may crash, or call ``abort``, as Kaldi's assertions inside libvosk do. Neither may touch the program, so each
recogniser has a process of its own. It is a plain `subprocess` with two pipes (the frames are described in
:mod:`~realtime_ser.asr.worker`), not `multiprocessing`: spawn would import the parent's main script again, fork is unsafe
beside audio threads, and nothing needs pickling here.

Which threads and processes there are:

* the recogniser's thread (the caller's) writes a request, then waits for the answer with a time limit;
* a reader thread moves answers from the child's pipe into a queue, since a pipe cannot be waited for with a time limit on
  Windows; it ends with the child, and the end of the pipe wakes the caller at once when the child dies;
* the child decodes, at a lower priority, in a session of its own so that Ctrl-C does not reach it, and ends when its pipe does.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TypeAlias

from realtime_ser.asr.worker import WORKER_FLAG, read_frame, write_frame
from realtime_ser.asr.worker import __file__ as worker_program
from realtime_ser.errors import RecognizerError

__all__ = ["SpareWorkers", "Worker", "WorkerKind"]

_Answers: TypeAlias = "queue.SimpleQueue[tuple[bytes, bytes] | None]"

_ANSWER_SECONDS = 30.0
"""Time limit for an answer; the longest, the final pass over 20 s of speech, takes a few seconds on a busy machine."""
_EXIT_SECONDS = 0.2
"""A child that does not end by itself within this time is killed: it has nothing to save."""

_KALDI_PREFIX = re.compile(r"^(ERROR|ASSERTION_FAILED) \([^)]*\(\)[^)]*\) ")
"""How Kaldi begins the lines that say why it stops, with the place in its source."""


@dataclass(frozen=True, slots=True)
class WorkerKind:
    """Which library a worker serves with what, and how to speak of it.

    Attributes
    ----------
    library
        Its name, and that of its package.
    options
        What :mod:`~realtime_ser.asr.worker` is told besides.
    refusal, remedy
        How a sentence begins that says that it does not load, and what to do then.
    load_seconds
        Time limit for loading.
    """

    library: str
    options: tuple[str, ...]
    refusal: str
    remedy: str
    load_seconds: float


class Worker:
    """A child process with a library loaded. Used by one thread at a time.

    Whatever it does wrong raises :class:`~realtime_ser.errors.RecognizerError` and ends it.

    Parameters
    ----------
    kind
        What to start. Blocks until it is loaded.
    """

    # NB: `kill -9` on the child is met with a RecognizerError by the call under way, or the next.

    def __init__(self, kind: WorkerKind) -> None:
        self.kind = kind
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed by close
        self._answers: _Answers = queue.SimpleQueue()
        self._loaded = False
        self._owed = 0
        try:
            self._child = _launch(kind, self._errors)
        except OSError as error:
            self._errors.close()
            raise RecognizerError(f"The {kind.library} process cannot be started: {error}.") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None  # both are pipes: this is for the type checker
        self._requests = self._child.stdin
        self._reader = threading.Thread(
            target=_read_answers, args=(self._child.stdout, self._answers), name="recognizer-reader", daemon=True
        )
        self._reader.start()
        try:
            self.receive(b"R", kind.load_seconds)
        except BaseException:  # somebody who interrupts the loading must not leave it behind either
            self.close()
            raise
        self._loaded = True

    @property
    def process_id(self) -> int:
        """Number of the child process."""
        return self._child.pid

    @property
    def reusable(self) -> bool:
        """Whether another recogniser could go on with it: it lives, and owes no answer to the one before."""
        return not self._requests.closed and self._owed == 0 and self._child.poll() is None

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a request that has no answer."""
        # A step fits into a pipe's buffer, and the child has read the one before: this cannot block for long.
        try:
            write_frame(self._requests, kind, payload)
        except (OSError, ValueError):  # ValueError: closed by an earlier failure
            raise self._died() from None

    def ask(self, kind: bytes, payload: bytes = b"") -> bytes:
        """Send a request and return the payload of its answer."""
        self._owed += 1
        self.send(kind, payload)
        answer = self.receive(b"W", _ANSWER_SECONDS)
        self._owed -= 1
        return answer

    def receive(self, kind: bytes, seconds: float) -> bytes:
        """Wait for an answer and return its payload."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise self._failure(f"did not answer within {seconds:.0f} s") from None
        if answer is None:
            raise self._died()
        got, payload = answer
        text = payload.decode(errors="replace")
        library = self.kind.library
        if got == b"I":
            raise self._end(f"{library} cannot be loaded: {text}.", f"Install it with `pip install {library.lower()}`.")
        if got == b"E":
            if self._loaded:
                raise self._end(f"{library} stopped decoding: {text}.")
            raise self._end(f"{self.kind.refusal}: {text}.", self.kind.remedy)
        if got != kind:
            raise self._failure(f"answered {got!r} where {kind!r} was due")
        return payload

    def close(self) -> None:
        """End the child; bounded in time. A second call does nothing."""
        if self._requests.closed:
            return
        with suppress(OSError):  # the child may be gone
            self._requests.close()
        try:
            self._child.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            with suppress(subprocess.TimeoutExpired):  # in an uninterruptible system call: the system ends it later
                self._child.wait(_EXIT_SECONDS)
        self._reader.join(_EXIT_SECONDS)
        self._errors.close()

    def _died(self) -> RecognizerError:
        if self._requests.closed:
            return RecognizerError(f"The {self.kind.library} process is gone.")
        status: int | None = None
        with suppress(subprocess.TimeoutExpired):
            status = self._child.wait(_EXIT_SECONDS)
        how = "" if status is None else f" ({_describe_exit(status)})"
        # Somebody else's decision: what the library wrote before has nothing to do with it.
        killed = sys.platform != "win32" and status == -signal.SIGKILL
        said = "" if killed else self._last_words()
        remedy = "There may be too little memory: close other programs, or use a smaller model." if killed else ""
        return self._failure(f"ended unexpectedly{how}{': ' + said if said else ''}", remedy)

    def _last_words(self) -> str:
        """The last line that the child wrote to its standard error, or the last in which Kaldi says why it stops."""
        self._errors.seek(0)
        lines = self._errors.read()[-16_384:].decode(errors="replace").strip().splitlines()
        why = [line for line in lines if _KALDI_PREFIX.match(line)] or lines
        return _KALDI_PREFIX.sub("", why[-1]).strip().rstrip(".") if why else ""

    def _failure(self, what: str, remedy: str = "") -> RecognizerError:
        """The error to raise where the process did something that it never should."""
        if self._loaded:
            return self._end(f"The {self.kind.library} process {what}.", remedy)
        return self._end(f"{self.kind.refusal}: its process {what}.", remedy or self.kind.remedy)

    def _end(self, problem: str, remedy: str = "") -> RecognizerError:
        """The error to raise; the child is done for, whatever state it is in."""
        self._child.kill()
        self.close()
        return RecognizerError(problem, remedy)


class SpareWorkers:
    """Workers whose recogniser was closed, for the next one that wants the same: a library is loaded once for many recordings.

    May be used by any thread. A worker that nobody wants any more ends with :meth:`close`, or with the program.
    """

    def __init__(self) -> None:
        # Reentrant, since whoever collects garbage may end what nobody uses any more, in the middle of anything.
        self._lock = threading.RLock()
        self._spare: list[Worker] = []
        self._owner = os.getpid()
        self._closed = False

    def take(self, kind: WorkerKind) -> Worker:
        """A worker of that kind, loaded: a spare one where there is one; else it blocks like :class:`Worker`."""
        with self._lock:
            if os.getpid() != self._owner:
                # A copy of the program has its own: two that talk to one child would get each other's answers.
                self._spare, self._owner = [], os.getpid()
            fitting = [worker for worker in self._spare if worker.kind == kind]
            for worker in fitting:
                self._spare.remove(worker)
                if worker.reusable:
                    return worker
                worker.close()
        return Worker(kind)

    def give_back(self, worker: Worker) -> None:
        """Keep a worker for others, or end it where it is of no more use."""
        with self._lock:
            if not self._closed and worker.reusable:
                self._spare.append(worker)
                return
        worker.close()

    def close(self) -> None:
        """End the spare workers, and those that are given back from now on."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, []
        for worker in spare:
            worker.close()


def _launch(kind: WorkerKind, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P: the folder of the script stays out of sys.path, where this package's modules could pass for others.
    program = [WORKER_FLAG] if getattr(sys, "frozen", False) else ["-P", worker_program]
    command = [sys.executable, *program, kind.library.lower(), *kind.options]
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
