"""Real trials rebuilt from what a paper would print of them, and compared with what was so.

Each comparison of `comparisons.COMPARISONS` is printed, rebuilt by chains of the engine from the
print alone, and its unprinted quantities (`cohort.quantities`) are set beside the truth: the range
of the members against the value in the real rows. What is stored are these summaries; the real
rows are not.

A chain that is not accepted is never replaced. What follows from the print anyway
(`comparisons.printed_already`) is stored but not judged, and does not count as covered.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from visiontrial import files, paths, survival
from visiontrial.cohort import calibration, ensemble, packet, rebuilding, store
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.cohort.verify import Analyses
from visiontrial.validation import comparisons, datasets

FOLDER = paths.RECONSTRUCTION / "validation" / "trials"
KEPT = paths.BUILD / "validation"
PURPOSE = "visiontrial: real trials"
"""What all seeds are derived from."""
MEMBERS = 19
REMEDY = "make validate OPTIONS='--only trials'"

POINTS = 60
"""A curve is stored at so many months at most."""

KINDS = {
    "events": "events",
    "survival_6": "survival", "survival_12": "survival", "survival_18": "survival", "survival_24": "survival",
    "median_low": "median limits", "median_high": "median limits",
    "rmst_difference": "restricted mean difference",
    "censored_early": "censored early",
    "hazard_ratio_unstratified": "unstratified hazard ratio",
    "log_rank_chi_square": "log-rank statistic",
    "ph_slope": "proportional hazards, slope",
    "ph_p": "proportional hazards, P",
}  # fmt: skip
"""A quantity's name in `cohort.quantities` -> the kind under which it is summarized."""

EVERYTHING = "all"
_TYPES = {
    "comparisons": {"covered": "Int64"},
    "summary": dict.fromkeys(("quantities", "covered", "trials", "comparisons", "all_covered"), "Int64"),
    "chains": {"member": "Int64"},
    "printed": {"printed": str},
    "trials": {},
    "curves": {},
}


@dataclass(frozen=True)
class Case:
    """One comparison under one report."""

    comparison: str
    report: str

    @property
    def name(self) -> str:
        return f"{self.comparison}-{self.report}"

    @property
    def labels(self) -> dict[str, str]:
        return {
            "group": comparisons.named(self.comparison).group,
            "comparison": self.comparison,
            "report": self.report,
        }


def cases() -> list[Case]:
    """Every comparison under every report that is planned for it."""
    return [Case(c.name, report) for c in comparisons.COMPARISONS for report in c.reports]


# --- compare -----------------------------------------------------------------------------------------


def _compare(case: Case, truth: comparisons.Truth, batch: ensemble.Batch, engine: ensemble.Engine):
    """The comparison of one case, and for the full report the curves beside the true ones."""
    members = rebuilding.verified(batch, engine)
    trial, adsl, adtte = truth.printed(), truth.adsl, truth.adtte
    # Quantities are those of the full report: a report that prints less leaves the same ones to guess.
    table = calibration.compare(
        calibration.quantities(trial, adsl, adtte),
        [calibration.quantities(trial, m.adsl, m.adtte) for m in members],
        len(batch.chains),
    )
    judged = [
        not comparisons.printed_already(trial, row.quantity, row.endpoint, row.arm)
        for row in table.itertuples()
    ]
    curves = _curves(truth, trial, members) if case.report == comparisons.FULL else pd.DataFrame()
    return table.assign(judged=judged, dataset=truth.comparison.dataset), curves


def _curves(truth: comparisons.Truth, trial, members: Sequence[packet.Unpacked]) -> pd.DataFrame:
    months = np.arange(
        0, truth.longest / DAYS_PER_MONTH, max(1, round(truth.longest / DAYS_PER_MONTH / POINTS))
    )
    sources = [Analyses(trial, truth.adsl, truth.adtte), *(Analyses(trial, m.adsl, m.adtte) for m in members)]
    parts = []
    for endpoint in trial.endpoints:
        for arm in trial.arms:
            drawn = [s.curve(endpoint.paramcd, comparisons.POPULATION, arm.name) for s in sources]
            values = np.array([[curve.at(m * DAYS_PER_MONTH) for m in months] for curve in drawn])
            parts.append(
                pd.DataFrame(
                    {
                        "endpoint": endpoint.paramcd,
                        "arm": arm.name,
                        "month": months,
                        "truth": values[0],
                        **_extremes(values[1:], len(months)),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _extremes(values: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Smallest and largest over the members that still have a curve; NaN where fewer than half have."""
    if not len(values):
        return {"low": np.full(size, np.nan), "high": np.full(size, np.nan)}
    enough = 2 * (~np.isnan(values)).sum(axis=0) >= len(values)
    filled = {"low": np.where(np.isnan(values), np.inf, values).min(axis=0),
              "high": np.where(np.isnan(values), -np.inf, values).max(axis=0)}  # fmt: skip
    return {name: np.where(enough, column, np.nan) for name, column in filled.items()}


# --- summarize ---------------------------------------------------------------------------------------


def known(compared: pd.DataFrame) -> pd.DataFrame:
    """The quantities that count, with their `kind`: judged, of known coverage, and reached by the truth.

    A limit of a median that the truth does not reach is held by any range that is open above. It would be
    counted as a success that nobody earned (`evidence.unreached` counts them).
    """
    rows = compared[compared["judged"] & compared["covered"].notna() & (compared["truth"] < math.inf)]
    return rows.assign(kind=rows["quantity"].map(KINDS))


def summarize(compared: pd.DataFrame) -> pd.DataFrame:
    """Coverage, bias and width per group, report and kind of quantity (and all of them), `known` ones only.

    Comparisons that are made from one data set share patients, so that they count as one trial
    (column `dataset`).

    column          content
    quantities      `known` quantities, from so many `trials`
    comparisons     comparisons that they come from
    covered         those whose true value lies in the range
    coverage        the mean over the trials of their share
    coverage_low, coverage_high  its 95% limits as if the quantities of one trial stood or fell together
    strict_high     the upper limit if every comparison counted as a trial: the stricter of the two
    all_covered     trials of which every quantity is covered
    nominal         mean of (members - 1) / (members + 1)
    bias, absolute_error, width, finite  as in `cohort.calibration`; no meaning across kinds
    """
    rows = []
    for (group, report), here in known(compared).groupby(["group", "report"], sort=False):
        for kind, of_kind in [*here.groupby("kind", sort=False), (EVERYTHING, here)]:
            across = kind == EVERYTHING
            rows.append({"group": group, "report": report, "kind": kind} | _summary(of_kind, across=across))
    return pd.DataFrame(rows).astype(_TYPES["summary"])


def _summary(rows: pd.DataFrame, *, across: bool) -> dict[str, float]:
    covered = rows["covered"].astype(float)
    shares, strict = (covered.groupby(rows[by]).mean() for by in ("dataset", "comparison"))
    low, high = binomial_limits(shares.mean(), len(shares))
    summary = {
        "quantities": len(rows),
        "trials": len(shares),
        "comparisons": len(strict),
        "covered": int(rows["covered"].sum()),
        "all_covered": int((shares == 1).sum()),
        "coverage": shares.mean(),
        "coverage_low": low,
        "coverage_high": high,
        "strict_high": binomial_limits(strict.mean(), len(strict))[1],
        "nominal": calibration.nominal(rows),
    }
    return summary if across else summary | calibration.errors(rows)


def binomial_limits(share: float, trials: int, level: float = calibration.LEVEL) -> tuple[float, float]:
    """Clopper-Pearson limits of a probability from a share of so many trials, whole number or not.

    Where quantities are counted within trials, `share` is their mean over the trials: the limits
    are then those of the extreme case in which all quantities of a trial are covered together or
    not at all, the widest that counting can give.
    """
    successes, tail = share * trials, (1 - level) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes > 0 else 0.0
    high = stats.beta.isf(tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


# --- run, store, read --------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealTrials:
    """What is stored. Nothing in it is a patient.

    `comparisons`: one row per case and quantity, as in `cohort.calibration`, with `judged`.
    `summary`: see `summarize`. `printed`: what the engine was told. `trials`: one row per
    comparison and end point. `curves`: Kaplan-Meier estimates month by month, the true one and the
    extremes of the members.
    """

    comparisons: pd.DataFrame
    summary: pd.DataFrame
    chains: pd.DataFrame
    printed: pd.DataFrame
    trials: pd.DataFrame
    curves: pd.DataFrame
    manifest: Mapping[str, Any]


def read(folder: Path = FOLDER) -> RealTrials:
    """The stored comparisons; every file must have its recorded checksum, else `StoreError`."""
    return RealTrials(**rebuilding.read(folder, REMEDY, _TYPES))


def make(
    *,
    group: str | None = None,
    kept: Path = KEPT,
    stored: Path = FOLDER,
    **options: Any,
) -> Path:
    """Rebuild every case as far as that is not done, compare, store; return the folder.

    `options` are those of `rebuilding.Rebuilding`: `members`, `processes`, `scheduler`, `engine`. `group` and
    `members`, where given, make a trial run of that group with so many chains each, stored under `kept`.

    Raises `datasets.DataMissing` where a package that carries data is not installed, and
    `RebuildingError` for fewer than two members and when the independent verifier rejects a member.
    """
    run = rebuilding.Rebuilding(PURPOSE, kept, MEMBERS, **options)
    chosen = [case for case in cases() if group in (None, case.labels["group"])]
    truths = {name: comparisons.named(name).truth for name in dict.fromkeys(c.comparison for c in chosen)}
    batches = run.run(
        {case.name: comparisons.report(truths[case.comparison].printed(), case.report) for case in chosen}
    )
    tasks = {
        case: functools.partial(_compare, case, truths[case.comparison], batches[case.name])
        for case in chosen
    }
    tables = _tables(truths, run.judge(tasks, "comparing with the truth"), batches)
    planned = group is None and run.as_planned
    folder = stored if planned else kept / f"{group or 'both'}-{run.chains}-members"
    store.write(folder, rebuilding.encode(tables), _manifest(chosen, run))
    return folder


def _tables(
    truths: Mapping[str, comparisons.Truth],
    found: Mapping[Case, tuple[pd.DataFrame, pd.DataFrame]],
    batches: Mapping[str, ensemble.Batch],
) -> dict[str, pd.DataFrame]:
    labels = {case: case.labels for case in found}
    compared = rebuilding.stacked(labels, {case: table for case, (table, _) in found.items()})
    curves = {case: drawn for case, (_, drawn) in found.items() if case.report == comparisons.FULL}
    chains = {case: rebuilding.chains_of(batches[case.name]) for case in found}
    return {
        "comparisons": compared,
        "summary": summarize(compared),
        "chains": rebuilding.stacked(labels, chains),
        "printed": pd.concat([_printed(name, truth) for name, truth in truths.items()], ignore_index=True),
        "trials": pd.DataFrame([row for truth in truths.values() for row in described(truth)]),
        "curves": rebuilding.stacked(labels, curves).drop(columns="report"),
    }


def _printed(name: str, truth: comparisons.Truth) -> pd.DataFrame:
    rows = [(name, t.claim_id, t.statistic, t.printed) for t in truth.printed().targets]
    return pd.DataFrame(rows, columns=["comparison", "claim_id", "statistic", "printed"])


def described(truth: comparisons.Truth) -> list[dict[str, Any]]:
    """A comparison in numbers, one row per end point: patients and events by arm, proportional hazards."""
    c = truth.comparison
    rows = []
    for outcome in c.outcomes:
        data = truth.outcomes(outcome.paramcd)
        counts = {
            f"{what}_{name}": int(values.sum())
            for arm, name in enumerate(comparisons.ARMS)
            for what, values in (("patients", data.arm == arm), ("events", data.event[data.arm == arm]))
        }
        rows.append(
            {
                "group": c.group,
                "comparison": c.name,
                "label": c.label,
                "package": c.package,
                "reference": c.arm_labels[0],
                "treated": c.arm_labels[1],
                "endpoint": outcome.paramcd,
                "endpoint_label": outcome.label,
                **counts,
                "stratified": c.factor or "",
                "ph_p": survival.proportional_hazards(data).p_value,
            }
        )
    return rows


def _manifest(chosen: Sequence[Case], run: rebuilding.Rebuilding) -> dict[str, Any]:
    return {
        "content": "Summaries of real trials and SYNTHETIC reconstructions of them. No patient's data.",
        "cases": [case.name for case in chosen],
        **run.facts(),
        "data_from": {
            "R": datasets.run_r("-e", "cat(as.character(getRversion()))"),
            "R survival": datasets.run_r("-e", "cat(as.character(packageVersion('survival')))"),
            "lifelines": version("lifelines"),
            "scikit-survival": version("scikit-survival"),
        },
    }


def command(**options: Any) -> None:
    """Make the comparisons and say in a few lines what came of them. `options` are those of `make`."""
    folder = make(**options)
    found = read(folder)
    for (group, report), chains in found.chains.groupby(["group", "report"], sort=False):
        failed = int((~chains["accepted"]).sum())
        print(f"{group}, {report}: {len(chains)} chains, {failed} not accepted")
    overall = found.summary[found.summary["kind"] == EVERYTHING]
    for row in overall.itertuples():
        limits = f"{row.coverage_low:.0%} to {row.coverage_high:.0%}"
        print(
            f"  {row.group}, {row.report}: {row.coverage:.0%} of {row.quantities} quantities covered "
            f"({limits}), nominal {row.nominal:.0%}, {row.trials} comparisons"
        )
    print(f"stored in {files.shown(folder)}")


def by_comparison(compared: pd.DataFrame) -> pd.DataFrame:
    """Quantities that are `known`, covered ones and members per comparison and report."""
    grouped = known(compared).groupby(["group", "comparison", "report"], sort=False)
    table = grouped.agg(
        quantities=("covered", "size"), covered=("covered", "sum"), members=("members", "max")
    )
    return table.reset_index()
