"""R as referee: the same rows analysed by R's `survival` and by `visiontrial.survival`.

`referee.R` holds R's calls. The rows are those of the displayed cohort (synthetic), of the real
trials of `comparisons`, and of eight invented patients on whose curves a median is a matter of
convention. What is stored are both answers; a test asks R again where it is installed.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.duration.hazard_regression import PHReg

from visiontrial import files, paths, survival
from visiontrial.cohort import displayed, ensemble, quantities, reader, store
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.cohort.verify import Analyses
from visiontrial.validation import comparisons, datasets

FOLDER = paths.RECONSTRUCTION / "validation" / "referee"
SCRIPT = Path(__file__).with_name("referee.R")
REMEDY = "make validate OPTIONS='--only referee'"

MONTHS = (6, 12, 18, 24)
HORIZON = 12
"""Months of the restricted means; those of a shorter trial end with its landmark."""

ALIKE = 1e-6
"""Relative difference up to which two answers are the same: R stops its Cox iterations near 1e-9."""


@dataclass(frozen=True)
class Check:
    """One line of the table: which stored quantities it is about, and who calls what.

    `pattern`: the quantities, without the arm. `default`: whether R does this without being told.
    `reason`: why the answers differ where they do. `two_methods`: whether the line sets two methods
    side by side on purpose, as somebody would who trusts to defaults.
    """

    name: str
    quantities: tuple[str, ...]
    r_call: str
    our_call: str
    default: bool
    reason: str = ""
    two_methods: bool = False


CHECKS = (
    Check("Kaplan–Meier estimate", tuple(f"km_{m}" for m in MONTHS), "survfit", "kaplan_meier", True),
    Check("Median", ("median",), "survfit", "kaplan_meier(...).median", True,
          "Where the curve lies on one half exactly, R takes the middle of that stretch, we its first day."),
    Check("Limits of the median, log-log", ("median_low", "median_high"),
          'survfit(conf.type = "log-log")', "kaplan_meier", False),
    Check("Limits of the median, each by its default", ("median_low_default", "median_high_default"),
          "survfit", "kaplan_meier", True,
          "R's default interval is symmetric for the logarithm of survival; ours, SAS's and lifelines' "
          "for the logarithm of minus the logarithm. The lines above and below name the transform.", True),
    Check("Limits of the median, log", ("median_low_log", "median_high_log"),
          "survfit", 'kaplan_meier(interval="log")', True),
    Check("Reverse Kaplan–Meier", ("followup", "followup_low", "followup_high"),
          "survfit, 1 - event", "followup", False,
          "As for the median: a curve on one half."),
    Check("Restricted mean", ("rmst",), "survfit, rmean", "restricted_means", False),
    Check("Log-rank test, stratified", ("log_rank",), "survdiff", "log_rank", True),
    Check("Cox model, stratified, Efron", ("cox_efron_beta", "cox_efron_se"), "coxph", "cox", True),
    Check("Cox model, stratified, Breslow", ("cox_breslow_beta", "cox_breslow_se"),
          'coxph(ties = "breslow")', "statsmodels PHReg", False),
    Check("Cox model, our ties against Breslow's", ("cox_breslow_for_efron",),
          'coxph(ties = "breslow")', "cox", False,
          "Efron's way with ties, the default of R and lifelines, is not Breslow's, the default of SAS. "
          "The lines above name the way.", True),
    Check("Proportional hazards, km", ("zph_km",), "cox.zph", "proportional_hazards", True),
    Check("Proportional hazards, time", ("zph_identity",),
          'cox.zph(transform = "identity")', 'proportional_hazards(transform="identity")', False),
)  # fmt: skip


# --- rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """The outcomes of one data set and the horizon, in days, of its restricted means."""

    name: str
    outcomes: survival.Outcomes
    horizon: float


def all_rows() -> Iterator[Rows]:
    """Everything that the referee looks at. Raises `datasets.DataMissing` without R or a package of data."""
    yield from cohort_rows()
    yield eight_patients()
    yield from real_rows()


def cohort_rows() -> Iterator[Rows]:
    """The end points of the displayed cohort, as the trial analysed them. Synthetic."""
    trial = reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)
    cohort = displayed.read()
    analyses = Analyses(trial, cohort.adsl, cohort.adtte)
    for paramcd, population in quantities.analyses_of(trial):
        name = f"cohort {paramcd} {population}"
        yield Rows(name, analyses.outcomes(paramcd, population), HORIZON * DAYS_PER_MONTH)


def real_rows() -> Iterator[Rows]:
    """The end points of the real trials, from whatever package, without the dropout made by us."""
    for comparison in comparisons.COMPARISONS:
        if comparison.dropout is None:
            months = min(HORIZON, comparison.landmark)
            for outcome in comparison.outcomes:
                name = f"{comparison.name} {outcome.paramcd}"
                yield Rows(name, comparison.truth.outcomes(outcome.paramcd), months * DAYS_PER_MONTH)


def eight_patients() -> Rows:
    """Two arms of four who all have the event: their curves lie on one half for a while."""
    days = [100, 200, 300, 400, 150, 250, 350, 450]
    return Rows("eight patients", survival.outcomes(days, [1] * 8, [0] * 4 + [1] * 4), 12 * DAYS_PER_MONTH)


# --- both answers ---------------------------------------------------------------------------------------


def ask_r(rows: list[Rows]) -> pd.DataFrame:
    """R's answers: `dataset`, `quantity`, `value`; infinite where a limit is not reached."""
    sent = pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": r.name,
                    "days": r.outcomes.days,
                    "event": r.outcomes.event.astype(int),
                    "arm": r.outcomes.arm,
                    "stratum": r.outcomes.stratum,
                    "horizon": r.horizon,
                }
            )
            for r in rows
        ]
    )
    answer = pd.read_csv(io.StringIO(datasets.run_r(str(SCRIPT), stdin=sent.to_csv(index=False))))
    reached = answer["quantity"].str.match("median|followup")
    return answer.assign(value=answer["value"].where(answer["value"].notna() | ~reached, np.inf))


def ours(rows: Rows) -> dict[str, float]:
    """Our answers to the same questions, by quantity."""
    answers = {}
    for arm in (0, 1):
        answers |= {f"{name}.{arm}": value for name, value in _of_one_arm(rows, arm)}
    data = rows.outcomes
    efron, breslow = survival.cox(data), _breslow(data)
    return answers | {
        "log_rank": survival.log_rank(data).chi_square,
        "cox_efron_beta": efron.beta,
        "cox_efron_se": efron.se,
        "cox_breslow_beta": breslow[0],
        "cox_breslow_se": breslow[1],
        "cox_breslow_for_efron": efron.beta,
        "zph_km": survival.proportional_hazards(data).chi_square,
        "zph_identity": survival.proportional_hazards(data, transform="identity").chi_square,
    }


def _of_one_arm(rows: Rows, arm: int) -> Iterator[tuple[str, float]]:
    data = rows.outcomes.of_arm(arm)
    curve = survival.kaplan_meier(data)
    named, reverse = survival.kaplan_meier(data, interval="log").median(), survival.followup(data)
    median = curve.median()
    for month in MONTHS:
        yield f"km_{month}", curve.at(month * DAYS_PER_MONTH)
    yield from {"median": median.median, "median_low": median.low, "median_high": median.high}.items()
    yield from {"median_low_default": median.low, "median_high_default": median.high}.items()
    yield from {"median_low_log": named.low, "median_high_log": named.high}.items()
    yield from {
        "followup": reverse.median,
        "followup_low": reverse.low,
        "followup_high": reverse.high,
    }.items()
    yield "rmst", curve.area(rows.horizon)


def _breslow(data: survival.Outcomes) -> tuple[float, float]:
    """Coefficient and standard error of the stratified Cox model with Breslow's ties, by statsmodels."""
    model = PHReg(
        data.days.astype(float), data.arm.astype(float)[:, None], status=data.event.astype(int),
        strata=data.stratum, ties="breslow",
    )  # fmt: skip
    fit = model.fit(disp=0)
    return float(fit.params[0]), float(fit.bse[0])


def both(rows: list[Rows]) -> pd.DataFrame:
    """One row per data set and quantity: `r` and `ours`."""
    answered = ask_r(rows).rename(columns={"value": "r"})
    # The same answer of R beside our own ties.
    breslow = answered[answered["quantity"] == "cox_breslow_beta"]
    answered = pd.concat([answered, breslow.assign(quantity="cox_breslow_for_efron")], ignore_index=True)
    mine = [(r.name, name, value) for r in rows for name, value in ours(r).items()]
    return pd.DataFrame(mine, columns=["dataset", "quantity", "ours"]).merge(
        answered, on=["dataset", "quantity"], how="left", validate="1:1"
    )[["dataset", "quantity", "r", "ours"]]


def alike(r: float, mine: float) -> bool:
    """Whether two answers are the same: both missing, both infinite, or closer than `ALIKE`."""
    if math.isnan(r) or math.isnan(mine):
        return math.isnan(r) and math.isnan(mine)
    return r == mine or math.isclose(r, mine, rel_tol=ALIKE, abs_tol=1e-9)


def judge(answers: pd.DataFrame) -> pd.DataFrame:
    """One row per check: `compared`, `alike`, `largest` (relative difference where finite), `where` not.

    Only answers that are a number on at least one side are compared. `empty` counts the others: a limit that
    neither side reaches, or that both say is missing, is no agreement of two computations.
    """
    stems = answers["quantity"].str.replace(r"\.[01]$", "", regex=True)
    rows = []
    for check in CHECKS:
        asked = answers[stems.isin(check.quantities)]
        mine = asked[np.isfinite(asked[["r", "ours"]]).any(axis=1)]
        same = np.array([alike(a, b) for a, b in zip(mine["r"], mine["ours"], strict=True)], bool)
        finite = mine[np.isfinite(mine["r"]) & np.isfinite(mine["ours"])]
        apart = ((finite["r"] - finite["ours"]).abs() / finite["r"].abs().clip(lower=1e-12)).max()
        rows.append(
            {
                "check": check.name,
                "r_call": check.r_call,
                "our_call": check.our_call,
                "default": check.default,
                "two_methods": check.two_methods,
                "compared": len(mine),
                "empty": len(asked) - len(mine),
                "alike": int(same.sum()),
                "largest": float(apart),
                "where": ", ".join(dict.fromkeys(mine.loc[~same, "dataset"])),
                "reason": "" if same.all() else check.reason,
            }
        )
    return pd.DataFrame(rows)


# --- store ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Referee:
    """The stored answers of both sides, and what they were made from."""

    answers: pd.DataFrame
    manifest: Mapping[str, Any]


def read(folder: Path = FOLDER) -> Referee:
    """The stored answers; every file must have its recorded checksum, else `StoreError`."""
    contents = store.read_checked(folder, REMEDY)
    return Referee(pd.read_csv(io.BytesIO(contents["answers.csv"])), json.loads(contents[store.MANIFEST]))


def make(stored: Path = FOLDER) -> Path:
    """Ask R and ourselves, store both answers; return the folder. Raises `datasets.DataMissing` without R."""
    answers = both(list(all_rows()))
    content = answers.to_csv(index=False, float_format="%.12g", na_rep="NA", lineterminator="\n")
    manifest = {
        "content": "Statistics of SYNTHETIC patients and of real trials. No patient's data.",
        "cohort": displayed.read().manifest["files"],
        "versions": {
            "R": datasets.run_r("-e", "cat(as.character(getRversion()))"),
            "R survival": datasets.run_r("-e", "cat(as.character(packageVersion('survival')))"),
        },
    }
    store.write(stored, {"answers.csv": content.encode("utf-8")}, manifest)
    return stored


def command(**_: Any) -> None:
    """Ask R and say in a few lines what it answered."""
    folder = make()
    for row in judge(read(folder).answers).itertuples():
        print(
            f"{row.check}: {row.alike} of {row.compared} alike"
            + (f"; not in {row.where}" if row.where else "")
        )
    print(f"stored in {files.shown(folder)}")
