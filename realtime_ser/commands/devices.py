"""``realtime-ser devices``: what can be listened to."""

from __future__ import annotations

import dataclasses
import json

from realtime_ser.audio.portaudio import list_devices
from realtime_ser.errors import DeviceError

__all__ = ["device_lines"]


def device_lines(*, as_json: bool = False) -> list[str]:
    """A line per microphone; `as_json`: one JSON array of all, which may be empty.

    Raises
    ------
    DeviceError
        PortAudio is missing, or there is nothing to capture from.
    """
    devices = list_devices()
    if as_json:
        return [json.dumps([dataclasses.asdict(device) for device in devices])]
    if not devices:
        raise DeviceError("There is no microphone.", "Plug one in, and check that the system's sound settings show it.")
    lines = [f"{'ID':>3}  {'Rate':>6}  {'Channels':>8}  Name"]
    for device in devices:
        marks = [mark for mark, set_ in (("default", device.default), ("what the computer plays", device.loopback)) if set_]
        suffix = f"  ({', '.join(marks)})" if marks else ""
        lines.append(f"{device.index:>3}  {device.rate:>6}  {device.channels:>8}  {device.name} – {device.host_api}{suffix}")
    return [*lines, "", "Use one with `--input microphone:ID` or `--input microphone:NAME`; a part of the name is enough."]
