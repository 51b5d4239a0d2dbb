"""Settings, and the time facts that everything is checked against.

All lengths are whole samples at the engine's rate. A length that does not divide exactly is an error, never a rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from realtime_ser.errors import ConfigError

__all__ = ["ENGINE_RATE", "RETURN_SECONDS", "STEP", "Buffering", "EngineSettings", "VoiceSettings", "samples_from_ms"]

ENGINE_RATE = 16_000
"""Hz. Every stage after capture works at this rate."""

STEP = 1_600
"""Samples (100 ms) of the grid on which recognisers are fed and estimates are made."""


RETURN_SECONDS = 600.0
"""How long a microphone that went away is waited for, unless somebody chooses otherwise."""

Buffering: TypeAlias = Literal["high", "low"]
"""How much sound the device holds back, as its driver defines it: high loses less and adds some hundredths of a second."""


def samples_from_ms(milliseconds: int, sample_rate: int = ENGINE_RATE) -> int:
    """Whole samples in `milliseconds`; :class:`ValueError` where that is not a whole number."""
    samples, remainder = divmod(milliseconds * sample_rate, 1000)
    if remainder:
        raise ValueError(f"{milliseconds} ms is not a whole number of samples at {sample_rate} Hz")
    return samples


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """When an utterance starts and ends. Times are rounded up to whole detector chunks (32 ms).

    Attributes
    ----------
    on_threshold, off_threshold
        Voice probability at which speech sets in, and below which it pauses (hysteresis).
    min_voice_ms
        Voice shorter than this starts no utterance.
    end_silence_ms
        A pause of this length ends the utterance.
    max_utterance_ms
        A longer utterance is cut here, so that verdicts come during a monologue too.
    """

    on_threshold: float = 0.5
    off_threshold: float = 0.35
    min_voice_ms: int = 96
    end_silence_ms: int = 640
    max_utterance_ms: int = 20_000

    def __post_init__(self) -> None:
        if not 0.0 < self.off_threshold <= self.on_threshold < 1.0:
            raise ConfigError(
                f"voice thresholds must satisfy 0 < off <= on < 1, got off={self.off_threshold}, on={self.on_threshold}."
            )
        for name in ("min_voice_ms", "end_silence_ms", "max_utterance_ms"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.max_utterance_ms <= self.min_voice_ms:
            raise ConfigError("max_utterance_ms must be longer than min_voice_ms.")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine runs.

    Attributes
    ----------
    step
        Samples between two estimates of the utterance so far, and also what the recogniser gets at a time; on the absolute
        grid, so that results do not depend on the device's block size (100 ms).
    pre_roll_ms
        Sound before the voice's onset that the recogniser hears too: detectors miss soft first consonants.
    min_voiced_ms
        Voice that must have been heard before an estimate may carry a label.
    final_transcript_timeout
        Seconds that a live verdict waits for the recogniser; files wait as long as it takes.
    """

    voice: VoiceSettings = field(default_factory=VoiceSettings)
    step: int = STEP
    pre_roll_ms: int = 300
    min_voiced_ms: int = 500
    final_transcript_timeout: float = 5.0

    def __post_init__(self) -> None:
        for name in ("step", "pre_roll_ms", "min_voiced_ms"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}.")
