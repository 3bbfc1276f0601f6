"""How far the chains of an ensemble can be trusted: do they agree, do they move, does the range stand.

A member is the end of its own chain, so members are independent whatever a chain remembers. What
a chain remembers of the beginning of its hard phase is measured all the same: where chains do not
mix, the ensemble is as dispersed as the ends of the soft phase, and the reader is told.

Autocorrelation about a chain's own mean understates that memory: a chain that stays where it began
and trembles has none. So it is given about the mean of all chains too (Gelman et al., Bayesian
Data Analysis, 3rd ed., sections 11.4 and 11.5: within and between chains together).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from visiontrial.cohort.quantities import CENTRAL, reconstruction_range

SHORTEST = 4
"""A trace with fewer rows cannot be split into two halves with a variance each."""


def split_r_hat(traces: np.ndarray) -> float:
    """The split potential scale reduction of one quantity: 1 where all halves of chains agree.

    `traces`: (chains, rows). Each chain is cut into two halves; R-hat is the root of the pooled
    variance estimate over the mean variance within halves. NaN where nothing varies within them.
    Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4. Raises `ValueError` for
    fewer than four rows.
    """
    traces = np.asarray(traces, dtype=float)
    if traces.ndim != 2 or traces.shape[1] < SHORTEST:
        raise ValueError(f"R-hat needs chains of at least {SHORTEST} rows; the shape is {traces.shape}")
    half = traces.shape[1] // 2
    halves = np.concatenate([traces[:, :half], traces[:, -half:]])
    within = halves.var(axis=1, ddof=1).mean()
    if within == 0:
        return float("nan")
    between = half * halves.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


def autocorrelation(traces: np.ndarray, lag: int = 1) -> float:
    """Mean over chains of the autocorrelation at `lag` rows about each chain's own mean.

    `traces`: (chains, rows). Chains that do not vary are left out; NaN where none does.
    """
    traces = np.asarray(traces, dtype=float)
    centred = traces - traces.mean(axis=1, keepdims=True)
    variance = (centred**2).sum(axis=1)
    products = (centred[:, lag:] * centred[:, :-lag]).sum(axis=1)
    moving = variance > 0
    return float((products[moving] / variance[moving]).mean()) if moving.any() else float("nan")


def pooled_autocorrelation(traces: np.ndarray, lag: int = 1) -> float:
    """Autocorrelation at `lag` rows about the mean of all chains: 1 where no chain leaves its place.

    `traces`: (chains, rows). Mean product of deviations `lag` rows apart over their mean square, both
    over all chains. For stationary chains it is the autocorrelation of the process. NaN where nothing
    varies.
    """
    deviations = np.asarray(traces, dtype=float) - np.mean(traces)
    square = (deviations**2).mean()
    products = deviations[:, lag:] * deviations[:, : deviations.shape[1] - lag]
    return float(products.mean() / square) if square > 0 else float("nan")


def first_with_last(traces: np.ndarray) -> float:
    """Correlation over chains of the first recorded state with the last; NaN where either does not vary.

    `traces`: (chains, rows), at least two chains.
    """
    first, last = np.asarray(traces, dtype=float)[:, [0, -1]].T
    if np.ptp(first) == 0 or np.ptp(last) == 0:
        return float("nan")
    return float(np.corrcoef(first, last)[0, 1])


def mixing(traces: pd.DataFrame) -> pd.DataFrame:
    """R-hat and the chains' memory, for every monitored quantity.

    `traces`: one row per member and recorded sweep, in order, with the column `member` and one
    column per quantity; every member has equally many rows. Returns one row per quantity with
    `r_hat`, `autocorrelation` (within chains), `pooled` (about the mean of all) and `first_last`.
    """
    sizes = traces.groupby("member").size()
    if sizes.nunique() != 1:
        raise ValueError(
            f"members have {sizes.min()} to {sizes.max()} recorded sweeps; they must have equally many"
        )
    names = traces.columns.drop("member")
    stacked = {name: traces[name].to_numpy().reshape(len(sizes), sizes.iloc[0]) for name in names}
    measures = {
        "r_hat": split_r_hat,
        "autocorrelation": autocorrelation,
        "pooled": pooled_autocorrelation,
        "first_last": first_with_last,
    }
    rows = [
        {"quantity": name} | {measure: of(chains) for measure, of in measures.items()}
        for name, chains in stacked.items()
    ]
    return pd.DataFrame(rows)


def stability(values: np.ndarray, dropped: int = 10) -> float:
    """How far the ends of a reconstruction range can move when any `dropped` members are left out.

    In shares of the range's width: the worst over all choices. Only members at the ends matter,
    so leaving out the lowest so many and the highest others covers every choice. NaN where the
    range has no width.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    if ordered.size <= dropped + 1:
        raise ValueError(f"{ordered.size} members are too few to leave out {dropped}")
    low, high = _ends(ordered)
    if high == low:
        return float("nan")
    moved = (_ends(ordered[below : ordered.size - (dropped - below)]) for below in range(dropped + 1))
    return max(max(abs(a - low), abs(b - high)) for a, b in moved) / (high - low)


def stability_of_normal(members: int, dropped: int = 10) -> float:
    """`stability` of a quantity with a normal distribution, as far as the number of members decides it.

    Without the lowest `dropped` of n members the 2.5% point is the quantile at
    (dropped + 0.025 (n - dropped)) / n of all of them. In shares of the range's width.
    """
    tail = (1 - CENTRAL) / 2
    end, moved = norm.ppf([tail, (dropped + tail * (members - dropped)) / members])
    return float((moved - end) / (-2 * end))


def _ends(values: np.ndarray) -> tuple[float, float]:
    reconstruction = reconstruction_range(values)
    return reconstruction.low, reconstruction.high
