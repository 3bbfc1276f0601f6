"""What the text implies but does not print, computed from the stored rows of one cohort.

One cohort's numbers mean nothing by themselves: infinitely many cohorts agree with the paper.
`quantities` gives them per cohort, under names that are the same for each, and
`reconstruction_range` says over the ensemble how far they are fixed by what is printed.

Everything is estimated by `visiontrial.survival`, per end point and population that the
targets name. Times are in months.

name                                      quantity
<P>.<pop>.events.<arm>                    events of the end point
<P>.<pop>.survival_<m>.<arm>              Kaplan-Meier estimate at m = 6, 12, 18, 24 months
<P>.<pop>.median_low.<arm>, median_high   limits of the median, 95%, log-log
<P>.<pop>.rmst_difference                 difference of the restricted means at the horizon
<P>.<pop>.censored_early.<arm>            patients censored before the horizon
<P>.<pop>.hazard_ratio_unstratified       Cox model without strata
<P>.<pop>.log_rank_chi_square             stratified log-rank test
<P>.<pop>.ph_p                            proportional hazards: P value, time by the pooled curve (`km`)
<P>.<pop>.ph_slope                        log hazard ratio at the foot of that curve less the one at its start

The horizon is fixed by the design, so that it is the same for all cohorts: see `horizon`. A
value is NaN where a cohort does not define it, for example where a curve ends before the
landmark; which names there are does not depend on the cohort.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from visiontrial import survival
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial
from visiontrial.cohort.verify import Analyses

LANDMARKS = (6, 12, 18, 24)
"""Months."""

HORIZON_STEPS = (6, 1)
"""Months: the horizon is a multiple of the first, or of the next where that is too long."""

CENTRAL = 0.95
CONVENTIONAL = 40
"""With fewer members the 2.5% and 97.5% points are hardly inside the extremes."""

_OF_FOLLOWUP = ("followup", "followup_low", "followup_high", "time_to_cutoff")


def analyses_of(trial: Trial) -> list[tuple[str, str]]:
    """The pairs of end point (PARAMCD) and population of which the targets print an efficacy statistic."""
    return list(
        dict.fromkeys((t.paramcd, t.population) for t in trial.targets if t.statistic not in _OF_FOLLOWUP)
    )


def horizon(trial: Trial, population: str) -> float:
    """Months to which every patient of the population could have been followed: a round number of them.

    The largest multiple of six months (of one month, where six are too many; else all there is)
    from the last day of the population's window of randomization to the cutoff.
    """
    _, last = _window(trial, population)
    months = _months_to_cutoff(trial, last)
    for step in HORIZON_STEPS:
        if months >= step:
            return float(step * math.floor(months / step))
    return months


def landmarks(trial: Trial, population: str) -> tuple[int, ...]:
    """Those of `LANDMARKS` to which the population's first patient could have been followed."""
    first, _ = _window(trial, population)
    return tuple(m for m in LANDMARKS if m <= _months_to_cutoff(trial, first))


def _window(trial: Trial, population: str) -> tuple[date, date]:
    periods = [period for period in trial.periods if period.name in trial.populations[population]]
    return min(p.first for p in periods), max(p.last for p in periods)


def _months_to_cutoff(trial: Trial, randomized: date) -> float:
    return ((trial.cutoff - randomized).days + 1) / DAYS_PER_MONTH


def quantities(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> pd.Series:
    """What one cohort implies, by name (the module's table), as floats."""
    return of(Analyses(trial, adsl, adtte))


def of(analyses: Analyses) -> pd.Series:
    """`quantities` of rows that have been analysed before: what was fitted then is not fitted again."""
    pairs = (pair for key in analyses_of(analyses.trial) for pair in _analysis(analyses, *key))
    return pd.Series(dict(pairs), dtype=float)


def _analysis(analyses: Analyses, paramcd: str, population: str) -> Iterator[tuple[str, float]]:
    stem = f"{paramcd}.{population}"
    trial = analyses.trial
    until = horizon(trial, population) * DAYS_PER_MONTH
    means = []
    for arm in trial.arms:
        data = analyses.of_arm(paramcd, population, arm.name)
        curve = analyses.curve(paramcd, population, arm.name)
        median = curve.median()
        yield f"{stem}.events.{arm.name}", data.event.sum()
        for month in landmarks(trial, population):
            yield f"{stem}.survival_{month}.{arm.name}", curve.at(month * DAYS_PER_MONTH)
        yield f"{stem}.median_low.{arm.name}", median.low / DAYS_PER_MONTH
        yield f"{stem}.median_high.{arm.name}", median.high / DAYS_PER_MONTH
        yield f"{stem}.censored_early.{arm.name}", (~data.event & (data.days < until)).sum()
        means.append(curve.area(until) / DAYS_PER_MONTH)
    yield f"{stem}.rmst_difference", means[1] - means[0]
    yield from _comparison(analyses, paramcd, population, stem)


def _comparison(analyses: Analyses, paramcd: str, population: str, stem: str) -> Iterator[tuple[str, float]]:
    data = analyses.outcomes(paramcd, population)
    unstratified = _or_nan(lambda: survival.cox(data.unstratified()).ratio)
    chi_square = _or_nan(lambda: survival.log_rank(data).chi_square)
    try:
        test = survival.proportional_hazards(data, fit=analyses.hazard_ratio(paramcd, population))
        p_value, slope = test.p_value, test.slope
    except survival.UnusableOutcomes:
        p_value = slope = math.nan
    yield f"{stem}.hazard_ratio_unstratified", unstratified
    yield f"{stem}.log_rank_chi_square", chi_square
    yield f"{stem}.ph_p", p_value
    yield f"{stem}.ph_slope", slope


def _or_nan(estimate) -> float:
    try:
        return estimate()
    except survival.UnusableOutcomes:
        return math.nan


@dataclass(frozen=True)
class ReconstructionRange:
    """Where the printed numbers leave a quantity: its central 95% over the ensemble.

    `lowest` and `highest` are the extremes, `members` the cohorts that define the quantity,
    `undefined` those that do not. It is no confidence and no credible interval.
    """

    low: float
    high: float
    lowest: float
    highest: float
    members: int
    undefined: int

    @property
    def coverage_of_extremes(self) -> float:
        """The chance that one more cohort lies between `lowest` and `highest`: (m-1)/(m+1)."""
        return max(self.members - 1, 0) / (self.members + 1)

    def __str__(self) -> str:
        text = f"{self.low:.4g} to {self.high:.4g} (reconstruction range, {self.members} cohorts"
        if self.undefined:
            text += f", not defined in {self.undefined} more"
        if self.members < CONVENTIONAL:
            text += (
                f"; from the smallest to the largest, {self.lowest:.4g} to {self.highest:.4g}, "
                f"would hold the next cohort in {100 * self.coverage_of_extremes:.0f}% of cases"
            )
        return text + ")"


def reconstruction_range(values) -> ReconstructionRange:
    """The 2.5% and 97.5% points of a quantity over the members of an ensemble.

    `values`: one per member, NaN where a cohort does not define the quantity. Between order
    statistics the points are interpolated linearly (as numpy does); infinite values, such as
    an upper limit that is not reached, are larger than any other.
    """
    values = np.asarray(values, float).ravel()
    defined = np.sort(values[~np.isnan(values)])
    if not defined.size:
        raise ValueError(f"none of the {values.size} cohorts defines the quantity: there is no range")
    tail = (1 - CENTRAL) / 2
    return ReconstructionRange(
        low=_quantile(defined, tail),
        high=_quantile(defined, 1 - tail),
        lowest=float(defined[0]),
        highest=float(defined[-1]),
        members=defined.size,
        undefined=values.size - defined.size,
    )


def _quantile(ordered: np.ndarray, probability: float) -> float:
    """Linear interpolation that does not turn two infinite neighbours into NaN."""
    position = (ordered.size - 1) * probability
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    return float(below if below == above else below + (position - math.floor(position)) * (above - below))
