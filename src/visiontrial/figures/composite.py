"""A composite end point in reconstructed patients: what the printed numbers leave open, as ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import great_tables as gt
import pandas as pd

from visiontrial import efficacy, tables
from visiontrial.cohort.quantities import landmarks
from visiontrial.figures.safety import ARM_HEADINGS
from visiontrial.figures.survival_tables import captioned, every_cohort, span


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
            "Reconstruction range: where 95% of the cohorts lie. No sampling error; no confidence intervals."
        )
    )
    caption = captioned("What the printed numbers leave open", every_cohort(reconstruction))
    return tables.printable(made, f"ranges-{paramcd.lower()}", caption)


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
    missing = f"\nin {values.notna().sum()} cohorts" if values.isna().any() else ""
    return f"{span(values, decimals)}{missing}"


MOSTLY = 0.5
"""Where more cohorts than this share do not define a quantity, no range is given."""
