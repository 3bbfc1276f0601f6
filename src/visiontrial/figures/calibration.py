"""Coverage on simulated trials, to be looked at: by family and by quantity, with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import pandas as pd

from visiontrial import render, tables
from visiontrial.cohort import ensemble
from visiontrial.cohort.calibration import KEYS, LEVEL
from visiontrial.figures.reconstruction import panel_title, share_text
from visiontrial.printed import as_printed


def coverage(quantities: pd.DataFrame, families: pd.DataFrame) -> render.Figure:
    """Coverage on simulated trials with its interval, by family and by quantity, against the nominal one.

    `quantities`: `reconstruction.of_quantities(...)`; `families`: `reconstruction.of_families(...)`.
    """
    rows = _coverage_rows(quantities)
    overall = _family_rows(families)
    return render.Figure(
        name="calibration-coverage",
        chart=_coverage_chart(overall, rows, 400, labels=160),
        narrow=_coverage_chart(overall, rows, 140, labels=160),
        description=_coverage_in_words(rows, overall),
    )


FAMILIES = {
    "prior": "the engine's prior",
    "piecewise": "piecewise",
    "weibull": "Weibull, proportional",
    "crossing": "crossing hazards",
    "delayed": "delayed effect",
    "cure": "cure",
    "dropout": "early dropout",
    "all": "all families",
}


def _family_rows(families: pd.DataFrame) -> pd.DataFrame:
    return families.assign(row=families["family"].map(FAMILIES), differs=False)


def _coverage_rows(quantities: pd.DataFrame) -> pd.DataFrame:
    sides = quantities["arm"].map({"all": ""}).fillna(", " + quantities["arm"])
    return quantities.assign(row=quantities["quantity"].map(_coverage_words) + sides)


def _coverage_words(kind: str) -> str:
    month = kind.removeprefix("survival_")
    return {
        "events": "events",
        "median_low": "median, low",
        "median_high": "median, high",
        "censored_early": "censored early",
        "rmst_difference": "means",
        "hazard_ratio_unstratified": "ratio, unstratified",
        "log_rank_chi_square": "log-rank",
        "ph_p": "PH test, P",
        "ph_slope": "PH slope",
    }.get(kind, f"month {month}")


def _coverage_chart(overall: pd.DataFrame, rows: pd.DataFrame, width: int, labels: int) -> alt.VConcatChart:
    lowest = math.floor(10 * min(overall["coverage_low"].min(), rows["coverage_low"].min())) / 10
    titled = {"Families: mean share of quantities covered": overall} | {
        f"{name}: each quantity": table for name, table in rows.groupby("endpoint", sort=False)
    }
    panels = [_coverage_panel(table, width, labels, lowest, title) for title, table in titled.items()]
    return alt.vconcat(*panels, spacing=18).properties(
        title=alt.Title("Simulated trials", fontSize=14, offset=10)
    )


def _coverage_panel(rows: pd.DataFrame, width: int, labels: int, lowest: float, title: str) -> alt.LayerChart:
    columns = ["row", "coverage", "coverage_low", "coverage_high", "nominal", "trials", "differs"]
    data = rows[columns].copy().astype({"trials": int})
    data[columns[1:5]] = data[columns[1:5]].astype(float).round(4)
    scale = alt.Scale(domain=[lowest, 1], nice=False, zero=False)
    base = alt.Chart(data).encode(
        y=alt.Y(
            "row:N", sort=None, title=None,
            axis=alt.Axis(domain=False, ticks=False, minExtent=labels, maxExtent=labels, grid=True),
        ),
        tooltip=[
            alt.Tooltip("row:N", title="Of"),
            alt.Tooltip("coverage:Q", title="Coverage", format=".0%"),
            alt.Tooltip("coverage_low:Q", title="95% interval from", format=".0%"),
            alt.Tooltip("coverage_high:Q", title="to", format=".0%"),
            alt.Tooltip("nominal:Q", title="Nominal", format=".0%"),
            alt.Tooltip("trials:Q", title="Trials"),
        ],
    )  # fmt: skip
    x = alt.X(
        "coverage:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(values=[lowest, (lowest + 1) / 2, 1], format=".0%", grid=False),
    )
    colour = alt.condition(
        "datum.differs", alt.value(render.PALETTE["differs"]), alt.value(render.PALETTE["ink"])
    )
    nominal = base.mark_tick(color=render.PALETTE["highlight"], thickness=2.5, size=18).encode(
        x=alt.X("nominal:Q")
    )
    lines = base.mark_rule(strokeWidth=1.6).encode(
        x=alt.X("coverage_low:Q"), x2="coverage_high:Q", color=colour
    )
    dots = base.mark_point(filled=True, size=50, opacity=1).encode(
        x=x, color=colour,
        shape=alt.condition("datum.differs", alt.value("square"), alt.value("circle")),
    )  # fmt: skip
    return alt.layer(lines, nominal, dots).properties(
        width=width, height=alt.Step(20), title=panel_title(title, frame="bounds")
    )


def _coverage_in_words(rows: pd.DataFrame, overall: pd.DataFrame) -> str:
    everything = overall[overall["family"] == "all"].iloc[0]
    poor = rows[rows["differs"]]
    names = "; ".join(f"{r.endpoint} {r.row} ({share_text(r.coverage)})" for r in poor.itertuples()) or "none"
    return (
        f"On {int(everything['trials'])} simulated trials the reconstruction range held "
        f"{100 * everything['coverage']:.0f}% of the true values (95% interval "
        f"{100 * everything['coverage_low']:.0f} to {100 * everything['coverage_high']:.0f}%), where "
        f"{100 * everything['nominal']:.0f}% would be expected. Of {len(rows)} quantities the interval of "
        f"the coverage leaves out the nominal one for {len(poor)}: {names}."
    )


# --- ranks --------------------------------------------------------------------------------------------


def rank_plot(histogram: pd.DataFrame, departures: pd.DataFrame) -> render.Figure:
    """Where the truth ranks among the members: over all quantities, and each quantity for itself.

    `histogram`: `ranks.histogram(...)`; `departures`: `ranks.departures(...)`.
    """
    return render.Figure(
        name="calibration-ranks",
        chart=_rank_chart(histogram, departures, width=238, columns=2),
        narrow=_rank_chart(histogram, departures, width=256, columns=1),
        description=_ranks_in_words(histogram, departures),
    )


def _rank_chart(histogram: pd.DataFrame, departures: pd.DataFrame, width: int, columns: int):
    panels = [_histogram_panel(histogram, width), _departures_panel(departures, width)]
    return alt.concat(*panels, columns=columns, spacing=24).properties(
        title=alt.Title("Simulated trials", fontSize=14, offset=10)
    )


def _histogram_panel(histogram: pd.DataFrame, width: int) -> alt.LayerChart:
    data = histogram.astype(float).round(4).reset_index()
    base = alt.Chart(data).encode(
        x=alt.X(
            "place:Q",
            title=["Place of the truth among the members", "(1: below all of them)"],
            scale=alt.Scale(domain=[0.25, len(data) + 0.75], nice=False),
            axis=alt.Axis(values=[1, len(data) // 2, len(data)], grid=False),
        ),
        tooltip=[
            alt.Tooltip("place:Q", title="Place"),
            alt.Tooltip("share:Q", title="Share of true values", format=".1%"),
            alt.Tooltip("low:Q", title="95% interval from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
        ],
    )
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format=".0%", grid=False, tickCount=4))
    bars = base.mark_bar(size=width / len(data) - 3, color=render.PALETTE["grid"]).encode(y=y)
    intervals = base.mark_rule(color=render.PALETTE["ink"], strokeWidth=1.6).encode(
        y=alt.Y("low:Q"), y2="high:Q"
    )
    even = alt.Chart(pd.DataFrame({"share": [1 / len(data)]})).mark_rule(
        color=render.PALETTE["highlight"], strokeWidth=2
    )
    return alt.layer(bars, intervals, even.encode(y="share:Q")).properties(
        width=width, height=200, title=panel_title("All quantities: share in each place")
    )


def _departures_panel(departures: pd.DataFrame, width: int) -> alt.LayerChart:
    places = departures["places"].max()
    data = departures.assign(
        row=departures["endpoint"] + " " + _coverage_rows(departures)["row"],
        passed=(departures["places"] / places).round(4),
    )
    data = data[["row", "passed", "difference", "leaves"]].round({"difference": 4})
    band = _band_of_most(departures).assign(passed=lambda rows: (rows["places"] / places).round(4))
    x = alt.X(
        "passed:Q",
        title=["Share of the places, from below", ""],
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", values=[0, 0.5, 1], grid=False),
    )
    y = alt.Y("difference:Q", title=None, axis=alt.Axis(format="+.0%", grid=True, tickCount=5))
    area = (
        alt.Chart(band[["passed", "low", "high"]].round(4))
        .mark_area(color=render.PALETTE["grid"], opacity=0.7)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    )
    lines = alt.Chart(data).encode(
        x=x,
        y=y,
        detail="row:N",
        tooltip=[
            alt.Tooltip("row:N", title="Quantity"),
            alt.Tooltip("difference:Q", title="Observed less even share", format="+.0%"),
        ],
    )
    inside = lines.transform_filter("!datum.leaves").mark_line(
        strokeWidth=1, opacity=0.7, color=render.PALETTE["muted"]
    )
    outside = lines.transform_filter("datum.leaves").mark_line(
        strokeWidth=2, strokeDash=[5, 2], color=render.PALETTE["differs"]
    )
    return alt.layer(area, inside, outside).properties(
        width=width, height=200, title=panel_title("Each quantity: observed less even share")
    )


def _band_of_most(departures: pd.DataFrame) -> pd.DataFrame:
    """The limits for as many trials as most quantities have."""
    usual = departures[departures["trials"] == departures["trials"].mode().iloc[0]]
    return usual.drop_duplicates("places")


def _ranks_in_words(histogram: pd.DataFrame, departures: pd.DataFrame) -> str:
    apart = ((histogram["low"] > 1 / len(histogram)) | (histogram["high"] < 1 / len(histogram))).sum()
    leaving = departures.groupby(KEYS)["leaves"].first()
    return (
        f"Simulated trials drawn from the engine's own prior. Left: the share of true values in each of "
        f"{len(histogram)} places among the members, from {share_text(histogram['share'].min(), 1)} to "
        f"{share_text(histogram['share'].max(), 1)}, where {share_text(1 / len(histogram), 1)} is expected; "
        f"the 95% interval leaves that out in {apart} places. Right: for each of {len(leaving)} quantities "
        f"the share of truths in the lower places less the expected share, from "
        f"{share_text(departures['difference'].min())} to {share_text(departures['difference'].max())}; "
        f"{leaving.sum()} of them leave the band that holds even ranks as a whole in 95% of cases."
    )


def evenness_in_words(histogram: pd.DataFrame, departures: pd.DataFrame) -> str:
    """Whether places or quantities depart from even ranks more often than chance lets them, in words."""
    even = 1 / len(histogram)
    apart = ((histogram["low"] > even) | (histogram["high"] < even)).mean()
    leaving = departures.drop_duplicates(KEYS)["leaves"].mean()
    found = {"over all quantities": apart, "in single quantities": leaving}
    where = [words for words, share in found.items() if share > 1 - LEVEL]
    if not where:
        return "Neither shows in these trials."
    return f"In these trials the ranks are not even {' nor '.join(where)}: see the figure for the direction."


def leaving_in_words(departures: pd.DataFrame) -> str:
    """The quantities whose ranks leave their band, in the order of the table."""
    rows = _coverage_rows(departures[departures["leaves"]].drop_duplicates(KEYS))
    return "; ".join(f"{r.endpoint} {r.row}" for r in rows.itertuples()) or "none"


# --- tables -------------------------------------------------------------------------------------------


def coverage_table(quantities: pd.DataFrame) -> tables.Printable:
    """Coverage, its interval, the nominal coverage, bias and width of each quantity."""
    rows = _coverage_rows(quantities)
    cells = pd.DataFrame(
        {
            "group": rows["endpoint"],
            "label": rows["row"],
            "coverage": [f"{r.covered} of {r.trials}" for r in rows.itertuples()],
            "interval": [_percents(r.coverage_low, r.coverage_high) for r in rows.itertuples()],
            "nominal": [as_printed(100 * r.nominal, 0) for r in rows.itertuples()],
            "bias": [_calibration_text(r.quantity, r.bias) for r in rows.itertuples()],
            "width": [_calibration_text(r.quantity, r.width) for r in rows.itertuples()],
        }
    )
    headings = {
        "coverage": "Covered", "interval": "95% interval, %", "nominal": "Nominal, %", "bias": "Bias",
        "width": "Width",
    }  # fmt: skip
    note = (
        "Simulated trials, not VISION. Interval: Clopper and Pearson. Bias: middle member minus truth, mean "
        "over trials. Width: largest minus smallest member, mean over trials. Shares at a month in "
        "percentage points."
    )
    caption = "Coverage of the reconstruction range on simulated trials"
    return tables.from_rows("calibration", caption, cells, stub="Quantity", headings=headings, notes=[note])


def _calibration_text(kind: str, value: float) -> str:
    if kind.startswith("survival_"):
        return as_printed(100 * value, 1).replace("-", "−")
    return as_printed(value, 2).replace("-", "−")


def _percents(low: float, high: float) -> str:
    return f"{as_printed(100 * low, 0)} to {as_printed(100 * high, 0)}"


def family_table(families: pd.DataFrame, failures: pd.DataFrame) -> tables.Printable:
    """Coverage and failed chains of every family of simulated trials."""
    total = failures.sum()
    rows = []
    for r in families.itertuples():
        chains = total if r.family == "all" else failures.loc[r.family]
        rows.append(
            {
                "label": FAMILIES[r.family],
                "trials": str(r.trials),
                "left_out": str(r.left_out),
                "coverage": _in_two_lines(r),
                "nominal": as_printed(100 * r.nominal, 0),
                "failed": f"{chains['failed']} of {chains['chains']}",
            }
        )
    headings = {
        "trials": "Trials", "left_out": "Left out", "coverage": "Covered, %\n(95% interval)",
        "nominal": "Nominal, %", "failed": "Failed chains",
    }  # fmt: skip
    note = (
        "Simulated trials, not VISION. Interval: Student's t over trials. Left out: trials in which fewer "
        "than half of the chains were accepted."
    )
    caption = "Coverage by family of simulated trials"
    return tables.from_rows(
        "calibration-families", caption, rows, stub="Family", headings=headings, notes=[note]
    )


def _in_two_lines(row) -> str:
    return f"{as_printed(100 * row.coverage, 0)}\n({_percents(row.coverage_low, row.coverage_high)})"


def with_limits(row: pd.Series) -> str:
    """A coverage with its 95% interval, in percent: `88% (85 to 92%)`."""
    return f"{share_text(row['coverage'])} ({_percents(row['coverage_low'], row['coverage_high'])}%)"


def families_in_words(names: Iterable[str]) -> str:
    """Families of simulated trials in words, in the order of the table."""
    return ", ".join(words for name, words in FAMILIES.items() if name in set(names))


def covered_in_words(quantities: pd.DataFrame) -> str:
    """Quantities with their coverage, from the lowest."""
    rows = _coverage_rows(quantities).sort_values("coverage")
    return "; ".join(f"{r.endpoint} {r.row} ({share_text(r.coverage)})" for r in rows.itertuples()) or "none"


def bias_in_words(quantity: pd.Series) -> str:
    """A quantity with its bias and the width of its range: `PFS events (10.07 of a width of 36.29)`."""
    row = _coverage_rows(quantity.to_frame().T).iloc[0]
    bias, width = (_calibration_text(row["quantity"], float(row[c])) for c in ("bias", "width"))
    return f"{row['endpoint']} {row['row']} ({bias} of a width of {width})"


def engines_in_words(manifest: Mapping[str, Any]) -> str:
    """Which parts of the stored calibration the present engine made, and which an earlier state of it."""
    present = ensemble.engine_fingerprint()
    made = {half: entry["engine_sha256"] == present for half, entry in manifest["halves"].items()}
    earlier = [half for half, by_present in made.items() if not by_present]
    if not earlier:
        return "All parts were made with the present state of the engine."
    return (
        f"Made with an earlier state of the engine's source than the present one: {', '.join(earlier)}. "
        f"Made with the present one: {', '.join(half for half in made if made[half]) or 'none'}."
    )


def failed_in_words(failures: pd.DataFrame) -> str:
    """Failed chains of a half of the calibration, of how many: `126 of 1368`."""
    return f"{failures['failed'].sum()} of {failures['chains'].sum()}"
