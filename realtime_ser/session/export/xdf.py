"""The Extensible Data Format 1.0 (``.xdf``), in which LabRecorder keeps what came over the Lab Streaming Layer.

A file is the magic ``XDF:`` and a sequence of chunks, each with its length, a tag and a content; everything is little-endian.
The specification is at https://github.com/sccn/xdf/wiki/Specifications. Nothing here knows of sessions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from realtime_ser.types import FloatArray

__all__ = ["XdfChannel", "XdfStream", "XmlTree", "write_xdf"]

XmlTree: TypeAlias = Mapping[str, "str | XmlTree | Sequence[XmlTree]"]
"""XML by name of the element: text, elements, or the same element several times."""

_MAGIC = b"XDF:"
_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
_BOUNDARY_MARK = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
"""The specification's: whoever seeks in a file, or repairs one, finds the next chunk behind it."""

_SLICE = 10.0
"""Seconds after which streams take turns, with a boundary in between: the specification's advice."""

_TIMED = 8
"""Says that a sample has a time stamp, and how many bytes it takes."""


@dataclass(frozen=True, slots=True)
class XdfChannel:
    """One value of every sample of a stream."""

    label: str
    unit: str
    type: str


@dataclass(frozen=True, slots=True)
class XdfStream:
    """A stream with its samples.

    Attributes
    ----------
    name, type, source
        As in LSL: what it is called, what kind of content it has, and what identifies its source.
    rate
        Nominal, in Hz; 0: irregular.
    channels
        One or more.
    stamps
        Seconds, float64, shape ``(n,)``, ascending.
    values
        float32, shape ``(n, channels)``, or texts of a single channel, `n` of them.
    clock_offsets
        Moments of the stream's clock (s), and what has to be added to its stamps there to get another clock, to which readers
        synchronise all streams; empty: there is none.
    description
        Free; the channels are added.
    """

    name: str
    type: str
    source: str
    rate: float
    channels: Sequence[XdfChannel]
    stamps: NDArray[np.float64]
    values: FloatArray | Sequence[str]
    clock_offsets: Sequence[tuple[float, float]] = ()
    description: XmlTree = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.values) != len(self.stamps):
            raise ValueError(f"every sample needs one stamp, got {len(self.values)} samples and {len(self.stamps)} stamps")
        width = self.values.shape[1] if isinstance(self.values, np.ndarray) else 1
        if width != len(self.channels):
            raise ValueError(f"{self.name} must have {width} channels, as its values have, got {len(self.channels)}")
        for times in (self.stamps, [at for at, _ in self.clock_offsets]):
            if np.any(np.diff(times) < 0.0):
                raise ValueError(f"the stamps and clock offsets of {self.name} must ascend")


def write_xdf(path: Path, info: XmlTree, streams: Sequence[XdfStream]) -> None:
    """Write a file whose header holds `info` beside the version of the format. Raises :class:`OSError`."""
    with path.open("wb") as file:
        file.write(_MAGIC)
        _write_chunk(file, _FILE_HEADER, _xml({"version": "1.0", **info}))
        for number, stream in enumerate(streams, 1):
            _write_chunk(file, _STREAM_HEADER, _xml(_header(stream)), number)
        asked = [np.array([at for at, _ in stream.clock_offsets], np.float64) for stream in streams]
        moments = np.concatenate([*asked, *(stream.stamps for stream in streams), [0.0]])
        start, last = float(moments.min()), float(moments.max())
        for turn in range(int((last - start) // _SLICE) + 1):
            edges = start + turn * _SLICE, start + (turn + 1) * _SLICE
            for number, (stream, times) in enumerate(zip(streams, asked, strict=True), 1):
                for offset in stream.clock_offsets[slice(*np.searchsorted(times, edges))]:
                    _write_chunk(file, _CLOCK_OFFSET, struct.pack("<dd", *offset), number)
                among = slice(*np.searchsorted(stream.stamps, edges))
                if among.start < among.stop:
                    _write_chunk(file, _SAMPLES, _samples(stream, among), number)
            _write_chunk(file, _BOUNDARY, _BOUNDARY_MARK)
        for number, stream in enumerate(streams, 1):
            _write_chunk(file, _STREAM_FOOTER, _xml(_footer(stream)), number)


# Contents -----------------------------------------------------------------------------------------------------------------


def _header(stream: XdfStream) -> XmlTree:
    listed = [{"label": channel.label, "unit": channel.unit, "type": channel.type} for channel in stream.channels]
    return {
        "name": stream.name,
        "type": stream.type,
        "channel_count": str(len(stream.channels)),
        "nominal_srate": repr(float(stream.rate)),
        "channel_format": "float32" if isinstance(stream.values, np.ndarray) else "string",
        "source_id": stream.source,
        "desc": {**stream.description, "channels": {"channel": listed}},
    }


def _footer(stream: XdfStream) -> XmlTree:
    known = len(stream.stamps) > 0
    return {
        "first_timestamp": repr(float(stream.stamps[0])) if known else "",
        "last_timestamp": repr(float(stream.stamps[-1])) if known else "",
        "sample_count": str(len(stream.stamps)),
        "clock_offsets": {"offset": [{"time": repr(at), "value": repr(offset)} for at, offset in stream.clock_offsets]},
    }


def _samples(stream: XdfStream, among: slice) -> bytes:
    stamps = stream.stamps[among]
    head = _number(len(stamps))
    if isinstance(stream.values, np.ndarray):
        form = np.dtype([("timed", "u1"), ("stamp", "<f8"), ("values", "<f4", (len(stream.channels),))])
        packed = np.empty(len(stamps), form)
        packed["timed"], packed["stamp"], packed["values"] = _TIMED, stamps, stream.values[among]
        return head + packed.tobytes()
    return head + b"".join(_text_samples(stamps, stream.values[among]))


def _text_samples(stamps: NDArray[np.float64], texts: Sequence[str]) -> Iterator[bytes]:
    for stamp, text in zip(stamps.tolist(), texts, strict=True):
        content = text.encode("utf-8")
        yield struct.pack("<Bd", _TIMED, stamp) + _number(len(content)) + content


# Chunks -------------------------------------------------------------------------------------------------------------------


def _write_chunk(file: BinaryIO, tag: int, content: bytes, stream: int | None = None) -> None:
    inside = struct.pack("<H", tag) + (b"" if stream is None else struct.pack("<I", stream)) + content
    file.write(_number(len(inside)))
    file.write(inside)


def _number(value: int) -> bytes:
    """A count with the number of bytes that it takes before it: 1, 4 or 8."""
    for size, form in ((1, "<BB"), (4, "<BI")):
        if value < 1 << (8 * size):
            return struct.pack(form, size, value)
    return struct.pack("<BQ", 8, value)


def _xml(tree: XmlTree) -> bytes:
    root = ElementTree.Element("info")
    _fill(root, tree)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _fill(element: ElementTree.Element, tree: XmlTree) -> None:
    for name, content in tree.items():
        for part in [content] if isinstance(content, str | Mapping) else content:
            child = ElementTree.SubElement(element, name)
            if isinstance(part, str):
                # XML has no way to write other control characters.
                child.text = "".join(letter if letter.isprintable() else " " for letter in part)
            else:
                _fill(child, part)
