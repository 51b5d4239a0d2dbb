from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from realtime_ser.errors import ConfigError  # noqa: E402
from realtime_ser.text import PADDING, UNKNOWN, TextNetwork, Vocabulary, tokenize  # noqa: E402
from training.sentence_encoder import SentenceEncoder, find_sentence_encoder, spoken  # noqa: E402
from training.text import (  # noqa: E402
    BalancedTexts,
    TextSettings,
    build_vocabulary,
    evaluation_forms,
    measure_text,
    padded,
    train_text,
)
from training.text_data import CLASSES, TextCorpus, Utterance  # noqa: E402
from training.text_noise import NoiseRates, RecognizerNoise, sound_key  # noqa: E402
from training.text_teacher import SPREAD, principal_components, read_word_vectors, teach  # noqa: E402

WORDS = {"anger": "furious", "happiness": "delighted", "neutral": "table", "sadness": "lonely"}


def utterances(count: int, source: str = "meld", split: str = "train") -> list[Utterance]:
    """Sentences of five words, one of which gives the class away."""
    generator = np.random.default_rng([count, *split.encode()])
    fillers = ["the", "a", "so", "very", "and", "then", "we", "they", "saw", "it"]
    made = []
    for index in range(count):
        label = CLASSES[index % 4]
        words = generator.choice(fillers, 4).tolist()
        words.insert(int(generator.integers(5)), WORDS[label])
        text = " ".join(words)
        made.append(Utterance(text, tokenize(text), label, source, split))
    return made


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary([PADDING, UNKNOWN, "weather", "whether", "cat", "dog", "the", "a"])


def test_words_that_sound_alike_share_a_key() -> None:
    assert sound_key("knight") == sound_key("night")
    assert sound_key("phone") == sound_key("fon")
    assert sound_key("bad") != sound_key("good")


def test_without_rates_nothing_changes_and_with_all_deleted_one_word_is_left(vocabulary: Vocabulary) -> None:
    noise = RecognizerNoise(vocabulary, {"the": 10})
    text = vocabulary.numbers(["the", "cat", "saw", "a", "dog"])
    generator = np.random.default_rng(0)
    assert noise.apply(text, NoiseRates(0, 0, 0), generator).tolist() == text.tolist()
    assert len(noise.apply(text, NoiseRates(0, 1, 0), generator)) == 1
    assert len(noise.apply(text, NoiseRates(0, 0, 1), generator)) == 10


def test_noise_has_its_rates_writes_known_words_and_repeats(vocabulary: Vocabulary) -> None:
    noise = RecognizerNoise(vocabulary, {"the": 10, "a": 5})
    text = np.full(20_000, 4)
    worn = noise.apply(text, NoiseRates(0.2, 0, 0), np.random.default_rng(1))
    assert 0.12 < np.mean(worn != text) < 0.22
    assert worn.min() >= 2
    shorter = noise.apply(text, NoiseRates(0, 0.1, 0), np.random.default_rng(1))
    assert len(shorter) == pytest.approx(18_000, rel=0.02)
    longer = noise.apply(text, NoiseRates(0, 0, 0.1), np.random.default_rng(1))
    assert len(longer) == pytest.approx(22_000, rel=0.02)
    again = noise.apply(text, NoiseRates(0.2, 0.1, 0.1), np.random.default_rng(2))
    assert np.array_equal(again, noise.apply(text, NoiseRates(0.2, 0.1, 0.1), np.random.default_rng(2)))


def test_half_of_the_replacements_sound_like_the_word(vocabulary: Vocabulary) -> None:
    noise = RecognizerNoise(vocabulary, {"the": 1_000_000})
    weather, whether = vocabulary.numbers(["weather", "whether"])
    worn = noise.apply(np.full(4_000, weather), NoiseRates(1, 0, 0), np.random.default_rng(3))
    assert np.mean(worn == whether) == pytest.approx(0.5, abs=0.05)


def test_the_vocabulary_ranks_words_by_frequency_and_leaves_out_what_occurs_once() -> None:
    texts = [Utterance("", tokens, "", "meld", "train") for tokens in (("b", "a", "a"), ("c", "b", "a"), ("c", "once"))]
    vocabulary, counts = build_vocabulary(texts, 10)
    assert vocabulary.tokens == (PADDING, UNKNOWN, "a", "b", "c")
    assert counts["once"] == 1
    assert build_vocabulary(texts, 4)[0].tokens == (PADDING, UNKNOWN, "a", "b")


def test_batches_are_balanced_and_keep_texts_labels_and_rows_together() -> None:
    many = utterances(40) + [u for u in utterances(400, "goemotions") if u.label == "neutral"]
    vocabulary, counts = build_vocabulary(many, 100)
    settings = TextSettings(batch=8, noisy=0, unknown=0, prefix=0, source_shares=(("meld", 0.5), ("goemotions", 0.5)))
    draws = BalancedTexts(many, vocabulary, RecognizerNoise(vocabulary, counts), settings)
    batches = list(draws.batches(8, np.random.default_rng(0)))
    assert len(batches) == 8
    seen = []
    for tokens, lengths, labels, rows in batches:
        for text, length, label, row in zip(tokens.numpy(), lengths, labels, rows, strict=True):
            assert text[:length].tolist() == vocabulary.numbers(many[row].tokens).tolist()
            assert CLASSES[label] == many[row].label
            seen.append(int(label))
    assert np.bincount(seen).tolist() == [16, 16, 16, 16]


def test_long_texts_are_padded_from_their_last_hundred_tokens() -> None:
    tokens, lengths = padded([np.arange(2, 132), np.array([5])])
    assert tokens.shape == (2, 100)
    assert tokens[0, 0] == 32
    assert tokens[1].tolist() == [5] + [0] * 99
    assert lengths.tolist() == [100, 1]


def test_word_vectors_are_read_for_known_words_only(tmp_path, vocabulary: Vocabulary) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("cat 1 2 3\nbird 4 5 6\nthe 0.5 -1e-1 0\n", encoding="utf-8")
    vectors = read_word_vectors(path, vocabulary, 3)
    assert {number: vector.tolist() for number, vector in vectors.items()} == {
        4: [1, 2, 3],
        6: pytest.approx([0.5, -0.1, 0]),
    }
    with pytest.raises(ValueError, match="line 1: a vector must have 300 values, got 3"):
        read_word_vectors(path, vocabulary)


def test_principal_components_keep_distances_and_order_axes() -> None:
    generator = np.random.default_rng(0)
    rows = (generator.standard_normal((500, 5)) * [1, 9, 3, 0.1, 0.1] + 7).astype(np.float32)
    turned = principal_components(rows, 8)
    assert turned.shape == (500, 8)
    assert (turned[:, 5:] == 0).all()
    assert np.all(np.diff(turned[:, :5].std(axis=0)) <= 0)
    ours, theirs = np.linalg.norm(turned[0] - turned[1]), np.linalg.norm(rows[0] - rows[1])
    assert ours / theirs == pytest.approx(np.linalg.norm(turned[2] - turned[3]) / np.linalg.norm(rows[2] - rows[3]), rel=1e-3)
    assert turned[:, :5].std() == pytest.approx(SPREAD, rel=0.01)


def test_clitics_are_written_out_for_the_sentence_encoder() -> None:
    assert spoken(tokenize("I can't, she won't, they're fine")) == [
        "i",
        "can",
        "not",
        "she",
        "will",
        "not",
        "they",
        "are",
        "fine",
    ]


def write_tiny_encoder(folder) -> None:
    """A model of the teacher's architecture with two layers, two heads and eight channels."""
    generator = np.random.default_rng(4)
    shapes = {"embeddings.word_embeddings.weight": (7, 8), "embeddings.position_embeddings.weight": (16, 8)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, 8)}
    norms = ["embeddings"]
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        sizes = {f"attention.self.{part}": (8, 8) for part in ("query", "key", "value")}
        sizes |= {"attention.output.dense": (8, 8), "intermediate.dense": (12, 8), "output.dense": (8, 12)}
        for part, shape in sizes.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        norms += [f"{name}.attention.output", f"{name}.output"]
    tensors = {name: generator.standard_normal(shape).astype("<f4") for name, shape in shapes.items()}
    for name in norms:
        tensors |= {f"{name}.LayerNorm.weight": np.ones(8, "<f4"), f"{name}.LayerNorm.bias": np.zeros(8, "<f4")}
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [place, place + value.nbytes]}
        place += value.nbytes
    text = json.dumps(header).encode()
    folder.mkdir()
    content = len(text).to_bytes(8, "little") + text + b"".join(value.tobytes() for value in tensors.values())
    (folder / "model.safetensors").write_bytes(content)
    config = {"num_hidden_layers": 2, "num_attention_heads": 2, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nplay\n##ing\nwell\n", encoding="utf-8")


def test_the_sentence_encoder_splits_words_and_ignores_padding(tmp_path) -> None:
    write_tiny_encoder(tmp_path / "model")
    encoder = SentenceEncoder(tmp_path / "model")
    texts = [["playing"], ["play", "well", "playing"], ["xyz"], ["play"]]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert abs(together[0] - together[3]).max() > 1e-3
    np.testing.assert_allclose(encoder.encode([["nothing", "known"]])[0], encoder.encode([["[UNK]", "[UNK]"]])[0], atol=1e-5)


def test_a_folder_without_the_encoder_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"must hold model\.safetensors"):
        find_sentence_encoder(tmp_path)


def test_evaluation_forms_are_the_same_at_every_call() -> None:
    many = utterances(40)
    vocabulary, counts = build_vocabulary(many, 100)
    noise = RecognizerNoise(vocabulary, counts)
    one, two = (evaluation_forms(many, vocabulary, noise) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.worn, two.worn, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one.worn, one.published, strict=True))
    assert one.labels.tolist() == [0, 1, 2, 3] * 10


def test_training_learns_exports_and_measures(tmp_path) -> None:
    torch.set_num_threads(1)
    every = utterances(160) + utterances(40, split="dev") + utterances(80, split="test")
    corpus = TextCorpus(tuple(every), (), {})
    settings = TextSettings(
        words=60, epochs=2, steps_per_epoch=32, batch=16, vector_rate=2e-2, average=0.9, source_shares=(("meld", 1.0),)
    )
    train_text(corpus, settings, tmp_path / "one", tmp_path)
    figures = {(f["name"], f["protocol"][:22]): f["value"] for f in measure_text(corpus, tmp_path / "one")}
    assert figures["text UA", "words as published, wi"] > 0.9
    assert figures["text UA", "words in recogniser fo"] > 0.5
    report = json.loads((tmp_path / "one/export/report.json").read_text(encoding="utf-8"))
    assert report["calibration"]["text"] > 0
    assert {f["name"] for f in report["figures"]} == {"text UA", "text WA", "text weighted F1"}
    # Two floors in either form, one more with punctuation and case.
    assert len(report["floors"]) == 15
    network = TextNetwork(tmp_path / "one/export/text.onnx", tmp_path / "one/export/vocabulary.txt", 4)
    assert network.encode("we saw the lonely").logits.argmax() == CLASSES.index("sadness")


def test_an_interrupted_training_continues_as_if_nothing_had_happened(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    corpus = TextCorpus(tuple(utterances(80) + utterances(20, split="dev")), (), {})
    settings = TextSettings(words=60, epochs=2, steps_per_epoch=8, batch=16, source_shares=(("meld", 1.0),))
    train_text(corpus, settings, tmp_path / "one", tmp_path)

    class PowerCutError(Exception):
        pass

    def save_until_second_epoch(state, path) -> None:
        if len(state["epochs"]) == 2:
            raise PowerCutError
        save(state, path)

    save = torch.save
    monkeypatch.setattr(torch, "save", save_until_second_epoch)
    with pytest.raises(PowerCutError):
        train_text(corpus, settings, tmp_path / "two", tmp_path)
    monkeypatch.undo()
    train_text(corpus, settings, tmp_path / "two", tmp_path)
    graphs = [(tmp_path / name / "export/text.onnx").read_bytes() for name in ("one", "two")]
    assert graphs[0] == graphs[1]


def test_a_checkpoint_of_other_texts_is_not_taken_up(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    settings = TextSettings(words=60, epochs=1, steps_per_epoch=2, batch=16, source_shares=(("meld", 1.0),))
    for texts, epochs in ((80, 1), (80, 0), (84, 1)):
        corpus = TextCorpus(tuple(utterances(texts) + utterances(20, split="dev")), (), {})
        train_text(corpus, settings, tmp_path / "one", tmp_path)
        assert capsys.readouterr().out.count("epoch 1") == epochs


def test_a_teacher_gives_start_vectors_and_targets(tmp_path) -> None:
    torch.set_num_threads(1)
    corpus = TextCorpus(tuple(utterances(80) + utterances(20, split="dev")), (), {})
    write_tiny_encoder(tmp_path / "model")
    monolith = SentenceEncoder(tmp_path / "model").encode([["play"]])
    settings = TextSettings(words=60, epochs=1, steps_per_epoch=2, batch=16, source_shares=(("meld", 1.0),))
    vocabulary, _ = build_vocabulary(corpus.part("train"), 60)
    lessons = teach(tmp_path / "model", vocabulary, corpus.part("train"), tmp_path / "cache", ["meld"])
    assert lessons.vectors.shape == (len(vocabulary), 300)
    assert (lessons.vectors[0] == 0).all()
    assert lessons.sentences.shape == (80, monolith.shape[1])
    np.testing.assert_allclose(lessons.probabilities.sum(axis=1), 1, atol=1e-5)
    again = teach(tmp_path / "gone", vocabulary, corpus.part("train"), tmp_path / "cache", ["meld"])
    assert np.array_equal(again.sentences, lessons.sentences)
    train_text(corpus, settings, tmp_path / "one", tmp_path / "cache", tmp_path / "model")
    report = json.loads((tmp_path / "one/export/report.json").read_text(encoding="utf-8"))
    assert report["sentence_encoder"] is True
