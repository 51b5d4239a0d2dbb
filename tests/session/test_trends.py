"""What is drawn of long lines and many blocks: means and shares, which add up to what there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.gui.replay.trends import Shares, Trend


def sawtooth(count: int, step: float) -> Trend:
    times = (np.arange(count) + 0.5) * step
    values = np.stack([np.arange(count) % 2, np.linspace(0.0, 1.0, count)], axis=1).astype(np.float32)
    return Trend(times, values, step)


def test_close_by_every_point_is_drawn_and_far_off_the_mean_of_every_column() -> None:
    trend = sawtooth(100_000, 0.01)
    times, values = trend.line(100.0, 101.0, 0.01)
    assert len(times) == 102
    assert set(values[:, 0]) == {0.0, 1.0}
    times, values = trend.line(0.0, 1_000.0, 1.0)
    assert len(times) == 2_000
    assert values[:, 0] == pytest.approx(0.5)
    # Drawn from the beginning of a column to its end.
    assert times[:4] == pytest.approx([0.0, 1.0, 1.0, 2.0])
    assert values[::2, 1] == pytest.approx(np.linspace(0.0005, 0.9995, 1_000), abs=1e-4)


def test_means_do_not_change_while_the_view_moves() -> None:
    trend = sawtooth(100_000, 0.01)
    before = dict(zip(*(array.tolist() for array in trend.line(200.0, 700.0, 0.7)), strict=True))
    after = dict(zip(*(array.tolist() for array in trend.line(200.3, 700.3, 0.7)), strict=True))
    inner = [at for at in before if 202.0 < at < 698.0]
    assert len(inner) > 600
    assert all(before[at] == after[at] for at in inner)


def test_stretches_apart_stay_apart_and_none_is_lost() -> None:
    times = np.concatenate([np.arange(0.0, 20.0, 0.01), np.arange(50.0, 50.05, 0.01), np.arange(80.0, 100.0, 0.01)])
    values = np.ones((len(times), 1), np.float32)
    at, drawn = Trend(times, values, 0.01).line(0.0, 100.0, 1.0)
    assert np.isnan(drawn[:, 0]).sum() == 2
    # The short one is as wide as a column, so it can be seen.
    alone = at[(at >= 50.0) & (at <= 51.0) & ~np.isnan(drawn[:, 0])]
    assert alone == pytest.approx([50.0, 51.0])
    empty = Trend(np.empty(0), np.empty((0, 3), np.float32), 0.1)
    assert empty.line(0.0, 10.0, 0.01)[1].shape == (0, 3)


@given(st.lists(st.floats(0.01, 5.0), min_size=2, max_size=60), st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_shares_add_up(lengths: list[float], columns: int, kinds: int) -> None:
    edges = np.cumsum(lengths)
    starts, ends = edges[:-1:2], edges[1::2]
    starts = starts[: len(ends)]
    which = [index % kinds for index in range(len(starts))]
    shares = Shares(starts, ends, which, kinds).columns(0.0, float(edges[-1]), columns)
    width = edges[-1] / columns
    for kind in range(kinds):
        mine = np.array([index == kind for index in which])
        assert shares[kind].sum() * width == pytest.approx((ends - starts)[mine].sum())
    assert np.all(shares.sum(axis=0) <= 1.0 + 1e-9)
