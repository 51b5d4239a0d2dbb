"""The whole command on a small made-up corpus recorded like IEMOCAP: resume, failures, reports, every own system once."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="install the 'training' extra")

from two_processes import in_two_processes

from training import crossval
from training import report as report_module
from training.__main__ import main
from training.corpora import FOUR_CLASSES, Clip, load_clips
from training.crossval import classes_of, examine
from training.systems import registry
from training.systems.base import Fold, Job
from training.systems.registry import SYSTEMS, Entry, make_system

WORDS = {
    "anger": "stop that now",
    "happiness": "what a great day",
    "neutral": "the train leaves at noon",
    "sadness": "i miss her so much",
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return recorded(tmp_path_factory.mktemp("recordings"))


def recorded(folder: Path) -> list[Clip]:
    """Five sessions of a woman and a man, every class once each, and a clip of another label; 0.5 s of buzzing at a pitch."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(1)
    time = np.arange(8_000) / 16_000
    clips = []
    for session in range(1, 6):
        for gender in "fm":
            for index, label in enumerate((*FOUR_CLASSES, "surprise")):
                name = f"Ses{session:02}{gender.upper()}_{label}"
                pitch = (220 if gender == "f" else 110) * (1 + 0.2 * index)
                wave = 0.3 * np.sign(np.sin(2 * np.pi * pitch * time)) * (1 + index) / 5 + 0.01 * generator.normal(size=8_000)
                if not (folder / f"{name}.wav").is_file():
                    soundfile.write(folder / f"{name}.wav", wave, 16_000)
                clips.append(
                    Clip(
                        f"iemocap/{name}.wav",
                        "IEMOCAP",
                        "en",
                        f"IEMOCAP_{session:02}{gender}",
                        label,
                        label if label in FOUR_CLASSES else "",
                        0.5,
                        WORDS.get(label, "oh"),
                        session=f"IEMOCAP_{session:02}",
                        gender=gender,
                        licence="made up",
                        file=folder / f"{name}.wav",
                    )
                )
    return clips


class Parrot:
    """Scores by the loudness of a clip; counts how often it learns."""

    name = "parrot"
    audio = True
    text = False
    lessons: ClassVar[list[int]] = []

    def fit(self, fold: Fold, job: Job) -> None:
        self.lessons.append(fold.number)
        loudness = np.array([self._loudness(clip) for clip in fold.train])
        labels = job.labels_of(fold.train)
        self.centres = np.array([loudness[labels == label].mean() for label in range(len(job.classes))])

    @staticmethod
    def _loudness(clip: Clip) -> float:
        return float(np.abs(soundfile.read(clip.file)[0]).max())

    def log_probabilities(self, clips: Sequence[Clip]) -> np.ndarray:
        distance = np.abs(np.array([self._loudness(clip) for clip in clips])[:, None] - self.centres)
        scores = -100 * distance
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def details(self) -> dict[str, Any]:
        low = [100.0, 200.0, 400.0]
        moved = {"low_hz": [90.0, 230.0, 400.0], "high_hz": [260.0, 390.0, 800.0]}
        return {"cutoffs": {"initial_low_hz": low, "initial_high_hz": [200.0, 400.0, 800.0], **moved}}


class Mule(Parrot):
    """Does not learn in the second fold."""

    lessons: ClassVar[list[int]] = []
    stubborn: ClassVar[bool] = True

    def fit(self, fold: Fold, job: Job) -> None:
        if fold.number == 2 and self.stubborn:
            raise RuntimeError("no | carrot\nat all")
        super().fit(fold, job)


class Liar(Parrot):
    """Its probabilities do not sum to 1."""

    lessons: ClassVar[list[int]] = []

    def log_probabilities(self, clips: Sequence[Clip]) -> np.ndarray:
        return np.zeros((len(clips), 4))


@pytest.fixture
def animals(monkeypatch: pytest.MonkeyPatch, recordings: list[Clip]) -> None:
    """Three simple systems in place of the registered ones, and the made-up corpus as the data folder."""
    module = types.ModuleType("animals")
    for system in (Parrot, Mule, Liar):
        monkeypatch.setattr(module, system.__name__, system, raising=False)
        system.lessons.clear()
    Mule.stubborn = True
    monkeypatch.setitem(sys.modules, "animals", module)
    entries = {name: Entry("animals", name.capitalize(), True, False, name) for name in ("parrot", "mule", "liar")}
    entries["reader"] = Entry("animals", "Parrot", False, True, "needs words")
    for table in (crossval.SYSTEMS, registry.SYSTEMS):
        monkeypatch.setattr(crossval, "SYSTEMS", entries)
        monkeypatch.setattr(registry, "SYSTEMS", entries)
        assert table is not entries
    monkeypatch.setattr(crossval, "load_clips", lambda root: list(recordings))
    monkeypatch.setattr(crossval, "data_directory", lambda option: Path())
    # Drawing takes longer than all the rest; test_report.py draws, and the tests of the own systems below.
    for name in ("plot_confusion", "plot_coverage", "plot_cutoffs"):
        monkeypatch.setattr(report_module, name, lambda *about: "plot.svg")


def command(folder: Path, *options: str) -> int:
    base = ["crossval", "--out", str(folder / "out"), "--cache", str(folder / "cache"), "--quick", "--threads", "1"]
    return main([*base, *options])


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return report


@pytest.mark.usefixtures("animals")
def test_sessions_are_left_out_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "--corpus", "iemocap", "--protocol", "speaker", "--systems", "parrot") == 0
    assert Parrot.lessons == [1, 2, 3, 4, 5]
    report = report_of(tmp_path)
    assert report["corpora"] == ["IEMOCAP"]
    parrot = report["systems"]["parrot"]
    assert parrot["utterances"] == 40
    assert parrot["UA"]["mean"] > 0.9, "loudness tells these classes apart"
    assert len(parrot["per speaker"]) == 10
    assert list(parrot["per gender"]) == ["f", "m"]
    assert np.array(parrot["confusion"]).sum() == 40
    assert parrot["cutoffs"]["largest movement"] == 60.0
    assert list(report["left out"].values()) == [{"clips": 10, "named": ["surprise 10"]}]
    assert [each["auxiliary"] for each in report["folds"]] == [6] * 5
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "one session tests" in text
    assert "**Table 2.** Voice and words together." in text
    assert "not stated" in text
    assert "A quick run" in text
    assert "python -m training crossval --corpus iemocap" in text
    assert "UA" in capsys.readouterr().out


@pytest.mark.usefixtures("animals")
def test_an_interrupted_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--corpus", "IEMOCAP", "--systems", "parrot")
    assert command(tmp_path, *options, "--only", "1", "3") == 0
    assert Parrot.lessons == [1, 3]
    (tmp_path / "out" / "fold-03" / "parrot" / "result.json").write_text("{", encoding="utf-8")
    assert command(tmp_path, *options) == 0
    assert Parrot.lessons == [1, 3, 2, 3, 4, 5], "what is finished is not done again, what is broken is"
    assert report_of(tmp_path)["systems"]["parrot"]["folds"] == [1, 2, 3, 4, 5]
    assert command(tmp_path, *options, "--seed", "2") == 2
    assert "seed" in capsys.readouterr().err


@pytest.mark.usefixtures("animals")
def test_a_failure_is_named_and_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--corpus", "IEMOCAP", "--systems", "parrot", "mule", "liar")
    assert command(tmp_path, *options) == 1
    assert "failed: mule in fold 2: RuntimeError: no | carrot" in capsys.readouterr().err
    report = report_of(tmp_path)
    assert report["systems"]["parrot"]["missing folds"] == []
    assert report["systems"]["mule"]["missing folds"] == [2]
    assert "liar" not in report["systems"]
    assert {(each["system"], each["fold"]) for each in report["failures"]} == {("mule", 2), *(("liar", k) for k in range(1, 6))}
    assert "sum to 1" in next(each["reason"] for each in report["failures"] if each["system"] == "liar")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| mule | 2 | RuntimeError: no / carrot" in text
    assert "mule (4 of 5 folds)" in text
    note = tmp_path / "out" / "fold-02" / "mule" / "failure.txt"
    assert "carrot" in note.read_text(encoding="utf-8")
    Mule.stubborn = False
    assert command(tmp_path, "--corpus", "IEMOCAP", "--systems", "parrot", "mule") == 0
    assert Mule.lessons == [1, 3, 4, 5, 2]
    assert not note.exists()


@pytest.mark.usefixtures("animals")
def test_equal_levels_leave_loudness_without_a_say(tmp_path: Path) -> None:
    assert command(tmp_path, "--corpus", "IEMOCAP", "--systems", "parrot", "--levels-equalised") == 0
    report = report_of(tmp_path)
    assert report["levels"] == "every clip scaled to a peak of 0.9"
    assert report["systems"]["parrot"]["UA"]["mean"] < 0.6


@pytest.mark.usefixtures("animals")
def test_the_papers_folds_are_ten(tmp_path: Path) -> None:
    assert command(tmp_path, "--corpus", "IEMOCAP", "--protocol", "paper", "--systems", "parrot") == 0
    report = report_of(tmp_path)
    assert [(each["train"]["clips"], each["validation"]["clips"], each["test"]["clips"]) for each in report["folds"]] == [
        (32, 4, 4)
    ] * 10
    assert "Every speaker is in every part" in report["protocol description"]


@pytest.mark.usefixtures("animals")
def test_another_corpus_is_tested(tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    other = [
        replace(each, path=each.path.replace("iemocap", "other"), corpus="OTHER", speaker=f"O{each.speaker}", session="")
        for each in recordings
        if each.session == "IEMOCAP_05"
    ]
    rest = [each for each in recordings if each.session != "IEMOCAP_05"]
    monkeypatch.setattr(crossval, "load_clips", lambda root: rest + other)
    assert command(tmp_path, "--protocol", "corpus", "--train", "iemocap", "--test", "other", "--systems", "parrot") == 0
    report = report_of(tmp_path)
    assert report["systems"]["parrot"]["utterances"] == 8
    assert report["systems"]["parrot"]["UA"]["interval over folds"] == [None, None]
    assert report["folds"][0]["test"]["speakers"] == ["OIEMOCAP_05f", "OIEMOCAP_05m"]

    both = tmp_path / "both"
    assert command(both, "--protocol", "corpus", "--corpus", "iemocap", "other", "--systems", "parrot") == 0
    report = report_of(both)
    assert "one corpus tests, the others train" in report["protocol description"]
    assert [fold["test"]["clips"] for fold in report["folds"]] == [32, 8]
    for fold in report["folds"]:
        trained = {*fold["train"]["speakers"], *fold["validation"]["speakers"]}
        assert {name[0] for name in trained} != {name[0] for name in fold["test"]["speakers"]}


@pytest.mark.usefixtures("animals")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "corpus", "--train", "A"), "needs --train and --test"),
        (("--protocol", "corpus", "--corpus", "IEMOCAP"), "cannot be left out"),
        (("--protocol", "corpus", "--corpus", "A", "B", "--train", "A", "--test", "B"), "needs --train and --test"),
        (("--protocol", "corpus", "--train", "A", "--test", "B", "--classes", "all"), "four classes only"),
        (("--protocol", "speaker"), "needs --corpus"),
        (("--corpus", "NOTHING"), "No clips of NOTHING"),
        (("--corpus", "IEMOCAP", "--systems", "unicorn"), "No system unicorn"),
        (("--corpus", "IEMOCAP", "--only", "9"), "no fold 9"),
        (("--corpus", "IEMOCAP", "--jobs", "0"), "--jobs"),
        (("--corpus", "IEMOCAP", "--path", "OTHER=somewhere"), "not asked for"),
        (("--corpus", "IEMOCAP", "OTHER", "--path", "somewhere"), "NAME=FOLDER"),
    ],
)
def test_what_cannot_be_done_is_said(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("animals")
def test_unusable_clips_are_left_out_and_named(tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    broken, repeat = tmp_path / "broken.wav", tmp_path / "repeat.wav"
    broken.write_bytes(b"RIFF nothing")
    repeat.write_bytes(recordings[0].file.read_bytes())
    clips = [
        *recordings,
        replace(recordings[0], path="iemocap/x-broken.wav", file=broken),
        replace(recordings[0], path="iemocap/x-gone.wav", file=tmp_path / "gone.wav"),
        replace(recordings[-2], path="iemocap/x-repeat.wav", file=repeat),
    ]
    monkeypatch.setattr(crossval, "load_clips", lambda root: clips)
    assert command(tmp_path, "--corpus", "IEMOCAP", "--systems", "parrot", "--only", "1") == 0
    left_out = report_of(tmp_path)["left out"]
    assert left_out["without audio that can be decoded"]["named"] == ["iemocap/x-broken.wav", "iemocap/x-gone.wav"]
    assert left_out["they repeat another clip sample for sample"]["named"] == ["iemocap/x-repeat.wav"]


@pytest.mark.usefixtures("animals")
def test_systems_that_read_need_words(tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "load_clips", lambda root: [replace(each, text="") for each in recordings])
    assert command(tmp_path, "--corpus", "IEMOCAP", "--systems", "parrot", "reader", "--only", "1") == 0
    report = report_of(tmp_path)
    assert "no clip of the corpus comes with its words" in report["not run"]["reader"]
    assert report["words"] == "none"


def test_digests_are_of_the_sound_and_are_kept(recordings: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = tmp_path / "again.flac"
    samples, rate = soundfile.read(recordings[0].file, dtype="int16")
    soundfile.write(again, samples, rate)
    clips = [*recordings[:3], replace(recordings[0], path="iemocap/again.flac", file=again)]
    digests, unreadable = examine(clips, tmp_path)
    assert not unreadable
    assert digests["iemocap/again.flac"] == digests[clips[0].path]
    assert len(set(digests.values())) == 3
    monkeypatch.setattr("training.features.read_audio", lambda path: pytest.fail(f"{path} is decoded again"))
    assert examine(clips, tmp_path) == (digests, [])


def test_eight_classes_of_ravdess(data_dir: Path) -> None:
    classes = classes_of(load_clips(data_dir, ["RAVDESS"]))
    assert classes == ("anger", "happiness", "neutral", "sadness", "calm", "disgust", "fear", "surprise")


def test_registered_systems_are_what_they_are_said_to_be() -> None:
    for name, entry in SYSTEMS.items():
        system = make_system(name)
        assert (system.audio, system.text) == (entry.audio, entry.text), name


def test_folds_run_in_processes_of_their_own(tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "load_clips", lambda root: list(recordings))
    monkeypatch.setattr(crossval, "data_directory", lambda option: Path())
    options = ("--corpus", "IEMOCAP", "--systems", "tfidf-lr", "--jobs", "2", "--only", "1", "2")
    assert command(tmp_path, *options) == 0
    assert report_of(tmp_path)["systems"]["tfidf-lr"]["folds"] == [1, 2]


SHARED_OUT = """
import json
import os
import sys
from pathlib import Path
import test_crossval
from training import crossval
from training.__main__ import main
from training.loop import rank
clips = test_crossval.recorded(Path(sys.argv[1]) / "recordings")
crossval.load_clips = lambda root: clips
crossval.data_directory = lambda option: Path()
status = main(["crossval", *sys.argv[2:], "--out", sys.argv[1] + "/out", "--cache", sys.argv[1] + "/cache"])
Path(sys.argv[1], "process-" + os.environ["RANK"]).write_text(f"{status} {rank()}")
"""


def test_processes_of_torchrun_share_the_folds_out_and_find_what_one_alone_finds(
    tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--corpus", "IEMOCAP", "--systems", "tfidf-lr", "mdre", "--only", "1", "2", "3", "--quick", "--threads", "1")
    script = tmp_path / "shared.py"
    script.write_text(SHARED_OUT)
    recorded(tmp_path / "recordings")
    done = in_two_processes(script, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"process-{number}").read_text() for number in (0, 1)] == ["0 0", "0 1"]
    assert done.stdout.count("report: ") == 1, done.stdout
    assert all(done.stdout.count(f"fold {number}, mdre: ") == 1 for number in (1, 2, 3)), done.stdout
    shared = report_of(tmp_path)["systems"]
    assert [shared[name]["folds"] for name in ("tfidf-lr", "mdre")] == [[1, 2, 3], [1, 2, 3]]

    monkeypatch.setattr(crossval, "load_clips", lambda root: list(recordings))
    monkeypatch.setattr(crossval, "data_directory", lambda option: Path())
    alone = tmp_path / "alone"
    assert command(alone, *options) == 0
    for number in (1, 2, 3):
        scores = [
            json.loads((folder / "out" / f"fold-{number:02}" / "mdre" / "result.json").read_text(encoding="utf-8"))["test"]
            for folder in (tmp_path, alone)
        ]
        assert scores[0] == scores[1]


OWN = ("acoustic", "acoustic-frozen", "text", "fusion-3")


def assert_own_systems_ran(folder: Path) -> None:
    report = report_of(folder)
    assert tuple(report["systems"]) == OWN
    assert report["systems"]["acoustic-frozen"]["cutoffs"]["largest movement"] == 0
    assert report["systems"]["acoustic"]["cutoffs"]["largest movement"] > 0
    assert {row["system"] for row in report["ablation"]} == {"acoustic"}
    assert (folder / "out" / "fold-01" / "acoustic" / "features.npz").is_file()
    assert (folder / "out" / "cutoffs-acoustic.png").is_file()


def test_own_systems_by_the_papers_recipe(tmp_path: Path, recordings: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "load_clips", lambda root: list(recordings))
    monkeypatch.setattr(crossval, "data_directory", lambda option: Path())
    options = ("--corpus", "IEMOCAP", "--protocol", "paper", "--folds", "3", "--only", "1")
    assert command(tmp_path, *options, "--systems", *OWN) == 0
    assert_own_systems_ran(tmp_path)


def test_own_systems_by_the_bundles_recipe(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On real speech, since this recipe learns from voiced windows only; calm and the like teach auxiliary classes."""
    actors = {f"RAVDESS_{actor:02}" for actor in (1, 2, 3)}
    # Of every emotion the first sentence, once, not loud.
    first = [each for each in load_clips(data_dir, ["RAVDESS"]) if each.path.rsplit("-", 4)[1:4] == ["01", "01", "01"]]
    clips = [each for each in first if each.speaker in actors]
    monkeypatch.setattr(crossval, "load_clips", lambda root: clips)
    options = ("--data", str(data_dir), "--corpus", "RAVDESS", "--protocol", "speaker", "--only", "1")
    assert command(tmp_path, *options, "--systems", *OWN) == 0
    assert_own_systems_ran(tmp_path)
    details = report_of(tmp_path)["systems"]["acoustic"]["details"][0]
    assert details["auxiliary_classes"] == ["calm", "disgust", "fear", "surprise"]
