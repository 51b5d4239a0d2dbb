"""The options of recording and of ``realtime-ser sessions``, and what they call. Imports nothing heavy before that."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from realtime_ser.errors import ConfigError

if TYPE_CHECKING:
    from realtime_ser.commands.sessions.record import Recording

__all__ = ["add_recording", "add_sessions", "run_sessions", "wanted_recording"]

_NEEDS_RECORD = ("participant", "condition", "keep_words", "keep_audio", "consent", "note", "marker")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """The options of ``listen`` that record a session."""
    group = parser.add_argument_group("recording", "A session holds scores, never words or sound unless you ask for them.")
    group.add_argument(
        "--record", nargs="?", const="", metavar="FOLDER", help="record a session, in FOLDER or in the user's folder for data"
    )
    group.add_argument("--participant", nargs="+", metavar="P", help="who is recorded: a code, not a name; of two people two")
    group.add_argument("--condition", metavar="C", help="under which condition")
    group.add_argument("--note", action="append", metavar="TEXT", help="a remark to keep with the session; may be repeated")
    group.add_argument("--keep-words", action="store_true", help="keep the recognised words; needs consent")
    group.add_argument("--keep-audio", action="store_true", help="keep the sound, as FLAC; needs consent")
    group.add_argument("--consent", action="store_true", help="you have the participant's consent: do not ask for it")
    group.add_argument(
        "--marker",
        action="append",
        metavar="KEY=NAME[:COLOUR]",
        help="what a key marks in a terminal; may be repeated; default: 1 to 9 and m",
    )


def wanted_recording(options: argparse.Namespace, names: Sequence[str] = ("",)) -> Recording | None:
    """What ``listen`` shall record of the people called `names`, if anything; asks for the consent where it is needed.

    Raises
    ------
    ConfigError
        Options that only make sense with ``--record``.
    SessionError
        There is no consent.
    """
    if options.record is None:
        for name in _NEEDS_RECORD:
            if getattr(options, name):
                raise ConfigError(f"--{name.replace('_', '-')} needs --record.", "Add --record, or leave it out.")
        return None
    participants = tuple(options.participant or ())
    if len(participants) > len(names):
        problem = f"There are {len(participants)} participants and {len(names)} to listen to."
        raise ConfigError(problem, "Give one code for each; two people are listened to with --people 2.")
    from realtime_ser.commands.sessions.record import Recording, agree, key_markers
    from realtime_ser.session.request import Participant, SessionRequest

    # Before the consent is asked for: a wrong option must not cost anybody an answer.
    markers = key_markers(options.marker or ())
    kept = agree(words=options.keep_words, audio=options.keep_audio, confirmed=options.consent, names=names)
    codes = [*participants, *[""] * (len(names) - len(participants))]
    request = SessionRequest(
        folder=options.record,
        participant=codes[0],
        condition=options.condition or "",
        kept=kept[0],
        notes=tuple(options.note or ()),
        others=tuple(map(Participant, codes[1:], kept[1:])),
    )
    return Recording(request, markers)


def add_sessions(commands: Any) -> None:
    """``sessions`` and its actions."""
    sessions = commands.add_parser(
        "sessions", help="recorded sessions", description="Shows, exports and changes sessions recorded by `listen --record`."
    )
    actions = sessions.add_subparsers(dest="action", metavar="ACTION", required=True)

    listed = actions.add_parser("list", help="which sessions there are, and how they ended")
    listed.add_argument("folder", nargs="?", help="where they are; default: the user's folder for data")

    shown = _action(actions, "show", "what is in a session, and what happened to it")
    shown.add_argument("--methods", action="store_true", help="a paragraph for a paper instead")

    summary = actions.add_parser("summary", help="scores per participant and condition over many sessions, with intervals")
    summary.add_argument("folder", nargs="?", help="where the sessions are; default: the user's folder for data")
    summary.add_argument("--out", metavar="TABLE", help="a file instead of the terminal: .csv, .parquet or .jsonl")

    export = _action(actions, "export", "write a session in the formats of other tools")
    export.add_argument("--to", required=True, metavar="FOLDER", help="where to write; made if it is not there")
    export.add_argument(
        "--format",
        action="append",
        metavar="FORMAT",
        help="csv, parquet, jsonl, elan, praat, srt, vtt, xdf, flac; may be repeated; default: all of them",
    )

    export.add_argument("--scores", metavar="NAME", help="those of a later scoring (see rescore) in place of the recorded ones")

    rescore = _action(actions, "rescore", "score a session with kept sound again, with another bundle, and compare")
    rescore.add_argument("--bundle", help="bundle folder or name (see `realtime-ser models list`); default: the default bundle")
    rescore.add_argument(
        "--name", metavar="NAME", help="under which the scores are kept; default: the bundle's name and version"
    )
    rescore.add_argument("--replace", action="store_true", help="in place of earlier scores of that name")
    rescore.add_argument(
        "--recognizer",
        metavar="WHO",
        help="recognise the words anew (as for `listen`), without keeping them; default: the words that were kept, if any",
    )
    rescore.add_argument("--json", action="store_true", help="one JSON object on standard output")
    rescore.add_argument("--reason", default="", metavar="TEXT", help="why, for the log")

    figure = _action(actions, "figure", "draw a session's timeline for a paper, as vectors")
    figure.add_argument("--out", required=True, metavar="FILE", help="where to: .svg or .pdf")
    figure.add_argument("--from", type=float, dest="start", metavar="SECONDS", help="default: from the beginning")
    figure.add_argument("--person", metavar="P", help="whose, by name or number, where there are two; default: everybody's")
    figure.add_argument("--to", type=float, dest="end", metavar="SECONDS", help="default: to the end")
    figure.add_argument("--scores", metavar="NAME", help="those of a later scoring (see rescore) in place of the recorded ones")

    mark = _action(actions, "mark", "add a marker, also while recording; or change one")
    mark.add_argument("--name", help="what it marks")
    mark.add_argument("--at", type=float, metavar="SECONDS", help="when; default: now, while the session is being recorded")
    mark.add_argument("--colour", help="for those who draw it")
    mark.add_argument("--id", type=int, metavar="N", help="change this one")
    taken = mark.add_mutually_exclusive_group()
    taken.add_argument("--remove", action="store_true", help="take the marker --id back")
    taken.add_argument("--restore", action="store_true", help="put the marker --id, which was taken back, in its place again")

    note = _action(actions, "note", "add a remark")
    note.add_argument("text")
    note.add_argument("--at", type=float, metavar="SECONDS", help="what moment it is about; default: the whole session")

    label = _action(actions, "label", "say what an utterance was, or what was really said; the original stays")
    label.add_argument("utterance", type=int)
    label.add_argument("--person", metavar="P", help="whose, by name or number, where there are two; default: the first")
    label.add_argument("--emotion", metavar="LABEL", help="any word")
    label.add_argument("--words", metavar="TEXT", help="the right words; only where words are kept")

    redact = _action(actions, "redact", "bleep the sound and remove the words of a span, for good")
    redact.add_argument("start", type=float, help="seconds")
    redact.add_argument("end", type=float, help="seconds")
    redact.add_argument("--audio", action="store_true", help="only the sound")
    redact.add_argument("--words", action="store_true", help="only the words")

    delete = _action(actions, "delete", "delete a session, or its sound or words, for good")
    delete.add_argument("--audio", action="store_true", help="only the sound")
    delete.add_argument("--words", action="store_true", help="only the words")
    delete.add_argument("--yes", action="store_true", help="do not ask")

    for parser in (mark, label, redact, delete):
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the log")


def _action(actions: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text)
    parser.add_argument("session", help="folder of the session, or its name in the usual place")
    return parser


def run_sessions(options: argparse.Namespace) -> list[str]:
    """Do what ``sessions`` was asked for; lines to print.

    Raises
    ------
    RealtimeSerError
        What stands in the way.
    """
    from realtime_ser.commands.sessions import change, show
    from realtime_ser.session.format import resolve_session, sessions_folder

    if options.action == "list":
        return show.list_sessions(sessions_folder(options.folder))
    if options.action == "summary":
        return show.summary(sessions_folder(options.folder), options.out)
    folder = resolve_session(options.session)
    match options.action:
        case "show":
            return show.methods(folder) if options.methods else show.describe(folder)
        case "export":
            return show.export(folder, options.to, options.format or (), options.scores)
        case "figure":
            return show.figure(folder, options.out, options.start, options.end, options.scores, options.person)
        case "rescore":
            from realtime_ser.commands.sessions.rescore import rescore_session

            return rescore_session(
                folder,
                bundle=options.bundle,
                name=options.name,
                replace=options.replace,
                recognizer=options.recognizer,
                as_json=options.json,
                reason=options.reason,
            )
        case "mark":
            return change.mark(
                folder,
                name=options.name,
                at=options.at,
                colour=options.colour,
                marker=options.id,
                remove=options.remove,
                restore=options.restore,
                reason=options.reason,
            )
        case "note":
            return change.note(folder, options.text, options.at)
        case "label":
            return change.label(
                folder,
                options.utterance,
                emotion=options.emotion,
                words=options.words,
                reason=options.reason,
                person=options.person,
            )
        case "redact":
            return change.redact(
                folder, options.start, options.end, audio=options.audio, words=options.words, reason=options.reason
            )
        case _:
            return change.delete(folder, audio=options.audio, words=options.words, yes=options.yes, reason=options.reason)
