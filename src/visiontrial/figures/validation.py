"""How far to trust it: real curves in their ranges, coverage, what was left out, and R's answers."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import great_tables as gt
import numpy as np
import pandas as pd

from visiontrial import design, published, render, tables
from visiontrial.validation import comparisons, datasets, evidence, left_out, referee, trials

SYNTHETIC = "Ranges: reconstruction, from the smallest to the largest of the synthetic cohorts."
NOT_CONFIDENCE = "They are no confidence intervals."

_ARM_COLOURS = {"reference": "control", "treated": "lu"}


# --- real curves in their ranges -----------------------------------------------------------------


def curves(found: trials.RealTrials, name: str) -> render.Figure:
    """The Kaplan-Meier curves of a real comparison and, behind them, the extremes of its reconstructions."""
    rows = found.curves[found.curves["comparison"] == name]
    of_trial = found.trials[found.trials["comparison"] == name]
    drawn = _curve_rows(rows, of_trial)
    return render.Figure(
        name=f"trust-curves-{name}",
        chart=_curve_panels(drawn, of_trial, width=545, height=200),
        narrow=_curve_panels(drawn, of_trial, width=262, height=170),
        description=_curves_in_words(rows, of_trial, found),
    )


def _curve_rows(rows: pd.DataFrame, of_trial: pd.DataFrame) -> pd.DataFrame:
    names = of_trial.iloc[0]
    known = rows.dropna(subset=["truth", "low", "high"])
    percent = {column: (100 * known[column]).round(2) for column in ("truth", "low", "high")}
    return known.assign(**percent, who=known["arm"].map({arm: names[arm] for arm in _ARM_COLOURS}))


def _curve_panels(rows: pd.DataFrame, of_trial: pd.DataFrame, width: int, height: int) -> alt.VConcatChart:
    names = of_trial.iloc[0]
    colours = alt.Scale(
        domain=[names[arm] for arm in _ARM_COLOURS],
        range=[render.PALETTE[colour] for colour in _ARM_COLOURS.values()],
    )
    dashes = alt.Scale(domain=[names[arm] for arm in _ARM_COLOURS], range=[[6, 3], [1, 0]])
    key = alt.Legend(
        title=None, orient="top", columns=1 if width < 400 else 2, labelLimit=width,
        symbolType="stroke", symbolSize=400, symbolOpacity=1, symbolStrokeWidth=2,
    )  # fmt: skip
    panels = []
    for i, endpoint in enumerate(of_trial.itertuples()):
        base = alt.Chart(rows[rows["endpoint"] == endpoint.endpoint]).encode(
            x=alt.X("month:Q", title="Months from randomization" if i == len(of_trial) - 1 else None),
            color=alt.Color("who:N", scale=colours, legend=key),
        )
        y = alt.Scale(domain=[0, 100])
        band = base.mark_area(interpolate="step-after", opacity=0.28, line=False).encode(
            y=alt.Y("low:Q", scale=y, title="Without the event, %"), y2="high:Q"
        )
        truth = base.mark_line(interpolate="step-after", strokeWidth=1.8).encode(
            y=alt.Y("truth:Q", scale=y),
            strokeDash=alt.StrokeDash("who:N", scale=dashes, legend=key),
            tooltip=[
                alt.Tooltip("who:N", title="Arm"),
                alt.Tooltip("month:Q", title="Month"),
                alt.Tooltip("truth:Q", title="True, %", format=".1f"),
                alt.Tooltip("low:Q", title="Smallest, %", format=".1f"),
                alt.Tooltip("high:Q", title="Largest, %", format=".1f"),
            ],
        )
        title = alt.Title(endpoint.endpoint_label, fontSize=14, offset=4)
        panels.append(alt.layer(band, truth).properties(width=width, height=height, title=title))
    return alt.vconcat(*panels, spacing=14)


def _curves_in_words(rows: pd.DataFrame, of_trial: pd.DataFrame, found: trials.RealTrials) -> str:
    first = of_trial.iloc[0]
    sentences = [f"{first['label']}: {first['treated']} against {first['reference']}."]
    for endpoint in of_trial.itertuples():
        for arm in _ARM_COLOURS:
            known = rows[(rows["endpoint"] == endpoint.endpoint) & (rows["arm"] == arm)].dropna()
            inside = (known["low"] <= known["truth"]) & (known["truth"] <= known["high"])
            width = 100 * (known["high"] - known["low"]).max()
            sentences.append(
                f"{endpoint.endpoint_label}, {getattr(endpoint, arm)}: the true curve lies within the range "
                f"at {int(inside.sum())} of {len(known)} months; the range is at most {width:.0f} points "
                "wide."
            )
    return " ".join([*sentences, SYNTHETIC, NOT_CONFIDENCE])


# --- coverage ------------------------------------------------------------------------------------

_SOURCES = {"real": "real trials", "simulated": "simulated trials"}
_SHORT = {
    "events": "Events",
    "survival": "Survival at landmarks",
    "median limits": "Limits of medians",
    "restricted mean difference": "Restricted means",
    "censored early": "Censored early",
    "unstratified hazard ratio": "Unstratified ratio",
    "log-rank statistic": "Log-rank statistic",
    "proportional hazards, slope": "Hazards: slope",
    "proportional hazards, P": "Hazards: P value",
    trials.EVERYTHING: "All of them",
}


def coverage(table: pd.DataFrame) -> render.Figure:
    """How often the range holds the truth, by kind, in real and simulated trials; from `evidence.both`."""
    rows = _coverage_rows(table)
    return render.Figure(
        name="trust-coverage",
        chart=_coverage_chart(rows, width=420, columns=3),
        narrow=_coverage_chart(rows, width=158, columns=1),
        description=_coverage_in_words(table),
    )


def _coverage_rows(table: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for source, words in _SOURCES.items():
        values = {
            name: (100 * table[f"{column}_{source}"]).round(2)
            for name, column in (
                ("coverage", "coverage"), ("low", "coverage_low"), ("high", "coverage_high"),
                ("nominal", "nominal"),
            )
        }  # fmt: skip
        counted = [
            f"{int(c)} of {int(q)}, trials: {int(t)}"
            for c, q, t in zip(
                table[f"covered_{source}"],
                table[f"quantities_{source}"],
                table[f"trials_{source}"],
                strict=True,
            )
        ]
        parts.append(
            pd.DataFrame({"kind": table["kind"].map(_SHORT), "source": words, "counted": counted, **values})
        )
    return pd.concat(parts, ignore_index=True)


def _coverage_chart(rows: pd.DataFrame, width: int, columns: int) -> alt.LayerChart:
    order = list(_SHORT.values())
    names = list(_SOURCES.values())
    colours = alt.Scale(domain=names, range=[render.PALETTE["highlight"], render.PALETTE["fitted"]])
    shapes = alt.Scale(domain=names, range=["circle", "triangle-up"])
    key = alt.Legend(title=None, orient="top", columns=columns)
    base = alt.Chart(rows).encode(
        y=alt.Y("kind:N", sort=order, title=None, axis=alt.Axis(labelLimit=160, grid=False)),
        yOffset=alt.YOffset("source:N", sort=names),
        color=alt.Color("source:N", scale=colours, legend=key),
    )
    x = alt.Scale(domain=[0, 100], nice=False)
    hints = [
        alt.Tooltip("kind:N", title="Quantity"),
        alt.Tooltip("source:N", title="In"),
        alt.Tooltip("counted:N", title="Held"),
        alt.Tooltip("coverage:Q", title="Coverage, %", format=".0f"),
        alt.Tooltip("low:Q", title="Limits from, %", format=".0f"),
        alt.Tooltip("high:Q", title="to, %", format=".0f"),
    ]
    title = (
        ["Held by the range, %", "(95% limits)"] if width < 200 else "Truth held by the range, % (95% limits)"
    )
    limits = base.mark_rule(strokeWidth=1.6).encode(x=alt.X("low:Q", scale=x, title=title), x2="high:Q")
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("coverage:Q", scale=x), shape=alt.Shape("source:N", scale=shapes, legend=key), tooltip=hints
    )
    nominal = base.mark_tick(thickness=2, size=11).encode(
        x=alt.X("nominal:Q", scale=x), color=alt.value(render.PALETTE["ink"])
    )
    return alt.layer(limits, nominal, dots).properties(width=width, height=36 * rows["kind"].nunique())


def _coverage_in_words(table: pd.DataFrame) -> str:
    parts = []
    for row in table.itertuples():
        parts.append(
            f"{_SHORT[row.kind]}: {row.coverage_real:.0%} in {row.trials_real} real data sets "
            f"({row.coverage_low_real:.0%} to {row.coverage_high_real:.0%}), {row.coverage_simulated:.0%} in "
            f"{row.trials_simulated} simulated trials"
        )
    nominal = table["nominal_real"].mean()
    return (
        "Share of true values within the reconstruction range, with 95% limits that show sampling of trials. "
        + "; ".join(parts)
        + f". To be expected of one more cohort: {nominal:.0%}."
    )


# --- left out of VISION ----------------------------------------------------------------------------

_UNITS = {"ratio": "Hazard ratio", "months": "Months"}


def left_out_ranges(table: pd.DataFrame) -> render.Figure:
    """Published values against what the others predict, hits and misses; from `left_out.read_ranges`."""
    rows = _left_out_rows(table)
    return render.Figure(
        name="trust-left-out",
        chart=_range_panels(rows, width=330, labels=240),
        narrow=_range_panels(rows, width=150, labels=128),
        description=_left_out_in_words(rows),
    )


def shown_claims(table: pd.DataFrame) -> pd.DataFrame:
    """Each claim once, in its own block: without repeats in the abstract, P values, and the extra block."""
    six = [block.name for block in left_out.BLOCKS if block.name != "os-hazard-ratios"]
    keep = ~table["claim_id"].str.startswith("abstract.") & ~table["claim_id"].str.endswith(".p")
    return table[keep & table["block"].isin(six)].reset_index(drop=True)


def _left_out_rows(table: pd.DataFrame) -> pd.DataFrame:
    shown = shown_claims(table)
    ratios = shown["claim_id"].str.contains(r"\.(?:hr|ci-low|ci-high)$") & ~shown["claim_id"].str.contains(
        "followup"
    )
    numbers = {column: shown[column].replace([np.inf], np.nan).round(4) for column in ("low", "high")}
    return shown.assign(
        **numbers,
        published=shown["printed"].astype(float),
        unit=np.where(ratios, "ratio", "months"),
        what=[_claim_in_words(claim) for claim in shown["claim_id"]],
        outcome=_outcome(shown),
        **{"from": shown["left_out_low"], "to": shown["left_out_high"]},
    )


def _outcome(table: pd.DataFrame) -> np.ndarray:
    return np.where(table["covered"] == "yes", "in the range", "outside it")


_WORDS = {
    "os": "OS", "os-pfs-set": "OS, PFS set", "pfs": "PFS", "sse": "SSE", "followup": "follow-up",
    "hr": "hazard ratio", "ci-low": "lower limit", "ci-high": "upper limit", "median": "median",
    "lu": "177Lu", "control": "control", "median_low": "lower limit", "median_high": "upper limit",
}  # fmt: skip


def _claim_in_words(claim_id: str) -> str:
    if claim_id == "followup.median":
        return "time to cutoff; median"
    first, *rest = claim_id.split(".")
    words = [_WORDS[part] for part in rest if part not in ("lu", "control")]
    arm = [_WORDS[part] for part in rest if part in ("lu", "control")]
    return f"{', '.join([_WORDS[first], *arm])}; {', '.join(words)}"


def _range_panels(rows: pd.DataFrame, width: int, labels: int) -> alt.VConcatChart:
    """Bars from `low` to `high` and the number `published`, one panel per `unit` that the rows have.

    `what` names each row as `subject; statistic`, on two lines where there is little room.
    """
    small = width < 200
    label = "split(datum.label, '; ')" if small else "replace(datum.label, '; ', ', ')"
    outcomes = ["in the range", "outside it"]
    colours = alt.Scale(domain=outcomes, range=[render.PALETTE["match"], render.PALETTE["differs"]])
    shapes = alt.Scale(domain=outcomes, range=["circle", "diamond"])
    key = alt.Legend(title="Published value", orient="top", direction="horizontal")
    panels = []
    for unit, title in _UNITS.items():
        here = rows[rows["unit"] == unit]
        if here.empty:
            continue
        if unit == "ratio":
            scale = alt.Scale(type="log", nice=False, padding=8)
        else:
            ends = here[["low", "high", "published"]]
            scale = alt.Scale(type="linear", domain=[np.floor(ends.min().min()), np.ceil(ends.max().max())])
        axis = (
            alt.Axis(values=[0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3], format=".1f")
            if unit == "ratio"
            else alt.Axis()
        )
        base = alt.Chart(here).encode(
            y=alt.Y(
                "what:N", sort=list(here["what"]), title=None,
                axis=alt.Axis(
                    labelExpr=label, labelOffset=-7 if small else 0, labelLimit=labels,
                    minExtent=labels, maxExtent=labels, grid=False,
                ),
            )
        )  # fmt: skip
        span = base.mark_bar(height=9, opacity=0.35, color=render.PALETTE["fitted"]).encode(
            x=alt.X("low:Q", scale=scale, title=title, axis=axis), x2="high:Q"
        )
        dots = base.mark_point(filled=True, size=80, opacity=1).encode(
            x=alt.X("published:Q", scale=scale),
            color=alt.Color("outcome:N", scale=colours, legend=key),
            shape=alt.Shape("outcome:N", scale=shapes, legend=key),
            tooltip=[
                alt.Tooltip("what:N", title="Number"),
                alt.Tooltip("printed:N", title="Published"),
                alt.Tooltip("from:N", title="Range from"),
                alt.Tooltip("to:N", title="to"),
                alt.Tooltip("members:Q", title="Cohorts"),
            ],
        )
        panels.append(alt.layer(span, dots).properties(width=width, height=(34 if small else 22) * len(here)))
    return alt.vconcat(*panels, spacing=18)


def missed_in_words(table: pd.DataFrame) -> str:
    """The published values outside their range, each with it; from `left_out.read_ranges`."""
    missed = _left_out_rows(table).query("covered == 'no'")
    return "; ".join(
        f"{r.what.replace('; ', ', ')} ({r.printed}, predicted {r.left_out_low} to {r.left_out_high})"
        for r in missed.itertuples()
    )


def _left_out_in_words(rows: pd.DataFrame) -> str:
    hits = int((rows["covered"] == "yes").sum())
    listed = "; ".join(
        f"{r.what.replace('; ', ', ')} {r.printed}, predicted {r.left_out_low} to {r.left_out_high}"
        + ("" if r.covered == "yes" else " (outside)")
        for r in rows.itertuples()
    )
    return (
        f"{hits} of {len(rows)} published values lie in the range that the other numbers predict when their "
        f"block is left out. {listed}. {SYNTHETIC} {NOT_CONFIDENCE}"
    )


# --- published later -------------------------------------------------------------------------------

LATER = "Ranges: reconstruction, the central 95% of the synthetic cohorts."


def later_ranges(table: pd.DataFrame) -> render.Figure:
    """Numbers published after the report against the reconstruction ranges; from `later.read`."""
    rows = _later_rows(table)
    return render.Figure(
        name="trust-later",
        chart=_range_panels(rows, width=330, labels=180),
        narrow=_range_panels(rows, width=150, labels=128),
        description=_later_in_words(table),
    )


def _later_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["source", "date_read"]).assign(
        low=table["low"].round(3),
        high=table["high"].round(3),
        printed=table["published"],
        published=table["published"].astype(float),
        unit="months",
        what=[_quantity_in_words(name) for name in table["quantity"]],
        outcome=_outcome(table),
        **{"from": _ends(table, "low"), "to": _ends(table, "high")},
    )


def _quantity_in_words(name: str) -> str:
    paramcd, _, quantity, arm = name.split(".")
    return f"{paramcd}, {_WORDS[arm]}; {_WORDS[quantity]}"


def _ends(table: pd.DataFrame, end: str) -> list[str]:
    return [
        left_out.as_the_paper(value, like) for value, like in zip(table[end], table["published"], strict=True)
    ]


def _later_in_words(table: pd.DataFrame) -> str:
    hits = int((table["covered"] == "yes").sum())
    ends = zip(table.itertuples(), _ends(table, "low"), _ends(table, "high"), strict=True)
    listed = "; ".join(
        f"{row.what}: {row.published}, range {low} to {high}" + ("" if row.covered == "yes" else " (outside)")
        for row, low, high in ends
    )
    return (
        f"{hits} of {len(table)} numbers published after the report lie in the reconstruction range. "
        f"{listed}. {LATER} {NOT_CONFIDENCE}"
    )


def later_table(table: pd.DataFrame) -> tables.Printable:
    """The later numbers in their ranges, and how many cohorts lie below each; from `later.read`."""
    frame = pd.DataFrame(
        {
            "label": table["what"],
            "published": table["published"],
            "range": [
                f"{low} to {high}"
                for low, high in zip(_ends(table, "low"), _ends(table, "high"), strict=True)
            ],
            "below": [f"{share:.0%}" for share in table["below"]],
            "covered": table["covered"],
        }
    )
    sources = [f"Source {n}. {source}" for n, source in enumerate(dict.fromkeys(table["source"]), 1)]
    return tables.from_rows(
        "trust-later", "Published after the report, and where the cohorts put it", frame,
        stub="Number, months",
        headings={
            "published": "Published later",
            "range": "Reconstruction range",
            "below": "Cohorts below it",
            "covered": "Held",
        },
        notes=[f"{LATER} {NOT_CONFIDENCE} A share of cohorts is no probability.", *sources],
    )  # fmt: skip


# --- tables ----------------------------------------------------------------------------------------


def inventory_table() -> tables.Printable:
    """What each data set really is; from `datasets.INVENTORY`."""
    rows = []
    for known in datasets.INVENTORY:
        used, _, reason = known.used.partition(": ")
        rows.append(
            {
                "group": "Used" if used == "yes" else "Not used",
                # Below the name, not beside it: a phone has no room for a column of prose.
                "label": f"{known.name} ({known.package})\n{known.what}"
                + (f". Why not: {reason}" if reason else ""),
                "patients": known.patients,
                "randomized": "yes" if known.randomized else "no",
            }
        )
    return tables.from_rows(
        "trust-inventory", "Real trials inside packages, and what they are", rows,
        stub="Data set",
        headings={"patients": "Patients", "randomized": "Randomized"},
    )  # fmt: skip


def trials_table(found: trials.RealTrials) -> tables.Printable:
    """The comparisons in numbers, with how many of their quantities lie in the range."""
    counted = trials.by_comparison(found.comparisons)
    counted = counted[counted["report"] == comparisons.FULL].set_index("comparison")
    rows = []
    for name, of_trial in found.trials.groupby("comparison", sort=False):
        first = of_trial.iloc[0]
        held = counted.loc[name] if name in counted.index else None
        rows.append(
            {
                "group": {"tune": "Looked at while the code was written", "report": "Reported"}[
                    first["group"]
                ],
                "label": first["label"],
                "patients": f"{first['patients_reference']} and {first['patients_treated']}",
                "endpoints": ", ".join(
                    f"{e.endpoint} {e.events_reference} and {e.events_treated}" for e in of_trial.itertuples()
                ),
                "ph": ", ".join(_p_text(p) for p in of_trial["ph_p"]),
                "members": "–" if held is None else str(held["members"]),
                "held": "–" if held is None else f"{held['covered']} of {held['quantities']}",
            }
        )
    return tables.from_rows(
        "trust-trials", "Real trials, rebuilt from what a paper would print", rows,
        stub="Comparison",
        headings={
            "patients": "Patients",
            "endpoints": "Events",
            "ph": "Proportional hazards, P",
            "members": "Cohorts",
            "held": "Held by the range",
        },
        notes=[
            "Reference arm first. P: score test of proportional hazards in the real rows. Cohorts: "
            "synthetic, one per accepted chain. Held: true values of unprinted quantities within the "
            "reconstruction range, from the smallest to the largest cohort; limits of medians that the truth "
            "does not reach are not counted."
        ],
    )  # fmt: skip


def _p_text(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def reports_table(summary: pd.DataFrame, names: dict[str, str]) -> tables.Printable:
    """Coverage, bias, error and width by what the paper prints; a summary of the same comparisons.

    `names`: the reports' names in words, in order.
    """
    kinds = (
        "events", "survival", "restricted mean difference", "median limits", "log-rank statistic",
    )  # fmt: skip
    rows = []
    for kind in kinds:
        of_kind = summary[summary["kind"] == kind].set_index("report")
        what = evidence.KINDS[kind]
        for report, words in names.items():
            if report not in of_kind.index:
                continue
            row = of_kind.loc[report]
            rows.append(
                {
                    "group": what.subject + (f", {what.unit}" if what.unit else ""),
                    "label": words,
                    "held": f"{row['covered']} of {row['quantities']}",
                    "coverage": f"{row['coverage_low']:.0%} to {row['coverage_high']:.0%}",
                    **{name: _scaled(what, row[name]) for name in ("bias", "absolute_error", "width")},
                }
            )
    return tables.from_rows(
        "trust-reports", "What is lost as the paper prints less", rows,
        stub="The paper prints",
        headings={
            "held": "Held by the range",
            "coverage": "Coverage, 95% limits",
            "bias": "Bias",
            "absolute_error": "Mean absolute error",
            "width": "Mean width",
        },
        notes=[
            "Bias and error: of the middle of the synthetic cohorts. The range is of reconstruction, from "
            "the smallest cohort to the largest. The limits show sampling, and count data sets."
        ],
    )  # fmt: skip


def _scaled(kind: evidence.Kind, value: float) -> str:
    """A stored value of this kind as it is shown, without its unit."""
    return f"{kind.factor * value:.{kind.decimals}f}".replace("-", "−")


def referee_table(answers: pd.DataFrame) -> tables.Printable:
    """R beside this book, line by line, in the manner of CAMIS; `answers` as stored by `referee`."""
    judged = referee.judge(answers)
    frame = pd.DataFrame(
        {
            "label": judged["check"],
            "match": [f"{r.alike} of {r.compared}" for r in judged.itertuples()],
            "largest": [_apart(r.largest) for r in judged.itertuples()],
            "reason": _numbered(judged["reason"]),
            "default": np.where(judged["default"], "yes", "no"),
            "r": judged["r_call"],
            "ours": judged["our_call"],
        }
    )
    reasons = [f"Reason {n}. {reason}" for n, reason in enumerate(_reasons(judged["reason"]), 1)]
    return tables.from_rows(
        "trust-referee", "R and this book on the same rows", frame,
        stub="Analysis",
        headings={
            "match": "Same",
            "largest": "Apart by at most",
            "reason": "Why not",
            "default": "R's default",
            "r": "R calls",
            "ours": "We call",
        },
        left=["r", "ours", "default", "reason"],
        notes=[
            *reasons,
            f"Same: relative difference of at most {referee.ALIKE:g}, of the answers that are a number on at "
            f"least one side; {judged['empty'].sum()} more are none on either. Rows: the displayed cohort "
            "(synthetic), real trials, and eight invented patients.",
        ],
    )  # fmt: skip


def _reasons(column: pd.Series) -> list[str]:
    return [reason for reason in dict.fromkeys(column) if reason]


def _numbered(column: pd.Series) -> list[str]:
    numbers = {reason: f"Reason {n}" for n, reason in enumerate(_reasons(column), 1)}
    return [numbers.get(reason, "") for reason in column]


def _apart(relative: float) -> str:
    if np.isnan(relative) or relative < 1e-12:
        return "0"
    return f"{100 * relative:.1f}%" if relative > 1e-4 else f"{relative:.0e}"


def sentences_table(sentences: pd.DataFrame) -> tables.Printable:
    """One sentence per kind of quantity; from `evidence.sentences`."""
    frame = pd.DataFrame(
        {
            "label": sentences["kind"].map(_SHORT),
            "answer": sentences["answer"],
            "sentence": sentences["sentence"],
        }
    )
    headings = {"answer": "To be trusted?", "sentence": "The sentence that the evidence supports"}
    return tables.from_rows(
        "trust-sentences", "What the trials support", frame,
        stub="Quantity", headings=headings, left=headings,
    )  # fmt: skip


def evidence_table(beside: pd.DataFrame) -> tables.Printable:
    """Coverage, bias, error and width by kind, in real and in simulated trials; from `evidence.both`."""
    rows = []
    for row in beside[beside["kind"] != trials.EVERYTHING].to_dict("records"):
        kind = evidence.KINDS[row["kind"]]
        unit = f"\n{kind.unit}" if kind.unit else ""
        shown = {"label": _SHORT[row["kind"]] + unit}
        for source in _SOURCES:
            shown[f"{source}.held"] = f"{row[f'covered_{source}']} of {row[f'quantities_{source}']}"
            for column in ("bias", "absolute_error", "width"):
                shown[f"{source}.{column}"] = _scaled(kind, row[f"{column}_{source}"])
        rows.append(shown)
    made = gt.GT(pd.DataFrame(rows), rowname_col="label").tab_stubhead("Quantity")
    headings = {"held": "Held", "bias": "Bias", "absolute_error": "Mean absolute error", "width": "Width"}
    for source, words in _SOURCES.items():
        columns = [f"{source}.{column}" for column in headings]
        made = made.tab_spanner(words.capitalize(), columns, id=source).cols_align("right", columns)
    made = made.cols_label({f"{s}.{c}": text for s in _SOURCES for c, text in headings.items()})
    made = made.tab_source_note(
        "Held: true values within the reconstruction range of synthetic cohorts. Bias and error: of the "
        "middle cohort against the truth; bias is middle minus truth. Width: of the range, on average. "
        "Limits of medians: those that the truth reaches. Slope: change of the log hazard ratio from the "
        "start of the curve to its foot."
    )
    return tables.printable(made, "trust-evidence", "The two bodies of evidence, by kind of quantity")


def landmarks_table(landmarks: pd.DataFrame) -> tables.Printable:
    """Survival at landmarks, month by month, in both bodies of evidence; from `evidence.by_landmark`."""
    kind = evidence.KINDS["survival"]
    frame = pd.DataFrame(
        {
            "group": [f"{source.capitalize()} trials" for source in landmarks["trials"]],
            "label": [f"{month} months" for month in landmarks["month"]],
            "datasets": landmarks["datasets"],
            "held": [f"{row.covered} of {row.arms}" for row in landmarks.itertuples()],
            "bias": [_scaled(kind, bias) for bias in landmarks["bias"]],
            "above": [f"{share:.0%}" for share in landmarks["above"]],
        }
    )
    return tables.from_rows(
        "trust-landmarks", "Survival month by month: where the middle lies too low", frame,
        stub="Survival at",
        headings={
            "datasets": "Data sets",
            "held": "Held by the range",
            "bias": "Bias,\npoints",
            "above": "Truth above the middle",
        },
        notes=[
            "Arms of trials; a simulated trial counts as a data set. Bias: middle of the synthetic cohorts "
            "minus the truth, in percentage points. "
            "Without bias the truth would lie above the middle in about half of the arms."
        ],
    )  # fmt: skip


def dropout_table(split: pd.DataFrame) -> tables.Printable:
    """What is held with and without heavy early dropout; from `evidence.by_dropout`."""
    frame = pd.DataFrame(
        {
            "group": [f"{source.capitalize()} trials" for source in split["trials"]],
            "label": [_dropout_label(row) for row in split.itertuples()],
            "comparisons": split["comparisons"],
            "members": split["members"],
            "held": [f"{row.covered} of {row.quantities}" for row in split.itertuples()],
            "share": [f"{row.covered / row.quantities:.0%}" for row in split.itertuples()],
            "nominal": [f"{share:.0%}" for share in split["nominal"]],
        }
    )
    return tables.from_rows(
        "trust-dropout", "With and without heavy early dropout in one arm", frame,
        stub="Trials",
        headings={
            "comparisons": "Comparisons judged",
            "members": "Cohorts",
            "held": "Held by the range",
            "share": "Share",
            "nominal": "To be expected",
        },
        notes=[
            "True values within the reconstruction range of synthetic cohorts, all kinds of quantity "
            "together. Where we made the dropout, the true values are those of the rows after it. Cohorts: "
            "at most so many; to be expected: if the truth were one more of them."
        ],
    )  # fmt: skip


def _dropout_label(row) -> str:
    if row.trials == "real":
        return comparisons.named(row.name).label
    return "Many of one arm leave early" if row.dropout else "The other families"


def families_table(families: pd.DataFrame) -> tables.Printable:
    """What each family of simulated trials holds, kind by kind; from `evidence.by_family`."""
    held = families.set_index(["kind", "family"])
    rows = []
    for kind in evidence.KINDS:
        cells = {family: _family_cell(held.loc[kind, family]) for family in evidence.FAMILIES}
        rows.append({"label": _SHORT[kind]} | cells)
    made = (
        gt.GT(pd.DataFrame(rows), rowname_col="label")
        .tab_stubhead("Quantity")
        .tab_spanner("Simulated trials where", list(evidence.FAMILIES))
        .cols_label(**evidence.FAMILIES)
        .cols_align("right", list(evidence.FAMILIES))
        .tab_source_note(
            "True values within the reconstruction range of synthetic cohorts. †: fewer than chance "
            "allows for ranges that are as wide as they should be."
        )
    )
    return tables.printable(made, "trust-families", "Simulated trials, by what is so in them")


def _family_cell(row: pd.Series) -> str:
    return f"{row['covered']} of {row['quantities']}" + ("" if row["held"] else " †")


def hazards_table(hazards: pd.DataFrame) -> tables.Printable:
    """What is held of proportional hazards, by whether they are proportional; from `evidence.by_hazards`."""
    columns = [kind for kind in evidence.KINDS if kind.startswith("proportional hazards")]
    rows = []
    for (source, proportional), here in hazards.groupby(["trials", "proportional"], sort=False):
        of_kind = here.set_index("kind")
        cells = {
            kind: f"{of_kind.loc[kind, 'covered']} of {of_kind.loc[kind, 'quantities']}" for kind in columns
        }
        label = "Proportional" if proportional else "Not proportional"
        rows.append({"group": f"{source.capitalize()} trials", "label": label} | cells)
    return tables.from_rows(
        "trust-hazards", "Are changing hazards found?", rows,
        stub="True hazards, by the test",
        headings=dict(zip(columns, ["Slope held", "P held"], strict=True)),
        notes=[
            f"End points. Not proportional: true P below {evidence.CONVENTIONAL:g}. Held: true value within "
            "the reconstruction range of synthetic cohorts."
        ],
    )  # fmt: skip


def left_out_table(table: pd.DataFrame) -> tables.Printable:
    """Every left-out claim, repeats and P values too; from `left_out.read_ranges`."""
    names = {block.name: block.label for block in left_out.BLOCKS}
    frame = pd.DataFrame(
        {
            "group": table["block"].map(names),
            "label": [f"{published.in_words(claim)}\n{claim}" for claim in table["claim_id"]],
            "printed": table["printed"],
            "range": [f"{r.left_out_low} to {r.left_out_high}" for r in table.itertuples()],
            "covered": table["covered"],
        }
    )
    return tables.from_rows(
        "trust-left-out", "VISION's numbers, each block predicted by the others", frame,
        stub="Claim",
        headings={
            "printed": "Published",
            "range": "Predicted by the others",
            "covered": "Held",
        },
        notes=[f"{SYNTHETIC} {NOT_CONFIDENCE}"],
    )  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """A published accuracy of a method that reads digitised curves: what it says, its number, its source."""

    words: str
    number: str
    source: str


def peers_table(real: pd.DataFrame) -> tables.Printable:
    """Peers' accuracy beside ours on like work; `real` is the summary of real trials."""
    ours = real[(real["group"] == "report") & (real["report"] == comparisons.FULL)].set_index("kind")
    rows = [*_peers(), _ours(ours)]
    frame = pd.DataFrame(
        {
            "label": [r.words for r in rows],
            "number": [r.number for r in rows],
            "source": [r.source for r in rows],
        }
    )
    return tables.from_rows(
        "trust-peers", "Published accuracy of peers, and ours", frame,
        stub="Method and measure",
        headings={"number": "Accuracy", "source": "Source"},
        left=["source"],
        notes=[
            "The peers read the printed curves; this engine reads text only. Their errors are of reading a "
            "curve, ours are of not having one: the lines are of like quantities, not of like tasks."
        ],
    )  # fmt: skip


def _peers() -> list[Peer]:
    facts = design.outside_facts("peer.")

    def peer(words: str, fact_id: str, unit: str) -> Peer:
        number, source = design.outside_fact(fact_id)
        read = "" if facts.loc[fact_id, "date_read"] else " (second hand)"
        return Peer(words, f"{number:g}{unit}", source + read)

    ratios, tolerance, validated = (
        f"{design.outside_fact(fact_id)[0]:g}"
        for fact_id in ("peer.kmdata.ratios", "peer.kmdata.tolerance", "peer.rmst.trials")
    )
    kmdata = f"of {ratios} hazard ratios within {tolerance}%"
    guyot = f"Guyot's method on {validated} trials: restricted mean survival, mean absolute error"
    return [
        peer(f"KMDATA, by its own account: {kmdata}", "peer.kmdata.share", "%"),
        peer(f"KMDATA, refitted: {kmdata}", "peer.kmdata.refit", "%"),
        peer(f"{guyot}, control arms", "peer.rmst.error.control", " months"),
        peer(f"{guyot}, experimental arms", "peer.rmst.error.experimental", " months"),
    ]


def _ours(summary: pd.DataFrame) -> Peer:
    kind = "restricted mean difference"
    row = summary.loc[kind]
    return Peer(
        f"This engine on {row['trials']} real data sets: difference of restricted means, mean absolute error",
        evidence.measured(evidence.KINDS[kind], row["absolute_error"]),
        "this chapter",
    )
