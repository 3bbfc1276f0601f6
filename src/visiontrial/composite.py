"""A composite end point taken apart: with which of its events the time ends, in every reconstructed cohort.

The patients are reconstructed. Printed is the composite alone: how its events divide follows from the
assumptions of the reconstruction wherever the printed numbers do not bind it. So a division is a
reconstruction range or nothing.
"""

from __future__ import annotations

import io

import pandas as pd

from visiontrial.cohort import store
from visiontrial.cohort.specification import Trial, population_flag

DEATH = "Death"


def first_events(trial: Trial, ensemble: str, paramcd: str, population: str) -> pd.DataFrame:
    """Which event ended the time, in each cohort of a stored ensemble.

    One row per member and arm (the index: `member`, `arm`), columns `deaths` and `others`: patients
    of the population whose first event was death, or the end point's other event. Raises
    `StoreError` when a stored file is missing or altered, `ValueError` for an end point or a
    population that the trial does not have.
    """
    known = [endpoint.paramcd for endpoint in trial.endpoints]
    if paramcd not in known or population not in trial.populations:
        raise ValueError(
            f"there is no {paramcd} in {population}: end points are {', '.join(known)}, "
            f"populations {', '.join(trial.populations)}"
        )
    contents = store.read_checked(store.folder_of(ensemble), store.remedy(ensemble))
    flag = population_flag(trial, population)
    # A few columns of the rows that count: the whole ensemble takes seconds to read.
    events = pd.read_parquet(
        io.BytesIO(contents["adtte.parquet"]),
        columns=["member", "USUBJID", "EVNTDESC"],
        filters=[("PARAMCD", "==", paramcd), ("CNSR", "==", 0)],
    )
    patients = pd.read_parquet(
        io.BytesIO(contents["adsl.parquet"]),
        columns=["member", "USUBJID", "TRT01PN"],
        filters=[(flag, "==", "Y")],
    )
    rows = events.merge(patients, on=["member", "USUBJID"])
    arm = rows["TRT01PN"].map(dict(enumerate(a.name for a in trial.arms))).rename("arm")
    death = (rows["EVNTDESC"] == DEATH).rename("death")
    counted = pd.crosstab([rows["member"], arm], death).reindex(columns=[True, False], fill_value=0)
    return counted.set_axis(["deaths", "others"], axis=1)
