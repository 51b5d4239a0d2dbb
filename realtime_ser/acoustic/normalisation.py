"""Causal amplitude and channel normalisation: what a live program can know in place of an utterance's peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import FloatArray

__all__ = ["RunningBandMean"]


class RunningBandMean:
    """Subtracts the running mean level and spectral shape of the voiced frames so far.

    A deterministic function of the frames in order, whatever batches they come in. Defined in docs/architecture.md.

    Parameters
    ----------
    prior_shape
        Log energies relative to their mean over bands, as speech has them on average; shape ``(bands,)``.
    prior_frames
        How many imaginary frames the prior counts for.
    memory_frames
        Once this many frames have been counted, older ones are forgotten exponentially.
    known_level
        Level of the speaker as it was heard before, natural logarithm, in place of none; it counts for `prior_frames`, too.
    """

    def __init__(
        self,
        prior_shape: NDArray[np.float64],
        prior_frames: float,
        memory_frames: float,
        known_level: float | None = None,
    ) -> None:
        self._prior_shape = prior_shape
        self._prior_frames = prior_frames
        self._memory = memory_frames
        self._known_level = known_level
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self._shape = self._prior_shape.copy()
        self._shape_count = float(self._prior_frames)
        known = self._known_level is not None
        self._level = 0.0 if self._known_level is None else self._known_level
        self._level_count = float(self._prior_frames) if known else 0.0

    def apply(self, energies: FloatArray, voiced: NDArray[np.bool_]) -> FloatArray:
        """Normalise consecutive frames and learn from the voiced ones.

        Parameters
        ----------
        energies
            Log energies, shape ``(frames, bands)``.
        voiced
            Whether the frame is speech, shape ``(frames,)``.

        Returns
        -------
        ndarray
            float32, shape ``(frames, bands)``.
        """
        exact = energies.astype(np.float64)
        levels = exact.mean(axis=1)
        shapes = exact - levels[:, np.newaxis]
        # Only what one frame leaves to the next is worked out frame by frame.
        level_at = levels.copy()
        shape_at = np.empty_like(exact)
        for index in range(len(exact)):
            if voiced[index]:
                self._level_count = min(self._level_count + 1.0, self._memory)
                self._level += (float(levels[index]) - self._level) / self._level_count
                self._shape_count = min(self._shape_count + 1.0, self._memory)
                self._shape += (shapes[index] - self._shape) / self._shape_count
            if self._level_count:
                level_at[index] = self._level
            shape_at[index] = self._shape
        result: FloatArray = (exact - level_at[:, np.newaxis] - shape_at).astype(np.float32)
        return result
