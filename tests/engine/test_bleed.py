"""Whose voice an utterance was: echoes are told from voices of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from engine_stages import collect

from realtime_ser.assembly import Models, build_people, load_models
from realtime_ser.audio.sources import ArraySource
from realtime_ser.engine.bleed import BleedWatch
from realtime_ser.engine.channel import Policy
from realtime_ser.engine.people import Said
from realtime_ser.records import records
from realtime_ser.types import Output, Span, Verdict, WindowScores

LATE = 60
"""Samples that sound takes from one's mouth to the other's microphone: 1.3 m."""


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("default-bundle", "none")


def echo(voice: np.ndarray, decibels: float) -> np.ndarray:
    late = np.concatenate([np.zeros(LATE, np.float32), voice])[: len(voice)]
    return late * np.float32(10 ** (decibels / 20))


@pytest.fixture(scope="module")
def turns(demonstration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two people who speak one after the other, then both at once."""
    first, second, third = demonstration[12_000:64_000], demonstration[84_000:130_000], demonstration[130_000:170_000]
    silence = np.zeros(24_000, np.float32)
    anna = np.concatenate([first, silence, np.zeros_like(second), silence, first[: len(third)], silence])
    ben = np.concatenate([np.zeros_like(first), silence, second, silence, third, silence])
    noise = np.random.default_rng(3).normal(0, 3e-4, (2, len(anna))).astype(np.float32)
    return anna + noise[0], ben + noise[1]


def verdicts(models: Models, voices: tuple[np.ndarray, np.ndarray]) -> list[list[Verdict]]:
    people = build_people(models, [ArraySource(voice, 16_000) for voice in voices], names=("Anna", "Ben"))
    channel = people.subscribe(200_000, Policy.KEEP_ALL)
    with people:
        said: list[Said] = collect(channel)  # type: ignore[arg-type, assignment]
    return [[one.output for one in said if one.person == person and isinstance(one.output, Verdict)] for person in (0, 1)]


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("decibels", [-20.0, -12.0])
def test_what_the_other_says_is_marked_and_nothing_else(
    models: Models, turns: tuple[np.ndarray, np.ndarray], decibels: float
) -> None:
    anna, ben = turns
    found = verdicts(models, (anna + echo(ben, decibels), ben + echo(anna, decibels)))
    middle = 52_000 + 12_000, 52_000 + 24_000 + 46_000 + 12_000
    for person, mine in enumerate(found):
        for verdict in mine:
            alone = 0 if verdict.span.end < middle[0] + 24_000 else 1 if verdict.span.first < middle[1] else None
            assert verdict.bleed is not None
            assert verdict.is_bleed is (alone is not None and alone != person), (person, verdict.span, verdict.bleed)
        assert sum(verdict.is_bleed for verdict in mine) >= 1
        assert sum(not verdict.is_bleed for verdict in mine) >= 2
    (record,) = records(found[0][0], models.classes, person="Anna")
    assert record["bleed"] == pytest.approx(found[0][0].bleed)


@pytest.mark.usefixtures("no_thread_left")
def test_without_bleed_nothing_is_marked(models: Models, turns: tuple[np.ndarray, np.ndarray]) -> None:
    found = verdicts(models, turns)
    assert [len(mine) for mine in found] == [2, 2]
    assert not any(verdict.is_bleed for mine in found for verdict in mine)


def frames(levels: np.ndarray, first: int = 0) -> WindowScores:
    """A window a row of log energies, all of them voiced."""
    nothing = np.empty((len(levels), 0), np.float32)
    return WindowScores(first, 160, 4_000, nothing, nothing, nothing, np.ones(len(levels), bool), levels.astype(np.float32))


@pytest.fixture
def speechlike() -> Callable[[int], np.ndarray]:
    def make(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        return np.cumsum(random.normal(0, 0.8, (400, 44)), axis=0) * 0.3 - 5.0

    return make


def test_what_is_not_known_is_not_judged(speechlike: Callable[[int], np.ndarray]) -> None:
    span = Span(16_000, 48_000)
    watch = BleedWatch(2)
    assert watch.judge(0, span) is None
    watch.hear(0, frames(speechlike(1)))
    assert watch.judge(0, span) is None  # nothing was heard of the other
    watch.hear(1, frames(speechlike(2)[:120]))
    assert watch.judge(0, span) is None  # less than half of it
    assert not watch.ready(0, span.end)
    watch.end(1)
    assert watch.ready(0, span.end)


def test_clocks_of_two_devices_are_taken_into_account(speechlike: Callable[[int], np.ndarray]) -> None:
    voice = speechlike(1)
    offset = 160 * 37
    for known, share in ((offset, 1.0), (0, 0.0)):
        watch = BleedWatch(2, lambda person, known=known: known * person)
        watch.hear(0, frames(voice - 3.0))
        watch.hear(1, frames(voice[37:]))
        assert watch.judge(0, Span(20_000, 50_000)) == share


def test_of_hours_the_newest_are_known(speechlike: Callable[[int], np.ndarray]) -> None:
    watch = BleedWatch(2)
    for turn in range(40):
        voice = speechlike(turn)
        watch.hear(0, frames(voice - 3.0, turn * 64_000))
        watch.hear(1, frames(voice, turn * 64_000))
    assert watch.judge(0, Span(39 * 64_000, 39 * 64_000 + 48_000)) == 1.0
    assert watch.judge(1, Span(39 * 64_000, 39 * 64_000 + 48_000)) == 0.0
    assert watch.judge(0, Span(0, 48_000)) is None


def test_one_person_is_judged_by_nobody(models: Models, turns: tuple[np.ndarray, np.ndarray]) -> None:
    people = build_people(models, [ArraySource(turns[0], 16_000)])
    channel = people.subscribe(200_000, Policy.KEEP_ALL)
    with people:
        said: list[Said] = collect(channel)  # type: ignore[arg-type, assignment]
    found: list[Output] = [one.output for one in said if isinstance(one.output, Verdict)]
    assert len(found) == 2
    for verdict in found:
        assert isinstance(verdict, Verdict)
        assert verdict.bleed is None
        assert not verdict.is_bleed
        (record,) = records(verdict, models.classes)
        assert "bleed" not in record
        assert dataclasses.replace(verdict, bleed=0.5).is_bleed
