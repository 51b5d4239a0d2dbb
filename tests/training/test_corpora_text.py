"""Text corpora: labels, speakers and splits in the data folder's and the releases' layouts, and faults as a list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime_ser.errors import ConfigError
from training.__main__ import main
from training.corpora import FOUR_CLASSES, TEXT_CORPORA, TextRow, TextTable, open_text_corpus


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def first(table: TextTable, split: str) -> TextRow:
    return next(row for row in table.rows if row.split == split)


MELD = 'Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n1,"Oh, no!",Phoebe,sadness,negative,7,0\n'
EMORYNLP = (
    'Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode\nYes!,"[\'Monica Geller\', ""O\'Neil""]",Joyful,1,1,4,2\n'
)


@pytest.mark.parametrize("folder", ["", "data/MELD/"])
def test_meld(tmp_path: Path, folder: str) -> None:
    table = open_text_corpus(
        "MELD", write(tmp_path, {f"{folder}{split}_sent_emo.csv": MELD for split in ("train", "dev", "test")})
    )
    assert table.problems == ()
    assert first(table, "dev") == TextRow(
        *("Oh, no!", "meld", "en", "sadness", "sadness", "dev", "meld_Phoebe", "meld_dev_7", table.licence),
        *(f"{folder}dev_sent_emo.csv", 2),
    )
    assert table.summary()["splits"] == {"dev": 1, "test": 1, "train": 1}


def test_emorynlp(tmp_path: Path) -> None:
    table = open_text_corpus(
        "emorynlp", write(tmp_path, {f"emorynlp_{s}_final.csv": EMORYNLP for s in ("train", "dev", "test")})
    )
    row = first(table, "train")
    assert table.problems == ()
    assert (row.emotion, row.emotion4, row.speaker) == ("joyful", "happiness", "emorynlp_Monica Geller & O'Neil")
    assert row.dialogue == "emorynlp_train_4-2-1"


@pytest.mark.parametrize("names", ["labels.txt", "emotions.txt"])
def test_goemotions(tmp_path: Path, names: str) -> None:
    lines = 'One "quote\t0,1\ta\nBoth\t0,2\tb\nNo label\t9\tc\nToo few\t1\n'
    files = {f"data/{split}.tsv": lines for split in ("train", "dev", "test")}
    table = open_text_corpus("goemotions", write(tmp_path, {**files, f"data/{names}": "anger\nannoyance\njoy\n"}))
    assert [(row.text, row.emotion, row.emotion4, row.line) for row in table.rows[:2]] == [
        ('One "quote', "anger+annoyance", "anger", 1),
        ("Both", "anger+joy", "", 2),
    ]
    assert [problem.line for problem in table.problems] == [3, 4] * 3
    (tmp_path / "data" / names).unlink()
    assert "the names of its labels are missing" in str(open_text_corpus("goemotions", tmp_path).problems[0])


@pytest.mark.parametrize("nested", [False, True])
def test_dailydialog_as_released(tmp_path: Path, nested: bool) -> None:
    files = {}
    for split in ("train", "validation", "test"):
        folder = f"{split}/{split}" if nested else split
        files[f"{folder}/dialogues_{split}.txt"] = "Hi . __eou__ We won ! __eou__\nSo ? __eou__ No . __eou__\nOh . __eou__\n"
        files[f"{folder}/dialogues_emotion_{split}.txt"] = "0 4 \n1 \n7 \n"
    table = open_text_corpus("dailydialog", write(tmp_path, files))
    assert [(row.text, row.emotion4, row.speaker) for row in table.rows[:2]] == [
        ("Hi .", "neutral", "dailydialog_1_A"),
        ("We won !", "happiness", "dailydialog_1_B"),
    ]
    assert len(table.rows) == 6
    assert [(problem.line, problem.what) for problem in table.problems[:2]] == [
        (2, "the dialogue has 2 utterances but 1 labels."),
        (3, "the label '7' is no number from 0 to 6."),
    ]
    next(tmp_path.glob("**/dialogues_emotion_test.txt")).unlink()
    assert "its labels are missing" in str(open_text_corpus("dailydialog", tmp_path).problems[-1])


def test_dailydialog_as_json_with_misspelt_labels_and_faults(tmp_path: Path) -> None:
    turns = [
        {"utterance": "I do .", "emotion": "happines", "speaker": "A"},
        {"utterance": 1},
        {"utterance": "x", "emotion": "y"},
    ]
    content = json.dumps({"d": [turns], "e": [], "f": [[{"utterance": "Oh", "emotion": "fear"}]]})
    files = {f"dailydialog_{split}.json": content for split in ("train", "valid", "test")}
    table = open_text_corpus("dailydialog", write(tmp_path, files))
    assert [(row.emotion, row.emotion4, row.dialogue) for row in table.rows if row.split == "dev"] == [
        ("happiness", "happiness", "dailydialog_dev_d"),
        ("fear", "", "dailydialog_dev_f"),
    ]
    assert len(table.problems) == 9


def test_isear_and_semeval(tmp_path: Path) -> None:
    isear = open_text_corpus(
        "isear", write(tmp_path, {"ISEAR.csv": 'guit,"I lied\n  once",\njoy,[ No response.],\nmirth,Ha,\nx\n'})
    )
    assert [(row.text, row.emotion, row.emotion4) for row in isear.rows] == [("I lied once", "guilt", "")]
    assert [problem.line for problem in isear.problems] == [4, 5]
    header = "ID\tTweet\tanger\tanticipation\tdisgust\tfear\tjoy\tlove\toptimism\tpessimism\tsadness\tsurprise\ttrust\n"
    marked = f'{header}1\t@you "good http://x day' + "\t0" * 4 + "\t1" + "\t0" * 6 + "\n2\tbad" + "\tNONE" * 11 + "\n"
    semeval = open_text_corpus(
        "semeval", write(tmp_path, {f"2018-E-c-En-{name}.txt": marked for name in ("train", "dev", "test-gold")})
    )
    assert {(row.split, row.text, row.emotion4) for row in semeval.rows} == {
        (split, '"good day', "happiness") for split in ("train", "dev", "test")
    }
    assert {problem.what for problem in semeval.problems} == {"the marks are not 0 or 1 but NONE."}
    (tmp_path / "2018-E-c-En-test-gold.txt").unlink()
    assert len(open_text_corpus("semeval", tmp_path).problems) == 2


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for name in TEXT_CORPORA:
        assert "there is no such file" in str(open_text_corpus(name, tmp_path).problems[0])
    with pytest.raises(ConfigError, match="No corpus 'ravdess' is known"):
        open_text_corpus("ravdess", tmp_path)
    with pytest.raises(ConfigError, match="There is no folder"):
        open_text_corpus("meld", tmp_path / "nowhere")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(TEXT_CORPORA)),
    content=st.one_of(
        st.binary(max_size=80),
        st.lists(
            st.sampled_from(
                [",", "\t", "\n", '"', "0", "joy", "Utterance,Emotion\n", "ID\tTweet", "__eou__", "{}", "\x00", "²"]
            )
        ).map(lambda parts: "".join(parts).encode()),
        st.dictionaries(st.text(max_size=3), st.recursive(st.none() | st.text(max_size=3), st.lists, max_leaves=6)).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
)
def test_no_content_makes_a_reader_fail(tmp_path: Path, name: str, content: bytes) -> None:
    source = TEXT_CORPORA[name]
    for names in source.files.values():
        for file in (names[0], names[-1], names[-1].replace("dialogues_", "dialogues_emotion_"), "labels.txt"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(content)
    table = source.open(tmp_path)
    assert table.rows or table.problems
    assert {row.emotion4 for row in table.rows} <= {*FOUR_CLASSES, ""}


def test_the_command_lists_a_text_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {f"{split}_sent_emo.csv": MELD for split in ("train", "dev", "test")})
    assert main(["corpora", "--corpus", "meld", "--path", str(tmp_path), "--csv", str(tmp_path / "t.csv")]) == 0
    assert "3 texts (dev 1, test 1, train 1) · 1 speakers named" in capsys.readouterr().out
    assert (
        (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[1].startswith('"Oh, no!",meld,en,sadness,sadness,train')
    )


def test_collections_of_the_data_folder(data_dir: Path) -> None:
    tables = {name: source.open(data_dir / "text" / source.folder) for name, source in TEXT_CORPORA.items()}
    assert {name: table.problems for name, table in tables.items()} == dict.fromkeys(TEXT_CORPORA, ())
    train = {
        name: [sum(row.emotion4 == label for row in table.rows if row.split == "train") for label in FOUR_CLASSES]
        for name, table in tables.items()
    }
    assert train["meld"] == [1109, 1743, 4710, 683]
    assert train["emorynlp"] == [785, 1677, 2485, 474]
    assert train["goemotions"] == [2706, 3155, 12823, 2104]
    assert train["isear"][:2] == [1078, 1092]
    assert train["semeval"] == [1393, 1868, 204, 848]
    assert train["dailydialog"] == [276, 3557, 3644, 212]
