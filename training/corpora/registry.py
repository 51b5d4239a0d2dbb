"""All corpora that can be read, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from realtime_ser.errors import ConfigError
from training.corpora.ased import ASED
from training.corpora.cremad import CREMAD
from training.corpora.dailydialog import DAILYDIALOG
from training.corpora.emodb import EMODB
from training.corpora.emorynlp import EMORYNLP
from training.corpora.emovo import EMOVO
from training.corpora.goemotions import GOEMOTIONS
from training.corpora.iemocap import IEMOCAP
from training.corpora.isear import ISEAR
from training.corpora.meld import MELD
from training.corpora.nemo import NEMO
from training.corpora.ravdess import RAVDESS
from training.corpora.savee import SAVEE
from training.corpora.semeval import SEMEVAL
from training.corpora.speech import SpeechCorpus
from training.corpora.table import CorpusTable, TextTable
from training.corpora.tess import TESS
from training.corpora.urdu import URDU
from training.corpora.written import TextSource

__all__ = ["CORPORA", "TEXT_CORPORA", "open_corpus", "open_text_corpus"]

Corpus = TypeVar("Corpus", SpeechCorpus, TextSource)

CORPORA: dict[str, SpeechCorpus] = {
    corpus.key: corpus for corpus in (IEMOCAP, RAVDESS, EMODB, NEMO, ASED, EMOVO, SAVEE, TESS, CREMAD, URDU)
}
"""Speech corpora by their name in lower case, without hyphens."""

TEXT_CORPORA: dict[str, TextSource] = {
    corpus.key: corpus for corpus in (MELD, EMORYNLP, GOEMOTIONS, DAILYDIALOG, ISEAR, SEMEVAL)
}
"""Text corpora by name."""


def open_corpus(name: str, folder: Path) -> CorpusTable:
    """Read the speech corpus `name` (upper or lower case) from its folder.

    Raises
    ------
    ConfigError
        Where no such corpus is known, or no such folder exists. What is wrong inside the folder is listed in the table.
    """
    return _known(CORPORA, name, folder).open(folder)


def open_text_corpus(name: str, folder: Path) -> TextTable:
    """Read the text corpus `name` (upper or lower case) from its folder; errors as in :func:`open_corpus`."""
    return _known(TEXT_CORPORA, name, folder).open(folder)


def _known(corpora: dict[str, Corpus], name: str, folder: Path) -> Corpus:
    corpus = corpora.get(name.lower().replace("-", ""))
    if corpus is None:
        raise ConfigError(f"No corpus '{name}' is known here.", f"Known are {', '.join(corpora)}.")
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}.", f"Name the folder of {corpus.name}.")
    return corpus
