"""Impulse responses of simulated rooms, and how long a response rings.

A response is made of two parts, as is usual in room acoustics. Its first 80 ms are the reflections of a box-shaped room by
the image source method (Allen & Berkley, JASA 65, 1979), computed by pyroomacoustics. What follows is diffuse: Gaussian noise
whose energy falls by 60 dB in the reverberation time (Moorer, Computer Music Journal 3, 1979), joined where the reflections
end with the energy that they have there. The image source method alone needs a million images for a second of reverberation,
and seconds of computing for each response; late reflections are so dense that they are as good as noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from training.acoustic_network import SAMPLE_RATE

__all__ = ["reverberation_time", "room_response"]

EARLY_SECONDS = 0.08
JOIN_SECONDS = 0.02
"""Length of the stretch before the join in which the energy of the reflections is measured and the tail fades in."""
WALL_METRES = 0.3
"""Nobody and no microphone is nearer to a wall than this."""
ATTEMPTS = 1_000


def room_response(rt60: float, distance: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Response of a random room at a given distance.

    The room is 3 to 8 m long, 3 to 6 m wide and 2.4 to 3.2 m high; the microphone stands at 0.7 to 1.2 m, the mouth at 1.1 to
    1.7 m; places are drawn until they fit. The absorption of the walls, equal everywhere and at all frequencies, is Sabine's.

    Parameters
    ----------
    rt60
        Reverberation time in seconds, 0.1 to 2.
    distance
        From mouth to microphone in metres, 0.3 to 4.
    random
        Decides the room and the places.

    Returns
    -------
    NDArray[np.float32]
        Shape ``(samples,)`` at 16 kHz: direct sound at sample 0 with height 1, then `rt60` seconds of reverberation.

    Raises
    ------
    ValueError
        A value outside its range.
    """
    if not 0.1 <= rt60 <= 2:
        raise ValueError(f"the reverberation time must be 0.1 to 2 s, got {rt60}")
    if not 0.3 <= distance <= 4:
        raise ValueError(f"the distance must be 0.3 to 4 m, got {distance}")
    size, mouth, microphone = _places(distance, random)
    direct, early = _reflections(size, mouth, microphone, rt60)
    length = len(early) + round(rt60 * SAMPLE_RATE)
    response = np.zeros(length)
    response[: len(early)] = early
    join = round(JOIN_SECONDS * SAMPLE_RATE)
    first = len(early) - join
    # Amplitude falls by 60 dB, a factor of 1000, in rt60.
    decay = np.exp(-math.log(1_000) * np.arange(length - first) / (rt60 * SAMPLE_RATE))
    power = np.square(early[first:]).sum() / np.square(decay[:join]).sum()
    tail = random.standard_normal(length - first) * decay * math.sqrt(power)
    fade = np.linspace(0.0, 1.0, join)
    response[first : len(early)] *= np.sqrt(1 - fade)
    tail[:join] *= np.sqrt(fade)
    response[first:] += tail
    return (response / direct).astype(np.float32)


def _places(
    distance: float, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Size of a room, place of the mouth, place of the microphone `distance` away, each in metres, shape ``(3,)``."""
    for _ in range(ATTEMPTS):
        size = random.uniform([3.0, 3.0, 2.4], [8.0, 6.0, 3.2])
        microphone = random.uniform([WALL_METRES, WALL_METRES, 0.7], [size[0] - WALL_METRES, size[1] - WALL_METRES, 1.2])
        height = random.uniform(1.1, 1.7)
        level = math.sqrt(max(distance**2 - (height - microphone[2]) ** 2, 0.0))
        angle = random.uniform(0, 2 * math.pi)
        mouth = np.array([microphone[0] + level * math.cos(angle), microphone[1] + level * math.sin(angle), height])
        apart = float(np.linalg.norm(mouth - microphone))
        if abs(apart - distance) < 0.01 and (mouth[:2] > WALL_METRES).all() and (mouth[:2] < size[:2] - WALL_METRES).all():
            return size, mouth, microphone
    raise ValueError(f"no room found in which mouth and microphone are {distance} m apart")


def _reflections(
    size: NDArray[np.float64], mouth: NDArray[np.float64], microphone: NDArray[np.float64], rt60: float
) -> tuple[float, NDArray[np.float64]]:
    """Height of the direct sound, and the response from it on for :data:`EARLY_SECONDS`."""
    import pyroomacoustics

    speed = pyroomacoustics.constants.get("c")
    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    # Sabine: rt60 = 24 ln(10) V / (c S a); a dead small room would need more than everything.
    absorption = min(24 * math.log(10) * float(np.prod(size)) / (speed * surface * rt60), 0.95)
    flight = float(np.linalg.norm(mouth - microphone)) / speed
    # Every image whose sound arrives in time lies within so many reflections.
    order = math.ceil((flight + EARLY_SECONDS) * speed / float(size.min())) + 1
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=order, air_absorption=False
    )
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    raw = np.asarray(room.rir[0][0], np.float64)
    # The library delays everything by half the length of its fractional delay filter.
    first = round(flight * SAMPLE_RATE) + pyroomacoustics.constants.get("frac_delay_length") // 2
    early = np.zeros(round(EARLY_SECONDS * SAMPLE_RATE))
    part = raw[first : first + len(early)]
    early[: len(part)] = part
    around = raw[max(first - 2, 0) : first + 3]
    return float(np.abs(around).max()), early


def reverberation_time(response: NDArray[np.floating]) -> float:
    """Reverberation time of a response at 16 kHz in seconds: T30, from Schroeder's backward integration.

    The straight line is fitted between -5 and -35 dB of the energy that is still to come (ISO 3382) and prolonged to -60 dB.
    """
    remaining = np.cumsum(np.square(np.asarray(response, np.float64))[::-1])[::-1]
    level = 10 * np.log10(remaining / remaining[0] + 1e-30)
    used = np.flatnonzero((level <= -5) & (level >= -35))
    slope, _ = np.polyfit(used / SAMPLE_RATE, level[used], 1)
    return float(-60 / slope)
