"""Write the pictures of the dashboard that the documentation shows.

    .venv/bin/python packaging/screenshots.py [--real | --microphone CLIP …] [--folder FOLDER]

Without options the scores come from a script (tests/gui/scripted_controller.py): they show the window, not the model. The
filter-bank explorer is shown with the shipped bundle, the live sincgram on the demonstration audio.
With ``--real``, the demonstration audio runs through the real engine for fifty seconds.
With ``--microphone``, sound files are played into a virtual microphone (PulseAudio's null sink) and captured by the running
dashboard; the picture, ``dashboard.png``, is taken while the last of them is being heard. Meanwhile ``dashboard.webp`` is
filmed: some seconds from the beginning of the second file on.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np  # noqa: E402 - the paths and the platform come first
from gui.scripted_controller import ScriptedController  # noqa: E402

from realtime_ser.bundle.loader import load_bundle  # noqa: E402
from realtime_ser.gui.explorer.study import Study  # noqa: E402
from realtime_ser.gui.explorer.window import ExplorerWindow  # noqa: E402
from realtime_ser.gui.inside.window import InsideWindow  # noqa: E402
from realtime_ser.gui.panels.panel import Look  # noqa: E402
from realtime_ser.gui.presentation import Presentation  # noqa: E402
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets  # noqa: E402
from realtime_ser.gui.settings_dialog import SettingsDialog  # noqa: E402
from realtime_ser.gui.theme import PALETTES, class_styles  # noqa: E402
from realtime_ser.gui.window import DashboardWindow  # noqa: E402

SECONDS = 70.0
REAL_SECONDS = 50.0
SINCGRAM_SECONDS = 10.0
FILM_SECONDS, FILM_RATE = 9, 8
"""Length of the film, and pictures in a second."""
SHOTS = (("dark", 1600, 1000), ("light", 1600, 1000), ("dark", 1024, 700), ("light", 1024, 700))


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


def shoot(make: Callable[[], Any], play: Callable[[DashboardWindow, Any], None], folder: Path, prefix: str) -> None:
    """One window for all pictures, so that all show the same moment."""
    with tempfile.TemporaryDirectory() as temporary:
        settings = QtCore.QSettings(str(Path(temporary) / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        made: list[Any] = []

        def factory() -> Any:
            made.append(make())
            return made[0]

        window = DashboardWindow(factory, settings)
        window.resize(SHOTS[0][1], SHOTS[0][2])
        window.show()
        settle(window)
        play(window, made[0])
        for theme, width, height in SHOTS:
            if window.theme != theme:
                window.toggle_theme()
            window.resize(width, height)
            settle(window)
            save(window, folder / f"{prefix}-{theme}-{width}x{height}.png")
        window.close()


def shoot_windows(folder: Path) -> None:
    """What the dashboard's keys open, over the script: presentation, the inside of the fusion, settings; both themes."""
    with tempfile.TemporaryDirectory() as temporary:
        controller = ScriptedController()
        settings = QtCore.QSettings(str(Path(temporary) / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        window = DashboardWindow(lambda: controller, settings)
        window.resize(1280, 800)
        window.show()
        settle(window)
        play_script(window, controller)
        window.show_inside()
        window.show_settings()
        settle(window)
        inside, dialog = window.findChild(InsideWindow), window.findChild(SettingsDialog)
        inside.step(-1)
        settle(window)
        settle(window)
        inside.choose_size(1)
        inside.choose_row(2)
        inside.resize(900, 820)
        for theme in PALETTES:
            if window.theme != theme:
                window.toggle_theme()
            settle(window)
            save(inside, folder / f"inside-{theme}.png")
            save(dialog, folder / f"settings-{theme}.png")
        inside.close()
        dialog.close()
        window.toggle_presentation()
        settle(window)
        picture = window.findChild(Presentation)
        for theme, width, height in (("dark", 1280, 720), ("light", 1280, 720), ("dark", 1024, 768), ("light", 1920, 1080)):
            if window.theme != theme:
                window.toggle_theme()
            picture.resize(width, height)
            save(picture, folder / f"presentation-{theme}-{width}x{height}.png")
        window.close()


def shoot_explorer(folder: Path) -> None:
    """The shipped bundle's filters, and which of them its classes rely on; both themes, two sizes."""
    bundle = load_bundle("default-bundle")
    for page, theme, width, height in (
        ("filters", "dark", 1024, 700),
        ("classes", "light", 1024, 700),
        ("filters", "light", 1600, 1000),
        ("classes", "dark", 1600, 1000),
    ):
        palette = PALETTES[theme]
        window = ExplorerWindow(Study.of_bundle(bundle), Look(palette, class_styles(bundle.manifest.classes, palette)))
        window.resize(width, height)
        window.show()
        window.show_page(("filters", "classes").index(page))
        while not window.page.built:
            window.tick()
        {"filters": window.filters, "classes": window.reliance}[page].choose(40)
        QtWidgets.QApplication.processEvents()
        save(window, folder / f"explorer-{page}-{theme}-{width}x{height}.png")
        window.close()


def shoot_sincgram(folder: Path) -> None:
    """The first seconds of the demonstration audio through the real engine, frozen; both themes, two sizes."""
    from realtime_ser.controller import Controller

    with tempfile.TemporaryDirectory() as temporary:
        settings = QtCore.QSettings(str(Path(temporary) / "settings.ini"), QtCore.QSettings.Format.IniFormat)
        dashboard = DashboardWindow(lambda: Controller(recognizer="none"), settings, choose=("demo", ""))
        dashboard.show()
        settle(dashboard)
        dashboard.show_sincgram()
        window = dashboard.sincgram
        assert window is not None  # the bundle is loaded
        dashboard.start()
        while window.model.position < SINCGRAM_SECONDS * window.model.rate:
            settle(dashboard, 0.1)
        window.choose(20)
        window.set_frozen(True)
        for theme, width, height in (("dark", 1024, 700), ("light", 1600, 1000)):
            if dashboard.theme != theme:
                dashboard.toggle_theme()
            window.resize(width, height)
            settle(dashboard)
            save(window, folder / f"sincgram-{theme}-{width}x{height}.png")
        dashboard.close()


def play_script(window: DashboardWindow, controller: ScriptedController) -> None:
    """Seventy seconds of the script, as fast as they can be drawn."""
    window.start()
    for _ in range(round(SECONDS)):
        controller.advance(1.0)
        window.tick()


def play_demonstration(window: DashboardWindow, controller: Any) -> None:
    """The demonstration audio in real time."""
    window.start()
    settle(window, REAL_SECONDS)


def play_clips(clips: Sequence[Path]) -> Callable[[DashboardWindow, Film], None]:
    """Speech into a virtual microphone, a second and a half apart, up to the last second of the last clip."""
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

    return play


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
        from PIL import Image

        smooth = QtCore.Qt.TransformationMode.SmoothTransformation
        pictures = []
        for image in self._images:
            small = image.scaledToWidth(self._width, smooth).convertToFormat(QtGui.QImage.Format.Format_RGBA8888)
            pictures.append(Image.frombytes("RGBA", (small.width(), small.height()), bytes(small.constBits())).convert("RGB"))
        first, *others = pictures
        duration = round(1_000 / FILM_RATE)
        first.save(path, save_all=True, append_images=others, duration=duration, loop=0, quality=55, method=6)


def shoot_microphone(clips: Sequence[Path], folder: Path) -> None:
    """The picture of the README: the running program, hearing speech."""
    from realtime_ser.controller import Controller

    play = play_clips(clips)
    with tempfile.TemporaryDirectory() as temporary:
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


def main() -> int:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--real", action="store_true", help="run the demonstration audio through the real engine")
    source.add_argument("--microphone", nargs="+", type=Path, metavar="CLIP", help="play these into a virtual microphone")
    arguments = parser.parse_args()
    application = QtWidgets.QApplication(sys.argv[:1])
    application.setStyle("Fusion")
    if arguments.microphone:
        shoot_microphone(arguments.microphone, arguments.folder)
    elif arguments.real:
        from realtime_ser.controller import Controller

        shoot(Controller, play_demonstration, arguments.folder, "dashboard")
    else:
        shoot(ScriptedController, play_script, arguments.folder, "dashboard-scripted")
        shoot_windows(arguments.folder)
        shoot_explorer(arguments.folder)
        shoot_sincgram(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
