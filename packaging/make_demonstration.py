"""Make the demonstration audio, ``assets/demonstration.flac``, and its description, ``assets/demonstration.json``.

    .venv/bin/python packaging/make_demonstration.py        needs Flite (Debian: apt-get install flite) with its own voices

Synthetic speech: Flite speaks every phrase with its own pitch, pitch range and speed; level and vocal effort (the tilt of the
spectrum) are added here. What these settings are for each emotion follows what is commonly found in acted speech: anger and
happiness higher, wider, faster, louder and brighter, sadness lower, flatter, slower, softer and duller. It shows that the
program runs. It says nothing about how well the program recognises people (assets/README.md).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

ASSETS = Path(__file__).resolve().parent.parent / "assets"
RATE = 16_000
LEAD_SECONDS, PAUSE_SECONDS, TAIL_SECONDS = 1.0, 1.4, 1.5
"""The pause is longer than the silence that ends an utterance (0.64 s)."""
PHRASE_PAUSE_SECONDS = 0.22
"""Between the phrases of one utterance: a breath, too short to end it."""
PITCH_MEAN = {"kal16": 105.0, "awb": 120.0, "slt": 170.0}
"""Hz, of the ordinary speech of the voices whose pitch can be set. The voice rms ignores such settings: it is played faster or
slower instead, by less than the factor, because that moves the resonances of the throat as well."""
NOISE_DBFS = -66.0
"""A quiet room. Digital silence would look like a muted microphone."""


@dataclass(frozen=True)
class Manner:
    """How a phrase is spoken, relative to the voice's ordinary speech.

    `pitch` is a factor, `spread` the standard deviation of the pitch in Hz, `stretch` a factor on durations, `level` the RMS
    in dBFS and `tilt` what is added to the spectrum in dB per octave above 500 Hz.
    """

    pitch: float
    spread: float
    stretch: float
    level: float
    tilt: float


MANNERS = {
    "anger": Manner(pitch=1.30, spread=30.0, stretch=0.88, level=-15.0, tilt=+2.5),
    "happiness": Manner(pitch=1.35, spread=38.0, stretch=0.94, level=-18.0, tilt=+1.0),
    "neutral": Manner(pitch=1.00, spread=14.0, stretch=1.00, level=-22.0, tilt=0.0),
    "sadness": Manner(pitch=0.88, spread=6.0, stretch=1.28, level=-28.0, tilt=-2.5),
}
# The second number of a phrase moves its pitch against the first: what makes a sentence rise to its point or sink to its end.
UTTERANCES: list[tuple[str, str, list[tuple[str, float]]]] = [
    ("rms", "neutral", [("The meeting starts at ten o'clock in the second room on the left.", 1.0)]),
    ("slt", "happiness", [("I got the job!", 1.0), ("I am so happy, this is the best day of my life!", 1.08)]),
    ("kal16", "anger", [("I told you never to touch my things.", 1.0), ("Get out of my house right now!", 1.12)]),
    ("awb", "sadness", [("She is gone.", 1.0), ("Nothing will ever be the same again.", 0.94)]),
    ("slt", "neutral", [("The weather will be cloudy with some rain in the afternoon.", 1.0)]),
    ("rms", "happiness", [("That is wonderful!", 1.0), ("I am so glad that you came!", 1.1)]),
    ("slt", "sadness", [("I am so sorry.", 1.0), ("He died last night, and I never said goodbye.", 0.93)]),
    ("awb", "anger", [("This is ridiculous!", 1.08), ("I have had enough of your lies!", 1.0)]),
    ("kal16", "neutral", [("You can find the key on the table next to the door.", 1.0)]),
    ("slt", "anger", [("Stop it!", 1.1), ("I hate it when you do that.", 1.0), ("Leave me alone!", 1.1)]),
    ("awb", "happiness", [("What a wonderful surprise!", 1.05), ("I am so happy to see you!", 1.0)]),
    ("kal16", "sadness", [("I lost everything.", 1.0), ("I do not know what to do.", 0.95)]),
]


def speak(voice: str, text: str, manner: Manner, bend: float) -> NDArray[np.float64]:
    """One phrase as Flite says it, at :data:`RATE`, without the silence around it."""
    pitch = manner.pitch * bend
    features = {"duration_stretch": manner.stretch}
    tape = 1.0
    if voice in PITCH_MEAN:
        features |= {"int_f0_target_mean": PITCH_MEAN[voice] * pitch, "int_f0_target_stddev": manner.spread}
    else:
        tape = pitch**0.6
        features["duration_stretch"] *= tape
    settings = [word for name, value in features.items() for word in ("--setf", f"{name}={value:.3f}")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "phrase.wav")
        subprocess.run(["flite", "-voice", voice, *settings, "-t", text, "-o", str(path)], check=True, capture_output=True)
        samples, rate = soundfile.read(path)
    if rate * tape != RATE:
        samples = soxr.resample(samples, rate * tape, RATE)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def tilted(samples: NDArray[np.float64], decibels_per_octave: float) -> NDArray[np.float64]:
    """`samples` with a spectrum that rises or falls above 500 Hz: pressed and soft voices differ in this."""
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 500.0) / 500.0)
    return np.fft.irfft(spectrum * 10 ** (decibels_per_octave * octaves / 20), len(samples))


def utter(voice: str, emotion: str, phrases: list[tuple[str, float]]) -> NDArray[np.float64]:
    """One utterance, its phrases joined by breaths, at the level of its emotion."""
    manner = MANNERS[emotion]
    breath = np.zeros(round(PHRASE_PAUSE_SECONDS * manner.stretch * RATE))
    parts: list[NDArray[np.float64]] = []
    for text, bend in phrases:
        parts += [breath] * bool(parts) + [speak(voice, text, manner, bend)]
    samples = tilted(np.concatenate(parts), manner.tilt)
    samples *= 10 ** (manner.level / 20) / np.sqrt(np.mean(samples**2))
    # Soft limiting where a peak would clip; far below that it changes nothing.
    return np.where(np.abs(samples) > 0.7, np.sign(samples) * (0.7 + 0.25 * np.tanh((np.abs(samples) - 0.7) / 0.25)), samples)


def main() -> int:
    """Write both files."""
    if shutil.which("flite") is None:
        sys.stderr.write("Flite is not installed (Debian, Ubuntu: sudo apt-get install flite; macOS: brew install flite).\n")
        return 2
    pieces = [np.zeros(round(LEAD_SECONDS * RATE))]
    described, position = [], len(pieces[0])
    for voice, emotion, phrases in UTTERANCES:
        samples = utter(voice, emotion, phrases)
        described.append(
            {
                "first_sample": position,
                "end_sample": position + len(samples),
                "text": " ".join(text for text, _ in phrases),
                "intended": emotion,
                "voice": voice,
            }
        )
        pause = np.zeros(round((TAIL_SECONDS if len(described) == len(UTTERANCES) else PAUSE_SECONDS) * RATE))
        pieces += [samples, pause]
        position += len(samples) + len(pause)
    signal = np.concatenate(pieces)
    signal += 10 ** (NOISE_DBFS / 20) * np.random.default_rng(2020).standard_normal(len(signal))
    ASSETS.mkdir(exist_ok=True)
    soundfile.write(ASSETS / "demonstration.flac", signal, RATE, subtype="PCM_16")
    description = {
        "audio": "demonstration.flac",
        "sample_rate": RATE,
        "samples": len(signal),
        "made_by": "packaging/make_demonstration.py with Flite",
        "note": "Synthetic speech, not acted and not natural: it shows that the program runs, not how well it recognises.",
        "utterances": described,
    }
    (ASSETS / "demonstration.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(signal) / RATE:.1f} s, {len(described)} utterances\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
