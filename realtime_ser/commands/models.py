"""``realtime-ser models``: bundles and speech recognition models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_ser.acoustic.execution import Execution, choose_networks
from realtime_ser.asr.discovery import choose_recognizer, installed_vosk_models, user_models_folder
from realtime_ser.asr.fetch import CATALOGUE, FetchProgress, fetch_model
from realtime_ser.bundle.card import in_tables
from realtime_ser.bundle.loader import find_bundles, load_bundle, read_manifest
from realtime_ser.bundle.manifest import Figure, Manifest
from realtime_ser.errors import RealtimeSerError

__all__ = ["describe", "fetch", "info", "list_models"]


def list_models() -> list[str]:
    """Lines about what is installed and what can be fetched."""
    lines = ["Emotion bundles:"]
    for name, path in find_bundles().items():
        try:
            manifest = read_manifest(path)
            lines.append(f"  {name}  {manifest.name} {manifest.version}, {', '.join(manifest.classes)}  ({path})")
        except RealtimeSerError as error:
            lines.append(f"  {name}  unusable: {error}")
    lines += ["", "Speech recognisers:"]
    installed = installed_vosk_models()
    lines += [f"  {model.name}  Vosk, {model.language or 'language unknown'}  ({model.path})" for model in installed]
    try:
        choice = choose_recognizer("pocketsphinx")
        lines.append(f"  pocketsphinx  {choice.label}, embedded")
    except RealtimeSerError as error:
        lines.append(f"  pocketsphinx  not usable: {error}")
    try:
        automatic = choose_recognizer("auto")
        lines.append(f"  In use: {automatic.note}")
    except RealtimeSerError as error:
        lines.append(f"  In use: none. {error}")
    names = {model.name for model in installed}
    lines += ["", "Can be fetched with `realtime-ser models fetch NAME`:"]
    for entry in CATALOGUE:
        here = "  (installed)" if entry.name in names else ""
        lines.append(f"  {entry.name:<30} {entry.size / 1e6:5.0f} MB  {entry.summary}{here}")
    return lines


def info(bundle: str | Path | None = None, execution: Execution | None = None) -> list[str]:
    """The evaluation card of a bundle, after checking all its files.

    Raises
    ------
    BundleError
        It is missing, altered, or does not fit.
    """
    opened = load_bundle(bundle)
    _, form = choose_networks(opened, execution)
    return [
        *describe(opened.manifest),
        "",
        f"Computed here by {form}",
        f"All {len(opened.manifest.files)} files match their hashes ({opened.path}).",
    ]


def describe(manifest: Manifest) -> list[str]:
    """A manifest's card in lines of text."""
    acoustic, filters = manifest.acoustic, manifest.acoustic.filters
    moved = [
        abs(learnt - first)
        for learnt, first in zip(
            (*filters.low_hz, *filters.high_hz), (*filters.initial_low_hz, *filters.initial_high_hz), strict=True
        )
    ]
    lines = [
        f"{manifest.name} {manifest.version} ({manifest.created})",
        f"Classes: {', '.join(manifest.classes)}. Licence: {manifest.licence}",
        "",
        manifest.card.summary,
        "",
        f"Acoustic: {acoustic.bands} sinc filters of {acoustic.kernel} samples, window {manifest.window} and hop "
        f"{manifest.hop} samples at {manifest.sample_rate} Hz, feature {acoustic.feature}-D. Cutoffs moved by "
        f"{sum(moved) / len(moved):.0f} Hz on average, {max(moved):.0f} Hz at most, in training.",
        f"Text: at most {manifest.text.max_tokens} words, feature {manifest.text.feature}-D. Fusion: {manifest.fusion.kind}.",
        f"A label is given from a confidence of {manifest.abstention.acoustic:.2f} (voice) or {manifest.abstention.fused:.2f} "
        f"(voice and words). {manifest.abstention.meaning}",
        "",
        "Measured:",
    ]
    lines += _figures(manifest.card.figures)
    lines += ["", "Limits:", *(f"  {limit}" for limit in manifest.card.limits)]
    lines += ["", "Trained on:", *(f"  {data.name}: {data.use} ({data.licence})" for data in manifest.card.data)]
    return lines


def _figures(figures: Sequence[Figure]) -> list[str]:
    """Figures under what they were measured on; what holds for several is written once."""
    lines: list[str] = []
    for table in in_tables(figures):
        lines.append(f"  {table.common[:1].upper()}{table.common[1:]}:")
        for row in table.rows:
            lines.append(f"    On {row.data}{f'; {row.circumstances}' if row.circumstances else ''}:")
            lines += [f"      {_value(one)}  {column}" for column, one in zip(table.columns, row.figures, strict=True)]
    return lines


def _value(figure: Figure) -> str:
    return f"{figure.value:.3f}" + ("" if figure.interval is None else f" [{figure.interval[0]:.3f}, {figure.interval[1]:.3f}]")


def fetch(name: str, *, folder: str | None = None, sha256: str = "", replace: bool = False) -> list[str]:
    """Download and install a Vosk model with a progress bar; what to say about it afterwards.

    Raises
    ------
    RecognizerError, ConfigError
        What stands in the way, and what to do.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    target = Path(folder) if folder is not None else user_models_folder()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {phase: bar.add_task(phase, total=None, visible=False) for phase in ("download", "check", "unpack")}

        def report(progress: FetchProgress) -> None:
            bar.update(tasks[progress.phase], completed=progress.done, total=progress.total, visible=True)

        fetched = fetch_model(name, folder=target, sha256=sha256, progress=report, replace=replace)
    verb = "Installed" if fetched.fetched else "Already installed"
    return [f"{verb}: {fetched.path}", f"Checked: {fetched.check}.", "It is used from the next start on."]
