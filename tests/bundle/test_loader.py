"""A bundle that is not exactly what it says it is must not be used."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime_ser.bundle.loader import REQUIRED_FILES, find_bundles, load_bundle, read_manifest
from realtime_ser.errors import BundleError


@pytest.fixture
def bundle(random_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_bundle, tmp_path / "copy"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_an_unaltered_bundle_opens_with_all_its_files(bundle: Path) -> None:
    opened = load_bundle(bundle)
    for name in REQUIRED_FILES:
        assert opened.content(name) == (bundle / name).read_bytes()
    assert opened.vocabulary()[:2] == ("<pad>", "<unk>")


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_one_changed_byte_is_noticed(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        load_bundle(bundle)


def test_what_is_changed_after_the_bundle_was_opened_is_noticed_too(bundle: Path) -> None:
    opened = load_bundle(bundle)
    (bundle / "head.onnx").write_bytes(b"another network")
    with pytest.raises(BundleError, match=r"head\.onnx"):
        opened.content("head.onnx")


@pytest.mark.parametrize("name", [*REQUIRED_FILES, "manifest.json"])
def test_a_truncated_file_is_noticed(bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError):
        load_bundle(bundle)


@pytest.mark.parametrize("name", [*REQUIRED_FILES, "manifest.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(bundle)


def test_a_newer_format_asks_for_an_update(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.update(format=2))
    with pytest.raises(BundleError, match="Update this program"):
        load_bundle(bundle)


def test_a_manifest_may_not_name_files_outside_the_bundle(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    edit(bundle, lambda manifest: manifest["files"].update({"../outside": "0" * 64}))
    with pytest.raises(BundleError, match="outside itself"):
        load_bundle(bundle)


def test_a_file_without_a_hash_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest["files"].pop("head.onnx"))
    with pytest.raises(BundleError, match=r"head\.onnx"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(classes=["anger"]), "two or more"),
        (lambda m: m.update(classes=["anger", "anger"]), "different"),
        (lambda m: m["acoustic"].update(stride=3), "stride"),
        (lambda m: m["acoustic"]["filters"].update(low_hz=[1.0]), "20 values"),
        (lambda m: m["acoustic"]["normalisation"].update(kind="peak"), "normalisation"),
        (lambda m: m["acoustic"]["normalisation"].update(memory_frames=0), "memory"),
        (lambda m: m["acoustic"]["normalisation"]["prior_shape"].__setitem__(0, 1e300), "prior must lie"),
        (lambda m: m["calibration"].update(fused=0.0), "temperatures"),
        (lambda m: m["calibration"].update(window=1e-200), "temperatures"),
        (lambda m: m.update(classes=["label", "anger"]), "column of the tables"),
        (lambda m: m.update(classes=["anger", ""]), "printable name"),
        (lambda m: m.update(classes=["anger", "neutral\n"]), "printable name"),
        (lambda m: m.update(classes=["anger", "x" * 41]), "printable name"),
        (lambda m: m.update(window=160_001), "longer than 10 s"),
        (lambda m: m["abstention"].update(fused=1.5), "thresholds"),
        (lambda m: m["acoustic"].update(trunk_receptive_frames=99), "trunk"),
        (lambda m: m["text"].update(feature=4801), "segment"),
        (lambda m: m.pop("card"), "card"),
        (lambda m: m["acoustic"].update(bands="many"), "bands"),
    ],
)
def test_contradictions_are_refused_in_words(bundle: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    edit(bundle, change)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"format": "one"}', b"null"])
def test_what_is_no_manifest_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match="manifest"):
        load_bundle(bundle)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(BundleError, match="shipped bundles"):
        load_bundle("no-such-bundle")


def test_the_environment_names_another_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_SER_BUNDLE", str(bundle))
    assert load_bundle().path == bundle


def test_the_default_bundle_ships_and_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REALTIME_SER_BUNDLE", raising=False)
    assert "default-bundle" in find_bundles()
    manifest = load_bundle().manifest
    assert manifest.classes == ("anger", "happiness", "neutral", "sadness")
    assert manifest.card.figures
    assert manifest.card.limits


def test_the_figures_of_the_readme_are_those_of_the_default_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REALTIME_SER_BUNDLE", raising=False)
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:voice|words), .*?\| (0\.\d{3}) \| (0\.\d{3})–(0\.\d{3}) \|$", readme, re.MULTILINE)
    assert len(rows) == 6
    figures = load_bundle().manifest.card.figures
    known = {(f"{figure.value:.3f}", *(f"{bound:.3f}" for bound in figure.interval)) for figure in figures if figure.interval}
    assert set(rows) <= known
