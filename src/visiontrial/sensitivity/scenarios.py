"""The assumptions about the dropouts that are shown, by name, and what each does to the hazard ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from visiontrial import published
from visiontrial.cohort.specification import Trial
from visiontrial.sensitivity import dropout, fits, pooling
from visiontrial.sensitivity.bounds import Fate, bounded
from visiontrial.sensitivity.dropout import REASONS, Rows
from visiontrial.sensitivity.imputation import Imputer, Model, Times

CONTROL, LU = 0, 1
"""The arms, as everywhere in these rooms."""


@dataclass(frozen=True)
class Analysis:
    """One analysis whose dropouts are asked about.

    `claims`: stem of the claims that hold its significance level (`.alpha`, two-sided) and the level of its
    interval (`.ci-level`). `forgets`: whether all who left the trial are dropouts, whatever was learned of
    them afterwards (`dropout.forgotten`).
    """

    name: str
    label: str
    paramcd: str
    population: str
    claims: str
    forgets: bool = False

    def rows(self, trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> Rows:
        """The rows of this analysis, from a cohort as it is stored."""
        if self.forgets:
            adsl, adtte = dropout.forgotten(trial, adsl, adtte)
        return dropout.rows(trial, adsl, adtte, self.paramcd, self.population)

    @property
    def alpha(self) -> float:
        """Two-sided significance level of the trial for this end point."""
        return float(published.value(f"{self.claims}.alpha"))

    @property
    def level(self) -> float:
        """Level of the trial's confidence interval for this end point."""
        return float(published.value(f"{self.claims}.ci-level")) / 100


ANALYSES = {
    analysis.name: analysis
    for analysis in (
        Analysis("pfs", "PFS, analysis set", "PFS", "pfs_set", "pfs"),
        Analysis("os", "OS, all randomized", "OS", "all_randomized", "os"),
        Analysis("os-left", "OS, all who left as dropouts", "OS", "all_randomized", "os", forgets=True),
        Analysis("os-pfs-set", "OS, analysis set", "OS", "pfs_set", "os"),
        Analysis("pfs-all", "PFS, all randomized", "PFS", "all_randomized", "pfs"),
    )
}

Factor = float | Mapping[str, float]


@dataclass(frozen=True)
class Scenario:
    """One assumption about what became of the dropouts.

    `method`: `observed`, `delta`, `gamma`, `reference`, `bounds`. `factors`: by arm, one factor on the
    hazard after the dropout, or one per reason. `jump`: arms whose dropouts take the other arm's
    hazard. `fates`: by arm, for `bounds`.
    """

    name: str
    method: str
    factors: Mapping[int, Factor] = field(default_factory=dict)
    jump: tuple[int, ...] = ()
    fates: Mapping[int, Fate] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """What the hazard after the dropout is estimated with."""
        return "cox" if self.method == "gamma" else "kaplan-meier"

    def complete(self, imputer: Imputer) -> Times:
        """All patients' times under this assumption: one data set, or one per imputation."""
        rows = imputer.rows
        if self.method in ("observed", "bounds"):
            return bounded(rows, self.fates)
        return imputer.complete(rows.factors(self.factors), jump=self.jump, model=self.model)


PAIRS: Mapping[str, Mapping[int, Factor]] = {
    "as-observed": {},
    "lu-worse": {LU: 2.0},
    "control-better": {CONTROL: 0.5},
    "both": {LU: 2.0, CONTROL: 0.5},
}
"""The same four pairs of factors for either family of imputation."""


BY_REASON = 4.0
"""Each reason is tried on its own: 177Lu dropouts at so many times the hazard, control at one in so many."""

_FATES: tuple[Fate, ...] = ("at once", "never", "censored")


def _all() -> Iterator[Scenario]:
    yield Scenario("observed", "observed")
    for method in ("delta", "gamma"):
        for pair, factors in PAIRS.items():
            yield Scenario(f"{method}.{pair}", method, factors=factors)
    for name, arms in {"lu": (LU,), "control": (CONTROL,), "both": (LU, CONTROL)}.items():
        yield Scenario(f"reference.{name}", "reference", jump=arms)
    for lu, control in product(_FATES, _FATES):
        if (lu, control) != ("censored", "censored"):
            name = f"bounds.{lu}.{control}".replace(" ", "-")
            yield Scenario(name, "bounds", fates={LU: lu, CONTROL: control})
    for reason in REASONS:
        factors = {LU: {reason: BY_REASON}, CONTROL: {reason: 1 / BY_REASON}}
        yield Scenario(f"reason.{reason}", "delta", factors=factors)


SCENARIOS = {scenario.name: scenario for scenario in _all()}
"""By name: `observed`, `delta.both`, `gamma.both`, `reference.lu`, `bounds.at-once.never`, `reason.loss`."""


class Result(NamedTuple):
    """What a scenario does: the fits, pooled, and the mean number of events by arm."""

    fits: fits.Fits
    pooled: pooling.Pooled
    events: tuple[float, float]


def evaluate(scenario: Scenario, imputer: Imputer) -> Result:
    """Complete the data under an assumption, fit each data set, pool."""
    return result(imputer.rows, scenario.complete(imputer))


def result(rows: Rows, times: Times) -> Result:
    """Fit each completed data set, and pool."""
    made = fits.by_kernel(rows.data, times)
    events = tuple(float(times.event[:, rows.data.arm == a].sum(axis=1).mean()) for a in (CONTROL, LU))
    return Result(made, pooling.pool(*made), events)


def dropouts_by_reason(rows: Rows) -> np.ndarray:
    """Number of dropouts by arm and reason: shape (2, number of reasons)."""
    counts = np.zeros((2, len(REASONS)), np.int64)
    np.add.at(counts, (rows.dropout_arm, rows.reason[rows.dropouts]), 1)
    return counts
