from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")


from two_processes import in_two_processes  # noqa: E402

from realtime_ser.errors import ConfigError  # noqa: E402
from realtime_ser.text import PADDING, PUNCTUATION, UNKNOWN, TextNetwork, Vocabulary, tokenize  # noqa: E402
from training.metrics import weighted_f1  # noqa: E402
from training.sentence_encoder import SentenceEncoder, find_sentence_encoder, spoken  # noqa: E402
from training.text import (  # noqa: E402
    Lessons,
    RowsAdam,
    TextSettings,
    TextTask,
    make_lessons,
    measure_text,
    padded,
    prior_strength,
    start_vectors,
    train_judge,
    train_text,
)
from training.text_data import CLASSES, TextCorpus, Utterance  # noqa: E402
from training.text_finetuning import Judge, JudgeSettings, JudgeTask, LabelledDraws, make_copies, opinions  # noqa: E402
from training.text_forms import (  # noqa: E402
    FormShares,
    TrainingForms,
    build_vocabulary,
    evaluation_forms,
    written_tokens,
)
from training.text_network import TextShape, TwoBranchTextNetwork  # noqa: E402
from training.text_noise import NoiseRates, RecognizerNoise, sound_key  # noqa: E402
from training.text_teacher import SPREAD, principal_components, read_word_vectors  # noqa: E402

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
        text = " ".join(words) + generator.choice(["", ".", "!", "..."])
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


def test_no_recogniser_writes_punctuation() -> None:
    marked = Vocabulary([PADDING, UNKNOWN, "so", "!", "...", "well", "?"])
    noise = RecognizerNoise(marked, {"!": 1_000, "...": 1_000, "?": 1_000, "so": 1, "well": 1})
    text = marked.numbers(["so", "!", "well", "...", "?"] * 400)
    assert set(noise.words_only(text)) == {2, 5}
    assert set(noise.apply(text, NoiseRates(0.5, 0.1, 0.5), np.random.default_rng(0))) == {2, 5}
    with pytest.raises(ValueError, match="must have a word"):
        noise.apply(marked.numbers(["!"]), NoiseRates(0, 0, 0), np.random.default_rng(0))


def test_the_vocabulary_ranks_words_by_frequency_and_leaves_out_what_occurs_once() -> None:
    texts = [Utterance(text, tokenize(text), "", "meld", "train") for text in ("b a a!", "c b a.", "c once!!")]
    vocabulary, counts = build_vocabulary(texts, 10)
    assert vocabulary.tokens == (PADDING, UNKNOWN, "a", "!", "b", "c")
    assert counts["once"] == 1
    assert build_vocabulary(texts, 4)[0].tokens == (PADDING, UNKNOWN, "a", "!")
    assert len(build_vocabulary(texts, rarest=1)[0]) == 8


def test_training_forms_are_written_or_words_alone_by_their_shares() -> None:
    vocabulary = Vocabulary([PADDING, UNKNOWN, "so", "!", "well"])
    noise = RecognizerNoise(vocabulary, {"so": 5, "well": 5})
    text = vocabulary.numbers(["so", "well", "!"] * 3)
    generator = np.random.default_rng(0)

    def share(condition, **shares) -> float:
        forms = TrainingForms(noise, FormShares(**{"cut": 0.0, "noisy": 0.0} | shares))
        return float(np.mean([condition(forms.draw(text, generator).tolist()) for _ in range(2_000)]))

    assert share(lambda form: form == text.tolist()) == pytest.approx(0.5, abs=0.05)
    assert share(lambda form: 3 not in form) == pytest.approx(0.5, abs=0.05)
    assert share(lambda form: form == text.tolist(), written=1.0) == 1
    assert share(lambda form: len(form) == 4, longest=4) == 1
    assert 0.2 < share(lambda form: len(form) < 9, written=1.0, cut=0.3) < 0.4
    assert share(lambda form: form == [2, 4] * 3, written=0.0, noisy=1.0) < 0.7


def test_published_forms_have_punctuation_and_recogniser_forms_have_none() -> None:
    many = utterances(40)
    vocabulary, counts = build_vocabulary(many, 100)
    noise = RecognizerNoise(vocabulary, counts)
    one, two = (evaluation_forms(many, vocabulary, noise) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.worn, two.worn, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one.worn, one.words, strict=True))
    assert one.labels.tolist() == [0, 1, 2, 3] * 10
    marks = set(vocabulary.numbers(PUNCTUATION & set(vocabulary.tokens)).tolist())
    assert any(marks & set(text.tolist()) for text in one.published)
    assert not any(marks & set(text.tolist()) for text in [*one.words, *one.worn])


def test_draws_follow_shares_and_know_how_often_a_class_is_drawn() -> None:
    many = utterances(40) + [u for u in utterances(400, "goemotions") if u.label in ("neutral", "anger")][:160]
    many = [u for u in many if u.source == "meld" or u.label == "neutral"] + many[:10]
    vocabulary, _ = build_vocabulary(many)
    draws = LabelledDraws(many, vocabulary, (("meld", 0.75), ("goemotions", 0.25)), 0.5)
    rows = draws.draw(20_000, np.random.default_rng(0))
    sources = np.array([u.source for u in many])
    assert np.mean(sources[rows] == "meld") == pytest.approx(0.75, abs=0.01)
    meld = rows[sources[rows] == "meld"]
    drawn = np.bincount(draws.labels[meld], minlength=4) / len(meld)
    np.testing.assert_allclose(np.exp(draws.log_priors[meld[0]]), drawn, atol=0.01)
    other = draws.log_priors[sources == "goemotions"][0]
    assert other[CLASSES.index("neutral")] == 0
    assert (np.delete(other, CLASSES.index("neutral")) < -9).all()


def tiny_lessons(many: list[Utterance], vocabulary: Vocabulary, opinionated: bool) -> Lessons:
    labels = np.array([CLASSES.index(u.label) if u.label else -1 for u in many], np.int64)
    scores, vectors = None, None
    if opinionated:
        generator = np.random.default_rng(1)
        scores = generator.standard_normal((len(many), 4)).astype(np.float32)
        scores[::2] = np.nan
        vectors = generator.standard_normal((len(many), 8)).astype(np.float16)
    texts = [vocabulary.numbers(written_tokens(u)) for u in many]
    return Lessons(texts, labels, np.array([u.source for u in many]), scores, vectors)


def test_batches_keep_texts_labels_and_opinions_together_and_continue_anywhere() -> None:
    many = utterances(60) + [Utterance(u.text, u.tokens, "", "meld", "train") for u in utterances(30)]
    vocabulary, counts = build_vocabulary(many, 100)
    dev = evaluation_forms(many, vocabulary, RecognizerNoise(vocabulary, counts))
    settings = TextSettings(batch=8, unknown=0, source_shares=(("meld", 1.0),), unlabelled=0.4)
    lessons = tiny_lessons(many, vocabulary, opinionated=True)
    task = TextTask(TwoBranchTextNetwork(TextShape(len(vocabulary), 4, 20, 7, hidden=8, feature=16)), lessons, dev, settings)
    stream = task.batches(0)
    batches = [next(stream) for _ in range(24)]
    rows_by_text = {
        (tuple(text), label): row
        for row, (text, label) in enumerate(zip(map(tuple, lessons.texts), lessons.labels, strict=True))
    }
    for tokens, lengths, labels, log_priors, scores, vectors in batches:
        for values in zip(tokens.numpy(), lengths, labels, log_priors, scores, vectors, strict=True):
            row = rows_by_text[tuple(values[0][: values[1]].tolist()), int(values[2])]
            np.testing.assert_array_equal(values[4].numpy(), lessons.opinions[row])
            np.testing.assert_allclose(values[5].numpy(), lessons.vectors[row], rtol=1e-3)
            assert values[3].exp().sum() == pytest.approx(1, abs=1e-3)
    unlabelled = np.mean([float((batch[2] < 0).float().mean()) for batch in batches])
    assert unlabelled == pytest.approx(0.4, abs=0.12)
    later = task.batches(11)
    for batch in batches[11:]:
        assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(batch, next(later), strict=True))


def test_in_the_second_part_published_texts_are_worn_anew_and_their_other_copies_rest() -> None:
    many = utterances(40)
    vocabulary, counts = build_vocabulary(many, 100)
    noise = RecognizerNoise(vocabulary, counts)
    lessons = tiny_lessons(many, vocabulary, opinionated=True)
    published = np.arange(len(many)) % 2 == 0
    lessons = Lessons(lessons.texts, lessons.labels, lessons.sources, lessons.opinions, lessons.vectors, published)
    settings = TextSettings(batch=8, unknown=0, source_shares=(("meld", 1.0),))
    network = TwoBranchTextNetwork(TextShape(len(vocabulary), 4, 20, 7, hidden=8, feature=16))
    forms = TrainingForms(noise, FormShares(written=0.0, noisy=0.0, cut=0.0))
    task = TextTask(network, lessons, evaluation_forms(many, vocabulary, noise), settings, forms)
    expected = {tuple(noise.words_only(lessons.texts[row]).tolist()) for row in np.flatnonzero(published)}
    stream = task.batches(0)
    seen = {tuple(text[:size].tolist()) for _ in range(16) for text, size in zip(*next(stream)[:2], strict=True)}
    assert seen <= expected
    assert len(seen) > 10


def test_without_a_judge_texts_without_a_class_are_not_drawn() -> None:
    many = utterances(40) + [Utterance(u.text, u.tokens, "", "meld", "train") for u in utterances(40)]
    vocabulary, counts = build_vocabulary(many, 100)
    dev = evaluation_forms(many, vocabulary, RecognizerNoise(vocabulary, counts))
    settings = TextSettings(batch=8, source_shares=(("meld", 1.0),))
    task = TextTask(
        TwoBranchTextNetwork(TextShape(len(vocabulary), 4, 20, 7, hidden=8, feature=16)),
        tiny_lessons(many, vocabulary, opinionated=False),
        dev,
        settings,
    )
    stream = task.batches(0)
    assert all((next(stream)[2] >= 0).all() for _ in range(16))


def test_the_loss_asks_the_judge_only_where_it_was_asked() -> None:
    many = utterances(16)
    vocabulary, counts = build_vocabulary(many, 100)
    dev = evaluation_forms(many, vocabulary, RecognizerNoise(vocabulary, counts))
    network = TwoBranchTextNetwork(TextShape(len(vocabulary), 4, 20, 7, hidden=8, feature=16)).eval()
    settings = TextSettings(batch=4, taught=1.0, meaning=0.0, temperature=1.0, smoothing=0.0, source_shares=(("meld", 1.0),))
    task = TextTask(network, tiny_lessons(many, vocabulary, opinionated=True), dev, settings)
    tokens, lengths = padded([np.array([2, 3]), np.array([4, 5])])
    labels, priors = torch.tensor([1, -1]), torch.zeros(2, 4)
    vectors = torch.ones(2, 8)
    logits = network(tokens, lengths)[1].detach()
    scores = torch.stack([torch.full((4,), torch.nan), logits[1]])
    loss, seen = task.loss(task.learner, (tokens, lengths, labels, priors, scores, vectors))
    # The judge thinks of the second text what the network does; of the first, half of the batch, only the label is known.
    assert float(seen["soft"]) == pytest.approx(0, abs=1e-6)
    expected = 0.5 * torch.nn.functional.cross_entropy(logits[:1], labels[:1]) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_copies_are_of_their_utterances_and_mixed_ones_have_no_label() -> None:
    many = utterances(40) + utterances(20, "isear")
    every, counts = build_vocabulary(many, rarest=1)
    noise = RecognizerNoise(every, counts)
    forms = FormShares(noisy=0, cut=0, written=1.0)
    copies = make_copies(many, every, noise, forms, {"meld": 3, "isear": 1}, mixed=0.5)
    assert np.bincount(copies.rows).tolist() == [3] * 40 + [1] * 20
    for text, row, label in zip(copies.texts, copies.rows, copies.labels, strict=True):
        own = written_tokens(many[row])
        assert text[: len(own)] == own
        assert (label == -1) == (len(text) > len(own))
        assert label in (-1, CLASSES.index(many[row].label))
    mixed = np.mean(copies.labels[:120].reshape(40, 3)[:, 1:] == -1)
    assert mixed == pytest.approx(0.5, abs=0.2)
    assert (copies.labels[:120].reshape(40, 3)[:, 0] >= 0).all()
    assert copies.published.tolist() == [True, False, False] * 40 + [False] * 20


def test_the_strength_of_a_prior_is_the_one_with_the_best_f1() -> None:
    labels = np.array([0] * 10 + [2] * 90)
    logits = np.tile([0.5, 0, 0, 0], (100, 1))
    prior = np.log([0.1, 1e-6, 0.9, 1e-6])
    strength = prior_strength(labels, logits, prior)
    assert strength > 0.2
    assert weighted_f1(labels, (logits + strength * prior).argmax(axis=1)) == pytest.approx(weighted_f1(labels, labels * 0 + 2))


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
    encoder = SentenceEncoder(tmp_path / "model").eval()
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


QUICK = {"words": 60, "batch": 16, "source_shares": (("meld", 1.0),), "copies": (("meld", 2),), "asked": ("meld",)}
QUICK |= {"second_steps": 2, "lstm": 16, "hidden": 48}


def test_training_learns_exports_and_measures(tmp_path) -> None:
    torch.set_num_threads(1)
    every = utterances(160) + utterances(40, split="dev") + utterances(80, split="test")
    corpus = TextCorpus(tuple(every), (), {})
    settings = TextSettings(**QUICK, steps=64, validate_every=32, vector_rate=2e-2, average=0.9)
    train_text(corpus, settings, tmp_path / "one")
    figures = {(f["name"], f["protocol"][:22]): f["value"] for f in measure_text(corpus, tmp_path / "one")}
    assert figures["text UA", "text as published, wit"] > 0.9
    assert figures["text UA", "words as published, wi"] > 0.9
    assert figures["text UA", "words in recogniser fo"] > 0.5
    report = json.loads((tmp_path / "one/export/report.json").read_text(encoding="utf-8"))
    assert report["calibration"]["text"] > 0
    assert {f["name"].rsplit(" ", 1)[0] for f in report["figures"]} == {
        *("text", "text weighted"),
        *("text with MELD's priors", "text with MELD's priors weighted"),
    }
    assert (tmp_path / "one/text-second.pt").is_file()
    # Three forms and the text with every mark, two floors each, three figures.
    assert len(report["floors"]) == 24
    network = TextNetwork(tmp_path / "one/export/text.onnx", tmp_path / "one/export/vocabulary.txt", 4)
    assert network.encode("we saw the lonely!").logits.argmax() == CLASSES.index("sadness")


TOGETHER = """
import os
import sys
from pathlib import Path
from test_text import small_corpus, small_settings, write_tiny_encoder
from training import text
from training.__main__ import main
text.read_text_corpora = lambda folder: small_corpus()
text.data_directory = lambda option: Path()
text.TextSettings = lambda **options: small_settings()
arguments = ["text", "--threads", "1", "--out", sys.argv[1] + "/out"]
status = main([*arguments, *sys.argv[2:]])
Path(sys.argv[1], "process-" + os.environ["RANK"]).write_text(str(status))
"""


def small_corpus() -> TextCorpus:
    """Texts that the tiny encoder can read."""
    texts = {"anger": "play play", "happiness": "well well", "neutral": "playing", "sadness": "unheard of"}
    parts = (("train", 40), ("dev", 4), ("test", 4))
    every = [
        Utterance(text, tokenize(text), label, "meld", split)
        for split, count in parts
        for label, text in texts.items()
        for _ in range(count)
    ]
    return TextCorpus(tuple(every), (), {})


def small_settings() -> TextSettings:
    forms, shares = FormShares(noisy=0, cut=0), (("meld", 1.0),)
    judge = JudgeSettings(steps=4, validate_every=4, batch=8, dropout=0.0, forms=forms, source_shares=shares)
    return TextSettings(**QUICK, steps=32, validate_every=16, vector_rate=2e-2, average=0.9, judge=judge)


def test_two_processes_train_one_text_network_and_its_teacher(tmp_path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    write_tiny_encoder(tmp_path / "encoder")
    done = in_two_processes(script, tmp_path, "--sentence-encoder", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"process-{number}").read_text() for number in (0, 1)] == ["0", "0"]
    report = json.loads((tmp_path / "out/export/report.json").read_text(encoding="utf-8"))
    assert report["sentence_encoder"] is True
    assert {figure["name"] for figure in report["figures"]} >= {"text UA", "text with MELD's priors weighted F1"}
    lines = [line.split(":")[0] for line in done.stdout.splitlines() if "validation" in line]
    assert lines == ["judge 4/4", "text 16/32", "text 32/32", "text-second 2/2"], "process 0 alone validates"
    # One process ends with other weights: it has seen half of the texts.
    train_text(small_corpus(), small_settings(), tmp_path / "alone", tmp_path / "encoder")
    assert (tmp_path / "alone/export/text.onnx").read_bytes() != (tmp_path / "out/export/text.onnx").read_bytes()


def test_without_a_judge_nothing_is_there_to_read_its_vectors() -> None:
    """Processes that train together would wait for gradients that never come."""
    many = utterances(8)
    vocabulary, _ = build_vocabulary(many, 100)
    network = TwoBranchTextNetwork(TextShape(len(vocabulary), 4, lstm=4, filters=2, hidden=8), 0.0)
    noise = RecognizerNoise(vocabulary, {})
    task = TextTask(network, tiny_lessons(many, vocabulary, False), evaluation_forms(many, vocabulary, noise), TextSettings())
    loss, _ = task.loss(task.module, next(task.batches(0)))
    loss.backward()
    assert all(parameter.grad is not None for parameter in task.module.parameters())


def test_dense_gradients_move_the_rows_that_were_touched_alone() -> None:
    """As between graphics processors: the same steps as with sparse gradients."""
    results = []
    for sparse in (True, False):
        torch.manual_seed(0)
        table = torch.nn.Embedding(6, 3, sparse=sparse)
        optimizer = RowsAdam(table.parameters(), 0.1)
        for rows in ([0, 2], [2, 5], [0, 0]):
            optimizer.zero_grad()
            table(torch.tensor(rows)).square().sum().backward()
            optimizer.step()
        results.append(table.weight.detach())
    torch.manual_seed(0)
    untouched = torch.nn.Embedding(6, 3).weight
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0][[1, 3, 4]], untouched[[1, 3, 4]])


def test_a_training_of_other_texts_is_not_gone_on_with(tmp_path) -> None:
    torch.set_num_threads(1)
    settings = TextSettings(**QUICK, steps=2, validate_every=2)
    for texts in (80, 80):
        train_text(TextCorpus(tuple(utterances(texts) + utterances(20, split="dev")), (), {}), settings, tmp_path)
    with pytest.raises(ConfigError, match="other settings"):
        train_text(TextCorpus(tuple(utterances(84) + utterances(20, split="dev")), (), {}), settings, tmp_path)


def test_start_vectors_are_the_encoders(tmp_path) -> None:
    write_tiny_encoder(tmp_path / "model")
    vectors = start_vectors(tmp_path / "model", Vocabulary([PADDING, UNKNOWN, "playing", "well", "play", "playing-well"]))
    assert vectors.shape == (6, 300)
    assert (vectors[:2] == 0).all()
    assert np.linalg.norm(vectors[2] - vectors[3]) > 1e-3


def test_the_encoder_is_made_a_judge_that_teaches(tmp_path) -> None:
    torch.set_num_threads(1)
    corpus = small_corpus()
    write_tiny_encoder(tmp_path / "model")
    forms = FormShares(noisy=0, cut=0)
    judge = JudgeSettings(
        steps=96,
        validate_every=48,
        batch=16,
        rate=1e-2,
        head_rate=3e-2,
        dropout=0.0,
        forms=forms,
        source_shares=(("meld", 1.0),),
    )
    trained, score = train_judge(corpus, judge, tmp_path / "model", tmp_path / "one")
    assert trained.judge([["play", "play"], ["well", "well"]]).argmax(axis=1).tolist() == [0, 1]
    assert score > 0.6
    again, _ = train_judge(corpus, judge, tmp_path / "model", tmp_path / "one")
    assert all(torch.equal(a, b) for a, b in zip(trained.state_dict().values(), again.state_dict().values(), strict=True))

    settings = TextSettings(**QUICK, steps=4, validate_every=4, judge=judge)
    train_text(corpus, settings, tmp_path / "one", tmp_path / "model")
    report = json.loads((tmp_path / "one/export/report.json").read_text(encoding="utf-8"))
    assert report["sentence_encoder"] is True
    assert report["development"]["judge"] == pytest.approx(score)
    vocabulary, _ = build_vocabulary(corpus.utterances)
    lessons = make_lessons(corpus.part("train"), vocabulary, settings, trained, tmp_path / "one")
    assert lessons.opinions.shape == (320, 4)
    assert lessons.vectors.shape == (320, 8)


def test_opinions_are_taken_up_from_their_folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.text_finetuning.PART", 2)
    write_tiny_encoder(tmp_path / "model")
    judge = Judge(tmp_path / "model", 0.1)
    texts = [["play"], ["well", "playing"], ["play", "!"], ["well"], ["playing"]]
    logits, vectors = opinions(judge, texts, tmp_path / "said")
    assert len(list((tmp_path / "said").iterdir())) == 3
    np.testing.assert_allclose(logits, judge.judge(texts), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-2)
    with torch.no_grad():
        judge.head.weight.zero_()
    assert np.array_equal(opinions(judge, texts, tmp_path / "said")[0], logits)


def test_the_judges_batches_continue_anywhere(tmp_path) -> None:
    write_tiny_encoder(tmp_path / "model")
    many = utterances(40)
    vocabulary, counts = build_vocabulary(many, rarest=1)
    noise = RecognizerNoise(vocabulary, counts)
    judge = Judge(tmp_path / "model", 0.1)
    settings = JudgeSettings(batch=4)
    task = JudgeTask(judge, settings, many, vocabulary, noise, evaluation_forms(many, vocabulary, noise))
    stream, later = task.batches(0), task.batches(19)
    batches = [next(stream) for _ in range(24)]
    for batch in batches[19:]:
        assert all(torch.equal(a, b) for a, b in zip(batch, next(later), strict=True))
