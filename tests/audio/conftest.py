"""Tests of capture and of what happens to it: none leaves a thread or a process behind."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _nothing_left(no_thread_left: None) -> None:
    """Every test here ends its threads and processes."""
