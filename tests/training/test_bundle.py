from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from bundle_factory import write_bundle  # noqa: E402

import training.bundle as module  # noqa: E402
from realtime_ser.bundle.manifest import digest  # noqa: E402
from realtime_ser.errors import BundleError  # noqa: E402
from training.bundle import LIMITS, assemble, check_bundle, limits, with_figures, with_speakers  # noqa: E402
from training.text_data import SOURCES  # noqa: E402


@pytest.fixture
def exports(tmp_path: Path) -> dict[str, Path]:
    """Export folders of three trainings, with the small random networks of the test bundle."""
    made = write_bundle(tmp_path / "made")
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    figure = {"name": "UA", "value": 0.5, "data": "d", "protocol": "p", "date": "2026-01-01", "hardware": "h"}
    figure["interval"] = [0.4, 0.6]
    reports = {
        "acoustic": {
            "acoustic": manifest["acoustic"],
            "strangers": ["EMODB", "ASED"],
            "settings": {"shares": [["RAVDESS", 0.5], ["EMODB", 0.5]]},
            "calibration": {"window": 1.5, "acoustic": 0.7},
            "abstention": {"acoustic": 0.55, "risk": 0.25, "meaning": "voice meaning"},
        },
        "text": {
            "calibration": {"text": 0.9},
            "sources": [{"name": source.title, "licence": source.licence, "rows": 10} for source in SOURCES],
        },
        "fusion": {
            "calibration": {"fused": 0.8},
            "abstention": {"fused": 0.6, "risk": 0.25, "meaning": "pair meaning"},
            "settings": {"corpora": ["RAVDESS", "EMODB"]},
            "inputs": {
                part: digest((made / file).read_bytes()) for part, file in (("acoustic", "head.onnx"), ("text", "text.onnx"))
            },
        },
    }
    files = {
        "acoustic": ("acoustic.json", ["bands.onnx", "trunk.onnx", "head.onnx"]),
        "text": ("report.json", ["text.onnx", "vocabulary.txt"]),
        "fusion": ("fusion.json", ["fusion.onnx"]),
    }
    folders = {}
    for part, (report, names) in files.items():
        folders[part] = tmp_path / part
        folders[part].mkdir()
        for name in names:
            (folders[part] / name).write_bytes((made / name).read_bytes())
        content = {"classes": manifest["classes"], "figures": [{**figure, "name": f"{part} UA"}], **reports[part]}
        (folders[part] / report).write_text(json.dumps(content), encoding="utf-8")
    return folders


def test_how_profiles_are_used_is_in_the_bundle(exports: dict[str, Path], tmp_path: Path) -> None:
    facts = {"neutral_logits": [0.1, 0.2, 0.3, 0.4], "frames": 200.0, "relevance_seconds": 20.0, "largest_share": 0.5}
    figure = {"name": "gain of profiles in UA", "value": 0.01, "data": "d", "protocol": "p", "date": "2026-01-01"}
    result = {"head": digest((exports["acoustic"] / "head.onnx").read_bytes()), "speaker": facts}
    result["figures"] = [{**figure, "hardware": "h", "interval": [0.0, 0.02]}]
    path = tmp_path / "speakers.json"
    path.write_text(json.dumps(result), encoding="utf-8")
    parts = (exports["acoustic"], exports["text"], exports["fusion"])
    manifest = assemble(*parts, tmp_path / "bundle", "some", "3", speakers=path).manifest
    assert manifest.speaker is not None
    assert manifest.speaker.neutral_logits == (0.1, 0.2, 0.3, 0.4)
    assert "gain of profiles in UA" in [one.name for one in manifest.card.figures]
    # The same into a bundle that is there, once and again.
    assemble(*parts, tmp_path / "there", "some", "3")
    for value in (0.01, 0.02):
        result["figures"][0]["value"] = value
        there = with_speakers(tmp_path / "there", result)
        assert there.manifest.speaker == manifest.speaker
        assert [one.value for one in there.manifest.card.figures if one.name == "gain of profiles in UA"] == [value]
    with pytest.raises(BundleError, match="another acoustic network"):
        with_speakers(tmp_path / "there", {**result, "head": "another"})
    edit(path, head="another")
    with pytest.raises(BundleError, match="another acoustic network"):
        assemble(*parts, tmp_path / "bundle", "some", "3", speakers=path)


def test_the_card_says_what_each_corpus_was_used_for(exports: dict[str, Path], tmp_path: Path) -> None:
    assemble(exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some", "3")
    data = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))["card"]["data"]
    used = {entry["name"].split()[0]: entry["use"] for entry in data}
    assert used["RAVDESS"] == used["EMO-DB"] == "training and calibration of the acoustic and the fusion network"
    assert used["ASED"].startswith("training of other networks")
    assert len(data) == 3 + len(SOURCES)


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_the_parts_become_a_bundle_that_the_runtime_opens(exports: dict[str, Path], tmp_path: Path) -> None:
    bundle = assemble(exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some", "3")
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("some", "3")
    calibration = manifest.calibration
    assert (calibration.window, calibration.acoustic, calibration.text, calibration.fused) == (1.5, 0.7, 0.9, 0.8)
    assert (manifest.abstention.acoustic, manifest.abstention.fused) == (0.55, 0.6)
    assert "voice meaning" in manifest.abstention.meaning
    assert "pair meaning" in manifest.abstention.meaning
    assert [figure.name for figure in manifest.card.figures] == ["acoustic UA", "text UA", "fusion UA"]
    assert list(manifest.card.limits) == limits(["RAVDESS", "EMODB"])
    assert "The voices speak English and German; other languages" in " ".join(manifest.card.limits)
    named = "\n".join(use.name for use in manifest.card.data)
    for name in ("RAVDESS", "EMO-DB", "MELD", "EmoryNLP", "GoEmotions", "DailyDialog", "ISEAR", "SemEval"):
        assert name in named
    assert "nEMO" not in named
    assert all(use.licence and use.use for use in manifest.card.data)
    assert "CC BY-NC-SA 4.0" in manifest.licence
    assert not (tmp_path / "bundle.new").exists()


def test_figures_take_the_place_of_those_of_the_same_name(exports: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    before = assemble(exports["acoustic"], exports["text"], exports["fusion"], folder, "some", "3")
    about = {"data": "d", "protocol": "p", "date": "2026-11-29", "hardware": "h", "interval": [0.1, 0.3]}
    after = with_figures(folder, [{"name": name, "value": 0.2, **about} for name in ("fusion UA", "fusion ECE")])
    assert [figure.name for figure in after.manifest.card.figures] == ["acoustic UA", "text UA", "fusion UA", "fusion ECE"]
    assert after.manifest.card.figures[2].value == 0.2
    assert after.manifest.files == before.manifest.files


def test_the_card_says_what_must_not_be_done_and_what_pairs_are() -> None:
    text = " ".join(LIMITS)
    for words in ("must not be used", "label-matched pairs", "actors", "four classes", "English only"):
        assert words in text
    assert "multimodal" not in text


@pytest.mark.parametrize(
    ("file", "changes", "problem"),
    [
        ("fusion/fusion.json", {"inputs": {"acoustic": "0", "text": "0"}}, "with another acoustic network"),
        ("text/report.json", {"classes": ["a", "b", "c", "d"]}, "classes of the text network"),
        ("acoustic/acoustic.json", {"calibration": {"window": 0, "acoustic": 1}}, "contradicts itself"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused_and_an_earlier_bundle_stays(
    exports: dict[str, Path], tmp_path: Path, file: str, changes: dict[str, object], problem: str
) -> None:
    arguments = (exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some")
    assemble(*arguments, "1")
    edit(tmp_path / file, **changes)
    with pytest.raises(BundleError, match=problem):
        assemble(*arguments, "2")
    assert check_bundle(tmp_path / "bundle").manifest.version == "1"


def test_conditions_of_these_networks_go_on_the_card_and_no_others(exports: dict[str, Path], tmp_path: Path) -> None:
    figure = {"name": "UA in a room", "value": 0.4, "data": "d", "protocol": "p", "date": "2026-01-01", "hardware": "h"}
    figure["interval"] = [0.3, 0.5]
    heard = tmp_path / "conditions.json"
    head = digest((exports["acoustic"] / "head.onnx").read_bytes())
    heard.write_text(json.dumps({"head": head, "figures": [figure]}), encoding="utf-8")
    arguments = (exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some", "1", [heard])
    assert "UA in a room" in [one.name for one in assemble(*arguments).manifest.card.figures]
    edit(heard, head="0" * 64)
    with pytest.raises(BundleError, match="another acoustic network"):
        assemble(*arguments)


def test_missing_parts_are_named(exports: dict[str, Path], tmp_path: Path) -> None:
    arguments = (exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some", "1")
    (exports["text"] / "vocabulary.txt").unlink()
    with pytest.raises(BundleError, match=r"vocabulary\.txt is missing"):
        assemble(*arguments)
    (exports["fusion"] / "fusion.json").unlink()
    with pytest.raises(BundleError, match=r"fusion\.json cannot be read"):
        assemble(*arguments)


def test_a_bundle_that_is_too_large_is_refused(exports: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BUNDLE", 1_000)
    with pytest.raises(BundleError, match="it may have 1000"):
        assemble(exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "bundle", "some", "1")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("command", ["text", "fusion", "bundle"])
def test_the_commands_defaults_are_plain_values(command: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"training.{command}").add_arguments(parser)
    for name, value in vars(parser.parse_args([])).items():
        assert value is None or value == [] or isinstance(value, int | float | str | Path), name


def test_the_text_network_may_come_from_an_earlier_bundle(exports: dict[str, Path], tmp_path: Path) -> None:
    figures = json.loads((exports["text"] / "report.json").read_text(encoding="utf-8"))["figures"]
    first = assemble(exports["acoustic"], exports["text"], exports["fusion"], tmp_path / "first", "a", "1")
    again = assemble(exports["acoustic"], tmp_path / "first", exports["fusion"], tmp_path / "again", "a", "1")
    assert again.manifest.card == first.manifest.card
    assert again.manifest.calibration.text == 0.9
    assert [figure.name for figure in again.manifest.card.figures if figure.name.startswith("text ")] == [
        figure["name"] for figure in figures
    ]
    assert again.content("text.onnx") == first.content("text.onnx")
