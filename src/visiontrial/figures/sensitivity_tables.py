"""The numbers and the tables of sensitivity to dropping out, in words. Synthetic patients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import great_tables as gt
import numpy as np
import pandas as pd

from visiontrial import published, tables
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.figures.survival import NOTICE
from visiontrial.printed import as_printed
from visiontrial.sensitivity import pooling, scenarios, tipping
from visiontrial.sensitivity.dropout import REASONS, REASONS_IN_WORDS
from visiontrial.sensitivity.precomputed import Stored
from visiontrial.sensitivity.scenarios import ANALYSES, Analysis

SYNTHETIC = f"{NOTICE}."
FEWEST = 10
"""Of cohorts, of which a middle is told."""

ARM_NAMES = {"lu": "177Lu-PSMA-617", "control": "Standard care alone"}


# --- numbers in words ------------------------------------------------------------------------


def ratio(value: float) -> str:
    """A hazard ratio to two decimals."""
    return as_printed(float(value), 2)


def percent(share: float) -> str:
    """A share as whole percent; only all is 100 and only none is 0."""
    return f"{min(max(round(100 * share), int(share > 0)), 100 - int(share < 1))}%"


def p_text(value: float) -> str:
    """A P value as medical journals print it."""
    if value < 0.001:
        return "<0.001"
    return as_printed(float(value), 3 if value < 0.01 else 2)


def factor_text(factor: float) -> str:
    """A factor: `2`, `1.4`, `1/2`, `1/1.4`."""
    size = as_printed(max(factor, 1 / factor), 1).removesuffix(".0")
    return size if factor > 1 or size == "1" else f"1/{size}"


def factor_or_beyond(factor: float) -> str:
    """A factor; `beyond 16` or `beyond 1/16` where it lies outside the map."""
    largest = float(tipping.FACTORS[-1])
    if 1 / largest <= factor <= largest:
        return factor_text(factor)
    return f"beyond {factor_text(largest if factor > 1 else 1 / largest)}"


def months_text(value: float) -> str:
    """Months to one decimal; words where fewer than half have the event."""
    if math.isnan(value):
        return "–"
    return as_printed(float(value), 1) if math.isfinite(value) else "not reached"


def range_text(low: float, high: float, text=ratio) -> str:
    """Both ends of a range, once if they read alike."""
    first, last = text(low), text(high)
    return first if first == last else f"{first} to {last}"


def whole(value: float) -> str:
    """A number of patients, rounded."""
    return as_printed(float(value), 0)


# --- rules for late deaths ------------------------------------------------------------------------------


def parts(stored: Stored, analysis: Analysis) -> dict[str, pd.Index]:
    """The members by the rule for late deaths that they follow, by its words; all where it does not matter.

    The rule decides which deaths are events of progression-free survival; overall survival counts them all.
    """
    rules = stored.rules.set_index("member")["rule"]
    if analysis.paramcd == "OS":
        return {"": rules.index}
    return {rule_words(rule): members.index for rule, members in rules.groupby(rules)}


def rule_words(rule: str) -> str:
    """A rule for late deaths in a few words: `every death counts`, `only within 168 days`."""
    return "every death counts" if rule == "count" else f"only {rule}"


RULES_NOTE = "Every death counts, or only soon after the last scan: the paper does not say which rule held."


def part_label(words: str, members: pd.Index) -> str:
    """A part of the ensemble with its size: `Every death counts (174 cohorts)`."""
    return f"{words[0].upper()}{words[1:]} ({len(members)} cohorts)" if words else f"{len(members)} cohorts"


# --- tables -------------------------------------------------------------------------------------------


def reasons_table(stored: Stored) -> tables.Printable:
    """Patients by reason of censoring, reconstruction ranges, per analysis and arm."""
    words = {"event": "had the event", "cutoff": "censored, but no dropout", **REASONS_IN_WORDS}
    rows = []
    for analysis in ANALYSES.values():
        mine = stored.reasons[stored.reasons["analysis"] == analysis.name]
        for reason, label in words.items():
            such = mine[mine["reason"] == reason]
            by_arm = {arm: such.loc[such["arm"] == arm, "patients"] for arm in ARM_NAMES}
            if any(values.max() > 0 for values in by_arm.values()):
                cells = {arm: _count_range(values) for arm, values in by_arm.items()}
                rows.append({"group": analysis.label, "label": label[0].upper() + label[1:], **cells})
    return tables.from_rows(
        "censoring-reasons", "Why patients are censored, by analysis and arm", rows,
        stub="Why the time ends",
        headings=ARM_NAMES,
        notes=[
            f"{SYNTHETIC} Number of patients: {_over(stored)}. "
            "No dropout: in follow-up at the cutoff (for progression, still scanned), or found alive then. "
            "How those whose assessment stopped divide into imaging stopped and new therapy is an assumption."
        ],
    )  # fmt: skip


def _over(stored: Stored) -> str:
    return f"reconstruction range over {stored.manifest['members']} cohorts, both rules for late deaths"


def _count_range(values: pd.Series) -> str:
    found = reconstruction_range(values)
    return range_text(found.low, found.high, whole)


def live_table(
    results: Mapping[str, scenarios.Result], labels: Mapping[str, str], analysis: Analysis
) -> tables.Printable:
    """Pooled results of the displayed cohort with their Monte Carlo errors, one row per assumption."""
    rows = []
    for key, label in labels.items():
        made, pooled = results[key].fits, results[key].pooled
        low, high = pooled.limits(analysis.level)
        error = pooling.jackknife(*made, lambda p: p.p_value) if pooled.imputations > 1 else 0.0
        rows.append(
            {
                "label": label,
                "ratio": ratio(pooled.ratio),
                "limits": f"{ratio(low)} to {ratio(high)}",
                "p": p_text(pooled.p_value),
                "mc": as_printed(float(pooled.monte_carlo), 4) if error else "none",
                "mc_p": p_text(error) if error else "none",
                "increase": percent(pooled.increase) if error else "none",
            }
        )
    return tables.from_rows(
        f"live-{analysis.name}", f"{analysis.label}, displayed cohort", rows,
        stub="Dropouts",
        headings={
            "ratio": "Hazard ratio",
            "limits": f"{100 * analysis.level:g}% limits",
            "p": "P",
            "mc": "MC error\nlog ratio",
            "mc_p": "MC error\nP",
            "increase": "Variance added\nby imputation",
        },
        notes=[
            f"{SYNTHETIC} One cohort, the displayed one: its numbers show how the method works and are no "
            f"results. {pooling.RULE}. MC error: what other draws of the imputations would change (of P by "
            "jackknife)."
        ],
    )  # fmt: skip


def tips_table(stored: Stored) -> tables.Printable:
    """How strong a departure loses significance, by analysis, rule for late deaths and direction."""
    words = {
        "lu": "177Lu dropouts: hazard ×",
        "control": "control dropouts: hazard ÷",
        "both": "both at once, × and ÷",
    }
    largest = stored.manifest["factors"][-1]
    rows = []
    for name in stored.tips["analysis"].unique():
        analysis = ANALYSES[name]
        for part, members in parts(stored, analysis).items():
            chosen = (stored.tips["analysis"] == name) & stored.tips["member"].isin(members)
            group = f"{analysis.label}. {part_label(part, members)}"
            rows += [
                {"group": group, "label": label, **_tip_cells(stored.tips[chosen], direction)}
                for direction, label in words.items()
            ]
    return tables.from_rows(
        "tipping-factors", "How far the dropouts would have to depart", rows,
        stub="Departure",
        headings={
            "factor": "Significance lost at",
            "error": "MC error",
            "kept": "Never lost,\nshare of cohorts",
        },
        notes=[
            f"{SYNTHETIC} Factor at which the upper confidence limit at the trial's level reaches 1: "
            f"reconstruction range. MC error: by how much of itself the factor of a cohort would change with "
            f"other draws of the {stored.manifest['imputations']} imputations (standard error by jackknife, "
            f"middle of the cohorts in which it is lost, if {FEWEST} or more). "
            f"Never lost: not up to a factor of {largest:g}. {RULES_NOTE}"
        ],
    )  # fmt: skip


def _tip_cells(tips: pd.DataFrame, direction: str) -> dict[str, str]:
    values, errors = tips[direction].to_numpy(), tips[f"{direction}_error"].dropna()
    found = reconstruction_range(values)
    return {
        "factor": range_text(found.low, found.high, factor_or_beyond),
        "error": f"{as_printed(100 * float(errors.median()), 0)}%" if len(errors) >= FEWEST else "–",
        "kept": percent(float(np.isinf(values).mean())),
    }


def scenario_table(stored: Stored, analysis: Analysis, summary: pd.DataFrame) -> tables.Printable:
    """The result under every assumption; `summary` is what `figures.sensitivity.summarized` gives."""
    rows = [
        {
            "group": row.group,
            "label": row.label[0].upper() + row.label[1:],
            "ratio": range_text(row.low, row.high),
            "share": percent(row.significant),
        }
        for row in summary.itertuples()
    ]
    return tables.from_rows(
        f"scenarios-{analysis.name}", f"{analysis.label}, under every assumption", rows,
        stub="Dropouts",
        headings={"ratio": "Hazard ratio", "share": "Significant,\nshare of cohorts"},
        notes=[
            f"{SYNTHETIC} Reconstruction range over {stored.manifest['members']} cohorts; significant at the "
            f"two-sided level {analysis.alpha:g}."
        ],
    )  # fmt: skip


def reason_table(stored: Stored, names: Iterable[str]) -> tables.Printable:
    """What each reason for dropping out can do on its own: hazard ratios, reconstruction ranges."""
    by_reason = {"nobody's": "delta.as-observed"} | {REASONS_IN_WORDS[r]: f"reason.{r}" for r in REASONS}
    rows = []
    for label, scenario in by_reason.items():
        row = {"label": label[0].upper() + label[1:]}
        for name in names:
            mine = stored.scenarios
            mine = mine[(mine["analysis"] == name) & (mine["scenario"] == scenario)]
            found = reconstruction_range(np.exp(mine["log_ratio"]))
            row[name] = range_text(found.low, found.high)
        rows.append(row)
    return tables.from_rows(
        "by-reason", "One reason at a time", rows,
        stub="Whose hazard changes",
        headings={name: ANALYSES[name].label for name in names},
        notes=[
            f"{SYNTHETIC} Hazard ratio, {_over(stored)}. The hazard of the dropouts of one reason is "
            f"multiplied by {factor_text(scenarios.BY_REASON)} in the arm with 177Lu-PSMA-617 and by "
            f"{factor_text(1 / scenarios.BY_REASON)} in the control arm; all others fare as those observed."
        ],
    )  # fmt: skip


def coverage_table(stored: Stored) -> tables.Printable:
    """The simulation with known truth: coverage of 95% limits by what is assumed of the dropouts."""
    designs = {"independent": "Dropouts fare like the others", "dependent": "Dropouts do not"}
    assumed = {
        "censored": "left censored",
        "true factors": "imputed with the true factors",
        "factor 1": "imputed as if they fared like the others",
    }
    rows = [
        {
            "group": f"{designs[r.design]}: true hazard ratio {ratio(r.truth)}",
            "label": assumed[r.assumed],
            "mean": ratio(r.mean),
            "coverage": f"{100 * r.coverage:.1f}%",
            "limits": f"{100 * r.low:.1f} to {100 * r.high:.1f}%",
        }
        for r in stored.coverage.itertuples()
        if (r.design, r.assumed) != ("independent", "true factors")  # the same as factor 1
    ]
    trials = int(stored.coverage["trials"].iloc[0])
    return tables.from_rows(
        "coverage", "Simulated trials whose truth is known", rows,
        stub="Dropouts are …",
        headings={"mean": "Mean estimate", "coverage": "Coverage", "limits": "its 95% limits"},
        notes=[
            f"{trials} simulated trials each; coverage: how many of their 95% intervals hold the true hazard "
            "ratio. Limits of the coverage by Clopper and Pearson."
        ],
    )  # fmt: skip


def all_randomized_table(stored: Stored) -> tables.Printable:
    """Imaging-based PFS in all randomized patients beside the analysis set as printed, in all and by rule."""
    table = stored.all_randomized.set_index("member")
    parted = {"all cohorts": table.index, **parts(stored, ANALYSES["pfs-all"])}
    lines = {
        "Hazard ratio": ("pfs.hr", "ratio", ratio),
        "Lower limit": ("pfs.ci-low", "low", ratio),
        "Upper limit": ("pfs.ci-high", "high", ratio),
        "Median, 177Lu-PSMA-617, months": ("pfs.median.lu", "median_lu", months_text),
        "Median, standard care alone, months": ("pfs.median.control", "median_control", months_text),
    }
    rows = []
    for label, (claim, column, text) in lines.items():
        row = {"label": label, "printed": published.printed(claim)}
        for part, members in parted.items():
            found = reconstruction_range(table.loc[members, column])
            row[part] = range_text(found.low, found.high, text)
        rows.append(row)
    level = 100 * ANALYSES["pfs-all"].level
    headings = {part: f"Ours, all {published.printed('os.n')},\n{part}" for part in parted}
    made = (
        gt.GT(pd.DataFrame(rows), rowname_col="label")
        .cols_label(printed=f"Printed,\nthe {published.printed('pfs.n')}", **headings)
        .cols_align("right", ["printed", *parted])
        .tab_source_note(
            f"{SYNTHETIC} Ours: {_over(stored)}, and by rule; nothing printed holds the progression of the "
            f"earlier patients. Limits at {level:g}%. {RULES_NOTE}"
        )
    )
    return tables.printable(made, "pfs-all-randomized", "Imaging-based PFS in all randomized patients")
