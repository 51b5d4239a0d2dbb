"""All corpora that can be read, by name."""

from __future__ import annotations

from pathlib import Path

from realtime_ser.errors import ConfigError
from training.corpora.ravdess import RAVDESS
from training.corpora.speech import SpeechCorpus
from training.corpora.table import CorpusTable

__all__ = ["CORPORA", "open_corpus"]

CORPORA: dict[str, SpeechCorpus] = {corpus.key: corpus for corpus in (RAVDESS,)}
"""Speech corpora by their name in lower case."""


def open_corpus(name: str, folder: Path) -> CorpusTable:
    """Read the speech corpus `name` (upper or lower case) from its folder.

    Raises
    ------
    ConfigError
        Where no such corpus is known, or no such folder exists. What is wrong inside the folder is listed in the table.
    """
    corpus = CORPORA.get(name.lower())
    if corpus is None:
        raise ConfigError(f"No corpus '{name}' is known.", f"Known are {', '.join(CORPORA)}.")
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}.", f"Name the folder of {corpus.name}.")
    return corpus.open(folder)
