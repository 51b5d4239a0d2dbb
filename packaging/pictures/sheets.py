"""Every screen in every state: whole pictures to look at, and sheets that are small enough to be kept.

The whole pictures, some two hundred, lie in a folder that git ignores. What is kept are a sheet a screen, on which every state
stands in both themes and both sizes, and the pictures that the documentation shows as they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gui.scene import Scene
from gui.scenes import GROUPS

from pictures import ROOT
from pictures.tools import save_image, write_webp
from realtime_ser.gui.qt import Qt, QtCore, QtGui
from realtime_ser.gui.theme import PALETTES

__all__ = ["draw", "draw_in_processes", "put_together"]

LARGER = 2
"""Factor of the size at which dialogs are drawn the second time; windows are drawn in another size instead."""

SHOWN = {
    "dashboard, recording, dark": "recording.png",
    "two people, both heard, light": "two-people.png",
    "presentation, last minute, dark": "presentation.png",
    "inside, an utterance, light": "inside.png",
    "settings, above, light": "settings.png",
    "explorer, classes, light": "explorer-classes.png",
    "sincgram, frozen, dark": "sincgram.png",
    "record, with consent, one person, dark": "record.png",
    "sessions, one was interrupted, dark": "sessions.png",
    "replay, an utterance corrected, dark": "replay.png",
    "replay, compared with a later scoring, dark": "replay-compared.png",
}
"""What the documentation shows whole, in its smallest size of those that are not made larger."""

WITH_DIALOGS = {"inside", "first", "dialogs", "sessions"}
"""Groups of scenes in which there is one that is drawn larger."""

_CELL, _ENLARGED, _ASIDE = 720, 480, 400
"""Width of a picture on a sheet: of the smallest size, whose letters can be read; enlarged; of a larger size."""
_GAP, _TITLE = 12, 26
_PAGE, _INK = "#6b7280", "#ffffff"
_QUALITY = 45


def _variants(scene: Scene, factor: int) -> list[tuple[tuple[int, int], str]]:
    """Sizes in which a scene is drawn where everything is `factor` times as large, and what they are called."""
    if factor == 1:
        sizes = scene.sizes[:1] if scene.dialog else scene.sizes
        return [(size, f"{size[0]}x{size[1]}") for size in sizes]
    return [(scene.sizes[-1], f"{100 * factor} percent")] if scene.dialog else []


def draw(groups: Sequence[str], factor: int, folder: Path) -> None:
    """Draw the scenes of these groups into `folder`, in a process whose factor of the size is `factor`."""
    for group in groups:
        if factor != 1 and group not in WITH_DIALOGS:
            continue
        with tempfile.TemporaryDirectory() as place:
            for scene in GROUPS[group](Path(place)):
                for size, called in _variants(scene, factor):
                    for theme in PALETTES:
                        scene.show(theme, size)
                        name = f"{scene.screen}, {scene.state}, {theme}, {called}.png"
                        scene.widget.grab().save(str(folder / name))
                sys.stdout.write(f"{scene.screen}: {scene.state}\n")
                sys.stdout.flush()


def draw_in_processes(folder: Path, whole: Path) -> None:
    """Draw everything into `whole`, once as usual and the dialogs once larger, and put `folder` together from it.

    Processes of their own, because Qt reads the factor at its start; their home is an empty folder, so that nobody's settings,
    sessions or paths are in the pictures.
    """
    whole.mkdir(parents=True, exist_ok=True)
    for old in whole.glob("*.png"):
        old.unlink()
    own = ("XDG_CONFIG", "XDG_DATA", "REALTIME_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    with tempfile.TemporaryDirectory() as home:  # of both, so that the second finds the sessions that the first recorded
        for factor in (1, LARGER):
            environment = {**kept, "HOME": home, "QT_SCALE_FACTOR": str(factor), "REALTIME_SER_LOG": os.devnull}
            command = [sys.executable, str(ROOT / "packaging" / "screenshots.py"), "--draw", str(factor), "--whole", str(whole)]
            subprocess.run(command, env=environment, check=True)
    put_together(whole, folder)


def put_together(whole: Path, folder: Path) -> None:
    """Write what is kept from the whole pictures that were drawn."""
    pictures = _drawn(whole)
    for name, path in SHOWN.items():
        usual = [one for one in pictures if f"{one.screen}, {one.state}, {one.theme}" == name and not one.larger]
        smallest = min((QtGui.QImage(str(one.path)) for one in usual), key=lambda image: image.width())
        save_image(smallest, folder / path)
    for old in (folder / "screens").glob("*.webp"):
        old.unlink()
    for screen in dict.fromkeys(picture.screen for picture in pictures):
        sheet = _sheet([picture for picture in pictures if picture.screen == screen])
        write_webp([sheet], folder / "screens" / f"{screen.replace(' ', '-')}.webp", _QUALITY)


@dataclass(frozen=True)
class _Picture:
    path: Path
    screen: str
    state: str
    theme: str
    called: str

    @property
    def larger(self) -> bool:
        return self.called.endswith("percent")


def _drawn(whole: Path) -> list[_Picture]:
    """What lies in the folder, in the order in which it was drawn."""
    pictures = []
    for path in sorted(whole.glob("*.png"), key=lambda path: path.stat().st_mtime_ns):
        screen, rest = path.stem.split(", ", 1)
        state, theme, called = rest.rsplit(", ", 2)
        pictures.append(_Picture(path, screen, state, theme, called))
    return pictures


def _sheet(pictures: Sequence[_Picture]) -> QtGui.QImage:
    """A row a state, its smallest pictures as wide as a cell or as they are."""
    states = list(dict.fromkeys(picture.state for picture in pictures))
    smooth = Qt.TransformationMode.SmoothTransformation
    rows = []
    for state in states:
        shown = sorted((one for one in pictures if one.state == state), key=lambda one: one.larger)
        images = [QtGui.QImage(str(picture.path)) for picture in shown]
        least = min(image.width() for image in images)
        row = []
        for picture, image in zip(shown, images, strict=True):
            cell = _ENLARGED if picture.larger else _CELL if image.width() == least else _ASIDE
            row.append((picture, image.scaledToWidth(min(cell, image.width()), smooth)))
        rows.append((state, row))
    width = _GAP + max(sum(image.width() + _GAP for _, image in row) for _, row in rows)
    height = _GAP + sum(_TITLE + max(image.height() for _, image in row) + _GAP for _, row in rows)
    sheet = QtGui.QImage(width, height, QtGui.QImage.Format.Format_RGB32)
    sheet.fill(QtGui.QColor(_PAGE))
    painter = QtGui.QPainter(sheet)
    font = painter.font()
    font.setPixelSize(15)
    painter.setFont(font)
    painter.setPen(QtGui.QColor(_INK))
    top = _GAP
    for state, row in rows:
        called = " · ".join(dict.fromkeys(picture.called.replace("x", " × ").replace("percent", "%") for picture, _ in row))
        title = QtCore.QRect(_GAP, top, width, _TITLE - 6)
        painter.drawText(title, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, f"{state}   ({called})")
        left = _GAP
        for _, image in row:
            painter.drawImage(left, top + _TITLE, image)
            left += image.width() + _GAP
        top += _TITLE + max(image.height() for _, image in row) + _GAP
    painter.end()
    return sheet
