"""Survival analysis of two randomized arms: thin, named wrappers around lifelines, statsmodels and scipy.

Every reported number about time comes from here. The estimates are lifelines'
(Kaplan-Meier, Cox with Efron's ties) and statsmodels' (stratified log-rank, Cox with Breslow's
ties); this room adds what those leave open or get wrong, each with its rule in the result's text:

- the transform of the Kaplan-Meier interval is named, and where nobody is left at risk the
  upper limit does not exist (as in R; lifelines sets it to 0 there);
- the median counts a curve that lies on one half exactly, whatever the rounding of products;
- nothing is read from a curve beyond its last observation;
- numbers at risk, of events and of censorings are counted directly;
- a restricted mean has the standard error of an estimate (lifelines gives the variance of a time);
- the proportional-hazards test holds for stratified models (lifelines' with ranked times does not).

Times are whole days, day 1 being the day of randomization. On one day events come before
censorings. Arms are 0 (reference) and 1; ratios and differences are arm 1 against arm 0.
P values are two-sided.
"""

from __future__ import annotations

import html
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from lifelines.fitters.coxph_fitter import SemiParametricPHFitter
from scipy.stats import chi2, norm
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import survdiff

Interval = Literal["log-log", "log", "plain"]
TimeTransform = Literal["km", "identity"]
Ties = Literal["efron", "breslow"]

HALF = 0.5 + 1e-9
"""One half, with room for the rounding of a product of fractions."""

# Newton's full steps until the decrement is numerical noise: beta is then exact to about 1e-12.
# lifelines' own defaults (steps of 0.95, likelihood stable to 1e-9) stop near 1e-9.
TO_CONVERGENCE = {"step_size": 1.0, "precision": 1e-20, "r_precision": 0.0, "max_steps": 100}


class UnusableOutcomes(ValueError):
    """The rows do not allow the analysis asked for; the message says why and what to do."""


class Statistic:
    """A result in text and in HTML: what was found, then the rule by which it was found."""

    rule: str

    @property
    def finding(self) -> str:
        """The estimate and its limits, in words."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.finding}; {self.rule}"

    def _repr_html_(self) -> str:
        finding, rule = html.escape(self.finding), html.escape(self.rule)
        return f"<p class='statistic'><strong>{finding}</strong><br><small>{rule}</small></p>"


def _percent(level: float) -> str:
    return f"{100 * level:g}%"


def _days(day: float) -> str:
    return "not reached" if math.isinf(day) else f"{day:g}"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Time-to-event outcomes of n patients.

    `days`: whole days from 1. `event`: true for an event, false for a censoring. `arm`: 0 or 1.
    `stratum`: whole numbers from 0, all 0 where the analysis is not stratified. All of shape (n,).
    Build it with `outcomes` or `outcomes_of`, which check all this.
    """

    days: np.ndarray
    event: np.ndarray
    arm: np.ndarray
    stratum: np.ndarray

    def __len__(self) -> int:
        return len(self.days)

    def where(self, kept: np.ndarray) -> Outcomes:
        """The patients for whom `kept`, a boolean array of shape (n,), is true."""
        return Outcomes(self.days[kept], self.event[kept], self.arm[kept], self.stratum[kept])

    def of_arm(self, arm: int) -> Outcomes:
        """The patients of one arm."""
        return self.where(self.arm == arm)

    def unstratified(self) -> Outcomes:
        """The same patients in one stratum."""
        return Outcomes(self.days, self.event, self.arm, np.zeros(len(self), np.int64))

    def until(self, day: float | np.ndarray) -> Outcomes:
        """The same patients, followed no longer than to the end of `day`: who goes on is censored then.

        `day` is one for all or one per patient, of shape (n,).
        """
        last = np.floor(np.broadcast_to(day, self.days.shape)).astype(np.int64)
        if (last < 1).any():
            raise UnusableOutcomes(f"follow-up cannot end on day {np.min(day):g}: the first day is 1")
        return Outcomes(np.minimum(self.days, last), self.event & (self.days <= last), self.arm, self.stratum)

    def reversed(self) -> Outcomes:
        """Censorings as events and events as censorings: the outcome of the reverse Kaplan-Meier estimate."""
        return Outcomes(self.days, ~self.event, self.arm, self.stratum)

    @property
    def strata(self) -> int:
        """The number of strata with patients in them."""
        return len(np.unique(self.stratum))


def outcomes(days, event, arm=None, stratum=None) -> Outcomes:
    """Check and hold time-to-event outcomes.

    Parameters
    ----------
    days : array of shape (n,), whole numbers of at least 1.
    event : array of shape (n,), booleans or 0/1, where 1 is an event. For ADaM's CNSR use `outcomes_of`.
    arm : array of shape (n,), 0 or 1; left out, all patients are of arm 0.
    stratum : labels of shape (n,), or (n, k) for the combinations of k factors; left out, one stratum.

    Raises
    ------
    UnusableOutcomes
        naming the first row and value that is none of these.
    """
    days = _checked(days, "days", lambda v: (v >= 1) & (v == np.floor(v)), "a whole number from 1")
    size = len(days)
    if not size:
        raise UnusableOutcomes("there are no rows: nothing can be estimated from nobody")
    event = _checked(event, "event", _is_binary, "0 or 1", size)
    arm = np.zeros(size) if arm is None else _checked(arm, "arm", _is_binary, "0 or 1", size)
    return Outcomes(days.astype(np.int64), event.astype(bool), arm.astype(np.int64), _codes(stratum, size))


def outcomes_of(
    frame: pd.DataFrame,
    *,
    days: str = "AVAL",
    censored: str = "CNSR",
    arm: str = "TRT01PN",
    stratum: list[str] | tuple[str, ...] = (),
) -> Outcomes:
    """Outcomes from ADaM-style rows, whose `censored` is 1 for a censoring and 0 for an event."""
    absent = [column for column in (days, censored, arm, *stratum) if column not in frame]
    if absent:
        has = list(frame.columns)
        raise UnusableOutcomes(f"the rows have no column {', '.join(absent)}; they have {has}")
    cnsr = _checked(frame[censored], censored, _is_binary, "0 or 1")
    return outcomes(frame[days], 1 - cnsr, frame[arm], frame[list(stratum)] if stratum else None)


def _is_binary(values: np.ndarray) -> np.ndarray:
    return (values == 0) | (values == 1)


def _checked(values, name: str, valid: Callable, meaning: str, size: int | None = None) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or (size is not None and len(values) != size):
        raise UnusableOutcomes(f"{name} has shape {values.shape}: it needs one value per patient")
    try:
        values = values.astype(float)
    except (TypeError, ValueError) as error:
        raise UnusableOutcomes(f"{name} must be numbers, each {meaning}: {error}") from None
    wrong = np.flatnonzero(~(np.isfinite(values) & valid(values)))
    if wrong.size:
        row = wrong[0]
        raise UnusableOutcomes(f"{name} of row {row} is {values[row]:g}: it must be {meaning}")
    return values


def _codes(stratum, size: int) -> np.ndarray:
    if stratum is None:
        return np.zeros(size, np.int64)
    labels = pd.DataFrame(np.asarray(stratum))
    if len(labels) != size:
        raise UnusableOutcomes(f"stratum has {len(labels)} rows for {size} patients")
    if labels.isna().to_numpy().any():
        raise UnusableOutcomes(f"stratum of row {labels.isna().any(axis=1).idxmax()} is missing")
    return labels.groupby(list(labels.columns)).ngroup().to_numpy(np.int64)


# --- Kaplan-Meier -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Median(Statistic):
    """A median time in days with its limits; infinite where the curve in question stays above one half."""

    median: float
    low: float
    high: float
    level: float
    rule: str

    @property
    def finding(self) -> str:
        limits = f"{_days(self.low)} to {_days(self.high)}"
        unit = "" if math.isinf(self.median) else " days"
        return f"{_days(self.median)}{unit} ({_percent(self.level)} CI {limits})"


@dataclass(frozen=True)
class Landmark(Statistic):
    """Estimated survival at the end of a day with pointwise limits; NaN where the curve ends before."""

    day: float
    survival: float
    low: float
    high: float
    level: float
    rule: str

    @property
    def finding(self) -> str:
        limits = f"{self.low:.4g} to {self.high:.4g}"
        return f"survival {self.survival:.4g} at day {self.day:g} ({_percent(self.level)} CI {limits})"


@dataclass(frozen=True, eq=False)
class Curve(Statistic):
    """A Kaplan-Meier curve: a step function that takes `survival[i]` from the end of `days[i]` on.

    `days` starts at 0 (everybody alive) and holds each day with an event or a censoring.
    `at_risk`: patients at risk just before the day, `events`: events on it. `low`, `high`:
    pointwise limits at `level`, NaN for the upper one where nobody is left at risk.
    """

    days: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    level: float
    rule: str

    def median(self) -> Median:
        """First day with an estimate of at most one half; the limits are those of the curve, read alike."""
        rule = f"first day at or below one half; {self.rule}"
        return Median(*map(self._first_at_half, (self.survival, self.low, self.high)), self.level, rule)

    def at(self, day: float) -> float:
        """Estimated survival at the end of `day`; NaN after the last observation if still above 0."""
        return self._read(self.survival, day)

    def landmark(self, day: float) -> Landmark:
        """Estimated survival at the end of `day` with its limits, read off the curve and its band."""
        values = (self._read(of, day) for of in (self.survival, self.low, self.high))
        return Landmark(day, *values, self.level, self.rule)

    def standard_error(self, day: float) -> float:
        """Greenwood's standard error of the estimate at the end of `day`; NaN where the estimate is 0."""
        return self.at(day) * math.sqrt(self._read(_greenwood(self.at_risk, self.events), day))

    def area(self, horizon: float) -> float:
        """Restricted mean: area under the curve up to `horizon` in days; NaN where the curve ends before."""
        return float(self._areas(horizon).sum())

    def standard_error_of_area(self, horizon: float) -> float:
        """Standard error of the restricted mean, from Greenwood's variance; NaN where the curve ends before.

        The variance is the sum over the days with events of d / (n (n - d)) times the square of the
        area from that day to the horizon. A day on which nobody is left adds nothing.
        """
        areas = self._areas(horizon)
        left = areas[::-1].cumsum()[::-1]
        events, at_risk = self.events[: len(areas)], self.at_risk[: len(areas)]
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(at_risk > events, events / (at_risk * (at_risk - events)), 0.0)
        return math.sqrt(float(left**2 @ terms))

    def _areas(self, horizon: float) -> np.ndarray:
        """The areas of the curve's steps up to the horizon; one NaN where the curve ends before it."""
        if math.isnan(self.at(horizon)):
            return np.array([math.nan])
        inside = self.days < horizon
        return np.diff(self.days[inside], append=horizon) * self.survival[inside]

    def _read(self, values: np.ndarray, day: float) -> float:
        if day > self.days[-1] and self.survival[-1] > 0:
            return math.nan
        return float(values[np.searchsorted(self.days, day, side="right") - 1])

    def _first_at_half(self, values: np.ndarray) -> float:
        reached = np.flatnonzero(values <= HALF)
        return float(self.days[reached[0]]) if reached.size else math.inf

    @property
    def finding(self) -> str:
        return f"Kaplan-Meier curve of {self.at_risk[0]} patients, {self.events.sum()} events"


def kaplan_meier(data: Outcomes, *, level: float = 0.95, interval: Interval = "log-log") -> Curve:
    """Kaplan-Meier curve with pointwise limits from Greenwood's variance.

    `interval` names the scale on which the limits are symmetric: `log-log` (the default of SAS
    and lifelines), `log` (of R) or `plain`. One curve for all patients, whatever their arms and
    strata: choose with `Outcomes.of_arm`.

    Source: Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452; Kalbfleisch and Prentice
    2002, section 1.4, for the intervals.
    """
    if interval not in _LIMITS:
        raise ValueError(f"interval must be one of {', '.join(_LIMITS)}, not {interval!r}")
    with np.errstate():  # lifelines silences numpy's warnings for everybody; this gives them back
        fitter = KaplanMeierFitter().fit(data.days, data.event)
    survival = fitter.survival_function_.to_numpy()[:, 0]
    at_risk, events = (fitter.event_table[c].to_numpy() for c in ("at_risk", "observed"))
    low, high = _limits(survival, at_risk, events, norm.isf((1 - level) / 2), interval)
    rule = f"{100 * level:g}% limits by the {interval} transform of Greenwood's variance"
    days = fitter.survival_function_.index.to_numpy()
    return Curve(days, survival, low, high, at_risk, events, level, rule)


def followup(data: Outcomes, *, level: float = 0.95, interval: Interval = "log-log") -> Median:
    """Median follow-up: the median of the reverse Kaplan-Meier estimate, in which censoring is the event.

    Source: Schemper and Smith 1996, doi 10.1016/0197-2456(96)00075-X.
    """
    estimate = kaplan_meier(data.reversed(), level=level, interval=interval).median()
    rule = f"reverse Kaplan-Meier; {estimate.rule}"
    return Median(estimate.median, estimate.low, estimate.high, level, rule)


def _limits(survival, at_risk, events, z: float, interval: Interval) -> tuple[np.ndarray, np.ndarray]:
    low, high = survival.copy(), survival.copy()
    spread = z * np.sqrt(_greenwood(at_risk, events))
    inside = (survival > 0) & (survival < 1)
    low[inside], high[inside] = _LIMITS[interval](survival[inside], spread[inside])
    high[survival <= 0] = np.nan
    return low, high


def _greenwood(at_risk, events) -> np.ndarray:
    """Greenwood's sum: the variance of log survival on each day; not finite from where nobody is left."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.cumsum(events / (at_risk * (at_risk - events)))


def _log_log_limits(survival, spread):
    power = np.exp(spread / -np.log(survival))
    return survival**power, survival ** (1 / power)


def _log_limits(survival, spread):
    return survival * np.exp(-spread), np.minimum(survival * np.exp(spread), 1.0)


def _plain_limits(survival, spread):
    return np.maximum(survival * (1 - spread), 0.0), np.minimum(survival * (1 + spread), 1.0)


_LIMITS = {"log-log": _log_log_limits, "log": _log_limits, "plain": _plain_limits}


@dataclass(frozen=True)
class ArmDifference(Statistic):
    """An estimate in each arm and the difference, arm 1 minus arm 0, with Wald limits from both variances.

    `arm0`, `arm1`: the estimates, `se0`, `se1` their standard errors; NaN where a curve ends
    before `day`. `quantity` names what is estimated, `unit` its unit.
    """

    quantity: str
    arm0: float
    arm1: float
    se0: float
    se1: float
    day: float
    level: float
    rule: str
    unit: str = ""

    @property
    def difference(self) -> float:
        """Arm 1 minus arm 0."""
        return self.arm1 - self.arm0

    @property
    def se(self) -> float:
        """Standard error of the difference; the arms are independent."""
        return math.hypot(self.se0, self.se1)

    @property
    def low(self) -> float:
        return self.difference - float(norm.isf((1 - self.level) / 2)) * self.se

    @property
    def high(self) -> float:
        return self.difference + float(norm.isf((1 - self.level) / 2)) * self.se

    @property
    def finding(self) -> str:
        limits = f"{_percent(self.level)} CI {self.low:.4g} to {self.high:.4g}"
        arms = f"{self.arm1:.4g} against {self.arm0:.4g}"
        return f"{self.quantity}, {self.difference:.4g}{self.unit} ({limits}; {arms})"


def restricted_means(data: Outcomes, horizon: float, *, level: float = 0.95) -> ArmDifference:
    """Restricted mean survival times of both arms at `horizon` in days, and their difference.

    Source: Royston and Parmar 2013, doi 10.1186/1471-2288-13-152; the standard error as in R's
    `print(survfit(...), rmean = horizon)`.
    """
    if not horizon > 0:
        raise ValueError(f"the horizon must be a positive number of days, not {horizon}")
    curves = [kaplan_meier(data.of_arm(arm)) for arm in (0, 1)]
    means = (curve.area(horizon) for curve in curves)
    errors = (curve.standard_error_of_area(horizon) for curve in curves)
    quantity = f"difference of the restricted means up to day {horizon:g}"
    rule = "areas under the Kaplan-Meier curves, arm 1 minus arm 0; Greenwood's variance, Wald limits"
    return ArmDifference(quantity, *means, *errors, horizon, level, rule, " days")


def survival_difference(data: Outcomes, day: float, *, level: float = 0.95) -> ArmDifference:
    """Difference of the arms' Kaplan-Meier estimates at the end of `day`: arm 1 minus arm 0.

    NaN limits where an estimate is 0, where Greenwood's variance does not exist.
    """
    curves = [kaplan_meier(data.of_arm(arm)) for arm in (0, 1)]
    estimates = (curve.at(day) for curve in curves)
    errors = (curve.standard_error(day) for curve in curves)
    rule = "Kaplan-Meier estimates, arm 1 minus arm 0; Greenwood's variance, Wald limits"
    quantity = f"difference of survival at day {day:g}"
    return ArmDifference(quantity, *estimates, *errors, day, level, rule)


def at_risk(data: Outcomes, days) -> np.ndarray:
    """How many patients are still at risk at each of `days`: those whose time is that day or later.

    A patient counts on the day of his event or censoring itself.
    """
    return np.array([int((data.days >= day).sum()) for day in np.atleast_1d(days)])


def events_by(data: Outcomes, days) -> np.ndarray:
    """How many patients have had the event by the end of each of `days`."""
    return np.array([int((data.event & (data.days <= day)).sum()) for day in np.atleast_1d(days)])


def counted(data: Outcomes, days) -> pd.DataFrame:
    """Patients at risk at each of `days`, and events and censorings by the end of it, counted directly.

    One row per day (the index) with the columns `at_risk`, `events`, `censored`. With d the day,
    at risk at d + 1, events by d and censored by d add up to all patients.
    """
    columns = {
        "at_risk": at_risk(data, days),
        "events": events_by(data, days),
        "censored": events_by(data.reversed(), days),
    }
    return pd.DataFrame(columns, index=pd.Index(np.atleast_1d(days), name="day"))


# --- two arms -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class HazardRatio(Statistic):
    """Hazard ratio of arm 1 against arm 0: `beta` is its logarithm, `se` the standard error of that."""

    beta: float
    se: float
    level: float
    rule: str

    @property
    def ratio(self) -> float:
        return math.exp(self.beta)

    @property
    def low(self) -> float:
        return self.limits(self.level)[0]

    @property
    def high(self) -> float:
        return self.limits(self.level)[1]

    def limits(self, level: float) -> tuple[float, float]:
        """Wald limits at any level, symmetric on the log scale."""
        half = float(norm.isf((1 - level) / 2)) * self.se
        return math.exp(self.beta - half), math.exp(self.beta + half)

    @property
    def finding(self) -> str:
        limits = f"{self.low:.4g} to {self.high:.4g}"
        return f"hazard ratio {self.ratio:.4g} ({_percent(self.level)} CI {limits})"


def cox(data: Outcomes, *, level: float = 0.95, ties: Ties = "efron") -> HazardRatio:
    """Stratified two-arm Cox model with Wald limits, ties by `efron` (lifelines) or `breslow` (statsmodels).

    Efron's rule is the default of R and of lifelines, Breslow's that of SAS.

    Raises `UnusableOutcomes` where the partial likelihood has no maximum: without events, or
    when all events that count (those on days with both arms at risk) are of one arm.

    Source: Cox 1972, doi 10.1111/j.2517-6161.1972.tb00899.x; Efron 1977, doi
    10.1080/01621459.1977.10480613; Breslow 1974, doi 10.2307/2529620.
    """
    if ties not in _COX:
        raise ValueError(f"ties must be {' or '.join(_COX)}, not {ties!r}")
    table = _event_table(data)
    _require_maximum(data, table)
    rule = f"Cox model, {_strata_in_words(data)}, {ties.capitalize()} ties, Wald limits"
    return HazardRatio(*_COX[ties](data, _starting_point(table)), level, rule)


def _cox_efron(data: Outcomes, beta: float) -> tuple[float, float]:
    frame = pd.DataFrame({"days": data.days, "event": data.event, "arm": data.arm})
    if data.strata > 1:
        frame["stratum"] = data.stratum
    # lifelines standardizes the covariate; so must the starting point be.
    start = np.array([beta * frame["arm"].std()])
    try:
        with np.errstate(), warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            fitter = _Coefficient(strata=["stratum"] if data.strata > 1 else None)
            fitter.fit(frame, "days", "event", initial_point=start, fit_options=TO_CONVERGENCE)
    except (ConvergenceError, ConvergenceWarning) as error:
        raise UnusableOutcomes(f"the Cox model did not converge on {len(data)} rows: {error}") from error
    return float(fitter.params_["arm"]), float(fitter.standard_errors_["arm"])


def _cox_breslow(data: Outcomes, beta: float) -> tuple[float, float]:
    model = PHReg(data.days, data.arm[:, None].astype(float), data.event, strata=data.stratum, ties="breslow")
    fit = model.fit(start_params=np.array([beta]), disp=0)
    return float(fit.params[0]), float(fit.bse[0])


_COX = {"efron": _cox_efron, "breslow": _cox_breslow}


def _strata_in_words(data: Outcomes) -> str:
    return f"{data.strata} strata" if data.strata > 1 else "unstratified"


class _Coefficient(SemiParametricPHFitter):
    """lifelines' Cox fitter for the coefficient alone: no baseline hazards and nothing to plot.

    They do not enter the coefficient or its standard error, and take most of the time.
    """

    def _compute_central_values_of_raw_training_data(self, *_args, **_kwargs):
        return None

    def _compute_baseline_hazards(self, *_args):
        return pd.DataFrame()

    def _compute_baseline_cumulative_hazard(self, *_args):
        return pd.DataFrame()

    def _compute_baseline_survival(self):
        return pd.DataFrame()


@dataclass(frozen=True)
class LogRank(Statistic):
    """A log-rank test: chi-square on one degree of freedom and its two-sided P value.

    `observed` events of arm 1 against those `expected` if the arms' hazards were equal, summed
    over strata, and the `variance` of their difference.
    """

    chi_square: float
    p_value: float
    observed: int
    expected: float
    variance: float
    rule: str

    @property
    def finding(self) -> str:
        events = f"{self.observed} events in arm 1, {self.expected:.1f} expected"
        return f"chi-square {self.chi_square:.4g}, P = {self.p_value:.3g} ({events})"


def log_rank(data: Outcomes) -> LogRank:
    """Stratified two-arm log-rank test, hypergeometric variance, two-sided.

    Raises `UnusableOutcomes` where the variance is zero: without events, or when everybody at
    risk has the event at once.

    Source: Mantel 1966; Peto and Peto 1972, doi 10.2307/2344317.
    """
    table = _event_table(data)
    _require_both_arms(data, table)
    try:
        chi_square = float(survdiff(data.days, data.event, data.arm, strata=data.stratum)[0])
    except np.linalg.LinAlgError:
        raise UnusableOutcomes("the log-rank statistic has no variance: nobody outlives an event") from None
    # statsmodels gives the chi-square alone, and 1 - cdf for P, which is 0 for small P values.
    at_risk = table.at_risk0 + table.at_risk1
    share1 = table.at_risk1 / at_risk
    observed = int((data.event & (data.arm == 1)).sum())
    expected = observed - float((table.events1 - table.events * share1).sum())
    variance = float((table.events * share1 * (1 - share1) * (at_risk - table.events) / (at_risk - 1)).sum())
    rule = f"log-rank test, {_strata_in_words(data)}, two-sided"
    return LogRank(chi_square, float(chi2.sf(chi_square, 1)), observed, expected, variance, rule)


@dataclass(frozen=True)
class Proportionality(Statistic):
    """Score test of proportional hazards: whether the log hazard ratio changes with g(time).

    `slope` is the one-step estimate of that change per unit of g: per day for `identity`, from
    the start of the pooled curve to its foot for `km`.
    """

    chi_square: float
    p_value: float
    slope: float
    transform: str
    rule: str = field(default="score test of Grambsch and Therneau, stratified, Efron ties, two-sided")

    @property
    def finding(self) -> str:
        test = f"chi-square {self.chi_square:.4g}, P = {self.p_value:.3g}"
        return f"{test}, slope {self.slope:.3g} per unit of {self.transform} time"


def proportional_hazards(
    data: Outcomes, *, transform: TimeTransform = "km", fit: HazardRatio | None = None
) -> Proportionality:
    """Test of proportional hazards in the stratified two-arm Cox model.

    The score test for a term arm × g(time) added to the fitted model. `km`: g is one minus the
    Kaplan-Meier estimate of all patients, arms and strata pooled, just before the time (the
    default of R's `cox.zph`, version 3 and later); `identity`: g is the time in days. `fit`
    spares a second fit of the same data.

    Source: Grambsch and Therneau 1994, doi 10.1093/biomet/81.3.515; R survival 3.5, `cox.zph`.
    """
    if transform not in ("km", "identity"):
        raise ValueError(f"transform must be km or identity, not {transform!r}")
    table = _event_table(data)
    beta = (fit or cox(data)).beta
    score, information = _score_and_information(table, beta)
    time = table.day.astype(float) if transform == "identity" else _pooled_incidence(data, table.day)
    time = time - np.average(time, weights=table.events)
    change = float(time @ score)
    # The information on the change, beyond what was spent on the constant ratio.
    spent = float(time @ information) ** 2 / float(information.sum())
    left = float(time**2 @ information) - spent
    if left <= 1e-12 * (spent + 1e-300):
        raise UnusableOutcomes("all events that count fall on one day: a ratio cannot change in one day")
    chi_square = change**2 / left
    return Proportionality(chi_square, float(chi2.sf(chi_square, 1)), change / left, transform)


def _pooled_incidence(data: Outcomes, days: np.ndarray) -> np.ndarray:
    curve = kaplan_meier(data)
    return 1 - curve.survival[np.searchsorted(curve.days, days, side="left") - 1]


# --- the event table: what a two-arm partial likelihood consists of -------------------------------


class _EventTable(NamedTuple):
    """Per stratum and day with an event and both arms at risk: numbers at risk and of events."""

    day: np.ndarray
    at_risk0: np.ndarray
    at_risk1: np.ndarray
    events0: np.ndarray
    events1: np.ndarray

    @property
    def events(self) -> np.ndarray:
        return self.events0 + self.events1


def _event_table(data: Outcomes) -> _EventTable:
    length = int(data.days.max()) + 1  # a stratum's days follow those of the stratum before
    places, place = np.unique(data.stratum * length + data.days, return_inverse=True)
    first = np.searchsorted(places, (places // length + 1) * length)  # where the next stratum begins
    counts = []
    for arm in (0, 1):
        mine = data.arm == arm
        leaving = np.bincount(place, mine, minlength=len(places))
        before = np.concatenate(([0.0], np.cumsum(leaving)))
        counts += [before[first] - before[:-1], np.bincount(place, mine & data.event, minlength=len(places))]
    at_risk0, events0, at_risk1, events1 = counts
    kept = (events0 + events1 > 0) & (at_risk0 > 0) & (at_risk1 > 0)
    return _EventTable(places[kept] % length, *(c[kept] for c in (at_risk0, at_risk1, events0, events1)))


def _score_and_information(table: _EventTable, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """First and minus second derivative of the log partial likelihood in beta, per line of the table.

    Efron: of d events on one day, the share k/d of their weight has left before the k-th, k from 0.
    """
    line = np.repeat(np.arange(len(table.day)), table.events.astype(int))
    share = (np.arange(len(line)) - np.searchsorted(line, line)) / table.events[line]
    weight1 = math.exp(beta) * (table.at_risk1[line] - share * table.events1[line])
    probability = weight1 / (weight1 + table.at_risk0[line] - share * table.events0[line])
    size = len(table.day)
    score = table.events1 - np.bincount(line, probability, minlength=size)
    return score, np.bincount(line, probability * (1 - probability), minlength=size)


def _starting_point(table: _EventTable) -> float:
    """A log hazard ratio close to the maximum, from which lifelines needs a step or two."""
    beta = 0.0
    for _ in range(6):
        score, information = _score_and_information(table, beta)
        beta += min(max(score.sum() / information.sum(), -1.0), 1.0)
    return beta


def _require_both_arms(data: Outcomes, table: _EventTable) -> None:
    if len(set(data.arm.tolist())) < 2:
        raise UnusableOutcomes(f"all {len(data)} rows are of one arm: there is nothing to compare")
    if not data.event.any():
        raise UnusableOutcomes(f"there is no event among {len(data)} rows: the arms cannot be compared")
    if not len(table.day):
        raise UnusableOutcomes("no event falls on a day with both arms at risk in its stratum: use fewer")


def _require_maximum(data: Outcomes, table: _EventTable) -> None:
    _require_both_arms(data, table)
    for arm, events in enumerate((table.events0, table.events1)):
        if not events.any():
            raise UnusableOutcomes(
                f"arm {arm} has no event on a day with both arms at risk in its stratum: "
                "the hazard ratio has no finite estimate"
            )
