"""The chapter on design: powers that rounding allows, power against its inputs, the graph of alpha."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import great_tables as gt
import numpy as np
import pandas as pd

from visiontrial import design, render, tables
from visiontrial.design import AlphaGraph, Design, Simulation
from visiontrial.printed import as_printed

SHORT_NAMES = {"pfs": "Progression-free survival", "os": "Overall survival"}
_COLOURS = {"pfs": "highlight", "os": "compatible"}


def percent(value: float, decimals: int = 1) -> str:
    """A percent as text: `90.5%`."""
    return f"{as_printed(float(value), decimals)}%"


def level(alpha: float) -> str:
    """A one-sided level as text, as the paper prints it: `0.004`."""
    return as_printed(float(alpha), 3)


def label(d: Design) -> str:
    """A design as a row is named: `Overall survival, at 0.021`."""
    return f"{SHORT_NAMES[d.end_point]}, at {level(d.alpha)}"


# --- which powers rounding allows -----------------------------------------------------------


def power_ranges(designs: dict[str, Design]) -> render.Figure:
    """For each design the powers that the rounding of its hazard ratio allows, and the printed power.

    `designs` is `design.designs()`. Values from outside the paper have a mark of their own.
    """
    rows = _range_rows(designs)
    return render.Figure(
        name="power-ranges",
        chart=_range_chart(rows, width=370, wrapped=False),
        narrow=_range_chart(rows, width=296, wrapped=True),
        description=_ranges_in_words(rows),
    )


def _range_rows(designs: dict[str, Design]) -> pd.DataFrame:
    return pd.DataFrame([_range_row(d) for d in designs.values()])


def _range_row(d: Design) -> dict:
    outside = design.outside_hazard_ratios(d.end_point)
    stated, medians = (replace(d, hazard_ratio=hr).percent for hr in outside.values())
    return {
        "label": label(d),
        "low": round(float(d.percent_range.low), 4),
        "high": round(float(d.percent_range.high), 4),
        "at_printed": round(d.percent, 4),
        "at_stated": round(stated, 4),
        "at_medians": round(medians, 4),
        "printed": d.power,
        "printed_low": d.power - 0.5,
        "printed_high": d.power + 0.5,
        "allowed": d.printable_powers.text,
        "inside": d.allows_printed_power,
    }


# Column -> its name in the legend, shape, colour, and how far below the middle of the row it is drawn.
_RANGE_MARKS = {
    "printed": ("printed power", "diamond", "highlight", 0),
    "at_printed": ("formula, printed hazard ratio", "circle", "ink", 0),
    "at_stated": ("formula, hazard ratio from elsewhere", "triangle-down", "ink", -13),
    "at_medians": ("formula, ratio of medians from elsewhere", "triangle-up", "ink", 13),
}


def _range_chart(rows: pd.DataFrame, width: int, wrapped: bool) -> alt.LayerChart:
    axis = None if wrapped else alt.Axis(domain=False, ticks=False, labelPadding=8)
    base = alt.Chart(rows).encode(
        y=alt.Y("label:N", sort=list(rows["label"]), title=None, axis=axis), tooltip=_RANGE_TOOLTIP
    )
    bars = base.mark_bar(height=16, color=render.PALETTE["compatible"], opacity=0.35).encode(
        x=_percent_axis("low"), x2="high:Q"
    )
    band = base.mark_bar(height=38, color=render.PALETTE["highlight"], opacity=0.2).encode(
        x=_percent_axis("printed_low"), x2="printed_high:Q"
    )
    layers = [band, bars, *(_range_symbols(base, column) for column in _RANGE_MARKS)]
    if wrapped:
        names = base.mark_text(align="left", dy=-32).encode(
            x=alt.value(0), text="label:N", tooltip=alt.value(None)
        )
        layers.append(names)
    return alt.layer(*layers).properties(width=width, height=alt.Step(86 if wrapped else 54))


def _range_symbols(base: alt.Chart, column: str) -> alt.Chart:
    name, _, _, below = _RANGE_MARKS[column]
    legend = alt.Legend(title=None, orient="bottom", columns=1)
    return (
        base.transform_calculate(mark=f"'{name}'")
        .mark_point(size=95, opacity=1, yOffset=below)
        .encode(
            x=_percent_axis(column),
            shape=alt.Shape("mark:N", scale=_mark_scale(1), legend=legend),
            color=alt.Color("mark:N", scale=_mark_scale(2), legend=legend),
        )
    )


def _percent_axis(column: str) -> alt.X:
    return alt.X(
        f"{column}:Q",
        title="Power, percent",
        scale=alt.Scale(domain=[80, 94], zero=False),
        axis=alt.Axis(values=list(range(80, 95, 2)), labelFlush=False),
    )


_RANGE_TOOLTIP = [
    alt.Tooltip("label:N", title="Design"),
    alt.Tooltip("printed:Q", title="Printed"),
    alt.Tooltip("allowed:N", title="Percents that rounding allows"),
    alt.Tooltip("at_printed:Q", title="Formula, printed hazard ratio", format=".2f"),
    alt.Tooltip("at_stated:Q", title="Formula, hazard ratio stated elsewhere", format=".2f"),
    alt.Tooltip("at_medians:Q", title="Formula, ratio of assumed medians", format=".2f"),
]


def _mark_scale(position: int) -> alt.Scale:
    marks = list(_RANGE_MARKS.values())
    chosen = [mark[position] for mark in marks]
    return alt.Scale(domain=[mark[0] for mark in marks], range=[render.PALETTE.get(c, c) for c in chosen])


def _ranges_in_words(rows: pd.DataFrame) -> str:
    sentences = ["Power by Schoenfeld's formula for each planned analysis and one-sided level."]
    for r in rows.itertuples(index=False):
        verdict = "is among them" if r.inside else "is not among them"
        sentences.append(
            f"{r.label}: the rounding of the hazard ratio allows {r.allowed} percent; the printed "
            f"{r.printed} {verdict}. The hazard ratio exactly as printed gives {percent(r.at_printed, 2)}; "
            f"from outside the paper, the stated hazard ratio gives {percent(r.at_stated, 2)} and the ratio "
            f"of the assumed medians {percent(r.at_medians, 2)}."
        )
    return " ".join(sentences)


# --- power against its inputs ---------------------------------------------------------------

_HR_LOW, _HR_HIGH, _HR_STEP = 0.5, 0.95, 0.005
_YOURS = "yours (sliders)"


def power_curves(pfs: Design, os: Design) -> render.Figure:
    """Power against the true hazard ratio for both designs, and for one that the reader sets by sliders.

    The third curve is computed in the browser by the same formula; at first it has the events
    of progression-free survival and the level of overall survival.
    """
    return render.Figure(
        name="power-curves",
        chart=_curves(pfs, os, width=540, height=340),
        narrow=_curves(pfs, os, width=236, height=300),
        description=_curves_in_words(pfs, os),
    )


def _curves(pfs: Design, os: Design, width: int, height: int) -> alt.LayerChart:
    events = alt.param(
        name="events", value=pfs.events, bind=alt.binding_range(min=50, max=800, step=1, name="events ")
    )
    alpha = alt.param(
        name="alpha",
        value=os.alpha,
        bind=alt.binding_range(min=0.001, max=0.05, step=0.001, name="one-sided alpha "),
    )
    names = [_curve_name(pfs), _curve_name(os), _YOURS]
    colours = [render.PALETTE[c] for c in (_COLOURS["pfs"], _COLOURS["os"], "ink")]
    legend = alt.Legend(title=None, orient="top", columns=1, symbolStrokeWidth=3, symbolSize=300)
    x = alt.X(
        "hr:Q",
        title="True hazard ratio",
        scale=alt.Scale(domain=[_HR_LOW, _HR_HIGH], nice=False),
        axis=alt.Axis(format=".2f", values=[0.5, 0.6, 0.7, 0.8, 0.9]),
    )
    y = alt.Y("power:Q", title="Power, percent", scale=alt.Scale(domain=[0, 100]))
    encoded = {
        "x": x,
        "y": y,
        "color": alt.Color("design:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        "strokeDash": alt.StrokeDash(
            "design:N", scale=alt.Scale(domain=names, range=[[1, 0], [8, 3], [2, 3]]), legend=legend
        ),
        "tooltip": [
            alt.Tooltip("design:N", title="Design"),
            alt.Tooltip("hr:Q", title="Hazard ratio", format=".3f"),
            alt.Tooltip("power:Q", title="Power, percent", format=".1f"),
        ],
    }
    grid = pd.DataFrame({"hr": np.round(np.arange(_HR_LOW, _HR_HIGH + _HR_STEP / 2, _HR_STEP), 3)})
    printed = pd.concat([_curve(d, grid) for d in (pfs, os)])
    fixed = alt.Chart(printed).mark_line().encode(**encoded)
    yours = (
        alt.Chart(grid.assign(design=_YOURS))
        .mark_line()
        .encode(**encoded)
        .transform_calculate(power=_vega_power(os.ratio))
        .add_params(events, alpha)
    )
    plans = pd.DataFrame([_plan(d) for d in (pfs, os)])
    points = (
        alt.Chart(plans)
        .mark_point(size=140, shape="diamond", opacity=1)
        .encode(
            x=x,
            y=y,
            color=encoded["color"],
            tooltip=encoded["tooltip"],
        )
    )
    # Each label on the side of its curve where no other curve passes.
    left = {"align": "right", "dx": -12, "dy": 16}
    right = {"align": "left", "dx": 12, "dy": -8}
    labels = [
        alt.Chart(plans[plans["design"] == name])
        .mark_text(**side)
        .encode(x=x, y=y, text="label:N", tooltip=alt.value(None))
        for name, side in zip(names, (left, right), strict=False)
    ]
    return alt.layer(fixed, yours, points, *labels).properties(width=width, height=height)


def _curve_name(d: Design) -> str:
    name = SHORT_NAMES[d.end_point].removesuffix(" survival")
    return f"{name}: {d.events} events, {level(d.alpha)}"


def _curve(d: Design, grid: pd.DataFrame) -> pd.DataFrame:
    powers = [round(replace(d, hazard_ratio=hr).percent, 4) for hr in grid["hr"]]
    return grid.assign(power=powers, design=_curve_name(d))


def _plan(d: Design) -> dict:
    return {"hr": d.hazard_ratio, "power": d.power, "design": _curve_name(d), "label": f"printed: {d.power}%"}


def _vega_power(ratio: float) -> str:
    """Schoenfeld's formula in the language of the chart."""
    drift = f"sqrt(events * {ratio:g}) / (1 + {ratio:g}) * abs(log(datum.hr))"
    return f"100 * cumulativeNormal({drift} - quantileNormal(1 - alpha, 0, 1), 0, 1)"


def _curves_in_words(pfs: Design, os: Design) -> str:
    sentences = [
        "Power against the true hazard ratio: the closer the hazard ratio to 1, the lower the power."
    ]
    for d in (pfs, os):
        weaker = replace(d, hazard_ratio=0.8)
        sentences.append(
            f"{d.name} with {d.events} events at the one-sided level {level(d.alpha)}: {percent(d.percent)} "
            f"at the planned hazard ratio of {as_printed(d.hazard_ratio, 2)} (printed: {d.power}%), and "
            f"{percent(weaker.percent)} at {as_printed(weaker.hazard_ratio, 2)}."
        )
    return " ".join([*sentences, _third_curve_in_words(pfs, os)])


def _third_curve_in_words(pfs: Design, os: Design) -> str:
    start = replace(pfs, alpha=os.alpha)
    return (
        f"Sliders set the events and the level of a third curve; it starts at {pfs.events} events and "
        f"{level(os.alpha)}, where a hazard ratio of {as_printed(pfs.hazard_ratio, 2)} has "
        f"{percent(start.percent)}."
    )


# --- the graph of alpha -----------------------------------------------------------------------

_NODE_TEXTS = {
    "pfs": ("Imaging-based", "progression-free", "survival"),
    "os": ("Overall survival",),
    "key-secondary": ("Key secondary: response,", "disease control,", "skeletal events"),
}
_NODE_TOOLTIP = [
    alt.Tooltip("plain:N", title="End point"),
    alt.Tooltip("level:N", title="One-sided level at first"),
]


def alpha_graph(graph: AlphaGraph) -> render.Figure:
    """The graph of alpha: what each hypothesis holds at first, and where its level goes when rejected.

    `graph` is `design.trial_graph()`.
    """
    outcomes = design.outcomes(graph)
    return render.Figure(
        name="alpha-graph",
        chart=_graph_chart(graph, _ACROSS, width=624, height=120),
        narrow=_graph_chart(graph, _DOWN, width=310, height=456),
        description=_graph_in_words(graph, outcomes),
    )


_BOX = (170, 112)
_LINE_HEIGHT = 17
_ACROSS = {"pfs": (88, 60), "os": (312, 60), "key-secondary": (536, 60)}
_DOWN = {"pfs": (155, 60), "os": (155, 228), "key-secondary": (155, 396)}


def _graph_chart(
    graph: AlphaGraph, places: dict[str, tuple[int, int]], width: int, height: int
) -> alt.LayerChart:
    across = places is _ACROSS
    nodes = pd.DataFrame([_node(graph, name, place) for name, place in places.items()])
    edges = pd.DataFrame([_edge(graph, places, edge, across) for edge in graph.weights])
    x, y = _position(alt.X, [0, width]), _position(alt.Y, [height, 0])
    ink = render.PALETTE["ink"]
    boxes = (
        alt.Chart(nodes)
        .mark_rect(
            cornerRadius=10, fill=render.PALETTE["panel"], stroke=render.PALETTE["muted"], strokeWidth=1.5
        )
        .encode(x=x("left"), x2="right:Q", y=y("top"), y2="bottom:Q", tooltip=_NODE_TOOLTIP)
    )
    lines = (
        alt.Chart(edges).mark_rule(color=ink, strokeWidth=2).encode(x=x("x"), y=y("y"), x2="x2:Q", y2="y2:Q")
    )
    head = "triangle-right" if across else "triangle-down"
    heads = (
        alt.Chart(edges).mark_point(shape=head, size=130, color=ink, opacity=1).encode(x=x("x2"), y=y("y2"))
    )
    beside = {"align": "center", "dy": -12} if across else {"align": "left", "dx": 10}
    shares = alt.Chart(edges).mark_text(**beside).encode(x=x("mid_x"), y=y("mid_y"), text="share:N")
    names = (
        alt.Chart(nodes)
        .mark_text(lineBreak="|", lineHeight=_LINE_HEIGHT)
        .encode(x=x("x"), y=y("first_line"), text="lines:N")
    )
    levels = (
        alt.Chart(nodes)
        .mark_text(fontSize=18, fontWeight="bold")
        .encode(x=x("x"), y=y("level_line"), text="level:N")
    )
    return alt.layer(lines, heads, shares, boxes, names, levels).properties(width=width, height=height)


def _position(channel: type, domain: list[int]):
    """A channel that places a field in pixels."""
    return lambda field: channel(
        f"{field}:Q", scale=alt.Scale(domain=domain, nice=False, zero=False), axis=None
    )


def _node(graph: AlphaGraph, name: str, place: tuple[int, int]) -> dict:
    (x, y), (width, height) = place, _BOX
    lines = _NODE_TEXTS[name]
    return {
        "name": name,
        "plain": " ".join(lines),
        "lines": "|".join(lines),
        "level": level(graph.levels[name]) if graph.levels[name] else "nothing yet",
        "x": x,
        "y": y,
        "left": x - width / 2,
        "right": x + width / 2,
        "top": y - height / 2,
        "bottom": y + height / 2,
        "first_line": y - 14 - _LINE_HEIGHT * (len(lines) - 1) / 2,
        "level_line": y + height / 2 - 20,
    }


def _edge(graph: AlphaGraph, places: dict, edge: tuple[str, str], across: bool) -> dict:
    (x1, y1), (x2, y2) = (places[name] for name in edge)
    half_width, half_height = _BOX[0] / 2, _BOX[1] / 2
    start = (x1 + half_width, y1) if across else (x1, y1 + half_height)
    end = (x2 - half_width - 8, y2) if across else (x2, y2 - half_height - 8)
    return {
        "x": start[0],
        "y": start[1],
        "x2": end[0],
        "y2": end[1],
        "mid_x": (start[0] + end[0]) / 2,
        "mid_y": (start[1] + end[1]) / 2,
        "share": "all" if graph.weights[edge] == 1 else percent(100 * float(graph.weights[edge]), 0),
    }


def _graph_in_words(graph: AlphaGraph, outcomes: pd.DataFrame) -> str:
    both = outcomes[outcomes["pfs"] & outcomes["os"]].iloc[0]
    without = outcomes[~outcomes["pfs"] & outcomes["os"]].iloc[0]
    return (
        "A graph of three boxes joined by two arrows. Imaging-based progression-free survival starts with "
        f"the one-sided level {level(graph.levels['pfs'])} and, once significant, passes all of it to "
        f"overall survival, which starts with {level(graph.levels['os'])}. Overall survival, once "
        "significant, passes all it holds to the three key secondary end points, which start with nothing: "
        f"they receive {level(both['key_secondary_level'])} if both are significant, "
        f"{level(without['key_secondary_level'])} if overall survival alone is."
    )


# --- tables ---------------------------------------------------------------------------------

_INPUTS = {
    "hazard_ratio": ("Hazard ratio", 2),
    "alpha": ("One-sided level", 3),
    "events": ("Events", 0),
    "ratio": ("Patients per control patient", 0),
}


def power_table(designs: dict[str, Design], simulations: dict[str, Simulation]) -> tables.Printable:
    """Power by formula and by simulation beside the printed power; one row per design."""
    rows = [_power_row(d, simulations[d.end_point]) for d in designs.values()]
    made = gt.GT(pd.DataFrame(rows), rowname_col="label").tab_stubhead("Analysis, at one-sided level")
    made = made.cols_label(
        allowed="Percents that rounding allows",
        formula="Formula",
        simulated="Simulation",
        error="Monte Carlo error",
        printed="Printed",
    )
    made = made.tab_source_note(
        "Formula and simulation at the printed hazard ratio. The Monte Carlo error is one standard error."
    )
    return tables.printable(made, "power", "Power of the planned analyses, percent")


def _power_row(d: Design, simulation: Simulation) -> dict[str, str]:
    return {
        "label": label(d),
        "allowed": d.printable_powers.text,
        "formula": as_printed(d.percent, 1),
        "simulated": as_printed(100 * simulation.power(d.alpha), 1),
        "error": as_printed(100 * simulation.standard_error(d.alpha), 2),
        "printed": str(d.power),
    }


def needs_table(designs: dict[str, Design]) -> tables.Printable:
    """What each input would have to be for the printed power, the others as printed."""
    rows = [
        {
            "group": f"{label(d)}: {d.power}%",
            "label": _INPUTS[name][0],
            "printed": as_printed(float(row.printed), _INPUTS[name][1]),
            "least": as_printed(float(row.least), _INPUTS[name][1] + 2),
            "most": as_printed(float(row.most), _INPUTS[name][1] + 2),
        }
        for d in designs.values()
        for name, row in zip(_INPUTS, design.needed(d).loc[list(_INPUTS)].itertuples(), strict=True)
    ]
    made = gt.GT(pd.DataFrame(rows), rowname_col="label", groupname_col="group").tab_stubhead("Input")
    made = made.cols_label(printed="Printed", least="Needed, from", most="to")
    return tables.printable(made, "power-needs", "What would give the printed power, one input at a time")


def outcome_table(graph: AlphaGraph) -> tables.Printable:
    """The levels that each result of the two primary end points leaves; one row per result."""
    rows = [_outcome_row(row) for row in design.outcomes(graph).itertuples(index=False)]
    made = gt.GT(pd.DataFrame(rows), rowname_col="label").tab_stubhead("Significant")
    made = made.cols_label(
        os_level="Overall survival is tested at",
        key_level="Key secondary end points share",
        key_two_sided="The same, two-sided",
    )
    return tables.printable(made, "alpha-outcomes", "One-sided levels, by result of the primary end points")


def _outcome_row(row) -> dict[str, str]:
    significant = [SHORT_NAMES[e] for e in design.END_POINTS if getattr(row, e)]
    key = row.key_secondary_level
    return {
        "label": " and ".join(significant).replace(" survival and Overall", " and overall") or "neither",
        "os_level": level(row.os_level),
        "key_level": level(key) if key else "not tested",
        "key_two_sided": level(2 * key) if key else "not tested",
    }


def decision_table(adjusted: pd.DataFrame, family_level: float, name: str, caption: str) -> tables.Printable:
    """Adjusted P values, each with the decision at the level of the family.

    `adjusted` is `design.adjusted(...)`; its index names the end points.
    """
    frame = pd.DataFrame({"label": adjusted.index, "P": adjusted["P"].map(_p_text).to_list()})
    for method in design.ADJUSTMENTS:
        frame[method] = [_decision(value, family_level) for value in adjusted[method]]
    made = gt.GT(frame, rowname_col="label").tab_stubhead("End point")
    made = made.tab_source_note(f"“yes”: adjusted value at most {as_printed(family_level, 3)}.")
    return tables.printable(made, name, caption)


def _decision(adjusted: float, family_level: float) -> str:
    return f"{_p_text(adjusted)}, {'yes' if adjusted <= family_level else 'no'}"


def _p_text(value: float) -> str:
    return "<0.0001" if value < 0.0001 else as_printed(float(value), 4)
