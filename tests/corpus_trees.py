"""Corpus folders in the layout of their releases, filled with a moment of noise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

__all__ = ["IEMOCAP_COUNTS", "add_audio", "noise", "write_iemocap_dialogue", "write_iemocap_release"]


def noise(path: Path, rate: int = 16_000, channels: int = 1, seconds: float = 0.05, seed: int = 0) -> Path:
    """One audio file of noise, in the format that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (round(rate * seconds), channels)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)
    soundfile.write(path, samples, rate)
    return path


def add_audio(root: Path, names: Iterable[str], original: Path) -> None:
    """Every name below `root`, as another link to `original`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(original, path)


IEMOCAP_COUNTS = {
    1: {"ang": 229, "hap": 135, "exc": 143, "neu": 384, "sad": 194},
    2: {"ang": 137, "hap": 117, "exc": 210, "neu": 362, "sad": 197},
    3: {"ang": 240, "hap": 135, "exc": 151, "neu": 320, "sad": 305},
    4: {"ang": 327, "hap": 65, "exc": 238, "neu": 258, "sad": 143},
    5: {"ang": 170, "hap": 143, "exc": 299, "neu": 384, "sad": 245},
}
IEMOCAP_OTHERS = {"xxx": 2_507, "fru": 1_849, "fea": 40, "sur": 107, "dis": 2, "oth": 3}
IEMOCAP_DIALOGUES = {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}

TIMES = ("[{0:.4f} - {1:.4f}]", "[ {0:.4f}-{1:.4f} ]", "[{0:.4f} - {1:.4f}", "({0:.4f} -{1:.4f})")
"""As the files have them, and with the brackets and spaces that some lines have."""


def write_iemocap_dialogue(session: Path, dialogue: str, labels: list[tuple[str, str]], original: Path) -> None:
    """Evaluation, transcription and audio of one dialogue with (turn, label)."""
    for part in ("EmoEvaluation", "transcriptions"):
        (session / "dialog" / part).mkdir(parents=True, exist_ok=True)
    evaluation = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    words = []
    for number, (turn, label) in enumerate(labels):
        start = number * 2.5
        times = TIMES[number % len(TIMES)].format(start, start + 2.0)
        evaluation += [
            f"{times}\t{dialogue}_{turn}\t{label}\t[2.5000, 2.5000, 2.5000]",
            "C-E2:\tNeutral;\t()",
            "C-E4:\tAnger; Frustration;\t(tired,",
            "and so on)",
            "C-F1:\tHappiness;\t(curious)",
            "A-E3:\tval 3; act 2; dom  2;\t()",
            "A-F1:\tval 3; act 2; dom  ;\t()",
            "",
        ]
        words.append(f"{dialogue}_{turn} [{start:08.4f}-{start + 2:08.4f}]: Well, {turn} said: [LAUGHTER] fine.")
        if number % 3 == 0:
            words += [f"{dialogue}_{turn[0]}XX{number % 10} [{start:08.4f}-{start + 1:08.4f}]: [BREATHING]", "M: Okay."]
    (session / "dialog/EmoEvaluation" / f"{dialogue}.txt").write_text("\n".join(evaluation), encoding="utf-8")
    (session / "dialog/transcriptions" / f"{dialogue}.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    add_audio(session / "sentences/wav" / dialogue, (f"{dialogue}_{turn}.wav" for turn, _ in labels), original)


def write_iemocap_release(root: Path, original: Path) -> None:
    """All five sessions with as many dialogues and as many utterances of every label as the full release has."""
    others = [label for label, count in IEMOCAP_OTHERS.items() for _ in range(count)]
    share = len(others) // 5
    for session, counts in IEMOCAP_COUNTS.items():
        labels = [label for label, count in counts.items() for _ in range(count)]
        labels += others[(session - 1) * share : session * share if session < 5 else None]
        folder = root / f"Session{session}"
        dialogues = IEMOCAP_DIALOGUES[session]
        for number in range(dialogues):
            kind = f"impro{number // 2 + 1:02}" if number < 16 else f"script{number // 2:02}_1b"
            own = labels[number::dialogues]
            turns = [(f"{'FM'[turn % 2]}{turn // 2:03}", label) for turn, label in enumerate(own)]
            write_iemocap_dialogue(folder, f"Ses{session:02}{'FM'[number % 2]}_{kind}", turns, original)
        for stray in (folder / "dialog/EmoEvaluation").glob("*impro01.txt"):
            stray.with_name(f"._{stray.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X\xff")
        (folder / "dialog/EmoEvaluation/Categorical").mkdir()
