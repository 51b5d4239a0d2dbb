"""The evaluation card's figures in tables: every one in one place, under what it was measured on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime_ser.bundle.card import in_tables
from realtime_ser.bundle.loader import load_bundle
from realtime_ser.bundle.manifest import Figure

FIGURES = st.lists(
    st.builds(
        Figure,
        name=st.sampled_from(["UA", "ECE", "UA, in a room", "ECE, in a room", "UA, clean"]),
        value=st.floats(0.0, 1.0),
        data=st.sampled_from(["RAVDESS", "EMO-DB"]),
        protocol=st.sampled_from(["held out; condition: in a room", "held out; condition: clean", "cold start; held out"]),
        date=st.sampled_from(["2026-11-23", "2026-11-27"]),
        hardware=st.just("a processor"),
    )
)


def said(figure: Figure, column: str, circumstances: set[str]) -> bool:
    """Whether a column and the row's circumstances say what the figure is and how it was measured."""
    named = figure.name == column or any(figure.name == f"{column}, {one.removeprefix('condition: ')}" for one in circumstances)
    measured = {*figure.protocol.split("; "), f"{figure.date}, {figure.hardware}"}
    return named and measured == circumstances


@given(figures=FIGURES)
def test_every_figure_stands_in_one_place_under_its_own_circumstances(figures: list[Figure]) -> None:
    shown = []
    for table in in_tables(figures):
        for row in table.rows:
            circumstances = set(table.common.split("; ")) | set(filter(None, row.circumstances.split("; ")))
            for column, figure in zip(table.columns, row.figures, strict=True):
                assert figure.data == row.data
                assert said(figure, column, circumstances)
                shown.append(figure)
    assert sorted(map(repr, shown)) == sorted(map(repr, figures))


def test_the_conditions_of_the_shipped_card_stand_in_one_table() -> None:
    figures = load_bundle().manifest.card.figures
    (conditions,) = [one for one in in_tables(figures) if any("condition: " in row.circumstances for row in one.rows)]
    assert conditions.columns == ("acoustic UA", "acoustic ECE", "acoustic coverage", "acoustic accuracy when confident")
    assert {row.circumstances.startswith("condition: ") for row in conditions.rows} == {True}
    # What holds for all of them is said once.
    assert "chance UA 0.25" in conditions.common
