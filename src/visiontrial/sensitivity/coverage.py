"""Does the method tell the truth where the truth is known? Simulated trials with dropouts of a known fate.

In each trial patients of two arms have exponential times to an event, drop out at exponential times, and
are followed up to a cutoff that differs between them, as in a trial that recruits over time. After the
dropout the hazard is multiplied by the true factor of the arm. The analysis sees the dropouts censored.

What is to be estimated is the log hazard ratio of a Cox model of everybody's times, had nobody dropped out
of observation. Its true value comes from one very large simulated trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from visiontrial.cohort.calibration import clopper_pearson
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.sensitivity import fits, pooling
from visiontrial.sensitivity.dropout import NO_DROPOUT, REASONS, Rows
from visiontrial.sensitivity.imputation import Imputer, Times
from visiontrial.sensitivity.scenarios import CONTROL, LU
from visiontrial.survival import outcomes

PURPOSE = "visiontrial: coverage of imputed hazard ratios"
LEVEL = 0.95
LARGE = 200_000
"""Patients per arm in the trial that gives the true value."""


@dataclass(frozen=True)
class Design:
    """A family of simulated trials. Arms as everywhere: 0 control, 1 treated.

    `medians`: months to the event. `dropping`: median months to dropping out. `factors`: what the
    hazard is multiplied by after the dropout. `followup`: shortest and longest months to the cutoff.
    """

    name: str
    patients: int = 200
    medians: tuple[float, float] = (6.0, 10.0)
    dropping: tuple[float, float] = (12.0, 18.0)
    factors: tuple[float, float] = (1.0, 1.0)
    followup: tuple[float, float] = (15.0, 31.0)

    def draw(self, generator: np.random.Generator, patients: int | None = None) -> tuple[Rows, Times]:
        """One trial: the rows that an analysis sees, and everybody's times, (1, n), that it does not."""
        arm = np.repeat((CONTROL, LU), patients or self.patients)
        rate, leaving, factor = (
            np.asarray(values)[arm]
            for values in (_rate(self.medians), _rate(self.dropping), np.asarray(self.factors))
        )
        end = np.ceil(generator.uniform(*self.followup, arm.size) * DAYS_PER_MONTH)
        event = generator.standard_exponential(arm.size) / rate
        left = generator.standard_exponential(arm.size) / leaving
        after = generator.standard_exponential(arm.size) / (rate * factor)
        dropout = np.ceil(left) < np.minimum(np.ceil(event), end)
        true = np.ceil(np.where(dropout, np.ceil(left) + after, event)).astype(np.int64)
        end = end.astype(np.int64)
        seen = np.where(dropout, np.ceil(left).astype(np.int64), np.minimum(true, end))
        rows = Rows(
            data=outcomes(seen, ~dropout & (true <= end), arm),
            reason=np.where(dropout, REASONS.index("withdrawal"), NO_DROPOUT),
            end=end,
            dies=np.zeros(arm.size, bool),
            covariates=np.empty((arm.size, 0)),
        )
        return rows, Times(np.minimum(true, end)[None], (true <= end)[None])

    def truth(self) -> float:
        """The log hazard ratio that a trial of unlimited size would find, were nobody lost."""
        rows, complete = self.draw(np.random.default_rng(seed_of(PURPOSE, self.name, 0)), LARGE)
        return float(fits.by_kernel(rows.data, complete).log_ratio[0])


DESIGNS = (
    Design("independent"),
    Design("dependent", factors=(0.4, 2.5)),
)
"""Dropouts who fare like the others, and such as fare better (control) and worse (lu) than the others."""

AS_CENSORED = "censored"


def _rate(medians: tuple[float, float]) -> np.ndarray:
    return math.log(2) / (np.asarray(medians) * DAYS_PER_MONTH)


def assumptions(design: Design) -> dict[str, Mapping[int, float]]:
    """What is assumed in turn: the factors of the truth, and factor 1."""
    true = {CONTROL: design.factors[CONTROL], LU: design.factors[LU]}
    return {"true factors": true, "factor 1": {CONTROL: 1.0, LU: 1.0}}


def simulate(design: Design, trials: int, imputations: int) -> pd.DataFrame:
    """Coverage of 95% limits over simulated trials, one row per assumption.

    Columns: `design`, `assumed` (`censored`: no imputation), `truth` and `mean` (hazard ratios; the
    mean on the log scale), `covered` of `trials`, `coverage` with its exact limits `low` and `high`,
    `dropouts` (their mean share).
    """
    truth = design.truth()
    found: dict[str, list[pooling.Pooled]] = {AS_CENSORED: []} | {name: [] for name in assumptions(design)}
    share = 0.0
    for number in range(1, trials + 1):
        generator = np.random.default_rng(seed_of(PURPOSE, design.name, number))
        rows, _ = design.draw(generator)
        share += len(rows.dropouts) / len(rows.data) / trials
        imputer = Imputer(rows, imputations, generator)
        as_seen = fits.by_kernel(rows.data, Times(rows.data.days[None], rows.data.event[None]))
        found[AS_CENSORED].append(pooling.pool(*as_seen))
        for name, factors in assumptions(design).items():
            made = fits.by_kernel(rows.data, imputer.complete(rows.factors(factors)))
            found[name].append(pooling.pool(*made))
    return pd.DataFrame([_row(design, name, truth, pooled, share) for name, pooled in found.items()])


def _row(design: Design, assumed: str, truth: float, found: list[pooling.Pooled], share: float) -> dict:
    limits = np.array([pooled.limits(LEVEL) for pooled in found])
    covered = int(((limits[:, 0] <= math.exp(truth)) & (math.exp(truth) <= limits[:, 1])).sum())
    low, high = clopper_pearson(covered, len(found))
    return {
        "design": design.name,
        "assumed": assumed,
        "truth": math.exp(truth),
        "mean": math.exp(np.mean([pooled.log_ratio for pooled in found])),
        "covered": covered,
        "trials": len(found),
        "coverage": covered / len(found),
        "low": low,
        "high": high,
        "dropouts": share,
    }
