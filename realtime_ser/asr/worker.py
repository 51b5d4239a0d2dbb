"""The child process in which a recogniser's library decodes, and the frames it exchanges with its parent.

NB: this file runs as a program of its own (``python -P worker.py LIBRARY …``), so it imports the standard library only, and the
recogniser's once it serves. Importing the package instead would cost every start NumPy's import time, and running it with
``multiprocessing``'s spawn method would import the parent's main script again, windows and all.

What it is called with: ``pocketsphinx``, or ``vosk`` and the folder of a model.

A frame is one byte that names it, the length of the payload (unsigned, 4 bytes, little-endian), the payload. The parent sends

====  ==========================================================  ===============================
kind  payload                                                     answer
====  ==========================================================  ===============================
b     none: an utterance begins, one under way is dropped         none
a     16-bit little-endian PCM at 16 kHz: the next samples        W: the words so far
f     none: the utterance ends                                    W: its last words
====  ==========================================================  ===============================

and the child sends ``R`` (ready, once, after loading), ``W``, ``I`` (text: the library is not there) or ``E`` (text: what else
went wrong); after these two it exits. ``W`` is JSON: a list of two. The first is a list of ``[text, first sample, end sample,
confidence]`` of a phrase that ended with these samples, counted from the utterance's first one, and null while none did; they
do not change any more, and are not sent again. The second is a list of the texts of the phrase that goes on.

A closed pipe ends either side: the child exits when its parent is gone, however that came about.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import sys
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORKER_FLAG", "read_frame", "run_if_requested", "write_frame"]

WORKER_FLAG = "--recognizer-worker"
"""A frozen application has no Python to run this file with, so it runs itself with this flag."""

_HEADER = struct.Struct("<cI")
_MAX_PAYLOAD = 1 << 24
_RATE = 16_000
_FRAME = 160
"""Samples per PocketSphinx frame: its default of 100 frames a second."""
_TRIAL = 16_000
"""Samples of faint noise that a Vosk model has to survive before it counts as loaded."""
_NICE = 5


class _NotInstalledError(Exception):
    """The library cannot be imported."""


class _Decoder(Protocol):
    """What a library has to do; all of it in one thread."""

    def begin(self) -> None:
        """Start an utterance, clean of any before it, which is dropped where it goes on."""

    def accept(self, pcm: bytes) -> tuple[list[list[object]] | None, list[str]]:
        """Hear samples; return the words of the phrase that ended with them, if one did, and the texts of the one going on."""

    def finish(self) -> list[list[object]]:
        """End the utterance and return the words of its last phrase."""


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one frame, (kind, payload); blocks. ``None`` when the other side is gone; ValueError on an impossible length."""
    header = _read_exactly(stream, _HEADER.size)
    if header is None:
        return None
    kind, length = _HEADER.unpack(header)
    if length > _MAX_PAYLOAD:
        raise ValueError(f"a frame of {length} bytes is longer than {_MAX_PAYLOAD}")
    payload = _read_exactly(stream, length)
    return None if payload is None else (kind, payload)


def write_frame(stream: IO[bytes], kind: bytes, payload: bytes = b"") -> None:
    """Write one frame and flush it; OSError when the other side is gone."""
    stream.write(_HEADER.pack(kind, len(payload)) + payload)
    stream.flush()


def run_if_requested(arguments: Sequence[str]) -> None:
    """Become the worker, and exit, if `arguments` (``sys.argv[1:]``) ask for it; otherwise return at once.

    Every entry point of a frozen application calls this first, before anything heavy is imported.
    """
    if list(arguments[:1]) == [WORKER_FLAG]:
        raise SystemExit(main(arguments[1:]))


def main(arguments: Sequence[str]) -> int:
    """Serve the parent on standard input and output until it is gone; return the exit status."""
    # NB: Ctrl-C reaches every process of a terminal; stopping is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _private_pipes()
    try:
        _lower_priority()
        decoder = _load(*arguments)
        write_frame(answers, b"R")
        _serve(decoder, requests, answers)
    except OSError:
        return 0  # the parent is gone
    except _NotInstalledError as error:
        _try_to_report(answers, b"I", str(error))
        return 1
    except Exception as error:  # noqa: BLE001 the parent must hear of anything, and shows it
        # libvosk's own errors have no other name.
        name = "" if type(error) is Exception else f"{type(error).__name__}: "
        _try_to_report(answers, b"E", f"{name}{error}")
        return 1
    return 0


def _read_exactly(stream: IO[bytes], count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = stream.read(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The two pipes on descriptors of their own, so that no library's output can get in between the frames."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, answers


def _lower_priority() -> None:
    """Words may come late, the analysis of the sound may not: give way when there are too few processor cores."""
    if hasattr(os, "nice"):  # on Windows the parent sets the priority class
        os.nice(_NICE)


def _load(library: str, *options: str) -> _Decoder:
    try:
        if library == "vosk":
            import vosk as module  # type: ignore[import-untyped]
        else:
            import pocketsphinx as module  # type: ignore[import-untyped]
    except (ImportError, OSError) as error:  # OSError: what is inside the package does not load
        raise _NotInstalledError(error) from error
    return _Vosk(module, *options) if library == "vosk" else _PocketSphinx(module)


class _PocketSphinx:
    """PocketSphinx with its own US English model. An utterance is one phrase."""

    def __init__(self, pocketsphinx: Any) -> None:
        # Its second pass over the whole utterance (fwdflat) made the end of an utterance take three times as long, and on
        # clips of AN4, LibriSpeech and LibriVox no fewer errors. The last pass (bestpath) stays: the posteriors come from its
        # lattice.
        self._decoder = pocketsphinx.Decoder(samprate=_RATE, fwdflat=False, loglevel="FATAL")
        self._under_way = False

    def begin(self) -> None:
        if self._under_way:
            self._decoder.end_utt()
        # Its running cepstral mean and its noise estimate would carry from one utterance into the next, so that the same sound
        # gave other words. A new feature extraction takes 0.1 ms; setting the cepstral mean alone is not enough.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._under_way = True

    def accept(self, pcm: bytes) -> tuple[None, list[str]]:
        self._decoder.process_raw(pcm)
        hypothesis = self._decoder.hyp()
        return None, hypothesis.hypstr.split() if hypothesis is not None else []

    def finish(self) -> list[list[object]]:
        self._decoder.end_utt()
        self._under_way = False
        if self._decoder.hyp() is None:  # nothing was recognised, or no sound came at all: there is no segmentation to ask for
            return []
        words: list[list[object]] = []
        for segment in self._decoder.seg():
            if segment.word.startswith(("<", "[", "++")):  # sentence ends, silence, noises
                continue
            text = re.sub(r"\(\d+\)$", "", segment.word)  # "a(2)" is the second pronunciation of "a"
            # The end frame is inclusive. Posteriors are rounded logarithms and reach 1.0001.
            first, end = segment.start_frame * _FRAME, (segment.end_frame + 1) * _FRAME
            words.append([text, first, end, min(max(segment.prob, 0.0), 1.0)])
        return words


class _Vosk:
    """libvosk with the model in a folder. It ends a phrase where somebody pauses, and begins another one."""

    def __init__(self, vosk: Any, folder: str) -> None:
        vosk.SetLogLevel(-1)  # errors still reach stderr, a library setting cannot stop them
        self._vosk = vosk
        self._model = vosk.Model(folder)
        # A truncated graph loads without complaint and fails here, a wrong configuration with the first samples.
        self.begin()
        self.accept(bytes([1, 0, 255, 255]) * (_TRIAL // 2))
        self.finish()

    def begin(self) -> None:
        # Result() and Reset() leave up to half a second of audio undecoded, which then turns up in the next utterance; only a
        # new recogniser is clean. It is cheap, since the model is there.
        self._recognizer = self._vosk.KaldiRecognizer(self._model, float(_RATE))
        self._recognizer.SetWords(True)

    def accept(self, pcm: bytes) -> tuple[list[list[object]] | None, list[str]]:
        if self._recognizer.AcceptWaveform(pcm):
            # Not fetching the result now would merge the next phrase into this one.
            return _vosk_words(self._recognizer.Result()), []
        # Right after an end or without speech the key "partial" is absent.
        return None, str(json.loads(self._recognizer.PartialResult()).get("partial", "")).split()

    def finish(self) -> list[list[object]]:
        return _vosk_words(self._recognizer.FinalResult())


def _vosk_words(result: str) -> list[list[object]]:
    # Times are seconds since the first sample of the recogniser, through every phrase of it. The key "result" is absent when
    # there are no words.
    return [
        [
            str(entry["word"]),
            round(entry["start"] * _RATE),
            round(entry["end"] * _RATE),
            min(max(float(entry["conf"]), 0.0), 1.0),
        ]
        for entry in json.loads(result).get("result", [])
    ]


def _serve(decoder: _Decoder, requests: IO[bytes], answers: IO[bytes]) -> None:
    while (frame := read_frame(requests)) is not None:
        kind, payload = frame
        if kind == b"b":
            decoder.begin()
        elif kind == b"a":
            write_frame(answers, b"W", json.dumps(decoder.accept(payload)).encode())
        elif kind == b"f":
            write_frame(answers, b"W", json.dumps((decoder.finish(), [])).encode())
        else:
            raise ValueError(f"unknown request {kind!r}")


def _try_to_report(answers: IO[bytes], kind: bytes, text: str) -> None:
    try:
        write_frame(answers, kind, text.encode(errors="replace"))
    except OSError:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
