"""IEMOCAP's tables: the four classes come out, quirks are read, and whatever is wrong is said with its file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpus_trees import IEMOCAP_COUNTS, noise, write_iemocap_dialogue, write_iemocap_release
from hypothesis import given, settings
from hypothesis import strategies as st

from training.corpora import open_corpus
from training.corpora.iemocap import EMOTIONS, EXPECTED, Label, parse_evaluation, parse_transcription

NAME = "Ses01F_impro01_F000"
FRAGMENTS = [
    "[6.2901 - 8.2357]",
    "[",
    "]",
    "(",
    "\t",
    " ",
    "-",
    "Ses01F_impro01_F000",
    "Ses01F_impro01_FXX0",
    "Ses0",
    "neu",
    "xxx",
]
FRAGMENTS += ["C-E2:", "A-F1:", "%", ":", "\ufeff", "\x00", "²", "٣", "Ses٠١F_a_F٣"]
JUNK = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6)), max_size=8).map("".join)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return noise(tmp_path / "one.wav")


def test_the_full_release_gives_the_paper_s_utterances(tmp_path: Path, wav: Path) -> None:
    write_iemocap_release(tmp_path / "IEMOCAP_full_release", wav)
    table = open_corpus("IEMOCAP", tmp_path / "IEMOCAP_full_release")
    assert table.problems == ()
    assert any("together 5531" in note for note in table.notes)
    found = table.summary()
    assert found["four_classes"] == {"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084}
    assert (found["clips"], found["speakers"], found["sessions"]) == (10_039, 10, 5)
    assert found["labels"]["undecided"] == 2_507
    assert len({clip.path for clip in table.clips}) == 10_039
    for clip in table.clips[::500]:
        assert clip.text.startswith("Well, ")
        assert clip.text.endswith("said: fine.")
        assert clip.session == clip.speaker[:-1]
        assert clip.gender == clip.speaker[-1].lower()
        assert clip.file.is_file()
        assert clip.file.stem.startswith(clip.dialogue.removeprefix("IEMOCAP_"))


def test_expected_counts_are_the_known_totals() -> None:
    assert [sum(column) for column in zip(*EXPECTED.values(), strict=True)] == [1103, 1636, 1708, 1084]
    for session, counts in IEMOCAP_COUNTS.items():
        assert EXPECTED[session] == (counts["ang"], counts["hap"] + counts["exc"], counts["neu"], counts["sad"])


def small_release(root: Path, wav: Path) -> Path:
    """One dialogue of three turns in every session."""
    for session in range(1, 6):
        turns = [("F000", "ang"), ("M000", "exc"), ("F001", "xxx")]
        write_iemocap_dialogue(root / f"Session{session}", f"Ses{session:02}F_impro01", turns, wav)
    return root


def told(root: Path) -> str:
    return "\n".join(str(problem) for problem in open_corpus("iemocap", root).problems)


def test_a_part_of_the_release_says_which_sessions_differ(tmp_path: Path, wav: Path) -> None:
    root = small_release(tmp_path / "part", wav)
    shutil.rmtree(root / "Session4")
    table = open_corpus("iemocap", tmp_path / "part")
    assert [clip.emotion for clip in table.clips[:3]] == ["anger", "undecided", "excitement"]
    text = "\n".join(map(str, table.problems))
    assert "Session4: there is no such folder." in text
    assert "Session1: the session has 1 of anger where the release has 229, 1 of happiness where the release has 278" in text
    assert "12 labels in 4 dialogues were found, the release has 10039 in 151" in text


def test_every_fault_is_said_with_its_file(tmp_path: Path, wav: Path) -> None:
    root = small_release(tmp_path / "broken", wav)
    evaluation, words, audio = "dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav"
    first = root / "Session1"
    (first / audio / "Ses01F_impro01/Ses01F_impro01_M000.wav").unlink()
    file = first / audio / "Ses01F_impro01/Ses01F_impro01_F001.wav"
    file.unlink()
    file.write_bytes(b"RIFF")
    noise(first / audio / "Ses01F_impro01/Ses01F_impro01_F099.wav")
    second = root / "Session2"
    with (second / evaluation / "Ses02F_impro01.txt").open("a", encoding="utf-8") as lines:
        lines.write("\n[1 - 2]\tSes02F_impro01_F000\tsad\t[]\n[1 - 2]\tSes02F_impro01_F007\tjoy\t[]\n")
        lines.write("[1 - 2]\tSes02F_impro02_F000\tsad\t[]\n[1 - 2] nothing\n")
    (second / words / "Ses02F_impro01.txt").write_text("Ses02F_impro01_F000 [1-2]: Yes.\n", encoding="utf-8")
    shutil.rmtree(root / "Session3" / audio / "Ses03F_impro01")
    (root / "Session4" / words / "Ses04F_impro01.txt").unlink()
    (root / "Session5" / evaluation / "Ses05F_impro01.txt").write_bytes(b"\xff\xfe\x00garbage")
    (root / "Session5" / words / "Ses05M_impro09.txt").write_text("", encoding="utf-8")
    text = told(root)
    for part in (
        "Ses01F_impro01_M000.wav: Ses01F_impro01_M000 has a label, but the audio is missing.",
        "Ses01F_impro01_F001.wav: Ses01F_impro01_F001 has a label, but the audio cannot be read.",
        "Session1/sentences/wav/Ses01F_impro01: 1 audio files have no label, the first is Ses01F_impro01_F099.",
        "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt, line 27: Ses02F_impro01_F000 has two labels.",
        "line 28: the label 'joy' of Ses02F_impro01_F007 is none of",
        "line 29: Ses02F_impro02_F000 does not belong to Ses02F_impro01 of session 2.",
        "line 30: the line is not times, utterance and label.",
        "Session2/dialog/transcriptions/Ses02F_impro01.txt: the words of Ses02F_impro01_M000 are missing.",
        "none of the 3 utterances of Ses03F_impro01 has audio",
        "Ses04F_impro01 has no transcription file.",
        "Session5/dialog/EmoEvaluation/Ses05F_impro01.txt: the file holds no label.",
        "Session5/dialog/transcriptions/Ses05M_impro09.txt: Ses05M_impro09 has a transcription but no evaluation file.",
    ):
        assert part in text


def test_another_folder_and_the_folder_above_the_release(tmp_path: Path, wav: Path) -> None:
    assert "there is no folder Session1 to Session5" in told(tmp_path)
    small_release(tmp_path / "IEMOCAP_full_release", wav)
    assert len(open_corpus("iemocap", tmp_path).clips) == 15


@given(
    start=st.floats(0, 999),
    opening=st.sampled_from(["[", "[ ", "(", "", " ["]),
    middle=st.sampled_from([" - ", "-", "  -", "- "]),
    closing=st.sampled_from(["]", " ]", ")", "", "]]"]),
    gap=st.sampled_from(["\t", " ", "  \t"]),
    label=st.sampled_from([*EMOTIONS, "NEU"]),
)
def test_times_may_be_written_in_any_way(start: float, opening: str, middle: str, closing: str, gap: str, label: str) -> None:
    line = f"{opening}{start:.4f}{middle}{start + 1:.4f}{closing}{gap}{NAME}{gap}{label}{gap}[2.5, 2.5, 2.5]"
    assert list(parse_evaluation([line])) == [Label(NAME, EMOTIONS[label.lower()], 1)]
    words = f"{NAME} {opening}{start:.4f}{middle}{start + 1:.4f}{closing}: Excuse me."
    assert parse_transcription([words]) == {NAME: "Excuse me."}


@given(st.lists(JUNK, max_size=6))
def test_no_line_makes_the_parsers_fail(lines: list[str]) -> None:
    for found in parse_evaluation(lines):
        number = found.line if isinstance(found, Label) else found[0]
        assert 1 <= number <= len(lines)
    for name, words in parse_transcription(lines).items():
        assert name.startswith("Ses")
        assert words == " ".join(words.split())


@settings(max_examples=15)
@given(evaluation=st.one_of(JUNK.map(str.encode), st.binary(max_size=60)), words=st.binary(max_size=60))
def test_no_content_of_the_files_makes_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, evaluation: bytes, words: bytes
) -> None:
    root = tmp_path_factory.mktemp("junk")
    session = root / "Session1" / "dialog"
    for part, content in (("EmoEvaluation", evaluation), ("transcriptions", words)):
        (session / part).mkdir(parents=True)
        (session / part / "Ses01F_impro01.txt").write_bytes(content)
    assert open_corpus("iemocap", root).problems


def test_words_of_no_utterance_are_passed_over() -> None:
    lines = [
        "Ses01F_impro01_MXX0 [1-2]: [BREATHING]",
        "M: hm",
        "",
        "Ses01F_impro01",
        f"{NAME} [1.0-2.0]: It's 10:30. [GARBAGE]",
    ]
    assert parse_transcription(lines) == {NAME: "It's 10:30."}
