"""The one place that imports Qt and pyqtgraph.

On Windows ONNX Runtime must be loaded before Qt: both bring a ``msvcp140.dll``, the one that is loaded first serves both, and
Qt's may be older than ONNX Runtime needs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from realtime_ser.errors import DisplayError

if sys.platform == "win32":  # before Qt: see above
    import onnxruntime  # noqa: F401

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

_PACKAGES = {
    "libEGL": "libegl1",
    "libGL": "libgl1",
    "libX11": "libx11-6",
    "libX11-xcb": "libx11-xcb1",
    "libdbus-1": "libdbus-1-3",
    "libfontconfig": "libfontconfig1",
    "libfreetype": "libfreetype6",
    "libglib-2.0": "libglib2.0-0",
    "libgthread-2.0": "libglib2.0-0",
    "libxcb": "libxcb1",
    "libxcb-cursor": "libxcb-cursor0",
    "libxcb-icccm": "libxcb-icccm4",
    "libxcb-image": "libxcb-image0",
    "libxcb-keysyms": "libxcb-keysyms1",
    "libxcb-randr": "libxcb-randr0",
    "libxcb-render": "libxcb-render0",
    "libxcb-render-util": "libxcb-render-util0",
    "libxcb-shape": "libxcb-shape0",
    "libxcb-shm": "libxcb-shm0",
    "libxcb-sync": "libxcb-sync1",
    "libxcb-util": "libxcb-util1",
    "libxcb-xfixes": "libxcb-xfixes0",
    "libxcb-xkb": "libxcb-xkb1",
    "libxkbcommon": "libxkbcommon0",
    "libxkbcommon-x11": "libxkbcommon-x11-0",
}
"""Debian's package of every shared library that Qt takes from the system."""

SYSTEM_PACKAGES = (
    "libegl1 libgl1 libdbus-1-3 libfontconfig1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-keysyms1 libxcb-randr0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 libx11-xcb1 fonts-dejavu-core"
)
"""What a bare Debian or Ubuntu needs for the window; apt pulls in the rest."""


def missing_library(error: Exception) -> DisplayError:
    """Say in the user's words which system library is missing, from the loader's message."""
    name = str(error).split(":", 1)[0]
    package = _PACKAGES.get(name.split(".so", 1)[0])
    if package is None:
        return DisplayError(
            f"The window's toolkit cannot be loaded: {error}.",
            f"On Debian or Ubuntu: sudo apt-get install {SYSTEM_PACKAGES}",
        )
    return DisplayError(
        f"The window needs the system library {name}, which is not installed.",
        f"On Debian or Ubuntu: sudo apt-get install {package} (or all that it may need: {SYSTEM_PACKAGES})",
    )


try:
    import pyqtgraph as pg  # type: ignore[import-untyped]
    from PySide6 import QtCore, QtGui, QtSvg, QtWidgets
    from PySide6 import __version__ as binding_version
except ImportError as error:
    raise missing_library(error) from error

__all__ = ["SYSTEM_PACKAGES", "Qt", "QtCore", "QtGui", "QtSvg", "QtWidgets", "check_display", "missing_library", "pg"]

Qt = QtCore.Qt


def _refuse_flawed_binding() -> None:
    """Raise where plotting would end the process: PySide6 6.12.0 on Python 3.11.

    There, every method without a result gives back a reference to None that it never took; where None is an ordinary object
    (before Python 3.12) the interpreter aborts after a minute of drawing. The flaw is looked for, not the version.
    """
    tries = 64
    rect = QtCore.QRectF()
    before = sys.getrefcount(None)
    for _ in range(tries):
        rect.setWidth(1.0)
    if before - sys.getrefcount(None) > tries // 2:
        version = ".".join(map(str, sys.version_info[:2]))
        raise DisplayError(
            f"PySide6 {binding_version} cannot be used with Python {version}: it would end the program while it draws.",
            'Install another one: pip install "PySide6-Essentials<6.12", or use Python 3.12 or later.',
        )


_refuse_flawed_binding()


def check_display() -> None:
    """Raise :class:`DisplayError` where Qt would abort the process: no display, or a library of its X11 plug-in missing.

    Qt does not raise for either; it ends the process. To be called before the application object is made.
    """
    if sys.platform != "linux":
        return
    platform = os.environ.get("QT_QPA_PLATFORM", "").split(":", 1)[0]
    if platform not in {"", "xcb"} or (not platform and os.environ.get("WAYLAND_DISPLAY")):
        return
    if not os.environ.get("DISPLAY"):
        raise DisplayError(
            "There is no display: neither DISPLAY nor WAYLAND_DISPLAY is set.",
            "Run this in a desktop session, through ssh -X, or under xvfb-run.",
        )
    plugins = Path(QtCore.QLibraryInfo.path(QtCore.QLibraryInfo.LibraryPath.PluginsPath))
    try:
        ctypes.CDLL(str(plugins / "platforms" / "libqxcb.so"))
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise missing_library(error) from error
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if refused:
        raise DisplayError(
            f"The display {os.environ['DISPLAY']} cannot be reached.",
            "Check that DISPLAY names a running X server that this user may use.",
        )
