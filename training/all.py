"""``python -m training all``: from the corpora to a bundle, in one command. Every part resumes where it was interrupted."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--out", type=Path, default=Path("runs/default"), help="folder for the parts (default: runs/default)")
    parser.add_argument("--bundle", type=Path, help="bundle folder to write (default: OUT/bundle)")


def run(args: argparse.Namespace) -> int:
    """Train and measure the acoustic network (on corpora left out, too), the text network and the fusion; make a bundle.

    At last it is measured which filters its classes rely on.
    """
    from training.__main__ import main
    from training.conditions import RESULT
    from training.speakers import RESULT as SPEAKERS

    out: Path = args.out
    data = ["--data", str(args.data)] if args.data is not None else []
    parts = {name: out / name for name in ("acoustic", "text", "fusion")}
    exported = {name: str(folder / "export") for name, folder in parts.items()}
    bundle = args.bundle if args.bundle is not None else out / "bundle"
    conditions, left_out, speakers = out / "conditions", out / "left-out", out / "speakers"
    steps = (
        [
            *("crossval", "--protocol", "corpus", "--corpus", "RAVDESS", "nEMO", "EMODB", "ASED", "EMOVO"),
            *("--levels-equalised", "--systems", "egemaps-svm", "acoustic", "--out", str(left_out)),
        ],
        ["acoustic", "--left-out", str(left_out), "--out", str(parts["acoustic"])],
        ["text", "--out", str(parts["text"])],
        ["fusion", "--acoustic", exported["acoustic"], "--text", exported["text"], "--out", str(parts["fusion"])],
        ["conditions", "--acoustic", exported["acoustic"], "--out", str(conditions)],
        ["speakers", "--acoustic", exported["acoustic"], "--out", str(speakers)],
        [
            "bundle",
            *(word for name in parts for word in (f"--{name}", exported[name])),
            *("--conditions", str(conditions / RESULT), "--speakers", str(speakers / SPEAKERS), "--out", str(bundle)),
        ],
        ["reliance", "--bundle", str(bundle)],
    )
    for step in steps:
        print(f"== python -m training {' '.join(step)}", flush=True)
        status = main([*step, *data])
        if status:
            return status
    return 0
