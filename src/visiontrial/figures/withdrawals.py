"""Shares of patients by arm and period, each with its count and an interval."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from visiontrial import render
from visiontrial.eligibility import printed_share

# Inner widths: with the axis and its last label the whole stays within the renderer's limits.
WIDE, NARROW = 600, 290
ROW = 46


def shares(name: str, measures: Mapping[str, pd.DataFrame], interval: str) -> render.Figure:
    """One panel for each measure, all on one scale.

    `measures` maps a title to a table of `eligibility.shares`; `interval` names the interval
    in words (`95% Wilson interval`). The words beside the figure are made from the tables.
    """
    return render.Figure(
        name,
        _panels(measures, interval, WIDE),
        describe(measures, interval),
        narrow=_panels(measures, interval, NARROW),
    )


def describe(measures: Mapping[str, pd.DataFrame], interval: str) -> str:
    """Every share with its count and interval, in sentences."""
    sentences = [
        f"{title}, with {interval}: " + "; ".join(_in_words(row) for row in table.itertuples()) + "."
        for title, table in measures.items()
    ]
    return " ".join(sentences)


def _in_words(row) -> str:
    return (
        f"{render.ARMS[row.arm]}, randomized {row.period}: {_counted(row)}, "
        f"interval {row.low:.1f} to {row.high:.1f}%"
    )


def _counted(row) -> str:
    return f"{row.count} of {row.total} ({printed_share(row.count, row.total)}%)"


def _panels(measures: Mapping[str, pd.DataFrame], interval: str, width: int) -> alt.VConcatChart:
    highest = max(table["high"].max() for table in measures.values())
    scale = alt.Scale(domain=[0, min(100.0, 10 * (highest // 10 + 1))], nice=False)
    panels = [_panel(title, table, interval, scale, width) for title, table in measures.items()]
    return alt.vconcat(*panels, spacing=26).properties(padding=1)


def _panel(title: str, table: pd.DataFrame, interval: str, scale: alt.Scale, width: int) -> alt.LayerChart:
    rows = table.copy()
    rows["who"] = [f"{render.ARMS[r.arm]}, {r.period}" for r in rows.itertuples()]
    rows["line"] = [_line(r, width) for r in rows.itertuples()]
    rows["counted"] = [_counted(r) for r in rows.itertuples()]
    y = alt.Y("who:N", sort=list(rows["who"]), axis=None)
    x = alt.X("share:Q", scale=scale, title=["% of the patients randomized", f"({interval})"], axis=_axis())
    base = alt.Chart(rows).encode(y=y)
    colour = alt.Color("arm:N", scale=render.arm_colours(), legend=None)
    hints = [
        alt.Tooltip("who:N", title="Patients"),
        alt.Tooltip("counted:N", title="Count"),
        alt.Tooltip("share:Q", title="Share, %", format=".2f"),
        alt.Tooltip("low:Q", title="Interval from, %", format=".2f"),
        alt.Tooltip("high:Q", title="to, %", format=".2f"),
    ]
    layers = [
        base.mark_rule(strokeWidth=3, yOffset=10).encode(x=alt.X("low:Q"), x2="high:Q", color=colour),
        base.mark_point(filled=True, size=110, opacity=1, yOffset=10).encode(
            x=x, color=colour, tooltip=hints
        ),
        base.mark_text(align="left", baseline="middle", yOffset=-8).encode(x=alt.value(0), text="line:N"),
        base.mark_text(align="right", baseline="middle", yOffset=-8, fontWeight="bold").encode(
            x=alt.value(width), text="counted:N"
        ),
    ]
    heading = alt.TitleParams(title, anchor="start", fontSize=14)
    return alt.layer(*layers).properties(width=width, height=ROW * len(rows), title=heading)


def _line(row, width: int) -> str:
    if width == NARROW:
        arm = "177Lu-PSMA-617" if row.arm == "lu" else "Standard care alone"
        return f"{arm}, {'before' if row.set == 'before' else 'after'}"
    name = render.ARMS[row.arm]
    return f"{name[0].upper()}{name[1:]}, {row.period}"


def _axis() -> alt.Axis:
    return alt.Axis(grid=False, tickCount=6, labelPadding=4)
