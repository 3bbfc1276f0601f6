"""Adverse events: Table 2 to be printed, the dot plot of both grades, and what time could explain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import altair as alt
import great_tables as gt
import pandas as pd

from visiontrial import published, render, safety, tables
from visiontrial.figures.baseline import with_percent
from visiontrial.forensics import Finding
from visiontrial.printed import Interval, as_printed
from visiontrial.safety import ARMS, GRADES

PRINTED_GRADES = ("all-grades", "grade-3")
NOT_APPLICABLE = "NA"
NO_RATIO = "–"
ARM_HEADINGS = {"lu": "177Lu-PSMA-617", "control": "Standard care alone"}
_ARM_SHAPES = {"lu": "circle", "control": "triangle-up"}
_FILLS = {"lu": "lu", "control": "surface"}


# --- tables -------------------------------------------------------------------------------


def table_two(table: pd.DataFrame) -> tables.Printable:
    """Table 2 as the paper lays it out; `table` is `safety.counts()`. Footnotes in this book's words."""
    frame = pd.DataFrame(_printed_rows(table))
    made = gt.GT(frame, rowname_col="label", groupname_col="group").tab_stubhead("Event")
    for arm, heading in ARM_HEADINGS.items():
        columns = [f"{arm}.{grade}" for grade in PRINTED_GRADES]
        made = made.tab_spanner(f"{heading} (N = {safety.size(table, arm)})", columns, id=arm)
    made = made.cols_label({f"{a}.{g}": GRADES[g] for a in ARMS for g in PRINTED_GRADES})
    made = made.cols_align("right", [f"{a}.{g}" for a in ARMS for g in PRINTED_GRADES])
    for note in _table_notes():
        made = made.tab_source_note(note)
    return tables.printable(made, "adverse-events", "Adverse events: number of patients (percent)")


def worst_grade_table(table: pd.DataFrame) -> tables.Printable:
    """Patients by their worst grade of each event, 1 or 2 against 3 or more; `table` is `safety.counts()`."""
    shown = table[table["kind"] != "led-to"]
    cells = shown.set_index(["event", "arm", "grade"])["count"]
    rows = []
    for event, label in _events(shown):
        row = {"label": label}
        for arm in ARMS:
            everyone, mild = cells[event, arm, "all-grades"], cells[event, arm, "grade-1-2"]
            row[f"{arm}.mild"] = with_percent(mild, safety.size(table, arm))
            row[f"{arm}.severe"] = str(cells[event, arm, "grade-3"])
            row[f"{arm}.share"] = f"{as_printed(100 * int(mild) / int(everyone), 1)}%"
        rows.append(row)
    made = gt.GT(pd.DataFrame(rows), rowname_col="label").tab_stubhead("Event")
    for arm, heading in ARM_HEADINGS.items():
        made = made.tab_spanner(heading, [f"{arm}.{c}" for c in ("mild", "severe", "share")], id=arm)
    headings = {"mild": "Worst: 1 or 2", "severe": "Worst: ≥3", "share": "Share 1 or 2"}
    made = made.cols_label({f"{a}.{c}": text for a in ARMS for c, text in headings.items()})
    made = made.cols_align("right", [f"{a}.{c}" for a in ARMS for c in headings]).tab_source_note(
        "Worst grade 1 or 2: patients with the event at any grade less those with grade 3 or more; not "
        "printed in the paper. Share: of the patients with the event."
    )
    return tables.printable(made, "worst-grade", "Patients by their worst grade of each event")


def comparison_table(compared: pd.DataFrame, confidence_level: float) -> tables.Printable:
    """Risk differences and ratios with intervals, both printed grades; from `safety.comparisons(...)`."""
    shown = compared[compared["grade"].isin(PRINTED_GRADES)].sort_values("grade", kind="stable")
    frame = pd.DataFrame(
        {
            "group": shown["grade"].map(GRADES),
            "label": shown["label"],
            "lu": [as_printed(p, 1) for p in shown["percent_lu"]],
            "control": [as_printed(p, 1) for p in shown["percent_control"]],
            "difference": [
                f"{signed(r.difference)}\n({signed(r.difference_low)} to {signed(r.difference_high)})"
                for r in shown.itertuples()
            ],
            "ratio": [_ratio_text(r) for r in shown.itertuples()],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label", groupname_col="group")
        .tab_stubhead("Event")
        .cols_label(
            lu="177Lu, %",
            control="Control, %",
            difference="Difference\npercentage points",
            ratio="Risk ratio",
        )
        .cols_align("right", ["lu", "control", "difference", "ratio"])
        .tab_source_note(
            f"177Lu-PSMA-617 against control. In parentheses, {100 * confidence_level:g}% confidence "
            "intervals, each for itself: not adjusted for their number, nor for the time under observation. "
            f"{NO_RATIO}, nobody in either arm."
        )
    )
    return tables.printable(made, "risk-comparison", "Risk differences and risk ratios")


def rates_table(rates: pd.DataFrame) -> tables.Printable:
    """Bounds of patients with an event per 100 person-years of treatment; rows of `safety.rates(...)`."""
    frame = pd.DataFrame(
        {
            "label": [f"{r.label}, {GRADES[r.grade].lower()}" for r in rates.itertuples()],
            "lu": [_bounds_text(r.rate_lu_low, r.rate_lu_high) for r in rates.itertuples()],
            "control": [_bounds_text(r.rate_control_low, r.rate_control_high) for r in rates.itertuples()],
            "ratio": [_bounds_text(r.ratio_low, r.ratio_high) for r in rates.itertuples()],
            "reading": ["higher" if r.ratio_low > 1 else "not identified" for r in rates.itertuples()],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Event")
        .cols_label(lu="177Lu", control="Control", ratio="Ratio", reading="Reading")
        .cols_align("right", ["lu", "control", "ratio"])
        .cols_align("left", ["reading"])
        .tab_source_note(
            "Bounds from the number of patients, the median and the range of the time on standard care. No "
            "confidence intervals: every rate between the bounds agrees with the printed numbers."
        )
    )
    return tables.printable(made, "crude-rates", "Patients with the event per 100 person-years of treatment")


def denominators_table(table: pd.DataFrame) -> tables.Printable:
    """From randomized to analysed for safety; `table` is `safety.denominators()`."""
    names = {
        "randomized": "Randomized",
        "untreated": "Received no treatment",
        "moved": "Assigned to 177Lu, received standard care only",
        "analysed": "Analysed for safety",
    }
    totals = ("randomized", "analysed")
    frame = pd.DataFrame(
        {
            "label": [names[row] for row in table.index],
            **{
                column: [
                    str(value) if row in totals else signed(value, 0) for row, value in table[column].items()
                ]
                for column in table
            },
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .cols_label(lu="177Lu", control="Control", both="Both")
        .cols_align("right", list(table))
    )
    return tables.printable(made, "safety-set", "From randomized patients to the safety set")


_EXTREMES = {"range_low": "lowest", "median": "median", "range_high": "highest"}


def schedule_table(found: Iterable[Finding]) -> tables.Printable:
    """Dose and time against the schedule: the findings of the rules `forensics.doses` and `.schedules`."""
    claims = published.claims().set_index("claim_id")
    printed = [(claims.loc[finding.claim_ids[0]], finding) for finding in found]
    frame = pd.DataFrame(
        {
            "label": [f"{claim['item']}, {_EXTREMES[claim['statistic']]}" for claim, _ in printed],
            "arithmetic": [finding.arithmetic for _, finding in printed],
            "verdict": [finding.verdict for _, finding in printed],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .cols_label(arithmetic="Printed, against the schedule", verdict="Verdict")
        .cols_align("left", ["arithmetic", "verdict"])
    )
    return tables.printable(made, "schedule", "Exposure to 177Lu-PSMA-617 against its schedule")


def signed(value: float, decimals: int = 1) -> str:
    """A number with its sign, a true minus: `+14.7`, `−0.2`, `0.0`."""
    text = as_printed(abs(float(value)), decimals)
    if not float(text):
        return text
    return ("−" if value < 0 else "+") + text


def ratio_text(ratio: float) -> str:
    """A ratio to three figures or so: `0.94`, `15.9`, `451`."""
    return as_printed(float(ratio), 2 if ratio < 10 else 1 if ratio < 100 else 0)


def _printed_rows(table: pd.DataFrame) -> Iterator[dict]:
    cells = table.set_index(["event", "arm", "grade"])["count"]
    threshold = published.printed("table2.label.occurrence")
    groups = {
        "any": "Of any kind",
        "listed": f"Kinds in {threshold}% of patients",
        "led-to": "What events led to",
    }
    for event, label in _events(table):
        kind = table.loc[table["event"] == event, "kind"].iloc[0]
        row = {"group": groups[kind], "label": _without_heading(label)}
        for arm in ARMS:
            for grade in PRINTED_GRADES:
                count = cells.get((event, arm, grade))
                row[f"{arm}.{grade}"] = _cell(count, safety.size(table, arm))
        yield row


def _without_heading(label: str) -> str:
    """The label without what the heading of its group already says."""
    rest = label.removeprefix("Led to ")
    return rest[0].upper() + rest[1:]


def _cell(count: int | None, n: int) -> str:
    """As the paper prints it: no percent with a zero."""
    if count is None:
        return NOT_APPLICABLE
    return with_percent(count, n) if count else "0"


def _events(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return table[["event", "label"]].drop_duplicates().itertuples(index=False, name=None)


def _table_notes() -> Iterator[str]:
    text = published.printed
    yield (
        "177Lu-PSMA-617: plus standard care. "
        "Patients who received any treatment, in the arm of the treatment that they received. Each patient "
        "counts once per row, at the worst grade. Events from the first dose to "
        f"{text('table2.footnote.window.duration')} days after the last dose of either treatment, or to the "
        "next anticancer treatment. NA, not applicable. "
        f"Grades: CTCAE {text('table2.footnote.ctcae.version')}; terms: MedDRA "
        f"{text('table2.footnote.meddra.version')}."
    )
    yield (
        "The control arm includes patients assigned to 177Lu-PSMA-617 who received standard care only. In "
        f"{text('table2.footnote.cycle-1.count')} of them an event during the first cycle led to "
        f"interruption ({text('table2.footnote.interruption.count')} patients) or discontinuation "
        f"({text('table2.footnote.discontinuation.count')}) of 177Lu-PSMA-617."
    )
    yield (
        f"Deaths: {text('table2.footnote.death.related')} fatal events in the 177Lu-PSMA-617 arm were judged "
        f"drug-related: pancytopenia ({text('table2.footnote.death.pancytopenia')}), bone marrow failure "
        f"({text('table2.footnote.death.bone-marrow-failure')}), subdural hematoma "
        f"({text('table2.footnote.death.subdural-hematoma')}), intracranial hemorrhage "
        f"({text('table2.footnote.death.intracranial-hemorrhage')})."
    )


def _ratio_text(row) -> str:
    if math.isnan(row.ratio):
        return NO_RATIO
    return f"{ratio_text(row.ratio)}\n({ratio_text(row.ratio_low)} to {ratio_text(row.ratio_high)})"


def _bounds_text(low: float, high: float) -> str:
    return f"{ratio_text(low)} to {ratio_text(high)}"


# --- the dot plot ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What differs between the chart on a page and the one on a phone."""

    percent_width: int
    effect_width: int
    spacing: int
    percent_step: int
    difference_step: int
    ratio_ticks: tuple[float, ...]
    difference_title: tuple[str, ...]
    ratio_title: tuple[str, ...]
    tipping_width: int
    tipping_ticks: tuple[float, ...]
    legend_columns: int
    arm_names: dict[str, str]


_WIDE = _Layout(
    percent_width=235,
    effect_width=215,
    spacing=22,
    percent_step=20,
    difference_step=10,
    ratio_ticks=(0.3, 1, 3, 10, 30, 100, 300),
    difference_title=("Difference, percentage points", "more with 177Lu →"),
    ratio_title=("Ratio of risks", "more with 177Lu →"),
    tipping_width=445,
    tipping_ticks=(0.3, 1, 3, 10, 30, 100, 300),
    legend_columns=2,
    arm_names=render.ARMS,
)
_NARROW = _Layout(
    percent_width=82,
    effect_width=86,
    spacing=10,
    percent_step=50,
    difference_step=20,
    ratio_ticks=(1, 10, 100),
    difference_title=("Difference,", "points"),
    ratio_title=("Ratio", "of risks"),
    tipping_width=188,
    tipping_ticks=(1, 10, 100),
    legend_columns=1,
    arm_names={"lu": "177Lu-PSMA-617", "control": "standard care alone"},
)
_ROW_HEIGHT = 22
_RATIO_LIMITS = (0.2, 700)
# Severe events are rare: on the scale of all grades they would all lie on the axis.
_PERCENT_LIMITS = {"all-grades": (0, 100), "grade-3": (0, 60)}
_DIFFERENCE_LIMITS = {"all-grades": (-6, 46), "grade-3": (-6, 26)}
_NEUTRAL = {"difference": 0, "ratio": 1}
"""No difference between the arms."""
_CHART_LABELS = {"Any adverse event": "Any event", "Decreased appetite": "Less appetite"}


def dot_plot(compared: pd.DataFrame, confidence_level: float, effect: str = "difference") -> render.Figure:
    """The percent of each arm with each event, and the difference (or ratio) with its interval, by grade.

    compared  `safety.comparisons(...)`
    effect    `difference` (percentage points) or `ratio`

    Rows in both grades stand in one order: any event, kinds by the difference at all grades, death.
    """
    points = _dot_points(compared)
    return render.Figure(
        name=f"adverse-events-{effect}",
        chart=_dot_chart(points, effect, confidence_level, _WIDE),
        narrow=_dot_chart(points, effect, confidence_level, _NARROW),
        description=_dots_in_words(points, effect, confidence_level),
    )


def _dot_points(compared: pd.DataFrame) -> pd.DataFrame:
    shown = compared[compared["grade"].isin(PRINTED_GRADES)].copy()
    rank = {"any": 0, "listed": 1, "led-to": 2}
    size = shown[shown["grade"] == "all-grades"].set_index("event")["difference"]
    shown = shown.assign(rank=shown["kind"].map(rank), size=-shown["event"].map(size))
    shown = shown.sort_values(["grade", "rank", "size"], kind="stable")
    numbers = [c for c in shown if c.startswith(("difference", "ratio", "percent"))]
    shown[numbers] = shown[numbers].round(4)
    shown["row"] = shown["label"].replace(_CHART_LABELS)
    for arm in ARMS:
        shown[f"patients_{arm}"] = [
            f"{with_percent(c, n)} of {n}"
            for c, n in zip(shown[f"count_{arm}"], shown[f"n_{arm}"], strict=True)
        ]
    return shown.drop(columns=["rank", "size", "kind", "event"]).reset_index(drop=True)


def _dot_chart(points: pd.DataFrame, effect: str, level: float, layout: _Layout) -> alt.ConcatChart:
    panels = []
    for grade in PRINTED_GRADES:
        rows = points[points["grade"] == grade]
        last = grade == PRINTED_GRADES[-1]
        panels.append(_percent_panel(rows, layout, titled=last))
        panels.append(_effect_panel(rows, effect, level, layout, titled=last))
    return alt.concat(*panels, columns=2, spacing={"row": 20, "column": layout.spacing})


def _percent_panel(rows: pd.DataFrame, layout: _Layout, *, titled: bool) -> alt.Chart:
    limits = _PERCENT_LIMITS[rows["grade"].iloc[0]]
    x = alt.X(
        "percent:Q",
        title="Patients, %" if titled else None,
        scale=alt.Scale(domain=list(limits), nice=False),
        axis=alt.Axis(values=_ticks(limits, layout.percent_step), labelFlush=False, grid=False),
    )
    names = list(layout.arm_names.values())
    key = alt.Legend(title=None, orient="top", columns=layout.legend_columns, offset=6)
    strokes, fills = (
        alt.Scale(domain=names, range=[render.PALETTE[c] for c in colours])
        for colours in (ARMS, _FILLS.values())
    )
    shapes = alt.Scale(domain=names, range=list(_ARM_SHAPES.values()))
    return (
        alt.Chart(_long(rows, layout.arm_names))
        .mark_point(size=55, strokeWidth=1.6, opacity=1)
        .encode(
            x=x,
            y=_rows(rows, labelled=True),
            yOffset=alt.YOffset("arm:N", sort=names),
            stroke=alt.Stroke("arm:N", scale=strokes, legend=key),
            fill=alt.Fill("arm:N", scale=fills, legend=key),
            shape=alt.Shape("arm:N", scale=shapes, legend=key),
            tooltip=[
                alt.Tooltip("label:N", title="Event"),
                alt.Tooltip("arm:N", title="Arm"),
                alt.Tooltip("patients:N", title="Patients"),
            ],
        )
        .properties(width=layout.percent_width, height=_height(rows), title=_grade_title(rows))
    )


def _grade_title(rows: pd.DataFrame) -> alt.Title:
    return alt.Title(GRADES[rows["grade"].iloc[0]], fontSize=14, offset=4, frame="group", anchor="start")


def _long(rows: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return pd.concat(
        [
            rows[["row", "label", "grade"]].assign(
                arm=names[arm], percent=rows[f"percent_{arm}"], patients=rows[f"patients_{arm}"]
            )
            for arm in ARMS
        ],
        ignore_index=True,
    )


def _height(rows: pd.DataFrame) -> int:
    return _ROW_HEIGHT * rows["row"].nunique()


def _ticks(limits: tuple[int, int], step: int) -> list[int]:
    return list(range(0, limits[1] + 1, step))


def _effect_panel(
    rows: pd.DataFrame, effect: str, level: float, layout: _Layout, *, titled: bool
) -> alt.LayerChart:
    x = _effect_axis(rows, effect, layout, titled=titled)
    base = alt.Chart(rows.dropna(subset=[effect]))
    y = _rows(rows, labelled=False)
    tooltip = [
        alt.Tooltip("label:N", title="Event"),
        alt.Tooltip(f"{effect}:Q", title=effect.capitalize(), format=".2f"),
        alt.Tooltip(f"{effect}_low:Q", title=f"{100 * level:g}% interval from", format=".2f"),
        alt.Tooltip(f"{effect}_high:Q", title="to", format=".2f"),
    ]
    line = alt.Chart(pd.DataFrame({effect: [_NEUTRAL[effect]]})).mark_rule(color=render.PALETTE["muted"])
    intervals = base.mark_rule(color=render.PALETTE["ink"], strokeWidth=1.8, clip=True).encode(
        x=x.copy(), x2=f"{effect}_high:Q", y=y, tooltip=tooltip
    )
    intervals.encoding.x.shorthand = f"{effect}_low:Q"
    dots = base.mark_point(
        filled=True, size=46, color=render.PALETTE["ink"], opacity=1, shape="square"
    ).encode(x=x, y=y, tooltip=tooltip)
    return alt.layer(line.encode(x=x), intervals, dots).properties(
        width=layout.effect_width, height=_height(rows)
    )


def _effect_axis(rows: pd.DataFrame, effect: str, layout: _Layout, *, titled: bool) -> alt.X:
    if effect == "ratio":
        ticks, title = layout.ratio_ticks, layout.ratio_title
        scale = alt.Scale(type="log", domain=list(_RATIO_LIMITS), nice=False)
    else:
        limits = _DIFFERENCE_LIMITS[rows["grade"].iloc[0]]
        ticks, title = _ticks(limits, layout.difference_step), layout.difference_title
        scale = alt.Scale(domain=list(limits), nice=False)
    axis = alt.Axis(values=list(ticks), format="~r", labelFlush=False, grid=False)
    return alt.X(f"{effect}:Q", title=list(title) if titled else None, scale=scale, axis=axis)


def _rows(rows: pd.DataFrame, *, labelled: bool) -> alt.Y:
    names = list(rows["row"].unique())
    axis = alt.Axis(domain=False, ticks=False, grid=True, labels=labelled, labelPadding=8)
    scale = alt.Scale(domain=names, paddingInner=0.3, paddingOuter=0.15, type="band")
    return alt.Y("row:N", scale=scale, title=None, axis=axis, bandPosition=0.5)


def _dots_in_words(points: pd.DataFrame, effect: str, level: float) -> str:
    sentences = [
        "Percent of patients with each adverse event in the two arms, beside the "
        f"{effect} between the arms with its {100 * level:g}% confidence interval, at all grades and at "
        "grade 3 or more."
    ]
    neutral = _NEUTRAL[effect]
    for grade in PRINTED_GRADES:
        rows = points[points["grade"] == grade].dropna(subset=[effect])
        clear = rows[rows[f"{effect}_low"] > neutral]
        widest = rows.loc[rows[effect].idxmax()]
        size = ratio_text(widest[effect]) if effect == "ratio" else f"{signed(widest[effect])} points"
        total = rows[rows["label"] == "Any adverse event"].iloc[0]
        sentences.append(
            f"{GRADES[grade]}: any event in {total['patients_lu']} with 177Lu-PSMA-617 and "
            f"{total['patients_control']} in the control arm; the whole interval lies above {neutral} in "
            f"{len(clear)} of {len(rows)} rows; the largest {effect} is {size} ({widest['label'].lower()})."
        )
    return " ".join(sentences)


# --- what time could explain ------------------------------------------------------------------


def tipping_plot(tipped: pd.DataFrame, window_days: int) -> render.Figure:
    """How much longer the 177Lu arm would have to be watched for time alone to explain each difference.

    `tipped` is `safety.tipping(...)`. The bands are the ratio of the arms' printed median times on
    standard care, as printed and with `window_days` added to both.
    """
    points = _tipping_points(tipped)
    bands = _bands(window_days)
    return render.Figure(
        name="exposure-tipping",
        chart=_tipping_chart(points, bands, _WIDE),
        narrow=_tipping_chart(points, bands, _NARROW),
        description=_tipping_in_words(points, bands, window_days),
    )


def _tipping_points(tipped: pd.DataFrame) -> pd.DataFrame:
    shown = tipped[tipped["grade"].isin(PRINTED_GRADES)].copy()
    shown = shown.sort_values(["grade", "equal"], ascending=[True, False], kind="stable")
    shown["row"] = shown["label"].replace(_CHART_LABELS)
    numbers = ["equal", "equal_low", "equal_high", "spread", "percent_lu", "percent_control"]
    shown[numbers] = shown[numbers].round(4)
    return shown.drop(columns=["event", "kind"]).reset_index(drop=True)


def _bands(window_days: int) -> pd.DataFrame:
    spans = (safety.ratio_of_medians(), safety.ratio_of_medians(window_days))
    return pd.DataFrame([_band(name, span) for name, span in zip(_BAND_COLOURS, spans, strict=True)])


def _band(name: str, span: Interval) -> dict:
    return {"band": name, "low": round(float(span.low), 4), "high": round(float(span.high), 4)}


def _tipping_chart(points: pd.DataFrame, bands: pd.DataFrame, layout: _Layout) -> alt.VConcatChart:
    blocks = [
        _tipping_block(points[points["grade"] == grade], bands, layout, titled=grade == PRINTED_GRADES[-1])
        for grade in PRINTED_GRADES
    ]
    return alt.vconcat(*blocks, spacing=20)


_BAND_COLOURS = {"as printed": "highlight", "with the window": "muted"}
_MODELS = {"equal": "everybody watched equally long", "spread": "times spread exponentially"}


def _tipping_block(
    rows: pd.DataFrame, bands: pd.DataFrame, layout: _Layout, *, titled: bool
) -> alt.LayerChart:
    scale = alt.Scale(type="log", domain=list(_RATIO_LIMITS), nice=False)
    axis = alt.Axis(values=list(layout.tipping_ticks), format="~r", labelFlush=False, grid=False)
    title = ["Ratio of times under observation", "that would explain the difference"] if titled else None
    y = _rows(rows, labelled=True)
    intervals = (
        alt.Chart(rows)
        .mark_rule(color=render.PALETTE["ink"], strokeWidth=1.8, clip=True)
        .encode(x=alt.X("equal_low:Q", scale=scale), x2="equal_high:Q", y=y)
    )
    dots = _model_dots(rows, alt.X("ratio:Q", scale=scale, axis=axis, title=title), y, layout)
    return alt.layer(*_band_layers(bands, scale), intervals, dots).properties(
        width=layout.tipping_width, height=_height(rows), title=_grade_title(rows)
    )


def _band_layers(bands: pd.DataFrame, scale: alt.Scale) -> list[alt.Chart]:
    """One rectangle per ratio of medians: as printed in colour, with the window in grey."""
    tooltip = [alt.Tooltip("band:N", title="Ratio of medians"), alt.Tooltip("low:Q"), alt.Tooltip("high:Q")]
    return [
        alt.Chart(bands[bands["band"] == name])
        .mark_rect(color=render.PALETTE[colour], opacity=0.45)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q", tooltip=tooltip)
        for name, colour in _BAND_COLOURS.items()
    ]


def _model_dots(rows: pd.DataFrame, x: alt.X, y: alt.Y, layout: _Layout) -> alt.Chart:
    names = list(_MODELS.values())
    key = alt.Legend(title=None, orient="top", columns=layout.legend_columns, offset=6)
    long = pd.concat(
        [rows[["row", "label"]].assign(model=name, ratio=rows[column]) for column, name in _MODELS.items()],
        ignore_index=True,
    )
    fills = alt.Scale(domain=names, range=[render.PALETTE["ink"], render.PALETTE["surface"]])
    strokes = alt.Scale(domain=names, range=[render.PALETTE["ink"]] * 2)
    return (
        alt.Chart(long)
        .mark_point(size=60, strokeWidth=1.6, opacity=1)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "model:N", scale=alt.Scale(domain=names, range=["circle", "diamond"]), legend=key
            ),
            fill=alt.Fill("model:N", scale=fills, legend=key),
            stroke=alt.Stroke("model:N", scale=strokes, legend=key),
            tooltip=[
                alt.Tooltip("label:N", title="Event"),
                alt.Tooltip("model:N", title="If"),
                alt.Tooltip("ratio:Q", title="Ratio of times", format=".2f"),
            ],
        )
    )


def _tipping_in_words(points: pd.DataFrame, bands: pd.DataFrame, window_days: int) -> str:
    medians, windowed = (f"{ratio_text(b.low)} to {ratio_text(b.high)}" for b in bands.itertuples())
    beyond = points[points["equal_low"] > bands.at[0, "high"]]
    clearest = points.loc[points["equal"].idxmax()]
    names = "; ".join(f"{r.label.lower()}, {GRADES[r.grade].lower()}" for r in beyond.itertuples())
    return (
        f"For each of {len(points)} comparisons, the ratio of times under observation at which a constant "
        "hazard, the same in both arms, would give the printed percents. The ratio of the median times is "
        f"{medians} ({windowed} with {window_days} days added to both). The largest ratio needed is "
        f"{ratio_text(clearest['equal'])}, for {clearest['label'].lower()}. The whole interval lies beyond "
        f"the ratio of the medians for {len(beyond)}: {names or 'none'}."
    )
