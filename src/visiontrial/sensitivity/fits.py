"""One stratified Cox model for each completed data set.

A map of assumptions takes millions of fits, so they are made by the compiled kernel of the search, which
the tests prove equal to lifelines. `by_lifelines` makes the same fits with lifelines, and `agree` compares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from visiontrial import survival
from visiontrial.cohort import kernel
from visiontrial.sensitivity.imputation import Times
from visiontrial.survival import Outcomes

TOLERANCE = 1e-7
"""Largest difference of a log hazard ratio or a standard error at which two fits agree."""


class Fits(NamedTuple):
    """Log hazard ratios of arm 1 against arm 0 and their variances, each (m,)."""

    log_ratio: np.ndarray
    variance: np.ndarray


class FitsDiffer(RuntimeError):
    """The kernel and lifelines do not agree on a fit: one of them is wrong."""


def by_kernel(data: Outcomes, times: Times) -> Fits:
    """Cox model with the arms and strata of `data` for each of m completed data sets, ties by Efron.

    Raises `survival.UnusableOutcomes` where a data set has no maximum.
    """
    estimate, error = np.empty(len(times.days)), np.empty(len(times.days))
    _fit_each(
        times.days, times.event, data.arm, data.stratum,
        int(times.days.max()), int(data.stratum.max()) + 1, estimate, error,
    )  # fmt: skip
    if np.isnan(estimate).any():
        number = int(np.flatnonzero(np.isnan(estimate))[0])
        raise survival.UnusableOutcomes(
            f"the Cox model of completed data set {number} has no maximum: an arm has no event that counts"
        )
    return Fits(estimate, error**2)


@njit(cache=True, nogil=True)
def _fit_each(days, event, arm, stratum, last_day, strata, estimate, error):
    records = np.empty((days.shape[1], 4))
    for m in range(days.shape[0]):
        order = kernel.sort_rows(days[m], stratum, last_day, strata)
        filled = kernel.tabulate_events(order, days[m], event[m], arm, stratum, records)
        estimate[m], error[m] = kernel.fit_cox(records[:filled], 0.0, True)


def by_lifelines(data: Outcomes, times: Times) -> Fits:
    """The same fits with lifelines, thousands of times slower."""
    made = [
        survival.cox(Outcomes(days, event, data.arm, data.stratum))
        for days, event in zip(times.days, times.event, strict=True)
    ]
    return Fits(np.array([fit.beta for fit in made]), np.array([fit.se**2 for fit in made]))


def require_agreement(ours: Fits, theirs: Fits, what: str) -> None:
    """Raise `FitsDiffer` where two sets of fits of the same data differ by more than `TOLERANCE`."""
    apart = max(
        np.abs(ours.log_ratio - theirs.log_ratio).max(),
        np.abs(np.sqrt(ours.variance) - np.sqrt(theirs.variance)).max(),
    )
    if not apart <= TOLERANCE:
        raise FitsDiffer(f"{what}: kernel and lifelines differ by {apart:.3g}. Mend the one that is wrong.")
