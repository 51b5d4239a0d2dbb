"""Draw ``assets/icon.png`` (256 × 256) from ``assets/icon.svg``, with the Qt that the program uses anyway.

.venv/bin/python packaging/make_icon.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SIDE = 256


def main() -> int:
    """Write the picture."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication([])
    image = QImage(SIDE, SIDE, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(ASSETS / "icon.svg")).render(painter)
    painter.end()
    saved = image.save(str(ASSETS / "icon.png"))
    application.quit()
    return 0 if saved else 1


if __name__ == "__main__":
    sys.exit(main())
