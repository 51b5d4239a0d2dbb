"""``realtime-ser calibrate`` and ``realtime-ser profiles``: what one speaker's neutral voice is like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_ser.acoustic.execution import Execution
from realtime_ser.assembly import build_stages, load_models, run_pipeline
from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError, RealtimeSerError
from realtime_ser.inputs import Input, open_input
from realtime_ser.profiles import (
    BASELINE_SECONDS,
    READING,
    SPEAKING,
    Baseline,
    SpeakerProfile,
    checked_name,
    delete_profile,
    list_profiles,
    profile_folder,
    read_profile,
    worth,
    write_profile,
)
from realtime_ser.types import Event, Output, Severity, WindowScores

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["calibrate", "delete", "profile_lines"]


def calibrate(
    name: str,
    choice: Input,
    *,
    seconds: float = BASELINE_SECONDS,
    replace: bool = False,
    bundle: str | Path | None = None,
    execution: Execution | None = None,
    wait: float = 0.0,
) -> int:
    """Listen to somebody's neutral speech and keep a profile of the voice.

    Parameters
    ----------
    name
        Of the profile: a code rather than a name.
    seconds
        How long a microphone is listened to; a file is heard to its end.
    replace
        Whether an earlier profile of this name may go.
    wait
        How long a microphone that went away is waited for, in seconds.

    Raises
    ------
    ConfigError
        There is such a profile, the bundle cannot use any, or there was too little voice.
    RealtimeSerError
        What prevented listening.
    """
    from rich.console import Console

    name = checked_name(name)
    # A reading aid is no use where the output goes; the table of a program would be.
    console = Console(stderr=True)
    if not replace and _exists(name):
        raise ConfigError(f"There is a profile of {name}.", "Choose another name, or give --replace.")
    models = load_models(bundle, "none", execution)
    if models.manifest.speaker is None:
        title = f"{models.manifest.name} {models.manifest.version}"
        raise ConfigError(f"The bundle {title} does not say what a speaker's profile is worth.", "Use a later bundle.")
    console.print(worth(models.manifest), style="dim", highlight=False, soft_wrap=True)
    source = open_input(choice, "fast", wait)
    if source.live:
        _explain(console, seconds)
    baseline = Baseline(models.acoustic.bands_per_window)
    outputs = run_pipeline(source, build_stages(models, live=source.live, words=False))
    with closing(outputs):
        _listen(outputs, baseline, seconds if source.live else float("inf"), console)
    profile = baseline.profile(name, models.bundle)
    try:
        path = write_profile(profile)
    except OSError as error:
        raise RealtimeSerError(
            f"The profile cannot be kept in {profile_folder()}: {error.strerror or error}.",
            "Make room, or set REALTIME_SER_PROFILES to a folder that can be written to.",
        ) from error
    console.print(
        f"Kept as {path}, from {profile.voiced_seconds:.0f} s of voice; no sound is kept. It describes a person's voice: "
        f"delete it when it is no longer needed (realtime-ser profiles delete {name}).\n"
        f"Use it: realtime-ser listen --profile {name}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _exists(name: str) -> bool:
    try:
        read_profile(name)
    except ConfigError:
        return False
    return True


def _explain(console: Console, seconds: float) -> None:
    console.print(
        f"Speak for {seconds:.0f} s as you speak when nothing moves you, at the distance that you will have later. Read:\n",
        highlight=False,
        soft_wrap=True,
    )
    console.print(READING, style="bold", highlight=False)
    console.print(f"\n{SPEAKING}\nCtrl-C ends without keeping anything.\n", highlight=False, soft_wrap=True)


def _listen(outputs: Iterator[Output], baseline: Baseline, seconds: float, console: Console) -> None:
    """Feed `baseline` for so many seconds of signal, and show how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("listening", total=None if seconds == float("inf") else seconds)
        say: Callable[[str], None] = lambda text: progress.console.print(text, style="yellow", highlight=False)  # noqa: E731
        for output in outputs:
            if isinstance(output, WindowScores):
                baseline.add(output, ENGINE_RATE)
                heard = output.span.end / ENGINE_RATE
                progress.update(task, completed=heard, description=f"{baseline.voiced_seconds:.0f} s of voice")
                if heard >= seconds:
                    break
            elif isinstance(output, Event) and output.severity is not Severity.INFO:
                say(output.message)


def profile_lines() -> list[str]:
    """A line per profile."""
    broken: list[ConfigError] = []
    found = list_profiles(on_broken=broken.append)
    lines = [_line(profile) for profile in found] or ["There are no profiles. Make one: realtime-ser calibrate NAME"]
    return [*lines, *(f"{error.problem} {error.remedy}" for error in broken), "", f"Folder: {profile_folder()}"]


def _line(profile: SpeakerProfile) -> str:
    return f"{profile.name:20}  {profile.created[:16].replace('T', ' ')} UTC  {profile.voiced_seconds:.0f} s of voice"


def delete(name: str) -> list[str]:
    """Delete a profile."""
    return [f"{delete_profile(name)} is deleted."]
