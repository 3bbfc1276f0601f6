"""Table 1: counts by subtraction, bounds on medians, standardized differences, tests between periods."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from visiontrial import baseline, published, render
from visiontrial.baseline import BaselineError, Spread
from visiontrial.figures import baseline as figures
from visiontrial.printed import parse, prints_as

proportions = st.floats(0.001, 0.999)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return baseline.counts()


def cell(table: pd.DataFrame, row: str, analysis_set: str, arm: str) -> pd.Series:
    found = table[(table["row"] == row) & (table["analysis_set"] == analysis_set) & (table["arm"] == arm)]
    assert len(found) == 1
    return found.iloc[0]


# --- counts ----------------------------------------------------------------------------------------


def test_the_table_has_every_row_in_three_sets_and_two_arms(table):
    assert len(table) == len(baseline.ROWS) * 3 * 2
    assert not table.duplicated(["row", "analysis_set", "arm"]).any()


def test_counts_by_subtraction_are_those_worked_out_by_hand(table):
    # From the printed columns: 551 - 385, 280 - 196; bone 504 - 351; cabazitaxel 107 - 84.
    assert baseline.size(table, "before_march_2019", "lu") == 166
    assert baseline.size(table, "before_march_2019", "control") == 84
    assert cell(table, "bone", "before_march_2019", "lu")["count"] == 153
    assert cell(table, "cabazitaxel", "before_march_2019", "control")["count"] == 23
    # More than two taxanes, 551 - 325 - 220 and 385 - 207 - 173: six in all, five of them later.
    assert list(table.loc[(table["row"] == "taxane-more-than-2") & (table["arm"] == "lu"), "count"]) == [
        5,
        6,
        1,
    ]


def test_levels_of_one_characteristic_add_up_to_everybody(table):
    for variable in ("ecog", "gleason", "arpi", "taxane"):
        levels = table[table["variable"] == variable]
        totals = levels.groupby(["analysis_set", "arm"]).agg(count=("count", "sum"), n=("n", "first"))
        assert (totals["count"] == totals["n"]).all(), variable


def test_origin_says_where_a_count_comes_from(table):
    assert set(table.loc[table["analysis_set"] == "before_march_2019", "origin"]) == {"subtracted"}
    printed = table[table["analysis_set"] != "before_march_2019"].groupby("row")["origin"].first()
    assert set(printed[printed == "complement"].index) == {"ecog-2", "gleason-2-7", "taxane-more-than-2"}


def test_every_percent_of_the_body_is_recomputed_and_prints_alike(table):
    ours = baseline.printed_percents(table)
    claims = published.claims()
    body = claims["claim_id"].str.match(r"table1\.(?!footnote)") & (claims["statistic"] == "percent")
    assert set(ours) == set(claims.loc[body, "claim_id"])
    assert all(prints_as(value, published.printed(claim_id)) for claim_id, value in ours.items())


def test_every_count_of_the_body_follows_from_its_percent(table):
    ours = baseline.printed_counts(table)
    assert {claim_id: published.value(claim_id) for claim_id in ours} == ours


@given(st.integers(1, 551), st.data())
def test_a_count_is_found_behind_its_percent(n, data):
    count = data.draw(st.integers(0, n))
    assert baseline.count_behind(f"{round(1000 * count / n + 1e-9) / 10:.1f}", n) == count


def test_a_percent_that_no_count_has_is_refused():
    with pytest.raises(BaselineError, match=r"50\.1% of 10: nothing could stand behind it"):
        baseline.count_behind("50.1", 10)
    with pytest.raises(BaselineError, match="5% of 831: 38 to 45 could stand behind it"):
        baseline.count_behind("5", 831)


@st.composite
def two_sets(draw):
    """A set of patients and a part of it: counts with a characteristic, one line each, in `counts` form."""
    lines = []
    for arm in baseline.ARMS:
        later_n, earlier_n = draw(st.integers(0, 500)), draw(st.integers(0, 500))
        later, earlier = draw(st.integers(0, later_n)), draw(st.integers(0, earlier_n))
        shared = {"row": "bone", "arm": arm, "origin": "printed"}
        lines.append(shared | {"analysis_set": "pfs_set", "count": later, "n": later_n})
        both = {"count": later + earlier, "n": later_n + earlier_n}
        lines.append(shared | {"analysis_set": "all_randomized"} | both)
    return pd.DataFrame(lines)


@given(two_sets())
def test_what_was_subtracted_and_what_is_left_make_the_whole(both):
    left = baseline.subtract(both).set_index(["row", "arm"])
    by_set = {name: rows.set_index(["row", "arm"]) for name, rows in both.groupby("analysis_set")}
    for column in ("count", "n"):
        whole = by_set["pfs_set"][column] + left[column]
        assert (whole == by_set["all_randomized"][column]).all()
    assert ((left["count"] >= 0) & (left["count"] <= left["n"])).all()


@given(two_sets(), st.integers(1, 50))
def test_a_part_larger_than_the_whole_is_refused(both, excess):
    later = (both["analysis_set"] == "pfs_set") & (both["arm"] == "lu")
    whole = both.loc[(both["analysis_set"] == "all_randomized") & (both["arm"] == "lu"), "count"].iloc[0]
    both.loc[later, "count"] = whole + excess
    with pytest.raises(BaselineError, match=r"bone, lu: .* cannot be part of"):
        baseline.subtract(both)


def test_the_reasons_for_the_last_taxane_cover_everybody():
    assert baseline.last_taxane_reasons().sum() == 831


@given(st.integers(1, 60), st.data())
def test_overlap_bounds_are_reached_and_never_passed(n, data):
    first, second = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    least, most = baseline.overlap(first, second, n)
    patients = range(n)
    assert least == len(set(patients[:first]) & set(patients[n - second :]))
    assert most == len(set(patients[:first]) & set(patients[:second]))


# --- medians and ranges ----------------------------------------------------------------------------


def test_the_48_year_old_was_randomized_before_march_2019():
    known = baseline.spread_of("age", "before_march_2019", "lu")
    assert known == Spread(median="≤70.0", low="48", high="≤94")
    assert known.range == "48 to ≤94"


def test_a_median_below_the_wholes_bounds_the_other_part_from_below():
    assert baseline.spread_of("time-since-diagnosis", "before_march_2019", "lu").median == "≥7.4"


def test_equal_medians_say_nothing():
    known = baseline.earlier_spread(Spread("5", "1", "9"), Spread("5", "2", "8"))
    assert known == Spread("", "1", "9")
    assert known.range == "1–9"


def test_a_part_that_reaches_further_than_the_whole_is_refused():
    with pytest.raises(BaselineError, match="reaches 0 cannot be part of one that ends at 1"):
        baseline.earlier_spread(Spread("5", "1", "9"), Spread("5", "0", "9"))
    with pytest.raises(BaselineError, match="reaches 10 cannot be part of one that ends at 9"):
        baseline.earlier_spread(Spread("5", "1", "9"), Spread("5", "1", "10"))


values = st.lists(st.integers(0, 30), min_size=1, max_size=25)


@given(values, values)
def test_what_is_said_of_the_earlier_patients_is_true_of_them(later, earlier):
    def described(patients):
        return Spread(f"{float(np.median(patients)):.1f}", str(min(patients)), str(max(patients)))

    known = baseline.earlier_spread(described(later + earlier), described(later))
    assert holds(np.median(earlier), known.median)
    assert holds(min(earlier), known.low)
    assert holds(max(earlier), known.high)


def holds(value: float, statement: str) -> bool:
    if not statement:
        return True
    printed = parse(statement)
    return {"≤": value <= printed.value, "≥": value >= printed.value, "": value == printed.value}[
        printed.sign
    ]


# --- standardized differences ----------------------------------------------------------------------


def test_standardized_difference_in_closed_form():
    # Austin 2009, doi 10.1002/sim.3697: (0.5 - 0.3) / sqrt((0.25 + 0.21) / 2) = 0.2 / sqrt(0.23).
    assert baseline.standardized_difference(0.5, 0.3) == pytest.approx(0.2 / math.sqrt(0.23))
    assert baseline.standardized_difference(0.5, 0.3) == pytest.approx(0.4170288281)


@given(proportions, proportions)
def test_swapping_the_arms_turns_the_sign(p, q):
    assert baseline.standardized_difference(p, q) == pytest.approx(-baseline.standardized_difference(q, p))


@given(proportions, proportions)
def test_counting_those_without_it_turns_the_sign(p, q):
    assert baseline.standardized_difference(1 - p, 1 - q) == pytest.approx(
        -baseline.standardized_difference(p, q), abs=1e-9
    )


def test_zero_cells():
    assert baseline.standardized_difference(0, 0) == 0
    assert baseline.standardized_difference(1, 1) == 0
    assert baseline.standardized_difference(1, 0) == math.inf
    assert baseline.standardized_difference(0, 1) == -math.inf
    # One of 166 against none of 84: finite, sqrt(2 p / (1 - p)).
    p = 1 / 166
    assert baseline.standardized_difference(p, 0) == pytest.approx(math.sqrt(2 * p / (1 - p)))


def test_multilevel_difference_in_closed_form():
    # Yang and Dalton 2012, by hand, first level left out: d = (0, -1/4),
    # S = [[6, -3], [-3, 7]] / 32, so d' S^-1 d = (1/16) (6/32) / (33/1024) = 4/11.
    found = baseline.multilevel_difference([1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 4, 1 / 2])
    assert found == pytest.approx(math.sqrt(4 / 11))


@pytest.mark.parametrize(
    ("lu", "control", "authority"),
    [
        # tableone 0.9.6: TableOne(df, columns=["x"], categorical=["x"], groupby="arm", smd=True)
        ((298, 213, 40), (128, 128, 24), 0.168),
        ((118, 47, 1), (54, 30, 0), 0.191),
        ((226, 131, 28), (118, 59, 19), 0.110),
    ],
)
def test_multilevel_difference_is_that_of_tableone(lu, control, authority):
    shares = (np.array(arm) / sum(arm) for arm in (lu, control))
    assert round(baseline.multilevel_difference(*shares), 3) == authority


@given(proportions, proportions)
def test_with_two_levels_it_is_the_size_of_the_simple_one(p, q):
    multilevel = baseline.multilevel_difference([p, 1 - p], [q, 1 - q])
    assert multilevel == pytest.approx(abs(baseline.standardized_difference(p, q)), abs=1e-9)


shares_of_three = st.tuples(*[st.integers(1, 50)] * 3).map(lambda k: np.array(k) / sum(k))


@given(shares_of_three, shares_of_three, st.permutations(range(3)))
def test_the_order_of_the_levels_does_not_matter(p, q, order):
    order = list(order)
    assert baseline.multilevel_difference(p[order], q[order]) == pytest.approx(
        baseline.multilevel_difference(p, q), abs=1e-9
    )


def test_a_level_that_nobody_has_changes_nothing():
    assert baseline.multilevel_difference([0.0, 0.4, 0.6], [0.0, 0.5, 0.5]) == pytest.approx(
        baseline.multilevel_difference([0.4, 0.6], [0.5, 0.5])
    )
    assert baseline.multilevel_difference([1.0, 0.0], [1.0, 0.0]) == 0


def test_proportions_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"must sum to 1, and sum to 0\.9 and 1"):
        baseline.multilevel_difference([0.5, 0.4], [0.5, 0.5])


def test_balance_by_variable_agrees_with_balance_where_there_are_two_levels(table):
    by_row = baseline.balance(table).set_index(["row", "analysis_set"])["smd"].abs()
    by_variable = baseline.balance_by_variable(table)
    for variable in ("lung", "docetaxel", "prostatectomy"):
        for analysis_set in by_variable.columns:
            assert by_variable.at[variable, analysis_set] == pytest.approx(by_row[variable, analysis_set])
    assert by_variable.at["ecog", "pfs_set"] == pytest.approx(by_row["ecog-0-1", "pfs_set"])


def test_chance_of_exceeding_in_closed_form():
    # Two patients, one with the characteristic, one per arm: always one against nobody.
    assert baseline.chance_of_exceeding(0.1, 1, 1, 1) == pytest.approx(1)
    # Two of four, two per arm: 4 of the 6 ways are equal, 2 put both into one arm.
    assert baseline.chance_of_exceeding(0.1, 2, 2, 2) == pytest.approx(1 / 3)
    assert baseline.chance_of_exceeding(0.1, 0, 5, 5) == 0


# --- the two periods -------------------------------------------------------------------------------


def test_period_tests_name_their_test_and_agree_with_the_library_called_alone(table):
    tests = baseline.period_tests(table, "holm", 0.05)
    assert tests.at["cabazitaxel", "test"] == "Fisher exact"
    # 71 of 250 before, 245 of 581 after.
    assert tests.at["cabazitaxel", "p"] == pytest.approx(fisher_exact([[71, 179], [245, 336]]).pvalue)
    assert tests.at["arpi", "test"] == "Pearson chi-square"
    observed = np.array([[115, 105, 30], [311, 236, 34]])
    expected = observed.sum(1, keepdims=True) * observed.sum(0) / observed.sum()
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert tests.at["arpi", "p"] == pytest.approx(math.exp(-statistic / 2))  # two degrees of freedom


def test_holm_in_closed_form(table):
    tests = baseline.period_tests(table, "holm", 0.05).sort_values("p")
    m = len(tests)
    stepwise = np.minimum(np.maximum.accumulate(tests["p"] * np.arange(m, 0, -1)), 1)
    assert tests["p_adjusted"].to_numpy() == pytest.approx(stepwise.to_numpy())
    assert (tests["rejected"] == (tests["p_adjusted"] <= 0.05)).all()


@pytest.mark.parametrize("method", ["bonferroni", "fdr_bh", "simes-hochberg"])
def test_adjusting_never_lowers_a_p_value(table, method):
    tests = baseline.period_tests(table, method, 0.05)
    assert (tests["p_adjusted"] >= tests["p"] - 1e-15).all()


def test_arms_are_pooled_before_the_periods_are_compared(table):
    both = baseline.pooled(table).set_index(["row", "analysis_set"])
    assert tuple(both.loc[("taxane-1", "before_march_2019"), ["count", "n"]]) == (172, 250)
    assert tuple(both.loc[("taxane-1", "all_randomized"), ["count", "n"]]) == (481, 831)


# --- figures and tables ----------------------------------------------------------------------------


def drawn(figure: render.Figure) -> pd.DataFrame:
    """The data of the layer with tooltips."""
    specification = figure.specification
    layer = next(part for part in specification["layer"] if "tooltip" in part["encoding"])
    return pd.DataFrame(specification["datasets"][layer.get("data", specification.get("data"))["name"]])


def encodings(figure: render.Figure) -> dict:
    return next(part["encoding"] for part in figure.specification["layer"] if "tooltip" in part["encoding"])


def test_the_love_plot_draws_the_balance_and_its_threshold(table):
    figure = figures.love_plot(table, 0.1)
    data, encoding = drawn(figure), encodings(figure)
    assert (encoding["x"]["field"], encoding["y"]["field"], encoding["shape"]["field"]) == (
        "smd",
        "row",
        "set",
    )
    expected = baseline.balance(table)
    expected = expected[expected["row"] != "ecog-2"]
    assert sorted(data["smd"]) == pytest.approx(sorted(expected["smd"].round(4)))
    cabazitaxel = data[(data["row"] == "Cabazitaxel") & (data["set"] == "Before March 5, 2019")].iloc[0]
    assert (cabazitaxel["lu"], cabazitaxel["control"]) == ("48 (28.9) of 166", "23 (27.4) of 84")
    band = figure.specification["datasets"][figure.specification["layer"][0]["data"]["name"]]
    assert band == [{"low": -0.1, "high": 0.1}]


def test_no_row_name_is_cut_and_no_point_lies_outside(table):
    for threshold in (0.1, 0.9):
        figure = figures.love_plot(table, threshold)
        low, high = encodings(figure)["x"]["scale"]["domain"]
        assert drawn(figure)["smd"].between(low, high).all() and high > threshold


def test_the_description_is_made_from_the_numbers(table):
    assert "All randomized: 2 of 17 beyond 0.1 in size; the largest is +0.17" in (
        figures.love_plot(table, 0.1).description
    )
    assert "All randomized: 0 of 17 beyond 0.5 in size" in figures.love_plot(table, 0.5).description


def test_the_period_chart_draws_both_periods_and_orders_by_gap(table):
    figure = figures.periods(table)
    data, encoding = drawn(figure), encodings(figure)
    assert (encoding["x"]["field"], encoding["y"]["field"]) == ("percent", "label")
    assert encoding["y"]["sort"][0] == "One taxane"
    assert list(data["gap"].abs()) == sorted(data["gap"].abs(), reverse=True)
    earlier = data[(data["label"] == "Bone disease") & (data["randomized"] == "Before March 5, 2019")].iloc[0]
    assert (earlier["percent"], earlier["patients"]) == (92.0, "230 (92.0) of 250")
    assert "Cabazitaxel, 71 (28.4) of 250 before and 245 (42.2) of 581 after" in figure.description


@pytest.mark.parametrize("draw", [lambda t: figures.love_plot(t, 0.1), figures.periods])
def test_figures_fit_page_and_phone_and_are_the_same_every_time(table, draw):
    assert draw(table).html() == draw(table).html()


def test_table_one_prints_what_the_paper_prints_and_what_is_left(table):
    text = figures.table_one(table).text
    lines = {line.split("  ")[0]: line.split("  ") for line in text.splitlines()}
    bone = [part.strip() for part in lines["Bone"] if part.strip()]
    assert bone == [
        "Bone", "351 (91.2)", "179 (91.3)", "504 (91.5)", "256 (91.4)", "153 (92.2)", "77 (91.7)",
    ]  # fmt: skip
    assert "≤70.0 (48 to ≤94)" in text


def test_the_tables_are_the_same_every_time(table):
    tests = baseline.period_tests(table, "holm", 0.05)
    for made in (
        lambda: figures.table_one(table),
        lambda: figures.period_table(table, tests, "holm"),
        lambda: figures.by_variable_table(baseline.balance_by_variable(table)),
    ):
        assert made().html == made().html


@pytest.mark.parametrize(
    ("p", "text"), [(0.00099, "<0.001"), (0.001, "0.001"), (0.0451, "0.045"), (1.0, "1.000")]
)
def test_p_values_are_printed_with_three_decimals(p, text):
    assert figures.p_text(p) == text


@pytest.mark.parametrize(("difference", "text"), [(0.168, "+0.17"), (-0.143, "−0.14"), (0.0, "+0.00")])
def test_signed_differences(difference, text):
    assert figures.signed(difference) == text
