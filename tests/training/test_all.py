"""One command from the corpora to a bundle: every part is called with options that it understands, on what the others left."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="install the 'training' extra")

from training.__main__ import main

PARTS = ("crossval", "acoustic", "text", "fusion", "conditions", "speakers", "bundle", "reliance")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, argparse.Namespace]:
    """Which parts were run, with their parsed options, in order."""
    record: dict[str, argparse.Namespace] = {}
    for name in PARTS:
        module = importlib.import_module(f"training.{name}")
        monkeypatch.setattr(module, "run", lambda args, name=name: record.update({name: args}) or 0)
    return record


def test_all_parts_run_in_order_on_what_the_others_exported(
    called: dict[str, argparse.Namespace], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["all", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert tuple(called) == PARTS
    out = tmp_path / "out"
    assert [called[name].out for name in PARTS[:-1]] == [out / "left-out", *(out / name for name in PARTS[1:-1])]
    assert called["reliance"].bundle == out / "bundle"
    assert called["acoustic"].left_out == called["crossval"].out
    assert called["crossval"].protocol == "corpus"
    assert (called["fusion"].acoustic, called["fusion"].text) == (out / "acoustic/export", out / "text/export")
    bundle = called["bundle"]
    assert (bundle.acoustic, bundle.text, bundle.fusion) == tuple(out / f"{name}/export" for name in PARTS[1:4])
    assert called["conditions"].acoustic == bundle.acoustic
    assert called["speakers"].acoustic == bundle.acoustic
    assert bundle.speakers == out / "speakers" / "speakers.json"
    assert bundle.conditions == [out / "conditions" / "conditions.json"]
    assert all(args.data == tmp_path for args in called.values())
    assert "python -m training fusion" in capsys.readouterr().out


def test_a_part_that_fails_stops_the_rest(
    called: dict[str, argparse.Namespace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("training.text"), "run", lambda args: 1)
    assert main(["all", "--out", str(tmp_path)]) == 1
    assert tuple(called) == ("crossval", "acoustic")
