"""What lifelines and statsmodels say of every member of an ensemble, kept beside its rows.

Computing it takes a second a member; reading it takes none. It is made when an ensemble is stored,
from the very bytes that are stored, and lies in the same folder under the same manifest:

- `statistics.parquet`: the printed statistics, recomputed (`verify.statistics`): one row per member,
  one column per claim, times in months, not rounded;
- `quantities.parquet`: what the paper does not print (`quantities.quantities`): one row per member;
- `curves.parquet`: Kaplan-Meier curves every half month with numbers at risk, of events, censored.

All of it is about reconstructed patients. A column over the members is a reconstruction range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from visiontrial import survival
from visiontrial.cohort import parquet, quantities, store, verify
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial

STEP = 0.5
"""Months between two points of a stored curve."""

TABLES = ("statistics", "quantities", "curves")


@dataclass(frozen=True)
class Derived:
    """What was computed of each member of an ensemble of reconstructed cohorts.

    `statistics` and `quantities` have one row per member (the index) and one column per claim or
    quantity. `curves` has one row per member, end point (`paramcd`), population, arm and month:
    `survival` (NaN beyond the last observation; seven digits), `at_risk` (patients whose time is
    at least that month), `events` and `censored` (up to and including it).
    """

    statistics: pd.DataFrame
    quantities: pd.DataFrame
    curves: pd.DataFrame

    def curve(self, paramcd: str, population: str, arm: str) -> pd.DataFrame:
        """Survival of all members: one row per month, one column per member."""
        chosen = self.curves.query("paramcd == @paramcd and population == @population and arm == @arm")
        return chosen.pivot(index="month", columns="member", values="survival")


def of_member(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The three tables of one cohort, without the column `member`.

    Raises `verify.CohortRejected` when the cohort does not agree with everything printed.
    """
    analyses = verify.Analyses(trial, adsl, adtte)
    return {
        "statistics": verify.agreed(analyses).set_index("claim_id")[["value"]].T.reset_index(drop=True),
        "quantities": quantities.of(analyses).to_frame().T.reset_index(drop=True),
        "curves": pd.concat([_curve(analyses, *key) for key in curves_of(trial)], ignore_index=True),
    }


def curves_of(trial: Trial) -> list[tuple[str, str, str]]:
    """End point, population and arm of every stored curve: as printed, and every end point in everybody."""
    everybody = next(iter(trial.populations))
    pairs = quantities.analyses_of(trial) + [(e.paramcd, everybody) for e in trial.endpoints]
    return [(*pair, arm.name) for pair in dict.fromkeys(pairs) for arm in trial.arms]


def months(trial: Trial) -> np.ndarray:
    """The points of the stored curves: from randomization to the last possible day of follow-up."""
    last = ((trial.cutoff - min(p.first for p in trial.periods)).days + 1) / DAYS_PER_MONTH
    return np.arange(0.0, last, STEP)


def _curve(analyses: verify.Analyses, paramcd: str, population: str, arm: str) -> pd.DataFrame:
    data = analyses.of_arm(paramcd, population, arm)
    curve = analyses.curve(paramcd, population, arm)
    grid = months(analyses.trial)
    days = grid * DAYS_PER_MONTH
    return pd.DataFrame(
        {
            "paramcd": paramcd,
            "population": population,
            "arm": arm,
            "month": grid,
            "survival": np.array([curve.at(day) for day in days], dtype=np.float32),
            "at_risk": survival.at_risk(data, days),
            "events": survival.events_by(data, days),
            "censored": survival.events_by(data.reversed(), days),
        }
    )


def encode(members: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, bytes]:
    """The files of an ensemble's derived tables, from those of its members in their order."""
    return {
        f"{name}.parquet": parquet.to_bytes(store.stack_members([tables[name] for tables in members]))
        for name in members[0]
    }


def read(name: str, folder: Path | None = None) -> Derived:
    """The derived tables of a stored ensemble, VISION's unless another folder is given.

    Raises `StoreError` when a file is missing or altered.
    """
    folder = folder or store.folder_of(name)
    files = {f"{table}.parquet": table for table in TABLES}
    contents = store.read_checked(folder, store.remedy(name))
    tables = {table: parquet.from_bytes(contents[file]) for file, table in files.items()}
    return Derived(
        statistics=tables["statistics"].set_index("member"),
        quantities=tables["quantities"].set_index("member"),
        curves=tables["curves"],
    )
