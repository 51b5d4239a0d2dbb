"""Every compared system by its name in commands and reports."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from realtime_ser.errors import ConfigError
from training.systems.base import System

__all__ = ["SYSTEMS", "Entry", "make_system"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a system is written down.

    Attributes
    ----------
    module, attribute
        What is called to get a new one. Modules are imported when a system is asked for.
    audio, text
        Whether it hears the clips, and whether it reads their words.
    summary
        What it is, with its source, in one line.
    arguments
        With which it is called.
    """

    module: str
    attribute: str
    audio: bool
    text: bool
    summary: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


SYSTEMS: dict[str, Entry] = {
    "egemaps-svm": Entry(
        "training.systems.floors", "EgemapsSvm", True, False, "floor: eGeMAPS functionals and a support vector machine"
    ),
    "tfidf-lr": Entry(
        "training.systems.floors", "TfidfRegression", False, True, "floor: TF-IDF and a logistic regression, classes balanced"
    ),
    "tfidf-lr-unbalanced": Entry(
        "training.systems.floors",
        "TfidfRegression",
        False,
        True,
        "floor: TF-IDF and a logistic regression, classes as they are",
        {"balanced": False},
    ),
    "evec-mcnn-lstm": Entry("training.systems.evec", "EvecMcnnLstm", True, True, "Cho et al., Interspeech 2018"),
    "mdre": Entry("training.systems.mdre", "Mdre", True, True, "dual recurrent encoders; Yoon et al., SLT 2018"),
    "mha-2": Entry("training.systems.mha", "MultiHop", True, True, "multi-hop attention; Yoon et al., ICASSP 2019"),
    "acoustic": Entry("training.systems.ours", "AcousticSystem", True, False, "SincNet and convolutions on the waveform"),
    "acoustic-frozen": Entry(
        "training.systems.ours", "AcousticSystem", True, False, "the same, filters as they were", {"filters": "frozen"}
    ),
    "text": Entry("training.systems.ours", "TextSystem", False, True, "two branches with cross-attention"),
    "fusion-1": Entry("training.systems.ours", "FusionSystem", True, True, "F-I, concatenation", {"fusion": "F-I"}),
    "fusion-2": Entry("training.systems.ours", "FusionSystem", True, True, "F-II, self-attention", {"fusion": "F-II"}),
    "fusion-3": Entry("training.systems.ours", "FusionSystem", True, True, "F-III, attention on each", {"fusion": "F-III"}),
}
"""Floors first, then the published systems, then the project's own."""


def make_system(name: str, word_vectors: Path | None = None) -> System:
    """A new system by its name in :data:`SYSTEMS`.

    Parameters
    ----------
    word_vectors
        File of word vectors from which networks that read start, such as ``glove.6B.300d.txt``.

    Raises
    ------
    ConfigError
        Where the name is not known.
    """
    entry = SYSTEMS.get(name)
    if entry is None:
        raise ConfigError(f"No system '{name}' is known.", f"Known are {', '.join(SYSTEMS)}.")
    made = getattr(importlib.import_module(entry.module), entry.attribute)
    arguments = dict(entry.arguments)
    if word_vectors is not None and "word_vectors" in inspect.signature(made).parameters:
        arguments["word_vectors"] = word_vectors
    system: System = made(**arguments)
    return system
