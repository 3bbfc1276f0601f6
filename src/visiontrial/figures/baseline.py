"""Chapter 2: Table 1 to be printed, the image of balance, the two periods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import altair as alt
import great_tables as gt
import pandas as pd

from visiontrial import baseline, render, tables
from visiontrial.baseline import ARMS, MEASURES, ROWS, SETS
from visiontrial.periods import before, day, since
from visiontrial.printed import as_printed

_SET_COLOURS = {"pfs_set": "ink", "all_randomized": "ink", "before_march_2019": "highlight"}
# Hollow: those who are in both of the other sets.
_SET_FILLS = _SET_COLOURS | {"all_randomized": "surface"}
_EARLIER = "before_march_2019"
_PERIODS = (_EARLIER, "pfs_set")
_SET_SHAPES = {"pfs_set": "circle", "all_randomized": "diamond", "before_march_2019": "triangle-up"}

_ROW_HEIGHT = 23

# Rows as a chart names them: alone, without the heading that stands above them in the table.
_CHART_LABELS = {
    "ecog-0-1": "ECOG 0 or 1",
    "ecog-2": "ECOG 2",
    "lung": "Lung disease",
    "liver": "Liver disease",
    "lymph-node": "Lymph-node disease",
    "bone": "Bone disease",
    "gleason-8-10": "Gleason 8–10",
    "gleason-2-7": "Gleason 2–7",
    "gleason-unknown": "Gleason unknown",
    "prostatectomy": "Prostatectomy",
    "arpi-1": "One ARPI",
    "arpi-2": "Two ARPIs",
    "arpi-more-than-2": "More than two ARPIs",
    "taxane-1": "One taxane",
    "taxane-2": "Two taxanes",
    "taxane-more-than-2": "More than two taxanes",
    "docetaxel": "Docetaxel",
    "cabazitaxel": "Cabazitaxel",
}
# The other half of a yes and no: the mirror image of its partner, and no news.
_MIRROR_IMAGES = ("ecog-2",)


def set_names() -> dict[str, str]:
    """The three sets of patients as a heading names them, in the order of the columns."""
    return {
        "pfs_set": _capitalized(since()),
        "all_randomized": "All randomized",
        "before_march_2019": _capitalized(before()),
    }


def _capitalized(words: str) -> str:
    return words[0].upper() + words[1:]


# --- tables -------------------------------------------------------------------------------

_COLUMNS = [(analysis_set, arm) for analysis_set in SETS.values() for arm in ARMS]
_COUNTS_NOTE = (
    "Counts with percent, medians with range. 177Lu: 177Lu-PSMA-617 plus standard care. "
    "Control: standard care alone."
)
_ITALICS_NOTE = "In italics, not printed in the paper: what the printed rows of a characteristic leave over."
_EARLIER_NOTE = (
    ": all randomized minus those randomized on or after that day (the analysis set for imaging-based "
    "progression-free survival); not printed in the paper. A median or an end of a range with ≤ or ≥ is a "
    "bound; an end without a sign is exact."
)


def table_one(table: pd.DataFrame) -> tables.Printable:
    """Table 1 with two more columns: the patients of the earlier period.

    `table` is `baseline.counts()`.
    """
    frame = pd.DataFrame([*_measure_rows(), *_count_rows(table)])
    derived = [n for n, row in enumerate(ROWS, start=len(MEASURES)) if row.rest_of]
    made = gt.GT(frame, rowname_col="label", groupname_col="group").tab_stubhead("Characteristic")
    for analysis_set, heading in set_names().items():
        made = made.tab_spanner(heading, [f"{analysis_set}.{arm}" for arm in ARMS], id=analysis_set)
    made = made.cols_label(_headings(table)).cols_align("right", [f"{s}.{arm}" for s, arm in _COLUMNS])
    made = made.tab_style(gt.style.text(style="italic"), gt.loc.body(rows=derived))
    made = made.tab_style(gt.style.text(style="italic"), gt.loc.stub(rows=derived))
    for note in (_COUNTS_NOTE, _ITALICS_NOTE, set_names()[_EARLIER] + _EARLIER_NOTE):
        made = made.tab_source_note(note)
    return tables.printable(made, "baseline", "Characteristics of the patients at baseline")


def period_table(table: pd.DataFrame, tests: pd.DataFrame, adjustment: str) -> tables.Printable:
    """The tests between the two periods, one row per characteristic, smallest P value first.

    `table` is `baseline.counts()`, `tests` is `baseline.period_tests(table, ...)`, and
    `adjustment` the name of its multiplicity method, for the heading.
    """
    ordered = tests.sort_values("p", kind="stable")
    frame = pd.DataFrame(
        {
            "label": [baseline.name_of(v) for v in ordered.index],
            "test": ordered["test"],
            "p": ordered["p"].map(p_text),
            "adjusted": ordered["p_adjusted"].map(p_text),
            "reading": ["differs" if r else "not shown to differ" for r in ordered["rejected"]],
        }
    )
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Characteristic")
        .cols_label(test="Test", p="P value", adjusted=f"P adjusted ({adjustment})", reading="Reading")
        .cols_align("right", ["p", "adjusted"])
        .cols_align("left", ["test", "reading"])
        .tab_source_note(_periods_note(table))
    )
    return tables.printable(made, "periods", f"Randomized before, and on or after, {day()}")


def by_variable_table(differences: pd.DataFrame) -> tables.Printable:
    """One standardized difference per characteristic and set; `baseline.balance_by_variable(...)`."""
    frame = differences[list(set_names())].map(lambda d: as_printed(d, 2))
    frame.insert(0, "label", [baseline.name_of(v) for v in frame.index])
    made = (
        gt.GT(frame, rowname_col="label")
        .tab_stubhead("Characteristic")
        .cols_label(set_names())
        .cols_align("right", list(set_names()))
        .tab_source_note("177Lu-PSMA-617 against control; all levels of a characteristic at once; no sign.")
    )
    return tables.printable(made, "balance", "Standardized differences by characteristic")


def p_text(p: float) -> str:
    """A P value with three decimals, as `<0.001` below that."""
    return "<0.001" if p < 0.001 else as_printed(float(p), 3)


def with_percent(count: int, n: int) -> str:
    """A count and its percent as the paper prints them: `352 (91.4)`."""
    return f"{count} ({as_printed(100 * Fraction(int(count), int(n)), 1)})"


def _headings(table: pd.DataFrame) -> dict:
    names = {"lu": "177Lu", "control": "Control"}
    return {f"{s}.{arm}": f"{names[arm]}\nN = {baseline.size(table, s, arm)}" for s, arm in _COLUMNS}


def _measure_rows() -> Iterator[dict]:
    for measure, (label, unit) in MEASURES.items():
        cells = {f"{s}.{arm}": _two_lines(baseline.spread_of(measure, s, arm)) for s, arm in _COLUMNS}
        yield {"group": "Median (range)", "label": f"{label}, {unit}", **cells}


def _two_lines(spread: baseline.Spread) -> str:
    return f"{spread.median}\n({spread.range})"


def _count_rows(table: pd.DataFrame) -> Iterator[dict]:
    cells = table.set_index(["row", "analysis_set", "arm"])
    for row in ROWS:
        at = {f"{s}.{arm}": cells.loc[(row.row, s, arm)] for s, arm in _COLUMNS}
        counts = {column: with_percent(cell["count"], cell["n"]) for column, cell in at.items()}
        yield {"group": f"{row.group}, no. (%)", "label": row.label, **counts}


def _periods_note(table: pd.DataFrame) -> str:
    n = {s: sum(baseline.size(table, s, arm) for arm in ARMS) for s in set_names()}
    return (
        f"Both arms together: {n['before_march_2019']} patients before, {n['pfs_set']} on or after. "
        "The periods were not randomized; the P values are two-sided."
    )


# --- the image of balance -------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What differs between the chart on a page and the one on a phone."""

    width: int
    legend_columns: int
    balance_title: tuple[str, ...]
    balance_ticks: tuple[float, ...]


_WIDE = _Layout(
    430,
    3,
    ("Standardized difference", "← more in the control arm  ·  more in the 177Lu-PSMA-617 arm →"),
    (-0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4),
)
_NARROW = _Layout(
    158, 1, ("Standardized difference", "← control  ·  177Lu-PSMA-617 →"), (-0.4, -0.2, 0, 0.2, 0.4)
)


def love_plot(table: pd.DataFrame, smd_threshold: float) -> render.Figure:
    """Standardized differences between the arms, row by row, in the three sets.

    `table` is `baseline.counts()`; the grey band holds what is smaller than `smd_threshold`.
    """
    points = _balance_points(baseline.balance(table))
    return render.Figure(
        name="baseline-balance",
        chart=_love_chart(points, smd_threshold, _WIDE),
        narrow=_love_chart(points, smd_threshold, _NARROW),
        description=_balance_in_words(points, smd_threshold),
    )


def _balance_points(differences: pd.DataFrame) -> pd.DataFrame:
    shown = differences[~differences["row"].isin(_MIRROR_IMAGES)]
    return pd.DataFrame(
        {
            "row": shown["row"].map(_CHART_LABELS),
            "group": shown["group"],
            "set": shown["analysis_set"].map(set_names()),
            "smd": shown["smd"].round(4),
            "lu": [f"{with_percent(r.count_lu, r.n_lu)} of {r.n_lu}" for r in shown.itertuples()],
            "control": [
                f"{with_percent(r.count_control, r.n_control)} of {r.n_control}" for r in shown.itertuples()
            ],
        }
    ).reset_index(drop=True)


def _love_chart(points: pd.DataFrame, threshold: float, layout: _Layout) -> alt.LayerChart:
    reach = max(0.4, 1.1 * threshold, 1.1 * points["smd"].abs().max())
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    picked = alt.selection_point(name="picked", fields=["set"], bind="legend")
    names = list(set_names().values())
    legend = alt.Legend(title=None, orient="top", columns=layout.legend_columns)
    strokes, fills = (
        alt.Scale(domain=names, range=[render.PALETTE[c] for c in colours.values()])
        for colours in (_SET_COLOURS, _SET_FILLS)
    )
    shapes = alt.Scale(domain=names, range=list(_SET_SHAPES.values()))
    axis = alt.Axis(format=".1f", values=list(layout.balance_ticks), labelFlush=False, grid=False)
    dots = (
        alt.Chart(points)
        .mark_point(size=80, strokeWidth=1.5)
        .encode(
            x=alt.X("smd:Q", title=list(layout.balance_title), scale=scale, axis=axis),
            y=_named_rows("row", points["row"]),
            stroke=alt.Stroke("set:N", scale=strokes, legend=legend),
            fill=alt.Fill("set:N", scale=fills, legend=legend),
            shape=alt.Shape("set:N", scale=shapes, legend=legend),
            opacity=alt.when(picked).then(alt.value(1)).otherwise(alt.value(0.15)),
            tooltip=[
                alt.Tooltip("row:N", title="Characteristic"),
                alt.Tooltip("set:N", title="Randomized"),
                alt.Tooltip("lu:N", title="177Lu-PSMA-617"),
                alt.Tooltip("control:N", title="Control"),
                alt.Tooltip("smd:Q", title="Standardized difference", format="+.3f"),
            ],
        )
        .add_params(picked)
    )
    return alt.layer(_band(threshold, scale), _zero(scale), dots).properties(
        width=layout.width, height=alt.Step(_ROW_HEIGHT)
    )


def _band(threshold: float, scale: alt.Scale) -> alt.Chart:
    limits = pd.DataFrame({"low": [-threshold], "high": [threshold]})
    return (
        alt.Chart(limits)
        .mark_rect(color=render.PALETTE["grid"], opacity=0.6)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    )


def _zero(scale: alt.Scale) -> alt.Chart:
    line = alt.Chart(pd.DataFrame({"smd": [0]})).mark_rule(color=render.PALETTE["muted"])
    return line.encode(x=alt.X("smd:Q", scale=scale))


def _named_rows(field: str, names: pd.Series) -> alt.Y:
    """One line per row, in the order in which they come, each with a guide to its name."""
    axis = alt.Axis(domain=False, ticks=False, grid=True, labelPadding=8)
    return alt.Y(f"{field}:N", sort=list(names.unique()), title=None, axis=axis)


def _balance_in_words(points: pd.DataFrame, threshold: float) -> str:
    sentences = [
        f"Standardized differences between the arms for {points['row'].nunique()} rows of Table 1, in three "
        "sets of patients; positive where the 177Lu-PSMA-617 arm has more."
    ]
    for name, in_set in points.groupby("set", sort=False):
        beyond = in_set[in_set["smd"].abs() > threshold]
        widest = in_set.loc[in_set["smd"].abs().idxmax()]
        sentences.append(
            f"{name}: {len(beyond)} of {len(in_set)} beyond {threshold:g} in size; the largest is "
            f"{signed(widest['smd'])} ({widest['row']}: {widest['lu']} against {widest['control']})."
        )
    return " ".join(sentences)


def signed(difference: float) -> str:
    """A difference with its sign and two decimals: `+0.17`, `−0.14`."""
    return ("−" if difference < 0 else "+") + as_printed(abs(float(difference)), 2)


# --- the two periods ----------------------------------------------------------------------------


def periods(table: pd.DataFrame) -> render.Figure:
    """How common each characteristic was in the two periods, both arms together, widest gap first.

    `table` is `baseline.counts()`.
    """
    points = _period_points(baseline.pooled(table))
    return render.Figure(
        name="baseline-periods",
        chart=_period_chart(points, _WIDE),
        narrow=_period_chart(points, _NARROW),
        description=_periods_in_words(points),
    )


def _period_points(both: pd.DataFrame) -> pd.DataFrame:
    shown = both[both["analysis_set"].isin(_PERIODS) & ~both["row"].isin(_MIRROR_IMAGES)]
    wide = shown.pivot(index="row", columns="analysis_set", values="percent")
    gap = wide["pfs_set"] - wide["before_march_2019"]
    order = gap.abs().sort_values(ascending=False, kind="stable").index
    frame = pd.DataFrame(
        {
            "row": shown["row"],
            "label": shown["row"].map(_CHART_LABELS),
            "randomized": shown["analysis_set"].map(set_names()),
            "percent": shown["percent"].round(4),
            "patients": [f"{with_percent(r.count, r.n)} of {r.n}" for r in shown.itertuples()],
            "gap": shown["row"].map(gap).round(4),
        }
    )
    return frame.set_index("row").loc[order].reset_index()


def _period_chart(points: pd.DataFrame, layout: _Layout) -> alt.LayerChart:
    names = [set_names()[s] for s in _PERIODS]
    legend = alt.Legend(title=None, orient="top", columns=min(2, layout.legend_columns))
    colours = alt.Scale(domain=names, range=[render.PALETTE[_SET_COLOURS[s]] for s in _PERIODS])
    shapes = alt.Scale(domain=names, range=[_SET_SHAPES[s] for s in _PERIODS])
    x = alt.X(
        "percent:Q",
        title="Percent of patients",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(values=[0, 25, 50, 75, 100], labelFlush=False, grid=False),
    )
    y = _named_rows("label", points["label"])
    bridges = alt.Chart(points).mark_line(color=render.PALETTE["muted"], strokeWidth=2.5)
    dots = alt.Chart(points).mark_point(filled=True, size=95, opacity=1)
    return alt.layer(
        bridges.encode(x=x, y=y, detail="label:N"),
        dots.encode(
            x=x,
            y=y,
            color=alt.Color("randomized:N", scale=colours, legend=legend),
            shape=alt.Shape("randomized:N", scale=shapes, legend=legend),
            tooltip=[
                alt.Tooltip("label:N", title="Characteristic"),
                alt.Tooltip("randomized:N", title="Randomized"),
                alt.Tooltip("patients:N", title="Patients"),
                alt.Tooltip("gap:Q", title="Later minus earlier, points", format="+.1f"),
            ],
        ),
    ).properties(width=layout.width, height=alt.Step(_ROW_HEIGHT))


def _periods_in_words(points: pd.DataFrame) -> str:
    labels = points["label"].unique()
    pairs = points.pivot(index="label", columns="randomized", values="patients").loc[labels]
    early, late = (pairs[set_names()[s]] for s in _PERIODS)
    widest = "; ".join(f"{label}, {early[label]} before and {late[label]} after" for label in labels[:4])
    return (
        f"Percent of patients with each of {len(labels)} characteristics, randomized before and on or after "
        f"{day()}, both arms together. The four widest gaps: {widest}."
    )
