"""Where the conclusion tips: the hazard ratio over a grid of factors for the dropouts of both arms.

A factor multiplies the hazard after the dropout, as in delta-adjusted Kaplan-Meier imputation. The grid
is even on the logarithmic scale. Each cell is a full analysis: imputed, fitted, pooled.

Significance is lost where the upper limit of the hazard ratio, at one minus the trial's two-sided alpha,
reaches 1. This is the same as the two-sided P value reaching alpha while the ratio is below 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from visiontrial.cohort import kernel
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.sensitivity import fits, pooling
from visiontrial.sensitivity.imputation import Imputer, Times, completed
from visiontrial.sensitivity.scenarios import LU

OCTAVES = 4
STEPS_PER_OCTAVE = 2
FACTORS = 2.0 ** (np.arange(-OCTAVES * STEPS_PER_OCTAVE, OCTAVES * STEPS_PER_OCTAVE + 1) / STEPS_PER_OCTAVE)
"""From one sixteenth to sixteen, each the root of two times the one before."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The map of one cohort: `made` has the shape (imputations, factors of arm 1, factors of arm 0)."""

    factors: np.ndarray
    made: fits.Fits

    @cached_property
    def pooled(self) -> pooling.Pooled:
        """Pooled over the imputations, of the shape (factors of arm 1, factors of arm 0)."""
        return pooling.pool(*self.made)

    def upper(self, alpha: float) -> np.ndarray:
        """Log of the upper limit at 1 − alpha: negative where the result is significant."""
        return self.pooled.log_upper(alpha)


class Columns:
    """Imputed times of the dropouts at each factor, from which the cells of a grid are put together."""

    def __init__(self, imputer: Imputer, factors: np.ndarray = FACTORS):
        self.rows = imputer.rows
        self.factors = factors
        self._times = [imputer.times(np.full(len(self.rows.dropouts), factor)) for factor in factors]

    def cell(self, lu: int, control: int) -> Times:
        """All patients' times with the dropouts of either arm at the factor of this number."""
        of_lu = self.rows.dropout_arm == LU
        pairs = zip(self._times[lu], self._times[control], strict=True)
        return completed(self.rows, Times(*(np.where(of_lu, a, b) for a, b in pairs)))

    def of_arm(self, arm: int, number: int) -> Times:
        """Times of the dropouts of one arm at the factor of this number."""
        mine = self.rows.dropout_arm == arm
        return Times(*(values[:, mine] for values in self._times[number]))


def grid(columns: Columns, inspect: Callable[[Times, fits.Fits, str], None] | None = None) -> Grid:
    """The hazard ratio at every pair of factors; `inspect` is shown the data sets and fits of each cell."""
    size = len(columns.factors)
    made = []
    for lu in range(size):
        for control in range(size):
            times = columns.cell(lu, control)
            made.append(fits.by_kernel(columns.rows.data, times))
            if inspect:
                inspect(times, made[-1], f"factors number {lu} and {control}")
    by_cell = (np.stack(part, axis=1).reshape(-1, size, size) for part in zip(*made, strict=True))
    return Grid(columns.factors, fits.Fits(*by_cell))


def crossing(factors: np.ndarray, upper: np.ndarray) -> float:
    """The factor at which the log upper limit crosses 0, by linear interpolation on the log factor.

    `upper` along `factors`, from either end to the other: the first crossing from below met on the way.
    Returns infinity where it stays below 0, and the first factor where it begins above.
    """
    lost = np.flatnonzero(upper >= 0)
    if not lost.size:
        return math.inf
    place = int(lost[0])
    if place == 0:
        return float(factors[0])
    before, after = upper[place - 1], upper[place]
    share = -before / (after - before)
    return float(np.exp(np.log(factors[place - 1]) * (1 - share) + np.log(factors[place]) * share))


def line(found: Grid, alpha: float) -> np.ndarray:
    """For each factor of arm 1, the largest factor of arm 0 at which significance is lost: (factors,).

    0 where it is not lost within the grid.
    """
    upper = found.upper(alpha)
    downward = found.factors[::-1]
    crossed = np.array([crossing(downward, row[::-1]) for row in upper])
    return np.where(np.isinf(crossed), 0.0, crossed)


DIRECTIONS = ("lu", "control", "both")


def tipping_factors(found: Grid, alpha: float) -> dict[str, float]:
    """How strong a departure loses significance, by direction; infinite where none in the grid does.

    `lu`: factor by which the hazard of arm 1's dropouts is raised, those of arm 0 as observed. `control`:
    by which that of arm 0's is divided, those of arm 1 as observed. `both`: both at once, by the same factor.
    """
    upper = found.upper(alpha)
    return {
        direction: crossing(found.factors[len(found.factors) // 2 :], upper[cells])
        for direction, cells in _paths(found).items()
    }


def monte_carlo(found: Grid, alpha: float) -> dict[str, float]:
    """Monte Carlo standard error of the logarithm of each tipping factor, by jackknife over the imputations.

    NaN where, with one imputation left out, significance is lost nowhere in the grid.
    """
    worse = found.factors[len(found.factors) // 2 :]
    return {
        direction: pooling.jackknife(
            *(values[:, *cells] for values in found.made),
            lambda pooled: np.log([crossing(worse, upper) for upper in pooled.log_upper(alpha)]),
        )
        for direction, cells in _paths(found).items()
    }


def _paths(found: Grid) -> dict[str, tuple]:
    """The cells from the centre of the map to its edge, by direction of `DIRECTIONS`."""
    size = len(found.factors)
    centre = size // 2
    outwards, inwards = np.arange(centre, size), np.arange(centre, -1, -1)
    still = np.full(len(outwards), centre)
    return {"lu": (outwards, still), "control": (still, inwards), "both": (outwards, inwards)}


class Reading(NamedTuple):
    """A factor in patients and months: what it means for the dropouts of one arm.

    `dropouts`; `events`: how many of them have the event up to the end of follow-up, on average over the
    imputations; `months`: median time from the dropout to the event (Kaplan-Meier over all imputations),
    infinite where fewer than half have it.
    """

    dropouts: int
    events: float
    months: float


def reading(columns: Columns, arm: int, number: int) -> Reading:
    """What the factor of this number means for the dropouts of an arm."""
    times = columns.of_arm(arm, number)
    since = times.days - columns.rows.data.days[columns.rows.dropouts[columns.rows.dropout_arm == arm]]
    if not since.size:
        return Reading(0, 0.0, math.nan)
    median = kernel.median(since.ravel() + 1, times.event.ravel()).median  # its days begin at 1
    months = (median - 1) / DAYS_PER_MONTH
    return Reading(since.shape[1], float(times.event.sum(axis=1).mean()), months)
