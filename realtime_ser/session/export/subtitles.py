"""Subtitles with emotion: SubRip (``.srt``) and WebVTT (``.vtt``). An abstention is written as what it is."""

from __future__ import annotations

import html
from pathlib import Path

from realtime_ser.session.reader import Row, Session, is_bleed

__all__ = ["write_srt", "write_vtt"]


def write_srt(session: Session, path: Path) -> None:
    """A subtitle per utterance: ``[emotion 87 %] words``, of several people behind ``Name:``. Raises :class:`OSError`."""
    blocks = []
    for number, (one, row) in enumerate(_spoken(session), 1):
        times = f"{_time(session, row['start_sample'], ',')} --> {_time(session, row['end_sample'], ',')}"
        who = f"{one.name}: " if one.name else ""
        blocks.append(f"{number}\n{times}\n{who}[{_verdict(row)}]{_words(row)}\n")
    path.write_text("\n".join(blocks), encoding="utf-8")


def write_vtt(session: Session, path: Path) -> None:
    """The same for browsers, with a class to style every emotion by, and a voice for everybody. Raises :class:`OSError`."""
    blocks = ["WEBVTT\n"]
    for one, row in _spoken(session):
        times = f"{_time(session, row['start_sample'], '.')} --> {_time(session, row['end_sample'], '.')}"
        # Class names end at white space and dots.
        name = "".join(letter if letter.isalnum() else "-" for letter in row["label"] or row["state"])
        verdict = html.escape(_verdict(row), quote=False)
        who = f"<v {html.escape(one.name, quote=False)}>" if one.name else ""
        number = f"{one.person}-{row['utterance']}" if one.name else row["utterance"]
        blocks.append(f"{number}\n{times}\n{who}<c.{name}>[{verdict}]</c>{html.escape(_words(row), quote=False)}\n")
    path.write_text("\n".join(blocks), encoding="utf-8")


def _spoken(session: Session) -> list[tuple[Session, Row]]:
    """Everybody's utterances, in the order in which they begin, with the session as whose they are."""
    spoken = [(one, row) for one in session.everybody() for row in one.utterances()]
    return sorted(spoken, key=lambda entry: int(entry[1]["start_sample"]))


def _verdict(row: Row) -> str:
    return f"{row['label'] or row['state']} {row['confidence']:.0%}" + ", probably bleed" * is_bleed(row)


def _words(row: Row) -> str:
    said = " ".join((row["corrected"] or row["words"]).split())
    return f" {said}" if said else ""


def _time(session: Session, sample: int, mark: str) -> str:
    milliseconds = round(1000 * sample / session.header.sample_rate)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{rest:03d}"
