"""Which recogniser to use: what is installed, what is asked for, and why it came out so.

Nothing is loaded here; a model is found by the files in its folder. Loading, and finding out that a file is damaged, is for
:meth:`~realtime_ser.asr.protocol.Recognizer.start`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import platformdirs

from realtime_ser.asr.pocketsphinx_recognizer import PocketSphinxRecognizer
from realtime_ser.asr.process import SpareWorkers
from realtime_ser.asr.protocol import RecognizerFactory
from realtime_ser.asr.vosk_models import VoskModelFolder, is_vosk_model
from realtime_ser.asr.vosk_recognizer import VoskRecognizer
from realtime_ser.errors import RecognizerError
from realtime_ser.types import RecognizerLabel

__all__ = [
    "MODEL_VARIABLE",
    "RECOMMENDED_MODEL",
    "RecognizerChoice",
    "choose_recognizer",
    "installed_vosk_models",
    "model_folders",
    "user_models_folder",
]

MODEL_VARIABLE = "REALTIME_SER_VOSK_MODEL"
"""Environment variable: the folder of the Vosk model to use; stronger than any model that is found."""

RECOMMENDED_MODEL = "vosk-model-small-en-us-0.15"
"""40 MB, fast enough for any machine, and far better than PocketSphinx."""

_VOSK_VARIABLE = "VOSK_MODEL_PATH"
"""Vosk's own environment variable: a folder of models, though people also name a model in it."""

_FETCH = f"`realtime-ser models fetch {RECOMMENDED_MODEL}` (40 MB) installs a better one."


@dataclass(frozen=True, slots=True)
class RecognizerChoice:
    """What :func:`choose_recognizer` decided.

    Attributes
    ----------
    factory
        Builds the recogniser; ``None`` when there is to be none, and the voice alone counts.
    label
        Which recogniser it will be; ``None`` without one.
    note
        Why this one, in a plain sentence.
    advice
        What would be better; empty where nothing is.
    command
        The command that installs what would be better, in a sentence; a window has a button for it.
    """

    factory: RecognizerFactory | None
    label: RecognizerLabel | None
    note: str
    advice: str = ""
    command: str = ""


def user_models_folder() -> Path:
    """Where fetched models are put: ``models`` in the user's data folder for this program. It need not exist yet."""
    return platformdirs.user_data_path("realtime-ser", appauthor=False) / "models"


def model_folders(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Folders in which Vosk models are looked for, in order; they need not exist.

    Parameters
    ----------
    environment
        In place of ``os.environ``.
    """
    environment = os.environ if environment is None else environment
    folders = [Path(environment[_VOSK_VARIABLE])] if environment.get(_VOSK_VARIABLE) else []
    folders += [user_models_folder(), Path.home() / ".cache" / "vosk"]  # Vosk's own downloader prefers the latter
    if os.name == "nt":
        folders.append(Path.home() / "AppData" / "Local" / "vosk")
    else:
        folders += [Path(f"/usr/{place}") for place in ("share/vosk", "share/vosk-models", "local/share/vosk")]
    return folders


def installed_vosk_models(environment: Mapping[str, str] | None = None) -> list[VoskModelFolder]:
    """Complete Vosk models that are installed in the usual places, the best for live English first.

    Small English models come first (they keep up with speech on any machine), then other English ones, then models whose name
    does not say the language, then other languages; within these, in the order of :func:`model_folders` and then by name.
    """
    found: dict[Path, VoskModelFolder] = {}
    for folder in model_folders(environment):
        for path in [folder, *_subfolders(folder)]:
            model = VoskModelFolder(path)
            if is_vosk_model(path) and not model.missing():
                found.setdefault(path.resolve(), model)
    return sorted(found.values(), key=_rank)


def choose_recognizer(
    choice: str | Path = "auto", environment: Mapping[str, str] | None = None, spare: SpareWorkers | None = None
) -> RecognizerChoice:
    """Decide on a recogniser.

    Parameters
    ----------
    choice
        ``"auto"``: the model in ``REALTIME_SER_VOSK_MODEL``, else the best installed Vosk model, else PocketSphinx, else none.
        ``"vosk"``: the same without the fallbacks. ``"pocketsphinx"``, ``"none"``: just that. Anything else: the folder of a
        Vosk model, or the name of an installed one.
    environment
        In place of ``os.environ``.
    spare
        Where the recognisers' processes come from and go to; ``None``: each is started and ended with its recogniser.

    Raises
    ------
    RecognizerError
        What was asked for by name is not there. ``"auto"`` raises it for a wrong ``REALTIME_SER_VOSK_MODEL`` only: a setting
        that is silently ignored would mislead.
    """
    environment = os.environ if environment is None else environment
    if choice == "none":
        return RecognizerChoice(None, None, "Without a speech recogniser, as asked for; the voice alone counts.")
    if choice == "pocketsphinx":
        if not _installed("pocketsphinx"):
            raise RecognizerError("PocketSphinx is not installed.", "Install it with `pip install pocketsphinx`.")
        return _pocketsphinx("PocketSphinx writes the words, as asked for.", spare)
    if choice not in ("auto", "vosk"):
        return _vosk(_named_model(choice, environment), "the model asked for", spare)
    if named := environment.get(MODEL_VARIABLE):
        return _vosk(_named_model(named, environment), f"the model in {MODEL_VARIABLE}", spare)
    models = installed_vosk_models(environment)
    has_vosk = _installed("vosk")
    if models and has_vosk:
        return _vosk(models[0], "the best Vosk model found", spare)
    why = "no Vosk model is installed" if has_vosk else "Vosk is not installed"
    if choice == "vosk":
        places = ", ".join(str(folder) for folder in model_folders(environment))
        remedy = f"{_FETCH} Looked in: {places}." if has_vosk else "Install it with `pip install vosk`."
        raise RecognizerError(f"There is no Vosk recogniser: {why}.", remedy)
    if _installed("pocketsphinx"):
        return _pocketsphinx(f"PocketSphinx writes the words, since {why}.", spare)
    return RecognizerChoice(
        None, None, f"Without a speech recogniser: {why}, nor is PocketSphinx; the voice alone counts.", _FETCH
    )


def _named_model(name: str | Path, environment: Mapping[str, str]) -> VoskModelFolder:
    path = Path(name).expanduser()
    if path.is_dir():
        model = VoskModelFolder(path)
        if not is_vosk_model(path):
            raise RecognizerError(f"{path} is not a Vosk model: it has no am/final.mdl.", "Name the folder that has it.")
        if missing := model.missing():
            raise RecognizerError(f"The Vosk model {path} is incomplete: {', '.join(missing)} missing or empty.", _FETCH)
        return model
    for installed in installed_vosk_models(environment):
        if installed.name == str(name):
            return installed
    raise RecognizerError(f"There is no Vosk model {name}: neither a folder nor an installed model.", _FETCH)


def _vosk(folder: VoskModelFolder, why: str, spare: SpareWorkers | None) -> RecognizerChoice:
    english = folder.language in ("", "en") or folder.language.startswith("en-")
    advice = "" if english else "The words are judged by an English network; words of another language count for nothing."
    note = f"Vosk writes the words, with {why}: {folder.name}."
    return RecognizerChoice(partial(VoskRecognizer, folder.path, spare=spare), VoskRecognizer(folder.path).label, note, advice)


def _pocketsphinx(note: str, spare: SpareWorkers | None) -> RecognizerChoice:
    advice = "PocketSphinx gets a third of the words wrong, often more."
    factory = partial(PocketSphinxRecognizer, spare=spare)
    return RecognizerChoice(factory, PocketSphinxRecognizer().label, note, advice, _FETCH)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # absent, or not ours to read
        return []


def _rank(model: VoskModelFolder) -> int:
    english = model.language == "en" or model.language.startswith("en-")
    return (0 if model.small else 1) if english else (2 if not model.language else 3)
