from __future__ import annotations

import numpy as np
import pytest

from realtime_ser.errors import BundleError
from realtime_ser.text import PADDING, UNKNOWN, TextNetwork, Vocabulary

onnx = pytest.importorskip("onnx")
WORDS = (PADDING, UNKNOWN, "i", "am", "so", "happy", "do", "n't")
CLASSES = 4


def graph(rows: int = len(WORDS), feature: int = 4_800, classes: int = CLASSES, tokens: str = "tokens") -> bytes:
    """The mean of the words' numbers in every place of the feature; the logits are its first places."""
    table = np.repeat(np.arange(rows, dtype=np.float32)[:, None], feature, axis=1)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes = [
        helper.make_node("Gather", ["table", tokens], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors", "time"], ["feature"], keepdims=0),
        helper.make_node("Slice", ["feature", "zero", "classes", "last"], ["logits"]),
    ]
    constants = {"table": table, "time": [1], "zero": [0], "classes": [classes], "last": [1]}
    f, i = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    outputs = [helper.make_tensor_value_info(name, f, [1, size]) for name, size in (("feature", feature), ("logits", classes))]
    inputs = [helper.make_tensor_value_info(tokens, i, [1, "T"])]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_graph(nodes, "text", inputs, outputs, initializers)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


@pytest.fixture(scope="module")
def network() -> TextNetwork:
    return TextNetwork(graph(), Vocabulary(WORDS), CLASSES)


def test_words_and_text_are_read_alike(network: TextNetwork) -> None:
    ours = network.encode(["I", "don't", "so"])
    theirs = network.encode("i, DON’T so!")
    assert np.array_equal(ours.feature, theirs.feature)
    assert ours.feature.shape == (4_800,)
    assert ours.logits.shape == (CLASSES,)
    assert ours.feature[0] == pytest.approx(np.mean([2, 6, 7, 4]))


def test_known_and_all_tokens_are_counted(network: TextNetwork) -> None:
    encoding = network.encode("i am so jubilant")
    assert (encoding.tokens_known, encoding.tokens_total) == (3, 4)


def test_a_text_without_tokens_is_an_unknown_word_that_does_not_count(network: TextNetwork) -> None:
    for nothing in ("", [], "[noise] 27 ..."):
        encoding = network.encode(nothing)
        assert (encoding.tokens_known, encoding.tokens_total) == (0, 0)
        assert encoding.feature[0] == 1


def test_punctuation_is_read_where_the_vocabulary_has_it_and_is_no_word(network: TextNetwork) -> None:
    marks = TextNetwork(graph(), Vocabulary((*WORDS[:6], "!", "...")), CLASSES)
    assert marks.encode("so happy!!!").feature[0] == pytest.approx((4 + 5 + 6) / 3)
    assert network.encode("so happy!!!").feature[0] == pytest.approx((4 + 5) / 2)
    for reader in (marks, network):
        encoding = reader.encode("so happy, you!")
        assert (encoding.tokens_known, encoding.tokens_total) == (2, 3)
        assert reader.encode("!...").feature[0] == 1


def test_of_a_long_text_the_newest_hundred_tokens_count(network: TextNetwork) -> None:
    encoding = network.encode(["happy"] * 50 + ["am"] * 100)
    assert encoding.tokens_total == 100
    assert encoding.feature[0] == pytest.approx(3)


def test_results_are_read_only(network: TextNetwork) -> None:
    encoding = network.encode("so")
    for array in (encoding.feature, encoding.logits):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_graph_from_a_file_gives_the_same(network: TextNetwork, tmp_path) -> None:
    (tmp_path / "text.onnx").write_bytes(graph())
    Vocabulary(WORDS).write(tmp_path / "vocabulary.txt")
    loaded = TextNetwork(tmp_path / "text.onnx", tmp_path / "vocabulary.txt", CLASSES)
    assert np.array_equal(loaded.encode("so happy").feature, network.encode("so happy").feature)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (graph(rows=len(WORDS) - 1), "does not fit"),
        (graph(rows=len(WORDS) + 1), "does not fit"),
        (graph(feature=64), "'feature'"),
        (graph(classes=7), "'logits'"),
        (graph(tokens="words"), "no input 'tokens'"),
        (b"no graph", "cannot be loaded"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(model: bytes, problem: str) -> None:
    with pytest.raises(BundleError, match=problem):
        TextNetwork(model, Vocabulary(WORDS), CLASSES)


def test_a_missing_graph_is_named(tmp_path) -> None:
    with pytest.raises(BundleError, match=r"no graph .*text\.onnx"):
        TextNetwork(tmp_path / "text.onnx", Vocabulary(WORDS), CLASSES)
