"""Survival analysis: closed forms on six patients, R's own output, and what no relabelling may change.

R: version 4.2.2, survival 3.5-3 (`Rscript`, `options(digits=15)`). In the quoted calls, `d` holds
`THIRTY` with columns days, event, arm, s.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from visiontrial import survival
from visiontrial.survival import UnusableOutcomes, outcomes

THIRTY = {
    "days": [3, 5, 5, 8, 8, 8, 11, 12, 14, 14, 15, 17, 20, 20, 21,
             23, 25, 28, 30, 33, 7, 9, 9, 13, 16, 18, 22, 22, 26, 31],
    "event": [1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0],
    "arm": [0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1],
    "stratum": [1, 2, 1, 3, 2, 1, 1, 2, 2, 1, 3, 1, 2, 1, 2, 1, 3, 2, 1, 2, 3, 3, 1, 2, 2, 1, 1, 3, 2, 4],
}  # fmt: skip
"""Thirty patients with ties, four strata, one of them with a single patient."""

SIX = {"days": [9, 1, 1, 6, 6, 8], "event": [1, 1, 0, 1, 1, 0], "arm": [0, 1, 1, 1, 0, 0]}
"""The first test data of R's survival package (tests/book1.R), without the patient of unknown status."""

TWO_STRATA = outcomes(**{**THIRTY, "stratum": [s > 2 for s in THIRTY["stratum"]]})


@pytest.fixture(scope="module")
def thirty() -> survival.Outcomes:
    return outcomes(**THIRTY)


@pytest.fixture(scope="module")
def six() -> survival.Outcomes:
    return outcomes(**SIX)


# --- Cox ----------------------------------------------------------------------------------------


def test_cox_with_a_tie_is_the_root_of_a_cubic(six):
    """Efron's likelihood of the six is r/(3r+3) · r/((r+3)(r+5)/2), whose top solves r³ − 23r − 30 = 0."""
    p = 23 / 3
    r = 2 * math.sqrt(p) * math.cos(math.acos(15 / p**1.5) / 3)
    information = r / (r + 1) ** 2 + 3 * r / (r + 3) ** 2 + 5 * r / (r + 5) ** 2
    fit = survival.cox(six)
    assert fit.ratio == pytest.approx(r, rel=1e-12)
    assert fit.se == pytest.approx(information**-0.5, rel=1e-12)


def test_cox_agrees_with_r(thirty):
    """coxph(Surv(days,event)~arm+strata(s), control=coxph.control(eps=1e-14)); and unstratified."""
    stratified, plain = survival.cox(thirty), survival.cox(thirty.unstratified())
    assert (stratified.beta, stratified.se) == pytest.approx(
        (-0.891669242972840, 0.512506009227288), abs=1e-12
    )
    assert (plain.beta, plain.se) == pytest.approx((-0.898117992223090, 0.459867028949491), abs=1e-12)


def test_breslow_ties_agree_with_r(thirty):
    """coxph(Surv(days,event)~arm, ties="breslow", ...); and with strata(s>2)."""
    plain = survival.cox(thirty.unstratified(), ties="breslow")
    assert (plain.beta, plain.se) == pytest.approx((-0.893303526487334, 0.459800802118650), abs=1e-12)
    assert "unstratified, Breslow ties" in plain.rule
    two = survival.cox(TWO_STRATA, ties="breslow")
    assert (two.beta, two.se) == pytest.approx((-1.063627518927102, 0.508572237410223), abs=1e-12)


def test_breslow_of_six_is_the_root_of_a_quadratic(six):
    """Breslow's likelihood of the six is r/(3r+3) · r/(r+3)², whose top solves r² − 3r − 6 = 0."""
    r = (3 + math.sqrt(33)) / 2
    information = r / (r + 1) ** 2 + 2 * 3 * r / (r + 3) ** 2
    fit = survival.cox(six, ties="breslow")
    assert fit.ratio == pytest.approx(r, rel=1e-12)
    assert fit.se == pytest.approx(information**-0.5, rel=1e-12)


def test_unknown_ties_are_refused(six):
    with pytest.raises(ValueError, match="efron or breslow, not 'exact'"):
        survival.cox(six, ties="exact")


def test_wald_limits_agree_with_r(thirty):
    """exp(confint(fit, level=.992)): 0.105307466395792 1.59605102723343."""
    limits = survival.cox(thirty).limits(0.992)
    assert limits == pytest.approx((0.105307466395792, 1.59605102723343), rel=1e-11)
    fit = survival.cox(thirty, level=0.992)
    assert (fit.low, fit.high) == limits


def test_cox_is_lifelines_own_fit(thirty):
    """The shortcut through lifelines gives what `CoxPHFitter` gives with the same convergence."""
    frame = pd.DataFrame(THIRTY)
    fitter = CoxPHFitter().fit(
        frame, "days", "event", strata=["stratum"], fit_options=survival.TO_CONVERGENCE
    )
    fit = survival.cox(thirty)
    assert fit.beta == pytest.approx(fitter.params_["arm"], abs=1e-13)
    assert fit.se == pytest.approx(fitter.standard_errors_["arm"], abs=1e-13)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"days": [1, 2], "event": [0, 0], "arm": [0, 1]}, "no event among 2 rows"),
        ({"days": [1, 2], "event": [1, 1], "arm": [1, 1]}, "all 2 rows are of one arm"),
        ({"days": [1, 2, 3], "event": [1, 1, 0], "arm": [1, 1, 0]}, "arm 0 has no event"),
        ({"days": [1, 2], "event": [1, 1], "arm": [0, 1], "stratum": [0, 1]}, "use fewer"),
    ],
)
def test_cox_says_why_there_is_no_estimate(data, message):
    with pytest.raises(UnusableOutcomes, match=message):
        survival.cox(outcomes(**data))


# --- log-rank -----------------------------------------------------------------------------------


def test_log_rank_of_six(six):
    """Observed 2, expected 1/2 + 1/2, variance 1/4 + 2·(1/4)(3/4)(2/3) = 1/2: chi-square 2."""
    assert survival.log_rank(six).chi_square == pytest.approx(2, rel=1e-14)
    assert survival.log_rank(six).p_value == pytest.approx(math.erfc(1), rel=1e-12)


def test_log_rank_counts_what_it_compares(six, thirty):
    """survdiff(...)$obs, $exp and $var for arm 1: with strata(s), 9, 12.69145021645022, 4.25353400397502."""
    by_hand = survival.log_rank(six)
    assert (by_hand.observed, by_hand.expected, by_hand.variance) == pytest.approx((2, 1, 1 / 2))
    test = survival.log_rank(thirty)
    assert (test.observed, test.expected, test.variance) == pytest.approx(
        (9, 12.69145021645022, 4.25353400397502), rel=1e-13
    )
    two = survival.log_rank(TWO_STRATA)
    assert (two.observed, two.expected, two.variance) == pytest.approx(
        (9, 13.5011689326587, 4.19198263558546), rel=1e-13
    )
    assert two.chi_square == pytest.approx(4.8331597531778, rel=1e-12)


def test_log_rank_agrees_with_r(thirty):
    """survdiff(Surv(days,event)~arm+strata(s)): 3.2036430619329246, p 0.0734744333178101; unstratified."""
    stratified, plain = survival.log_rank(thirty), survival.log_rank(thirty.unstratified())
    assert (stratified.chi_square, stratified.p_value) == pytest.approx(
        (3.2036430619329246, 0.0734744333178101), rel=1e-12
    )
    assert (plain.chi_square, plain.p_value) == pytest.approx(
        (4.0933754819727284, 0.0430515831784825), rel=1e-12
    )


def test_a_tiny_p_value_is_not_zero():
    """The normal tail at the root of the chi-square: 1 - cdf would be 0."""
    days = np.arange(1, 401)
    test = survival.log_rank(outcomes(days, np.ones(400), days > 200))
    assert test.p_value == pytest.approx(math.erfc(math.sqrt(test.chi_square / 2)), rel=1e-9)
    assert 0 < test.p_value < 1e-17


# --- proportional hazards -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "stratified", "plain", "slope"),
    [
        ("km", (0.193974439531666, 0.659629108615870), 0.246386892900216, 1.05351299004455),
        ("identity", (0.157243145340086, 0.691707473801234), 0.195035932582697, 0.030057036775967),
    ],
)
def test_proportional_hazards_agrees_with_r(thirty, transform, stratified, plain, slope):
    """cox.zph(coxph(Surv(days,event)~arm+strata(s)), transform=...)$table: chisq and p; and without strata.

    The slope is coxph(Surv(days,event)~arm+tt(arm)+strata(s), tt=function(x,t,...) x*g(t),
    init=c(beta,0), control=coxph.control(iter.max=1)): its one Newton step.
    """
    test = survival.proportional_hazards(thirty, transform=transform)
    assert (test.chi_square, test.p_value) == pytest.approx(stratified, rel=1e-10)
    assert test.slope == pytest.approx(slope, rel=1e-10)
    unstratified = survival.proportional_hazards(thirty.unstratified(), transform=transform)
    assert unstratified.chi_square == pytest.approx(plain, rel=1e-10)


def test_proportional_hazards_sees_a_ratio_that_changes_with_time():
    """Weibull arms of shapes 0.6 and 1.8: the log hazard ratio grows with log time."""
    rng = np.random.default_rng(1)
    arm = np.repeat([0, 1], 300)
    days = np.ceil(300 * np.where(arm, rng.weibull(1.8, 600), rng.weibull(0.6, 600)))
    test = survival.proportional_hazards(outcomes(days, np.ones(600), arm))
    assert test.p_value < 1e-10
    assert test.slope > 0


def test_proportional_hazards_needs_more_than_one_day():
    with pytest.raises(UnusableOutcomes, match="one day"):
        survival.proportional_hazards(outcomes([1, 1, 2, 2], [1, 1, 0, 0], [0, 1, 0, 1]))


def test_unknown_rules_are_refused(thirty):
    with pytest.raises(ValueError, match="km or identity, not 'rank'"):
        survival.proportional_hazards(thirty, transform="rank")
    with pytest.raises(ValueError, match="log-log, log, plain, not 'arcsin'"):
        survival.kaplan_meier(thirty, interval="arcsin")


# --- Kaplan-Meier -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "low", "high", "median"),
    [
        ("log-log", (0.6378322902966729, 0.2420331321332024, 0.0479443047219845),
         (0.925354900787803, 0.614695435513496, 0.366078382088880), (20, 12, 25)),
        ("log", (0.7040667164550173, 0.2793188604816844, 0.0663011800488957),
         (0.977585371205899, 0.679519635349074, 0.458037458954806), (20, 14, 28)),
        ("plain", (0.69348222016544769, 0.24200405265104091, 0.00586025965688478),
         (0.965777039093812, 0.629322866985057, 0.342670508197555), (20, 14, 25)),
    ],
)  # fmt: skip
def test_kaplan_meier_agrees_with_r(thirty, interval, low, high, median):
    """summary(survfit(Surv(days,event)~1, conf.type=...), times=c(8,20,30)) and its table of the median."""
    curve = survival.kaplan_meier(thirty, interval=interval)
    rows = np.searchsorted(curve.days, (8, 20, 30))
    assert curve.survival[rows] == pytest.approx((0.829629629629630, 0.435663459818049, 0.174265383927220))
    assert curve.low[rows] == pytest.approx(low, rel=1e-12)
    assert curve.high[rows] == pytest.approx(high, rel=1e-12)
    found = curve.median()
    assert (found.median, found.low, found.high) == median


def test_reverse_kaplan_meier_agrees_with_r(thirty):
    """survfit(Surv(days,1-event)~1, conf.type="log-log"): median 30, limits 22 and NA."""
    found = survival.followup(thirty)
    assert (found.median, found.low, found.high) == (30, 22, math.inf)
    assert "reverse" in str(found)


def test_limits_agree_with_lifelines_while_someone_is_at_risk(thirty):
    fitter = KaplanMeierFitter().fit(thirty.days, thirty.event, alpha=0.008)
    curve = survival.kaplan_meier(thirty, level=0.992)
    ours = np.column_stack([curve.low, curve.high])[curve.survival > 0]
    assert ours == pytest.approx(fitter.confidence_interval_.to_numpy()[curve.survival > 0])


def test_where_nobody_is_left_there_is_no_upper_limit():
    """survfit(Surv(1:6,rep(1,6))~1, conf.type="log-log"): limits NA on the last day; the median's 1, NA."""
    curve = survival.kaplan_meier(outcomes(range(1, 7), np.ones(6)))
    assert math.isnan(curve.high[-1])
    assert curve.low[1:-1] == pytest.approx(
        [0.2731228499284, 0.1946166368062, 0.1109482603514, 0.0460822434120, 0.0077231040402]
    )
    found = curve.median()
    assert (found.median, found.low, found.high) == (3, 1, math.inf)


@pytest.mark.parametrize("half", range(1, 60))
def test_a_curve_on_one_half_has_reached_its_median(half):
    """Of 2k patients without censoring, exactly half are left after the k-th."""
    curve = survival.kaplan_meier(outcomes(range(1, 2 * half + 1), np.ones(2 * half)))
    assert curve.median().median == half


def test_six_by_hand(six):
    """S = 5/6 from day 1, 5/12 from day 6, 0 from day 9; area to day 8: 1 + 5·5/6 + 2·5/12 = 6."""
    curve = survival.kaplan_meier(six)
    assert [curve.at(day) for day in (0, 1, 5.9, 6, 8, 9, 99)] == pytest.approx(
        [1, 5 / 6, 5 / 6, 5 / 12, 5 / 12, 0, 0]
    )
    assert curve.area(8) == pytest.approx(6)
    assert curve.area(20) == pytest.approx(6 + 5 / 12)
    assert curve.median().median == 6


def test_nothing_is_read_beyond_the_last_observation():
    curve = survival.kaplan_meier(outcomes([2, 5], [1, 0]))
    assert curve.at(5) == 0.5
    assert math.isnan(curve.at(6))
    assert math.isnan(curve.area(6))


def test_restricted_means_agree_with_r_and_lifelines(thirty):
    """summary(survfit(Surv(days,event)~1, d[d$arm==a,]), rmean=24): 14.41836734693877, 19.56346153846154."""
    found = survival.restricted_means(thirty, 24)
    assert (found.arm0, found.arm1) == pytest.approx((14.41836734693877, 19.56346153846154), rel=1e-13)
    assert (found.se0, found.se1) == pytest.approx((1.94359727247933, 1.50524931696191), rel=1e-13)
    assert found.difference == found.arm1 - found.arm0
    fitter = KaplanMeierFitter().fit(thirty.of_arm(1).days, thirty.of_arm(1).event)
    assert found.arm1 == pytest.approx(restricted_mean_survival_time(fitter, t=24), rel=1e-13)
    with pytest.raises(ValueError, match="positive number of days"):
        survival.restricted_means(thirty, 0)


def test_restricted_means_of_six(six):
    """To day 8: arm 0 has 6 + 2·2/3 = 22/3, arm 1 has 1 + 5·2/3 = 13/3.

    Variances: one event of three on day 6, (2·2/3)² · 1/6 = 8/27; one of three on day 1, (5·2/3)² · 1/6
    = 50/27, and the last patient of arm 1, whose event leaves no area behind.
    """
    found = survival.restricted_means(six, 8)
    assert (found.arm0, found.arm1) == pytest.approx((22 / 3, 13 / 3))
    assert (found.se0**2, found.se1**2) == pytest.approx((8 / 27, 50 / 27))
    half = 1.959963984540054 * math.sqrt(58 / 27)
    assert (found.low, found.high) == pytest.approx((-3 - half, -3 + half))


def test_a_mean_beyond_the_last_observation_has_no_error():
    data = outcomes([2, 5, 3, 9], [1, 0, 1, 0], [0, 0, 1, 1])
    assert math.isnan(survival.restricted_means(data, 6).se0)
    assert math.isnan(survival.restricted_means(data, 6).low)
    assert survival.restricted_means(data, 6).se1 > 0


def test_survival_at_a_landmark_agrees_with_r(thirty):
    """summary(survfit(Surv(days,event)~1, d[d$arm==a,], conf.type="log-log"), times=20)."""
    found = survival.survival_difference(thirty, 20)
    assert (found.arm0, found.arm1) == pytest.approx((0.2448979591836735, 0.621923076923077), rel=1e-13)
    assert (found.se0, found.se1) == pytest.approx((0.1209824718440025, 0.135853074962573), rel=1e-13)
    landmark = survival.kaplan_meier(thirty.of_arm(1)).landmark(20)
    assert (landmark.survival, landmark.low, landmark.high) == pytest.approx(
        (0.621923076923077, 0.310410423988766, 0.824634244876259), rel=1e-13
    )


def test_survival_difference_of_six(six):
    """At day 6: 2/3 with variance (2/3)²/6 = 2/27 in arm 0; nothing left, and no variance, in arm 1."""
    found = survival.survival_difference(six, 6)
    assert (found.arm0, found.se0**2) == pytest.approx((2 / 3, 2 / 27))
    assert found.arm1 == 0
    assert math.isnan(found.se1)
    assert math.isnan(found.low)
    assert survival.survival_difference(six, 5).difference == pytest.approx(2 / 3 - 1)


def test_shorter_followup_agrees_with_r(thirty):
    """coxph on event & days <= 20, pmin(days, 20), with strata(s)."""
    fit = survival.cox(thirty.until(20))
    assert (fit.beta, fit.se) == pytest.approx((-0.968854073662061, 0.560702739454876), abs=1e-12)
    with pytest.raises(UnusableOutcomes, match="the first day is 1"):
        thirty.until(0.5)


def test_follow_up_can_end_on_a_day_of_each_patients_own(six):
    """By hand: nobody is cut but the first (day 9 to 7) and the fifth (day 6 to 5, before the event)."""
    cut = six.until(np.array([7, 9, 9, 9, 5, 9]))
    assert cut.days.tolist() == [7, 1, 1, 6, 5, 8]
    assert cut.event.tolist() == [False, True, False, True, False, False]


def test_everybody_is_counted_once(six):
    """By hand, at days 0, 1 and 6: an event and a censoring on day 1, two events on day 6."""
    table = survival.counted(six, [0, 1, 6])
    assert table.to_numpy().tolist() == [[6, 0, 0], [6, 1, 1], [4, 3, 1]]
    assert table.index.tolist() == [0, 1, 6]


def test_numbers_at_risk_are_counted(six):
    """By hand: everybody on day 1, the four with later times on day 2, nobody after day 9."""
    assert survival.at_risk(six, [0, 1, 2, 6, 7, 9, 10]).tolist() == [6, 6, 4, 4, 2, 1, 0]
    assert survival.events_by(six, [0, 1, 6, 8, 9]).tolist() == [0, 1, 3, 3, 4]


# --- input and results ----------------------------------------------------------------------------


def test_log_rank_without_variance_is_refused():
    """One of each arm and nobody else, both with the event on one day: (n - d)/(n - 1) is 0."""
    with pytest.raises(UnusableOutcomes, match="no variance"):
        survival.log_rank(outcomes([1, 1], [1, 1], [0, 1]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"days": [], "event": []}, "there are no rows"),
        ({"days": [3, -1], "event": [1, 0]}, "days of row 1 is -1: it must be a whole number from 1"),
        ({"days": [3, 0], "event": [1, 0]}, "days of row 1 is 0"),
        ({"days": [3, 1.5], "event": [1, 0]}, "days of row 1 is 1.5"),
        ({"days": [3, math.nan], "event": [1, 0]}, "days of row 1 is nan"),
        ({"days": ["a"], "event": [1]}, "days must be numbers"),
        ({"days": [3, 1], "event": [1, 2]}, "event of row 1 is 2: it must be 0 or 1"),
        ({"days": [3, 1], "event": [1]}, "one value per patient"),
        ({"days": [3, 1], "event": [1, 0], "arm": [1, 2]}, "arm of row 1 is 2"),
        ({"days": [3, 1], "event": [1, 0], "stratum": ["a", None]}, "stratum of row 1 is missing"),
        ({"days": [3, 1], "event": [1, 0], "stratum": ["a"]}, "stratum has 1 rows for 2 patients"),
    ],
)
def test_bad_input_is_named(data, message):
    with pytest.raises(UnusableOutcomes, match=message):
        outcomes(**data)


def test_rows_with_the_censoring_code(thirty):
    frame = pd.DataFrame(THIRTY).rename(columns={"days": "AVAL", "arm": "TRT01PN"})
    frame["CNSR"] = 1 - frame.pop("event")
    assert survival.cox(survival.outcomes_of(frame, stratum=["stratum"])) == survival.cox(thirty)
    with pytest.raises(UnusableOutcomes, match="no column CNSR"):
        survival.outcomes_of(frame.drop(columns="CNSR"))


def test_strata_are_the_combinations_of_the_factors():
    data = outcomes([1, 2, 3, 4], [1] * 4, stratum=pd.DataFrame({"a": list("xxyy"), "b": [1, 2, 1, 1]}))
    assert data.stratum.tolist() == [0, 1, 2, 2]
    assert data.strata == 3
    assert data.where(data.stratum != 1).strata == 2


def test_results_carry_their_rule(thirty):
    assert str(survival.cox(thirty)) == (
        "hazard ratio 0.41 (95% CI 0.1501 to 1.119); Cox model, 4 strata, Efron ties, Wald limits"
    )
    assert str(survival.kaplan_meier(thirty).median()) == (
        "20 days (95% CI 12 to 25); first day at or below one half; "
        "95% limits by the log-log transform of Greenwood's variance"
    )
    assert str(survival.kaplan_meier(thirty)).startswith("Kaplan-Meier curve of 30 patients, 21 events; 95%")
    assert str(survival.log_rank(thirty)) == (
        "chi-square 3.204, P = 0.0735 (9 events in arm 1, 12.7 expected); log-rank test, 4 strata, two-sided"
    )
    assert "per unit of km time" in str(survival.proportional_hazards(thirty))
    assert str(survival.restricted_means(thirty, 24)).startswith(
        "difference of the restricted means up to day 24, 5.145 days (95% CI 0.3269 to 9.963; "
        "19.56 against 14.42); areas under the Kaplan-Meier curves"
    )
    landmark = survival.kaplan_meier(thirty).landmark(20)
    assert str(landmark).startswith(
        "survival 0.4357 at day 20 (95% CI 0.242 to 0.6147); 95% limits by the log-log"
    )
    alive = survival.kaplan_meier(outcomes([5, 6], [0, 0])).median()
    assert str(alive).startswith("not reached (95% CI not reached to not reached); first day")


def test_results_have_a_face_for_pages(thirty):
    assert survival.cox(thirty)._repr_html_() == (
        "<p class='statistic'><strong>hazard ratio 0.41 (95% CI 0.1501 to 1.119)</strong><br>"
        "<small>Cox model, 4 strata, Efron ties, Wald limits</small></p>"
    )
    rest = (
        survival.log_rank(thirty), survival.proportional_hazards(thirty), survival.kaplan_meier(thirty),
        survival.followup(thirty), survival.restricted_means(thirty, 24),
        survival.survival_difference(thirty, 24),
    )  # fmt: skip
    for result in rest:
        assert f"<small>{result.rule.replace(chr(39), '&#x27;')}</small>" in result._repr_html_()


def test_numpy_warns_as_before(thirty):
    """lifelines silences numpy's floating-point warnings for the whole process; here it may not."""
    before = np.geterr()
    survival.kaplan_meier(thirty)
    survival.cox(thirty)
    assert np.geterr() == before


# --- invariants -----------------------------------------------------------------------------------

PATIENTS = st.lists(
    st.tuples(st.integers(1, 12), st.booleans(), st.integers(0, 1), st.integers(0, 2)),
    min_size=6,
    max_size=40,
)


FITS = 25
"""Examples of a property that needs two Cox fits by lifelines each."""


def _analysed(rows) -> tuple[survival.HazardRatio, survival.LogRank]:
    data = outcomes(*zip(*rows, strict=True))
    try:
        return survival.cox(data), survival.log_rank(data)
    except UnusableOutcomes:
        assume(False)


@settings(max_examples=FITS)
@given(PATIENTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    fit, test = _analysed(rows)
    shuffled = random.sample(rows, len(rows))
    again, test_again = _analysed(shuffled)
    assert (again.beta, again.se) == pytest.approx((fit.beta, fit.se), abs=1e-9)
    assert test_again.chi_square == pytest.approx(test.chi_square, abs=1e-9)


@settings(max_examples=FITS)
@given(PATIENTS)
def test_exchanging_the_arms_turns_the_sign(rows):
    fit, test = _analysed(rows)
    again, test_again = _analysed([(day, event, 1 - arm, s) for day, event, arm, s in rows])
    assert (again.beta, again.se) == pytest.approx((-fit.beta, fit.se), abs=1e-9)
    assert test_again.p_value == pytest.approx(test.p_value, abs=1e-9)


@settings(max_examples=FITS)
@given(PATIENTS, st.permutations([0, 1, 2]))
def test_only_the_order_of_days_matters_and_no_name_of_a_stratum(rows, names):
    """Partial likelihood and log-rank use ranks within strata."""
    fit, test = _analysed(rows)
    again, test_again = _analysed([(day**2 + 5, event, arm, names[s]) for day, event, arm, s in rows])
    assert (again.beta, again.se) == pytest.approx((fit.beta, fit.se), abs=1e-9)
    assert test_again.chi_square == pytest.approx(test.chi_square, abs=1e-9)


@given(PATIENTS)
def test_curve_and_counts_agree(rows):
    """The curve falls, its limits hold it between them, and direct counts equal its own."""
    data = outcomes(*zip(*rows, strict=True))
    curve = survival.kaplan_meier(data)
    assert (np.diff(curve.survival) <= 0).all()
    defined = ~np.isnan(curve.high)
    assert (curve.low <= curve.survival + 1e-12).all()
    assert (curve.survival <= curve.high + 1e-12)[defined].all()
    assert survival.at_risk(data, curve.days).tolist() == curve.at_risk.tolist()
    table = survival.counted(data, curve.days)
    assert (survival.at_risk(data, curve.days + 1) + table["events"] + table["censored"] == len(data)).all()
    assert survival.events_by(data, curve.days).tolist() == np.cumsum(curve.events).tolist()
