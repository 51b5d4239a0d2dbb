"""What the tool can and cannot tell, what the law says, and the keys: the text behind the Help button. No Qt here."""

from __future__ import annotations

import html

from realtime_ser.gui.theme import Palette

__all__ = ["KEYS", "SHORT_NOTE", "help_markup"]

SHORT_NOTE = "Scores of how speech sounds and reads, not of what a person feels."
"""Always in the window."""

KEYS = (
    ("Space", "start or stop"),
    ("Ctrl+I", "choose the input"),
    ("Ctrl+O", "open a recording"),
    ("Ctrl+P", "two people, or one"),
    ("P", "of two people: whose voice filters, presentation, inside, sincgram and health show"),
    ("Ctrl+R", "record a session"),
    ("1 to 9", "mark this moment, while a session is recorded"),
    ("N", "write a note about this moment, while a session is recorded"),
    ("F5", "look for microphones again"),
    ("C", "reset CLIP, the mark of a level that was too high"),
    ("M", "frequency axis in mel or Hz"),
    ("Z", "timeline of 20 or 60 seconds"),
    ("Ctrl+T", "dark or light"),
    ("Ctrl+,", "settings"),
    ("Ctrl+B", "explore the filters"),
    ("Ctrl+L", "what the filters hear, live, beside a mel spectrogram"),
    ("Ctrl+A", "inside the fusion: parts and attention"),
    ("F1", "this text"),
    ("F2", "health: every figure, the log, and a report to copy"),
    ("F3", "first steps: use notice, microphone test, words"),
    ("F4", "recorded sessions: replay, export, delete"),
    ("F11", "presentation: the whole screen for an audience"),
    ("Esc", "leave the presentation"),
    ("Ctrl+Q", "quit"),
)

_CAN = (
    "It compares how an utterance sounds, and which words were recognised in it, with acted and spontaneous recordings that "
    "people had labelled, and gives a probability for each of a few labels.",
    "The big word is the paper's result for the utterance so far; the verdict is its result for the whole utterance. Faint "
    "lines are single windows of a quarter of a second: evidence, not results.",
    "Where the probability is below the bundle's threshold, it says “unsure”. Without a voice it claims nothing.",
)
_CANNOT = (
    "It does not know what anybody feels or means. People hide, play and mix emotions, and express them differently; so do "
    "languages, cultures, ages and some conditions. A label is a guess about an expression.",
    "It knows no more than its classes: everything else, from fear to boredom, is forced into them or left unsure.",
    "It is less reliable for voices, languages, microphones and rooms that are unlike its training data, and with "
    "background noise, several speakers or wrongly recognised words.",
    "It must not be used to decide anything about a person: not hiring, not grades, not credit, not health, not guilt.",
)
_LAW = (
    "In the European Union, Regulation (EU) 2024/1689 (the AI Act), Article 5(1)(f), prohibits using AI systems to infer "
    "emotions of people at work and in education, except for medical or safety reasons.",
    "Elsewhere, Article 50(3) obliges whoever uses an emotion recognition system to inform the people exposed to it, and "
    "to process their personal data lawfully. Tell people before you start, also where no law requires it.",
    "This is a summary, not legal advice.",
)


def help_markup(palette: Palette, bundle_name: str, card_summary: str, recognizer_note: str) -> str:
    """Everything as rich text, in the theme's colours; the bundle's own words are escaped."""
    heading = f'<h3 style="color:{palette.accent}; margin-bottom:2px">'

    def section(title: str, sentences: tuple[str, ...]) -> str:
        items = "".join(f'<li style="margin-bottom:4px">{html.escape(sentence)}</li>' for sentence in sentences)
        return f"{heading}{title}</h3><ul style='margin-top:2px'>{items}</ul>"

    keys = "".join(
        f'<tr><td style="padding-right:14px"><b>{html.escape(key)}</b></td><td>{html.escape(what)}</td></tr>'
        for key, what in KEYS
    )
    model = html.escape(card_summary).replace("\n", "<br>") if card_summary else "no model is loaded"
    title = f"The model: {html.escape(bundle_name)}" if bundle_name else "The model"
    words = f"<p>{html.escape(recognizer_note)}</p>" if recognizer_note else ""
    return (
        section("What it can tell", _CAN)
        + section("What it cannot tell", _CANNOT)
        + section("What the law says", _LAW)
        + f"{heading}{title}</h3><p>{model}</p>{words}{heading}Keys</h3><table>{keys}</table>"
    )
