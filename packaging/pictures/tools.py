"""How windows are driven and pictures are written."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realtime_ser.gui.qt import QtGui, QtWidgets
from realtime_ser.gui.window import DashboardWindow

if TYPE_CHECKING:
    from virtual_microphone import VirtualMicrophone

__all__ = ["room_noise", "save", "save_image", "settle", "wait", "with_few_colours", "write_webp"]


_ROOM = 1e-3
"""Largest value of a room's noise, 60 dB below full scale."""
_ROOM_SECONDS = 600


@contextmanager
def room_noise(microphone: VirtualMicrophone) -> Iterator[None]:
    """Let a virtual microphone hear a quiet room, too: one that is exactly silent is taken for a muted one."""
    import soundfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "room.wav"
        soundfile.write(path, np.random.default_rng(1).uniform(-_ROOM, _ROOM, _ROOM_SECONDS * 16_000), 16_000)
        playing = microphone.start_playing(path)
        try:
            yield
        finally:
            playing.terminate()
            playing.wait()


def settle(window: DashboardWindow, seconds: float = 0.0) -> None:
    """Let the window work until everything is loaded, and for `seconds`."""
    until = time.monotonic() + seconds
    while window.worker_busy or time.monotonic() < until:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)
    for _ in range(8):
        window.tick()
        QtWidgets.QApplication.processEvents()


def wait(seconds: float) -> None:
    """Let time pass, and Qt paint."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)


def with_few_colours(image: QtGui.QImage) -> QtGui.QImage:
    """The picture in its 256 most frequent colours. Qt's own reduction uses a fixed palette, which changes every hue."""
    width, height = image.width(), image.height()
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(height, width) & 0xFFFFFF
    # Colours that differ by less than four steps a channel share a place, so that shades do not crowd out the rest.
    coarse = pixels & 0xFCFCFC
    colours, place, counts = np.unique(coarse, return_inverse=True, return_counts=True)
    kept = np.argsort(counts)[::-1][:256]
    channels = np.stack([(colours >> shift) & 0xFF for shift in (16, 8, 0)], axis=1).astype(np.int64)
    nearest = np.array([((channels[kept] - one) ** 2).sum(axis=1).argmin() for one in channels], dtype=np.uint8)
    # Of every place, the colour that is really there most often.
    table = []
    for index in kept:
        real, often = np.unique(pixels[coarse == colours[index]], return_counts=True)
        table.append(0xFF000000 | int(real[often.argmax()]))
    indices = np.ascontiguousarray(nearest[place].reshape(height, width))
    reduced = QtGui.QImage(indices.data, width, height, width, QtGui.QImage.Format.Format_Indexed8)
    reduced.setColorTable(table)
    return reduced.copy()


def save(window: QtWidgets.QWidget, path: Path) -> None:
    """Write a picture of what a window shows."""
    save_image(window.grab().toImage(), path)


def save_image(image: QtGui.QImage, path: Path) -> None:
    """Write a picture with few colours, which is what a small PNG needs."""
    image = with_few_colours(image.convertToFormat(QtGui.QImage.Format.Format_RGB32))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = QtGui.QImageWriter(str(path), b"png")
    writer.setCompression(100)
    if not writer.write(image):
        raise OSError(f"{path} cannot be written: {writer.errorString()}")
    sys.stdout.write(f"{path} ({path.stat().st_size // 1024} KiB)\n")


def write_webp(images: list[QtGui.QImage], path: Path, quality: int, duration: int = 0) -> None:
    """Write a picture, or several as a film that shows each for `duration` milliseconds."""
    from PIL import Image

    pictures = []
    for image in images:
        image = image.convertToFormat(QtGui.QImage.Format.Format_RGBA8888)
        pictures.append(Image.frombytes("RGBA", (image.width(), image.height()), bytes(image.constBits())).convert("RGB"))
    first, *others = pictures
    film = {"save_all": True, "append_images": others, "duration": duration, "loop": 0} if others else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, quality=quality, method=6, **film)
    sys.stdout.write(f"{path} ({path.stat().st_size // 1024} KiB)\n")
