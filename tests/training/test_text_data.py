from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from realtime_ser.text import tokenize
from training.text_data import CLASSES, SOURCES, near_duplicate_filter, read_text_corpora


def write_collections(folder: Path, meld: dict[str, list[tuple[str, str]]], emorynlp: list[tuple[str, str]]) -> None:
    """All files of all collections, with a few utterances each."""

    def table(path: Path, rows: list[tuple[str, str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("Utterance", "Emotion"))
            writer.writerows(rows)

    for split in ("train", "dev", "test"):
        table(folder / f"meld/{split}_sent_emo.csv", meld[split])
        table(
            folder / f"emorynlp/emorynlp_{split}_final.csv", emorynlp if split == "train" else [("Quite so, Sir.", "Neutral")]
        )
        (folder / "goemotions").mkdir(exist_ok=True)
        (folder / "goemotions/labels.txt").write_text("anger\nannoyance\njoy\nneutral\n", encoding="utf-8")
        lines = ['This "quote never ends\t0,1\ta', "So so\t0,2\tb", "Just a fact\t3\tc"]
        (folder / f"goemotions/{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split in ("train", "valid", "test"):
        (folder / "dailydialog").mkdir(exist_ok=True)
        turns = [{"utterance": "Hurray , we won !", "emotion": "happy"}, {"utterance": "Oh ?", "emotion": "surprise"}]
        (folder / f"dailydialog/dailydialog_{split}.json").write_text(json.dumps({"d": [turns]}), encoding="utf-8")
    (folder / "isear").mkdir()
    (folder / "isear/ISEAR.csv").write_text('sadness,"When my\n dog died.",\nanger,[ No response.],\n', encoding="utf-8")
    header = "ID\tTweet\tanger\tanticipation\tdisgust\tfear\tjoy\tlove\toptimism\tpessimism\tsadness\tsurprise\ttrust"
    for split in ("train", "dev"):
        (folder / "semeval2018-ec").mkdir(exist_ok=True)
        great = "1\t@you This is #great http://x.y" + "\t0" * 4 + "\t1" * 2 + "\t0" * 5
        mixed = "2\tMixed feelings\t1" + "\t0" * 3 + "\t1" + "\t0" * 6
        (folder / f"semeval2018-ec/2018-E-c-En-{split}.txt").write_text("\r\n".join([header, great, mixed]), encoding="utf-8")


MELD = {
    "train": [("Oh my God, you have lost it completely!", "anger"), ("I like that.", "joy"), ("Okay.", "neutral")],
    "dev": [("She never called me back after all that.", "sadness"), ("Okay.", "neutral")],
    "test": [
        ("He said he would come to the party tonight, Joey.", "neutral"),
        ("Get out of here!", "anger"),
        ("Okay.", "neutral"),
        ("No, no, no, no, no, no!", "anger"),
    ],
}


def test_labels_of_all_collections(tmp_path: Path) -> None:
    write_collections(tmp_path, MELD, [("I am mad at you.", "Mad"), ("What power I have!", "Powerful")])
    corpus = read_text_corpora(tmp_path)
    assert corpus.problems == ()
    found = {(u.source, u.text): u.label for u in corpus.part("train")}
    assert found == {
        ("meld", "Oh my God, you have lost it completely!"): "anger",
        ("meld", "I like that."): "happiness",
        ("meld", "Okay."): "neutral",
        ("emorynlp", "I am mad at you."): "anger",
        ("emorynlp", "What power I have!"): "",
        ("goemotions", 'This "quote never ends'): "anger",
        ("goemotions", "So so"): "",
        ("goemotions", "Just a fact"): "neutral",
        ("dailydialog", "Hurray , we won !"): "happiness",
        ("dailydialog", "Oh ?"): "",
        ("isear", "When my dog died."): "sadness",
        ("semeval", "This is #great"): "happiness",
        ("semeval", "Mixed feelings"): "",
    }
    assert {u.label for u in corpus.utterances} <= {*CLASSES, ""}


def test_near_duplicates_of_held_out_utterances_leave_all_training_text(tmp_path: Path) -> None:
    leaks = [
        ("He said he would come to the party tonight, Joey!!", "Neutral"),
        ("Well, he said he'd... he said he would come to the party tonight.", "Neutral"),
        ("he said he would come to the party", "Neutral"),
        ("GET OUT OF HERE", "Mad"),
        ("She never called me back, after all that!", "Sad"),
    ]
    innocent = [
        ("He said that the party is over.", "Neutral"),
        ("Okay.", "Neutral"),
        ("Get out of my house!", "Mad"),
        ("No no no no, that was my house.", "Mad"),
    ]
    meld = {**MELD, "train": [*MELD["train"], ("Get out, of here.", "anger")]}
    write_collections(tmp_path, meld, leaks + innocent)
    corpus = read_text_corpora(tmp_path)
    kept = {u.text for u in corpus.part("train", ["emorynlp"])}
    assert kept == {text for text, _ in innocent}
    assert "Get out, of here." not in {u.text for u in corpus.part("train", ["meld"])}
    assert corpus.removed == {"emorynlp": 5, "meld": 1}
    assert len(corpus.part("test", ["meld"])) == 4


def test_development_utterances_that_stand_in_the_test_are_left_out(tmp_path: Path) -> None:
    meld = {**MELD, "dev": [*MELD["dev"], ("He said he would come to the party tonight, Joey.", "neutral")]}
    write_collections(tmp_path, meld, [])
    corpus = read_text_corpora(tmp_path)
    assert [u.text for u in corpus.part("dev", ["meld"])] == [text for text, _ in MELD["dev"]]


def test_the_share_that_makes_a_near_duplicate_is_checked() -> None:
    with pytest.raises(ValueError, match="shared"):
        near_duplicate_filter([], 0)
    held_out = [tokenize("one two three four five six seven eight nine ten")]
    assert near_duplicate_filter(held_out)(tokenize("one two three four five six seven eight nine eleven"))
    assert not near_duplicate_filter(held_out)(tokenize("one two three four five alpha beta gamma delta epsilon"))


def test_missing_and_broken_files_are_listed_and_the_others_read(tmp_path: Path) -> None:
    write_collections(tmp_path, MELD, [("Hello there.", "Neutral")])
    (tmp_path / "isear/ISEAR.csv").unlink()
    (tmp_path / "meld/train_sent_emo.csv").write_text("Utterance,Mood\nHi,joy\n", encoding="utf-8")
    (tmp_path / "goemotions/dev.tsv").write_text("text without label\n", encoding="utf-8")
    (tmp_path / "dailydialog/dailydialog_train.json").write_text('{"d": [[{"utterance": "Hi"}]]}', encoding="utf-8")
    (tmp_path / "dailydialog/dailydialog_test.json").write_text("{", encoding="utf-8")
    (tmp_path / "semeval2018-ec/2018-E-c-En-dev.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "emorynlp/emorynlp_dev_final.csv").write_text("Utterance,Emotion\nHi\n", encoding="utf-8")
    (tmp_path / "emorynlp/emorynlp_test_final.csv").write_text("Utterance,Emotion\n", encoding="utf-8")
    corpus = read_text_corpora(tmp_path)
    assert len(corpus.problems) == 8
    text = "\n".join(corpus.problems)
    for part in (
        "isear: ISEAR.csv: there is no such file",
        "no column Emotion",
        "dev.tsv, line 1: the line is not text, labels and identifier",
        "dialogue d has no utterances",
        "dailydialog_test.json: the file is broken",
        "E-c-En-dev.txt: the file is not UTF-8 text",
        "line 2: the line has another number of fields",
        "emorynlp_test_final.csv: the file holds no text",
    ):
        assert part in text
    assert corpus.part("train", ["semeval"])


def test_every_source_says_what_may_be_done_with_it() -> None:
    assert all(source.licence and source.title for source in SOURCES)
    assert len({source.name for source in SOURCES}) == len(SOURCES) == 6


def test_the_real_collections_have_no_test_utterance_in_their_training_text(data_dir: Path) -> None:
    meld, emorynlp = (source for source in SOURCES if source.name in ("meld", "emorynlp"))
    corpus = read_text_corpora(data_dir / "text", [meld, emorynlp])
    assert corpus.problems == ()
    test = {u.tokens for u in corpus.part("test", ["meld"]) if len(u.tokens) >= 5}
    assert len(corpus.part("test", ["meld"])) > 2_500
    assert not test & {u.tokens for split in ("train", "dev", "test") for u in corpus.part(split, ["emorynlp"])}
    assert not test & {u.tokens for u in corpus.part("train", ["meld"])}
    assert corpus.removed["emorynlp"] > 331
