"""``python -m training card``: writes docs/evaluation.md from the default bundle's card and from the reports beside it.

The page's prose stands in the page itself; what stands between two markers is written anew, so that no figure is typed by
hand and a test can tell whether the page still says what the bundle and the reports say.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from realtime_ser.bundle.card import CardTable, in_tables
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.bundle.manifest import Figure, Manifest
from realtime_ser.errors import ConfigError

__all__ = ["add_arguments", "render_card", "render_reports", "run", "with_sections"]

MARKER = re.compile(r"<!-- begin (?P<name>\w+) -->\n.*?<!-- end (?P=name) -->", re.DOTALL)
FLOOR = "egemaps-svm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parser.add_argument("--page", type=Path, default=Path("docs/evaluation.md"), help="(default: %(default)s)")
    parser.add_argument(
        "--reports", type=Path, default=Path("docs/evaluation"), help="folder of reports (default: %(default)s)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where the page is out of date")


def run(args: argparse.Namespace) -> int:
    """Write or check the page; 0 on success, 1 where ``--check`` finds it out of date."""
    sections = {
        "card": render_card(load_bundle(args.bundle).manifest),
        "crossvalidation": render_reports(args.reports, args.page.parent),
    }
    before = args.page.read_text(encoding="utf-8")
    after = with_sections(before, sections)
    if args.check:
        print(f"{args.page} is {'up to date' if before == after else 'out of date: python -m training card'}")
        return int(before != after)
    args.page.write_text(after, encoding="utf-8")
    return 0


def with_sections(page: str, sections: dict[str, str]) -> str:
    """`page` with the text between each pair of markers replaced by the section of that name.

    Raises
    ------
    ConfigError
        A section has no markers in the page, or markers have no section.
    """
    found = {match["name"] for match in MARKER.finditer(page)}
    if found != sections.keys():
        raise ConfigError(f"The page has markers for {sorted(found)}, written are {sorted(sections)}.")
    return MARKER.sub(
        lambda match: f"<!-- begin {match['name']} -->\n{sections[match['name']]}\n<!-- end {match['name']} -->", page
    )


def render_card(manifest: Manifest) -> str:
    """A bundle's evaluation card in Markdown."""
    card = manifest.card
    lines = [
        f"**{manifest.name} {manifest.version}**, {manifest.created}, {' · '.join(manifest.classes)}. {card.summary}",
        "",
        f"*Licence.* {manifest.licence}",
        "",
        f"*Abstention.* Below a confidence of {manifest.abstention.acoustic:.2f} (voice alone) or "
        f"{manifest.abstention.fused:.2f} (with words) it says “unsure”. {manifest.abstention.meaning}",
        "",
        "### Data",
        "",
        "| data | licence | use |",
        "|---|---|---|",
        *(f"| {data.name} | {data.licence} | {data.use} |" for data in card.data),
        "",
        "### Figures",
    ]
    for table in in_tables(card.figures):
        lines += ["", f"{table.common[:1].upper()}{table.common[1:]}.", "", *_table(table)]
    lines += ["", "### Limits, and what it must not be used for", "", *(f"* {limit}" for limit in card.limits)]
    return "\n".join(lines)


def _table(table: CardTable) -> list[str]:
    """A table in Markdown: figures as columns, or as rows where there is one set of data only."""
    if len(table.rows) == 1:
        (row,) = table.rows
        about = f"{row.data}{f'; {row.circumstances}' if row.circumstances else ''}"
        pairs = zip(table.columns, row.figures, strict=True)
        return [f"| {about} | |", "|---|---|", *(f"| {name} | {_value(figure)} |" for name, figure in pairs)]
    told = any(row.circumstances for row in table.rows)
    head = ["data", *(["circumstances"] if told else []), *table.columns]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in table.rows:
        cells = [row.data, *([row.circumstances] if told else []), *map(_value, row.figures)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _value(figure: Figure) -> str:
    return f"{figure.value:.3f}" + ("" if figure.interval is None else f" ({figure.interval[0]:.3f}–{figure.interval[1]:.3f})")


def render_reports(folder: Path, start: Path) -> str:
    """A table of the cross-validations whose ``report.json`` lies in sub-folders of `folder`; links count from `start`."""
    lines = [
        "| data | protocol | system | UA | over folds | over speakers | above the floor | ECE | right among the surer half |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(folder.glob("*/report.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        link = path.with_name("report.md").relative_to(start).as_posix()
        data = f"[{', '.join(report['corpora'])}]({link}), {len(report['classes'])} classes, levels {report['levels']}"
        if report.get("pretrained", "nothing") != "nothing":
            data += f"; acoustic networks heard {report['pretrained']} first"
        floor = report["systems"].get(FLOOR, {}).get("UA", {}).get("mean")
        for name, system in report["systems"].items():
            gain = "–" if floor is None or name == FLOOR else f"{system['UA']['mean'] - floor:+.3f}"
            cells = [data, report["protocol"], name, f"{system['UA']['mean']:.3f}"]
            cells += [_interval(system["UA"]["interval over folds"]), _interval(system["UA"]["interval over speakers"]), gain]
            cells += [f"{system['ECE']['pooled']:.3f}", f"{system['accuracy at 50 % coverage']['pooled']:.3f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(values: Sequence[Any]) -> str:
    return "–" if None in values else f"{values[0]:.3f} – {values[1]:.3f}"
