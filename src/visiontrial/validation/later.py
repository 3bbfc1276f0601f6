"""What was published about VISION after its report, beside what the rebuilt cohorts say.

The engine was told the report and nothing else. Numbers that later public documents print
(`data/external/facts.csv`, ids that begin with `later.`) are among none of its targets and grade no
claim. The rest of such an id is the name of the quantity of `cohort.quantities` that it is of:
`later.OS.all_randomized.median_low.lu`.

They are few, and numbers of one arm hang together. What lies in its range is not at odds with the
cohorts; it does not make a cohort true.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from visiontrial import design
from visiontrial.cohort import derived, quantities
from visiontrial.validation import left_out

ENSEMBLE = "registry"
SINGLE_SHAPE = "single-shape"
"""The stored ensemble of one family of shapes: how hard the comparison is shows beside it."""
PREFIX = "later."


class LaterError(ValueError):
    """A later number cannot be compared; the message says which, and what to do."""


def facts() -> pd.DataFrame:
    """The later numbers: `quantity`, `what` (in words), `published` (characters), `source`, `date_read`."""
    rows = design.outside_facts(PREFIX)
    return pd.DataFrame(
        {
            "quantity": rows.index.str.removeprefix(PREFIX),
            "what": rows["fact"],
            "published": rows["value"],
            "source": rows["source"],
            "date_read": rows["date_read"],
        }
    ).reset_index(drop=True)


def compare(published: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The later numbers against the central 95% of the members (one row per member, by quantity).

    Adds `low`, `high` (`quantities.reconstruction_range`), `middle`, `covered` (`yes` where some
    value of the range prints as the number), `below` and `same` (shares of the members whose value
    prints as less than the number, or as the number itself), `members`.

    Raises `LaterError` for a number whose quantity the ensemble does not have.
    """
    return published.join(pd.DataFrame([_compared(row, members) for row in published.itertuples()]))


def _compared(row, members: pd.DataFrame) -> dict[str, object]:
    if row.quantity not in members:
        raise LaterError(
            f"data/external/facts.csv, {PREFIX}{row.quantity}: the cohorts have no quantity of this name. "
            "Name one of `visiontrial.cohort.quantities`, as in later.OS.all_randomized.events.lu"
        )
    values = members[row.quantity].to_numpy(float)
    found = quantities.reconstruction_range(values)
    known = values[~np.isnan(values)]
    as_published = np.array([float(left_out.as_the_paper(v, row.published)) for v in known])
    return {
        "low": found.low,
        "middle": float(np.median(known)),
        "high": found.high,
        "covered": "yes" if left_out.covers(found.low, found.high, row.published) else "no",
        "below": float((as_published < float(row.published)).mean()),
        "same": float((as_published == float(row.published)).mean()),
        "members": found.members,
    }


def read(ensemble: str = ENSEMBLE) -> pd.DataFrame:
    """The later numbers against a stored ensemble. Raises `StoreError` where a file is missing or altered."""
    return compare(facts(), derived.read(ensemble).quantities)
