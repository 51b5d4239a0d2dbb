"""Fetching Vosk models: the catalogue, a download that can be resumed, and checks before anything is installed.

Vosk's own downloader checks nothing and ends the program when something is wrong. This one raises
:class:`~realtime_ser.errors.RecognizerError` for whatever the network, the server, the disk or the archive does.

What is checked: against a SHA-256 that the user gives, else the one in :data:`CATALOGUE`, else the MD5 that Vosk publishes in
its model list, read over HTTPS from the same server when the model is fetched. The last of these guards against damage, not
against a server that was taken over; :attr:`FetchedModel.check` says which check was made.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import json
import re
import shutil
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from realtime_ser.asr.discovery import user_models_folder
from realtime_ser.asr.unpack import unpack_model
from realtime_ser.asr.vosk_models import VoskModelFolder, is_vosk_model
from realtime_ser.errors import ConfigError, RecognizerError

__all__ = ["CATALOGUE", "MODELS_URL", "CatalogueEntry", "FetchProgress", "FetchedModel", "fetch_model"]

MODELS_URL = "https://alphacephei.com/vosk/models/"
"""Where Vosk's models and their list, ``model-list.json``, are published."""

_CHUNK = 1 << 18
_MAX_ARCHIVE = 4 << 30
_MAX_UNPACKED = 12 << 30
_MAX_LIST = 1 << 22
_RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
_BY_HAND = "Without a connection here, fetch the ZIP file elsewhere and unpack it into {folder}."


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model that is known to suit the program.

    Attributes
    ----------
    size
        Bytes of the archive, as Vosk publishes it.
    sha256
        SHA-256 of the archive in hex, where independent distributors (Linux packages, other applications) agree on one;
        otherwise empty, and Vosk's published MD5 is used.
    """

    name: str
    language: str
    size: int
    summary: str
    sha256: str = ""


CATALOGUE: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        "vosk-model-small-en-us-0.15",
        "en-us",
        41_205_931,
        "US English, small: the recommended model",
        "30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498",
    ),
    CatalogueEntry(
        "vosk-model-en-us-0.22-lgraph",
        "en-us",
        130_557_655,
        "US English, larger: fewer errors, more memory and computing time",
        "d9838b4aaa82a75c4a17f5aca300eaca129aaab2a7cbf951bafbb500eb9c4334",
    ),
    CatalogueEntry("vosk-model-small-en-gb-0.15", "en-gb", 42_757_500, "British English, small"),
    CatalogueEntry("vosk-model-small-en-in-0.4", "en-in", 37_573_330, "Indian English, small"),
    CatalogueEntry("vosk-model-small-de-0.15", "de", 46_499_967, "German, small: for transcripts only"),
    CatalogueEntry("vosk-model-small-es-0.42", "es", 39_817_833, "Spanish, small: for transcripts only"),
    CatalogueEntry("vosk-model-small-fr-0.22", "fr", 42_233_323, "French, small: for transcripts only"),
)
"""Models offered by name; any other in Vosk's list can be fetched too. Words of other languages than English are shown, but
the text network, which learnt English, makes nothing of them."""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a fetch has come: `phase` is ``"download"``, ``"check"`` or ``"unpack"``; `done` and `total` are bytes."""

    phase: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """An installed model.

    Attributes
    ----------
    path
        Its folder.
    check
        Which check the archive passed, in plain words.
    fetched
        False when the model was there already.
    """

    path: Path
    check: str
    fetched: bool


@dataclass(frozen=True, slots=True)
class _Digest:
    algorithm: str
    hexadecimal: str
    origin: str


class _TransferError(Exception):
    """The transfer broke off; trying again, from where it stopped, may help."""


def fetch_model(
    name: str,
    *,
    folder: Path | None = None,
    sha256: str = "",
    base_url: str = MODELS_URL,
    progress: Callable[[FetchProgress], None] | None = None,
    replace: bool = False,
    timeout: float = 30.0,
    retry_delays: Sequence[float] = (0.5, 2.0, 5.0, 10.0),
    again: str = "run the command again",
) -> FetchedModel:
    """Download, check and install a Vosk model; blocks, in the calling thread.

    A transfer that breaks off is resumed, here and when the function is called again: what has come so far stays in `folder` as
    a hidden ``.part`` file. The model's folder appears in one step, complete, or not at all.

    Parameters
    ----------
    name
        Name in Vosk's list, e.g. ``vosk-model-small-en-us-0.15``.
    folder
        Folder that gets the model's folder; :func:`~realtime_ser.asr.discovery.user_models_folder` where none is given.
    sha256
        SHA-256 that the archive must have, in hex; stronger than anything that is known of it.
    base_url
        Another server with the same files, with a slash at its end. HTTPS, or a loopback address.
    progress
        Called from this thread, often. An exception that it raises ends the fetch (and can be resumed later).
    replace
        Install anew where a complete model is in place already.
    timeout
        Seconds without any data after which a connection counts as lost.
    retry_delays
        Seconds to wait before each retry; their number is the number of retries.
    again
        What its user does to go on with a fetch that failed.

    Raises
    ------
    ConfigError
        `name`, `sha256` or `base_url` cannot be right.
    RecognizerError
        Anything else that stands in the way, with what to do about it.
    """
    _check_arguments(name, sha256, base_url)
    folder = user_models_folder() if folder is None else folder
    target = folder / name
    if is_vosk_model(target) and not VoskModelFolder(target).missing() and not replace:
        return FetchedModel(target, "it was installed before and is complete", fetched=False)
    report = progress if progress is not None else _silent
    session = _Session(timeout, retry_delays, again, _BY_HAND.format(folder=folder))
    digest = _expected_digest(name, sha256.lower(), base_url, session)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{name}.zip.part"
        _download_and_check(base_url + name + ".zip", part, digest, session, report)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder, ignore_cleanup_errors=True) as scratch:
            unpacked = unpack_model(
                part, Path(scratch), _MAX_UNPACKED, lambda done, total: report(FetchProgress("unpack", done, total))
            )
            _install(unpacked, target, Path(scratch))
        part.unlink()
    except OSError as error:
        raise RecognizerError(f"The model cannot be stored in {folder}: {error}.", "Choose another folder.") from error
    return FetchedModel(target, f"{digest.algorithm.upper()} as {digest.origin}", fetched=True)


class _Session:
    """One fetch's connection settings, and its retries."""

    def __init__(self, timeout: float, retry_delays: Sequence[float], again: str, by_hand: str) -> None:
        self._opener = urllib.request.build_opener(_NoDowngrade)
        self._timeout = timeout
        self._delays = tuple(retry_delays)
        self._again = again
        self._by_hand = by_hand

    def open(self, url: str, first_byte: int = 0) -> Any:
        """Open `url` from `first_byte` on: the response; HTTPError and the like as they come."""
        headers = {"User-Agent": "realtime-ser", "Accept-Encoding": "identity"}
        if first_byte:
            headers["Range"] = f"bytes={first_byte}-"
        return self._opener.open(urllib.request.Request(url, headers=headers), timeout=self._timeout)

    def persist(self, url: str, attempt: Callable[[], None]) -> None:
        """Run `attempt`, again after passing faults, until it succeeds or the retries are used up."""
        fault = ""
        for retry in range(len(self._delays) + 1):
            if retry:
                time.sleep(self._delays[retry - 1])
            try:
                return attempt()
            except (_TransferError, urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                fault = self._passing_fault(url, error)
        raise RecognizerError(
            f"{url} could not be fetched in {len(self._delays) + 1} attempts: {fault}.",
            f"Check the connection and {self._again}; it goes on where it stopped. " + self._by_hand,
        )

    def _passing_fault(self, url: str, error: Exception) -> str:
        """What happened, in words; RecognizerError where trying again is of no use."""
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            answer = f"the server answers {error.code} {error.reason}"
            if error.code not in _RETRY_STATUS:
                raise RecognizerError(f"{url} cannot be fetched: {answer}.", "Check the model's name.") from error
            return answer
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise RecognizerError(
                f"The server's certificate is not valid for {url}: {reason.verify_message}.",
                "Something stands between this computer and the server. " + self._by_hand,
            ) from error
        return str(reason) or type(reason).__name__


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never from HTTPS to something that anybody on the way can alter."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise RecognizerError(f"{req.full_url} leads to {newurl}, which is not encrypted.", "Fetch the model by hand.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_arguments(name: str, sha256: str, base_url: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"{name!r} is not the name of a model.", "Names look like vosk-model-small-en-us-0.15.")
    if sha256 and not re.fullmatch(r"[0-9A-Fa-f]{64}", sha256):
        raise ConfigError(f"{sha256!r} is not a SHA-256: that has 64 hexadecimal digits.")
    address = urllib.parse.urlsplit(base_url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ConfigError(f"Models are fetched over HTTPS only, not from {base_url}.")
    if not base_url.endswith("/"):
        raise ConfigError(f"The address {base_url} must end in a slash.")


def _expected_digest(name: str, sha256: str, base_url: str, session: _Session) -> _Digest:
    if sha256:
        return _Digest("sha256", sha256, "given by you")
    known = next((entry.sha256 for entry in CATALOGUE if entry.name == name), "")
    if known:
        return _Digest("sha256", known, "in this program's catalogue")
    url = base_url + "model-list.json"
    text = b""

    def attempt() -> None:
        nonlocal text
        with session.open(url) as response:
            text = _receive(response, _MAX_LIST)

    session.persist(url, attempt)
    try:
        models = {str(entry["name"]): str(entry.get("md5", "")) for entry in json.loads(text)}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecognizerError(f"{url} is not a list of models.", "Give the archive's checksum with --sha256.") from error
    if name not in models:
        near = difflib.get_close_matches(name, models, n=3)
        raise RecognizerError(f"Vosk has no model {name}.", f"Did you mean {' or '.join(near)}?" if near else "")
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", models[name]):
        raise RecognizerError(f"Vosk publishes no checksum for {name}.", "Give the archive's checksum with --sha256.")
    return _Digest("md5", models[name].lower(), f"published in {url}")


def _download_and_check(
    url: str, part: Path, digest: _Digest, session: _Session, report: Callable[[FetchProgress], None]
) -> None:
    resumed = part.exists()
    session.persist(url, lambda: _download(url, part, session, report))
    found = _hash(part, digest.algorithm, report)
    if found != digest.hexadecimal and resumed:
        # What was left of an earlier fetch may be of another file, or damaged. NB: so may a part that another process is
        # fetching at this moment; there is no lock, the checksum finds it.
        part.unlink()
        session.persist(url, lambda: _download(url, part, session, report))
        found = _hash(part, digest.algorithm, report)
    if found != digest.hexadecimal:
        part.unlink()
        raise RecognizerError(
            f"{url} is not the file that was expected: its {digest.algorithm.upper()} is {found}, "
            f"not {digest.hexadecimal} as {digest.origin}.",
            "It was deleted. Try again later, or check the checksum.",
        )


def _download(url: str, part: Path, session: _Session, report: Callable[[FetchProgress], None]) -> None:
    """One attempt to complete `part`; raises _TransferError when the rest may come with the next."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = session.open(url, have)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        with error:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return  # nothing is missing
        part.unlink()  # longer than the server's file: of another one
        raise _TransferError("what was fetched before does not fit the server's file") from error
    with response:
        if response.status != 206:
            have = 0  # the server does not resume
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _TransferError("the server resumes at the wrong place")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None and length.isdecimal() else None
        _check_room(part, have, total)
        with part.open("ab" if have else "wb") as sink:
            while chunk := _receive(response, _CHUNK):
                sink.write(chunk)
                have += len(chunk)
                if have > _MAX_ARCHIVE:
                    raise RecognizerError(f"{url} is larger than {_MAX_ARCHIVE >> 30} GiB.")
                report(FetchProgress("download", have, total))
    if total is not None and have < total:
        raise _TransferError(f"the connection broke off after {have} of {total} bytes")


def _receive(response: Any, count: int) -> bytes:
    try:
        return bytes(response.read(count))
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(str(error) or type(error).__name__) from error


def _check_room(part: Path, have: int, total: int | None) -> None:
    if total is None:
        return
    if total > _MAX_ARCHIVE:
        raise RecognizerError(f"The archive has {total} bytes, more than {_MAX_ARCHIVE >> 30} GiB.")
    # Vosk's models unpack to between once and twice the size of their archives; archive and model exist side by side.
    needed = total - have + 2 * total
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise RecognizerError(
            f"There is not enough room in {part.parent}: {needed >> 20} MiB needed, {free >> 20} MiB free.",
            "Free some, or choose another folder.",
        )


def _hash(file: Path, algorithm: str, report: Callable[[FetchProgress], None]) -> str:
    # usedforsecurity: MD5 guards against damage here, and would otherwise be refused on systems in FIPS mode.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    total = file.stat().st_size
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            report(FetchProgress("check", stream.tell(), total))
    return digest.hexdigest()


def _install(unpacked: Path, target: Path, scratch: Path) -> None:
    """Move the unpacked model into place in one step; whatever was at `target` goes with `scratch`."""
    missing = VoskModelFolder(unpacked).missing()
    if missing:
        raise RecognizerError(f"The archive is not a Vosk model: {', '.join(missing)} missing or empty.")
    if target.exists():
        target.replace(scratch / ".replaced")
    unpacked.replace(target)


def _silent(progress: FetchProgress) -> None:
    """Nobody wants to know."""
