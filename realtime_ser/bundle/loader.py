"""Finding and opening bundles.

Every file's hash is compared with the manifest's whenever it is read, and the very bytes that were checked are handed to ONNX
Runtime: what was checked is what runs. All are checked when a bundle is opened, but only the networks in use stay in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realtime_ser.bundle.filter_files import (
    HISTORY_NAME,
    RELIANCE_NAME,
    CutoffHistory,
    Reliance,
    parse_history,
    parse_reliance,
)
from realtime_ser.bundle.manifest import Manifest, digest, parse_manifest
from realtime_ser.errors import BundleError

__all__ = [
    "BUNDLE_VARIABLE", "DEFAULT_BUNDLE", "MANIFEST_NAME", "REQUIRED_FILES",
    "Bundle", "asset_path", "find_bundles", "load_bundle", "read_manifest",
]  # fmt: skip

MANIFEST_NAME = "manifest.json"
REQUIRED_FILES = ("bands.onnx", "trunk.onnx", "head.onnx", "text.onnx", "fusion.onnx", "vocabulary.txt")
DEFAULT_BUNDLE = "default-bundle"
"""Name of the bundle that is shipped and used unless another one is chosen."""
BUNDLE_VARIABLE = "REALTIME_SER_BUNDLE"
"""Environment variable that names a bundle folder to use instead of the default one."""

_LARGEST_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle, all of whose files were there and as the manifest describes them.

    Attributes
    ----------
    fingerprint
        SHA-256 of the manifest, in hex; the manifest holds the hashes of all other files.
    reliance
        Which filters the classes rely on, where the bundle says so.
    history
        How the filters moved in training, where the bundle says so.
    """

    path: Path
    manifest: Manifest
    fingerprint: str
    reliance: Reliance | None = None
    history: CutoffHistory | None = None

    def content(self, name: str) -> bytes:
        """The bytes of the file `name`, read and checked now.

        Raises
        ------
        BundleError
            It was altered or removed since the bundle was opened.
        KeyError
            The manifest names no such file.
        """
        return _checked(self.path, name, self.manifest.files[name])

    def vocabulary(self) -> tuple[str, ...]:
        """The text network's tokens in the order of their indices; index 0 pads, index 1 stands for unknown words."""
        return tuple(self.content("vocabulary.txt").decode("utf-8").removesuffix("\n").split("\n"))


def _asset_roots() -> tuple[Path, ...]:
    package = Path(__file__).resolve().parent.parent
    # An installed wheel carries the assets inside the package; a checkout keeps them beside it.
    return package / "_assets", package.parent / "assets"


def asset_path(name: str) -> Path:
    """Path of a file or folder that ships with the program.

    Raises
    ------
    BundleError
        Where the installation lacks it.
    """
    for root in _asset_roots():
        if (root / name).exists():
            return root / name
    raise BundleError(f"This installation lacks {name}.", "Install realtime-ser again.")


def find_bundles() -> dict[str, Path]:
    """Bundle folders that ship with the program, by folder name; an unreadable one is listed too."""
    found: dict[str, Path] = {}
    for root in _asset_roots():
        if root.is_dir():
            for manifest in sorted(root.glob(f"*/{MANIFEST_NAME}")):
                found.setdefault(manifest.parent.name, manifest.parent)
    return found


def resolve_bundle(choice: str | Path | None) -> Path:
    """Folder of the chosen bundle: a path, the name of a shipped one, or ``None`` for the environment's or the default one."""
    if choice is None:
        choice = os.environ.get(BUNDLE_VARIABLE) or DEFAULT_BUNDLE
    path = Path(choice)
    if path.is_dir():
        return path
    shipped = find_bundles()
    if str(choice) in shipped:
        return shipped[str(choice)]
    names = ", ".join(shipped) or "none"
    raise BundleError(f"There is no bundle {str(choice)!r}.", f"Give a bundle folder or one of the shipped bundles: {names}.")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BundleError(f"{path} is larger than any bundle file may be.", "Fetch or build the bundle again.")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", "Fetch or build the bundle again.") from error


def _checked(folder: Path, name: str, expected: str) -> bytes:
    data = _read(folder / name)
    if digest(data) != expected.lower():
        raise BundleError(
            f"The file {name} of the bundle {folder} is not the one that its manifest describes.",
            "It was altered or damaged: fetch or build the bundle again.",
        )
    return data


def read_manifest(choice: str | Path | None = None) -> Manifest:
    """The manifest alone, without reading the networks."""
    path = resolve_bundle(choice) / MANIFEST_NAME
    return parse_manifest(_read(path), str(path))


def load_bundle(choice: str | Path | None = None, report: Callable[[int, int], None] | None = None) -> Bundle:
    """Open a bundle and check every file of it.

    Parameters
    ----------
    choice
        Folder, name of a shipped bundle, or ``None`` for the one that the environment variable ``REALTIME_SER_BUNDLE`` names,
        else the default one.
    report
        Told before every file how many are done and how many there are; what it raises ends the loading.

    Raises
    ------
    BundleError
        When a file is missing, altered, or the manifest does not fit this program.
    """
    folder = resolve_bundle(choice)
    written = _read(folder / MANIFEST_NAME)
    manifest = parse_manifest(written, str(folder / MANIFEST_NAME))
    unlisted = [name for name in REQUIRED_FILES if name not in manifest.files]
    if unlisted:
        raise BundleError(f"The bundle {folder} lists no hash for {', '.join(unlisted)}.", "Fetch or build the bundle again.")
    small: dict[str, bytes] = {}
    for number, (name, expected) in enumerate(manifest.files.items()):
        if report is not None:
            report(number, len(manifest.files))
        if Path(name).name != name:
            raise BundleError(f"The bundle {folder} names a file outside itself: {name!r}.", "Do not use this bundle.")
        data = _checked(folder, name, expected)
        if name in {"vocabulary.txt", RELIANCE_NAME, HISTORY_NAME}:
            small[name] = data
    try:
        small["vocabulary.txt"].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"The vocabulary of the bundle {folder} is not UTF-8 text.", "Build the bundle again.") from error
    reliance, history = small.get(RELIANCE_NAME), small.get(HISTORY_NAME)
    return Bundle(
        folder,
        manifest,
        digest(written),
        None if reliance is None else parse_reliance(reliance, manifest, str(folder / RELIANCE_NAME)),
        None if history is None else parse_history(history, manifest, str(folder / HISTORY_NAME)),
    )
