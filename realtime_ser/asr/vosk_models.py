"""Vosk model folders: what belongs into one, and what its name says.

libvosk reports a missing file only on stderr, and some of them not at all, so the folder is looked at before it is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["VoskModelFolder", "is_vosk_model"]

_NAME = re.compile(r"vosk-model-(?P<small>small-)?(?P<language>[a-z]{2,3}(-(?=[a-z]{2}-)[a-z]{2})?)(?=-|$)")


def is_vosk_model(path: Path) -> bool:
    """Whether `path` is a folder with an acoustic model where Vosk looks for one (it may still be incomplete)."""
    return (path / "am" / "final.mdl").is_file() or (path / "final.mdl").is_file()


@dataclass(frozen=True, slots=True)
class VoskModelFolder:
    """A folder that is, or should be, a Vosk model."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, e.g. ``vosk-model-small-en-us-0.15``."""
        return self.path.resolve().name

    @property
    def language(self) -> str:
        """Language code in the name, e.g. ``"en-us"``; empty where the name does not follow Vosk's pattern."""
        match = _NAME.match(self.name)
        return match["language"] if match else ""

    @property
    def small(self) -> bool:
        """Whether the name says that it is one of Vosk's small models (about 40 MB, made for live use)."""
        match = _NAME.match(self.name)
        return bool(match and match["small"])

    def missing(self) -> list[str]:
        """Files that Vosk needs and that are absent or empty, as paths relative to the folder; empty when complete.

        There are two layouts: files in ``am/``, ``conf/``, ``graph/``, or (old models) all at the top. Either has one static
        graph, ``HCLG.fst``, or a pair that is composed while decoding, ``HCLr.fst`` and ``Gr.fst``.
        """
        old = not (self.path / "am" / "final.mdl").is_file() and (self.path / "final.mdl").is_file()
        graph = "" if old else "graph/"
        needed = ["final.mdl", "mfcc.conf"] if old else ["am/final.mdl", "conf/mfcc.conf", "conf/model.conf"]
        if not self._has(f"{graph}HCLG.fst"):
            needed += [f"{graph}HCLr.fst", f"{graph}Gr.fst", f"{graph}disambig_tid.int"]
        return [name for name in needed if not self._has(name)]

    @property
    def has_word_times(self) -> bool:
        """Whether ``word_boundary.int`` is there; without it Vosk gives wrong word times and says nothing."""
        return self._has("graph/phones/word_boundary.int") or (
            not (self.path / "am" / "final.mdl").is_file() and self._has("word_boundary.int")
        )

    def _has(self, name: str) -> bool:
        file = self.path / name
        return file.is_file() and file.stat().st_size > 0
