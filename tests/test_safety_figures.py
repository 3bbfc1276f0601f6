"""The charts and tables of adverse events: their data, encodings, words, and that they can be drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from visiontrial import forensics, published, render, safety
from visiontrial.figures import safety as figures

ROWS = 15


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return safety.counts()


@pytest.fixture(scope="module")
def compared(events) -> pd.DataFrame:
    return safety.comparisons(events, 0.95, "newcomb", "score")


@pytest.fixture(scope="module")
def tipped(compared) -> pd.DataFrame:
    return safety.tipping(compared, 0.95)


def panels(figure: render.Figure) -> list[dict]:
    return figure.specification["concat"]


def data_of(figure: render.Figure, view: dict) -> list[dict]:
    return figure.specification["datasets"][view["data"]["name"]]


# --- the dot plot --------------------------------------------------------------------------------


def test_every_percent_of_both_arms_is_a_dot(events, compared):
    figure = figures.dot_plot(compared, 0.95)
    drawn = [row for view in panels(figure)[::2] for row in data_of(figure, view)]
    shown = compared[compared["grade"] != "grade-1-2"]
    expected = sorted(round(p, 4) for arm in safety.ARMS for p in shown[f"percent_{arm}"])
    assert sorted(row["percent"] for row in drawn) == expected
    assert len(drawn) == 2 * 2 * ROWS


def test_arms_are_told_apart_without_colour(compared):
    encoding = panels(figures.dot_plot(compared, 0.95))[0]["encoding"]
    assert encoding["shape"]["scale"]["range"] == ["circle", "triangle-up"]
    assert encoding["fill"]["scale"]["range"] == [render.PALETTE["lu"], render.PALETTE["surface"]]
    assert encoding["shape"]["field"] == encoding["stroke"]["field"] == encoding["yOffset"]["field"] == "arm"


@pytest.mark.parametrize(("effect", "neutral"), [("difference", 0), ("ratio", 1)])
def test_intervals_are_drawn_with_their_estimate(compared, effect, neutral):
    figure = figures.dot_plot(compared, 0.95, effect)
    line, interval, dot = panels(figure)[1]["layer"]
    assert data_of(figure, line) == [{effect: neutral}]
    assert interval["encoding"]["x"]["field"] == f"{effect}_low"
    assert interval["encoding"]["x2"]["field"] == f"{effect}_high"
    assert dot["encoding"]["x"]["field"] == effect


def test_no_dot_leaves_the_scale(compared):
    for effect in ("difference", "ratio"):
        figure = figures.dot_plot(compared, 0.95, effect)
        for view in panels(figure)[1::2]:
            low, high = view["layer"][2]["encoding"]["x"]["scale"]["domain"]
            assert all(low <= row[effect] <= high for row in data_of(figure, view["layer"][2]))


def test_both_grades_have_the_same_order_with_any_first_and_death_last(compared):
    figure = figures.dot_plot(compared, 0.95)
    orders = [view["encoding"]["y"]["scale"]["domain"] for view in panels(figure)[::2]]
    assert orders[0] == orders[1]
    assert (orders[0][0], orders[0][1], orders[0][-1]) == ("Any event", "Dry mouth", "Led to death")


def test_the_ratio_that_does_not_exist_is_not_drawn(compared):
    figure = figures.dot_plot(compared, 0.95, "ratio")
    severe = data_of(figure, panels(figure)[3]["layer"][2])
    assert len(severe) == ROWS - 1
    assert "Dry mouth" not in {row["row"] for row in severe}


def test_words_follow_the_numbers(compared):
    words = figures.dot_plot(compared, 0.95).description
    assert "519 (98.1) of 529" in words
    assert "95% confidence interval" in words
    assert "+38.3 points (dry mouth)" in words


# --- what time could explain -----------------------------------------------------------------------


def test_tipping_plot_shows_both_models_and_both_bands(tipped):
    figure = figures.tipping_plot(tipped, 30)
    severe = figure.specification["vconcat"][1]["layer"]
    bands = [data_of(figure, layer)[0] for layer in severe[:2]]
    assert bands[0]["low"] < 7.6 / 2.1 < bands[0]["high"]
    assert bands[1]["high"] < bands[0]["low"]
    dots = data_of(figure, severe[3])
    assert len(dots) == 2 * (ROWS - 1)
    assert {row["model"] for row in dots} == {"everybody watched equally long", "times spread exponentially"}
    assert severe[3]["encoding"]["x"]["scale"]["type"] == "log"


def test_tipping_words_name_what_lies_clearly_beyond(tipped):
    words = figures.tipping_plot(tipped, 30).description
    assert words.endswith("for 1: dry mouth, all grades.")
    assert "29 comparisons" in words


# --- drawing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_charts_draw_within_their_widths(compared, tipped, variant):
    drawn = [
        figures.dot_plot(compared, 0.95),
        figures.dot_plot(compared, 0.95, "ratio"),
        figures.tipping_plot(tipped, 30),
    ]
    for figure in drawn:
        assert figure.svg(variant).startswith(
            "<svg"
        )  # refuses what is too wide, too small or off the palette


def test_the_bytes_of_a_chart_do_not_change(tipped):
    assert figures.tipping_plot(tipped, 30).svg() == figures.tipping_plot(tipped, 30).svg()


# --- tables ----------------------------------------------------------------------------------------


def test_table_two_holds_every_printed_number(events):
    table = figures.table_two(events)
    lines = {line.split("  ")[0]: line for line in table.text.splitlines()}
    assert lines["Fatigue"].split()[1:] == ["228", "(43.1)", "31", "(5.9)", "47", "(22.9)", "3", "(1.5)"]
    assert lines["Dry mouth"].split()[2:] == ["205", "(38.8)", "0", "1", "(0.5)", "0"]
    assert lines["Discontinuation of 177Lu-PSMA-617"].split()[-2:] == ["NA", "NA"]
    for claim in published.claims().itertuples():
        if claim.location == "table2" and claim.statistic in ("count", "percent"):
            assert claim.printed in table.text, claim.claim_id


def test_worst_grades_add_up(events):
    text = figures.worst_grade_table(events).text
    assert "240 (45.4)" in text
    assert "92 (44.9)" in text
    assert "Led to" not in text


def test_comparison_table_has_no_ratio_for_nothing_over_nothing(compared):
    lines = figures.comparison_table(compared, 0.95).text.splitlines()
    dry = [line for line in lines if line.startswith("Dry mouth")]
    assert dry[0].endswith("79.4 (14.2 to 451)")
    assert dry[1].endswith("–")
    assert "95% confidence intervals" in " ".join(lines[-1:])


def test_rates_table_says_what_is_not_identified(events):
    rates = safety.rates(events, safety.treatment_time(events))
    lines = figures.rates_table(rates[rates["grade"] == "all-grades"]).text.splitlines()
    assert sum("not identified" in line for line in lines) == ROWS - 1
    assert next(line for line in lines if line.startswith("Dry mouth")).endswith("higher")


def test_denominators_and_schedule_print_as_computed():
    assert "−97" in figures.denominators_table(safety.denominators()).text
    found = [f for f in forensics.findings() if f.rule in ("dose", "schedule")]
    text = figures.schedule_table(found).text
    assert "177Lu-PSMA-617 cumulative dose, highest" in text
    assert text.count(" odd") == sum(f.verdict == "odd" for f in found)


@pytest.mark.parametrize(
    ("value", "text"), [(14.69, "+14.7"), (-0.2, "−0.2"), (0.0, "0.0"), (-0.04, "0.0"), (0.05, "+0.1")]
)
def test_signed(value, text):
    assert figures.signed(value) == text


@pytest.mark.parametrize(("ratio", "text"), [(0.944, "0.94"), (15.89, "15.9"), (451.13, "451")])
def test_ratio_text(ratio, text):
    assert figures.ratio_text(ratio) == text
