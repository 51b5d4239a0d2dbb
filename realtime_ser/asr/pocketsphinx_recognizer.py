"""PocketSphinx: the recogniser that is always there, since its wheel carries an English model."""

from __future__ import annotations

from realtime_ser.asr.process import WorkerKind
from realtime_ser.asr.worker_recognizer import WorkerRecognizer
from realtime_ser.types import RecognizerLabel

__all__ = ["PocketSphinxRecognizer"]

# Loading takes half a second on a warm disk.
_KIND = WorkerKind("PocketSphinx", (), "PocketSphinx cannot be used", "", load_seconds=60.0)


class PocketSphinxRecognizer(WorkerRecognizer):
    """:class:`~realtime_ser.asr.protocol.Recognizer` by PocketSphinx and its own US English model.

    Final words carry PocketSphinx's own word posterior from its last lattice, clipped to [0, 1] and otherwise untouched. It
    tells surer words from less sure ones, but it is no probability of being right, nor comparable with Vosk's:
    ``docs/recognizers.md`` has the shares of right words that were measured.

    The estimates of channel and noise start afresh with every utterance, so that its words depend on its own samples only. Over
    clips of AN4, LibriSpeech and LibriVox, keeping them made no fewer errors.
    """

    @property
    def label(self) -> RecognizerLabel:
        """``PocketSphinx`` and its model, which is part of the wheel."""
        return RecognizerLabel("PocketSphinx", "en-us")

    def _kind(self) -> WorkerKind:
        return _KIND
