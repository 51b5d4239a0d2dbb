"""MDRE, MHA-2 and Evec-MCNN-LSTM: their equations written out in NumPy, and that they learn, resume and describe themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric", reason="install the 'training' extra")

from torch import nn  # noqa: E402

from realtime_ser.errors import ConfigError  # noqa: E402
from realtime_ser.text import PADDING, UNKNOWN, Vocabulary  # noqa: E402
from training.corpora import Clip  # noqa: E402
from training.metrics import unweighted_accuracy  # noqa: E402
from training.systems import neural  # noqa: E402
from training.systems.acoustic_features import CONTOURS, LOW_LEVEL_WIDTH, MFCC, MFCC_WIDTH, PROSODY_WIDTH, FrontEnd  # noqa: E402
from training.systems.base import Fold, Job, System  # noqa: E402
from training.systems.evec import (  # noqa: E402
    EvecMcnnLstm,
    EVectors,
    HearingLstm,
    MultiResolutionNetwork,
    Verification,
    left_out_vectors,
)
from training.systems.mdre import DualEncoder, Mdre  # noqa: E402
from training.systems.mha import MultiHop, MultiHopAttention, attend  # noqa: E402
from training.systems.neural import ClipBatch, NeuralSystem, Recipe, SpokenClips, WordEmbedding  # noqa: E402

Array = NDArray[np.float64]

WORDS = Vocabulary([PADDING, UNKNOWN, "a", "b", "c"])


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def weights_of(module: nn.Module) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def lstm(rows: Array, weights: dict[str, Array], suffix: str) -> Array:
    """Hochreiter & Schmidhuber's network with forget gates; all states (T, units) of rows (T, width)."""
    units = weights[f"weight_hh_{suffix}"].shape[1]
    hidden, cell, states = np.zeros(units), np.zeros(units), []
    for row in rows:
        gates = weights[f"weight_ih_{suffix}"] @ row + weights[f"bias_ih_{suffix}"]
        gates = gates + weights[f"weight_hh_{suffix}"] @ hidden + weights[f"bias_hh_{suffix}"]
        enter, forget, content, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(content)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def gru(rows: Array, weights: dict[str, Array]) -> Array:
    """Cho et al.'s gated recurrent network; the last state (units,)."""
    hidden = np.zeros(weights["weight_hh_l0"].shape[1])
    for row in rows:
        reset_in, update_in, content_in = np.split(weights["weight_ih_l0"] @ row + weights["bias_ih_l0"], 3)
        reset_own, update_own, content_own = np.split(weights["weight_hh_l0"] @ hidden + weights["bias_hh_l0"], 3)
        update = sigmoid(update_in + update_own)
        content = np.tanh(content_in + sigmoid(reset_in + reset_own) * content_own)
        hidden = (1 - update) * content + update * hidden
    return hidden


def part(weights: dict[str, Array], name: str) -> dict[str, Array]:
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


def linear(weights: dict[str, Array], name: str, row: Array) -> Array:
    return weights[f"{name}.weight"] @ row + weights[f"{name}.bias"]


def spoken(width: int, lengths: tuple[int, ...] = (4, 7, 1), seed: int = 0) -> SpokenClips:
    random = np.random.default_rng(seed)
    return SpokenClips(
        [random.normal(size=(length, width)).astype(np.float32) for length in lengths],
        random.normal(size=(len(lengths), PROSODY_WIDTH)).astype(np.float32),
        [random.integers(1, len(WORDS), 1 + length % 4) for length in lengths],
        random.integers(0, 2, len(lengths)),
    )


def words() -> WordEmbedding:
    torch.manual_seed(1)
    return WordEmbedding(WORDS, 6)


def test_attention_is_a_softmax_weighted_mean_of_the_valid_rows() -> None:
    random = np.random.default_rng(3)
    query, rows, counts = random.normal(size=(3, 4)), random.normal(size=(3, 5, 4)), np.array([5, 2, 1])
    result = attend(torch.from_numpy(query), torch.from_numpy(rows), torch.from_numpy(counts)).numpy()
    for index, count in enumerate(counts):
        valid = rows[index, :count]
        assert result[index] == pytest.approx(softmax(valid @ query[index]) @ valid)


def test_mha_follows_its_equations() -> None:
    network = MultiHopAttention(words(), classes=3, units=4).eval()
    clips = spoken(MFCC_WIDTH)
    with torch.no_grad():
        logits, embedding = network(clips.batch(range(3)))
    weights = weights_of(network)

    def encoded(name: str, rows: Array) -> tuple[Array, Array]:
        own = part(weights, name)
        brought = np.array([linear(own, "bring", row) for row in rows])
        forward = lstm(brought, part(own, "rightwards"), "l0") + brought
        backward = lstm(brought[::-1], part(own, "leftwards"), "l0")[::-1] + brought
        return np.concatenate([forward, backward], axis=1), np.concatenate([forward[-1], backward[0]])

    for index in range(3):
        sound, last = encoded("hear", clips.frames[index].astype(float))
        text, _ = encoded("read", weights["words.weight"][clips.tokens[index]])
        prosody = clips.prosody[index]
        sound = np.array([linear(weights, "join", np.concatenate([row, prosody])) for row in sound])
        first_hop = softmax(text @ linear(weights, "join", np.concatenate([last, prosody]))) @ text
        second_hop = softmax(sound @ first_hop) @ sound
        together = np.concatenate([first_hop, second_hop])
        assert embedding[index].numpy() == pytest.approx(together, abs=1e-5)
        assert logits[index].numpy() == pytest.approx(linear(weights, "classifier", together), abs=1e-5)


def test_mdre_follows_its_equations() -> None:
    network = DualEncoder(words(), classes=3, units=4).eval()
    clips = spoken(MFCC_WIDTH)
    with torch.no_grad():
        logits, _ = network(clips.batch(range(3)))
    weights = weights_of(network)
    for index in range(3):
        sound = gru(clips.frames[index].astype(float), part(weights, "hear"))
        text = gru(weights["words.weight"][clips.tokens[index]], part(weights, "read"))
        audio = linear(weights, "heard", np.concatenate([sound, clips.prosody[index]]))
        together = np.concatenate([audio, linear(weights, "understood", text)])
        assert logits[index].numpy() == pytest.approx(linear(weights, "classifier", together), abs=1e-5)


def test_mcnn_pools_its_convolutions_over_the_words_alone() -> None:
    network = MultiResolutionNetwork(words(), classes=3, kernels=(1, 3), filters=2, embedding=4).eval()
    clips = spoken(LOW_LEVEL_WIDTH)
    with torch.no_grad():
        logits, _ = network(clips.batch(range(3)))
    weights = weights_of(network)
    for index in range(3):
        rows = weights["words.weight"][clips.tokens[index]]
        pooled: list[float] = []
        for number, size in enumerate((1, 3)):
            around = np.pad(rows, ((size // 2, size // 2), (0, 0)))
            kernel, bias = weights[f"convolutions.{number}.weight"], weights[f"convolutions.{number}.bias"]
            maps = [
                [max(0.0, float((kernel[filter_] * around[t : t + size].T).sum() + bias[filter_])) for filter_ in range(2)]
                for t in range(len(rows))
            ]
            pooled += list(np.mean(maps, axis=0))
        embedding = np.maximum(linear(weights, "embed", np.array(pooled)), 0)
        assert logits[index].numpy() == pytest.approx(linear(weights, "classifier", embedding), abs=1e-5)


def test_the_hearing_network_means_its_states_over_time() -> None:
    network = HearingLstm(classes=3, units=4, embedding=5).eval()
    clips = spoken(LOW_LEVEL_WIDTH)
    with torch.no_grad():
        logits, _ = network(clips.batch(range(3)))
    weights = weights_of(network)
    for index in range(3):
        lower = lstm(clips.frames[index].astype(float), part(weights, "lstm"), "l0")
        mean = lstm(lower, part(weights, "lstm"), "l1").mean(axis=0)
        embedding = np.maximum(linear(weights, "embed", mean), 0)
        assert logits[index].numpy() == pytest.approx(linear(weights, "classifier", embedding), abs=1e-5)


def test_verification_is_the_logistic_loss_of_cosines_with_both_kinds_weighing_alike() -> None:
    random = np.random.default_rng(5)
    rows, labels = random.normal(size=(5, 3)), np.array([0, 0, 1, 2, 2])
    verification = Verification().double()
    with torch.no_grad():
        verification.slope.fill_(2.0)
        verification.offset.fill_(-0.5)
        loss = float(verification(torch.from_numpy(rows), torch.from_numpy(labels)))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for first in range(5):
        for second in range(first + 1, 5):
            equal = bool(labels[first] == labels[second])
            likely = sigmoid(2.0 * unit[first] @ unit[second] - 0.5)
            kinds[equal].append(-np.log(likely if equal else 1 - likely))
    assert loss == pytest.approx((np.mean(kinds[True]) + np.mean(kinds[False])) / 2)
    assert verification(torch.from_numpy(rows[:2]), torch.from_numpy(labels[:2])).item() == 0.0


def test_e_vectors_are_mean_word_weights() -> None:
    texts = [np.array([2, 2, 3]), np.array([3, 1]), np.array([4])]
    labels = np.array([0, 1, 1])
    vectors = EVectors(texts, labels, words=5, classes=2)
    shares = np.array([[2.5, 1.5, 0.5], [0.5, 1.5, 1.5]]) / np.array([[4.5], [3.5]])
    weights = shares / shares.sum(axis=0)
    result = vectors([np.array([2, 4, 1]), np.array([1])])
    assert result[0] == pytest.approx((weights[:, 0] + weights[:, 2]) / 2)
    assert result[1] == pytest.approx([0.5, 0.5])
    assert result.sum(axis=1) == pytest.approx(1.0)


def test_a_training_text_does_not_count_for_its_own_e_vector() -> None:
    # Every text has a word of its own: whoever counted himself would know his label.
    texts = [np.array([number]) for number in range(2, 22)]
    labels = np.arange(20) % 2
    own = left_out_vectors(texts, labels, words=22, classes=2)
    assert own == pytest.approx(np.full((20, 2), 0.5))
    assert EVectors(texts, labels, 22, 2)(texts).argmax(axis=1).tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("network", "width"),
    [
        (lambda: MultiHopAttention(words(), 3, units=4), MFCC_WIDTH),
        (lambda: DualEncoder(words(), 3, units=4), MFCC_WIDTH),
        (lambda: HearingLstm(3, units=4, embedding=5), LOW_LEVEL_WIDTH),
        (lambda: MultiResolutionNetwork(words(), 3, filters=2, embedding=4), LOW_LEVEL_WIDTH),
    ],
)
def test_what_fills_a_batch_up_changes_nothing(network: object, width: int) -> None:
    torch.manual_seed(2)
    built: nn.Module = network().eval()  # type: ignore[operator]
    clips = spoken(width, (3, 9, 5))
    with torch.no_grad():
        together = built(clips.batch(range(3)))[0]
        alone = torch.cat([built(clips.batch([index]))[0] for index in range(3)])
    assert together.numpy() == pytest.approx(alone.numpy(), abs=1e-5)


# ---------------------------------------------------------------------------------------------------------------- systems


def clips_of(count: int, first: int = 0) -> list[Clip]:
    """Clips whose emotion is in their words and, as faked below, in their sound."""
    return [
        Clip(
            path=f"toy/{number}",
            corpus="toy",
            language="en",
            speaker=f"toy_{number % 4}",
            emotion=("calm", "angry")[number % 2],
            emotion4="",
            seconds=1.0,
            text=("so quiet here", "go away now")[number % 2],
        )
        for number in range(first, first + count)
    ]


def faked(clips: list[Clip], front_end: FrontEnd, folder: Path, levels_equalised: bool = False) -> list[NDArray[np.float32]]:
    parts = []
    for clip in clips:
        number = int(clip.path.partition("/")[2])
        random = np.random.default_rng((number, front_end.width))
        rows = random.normal(size=(8 + number % 5, front_end.width)) + 2.0 * (number % 2)
        parts.append(rows.astype(np.float32))
    return parts


SMALL = Recipe(batch=8, rate=2e-2, epochs=8, patience=8, embedding=8)


class SmallMdre(Mdre):
    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        return DualEncoder(words, classes, units=8)


class SmallMultiHop(MultiHop):
    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        return MultiHopAttention(words, classes, units=8)


class SmallEvec(EvecMcnnLstm):
    def network(self, words: WordEmbedding, classes: int) -> nn.Module:
        return MultiResolutionNetwork(words, classes, filters=16, embedding=16)

    def hearing_network(self, classes: int) -> nn.Module:
        return HearingLstm(classes, units=8, embedding=8)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(neural, "features_of", faked)
    labels = {clip.path: int(clip.emotion == "angry") for clip in clips_of(60)}
    return Job(("calm", "angry"), labels, "speaker", out=tmp_path / "out", cache=tmp_path / "cache")


@pytest.fixture
def fold() -> Fold:
    return Fold(1, tuple(clips_of(24)), tuple(clips_of(12, 24)), tuple(clips_of(20, 36)))


@pytest.mark.parametrize("system", [SmallMdre, SmallMultiHop, SmallEvec])
def test_learns_describes_itself_and_goes_on(system: type[NeuralSystem], job: Job, fold: Fold) -> None:
    rival = system(recipe=SMALL)
    rival.fit(fold, job)
    scores = rival.log_probabilities(fold.test)
    assert scores.shape == (20, 2)
    assert np.exp(scores).sum(axis=1) == pytest.approx(1.0)
    assert unweighted_accuracy(job.labels_of(fold.test), scores.argmax(axis=1)) >= 0.95
    assert rival.log_probabilities([]).shape == (0, 2)
    details = rival.details()
    assert details["recipe"]["batch"] == 8
    assert details["vocabulary"] == 2 + 6
    assert all(one["parameters"] > 0 and one["best_validation_ua"] >= 0.9 for one in trainings(details))

    again = system(recipe=SMALL)
    again.fit(fold, job)
    assert again.log_probabilities(fold.test) == pytest.approx(scores)
    assert all(one["clips_per_second"] == 0.0 for one in trainings(again.details())), "nothing is left to train"
    with pytest.raises(ConfigError, match="other settings"):
        system(levels_equalised=True, recipe=SMALL).fit(fold, job)


def trainings(details: dict[str, Any]) -> list[dict[str, Any]]:
    return [details] if "parameters" in details else [details["lstm"], details["mcnn"]]


def test_every_system_is_one_and_has_a_quick_form(job: Job, fold: Fold) -> None:
    rivals: list[System] = [Mdre(), MultiHop(), EvecMcnnLstm()]
    assert [rival.name for rival in rivals] == ["MDRE", "MHA-2", "Evec-MCNN-LSTM"]
    assert all(rival.audio and rival.text for rival in rivals)
    quick = SmallMdre()
    quick.fit(fold, replace(job, quick=True))
    assert quick.details()["best_step"] <= neural.QUICK_STEPS
    assert quick.details()["recipe"]["epochs"] == 1


def test_word_vectors_start_the_embedding(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("a 1 2 3\nz 4 5 6\nc 7 8 9\n", encoding="utf-8")
    embedding = WordEmbedding(WORDS, 3, file)
    assert embedding.from_file == 2
    assert embedding.weight[WORDS.numbers(["a", "c"])].tolist() == [[1, 2, 3], [7, 8, 9]]
    with pytest.raises(ConfigError, match="must have 5 values"):
        WordEmbedding(WORDS, 5, file)
    with pytest.raises(ConfigError, match="cannot be read"):
        WordEmbedding(WORDS, 3, tmp_path / "missing.txt")


def test_frames_can_be_averaged_before_the_network() -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert neural._averaged(rows, 1) is rows
    assert neural._averaged(rows, 2).tolist() == [[1, 2], [5, 6], [8, 9]]


def test_a_batch_is_filled_up_with_zeros() -> None:
    clips = spoken(MFCC_WIDTH, (2, 5))
    batch: ClipBatch = clips.batch([1, 0])
    assert batch.frame_counts.tolist() == [5, 2]
    assert batch.frames[1, :2].numpy() == pytest.approx(clips.frames[0])
    assert not batch.frames[1, 2:].any()
    assert [len(part.frames) for part in clips.batches(1)] == [1, 1]
    assert MFCC.width * 3 == MFCC_WIDTH
    assert CONTOURS.width == len(CONTOURS.columns)
