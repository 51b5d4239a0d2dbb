"""What can be listened to, as users name it: ``microphone``, ``microphone:NAME or ID``, ``demo``, or a file; and whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.people import SharedDevice
from realtime_ser.audio.sources import Source
from realtime_ser.bundle.loader import asset_path
from realtime_ser.config import RETURN_SECONDS, Buffering
from realtime_ser.errors import ConfigError
from realtime_ser.types import FloatArray

__all__ = [
    "DEFAULT_NAMES",
    "DEMONSTRATION",
    "LONGEST_NAME",
    "Input",
    "InputKind",
    "Pace",
    "PeopleInput",
    "open_input",
    "open_people",
    "parse_channels",
    "parse_input",
    "parse_names",
    "people_wanted",
    "read_all",
    "same_input",
    "two_inputs",
]

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


@dataclass(frozen=True, slots=True)
class PeopleInput:
    """Who is listened to, and through what.

    Attributes
    ----------
    inputs
        One, or for two people two: then each has their own.
    names
        One for each person; ``("",)`` where there is one who needs none.
    channels
        Where two people share one input: the channel of each, counted from 0. Otherwise empty.
    """

    inputs: tuple[Input, ...]
    names: tuple[str, ...] = ("",)
    channels: tuple[int, ...] = ()

    def __str__(self) -> str:
        text = " and ".join(map(str, self.inputs))
        if not self.channels:
            return text
        return f"{text}, channels {' and '.join(str(channel + 1) for channel in self.channels)}"

    @property
    def people(self) -> int:
        """How many."""
        return len(self.names)

    @property
    def one_clock(self) -> bool:
        """Whether all streams share a sample clock: those of one device do, and files begin together."""
        return len(self.inputs) == 1 or all(choice.kind != "microphone" for choice in self.inputs)

    def input_of(self, person: int) -> Input:
        """What `person` (counted from 0) speaks into."""
        return self.inputs[person if len(self.inputs) > 1 else 0]


DEFAULT_NAMES = ("Person 1", "Person 2")
LONGEST_NAME = 40
"""Characters of a person's name."""


def parse_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """Understand ``--names``: two that can be told apart; ``None``: "Person 1" and "Person 2".

    Raises
    ------
    ConfigError
        They cannot be used.
    """
    if names is None:
        return DEFAULT_NAMES
    cleaned = tuple(" ".join(name.split()) for name in names)
    usable = all(name and name.isprintable() and len(name) <= LONGEST_NAME for name in cleaned)
    if len(cleaned) != len(DEFAULT_NAMES) or len({name.casefold() for name in cleaned}) < len(cleaned) or not usable:
        given = ", ".join(repr(name) for name in names)
        problem = f"These are no names for two people: {given}."
        raise ConfigError(problem, f"Give two that differ, of 1 to {LONGEST_NAME} characters, as in --names Anna Ben.")
    return cleaned


def same_input(choice: Input, names: tuple[str, ...], channels: Sequence[int]) -> PeopleInput:
    """Two people on one input; `channels` count from 0.

    Raises
    ------
    ConfigError
        They would have the same channel.
    """
    if len(set(channels)) < len(channels):
        problem = f"{' and '.join(names)} would speak into the same channel."
        raise ConfigError(problem, "Choose a channel for each, or a second input.")
    return PeopleInput((choice,), names, tuple(channels))


def parse_channels(text: str | None) -> tuple[int, int]:
    """Understand ``--channels``, counted from 1 by users and from 0 here; ``None``: the first two.

    Raises
    ------
    ConfigError
        They are no two channels.
    """
    parts = ["1", "2"] if text is None else [part.strip() for part in text.split(",")]
    numbers = [int(part) - 1 for part in parts if part.isascii() and part.isdigit()]
    if len(parts) != 2 or len(numbers) != 2 or min(numbers) < 0 or numbers[0] == numbers[1]:
        raise ConfigError(f"{text!r} are no two channels.", "Write them as in --channels 1,2; they count from 1.")
    return numbers[0], numbers[1]


def people_wanted(people: int | None, channels: str | None, names: Sequence[str] | None, second: str | None = None) -> bool:
    """Whether the options ask for two people.

    Raises
    ------
    ConfigError
        They contradict each other.
    """
    given = {"--channels": channels, "--names": names, "--second-input": second}
    for option, value in given.items():
        if value is not None and people != 2 and not (second is not None and people is None):
            raise ConfigError(f"{option} is for two people.", "Add --people 2, or leave it out.")
    return people == 2 or second is not None


def two_inputs(first: Input, second: Input, names: tuple[str, ...], channels: str | None) -> PeopleInput:
    """Two people with an input each.

    Raises
    ------
    ConfigError
        The inputs do not go together.
    """
    if channels is not None:
        raise ConfigError("--channels is for two people on one device.", "Leave it out, or leave --second-input out.")
    if first == second:
        problem = f"Both people would speak into the same input: {first}."
        raise ConfigError(problem, "Name two inputs, or leave --second-input out, so that they have a channel each.")
    if (first.kind == "microphone") != (second.kind == "microphone"):
        raise ConfigError("A microphone and a file have no common time.", "Give two microphones or two files.")
    return PeopleInput((first, second), names)


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
    return _source(choice, pace, wait, buffering, None, ())


def open_people(
    choice: PeopleInput, pace: Pace = "realtime", wait: float = RETURN_SECONDS, buffering: Buffering = "high"
) -> list[Source]:
    """A source for every person, not yet opened; see :func:`open_input`."""
    if not choice.channels:
        return [open_input(one, pace, wait, buffering) for one in choice.inputs]
    first, *others = choice.channels
    shared = _source(choice.inputs[0], pace, wait, buffering, first, others)
    return list(SharedDevice(shared, choice.channels).lanes)


def _source(
    choice: Input, pace: Pace, wait: float, buffering: Buffering, channel: int | None, others: Sequence[int]
) -> FileSource | MicrophoneSource:
    if choice.kind == "microphone":
        return MicrophoneSource(choice.id or None, return_seconds=wait, latency=buffering, channel=channel, others=others)
    path = asset_path(DEMONSTRATION) if choice.kind == "demo" else Path(choice.id)
    # As spoken, a file arrives in pieces like a sound card's, so that a display moves as smoothly as it does live; which pieces
    # makes no difference to the scores. At full speed longer ones cost less.
    block = 480 if pace == "realtime" else 1600
    return FileSource(path, pace, block=block, channel=channel, others=others)


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
