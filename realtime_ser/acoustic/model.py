"""The acoustic networks and their constants: immutable, shared by any number of streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_ser.bundle.inference import Session, create_session
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
    _bands: Session
    _trunk: Session
    _head: Session

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> AcousticModel:
        """Load the graphs and check that they have the geometry that the manifest declares.

        Raises
        ------
        BundleError
            A graph cannot be loaded or does not fit.
        """
        manifest = bundle.manifest
        facts = manifest.acoustic
        classes = len(manifest.classes)
        bands = create_session(bundle.content("bands.onnx"))
        trunk = create_session(bundle.content("trunk.onnx"))
        head = create_session(bundle.content("head.onnx"))
        bands.require({"samples": (1, None)}, {"log_energies": (None, facts.bands)})
        trunk.require({"bands": (None, facts.bands)}, {"frames": (None, facts.frame_width)})
        head.require(
            {"frames": (None, manifest.frames_per_window, facts.frame_width)},
            {"feature": (None, facts.feature), "logits": (None, classes)},
        )
        prior = np.asarray(facts.normalisation.prior_shape, dtype=np.float64)
        prior.flags.writeable = False
        return cls(
            window=manifest.window,
            hop=manifest.hop,
            bands=facts.bands,
            classes=classes,
            feature=facts.feature,
            band_receptive=manifest.band_receptive,
            bands_per_window=manifest.bands_per_window,
            frames_per_window=manifest.frames_per_window,
            trunk_receptive=facts.trunk_receptive_frames,
            prior_shape=prior,
            prior_frames=facts.normalisation.prior_frames,
            memory_frames=facts.normalisation.memory_frames,
            temperature=manifest.calibration.window,
            _bands=bands,
            _trunk=trunk,
            _head=head,
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
        (energies,) = self._bands.run({"samples": samples[np.newaxis, :]}, ["log_energies"])
        return energies

    def frames(self, normalised: FloatArray) -> FloatArray:
        """Trunk frames of normalised band energies: ``(frames, bands)`` → ``(frames - trunk_receptive + 1, width)``."""
        (frames,) = self._trunk.run({"bands": normalised}, ["frames"])
        return frames

    def windows(self, frames: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Feature ``(windows, feature)`` and logits ``(windows, classes)`` of windows.

        `frames` has the shape ``(windows, frames_per_window, width)``.
        """
        feature, logits = self._head.run({"frames": frames}, ["feature", "logits"])
        return feature, logits

    def window_scores(self, logits: FloatArray) -> FloatArray:
        """Softmax of window logits at the bundle's window temperature, rows summing to 1."""
        scaled = logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=-1, keepdims=True)
        exponentials = np.exp(scaled)
        scores: FloatArray = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
        return scores
