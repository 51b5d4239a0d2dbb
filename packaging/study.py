"""Write the pictures of commands in docs/researchers.md: a small study, run from start to end with real speech.

    .venv/bin/python packaging/study.py CLIP CLIP … [--folder FOLDER]

The clips are played into a virtual microphone (PulseAudio's null sink), in which there is a little noise. The dashboard records
one participant; the program in the terminal records another one and is killed; then both sessions are listed, scored again by
random networks, exported, summed up and drawn. Everything that is shown is what the program wrote. Windows are drawn by
screenshots.py.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
import soundfile
from bundle_factory import write_bundle
from pictures.tools import room_noise, save, save_image, settle, wait
from PySide6 import QtSvg
from virtual_microphone import VirtualMicrophone

from realtime_ser.cli import main as realtime_ser
from realtime_ser.controller import Controller
from realtime_ser.gui.qt import QtCore, QtGui, QtWidgets
from realtime_ser.gui.recording import SessionDialog
from realtime_ser.gui.theme import DARK
from realtime_ser.gui.window import DashboardWindow
from realtime_ser.session.format import session_folders

COLUMNS = 152
PAUSE = 1.2
"""Seconds between two clips: utterances end."""
SIZE = (1180, 740)


class Terminal:
    """What commands write, as a picture.

    Parameters
    ----------
    hidden
        Path that is left out of what is shown: where the study lies on this machine tells nobody anything.
    """

    def __init__(self, hidden: Path) -> None:
        self._hidden = hidden
        self._lines: list[str] = []

    def run(self, *arguments: str, first: int | None = None) -> None:
        """Run ``realtime-ser`` and keep what it writes, or only the `first` lines of it."""
        shown = " ".join(f'"{argument}"' if " " in argument else argument for argument in arguments)
        with contextlib.redirect_stdout(io.StringIO()) as written, contextlib.redirect_stderr(written):
            status = realtime_ser(list(arguments))
        if status:
            raise RuntimeError(f"{shown}: {written.getvalue()}")
        told = written.getvalue().rstrip().splitlines()
        self._lines += [f"$ realtime-ser {shown}", *told[:first], *(["…"] if len(told[:first]) < len(told) else []), ""]

    def save(self, path: Path) -> None:
        """Paint everything since the last picture."""
        text = "\n".join(self._lines[:-1]).replace(f"{self._hidden}{os.sep}", "").replace(str(self._hidden), ".")
        self._lines = []
        page = QtWidgets.QPlainTextEdit(text)
        page.setReadOnly(True)
        page.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        font = QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(13)
        page.setFont(font)
        page.setWordWrapMode(QtGui.QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        page.setStyleSheet(f"background: {DARK.well}; color: {DARK.text}; padding: 8px;")
        for policy in (page.setVerticalScrollBarPolicy, page.setHorizontalScrollBarPolicy):
            policy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        metrics = page.fontMetrics()
        page.resize(metrics.horizontalAdvance("m" * COLUMNS) + 40, 4_000)
        page.show()
        QtWidgets.QApplication.processEvents()
        page.moveCursor(QtGui.QTextCursor.MoveOperation.End)
        page.resize(page.width(), page.cursorRect().bottom() + 32)
        page.moveCursor(QtGui.QTextCursor.MoveOperation.Start)
        QtWidgets.QApplication.processEvents()
        save(page, path)
        page.close()


def record_in_the_dashboard(microphone: VirtualMicrophone, clips: Sequence[Path], study: Path) -> None:
    """One participant, with the consent to keep everything."""
    settings = QtCore.QSettings(str(study.parent / "dashboard.ini"), QtCore.QSettings.Format.IniFormat)
    settings.setValue("sessions", str(study))
    controller = Controller()
    window = DashboardWindow(lambda: controller, settings)
    window.resize(*SIZE)
    window.show()
    settle(window)
    window.refresh_inputs()
    settle(window, 1.0)
    window.record()
    dialog: Any = window.findChild(SessionDialog)
    dialog.participant.setText("P01")
    dialog.condition.setText("rest")
    dialog.note.setText("a pilot")
    dialog.marker_names.setText("stimulus, response, break")
    dialog.folder.setText(str(study))
    dialog.keep_words.setChecked(True)
    dialog.keep_audio.setChecked(True)
    dialog.agreed.setChecked(True)
    dialog.begin.click()
    while (status := controller.recording()) is None or status.seconds < 2.0:
        settle(window, 0.1)
    for number, clip in enumerate(clips):
        last = number == len(clips) - 1
        window.mark("1")
        player = microphone.start_playing(clip)
        settle(window, soundfile.info(clip).duration * (0.8 if last else 0.5))
        while player.poll() is None:
            settle(window, 0.05)
        settle(window, PAUSE)
    window.mark("3")
    window.stop()
    while window.recording:
        settle(window, 0.1)
    window.close()


def record_and_be_killed(microphone: VirtualMicrophone, clips: Sequence[Path], study: Path) -> None:
    """Another participant, in the terminal, until the program is killed in the middle of speech."""
    command = [sys.executable, "-m", "realtime_ser", "listen", "--input", "microphone", "--record", str(study)]
    command += ["--participant", "P02", "--condition", "stress", "--keep-words", "--keep-audio", "--consent", "--json"]
    with subprocess.Popen(
        command, env=microphone.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()  # it hears
        for clip in clips[:-1]:
            microphone.play(clip)
            wait(PAUSE)
        player = microphone.start_playing(clips[-1])
        wait(soundfile.info(clips[-1]).duration / 2)
        program.send_signal(signal.SIGKILL)
        player.wait()


def drawn(figure: Path) -> QtGui.QImage:
    """A vector figure on white paper."""
    renderer = QtSvg.QSvgRenderer(str(figure))
    size = renderer.defaultSize().scaled(SIZE[0], SIZE[1], QtCore.Qt.AspectRatioMode.KeepAspectRatio)
    image = QtGui.QImage(size, QtGui.QImage.Format.Format_RGB32)
    image.fill(QtCore.Qt.GlobalColor.white)
    painter = QtGui.QPainter(image)
    renderer.render(painter)
    painter.end()
    return image


def main() -> int:
    """Parse the command line and run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="speech; the first one is said to be “kids are …”")
    parser.add_argument("--folder", type=Path, default=pictures.ROOT / "docs" / "images")
    arguments = parser.parse_args()
    application = QtWidgets.QApplication(sys.argv[:1])
    application.setStyle("Fusion")
    microphone = VirtualMicrophone()
    os.environ.update(microphone.settings)
    clips, folder = arguments.clips, arguments.folder
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        study = root / "study"
        with room_noise(microphone):
            record_in_the_dashboard(microphone, clips, study)
            record_and_be_killed(microphone, clips[:3], study)
        # Short names, as a user would give them, so that commands fit on a line.
        for session, name in zip(session_folders(study), ("P01-rest", "P02-stress"), strict=True):
            session.rename(study / name)
        first, second = study / "P01-rest", study / "P02-stress"
        terminal = Terminal(root)
        terminal.run("sessions", "list", str(study))
        terminal.run("sessions", "show", str(second), first=5)
        terminal.save(folder / "study-interrupted.png")
        terminal.run("sessions", "rescore", str(first), "--bundle", str(write_bundle(root / "other-bundle")), "--name", "other")
        terminal.save(folder / "study-rescored.png")
        terminal.run("sessions", "export", str(first), "--to", str(root / "out"), "--format", "elan", "--format", "xdf")
        terminal.run("sessions", "summary", str(study))
        terminal.run("sessions", "show", str(first), "--methods")
        terminal.save(folder / "study-report.png")
        terminal.run("sessions", "figure", str(first), "--out", str(root / "timeline.svg"))
        save_image(drawn(root / "timeline.svg"), folder / "study-timeline.png")
    microphone.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
