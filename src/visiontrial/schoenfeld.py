"""Power of a log-rank test by Schoenfeld's formula, and the formula solved for each of its inputs.

Beside it stands Freedman's, solved for the hazard ratio: another formula pins another value.

With `events` events in two arms to which patients are allocated `ratio` to 1, a true
hazard ratio (lower is better) and a one-sided level `alpha`,

    power = Φ(√(events · ratio) / (1 + ratio) · |ln(hazard ratio)| − z),   z = Φ⁻¹(1 − alpha).

The formula assumes proportional hazards and shares out the events as the patients were
allocated, which is exact only for a hazard ratio near 1. It knows nothing of dropout,
interim looks or strata. Patients who have no event do not enter it.

References
----------
1. Schoenfeld D. The asymptotic properties of nonparametric tests for comparing survival
   distributions. Biometrika 1981;68:316-319. doi 10.1093/biomet/68.1.316
2. Schoenfeld DA. Sample-size formula for the proportional-hazards regression model.
   Biometrics 1983;39:499-503. doi 10.2307/2531021
3. Freedman LS. Tables of the number of patients required in clinical trials using the
   logrank test. Stat Med 1982;1:121-129. doi 10.1002/sim.4780010204
"""

from __future__ import annotations

import math

from scipy.stats import norm


def power(events: float, hazard_ratio: float, alpha: float, ratio: float) -> float:
    """The chance, between 0 and 1, that the test is significant."""
    return float(norm.cdf(_drift(events, hazard_ratio, ratio) - norm.isf(alpha)))


def hazard_ratio_for(power: float, events: float, alpha: float, ratio: float) -> float:
    """The hazard ratio below 1 that the test detects with this power."""
    return math.exp(-_needed(power, alpha) / _drift(events, 1 / math.e, ratio))


def events_for(power: float, hazard_ratio: float, alpha: float, ratio: float) -> float:
    """The number of events, not rounded up, that gives this power."""
    return (_needed(power, alpha) / _drift(1, hazard_ratio, ratio)) ** 2


def alpha_for(power: float, events: float, hazard_ratio: float, ratio: float) -> float:
    """The one-sided level at which the test has this power."""
    return float(norm.sf(_drift(events, hazard_ratio, ratio) - norm.ppf(power)))


def ratio_for(power: float, events: float, hazard_ratio: float, alpha: float) -> float:
    """The allocation ratio, 1 or more, that gives this power; `nan` where even 1 to 1 falls short.

    The formula is the same for `ratio` and `1 / ratio`; the larger one is returned.
    """
    squared = (events * math.log(hazard_ratio) ** 2) / _needed(power, alpha) ** 2
    excess = squared - 2
    return (excess + math.sqrt(excess**2 - 4)) / 2 if squared >= 4 else math.nan


def freedman_hazard_ratio_for(power: float, events: float, alpha: float, ratio: float) -> float:
    """The hazard ratio below 1 that the test detects with this power, by Freedman's formula.

    It puts (1 − hazard ratio) / (1 + ratio · hazard ratio) where Schoenfeld's has
    |ln(hazard ratio)| / (1 + ratio). `ValueError` where no hazard ratio gives this power.
    """
    effect = _needed(power, alpha) / math.sqrt(events * ratio)
    if effect >= 1:
        raise ValueError(f"{events:g} events cannot give a power of {power:g} at any hazard ratio")
    return (1 - effect) / (1 + ratio * effect)


def _drift(events: float, hazard_ratio: float, ratio: float) -> float:
    """The mean of the log-rank statistic, in standard errors."""
    return math.sqrt(events * ratio) / (1 + ratio) * abs(math.log(hazard_ratio))


def _needed(power: float, alpha: float) -> float:
    """The mean of the statistic that gives this power at this level."""
    return float(norm.isf(alpha) + norm.ppf(power))
