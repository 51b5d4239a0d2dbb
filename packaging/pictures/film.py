"""The picture and the film of the README: the running program, hearing speech in a virtual microphone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pictures.tools import room_noise, save, settle, write_webp
from realtime_ser.controller import Controller
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.window import DashboardWindow

__all__ = ["shoot_microphone"]

FILM_SECONDS, FILM_RATE = 9, 8
"""Length of the film, and pictures in a second."""


@contextmanager
def play_clips(clips: Sequence[Path]) -> Iterator[Callable[[DashboardWindow, Film], None]]:
    """Speech into a virtual microphone in a quiet room, a second and a half apart, up to the last second of the last clip."""
    import soundfile
    from virtual_microphone import VirtualMicrophone

    microphone = VirtualMicrophone()
    os.environ.update(microphone.settings)

    def play(window: DashboardWindow, film: Film) -> None:
        window.refresh_inputs()
        settle(window, 1.0)
        window.start()
        settle(window, 4.0)
        for number, clip in enumerate(clips):
            if number == min(1, len(clips) - 1):
                film.start()
            player = microphone.start_playing(clip)
            heard = soundfile.info(clip).duration
            settle(window, heard - 1.0 if clip == clips[-1] else heard + 1.5)
            if clip != clips[-1]:
                player.wait()

    with room_noise(microphone):
        yield play


class Film:
    """Takes a picture of a window at even times, and writes them as an animated WebP.

    Parameters
    ----------
    width
        Of the film in pixels; the pictures are made smaller, which no text that is to be read survives below half the size.
    """

    def __init__(self, window: QtWidgets.QWidget, width: int = 960) -> None:
        self._window, self._width = window, width
        self._images: list[QtGui.QImage] = []
        self._timer = QtCore.QTimer(window)
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(1_000 / FILM_RATE))
        self._timer.timeout.connect(self._take)

    def start(self) -> None:
        """Begin to film."""
        self._timer.start()

    def _take(self) -> None:
        self._images.append(self._window.grab().toImage())
        if len(self._images) >= FILM_SECONDS * FILM_RATE:
            self._timer.stop()

    def save(self, path: Path) -> None:
        """Write what was filmed."""
        smooth = QtCore.Qt.TransformationMode.SmoothTransformation
        images = [image.scaledToWidth(self._width, smooth) for image in self._images]
        write_webp(images, path, quality=55, duration=round(1_000 / FILM_RATE))


def shoot_microphone(clips: Sequence[Path], folder: Path) -> None:
    """The picture of the README: the running program, hearing speech."""
    with play_clips(clips) as play, tempfile.TemporaryDirectory() as temporary:
        settings = QtCore.QSettings(str(Path(temporary) / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        made: list[Any] = []

        def factory() -> Any:
            made.append(Controller())
            return made[0]

        window = DashboardWindow(factory, settings)
        window.resize(1280, 800)
        window.show()
        settle(window)
        film = Film(window)
        play(window, film)
        save(window, folder / "dashboard.png")
        film.save(folder / "dashboard.webp")
        window.close()
