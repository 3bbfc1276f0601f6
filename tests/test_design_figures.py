"""The figures of the chapter on design: their data, their words, and the formula behind the sliders."""

import re

import numpy as np
import pytest

from visiontrial import design, schoenfeld
from visiontrial.figures import design as figures


@pytest.fixture(scope="module")
def designs():
    return design.designs()


@pytest.fixture(scope="module")
def all_figures(designs):
    return [
        figures.power_ranges(designs),
        figures.power_curves(designs["pfs"], designs["os"]),
        figures.alpha_graph(design.trial_graph()),
    ]


def data_of(figure, variant="wide"):
    return list(figure.variants[variant]["datasets"].values())


def test_every_figure_is_drawn_in_both_widths_to_the_same_bytes(all_figures, designs):
    for figure in all_figures:
        assert figure.svg("wide") and figure.svg("narrow")
    again = figures.power_ranges(designs)
    assert again.html() == all_figures[0].html()


def test_ranges_show_the_numbers_of_the_designs(all_figures, designs):
    rows = {row["label"]: row for rows in data_of(all_figures[0]) for row in rows}
    assert len(rows) == len(designs)
    for d in designs.values():
        row = rows[figures.label(d)]
        assert row["low"] == pytest.approx(float(d.percent_range.low), abs=1e-4)
        assert row["high"] == pytest.approx(float(d.percent_range.high), abs=1e-4)
        assert row["printed"] == d.power


def test_ranges_say_what_rounding_allows(all_figures):
    words = all_figures[0].description
    assert (
        "at 0.025: the rounding of the hazard ratio allows 91 to 93 percent; the printed 90 is not among"
        in words
    )
    assert (
        "at 0.021: the rounding of the hazard ratio allows 89 to 92 percent; the printed 90 is among" in words
    )


def test_curves_hold_the_formula(all_figures, designs):
    rows = [
        row for rows in data_of(all_figures[1]) for row in rows if "hr" in row and row.get("power", 0) % 1
    ]
    d = designs["pfs"]
    mine = [row for row in rows if str(d.events) in row["design"]]
    expected = [100 * schoenfeld.power(d.events, row["hr"], d.alpha, d.ratio) for row in mine]
    assert [row["power"] for row in mine] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("hr", "events", "alpha"), [(0.67, 364, 0.004), (0.73, 508, 0.025), (0.9, 100, 0.05)]
)
def test_the_formula_of_the_sliders_is_the_same(hr, events, alpha):
    from scipy.stats import norm

    formula = figures._vega_power(2)
    formula = re.sub(r"\bdatum\.hr\b", "hr", formula)
    known = {
        "sqrt": np.sqrt, "abs": abs, "log": np.log, "hr": hr, "events": events, "alpha": alpha,
        "cumulativeNormal": norm.cdf, "quantileNormal": norm.ppf,
    }  # fmt: skip
    assert eval(formula, known) == pytest.approx(100 * schoenfeld.power(events, hr, alpha, 2))


def test_the_sliders_start_where_the_words_say(all_figures, designs):
    params = {p["name"]: p for p in all_figures[1].specification["params"] if "bind" in p}
    assert params["events"]["value"] == designs["pfs"].events
    assert params["alpha"]["value"] == designs["os"].alpha
    assert f"starts at {designs['pfs'].events} events and 0.025" in all_figures[1].description


def test_the_graph_shows_levels_and_arrows(all_figures):
    datasets = data_of(all_figures[2])
    levels = {row["name"]: row["level"] for rows in datasets for row in rows if "level" in row}
    assert levels == {"pfs": "0.004", "os": "0.021", "key-secondary": "nothing yet"}
    shares = [row["share"] for rows in datasets for row in rows if "share" in row]
    assert shares == ["all", "all"]
    assert (
        "they receive 0.025 if both are significant, 0.021 if overall survival alone is"
        in all_figures[2].description
    )


def test_tables_have_both_faces(designs):
    simulations = {name: design.simulate(designs[name], 50, 1) for name in ("pfs", "os")}
    for table in (
        figures.power_table(designs, simulations),
        figures.needs_table(designs),
        figures.outcome_table(design.trial_graph()),
    ):
        assert "0.0" in table.text
        assert "<caption>" in table.html


def test_decisions_are_at_the_level_of_the_family():
    table = figures.decision_table(design.adjusted({"a": 0.01, "b": 0.03, "c": 0.04}), 0.05, "x", "Caption")
    assert re.search(r"b\s+0\.0300\s+0\.0900, no\s+0\.0600, no\s+0\.0400, yes", table.text)
