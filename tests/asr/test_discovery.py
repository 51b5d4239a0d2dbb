"""Which recogniser is chosen, and what is said about it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from realtime_ser.asr.discovery import choose_recognizer, installed_vosk_models, model_folders, user_models_folder
from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.asr.vosk_recognizer import VoskRecognizer
from realtime_ser.errors import RecognizerError

FILES = ("am/final.mdl", "conf/mfcc.conf", "conf/model.conf", "graph/HCLG.fst")


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No models in any of the usual places, and no environment variables."""
    for name in ("REALTIME_SER_VOSK_MODEL", "VOSK_MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("realtime_ser.asr.discovery.user_models_folder", lambda: tmp_path / "data")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr("realtime_ser.asr.discovery.Path", _path_inside(tmp_path))
    return tmp_path


def _path_inside(root: Path) -> Any:
    def path(*parts: str | Path) -> Path:
        plain = Path(*parts)
        return root / "system" / plain.relative_to("/usr") if plain.is_relative_to("/usr") else plain

    path.home = Path.home  # type: ignore[attr-defined]
    return path


def put_model(folder: Path, name: str, without: str = "") -> Path:
    for file in FILES:
        if file != without:
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).write_bytes(b"x")
    return folder / name


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in modules else find(name, *rest))


def test_the_best_model_comes_first(empty_machine: Path) -> None:
    data, cache = empty_machine / "data", empty_machine / "home" / ".cache" / "vosk"
    put_model(data, "vosk-model-small-fr-0.22")
    put_model(data, "vosk-model-en-us-0.22")
    put_model(cache, "vosk-model-small-en-us-0.15")
    put_model(cache, "mine")
    put_model(cache, "vosk-model-small-en-in-0.4", without="graph/HCLG.fst")
    names = ["vosk-model-small-en-us-0.15", "vosk-model-en-us-0.22", "mine", "vosk-model-small-fr-0.22"]
    assert [model.name for model in installed_vosk_models()] == names
    choice = choose_recognizer()
    assert str(choice.label) == "Vosk (vosk-model-small-en-us-0.15)"
    assert "vosk-model-small-en-us-0.15" in choice.note
    assert choice.advice == ""
    assert choice.factory is not None
    assert isinstance(choice.factory(), VoskRecognizer)
    assert choice.factory() is not choice.factory()


def test_vosks_own_variable_may_name_a_folder_of_models_or_a_model(empty_machine: Path) -> None:
    elsewhere = empty_machine / "elsewhere"
    model = put_model(elsewhere, "vosk-model-small-en-us-0.15")
    for value in (elsewhere, model):
        models = installed_vosk_models({"VOSK_MODEL_PATH": str(value)})
        assert [found.path for found in models] == [model]
    assert installed_vosk_models({"VOSK_MODEL_PATH": str(empty_machine / "absent")}) == []


def test_the_variable_is_stronger_than_what_is_found(empty_machine: Path) -> None:
    put_model(empty_machine / "data", "vosk-model-small-en-us-0.15")
    mine = put_model(empty_machine / "elsewhere", "mine")
    choice = choose_recognizer("auto", {"REALTIME_SER_VOSK_MODEL": str(mine)})
    assert choice.label is not None
    assert choice.label.model == "mine"
    assert "REALTIME_SER_VOSK_MODEL" in choice.note
    with pytest.raises(RecognizerError, match="absent"):
        choose_recognizer("auto", {"REALTIME_SER_VOSK_MODEL": str(empty_machine / "absent")})


def test_a_model_by_path_or_name(empty_machine: Path) -> None:
    path = put_model(empty_machine / "data", "vosk-model-small-fr-0.22")
    for choice in (str(path), path, "vosk-model-small-fr-0.22"):
        chosen = choose_recognizer(choice)
        assert chosen.label is not None
        assert chosen.label.model == "vosk-model-small-fr-0.22"
        assert "another language" in chosen.advice
    with pytest.raises(RecognizerError, match="neither a folder nor"):
        choose_recognizer("vosk-model-small-de-0.15")
    with pytest.raises(RecognizerError, match="not a Vosk model"):
        choose_recognizer(empty_machine)
    with pytest.raises(RecognizerError, match=r"incomplete: conf/mfcc\.conf"):
        choose_recognizer(put_model(empty_machine, "broken", without="conf/mfcc.conf"))


def test_without_a_model_pocketsphinx_writes(empty_machine: Path) -> None:
    choice = choose_recognizer()
    assert choice.factory is not None
    assert isinstance(choice.factory(), PocketSphinxRecognizer)
    assert "no Vosk model is installed" in choice.note
    assert "a third of the words" in choice.advice
    assert "models fetch vosk-model-small-en-us-0.15" in choice.command
    with pytest.raises(RecognizerError, match="no Vosk model is installed") as caught:
        choose_recognizer("vosk")
    assert str(empty_machine / "data") in caught.value.remedy
    assert str(choose_recognizer("pocketsphinx").label) == "PocketSphinx (en-us)"


def test_without_libraries(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_model(empty_machine / "data", "vosk-model-small-en-us-0.15")
    without(monkeypatch, "vosk")
    assert "Vosk is not installed" in choose_recognizer().note
    with pytest.raises(RecognizerError, match="pip install vosk"):
        choose_recognizer("vosk")
    without(monkeypatch, "vosk", "pocketsphinx")
    choice = choose_recognizer()
    assert (choice.factory, choice.label) == (None, None)
    assert "voice alone" in choice.note
    with pytest.raises(RecognizerError, match="pip install pocketsphinx"):
        choose_recognizer("pocketsphinx")


def test_none_is_a_choice() -> None:
    choice = choose_recognizer("none")
    assert (choice.factory, choice.label, choice.advice, choice.command) == (None, None, "", "")


def test_folders(empty_machine: Path) -> None:
    folders = model_folders({"VOSK_MODEL_PATH": "/first"})
    assert folders[0] == Path("/first")
    assert len(folders) == len(set(folders))
    assert user_models_folder().name == "models"
