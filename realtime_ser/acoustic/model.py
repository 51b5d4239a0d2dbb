"""The acoustic networks and their constants: immutable, shared by any number of streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.execution import Execution, Form, choose_networks
from realtime_ser.acoustic.networks import AcousticNetworks
from realtime_ser.acoustic.normalisation import RunningBandMean
from realtime_ser.bundle.loader import Bundle
from realtime_ser.types import FloatArray

__all__ = ["AcousticModel", "KnownVoice"]


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """What a speaker's profile changes (:mod:`realtime_ser.profiles`).

    Attributes
    ----------
    level
        Mean log energy of the speaker's neutral voice over all bands.
    shape
        Its log energies relative to that, float64, shape ``(bands,)``; takes the place of the bundle's prior.
    frames
        How many frames both count for.
    offset
        Subtracted from the logits of every window, float32, shape ``(classes,)``.
    """

    level: float
    shape: NDArray[np.float64]
    frames: float
    offset: FloatArray


@dataclass(frozen=True, slots=True)
class AcousticModel:
    """Three stateless graphs, and the constants of the running band mean between the first and the second.

    Attributes
    ----------
    window, hop
        In samples.
    band_receptive
        Samples that a band frame looks at.
    bands_per_window, frames_per_window
        Band frames and trunk frames of one window.
    trunk_receptive
        Band frames that a trunk frame looks at.
    prior_shape
        Float64, shape ``(bands,)``.
    prior_frames, memory_frames
        See docs/architecture.md, "Running band mean".
    temperature
        Divides the logits of single windows.
    form
        Where the graphs run and with which weights.
    voice
        The speaker's, where it is known beforehand.
    """

    window: int
    hop: int
    bands: int
    classes: int
    feature: int
    band_receptive: int
    bands_per_window: int
    frames_per_window: int
    trunk_receptive: int
    prior_shape: NDArray[np.float64]
    prior_frames: float
    memory_frames: float
    temperature: float
    form: Form
    _networks: AcousticNetworks
    voice: KnownVoice | None = None

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, execution: Execution | None = None, tell: Callable[[str], None] | None = None
    ) -> AcousticModel:
        """Load the graphs and check that they have the geometry that the manifest declares.

        Parameters
        ----------
        execution
            Where they shall run and with which weights; ``None``: as the environment says, else on the processor in float32.
        tell
            As for :func:`~realtime_ser.acoustic.execution.choose_networks`.

        Raises
        ------
        BundleError
            A graph cannot be loaded or does not fit.
        """
        manifest = bundle.manifest
        facts = manifest.acoustic
        networks, form = choose_networks(bundle, execution, tell=tell)
        prior = np.asarray(facts.normalisation.prior_shape, dtype=np.float64)
        prior.flags.writeable = False
        return cls(
            window=manifest.window,
            hop=manifest.hop,
            bands=facts.bands,
            classes=len(manifest.classes),
            feature=facts.feature,
            band_receptive=manifest.band_receptive,
            bands_per_window=manifest.bands_per_window,
            frames_per_window=manifest.frames_per_window,
            trunk_receptive=facts.trunk_receptive_frames,
            prior_shape=prior,
            prior_frames=facts.normalisation.prior_frames,
            memory_frames=facts.normalisation.memory_frames,
            temperature=manifest.calibration.window,
            form=form,
            _networks=networks,
        )

    def for_voice(self, voice: KnownVoice | None) -> AcousticModel:
        """The same networks for a speaker whose voice is known, or for anybody."""
        return replace(self, voice=voice)

    def running_mean(self) -> RunningBandMean:
        """A fresh running band mean."""
        voice = self.voice
        if voice is None:
            return RunningBandMean(self.prior_shape, self.prior_frames, self.memory_frames)
        return RunningBandMean(voice.shape, voice.frames, self.memory_frames, voice.level)

    def band_energies(self, samples: FloatArray) -> FloatArray:
        """Log energies of the sinc filters, eq. (2), per hop.

        Parameters
        ----------
        samples
            float32, shape ``(band_receptive + hop * (frames - 1),)``.

        Returns
        -------
        ndarray
            float32, natural logarithm of the mean square, shape ``(frames, bands)``.
        """
        return self._networks.band_energies(samples)

    def frames(self, normalised: FloatArray) -> FloatArray:
        """Trunk frames of normalised band energies: ``(frames, bands)`` → ``(frames - trunk_receptive + 1, width)``."""
        return self._networks.frames(normalised)

    def windows(self, frames: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Feature ``(windows, feature)`` and logits ``(windows, classes)`` of windows.

        `frames` has the shape ``(windows, frames_per_window, width)``.
        """
        features, logits = self._networks.windows(frames)
        return features, logits if self.voice is None else logits - self.voice.offset

    def window_scores(self, logits: FloatArray) -> FloatArray:
        """Softmax of window logits at the bundle's window temperature, rows summing to 1."""
        scaled = logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=-1, keepdims=True)
        exponentials = np.exp(scaled)
        scores: FloatArray = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
        return scores
