"""Puts the exported parts together into a model bundle, and opens it as the runtime will.

The card says what was measured on what, what the networks were trained on under which licence, and what the bundle must not be
used for. Nothing in it is typed in by hand that a training could have written down.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.bundle.filter_files import HISTORY_NAME
from realtime_ser.bundle.loader import MANIFEST_NAME, Bundle, load_bundle
from realtime_ser.bundle.manifest import FORMAT, digest
from realtime_ser.errors import BundleError
from realtime_ser.fusion.network import SEGMENT, FusionNetwork
from realtime_ser.text import TextNetwork, Vocabulary
from realtime_ser.text.network import FEATURE as TEXT_FEATURE
from realtime_ser.text.network import MAX_TOKENS
from training.acoustic_network import SAMPLE_RATE

__all__ = ["LARGEST_BUNDLE", "add_arguments", "assemble", "check_bundle", "run", "with_file", "with_speakers"]

LARGEST_BUNDLE = 25_000_000
"""Bytes that all files of a bundle may have together: it ships with the program."""

VOICE_DATA = {
    "RAVDESS": ("RAVDESS (Livingstone & Russo 2018), English, acted", "CC BY-NC-SA 4.0"),
    "nEMO": ("nEMO (Christop 2024), Polish, acted", "CC BY-NC-SA 4.0"),
    "EMODB": ("EMO-DB (Burkhardt et al. 2005), German, acted", "freely distributed by TU Berlin, no formal text"),
    "ASED": ("ASED (Retta et al. 2023), Amharic", "none stated, described as freely available"),
    "EMOVO": ("EMOVO (Costantini et al. 2014), Italian, acted", "free for research, no formal text"),
}
"""Title and licence of every speech corpus that the acoustic training knows."""

LICENCE = (
    "Non-commercial research use only. The weights were trained on data under CC BY-NC-SA 4.0 (RAVDESS, nEMO, DailyDialog), "
    "CC BY-NC-SA 3.0 (ISEAR), terms for research (MELD, EmoryNLP, SemEval-2018) and data without a stated licence (ASED); "
    "they are passed on under CC BY-NC-SA 4.0."
)

TEXT_USE = "training utterances of the text network"
"""What a bundle's card says of the texts that its text network learnt from, after their number."""

LIMITS = (
    "The voices were actors in studios. Acted anger or sadness is louder and clearer than anybody's at a desk: on "
    "everyday speech expect figures far below the ones given here.",
    "No corpus that could be used pairs natural voices, words and emotions. The fusion was trained and measured on "
    "label-matched pairs: a recording and a text by different people with the same label. Its figures say how two sources of "
    "evidence are weighed, not how well the tool reads real conversations.",
    "It tells four classes. Fear, surprise, disgust, boredom, irony and everything else end up as one of the four, or as "
    "unsure.",
    "The words are English only. The voices speak {languages}; other languages, children, old people, "
    "accents and speech disorders were not measured.",
    "A score is how much a stretch of sound resembles recordings that were labelled so. It does not say what a person feels.",
    "It must not be used to judge, select, grade, diagnose, monitor or police people, nor to detect lies, nor without the "
    "knowledge of those who are heard. Inferring emotions at work or in education is prohibited in the European Union "
    "(Regulation (EU) 2024/1689, Article 5(1)(f)).",
)


_LANGUAGES = {"RAVDESS": "English", "nEMO": "Polish", "EMODB": "German", "ASED": "Amharic", "EMOVO": "Italian"}


def limits(corpora: Sequence[str]) -> list[str]:
    """What a bundle cannot do whose voices come from these corpora."""
    *others, last = dict.fromkeys(_LANGUAGES[corpus] for corpus in corpora) or ["languages that nobody has stated"]
    languages = f"{', '.join(others)} and {last}" if others else last
    return [limit.replace("{languages}", languages) for limit in LIMITS]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training bundle``."""
    for part in ("acoustic", "text", "fusion"):
        default = Path("runs") / part / "export"
        parser.add_argument(f"--{part}", type=Path, default=default, help=f"exported {part} network (default: %(default)s)")
    parser.add_argument(
        "--conditions", type=Path, nargs="*", default=[], help="conditions.json of these networks, for the card"
    )
    parser.add_argument("--speakers", type=Path, help="speakers.json of this acoustic network: how profiles are used")
    parser.add_argument("--out", type=Path, default=Path("runs/bundle"), help="bundle folder to write (default: %(default)s)")
    parser.add_argument("--name", default="default", help="name of the bundle (default: %(default)s)")
    parser.add_argument("--bundle-version", default="1", help="version of the bundle (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Assemble and check; 0 on success."""
    bundle = assemble(
        args.acoustic, args.text, args.fusion, args.out, args.name, args.bundle_version, args.conditions, args.speakers
    )
    sizes = {name: len(bundle.content(name)) for name in bundle.manifest.files}
    for name, size in sizes.items():
        print(f"{name:20} {size / 1e6:6.2f} MB")
    print(f"{'all':20} {sum(sizes.values()) / 1e6:6.2f} MB in {args.out}")
    return 0


def assemble(
    acoustic: Path,
    text: Path,
    fusion: Path,
    out: Path,
    name: str,
    version: str,
    conditions: Sequence[Path] = (),
    speakers: Path | None = None,
) -> Bundle:
    """Write a bundle to the folder `out` and open it.

    Parameters
    ----------
    acoustic, text, fusion
        Export folders of the three trainings. That of the text network may be an earlier bundle, whose text network and figures
        then are taken over.
    conditions
        Files of ``python -m training conditions --acoustic …``, whose figures go into the card.
    speakers
        File of ``python -m training speakers --acoustic …``; without it the bundle does not say how profiles are used.

    Raises
    ------
    BundleError
        A part is missing, the fusion network or the conditions belong to other networks than these, the class lists differ, or
        the result is too large or not what the runtime reads. An earlier bundle in `out` is then left as it was.
    """
    reports = {
        "acoustic": _report(acoustic / "acoustic.json"),
        "text": _text_report(text),
        "fusion": _report(fusion / "fusion.json"),
    }
    sources = {
        **{graph: acoustic / graph for graph in ("bands.onnx", "trunk.onnx", "head.onnx")},
        **{file: text / file for file in ("text.onnx", "vocabulary.txt")},
        "fusion.onnx": fusion / "fusion.onnx",
    }
    if (acoustic / HISTORY_NAME).is_file():  # only where the filters were learnt
        sources[HISTORY_NAME] = acoustic / HISTORY_NAME
    try:
        contents = {file: path.read_bytes() for file, path in sources.items()}
    except OSError as error:
        raise BundleError(f"The part {error.filename} is missing.", "Train and export it first.") from error
    for part, file in (("acoustic", "head.onnx"), ("text", "text.onnx")):
        if reports["fusion"]["inputs"][part] != digest(contents[file]):
            raise BundleError(f"The fusion network was trained with another {part} network.", "Train the fusion again.")
    classes = reports["acoustic"]["classes"]
    for part, report in reports.items():
        if report["classes"] != classes:
            raise BundleError(
                f"The classes of the {part} network are {report['classes']}, those of the acoustic one {classes}."
            )
    heard = [_report(path) for path in conditions]
    for path, one in zip(conditions, heard, strict=True):
        if one["head"] != digest(contents["head.onnx"]):
            raise BundleError(f"The conditions in {path} were measured with another acoustic network.", "Measure them again.")
    profiles = _report(speakers) if speakers is not None else {"figures": [], "speaker": None}
    if speakers is not None and profiles["head"] != digest(contents["head.onnx"]):
        raise BundleError(f"Profiles were tried in {speakers} with another acoustic network.", "Try them again.")
    figures = [figure for one in [*heard, profiles] for figure in one["figures"]]
    manifest = _manifest(reports, contents, name, version, figures)
    if profiles["speaker"] is not None:
        manifest["speaker"] = profiles["speaker"]
    return _replace(out, manifest, contents)


def with_speakers(folder: Path, result: dict[str, Any]) -> Bundle:
    """Let the bundle in `folder` say how profiles are used, and its card what they are worth, and open it.

    Its networks and its version stay what they are.

    Parameters
    ----------
    result
        Of ``python -m training speakers``.

    Raises
    ------
    BundleError
        There is no bundle, or another acoustic network was tried.
    """
    bundle = load_bundle(folder)
    contents = {file: bundle.content(file) for file in bundle.manifest.files}
    if result["head"] != digest(contents["head.onnx"]):
        raise BundleError(f"Profiles were tried with another acoustic network than that of {folder}.", "Try them again.")
    manifest = _report(folder / MANIFEST_NAME)
    names = {figure["name"] for figure in result["figures"]}
    card = manifest["card"]
    card["figures"] = [*(one for one in card["figures"] if one["name"] not in names), *result["figures"]]
    return _replace(folder, {**manifest, "speaker": result["speaker"]}, contents)


def with_figures(folder: Path, figures: Sequence[Mapping[str, Any]]) -> Bundle:
    """Put figures into the card of the bundle in `folder`, in place of those of the same names, and open the bundle.

    Its networks and its version stay what they are.
    """
    bundle = load_bundle(folder)
    contents = {file: bundle.content(file) for file in bundle.manifest.files}
    manifest = _report(folder / MANIFEST_NAME)
    names = {figure["name"] for figure in figures}
    card = manifest["card"]
    card["figures"] = [*(one for one in card["figures"] if one["name"] not in names), *figures]
    return _replace(folder, manifest, contents)


def with_file(folder: Path, name: str, content: bytes) -> Bundle:
    """Add an optional file to the bundle in `folder`, or replace it there, and open the bundle.

    Its networks and its version stay what they are; its fingerprint, which counts every file, does not.

    Raises
    ------
    BundleError
        `folder` is no bundle, or would be none with that file; it is then left as it was.
    """
    earlier = load_bundle(folder)
    manifest = _report(folder / MANIFEST_NAME)
    contents = {file: earlier.content(file) for file in earlier.manifest.files} | {name: content}
    manifest["files"] = {file: digest(kept) for file, kept in contents.items()}
    return _replace(folder, manifest, contents)


def _replace(out: Path, manifest: dict[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """Write a bundle beside the folder `out`, check it, and put it in that place."""
    draft = out.with_name(f"{out.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for file, content in contents.items():
        (draft / file).write_bytes(content)
    (draft / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    check_bundle(draft)
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    return load_bundle(out)


def check_bundle(folder: Path) -> Bundle:
    """Open the bundle in `folder`, run every network of it once, and return it.

    Raises
    ------
    BundleError
        It is too large, cannot be loaded, or gives something that is no number.
    """
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size >= LARGEST_BUNDLE:
        raise BundleError(f"The bundle {folder} has {size} bytes, it may have {LARGEST_BUNDLE}.")
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    classes = len(manifest.classes)
    model = AcousticModel.from_bundle(bundle)
    words = TextNetwork(bundle.content("text.onnx"), Vocabulary(bundle.vocabulary()), classes)
    fusion = FusionNetwork(bundle.content("fusion.onnx"), classes)
    noise = np.random.default_rng(0).standard_normal(manifest.window).astype(np.float32) / 10
    energies = model.band_energies(noise[: model.band_receptive + (model.bands_per_window - 1) * model.hop])
    feature, logits = model.windows(model.frames(energies - energies.mean(dtype=np.float32))[np.newaxis])
    encoding = words.encode("thank you that is so good")
    fused = fusion.fuse(feature[0], encoding.feature)
    if not encoding.tokens_known:
        raise BundleError(f"The vocabulary of the bundle {folder} knows no common word.")
    for title, values in (("acoustic", logits), ("text", encoding.logits), ("fusion", fused.logits)):
        if not np.isfinite(values).all():
            raise BundleError(f"The {title} network of the bundle {folder} gives values that are no numbers.")
    if not np.allclose(fused.logits, fused.acoustic_part + fused.text_part, atol=1e-4):
        raise BundleError(f"The parts of the fusion network of the bundle {folder} do not add up.")
    return bundle


def _report(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"The report {path} cannot be read: {error}.", "Train and export this part first.") from error
    return report


def _text_report(folder: Path) -> dict[str, Any]:
    """The report of the training of the text network in `folder`, or what an earlier bundle there says of it."""
    path = folder / "report.json"
    if path.is_file() or not (folder / MANIFEST_NAME).is_file():
        return _report(path)
    manifest = _report(folder / MANIFEST_NAME)
    card = manifest["card"]
    return {
        "classes": manifest["classes"],
        "calibration": {"text": manifest["calibration"]["text"]},
        "sources": [
            {"name": data["name"], "licence": data["licence"], "rows": int(data["use"].split()[0])}
            for data in card["data"]
            if TEXT_USE in data["use"]
        ],
        "figures": [figure for figure in card["figures"] if figure["name"].startswith("text ")],
    }


def _manifest(
    reports: dict[str, dict[str, Any]],
    contents: dict[str, bytes],
    name: str,
    version: str,
    conditions: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    acoustic, text, fusion = reports["acoustic"], reports["text"], reports["fusion"]
    trained = [corpus for corpus, _ in acoustic["settings"]["shares"]]
    data = []
    for corpus in [*trained, *(other for other in acoustic["strangers"] if other not in trained)]:
        title, licence = VOICE_DATA[corpus]
        if corpus in fusion["settings"]["corpora"]:
            use = "training and calibration of the acoustic and the fusion network"
        elif corpus in trained:
            use = "training and calibration of the acoustic network"
        else:
            use = "training of other networks, whose scores of corpora that they never met calibrate the confidence"
        data.append({"name": title, "licence": licence, "use": use})
    for source in text["sources"]:
        use = f"{source['rows']} {TEXT_USE}; its other parts in label-matched pairs"
        data.append({"name": source["name"], "licence": source["licence"], "use": use})
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "created": datetime.date.today().isoformat(),
        "licence": LICENCE,
        "classes": acoustic["classes"],
        "sample_rate": SAMPLE_RATE,
        "window": 4_000,
        "hop": 160,
        "acoustic": acoustic["acoustic"],
        "text": {"max_tokens": MAX_TOKENS, "feature": TEXT_FEATURE},
        "fusion": {"kind": "F-III", "segment": SEGMENT},
        "calibration": {
            "window": acoustic["calibration"]["window"],
            "acoustic": acoustic["calibration"]["acoustic"],
            "text": text["calibration"]["text"],
            "fused": fusion["calibration"]["fused"],
        },
        "abstention": {
            "acoustic": acoustic["abstention"]["acoustic"],
            "fused": fusion["abstention"]["fused"],
            "risk": fusion["abstention"]["risk"],
            "meaning": f"Voice alone: {acoustic['abstention']['meaning']}. With words: {fusion['abstention']['meaning']}.",
        },
        "card": {
            "summary": (
                "Networks after Priyasad et al., “Attention driven fusion for multi-modal emotion recognition” (ICASSP 2020): "
                "SincNet voice branch, two-branch text network with cross-attention, fusion F-III. Trained on acted studio "
                "speech and, apart from it, on written and scripted text."
            ),
            "figures": [*acoustic["figures"], *conditions, *text["figures"], *fusion["figures"]],
            "limits": limits(trained),
            "data": data,
        },
        "files": {file: digest(content) for file, content in contents.items()},
    }
