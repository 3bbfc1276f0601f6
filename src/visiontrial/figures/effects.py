"""Effects in a reconstruction: differences, gains, hazard ratios by period, numbers of events.

The visual language is that of `figures.survival`: a dot or line is the displayed cohort, a band or
thick bar the reconstruction range, a thin bar a confidence interval of the displayed cohort.
Every picture says that its patients are reconstructed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from visiontrial import efficacy, render
from visiontrial.cohort.specification import Trial
from visiontrial.efficacy import Analysis, Reconstruction
from visiontrial.figures.survival import (
    FONT,
    NOTICE,
    SMALL_FONT,
    TOLD_MONTHS,
    arm_name,
    event_free,
    level,
    percent,
    wrapped,
)  # fmt: skip
from visiontrial.printed import as_printed
from visiontrial.render import PALETTE

# --- differences over time: both uncertainties, apart ---------------------------------------------


@dataclass(frozen=True)
class _Panels:
    """Sizes of the smaller charts on a page and on a phone."""

    width: int
    height: int
    columns: int
    wrapped: int


_TWO_WIDE = _Panels(width=262, height=230, columns=2, wrapped=40)
_TWO_NARROW = _Panels(width=262, height=190, columns=1, wrapped=42)


def differences(name: str, reconstruction: Reconstruction, analysis: Analysis, until: float) -> render.Figure:
    """How many more patients in a hundred are event-free, month by month; `efficacy.differences`.

    Two panels on one scale: what reconstruction leaves open, and what the chance of sampling would
    leave open if the displayed cohort were the trial.
    """
    rows = efficacy.differences(reconstruction, analysis, until)
    words = event_free(reconstruction.trial, analysis.paramcd).lower()
    confidence = level(analysis.rules.level)
    titles = {
        ("low", "high"): f"Reconstruction: 95% of {reconstruction.cohorts} cohorts",
        ("sampling_low", "sampling_high"): f"Sampling: {confidence} CI, displayed cohort",
    }
    return render.Figure(
        name=name,
        chart=_difference_chart(rows, titles, words, _TWO_WIDE),
        narrow=_difference_chart(rows, titles, words, _TWO_NARROW),
        description=_differences_in_words(rows, words, confidence, reconstruction, analysis),
    )


def _difference_chart(
    rows: pd.DataFrame, titles: Mapping[tuple[str, str], str], words: str, layout: _Panels
) -> alt.ConcatChart:
    points = (100 * rows.set_index("month")).round(2).reset_index()
    limits = [["low", "high"], ["sampling_low", "sampling_high"]]
    lowest = min(0.0, points[[low for low, _ in limits]].min().min())
    highest = points[[high for _, high in limits]].max().max()
    domain = [5 * math.floor(lowest / 5), 5 * math.ceil(highest / 5)]
    points = points.assign(
        reconstruction=_interval_in_words(points, "low", "high"),
        sampling=_interval_in_words(points, "sampling_low", "sampling_high"),
    )
    panels = [
        _difference_panel(points, limits, title, words, domain, layout) for limits, title in titles.items()
    ]
    notice = alt.Title(NOTICE, color=PALETTE["highlight"], fontSize=FONT, offset=8)
    return alt.concat(*panels, columns=layout.columns, spacing=26, title=notice)


def _interval_in_words(points: pd.DataFrame, low: str, high: str) -> list[str]:
    return [
        f"{as_printed(float(a), 0)} to {as_printed(float(b), 0)} points"
        for a, b in zip(points[low], points[high], strict=True)
    ]


def _difference_panel(
    points: pd.DataFrame,
    limits: tuple[str, str],
    title: str,
    words: str,
    domain: list[float],
    layout: _Panels,
) -> alt.LayerChart:
    low = limits[0]
    scale = alt.Scale(domain=domain, nice=False)
    last = int(points["month"].max())
    x = alt.X(
        "month:Q",
        title="Months since randomization",
        axis=alt.Axis(values=list(range(0, last + 1, 3)), grid=False),
        scale=alt.Scale(domain=[0, last], nice=False),
    )
    y = alt.Y("difference:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, domain=False, ticks=False))
    tooltip = [
        alt.Tooltip("month:Q", title="at month"),
        alt.Tooltip("difference:Q", title=f"more {words}, points", format=".0f"),
        alt.Tooltip("reconstruction:N", title="reconstruction range"),
        alt.Tooltip("sampling:N", title="confidence interval"),
    ]
    base = alt.Chart(points)
    zero = alt.Chart(pd.DataFrame({"difference": [0]})).mark_rule(color=PALETTE["muted"])
    if low == "low":
        spread = base.mark_area(color=PALETTE["fitted"], opacity=0.25).encode(
            x=x, y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q"
        )
    else:
        spread = base.mark_rule(color=PALETTE["ink"], strokeWidth=1.2).encode(
            x=x, y=alt.Y("sampling_low:Q", scale=scale, title=None), y2="sampling_high:Q"
        )
    lines = base.mark_line(color=PALETTE["ink"], strokeWidth=2).encode(x=x, y=y)
    dots = base.mark_point(color=PALETTE["ink"], filled=True, size=26, opacity=1).encode(
        x=x, y=y, tooltip=tooltip
    )
    heading = alt.Title(
        wrapped(title, layout.wrapped),
        subtitle=f"More {words}, percentage points",
        fontSize=FONT,
        subtitleFontSize=SMALL_FONT,
        offset=6,
    )
    return alt.layer(spread, zero.encode(y=y), lines, dots).properties(
        width=layout.width, height=layout.height, title=heading
    )


def _differences_in_words(
    rows: pd.DataFrame, words: str, confidence: str, reconstruction: Reconstruction, analysis: Analysis
) -> str:
    reference, other = (arm_name(reconstruction.trial, arm) for arm in analysis.arms)
    told = rows[rows["month"].isin(TOLD_MONTHS)]
    sentences = [
        f"{NOTICE}. How many more in a hundred are {words} with {other} than with {reference.lower()}, month "
        f"by month, in {reconstruction.population_in_words(analysis.population)}."
    ]
    for row in told.itertuples():
        difference, *ends = (
            as_printed(100 * float(v), 0)
            for v in (row.difference, row.low, row.high, row.sampling_low, row.sampling_high)
        )
        sentences.append(
            f"At {row.month} months {difference} points in the displayed cohort; over "
            f"{reconstruction.cohorts} cohorts that agree with the paper {ends[0]} to {ends[1]}; "
            f"{confidence} confidence interval of the displayed cohort {ends[2]} to {ends[3]}."
        )
    return " ".join(sentences)


# --- ranges: one row for each quantity ------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """The scale of `ranges`: title, ticks, the value that means no difference, logarithmic or not."""

    title: str
    ticks: tuple[float, ...]
    neutral: float
    log: bool = False
    decimals: int = 1


_RANGE_ROW = 40
_RANGES_WIDE = _Panels(width=310, height=_RANGE_ROW, columns=1, wrapped=46)
_RANGES_NARROW = _Panels(width=166, height=_RANGE_ROW, columns=1, wrapped=20)


def ranges(
    name: str, rows: pd.DataFrame, scale: Scale, words: str, references: Mapping[str, float] | None = None
) -> render.Figure:
    """Quantities of the displayed cohort with their reconstruction ranges, one row each.

    `rows`: `label`, `value`, `low`, `high` (infinite: drawn to the edge, said to be not reached), and
    where sampling is shown, `sampling_low`, `sampling_high`. `words` say what the rows are;
    `references` maps a name to a value that is drawn as a dashed line.
    """
    return render.Figure(
        name=name,
        chart=_ranges_chart(rows, scale, references or {}, _RANGES_WIDE),
        narrow=_ranges_chart(rows, scale, references or {}, _RANGES_NARROW),
        description=_ranges_in_words(rows, scale, words, references or {}),
    )


def _ranges_chart(
    rows: pd.DataFrame, scale: Scale, references: Mapping[str, float], layout: _Panels
) -> alt.VConcatChart:
    ends = min(scale.ticks), max(scale.ticks)
    points = _range_points(rows, scale, ends, layout)
    drawn = alt.Scale(domain=list(ends), nice=False, **({"type": "log"} if scale.log else {"zero": False}))
    axis = alt.Axis(values=list(scale.ticks), format="~r", grid=True, domain=False, ticks=False)
    title = wrapped(scale.title, layout.wrapped + 16)
    base = alt.Chart(points)
    labels = alt.Axis(
        domain=False, ticks=False, grid=False, labelExpr="split(datum.label, '|')", labelPadding=8
    )
    y = alt.Y("row:N", sort=None, title=None, axis=labels, scale=alt.Scale(paddingInner=0.2))
    x = alt.X("value:Q", title=title, scale=drawn, axis=axis)
    tooltip = [
        alt.Tooltip("what:N", title="what"),
        alt.Tooltip("shown:N", title="displayed cohort"),
        alt.Tooltip("range:N", title="reconstruction range"),
    ]
    layers = [
        _vertical({"no difference": scale.neutral}, drawn, dashed=False),
        base.mark_bar(height=11, color=PALETTE["fitted"], opacity=0.35).encode(
            x=alt.X("low:Q", scale=drawn), x2="high:Q", y=y, tooltip=tooltip
        ),
    ]
    if references:
        layers.insert(1, _vertical(references, drawn, dashed=True))
    if "sampling_low" in rows:
        tooltip = [*tooltip, alt.Tooltip("chance:N", title="confidence interval")]
        layers.append(
            base.transform_filter("isValid(datum.sampling_low)")
            .mark_rule(color=PALETTE["ink"], strokeWidth=1.4, clip=True)
            .encode(x=alt.X("sampling_low:Q", scale=drawn), x2="sampling_high:Q", y=y)
        )
    layers.append(
        base.transform_filter("isValid(datum.value)")
        .mark_point(filled=True, size=75, opacity=1, color=PALETTE["ink"], clip=True)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    chart = alt.layer(*layers).properties(width=layout.width, height=layout.height * len(rows))
    notice = alt.Title(NOTICE, color=PALETTE["highlight"], fontSize=FONT, offset=10)
    return alt.vconcat(chart, title=notice)


def _vertical(at: Mapping[str, float], drawn: alt.Scale, *, dashed: bool) -> alt.Chart:
    rows = pd.DataFrame({"name": list(at), "value": list(at.values())})
    style = {"strokeDash": [4, 3]} if dashed else {}
    colour = PALETTE["highlight" if dashed else "muted"]
    tooltip = [alt.Tooltip("name:N", title="line"), alt.Tooltip("value:Q", title="at")]
    return (
        alt.Chart(rows)
        .mark_rule(color=colour, strokeWidth=1.4, **style)
        .encode(x=alt.X("value:Q", scale=drawn), tooltip=tooltip)
    )


def _range_points(
    rows: pd.DataFrame, scale: Scale, ends: tuple[float, float], layout: _Panels
) -> pd.DataFrame:
    """The rows as drawn: what is beyond the scale ends at its edge; the words keep the true numbers."""
    numbers = [c for c in ("value", "low", "high", "sampling_low", "sampling_high") if c in rows]
    points = rows[numbers].copy()
    for column in set(numbers) - {"value"}:
        points[column] = points[column].clip(*ends)
    points["value"] = points["value"].where(np.isfinite(points["value"]))
    points = points.round(4)
    points["row"] = ["|".join(wrapped(label, layout.wrapped)) for label in rows["label"]]
    points["what"] = rows["label"]
    points["shown"] = [_number(v, scale) for v in rows["value"]]
    points["range"] = [_span(a, b, scale) for a, b in zip(rows["low"], rows["high"], strict=True)]
    if "sampling_low" in rows:
        points["chance"] = [
            _span(a, b, scale) for a, b in zip(rows["sampling_low"], rows["sampling_high"], strict=True)
        ]
    return points


def _number(value: float, scale: Scale) -> str:
    if math.isnan(value):
        return "not defined"
    return "not reached" if math.isinf(value) else as_printed(float(value), scale.decimals)


def _span(low: float, high: float, scale: Scale) -> str:
    return "not defined" if math.isnan(low) else f"{_number(low, scale)} to {_number(high, scale)}"


def _ranges_in_words(rows: pd.DataFrame, scale: Scale, words: str, references: Mapping[str, float]) -> str:
    sentences = [f"{NOTICE}. {words}"]
    for row in rows.itertuples():
        text = f"{row.label}: {_number(row.value, scale)}, "
        text += f"reconstruction range {_span(row.low, row.high, scale)}"
        if "sampling_low" in rows:
            text += f", confidence interval {_span(row.sampling_low, row.sampling_high, scale)}"
        sentences.append(f"{text}.")
    sentences += [f"Dashed line, {name}: {_number(value, scale)}." for name, value in references.items()]
    return " ".join(sentences)


def gains(
    name: str, reconstruction: Reconstruction, paramcd: str, population: str, shares: Sequence[float]
) -> render.Figure:
    """How much later the same share of patients has had the event; `efficacy.gains`."""
    table = efficacy.gains(reconstruction, paramcd, population, shares)
    event = "died" if _is_death(reconstruction.trial, paramcd) else "had the event"
    labels = [
        f"{percent(row.share)}: month {_month(row.arm1)} instead of {_month(row.arm0)}"
        for row in table.itertuples()
    ]
    highest = table["high"].where(np.isfinite(table["high"])).max()
    scale = Scale("Months gained", tuple(range(0, 2 * math.ceil(highest / 2) + 1, 2)), 0.0)
    words = (
        f"How many months later the same share of patients has {event} with "
        f"{arm_name(reconstruction.trial, reconstruction.arms[1])}, in "
        f"{reconstruction.population_in_words(population)}; read on a grid of half months, save at "
        "the half where the medians are printed."
    )
    return ranges(name, table.assign(label=labels, value=table["gain"]), scale, words)


def _month(value: float) -> str:
    return "–" if math.isinf(value) else as_printed(float(value), 1)


def _is_death(trial: Trial, paramcd: str) -> bool:
    return next(e for e in trial.endpoints if e.paramcd == paramcd).event == "Death"


def period_ratios(
    name: str,
    reconstruction: Reconstruction,
    analysis: Analysis,
    cuts: Sequence[float],
) -> render.Figure:
    """Hazard ratio within periods of follow-up; `efficacy.period_ratios`. Dashed: the ratio of the whole."""
    table = efficacy.period_ratios(
        reconstruction, analysis.paramcd, analysis.population, cuts, analysis.rules.level
    )
    labels = [
        f"Months {row.start:g} to {row.end:g}: {row.events1:.0f} and {row.events0:.0f} events"
        for row in table.itertuples()
    ]
    scale = Scale(
        "Hazard ratio, unstratified (below 1: fewer events with 177Lu-PSMA-617)",
        (0.125, 0.25, 0.5, 1, 2, 4),
        1.0,
        log=True,
        decimals=2,
    )
    words = (
        "Hazard ratio within periods of follow-up, unstratified, with the events of the displayed cohort in "
        f"each arm, in {reconstruction.population_in_words(analysis.population)}. Confidence level "
        f"{level(analysis.rules.level)}."
    )
    overall = {"stratified Cox model over all of follow-up": round(analysis.hazard_ratio.ratio, 2)}
    return ranges(name, table.assign(label=labels, value=table["ratio"]), scale, words, overall)


# --- numbers of events over the ensemble ----------------------------------------------------------


def event_totals(
    name: str, totals: pd.Series, references: Mapping[str, float], width: int, words: str
) -> render.Figure:
    """How many cohorts have how many events, in classes of `width`, with reference numbers as lines."""
    inside = [*totals, *references.values()]
    low = width * math.floor(min(inside) / width)
    high = width * math.ceil((max(inside) + 1) / width)
    edges = np.arange(low, high + 1, width)
    heights, _ = np.histogram(totals, bins=edges)
    bars = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "cohorts": heights})
    return render.Figure(
        name=name,
        chart=_totals_chart(bars, references, 520, 210),
        narrow=_totals_chart(bars, references, 236, 180),
        description=_totals_in_words(totals, references, words),
    )


def _totals_chart(
    bars: pd.DataFrame, references: Mapping[str, float], width: int, height: int
) -> alt.LayerChart:
    scale = alt.Scale(domain=[int(bars["from"].min()), int(bars["to"].max())], nice=False, zero=False)
    bars = bars.assign(events=[f"{row[0]} to {row[1] - 1}" for row in bars[["from", "to"]].to_numpy()])
    most = int(bars["cohorts"].max())
    top = most * (1 + 0.16 * (len(references) + 1))
    y = alt.Y(
        "cohorts:Q",
        title="Cohorts",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(values=_round_ticks(most), domain=False, ticks=False),
    )
    columns = (
        alt.Chart(bars)
        .mark_bar(color=PALETTE["fitted"], opacity=0.45, stroke=PALETTE["surface"])
        .encode(
            x=alt.X(
                "from:Q",
                bin="binned",
                scale=scale,
                title="Events in both arms together",
                axis=alt.Axis(grid=False),
            ),
            x2="to:Q",
            y=y,
            tooltip=[alt.Tooltip("events:N", title="events"), alt.Tooltip("cohorts:Q", title="cohorts")],
        )
    )
    middle = (scale.domain[0] + scale.domain[1]) / 2
    # The outermost lines reach highest, so that no label is crossed by another line.
    outermost = sorted(references.items(), key=lambda item: -abs(item[1] - middle))
    lines = pd.DataFrame(
        [
            {"at": at, "text": f"{label}: {at:g}", "cohorts": top - most * 0.16 * (n + 0.6), "foot": 0,
             "left": at <= middle}
            for n, (label, at) in enumerate(outermost)
        ]
    )  # fmt: skip
    base = alt.Chart(lines)
    rules = base.mark_rule(color=PALETTE["highlight"], strokeDash=[4, 3], strokeWidth=1.4).encode(
        x=alt.X("at:Q", scale=scale), y=y, y2="foot:Q"
    )
    texts = [
        base.transform_filter(f"datum.left == {side}")
        .mark_text(
            align=align, dx=dx, dy=-1, color=PALETTE["highlight"], fontSize=SMALL_FONT, fontWeight="bold"
        )
        .encode(x=alt.X("at:Q", scale=scale), y=y, text="text:N")
        for side, align, dx in (("true", "left", 5), ("false", "right", -5))
    ]
    notice = alt.Title(NOTICE, color=PALETTE["highlight"], fontSize=FONT, offset=8)
    return alt.layer(columns, rules, *texts).properties(width=width, height=height, title=notice)


def _round_ticks(most: int) -> list[int]:
    step = max(1, 10 ** int(math.log10(max(most, 1))) // 2)
    return list(range(0, most + 1, step * max(1, most // (4 * step))))


def _totals_in_words(totals: pd.Series, references: Mapping[str, float], words: str) -> str:
    sentences = [
        f"{NOTICE}. {words} {len(totals)} cohorts have from {totals.min()} to {totals.max()} events, half of "
        f"them {totals.quantile(0.25):.0f} to {totals.quantile(0.75):.0f}."
    ]
    for label, at in references.items():
        fewer = int((totals < at).sum())
        sentences.append(
            f"{label[0].upper()}{label[1:]}, {at:g}: {fewer} of {len(totals)} cohorts have fewer."
        )
    return " ".join(sentences)
