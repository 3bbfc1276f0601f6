"""Sensitivity to dropping out: scenarios, the tipping map, spreads apart, weights. Synthetic patients.

Every chart says in its caption and in its words that the patients are reconstructed, and which
uncertainty a line or a band shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import ndtr

from visiontrial import render
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.figures.sensitivity_tables import (
    ARM_NAMES,
    SYNTHETIC,
    factor_text,
    months_text,
    p_text,
    part_label,
    parts,
    percent,
    range_text,
    ratio,
    whole,
)
from visiontrial.figures.survival import NOTICE
from visiontrial.sensitivity import pooling, scenarios, weighting
from visiontrial.sensitivity.precomputed import Stored
from visiontrial.sensitivity.scenarios import Analysis
from visiontrial.survival import Curve

# --- scenarios -------------------------------------------------------------------------------

_GROUPS = {
    "observed": "Without imputation",
    "delta": "Imputed from the arm's own curve (Kaplan–Meier)",
    "gamma": "Imputed with the strata known (Cox)",
    "reference": "Imputed from the other arm's curve",
    "bounds": "Bounds",
}
_SHORT_LABELS = {
    "observed": "dropouts censored",
    "as-observed": "dropouts fare as the others",
    "lu-worse": "177Lu dropouts: hazard × 2",
    "control-better": "control dropouts: hazard ÷ 2",
    "both": "both",
    "reference.lu": "177Lu dropouts",
    "reference.control": "control dropouts",
    "reference.both": "dropouts of both arms",
    "bounds.at-once.at-once": "all have the event at once",
    "bounds.never.never": "none has it",
    "bounds.never.at-once": "177Lu none, control at once",
    "bounds.at-once.never": "177Lu at once, control none",
}
SHOWN = (
    "observed",
    *(f"{method}.{pair}" for method in ("delta", "gamma") for pair in scenarios.PAIRS),
    "reference.lu", "reference.control", "reference.both",
    "bounds.never.at-once", "bounds.at-once.at-once", "bounds.never.never", "bounds.at-once.never",
)  # fmt: skip


def summarized(
    stored: Stored, analysis: Analysis, names: Iterable[str] = SHOWN, members: pd.Index | None = None
) -> pd.DataFrame:
    """Over the members, or some of them, one row per scenario: ranges of ratio and limits, significant share.

    Columns: `scenario`, `group`, `label`, `low` and `high` (reconstruction range of the hazard ratio),
    `outer_low` and `outer_high` (the 2.5% point of the lower limits, the 97.5% point of the upper ones, at
    the trial's level), `significant` with its Monte Carlo standard error `share_error`, `p_high` (97.5% point
    of the P values).
    """
    mine = stored.scenarios[stored.scenarios["analysis"] == analysis.name]
    if members is not None:
        mine = mine[mine["member"].isin(members)]
    return pd.DataFrame([_summarized(mine[mine["scenario"] == name], name, analysis) for name in names])


def _summarized(rows: pd.DataFrame, name: str, analysis: Analysis) -> dict:
    pooled = pooled_rows(rows)
    estimate = reconstruction_range(pooled.ratio)
    lower, upper = pooled.limits(analysis.level)
    log_upper = pooled.log_upper(analysis.alpha)
    method, _, rest = name.partition(".")
    return {
        "scenario": name,
        "group": _GROUPS[method],
        "label": _SHORT_LABELS.get(name) or _SHORT_LABELS[rest],
        "low": estimate.low,
        "high": estimate.high,
        "outer_low": reconstruction_range(lower).low,
        "outer_high": reconstruction_range(upper).high,
        "significant": float((log_upper < 0).mean()),
        "share_error": share_error(log_upper, rows["upper_error"].to_numpy()),
        "p_high": reconstruction_range(pooled.p_value).high,
    }


def share_error(log_upper: np.ndarray, error: np.ndarray) -> float:
    """Monte Carlo standard error of the share of members whose log upper limit is below 0.

    With other imputations a member's limit would lie elsewhere: it is taken as normal around the one that was
    found, with its Monte Carlo error. Members are imputed independently, so their Bernoulli variances add up.
    """
    below = np.where(error > 0, ndtr(-log_upper / np.where(error > 0, error, 1)), log_upper < 0)
    return float(np.sqrt((below * (1 - below)).sum()) / len(below))


def pooled_rows(rows: pd.DataFrame) -> pooling.Pooled:
    """The pooled results in rows of `Stored.scenarios` of one scenario: arrays over the members."""
    (imputations,) = rows["imputations"].unique()
    columns = (rows[name].to_numpy() for name in ("log_ratio", "within", "between"))
    return pooling.Pooled(*columns, imputations=int(imputations))


SIMULATED = "Simulated patients, drawn from a law of our own"


def _notice(words: str = NOTICE) -> alt.Title:
    """What every picture of made patients says, also where it is copied without its caption."""
    return alt.Title(words, color=render.PALETTE["highlight"], fontSize=13, offset=8)


def scenario_chart(stored: Stored, analysis: Analysis, name: str) -> render.Figure:
    """The hazard ratio under every assumption: over the ensemble, with limits, and how often significant.

    Where the rule for late deaths matters, the members that follow either rule stand apart.
    """
    parted = {
        part_label(words, members): summarized(stored, analysis, members=members)
        for words, members in parts(stored, analysis).items()
    }
    return render.Figure(
        name=name,
        chart=_forest(parted, wide=True),
        narrow=_forest(parted, wide=False),
        description=_forest_in_words(parted, analysis),
    )


_LIMITS = "Lowest to highest confidence limit"
_COLOURS = ("lu", "highlight")
"""Of the parts of the ensemble, in their order."""
_TICKS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3]


def _forest(parted: Mapping[str, pd.DataFrame], *, wide: bool) -> alt.VConcatChart:
    looks = {f"Range. {label}": colour for label, colour in zip(parted, _COLOURS, strict=False)}
    rows = pd.concat(
        [
            rows.assign(part=number, kind=kind)
            for number, (kind, rows) in enumerate(zip(looks, parted.values(), strict=True))
        ]
    )
    low = min(rows["outer_low"].min() / 1.08, 0.45)
    high = max(rows["outer_high"].max() * 1.08, 1.7)  # room for the shares on a phone
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    panels = []
    groups = list(dict.fromkeys(rows["group"]))
    for group in groups:
        mine = rows[rows["group"] == group]
        panels.append(
            _forest_panel(mine, looks, scale, wide, first=group == groups[0], last=group == groups[-1])
        )
    return alt.vconcat(*panels, spacing=12).properties(padding=2, title=_notice())


def _forest_panel(
    rows, looks: Mapping[str, str], scale, wide: bool, *, first: bool, last: bool
) -> alt.LayerChart:
    width, apart = 330 if wide else 288, 10 if len(looks) > 1 else 0
    step = (24 if wide else 40) + apart
    shown = rows.assign(
        ratios=[range_text(r.low, r.high) for r in rows.itertuples()],
        limits=[f"{ratio(r.outer_low)} to {ratio(r.outer_high)}" for r in rows.itertuples()],
        share=[percent(s) for s in rows["significant"]],
        worst=[p_text(p) for p in rows["p_high"]],
    )
    axis = alt.Axis(
        values=[tick for tick in _TICKS if scale.domain[0] <= tick <= scale.domain[1]],
        format="~g", grid=True, labels=last, ticks=last, domain=last, labelFlush=False,
    )  # fmt: skip
    title = ["Hazard ratio, 177Lu-PSMA-617 against standard care", "← favours 177Lu-PSMA-617"]
    position = {"scale": scale, "axis": axis, "title": title if last else None}
    labels = alt.Axis(domain=False, ticks=False, labelPadding=6, grid=False) if wide else None
    order = list(dict.fromkeys(shown["label"]))
    group = shown["group"].iloc[0]
    one = alt.Chart(pd.DataFrame({"one": [1.0]})).mark_rule(strokeDash=[4, 3])
    layers = [one.encode(x=alt.X("one:Q", **position))]
    for number, kind in enumerate(looks):
        base = alt.Chart(shown[shown["part"] == number]).encode(
            y=alt.Y("label:N", sort=order, title=None, axis=labels),
            tooltip=[
                alt.Tooltip("label:N", title=group),
                alt.Tooltip("kind:N", title="Bar"),
                alt.Tooltip("ratios:N", title="Hazard ratio"),
                alt.Tooltip("limits:N", title="Lowest to highest confidence limit"),
                alt.Tooltip("worst:N", title="P, upper end of its range"),
                alt.Tooltip("share:N", title="Cohorts in which significant"),
            ],
        )
        below = (0 if wide else 10) + apart * (number - 0.5)
        layers += [
            _bar(base, ("outer_low", "outer_high"), _LIMITS, looks, position, below),
            _bar(base, ("low", "high"), kind, looks, position, below),
            # A range of no width must not vanish.
            base.mark_tick(
                color=render.PALETTE[looks[kind]], thickness=3, size=_thickness(looks), yOffset=below
            ).encode(x=alt.X("low:Q", **position)),
        ]
    layers += _shares_beside(shown, order, labels, width, apart, wide=wide, heading=first)
    if not wide:
        named = shown[shown["part"] == 0]
        base = alt.Chart(named).encode(y=alt.Y("label:N", sort=order, title=None, axis=labels))
        text = base.mark_text(align="left", yOffset=-9 - apart / 2)
        layers.append(text.encode(x=alt.value(0), text="label:N"))
    heading = alt.TitleParams(group, anchor="start", fontSize=13, frame="group", offset=4)
    return alt.layer(*layers).properties(width=width, height=step * len(order), title=heading)


def _shares_beside(
    shown: pd.DataFrame, order: list[str], labels, width: int, apart: int, *, wide: bool, heading: bool
) -> list[alt.Chart]:
    """How often significant: beside each bar on a page; above the bars, one after the other, on a phone."""
    if wide:
        layers = []
        for number, mine in shown.groupby("part"):
            base = alt.Chart(mine).encode(y=alt.Y("label:N", sort=order, title=None, axis=labels))
            text = base.mark_text(align="left", yOffset=1.3 * apart * (number - 0.5))
            layers.append(text.encode(x=alt.value(width + 10), text="share:N"))
        look = {"align": "left", "y": -12}
    else:
        joined = shown.groupby("label", sort=False)["share"].agg(" and ".join).reset_index()
        base = alt.Chart(joined).encode(y=alt.Y("label:N", sort=order, title=None, axis=labels))
        text = base.mark_text(align="right", yOffset=-9 - apart / 2)
        layers = [text.encode(x=alt.value(width), text="share:N")]
        look = {"align": "right", "y": -12}
    if heading:
        named = alt.Chart(shown[:1]).mark_text(text="significant in", **look)
        layers.append(named.encode(x=alt.value(width + 10 if wide else width)))
    return layers


def _thickness(looks: Mapping[str, str]) -> int:
    """Of a bar: thinner where two stand in a row."""
    return 9 if len(looks) == 1 else 7


def _bar(
    base: alt.Chart, ends: tuple[str, str], kind: str, looks: Mapping[str, str], position, below: float
) -> alt.Chart:
    key = alt.Legend(
        title=None, orient="top", columns=1, symbolType="stroke", symbolStrokeWidth=5, offset=10, labelLimit=0
    )
    kinds = [*looks, _LIMITS]
    colours = alt.Scale(
        domain=kinds, range=[*(render.PALETTE[c] for c in looks.values()), render.PALETTE["muted"]]
    )
    return (
        base.transform_calculate(legend=f"'{kind}'")
        .mark_rule(yOffset=below, strokeWidth=2 if kind == _LIMITS else _thickness(looks))
        .encode(
            x=alt.X(f"{ends[0]}:Q", **position),
            x2=f"{ends[1]}:Q",
            color=alt.Color("legend:N", scale=colours, legend=key),
        )
    )


def _forest_in_words(parted: Mapping[str, pd.DataFrame], analysis: Analysis) -> str:
    sentences = [
        f"{SYNTHETIC} {analysis.label}: hazard ratio under each assumption about those who dropped out; "
        f"reconstruction range, the lowest to the highest {100 * analysis.level:g}% confidence limit, and "
        f"the share of cohorts that are significant at the two-sided level {analysis.alpha:g}."
    ]
    for label, rows in parted.items():
        sentences.append(f"{label}:")
        sentences += [
            f"{r.group}, {r.label}: {range_text(r.low, r.high)} "
            f"({ratio(r.outer_low)} to {ratio(r.outer_high)}), {percent(r.significant)}."
            for r in rows.itertuples()
        ]
    return " ".join(sentences)


# --- the map -----------------------------------------------------------------------------------

_CLASSES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Upper ends of the classes of the hazard ratio; the last one is open."""


def tipping_map(stored: Stored, analysis: Analysis, name: str, chosen: tuple[float, float]) -> render.Figure:
    """Hazard ratio, limits and P over both arms' factors, the line where significance is lost, the reading.

    A click (or a touch) chooses a pair of factors; the lines below say what it means in patients and months,
    and what becomes of the result. `chosen`: the pair (177Lu, control) shown at first.
    """
    cells = _map_cells(stored, analysis)
    lost = {
        part_label(words, members): _map_line(stored, analysis, members)
        for words, members in parts(stored, analysis).items()
    }
    return render.Figure(
        name=name,
        chart=_map_chart(cells, lost, chosen, wide=True),
        narrow=_map_chart(cells, lost, chosen, wide=False),
        description=_map_in_words(cells, lost, stored, analysis),
    )


def _map_cells(stored: Stored, analysis: Analysis) -> pd.DataFrame:
    """One row per cell: its factors, its edges on the map, the class of its ratio, and what is told of it."""
    means = stored.readings[stored.readings["analysis"] == analysis.name].set_index(["arm", "factor"])
    shares = _shares_by_cell(stored, analysis)
    half = _half_step(stored)
    rows = []
    for cell in stored.maps[stored.maps["analysis"] == analysis.name].itertuples():
        rows.append(
            {
                "lu": round(cell.factor_lu, 4),
                "control": round(cell.factor_control, 4),
                "left": round(cell.factor_control / half, 5),
                "right": round(cell.factor_control * half, 5),
                "bottom": round(cell.factor_lu / half, 5),
                "top": round(cell.factor_lu * half, 5),
                "class": (number := int(np.searchsorted(_CLASSES, cell.ratio_middle))),
                "shade": _shade(number),
                "factors": f"177Lu dropouts: hazard × {factor_text(cell.factor_lu)}; "
                f"control dropouts: × {factor_text(cell.factor_control)}",
                "of_lu": "177Lu: " + _reading_text(means.loc[("lu", cell.factor_lu)]),
                "of_control": "Control: " + _reading_text(means.loc[("control", cell.factor_control)]),
                "result": f"Hazard ratio {range_text(cell.ratio_from, cell.ratio_to)}; "
                f"limits from {ratio(cell.low_from)} to {ratio(cell.high_to)}",
                "test": f"P {range_text(cell.p_value_from, cell.p_value_to, p_text)}; "
                f"significant in {shares[cell.factor_lu, cell.factor_control]} of cohorts",
            }
        )
    return pd.DataFrame(rows)


_TOLD = ("factors", "of_lu", "of_control", "result", "test")
"""What is told of a cell, a line each; on a phone a line is broken after its semicolon."""


def _shares_by_cell(stored: Stored, analysis: Analysis) -> dict[tuple[float, float], str]:
    """How often significant, by pair of factors: one share, or one for each rule for late deaths."""
    cells = ["factor_lu", "factor_control"]
    if len(parts(stored, analysis)) == 1:
        maps = stored.maps[stored.maps["analysis"] == analysis.name].set_index(cells)
        return maps["significant"].map(percent).to_dict()
    shares = stored.shares[stored.shares["analysis"] == analysis.name].sort_values("rule", kind="stable")
    return shares.groupby(cells)["significant"].agg(lambda s: " and ".join(map(percent, s))).to_dict()


def _half_step(stored: Stored) -> float:
    """Half the step between two factors, as a factor."""
    smallest, next_one, *_ = stored.manifest["factors"]
    return math.sqrt(next_one / smallest)


def _reading_text(row: pd.Series) -> str:
    dropouts = range_text(row["dropouts_from"], row["dropouts_to"], whole)
    events = range_text(row["events_from"], row["events_to"], whole)
    months = range_text(row["months_from"], row["months_to"], months_text)
    return f"{events} of {dropouts} have the event; half within {months} months"


def _map_line(stored: Stored, analysis: Analysis, members: pd.Index) -> pd.DataFrame:
    """Where significance is lost per factor of arm 1: `lu`, `from`, `middle`, `to`; NaN outside the map."""
    found = stored.lines[(stored.lines["analysis"] == analysis.name) & stored.lines["member"].isin(members)]
    # Never lost is 0: there, and between 0 and the smallest factor, the line has left the map.
    smallest = stored.manifest["factors"][0]
    rows = []
    for lu, values in found.groupby("factor_lu")["factor_control"]:
        over = reconstruction_range(values)
        middle = float(np.quantile(values, 0.5, method="nearest"))
        rows.append({"lu": lu, "from": over.low, "middle": middle, "to": over.high})
    ends = ["from", "middle", "to"]
    lines = pd.DataFrame(rows)
    lines[ends] = lines[ends].where(lines[ends] >= smallest)
    return lines.dropna(how="all", subset=ends)


def _map_chart(cells, lost, chosen: tuple[float, float], *, wide: bool) -> alt.VConcatChart:
    size = 400 if wide else 250
    picked = alt.selection_point(
        name="picked",
        fields=["lu", "control"],
        value=[{"lu": round(chosen[0], 4), "control": round(chosen[1], 4)}],
        toggle=False,
        empty=False,
    )
    scale = alt.Scale(type="log", base=2, domain=[cells["left"].min(), cells["right"].max()], nice=False)
    ticks = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16] if wide else [1 / 16, 1 / 4, 1, 4, 16]
    words = "datum.value < 1 ? '1/' + round(1 / datum.value) : format(datum.value, 'd')"
    axis = alt.Axis(values=ticks, labelExpr=words, grid=False, labelFlush=False)
    across = {
        "scale": scale,
        "axis": axis,
        "title": ["Hazard of control dropouts × …", "← better · worse →"],
    }
    up = {"scale": scale, "axis": axis, "title": "Hazard of 177Lu dropouts × …"}
    base = alt.Chart(cells)
    edges = {"x": alt.X("left:Q", **across), "x2": "right:Q", "y": alt.Y("bottom:Q", **up), "y2": "top:Q"}
    hints = [alt.Tooltip(f"{line}:N", title=title) for line, title in zip(_TOLD, _TOLD_TITLES, strict=True)]
    boxes = base.mark_rect().encode(**edges, **_class_look(), tooltip=hints).add_params(picked)
    frame = base.transform_filter(picked).mark_rect(
        fillOpacity=0, stroke=render.PALETTE["highlight"], strokeWidth=3
    )
    ones = alt.Chart(pd.DataFrame({"one": [1.0]})).mark_rule(strokeDash=[2, 3], color=render.PALETTE["ink"])
    layers = [
        boxes,
        *_lost_layers(lost, across, up),
        ones.encode(x=alt.X("one:Q", **across)),
        ones.encode(y=alt.Y("one:Q", **up)),
        frame.encode(**edges),
    ]
    the_map = alt.layer(*layers).properties(width=size, height=size)
    keys = [_class_key(size), *([_line_key(lost, size)] if _lines(lost) else [])]
    return alt.vconcat(*keys, the_map, _told(base, picked, wide), spacing=10).properties(
        padding=2, title=_notice()
    )


_TOLD_TITLES = ("Factors", "177Lu", "Control", "Result", "Test")


def _class_look() -> dict[str, alt.Color | alt.Opacity]:
    """Colour and opacity of the classes of the hazard ratio: the lower, the darker; above 1, another."""
    numbers = list(range(len(_CLASSES) + 1))
    colours = [render.PALETTE["lu"]] * len(_CLASSES) + [render.PALETTE["control"]]
    return {
        "color": alt.Color("class:O", scale=alt.Scale(domain=numbers, range=colours), legend=None),
        "opacity": alt.Opacity("shade:Q", scale=None),
    }


def _shade(number) -> float:
    """Opacity of a class."""
    return float([*np.linspace(0.95, 0.08, len(_CLASSES)).round(2), 0.6][number])


def _lost_layers(lost: Mapping[str, pd.DataFrame], across, up) -> list[alt.Chart]:
    """The line where significance is lost, in the middle of each part of the ensemble."""
    return [
        alt.Chart(line[["lu", "middle"]].dropna())
        .mark_line(color=render.PALETTE["ink"], strokeWidth=3, strokeDash=dash)
        .encode(x=alt.X("middle:Q", **across), y=alt.Y("lu:Q", **up), order="lu:Q")
        for line, dash in _lines(lost).values()
    ]


def _lines(lost: Mapping[str, pd.DataFrame]) -> dict[str, tuple[pd.DataFrame, list[int]]]:
    """The lines that lie on the map, with their dashes, by the part of the ensemble."""
    dashes = ([1, 0], [7, 4])
    return {
        label: (line, dash)
        for (label, line), dash in zip(lost.items(), dashes, strict=False)
        if line["middle"].notna().any()
    }


def _line_key(lost: Mapping[str, pd.DataFrame], size: int) -> alt.LayerChart:
    """What the lines on the map are."""
    heading = alt.TitleParams("Significance is lost left of the line", anchor="start", fontSize=13, offset=4)
    layers = []
    for number, (label, (_, dash)) in enumerate(_lines(lost).items()):
        base = alt.Chart(pd.DataFrame({"label": [label]}))
        y = alt.value(8 + 18 * number)
        layers += [
            base.mark_rule(color=render.PALETTE["ink"], strokeWidth=3, strokeDash=dash).encode(
                x=alt.value(0), x2=alt.value(34), y=y
            ),
            base.mark_text(align="left").encode(x=alt.value(42), y=y, text="label:N"),
        ]
    return alt.layer(*layers).properties(width=size, height=18 * len(_lines(lost)), title=heading)


def _class_key(size: int) -> alt.LayerChart:
    """The classes of the hazard ratio as a strip above the map."""
    width = size / (len(_CLASSES) + 1)
    key = pd.DataFrame({"class": range(len(_CLASSES) + 1), "edge": [*(f"{c:g}" for c in _CLASSES), ""]})
    key = key.assign(
        left=key["class"] * width, right=(key["class"] + 1) * width, shade=key["class"].map(_shade)
    )
    place = {"scale": alt.Scale(domain=[0, size], nice=False), "axis": None}
    boxes = alt.Chart(key).mark_rect(y=0, y2=12)
    edges = alt.Chart(key).mark_text(y=22, fontSize=12)
    heading = alt.TitleParams("Hazard ratio, middle of the cohorts", anchor="start", fontSize=13, offset=4)
    return alt.layer(
        boxes.encode(x=alt.X("left:Q", **place), x2="right:Q", **_class_look()),
        edges.encode(x=alt.X("right:Q", **place), text="edge:N"),
    ).properties(width=size, height=28, title=heading)


def _told(base: alt.Chart, picked, wide: bool) -> alt.Chart:
    """What is told of the chosen cell, in lines of text."""
    joined = " + '; ' + ".join(f"datum.{line}" for line in _TOLD) if not wide else None
    text = f"split({joined}, '; ')" if joined else f"[{', '.join(f'datum.{line}' for line in _TOLD)}]"
    heading = alt.TitleParams("The framed square", anchor="start", fontSize=13, offset=4)
    return (
        base.transform_filter(picked)
        .transform_calculate(told=text)
        .mark_text(align="left", baseline="top", x=0, y=0, lineHeight=19)
        .encode(text="told:N")
        .properties(width=400 if wide else 250, height=100 if wide else 195, title=heading)
    )


def _map_in_words(
    cells: pd.DataFrame, lost: Mapping[str, pd.DataFrame], stored: Stored, analysis: Analysis
) -> str:
    sentences = [
        f"{SYNTHETIC} {analysis.label}: a map of the hazard ratio of {stored.manifest['members']} cohorts "
        "over two factors, by which the hazard of the dropouts of each arm is multiplied.",
    ]
    size = stored.manifest["factors"][-1]
    for lu, control in ((1, 1), (2, 0.5), (4, 0.25), (size, 1 / size)):
        cell = cells[np.isclose(cells["lu"], lu) & np.isclose(cells["control"], control)].iloc[0]
        sentences.append(" ".join(f"{cell[line]}." for line in _TOLD))
    if all(line.empty for line in lost.values()):
        return " ".join([*sentences, "Significance is lost nowhere on the map."])
    for label, line in lost.items():
        points = [
            f"{factor_text(row['lu'])} and {factor_text(row['middle'])} "
            f"({factor_text(row['from'])} to {factor_text(row['to'])})"
            for _, row in line[line["lu"] >= 1].dropna().iterrows()
        ]
        sentences.append(
            f"{label}: significance is lost at these factors of 177Lu and control (range over the cohorts): "
            + "; ".join(points)
            + "."
        )
    return " ".join(sentences)


# --- spreads apart -------------------------------------------------------------------------------


def spreads(
    stored: Stored, live: Mapping[str, scenarios.Result], analysis: Analysis, level: float = 0.95
) -> pd.DataFrame:
    """Three spreads of the hazard ratio, each alone, one row per scenario and kind.

    `live`: results of the displayed cohort, by scenario. Kinds: `reconstruction` (pooled ratios over the
    members), `imputation` (ratios of the single imputations of the displayed cohort), `sampling` (its
    ratio with the limits of an average completed data set, which know nothing of imputation). Columns
    `low`, `high`: the central 95% of each.
    """
    rows = []
    for name, result in live.items():
        members = stored.scenarios.query("analysis == @analysis.name and scenario == @name")
        over = reconstruction_range(np.exp(members["log_ratio"]))
        single = np.exp(np.quantile(result.fits.log_ratio, [(1 - level) / 2, (1 + level) / 2]))
        alone = pooling.Pooled(result.pooled.log_ratio, result.pooled.within, 0.0, 1).limits(level)
        kinds = {"reconstruction": (over.low, over.high), "imputation": single, "sampling": alone}
        rows += [
            {"scenario": name, "kind": kind, "low": float(low), "high": float(high)}
            for kind, (low, high) in kinds.items()
            if kind != "imputation" or result.pooled.imputations > 1
        ]
    return pd.DataFrame(rows)


_KINDS = {
    "reconstruction": ("reconstruction: other cohorts that agree", "lu"),
    "imputation": ("imputation: other fates of the dropouts", "highlight"),
    "sampling": ("sampling: other patients by chance", "muted"),
}


def spread_chart(
    table: pd.DataFrame, labels: Mapping[str, str], analysis: Analysis, name: str
) -> render.Figure:
    """The three spreads side by side; `table` is `spreads(...)`, `labels` names its scenarios."""
    return render.Figure(
        name=name,
        chart=_spread(table, labels, 540),
        narrow=_spread(table, labels, 288),
        description=_spread_in_words(table, labels, analysis),
    )


def _spread(table: pd.DataFrame, labels: Mapping[str, str], width: int) -> alt.VConcatChart:
    domain = [min(table["low"]) / 1.06, max(table["high"]) * 1.06]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    names = {kind: words for kind, (words, _) in _KINDS.items()}
    colours = alt.Scale(domain=list(names.values()), range=[render.PALETTE[c] for _, c in _KINDS.values()])
    panels = []
    for number, (scenario, label) in enumerate(labels.items()):
        rows = table[table["scenario"] == scenario].assign(words=lambda t: t["kind"].map(names))
        rows["text"] = [range_text(r.low, r.high) for r in rows.itertuples()]
        last = number == len(labels) - 1
        axis = alt.Axis(
            values=[t for t in (*_TICKS, 0.4, 0.6, 0.8) if domain[0] <= t <= domain[1]], format="~g",
            labels=last, ticks=last, domain=last, labelFlush=False,
        )  # fmt: skip
        key = alt.Legend(title=None, orient="top", columns=1, symbolType="stroke", symbolStrokeWidth=6)
        panels.append(
            alt.Chart(rows)
            .mark_rule(strokeWidth=9)
            .encode(
                x=alt.X("low:Q", scale=scale, axis=axis, title="Hazard ratio" if last else None),
                x2="high:Q",
                y=alt.Y("words:N", sort=list(names.values()), axis=None),
                color=alt.Color("words:N", scale=colours, legend=key),
                tooltip=[alt.Tooltip("words:N", title="Spread"), alt.Tooltip("text:N", title="Central 95%")],
            )
            .properties(
                width=width,
                height=20 * len(rows),
                title=alt.TitleParams(label, fontSize=13, frame="group", offset=4),
            )
        )
    return alt.vconcat(*panels, spacing=10).properties(padding=2, title=_notice())


def _spread_in_words(table: pd.DataFrame, labels: Mapping[str, str], analysis: Analysis) -> str:
    parts = [f"{SYNTHETIC} {analysis.label}: the central 95% of three spreads of the hazard ratio."]
    for scenario, label in labels.items():
        rows = table[table["scenario"] == scenario]
        kinds = ", ".join(f"{r.kind} {range_text(r.low, r.high)}" for r in rows.itertuples())
        parts.append(f"{label}: {kinds}.")
    return " ".join(parts)


MONTHS = np.arange(0, 30.5, 0.5)
"""Points of the curves that are drawn."""


# --- curves: factor 1 changes no curve ---------------------------------------------------------------


def completed_curves(
    observed: Mapping[str, Curve], completed: Mapping[str, pd.DataFrame], labels: Mapping[str, str], name: str
) -> render.Figure:
    """Curves of the displayed cohort as observed, and the mean curve of the completed data sets.

    `observed`: curve by arm. `completed`: by key of `labels`, a table with `month` and one column per arm.
    """
    rows = pd.concat(
        [_observed_rows(observed)] + [_completed_rows(t, labels[k]) for k, t in completed.items()]
    )
    kinds = ["as observed", *labels.values()]
    return render.Figure(
        name=name,
        chart=_curves(rows, kinds, 545),
        narrow=_curves(rows, kinds, 250),
        description=_curves_in_words(rows),
    )


def _observed_rows(observed: Mapping[str, Curve]) -> pd.DataFrame:
    grid = MONTHS
    return pd.concat(
        pd.DataFrame(
            {
                "arm": arm,
                "month": grid,
                "what": "as observed",
                "survival": [c.at(m * DAYS_PER_MONTH) for m in grid],
            }
        ).dropna()
        for arm, c in observed.items()
    )


def _completed_rows(table: pd.DataFrame, label: str) -> pd.DataFrame:
    long = table.melt("month", var_name="arm", value_name="survival")
    return long.assign(what=label)


def _curves(rows: pd.DataFrame, kinds: list[str], width: int) -> alt.Chart:
    colours = {ARM_NAMES[arm]: arm for arm in ARM_NAMES}
    dashes = dict(zip(kinds, ([1, 0], [8, 4], [2, 3]), strict=False))
    named = rows.assign(colour=rows["arm"].map(ARM_NAMES), dash=rows["what"])
    return _curve_chart(named, colours, dashes, width, last=30).properties(title=_notice())


def _curve_chart(
    rows: pd.DataFrame, colours: Mapping[str, str], dashes: Mapping[str, list[int]], width: int, last: int
) -> alt.Chart:
    """Curves over months: `rows` has `month`, `survival`, `colour` and `dash`, the names in the two legends.

    `colours`: name -> colour of the palette; `dashes`: name -> pattern. Where both are the same names
    the legends become one.
    """
    key = {"title": None, "orient": "top", "columns": 1, "symbolStrokeWidth": 2.5, "symbolSize": 300}
    own_key = key | {"symbolStrokeColor": render.PALETTE["ink"], "orient": "bottom"}
    dash_key = key if list(colours) == list(dashes) else own_key
    palette = [render.PALETTE[colour] for colour in colours.values()]
    months = {
        "scale": alt.Scale(domain=[0, last], nice=False),
        "axis": alt.Axis(values=[*range(0, last + 1, 6)]),
    }
    shares = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(format=".0%")}
    return (
        alt.Chart(rows[["month", "survival", "colour", "dash"]].round(4))
        .mark_line(strokeWidth=2.25, interpolate="step-after")
        .encode(
            x=alt.X("month:Q", title="Months", **months),
            y=alt.Y("survival:Q", title="Share without an event", **shares),
            color=alt.Color(
                "colour:N", scale=alt.Scale(domain=list(colours), range=palette), legend=alt.Legend(**key)
            ),
            strokeDash=alt.StrokeDash(
                "dash:N",
                scale=alt.Scale(domain=list(dashes), range=list(dashes.values())),
                legend=alt.Legend(**dash_key),
            ),
            tooltip=[
                alt.Tooltip("colour:N", title="Curve"),
                alt.Tooltip("dash:N", title="Line"),
                alt.Tooltip("month:Q", title="Month", format=".1f"),
                alt.Tooltip("survival:Q", title="Without an event", format=".1%"),
            ],
        )
        .properties(width=width, height=300)
    )


def _curves_in_words(rows: pd.DataFrame) -> str:
    parts = [f"{SYNTHETIC} Displayed cohort, share without an event at 6 and 12 months."]
    for (what, arm), mine in rows.groupby(["what", "arm"], sort=False):
        values = mine.set_index("month")["survival"]
        at = " and ".join(
            f"{100 * values.loc[m]:.0f}%" if m in values.index else "not known" for m in (6.0, 12.0)
        )
        parts.append(f"{ARM_NAMES[arm]}, {what}: {at}.")
    return " ".join(parts)


# --- weights ----------------------------------------------------------------------------------------

_WEIGHTED = {
    "truth": ("the truth, had nobody left", "ink"),
    "unweighted": ("Kaplan–Meier, unweighted", "control"),
    "informed": ("weighted, the worsening known", "lu"),
}


def weighting_chart(law: weighting.Law, estimates: pd.DataFrame, name: str) -> render.Figure:
    """Truth, unweighted and weighted estimate in simulated patients, from `weighting.estimates(...)`."""
    days = np.arange(1, weighting.DAYS + 1, 7)
    table = estimates.loc[days].assign(truth=weighting.true_survival(law, days), month=days / DAYS_PER_MONTH)
    rows = table.melt("month", list(_WEIGHTED), "what", "survival").round(4)
    rows["words"] = rows["what"].map({k: words for k, (words, _) in _WEIGHTED.items()})
    return render.Figure(
        name=name,
        chart=_weighting(rows, 545),
        narrow=_weighting(rows, 250),
        description=_weighting_in_words(table),
    )


def _weighting(rows: pd.DataFrame, width: int) -> alt.Chart:
    colours = dict(_WEIGHTED.values())
    dashes = dict(zip(colours, ([1, 0], [2, 3], [8, 4]), strict=True))
    made = _curve_chart(
        rows.assign(colour=rows["words"], dash=rows["words"]), colours, dashes, width, last=24
    )
    return made.properties(title=_notice(SIMULATED))


def _weighting_in_words(table: pd.DataFrame) -> str:
    parts = []
    for month in (6, 12):
        row = table.iloc[(table["month"] - month).abs().argmin()]
        values = ", ".join(f"{words} {100 * row[key]:.0f}%" for key, (words, _) in _WEIGHTED.items())
        parts.append(f"At {month} months: {values}.")
    return f"{SIMULATED}; their leaving depends on a recorded worsening. Share without an event. " + " ".join(
        parts
    )
