"""Folds: nothing heard in training is tested, every clip is tested once, and the published groups come out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("torch", reason="install the 'training' extra")

from realtime_ser.errors import ConfigError
from training.corpora import FOUR_CLASSES, Clip, load_clips
from training.folds import (
    check_folds,
    corpus_folds,
    describe_folds,
    divide,
    genders,
    paper_folds,
    session_folds,
    speaker_folds,
    speaker_groups,
    with_auxiliary,
)
from training.systems.base import Fold


def clip(number: int, speaker: str = "A_1", gender: str = "", session: str = "", corpus: str = "A") -> Clip:
    label = FOUR_CLASSES[number % 4]
    return Clip(f"{corpus}/{number:04}.wav", corpus, "en", speaker, label, label, 1.0, "", session=session, gender=gender)


def corpus_of(speakers: list[tuple[str, str]], each: int = 4, name: str = "A") -> list[Clip]:
    """`each` clips of every (speaker, gender)."""
    return [
        clip(number * each + index, f"{name}_{speaker}", gender, corpus=name)
        for number, (speaker, gender) in enumerate(speakers)
        for index in range(each)
    ]


def sessions_of(count: int) -> list[Clip]:
    """IEMOCAP's way: a woman and a man in every session."""
    pairs = [
        (f"Ses{session:02}{gender.upper()}", gender, f"Ses{session:02}") for session in range(1, count + 1) for gender in "fm"
    ]
    return [
        clip(number * 4 + index, speaker, gender, session, "IEMOCAP")
        for number, (speaker, gender, session) in enumerate(pairs)
        for index in range(4)
    ]


def assert_lawful(folds: list[Fold], clips: list[Clip], by_speaker: bool) -> None:
    assert sorted(c.path for fold in folds for c in fold.test) == sorted(c.path for c in clips)
    assert sorted(c.path for fold in folds for c in fold.validation) == sorted(c.path for c in clips)
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        assert sum(map(len, parts)) == len({c.path for part in parts for c in part}) == len(clips)
        if by_speaker:
            assert sum(len({c.speaker for c in part}) for part in parts) == len({c.speaker for c in clips})
            voices = {c.session for c in clips if c.session}
            assert sum(len({c.session for c in part if c.session}) for part in parts) == len(voices)


@given(some.integers(3, 12), some.integers(12, 60), some.integers(0, 5))
def test_random_folds_test_every_clip_once(folds: int, count: int, seed: int) -> None:
    clips = [clip(number, f"A_{number % 5}") for number in range(count)]
    made = paper_folds(clips, folds, seed)
    assert_lawful(made, clips, by_speaker=False)
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= 1
    assert made == paper_folds(clips[::-1], folds, seed), "the order in which clips are found must not matter"


def test_ten_folds_are_eight_to_one_to_one() -> None:
    made = paper_folds([clip(number) for number in range(100)])
    assert [(len(fold.train), len(fold.validation), len(fold.test)) for fold in made] == [(80, 10, 10)] * 10
    assert made != paper_folds([clip(number) for number in range(100)], seed=2)


@given(some.lists(some.sampled_from(["f", "m", ""]), min_size=3, max_size=40))
def test_nobody_is_in_two_parts(kinds: list[str]) -> None:
    clips = corpus_of([(f"{number:02}", gender) for number, gender in enumerate(kinds)], each=2)
    folds = speaker_folds(clips)
    assert_lawful(folds, clips, by_speaker=True)
    sizes = [len({c.speaker for c in fold.test}) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    assert len(folds) <= max(10, min(9, len(kinds)))


@given(some.integers(3, 9))
def test_no_session_is_in_two_parts(count: int) -> None:
    clips = sessions_of(count)
    folds = divide(clips, "speaker")
    assert folds == session_folds(clips)
    assert_lawful(folds, clips, by_speaker=True)
    assert len(folds) == count
    assert all(len({c.session for c in fold.test}) == 1 for fold in folds)


def test_iemocap_is_left_out_session_by_session() -> None:
    folds = divide(sessions_of(5), "speaker")
    assert [{c.session for c in fold.test} for fold in folds] == [{f"Ses{number:02}"} for number in range(1, 6)]
    assert {c.session for c in folds[4].validation} == {"Ses01"}
    assert "one session tests" in describe_folds(folds, "speaker")
    with pytest.raises(ConfigError, match="at least three"):
        session_folds(sessions_of(2))


def test_ravdess_is_tested_in_the_published_groups(data_dir: Path) -> None:
    clips = [each for each in load_clips(data_dir, ["RAVDESS"]) if each.emotion4]
    folds = divide(clips, "speaker")
    groups = [sorted({each.speaker for each in fold.test}) for fold in folds]
    assert groups == [[f"RAVDESS_{actor:02}" for actor in range(first, first + 4)] for first in range(1, 25, 4)]
    assert [sorted({each.speaker for each in fold.validation}) for fold in folds] == [*groups[1:], groups[0]]
    assert_lawful(folds, clips, by_speaker=True)
    assert describe_folds(folds, "speaker").startswith("6 folds of 4 test speakers")


@pytest.mark.parametrize(("name", "folds", "most"), [("EMODB", 5, 2), ("nEMO", 5, 2), ("EMOVO", 6, 1), ("ASED", 10, 7)])
def test_real_corpora_are_divided_by_speaker(data_dir: Path, name: str, folds: int, most: int) -> None:
    clips = [each for each in load_clips(data_dir, [name]) if each.emotion4]
    made = divide(clips, "speaker")
    assert len(made) == folds
    assert_lawful(made, clips, by_speaker=True)
    assert max(len({each.speaker for each in fold.test}) for fold in made) == most
    if name == "EMODB":
        known = genders(clips)
        assert all(sorted({known[each.speaker] for each in fold.test}) == ["f", "m"] for fold in made)


def test_pairs_are_balanced_by_gender() -> None:
    speakers = [(f"{number:02}", "f" if number < 6 else "m") for number in range(12)]
    groups = speaker_groups(corpus_of(speakers))
    assert len(groups) == 6
    gender = {f"A_{name}": kind for name, kind in speakers}
    assert all(sorted(gender[speaker] for speaker in group) == ["f", "m"] for group in groups)


def test_few_speakers_are_tested_one_by_one_and_two_cannot_be_divided() -> None:
    assert [len(group) for group in speaker_groups(corpus_of([("1", "f"), ("2", "m"), ("3", "f"), ("4", "m")]))] == [1] * 4
    with pytest.raises(ConfigError, match="2 speakers") as caught:
        speaker_groups(corpus_of([("1", "f"), ("2", "f")]))
    assert "--protocol paper" in str(caught.value)
    with pytest.raises(ConfigError, match="into 3 to 4 folds"):
        speaker_groups(corpus_of([("1", ""), ("2", ""), ("3", ""), ("4", "")]), folds=5)
    assert len(speaker_folds(corpus_of([(str(number), "") for number in range(8)]), folds=4)) == 4


def test_a_speaker_of_two_genders_has_none() -> None:
    clips = [clip(0, "A_1", "f"), clip(1, "A_1", "m"), clip(2, "A_2", "m"), clip(3, "A_3")]
    assert genders(clips) == {"A_1": "", "A_2": "m", "A_3": ""}


@pytest.mark.parametrize(("folds", "clips"), [(2, 20), (10, 9)])
def test_folds_that_cannot_be_made(folds: int, clips: int) -> None:
    with pytest.raises(ConfigError, match="folds"):
        paper_folds([clip(number) for number in range(clips)], folds)


def test_another_corpus_is_tested_whole() -> None:
    a = corpus_of([(f"{number}", "fm"[number % 2]) for number in range(12)], name="A")
    b = corpus_of([("1", "f"), ("2", "m")], name="B")
    c = corpus_of([("1", "f"), ("2", "m")], name="C")
    (fold,) = corpus_folds([*a, *b, *c], ["A", "B"], ["C"])
    assert set(fold.test) == set(c)
    assert {each.corpus for each in fold.train} == {each.corpus for each in fold.validation} == {"A", "B"}
    assert len(fold.train) + len(fold.validation) == len(a) + len(b)
    held = {each.speaker for each in fold.validation if each.corpus == "A"}
    assert sorted(genders(a)[speaker] for speaker in held) == ["f", "m"]
    assert "Other corpora train" in describe_folds([fold], "speaker")
    (fold,) = corpus_folds([*sessions_of(5), *c], ["IEMOCAP"], ["C"])
    assert {each.session for each in fold.validation} == {"Ses05"}
    with pytest.raises(ConfigError, match="cannot train and be tested"):
        corpus_folds([*a, *b], ["A", "B"], ["B"])
    with pytest.raises(ConfigError, match="No clip of D"):
        corpus_folds([*a, *b], ["A"], ["D"])
    with pytest.raises(ConfigError, match="one speaker only"):
        corpus_folds([*corpus_of([("1", "")], name="A"), *b], ["A"], ["B"])


def lawful_fold() -> Fold:
    clips = [clip(number, f"A_{number}", session=f"S{number}") for number in range(6)]
    return Fold(1, tuple(clips[:4]), (clips[4],), (clips[5],))


def test_what_is_in_two_parts_is_named() -> None:
    fold = lawful_fold()
    check_folds([fold], "speaker", {each.path: each.path for each in (*fold.train, *fold.validation, *fold.test)})
    with pytest.raises(ValueError, match=r"clips in more than one part: A/0000\.wav"):
        check_folds([replace(fold, test=fold.train[:1])], "paper")
    same_voice = replace(fold.test[0], speaker="A_0")
    check_folds([replace(fold, test=(same_voice,))], "paper")
    with pytest.raises(ValueError, match="A_0"):
        check_folds([replace(fold, test=(same_voice,))], "speaker")
    with pytest.raises(ValueError, match="sessions in more than one part: A S0"):
        check_folds([replace(fold, test=(replace(fold.test[0], session="S0"),))], "speaker")
    with pytest.raises(ValueError, match="validation part has no clip"):
        check_folds([replace(fold, validation=())], "paper")
    with pytest.raises(ValueError, match="tested in more than one fold"):
        check_folds([fold, replace(fold, number=2)], "speaker")


def test_clips_of_other_labels_train_where_their_speaker_does() -> None:
    clips = sessions_of(4)
    others = [replace(each, path=f"other-{each.path}", emotion="fear", emotion4="") for each in clips]
    folds = with_auxiliary(divide(clips, "speaker"), others)
    check_folds(folds, "speaker")
    for fold in folds:
        assert {each.speaker for each in fold.auxiliary} == {each.speaker for each in fold.train}
        assert len(fold.auxiliary) == len(fold.train)
    for fold in with_auxiliary(paper_folds(clips), others):
        # Where speakers are in all parts, hardly any is left; whoever is heard elsewhere does not teach.
        assert not {each.speaker for each in fold.auxiliary} & {each.speaker for each in (*fold.validation, *fold.test)}
    with pytest.raises(ValueError, match="Ses01F"):
        check_folds([replace(folds[0], auxiliary=tuple(others))], "speaker")


def test_equal_recordings_under_two_names_count_as_one() -> None:
    fold = lawful_fold()
    contents = {each.path: each.path for each in (*fold.train, *fold.validation, *fold.test)}
    contents[fold.test[0].path] = contents[fold.train[2].path]
    for protocol in ("paper", "speaker"):
        with pytest.raises(ValueError, match=r"recordings \(by digest\)"):
            check_folds([fold], protocol, contents)
