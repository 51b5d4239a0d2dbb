"""Unpacking a model archive that came from elsewhere, without trusting it.

``zipfile`` drops ``..`` silently and believes the sizes that an archive states. Here anything but plain files and folders below
one top folder is refused, and the bytes that really come out are counted.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from realtime_ser.errors import RecognizerError

__all__ = ["unpack_model"]

_MAX_ENTRIES = 10_000
_MAX_RATIO = 100
"""Vosk's archives unpack to about twice their size; a bomb reaches thousands."""
_CHUNK = 1 << 18


def unpack_model(archive: Path, target: Path, max_bytes: int, progress: Callable[[int, int], None] | None = None) -> Path:
    """Unpack a ZIP archive with a single top folder and return that folder.

    Parameters
    ----------
    archive
        The archive.
    target
        An existing, empty folder. After an error it is left as it is, half filled: it should be a temporary one.
    max_bytes
        The archive may unpack to this many bytes, and to at most a hundred times its own size.
    progress
        Called with the bytes unpacked so far and in all.

    Raises
    ------
    RecognizerError
        The archive is damaged, too large when unpacked, or holds something that has no place in a model: paths that lead
        elsewhere, links, devices, encrypted or doubled entries.
    """
    try:
        with zipfile.ZipFile(archive) as package:
            return _unpack(package, target, min(max_bytes, _MAX_RATIO * archive.stat().st_size), progress)
    # RuntimeError: an encrypted entry, or a compression that zipfile does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        if isinstance(error, RecognizerError):
            raise
        raise RecognizerError(f"The archive {archive.name} is damaged: {error}.", "Fetch it again.") from error


def _unpack(package: zipfile.ZipFile, target: Path, limit: int, progress: Callable[[int, int], None] | None) -> Path:
    entries = package.infolist()
    if not entries or len(entries) > _MAX_ENTRIES:
        raise _refused(f"it has {len(entries)} entries")
    paths = [_safe_path(entry) for entry in entries]
    tops = {path.parts[0] for path in paths}
    if len(tops) != 1:
        raise _refused(f"it has {len(tops)} folders or files at its top where there should be one")
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        raise _refused(f"it says that it unpacks to {total} bytes, more than {limit}")
    written = 0
    for entry, path in zip(entries, paths, strict=True):
        place = target / path
        try:
            if entry.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            # "x": a second entry of the same name must not overwrite the first, also where case does not tell names apart.
            with package.open(entry) as source, place.open("xb") as sink:
                while chunk := source.read(_CHUNK):
                    written += len(chunk)
                    if written > limit:
                        raise _refused(f"it unpacks to more than {limit} bytes")
                    sink.write(chunk)
                    if progress is not None:
                        progress(written, total)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise _refused(f"it has {entry.filename!r} twice") from None
    return target / tops.pop()


def _safe_path(entry: zipfile.ZipInfo) -> Path:
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise _refused(f"the path {name!r} could lead out of its folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(f"{name!r} is a link or a device")
    if entry.flag_bits & 0x1:
        raise _refused(f"{name!r} is encrypted")
    return Path(*parts)


def _refused(why: str) -> RecognizerError:
    return RecognizerError(f"The model archive is not unpacked: {why}.", "Do not use it; fetch it from Vosk's own site.")
