"""The three graphs of the acoustic branch in the form in which they run: where, and with which weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime_ser.acoustic.bands import FoldedBands
from realtime_ser.bundle.inference import Session, create_session
from realtime_ser.bundle.loader import Bundle
from realtime_ser.bundle.providers import Provider
from realtime_ser.bundle.quantise import quantise
from realtime_ser.errors import BundleError
from realtime_ser.types import FloatArray

__all__ = ["AcousticNetworks"]


@dataclass(frozen=True, slots=True)
class AcousticNetworks:
    """Loaded graphs. They keep no state between calls; several threads may use them at once."""

    bands: Session
    trunk: Session
    head: Session
    folded: FoldedBands | None = None

    @classmethod
    def load(
        cls, bundle: Bundle, provider: Provider = Provider.CPU, *, fold: bool = True, integer_weights: bool = False
    ) -> AcousticNetworks:
        """Load a bundle's graphs and check that they have the geometry that the manifest declares.

        Parameters
        ----------
        fold
            Whether the filters may be folded on the processor (:class:`~realtime_ser.acoustic.bands.FoldedBands`); without, the
            bundle's own graph runs.
        integer_weights
            Whether the head's large products are done in integers (:func:`~realtime_ser.bundle.quantise.quantise`), and, where
            the filters are folded, those that can be are thinned.

        Raises
        ------
        BundleError
            A graph cannot be loaded, does not fit, or has nothing to do in integers.
        """
        manifest = bundle.manifest
        facts = manifest.acoustic
        content = bundle.content("head.onnx")
        bands = create_session(bundle.content("bands.onnx"), provider)
        trunk = create_session(bundle.content("trunk.onnx"), provider)
        head = create_session(_in_integers(content) if integer_weights else content, provider)
        bands.require({"samples": (1, None)}, {"log_energies": (None, facts.bands)})
        trunk.require({"bands": (None, facts.bands)}, {"frames": (None, facts.frame_width)})
        head.require(
            {"frames": (None, manifest.frames_per_window, facts.frame_width)},
            {"feature": (None, facts.feature), "logits": (None, len(manifest.classes))},
        )
        folded = None
        if fold and provider is Provider.CPU:
            folded = FoldedBands.of_graph(
                bundle.content("bands.onnx"),
                bands=facts.bands,
                taps=facts.kernel,
                stride=facts.stride,
                hop=manifest.hop,
                thin=integer_weights,
            )
        return cls(bands, trunk, head, folded)

    def band_energies(self, samples: FloatArray) -> FloatArray:
        """As :meth:`AcousticModel.band_energies`."""
        if self.folded is not None:
            return self.folded.log_energies(samples)
        (energies,) = self.bands.run({"samples": samples[np.newaxis, :]}, ["log_energies"])
        return energies

    def frames(self, normalised: FloatArray) -> FloatArray:
        """As :meth:`AcousticModel.frames`."""
        (frames,) = self.trunk.run({"bands": normalised}, ["frames"])
        return frames

    def windows(self, frames: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As :meth:`AcousticModel.windows`."""
        feature, logits = self.head.run({"frames": frames}, ["feature", "logits"])
        return feature, logits


def _in_integers(head: bytes) -> bytes:
    try:
        converted = quantise(head)
    except ValueError as error:
        raise BundleError(f"The weights of head.onnx cannot be read: {error}.") from error
    if converted is None:
        raise BundleError("head.onnx has no product that is large enough for integer weights.")
    return converted
