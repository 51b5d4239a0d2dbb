"""Fetching models from a server on this machine that is slow to please."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from realtime_ser.asr import fetch
from realtime_ser.asr.fetch import CATALOGUE, FetchedModel, FetchProgress, fetch_model
from realtime_ser.asr.unpack import unpack_model
from realtime_ser.errors import ConfigError, RecognizerError

from .conftest import FileServer

NAME = "vosk-model-small-xx-1.0"
FILES = {"am/final.mdl": os.urandom(300_000), "conf/mfcc.conf": b"a", "conf/model.conf": b"b", "graph/HCLG.fst": b"c" * 5_000}


def archive(entries: dict[str, bytes], prepare: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            prepare(info)
            package.writestr(info, content)
    return buffer.getvalue()


MODEL = archive({f"{NAME}/{name}": content for name, content in FILES.items()})


def serve(server: FileServer, body: bytes = MODEL, md5: str | None = None) -> None:
    entry = {"name": NAME, "md5": hashlib.md5(body).hexdigest() if md5 is None else md5, "size": len(body)}
    server.files[f"/{NAME}.zip"] = body
    server.files["/model-list.json"] = json.dumps([{"name": "vosk-model-small-yy-1.0", "md5": "0" * 32}, entry]).encode()


def get(server: FileServer, folder: Path, name: str = NAME, **options: object) -> FetchedModel:
    return fetch_model(name, folder=folder, base_url=server.url, retry_delays=(0.0, 0.0), timeout=5.0, **options)  # type: ignore[arg-type]


def assert_clean(folder: Path, *names: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_a_model_is_fetched_checked_and_installed(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    told: list[FetchProgress] = []
    model = get(file_server, tmp_path / "new" / "folder", progress=told.append)
    assert model.fetched
    assert model.check.startswith("MD5 as published in http")
    assert {name: (model.path / name).read_bytes() for name in FILES} == FILES
    assert_clean(tmp_path / "new" / "folder", NAME)
    assert list(dict.fromkeys(step.phase for step in told)) == ["download", "check", "unpack"]
    for phase in ("download", "check", "unpack"):
        steps = [step for step in told if step.phase == phase]
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[-1].done == steps[-1].total
    file_server.requests.clear()
    again = get(file_server, tmp_path / "new" / "folder")
    assert (again.path, again.fetched, file_server.requests) == (model.path, False, [])


def test_a_checksum_of_ones_own(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server, md5="0" * 32)
    model = get(file_server, tmp_path, sha256=hashlib.sha256(MODEL).hexdigest().upper())
    assert model.check == "SHA256 as given by you"
    assert [path for path, _ in file_server.requests] == [f"/{NAME}.zip"]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    size = len(file_server.files["/model-list.json"])
    file_server.break_off = [size, 100_000, 150_000]
    assert get(file_server, tmp_path).fetched
    assert [range_ for path, range_ in file_server.requests if path.endswith(".zip")] == [
        None,
        "bytes=100000-",
        "bytes=250000-",
    ]


def test_the_next_call_goes_on_too(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    digest = hashlib.sha256(MODEL).hexdigest()
    file_server.break_off = [50_000, 10_000, 10_000]
    with pytest.raises(RecognizerError, match=r"in 3 attempts: .*broke off after 70000") as caught:
        get(file_server, tmp_path, sha256=digest)
    assert "goes on where it stopped" in caught.value.remedy
    assert_clean(tmp_path, f".{NAME}.zip.part")
    file_server.requests.clear()
    assert get(file_server, tmp_path, sha256=digest).fetched
    assert file_server.requests == [(f"/{NAME}.zip", "bytes=70000-")]
    assert_clean(tmp_path, NAME)


def test_a_server_that_cannot_resume(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    file_server.ranges = False
    (tmp_path / f".{NAME}.zip.part").write_bytes(MODEL[:1000])
    assert get(file_server, tmp_path).fetched


@pytest.mark.parametrize("left", [b"something else", MODEL[:-9] + b"different", MODEL + b"longer"])
def test_the_rest_of_another_file_is_thrown_away(file_server: FileServer, tmp_path: Path, left: bytes) -> None:
    serve(file_server)
    (tmp_path / f".{NAME}.zip.part").write_bytes(left)
    assert get(file_server, tmp_path).fetched


def test_a_complete_part_is_not_fetched_again(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    (tmp_path / f".{NAME}.zip.part").write_bytes(MODEL)
    assert get(file_server, tmp_path).fetched
    assert [range_ for path, range_ in file_server.requests if path.endswith(".zip")] == [f"bytes={len(MODEL)}-"]


def test_a_wrong_checksum_installs_nothing(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server, md5="0" * 32)
    with pytest.raises(RecognizerError, match="not the file that was expected"):
        get(file_server, tmp_path)
    assert_clean(tmp_path)


def test_passing_faults_of_the_server(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    file_server.statuses = [503, 429]
    assert get(file_server, tmp_path).fetched
    file_server.statuses = [500, 500, 500]
    with pytest.raises(RecognizerError, match=r"3 attempts: .*500"):
        get(file_server, tmp_path, replace=True)


def test_lasting_faults_of_the_server(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    with pytest.raises(RecognizerError, match=r"no model vosk-model-small-xx-1\.1") as caught:
        get(file_server, tmp_path, "vosk-model-small-xx-1.1")
    assert f"Did you mean {NAME}" in caught.value.remedy
    with pytest.raises(RecognizerError, match="404"):
        get(file_server, tmp_path, "vosk-model-small-zz-1.0", sha256="0" * 64)
    serve(file_server, md5="")
    with pytest.raises(RecognizerError, match="no checksum"):
        get(file_server, tmp_path)
    for text in (b"<html>", b'{"name": 1}', b"[1]"):
        file_server.files["/model-list.json"] = text
        with pytest.raises(RecognizerError, match="not a list of models"):
            get(file_server, tmp_path)
    assert_clean(tmp_path)


def test_without_a_connection(file_server: FileServer, tmp_path: Path) -> None:
    # Port 1 of the loopback address: nobody listens, and no network is needed to find that out.
    with pytest.raises(RecognizerError, match="in 3 attempts") as caught:
        fetch_model(NAME, folder=tmp_path, base_url="http://127.0.0.1:1/", retry_delays=(0.0, 0.0))
    assert f"unpack it into {tmp_path}" in caught.value.remedy


def test_a_redirection_must_not_leave_https() -> None:
    request = fetch.urllib.request.Request("https://example.org/model.zip")
    with pytest.raises(RecognizerError, match="not encrypted"):
        fetch._NoDowngrade().redirect_request(request, io.BytesIO(), 302, "", None, "http://example.org/")  # type: ignore[arg-type]
    onward = fetch._NoDowngrade().redirect_request(request, io.BytesIO(), 302, "", {}, "https://example.org/2")  # type: ignore[arg-type]
    assert onward is not None
    assert onward.full_url == "https://example.org/2"


def test_a_redirection_is_followed(file_server: FileServer, tmp_path: Path) -> None:
    file_server.redirect = file_server.url + "elsewhere"
    with pytest.raises(RecognizerError):  # it leads to itself, until urllib gives up
        get(file_server, tmp_path)
    assert "/elsewhere" in [path for path, _ in file_server.requests]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "../up"}, "not the name of a model"),
        ({"name": ".hidden"}, "not the name of a model"),
        ({"name": NAME, "sha256": "abc"}, "not a SHA-256"),
        ({"name": NAME, "base_url": "http://example.org/"}, "HTTPS only"),
        ({"name": NAME, "base_url": "file:///tmp/"}, "HTTPS only"),
        ({"name": NAME, "base_url": "https://example.org"}, "slash"),
    ],
)
def test_arguments_that_cannot_be_right(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        fetch_model(folder=tmp_path, **options)  # type: ignore[arg-type]


def test_no_room(file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(file_server)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, len(MODEL)))  # type: ignore[attr-defined]
    with pytest.raises(RecognizerError, match="not enough room"):
        get(file_server, tmp_path)


def test_an_exception_of_the_callback_ends_the_fetch_and_it_can_be_resumed(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)

    def stop(step: FetchProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(file_server, tmp_path, progress=stop)
    assert get(file_server, tmp_path).fetched
    assert file_server.requests[-1][1] == "bytes=262144-"


def test_an_installed_model_is_replaced_on_request(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    model = get(file_server, tmp_path)
    (model.path / "am" / "final.mdl").write_bytes(b"altered")
    assert get(file_server, tmp_path, replace=True).fetched
    assert (model.path / "am" / "final.mdl").read_bytes() == FILES["am/final.mdl"]
    (model.path / "am" / "final.mdl").unlink()  # incomplete: installed anew without being asked
    assert get(file_server, tmp_path).fetched
    assert_clean(tmp_path, NAME)


def test_an_archive_that_is_no_model(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server, archive({f"{NAME}/README": b"hello"}))
    with pytest.raises(RecognizerError, match="not a Vosk model"):
        get(file_server, tmp_path)
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_cannot_be_written(file_server: FileServer, tmp_path: Path) -> None:
    serve(file_server)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecognizerError, match="cannot be stored"):
        get(file_server, tmp_path / "file")


def link(info: zipfile.ZipInfo) -> None:
    if info.filename.endswith("link"):
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (archive({"m/a": b"x", "../evil": b"x"}), "lead out"),
        (archive({"m/a": b"x", "m/../../evil": b"x"}), "lead out"),
        (archive({"/evil": b"x"}), "lead out"),
        (archive({"m//evil": b"x"}), "lead out"),
        (archive({"C:/evil": b"x"}), "lead out"),
        (archive({"m/..\\evil": b"x"}), "lead out"),
        (archive({"m/a": b"x", "m/link": b"/etc/passwd"}, link), "a link"),
        (archive({"m/a": b"x", "n/a": b"x"}), "2 folders or files at its top"),
        (archive({}), "0 entries"),
        (archive({"m/a": b"x", "m/a/b": b"x"}), "twice"),
        (archive({"m/bomb": bytes(20_000_000)}), "more than"),
        (archive({"m/a": os.urandom(2_000_000)}), "more than 1000000"),
        (b"no archive at all", "damaged"),
        (MODEL[:200_000], "damaged"),
        (MODEL[:5_000] + b"damage" + MODEL[5_006:], "damaged"),
    ],
)
def test_evil_and_damaged_archives(tmp_path: Path, content: bytes, problem: str) -> None:
    inside, outside = tmp_path / "inside" / "target", tmp_path / "archive.zip"
    inside.mkdir(parents=True)
    outside.write_bytes(content)
    with pytest.raises(RecognizerError, match=problem):
        unpack_model(outside, inside, 1_000_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.zip", "inside"]
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["target"]


def test_an_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    honest = archive({"m/bomb": bytes(3_000_000)})
    size = (3_000_000).to_bytes(4, "little")
    assert honest.count(size) == 2  # local header and directory
    (tmp_path / "archive.zip").write_bytes(honest.replace(size, (1000).to_bytes(4, "little")))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(RecognizerError):
        unpack_model(tmp_path / "archive.zip", target, 1_000_000)
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= 1_000_000


def test_the_catalogue() -> None:
    assert CATALOGUE[0].name == "vosk-model-small-en-us-0.15"
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        fetch._check_arguments(entry.name, entry.sha256, fetch.MODELS_URL)
        assert entry.size > 30_000_000
