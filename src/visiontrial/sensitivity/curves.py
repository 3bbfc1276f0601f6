"""Kaplan-Meier curves of completed data sets, averaged over the imputations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from visiontrial import survival
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.sensitivity.dropout import Rows
from visiontrial.sensitivity.imputation import Times


def mean_curves(rows: Rows, times: Times, arms: Mapping[str, int], months: np.ndarray) -> pd.DataFrame:
    """Mean survival at each of `months`: columns `month` and one per name of `arms`, a name -> 0 or 1.

    NaN where the curve of any completed data set has ended.
    """
    table = {"month": months}
    for name, arm in arms.items():
        mine = rows.data.arm == arm
        made = [
            survival.kaplan_meier(survival.outcomes(days[mine], event[mine]))
            for days, event in zip(times.days, times.event, strict=True)
        ]
        table[name] = np.mean([[curve.at(m * DAYS_PER_MONTH) for m in months] for curve in made], axis=0)
    return pd.DataFrame(table)
