"""The reconstructed cohorts to be looked at: curves, targets, chains, ranges. All of it is synthetic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from visiontrial import reconstruction, render, tables
from visiontrial.cohort.derived import Derived
from visiontrial.cohort.quantities import horizon
from visiontrial.cohort.specification import DAYS_PER_MONTH, Target, Trial
from visiontrial.printed import as_printed, parse
from visiontrial.reconstruction import Quantity, Rebuilt

SYNTHETIC = "Reconstructed patients, not data of the trial"
NOT_REACHED = "not reached"
LINES = 10
"""Members drawn one by one, the first so many: chosen by their number, not by their looks."""

_SHORT_ENDPOINTS = {
    "OS": "Overall survival",
    "PFS": "Progression-free survival",
    "SSE": "Skeletal event or death",
}


# --- words --------------------------------------------------------------------------------------------


def what(kind: str, until: float) -> str:
    """A kind of quantity in words; `until`: the horizon of restricted means, in months."""
    if kind.startswith("survival_"):
        return f"Without the event at {kind.removeprefix('survival_')} months, %"
    return {
        "events": "Events",
        "median_low": "Median, lower limit, months",
        "median_high": "Median, upper limit, months",
        "censored_early": f"Censored before month {until:g}",
        "rmst_difference": f"Restricted means to month {until:g}, difference in months",
        "hazard_ratio_unstratified": "Hazard ratio, unstratified",
        "log_rank_chi_square": "Log-rank chi-square, stratified",
        "ph_p": "Proportional hazards, P",
        "ph_slope": "Change of the log hazard ratio",
    }[kind]


def value_text(kind: str, value: float) -> str:
    """A value of a quantity as a table shows it."""
    if math.isinf(value):
        return NOT_REACHED
    if kind.startswith("survival_"):
        return as_printed(100 * value, 0)
    if kind == "ph_p":
        return "<0.001" if value < 0.001 else as_printed(value, 3)
    decimals = {"events": 0, "censored_early": 0, "hazard_ratio_unstratified": 2}.get(kind, 1)
    return as_printed(value, decimals).replace("-", "−")


def range_text(kind: str, low: float, high: float) -> str:
    """A reconstruction range as a table shows it."""
    return f"{value_text(kind, low)} to {value_text(kind, high)}"


def cell(ranges: pd.DataFrame, name: str) -> str:
    """The reconstruction range of one quantity from `reconstruction.ranges(...)`, as text."""
    return range_text(Quantity.of(name).kind, *ranges.loc[name, ["low", "high"]])


def ends_text(kind: str, values: pd.Series) -> str:
    """The smallest to the largest of some values of a quantity, as text."""
    return range_text(kind, values.min(), values.max())


def share_text(share: float, decimals: int = 0) -> str:
    """A share as a percent: `78%`."""
    return f"{as_printed(100 * float(share), decimals)}%"


def name_of(name: str, trial: Trial) -> str:
    """A quantity in words, with its end point and set."""
    quantity = Quantity.of(name)
    title = endpoint_title(quantity.paramcd, quantity.population, trial)
    return f"{title}: {_with_arm(quantity, horizon(trial, quantity.population))}"


def largest_shifts(compared: pd.DataFrame, trial: Trial, number: int = 3) -> str:
    """In parentheses, what moved most of `reconstruction.against(...)`, by its middle; empty for nothing."""
    rows = compared.loc[compared["shift"].abs().sort_values(ascending=False).index[:number]]
    words = "; ".join(f"{name_of(name, trial)}, {_moved(row['shift'])}" for name, row in rows.iterrows())
    first = "" if len(rows) == len(compared) else f"the first {len(rows)}: "
    return f" ({first}{words})" if words else ""


def _moved(shift: float) -> str:
    return f"{'up' if shift > 0 else 'down'} by {share_text(abs(shift))} of the range"


def least_and_most(values: pd.Series, decimals: int) -> str:
    """The smallest to the largest of some values: `0.54 to 0.86`."""
    return f"{as_printed(float(values.min()), decimals)} to {as_printed(float(values.max()), decimals)}"


def by_rule_in_words(fates: Mapping[str, pd.DataFrame], rule: str) -> str:
    """Accepted of all chains that ended under a rule, ensemble by ensemble: `174 of 196, 13 of 21`."""
    return ", ".join(f"{t.loc[rule, 'accepted']} of {t.loc[rule, 'all']}" for t in fates.values())


def rule_in_words(rule: str) -> str:
    """A rule for late deaths, as the chains name it, in words: `count`, `within 168 days`."""
    if rule == "count":
        return "every known death counts"
    return f"deaths count {rule} of the last assessment"


def endpoint_title(paramcd: str, population: str, trial: Trial) -> str:
    """An end point and the set it is analysed in, with its number of patients."""
    periods = trial.populations[population]
    patients = sum(n for (_, period), n in trial.randomized.items() if period in periods)
    return f"{_SHORT_ENDPOINTS.get(paramcd, paramcd)} ({patients} patients)"


# --- tables -------------------------------------------------------------------------------------------


def range_table(
    cells: pd.DataFrame, name: str, caption: str, headings: Mapping[str, str], note: str
) -> tables.Printable:
    """Reconstruction ranges to be printed: the one type of table for them.

    `cells`: columns `group`, `label` and one of text per heading, in order. `note` says what the
    ranges are of; that they are of synthetic patients is added.
    """
    return tables.from_rows(
        name, caption, cells, stub="Quantity", headings=headings, notes=[f"{SYNTHETIC}. {note}"]
    )


def implied_table(quantities: pd.DataFrame, trial: Trial, paramcd: str, population: str) -> tables.Printable:
    """What the printed numbers imply of one end point: ranges in either arm and between the arms."""
    found = reconstruction.ranges(quantities.filter(regex=rf"^{paramcd}\.{population}\."))
    until = horizon(trial, population)
    lines: dict[str, dict[str, str]] = {}
    for name in found.index:
        quantity = Quantity.of(name)
        group = "In each arm" if quantity.arm else "Between the arms"
        empty = {"group": group, "label": what(quantity.kind, until), "lu": "", "control": ""}
        lines.setdefault(quantity.kind, empty)[quantity.arm or "lu"] = cell(found, name)
    return range_table(
        pd.DataFrame(lines.values()),
        f"implied-{paramcd.lower()}-{population.replace('_', '-')}",
        f"{endpoint_title(paramcd, population, trial)}: reconstruction ranges",
        {"lu": "177Lu", "control": "Control"},
        f"Central 95% of {len(quantities)} cohorts that all agree with the paper. "
        "Between the arms: 177Lu against control.",
    )


def side_by_side(
    named: Mapping[str, pd.DataFrame], chosen: list[str], trial: Trial, name: str, caption: str, note: str
) -> tables.Printable:
    """The ranges of the same quantities in several ensembles, one column each, with its number of members."""
    found = {f"e{n}": reconstruction.ranges(q[chosen]) for n, q in enumerate(named.values())}
    rows = []
    for text in chosen:
        quantity = Quantity.of(text)
        row = {"group": endpoint_title(quantity.paramcd, quantity.population, trial)}
        row["label"] = _with_arm(quantity, horizon(trial, quantity.population))
        rows.append(row | {column: cell(ranges, text) for column, ranges in found.items()})
    headings = {f"e{n}": f"{label}\n{len(q)} cohorts" for n, (label, q) in enumerate(named.items())}
    return range_table(pd.DataFrame(rows), name, caption, headings, note)


_ARMS_SHORT = {"lu": "177Lu", "control": "control", "test": "new"}


def _with_arm(quantity: Quantity, until: float) -> str:
    words = what(quantity.kind, until)
    return f"{words}, {_ARMS_SHORT[quantity.arm]}" if quantity.arm else words


def fixed_table(trial: Trial) -> tables.Printable:
    """The counts that every cohort has exactly, by arm and period.

    Patients, untreated ones and those of them who died, end states, factors whose counts are printed.
    """
    counts = {"Randomized": trial.randomized}
    if trial.untreated is not None:
        counts["Never received the assigned treatment"] = trial.untreated
    if trial.untreated_deaths is not None:
        counts["Of these, because they died"] = trial.untreated_deaths
    counts |= {state.label: state.counts for state in trial.end_states}
    counts |= {f"{f.label}: {f.levels[1]}": f.counts for f in trial.factors if f.counts is not None}
    columns = {f"c{n}": cell for n, cell in enumerate(trial.cells)}
    rows = [
        {"label": label} | {column: str(of_cell.get(cell, 0)) for column, cell in columns.items()}
        for label, of_cell in counts.items()
    ]
    first = trial.periods[0].name
    ends = {p.name: f"to {p.last}" if p.name == first else f"from {p.first}" for p in trial.periods}
    labels = {arm.name: arm.label for arm in trial.arms}
    headings = {column: f"{_ARMS_SHORT[arm]}\n{ends[period]}" for column, (arm, period) in columns.items()}
    arms = "; ".join(f"{_ARMS_SHORT[name]}, {label}" for name, label in labels.items())
    note = f"Numbers of the paper, or differences of such numbers; 0 where it lists nobody. Arms: {arms}."
    caption = "What every cohort has exactly: numbers of patients by arm and day of randomization"
    return tables.from_rows("fixed-counts", caption, rows, stub="Patients", headings=headings, notes=[note])


def targets_table(trial: Trial) -> tables.Printable:
    """Every target of a trial: what it is of, the printed characters, and the values that print alike."""
    targets = reconstruction.targets_of(trial)
    cells = pd.DataFrame(
        {
            "group": [endpoint_title(t.paramcd, t.population, trial) for t in targets],
            "label": [_target_words(t) for t in targets],
            "printed": [t.printed for t in targets],
            "low": [f"{t.low:.6g}" for t in targets],
            "high": [f"{t.high:.6g}" for t in targets],
        }
    )
    headings = {"printed": "Printed", "low": "From", "high": "To below"}
    note = f"From, to below: the values that print alike. Times in months of {DAYS_PER_MONTH} days."
    caption = f"{trial.name}: what the search is held to"
    return tables.from_rows(
        f"targets-{trial.size}", caption, cells, stub="Target", headings=headings, notes=[note]
    )


def _target_words(target: Target) -> str:
    words = _STATISTICS[target.statistic]
    arm = f", {_ARMS_SHORT[target.arm]}" if target.arm in _ARMS_SHORT else ""
    return f"{words[0].upper()}{words[1:]}{arm}"


def steps_table(
    rebuilt: Mapping[str, Rebuilt],
    curves: Mapping[str, pd.DataFrame],
    statistics: Mapping[str, pd.DataFrame],
    trial: Trial,
) -> tables.Printable:
    """What each step of the small trial made: cohorts, failed chains, targets met, survival, hazard ratio.

    `statistics`: those of `reconstruction.recomputed(...)`, with the claim `os.hr` among them.
    """
    number = len(reconstruction.targets_of(trial))
    rows = []
    for step, cohorts in rebuilt.items():
        at_12 = curves[step][curves[step]["month"] == 12].groupby("arm")["survival"]
        met = reconstruction.targets_met(statistics[step], trial)
        row = {"label": step, "members": str(len(cohorts.members)), "failed": str(cohorts.failed)}
        row["met"] = ends_text("events", met) if met.nunique() > 1 else str(met.iloc[0])
        row |= {arm: ends_text("survival_12", values) for arm, values in at_12}
        row["ratio"] = ends_text("hazard_ratio_unstratified", statistics[step]["os.hr"])
        rows.append(row)
    headings = {
        "members": "Cohorts", "failed": "Failed chains", "met": f"Targets met\nof {number}",
        **{arm: f"Alive at 12 months, %\n{words}" for arm, words in _STEP_ARMS.items()},
        "ratio": "Hazard ratio\nfor death",
    }  # fmt: skip
    note = f"{SYNTHETIC}. The trial is invented. From the smallest to the largest of the cohorts."
    caption = "A small invented trial, rebuilt in three steps"
    return tables.from_rows("miniature", caption, rows, stub="Held to", headings=headings, notes=[note])


# --- curves -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What differs between the chart on a page and the one on a phone."""

    panel: int
    columns: int


_WIDE = _Layout(panel=236, columns=2)
_NARROW = _Layout(panel=254, columns=1)


def survival_bands(derived: Derived, shown: list[tuple[str, str]], trial: Trial) -> render.Figure:
    """Reconstruction ranges of Kaplan-Meier curves, some members, and the medians that the paper prints.

    `shown`: end points with the sets they are analysed in, a panel each.
    """
    panels = [_Panel.of(derived, *pair, trial) for pair in shown]
    return render.Figure(
        name="reconstruction-curves",
        chart=_survival_chart(panels, _WIDE),
        narrow=_survival_chart(panels, _NARROW),
        description=_survival_in_words(panels, len(derived.quantities)),
    )


@dataclass(frozen=True, eq=False)
class _Panel:
    """One end point: `bands` (arm, month, low, high), `lines` (member, arm, month, survival), `medians`."""

    title: str
    bands: pd.DataFrame
    lines: pd.DataFrame
    medians: pd.DataFrame

    @classmethod
    def of(cls, derived: Derived, paramcd: str, population: str, trial: Trial) -> _Panel:
        arms = {
            arm.name: derived.curve(paramcd, population, arm.name).dropna().astype(float)
            for arm in trial.arms
        }
        medians = [
            {"arm": t.arm, "month": float(parse(t.printed).value), "survival": 0.5, "printed": t.printed}
            for t in reconstruction.targets_of(trial)
            if (t.statistic, t.paramcd, t.population) == ("median", paramcd, population)
        ]
        return cls(
            endpoint_title(paramcd, population, trial),
            pd.concat([_band(curves, arm) for arm, curves in arms.items()], ignore_index=True),
            pd.concat([_lines(curves, arm) for arm, curves in arms.items()], ignore_index=True),
            pd.DataFrame(medians),
        )


def _band(curves: pd.DataFrame, arm: str) -> pd.DataFrame:
    ends = reconstruction.ranges(curves.T)[["low", "high"]].astype(float).round(4)
    return ends.rename_axis("month").reset_index().assign(arm=arm)


def _lines(curves: pd.DataFrame, arm: str) -> pd.DataFrame:
    few = curves[curves.columns[:LINES]].round(4).reset_index()
    return few.melt("month", var_name="member", value_name="survival").assign(arm=arm)


def _survival_chart(panels: list[_Panel], layout: _Layout) -> alt.ConcatChart:
    drawn = [_survival_panel(panel, layout) for panel in panels]
    return _side_by_side(drawn, layout.columns, 24)


def _synthetic_title() -> alt.Title:
    return alt.Title(SYNTHETIC, fontSize=14, offset=10)


def _survival_panel(panel: _Panel, layout: _Layout) -> alt.LayerChart:
    x = alt.X(
        "month:Q",
        title="Months since randomization",
        scale=alt.Scale(domain=[0, 30], nice=False),
        axis=alt.Axis(values=list(range(0, 31, 6)), grid=False),
    )
    y = alt.Y("low:Q", title="Without the event, %", scale=alt.Scale(domain=[0, 1]), axis=_percent_axis())
    colour = _arm_colour(layout)
    bands = (
        alt.Chart(panel.bands)
        .mark_area(opacity=0.35)
        .encode(
            x=x, y=y, y2="high:Q", color=colour,
            tooltip=[
                alt.Tooltip("month:Q", title="Month"),
                alt.Tooltip("low:Q", title="Reconstruction range from", format=".0%"),
                alt.Tooltip("high:Q", title="to", format=".0%"),
            ],
        )
    )  # fmt: skip
    lines = (
        alt.Chart(panel.lines)
        .mark_line(strokeWidth=0.8, opacity=0.6)
        .encode(x=x, y="survival:Q", color=colour, detail="member:N")
    )
    half = alt.Chart(pd.DataFrame({"survival": [0.5]})).mark_rule(strokeDash=[2, 3]).encode(y="survival:Q")
    medians = (
        alt.Chart(panel.medians)
        .mark_point(shape="diamond", filled=True, size=90, color=render.PALETTE["ink"], opacity=1)
        .encode(x=x, y="survival:Q", tooltip=[alt.Tooltip("printed:N", title="Printed median, months")])
    )
    return alt.layer(bands, half, lines, medians).properties(
        width=layout.panel, height=230, title=panel_title(panel.title)
    )


def _side_by_side(panels: Sequence[alt.TopLevelMixin], columns: int, spacing: int) -> alt.ConcatChart:
    """Panels under one notice. All name the same legend, which Vega draws once."""
    return alt.concat(*panels, columns=columns, spacing=spacing).properties(title=_synthetic_title())


def panel_title(text: str, frame: str = "group") -> alt.Title:
    return alt.Title(text, fontSize=13, fontWeight="normal", offset=6, frame=frame, anchor="start")


def _percent_axis() -> alt.Axis:
    return alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".0%", grid=True)


def _arm_colour(layout: _Layout) -> alt.Color:
    names = "{'lu': '177Lu-PSMA-617', 'control': 'standard care alone'}[datum.label]"
    key = alt.Legend(title=None, orient="top", columns=layout.columns, labelExpr=names)
    return alt.Color("arm:N", scale=render.arm_colours(), legend=key)


def _survival_in_words(panels: list[_Panel], members: int) -> str:
    sentences = [
        f"{SYNTHETIC}. Kaplan-Meier curves of {members} reconstructed cohorts in two arms: the shaded bands "
        "hold the central 95% of the cohorts at each month, a reconstruction range."
    ]
    for panel in panels:
        widths = panel.bands.assign(width=panel.bands["high"] - panel.bands["low"])
        widest = widths.loc[widths["width"].idxmax()]
        medians = " and ".join(panel.medians["printed"])
        sentences.append(
            f"{panel.title}: all curves pass one half at the printed medians, {medians} months; the widest "
            f"range is {100 * widest['low']:.0f}% to {100 * widest['high']:.0f}%, at month "
            f"{widest['month']:.0f} in the arm {render.ARMS[widest['arm']]}."
        )
    return " ".join(sentences)


# --- the small trial ----------------------------------------------------------------------------------


def steps(curves: Mapping[str, pd.DataFrame], trial: Trial) -> render.Figure:
    """The members of a small trial, each a curve per arm, in one panel for each step of what is printed.

    `curves` maps a step in words to `reconstruction.curves(...)`.
    """
    longest = max(frame["month"].max() for frame in curves.values())
    return render.Figure(
        name="miniature-steps",
        chart=_steps_chart(curves, longest, width=138, columns=len(curves)),
        narrow=_steps_chart(curves, longest, width=250, columns=1),
        description=_steps_in_words(curves, trial),
    )


def _steps_chart(
    curves: Mapping[str, pd.DataFrame], longest: int, width: int, columns: int
) -> alt.ConcatChart:
    panels = [
        _step_panel(title, frame, longest, width, titled=n == 0 or columns == 1)
        for n, (title, frame) in enumerate(curves.items())
    ]
    return _side_by_side(panels, columns, 16)


_STEP_ARMS = {"control": "usual care", "test": "invented drug"}


def _step_panel(title: str, frame: pd.DataFrame, longest: int, width: int, *, titled: bool) -> alt.LayerChart:
    names = f"{{{', '.join(f'{k!r}: {v!r}' for k, v in _STEP_ARMS.items())}}}[datum.label]"
    key = alt.Legend(title=None, orient="top", labelExpr=names, columns=2)
    colours = alt.Scale(domain=list(_STEP_ARMS), range=[render.PALETTE["control"], render.PALETTE["lu"]])
    lines = (
        alt.Chart(frame.round(4))
        .mark_line(strokeWidth=1, opacity=0.6, interpolate="step-after")
        .encode(
            x=alt.X(
                "month:Q",
                title="Months",
                scale=alt.Scale(domain=[0, longest], nice=False),
                axis=alt.Axis(values=list(range(0, longest + 1, 6)), grid=False),
            ),
            y=alt.Y(
                "survival:Q",
                title="Alive, %" if titled else None,
                scale=alt.Scale(domain=[0, 1]),
                axis=_percent_axis(),
            ),
            color=alt.Color("arm:N", scale=colours, legend=key),
            strokeDash=alt.StrokeDash(
                "arm:N", scale=alt.Scale(domain=list(_STEP_ARMS), range=[[7, 3], [1, 0]]), legend=key
            ),
            detail="member:N",
        )
    )
    half = alt.Chart(pd.DataFrame({"survival": [0.5]})).mark_rule(strokeDash=[2, 3]).encode(y="survival:Q")
    return alt.layer(half, lines).properties(width=width, height=190, title=panel_title(title))


def _steps_in_words(curves: Mapping[str, pd.DataFrame], trial: Trial) -> str:
    sentences = [
        f"{SYNTHETIC}. Survival curves of rebuilt cohorts of an invented trial of {trial.size} patients, "
        f"in {len(curves)} steps."
    ]
    for title, frame in curves.items():
        middle = frame[frame["month"] == 12].groupby("arm")["survival"].agg(["min", "max"])
        spans = "; ".join(
            f"{_STEP_ARMS[arm]} {100 * row['min']:.0f}% to {100 * row['max']:.0f}%"
            for arm, row in middle.iterrows()
        )
        sentences.append(f"{title}: {frame['member'].nunique()} cohorts; alive at month 12, {spans}.")
    return " ".join(sentences)


# --- targets ------------------------------------------------------------------------------------------


def target_places(places: pd.DataFrame, trial: Trial) -> render.Figure:
    """Where the members' values lie inside the rounding interval of each printed statistic."""
    rows = pd.DataFrame(_place_rows(places, trial))
    return render.Figure(
        name="target-places",
        chart=_places_chart(rows, 350, printed=True),
        narrow=_places_chart(rows, 128, printed=False),
        description=_places_in_words(rows, len(places)),
    )


_STATISTICS = {
    "median": "median",
    "hazard_ratio": "hazard ratio",
    "ci_low": "lower limit",
    "ci_high": "upper limit",
    "followup": "follow-up",
    "followup_low": "follow-up, lower",
    "followup_high": "follow-up, upper",
    "time_to_cutoff": "time to cutoff",
}


def _place_rows(places: pd.DataFrame, trial: Trial) -> Iterator[dict]:
    everybody = next(iter(trial.populations))
    for target in reconstruction.targets_of(trial):
        values = places[target.claim_id]
        arm = f", {_ARMS_SHORT[target.arm]}" if target.arm in _ARMS_SHORT else ""
        in_set = " (PFS set)" if target.paramcd == "OS" and target.population != everybody else ""
        yield {
            "row": f"{target.paramcd} {_STATISTICS[target.statistic]}{arm}{in_set}",
            "printed": target.printed,
            "claim": target.claim_id,
            **{name: round(float(values.quantile(p)), 4) for name, p in _FIVE.items()},
        }


_FIVE = {"lowest": 0.0, "lower": 0.25, "middle": 0.5, "upper": 0.75, "highest": 1.0}


def _places_chart(rows: pd.DataFrame, width: int, *, printed: bool) -> alt.LayerChart:
    x = alt.X(
        "lowest:Q",
        title=["Place inside", "the rounding interval"],
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(
            values=[0, 0.5, 1],
            labelExpr="datum.value == 0 ? 'lower end' : datum.value == 1 ? 'upper end' : ''",
            labelFlush=True,
        ),
    )
    base = alt.Chart(rows).encode(
        y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False, grid=False)),
        tooltip=[
            alt.Tooltip("claim:N", title="Claim"),
            alt.Tooltip("printed:N", title="Printed"),
            *(alt.Tooltip(f"{name}:Q", title=name, format=".2f") for name in _FIVE),
        ],
    )
    walls = base.mark_bar(height=14, color=render.PALETTE["grid"], opacity=0.6).encode(
        x=alt.datum(0), x2=alt.datum(1)
    )
    lines = base.mark_rule(color=render.PALETTE["fitted"], strokeWidth=1.6).encode(x=x, x2="highest:Q")
    boxes = base.mark_bar(height=8, color=render.PALETTE["fitted"]).encode(x=alt.X("lower:Q"), x2="upper:Q")
    middles = base.mark_tick(color=render.PALETTE["surface"], thickness=2, size=8).encode(x=alt.X("middle:Q"))
    layers = [walls, lines, boxes, middles]
    if printed:
        layers.append(base.mark_text(align="left", dx=6).encode(x=alt.datum(1), text="printed:N"))
    return alt.layer(*layers).properties(width=width, height=alt.Step(20), title=_synthetic_title())


def _places_in_words(rows: pd.DataFrame, members: int) -> str:
    least, most = rows["lowest"].min(), rows["highest"].max()
    spread = (rows["upper"] - rows["lower"]).median()
    return (
        f"{SYNTHETIC}. For each of {len(rows)} printed statistics, where the values of {members} cohorts lie "
        "in the interval of values that print alike, from its lower end at 0 to its upper at 1: from the "
        f"smallest to the largest, with the middle half. Over all rows they lie between {least:.3f} and "
        f"{most:.3f}. The middle half is typically {100 * spread:.0f}% of the interval wide."
    )


# --- chains -------------------------------------------------------------------------------------------


def memory(
    traces: pd.DataFrame, monitored: Mapping[str, str], trial: Trial, every: int, mixing: pd.DataFrame
) -> render.Figure:
    """Traces of the first chains in the hard phase: one panel per monitored quantity, one line per chain.

    `monitored` maps columns of the traces to words; `every`: sweeps between two recorded rows;
    `mixing`: `diagnostics.mixing(traces)`.
    """
    rules = ["late deaths count" if r == "count" else f"not beyond {r:g} days" for r in trial.late_deaths]
    chosen = traces[traces["member"] < LINES]
    shared = chosen[["member"]].assign(
        sweep=every * chosen.groupby("member").cumcount(),
        rule=[rules[int(number)] for number in chosen["late_deaths"]],
    )
    frames = {
        words: shared.assign(value=chosen[column].astype(float).round(4))
        for column, words in monitored.items()
    }
    r_hat = mixing.set_index("quantity")["r_hat"]
    return render.Figure(
        name="chain-memory",
        chart=_memory_chart(frames, rules, width=244, columns=2),
        narrow=_memory_chart(frames, rules, width=258, columns=1),
        description=_memory_in_words(frames, {words: r_hat[column] for column, words in monitored.items()}),
    )


_RULE_COLOURS = ("fitted", "recomputed")
_RULE_DASHES = ([1, 0], [6, 2])


def _memory_chart(
    frames: Mapping[str, pd.DataFrame], rules: list[str], width: int, columns: int
) -> alt.ConcatChart:
    colours = alt.Scale(domain=rules, range=[render.PALETTE[name] for name in _RULE_COLOURS[: len(rules)]])
    dashes = alt.Scale(domain=rules, range=list(_RULE_DASHES[: len(rules)]))
    panels = []
    key = alt.Legend(title=None, orient="top", columns=1)
    for words, frame in frames.items():
        chart = (
            alt.Chart(frame)
            .mark_line(strokeWidth=1.2, opacity=0.85)
            .encode(
                x=alt.X("sweep:Q", title="Sweep of the hard phase", axis=alt.Axis(grid=False, tickCount=5)),
                y=alt.Y(
                    "value:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5)
                ),
                color=alt.Color("rule:N", scale=colours, legend=key),
                strokeDash=alt.StrokeDash("rule:N", scale=dashes, legend=key),
                detail="member:N",
            )
        )
        panels.append(chart.properties(width=width, height=210, title=panel_title(words)))
    return _side_by_side(panels, columns, 26)


def _memory_in_words(frames: Mapping[str, pd.DataFrame], r_hat: Mapping[str, float]) -> str:
    sentences = [f"{SYNTHETIC}. What the first {LINES} chains do in the hard phase."]
    for words, frame in frames.items():
        chains = frame.groupby("member")["value"]
        moves = (chains.max() - chains.min()).median()
        ends = chains.mean()
        sentences.append(
            f"{words}: within a chain the values move over {moves:.3g}, while the chains' means lie between "
            f"{ends.min():.3g} and {ends.max():.3g}; R-hat {r_hat[words]:.1f}."
        )
    return " ".join(sentences)


# --- one ensemble against another ---------------------------------------------------------------------


def one_shape(compared: pd.DataFrame, chosen: list[str], trial: Trial, members: int) -> render.Figure:
    """Ranges of an ensemble against those of as many members of the reference, on the reference's scale.

    `compared` is `reconstruction.against(...)` of the single-shape ensemble.
    """
    rows = pd.DataFrame(_relative_rows(compared, chosen, trial))
    return render.Figure(
        name="single-shape",
        chart=_shape_chart(rows, 310, labelled=True),
        narrow=_shape_chart(rows, 278, labelled=False),
        description=_shape_in_words(rows, members),
    )


def _relative_rows(compared: pd.DataFrame, chosen: list[str], trial: Trial) -> Iterator[dict]:
    for name in chosen:
        row, quantity = compared.loc[name], Quantity.of(name)
        middle = (row["reference_low"] + row["reference_high"]) / 2
        half = (row["reference_high"] - row["reference_low"]) / 2
        yield {
            "row": f"{quantity.paramcd}: {_short(quantity, horizon(trial, quantity.population))}",
            "low": round((row["low"] - middle) / half, 4),
            "high": round((row["high"] - middle) / half, 4),
            "reference_low": -1.0,
            "reference_high": 1.0,
            "width": round(row["width"], 4),
            "one_shape": range_text(quantity.kind, row["low"], row["high"]),
            "many_shapes": range_text(quantity.kind, row["reference_low"], row["reference_high"]),
        }


def _short(quantity: Quantity, until: float) -> str:
    month = quantity.kind.removeprefix("survival_")
    words = {
        "events": "events",
        "rmst_difference": f"means to month {until:g}",
        "ph_slope": "change of log ratio",
        "median_low": "median, lower limit",
        "median_high": "median, upper limit",
    }.get(quantity.kind, f"month {month}")
    return f"{words}, {_ARMS_SHORT[quantity.arm]}" if quantity.arm else words


_KINDS = {"one": "one shape", "many": "many shapes (registry ensemble)"}


def _shape_chart(rows: pd.DataFrame, width: int, *, labelled: bool) -> alt.LayerChart:
    reach = math.ceil(10 * max(1.0, rows["high"].max(), -rows["low"].min())) / 10 + 0.1
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    axis = alt.Axis(
        values=[-1, 0, 1],
        grid=True,
        labelExpr="datum.value == 0 ? 'middle' : datum.value < 0 ? 'low' : 'high'",
    )
    x = alt.X(
        "reference_low:Q",
        title=["On the scale of the range", "of the registry ensemble"],
        scale=scale,
        axis=axis,
    )
    y_axis = alt.Axis(domain=False, ticks=False, labels=labelled, labelPadding=6)
    base = alt.Chart(rows).encode(
        y=alt.Y("row:N", sort=None, title=None, axis=y_axis),
        tooltip=[
            alt.Tooltip("row:N", title="Quantity"),
            alt.Tooltip("many_shapes:N", title="Many shapes"),
            alt.Tooltip("one_shape:N", title="One shape"),
            alt.Tooltip("width:Q", title="Ratio of widths", format=".2f"),
        ],
    )
    colours = alt.Scale(
        domain=list(_KINDS.values()), range=[render.PALETTE["highlight"], render.PALETTE["muted"]]
    )
    key = alt.Legend(title=None, orient="top", columns=2 if labelled else 1, symbolOpacity=1)
    below = 0 if labelled else 7
    many = base.transform_calculate(kind=f"'{_KINDS['many']}'").mark_bar(
        height=12, opacity=0.4, yOffset=below
    )
    one = base.transform_calculate(kind=f"'{_KINDS['one']}'").mark_bar(height=6, yOffset=below)
    layers = [
        many.encode(x=x, x2="reference_high:Q", color=alt.Color("kind:N", scale=colours, legend=key)),
        one.encode(x=alt.X("low:Q"), x2="high:Q", color=alt.Color("kind:N", scale=colours, legend=key)),
        base.mark_text(align="left", dx=4, yOffset=below).encode(
            x=alt.datum(reach), text=alt.Text("width:Q", format=".2f")
        ),
    ]
    if not labelled:
        layers.append(base.mark_text(align="left", yOffset=-8).encode(x=alt.value(0), text="row:N"))
    return alt.layer(*layers).properties(
        width=width, height=alt.Step(24 if labelled else 36), title=_synthetic_title()
    )


def _shape_in_words(rows: pd.DataFrame, members: int) -> str:
    narrowest = rows.loc[rows["width"].idxmin()]
    return (
        f"{SYNTHETIC}. Ranges of {len(rows)} quantities from {members} cohorts with one family of shapes, "
        "against the range of as many cohorts of the registry ensemble. The ratio of the widths is "
        f"{narrowest['width']:.2f} at the least ({narrowest['row']}) and {rows['width'].median():.2f} in the "
        f"middle of the rows; {int((rows['width'] < 1).sum())} of {len(rows)} ranges are narrower."
    )


# --- small tables -------------------------------------------------------------------------------------


def fates_table(fates: Mapping[str, pd.DataFrame], name: str) -> tables.Printable:
    """Accepted and failed chains by rule, of one or several ensembles: `reconstruction.fates(...)` each."""
    headings = {"accepted": "Accepted", "failed": "Failed", "all": "All"}
    parts = []
    for label, table in fates.items():
        cells = table[list(headings)].astype(str)
        cells.insert(0, "label", [rule_in_words(rule).capitalize() for rule in table.index])
        parts.append(cells.assign(group=label))
    note = "Rule: for deaths long after the last assessment, in end points other than death."
    caption = "Chains by the rule under which they ended"
    cells = pd.concat(parts, ignore_index=True)
    return tables.from_rows(
        name, caption, cells, stub="Rule at the end of the chain", headings=headings, notes=[note]
    )


def mixing_table(mixing: pd.DataFrame, names: Mapping[str, str]) -> tables.Printable:
    """R-hat and the chains' memory of the monitored quantities; `diagnostics.mixing(...)`."""
    shown = mixing[mixing["quantity"].isin(names)]
    rows = pd.DataFrame({"label": shown["quantity"].map(names)})
    for measure, decimals in {"r_hat": 1, "autocorrelation": 2, "pooled": 3, "first_last": 2}.items():
        rows[measure] = [as_printed(value, decimals) for value in shown[measure]]
    headings = {
        "r_hat": "R-hat", "autocorrelation": "Within\nchains", "pooled": "About the\nmean of all",
        "first_last": "First\nwith last",
    }  # fmt: skip
    note = (
        f"{SYNTHETIC}. R-hat: split, over the accepted chains; one where all halves of all chains agree. "
        "Within chains, about the mean of all: autocorrelation of neighbouring recorded sweeps, about each "
        "chain's own mean and about that of all chains. First with last: correlation over chains of the "
        "first recorded sweep of the hard phase with the last."
    )
    caption = "Do the chains of the hard phase agree with each other, and what do they remember?"
    return tables.from_rows(
        "mixing", caption, rows, stub="Monitored quantity", headings=headings, notes=[note]
    )


def monitored(trial: Trial) -> dict[str, str]:
    """The monitored quantities that vary within chains, in words."""
    names = {
        f"log_hazard_ratio_{e.paramcd}": f"{e.paramcd}: first log hazard ratio of the model"
        for e in trial.endpoints
    }
    names |= {"frailty": "Spread of the frailty", "recovery": "Vital status recovered, log odds"}
    for e in trial.endpoints:
        names |= {
            f"events_{a.name}_{e.paramcd}": f"{e.paramcd}: events, {_ARMS_SHORT[a.name]}" for a in trial.arms
        }
        names |= {
            f"mean_days_{a.name}_{e.paramcd}": f"{e.paramcd}: mean time, {_ARMS_SHORT[a.name]}"
            for a in trial.arms
        }
    return names
