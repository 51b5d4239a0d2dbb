"""What single words weigh: each is left out, and the scores are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from realtime_ser.controller import Controller
from realtime_ser.text.network import TextEncoding
from realtime_ser.text.weights import MOST_WORDS, WordWeights, weigh_words


class Glad:
    """A network to which every "glad" says the second class; it counts how often it reads."""

    def __init__(self) -> None:
        self.reads = 0

    def encode(self, words: str | Sequence[str]) -> TextEncoding:
        self.reads += 1
        logits = np.array([0.0, 2.0 * list(words).count("glad"), 0.0], np.float32)
        return TextEncoding(np.zeros(1, np.float32), logits, len(words), len(words))


def test_a_word_weighs_what_its_class_loses_without_it() -> None:
    found = weigh_words(Glad(), ["I", "am", "glad", "now"], temperature=1.0)
    whole = np.exp(2.0) / (np.exp(2.0) + 2.0)
    assert found.words == ("I", "am", "glad", "now")
    assert found.weights[:, 1] == pytest.approx([0.0, 0.0, whole - 1.0 / 3.0, 0.0])
    assert found.weights.sum(axis=1) == pytest.approx(np.zeros(4), abs=1e-6)
    assert found.heaviest(1) == ("glad",)
    assert found.heaviest(0) == (), "it speaks against the others"
    cooler = weigh_words(Glad(), ["I", "am", "glad", "now"], temperature=4.0)
    assert 0.0 < cooler.weights[2, 1] < found.weights[2, 1]


def test_a_word_that_comes_twice_is_named_once() -> None:
    weights = WordWeights(("No", "no", "never", "not", "why"), np.array([[0.3], [0.2], [0.1], [0.05], [0.04]], np.float32))
    assert weights.heaviest(0) == ("no", "never", "not")
    assert weights.heaviest(0, most=9, least=0.05) == ("no", "never", "not")


def test_of_a_long_text_the_newest_words_are_weighed() -> None:
    network = Glad()
    found = weigh_words(network, [f"word{number}" for number in range(90)], temperature=1.0)
    assert network.reads == MOST_WORDS + 1
    assert found.words[-1] == "word89"
    assert len(found.words) == len(found.weights) == MOST_WORDS


def test_the_controller_asks_its_text_network(random_bundle: Path) -> None:
    controller = Controller(str(random_bundle), "none")
    classes = controller.bundle().classes
    found = controller.word_weights(["so", "glad", "you", "came"])
    assert found.weights.shape == (4, len(classes))
    assert np.abs(found.weights).max() > 0.0
    controller.close()
