"""Imputation, bounds, pooling and tipping points equal closed forms, other programs and their own limits.

Monte Carlo results are held to `SIGMAS` of their standard errors; seeds are fixed, so no test passes by luck.
R calls were run in R 4.2.2 with mice 3.15.0; their outputs are constants here.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg

from visiontrial import paths, published, survival
from visiontrial.cohort import displayed, kernel, reader, store, verify
from visiontrial.printed import prints_as
from visiontrial.sensitivity import (
    bounds,
    coverage,
    dropout,
    fits,
    hazards,
    imputation,
    pooling,
    precomputed,
    scenarios,
    tipping,
    weighting,
)
from visiontrial.sensitivity.dropout import NO_DROPOUT, Rows
from visiontrial.sensitivity.imputation import Imputer, Times
from visiontrial.sensitivity.scenarios import ANALYSES, CONTROL, LU, SCENARIOS
from visiontrial.survival import outcomes

SIGMAS = 4.5
MANY = 400


@pytest.fixture(scope="module")
def trial():
    return reader.read(paths.RECONSTRUCTION / "vision")


@pytest.fixture(scope="module")
def shown():
    return displayed.read()


@pytest.fixture(scope="module")
def rows_of(trial, shown):
    return {name: a.rows(trial, shown.adsl, shown.adtte) for name, a in ANALYSES.items()}


@pytest.fixture(scope="module")
def stored():
    return precomputed.read()


def small(day, event, arm, reason=None, end=None, dies=None, covariates=None) -> Rows:
    """Rows of a few patients; without more, those without an event are withdrawals, followed to day 1000."""
    data = outcomes(day, event, arm)
    size = len(data)
    return Rows(
        data=data,
        reason=np.where(data.event, NO_DROPOUT, 0) if reason is None else np.asarray(reason),
        end=np.full(size, 1000) if end is None else np.asarray(end),
        dies=np.zeros(size, bool) if dies is None else np.asarray(dies, bool),
        covariates=np.empty((size, 0)) if covariates is None else np.asarray(covariates, float),
    )


def simulated(generator, size=150, **options) -> Rows:
    return coverage.Design("test", patients=size, **options).draw(generator)[0]


# --- who dropped out -------------------------------------------------------------------------------


def test_everybody_has_an_event_or_a_reason_or_reached_the_cutoff(rows_of, shown):
    for name, rows in rows_of.items():
        paramcd = ANALYSES[name].paramcd
        times = shown.adtte[shown.adtte["PARAMCD"] == paramcd].set_index("USUBJID")
        if ANALYSES[name].population == "all_randomized" and not ANALYSES[name].forgets:
            administrative = times["EVNTDESC"].str.startswith("Alive").sum()
            assert rows.data.event.sum() + len(rows.dropouts) + administrative == len(rows.data)
        assert not rows.data.event[rows.dropouts].any()
        assert (rows.end >= rows.data.days).all()


def test_without_vital_status_are_those_who_left_and_whose_status_was_not_learned(rows_of, shown):
    left = shown.adtte[(shown.adtte["PARAMCD"] == "OS") & (shown.adtte["CNSR"] == 1)]
    unknown = ~left["EVNTDESC"].str.startswith("Alive")
    assert len(rows_of["os"].dropouts) == unknown.sum()
    assert scenarios.dropouts_by_reason(rows_of["os"]).sum() == unknown.sum()


def test_forgetting_leaves_what_figure_1_counts(trial, shown, rows_of):
    """Deaths are those that Figure 1 gives as the reason for leaving; all others who left are dropouts."""
    rows = rows_of["os-left"]
    reasons = ("consent-withdrawn", "lost", "investigator")
    for arm, name in ((CONTROL, "control"), (LU, "lu")):
        stem = f"fig1.{name}.discontinued-trial"
        mine = rows.data.arm == arm
        assert rows.data.event[mine].sum() == published.value(f"{stem}.died.all")
        claims = [f"{stem}.{reason}.all" for reason in reasons if (name, reason) != ("lu", "investigator")]
        assert (rows.dropout_arm == arm).sum() == sum(published.value(claim) for claim in claims)
    assert not rows.dies[rows.dropouts].any()
    # Nobody is followed after the day he left, and of those who stayed nothing is changed.
    left = shown.adsl["EOSSTT"].isin([s.label for s in trial.end_states if s.kind == "left"])
    days = (shown.adsl["EOSDT"] - shown.adsl["RANDDT"]).dt.days + 1
    assert (rows.data.days[left] == days[left]).all()
    assert (rows.data.days[~left] == rows_of["os"].data.days[~left]).all()


def test_a_cohort_with_nothing_learned_breaks_no_rule(trial, shown):
    assert verify.structure(trial, *dropout.forgotten(trial, shown.adsl, shown.adtte)) == []


def test_forgetting_takes_nothing_back_from_those_who_stayed(trial, shown):
    _, adtte = dropout.forgotten(trial, shown.adsl, shown.adtte)
    changed = adtte.ne(shown.adtte).any(axis=1)
    left = shown.adsl.loc[
        shown.adsl["EOSSTT"].isin(["Withdrew consent", "Lost to follow-up", "Withdrawn by investigator"]),
        "USUBJID",
    ]
    assert changed.any()
    assert adtte.loc[changed, "USUBJID"].isin(left).all()
    assert (adtte["AVAL"] <= shown.adtte["AVAL"]).all()


def test_days_unseen_are_counted_from_the_last_contact_of_those_in_follow_up(trial, shown, rows_of):
    unseen = dropout.days_unseen(trial, shown.adtte.assign(member=7))
    rows = rows_of["os"]
    gaps = (rows.end - rows.data.days)[~rows.data.event & (rows.reason == NO_DROPOUT)]
    assert (unseen["member"] == 7).all()
    assert sorted(unseen["days"][unseen["days"] > 0]) == sorted(gaps[gaps > 0])


def test_an_unknown_reason_is_not_guessed(trial, shown):
    adtte = shown.adtte.copy()
    adtte.loc[(adtte["PARAMCD"] == "PFS") & (adtte["CNSR"] == 1), "EVNTDESC"] = "Moved to the seaside"
    with pytest.raises(dropout.UnknownReason, match="Moved to the seaside"):
        dropout.rows(trial, shown.adsl, adtte, "PFS", "pfs_set")


def test_a_death_too_long_after_the_last_scan_is_an_end_of_imaging(trial, shown):
    adtte = shown.adtte.copy()
    first = adtte[(adtte["PARAMCD"] == "PFS") & (adtte["EVNTDESC"] == "Imaging stopped")].index[0]
    before = dropout.rows(trial, shown.adsl, adtte, "PFS", "all_randomized")
    adtte.loc[first, "EVNTDESC"] = "Death more than 168 days after last assessment"
    after = dropout.rows(trial, shown.adsl, adtte, "PFS", "all_randomized")
    assert after.reason.tolist() == before.reason.tolist()


def test_nobody_drops_out_after_the_last_day():
    with pytest.raises(ValueError, match="row 1 drops out on day 8, after the last day 5"):
        small([3, 8], [1, 0], [0, 1], end=[9, 5])


def test_factors_by_arm_and_reason():
    rows = small([1, 2, 3, 4], [0, 0, 0, 1], [0, 1, 1, 1], reason=[0, 1, 2, -1])
    assert rows.factors({}).tolist() == [1, 1, 1]
    assert rows.factors({LU: 3.0}).tolist() == [1, 3, 3]
    assert rows.factors({LU: {"imaging": 4.0}, CONTROL: 0.5}).tolist() == [0.5, 1, 4]


# --- hazards ---------------------------------------------------------------------------------------


def test_hazards_of_five_patients_by_hand():
    # Days 1, 2+, 3, 4, 4+ (+: censored). At risk 5, 3, 2: S = 4/5, 8/15, 4/15.
    data = outcomes([1, 2, 3, 4, 4], [1, 0, 1, 1, 0], [0] * 5)
    found = hazards.kaplan_meier(data, np.ones((1, 5)), 0)
    assert found.days.tolist() == [1, 3, 4]
    assert np.exp(-found.cumulative[0]) == pytest.approx([1, 4 / 5, 8 / 15, 4 / 15])
    assert found.tail[0] == pytest.approx(-math.log(4 / 15) / 4)


def test_first_day_is_where_the_hazard_has_grown_enough():
    curve = hazards.Hazards(np.array([10, 20]), np.array([[0, 0.5, 1.5]]), np.array([30]), np.array([0.05]))
    amounts = np.array([[0.0, 0.4, 0.6, 1.59, math.inf]])
    found = curve.first_day_after(np.array([5] * 5), amounts)
    # Grown by 0: on the first day it grows at all. 1.59 is 0.09 more than the curve: two days of tail.
    assert found[0].tolist() == [10, 10, 20, 32, hazards.NEVER]
    # From day 40 on, ten days into the tail, it grows by 0.05 a day.
    assert curve.first_day_after(np.array([40]), np.array([[0.49]]))[0, 0] == 50


def test_a_curve_that_ends_at_zero_takes_the_step_of_nelson_and_aalen():
    found = hazards.kaplan_meier(outcomes([3, 7], [1, 1], [0, 0]), np.ones((1, 2)), 0)
    assert found.cumulative[0] == pytest.approx([0, math.log(2), math.log(2) + 1])


def test_a_resample_is_of_the_arm_and_of_its_size():
    arm = np.array([0] * 30 + [1] * 50)
    weights = hazards.resample(np.random.default_rng(1), arm, 20)
    assert (weights[:, arm == 0].sum(axis=1) == 30).all()
    assert (weights[:, arm == 1].sum(axis=1) == 50).all()


def test_weights_do_what_repeated_rows_do():
    generator = np.random.default_rng(2)
    rows = simulated(generator, 60)
    weights = hazards.resample(generator, rows.data.arm, 1)
    again = rows.data.where(np.repeat(np.arange(len(rows.data)), weights[0].astype(int)))
    for arm in (0, 1):
        found = hazards.kaplan_meier(rows.data, weights, arm)
        curve = survival.kaplan_meier(again.of_arm(arm))
        inside = found.days < again.of_arm(arm).days.max()
        expected = [curve.at(day) for day in found.days[inside]]
        assert np.exp(-found.cumulative[0, 1:][inside]) == pytest.approx(expected)


def test_cox_model_of_a_resample_is_that_of_statsmodels():
    # statsmodels' PHReg, ties="breslow", strata=arm, on the repeated rows.
    generator = np.random.default_rng(3)
    rows = simulated(generator, 120)
    covariates = generator.integers(0, 2, (240, 3)).astype(float)
    weights = hazards.resample(generator, rows.data.arm, 2)
    baselines, beta = hazards.breslow(rows.data, covariates, weights)
    for sample in (0, 1):
        places = np.repeat(np.arange(240), weights[sample].astype(int))
        days, event, arm = rows.data.days[places], rows.data.event[places], rows.data.arm[places]
        model = PHReg(days, covariates[places], status=event, strata=arm, ties="breslow")
        fitted = model.fit(disp=0)
        assert beta[sample] == pytest.approx(fitted.params, abs=1e-5)
        # Breslow's estimator by its definition: events over the sum of relative hazards at risk.
        relative = np.exp(covariates[places] @ beta[sample])
        for stratum in (0, 1):
            curve, mine = baselines[stratum], arm == stratum
            events = np.array([(event & mine & (days == day)).sum() for day in curve.days])
            at_risk = np.array([relative[mine & (days >= day)].sum() for day in curve.days])
            steps = np.where(events, events / np.maximum(at_risk, 1e-9), 0)
            assert np.diff(curve.cumulative[sample]) == pytest.approx(steps)


def test_a_cox_model_without_a_maximum_is_refused():
    # Everybody with the factor has the event first: its coefficient is infinite.
    data = outcomes([1, 2, 3, 4, 1, 2, 3, 4], [1] * 8, [0] * 4 + [1] * 4)
    with pytest.raises(hazards.NoHazard, match="too few events"):
        hazards.breslow(data, np.array([1.0, 1, 0, 0] * 2)[:, None], np.ones((1, 8)))


# --- imputation: limits ----------------------------------------------------------------------------


def mean_curve(times: Times, mine: np.ndarray, days) -> tuple[np.ndarray, np.ndarray]:
    """Mean Kaplan-Meier estimate over the completed data sets, and its Monte Carlo error."""
    curves = []
    for m in range(len(times.days)):
        counts = kernel.count_by_day(times.days[m, mine], times.event[m, mine], int(times.days.max()))
        curves.append([kernel.survival_at(*counts, day) for day in days])
    return np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1) / math.sqrt(len(curves))


@pytest.mark.parametrize("name", ["pfs", "os"])
@pytest.mark.parametrize("model", ["kaplan-meier", "cox"])
def test_factor_one_recovers_the_curve_of_each_arm(rows_of, name, model):
    """The mean curve of the completed data sets is the observed one, within Monte Carlo error.

    For the Cox model the covariates are left out: then it imputes from Nelson and Aalen's estimate, which at
    these numbers at risk lies within 0.003 of Kaplan and Meier's.
    """
    rows = dataclasses.replace(rows_of[name], covariates=np.empty((len(rows_of[name].data), 0)))
    times = Imputer(rows, MANY, np.random.default_rng(4)).complete(rows.factors({}), model=model)
    days = (60, 120, 180, 270, 365)
    for arm in (0, 1):
        curve = survival.kaplan_meier(rows.data.of_arm(arm))
        mean, error = mean_curve(times, rows.data.arm == arm, days)
        allowance = 0.003 if model == "cox" else 0.0
        expected = np.array([curve.at(day) for day in days])
        assert np.all(np.abs(mean - expected) <= SIGMAS * error + allowance)


def test_gamma_is_the_logarithm_of_the_factor_and_knows_the_strata(rows_of):
    rows = rows_of["pfs"]
    imputer = Imputer(rows, 5, np.random.default_rng(5))
    _, beta = hazards.breslow(rows.data, rows.covariates, imputer._weights)
    assert (beta[:, 0] > 0).all()  # high LDH is the worse level, in these rows by assumption
    bare = dataclasses.replace(rows, covariates=np.zeros_like(rows.covariates[:, :0]))
    without = Imputer(bare, 5, np.random.default_rng(5))
    high = rows.covariates[rows.dropouts, 0] == 1
    factor = rows.factors({})
    with_strata, plain = imputer.times(factor, model="cox").days, without.times(factor, model="cox").days
    assert with_strata[:, high].mean() < plain[:, high].mean()


@pytest.mark.parametrize("model", ["kaplan-meier", "cox"])
def test_factor_zero_is_the_bound_never(rows_of, model):
    rows = rows_of["pfs"]
    imputer = Imputer(rows, 3, np.random.default_rng(6))
    never = bounds.bounded(rows, {LU: "never", CONTROL: "never"})
    for factor in (0.0, 1e-12):  # gamma of minus infinity, and nearly so
        times = imputer.complete(np.full(len(rows.dropouts), factor), model=model)
        assert (times.days == never.days).all()
        assert (times.event == never.event).all()


@pytest.mark.parametrize("model", ["kaplan-meier", "cox"])
def test_factor_infinity_is_the_next_day_with_an_event(rows_of, model):
    rows = rows_of["pfs"]
    imputer = Imputer(rows, 3, np.random.default_rng(7))
    limit = imputer.times(np.full(len(rows.dropouts), math.inf), model=model)
    near = imputer.times(np.full(len(rows.dropouts), 1e12), model=model)
    inside = limit.days < 300  # far from the tail, where a day is divided no further
    assert (limit.days[inside] == near.days[inside]).all()
    weights = imputer._weights
    for m in range(3):
        for place, patient in enumerate(rows.dropouts):
            arm, day = rows.data.arm[patient], rows.data.days[patient]
            there = (rows.data.arm == arm) & rows.data.event & (weights[m] > 0) & (rows.data.days > day)
            if there.any():
                expected = min(rows.data.days[there].min(), rows.end[patient])
                assert limit.days[m, place] == expected


def test_a_larger_factor_is_never_later(rows_of):
    rows = rows_of["os"]
    imputer = Imputer(rows, 20, np.random.default_rng(8))
    before = None
    for factor in (0.1, 0.5, 1.0, 2.0, 10.0):
        days = imputer.times(np.full(len(rows.dropouts), factor)).days
        assert before is None or (days <= before).all()
        before = days


def test_a_known_death_is_an_event_at_the_latest():
    rows = small([5, 9, 20, 30], [0, 0, 1, 1], [0, 1, 0, 1], end=[50, 60, 50, 60], dies=[1, 0, 0, 0])
    imputer = Imputer(rows, 50, np.random.default_rng(9))
    times = imputer.times(np.zeros(2))
    assert (times.days == [50, 60]).all()
    assert times.event.tolist() == [[True, False]] * 50
    assert (imputer.times(np.ones(2)).days[:, 0] <= 50).all()
    assert imputer.times(np.ones(2)).event[:, 0].all()


def test_only_dropouts_are_changed(rows_of):
    for rows in rows_of.values():
        times = Imputer(rows, 2, np.random.default_rng(10)).complete(rows.factors({LU: 3.0}))
        others = rows.reason == NO_DROPOUT
        assert (times.days[:, others] == rows.data.days[others]).all()
        assert (times.event[:, others] == rows.data.event[others]).all()
        dropped = times.days[:, rows.dropouts]
        assert (dropped > rows.data.days[rows.dropouts]).all() or (dropped >= rows.end[rows.dropouts]).any()
        assert (times.days <= np.maximum(rows.end, rows.data.days)).all()


@pytest.mark.parametrize("jumping", [LU, CONTROL])
def test_a_jump_takes_the_conditional_curve_of_the_other_arm(jumping):
    """Of dropouts on day c, the share without an event on day t is S(t) / S(c), S of the other arm."""
    generator = np.random.default_rng(11)
    rows = simulated(generator, 400, medians=(4.0, 12.0))
    days = rows.data.days.copy()
    days[rows.dropouts] = 60
    rows = dataclasses.replace(rows, data=outcomes(days, rows.data.event, rows.data.arm))
    times = Imputer(rows, MANY, generator).times(rows.factors({}), jump=(jumping,))
    for arm in (CONTROL, LU):
        source = 1 - arm if arm == jumping else arm
        curve = survival.kaplan_meier(rows.data.of_arm(source))
        alive = (times.days[:, rows.dropout_arm == arm][:, :, None] > np.array([120, 240])).mean(axis=1)
        error = alive.std(axis=0, ddof=1) / math.sqrt(MANY)
        expected = np.array([curve.at(day) / curve.at(60) for day in (120, 240)])
        assert np.all(np.abs(alive.mean(axis=0) - expected) <= SIGMAS * error)


def test_one_imputation_is_none():
    with pytest.raises(ValueError, match="make at least 2"):
        Imputer(small([1, 2], [0, 1], [0, 1]), 1, np.random.default_rng(0))


# --- coverage --------------------------------------------------------------------------------------


def test_the_true_factors_restore_coverage_and_factor_one_does_not(stored):
    trials = 200
    found = coverage.simulate(coverage.DESIGNS[1], trials, 20).set_index("assumed")
    assert found.loc["true factors", "low"] <= 0.95 <= found.loc["true factors", "high"]
    assert found.loc["factor 1", "high"] < 0.5
    assert found.loc["censored", "high"] < 0.5
    # The stored simulation begins with the same trials.
    again = stored.coverage[stored.coverage["design"] == "dependent"].set_index("assumed")
    assert again.loc["true factors", "truth"] == pytest.approx(found.loc["true factors", "truth"], rel=1e-9)
    assert (again["covered"] >= found["covered"]).all()


def test_where_dropouts_fare_like_the_others_factor_one_is_right(stored):
    independent = stored.coverage[stored.coverage["design"] == "independent"].set_index("assumed")
    assert independent.loc["factor 1", "low"] <= 0.96
    assert independent.loc["factor 1", "coverage"] > 0.93
    assert independent.loc["factor 1", "mean"] == pytest.approx(
        independent.loc["factor 1", "truth"], rel=0.02
    )


# --- bounds ----------------------------------------------------------------------------------------


@st.composite
def followed_to_one_day(draw):
    """Patients followed to day 100, no two events or dropouts on one day, and what became of the dropouts."""
    size = draw(st.integers(4, 14))
    days = draw(st.lists(st.integers(1, 80), min_size=2 * size, max_size=2 * size, unique=True))
    arm = [0, 1, *draw(st.lists(st.integers(0, 1), min_size=size - 2, max_size=size - 2))]
    event = [True, True, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))]
    return small(days[:size], event, arm, end=[100] * size), np.array(days[size:])


@given(followed_to_one_day())
def test_no_fate_of_the_dropouts_leaves_the_bounds(drawn):
    rows, later = drawn
    # A dropout has the event on a later day of his own, or none.
    fate = np.where(later > rows.data.days, later, 100)[rows.dropouts]
    possible = (
        bounds.bounded(rows, {LU: "never", CONTROL: "at once"}),
        imputation.completed(rows, Times(fate[None], (fate < 100)[None])),
        bounds.bounded(rows, {LU: "at once", CONTROL: "never"}),
    )
    try:
        best, some, worst = (fits.by_kernel(rows.data, times).log_ratio[0] for times in possible)
    except survival.UnusableOutcomes:
        return  # with so few patients a ratio can be infinite
    assert best - 1e-8 <= some <= worst + 1e-8


def test_bounds_are_what_they_say(rows_of):
    rows = rows_of["pfs"]
    as_seen = bounds.bounded(rows, {})
    assert (as_seen.days[0] == rows.data.days).all()
    worst = bounds.bounded(rows, {LU: "at once", CONTROL: "never"})
    lu = rows.dropouts[rows.dropout_arm == LU]
    control = rows.dropouts[rows.dropout_arm == CONTROL]
    assert worst.event[0, lu].all()
    assert (worst.days[0, lu] == rows.data.days[lu]).all()
    assert (worst.days[0, control] == rows.end[control]).all()
    with pytest.raises(ValueError, match="is no fate of dropouts"):
        bounds.bounded(rows, {LU: "perhaps"})


# --- Rubin's rules ---------------------------------------------------------------------------------


Q = np.array([0.30, 0.42, 0.25, 0.37, 0.33])
U = np.array([0.0400, 0.0441, 0.0361, 0.0400, 0.0420])


def test_pooling_equals_mice():
    # R: mice::pool.scalar(Q, U, n = Inf, k = 1, rule = "rubin1987")
    #    qbar 0.334, ubar 0.04044, b 0.00423, t 0.045516, df 321.621402902828, r 0.125519287834
    pooled = pooling.pool(Q, U)
    assert pooled.log_ratio == pytest.approx(0.334)
    assert pooled.within == pytest.approx(0.04044)
    assert pooled.between == pytest.approx(0.00423)
    assert pooled.total == pytest.approx(0.045516)
    assert pooled.degrees == pytest.approx(321.621402902828, rel=1e-12)
    assert pooled.increase == pytest.approx(0.125519287834, rel=1e-11)


def test_pooling_equals_a_manual_s_worked_example():
    # Arbuckle, Amos 21 User's Guide (IBM), example 31: ten imputations with mean 1.172, U 0.0233 and B
    # 0.0085 give T 0.0326, its root 0.1807, the ratio 6.49 and 109 degrees of freedom.
    pooled = pooling.Pooled(np.float64(1.172), np.float64(0.0233), np.float64(0.0085), 10)
    assert pooled.total == pytest.approx(0.0326, abs=0.0001)
    assert math.sqrt(pooled.total) == pytest.approx(0.1807, abs=0.00005)
    assert pooled.log_ratio / math.sqrt(pooled.total) == pytest.approx(6.49, abs=0.005)
    assert math.floor(pooled.degrees) == 109


def test_pooling_by_hand():
    """Estimates 1 to 10 with standard errors of a fifth of them: every sum has a closed form.

    Mean 11/2; U = 385/250; B = 55/6; T = U + 11/10 B. The root of T, 3.409301, is what the R function
    kikapputils::poolImpute(1:10, 1:10/5) prints in its documentation.
    """
    numbers = np.arange(1, 11)
    pooled = pooling.pool(numbers, (numbers / 5) ** 2)
    assert pooled.log_ratio == 5.5
    assert pooled.within == pytest.approx(1.54)
    assert pooled.between == pytest.approx(55 / 6)
    assert pooled.total == pytest.approx(1.54 + 121 / 12)
    assert math.sqrt(pooled.total) == pytest.approx(3.409301, abs=5e-7)
    assert pooled.increase == pytest.approx((121 / 12) / 1.54)
    assert pooled.degrees == pytest.approx(9 * (1 + 1.54 / (121 / 12)) ** 2)
    assert pooled.monte_carlo == pytest.approx(math.sqrt(55 / 60))


def test_limits_and_p_value_are_those_of_the_t_distribution():
    pooled = pooling.pool(Q, U)
    error = math.sqrt(0.045516)
    low, high = pooled.limits(0.95)
    half = stats.t.ppf(0.975, 321.621402902828) * error
    assert (math.log(low), math.log(high)) == pytest.approx((0.334 - half, 0.334 + half))
    assert pooled.p_value == pytest.approx(2 * stats.t.sf(0.334 / error, 321.621402902828))
    # The P value is alpha where the limit at 1 - alpha is 1.
    edge = pooled.limits(1 - pooled.p_value)[0]
    assert edge == pytest.approx(1)


def test_without_imputations_the_rules_are_the_wald_test():
    pooled = pooling.pool(np.array([-0.5]), np.array([0.04]))
    assert pooled.degrees == math.inf
    assert pooled.p_value == pytest.approx(2 * stats.norm.sf(2.5))
    assert pooled.limits(0.95)[1] == pytest.approx(math.exp(-0.5 + 1.959963984540054 * 0.2))
    assert pooled.monte_carlo == 0


def test_many_cells_are_pooled_as_one_is():
    cells = pooling.pool(np.stack([Q, Q + 1], axis=1), np.stack([U, U], axis=1))
    one = pooling.pool(Q + 1, U)
    assert cells.p_value[1] == pytest.approx(one.p_value)
    assert cells.limits(0.9)[0][1] == pytest.approx(one.limits(0.9)[0])


def test_jackknife_of_the_mean_is_its_monte_carlo_error():
    # For a mean the jackknife is exact: the standard deviation over the root of m.
    error = pooling.jackknife(Q, U, lambda pooled: pooled.log_ratio)
    assert error == pytest.approx(Q.std(ddof=1) / math.sqrt(5))
    assert error == pytest.approx(pooling.pool(Q, U).monte_carlo)


def test_jackknife_of_many_cells_is_that_of_each():
    estimates, variances = np.stack([Q, 2 * Q], axis=1), np.stack([U, U], axis=1)
    errors = pooling.jackknife(estimates, variances, lambda pooled: pooled.log_upper(0.05))
    alone = [pooling.jackknife(q, U, lambda pooled: pooled.log_upper(0.05)) for q in (Q, 2 * Q)]
    assert errors == pytest.approx(alone)
    # One left out at a time, by its definition.
    left = [math.log(pooling.pool(np.delete(Q, m), np.delete(U, m)).limits(0.95)[1]) for m in range(5)]
    assert alone[0] == pytest.approx(math.sqrt(4 / 5 * np.sum((left - np.mean(left)) ** 2)))


# --- fits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(ANALYSES))
def test_kernel_and_lifelines_agree_on_completed_data(rows_of, name):
    rows = rows_of[name]
    times = Imputer(rows, 3, np.random.default_rng(12)).complete(rows.factors({LU: 2.0, CONTROL: 0.5}))
    fits.require_agreement(fits.by_kernel(rows.data, times), fits.by_lifelines(rows.data, times), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ANALYSES))
def test_every_fit_of_every_assumption_in_the_displayed_cohort_is_that_of_lifelines(rows_of, shown, name):
    rows = rows_of[name]
    imputer = precomputed.imputer(rows, ANALYSES[name], shown.member)
    for scenario in SCENARIOS.values():
        times = scenario.complete(imputer)
        ours, theirs = fits.by_kernel(rows.data, times), fits.by_lifelines(rows.data, times)
        fits.require_agreement(ours, theirs, f"{name}, {scenario.name}")


def test_a_disagreement_is_an_error():
    ours, theirs = (fits.Fits(np.array([value]), np.array([0.04])) for value in (0.5, 0.5001))
    with pytest.raises(fits.FitsDiffer, match=r"os, member 3: kernel and lifelines differ by 0\.0001"):
        fits.require_agreement(ours, theirs, "os, member 3")


def test_a_fit_without_maximum_is_an_error():
    rows = small([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    with pytest.raises(survival.UnusableOutcomes, match="data set 0"):
        fits.by_kernel(rows.data, Times(rows.data.days[None], rows.data.event[None]))


# --- tipping ---------------------------------------------------------------------------------------


def test_crossing_is_interpolated_on_the_log_factor():
    factors = np.array([1.0, 2.0, 4.0])
    assert tipping.crossing(factors, np.array([-1.0, -0.5, 0.5])) == pytest.approx(2 * math.sqrt(2))
    assert tipping.crossing(factors, np.array([-1.0, -0.5, -0.1])) == math.inf
    assert tipping.crossing(factors, np.array([0.2, 0.5, 0.7])) == 1.0
    assert tipping.crossing(factors[::-1], np.array([-1.0, 1.0, 2.0])) == pytest.approx(2 * math.sqrt(2))


def test_grid_cells_are_the_analyses_they_stand_for(rows_of):
    rows = rows_of["os-pfs-set"]
    imputer = Imputer(rows, 4, np.random.default_rng(13))
    columns = tipping.Columns(imputer, np.array([0.5, 1.0, 2.0]))
    found = tipping.grid(columns)
    made = fits.by_kernel(rows.data, imputer.complete(rows.factors({LU: 2.0, CONTROL: 0.5})))
    assert found.pooled.log_ratio[2, 0] == pooling.pool(*made).log_ratio
    assert (np.diff(found.pooled.log_ratio, axis=0) > 0).all()  # worse for 177Lu
    assert (np.diff(found.pooled.log_ratio, axis=1) < 0).all()  # worse for control


def test_line_and_factors_tell_the_same_story():
    # Log hazard ratio = -1 + log2(lu) / 2 - log2(control) / 2, no variance to speak of.
    factors = 2.0 ** np.arange(-4, 5)
    steps = np.arange(-4, 5) / 2
    ratio = -1 + steps[:, None] - steps[None, :]
    found = tipping.Grid(factors, fits.Fits(np.stack([ratio] * 2), np.full((2, 9, 9), 1e-12)))
    tips = tipping.tipping_factors(found, 0.05)
    assert tips == pytest.approx({"lu": 4, "control": 4, "both": 2}, rel=1e-4)
    along = tipping.line(found, 0.05)
    assert along[4] == pytest.approx(1 / 4, rel=1e-4)  # lu 1
    assert along[6] == pytest.approx(1, rel=1e-4)  # lu 4
    assert along[0] == 0  # lu 1/16: not within the grid


def test_monte_carlo_error_of_a_tipping_factor():
    """Where the limit is linear in the log factor, the crossing errs as the estimate does, over the slope."""
    factors = 2.0 ** np.arange(-4, 5)
    steps = np.arange(-4, 5) * math.log(2)
    shifts = np.array([-0.02, 0.01, 0.0, 0.03, -0.02])
    ratio = -1 + steps[:, None] / 2 - steps[None, :] / 4 + shifts[:, None, None]
    found = tipping.Grid(factors, fits.Fits(ratio, np.full(ratio.shape, 1e-12)))
    # The limit itself moves a little: its standard error comes from the shifts, and is left out with them.
    errors = tipping.monte_carlo(found, 0.05)
    upper = pooling.jackknife(shifts, np.full(5, 1e-12), lambda pooled: pooled.log_upper(0.05))
    assert errors["lu"] == pytest.approx(upper / 0.5)
    assert errors["both"] == pytest.approx(upper / 0.75)
    assert math.isnan(errors["control"])  # never lost: a slope of a quarter over four octaves is too little


def test_reading_counts_the_events_of_the_dropouts():
    rows = small([10, 10, 20, 30, 15, 25], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0])
    columns = tipping.Columns(Imputer(rows, 30, np.random.default_rng(14)), np.array([0.0, 1.0]))
    nothing = tipping.reading(columns, LU, 0)
    assert (nothing.dropouts, nothing.events, nothing.months) == (2, 0.0, math.inf)
    some = tipping.reading(columns, LU, 1)
    assert 1.5 < some.events <= 2  # less than 2 only for resamples without an event
    assert 0 < some.months < 2
    assert math.isnan(tipping.reading(columns, CONTROL, 1).months)


# --- weights ---------------------------------------------------------------------------------------


LAW = weighting.Law()


def test_the_simulated_law_has_the_closed_form():
    patients = weighting.draw(weighting.Law(leaving=(1e-9, 1e-9)), 40_000, np.random.default_rng(15))
    days = np.array([60, 180, 365, 700])
    alive = (patients.event[:, None] > days).mean(axis=0)
    expected = weighting.true_survival(LAW, days)
    assert np.all(np.abs(alive - expected) <= SIGMAS * np.sqrt(expected * (1 - expected) / 40_000))


def test_informed_weights_find_the_truth_and_others_do_not():
    generator = np.random.default_rng(16)
    true = float(weighting.true_survival(LAW, 365))
    made = [weighting.estimates(weighting.draw(LAW, 400, generator)).loc[365] - true for _ in range(40)]
    found = pd.DataFrame(made)
    error, noise = found.mean(), found.std(ddof=1) / math.sqrt(len(found))
    assert abs(error["informed"]) <= SIGMAS * noise["informed"]
    for other in ("unweighted", "uninformed"):
        assert error[other] > 10 * noise[other]


def test_unweighted_is_kaplan_meier_and_uninformed_weights_change_nothing():
    patients = weighting.draw(LAW, 300, np.random.default_rng(17))
    made = weighting.estimates(patients)
    curve = survival.kaplan_meier(outcomes(patients.days, patients.observed))
    assert made["unweighted"].loc[[100, 300, 500]].tolist() == pytest.approx(
        [curve.at(day) for day in (100, 300, 500)]
    )
    assert made["uninformed"].to_numpy() == pytest.approx(made["unweighted"].to_numpy())


# --- what is stored --------------------------------------------------------------------------------


def test_stored_primary_results_print_as_the_paper(stored):
    """Without imputation every member gives the paper's hazard ratio and limits."""
    from visiontrial.figures import sensitivity as figures

    for name, stem in (("pfs", "pfs"), ("os", "os"), ("os-pfs-set", "os-pfs-set")):
        rows = stored.scenarios.query("analysis == @name and scenario == 'observed'")
        pooled = figures.pooled_rows(rows)
        level = float(published.value(f"{stem}.ci-level")) / 100
        for claim, values in (
            ("hr", pooled.ratio), ("ci-low", pooled.limits(level)[0]), ("ci-high", pooled.limits(level)[1]),
        ):  # fmt: skip
            printed = published.printed(f"{stem}.{claim}")
            assert all(prints_as(value, printed) for value in values), (name, claim)


def test_stored_results_lie_within_their_bounds(stored):
    wide = stored.scenarios.pivot(index=["analysis", "member"], columns="scenario", values="log_ratio")
    low, high = wide["bounds.never.at-once"], wide["bounds.at-once.never"]
    assert (wide.ge(low, axis=0) & wide.le(high, axis=0)).all(axis=None)


def test_the_displayed_cohort_and_a_hundredth_of_the_others_were_confirmed(stored):
    mine = stored.confirmed["member"] == stored.manifest["displayed"]
    displayed_one, others = stored.confirmed[mine], stored.confirmed[~mine]
    in_map = len(tipping.FACTORS) ** 2
    for row in displayed_one.itertuples():
        assert row.results == len(SCENARIOS) + in_map * (row.analysis in precomputed.MAPPED)
        assert row.confirmed == row.results
    assert list(displayed_one["analysis"]) == list(ANALYSES)
    assert len(others) == len(ANALYSES) * (stored.manifest["members"] - 1)
    assert others["confirmed"].sum() / others["results"].sum() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("name", ["os-pfs-set", "os-left", "pfs-all"])
def test_a_member_is_computed_again(stored, trial, name):
    """A part of the stored results, from the stored rows, lifelines' part included."""
    number = 3
    made = precomputed.of_member(
        trial, ANALYSES[name], number, *store.read(precomputed.ENSEMBLE).member(number)
    )
    compared = {"reasons", "scenarios", "confirmed"}
    compared |= {"tips", "lines"} if name in precomputed.MAPPED else {"all_randomized"}
    assert compared <= set(made)
    for table in compared:
        kept = getattr(stored, table).query("member == @number")
        if "analysis" in kept:
            kept = kept.query("analysis == @name")
        kept = kept.drop(columns="member").reset_index(drop=True)
        pd.testing.assert_frame_equal(
            precomputed.shortened(made[table]), kept, check_exact=True, check_dtype=False
        )


def test_one_fit_that_lifelines_does_not_confirm_stops_everything(trial, shown, monkeypatch):
    honest = fits.by_lifelines

    def with_a_wrong_last(data, times):
        found = honest(data, times)
        found.log_ratio[-1] += 1e-6
        return found

    monkeypatch.setattr(fits, "by_lifelines", with_a_wrong_last)
    with pytest.raises(fits.FitsDiffer, match=r"os-pfs-set, member 7, observed: .* differ by 1e-06"):
        precomputed.of_member(trial, ANALYSES["os-pfs-set"], 7, shown.adsl, shown.adtte, share=1.0)


@pytest.fixture
def quick(monkeypatch):
    """Two analyses, few scenarios and a small map, so that a run takes a second."""
    monkeypatch.setattr(precomputed, "ANALYSES", {n: ANALYSES[n] for n in ("os-pfs-set", "pfs-all")})
    monkeypatch.setattr(precomputed, "MAPPED", ())
    monkeypatch.setattr(precomputed, "SCENARIOS", {n: SCENARIOS[n] for n in ("observed", "delta.both")})


def test_a_run_that_was_stopped_goes_on_where_it_was(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(precomputed, "_RANGES", {})
    monkeypatch.setattr(precomputed, "_contents", lambda parts, *_: {"n": str(len(parts)).encode()})
    run = {"members": 2, "processes": 1, "kept": tmp_path, "coverage_trials": 2}
    folder = precomputed.make(**run)
    parts = sorted(folder.parent.glob("*.zip"))
    before = {part.name: (part.read_bytes(), part.stat().st_mtime_ns) for part in parts}
    lost = parts[-1]
    lost.unlink()
    precomputed.make(**run)
    for part in parts:
        content, written = before[part.name]
        assert part.read_bytes() == content
        assert (part.stat().st_mtime_ns == written) == (part != lost)


def test_one_member_is_too_few(tmp_path):
    with pytest.raises(precomputed.SensitivityError, match="at least 2"):
        precomputed.make(members=1, kept=tmp_path)


def test_results_of_another_ensemble_are_refused(tmp_path):
    other = tmp_path / "ensemble"
    store.write(other, {"adsl.parquet": b"other", "adtte.parquet": b"rows"}, {})
    with pytest.raises(store.StoreError, match=r"another ensemble .* make sensitivity"):
        precomputed.read(ensemble=other)


def test_altered_results_are_refused(tmp_path):
    for source in precomputed.FOLDER.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    with (tmp_path / "coverage.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(store.StoreError, match=r"coverage\.csv .* make sensitivity"):
        precomputed.read(tmp_path)


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(tmp_path):
    one, two = (
        precomputed.make(members=2, processes=n, kept=tmp_path / str(n), coverage_trials=2) for n in (1, 2)
    )
    for file in sorted(one.iterdir()):
        assert (two / file.name).read_bytes() == file.read_bytes(), file.name
