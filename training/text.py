"""Trains the text network to read texts as published and as a recogniser writes them, and measures it on MELD's test part.

The sentence encoder is fine-tuned first, where there is one, and teaches. The network and its temperature are chosen on MELD's
development part; the test part is looked at after that, as published, as words alone and in recogniser form (wrong, lost and
added words), beside word-count floors that were trained on the same form.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from realtime_ser.text import TextNetwork, Vocabulary
from realtime_ser.text.network import MAX_TOKENS
from training.corpora import data_directory
from training.export_acoustic import hardware
from training.loop import LoopSettings, Outcome, default_fabric, first_process_first, fit, rank, step_generator
from training.metrics import fit_temperature, unweighted_accuracy, weighted_accuracy, weighted_f1
from training.sentence_encoder import SentenceEncoder, find_sentence_encoder, spoken
from training.text_data import CLASSES, SOURCES, TextCorpus, Utterance, read_text_corpora
from training.text_finetuning import Judge, JudgeSettings, JudgeTask, make_copies, opinions
from training.text_forms import (
    RECOGNIZER,
    EvaluationForms,
    FormShares,
    TrainingForms,
    build_vocabulary,
    evaluation_forms,
    written_tokens,
)
from training.text_network import TextShape, TwoBranchTextNetwork, padded, text_graph
from training.text_noise import RecognizerNoise
from training.text_teacher import VECTOR, principal_components, read_word_vectors

__all__ = ["RECOGNIZER", "TextSettings", "add_arguments", "build_vocabulary", "measure_text", "run", "train_text"]

GROUP = 8
"""Batches that are drawn together and sorted by length."""


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Everything that decides what is trained.

    Attributes
    ----------
    words
        Largest vocabulary, padding and unknown word included.
    rate, vector_rate
        Learning rates of the network and of its word vectors.
    average
        Decay of the running average of the weights, per step; the average is what is measured and kept.
    taught
        Share of the judge's opinion in the loss of a labelled text, where there is a judge.
    temperature
        Of both opinions in that part of the loss (Hinton et al. 2015).
    meaning
        Weight of the distance (1 - cosine) between the judge's vector of a text and what is read linearly from the feature.
    unknown
        Probability, per token, that it is read as the unknown word.
    evenness
        A class is drawn from a collection as often as it occurs there, to the power of 1 - `evenness`.
    unlabelled
        Share of texts of other emotions, and of mixed ones, among what is drawn from a collection; only a judge uses them.
    copies
        Forms of every text, by collection.
    second_steps, second_rate, second_forms
        The second part of the training: texts of dialogue are worn anew whenever they are read, and the judge's opinion is that
        of the text as published, which knows more than the words that are left.
    asked
        Collections of dialogue, about whose texts the judge is asked; the others have their labels alone.
    judge
        How the encoder is fine-tuned, where there is one.
    """

    words: int = 14_000
    steps: int = 3_500
    validate_every: int = 500
    batch: int = 64
    rate: float = 2e-3
    vector_rate: float = 2e-3
    taught: float = 0.8
    temperature: float = 2.0
    meaning: float = 0.5
    weight_decay: float = 1e-2
    dropout: float = 0.3
    lstm: int = 64
    hidden: int = 192
    smoothing: float = 0.05
    average: float = 0.999
    unknown: float = 0.06
    evenness: float = 0.5
    unlabelled: float = 0.35
    seed: int = 1
    second_steps: int = 1_500
    second_rate: float = 1e-3
    forms: FormShares = field(default_factory=FormShares)
    second_forms: FormShares = field(default_factory=lambda: FormShares(written=0.35, noisy=0.75))
    source_shares: tuple[tuple[str, float], ...] = (
        ("meld", 0.42),
        ("emorynlp", 0.20),
        ("goemotions", 0.16),
        ("dailydialog", 0.12),
        ("isear", 0.04),
        ("semeval", 0.06),
    )
    asked: tuple[str, ...] = ("meld", "emorynlp", "dailydialog")
    copies: tuple[tuple[str, int], ...] = (
        ("meld", 3),
        ("emorynlp", 2),
        ("dailydialog", 1),
        ("goemotions", 1),
        ("isear", 1),
        ("semeval", 1),
    )
    judge: JudgeSettings = field(default_factory=JudgeSettings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training text``, beside ``--data``."""
    defaults = TextSettings()
    parser.add_argument("--out", type=Path, default=Path("runs/text"), help="folder of this training (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="batches of the text network (default: %(default)s)")
    parser.add_argument(
        "--judge-steps", type=int, default=defaults.judge.steps, help="batches of its teacher (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
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
    judge = JudgeSettings(steps=args.judge_steps, seed=args.seed)
    settings = TextSettings(steps=args.steps, seed=args.seed, judge=judge)
    encoder = find_sentence_encoder(args.sentence_encoder)
    if encoder is None:
        print("No sentence encoder is installed: the network learns from the labels alone (see training/sentence_encoder.py).")
    train_text(corpus, settings, args.out, encoder, args.word_vectors)
    if rank() == 0:
        measure_text(corpus, args.out)
    return 0


@dataclass(frozen=True, slots=True)
class Lessons:
    """Texts to learn from, one row each.

    Attributes
    ----------
    texts
        Token numbers.
    labels
        Class numbers; -1 where only the judge has an opinion.
    sources
        Names of the collections.
    opinions
        The judge's balanced logits, float32, shape ``(texts, classes)``, nan where it was not asked; ``None`` without a judge.
    vectors
        The judge's vectors of length 1, shape ``(texts, 384)``; ``None`` without a judge.
    published
        Whether a text stands there as published, shape ``(texts,)``.
    """

    texts: list[NDArray[np.int64]]
    labels: NDArray[np.int64]
    sources: NDArray[np.str_]
    opinions: NDArray[np.float32] | None = None
    vectors: NDArray[np.float16] | None = None
    published: NDArray[np.bool_] | None = None


class RowsAdam(torch.optim.SparseAdam):
    """Adam on those rows of a matrix that a batch has touched, whether their gradient is sparse or not."""

    def step(self, closure: Any = None) -> Any:
        """As that of :class:`torch.optim.SparseAdam`."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.to_sparse(1)
        return super().step(closure)


class TextLearner(nn.Module):
    """The text network, and what reads the judge's vector from its feature."""

    def __init__(self, network: TwoBranchTextNetwork, vector: int) -> None:
        super().__init__()
        self.network = network
        self.reader: nn.Module = nn.Linear(network.shape.feature, vector) if vector else nn.Identity()


class TextTask:
    """What the loop needs to train the text network; it validates on MELD's development part, in two forms."""

    unit = "texts"

    def __init__(
        self,
        network: TwoBranchTextNetwork,
        lessons: Lessons,
        dev: EvaluationForms,
        settings: TextSettings,
        forms: TrainingForms | None = None,
    ) -> None:
        self._forms = forms
        vector = 0 if lessons.vectors is None else lessons.vectors.shape[1]
        self.learner = TextLearner(network, vector)
        self.module: nn.Module = self.learner
        self.units = settings.batch
        self._lessons, self._dev, self._settings = lessons, dev, settings
        self._log_priors = np.zeros((len(lessons.texts), len(CLASSES)), np.float32)
        # Where texts are worn anew, the other copies of a published one are not needed.
        usable = np.ones(len(lessons.texts), bool)
        if forms is not None and lessons.published is not None:
            usable = lessons.published | ~np.isin(lessons.sources, np.unique(lessons.sources[lessons.published]))
        chances = np.zeros(len(lessons.texts))
        for source, share in settings.source_shares:
            here = usable & (lessons.sources == source)
            counts = np.bincount(lessons.labels[here & (lessons.labels >= 0)], minlength=len(CLASSES)).astype(np.float64)
            if not counts.any():
                continue
            drawn = np.where(counts > 0, counts ** (1 - settings.evenness), 0)
            drawn /= drawn.sum()
            # A class that a collection does not have: nothing is learnt there against it.
            self._log_priors[here] = np.log(np.maximum(drawn, 1e-4))
            others = here & (lessons.labels < 0)
            rest = settings.unlabelled if lessons.opinions is not None and others.any() else 0.0
            chances[others] = share * rest / max(1, others.sum())
            for label in range(len(CLASSES)):
                rows = here & (lessons.labels == label)
                chances[rows] = share * (1 - rest) * drawn[label] / max(1.0, counts[label])
        self._cumulated = np.cumsum(chances / chances.sum())

    def optimizer(self) -> list[torch.optim.Optimizer]:
        settings, vectors = self._settings, self.learner.network.embedding.weight
        dense = [parameter for parameter in self.learner.parameters() if parameter is not vectors]
        # A batch touches a few hundred of 14,000 words: updating only those is what makes training on a processor bearable.
        return [
            torch.optim.AdamW(dense, settings.rate, weight_decay=settings.weight_decay, fused=True),
            RowsAdam([{"params": [vectors], "clip": False}], settings.vector_rate),
        ]

    def batches(self, first_step: int) -> Iterator[tuple[Tensor, ...]]:
        """Tokens, lengths, labels, logarithms of priors, and with a judge its logits and vectors.

        Texts of about one length come together, which saves more than half of the time.
        """
        group, skipped = divmod(first_step, GROUP)
        while True:
            yield from self._group(step_generator(self._settings.seed, group), skipped)
            group, skipped = group + 1, 0

    def _group(self, generator: np.random.Generator, skipped: int) -> Iterator[tuple[Tensor, ...]]:
        size, lessons = self._settings.batch, self._lessons
        rows = np.searchsorted(self._cumulated, generator.random(GROUP * size), side="right").clip(max=len(lessons.texts) - 1)
        texts = [self._form(row, generator) for row in rows]
        lengths = np.array([len(text) for text in texts]) + generator.random(len(rows))
        for members in generator.permutation(np.argsort(lengths).reshape(GROUP, size))[skipped:]:
            chosen = rows[members]
            tokens, sizes = padded([texts[member] for member in members])
            hidden = torch.from_numpy(generator.random(tokens.shape) < self._settings.unknown) & (tokens > 0)
            batch = (tokens.masked_fill(hidden, 1), sizes, torch.from_numpy(lessons.labels[chosen]))
            batch = (*batch, torch.from_numpy(self._log_priors[chosen]))
            if lessons.opinions is not None and lessons.vectors is not None:
                vectors = torch.from_numpy(lessons.vectors[chosen].astype(np.float32))
                batch = (*batch, torch.from_numpy(lessons.opinions[chosen]), vectors)
            yield batch

    def _form(self, row: int, generator: np.random.Generator) -> NDArray[np.int64]:
        text, published = self._lessons.texts[row], self._lessons.published
        if self._forms is None or published is None or not published[row]:
            return text
        return self._forms.draw(text, generator)

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        assert isinstance(module, TextLearner)
        settings = self._settings
        tokens, lengths, labels, log_priors, *taught = batch
        feature, logits = module.network(tokens, lengths.cpu())
        labelled = labels >= 0
        hard = functional.cross_entropy(
            (logits + log_priors)[labelled], labels[labelled], label_smoothing=settings.smoothing, reduction="sum"
        ) / len(labels)
        if not taught:
            return hard, {}
        opinions, vectors = taught
        judged = ~opinions[:, 0].isnan()
        heat, share = settings.temperature, judged.float().mean()
        ours, theirs = (logits[judged] / heat).log_softmax(dim=1), (opinions[judged] / heat).log_softmax(dim=1)
        soft = functional.kl_div(ours, theirs, log_target=True, reduction="sum") / len(labels)
        unlike = (1 - functional.cosine_similarity(module.reader(feature[judged]), vectors[judged])).sum() / len(labels)
        loss = (1 - settings.taught * share) * hard + settings.taught * heat**2 * soft + settings.meaning * unlike
        return loss, {"hard": hard.detach(), "soft": soft.detach(), "unlike": unlike.detach()}

    def validate(self, module: nn.Module) -> float:
        assert isinstance(module, TextLearner)
        forms = (self._dev.published, self._dev.worn)
        scores = [unweighted_accuracy(self._dev.labels, logits_of(module.network, texts).argmax(axis=1)) for texts in forms]
        return float(np.mean(scores))


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
    encoder: Path | None = None,
    word_vectors: Path | None = None,
) -> None:
    """Train, going on from what lies in `out`, and export.

    Writes ``text.onnx``, ``vocabulary.txt`` and ``report.json`` to ``out/export``. MELD's test part is not touched.

    Parameters
    ----------
    encoder
        Folder of the sentence encoder that is made a judge and teaches; ``None`` to learn from the labels alone.
    word_vectors
        File of word vectors to start from; they have precedence over the sentence encoder's.
    """
    export = out / "export"
    export.mkdir(parents=True, exist_ok=True)
    training = corpus.part("train")
    vocabulary, counts = build_vocabulary(training, settings.words)
    noise = RecognizerNoise(vocabulary, counts)
    dev = evaluation_forms(corpus.part("dev", ["meld"]), vocabulary, noise)
    words = None if encoder is None else start_vectors(encoder, vocabulary)
    judge, judge_score = None, None
    if encoder is not None:
        judge, judge_score = train_judge(corpus, settings.judge, encoder, out)
    with first_process_first():  # the judge's opinions take minutes; the others find them where they are kept
        lessons = make_lessons(training, vocabulary, settings, judge, out)

    torch.manual_seed(settings.seed)
    shape = TextShape(len(vocabulary), len(CLASSES), lstm=settings.lstm, hidden=settings.hidden)
    network = TwoBranchTextNetwork(shape, settings.dropout)
    fabric = default_fabric()
    # Between graphics processors only dense gradients are joined.
    network.embedding.sparse = fabric.world_size == 1 or fabric.device.type == "cpu"
    with torch.no_grad():
        if words is not None:
            network.embedding.weight.copy_(torch.from_numpy(words))
        if word_vectors is not None:
            for number, vector in read_word_vectors(word_vectors, vocabulary).items():
                network.embedding.weight[number] = torch.from_numpy(vector)
    task = TextTask(network, lessons, dev, settings)
    loop = LoopSettings(
        settings.steps,
        settings.validate_every,
        schedule="plateau",
        clip=1.0,
        average=settings.average,
        seed=settings.seed,
    )
    # The rows of the embedding belong to the words of one vocabulary: with another one, of as many words, a checkpoint would
    # load without an error and read every word as a different one.
    content = hashlib.sha256("\n".join([*vocabulary.tokens, *(u.text for u in training)]).encode()).hexdigest()
    config = {**asdict(settings), "texts": content, "word_vectors": word_vectors is not None, "judge_used": judge is not None}
    outcome = fit(task, loop, out, label="text", config=config)

    if settings.second_steps:
        outcome = train_on(task, lessons, dev, noise, settings, out, config, outcome)
    if rank():
        return
    graph = text_graph(network)
    (export / "text.onnx").write_bytes(graph)
    vocabulary.write(export / "vocabulary.txt")
    logits = {form: exported_logits(export, getattr(dev, form)) for form in FORMS}
    labels = np.concatenate([dev.labels, dev.labels])
    both = np.concatenate([logits["published"], logits["worn"]])
    log_prior = np.log(np.bincount([CLASSES.index(u.label) for u in training if u.label and u.source == "meld"], minlength=4))
    log_prior -= np.log(np.exp(log_prior).sum())
    strengths = {form: prior_strength(dev.labels, logits[form], log_prior) for form in FORMS}
    report = {
        "classes": CLASSES,
        "calibration": {"text": round(fit_temperature(labels, both, 1 / np.bincount(labels)[labels]), 4)},
        "settings": asdict(settings),
        "word_vectors": word_vectors is not None,
        "sentence_encoder": encoder is not None,
        "development": {
            "judge": judge_score,
            "network": outcome.best_score,
            "step": outcome.best_step,
            **{
                form: {
                    "UA": round(unweighted_accuracy(dev.labels, scores.argmax(axis=1)), 4),
                    "weighted F1, MELD's priors": round(
                        weighted_f1(dev.labels, (scores + strengths[form] * log_prior).argmax(axis=1)), 4
                    ),
                }
                for form, scores in logits.items()
            },
        },
        "prior": {"logarithms": [round(float(value), 4) for value in log_prior], "strength": strengths},
        "history": outcome.history,
        "vocabulary": len(vocabulary),
        "text_onnx_bytes": len(graph),
        "sources": [
            {"name": source.title, "licence": source.licence, "rows": len(corpus.part("train", [source.name]))}
            for source in SOURCES
        ],
        "near_duplicates_removed": corpus.removed,
    }
    (export / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def train_on(
    first: TextTask,
    lessons: Lessons,
    dev: EvaluationForms,
    noise: RecognizerNoise,
    settings: TextSettings,
    out: Path,
    config: object,
    before: Outcome,
) -> Outcome:
    """The second part of the training; where it does no good on the development part, the network stays as it was."""
    kept = {name: value.clone() for name, value in first.module.state_dict().items()}
    changed = replace(settings, rate=settings.second_rate, vector_rate=settings.second_rate)
    network = first.learner.network
    task = TextTask(network, lessons, dev, changed, TrainingForms(noise, settings.second_forms))
    task.learner.load_state_dict(kept)
    loop = LoopSettings(
        settings.second_steps,
        settings.validate_every,
        schedule="plateau",
        clip=1.0,
        average=settings.average,
        seed=settings.seed + 1,
    )
    after = fit(task, loop, out, label="text-second", config=config)
    if after.best_score <= before.best_score:
        network.load_state_dict({name[8:]: value for name, value in kept.items() if name.startswith("network.")})
        return before
    return after


def train_judge(corpus: TextCorpus, settings: JudgeSettings, encoder: Path, out: Path) -> tuple[Judge, float]:
    """Fine-tune the encoder, or load what was fine-tuned in `out`; the judge, and its mean UA on the development part."""
    training = corpus.part("train")
    vocabulary, counts = build_vocabulary(training, rarest=1)
    noise = RecognizerNoise(vocabulary, counts)
    torch.manual_seed(settings.seed)
    judge = Judge(encoder, settings.dropout)
    dev = evaluation_forms(corpus.part("dev", ["meld"]), vocabulary, noise)
    task = JudgeTask(judge, settings, [u for u in training if u.label], vocabulary, noise, dev)
    loop = LoopSettings(settings.steps, settings.validate_every, schedule="plateau", clip=1.0, seed=settings.seed)
    outcome = fit(task, loop, out, label="judge", config=asdict(settings))
    return judge, outcome.best_score


def make_lessons(
    training: Sequence[Utterance], vocabulary: Vocabulary, settings: TextSettings, judge: Judge | None, out: Path
) -> Lessons:
    """Copies of the training texts with the judge's opinions of them, where there is one."""
    every, counts = build_vocabulary(training, rarest=1)
    asked = () if judge is None else settings.asked
    texts = [utterance for utterance in training if utterance.label or utterance.source in asked]
    copies = make_copies(
        texts, every, RecognizerNoise(every, counts), settings.forms, dict(settings.copies), seed=settings.seed
    )
    numbers = [vocabulary.numbers(text) for text in copies.texts]
    sources = np.array([texts[row].source for row in copies.rows])
    if judge is None:
        return Lessons(numbers, copies.labels, sources, published=copies.published)
    judged = np.flatnonzero(np.isin(sources, asked))
    subject = [copies.texts[row] for row in judged]
    # Opinions belong to these texts and to this judge.
    content = hashlib.sha256("\n".join(" ".join(text) for text in subject).encode())
    content.update(judge.head.weight.detach().numpy().tobytes())
    logits, meanings = opinions(judge, subject, out / f"opinions-{content.hexdigest()[:16]}")
    scores = np.full((len(numbers), logits.shape[1]), np.nan, np.float32)
    vectors = np.zeros((len(numbers), meanings.shape[1]), np.float16)
    scores[judged], vectors[judged] = logits, meanings
    return Lessons(numbers, copies.labels, sources, scores, vectors, copies.published)


def start_vectors(encoder: Path, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """A start vector for every word of `vocabulary`, shape ``(words, 300)``, from what the sentence encoder makes of it."""
    vectors = np.zeros((len(vocabulary), VECTOR), np.float32)
    words = SentenceEncoder(encoder).eval().encode([spoken([token]) for token in vocabulary.tokens[2:]])
    vectors[2:] = principal_components(words, VECTOR)
    return vectors


def prior_strength(labels: NDArray[np.int64], logits: NDArray[np.float64], log_prior: NDArray[np.float64]) -> float:
    """How much of `log_prior`, in [0, 1.5], to add to balanced `logits` for the best weighted F1."""
    strengths = np.arange(31) / 20
    return float(max(strengths, key=lambda value: weighted_f1(labels, (logits + value * log_prior).argmax(axis=1))))


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
    report = json.loads((export / "report.json").read_text(encoding="utf-8"))
    log_prior = np.array(report["prior"]["logarithms"])
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
            (own if name.startswith("text") else floors).append(entry)
            print(f"{entry['name']:50} {value:.3f} [{low:.3f}, {high:.3f}]  {form}", flush=True)

    for key, form in FORMS.items():
        texts = getattr(test, key)
        logits = exported_logits(export, texts)
        add("text", logits.argmax(axis=1), form)
        add("text with MELD's priors", (logits + report["prior"]["strength"][key] * log_prior).argmax(axis=1), form)
        for name, predicted in _floors(training, texts, key, vocabulary, noise):
            add(name, predicted, form)
    written = [utterance for utterance in corpus.part("test", ["meld"]) if utterance.label]
    for name, predicted in _written_floors(training, written):
        add(name, predicted, "text as published, floors with every mark and rare words")
    report |= {"figures": own, "floors": floors}
    (export / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return own + floors


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


FORMS = {
    "published": "text as published, with punctuation",
    "words": "words as published, without punctuation and case",
    "worn": "words in recogniser form, word error about 25 %",
}
"""Attributes of :class:`EvaluationForms`, and what the card calls them."""
FLOORS = (("TF-IDF + balanced logistic regression", "balanced"), ("TF-IDF + logistic regression", None))
MEASURES = {"UA": unweighted_accuracy, "WA": weighted_accuracy, "weighted F1": weighted_f1}


def exported_logits(export: Path, texts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Logits of the graph in `export` by the runtime's own class, shape (texts, classes): what is measured is what ships."""
    network = TextNetwork(export / "text.onnx", export / "vocabulary.txt", len(CLASSES))
    return np.array([network.encode_numbers(text[-MAX_TOKENS:])[1] for text in texts], dtype=np.float64)


def _floors(
    training: Sequence[Utterance],
    test: Sequence[NDArray[np.int64]],
    form: str,
    vocabulary: Vocabulary,
    noise: RecognizerNoise,
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Classes of `test` by TF-IDF of words and word pairs with logistic regression, trained on MELD + EmoryNLP in this form."""
    generator = np.random.default_rng(2021)
    labelled = _dialogue(training)
    texts = [vocabulary.numbers(written_tokens(u)) for u in labelled]
    if form == "words":
        texts = [noise.words_only(text) for text in texts]
    elif form == "worn":
        texts = [noise.apply(text, RECOGNIZER, generator) for text in texts]
    for name, weights in FLOORS:
        yield name, _tfidf(texts, labelled, test, weights, analyzer=_words_and_pairs)


def _written_floors(training: Sequence[Utterance], test: Sequence[Utterance]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The same on text as written, with every mark and word: much of published figures rests on punctuation."""
    labelled = _dialogue(training)
    texts = [u.text for u in labelled]
    for name, weights in FLOORS:
        pattern = r"\w+|[^\w\s]"
        yield name, _tfidf(texts, labelled, [u.text for u in test], weights, token_pattern=pattern, ngram_range=(1, 2))


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
