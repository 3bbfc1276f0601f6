"""A composite end point in reconstructed patients: what the printed numbers leave open, as ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import great_tables as gt
import pandas as pd

from visiontrial import efficacy, tables
from visiontrial.cohort.quantities import landmarks, reconstruction_range
from visiontrial.figures.safety import ARM_HEADINGS
from visiontrial.printed import as_printed


def ranges_table(
    reconstruction: efficacy.Reconstruction, paramcd: str, population: str, first: pd.DataFrame
) -> tables.Printable:
    """Reconstruction ranges by arm; `first` is `composite.first_events(...)` of the same analysis."""
    arms = list(ARM_HEADINGS)
    frame = pd.DataFrame(_rows(reconstruction, paramcd, population, first, arms))
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Reconstruction range")
        .cols_label(**ARM_HEADINGS)
        .cols_align("right", arms)
        .tab_source_note(
            f"Reconstructed patients: where 95% of {reconstruction.cohorts} cohorts lie that all agree with "
            "the paper. No sampling error; no confidence intervals."
        )
    )
    return tables.printable(made, f"ranges-{paramcd.lower()}", "What the printed numbers leave open")


def _rows(
    reconstruction, paramcd: str, population: str, first: pd.DataFrame, arms
) -> Iterator[dict[str, str]]:
    quantities, stem = reconstruction.derived.quantities, f"{paramcd}.{population}"
    share = first["deaths"] / first.sum(axis=1)
    yield _row("First events, number", arms, lambda arm: quantities[f"{stem}.events.{arm}"], 0)
    yield _row("Deaths among them, %", arms, lambda arm: 100 * share.xs(arm, level="arm"), 0)
    for month in landmarks(reconstruction.trial, population):
        yield _row(
            f"Event-free at {month} months, %",
            arms,
            lambda arm, month=month: 100 * quantities[f"{stem}.survival_{month}.{arm}"],
            0,
        )
    for limit, name in (("low", "Lower"), ("high", "Upper")):
        yield _row(
            f"{name} 95% limit of the median, months",
            arms,
            lambda arm, limit=limit: quantities[f"{stem}.median_{limit}.{arm}"],
            1,
        )


def _row(label: str, arms, values: Callable[[str], pd.Series], decimals: int) -> dict[str, str]:
    return {"label": label} | {arm: _range(values(arm), decimals) for arm in arms}


def _range(values: pd.Series, decimals: int) -> str:
    if values.isna().mean() > MOSTLY:
        return "not defined"
    found = reconstruction_range(values)
    low, high = (as_printed(v, decimals) for v in (found.low, found.high))
    missing = f"\nin {found.members} cohorts" if found.undefined else ""
    return f"{low} to {high}{missing}"


MOSTLY = 0.5
"""Where more cohorts than this share do not define a quantity, no range is given."""
