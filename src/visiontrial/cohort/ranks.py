"""Where the truth ranks among the members: uniformly, if it is one more draw from what they are draws from.

m members leave m + 1 places for the truth, all equally likely if truth and members are
exchangeable (Cook, Gelman and Rubin 2006, doi 10.1198/106186006X136976; Talts et al. 2018,
arXiv 1804.06788). Coverage asks for the two outermost places only; the ranks ask for all.

A truth that is equal to some members (a count, a day) has no one place: its weight is spread evenly
over the places it could have, which is what breaking ties at random does on average (Czado,
Gneiting and Held 2009, doi 10.1111/j.1541-0420.2009.01191.x). Where a chain failed there
are fewer places, so places are shares of the way from below all members (0) to above all of them (1).
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from scipy import stats

from visiontrial.cohort import calibration

PLACES = calibration.MEMBERS + 1
_DRAWS = 10_000


def cumulative(comparisons: pd.DataFrame, places: int = PLACES) -> pd.DataFrame:
    """The share of each truth that lies in the lowest 1, 2, ... of so many equal places.

    `comparisons`: rows of `calibration.compare(...)`, of which those whose coverage is not known
    are left out. Returns one row for each of the others, under its index, and one column for each
    number of places from 0 to all.
    """
    rows = comparisons[comparisons["covered"].notna()]
    lowest = (rows["below"] / (rows["members"] + 1)).to_numpy(float)[:, None]
    spread = ((rows["equal"] + 1) / (rows["members"] + 1)).to_numpy(float)[:, None]
    grid = np.arange(places + 1) / places
    return pd.DataFrame(np.clip((grid - lowest) / spread, 0, 1), index=rows.index)


def histogram(comparisons: pd.DataFrame, places: int = PLACES) -> pd.DataFrame:
    """The share of true values in each place (the index, from 1), over all quantities: `share, low, high`.

    Quantities of one trial rise and fall together, so the limits (95%, Student's t) take each trial's
    shares as one observation.
    """
    shares = cumulative(comparisons, places).diff(axis=1).iloc[:, 1:]
    case = comparisons.loc[shares.index, ["family", "trial"]].apply(tuple, axis=1)
    of_trials = shares.groupby(case).mean()
    limits = [calibration.t_limits(of_trials[place].to_numpy()) for place in of_trials]
    table = pd.DataFrame(limits, columns=["low", "high"], index=of_trials.columns.rename("place"))
    return table.assign(share=of_trials.mean())[["share", "low", "high"]]


def departures(comparisons: pd.DataFrame, places: int = PLACES) -> pd.DataFrame:
    """How far the distribution of each quantity's ranks is from uniform: observed less expected share.

    One row per quantity, end point, arm and number of places: `difference`; `low` and `high` hold a
    uniform distribution as a whole in 95% of cases (`simultaneous`); `leaves` says whether the
    quantity is outside them at any number of places. `trials`: how many it rests on.
    """
    shares = cumulative(comparisons, places)
    parts = []
    for names, rows in comparisons.loc[shares.index].groupby(calibration.KEYS, sort=False):
        limits = simultaneous(len(rows), places)
        part = limits.assign(difference=shares.loc[rows.index].mean().to_numpy() - limits["expected"])
        part[["low", "high"]] = limits[["low", "high"]].sub(limits["expected"], axis=0)
        outside = (part["difference"] < part["low"] - 1e-12) | (part["difference"] > part["high"] + 1e-12)
        keys = dict(zip(calibration.KEYS, names, strict=True))
        parts.append(part.assign(**keys, leaves=outside.any(), trials=len(rows)).reset_index())
    return pd.concat(parts, ignore_index=True)


@functools.cache
def simultaneous(trials: int, places: int = PLACES, level: float = calibration.LEVEL) -> pd.DataFrame:
    """Limits that hold the distribution function of so many uniform ranks, all of it, with this probability.

    One row per number of places from 0 to all: `expected`, `low`, `high`. At each point the limits are
    quantiles of the binomial distribution; their common tail is found by simulation with a fixed seed.
    Source: Säilynoja, Bürkner and Vehtari 2022, doi 10.1007/s11222-022-10090-6.
    """
    inner = np.arange(1, places)
    expected = inner / places
    drawn = np.random.default_rng(0).integers(places, size=(_DRAWS, trials))
    counts = (drawn[:, :, None] < inner).sum(axis=1)
    tails = np.minimum(
        stats.binom.cdf(counts, trials, expected), stats.binom.sf(counts - 1, trials, expected)
    )
    # Counts whose tail is at least as heavy stay inside; a little slack, because equal tails must.
    tail = np.quantile(tails.min(axis=1), 1 - level, method="lower") * (1 - 1e-9)
    possible = np.arange(trials + 1)[:, None]
    low = (stats.binom.cdf(possible, trials, expected) >= tail).argmax(axis=0)
    high = (stats.binom.sf(possible - 1, trials, expected) >= tail).sum(axis=0) - 1
    table = pd.DataFrame({"expected": expected, "low": low / trials, "high": high / trials}, index=inner)
    for end in (0, places):
        table.loc[end] = end / places
    return table.sort_index().rename_axis("places")
