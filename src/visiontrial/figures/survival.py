"""One visual language for everything about time: curves, differences, gains, hazard ratios, events.

Each function gives one `render.Figure` of reconstructed patients and says so in its picture and in
its words. Everywhere

- a *line* or *dot* is the displayed cohort, one of many;
- a *band* or *thick bar* is the reconstruction range, the central 95% of the ensemble's cohorts:
  what the printed numbers leave open;
- a *thin bar* is a confidence interval of the displayed cohort: sampling, and nothing else.

`kaplan_meier` is the figure of a reconstruction. `curves` draws any views, for example outcomes
changed by a sensitivity analysis, with or without a band.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import altair as alt
import numpy as np
import pandas as pd

from visiontrial import efficacy, render, survival
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial
from visiontrial.efficacy import DEFAULT, Analysis, Reconstruction, Rules
from visiontrial.printed import as_printed
from visiontrial.render import PALETTE

NOTICE = "Reconstructed patients, not the trial's data"
COLOURS = ("control", "lu")
"""Palette names of arm 0 and arm 1."""
SHORT_NAMES = {"lu": ("177Lu-PSMA-617", "177Lu"), "control": ("Standard care", "Control")}
"""Names of the arms beside the counts, on a page and on a phone."""
SHOWN_MEMBERS = 12
"""Cohorts drawn when the reader asks: enough to see that they differ, few enough to be told apart."""
TOLD_MONTHS = (6, 12, 18, 24)
"""Months at which curves are read out in words."""
FONT, SMALL_FONT = 13, 12
_PADDING = {"left": 4, "top": 4, "bottom": 4, "right": 16}
"""On the right room for half a number, wherever the last tick falls when the reader restricts time."""
COUNTS = {"at_risk": "At risk", "events": "Events", "censored": "Censored"}


# --- numbers in words ----------------------------------------------------------------------------


def months(days: float) -> str:
    """Days as months with one decimal, or `not reached`."""
    return _tenths(float(days) / DAYS_PER_MONTH)


def _tenths(value: float) -> str:
    return "not reached" if math.isinf(value) else as_printed(value, 1)


def p_value(value: float) -> str:
    """A P value as journals print it: `<0.001`, else three decimals."""
    return "<0.001" if value < 0.001 else as_printed(float(value), 3)


def percent(share: float) -> str:
    """A share as a whole percent: `65%`."""
    return f"{as_printed(100 * float(share), 0)}%"


def level(share: float) -> str:
    """A confidence level: `99.2%`."""
    return f"{100 * share:g}%"


def ratio_in_words(ratio: survival.HazardRatio) -> str:
    """For example `hazard ratio 0.62 (95% CI 0.52 to 0.74)`."""
    estimate, low, high = (as_printed(v, 2) for v in (ratio.ratio, ratio.low, ratio.high))
    return f"hazard ratio {estimate} ({level(ratio.level)} CI {low} to {high})"


def arm_name(trial: Trial, arm: str) -> str:
    """The name of an arm in legends."""
    labels = {a.name: a.label for a in trial.arms}
    name = render.ARMS.get(arm, labels.get(arm, arm))
    return name[0].upper() + name[1:]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many characters; words are not divided."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


# --- views: what is drawn of one analysis ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class View:
    """One analysis as it is drawn: its name, and where there is an ensemble, what the cohorts say.

    `name` is the reader's word for it in the switch (`all 831 randomized`). `bands` and `members`
    map an arm to its reconstruction range (`month`, `low`, `high`) and to the curves of some
    cohorts (months by members); `cohorts` is the size of the ensemble. `names` of the arms are
    those of the legend, `short` and `brief` those beside the counts on a page and on a phone.

    `unprinted` says in words what stands in place of a result that the paper does not print: under
    an arm, its median, under `hazard_ratio`, the ratio and the test. The one displayed cohort is
    no source for these.
    """

    name: str
    analysis: Analysis
    event_free: str
    names: Mapping[str, str]
    short: Mapping[str, str]
    brief: Mapping[str, str]
    bands: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    members: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cohorts: int = 0
    unprinted: Mapping[str, str] = field(default_factory=dict)


def view(
    reconstruction: Reconstruction,
    paramcd: str,
    population: str,
    rules: Rules = DEFAULT,
) -> View:
    """The view of one end point in one population, with the band of the ensemble.

    The band belongs to all of follow-up and to no interval: it does not change with the rules, but
    it ends where they end follow-up.
    """
    trial = reconstruction.trial
    until = math.inf if rules.months is None else rules.months
    estimates = {
        arm: values.loc[:until] for arm, values in reconstruction.values(paramcd, population).items()
    }
    return View(
        name=reconstruction.population_in_words(population),
        analysis=reconstruction.analysis(paramcd, population, rules),
        event_free=event_free(trial, paramcd),
        names={arm: arm_name(trial, arm) for arm in reconstruction.arms},
        short={arm: SHORT_NAMES.get(arm, (arm, arm))[0] for arm in reconstruction.arms},
        brief={arm: SHORT_NAMES.get(arm, (arm, arm))[1] for arm in reconstruction.arms},
        bands={arm: efficacy.range_by_month(values) for arm, values in estimates.items()},
        members={arm: values[_some(values.columns)] for arm, values in estimates.items()},
        cohorts=reconstruction.cohorts,
        unprinted=_unprinted(reconstruction, paramcd, population),
    )


def _unprinted(reconstruction: Reconstruction, paramcd: str, population: str) -> dict[str, str]:
    words = {}
    if not reconstruction.prints("hazard_ratio", paramcd, population):
        words["hazard_ratio"] = "No hazard ratio is printed for these patients, so none is given here"
    for arm in reconstruction.arms:
        if not reconstruction.prints("median", paramcd, population, arm):
            found = efficacy.median_range(reconstruction, paramcd, population, arm)
            words[arm] = f"not printed, {_tenths(found.low)} to {_tenths(found.high)} months over the cohorts"
    return words


def event_free(trial: Trial, paramcd: str) -> str:
    """What the curve counts: `Alive`, or `Without progression or death`."""
    endpoint = next(e for e in trial.endpoints if e.paramcd == paramcd)
    return "Alive" if endpoint.event == "Death" else f"Without {endpoint.event.lower()} or death"


def _some(members: pd.Index) -> list[int]:
    """The first few members: they come from independent chains, so that any are as good as others."""
    return list(members[:SHOWN_MEMBERS])


# --- the Kaplan-Meier figure ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What differs between the chart on a page and the one on a phone."""

    width: int
    height: int
    gutter: int
    step: int
    wrapped: int
    beside: str
    line: int = 18
    row: int = 19


_WIDE = _Layout(width=474, height=300, gutter=126, step=3, wrapped=100, beside="short")
_NARROW = _Layout(width=218, height=240, gutter=70, step=6, wrapped=47, beside="brief")


def kaplan_meier(
    name: str,
    reconstruction: Reconstruction,
    paramcd: str,
    populations: Sequence[str],
    rules: Rules = DEFAULT,
) -> render.Figure:
    """Kaplan-Meier curves of the displayed cohort with the reconstruction band of the ensemble.

    Below the plot, on the same ticks, numbers at risk, events and censorings of the displayed
    cohort, counted directly. Interactive: hovering (or the arrow keys) reads every month; a slider
    restricts time; a box shows some cohorts of the ensemble; where there are several
    `populations`, a switch changes between them. The static picture shows the first.
    """
    views = [view(reconstruction, paramcd, population, rules) for population in populations]
    label = next(e.label for e in reconstruction.trial.endpoints if e.paramcd == paramcd)
    return curves(name, label, views)


def curves(name: str, title: str, views: Sequence[View]) -> render.Figure:
    """Kaplan-Meier curves of one or more views (see `View`), the first shown, the others by a switch."""
    return render.Figure(
        name=name,
        chart=_curves_chart(title, views, _WIDE),
        narrow=_curves_chart(title, views, _NARROW),
        description=_curves_in_words(title, views[0]),
    )


def _last_month(views: Sequence[View]) -> int:
    last = max(int(v.analysis.data.days.max()) for v in views) / DAYS_PER_MONTH
    return math.ceil(last)


def _curves_chart(title: str, views: Sequence[View], layout: _Layout) -> alt.VConcatChart:
    last = _last_month(views)
    parameters = [
        alt.param(
            name="until",
            value=last,
            bind=alt.binding_range(min=min(6, last), max=last, step=1, name="months shown "),
        )
    ]
    if any(v.members for v in views):
        box = alt.binding_checkbox(name=f"show {SHOWN_MEMBERS} other cohorts ")
        parameters.append(alt.param(name="others", value=False, bind=box))
    if len(views) > 1:
        choice = alt.binding_radio(options=[v.name for v in views], name="patients: ")
        parameters.append(alt.param(name="patients", value=views[0].name, bind=choice))
    panels = [
        _header(title, views, layout),
        _plot(views, last, layout),
        _counts_panel(views, last, layout),
    ]
    return alt.vconcat(*panels, spacing=14, padding=_PADDING).add_params(*parameters)


def _of_view(chart: alt.Chart, views: Sequence[View]) -> alt.Chart:
    return chart.transform_filter("datum.v == patients") if len(views) > 1 else chart


def _rows(records: list[dict]) -> pd.DataFrame:
    # Not alt.Data: every value of that would be validated against the schema, for a minute.
    return pd.DataFrame(records)


# The data of a figure stand on its page twice, wide and narrow, so their columns have one letter:
# v view, a number of the arm, m month, s percent event-free, l and h ends of the band, k cohort, t text,
# n line of the header, r row of the counts.


def _by_arm(views: Sequence[View], columns) -> list[dict]:
    """One record per view and arm; `columns(view, arm)` gives the columns that hold lists."""
    return [
        {"v": v.name, "a": str(number), **columns(v, arm)}
        for v in views
        for number, arm in enumerate(v.analysis.arms)
    ]


def _rounded(values, decimals: int) -> list[float]:
    return [round(float(v), decimals) for v in values]


def _steps(v: View, arm: str) -> dict:
    """The corners of a curve: day 0, each day with an event, the last observation."""
    curve = v.analysis.curves[arm]
    kept = (curve.events > 0) | (np.arange(len(curve.days)) == len(curve.days) - 1)
    kept[0] = True
    return {
        "m": _rounded(curve.days[kept] / DAYS_PER_MONTH, 2),
        "s": _rounded(100 * curve.survival[kept], 1),
    }


def _censorings(v: View, arm: str) -> dict:
    data = v.analysis.of_arm(arm)
    curve = v.analysis.curves[arm]
    days = np.unique(data.days[~data.event])
    return {
        "m": _rounded(days / DAYS_PER_MONTH, 2),
        "s": _rounded((100 * curve.at(day) for day in days), 1),
    }


def _band(v: View, arm: str) -> dict:
    band = v.bands.get(arm, pd.DataFrame({"month": [], "low": [], "high": []}))
    return {
        "m": _rounded(band["month"], 1),
        "l": _rounded(100 * band["low"], 1),
        "h": _rounded(100 * band["high"], 1),
    }


def _members(views: Sequence[View]) -> list[dict]:
    return [
        {
            "v": v.name,
            "a": str(number),
            "k": int(member),
            "m": _rounded(values.dropna().index, 1),
            "s": _rounded(100 * values.dropna(), 1),
        }
        for v in views
        for number, arm in enumerate(v.analysis.arms)
        if arm in v.members
        for member, values in v.members[arm].items()
    ]


_ARM_COLOUR = alt.Color(
    "a:N", scale=alt.Scale(domain=["0", "1"], range=[PALETTE[c] for c in COLOURS]), legend=None
)


_TIME = alt.Scale(domain=[0, alt.ExprRef("until")], nice=False)


def _x(layout: _Layout, *, title: str | None, labels: bool = True) -> alt.X:
    ticks = alt.ExprRef(f"sequence(0, until + 0.01, {layout.step})")
    axis = alt.Axis(values=ticks, grid=False, labels=labels, ticks=labels, domain=labels, labelFlush=False)
    return alt.X("m:Q", title=title, scale=_TIME, axis=axis)


def _plot(views: Sequence[View], last: int, layout: _Layout) -> alt.LayerChart:
    y = alt.Y(
        "s:Q",
        title=views[0].event_free,
        scale=alt.Scale(domain=[0, 100], nice=False),
        axis=alt.Axis(
            values=[0, 25, 50, 75, 100],
            labelExpr="datum.value + '%'",
            labelPadding=8,
            domain=False,
            ticks=False,
            titleAngle=0,
            titleAlign="left",
            titleAnchor="end",
            titleX=-layout.gutter,
            titleY=-16,
            minExtent=layout.gutter,
            maxExtent=layout.gutter,
        ),
    )
    x = _x(layout, title="Months since randomization")
    layers = []
    if any(v.bands for v in views):
        band = _of_view(alt.Chart(_rows(_by_arm(views, _band))), views).transform_flatten(["m", "l", "h"])
        layers.append(
            band.mark_area(opacity=0.22, clip=True).encode(
                x=x, y=alt.Y("l:Q").scale(domain=[0, 100]), y2="h:Q", color=_ARM_COLOUR
            )
        )
    if any(v.members for v in views):
        others = _of_view(alt.Chart(_rows(_members(views))), views).transform_filter("others")
        layers.append(
            others.transform_flatten(["m", "s"])
            .mark_line(interpolate="step-after", strokeWidth=0.9, opacity=0.55, clip=True)
            .encode(x=x, y=y, color=_ARM_COLOUR, detail="k:N")
        )
    lines = _of_view(alt.Chart(_rows(_by_arm(views, _steps))), views).transform_flatten(["m", "s"])
    ticks = _of_view(alt.Chart(_rows(_by_arm(views, _censorings))), views).transform_flatten(["m", "s"])
    layers += [
        *_median_layers(views, x, y),
        lines.mark_line(interpolate="step-after", strokeWidth=2.2, clip=True).encode(
            x=x, y=y, color=_ARM_COLOUR
        ),
        ticks.mark_tick(orient="vertical", size=9, thickness=1, opacity=0.9, clip=True).encode(
            x=x, y=y, color=_ARM_COLOUR
        ),
        _hover(views, last, x),
    ]
    return alt.layer(*layers).properties(width=layout.width, height=layout.height)


def _median_layers(views: Sequence[View], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """From one half of the patients down to the medians."""
    records = [
        {
            "v": v.name,
            "a": str(number),
            "m": round(median / DAYS_PER_MONTH, 2),
            "s": 50,
            "foot": 0,
            "start": 0,
        }
        for v in views
        for number, arm in enumerate(v.analysis.arms)
        if arm not in v.unprinted and math.isfinite(median := v.analysis.medians[arm].median)
    ]
    base = _of_view(alt.Chart(_rows(records)), views)
    style = {"strokeDash": [4, 3], "strokeWidth": 1, "clip": True}
    return [
        base.mark_rule(color=PALETTE["muted"], **style).encode(
            x=alt.X("start:Q", scale=_TIME), x2="m:Q", y=y
        ),
        base.mark_rule(**style).encode(x=x, y=alt.Y("foot:Q"), y2="s:Q", color=_ARM_COLOUR),
    ]


def _hover(views: Sequence[View], last: int, x: alt.X) -> alt.Chart:
    """A bar over each month, unseen until it is pointed at; its words are read by mouse and by keyboard."""
    at = alt.selection_point(
        name="at", on="pointerover", clear="pointerout", fields=["m"], empty=False, nearest=False
    )
    records = [record for v in views for record in _month_records(v, last)]
    names = views[0].short
    reference, other = views[0].analysis.arms
    tooltip = [
        alt.Tooltip("at:N", title="at"),
        alt.Tooltip("w1:N", title=names[other]),
        alt.Tooltip("w0:N", title=names[reference]),
        alt.Tooltip("d:N", title="difference"),
    ]
    return (
        _of_view(alt.Chart(_rows(records)), views)
        .mark_bar(color=PALETTE["muted"], clip=True)
        .encode(
            x=alt.X("left:Q", scale=_TIME),
            x2="right:Q",
            y=alt.value(0),
            y2=alt.value("height"),
            fillOpacity=alt.condition(at, alt.value(0.18), alt.value(0)),
            tooltip=tooltip,
        )
        .add_params(at)
    )


def _month_records(v: View, last: int) -> list[dict]:
    records = []
    for month in range(last + 1):
        words = [_month_in_words(v, arm, month) for arm in v.analysis.arms]
        if any(words):
            unknown = "curve has ended"
            records.append(
                {
                    "v": v.name,
                    "m": month,
                    "left": max(month - 0.5, 0),
                    "right": min(month + 0.5, last),
                    "at": f"{month} month" + ("" if month == 1 else "s"),
                    "w0": words[0] or unknown,
                    "w1": words[1] or unknown,
                    "d": _difference_in_words(v, month),
                }
            )
    return records


def _month_in_words(v: View, arm: str, month: int) -> str:
    """For example `65% (range 60 to 73%), 350 at risk`; empty where the curve has ended."""
    estimate = v.analysis.curves[arm].at(month * DAYS_PER_MONTH)
    if math.isnan(estimate):
        return ""
    at_risk = int(survival.at_risk(v.analysis.of_arm(arm), month * DAYS_PER_MONTH)[0])
    return f"{percent(estimate)}{_range_in_words(v, arm, month)}, {at_risk} at risk"


def _range_in_words(v: View, arm: str, month: int) -> str:
    band = v.bands.get(arm)
    row = None if band is None else band[band["month"] == month]
    if row is None or row.empty:
        return ""
    low, high = (as_printed(100 * float(row[c].iloc[0]), 0) for c in ("low", "high"))
    return f" (range {low} to {high}%)"


def _difference_in_words(v: View, month: int) -> str:
    reference, other = (v.analysis.curves[arm].at(month * DAYS_PER_MONTH) for arm in v.analysis.arms)
    if math.isnan(reference) or math.isnan(other):
        return "–"
    return f"{as_printed(100 * (other - reference), 0)} points"


# The text above a plot: title, notice, results with their rules, and the legend ----------------------


def _header(title: str, views: Sequence[View], layout: _Layout) -> alt.LayerChart:
    records = [record for v in views for record in _header_records(title, v, layout)]
    height = layout.line * (0.5 + max(record["n"] for record in records))
    base = _of_view(alt.Chart(_rows(records)), views)
    y = alt.Y("n:Q", axis=None, scale=alt.Scale(domain=[0, height / layout.line], reverse=True, nice=False))
    left = -layout.gutter  # where the labels of the axes below begin
    text = {"align": "left", "baseline": "middle"}
    layers = [
        base.transform_filter(f"datum.k == '{kind}'")
        .mark_text(**text, fontSize=size, fontWeight=weight, color=PALETTE[colour])
        .encode(x=alt.value(left), y=y, text="t:N")
        for kind, size, weight, colour in (
            ("title", 15, "bold", "ink"),
            ("notice", FONT, "bold", "highlight"),
            ("plain", FONT, "normal", "ink"),
            ("rule", SMALL_FONT, "normal", "muted"),
        )
    ]
    arms = base.transform_filter("datum.k == 'arm'")
    names = base.transform_filter("datum.k == 'arm' || datum.k == 'more'")
    layers += [
        arms.mark_rule(strokeWidth=3).encode(
            x=alt.value(left), x2=alt.value(left + 22), y=y, color=_ARM_COLOUR
        ),
        names.mark_text(**text, fontSize=FONT, fontWeight="bold").encode(
            x=alt.value(left + 30), y=y, text="t:N", color=_ARM_COLOUR
        ),
    ]
    return alt.layer(*layers).properties(width=layout.width, height=height, view={"stroke": None})


def _header_records(title: str, v: View, layout: _Layout) -> list[dict]:
    lines = [("title", title), ("notice", f"{NOTICE}: {v.name}"), *_comparison_lines(v)]
    if v.bands:
        lines += [("rule", _band_in_words(v))]
    records: list[dict] = []
    place = 0.5
    for kind, text in lines:
        for piece in wrapped(text, layout.wrapped - (8 if kind == "title" else 0)):
            records.append({"v": v.name, "n": place, "k": kind, "t": piece, "a": "1"})
            place += 1
    for number in (1, 0):
        arm = v.analysis.arms[number]
        words = f"{v.names[arm]}: median {_median(v, arm)}"
        for n, piece in enumerate(wrapped(words, layout.wrapped - 8)):
            kind = "more" if n else "arm"
            records.append({"v": v.name, "n": place, "k": kind, "t": piece, "a": str(number)})
            place += 1
    return records


def _comparison_lines(v: View) -> list[tuple[str, str]]:
    if "hazard_ratio" in v.unprinted:
        return [("plain", v.unprinted["hazard_ratio"])]
    ratio, test = v.analysis.hazard_ratio, v.analysis.log_rank
    words = f"{_first_upper(ratio_in_words(ratio))}; log-rank P {_p_sign(test.p_value)}"
    return [("plain", words), ("rule", f"{ratio.rule}; {test.rule}")]


def _median(v: View, arm: str) -> str:
    if arm in v.unprinted:
        return v.unprinted[arm]
    median = v.analysis.medians[arm].median
    return months(median) + ("" if math.isinf(median) else " months")


def _p_sign(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _band_in_words(v: View) -> str:
    return (
        f"Lines: the displayed cohort. Bands: reconstruction range, 95% of {v.cohorts} cohorts that all "
        "agree with the paper; no sampling error. Short strokes: censored."
    )


# The counts below a plot --------------------------------------------------------------------------------


def _counts_panel(views: Sequence[View], last: int, layout: _Layout) -> alt.LayerChart:
    ticks = list(range(0, last + 1, layout.step))
    records = [record for v in views for record in _count_records(v, ticks)]
    arms = views[0].analysis.arms
    rows = [row for column in COUNTS for row in (f"{column}.head", f"{column}.1", f"{column}.0")]
    labels = {f"{column}.head": heading for column, heading in COUNTS.items()}
    names = getattr(views[0], layout.beside)
    labels |= {f"{c}.{n}": names[arm] for c in COUNTS for n, arm in enumerate(arms)}
    words = "{" + ", ".join(f"'{row}': '{text}'" for row, text in labels.items()) + "}[datum.value]"
    bold = alt.condition("indexof(datum.value, 'head') > 0", alt.value("bold"), alt.value("normal"))
    y = alt.Y(
        "r:N",
        sort=rows,
        title=None,
        scale=alt.Scale(domain=rows),
        axis=alt.Axis(
            labelExpr=words,
            labelFontWeight=bold,
            labelFontSize=SMALL_FONT,
            domain=False,
            ticks=False,
            labelPadding=20,
            minExtent=layout.gutter,
            maxExtent=layout.gutter,
        ),
    )
    base = _of_view(alt.Chart(_rows(records)), views).transform_filter("datum.m <= until")
    text = base.mark_text(fontSize=SMALL_FONT).encode(
        x=_x(layout, title=None, labels=False), y=y, text="t:N", color=_ARM_COLOUR
    )
    return text.properties(width=layout.width, height=layout.row * len(rows), view={"stroke": None})


def _count_records(v: View, ticks: list[int]) -> list[dict]:
    days = [tick * DAYS_PER_MONTH for tick in ticks]
    return [
        {"v": v.name, "a": str(number), "r": f"{column}.{number}", "m": tick, "t": str(count)}
        for number, arm in enumerate(v.analysis.arms)
        for column, counts in survival.counted(v.analysis.of_arm(arm), days).items()
        for tick, count in zip(ticks, counts, strict=True)
    ]


# In words ---------------------------------------------------------------------------------------------------


def _curves_in_words(title: str, v: View) -> str:
    analysis = v.analysis
    reference, other = analysis.arms
    sizes = {arm: len(analysis.of_arm(arm)) for arm in analysis.arms}
    sentences = [
        f"{NOTICE}. {title} in {v.name}: Kaplan-Meier curves of {sizes[other]} with {v.names[other]} and "
        f"{sizes[reference]} with {v.names[reference].lower()}."
    ]
    for month in TOLD_MONTHS:
        words = [_month_in_words(v, arm, month) for arm in (other, reference)]
        if all(words):
            sentences.append(f"At {month} months, {v.event_free.lower()}: {words[0]}, against {words[1]}.")
    sentences.append(f"Median: {_median(v, other)}, against {_median(v, reference)}.")
    sentences += [f"{text}." for _, text in _comparison_lines(v)]
    if v.bands:
        sentences.append(
            f"In parentheses, reconstruction ranges: where 95% of {v.cohorts} cohorts lie that all agree "
            "with the paper. They hold no sampling error."
        )
    return " ".join(sentences)
