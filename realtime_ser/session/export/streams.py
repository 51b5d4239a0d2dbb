"""A session as XDF: the streams of the Lab Streaming Layer outlet, and what else it holds, for tools that merge recordings.

Every sample is stamped with the end of what it is about (a window's last sample, the end of voice), as the outlet stamps it, in
seconds of the session. Where the session knows LSL's clock, offsets of the stream's clock to it are written beside, as
LabRecorder does: readers add them unless they are told not to, and then read times on one clock with LabRecorder's files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realtime_ser.session.export.xdf import XdfChannel, XdfStream, XmlTree, write_xdf
from realtime_ser.session.reader import Row, Session

__all__ = ["lsl_offsets", "write_session_xdf"]

_OFFSET_EVERY = 10
"""Anchors, hence five seconds, to an offset: as often as LabRecorder asks."""


def write_session_xdf(session: Session, path: Path) -> None:
    """Write windows (regular), and estimates, utterances, words, markers, notes, events and gaps (JSON) as streams of XDF.

    Of several people everybody has streams of their own, named after them; markers and notes are everybody's.

    Raises
    ------
    OSError
        It cannot be written.
    """
    header = session.header
    offsets = lsl_offsets(session)
    info: XmlTree = {"datetime": header.created, "session_id": header.id}
    streams: list[XdfStream] = []
    for one in session.everybody():
        kinds: dict[str, Sequence[Row]] = {
            "estimates": one.estimates(),
            "utterances": one.utterances(),
            "words": one.words(),
            "events": one.events(),
            "gaps": one.gaps(),
        }
        streams.append(_windows(one, offsets))
        streams += [_texts(one, kind, rows, offsets) for kind, rows in kinds.items()]
    streams += [_texts(session, "markers", session.markers(), offsets, everybodys=True)]
    streams += [_texts(session, "notes", session.notes(), offsets, everybodys=True)]
    write_xdf(path, info, streams)


def lsl_offsets(session: Session) -> list[tuple[float, float]]:
    """What to add to seconds of the session to get LSL's clock, at moments some seconds apart; empty where it is not known.

    The clock of the samples is that of the sound card, which runs a little faster or slower than the computer's, so the offset
    changes slowly.
    """
    rate = session.header.sample_rate
    clocks = [row for row in session.clocks() if row["name"] == "LSL"]
    # A file has no capture time.
    anchors = [row for row in session.anchors() if row["kind"] == "capture"]
    if not clocks or not anchors:
        return []
    known = np.array([row["sample"] for row in clocks])
    found = []
    for first in range(0, len(anchors), _OFFSET_EVERY):
        group = anchors[first : first + _OFFSET_EVERY]
        times = [row["sample"] / rate for row in group]
        nearest = [clocks[int(np.abs(known - row["sample"]).argmin())]["offset"] for row in group]
        apart = [row["perf_counter"] + offset - at for row, offset, at in zip(group, nearest, times, strict=True)]
        # The median: a single block may have come late.
        found.append((float(np.mean(times)), float(np.median(apart))))
    return found


def _windows(session: Session, offsets: Sequence[tuple[float, float]]) -> XdfStream:
    header = session.header
    windows = session.windows()
    channels = [XdfChannel(name, "probability", "Emotion") for name in header.classes]
    return XdfStream(
        name=_named("Realtime SER windows", session.name),
        type="Emotion",
        source=f"realtime-ser-windows{_numbered(session)}-{header.id}",
        rate=header.sample_rate / header.hop,
        channels=[*channels, XdfChannel("voiced", "0 or 1", "Emotion")],
        stamps=(windows.first + windows.length) / header.sample_rate,
        values=np.column_stack((windows.scores, windows.voiced.astype(np.float32))),
        clock_offsets=offsets,
        description={
            **_description(session, "end of the window", session.name),
            "window_seconds": repr(header.window / header.sample_rate),
            # Readers that smooth the stamps of regular streams would draw what lies behind a gap into it.
            "synchronization": {"can_drop_samples": "true"},
        },
    )


def _named(stream: str, person: str) -> str:
    return f"{stream} {person}" if person else stream


def _numbered(session: Session) -> str:
    return f"-{session.person}" if session.name else ""


def _texts(
    session: Session, kind: str, rows: Sequence[Row], offsets: Sequence[tuple[float, float]], *, everybodys: bool = False
) -> XdfStream:
    person = "" if everybodys else session.name
    rate = session.header.sample_rate
    stamped = []
    for row in rows:
        rest = dict(row)
        if not session.header.people:
            rest.pop("bleed", None)
        single = rest.pop("sample", None)
        first, end = rest.pop("start_sample", single), rest.pop("end_sample", single)
        times = {"start": None if first is None else first / rate, "end": None if end is None else end / rate}
        about = {"type": kind.removesuffix("s"), **({"person": person} if person else {})}
        text = json.dumps({**about, **times, **rest}, ensure_ascii=False)
        # A remark about the whole session is told at its beginning.
        stamped.append((0.0 if end is None else end / rate, text))
    stamped.sort(key=lambda entry: entry[0])
    return XdfStream(
        name=_named(f"Realtime SER {kind}", person),
        type="Markers",
        source=f"realtime-ser-{kind}{_numbered(session) if person else ''}-{session.header.id}",
        rate=0.0,
        channels=[XdfChannel(kind, "JSON", "Markers")],
        stamps=np.array([at for at, _ in stamped], np.float64),
        values=[text for _, text in stamped],
        clock_offsets=offsets,
        description=_description(session, "end of what it is about", person),
    )


def _description(session: Session, stamp: str, person: str) -> dict[str, str | XmlTree]:
    header = session.header
    return {
        "manufacturer": "Realtime SER",
        "version": header.program,
        "bundle": {
            "name": f"{header.bundle.name} {header.bundle.version}",
            "manifest_sha256": header.bundle.sha256,
        },
        "recognizer": header.recognizer,
        "scores": session.scores or "as recorded",
        **({"person": person} if person else {}),
        "participant": header.participant,
        "condition": header.condition,
        "session": {"id": header.id, "begun": header.created, "ended": session.state().message},
        "stamp": f"{stamp}, in seconds of the session",
    }
