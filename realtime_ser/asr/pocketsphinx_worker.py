"""The child process in which PocketSphinx decodes, and the frames it exchanges with its parent.

NB: this file runs as a program of its own (``python -P pocketsphinx_worker.py``), so it imports the standard library only, and
PocketSphinx once it serves. Importing the package instead would cost every start NumPy's import time, and running it with
``multiprocessing``'s spawn method would import the parent's main script again, windows and all.

A frame is one byte that names it, the length of the payload (unsigned, 4 bytes, little-endian), the payload. The parent sends

====  ==========================================================  =====================
kind  payload                                                     answer
====  ==========================================================  =====================
b     none: an utterance begins                                   none
a     16-bit little-endian PCM at 16 kHz: the next samples        W: the words so far
f     none: the utterance ends                                    W: its words, final
====  ==========================================================  =====================

and the child sends ``R`` (ready, once, after loading), ``W`` (JSON, a list of ``[text, first sample, end sample, confidence]``
counted from the utterance's first sample, with nulls where a partial result has none) or ``E`` (text: what went wrong; the
child exits then). A closed pipe ends either side: the child exits when its parent is gone, however that came about.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORKER_FLAG", "read_frame", "run_if_requested", "write_frame"]

WORKER_FLAG = "--pocketsphinx-worker"
"""A frozen application has no Python to run this file with, so it runs itself with this flag."""

_HEADER = struct.Struct("<cI")
_MAX_PAYLOAD = 1 << 24
_RATE = 16_000
_FRAME = 160
"""Samples per PocketSphinx frame: its default of 100 frames a second."""
_NICE = 5


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
        raise SystemExit(main())


def main() -> int:
    """Serve the parent on standard input and output until it is gone; return the exit status."""
    # NB: Ctrl-C reaches every process of a terminal; stopping is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _private_pipes()
    try:
        _lower_priority()
        decoder = _decoder()
        write_frame(answers, b"R")
        _serve(decoder, requests, answers)
    except OSError:
        return 0  # the parent is gone
    except Exception as error:  # noqa: BLE001 the parent must hear of anything, and shows it
        _try_to_report(answers, error)
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


def _decoder() -> Any:
    from pocketsphinx import Decoder  # type: ignore[import-untyped]

    # Its second pass over the whole utterance (fwdflat) made the end of an utterance take three times as long, and on clips of
    # AN4, LibriSpeech and LibriVox no fewer errors. The last pass (bestpath) stays: the posteriors come from its lattice.
    return Decoder(samprate=_RATE, fwdflat=False, loglevel="FATAL")


def _serve(decoder: Any, requests: IO[bytes], answers: IO[bytes]) -> None:
    under_way = False
    while (frame := read_frame(requests)) is not None:
        kind, payload = frame
        if kind == b"b":
            if under_way:
                decoder.end_utt()
            # Its running cepstral mean and its noise estimate would carry from one utterance into the next, so that the same
            # sound gave other words. A new feature extraction takes 0.1 ms; setting the cepstral mean alone is not enough.
            decoder.reinit_feat()
            decoder.start_utt()
            under_way = True
        elif kind == b"a":
            decoder.process_raw(payload)
            hypothesis = decoder.hyp()
            partial = hypothesis.hypstr.split() if hypothesis is not None else []
            write_frame(answers, b"W", json.dumps([[text, None, None, None] for text in partial]).encode())
        elif kind == b"f":
            decoder.end_utt()
            under_way = False
            write_frame(answers, b"W", json.dumps(_final_words(decoder)).encode())
        else:
            raise ValueError(f"unknown request {kind!r}")


def _final_words(decoder: Any) -> list[list[object]]:
    if decoder.hyp() is None:  # nothing was recognised, or no sound came at all: there is no segmentation to ask for
        return []
    words: list[list[object]] = []
    for segment in decoder.seg():
        if segment.word.startswith(("<", "[", "++")):  # sentence ends, silence, noises
            continue
        text = re.sub(r"\(\d+\)$", "", segment.word)  # "a(2)" is the second pronunciation of "a"
        # The end frame is inclusive. Posteriors are rounded logarithms and reach 1.0001.
        words.append([text, segment.start_frame * _FRAME, (segment.end_frame + 1) * _FRAME, min(max(segment.prob, 0.0), 1.0)])
    return words


def _try_to_report(answers: IO[bytes], error: Exception) -> None:
    try:
        write_frame(answers, b"E", f"{type(error).__name__}: {error}".encode())
    except OSError:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
