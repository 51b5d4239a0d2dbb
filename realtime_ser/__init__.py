"""Live speech emotion recognition (Priyasad et al., ICASSP 2020) as a streaming instrument.

``from realtime_ser import EmotionRecognizer`` is the library; ``realtime-ser`` is the program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtime_ser.api import EmotionRecognizer

__all__ = ["EmotionRecognizer", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that importing one stage does not import them all.
    if name == "EmotionRecognizer":
        from realtime_ser.api import EmotionRecognizer

        return EmotionRecognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
