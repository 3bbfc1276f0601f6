"""The front page's picture, and the charts of the chapter "Every number".

`primary_results` draws what the paper prints: nothing in it is computed, and it says so.
`ledger_by_location` draws what became of every printed number. `room_for` draws what the
others leave open in the place of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import altair as alt
import pandas as pd

from visiontrial import ledger, published
from visiontrial.evidence import bounds_in_words
from visiontrial.identities import Claim, Registry
from visiontrial.printed import Interval, as_printed
from visiontrial.render import ARMS, PALETTE, Figure, FigureError, arm_colours

END_POINTS = {"pfs": "Imaging-based progression-free survival", "os": "Overall survival"}

STANDINGS = {
    ("recomputed", "match"): ("recomputed: match", "recomputed"),
    ("recomputed", "differs"): ("recomputed: differs", "differs"),
    ("fitted", "match"): ("fitted: match", "fitted"),
    ("fitted", "differs"): ("fitted: differs", "differs"),
    ("quoted", "compatible"): ("quoted: compatible", "compatible"),
    ("quoted", "differs"): ("quoted: differs", "differs"),
    ("quoted", "unchecked"): ("quoted: unchecked", "quoted"),
}
"""Grade and verdict -> the words of the legend and the colour of the palette, in drawing order."""

LOCATIONS = {
    "abstract": "abstract",
    "methods": "methods",
    "results": "results",
    "discussion": "discussion",
    "figure1": "Figure 1",
    "table1": "Table 1",
    "table2": "Table 2",
    "captions": "captions",
}

MOST_CELLS = 15
"""More printable values than this are a crowd, not a picture."""


# --- what VISION showed -------------------------------------------------------------------


def primary_results() -> Figure:
    """Medians of both arms and hazard ratios with their intervals, for both primary end points."""
    medians, ratios = median_rows(), ratio_rows()
    draw = partial(_primary_chart, medians, ratios)
    return Figure(
        "primary-results",
        draw(width=560),
        _primary_description(medians, ratios),
        narrow=draw(width=276, stacked_legend=True),
    )


def median_rows() -> pd.DataFrame:
    """One row per end point and arm: `end_point`, `row`, `arm`, `arm_name`, `months`, `printed`, `claim`."""
    rows = [_median_row(row, stem, arm) for row, stem in enumerate(END_POINTS) for arm in ARMS]
    return pd.DataFrame(rows)


def ratio_rows() -> pd.DataFrame:
    """One row per end point: the hazard ratio, its limits and its level, as numbers and as printed."""
    return pd.DataFrame([_ratio_row(row, stem) for row, stem in enumerate(END_POINTS)])


def _median_row(row: int, stem: str, arm: str) -> dict:
    claim_id = f"{stem}.median.{arm}"
    return {
        "end_point": END_POINTS[stem],
        "row": row,
        "arm": arm,
        "arm_name": ARMS[arm],
        "months": float(published.value(claim_id)),
        "printed": published.printed(claim_id),
        "claim": claim_id,
    }


def _ratio_row(row: int, stem: str) -> dict:
    printed = {part: published.printed(f"{stem}.{part}") for part in ("hr", "ci-low", "ci-high", "ci-level")}
    return {
        "end_point": END_POINTS[stem],
        "row": row,
        "ratio": float(printed["hr"]),
        "low": float(printed["ci-low"]),
        "high": float(printed["ci-high"]),
        "printed": f"{printed['hr']} ({printed['ci-low']} to {printed['ci-high']})",
        "level": f"{printed['ci-level']}%",
        "claim": f"{stem}.hr",
    }


def _primary_chart(medians: pd.DataFrame, ratios: pd.DataFrame, *, width: int, stacked_legend=False):
    upper = _median_panel(medians, width, stacked_legend)
    lower = _ratio_panel(ratios, width)
    return alt.vconcat(upper, lower, spacing=24).resolve_scale(color="independent", shape="independent")


def _median_panel(medians: pd.DataFrame, width: int, stacked_legend: bool):
    y = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[-0.62, 1.35], reverse=True, nice=False, zero=False))
    x = alt.X(
        "months:Q",
        title="median, months",
        scale=alt.Scale(domain=[0, 17.5], nice=False),
        axis=alt.Axis(values=[0, 3, 6, 9, 12, 15], grid=False),
    )
    tooltip = [
        alt.Tooltip("end_point:N", title="end point"),
        alt.Tooltip("arm_name:N", title="arm"),
        alt.Tooltip("printed:N", title="median, months"),
        alt.Tooltip("claim:N", title="claim"),
    ]
    legend = alt.Legend(
        title=None,
        orient="top",
        direction="vertical" if stacked_legend else "horizontal",
        symbolSize=130,
        columnPadding=24,
        labelExpr=_words(ARMS),
    )
    base = alt.Chart(medians)
    names = base.transform_filter("datum.arm == 'lu'").mark_text(align="left", dy=-30, fontWeight="bold")
    spans = base.mark_line(strokeWidth=2, color=PALETTE["muted"])
    shapes = alt.Scale(domain=list(ARMS), range=["circle", "diamond"])
    dots = base.mark_point(filled=True, size=190, opacity=1).encode(
        color=alt.Color("arm:N", scale=arm_colours(), legend=legend),
        shape=alt.Shape("arm:N", scale=shapes, legend=legend),
        tooltip=tooltip,
    )
    numbers = base.mark_text(dy=20, fontWeight="bold").encode(text="printed:N")
    return alt.layer(
        names.encode(x=alt.value(0), y=y, text="end_point:N"),
        spans.encode(x=x, y=y, detail="row:N"),
        dots.encode(x=x, y=y),
        numbers.encode(x=x, y=y),
    ).properties(width=width, height=170)


def _ratio_panel(ratios: pd.DataFrame, width: int):
    y = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[-0.68, 1.25], reverse=True, nice=False, zero=False))
    scale = alt.Scale(type="log", domain=[0.25, 1.25], nice=False)
    axis = alt.Axis(values=[0.25, 0.5, 0.75, 1], format="~g", grid=False)
    title = ["hazard ratio", "(below 1: events come later with 177Lu-PSMA-617)"]
    x = alt.X("ratio:Q", title=title if width < 400 else " ".join(title), scale=scale, axis=axis)
    tooltip = [
        alt.Tooltip("end_point:N", title="end point"),
        alt.Tooltip("printed:N", title="hazard ratio (interval)"),
        alt.Tooltip("level:N", title="confidence level"),
        alt.Tooltip("claim:N", title="claim"),
    ]
    base = alt.Chart(ratios)
    # Beside the intervals only: on a phone the words above them need the whole width.
    beside = {"one": "1", "top": "datum.row - 0.14", "foot": "datum.row + 0.25"}
    unity = base.transform_calculate(**beside).mark_rule(color=PALETTE["muted"], strokeDash=[4, 3])
    names = base.mark_text(align="left", dy=-42, fontWeight="bold")
    bars = base.mark_rule(strokeWidth=3, color=PALETTE["ink"])
    dots = base.mark_point(filled=True, shape="square", size=130, opacity=1, color=PALETTE["ink"])
    numbers = base.transform_calculate(words="datum.printed + ', ' + datum.level + ' confidence interval'")
    return alt.layer(
        unity.encode(x=alt.X("one:Q", scale=scale), y=alt.Y("top:Q", axis=None), y2="foot:Q"),
        names.encode(x=alt.value(0), y=y, text="end_point:N"),
        bars.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y=y),
        dots.encode(x=x, y=y, tooltip=tooltip),
        numbers.mark_text(align="left", dy=-22).encode(x=alt.value(0), y=y, text="words:N"),
    ).properties(width=width, height=180)


def _primary_description(medians: pd.DataFrame, ratios: pd.DataFrame) -> str:
    sentences = ["As printed in the paper; nothing here was computed."]
    for ratio in ratios.itertuples():
        of = medians[medians["row"] == ratio.row].set_index("arm")["printed"]
        sentences.append(
            f"{ratio.end_point}: median {of['lu']} months with {ARMS['lu']} and {of['control']} months with "
            f"{ARMS['control']}; hazard ratio {ratio.printed}, {ratio.level} interval."
        )
    return " ".join(sentences)


# --- what became of every number ------------------------------------------------------------


def ledger_by_location(table: pd.DataFrame | None = None) -> Figure:
    """How many numbers each part of the paper prints, and how each stands; `table` is a ledger."""
    counts = standing_counts(ledger.compute() if table is None else table)
    draw = partial(_standing_chart, counts)
    return Figure(
        "ledger-by-location",
        draw(width=500),
        _standing_description(counts),
        narrow=draw(width=214, stacked_legend=True),
    )


def standing_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count a ledger by place and standing: `place`, `standing`, `order`, `numbers`, `middle`, `place_total`.

    `middle` is where a bar's segment is labelled. Raises `FigureError` for a pair of grade
    and verdict that has no colour.
    """
    pairs = set(zip(table["grade"], table["verdict"], strict=True))
    if unknown := pairs - STANDINGS.keys():
        raise FigureError(f"no colour for grade and verdict {sorted(unknown)}: add them to STANDINGS")
    counts = table.groupby(["location", "grade", "verdict"]).size().rename("numbers").reset_index()
    pairs = list(zip(counts["grade"], counts["verdict"], strict=True))
    order = list(STANDINGS)
    counts = counts.assign(
        place=counts["location"].map(LOCATIONS),
        standing=[STANDINGS[pair][0] for pair in pairs],
        order=[order.index(pair) for pair in pairs],
        rank=counts["location"].map(list(LOCATIONS).index),
    ).sort_values(["rank", "order"], ignore_index=True)
    ends = counts.groupby("place")["numbers"].cumsum()
    totals = counts.groupby("place")["numbers"].transform("sum")
    counts = counts.assign(middle=ends - counts["numbers"] / 2, place_total=totals)
    return counts[["place", "standing", "order", "numbers", "middle", "place_total"]]


def _standing_chart(counts: pd.DataFrame, *, width: int, stacked_legend=False):
    present = [(words, colour) for words, colour in STANDINGS.values() if words in set(counts["standing"])]
    plain = alt.Axis(ticks=False, domain=False, labelPadding=6)
    y = alt.Y("place:N", title=None, sort=list(LOCATIONS.values()), axis=plain)
    axis = alt.Axis(tickCount=5, grid=False)
    most = int(counts["place_total"].max())
    scale = alt.Scale(domain=[0, most * 1.2], nice=False)
    # A number needs some 26 pixels inside its segment.
    least = most * 1.2 * 26 / width
    color = alt.Color(
        "standing:N",
        scale=alt.Scale(domain=[w for w, _ in present], range=[PALETTE[c] for _, c in present]),
        legend=alt.Legend(
            title=None,
            orient="top",
            direction="vertical" if stacked_legend else "horizontal",
            columnPadding=20,
        ),
    )
    bars = (
        alt.Chart(counts)
        .mark_bar(stroke=PALETTE["surface"], strokeWidth=1.5, height=24)
        .encode(
            y=y,
            x=alt.X("numbers:Q", title="printed numbers", scale=scale, stack="zero", axis=axis),
            color=color,
            order="order:Q",
            tooltip=[
                alt.Tooltip("place:N", title="where"),
                alt.Tooltip("standing:N", title="grade and verdict"),
                alt.Tooltip("numbers:Q", title="numbers"),
                alt.Tooltip("place_total:Q", title="of"),
            ],
        )
    )
    inside = (
        alt.Chart(counts)
        .transform_filter(f"datum.numbers >= {least:.2f}")
        .mark_text(color=PALETTE["surface"], fontWeight="bold")
        .encode(y=y, x=alt.X("middle:Q", scale=scale), text="numbers:Q")
    )
    totals = (
        alt.Chart(counts.drop_duplicates("place"))
        .mark_text(align="left", dx=6)
        .encode(y=y, x=alt.X("place_total:Q", scale=scale), text="place_total:Q")
    )
    return alt.layer(bars, inside, totals).properties(width=width, height=alt.Step(34))


def _standing_description(counts: pd.DataFrame) -> str:
    sentences = [f"The paper prints {counts['numbers'].sum()} numbers."]
    for place, rows in counts.groupby("place", sort=False):
        parts = ", ".join(f"{row.numbers} {row.standing}" for row in rows.itertuples())
        sentences.append(f"{place[0].upper()}{place[1:]}: {rows['numbers'].sum()}, of them {parts}.")
    return " ".join(sentences)


# --- the room that the others leave -----------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """The values that `claim` may have, and the printable neighbours on the same line."""

    claim: Claim
    bounds: Interval
    cells: pd.DataFrame


def room_for(claim_id: str, known: Registry | None = None) -> Figure:
    """Where one claim must lie given all others, over the numbers that could be printed there.

    Raises `FigureError` when the others do not bound the claim on both sides, or leave more
    than `MOST_CELLS` values.
    """
    room = room_of(claim_id, ledger.registry() if known is None else known)
    draw = partial(_room_chart, room)
    slug = "room-for-" + claim_id.replace(".", "-")
    return Figure(slug, draw(width=560), _room_description(room), narrow=draw(width=300))


def room_of(claim_id: str, known: Registry) -> Room:
    """The room of one claim; `cells` has one row per printable number: `printed`, `low`, `high`, `state`."""
    claim, bounds = known.values[claim_id], known.bounds(claim_id)
    if bounds.is_empty or bounds.low is None or bounds.high is None:
        raise FigureError(f"the other numbers do not bound {claim_id} on both sides: nothing to draw")
    allowed = claim.allowed(bounds)
    if allowed.count is None or allowed.count > MOST_CELLS:
        raise FigureError(f"{claim_id} could be printed in {allowed.count} ways: too many to draw")
    step, decimals = claim.printed.step, claim.printed.decimals
    first = min(_steps(bounds.low, step), claim.printed.value / step) - 1
    last = max(_steps(bounds.high, step), claim.printed.value / step) + 1
    rows = [
        _cell(claim, number * step, decimals, bounds) for number in range(int(max(first, 0)), int(last) + 1)
    ]
    return Room(claim, bounds, pd.DataFrame(rows))


def _steps(value: Fraction, step: Fraction) -> int:
    return int(value / step + Fraction(1, 2))


def _cell(claim: Claim, value: Fraction, decimals: int, bounds: Interval) -> dict:
    rounding = Interval(value - claim.printed.step / 2, value + claim.printed.step / 2, high_open=True)
    possible = bounds.meets(Interval.point(value) if claim.exact else rounding)
    is_printed = value == claim.printed.value
    state = "printed" if is_printed else "could be printed too" if possible else "could not"
    return {
        "printed": as_printed(value, decimals),
        "low": float(rounding.low),
        "high": float(rounding.high),
        "middle": float(value),
        "possible": "yes" if possible else "no",
        "state": state,
    }


def _room_chart(room: Room, *, width: int):
    cells = room.cells
    scale = alt.Scale(domain=[float(cells["low"].min()), float(cells["high"].max())], nice=False, zero=False)
    states = ["printed", "could be printed too", "could not"]
    x = alt.X("low:Q", scale=scale, axis=None)
    boxes = (
        alt.Chart(cells)
        .mark_rect(stroke=PALETTE["muted"], strokeWidth=1, y=34, y2=74)
        .encode(
            x=x,
            x2="high:Q",
            color=alt.Color(
                "state:N",
                scale=alt.Scale(
                    domain=states, range=[PALETTE["recomputed"], PALETTE["compatible"], PALETTE["panel"]]
                ),
                legend=alt.Legend(
                    title=None, orient="bottom", direction="horizontal" if width > 400 else "vertical"
                ),
            ),
            tooltip=[
                alt.Tooltip("printed:N", title="number"),
                alt.Tooltip("possible:N", title="possible, given the others"),
            ],
        )
    )
    labels = (
        alt.Chart(cells)
        .mark_text(fontWeight="bold", y=54)
        .encode(
            x=alt.X("middle:Q", scale=scale, axis=None),
            text="printed:N",
            color=alt.condition(
                "datum.state == 'could not'", alt.value(PALETTE["ink"]), alt.value(PALETTE["surface"])
            ),
        )
    )
    span = pd.DataFrame({"low": [float(room.bounds.low)], "high": [float(room.bounds.high)]})
    stroke = {"strokeWidth": 5, "strokeCap": "round", "color": PALETTE["highlight"]}
    line = alt.Chart(span).mark_rule(y=24, **stroke).encode(x=x, x2="high:Q")
    name = (
        alt.Chart(span.assign(text="where it must lie, given the others"))
        .transform_calculate(middle="(datum.low + datum.high) / 2")
        .mark_text(y=8)
        .encode(x=alt.X("middle:Q", scale=scale, axis=None), text="text:N")
    )
    return alt.layer(boxes, labels, line, name).properties(width=width, height=80)


def _room_description(room: Room) -> str:
    claim, cells = room.claim, room.cells
    possible = " and ".join(cells.loc[cells["possible"] == "yes", "printed"]) or "none"
    room_in_words = bounds_in_words(room.bounds, claim.printed.decimals + 3)
    return (
        f"The paper prints {claim.printed.text} for {claim.claim_id}. Where it must lie, given the other "
        f"numbers: {room_in_words}. Of the neighbouring numbers, {possible} could be printed."
    )


def _words(names: dict[str, str]) -> str:
    """A Vega expression that turns each value into its words."""
    pairs = ", ".join(f"'{value}': '{words}'" for value, words in names.items())
    return f"{{{pairs}}}[datum.value]"
