"""Table 2, comparisons of two proportions, and the bounds of time: closed forms, edges, truth inside."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from visiontrial import published, safety
from visiontrial.printed import as_printed, parse


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return safety.counts()


# --- counts ----------------------------------------------------------------------------------


def test_every_count_of_the_body_is_read_once(events):
    claims = published.claims()
    body = claims["claim_id"].str.fullmatch(r"table2\.[a-z-]+\.(lu|control)\.(all-grades|grade-3)\.count")
    printed = events[events["grade"] != "grade-1-2"]
    assert len(printed) == body.sum() == 66
    assert not printed.duplicated(["event", "arm", "grade"]).any()


def test_counts_and_percents_of_the_body_print_as_published(events):
    assert all(as_printed(v, 1) == published.printed(c) for c, v in safety.printed_percents(events).items())
    assert all(str(v) == published.printed(c) for c, v in safety.printed_counts(events).items())


def test_what_is_not_applicable_has_no_line(events):
    control = set(events.loc[events["arm"] == "control", "event"])
    assert {"dose-reduction", "interruption", "discontinuation"}.isdisjoint(control)
    assert "death" in control


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20))
def test_subtraction_gives_back_the_whole(pairs):
    lines = [
        {"event": f"e{n}", "arm": "lu", "grade": grade, "count": count}
        for n, (mild, severe) in enumerate(pairs)
        for grade, count in (("all-grades", mild + severe), ("grade-3", severe))
    ]
    rest = safety.subtract(pd.DataFrame(lines))
    assert list(rest["count"]) == [mild for mild, _ in pairs]
    assert set(rest["grade"]) == {"grade-1-2"}


def test_more_severe_than_any_is_refused():
    lines = [
        {"event": "fatigue", "arm": "lu", "grade": "all-grades", "count": 3},
        {"event": "fatigue", "arm": "lu", "grade": "grade-3", "count": 4},
    ]
    with pytest.raises(safety.SafetyError, match="fatigue, lu: 4 patients"):
        safety.subtract(pd.DataFrame(lines))


def test_grade_1_or_2_never_exceeds_any_grade(events):
    for (_, _), rows in events.groupby(["event", "arm"]):
        by_grade = rows.set_index("grade")["count"]
        assert 0 <= by_grade["grade-1-2"] <= by_grade["all-grades"]


# --- who is counted ----------------------------------------------------------------------------


def test_figure_1_leads_to_the_columns_of_table_2(events):
    who = safety.denominators()
    assert who.loc["analysed"].to_dict() == {
        "lu": safety.size(events, "lu"),
        "control": safety.size(events, "control"),
        "both": 734,
    }
    assert who.loc["untreated", "both"] == -97
    assert who.loc["moved", "both"] == 0


def test_without_the_moved_patients_bounds_hold_the_printed_percent(events):
    control = safety.without_moved(events, 4)
    whole = control["count"].between(4, 201)
    assert (control.loc[whole, "percent_low"] <= control.loc[whole, "percent"]).all()
    assert (control["percent_high"] >= control["percent"]).all()
    severe = control[(control["event"] == "any") & (control["grade"] == "grade-3")].iloc[0]
    assert severe["percent_low"] == pytest.approx(100 * 74 / 201)
    assert severe["percent_high"] == pytest.approx(100 * 78 / 201)


@given(st.lists(st.sets(st.integers(0, 5), max_size=6), min_size=1, max_size=40))
def test_patients_with_unlisted_kinds_only_are_never_overstated(kinds_of_patients):
    """Kinds 0 to 2 are listed, 3 to 5 are not: the bound is at most the true number."""
    count = {f"k{k}": sum(k in kinds for kinds in kinds_of_patients) for k in range(3)}
    count["any"] = sum(bool(kinds) for kinds in kinds_of_patients)
    table = pd.DataFrame(
        {
            "kind": ["any" if name == "any" else "listed" for name in count],
            "arm": "lu",
            "grade": "grade-3",
            "count": list(count.values()),
            "n": len(kinds_of_patients),
        }
    )
    truth = sum(bool(kinds) and kinds.isdisjoint(range(3)) for kinds in kinds_of_patients)
    assert safety.beyond_the_list(table)["only_unlisted"].iloc[0] <= truth


def test_severe_events_beyond_the_list(events):
    gap = safety.beyond_the_list(events)["only_unlisted"]
    assert gap[("control", "grade-3")] == 78 - 30
    assert gap[("lu", "grade-3")] == 279 - 250


def test_every_listed_kind_exceeds_the_limit_in_some_arm(events):
    listed = events[(events["kind"] == "listed") & (events["grade"] == "all-grades")]
    threshold = float(parse(published.printed("table2.label.occurrence")).value)
    assert (listed.groupby("event")["percent"].max() > threshold).all()
    assert safety.most_unlisted(12, 529) == 63
    assert safety.most_unlisted(12, 200) == 24  # exactly the limit does not exceed it


# --- differences and ratios ------------------------------------------------------------------------


def test_newcombes_own_example():
    """Newcombe 1998, table II, example (a), 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    estimate, low, high = safety.risk_difference(56, 70, 48, 80, 0.95, "newcomb")
    assert estimate == pytest.approx(0.2)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@given(st.integers(1, 400), st.integers(1, 400), st.data(), st.sampled_from(safety.DIFFERENCE_METHODS))
def test_a_difference_lies_in_its_interval_and_turns_with_its_arms(n1, n0, data, method):
    k1, k0 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    estimate, low, high = safety.risk_difference(k1, n1, k0, n0, 0.95, method)
    if method != "agresti-caffo":  # its middle is not the estimate
        assert low - 1e-9 <= estimate <= high + 1e-9
    turned = safety.risk_difference(k0, n0, k1, n1, 0.95, method)
    assert turned == pytest.approx((-estimate, -high, -low), abs=1e-6)


def test_nothing_over_nothing_has_no_ratio():
    for method in safety.RATIO_METHODS:
        estimate, low, high = safety.risk_ratio(0, 529, 0, 205, 0.95, method)
        assert math.isnan(estimate)
        assert (low, high) == (0, math.inf)


def test_one_empty_arm():
    assert safety.risk_ratio(5, 100, 0, 100, 0.95, "score")[0] == math.inf
    assert safety.risk_ratio(5, 100, 0, 100, 0.95, "score")[1] > 0
    assert safety.risk_ratio(0, 100, 5, 100, 0.95, "score")[:2] == (0, 0)
    with pytest.raises(safety.SafetyError, match="all 100 of the second group"):
        safety.risk_ratio(5, 100, 100, 100, 0.95, "score")


def test_log_adjusted_ratio_by_its_formula():
    _, low, high = safety.risk_ratio(205, 529, 1, 205, 0.95, "log-adjusted")
    middle = math.log((205.5 / 529.5) / (1.5 / 205.5))
    reach = 1.959963985 * math.sqrt(1 / 205.5 - 1 / 529.5 + 1 / 1.5 - 1 / 205.5)
    assert (low, high) == pytest.approx((math.exp(middle - reach), math.exp(middle + reach)))


def test_unknown_methods_are_refused():
    with pytest.raises(safety.SafetyError, match="use one of newcomb, agresti-caffo"):
        safety.risk_difference(1, 10, 2, 10, 0.95, "exact")
    with pytest.raises(safety.SafetyError, match="use one of score, log-adjusted"):
        safety.risk_ratio(1, 10, 2, 10, 0.95, "wald")


@pytest.mark.parametrize("difference", safety.DIFFERENCE_METHODS)
@pytest.mark.parametrize("ratio", safety.RATIO_METHODS)
def test_all_methods_serve_the_whole_table(events, difference, ratio):
    compared = safety.comparisons(events, 0.9, difference, ratio)
    assert len(compared) == 15 * 3
    assert compared["difference"].between(compared["difference_low"], compared["difference_high"]).all()
    finite = compared.dropna(subset=["ratio"])
    assert finite["ratio"].between(finite["ratio_low"], finite["ratio_high"]).all()


# --- time ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 400), min_size=3, max_size=60))
def test_the_true_total_lies_within_its_bounds(tenths):
    """Times in tenths of a month, printed with one decimal as the paper prints them."""
    times = np.array(tenths) / 10
    printed = [as_printed(float(v), 1) for v in (np.median(times), times.min(), times.max())]
    bounds = safety.person_time(len(times), *printed)
    assert float(bounds.low) - 1e-9 <= times.sum() <= float(bounds.high) + 1e-9


@pytest.mark.parametrize(
    ("least", "greatest"),
    [([0, 1, 5], [0, 1, 5]), ([0, 1, 1, 5], [0, 1, 1, 5]), ([0, 0, 1, 1, 5], [0, 1, 1, 5, 5])],
)
def test_bounds_are_reached(least, greatest):
    """Median 1, from 0 to 5, printed exactly enough: the extremes are real samples."""
    bounds = safety.person_time(len(least), "1.000000", "0.000000", "5.000000")
    assert float(bounds.low) == pytest.approx(sum(least), abs=1e-4)
    assert float(bounds.high) == pytest.approx(sum(greatest), abs=1e-4)


def test_impossible_times_are_refused():
    with pytest.raises(safety.SafetyError, match="from three times on"):
        safety.person_time(2, "1.0", "0.5", "2.0")
    with pytest.raises(safety.SafetyError, match="outside the range"):
        safety.person_time(9, "3.0", "0.5", "2.0")


def test_only_dry_mouth_is_identified_by_the_printed_times(events):
    rates = safety.rates(events, safety.treatment_time(events))
    printed = rates[rates["grade"] != "grade-1-2"]
    assert list(printed.loc[printed["identified"], "event"]) == ["dry-mouth"]
    assert (rates["ratio_low"] < rates["ratio_high"]).all()
    assert len(printed) == 29  # dry mouth of grade 3 or more has no rate in either arm


def test_tipping_ratio_recovers_the_ratio_of_times():
    """Constant hazard, equal times: 20,000 and 30,000 patients, the first watched 2.5 times longer."""
    p0 = 0.1
    p1 = 1 - (1 - p0) ** 2.5
    estimate, low, high = safety.cumulative_hazard_ratio(
        round(20000 * p1), 20000, round(30000 * p0), 30000, 0.95
    )
    assert estimate == pytest.approx(2.5, rel=1e-3)
    assert low < estimate < high


def test_odds_ratio_recovers_the_ratio_of_exponential_times():
    hazard, mean = 0.2, 3.0
    p0 = hazard * mean / (1 + hazard * mean)
    p1 = 4 * hazard * mean / (1 + 4 * hazard * mean)
    n = 10**6
    assert safety.odds_ratio(round(n * p1), n, round(n * p0), n) == pytest.approx(4, rel=1e-4)


def test_simulated_coverage_of_the_tipping_interval():
    """400 trials of the size of Table 2, true ratio 2: about 95 of 100 intervals hold it."""
    rng = np.random.default_rng(20211001)
    p0 = 0.2
    drawn = zip(rng.binomial(529, 1 - (1 - p0) ** 2, 400), rng.binomial(205, p0, 400), strict=True)
    intervals = [safety.cumulative_hazard_ratio(int(k1), 529, int(k0), 205, 0.95) for k1, k0 in drawn]
    held = [low <= 2 <= high for _, low, high in intervals]
    assert 0.92 <= np.mean(held) <= 0.98


@given(st.integers(2, 300), st.integers(2, 300), st.data())
def test_spread_times_need_the_larger_ratio(n1, n0, data):
    k1, k0 = data.draw(st.integers(1, n1 - 1)), data.draw(st.integers(1, n0 - 1))
    assume(k1 / n1 > k0 / n0)
    equal, _, _ = safety.cumulative_hazard_ratio(k1, n1, k0, n0, 0.95)
    assert safety.odds_ratio(k1, n1, k0, n0) >= equal * (1 - 1e-9)


def test_nobody_or_everybody_gives_no_tipping_ratio():
    for cells in ((0, 10, 2, 10), (2, 10, 0, 10), (10, 10, 2, 10), (2, 10, 10, 10)):
        assert all(math.isnan(v) for v in safety.cumulative_hazard_ratio(*cells, 0.95))
        assert math.isnan(safety.odds_ratio(*cells))


def test_ratio_of_medians_holds_the_printed_ratio_and_shrinks_with_a_window():
    plain, windowed = safety.ratio_of_medians(), safety.ratio_of_medians(30)
    assert float(plain.low) < 7.6 / 2.1 < float(plain.high)
    assert windowed.high < plain.low


def test_activity_halves_in_each_half_life():
    assert safety.activity_left(0, 7) == 1
    assert safety.activity_left(21, 7) == pytest.approx(1 / 8)
    assert safety.activity_left(30, 7) == pytest.approx(0.0513, abs=1e-4)
