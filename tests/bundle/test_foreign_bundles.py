"""Bundles that others made: with other classes they work everywhere; whatever else is wrong with them is said in words."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_factory import write_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime_ser.api import EmotionRecognizer
from realtime_ser.assembly import build_stages, load_models, run_pipeline
from realtime_ser.audio.sources import ArraySource
from realtime_ser.bundle.loader import REQUIRED_FILES
from realtime_ser.bundle.manifest import COLUMNS, digest
from realtime_ser.commands import analyze
from realtime_ser.commands.listen import LiveView
from realtime_ser.commands.models import info
from realtime_ser.errors import BundleError
from realtime_ser.gui.theme import DARK, class_styles
from realtime_ser.records import records
from realtime_ser.types import Estimate, Verdict, WindowScores

SOUND = np.random.default_rng(0).uniform(-0.3, 0.3, 12_000).astype(np.float32)


@pytest.mark.parametrize(
    "classes",
    [
        ("yes", "no"),
        ("disgust", "fear", "boredom"),
        ("fröhlich 😀", "anger", "x" * 40, "Sadness", "calm", "surprise", "contempt", "a b", "%s"),
    ],
)
def test_other_classes_work_everywhere(classes: tuple[str, ...], tmp_path: Path, demonstration: np.ndarray) -> None:
    bundle = write_bundle(tmp_path / "bundle", classes=classes)
    recognizer = EmotionRecognizer(bundle, "none")
    assert recognizer.classes == classes
    sound = demonstration[12_000:90_000]
    table = recognizer.process_signal(sound, 16_000)
    assert list(table.columns[: len(classes)]) == list(classes)
    assert len(table) > 0
    assert set(table["label"].dropna()) <= set(classes)
    assert list(recognizer.process_windows(sound, 16_000).columns) == [*classes, "voiced"]
    view = LiveView("title", "nobody", classes)
    for output in recognizer.stream(ArraySource(sound, 16_000), words=False):
        view.take(output)
        for record in records(output, classes):
            assert list(record.get("scores", classes)) == list(classes)
            json.dumps(record)
    view.render()
    assert "Verdicts: " in view.summary()
    assert [style.name for style in class_styles(classes, DARK)] == list(classes)
    assert any("random" in line for line in info(str(bundle)))


def test_no_class_can_be_mistaken_for_a_column() -> None:
    assert {"file", "person", "start", "end", "voiced", *analyze.VERDICT_COLUMNS} == COLUMNS


@pytest.mark.parametrize("outputs", [2, 4])
def test_networks_for_another_number_of_classes_are_refused(outputs: int, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", classes=["a", "b", "c"], outputs=outputs)
    with pytest.raises(BundleError, match=f"does not fit together: .*logits.*{outputs}"):
        load_models(bundle, "none")


@pytest.mark.parametrize("name", [name for name in REQUIRED_FILES if name.endswith(".onnx")])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_graph_that_is_none_is_refused_though_its_hash_is_right(
    random_bundle: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    bundle = Path(shutil.copytree(random_bundle, tmp_path / "bundle"))
    data = (bundle / name).read_bytes()
    data = data[: len(data) // 2] if content is None else content
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = digest(data)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        load_models(bundle, "none")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(2, len(value))):
            yield from places(value[index], (*path, index))


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 400),
    st.sampled_from([2**31, 2**63, 10**30, 159, 161, 320, 8_000, 1e-300, 1e300, -1e300]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.one_of(st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_manifest_says_it_is_refused_in_words_or_works(
    data: st.DataObject, random_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    if not bundle.exists():
        shutil.copytree(random_bundle, bundle)
    manifest = copy.deepcopy(json.loads((random_bundle / "manifest.json").read_text()))
    path = data.draw(st.sampled_from(list(places(manifest))))
    at = manifest
    for key in path[:-1]:
        at = at[key]
    if data.draw(st.booleans(), label="remove") and isinstance(at, dict):
        del at[path[-1]]
    else:
        at[path[-1]] = data.draw(ANYTHING)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refusal = None
    try:
        models = load_models(bundle, "none")
        outputs = list(run_pipeline(ArraySource(SOUND, 16_000), build_stages(models, live=False, segmentation="whole")))
        assert [output for output in outputs if isinstance(output, Verdict)]
        for output in outputs:
            if isinstance(output, WindowScores | Estimate):
                assert np.isfinite(output.scores).all()
    except BundleError as error:
        refusal = error
    assert refusal is None or (str(bundle) in refusal.problem and refusal.remedy)
