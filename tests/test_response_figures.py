"""The charts and tables of the secondary end points: data, encodings, words, and that they can be drawn."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from visiontrial import design, render, response
from visiontrial.figures import response as figures

LEVEL = 0.95


@pytest.fixture(scope="module")
def table() -> response.Cells:
    return response.cells("objective")


@pytest.fixture(scope="module")
def whole() -> dict[str, int]:
    return response.set_sizes().loc["randomized"].to_dict()


@pytest.fixture(scope="module")
def shares() -> render.Figure:
    return figures.shares(response.by_set(LEVEL), LEVEL)


@pytest.fixture(scope="module")
def tipping(table, whole) -> render.Figure:
    return figures.tipping_map(response.tipping(table, whole, 0.05), table, whole, 0.05)


def data_of(figure: render.Figure, view: dict) -> list[dict]:
    return figure.specification["datasets"][view["data"]["name"]]


# --- the shares -----------------------------------------------------------------------------------


def test_bars_add_up_to_the_percent_that_is_written(shares):
    for panel in shares.specification["vconcat"]:
        bars, whiskers, labels = panel["layer"]
        ends = pd.DataFrame(data_of(shares, bars)).groupby("row")["to"].max()
        for row in data_of(shares, labels):
            assert ends[row["row"]] == pytest.approx(row["percent"], abs=1e-3)
            assert row["text"] == f"{row['percent']:.1f}%"
            assert row["low"] <= row["percent"] <= row["high"]
        assert (whiskers["encoding"]["x"]["field"], whiskers["encoding"]["x2"]["field"]) == ("low", "high")


def test_bars_hold_the_same_responders_in_every_set(shares):
    panels = shares.specification["vconcat"]
    patients = [[row["patients"] for row in data_of(shares, panel["layer"][0])] for panel in panels]
    assert patients == [[17, 77, 0, 2]] * 3
    assert [panel["title"]["text"] for panel in panels] == list(response.SETS.values())


def test_all_panels_share_a_scale_that_holds_every_limit(shares):
    domains = [p["layer"][0]["encoding"]["x"]["scale"]["domain"] for p in shares.specification["vconcat"]]
    assert domains == [domains[0]] * 3
    assert response.by_set(LEVEL)["exact_high"].max() < domains[0][1]


def test_words_of_the_shares_follow_the_numbers(shares):
    words = shares.description
    assert "94 of 184 (51.1%, interval 43.6 to 58.5%) with 177Lu-PSMA-617" in words
    assert "2 of 196 (1.0%, interval 0.1 to 3.6%) in the control arm" in words


# --- the map ----------------------------------------------------------------------------------------


def test_the_map_reaches_as_far_as_there_are_patients(tipping, table, whole):
    rest = response.others(table, whole)
    layers = tipping.specification["layer"]
    assert layers[0]["encoding"]["x"]["scale"]["domain"] == [0, rest["lu"]]
    assert layers[0]["encoding"]["y"]["scale"]["domain"] == [0, rest["control"]]


def test_points_are_told_apart_without_colour_and_lie_where_they_say(tipping, table):
    points = tipping.specification["layer"][-1]
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) == 3
    rows = data_of(tipping, points)
    assert (rows[0]["lu"], rows[0]["control"]) == (0, 0)
    own = rows[1]
    assert own["rate_lu"] == pytest.approx(100 * table.events_lu / table.n_lu, abs=0.01)
    assert own["rate_control"] == pytest.approx(100 * table.events_control / table.n_control, abs=0.01)


def test_words_of_the_map_follow_the_numbers(tipping, table, whole):
    first = response.tipping(table, whole, 0.05).iloc[0]
    assert f"{first['lost']:.0f} of the control arm would be needed" in tipping.description
    assert f"and {math.ceil(first['equal'])} for both arms" in tipping.description


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_charts_draw_within_their_widths(shares, tipping, variant):
    for figure in (shares, tipping):  # drawing refuses what is too wide, too small or off the palette
        assert figure.svg(variant).startswith("<svg")
        assert figure.svg(variant) == figure.svg(variant)


# --- tables -------------------------------------------------------------------------------------------


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_proportions_table_has_both_intervals():
    text = figures.proportions_table(response.proportions(LEVEL), LEVEL).text
    assert lines_of(text, "Standard care alone")[1].split("  ")[-1].strip() == "0.0 to 5.7"
    assert lines_of(text, "177Lu-PSMA-617")[1].endswith("5.8 to 14.3")


def test_odds_table_names_estimators_and_bears_the_empty_cell():
    text = figures.odds_table(response.comparisons(LEVEL), LEVEL).text
    conditional = lines_of(text, "Conditional maximum likelihood")[1]
    assert conditional.endswith("1.52 to ∞")
    assert lines_of(text, "Cross product, Wald")[1].split()[-2:] == ["∞", "–"]


def test_added_table_shows_each_addition():
    text = figures.added_table({0.5: 13.0, 1: 6.3}).text
    assert lines_of(text, "0.5")[0].split()[-1] == figures.odds_text(13.0)
    assert lines_of(text, "1")[0].split()[-1] == figures.odds_text(6.3)


def test_tests_table_says_what_is_ours():
    table = figures.tests_table(response.comparisons(LEVEL))
    assert lines_of(table.text, "Complete response")[0].split()[-3:] == ["0.0080", "0.0053", "–"]
    assert "the trial's own test was stratified" in table.text


def test_stages_and_bounds_print_as_computed(table, whole):
    assert "184 (47.8) of 385   64 (32.7) of 196" in figures.stages_table(response.stages()).text
    text = figures.bounds_table(response.bounds(table, whole)).text
    assert lines_of(text, "Nobody else")[0].split()[-3:] == ["24.4", "1.0", "+23.4"]
    assert "no confidence intervals" in text


def test_decisions_say_anything_only_of_what_always_holds(table):
    known = {"objective response": response.fisher(table), "disease control": None, "skeletal events": 0.001}
    text = figures.decisions_table(design.whatever(known, 0.05), "disease control").text
    assert lines_of(text, "Skeletal events")[0].endswith("anything")
    assert lines_of(text, "Disease control")[0].endswith("at most 0.05 (its own)")
    doubted = {"objective response": None, "disease control": 1.0, "skeletal events": 0.001}
    text = figures.decisions_table(design.whatever(doubted, 0.05), "objective response").text
    assert lines_of(text, "Disease control")[0].endswith("never significant")
    assert lines_of(text, "Objective response")[0].endswith("at most 0.025 (its own)")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.500"),
        (0.0080, "0.0080"),
        (0.0001, "0.0001"),
        (7.868e-14, "7.9 × 10⁻¹⁴"),
        (9.99e-5, "1.0 × 10⁻⁴"),
        (math.nan, "–"),
    ],
)
def test_p_text(value, text):
    assert figures.p_text(value) == text


@pytest.mark.parametrize(("ratio", "text"), [(math.inf, "∞"), (1.5202, "1.52"), (278.4, "278")])
def test_odds_text(ratio, text):
    assert figures.odds_text(ratio) == text
