"""The command line: ``realtime-ser``.

Only this package prints. Commands are imported when they are called, so that ``--help`` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from realtime_ser import __version__
from realtime_ser.commands.outlets import add_outlets, wanted_outlets
from realtime_ser.commands.sessions.options import add_recording, add_sessions
from realtime_ser.config import RETURN_SECONDS
from realtime_ser.errors import RealtimeSerError

if TYPE_CHECKING:
    from realtime_ser.acoustic.execution import Execution
    from realtime_ser.inputs import Input, PeopleInput

__all__ = ["main"]

_EPILOG = """\
This tool estimates emotions from the sound of a voice and from recognised words. It knows neither what a person feels nor
why, was trained on acted speech, and abstains when unsure. In the EU its use on people at work or in education is forbidden
except for medical or safety reasons (AI Act Art. 5(1)(f)), and people must be told that it is used (Art. 50(3)).
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="realtime-ser",
        description="Shows, live, which emotion is spoken: anger, happiness, neutral, sadness. "
        "Without a sub-command the dashboard opens, or the terminal view where there is no display.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"realtime-ser {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    gui = commands.add_parser("gui", help="the dashboard", description="Opens the dashboard.")
    _add_input(gui, "default: the default microphone; without one the dashboard waits")
    gui.add_argument("--demo", action="store_true", help="start on the demonstration audio (synthetic speech)")
    _add_people(gui)
    _add_second_input(gui)
    _add_models(gui)
    _add_profile(gui)
    # What is not given here is as the dashboard's settings say.
    gui.set_defaults(recognizer=None)

    listen = commands.add_parser(
        "listen",
        help="the same engine in the terminal",
        description="Listens and shows scores, words, level and health in the terminal. Ctrl-C stops and sums up.",
    )
    _add_input(listen, "default: the default microphone, or the demonstration audio where there is none")
    _add_people(listen)
    _add_second_input(listen)
    listen.add_argument(
        "--pace", choices=("realtime", "fast"), default="realtime", help="for files: as spoken (default), or at full speed"
    )
    listen.add_argument("--json", action="store_true", help="one JSON object a line on standard output instead of the view")
    _add_models(listen)
    _add_profile(listen)
    add_recording(listen)
    add_outlets(listen)

    analyze = commands.add_parser(
        "analyze",
        help="score recorded files",
        description="Scores recorded files at full speed, with the scores that the live program gives. "
        "Writes a row per utterance, as CSV to standard output unless --out is given.",
    )
    analyze.add_argument(
        "files", nargs="+", metavar="FILE", help="sound files of any format, rate and number of channels, or folders of them"
    )
    analyze.add_argument("--out", metavar="TABLE", help="write the table there: .csv, .parquet or .jsonl")
    analyze.add_argument("--windows", action="store_true", help="a row per 250 ms window, every 10 ms")
    analyze.add_argument(
        "--segmentation",
        choices=("voice", "whole"),
        default="voice",
        help="utterances by voice activity (default), or each file as one utterance",
    )
    _add_people(analyze)
    analyze.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that share the files (default: 1)")
    analyze.add_argument("--cluster", metavar="ADDRESS", help="have the workers of a Dask scheduler share the files")
    _add_models(analyze)
    _add_profile(analyze)

    calibrate = commands.add_parser(
        "calibrate",
        help="learn what somebody's neutral voice is like",
        description="Listens to a minute of neutral speech and keeps a profile of the voice, without sound, for --profile.",
    )
    calibrate.add_argument("name", help="of the profile: a code rather than a name, such as P07")
    calibrate.add_argument("--seconds", type=_seconds, default=60.0, help="how long a microphone is listened to (default: 60)")
    calibrate.add_argument("--replace", action="store_true", help="in place of an earlier profile of this name")
    calibrate.add_argument(
        "--input", metavar="INPUT", default="microphone", help="microphone (default), microphone:NAME or ID, or a sound file"
    )
    calibrate.add_argument("--bundle", help="bundle folder or name (see `realtime-ser models list`)")
    _add_execution(calibrate)
    profiles = commands.add_parser(
        "profiles", help="speakers' profiles made by calibrate", description="Lists and deletes speakers' profiles."
    )
    kept = profiles.add_subparsers(dest="action", metavar="ACTION")
    kept.add_parser("list", help="which there are (also without an action)")
    deleted = kept.add_parser("delete", help="delete one")
    deleted.add_argument("name", help="as in the list")

    devices = commands.add_parser("devices", help="list the microphones", description="Lists what can be listened to.")
    devices.add_argument("--json", action="store_true", help="one JSON array on standard output")

    models = commands.add_parser(
        "models", help="bundles and speech recognition models", description="Shows and fetches models."
    )
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="what is installed and what can be fetched")
    info = actions.add_parser("info", help="what a bundle is, how good it is, and what it must not be used for")
    info.add_argument("bundle", nargs="?", help="bundle folder or name; default: the default bundle")
    _add_execution(info)
    fetch = actions.add_parser("fetch", help="download a speech recognition model")
    fetch.add_argument("name", help="for example vosk-model-small-en-us-0.15")
    fetch.add_argument("--folder", help="where to put it; default: the user's data folder")
    fetch.add_argument("--sha256", default="", help="refuse any archive with another SHA-256")
    fetch.add_argument("--replace", action="store_true", help="install it anew if it is there")

    add_sessions(commands)

    replay = commands.add_parser(
        "replay",
        help="a window that shows and plays a recorded session",
        description="Opens a recorded session to look at, hear, correct, label and compare.",
    )
    replay.add_argument("session", help="folder of the session, or its name in the usual place")
    replay.add_argument("--scores", metavar="NAME", help="compare with a later scoring (see `sessions rescore`)")

    selftest = commands.add_parser(
        "selftest",
        help="check this installation",
        description="Checks the bundle, proves that all ways to a score agree, and says what is missing on this machine.",
    )
    _add_models(selftest)
    bench = commands.add_parser(
        "bench",
        help="what the program costs on this machine",
        description="Measures the acoustic networks against other ways to the same scores, files, the live engine and the "
        "start, and prints one table with the project's aims. Let nothing else run meanwhile.",
    )
    bench.add_argument("--quick", action="store_true", help="a minute or two in place of a quarter of an hour; wider spreads")
    bench.add_argument("--gui", action="store_true", help="measure the dashboard, too")
    bench.add_argument(
        "--through",
        choices=("pulseaudio",),
        help="measure the dashboard through a private sound server as well, sample by sample, and the time stamps that "
        "Lab Streaming Layer gets",
    )
    bench.add_argument(
        "--part", choices=("acoustic", "files", "live", "quiet", "start", "stamps", "gui"), help="only this part"
    )
    bench.add_argument(
        "--soak", type=_seconds, metavar="MINUTES", help="let the dashboard listen through a private sound server for so long"
    )
    bench.add_argument("--speech", nargs="+", default=[], metavar="FILE", help="for --soak: what is spoken")
    bench.add_argument("--report", metavar="FILE", help="write the result there, too, in Markdown")
    bench.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the table")
    bench.add_argument("--bundle", help="bundle folder or name (see `realtime-ser models list`)")
    bench.add_argument("--recognizer", default="auto", help="who writes the words, as for `listen`")
    return parser


def _add_input(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--input", metavar="INPUT", help=f"microphone, microphone:NAME or ID, demo, or a sound file; {default}")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=RETURN_SECONDS,
        metavar="SECONDS",
        help=f"how long a microphone that went away is looked for: {RETURN_SECONDS:g} (default), 0, inf, …",
    )
    parser.add_argument(
        "--log", metavar="FILE", help="write there what happened; default: realtime-ser.log in the user's folder for logs"
    )


def _add_people(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, choices=(1, 2), help="how many people speak, each on a channel of their own")
    parser.add_argument("--channels", metavar="A,B", help="which channels the two people have, counted from 1; default: 1,2")
    parser.add_argument(
        "--names", nargs=2, metavar="NAME", help='what the two people are called; default: "Person 1", "Person 2"'
    )


def _add_second_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--second-input", metavar="INPUT", help="what the second person speaks into, where it is not the same device or file"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0:
        raise ValueError(text)
    return seconds


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", help="bundle folder or name (see `realtime-ser models list`)")
    parser.add_argument(
        "--recognizer",
        default="auto",
        help="auto (default), vosk, pocketsphinx, none, or the folder or name of a Vosk model",
    )
    _add_execution(parser)


def _add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", metavar="NAME", help="of the one who speaks (see `realtime-ser calibrate`), or its file")


def _add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--provider",
        metavar="NAME",
        help="what computes the acoustic networks: cpu, cuda, coreml, directml, or auto (default): a graphics processor that "
        "is faster and gives the same scores, else the processor",
    )
    parser.add_argument(
        "--weights",
        metavar="KIND",
        help="float32 (default), int8 where the scores agree, or auto: int8 where they agree and it is faster here",
    )


def _execution(options: argparse.Namespace) -> Execution:
    from realtime_ser.acoustic.execution import Execution

    return Execution.wanted(options.provider, options.weights)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``realtime-ser``; returns the exit code (0, or that of the error's class; 130 when interrupted)."""
    # The recogniser's own process may be this very program, frozen.
    from realtime_ser.asr.worker import run_if_requested

    given = list(sys.argv[1:] if arguments is None else arguments)
    run_if_requested(given)
    _prepare_output()
    _share_heaps()
    options = _parser().parse_args(given)
    try:
        exit_code = _run(options)
        sys.stdout.flush()
        return exit_code
    except RealtimeSerError as error:
        print(f"realtime-ser: {error.problem}", file=sys.stderr)  # noqa: T201 - the command line speaks to the user
        if error.remedy:
            print(error.remedy, file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); the rest of it has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # What is left in the buffer cannot be written either; the interpreter would try, and complain, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"realtime-ser: {error.strerror or error}.", file=sys.stderr)  # noqa: T201
        print("Check that the disk that is written to has room and may be written to.", file=sys.stderr)  # noqa: T201
        return 1


def _prepare_output() -> None:
    """Make any text printable: Windows' old code pages lack quotation marks and names, and pipes there are not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def _share_heaps() -> None:
    """Two heaps for all threads: the GNU C library would give each one of its own, and they keep what they once had."""
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        import ctypes

        with suppress(OSError, AttributeError):  # other C libraries have no such setting
            ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX of malloc.h


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case None:
            return _default()
        case "gui":
            return _gui(options)
        case "listen":
            from realtime_ser.commands.listen import listen
            from realtime_ser.commands.sessions.options import wanted_recording

            # First the cheap checks: consent is not asked for what cannot start.
            outlets = wanted_outlets(options)
            choice = _people(options, lambda: _input(options.input))
            return listen(
                choice,
                pace=options.pace,
                as_json=options.json,
                bundle=options.bundle,
                recognizer=options.recognizer,
                execution=_execution(options),
                wait=options.wait,
                log=options.log,
                recording=wanted_recording(options, choice.names),
                sending=outlets,
                profile=options.profile,
            )
        case "calibrate":
            from realtime_ser.commands.profiles import calibrate
            from realtime_ser.inputs import parse_input

            return calibrate(
                options.name,
                parse_input(options.input),
                seconds=options.seconds,
                replace=options.replace,
                bundle=options.bundle,
                execution=_execution(options),
            )
        case "profiles":
            from realtime_ser.commands import profiles

            return _say(profiles.delete(options.name) if options.action == "delete" else profiles.profile_lines())
        case "sessions":
            from realtime_ser.commands.sessions.options import run_sessions

            return _say(run_sessions(options))
        case "replay":
            from realtime_ser.gui.replay.app import run_replay
            from realtime_ser.session.format import resolve_session

            return run_replay(resolve_session(options.session), options.scores)
        case "analyze":
            from realtime_ser.commands.analyze import analyze
            from realtime_ser.inputs import parse_channels, parse_names, people_wanted

            two = people_wanted(options.people, options.channels, options.names)
            _refuse_profile(options, two=two)
            return analyze(
                options.files,
                out=options.out,
                windows=options.windows,
                segmentation=options.segmentation,
                jobs=options.jobs,
                cluster=options.cluster,
                bundle=options.bundle,
                recognizer=options.recognizer,
                execution=_execution(options),
                profile=options.profile,
                people=tuple(zip(parse_names(options.names), parse_channels(options.channels), strict=True)) if two else (),
            )
        case "devices":
            from realtime_ser.commands.devices import device_lines

            return _say(device_lines(as_json=options.json))
        case "bench":
            from realtime_ser.commands.bench import bench, run_soak

            if options.soak is not None:
                return run_soak(
                    options.soak,
                    speech=options.speech,
                    report=options.report,
                    as_json=options.json,
                    bundle=options.bundle,
                    recognizer=options.recognizer,
                )
            return bench(
                part=options.part,
                quick=options.quick,
                as_json=options.json,
                gui=options.gui,
                through=options.through,
                report=options.report,
                bundle=options.bundle,
                recognizer=options.recognizer,
            )
        case "models":
            return _models(options)
        case _:
            return _selftest(options)


def _default() -> int:
    """No sub-command: the window where one can be opened, else the terminal view on the demonstration audio."""
    from realtime_ser.commands.gui import display_problem

    problem = display_problem()
    if problem is None:
        return _gui(_parser().parse_args(["gui"]))
    from realtime_ser.commands.listen import listen
    from realtime_ser.inputs import Input, PeopleInput

    hint = "`realtime-ser listen --input microphone` listens to a microphone here; the demonstration audio follows."
    _say([f"{problem.problem} {problem.remedy}", hint, ""])
    return listen(PeopleInput((Input("demo"),)), pace="realtime", as_json=False)


def _gui(options: argparse.Namespace) -> int:
    from realtime_ser.commands.gui import open_dashboard
    from realtime_ser.inputs import parse_input

    start = "demo" if options.demo else options.input
    people = _people(options, lambda: parse_input(start or "microphone"))
    return open_dashboard(
        start,
        people=people if people.people > 1 else None,
        bundle=options.bundle,
        recognizer=options.recognizer,
        provider=options.provider,
        weights=options.weights,
        wait=options.wait,
        log=options.log,
        profile=options.profile,
    )


def _people(options: argparse.Namespace, first_input: Callable[[], Input]) -> PeopleInput:
    """Who is listened to by ``listen`` or ``gui``, and through what."""
    from realtime_ser.inputs import PeopleInput, parse_channels, parse_input, parse_names, people_wanted, two_inputs

    second = options.second_input
    _refuse_profile(options, two=options.people == 2 or second is not None)
    if not people_wanted(options.people, options.channels, options.names, second):
        return PeopleInput((first_input(),))
    first = first_input()
    if second is None:
        return PeopleInput((first,), parse_names(options.names), parse_channels(options.channels))
    return two_inputs(first, parse_input(second), parse_names(options.names), options.channels)


def _refuse_profile(options: argparse.Namespace, *, two: bool) -> None:
    """A profile is of one voice, and would be wrong for the other."""
    from realtime_ser.errors import ConfigError

    if two and options.profile is not None:
        raise ConfigError("--profile is of one person's voice.", "Leave it out where two people are listened to.")


def _input(text: str | None) -> Input:
    from realtime_ser.audio.portaudio import list_devices
    from realtime_ser.errors import DeviceError
    from realtime_ser.inputs import Input, parse_input

    if text is not None:
        return parse_input(text)
    try:
        if list_devices():
            return Input("microphone")
        problem = "There is no microphone here."
    except DeviceError as error:
        problem = str(error)
    print(f"{problem}\nThe demonstration audio follows.\n", file=sys.stderr)  # noqa: T201
    return Input("demo")


def _models(options: argparse.Namespace) -> int:
    from realtime_ser.commands import models

    match options.action:
        case "list":
            return _say(models.list_models())
        case "info":
            return _say(models.info(options.bundle, _execution(options)))
        case _:
            return _say(models.fetch(options.name, folder=options.folder, sha256=options.sha256, replace=options.replace))


def _selftest(options: argparse.Namespace) -> int:
    from realtime_ser.commands.selftest import selftest

    failed = False
    for check in selftest(options.bundle, options.recognizer, _execution(options)):
        failed = failed or check.passed is False
        mark = {True: "ok     ", False: "FAILED ", None: "absent "}[check.passed]
        _say([f"{mark} {check.text}"])
    _say(["", "Something is wrong: see above." if failed else "This installation works."])
    return 1 if failed else 0


def _say(lines: Sequence[str]) -> int:
    for line in lines:
        print(line, flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
