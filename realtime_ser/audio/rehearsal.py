"""A sound card that plays a recording into the program as a microphone would, so that the live path can be proved anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import Callback, InputDevice
from realtime_ser.types import FloatArray

__all__ = ["RehearsalCard", "rehearse"]

_LONGEST_BLOCK = 2_048
"""Frames; sound cards deliver from some tens to some thousands at a time."""


@dataclass(frozen=True, slots=True)
class _Flags:
    input_overflow: bool = False


class RehearsalCard:
    """A :class:`~realtime_ser.audio.portaudio.Backend` with one device, which plays `frames` once, as fast as they are taken.

    It keeps PortAudio's contract: callbacks come from a thread of its own, in blocks of changing size, with a buffer that is
    only valid during the call; `finished` is called once no callback will come any more.

    Parameters
    ----------
    frames
        float32, shape ``(n, channels)``.
    rate
        Hz.
    seed
        Of the block sizes.
    """

    def __init__(self, frames: FloatArray, rate: int, seed: int = 0) -> None:
        self._frames = frames
        self._device = InputDevice(0, "rehearsal", "none", frames.shape[1], rate, default=True, loopback=False)
        self._seed = seed
        self._position = 0
        self.played = threading.Event()
        """Set when the last frame was delivered."""

    def now(self) -> float:
        """The card's own clock: seconds played. A block is delivered at the very moment at which it is complete."""
        return self._position / self._device.rate

    def devices(self, *, anew: bool = False) -> list[InputDevice]:
        """The one device."""
        return [self._device]

    def open(
        self,
        device: InputDevice,
        rate: int,
        channels: int,
        latency: Literal["low", "high"] | float,
        callback: Callback,
        finished: Callable[[], None],
    ) -> _RehearsalStream:
        """Open the device for `channels` of its channels; the rate is the recording's."""
        return _RehearsalStream(lambda stopped: self._play(channels, callback, stopped), finished)

    def _play(self, channels: int, callback: Callback, stopped: threading.Event) -> None:
        sizes = np.random.default_rng(self._seed)
        buffer = np.empty((_LONGEST_BLOCK, channels), dtype=np.float32)
        while self._position < len(self._frames) and not stopped.is_set():
            part = self._frames[self._position : self._position + int(sizes.integers(1, _LONGEST_BLOCK + 1)), :channels]
            buffer[: len(part)] = part
            self._position += len(part)
            callback(buffer[: len(part)], len(part), None, _Flags())
            # Whoever kept the buffer in place of a copy of it would hear this.
            buffer[:] = np.nan
        self.played.set()


class _RehearsalStream:
    latency = 0.0

    def __init__(self, play: Callable[[threading.Event], None], finished: Callable[[], None]) -> None:
        self._stopped = threading.Event()
        self._finished = finished
        self._thread = threading.Thread(target=self._run, args=(play,), name="rehearsal", daemon=True)

    @property
    def active(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def abort(self) -> None:
        self._stopped.set()
        self._thread.join()

    def close(self) -> None:
        """Nothing is left to be released."""

    def _run(self, play: Callable[[threading.Event], None]) -> None:
        play(self._stopped)
        self._stopped.wait()
        self._finished()


def rehearse(
    frames: FloatArray, rate: int, seed: int = 0, *, channel: int | None = None, others: Sequence[int] = ()
) -> MicrophoneSource:
    """A microphone that hears `frames`, shape ``(n, channels)``, and then is closed as if a user had stopped it.

    Nothing is dropped however slowly it is read. `channel` and `others` are those of the source.
    """
    card = RehearsalCard(frames, rate, seed)
    source = MicrophoneSource(
        backend=card,
        now=card.now,
        asleep=lambda: 0.0,
        patience=len(frames) / rate + 1.0,
        channel=channel,
        others=others,
    )

    def close_at_the_end() -> None:
        card.played.wait()
        source.close()

    threading.Thread(target=close_at_the_end, name="rehearsal-end", daemon=True).start()
    return source
