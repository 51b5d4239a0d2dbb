"""Vosk: Kaldi's networks behind a small library, with a model that the user has fetched."""

from __future__ import annotations

import sys
from pathlib import Path

from realtime_ser.asr.process import SpareWorkers, WorkerKind
from realtime_ser.asr.steps import DECODING_STEP
from realtime_ser.asr.vosk_models import VoskModelFolder, is_vosk_model
from realtime_ser.asr.worker_recognizer import WorkerRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel

__all__ = ["VoskRecognizer"]

_FETCH = "Fetch a model with `realtime-ser models fetch vosk-model-small-en-us-0.15`, or name another folder."

_LOAD_SECONDS = 180.0
"""50 ms for a tiny model; many seconds for one of gigabytes on a slow disk."""


class VoskRecognizer(WorkerRecognizer):
    """:class:`~realtime_ser.asr.protocol.Recognizer` by Vosk.

    Word confidences are Vosk's posteriors from minimum-Bayes-risk decoding, in [0, 1]. Where the model lacks
    ``word_boundary.int`` all spans are approximate.

    Parameters
    ----------
    path
        The model's folder. Nothing is read before :meth:`start`.
    step, spare
        As for :class:`~realtime_ser.asr.worker_recognizer.WorkerRecognizer`.
    """

    def __init__(self, path: Path, step: int = DECODING_STEP, spare: SpareWorkers | None = None) -> None:
        super().__init__(step, spare)
        self._folder = VoskModelFolder(Path(path))

    @property
    def label(self) -> RecognizerLabel:
        """``Vosk`` and the name of the model's folder."""
        return RecognizerLabel("Vosk", self._folder.name)

    def _kind(self) -> WorkerKind:
        path = self._folder.path
        if not path.is_dir():
            raise RecognizerError(f"There is no Vosk model folder at {path}.", _FETCH)
        if not is_vosk_model(path):
            raise RecognizerError(f"{path} is not a Vosk model: it has no am/final.mdl.", _FETCH)
        if missing := self._folder.missing():
            raise RecognizerError(f"The Vosk model {path} is incomplete: {', '.join(missing)} missing or empty.", _FETCH)
        self._exact_times = self._folder.has_word_times
        # libvosk opens files by their UTF-8 name, which Windows takes for its own code page.
        unreadable = sys.platform == "win32" and not str(path).isascii()
        remedy = "Move it to a folder whose path is plain ASCII." if unreadable else _FETCH
        return WorkerKind("Vosk", (str(path),), f"Vosk cannot use the model {path}", remedy, _LOAD_SECONDS)
