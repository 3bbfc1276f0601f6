"""Rubin's rules: one estimate from many imputations, with what they do not agree on in its variance.

Source: Rubin 1987, Multiple Imputation for Nonresponse in Surveys, doi 10.1002/9780470316696, formulas
3.1.2 to 3.1.10. The numbers in parentheses below are his.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

RULE = "Rubin's rules on the log hazard ratio; two-sided Wald test on Rubin's t distribution"


@dataclass(frozen=True, eq=False)
class Pooled:
    """Log hazard ratios pooled over m imputations; the fields are numbers or arrays of one shape.

    `log_ratio`: mean of the estimates (3.1.2). `within`: mean of their variances (3.1.3), the sampling.
    `between`: variance of the estimates (3.1.4), the imputation. One data set without
    imputations has m = 1 and nothing between.
    """

    log_ratio: np.ndarray
    within: np.ndarray
    between: np.ndarray
    imputations: int

    @property
    def total(self):
        """Total variance (3.1.5)."""
        return self.within + self._added

    @property
    def _added(self):
        return (1 + 1 / self.imputations) * self.between

    @property
    def increase(self):
        """By what share the imputation increases the variance (3.1.7)."""
        return self._added / self.within

    @property
    def degrees(self):
        """Degrees of freedom of the t distribution (3.1.6); infinite without variance between."""
        increase = np.asarray(self.increase)
        spread = np.where(increase > 0, increase, 1.0)
        return np.where(increase > 0, (self.imputations - 1) * (1 + 1 / spread) ** 2, np.inf)[()]

    @property
    def ratio(self):
        return np.exp(self.log_ratio)

    def limits(self, level: float):
        """Limits of the hazard ratio, symmetric on the log scale, by the t distribution."""
        half = self._t((1 - level) / 2) * np.sqrt(self.total)
        return np.exp(self.log_ratio - half), np.exp(self.log_ratio + half)

    def log_upper(self, alpha: float):
        """Log of the upper limit at 1 − alpha: below 0 where the ratio is significantly below 1."""
        return np.log(self.limits(1 - alpha)[1])

    def _t(self, tail: float):
        return _t_or_normal(stats.t.isf, stats.norm.isf, tail, self.degrees)

    @property
    def p_value(self):
        """Two-sided Wald test of a hazard ratio of 1 (section 3.1, after 3.1.8)."""
        size = np.abs(self.log_ratio) / np.sqrt(self.total)
        return 2 * _t_or_normal(stats.t.sf, stats.norm.sf, size, self.degrees)

    @property
    def monte_carlo(self):
        """Standard error of the log hazard ratio for want of infinitely many imputations: √(between / m)."""
        return np.sqrt(self.between / self.imputations)


def _t_or_normal(of_t: Callable, of_normal: Callable, value, degrees):
    """A function of Student's t, which is the normal one for infinitely many degrees."""
    finite = np.isfinite(degrees)
    return np.where(finite, of_t(value, np.where(finite, degrees, 1.0)), of_normal(value))[()]


def pool(log_ratio: np.ndarray, variance: np.ndarray) -> Pooled:
    """Pool m estimates and their variances, along the first axis of arrays of shape (m, ...)."""
    log_ratio, variance = np.asarray(log_ratio, float), np.asarray(variance, float)
    size = len(log_ratio)
    between = log_ratio.var(axis=0, ddof=1) if size > 1 else 0.0 * log_ratio[0]
    return Pooled(log_ratio.mean(axis=0), variance.mean(axis=0), between, size)


def jackknife(log_ratio: np.ndarray, variance: np.ndarray, statistic: Callable[[Pooled], np.ndarray]):
    """Monte Carlo standard error of a statistic of pooled estimates, leaving out one imputation at a time.

    `log_ratio` and `variance`: (m, ...), the imputations along the first axis. `statistic` is given all m
    leavings-out at once, pooled, with fields of shape (m, ...), and returns as many values; the error is
    taken along its first axis. NaN where a value is infinite.

    Source: White, Royston and Wood 2011, doi 10.1002/sim.4067, section 7.3.
    """
    size = len(log_ratio)
    others = np.array([np.delete(np.arange(size), left_out) for left_out in range(size)]).T
    left = np.asarray(statistic(pool(np.asarray(log_ratio)[others], np.asarray(variance)[others])))
    left = np.where(np.isfinite(left), left, np.nan)
    return np.sqrt((size - 1) / size * ((left - left.mean(axis=0)) ** 2).sum(axis=0))[()]
