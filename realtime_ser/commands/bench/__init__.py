"""``realtime-ser bench``: what the program costs on this machine, in one table with its aims.

Every part runs in a process of its own, this same command with ``--part``, so that memory is that part's alone and matrix
products can be kept to one thread. What is compared is measured in the same process, in turn.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from realtime_ser.commands.bench.measure import WARM_UP, one_thread, program, run
from realtime_ser.commands.bench.report import Row, machine, markdown, table
from realtime_ser.errors import ConfigError

__all__ = ["PARTS", "bench", "run_soak"]

PARTS = ("acoustic", "files", "live", "quiet", "start", "stamps", "gui")
"""In the order in which they run; ``gui`` and ``stamps`` have to be asked for."""

_ROUNDS = {False: 15, True: 5}
_LIVE_SECONDS = {False: 40.0, True: 8.0}
_CLICKS = {False: 60, True: 12}
_LONG_MINUTES = {False: 180.0, True: 10.0}


def bench(
    *,
    part: str | None,
    quick: bool,
    as_json: bool,
    gui: bool,
    through: str | None = None,
    report: str | None = None,
    bundle: str | None = None,
    recognizer: str = "auto",
) -> int:
    """Measure and print.

    Parameters
    ----------
    part
        Only this one of :data:`PARTS`; ``None``: all. Each is measured in a process of its own, in which NumPy has one thread.
    quick
        Fewer rounds and shorter sound: a minute in place of a quarter of an hour.
    as_json
        One JSON object on standard output in place of the table.
    gui
        Whether to measure the dashboard, too.
    through
        ``"pulseaudio"``: the dashboard also through a sound server of its own, and the stamps of the LSL outlet.
    report
        File for the result in Markdown, too.

    Raises
    ------
    RealtimeSerError
        A part could not be measured at all, or the report cannot be written.
    """
    _check_place(report)
    rows: list[Row] = []
    if part is not None and dict(os.environ) == one_thread():
        rows = _measure(part, quick, bundle, recognizer, through)
    elif part is not None:
        rows = _in_a_process(part, quick, bundle, recognizer, through)
    else:
        asked = {"gui": gui or through is not None, "stamps": through is not None}
        runs: list[tuple[str, str | None]] = [(name, None) for name in PARTS if asked.get(name, True)]
        if through is not None:
            runs.append(("gui", through))
        for name, way in runs:
            _tell(f"{name}{f' through {way}' if way else ''} …", as_json)
            rows += _in_a_process(name, quick, bundle, recognizer, way)
    facts = machine()
    if report is not None:
        options = {"--part": part, "--quick": quick, "--gui": gui, "--through": through, "--report": "FILE"}
        given = [name if value is True else f"{name} {value}" for name, value in options.items() if value]
        page = markdown(rows, facts, " ".join(("realtime-ser bench", *given)), _about(quick))
        Path(report).write_text(page, encoding="utf-8")
    if as_json:
        how = {"quick": quick, "rounds": _ROUNDS[quick], "warm_up_rounds": WARM_UP}
        print(json.dumps({"machine": facts, "how": how, "rows": [row.as_dict() for row in rows]}, indent=1))  # noqa: T201
        return 0
    _print(rows, facts, quick)
    return 0


def run_soak(
    minutes: float, *, speech: Sequence[str], report: str | None, as_json: bool, bundle: str | None, recognizer: str
) -> int:
    """Let the dashboard listen through a sound server for so many minutes, and say what became of it.

    Parameters
    ----------
    speech
        Sound files to be spoken; none: the demonstration audio.
    report
        File for the result in Markdown, too.

    Raises
    ------
    RealtimeSerError
        It could not be measured, or the report cannot be written.
    """
    from realtime_ser.commands.bench.soak import soak_json, soak_report, soak_rows

    if not minutes >= 1:
        raise ConfigError(f"--soak needs a minute at least, got {minutes:g}.")
    _check_place(report)
    rows, each, facts = soak_rows(bundle, recognizer, minutes, speech)
    if as_json:
        print(json.dumps(soak_json(rows, each, facts), indent=1))  # noqa: T201
    else:
        _print(rows, facts["machine"], quick=False)
    if report is not None:
        Path(report).write_text(soak_report(rows, each, facts), encoding="utf-8")
    return 0


def _measure(part: str, quick: bool, bundle: str | None, recognizer: str, through: str | None) -> list[Row]:
    # Imported here: the process that starts the others stays small.
    if part == "acoustic":
        from realtime_ser.commands.bench.acoustic import acoustic_rows

        return acoustic_rows(bundle, _ROUNDS[quick])
    if part == "files":
        from realtime_ser.commands.bench.files import files_rows

        return files_rows(bundle, _LONG_MINUTES[quick])
    if part in ("live", "quiet"):
        from realtime_ser.commands.bench.live import live_rows

        return live_rows(bundle, recognizer, _LIVE_SECONDS[quick], quiet=part == "quiet")
    if part == "start":
        from realtime_ser.commands.bench.start import start_rows

        return start_rows(bundle, recognizer, 3 if quick else 5)
    if part == "stamps":
        from realtime_ser.commands.bench.stamps import stamps_rows

        return stamps_rows(bundle, _CLICKS[quick])
    from realtime_ser.commands.bench.dashboard import dashboard_rows

    return dashboard_rows(bundle, recognizer, _LIVE_SECONDS[quick], through=through)


def _in_a_process(part: str, quick: bool, bundle: str | None, recognizer: str, through: str | None) -> list[Row]:
    options = ["--part", part, "--json", "--recognizer", recognizer]
    options += ["--quick"] if quick else []
    options += ["--through", through] if through else []
    options += ["--bundle", bundle] if bundle else []
    written: dict[str, Any] = json.loads(run(program("bench", *options), one_thread()).output)
    return [Row(**row) for row in written["rows"]]


def _tell(text: str, as_json: bool) -> None:
    if not as_json:
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _print(rows: Sequence[Row], facts: dict[str, Any], quick: bool) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160)
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    console.print(
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, load {facts['load']}, {facts['system']}, "
        f"Python {facts['python']}, realtime-ser {facts['realtime-ser']}, {libraries}",
        highlight=False,
    )
    console.print(table(rows))
    console.print(_about(quick), style="dim", highlight=False)


def _about(quick: bool) -> str:
    return (
        "ms/s: milliseconds of one core's time for a second of audio. Ratios are formed within a round of this run; medians of "
        f"{_ROUNDS[quick]} rounds after {WARM_UP} that do not count."
    )


def _check_place(report: str | None) -> None:
    """Before anything is measured: that takes long."""
    if report is not None and not Path(report).parent.is_dir():
        raise ConfigError(f"There is no folder {Path(report).parent}.", "Make it first.")
