"""What has to be said before anybody is recorded: the use notice, and the consent to keep more than scores."""

from __future__ import annotations

import msgspec

__all__ = ["CONSENT_AUDIO", "CONSENT_WORDS", "USE_NOTICE", "Consent", "consent_text"]

USE_NOTICE = (
    "This tool scores how speech sounds and reads. It does not know what a person feels, nor why; it learnt from acted speech, "
    "and is wrong often. “Unsure” is a result. Decide nothing about anybody with it.",
    "In the European Union it is forbidden to use it to infer emotions of people at work or in education, except for medical "
    "or safety reasons (AI Act, Regulation (EU) 2024/1689, Art. 5(1)(f)).",
    "People who are exposed to it must be told (Art. 50(3)).",
)
"""Sentences that every session stores, because they belong to its results."""

CONSENT_WORDS = "I agree that the words which I say are recognised and kept with this session."
CONSENT_AUDIO = "I agree that the sound of my voice is recorded and kept with this session."
_RIGHTS = "They stay on this computer. I may have parts of them removed, or all of it deleted, at any time and without reasons."


class Consent(msgspec.Struct, frozen=True):
    """What a participant agreed to.

    Attributes
    ----------
    text
        As it was shown.
    confirmed
        UTC, ISO 8601.
    how
        "asked in the terminal", or that the researcher confirmed to have it.
    """

    text: str
    confirmed: str
    how: str


def consent_text(*, words: bool, audio: bool) -> str:
    """What has to be agreed to; empty where only scores are kept."""
    if not (words or audio):
        return ""
    sentences = [CONSENT_WORDS] * words + [CONSENT_AUDIO] * audio + [_RIGHTS]
    return " ".join(sentences)
