"""Trains the text network on labelled utterances in the form a recogniser writes, and measures it once on MELD's test part.

The network and its temperature are chosen on MELD's development part; the test part is looked at after that, in the published
form and in recogniser form (with wrong, lost and added words), beside word-count floors that were trained on the same text.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch.nn import functional

from realtime_ser.text import PADDING, UNKNOWN, TextNetwork, Vocabulary
from training.corpora import data_directory
from training.export_acoustic import hardware
from training.metrics import fit_temperature, unweighted_accuracy, weighted_accuracy
from training.sentence_encoder import find_sentence_encoder
from training.text_data import CLASSES, SOURCES, TextCorpus, Utterance, read_text_corpora
from training.text_network import TextShape, TwoBranchTextNetwork, text_graph
from training.text_noise import NoiseRates, RecognizerNoise
from training.text_teacher import Lessons, read_word_vectors, teach

__all__ = ["RECOGNIZER", "TextSettings", "add_arguments", "build_vocabulary", "measure_text", "run", "train_text"]

RECOGNIZER = NoiseRates(substitute=0.15, delete=0.06, insert=0.04)
"""The recogniser form in which figures are reported: about one word in four is wrong, as for good models on clear speech."""

MAX_TOKENS = 100
SPOKEN = ("meld", "emorynlp", "dailydialog")
"""Collections of dialogue: the teacher's class probabilities follow their labels."""
GROUP = 8
"""Batches that are drawn together and sorted by length."""


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Everything that decides what is trained.

    Attributes
    ----------
    words
        Largest vocabulary, padding and unknown word included.
    source_shares
        How often either collection is drawn from, relative to the others.
    average
        Decay of the running average of the weights, per step; the average is what is measured and kept.
    vector_rate
        Learning rate of the word vectors.
    taught
        Share of the teacher's class probabilities in the targets, where there is a teacher.
    meaning
        Weight of the distance (1 - cosine) between what the teacher makes of a text and what is read linearly from the feature.
    longest
        Of a longer training text, a random part of so many tokens is read.
    unknown
        Probability, per token, that it is read as the unknown word.
    noisy
        Probability that a training text gets recognition errors, of up to twice the rates of :data:`RECOGNIZER`.
    prefix
        Probability that a training text is cut after a random word, as a live transcript is.
    """

    words: int = 14_000
    epochs: int = 14
    steps_per_epoch: int = 400
    batch: int = 64
    learning_rate: float = 2e-3
    vector_rate: float = 2e-3
    taught: float = 0.5
    meaning: float = 0.5
    weight_decay: float = 1e-2
    dropout: float = 0.3
    smoothing: float = 0.1
    average: float = 0.999
    longest: int = 32
    unknown: float = 0.08
    noisy: float = 0.8
    prefix: float = 0.2
    seed: int = 1
    source_shares: tuple[tuple[str, float], ...] = (
        ("meld", 0.40),
        ("emorynlp", 0.14),
        ("goemotions", 0.22),
        ("dailydialog", 0.10),
        ("isear", 0.06),
        ("semeval", 0.08),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training text``, beside ``--data``."""
    defaults = TextSettings()
    parser.add_argument("--out", type=Path, default=Path("runs/text"), help="folder of this training (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=defaults.epochs, help="balanced draws of text (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/cache"), help="what the sentence encoder said (default: %(default)s)"
    )
    parser.add_argument("--word-vectors", type=Path, help="300-D vectors in GloVe's text format to start from")
    parser.add_argument(
        "--sentence-encoder", type=Path, help="folder of all-MiniLM-L6-v2 (default: the installed package, if any)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, export and measure; 0 on success, 1 where the text collections are incomplete."""
    torch.set_num_threads(args.threads)
    corpus = read_text_corpora(data_directory(args.data) / "text")
    for problem in corpus.problems:
        print(problem, file=sys.stderr)
    if corpus.problems:
        return 1
    settings = TextSettings(epochs=args.epochs, seed=args.seed)
    encoder = find_sentence_encoder(args.sentence_encoder)
    if encoder is None:
        print("No sentence encoder is installed: the network learns from the labels alone (see training/sentence_encoder.py).")
    train_text(corpus, settings, args.out, args.cache, encoder, args.word_vectors)
    measure_text(corpus, args.out)
    return 0


def build_vocabulary(texts: Sequence[Utterance], size: int) -> tuple[Vocabulary, dict[str, int]]:
    """The most frequent tokens that occur at least twice, most frequent first, and how often every token occurs."""
    counts = Counter(token for utterance in texts for token in utterance.tokens)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Vocabulary([PADDING, UNKNOWN, *(token for token, count in ranked if count >= 2)][:size]), dict(counts)


def padded(texts: Sequence[NDArray[np.int64]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token numbers, shape (texts, longest), and lengths of `texts`; of long ones the last 100 tokens, as at run time."""
    texts = [text[-MAX_TOKENS:] for text in texts]
    lengths = torch.tensor([len(text) for text in texts])
    tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.from_numpy(text)
    return tokens, lengths


class BalancedTexts:
    """Draws batches: a class with equal chances, then a collection by its share, then a text of both.

    Parameters
    ----------
    utterances
        Texts of the four classes; batches refer to them by their row.
    """

    def __init__(
        self, utterances: Sequence[Utterance], vocabulary: Vocabulary, noise: RecognizerNoise, settings: TextSettings
    ) -> None:
        self._noise = noise
        self._settings = settings
        self._texts = [vocabulary.numbers(utterance.tokens) for utterance in utterances]
        self._labels = np.array([CLASSES.index(utterance.label) for utterance in utterances])
        cells: dict[tuple[int, str], list[int]] = {}
        for row, utterance in enumerate(utterances):
            cells.setdefault((int(self._labels[row]), utterance.source), []).append(row)
        self._choices: list[tuple[list[list[int]], NDArray[np.float64]]] = []
        for label in range(len(CLASSES)):
            pools = {source: cells[label, source] for source, _ in settings.source_shares if (label, source) in cells}
            # A collection with few texts of a class must not be repeated over and over: its share shrinks with its size.
            weights = np.array([dict(settings.source_shares)[source] * min(1.0, len(pools[source]) / 400) for source in pools])
            self._choices.append((list(pools.values()), weights / weights.sum()))

    def batches(
        self, count: int, generator: np.random.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, NDArray[np.int64]]]:
        """Yield `count` batches of tokens, lengths, labels and rows.

        Texts of about one length come together, which saves more than half of the time; the classes are balanced over every
        :data:`GROUP` batches.
        """
        size = self._settings.batch
        while count > 0:
            labels = np.arange(GROUP * size) % len(CLASSES)
            rows = np.array([self._draw(label, generator) for label in labels])
            texts = [self._worn(self._texts[row], generator) for row in rows]
            lengths = np.array([len(text) for text in texts]) + generator.random(len(texts))
            groups = np.argsort(lengths).reshape(GROUP, size)
            for members in generator.permutation(groups)[:count]:
                tokens, sizes = padded([texts[member] for member in members])
                yield tokens, sizes, torch.from_numpy(labels[members]), rows[members]
            count -= GROUP

    def _draw(self, label: int, generator: np.random.Generator) -> int:
        pools, weights = self._choices[label]
        pool = pools[generator.choice(len(pools), p=weights)]
        return pool[generator.integers(len(pool))]

    def _worn(self, text: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        settings = self._settings
        if len(text) > settings.longest:
            first = generator.integers(len(text) - settings.longest + 1)
            text = text[first : first + settings.longest]
        if len(text) > 3 and generator.random() < settings.prefix:
            text = text[: generator.integers(2, len(text))]
        if generator.random() < settings.noisy:
            text = self._noise.apply(text, RECOGNIZER.scaled(2 * generator.random()), generator)
        return np.where(generator.random(len(text)) < settings.unknown, 1, text)


def logits_of(network: TwoBranchTextNetwork, texts: Sequence[NDArray[np.int64]], batch: int = 256) -> NDArray[np.float64]:
    """Logits of `texts`, shape (texts, classes)."""
    network.eval()
    with torch.no_grad():
        parts = [network(*padded(texts[first : first + batch]))[1] for first in range(0, len(texts), batch)]
    return torch.cat(parts).double().numpy()


def train_text(
    corpus: TextCorpus,
    settings: TextSettings,
    out: Path,
    cache: Path,
    encoder: Path | None = None,
    word_vectors: Path | None = None,
) -> None:
    """Train, resuming from the checkpoint in `out` if there is one of the same task, and export.

    Writes ``text.onnx``, ``vocabulary.txt`` and ``report.json`` to ``out/export``. MELD's test part is not touched.

    Parameters
    ----------
    cache
        Folder for what the sentence encoder said.
    encoder
        Folder of the sentence encoder that teaches; ``None`` to learn from the labels alone.
    word_vectors
        File of word vectors to start from; they have precedence over the sentence encoder's.
    """
    export = out / "export"
    export.mkdir(parents=True, exist_ok=True)
    training = corpus.part("train")
    vocabulary, counts = build_vocabulary(training, settings.words)
    noise = RecognizerNoise(vocabulary, counts)
    labelled = [utterance for utterance in training if utterance.label]
    draws = BalancedTexts(labelled, vocabulary, noise, settings)
    dev = evaluation_forms(corpus.part("dev", ["meld"]), vocabulary, noise)

    torch.manual_seed(settings.seed)
    network = TwoBranchTextNetwork(TextShape(len(vocabulary), len(CLASSES)), settings.dropout)
    lessons = None if encoder is None else teach(encoder, vocabulary, labelled, cache, SPOKEN)
    with torch.no_grad():
        if lessons is not None:
            network.embedding.weight.copy_(torch.from_numpy(lessons.vectors))
        if word_vectors is not None:
            for number, vector in read_word_vectors(word_vectors, vocabulary).items():
                network.embedding.weight[number] = torch.from_numpy(vector)
    best, epochs = _fit(network, draws, lessons, dev, settings, vocabulary, out / "checkpoint.pt")
    network.load_state_dict(best)

    graph = text_graph(network)
    (export / "text.onnx").write_bytes(graph)
    vocabulary.write(export / "vocabulary.txt")
    labels = np.concatenate([dev.labels, dev.labels])
    logits = exported_logits(export, [*dev.published, *dev.worn])
    report = {
        "classes": CLASSES,
        "calibration": {"text": round(fit_temperature(labels, logits, 1 / np.bincount(labels)[labels]), 4)},
        "settings": asdict(settings),
        "word_vectors": word_vectors is not None,
        "sentence_encoder": encoder is not None,
        "epochs": epochs,
        "vocabulary": len(vocabulary),
        "text_onnx_bytes": len(graph),
        "sources": [
            {"name": source.title, "licence": source.licence, "rows": len(corpus.part("train", [source.name]))}
            for source in SOURCES
        ],
        "near_duplicates_removed": corpus.removed,
    }
    (export / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure_text(corpus: TextCorpus, out: Path) -> list[dict[str, object]]:
    """Measure the export in `out` and the floors on MELD's test part, and add the figures to ``report.json``.

    Returns
    -------
    list of dict
        Figures as the bundle's card wants them: those of the network, then those of the floors.
    """
    export = out / "export"
    training = corpus.part("train")
    vocabulary = Vocabulary.read(export / "vocabulary.txt")
    noise = RecognizerNoise(vocabulary, build_vocabulary(training, len(vocabulary))[1])
    test = evaluation_forms(corpus.part("test", ["meld"]), vocabulary, noise)
    date, machine = datetime.date.today().isoformat(), hardware()
    own: list[dict[str, object]] = []
    floors: list[dict[str, object]] = []
    protocol = "; near-duplicates removed from training; interval: 95 %, bootstrap over utterances"

    def add(name: str, predicted: NDArray[np.int64], form: str) -> None:
        for measure, figure in MEASURES.items():
            value = figure(test.labels, predicted)
            low, high = utterance_interval(figure, test.labels, predicted)
            entry = {"name": f"{name} {measure}", "value": round(value, 4), "interval": [round(low, 4), round(high, 4)]}
            entry |= {"data": "MELD test, four classes", "protocol": form + protocol, "date": date, "hardware": machine}
            (own if name == "text" else floors).append(entry)
            print(f"{entry['name']:50} {value:.3f} [{low:.3f}, {high:.3f}]  {form}", flush=True)

    for texts, worn, form in (
        (test.published, False, "words as published, without punctuation and case"),
        (test.worn, True, "words in recogniser form, word error about 25 %"),
    ):
        add("text", exported_logits(export, texts).argmax(axis=1), form)
        for name, predicted in _floors(training, texts, worn, vocabulary, noise):
            add(name, predicted, form)
    written = [utterance for utterance in corpus.part("test", ["meld"]) if utterance.label]
    add(
        "TF-IDF + balanced logistic regression",
        _written_floor(training, written),
        "text as published, with punctuation and case",
    )
    report = json.loads((export / "report.json").read_text(encoding="utf-8"))
    report |= {"figures": own, "floors": floors}
    (export / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return own + floors


@dataclass(frozen=True, slots=True)
class EvaluationForms:
    """Utterances of the four classes: `labels`, and token numbers of the `published` form and of the recogniser's (`worn`)."""

    labels: NDArray[np.int64]
    published: list[NDArray[np.int64]]
    worn: list[NDArray[np.int64]]


def evaluation_forms(utterances: Sequence[Utterance], vocabulary: Vocabulary, noise: RecognizerNoise) -> EvaluationForms:
    """Both forms of the labelled `utterances`; the noise is the same at every call."""
    generator = np.random.default_rng(2020)
    labelled = [utterance for utterance in utterances if utterance.label]
    published = [vocabulary.numbers(utterance.tokens) for utterance in labelled]
    worn = [noise.apply(text, RECOGNIZER, generator) for text in published]
    return EvaluationForms(np.array([CLASSES.index(utterance.label) for utterance in labelled]), published, worn)


def weighted_f1(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """F1 of the classes, weighted by how often they occur, in [0, 1]."""
    return float(f1_score(labels, predicted, average="weighted"))


def utterance_interval(
    figure: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    draws: int = 200,
) -> tuple[float, float]:
    """95 % percentile interval of `figure` over bootstrap samples of the utterances."""
    generator = np.random.default_rng(0)
    samples = (generator.integers(len(labels), size=len(labels)) for _ in range(draws))
    low, high = np.quantile([figure(labels[rows], predicted[rows]) for rows in samples], [0.025, 0.975])
    return float(low), float(high)


MEASURES = {"UA": unweighted_accuracy, "WA": weighted_accuracy, "weighted F1": weighted_f1}


def exported_logits(export: Path, texts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Logits of the graph in `export` by the runtime's own class, shape (texts, classes): what is measured is what ships."""
    network = TextNetwork(export / "text.onnx", export / "vocabulary.txt", len(CLASSES))
    return np.array([network.encode_numbers(text[-MAX_TOKENS:])[1] for text in texts], dtype=np.float64)


def _fit(
    network: TwoBranchTextNetwork,
    draws: BalancedTexts,
    lessons: Lessons | None,
    dev: EvaluationForms,
    settings: TextSettings,
    vocabulary: Vocabulary,
    checkpoint: Path,
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """The average weights that did best on `dev`, and what every epoch reached there."""
    # The rows of the embedding belong to the words of one vocabulary: with another one, of as many words, a checkpoint would
    # load without an error and read every word as a different one.
    identity = repr((settings, vocabulary.tokens))
    total = settings.epochs * settings.steps_per_epoch
    reader = torch.nn.Linear(network.shape.feature, 1 if lessons is None else lessons.sentences.shape[1])
    dense = [parameter for name, parameter in network.named_parameters() if not name.startswith("embedding")]
    dense += list(reader.parameters())
    # A batch touches a few hundred of 14,000 words: updating only those is what makes training on a processor bearable.
    optimisers: tuple[torch.optim.Optimizer, ...] = (
        torch.optim.AdamW(dense, settings.learning_rate, weight_decay=settings.weight_decay, fused=True),
        torch.optim.SparseAdam([network.embedding.weight], settings.vector_rate),
    )
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimiser, optimiser.param_groups[0]["lr"], total_steps=total, pct_start=0.1, cycle_momentum=False
        )
        for optimiser in optimisers
    ]
    learning = [network, reader, *optimisers, *schedules]
    average = {name: value.clone() for name, value in network.state_dict().items()}
    best, best_score = average, -1.0
    epochs: list[dict[str, float]] = []
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        if saved["identity"] == identity:
            for part, state in zip(learning, saved["learning"], strict=True):
                part.load_state_dict(state)
            average, best, best_score, epochs = saved["average"], saved["best"], saved["best_score"], saved["epochs"]
    shadow = TwoBranchTextNetwork(network.shape)
    for epoch in range(len(epochs), settings.epochs):
        began = time.perf_counter()
        # A generator of its own per epoch, so that a resumed training draws what an unbroken one would have drawn.
        generator = np.random.default_rng((settings.seed, epoch))
        torch.manual_seed(settings.seed * 1_000 + epoch)
        network.train()
        losses = []
        for step, (tokens, lengths, labels, rows) in enumerate(draws.batches(settings.steps_per_epoch, generator)):
            feature, logits = network(tokens, lengths)
            targets = functional.one_hot(labels, len(CLASSES)).float()
            if lessons is not None:
                targets = targets.lerp(torch.from_numpy(lessons.probabilities[rows]), settings.taught)
            loss = functional.cross_entropy(logits, targets, label_smoothing=settings.smoothing)
            if lessons is not None:
                likeness = functional.cosine_similarity(reader(feature), torch.from_numpy(lessons.sentences[rows]))
                loss = loss + settings.meaning * (1 - likeness.mean())
            network.zero_grad(set_to_none=True)
            reader.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(dense, 1.0)
            for part in [*optimisers, *schedules]:
                part.step()
            losses.append(loss.item())
            done = epoch * settings.steps_per_epoch + step
            decay = min(settings.average, (1 + done) / (10 + done))
            for name, value in network.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        shadow.load_state_dict(average)
        published, worn = (
            unweighted_accuracy(dev.labels, logits_of(shadow, texts).argmax(axis=1)) for texts in (dev.published, dev.worn)
        )
        score = (published + worn) / 2
        if score > best_score:
            best, best_score = {name: value.clone() for name, value in average.items()}, score
        epochs.append({"loss": float(np.mean(losses)), "dev UA published": published, "dev UA recogniser": worn})
        seconds = time.perf_counter() - began
        figures = ", ".join(f"{name} {value:.3f}" for name, value in epochs[-1].items())
        print(f"epoch {epoch + 1}: {figures}, {seconds:.0f} s", flush=True)
        state = {
            "identity": identity,
            "learning": [part.state_dict() for part in learning],
            "average": average,
            "best": best,
            "best_score": best_score,
            "epochs": epochs,
        }
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)
    return best, epochs


def _floors(
    training: Sequence[Utterance],
    test: Sequence[NDArray[np.int64]],
    worn: bool,
    vocabulary: Vocabulary,
    noise: RecognizerNoise,
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Classes of `test` by TF-IDF of words and word pairs with logistic regression, trained on MELD + EmoryNLP in this form."""
    generator = np.random.default_rng(2021)
    labelled = _dialogue(training)
    texts = [vocabulary.numbers(u.tokens) for u in labelled]
    if worn:
        texts = [noise.apply(text, RECOGNIZER, generator) for text in texts]
    for name, weights in (("TF-IDF + balanced logistic regression", "balanced"), ("TF-IDF + logistic regression", None)):
        yield name, _tfidf(texts, labelled, test, weights, analyzer=_words_and_pairs)


def _written_floor(training: Sequence[Utterance], test: Sequence[Utterance]) -> NDArray[np.int64]:
    """The same on text as written: punctuation is what no recogniser writes, and what much of published figures rests on."""
    labelled = _dialogue(training)
    texts = [u.text for u in labelled]
    pattern = r"\w+|[^\w\s]"
    return _tfidf(texts, labelled, [u.text for u in test], "balanced", token_pattern=pattern, ngram_range=(1, 2))


def _dialogue(training: Sequence[Utterance]) -> list[Utterance]:
    return [u for u in training if u.label and u.source in ("meld", "emorynlp")]


def _tfidf(
    texts: Sequence[object], labelled: Sequence[Utterance], test: Sequence[object], weights: str | None, **options: object
) -> NDArray[np.int64]:
    vectoriser = TfidfVectorizer(sublinear_tf=True, min_df=2, **options)
    features = vectoriser.fit_transform(texts)
    model = LogisticRegression(C=2.0, max_iter=1_000, class_weight=weights)
    predicted: NDArray[np.int64] = model.fit(features, [CLASSES.index(u.label) for u in labelled]).predict(
        vectoriser.transform(test)
    )
    return predicted


def _words_and_pairs(text: NDArray[np.int64]) -> list[tuple[int, ...]]:
    words = text.tolist()
    return [(word,) for word in words] + list(pairwise(words))
