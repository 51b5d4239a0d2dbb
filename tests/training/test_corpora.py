"""Speech corpora: every reader on its release's layout, faults as a list, the data folder, the command, and decoding."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile
from corpus_trees import add_audio, noise
from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.errors import ConfigError
from training.__main__ import main
from training.corpora import CORPORA, FOUR_CLASSES, Clip, check_data_folder, load_clips, open_corpus
from training.corpora.speech import audio_faults

HEADER = "path\tcorpus\tlang\tspeaker\tgender\temotion\temotion4\tseconds\ttext\textra\n"


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return noise(tmp_path / "one.wav")


def ravdess_names(actors: range = range(1, 25)) -> Iterator[str]:
    for actor in actors:
        for emotion in range(1, 9):
            for strength in (1,) if emotion == 1 else (1, 2):
                for statement in (1, 2):
                    for again in (1, 2):
                        yield f"Actor_{actor:02}/03-01-{emotion:02}-{strength:02}-{statement:02}-{again:02}-{actor:02}.wav"


def savee_names(together: bool) -> Iterator[str]:
    for speaker in ("DC", "JE", "JK", "KL"):
        for emotion in ("a", "d", "f", "h", "n", "sa", "su"):
            for number in range(1, 31 if emotion == "n" else 16):
                yield f"ALL/{speaker}_{emotion}{number:02}.wav" if together else f"AudioData/{speaker}/{emotion}{number:02}.wav"


def tess_names(words: tuple[str, ...]) -> Iterator[str]:
    folders = {"ps": "Pleasant_surprise", "fear": "Fear", "sad": "Sad"}
    for speaker in ("OAF", "YAF"):
        for emotion in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"):
            folder = folders.get(emotion, emotion) if speaker == "OAF" else {"ps": "pleasant_surprised"}.get(emotion, emotion)
            for word in words:
                name = "OA" if (speaker, word, emotion) == ("OAF", "bite", "neutral") else speaker
                yield f"{speaker}_{folder}/{name}_{word}_{emotion}.wav"


def urdu_names() -> Iterator[str]:
    # Speaker and number of utterances of every emotion, as the release has them.
    spoken = {
        "Angry": [("SM1", 22), ("SM2", 28), ("SM3", 2), ("SM4", 48)],
        "Happy": [
            ("SF1", 30),
            *((f"SF{number}", 5) for number in range(2, 12)),
            *((f"SM{number}", 1) for number in range(8, 28)),
        ],
        "Neutral": [("SM3", 28), ("SM5", 72)],
        "Sad": [("SM6", 50), ("SM7", 50)],
    }
    for folder, speakers in spoken.items():
        number = 0
        for speaker, count in speakers:
            for file in range(1, count + 1):
                number += 1
                yield f"{folder}/{speaker}_F{file}_{folder[0]}0{number}.wav"


def test_ravdess_as_zenodo_has_it(tmp_path: Path, wav: Path) -> None:
    add_audio(tmp_path / "r", ravdess_names(), wav)
    table = open_corpus("RAVDESS", tmp_path / "r")
    assert table.problems == ()
    assert any("Actor_07/03-01-03-01-02-02-07.wav is left out" in note for note in table.notes)
    found = table.summary()
    assert (found["clips"], found["speakers"]) == (1_439, 24)
    assert found["four_classes"] == {"anger": 192, "happiness": 191, "neutral": 96, "sadness": 192}
    clip = next(clip for clip in table.clips if clip.path == "ravdess/Actor_12/03-01-05-02-02-01-12.wav")
    assert (clip.speaker, clip.gender, clip.emotion, clip.emotion4) == ("RAVDESS_12", "f", "anger", "anger")
    assert (clip.text, clip.sentence, clip.seconds) == ("Dogs are sitting by the door", "RAVDESS_2", 0.05)
    assert clip.file == (tmp_path / "r/Actor_12/03-01-05-02-02-01-12.wav").resolve()


@pytest.mark.parametrize("together", [True, False])
def test_savee_in_both_layouts(tmp_path: Path, wav: Path, together: bool) -> None:
    add_audio(tmp_path / "s", savee_names(together), wav)
    table = open_corpus("savee", tmp_path / "s")
    assert table.problems == ()
    assert table.summary()["labels"]["neutral"] == 120
    assert table.summary()["four_classes"] == {"anger": 60, "happiness": 60, "neutral": 120, "sadness": 60}
    assert {clip.speaker for clip in table.clips} == {"SAVEE_DC", "SAVEE_JE", "SAVEE_JK", "SAVEE_KL"}
    assert len({clip.sentence for clip in table.clips}) == 120


def test_savee_in_both_layouts_at_once_counts_once(tmp_path: Path, wav: Path) -> None:
    for together in (True, False):
        add_audio(tmp_path / "s", savee_names(together), wav)
    table = open_corpus("savee", tmp_path / "s")
    assert len(table.clips) == 480
    assert [problem.file for problem in table.problems] == [f"AudioData/{name}" for name in ("DC", "JE", "JK", "KL")]
    assert "120 of the recordings here are also elsewhere" in table.problems[0].what


def test_tess_and_its_archives_that_hold_everything_twice(tmp_path: Path, wav: Path) -> None:
    words = ("back", "bite", "young")
    add_audio(tmp_path / "t", tess_names(words), wav)
    corpus = replace(CORPORA["tess"], clips=42)
    table = corpus.open(tmp_path / "t")
    assert table.problems == ()
    assert table.summary()["labels"]["surprise"] == 6
    assert {clip.text for clip in table.clips} == {f"Say the word {word}" for word in words}
    assert {clip.gender for clip in table.clips} == {"f"}
    add_audio(tmp_path / "t/TESS Toronto emotional speech set data", tess_names(words), wav)
    again = corpus.open(tmp_path / "t")
    assert len(again.clips) == 42
    assert len(again.problems) == 14
    add_audio(tmp_path / "t", ["OAF_Sad/OAF_back_angry.wav", "OAF_Sad/OAF_back_glad.wav"], wav)
    text = "\n".join(map(str, corpus.open(tmp_path / "t").problems))
    assert "OAF_Sad/OAF_back_angry.wav: the name says OAF and angry, the folder is OAF_Sad." in text
    assert "the label 'glad' is none of angry" in text


def test_crema_d_reads_genders_and_only_the_wave_files(tmp_path: Path, wav: Path) -> None:
    names = [f"{actor}_{text}_{emotion}_XX" for actor in (1001, 1002) for text in ("DFA", "IEO") for emotion in ("ANG", "NEU")]
    names += ["1002_ITH_SAD_X", "1076_MTI_SAD_XX"]
    add_audio(tmp_path / "c", [f"AudioWAV/{name}.wav" for name in names], wav)
    add_audio(tmp_path / "c", [f"AudioMP3/{name}.mp3" for name in names], wav)
    people = tmp_path / "c/VideoDemographics.csv"
    people.write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","a","b"\n1002,21,"Female","a","b"\n', encoding="utf-8"
    )
    corpus = replace(CORPORA["cremad"], clips=9, speakers=2)
    table = corpus.open(tmp_path / "c")
    assert table.problems == ()
    assert any("1076_MTI_SAD_XX.wav is left out: it is silent" in note for note in table.notes)
    assert {(clip.speaker, clip.gender) for clip in table.clips} == {("CREMA-D_1001", "m"), ("CREMA-D_1002", "f")}
    assert table.clips[0].path == "cremad/AudioWAV/1001_DFA_ANG_XX.wav"
    assert table.clips[0].text == "Don't forget a jacket"
    for content, what in (
        ("ActorID,Sex\n1001,Male\n", "actor 1002 is not listed"),
        ("ActorID,Sex\n1001,Male\n1002,x\n", "the sex 'x' is neither"),
        ("ActorID\n1001\n", "there is no column Sex"),
        ("ActorID,Sex\n1001\n", "another number of fields"),
    ):
        people.write_text(content, encoding="utf-8")
        assert what in "\n".join(map(str, corpus.open(tmp_path / "c").problems))
    people.unlink()
    without = corpus.open(tmp_path / "c")
    assert {clip.gender for clip in without.clips} == {""}
    assert "genders stay unknown" in str(without.problems[0])


def test_urdu(tmp_path: Path, wav: Path) -> None:
    add_audio(tmp_path / "u", urdu_names(), wav)
    table = replace(CORPORA["urdu"], speakers=38).open(tmp_path / "u")
    assert table.problems == ()
    assert table.summary()["four_classes"] == dict.fromkeys(FOUR_CLASSES, 100)
    assert {clip.gender for clip in table.clips if clip.speaker.startswith("URDU_SF")} == {"f"}
    add_audio(tmp_path / "u", ["Sad/SM1_F1_A0999.wav"], wav)
    assert "the name says anger, the folder is Sad" in str(open_corpus("urdu", tmp_path / "u").problems[0])


def test_emo_db_and_emovo_and_ased_by_name(tmp_path: Path, wav: Path) -> None:
    add_audio(tmp_path / "e", ["wav/03a01Fa.wav", "wav/16b10Td.wav", "wav/99a01Fa.wav", "wav/03a03Fa.wav", "wav/x.wav"], wav)
    table = replace(CORPORA["emodb"], clips=2, speakers=2).open(tmp_path / "e")
    assert [(clip.speaker, clip.gender, clip.emotion, clip.sentence) for clip in table.clips] == [
        ("EMODB_03", "m", "happiness", "EMODB_a01"),
        ("EMODB_16", "f", "sadness", "EMODB_b10"),
    ]
    assert [problem.file for problem in table.problems] == ["wav/03a03Fa.wav", "wav/99a01Fa.wav", "wav/x.wav"]
    add_audio(tmp_path / "v", ["m3/pau-m3-n5.wav", "f1/gio-f1-b1.wav", "documents/x.wav"], wav)
    table = replace(CORPORA["emovo"], clips=2, speakers=2).open(tmp_path / "v")
    assert [(clip.speaker, clip.emotion) for clip in table.clips] == [("EMOVO_f1", "happiness"), ("EMOVO_m3", "fear")]
    assert len(table.problems) == 1
    names = ["01Neutral/n1-01-01-01-09.wav", "04Sad/S4-03-01-02-09.wav", "04Sad/a5-03-01-02-09.wav", "04Sad/s4-03-02-01-23.wav"]
    add_audio(tmp_path / "a", [f"wav/{name}" for name in names], wav)
    table = replace(CORPORA["ased"], clips=2, speakers=1).open(tmp_path / "a")
    assert [(clip.speaker, clip.gender, clip.sentence) for clip in table.clips] == [
        ("ASED_09", "", "ASED_common01"),
        ("ASED_09", "", "ASED_s03"),
    ]
    assert any("Both genders are given for ASED_09" in note for note in table.notes)
    assert [problem.what for problem in table.problems] == ["the name says anger, the folder is 04Sad."]


def test_nemo_s_table_and_names_must_agree(tmp_path: Path, wav: Path) -> None:
    names = ["WR0_anger_1", "WR0_surprised_2", "EB0_fear_3", "EB0_sadness_4"]
    add_audio(tmp_path / "n", [f"samples/{name}.wav" for name in names], wav)
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    rows += [
        f"{name}.wav\t{name.split('_')[1]}\tTak, {name}.\ttak\t        {name[:3]}\t{'male' if name[0] == 'W' else 'female'}\t23"
        for name in names
    ]
    file = tmp_path / "n/data.tsv"
    file.write_text("\n".join(rows), encoding="utf-8")
    corpus = replace(CORPORA["nemo"], clips=4, speakers=2)
    table = corpus.open(tmp_path / "n")
    assert table.problems == ()
    assert {(clip.speaker, clip.gender) for clip in table.clips} == {("nEMO_WR0", "m"), ("nEMO_EB0", "f")}
    assert [(clip.emotion, clip.emotion4, clip.text) for clip in table.clips][-1] == ("surprise", "", "Tak, WR0_surprised_2.")
    rows[1] = rows[1].replace("\tanger\t", "\tsadness\t")
    (tmp_path / "n/samples/EB0_fear_3.wav").unlink()
    file.write_text("\n".join([*rows[:4], rows[2], "too\tshort", rows[3].replace("female", "x")]), encoding="utf-8")
    text = "\n".join(map(str, corpus.open(tmp_path / "n").problems))
    for part in (
        "samples/WR0_anger_1.wav: data.tsv says sadness of WR0, the name says otherwise.",
        "samples/EB0_sadness_4.wav: the file is not listed in data.tsv.",
        "line 4: EB0_fear_3.wav has a label but no usable audio.",
        "line 5: WR0_surprised_2.wav is listed twice.",
        "line 6: the line has another number of fields",
        "line 7: the gender 'x' is neither female nor male.",
        "1 clips were found, the release has 4.",
    ):
        assert part in text
    for content in (None, b"\xff\xfe\x00", b"file_id\n"):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        else:
            assert "data.tsv: the table is missing." in "\n".join(map(str, corpus.open(tmp_path / "n").problems))
            file.touch()
        assert corpus.open(tmp_path / "n").problems


def test_broken_audio_hidden_files_and_missing_clips_are_listed(tmp_path: Path, wav: Path) -> None:
    root = tmp_path / "r"
    add_audio(root, ravdess_names(range(1, 4)), wav)
    for name, content in (("03-01-01-01-01-01-01", b"RIFF no more"), ("03-01-01-01-01-02-01", b"")):
        path = root / f"Actor_01/{name}.wav"
        path.unlink()
        path.write_bytes(content)
    path = root / "Actor_02/03-01-08-02-02-02-02.wav"
    path.unlink()
    soundfile.write(path, np.zeros((0, 1)), 16_000)
    (root / "Actor_03/._03-01-01-01-01-01-03.wav").write_bytes(b"\x00\x05\x16\x07")
    add_audio(root, ["__MACOSX/Actor_03/x.wav", "Actor_03/03-02-01-01-01-01-03.wav", "Actor_99/03-01-01-01-01-01-99.wav"], wav)
    table = replace(CORPORA["ravdess"], clips=180, speakers=3).open(root)
    assert [str(problem) for problem in table.problems] == [
        "Actor_01/03-01-01-01-01-01-01.wav: the audio cannot be read. Copy it from the release again.",
        "Actor_01/03-01-01-01-01-02-01.wav: the audio cannot be read. Copy it from the release again.",
        "Actor_02/03-01-08-02-02-02-02.wav: the audio is empty. Copy it from the release again.",
        "Actor_03/03-02-01-01-01-01-03.wav: this is not audio-only speech (03-01):"
        " songs and videos are another part of the release. Give it the release's name, or remove it.",
        "Actor_99/03-01-01-01-01-01-99.wav: there is no actor 99. Give it the release's name, or remove it.",
        ".: 177 clips were found, the release has 180. Unpack the missing files again.",
    ]
    shutil.rmtree(root / "Actor_02")
    assert "2 speakers were found, the release has 3" in str(replace(CORPORA["ravdess"], speakers=3).open(root).problems[-1])


def test_an_empty_folder_an_unknown_corpus_and_no_folder(tmp_path: Path) -> None:
    for name in CORPORA:
        table = open_corpus(name, tmp_path)
        assert table.clips == ()
        assert table.problems
        assert table.licence
    with pytest.raises(ConfigError, match="No corpus 'xyz' is known"):
        open_corpus("xyz", tmp_path)
    with pytest.raises(ConfigError, match="There is no folder"):
        open_corpus("ravdess", tmp_path / "nowhere")


@given(
    st.sampled_from(sorted(CORPORA)),
    st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=["Cs"]), min_size=1, max_size=24),
)
def test_no_name_makes_a_reader_fail(name: str, stem: str) -> None:
    corpus = CORPORA[name]
    for place in (PurePosixPath(stem), PurePosixPath("Angry", f"{stem}.wav")):
        try:
            spoken = corpus.describe(place)
        except ValueError:
            assert corpus.from_name(place)[1:] == ("", "")
        else:
            assert spoken.speaker
            assert spoken.emotion in corpus.classes or name == "iemocap"


def test_every_corpus_maps_its_labels_to_the_four_classes() -> None:
    for name, corpus in CORPORA.items():
        assert set(corpus.classes.values()) <= {*FOUR_CLASSES, ""}
        assert set(corpus.classes.values()) >= set(FOUR_CLASSES)
        assert name == corpus.key
        assert corpus.licence
        assert corpus.title


DATA_FOLDER = {"ased": 2_470, "emodb": 535, "emovo": 588, "nemo": 4_481, "ravdess": 1_439}


@pytest.fixture(scope="module")
def listed(data_dir: Path) -> dict[str, Clip]:
    """The manifest's clips by path."""
    return {clip.path: clip for clip in load_clips(data_dir)}


def test_every_clip_of_the_manifest_is_of_a_known_corpus(listed: dict[str, Clip]) -> None:
    assert len(listed) == sum(DATA_FOLDER.values())


@pytest.mark.parametrize("name", DATA_FOLDER)
def test_readers_agree_with_the_manifest_of_the_data_folder(data_dir: Path, listed: dict[str, Clip], name: str) -> None:
    table = open_corpus(name, data_dir / "corpora" / name)
    assert table.problems == ()
    assert len(table.clips) == DATA_FOLDER[name]
    for clip in table.clips:
        # Lengths of both are rounded to milliseconds.
        assert abs(clip.seconds - listed[clip.path].seconds) < 0.0015
        assert replace(clip, seconds=listed[clip.path].seconds) == listed[clip.path]
        assert clip.file == listed[clip.path].file


@pytest.fixture
def folder(tmp_path: Path, wav: Path) -> Path:
    """A data folder with two EMO-DB clips, a corpus that nobody knows, and no texts."""
    root = tmp_path / "data"
    add_audio(root / "corpora/emodb", ["wav/03a01Fa.wav", "wav/16b10Td.wav"], wav)
    add_audio(root / "corpora/other", ["x.wav"], wav)
    rows = [
        "emodb/wav/03a01Fa.wav\tEMODB\tde\tEMODB_03\tM\thappiness\thappiness\t0.050\t\ttext=a01",
        "emodb/wav/16b10Td.wav\tEMODB\tde\tEMODB_16\tM\tsadness\tsadness\t0.05\t\ttext=b10",
        "emodb/wav/16b10Wa.wav\tEMODB\tde\tEMODB_16\tF\tanger\tanger\t0.05\t\ttext=b10",
        "other/x.wav\tOther\ten\tOther_1\t\tjoy\thappiness\t0.05\tHello\t",
        "other/y.wav\tOther\ten\tOther_1\t\tjoy\thappiness\t0.05\tHello\t",
    ]
    (root / "corpora/manifest.tsv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return root


def test_where_the_manifest_says_otherwise(folder: Path) -> None:
    clips = load_clips(folder)
    assert [clip.gender for clip in clips] == ["m", "", "", "", ""]
    assert clips[0].text == "Der Lappen liegt auf dem Eisschrank."
    assert clips[0].file == (folder / "corpora/emodb/wav/03a01Fa.wav").resolve()
    tables = {table.name: "\n".join(map(str, table.problems)) for table in check_data_folder(folder)}
    assert "1 clips are listed in the manifest but were not found, the first is emodb/wav/16b10Wa.wav" in tables["EMODB"]
    assert "1 clips have another gender than the manifest says, the first is emodb/wav/16b10Td.wav: f, not ." in tables["EMODB"]
    assert tables["Other"] == "other/y.wav: the audio is missing. Copy it again."
    assert "the folder is missing" in tables["meld"]
    shutil.rmtree(folder / "corpora/emodb")
    assert "the manifest lists 3 clips of it" in str(check_data_folder(folder)[0].problems[0])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (HEADER + "a/b.wav\tA\ten\n", "line 2: the line has too few fields"),
        (HEADER + "a/b.wav\tA\ten\tA_1\tF\tjoy\t\tlong\t\t\n", "line 2: could not convert"),
        ("path\tcorpus\n", "no column emotion, emotion4"),
        ("\ud800", "cannot be read as a table"),
    ],
)
def test_a_broken_manifest_is_named_with_its_line(folder: Path, content: str, what: str) -> None:
    (folder / "corpora/manifest.tsv").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=what):
        load_clips(folder)


def test_the_command_prints_writes_and_tells_by_its_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpora", "--data", str(folder), "--csv", str(tmp_path / "t.csv"), "--json", str(tmp_path / "t.json")]) == 1
    out = capsys.readouterr().out
    assert "EMO-DB (Burkhardt et al. 2005)" in out
    assert "2 clips · 2 speakers · 0.00 h" in out
    assert "PROBLEM: .: 2 clips were found, the release has 535." in out
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["path"] for row in rows] == ["emodb/wav/03a01Fa.wav", "emodb/wav/16b10Td.wav", "other/x.wav", "other/y.wav"]
    assert rows[0]["sentence"] == "EMODB_a01"
    content = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert content["corpora"][0]["clips"][0]["text"] == "Der Lappen liegt auf dem Eisschrank."
    assert content["corpora"][0]["problems"][0]["file"] == "."
    assert main(["corpora", "--path", str(folder)]) == 2
    assert main(["corpora", "--corpus", "emodb", "--data", str(folder), "--csv", str(tmp_path / "no/t.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_command_on_one_complete_corpus(tmp_path: Path, wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_audio(tmp_path / "s", savee_names(True), wav)
    assert main(["corpora", "--corpus", "SAVEE", "--path", str(tmp_path / "s")]) == 0
    assert "PROBLEM" not in capsys.readouterr().out
    assert main(["corpora", "--corpus", "SAVEE", "--path", str(tmp_path / "s"), "--decode"]) == 1
    out = capsys.readouterr().out
    assert "the audio repeats savee/ALL/DC_a01.wav sample for sample" in out
    assert "and 459 more" in out


def clip(path: str, file: Path) -> Clip:
    return Clip(path, "A", "en", "A_1", "anger", "anger", 0.1, "", file=file)


def test_decoding_finds_silence_repetition_and_broken_ends(tmp_path: Path) -> None:
    files = [noise(tmp_path / "a.wav"), noise(tmp_path / "b.wav"), noise(tmp_path / "c.wav", seed=1), tmp_path / "d.wav"]
    soundfile.write(files[3], np.zeros(800), 16_000)
    broken = noise(tmp_path / "e.flac", seconds=1.0)
    broken.write_bytes(broken.read_bytes()[:9_000])
    found = [str(problem) for problem in audio_faults([clip(file.name, file) for file in (*files, broken)])]
    assert found[:2] == [
        "b.wav: the audio repeats a.wav sample for sample. Remove one of them.",
        "d.wav: the audio is silence. Remove it.",
    ]
    assert found[2].startswith("e.flac: the audio cannot be decoded to its end.")
