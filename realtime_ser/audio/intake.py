"""The one way from a device's frames to blocks: invalid values, channels, rate, gaps and time stamps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from realtime_ser.audio.resample import StreamResampler, to_mono
from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import Block, Event, FloatArray, Severity, Span, frozen

__all__ = ["Intake"]

_LARGEST = np.float32(2.0**32)
"""No sample format holds more; a larger value is noise from a damaged file, and could overflow later."""


class Intake:
    """Turn frames as they are captured or read into :class:`~realtime_ser.types.Block` values on the stream's clock.

    The clock counts in the source's own frames, lost ones included; sample k of the output stands at frame
    ``k * rate / 16000``. After a gap the resampler starts anew and the first sample is placed at the nearest index, at most
    half a sample (31 microseconds) off; such offsets do not add up. A device that comes back, or another one in its place, goes
    on behind a gap (:meth:`switch`). Belongs to the reader's thread.

    Parameters
    ----------
    rate, channels
        Of the frames to come.
    channel
        The channel to take, or ``None`` for the mean of all.
    time_of
        From seconds on the source's clock to ``perf_counter()`` seconds; ``None`` where there was no capture (files).
    others
        Further channels, handed out beside the first one as :attr:`~realtime_ser.types.Block.others`. Each has a resampler of
        its own, so a channel's samples do not depend on which others are taken.
    """

    def __init__(
        self,
        rate: int,
        channels: int,
        channel: int | None = None,
        time_of: Callable[[float], float] | None = None,
        others: Sequence[int] = (),
    ) -> None:
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        for one in (channel, *others):
            if one is not None and not 0 <= one < channels:
                raise ValueError(f"channel must be from 0 to {channels - 1}, got {one}")
        self._resampler = StreamResampler(rate)
        self._beside = [(other, StreamResampler(rate)) for other in others]
        self._channels = channels
        self._channel = channel
        self._time_of = time_of
        self._base = 0
        self._frames = 0
        self._segment_frame = 0
        self._next = 0
        self._segment_first = 0
        self._gap_pending = False
        self._events: list[Event] = []
        self.lost_samples = 0
        """Samples missing in gaps so far, at the engine's rate."""
        self.invalid_samples = 0
        """Values replaced by 0 so far, counted in the source's frames and channels."""
        self.longest_wait = 0.0
        """Longest time in seconds that a sample has waited in the resampler so far."""

    @property
    def frames(self) -> int:
        """Where the source's own clock stands: frames taken and frames lost, since it was opened."""
        return self._frames

    @property
    def next_sample(self) -> int:
        """Absolute index at the engine's rate of the sample that comes out next, gaps aside."""
        return self._next

    def sample_at(self, frame: float) -> int:
        """Absolute index at the engine's rate of the source's frame `frame`, rounded to the nearest."""
        return self._base + round(frame * ENGINE_RATE / self._resampler.from_rate)

    def switch(
        self, rate: int, channels: int, channel: int | None, first_sample: int, time_of: Callable[[float], float] | None = None
    ) -> None:
        """Go on with another source, or the same one opened again, behind a gap; :meth:`finish` the one before first.

        Parameters
        ----------
        rate, channels, channel, time_of
            As for the constructor; the source's own clock starts at 0.
        first_sample
            Absolute index at the engine's rate at which its first frame stands; not before what came out already.
        """
        fresh = Intake(rate, channels, channel, time_of, [other for other, _ in self._beside])
        self._resampler, self._channels, self._channel, self._time_of = fresh._resampler, channels, channel, time_of
        self._beside = fresh._beside
        first_sample = max(first_sample, self._next)
        self.lost_samples += first_sample - self._next
        self._base = self._segment_first = self._next = first_sample
        self._frames = self._segment_frame = 0
        self._gap_pending = True

    def push(self, frames: FloatArray, lost_before: int | None = None) -> list[Block]:
        """Take the next frames.

        Parameters
        ----------
        frames
            float32, shape ``(n, channels)``, any values; not kept and not written to.
        lost_before
            ``None`` where they follow on the ones before; otherwise there is a gap of that many frames before them. A gap
            before the very first frame is none: the stream starts with the first frame.

        Returns
        -------
        list[Block]
            What came out: nothing while the resampler fills up; two blocks at a gap, on either side of it.
        """
        if frames.ndim != 2 or frames.shape[1] != self._channels or frames.dtype != np.float32:
            raise ValueError(
                f"frames must be float32 of shape (n, {self._channels}), got {frames.dtype} of shape {frames.shape}"
            )
        blocks: list[Block] = []
        if lost_before is not None and self._frames:
            if lost_before < 0:
                raise ValueError(f"lost_before must not be negative, got {lost_before}")
            blocks += self.finish()
            self._frames += lost_before
            self._segment_frame = self._frames
            # Rounded to the nearest index from the whole count, in integers, so that nothing adds up over many gaps.
            nearest = (2 * self._frames * ENGINE_RATE + self._resampler.from_rate) // (2 * self._resampler.from_rate)
            self._segment_first = max(self._base + nearest, self._next)
            self.lost_samples += self._segment_first - self._next
            self._next = self._segment_first
            self._gap_pending = True
        frames = self._sanitised(frames)
        self._frames += len(frames)
        beside = [resampler.process(to_mono(frames, other)) for other, resampler in self._beside]
        blocks += self._emit(self._resampler.process(to_mono(frames, self._channel)), beside)
        self.longest_wait = max(self.longest_wait, self._resampler.behind)
        return blocks

    def finish(self, lost_after: int = 0) -> list[Block]:
        """What the resampler still holds, at the end of the stream; `lost_after` frames were lost behind it."""
        self.lost_samples += lost_after * ENGINE_RATE // self._resampler.from_rate
        return self._emit(self._resampler.flush(), [resampler.flush() for _, resampler in self._beside])

    def drain_events(self) -> list[Event]:
        """Events since the last call: ``"invalid-samples"``, once per stream, at the first invalid value."""
        events, self._events = self._events, []
        return events

    def _emit(self, samples: FloatArray, beside: list[FloatArray]) -> list[Block]:
        if not len(samples):
            return []
        span = Span(self._next, self._next + len(samples))
        self._next = span.end
        captured_at = None
        if self._time_of is not None:
            since_gap = (span.end - self._segment_first) / ENGINE_RATE
            captured_at = self._time_of(self._segment_frame / self._resampler.from_rate + since_gap)
        block = Block(span, frozen(samples), self._gap_pending, captured_at, tuple(map(frozen, beside)))
        self._gap_pending = False
        return [block]

    def _sanitised(self, frames: FloatArray) -> FloatArray:
        # One comparison in the usual case; NaN fails it as well.
        if not frames.size or np.abs(frames).max() <= _LARGEST:
            return frames
        valid = np.abs(frames) <= _LARGEST
        if not self.invalid_samples:
            frame = self._frames + int(np.argmin(valid.all(axis=1)))
            self._events.append(
                Event(
                    self.sample_at(frame),
                    "invalid-samples",
                    Severity.WARNING,
                    "The signal holds values that are not numbers or are absurdly large; they are replaced by silence. "
                    "If this goes on, the file is damaged or the device's driver is at fault.",
                )
            )
        self.invalid_samples += int(valid.size - np.count_nonzero(valid))
        return np.where(valid, frames, np.float32(0))
