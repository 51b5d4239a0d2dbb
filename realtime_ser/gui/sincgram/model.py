"""What the sincgram shows, kept up to date from the engine's messages and the sound. No Qt, no clock but the sample index.

All of it belongs to one thread.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from realtime_ser.config import VoiceSettings
from realtime_ser.gui.filterbank import FilterBank
from realtime_ser.gui.models import BinnedRing
from realtime_ser.gui.sincgram.mel import MelSpectrogram, decibels
from realtime_ser.types import Block, FloatArray, Output, Span, VoiceActivity, WindowScores

__all__ = ["LONGEST_SECONDS", "REMEMBERED_SECONDS", "VOICED", "FrameGrid", "SincgramModel", "SoundMemory"]

LONGEST_SECONDS = 60
"""How much of the pictures is kept."""

REMEMBERED_SECONDS = 10
"""How much sound is kept, to be listened to."""

_MEL_WINDOW_SECONDS = 0.025
_FRAMES_AT_ONCE = 3
"""Of mel windows: larger products are shared among threads by NumPy's library, which waits for them, for 30 ms and more where
the cores have other work. With 80 bands, three are the most that one thread does."""
_ECHO_SECONDS = 0.5
"""How long what was played is still heard by a microphone: latency of the output and of the input, and the room."""

VOICED = VoiceSettings().on_threshold
"""Probability from which a column is marked as voice; the network counts frames as speech from there on."""


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """Where the network's band frames lie, in samples.

    A frame averages a filter's outputs over a hop. Output ``n`` is centred on sample ``n + (kernel - 1) / 2``, so that the
    frame that begins at sample ``s`` tells of the hop that begins at ``s + (kernel - 1) / 2``: that hop is its column.

    Attributes
    ----------
    hop, kernel
        Samples between frames; taps of a filter.
    stride
        Samples between two outputs of a filter.
    """

    hop: int
    kernel: int
    stride: int

    @property
    def receptive(self) -> int:
        """Samples that a frame looks at."""
        return self.kernel + self.hop - self.stride

    @property
    def phase(self) -> int:
        """Sample at which column 0 begins."""
        return (self.kernel - 1) // 2 % self.hop

    def column(self, frame: int) -> int:
        """Column of the frame that begins at sample `frame`; behind a gap, where frames stand on another grid, the nearest."""
        return (frame + (self.kernel - 1) // 2 - self.phase + self.hop // 2) // self.hop

    def column_at(self, sample: int) -> int:
        """Column that holds `sample`."""
        return (sample - self.phase) // self.hop

    def middle(self, column: NDArray[np.intp] | int) -> NDArray[np.float64]:
        """Middle of a column, in samples."""
        return np.asarray(column) * self.hop + self.phase + self.hop / 2.0

    def newest_frame(self, window: int) -> int:
        """How far behind the beginning of a window of that length its last frame begins; one frame comes with each window."""
        return (window - self.receptive) // self.hop * self.hop

    def mel_window(self, window: int) -> int:
        """How far behind a frame's beginning a window of that length begins that has the same middle, to half a sample."""
        return (self.receptive - window) // 2


class SoundMemory:
    """The newest sound, in memory only.

    Parameters
    ----------
    samples
        How much is kept.
    """

    def __init__(self, samples: int) -> None:
        self._data: FloatArray = np.zeros(samples, np.float32)
        self._first: int | None = None
        self._end = 0

    @property
    def span(self) -> Span:
        """What is remembered, gaps included; empty where nothing is."""
        return Span(self._end if self._first is None else max(self._first, self._end - len(self._data)), self._end)

    def add(self, first: int, samples: FloatArray) -> None:
        """Remember `samples`, which begin at sample `first`; what is missing before is silence. Older ones are ignored."""
        size = len(self._data)
        if self._first is None:
            self._first = self._end = first
        if first < self._end:
            return
        end = first + len(samples)
        silent = np.arange(max(self._end, end - size), first)
        self._data[silent % size] = 0.0
        kept = samples[-size:]
        self._data[np.arange(end - len(kept), end) % size] = kept
        self._end = end

    def part(self, wanted: Span) -> FloatArray:
        """The part of `wanted` that is remembered, a copy; :attr:`span` says which that is."""
        known = self.span
        first, end = max(wanted.first, known.first), min(wanted.end, known.end)
        return self._data[np.arange(first, max(first, end)) % len(self._data)]

    def forget(self) -> None:
        """Remember nothing."""
        self._data[:] = 0.0
        self._first, self._end = None, 0


class SincgramModel:
    """Levels of the learnt filters and of mel bands, voice, gaps and the newest sound.

    Parameters
    ----------
    bank
        The learnt filters.
    grid
        Where their frames lie.

    Attributes
    ----------
    sinc
        Level of every filter in dB re full scale, columns by rank (sorted by centre), one bin a column of the grid; NaN where
        there is none. ``10 log10`` of the energies that the bundle's ``bands.onnx`` gives.
    mel
        The same of :attr:`bands` mel bands.
    voice
        Probability that the detector heard a voice at the middle of a column.
    position
        Sample up to which something was heard.
    gaps
        Spans that were never captured.
    played
        Spans during which a microphone may have heard what this view played.
    missed_samples, missed_frames
        Sound and frames that were dropped on the way to this view because it took its time.
    """

    def __init__(self, bank: FilterBank, grid: FrameGrid) -> None:
        self.bank = bank
        self.grid = grid
        self.rate = bank.sample_rate
        window = round(_MEL_WINDOW_SECONDS * self.rate / 2) * 2
        self.bands = MelSpectrogram(bank.bands, self.rate, window)
        self.sound = SoundMemory(REMEMBERED_SECONDS * self.rate)
        self.restart()

    def restart(self) -> None:
        """Forget everything: another stream begins at sample 0."""
        columns = LONGEST_SECONDS * self.rate // self.grid.hop
        self.sinc = BinnedRing(columns, self.bank.bands, "max")
        self.mel = BinnedRing(columns, self.bank.bands, "max")
        self.voice = BinnedRing(columns, 1, "max")
        self.position = 0
        self.gaps: deque[Span] = deque()
        self.played: deque[Span] = deque()
        self.missed_samples = self.missed_frames = 0
        self.sound.forget()
        self._next_window: int | None = None
        self._heard_until: int | None = None
        self._stretch = 0  # first sample since the last hole
        self._origin: int | None = None  # a sample at which a frame begins, once that is known
        self._tail: FloatArray = np.empty(0, np.float32)  # what mel windows still need, up to `_heard_until`
        self._echo_until = 0

    def still(self) -> SincgramModel:
        """A copy that stands still."""
        other = copy.copy(self)
        for name in ("sinc", "mel", "voice", "sound", "gaps", "played"):
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other

    def level(self, picture: Literal["sinc", "mel"], column: int, band: int) -> float:
        """Level of a band in a column, dB; ``nan`` where there is none, or none any more."""
        return float(self._cell(self.sinc if picture == "sinc" else self.mel, column, band))

    def voiced(self, column: int) -> bool:
        """Whether a voice was heard in a column."""
        return self._cell(self.voice, column, 0) >= VOICED

    @staticmethod
    def _cell(ring: BinnedRing, column: int, band: int) -> float:
        row = column - ring.end + ring.bins
        return float(ring.view()[row, band]) if 0 <= row < ring.bins else math.nan

    @property
    def missed_seconds(self) -> float:
        """Length of the holes that are there because this view took its time; nothing else has any of them."""
        return max(self.missed_samples, self.missed_frames * self.grid.hop) / self.rate

    # The engine's messages ------------------------------------------------------------------------------------------------

    def consume(self, outputs: Iterable[Output]) -> None:
        """Follow messages in the order in which they were emitted, after the sound that they tell of."""
        for message in outputs:
            if isinstance(message, WindowScores):
                self._consume_windows(message)
            elif isinstance(message, VoiceActivity):
                self._consume_voice(message)

    def _consume_windows(self, windows: WindowScores) -> None:
        count, bands = windows.band_energies.shape
        if not count or bands != self.bank.bands:
            return
        hop = self.grid.hop
        first = windows.first_window + self.grid.newest_frame(windows.window)
        if self._next_window is not None:
            behind_gaps = (gap.end for gap in self.gaps if gap.end <= windows.first_window)
            self.missed_frames += (windows.first_window - max(self._next_window, *behind_gaps, 0)) // hop
        self._next_window = windows.first_window + count * hop
        self.sinc.add(self.grid.column(first) + np.arange(count), decibels(windows.band_energies[:, self.bank.order]))
        self.position = max(self.position, windows.span.end)
        if self._heard_until is not None and windows.first_window >= self._stretch:
            self._origin = first
            self._draw_mel()

    def _consume_voice(self, voice: VoiceActivity) -> None:
        hop, middle = self.grid.hop, self.grid.phase + self.grid.hop // 2
        columns = np.arange(-(-(voice.span.first - middle) // hop), -(-(voice.span.end - middle) // hop))
        chunks = (columns * hop + middle - voice.span.first) // voice.chunk
        self.voice.add(columns, voice.probabilities[chunks][:, np.newaxis])

    # The sound ------------------------------------------------------------------------------------------------------------

    def hear(self, blocks: Iterable[Block], *, echo: bool = False) -> None:
        """Follow the sound.

        Parameters
        ----------
        echo
            Whether it may hold what this view plays: that is not remembered, or it would be played again.
        """
        for block in blocks:
            span = block.span
            if self._heard_until is None:
                self._stretch = span.first
                self._origin = 0 if span.first == 0 else None
            elif span.first != self._heard_until:
                self._cross(block, self._heard_until)
            self._heard_until = span.end
            self.position = max(self.position, span.end)
            if echo:
                self._echo_until = span.end + round(_ECHO_SECONDS * self.rate)
            if span.first < self._echo_until:
                joined = self.played and self.played[-1].end == span.first
                self.played.append(Span(self.played.pop().first if joined else span.first, span.end))
            else:
                self.sound.add(span.first, block.samples)
            self._tail = np.concatenate((self._tail, block.samples))
            self._draw_mel()
        oldest = self.position - LONGEST_SECONDS * self.rate
        for spans in (self.gaps, self.played):
            while spans and spans[0].end <= oldest:
                spans.popleft()

    def _cross(self, block: Block, heard_until: int) -> None:
        """Samples are missing before `block`: in the capture, where the engine begins its grid anew, or in this view alone."""
        hole = Span(min(heard_until, block.span.first), block.span.first)
        self._tail = np.empty(0, np.float32)
        self._stretch = block.span.first
        if block.gap_before:
            self.gaps.append(hole)
            self._origin = block.span.first
        else:
            self.missed_samples += len(hole)

    def _draw_mel(self) -> None:
        """Work off the mel windows that are complete: each has the middle of a band frame."""
        assert self._heard_until is not None  # there is sound
        if self._origin is None:
            self._tail = self._tail[-self.rate :]  # a window's scores, which tell where frames begin, come sooner
            return
        hop, size = self.grid.hop, self.bands.window
        tail_first = self._heard_until - len(self._tail)
        offset = self._origin + self.grid.mel_window(size)
        first = offset + -(-(tail_first - offset) // hop) * hop
        while (count := min((self._heard_until - first - size) // hop + 1, _FRAMES_AT_ONCE)) > 0:
            begin = first - tail_first
            frames = sliding_window_view(self._tail[begin : begin + size + (count - 1) * hop], size)[::hop]
            column = self.grid.column(first - self.grid.mel_window(size))
            self.mel.add(column + np.arange(count), self.bands.levels(frames))
            first += count * hop
        self._tail = self._tail[max(first - tail_first, 0) :]
