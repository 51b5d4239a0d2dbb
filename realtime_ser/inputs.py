"""What can be listened to, as users name it: ``microphone``, ``microphone:NAME or ID``, ``demo``, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.sources import Source
from realtime_ser.bundle.loader import asset_path
from realtime_ser.config import RETURN_SECONDS, Buffering
from realtime_ser.errors import ConfigError
from realtime_ser.types import FloatArray

__all__ = ["DEMONSTRATION", "Input", "InputKind", "Pace", "open_input", "parse_input", "read_all"]

InputKind: TypeAlias = Literal["microphone", "file", "demo"]
Pace: TypeAlias = Literal["realtime", "fast"]

DEMONSTRATION = "demonstration.flac"
"""Synthetic speech that ships with the program (assets/README.md)."""


@dataclass(frozen=True, slots=True)
class Input:
    """Something to listen to.

    Attributes
    ----------
    kind, id
        `id` is a device name or number (empty: the default device), or a path.
    """

    kind: InputKind
    id: str = ""

    def __str__(self) -> str:
        if self.kind == "demo":
            return "demonstration audio (synthetic speech)"
        if self.kind == "microphone":
            return f"microphone {self.id}" if self.id else "default microphone"
        return self.id


def parse_input(text: str) -> Input:
    """Understand ``--input``.

    Raises
    ------
    ConfigError
        It is empty.
    """
    if not text.strip():
        raise ConfigError("The input is empty.", "Give `microphone`, `microphone:NAME`, `demo` or a file.")
    kind, colon, rest = text.partition(":")
    if kind == "microphone" and (colon or not Path(text).exists()):
        return Input("microphone", rest.strip())
    if text == "demo" and not Path(text).exists():
        return Input("demo")
    return Input("file", text)


def open_input(
    choice: Input, pace: Pace = "realtime", wait: float = RETURN_SECONDS, buffering: Buffering = "high"
) -> FileSource | MicrophoneSource:
    """A source for `choice`, not yet opened.

    Parameters
    ----------
    pace
        For files: as spoken, or as fast as they are taken.
    wait
        For microphones: how long one that went away is waited for, in seconds.
    buffering
        For microphones: how much sound the device holds back.
    """
    if choice.kind == "microphone":
        return MicrophoneSource(choice.id or None, return_seconds=wait, latency=buffering)
    path = asset_path(DEMONSTRATION) if choice.kind == "demo" else Path(choice.id)
    # As spoken, a file arrives in pieces like a sound card's, so that a display moves as smoothly as it does live; which pieces
    # makes no difference to the scores. At full speed longer ones cost less.
    return FileSource(path, pace, block=480) if pace == "realtime" else FileSource(path, pace)


def read_all(source: Source) -> FloatArray:
    """The whole of a recording at the engine's rate, float32, shape ``(n,)``; `source` is opened and closed.

    Raises
    ------
    AudioFileError
        It cannot be read.
    """
    blocks: list[FloatArray] = []
    source.open()
    try:
        while not source.exhausted:
            block = source.read(0.2)
            if block is not None:
                blocks.append(block.samples)
    finally:
        source.close()
    return np.concatenate(blocks)
