"""Vosk: Kaldi's networks behind a small library, decoding in the calling thread.

This is the only module that imports `vosk`, and only once a recogniser is started. libvosk releases the GIL while it decodes,
so a thread is enough. One model, loaded once, serves any number of recognisers in any number of threads.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from realtime_ser.asr.steps import DECODING_STEP, PartialWords, SteppedRecognizer
from realtime_ser.asr.vosk_models import VoskModelFolder, is_vosk_model
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel, Span, Word

__all__ = ["VoskModel", "VoskRecognizer"]

_FETCH = "Fetch a model with `realtime-ser models fetch vosk-model-small-en-us-0.15`, or name another folder."


class VoskModel:
    """A Vosk model folder that is loaded once, on first use, and shared by all its recognisers.

    Parameters
    ----------
    path
        The model's folder. Nothing is read before :meth:`recognizer` or :meth:`load` is called.
    """

    def __init__(self, path: Path) -> None:
        self.folder = VoskModelFolder(Path(path))
        # NB: recognisers in several threads may ask for the model at once; only one may load it.
        self._lock = threading.Lock()
        self._vosk: Any = None
        self._model: Any = None
        self.has_word_times = False
        """Whether Vosk's word times can be believed; known once the model is loaded."""

    @property
    def label(self) -> RecognizerLabel:
        """``Vosk`` and the folder's name."""
        return RecognizerLabel("Vosk", self.folder.name)

    def load(self) -> None:
        """Load the model and make sure that it can decode; blocks, from 50 ms for a tiny model to many seconds for a large one.

        Raises
        ------
        RecognizerError
            Vosk is not installed, or the folder is not a complete model.
        """
        with self._lock:
            if self._model is not None:
                return
            path = self.folder.path
            if not path.is_dir():
                raise RecognizerError(f"There is no Vosk model folder at {path}.", _FETCH)
            if not is_vosk_model(path):
                raise RecognizerError(f"{path} is not a Vosk model: it has no am/final.mdl.", _FETCH)
            if missing := self.folder.missing():
                raise RecognizerError(f"The Vosk model {path} is incomplete: {', '.join(missing)} missing or empty.", _FETCH)
            try:
                import vosk  # type: ignore[import-untyped]
            except (ImportError, OSError) as error:  # OSError: libvosk itself does not load
                raise RecognizerError(f"Vosk cannot be loaded: {error}.", "Install it with `pip install vosk`.") from error
            vosk.SetLogLevel(-1)  # errors still reach stderr, a library setting cannot stop them
            try:
                # vosk takes str only, and raises nothing more specific than Exception.
                model = vosk.Model(str(path))
                # A truncated graph loads without complaint and fails here.
                vosk.KaldiRecognizer(model, float(ENGINE_RATE))
            except Exception as error:
                # libvosk opens files by their UTF-8 name, which Windows takes for its own code page.
                unreadable = sys.platform == "win32" and not str(path).isascii()
                remedy = "Move it to a folder whose path is plain ASCII." if unreadable else _FETCH
                raise RecognizerError(f"Vosk cannot use the model {path}: {error}.", remedy) from error
            self.has_word_times = self.folder.has_word_times
            self._vosk, self._model = vosk, model

    def recognizer(self) -> Any:
        """A fresh libvosk recogniser at the engine's rate, with word times in its results."""
        self.load()
        try:
            recognizer = self._vosk.KaldiRecognizer(self._model, float(ENGINE_RATE))
        except Exception as error:
            raise RecognizerError(f"Vosk cannot start decoding with {self.folder.path}: {error}.") from error
        recognizer.SetWords(True)
        return recognizer


class VoskRecognizer(SteppedRecognizer):
    """:class:`~realtime_ser.asr.protocol.Recognizer` by Vosk.

    Word confidences are Vosk's posteriors from minimum-Bayes-risk decoding, in [0, 1]. Words of a phrase that Vosk has not
    closed yet carry ``nan`` and approximate spans (:class:`~realtime_ser.asr.steps.PartialWords`). Where the model lacks
    ``word_boundary.int`` all spans are approximate.

    Parameters
    ----------
    model
        Shared; loaded by :meth:`start` unless another recogniser did so before.
    step
        Samples decoded at a time, on the absolute grid.
    """

    # NB: one thread for all calls. A libvosk recogniser that two threads use crashes the process.

    def __init__(self, model: VoskModel, step: int = DECODING_STEP) -> None:
        super().__init__(step)
        self._model = model
        self._recognizer: Any = None
        self._first_sample = 0
        self._closed: list[Word] = []
        self._open_words = PartialWords(0)

    @property
    def label(self) -> RecognizerLabel:
        """``Vosk`` and the name of the model's folder."""
        return self._model.label

    def _load(self) -> None:
        self._model.load()

    def _open(self, first_sample: int) -> None:
        # Result() and Reset() leave up to half a second of audio undecoded, which then turns up in the next utterance; only a
        # new recogniser is clean. It is cheap, since the model is shared.
        self._recognizer = self._model.recognizer()
        self._first_sample = first_sample
        self._closed = []
        self._open_words = PartialWords(first_sample)

    def _decode(self, pcm: bytes, heard_until: int) -> tuple[Word, ...]:
        try:
            phrase_ended = self._recognizer.AcceptWaveform(pcm)
        except Exception as error:  # nothing more specific is raised
            raise RecognizerError(f"Vosk stopped decoding: {error}.") from error
        if phrase_ended:
            # Not fetching the result now would merge the next phrase into this one.
            self._close_phrase(self._recognizer.Result(), heard_until)
            return tuple(self._closed)
        # Right after an end or without speech the key "partial" is absent.
        partial = str(json.loads(self._recognizer.PartialResult()).get("partial", ""))
        return (*self._closed, *self._open_words.update(partial.split(), heard_until))

    def _end(self, heard_until: int) -> tuple[Word, ...]:
        self._close_phrase(self._recognizer.FinalResult(), heard_until)
        self._recognizer = None
        return tuple(self._closed)

    def _release(self) -> None:
        self._recognizer = None

    def _close_phrase(self, result: str, heard_until: int) -> None:
        # The key "result" is absent when there are no words.
        entries = json.loads(result).get("result", [])
        approximate = self._open_words.update([str(entry["word"]) for entry in entries], heard_until)
        exact = self._model.has_word_times
        for entry, rough in zip(entries, approximate, strict=True):
            span = self._span(entry["start"], entry["end"], heard_until) if exact else rough.span
            self._closed.append(Word(rough.text, span, min(max(float(entry["conf"]), 0.0), 1.0)))
        self._open_words = PartialWords(self._closed[-1].span.end if self._closed else self._first_sample)

    def _span(self, start: float, end: float, heard_until: int) -> Span:
        # Vosk's times are seconds since the first sample of this recogniser, through every phrase of it.
        first = min(self._first_sample + round(start * ENGINE_RATE), heard_until)
        return Span(first, max(first, min(self._first_sample + round(end * ENGINE_RATE), heard_until)))
