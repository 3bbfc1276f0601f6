"""The extremes: every dropout has the event at once, or none has it before the data cutoff.

No model and no draw: one completed data set for each assumption. With everybody followed to one common day
and no ties, no other times after the dropouts can give a hazard ratio outside those of the two
opposite extremes; where the ends of follow-up differ, as in a trial that recruits for a year and a half, this
holds but for small differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from visiontrial.sensitivity.dropout import Rows
from visiontrial.sensitivity.imputation import Times, completed

Fate = Literal["at once", "never", "censored"]


def bounded(rows: Rows, fates: Mapping[int, Fate]) -> Times:
    """All patients' times, (1, n), with the dropouts of each arm at one extreme.

    `fates`, by arm: `at once` (the event on the day of dropping out), `never` (no event up to the cutoff, or
    the one on the day of a known death) or `censored` (left as they are, as where an arm is not named).
    """
    unknown = set(fates.values()) - {"at once", "never", "censored"}
    if unknown:
        raise ValueError(f"{sorted(unknown)} is no fate of dropouts: choose at once, never or censored")
    days, event = rows.data.days[rows.dropouts].copy(), np.zeros(len(rows.dropouts), bool)
    for arm, fate in fates.items():
        mine = rows.dropout_arm == arm
        if fate == "at once":
            event[mine] = True
        elif fate == "never":
            days[mine] = rows.end[rows.dropouts][mine]
            event[mine] = rows.dies[rows.dropouts][mine]
    return completed(rows, Times(days[None], event[None]))
