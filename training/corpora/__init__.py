"""Emotional speech and text corpora as one table.

A corpus is read by a *reader*, one module for each; all the rest of the training code sees only :class:`Clip` and
:class:`TextRow`. :func:`load_clips` reads a data folder with several corpora, :func:`open_corpus` the folder of one.
"""

from training.corpora.command import add_arguments, run
from training.corpora.data_folder import READERS, check_data_folder, data_directory, load_clips, read_manifest
from training.corpora.registry import CORPORA, TEXT_CORPORA, open_corpus, open_text_corpus
from training.corpora.table import FOUR_CLASSES, Clip, CorpusTable, Problem, TextRow, TextTable

__all__ = [
    "CORPORA",
    "FOUR_CLASSES",
    "READERS",
    "TEXT_CORPORA",
    "Clip",
    "CorpusTable",
    "Problem",
    "TextRow",
    "TextTable",
    "add_arguments",
    "check_data_folder",
    "data_directory",
    "load_clips",
    "open_corpus",
    "open_text_corpus",
    "read_manifest",
    "run",
]
