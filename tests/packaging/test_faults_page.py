"""The page about faults names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


def test_there_are_some_for_every_fault() -> None:
    assert len(NAMED) > 40
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("|---")]
    for row in rows:
        assert row.rstrip(" |").endswith("tests") or "::test_" in row.rsplit("|", 2)[1], f"no test for: {row}"


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_they_are_there(file: str) -> None:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {test for name, test in NAMED if name == file} <= there
