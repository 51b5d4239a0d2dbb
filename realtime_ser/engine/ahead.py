"""A recording whose voice activity and band energies are worked out one or two blocks ahead, by threads of their own.

Voice activity, filters and the rest of the encoder cost about the same. With live sound all wait for the microphone; a
recording is done in not much more than half the time where a second core is free, and in a third where there are more. The
results are those of one thread: detector and filters see the same blocks in the same order.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.acoustic.stream import BandStream
from realtime_ser.audio.sources import LONGEST_WAIT, Source, SourceStatus
from realtime_ser.audio.voice import SileroClassifier, VoiceDetector
from realtime_ser.types import Block, Event, FloatArray, VoiceActivity

__all__ = ["WorkedAhead"]

_BLOCKS = 2
"""How far ahead at most: memory stays flat."""


@dataclass(frozen=True, slots=True)
class _Item:
    """What the thread hands over: a block with its activity, its bands and the events before it, the end, or what ended it."""

    block: Block | None = None
    activity: VoiceActivity | None = None
    bands: Future[list[FloatArray]] | None = None
    events: tuple[Event, ...] = ()
    error: BaseException | None = None


class _BandsAhead:
    """The bands of the block that was read last; see :class:`~realtime_ser.acoustic.stream.Bands`."""

    def __init__(self) -> None:
        self.ready: Future[list[FloatArray]] | None = None

    def restart(self) -> None:
        """Nothing to do: the filters begin anew where the blocks do."""

    def push(self, samples: FloatArray) -> Sequence[FloatArray]:
        """Wait for the frames of the block that was read last; `samples` have to be that block's.

        Raises
        ------
        ValueError
            No block was read, or its frames were taken before.
        """
        ready, self.ready = self.ready, None
        if ready is None:
            raise ValueError(f"no block was read to which {len(samples)} samples would belong")
        return ready.result()


class WorkedAhead:
    """A source and, for the signal stage, the detector of its voice and what filters it.

    Parameters
    ----------
    source
        Not yet open, and not live.
    model
        Whose filters they are.
    idle
        Classifiers that nobody uses, shared by any number of these: one is taken, or made, and put back at the end. Making one
        takes as long as some seconds of sound.

    Notes
    -----
    NB: one thread alone reads the source and runs the detector, a second one filters, from `open` until `close` has joined
    them. All methods are called by one other thread.

    Attributes
    ----------
    bands
        For :class:`~realtime_ser.acoustic.stream.AcousticStream`.
    """

    live = False

    def __init__(self, source: Source, model: AcousticModel, idle: deque[SileroClassifier] | None = None) -> None:
        if source.live:
            raise ValueError(f"{source.name} is live: nothing of it is known ahead")
        self.bands = _BandsAhead()
        self._model = model
        self._source = source
        # NB: used by the threads of several sources; taking from and adding to a deque are atomic.
        self._idle = deque[SileroClassifier]() if idle is None else idle
        self._items: queue.Queue[_Item] = queue.Queue(_BLOCKS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="voice ahead", daemon=True)
        self._filtering = ThreadPoolExecutor(1, "bands ahead")
        self._activity: VoiceActivity | None = None
        self._events: list[Event] = []
        self._ended = False

    # The source ---------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """As the source's."""
        return self._source.name

    @property
    def exhausted(self) -> bool:
        """True once no block will come any more."""
        return self._ended

    def open(self) -> None:
        """Open the source and start to read it.

        Raises
        ------
        AudioFileError
            There is nothing to read.
        """
        self._source.open()
        self._thread.start()

    def read(self, timeout: float) -> Block | None:
        """The next block, whose activity :meth:`process` then returns; ``None`` where there is none yet, or none any more."""
        try:
            item = self._items.get(timeout=min(timeout, LONGEST_WAIT))
        except queue.Empty:
            return None
        self._events += item.events
        if item.error is not None:
            self._ended = True
            raise item.error
        self._ended = item.block is None
        self._activity, self.bands.ready = item.activity, item.bands
        return item.block

    def status(self) -> SourceStatus:
        """As the source's."""
        return self._source.status()

    def drain_events(self) -> list[Event]:
        """What happened before the last block."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End the threads and release the source."""
        self._ended = True
        self._stop.set()
        self._source.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._filtering.shutdown(cancel_futures=True)

    # The detector -------------------------------------------------------------------------------------------------------------

    def reset(self, first_sample: int) -> None:
        """Nothing to do: the thread's detector begins anew where the blocks do."""

    def process(self, samples: FloatArray, first_sample: int) -> VoiceActivity:
        """The activity of the block that was read last; it has to be that block.

        Raises
        ------
        ValueError
            No block was read, or its activity was taken before.
        """
        activity, self._activity = self._activity, None
        if activity is None:
            raise ValueError(f"no block was read whose voice activity would begin at sample {first_sample}")
        return activity

    # The thread ---------------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        classifier: SileroClassifier | None = None
        try:
            classifier = self._classifier()
            detector, filters = VoiceDetector(classifier), BandStream(self._model)

            def energies(samples: FloatArray, anew: bool) -> list[FloatArray]:
                if anew:
                    filters.restart()
                return list(filters.push(samples))

            position: int | None = None
            events: list[Event] = []
            while not self._stop.is_set() and not self._source.exhausted:
                block = self._source.read(LONGEST_WAIT)
                events += self._source.drain_events()
                if block is None:
                    continue
                anew = block.gap_before or block.span.first != position
                position = block.span.end
                bands = self._filtering.submit(energies, block.samples, anew)
                if anew:
                    detector.reset(block.span.first)
                self._hand_over(_Item(block, detector.process(block.samples, block.span.first), bands, tuple(events)))
                events = []
            self._hand_over(_Item(events=tuple(events)))
        except BaseException as error:  # noqa: BLE001 - raised by `read`, in the thread that asks for the block
            self._hand_over(_Item(error=error))
        finally:
            if classifier is not None:
                self._idle.append(classifier)

    def _classifier(self) -> SileroClassifier:
        try:
            return self._idle.pop()
        except IndexError:
            return SileroClassifier()

    def _hand_over(self, item: _Item) -> None:
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=LONGEST_WAIT)
            except queue.Full:
                continue
            return
