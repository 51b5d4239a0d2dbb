"""Causal amplitude and channel normalisation: what a live program can know in place of an utterance's peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import FloatArray

__all__ = ["RunningBandMean"]

_MANY = 16
"""Frames from which on working out all of them at once is quicker than one by one; and frames that must have been counted for
that, lest next to nothing remains of the mean before.
"""


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
        for index in range(len(exact)):
            if voiced[index]:
                self._level_count = min(self._level_count + 1.0, self._memory)
                self._level += (float(levels[index]) - self._level) / self._level_count
            if self._level_count:
                level_at[index] = self._level
        many = len(exact) >= _MANY and min(self._shape_count, self._memory) >= _MANY
        shape_at = self._shapes_at_once(shapes, voiced) if many else self._shapes_one_by_one(shapes, voiced)
        result: FloatArray = (exact - level_at[:, np.newaxis] - shape_at).astype(np.float32)
        return result

    def _shapes_one_by_one(self, shapes: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
        shape_at = np.empty_like(shapes)
        for index in range(len(shapes)):
            if voiced[index]:
                self._shape_count = min(self._shape_count + 1.0, self._memory)
                self._shape += (shapes[index] - self._shape) / self._shape_count
            shape_at[index] = self._shape
        return shape_at

    def _shapes_at_once(self, shapes: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The same: with r[n] the product of 1 − 1 / count up to n, m[n] = r[n] (m before + Σ shape[k] / (count[k] r[k]))."""
        counts = np.minimum(self._shape_count + np.cumsum(voiced), self._memory)
        shares = np.where(voiced, 1.0 / counts, 0.0)
        remains = np.cumprod(1.0 - shares)
        shape_at: NDArray[np.float64] = np.cumsum(shapes * (shares / remains)[:, np.newaxis], axis=0)
        shape_at += self._shape
        shape_at *= remains[:, np.newaxis]
        self._shape, self._shape_count = shape_at[-1].copy(), float(counts[-1])
        return shape_at
