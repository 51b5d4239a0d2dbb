from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime_ser.fusion.network import FusionNetwork  # noqa: E402
from training.fusion import (  # noqa: E402
    MATCHED,
    UNRELATED,
    FusionSettings,
    PairConditions,
    TextPart,
    VoicePart,
    draw_pairs,
    pair_figures,
    prefix_means,
    train_fusion,
)
from training.fusion_network import fusion_graph  # noqa: E402

CLASSES = 4


def parts(seed: int, count: int = 64) -> tuple[VoicePart, TextPart]:
    """Features in which the class raises some places; the words tell it more surely than the voice."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES

    def features(length: int, cuts: int, strength: float) -> np.ndarray:
        values = generator.random((count, cuts, length)) * 0.5
        for row, label in enumerate(labels):
            values[row, :, label::7] += strength
        return values.astype(np.float16)

    speakers = tuple(f"{seed}-{row % 5}" for row in range(count))
    corpora = tuple("ab"[row // 4 % 2] for row in range(count))
    logits = np.eye(CLASSES)[labels]
    voices = VoicePart(features(2_048, 4, 0.4), logits, labels, speakers, corpora)
    return voices, TextPart(features(4_800, 2, 0.6), logits, labels)


def test_conditions_must_be_probabilities() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        PairConditions(matched=0.9)


def test_matched_pairs_carry_one_label_and_unrelated_ones_any() -> None:
    voices, texts = parts(0)
    rows = np.tile(np.arange(64), 20)
    acoustic, text, chosen = draw_pairs(voices, texts, rows, MATCHED, np.random.default_rng(1))
    assert (texts.labels[chosen] == voices.labels[rows]).all()
    assert acoustic.shape == (len(rows), 2_048)
    assert text.shape == (len(rows), 4_800)
    _, _, chosen = draw_pairs(voices, texts, rows, UNRELATED, np.random.default_rng(1))
    counts = np.bincount(texts.labels[chosen], minlength=4) / len(rows)
    # Half are neutral (class 2), the others of any class, neutral included.
    np.testing.assert_allclose(counts, [0.125, 0.125, 0.625, 0.125], atol=0.04)
    table = np.histogram2d(voices.labels[rows], texts.labels[chosen], bins=4)[0]
    np.testing.assert_allclose(table / table.sum(axis=1, keepdims=True), np.tile(counts, (4, 1)), atol=0.08)


def test_missing_words_and_voices_are_zero() -> None:
    voices, texts = parts(0)
    rows = np.arange(64)
    _, text, chosen = draw_pairs(voices, texts, rows, PairConditions(0, 0, 0, 1, 0), np.random.default_rng(1))
    assert (text == 0).all()
    assert (chosen == -1).all()
    acoustic, text, chosen = draw_pairs(voices, texts, rows, PairConditions(0, 0, 0, 0, 1), np.random.default_rng(1))
    assert (acoustic == 0).all()
    assert (texts.labels[chosen] == voices.labels).all()
    assert (text != 0).any(axis=1).all()


def test_whole_pairs_use_the_first_cut_and_others_all_cuts() -> None:
    voices, texts = parts(0)
    rows = np.arange(64)
    acoustic, text, chosen = draw_pairs(voices, texts, rows, MATCHED, np.random.default_rng(1), whole=True)
    assert np.array_equal(acoustic, voices.features[rows, 0])
    assert np.array_equal(text, texts.features[chosen, 0])
    acoustic, _, _ = draw_pairs(voices, texts, rows, MATCHED, np.random.default_rng(1))
    cuts = {cut for row in rows for cut in range(4) if np.array_equal(acoustic[row], voices.features[row, cut])}
    assert cuts == {0, 1, 2, 3}


def test_figures_of_pairs_say_how_sure_and_how_often_right() -> None:
    class Certain:
        """Says the label that the voice's first value holds; sure of every second one."""

        def fuse(self, voice: np.ndarray, words: np.ndarray) -> SimpleNamespace:
            label, sure = int(voice[0]), voice[1] > 0
            return SimpleNamespace(logits=(20.0 if sure else 0.4) * np.eye(4)[label])

    count = 40
    labels = np.arange(count) % 4
    features = np.zeros((count, 1, 2), np.float16)
    features[:, 0, 0], features[:, 0, 1] = labels, np.arange(count) // 4 % 2
    wrong = np.flatnonzero(features[:, 0, 1] == 0)[:10]
    features[wrong, 0, 0] = (labels[wrong] + 1) % 4
    speakers = tuple(f"S{number % 5}" for number in range(count))
    voices = VoicePart(features, 9.0 * np.eye(4)[labels], labels, speakers, ("RAVDESS",) * count)
    texts = TextPart(np.zeros((8, 1, 2), np.float16), np.eye(4)[np.arange(8) % 4], np.arange(8) % 4)
    figures = pair_figures(Certain(), voices, texts, 0.9, 1.0, 1.0)  # type: ignore[arg-type]
    values = {figure["name"]: figure["value"] for figure in figures}
    assert values["voice alone UA"] == values["words alone, label-matched UA"] == 1.0
    assert values["fused, label-matched pairs UA"] == 0.75
    assert values["fused, label-matched pairs coverage at the threshold"] == 0.5
    assert values["fused, label-matched pairs accuracy when confident"] == 1.0
    assert values["fused, label-matched pairs accuracy of the surer half"] == 1.0
    # Ten bins of four: in two of the unsure ones all are wrong, in one half, in two none; the sure ones are right.
    unsure = np.exp(0.4) / (np.exp(0.4) + 3)
    expected = (2 * unsure + (0.5 - unsure) + 2 * (1 - unsure)) / 10
    assert values["fused, label-matched pairs ECE"] == pytest.approx(expected, abs=1e-3)
    assert "words alone, label-matched ECE" not in values
    assert {figure["data"] for figure in figures if "unrelated" in figure["name"]} == {
        "RAVDESS test speakers with MELD test texts: pairs with unrelated words"
    }


def test_prefix_means_are_means_of_the_first_windows() -> None:
    windows = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    means = prefix_means(windows, np.random.default_rng(1))
    np.testing.assert_allclose(means[0], windows.mean(axis=0), atol=1e-6)
    running = np.cumsum(windows, axis=0) / np.arange(1, 41)[:, None]
    for mean in means[1:]:
        distance = np.abs(running - mean).max(axis=1)
        assert distance.min() < 1e-6
        assert distance.argmin() >= 24
    one = prefix_means(windows[:1], np.random.default_rng(1))
    np.testing.assert_allclose(one, np.repeat(windows[:1], 4, axis=0), atol=1e-6)


def test_the_fusion_learns_to_use_both_and_stays_with_the_voice_when_words_mislead(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    voices, texts = {}, {}
    for seed, name in enumerate(("train", "validation", "test")):
        voices[name], texts[name] = parts(seed)
    settings = FusionSettings(corpora=("a", "b"), steps=60, check_every=20, batch=32)
    network, checks = train_fusion(voices, texts, settings, tmp_path)
    assert [check["step"] for check in checks] == [20, 40, 60]
    again, repeated = train_fusion(voices, texts, settings, tmp_path)
    assert repeated == checks
    assert all(torch.equal(one, other) for one, other in zip(again.parameters(), network.parameters(), strict=True))
    fused = FusionNetwork(fusion_graph(network), CLASSES)

    def right(conditions: PairConditions) -> float:
        rows = np.arange(64)
        acoustic, text, _ = draw_pairs(voices["test"], texts["test"], rows, conditions, np.random.default_rng(3), whole=True)
        found = [fused.fuse(a, t).logits.argmax() for a, t in zip(acoustic, text, strict=True)]
        return float(np.mean(found == voices["test"].labels))

    assert right(MATCHED) > 0.9
    assert right(UNRELATED) > 0.8
    assert right(PairConditions(0, 0, 0, 0, 1)) > 0.8
