"""Objective response: shares in three sets of patients, odds ratios, bounds, and what would undo them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import altair as alt
import great_tables as gt
import pandas as pd

from visiontrial import render, response, tables
from visiontrial.figures.baseline import with_percent
from visiontrial.figures.safety import ARM_HEADINGS, ratio_text, signed
from visiontrial.printed import as_printed
from visiontrial.response import ARMS, SETS

NOT_DEFINED = "–"
UNBOUNDED = "∞"


# --- tables -------------------------------------------------------------------------------------


def proportions_table(table: pd.DataFrame, confidence_level: float) -> tables.Printable:
    """Responses with both intervals; `table` is `response.proportions(confidence_level)`."""
    frame = pd.DataFrame(
        {
            "group": table["label"],
            "label": table["arm"].map(ARM_HEADINGS),
            "patients": [f"{r.count} of {r.n}" for r in table[["count", "n"]].itertuples(name="r")],
            "percent": [as_printed(p, 1) for p in table["percent"]],
            "exact": _spans(table["exact_low"], table["exact_high"]),
            "wilson": _spans(table["wilson_low"], table["wilson_high"]),
        }
    )
    made = (
        gt.GT(frame, rowname_col="label", groupname_col="group")
        .tab_stubhead("Response, arm")
        .tab_spanner(f"{100 * confidence_level:g}% interval, %", ["exact", "wilson"])
        .cols_label(patients="Patients", percent="%", exact="Exact", wilson="Wilson")
        .cols_align("right", ["patients", "percent", "exact", "wilson"])
        .tab_source_note(
            "Patients with measurable disease at baseline. Exact: Clopper and Pearson. The intervals "
            "describe sampling error alone."
        )
    )
    return tables.printable(made, "response-proportions", "Objective response in the patients measured")


def odds_table(compared: pd.DataFrame, confidence_level: float) -> tables.Printable:
    """Odds ratios by estimator; `compared` is `response.comparisons(confidence_level)`."""
    frame = pd.DataFrame(
        {
            "group": compared["label"],
            "label": compared["rule"].map(_raised),
            "ratio": [odds_text(r) for r in compared["ratio"]],
            "limits": [
                NOT_DEFINED if math.isnan(low) else f"{odds_text(low)} to {odds_text(high)}"
                for low, high in zip(compared["low"], compared["high"], strict=True)
            ],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label", groupname_col="group")
        .tab_stubhead("Response, estimator")
        .cols_label(ratio="Odds ratio", limits=f"{100 * confidence_level:g}% interval")
        .cols_align("right", ["ratio", "limits"])
        .tab_source_note(
            f"177Lu-PSMA-617 against control, without strata. {UNBOUNDED}, no finite number; "
            f"{NOT_DEFINED}, not defined with an empty cell."
        )
    )
    return tables.printable(made, "response-odds-ratios", "Odds ratios of response, by estimator")


def added_table(ratios: Mapping[float, float]) -> tables.Printable:
    """Odds ratios by what was added to each cell of the table."""
    frame = pd.DataFrame(
        {"label": [f"{added:g}" for added in ratios], "ratio": [odds_text(r) for r in ratios.values()]}
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Added to every cell")
        .cols_label(ratio="Odds ratio")
        .cols_align("right", ["ratio"])
        .tab_source_note("Complete response, 177Lu-PSMA-617 against control, cross product.")
    )
    return tables.printable(made, "response-added", "What is added decides the odds ratio")


def tests_table(compared: pd.DataFrame) -> tables.Printable:
    """Two-sided P values of the three tests; `compared` is `response.comparisons(...)`."""
    rows = compared.drop_duplicates("kind")
    frame = pd.DataFrame({"label": rows["label"]} | {t: rows[t].map(p_text) for t in _TESTS})
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Response")
        .cols_label(**_TESTS)
        .cols_align("right", list(_TESTS))
        .tab_source_note(
            "Two-sided, without strata, not adjusted for each other. Ours: the trial's own test was "
            f"stratified. {NOT_DEFINED}, not defined with an empty cell."
        )
    )
    return tables.printable(made, "response-tests", "P values for a difference in response")


_TESTS = {"Fisher": "Fisher, exact", "Boschloo": "Boschloo, exact", "Wald": "Wald chi-square"}


def p_text(p_value: float) -> str:
    """A P value to two figures; below one in ten thousand as a power of ten."""
    if math.isnan(p_value):
        return NOT_DEFINED
    if p_value >= 0.0001:
        return as_printed(p_value, 4 if p_value < 0.01 else 3)
    digits, exponent = f"{p_value:.1e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def stages_table(stages: pd.DataFrame) -> tables.Printable:
    """Who was evaluable and who was measured, by arm; `stages` is `response.stages()`."""
    frame = pd.DataFrame(
        {
            "label": [f"{SETS[r.part]}\nof: {_lowered(SETS[r.whole])}" for r in stages.itertuples()],
            **{
                arm: [
                    f"{with_percent(part, whole)}\nof {whole}"
                    for part, whole in zip(stages[f"{arm}_part"], stages[f"{arm}_whole"], strict=True)
                ]
                for arm in ARMS
            },
            "errors": [signed(e) for e in stages["errors"]],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Patients")
        .cols_label(lu="177Lu", control="Control", errors="Standard errors\nbetween the arms")
        .cols_align("right", ["lu", "control", "errors"])
        .tab_source_note(
            "Number (percent). Evaluable: a fact from outside the paper, from the public registry. That "
            "every patient measured was also evaluable is an assumption."
        )
    )
    return tables.printable(made, "response-stages", "From randomized to measured")


_SUPPOSITIONS = {
    "as measured": "The patients measured stand for all",
    "none": "Nobody else responded",
    "always": "Only those who would be measured in either arm",
    "anything": "The others: anything",
}


def bounds_table(bounds: pd.DataFrame) -> tables.Printable:
    """What is supposed of the patients not measured, and what follows; `bounds` is `response.bounds(...)`."""
    frame = pd.DataFrame(
        {"label": [_SUPPOSITIONS[name] for name in bounds.index]}
        | {arm: _spans(bounds[f"{arm}_low"], bounds[f"{arm}_high"]) for arm in ARMS}
        | {"difference": _spans(bounds["difference_low"], bounds["difference_high"], signed)}
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Suppose")
        .cols_label(lu="177Lu, %", control="Control, %", difference="Difference\npercentage points")
        .cols_align("right", [*ARMS, "difference"])
        .tab_source_note(
            "Bounds of identification: any value between them agrees with the printed counts. They hold no "
            "sampling error and are no confidence intervals."
        )
    )
    return tables.printable(made, "response-bounds", "Complete or partial response, under four suppositions")


def decisions_table(decided: pd.DataFrame, missing: str) -> tables.Printable:
    """Hochberg's decisions for every value of the P value of `missing`; `decided` from `design.whatever`."""
    rows = decided.loc["Hochberg"]
    frame = pd.DataFrame(
        {
            "label": [_raised(name) for name in rows.index],
            "decision": [_decision(row, name == missing) for name, row in rows.iterrows()],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("End point")
        .cols_label(decision=f"Significant, by Hochberg, when the P value of {missing} is")
        .cols_align("left", ["decision"])
    )
    slug = missing.replace(" ", "-")
    return tables.printable(made, f"whatever-{slug}", f"Decisions for every P value of {missing}")


def _decision(row: pd.Series, own: bool) -> str:
    if row["always"]:
        return "anything"
    if math.isnan(row["up_to"]):
        return "nothing: never significant"
    return f"at most {row['up_to']:g}{' (its own)' if own else ''}"


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def _raised(text: str) -> str:
    return text[0].upper() + text[1:]


def _spans(lows: pd.Series, highs: pd.Series, text=lambda value: as_printed(value, 1)) -> list[str]:
    pairs = ((text(low), text(high)) for low, high in zip(lows, highs, strict=True))
    return [low if low == high else f"{low} to {high}" for low, high in pairs]


def odds_text(ratio: float) -> str:
    """An odds ratio to three figures or so; infinite where one group had nobody."""
    return UNBOUNDED if math.isinf(ratio) else ratio_text(ratio)


# --- the shares in three sets -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What differs between the chart on a page and the one on a phone."""

    width: int
    arm_names: dict[str, str]
    percent_step: int
    map_width: int
    map_height: int
    columns: int


_WIDE = _Layout(400, ARM_HEADINGS, 10, 520, 330, 2)
_NARROW = _Layout(180, {"lu": "177Lu", "control": "Control"}, 20, 238, 220, 1)
_BAR_STEP = 30
_PERCENTS = (0, 70)
_PARTS = {"complete": "Complete response", "partial": "Partial response"}
_OPACITIES = {"complete": 1.0, "partial": 0.45}


def shares(table: pd.DataFrame, confidence_level: float) -> render.Figure:
    """The printed responders over three sets of patients; `table` is `response.by_set(confidence_level)`."""
    return render.Figure(
        name="response-by-set",
        chart=_shares_chart(table, confidence_level, _WIDE),
        narrow=_shares_chart(table, confidence_level, _NARROW),
        description=_shares_in_words(table, confidence_level),
    )


def _shares_chart(table: pd.DataFrame, level: float, layout: _Layout) -> alt.VConcatChart:
    names = list(SETS)
    panels = [
        _shares_panel(table[table["set"] == name], level, layout, last=name == names[-1]) for name in names
    ]
    return alt.vconcat(*panels, spacing=14)


def _shares_panel(rows: pd.DataFrame, level: float, layout: _Layout, *, last: bool) -> alt.LayerChart:
    rows = rows.assign(
        row=[
            f"{layout.arm_names[r.arm]}, {r.count} of {r.n}"
            for r in rows[["arm", "count", "n"]].itertuples(name="r")
        ],
        text=[f"{as_printed(p, 1)}%" for p in rows["percent"]],
        low=rows["exact_low"].round(4),
        high=rows["exact_high"].round(4),
        percent=rows["percent"].round(4),
    )
    ticks = list(range(0, _PERCENTS[1] + 1, layout.percent_step))
    axis = alt.Axis(values=ticks, labels=last, ticks=last, domain=last, grid=True)
    scale = alt.Scale(domain=list(_PERCENTS), nice=False)
    x = alt.X("from:Q", scale=scale, axis=axis, title="Patients with a response, %" if last else None)
    y = alt.Y(
        "row:N", sort=list(rows["row"]), title=None, axis=alt.Axis(domain=False, ticks=False, labelPadding=8)
    )
    key = alt.Legend(
        title=None, orient="top", columns=layout.columns, offset=6, symbolFillColor=render.PALETTE["ink"],
        symbolType="square", symbolStrokeWidth=0, symbolStrokeColor=render.PALETTE["ink"],
    )  # fmt: skip
    bars = (
        alt.Chart(_parts(rows))
        .mark_bar(height=18)
        .encode(
            x=x,
            x2="to:Q",
            y=y,
            color=alt.Color("arm:N", scale=render.arm_colours(), legend=None),
            opacity=alt.Opacity(
                "kind:O",
                scale=alt.Scale(domain=list(_PARTS.values()), range=list(_OPACITIES.values())),
                legend=key,
            ),
            tooltip=[
                alt.Tooltip("kind:N", title="Response"),
                alt.Tooltip("patients:Q", title="Patients"),
                alt.Tooltip("n:Q", title="of"),
            ],
        )
    )
    base = alt.Chart(rows.drop(columns=["complete", "partial"]))
    whiskers = base.mark_rule(color=render.PALETTE["ink"], strokeWidth=1.8).encode(
        x=alt.X("low:Q", scale=scale),
        x2="high:Q",
        y=y,
        tooltip=[
            alt.Tooltip("percent:Q", title="Response, %", format=".1f"),
            alt.Tooltip("low:Q", title=f"{100 * level:g}% exact interval from", format=".1f"),
            alt.Tooltip("high:Q", title="to", format=".1f"),
        ],
    )
    labels = base.mark_text(align="left", dx=6, fontSize=13, color=render.PALETTE["ink"]).encode(
        x=alt.X("high:Q", scale=scale), y=y, text="text:N"
    )
    return alt.layer(bars, whiskers, labels).properties(
        width=layout.width,
        height=_BAR_STEP * len(rows),
        title=alt.Title(rows["label"].iloc[0], fontSize=14, offset=4, frame="group", anchor="start"),
    )


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per bar: a kind of response in an arm, complete responses first."""
    lines = []
    for row in rows.to_dict("records"):
        start = 0
        for kind, name in _PARTS.items():
            end = start + row[kind]
            ends = {"from": round(100 * start / row["n"], 4), "to": round(100 * end / row["n"], 4)}
            lines.append(
                {"row": row["row"], "arm": row["arm"], "kind": name, "patients": row[kind], "n": row["n"]}
                | ends
            )
            start = end
    return pd.DataFrame(lines)


_IN_WORDS = {"lu": "with 177Lu-PSMA-617", "control": "in the control arm"}


def _shares_in_words(table: pd.DataFrame, level: float) -> str:
    sentences = [
        "Bars of the percent of patients with a complete or a partial response, in both arms, over three "
        f"sets of patients, with {100 * level:g}% exact intervals. The responders are the same in all sets."
    ]
    for name, rows in table.groupby("set", sort=False):
        arms = [
            f"{r.count} of {r.n} ({as_printed(r.percent, 1)}%, interval {as_printed(r.exact_low, 1)} to "
            f"{as_printed(r.exact_high, 1)}%) {_IN_WORDS[r.arm]}"
            for r in rows[["arm", "count", "n", "percent", "exact_low", "exact_high"]].itertuples(name="r")
        ]
        sentences.append(f"{SETS[name]}: {' and '.join(arms)}.")
    complete = table.drop_duplicates("arm").set_index("arm")["complete"]
    parts = " and ".join(f"{complete[arm]} {_IN_WORDS[arm]}" for arm in ARMS)
    return " ".join([*sentences, f"Complete responses: {parts}."])


# --- what would undo the difference -----------------------------------------------------------------


def tipping_map(
    tipped: pd.DataFrame, table: response.Cells, whole: Mapping[str, int], alpha: float
) -> render.Figure:
    """Responders among the patients not measured, in both arms, and what they would do to the difference.

    `tipped` is `response.tipping(table, whole, alpha)`.
    """
    points = _suppositions(table, whole)
    spare = response.others(table, whole)
    return render.Figure(
        name="response-tipping",
        chart=_map_chart(tipped, points, spare, _WIDE),
        narrow=_map_chart(tipped, points, spare, _NARROW),
        description=_map_in_words(tipped, points, spare, alpha),
    )


def _suppositions(table: response.Cells, whole: Mapping[str, int]) -> pd.DataFrame:
    spare = response.others(table, whole)
    share = {arm: getattr(table, f"events_{arm}") / getattr(table, f"n_{arm}") for arm in ARMS}
    rows = [
        ("Nobody else responded", 0, 0),
        (
            "Like those measured in their own arm",
            spare["lu"] * share["lu"],
            spare["control"] * share["control"],
        ),
        ("All like those measured with 177Lu", spare["lu"] * share["lu"], spare["control"] * share["lu"]),
    ]
    points = pd.DataFrame(rows, columns=["supposition", "lu", "control"])
    points["rate_lu"] = 100 * (table.events_lu + points["lu"]) / whole["lu"]
    points["rate_control"] = 100 * (table.events_control + points["control"]) / whole["control"]
    return points.round(2)


_SHAPES = {0: "circle", 1: "square", 2: "diamond"}


def _map_chart(
    tipped: pd.DataFrame, points: pd.DataFrame, spare: Mapping[str, int], layout: _Layout
) -> alt.LayerChart:
    x = _map_axis("lu", spare["lu"], alt.X, ["Responders among the others", "177Lu-PSMA-617"])
    y = _map_axis("control", spare["control"], alt.Y, ["Responders among the others", "standard care alone"])
    lines = tipped.assign(top=spare["control"], equal=tipped["equal"].clip(upper=spare["control"]).round(2))
    regions = alt.Chart(lines)
    return alt.layer(
        _region(regions, x, y, "lost", "top", "muted", 0.22),
        _region(regions, x, y, "zero", "lost", "lu", 0.16),
        _beyond(lines, x, y, spare),
        regions.mark_line(color=render.PALETTE["ink"], strokeWidth=2).encode(x=x, y=_named(y, "lost")),
        regions.transform_filter(f"datum.equal < {spare['control']}")
        .mark_line(color=render.PALETTE["ink"], strokeWidth=1.6, strokeDash=[5, 4])
        .encode(x=x, y=_named(y, "equal")),
        _map_names(spare, x, y),
        _map_points(points, x, y),
    ).properties(width=layout.map_width, height=layout.map_height)


def _map_axis(field: str, most: int, channel: type, title: list[str]):
    step = 50 if most > 150 else 25
    axis = alt.Axis(values=list(range(0, most + 1, step)), grid=False)
    return channel(f"{field}:Q", scale=alt.Scale(domain=[0, most], nice=False), axis=axis, title=title)


def _named(channel, field: str):
    other = channel.copy()
    other.shorthand = f"{field}:Q"
    return other


def _region(base: alt.Chart, x, y, low: str, high: str, colour: str, opacity: float) -> alt.Chart:
    return (
        base.transform_calculate(zero="0")
        .mark_area(color=render.PALETTE[colour], opacity=opacity, line=False)
        .encode(x=x, y=_named(y, low), y2=f"{high}:Q")
    )


def _beyond(lines: pd.DataFrame, x, y, spare: Mapping[str, int]) -> alt.Chart:
    """Where no number of responders in the control arm undoes the difference."""
    rest = pd.DataFrame(
        [{"lu": int(lines["lu"].max()), "end": spare["lu"], "control": 0, "top": spare["control"]}]
    )
    return (
        alt.Chart(rest)
        .mark_rect(color=render.PALETTE["lu"], opacity=0.16)
        .encode(x=x, x2="end:Q", y=y, y2="top:Q")
    )


def _map_names(spare: Mapping[str, int], x, y) -> alt.LayerChart:
    """What the regions mean, written on them."""
    names = [
        (0.03, 0.93, "left", "no significant excess"),
        (0.97, 0.17, "right", "significant excess with 177Lu"),
    ]
    return alt.layer(
        *(
            alt.Chart(
                pd.DataFrame([{"lu": spare["lu"] * right, "control": spare["control"] * up, "name": name}])
            )
            .mark_text(align=align, fontSize=13, color=render.PALETTE["ink"])
            .encode(x=x, y=y, text="name:N")
            for right, up, align, name in names
        )
    )


def _map_points(points: pd.DataFrame, x, y) -> alt.Chart:
    names = list(points["supposition"])
    colours = alt.Scale(domain=names, range=[render.PALETTE[c] for c in ("ink", "highlight", "control")])
    return (
        alt.Chart(points)
        .mark_point(filled=True, size=120, opacity=1, clip=False)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "supposition:N",
                scale=alt.Scale(domain=names, range=list(_SHAPES.values())),
                legend=alt.Legend(
                    title="The others responded", orient="top", columns=1, offset=8, titleFontSize=13
                ),
            ),
            color=alt.Color("supposition:N", scale=colours),
            tooltip=[
                alt.Tooltip("supposition:N", title="The others"),
                alt.Tooltip("rate_lu:Q", title="177Lu, % of all", format=".1f"),
                alt.Tooltip("rate_control:Q", title="Control, % of all", format=".1f"),
            ],
        )
    )


def _map_in_words(tipped: pd.DataFrame, points: pd.DataFrame, spare: Mapping[str, int], alpha: float) -> str:
    first = tipped.iloc[0]
    sentences = [
        f"A map over the patients who were not measured, {spare['lu']} with 177Lu-PSMA-617 and "
        f"{spare['control']} in the control arm: how many of them responded, in either arm. If none with "
        f"177Lu-PSMA-617 did, {first['lost']:.0f} of the control arm would be needed for Fisher's P value to "
        f"exceed {alpha:g}, and {math.ceil(first['equal'])} for both arms to respond alike."
    ]
    for point in points.itertuples():
        sentences.append(
            f"{point.supposition}: {as_printed(point.rate_lu, 1)}% of all with 177Lu-PSMA-617 against "
            f"{as_printed(point.rate_control, 1)}%."
        )
    return " ".join(sentences)
