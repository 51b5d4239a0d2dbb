"""Write the pictures of the program that the documentation shows.

    .venv/bin/python packaging/screenshots.py [--microphone CLIP … | --sheets] [--folder FOLDER]

Without options, every screen is drawn in every state that it has, in both themes and two sizes (dialogs: as they open, and as
small as they may be at 200 %); see pictures/sheets.py for what becomes of that, and tests/gui/scenes.py for what there is. Live
scores come from a script and show the windows, not the model; filters, sincgram, sessions and replay are the shipped bundle's,
on the demonstration audio. The pictures are drawn on the display where there is one (such as ``xvfb-run`` makes), else without.
With ``--microphone``, sound files are played into a virtual microphone (PulseAudio's null sink) and captured by the running
dashboard; the picture, ``dashboard.png``, is taken while the last of them is being heard. Meanwhile ``dashboard.webp`` is
filmed: some seconds from the beginning of the second file on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pictures import ROOT


def main() -> int:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--whole", type=Path, default=ROOT / "build" / "screenshots", help="for whole pictures of everything")
    parser.add_argument("--only", nargs="+", metavar="GROUP", default=(), help="with --draw: these groups of scenes")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--microphone", nargs="+", type=Path, metavar="CLIP", help="play these into a virtual microphone")
    source.add_argument("--draw", type=int, metavar="FACTOR", help="draw whole pictures alone, in this process")
    source.add_argument("--sheets", action="store_true", help="draw nothing: put together what was drawn before")
    arguments = parser.parse_args()
    from realtime_ser.gui.qt import QtWidgets

    application = QtWidgets.QApplication(sys.argv[:1])
    application.setStyle("Fusion")
    if arguments.microphone:
        from pictures.film import shoot_microphone

        shoot_microphone(arguments.microphone, arguments.folder)
        return 0
    from gui.scenes import GROUPS
    from pictures.sheets import draw, draw_in_processes, put_together

    if arguments.draw:
        arguments.whole.mkdir(parents=True, exist_ok=True)
        draw(arguments.only or list(GROUPS), arguments.draw, arguments.whole)
    elif arguments.sheets:
        put_together(arguments.whole, arguments.folder)
    else:
        draw_in_processes(arguments.folder, arguments.whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
