"""The recognisers' processes, with the real libraries in them: killed, hung, without a parent, frozen, and used again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from realtime_ser.asr import process, worker
from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.asr.process import SpareWorkers
from realtime_ser.asr.vosk_recognizer import VoskRecognizer
from realtime_ser.asr.worker_recognizer import WorkerRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import FloatArray, Transcript

from .conftest import KnownClip, decode

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
SILENCE = np.zeros(1600, np.float32)
ROOT = Path(process.__file__).parents[2]

Maker: TypeAlias = Callable[..., WorkerRecognizer]


@pytest.fixture(params=["PocketSphinx", "Vosk"])
def make(request: pytest.FixtureRequest) -> Maker:
    """Builds recognisers of one of the two kinds."""
    if request.param == "PocketSphinx":
        return PocketSphinxRecognizer
    model: Path = request.getfixturevalue("vosk_model_dir")
    return lambda **options: VoskRecognizer(model, **options)


@pytest.fixture
def speech(known_clips: list[KnownClip]) -> FloatArray:
    """Short, and every recogniser makes words of it."""
    return next(clip for clip in known_clips if clip.text == "yes").samples


def readers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "recognizer-reader"}


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT])
def test_a_child_that_dies_is_noticed_at_once_and_can_be_replaced(make: Maker, speech: FloatArray, how: signal.Signals) -> None:
    before = readers()
    recognizer = make()
    recognizer.start()
    recognizer.begin(1, 0)
    recognizer.accept(speech)
    assert recognizer.process_id is not None
    os.kill(recognizer.process_id, how)
    began = time.monotonic()
    with pytest.raises(RecognizerError, match=f"The {recognizer.label.engine} process ended .*killed by {how.name}") as caught:
        recognizer.accept(SILENCE)
    assert time.monotonic() - began < 2.0  # at once, on a machine that may be busy
    assert ("too little memory" in caught.value.remedy) == (how is signal.SIGKILL)
    assert recognizer.process_id is None
    assert readers() == before
    with pytest.raises(RuntimeError, match="begin"):
        recognizer.begin(2, 0)
    recognizer.close()
    with make() as fresh:
        assert decode(fresh, speech)[1].words


@posix
def test_a_hung_child_is_given_up(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = make()
    recognizer.start()
    assert recognizer.process_id is not None
    os.kill(recognizer.process_id, signal.SIGSTOP)
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.1)
    recognizer.begin(1, 0)
    with pytest.raises(RecognizerError, match="did not answer"):
        recognizer.accept(SILENCE)
    assert recognizer.process_id is None


@posix
def test_ctrl_c_does_not_reach_the_child(make: Maker) -> None:
    with make() as recognizer:
        assert recognizer.process_id is not None
        assert os.getsid(recognizer.process_id) != os.getsid(0)
        os.kill(recognizer.process_id, signal.SIGINT)
        recognizer.begin(1, 0)
        recognizer.accept(SILENCE)
        assert recognizer.finish().heard_until == 1600


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for another's child with a Linux call")
def test_the_child_ends_when_its_parent_is_killed(make: Maker, vosk_model_dir: Path) -> None:
    program = (
        "import sys\n"
        "from realtime_ser.asr.discovery import choose_recognizer\n"
        "recognizer = choose_recognizer(sys.argv[1]).factory()\n"
        "recognizer.start()\n"
        "print(recognizer.process_id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    which = str(vosk_model_dir) if make().label.engine == "Vosk" else "pocketsphinx"
    command = [sys.executable, "-c", program, which]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
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
        ("raise ImportError(\"No module named 'it'\")", "cannot be loaded: No module named", "pip install {}"),
        ("raise OSError('wrong ELF class')", "cannot be loaded: wrong ELF class", "pip install {}"),
        (
            "class Decoder:\n    def __init__(self, *path, **options): raise RuntimeError('no dictionary')\n"
            "Model = Decoder\ndef SetLogLevel(level): pass",
            "cannot use.*: RuntimeError: no dictionary|cannot be used: RuntimeError: no dictionary",
            "",
        ),
        ("import os, sys; print('out of luck', file=sys.stderr, flush=True); os._exit(3)", "exit status 3.*out of luck", ""),
    ],
)
def test_a_library_that_does_not_load(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, problem: str, remedy: str
) -> None:
    recognizer = make()
    name = recognizer.label.engine.lower()
    (tmp_path / f"{name}.py").write_text(library, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RecognizerError, match=problem) as caught:
        recognizer.start()
    assert remedy.format(name) in caught.value.remedy
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
def test_a_frozen_application_runs_itself_as_the_worker(make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.run_if_requested([])
    worker.run_if_requested(["live", worker.WORKER_FLAG])
    application = tmp_path / "application"
    application.write_text(
        f"#!{sys.executable}\n"
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from realtime_ser.asr.worker import run_if_requested\n"
        "run_if_requested(sys.argv[1:])\n"
        "sys.exit('the application itself was started')\n",
        encoding="utf-8",
    )
    application.chmod(0o755)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(application))
    with make() as recognizer:
        recognizer.begin(1, 0)
        assert recognizer.finish().words == ()


@pytest.mark.skipif(sys.platform != "linux", reason="reads what another process has loaded")
def test_the_child_carries_nothing_of_the_program(make: Maker) -> None:
    with make() as recognizer:
        loaded = Path(f"/proc/{recognizer.process_id}/maps").read_text()
    assert recognizer.label.engine.lower() in loaded
    assert not [name for name in ("numpy", "onnxruntime", "PySide6", "torch", "sounddevice") if name in loaded]


def test_a_spare_process_is_used_again_and_gives_the_same(make: Maker, speech: FloatArray) -> None:
    with make() as recognizer:
        alone = decode(recognizer, speech, first_sample=700)[1]
    before = readers()
    spare = SpareWorkers()
    used: list[int | None] = []
    heard: list[Transcript] = []
    for _ in range(2):
        with make(spare=spare) as recognizer:
            used.append(recognizer.process_id)
            heard.append(decode(recognizer, speech, first_sample=700)[1])
            recognizer.begin(1, 0)
            recognizer.accept(speech)  # and is never finished
    assert used[0] == used[1]
    assert heard == [alone, alone]
    assert readers() != before
    spare.close()
    assert readers() == before
    with make(spare=spare) as recognizer:
        assert recognizer.process_id not in used
    assert readers() == before


@posix
def test_a_spare_process_that_died_or_owes_an_answer_is_not_used(make: Maker, speech: FloatArray) -> None:
    spare = SpareWorkers()
    with make(spare=spare) as recognizer:
        first = recognizer.process_id
    assert first is not None
    os.kill(first, signal.SIGKILL)
    spare._spare[0]._child.wait(10)
    with make(spare=spare) as recognizer:
        second = recognizer.process_id
        assert second != first
        recognizer.begin(1, 0)
        assert recognizer._worker is not None
        answers, recognizer._worker._answers = recognizer._worker._answers, InterruptedQueue()  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            recognizer.accept(speech)
        recognizer._worker._answers = answers
    with make(spare=spare) as recognizer:
        assert recognizer.process_id not in (first, second)
        assert decode(recognizer, speech)[1].words
    spare.close()


class InterruptedQueue:
    """Somebody presses Ctrl-C while an answer is waited for."""

    def get(self, timeout: float) -> None:
        raise KeyboardInterrupt
