"""Recording a running engine, or the engines of several people.

Three activities, on three threads:

* *signal*, the engine's: reads the source through a tap that notes when what arrived, and hands it over.
* *record-take*: takes every output at once and throws away what is large and not recorded, so that the engine, whose channel
  keeps everything, never waits for a disk.
* *record-write*: twice a second and more, writes what has come since into a transaction, and tells of markers that another
  process has put into the session meanwhile.

The first two exist once for every person; so do the streams on disk, each in a transaction of its own.

In between lies a queue without a lock or limit: what waits there is a few kilobytes a second.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from realtime_ser.audio.sources import Source, SourceStatus
from realtime_ser.config import ENGINE_RATE
from realtime_ser.engine.channel import Channel, ChannelClosed
from realtime_ser.errors import SessionError
from realtime_ser.session.format import (
    AUDIO_NAME,
    AUDIO_SCHEMA,
    LOCK_NAME,
    RESERVE_NAME,
    STREAMS_NAME,
    STREAMS_SCHEMA,
    hold_lock,
    make_database,
    person_folder,
    safe_name,
)
from realtime_ser.session.header import Header, write_header
from realtime_ser.session.writer import Clock, Device, Heard, Item, Marker, Note, StreamWriter
from realtime_ser.types import Block, Estimate, Event, Health, Output, Transcript, Verdict, WindowScores

__all__ = ["Recorder", "RecordingStatus", "TappedSource"]

_log = logging.getLogger(__name__)

RecordingPhase: TypeAlias = Literal["recording", "closed", "failed"]

_INTERVAL = 0.4
"""Seconds between two commits: with the time that a commit takes, less than a second is lost to a kill."""

_RESERVE = 256 * 1024
"""Bytes kept free on the disk for the last transaction: a disk that is full must not hide that it was."""

_ITEMS = 256
"""Items of a transaction at most: several seconds of a stream, more than come between two commits of a live one."""

_PATIENCE = 30.0
"""Seconds that a disk may take for a transaction. What comes meanwhile waits in memory, which must not grow for ever."""

_SLOW = 2.0
"""Seconds without a transaction from which the disk is told to be behind."""

_BACKLOG = 500
"""Items, some seconds of a stream, that must wait as well: after a suspend, clocks have gone on and nothing has come."""

_FAREWELL = 20.0
"""Seconds that the end of a recording waits for a disk that does not answer."""

_WAIT = 0.2


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """How a recording is doing.

    Attributes
    ----------
    seconds
        Of the stream, written so far.
    problem, remedy
        Why it failed, and what can be done.
    behind
        Seconds for which the disk has not answered, where they are many; what comes meanwhile waits in memory.
    """

    phase: RecordingPhase
    folder: Path
    seconds: float
    words: bool
    audio: bool
    markers: int = 0
    problem: str = ""
    remedy: str = ""
    behind: float = 0.0


class TappedSource:
    """A source that tells what it delivers; in everything else it is the one that it wraps.

    Parameters
    ----------
    source
        Not yet opened.
    take
        Called with every block by the thread that reads; it must not wait.
    """

    def __init__(self, source: Source, take: Callable[[Block], None]) -> None:
        self._source = source
        self._take = take

    @property
    def name(self) -> str:
        """What to call it in front of a user."""
        return self._source.name

    @property
    def live(self) -> bool:
        """True where sound that is not read in time is lost."""
        return self._source.live

    @property
    def exhausted(self) -> bool:
        """True once no block will come any more."""
        return self._source.exhausted

    def open(self) -> None:
        """Start."""
        self._source.open()

    def read(self, timeout: float) -> Block | None:
        """The next block, noted."""
        block = self._source.read(timeout)
        if block is not None:
            self._take(block)
        return block

    def status(self) -> SourceStatus:
        """How it is doing."""
        return self._source.status()

    def drain_events(self) -> list[Event]:
        """Events since the last call."""
        return self._source.drain_events()

    def close(self) -> None:
        """Stop and release everything."""
        self._source.close()


class _Stream:
    """What is kept of one person: the files, and what waits to be written into them.

    Raises
    ------
    OSError, sqlite3.Error
        The files cannot be made.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.header = header
        self.folder = folder
        make_database(folder / STREAMS_NAME, STREAMS_SCHEMA, header.format)
        if header.kept.audio:
            make_database(folder / AUDIO_NAME, AUDIO_SCHEMA, header.format)
        self.writer = StreamWriter(folder, header.classes, words=header.kept.words, audio=header.kept.audio)
        # NB: any thread puts, the writing thread alone takes.
        self.items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        # NB: replaced as a whole by the signal thread, read once by others: where the stream stood, and when.
        self.clock: tuple[int, float] | None = None
        self.expected: int | None = None
        self.source: Source | None = None
        self.outputs: Channel[Output] | None = None
        # NB: the writing thread's own.
        self.device = ""
        self.position = 0

    def heard(self, block: Block) -> Heard:
        """What is noted of a block; the signal thread calls this."""
        now, utc = time.perf_counter(), time.time()
        span = block.span
        at = now if block.captured_at is None else block.captured_at
        self.clock = (span.end, at)
        missing = 0 if self.expected is None else span.first - self.expected
        self.expected = span.end
        kind = "read" if block.captured_at is None else "capture"
        samples = block.samples if self.header.kept.audio else None
        return Heard(span, at, utc - (now - at), kind, missing, samples)

    def waiting(self) -> list[Item]:
        """What waits, and is not too much for a transaction."""
        items: list[Item] = []
        with contextlib.suppress(queue.Empty):
            while len(items) < _ITEMS:
                items.append(self.items.get_nowait())
        return items

    def watch_device(self, items: list[Item]) -> None:
        """Add to `items` what delivers the sound, where that is new."""
        if self.source is None or self.position == 0:
            return
        status = self.source.status()
        if status.device != self.device:
            first = not self.device
            self.device = status.device
            latency = None if math.isnan(status.input_latency_seconds) else status.input_latency_seconds
            since = 0 if first else self.position
            items.append(Device(since, status.device, status.native_rate, status.channels, latency))


class Recorder:
    """Records the engine of one person, or those of several, into a folder of its own.

    ``recorder.tap(source)`` is what the engine reads, ``recorder.start(engine.subscribe(…, Policy.KEEP_ALL))`` comes before the
    engine's start, and :meth:`finish` after its end. :meth:`mark`, :meth:`note`, :meth:`clock` and :meth:`status` may be called
    by any thread.

    Parameters
    ----------
    root
        Where the session's folder is made.
    header
        See :func:`~realtime_ser.session.header.make_header`; it says whether words and sound are kept.
    on_failure
        Called by the writing thread should the recording end before its time; it must not raise.
    others
        Headers of the people after the first.

    Raises
    ------
    SessionError
        The folder cannot be written.
    """

    def __init__(
        self,
        root: Path,
        header: Header,
        on_failure: Callable[[RecordingStatus], None] = lambda status: None,
        others: Sequence[Header] = (),
    ) -> None:
        self.header = header
        parts = (
            header.created[:19].replace(":", "-"),
            safe_name(header.participant),
            safe_name(header.condition),
            header.id[:6],
        )
        self.folder = root / "_".join(filter(None, parts))
        try:
            root.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)
            self._lock = hold_lock(self.folder)
            self._streams = [_Stream(self.folder, header)]
            for person, other in enumerate(others, 2):
                beside = person_folder(self.folder, person)
                beside.mkdir(parents=True)
                self._streams.append(_Stream(beside, other))
                write_header(beside, other)
            (self.folder / RESERVE_NAME).write_bytes(bytes(_RESERVE))
            # Last: a folder with a header is a session.
            write_header(self.folder, header)
        except (OSError, sqlite3.Error) as error:
            problem = f"The session {self.folder} cannot be written: {_reason(error)}."
            raise SessionError(problem, "Make room or choose another folder.") from error
        self._over = threading.Event()
        self._why = ""
        self._guard = threading.Lock()
        kept = [stream.header.kept for stream in self._streams]
        words, audio = any(one.words for one in kept), any(one.audio for one in kept)
        self._status = RecordingStatus("recording", self.folder, 0.0, words, audio)
        self._on_failure = on_failure
        self.on_foreign_marker: Callable[[Marker], None] = lambda marker: None
        """Told of every marker that another process wrote into the session, soon afterwards, by the writing thread; it must
        neither wait nor raise."""
        # NB: replaced by the writing thread, read by all that put.
        self._written_at = time.perf_counter()
        self._slow = False
        self._takers = [
            threading.Thread(target=self._take, args=(stream,), name="record-take", daemon=True) for stream in self._streams
        ]
        self._pen = threading.Thread(target=self._write, name="record-write", daemon=True)

    def tap(self, source: Source, person: int = 0) -> TappedSource:
        """The source for the engine of `person`, counted from 0."""
        stream = self._streams[person]
        stream.source = source
        return TappedSource(source, partial(self._hear, stream))

    def start(self, *outputs: Channel[Output]) -> None:
        """Begin to record what comes through `outputs`: of every person one, on the clock of their own stream."""
        for stream, channel in zip(self._streams, outputs, strict=True):
            stream.outputs = channel
        self._written_at = time.perf_counter()
        for taker in self._takers:
            taker.start()
        self._pen.start()

    @property
    def heard(self) -> bool:
        """Whether a first block has come."""
        return any(stream.clock is not None for stream in self._streams)

    def status(self) -> RecordingStatus:
        """How it is doing."""
        with self._guard:
            status = self._status
        waited = time.perf_counter() - self._written_at
        return replace(status, behind=waited) if status.phase == "recording" and waited > _SLOW else status

    def sample_at(self, perf_counter: float) -> int:
        """Where the first stream stood, or will have stood, at a time of ``time.perf_counter()``; 0 before its first sample."""
        clock = self._streams[0].clock
        if clock is None:
            return 0
        sample, then = clock
        return max(0, sample + round((perf_counter - then) * ENGINE_RATE))

    def time_of(self, sample: int) -> float:
        """When a sample was captured, or will be (``time.perf_counter()``); now, before the first one."""
        clock = self._streams[0].clock
        if clock is None:
            return time.perf_counter()
        known, then = clock
        return then + (sample - known) / ENGINE_RATE

    def mark(
        self, name: str, *, colour: str = "", source: str = "program", at: float | None = None, sample: int | None = None
    ) -> Marker:
        """Mark a moment: `sample`, or `at` (``perf_counter()``, seconds), or now."""
        now = time.perf_counter()
        at = now if at is None else at
        marker = Marker(self.sample_at(at) if sample is None else sample, name, colour, source, time.time() - (now - at))
        self._put(self._streams[0], marker)
        with self._guard:
            self._status = replace(self._status, markers=self._status.markers + 1)
        return marker

    def note(self, text: str, *, sample: int | None = None) -> None:
        """Keep a remark about a moment, or about the whole session."""
        self._put(self._streams[0], Note(sample, text, time.time()))

    def clock(self, name: str, offset: float, uncertainty: float) -> None:
        """Keep how another clock stands to ``perf_counter()`` now: seconds to add, and how far that may be wrong."""
        self._put(self._streams[0], Clock(self.sample_at(time.perf_counter()), name, offset, uncertainty))

    def finish(self, why: str) -> RecordingStatus:
        """End the recording once the engine has ended: write the rest, say `why`, and make single files of it."""
        if self._takers[0].ident is not None:
            for stream, taker in zip(self._streams, self._takers, strict=True):
                if stream.outputs is not None:
                    stream.outputs.close()
                taker.join()
            self._why = why
            self._over.set()
            self._pen.join(_FAREWELL)
            if self._pen.is_alive():
                # The thread and the session's lock are left to the system: closing the files would wait for the disk, too.
                self._give_up()
                return self.status()
        else:
            for stream in self._streams:
                stream.writer.close()
        self._lock.close()
        for name in (LOCK_NAME, RESERVE_NAME):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        return self.status()

    def discard(self) -> None:
        """Finish, and remove the folder: nothing was heard."""
        self.finish("discarded")
        shutil.rmtree(self.folder, ignore_errors=True)

    # The engine's signal thread -------------------------------------------------------------------------------------------

    def _hear(self, stream: _Stream, block: Block) -> None:
        self._put(stream, stream.heard(block))

    # Taking ---------------------------------------------------------------------------------------------------------------

    def _take(self, stream: _Stream) -> None:
        assert stream.outputs is not None  # the thread is only started with it
        while True:
            try:
                output = stream.outputs.get(_WAIT)
            except ChannelClosed:
                return
            match output:
                case WindowScores():
                    self._put(stream, output.without_features())
                case Transcript():
                    if stream.header.kept.words:
                        self._put(stream, output)
                case Estimate() | Verdict() | Event() | Health():
                    self._put(stream, output)
                case _:
                    pass

    def _put(self, stream: _Stream, item: Item) -> None:
        # NB: a recording that has failed takes nothing any more, but goes on emptying the engine's channel.
        if self._status.phase != "recording":
            return
        stream.items.put(item)
        waited = time.perf_counter() - self._written_at
        if waited > _SLOW and not self._slow:
            self._slow = True
            _log.warning("The disk has not answered for %.0f s: what is recorded waits in memory.", waited)
        if waited > _PATIENCE and stream.items.qsize() > _BACKLOG:
            self._give_up()

    def _give_up(self) -> None:
        """Take nothing more: the disk does not answer. Should it do so later, what waits is still written, and why it ended."""
        with self._guard:
            if self._status.phase != "recording":
                return
            problem = (
                f"The recording ended at {self._status.seconds:.1f} s: the disk has not answered for "
                f"{time.perf_counter() - self._written_at:.0f} s. What was written until then is kept."
            )
            remedy = "Listening goes on. Look after the disk and start a new session, in another folder if need be."
            self._status = status = replace(self._status, phase="failed", problem=problem, remedy=remedy)
        _log.error("%s", problem)
        self._on_failure(status)

    # Writing --------------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            over = False
            while not over:
                over = self._over.wait(_INTERVAL) or self._status.phase == "failed"
                if not all(self._commit(stream, over) for stream in self._streams):
                    return
            with contextlib.suppress(sqlite3.Error):  # stays in WAL mode, which is as readable
                for stream in self._streams:
                    stream.writer.seal()
            self._set_closed()
        finally:
            for stream in self._streams:
                stream.writer.close()

    def _commit(self, stream: _Stream, last: bool) -> bool:
        """Write what waits, in transactions that stay small also where a file is faster than the disk; whether that worked."""
        while True:
            items = stream.waiting()
            done = len(items) < _ITEMS
            for item in items:
                if isinstance(item, Heard):
                    stream.position = item.span.end
            given_up = self._status.phase == "failed"
            how = ("failed", self._status.problem) if given_up else ("closed", self._why)
            ending = (time.time(), stream.position, *how) if last and done else None
            try:
                stream.watch_device(items)
                stream.writer.write(items, ending)
                # Only the first stream has any: markers are everybody's.
                foreign = stream.writer.foreign_markers()
            except Exception as error:  # noqa: BLE001 - whatever it is must end the recording in words, and never the engine
                self._fail(error)
                return False
            self._written_at = time.perf_counter()
            if self._slow:
                self._slow = False
                _log.info("The disk answers again: everything that waited is written.")
            with self._guard:
                markers = self._status.markers + len(foreign)
                seconds = self._streams[0].position / ENGINE_RATE
                self._status = replace(self._status, seconds=seconds, markers=markers)
            for marker in foreign:
                self.on_foreign_marker(marker)
            if done:
                return True

    def _fail(self, error: Exception) -> None:
        """End in a clear state: what was written stays, and the reserve makes room for saying why."""
        seconds = self.status().seconds
        problem = f"The recording ended at {seconds:.1f} s: {_reason(error)}. What was written until then is kept."
        remedy = "Listening goes on. Make room and start a new session."
        _log.error("%s", problem, exc_info=None if isinstance(error, sqlite3.Error | OSError) else error)
        with self._guard:
            self._status = replace(self._status, phase="failed", problem=problem, remedy=remedy)
        with contextlib.suppress(OSError):
            (self.folder / RESERVE_NAME).unlink(missing_ok=True)
        # Nothing but the ending: another try of what did not fit would use up the room that was just made.
        for stream in self._streams:
            with contextlib.suppress(sqlite3.Error):
                stream.writer.write([], (time.time(), round(seconds * ENGINE_RATE), "failed", problem))
        self._on_failure(self.status())

    def _set_closed(self) -> None:
        with self._guard:
            if self._status.phase == "recording":
                self._status = replace(self._status, phase="closed")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return "the disk is full"
    return str(error) or type(error).__name__
