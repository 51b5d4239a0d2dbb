"""The acoustic networks and their constants: immutable, shared by any number of streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.execution import Execution, Form, choose_networks
from realtime_ser.acoustic.networks import AcousticNetworks
from realtime_ser.bundle.loader import Bundle
from realtime_ser.types import FloatArray

__all__ = ["AcousticModel"]


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

    @classmethod
    def from_bundle(cls, bundle: Bundle, execution: Execution | None = None) -> AcousticModel:
        """Load the graphs and check that they have the geometry that the manifest declares.

        Parameters
        ----------
        execution
            Where they shall run and with which weights; ``None``: as the environment says, else on the processor in float32.

        Raises
        ------
        BundleError
            A graph cannot be loaded or does not fit.
        """
        manifest = bundle.manifest
        facts = manifest.acoustic
        networks, form = choose_networks(bundle, execution)
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
        return self._networks.windows(frames)

    def window_scores(self, logits: FloatArray) -> FloatArray:
        """Softmax of window logits at the bundle's window temperature, rows summing to 1."""
        scaled = logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=-1, keepdims=True)
        exponentials = np.exp(scaled)
        scores: FloatArray = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
        return scores
