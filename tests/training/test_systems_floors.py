"""The floors: they learn what can be separated, stay calibrated, and their command works within and across corpora."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn", reason="install the 'training' extra")

from realtime_ser.errors import ConfigError
from training.__main__ import main
from training.corpora import Clip
from training.floors import labelled, measure
from training.systems import floors
from training.systems.acoustic_features import EGEMAPS, FrontEnd
from training.systems.base import Fold, Job
from training.systems.floors import EgemapsSvm, TemperedSvm, TfidfRegression, words_and_pairs

TEXTS = {"anger": "get out of here now", "neutral": "the bus leaves at noon", "sadness": "i miss her so much"}
NAMES = tuple(TEXTS)


def clips_of(count: int, first: int = 0, corpus: str = "toy") -> list[Clip]:
    made = []
    for number in range(first, first + count):
        name = NAMES[number % 3]
        speaker = f"{corpus}_{number // 3 % 6}"
        made.append(
            Clip(f"{corpus}/{number}", corpus, "en", speaker, name, name, 1.0, TEXTS[name], gender="fm"[number // 3 % 2])
        )
    return made


def faked(clips: Sequence[Clip], front_end: FrontEnd, folder: Path, levels_equalised: bool = False) -> list[np.ndarray]:
    """One row for each clip, which says the emotion under a speaker's offset."""
    rows = []
    for clip in clips:
        number = int(clip.path.partition("/")[2])
        row = np.zeros((1, front_end.width), np.float32)
        row[0, :4] = np.random.default_rng(number).normal(scale=0.3, size=4) + 20 * int(clip.speaker[-1])
        row[0, NAMES.index(clip.emotion)] += 3
        rows.append(row)
    return rows


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(floors, "features_of", faked)
    labels = {clip.path: NAMES.index(clip.emotion) for clip in clips_of(120)}
    return Job(NAMES, labels, "speaker", tmp_path, tmp_path)


FOLD = Fold(1, tuple(clips_of(72)), tuple(clips_of(24, 72)), tuple(clips_of(24, 96)))


@pytest.mark.parametrize(
    "floor",
    [
        EgemapsSvm(by_speaker=True),
        EgemapsSvm(by_speaker=True, learns_from_validation=False),
        TfidfRegression(balanced=True),
        TfidfRegression(balanced=False),
    ],
)
def test_learns_what_can_be_separated(floor: EgemapsSvm | TfidfRegression, job: Job) -> None:
    floor.fit(FOLD, job)
    scores = floor.log_probabilities(FOLD.test)
    assert scores.shape == (24, 3)
    assert np.exp(scores).sum(axis=1) == pytest.approx(1)
    assert scores.argmax(axis=1).tolist() == job.labels_of(FOLD.test).tolist()
    assert floor.log_probabilities([]).shape == (0, 3)
    details = floor.details()
    assert details["temperature"] > 0
    assert details["features"] > 10
    assert floor.audio != floor.text


def test_the_floor_learns_from_validation_clips_only_when_told(job: Job) -> None:
    # Sadness is heard in the validation clips alone.
    train = tuple(clip for clip in FOLD.train if clip.emotion != "sadness")
    fold = Fold(1, train, FOLD.validation, FOLD.test)
    sad = job.labels_of(FOLD.test) == 2
    for learns, found in ((True, 1.0), (False, 0.0)):
        floor = EgemapsSvm(by_speaker=True, learns_from_validation=learns)
        floor.fit(fold, job)
        assert np.mean(floor.log_probabilities(FOLD.test)[sad].argmax(axis=1) == 2) == found


def test_the_temperature_makes_confidence_honest_and_changes_no_verdict() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 400)
    rows = random.normal(size=(400, 5)) + 1.2 * np.eye(3, 5)[labels]
    groups = [str(number % 8) for number in range(400)]
    machine = TemperedSvm(3, 3.0).fit(rows[:300], labels[:300], groups[:300], None)
    scores = machine.log_probabilities(rows[300:])
    assert scores.argmax(axis=1).tolist() == machine.machine.predict(machine.standardisation(rows[300:])).tolist()
    right = np.mean(scores.argmax(axis=1) == labels[300:])
    assert np.exp(scores).max(axis=1).mean() == pytest.approx(right, abs=0.1)


def test_a_class_without_a_clip_stays_improbable(job: Job) -> None:
    train = tuple(clip for clip in FOLD.train if clip.emotion != "sadness")
    for floor in (EgemapsSvm(), TfidfRegression()):
        floor.fit(Fold(1, train, (), FOLD.test), job)
        assert np.exp(floor.log_probabilities(FOLD.test))[:, 2].max() < 0.05
    alone = tuple(clip for clip in FOLD.train if clip.emotion == "anger")
    for floor in (EgemapsSvm(), TfidfRegression()):
        with pytest.raises(ConfigError, match="fewer than two classes"):
            floor.fit(Fold(1, alone, (), FOLD.test), job)


def test_words_are_read_alone_and_in_pairs(job: Job) -> None:
    assert words_and_pairs(("not", "so", "good")) == ["not", "so", "good", "not so", "so good"]
    mute = [Clip(clip.path, "toy", "en", clip.speaker, clip.emotion, "", 1.0, "") for clip in FOLD.train]
    floor = TfidfRegression()
    with pytest.raises(ConfigError, match="no training clip has a text"):
        floor.fit(Fold(1, tuple(mute), (), FOLD.test), job)
    floor.fit(FOLD, job)
    assert np.exp(floor.log_probabilities(mute[:1])) == pytest.approx(np.full((1, 3), 1 / 3), abs=0.05)


def test_speaker_offsets_matter_unless_they_are_taken_away(job: Job) -> None:
    apart = [clip for clip in clips_of(120) if clip.speaker == "toy_5"]
    others = tuple(clip for clip in clips_of(120) if clip.speaker != "toy_5")
    fold = Fold(1, others, (), tuple(apart))
    plain = measure(EgemapsSvm, [fold], job)
    by_speaker = measure(lambda: EgemapsSvm(by_speaker=True), [fold], job)
    assert by_speaker.unweighted == 1.0
    assert plain.unweighted < 0.9
    assert (by_speaker.clips, by_speaker.speakers) == (len(apart), 1)
    assert "UA 1.000" in str(by_speaker)


def test_calm_is_neutral_on_request() -> None:
    calm = Clip("toy/calm", "toy", "en", "s", "calm", "", 1.0, "")
    clips = [*clips_of(3), calm]
    assert len(labelled(clips, "four")[0]) == 3
    kept, names, labels = labelled(clips, "calm")
    assert len(kept) == 4
    assert names[labels["toy/calm"]] == "neutral"
    assert labelled(clips, "all")[1] == ("anger", "calm", "neutral", "sadness")


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Two corpora of six speakers; only the words are needed."""
    rows = ["path\tcorpus\tlang\tspeaker\tgender\temotion\temotion4\tseconds\ttext\textra"]
    rows += [
        f"{clip.path}\t{clip.corpus}\ten\t{clip.speaker}\t{clip.gender.upper()}\t{clip.emotion}\t{clip.emotion4}\t1.0\t{clip.text}\t"
        for corpus in ("one", "two")
        for clip in clips_of(36, corpus=corpus)
    ]
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def test_the_command_measures_within_and_across(
    data_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--data", str(data_folder), "--cache", str(data_folder / "cache")]
    assert main(["floors", *options, "--train", "one", "--text"]) == 0
    assert main(["floors", *options, "--train", "one", "--test", "two", "--text"]) == 0
    monkeypatch.setattr(floors, "features_of", faked)
    assert main(["floors", *options, "--train", "one", "--test", "two", "--levels-equalised", "--by-speaker"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("UA 1.000 (95 % 1.000 to 1.000)") == 5
    assert "trained on one, tested on two" in printed
    assert "levels equalised, standardised by speaker" in printed
    assert main(["floors", *options, "--train", "one", "--text", "--by-speaker"]) == 2
    assert "Words have no level" in capsys.readouterr().err
    assert EGEMAPS.width == 88
