"""``python -m training COMMAND``: train, evaluate and export the networks."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from functools import partial
from pathlib import Path

from realtime_ser.errors import RealtimeSerError

COMMANDS = {
    "acoustic": "train, evaluate and export the acoustic network",
    "text": "train, evaluate and export the text network",
    "fusion": "train, evaluate and export the fusion network",
    "bundle": "put the exported parts together into a model bundle",
    "all": "all of these, one after the other: from the corpora to a bundle",
    "floors": "measure what eGeMAPS + SVM and TF-IDF + logistic regression reach",
    "crossval": "compare all systems on the same folds of a corpus, and write a report",
    "conditions": "measure a bundle in rooms, noise, through telephones, and on what is no emotional speech",
    "speakers": "choose how speakers' profiles are used, and measure what they are worth",
    "bleed": "measure how often an utterance is rightly, and how often wrongly, called another person's voice",
    "reliance": "measure which filters the classes of a bundle rely on, and write it into the bundle",
    "card": "write docs/evaluation.md from the bundle's card and the reports",
    "recognizers": "measure the speech recognisers",
    "speed": "measure how fast the acoustic network is trained here",
    "corpora": "say what lies in the corpora' folders and what is wrong with it",
}
"""Sub-commands; each is the module of its name, with ``add_arguments(parser)`` and ``run(args)``."""
SHARED = {"acoustic", "text", "fusion", "crossval", "all"}
"""Those that share their work among the processes of ``torchrun``; of the others process 0 does all."""


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        # Only the module that is asked for is imported: each of them needs PyTorch and takes seconds.
        if name == next((word for word in arguments if not word.startswith("-")), None):
            command.add_argument("--data", type=Path, help="data folder (default: REALTIME_SER_DATA, or ../shared)")
            importlib.import_module(f"training.{name}").add_arguments(command)
    args = parser.parse_args(arguments)
    try:
        work = partial(importlib.import_module(f"training.{args.command}").run, args)
        if args.command in SHARED or "TORCHELASTIC_RUN_ID" not in os.environ:
            status = work()
        else:
            from training.loop import first_process_alone

            status = first_process_alone(work)
    except RealtimeSerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return int(status or 0)


if __name__ == "__main__":
    sys.exit(main())
