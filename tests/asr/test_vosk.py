"""Vosk, with a real libvosk and a small real model."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from realtime_ser.asr.vosk_models import VoskModelFolder
from realtime_ser.asr.vosk_recognizer import VoskModel, VoskRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel

from .conftest import KnownClip, decode


@pytest.fixture(scope="module")
def model(vosk_model_dir: Path) -> VoskModel:
    return VoskModel(vosk_model_dir)


@pytest.fixture
def recognizer(model: VoskModel) -> Iterator[VoskRecognizer]:
    with VoskRecognizer(model) as recognizer:
        yield recognizer


def test_known_texts_and_times(recognizer: VoskRecognizer, known_clips: list[KnownClip]) -> None:
    for index, clip in enumerate(known_clips):
        first = 12_345 * index
        partial, final = decode(recognizer, clip.samples, utterance=index, first_sample=first)
        assert (final.text, final.utterance, final.final) == (clip.text, index, True), clip.name
        assert final.heard_until == first + len(clip.samples)
        assert final.recognizer == RecognizerLabel("Vosk", "vosk-an4")
        for word, expected in zip(final.words, clip.words, strict=True):
            # Times depend on the processor's rounding: 0.1 s was seen between kinds of processor.
            assert (word.span.first - first) / 16_000 == pytest.approx(expected["start"], abs=0.15)
            assert (word.span.end - first) / 16_000 == pytest.approx(expected["end"], abs=0.15)
            assert 0.0 <= word.confidence <= 1.0
        assert final.confidence == pytest.approx(np.mean([word.confidence for word in final.words]))
        assert partial, clip.name
        assert all(not transcript.final and math.isnan(transcript.confidence) for transcript in partial if transcript.words)
        heard = [transcript.heard_until for transcript in partial]
        assert heard == sorted(heard)
        assert all(word.span.end <= transcript.heard_until for transcript in partial for word in transcript.words)


def test_any_cut_gives_the_same_transcripts(recognizer: VoskRecognizer, known_clips: list[KnownClip]) -> None:
    clip = max(known_clips, key=lambda clip: len(clip.samples))
    partial, final = decode(recognizer, clip.samples, first_sample=777)
    generator = np.random.default_rng(1)
    for count in (0, 3, 40, 400):
        cuts = sorted(generator.integers(0, len(clip.samples), count).tolist())
        other, other_final = decode(recognizer, clip.samples, first_sample=777, cuts=cuts)
        assert other_final == final
        # nan is not equal to itself: compare words and places.
        seen = {(transcript.heard_until, transcript.text) for transcript in partial}
        assert {(transcript.heard_until, transcript.text) for transcript in other} <= seen


def test_an_utterance_does_not_leak_into_the_next(recognizer: VoskRecognizer, known_clips: list[KnownClip]) -> None:
    alone = {clip.name: decode(recognizer, clip.samples)[1] for clip in known_clips[:4]}
    for before in known_clips[:4]:
        for dropped in (False, True):
            for after in known_clips[:4]:
                recognizer.begin(1, 0)
                recognizer.accept(before.samples)
                if not dropped:
                    recognizer.finish()
                assert decode(recognizer, after.samples)[1] == alone[after.name]


def test_all_phrases_of_an_utterance_are_collected(recognizer: VoskRecognizer, known_clips: list[KnownClip]) -> None:
    # 1.5 s of near-silence makes Vosk end a phrase, and AcceptWaveform returns 1, inside the utterance.
    right = [clip for clip in known_clips if clip.text in ("yes", "enter thirty", "three zero two one")]
    pause = (np.random.default_rng(0).normal(0.0, 2e-4, 24_000)).astype(np.float32)
    samples = np.concatenate([part for clip in right for part in (clip.samples, pause)])
    partial, final = decode(recognizer, samples, first_sample=16_000)
    assert final.text == " ".join(clip.text for clip in right)
    first = 16_000
    words = list(final.words)
    for clip in right:
        for expected in clip.words:
            word = words.pop(0)
            assert (word.span.first - first) / 16_000 == pytest.approx(expected["start"], abs=0.2)
        first += len(clip.samples) + len(pause)
    # Once a phrase is closed, its words keep the times and confidences that they have in the end.
    closed = partial[-1]
    assert closed.words == final.words
    assert 0.0 <= closed.confidence <= 1.0


def test_nothing_said(recognizer: VoskRecognizer) -> None:
    recognizer.begin(5, 100)
    assert recognizer.finish().words == ()
    partial, final = decode(recognizer, np.zeros(16_000, np.float32), utterance=6, first_sample=100)
    assert partial == []
    assert final.words == ()
    assert math.isnan(final.confidence)
    assert final.heard_until == 16_100


def test_order_of_calls(model: VoskModel) -> None:
    recognizer = VoskRecognizer(model)
    with pytest.raises(RuntimeError, match="begin"):
        recognizer.begin(1, 0)
    with recognizer:
        recognizer.start()
        with pytest.raises(RuntimeError, match="accept"):
            recognizer.accept(np.zeros(10, np.float32))
        recognizer.begin(1, 0)
        recognizer.finish()
        with pytest.raises(RuntimeError, match="finish"):
            recognizer.finish()
    recognizer.close()
    with pytest.raises(RuntimeError, match="begin"):
        recognizer.begin(1, 0)


def test_one_model_serves_many_threads(model: VoskModel, known_clips: list[KnownClip]) -> None:
    texts: dict[str, str] = {}

    def work(clip: KnownClip) -> None:
        with VoskRecognizer(model) as recognizer:
            texts[clip.name] = decode(recognizer, clip.samples)[1].text

    threads = [threading.Thread(target=work, args=(clip,)) for clip in known_clips[:6]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {clip.name: clip.text for clip in known_clips[:6]}


@pytest.fixture
def model_copy(vosk_model_dir: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "vosk-model-small-en-us-9"
    # copyfile: the original's write protection is not wanted here.
    shutil.copytree(vosk_model_dir, copy, copy_function=shutil.copyfile)
    for folder in (copy, *copy.rglob("*/")):
        folder.chmod(0o755)
    return copy


@pytest.mark.parametrize("name", ["graph/HCLr.fst", "graph/Gr.fst", "am/final.mdl", "graph/words.txt"])
def test_a_truncated_file_is_an_error(model_copy: Path, name: str) -> None:
    file = model_copy / name
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RecognizerError, match="cannot use the model") as caught:
        VoskRecognizer(VoskModel(model_copy)).start()
    assert "models fetch" in caught.value.remedy


def test_a_wrong_folder_is_an_error(tmp_path: Path, model_copy: Path) -> None:
    with pytest.raises(RecognizerError, match="no Vosk model folder"):
        VoskModel(tmp_path / "absent").load()
    with pytest.raises(RecognizerError, match="not a Vosk model"):
        VoskModel(tmp_path).load()
    (model_copy / "graph" / "Gr.fst").write_bytes(b"")
    with pytest.raises(RecognizerError, match=r"incomplete: graph/Gr\.fst"):
        VoskModel(model_copy).load()


def test_without_word_boundaries_times_are_approximate(model_copy: Path, known_clips: list[KnownClip]) -> None:
    assert VoskModelFolder(model_copy).has_word_times
    (model_copy / "graph" / "phones" / "word_boundary.int").unlink()
    clip = next(clip for clip in known_clips if clip.text == "three zero two one")
    with VoskRecognizer(VoskModel(model_copy)) as recognizer:
        partial, final = decode(recognizer, clip.samples)
    assert final.text == clip.text
    assert [word.span for word in final.words[: len(partial[-1].words)]] == [word.span for word in partial[-1].words]
    assert final.words[0].span.first == 0
    assert final.words[-1].span.end <= len(clip.samples)


@pytest.mark.parametrize(
    ("name", "language", "small"),
    [
        ("vosk-model-small-en-us-0.15", "en-us", True),
        ("vosk-model-en-us-0.22-lgraph", "en-us", False),
        ("vosk-model-small-fr-0.22", "fr", True),
        ("vosk-model-ar-mgb2-0.4", "ar", False),
        ("my-own", "", False),
    ],
)
def test_what_a_name_says(tmp_path: Path, name: str, language: str, small: bool) -> None:
    folder = VoskModelFolder(tmp_path / name)
    assert (folder.language, folder.small) == (language, small)


def test_spans_never_leave_what_was_heard(recognizer: VoskRecognizer, known_clips: list[KnownClip]) -> None:
    for clip in known_clips:
        _, final = decode(recognizer, clip.samples[: len(clip.samples) * 2 // 3], first_sample=5)
        assert all(5 <= word.span.first <= word.span.end <= final.heard_until for word in final.words)
