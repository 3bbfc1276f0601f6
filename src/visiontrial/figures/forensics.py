"""The chapter "What the numbers say about each other": its findings as a table, and its charts."""

from __future__ import annotations

import html
from functools import partial

import altair as alt
import great_tables as gt
import pandas as pd

from visiontrial import forensics, tables
from visiontrial.figures.overview import LOCATIONS
from visiontrial.forensics import CHANCE_LIMIT, Comparison, Finding, Numbers, Shape
from visiontrial.render import PALETTE, Figure

END_POINTS = {
    "pfs": "imaging-based progression-free survival",
    "os": "overall survival",
    "sse": "first symptomatic skeletal event or death",
}
CONSEQUENCES = {
    3: "touches a primary result",
    2: "touches how a result is read",
    1: "touches a wording or a definition",
}
_SHORT = {
    "Previous taxane therapy: one regimen": "one taxane regimen",
    "Previous taxane therapy: two regimens": "two taxane regimens",
    "measurable target lesions at baseline": "measurable disease",
}
"""Labels that would not fit beside a point."""


# --- the findings ----------------------------------------------------------------------------


class FindingsTable:
    """Findings to be read: what it means, the arithmetic, the innocent reading; cards on a phone."""

    def __init__(self, found: tuple[Finding, ...], caption: str):
        self.caption = caption
        self.rows = forensics.table(found)

    def __repr__(self) -> str:
        lines = [
            f"- {r.meaning}\n    arithmetic: {r.arithmetic}\n    innocent reading: {r.innocent}"
            for r in self.rows.itertuples()
        ]
        return "\n".join([self.caption, *lines])

    def _repr_html_(self) -> str:
        name = html.escape(self.caption, quote=True)
        bodies = "".join(
            _group(CONSEQUENCES[level], rows) for level, rows in self.rows.groupby("consequence", sort=False)
        )
        return (
            f"<div class='table-scroll' id='table-findings' tabindex='0' role='region' aria-label='{name}'>"
            f"<style>{_FINDINGS_STYLE}</style><table role='table'>"
            f"<caption>{html.escape(self.caption)}</caption>"
            "<thead role='rowgroup'><tr role='row'><th role='columnheader' scope='col'>What it means</th>"
            "<th role='columnheader' scope='col'>Arithmetic</th>"
            f"<th role='columnheader' scope='col'>Innocent reading</th></tr></thead>{bodies}</table></div>"
        )


def odd_findings(found: tuple[Finding, ...]) -> FindingsTable:
    """Everything that is not consistent, the most consequential first."""
    odd = tuple(f for f in found if f.verdict != "consistent")
    return FindingsTable(odd, "What is odd among the printed numbers, by consequence")


def _group(heading: str, rows: pd.DataFrame) -> str:
    head = (
        f"<tr role='row'><th role='rowheader' scope='rowgroup' colspan='3'>{html.escape(heading)}</th></tr>"
    )
    return f"<tbody role='rowgroup'>{head}{''.join(_card(row) for row in rows.itertuples())}</tbody>"


def _card(row) -> str:
    cells = (("Arithmetic", row.arithmetic), ("Innocent reading", row.innocent))
    return (
        f"<tr role='row' class='verdict-{row.verdict}'><th role='rowheader' scope='row'>"
        f"{html.escape(row.meaning)}</th>"
        + "".join(f"<td role='cell' data-label='{label}'>{html.escape(text)}</td>" for label, text in cells)
        + "</tr>"
    )


_INK = "var(--chart-ink, var(--jp-content-font-color1, #1b2530))"
_MUTED = "var(--chart-muted, var(--jp-content-font-color2, #55606d))"
_LINE = "var(--chart-grid, var(--jp-border-color2, #dde2e8))"
_SCOPE = "#table-findings"
_FINDINGS_STYLE = (
    f"{_SCOPE}{{max-width:100%;overflow-x:auto}}"
    f"{_SCOPE} table{{border-collapse:collapse;width:100%;margin:0;color:{_INK};background:none;"
    f"font-size:.9rem;line-height:1.45;border-block:2px solid {_INK}}}"
    f"{_SCOPE} caption{{caption-side:top;text-align:left;font-weight:600;padding:0 0 .5rem}}"
    f"{_SCOPE} :is(th,td){{text-align:left;vertical-align:top;padding:.55rem .9rem .55rem 0;border:0;"
    "font-weight:400;white-space:normal;background:none}"
    f"{_SCOPE} thead th{{font-weight:600;border-bottom:1px solid {_MUTED}}}"
    f"{_SCOPE} tbody tr>*{{border-bottom:1px solid {_LINE}}}"
    f"{_SCOPE} th[scope=row]{{width:38%}}{_SCOPE} td{{width:31%}}"
    f"{_SCOPE} th[scope=rowgroup]{{color:{_MUTED};font-weight:600;padding-top:1rem}}"
    f"@media (max-width:40rem){{{_SCOPE} thead{{position:absolute;clip-path:inset(50%);width:1px;height:1px;"
    "overflow:hidden}"
    f"{_SCOPE} :is(table,tbody,tr,th,td){{display:block;width:auto}}"
    f"{_SCOPE} caption{{display:block}}"
    f"{_SCOPE} tbody tr>*{{border:0;padding:.15rem 0}}"
    f"{_SCOPE} tbody tr{{border-bottom:1px solid {_LINE};padding:.6rem 0}}"
    f"{_SCOPE} :is(th[scope=row],td){{width:auto}}{_SCOPE} th[scope=row]{{font-weight:600}}"
    f"{_SCOPE} td::before{{content:attr(data-label);display:block;color:{_MUTED};font-size:.8rem}}}}"
    f"@media print{{{_SCOPE} tr{{break-inside:avoid}}}}"
)


def tally_table(found: tuple[Finding, ...]) -> tables.Printable:
    """How many comparisons each rule made, and what came of them."""
    counts = forensics.tally(found).drop(columns="rule")
    total = counts.drop(columns="title").sum().to_dict() | {"title": "all rules"}
    rows = pd.concat([counts, pd.DataFrame([total])], ignore_index=True)
    shown = gt.GT(rows, rowname_col="title").cols_label(
        comparisons="comparisons", consistent="consistent", odd="odd", inconsistent="inconsistent"
    )
    return tables.printable(
        shown.tab_stubhead("what was held against what"),
        "tally",
        "Comparisons by rule, and their verdicts",
    )


def unprotected_table(rows: pd.DataFrame) -> tables.Printable:
    """The claims that no identity and no repeat touches, by kind, with what at least compares them."""
    shown = rows.sort_values(["kind"], kind="stable").assign(
        printed=rows["printed"] + (" " + rows["unit"]).str.rstrip(),
        compared=rows["compared"].replace("", "nothing"),
    )
    table = (
        gt.GT(
            shown[["claim_id", "kind", "printed", "compared"]], rowname_col="claim_id", groupname_col="kind"
        )
        .cols_label(printed="printed", compared="compared by")
        .cols_align("left", ["printed", "compared"])
        .tab_stubhead("claim")
    )
    return tables.printable(table, "unprotected", "The numbers that no identity and no repeat touches")


# --- what is tied to what ----------------------------------------------------------------------


def ties(numbers: Numbers) -> Figure:
    """Relations between the parts of the paper: a square for each pair of parts."""
    rows = ties_rows(numbers)
    draw = partial(_ties_chart, rows)
    return Figure(
        "ties",
        draw(cell=58, label_angle=0),
        _ties_description(rows),
        narrow=draw(cell=29, label_angle=-90),
    )


def ties_rows(numbers: Numbers) -> pd.DataFrame:
    """One row per tied pair of parts: `row`, `column`, the counts by kind, `relations`, `strength`."""
    found = forensics.ties(numbers)
    kinds = ["equations", "orders", "repeats"]
    total = found[kinds].sum(axis=1)
    return found.assign(
        column=found["one"].map(LOCATIONS),
        row=found["other"].map(LOCATIONS),
        relations=total,
        strength=0.12 + 0.88 * (total / total.max()) ** 0.5,
    )[["row", "column", *kinds, "relations", "strength"]]


def _ties_chart(rows: pd.DataFrame, *, cell: int, label_angle: int):
    order = list(LOCATIONS.values())
    plain = {"ticks": False, "domain": False, "labelPadding": 6}
    base = alt.Chart(rows).encode(
        x=alt.X(
            "column:N",
            title=None,
            scale=alt.Scale(domain=order),
            axis=alt.Axis(
                **plain,
                labelAngle=label_angle,
                labelAlign="center" if label_angle == 0 else "right",
                labelBaseline="top" if label_angle == 0 else "middle",
                labelFontSize=12 if cell > 40 else 13,
            ),
        ),
        y=alt.Y("row:N", title=None, scale=alt.Scale(domain=order), axis=alt.Axis(**plain)),
        tooltip=[
            alt.Tooltip("column:N", title="one part"),
            alt.Tooltip("row:N", title="the other"),
            alt.Tooltip("equations:Q"),
            alt.Tooltip("orders:Q"),
            alt.Tooltip("repeats:Q"),
        ],
    )
    squares = base.mark_rect(
        color=PALETTE["recomputed"], stroke=PALETTE["surface"], strokeWidth=2, cornerRadius=3
    )
    light, dark = alt.datum.strength <= 0.5, alt.datum.strength > 0.5
    label = base.mark_text(fontSize=13 if cell > 40 else 12).encode(text="relations:Q")
    return alt.layer(
        squares.encode(opacity=alt.Opacity("strength:Q", scale=None, legend=None)),
        label.transform_filter(light),
        label.transform_filter(dark).mark_text(
            color=PALETTE["surface"], fontWeight="bold", fontSize=13 if cell > 40 else 12
        ),
    ).properties(width=alt.Step(cell), height=alt.Step(min(cell, 34)))


def _ties_description(rows: pd.DataFrame) -> str:
    own = rows[rows["row"] == rows["column"]]
    across = rows[rows["row"] != rows["column"]]
    within = ", ".join(f"{r.row} {r.relations}" for r in own.itertuples())
    between = ", ".join(f"{r.column} and {r.row} {r.relations}" for r in across.itertuples())
    return (
        f"Relations within a part of the paper: {within}. Between two parts: {between}. "
        "Pairs of parts that are not named are tied by nothing."
    )


# --- interval width against events ---------------------------------------------------------------


def interval_width(stem: str, counted: tuple[str, str], planned: str, numbers: Numbers) -> Figure:
    """The least standard error that so many events allow, against what the printed interval allows.

    `stem` names the hazard ratio, `counted` the claims of the events counted in each arm
    (177Lu-PSMA-617, control), `planned` the claim of the planned total.
    """
    d1, d0 = (int(numbers.number(i)) for i in counted)
    limits = forensics.standard_error(stem, numbers)
    points = width_points(stem, (d1, d0), int(numbers.number(planned)), numbers)
    curve = width_curve((d1, d0), int(points["events"].max()) + 10)
    draw = partial(_width_chart, points, curve, limits)
    return Figure(
        f"interval-width-{stem}",
        draw(width=540),
        _width_description(points, limits),
        narrow=draw(width=244),
    )


def width_points(stem: str, counted: tuple[int, int], planned: int, numbers: Numbers) -> pd.DataFrame:
    """The counted, the fewest possible and the planned events: `label`, `events`, `error`, `allowed`."""
    sizes = tuple(int(numbers.number(f"randomized.{arm}.count")) for arm in forensics.ARMS)
    fewest = forensics.fewest_events(stem, counted, sizes, numbers)
    widest = forensics.standard_error(stem, numbers)[1]
    totals = {"counted in Figure 1": sum(counted), "fewest possible": fewest, "planned": planned}
    rows = [
        {"label": label, "events": total, "error": forensics.least_at(total, counted)}
        for label, total in totals.items()
        if total is not None
    ]
    return pd.DataFrame(rows).assign(allowed=lambda t: t["error"] <= widest)


def width_curve(counted: tuple[int, int], most: int) -> pd.DataFrame:
    """The least standard error for every total from the counted one up: `events`, `error`."""
    totals = range(sum(counted), most + 1)
    return pd.DataFrame({"events": totals, "error": [forensics.least_at(n, counted) for n in totals]})


def _width_chart(points: pd.DataFrame, curve: pd.DataFrame, limits: tuple[float, float], *, width: int):
    low, high = int(curve["events"].min()) - 4, int(curve["events"].max())
    bottom = float(curve["error"].min()) - 0.0004
    along = alt.Scale(domain=[low, high], nice=False, zero=False)
    x = alt.X(
        "events:Q",
        title="deaths in the analysis, both arms",
        scale=along,
        axis=alt.Axis(tickCount=5, grid=False),
    )
    scale = alt.Scale(domain=[bottom, float(curve["error"].max()) + 0.0004], nice=False, zero=False)
    y = alt.Y(
        "error:Q",
        title="standard error of the log hazard ratio",
        scale=scale,
        axis=alt.Axis(format=".4f", tickCount=5, grid=False),
    )
    band = pd.DataFrame([{"from": max(limits[0], bottom), "error": limits[1], "left": low, "right": high}])
    allowed = (
        alt.Chart(band)
        .mark_rect(color=PALETTE["compatible"], opacity=0.18)
        .encode(x=alt.X("left:Q", scale=along), x2="right:Q", y=alt.Y("from:Q", scale=scale), y2="error:Q")
    )
    edge = alt.Chart(band).mark_rule(color=PALETTE["compatible"], strokeWidth=1.5).encode(y=y)
    words = (
        alt.Chart(band)
        .mark_text(
            align="left", baseline="bottom", dx=8, dy=-8, color=PALETTE["compatible"], fontWeight="bold"
        )
        .encode(
            x=alt.X("left:Q", scale=along),
            y=alt.Y("from:Q", scale=scale),
            text=alt.value("allowed by the printed interval"),
        )
    )
    line = alt.Chart(curve).mark_line(color=PALETTE["ink"], strokeWidth=2).encode(x=x, y=y)
    base = alt.Chart(points).transform_calculate(words="datum.events + ' ' + datum.label")
    dots = base.mark_point(filled=True, size=120, opacity=1).encode(
        x=x,
        y=y,
        color=alt.condition("datum.allowed", alt.value(PALETTE["ink"]), alt.value(PALETTE["highlight"])),
        shape=alt.condition("datum.allowed", alt.value("circle"), alt.value("diamond")),
        tooltip=["label:N", "events:Q", alt.Tooltip("error:Q", format=".4f", title="least standard error")],
    )
    names = base.mark_text(align="left", dx=24, dy=3).encode(x=x, y=y, text="words:N")
    return alt.layer(allowed, edge, words, line, dots, names).properties(width=width, height=260)


def _width_description(points: pd.DataFrame, limits: tuple[float, float]) -> str:
    sentences = [
        f"The printed interval allows a standard error of {limits[0]:.4f} to {limits[1]:.4f}.",
        *(
            f"With {p.events} deaths ({p.label}) the standard error is at least {p.error:.4f}: "
            + ("allowed." if p.allowed else "too wide for the printed interval.")
            for p in points.itertuples()
        ),
    ]
    return " ".join(sentences)


# --- comparisons against chance -------------------------------------------------------------------

_ROWS = {
    ("arms", "all patients"): "arms, all patients",
    ("arms", "the later patients"): "arms, later patients",
    ("periods", "177Lu-PSMA-617"): "periods, 177Lu-PSMA-617",
    ("periods", "control"): "periods, control",
}


def comparisons(found: tuple[Comparison, ...]) -> Figure:
    """Every comparison of shares at baseline: how many standard errors apart, with what is odd named."""
    rows = comparison_rows(found)
    draw = partial(_comparisons_chart, rows)
    return Figure(
        "comparisons",
        draw(width=560),
        _comparisons_description(rows),
        narrow=draw(width=304),
    )


def comparison_rows(found: tuple[Comparison, ...]) -> pd.DataFrame:
    """One row per comparison: `row`, `label`, `one`, `other`, `errors`, `odd`, `place` and `y`.

    `place` is the row's number, `y` where the point lies so that points do not overlap.
    """
    order = list(_ROWS.values())
    rows = pd.DataFrame(
        [
            {
                "row": _ROWS[c.rule, c.group],
                "label": _SHORT.get(c.label, c.label),
                "one": f"{c.one.part:g} of {c.one.whole:g}",
                "other": f"{c.other.part:g} of {c.other.whole:g}",
                "errors": abs(c.errors),
                "odd": abs(c.errors) > CHANCE_LIMIT,
            }
            for c in found
        ]
    )
    rows = rows.assign(place=rows["row"].map(order.index)).sort_values(["place", "errors"], ignore_index=True)
    bins = rows.groupby(["row", (rows["errors"] / _POINT_WIDTH).astype(int)])["errors"]
    return rows.assign(y=rows["place"] + (bins.cumcount() - (bins.transform("size") - 1) / 2) * _POINT_HEIGHT)


_POINT_WIDTH, _POINT_HEIGHT = 0.12, 0.11
"""The room of a point, in standard errors and in rows."""


def _comparisons_chart(rows: pd.DataFrame, *, width: int):
    most = max(4.6, float(rows["errors"].max()) + 0.5)
    along = alt.Scale(domain=[0, most], nice=False)
    across = alt.Scale(domain=[-0.62, len(_ROWS) - 0.55], reverse=True, nice=False, zero=False)
    x = alt.X(
        "errors:Q",
        title="standard errors apart",
        scale=along,
        axis=alt.Axis(values=list(range(int(most) + 1)), format="d", grid=False),
    )
    y = alt.Y("y:Q", axis=None, scale=across)
    heads = rows.drop_duplicates("place")[["row", "place"]].assign(
        top=lambda t: t["place"] - 0.1, foot=lambda t: t["place"] + 0.1, limit=CHANCE_LIMIT
    )
    limit = (
        alt.Chart(heads)
        .mark_rule(strokeDash=[4, 3])
        .encode(x=alt.X("limit:Q", scale=along), y=alt.Y("top:Q", scale=across, axis=None), y2="foot:Q")
    )
    names = (
        alt.Chart(heads)
        .mark_text(align="left", dy=-34, fontWeight="bold")
        .encode(x=alt.value(0), y=alt.Y("place:Q", scale=across, axis=None), text="row:N")
    )
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.condition("datum.odd", alt.value(PALETTE["highlight"]), alt.value(PALETTE["all"])),
            shape=alt.condition("datum.odd", alt.value("diamond"), alt.value("circle")),
            size=alt.condition("datum.odd", alt.value(110), alt.value(50)),
            tooltip=[
                alt.Tooltip("label:N", title="what"),
                alt.Tooltip("one:N"),
                alt.Tooltip("other:N"),
                alt.Tooltip("errors:Q", format=".1f", title="standard errors apart"),
            ],
        )
    )
    odd = rows[rows["odd"]]
    odd = odd.assign(above=odd.groupby("row")["errors"].rank(ascending=False) == 1)
    words = [
        alt.Chart(odd[odd["above"] == above])
        .mark_text(align="right", dx=8, dy=-16 if above else 18, color=PALETTE["highlight"])
        .encode(x=x, y=y, text="label:N")
        for above in (True, False)
    ]
    return alt.layer(limit, names, dots, *words).properties(width=width, height=92 * len(_ROWS))


def _comparisons_description(rows: pd.DataFrame) -> str:
    sentences = [
        f"{len(rows)} comparisons of shares, each as the number of standard errors between two groups. "
        f"Beyond {CHANCE_LIMIT:g} lie {int(rows['odd'].sum())}."
    ]
    for row, part in rows.groupby("row", sort=False):
        odd = "; ".join(
            f"{r.label} ({r.one} against {r.other}) {r.errors:.1f}" for r in part[part["odd"]].itertuples()
        )
        most = part[~part["odd"]]["errors"].max()
        sentences.append(
            f"{row[0].upper()}{row[1:]}: {odd + '; the others' if odd else 'all'} at most {most:.1f}."
        )
    return " ".join(sentences)


# --- medians against hazard ratio --------------------------------------------------------------------


def shapes(found: tuple[Shape, ...]) -> Figure:
    """Which Weibull shape reconciles each end point's medians with its hazard ratio."""
    rows = shape_rows(found)
    draw = partial(_shapes_chart, rows)
    return Figure("shapes", draw(width=560), _shapes_description(rows), narrow=draw(width=300))


def shape_rows(found: tuple[Shape, ...]) -> pd.DataFrame:
    """One row per end point: its name, the shapes that rounding allows, and those that chance allows."""
    return pd.DataFrame(
        [
            {
                "end_point": END_POINTS[shape.claim_ids[0].removesuffix(".hr")],
                "low": shape.low,
                "high": shape.high,
                "chance_low": shape.low - shape.reach,
                "chance_high": shape.high + shape.reach,
                "errors": shape.errors,
            }
            for shape in found
        ]
    )


def _shapes_chart(rows: pd.DataFrame, *, width: int):
    scale = alt.Scale(domain=[0, float(rows["chance_high"].max()) + 0.2], nice=False)
    across = alt.Scale(domain=[-0.7, len(rows) - 0.6], reverse=True, nice=False, zero=False)
    rows = rows.assign(one=1, place=range(len(rows)))
    rows = rows.assign(top=rows["place"] - 0.22, foot=rows["place"] + 0.22)
    y = alt.Y("place:Q", axis=None, scale=across)
    base = alt.Chart(rows)
    tooltip = [
        alt.Tooltip("end_point:N", title="end point"),
        alt.Tooltip("low:Q", format=".2f", title="shape from"),
        alt.Tooltip("high:Q", format=".2f", title="to"),
        alt.Tooltip("errors:N", title="standard errors from constant hazard"),
    ]
    title = ["Weibull shape that reconciles", "medians and hazard ratio (1: constant hazard)"]
    return alt.layer(
        base.mark_rule(strokeDash=[4, 3]).encode(
            x=alt.X("one:Q", scale=scale), y=alt.Y("top:Q", axis=None, scale=across), y2="foot:Q"
        ),
        base.mark_rule(strokeWidth=2, color=PALETTE["muted"]).encode(
            x=alt.X("chance_low:Q", scale=scale), x2="chance_high:Q", y=y
        ),
        base.mark_bar(height=14, color=PALETTE["lu"]).encode(
            x=alt.X(
                "low:Q",
                scale=scale,
                axis=alt.Axis(values=[0, 0.5, 1, 1.5, 2], grid=False),
                title=" ".join(title) if width > 400 else title,
            ),
            x2="high:Q",
            y=y,
            tooltip=tooltip,
        ),
        base.mark_text(align="left", dy=-24).encode(x=alt.value(0), y=y, text="end_point:N"),
    ).properties(width=width, height=64 * len(rows))


def _shapes_description(rows: pd.DataFrame) -> str:
    return " ".join(
        f"{r.end_point[0].upper()}{r.end_point[1:]}: the shape is {r.low:.2f} to {r.high:.2f} by rounding, "
        f"{r.chance_low:.2f} to {r.chance_high:.2f} with two standard errors of chance; "
        f"a constant hazard is {r.errors} standard errors away."
        for r in rows.itertuples()
    )


# --- follow-up ---------------------------------------------------------------------------------------


def follow_up(overall: str, arms: dict[str, str], numbers: Numbers) -> Figure:
    """A median over all patients beside the arms' own; `arms` maps names to stems of claims."""
    rows = follow_up_rows(overall, arms, numbers)
    draw = partial(_follow_up_chart, rows)
    return Figure("follow-up", draw(width=540), _follow_up_description(rows), narrow=draw(width=296))


def follow_up_rows(overall: str, arms: dict[str, str], numbers: Numbers) -> pd.DataFrame:
    """One row per median: `who`, `arm`, `months`, `low`, `high`, `printed`."""
    rows = [
        {
            "who": name,
            "arm": stem.rsplit(".", 1)[-1],
            "months": numbers.number(f"{stem}.median"),
            "low": numbers.number(f"{stem}.ci-low"),
            "high": numbers.number(f"{stem}.ci-high"),
            "printed": numbers.printed[f"{stem}.median"],
        }
        for name, stem in arms.items()
    ]
    alone = {"who": "all patients", "arm": "all", "months": numbers.number(overall)}
    return pd.DataFrame([*rows, alone | {"printed": numbers.printed[overall]}])


def _follow_up_chart(rows: pd.DataFrame, *, width: int):
    months = rows[["months", "low", "high"]]
    scale = alt.Scale(
        domain=[float(months.min().min()) - 0.4, float(months.max().max()) + 0.6], zero=False, nice=False
    )
    x = alt.X(
        "months:Q", title="median follow-up, months", scale=scale, axis=alt.Axis(tickCount=4, grid=False)
    )
    base = alt.Chart(rows).encode(y=alt.Y("who:N", sort=list(rows["who"]), axis=None))
    arms = ["lu", "control", "all"]
    colour = alt.Color("arm:N", scale=alt.Scale(domain=arms, range=[PALETTE[a] for a in arms]), legend=None)
    hull = pd.DataFrame([rows[rows["arm"] != "all"]["months"].agg(["min", "max"])])
    return alt.layer(
        alt.Chart(hull)
        .mark_rect(color=PALETTE["compatible"], opacity=0.18)
        .encode(x=alt.X("min:Q", scale=scale), x2="max:Q"),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=colour),
        base.mark_point(filled=True, size=130, opacity=1).encode(
            x=x,
            color=colour,
            shape=alt.Shape(
                "arm:N", scale=alt.Scale(domain=arms, range=["circle", "diamond", "square"]), legend=None
            ),
        ),
        base.mark_text(dy=-16, fontWeight="bold").encode(x=x, text="printed:N"),
        base.mark_text(align="left", dy=-16).encode(x=alt.value(0), text="who:N"),
    ).properties(width=width, height=alt.Step(48))


def _follow_up_description(rows: pd.DataFrame) -> str:
    parts = [
        f"{r.who}: {r.printed} months" + (f" ({r.low:g} to {r.high:g})" if r.arm != "all" else "")
        for r in rows.itertuples()
    ]
    return f"Median follow-up. {'; '.join(parts)}."
