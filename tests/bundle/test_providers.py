"""Which execution provider is tried, with ONNX Runtime's real list and with made-up ones."""

from __future__ import annotations

import onnxruntime
import pytest

from realtime_ser.bundle.inference import available_providers, create_session
from realtime_ser.bundle.onnx_format import Graph, Node, serialise_graph
from realtime_ser.bundle.providers import Provider, candidates, parse_provider
from realtime_ser.errors import BundleError, ConfigError

EVERYTHING = [provider.runtime_name for provider in Provider]


def test_every_name_is_one_that_onnx_runtime_knows() -> None:
    assert set(EVERYTHING) <= set(onnxruntime.get_all_providers())
    assert Provider.CPU.runtime_name in available_providers()


@pytest.mark.parametrize(
    ("wanted", "available", "tried"),
    [
        (None, ["CPUExecutionProvider"], []),
        (None, EVERYTHING, [Provider.CUDA, Provider.DIRECTML]),
        (None, ["CoreMLExecutionProvider", "CPUExecutionProvider"], []),
        (Provider.COREML, ["CoreMLExecutionProvider", "CPUExecutionProvider"], [Provider.COREML]),
        (Provider.DIRECTML, EVERYTHING, [Provider.DIRECTML]),
        (Provider.CPU, EVERYTHING, []),
    ],
)
def test_what_is_tried(wanted: Provider | None, available: list[str], tried: list[Provider]) -> None:
    assert candidates(wanted, available) == (tried, "")


def test_a_missing_provider_is_told_and_the_processor_remains() -> None:
    tried, problem = candidates(Provider.CUDA, ["CPUExecutionProvider"])
    assert tried == []
    assert "CUDA" in problem
    assert "processor" in problem


def test_names() -> None:
    assert parse_provider("auto") is None
    assert parse_provider("coreml") is Provider.COREML
    with pytest.raises(ConfigError, match="auto or one of cpu, cuda, coreml, directml"):
        parse_provider("gpu")


def test_a_provider_that_is_not_there_is_an_error_and_not_silently_replaced() -> None:
    absent = next(provider for provider in Provider if provider.runtime_name not in available_providers())
    graph = serialise_graph(Graph([Node("Relu", ("x",), ("y",))], {}, {"x": ("n",)}, {"y": ("n",)}))
    with pytest.raises(BundleError, match="has no"):
        create_session(graph, absent)
