"""Objective response: R's numbers, the definition of exact limits, bounds in closed form, the empty cell."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nchypergeom_fisher

from visiontrial import forensics, published, response
from visiontrial.printed import as_printed, prints_as
from visiontrial.response import Cells

OBJECTIVE = Cells(94, 184, 2, 64)
COMPLETE = Cells(17, 184, 0, 64)
WHOLE = {"lu": 385, "control": 196}


# --- counts and proportions ---------------------------------------------------------------------


def test_printed_counts_are_read():
    assert response.cells("objective") == OBJECTIVE
    assert response.cells("complete") == COMPLETE
    assert response.cells("partial") == Cells(77, 184, 2, 64)


def test_printed_percents_come_from_the_printed_counts():
    percents = response.proportions(0.95).set_index(["kind", "arm"])["percent"]
    claims = {("complete", "lu"): "cr.lu", ("partial", "lu"): "pr.lu", ("partial", "control"): "pr.control"}
    for key, claim in claims.items():
        assert prints_as(percents[key], published.printed(f"response.{claim}.percent"))


def test_intervals_are_those_of_r():
    """R 4.2.2: binom.test(x, n)$conf.int and prop.test(x, n, correct=FALSE)$conf.int."""
    exact = {
        (17, 184): (0.05474598956, 0.14380502163),
        (2, 64): (0.003807181382, 0.108370522225),
        (0, 64): (0, 0.05600908939),
    }
    wilson = {
        (17, 184): (0.05848533194, 0.14296891069),
        (2, 64): (0.008612138346, 0.106972917710),
        (0, 64): (0, 0.05662405979),
    }
    for name, known in (("exact", exact), ("wilson", wilson)):
        for (count, n), limits in known.items():
            assert response.interval(count, n, 0.95, name) == pytest.approx(limits, abs=1e-9)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_nobodys_exact_limit_is_a_closed_form(n, data, level):
    low, high = response.interval(0, n, level, "exact")
    assert low == 0
    assert high == pytest.approx(1 - ((1 - level) / 2) ** (1 / n))
    count = data.draw(st.integers(0, n))
    for name in response.INTERVALS:
        low, high = response.interval(count, n, level, name)
        assert -1e-12 <= low <= count / n + 1e-12
        assert count / n <= high + 1e-12 <= 1 + 2e-12


# --- odds ratios and tests ------------------------------------------------------------------------


def test_fishers_test_is_that_of_r():
    """R 4.2.2: fisher.test(matrix(c(94, 90, 2, 62), 2, byrow=TRUE))$p.value, and so on."""
    assert response.fisher(OBJECTIVE) == pytest.approx(7.86795503e-14, rel=1e-7)
    assert response.fisher(COMPLETE) == pytest.approx(0.007989555636, rel=1e-9)
    assert response.fisher(Cells(77, 184, 2, 64)) == pytest.approx(2.571586756e-10, rel=1e-8)


def test_fisher_on_his_own_tea():
    """Fisher 1935, The design of experiments, chapter 2: all four cups right has chance 1/70 on one side."""
    assert response.fisher(Cells(4, 4, 0, 4)) == pytest.approx(2 / 70)
    assert response.fisher(Cells(3, 4, 1, 4)) == pytest.approx(2 * 17 / 70)


@pytest.mark.parametrize("table", [OBJECTIVE, COMPLETE, Cells(77, 184, 2, 64), Cells(3, 9, 5, 12)])
def test_conditional_limits_hold_the_definition(table):
    """The lower limit is the odds ratio under which so many events or more have half of alpha, and so on.

    R 4.2.2 gives 1.520256879 and Inf for the second table; for the first it stops at 276.17, where its
    search is not exact: the definition decides.
    """
    found = response.odds_ratio(table, 0.95, "conditional")
    size, events = table.n_lu + table.n_control, table.events_lu + table.events_control
    margins = (size, events, table.n_lu)
    assert nchypergeom_fisher.sf(table.events_lu - 1, *margins, found.low) == pytest.approx(0.025, rel=1e-4)
    if math.isfinite(found.high):
        assert nchypergeom_fisher.cdf(table.events_lu, *margins, found.high) == pytest.approx(0.025, rel=1e-4)
        assert nchypergeom_fisher.mean(*margins, found.ratio) == pytest.approx(table.events_lu, rel=1e-4)


def test_an_empty_cell_by_each_estimator():
    conditional, sample, half = (response.odds_ratio(COMPLETE, 0.95, e) for e in response.ESTIMATORS)
    assert (conditional.ratio, conditional.high) == (math.inf, math.inf)
    assert conditional.low == pytest.approx(1.520256879, rel=1e-6)
    assert sample.ratio == math.inf and math.isnan(sample.low) and math.isnan(sample.high)
    assert half.ratio == pytest.approx(17.5 * 64.5 / (167.5 * 0.5))  # the half in every cell
    assert half.low < 1 < half.high
    assert math.isnan(response.tests(COMPLETE)["Wald"])


def test_woolfs_limits_by_hand():
    """Woolf 1955: log odds ratio with standard error sqrt(1/a + 1/b + 1/c + 1/d)."""
    found = response.odds_ratio(OBJECTIVE, 0.95, "sample")
    error = math.sqrt(1 / 94 + 1 / 90 + 1 / 2 + 1 / 62)
    ratio = 94 * 62 / (90 * 2)
    assert found.ratio == pytest.approx(ratio)
    assert found.low == pytest.approx(ratio * math.exp(-1.959963985 * error))
    z = math.log(ratio) / error
    assert response.tests(OBJECTIVE)["Wald"] == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-6)


@given(st.integers(1, 40), st.integers(1, 40), st.data(), st.sampled_from(list(response.ESTIMATORS)))
@settings(max_examples=60, deadline=None)
def test_an_odds_ratio_turns_with_its_arms(n1, n0, data, estimator):
    k1, k0 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    one = response.odds_ratio(Cells(k1, n1, k0, n0), 0.9, estimator)
    other = response.odds_ratio(Cells(k0, n0, k1, n1), 0.9, estimator)
    for mine, theirs in ((one.ratio, other.ratio), (one.low, other.high), (one.high, other.low)):
        assert math.isnan(mine) == math.isnan(theirs)
        if 0 < mine < math.inf:
            assert mine == pytest.approx(1 / theirs, rel=1e-3)
        elif not math.isnan(mine):
            assert theirs == (math.inf if mine == 0 else 0)


def test_boschloo_is_no_less_powerful_than_fisher():
    for table in (OBJECTIVE, COMPLETE, Cells(3, 9, 5, 12)):
        found = response.tests(table)
        assert found["Boschloo"] <= found["Fisher"]


# --- the patients measured, and the others ------------------------------------------------------


def test_the_measured_share_is_the_one_of_the_forensics():
    stages = response.stages().set_index(["part", "whole"])
    measured = stages.loc[("measured", "randomized")]
    known = list(forensics.arm_comparisons(forensics.as_published()))[-1]
    assert measured["errors"] == pytest.approx(known.errors)
    assert as_printed(measured["lu_percent"], 1) == "47.8"
    assert as_printed(measured["control_percent"], 1) == "32.7"


def test_a_share_of_all_is_the_product_of_its_stages():
    stages = response.stages().set_index(["part", "whole"])
    for arm in response.ARMS:
        first, second, both = stages[f"{arm}_percent"]
        assert both == pytest.approx(first * second / 100)


def test_sets_are_nested_and_shares_fall():
    sizes = response.set_sizes()
    assert (sizes.diff().dropna() >= 0).all().all()
    for _, rows in response.by_set(0.95).groupby("arm"):
        assert rows["percent"].is_monotonic_decreasing
        assert (rows["count"] == rows["complete"] + rows["partial"]).all()


@given(st.integers(1, 500), st.data())
def test_counts_of_a_percent_are_all_counts_that_print_as_it(n, data):
    count = data.draw(st.integers(0, n))
    percent = as_printed(100 * count / n, 0)
    fewest, most = response.counts_of_percent(percent, n)
    fitting = [k for k in range(n + 1) if as_printed(100 * k / n, 0) == percent]
    assert (fewest, most) == (fitting[0], fitting[-1])


def test_a_percent_of_nobody_is_refused():
    with pytest.raises(response.ResponseError, match="no whole number of 7 patients prints as 50%"):
        response.counts_of_percent("50", 7)


def test_bounds_by_hand():
    found = response.bounds(OBJECTIVE, WHOLE)
    assert found.loc["none"].tolist() == pytest.approx(
        [100 * v for v in (94 / 385, 94 / 385, 2 / 196, 2 / 196, 94 / 385 - 2 / 196, 94 / 385 - 2 / 196)]
    )
    # As many as in the control arm: 64/196 of 385.
    kept = 64 / 196 * 385
    always = found.loc["always"]
    assert always["lu_low"] == pytest.approx(100 * (94 - (184 - kept)) / kept)
    assert always["lu_high"] == pytest.approx(100 * 94 / kept)
    assert [always["control_low"], always["control_high"]] == pytest.approx([100 * 2 / 64] * 2)
    anything = found.loc["anything"]
    assert anything["difference_low"] == pytest.approx(100 * (94 / 385 - (2 + 132) / 196))
    assert anything["difference_high"] == pytest.approx(100 * ((94 + 201) / 385 - 2 / 196))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=7), st.data())
@settings(max_examples=40, deadline=None)
def test_trimming_bounds_are_sharp(patients, data):
    """Of all ways to keep as many patients as the other arm has, two reach the ends and none goes beyond."""
    events = [event for event, measured in patients if measured]
    if not events:
        return
    kept = data.draw(st.integers(1, len(events)))
    # The other arm is as large, has `kept` measured patients, and nobody responded there.
    table = Cells(sum(events), len(events), 0, kept)
    found = response.bounds(table, {"lu": len(patients), "control": len(patients)}).loc["always"]
    shares = [100 * sum(chosen) / kept for chosen in combinations(events, kept)]
    assert (found["lu_low"], found["lu_high"]) == pytest.approx((min(shares), max(shares)))


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_bounds_hold_each_other(n1, n0, data):
    m1, m0 = data.draw(st.integers(1, n1)), data.draw(st.integers(1, n0))
    table = Cells(data.draw(st.integers(0, m1)), m1, data.draw(st.integers(0, m0)), m0)
    found = response.bounds(table, {"lu": n1, "control": n0})
    widest = found.loc["anything"]
    assert (found["difference_low"] <= found["difference_high"] + 1e-9).all()
    for name in ("as measured", "none"):
        assert widest["difference_low"] - 1e-9 <= found.at[name, "difference_low"]
        assert found.at[name, "difference_high"] <= widest["difference_high"] + 1e-9
    always, measured = found.loc["always"], found.loc["as measured"]
    assert always["difference_low"] - 1e-9 <= measured["difference_low"] <= always["difference_high"] + 1e-9


def test_more_measured_than_randomized_is_refused():
    with pytest.raises(response.ResponseError, match="control: 64 patients measured of 60"):
        response.bounds(OBJECTIVE, {"lu": 385, "control": 60})


def test_tipping_against_every_table():
    """On a small trial the line is found by trying all pairs."""
    table, whole, alpha = Cells(9, 12, 1, 8), {"lu": 20, "control": 20}, 0.05
    found = response.tipping(table, whole, alpha)
    for line in found.itertuples():
        p_values = [response.fisher(response.supposed(table, whole, line.lu, k)) for k in range(13)]
        assert line.lost == next(k for k, p in enumerate(p_values) if p > alpha)
        assert (9 + line.lu) / 20 == pytest.approx((1 + line.equal) / 20)


def test_tipping_of_the_trial():
    found = response.tipping(OBJECTIVE, WHOLE, 0.05)
    assert found["lost"].is_monotonic_increasing
    assert (found["lost"] <= found["equal"]).all()
    first = found.iloc[0]
    assert response.fisher(response.supposed(OBJECTIVE, WHOLE, 0, int(first["lost"]) - 1)) <= 0.05
    assert response.fisher(response.supposed(OBJECTIVE, WHOLE, 0, int(first["lost"]))) > 0.05
    assert first["equal"] == pytest.approx(94 / 385 * 196 - 2)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [(5, 4, 0, 3), (0, 0, 1, 2), (-1, 3, 1, 2)])
def test_a_table_of_impossible_counts_is_refused(bad):
    with pytest.raises(response.ResponseError, match=r"lu: .* is no proportion"):
        Cells(*bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: response.cells("stable"), "kind 'stable' is unknown here; use one of objective"),
        (lambda: response.interval(1, 2, 0.95, "wald"), "interval 'wald' is unknown here; use one of exact"),
        (lambda: response.odds_ratio(OBJECTIVE, 0.95, "mle"), "estimator 'mle' is unknown here"),
    ],
)
def test_unknown_settings_are_refused(call, message):
    with pytest.raises(response.ResponseError, match=message):
        call()
