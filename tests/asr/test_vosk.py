"""Vosk, with a real libvosk and a small real model."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime_ser.asr.steps import pcm16
from realtime_ser.asr.vosk_models import VoskModelFolder
from realtime_ser.asr.vosk_recognizer import VoskRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel

from .conftest import KnownClip, decode


@pytest.fixture(scope="module")
def recognizer(vosk_model_dir: Path) -> Iterator[VoskRecognizer]:
    with VoskRecognizer(vosk_model_dir) as recognizer:
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


def test_another_process_changes_nothing(
    recognizer: VoskRecognizer, known_clips: list[KnownClip], vosk_model_dir: Path
) -> None:
    """Against the library itself, called here: the same words, the same times, the same confidences, to the last digit."""
    import vosk

    vosk.SetLogLevel(-1)
    model = vosk.Model(str(vosk_model_dir))
    for clip in known_clips:
        here = vosk.KaldiRecognizer(model, 16_000.0)
        here.SetWords(True)
        entries: list[dict[str, Any]] = []
        texts: list[str] = []
        for part in np.split(clip.samples, range(1_600, len(clip.samples), 1_600)):
            if here.AcceptWaveform(pcm16(part)):
                entries += json.loads(here.Result()).get("result", [])
            elif len(part) == 1_600:  # what is left is decoded with the end
                partial = json.loads(here.PartialResult()).get("partial", "")
                texts.append(" ".join([*(entry["word"] for entry in entries), *partial.split()]))
        entries += json.loads(here.FinalResult()).get("result", [])
        first = 48_000
        partials, final = decode(recognizer, clip.samples, first_sample=first)
        assert [text for text in texts if text] == [transcript.text for transcript in partials if transcript.text]
        assert [(word.text, word.confidence) for word in final.words] == [(e["word"], e["conf"]) for e in entries]
        ends = first + len(clip.samples)
        times = [(min(first + round(e["start"] * 16_000), ends), min(first + round(e["end"] * 16_000), ends)) for e in entries]
        assert [(word.span.first, word.span.end) for word in final.words] == times


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


def test_order_of_calls(vosk_model_dir: Path) -> None:
    recognizer = VoskRecognizer(vosk_model_dir)
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


@pytest.mark.parametrize("name", ["graph/HCLr.fst", "graph/Gr.fst", "am/final.mdl", "graph/words.txt"])
def test_a_truncated_file_is_an_error(model_copy: Path, name: str) -> None:
    file = model_copy / name
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RecognizerError, match="cannot use the model") as caught:
        VoskRecognizer(model_copy).start()
    assert "models fetch" in caught.value.remedy


# What a file is cut to, what libvosk does then, and what is said of it. The first three end its process.
FATAL = [
    pytest.param("conf/mfcc.conf", 20, r"SIGABRT\): Assertion failed: \(n > 0\)", id="assertion"),
    pytest.param("conf/model.conf", 33, "SIGABRT.*Endpointing requires nonempty", id="assertion with the first samples"),
    pytest.param("graph/disambig_tid.int", 4, "SIGSEGV", id="segmentation fault with the first samples"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to be killed by")
@pytest.mark.parametrize(("name", "length", "why"), FATAL)
def test_a_model_that_makes_the_library_abort_is_an_error_like_any_other(
    model_copy: Path, name: str, length: int, why: str
) -> None:
    file = model_copy / name
    file.write_bytes(file.read_bytes()[:length])
    recognizer = VoskRecognizer(model_copy)
    with pytest.raises(RecognizerError, match=f"cannot use the model .*: its process ended unexpectedly .*{why}") as caught:
        recognizer.start()
    assert "models fetch" in caught.value.remedy
    assert recognizer.process_id is None


@pytest.mark.parametrize("part", [0.01, 0.2, 0.7, 0.999])
def test_a_file_truncated_anywhere_is_an_error_or_works(model_copy: Path, known_clips: list[KnownClip], part: float) -> None:
    """Not every damage can be noticed. Whatever comes of it is told in words, and this process, which runs the test, lives."""
    clip = next(clip for clip in known_clips if clip.text == "three zero two one")
    words = 0
    told: list[str] = []
    for file in sorted(path for path in model_copy.rglob("*") if path.suffix in (".mdl", ".fst", ".conf", ".txt", ".int")):
        whole = file.read_bytes()
        file.write_bytes(whole[: max(1, int(len(whole) * part))])
        recognizer = VoskRecognizer(model_copy)
        try:
            recognizer.start()
            words += len(decode(recognizer, clip.samples)[1].words)
        except RecognizerError as error:
            told.append(error.problem)
        finally:
            recognizer.close()
            file.write_bytes(whole)
    assert told
    assert all(re.match("Vosk cannot use the model|The Vosk process ended unexpectedly", problem) for problem in told)
    assert words  # some of these files are not needed, or hardly


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to be killed by")
def test_an_abort_in_the_middle_of_an_utterance_is_an_error_and_the_next_recogniser_works(
    model_copy: Path, known_clips: list[KnownClip], recognizer: VoskRecognizer
) -> None:
    # The phone that this model knows nothing of is noticed when words get their times.
    boundaries = model_copy / "graph" / "phones" / "word_boundary.int"
    boundaries.write_bytes(boundaries.read_bytes()[:1_052])
    failed: list[str] = []
    for clip in known_clips:
        with VoskRecognizer(model_copy) as broken:
            try:
                decode(broken, clip.samples)
            except RecognizerError as error:
                failed.append(error.problem)
                assert broken.process_id is None
    assert failed
    for problem in failed:
        assert re.fullmatch(
            r"The Vosk process ended unexpectedly \(killed by SIGABRT\): Phone \d+ was not specified in .*", problem
        )
    assert decode(recognizer, known_clips[0].samples)[1].text == known_clips[0].text


def test_a_wrong_folder_is_an_error(tmp_path: Path, model_copy: Path) -> None:
    with pytest.raises(RecognizerError, match="no Vosk model folder"):
        VoskRecognizer(tmp_path / "absent").start()
    with pytest.raises(RecognizerError, match="not a Vosk model"):
        VoskRecognizer(tmp_path).start()
    (model_copy / "graph" / "Gr.fst").write_bytes(b"")
    with pytest.raises(RecognizerError, match=r"incomplete: graph/Gr\.fst"):
        VoskRecognizer(model_copy).start()


def test_without_word_boundaries_times_are_approximate(model_copy: Path, known_clips: list[KnownClip]) -> None:
    assert VoskModelFolder(model_copy).has_word_times
    (model_copy / "graph" / "phones" / "word_boundary.int").unlink()
    clip = next(clip for clip in known_clips if clip.text == "three zero two one")
    with VoskRecognizer(model_copy) as recognizer:
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
