"""The encoder on a stream: a hop costs a hop, not a window.

State is four tails (samples in :class:`BandStream`; voice flags, band energies and trunk frames in :class:`AcousticStream`) and
the running band mean; the graphs themselves are stateless. Window ``k`` starts at ``origin + k * hop``. The result does not
depend on how the samples were cut, and equals the evaluation of each window by itself (:func:`evaluate_window`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import FloatArray, VoiceActivity, WindowScores, frozen

__all__ = ["AcousticStream", "BandStream", "Bands", "band_offsets", "evaluate_window"]

# Longer inputs are worked off in pieces of this many hops, so that memory stays flat; smaller ones read the weights more often.
_HOPS_AT_ONCE = 300


class Bands(Protocol):
    """What turns a stream of samples into the log energies of the learnt filters."""

    def restart(self) -> None:
        """Begin anew after a gap."""
        ...

    def push(self, samples: FloatArray) -> Iterable[FloatArray]:
        """Take the next samples; returns the frames that they complete, shape ``(frames, bands)`` each, in order."""
        ...


class BandStream:
    """The samples whose frames are not complete. It belongs to one thread."""

    def __init__(self, model: AcousticModel) -> None:
        self._model = model
        # The frames of a window may need a few samples less than the window has; waiting for all of them keeps to the rule that
        # a window lies wholly in the signal.
        self._needed = model.window - (model.bands_per_window - 1) * model.hop
        self._samples: FloatArray = np.empty(0, np.float32)

    def restart(self) -> None:
        """As :meth:`Bands.restart`."""
        self._samples = np.empty(0, np.float32)

    def push(self, samples: FloatArray) -> Iterator[FloatArray]:
        """As :meth:`Bands.push`; a frame is worked out when it is asked for."""
        hop, receptive = self._model.hop, self._model.band_receptive
        self._samples = np.concatenate((self._samples, samples)) if len(self._samples) else samples
        while (count := min((len(self._samples) - self._needed) // hop + 1, _HOPS_AT_ONCE)) > 0:
            used = self._samples[: receptive + (count - 1) * hop]
            self._samples = self._samples[count * hop :]
            yield self._model.band_energies(used)


class AcousticStream:
    """Streaming state of the acoustic branch. It belongs to one thread.

    Parameters
    ----------
    model
        The networks.
    voice_threshold
        Voice probability from which a detector chunk counts as speech.
    bands
        What works out the band energies, if not this thread.
    """

    def __init__(self, model: AcousticModel, voice_threshold: float = 0.5, *, bands: Bands | None = None) -> None:
        self._model = model
        self._filters: Bands = BandStream(model) if bands is None else bands
        self._threshold = voice_threshold
        self._in_window = np.arange(model.frames_per_window)
        self._mean = model.running_mean()
        self.restart(0)

    @property
    def hop(self) -> int:
        """Samples between window starts."""
        return self._model.hop

    def reset(self) -> None:
        """Forget everything, the speaker's running mean included, and start at sample 0."""
        self._mean.reset()
        self.restart(0)

    def restart(self, origin: int) -> None:
        """Begin anew at the sample `origin` after a gap; what is known of the level and the channel stays."""
        self._origin = origin
        self._filters.restart()
        self._until = origin
        self._next_frame = 0  # number of the next band frame
        self._voiced: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._first_chunk = 0  # number of the first kept voice flag
        self._chunk = 0
        self._bands: FloatArray = np.empty((0, self._model.bands), np.float32)
        self._raw_bands: FloatArray = np.empty((0, self._model.bands), np.float32)
        self._frames: FloatArray | None = None
        self._next_window = 0

    def push(self, samples: FloatArray, activity: VoiceActivity | None, captured_at: float | None = None) -> list[WindowScores]:
        """Take the next samples and return the windows that they complete.

        Parameters
        ----------
        samples
            Consecutive with what came before, float32, shape ``(n,)``.
        activity
            The voice probabilities of the detector chunks that became complete with these samples, aligned to the origin;
            ``None`` if none did.
        captured_at
            When the last sample was recorded (``time.perf_counter()``, s).

        Returns
        -------
        list of WindowScores
            In order; several when the input is long, none when it completes no window.
        """
        if activity is not None:
            self._hear(activity)
        self._until += len(samples)
        results: list[WindowScores] = []
        for raw in self._filters.push(samples):
            scores = self._advance(raw, captured_at)
            if len(scores.scores):
                results.append(scores)
        return results

    def _hear(self, activity: VoiceActivity) -> None:
        expected = self._origin + (self._first_chunk + len(self._voiced)) * activity.chunk
        if activity.span.first != expected:
            raise ValueError(f"voice activity must continue at sample {expected}, got {activity.span.first}")
        self._chunk = activity.chunk
        self._voiced = np.concatenate((self._voiced, activity.probabilities >= self._threshold))

    def _flags(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Voice flags of detector chunks by number; chunks before the first are not voice."""
        if not len(self._voiced):
            return np.zeros(len(positions), np.bool_)
        kept = positions - self._first_chunk
        if kept.max(initial=-1) >= len(self._voiced):
            raise ValueError("the voice activity must reach as far as the samples; it was not handed over completely")
        return np.where(positions >= 0, self._voiced[np.maximum(kept, 0)], False)

    def _advance(self, raw: FloatArray, captured_at: float | None) -> WindowScores:
        model, count = self._model, len(raw)
        # A frame is voiced when the last detector chunk complete at its end is.
        numbers = self._next_frame + np.arange(count)
        ends = numbers * model.hop + model.band_receptive
        voiced = self._flags(ends // self._chunk - 1) if self._chunk else np.zeros(count, np.bool_)
        self._next_frame += count

        self._bands = np.concatenate((self._bands, self._mean.apply(raw, voiced)))
        self._raw_bands = np.concatenate((self._raw_bands, raw))
        new_frames = len(self._bands) - model.trunk_receptive + 1
        if new_frames > 0:
            frames = model.frames(self._bands)
            self._bands = self._bands[new_frames:]
            self._frames = frames if self._frames is None else np.concatenate((self._frames, frames))
        return self._score_windows(captured_at)

    def _score_windows(self, captured_at: float | None) -> WindowScores:
        model = self._model
        kept = self._frames
        count = 0 if kept is None else max(len(kept) - model.frames_per_window + 1, 0)
        first = self._origin + self._next_window * model.hop
        if kept is None or not count:
            none = np.empty((0, 0), np.float32)
            return WindowScores(first, model.hop, model.window, none, none, none, np.empty(0, np.bool_), none)
        order = np.arange(count)
        features, logits = model.windows(kept[order[:, np.newaxis] + self._in_window])
        self._frames = kept[count:]

        numbers = self._next_window + order
        centres = numbers * model.hop + model.window // 2
        voiced = self._flags(centres // self._chunk) if self._chunk else np.zeros(count, np.bool_)
        # The newest band frame belongs to the newest window; older ones that completed no window (at the start) are skipped.
        bands = self._raw_bands[len(self._raw_bands) - count :]
        self._raw_bands = self._raw_bands[:0]
        self._next_window += count
        self._forget_old_flags()
        if captured_at is not None:
            # The newest sample is up to a hop behind the end of the last window that it completed.
            captured_at -= (self._until - (first + (count - 1) * model.hop + model.window)) / ENGINE_RATE
        return WindowScores(
            first_window=first,
            hop=model.hop,
            window=model.window,
            scores=frozen(model.window_scores(logits)),
            logits=frozen(logits),
            features=frozen(features),
            voiced=voiced,
            band_energies=frozen(bands),
            captured_at=captured_at,
        )

    def _forget_old_flags(self) -> None:
        oldest_needed = (self._next_window * self._model.hop) // self._chunk - 1 if self._chunk else 0
        spare = oldest_needed - self._first_chunk
        if spare > 64:
            self._voiced = self._voiced[spare:]
            self._first_chunk += spare


def evaluate_window(model: AcousticModel, samples: FloatArray, offsets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One window by itself: the reference that the stream must reproduce.

    Parameters
    ----------
    samples
        The window, float32, shape ``(window,)``.
    offsets
        What the running band mean subtracts from each of the window's band frames, shape ``(bands_per_window, bands)``; see
        :func:`band_offsets`.

    Returns
    -------
    feature, scores
        Shapes ``(feature,)`` and ``(classes,)``.
    """
    used = model.band_receptive + (model.bands_per_window - 1) * model.hop
    normalised = model.band_energies(samples[:used]) - offsets
    feature, logits = model.windows(model.frames(normalised)[np.newaxis])
    return feature[0], model.window_scores(logits)[0]


def band_offsets(
    model: AcousticModel, samples: FloatArray, activity: VoiceActivity, voice_threshold: float = 0.5
) -> FloatArray:
    """What the running band mean subtracts from every band frame of a whole signal.

    Parameters
    ----------
    samples
        The signal from its first sample on, shape ``(n,)``.
    activity
        Its voice probabilities, all complete chunks.

    Returns
    -------
    ndarray
        float32, shape ``(frames, bands)``.
    """
    count = (len(samples) - model.band_receptive) // model.hop + 1
    raw = model.band_energies(samples[: model.band_receptive + (count - 1) * model.hop])
    chunks = (np.arange(count) * model.hop + model.band_receptive) // activity.chunk - 1
    heard = activity.probabilities >= voice_threshold
    voiced = np.where(chunks >= 0, heard[np.clip(chunks, 0, len(heard) - 1)], False)
    mean = model.running_mean()
    return raw - mean.apply(raw, voiced)
