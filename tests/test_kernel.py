"""The compiled statistics equal closed forms, R, lifelines and statsmodels, and have theory's symmetries.

R calls were run in R 4.2.2 with survival 3.5-3, `options(digits = 15)` and
`coxph.control(eps = 1e-14, iter.max = 50)`; their outputs are constants here.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import median_survival_times
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import survdiff

from visiontrial.cohort import kernel

EXACT = {"rel": 1e-8, "abs": 1e-8}


def columns(rows) -> tuple[np.ndarray, ...]:
    """Columns day, event, arm, stratum of a list of such rows."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return tuple(table.T)


def one_stratum(day, event, arm) -> tuple[list[int], ...]:
    return list(day), list(event), list(arm), [0] * len(day)


def together(*parts) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


# --- closed forms ------------------------------------------------------------------------------------

# The first test set of R's survival package (Therneau & Grambsch, Modeling Survival Data, 2000,
# appendix E.1), without the subject whose status is missing. One tie, on day 2.
SIX = one_stratum(day=[4, 1, 1, 2, 2, 3], event=[1, 1, 0, 1, 1, 0], arm=[0, 1, 1, 1, 0, 0])


def test_six_subjects_breslow():
    # Score (-r² + 3r + 6) / ((r+1)(r+3)) with r the hazard ratio; its root is (3 + √33) / 2.
    ratio = (3 + math.sqrt(33)) / 2
    information = ratio / (ratio + 1) ** 2 + 6 * ratio / (ratio + 3) ** 2
    fit = kernel.cox(*SIX, ties="breslow")
    assert fit.log_hazard_ratio == pytest.approx(math.log(ratio), **EXACT)
    assert fit.standard_error == pytest.approx(information**-0.5, **EXACT)


def test_six_subjects_efron():
    # Score (30 + 23r - r³) / ((r+1)(r+3)(r+5)); the root of the cubic in trigonometric form.
    ratio = 2 * math.sqrt(23 / 3) * math.cos(math.acos(45 / 23 * math.sqrt(3 / 23)) / 3)
    information = ratio / (ratio + 1) ** 2 + 3 * ratio / (ratio + 3) ** 2 + 5 * ratio / (ratio + 5) ** 2
    fit = kernel.cox(*SIX)
    assert fit.log_hazard_ratio == pytest.approx(math.log(ratio), **EXACT)
    assert fit.standard_error == pytest.approx(information**-0.5, **EXACT)


def test_six_subjects_log_rank():
    # Day 1: 1 event, 3 of 6 in arm 1, variance 1/4. Day 2: 2 events, 1 of 4, variance 1/4. Day 4: one arm.
    assert kernel.log_rank(*SIX) == pytest.approx((2 - 1 / 2 - 1 / 2, 1 / 2, 2), **EXACT)


def test_alternating_arms_without_ties():
    # Score 2 - 2r/(1+r) - r/(2+r): a root of r² - r - 4.
    ratio = (1 + math.sqrt(17)) / 2
    information = 2 * ratio / (1 + ratio) ** 2 + 2 * ratio / (2 + ratio) ** 2
    data = one_stratum(day=[1, 2, 3, 4], event=[1, 1, 1, 1], arm=[1, 0, 1, 0])
    expected = (math.log(ratio), information**-0.5)
    assert kernel.cox(*data) == pytest.approx(expected, **EXACT)
    assert kernel.cox(*data, ties="breslow") == pytest.approx(expected, **EXACT)


def test_two_strata_with_the_same_patients_double_the_information():
    day, event, arm, stratum = map(np.array, SIX)
    once = kernel.cox(*SIX)
    twice = kernel.cox(*together((day, event, arm, stratum), (day, event, arm, stratum + 1)))
    assert twice.log_hazard_ratio == pytest.approx(once.log_hazard_ratio, **EXACT)
    assert twice.standard_error == pytest.approx(once.standard_error / math.sqrt(2), **EXACT)


# --- R -----------------------------------------------------------------------------------------------

# i <- 0:59
# d <- data.frame(day = (i*37) %% 23 + 1, event = as.integer((i*i) %% 7 != 2),
#                 arm = as.integer(i %% 3 > 0), stratum = (i %/% 5) %% 4)
_I = np.arange(60)
SIXTY = (_I * 37 % 23 + 1, _I * _I % 7 != 2, (_I % 3 > 0).astype(int), _I // 5 % 4)
UNSTRATIFIED = (*SIXTY[:3], np.zeros(60, int))

# rbind(d, data.frame(day = c(3, 9, 9, 14), event = c(1, 1, 0, 1), arm = 1, stratum = 4))
ONE_ARM = columns([(3, 1, 1, 4), (9, 1, 1, 4), (9, 0, 1, 4), (14, 1, 1, 4)])
WITH_ONE_ARM_STRATUM = together(SIXTY, ONE_ARM)

# f <- coxph(Surv(day, event) ~ arm + strata(stratum), d, ties = ...); c(coef(f), sqrt(vcov(f)))
R_COX = [
    pytest.param(SIX, "efron", (1.6768574855929, 1.27761557627883), id="six, efron"),
    pytest.param(SIX, "breslow", (1.475284914829, 1.25573439301055), id="six, breslow"),
    pytest.param(SIXTY, "efron", (-0.124520423623109, 0.347182058178565), id="strata, efron"),
    pytest.param(SIXTY, "breslow", (-0.123627101132214, 0.346495599850983), id="strata, breslow"),
    pytest.param(WITH_ONE_ARM_STRATUM, "efron", (-0.124520423623109, 0.347182058178565), id="one-arm, efron"),
    pytest.param(
        WITH_ONE_ARM_STRATUM, "breslow", (-0.123627101132214, 0.346495599850983), id="one-arm, breslow"
    ),
    pytest.param(UNSTRATIFIED, "efron", (0.0537106864665343, 0.320632041367917), id="no strata, efron"),
    pytest.param(UNSTRATIFIED, "breslow", (0.0556013224271662, 0.320629436855535), id="no strata, breslow"),
]


@pytest.mark.parametrize(("data", "ties", "expected"), R_COX)
def test_cox_equals_r(data, ties, expected):
    assert kernel.cox(*data, ties=ties) == pytest.approx(expected, **EXACT)


# s <- survdiff(Surv(day, event) ~ arm + strata(stratum), d)
# c(sum(s$obs[2, ]), sum(s$exp[2, ]), s$var[2, 2], s$chisq)
R_LOG_RANK = [
    pytest.param(SIX, 2 - 1, 0.5, 2, id="six"),
    pytest.param(SIXTY, 28 - 29.017407592407594, 7.733394653709963, 0.133850431206435, id="strata"),
    pytest.param(
        WITH_ONE_ARM_STRATUM, 31 - 32.017407592407594, 7.733394653709963, 0.133850431206435, id="one-arm"
    ),
    pytest.param(UNSTRATIFIED, 0.5452660469744153, 9.3717370756955543, 0.0317246482249438, id="no strata"),
]


@pytest.mark.parametrize(("data", "difference", "variance", "chi_square"), R_LOG_RANK)
def test_log_rank_equals_r(data, difference, variance, chi_square):
    assert kernel.log_rank(*data) == pytest.approx((difference, variance, chi_square), **EXACT)


# quantile(survfit(Surv(day, event) ~ 1, conf.type = "log-log", conf.int = level), 0.5)
R_MEDIAN = [
    pytest.param(slice(None), 1.959963984540054, (15, 11, 18), id="both arms, 95%"),
    pytest.param(SIXTY[2] == 1, 1.959963984540054, (15, 10, 18), id="arm 1, 95%"),
    pytest.param(SIXTY[2] == 0, 2.6520698079021954, (14, 1, 22), id="arm 0, 99.2%"),  # qnorm(0.996)
]


@pytest.mark.parametrize(("rows", "z", "expected"), R_MEDIAN)
def test_median_equals_r(rows, z, expected):
    assert kernel.median(SIXTY[0][rows], SIXTY[1][rows], z=z) == expected


# --- where there is little or nothing to estimate ----------------------------------------------------


def assert_no_maximum(data):
    for ties in ("efron", "breslow"):
        assert np.isnan(kernel.cox(*data, ties=ties)).all()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(columns([]), id="empty"),
        pytest.param(([], [], [], []), id="empty lists"),
        pytest.param(columns([(5, 1, 1, 0)]), id="single patient"),
        pytest.param(columns([(1, 0, 1, 0), (2, 0, 0, 0), (3, 0, 1, 0)]), id="no events"),
        pytest.param(columns([(1, 1, 1, 0), (2, 1, 1, 0)]), id="one arm"),
        pytest.param(columns([(1, 1, 1, 0), (2, 1, 1, 0), (1, 1, 0, 1)]), id="strata of one arm each"),
    ],
)
def test_nothing_to_compare(data):
    # R: coxph gives NA, survdiff a chi-square of 0 on -1 degrees of freedom.
    assert_no_maximum(data)
    assert kernel.log_rank(*data) == pytest.approx((0, 0, math.nan), nan_ok=True)


def test_all_events_in_one_arm():
    # R: coxph(...) "Ran out of iterations", coefficient 21.2; survdiff: observed 2, expected 1,
    # variance 0.5, chi-square 2.
    data = one_stratum(day=[1, 2, 3, 4], event=[1, 0, 1, 0], arm=[1, 0, 1, 0])
    assert_no_maximum(data)
    assert kernel.log_rank(*data) == pytest.approx((1, 0.5, 2), **EXACT)


def test_events_of_the_second_arm_count_only_while_the_first_is_at_risk():
    # The event in arm 0 comes when nobody is left in arm 1: the likelihood still has no maximum.
    assert_no_maximum(one_stratum(day=[1, 2, 3], event=[1, 1, 1], arm=[1, 1, 0]))


def test_everybody_has_the_event_on_one_day():
    # The variance of the hypergeometric distribution is zero. By symmetry of Efron's weights beta is 0.
    data = one_stratum(day=[7, 7, 7, 7], event=[1, 1, 1, 1], arm=[1, 1, 0, 0])
    assert kernel.log_rank(*data) == pytest.approx((0, 0, math.nan), nan_ok=True)
    assert kernel.cox(*data).log_hazard_ratio == pytest.approx(0, abs=1e-12)


def test_events_come_before_censorings_of_the_same_day():
    # Day 1: an event in arm 1 while both patients of arm 0, censored that day, are still at risk.
    data = one_stratum(day=[1, 1, 1, 2], event=[1, 0, 0, 0], arm=[1, 0, 0, 1])
    assert kernel.log_rank(*data) == pytest.approx((1 / 2, 1 / 4, 1), **EXACT)


NEVER = math.inf


@pytest.mark.parametrize(
    ("day", "event", "expected"),
    [
        pytest.param([], [], (NEVER, NEVER, NEVER), id="empty"),
        pytest.param([5], [0], (NEVER, NEVER, NEVER), id="one censoring"),
        pytest.param([1, 2, 3, 4], [0, 0, 0, 0], (NEVER, NEVER, NEVER), id="no events"),
        # R: quantile 5, limits NA and NA. lifelines: limits 5 and 5.
        pytest.param([5], [1], (5, 5, NEVER), id="one event"),
        # R: quantile 3, limits NA and NA. lifelines: limits 3 and 3.
        pytest.param([3, 3, 3], [1, 1, 1], (3, 3, NEVER), id="all on one day"),
        # R: quantile 7, limits 3 and NA. lifelines: limits 3 and 9.
        pytest.param([3, 7, 9], [1, 1, 1], (7, 3, NEVER), id="last observation an event"),
        # R: quantile 2.5 (the middle of the flat piece), limits 1 and NA. lifelines: 2, limits 1 and 4.
        pytest.param([1, 2, 3, 4], [1, 1, 1, 1], (2, 1, NEVER), id="exactly one half"),
        # R: quantile 5, limits 3 and NA. lifelines: 3, limits 3 and 7.
        pytest.param([3, 7], [1, 1], (3, 3, NEVER), id="one half of two"),
        # The same after a censoring: 5/6 × 4/5 × 3/4. R: 4. lifelines: 5.
        pytest.param([1, 2, 3, 4, 5, 6], [1, 1, 1, 0, 1, 1], (3, 1, NEVER), id="one half, rounded above"),
    ],
)
def test_median_at_the_edges(day, event, expected):
    assert kernel.median(day, event) == expected


@pytest.mark.parametrize("patients", range(2, 101, 2))
def test_a_rounded_half_is_one_half(patients):
    # Half of the patients have gone when half of them have; the product of the fractions is rounded.
    assert kernel.median(np.arange(1, patients + 1), np.ones(patients, bool)).median == patients // 2


def test_known_differences_of_lifelines():
    # Stated in the module's documentation; when lifelines changes, so must that.
    half = KaplanMeierFitter().fit(range(1, 7), [1] * 6)
    assert half.survival_function_.loc[3].item() > 0.5
    assert half.median_survival_time_ == 4
    zero = KaplanMeierFitter().fit([3, 7, 9], [1, 1, 1])
    assert median_survival_times(zero.confidence_interval_).iloc[0].tolist() == [3, 9]


# --- lifelines and statsmodels -----------------------------------------------------------------------


def drawn(seed: int, patients: int, strata: int, last_day: int) -> tuple[np.ndarray, ...]:
    """A trial with arms 2:1, exponential times by stratum, staggered censoring; ties where days are few."""
    random = np.random.default_rng(seed)
    arm = (random.random(patients) < 2 / 3).astype(int)
    stratum = random.integers(0, strata, patients)
    scale = last_day * (0.4 + stratum / strata) * np.where(arm, 1.3, 1.0)
    survival = random.exponential(scale)
    censoring = random.uniform(0.3, 1, patients) * last_day
    return np.ceil(np.minimum(survival, censoring)).astype(int), survival <= censoring, arm, stratum


TRIALS = [
    pytest.param(drawn(1, 831, 16, 970), id="831 patients, 16 strata, days"),
    pytest.param(drawn(2, 200, 3, 20), id="200 patients, 3 strata, heavy ties"),
    pytest.param(drawn(3, 60, 12, 30), id="60 patients, 12 small strata"),
    pytest.param(drawn(4, 120, 1, 50), id="120 patients, no strata"),
]


def frame(data) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(("day", "event", "arm", "stratum"), data, strict=True)))


@pytest.mark.parametrize("data", TRIALS)
def test_cox_equals_lifelines(data):
    # lifelines stops at a loose precision by default.
    precise = {"precision": 1e-14, "r_precision": 1e-14}
    fitter = CoxPHFitter().fit(frame(data), "day", "event", strata=["stratum"], fit_options=precise)
    expected = fitter.params_["arm"], fitter.standard_errors_["arm"]
    assert kernel.cox(*data) == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data", TRIALS)
def test_cox_equals_statsmodels(data, ties):
    day, event, arm, stratum = data
    fit = PHReg(day, arm.astype(float), status=event.astype(int), strata=stratum, ties=ties).fit(tol=1e-13)
    assert kernel.cox(*data, ties=ties) == pytest.approx((fit.params[0], fit.bse[0]), **EXACT)


@pytest.mark.parametrize("data", TRIALS)
def test_log_rank_equals_statsmodels(data):
    day, event, arm, stratum = data
    expected, _ = survdiff(day, event.astype(int), arm, strata=stratum)
    assert kernel.log_rank(*data).chi_square == pytest.approx(float(expected), **EXACT)


@pytest.mark.parametrize("data", TRIALS)
@pytest.mark.parametrize("alpha", [0.05, 0.008])
def test_median_equals_lifelines(data, alpha):
    day, event, arm, _ = data
    z = {0.05: 1.959963984540054, 0.008: 2.6520698079021954}[alpha]
    for rows in (arm == 0, arm == 1):
        curve = KaplanMeierFitter(alpha=alpha).fit(day[rows], event[rows])
        low, high = median_survival_times(curve.confidence_interval_).iloc[0]
        found = kernel.median(day[rows], event[rows], z=z)
        assert found == (curve.median_survival_time_, low, high)


@pytest.mark.parametrize("data", TRIALS)
def test_survival_equals_lifelines(data):
    day, event, _, _ = data
    curve = KaplanMeierFitter().fit(day, event)
    counts = kernel.count_by_day(day, event, day.max())
    for at in (0, 1, int(np.median(day)), int(day.max()), int(day.max()) + 100):
        assert kernel.survival_at(*counts, at) == pytest.approx(float(curve.predict(at)), **EXACT)


# --- what theory says of every data set --------------------------------------------------------------

patient = st.tuples(st.integers(1, 9), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2))
cohorts = st.lists(patient, max_size=30)
ties = st.sampled_from(["efron", "breslow"])


def same(found, expected) -> None:
    assert found == pytest.approx(expected, nan_ok=True, **EXACT)


def risk_sets(data) -> list[tuple[int, int, int, int]]:
    """At risk in arms 0 and 1, events in arms 0 and 1, by definition: each stratum and day with both arms."""
    day, event, arm, stratum = data
    found = []
    for s in sorted(set(stratum.tolist())):
        for t in sorted(set(day[(stratum == s) & (event == 1)].tolist())):
            at_risk = (stratum == s) & (day >= t)
            dying = at_risk & (day == t) & (event == 1)
            row = tuple(int((who & (arm == a)).sum()) for who in (at_risk, dying) for a in (0, 1))
            if row[0] and row[1]:
                found.append(row)
    return found


def log_likelihood(data, beta: float, method: str) -> float:
    """The log partial likelihood by its definition, one factor for each event."""
    total, ratio = 0.0, math.exp(beta)
    for at_risk_0, at_risk_1, events_0, events_1 in risk_sets(data):
        events = events_0 + events_1
        total += events_1 * beta
        for tie in range(events):
            gone = tie / events if method == "efron" else 0
            total -= math.log(at_risk_0 - gone * events_0 + (at_risk_1 - gone * events_1) * ratio)
    return total


@given(cohorts, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    data, other = columns(rows), columns(shuffled)
    np.testing.assert_array_equal(kernel.cox(*data), kernel.cox(*other))
    np.testing.assert_array_equal(kernel.log_rank(*data), kernel.log_rank(*other))
    assert kernel.median(*data[:2]) == kernel.median(*other[:2])


@given(cohorts, st.lists(st.integers(0, 40), min_size=3, max_size=3, unique=True), ties)
def test_the_labels_of_the_strata_do_not_matter(rows, labels, method):
    day, event, arm, stratum = columns(rows)
    relabelled = day, event, arm, np.array(labels)[stratum]
    same(kernel.cox(*relabelled, ties=method), kernel.cox(*columns(rows), ties=method))
    same(kernel.log_rank(*relabelled), kernel.log_rank(*columns(rows)))


@given(cohorts, ties)
def test_swapped_arms_turn_the_sign(rows, method):
    day, event, arm, stratum = columns(rows)
    beta, error = kernel.cox(day, event, arm, stratum, ties=method)
    same(kernel.cox(day, event, 1 - arm, stratum, ties=method), (-beta, error))
    difference, variance, chi_square = kernel.log_rank(day, event, arm, stratum)
    same(kernel.log_rank(day, event, 1 - arm, stratum), (-difference, variance, chi_square))


@given(cohorts, cohorts, st.integers(0, 1), ties)
def test_a_stratum_with_one_arm_changes_nothing(rows, others, arm, method):
    lonely = [(day, event, arm, 3) for day, event, _, _ in others]
    same(kernel.cox(*columns(rows + lonely), ties=method), kernel.cox(*columns(rows), ties=method))
    same(kernel.log_rank(*columns(rows + lonely)), kernel.log_rank(*columns(rows)))


@given(cohorts, ties)
def test_only_the_order_of_the_days_matters(rows, method):
    day, event, arm, stratum = columns(rows)
    later = 3 * day + 5
    expected = kernel.cox(day, event, arm, stratum, ties=method)
    same(kernel.cox(later, event, arm, stratum, ties=method), expected)
    same(kernel.log_rank(later, event, arm, stratum), kernel.log_rank(day, event, arm, stratum))
    same(kernel.median(later, event), [3 * value + 5 for value in kernel.median(day, event)])


@given(cohorts)
def test_the_records_are_the_risk_sets(rows):
    data = columns(rows)
    found = sorted((n0, n1, d - d1, d1) for n0, n1, d, d1 in kernel._records(*data).tolist())
    assert found == sorted(risk_sets(data))


@given(cohorts, ties)
def test_there_is_an_estimate_where_both_arms_have_events_while_both_are_at_risk(rows, method):
    # The score runs from the events of arm 1 down to minus those of arm 0 as beta grows.
    data = columns(rows)
    _, _, events_0, events_1 = np.array(risk_sets(data)).reshape(-1, 4).sum(axis=0)
    fit = kernel.cox(*data, ties=method)
    assert np.isfinite(fit).all() if events_0 and events_1 else np.isnan(fit).all()


@given(cohorts, ties)
def test_the_estimate_is_the_top_of_the_likelihood(rows, method):
    # One more patient of each arm, with an event on day 1: there is an estimate.
    data = columns([*rows, (1, 1, 0, 0), (1, 1, 1, 0)])
    beta, error = kernel.cox(*data, ties=method)
    step = 1e-4
    below, top, above = (log_likelihood(data, beta + move, method) for move in (-step, 0, step))
    assert (above - below) / (2 * step) == pytest.approx(0, abs=1e-6)
    assert -(above - 2 * top + below) / step**2 == pytest.approx(error**-2, rel=1e-4, abs=1e-5)


@given(cohorts, st.floats(-8, 8))
def test_the_estimate_does_not_depend_on_the_start(rows, start):
    records = kernel._records(*columns(rows))
    same(kernel.fit_cox(records, start, True), kernel.fit_cox(records, 0.0, True))


@given(cohorts)
def test_the_log_rank_test_is_the_score_test_of_the_cox_model(rows):
    data = columns(rows)
    test = kernel.log_rank(*data)
    # With Breslow's ties the score at 0 is observed minus expected, ties or not.
    score, _ = kernel.score_and_information(kernel._records(*data), 0.0, False)
    assert score == pytest.approx(test.observed_minus_expected, **EXACT)


@given(st.lists(patient, max_size=30), st.randoms())
def test_without_ties_all_agree(rows, random):
    # The information at 0 is then the hypergeometric variance, and Efron is Breslow.
    day = np.array(random.sample(range(1, 101), len(rows)), dtype=np.int64)
    data = (day, *columns(rows)[1:])
    test = kernel.log_rank(*data)
    records = kernel._records(*data)
    for efron in (True, False):
        same(kernel.score_and_information(records, 0.0, efron), test[:2])
    same(kernel.cox(*data, ties="efron"), kernel.cox(*data, ties="breslow"))


def survival_in_fractions(day, event) -> dict[int, Fraction]:
    """The Kaplan-Meier curve at each day with an event, without rounding."""
    curve, value = {}, Fraction(1)
    for t in sorted(set(day[event == 1].tolist())):
        value *= 1 - Fraction(int(((day == t) & (event == 1)).sum()), int((day >= t).sum()))
        curve[t] = value
    return curve


@given(cohorts)
def test_the_median_is_that_of_exact_arithmetic(rows):
    day, event, _, _ = columns(rows)
    below = [t for t, value in survival_in_fractions(day, event).items() if value <= Fraction(1, 2)]
    assert kernel.median(day, event).median == min(below, default=NEVER)


@given(cohorts)
def test_survival_is_that_of_exact_arithmetic(rows):
    day, event, _, _ = columns(rows)
    counts = kernel.count_by_day(day, event.astype(bool), 9)
    curve = survival_in_fractions(day, event)
    for at in range(12):
        expected = min((value for t, value in curve.items() if t <= at), default=1)
        assert kernel.survival_at(*counts, at) == pytest.approx(float(expected), **EXACT)


@given(cohorts, st.floats(0.1, 4), st.floats(0.1, 4))
def test_limits_hold_the_median_and_widen_with_the_level(rows, z, other):
    day, event, _, _ = columns(rows)
    narrow, wide = (kernel.median(day, event, z=level) for level in sorted((z, other)))
    assert wide.low <= narrow.low <= narrow.median <= narrow.high <= wide.high


@given(cohorts)
def test_events_and_censorings_of_a_day_are_counted(rows):
    day, event, _, _ = columns(rows)
    events, removed = kernel.count_by_day(day, event.astype(bool), 9)
    assert events.tolist() == [sum(d == t and e for d, e, _, _ in rows) for t in range(10)]
    assert removed.tolist() == [sum(d == t for d, _, _, _ in rows) for t in range(10)]


@given(cohorts)
def test_rows_are_sorted_by_stratum_and_from_the_last_day(rows):
    day, _, _, stratum = columns(rows)
    order = kernel.sort_rows(day, stratum, 9, 3)
    assert sorted(order.tolist()) == list(range(len(rows)))
    keys = [(stratum[row], -day[row]) for row in order]
    assert keys == sorted(keys)


# --- bad input ---------------------------------------------------------------------------------------


def test_columns_of_a_table_are_taken_as_they_are():
    # Columns of one block are not contiguous in memory; labels of rows must not matter.
    table = frame(SIXTY).astype("int64").set_index(pd.Index(range(60, 0, -1)))
    expected = kernel.cox(*SIXTY)
    assert kernel.cox(table["day"], table["event"], table["arm"], table["stratum"]) == expected
    assert kernel.cox(*np.column_stack(SIXTY).astype(np.int32).T) == expected


GOOD = {"day": [1, 2], "event": [1, 0], "arm": [0, 1], "stratum": [0, 0]}


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("day", [5, 0], "day must lie between 1 and 10000000, but is 0 in row 1"),
        ("day", [-3, 5], "day must lie between 1 and 10000000, but is -3 in row 0"),
        ("day", [1, 1_577_836_800], "day must lie between 1 and 10000000, but is 1577836800 in row 1"),
        ("day", [1.5, 2], "day must hold whole numbers .* float64"),
        ("day", [1, math.nan], "day must hold whole numbers .* float64; fill in missing values"),
        ("day", np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), "day must hold whole numbers"),
        ("event", ["Y", "N"], "event must hold whole numbers"),
        ("event", [1, 2], "event must lie between 0 and 1, but is 2 in row 1"),
        ("arm", [1, 2], "arm must lie between 0 and 1, but is 2 in row 1"),
        ("arm", ["control", "lu"], "arm must hold whole numbers"),
        ("stratum", [-1, 0], "stratum must lie between 0 and 10000000, but is -1 in row 0"),
        ("day", [[1, 2]], r"day must be one column, not an array of shape \(1, 2\)"),
        ("day", [1, 2, 3], "equally long, but their lengths are {'day': 3, 'event': 2"),
        ("stratum", [0], "equally long, but their lengths are"),
    ],
)
def test_bad_columns_are_refused(column, values, message):
    bad = {**GOOD, column: values}
    for statistic in (kernel.cox, kernel.log_rank):
        with pytest.raises(ValueError, match=message):
            statistic(**bad)
    if column in ("day", "event"):
        with pytest.raises(ValueError, match=message):
            kernel.median(bad["day"], bad["event"])


def test_unknown_ties_are_refused():
    with pytest.raises(ValueError, match="ties must be 'efron' or 'breslow', not 'exact'"):
        kernel.cox(**GOOD, ties="exact")
