"""What networks made of corpora they had never met, read back to set the bundle's confidence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the 'training' extra")

from realtime_ser.errors import ConfigError
from training.corpora import FOUR_CLASSES, Clip
from training.export_acoustic import equal_corpora, read_left_out


def clip(path: str, corpus: str, speaker: str, emotion: str, sentence: str = "") -> Clip:
    return Clip(path, corpus, "en", speaker, emotion, emotion, 1.0, "", sentence=sentence)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two corpora, each left out once."""
    plan = {"folds": 2, "protocol": "corpus", "classes": list(FOUR_CLASSES), "quick": False, "corpora": ["A", "B"]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    for number, test in ((1, {"a1": [0.0, -1, -2, -3], "a2": [-1, 0.0, -2, -3]}), (2, {"b1": [-3, -2, -1, 0.0]})):
        fold = tmp_path / f"fold-{number:02d}" / "acoustic"
        fold.mkdir(parents=True)
        (fold / "result.json").write_text(json.dumps({"test": test}), encoding="utf-8")
    return tmp_path


def test_all_folds_are_read_and_test_speakers_left_alone(folder: Path) -> None:
    found = read_left_out(folder)
    assert found.heard_from == ("A", "B")
    clips = [clip("a1", "A", "A_1", "anger"), clip("a2", "A", "A_2", "happiness"), clip("b1", "B", "B_1", "sadness")]
    scored = found.scored([*clips, clip("never heard", "A", "A_1", "anger")], {"A_2"})
    assert scored.corpora == ("A, left out", "B, left out")
    np.testing.assert_array_equal(scored.labels, [0, 3])
    np.testing.assert_array_equal(scored.logits, [[0, -1, -2, -3], [-3, -2, -1, 0]])
    assert equal_corpora(scored.corpora).tolist() == [0.5, 0.5]


def test_sentences_that_tell_the_label_do_not_count(folder: Path) -> None:
    clips = [clip("a1", "A", "A_1", "anger", "1"), clip("a2", "A", "A_2", "happiness", "2"), clip("b1", "B", "B_1", "sadness")]
    assert read_left_out(folder).scored(clips, set()).corpora == ("B, left out",)
    with pytest.raises(ValueError, match="none of the clips"):
        read_left_out(folder).scored(clips[:2], set())


@pytest.mark.parametrize(("name", "value"), [("protocol", "speaker"), ("quick", True), ("folds", 3), ("classes", ["anger"])])
def test_another_comparison_is_refused(folder: Path, name: str, value: object) -> None:
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    (folder / "plan.json").write_text(json.dumps({**plan, name: value}), encoding="utf-8")
    with pytest.raises(ConfigError):
        read_left_out(folder)
