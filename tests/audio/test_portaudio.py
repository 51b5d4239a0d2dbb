"""Which device is meant, and what the user is told where there is none."""

from __future__ import annotations

import builtins
import platform
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from realtime_ser.audio import portaudio
from realtime_ser.audio.microphone import MicrophoneSource
from realtime_ser.audio.portaudio import InputDevice, PortAudio, choose, list_devices
from realtime_ser.errors import DeviceError
from realtime_ser.types import Block


def device(index: int, name: str, api: str = "ALSA", default: bool = False) -> InputDevice:
    return InputDevice(index, name, api, channels=2, rate=48_000, default=default, loopback=False)


DEVICES = [
    device(0, "Microsoft Sound Mapper", "MME"),
    device(3, "Headset (USB Audio)", "MME"),
    device(5, "USB Audio", "WASAPI"),
    device(7, "Headset (USB Audio)", "WASAPI", default=True),
    device(9, "Camera", "WASAPI"),
]


@pytest.mark.parametrize(
    ("selector", "index"),
    [
        (None, 7),
        (3, 3),
        ("9", 9),
        ("camera", 9),
        ("usb audio", 5),  # a whole name wins over a part of one
        ("HEADSET", 7),  # there through two interfaces: the default device's
    ],
)
def test_a_selector_means_one_device(selector: int | str | None, index: int) -> None:
    assert choose(selector, DEVICES).index == index


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (4, r"no microphone with index 4\. Choose one of: 0 “Microsoft Sound Mapper” \(MME\); 3 .*; 9 “Camera” \(WASAPI\)"),
        ("banjo", "no microphone named “banjo”. Choose one of: 0 “Microsoft"),
        ("", "no microphone named “”"),
        ("o", "“o” fits 4 microphones. Choose one by its index: 0 “Microsoft"),
    ],
)
def test_a_selector_that_means_none_or_many_lists_the_candidates(selector: int | str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        choose(selector, DEVICES)


def test_without_devices_or_without_a_default_the_user_is_told_what_to_do() -> None:
    with pytest.raises(DeviceError, match=r"There is no microphone\. Plug one in"):
        choose(None, [])
    with pytest.raises(DeviceError, match=r"no default microphone\. Choose one of: 9 “Camera”"):
        choose(None, DEVICES[-1:])


@pytest.mark.parametrize(
    ("system", "release", "command"),
    [
        ("linux", {"ID": "ubuntu", "ID_LIKE": "debian"}, "sudo apt install libportaudio2"),
        ("linux", {"ID": "mint", "ID_LIKE": "ubuntu debian"}, "sudo apt install libportaudio2"),
        ("linux", {"ID": "fedora"}, "sudo dnf install portaudio"),
        ("linux", {"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "sudo zypper install libportaudio2"),
        ("linux", {"ID": "unheard-of"}, "Debian, Ubuntu: libportaudio2"),
        ("linux", None, "Debian, Ubuntu: libportaudio2"),
        ("darwin", None, "pip install --force-reinstall sounddevice"),
        ("win32", None, "pip install --force-reinstall sounddevice"),
    ],
)
def test_a_missing_portaudio_names_the_package(
    monkeypatch: pytest.MonkeyPatch, system: str, release: dict[str, str] | None, command: str
) -> None:
    real_import = builtins.__import__

    def without_portaudio(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real_import(name, *rest)

    def os_release() -> dict[str, str]:
        if release is None:
            raise OSError("no os-release")
        return release

    monkeypatch.setattr(builtins, "__import__", without_portaudio)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "freedesktop_os_release", os_release)
    with pytest.raises(DeviceError, match="PortAudio library not found") as raised:
        list_devices()
    assert command in raised.value.remedy


class FakeSoundDevice:
    """sounddevice's queries, as the real one answers them (0.5.6)."""

    class PortAudioError(Exception):
        pass

    def __init__(self, default: int) -> None:
        self.default = default

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        return ({"name": "ALSA"}, {"name": "JACK"})

    def query_devices(self, kind: str | None = None) -> Any:
        names = ["Built-in Audio", "Speakers", "Monitor of Built-in Audio", "BlackHole 2ch"]
        rows = [
            {
                "name": name,
                "index": index,
                "hostapi": index % 2,
                "max_input_channels": index != 1,
                "default_samplerate": 44_100.0,
            }
            for index, name in enumerate(names)
        ]
        if kind is None:
            return rows
        if self.default < 0:
            raise self.PortAudioError("Error querying device -1")
        return rows[self.default]


def test_the_list_holds_inputs_and_marks_default_and_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "_sounddevice", lambda: FakeSoundDevice(default=2))
    rows = PortAudio().devices()
    assert [(row.index, row.host_api, row.rate, row.default, row.loopback) for row in rows] == [
        (0, "ALSA", 44_100, False, False),
        (2, "ALSA", 44_100, True, True),
        (3, "JACK", 44_100, False, True),
    ]
    monkeypatch.setattr(portaudio, "_sounddevice", lambda: FakeSoundDevice(default=-1))
    assert not any(row.default for row in PortAudio().devices())


def test_only_the_libraries_are_silent_while_a_device_is_opened() -> None:
    code = (
        "import os, sys, threading\n"
        "from realtime_ser.audio.portaudio import _quiet\n"
        "def tell(text):\n"
        "    thread = threading.Thread(target=print, args=(text,), kwargs={'file': sys.stderr, 'flush': True})\n"
        "    thread.start(); thread.join()\n"
        "for turn in '12':\n"
        "    with _quiet():\n"
        "        os.write(2, b'ALSA lib: noise\\n')\n"
        "        tell('markers are received ' + turn)\n"
        "    tell('after ' + turn)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines() == ["markers are received 1", "after 1", "markers are received 2", "after 2"]


class StuckStream:
    """A stream of a sound server that was killed: ending it never returns."""

    latency = 0.0

    def __init__(self) -> None:
        self.released = threading.Event()
        self.calls = 0

    def abort(self, ignore_errors: bool) -> None:
        self.calls += 1
        assert self.released.wait(60)

    close = abort


def test_a_stream_that_does_not_end_is_left_to_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, no_thread_left: None
) -> None:
    monkeypatch.setattr(portaudio, "_ENDS_WITHIN", 0.05)
    monkeypatch.setattr(portaudio, "_open_streams", set())
    inner = StuckStream()
    stream = portaudio._Stream(inner, FakeSoundDevice(default=0), "The microphone “Headset”")
    stream.abort()
    stream.close()
    assert inner.calls == 1  # it is not asked a second time
    assert portaudio._open_streams == {stream}  # PortAudio is not initialised again under it
    assert "“Headset” does not end its stream" in caplog.text
    inner.released.set()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "end of a stream"]
    thread.join(60)


@pytest.mark.usefixtures("virtual_microphone")
def test_the_list_is_made_anew_beside_an_open_stream_which_goes_on_behind_a_gap() -> None:
    source = MicrophoneSource(retry_seconds=0.1)
    assert PortAudio().devices_beside() is None  # nothing is open: this process can look by itself
    source.open()
    try:
        assert next_block(source).span.first == 0
        beside = PortAudio().devices_beside()
        assert beside is not None
        assert [device.name for device in beside] == [device.name for device in PortAudio().devices()]
        assert PortAudio().renew()
        while not (block := next_block(source)).gap_before:
            pass
        assert [event.kind for event in source.drain_events()] == ["device-lost", "device-back"]
        assert block.span.first > 0
        assert PortAudio().renew()
        assert source.status().device.startswith("default")
    finally:
        source.close()  # a stream that was ended by others is closed again without harm


def next_block(source: MicrophoneSource) -> Block:
    deadline = time.monotonic() + 60
    while (block := source.read(0.2)) is None:
        assert time.monotonic() < deadline
    return block
