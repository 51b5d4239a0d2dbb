"""Annotation tools: ELAN (``.eaf``) and Praat (``.TextGrid``).

Both are small, documented text formats that a few lines write; other programs' readers check them in the tests. Times are
rounded to the millisecond for ELAN, whose clock has no finer unit, and written in full for Praat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from realtime_ser.session.reader import Session, is_bleed

__all__ = ["Annotation", "Tier", "sound_name", "tiers", "write_elan", "write_textgrid"]

_POINT_MS = 1
"""ELAN knows no points in time: a marker is as short as it can be."""

_TRIM = 1 / 16_000


@dataclass(frozen=True, slots=True)
class Annotation:
    """A stretch of the stream (samples) and what is said of it."""

    first: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Tier:
    """Annotations of one kind, in order; `points`: they have no length; `person`: whose they are, where there are several."""

    name: str
    annotations: tuple[Annotation, ...]
    points: bool = False
    person: str = ""


def tiers(session: Session) -> list[Tier]:
    """What annotation tools are given: verdicts (an abstention as its state), labels, words, bleed, markers, notes, gaps.

    Of several people everybody has tiers of their own, named as ELAN's users do: ``emotion@Anna``.
    """
    made = []
    for one in session.everybody():
        for tier in _tiers_of(one):
            made.append(replace(tier, name=f"{tier.name}@{one.name}", person=one.name) if one.name else tier)
    made += [
        Tier("markers", _points([(row["sample"], row["name"]) for row in session.markers()]), points=True),
        Tier(
            "notes",
            _points([(row["sample"], row["text"]) for row in session.notes() if row["sample"] is not None]),
            points=True,
        ),
    ]
    return [tier for tier in made if tier.annotations]


def _tiers_of(session: Session) -> list[Tier]:
    """Those of one person."""
    utterances = session.utterances()
    spans = [(row["start_sample"], row["end_sample"]) for row in utterances]
    return [
        Tier(
            "emotion",
            tuple(Annotation(*span, row["label"] or row["state"]) for span, row in zip(spans, utterances, strict=True)),
        ),
        Tier(
            "confidence",
            tuple(Annotation(*span, f"{row['confidence']:.3f}") for span, row in zip(spans, utterances, strict=True)),
        ),
        Tier(
            "annotated",
            tuple(
                Annotation(*span, row["annotation"])
                for span, row in zip(spans, utterances, strict=True)
                if row["annotation"] is not None
            ),
        ),
        Tier(
            "utterance words",
            tuple(
                Annotation(*span, row["corrected"] or row["words"])
                for span, row in zip(spans, utterances, strict=True)
                if row["corrected"] or row["words"]
            ),
        ),
        Tier(
            "bleed",
            tuple(
                Annotation(*span, f"probably another's voice {row['bleed']:.0%}")
                for span, row in zip(spans, utterances, strict=True)
                if is_bleed(row)
            ),
        ),
        Tier("words", _apart([Annotation(row["start_sample"], row["end_sample"], row["text"]) for row in session.words()])),
        Tier("gaps", tuple(Annotation(row["start_sample"], row["end_sample"], "not heard") for row in session.gaps())),
    ]


def _points(rows: Sequence[tuple[int, str]]) -> tuple[Annotation, ...]:
    """At most one point at a time: Praat refuses two, so what falls together is written together."""
    together: dict[int, list[str]] = {}
    for sample, text in sorted(rows, key=lambda row: row[0]):
        together.setdefault(sample, []).append(text)
    return tuple(Annotation(sample, sample, "; ".join(texts)) for sample, texts in together.items())


def _apart(annotations: list[Annotation]) -> tuple[Annotation, ...]:
    """Recognisers let words touch and sometimes overlap by a frame; tiers of intervals may not overlap."""
    found: list[Annotation] = []
    for annotation in sorted(annotations, key=lambda entry: (entry.first, entry.end)):
        first = max(annotation.first, found[-1].end) if found else annotation.first
        if first < annotation.end:
            found.append(Annotation(first, annotation.end, annotation.text))
    return tuple(found)


def write_elan(session: Session, path: Path) -> None:
    """Write ELAN's format 3.0. Raises :class:`OSError`."""
    rate = session.header.sample_rate
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"Realtime SER {session.header.program}",
            "DATE": session.header.created,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    head = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    for one in session.everybody():
        if one.has_audio:
            name = sound_name(one)
            media = {"MEDIA_URL": name, "RELATIVE_MEDIA_URL": f"./{name}", "MIME_TYPE": "audio/flac"}
            ElementTree.SubElement(head, "MEDIA_DESCRIPTOR", media)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots = 0
    for tier in tiers(session):
        about = {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": tier.name}
        element = ElementTree.SubElement(root, "TIER", {**about, "PARTICIPANT": tier.person} if tier.person else about)
        for annotation in tier.annotations:
            start = round(1000 * annotation.first / rate)
            end = max(round(1000 * annotation.end / rate), start + _POINT_MS)
            references = {}
            for name, milliseconds in (("TIME_SLOT_REF1", start), ("TIME_SLOT_REF2", end)):
                slots += 1
                references[name] = f"ts{slots}"
                ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{slots}", "TIME_VALUE": str(milliseconds)})
            holder = ElementTree.SubElement(element, "ANNOTATION")
            entry = ElementTree.SubElement(holder, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{slots // 2}", **references})
            ElementTree.SubElement(entry, "ANNOTATION_VALUE").text = _printable(annotation.text)
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", kind)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def write_textgrid(session: Session, path: Path) -> None:
    """Write Praat's long text format. Raises :class:`OSError`."""
    rate = session.header.sample_rate
    known = tiers(session)
    lengths = [one.samples for one in session.everybody()]
    last = max([*lengths, *(annotation.end for tier in known for annotation in tier.annotations)])
    # Praat wants a length, also of what holds nothing.
    total = max(last / rate, _TRIM)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {total!r}", "tiers? <exists>"]
    lines += [f"size = {len(known)}", "item []:"]
    for number, tier in enumerate(known, 1):
        kind, item = ("TextTier", "points") if tier.points else ("IntervalTier", "intervals")
        entries = tier.annotations if tier.points else _filled(tier.annotations, last)
        lines += [
            f"    item [{number}]:",
            f'        class = "{kind}"',
            f'        name = "{_quoted(tier.name)}"',
            "        xmin = 0",
        ]
        lines += [f"        xmax = {total!r}", f"        {item}: size = {len(entries)}"]
        for place, entry in enumerate(entries, 1):
            text = _quoted(entry.text)
            lines.append(f"        {item} [{place}]:")
            if tier.points:
                lines += [f"            number = {entry.first / rate!r}", f'            mark = "{text}"']
            else:
                lines += [f"            xmin = {entry.first / rate!r}", f"            xmax = {entry.end / rate!r}"]
                lines.append(f'            text = "{text}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _filled(annotations: Sequence[Annotation], last: int) -> list[Annotation]:
    """Praat's intervals cover everything: what lies between is an interval without a text."""
    filled: list[Annotation] = []
    position = 0
    for annotation in annotations:
        if annotation.first > position:
            filled.append(Annotation(position, annotation.first, ""))
        filled.append(annotation)
        position = annotation.end
    if position < last:
        filled.append(Annotation(position, last, ""))
    return filled


def sound_name(session: Session) -> str:
    """What the exported sound of a session, or of one of its people, is called."""
    return f"audio-{session.person}.flac" if session.header.people else "audio.flac"


def _quoted(text: str) -> str:
    return _printable(text).replace('"', '""')


def _printable(text: str) -> str:
    """One line, without characters that XML cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)
