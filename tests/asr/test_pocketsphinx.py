"""PocketSphinx, with its real child process."""

from __future__ import annotations

import csv
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from realtime_ser.asr import pocketsphinx_recognizer, pocketsphinx_worker
from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import FloatArray
from training.recognizers import align, normalised_words

from .conftest import decode

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
SILENCE = np.zeros(1600, np.float32)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[PocketSphinxRecognizer]:
    with PocketSphinxRecognizer() as recognizer:
        yield recognizer


@pytest.fixture(scope="module")
def readings(data_dir: Path) -> list[tuple[FloatArray, str]]:
    """LibriVox readings: samples, what is read."""
    with (data_dir / "clips" / "transcripts.tsv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["path"].startswith("librivox/")]
    rows.sort(key=lambda row: float(row["seconds"]))
    return [(sf.read(data_dir / "clips" / row["path"], dtype="float32")[0], row["transcript"]) for row in rows]


def test_words_of_a_reading(recognizer: PocketSphinxRecognizer, readings: list[tuple[FloatArray, str]]) -> None:
    errors = count = 0
    for index, (samples, text) in enumerate(readings[:2]):
        first = 160_000 * index + 7
        partial, final = decode(recognizer, samples, utterance=index, first_sample=first)
        reference = normalised_words(text)
        errors += align(reference, [word.text for word in final.words])[0]
        count += len(reference)
        assert (final.utterance, final.final, final.heard_until) == (index, True, first + len(samples))
        assert all(0.0 <= word.confidence <= 1.0 for word in final.words)
        edges = [edge for word in final.words for edge in (word.span.first, word.span.end)]
        assert edges == sorted(edges)
        assert first <= edges[0] <= edges[-1] <= final.heard_until
        assert len(partial) > len(samples) / 1600 / 2
        assert all(math.isnan(transcript.confidence) and not transcript.final for transcript in partial)
        # The words grow while they are spoken, they do not come all at once in the end.
        halfway = next(transcript for transcript in partial if transcript.heard_until > first + len(samples) // 2)
        assert 0 < len(halfway.words) < len(final.words)
    # 34 to 38 % are typical of these readings; this is to notice a broken code path, not a change in quality.
    assert errors / count < 0.6


def test_an_utterance_depends_on_its_own_samples_only(
    recognizer: PocketSphinxRecognizer, readings: list[tuple[FloatArray, str]]
) -> None:
    samples = readings[0][0][:24_000]
    _, alone = decode(recognizer, samples, first_sample=777)
    recognizer.begin(1, 0)
    recognizer.accept(readings[1][0][:16_000])  # dropped, not finished
    partial, final = decode(recognizer, samples, first_sample=777, cuts=[1, 2000, 2001, 20_000])
    assert final == alone
    assert final.words
    assert partial


def test_nothing_said(recognizer: PocketSphinxRecognizer) -> None:
    recognizer.begin(1, 50)
    final = recognizer.finish()
    assert (final.words, final.heard_until) == ((), 50)
    assert math.isnan(final.confidence)
    recognizer.begin(2, 50)
    assert recognizer.accept(SILENCE[:0]) is None
    recognizer.accept(SILENCE[:7])
    assert recognizer.finish().heard_until == 57


@posix
def test_a_killed_child_is_noticed_at_once_and_can_be_replaced(readings: list[tuple[FloatArray, str]]) -> None:
    readers = {thread for thread in threading.enumerate() if thread.name == "pocketsphinx-reader"}
    recognizer = PocketSphinxRecognizer()
    recognizer.start()
    recognizer.begin(1, 0)
    recognizer.accept(readings[0][0][:4_800])
    assert recognizer.process_id is not None
    os.kill(recognizer.process_id, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(RecognizerError, match="killed by SIGKILL"):
        recognizer.accept(SILENCE)
    assert time.monotonic() - began < 2.0  # at once, on a machine that may be busy
    assert recognizer.process_id is None
    assert {thread for thread in threading.enumerate() if thread.name == "pocketsphinx-reader"} == readers
    with pytest.raises(RuntimeError, match="begin"):
        recognizer.begin(2, 0)
    recognizer.close()
    with PocketSphinxRecognizer() as fresh:
        assert decode(fresh, readings[0][0][:16_000])[1].words


@posix
def test_a_hung_child_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = PocketSphinxRecognizer()
    recognizer.start()
    assert recognizer.process_id is not None
    os.kill(recognizer.process_id, signal.SIGSTOP)
    monkeypatch.setattr(pocketsphinx_recognizer, "_ANSWER_SECONDS", 0.1)
    recognizer.begin(1, 0)
    with pytest.raises(RecognizerError, match="did not answer"):
        recognizer.accept(SILENCE)
    assert recognizer.process_id is None


@posix
def test_ctrl_c_does_not_reach_the_child(recognizer: PocketSphinxRecognizer) -> None:
    assert recognizer.process_id is not None
    assert os.getsid(recognizer.process_id) != os.getsid(0)
    os.kill(recognizer.process_id, signal.SIGINT)
    recognizer.begin(1, 0)
    recognizer.accept(SILENCE)
    assert recognizer.finish().heard_until == 1600


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for another's child with a Linux call")
def test_the_child_ends_when_its_parent_is_killed() -> None:
    program = (
        "import sys\n"
        "from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer\n"
        "recognizer = PocketSphinxRecognizer()\n"
        "recognizer.start()\n"
        "print(recognizer.process_id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    root = Path(pocketsphinx_recognizer.__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        descriptor = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            parent.wait()
            # A process's descriptor becomes readable when the process ends.
            assert select.select([descriptor], [], [], 10.0)[0], "the child outlived its parent"
        finally:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("library", "problem", "remedy"),
    [
        ("raise ImportError(\"No module named 'pocketsphinx'\")", "No module named", "pip install pocketsphinx"),
        ("class Decoder:\n    def __init__(self, **options): raise RuntimeError('no dictionary')", "no dictionary", ""),
        ("import os, sys; print('out of luck', file=sys.stderr, flush=True); os._exit(3)", "exit status 3.*out of luck", ""),
    ],
)
def test_a_library_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, problem: str, remedy: str
) -> None:
    (tmp_path / "pocketsphinx.py").write_text(library, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    recognizer = PocketSphinxRecognizer()
    with pytest.raises(RecognizerError, match=problem) as caught:
        recognizer.start()
    assert remedy in caught.value.remedy
    recognizer.close()


def test_what_a_library_prints_does_not_get_between_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chatty = (
        "import os\n"
        "class Decoder:\n"
        "    def __init__(self, **options): print('hello', flush=True); os.write(1, b'hello')\n"
        "    def reinit_feat(self): os.write(1, b'hello')\n"
        "    def start_utt(self): pass\n"
        "    def end_utt(self): pass\n"
        "    def hyp(self): return None\n"
    )
    (tmp_path / "pocketsphinx.py").write_text(chatty, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with PocketSphinxRecognizer() as recognizer:
        recognizer.begin(1, 0)
        assert recognizer.finish().words == ()


@pytest.mark.skipif(sys.platform == "win32", reason="needs an executable script")
def test_a_frozen_application_runs_itself_as_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pocketsphinx_worker.run_if_requested([])
    pocketsphinx_worker.run_if_requested(["live", pocketsphinx_worker.WORKER_FLAG])
    root = Path(pocketsphinx_recognizer.__file__).parents[2]
    application = tmp_path / "application"
    application.write_text(
        f"#!{sys.executable}\n"
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from realtime_ser.asr.pocketsphinx_worker import run_if_requested\n"
        "run_if_requested(sys.argv[1:])\n"
        "sys.exit('the application itself was started')\n",
        encoding="utf-8",
    )
    application.chmod(0o755)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(application))
    with PocketSphinxRecognizer() as recognizer:
        recognizer.begin(1, 0)
        assert recognizer.finish().words == ()
